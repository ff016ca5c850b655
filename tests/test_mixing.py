"""Families solved globally: certificates, targets, the corner, and a family of one's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from toyrd import (
    ConvergenceWarning,
    GaussianDecoder,
    entropy,
    rate_distortion,
    solve,
    toy_source,
)
from toyrd.ascent import best_apart, climb, searched_bound
from toyrd.corner import extreme_fit, is_perfect, sparse_fit
from toyrd.decoders import BoundedFamily, GlobalFamily
from toyrd.mixing import FamilyCurve, relative, sparser
from toyrd.polish import Polish

seeds = st.integers(0, 2**32 - 1)
H = 2.862061915729483
TRUTH = np.array([[9.830, 2.2565], [19.141, 3.4058]])


@pytest.fixture(scope="module")
def toy():
    return toy_source()


@pytest.fixture(scope="module")
def curve(toy):
    return FamilyCurve(toy.p, GaussianDecoder(), tol=1e-8)


@pytest.fixture(scope="module")
def near_one(curve):
    return curve.at(1.01)


class GeometricDecoder:
    """Rows d(x|θ) ∝ exp(θ x): a family of one's own, in a page and without a proof."""

    def __init__(self, n_x):
        self.n_x = n_x
        self.box = np.array([[-2.0], [2.0]])
        self.x = np.arange(n_x)

    def log_rows(self, theta):
        table = theta * self.x
        return table - np.logaddexp.reduce(table, axis=1, keepdims=True)

    def means(self, theta):
        return np.exp(self.log_rows(theta)) @ self.x

    def slopes(self, theta):
        return (self.x - self.means(theta)[:, None])[..., None]

    def dictionary(self):
        return np.linspace(*self.box, 41)

    def fit(self, joint, parameters):
        mass = joint.sum(axis=1)
        aim = np.divide(joint @ self.x, mass, out=np.full(mass.size, 1.0), where=mass > 0)
        low, high = (np.full((mass.size, 1), side.item()) for side in self.box)
        for _ in range(60):  # the mean rises with θ: bisect for the mean of the data
            middle = (low + high) / 2
            below = (self.means(middle) < aim)[:, None]
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2


def geometric_source(n_x=8):
    family = GeometricDecoder(n_x)
    return np.array([0.6, 0.4]) @ np.exp(family.log_rows(np.array([[-0.9], [0.7]])))


def fine_rows(family, around, n=60):
    """Return a dictionary over the whole box, much finer near given rows."""
    grid = np.meshgrid(*np.linspace(*family.box, n).T, indexing="ij")
    rows = [np.stack(grid, axis=-1).reshape(-1, family.box.shape[1]), around]
    rng = np.random.default_rng(0)
    for size in np.geomspace(1e-4, 0.3, 6):
        moved = around[:, None] + size * rng.normal(size=(len(around), 30, around.shape[1]))
        rows.append(np.clip(moved, *family.box).reshape(-1, around.shape[1]))
    return np.concatenate(rows)


# At a β: the certificate.


@pytest.mark.parametrize("beta", [0.4, 1.2, 2.0])
def test_the_gap_covers_the_error_that_a_fine_dictionary_shows(toy, beta):
    family = GaussianDecoder()
    answer = solve(toy.p, beta=beta, decoder=family)
    assert answer.converged
    assert answer.rigorous
    rows = fine_rows(family, answer.parameters)
    fine = rate_distortion(toy.p, -family.log_rows(rows).T, beta=beta, tol=1e-12)
    assert answer.lower_bound <= fine.objective
    assert answer.objective <= fine.objective + 1e-12
    assert answer.gap <= 1e-8


