"""Transitions: the β of births and deaths, against closed forms and stationarity."""

import math

import numpy as np
import pytest
from problems import BERGER, BINARY, ERASING, HALF, TOY, GeometricDecoder, geometric_source
from scipy.optimize import brentq, minimize_scalar

from toyrd import (
    BernoulliDecoder,
    GaussianDecoder,
    bars_and_stripes,
    frontier,
    rate_distortion,
)
from toyrd.family import FamilyCurve
from toyrd.free import FreeCurve
from toyrd.table import TableCurve
from toyrd.transitions import transitions

RETURNING = (
    np.array([0.45, 0.05, 0.05, 0.45]),
    np.array([[0, 1, 1, 2], [1, 0, 2.5e-3, 1], [1, 1.25e-3, 0, 1], [2, 1, 1, 0]]),
)
B12 = [0.00259760383, 0.489424254, 3.83240742, 4.98583864]


def found(curve, *betas):
    return transitions(curve, [curve.at(beta) for beta in betas])


def returning():
    """Return the transitions of B12 by its equations c = 1, with s = 1/β.

    With letters 0, 1, 3 in use c(2) = ½ t⁻² + ½ t for t = exp(.00125 s), 1 at the golden ratio.
    With 0 and 3, half each, g = ½ (1 + e⁻²ˢ) at the ends and e⁻ˢ between them. With 1 alone
    g = exp(−cost(x, 1) s).
    """

    def middle(s):
        ends = 0.9 / (0.5 * (math.exp(s) + math.exp(-s)))
        return ends + 0.05 * math.exp(s) * (1 + math.exp(-0.00125 * s)) - 1

    def end(s):
        between = 0.05 * math.exp(-s) * (1 + math.exp(0.00125 * s))
        return 0.45 * (math.exp(s) + math.exp(-s)) + between - 1

    roots = brentq(middle, 1.9, 2.2), brentq(middle, 0.2, 0.3), brentq(end, 0.1, 0.3)
    return [0.00125 / math.log((1 + math.sqrt(5)) / 2), *(1 / s for s in roots)]


# Tables


def test_a_letter_leaves_and_returns():
    """B12, whose digits hold to a few parts in a million."""
    answers = found(TableCurve(*RETURNING), 0.002, 0.1, 1.0, 4.0, 6.0)
    betas = [one.beta for one in answers]
    np.testing.assert_allclose(betas, B12, rtol=2e-6)
    np.testing.assert_allclose(betas, returning(), rtol=1e-11)
    assert [one.born for one in answers] == [True, True, False, True]
    assert [int(one.column[0]) for one in answers] in ([2, 1, 1, 0], [2, 1, 1, 3])


def test_a_second_letter_is_born_at_its_critical_slope():
    """Hamming cost: at 1/β = log(p₀ / p₁)."""
    (one,) = found(TableCurve(np.array([0.7, 0.3]), 1 - np.eye(2)), 0.5, 1.0, 2.0)
    assert one.beta == pytest.approx(1 / math.log(7 / 3), rel=1e-12)
    assert (one.column.tolist(), one.born) == ([1.0], True)


def test_bergers_erasure_jumps_where_its_letters_tie():
    """exp(−.3/β) = ½ (1 + exp(−1/β)): the two right letters, then the erasure alone."""
    slope = brentq(lambda s: math.exp(-0.3 * s) - 0.5 * (1 + math.exp(-s)), 1.7, 1.9)
    answers = found(TableCurve(np.array(HALF), BERGER), 0.4, 0.7)
    assert [one.beta for one in answers] == pytest.approx([1 / slope] * len(answers), rel=1e-9)
    assert {int(one.column[0]) for one in answers if one.born} <= {0, 1}


def test_an_erasure_that_forbids_mistakes_jumps_at_the_slope_of_its_straight_piece():
    answers = found(TableCurve(np.array(HALF), ERASING), 0.3, 0.6)
    assert answers
    expected = [0.3 / math.log(2)] * len(answers)
    assert [one.beta for one in answers] == pytest.approx(expected, rel=1e-6)


