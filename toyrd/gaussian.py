"""Gaussian decoders: rows that are Gaussians integrated over the bins.

Notation: a row has a mean μ and a width σ in bins; bin x reaches from a = (x − ½ − μ)/σ to
b = (x + ½ − μ)/σ, the end bins to ∓∞, and ℓ = log(Φ(b) − Φ(a)). In τ = 1/σ and ν = μ/σ the
edges are linear, so Φ(b) − Φ(a) is log-concave in (τ, ν) (Prékopa): ℓ lies below its tangents.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

from .cells import Bound, Cells
from .checks import Array, as_array, as_count

__all__ = ["GaussianDecoder"]

STEPS = 60
"""Newton steps of a fit at the most."""

FAR = 1e6
"""Largest mean and width, and one over the least width, in bins."""


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
        If a bound is not finite, out of order, or beyond 1e6 bins, or a width below 1e-6.

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
        for name, bounds, low in (("means", self.means, -FAR), ("widths", self.widths, 1 / FAR)):
            if bounds[0] < low or bounds[1] > FAR:
                raise ValueError(f"{name} are {bounds}, but must lie between {low:g} and {FAR:g}")
        self.edges = np.concatenate([[-np.inf], np.arange(self.n_x - 1) + 0.5, [np.inf]])

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
        a, b = tail[:, :-1], tail[:, 1:]
        inside = np.signbit(z[:, :-1]) & ~np.signbit(z[:, 1:])
        near = np.where(inside, 0.0, np.maximum(a, b))
        rest = np.where(inside, np.exp(a) + np.exp(b), np.exp(np.minimum(a, b) - near))
        return np.asarray(near + np.log1p(-rest))

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of ℓ in (mean, width), shape (n_z, n_x, 2)."""
        _, by_tau, by_nu = self.tangent(parameters)
        mean, width = parameters[:, :1], parameters[:, 1:]
        return np.stack([by_nu / width, -(by_tau + mean * by_nu) / width**2], axis=-1)

    def tangent(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Return ℓ with its slopes in τ and ν."""
        return self._bend(parameters)[0]

    def _bend(
        self, parameters: Array
    ) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        """Return ℓ with its slopes in τ and ν, and with its second ones in ττ, τν and νν."""
        log_d = self.log_rows(parameters)
        z = (self.edges - parameters[:, :1]) / parameters[:, 1:]
        log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        at_a, at_b = np.exp(log_density[:, :-1] - log_d), np.exp(log_density[:, 1:] - log_d)
        edge = np.where(np.isfinite(self.edges), self.edges, 0.0)
        z = np.where(np.isfinite(z), z, 0.0)
        by_tau, by_nu = at_b * edge[1:] - at_a * edge[:-1], at_a - at_b
        bend_a, bend_b = at_a * z[:, :-1], at_b * z[:, 1:]
        twice = bend_a * edge[:-1] ** 2 - bend_b * edge[1:] ** 2 - by_tau**2
        mixed = bend_b * edge[1:] - bend_a * edge[:-1] - by_tau * by_nu
        return (log_d, by_tau, by_nu), (twice, mixed, bend_a - bend_b - by_nu**2)

    def dictionary(self) -> Array:
        """Return a coarse cover of the box: rows less than half a width apart."""
        rows = []
        width = self.widths[1]
        while True:
            count = int(np.ceil((self.means[1] - self.means[0]) / (0.4 * width))) + 1
            means = np.unique(np.linspace(*self.means, max(3, min(count, 4 * self.n_x))))
            rows.append(np.stack([means, np.full(means.size, width)], axis=1))
            if width <= self.widths[0]:
                return np.concatenate(rows)
            width = max(width / 1.3, self.widths[0])

    def fit(self, joint: Array, parameters: Array | None = None) -> Array:
        """Return the (mean, width) in the box that maximise Σ joint[z, x] ℓ, the M-step.

        ℓ is concave in (τ, ν), and the box is convex there, so Newton steps from the moments,
        or from a guess, find the maximum; one that would lower the sum is shortened.
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
        before, steps = theta + np.inf, 0
        while steps < STEPS and np.abs(theta - before).max() > 1e-13 * self.n_x:
            before, theta, steps = theta, self._ascend(weight, theta), steps + 1
        return np.asarray(theta)

    def _score(self, weight: Array, theta: Array) -> Array:
        return np.asarray((weight * self.log_rows(theta)).sum(axis=1))

    def _ascend(self, weight: Array, theta: Array) -> Array:
        """Return theta after one Newton step in (τ, ν), halved until no row gets worse."""
        step, held = self._newton_step(weight, theta)
        natural = np.stack([1 / theta[:, 1], theta[:, 0] / theta[:, 1]], axis=1)
        now = self._score(weight, theta)
        now -= 1e-15 * np.abs(now)  # what rounding may hide
        moved, worse, share = theta, np.full(len(theta), True), np.full((len(theta), 1), 2.0)
        while worse.any() and share.min() > 1e-12:
            share[worse] /= 2
            tau, nu = (natural + share * step).T
            tau = np.maximum(tau, 1 / self.widths[1])
            moved = np.clip(np.stack([nu / tau, 1 / tau], axis=1), *self.box)
            moved[held] = theta[held]  # rounding must not take it off its side
            worse = self._score(weight, moved) < now
        return np.asarray(np.where(worse[:, None], theta, moved))

    def _newton_step(self, weight: Array, theta: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return the Newton step in (τ, ν), and which of (μ, σ) a side of the box holds."""
        (_, *first), second = self._bend(theta)
        g_tau, g_nu = ((weight * slope).sum(axis=1) for slope in first)
        gradient = np.stack([g_tau, g_nu], axis=1)
        tt, tn, nn = (-(weight * bend).sum(axis=1) for bend in second)
        ridge = 1e-12 * (tt + nn) + 1e-300
        curvature = np.stack([tt + ridge, tn, tn, nn + ridge], axis=1).reshape(-1, 2, 2)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        mean = theta[:, 0]
        held = self._leaving(theta, np.stack([g_nu, -g_tau - mean * g_nu], axis=1))
        blocked = self._leaving(theta, np.stack([step[:, 1] - mean * step[:, 0], -step[:, 0]], 1))
        blocked[:, 1] &= ~blocked[:, 0]  # one at a time
        held = np.asarray(np.where(held.any(axis=1, keepdims=True), held, blocked))
        side = np.stack([held[:, 0], np.where(held[:, 0], mean, 1.0)], axis=1)
        rise = (side * gradient).sum(axis=1) / np.einsum("zi,zij,zj->z", side, curvature, side)
        step = np.where(held.any(axis=1, keepdims=True), side * rise[:, None], step)
        return np.where(held.all(axis=1, keepdims=True), 0.0, step), held

    def _leaving(self, theta: Array, move: Array) -> NDArray[np.bool_]:
        """Return which parameters lie on a side of the box that a move would leave."""
        low, high = self.box
        return np.asarray(((theta <= low) & (move < 0)) | ((theta >= high) & (move > 0)))

    @cached_property
    def _cells(self) -> Cells:
        return Cells(self)

    def bound(self, log_weight: Array, beta: float, goal: float) -> Bound:
        """Bound c(θ) = Σ exp(log_weight + ℓ/β) over the whole box, rigorously; see `Cells`.

        Returns
        -------
        float
            Upper bound on c; at most 1 + goal unless points are returned or cells ran out.
        numpy.ndarray, shape (k, 2)
            Parameters with c > 1 + goal, found on the way.
        """
        return Bound(*self._cells.bound(log_weight, beta, goal), True)


def _interval(name: str, value: ArrayLike) -> tuple[float, float]:
    low, high = as_array(name, value, ndim=1) if np.size(value) == 2 else (1.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be two finite bounds in order, not {value!r}")
    return float(low), float(high)
