"""Gaussian decoders: rows that are Gaussians integrated over the bins.

Notation: a row has a mean μ and a width σ in bins; bin x reaches from a = (x − ½ − μ)/σ to
b = (x + ½ − μ)/σ, the end bins to ∓∞, and ℓ = log(Φ(b) − Φ(a)). ℓ is concave in 1/σ and μ/σ, in
which a and b are linear (Prékopa); seen from (μ₀, σ₀), in ν = (μ − μ₀)/σ and s = σ₀/σ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfcx, ndtr

from .cells import ConcaveRows, as_masses
from .checks import Array, as_array, as_count, frozen, has_shape

__all__ = ["GaussianDecoder", "log_bins"]

STEPS = 100
"""Newton steps of a fit at the most."""

TINY, FLAT = 1e-300, 1e-12
"""Least curvature of a flat direction, and share of a determinant that rounding may be."""

ROUNDING = 1e-16
"""A gain of a fit, relative to its sum, that rounding hides."""

FAR = 1e6
"""Largest mean and width, and one over the least width, in bins."""

WIDE, NEAR = 50.0, 0.2
"""Width in bins, and distance in widths: there Φ(b) − Φ(a) loses digits, and is summed instead."""

NODES, SHARES = np.polynomial.legendre.leggauss(5)
ROOT = np.sqrt(2 * np.pi)


class GaussianDecoder(ConcaveRows):
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
    >>> GaussianDecoder(3).log_rows([[1.0, 0.5]]).round(2)
    array([[-1.84, -0.38, -1.84]])

    References
    ----------
    Prékopa, *On logarithmic concave measures and functions* (1973), for the bound.
    """

    sums_to_one = True

    def __init__(
        self,
        n_bins: int = 30,
        *,
        means: ArrayLike | None = None,
        widths: ArrayLike | None = None,
    ) -> None:
        self.n_x = as_count("n_bins", n_bins)
        self.means = _interval("means", (-0.5, self.n_x - 0.5) if means is None else means, -FAR)
        self.widths = _interval("widths", (0.25, self.n_x) if widths is None else widths, 1 / FAR)
        self.box = frozen(np.array([self.means, self.widths]).T)

    def __repr__(self) -> str:
        return f"GaussianDecoder({self.n_x}, means={self.means}, widths={self.widths})"

    def log_rows(self, parameters: ArrayLike) -> Array:
        """Compute ℓ = log d(x|z), shape (n_z, n_x), for rows (mean, width) of any box.

        Raises
        ------
        ValueError
            If `parameters` are not rows (mean, width), finite and with widths above 0.
        """
        return log_bins(_as_rows(parameters), self.n_x)

    def slopes(self, parameters: ArrayLike) -> Array:
        """Compute the gradient of ℓ in (mean, width), shape (n_z, n_x, 2).

        Raises
        ------
        ValueError
            If `parameters` are not rows (mean, width), finite and with widths above 0.
        """
        theta = _as_rows(parameters)
        pulls = _pulled(theta, self.n_x, 2)[1]
        return np.asarray(np.stack(pulls, axis=-1) / theta[:, None, 1:])

    def move(self, origin: Array, parameters: Array) -> Array:
        """Return (ν, 1 − s) σ₀, the parameters less an origin where they are close."""
        return (parameters - origin) * (origin[:, 1:] / parameters[:, 1:])

    def _middle(self, low: Array, high: Array) -> Array:
        """Return the centres of cells: of the means, and of one over the widths."""
        share = np.stack([np.full(len(low), 0.5), low[:, 1] / (low[:, 1] + high[:, 1])], axis=1)
        return np.asarray(low + share * (high - low))

    def dictionary(self) -> Array:
        """Return a coarse cover of the box: rows less than half a width apart."""
        rows, width = [], self.widths[1]
        while True:
            count = int(np.ceil((self.means[1] - self.means[0]) / (0.4 * width))) + 1
            means = np.unique(np.linspace(*self.means, max(3, min(count, 4 * self.n_x))))
            rows.append(np.stack([means, np.full(means.size, width)], axis=1))
            if width <= self.widths[0]:
                return np.concatenate(rows)
            width = max(width / 1.3, self.widths[0])

    def fit(self, joint: ArrayLike, parameters: ArrayLike | None = None) -> Array:
        """Compute the (mean, width) in the box that maximise Σ joint[z, x] ℓ, the M-step.

        The sum is concave in ν and s, in which the box is convex: Newton steps find its maximum.

        Parameters
        ----------
        joint : array_like, shape (n_z, n_x)
            Masses p(x) e(z|x).
        parameters : array_like, shape (n_z, 2), optional
            Rows to start from, which a latent without mass keeps.

        Returns
        -------
        numpy.ndarray, shape (n_z, 2)
            Rows (mean, width); those of all the mass for a latent without.

        Raises
        ------
        ValueError
            If `joint` is of another shape, has no mass, or a negative or non-finite one.
        """
        weight = as_masses(joint, self.n_x)
        mass = weight.sum(axis=1, keepdims=True)
        weight = np.where(mass > 0, weight, weight.sum(axis=0))
        weight /= weight.sum(axis=1, keepdims=True)
        if parameters is None:
            return self._climbed(weight, self._like(weight))
        given = _as_rows(parameters)
        has_shape("parameters", given, (len(weight), 2))
        return np.where(mass > 0, self._climbed(weight, np.clip(given, *self.box)), given)

    def _like(self, weight: Array) -> Array:
        """Return the rows in the box whose moments are nearest to those of weights."""
        x = np.arange(self.n_x)
        mean = np.clip(weight @ x, *self.means)
        spread = np.sqrt((weight * (x - mean[:, None]) ** 2).sum(axis=1))
        return np.stack([mean, np.clip(spread, *self.widths)], axis=1)

    def _score(self, weight: Array, theta: Array) -> Array:
        return np.asarray((weight * log_bins(theta, self.n_x)).sum(axis=1))

    def _climbed(self, weight: Array, theta: Array) -> Array:
        """Return theta after Newton steps, each shortened until it gains enough."""
        share, steps = np.ones(len(theta)), 0
        now, (step, slope) = self._score(weight, theta), self._step(weight, theta)
        while (share * slope > ROUNDING * np.maximum(1, np.abs(now))).any() and steps < STEPS:
            width = theta[:, 1] / (1 + share * step[1])
            tried = np.stack([theta[:, 0] + share * step[0] * width, width], axis=1)
            tried = np.clip(tried, *self.box)
            after = self._score(weight, tried)
            good = after >= now + 0.1 * share * slope - 4 * ROUNDING * np.abs(now)
            theta, now = np.where(good[:, None], tried, theta), np.where(good, after, now)
            share, steps = np.where(good, 1.0, share / 4), steps + 1
            step, slope = self._step(weight, theta)
        return theta

    def _step(self, weight: Array, theta: Array) -> tuple[Array, Array]:
        """Return (ν, s − 1) at the maximum over the box of a quadratic model, and its slope.

        The maximum lies inside, or on a side: s an end, or ν at s times the way to an end.
        """
        q1, q2, q3, q4 = _pulled(theta, self.n_x, 4)[1]
        terms = (q1, -q2, q2 - q1**2, q1 * q2 - q3, q4 - q2**2)
        by_nu, by_s, nn, ns, ss = ((weight * term).sum(axis=1) for term in terms)
        nn, ss = np.minimum(nn, -TINY), np.minimum(ss, -TINY)
        shortest, longest = theta[:, 1] / self.widths[1], theta[:, 1] / self.widths[0]
        back, ahead = (np.array(self.means)[:, None] - theta[:, 0]) / theta[:, 1]
        with np.errstate(all="ignore"):  # of a flat model
            det = nn * ss - ns**2
            det = np.where(det > FLAT * nn * ss, det, np.nan)
            found = [((ns * by_s - ss * by_nu) / det, 1 + (ns * by_nu - nn * by_s) / det)]
            for s in (shortest, longest):
                nu = (by_nu + ns * (s - 1)) / -nn
                found.append((np.clip(nu, s * back, s * ahead), s))
            for way in (back, ahead):
                bend = np.minimum(way**2 * nn + 2 * way * ns + ss, -TINY)
                s = np.clip((way * ns + ss - way * by_nu - by_s) / bend, shortest, longest)
                found.append((s * way, s))
            nu, s = np.swapaxes(found, 0, 1)
            held = (shortest <= s) & (s <= longest) & (s * back <= nu) & (nu <= s * ahead)
            held[1:] = True
            slope = nu * by_nu + (s - 1) * by_s
            value = slope + nn * nu**2 / 2 + ns * nu * (s - 1) + ss * (s - 1) ** 2 / 2
        value = np.where(held & (slope >= 0) & (value < np.inf), value, -np.inf)
        best = value.argmax(axis=0), np.arange(len(theta))
        return np.stack([nu[best], s[best] - 1]), slope[best]


