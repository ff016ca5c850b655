"""Targets: the point of a certified curve that has the rate or the distortion asked for.

Notation: a curve gives one point for each β, with D rising and R falling in β. Where they
jump, on a straight piece, its end points are mixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from scipy.optimize import brentq

from .checks import as_number
from .kernel import EPS

MET = 1e-10
"""How exactly a target rate or distortion is met, in nats or units of cost."""


def one_target(**targets: float | None) -> tuple[str, float]:
    """Return the one target that is given, by name, or say that there must be exactly one."""
    given = [name for name, value in targets.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"give exactly one of {', '.join(targets)}; given: {' and '.join(given) or 'none'}"
        )
    name = given[0]
    low = -np.inf if name == "distortion" else 0.0
    return name, as_number(name, targets[name], low=low)


def objective_for(name: str, target: float, D: float, R: float) -> float:
    """Return what is minimised: D at a rate, R at a distortion, D + βR at a β, D at β = ∞."""
    if name == "rate":
        return D
    if name == "distortion":
        return R
    return D if target == np.inf else D + target * R


def sharpened(tol: float, name: str) -> float:
    """Return the tolerance of one β in a search: the ends of a mixture add their gaps."""
    return tol if name == "beta" else min(0.4 * tol, 1e-12)


class Point(Protocol):
    """State what the search for a rate or a distortion reads of a solved point."""

    @property
    def beta(self) -> float:
        """Slope −dD/dR."""
        ...

    @property
    def D(self) -> float:
        """Distortion."""
        ...

    @property
    def R(self) -> float:
        """Rate."""
        ...


P = TypeVar("P", bound=Point)


class Curve(Protocol[P]):
    """State what a family of certified problems, one for each β, must provide."""

    def at(self, beta: float, start: P | None = None) -> P:
        """Solve at β, warm from another point."""
        ...

    def mix(self, first: P, second: P, share: float) -> P:
        """Evaluate (1 − share) first + share second at the β between them."""
        ...


def meet(curve: Curve[P], name: str, target: float, *, nearest: bool = False) -> P:
    """Return the point of a curve with the rate or the distortion asked for.

    R falls and D rises with β, so the root is bracketed and refined in log β; where the value
    jumps (a straight piece) or rounding hides the root, the two ends are mixed. A target out
    of reach is an error, or with `nearest` the end that comes nearest.
    """

    def excess(point: P) -> float:
        return target - point.D if name == "distortion" else point.R - target

    ends = curve.at(0.0), curve.at(np.inf)
    if (end := edge(ends, name, target, nearest)) is not None:
        return end
    chord = _chord(ends)
    sides = bracket(curve, excess, ends, chord)
    seen = {math.log(point.beta / chord): point for point in sides if 0 < point.beta < np.inf}
    if len(seen) < 2:  # the jump is at β = 0 or ∞: return the side that keeps to the target
        return (max if name == "distortion" else min)(sides, key=excess)

    def probe(step: float) -> float:
        if step not in seen:
            nearest = min(seen, key=lambda other: abs(other - step))
            seen[step] = curve.at(chord * math.exp(step), seen[nearest])
        return excess(seen[step])

    if min(map(excess, seen.values())) < 0 < max(map(excess, seen.values())):
        brentq(probe, min(seen), max(seen), xtol=1e-15, rtol=1e-15, disp=False)
    closest = min(seen.values(), key=lambda point: abs(excess(point)))
    if abs(excess(closest)) <= 1e-3 * MET * _room(ends, closest.beta, name):
        return closest
    low = max(
        (point for point in seen.values() if excess(point) > 0), key=lambda point: point.beta
    )
    high = min((point for point in seen.values() if excess(point) < 0), key=lambda q: q.beta)
    share = brentq(lambda s: excess(curve.mix(low, high, s)), 0.0, 1.0, xtol=1e-16, rtol=1e-15)
    return curve.mix(low, high, float(share))


def edge(ends: tuple[P, P], name: str, target: float, nearest: bool) -> P | None:
    """Return the end of the curve that answers at once, or raise if the target is beyond it."""
    finest, coarsest = ends
    if name == "rate":
        low, high = coarsest.R, finest.R
    else:
        low, high = finest.D, coarsest.D
    blur = 4 * EPS * max(abs(low), abs(high))
    slack = MET * _unit(ends, name) + blur
    beyond = target < low - slack or (name == "rate" and target > high + slack)
    if beyond and not nearest:
        raise ValueError(
            f"{name} is {target!r}, but the reachable range is {low:.12g} to {high:.12g}"
        )
    if target <= low:  # just above it the slope may be without limit: no slack
        return coarsest if name == "rate" else finest
    if target >= high - 1e-3 * slack:
        return finest if name == "rate" else coarsest
    return None


def _unit(ends: tuple[Point, Point], name: str) -> float:
    """Return what 1 means: a nat, or a unit of cost unless costs are tiny."""
    return 1.0 if name == "rate" else min(1.0, ends[1].D - ends[0].D)


def _room(ends: tuple[Point, Point], beta: float, name: str) -> float:
    """Return the miss that 1 allows, small enough to change the other quantity by 1 at most."""
    cost = _unit(ends, "distortion")
    return min(1.0, cost / beta) if name == "rate" else min(cost, beta)


def _chord(ends: tuple[Point, Point]) -> float:
    """Return the slope of the straight line between the ends, or what rounding leaves of it."""
    rise = ends[1].D - ends[0].D
    return max(rise, EPS * abs(ends[1].D), 1e-300) / max(ends[0].R - ends[1].R, EPS)


def bracket(
    curve: Curve[P], excess: Callable[[P], float], ends: tuple[P, P], beta: float
) -> tuple[P, P]:
    """Return a point at or before the root and one at or after it, from a first guess of β."""
    point = curve.at(beta)
    forward, factor = excess(point) > 0, 4.0
    while True:
        beta = beta * factor if forward else beta / factor
        following = curve.at(beta, point) if 0 < beta < np.inf else ends[int(forward)]
        if (excess(following) > 0) != forward or not 0 < beta < np.inf:
            return (point, following) if forward else (following, point)
        point, factor = following, min(factor**1.5, 1e100)
