"""Perfect fits of a family, g = p, and the corner: the one of least rate.

Notation: as in `mixing`. A perfect fit has D + R = H, so its R is Σ m KL(d_z ‖ p), linear in m;
the least or largest R is a linear programme over all rows, solved over more and more of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import linprog

from .ascent import best_apart, climb
from .checks import Array
from .convex import SHARP, CostCurve
from .measures import entropy, relative_entropy_terms
from .mixing import FamilyCurve, FamilyPoint
from .polish import Polish

__all__ = ["extreme_fit", "is_perfect", "sparse_fit"]

PERFECT = 1e-13
"""KL(p ‖ g) in nats that counts as g = p."""

ROUNDS = 10
"""Linear programmes solved in a row, each with the rows that the last one asks for."""


def sparse_fit(curve: FamilyCurve, near: FamilyPoint) -> FamilyPoint | None:
    """Return the perfect fit with the fewest rows near a point, if there is one.

    Close to β = 1 few rows carry nearly all the mass; so the heaviest are tried, one more at a
    time, until the polish at β = 1 makes KL(p ‖ g) vanish.
    """
    order = np.argsort(-near.m)
    for count in range(1, near.m.size + 1):
        theta, m = near.parameters[order[:count]], near.m[order[:count]]
        (theta, m), _ = Polish(curve.p, curve.family, 1.0, theta).run(m / m.sum(), theta)
        if (point := _perfect(curve, theta, m)) is not None:
            return point
    return None


def extreme_fit(
    curve: FamilyCurve,
    first: FamilyPoint,
    near: FamilyPoint,
    sign: int,
    enough: Callable[[FamilyPoint], bool],
) -> FamilyPoint:
    """Return a perfect fit of less rate than the first (sign 1) or more (−1), once it is enough.

    Without that, the best one that was found. All symbols must have p > 0. The rows start near
    another point, as those of the first alone would hold the programme at it.
    """
    best, theta = first, near.parameters
    for _ in range(ROUNDS):
        rows = np.concatenate([theta, curve.grid])
        m, gain = _programme(curve, rows, sign)
        point = _perfect(curve, rows[m > 0], m[m > 0]) if m.any() else None
        if point is None:
            break
        best = point if sign * point.R < sign * best.R else best
        if enough(best):
            break
        starts = np.concatenate([rows[m > 0], best_apart(curve.family.box, rows, gain(rows))])
        new, gains = climb(curve.family.box, gain, starts, rounds=40)
        theta = np.concatenate([rows[m > 0], new[gains > 0]])
    return best


def _programme(
    curve: FamilyCurve, theta: Array, sign: int
) -> tuple[Array, Callable[[Array], Array]]:
    """Return the weights of least sign · R with g = p, 0 if there are none, and what rows gain.

    A row gains what it takes off the least R for each unit of mass it gets: with prices y of
    the constraints Σ m d/p = 1, that is Σ y d/p less its own sign · KL(d ‖ p).
    """
    rows, cost = _relative_rows(curve, theta, sign)
    ones = np.ones(curve.p.size)
    found = linprog(cost, A_eq=rows.T, b_eq=ones, method="highs-ds", options=SHARP)
    if found.x is None:
        return np.zeros(len(theta)), lambda theta: np.zeros(len(theta))

    def gain(theta: Array) -> Array:
        rows, cost = _relative_rows(curve, theta, sign)
        return np.asarray(rows @ found.eqlin.marginals - cost)

    return np.asarray(found.x), gain


def _relative_rows(curve: FamilyCurve, theta: Array, sign: int) -> tuple[Array, Array]:
    """Return d/p, shape (n_z, n_x), and sign · KL(d ‖ p) of each row."""
    d = np.exp(curve.family.log_rows(theta))
    return d / curve.p, sign * relative_entropy_terms(d, curve.p).sum(axis=1)


def is_perfect(curve: FamilyCurve, point: FamilyPoint) -> bool:
    """Say whether a point at β = 1 has g = p."""
    return point.objective - entropy(curve.p) <= PERFECT


def _perfect(curve: FamilyCurve, theta: Array, m: Array) -> FamilyPoint | None:
    """Return the point of a mixture at β = 1, if its g is p."""
    m = m / m.sum()
    point = CostCurve(curve.p, curve.cost(theta)).evaluate(1.0, m)
    gap = point.objective - entropy(curve.p)
    return curve.certify(1.0, theta, m)[0] if gap <= PERFECT else None
