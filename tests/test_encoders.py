"""Encoders: the best response and the starts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toyrd import Model, best_encoder, entropy, mutual_information, smooth_encoder, toy_source
from toyrd.encoders import sharpest_encoder, squared_distance
from toyrd.testing import distributions, models, tables

INF = math.inf
law = settings(deadline=None, max_examples=50)
betas = st.one_of(st.sampled_from([0.0, 1e-3, 1.0, 1e3, INF]), st.floats(0.01, 100))


def lagrangian(model: Model, beta: float) -> float:
    return model.D if beta == INF else model.D + beta * model.R if beta else model.D


@law
@given(models(smallest=1e-9), betas, st.data())
def test_no_encoder_is_better_than_the_best(model, beta, data):
    """D + βR of any other encoder for the same d and m is no lower."""
    best = Model(model.p, best_encoder(model.d, model.m, beta), model.d, model.m)
    other = data.draw(tables(model.n_x, model.n_z, smallest=1e-9))
    for e in (model.e, other, 0.5 * other + 0.5 * best.e):
        rival = Model(model.p, e, model.d, model.m)
        if beta == INF:
            assert best.R <= rival.R + 1e-12 or rival.D == INF
        else:
            assert lagrangian(best, beta) <= lagrangian(rival, beta) * (1 + 1e-12) + 1e-12


@law
@given(models(), betas)
def test_the_best_encoder_is_a_table_and_keeps_to_the_live_latents(model, beta):
    """Rows sum to 1 even where products underflow; dead latents get nothing, lost symbols m."""
    e = best_encoder(model.d, model.m, beta)
    assert e.shape == (model.n_x, model.n_z)
    assert e.sum(axis=1) == pytest.approx(1, abs=1e-14)
    assert (e[:, model.m == 0] == 0).all()
    live = model.m > 0
    for x in range(model.n_x):
        if (model.d[live, x] == 0).all():
            assert e[x] == pytest.approx(model.m)
        else:
            assert (e[x, model.d[:, x] == 0] == 0).all()


def test_the_limits_of_the_best_encoder():
    """β = 0 shares the largest d(x|z) as m does; β = ∞ gives m where x is possible."""
    d = [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.1, 0.4, 0.5]]
    m = [0.2, 0.3, 0.5]
    sharp = best_encoder(d, m, 0)
    assert sharp == pytest.approx(np.array([[0.4, 0.6, 0], [1, 0, 0], [0, 0.375, 0.625]]))
    flat = best_encoder(d, m, INF)
    assert flat == pytest.approx(np.array([m, [2 / 7, 0, 5 / 7], [0, 0.375, 0.625]]))


@pytest.mark.parametrize(
    ("d", "m", "beta", "error", "message"),
    [
        ([[0.5, 0.6]], [1.0], 1, ValueError, r"every row of d must sum to 1, but d\[0\] sums to"),
        ([[0.5, 0.5]], [0.9], 1, ValueError, "m must sum to 1"),
        ([[0.5, 0.5]], [0.5, 0.5], 1, ValueError, r"d must have shape \(2, 2\)"),
        ([[0.5, 0.5]], [1.0], -1, ValueError, "beta is -1.0"),
        ([[0.5, 0.5]], [1.0], math.nan, ValueError, "beta is nan"),
        ([["a", "b"]], [1.0], 1, TypeError, "d must hold real numbers"),
        ([[0.5, 0.5]], [1.0], [1, 2], TypeError, "beta must be one number"),
    ],
)
def test_bad_arguments_of_the_best_encoder_are_named(d, m, beta, error, message):
    with pytest.raises(error, match=message):
        best_encoder(d, m, beta)


@law
@given(distributions(max_size=8, smallest=1e-3), st.integers(2, 8), st.floats(-12, -1))
def test_the_smooth_encoder_has_the_information_asked_for(p, n_z, power):
    """I(X; Z) = rate to rounding, or the narrowest kernel falls short of it."""
    rate = 10.0**power
    e = smooth_encoder(p, n_z, rate=rate)
    assert e.sum(axis=1) == pytest.approx(1)
    found = mutual_information(p[:, None] * e)
    narrowest = mutual_information(p[:, None] * smooth_encoder(p, n_z, rate=100))
    assert found == pytest.approx(min(rate, narrowest), abs=1e-13, rel=1e-9)


def test_the_smooth_encoder_of_the_toy():
    """By default R = 0.0002, as printed under the paper's Figure 2b."""
    p = toy_source().p
    e = smooth_encoder(p)
    assert mutual_information(p[:, None] * e) == pytest.approx(2e-4, abs=1e-15)
    assert np.argmax(e, axis=1).tolist() == sorted(np.argmax(e, axis=1))


@pytest.mark.parametrize(("p", "n_z"), [([1.0], 3), ([0.5, 0.5], 1), ([1.0], 1)])
def test_where_nothing_can_be_told_the_smooth_encoder_is_narrow(p, n_z):
    """One symbol or one latent leaves I = 0."""
    e = smooth_encoder(p, n_z)
    assert e.shape == (len(p), n_z)
    assert mutual_information(np.array(p)[:, None] * e) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("n_z", [2, 5, 6, 7])
@pytest.mark.parametrize("n_x", [1, 2, 3, 7])
def test_information_below_rounding_gives_a_flat_encoder(n_x, n_z):
    """A rate of 1e-20 nats cannot be told from 0; the search ends all the same."""
    e = smooth_encoder(np.full(n_x, 1 / n_x), n_z, rate=1e-20)
    assert e == pytest.approx(1 / n_z, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"p": [0.5, 0.4]}, ValueError, "p must sum to 1"),
        ({"n_z": 0}, ValueError, "n_z is 0"),
        ({"n_z": 2.5}, TypeError, "n_z must be an integer"),
        ({"rate": 0}, ValueError, "rate is 0.0"),
        ({"rate": "much"}, TypeError, "rate must be one number"),
    ],
)
def test_bad_arguments_of_the_smooth_encoder_are_named(options, error, message):
    with pytest.raises(error, match=message):
        smooth_encoder(**{"p": [0.5, 0.5], **options})


@law
@given(distributions(max_size=8), st.integers(1, 10))
def test_the_sharpest_encoder_is_a_code(p, n_z):
    """Deterministic; lossless with latents enough."""
    e = sharpest_encoder(p, n_z)
    assert ((e == 0) | (e == 1)).all()
    assert (e.sum(axis=1) == 1).all()
    information = mutual_information(p[:, None] * e)
    assert information <= min(entropy(p), math.log(n_z)) + 1e-13
    if n_z >= p.size:
        assert information == pytest.approx(entropy(p), abs=1e-13)


def test_latents_lie_evenly_over_the_symbols():
    assert squared_distance(3, 3).tolist() == [[0, 1, 4], [1, 0, 1], [4, 1, 0]]
    assert squared_distance(3, 1).tolist() == [[1], [0], [1]]
    assert squared_distance(3, 5)[0].tolist() == [0, 0.25, 1, 2.25, 4]
