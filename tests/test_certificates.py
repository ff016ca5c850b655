"""Certificates: what an answer claims of itself, recomputed in fifty digits from its tables.

Of every answer: lower_bound ≤ optimum, and (objective of the tables returned) − optimum ≤ gap.
"""

import itertools
import math
import warnings
from contextlib import nullcontext
from dataclasses import replace
from decimal import Context, Decimal, localcontext

import exact
import exact_curve
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from problems import (
    BERGER,
    BINARY,
    ERASING,
    HALF,
    INF,
    SHARP_ROWS,
    THIRDS,
    TOY,
    GeometricDecoder,
    H,
    NeedleDecoder,
    betas,
    fine_rows,
    geometric_source,
    problems,
)

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    Source,
    alternate,
    bars_and_stripes,
    cells,
    check,
    entropy,
    frontier,
    identified,
    rate_distortion,
    solve,
    toy_source,
)
from toyrd.cells import Bound
from toyrd.curve import Status, Target
from toyrd.family import FamilyCurve
from toyrd.table import at_jump
from toyrd.testing import distributions, tables

law = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=12)
seeds = st.integers(0, 2**32 - 1)


def assert_certified(solution, high):
    """At a β, with high the optimum: bound and gap hold for the tables as they are."""
    assert Decimal(solution.lower_bound) <= high + Decimal("1e-40")
    assert exact_curve.objective(solution) - high <= Decimal(solution.gap) + Decimal("1e-15")


def ends(p, cost):
    return [rate_distortion(p, cost, beta=beta, tol=1e-13) for beta in (0, INF)]


# A table of costs at a β


@law
@given(problems(), betas, st.sampled_from([1e-6, 1e-10, 1e-13]), st.sampled_from([0, 1e6, 1e12]))
@example((HALF, BERGER), 1 / 1.85, 1e-13, 0)
@example((HALF, ERASING), 0.3 / math.log(2), 1e-13, 0)
@example((HALF, BINARY), 1e6, 1e-13, 1e12)
def test_no_answer_lies_at_a_beta(problem, beta, tol, offset):
    """lower_bound ≤ min F, and D + βR of e and m is within the gap of it, at any offset."""
    p, cost = problem[0], problem[1] + offset
    solution = rate_distortion(p, cost, beta=beta, tol=tol)
    low, high = exact_curve.least_lagrangian(p, cost, beta, solution.m)
    assert high - low <= Decimal("1e-25") * (1 + abs(high) + Decimal(beta))
    assert_certified(solution, high)
    assert solution.status is Status.CERTIFIED
    assert 0 <= solution.gap <= tol * min(1, beta) + 1e-13 * (100 + beta + offset)


@law
@given(problems(smallest=0), betas, st.data())
def test_no_other_marginal_beats_the_lower_bound(problem, beta, data):
    """F(m) ≥ lower_bound, with p and m down to denormals."""
    p, cost = problem
    solution = rate_distortion(p, cost, beta=beta)
    rival = 0.5 * data.draw(distributions(cost.shape[1])) + 0.5 / cost.shape[1]
    for m in (rival, 0.999 * solution.m + 0.001 * rival):
        assert Decimal(solution.lower_bound) <= exact_curve.lagrangian(p, cost, beta, m)[0]


@settings(deadline=None, max_examples=20)
@given(distributions(smallest=1e-9), st.data(), st.sampled_from([1e-3, 0.3, 1, 5, 1e5, 1e10]))
def test_a_decoder_is_certified_as_the_model_that_is_returned(p, data, beta):
    """As for costs −log d, with the marginal free and with it fixed, however large β is."""
    d = data.draw(tables(n_columns=p.size, smallest=1e-9))
    assume(((d > 0).any(axis=0) | (p == 0)).all())
    m = data.draw(distributions(len(d), smallest=1e-9))
    free = solve(p, decoder=d, beta=beta)
    assert_certified(free, exact_curve.least_lagrangian(p, free.cost, beta, free.m)[1])
    if ((d[m > 0] > 0).any(axis=0) | (p == 0)).all():
        fixed = solve(p, decoder=d, marginal=m, beta=beta)
        assert_certified(fixed, exact_curve.lagrangian(p, fixed.cost, beta, fixed.m)[0])


def test_a_fixed_marginal_at_a_huge_price_pays_for_the_rounding_of_its_encoder():
    """Rows of e that miss 1 by 1e-16 change βR by 1e-6 at β = 1e10."""
    rows, m = [[0.3, 0.7], [0.9, 0.1], [0.45, 0.55]], [0.2, 0.3, 0.5]
    solution = solve([0.3, 0.7], decoder=rows, marginal=m, beta=1e10)
    F, _ = exact_curve.lagrangian(solution.p, solution.cost, 1e10, m)
    assert_certified(solution, F)


# A target


@law
@given(
    problems(), st.floats(0, 1), st.sampled_from(["rate", "distortion"]),
    st.sampled_from([1, 1e-9, 1e9]),
)  # fmt: skip
@example((HALF, BINARY), 1e-12, "rate", 1)
@example((HALF, BINARY), 1e-12, "distortion", 1)
@example((HALF, BERGER), 0.5, "rate", 1e9)
@example((HALF, BERGER), 0.9, "distortion", 1e-9)
def test_no_answer_lies_at_a_target(problem, share, name, scale):
    """The target is met, by D and R of the tables; the bound is one for the target itself."""
    p, cost = problem[0], problem[1] * scale
    fine, coarse = ends(p, cost)
    low, high = (coarse.R, fine.R) if name == "rate" else (fine.D, coarse.D)
    aim = low + share * (high - low)
    solution = rate_distortion(p, cost, **{name: aim})
    D, R = exact_curve.distortion_and_rate(p, cost, solution.e, solution.m)
    reached, paid = (R, D) if name == "rate" else (D, R)
    slack = 1e-10 * (1 if name == "rate" else scale)
    assert reached <= Decimal(aim + slack + 1e-15 * abs(aim))
    assert solution.status is Status.CERTIFIED
    assert solution.objective == (solution.D if name == "rate" else solution.R)
    room = solution.gap + 1e-15 * (1 + abs(float(paid)))
    assert paid - Decimal(solution.lower_bound) <= Decimal(room)
    if 0 < solution.beta < INF:
        least, _ = exact_curve.least_lagrangian(p, cost, solution.beta, solution.m)
        dual = exact_curve.restated(least, solution.beta, name, aim)
        assert Decimal(solution.lower_bound) <= dual


