"""Transitions: the β at which a letter of a table, or a row of a family, comes into use.

Notation: the branch of a point is the optimum over the columns that the point uses, for any β
near. It is the optimum over all columns until one of them has c(θ) = Σ_x p A/g above 1; the
transition is where the first one reaches 1, which is a letter or a top of c, or where c begins
to curve upwards at a row in use, which then splits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linear_sum_assignment, minimize
from scipy.special import logsumexp

from .checks import Array, ReadOnly, frozen
from .curve import Curve, Solution
from .family import Polish, SmoothFamily
from .table import TableCurve

LEAST = 1e-9
"""Weight from which a column counts as used."""

NARROW = 1e-6
"""Width of a bracket, as a share of β, at which bisection ends."""

CLOSE, BEYOND = 1e-5, 1e-3
"""How far beside a transition of letters, or of rows, which come apart slowly, the next point is
solved, as a share of β."""

SAME, STEP = 0.01, 1e-4
"""Distance at which a row is the same as another; step of the differences that give curvatures."""


@dataclass(frozen=True, eq=False)
class Transition(ReadOnly):
    """A β at which a column comes into use or leaves it.

    Parameters
    ----------
    beta : float
        Price of a nat.
    column : numpy.ndarray
        Parameters of the row, or the number of the letter; of several at once, of one.
    born : bool
        Whether it is in use below `beta` and not above it.
    """

    beta: float
    column: Array
    born: bool


def transitions(curve: Curve, points: Iterable[Solution]) -> tuple[Transition, ...]:
    """Locate the β between solved points at which letters or rows come into use or leave it.

    Parameters
    ----------
    curve : Curve
        That of a table or of a family of decoder rows.
    points : iterable of Solution
        Its points; between neighbours that use the same columns no transition is looked for.

    Returns
    -------
    tuple of Transition
        By rising β, to about 1e-12; a jump that no column foretells to 1e-6.

    Raises
    ------
    ValueError
        If the curve is neither of a table nor of a family.

    Examples
    --------
    Below β = 0.555 each symbol has a letter of its own, above it one letter serves both:

    >>> curve = TableCurve(np.array([0.5, 0.5]), np.array([[0, 1, 0.3], [1, 0, 0.3]]))
    >>> (one,) = transitions(curve, [curve.at(0.5), curve.at(0.6)])
    >>> round(one.beta, 6), int(one.column[0]), one.born
    (0.555225, 0, True)
    """
    family = getattr(curve, "family", None)
    family = Letters.of(curve) if isinstance(curve, TableCurve) else family
    if not isinstance(family, Letters | SmoothFamily):
        raise ValueError(
            "transitions are those of a table, or of a family with a dictionary and slopes"
        )
    inner = sorted((s for s in points if 0 < s.beta < np.inf), key=attrgetter("beta"))
    found = [one for pair in pairwise(inner) for one in _between(curve, family, *pair)]
    return tuple(sorted(found, key=attrgetter("beta")))


class Letters(NamedTuple):
    """The letters of a table, as rows that cannot move: their parameters are their numbers.

    Of letters whose costs are alike, the first stands for all.
    """

    cost: Array
    alike: NDArray[np.intp]

    @classmethod
    def of(cls, curve: TableCurve) -> Letters:
        """Return the letters of a curve."""
        cost = curve.cost[curve.rows]
        found = np.unique(cost, axis=1, return_index=True, return_inverse=True)
        return cls(curve.cost, found[1][found[2].ravel()])

    def log_rows(self, numbers: Array) -> Array:
        """Return −cost at [z, x]."""
        return np.asarray(-self.cost.T[numbers[:, 0].astype(int)])


Columns = SmoothFamily | Letters


class Branch(NamedTuple):
    """The optimum over some columns alone, given by their parameters."""

    family: Columns
    p: Array
    columns: Array
    m: Array

    @classmethod
    def of(cls, family: Columns, point: Solution) -> Branch:
        """Return the branch of a point."""
        if not isinstance(family, Letters):
            used = np.flatnonzero(point.m > LEAST)
            return cls(family, point.p, point.parameters[used], point.m[used])
        m = np.bincount(family.alike, point.m).astype(np.float64)
        used = np.flatnonzero(m > LEAST)
        return cls(family, point.p, used[:, None].astype(np.float64), m[used])

    def log_rows(self, columns: Array) -> Array:
        """Return −cost at [z, x] over the symbols with p > 0."""
        return self.family.log_rows(columns)[:, self.p > 0]

    def at(self, beta: float) -> Branch:
        """Return the branch at another β."""
        cost, theta = -self.log_rows(self.columns).T, self.columns
        m = TableCurve(self.p[self.p > 0], cost, tol=1e-14).at(beta).m
        if not isinstance(self.family, Letters):
            start = np.maximum(m, LEAST), theta
            (m, theta), _ = Polish(self.p, self.family, beta, *start).run(*start)
        return self._replace(columns=theta, m=m)

    def excess(self, column: Array, beta: float) -> tuple[float, Array]:
        """Return c − 1 at a letter, or at the top of c that a row climbs to, and the column there.

        Where it climbs to a row in use, at which c = 1, the largest curvature of c stands for it.
        """
        family, live = self.family, self.p > 0
        log_g = logsumexp(self.log_rows(self.columns) / beta, b=self.m[:, None], axis=0)
        log_weight = np.log(self.p[live]) - log_g

        def share(theta: Array) -> Array:
            return np.asarray(np.exp(log_weight + self.log_rows(theta[None])[0] / beta))

        if isinstance(family, Letters):
            return float(share(column).sum() - 1), column
        slopes, options = family.slopes, {"ftol": 0.0, "gtol": 1e-13}

        def slope(theta: Array) -> Array:
            return np.asarray(share(theta) @ slopes(theta[None])[0, live] / beta)

        def fall(theta: Array) -> tuple[float, Array]:
            return -share(theta).sum(), -slope(theta)

        top = minimize(fall, column, jac=True, bounds=family.box.T, options=options).x
        distance = self.distance(self.columns, top[None])[:, 0]
        if distance.min() > SAME:
            return float(share(top).sum() - 1), top
        near = self.columns[distance.argmin()]
        bend = [slope(near + move) - slope(near - move) for move in STEP * np.eye(near.size)]
        return float(np.linalg.eigvalsh(bend)[-1]), near

    def distance(self, some: Array, others: Array) -> Array:
        """Return ½ Σ_x |d − d'| between rows."""
        first, second = np.exp(self.log_rows(some)), np.exp(self.log_rows(others))
        return np.asarray(np.abs(first[:, None] - second).sum(axis=2) / 2)

    def missing(self, other: Branch) -> Array:
        """Return the columns of another branch that this one lacks."""
        if isinstance(self.family, Letters):
            return np.setdiff1d(other.columns, self.columns)[:, None]
        pairs = linear_sum_assignment(self.distance(self.columns, other.columns))
        return np.delete(other.columns, pairs[1], axis=0)

    def confirmed(self, letter: Array, before: Solution, beyond: Solution) -> bool:
        """Whether one point uses the letters of this branch, and another the new one as well."""
        same, more = (Branch.of(self.family, point) for point in (before, beyond))
        return letter in self.missing(more) and np.array_equal(same.columns, self.columns)

    def first(self, columns: Array, near: float, far: float) -> tuple[float, Array] | None:
        """Return the β nearest to `near` at which one of the columns reaches c = 1, and that."""
        found = None
        for column in columns:

            def excess(beta: float, column: Array = column) -> float:
                return self.at(beta).excess(column, beta)[0]

            if excess(near) < 0 < excess(far):
                far = float(brentq(excess, near, far, xtol=1e-14, rtol=1e-14))
                found = far, self.at(far).excess(column, far)[1]
        return found