@given(st.integers(1, 7), st.sampled_from([0.05, 0.5, 0.9, 1.0, 1.3, 3.0, 50.0]), seeds)
@settings(max_examples=15, deadline=None)
def test_any_source_is_solved_with_proof_by_no_more_rows_than_symbols(n_x, beta, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_x, 0.5))
    p[rng.random(n_x) < 0.3] = 0
    p = p / p.sum() if p.any() else np.eye(n_x)[0]
    family = GaussianDecoder(n_x)
    answer = solve(p, beta=beta, decoder=family)
    assert answer.converged
    assert answer.rigorous
    assert answer.model.n_z <= n_x
    np.testing.assert_allclose(np.exp(family.log_rows(answer.parameters)), answer.model.d)
    rows = np.concatenate([family.dictionary(), answer.parameters])
    coarse = rate_distortion(p, -family.log_rows(rows).T, beta=beta)
    assert answer.lower_bound <= coarse.objective
    assert abs(answer.model.D + beta * answer.model.R - answer.objective) <= 1e-9


@pytest.mark.parametrize(
    ("beta", "R", "excess", "digit"),
    [
        (4, 0.000019, 1.7e-1, 5e-3),
        (2, 0.0101, 1.6e-1, 5e-3),
        (1.5, 0.1435, 6.4e-2, 5e-4),
        (1.1, 0.3785, 5.1e-3, 5e-5),
        (1.01, 0.4774, 8.8e-5, 5e-7),
        (1.001, 0.4956, 1.8e-6, 5e-8),
    ],
)
def test_the_objective_is_at_most_that_of_the_coarse_table(toy, beta, R, excess, digit):
    answer = solve(toy.p, beta=beta, decoder=GaussianDecoder())
    model = answer.model
    assert answer.converged
    ours, theirs = model.D + beta * model.R - H, excess + (beta - 1) * R
    assert ours <= theirs + digit + 5e-5 * (beta - 1)
    assert abs(model.R - R) <= 5e-3
    assert abs(model.D + model.R - H - excess) <= 0.2 * excess


def test_collapse_is_one_row_the_fit_of_the_data(toy):
    collapsed = [solve(toy.p, beta=b, decoder=GaussianDecoder()) for b in (4, 1e3, 1e6, np.inf)]
    best = GaussianDecoder().fit(toy.p[None], None)
    for answer in collapsed:
        assert answer.converged
        assert answer.model.R == 0
        np.testing.assert_allclose(answer.parameters, best, atol=1e-6)
    np.testing.assert_allclose(best, [[12.6, 5.05]], atol=0.05)


def test_at_no_price_every_symbol_has_its_best_row(toy):
    answer = solve(toy.p, beta=0, decoder=GaussianDecoder())
    best = GaussianDecoder().fit(np.eye(30), None)
    np.testing.assert_allclose(answer.parameters, best)
    assert answer.objective == pytest.approx(answer.model.D, rel=1e-14)
    grid = GaussianDecoder().log_rows(fine_rows(GaussianDecoder(), best))
    best_on_grid = -toy.p @ grid.max(axis=0)
    assert best_on_grid >= answer.model.D - 1e-12


def test_a_warm_start_changes_nothing_but_the_way(curve):
    cold = curve.at(1.3)
    for other in (4.0, 1.25):
        warm = curve.at(1.3, curve.at(other))
        assert abs(warm.objective - cold.objective) <= 1e-8
        assert warm.converged


def test_rows_far_from_some_symbols_give_no_infinite_distortion():
    p = np.zeros(30)
    p[[0, 29]] = 0.5
    answer = solve(p, beta=2, decoder=GaussianDecoder())
    assert answer.converged
    assert np.isfinite(answer.model.D)
    assert abs(answer.model.D + 2 * answer.model.R - answer.objective) <= 1e-9


def test_huge_costs_collapse_only_at_a_huge_beta():
    family = GaussianDecoder(20, widths=(0.01, 0.05))  # the other half costs some 1e5 nats
    p = np.zeros(20)
    p[[0, 19]] = 0.5
    answer = solve(p, beta=2e4, decoder=family)
    assert answer.model.n_z == 2
    assert answer.converged
    assert solve(p, beta=np.inf, decoder=family).model.R == 0


