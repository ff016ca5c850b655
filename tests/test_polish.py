"""Newton steps on rows and marginal together, and a family that allows none."""

import numpy as np
import pytest
from problems import TOY, GeometricDecoder, geometric_source

from toyrd import GaussianDecoder, solve
from toyrd.curve import Status
from toyrd.family import Polish

P = np.array([0.3, 0.0, 0.1, 0.4, 0.2])
ROWS = np.array([[0.7, 0.8], [3.1, 1.2], [2.0, 2.5]])
M = np.array([0.5, 0.2, 0.3])


@pytest.mark.parametrize("beta", [0.4, 1.0, 2.5])
def test_gradient_and_hessian_of_a_polish_are_those_of_finite_differences(beta):
    polish = Polish(P, GaussianDecoder(5), beta, M, ROWS)
    at = np.concatenate([M[:, None], ROWS], axis=1).ravel()

    def tables(flat):
        table = flat.reshape(3, 3)
        return table[:, 0], table[:, 1:]

    steps = 1e-5 * np.eye(9)
    gradient, hessian = polish._model(*tables(at))
    values = [[polish.value(*tables(at + sign * step)) for sign in (1, -1)] for step in steps]
    slopes = [[polish._model(*tables(at + s * step))[0] for s in (1, -1)] for step in steps]
    np.testing.assert_allclose(gradient, -np.diff(values)[:, 0] / 2e-5, atol=1e-8)
    np.testing.assert_allclose(hessian, -np.diff(slopes, axis=1)[:, 0] / 2e-5, atol=1e-7)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


def test_a_polish_lowers_its_objective_to_where_no_step_gains():
    polish = Polish(P, GaussianDecoder(5), 1.0, M, ROWS)
    (m, theta), value = polish.run(M, ROWS)
    assert value < polish.value(M, ROWS)
    assert m.sum() == pytest.approx(1, abs=1e-12)
    assert polish._step(m, theta)[1] < 1e-12


def test_rows_of_little_mass_come_to_rest_where_c_is_level():
    """∂c/∂θ = 0 at each row, of whatever mass, as far as rounding lets it."""
    beta, family = 1.0001, GaussianDecoder()
    near = solve(TOY.p, beta=1.00011, decoder=family)
    polish = Polish(TOY.p, family, beta, near.m, near.parameters)
    (m, theta), _ = polish.run(near.m, near.parameters)
    slope = polish._model(m, theta)[0].reshape(m.size, 3)[:, 1:] / m[:, None]
    inside = (family.box[0] < theta) & (theta < family.box[1])
    assert m.min() < 1e-5
    assert np.abs(slope[inside]).max() < 1e-6 * (beta - 1)


def test_a_hessian_without_eigenvalues_stops_the_polish_where_it_is(monkeypatch):
    def fails(matrix):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigh", fails)
    polish = Polish(P, GaussianDecoder(5), 1.0, M, ROWS)
    (m, theta), value = polish.run(M, ROWS)
    np.testing.assert_array_equal(theta, ROWS)
    np.testing.assert_allclose(m, M, rtol=1e-15)
    assert value == polish.value(M, ROWS)


class Plain:
    """Geometric rows with a cover and an M-step, but without a box or slopes."""

    n_x = 8

    def __init__(self):
        whole = GeometricDecoder()
        self.log_rows, self.fit, self.dictionary = whole.log_rows, whole.fit, whole.dictionary


@pytest.mark.parametrize("target", [{"beta": 1.0}, {"beta": 1.2}, {"rate": 0.1}])
def test_a_family_without_slopes_is_searched(target):
    """It does as well as the same family with them."""
    plain = solve(geometric_source(), decoder=Plain(), tol=1e-4, **target)
    smooth = solve(geometric_source(), decoder=GeometricDecoder(), **target)
    assert plain.status in (Status.SEARCHED, Status.CERTIFIED)
    assert plain.objective == pytest.approx(smooth.objective, abs=1e-4)