def binary_rate(D):
    return Decimal(2).ln() + D * D.ln() + (1 - D) * (1 - D).ln()


@pytest.mark.parametrize("beta", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("more", [-0.1, -1e-6, 0.0, 1e-6, 0.1])
def test_a_point_restated_for_a_target_it_misses_pays_for_the_shortfall(beta, more):
    """D ≥ F − βR* and R ≥ (F − D*)/β, by the tangent at the point, on R = log 2 − h(D)."""
    point = rate_distortion(HALF, BINARY, beta=beta, tol=1e-13)
    D = point.D * (1 - more)
    R = float(binary_rate(Decimal(D)))
    least = Decimal(point.objective)
    for name, aim, best in (("rate", R, D), ("distortion", D, R)):
        stated = Target(name, aim).restate(point)
        tangent = float(exact_curve.restated(least, beta, name, aim))
        assert stated.lower_bound <= best + 1e-15
        assert stated.lower_bound <= tangent + 1e-14
        if (aim - (point.R if name == "rate" else point.D)) >= 0:
            assert stated.lower_bound == pytest.approx(tangent, abs=1e-12)
        assert stated.gap == pytest.approx(stated.objective - stated.lower_bound, abs=1e-15)
        assert stated.gap >= 0


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
@pytest.mark.parametrize("name", ["rate", "distortion"])
def test_just_above_the_least_target_the_gap_is_still_an_upper_bound(name, offset):
    """R(D) = log 2 − h(D): near R = 0 and near D = 0 its slope, or the inverse's, has no limit."""
    step = 6e-16 if name == "rate" else max(np.spacing(offset), 4e-16)
    target = step if name == "rate" else offset + step
    # Beside costs of 1e12 the least step of D is 1e-4, and R is known to 1e-2 only.
    lost = name == "distortion" and offset == 1e12
    with pytest.warns(ConvergenceWarning, match="rounding hides") if lost else nullcontext():
        solution = rate_distortion(HALF, offset + BINARY, **{name: target})
    assert (solution.status is Status.CERTIFIED) is not lost
    if name == "rate":
        best = offset + 0.5 - math.sqrt(step / 2)  # log 2 − h(½ − ε) = 2 ε² + …
    else:
        best = math.log(2) + step * math.log(step) - step  # h(ε) = −ε log ε + ε + …
    assert solution.gap >= solution.objective - best - 1e-15


def test_a_rate_within_rounding_of_the_least_is_not_called_certified():
    """All of the curve lies between R = 0 and 2.3e-11, and D between 0.17 and 0.72."""
    cost = [[0.72, INF, 0.17, INF], [0.47, 0.57, INF, 0.54]]
    with pytest.warns(ConvergenceWarning, match=r"gap of 0\.00\d+; rounding hides more"):
        solution = rate_distortion([1 - 8e-13, 8e-13], cost, rate=6e-16)
    assert solution.status is Status.STOPPED
    assert solution.gap > 1e-6
    assert solution.lower_bound <= solution.D <= 0.72


def test_the_largest_costs_have_a_least_rate():
    """Costs of 1e306, some of them forbidden, have the answer of costs of 1 in another unit."""
    cost = np.array([[0, INF, 1], [INF, 0, 1], [1, 1, INF]])
    one, other = (rate_distortion([0.3, 0.3, 0.4], scale * cost, beta=INF) for scale in (1, 1e306))
    assert pytest.approx(other.R, abs=1e-14) == one.R
    assert pytest.approx(other.D / 1e306, abs=1e-14) == one.D


@pytest.mark.parametrize("k", [1e-240, 1e-100, 1e-20])
def test_the_bracket_does_not_jump_over_the_root(k):
    """R is met where it lies between β of order k and β of order 1."""
    cost = [[0, k, 1], [k, 0, 1], [1, 1, 0]]
    solution = rate_distortion([0.3, 0.3, 0.4], cost, rate=0.9)
    assert pytest.approx(0.9, abs=1e-10) == solution.R
    assert solution.status is Status.CERTIFIED


@pytest.mark.parametrize(
    "cost",
    [
        [[2e17, 2e17, 3e-307], [3e-307, 0.0, 2e17], [5e-307, 2e17, 1e-300]],
        [[3e-307, 1e-307, 1e-290], [2e17, 2e17, 5e-307], [0.0, 5e-307, 1e17]],
        [[1e17, 0.0, 1e-300], [5e-307, 1e17, 1e-290], [1e-307, 1e-290, 2e17]],
    ],
)
def test_distortions_below_any_price_are_met_where_costs_span_all_magnitudes(cost):
    """No NaN and no crash at D = 2.96e-307 beside costs of 1e17; it is met to 1e-10."""
    solution = rate_distortion([0.3, 0.3, 0.4], cost, distortion=2.96e-307)
    assert solution.D <= 1e-10
    assert 0 <= solution.lower_bound <= solution.R
    assert solution.gap < INF


@pytest.mark.parametrize("target", [{"beta": 0.4}, {"rate": 0.2}, {"distortion": 0.2}])
def test_anyone_can_check_an_answer_again(target):
    """The bound from p, cost, m and β alone is that of the solution, and holds in fifty digits."""
    for p, cost in ((HALF, BINARY), (HALF, BERGER), (THIRDS, -np.log(SHARP_ROWS.T))):
        more = 0.5 if p is THIRDS else 0.0  # its least distortion is 0.295
        aim = {name: value + more * (name == "distortion") for name, value in target.items()}
        solution = rate_distortion(p, cost, tol=1e-13, **aim)
        low, gap = check(solution)
        name, value = next(iter(aim.items()))
        least, _ = exact_curve.least_lagrangian(p, cost, solution.beta, solution.m)
        if name != "beta":
            least = exact_curve.restated(least, solution.beta, name, value)
        assert low <= float(least) + 1e-14
        assert low == pytest.approx(solution.lower_bound, abs=1e-12)
        assert gap == pytest.approx(solution.objective - low, abs=1e-15)
    with pytest.raises(ValueError, match="beta = inf"):
        check(rate_distortion(HALF, BINARY, beta=INF))


# β = ∞ with forbidden pairs

PATTERNS = [
    (
        [0.73, 0.12, 0.05, 0.1],
        [[INF, 3, INF, 2, 1], [2, 0.3, INF, 0.3, INF],
         [0.3, 0.7, INF, 2, 3], [0, INF, INF, INF, 0.7]],
        -0.12 * math.log(6 / 11) - 0.1 * math.log(5 / 11),
        14.926 / 11,
    ),
    ([0.5, 0.5], [[3, 1, INF, INF], [INF, INF, 2, 2.5]], math.log(2), 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("p", "cost", "R", "D"), PATTERNS)
def test_the_least_rate_and_then_the_least_distortion(p, cost, R, D):
    """By hand: g is unique at the least R, and each symbol takes the cheapest m with that g."""
    limit = rate_distortion(p, cost, beta=INF)
    for solution in (limit, rate_distortion(p, cost, rate=limit.R)):
        assert pytest.approx(R, abs=1e-14) == solution.R
        assert abs(solution.D - D) <= solution.gap + 1e-14
        assert solution.lower_bound <= D + 1e-14


@few
@given(seeds)
def test_an_infinite_price_and_its_rate_have_the_same_answer(seed):
    """|D(β = ∞) − D(R = that rate)| is covered by the two gaps."""
    rng = np.random.default_rng(seed)
    n_x, n_z = rng.integers(2, 5), rng.integers(2, 6)
    cost = rng.choice([0, 0.3, 0.7, 1, 2, 3, INF, INF, INF], size=(n_x, n_z))
    cost[:, rng.integers(n_z)] = np.where(np.isinf(cost).all(axis=1), 1.0, INF)
    cost[np.isinf(cost).all(axis=1), 0] = 2.0
    p = rng.dirichlet(np.ones(n_x))
    limit = rate_distortion(p, cost, beta=INF)
    met = rate_distortion(p, cost, rate=limit.R)
    assert abs(limit.D - met.D) <= limit.gap + met.gap + 1e-14


# Sums that are off by what the checks allow


@pytest.mark.parametrize("off", [-9e-11, 9e-11])
@pytest.mark.parametrize(
    "target", [{"rate": 0.5}, {"distortion": 2}, {"beta": 0.7}, {"beta": 1e10}]
)
def test_a_sum_that_is_off_is_scaled_once_where_it_enters(off, target):
    """Σ p = 1 in the answer, and no tables beat the bound: D + R ≥ H(p), fifty digits."""
    solution = solve(TOY.p * (1 + off), **target)
    assert abs(solution.p.sum() - 1) <= 2e-15
    total = exact.entropy(solution.p)
    name, value = next(iter(target.items()))
    best = {"rate": total - value, "distortion": total - value, "beta": min(1, value) * total}[
        name
    ]
    assert solution.lower_bound <= best + 1e-14
    assert solution.objective - best <= solution.gap + 1e-10 * (name != "beta")
    assert abs(solution.objective - best) <= 2e-10


@pytest.mark.parametrize("off", [-9e-11, 9e-11])
def test_decoders_marginals_and_sources_are_scaled_too(off):
    rows, m = SHARP_ROWS * (1 + off), np.array([0.2, 0.3, 0.5]) * (1 + off)
    solution = solve(THIRDS, decoder=rows, marginal=m, beta=0.5)
    np.testing.assert_allclose(solution.d.sum(axis=1), 1, rtol=0, atol=2e-15)
    assert abs(solution.m.sum() - 1) <= 2e-15
    assert_certified(solution, exact_curve.lagrangian(THIRDS, solution.cost, 0.5, solution.m)[0])
    model = Source([0.5, 0.5 + off], [[1 + off, 0], [0.5, 0.5]]).true_model()
    assert pytest.approx(0, abs=1e-14) == model.D + model.R - model.H


# All tables free


@law
@given(distributions(max_size=6), st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.9, 1.0, 2, INF]))
def test_free_tables_are_bounded_by_entropy_alone(p, n_z, beta):
    """lower_bound ≤ D + βR of any tables with n_z latents, ≤ that of any number of them."""
    solution = solve(p, beta=beta, n_z=n_z)
    least = min(1, beta) * exact.entropy(p)
    bound = exact.entropy(p) - (1 - beta) * min(exact.entropy(p), math.log(n_z))
    assert solution.lower_bound <= (bound if beta < 1 else least) + 1e-14
    assert solution.lower_bound >= least - solution.gap - 1e-14
    D = exact.distortion(p, solution.e, solution.d)
    R = exact.rate(p, solution.e, solution.m)
    paid = D + (beta * R if 0 < beta < INF else 0)
    assert paid - solution.lower_bound <= solution.gap + 1e-14


