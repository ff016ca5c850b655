"""The family of the paper's Appendix E, whose exponents are squares, and its exact gradients.

Notation: inputs x_j and z_i are evenly spaced from 0 to `scale`; a run has one row of
parameters: encoder weights and offsets (w, b), decoder weights and offsets, logits of m.
u[x, z] and v[x, z] are the terms w·input − b of encoder and decoder; J = p e. For all runs at
once, u holds the pair (u, v); s holds −u² and −v², then log e/m (but for what depends on x
alone) and log d; t holds their exponentials, then J and d times its normaliser.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax, xlogy

from .checks import (
    Array,
    as_array,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    frozen,
    has_shape,
    one_of,
)
from .model import SMALLEST, Model

__all__ = ["AppendixE", "Gradients"]

_SAFE = 600.0**2  # exp(±600) is far from over- and underflow


class AppendixE:
    r"""Describe the family: 2 parameters for each output, and a free marginal.

    .. math:: e(z_i|x_j) ∝ e^{-(w_i x_j - b_i)^2}, \quad d(x_j|z_i) ∝ e^{-(w_j z_i - b_j)^2},
              \quad m = \mathrm{softmax}(\text{logits})

    The decoder has two readings. ``"latent"`` is what the paper prints, parameters for each z:
    d(x_j|z_i) ∝ exp(−(w_i x_j − b_i)²). In ``"output"``, the default, they belong to what comes
    out, as in the encoder, whose form the decoder is said to share. The print is the evidence
    for the former. Against it: its rows are discretised Gaussians, with one mode, and all the
    decoder rows of the paper's Figure 2b have two; and with it the ELBO does not collapse (Adam
    ended at R = 0.50 to 0.58 from 50 starts, near the truth), where the paper has R = 0.0002.
    The parameter count of TherML, 60 + 60 + 4 + 30 + 30, fits both: x and z have 30 values each.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution; symbols of probability 0 are allowed.
    n_z : int, optional
        Number of latents; by default n_x.
    decoder : {"output", "latent"}
        Whether the decoder's parameters belong to x (the default) or to z, as printed.
    scale : float
        Largest input: x and z run from 0 to it in equal steps.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `n_z` < 1, `decoder` is not known or `scale` ≤ 0.

    Examples
    --------
    >>> family = AppendixE([0.5, 0.25, 0.25], n_z=2)
    >>> family
    AppendixE(n_x=3, n_z=2, decoder='output')
    >>> family.size  # two for each z, two for each x, one logit for each z
    12
    >>> family.model(np.zeros(12))
    Model(n_x=3, n_z=2: H=1.03972, D=1.09861, R=0, I=0, ELBO=-1.09861)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E and Figure 2; Alemi and Fischer,
    *TherML* (2018), the same toy.
    """

    def __init__(
        self, p: ArrayLike, *, n_z: int | None = None, decoder: str = "output", scale: float = 1.0
    ) -> None:
        self.p = frozen(as_distribution("p", p))
        self.n_x = self.p.size
        self.n_z = as_count("n_z", self.n_x if n_z is None else n_z)
        self.decoder = one_of("decoder", decoder, ("output", "latent"))
        self.scale = as_number("scale", scale, low=0, open_low=True)
        self.n_d = self.n_x if decoder == "output" else self.n_z
        self.size = 3 * self.n_z + 2 * self.n_d

    def __repr__(self) -> str:
        return f"AppendixE(n_x={self.n_x}, n_z={self.n_z}, decoder={self.decoder!r})"

    def inputs(self, n: int) -> Array:
        """Return the rows (input, −1) of n symbols: times (w, b) they give w·input − b."""
        return np.stack([np.linspace(0, self.scale, n), -np.ones(n)], axis=1)

    def split(self, parameters: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """View parameters of shape (runs, size) as encoder (runs, 2, n_z), decoder and logits."""
        cuts = [2 * self.n_z, 2 * (self.n_z + self.n_d)]
        encoder, decoder, logits = np.split(parameters, cuts, axis=1)
        return encoder.reshape(-1, 2, self.n_z), decoder.reshape(-1, 2, self.n_d), logits

    def start(
        self, runs: int = 1, *, spread: float = 0.3, rng: int | np.random.Generator | None = None
    ) -> Array:
        """Draw starting parameters from N(0, spread²).

        Parameters
        ----------
        runs : int
            Number of rows.
        spread : float
            Standard deviation of every parameter.
        rng : int or numpy.random.Generator, optional
            Seed or generator.

        Returns
        -------
        numpy.ndarray, shape (runs, size)

        Raises
        ------
        ValueError
            If `runs` < 1 or `spread` < 0.

        Examples
        --------
        >>> AppendixE([0.5, 0.5]).start(3, rng=0).shape
        (3, 10)
        """
        shape = as_count("runs", runs), self.size
        return as_rng(rng).normal(0.0, as_number("spread", spread, low=0), shape)

    def model(self, parameters: ArrayLike) -> Model:
        """Build the tables of one run.

        Parameters
        ----------
        parameters : array_like, shape (size,)
            Encoder weights and offsets, decoder weights and offsets, logits of m.

        Returns
        -------
        Model

        Raises
        ------
        ValueError
            If the shape is wrong or a table overflows.

        Examples
        --------
        >>> AppendixE([0.5, 0.5]).model([9, 9, 0, 9, 0, 0, 0, 0, 0, 0])
        Model(n_x=2, n_z=2: H=0.693147, D=0.693147, R=0.693147, I=0.693147, ELBO=-1.38629)
        """
        row = as_array("parameters", parameters, ndim=1)
        has_shape("parameters", row, (self.size,))
        encoder, decoder, logits = (part[0] for part in self.split(row[None]))
        x, z = self.inputs(self.n_x), self.inputs(self.n_z)
        v = z @ decoder if self.decoder == "output" else (x @ decoder).T
        exponents = -((x @ encoder) ** 2), -(v**2), logits
        # The family has no zeros, so what underflows stops short of 0.
        return Model(self.p, *(np.maximum(softmax(s, axis=-1), SMALLEST) for s in exponents))


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
        self._u, self._s, self._t = np.empty((3, 2, runs, n_x, n_z), parameters.dtype)
        self._sums = np.empty((2, runs, n_x + n_z + 1), parameters.dtype)  # and logarithms
        self._of_e, self._of_d, self._of_m = np.split(self._sums, [n_x, n_x + n_z], axis=2)
        self._rows = self._s.reshape(2, runs, 1, n_x * n_z)
        self._joint = self._t[0].reshape(runs, n_x * n_z, 1)
        self._ones_x, self._ones_z = np.ones(n_x), np.ones(n_z)
        # Below 1e-300 a symbol has no weight in any gradient, and its inverse might overflow.
        self._inverse_p = np.divide(1, self.p, out=np.zeros(n_x), where=self.p > 1e-300)
        # Every product between parameters and tables, as two factors and where to.
        encoder, decoder, self._logits = family.split(self.parameters)
        to_encoder, to_decoder, self._to_logits = family.split(self.gradient)
        x = z = family.inputs(n_x)
        v, to_v = self._u[1], self._t[1]
        if family.decoder == "output":
            z, v, to_v = family.inputs(n_z), v.swapaxes(1, 2), to_v.swapaxes(1, 2)
        self._ahead = (x, encoder, self._u[0]), (z, decoder, v)
        self._back = (-2 * x.T, self._s[0], to_encoder), (-2 * z.T, to_v, to_decoder)

    def forward(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Compute D and R of each run at `parameters`, each of shape (runs,)."""
        for product in self._ahead:
            np.matmul(*product)
        np.multiply(self._u, self._u, out=self._s)
        np.negative(self._s, out=self._s)
        self._normalise()
        self._t[0] *= (self.p / self._of_e[0])[..., None]
        self._e_z = self._ones_x @ self._t[0]
        R, minus_D = (self._rows @ self._joint)[..., 0, 0]
        return -minus_D, R - self._of_e[1] @ self.p

    def _normalise(self) -> None:
        """Turn s into logarithms that are normalised, but for what depends on x alone."""
        self._log_m = self._logits - self._logits.real.max(axis=1, keepdims=True)
        self._exponentials()
        if not np.vdot(self._sums[1], self._sums[1]).real < _SAFE:  # a bound on each of them
            for exponents, axis in zip(self._s, (-1, -2), strict=True):
                exponents -= exponents.real.max(axis, keepdims=True)  # which changes no table
            self._exponentials()
        self._m /= self._of_m[0]
        self._log_m -= self._of_m[1]
        self._s[0] -= self._log_m[:, None]
        self._s[1] -= self._of_d[1][:, None]

    def _exponentials(self) -> None:
        """Exponentiate all that is to be normalised; keep the sums and their logarithms."""
        np.exp(self._s, out=self._t)
        self._m = np.exp(self._log_m)
        np.matmul(self._t[0], self._ones_z, out=self._of_e[0])
        np.matmul(self._ones_x, self._t[1], out=self._of_d[0])
        np.matmul(self._m, self._ones_z, out=self._of_m[0, :, 0])
        np.log(self._sums[0], out=self._sums[1])

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
        column = np.asarray(slope)[..., None]
        (cost, log_d), (joint, table) = self._s, self._t
        cost *= column[..., None]
        cost -= log_d
        cost *= joint
        mean = (cost @ self._ones_z) * self._inverse_p
        cost -= np.multiply(joint, mean[..., None], out=log_d)  # whose content is not needed now
        table *= (self._e_z / self._of_d[0])[:, None]
        table -= joint
        cost *= self._u[0]
        table *= self._u[1]
        for product in self._back:
            np.matmul(*product)
        np.multiply(self._m - self._e_z, column, out=self._to_logits)
        return self.gradient
