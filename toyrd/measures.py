"""Entropy, Kullback–Leibler divergence and mutual information of plain arrays.

Notation: p, q are distributions, joint[x, z] is a joint distribution; all logarithms are
natural, so every answer is in nats. 0 log 0 = 0, and missing support gives +∞.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, xlogy

from .checks import Array, as_distribution, has_shape

__all__ = ["entropy", "kl_divergence", "mutual_information"]


def entropy(p: ArrayLike) -> float:
    r"""Compute the entropy H = −Σ p log p.

    Parameters
    ----------
    p : array_like
        A distribution; a joint one may have several axes.

    Returns
    -------
    float
        H in nats, between 0 and the logarithm of the number of symbols.

    Raises
    ------
    ValueError
        If `p` is empty, has a negative, infinite or NaN entry, or does not sum to 1.
    TypeError
        If `p` does not hold real numbers.

    Examples
    --------
    >>> entropy([0.5, 0.5, 0.0])  # log 2
    0.6931471805599453

    References
    ----------
    Shannon, *A Mathematical Theory of Communication* (1948), section 6.
    """
    return max(0.0, float(entr(as_distribution("p", p, ndim=None)).sum()))


def kl_divergence(p: ArrayLike, q: ArrayLike) -> float:
    r"""Compute the Kullback–Leibler divergence KL(p ‖ q) = Σ p log(p / q).

    Parameters
    ----------
    p, q : array_like
        Distributions of one shape.

    Returns
    -------
    float
        KL in nats, never negative; +∞ where p has mass and q has none.

    Raises
    ------
    ValueError
        If either is not a distribution, or their shapes differ.
    TypeError
        If either does not hold real numbers.

    Examples
    --------
    >>> kl_divergence([1.0, 0.0], [0.5, 0.5])  # log 2
    0.6931471805599453
    >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
    inf

    References
    ----------
    Kullback and Leibler, *On Information and Sufficiency* (1951), equation 2.4.
    """
    first = as_distribution("p", p, ndim=None)
    second = as_distribution("q", q, ndim=None)
    has_shape("q", second, first.shape)
    return max(0.0, float(relative_entropy_terms(first, second).sum()))


def mutual_information(joint: ArrayLike) -> float:
    r"""Compute the mutual information I = Σ p(x, z) log[p(x, z) / p(x) p(z)].

    Parameters
    ----------
    joint : array_like, shape (n_x, n_z)
        A joint distribution: it sums to 1 in all.

    Returns
    -------
    float
        I in nats, never negative.

    Raises
    ------
    ValueError
        If `joint` is not a distribution with two axes.
    TypeError
        If `joint` does not hold real numbers.

    Examples
    --------
    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]])  # log 2
    0.6931471805599453

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, equation 2.28.
    """
    table = as_distribution("joint", joint, ndim=2)
    p_x, p_z = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    # In logarithms: the product p_x p_z may underflow where the joint does not.
    terms = xlogy(table, table) - xlogy(table, p_x) - xlogy(table, p_z)
    return max(0.0, float(terms.sum()))


def expectation(joint: Array, values: Array) -> float:
    """Return Σ joint · values, where a pair of mass 0 adds nothing even at ±∞."""
    total = float(np.vdot(joint, values))
    if np.isnan(total):  # row by row, to need no third table
        total = sum(float(j @ np.where(j > 0, v, 0)) for j, v in zip(joint, values, strict=True))
    return total + 0.0


def relative_entropy_terms(p: Array, q: Array) -> Array:
    """Return p log(p / q) term by term, +∞ where only q is 0.

    p / q overflows when q is denormal, so the logarithms are subtracted; near p = q, where
    that would cancel, log1p((p − q) / q) is exact.
    """
    p, q = np.broadcast_arrays(p, q)
    terms = np.asarray(xlogy(p, p) - xlogy(p, q))
    close = (np.abs(p - q) < 0.5 * q) & (q > 1e-300)
    terms[close] = p[close] * np.log1p((p[close] - q[close]) / q[close])
    return terms
