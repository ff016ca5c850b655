"""The bound of c over cells, for families of concave rows, and the ascent of c for the others."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toyrd.cells
from toyrd.cells import ConcaveRows, _taylor, as_masses, ascend, searched
from toyrd.gaussian import GaussianDecoder
from toyrd.sources import toy_source

seeds = st.integers(0, 2**32 - 1)
GOALS = st.sampled_from([1e-6, 1e-3, 0.3, 10.0])


class Counts(ConcaveRows):
    """Binomial rows over 0 to n of log-odds θ, which sum to 1."""

    sums_to_one = True

    def __init__(self, n=4, low=-3.0, high=2.0):
        self.x, self.box = np.arange(n + 1), np.array([[low], [high]])
        self.size = np.array([comb(n, k) for k in self.x])

    def log_rows(self, parameters):
        n = self.x[-1]
        return np.log(self.size) + parameters * self.x - n * np.logaddexp(0, parameters)

    def slopes(self, parameters):
        return (self.x - self.x[-1] / (1 + np.exp(-parameters)))[..., None]

    def fit(self, joint, parameters):
        share = np.clip(joint @ self.x / (self.x[-1] * joint.sum(axis=1)), 1e-9, 1 - 1e-9)
        return np.clip(np.log(share / (1 - share))[:, None], *self.box)


class Bottleneck(ConcaveRows):
    """Columns Σ_y P(y|x) log q(y), for q = (θ₀, (1 − θ₀) θ₁, …): no distributions over x."""

    def __init__(self, table):
        self.table = table
        self.box = np.array([np.zeros(table.shape[1] - 1), np.ones(table.shape[1] - 1)])

    def q(self, parameters):
        left = np.cumprod(1 - parameters, axis=1)
        before = np.concatenate([np.ones((len(parameters), 1)), left[:, :-1]], axis=1)
        return np.concatenate([parameters * before, left[:, -1:]], axis=1)

    def jacobian(self, parameters):
        """∂q(y)/∂θ at [z, i, y]: q is affine in each θ."""
        ends = [self.q(_with(parameters, i, end)) for end in (0, 1) for i in self.columns]
        k = len(self.columns)
        return np.stack([high - low for low, high in zip(ends[:k], ends[k:], strict=True)], axis=1)

    @property
    def columns(self):
        return range(self.box.shape[1])

    def log_rows(self, parameters):
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = self.table * np.log(self.q(parameters))[:, None]
        return np.where(self.table > 0, terms, 0.0).sum(axis=-1)

    def slopes(self, parameters):
        return np.einsum(
            "xy,zy,ziy->zxi", self.table, 1 / self.q(parameters), self.jacobian(parameters)
        )

    def move(self, origin, parameters):
        way = (self.q(parameters) - self.q(origin))[:, None, :-1]
        return np.linalg.solve(self.jacobian(origin)[..., :-1].swapaxes(1, 2), way.swapaxes(1, 2))[
            ..., 0
        ]


def _with(parameters, i, value):
    changed = parameters.copy()
    changed[:, i] = value
    return changed


def families(rng):
    n_x = int(rng.integers(1, 7))
    wild = np.sort(10 ** rng.uniform(-3, 3, 2))
    return [
        GaussianDecoder(n_x),
        GaussianDecoder(n_x, means=np.sort(rng.uniform(-20, 20, 2)), widths=wild),
        Counts(n_x, *np.sort(rng.normal(size=2))),
        Bottleneck(rng.dirichlet(np.ones(2), size=n_x)),
        Bottleneck(rng.dirichlet(np.ones(3), size=n_x)),
    ]


def draw(rng, box, n):
    """Draw parameters over a box, its corners and sides too."""
    low, high = box
    share = rng.random((n, low.size))
    share[: n // 2] = np.where(
        rng.random(share[: n // 2].shape) < 0.5, share[: n // 2].round(), share[: n // 2]
    )
    corners = np.array(list(product((0.0, 1.0), repeat=low.size)))
    return np.clip(low + np.concatenate([corners, share, share**8]) * (high - low), low, high)


def draw_weight(rng, family, beta):
    """Draw log weights: those of some mixture, so that c is near 1 somewhere."""
    rows = family.log_rows(draw(rng, family.box * 0.98 + 0.02 * family.box.mean(axis=0), 4)) / beta
    p = rng.dirichlet(np.ones(rows.shape[1]))
    p[rng.random(p.size) < 0.2] = 0
    with np.errstate(divide="ignore", under="ignore"):
        top = rows.max(axis=0)
        return np.log(p) - top - np.log(rng.dirichlet(np.ones(len(rows))) @ np.exp(rows - top))


def c(family, log_weight, beta, theta):
    with np.errstate(over="ignore"):
        return np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1)


@given(st.integers(0, 4), st.floats(0.3, 5), GOALS, seeds)
@settings(max_examples=60)
def test_the_bound_is_never_below_c(kind, beta, goal, seed):
    rng = np.random.default_rng(seed)
    family = families(rng)[kind]
    log_weight = draw_weight(rng, family, beta)
    top, rows, proven = family.bound(log_weight, beta, goal)
    assert proven
    assert c(family, log_weight, beta, draw(rng, family.box, 2000)).max() <= top * (1 + 1e-12)
    if len(rows):
        above = c(family, log_weight, beta, rows)
        assert (above > 1 + goal * (1 - 1e-9) - 1e-12).all()
        assert top - 1 <= (2 * above.max() - 2 - goal) * (1 + 1e-9) + 1e-12
    else:
        assert top <= 1 + goal


@given(st.integers(0, 4), st.floats(0.3, 5), st.booleans(), seeds)
@settings(max_examples=60)
def test_both_bounds_hold_at_the_corners_of_every_cell_and_inside(kind, beta, balanced, seed):
    rng = np.random.default_rng(seed)
    family = families(rng)[kind]
    log_weight = draw_weight(rng, family, beta)
    if balanced:  # β near 1 and weights near 1: where the second bound is sharp
        beta, log_weight = 1 + 0.01 * rng.random(), 0.01 * rng.normal(size=log_weight.size)
    ends = family.box[None]
    for _ in range(5):
        cells = family._cells(ends)
        plain = family._bounds(cells, log_weight, beta, np.inf)[0]
        with np.errstate(all="ignore"):
            taylor = _taylor(cells, log_weight, beta)
        both, value = family._bounds(cells, log_weight, beta, -np.inf)
        if family.sums_to_one:
            np.testing.assert_allclose(both, np.fmin(plain, taylor))
        centre = c(family, log_weight, beta, cells.centre)
        np.testing.assert_allclose(value + 1, centre, rtol=1e-9, atol=1e-12)
        for i, cell in enumerate(ends):
            inside = c(family, log_weight, beta, draw(rng, cell, 20)) - 1
            for upper in [plain[i], *([taylor[i]] if family.sums_to_one else [])]:
                assert np.isnan(upper) or inside.max() <= upper + 1e-11 * (1 + abs(upper))
        ends = family._parts(cells, log_weight, beta)


@given(st.integers(0, 4), st.integers(1, 6), seeds)
@settings(max_examples=40)
def test_parts_cover_the_whole_box_with_its_ends(kind, rounds, seed):
    rng = np.random.default_rng(seed)
    family = families(rng)[kind]
    log_weight, ends = draw_weight(rng, family, 1.5), family.box[None]
    for _ in range(rounds):
        ends = family._parts(family._cells(ends), log_weight, 1.5)
    np.testing.assert_array_equal(ends[:, 0].min(axis=0), family.box[0])
    np.testing.assert_array_equal(ends[:, 1].max(axis=0), family.box[1])
    theta = draw(rng, family.box, 100)[:, None]
    assert ((ends[:, 0] <= theta) & (theta <= ends[:, 1])).all(axis=-1).any(axis=1).all()


@pytest.mark.parametrize("width", [0.1, 1 / 3, 0.7, 49.0, 1e5 / 3])
@pytest.mark.parametrize("mean", [1.0, 4 / 3])
def test_c_at_an_end_of_the_widths_is_bounded_and_sharp(width, mean):
    # For the symbol under the mean c falls with the width, for that of a tail it rises.
    for widths, x in (((width, 2 * width), 1), ((width / 3, width), 6)):
        family = GaussianDecoder(7, means=(mean, mean), widths=widths)
        log_weight = np.full(7, -np.inf)
        theta = np.stack([np.full(99, mean), np.linspace(*widths, 99)], axis=1)
        log_rows = family.log_rows(theta)[:, x]
        assert log_rows.argmax() == (98 if x == 6 else 0)
        log_weight[x] = -log_rows.max()
        assert 1 - 1e-13 <= family.bound(log_weight, 1.0, 1e-9).top <= 1 + 1e-9


def test_the_second_bound_is_the_sharper_near_an_optimum_at_beta_near_1():
    family, log_weight = GaussianDecoder(), np.zeros(30)  # g = p at β = 1: c = 1 everywhere
    cells = family._cells(family.box[None])
    assert np.abs(_taylor(cells, log_weight, 1.0)).max() < 1e-12
    assert family._bounds(cells, log_weight, 1.0, np.inf)[0].max() > 1e-3
    assert family.bound(log_weight, 1.0, 1e-12).top <= 1 + 1e-12


def test_a_bound_that_runs_out_of_cells_still_holds(monkeypatch):
    monkeypatch.setattr(toyrd.cells, "MOST", 500)
    family, rng = GaussianDecoder(3), np.random.default_rng(0)
    log_weight = np.log([0.5, 0.2, 0.3]) - family.log_rows([[1.0, 1.0]])[0] / 2
    sharp = float(c(family, log_weight, 2.0, draw(rng, family.box, 20000)).max())
    top, rows, proven = family.bound(log_weight, 2.0, sharp - 1 + 1e-6)
    assert proven
    assert not len(rows)
    assert sharp + 1e-6 < top < np.inf


def test_a_tangent_that_is_no_number_bounds_nothing(monkeypatch):
    monkeypatch.setattr(toyrd.cells, "MOST", 500)
    family = Bottleneck(np.array([[1.0, 0.0]]))
    monkeypatch.setattr(family, "slopes", lambda theta: np.full((len(theta), 1, 1), np.nan))
    assert family.bound(np.array([0.0]), 1.0, 0.5).top == np.inf


def test_weights_too_large_for_a_float_bound_nothing_and_warn_of_nothing():
    family = GaussianDecoder(3)
    top, rows, _ = family.bound(np.array([900.0, 0.0, -np.inf]), 1.0, 1e-9)
    assert top == np.inf
    assert len(rows)


@pytest.mark.parametrize("sides", [{"means": (1, 1)}, {"widths": (2, 2)}])
def test_a_box_may_be_flat_or_a_point(sides):
    for more in ({}, {"means": (1, 1), "widths": (2, 2)}):
        family = GaussianDecoder(4, **{**more, **sides})
        log_weight = np.log(np.full(4, 0.25)) - family.log_rows([[1.0, 2.0]])[0] / 1.5
        values = c(family, log_weight, 1.5, draw(np.random.default_rng(1), family.box, 5000))
        top, rows, _ = family.bound(log_weight, 1.5, float(values.max()) - 1 + 1e-3)
        assert values.max() <= top <= values.max() + 1e-3
        assert not len(rows)


def test_the_toy_s_bottleneck_is_bounded_sharply():
    # Where weights are those of one column, c is 1 there; it is the optimum at a large β.
    source = toy_source()
    family = Bottleneck((source.p_z[:, None] * source.p_x_given_z / source.p).T)
    log_weight = np.log(source.p) - family.log_rows(np.array([[0.7]]))[0] / 5
    top, rows, proven = family.bound(log_weight, 5.0, 1e-10)
    assert proven
    assert not len(rows)
    assert 1 - 1e-12 <= top <= 1 + 1e-10


# The ascent.


@given(st.floats(0.3, 5), seeds)
@settings(max_examples=30)
def test_an_ascent_never_ends_below_its_start(beta, seed):
    rng = np.random.default_rng(seed)
    family = Counts(5)
    log_weight = draw_weight(rng, family, beta)
    starts = draw(rng, family.box, 6)
    theta, log_c = ascend(family, starts, log_weight, beta)
    kept = log_c > -np.inf  # the others have met one of these
    before, after = (np.log(c(family, log_weight, beta, rows)) for rows in (starts, theta))
    assert kept.any()
    assert (after >= before - 1e-12).all()
    np.testing.assert_allclose(log_c[kept], after[kept], atol=1e-12)


@given(st.floats(0.5, 5), seeds)
@settings(max_examples=30)
def test_a_search_finds_what_the_bound_proves_and_proves_nothing(beta, seed):
    rng = np.random.default_rng(seed)
    family = Counts(5)
    log_weight = draw_weight(rng, family, beta)
    grid = np.linspace(*family.box, 60)
    found = searched(family, grid, log_weight, beta, 1e-3)
    proof = family.bound(log_weight, beta, max(1e-9, found.top - 1 + 1e-6))
    assert not found.proven
    assert found.top <= proof.top * (1 + 1e-12)
    assert (c(family, log_weight, beta, found.rows) > 1 + 1e-3 - 1e-12).all()
    if 1 - 1e-3 < found.top < 1 + 1e-3:  # near 1 it climbs to the top
        assert not len(proof.rows)


def test_rows_that_meet_are_merged():
    family = Counts(5)
    log_weight = family.log_rows(np.array([[0.3]]))[0]  # then c has one maximum
    grid = np.linspace(*family.box, 40)
    log_weight -= np.log(c(family, log_weight, 1.0, grid).max()) + 1e-3
    assert len(searched(family, grid, log_weight, 1.0, -2e-3).rows) <= 2  # of 40


def test_weights_of_0_are_climbed_nowhere():
    family = Counts(5)
    theta, log_c = ascend(family, np.zeros((2, 1)), np.full(6, -np.inf), 1.0)
    assert (log_c == -np.inf).all()
    assert (theta == 0).all()
    assert searched(family, theta, np.full(6, -np.inf), 1.0, 0.1).top == 0


def test_masses_that_are_none_are_refused():
    for bad in ([[0.0, 0.0]], [[-1.0, 2.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]):
        with pytest.raises(ValueError, match="finite, not negative, not all 0"):
            as_masses(bad, 2)


# Bounds so sharp that none of their terms can be spared.


class Hat(ConcaveRows):
    """Rows with masses aᵢ exp(kᵢ θ) and, on a first symbol, what is left: only that one bends."""

    sums_to_one = True

    def __init__(self, a, k, half):
        self.a, self.k, self.box = np.array(a), np.array(k), np.array([[-half], [half]])

    def rows(self, parameters):
        others = self.a * np.exp(parameters * self.k)
        return np.concatenate([1 - others.sum(axis=1, keepdims=True), others], axis=1)

    def log_rows(self, parameters):
        return np.log(self.rows(parameters))

    def slopes(self, parameters):
        rows = self.rows(parameters)
        left = -(rows[:, 1:] @ self.k) / rows[:, 0]
        return np.concatenate([left[:, None], np.tile(self.k, (len(rows), 1))], axis=1)[..., None]


def assert_covered(family, log_weight, beta):
    """The bound is no less than c, and with a goal just above it no more than that."""
    top = c(family, log_weight, beta, np.linspace(*family.box, 2001)).max()
    for more in (1e-9, 1e-6, 1e-3, 0.1):
        found = family.bound(log_weight, beta, top - 1 + more)
        assert top * (1 - 1e-12) <= found.top <= (top + more) * (1 + 1e-12)


@pytest.mark.parametrize("step", [-0.05, -0.01, 0.01, 0.05])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 1.5])
def test_a_symbol_that_vanishes_beside_two_that_hardly_move_is_paid_for(step, share):
    """Near s = 1/β = 1: f = w exp(s ℓ) − exp ℓ falls in ℓ, and ℓ falls from log .02 to log .0003.

    Of the others the weights make f'' ≤ 0 just so, so that next to nothing else is left over.
    """
    family, s = Hat([0.49, 0.49], [1, -1], 0.2), 1 + step
    log_d = family.log_rows(np.zeros((1, 1)))[0]
    log_weight = -step * (log_d + 2 + 0.2 * np.sign(step))
    log_weight[0] = -step * (log_d[0] + share)
    assert_covered(family, log_weight, 1 / s)


@pytest.mark.parametrize("step", [-0.05, -0.01, 0.01, 0.05])
def test_a_cell_around_a_stationary_point_pays_half_a_second_derivative(step):
    """Where f' = 0 there, c − 1 moves by ½ Σ f'' (T − ℓ)² with f'' = (s − 1) exp ℓ."""
    family, s = Hat([0.4, 0.4], [1, -1], 0.2), 1 + step
    log_d = family.log_rows(np.zeros((1, 1)))[0]
    assert_covered(family, -np.log(s) - step * log_d, 1 / s)


