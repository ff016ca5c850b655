"""The model: four probability tables, and every number and distribution that follows.

Notation: p[x] data, e[x, z] encoder e(z|x), d[z, x] decoder d(x|z), m[z] marginal; 0 log 0 = 0,
and missing support gives +∞. H, D, R, I are scalars in nats, and H − D ≤ I ≤ R always. For a
cost table, such as −log d(x|z) at [x, z], the best encoder is e ∝ m exp(−cost/β).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, xlogy

from . import checks
from .checks import Array, Seed, as_distribution, as_table, frozen, has_shape, locked, table_over

COARSE = 1e-290
"""A mass below it is too near the denormals to divide by: the row would not sum to 1."""

SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
"""Best responses that underflow are rounded up to it: at 0 they would cost +∞, not nothing."""

SHADES = " ░▒▓█"
"""Letters of `sketch`, from probability 0 to 1 on a square-root scale."""


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
    p, q = as_distribution("p", p, ndim=None), as_distribution("q", q, ndim=None)
    has_shape("q", q, p.shape)
    return max(0.0, float(relative_entropy_terms(p, q).sum()))


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
    if np.isnan(total):
        total = float(np.vdot(joint, np.where(joint > 0, values, 0)))
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


def rate_of(p: Array, e: Array, m: Array) -> float:
    """Return Σ p(x) KL(e(z|x) ‖ m(z)) of checked tables, without the symbols of mass 0."""
    live = p > 0
    return max(0.0, float(p[live] @ relative_entropy_terms(e[live], m).sum(axis=1)))


def normalize(x: ArrayLike, axis: int = -1) -> Array:
    """Divide counts or weights by their sums, in float64: x / Σ x along an axis.

    Parameters
    ----------
    x : array_like
        Numbers ≥ 0, such as counts, or probabilities in float32.
    axis : int
        The axis that is to sum to 1; by default the last, the variable left of the bar.

    Returns
    -------
    numpy.ndarray
        In the shape of `x`.

    Raises
    ------
    ValueError
        If an entry is negative, infinite or NaN, or a sum is 0.
    TypeError
        If `x` does not hold real numbers, or `axis` is not an integer.

    Examples
    --------
    >>> normalize([[1, 3], [2, 2]])
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    array = checks.as_array("x", x)
    checks.non_negative("x", array)
    axis = checks.as_count("axis", axis, low=-array.ndim, high=array.ndim - 1)
    scaled = array / max(float(array.max()), SMALLEST)  # so that no sum overflows or is denormal
    total = scaled.sum(axis=axis, keepdims=True)
    checks.refuse(f"sum over axis {axis} of x", total, total == 0, "; leave that row out")
    return np.asarray(scaled / total)


def best_marginal(p: ArrayLike, e: ArrayLike) -> Array:
    """Compute the marginal that minimises R for an encoder, m(z) = Σ_x p(x) e(z|x).

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    e : array_like, shape (n_x, n_z)
        Encoder e(z|x).

    Returns
    -------
    numpy.ndarray, shape (n_z,)
        The induced marginal e(z); with it R = I.

    Raises
    ------
    ValueError
        If `p` or a row of `e` is not a distribution, or their shapes do not fit.
    TypeError
        If either does not hold real numbers.

    Examples
    --------
    >>> best_marginal([0.25, 0.75], [[1.0, 0.0], [0.0, 1.0]])
    array([0.25, 0.75])

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 2.2.
    """
    p = as_distribution("p", p)
    return induced(p, table_over("e", e, p))


def best_decoder(p: ArrayLike, e: ArrayLike) -> Array:
    """Compute the decoder that minimises D for an encoder, d(x|z) = p(x) e(z|x) / e(z).

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    e : array_like, shape (n_x, n_z)
        Encoder e(z|x).

    Returns
    -------
    numpy.ndarray, shape (n_z, n_x)
        The posterior e(x|z); with it D = H − I. A latent that is never used has no
        posterior: its row is p, as for a latent that says nothing about x.

    Raises
    ------
    ValueError
        If `p` or a row of `e` is not a distribution, or their shapes do not fit.
    TypeError
        If either does not hold real numbers.

    Examples
    --------
    >>> best_decoder([0.25, 0.75], [[1.0, 0.0], [0.0, 1.0]])
    array([[1., 0.],
           [0., 1.]])

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 2.2.
    """
    p = as_distribution("p", p)
    return posterior(p, table_over("e", e, p))


