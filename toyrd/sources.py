"""Sources: data distributions whose true latent variable is known in closed form.

Notation: z* is the true latent, p_z[z*] its distribution and p_x_given_z[z*, x] the true
components, so p = p_z @ p_x_given_z; an encoder e(z|x) is judged by what its z says of z*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from . import checks
from .checks import Array, Seed, as_array, as_count, as_distribution, frozen, has_shape, locked
from .gaussian import FAR, log_bins
from .model import Model, conditional, mutual_information, posterior


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Source(checks.ReadOnly):
    """A data distribution with its true latent: p(x) = Σ_z* p(z*) p(x|z*).

    Parameters
    ----------
    p_z : array_like, shape (k,)
        Distribution of the true latent.
    p_x_given_z : array_like, shape (k, n_x)
        The true components, one row each.
    means, widths : array_like, shape (k,), optional
        Of the components, where they are Gaussian; in bins.
    images : array_like, shape (n_x, rows, columns), optional
        The picture that each symbol stands for.

    Raises
    ------
    ValueError
        If a table is not a distribution or the shapes do not fit.
    TypeError
        If an argument does not hold real numbers.

    Examples
    --------
    >>> Source(p_z=[0.5, 0.5], p_x_given_z=[[1, 0], [0, 1]])
    Source(n_x=2, components=2, information=0.693147)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4.
    """

    p_z: Array
    p_x_given_z: Array
    means: Array
    widths: Array
    images: Array

    def __init__(
        self,
        p_z: ArrayLike,
        p_x_given_z: ArrayLike,
        *,
        means: ArrayLike | None = None,
        widths: ArrayLike | None = None,
        images: ArrayLike | None = None,
    ) -> None:
        p_z, rows = as_distribution("p_z", p_z), checks.as_table("p_x_given_z", p_x_given_z)
        k, n_x = rows.shape
        has_shape("p_z", p_z, (k,))
        notes = ("means", means, k, 1), ("widths", widths, k, 1), ("images", images, n_x, 3)
        fields = {note[0]: _described(*note) for note in notes}
        vars(self).update(p_z=frozen(p_z), p_x_given_z=frozen(rows), **fields)

    def __repr__(self) -> str:
        k, n_x = self.p_x_given_z.shape
        return f"Source(n_x={n_x}, components={k}, information={self.information:.6g})"

    @cached_property
    def p(self) -> Array:
        """Data distribution p(x), shape (n_x,)."""
        p = self.p_z @ self.p_x_given_z
        return locked(p / p.sum())  # the rounding of two tables adds up

    @cached_property
    def p_z_given_x(self) -> Array:
        """Distribution of the true latent at each symbol, shape (n_x, k); p_z where p is 0."""
        return locked(conditional((self.p_z[:, None] * self.p_x_given_z).T, self.p_z))

    @cached_property
    def information(self) -> float:
        """Mutual information I(X; Z*) in nats: the rate of the true model."""
        return mutual_information(self.p_z[:, None] * self.p_x_given_z)

    def true_model(self, n_z: int | None = None) -> Model:
        """Place the true components in `n_z` latents, evenly spaced; the rest are unused.

        Parameters
        ----------
        n_z : int, optional
            Number of latents, at least one for each component; by default n_x, and for images,
            of which there may be thousands, one for each component.

        Returns
        -------
        Model
            With g = p, R = I = I(X; Z*) and D = H − R.

        Raises
        ------
        ValueError
            If `n_z` is less than the number of components.
        TypeError
            If `n_z` is not an integer.

        Examples
        --------
        >>> round(toy_source().true_model(n_z=30).R, 12)
        0.5

        References
        ----------
        Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2a.
        """
        k = self.p_z.size
        default = k if self.images.size else self.p.size
        n_z = as_count("n_z", default if n_z is None else n_z, low=k)
        places = (2 * np.arange(k) + 1) * n_z // (2 * k)
        m, d = np.zeros(n_z), np.tile(self.p, (n_z, 1))
        m[places], d[places] = self.p_z, self.p_x_given_z
        return Model(self.p, posterior(m, d), d, m)  # e(z|x) is the posterior of m and d

    def latent_information(self, e: ArrayLike) -> float:
        """Compute I(Z; Z*), what an encoder keeps of the true latent, in nats.

        Parameters
        ----------
        e : array_like, shape (n_x, n_z)
            Encoder e(z|x).

        Returns
        -------
        float
            Between 0 and I(X; Z*).

        Raises
        ------
        ValueError
            If `e` is not an encoder of this source's symbols.
        TypeError
            If `e` does not hold real numbers.

        Examples
        --------
        >>> source = toy_source()
        >>> bool(source.latent_information(source.true_model().e) <= 0.5)
        True

        References
        ----------
        Tishby, Pereira, Bialek, *The Information Bottleneck Method* (1999), equation 15.
        """
        return mutual_information(self.p_z[:, None] * self._latent_given_truth(e))

    def separation(self, e: ArrayLike) -> float:
        """Compute how far apart the encoder sends the two classes, ½ Σ_z |P(z|0) − P(z|1)|.

        Parameters
        ----------
        e : array_like, shape (n_x, n_z)
            Encoder e(z|x).

        Returns
        -------
        float
            Total variation distance: 0 when z says nothing of z*, 1 when it tells it.

        Raises
        ------
        ValueError
            If `e` does not fit, or the source has not exactly two components.
        TypeError
            If `e` does not hold real numbers.

        Examples
        --------
        >>> source = toy_source()
        >>> round(source.separation(source.true_model().e), 10)
        0.8531310987

        References
        ----------
        Levin, Peres, Wilmer, *Markov Chains and Mixing Times* (2009), proposition 4.2.
        """
        if self.p_z.size != 2:
            k, way_out = self.p_z.size, "use latent_information"
            raise ValueError(f"separation is of 2 components, but there are {k}; {way_out}")
        return float(np.abs(np.diff(self._latent_given_truth(e), axis=0)).sum() / 2)

    def _latent_given_truth(self, e: ArrayLike) -> Array:
        """Return P(z|z*), shape (k, n_z)."""
        return np.asarray(self.p_x_given_z @ checks.table_over("e", e, self.p))


def _described(name: str, value: ArrayLike | None, n: int, ndim: int) -> Array:
    """Return what describes n components or symbols, one entry each; None gives an empty array."""
    if value is None:
        return locked(np.empty(0))
    array = as_array(name, value, ndim=ndim)
    has_shape(name, array, (n, *array.shape[1:]))
    checks.no_nan(name, array)
    return frozen(array)


def toy_source(
    *,
    weights: ArrayLike = (0.7, 0.3),
    means: ArrayLike = (9.830, 19.141),
    widths: ArrayLike = (2.256, 3.405),
    n_bins: int = 30,
    information: float | None = 0.5,
) -> Source:
    """Build the paper's toy data: a mixture of Gaussians in equal bins, with I(X; Z*) = 0.5.

    The paper prints no means or widths; the defaults are read off its Figure 2a, in bins with
    centres 0 to 29. All widths are multiplied by one factor so that I(X; Z*) = `information`.

    Parameters
    ----------
    weights, means, widths : array_like, shape (k,)
        Of the components; means and widths in bins, at most 1e6, widths at least 1e-6.
    n_bins : int
        Number of symbols x.
    information : float or None
        Target for I(X; Z*) in nats, met to 1e-12; None keeps the widths as given.

    Returns
    -------
    Source
        With ``.p``, ``.p_z``, ``.p_x_given_z``, ``.means`` and the scaled ``.widths``.

    Raises
    ------
    ValueError
        If lengths differ, a mean or a width is out of range, or no factor reaches
        `information`; the message says what is reachable.
    TypeError
        If an argument does not hold real numbers, or `n_bins` is not an integer.

    Examples
    --------
    >>> source = toy_source()
    >>> round(source.information, 12), round(float(source.p[10]), 12)
    (0.5, 0.123388377929)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 and Figure 2a.
    """
    p_z, n_bins = as_distribution("weights", weights), as_count("n_bins", n_bins)
    centres, spread = as_array("means", means, ndim=1), as_array("widths", widths, ndim=1)
    for name, array, low in (("means", centres, -FAR), ("widths", spread, 1 / FAR)):
        has_shape(name, array, p_z.shape)
        for i, value in enumerate(array):
            checks.as_number(f"{name}[{i}]", value, low=low, high=FAR)

    def scaled(log_factor: float) -> Source:
        wide = spread * np.exp(log_factor)
        rows = np.exp(log_bins(np.stack([centres, wide], axis=1), n_bins))
        return Source(p_z, rows, means=centres, widths=wide)

    if information is None:
        return scaled(0.0)
    aim = checks.as_number("information", information, low=0)
    return scaled(_crossing(lambda log_factor: scaled(log_factor).information, aim))


def _crossing(reach: Callable[[float], float], information: float) -> float:
    """Return the logarithm of the factor on the widths that gives `information`."""
    grid = np.linspace(-6, 4, 41)
    reached = np.array([reach(log_factor) for log_factor in grid])
    crossings = np.flatnonzero((reached[:-1] >= information) & (reached[1:] <= information))
    if not crossings.size:
        raise ValueError(
            f"information is {information!r}, but widths of this shape reach "
            f"only {reached.min():.6g} to {reached.max():.6g} nats"
        )
    nearest = crossings[np.argmin(np.abs(grid[crossings]))]
    low, high = grid[nearest : nearest + 2]
    return float(brentq(lambda at: reach(at) - information, low, high, xtol=1e-15, rtol=1e-15))


def empirical(p: ArrayLike, n: int, *, rng: Seed | None = None) -> Array:
    """Draw n samples from p and return their frequencies, p̂(x) = count(x) / n.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Distribution to draw from.
    n : int
        Number of samples.
    rng : int or numpy.random.Generator, optional
        Seed or generator.

    Returns
    -------
    numpy.ndarray, shape (n_x,)
        A read-only distribution: any solver runs on it, and ``model.on(p)`` evaluates on the
        true one.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `n` < 1, or `rng` is no seed.
    TypeError
        If `n` is not an integer.

    Examples
    --------
    >>> empirical([1.0, 0.0], 50, rng=0)
    array([1., 0.])

    References
    ----------
    Alemi and Fischer, *TherML* (2018), the 50-sample variant of the toy.
    """
    counts = checks.as_rng(rng).multinomial(as_count("n", n), as_distribution("p", p))
    return locked(counts / n)


def bars_and_stripes(n: int, *, flip: float = 0.05) -> Source:
    """Build all n×n binary images: a pattern of bars or stripes, each pixel flipped at random.

    p(x|pattern) = flip^k (1 − flip)^(n² − k) for the k pixels that differ from the pattern;
    the 2·2ⁿ − 2 patterns are equally likely.

    Parameters
    ----------
    n : int
        Side of the images, 1 to 4; there are 2^(n²) of them.
    flip : float
        Probability that a pixel is flipped, 0 to 1/2.

    Returns
    -------
    Source
        With ``.images`` of shape (2^(n²), n, n) and one component for each pattern.

    Raises
    ------
    ValueError
        If `n` or `flip` is out of range.
    TypeError
        If `n` is not an integer or `flip` not a number.

    Examples
    --------
    >>> bars_and_stripes(3)
    Source(n_x=512, components=14, information=2.51471)

    References
    ----------
    MacKay, *Information Theory, Inference, and Learning Algorithms*, section 43.3.
    """
    n = as_count("n", n)
    if n > 4:
        raise ValueError(f"n is {n}, but 2^(n²) images fit in memory only up to n = 4")
    flip = checks.as_number("flip", flip, low=0, high=0.5)
    pixels, lines = _bits(n * n), _bits(n)
    stripes, bars = np.repeat(lines, n, axis=1), np.tile(lines, (1, n))
    patterns = np.unique(np.concatenate([stripes, bars]), axis=0)
    differ = patterns @ (1 - pixels.T) + (1 - patterns) @ pixels.T
    rows = np.power(flip, differ) * np.power(1 - flip, n * n - differ)
    p_z = np.full(len(patterns), 1 / len(patterns))
    return Source(p_z, rows, images=pixels.reshape(-1, n, n))


def _bits(n: int) -> Array:
    """Return all rows of n zeros and ones, in binary order."""
    return (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1).astype(np.float64)
