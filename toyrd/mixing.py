"""Families solved globally: rows and marginal together are one mixing measure, so convex.

Notation: θ[z] are the parameters of row z and ℓ_θ(x) = log d_θ(x); A = exp(ℓ/β), g = Σ m A and
c(θ) = Σ_x p A/g as for a fixed decoder, but c ≤ 1 must hold over the whole continuous family.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp

from .ascent import searched_bound
from .checks import Array, locked
from .convex import CostCurve, RateDistortion
from .decoders import BoundedFamily, Decoder, GlobalFamily
from .kernel import gap_above
from .measures import entropy
from .model import SMALLEST
from .polish import Polish
from .solution import Solution

TINY, LARGE, HUGE = 1e-11, 1e4, 1e6
"""β below which R costs nothing, and at which R > 0 does not pay, unless costs are large."""

COINCIDE = (0.97, 0.999, 1 - 1e-5, 1 - 1e-7, 1 - 1e-9)
"""Affinities Σ √(d d') above which rows are tried as one, the boldest first."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FamilyPoint(RateDistortion):
    """Hold a point of a family's curve: its cost table is −log of the rows that are used."""

    parameters: Array

    def solution(self, d: Array | None = None) -> Solution:
        """Return the model of this point, with its own rows unless others are given."""
        rows = np.maximum(np.exp(-self.cost.T), SMALLEST) if d is None else d
        message = "best mixture found, whose error the gap bounds"
        if self.converged:
            how = "certified" if self.rigorous else "as far as a search"
            message = f"global optimum over the family, {how} over its whole box of parameters"
        found = replace(super().solution(rows), parameters=self.parameters, message=message)
        if self.beta == 1 and found.model.D + found.model.R - found.model.H <= 1e-9:
            message += "; not unique, as at β = 1 mixtures that fit p perfectly are alike"
        return replace(found, message=message)


def default_tol(decoder: Decoder) -> float:
    """Return 1e-10, or 1e-8 for a bound over a continuous family, which costs cells."""
    return 1e-8 if isinstance(decoder, GlobalFamily) else 1e-10


class FamilyCurve:
    """Solve a family at any β: dictionary, polish, bound, and the violators back in."""

    def __init__(
        self, p: Array, family: GlobalFamily, *, tol: float = 1e-10, max_iter: int | None = None
    ) -> None:
        self.p, self.family, self.tol, self.max_iter = p, family, tol, max_iter or 40
        self.grid = family.dictionary()
        self.grid_cost = self.cost(self.grid)

    def cost(self, theta: Array) -> Array:
        """Return −log d of the rows, at [x, z]."""
        return np.ascontiguousarray(-self.family.log_rows(theta).T)

    def at(self, beta: float, start: FamilyPoint | None = None) -> FamilyPoint:
        """Solve at β, warm from another point's rows."""
        if not 0 < beta < LARGE:
            limit = self._limit(beta)
            if limit.converged or not 0 < beta < np.inf:
                return limit
        if beta < TINY:
            return self._near_zero(beta)
        theta = np.zeros((0, self.grid.shape[1])) if start is None else start.parameters
        weights = np.zeros(0) if start is None else start.m
        for rounds in range(1, self.max_iter + 1):  # noqa: B007 - the last one is reported
            theta, weights = self._over_dictionary(beta, theta, weights)
            theta, weights = merged(self.p, self.family, beta, theta, weights)
            point, high = self.evaluate(beta, theta, weights)
            if point.converged or not len(high):
                break
            theta, weights = np.concatenate([theta, high]), np.append(weights, np.zeros(len(high)))
        return replace(point, iterations=rounds)

    def mix(self, first: FamilyPoint, second: FamilyPoint, share: float) -> FamilyPoint:
        """Evaluate the mixture of two points, with the rows of both, at the β between them.

        Its certificate is theirs: the least D + βR is concave in β.
        """
        beta = first.beta ** (1 - share) * second.beta**share
        beta = beta if first.beta else share * second.beta
        theta = np.concatenate([first.parameters, second.parameters])
        m = np.concatenate([(1 - share) * first.m, share * second.m])
        point = CostCurve(self.p, self.cost(theta), tol=self.tol).evaluate(beta, m)
        across = (beta - first.beta) / (second.beta - first.beta or 1.0)
        bound = (1 - across) * first.lower_bound + across * second.lower_bound
        gap = gap_above(bound, point.objective)
        return as_family(point, theta, gap, self.tol, first.rigorous and second.rigorous)

    def _limit(self, beta: float) -> FamilyPoint:
        """Return the point at β = 0, a best row for each symbol, or at a large β, one row for all.

        The M-step gives these rows. For one row the bound at some large β covers all larger
        ones; at β = 0 the certificate rests on the M-step being exact.
        """
        live = np.flatnonzero(self.p)
        theta = self.family.fit(np.eye(self.p.size)[live] if beta == 0 else self.p[None], None)
        point = CostCurve(self.p, self.cost(theta), tol=self.tol).at(beta)
        gap, rigorous = point.gap, self.rigorous
        for large in (b for b in (LARGE, HUGE) if b <= beta):
            proof = self.certify(large, theta, np.ones(1))[0]
            gap, rigorous = proof.gap, proof.rigorous
            if proof.converged:
                break
        return as_family(point, theta, gap, self.tol, rigorous)

    def _near_zero(self, beta: float) -> FamilyPoint:
        """Return the point of β = 0 at a tiny β: the least F rises with β, so its bound holds."""
        finest = self._limit(0.0)
        curve = CostCurve(self.p, finest.cost, tol=self.tol)
        point = curve.evaluate(beta, finest.m)
        gap = max(0.0, point.objective - finest.lower_bound)
        return as_family(point, finest.parameters, gap, self.tol, finest.rigorous)

    def _over_dictionary(self, beta: float, theta: Array, m: Array) -> tuple[Array, Array]:
        """Return the best mixture of the rows in hand and those of the dictionary."""
        everything = np.concatenate([theta, self.grid])
        cost = np.concatenate([self.cost(theta), self.grid_cost], axis=1)
        curve = CostCurve(self.p, cost, tol=min(self.tol, 1e-10))
        full = np.append(m, np.zeros(len(self.grid))) if m.any() else None
        best = curve.from_marginal(beta, full)
        m = sparser(relative(best), best.m)
        return everything[m > 0], m[m > 0]

    def evaluate(self, beta: float, theta: Array, m: Array) -> tuple[FamilyPoint, Array]:
        """Certify the best weights for these rows; return also the violators of c ≤ 1."""
        best = CostCurve(self.p, self.cost(theta), tol=1e-13).from_marginal(beta, m)
        return self.certify(beta, theta[best.m > 0], best.m[best.m > 0])

    @property
    def rigorous(self) -> bool:
        """Whether the family proves its bounds."""
        return isinstance(self.family, BoundedFamily)

    def certify(self, beta: float, theta: Array, m: Array) -> tuple[FamilyPoint, Array]:
        """Certify a mixture as it is over the whole box; return also the violators of c ≤ 1."""
        point = CostCurve(self.p, self.cost(theta), tol=self.tol).evaluate(beta, m)
        sure = gap_above(min(1.0, beta) * entropy(self.p), point.objective)
        if sure <= self.tol:  # D + βR ≥ min(1, β) H for any decoder
            return as_family(point, theta, sure, self.tol, True), theta[:0]
        top, high = self._bound(point, float(np.expm1(min(0.9 * self.tol / beta, 1.0))))
        nats = max(point.nats, float(np.log(max(1.0, top))))
        gap = point.gap + beta * (nats - point.nats)
        point = replace(point, nats=nats)
        return as_family(point, theta, min(gap, sure), self.tol, self.rigorous), high

    def _bound(self, point: RateDistortion, goal: float) -> tuple[float, Array]:
        with np.errstate(divide="ignore"):
            log_weight = np.log(self.p) - logsumexp(-point.cost / point.beta, b=point.m, axis=1)
        if isinstance(self.family, BoundedFamily):
            return self.family.bound(log_weight, point.beta, goal)
        return searched_bound(self.family, self.grid, log_weight, point.beta, goal)


def as_family(
    point: RateDistortion, theta: Array, gap: float, tol: float, rigorous: bool
) -> FamilyPoint:
    """Return a point with its rows and a certificate, without the rows that are not used."""
    kept = {field.name: getattr(point, field.name) for field in fields(point)}
    kept |= {"cost": locked(point.cost[:, point.m > 0]), "m": locked(point.m[point.m > 0])}
    kept |= {"gap": gap, "lower_bound": point.objective - gap, "converged": gap <= tol}
    kept |= {"iterates": (), "rigorous": rigorous, "parameters": locked(theta[point.m > 0])}
    return FamilyPoint(**kept)


def relative(point: RateDistortion) -> Array:
    """Return A/g at [x, z] over the symbols with p > 0."""
    live = point.p > 0
    log_A = -point.cost[live] / point.beta
    return np.asarray(np.exp(log_A - logsumexp(log_A, b=point.m, axis=1, keepdims=True)))


def sparser(A: Array, m: Array) -> Array:
    """Return weights with the same A m, above 0 for at most as many columns as A has rows.

    As Carathéodory's theorem is proven: along a v with A v = 0 until a weight is 0, again and
    again.
    """
    m = m.copy()
    while (live := np.flatnonzero(m)).size > len(A):
        v = np.linalg.svd(A[:, live])[2][-1]
        v *= np.sign(v[np.argmax(np.abs(v))])
        room = np.where(v > 0, m[live] / np.where(v > 0, v, 1.0), np.inf)
        m[live] = np.maximum(m[live] - room.min() * v, 0.0)
        m[live[np.argmin(room)]] = 0.0
    return m


def merged(
    p: Array, family: GlobalFamily, beta: float, theta: Array, m: Array
) -> tuple[Array, Array]:
    """Merge rows that coincide and polish all parameters, as long as F does not rise."""
    polish = Polish(p, family, beta, theta)
    most = polish.value(m, theta) + 1e-15
    tries = (_joined(polish, theta, m, least) for least in COINCIDE)
    return next((mixture for mixture, value in tries if value <= most), (theta, m))


def _joined(
    polish: Polish, theta: Array, m: Array, least: float
) -> tuple[tuple[Array, Array], float]:
    """Merge rows of affinity above `least` and polish, again while that brings rows together."""
    while True:
        count, group = _groups(polish, theta, least)
        member = (group == np.arange(count)[:, None]) * m
        mass = member.sum(axis=1)
        (theta, m), value = polish.run(mass, member @ theta / mass[:, None])
        if _groups(polish, theta, least)[0] == count:
            return (theta, m), value


def _groups(polish: Polish, theta: Array, least: float) -> tuple[int, Array]:
    """Return the number of groups of rows that coincide, and the group of each row."""
    rows = np.exp(0.5 * polish.family.log_rows(theta))
    count, group = connected_components(rows @ rows.T > least, directed=False)
    return int(count), np.asarray(group)
