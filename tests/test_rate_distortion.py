"""Rate-distortion: closed forms, limits, symmetries and refusals; see also test_certificates."""

import itertools
import math
import warnings
from decimal import Decimal
from types import SimpleNamespace

import exact_curve
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import (
    BERGER,
    BINARY,
    ERASING,
    HALF,
    INF,
    SQUARES,
    TOY,
    betas,
    problems,
)

from toyrd import ConvergenceWarning, check, frontier, rate_distortion, solve
from toyrd.curve import Solution, Status

law = settings(deadline=None, max_examples=30)
METHODS = ["newton", "blahut-arimoto"]


def near(value, tolerance):
    return pytest.approx(value, abs=tolerance)


@law
@given(problems(), betas)
def test_numbers_are_those_of_the_tables_returned(problem, beta):
    """D, R and D + βR are the sums over e and m in fifty digits."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta)
    D, R = exact_curve.distortion_and_rate(p, cost, point.e, point.m)
    assert float(D) == near(point.D, 1e-13 * (1 + abs(point.D)))
    assert float(R) == near(point.R, 1e-13 * (1 + abs(point.D) / beta))
    assert point.objective == near(point.D + beta * point.R, 1e-13 * (100 + beta))
    assert point.m.sum() == near(1, 1e-14)
    assert point.R >= 0
    assert isinstance(point, Solution)


@pytest.mark.parametrize("beta", [0.002, 0.01, 0.03])
def test_a_phase_transition_is_certified_however_close(beta):
    """β is bisected to a change of the number of latents in use; all on the way is certified."""
    low, high = beta, 2 * beta
    count = int((rate_distortion(TOY.p, SQUARES, beta=low, tol=1e-13).m > 1e-9).sum())
    while high - low > 1e-15:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        point = rate_distortion(TOY.p, SQUARES, beta=middle, tol=1e-13)
        assert point.status is Status.CERTIFIED
        assert point.gap <= 1e-13
        same = (point.m > 1e-9).sum() == count
        low, high = (middle, high) if same else (low, middle)
    assert high < 2 * beta


# Closed forms


@pytest.mark.parametrize("beta", [1e-3, 0.1, 0.5, 1.0, 3.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("method", METHODS)
def test_the_binary_symmetric_source(beta, method):
    """D = 1/(1 + e^{1/β}) and R = log 2 − h(D), in fifty digits: also where R is of order 1/β²."""
    point = rate_distortion(HALF, BINARY, beta=beta, method=method, tol=1e-13)
    D = 1 / (1 + (1 / Decimal(beta)).exp())
    R = Decimal(2).ln() + D * D.ln() + (1 - D) * (1 - D).ln()
    assert pytest.approx(float(D), rel=1e-14, abs=1e-300) == point.D
    assert pytest.approx(float(R), rel=1e-8, abs=1e-15) == point.R
    assert Decimal(point.lower_bound) <= D + Decimal(beta) * R


@pytest.mark.parametrize("D", [1e-12, 1e-5, 0.11, 0.3, 0.49, 0.5 - 1e-6])
def test_the_binary_symmetric_source_at_a_distortion_and_at_its_rate(D):
    """Both targets lie on R = log 2 − h(D), down to R of order 1e-12."""
    exact_D = Decimal(D)
    R = Decimal(2).ln() + exact_D * exact_D.ln() + (1 - exact_D) * (1 - exact_D).ln()
    point = rate_distortion(HALF, BINARY, distortion=D, tol=1e-13)
    assert near(D, 1e-13) == point.D
    assert point.objective - float(R) == near(0, 2e-13)
    slope = float(((1 - exact_D) / exact_D).ln())
    other = rate_distortion(HALF, BINARY, rate=float(R), tol=1e-13)
    assert near(float(R), 1e-13) == other.R
    assert near(D, 1e-12 / slope) == other.D


@pytest.mark.parametrize(("beta", "D"), [(1 / 1.9, 0.1301), (1 / 1.8, 0.3)])
def test_bergers_example_jumps(beta, D):
    """D jumps from 0.13 to 0.30 between β = 1/1.9 and 1/1.8 (theory §4)."""
    assert near(D, 1e-4) == rate_distortion(HALF, BERGER, beta=beta, tol=1e-13).D


def test_bergers_straight_piece_is_met_by_mixing():
    """Between its ends the curve is straight: D is linear in R, at one β, certified."""
    ends = [rate_distortion(HALF, BERGER, distortion=D, tol=1e-13) for D in (0.15, 0.29)]
    slope = (ends[1].D - ends[0].D) / (ends[0].R - ends[1].R)
    for share in (0.1, 0.5, 0.9):
        R = (1 - share) * ends[0].R + share * ends[1].R
        point = rate_distortion(HALF, BERGER, rate=R, tol=1e-13)
        assert near(R, 1e-12) == point.R
        assert near((1 - share) * ends[0].D + share * ends[1].D, 1e-12) == point.D
        assert point.beta == pytest.approx(slope, rel=1e-10)
        assert point.status is Status.CERTIFIED
        assert point.gap <= 1e-12


# Limits


@law
@given(problems())
def test_at_beta_zero_d_is_least_and_then_r(problem):
    """Each symbol pays its least cost; with one cheapest latent each, R is their entropy."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=0)
    alive = p > 0
    assert near(p[alive] @ cost[alive].min(axis=1), 1e-14) == point.D
    assert point.objective == point.D
    cheapest = cost == cost.min(axis=1, keepdims=True)
    assert (point.e[alive][~cheapest[alive]] == 0).all()
    share = np.where(cheapest, 1.0, 0.0)[alive] @ point.m
    assert near(-p[alive] @ np.log(share), 1e-13) == point.R
    above = (cost - cost.min(axis=1, keepdims=True))[alive]
    if above[above > 0].min(initial=1.0) > 1e-9:  # else β is not small beside a near-tie
        assert near(rate_distortion(p, cost, beta=1e-11, tol=1e-13).R, 1e-9) == point.R


