"""Rate-distortion: certificates against fifty digits, closed forms, limits and refusals."""

import dataclasses
import itertools
import math
import pickle
import warnings
from decimal import Decimal
from types import SimpleNamespace

import exact_curve
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toyrd import ConvergenceWarning, convex, frontier, rate_distortion, toy_source
from toyrd.convex import CostCurve
from toyrd.kernel import Kernel
from toyrd.testing import distributions

INF = math.inf
law = settings(deadline=None, max_examples=40)
COSTS = np.array([0, 1, 2, 1, 0.3, 0.7, -1, 1 + 1e-8, 1e-8, 5, 0.01, 30, INF, INF])
BINARY = np.array([[0.0, 1.0], [1.0, 0.0]])
BERGER = np.array([[0, 1, 0.3], [1, 0, 0.3]])
ERASING = np.array([[0, INF, 0.3], [INF, 0, 0.3]])
HALF = np.array([0.5, 0.5])
TOY = toy_source().p
SQUARES = ((np.arange(30)[:, None] - np.arange(30)) / 30) ** 2


@st.composite
def problems(draw, smallest=1e-12, max_size=5):
    """Draw p and a cost with ties, near-ties, duplicates and forbidden pairs, of any shape."""
    p = draw(distributions(max_size=max_size, smallest=smallest))
    n_z = draw(st.integers(1, max_size))
    raw = np.frombuffer(draw(st.binary(min_size=p.size * n_z, max_size=p.size * n_z)), np.uint8)
    cost = COSTS[raw.reshape(p.size, n_z) % COSTS.size].copy()
    if draw(st.booleans()):
        cost[:, -1] = cost[:, 0] + draw(st.sampled_from([0.0, 1e-8, 1e-15]))
    cost[np.isinf(cost).all(axis=1), raw[0] % n_z] = 1.0
    cost.flags.writeable = False
    return p, cost


betas = st.one_of(
    st.sampled_from([1e-6, 0.01, 1.0, 100.0, 1e6]),
    st.floats(-4, 3).map(lambda power: 10.0**power),
)


def rounding(point):
    alive = point.p > 0
    kernel = Kernel(point.p[alive], point.cost[alive], point.beta)
    return kernel.rounding(point.objective)


# The certificate


@law
@given(problems(), betas, st.sampled_from([1e-6, 1e-10, 1e-13]))
@example((HALF, BERGER), 1 / 1.85, 1e-13)
@example((HALF, ERASING), 0.3 / math.log(2), 1e-13)
@example((HALF, BINARY), 1e6, 1e-13)
def test_the_gap_is_no_smaller_than_the_error_in_fifty_digits(problem, beta, tol):
    """lower_bound ≤ min F ≤ objective + rounding, and the gap is within tol, whatever the β."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta, tol=tol)
    low, high = exact_curve.least_lagrangian(p, cost, beta, point.m)
    assert high - low <= Decimal("1e-25") * (1 + abs(high) + Decimal(beta))
    assert Decimal(point.lower_bound) <= low
    assert Decimal(point.objective) - high >= -Decimal(point.gap)
    assert point.converged
    assert 0 <= point.gap <= tol * min(1, beta) + 2.1 * rounding(point)


@law
@given(problems(smallest=0), betas, st.data())
def test_no_other_marginal_beats_the_lower_bound(problem, beta, data):
    """F(m) ≥ lower_bound in fifty digits, with p and m down to denormals."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta)
    rival = 0.5 * data.draw(distributions(cost.shape[1])) + 0.5 / cost.shape[1]
    for m in (rival, 0.999 * point.m + 0.001 * rival):
        F, _ = exact_curve.lagrangian(p, cost, beta, m)
        assert Decimal(point.lower_bound) <= F