def test_a_cap_on_rounds_is_told(toy):
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        answer = solve(toy.p, beta=1.001, decoder=GaussianDecoder(), max_iter=1, tol=1e-12)
    assert not answer.converged
    assert answer.message == "best mixture found, whose error the gap bounds"
    better = solve(toy.p, beta=1.001, decoder=GaussianDecoder())
    assert answer.lower_bound <= better.objective


# Targets.


def test_the_target_rate_of_the_truth_returns_the_truth(toy):
    answer = solve(toy.p, rate=0.5, decoder=GaussianDecoder())
    order = np.argsort(answer.parameters[:, 0])
    np.testing.assert_allclose(answer.parameters[order], TRUTH, atol=0.02)
    np.testing.assert_allclose(answer.model.m[order], [0.7, 0.3], atol=0.005)
    assert abs(toy.separation(answer.model.e) - 0.853) <= 0.001
    assert abs(answer.model.R - 0.5) <= 1e-10
    assert 0 <= answer.model.D + answer.model.R - H + 1e-12 <= 1e-6
    assert answer.converged
    assert answer.rigorous


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.4999, 0.50001, 2.0, 2.7])
def test_rates_on_either_side_of_the_corner_are_met(toy, rate):
    answer = solve(toy.p, rate=rate, decoder=GaussianDecoder())
    assert answer.converged
    assert abs(answer.model.R - rate) <= 1e-10
    assert abs(answer.model.D - answer.objective) <= 1e-12
    assert answer.model.n_z <= 31
    line = answer.model.D + rate - H
    assert line >= -1e-12
    if 0.5 <= rate <= 2.6:
        assert line <= 1e-12


@pytest.mark.parametrize("distortion", [2.9, 2.2])
def test_distortions_are_met(toy, distortion):
    answer = solve(toy.p, distortion=distortion, decoder=GaussianDecoder())
    assert answer.converged
    assert abs(answer.model.D - distortion) <= 1e-10
    assert abs(answer.objective - answer.model.R) <= 1e-12
    back = solve(toy.p, rate=answer.model.R, decoder=GaussianDecoder())
    assert abs(back.model.D - distortion) <= 1e-7


def test_rates_out_of_reach_are_refused_and_those_at_the_ends_are_met(toy):
    with pytest.raises(ValueError, match=r"the reachable range is 0 to 2\.8"):
        solve(toy.p, rate=3, decoder=GaussianDecoder())
    assert solve(toy.p, rate=0, decoder=GaussianDecoder()).model.R == 0


@pytest.mark.parametrize(("p", "rate"), [([0.5, 0, 0, 0.5, 0], 0.5), ([0.3, 0.4, 0.3, 0], 1.0)])
def test_symbols_without_mass_leave_no_perfect_fit_but_every_rate(p, rate):
    answer = solve(p, rate=rate, decoder=GaussianDecoder(len(p)))
    assert answer.converged
    assert abs(answer.model.R - rate) <= 1e-10
    assert answer.model.D + rate > entropy(p) + 1e-3


@pytest.mark.parametrize(("apart", "widths"), [(1, (40, 50)), (19, (0.01, 0.05))])
def test_rates_are_met_where_beta_must_be_tiny_or_huge(apart, widths):
    p = np.zeros(apart + 1)
    p[[0, apart]] = 0.4, 0.6
    family = GaussianDecoder(p.size, widths=widths)
    answer = solve(p, rate=0.95 * entropy(p), decoder=family, tol=1e-4)
    assert answer.converged
    assert abs(answer.model.R - 0.95 * entropy(p)) <= 1e-10
    assert answer.beta < 1e-2 or answer.beta > 1e4