# Families


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.5, 0.9])
def test_a_search_that_misses_rows_is_never_certified(beta):
    """The needles make a lossless code, D + βR = βH: a proof knows no number of latents."""
    family, p = NeedleDecoder(4), np.full(4, 0.25)
    best = rate_distortion(p, -family.log_rows(family.needles[:, None]).T, beta=beta)
    solution = solve(p, decoder=family, beta=beta)
    assert pytest.approx(beta * math.log(4), abs=1e-9) == best.objective
    assert solution.objective > best.objective + 0.1
    assert solution.status is Status.SEARCHED


class Doubtful(GaussianDecoder):
    """Gaussian rows whose bound is said to be no proof."""

    def bound(self, log_weight, beta, goal):
        top, rows, *_ = super().bound(log_weight, beta, goal)
        return Bound(top, rows, False)


@pytest.mark.parametrize("target", [{"beta": 1.2}, {"beta": 0}, {"beta": INF}, {"rate": 0.3}])
def test_a_bound_that_is_no_proof_certifies_nothing(target):
    p = np.array([0.05, 0.3, 0.1, 0.15, 0.4])
    assert solve(p, decoder=Doubtful(5), **target).status is Status.SEARCHED
    assert solve(p, decoder=GaussianDecoder(5), **target).status is Status.CERTIFIED