def log_bins(parameters: Array, n_bins: int) -> Array:
    """Return the logarithms of Gaussians integrated over bins, for rows (mean, width).

    The bins are centred on 0, 1, …, and the end bins take the tails.
    """
    return _pulled(parameters, n_bins, 0)[0]


def _pulled(parameters: Array, n_bins: int, count: int) -> tuple[Array, list[Array]]:
    """Return ℓ, and the first q_k = (φ(a) aᵏ⁻¹ − φ(b) bᵏ⁻¹) / (Φ(b) − Φ(a)), k = 1, 2, ….

    By parts q_k = E tᵏ − (k − 1) E tᵏ⁻² over the bin, but without the cancellation.
    The mass is E(near) − E(far) exp(−|b² − a²|/2), times exp(−near²/2), with near and far the
    ends of the bin and E(z) = Φ(−|z|) exp(z²/2); but 1 less both tails where the mean is inside.
    """
    mean, width = parameters[:, :1], parameters[:, 1:]
    edges = np.arange(n_bins + 1) - 0.5
    edges[0], edges[-1] = -np.inf, np.inf
    with np.errstate(all="ignore"):
        z = np.clip((edges - mean) / width, -1e150, 1e150)
        half, tail = 0.5 * z**2, 0.5 * erfcx(np.abs(z) * np.sqrt(0.5))
        a, b, tails = z[:, :-1], z[:, 1:], (tail[:, :-1], tail[:, 1:])
        near, drop = np.minimum(half[:, :-1], half[:, 1:]), np.exp(np.abs(a + b) / (-2 * width))
        mass = np.maximum(*tails) - drop * np.minimum(*tails)
        inside = np.nonzero(np.signbit(a) & ~np.signbit(b))
        mass[inside], near[inside] = 1 - ndtr(a[inside]) - ndtr(-b[inside]), 0.0
        log_d, pulls = np.log(mass) - near, list[Array]()
    if count:
        at_a, at_b = np.where(a >= 0, 1.0, drop), np.where(a >= 0, drop, 1.0)
        at_a[inside], at_b[inside] = np.exp(-half[:, :-1][inside]), np.exp(-half[:, 1:][inside])
        at_a, at_b = at_a / (ROOT * mass), at_b / (ROOT * mass)
        z[:, [0, -1]] = 0.0
    for _ in range(count):
        pulls.append(at_a - at_b)
        at_a, at_b = at_a * a, at_b * b
    if (width > WIDE).any():
        _integrate(parameters, log_d, pulls)
    return log_d, pulls


