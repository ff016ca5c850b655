"""Data sets for the eight classes: what a simple encoder sees, and the rows of simple decoders.

Notation: inputs[x] are what a simple encoder sees of symbol x, last a −1, so that their product
with (w_z, b_z) is w_z·x − b_z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, as_array, as_distribution
from .classes import Family, ModelClass
from .decoders import BernoulliDecoder
from .gaussian import GaussianDecoder
from .sources import Source

__all__ = ["Data", "image_data", "image_inputs", "line_inputs", "toy_data"]


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
    """Return images with rows of independent pixels and a latent for each true pattern."""
    family = BernoulliDecoder(source.images)
    inputs, n_z = image_inputs(source.images), source.p_z.size
    return Data("images", "rows of independent pixels", source.p, inputs, family, n_z)


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


def image_inputs(images: ArrayLike) -> Array:
    """Return rows (pixels, −1) for images, with pixels −1 and 1.

    Examples
    --------
    >>> image_inputs([[[0, 1]], [[1, 1]]])
    array([[-1.,  1., -1.],
           [ 1.,  1., -1.]])
    """
    pixels = as_array("images", images)
    rows = 2 * pixels.reshape(len(pixels), -1) - 1
    return np.hstack([rows, -np.ones((len(rows), 1))])
