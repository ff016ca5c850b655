"""Gaussian decoders: rows that are Gaussians integrated over the bins, and a bound on them.

Notation: a row has a mean μ and a width σ in bins; bin x reaches from a = (x − ½ − μ)/σ to
b = (x + ½ − μ)/σ, the end bins to ∓∞, and ℓ = log(Φ(b) − Φ(a)). In τ = 1/σ and ν = μ/σ the
edges are linear, so Φ(b) − Φ(a) is log-concave in (τ, ν) (Prékopa): ℓ lies below its tangents.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfcx

from .checks import Array, as_array, as_count

__all__ = ["GaussianDecoder"]

CELLS = 20_000
"""How many cells the bound may look at; each takes a few microseconds."""


class GaussianDecoder:
    r"""Restrict decoder rows to Gaussians integrated over bins; the end bins take the tails.

    .. math:: d(x|z) = Φ((x + ½ - μ_z)/σ_z) - Φ((x - ½ - μ_z)/σ_z)

    Parameters
    ----------
    n_bins : int
        Number of symbols x, with centres 0, 1, …
    means, widths : (float, float), optional
        Bounds on μ and σ in bins; the certificate covers this box. By default the means cover
        all bins, and the widths a quarter of a bin to all bins.

    Raises
    ------
    ValueError
        If a bound is not finite, out of order, or a width is not above 0.

    Notes
    -----
    Parameters are rows (mean, width).

    Examples
    --------
    >>> GaussianDecoder(3).log_rows(np.array([[1.0, 0.5]])).round(2)
    array([[-1.84, -0.38, -1.84]])

    References
    ----------
    Prékopa, *On logarithmic concave measures and functions* (1973), for the bound.
    """

    def __init__(
        self,
        n_bins: int = 30,
        *,
        means: ArrayLike | None = None,
        widths: ArrayLike | None = None,
    ) -> None:
        self.n_x = as_count("n_bins", n_bins)
        self.means = _interval("means", (-0.5, self.n_x - 0.5) if means is None else means)
        self.widths = _interval("widths", (0.25, max(self.n_x, 1)) if widths is None else widths)
        if self.widths[0] <= 0:
            raise ValueError(f"widths[0] is {self.widths[0]}, but a width must be above 0")
        self.edges = np.concatenate([[-np.inf], np.arange(self.n_x - 1) + 0.5, [np.inf]])
        self.cells = self._first_cells()

    def __repr__(self) -> str:
        return f"GaussianDecoder({self.n_x}, means={self.means}, widths={self.widths})"

    @property
    def box(self) -> Array:
        """Lowest and highest parameters, shape (2, 2)."""
        return np.array([self.means, self.widths]).T

    def log_rows(self, parameters: Array) -> Array:
        """Return ℓ = log d(x|z), shape (n_z, n_x), for rows (mean, width)."""
        z = (self.edges - parameters[:, :1]) / parameters[:, 1:]
        with np.errstate(divide="ignore"):  # log of the smaller tail, Φ(−|z|), at full precision
            tail = np.log(0.5 * erfcx(np.abs(z) / np.sqrt(2))) - 0.5 * z**2
        near = np.maximum(tail[:, :-1], tail[:, 1:])
        rest = np.exp(np.minimum(tail[:, :-1], tail[:, 1:]) - near)
        inside = np.signbit(z[:, :-1]) & ~np.signbit(z[:, 1:])
        rest[inside] = (1 + rest[inside]) * np.exp(near[inside])  # both tails, off a total of 1
        near[inside] = 0.0
        return np.asarray(near + np.log1p(-rest))

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of ℓ in (mean, width), shape (n_z, n_x, 2)."""
        _, d_tau, d_nu = self._tangent(parameters)
        mean, width = parameters[:, :1], parameters[:, 1:]
        return np.stack([d_nu / width, -(d_tau + mean * d_nu) / width**2], axis=-1)

    def _hazards(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return ℓ, the densities φ(a)/d and φ(b)/d at [.., 0 or 1], and the edges in widths."""
        log_d = self.log_rows(parameters)
        z = (self.edges - parameters[:, :1]) / parameters[:, 1:]
        log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        ends = np.stack([log_density[:, :-1], log_density[:, 1:]], axis=-1)
        return log_d, np.exp(ends - log_d[..., None]), np.where(np.isfinite(z), z, 0.0)

    def _tangent(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return ℓ with its slopes in τ and ν."""
        log_d, hazard, _ = self._hazards(parameters)
        edge = np.where(np.isfinite(self.edges), self.edges, 0.0)
        d_tau = hazard[..., 1] * edge[1:] - hazard[..., 0] * edge[:-1]
        return log_d, d_tau, hazard[..., 0] - hazard[..., 1]

    def dictionary(self) -> Array:
        """Return a coarse cover of the box: rows about a third of a width apart."""
        rows = []
        width = self.widths[1]
        while True:
            count = int(np.ceil((self.means[1] - self.means[0]) / (0.4 * width))) + 1
            means = np.linspace(*self.means, max(3, min(count, 4 * self.n_x)))
            rows.append(np.stack([means, np.full(means.size, width)], axis=1))
            if width <= self.widths[0]:
                return np.concatenate(rows)
            width = max(width / 1.3, self.widths[0])

    def fit(self, joint: Array, parameters: Array | None) -> Array:
        """Return the (mean, width) that maximise Σ joint[z, x] ℓ, the M-step.

        ℓ is concave in (τ, ν), so Newton steps from the moments, or from a guess, find the
        maximum; a step that would lower the sum or leave the box is shortened.
        """
        mass = joint.sum(axis=1, keepdims=True)
        weight = np.divide(joint, mass, out=np.full_like(joint, 1 / self.n_x), where=mass > 0)
        x = np.arange(self.n_x)
        mean = weight @ x
        spread = np.sqrt(np.maximum((weight * (x - mean[:, None]) ** 2).sum(axis=1), 1e-4))
        theta = np.clip(np.stack([mean, spread], axis=1), *self.box)
        if parameters is not None:
            better = self._score(weight, parameters) > self._score(weight, theta)
            theta = np.where(better[:, None], parameters, theta)
        for _ in range(60):
            following = self._ascend(weight, theta)
            if np.abs(following - theta).max() <= 1e-13 * self.n_x:
                break
            theta = following
        return theta

    def _score(self, weight: Array, theta: Array) -> Array:
        rows = self.log_rows(theta)
        return np.asarray(np.where(weight > 0, weight * rows, 0.0).sum(axis=1))

    def _ascend(self, weight: Array, theta: Array) -> Array:
        """Return theta after one Newton step in (τ, ν), halved until no row gets worse."""
        _, d_tau, d_nu = self._tangent(theta)
        gradient = np.stack([(weight * d_tau).sum(axis=1), (weight * d_nu).sum(axis=1)], axis=1)
        curvature = self._curvature(weight, theta, d_tau, d_nu)
        curvature -= 1e-12 * np.trace(curvature, axis1=1, axis2=2)[:, None, None] * -np.eye(2)
        step = -np.linalg.solve(curvature, gradient[..., None])[..., 0]
        natural = np.stack([1 / theta[:, 1], theta[:, 0] / theta[:, 1]], axis=1)
        now = self._score(weight, theta)
        share = np.ones((len(theta), 1))
        for _ in range(40):
            tau = np.maximum(natural[:, 0] + share[:, 0] * step[:, 0], 1e-9)
            nu = natural[:, 1] + share[:, 0] * step[:, 1]
            moved = np.clip(np.stack([nu / tau, 1 / tau], axis=1), *self.box)
            worse = self._score(weight, moved) < now
            if not worse.any():
                return moved
            share[worse] /= 2
        return np.where(worse[:, None], theta, moved)

    def _curvature(self, weight: Array, theta: Array, d_tau: Array, d_nu: Array) -> Array:
        """Return the Hessian of Σ weight ℓ in (τ, ν), shape (n_z, 2, 2)."""
        _, hazard, z = self._hazards(theta)
        edge = np.where(np.isfinite(self.edges), self.edges, 0.0)
        at_a, at_b = weight * hazard[..., 0] * z[:, :-1], weight * hazard[..., 1] * z[:, 1:]

        def entry(first: Array, second: Array, power: int) -> Array:
            sign = (-1.0) ** power  # ∂edge/∂ν = −1
            bend = at_a * edge[:-1] ** (2 - power) - at_b * edge[1:] ** (2 - power)
            return np.asarray((sign * bend - weight * first * second).sum(axis=1))

        tt, tn, nn = entry(d_tau, d_tau, 0), entry(d_tau, d_nu, 1), entry(d_nu, d_nu, 2)
        return np.stack([np.stack([tt, tn], -1), np.stack([tn, nn], -1)], axis=-2)

    def bound(self, weight: Array, beta: float, goal: float) -> tuple[float, Array]:
        """Bound c(θ) = Σ weight d_θ^(1/β) over the whole box, and point to where it is high.

        The box is cut into cells until every cell is known to have c ≤ 1 + goal; the bound on
        a cell is rigorous up to rounding, see `_cell_bounds`.

        Returns
        -------
        float
            Upper bound on c; at most 1 + goal unless points are returned or cells ran out.
        numpy.ndarray, shape (k, 2)
            Parameters with c > 1 + goal: cell centres, found on the way.
        """
        cells, looked, bound = self.cells, 0, -1.0
        while True:
            upper, value, centres = self._cell_bounds(cells, weight, beta, goal)
            looked += len(cells)
            high, open_ = value > goal, upper > goal
            bound = max(bound, float(upper[~open_].max(initial=-1.0)))
            if high.any() or not open_.any() or looked > CELLS:
                return 1 + max(bound, float(upper[open_].max(initial=-1.0))), centres[high]
            cells = _quarters(cells[open_])

    @cached_property
    def _start(self) -> tuple[Array, Array, Array, Array]:
        return self._frame(self.cells)

    def _first_cells(self) -> Array:
        """Return cells (μ low, μ high, τ low, τ high) that cover the box."""
        means = np.linspace(*self.means, 2 * self.n_x + 1)
        taus = np.geomspace(1 / self.widths[1], 1 / self.widths[0], 25)
        low = np.meshgrid(means[:-1], taus[:-1], indexing="ij")
        high = np.meshgrid(means[1:], taus[1:], indexing="ij")
        return np.stack([low[0], high[0], low[1], high[1]], axis=-1).reshape(-1, 4)

    def _cell_bounds(
        self, cells: Array, weight: Array, beta: float, goal: float
    ) -> tuple[Array, Array, Array]:
        """Return for each cell an upper bound on c − 1, c − 1 at its centre, and the centre.

        A cell is a convex quadrilateral in (τ, ν). There ℓ lies below its tangent T at the
        centre, and Σ weight exp(T/β) is convex, so it is largest at one of the four corners.
        """
        centres, log_d, moves, kappa = self._start if cells is self.cells else self._frame(cells)
        value = (weight * np.exp(log_d / beta) - np.exp(log_d)).sum(axis=1)
        with np.errstate(over="ignore"):
            upper = (np.exp((log_d + moves) / beta) @ weight).max(axis=0) - 1
        open_ = np.flatnonzero(upper > goal)
        finer = _taylor(weight, beta, log_d[open_], moves[:, open_], kappa[open_])
        upper[open_] = np.fmin(upper[open_], finer)
        return upper, value, centres

    def _frame(self, cells: Array) -> tuple[Array, Array, Array, Array]:
        """Return for each cell its centre, ℓ there, T − ℓ₀ at the corners, and max T − ℓ."""
        mean, tau = cells[:, :2].mean(axis=1), cells[:, 2:].mean(axis=1)
        centres = np.stack([mean, 1 / tau], axis=1)
        log_d, d_tau, d_nu = self._tangent(centres)
        moves, kappa = [], np.zeros_like(log_d)
        for end in (cells[:, [i, j]] for i in (0, 1) for j in (2, 3)):
            to_tau, to_nu = end[:, 1] - tau, end[:, 0] * end[:, 1] - mean * tau
            moves.append(d_tau * to_tau[:, None] + d_nu * to_nu[:, None])
            corner = np.stack([end[:, 0], 1 / end[:, 1]], axis=1)
            kappa = np.maximum(kappa, log_d + moves[-1] - self.log_rows(corner))
        return centres, log_d, np.stack(moves), kappa


def _taylor(weight: Array, beta: float, log_d: Array, moves: Array, kappa: Array) -> Array:
    r"""Return an upper bound on c − 1 over cells that is sharp where β is near 1.

    As rows sum to 1, c − 1 = Σ f(ℓ) with f(ℓ) = weight exp(ℓ/β) − exp(ℓ), which is small term
    by term. ℓ lies below T by κ at the most, where T − ℓ, being convex, is largest at a corner.
    Taylor's theorem in T, and the mean value theorem from T to ℓ, give

    .. math:: c - 1 ≤ Σ f(ℓ_0) + f'(ℓ_0) (T - ℓ_0) + ½ (T - ℓ_0)^2 \max|f''| + κ \max|f'|

    with the maxima over T − κ to T, and the linear part largest at a corner.
    """
    s = 1 / beta
    row, power = np.exp(log_d), weight * np.exp(s * log_d)
    linear = (moves * (s * power - row)).sum(axis=2).max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        top, bottom = log_d + moves.max(axis=0), log_d + moves.min(axis=0) - kappa
        first = np.exp(top) * _largest(weight * s, s - 1, bottom, top)
        second = np.exp(top) * _largest(weight * s**2, s - 1, bottom, top)
        rest = kappa * first + 0.5 * (moves**2).max(axis=0) * second
        return np.asarray((power - row).sum(axis=1) + linear + rest.sum(axis=1))


def _largest(factor: Array, power: float, low: Array, high: Array) -> Array:
    """Return the largest |factor exp(power t) − 1| for t from low to high."""
    ends = np.abs(factor * np.exp(power * low) - 1), np.abs(factor * np.exp(power * high) - 1)
    return np.maximum(*ends)


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


def _interval(name: str, value: ArrayLike) -> tuple[float, float]:
    low, high = as_array(name, value, ndim=1) if np.size(value) == 2 else (1.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be two finite bounds in order, not {value!r}")
    return float(low), float(high)
