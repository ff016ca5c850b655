"""Hulls: what a set of points (R, D) reaches, by mixing or by choosing.

Notation: points are rows (R, D); less of both is better.
"""

from __future__ import annotations

import numpy as np

from .checks import Array

__all__ = ["hull", "pareto"]


def hull(points: Array) -> Array:
    """Return the corners of the lower left convex hull of points (R, D), by rising R.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        Finite.

    Returns
    -------
    numpy.ndarray, shape (k, 2)
        From the least R to the least D; D falls.

    Examples
    --------
    >>> hull(np.array([[0.0, 2.0], [1.0, 1.5], [1.0, 1.0], [2.0, 0.5], [3.0, 0.5]]))
    array([[0. , 2. ],
           [1. , 1. ],
           [2. , 0.5]])

    References
    ----------
    Andrew, *Another efficient algorithm for convex hulls in two dimensions* (1979).
    """
    corners: list[Array] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        if corners and point[1] >= corners[-1][1]:
            continue
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
            corners.pop()
        corners.append(point)
    return np.array(corners)


def _turn(first: Array, second: Array, third: Array) -> float:
    """Return twice the area of a triangle, above 0 if it turns to the left."""
    a, b = second - first, third - first
    return float(a[0] * b[1] - a[1] * b[0])


def pareto(points: Array) -> Array:
    """Return the points (R, D) that no other beats in both, by rising R.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        Finite.

    Returns
    -------
    numpy.ndarray, shape (k, 2)
        D falls.

    Examples
    --------
    >>> pareto(np.array([[0.0, 2.0], [1.0, 2.0], [1.5, 1.5], [2.0, 0.5]]))
    array([[0. , 2. ],
           [1.5, 1.5],
           [2. , 0.5]])
    """
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    best = np.minimum.accumulate(np.append(np.inf, ordered[:-1, 1]))
    return np.asarray(ordered[ordered[:, 1] < best])
