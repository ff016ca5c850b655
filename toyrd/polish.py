"""The polish: Newton steps on the weights and parameters of a mixture together.

Notation: θ[z] are the parameters of row z, ℓ_θ(x) = log d_θ(x), and G(m, θ) =
−Σ p log Σ_z m exp(ℓ/β) + Σ m, whose minimum over m has Σ m = 1: there it is F/β + 1.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .checks import Array


class Slopes(Protocol):
    """State what the polish reads of a family."""

    @property
    def box(self) -> Array:
        """Lowest and highest parameters, shape (2, k)."""
        ...

    def log_rows(self, parameters: Array) -> Array:
        """Return log d(x|z), shape (n_z, n_x)."""
        ...

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of log d(x|z) in the parameters, shape (n_z, n_x, k)."""
        ...


class Polish:
    """Minimise G by Newton steps on m and θ together.

    The Hessian is a central difference of
    the exact gradient, all rows in one call; its eigenvalues are taken absolute, so that a
    saddle, where a row is about to split, is left and not approached.
    """

    def __init__(self, p: Array, family: Slopes, beta: float, theta: Array) -> None:
        self.p, self.family, self.beta = p, family, beta
        self.low, self.high = family.box
        self.floor = family.log_rows(theta).max(axis=0)

    def run(self, m: Array, theta: Array) -> tuple[tuple[Array, Array], float]:
        """Return (θ, m) at a local minimum, with G."""
        value = self.value(m, theta)
        for _ in range(100):
            gradient, hessian = self._model(m, theta)
            step = self._step(gradient, hessian, m, theta)
            for share in 0.5 ** np.arange(30):
                m_next = np.maximum(m + share * step[:, 0], 0.01 * m)
                theta_next = np.clip(theta + share * step[:, 1:], self.low, self.high)
                following = self.value(m_next, theta_next)
                if following < value:
                    break
            else:
                break
            gain, value, m, theta = value - following, following, m_next, theta_next
            if gain < 1e-16:
                break
        return (theta, m / m.sum()), value

    def value(self, m: Array, theta: Array) -> float:
        """Return G."""
        A = np.exp((self.family.log_rows(theta) - self.floor) / self.beta)
        return float(m.sum() - self.p @ np.log(m @ A))

    def _gradients(self, m: Array, theta: Array) -> Array:
        """Return ∂G at [..., z, (m, θ)] for a stack of mixtures."""
        flat = theta.reshape(-1, theta.shape[-1])
        shape = (*m.shape, self.p.size)
        A = np.exp((self.family.log_rows(flat) - self.floor) / self.beta).reshape(shape)
        slopes = self.family.slopes(flat).reshape(*shape, -1)
        share = self.p * A / np.einsum("...z,...zx->...x", m, A)[..., None, :]
        by_m = 1 - share.sum(axis=-1)
        by_theta = -(m / self.beta)[..., None] * np.einsum("...zx,...zxk->...zk", share, slopes)
        return np.concatenate([by_m[..., None], by_theta], axis=-1)

    def _model(self, m: Array, theta: Array) -> tuple[Array, Array]:
        """Return the gradient and Hessian of G, over all of (m, θ) in turn."""
        here = np.concatenate([m[:, None], theta], axis=1)
        size = 1e-5 * np.concatenate([m[:, None], self._scale(theta)], axis=1)
        moves = np.eye(here.size).reshape(here.size, *here.shape) * size
        both = np.concatenate([here + moves, here - moves, here[None]])
        slopes = self._gradients(both[..., 0], both[..., 1:]).reshape(len(both), -1)
        n = here.size
        hessian = (slopes[:n] - slopes[n : 2 * n]) / (2 * size.reshape(-1, 1))
        return slopes[-1], (hessian + hessian.T) / 2

    def _scale(self, theta: Array) -> Array:
        """Return the size of a small move of each parameter: that of the box, well inside it."""
        return np.full_like(theta, 1.0) * np.minimum(1.0, self.high - self.low)

    def _step(self, gradient: Array, hessian: Array, m: Array, theta: Array) -> Array:
        """Return the Newton step, with what a bound of the box holds left where it is."""
        scale = np.concatenate([m[:, None], self._scale(theta)], axis=1).ravel()
        slope = gradient.reshape(m.size, -1)[:, 1:]
        held = ((theta <= self.low) & (slope > 0)) | ((theta >= self.high) & (slope < 0))
        free = np.flatnonzero(~np.concatenate([np.zeros((m.size, 1), bool), held], axis=1).ravel())
        values, vectors = np.linalg.eigh((scale[:, None] * hessian * scale)[np.ix_(free, free)])
        size = np.maximum(np.abs(values), 1e-12 * np.abs(values).max() + 1e-300)
        step = np.zeros(m.size * (1 + theta.shape[1]))
        step[free] = -scale[free] * (vectors @ (vectors.T @ (scale * gradient)[free] / size))
        return step.reshape(m.size, -1)
