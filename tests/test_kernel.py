"""The convex core: what its parts promise, and the method where blocks of letters move."""

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from toyrd import kernel
from toyrd.kernel import (
    Kernel,
    blahut_arimoto,
    cover,
    interior,
    line_search,
    newton,
    projected,
    quadratic,
    scaled,
    settled,
)
from toyrd.testing import distributions, tables

INF = math.inf
EPS = float(np.finfo(float).eps)
HALF = np.array([0.5, 0.5])
law = settings(deadline=None, max_examples=50)


def solved(core, m=None, tol=1e-10, rounds=60):
    """Return the optimum, its largest excess, or +∞, and the largest that counts as optimal."""
    m = cover(core, m)
    threshold = core.threshold(tol, core.objective(core.mixture(m)[1]))
    steps = islice(newton(core, m, threshold), rounds)
    ends = (found for found in steps if found[1].max() <= threshold)
    m, excess = next(ends, (m, np.full(1, INF)))
    return m, float(excess.max()), threshold


def costs(d):
    return -np.log(np.maximum(d, 1e-9))


def hamming(p):
    return p / p.sum(), 1 - np.eye(p.size)


def spike_trains(length, rate=0.1):
    """Return all words of bits, and their squared van Rossum distances."""
    bits = (np.arange(2**length)[:, None] >> np.arange(length)[::-1]) & 1
    p = np.prod(np.where(bits, rate, 1 - rate), axis=1)
    trace, v = np.zeros(bits.shape), np.zeros(len(bits))
    for t in range(length):
        v = 0.8 * v + bits[:, t]
        trace[:, t] = v
    square = (trace**2).sum(axis=1)
    return p / p.sum(), np.maximum(square[:, None] + square - 2 * trace @ trace.T, 0)


# The table


@law
@given(distributions(4, smallest=1e-9), st.data(), st.sampled_from([1.0, 1e9]))
def test_differences_keep_their_digits_where_all_costs_are_small(p, data, beta):
    """With offset or without, c − 1 averages to 0 over m, and log g has its own precision."""
    p = p[p > 0]
    cost = costs(data.draw(tables(p.size, 3)))
    core = Kernel(p, cost, beta)
    m = np.array([0.5, 0.0, 0.5])
    live, b = core.mixture(m)
    assert live.tolist() == [0, 2]
    assert m @ core.excess(b) == pytest.approx(0, abs=1e-15 * (1 + np.abs(core.excess(b)).max()))
    if beta == 1e9:
        assert core.offset == 1
        above = cost - cost.min(axis=1, keepdims=True)
        assert core.nats(b) == pytest.approx(p @ above @ m / beta, rel=1e-7, abs=1e-300)


@law
@given(
    distributions(4, smallest=1e-300),
    distributions(3),
    st.data(),
    st.sampled_from([0.0, 1e-6, 0.03, 1.0, 1e10, INF]),
)
def test_numbers_are_those_of_the_stored_tables_within_rounding(p, m, data, beta):
    """D + βR of e and m as they are stored, summed in long doubles, is F; also with a dead fit."""
    p = p[p > 0]
    cost = costs(data.draw(tables(p.size, 3)))
    core = Kernel(p, cost, beta)
    D, R, _, F = core.measure(m[None])[0]
    e = encoder(core, m)
    long = np.longdouble
    joint = p.astype(long)[:, None] * e
    used = joint > 0
    nats = np.log(np.where(used, e, 1).astype(long) / np.where(m > 0, m, 1).astype(long))
    exact_D, exact_R = (joint * cost).sum(), (joint * nats)[used].sum()
    assert pytest.approx(float(exact_D), abs=1e-13 * (1 + abs(D))) == D
    assert pytest.approx(float(exact_R), abs=1e-13 * (1 + R)) == R
    exact = exact_D + (long(beta) * exact_R if 0 < beta < INF else 0)
    room = core.rounding(F, np.count_nonzero(m)) + (abs(m.sum() - 1) + EPS) * core.price
    assert abs(float(exact - F)) <= room


