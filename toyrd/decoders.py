"""Decoder families: what a restricted decoder must provide, and what may stand for a decoder.

Notation: a family turns parameters, one row for each latent, into log d(x|z) at [z, x]; its
`fit` is the M-step, the parameters that minimise D for given joint masses p(x) e(z|x).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, as_table, frozen, has_shape

__all__ = ["BoundedFamily", "DecoderFamily", "GlobalFamily"]


@runtime_checkable
class DecoderFamily(Protocol):
    """State what the alternating updates ask of a family of decoder rows.

    A family of one's own is a class with these; `BernoulliDecoder` is a short one. One that
    adds `box`, `slopes` and `dictionary` is solved globally (see `GlobalFamily`), and with
    `bound` as well, as in `GaussianDecoder`, the answer is proven.
    """

    @property
    def n_x(self) -> int:
        """Number of symbols."""
        ...

    def log_rows(self, parameters: Array) -> Array:
        """Return log d(x|z), shape (n_z, n_x), for parameters of shape (n_z, k)."""
        ...

    def fit(self, joint: Array, parameters: Array | None) -> Array:
        """Return the parameters that maximise Σ joint[z, x] log d(x|z), from a guess or None."""
        ...


@runtime_checkable
class GlobalFamily(DecoderFamily, Protocol):
    """State what a family adds to be solved globally; see `GaussianDecoder`.

    The certificate is then numerical: c ≤ 1 is looked for, not proven, and the answer has
    ``rigorous=False``; a family that proves it is a `BoundedFamily`.
    """

    @property
    def box(self) -> Array:
        """Lowest and highest parameters, shape (2, k)."""
        ...

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of log d(x|z) in the parameters, shape (n_z, n_x, k)."""
        ...

    def dictionary(self) -> Array:
        """Return a coarse cover of the box, shape (n, k)."""
        ...


@runtime_checkable
class BoundedFamily(GlobalFamily, Protocol):
    """State what a family adds to be certified with proof."""

    def bound(self, log_weight: Array, beta: float, goal: float) -> tuple[float, Array]:
        """Bound Σ exp(log_weight + ℓ/β) over the box; return also points above 1 + goal."""
        ...


Decoder = ArrayLike | DecoderFamily | None


def as_decoder(decoder: Decoder, p: Array) -> Array | DecoderFamily | None:
    """Return a family as it is, or a table that can produce every symbol of p."""
    if decoder is None:
        return None
    if isinstance(decoder, DecoderFamily):
        if decoder.n_x != p.size:
            raise ValueError(
                f"decoder has rows over {decoder.n_x} symbols, but p has {p.size}; "
                "make the family for as many"
            )
        return decoder
    table = frozen(as_table("decoder", decoder))
    has_shape("decoder", table, (table.shape[0], p.size))
    lost = np.flatnonzero((table == 0).all(axis=0) & (p > 0))
    if lost.size:
        raise ValueError(
            f"decoder gives symbol {lost[0]} no probability from any latent, but "
            f"p[{lost[0]}] is {p[lost[0]]}: every symbol with p > 0 needs one (D would be inf)"
        )
    return table
