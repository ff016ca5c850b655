"""Decoder rows that are products of independent pixels, over images as symbols.

Notation: images are rows x[x, i] of 0 and 1; λ[z, i] = log μ/(1 − μ) is the log-odds that pixel
i is on in latent z. Two images are as far apart as the number of pixels in which they differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from . import checks
from .cells import Bound, as_masses, searched
from .checks import Array, ReadOnly, Seed, as_array, as_count, has_shape, refuse
from .model import respond

Words = NDArray[np.uint64]

SURE = 1e-12
"""Share of a latent's mass below which what has a pixel off is summed on its own, not as the
difference of mass and what has it on, which rounding hides."""

FARTHEST = 30.0
"""Log-odds up to which a pixel is moved by its slope; beyond, it is as good as certain."""

SOFT = 2.0
"""Log-odds of an image's pixels where the ascent of c starts: certain ones would never move."""

NOISY, MOST = 3.0, 4096
"""Log-odds of an image with noise in the dictionary, and the symbols that it may have."""

ROOM = 1 << 22
"""Entries of a table of rows in an ascent of c: with more images it starts from fewer."""

BLOCK = 1 << 16
"""Entries of a table that are compared with the words of images at a time."""

FEW = 8
"""Pixels that are summed on their own together."""

CANDIDATES = 16
"""How many images compete to be the next seed: enough to find most clusters of images."""


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

    def __init__(self, images: ArrayLike) -> None:
        pictures = _as_pictures(images)
        n, pixels = len(pictures), pictures[0].size
        if len(_distinct(pictures)[0]) < n:
            raise ValueError(
                "images holds an image more than once; merge them with count_images, "
                "which returns the distinct images and their p"
            )
        # The ones at the end carry a row's constant, and the mass of a latent, in one product.
        self._pixels = np.ones((pixels + 1, n))
        self._pixels[:-1] = pictures.reshape(n, pixels).T
        checks.locked(self._pixels)
        self._words = _as_words(pictures)
        self.images = self._pixels[:-1].T.reshape(pictures.shape)
        self.n_x = n + (n < 2**pixels)
        self.box = checks.frozen(np.repeat([[-FARTHEST], [FARTHEST]], pixels, axis=1))

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
        constant = -np.logaddexp(0, np.where(finite, odds, -np.inf)).sum(axis=1)
        weights = np.column_stack([np.where(finite, odds, 0), constant])
        rows = np.empty((len(odds), self.n_x))
        listed = rows[:, : len(self.images)]
        np.matmul(weights, self._pixels, out=listed)
        if not finite.all():
            self._forbid(listed, _as_words(odds == np.inf), _as_words(~finite))
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
        table = as_masses(joint, self.n_x)
        self._none_elsewhere("joint", table)
        on, off, mass = self._sums(table[:, : len(self.images)])
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

    def slopes(self, parameters: ArrayLike) -> Array:
        """Compute the gradient of log d(x|z) in the log-odds, x − μ.

        Parameters
        ----------
        parameters : array_like, shape (n_z, pixels)
            Log-odds λ.

        Returns
        -------
        numpy.ndarray, shape (n_z, n_x, pixels)
            Slopes; 0 for *any other image*, whose p is 0.

        Raises
        ------
        ValueError
            If `parameters` has another number of pixels, or a NaN.
        """
        odds = self._as_odds(parameters)
        slopes = self._pixels[:-1].T - expit(odds)[:, None]
        return np.pad(slopes, ((0, 0), (0, self.n_x - len(self.images)), (0, 0)))

    def seeded_encoder(
        self, p: ArrayLike, n_z: int, *, seeds: int | None = None, rng: Seed | None = None
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
        p = checks.as_distribution("p", p)
        has_shape("p", p, (self.n_x,))
        self._none_elsewhere("p", p[None])
        n_z = as_count("n_z", n_z)
        n = as_count("seeds", n_z if seeds is None else seeds)
        if n > n_z:
            raise ValueError(f"seeds is {n}, but must be at most n_z, which is {n_z}")
        listed = len(self.images)
        distances = _draw_seeds(self._pixels[:-1], p[:listed], n, checks.as_rng(rng))
        width = float(p[:listed] @ distances.min(axis=0))
        cost = np.zeros((self.n_x, n_z))  # any other image is as near to all seeds
        cost[:listed] = distances[np.arange(n_z) % n].T
        return respond(cost, np.full(n_z, 1 / n_z), width)[0]

    def dictionary(self) -> Array:
        """Return log-odds to start from: an even row, and each image, for certain and less so."""
        if self.n_x > MOST:
            raise ValueError(
                f"decoder has {self.n_x} symbols, but any number of rows is solved for up to "
                f"{MOST} only; give n_z, the number of latents"
            )
        even, signs = np.zeros(len(self._pixels) - 1), self._signs()
        return np.vstack([even, np.inf * signs, NOISY * signs])

    def bound(self, log_weight: Array, beta: float, goal: float) -> Bound:
        """Bound c = Σ exp(log_weight + log d/β) over all rows; see `cells`.

        For β ≤ 1 it is proven: d is linear in each pixel's mean, so c is convex in it, and largest
        where every pixel is certain. Otherwise c is climbed from every image, or of many from
        those of largest weight, and the largest that is found need not be the largest there is.

        Parameters
        ----------
        log_weight : numpy.ndarray, shape (n_x,)
            Logarithms of the weights, −∞ for 0.
        beta : float
            Price of a nat, above 0.
        goal : float
            Rows with c > 1 + goal are returned.
        """
        listed = log_weight[: len(self.images)]
        if beta <= 1:
            high = np.inf * self._signs()[listed > np.log1p(goal)]
            with np.errstate(over="ignore"):
                return Bound(float(np.exp(log_weight.max())), high, True)
        most = max(64, ROOM // self.n_x)
        starts = SOFT * self._signs()[np.argsort(-listed, kind="stable")[:most]]
        return searched(self, starts, log_weight, beta, goal, most=most)

    def _signs(self) -> Array:
        """Return 1 and −1 for pixels on and off, at [x, i]."""
        return 2 * self._pixels[:-1].T - 1

    def _as_odds(self, parameters: ArrayLike) -> Array:
        odds = as_array("parameters", parameters, ndim=2)
        has_shape("parameters", odds, (len(odds), len(self._pixels) - 1))
        refuse("parameters", odds, np.isnan(odds), "; log-odds are numbers, or +inf or -inf")
        return odds

    def _forbid(self, rows: Array, on: Words, certain: Words) -> None:
        """Set to −∞ the images that differ from a row's certain pixels, 64 pixels at a time."""
        many = max(1, BLOCK // rows.shape[1])
        for z in range(0, len(rows), many):
            part = slice(z, z + many)
            for word in np.flatnonzero(certain[:, part].any(axis=1)):
                known, wanted = certain[word, part, None], on[word, part, None]
                rows[part][self._words[word] & known != wanted] = -np.inf

    def _none_elsewhere(self, name: str, table: Array) -> None:
        if table[:, len(self.images) :].any():
            raise ValueError(
                f"{name} has mass {table[:, -1].sum()!s} on its last symbol, any other image, "
                "which pixel means cannot fit; p must be 0 there"
            )

    def _sums(self, table: Array) -> tuple[Array, Array, Array]:
        """Return the mass of each latent with each pixel on, with it off, and in all."""
        sums = table @ self._pixels.T
        off = sums[:, -1:] - sums[:, :-1]
        sure = off < SURE * sums[:, -1:]
        some = np.flatnonzero(sure.any(axis=0))
        for i in np.split(some, range(FEW, some.size, FEW)):  # to need no second table
            off[:, i] = table @ (1 - self._pixels[i]).T
        return sums[:, :-1], off, sums[:, -1]


def _as_words(bits: NDArray[np.bool_]) -> Words:
    """Pack the pixels of each image into words of 64 bits, at [word, x]."""
    packed = np.packbits(bits.reshape(len(bits), -1), axis=1)
    whole = np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))))
    return np.ascontiguousarray(whole.view(np.uint64).T)