def test_the_optimum_uses_a_letter_on_one_side_only():
    """Just below it is in use, just above it is not, or the other way round."""
    p, cost = RETURNING
    for one in found(TableCurve(p, cost), 0.1, 1.0, 4.0):
        letter = int(one.column[0])
        sides = [one.beta * (1 + step) for step in (-1e-4, 1e-4)]
        weights = [rate_distortion(p, cost, beta=beta, tol=1e-14).m[letter] for beta in sides]
        assert [weight > 1e-9 for weight in weights] == [one.born, not one.born]


@pytest.mark.parametrize("share", [0.6, 0.7, 0.8, 0.9])
def test_a_point_at_a_transition_does_not_hide_it(share):
    """Nothing is foretold from there; it is located to 1e-6 by halving."""
    critical = 1 / math.log(share / (1 - share))
    curve = TableCurve(np.array([share, 1 - share]), 1 - np.eye(2))
    (one,) = found(curve, critical / 2, critical, 2 * critical)
    assert one.beta == pytest.approx(critical, rel=1e-6)
    assert one.born


def test_symbols_that_never_occur_change_nothing():
    p, cost = np.array([0.7, 0.0, 0.3]), np.array([[0.0, 1.0], [5, 5], [1, 0]])
    (one,) = found(TableCurve(p, cost), 0.5, 2.0)
    assert one.beta == pytest.approx(1 / math.log(7 / 3), rel=1e-12)


def test_without_a_change_there_is_none():
    curve = TableCurve(np.array([0.5, 0.5]), BINARY)
    assert found(curve, 0.2, 0.5, 1.0) == ()
    assert found(curve, 0.0, 0.5, math.inf) == ()
    assert transitions(curve, []) == ()
    fixed = {"cost": np.eye(2, 3), "marginal": [0.5, 0, 0.5], "betas": [0.2, 2]}
    assert frontier(HALF, **fixed).transitions() == ()


# Several in one bracket


@pytest.mark.parametrize("p", [[0.4, 0.3, 0.2, 0.1], [0.1, 0.3, 0.2, 0.4], [0.3, 0.1, 0.4, 0.2]])
def test_all_letters_born_between_two_points_are_found(p):
    """Hamming cost: beside k letters of mass P, one is born at exp(−1/β) = p/(P − (k − 1) p)."""
    above, born = np.array([0.4, 0.7, 0.9]), np.array([0.3, 0.2, 0.1])
    critical = -1 / np.log(born / (above - np.arange(3) * born))
    answers = frontier(p, cost=1 - np.eye(4), betas=[0.3, 5]).transitions()
    assert [one.beta for one in answers] == pytest.approx(critical[::-1].tolist(), rel=1e-11)
    assert [p[int(one.column[0])] for one in answers] == [0.1, 0.2, 0.3]
    assert all(one.born for one in answers)


def test_a_letter_that_returns_is_told_from_one_that_is_born_in_the_same_bracket():
    """B12 from 1 to 6: letters 0 and 3 alone, then 1 as well, then 1 alone."""
    answers = frontier(RETURNING[0], cost=RETURNING[1], betas=[1, 6]).transitions()
    assert [one.beta for one in answers] == pytest.approx(returning()[2:], rel=1e-11)
    assert [one.born for one in answers] == [False, True]
    assert answers[0].column.tolist() == [1]
    assert answers[1].column.tolist() in ([0], [3])


def test_two_letters_that_return_in_one_bracket_are_both_found():
    """Halves that share no letter are solved apart; costs of 1.1 are those of 1 at 1.1 β."""
    (p, cost), apart = RETURNING, np.full((4, 4), np.inf)
    table = np.block([[cost, apart], [apart, 1.1 * cost]])
    answers = frontier(np.append(p, p) / 2, cost=table, betas=[1, 4.4]).transitions()
    critical = returning()[2]
    assert [one.beta for one in answers] == pytest.approx([critical, 1.1 * critical], rel=1e-11)
    assert [one.column.tolist() for one in answers] == [[1], [5]]
    assert [one.born for one in answers] == [False, False]