@law
@given(problems(), betas)
def test_numbers_are_those_of_the_tables_returned(problem, beta):
    """D, R and D + βR are the sums over e and m in fifty digits."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta)
    D, R = exact_curve.distortion_and_rate(p, cost, point.e, point.m)
    assert float(D) == pytest.approx(point.D, abs=1e-13 * (1 + abs(point.D)))
    assert float(R) == pytest.approx(point.R, abs=1e-13 * (1 + abs(point.D) / beta))
    assert point.objective == pytest.approx(point.D + beta * point.R, abs=1e-13 * (100 + beta))
    assert point.m.sum() == pytest.approx(1, abs=1e-14)
    assert point.R >= 0


@pytest.mark.parametrize("beta", [0.002, 0.01, 0.03])
def test_a_phase_transition_is_certified_however_close(beta):
    """β is bisected to a change of the number of latents in use; all on the way is certified."""
    low, high = beta, 2 * beta
    count = int((rate_distortion(TOY, SQUARES, beta=low, tol=1e-13).m > 1e-9).sum())
    while high - low > 1e-15:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        point = rate_distortion(TOY, SQUARES, beta=middle, tol=1e-13)
        assert point.gap <= 1e-13 * middle + 2.1 * rounding(point)
        if (point.m > 1e-9).sum() == count:
            low = middle
        else:
            high = middle
    assert high < 2 * beta


# Closed forms


@pytest.mark.parametrize("beta", [1e-3, 0.1, 0.5, 1.0, 3.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("method", ["newton", "blahut-arimoto"])
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
    assert pytest.approx(D, abs=1e-13) == point.D
    assert Decimal(point.lower_bound) <= R
    assert point.objective - float(R) == pytest.approx(0, abs=2e-13)
    slope = float(((1 - exact_D) / exact_D).ln())
    other = rate_distortion(HALF, BINARY, rate=float(R), tol=1e-13)
    assert pytest.approx(float(R), abs=1e-13) == other.R
    assert pytest.approx(D, abs=1e-12 / slope) == other.D


@pytest.mark.parametrize(("beta", "D"), [(1 / 1.9, 0.1301), (1 / 1.8, 0.3)])
def test_bergers_example_jumps(beta, D):
    """D jumps from 0.13 to 0.30 between β = 1/1.9 and 1/1.8 (theory §4)."""
    assert pytest.approx(D, abs=1e-4) == rate_distortion(HALF, BERGER, beta=beta, tol=1e-13).D


def test_bergers_straight_piece_is_met_by_mixing():
    """Between its ends the curve is straight: D is linear in R, at one β, certified."""
    ends = [rate_distortion(HALF, BERGER, distortion=D, tol=1e-13) for D in (0.15, 0.29)]
    slope = (ends[1].D - ends[0].D) / (ends[0].R - ends[1].R)
    for share in (0.1, 0.5, 0.9):
        R = (1 - share) * ends[0].R + share * ends[1].R
        point = rate_distortion(HALF, BERGER, rate=R, tol=1e-13)
        assert pytest.approx(R, abs=1e-12) == point.R
        assert pytest.approx((1 - share) * ends[0].D + share * ends[1].D, abs=1e-12) == point.D
        assert point.beta == pytest.approx(slope, rel=1e-10)
        assert point.converged
        assert point.gap <= 1e-13 + 2 * rounding(point)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_with_errors_forbidden_all_of_bergers_curve_is_straight(share):
    """D = 0.3 (1 − R / log 2), at β = 0.3 / log 2, by rate and by distortion."""
    R, D = share * math.log(2), 0.3 * (1 - share)
    for target in ({"rate": R}, {"distortion": D}):
        point = rate_distortion(HALF, ERASING, **target)
        assert pytest.approx((R, D), abs=1e-10) == (point.R, point.D)
        assert point.beta == pytest.approx(0.3 / math.log(2), rel=1e-8)
        assert point.gap <= 1e-10


# Limits


@law
@given(problems())
def test_at_beta_zero_d_is_least_and_then_r(problem):
    """Each symbol pays its least cost; with one cheapest latent each, R is their entropy."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=0)
    alive = p > 0
    assert pytest.approx(p[alive] @ cost[alive].min(axis=1), abs=1e-14) == point.D
    assert point.objective == point.D
    cheapest = cost == cost.min(axis=1, keepdims=True)
    e = point.e[alive]
    assert (e[~cheapest[alive]] == 0).all()
    share = np.where(cheapest, 1.0, 0.0)[alive] @ point.m
    assert pytest.approx(-p[alive] @ np.log(share), abs=1e-13) == point.R
    above = (cost - cost.min(axis=1, keepdims=True))[alive]
    if above[above > 0].min(initial=1.0) > 1e-9:  # else β is not small beside a near-tie
        near = rate_distortion(p, cost, beta=1e-11, tol=1e-13)
        assert pytest.approx(near.R, abs=1e-9) == point.R


