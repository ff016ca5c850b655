"""Exact D, R and gradients of the Appendix E family, for a batch of runs at once.

Notation: u[x, z] and v[x, z] are the terms w·input − b of encoder and decoder, so that
log e = −u² − (normaliser of x) and log d = −v² − (normaliser of z); J = p e. Both tables lie at
[x, z], for all runs: s holds −u² and −v², t their exponentials.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from .checks import Array
from .quadratic import AppendixE

__all__ = ["Gradients"]

_SAFE = 600.0  # exp(±600) is far from over- and underflow


class Gradients:
    r"""Evaluate D and R of many runs at once, and the exact gradient of D + slope·R.

    With J = p e and the induced marginal e(z), the gradients in the logits are closed forms,

    .. math:: ∂/∂(-u^2) = J (C - Σ_z e C), \quad ∂/∂(-v^2) = e(z) d - J, \quad
              ∂/∂\mathrm{logits} = slope (m - e(z)), \quad C = slope \log(e/m) - \log d,

    and the chain rule to w and b is one matrix product for each table. All arrays live in
    buffers made once: write into `parameters`, call `forward`, then `backward`.

    Parameters
    ----------
    family : AppendixE
        What to evaluate.
    runs : int
        Number of rows of parameters.
    dtype : dtype
        Complex numbers are accepted by `forward`, for complex-step derivatives.

    Examples
    --------
    >>> engine = Gradients(AppendixE([0.5, 0.5]), runs=1)
    >>> D, R = engine.forward()  # all parameters are 0: the uniform model
    >>> bool(D[0] == np.log(2)), bool(R[0] == 0)
    (True, True)
    >>> engine.backward(1.0).shape
    (1, 10)
    """

    def __init__(self, family: AppendixE, runs: int, dtype: Any = np.float64) -> None:
        n_x, n_z = family.n_x, family.n_z
        self.p = family.p
        # Below 1e-300 a symbol has no weight in any gradient, and its inverse might overflow.
        self._inverse_p = np.divide(1, self.p, out=np.zeros(n_x), where=self.p > 1e-300)
        self._ones_x, self._ones_z = np.ones(n_x), np.ones(n_z)
        self.parameters = np.zeros((runs, family.size), dtype)
        self.gradient = np.zeros_like(self.parameters)
        self._u, self._s, self._t = (np.empty((2, runs, n_x, n_z), dtype) for _ in range(3))
        self._c = np.empty((runs, n_x, n_z), dtype)
        self._bind_products(family)
        self._bind_vectors(runs, n_x, n_z, dtype)

    def _bind_products(self, family: AppendixE) -> None:
        """Keep the factors of every matrix product between parameters and tables."""
        x, z = family.inputs(family.n_x), family.inputs(family.n_z)
        encoder, decoder, self._logits = family.split(self.parameters)
        to_encoder, to_decoder, self._to_logits = family.split(self.gradient)
        table = self._t[1]
        self._encoder, self._to_encoder = (x, encoder), (-2 * x.T, self._c, to_encoder)
        self._decoder, self._to_decoder = (x, decoder), (-2 * x.T, table, to_decoder)
        if family.decoder == "output":
            self._decoder = decoder.swapaxes(1, 2), z.T
            self._to_decoder = table, -2 * z, to_decoder.swapaxes(1, 2)

    def _bind_vectors(self, runs: int, n_x: int, n_z: int, dtype: Any) -> None:
        """Make the small buffers; normalisers and their logarithms lie side by side."""
        self._norms = np.empty((runs, n_x + 1 + n_z), dtype)
        self._norm_e, self._norm_m, self._norm_d = np.split(self._norms, [n_x, n_x + 1], axis=1)
        logs = np.zeros((runs, n_x + 1 + 2 * n_z), dtype)
        self._logs, self._log_norms = logs.reshape(-1), logs[:, : n_x + 1 + n_z]
        self._log_e, self._log_m_norm, pair = np.split(logs, [n_x, n_x + 1], axis=1)
        self._pair = pair.reshape(runs, 2, n_z)  # log normalisers of d, and log m
        self._log_d, self._log_m = self._pair[:, 0], self._pair[:, 1]
        self._m, self._k = np.empty((2, runs, n_z), dtype)
        self._e_z = np.empty((runs, n_z), dtype)
        self._q = np.empty((runs, n_x), dtype)
        self._exp_logits = np.empty((runs, n_z), dtype)
        self._rows = self._s.reshape(2, runs, 1, n_x * n_z)
        self._column = self._t[0].reshape(runs, n_x * n_z, 1)

    def forward(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute D and R of each run at `parameters`, each of shape (runs,)."""
        np.matmul(*self._encoder, out=self._u[0])
        np.matmul(*self._decoder, out=self._u[1])
        np.multiply(self._u, self._u, out=self._s)
        np.negative(self._s, out=self._s)
        self._exponentials()
        np.subtract(self._logits, self._log_m_norm, out=self._log_m)
        np.divide(self._exp_logits, self._norm_m, out=self._m)
        joint = self._t[0]
        np.divide(self.p, self._norm_e, out=self._q)
        np.multiply(joint, self._q[..., None], out=joint)
        np.matmul(self._ones_x, joint, out=self._e_z)
        squares = np.matmul(self._rows, self._column)[..., 0, 0]  # -Σ J u², -Σ J v²
        by_z = np.matmul(self._pair, self._e_z[..., None])[..., 0]
        return by_z[:, 0] - squares[1], squares[0] - self._log_e @ self.p - by_z[:, 1]

    def information(self, R: Array) -> Array:
        """Compute I = R − KL(e(z) ‖ m) of each run, where `forward` gave R."""
        terms = xlogy(self._e_z, self._e_z) - self._e_z * self._log_m
        return np.asarray(np.maximum(R - terms.sum(axis=1), 0))

    def _exponentials(self) -> None:
        """Exponentiate and sum; only where a sum leaves the safe range, shift by the maximum."""
        np.exp(self._s, out=self._t)
        np.exp(self._logits, out=self._exp_logits)
        self._sums()
        if np.vdot(self._logs, self._logs).real < _SAFE**2:
            return  # the cheaper test: no logarithm can be above the root of their squares
        if not np.abs(self._log_norms).max() < _SAFE:
            self._shift()

    def _shift(self) -> None:
        s = self._s.real
        peak_e, peak_d = s[0].max(axis=-1, keepdims=True), s[1].max(axis=-2, keepdims=True)
        peak_m = self._logits.real.max(axis=-1, keepdims=True)
        np.exp(self._s[0] - peak_e, out=self._t[0])
        np.exp(self._s[1] - peak_d, out=self._t[1])
        np.exp(self._logits - peak_m, out=self._exp_logits)
        self._sums()
        self._log_norms += np.concatenate([peak_e[..., 0], peak_m, peak_d[:, 0]], axis=1)

    def _sums(self) -> None:
        np.matmul(self._t[0], self._ones_z, out=self._norm_e)
        np.matmul(self._ones_x, self._t[1], out=self._norm_d)
        np.matmul(self._exp_logits, self._ones_z, out=self._norm_m[:, 0])
        np.log(self._norms, out=self._log_norms)

    def backward(self, slope: Array | float) -> NDArray[Any]:
        """Compute the gradient of D + slope·R where `forward` was called last.

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
        self._encoder_gradient(column)
        self._decoder_gradient()
        np.subtract(self._m, self._e_z, out=self._to_logits)
        self._to_logits *= column
        return self.gradient

    def _encoder_gradient(self, column: Array) -> None:
        """Weight u by J (C − Σ e C), where the part of C that depends on x alone cancels."""
        cost, joint = self._c, self._t[0]
        np.multiply(self._s[0], column[..., None], out=cost)
        cost -= self._s[1]
        np.multiply(self._log_m, column, out=self._k)
        np.subtract(self._log_d, self._k, out=self._k)
        cost += self._k[:, None]
        cost *= joint
        np.matmul(cost, self._ones_z, out=self._q)
        self._q *= self._inverse_p
        mean = self._s[0]  # its content is no longer needed
        np.multiply(joint, self._q[..., None], out=mean)
        cost -= mean
        cost *= self._u[0]
        np.matmul(*self._to_encoder[:2], out=self._to_encoder[2])

    def _decoder_gradient(self) -> None:
        """Weight v by e(z) d − J."""
        table = self._t[1]
        np.divide(self._e_z, self._norm_d, out=self._k)
        table *= self._k[:, None]
        table -= self._t[0]
        table *= self._u[1]
        np.matmul(*self._to_decoder[:2], out=self._to_decoder[2])