def test_what_bends_at_one_corner_is_not_averaged_with_the_other():
    """At β = 1 with one weight below 1: c − 1 = (w − 1) d(0|θ), flat at θ = 0."""
    family = Hat([0.042, 0.336], [8, -1], 0.3)
    log_d = family.log_rows(np.array([[-0.3], [0.0], [0.3]]))[:, 0]
    assert log_d[1] - log_d[2] > 4 * (log_d[1] - log_d[0]) > 0
    assert_covered(family, np.log([0.9, 1, 1]), 1.0)


class Falling(ConcaveRows):
    """Columns exp(−2θ) and exp(−exp(20 (θ − 0.6))): no distributions, and bent at the right."""

    box = np.array([[0.0], [1.0]])

    def log_rows(self, parameters):
        return np.concatenate([-2 * parameters, -np.exp(20 * parameters - 12)], axis=1)

    def slopes(self, parameters):
        bent = -20 * np.exp(20 * parameters - 12)
        return np.concatenate([np.full_like(bent, -2.0), bent], axis=1)[..., None]


@pytest.mark.parametrize("goal", [0.02, 0.1, 0.5])
def test_cells_that_are_done_early_still_count(goal):
    """The largest c, 1.01, lies in the left half, which is bounded at once; the right is not."""
    found = Falling().bound(np.log([1.0, 0.01]), 1.0, goal)
    assert 1.01 - 1e-5 <= found.top <= 1 + goal