def encoder(core, m):
    """Return e ∝ m exp(−cost/β) in double precision, with shares of 1 between the live ones."""
    live = np.flatnonzero(m)
    part = core.cost[:, live]
    above = part - part.min(axis=1, keepdims=True)
    if core.beta == 0:
        t = np.where(above > 0, -np.inf, 0.0)
    else:
        t = np.zeros_like(above) if core.beta == INF else -above / core.beta
    t += np.log(m[live])
    share = np.exp(t - t.max(axis=1, keepdims=True))
    e = np.zeros_like(core.cost)
    e[:, live] = share / share.sum(axis=1, keepdims=True)
    return e


def test_with_several_live_latents_a_large_beta_leaves_room_for_rounding():
    """Rows of e sum to 1 up to a few units, which is 7.5e-7 at β = 1e10; alone, e is 1."""
    cost = -np.log([[0.3, 0.9, 0.45], [0.7, 0.1, 0.55]])
    core = Kernel(np.array([0.3, 0.7]), cost, 1e10)
    F = core.measure(np.array([[0.2, 0.3, 0.5]]))[0, 3]
    assert 7.5e-7 < core.rounding(F, live=3) < 1e-4
    assert core.rounding(F) < 1e-13
    assert core.threshold(1e-10, F, live=3) > core.threshold(1e-10, F) > 0


@law
@given(distributions(4, smallest=1e-9), st.data(), st.sampled_from([0.0, 0.05, 1.0, 1e6, INF]))
def test_several_marginals_are_measured_as_one_by_one(p, data, beta):
    """D, R and F = D + βR are sums over the encoder, and I = R − KL(e(z) ‖ m) ≥ 0."""
    p = p[p > 0]
    core = Kernel(p, costs(data.draw(tables(p.size, 3))), beta)
    marginals = np.array([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25], [0.98, 0.01, 0.01]])
    for m, row in zip(marginals, core.measure(marginals), strict=True):
        e = encoder(core, m)
        D, R = float((p @ (e * core.cost)).sum()), float(p @ rel_entr(e, m).sum(axis=1))
        F = D + beta * R if beta < INF else D
        shared = max(0, R - float(rel_entr(p @ e, m).sum()))
        assert row == pytest.approx([D, R, shared, F], rel=1e-10, abs=1e-12 + 1e-15 * core.price)


# The start


@law
@given(distributions(5, smallest=1e-9), st.data(), st.sampled_from([1e-3, 1.0, 1e3]))
def test_the_cover_leaves_no_symbol_far_from_every_live_latent(p, data, beta):
    """Cold, within β of the least cost; warm, within 20β, and what was live stays."""
    cost = costs(data.draw(tables(5, 4)))
    core = Kernel(p[p > 0], cost[p > 0], beta)
    warm = np.array([0.0, 1.0, 0.0, 0.0])
    for m, reach in ((None, 1.0), (warm, 20.0)):
        covered = cover(core, m)
        assert covered.sum() == pytest.approx(1, abs=1e-15)
        above = core.cost[:, covered > 0].min(axis=1) - core.floor
        assert (above <= reach * beta * (1 + 1e-12)).all()
    assert covered[1] > 0


def test_where_each_symbol_has_its_own_latent_the_start_is_p_and_is_optimal():
    """R = H at once, for Hamming costs at a small β and for words of bits."""
    x = np.linspace(-5, 5, 300)
    words = spike_trains(6)
    for (p, cost), beta in ((hamming(np.exp(-(x**2) / 2)), 1e-10), (words, 0.01)):
        core = Kernel(p, cost, beta)
        m = cover(core, None)
        assert m == pytest.approx(p, abs=1e-15)
        assert core.excess(core.mixture(m)[1]).max() <= 1e-14
        assert core.measure(m[None])[0, 1] == pytest.approx(-p @ np.log(p), rel=1e-13)


