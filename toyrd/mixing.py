"""Families solved globally: rows and marginal together are one mixing measure, so convex.

Notation: θ[z] are the parameters of row z and ℓ_θ(x) = log d_θ(x); A = exp(ℓ/β), g = Σ m A and
c(θ) = Σ_x p A/g as for a fixed decoder, but c ≤ 1 must hold over the whole continuous family.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from .checks import Array, frozen
from .convex import CostCurve, RateDistortion
from .decoders import DecoderFamily
from .polish import Polish

__all__ = ["GlobalFamily"]

LARGE = 1e4
"""A β at which R > 0 does not pay, in place of ∞."""

COINCIDE = (0.97, 0.999, 1 - 1e-5, 1 - 1e-7, 1 - 1e-9)
"""Affinities Σ √(d d') above which rows are tried as one, the boldest first."""


@runtime_checkable
class GlobalFamily(DecoderFamily, Protocol):
    """State what a family adds to be solved globally; see `GaussianDecoder`."""

    @property
    def box(self) -> Array:
        """Lowest and highest parameters, shape (2, k)."""
        ...

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of log d(x|z) in the parameters, shape (n_z, n_x, k)."""
        ...

    def dictionary(self) -> Array:
        """Return a coarse cover of the box, shape (n, k)."""
        ...

    def bound(self, weight: Array, beta: float, goal: float) -> tuple[float, Array]:
        """Bound Σ weight d_θ^(1/β) over the box; return also points where it is above 1 + goal."""
        ...


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FamilyPoint(RateDistortion):
    """Hold a point of a family's curve: its cost table is −log of the rows that are used."""

    parameters: Array


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
        if not 0 < beta < np.inf:
            return self._limit(beta)
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
        """Evaluate the mixture of two points, with the rows of both, at the β between them."""
        beta = first.beta ** (1 - share) * second.beta**share
        theta = np.concatenate([first.parameters, second.parameters])
        m = np.concatenate([(1 - share) * first.m, share * second.m])
        return self.certify(beta, theta[m > 0], m[m > 0])[0]

    def _limit(self, beta: float) -> FamilyPoint:
        """Return the point at β = 0, a best row for each symbol, or at ∞, one row for all.

        The M-step gives these rows. For one row the bound at a large β covers all that have
        R = 0; at β = 0 the certificate rests on the M-step being exact.
        """
        live = np.flatnonzero(self.p)
        joint = np.eye(self.p.size)[live] if beta == 0 else self.p[None]
        theta = self.family.fit(joint, None)
        point = CostCurve(self.p, self.cost(theta), tol=self.tol).at(beta)
        gap = point.gap if beta == 0 else self.certify(LARGE, theta, np.ones(1))[0].gap
        return as_family(point, theta[point.m > 0], gap, self.tol)

    def _over_dictionary(self, beta: float, theta: Array, m: Array) -> tuple[Array, Array]:
        """Return the best mixture of the rows in hand and those of the dictionary."""
        everything = np.concatenate([theta, self.grid])
        cost = np.concatenate([self.cost(theta), self.grid_cost], axis=1)
        curve = CostCurve(self.p, cost, tol=min(self.tol, 1e-10))
        full = np.append(m, np.zeros(len(self.grid))) if m.any() else None
        best = curve.from_marginal(beta, full).m
        return _fewer(everything[best > 0], best[best > 0], cost[:, best > 0], beta)

    def evaluate(self, beta: float, theta: Array, m: Array) -> tuple[FamilyPoint, Array]:
        """Certify the best weights for these rows; return also the violators of c ≤ 1."""
        best = CostCurve(self.p, self.cost(theta), tol=1e-13).from_marginal(beta, m)
        return self.certify(beta, theta[best.m > 0], best.m[best.m > 0])

    def certify(self, beta: float, theta: Array, m: Array) -> tuple[FamilyPoint, Array]:
        """Certify a mixture as it is over the whole box; return also the violators of c ≤ 1."""
        cost = self.cost(theta)
        point = CostCurve(self.p, cost, tol=self.tol).evaluate(beta, m)
        goal = float(np.expm1(0.9 * self.tol / beta))
        top, high = self.family.bound(self.p / (np.exp(-cost / beta) @ m), beta, goal)
        nats = max(point.nats, float(np.log(max(1.0, top))))
        gap = point.gap + beta * (nats - point.nats)
        return as_family(replace(point, nats=nats), theta, gap, self.tol), high


def as_family(point: RateDistortion, theta: Array, gap: float, tol: float) -> FamilyPoint:
    """Return a point with its rows and a certificate, without the rows that are not used."""
    kept = {field.name: getattr(point, field.name) for field in fields(point)}
    kept |= {"cost": point.cost[:, point.m > 0], "m": frozen(point.m[point.m > 0])}
    kept |= {"gap": gap, "lower_bound": point.objective - gap, "converged": gap <= tol}
    return FamilyPoint(**kept, parameters=frozen(theta))


def _fewer(theta: Array, m: Array, cost: Array, beta: float) -> tuple[Array, Array]:
    """Return a mixture of at most n_x rows with the same g, a vertex of {m ≥ 0 : A m = g}."""
    if m.size <= len(cost):
        return theta, m
    A = np.exp((cost.min(axis=1, keepdims=True) - cost) / beta)
    g = A @ m
    x = linprog(np.zeros(m.size), A_eq=A / g[:, None], b_eq=np.ones(g.size), method="highs-ds").x
    if x is None:
        return theta, m
    return theta[x > 0], x[x > 0] / x.sum()


def merged(
    p: Array, family: GlobalFamily, beta: float, theta: Array, m: Array
) -> tuple[Array, Array]:
    """Merge rows that coincide and polish all parameters, as long as F does not rise."""
    before = Polish(p, family, beta, theta).value(m, theta)
    rows = np.exp(0.5 * family.log_rows(theta))
    affinity = rows @ rows.T
    for least in COINCIDE:
        _, group = connected_components(affinity > least, directed=False)
        member = (group == np.arange(group.max() + 1)[:, None]) * m
        mass = member.sum(axis=1)
        fewer, value = Polish(p, family, beta, theta).run(mass, member @ theta / mass[:, None])
        if value <= before + 1e-15:
            break
    return fewer