def used(p, cost, beta):
    return set(np.flatnonzero(rate_distortion(p, cost, beta=beta, tol=1e-13).m > 1e-9).tolist())


@pytest.mark.parametrize("seed", range(40))
def test_between_transitions_the_same_letters_are_in_use(seed):
    """Beside each the letters differ as it says; from one to the next, and to the ends, never."""
    rng = np.random.default_rng(seed)
    n, k = rng.integers(2, 8, 2)
    p, cost = rng.dirichlet(np.ones(n)), rng.uniform(0, 1, (n, k))
    now = used(p, cost, 0.02)
    for one in frontier(p, cost=cost, betas=[0.02, 0.3, 5]).transitions():
        letter = int(one.column[0])
        below, above = (used(p, cost, one.beta * (1 + step)) for step in (-2e-5, 2e-5))
        assert below == now
        assert (letter in below, letter in above) == (one.born, not one.born)
        now = above
    assert now == used(p, cost, 5)


def test_a_birth_and_a_return_in_one_bracket_are_both_found():
    """Two halves that share no letter: one letter is born at 1.5, and B12 has its return."""
    (p, cost), apart = RETURNING, np.full((2, 4), np.inf)
    q = np.array([math.exp(1 / 1.5), 1]) / (1 + math.exp(1 / 1.5))
    table = np.block([[1 - np.eye(2), apart], [apart.T, cost]])
    answers = frontier(np.append(q, p) / 2, cost=table, betas=[1, 4.2]).transitions()
    assert [one.beta for one in answers] == pytest.approx([1.5, returning()[2]], rel=1e-11)
    assert [int(one.column[0]) for one in answers] == [1, 3]
    assert [one.born for one in answers] == [True, False]


def test_two_births_close_together_are_told_apart():
    """Two pairs of letters that share none, born at β = 2 and 2.0005."""
    odds, apart = np.exp([1 / 2, 1 / 2.0005]), np.full((2, 2), np.inf)
    p = np.stack([odds, np.ones(2)], axis=1) / (1 + odds)[:, None] / 2
    table = np.block([[1 - np.eye(2), apart], [apart, 1 - np.eye(2)]])
    answers = frontier(p.ravel(), cost=table, betas=[0.5, 4]).transitions()
    assert [one.beta for one in answers] == pytest.approx([2, 2.0005], rel=1e-11)
    assert [int(one.column[0]) for one in answers] == [1, 3]


def test_letters_that_are_alike_make_no_transition():
    """Without the second of two letters that are alike the answer is the same."""
    cost = [[0.2, 0.2, 0.3], [0.7, 0.7, 0.2]]
    (one,) = frontier([0.4, 0.6], cost=cost, betas=[0.05, 3]).transitions()
    (alone,) = frontier([0.4, 0.6], cost=np.delete(cost, 1, 1), betas=[0.05, 3]).transitions()
    assert one.beta == pytest.approx(alone.beta, rel=1e-11)
    assert (one.column.tolist(), one.born) == ([0.0], True)


def test_two_rows_of_the_toy_are_born_between_two_points():
    """Theory §6, as in brackets of their own."""
    answers = frontier(TOY.p, decoder=GaussianDecoder(), betas=[1.1, 2.5]).transitions()
    assert [one.beta for one in answers] == pytest.approx([1.215549041, 2.035168135], abs=1e-9)
    assert [one.born for one in answers] == [True, True]


# Families


def test_rows_of_the_toy_are_born():
    """Theory §6: where one Gaussian row no longer does, where two do not, and so on."""
    answers = found(FamilyCurve(TOY.p, GaussianDecoder()), 2.5, 1.5, 1.1, 1.01, 1.0045, 1.0035)
    betas = [one.beta for one in answers]
    assert betas[3:] == pytest.approx([1.215549041, 2.035168135], abs=1e-9)
    assert betas[:3] == pytest.approx([1.004030811, 1.005746603, 1.018827081], abs=1e-6)
    assert all(one.born for one in answers)