def test_two_bins_are_fitted_by_one_row_and_any_rate_lies_on_the_line():
    p = [0.3, 0.7]
    for rate in (0.0, 0.1, 0.55):
        answer = solve(p, rate=rate, decoder=GaussianDecoder(2))
        assert abs(answer.model.R - rate) <= 1e-10
        assert answer.converged
    collapsed = solve(p, rate=0, decoder=GaussianDecoder(2)).model
    assert abs(collapsed.D - entropy(p)) <= 1e-12


def test_one_bin_needs_nothing():
    answer = solve([1.0], beta=2, decoder=GaussianDecoder(1))
    assert (answer.model.D, answer.model.R, answer.converged) == (0, 0, True)


def test_a_family_of_another_number_of_bins_is_refused(toy):
    with pytest.raises(ValueError, match="decoder has rows over 29 symbols, but p has 30"):
        solve(toy.p, beta=1, decoder=GaussianDecoder(29))


# The corner.


def test_a_linear_programme_over_dictionary_and_refined_rows_picks_the_truth(toy, curve, near_one):
    fit = sparse_fit(curve, near_one)
    rows = np.concatenate([curve.grid, fit.parameters])
    d = np.exp(GaussianDecoder().log_rows(rows))
    log_ratio = GaussianDecoder().log_rows(rows) - np.log(toy.p)
    least = linprog((d * log_ratio).sum(axis=1), A_eq=(d / toy.p).T, b_eq=np.ones(30))
    np.testing.assert_allclose(least.x[-2:].sum(), 1, atol=1e-6)
    np.testing.assert_allclose(np.sort(least.x[-2:]), [0.3, 0.7], atol=1e-6)
    assert least.fun == pytest.approx(toy.information, abs=1e-8)


def test_extreme_fits_are_perfect_and_lie_on_either_side(curve, near_one):
    fit = sparse_fit(curve, near_one)
    more = extreme_fit(curve, fit, near_one, -1, lambda point: point.R > 2)
    assert more.R > 2 > fit.R
    for point in (fit, more):
        assert is_perfect(curve, point)
        assert abs(point.D + point.R - H) <= 1e-12


def test_no_perfect_fit_is_found_where_there_is_none():
    curve = FamilyCurve(np.array([0.5, 0.0, 0.5]), GaussianDecoder(3), tol=1e-8)
    point = curve.at(1.0)
    assert sparse_fit(curve, point) is None
    assert not is_perfect(curve, point)
    narrow = FamilyCurve(toy_source().p, GaussianDecoder(widths=(2.5, 3)), tol=1e-8)
    start = narrow.at(1.1)
    assert extreme_fit(narrow, start, start, 1, lambda point: False) is start


def test_the_truth_of_equal_widths_is_not_the_perfect_fit_of_least_rate():
    width = 0.598 / 0.2  # thirty equal bins over −3 to 3
    source = toy_source(
        weights=(0.3, 0.7), means=(9.5, 19.5), widths=(width, width), information=None
    )
    assert abs(source.information - 0.5) < 1e-3
    answer = solve(source.p, rate=0.4975, decoder=GaussianDecoder())
    assert abs(answer.model.R - 0.4975) <= 1e-10
    assert abs(answer.model.D + answer.model.R - entropy(source.p)) <= 1e-7
    assert answer.model.n_z <= 31
    truth = solve(source.p, rate=source.information, decoder=GaussianDecoder())
    np.testing.assert_allclose(np.sort(truth.parameters[:, 0]), [9.5, 19.5], atol=1e-6)
    np.testing.assert_allclose(truth.parameters[:, 1], width, atol=1e-6)


# A family of one's own, and the alternation.


def test_a_family_of_ones_own_is_solved_but_not_proven():
    family, p = GeometricDecoder(8), geometric_source()
    assert isinstance(family, GlobalFamily)
    assert not isinstance(family, BoundedFamily)
    answer = solve(p, beta=1.2, decoder=family)
    assert answer.converged
    assert not answer.rigorous
    assert "as far as a search" in answer.message
    rows = fine_rows(family, answer.parameters, n=2000)
    fine = rate_distortion(p, -family.log_rows(rows).T, beta=1.2, tol=1e-12)
    assert answer.lower_bound <= fine.objective <= answer.objective + 1e-8
    assert answer.objective <= fine.objective + 1e-10


