"""Images as symbols: which there are, how often, and which lie far apart.

Notation: an image is a row x[x, i] of pixels 0 or 1; the distance of two images is the number
of pixels in which they differ. Images listed need not be all 2^pixels that there could be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import Array, as_array

__all__ = ["count_images"]

CANDIDATES = 16
"""How many images compete to be the next seed: enough to find most clusters of images."""


def count_images(images: ArrayLike) -> tuple[NDArray[np.uint8], Array]:
    """Count images: the distinct ones, and their frequencies p̂(x) = count(x) / n.

    Parameters
    ----------
    images : array_like, shape (n, ...)
        Pictures with pixels 0 or 1, in any number of axes.

    Returns
    -------
    distinct : numpy.ndarray of uint8, shape (k, ...)
        Each image once, in the order of its first appearance, for `BernoulliDecoder`.
    p : numpy.ndarray, shape (k,) or (k + 1,)
        Their frequencies; then a 0 for *any other image*, unless there is no other.

    Raises
    ------
    ValueError
        If `images` is empty or has a pixel that is neither 0 nor 1.
    TypeError
        If `images` does not hold real numbers.

    Examples
    --------
    >>> distinct, p = count_images([[0, 1], [1, 1], [0, 1]])
    >>> distinct.tolist(), p.round(3).tolist()
    ([[0, 1], [1, 1]], [0.667, 0.333, 0.0])
    """
    pictures = as_images(images)
    first, counts = distinct_images(pictures)
    order = np.argsort(first)
    distinct = pictures[first[order]]
    p = counts[order] / len(pictures)
    return distinct.astype(np.uint8), p if is_complete(distinct) else np.append(p, 0.0)


def as_images(images: ArrayLike) -> NDArray[np.bool_]:
    """Return checked images, True where a pixel is on."""
    array = as_array("images", images)
    if array.ndim < 2:
        raise ValueError(
            f"images must have one axis for the images and one or more for their pixels, "
            f"but its shape is {array.shape}"
        )
    on = array == 1
    bad = ~on & (array != 0)
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), array.shape)
        raise ValueError(
            f"images[{', '.join(map(str, index))}] is {array[index]!s}, but a pixel is 0 or 1; "
            "compare grey images with a threshold first"
        )
    return np.asarray(on)


def distinct_images(pictures: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the place of each distinct image's first appearance, and its count."""
    packed = np.packbits(pictures.reshape(len(pictures), -1), axis=1)
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    return first, counts


def is_complete(distinct: NDArray[np.bool_]) -> bool:
    """Tell whether these are all 2^pixels images."""
    return bool(len(distinct) == 2 ** distinct[0].size)


def draw_seeds(pixels: Array, p: Array, n: int, rng: np.random.Generator) -> Array:
    """Draw n images far apart and return the distance of every image to each, at [seed, x].

    The images lie at pixels[i, x].

    Greedy k-means++: each next seed is the best of a few drawn from p times the distance to
    the nearest seed so far.
    """
    norms = pixels.sum(axis=0)

    def candidates(weight: Array, k: int) -> Array:
        chosen = rng.choice(p.size, size=k, p=weight / weight.sum())
        return np.asarray((-2 * pixels[:, chosen].T) @ pixels + norms + norms[chosen, None])

    distances = np.empty((n, p.size))
    distances[0] = nearest = candidates(p, 1)[0]
    for seed in range(1, n):
        weight = p * nearest
        options = candidates(weight if weight.any() else p, CANDIDATES)
        best = options[np.argmin(np.minimum(options, nearest) @ p)]
        distances[seed], nearest = best, np.minimum(nearest, best)
    return distances