@law
@given(problems())
def test_at_beta_infinity_r_is_least_and_then_d(problem):
    """R = 0 with the best single latent, where one serves every symbol; else R is the least."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=INF)
    alive = p > 0
    single = p[alive] @ cost[alive]
    if single.min() < INF:
        assert (0, near(single.min(), 1e-14)) == (point.R, point.D)
        assert (point.m > 0).sum() == 1
    else:
        assert point.R <= rate_distortion(p, cost, beta=1e8, tol=1e-13).R + 1e-9
        assert p[alive] @ cost[alive].min(axis=1) - 1e-12 <= point.D
    assert point.objective == point.D


@pytest.mark.parametrize("target", [{"beta": 0.7}, {"beta": 0}, {"beta": INF}, {"rate": 0}])
@pytest.mark.parametrize(
    ("p", "cost", "D"),
    [([1.0], [[3.0, 2.0, INF]], 2.0), ([0.25, 0.75], [[1.0], [2.0]], 1.75), ([1.0], [[-4]], -4)],
)
def test_one_symbol_or_one_latent_leaves_no_choice(p, cost, D, target):
    point = rate_distortion(p, cost, **target)
    assert (near(D, 1e-14), 0) == (point.D, point.R)
    assert point.gap <= 1e-13


@law
@given(problems(), betas)
def test_what_is_useless_counts_for_nothing(problem, beta):
    """Copies of columns, a latent dearer for every symbol, a symbol of probability 0."""
    p, cost = problem
    useless = cost.max(axis=1, keepdims=True) + 1
    more = np.concatenate([cost, useless, cost], axis=1)
    fewer, point = rate_distortion(p, cost, beta=beta), rate_distortion(p, more, beta=beta)
    slack = 1e-15 * (1 + abs(fewer.objective))
    assert point.objective <= fewer.objective + point.gap + slack
    assert point.objective >= fewer.lower_bound - slack
    assert point.m[cost.shape[1]] == near(0, 1e-9 if beta < 10 else 1)
    for row in (np.full(cost.shape[1], INF), np.zeros(cost.shape[1])):
        point = rate_distortion([*p, 0.0], np.vstack([cost, row]), beta=beta)
        assert point.objective == near(fewer.objective, 1e-9)
        assert point.e.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("p", "cost", "distortion"),
    [
        # Rounding hides the rates of these, so that D jumps at β = ∞.
        ([1, 1e-241], [[0, 4], [1, 0.25]], 3.7),
        ([1, 1e-241, 2e-242], [[9, INF, 0], [1, INF, INF], [INF, 2.25, 1]], 5),
        ([1, 0.0], [[1e-300, 2e-300], [0, 0]], 1.5e-300),
    ],
)
def test_where_rounding_hides_the_rate_the_least_rate_is_returned(p, cost, distortion):
    point = rate_distortion(p, cost, distortion=distortion)
    assert distortion >= point.D
    assert point.R <= 1e-14
    assert point.converged


def test_where_rounding_hides_the_cost_any_rate_can_be_had():
    """The costs differ by less than the last place of D, so R falls while D stays."""
    point = rate_distortion(HALF, 2.0**53 + 2 * BINARY, rate=0.3)
    assert near(0.3, 1e-10) == point.R
    assert near(2.0**53, 4) == point.D


# Symmetries and shape of the curve


@law
@given(problems(), st.floats(-2, 2), st.sampled_from([1e-300, 1e-100, 2.0**-20, 1e5, 1e295]))
def test_costs_and_beta_scale_together(problem, power, scale):
    """F(s·cost, s·β) = s·F(cost, β): from 1e-300 to 1e300, without overflow."""
    p, cost = problem
    beta = 10.0**power
    point = rate_distortion(p, cost, beta=beta)
    scaled = rate_distortion(p, cost * scale, beta=beta * scale)
    room = 2e-10 * (1 + beta)
    assert scaled.objective / scale == near(point.objective, room)
    assert scaled.converged
    assert scaled.gap / scale <= room


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_targets_are_met_at_any_scale(scale):
    """A distortion in units of the scale, and a rate, have one β in those units."""
    by_rate = rate_distortion(TOY.p, SQUARES * scale, rate=0.7)
    assert near(0.7, 1e-10) == by_rate.R
    again = rate_distortion(TOY.p, SQUARES * scale, distortion=by_rate.D)
    assert pytest.approx(by_rate.D, rel=1e-9) == again.D
    assert near(0.7, 1e-8) == again.R
    assert by_rate.beta / scale == pytest.approx(0.0106, rel=0.2)


@law
@given(problems(), betas, st.randoms(use_true_random=False))
def test_relabelling_changes_nothing(problem, beta, random):
    """Permuting symbols or latents permutes the problem: same D + βR within the gap."""
    p, cost = problem
    rows = random.sample(range(p.size), p.size)
    columns = random.sample(range(cost.shape[1]), cost.shape[1])
    point = rate_distortion(p, cost, beta=beta)
    other = rate_distortion(p[rows], cost[rows][:, columns], beta=beta)
    assert other.objective == near(point.objective, 1e-14 + point.gap + other.gap)


@law
@given(problems(), st.lists(betas, min_size=2, max_size=4))
def test_the_curve_falls_and_is_convex(problem, several):
    """D rises and R falls in β, and every point lies above the tangents of the others."""
    p, cost = problem
    points = [rate_distortion(p, cost, beta=beta, tol=1e-13) for beta in sorted(several)]
    for first, second in itertools.product(points, points):
        bound = second.D + first.beta * second.R + 1e-13 * (1 + abs(second.D))
        assert first.lower_bound <= bound
    for first, second in itertools.pairwise(points):
        if second.beta > 1.01 * first.beta:
            gained = (first.gap + second.gap) / (second.beta - first.beta)
            assert first.R + gained + 1e-13 >= second.R
            assert first.D - second.beta * gained - 1e-13 * (1 + abs(first.D)) <= second.D


@settings(deadline=None, max_examples=20)
@given(problems(max_size=4), st.sampled_from([0.0, 0.03, 0.5, 2.0, 50.0]))
def test_both_methods_agree_and_never_step_up(problem, beta):
    """Blahut–Arimoto reaches the same D + βR, and no step of either method raises it."""
    p, cost = problem
    fast = rate_distortion(p, cost, beta=beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        slow = rate_distortion(p, cost, beta=beta, method="blahut-arimoto", max_iter=1000)
    room = 1e-14 * (100 + abs(fast.objective) + beta)
    assert slow.objective >= fast.lower_bound - room
    assert fast.objective >= slow.lower_bound - room
    if slow.converged:
        assert slow.objective == near(fast.objective, room + fast.gap + slow.gap)
    for point in (fast, slow) if beta > 0 else ():
        assert point.history.size == point.iterations + 1
        assert (np.diff(point.history["objective"]) <= room).all()
        assert point.history["objective"][-1] == near(point.objective, room)
        assert (point.history["I"] <= point.history["R"] + 1e-12).all()


# Targets


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("target", "D", "R"),
    [
        ({"rate": math.log(2)}, 0, math.log(2)), ({"rate": 0}, 0.5, 0),
        ({"distortion": 0}, 0, math.log(2)), ({"distortion": 0.5}, 0.5, 0),
        ({"distortion": 7}, 0.5, 0), ({"distortion": INF}, 0.5, 0),
    ],
)  # fmt: skip
def test_the_ends_of_the_curve_can_be_asked_for(method, target, D, R):
    """D = 0 needs log 2, R = 0 leaves D = ½, and more distortion than that is slack."""
    point = rate_distortion(HALF, BINARY, method=method, **target)
    assert near((D, R), 1e-12) == (point.D, point.R)
    assert point.gap <= 1e-13
    assert point.status is Status.CERTIFIED
    assert point.objective == (point.D if "rate" in target else point.R)
    assert (point.target.name, point.target.value) == next(iter(target.items()))


@law
@given(problems(max_size=4), st.floats(0.05, 0.95))
@example((HALF, BINARY), 0.5)
def test_a_rate_and_its_distortion_are_one_point(problem, share):
    """R(D(R*)) = R* where the curve falls strictly, by the answers' own gaps."""
    p, cost = problem
    low, high = (rate_distortion(p, cost, beta=beta).R for beta in (INF, 0))
    rate = low + share * (high - low)
    point = rate_distortion(p, cost, rate=rate)
    back = rate_distortion(p, cost, distortion=point.D)
    assert point.R + 1e-9 + back.gap >= back.R
    assert back.D <= point.D + 1e-10