def test_a_family_of_ones_own_meets_rates_and_a_bound_for_all_decoders_is_a_proof():
    family, p = GeometricDecoder(8), geometric_source()
    for rate in (0.05, 0.2, 0.3):
        answer = solve(p, rate=rate, decoder=family)
        assert abs(answer.model.R - rate) <= 1e-10
        assert answer.converged
        on_the_line = answer.model.D + rate - entropy(p) <= 1e-9
        assert answer.rigorous or not on_the_line


def test_local_alternation_is_monotone_and_never_beats_the_global_optimum(toy):
    best = solve(toy.p, beta=1.2, decoder=GaussianDecoder())
    locals_ = [
        solve(toy.p, beta=1.2, decoder=GaussianDecoder(), n_z=3, rng=seed, max_iter=3000, tol=1e-7)
        for seed in range(2)
    ]
    for local in locals_:
        assert (np.diff(local.history["objective"]) <= 1e-13).all()
        assert local.objective >= best.lower_bound
        assert local.parameters.shape == (3, 2)
    assert min(local.objective for local in locals_) <= best.objective + 1e-3


# The parts.


@given(st.sampled_from([0.3, 1.0, 2.5]), seeds)
@settings(max_examples=15, deadline=None)
def test_the_polish_knows_its_gradient_and_curvature(beta, seed):
    rng = np.random.default_rng(seed)
    p, family = rng.dirichlet(np.ones(6)), GaussianDecoder(6)
    theta = np.stack([rng.uniform(0, 5, 3), rng.uniform(1, 3, 3)], axis=1)
    here = np.concatenate([rng.dirichlet(np.ones(3))[:, None] + 0.05, theta], axis=1)
    polish = Polish(p, family, beta, theta)
    gradient, hessian = polish._model(here[:, 0], here[:, 1:])
    size = 1e-5
    for i, move in enumerate(np.eye(9).reshape(9, 3, 3) * size):
        up, down = here + move, here - move
        rise = polish.value(up[:, 0], up[:, 1:]) - polish.value(down[:, 0], down[:, 1:])
        assert abs(rise / (2 * size) - gradient[i]) <= 1e-7 * (1 + np.abs(gradient).max())
        bend = polish._model(up[:, 0], up[:, 1:])[0] - polish._model(down[:, 0], down[:, 1:])[0]
        np.testing.assert_allclose(
            bend / (2 * size), hessian[i], atol=1e-5 * (1 + np.abs(hessian).max())
        )


class WrongSlopes(GaussianDecoder):
    """Slopes of the wrong sign: no step that they suggest is any good."""

    def slopes(self, parameters):
        return -super().slopes(parameters)


def test_a_polish_that_cannot_gain_leaves_the_rows_where_they_are():
    family, theta = WrongSlopes(6), np.array([[1.0, 1.0], [4.0, 1.5]])
    m = np.array([0.4, 0.6])
    p = m @ np.exp(family.log_rows(theta + 0.3))
    m = rate_distortion(p, -family.log_rows(theta).T, beta=1.3, tol=1e-13).m  # the best weights
    polish = Polish(p, family, 1.3, theta)
    (ends, weights), value = polish.run(m, theta)
    assert value <= polish.value(m, theta)
    np.testing.assert_allclose(ends, theta, atol=1e-6)
    np.testing.assert_allclose(weights, m, atol=1e-6)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_polish_lowers_g_and_ends_where_no_free_parameter_has_a_slope(seed):
    rng = np.random.default_rng(seed)
    p, family = rng.dirichlet(np.ones(6)), GaussianDecoder(6)
    theta, m = np.stack([rng.uniform(0, 5, 2), rng.uniform(1, 3, 2)], axis=1), np.full(2, 0.5)
    polish = Polish(p, family, 1.3, theta)
    (ends, weights), value = polish.run(m, theta)
    assert value <= polish.value(m, theta)
    assert abs(weights.sum() - 1) <= 1e-12
    slope = polish._model(weights, ends)[0].reshape(2, 3)[:, 1:]
    inside = (ends > family.box[0]) & (ends < family.box[1])
    assert np.abs(slope[inside]).max(initial=0) <= 1e-6


