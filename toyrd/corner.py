"""Targets for a family: the β is sought by the polish alone, and certified once at the end.

Notation: as in `mixing`. Where the family can make g = p, D + R = H is reached at β = 1 for a
range of rates, whose least is the *corner*: there the frontier meets the line D + R = H.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from .checks import Array
from .convex import CostCurve
from .measures import entropy
from .mixing import LARGE, FamilyCurve, FamilyPoint, as_family
from .polish import Polish
from .target import MET, edge

__all__ = ["meet_family"]

Excess = Callable[[FamilyPoint], float]

ABOVE = (LARGE, 64.0, 16.0, 4.0, 1.5, 1.1, 1.01, 1.001, 1.0001)
BELOW = (0.9, 0.6, 0.3, 0.1)
"""The β at which the curve is solved in turn until the target lies between two of them."""

PERFECT = 1e-13
"""KL(p ‖ g) in nats that counts as g = p."""

NARROW = 0.1
"""Width of a bracket in log β from which one set of rows may be followed."""

CLOSE = 1e-6
"""A miss that a small change of β at fixed weights can mend."""


def meet_family(curve: FamilyCurve, name: str, target: float) -> FamilyPoint:
    """Return the point of a family's curve with the rate or the distortion asked for.

    β is walked down to 1 and past it until the target is passed. Between the last β above 1
    and the first below lie the perfect fits, from the corner to one of as many rows as bins;
    all mixtures of perfect fits are perfect.
    """

    def excess(point: FamilyPoint) -> float:
        return target - point.D if name == "distortion" else point.R - target

    ends = curve.at(0.0), curve.at(np.inf)
    if (end := edge(ends, name, target, False)) is not None:
        return end
    high, least = ends[1], None
    for beta in ABOVE:
        low = curve.at(beta, high if beta < 1.1 else None)
        if excess(low) >= 0:
            return _searched(curve, low, high, excess)
        high = low
        least = corner(curve, low) if beta < 1.1 and least is None else least
        if least is not None and abs(excess(least)) <= MET:
            return least
    if least is not None and excess(least) > 0:
        return _mixed(curve, least, high, excess)
    return _past_one(curve, ends[0], least or high, excess)


def _past_one(
    curve: FamilyCurve, finest: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the point at β ≤ 1: a mixture of perfect fits, or beyond the richest of them."""
    low = curve.at(BELOW[0])
    most = corner(curve, low, first=low.m.size)
    if most is not None and high.beta == 1 and excess(most) >= 0:
        return _mixed(curve, most, high, excess)
    high = high if most is None else most
    for beta in BELOW[1:]:
        if excess(low) >= 0:
            return _searched(curve, low, high, excess)
        low, high = curve.at(beta), low
    return _searched(curve, low if excess(low) >= 0 else finest, high, excess)


def corner(curve: FamilyCurve, near: FamilyPoint, *, first: int = 1) -> FamilyPoint | None:
    """Return the perfect fit g = p with the fewest rows near a point, if there is one.

    Close to β = 1 the rows of the corner carry nearly all the mass; so the heaviest rows are
    tried, one more at a time, until the polish at β = 1 makes KL(p ‖ g) vanish.
    """
    order = np.argsort(-near.m)
    for count in range(first, near.m.size + 1):
        theta, m = near.parameters[order[:count]], near.m[order[:count]]
        (theta, m), _ = Polish(curve.p, curve.family, 1.0, theta).run(m / m.sum(), theta)
        point = as_family(CostCurve(curve.p, curve.cost(theta)).evaluate(1.0, m), theta, 0.0, 0.0)
        if point.objective - entropy(curve.p) <= PERFECT:
            return curve.certify(1.0, theta, m)[0]
    return None


def _searched(
    curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the root between two points: sought by the polish, then solved and certified."""
    for _ in range(20):
        guess = _followed(curve, low, high, excess)
        point = curve.at(guess.beta, guess)
        if abs(excess(point)) <= CLOSE:
            return _mended(curve, point, excess)
        low, high = (point, high) if excess(point) > 0 else (low, point)
    return _mixed(curve, low, high, excess)


def _followed(
    curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the root on the branch of the rows of `low`, or a point half-way if it has none."""

    def polished(log_beta: float) -> FamilyPoint:
        theta, m = low.parameters, low.m
        polish = Polish(curve.p, curve.family, math.exp(log_beta), theta)
        (theta, m), _ = polish.run(m, theta)
        point = CostCurve(curve.p, curve.cost(theta)).evaluate(math.exp(log_beta), m)
        return as_family(point, theta, 0.0, 0.0)

    ends = math.log(max(low.beta, 1e-2)), math.log(min(high.beta, LARGE))
    if ends[1] - ends[0] > NARROW or excess(polished(ends[1])) >= 0:
        return polished(sum(ends) / 2)
    return polished(float(brentq(lambda step: excess(polished(step)), *ends, xtol=1e-12)))


def _mended(curve: FamilyCurve, point: FamilyPoint, excess: Excess) -> FamilyPoint:
    """Return a point moved to the target exactly, by a small change of β at its weights."""

    def moved(log_beta: float) -> FamilyPoint:
        beta = math.exp(log_beta)
        cost_point = CostCurve(curve.p, point.cost).evaluate(beta, point.m)
        return as_family(cost_point, point.parameters, 0.0, 0.0)

    centre, reach = math.log(point.beta), 1e-9
    while excess(moved(centre - reach)) * excess(moved(centre + reach)) > 0:
        reach *= 2
    root = float(
        brentq(lambda step: excess(moved(step)), centre - reach, centre + reach, xtol=1e-15)
    )
    return curve.certify(math.exp(root), point.parameters, point.m)[0]


def _mixed(curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess) -> FamilyPoint:
    """Return the mixture of two points that meets the target, certified."""

    def blend(share: float) -> tuple[float, Array, Array]:
        beta = low.beta ** (1 - share) * high.beta**share
        theta = np.concatenate([low.parameters, high.parameters])
        return beta, theta, np.concatenate([(1 - share) * low.m, share * high.m])

    def miss(share: float) -> float:
        beta, theta, m = blend(share)
        point = CostCurve(curve.p, curve.cost(theta)).evaluate(beta, m)
        return excess(as_family(point, theta, 0.0, 0.0))

    beta, theta, m = blend(float(brentq(miss, 0.0, 1.0, xtol=1e-16, rtol=1e-15)))
    return curve.certify(beta, theta[m > 0], m[m > 0])[0]