def test_where_one_latent_serves_all_it_is_the_start():
    """At a large β the least expected cost decides."""
    rng = np.random.default_rng(0)
    p, cost = rng.dirichlet(np.ones(9)), rng.random((9, 5))
    m = cover(Kernel(p, cost, 1e3), None)
    assert m.nonzero()[0].tolist() == [int((p @ cost).argmin())]


# The two methods


def test_the_textbook_update_is_m_times_c():
    p, cost = np.array([0.3, 0.7]), np.array([[0.0, 1.0, 0.4], [1.0, 0.0, 0.4]])
    core = Kernel(p, cost, 0.5)
    (m, _), (after, excess) = islice(blahut_arimoto(core, np.full(3, 1 / 3)), 2)
    A = np.exp(-cost / 0.5)
    assert after == pytest.approx(m * ((p / (A @ m)) @ A), abs=1e-15)
    assert excess == pytest.approx((p / (A @ after)) @ A - 1, abs=1e-14)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(1, 3), (3, 1), (2, 80), (9, 30), (20, 9), (40, 90)]),
    st.sampled_from(["random", "ties", "squares"]),
    st.sampled_from([1e-6, 0.03, 0.3, 3.0, 1e6, 1e10, 0.0, INF]),
    st.sampled_from([1e-300, 1.0, 1e5, 1e295]),
    st.sampled_from([1e-10, 1e-13]),
)
def test_every_problem_is_certified_cold_and_warm(seed, shape, kind, beta, scale, tol):
    """Duplicate rows and columns, +∞, denormal p and any scale: the excess ends below tol."""
    rng = np.random.default_rng(seed)
    n, k = shape
    cost = rng.random(shape)
    if kind == "ties":
        cost = rng.choice([0, 1, 1, 0.3, 5, 1 + 1e-8, INF, INF], shape)
        cost[:, -1], cost[-1] = cost[:, 0], cost[0]
        cost[np.isinf(cost).all(axis=1), 0] = 1
    elif kind == "squares":
        cost = np.subtract.outer(np.linspace(0, 1, n), np.linspace(0, 1, k)) ** 2
    p = rng.dirichlet(np.full(n, 0.3)) * 10.0 ** rng.choice([0, 0, 0, -20, -310], n)
    p = p / p.sum()
    cost, p = cost[p > 0] * scale, p[p > 0]
    m, excess, threshold = solved(Kernel(p, cost, beta * scale), tol=tol)
    assert excess <= threshold
    assert m.sum() == pytest.approx(1, abs=1e-13)
    m, excess, threshold = solved(Kernel(p, cost, 1.1 * beta * scale), m, tol=tol)
    assert excess <= threshold


@pytest.mark.parametrize("beta", [0.05, 0.2])
@pytest.mark.parametrize("kind", ["smooth", "random"])
def test_hamming_costs_are_solved_as_by_water_filling(kind, beta):
    """With A = ε + (1 − ε) 1, the live letters have m = (p (1 − ε + kε)/Σp − ε)/(1 − ε)."""
    n = 300
    x = np.linspace(-5, 5, n)
    weights = (
        np.exp(-(x**2) / 2) if kind == "smooth" else np.random.default_rng(1).exponential(size=n)
    )
    p, cost = hamming(weights)
    m, excess, threshold = solved(Kernel(p, cost, beta))
    assert excess <= threshold
    epsilon, order = math.exp(-1 / beta), np.argsort(-p)
    for k in range(n, 0, -1):
        live = order[:k]
        filled = p[live] / p[live].sum() * (1 + (k - 1) * epsilon) - epsilon
        if filled.min() >= 0:
            break
    exact = np.zeros(n)
    exact[live] = filled / filled.sum()
    assert m == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
def test_words_of_bits_are_certified_in_a_few_rounds(beta):
    """Blocks of letters leave and enter at once: of 256, about 250, 50 and 4 stay."""
    _, excess, threshold = solved(Kernel(*spike_trains(8), beta), rounds=8)
    assert excess <= threshold


