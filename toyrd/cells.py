"""A rigorous bound on c over a box of Gaussians, cut into cells until all of them are known.

Notation: c(θ) = Σ_x w exp(ℓ/β) with weights w; a cell is (μ low, μ high, τ low, τ high), with
τ = 1/σ. In (τ, ν = μτ) it is a convex quadrilateral, where ℓ is concave: ℓ lies below its tangent
T at the centre. What is convex, such as T − ℓ, is largest at one of the four corners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .checks import Array

if TYPE_CHECKING:
    from .gaussian import GaussianDecoder

__all__ = ["Cells"]

MOST = 100_000
"""How many cells the bound may look at; each takes a few microseconds."""


Frame = tuple[Array, Array, Array, Array]
"""For each cell its centre, ℓ₀ = ℓ there, T − ℓ₀ at the four corners, and max T − ℓ."""


class Bound(NamedTuple):
    top: float
    rows: Array
    proven: bool


class Cells:
    """Cover the box of a family by cells, and bound c on each of them."""

    def __init__(self, family: GaussianDecoder) -> None:
        self.family = family
        low, high = family.widths
        m0, m1 = _intervals(np.linspace(*family.means, 2 * family.n_x + 1))
        t0, t1 = _intervals(np.geomspace(1 / high, 1 / low, 25))
        ends = [m0[:, None], m1[:, None], t0, t1]
        self.first = np.stack(np.broadcast_arrays(*ends), axis=-1).reshape(-1, 4)
        self.frame = self._frame(self.first)

    def bound(self, log_weight: Array, beta: float, goal: float) -> tuple[float, Array]:
        """Return an upper bound on c, at most 1 + goal if it can be had, or points above it.

        Rigorous up to rounding. It stops early where c > 1 + goal at the centre of a cell.
        """
        cells, frame, looked, bound = self.first, self.frame, 0, -1.0
        while True:
            upper, value = _bounds(frame, log_weight, beta, goal)
            looked += len(cells)
            high, open_ = value > goal, upper > goal
            bound = max(bound, float(upper[~open_].max(initial=-1.0)))
            if high.any() or not open_.any() or looked > MOST:
                return 1 + max(bound, float(upper[open_].max(initial=-1.0))), frame[0][high]
            cells = _quarters(cells[open_])
            frame = self._frame(cells)

    def _frame(self, cells: Array) -> Frame:
        """Return for each cell its centre, ℓ there, T − ℓ₀ at the corners, and max T − ℓ."""
        mean, tau = cells[:, :2].mean(axis=1), cells[:, 2:].mean(axis=1)
        centres = np.stack([mean, 1 / tau], axis=1)
        log_d, by_tau, by_nu = self.family.tangent(centres)
        moves, kappa = [], np.zeros_like(log_d)
        for end in (cells[:, [i, j]] for i in (0, 1) for j in (2, 3)):
            to_tau, to_nu = end[:, 1] - tau, end[:, 0] * end[:, 1] - mean * tau
            moves.append(by_tau * to_tau[:, None] + by_nu * to_nu[:, None])
            corner = np.stack([end[:, 0], 1 / end[:, 1]], axis=1)
            kappa = np.maximum(kappa, log_d + moves[-1] - self.family.log_rows(corner))
        return centres, log_d, np.stack(moves), kappa


def _bounds(frame: Frame, log_weight: Array, beta: float, goal: float) -> tuple[Array, Array]:
    """Return for each cell an upper bound on c − 1, and c − 1 at its centre.

    Σ w exp(T/β) is convex, so it is largest at a corner.
    """
    _, log_d, moves, kappa = frame
    value = (np.exp(log_weight + log_d / beta) - np.exp(log_d)).sum(axis=1)
    with np.errstate(over="ignore"):
        upper = np.exp(log_weight + (log_d + moves) / beta).sum(axis=2).max(axis=0) - 1
    open_ = np.flatnonzero(upper > goal)
    finer = _taylor(log_weight, beta, log_d[open_], moves[:, open_], kappa[open_])
    upper[open_] = np.fmin(upper[open_], finer)
    return upper, value


def _taylor(log_weight: Array, beta: float, log_d: Array, moves: Array, kappa: Array) -> Array:
    r"""Return an upper bound on c − 1 over cells that is sharp where β is near 1.

    As rows sum to 1, c − 1 = Σ f(ℓ) with f(ℓ) = w exp(ℓ/β) − exp(ℓ), which is small term by
    term. ℓ lies below T by κ at the most. Taylor's theorem in T, and the mean value theorem
    from T to ℓ, give

    .. math:: c - 1 ≤ Σ f(ℓ_0) + f'(ℓ_0) (T - ℓ_0) + ½ (T - ℓ_0)^2 \max f'' + κ \max(-f')

    with the maxima over T − κ to T, but at least 0, and the linear part largest at a corner.
    """
    s = 1 / beta
    row, power = np.exp(log_d), np.exp(log_weight + s * log_d)
    linear = (moves * (s * power - row)).sum(axis=2).max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        top, bottom = log_d + moves.max(axis=0), log_d + moves.min(axis=0) - kappa
        ends = (s - 1) * bottom, (s - 1) * top
        falling = -np.expm1(log_weight + np.log(s) + np.minimum(*ends))  # −f' / exp ℓ
        bending = np.expm1(log_weight + 2 * np.log(s) + np.maximum(*ends))  # f'' / exp ℓ
        rest = kappa * np.maximum(falling, 0) + 0.5 * (moves**2).max(axis=0) * np.maximum(
            bending, 0
        )
        return np.asarray((power - row).sum(axis=1) + linear + (np.exp(top) * rest).sum(axis=1))


def _intervals(points: Array) -> tuple[Array, Array]:
    """Return the ends of the intervals between points, or one interval of no length."""
    points = np.unique(points)
    return (points[:-1], points[1:]) if points.size > 1 else (points, points)


def _quarters(cells: Array) -> Array:
    """Return each cell cut in four."""
    mean, tau = cells[:, :2].mean(axis=1), cells[:, 2:].mean(axis=1)
    low_mean, high_mean, low_tau, high_tau = cells.T
    parts = [
        np.stack([m0, m1, t0, t1], axis=1)
        for m0, m1 in ((low_mean, mean), (mean, high_mean))
        for t0, t1 in ((low_tau, tau), (tau, high_tau))
    ]
    return np.concatenate(parts)


def searched(family, grid, log_weight, beta, goal):
    def c(theta):
        return np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1)
    values = c(grid)
    theta = grid[np.argsort(-values)[:40]]
    for _ in range(200):
        q = np.exp(log_weight + family.log_rows(theta) / beta)
        theta = family.fit(q, theta)
    values = c(theta)
    return Bound(float(values.max()), theta[values > 1 + goal], False)
