"""The model family of the paper's Appendix E: exponents that are squares.

Notation: inputs x_j and z_i are evenly spaced from 0 to `scale`; a run has one row of
parameters: encoder weights and offsets (w, b), decoder weights and offsets, logits of m.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import (
    Array,
    as_array,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    frozen,
    has_shape,
)
from .model import SMALLEST, Model

__all__ = ["AppendixE"]

Pair = tuple[NDArray[Any], NDArray[Any]]


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
        self,
        p: ArrayLike,
        *,
        n_z: int | None = None,
        decoder: str = "output",
        scale: float = 1.0,
    ) -> None:
        self.p = frozen(as_distribution("p", p))
        self.n_x = self.p.size
        self.n_z = as_count("n_z", self.n_x if n_z is None else n_z)
        if decoder not in _DECODERS:
            raise ValueError(f"decoder is {decoder!r}, but must be one of {_DECODERS}")
        self.decoder = decoder
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
        runs, at = len(parameters), 2 * (self.n_z + self.n_d)
        return (
            parameters[:, : 2 * self.n_z].reshape(runs, 2, self.n_z),
            parameters[:, 2 * self.n_z : at].reshape(runs, 2, self.n_d),
            parameters[:, at:],
        )

    def factors(self, parameters: NDArray[Any]) -> tuple[Pair, Pair, NDArray[Any]]:
        """View parameters as the factors of u[x, z], of v[x, z], and the logits of m."""
        encoder, decoder, logits = self.split(parameters)
        x, by_z = self.inputs(self.n_x), self.inputs(self.n_z).T
        by_decoder = decoder.swapaxes(1, 2), by_z
        return (x, encoder), by_decoder if self.decoder == "output" else (x, decoder), logits

    def start(
        self,
        runs: int = 1,
        *,
        spread: float = 0.3,
        rng: int | np.random.Generator | None = None,
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
        encoder, decoder, logits = self.factors(row[None])
        u, v = (np.matmul(*pair)[0] for pair in (encoder, decoder))
        return Model(self.p, _softmax(-(u**2)), _softmax(-(v.T**2)), _softmax(logits[0]))


def _softmax(logits: Array) -> Array:
    """Normalise along the last axis. The family has no zeros, so underflow stops short of 0."""
    table = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(np.maximum(table / table.sum(axis=-1, keepdims=True), SMALLEST))