def induced(p: Array, e: Array) -> Array:
    """Return e(z) from checked tables, above 0 wherever some p(x) e(z|x) is."""
    m = np.asarray(p @ e)
    zero = m == 0
    m[zero] = np.where(_allowed(p, e[:, zero]).any(axis=0), SMALLEST, 0.0)
    return m


def posterior(p: Array, e: Array) -> Array:
    """Return e(x|z) from checked tables, above 0 wherever p(x) e(z|x) is; dead latents get p."""
    d = conditional(_lifted(_lifted(e) * p[:, None]).T, p)
    d[(d == 0) & _allowed(p, e).T] = SMALLEST
    return d


def conditional(joint: Array, p: Array) -> Array:
    """Return joint[z, x] with each row divided by its sum; rows without mass become p."""
    mass = joint.sum(axis=1, keepdims=True)
    dead = mass[:, 0] < COARSE
    d = joint / np.where(dead[:, None], 1.0, mass)
    d[dead] = p
    return np.asarray(d)


def _lifted(table: Array) -> Array:
    """Return columns times powers of 2 that bring the largest entry of each to ½ or more."""
    return np.asarray(np.ldexp(table, -np.frexp(table.max(axis=0))[1]))


def _allowed(p: Array, e: Array) -> NDArray[np.bool_]:
    # Support is read off the factors, because their products may underflow to 0.
    return (e > 0) & (p > 0)[:, None]


def best_encoder(d: ArrayLike, m: ArrayLike, beta: float) -> Array:
    """Compute the encoder that minimises D + βR, e(z|x) ∝ m(z) d(x|z)^(1/β).

    Parameters
    ----------
    d : array_like, shape (n_z, n_x)
        Decoder d(x|z).
    m : array_like, shape (n_z,)
        Marginal m(z).
    beta : float
        Price of a nat of rate. At 0 each x goes to the z of largest d(x|z), ties shared as m;
        at ∞ the encoder is m, on the z that can produce x.

    Returns
    -------
    numpy.ndarray, shape (n_x, n_z)
        The encoder; an x that no z with m(z) > 0 can produce gets m.

    Raises
    ------
    ValueError
        If a table is not one of distributions, shapes do not fit, or `beta` is negative or NaN.
    TypeError
        If an argument does not hold real numbers.

    Examples
    --------
    >>> best_encoder([[0.9, 0.1], [0.1, 0.9]], [0.5, 0.5], beta=1)
    array([[0.9, 0.1],
           [0.1, 0.9]])

    References
    ----------
    Blahut (1972), theorem 6; Alemi et al., *Fixing a Broken ELBO* (2018), equation 6.
    """
    m = as_distribution("m", m)
    cost = as_log_cost(table_over("d", d, m))
    return respond(cost, m, checks.as_number("beta", beta, low=0))[0]


def as_log_cost(d: Array) -> Array:
    """Return −log d(x|z) at [x, z], +∞ where d is 0."""
    with np.errstate(divide="ignore"):
        return locked(np.ascontiguousarray(-np.log(d.T)))


def respond(cost: Array, m: Array, beta: float) -> tuple[Array, Array]:
    """Return the best encoder, and log Σ_z m exp(−cost/β), for checked tables."""
    table, log_g = encoded(-cost.T, m, beta)
    return table.T, log_g


def divide(table: Array, beta: float) -> None:
    """Divide a table of numbers up to 0 by β in place, also where β is 0 or ∞."""
    if beta == 0:
        table[table < 0] = -np.inf
    elif beta == np.inf:
        table[table > -np.inf] = 0
    else:
        with np.errstate(over="ignore"):
            table /= beta


def encoded(
    log_d: Array, m: Array, beta: float, weight: Array | None = None
) -> tuple[Array, Array]:
    """Return weight(x) e(z|x) at [z, x] for the best encoder, and log Σ_z m d^(1/β).

    A symbol that no latent can produce has e = m. At β = 0 the second is no number.
    """
    live = m > 0
    top = (log_d if live.all() else log_d[live]).max(axis=0)
    with np.errstate(all="ignore"):
        table = log_d - top
        divide(table, beta)
        table += np.log(m)[:, None]
        table[~live] = -np.inf
        shift = np.zeros(top.size)
        if m[live].min() < COARSE:  # exp(log m) would lose digits
            shift = table.max(axis=0)
            table -= shift
        np.exp(table, out=table)
        total = table.sum(axis=0)
        log_g = np.log(total) + shift + top / beta
        lost = np.isnan(total)
        table[:, lost], total[lost], log_g[lost] = m[:, None], 1.0, -np.inf
        if weight is None:
            table /= total  # sharper than a product
        else:
            table *= weight / total  # never 1 / weight, which overflows
    return table, log_g


