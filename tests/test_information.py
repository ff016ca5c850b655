"""The information bottleneck: a ceiling on what any representation tells, with its proof."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import TOY
from scipy.optimize import brentq

from toyrd import (
    alternate,
    cells,
    entropy,
    frontier,
    mutual_information,
    rate_distortion,
    solve,
)
from toyrd.curve import Status
from toyrd.family import FamilyCurve
from toyrd.information import ClassDecoder, bottleneck
from toyrd.testing import tables
from toyrd.transitions import transitions

BIT = math.log(2)
CLASSES = (TOY.p_z[:, None] * TOY.p_x_given_z).T
PAIRS = np.zeros((3, 3))
for pair in ((0, 0), (0, 2), (1, 2), (2, 1), (2, 2)):
    PAIRS[pair] = 0.2
FLIP = 0.2
CHANNEL = np.array([[1 - FLIP, FLIP], [FLIP, 1 - FLIP]]) / 2
ERASURE = np.array([[0.6, 0.0, 0.4], [0.0, 0.6, 0.4]]) / 2


def told(joint, solution):
    """I(Z; Y)."""
    return entropy(np.sum(joint, axis=0)) - solution.D


def h(share):
    return entropy([share, 1 - share])


@st.composite
def joints(draw, classes=2):
    """Draw P(x, y) with zeros and equal rows, each class seen."""
    rows = draw(tables(draw(st.integers(1, 4)), classes, smallest=1e-9))
    first = np.full((1, classes), 1 / classes)
    joint = np.vstack([first, rows, rows[:1]])
    return joint / joint.sum()


# Known answers


@pytest.mark.parametrize(
    ("rate", "ceiling"),
    [
        (0.05, 0.043277),
        (0.3, 0.251633),
        (0.4, 0.328587),
        (0.5, 0.397660439),
        (0.6, 0.445426),
        (0.8, 0.479038),
        (1.0, 0.490716),
    ],
)
def test_the_ceiling_of_the_toy(rate, ceiling):
    """Theory §9, to its last digit and the gap."""
    solution = bottleneck(CLASSES, rate=rate, tol=1e-8 if rate == 0.5 else 3e-7)
    assert solution.status is Status.CERTIFIED
    assert solution.gap <= 3e-7
    assert pytest.approx(rate, abs=1e-10) == solution.R
    digit = 1e-9 if rate == 0.5 else 1e-6
    assert told(CLASSES, solution) == pytest.approx(ceiling, abs=0.51 * digit + solution.gap)


@pytest.mark.parametrize(
    ("slope", "complexity", "relevance"),
    [(2.5, 0.8, 0.4), (10.0, 1.512902812346774, 0.5701613885)],
)
def test_five_pairs_in_bits(slope, complexity, relevance):
    """I(X; Z) and I(Z; Y) of B26, at the weights 2.5 and 10 of relevance."""
    solution = bottleneck(PAIRS, beta=1 / slope)
    assert solution.status is Status.CERTIFIED
    bits = solution.R / BIT, told(PAIRS, solution) / BIT
    assert bits == pytest.approx((complexity, relevance), abs=1e-9)


def test_the_first_transitions_of_five_pairs():
    """At a half c reaches 1 on a segment of q; the next is q = (0, 0, 1), where .6^(1/β) = .2.

    One row (.2, .2, .6) has c = (10/3) (t − 5t²/6) at q(2) = t for β = ½, whose top is c(.6) = 1.
    Two rows (.4, 0, .6) and (0, .4, .6) leave c(0, 0, 1) = .2 / .6^(1/β).
    """
    p = PAIRS.sum(axis=1)
    curve = FamilyCurve(p, ClassDecoder(PAIRS / p[:, None]))
    second, first = transitions(curve, [curve.at(beta) for beta in (0.25, 0.4, 0.6)])
    assert (first.born, second.born) == (True, True)
    assert first.beta == pytest.approx(0.5, abs=1e-9)
    assert second.beta == pytest.approx(math.log(0.6) / math.log(0.2), abs=1e-9)
    np.testing.assert_allclose(
        curve.family.predictions(second.column[None])[0], [0, 0, 1], atol=1e-9
    )


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_a_binary_symmetric_channel_obeys_mrs_gerber(rate):
    """I(Z; Y) = log 2 − h(a ∗ v) with h(v) = log 2 − R and a ∗ v = a(1 − v) + v(1 − a)."""
    solution = bottleneck(CHANNEL, rate=rate)
    v = brentq(lambda v: h(v) - BIT + rate, 1e-9, 0.5, xtol=1e-15)
    known = BIT - h(FLIP * (1 - v) + v * (1 - FLIP))
    assert solution.status is Status.CERTIFIED
    assert told(CHANNEL, solution) == pytest.approx(known, abs=1e-8)


def test_a_square_table_tells_something_just_below_its_critical_beta():
    """Where a peer returns zero: of a symmetric channel, β = (1 − 2a)²."""
    critical = (1 - 2 * FLIP) ** 2
    below, above = (bottleneck(CHANNEL, beta=critical * s, tol=1e-10) for s in (0.99, 1.001))
    assert told(CHANNEL, below) > 1e-5
    assert above.R == 0
    curve = FamilyCurve(np.array([0.5, 0.5]), ClassDecoder(2 * CHANNEL))
    (one,) = transitions(curve, [curve.at(0.3), curve.at(0.5)])
    assert one.beta == pytest.approx(critical, abs=1e-6)


@pytest.mark.parametrize("rate", [0.2, BIT])
def test_through_an_erasure_a_share_of_the_rate_is_told(rate):
    """I(Z; Y) = (1 − a) I(Z; X), whatever Z is."""
    assert told(ERASURE, bottleneck(ERASURE, rate=rate)) == pytest.approx(0.6 * rate, abs=1e-8)


def test_independent_classes_tell_nothing_at_any_price():
    joint = np.outer([0.2, 0.3, 0.5], [0.4, 0.6])
    for beta in (0.1, 0.5, 1, 2):
        assert pytest.approx(0, abs=1e-12) == bottleneck(joint, beta=beta).R


# Laws


@settings(max_examples=6)
@given(joints(), st.sampled_from([0.05, 0.2, 0.5, 0.9]))
def test_no_encoder_beats_the_bound(joint, beta):
    """H(Y|Z) + β I(X; Z) of any encoder is at or above it, that of the answer at the objective."""
    solution = bottleneck(joint, beta=beta)
    p, rng = joint.sum(axis=1), np.random.default_rng(0)
    assert solution.status is Status.CERTIFIED
    for e in (solution.e, np.eye(p.size), *rng.dirichlet(np.full(3, 0.3), (20, p.size))):
        known = mutual_information(e.T @ joint)
        value = entropy(joint.sum(axis=0)) - known + beta * mutual_information(p[:, None] * e)
        assert value >= solution.lower_bound - 1e-12
    e = solution.e
    value = entropy(joint.sum(axis=0)) - mutual_information(e.T @ joint)
    value += beta * mutual_information(p[:, None] * e)
    assert value <= solution.objective + 1e-12


@settings(max_examples=6)
@given(joints(), st.sampled_from([0.1, 0.4, 0.8]))
def test_it_is_the_rate_distortion_of_all_predictions(joint, beta):
    """Of 2 classes a table of 4,001 predictions is as good to its spacing, and never better."""
    p = joint.sum(axis=1)
    q = (1 + np.sin(np.linspace(-1, 1, 4001)[1:-1] * math.pi / 2)) / 2
    cost = -(joint / p[:, None]) @ np.log([1 - q, q])
    fine, solution = rate_distortion(p, cost, beta=beta), bottleneck(joint, beta=beta)
    assert fine.objective >= solution.lower_bound - 1e-12
    assert solution.objective <= fine.objective + 1e-8


@pytest.mark.parametrize("information", [0.0, 0.05, 0.15])
def test_an_information_is_met_at_the_least_rate(information):
    solution = bottleneck(CHANNEL, information=information)
    assert solution.status is Status.CERTIFIED
    assert told(CHANNEL, solution) == pytest.approx(information, abs=1e-9)
    back = bottleneck(CHANNEL, rate=solution.R)
    assert told(CHANNEL, back) == pytest.approx(information, abs=1e-7)


def test_all_information_costs_the_merging_of_equal_symbols():
    """Symbols with the same P(y|x) are one: R = h(.5) of the two kinds, not log 3."""
    joint = np.array([[0.4, 0.1], [0.08, 0.02], [0.1, 0.3]])
    solution = bottleneck(joint, information=mutual_information(joint))
    assert pytest.approx(h(0.4), abs=1e-6) == solution.R


def test_at_and_above_one_nothing_is_worth_its_price():
    for beta in (1.0, 1.5, math.inf):
        assert pytest.approx(0, abs=1e-12) == bottleneck(CLASSES, beta=beta).R


def test_the_frontier_is_the_bottleneck_curve():
    p = CHANNEL.sum(axis=1)
    curve = frontier(p, decoder=ClassDecoder(CHANNEL / p[:, None]), betas=[0.05, 0.1, 0.3])
    assert all(curve.converged)
    for beta, D in zip(curve.betas, curve.D, strict=True):
        assert pytest.approx(D, abs=1e-7) == bottleneck(CHANNEL, beta=beta).D


# Classes: proven for a few, searched for more


@pytest.mark.parametrize("classes", [3, 4])
def test_three_or_four_classes_are_proven(classes):
    joint = np.full((classes, classes), 0.1) + np.eye(classes)
    assert bottleneck(joint / joint.sum(), beta=0.7).status is Status.CERTIFIED


@pytest.mark.parametrize("classes", [5, 8])
def test_more_classes_are_searched_and_say_so(classes):
    """A searched answer tells no more than X does, and is no worse than none."""
    joint = np.full((classes, classes), 0.1) + np.eye(classes)
    joint /= joint.sum()
    solution = bottleneck(joint, beta=0.3)
    assert solution.status is Status.SEARCHED
    assert 0 < told(joint, solution) <= mutual_information(joint)
    assert solution.objective <= entropy(joint.sum(axis=0)) + 1e-12


def test_where_cells_run_out_the_bound_is_searched(monkeypatch):
    monkeypatch.setattr(cells, "MOST", 0)
    collapsed, answer = bottleneck(PAIRS, beta=0.99), bottleneck(PAIRS, beta=0.4)
    assert answer.status is Status.SEARCHED
    assert pytest.approx(0.8 * BIT, abs=1e-9) == answer.R
    assert pytest.approx(0, abs=1e-12) == collapsed.R


# The family of predictions


@given(tables(3, 4), st.integers(0, 2**32 - 1))
def test_log_rows_are_mean_logs_of_predictions(y_given_x, seed):
    """−cost = Σ_y P(y|x) log q(y), and its slopes are its differences."""
    family, theta = ClassDecoder(y_given_x), np.random.default_rng(seed).normal(0, 2, (5, 3))
    q = family.predictions(theta)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(family.log_rows(theta), np.log(q) @ y_given_x.T, atol=1e-12)
    for axis, step in enumerate(1e-5 * np.eye(3)):
        change = family.log_rows(theta + step) - family.log_rows(theta - step)
        np.testing.assert_allclose(family.slopes(theta)[..., axis], change / 2e-5, atol=1e-8)


@given(tables(3, 4), tables(2, 3))
def test_the_fit_is_the_class_distribution_of_a_latent(y_given_x, joint):
    """q = P(y|z), up to e⁻³⁶ where a class has no mass."""
    family = ClassDecoder(y_given_x)
    np.testing.assert_allclose(
        family.predictions(family.fit(joint)), joint @ family.y_given_x, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("classes", range(2, 9))
def test_the_grid_lies_in_the_box(classes):
    family = ClassDecoder(np.eye(classes))
    low, high = family.box
    grid = family.dictionary()
    assert grid.shape[1] == classes - 1
    assert ((low <= grid) & (grid <= high)).all()
    assert repr(family) == f"ClassDecoder(n_x={classes}, classes={classes})"


# Bad input


@pytest.mark.parametrize(
    ("joint", "words"),
    [
        ([[0.5, 0.2], [0.2, 0.2]], "joint"),
        ([[0.5, -0.1], [0.3, 0.3]], "joint"),
        ([[0.5, math.nan], [0.3, 0.2]], "joint"),
        ([0.5, 0.5], "joint"),
        ([[0.5, 0.0], [0.5, 0.0]], r"joint\[:, 1\] is 0: class 1 is never seen"),
        ([[0.5], [0.5]], "has 1 classes, but must have 2 to 8"),
        (np.full((1, 9), 1 / 9), "has 9 classes, but must have 2 to 8"),
    ],
)
def test_a_joint_that_cannot_be_used_is_refused(joint, words):
    with pytest.raises(ValueError, match=words):
        bottleneck(joint, beta=0.5)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ({}, "exactly one of beta, rate, information"),
        ({"beta": 0.5, "rate": 0.1}, "exactly one"),
        ({"rate": 0.7}, "rate is 0.7, but the reachable range is 0 to 0.693147"),
        ({"information": 0.2}, "information is 0.2, but X tells no more than 0.1927447570"),
        ({"information": -0.1}, "information"),
        ({"beta": math.nan}, "beta"),
    ],
)
def test_a_target_out_of_reach_is_refused(targets, words):
    with pytest.raises(ValueError, match=words):
        bottleneck(CHANNEL, **targets)


@pytest.mark.parametrize(
    "option", [{"n_z": 2}, {"marginal": [0.5, 0.5]}, {"start": "smooth"}, {"start": np.eye(2)}]
)
def test_predictions_are_not_searched_locally(option):
    """The alternation would take them for distributions of x."""
    family = ClassDecoder(2 * CHANNEL)
    with pytest.raises(ValueError, match=r"ClassDecoder\(.* leave out n_z, marginal and start"):
        solve([0.5, 0.5], beta=0.3, decoder=family, **option)
    with pytest.raises(ValueError, match="columns that are no distributions"):
        alternate([0.5, 0.5], beta=0.3, decoder=family, **option)


def test_a_frontier_of_predictions_finds_its_own_number():
    with pytest.raises(ValueError, match="leave out n_z, marginal and start"):
        frontier([0.5, 0.5], decoder=ClassDecoder(2 * CHANNEL), n_z=2)


def test_rows_that_are_no_distributions_are_refused():
    with pytest.raises(ValueError, match="y_given_x"):
        ClassDecoder([[0.5, 0.6]])
    with pytest.raises(TypeError, match="joint"):
        bottleneck("joint", beta=0.5)
