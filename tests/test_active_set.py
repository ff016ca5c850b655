"""The quadratic model: its minimum meets the conditions of optimality, and its limits hold."""

import numpy as np
import pytest

from toyrd import kernel


def model(n, rng, spare=0):
    """Return N, slopes and m as at a mixture: slopes·m = 0 and N m = 0; some m are 0."""
    m = rng.dirichlet(np.ones(n))
    m[:spare] = 0
    m /= m.sum()
    C = rng.normal(size=(2 * n, n))
    C -= (C @ m)[:, None]
    slopes = rng.normal(size=n)
    return C.T @ C, slopes - slopes @ m, m


@pytest.mark.parametrize("seed", range(20))
def test_no_latent_can_be_moved_for_gain(monkeypatch, seed):
    monkeypatch.setattr(kernel, "EXACT", 1e-12)
    rng = np.random.default_rng(seed)
    N, slopes, m = model(8, rng, spare=3)
    y = kernel.quadratic(N, slopes, m)
    assert (y >= 0).all()
    assert y.sum() == pytest.approx(1, abs=1e-12)
    pull = slopes - N @ (y - m)
    level = pull[y > 0].mean()
    np.testing.assert_allclose(pull[y > 0], level, rtol=0, atol=1e-8)
    assert (pull <= level + 1e-8).all()


def test_more_than_can_be_had_ends_at_a_cap_with_a_feasible_and_better_answer(monkeypatch):
    rng = np.random.default_rng(0)
    N, slopes, m = model(8, rng, spare=3)
    best = kernel.quadratic(N, slopes, m)
    monkeypatch.setattr(kernel, "EXACT", -1e9)  # no answer is as exact as that
    y = kernel.quadratic(N, slopes, m)
    assert (y >= 0).all()
    assert y.sum() == pytest.approx(1, abs=1e-12)

    def value(y):
        return (y - m) @ N @ (y - m) / 2 - slopes @ (y - m)

    assert value(y) <= value(best) + 1e-9
