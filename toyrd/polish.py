"""The polish: Newton steps on the weights and parameters of a mixture together.

Notation: θ[z] are the parameters of row z, ℓ_θ(x) = log d_θ(x), A = exp(ℓ/β), g = Σ m A, and
G(m, θ) = −Σ p log g + Σ m, whose minimum over m has Σ m = 1: there it is F/β + 1.
"""

from __future__ import annotations

import numpy as np

from .checks import Array
from .decoders import GlobalFamily

SMALL = 1e-13
"""A gain in G from which on rounding may hide it; further steps must lower the gain itself."""


class Polish:
    """Minimise G by Newton steps on m and θ together, from rows that set the zero of G.

    The curvature of ℓ is a central difference of its slopes. Eigenvalues of the Hessian are
    taken absolute, so that a saddle, where a row is about to split, is left, not approached.
    """

    def __init__(self, p: Array, family: GlobalFamily, beta: float, theta: Array) -> None:
        self.live = np.flatnonzero(p)
        self.p, self.family, self.beta = p[self.live], family, beta
        self.low, self.high = family.box
        self.scale = np.minimum(1.0, self.high - self.low)
        self.floor = family.log_rows(theta)[:, self.live].max(axis=0)

    def run(self, m: Array, theta: Array) -> tuple[tuple[Array, Array], float]:
        """Return (θ, m) at a local minimum, with G."""
        here, value, least = (m, theta), self.value(m, theta), np.inf
        for _ in range(100):
            step, gain = self._step(*here)
            if gain >= SMALL:
                found, following = self._search(here, step, value)
                if following >= value:
                    break
                here, value = found, following
            elif gain > 0.1 * least:
                break
            else:
                least, here = gain, self._moved(*here, step)
        m, theta = here
        return (theta, m / m.sum()), self.value(m, theta)

    def value(self, m: Array, theta: Array) -> float:
        """Return G, less what it is where every symbol has the best of the first rows."""
        top, A = self._tables(theta)
        return float(m.sum() - self.p @ (top + np.log(m @ A)))

    def _tables(self, theta: Array) -> tuple[Array, Array]:
        """Return top and A e^−top, with top(x) the largest log A."""
        table = (self.family.log_rows(theta)[:, self.live] - self.floor) / self.beta
        top = table.max(axis=0)
        return top, np.exp(table - top)

    def _moved(self, m: Array, theta: Array, step: Array) -> tuple[Array, Array]:
        """Return (m, θ) after a step, kept in the box and m above 0."""
        moved = np.clip(theta + step[:, 1:], self.low, self.high)
        return np.maximum(m + step[:, 0], 0.01 * m), moved

    def _search(
        self, here: tuple[Array, Array], step: Array, value: float
    ) -> tuple[tuple[Array, Array], float]:
        """Return the first of the steps 1, ½, ¼, … that lowers G, or the last of them."""
        for share in 0.5 ** np.arange(30):
            moved = self._moved(*here, share * step)
            following = self.value(*moved)
            if following < value:
                break
        return moved, following

    def _model(self, m: Array, theta: Array) -> tuple[Array, Array]:
        """Return the gradient and Hessian of G, over all of (m, θ) in turn.

        With A relative to g: ∂g/g is A for m and m A ℓ'/β for θ, and G'' is p ∂g ∂g / g² less
        p g''/g, where g'' couples only the variables of one row.
        """
        _, A = self._tables(theta)
        A /= m @ A
        slopes = self.family.slopes(theta)[:, self.live] / self.beta
        n, k = theta.shape
        ratio = np.concatenate([A[..., None], (m[:, None] * A)[..., None] * slopes], axis=2)
        pull = np.einsum("x,zxa->za", self.p, ratio)
        flat = ratio.swapaxes(1, 2).reshape(n * (k + 1), -1)
        hessian = ((flat * self.p) @ flat.T).reshape(n, k + 1, n, k + 1)
        own = np.zeros((n, k + 1, k + 1))
        own[:, 0, 1:] = own[:, 1:, 0] = pull[:, 1:] / m[:, None]
        own[:, 1:, 1:] = np.einsum("zxa,zxb->zab", self.p[:, None] * ratio[..., 1:], slopes)
        own[:, 1:, 1:] += self._bend(self.p * m[:, None] * A, theta)
        hessian[np.arange(n), :, np.arange(n)] -= own
        return (np.eye(1, k + 1) - pull).ravel(), hessian.reshape(flat.shape[0], -1)

    def _bend(self, weight: Array, theta: Array) -> Array:
        """Return Σ_x weight ℓ''/β, shape (n_z, k, k), by differences of the slopes."""
        k = theta.shape[1]
        moves = 1e-5 * np.diag(self.scale)[:, None]
        ends = np.clip([theta - moves, theta + moves], self.low, self.high)
        slopes = self.family.slopes(ends.reshape(-1, k))[:, self.live]
        low, high = np.einsum("zx,slzxk->slzk", weight, slopes.reshape(2, k, *weight.shape, k))
        size = (ends[1] - ends[0])[np.arange(k), :, np.arange(k)]
        bend = np.divide(high - low, size[..., None], out=np.zeros_like(high), where=high != low)
        return np.asarray(bend + bend.swapaxes(0, 2)).swapaxes(0, 1) / (2 * self.beta)

    def _step(self, m: Array, theta: Array) -> tuple[Array, float]:
        """Return the Newton step, what a bound of the box holds left where it is, and its gain."""
        gradient, hessian = self._model(m, theta)
        scale = np.concatenate([m[:, None], np.broadcast_to(self.scale, theta.shape)], axis=1)
        slope = gradient.reshape(m.size, -1)[:, 1:]
        held = ((theta <= self.low) & (slope >= 0)) | ((theta >= self.high) & (slope <= 0))
        free = np.flatnonzero(~np.concatenate([np.zeros((m.size, 1), bool), held], axis=1).ravel())
        scale, step = scale.ravel(), np.zeros(scale.size)
        values, vectors = np.linalg.eigh((scale[:, None] * hessian * scale)[np.ix_(free, free)])
        size = np.maximum(np.abs(values), 1e-12 * np.abs(values).max() + 1e-300)
        along = vectors.T @ (scale * gradient)[free]
        step[free] = -scale[free] * (vectors @ (along / size))
        return step.reshape(m.size, -1), float(along @ (along / size))