@law
@given(problems())
def test_at_beta_infinity_r_is_least_and_then_d(problem):
    """R = 0 with the best single latent, where one serves every symbol; else R is the least."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=INF)
    alive = p > 0
    single = p[alive] @ cost[alive]
    if single.min() < INF:
        assert (0, pytest.approx(single.min(), abs=1e-14)) == (point.R, point.D)
        assert (point.m > 0).sum() == 1
    else:
        far = rate_distortion(p, cost, beta=1e8, tol=1e-13)
        assert point.R <= far.R + 1e-9
        assert p[alive] @ cost[alive].min(axis=1) - 1e-12 <= point.D
    assert point.objective == point.D


def test_at_beta_infinity_forbidden_pairs_leave_the_cheapest_of_the_least_rate():
    """Two symbols that share no latent need R = log 2; each takes its cheaper latent."""
    cost = [[3, 1, INF, INF], [INF, INF, 2, 2.5]]
    point = rate_distortion(HALF, cost, beta=INF)
    assert pytest.approx(math.log(2), abs=1e-14) == point.R
    assert pytest.approx(1.5, abs=1e-12) == point.D
    assert point.m == pytest.approx([0, 0.5, 0.5, 0], abs=1e-12)
    assert 0 <= point.gap <= 1e-9


@pytest.mark.parametrize("status", ["no answer", "an answer of another rate"])
def test_a_linear_programme_that_fails_leaves_an_honest_gap(monkeypatch, status):
    """Then D is bounded by the cheapest pairs alone."""
    cost = np.array([[3, 1, INF, INF], [INF, INF, 2, 2.5]])

    def failing(price, **_):
        x = None if status == "no answer" else np.array([0.9, 0, 0, 0.1])
        return SimpleNamespace(x=x, eqlin=SimpleNamespace(marginals=np.zeros(3)))

    monkeypatch.setattr(convex, "linprog", failing)
    monkeypatch.setattr(convex.np.linalg, "lstsq", lambda a, b, rcond: (np.zeros(a.shape[1]),))
    point = rate_distortion(HALF, cost, beta=INF)
    assert pytest.approx(math.log(2), abs=1e-12) == point.R
    assert point.lower_bound <= 1.5 <= point.D + 1e-12


@pytest.mark.parametrize("target", [{"beta": 0.7}, {"beta": 0}, {"beta": INF}, {"rate": 0}])
@pytest.mark.parametrize(
    ("p", "cost", "D"),
    [([1.0], [[3.0, 2.0, INF]], 2.0), ([0.25, 0.75], [[1.0], [2.0]], 1.75), ([1.0], [[-4]], -4)],
)
def test_one_symbol_or_one_latent_leaves_no_choice(p, cost, D, target):
    point = rate_distortion(p, cost, **target)
    assert (pytest.approx(D, abs=1e-14), 0) == (point.D, point.R)
    assert point.gap <= 1e-13


@law
@given(problems(), betas)
def test_duplicate_and_useless_latents_change_nothing(problem, beta):
    """Copies of columns, and a latent that is dearer for every symbol, leave D + βR as it was."""
    p, cost = problem
    useless = cost.max(axis=1, keepdims=True) + 1
    more = np.concatenate([cost, useless, cost], axis=1)
    fewer, point = rate_distortion(p, cost, beta=beta), rate_distortion(p, more, beta=beta)
    slack = 1e-15 * (1 + abs(fewer.objective))
    assert point.objective <= fewer.objective + point.gap + slack
    assert point.objective >= fewer.lower_bound - slack
    assert point.m[cost.shape[1]] == pytest.approx(0, abs=1e-9 if beta < 10 else 1)


@law
@given(problems(), betas)
def test_a_symbol_of_probability_zero_counts_for_nothing(problem, beta):
    """Whatever its costs, even +∞ throughout."""
    p, cost = problem
    for row in (np.full(cost.shape[1], INF), np.zeros(cost.shape[1])):
        point = rate_distortion([*p, 0.0], np.vstack([cost, row]), beta=beta)
        alone = rate_distortion(p, cost, beta=beta)
        assert point.objective == pytest.approx(alone.objective, abs=1e-9)
        assert point.e.sum(axis=1) == pytest.approx(1)


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
    assert scaled.objective / scale == pytest.approx(point.objective, abs=room)
    assert scaled.converged
    assert scaled.gap / scale <= room


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_targets_are_met_at_any_scale(scale):
    """A distortion in units of the scale, and a rate, have one β in those units."""
    by_rate = rate_distortion(TOY, SQUARES * scale, rate=0.7)
    assert pytest.approx(0.7, abs=1e-10) == by_rate.R
    again = rate_distortion(TOY, SQUARES * scale, distortion=by_rate.D)
    assert pytest.approx(by_rate.D, rel=1e-9) == again.D
    assert pytest.approx(0.7, abs=1e-8) == again.R
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
    assert other.objective == pytest.approx(point.objective, abs=1e-14 + point.gap + other.gap)


@law
@given(problems(), st.lists(betas, min_size=2, max_size=4))
def test_the_curve_falls_and_is_convex(problem, several):
    """D rises and R falls in β, and every point lies above the tangents of the others."""
    p, cost = problem
    points = [rate_distortion(p, cost, beta=beta, tol=1e-13) for beta in sorted(several)]
    for first in points:
        for second in points:
            bound = second.D + first.beta * second.R + 1e-13 * (1 + abs(second.D))
            assert first.lower_bound <= bound
    for first, second in itertools.pairwise(points):
        room = 1e-13 * (1 + abs(first.D))
        if second.beta > 1.01 * first.beta:
            gained = (first.gap + second.gap) / (second.beta - first.beta)
            assert first.R + gained + 1e-13 >= second.R
            assert first.D - second.beta * gained - room <= second.D


@settings(deadline=None, max_examples=20)
@given(problems(max_size=4), st.sampled_from([0.0, 0.03, 0.5, 2.0, 50.0]))
def test_both_methods_agree(problem, beta):
    """Blahut–Arimoto reaches the same D + βR, and lowers it or leaves it in every step."""
    p, cost = problem
    fast = rate_distortion(p, cost, beta=beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        slow = rate_distortion(p, cost, beta=beta, method="blahut-arimoto", max_iter=1000)
    room = 1e-14 * (1 + abs(fast.objective) + beta)
    assert slow.objective >= fast.lower_bound - room
    assert fast.objective >= slow.lower_bound - room
    if slow.converged:
        assert slow.objective == pytest.approx(fast.objective, abs=room + fast.gap + slow.gap)
    if beta > 0:
        assert (np.diff(slow.history["objective"]) <= room).all()
        assert (slow.history["I"] <= slow.history["R"] + 1e-12).all()


@law
@given(problems(), betas)
def test_newton_lowers_the_objective_in_every_step(problem, beta):
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta)
    history = point.history
    assert history.size == point.iterations + 1
    room = 1e-14 * (100 + beta)
    assert (np.diff(history["objective"]) <= room).all()
    assert history["objective"][-1] == pytest.approx(point.objective, abs=room)


# Targets


@law
@given(problems(), st.floats(0, 1), st.booleans())
@example((HALF, BINARY), 1e-12, True)
@example((HALF, BINARY), 1e-12, False)
@example((HALF, BERGER), 0.5, True)
@example((HALF, BERGER), 0.9, False)
def test_targets_are_met_and_certified(problem, share, at_rate):
    """R or D is met to 1e-10; the bound is one for the target itself, in fifty digits."""
    p, cost = problem
    ends = [rate_distortion(p, cost, beta=beta, tol=1e-13) for beta in (0, INF)]
    R = ends[1].R + share * (ends[0].R - ends[1].R)
    D = ends[0].D + share * (ends[1].D - ends[0].D)
    if at_rate:
        point = rate_distortion(p, cost, rate=R)
        assert pytest.approx(R, abs=1e-10) == point.R
        assert point.objective == point.D
    else:
        point = rate_distortion(p, cost, distortion=D)
        assert point.D <= D + 1e-10
        assert point.D >= D - 1e-10 or point.R <= ends[1].R + 1e-10
        assert point.objective == point.R
    assert point.converged
    if 0 < point.beta < INF:
        low, _ = exact_curve.least_lagrangian(p, cost, point.beta, point.m)
        beta = Decimal(point.beta)
        dual = low - beta * Decimal(R) if at_rate else (low - Decimal(D)) / beta
        assert Decimal(point.lower_bound) <= dual
        priced = rounding(point) / (1 if at_rate else point.beta)
        assert point.gap <= 1e-10 + 3 * priced


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
    cost = 2.0**53 + np.array([[0.0, 2.0], [2.0, 0.0]])
    point = rate_distortion(HALF, cost, rate=0.3)
    assert pytest.approx(0.3, abs=1e-10) == point.R
    assert pytest.approx(2.0**53, abs=4) == point.D


@pytest.mark.parametrize("method", ["newton", "blahut-arimoto"])
def test_the_ends_of_the_curve_can_be_asked_for(method):
    """D = 0 needs log 2, R = 0 leaves D = ½, and more distortion than that is slack."""
    for target, D, R in (
        ({"rate": math.log(2)}, 0, math.log(2)),
        ({"rate": 0}, 0.5, 0),
        ({"distortion": 0}, 0, math.log(2)),
        ({"distortion": 0.5}, 0.5, 0),
        ({"distortion": 7}, 0.5, 0),
        ({"distortion": INF}, 0.5, 0),
    ):
        point = rate_distortion(HALF, BINARY, method=method, **target)
        assert pytest.approx((D, R), abs=1e-12) == (point.D, point.R)
        assert point.gap <= 1e-13
        assert ("slack" in point.message) == (target.get("distortion", 0) > 0.5)


def test_a_target_that_the_first_guess_hits_needs_no_search():
    """The first β is the slope of the chord between the ends."""
    point = rate_distortion(HALF, BINARY, beta=0.5 / math.log(2), tol=1e-12)
    again = rate_distortion(HALF, BINARY, rate=point.R)
    assert (again.beta, again.R) == pytest.approx((point.beta, point.R), abs=1e-12)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ({"rate": 0.7}, "rate is 0.7, but the reachable range is 0 to 0.69314718056"),
        ({"rate": INF}, "rate is inf, but the reachable range is 0 to 0.69314718056"),
        ({"distortion": -0.1}, "distortion is -0.1, but the reachable range is 0 to 0.5"),
        ({"distortion": -INF}, "distortion is -inf, but the reachable range is 0 to 0.5"),
    ],
)
def test_unreachable_targets_name_the_range(target, named):
    with pytest.raises(ValueError, match=named):
        rate_distortion(HALF, BINARY, **target)


# A fixed marginal


@law
@given(problems(), betas)
def test_a_fixed_marginal_is_evaluated_as_it_is(problem, beta):
    """F(m) is that of fifty digits, with no gap but rounding."""
    p, cost = problem
    m = np.full(cost.shape[1], 1 / cost.shape[1])
    curve = CostCurve(p, cost, marginal=m)
    for point in (curve.at(beta), curve.evaluate(beta, m)):
        F, _ = exact_curve.lagrangian(p, cost, beta, m)
        assert point.objective == pytest.approx(float(F), abs=point.gap + 1e-40)
        assert point.gap <= 1e-13 * (100 + beta)
        assert point.m == pytest.approx(m)


@pytest.mark.parametrize(
    ("beta", "D", "R"),
    [
        (0.0, 0.0, 150 * math.log(10)),
        (1e-3, 0.0, 150 * math.log(10)),
        (1.0, 0.5, 0.0),
        (INF, 0.5, 0.0),
    ],
)
def test_a_latent_all_but_dead_still_serves_its_symbol(beta, D, R):
    """At small β it pays to use m = 1e-300, though g underflows beside it."""
    curve = CostCurve(HALF, BINARY, marginal=np.array([1.0, 1e-300]))
    point = curve.at(beta)
    assert (pytest.approx(D, abs=1e-99), pytest.approx(R, rel=1e-12)) == (point.D, point.R)
    assert point.objective == pytest.approx(D + (beta * R if beta < INF else 0), rel=1e-12)


def test_a_marginal_without_the_latents_a_symbol_needs_is_refused():
    with pytest.raises(ValueError, match="marginal gives no mass to any latent that symbol 1 may"):
        CostCurve(HALF, ERASING, marginal=np.array([1.0, 0.0, 0.0]))


# Refusals, warnings, results

LEGAL = {"p": [0.5, 0.5], "cost": [[0, 1], [1, 0]], "beta": 1}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"p": [0.5, 0.6]}, ValueError, "p must sum to 1, but sums to 1.1"),
        ({"p": [1.5, -0.5]}, ValueError, r"p\[1\] is -0.5"),
        ({"p": [math.nan, 1]}, ValueError, r"p\[0\] is nan"),
        ({"p": ["a", "b"]}, TypeError, "p must hold real numbers"),
        ({"cost": [[0, 1]]}, ValueError, "one row for each of the 2 symbols of p"),
        ({"cost": [0, 1]}, ValueError, "cost must have 2 axes"),
        ({"cost": [[0, math.nan], [1, 0]]}, ValueError, r"cost\[0, 1\] is nan"),
        ({"cost": [[0, 1], [-INF, 0]]}, ValueError, "row 1 of cost has -inf"),
        ({"cost": [[0, 1], [INF, INF]]}, ValueError, r"row 1 of cost has \+inf everywhere"),
        (
            {"cost": [[0, INF], [1e308, 0]]},
            ValueError,
            r"row 1 of cost has a cost of size 1e\+308",
        ),
        ({"cost": [[-2e306, 1], [1, 0]]}, ValueError, r"row 0 of cost has a cost of size 2e\+306"),
        ({"beta": -1}, ValueError, "beta is -1.0"),
        ({"beta": math.nan}, ValueError, "beta is nan"),
        ({"beta": "1"}, TypeError, "beta must be one number"),
        ({"beta": None}, ValueError, "exactly one of beta, rate, distortion; given: none"),
        ({"rate": 0.1}, ValueError, "given: beta and rate"),
        ({"beta": None, "rate": -0.1}, ValueError, "rate is -0.1"),
        ({"beta": None, "distortion": math.nan}, ValueError, "distortion is nan"),
        ({"tol": 0}, ValueError, "tol is 0.0"),
        ({"tol": -1e-9}, ValueError, "tol is -1e-09"),
        ({"tol": None}, TypeError, "tol must be one number"),
        ({"max_iter": -1}, ValueError, "max_iter is -1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"method": "simplex"}, ValueError, "method is 'simplex', but must be one of newton, bl"),
        ({"start": [0.5, 0.6]}, ValueError, "start must sum to 1"),
        ({"start": [1.0]}, ValueError, r"start must have shape \(2,\)"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        rate_distortion(**{**LEGAL, **changes})


def test_a_start_is_taken_and_one_that_cannot_work_is_refused():
    """Newton brings in what a start lacks; Blahut–Arimoto never revives a dead latent."""
    start = np.array([1.0, 0.0, 0.0])
    point = rate_distortion(HALF, ERASING, beta=0.1, start=start)
    assert point.gap <= 1e-10
    with pytest.raises(ValueError, match=r"start gives no mass to a latent that symbol 2 may use"):
        rate_distortion(
            [0.5, 0, 0.5], np.insert(ERASING, 1, 0, axis=0), beta=0.1, start=start,
            method="blahut-arimoto",
        )  # fmt: skip
    best = rate_distortion(TOY, SQUARES, beta=0.01)
    again = rate_distortion(TOY, SQUARES, beta=0.01, start=best.m, method="blahut-arimoto")
    assert again.iterations == 0
    assert pytest.approx(0.3) == rate_distortion(HALF, ERASING, rate=0.3, start=start).R


@pytest.mark.parametrize("target", [{"beta": 0.01}, {"rate": 0.5}, {"distortion": 0.01}])
@pytest.mark.parametrize("method", ["newton", "blahut-arimoto"])
def test_at_the_cap_the_best_iterate_comes_with_one_warning(target, method):
    """converged is False, the gap still bounds the error, and the warning says what to do."""
    best = rate_distortion(TOY, SQUARES, **target)
    cap = 2 if "beta" in target else 0
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol") as caught:
        point = rate_distortion(TOY, SQUARES, method=method, max_iter=cap, **target)
    assert len(caught) == 1
    assert not point.converged
    assert point.message.startswith("stopped at max_iter")
    assert point.lower_bound <= best.objective + 1e-13
    if "beta" in target:
        assert point.iterations == 2
        assert point.objective == min(point.history["objective"])
        assert best.objective < point.objective


def test_no_iteration_at_all_is_legal():
    """max_iter = 0 evaluates the start."""
    with pytest.warns(ConvergenceWarning):
        point = rate_distortion(TOY, SQUARES, beta=0.01, max_iter=0)
    assert (point.iterations, point.history.size) == (0, 1)


def test_an_unreached_limit_is_bounded_by_the_cheapest_pairs():
    """At β = ∞, stopped early, D has no other lower bound."""
    p, cost = [0.2, 0.3, 0.5], [[0, INF, 1], [INF, 2, 0], [3, 0, INF]]
    with pytest.warns(ConvergenceWarning):
        point = rate_distortion(p, cost, beta=INF, max_iter=0)
    assert point.lower_bound <= 0 <= point.D


@law
@given(problems(), betas)
def test_results_are_read_only_and_survive_pickling(problem, beta):
    """Inputs are read-only too, so that writing into them would have failed."""
    p, cost = problem
    point = rate_distortion(p, cost, beta=beta)
    for table in (point.m, point.e, point.history):
        assert not table.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.D = 0.0
    other = pickle.loads(pickle.dumps(point))
    assert (other.D, other.R, other.message) == (point.D, point.R, point.message)
    assert (other.e == point.e).all()


def test_the_repr_says_what_was_found():
    text = repr(rate_distortion(HALF, BINARY, beta=1))
    for part in ("RateDistortion(", "beta = 1", "D = 0.2689414214", "gap = ", "converged after"):
        assert part in text
    with pytest.warns(ConvergenceWarning):
        assert "not converged" in repr(rate_distortion(TOY, SQUARES, beta=0.01, max_iter=1))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
@pytest.mark.parametrize("name", ["rate", "distortion"])
def test_just_above_the_least_target_the_gap_is_still_an_upper_bound(name, offset):
    """R(D) = log 2 − h(D): near R = 0 and near D = 0 its slope, or the inverse's, has no limit."""
    step = 6e-16 if name == "rate" else max(np.spacing(offset), 4e-16)
    target = step if name == "rate" else offset + step
    cost = offset + np.array([[0.0, 1.0], [1.0, 0.0]])
    point = rate_distortion(HALF, cost, **{name: target})
    if name == "rate":
        best = offset + 0.5 - math.sqrt(step / 2)  # log 2 − h(½ − ε) = 2 ε² + …
    else:
        best = math.log(2) + step * math.log(step) - step  # h(ε) = −ε log ε + ε + …
    assert point.gap >= point.objective - best - 1e-15


def test_the_symbol_that_a_marginal_leaves_out_is_named_by_its_place_in_p():
    """Symbols of mass 0 before it count."""
    cost = [[0, 0], [0, 0], [0, INF], [INF, 0]]
    with pytest.raises(ValueError, match="symbol 3 may use"):
        frontier([0, 0, 0.5, 0.5], cost=cost, marginal=[1.0, 0.0], betas=[1])
