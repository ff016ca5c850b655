"""The bound of c over cells, for rows that are concave in their parameters; and its ascent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import GeometricDecoder, geometric_source

import toyrd.cells
from toyrd import GaussianDecoder
from toyrd.cells import ConcaveRows, ascend, searched

seeds = st.integers(0, 2**32 - 1)


class Coins(ConcaveRows):
    """Rows over the 2^k outcomes of k coins, by their log-odds."""

    sums_to_one = True

    def __init__(self, k):
        self.sides = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
        self.box = np.outer((-2.0, 3.0), np.ones(k))

    box = None

    def log_rows(self, parameters):
        return parameters @ self.sides.T - np.logaddexp(0, parameters).sum(axis=1)[:, None]

    def slopes(self, parameters):
        return self.sides - 1 / (1 + np.exp(-parameters))[:, None]


class Bells(ConcaveRows):
    """Rows exp(−|θ − x|²) at the corners x of a square: no distributions."""

    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    box = np.array([[-1.0, -1.0], [2.0, 1.5]])

    def log_rows(self, parameters):
        return -((parameters[:, None] - self.corners) ** 2).sum(axis=2)

    def slopes(self, parameters):
        return -2 * (parameters[:, None] - self.corners)


FAMILIES = [Coins(1), Coins(2), Bells(), GaussianDecoder(1), GaussianDecoder(5)]
families = st.sampled_from(FAMILIES)


def inside(rng, box, n=400):
    """Draw rows of a box, and both ends of each parameter with them."""
    share = np.clip(rng.uniform(-0.2, 1.2, (n, box.shape[1])), 0, 1)
    return np.clip(box[0] + share * (box[1] - box[0]), *box)


def c(family, log_weight, beta, theta):
    return np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1)


def draw_weight(rng, family, beta):
    """Draw log weights of a mixture, so that c is 1 at some row and more at others."""
    rows = family.log_rows(inside(rng, family.box, 4))
    p = rng.dirichlet(np.ones(rows.shape[1]))
    p[rng.random(p.size) < 0.2] = 0
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log(rng.dirichlet(np.ones(4)) @ np.exp(rows / beta))


# The bound.


@settings(max_examples=40)
@given(families, st.floats(0.3, 5), st.sampled_from([1e-3, 0.3, 10.0]), seeds)
def test_the_bound_is_never_below_c_and_keeps_to_its_goal(family, beta, goal, seed):
    rng = np.random.default_rng(seed)
    log_weight = draw_weight(rng, family, beta)
    top, rows, proven = family.bound(log_weight, beta, goal)
    assert proven
    assert c(family, log_weight, beta, inside(rng, family.box, 2000)).max() <= top * (1 + 1e-13)
    if len(rows):
        assert (c(family, log_weight, beta, rows) > 1 + goal * (1 - 1e-9)).all()
    else:
        assert top <= 1 + goal


@settings(max_examples=40)
@given(families, st.floats(0.3, 5), st.booleans(), st.integers(0, 5), seeds)
def test_the_bound_holds_in_every_cell(family, beta, balanced, cuts, seed):
    """At its corners, on its sides and inside; sharpened by Taylor's theorem or not."""
    rng = np.random.default_rng(seed)
    log_weight = draw_weight(rng, family, beta)
    if balanced:  # where the Taylor form is sharp
        beta, log_weight = 1 + 0.01 * rng.random(), 0.01 * rng.normal(size=log_weight.size)
    cells = family._cells(family.box[None])
    for _ in range(cuts):
        cells = family._cells(family._halves(cells, log_weight, beta))
    plain = family._bounds(cells, log_weight, beta, np.inf)[0]
    sharp, value = family._bounds(cells, log_weight, beta, -2.0)
    assert (sharp <= plain).all()
    np.testing.assert_allclose(
        value, c(family, log_weight, beta, cells.centre) - 1, rtol=1e-12, atol=1e-13
    )
    for ends, upper in zip(cells.ends, sharp, strict=True):
        values = c(family, log_weight, beta, inside(rng, ends, 60)) - 1
        assert values.max() <= upper + 1e-12 * (1 + abs(upper))


@settings(max_examples=20)
@given(families, st.integers(1, 6), seeds)
def test_cut_cells_tile_the_box(family, cuts, seed):
    cells, box = family._cells(family.box[None]), family.box
    log_weight = draw_weight(np.random.default_rng(seed), family, 1.3)
    for _ in range(cuts):
        cells = family._cells(family._halves(cells, log_weight, 1.3))
    theta = inside(np.random.default_rng(seed), box)[:, None]
    within = (cells.ends[:, 0] <= theta) & (theta <= cells.ends[:, 1])
    assert within.all(axis=2).any(axis=1).all()
    volumes = np.prod(cells.ends[:, 1] - cells.ends[:, 0], axis=1)
    assert volumes.sum() == pytest.approx(np.prod(box[1] - box[0]), rel=1e-12)


@settings(max_examples=30)
@given(st.sampled_from([Coins(2), GaussianDecoder(5)]), st.floats(-1e-6, 1e-6), seeds)
def test_near_beta_1_the_bound_is_as_small_as_the_distance(family, off, seed):
    """g = p gives c = 1 everywhere at β = 1; close by, c − 1 ≤ |1 − 1/β| max |ℓ| and not more."""
    rng = np.random.default_rng(seed)
    beta = 1 + off
    log_weight = np.zeros(family.log_rows(family.box).shape[1])
    most = 100 * abs(off) * np.abs(family.log_rows(inside(rng, family.box))).max() + 1e-13
    top, rows, _ = family.bound(log_weight, beta, most)
    assert not len(rows)
    assert c(family, log_weight, beta, inside(rng, family.box)).max() - 1e-12 <= top <= 1 + most
    cells = family._cells(family.box[None])
    assert family._bounds(cells, log_weight, beta, np.inf)[0].max() > 0.1  # of corners alone


