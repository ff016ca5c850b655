"""Fifty-digit arithmetic: each measure as its definition says, with 0 log 0 = 0."""

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np

ONE = np.array(Decimal(1), dtype=object)


def fifty_digits(measure: Callable[..., Decimal]) -> Callable[..., float]:
    def in_fifty_digits(*tables: Any) -> float:
        with localcontext(Context(prec=50)):
            exact = np.vectorize(Decimal, otypes=[object])
            return float(measure(*(exact(np.asarray(table, dtype=float)) for table in tables)))

    return in_fifty_digits


def nats(weights: Any, numerators: Any, denominators: Any) -> Decimal:
    """Σ w log(a / b), and +∞ where a weight above 0 meets b = 0."""
    arrays = np.broadcast_arrays(weights, numerators, denominators)
    terms = [term for term in zip(*(array.flat for array in arrays), strict=True) if term[0] > 0]
    if any(b == 0 for _, _, b in terms):
        return Decimal("inf")
    return sum((w * (a / b).ln() for w, a, b in terms), Decimal(0))


@fifty_digits
def entropy(p: Any) -> Decimal:
    return nats(p, ONE, p)


@fifty_digits
def kl_divergence(p: Any, q: Any) -> Decimal:
    return nats(p, p, q)


@fifty_digits
def mutual_information(joint: Any) -> Decimal:
    return nats(joint, joint, joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True))


@fifty_digits
def distortion(p: Any, e: Any, d: Any) -> Decimal:
    return nats(p[:, None] * e, ONE, d.T)


@fifty_digits
def rate(p: Any, e: Any, m: Any) -> Decimal:
    return nats(p[:, None] * e, e, m)


@fifty_digits
def information(p: Any, e: Any) -> Decimal:
    return nats(p[:, None] * e, e, p @ e)


@fifty_digits
def bound(p: Any, e: Any, d: Any, m: Any) -> Decimal:
    """H + KL(p ‖ g) + Σ p KL(e ‖ m d / g)."""
    joint = (m[:, None] * d).T
    g = joint.sum(axis=1)
    return nats(p, ONE, p) + nats(p, p, g) + nats(p[:, None] * e, e * g[:, None], joint)


# Gaussians integrated over bins: Φ by its series, and its tail by a continued fraction.

PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"


def gaussian_log_row(n_x: int, mean: float, width: float) -> Any:
    """Return log(Φ(b) − Φ(a)) for bins with centres 0, 1, …; the ends take the tails."""
    with localcontext(Context(prec=80, Emin=-(10**9), Emax=10**9)):
        edges = [
            (Decimal(x) + Decimal("0.5") - Decimal(mean)) / Decimal(width) for x in range(n_x - 1)
        ]
        ends = [None, *edges, None]
        return np.array([float(_mass(a, b).ln()) for a, b in pairwise(ends)])


def _mass(a: Decimal | None, b: Decimal | None) -> Decimal:
    """Φ(b) − Φ(a), None for the infinite ends, from the tails on the same side."""
    if a is not None and a >= 0:
        return _tail(a) - (_tail(b) if b is not None else 0)
    if b is not None and b <= 0:
        return _tail(-b) - (_tail(-a) if a is not None else 0)
    return 1 - (_tail(-a) if a is not None else 0) - (_tail(b) if b is not None else 0)


def _tail(z: Decimal) -> Decimal:
    """1 − Φ(z) for z ≥ 0."""
    density = (-z * z / 2).exp() / (2 * Decimal(PI)).sqrt()
    if z < 6:
        term = total = z
        for n in range(1, 300):
            term *= z * z / (2 * n + 1)
            total += term
        return Decimal(1) / 2 - density * total
    fraction = z
    for n in range(400, 0, -1):
        fraction = z + n / fraction
    return density / fraction