def _between(curve: Curve, family: Columns, low: Solution, high: Solution) -> list[Transition]:
    """Return the transitions between two points, seen from the one with fewer columns.

    What its branch foretells of letters counts where points close by confirm it.
    """
    ends = [(point, Branch.of(family, point)) for point in (low, high)]
    (here, few), (there, many) = sorted(ends, key=lambda end: end[1].m.size)
    new = few.missing(many)
    if not len(new):
        return []
    if high.beta - low.beta <= NARROW * high.beta:
        return [Transition((low.beta + high.beta) / 2, frozen(new[0]), there is low)]
    found, fixed = few.first(new, here.beta, there.beta), isinstance(family, Letters)
    if found is not None:
        beta, column = found
        one = Transition(beta, frozen(column), there is low)
        if len(new) == 1 and not fixed:
            return [one]
        beyond = _beside(curve, beta, there, CLOSE if fixed else BEYOND)
        if not fixed or few.confirmed(column, _beside(curve, beta, here, CLOSE), beyond):
            rest = sorted([beyond, there], key=attrgetter("beta"))
            return [one, *(_between(curve, family, *rest) if beyond is not there else [])]
    middle = curve.at(float(np.sqrt(low.beta * high.beta)), low)
    return _between(curve, family, low, middle) + _between(curve, family, middle, high)


def _beside(curve: Curve, beta: float, end: Solution, reach: float) -> Solution:
    """Return a point beside β on the way to another, or that one if it is nearer."""
    way, step = end.beta - beta, reach * beta
    return curve.at(beta + float(np.copysign(step, way)), end) if abs(way) > step else end
