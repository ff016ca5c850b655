"""Gaussian decoders: rows, slopes and M-step, and the bound of c over cells of the box."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toyrd.cells
from toyrd import DecoderFamily, GaussianDecoder, toy_source
from toyrd.cells import Cells, _bounds, _taylor
from toyrd.decoders import BoundedFamily

seeds = st.integers(0, 2**32 - 1)


# Fifty-digit arithmetic: Φ by its series, and its tail by a continued fraction.


def upper_tail(z: Decimal) -> Decimal:
    """Return 1 − Φ(z) for z ≥ 0."""
    density = (-z * z / 2).exp() / (2 * Decimal(PI)).sqrt()
    if z < 6:
        term = total = z
        for n in range(1, 300):
            term *= z * z / (2 * n + 1)
            total += term
        return Decimal(1) / 2 - density * total
    fraction = z
    for n in range(400, 0, -1):
        fraction = z + n / fraction
    return density / fraction


PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"


def exact_log_row(n_x: int, mean: float, width: float) -> list[float]:
    with localcontext(Context(prec=80, Emin=-(10**9), Emax=10**9)):
        edges = [
            (Decimal(x) + Decimal("0.5") - Decimal(mean)) / Decimal(width) for x in range(-1, n_x)
        ]
        row = []
        for x in range(n_x):
            a = None if x == 0 else edges[x]
            b = None if x == n_x - 1 else edges[x + 1]
            row.append(float(mass(a, b).ln()))
        return row


def mass(a, b) -> Decimal:
    """Return Φ(b) − Φ(a) with None for the infinite ends, from the tails on the same side."""
    if a is not None and a >= 0:
        return upper_tail(a) - (upper_tail(b) if b is not None else 0)
    if b is not None and b <= 0:
        return upper_tail(-b) - (upper_tail(-a) if a is not None else 0)
    left = upper_tail(-a) if a is not None else Decimal(0)
    right = upper_tail(b) if b is not None else Decimal(0)
    return 1 - left - right


@pytest.mark.parametrize(
    ("mean", "width"),
    [(9.83, 2.2565), (4.0, 0.25), (4.5, 1.0), (0.0, 30.0), (-0.5, 0.3), (11.5, 0.25), (3.2, 0.01)],
)
def test_rows_agree_with_fifty_digits_into_the_far_tails(mean, width):
    row = GaussianDecoder(12).log_rows(np.array([[mean, width]]))[0]
    exact = np.array(exact_log_row(12, mean, width))
    np.testing.assert_allclose(row, exact, rtol=1e-12, atol=1e-13)
    assert width > 0.01 or exact.min() < -200_000  # far beyond what a probability can hold


@given(st.integers(1, 12), seeds)
@settings(max_examples=30, deadline=None)
def test_rows_are_distributions(n_x, seed):
    rng = np.random.default_rng(seed)
    rows = GaussianDecoder(n_x).log_rows(draw_parameters(rng, GaussianDecoder(n_x), 20))
    assert rows.max() <= 0
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-13)


def draw_parameters(rng, family, n):
    low, high = family.box
    widths = np.exp(rng.uniform(*np.log(family.widths), n))
    return np.stack([rng.uniform(low[0], high[0], n), widths], axis=1)


@given(st.integers(1, 12), seeds)
@settings(max_examples=30, deadline=None)
def test_slopes_are_those_of_finite_differences(n_x, seed):
    family = GaussianDecoder(n_x)
    theta = draw_parameters(np.random.default_rng(seed), family, 20)
    slopes = family.slopes(theta)
    for k in range(2):
        step = 1e-5 * np.eye(2)[k]
        central = (family.log_rows(theta + step) - family.log_rows(theta - step)) / 2e-5
        scale = 1 + np.abs(slopes[..., k]).max()
        np.testing.assert_allclose(slopes[..., k], central, atol=2e-6 * scale)


@given(st.integers(1, 12), seeds)
@settings(max_examples=30, deadline=None)
def test_log_rows_lie_below_their_tangents(n_x, seed):
    family = GaussianDecoder(n_x)
    rng = np.random.default_rng(seed)
    here, there = (draw_parameters(rng, family, 50) for _ in range(2))
    log_d, by_tau, by_nu = family.tangent(here)
    to_tau = 1 / there[:, 1:] - 1 / here[:, 1:]
    to_nu = (there[:, :1] / there[:, 1:]) - (here[:, :1] / here[:, 1:])
    tangent = log_d + by_tau * to_tau + by_nu * to_nu
    assert (family.log_rows(there) <= tangent + 1e-9 * (1 + np.abs(tangent))).all()


# The M-step.


def score(family, joint, theta):
    return (joint * family.log_rows(theta)).sum(axis=1)


@given(st.integers(1, 9), seeds)
@settings(max_examples=25, deadline=None)
def test_the_fit_is_the_weighted_maximum_of_likelihood_in_the_box(n_x, seed):
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(n_x, widths=(0.4, 3.0))
    joint = rng.dirichlet(np.full(n_x, 0.3), size=3) * rng.random((3, 1))
    joint[rng.random(joint.shape) < 0.2] = 0
    theta = family.fit(joint, None)
    assert (theta >= family.box[0]).all()
    assert (theta <= family.box[1]).all()
    best = score(family, joint, theta)
    mean, width = np.meshgrid(np.linspace(*family.means, 60), np.geomspace(0.4, 3.0, 40))
    grid = np.stack([mean.ravel(), width.ravel()], axis=1)
    near = theta[:, None] + rng.normal(size=(3, 200, 2)) * np.geomspace(1e-4, 1, 200)[:, None]
    near = np.clip(near, *family.box)
    for z in range(3):
        others = np.concatenate([grid, near[z]])
        rows = family.log_rows(others)
        assert (rows @ joint[z]).max() <= best[z] + 1e-12 * (1 + abs(best[z]))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_fit_never_lowers_the_likelihood_of_its_guess(seed):
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(8)
    joint = rng.dirichlet(np.ones(8), size=4) * rng.random((4, 1))
    guess = draw_parameters(rng, family, 4)
    now = score(family, joint, guess)
    assert (score(family, joint, family.fit(joint, guess)) >= now - 1e-14 * np.abs(now)).all()


def test_the_fit_to_a_row_returns_its_parameters():
    theta = np.array([[9.83, 2.2565], [19.141, 3.4058], [3.0, 1.0]])
    family = GaussianDecoder()
    found = family.fit(np.exp(family.log_rows(theta)), None)
    np.testing.assert_allclose(found, theta, atol=1e-7)
    again = family.fit(np.exp(family.log_rows(theta)), theta)
    np.testing.assert_allclose(again, theta, atol=1e-7)


def test_a_fit_deep_inside_has_nearly_the_moments_of_the_data():
    x = np.arange(60)
    joint = np.exp(-0.5 * ((x - 29.3) / 5.1) ** 2)[None]
    mean, width = GaussianDecoder(60).fit(joint, None)[0]
    assert abs(mean - 29.3) < 1e-6  # the tails are cut unevenly
    assert abs(width**2 + 1 / 12 - 5.1**2) < 1e-3  # Sheppard's correction for bins


def test_a_fit_beyond_the_box_stops_at_its_side():
    family = GaussianDecoder(9, means=(2, 4), widths=(1.0, 2.0))
    joint = np.eye(9)[[0, 3, 8]]
    joint = np.concatenate([joint, np.full((1, 9), 1 / 9)])
    theta = family.fit(joint, None)
    np.testing.assert_allclose(theta[:3, 0], [2, 3, 4], atol=1e-9)
    np.testing.assert_allclose(theta[1:, 1], [1, 2, 2], atol=1e-9)  # far away a wide row is best
    assert theta[0, 1] == 2


def test_a_latent_without_mass_gets_parameters_in_the_box():
    family = GaussianDecoder(5)
    theta = family.fit(np.zeros((2, 5)), None)
    assert np.isfinite(theta).all()
    assert ((theta >= family.box[0]) & (theta <= family.box[1])).all()


# The family itself.


def test_it_is_a_family_with_proof():
    family = GaussianDecoder(7)
    assert isinstance(family, DecoderFamily)
    assert isinstance(family, BoundedFamily)
    assert repr(family) == "GaussianDecoder(7, means=(-0.5, 6.5), widths=(0.25, 7.0))"


@pytest.mark.parametrize(
    ("family", "gap"),
    [
        (GaussianDecoder(30), 0.5),
        (GaussianDecoder(3, widths=(0.5, 20)), 0.5),
        (GaussianDecoder(5, means=(2, 2)), 0.5),
        (GaussianDecoder(5, widths=(1, 1)), 0.5),
    ],
)
def test_the_dictionary_covers_the_box(family, gap):
    rows = family.dictionary()
    low, high = family.box
    assert ((rows >= low) & (rows <= high)).all()
    for theta in draw_parameters(np.random.default_rng(0), family, 200):
        apart = np.abs(rows[:, 0] - theta[0]) / theta[1], np.abs(np.log(rows[:, 1] / theta[1]))
        assert np.maximum(*apart).min() < gap


def test_one_bin_is_certain():
    family = GaussianDecoder(1)
    theta = np.array([[0.3, 0.5]])
    assert family.log_rows(theta).tolist() == [[0.0]]
    assert family.slopes(theta).tolist() == [[[0.0, 0.0]]]
    assert family.bound(np.zeros(1), 2.0, 1e-12)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_bins": 0}, "n_bins"),
        ({"widths": (0, 1)}, "widths are .* between 1e-06 and 1e"),
        ({"widths": (1, 1e7)}, "widths are .* between 1e-06 and 1e"),
        ({"means": (-1e9, 0)}, "means are .* between -1e"),
        ({"widths": (2, 1)}, "widths must be two finite bounds in order"),
        ({"widths": (1, np.nan)}, "widths must be two finite bounds in order"),
        ({"means": (0, np.inf)}, "means must be two finite bounds in order"),
        ({"means": (0, 1, 2)}, "means must be two finite bounds in order"),
        ({"means": 3}, "means must be two finite bounds in order"),
    ],
)
def test_bounds_that_make_no_sense_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        GaussianDecoder(**arguments)


def test_a_number_of_bins_that_is_no_integer_is_refused():
    with pytest.raises((TypeError, ValueError), match="n_bins"):
        GaussianDecoder(2.5)


# The bound.


def draw_weight(rng, n_x, beta):
    """Draw log weights: those of some mixture, mostly, so that c is near 1 somewhere."""
    family = GaussianDecoder(n_x)
    p = rng.dirichlet(np.ones(n_x))
    p[rng.random(n_x) < 0.2] = 0
    p /= p.sum() or 1
    rows = family.log_rows(draw_parameters(rng, family, 4)) / beta
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log(rng.dirichlet(np.ones(4)) @ np.exp(rows))


def c(family, log_weight, beta, theta):
    return np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1)


@given(st.integers(1, 8), st.floats(0.3, 5), st.sampled_from([1e-3, 0.3, 10.0]), seeds)
@settings(max_examples=40, deadline=None)
def test_the_bound_is_never_below_c(n_x, beta, goal, seed):
    rng = np.random.default_rng(seed)
    family, log_weight = GaussianDecoder(n_x), draw_weight(rng, n_x, beta)
    bound, points = family.bound(log_weight, beta, goal)
    values = c(family, log_weight, beta, draw_parameters(rng, family, 2000))
    assert values.max() <= bound * (1 + 1e-13)
    if len(points):
        assert (c(family, log_weight, beta, points) > 1 + goal * (1 - 1e-9)).all()
    else:
        assert bound <= 1 + goal


@given(st.integers(1, 8), st.floats(0.3, 5), st.booleans(), seeds)
@settings(max_examples=30, deadline=None)
def test_both_bounds_hold_in_every_cell(n_x, beta, balanced, seed):
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(n_x)
    log_weight = draw_weight(rng, n_x, beta)
    if balanced:  # β = 1 and weights near 1: where the second bound is sharp
        beta, log_weight = 1 + 0.01 * rng.random(), 0.01 * rng.normal(size=n_x)
    cover = Cells(family)
    frame = cover.frame
    plain = _bounds(frame, log_weight, beta, np.inf)[0]  # nothing is open: corners alone
    taylor = _taylor(log_weight, beta, *frame[1:])
    both, value = _bounds(frame, log_weight, beta, -1.0)
    np.testing.assert_allclose(both, np.fmin(plain, taylor))
    np.testing.assert_allclose(value, c(family, log_weight, beta, frame[0]) - 1, atol=1e-9)
    mix = rng.random((2, len(cover.first)))
    mean = cover.first[:, 0] + mix[0] * (cover.first[:, 1] - cover.first[:, 0])
    tau = cover.first[:, 2] + mix[1] * (cover.first[:, 3] - cover.first[:, 2])
    inside = c(family, log_weight, beta, np.stack([mean, 1 / tau], axis=1)) - 1
    for upper in (plain, taylor[~np.isnan(taylor)]):
        held = inside if upper.size == inside.size else inside[~np.isnan(taylor)]
        assert (held <= upper + 1e-12 * (1 + np.abs(upper))).all()


def test_the_second_bound_is_the_sharper_near_an_optimum_at_beta_near_1():
    source = toy_source()
    family = GaussianDecoder()
    frame = Cells(family).frame
    log_weight = np.zeros(30)  # g = p at β = 1: c = 1 everywhere
    taylor = _taylor(log_weight, 1.0, *frame[1:])
    assert np.abs(taylor).max() < 1e-12
    assert _bounds(frame, log_weight, 1.0, np.inf)[0].max() > 1e-3
    assert source.p.size == 30


def test_a_bound_that_runs_out_of_cells_still_holds(monkeypatch):
    monkeypatch.setattr(toyrd.cells, "MOST", 100)
    family = GaussianDecoder(3)
    log_weight = np.log([0.5, 0.2, 0.3]) - family.log_rows(np.array([[1.0, 1.0]]))[0] / 2
    sharp = c(family, log_weight, 2.0, draw_parameters(np.random.default_rng(0), family, 20000))
    goal = float(sharp.max()) - 1 + 1e-6
    bound, points = family.bound(log_weight, 2.0, goal)
    assert not len(points)
    assert bound > 1 + goal


@pytest.mark.parametrize("sides", [{"means": (1, 1)}, {"widths": (2, 2)}])
def test_a_box_may_be_flat(sides):
    family = GaussianDecoder(4, **sides)
    log_weight = np.log(np.full(4, 0.25)) - family.log_rows(np.array([[1.0, 2.0]]))[0] / 1.5
    bound, points = family.bound(log_weight, 1.5, 0.5)
    values = c(family, log_weight, 1.5, draw_parameters(np.random.default_rng(1), family, 500))
    assert values.max() <= bound
    assert len(points) or bound <= 1.5