def test_rows_of_the_images_are_born_and_die():
    """Theory §8: two blank images, twelve stripes at once, and the end of the flat row."""
    source = bars_and_stripes(3)
    curve = FamilyCurve(source.p, BernoulliDecoder(source.images))
    (flat,), (stripes, blank) = found(curve, 1.3, 1.31), found(curve, 2.0, 2.027, 2.1)
    assert flat.beta == pytest.approx(1.307081, abs=1e-6)
    assert stripes.beta == pytest.approx(2.024898080, abs=1e-6)
    assert blank.beta == pytest.approx(2.029688509, abs=1e-6)
    assert [one.born for one in (flat, stripes, blank)] == [False, True, True]


def test_a_row_is_born_where_c_reaches_one_elsewhere():
    """One geometric row fits p best: the next is born where sup Σ p (d_θ/d)^(1/β) = 1."""
    p, family = geometric_source(), GeometricDecoder()
    row = family.log_rows(family.fit(p[None], None))[0]

    def c(theta, beta):
        return p @ np.exp((family.log_rows(np.array([[theta]]))[0] - row) / beta)

    def top(beta):
        return minimize_scalar(lambda t: -c(t, beta), bounds=(-2, -1), options={"xatol": 1e-9})

    known = brentq(lambda beta: -top(beta).fun - 1, 1.7, 1.8, xtol=1e-12)
    (one,) = found(FamilyCurve(p, family), 1.83, 1.7)
    assert one.born
    assert one.beta == pytest.approx(known, abs=1e-9)
    assert one.column.tolist() == pytest.approx([top(known).x], abs=1e-4)


# Bad input


@pytest.mark.parametrize("width", [1.5, 1.2])
def test_a_row_splits_where_c_begins_to_curve_upwards(width):
    """For a flat p one row of this width serves all, down to β = −Σ p (∂ℓ)² / Σ p ∂²ℓ."""
    p, family, step = np.full(9, 1 / 9), GaussianDecoder(9, widths=(width, width)), 1e-3
    near = family.log_rows(np.array([[4 - step, width], [4, width], [4 + step, width]]))
    rise, bend = (near[2] - near[0]) / (2 * step), (near[0] - 2 * near[1] + near[2]) / step**2
    critical = -(p @ rise**2) / (p @ bend)
    curve = frontier(p, decoder=family, betas=critical * np.array([0.98, 1.05]))
    (split,) = curve.transitions()
    assert split.beta == pytest.approx(critical, rel=1e-7)  # a jump is located to 1e-6
    assert (split.born, split.column.tolist()) == (True, pytest.approx([4, width]))
    assert curve[0].parameters[:, 0] == pytest.approx([3.5, 4.5], abs=0.1)


def test_a_curve_without_columns_is_refused():
    p = np.array([0.5, 0.5])
    for curve in (FreeCurve(p, 2, None, 1e-10), FamilyCurve(p, Flat())):
        with pytest.raises(ValueError, match="of a table, or of a family with a dictionary"):
            transitions(curve, [])


class Flat:
    """Rows without slopes."""

    n_x = 2

    def log_rows(self, parameters):
        return np.log([0.5, 0.5]) + 0 * parameters

    def dictionary(self):
        return np.zeros((1, 1))

    def fit(self, joint, parameters):
        return np.zeros((len(joint), 1))


def test_a_frontier_locates_its_transitions():
    """Above one β Berger's erasure serves both symbols, and their own letters are not used."""
    curve = frontier([0.5, 0.5], cost=[[0, 1, 0.3], [1, 0, 0.3]], betas=[0.6, 0.5])
    assert [one.beta for one in curve.transitions()] == pytest.approx([0.555225], abs=1e-6)