@pytest.mark.parametrize("n", [30, 200])
def test_newton_lowers_the_objective_in_every_step(n):
    x = np.linspace(0, 1, n)
    p = np.exp(-8 * (x - 0.4) ** 2)
    core = Kernel(p / p.sum(), np.subtract.outer(x, x) ** 2, 0.01)
    rounds = [m for m, _ in islice(newton(core, cover(core, None), 1e-12), 12)]
    assert (np.diff(core.measure(np.array(rounds))[:, 3]) <= 1e-16).all()


def test_a_mass_that_nothing_can_hold_is_kept_from_vanishing():
    """Masses of 1e-241 beside 1 leave the model all but singular; the answer is certified."""
    p = np.array([0.999999999999897, 1.8290556953152934e-241, 1.0304421871534321e-13, 1.95e-144])
    cost = np.array(
        [
            [1.5766473629516007, INF, 0.9221158884529855, INF],
            [INF, 1.2117525413028662, 3.892806605530131, INF],
            [INF, INF, INF, 1.6015893335256206],
            [INF, 1.405124862045213, 0.648410651018601, 0.5555670856426019],
        ]
    )
    for beta in (1e-3, 1.0, 1e3, INF):
        m, excess, threshold = solved(Kernel(p, cost, beta), tol=1e-13)
        assert excess <= threshold
        assert Kernel(p, cost, beta).measure(m[None])[0, 1] == pytest.approx(0, abs=1e-11)


# The parts of a step


def test_no_step_is_taken_against_the_slope_or_where_nothing_is_gained():
    """1 along the way down, a half where 1 would go too far, 0 where every step goes up."""
    assert line_search(HALF, np.array([0.5, 0.5]), 0.5, 0.0) == 1
    assert line_search(HALF, np.array([-1.0, 3.0]), 0.5, 0.0) == 0.5
    assert line_search(HALF, np.array([0.5, -0.5]), -0.1, 0.0) == 0
    assert line_search(HALF, np.array([-0.5, -0.5]), 0.5, 0.0) == 0
    assert line_search(HALF, np.array([1e-16, -1e-16]), -1e-20, 1e-19) == 1


def test_where_no_step_helps_the_marginal_is_kept(monkeypatch):
    monkeypatch.setattr(kernel, "line_search", lambda *_: 0.0)
    for beta in (1.0, 1e3):
        core = Kernel(HALF, np.array([[0.0, 2.0], [2.0, 0.0]]), beta)
        assert settled(core, np.array([0.9, 0.1]), 1e-12).tolist() == [0.9, 0.1]


@law
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.3, 3.0]))
def test_interior_steps_never_raise_the_objective_and_leave_every_symbol_a_latent(seed, beta):
    rng = np.random.default_rng(seed)
    p, cost = rng.dirichlet(np.ones(7)), rng.random((7, 12))
    core = Kernel(p, cost, beta)
    start = cover(core, None)
    m = interior(core, start, 1e-10)
    b = core.table @ m
    assert m.sum() == pytest.approx(1, abs=1e-13)
    assert (core.offset + b).min() > 0
    assert core.objective(b) <= core.objective(core.table @ start)


def test_interior_steps_that_gain_nothing_are_undone(monkeypatch):
    """Also those that end at their cap."""
    monkeypatch.setattr(kernel, "held", lambda *_: np.zeros(2))
    core = Kernel(np.array([0.9, 0.1]), np.array([[0.0, 2.0], [2.0, 0.0]]), 1.0)
    start, risen = np.array([0.7, 0.3]), iter([1.0, 0.0])
    monkeypatch.setattr(core, "objective", lambda _: next(risen))
    assert interior(core, start, 1e-12) is start
    assert interior(core, start, INF) is start