@pytest.mark.parametrize("target", [{"beta": 0.9}, {"beta": 1.2}, {"rate": 0.1}, {"beta": 0}])
def test_a_family_without_a_bound_is_searched_and_no_more(target):
    """D + βR ≥ min(1, β) H is a proof for any decoder; c ≤ 1 at the points of a search is none."""
    family, p = GeometricDecoder(), geometric_source()
    solution = solve(p, decoder=family, **target)
    floor = min(1, target["beta"]) * entropy(p) if "beta" in target else entropy(p) - 0.1
    proven = solution.objective - floor <= 1e-8
    assert solution.status is (Status.CERTIFIED if proven else Status.SEARCHED)
    rows = fine_rows(family, solution.parameters, n=2000)
    fine = rate_distortion(p, -family.log_rows(rows).T, **target)
    assert solution.lower_bound <= fine.objective + 1e-12
    assert solution.objective <= fine.objective + 1e-8


@pytest.mark.parametrize("beta", [0, 1e-12, INF, 1e7])
@pytest.mark.parametrize(
    "family",
    [
        GaussianDecoder(12, means=(868, 1222), widths=(0.01, 20_000)),
        GaussianDecoder(12, means=(-40, -20), widths=(0.01, 300)),
        GaussianDecoder(12),
    ],
)
def test_the_ends_of_a_family_are_bounded_like_all_its_points(family, beta):
    """At β = 0 no row of the box is better for a symbol, at β = ∞ none for all of them."""
    p = np.full(12, 1 / 12)
    means, widths = np.meshgrid(np.linspace(*family.means, 120), np.geomspace(*family.widths, 300))
    rows = family.log_rows(np.stack([means.ravel(), widths.ravel()], axis=1))
    best = -p @ rows.max(axis=0) if beta < 1 else -(rows @ p).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopped is an honest answer, too
        solution = solve(p, beta=beta, decoder=family)
    room = 0 if beta in (0, INF) else min(beta * math.log(12), 1e-9)
    assert solution.lower_bound <= best + room + 1e-11
    assert solution.objective - best <= solution.gap + room
    D = exact.distortion(p, solution.e, solution.d)
    R = exact.rate(p, solution.e, solution.m)
    assert solution.objective == pytest.approx(
        D + (beta * R if 0 < beta < INF else 0), abs=1e-12 * (1 + D)
    )


@pytest.mark.parametrize("width", [2e4, 1e5, 794_328, 1e6])
@pytest.mark.parametrize("n", [3, 12])
def test_very_wide_rows_keep_their_digits(width, n):
    """ℓ = log(Φ(b) − Φ(a)), fifty digits; one row alone has D + βR = −Σ p ℓ, and so the bound."""
    row = exact.gaussian_log_row(n, 1.0, width)
    family = GaussianDecoder(n, means=(1, 1), widths=(width, width))
    np.testing.assert_allclose(
        family.log_rows(np.array([[1.0, width]]))[0], row, rtol=1e-13, atol=1e-15
    )
    for p in (np.full(n, 1 / n), np.eye(n)[1]):
        solution = solve(p, beta=2, decoder=family)
        assert solution.lower_bound <= -(p @ row) * (1 + 1e-14)
        assert abs(solution.objective + p @ row) <= solution.gap + 1e-13


@pytest.mark.parametrize("distortion", [0.06, 0.1, 2.2])
def test_small_distortions_of_gaussian_rows_are_certified_without_a_warning(distortion):
    """The gap is one of the rate, F's divided by β. Warnings are errors here."""
    solution = solve(TOY.p, distortion=distortion, decoder=GaussianDecoder())
    assert solution.status is Status.CERTIFIED
    assert solution.gap <= 1e-8
    assert pytest.approx(distortion, abs=1e-10) == solution.D


@pytest.mark.parametrize(
    "target",
    [
        {"beta": 0.4},
        {"beta": 1.2},
        {"rate": 0.3},
        {"rate": 1.5},
        {"distortion": 2.6},
        {"rate": 2.7},
    ],
)
def test_the_gap_of_gaussian_rows_covers_what_a_fine_dictionary_finds(target):
    """lower_bound ≤ optimum over the dictionary, and the answer's own tables are in the gap."""
    family = GaussianDecoder()
    solution = solve(TOY.p, decoder=family, **target)
    rows = fine_rows(family, solution.parameters, n=40)
    fine = rate_distortion(TOY.p, -family.log_rows(rows).T, tol=1e-12, **target)
    assert solution.status is Status.CERTIFIED
    assert solution.lower_bound <= fine.objective + 1e-13
    assert solution.objective <= fine.objective + 1e-9
    D = exact.distortion(TOY.p, solution.e, solution.d)
    R = exact.rate(TOY.p, solution.e, solution.m)
    assert solution.gap <= 1e-8
    (name, value), paid = next(iter(target.items())), {"rate": D, "distortion": R}
    assert paid.get(name, D + solution.beta * R) - solution.lower_bound <= solution.gap + 1e-12
    assert {"rate": R, "distortion": D}.get(name, value) == pytest.approx(value, abs=1e-10)


