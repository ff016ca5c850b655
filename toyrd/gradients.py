"""Exact D, R and gradients of the Appendix E family, for a batch of runs at once.

Notation: u[x, z] and v[x, z] are the terms w·input − b of encoder and decoder; J = p e. Tables
come in pairs at [x, z], for all runs: u holds u and v, s starts as −u² and −v² and becomes
log(e/m) and log d, t starts as their exponentials and becomes J and d times its normaliser.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from .checks import Array
from .quadratic import AppendixE

__all__ = ["Gradients"]

_SAFE = 1e-260  # normalisers above it have lost nothing to underflow


class Gradients:
    r"""Evaluate D and R of many runs at once, and the exact gradient of D + slope·R.

    With J = p e and the induced marginal e(z), the gradients in the logits are closed forms,

    .. math:: ∂/∂(-u^2) = J (C - Σ_z e C), \quad ∂/∂(-v^2) = e(z) d - J, \quad
              ∂/∂\mathrm{logits} = slope (m - e(z)), \quad C = slope \log(e/m) - \log d,

    and the chain rule to w and b is one matrix product for each table. The large arrays live in
    buffers made once: write into `parameters`, call `forward`, then `backward`.

    Parameters
    ----------
    family : AppendixE
        What to evaluate.
    parameters : numpy.ndarray, shape (runs, size)
        Where to begin; `forward` takes complex ones too, for complex-step derivatives.

    Examples
    --------
    >>> engine = Gradients(AppendixE([0.5, 0.5]), np.zeros((1, 10)))  # the uniform model
    >>> D, R = engine.forward()
    >>> bool(D[0] == np.log(2)), bool(R[0] == 0)
    (True, True)
    >>> engine.backward(1.0).shape
    (1, 10)
    """

    def __init__(self, family: AppendixE, parameters: NDArray[Any]) -> None:
        self.p, n_x, n_z, runs = family.p, family.n_x, family.n_z, len(parameters)
        self.parameters, self.gradient = parameters.copy(), np.zeros_like(parameters)
        shape = (2, runs, n_x, n_z)
        self._u, self._s, self._t = (np.empty(shape, parameters.dtype) for _ in range(3))
        self._ones_x, self._ones_z = np.ones(n_x), np.ones(n_z)
        # Below 1e-300 a symbol has no weight in any gradient, and its inverse might overflow.
        self._inverse_p = np.divide(1, self.p, out=np.zeros(n_x), where=self.p > 1e-300)
        self._encoder, self._decoder, self._logits = family.factors(self.parameters)
        to_encoder, to_decoder, self._to_logits = family.split(self.gradient)
        x, by_x = family.inputs(n_x), family.decoder == "output"
        self._to_encoder = -2 * x.T, self._s[0], to_encoder
        self._to_decoder = -2 * x.T, self._t[1], to_decoder
        if by_x:
            self._to_decoder = -2 * family.inputs(n_z).T, self._t[1].swapaxes(1, 2), to_decoder

    def forward(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute D and R of each run at `parameters`, each of shape (runs,)."""
        np.matmul(*self._encoder, out=self._u[0])
        np.matmul(*self._decoder, out=self._u[1])
        np.multiply(self._u, self._u, out=self._s)
        np.negative(self._s, out=self._s)
        norm_e, self._norm_d = self._exponentials()
        self._marginal()
        (log_e, log_d), (joint, _) = self._s, self._t
        log_e -= np.log(norm_e)[..., None]
        log_e -= self._log_m[:, None]
        log_d -= np.log(self._norm_d)[:, None]
        joint *= (self.p / norm_e)[..., None]
        self._e_z = self._ones_x @ joint
        shape = len(joint), 1, joint[0].size
        R, minus_D = self._s.reshape(2, *shape) @ joint.reshape(shape).swapaxes(1, 2)
        return -minus_D[:, 0, 0], R[:, 0, 0]

    def _exponentials(self) -> list[NDArray[Any]]:
        """Exponentiate both tables; return the normalisers of each x and of each z."""
        for _ in range(2):
            np.exp(self._s, out=self._t)
            norms = [self._t[0] @ self._ones_z, self._ones_x @ self._t[1]]
            if min(norm.real.min() for norm in norms) > _SAFE:
                break
            self._s[0] -= self._s[0].real.max(axis=-1, keepdims=True)  # what the norms undo
            self._s[1] -= self._s[1].real.max(axis=-2, keepdims=True)
        return norms

    def _marginal(self) -> None:
        shifted = self._logits - self._logits.real.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        norm = powers.sum(axis=1, keepdims=True)
        self._m, self._log_m = powers / norm, shifted - np.log(norm)

    def information(self, R: Array) -> Array:
        """Compute I = R − KL(e(z) ‖ m) of each run, where `forward` gave R."""
        terms = xlogy(self._e_z, self._e_z) - self._e_z * self._log_m
        return np.asarray(np.maximum(R - terms.sum(axis=1), 0))

    def backward(self, slope: Array | float) -> NDArray[Any]:
        """Compute the gradient of D + slope·R where `forward` was called last, once.

        Parameters
        ----------
        slope : float or numpy.ndarray, shape (runs,)
            Weight of R, in each run.

        Returns
        -------
        numpy.ndarray, shape (runs, size)
            The buffer `gradient`, which the next call overwrites.
        """
        column = np.reshape(slope, (-1, 1))
        (cost, log_d), (joint, table) = self._s, self._t
        cost *= column[..., None]
        cost -= log_d
        cost *= joint
        mean = (cost @ self._ones_z) * self._inverse_p
        cost -= np.multiply(joint, mean[..., None], out=log_d)  # whose content is not needed now
        cost *= self._u[0]
        table *= (self._e_z / self._norm_d)[:, None]
        table -= joint
        table *= self._u[1]
        for inputs, weights, out in (self._to_encoder, self._to_decoder):
            np.matmul(inputs, weights, out=out)
        np.multiply(self._m - self._e_z, column, out=self._to_logits)
        return self.gradient