@given(st.integers(1, 4), st.integers(1, 12), seeds)
@settings(max_examples=30, deadline=None)
def test_a_sparser_mixture_has_the_same_g(n_x, n_z, seed):
    rng = np.random.default_rng(seed)
    A, m = rng.random((n_x, n_z)), rng.dirichlet(np.ones(n_z))
    fewer = sparser(A, m)
    assert fewer.min() >= 0
    assert (fewer > 0).sum() <= max(n_x, (m > 0).sum() if n_z <= n_x else n_x)
    np.testing.assert_allclose(A @ fewer, A @ m, rtol=1e-9)


def test_relative_rows_have_mean_one_under_the_mixture(near_one):
    np.testing.assert_allclose(relative(near_one) @ near_one.m, 1)


def test_a_climb_reaches_the_top_of_a_hill_in_the_box_and_its_side_otherwise():
    box = np.array([[0.0, -1.0], [4.0, 1.0]])
    top = np.array([1.2345, 3.0])

    def value(theta):
        return -((theta - top) ** 2).sum(axis=1)

    ends, values = climb(box, value, np.array([[3.0, 0.0], [0.0, -1.0]]))
    np.testing.assert_allclose(ends, [[1.2345, 1.0]] * 2, atol=1e-6)
    np.testing.assert_allclose(values, -4, atol=1e-6)


def test_starts_lie_apart_with_the_best_first():
    box = np.array([[0.0], [1.0]])
    theta = np.array([[0.5], [0.51], [0.1], [0.9]])
    chosen = best_apart(box, theta, np.array([1.0, 2.0, 0.0, 3.0]))
    assert chosen.ravel().tolist() == [0.9, 0.51, 0.1]


def test_the_search_for_a_bound_finds_what_a_dictionary_misses():
    family = GeometricDecoder(8)
    peak = np.array([[0.3217]])
    p = np.exp(family.log_rows(peak))[0]
    log_weight = np.log(p) - 0.5 * family.log_rows(peak)[0]  # c = Σ √(p d) ≤ 1, = 1 at the peak
    top, points = searched_bound(family, family.dictionary(), log_weight, 2.0, -1e-12)
    assert top == pytest.approx(1, abs=1e-12)
    assert np.abs(points - peak).min() < 1e-6


@pytest.mark.parametrize("beta", [1e-300, 1e-100, 1e-12, 1e-11, 1e-10])
def test_at_a_tiny_price_the_answer_is_nearly_that_of_no_price(beta):
    """F(0) ≤ F(β) ≤ F(0) + β log n, and the certificate knows it."""
    p, family = [0.5, 0.3, 0.2], GaussianDecoder(3)
    free, answer = (solve(p, beta=price, decoder=family) for price in (0.0, beta))
    assert answer.converged
    assert answer.rigorous
    assert free.objective - 1e-12 <= answer.objective <= free.objective + 2 * beta + 1e-12


def test_a_point_whose_rows_were_thinned_out_still_has_its_tables():
    """At β = 0 symbols with the same best row share it; the history of that is not kept."""
    family = GaussianDecoder(4, means=(1.5, 1.5), widths=(1, 1.5))
    answer = solve([0.25] * 4, decoder=family, beta=0)
    assert answer.model.n_z <= 2
    assert answer.history.size == 0
    assert answer.converged