@settings(deadline=None, max_examples=6)
@given(st.integers(1, 6), st.sampled_from([0.05, 0.5, 0.9, 1.0, 1.3, 3.0, 50.0]), seeds)
def test_any_source_is_proven_for_gaussian_rows(n_x, beta, seed):
    """lower_bound ≤ optimum over a dictionary, with no more rows than symbols."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_x, 0.5))
    p[rng.random(n_x) < 0.3] = 0
    p = p / p.sum() if p.any() else np.eye(n_x)[0]
    family = GaussianDecoder(n_x)
    solution = solve(p, beta=beta, decoder=family)
    assert solution.status is Status.CERTIFIED
    assert solution.n_z <= n_x
    np.testing.assert_allclose(np.exp(family.log_rows(solution.parameters)), solution.d)
    rows = np.concatenate([family.dictionary(), solution.parameters])
    coarse = rate_distortion(p, -family.log_rows(rows).T, beta=beta)
    assert solution.lower_bound <= coarse.objective + 1e-13
    assert abs(solution.D + beta * solution.R - solution.objective) <= 1e-9


# The bound over a box


def c(family, log_weight, beta, theta):
    return np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1)


def drawn(rng, family, n):
    """Return parameters in the box, its four corners and points of its sides first."""
    means = rng.uniform(*family.means, n)
    widths = np.exp(rng.uniform(*np.log(family.widths), n))
    low, high = family.box
    corners = [[m, w] for m in (low[0], high[0]) for w in (low[1], high[1])]
    sides = [[means[0], low[1]], [means[1], high[1]], [low[0], widths[0]], [high[0], widths[1]]]
    return np.concatenate([corners, sides, np.stack([means, widths], axis=1)])


@law
@given(st.integers(2, 8), st.sampled_from([1.0, 1.01, 1.5, 4.0]), seeds)
def test_the_bound_covers_the_whole_box_to_its_ends(n_x, beta, seed):
    """By Hölder Σ d₀^(1 − 1/β) d^(1/β) ≤ 1, which is reached at θ₀: wherever that is, top ≥ 1."""
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(n_x, widths=(rng.uniform(0.3, 1), rng.uniform(1, 2 * n_x)))
    for theta in drawn(rng, family, 4):
        log_weight = (1 - 1 / beta) * family.log_rows(theta[None])[0]
        for goal in (1e-4, 0.3):
            top, rows, *proven = family.bound(log_weight, beta, goal)
            assert top >= 1 - 1e-12
            assert not len(rows)
            assert top <= 1 + goal or proven == [False]


@law
@given(st.integers(1, 8), st.floats(0.3, 5), st.sampled_from([1e-3, 0.3, 10.0]), seeds)
def test_the_bound_is_never_below_c(n_x, beta, goal, seed):
    """c(θ) ≤ top over the box, for weights p / g of a mixture; rows returned have c > 1 + goal."""
    rng = np.random.default_rng(seed)
    family, p = GaussianDecoder(n_x), rng.dirichlet(np.ones(n_x))
    p[rng.random(n_x) < 0.2] = 0
    rows = family.log_rows(drawn(rng, family, 4)[-4:]) / beta
    with np.errstate(divide="ignore"):
        log_weight = np.log(p) - np.log(rng.dirichlet(np.ones(4)) @ np.exp(rows))
    top, found, *_ = family.bound(log_weight, beta, goal)
    assert c(family, log_weight, beta, drawn(rng, family, 2000)).max() <= top * (1 + 1e-13)
    if len(found):
        assert (c(family, log_weight, beta, found) > 1 + goal * (1 - 1e-9)).all()
    else:
        assert top <= 1 + goal


@pytest.mark.parametrize("sides", [{"means": (1, 1)}, {"widths": (2, 2)}])
def test_a_box_may_be_flat(sides):
    family = GaussianDecoder(4, **sides)
    log_weight = np.log(np.full(4, 0.25)) - family.log_rows(np.array([[1.0, 2.0]]))[0] / 1.5
    top, rows, *_ = family.bound(log_weight, 1.5, 0.5)
    values = c(family, log_weight, 1.5, drawn(np.random.default_rng(1), family, 500))
    assert values.max() <= top
    assert len(rows) or top <= 1.5


# Mixtures, and the sandwich


@pytest.mark.parametrize("share", [0.01, 0.37, 0.99])
@pytest.mark.parametrize("name", ["rate", "distortion"])
def test_a_mixture_on_a_straight_piece_has_the_share_asked_for(share, name):
    """D = 0.3 (1 − R / log 2) for the tables returned, in fifty digits, both ways."""
    aim = {"rate": share * math.log(2), "distortion": 0.3 * (1 - share)}[name]
    solution = rate_distortion(HALF, ERASING, **{name: aim})
    D, R = map(float, exact_curve.distortion_and_rate(HALF, ERASING, solution.e, solution.m))
    assert pytest.approx((share * math.log(2), 0.3 * (1 - share)), abs=1e-10) == (R, D)
    assert solution.beta == pytest.approx(0.3 / math.log(2), rel=1e-8)
    assert solution.m == pytest.approx([share / 2, share / 2, 1 - share], abs=1e-9)
    assert solution.gap <= 1e-10


@pytest.mark.parametrize("rate", [0.6, 1.3, 2.5])
def test_a_mixture_of_perfect_fits_is_one(rate):
    """Between the corner and the extreme fit R is met, and D + R = H for the tables returned."""
    solution = solve(TOY.p, rate=rate, decoder=GaussianDecoder())
    D = exact.distortion(TOY.p, solution.e, solution.d)
    R = exact.rate(TOY.p, solution.e, solution.m)
    assert pytest.approx(rate, abs=1e-10) == R
    assert D + R - H <= 1e-9
    assert solution.beta == pytest.approx(1, abs=1e-12)
    assert solution.n_z <= 31


def test_an_upright_tangent_bounds_only_up_to_its_rate():
    """At β = ∞: D ≥ its bound for R ≤ its R, and nothing is said of larger rates."""
    alone = frontier(HALF, cost=BERGER, betas=[INF])
    assert alone.bounds_at(0.0)[0] == pytest.approx(0.3, abs=1e-12)
    assert alone.bounds_at(0.1)[0] == -INF
    p, cost, least, D = PATTERNS[1]
    for betas_ in ([INF], [0.5, INF], [0, 0.1, 1, 10, INF]):
        curve = frontier(p, cost=cost, betas=betas_)
        lower, upper = curve.bounds_at(curve.R.min())
        assert D - 1e-5 <= lower <= D + 1e-12
        assert upper == pytest.approx(D, abs=1e-9)
        assert curve.bounds_at(least / 2)[1] == INF
    mixed = frontier(HALF, cost=BINARY, betas=[0.2, INF])
    rates = np.linspace(0.01, mixed.R.max(), 20)
    exact_D = [rate_distortion(HALF, BINARY, rate=rate).D for rate in rates]
    assert (mixed.bounds_at(rates)[0] <= np.array(exact_D) + 1e-9).all()
    assert (mixed.bounds_at(rates)[1] >= np.array(exact_D) - 1e-9).all()


@few
@given(problems(max_size=4), st.lists(betas, min_size=1, max_size=4), st.booleans(), st.data())
def test_no_encoder_lies_below_the_sandwich(problem, several, upright, data):
    """D of any e is at least the lower bound at its R, and the bounds never cross."""
    p, cost = problem
    curve = frontier(p, cost=cost, betas=[*several, INF] if upright else several)
    for _ in range(5):
        e = data.draw(tables(p.size, cost.shape[1], smallest=1e-6))
        D, R = exact_curve.distortion_and_rate(p, cost, e, p @ e)
        assert curve.bounds_at(max(0.0, float(R)))[0] <= float(D) + 1e-12 * (1 + abs(float(D)))
    rates, lower, upper = curve.outline
    assert (np.diff(rates) >= 0).all()
    assert (lower <= upper + 1e-9 * (1 + np.abs(lower))).all()


# Each term of a certificate alone


@pytest.mark.parametrize("name", ["rate", "distortion"])
@pytest.mark.parametrize("off", [-5e-11, 0.0, 5e-11])
def test_a_target_met_but_for_rounding_is_bounded_as_it_was_asked_for(name, off):
    """The perfect fit of the truth is the answer; what is asked for lies beside it, D + R = H."""
    source = toy_source(
        weights=(0.6, 0.4), means=(1.2, 3.8), widths=(0.8, 1), n_bins=6, information=None
    )
    total = exact.entropy(source.p)
    aim = (source.information if name == "rate" else total - source.information) + off
    solution = solve(source.p, decoder=GaussianDecoder(6), **{name: aim})
    assert solution.n_z == 2
    assert solution.lower_bound <= total - aim + 2e-15
    assert solution.lower_bound >= total - aim - abs(off) - 1e-13


def test_a_bound_by_entropy_leaves_room_for_its_rounding():
    """lower_bound ≤ H in fifty digits, to the last bit, though H in floats may be above it."""
    rng = np.random.default_rng(0)
    for p in rng.dirichlet(np.ones(30), 100):
        solution = solve(p, beta=2.0, n_z=1)
        assert solution.lower_bound <= exact.entropy(solution.p)


@pytest.mark.parametrize("n", [2, 3, 30])
def test_a_rate_at_no_distortion_leaves_room_for_its_rounding(n):
    """With Hamming costs R(0) = H: lower_bound ≤ H in fifty digits, to the last bit."""
    rng = np.random.default_rng(n)
    for p in rng.dirichlet(np.ones(n), 50):
        solution = rate_distortion(p, 1 - np.eye(n), distortion=0.0)
        assert solution.lower_bound <= exact.entropy(solution.p) <= solution.objective + 1e-13


def test_two_latents_carry_no_more_than_a_bit():
    """A marginal that is dear allows rates above log 2, but D ≥ H − log 2, and that is told."""
    p, start = np.array([0.4, 0.3, 0.3]), np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
    steps = alternate(p, start=start, rate=1.0, marginal=[0.05, 0.95])
    found = next(itertools.islice(steps, 30, None))
    assert found.lower_bound == pytest.approx(entropy(p) - math.log(2), abs=1e-14)
    assert found.objective > found.lower_bound + 0.1


def test_at_an_infinite_price_a_search_that_pays_a_rate_has_missed():
    """The third row serves all symbols, R = 0; the first two do not, though their D is less."""
    rows = [[0.5, 0.5, 0], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    steps = alternate(
        np.full(3, 1 / 3), start=[[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]], beta=INF, decoder=rows
    )
    found = next(itertools.islice(steps, 5, None))
    assert found.D < solve(np.full(3, 1 / 3), beta=INF, decoder=rows).D
    assert (found.status, found.lower_bound) == (Status.MISSED, -INF)


def halted(**target):
    """Return an answer after three steps of Blahut-Arimoto, far from the optimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rate_distortion(
            [0.2, 0.3, 0.5], np.abs(np.subtract.outer([0, 1, 2], [0, 0.7, 1, 2.2])),
            method="blahut-arimoto", max_iter=3, **target,
        )  # fmt: skip


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.7])
def test_an_answer_that_is_halted_is_checked_with_its_gap(beta):
    """min F ≥ F(m) − β log max c, in fifty digits, which is far below F(m)."""
    solution = halted(beta=beta)
    F, gap = exact_curve.lagrangian(solution.p, solution.cost, beta, solution.m)
    least, _ = exact_curve.least_lagrangian(solution.p, solution.cost, beta, solution.m)
    low, apart = check(solution)
    assert gap > 1e-3
    assert low == pytest.approx(float(F - gap), abs=1e-14)
    assert apart == pytest.approx(float(gap), abs=1e-14)
    assert low <= float(least)
    assert solution.lower_bound == pytest.approx(low, abs=1e-13)


