"""Data sets for the eight classes: what a simple encoder sees, and the rows of simple decoders.

Notation: inputs[x] are what a simple encoder sees of symbol x, last a −1, so that their product
with (w_z, b_z) is w_z·x − b_z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, as_distribution
from .classes import Family, ModelClass, PixelRows
from .gaussian import GaussianDecoder
from .sources import Source

__all__ = ["Data", "image_data", "line_inputs", "toy_data"]


@dataclass(frozen=True, eq=False)
class Data:
    """Hold a data set with what the simple classes need.

    Parameters
    ----------
    name, rows : str
        Of the data set, and of the rows of its simple decoders.
    p, inputs, family, n_z
        As for `ModelClass`.
    """

    name: str
    rows: str
    p: Array
    inputs: Array
    family: Family
    n_z: int

    def model_class(self, name: str) -> ModelClass:
        """Return one of the eight classes over these data."""
        return ModelClass(name, self.p, self.inputs, self.family, self.n_z)


def toy_data(source: Source) -> Data:
    """Return the toy with Gaussian rows and as many latents as bins."""
    n = source.p.size
    return Data("toy", "Gaussian rows", source.p, line_inputs(source.p), GaussianDecoder(n), n)


def image_data(source: Source) -> Data:
    """Return images with rows of independent pixels and a latent for each true pattern.

    A simple encoder sees pixels of −1 and 1.
    """
    pixels = 2.0 * source.images.reshape(source.p.size, -1) - 1
    inputs = np.hstack([pixels, -np.ones((source.p.size, 1))])
    family, rows = PixelRows(source.images), "rows of independent pixels"
    return Data("images", rows, source.p, inputs, family, source.p_z.size)


def line_inputs(p: ArrayLike) -> Array:
    """Return rows (x, −1) for symbols on a line, x in standard deviations from its mean.

    The scale changes no class, only how long a search takes.

    Examples
    --------
    >>> line_inputs([0.5, 0.5])
    array([[-1., -1.],
           [ 1., -1.]])
    """
    p = as_distribution("p", p)
    x = np.arange(p.size) - p @ np.arange(p.size)
    scale = np.sqrt(p @ x**2) or 1.0
    return np.stack([x / scale, -np.ones(p.size)], axis=1)