@law
@given(st.integers(1, 6), st.integers(0, 10**6), st.booleans())
def test_the_quadratic_model_is_solved_on_the_simplex(n, seed, singular):
    """y is a distribution, no worse than m, and no move between two latents helps much."""
    rng = np.random.default_rng(seed)
    m = rng.dirichlet(np.ones(n))
    C, excess = rng.normal(size=(2 if singular else 8, n)), rng.normal(size=n)
    C, excess = C - (C @ m)[:, None], excess - excess @ m  # as C = (A − g)/g and p C are
    N = C.T @ C
    y = quadratic(N, excess, m)
    assert y.min() >= 0
    assert y.sum() == pytest.approx(1, abs=1e-12)
    move = y - m
    assert 0.5 * move @ N @ move - excess @ move <= 1e-9
    slope = N @ move - excess
    room = kernel.EXACT * float(excess.max()) + 1e-7 * (1 + np.abs(slope).max())
    assert slope[y > 1e-6].max() - slope.min() <= room


@law
@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from([0.03, 0.3, 3.0]))
def test_the_compiled_least_squares_solve_the_same_model(seed, n, beta):
    """½ δᵀNδ − excess·δ is no higher than that of the active-set method, but for its slack."""
    rng = np.random.default_rng(seed)
    core = Kernel(rng.dirichlet(np.ones(7)), 5 * rng.random((7, n)), beta)
    m = rng.dirichlet(np.ones(n))
    b = core.table @ m
    S, excess = scaled(core, core.table, b), core.excess(b)

    def value(y):
        return ((S @ (y - m)) ** 2).sum() / 2 - excess @ (y - m)

    y = projected(S, core.root, m)
    assert y.min() >= 0
    assert y.sum() == pytest.approx(1, abs=1e-14)
    assert value(y) <= value(quadratic(S.T @ S, excess, m)) + 1e-12


def test_least_squares_that_fail_are_no_step(monkeypatch):
    """The careful method goes on, and the answer is certified all the same."""

    def failing(*_):
        raise RuntimeError

    monkeypatch.setattr(kernel, "nnls", failing)
    assert projected(np.eye(2), HALF, HALF) is HALF
    _, excess, threshold = solved(Kernel(*hamming(np.arange(1.0, 9)), 0.4))
    assert excess <= threshold


def test_more_than_can_be_had_ends_at_a_cap_with_a_feasible_and_better_answer(monkeypatch):
    rng = np.random.default_rng(0)
    C, excess, m = rng.normal(size=(16, 8)), rng.normal(size=8), rng.dirichlet(np.ones(8))
    m[:3] = 0
    m /= m.sum()
    C, excess = C - (C @ m)[:, None], excess - excess @ m
    best = quadratic(C.T @ C, excess, m)
    monkeypatch.setattr(kernel, "EXACT", -1e9)  # no answer is as exact as that
    y = quadratic(C.T @ C, excess, m)
    assert (y >= 0).all()
    assert y.sum() == pytest.approx(1, abs=1e-12)

    def value(y):
        return ((C @ (y - m)) ** 2).sum() / 2 - excess @ (y - m)

    assert value(y) <= value(best) + 1e-9


def test_a_model_that_rounding_empties_leaves_the_marginal_alone():
    """An excess of 5.6e-17 over a curvature of 8e-34 says nothing, and divides nothing by 0."""
    m = np.array([1.0])
    found = quadratic(np.array([[8.18520226e-34]]), np.array([5.55e-17]), m)
    np.testing.assert_array_equal(found, m)


@pytest.mark.parametrize("beta", [0.0, 0.5, INF])
@pytest.mark.parametrize("m", [[1.0, 0.0, 1e-310], [1.0, 1e-310, 1e-300], [1.0, 0.0, 5e-324]])
def test_a_symbol_that_only_a_faint_latent_serves_is_measured(m, beta):
    """D and R = Σ p Σ e log(e/m) ≥ I, all finite, where p/g overflows."""
    p, cost = np.array([0.5, 0.5]), np.array([[0.0, 1.0, INF], [INF, INF, 0.25]])
    D, R, told, F = Kernel(p, cost, beta).measure(np.array([m]))[0]
    assert pytest.approx(0.125 + 0.5 * (m[1] > 0.5)) == D
    assert pytest.approx(-0.5 * np.log(m[2]), rel=1e-12) == R
    assert pytest.approx(np.log(2)) == told
    assert pytest.approx(D + (beta * R if beta < INF else 0)) == F