@pytest.mark.parametrize("more", [-0.1, -1e-6, 0.0, 1e-6, 0.1])
def test_an_answer_that_misses_its_target_is_checked_for_the_target(more):
    """D ≥ F − βR* and R ≥ (F − D*)/β, where R* and D* are no less than those of the answer."""
    point = rate_distortion(HALF, BINARY, beta=0.5, tol=1e-13)
    for name, reached in (("rate", point.R), ("distortion", point.D)):
        aim = reached * (1 + more)
        low, _ = check(replace(point, target=Target(name, aim)))
        tangent = exact_curve.restated(Decimal(point.objective), 0.5, name, max(aim, reached))
        assert low == pytest.approx(float(tangent), abs=1e-13)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("beta", [0.1, 0.4, 2.0])
def test_the_side_of_a_jump_is_bounded_by_the_tangent_at_the_other(share, beta):
    """As if nothing were known between β and the end: the tangent at β, on R = log 2 − h(D)."""
    fine, point, coarse = (rate_distortion(HALF, BINARY, beta=b) for b in (0, beta, INF))
    R, D = share * point.R, share * point.D
    found = at_jump(Target("rate", R), point, coarse)
    assert (found.R, found.D) == (0, 0.5)
    assert found.gap == pytest.approx(0.5 - (point.objective - beta * R), abs=1e-12)
    found = at_jump(Target("distortion", D), fine, point)
    assert (found.R, found.D) == (fine.R, 0)
    assert found.nats == pytest.approx(fine.R - (point.objective - D) / beta, abs=1e-12)
    assert found.nats >= fine.R - float(binary_rate(Decimal(D)))


@pytest.mark.parametrize(
    ("p", "cost", "distortion"),
    [
        ([1e-17, 1], [[0, 0.3, INF], [INF, INF, 0]], 1e-18),
        ([1e-30, 1, 0], [[0, 1, INF], [INF, INF, 0], [INF, INF, 0]], 5e-31),
    ],
)
def test_where_rounding_hides_the_rate_that_is_saved_none_is_claimed(p, cost, distortion):
    """R is the same in floats at both ends of the curve, D is not: the least D, and its rate."""
    solution = rate_distortion(p, cost, distortion=distortion)
    assert distortion >= solution.D
    assert solution.status is Status.CERTIFIED
    assert solution.R - solution.lower_bound == pytest.approx(solution.gap, abs=1e-18)
    assert 0 <= solution.gap <= 1e-14


