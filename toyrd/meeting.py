"""Targets for a family: the rate or the distortion asked for, on either side of the corner.

Notation: as in `mixing`; R falls and D rises with β. At β = 1 lie the perfect fits g = p of all
rates from the corner on (see `corner`), all of them on the line D + R = H.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from .convex import CostCurve
from .corner import extreme_fit, is_perfect, sparse_fit
from .mixing import HUGE, LARGE, FamilyCurve, FamilyPoint, as_family, relative, sparser
from .polish import Polish
from .target import MET, edge

__all__ = ["meet_family"]

Excess = Callable[[FamilyPoint], float]

ABOVE = (LARGE, 64.0, 16.0, 4.0, 1.5, 1.1, 1.01, 1.001)
BELOW = (0.9, 0.6, 0.3, 0.1, 0.03, 0.01)
"""The β at which the curve is solved in turn until the target lies between two of them."""

NARROW = 0.1
"""Width of a bracket in log β from which one set of rows may be followed."""

PATIENCE, STEPS = 4, 30
"""Steps for which the target is sought at one β; then a mixture of two β will do. And the cap."""


def meet_family(curve: FamilyCurve, name: str, target: float) -> FamilyPoint:
    """Return the point of a family's curve with the rate or the distortion asked for.

    β is walked down to 1 and past it until the target is passed. At 1 the perfect fits come
    first the one with the fewest rows, then mixtures of it with the extreme ones.
    """

    def excess(point: FamilyPoint) -> float:
        return target - point.D if name == "distortion" else point.R - target

    ends = curve.at(0.0), curve.at(np.inf)
    if (end := edge(ends, name, target, False)) is not None:
        return end
    high, fit = replace(ends[1], beta=HUGE), None
    for beta in ABOVE:
        low = curve.at(beta, high if beta < 1.1 else None)
        if excess(low) >= 0:
            return _searched(curve, low, high, excess)
        high = low
        fit = sparse_fit(curve, low) if beta < 1.1 and fit is None else fit
        if fit is not None and excess(fit) <= MET:
            break
    return _at_one(curve, ends[0], fit or curve.at(1.0, high), high, excess)


def _at_one(
    curve: FamilyCurve, finest: FamilyPoint, fit: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the point on the near side of β = 1, among its perfect fits, or beyond them."""
    sign = 1 if excess(fit) > 0 else -1
    other = fit
    if curve.p.all() and is_perfect(curve, fit):
        other = extreme_fit(curve, fit, high, sign, lambda point: sign * excess(point) <= 0)
        if sign * excess(other) <= 0:
            low, high = (fit, other) if sign > 0 else (other, fit)
            return _mixed(curve, low, high, excess)
    if sign > 0:
        return _searched(curve, other, high, excess)
    for beta in BELOW:
        low = curve.at(beta)
        if excess(low) >= 0:
            return _searched(curve, low, other, excess)
        other = low
    return _searched(curve, finest, other, excess)


def _searched(
    curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the root between two points, or a mixture of them once they prove it."""
    mixed, count = _mixed(curve, low, high, excess), 0
    while count < STEPS and not (mixed.converged and (count >= PATIENCE or low.beta == 1)):
        if low.beta == 1:  # from the corner R falls at once: follow the chord
            point = curve.at((high.D - low.D) / (low.R - high.R), high)
        else:
            guess = _followed(curve, low, high, excess)
            point = curve.at(guess.beta, guess)
        if abs(excess(point)) <= MET:
            return point
        low, high = (point, high) if excess(point) > 0 else (low, point)
        mixed, count = _mixed(curve, low, high, excess), count + 1
    return mixed


def _followed(
    curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess
) -> FamilyPoint:
    """Return the root on the branch of the rows of `low`, or a point half-way if it has none."""

    def polished(log_beta: float) -> FamilyPoint:
        beta, theta = math.exp(log_beta), low.parameters
        (theta, m), _ = Polish(curve.p, curve.family, beta, theta).run(low.m, theta)
        point = CostCurve(curve.p, curve.cost(theta)).evaluate(beta, m)
        return as_family(point, theta, 0.0, 0.0, False)

    ends = math.log(max(low.beta, 1e-3 * high.beta)), math.log(high.beta)
    if ends[1] - ends[0] > NARROW or not excess(polished(ends[0])) > 0 > excess(polished(ends[1])):
        return polished(sum(ends) / 2)
    return polished(float(brentq(lambda step: excess(polished(step)), *ends, xtol=1e-13)))


def _mixed(curve: FamilyCurve, low: FamilyPoint, high: FamilyPoint, excess: Excess) -> FamilyPoint:
    """Return the mixture of two points that meets the target, with no more rows than it takes."""
    for end in (low, high):
        if abs(excess(end)) <= MET:
            return end
    share = brentq(lambda s: excess(curve.mix(low, high, s)), 0.0, 1.0, xtol=1e-16, rtol=1e-15)
    mixed = curve.mix(low, high, float(share))
    live = mixed.p > 0
    A = relative(mixed)
    spent = mixed.p[live] @ (A * mixed.cost[live])
    kept = [A, spent] if mixed.beta == 1 else [A, spent, np.ones(spent.size)]  # at 1 g sums m too
    m = sparser(np.vstack(kept), mixed.m)
    point = CostCurve(curve.p, mixed.cost, tol=curve.tol).evaluate(mixed.beta, m)
    return as_family(point, mixed.parameters, mixed.gap, curve.tol, mixed.rigorous)
