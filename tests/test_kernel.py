"""The convex core: what its parts promise, where a whole solve seldom looks."""

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toyrd import kernel, rate_distortion
from toyrd.kernel import Kernel, cover, line_search, newton, quadratic
from toyrd.testing import distributions, tables

INF = math.inf
law = settings(deadline=None, max_examples=50)


@law
@given(distributions(4, smallest=1e-9), st.data(), st.sampled_from([1.0, 1e9]))
def test_differences_keep_their_digits_where_all_costs_are_small(p, data, beta):
    """With offset or without, c − 1 averages to 0 over m, and log g has its own precision."""
    p = p[p > 0]
    cost = -np.log(np.maximum(data.draw(tables(p.size, 3)), 1e-9))
    core = Kernel(p, cost, beta)
    m = np.array([0.5, 0.0, 0.5])
    live, b = core.mixture(m)
    assert live.tolist() == [0, 2]
    assert m @ core.excess(b) == pytest.approx(0, abs=1e-15 * (1 + np.abs(core.excess(b)).max()))
    if beta == 1e9:
        assert core.offset == 1
        above = cost - cost.min(axis=1, keepdims=True)
        assert core.log_g(b) == pytest.approx(-(above @ m) / beta, rel=1e-7, abs=1e-300)


@law
@given(distributions(5, smallest=1e-9), st.data(), st.sampled_from([1e-3, 1.0, 1e3]))
def test_the_cover_leaves_no_symbol_far_from_every_live_latent(p, data, beta):
    """Cold, within β of the least cost; warm, within 20β, and what was live stays."""
    cost = -np.log(np.maximum(data.draw(tables(5, 4)), 1e-9))
    core = Kernel(p[p > 0], cost[p > 0], beta)
    warm = np.array([0.0, 1.0, 0.0, 0.0])
    for m, reach in ((None, 1.0), (warm, 20.0)):
        covered = cover(core, m)
        assert covered.sum() == pytest.approx(1, abs=1e-15)
        above = core.cost[:, covered > 0].min(axis=1) - core.floor
        assert (above <= reach * beta * (1 + 1e-12)).all()
    assert covered[1] > 0


def test_no_step_is_taken_against_the_slope_or_where_nothing_is_gained():
    """1 along the way down, a half where 1 would go too far, 0 where every step goes up."""
    p = np.array([0.5, 0.5])
    assert line_search(p, np.array([0.5, 0.5]), 0.5, 0.0) == 1
    assert line_search(p, np.array([-1.0, 3.0]), 0.5, 0.0) == 0.5
    assert line_search(p, np.array([0.5, -0.5]), -0.1, 0.0) == 0
    assert line_search(p, np.array([-0.5, -0.5]), 0.5, 0.0) == 0
    assert line_search(p, np.array([1e-16, -1e-16]), -1e-20, 1e-19) == 1


@pytest.mark.parametrize("small", [0, kernel.SMALL])
def test_where_no_step_helps_the_marginal_is_kept(monkeypatch, small):
    monkeypatch.setattr(kernel, "SMALL", small)
    monkeypatch.setattr(kernel, "line_search", lambda *_: 0.0)
    core = Kernel(np.array([0.5, 0.5]), np.array([[0.0, 2.0], [2.0, 0.0]]), 1.0)
    kept = [m.tolist() for m, _ in islice(newton(core, np.array([0.9, 0.1]), 1e-12), 3)]
    assert kept == [[0.9, 0.1]] * 3


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


def test_a_quadratic_that_rounding_keeps_from_settling_ends_all_the_same():
    """Masses of 1e-241 beside 1 leave the model all but singular; the answer is certified."""
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
        assert pytest.approx(0, abs=1e-11) == point.R