class Blunt(GaussianDecoder):
    """Gaussian rows whose fits miss the best width by 1e-5, to either side."""

    def fit(self, joint, parameters=None):
        aside = np.where(joint[:, 1] >= joint[:, 5], 1e-5, -1e-5)
        return super().fit(joint, parameters) + np.stack([0 * aside, aside], axis=1)


def test_rows_that_all_but_agree_are_not_proven_to_cost_a_bit():
    """One row for both symbols has less D than a row of each, fitted badly, and needs no rate."""
    p, box = np.array([0, 0.5, 0, 0, 0, 0.5, 0]), {"means": (3 + 1e-6,) * 2, "widths": (0.5, 7)}
    best = solve(p, beta=INF, decoder=GaussianDecoder(7, **box))
    aim = solve(p, beta=0, decoder=Blunt(7, **box)).D - 5e-12
    solution = solve(p, distortion=aim, decoder=Blunt(7, **box))
    assert best.R == 0
    assert aim > best.D
    assert solution.lower_bound <= best.R or solution.status is not Status.CERTIFIED


TOO_FEW = [
    {"beta": 0}, {"beta": 1e-12}, {"beta": 0.5}, {"beta": 1.2}, {"beta": 3}, {"beta": 2e4},
    {"beta": INF}, {"rate": 0.1}, {"rate": 0.5}, {"distortion": 0.9}, {"distortion": 1.4},
]  # fmt: skip


@pytest.mark.parametrize("target", TOO_FEW)
def test_the_bound_of_a_table_that_lacks_rows_is_one_of_the_family(target):
    """lower_bound ≤ D + βR, or D or R, of a model of other rows, by its definition."""
    p, family = np.array([0.3, 0.05, 0.2, 0.1, 0.05, 0.3]), GaussianDecoder(6, widths=(0.8, 6))
    curve, aim, rng = FamilyCurve(p, family), Target.of(**target), np.random.default_rng(0)
    rival = curve.solve(aim)
    D, R = exact.distortion(p, rival.e, rival.d), exact.rate(p, rival.e, rival.m)
    price = aim.value if aim.name == "beta" and aim.value < INF else 0.0
    paid = R if aim.name == "distortion" else D + price * R
    for size in (0.0, 1e-4, 1e-3, 0.01, 0.1, 0.5):
        for n in range(1, rival.n_z + 1):
            theta = rival.parameters[:n] + size * rng.normal(size=(n, 2))
            found = curve.over_rows(aim, np.clip(theta, *family.box))
            answer = curve._certified(aim, found)[0]
            assert answer.lower_bound <= paid + 1e-12
            assert answer.lower_bound >= min(1, price) * entropy(p) - 1e-12 or aim.name != "beta"


def test_rows_that_all_but_agree_prove_no_rate_at_no_price():
    """Two rows cost log 2; the one between them has less D, and needs no rate."""
    p, box = np.array([0, 0.5, 0, 0, 0, 0.5, 0]), {"means": (3 + 1e-6,) * 2, "widths": (0.5, 7)}
    curve = FamilyCurve(p, GaussianDecoder(7, **box))
    one = curve.family.fit(p[None])
    found = curve.over_rows(Target("beta", 0.0), one + np.array([[0, -1e-5], [0, 1e-5]]))
    assert pytest.approx(math.log(2), abs=1e-12) == found.R
    assert -p @ curve.family.log_rows(one)[0] < found.D
    answer, _ = curve._certified(Target("distortion", found.D), found)
    assert answer.lower_bound <= 1e-12


@pytest.mark.parametrize("aside", [2e-5, 4e-5, 1e-4])
def test_at_no_price_one_row_is_paid_for_where_two_save_less_than_a_tiny_price(aside):
    """F(0) ≥ F(β) − β log n: lower_bound ≤ D of a row for each symbol, 1e-10 to 2e-9 less."""
    p = np.array([0, 0.5, 0, 0, 0, 0.5, 0])
    curve = FamilyCurve(p, GaussianDecoder(7, means=(3 + aside,) * 2, widths=(0.5, 7)))
    rows, free = curve.family.fit(np.vstack([p, np.eye(7)[[1, 5]]])), Target("beta", 0.0)
    D = -p @ curve.family.log_rows(rows[1:]).max(axis=0)
    answer, _ = curve._certified(free, curve.over_rows(free, rows[:1]))
    assert answer.D > D + 9e-11
    assert answer.lower_bound <= D + 1e-14


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_large_distortions_of_a_family_leave_room_for_their_rounding(beta):
    """Of one row D + βR = Σ p cost, in fifty digits: lower_bound is no more, to the last bit."""
    family = GaussianDecoder(20, means=(1, 1), widths=(0.05, 0.05))
    for p in np.random.default_rng(0).dirichlet(np.ones(20), 20):
        solution = solve(p, beta=beta, decoder=family)
        F, _ = exact_curve.lagrangian(solution.p, solution.cost, 1.0, solution.m)
        assert Decimal(solution.lower_bound) <= F


# Each bound of a frontier alone


@pytest.mark.parametrize("betas_", [[0.1], [0.3, 1.0], [0.05, 0.4]])
def test_without_an_upright_tangent_the_last_one_slopes(betas_):
    """lower ≤ D(R) on R = log 2 − h(D) and at the points, also below the least rate computed."""
    curve = frontier(HALF, cost=BINARY, betas=betas_)
    D = np.linspace(0.01, 0.5, 50)
    rates = np.maximum([float(binary_rate(Decimal(one))) for one in D], 0.0)
    assert (curve.bounds_at(rates)[0] <= D + 1e-12).all()
    assert (curve.bounds_at(curve.R)[0] <= curve.D + 1e-12).all()


def test_of_a_local_search_an_upright_tangent_proves_entropy_alone():
    """At R = 0 one row is best, D > H, which no search proves."""
    source = bars_and_stripes(2, flip=0.1)
    curve = frontier(
        source.p, decoder=BernoulliDecoder(source.images), n_z=3, betas=[1, INF], starts=1
    )
    assert entropy(source.p) + 0.1 < curve[-1].D
    assert (curve.bounds_at([0.0, 0.1])[0] <= entropy(source.p) + 1e-12).all()