# A fixed marginal


@law
@given(problems(), betas)
def test_a_fixed_marginal_is_evaluated_as_it_is(problem, beta):
    """F(m) is that of fifty digits, with no gap but rounding."""
    p, cost = problem
    m = np.full(cost.shape[1], 1 / cost.shape[1])
    point = solve(p, cost=cost, marginal=m, beta=beta)
    F, _ = exact_curve.lagrangian(p, cost, beta, m)
    assert point.objective == near(float(F), point.gap + 1e-40)
    assert point.gap <= 1e-13 * (100 + 10 * beta)
    assert point.m == pytest.approx(m)


@pytest.mark.parametrize(
    ("beta", "D", "R"),
    [(0.0, 0.0, 150 * math.log(10)), (1e-3, 0.0, 150 * math.log(10)), (1, 0.5, 0), (INF, 0.5, 0)],
)  # fmt: skip
def test_a_latent_all_but_dead_still_serves_its_symbol(beta, D, R):
    """At small β it pays to use m = 1e-300, though g underflows beside it."""
    point = solve(HALF, cost=BINARY, marginal=[1.0, 1e-300], beta=beta)
    assert (near(D, 1e-99), pytest.approx(R, rel=1e-12)) == (point.D, point.R)
    assert point.objective == pytest.approx(D + (beta * R if beta < INF else 0), rel=1e-12)


