"""Decoder rows that are products of independent pixels.

Notation: images are rows x[x, i] of 0 and 1; λ[z, i] = log μ/(1 − μ) is the log-odds that pixel
i is on in latent z. `fit` is the M-step of `decoders`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from .checks import Array, ReadOnly, as_array, as_count, as_distribution, as_rng, has_shape
from .images import as_images, distinct_images, draw_seeds, is_complete

__all__ = ["BernoulliDecoder"]

Index = NDArray[np.intp]

SURE = 1e-12
"""Share of a latent's mass below which what has a pixel off is summed on its own, not as the
difference of mass and what has it on, which rounding hides."""


class BernoulliDecoder(ReadOnly):
    r"""Restrict decoder rows to products of independent pixels, each on with a mean of its own.

    .. math:: \log d(x|z) = Σ_i x_i \log μ_{zi} + (1 - x_i) \log(1 - μ_{zi})

    A symbol is an image. Unless every one of the 2^pixels possible images is listed, there is
    one symbol more, the last: *any other image*. It takes the mass that a row leaves to images
    not listed, so that rows sum to 1, and its p must be 0. `count_images` makes such a p.

    Parameters
    ----------
    images : array_like, shape (n, ...)
        The image that each symbol stands for, such as ``source.images``: distinct, pixels
        0 or 1.

    Raises
    ------
    ValueError
        If `images` is empty, has a pixel that is neither 0 nor 1, or an image twice.
    TypeError
        If `images` does not hold real numbers.

    Notes
    -----
    Parameters are log-odds λ = log μ/(1 − μ), shape (n_z, pixels), because a mean of 1 − 1e-20
    has no float; ±∞ is a pixel that is always on or off, and gives exact zeros.

    Examples
    --------
    >>> family = BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> np.exp(family.log_rows(np.array([[np.inf, 0.0]])))
    array([[0. , 0. , 0.5, 0.5]])
    >>> BernoulliDecoder([[0, 0], [1, 1]]).n_x  # the third symbol is any other image
    3

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 (the decoders for binary MNIST).
    """

    images: Array
    n_x: int

    def __init__(self, images: ArrayLike) -> None:
        pictures = as_images(images)
        if len(distinct_images(pictures)[0]) < len(pictures):
            raise ValueError(
                "images holds an image more than once; merge them with count_images, "
                "which returns the distinct images and their p"
            )
        n, pixels = len(pictures), pictures[0].size
        # The ones at the end carry a row's constant, and the mass of a latent, in one product.
        self._pixels = np.ones((pixels + 1, n))
        self._pixels[:-1] = pictures.reshape(n, pixels).T
        self._pixels.flags.writeable = False
        self._words = _as_words(pictures)
        self.images = self._pixels[:-1].T.reshape(pictures.shape)
        self.n_x = n + (not is_complete(pictures))

    def __repr__(self) -> str:
        return f"BernoulliDecoder(images={len(self.images)}, pixels={len(self._pixels) - 1})"

    def log_rows(self, parameters: ArrayLike) -> Array:
        """Compute log d(x|z) for log-odds of the pixels.

        Parameters
        ----------
        parameters : array_like, shape (n_z, pixels)
            Log-odds λ, ±∞ allowed.

        Returns
        -------
        numpy.ndarray, shape (n_z, n_x)
            Logarithms; exactly −∞ where a pixel is forbidden, 0 where all are certain.

        Raises
        ------
        ValueError
            If `parameters` has another number of pixels, or a NaN.
        """
        odds = self._as_odds(parameters)
        finite = np.isfinite(odds)
        weights = np.empty((len(odds), len(self._pixels)))
        weights[:, :-1] = np.where(finite, odds, 0)
        weights[:, -1] = -np.logaddexp(0, np.where(finite, odds, -np.inf)).sum(axis=1)
        rows = np.empty((len(odds), self.n_x))
        listed = rows[:, : len(self.images)]
        np.matmul(weights, self._pixels, out=listed)
        for z in np.flatnonzero(~finite.all(axis=1)):
            listed[z, self._forbidden(odds[z])] = -np.inf
        if self.n_x > len(self.images):
            for row in rows:  # row by row, to need no second table
                row[-1] = _log_rest(row[:-1])
        return rows

    def fit(self, joint: ArrayLike, parameters: ArrayLike | None = None) -> Array:
        """Compute the log-odds that minimise D: pixel means under e(x|z), in closed form.

        Parameters
        ----------
        joint : array_like, shape (n_z, n_x)
            Masses p(x) e(z|x).
        parameters : array_like, shape (n_z, pixels), optional
            Log-odds that a latent without mass keeps; by default those of all the mass.

        Returns
        -------
        numpy.ndarray, shape (n_z, pixels)
            Log-odds λ, ±∞ where a pixel is on or off in all the mass of a latent.

        Raises
        ------
        ValueError
            If `joint` is of another shape, has no mass, a negative or non-finite one, or
            mass on the symbol *any other image*.
        """
        sums, off = self._sums(joint)
        on, mass = sums[:, :-1], sums[:, -1]
        dead = mass == 0
        on[dead], off[dead] = on.sum(axis=0), off.sum(axis=0)
        with np.errstate(divide="ignore"):
            odds = np.log(on) - np.log(off)
        if parameters is not None:
            odds[dead] = self._as_odds(parameters)[dead]
        return np.asarray(odds)

    def means(self, parameters: ArrayLike) -> Array:
        """Compute the pixel means μ = 1/(1 + e^−λ), one picture for each latent.

        Parameters
        ----------
        parameters : array_like, shape (n_z, pixels)
            Log-odds λ.

        Returns
        -------
        numpy.ndarray, shape (n_z, ...)
            Means between 0 and 1, in the shape of the images.

        Examples
        --------
        >>> BernoulliDecoder([[0, 0], [1, 1]]).means([[-np.inf, 0.0]])
        array([[0. , 0.5]])
        """
        odds = self._as_odds(parameters)
        return np.asarray(expit(odds)).reshape(len(odds), *self.images.shape[1:])

    def seeded_encoder(
        self,
        p: ArrayLike,
        n_z: int,
        *,
        seeds: int | None = None,
        rng: int | np.random.Generator | None = None,
    ) -> Array:
        r"""Draw images far apart as seeds, and send every image to the latents of those near it.

        .. math:: e(z|x) ∝ \exp(-|x - s_z| / w), \quad w = Σ_x p(x) \min_z |x - s_z|

        with |x − s| the number of pixels that differ. With fewer seeds than latents, each seed
        serves several latents alike.

        Parameters
        ----------
        p : array_like, shape (n_x,)
            Data distribution.
        n_z : int
            Number of latents.
        seeds : int, optional
            How many different seeds, at most n_z; by default n_z.
        rng : int or numpy.random.Generator, optional
            Seed or generator.

        Returns
        -------
        numpy.ndarray, shape (n_x, n_z)
            An encoder, for ``solve(p, start=...)``.

        Raises
        ------
        ValueError
            If `p` is no distribution over the symbols, has mass on *any other image*, or a
            number is out of range.

        Examples
        --------
        >>> family = BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> family.seeded_encoder([0.5, 0.0, 0.0, 0.5], 2, rng=0)
        array([[0. , 1. ],
               [0.5, 0.5],
               [0.5, 0.5],
               [1. , 0. ]])

        References
        ----------
        Arthur and Vassilvitskii, *k-means++: The Advantages of Careful Seeding* (2007).
        """
        p = as_distribution("p", p)
        has_shape("p", p, (self.n_x,))
        self._none_elsewhere("p", p[None])
        n_z = as_count("n_z", n_z)
        n = as_count("seeds", n_z if seeds is None else seeds)
        if n > n_z:
            raise ValueError(f"seeds is {n}, but must be at most n_z, which is {n_z}")
        listed = len(self.images)
        distances = draw_seeds(self._pixels[:-1], p[:listed], n, as_rng(rng))
        e = np.full((self.n_x, n_z), 1 / n_z)
        e[:listed] = _nearness(distances, p[:listed])[:, np.arange(n_z) % n]
        e[:listed] /= e[:listed].sum(axis=1, keepdims=True)
        return e

    def _as_odds(self, parameters: ArrayLike) -> Array:
        odds = as_array("parameters", parameters, ndim=2)
        has_shape("parameters", odds, (len(odds), len(self._pixels) - 1))
        if np.isnan(odds).any():
            raise ValueError("parameters holds nan; log-odds are numbers, or +inf or -inf")
        return odds

    def _forbidden(self, odds: Array) -> NDArray[np.bool_]:
        """Tell which images differ from a row's certain pixels, 64 pixels at a time."""
        on, certain = _as_words(np.array([odds == np.inf, np.isinf(odds)])).T
        wrong = np.zeros(len(self.images), dtype=bool)
        for word in np.flatnonzero(certain):
            wrong |= self._words[word] & certain[word] != on[word]
        return wrong

    def _sum_off(self, mass: Array, pixels: Index) -> list[float]:
        """Sum the mass that has each of some pixels off, over the images that have mass."""
        seen = np.flatnonzero(mass)
        if 4 * seen.size > mass.size:  # to gather would cost more than it saves
            return [float(mass @ (1 - self._pixels[i])) for i in pixels]
        return [float(mass[seen] @ (1 - self._pixels[i, seen])) for i in pixels]

    def _none_elsewhere(self, name: str, table: Array) -> None:
        if table[:, len(self.images) :].any():
            raise ValueError(
                f"{name} has mass {table[:, -1].sum()!s} on its last symbol, any other image, "
                "which pixel means cannot fit; p must be 0 there"
            )

    def _sums(self, joint: ArrayLike) -> tuple[Array, Array]:
        """Return the mass with each pixel on, that of the latent last, and with it off."""
        table = as_array("joint", joint, ndim=2)
        has_shape("joint", table, (len(table), self.n_x))
        listed = table[:, : len(self.images)]
        self._none_elsewhere("joint", table)
        with np.errstate(invalid="ignore"):
            sums = listed @ self._pixels.T
        if not (np.isfinite(sums).all() and sums.min() >= 0 and sums.any()):
            raise ValueError("joint must hold masses p(x) e(z|x): finite, not negative, not all 0")
        off = sums[:, -1:] - sums[:, :-1]
        sure = off < SURE * sums[:, -1:]
        for z in np.flatnonzero(sure.any(axis=1)):
            off[z, sure[z]] = self._sum_off(listed[z], np.flatnonzero(sure[z]))
        return sums, off


def _as_words(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack the pixels of each image into words of 64 bits, at [word, x]."""
    packed = np.packbits(bits.reshape(len(bits), -1), axis=1)
    padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


def _log_rest(log_row: Array) -> float:
    """Return log(1 − Σ exp), the mass that a row leaves to other images."""
    if log_row.max() + np.log(log_row.size) < -40:
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.log1p(-min(1.0, np.exp(log_row).sum())))


def _nearness(distances: Array, p: Array) -> Array:
    """Return exp(−excess distance / mean distance to the nearest seed), at [x, seed]."""
    nearest = distances.min(axis=0)
    width = float(p @ nearest)
    excess = (distances - nearest).T
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-excess / width) if width else excess == 0, dtype=np.float64)
