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
    Jarvis, *On the identification of the convex hull of a finite set of points* (1973).
    """
    below = pareto(points)
    corners = [below[0]]
    while len(below := below[1:]):  # the steepest way down, and there as far as it goes
        run, rise = (below - corners[-1]).T
        below = below[np.lexsort((-run, rise / run))[0] :]
        corners.append(below[0])
    return np.array(corners)


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