@pytest.mark.parametrize("loose", [0, 0.05, 0.3])
@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("betas_", [[0.1, 0.3, 0.6], [0, 0.2, 1, INF], [0.2, 2.0], [0, 0.3, 0.4]])
def test_the_width_is_the_greatest_distance_of_a_chord_from_the_tangents(scale, betas_, loose):
    """Sampled from the bounds alone, at right angles to each chord, in units of both ranges.

    Bounds that are lower at every second point leave the tangent of another to count there.
    """
    tight = frontier(HALF, cost=scale * BINARY, betas=scale * np.array(betas_))
    points = [
        replace(point, gap=point.gap + scale * loose * (i % 2)) for i, point in enumerate(tight)
    ]
    curve = replace(tight, points=tuple(points))
    R, D = (np.sort(numbers) / np.ptp(numbers) for numbers in (curve.R, curve.D))
    run, rise, found = np.diff(R), np.diff(D)[::-1], []
    for i in range(run.size):
        lower, upper = curve.bounds_at(np.linspace(R[i], R[i + 1], 2001) * np.ptp(curve.R))
        height = (upper - lower)[1:].max() / np.ptp(curve.D)  # beside an upright tangent it jumps
        found.append(height * run[i] / math.hypot(run[i], rise[i]))
    assert max(found) * (1 - 1e-12) <= curve.width <= max(found) * (1 + 1e-2)


# Each bound of what is identified alone


@pytest.mark.parametrize("apart", [0.01, 0.1])
def test_pinsker_s_bound_is_nearly_reached_where_classes_all_but_agree(apart):
    """I(Z; Z*) ≥ s²/2 for a separation s of equal classes; a lossless code has both."""
    source = Source([0.5, 0.5], [[0.5 + apart, 0.5 - apart], [0.5 - apart, 0.5 + apart]])
    found = identified(source, rate=entropy(source.p), measure="information").least
    assert found.bound <= source.information * (1 + 1e-12)
    assert found.bound == pytest.approx(2 * apart**2, rel=1e-9)


def test_what_is_largest_is_never_above_its_bound():
    """log 2 − h((1 + s)/2) = R of a symbol that is its class: bound ≥ s, also to rounding."""
    source = Source([0.5, 0.5], np.eye(2))
    for rate in np.linspace(0.02, 0.66, 20):
        found = identified(source, rate=rate).largest
        with localcontext(Context(prec=30)):
            s = Decimal(found.bound)
            told = ((1 + s) * (1 + s).ln() + (1 - s) * (1 - s).ln()) / 2
        assert told >= Decimal(rate)


# Rounding and tolerance alone


@pytest.mark.parametrize("floor", [1e6, 1e9, 1e12])
def test_costs_that_cancel_leave_the_rounding_of_their_sizes(floor):
    """Of floors 0.7 c and −0.3 c the sum is 0 but for rounding of c; fifty digits know which."""
    rng = np.random.default_rng(0)
    for share in rng.uniform(0.2, 0.8, 10):
        p = np.array([share, 1 - share])
        cost = BINARY + floor * np.array([[1 - share], [-share]])
        for beta in (0.2, 0.5):
            solution = rate_distortion(p, cost, beta=beta)
            high = exact_curve.least_lagrangian(solution.p, cost, beta, solution.m)[1]
            assert Decimal(solution.lower_bound) <= high


@pytest.mark.parametrize("beta", [0.02, 0.1, 0.5])
def test_below_one_the_tolerance_is_that_of_the_rate(beta):
    """The textbook iteration stops as soon as R is known to tol, and so D + βR to β tol."""
    cost = np.abs(np.subtract.outer([0, 1, 2], [0, 0.7, 1, 2.2]))
    solution = rate_distortion([0.2, 0.3, 0.5], cost, beta=beta, method="blahut-arimoto", tol=1e-2)
    assert solution.iterations > 0
    assert 0 < solution.gap <= 1e-2 * beta + 1e-14


def test_the_width_of_stairs_is_the_greatest_rise_above_the_tangents():
    """Just before each step, where the upper bound is still that of the step above."""
    source = bars_and_stripes(2, flip=0.1)
    curve = frontier(
        source.p, decoder=BernoulliDecoder(source.images), n_z=5, n=5, starts=1, rng=0, tol=1e-4
    )
    rates, D = curve.reached
    lower, upper = curve.bounds_at(np.nextafter(rates[1:], 0))
    assert upper.tolist() == D[:-1].tolist()
    assert curve.width == pytest.approx((upper - lower).max() / np.ptp(curve.D), rel=1e-9)


def test_a_split_that_is_not_even_is_no_proven_optimum():
    """Two latents carry log 2 at the most, and masses .6, .3, .1 fall short of that."""
    p = [0.6, 0.3, 0.1]
    solution = solve(p, beta=0.5, n_z=2)
    assert solution.status is Status.LOCAL
    assert solution.lower_bound == pytest.approx(entropy(p) - 0.5 * math.log(2), abs=1e-14)
    assert solution.gap == pytest.approx(0.5 * (math.log(2) - entropy([0.6, 0.4])), abs=1e-14)


def test_a_largest_information_is_not_proven_where_cells_run_out(monkeypatch):
    source = toy_source(n_bins=6, means=(1.2, 3.8), widths=(0.8, 1), information=None)
    assert identified(source, rate=0.3, measure="information").largest.proven
    monkeypatch.setattr(cells, "MOST", 0)
    assert not identified(source, rate=0.3, measure="information").largest.proven


def test_at_no_price_a_badly_fitted_row_is_paid_for():
    """D ≥ lower_bound of rows that fit each symbol exactly, 2.4e-11 below what is found."""
    p, box = np.array([0, 0.5, 0, 0, 0, 0.5, 0]), {"means": (3 + 1e-6,) * 2, "widths": (0.5, 7)}
    exactly, badly = (
        solve(p, beta=0, decoder=family(7, **box)) for family in (GaussianDecoder, Blunt)
    )
    assert badly.D > exactly.D + 1e-11
    assert badly.lower_bound <= exactly.D
