"""Encoders: the best response for a β, and the starts that the alternation knows by name.

Notation: cost(x, z) = −log d(x|z) for a decoder, e(z|x) ∝ m(z) exp(−cost(x, z)/β), and
log g(x) = log Σ_z m(z) exp(−(cost(x, z) − floor(x))/β) with floor the least cost of the row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .checks import Array, as_count, as_distribution, as_number, as_table, locked
from .measures import mutual_information

__all__ = ["best_encoder", "smooth_encoder"]

SMOOTH_RATE = 2e-4
"""Information of the smooth start in nats: the rate that the paper prints under Figure 2b."""


def best_encoder(d: ArrayLike, m: ArrayLike, beta: float) -> Array:
    """Compute the encoder that minimises D + βR, e(z|x) ∝ m(z) d(x|z)^(1/β).

    Parameters
    ----------
    d : array_like, shape (n_z, n_x)
        Decoder d(x|z).
    m : array_like, shape (n_z,)
        Marginal m(z).
    beta : float
        Price of a nat of rate. At 0 each x goes to the z of largest d(x|z), ties shared as m;
        at ∞ the encoder is m, on the z that can produce x.

    Returns
    -------
    numpy.ndarray, shape (n_x, n_z)
        The encoder; an x that no z with m(z) > 0 can produce gets m.

    Raises
    ------
    ValueError
        If a table is not one of distributions, shapes do not fit, or `beta` is negative or NaN.
    TypeError
        If an argument does not hold real numbers.

    Examples
    --------
    >>> best_encoder([[0.9, 0.1], [0.1, 0.9]], [0.5, 0.5], beta=1)
    array([[0.9, 0.1],
           [0.1, 0.9]])

    References
    ----------
    Blahut (1972), theorem 6; Alemi et al., *Fixing a Broken ELBO* (2018), equation 6.
    """
    m = as_distribution("m", m)
    table = as_table("d", d)
    as_table("d", table, shape=(m.size, table.shape[1]))
    return respond(as_log_cost(table), m, as_number("beta", beta, low=0))[0]


def as_log_cost(d: Array) -> Array:
    """Return −log d(x|z) at [x, z], +∞ where d is 0."""
    with np.errstate(divide="ignore"):
        return locked(np.ascontiguousarray(-np.log(d.T)))


def respond(cost: Array, m: Array, beta: float) -> tuple[Array, Array]:
    """Return the best encoder and log g for checked tables."""
    live = np.flatnonzero(m)
    every = live.size == m.size
    e, log_g = _softmax(cost if every else cost[:, live], m[live], beta)
    if every:
        return e, log_g
    full = np.zeros(cost.shape)
    full[:, live] = e
    return full, log_g


def _softmax(cost: Array, m: Array, beta: float) -> tuple[Array, Array]:
    floor = cost.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        table = floor - cost
        if beta == 0:
            table[table < 0] = -np.inf
        elif beta == np.inf:
            table[table > -np.inf] = 0
        else:
            table /= beta
        table += np.log(m)
        top = table.max(axis=1, keepdims=True)
        table -= top
    np.exp(table, out=table)
    total = table.sum(axis=1, keepdims=True)
    table /= total
    lost = np.isnan(total[:, 0])
    table[lost] = m
    return table, np.where(lost, -np.inf, (top + np.log(total))[:, 0])


def smooth_encoder(p: ArrayLike, n_z: int | None = None, *, rate: float = SMOOTH_RATE) -> Array:
    """Build the nearly uninformative kernel e(z|x) ∝ exp(−(x − z)² / 2w²) with I(X; Z) = rate.

    The width w is solved for; the latents lie evenly over the symbols.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    n_z : int, optional
        Number of latents; by default n_x.
    rate : float
        Information in nats. Where no width gives so much, the narrowest kernel is returned;
        where rounding hides so little, a kernel that is all but flat.

    Returns
    -------
    numpy.ndarray, shape (n_x, n_z)
        The encoder.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `n_z` < 1 or `rate` ≤ 0.

    Examples
    --------
    >>> e = smooth_encoder([0.25, 0.25, 0.25, 0.25], rate=0.01)
    >>> round(mutual_information(0.25 * e), 12)
    0.01
    """
    p = as_distribution("p", p)
    n_z = as_count("n_z", p.size if n_z is None else n_z)
    rate = as_number("rate", rate, low=0, open_low=True)
    distance = squared_distance(p.size, n_z)
    flat = np.full(n_z, 1 / n_z)

    def excess(log_width: float) -> float:
        e = respond(distance, flat, 2 * np.exp(2 * log_width))[0]
        return mutual_information(p[:, None] * e) - rate

    low, high = -3.0, np.log(p.size) + 10
    if excess(low) <= 0:
        width = low
    elif excess(high) >= 0:  # rounding hides so little information
        width = high
    else:
        width = float(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))
    return respond(distance, flat, 2 * np.exp(2 * width))[0]


def squared_distance(n_x: int, n_z: int) -> Array:
    """Return (x − position of z)², the latents evenly over the symbols."""
    places = np.linspace(0, n_x - 1, n_z) if n_z > 1 else np.array([(n_x - 1) / 2])
    return np.asarray((np.arange(n_x)[:, None] - places) ** 2)


def sharpest_encoder(p: Array, n_z: int) -> Array:
    """Return a deterministic encoder: lossless if there are latents enough, else an even split.

    The split fills latents with the largest symbols first, each where least mass lies; the
    best one is a bin-packing problem, so for n_z < n_x it is only a good one.
    """
    e = np.zeros((p.size, n_z))
    if n_z >= p.size:
        e[np.arange(p.size), np.arange(p.size)] = 1
        return e
    mass = np.zeros(n_z)
    for x in np.argsort(-p, kind="stable"):
        z = np.argmin(mass)
        e[x, z] = 1
        mass[z] += p[x]
    return e