def _integrate(parameters: Array, log_d: Array, pulls: list[Array]) -> None:
    """Fill in what wide rows have in the bins near their means, by Gauss-Legendre sums.

    There the exponent varies by less than ½ over a bin.
    """
    mean, width = parameters[:, :1], parameters[:, 1:]
    centre = (np.arange(log_d.shape[1]) - mean) / width
    near = (width > WIDE) & (np.abs(centre) < NEAR * width)
    near[:, [0, -1]] = False
    z = np.nonzero(near)
    t, step = centre[z][:, None], NODES / (2 * width[z[0]])
    share = 0.5 * SHARES * np.exp(-step * (t + step / 2))
    total = share.sum(axis=1)
    log_d[z] = np.log(total / (ROOT * width[z[0], 0])) - t[:, 0] ** 2 / 2
    t = t + step
    for k, pull in enumerate(pulls):  # q_(k+1)
        inner = t ** (k + 1) - (k * t ** (k - 1) if k else 0)
        pull[z] = (share * inner).sum(axis=1) / total


def _as_rows(parameters: ArrayLike) -> Array:
    """Return checked rows (mean, width)."""
    theta = as_array("parameters", parameters, ndim=2)
    has_shape("parameters", theta, (len(theta), 2))
    rule = "must be a mean and a width, both finite, the width above 0"
    bad = np.flatnonzero(~np.isfinite(theta).all(axis=1) | (theta[:, 1] <= 0))
    if bad.size:
        raise ValueError(f"parameters[{bad[0]}] is {theta[bad[0]].tolist()}, but {rule}")
    return theta


def _interval(name: str, value: ArrayLike, low: float) -> tuple[float, float]:
    """Return two finite bounds in order."""
    bounds = as_array(name, value)
    if bounds.shape != (2,) or not np.isfinite(bounds).all() or bounds[0] > bounds[1]:
        raise ValueError(f"{name} must be two finite bounds in order, not {value!r}")
    if bounds[0] < low or bounds[1] > FAR:
        raise ValueError(f"{name} are {value!r}, but must lie between {low:g} and {FAR:g}")
    return float(bounds[0]), float(bounds[1])