@pytest.mark.parametrize("p", [HALF, [0, 0, 0.5, 0.5]])
def test_a_marginal_without_the_latents_a_symbol_needs_is_refused(p):
    """The symbol is named by its place in p, where symbols of mass 0 count."""
    cost = np.vstack([np.zeros((len(p) - 2, 3)), ERASING])
    named = f"marginal gives no mass to any latent that symbol {len(p) - 1} may"
    options = {"cost": cost, "marginal": [1.0, 0.0, 0.0]}
    for call in (lambda: solve(p, beta=1, **options), lambda: frontier(p, betas=[1], **options)):
        with pytest.raises(ValueError, match=named):
            call()


# Refusals, warnings, results


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": [0.5, 0.6]}, ValueError, "p must sum to 1, but sums to 1.1"),
        ({"p": [1.5, -0.5]}, ValueError, r"p\[1\] is -0.5"),
        ({"p": ["a", "b"]}, TypeError, "p must hold real numbers"),
        ({"cost": [[0, 1]]}, ValueError, "one row for each of the 2 symbols of p"),
        ({"cost": [0, 1]}, ValueError, "cost must have 2 axes"),
        ({"cost": [[0, math.nan], [1, 0]]}, ValueError, r"cost\[0, 1\] is nan"),
        ({"cost": [[0, 1], [-INF, 0]]}, ValueError, r"cost\[1, 0\] is -inf"),
        ({"cost": [[0, 1], [INF, INF]]}, ValueError, r"cost\[1\] is inf everywhere"),
        ({"cost": [[0, INF], [1e308, 0]]}, ValueError, r"cost\[1, 0\] is 1e\+308; sizes"),
        ({"beta": -1}, ValueError, "beta is -1.0"),
        ({"beta": math.nan}, ValueError, "beta is nan"),
        ({"beta": "1"}, TypeError, "beta must be one number"),
        ({"beta": None}, ValueError, "exactly one of beta, rate, distortion; given: none"),
        ({"rate": 0.1}, ValueError, "given: beta and rate"),
        ({"beta": None, "rate": -0.1}, ValueError, "rate is -0.1"),
        ({"beta": None, "distortion": math.nan}, ValueError, "distortion is nan"),
        ({"tol": 0}, ValueError, "tol is 0.0"),
        ({"tol": None}, TypeError, "tol must be one number"),
        ({"max_iter": -1}, ValueError, "max_iter is -1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"method": "simplex"}, ValueError, "method is 'simplex', but must be one of newton, bl"),
        ({"start": [0.5, 0.6]}, ValueError, "start must sum to 1"),
        ({"start": [1.0]}, ValueError, r"start must have shape \(2,\)"),
        ({"beta": None, "rate": 0.7}, ValueError, "0.7, but the reachable range is 0 to 0.693147"),
        ({"beta": None, "rate": INF}, ValueError, "inf, but the reachable range is 0 to 0.693147"),
        ({"beta": None, "distortion": -0.1}, ValueError, "-0.1, but the reachable range is 0 to"),
        ({"beta": None, "distortion": -INF}, ValueError, "-inf, but the reachable range is 0 to"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        rate_distortion(**{"p": HALF, "cost": BINARY, "beta": 1, **changes})


def test_a_start_is_taken_and_one_that_cannot_work_is_refused():
    """Newton brings in what a start lacks; Blahut–Arimoto never revives a dead latent."""
    start = np.array([1.0, 0.0, 0.0])
    assert rate_distortion(HALF, ERASING, beta=0.1, start=start).gap <= 1e-10
    named = "start gives no mass to any latent that symbol 2 may use"
    with pytest.raises(ValueError, match=named):
        rate_distortion(
            [0.5, 0, 0.5], np.insert(ERASING, 1, 0, axis=0), beta=0.1, start=start,
            method="blahut-arimoto",
        )  # fmt: skip
    best = rate_distortion(TOY.p, SQUARES, beta=0.01)
    again = rate_distortion(TOY.p, SQUARES, beta=0.01, start=best.m, method="blahut-arimoto")
    assert again.iterations == 0
    assert pytest.approx(0.3) == rate_distortion(HALF, ERASING, rate=0.3, start=start).R


@pytest.mark.parametrize("target", [{"beta": 0.01}, {"rate": 0.5}, {"distortion": 0.01}])
@pytest.mark.parametrize("method", METHODS)
def test_at_the_cap_the_best_iterate_comes_with_one_warning(target, method):
    """The gap still bounds the error, and the warning says what to do."""
    best = rate_distortion(TOY.p, SQUARES, **target)
    cap = 2 if "beta" in target and method == "blahut-arimoto" else 0
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol") as caught:
        point = rate_distortion(TOY.p, SQUARES, method=method, max_iter=cap, **target)
    assert len(caught) == 1
    assert point.status is Status.STOPPED
    assert point.lower_bound <= best.objective + 1e-13
    if "beta" in target:
        assert point.iterations == cap
        assert point.objective == near(min(point.history["objective"]), 1e-14)
        assert best.objective < point.objective


@pytest.mark.parametrize("beta", [0.01, INF])
def test_no_iteration_at_all_is_legal(beta):
    """max_iter = 0 evaluates the start, and bounds it: at β = ∞ by the cheapest pairs."""
    p, cost = [0.2, 0.3, 0.5], [[0, INF, 1], [INF, 2, 0], [3, 0, INF]]
    if beta < INF:
        p, cost = TOY.p, SQUARES
    with pytest.warns(ConvergenceWarning):
        point = rate_distortion(p, cost, beta=beta, max_iter=0)
    assert (point.iterations, point.history.size) == (0, 1)
    assert point.lower_bound <= rate_distortion(p, cost, beta=beta).objective


def test_the_repr_says_what_was_found():
    text = repr(rate_distortion(HALF, BINARY, beta=1))
    for part in ("Solution(", "beta = 1", "D = 0.2689414214", "gap = ", "certified"):
        assert part in text


def test_masses_that_all_but_vanish_are_certified():
    """Masses of 1e-241 beside 1 leave the quadratic model all but singular."""
    p = [0.999999999999897, 1.8290556953152934e-241, 1.0304421871534321e-13, 1.95e-144]
    cost = [
        [1.5766473629516007, INF, 0.9221158884529855, INF],
        [INF, 1.2117525413028662, 3.892806605530131, INF],
        [INF, INF, INF, 1.6015893335256206],
        [INF, 1.405124862045213, 0.648410651018601, 0.5555670856426019],
    ]
    for beta in (1e-3, 1.0, 1e3, INF):
        point = rate_distortion(p, cost, beta=beta, tol=1e-13)
        assert point.converged
        assert near(0, 1e-11) == point.R


# A certificate may be computed again


@pytest.mark.parametrize("target", [{"beta": 0.01}, {"rate": 0.7}, {"distortion": 0.005}])
def test_a_certificate_is_computed_again_from_p_cost_m_and_beta(target):
    """Bound and gap of `check` are those of the answer, but for its room for rounding."""
    answer = rate_distortion(TOY.p, SQUARES, **target)
    bound, gap = check(answer)
    assert bound == near(answer.lower_bound, 1e-11)
    assert gap <= answer.gap + 1e-11


def test_a_certificate_without_a_slope_is_refused():
    for beta in (0, INF):
        with pytest.raises(ValueError, match="0 < beta < inf"):
            check(rate_distortion(HALF, BINARY, beta=beta))


def test_a_search_that_may_take_one_step_keeps_to_the_target(monkeypatch):
    """Its answer is one side of the target, and the tangent of the other side bounds it."""
    monkeypatch.setattr("toyrd.table.MOST", 1)
    for name, value in (("rate", 0.7), ("distortion", 0.005)):
        with pytest.warns(ConvergenceWarning, match="stopped with a gap"):
            answer = rate_distortion(TOY.p, SQUARES, **{name: value})
        assert answer.status is Status.STOPPED
        D, R = answer.D, answer.R
        assert (R if name == "rate" else D) <= value + 1e-10
        monkeypatch.undo()
        best = rate_distortion(TOY.p, SQUARES, **{name: value})
        assert answer.lower_bound <= best.objective <= answer.objective + 1e-10
        monkeypatch.setattr("toyrd.table.MOST", 1)


def test_where_the_linear_programme_fails_the_least_rate_stands(monkeypatch):
    monkeypatch.setattr("toyrd.table.linprog", lambda *_, **__: SimpleNamespace(x=None))
    cost = [[0, INF, 1], [INF, 0, 1], [1, 1, INF]]
    answer = rate_distortion([0.3, 0.3, 0.4], cost, beta=INF)
    assert answer.status is Status.CERTIFIED
    assert near(rate_distortion([0.3, 0.3, 0.4], cost, beta=1e6).R, 1e-5) == answer.R


@given(problems(smallest=1e-9), betas)
def test_the_mean_of_the_tilted_information_is_the_rate(problem, beta):
    """Σ p j = R: j(x) is what symbol x alone costs, at the slope of the curve."""
    p, cost = problem
    answer = rate_distortion(p, cost, beta=beta)
    room = 1e-9 + 4 * answer.gap / beta
    assert float(p[p > 0] @ answer.j[p > 0]) == near(answer.R, room)


def test_without_a_slope_there_is_no_tilted_information():
    for beta in (0, INF):
        assert not hasattr(rate_distortion(HALF, BINARY, beta=beta), "j")