def test_the_goal_decides_between_a_row_above_it_and_a_bound_below_it():
    """One fair coin of price 2 has c = 2^(1 − 1/2) at θ = 0, its largest."""
    best = np.sqrt(2) - 1
    top, rows, proven = Coins(1).bound(np.zeros(2), 2.0, best + 1e-9)
    assert proven
    assert len(rows) == 0
    assert best <= top - 1 <= best + 1e-9
    top, rows, _ = Coins(1).bound(np.zeros(2), 2.0, best - 1e-6)
    assert len(rows)
    assert top - 1 >= best
    np.testing.assert_allclose(rows, 0, atol=0.01)


def test_a_weight_of_zero_leaves_a_symbol_out():
    """Then c is that of one bell, whose peak is 1."""
    log_weight = np.array([-np.inf, -np.inf, np.log(1.5), -np.inf])
    top, rows, _ = Bells().bound(log_weight, 1.7, 0.5 + 1e-9)
    assert top == pytest.approx(1.5, abs=1e-8)
    assert not len(rows)


@pytest.mark.parametrize("most", [0, 100])
def test_a_bound_that_runs_out_of_cells_holds_and_says_more_than_the_goal(most, monkeypatch):
    monkeypatch.setattr(toyrd.cells, "MOST", most)
    family = GaussianDecoder(3)
    log_weight = np.log([0.5, 0.2, 0.3]) - family.log_rows([[1.0, 1.0]])[0] / 2
    sharp = c(family, log_weight, 2.0, inside(np.random.default_rng(0), family.box, 20000)).max()
    top, rows, proven = family.bound(log_weight, 2.0, float(sharp) - 1 + 1e-6)
    assert proven
    assert not len(rows)
    assert top > sharp + 1e-6


@pytest.mark.parametrize("sides", [{"means": (1, 1)}, {"widths": (2, 2)}])
def test_a_box_may_be_flat(sides):
    family = GaussianDecoder(4, **sides)
    log_weight = np.log(np.full(4, 0.25)) - family.log_rows([[1.0, 2.0]])[0] / 1.5
    values = c(family, log_weight, 1.5, inside(np.random.default_rng(1), family.box))
    top, rows, _ = family.bound(log_weight, 1.5, float(values.max()) - 1 + 1e-4)
    assert not len(rows)
    assert values.max() <= top <= values.max() + 1e-4


def test_moves_too_large_for_floats_bound_nothing_and_break_nothing():
    """exp overflows at the corners of a wide box; halved often enough it no longer does."""
    family = GaussianDecoder(2, means=(-1e6, 1e6), widths=(0.01, 1e6))
    top, rows, _ = family.bound(np.array([0.0, -np.inf]), 1e-3, 0.5)
    assert 1 - 1e-12 <= top <= 1.5
    assert not len(rows)


# The ascent.


SKEWED = np.log(geometric_source()) - GeometricDecoder().log_rows(np.array([[0.1]]))[0] / 1.3


@settings(max_examples=30)
@given(st.floats(0.5, 4), seeds)
def test_an_ascent_never_lowers_c(beta, seed):
    family, rng = GeometricDecoder(), np.random.default_rng(seed)
    theta = rng.uniform(-2, 2, (15, 1))
    log_weight = rng.normal(size=8) + 1.0
    reached, log_c = ascend(family, theta, log_weight, beta)
    met = log_c == -np.inf  # rows that go on as another
    assert not met.all()
    after = c(family, log_weight, beta, reached)
    np.testing.assert_allclose(np.log(after[~met]), log_c[~met], rtol=1e-12, atol=1e-13)
    before = c(family, log_weight, beta, theta)
    assert (after[~met] >= before[~met] * (1 - 1e-13)).all()
    assert after[~met].max() >= before.max() * (1 - 1e-13)


def test_a_search_finds_the_largest_c_but_proves_nothing():
    family = GeometricDecoder()
    fine = np.linspace(*family.box, 20001)
    values = c(family, SKEWED, 1.3, fine)
    top, rows, proven = searched(family, family.dictionary(), SKEWED, 1.3, 1e-3)
    assert not proven
    assert values.max() > 1.001
    assert values.max() * (1 - 1e-13) <= top <= values.max() * (1 + 1e-6)
    assert c(family, SKEWED, 1.3, rows).max() == pytest.approx(top, rel=1e-12)
    assert (c(family, SKEWED, 1.3, rows) > 1.001).all()
    assert (np.abs(np.diff(rows, axis=0)) > 1e-3).all()  # each maximum once


def test_a_search_from_fewer_starts_takes_those_of_largest_c():
    family, starts = GeometricDecoder(), np.array([[-1.9], [0.6], [1.0]])
    best = starts[[c(family, SKEWED, 1.3, starts).argmax()]]
    alone = searched(family, best, SKEWED, 1.3, 0.0)
    np.testing.assert_array_equal(
        searched(family, starts, SKEWED, 1.3, 0.0, most=1).rows, alone[1]
    )


def test_a_search_returns_no_row_where_none_is_above_the_goal():
    top, rows, _ = searched(GeometricDecoder(), np.zeros((1, 1)), SKEWED - 5, 1.3, 1e-9)
    assert rows.shape == (0, 1)
    assert top < 1


def test_an_ascent_cut_short_has_gained_all_the_same(monkeypatch):
    monkeypatch.setattr(toyrd.cells, "STEPS", 2)
    family, theta = GeometricDecoder(), np.array([[-1.0]])
    log_c = ascend(family, theta, SKEWED + 1, 1.3)[1]
    assert np.exp(log_c) > c(family, SKEWED + 1, 1.3, theta)