class Pictured:
    """What has a picture: it is drawn by `toyrd.plotting`, which alone needs matplotlib."""

    def plot(self, **options: Any) -> Any:
        """Draw it; see `toyrd.plotting.plot` for the options, such as ``unit="bits"``."""
        # Late, because `import toyrd` must not load matplotlib.
        return import_module(".plotting", __package__).plot(self, **options)

    def _repr_png_(self) -> bytes:
        """Return the picture as PNG, which a notebook shows."""
        return bytes(self.plot()._repr_png_())


class Tables(Pictured, checks.ReadOnly):
    """All that follows from the tables p, e, d and m of a `Model` or a `Solution`."""

    p: Array
    e: Array
    d: Array
    m: Array
    D: float
    R: float

    @property
    def n_x(self) -> int:
        """Number of symbols."""
        return self.p.size

    @property
    def n_z(self) -> int:
        """Number of latents."""
        return self.m.size

    @cached_property
    def H(self) -> float:
        """Entropy of the data, −Σ p log p."""
        return entropy(self.p)

    @cached_property
    def I(self) -> float:  # noqa: E743 - the field's own name
        """Mutual information I(X; Z) of p(x) e(z|x), with its own marginal e(z)."""
        return rate_of(self.p, self.e, self.e_z)

    @cached_property
    def elbo(self) -> float:
        """Evidence lower bound, −(D + R), in nats."""
        self.d  # noqa: B018 - of a bare cost there is none, and this says so
        return -(self.D + self.R)

    @cached_property
    def e_z(self) -> Array:
        """Induced marginal e(z) = Σ_x p(x) e(z|x), shape (n_z,)."""
        return locked(induced(self.p, self.e))

    @cached_property
    def g(self) -> Array:
        """Generative distribution g(x) = Σ_z m(z) d(x|z), shape (n_x,)."""
        return locked(np.asarray(self.m @ self.d))

    @cached_property
    def reconstruction(self) -> Array:
        """Distribution of reconstructions d(x) = Σ_z e(z) d(x|z), shape (n_x,)."""
        return locked(np.asarray(self.e_z @ self.d))

    @cached_property
    def x_given_x(self) -> Array:
        """Reconstruction channel p(x'|x) = Σ_z e(z|x) d(x'|z), at [x, x']."""
        return locked(np.asarray(self.e @ self.d))

    @cached_property
    def x_given_z(self) -> Array:
        """Posterior e(x|z) = p(x) e(z|x) / e(z), at [z, x]; unused latents have p."""
        return locked(posterior(self.p, self.e))

    @cached_property
    def rate_gap(self) -> float:
        """R − I as its own divergence, KL(e(z) ‖ m)."""
        return max(0.0, float(relative_entropy_terms(self.e_z, self.m).sum()))

    @cached_property
    def distortion_gap(self) -> float:
        """D − (H − I) as its own divergence, Σ_z e(z) KL(e(x|z) ‖ d(x|z))."""
        used = self.e_z > 0
        terms = relative_entropy_terms(self.x_given_z[used], self.d[used])
        return max(0.0, float(self.e_z[used] @ terms.sum(axis=1)))

    def sketch(self) -> str:
        """Draw e(z|x), d(x|z) and m(z) as shaded blocks, for a terminal: z upwards, x across.

        Examples
        --------
        >>> print(Model([0.5, 0.5], [[1, 0], [0, 1]], [[1, 0], [0, 1]], [0.5, 0.5]).sketch())
        z  e(z|x)  d(x|z)  m(z)
        1    █       █     ▓
        0   █       █      ▓
        """
        blocks = [self.e.T, self.d, self.m[:, None]]
        wide = max(self.n_x, 6)
        lines = [f"z  {'e(z|x)':{wide}}  {'d(x|z)':{wide}}  m(z)"]
        for z in reversed(range(self.n_z)):
            rows = ["".join(SHADES[min(4, round(4 * p**0.5))] for p in b[z]) for b in blocks]
            lines.append(f"{z:<3}{rows[0]:{wide}}  {rows[1]:{wide}}  {rows[2]}".rstrip())
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Model(Tables):
    r"""Bundle the tables p, e, d, m, read-only, with all that the paper computes from them.

    .. math:: D = -Σ p\,e \log d, \quad R = Σ p\,e \log(e/m), \quad H - D ≤ I ≤ R

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution p*(x).
    e : array_like, shape (n_x, n_z)
        Encoder e(z|x).
    d : array_like, shape (n_z, n_x)
        Decoder d(x|z).
    m : array_like, shape (n_z,)
        Marginal m(z), the model's stand-in for e(z).

    Raises
    ------
    ValueError
        If a table is negative, NaN, infinite, empty, not normalised, or of the wrong shape.
    TypeError
        If a table does not hold real numbers.

    Examples
    --------
    >>> model = Model(p=[0.5, 0.5], e=[[1, 0], [0, 1]], d=[[1, 0], [0, 1]], m=[0.5, 0.5])
    >>> model
    Model(n_x=2, n_z=2: H=0.693147, D=0, R=0.693147, I=0.693147, ELBO=-0.693147)
    >>> bool(model.H - model.D <= model.I + 1e-12), bool(model.I <= model.R + 1e-12)
    (True, True)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), equations 1 to 6.
    """

    p: Array
    e: Array
    d: Array
    m: Array

    def __init__(self, p: ArrayLike, e: ArrayLike, d: ArrayLike, m: ArrayLike) -> None:
        p, m = as_distribution("p", p), as_distribution("m", m)
        e = as_table("e", e, shape=(p.size, m.size))
        d = as_table("d", d, shape=(m.size, p.size))
        vars(self).update(p=frozen(p), e=frozen(e), d=frozen(d), m=frozen(m))

    @classmethod
    def _of(cls, p: Array, e: Array, d: Array, m: Array) -> Model:
        """Bundle tables of which nobody else holds e or d: checked, not copied."""
        model = object.__new__(cls)
        e, d = locked(as_table("e", e)), locked(as_table("d", d))
        vars(model).update(p=frozen(p), e=e, d=d, m=frozen(m))
        return model

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name):.6g}" for name in "HDRI")
        return f"Model(n_x={self.n_x}, n_z={self.n_z}: {numbers}, ELBO={self.elbo:.6g})"

    @classmethod
    def random(
        cls, p: ArrayLike, n_z: int, *, rng: Seed | None = None, concentration: float = 1.0
    ) -> Model:
        """Draw e, d and m at random, each row from a symmetric Dirichlet distribution.

        Parameters
        ----------
        p : array_like, shape (n_x,)
            Data distribution.
        n_z : int
            Number of latents.
        rng : int or numpy.random.Generator, optional
            Seed or generator.
        concentration : float
            Of the Dirichlet: 1 is uniform over tables, less is closer to deterministic.

        Raises
        ------
        ValueError
            If `p` is not a distribution, `n_z` < 1 or `concentration` ≤ 0.

        Examples
        --------
        >>> Model.random([0.5, 0.5], 3, rng=0).n_z
        3
        """
        p, n_z = as_distribution("p", p), checks.as_count("n_z", n_z)
        generator = checks.as_rng(rng)
        alpha = checks.as_number("concentration", concentration, low=0, high=1e300, open_low=True)

        def rows(n: int, k: int) -> Array:
            return generator.dirichlet(np.full(k, alpha), size=n)

        return cls(p, rows(p.size, n_z), rows(n_z, p.size), rows(1, n_z)[0])

    def on(self, p: ArrayLike) -> Model:
        """Evaluate the same e, d and m under another data distribution.

        Parameters
        ----------
        p : array_like, shape (n_x,)
            The other distribution, such as the true one after training on samples.

        Raises
        ------
        ValueError
            If `p` is not a distribution over the same symbols.

        Examples
        --------
        >>> Model.random([0.5, 0.5], 2, rng=0).on([1.0, 0.0]).H
        0.0
        """
        p = as_distribution("p", p)
        has_shape("p", p, self.p.shape)
        return Model._of(p, self.e, self.d, self.m)

    @cached_property
    def D(self) -> float:  # type: ignore[override]
        """Distortion, −Σ p(x) e(z|x) log d(x|z); +∞ where d lacks support."""
        live = self.p > 0
        return float(self.p[live] @ -xlogy(self.e[live], self.d.T[live]).sum(axis=1)) + 0.0

    @cached_property
    def R(self) -> float:  # type: ignore[override]
        """Rate, Σ p(x) KL(e(z|x) ‖ m(z)); +∞ where m lacks support."""
        return rate_of(self.p, self.e, self.m)