def _log_rest(log_row: Array) -> float:
    """Return log(1 − Σ exp), the mass that a row leaves to other images."""
    if log_row.max() + np.log(log_row.size) < -40:
        return 0.0
    with np.errstate(divide="ignore"):
        return float(np.log1p(-min(1.0, np.exp(log_row).sum())))


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
    pictures = _as_pictures(images)
    first, counts = _distinct(pictures)
    order = np.argsort(first)
    distinct, p = pictures[first[order]], counts[order] / len(pictures)
    complete = len(distinct) == 2 ** distinct[0].size
    return distinct.astype(np.uint8), p if complete else np.append(p, 0.0)


def _as_pictures(images: ArrayLike) -> NDArray[np.bool_]:
    """Return checked images, True where a pixel is on."""
    array = as_array("images", images)
    if array.ndim < 2:
        raise ValueError(
            f"images must have one axis for the images and one or more for their pixels, "
            f"but its shape is {array.shape}"
        )
    on = array == 1
    rule = ", but a pixel is 0 or 1; compare grey images with a threshold first"
    refuse("images", array, ~on & (array != 0), rule)
    return np.asarray(on)


def _distinct(pictures: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the place of each distinct image's first appearance, and its count."""
    return np.unique(_as_words(pictures), axis=1, return_index=True, return_counts=True)[1:]


def _draw_seeds(pixels: Array, p: Array, n: int, rng: np.random.Generator) -> Array:
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
