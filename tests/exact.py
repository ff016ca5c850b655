"""Fifty-digit arithmetic: each measure as its definition says, with 0 log 0 = 0."""

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
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
