"""All tables free: the closed form, its encoders, and what starts know of one another."""

import math

import exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import INF, THIRDS, TOY, H

from toyrd import entropy, mutual_information, rate_distortion, smooth_encoder, solve
from toyrd.testing import distributions

law = settings(deadline=None, max_examples=40)


def near(value, tolerance=1e-12):
    return pytest.approx(value, abs=tolerance)


def told(p, e):
    return mutual_information(np.asarray(p)[:, None] * e)


@law
@given(distributions(max_size=8), st.integers(1, 10), st.sampled_from([0.0, 0.5, 1 - 1e-9]))
def test_below_one_the_answer_is_a_code(p, n_z, beta):
    """Deterministic, D + R = H; lossless with latents enough, else I ≤ log n_z."""
    solution = solve(p, beta=beta, n_z=n_z)
    assert ((solution.e == 0) | (solution.e == 1)).all()
    assert told(p, solution.e) <= min(entropy(p), math.log(n_z)) + 1e-13
    assert near(entropy(p), 1e-13 + 1e-12 * entropy(p)) == solution.D + solution.R
    if n_z >= p.size:
        assert told(p, solution.e) == near(entropy(p), 1e-13)
        assert near(0, 1e-13) == solution.D


@law
@given(distributions(max_size=6), st.sampled_from([0.1, 0.5, 1.0, 1.5, 10.0]))
def test_the_least_lagrangian_is_that_of_theory(p, beta):
    """min D + βR = min(1, β) H, fifty digits; at β = 1 the start decides nothing of it."""
    least = min(1, beta) * exact.entropy(p)
    assert solve(p, beta=beta).objective == near(least)
    if beta == 1:
        for rng in range(2):
            found = solve(p, beta=1, start="random", rng=rng)
            assert found.objective == near(least)
            assert found.iterations <= 2  # every encoder is optimal: it stops at once


def test_free_alternation_below_one_is_only_a_local_search():
    """On the toy it ends above βH, and its gap says by how much."""
    found = solve(TOY.p, beta=0.8, start="random", rng=0, max_iter=300, tol=1e-3, starts=1)
    best = solve(TOY.p, beta=0.8)
    assert best.objective == near(0.8 * H)
    assert found.objective > best.objective + 1e-4
    assert found.gap >= found.objective - best.objective - 1e-12


@pytest.mark.parametrize(
    ("n_z", "separation"), [(2, 0.833), (3, 0.220), (5, 0.614), (10, 0.794), (30, 0.803)]
)
def test_the_tie_break_depends_on_the_number_of_latents(n_z, separation):
    """Theory §9, at R = 0.5."""
    assert TOY.separation(solve(TOY.p, rate=0.5, n_z=n_z).e) == near(separation, 6e-4)


@pytest.mark.parametrize(("rate", "separation"), [(0.05, 0.148), (0.1435, 0.328), (0.3, 0.579)])
def test_a_mis_stated_rate_loses_the_classes(rate, separation):
    """Theory §9."""
    assert TOY.separation(solve(TOY.p, rate=rate).e) == near(separation, 6e-4)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_preferred_cost_does_not_matter(scale):
    """Latents lie evenly over the symbols: the default is the squared distance, in any unit."""
    x, z = np.arange(30)[:, None], np.linspace(0, 29, 7)
    default = solve(TOY.p, rate=0.5, n_z=7)
    chosen = solve(TOY.p, rate=0.5, prefer=scale * (x - z) ** 2)
    np.testing.assert_allclose(chosen.e, default.e, atol=1e-6)
    spent = float((TOY.p[:, None] * default.e * (x - z) ** 2).sum())
    assert spent == pytest.approx(rate_distortion(TOY.p, (x - z) ** 2, rate=0.5).D, rel=1e-9)


# The smooth start


@law
@given(distributions(max_size=8, smallest=1e-3), st.integers(2, 8), st.floats(-12, -1))
def test_the_smooth_encoder_has_the_information_asked_for(p, n_z, power):
    """I(X; Z) = rate to rounding, or the narrowest kernel falls short of it."""
    rate = 10.0**power
    e = smooth_encoder(p, n_z, rate=rate)
    assert e.sum(axis=1) == pytest.approx(1)
    narrowest = told(p, smooth_encoder(p, n_z, rate=100))
    assert told(p, e) == pytest.approx(min(rate, narrowest), abs=1e-13, rel=1e-9)


def test_the_smooth_encoder_of_the_toy():
    """By default R = 0.0002, as printed under the paper's Figure 2b."""
    e = smooth_encoder(TOY.p)
    assert told(TOY.p, e) == near(2e-4, 1e-15)
    assert np.argmax(e, axis=1).tolist() == sorted(np.argmax(e, axis=1))
    assert (solve(TOY.p, beta=1).e == e).all()


@pytest.mark.parametrize("n_z", [1, 2, 5, 7])
@pytest.mark.parametrize("n_x", [1, 2, 3, 7])
def test_where_nothing_can_be_told_the_smooth_encoder_says_nothing(n_x, n_z):
    """One symbol, one latent, or a rate of 1e-20 nats, which cannot be told from 0."""
    p = np.full(n_x, 1 / n_x)
    assert smooth_encoder(p, n_z, rate=1e-20) == near(1 / n_z, 1e-7)
    if 1 in (n_x, n_z):
        assert smooth_encoder(p, n_z).shape == (n_x, n_z)
        assert told(p, smooth_encoder(p, n_z)) == near(0, 1e-15)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"p": [0.5, 0.4]}, ValueError, "p must sum to 1"),
        ({"n_z": 0}, ValueError, "n_z is 0"),
        ({"n_z": 2.5}, TypeError, "n_z must be an integer"),
        ({"rate": 0}, ValueError, "rate is 0.0"),
        ({"rate": INF * 0}, ValueError, "rate is nan"),
        ({"rate": "much"}, TypeError, "rate must be one number"),
    ],
)
def test_bad_arguments_of_the_smooth_encoder_are_named(options, error, message):
    with pytest.raises(error, match=message):
        smooth_encoder(**{"p": THIRDS, **options})
