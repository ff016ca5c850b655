"""The model: four probability tables, and every number and distribution that follows.

Notation: p[x] data, e[x, z] encoder e(z|x), d[z, x] decoder d(x|z), m[z] marginal. H, D, R, I
are scalars in nats, and H − D ≤ I ≤ R always. The two best responses that need no β live here,
because the posterior and the induced marginal *are* the best decoder and marginal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from .checks import (
    Array,
    ReadOnly,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    as_table,
    frozen,
    has_shape,
    locked,
)
from .measures import entropy, relative_entropy_terms

__all__ = ["Model", "best_decoder", "best_marginal"]

COARSE = 1e-290
"""A mass below it is too near the denormals to divide by: the row would not sum to 1."""

SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
"""Best responses that underflow are rounded up to it: at 0 they would cost +∞, not nothing."""


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
    return induced(p, _table_over("e", e, p.size))


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
    return posterior(p, _table_over("e", e, p.size))


def induced(p: Array, e: Array) -> Array:
    """Return e(z) from checked tables, above 0 wherever some p(x) e(z|x) is."""
    m = np.asarray(p @ e)
    zero = m == 0
    m[zero] = np.where(_allowed(p, e[:, zero]).any(axis=0), SMALLEST, 0.0)
    return m


def posterior(p: Array, e: Array) -> Array:
    """Return e(x|z) from checked tables, above 0 wherever p(x) e(z|x) is; dead latents get p."""
    joint = (p[:, None] * e).T
    faint = joint.sum(axis=1) < COARSE
    d = conditional(joint, p)
    d[faint] = _faint_posterior(p, e[:, faint])
    d[(d == 0) & _allowed(p, e).T] = SMALLEST
    return d


def conditional(joint: Array, p: Array) -> Array:
    """Return joint[z, x] with each row divided by its sum; rows without mass become p."""
    mass = joint.sum(axis=1, keepdims=True)
    dead = mass[:, 0] < COARSE
    d = joint / np.where(dead[:, None], 1.0, mass)
    d[dead] = p
    return np.asarray(d)


def _faint_posterior(p: Array, e: Array) -> Array:
    with np.errstate(divide="ignore"):
        logs = (np.log(p)[:, None] + np.log(e)).T
    top = logs.max(axis=1, keepdims=True)
    dead = top == -np.inf
    rows = np.exp(logs - np.where(dead, 0.0, top))
    return np.where(dead, p, rows / np.where(dead, 1.0, rows.sum(axis=1, keepdims=True)))


def _allowed(p: Array, e: Array) -> NDArray[np.bool_]:
    # Support is read off the factors, because their products may underflow to 0.
    return (e > 0) & (p > 0)[:, None]


def _table_over(name: str, table: ArrayLike, n_rows: int) -> Array:
    array = as_table(name, table)
    has_shape(name, array, (n_rows, array.shape[1]))
    return array


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Model(ReadOnly):
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
        self._keep(frozen(p), frozen(e), frozen(d), frozen(m))

    @classmethod
    def _of(cls, p: Array, e: Array, d: Array, m: Array) -> Model:
        """Bundle tables of which nobody else holds e or d: checked, not copied."""
        model = object.__new__(cls)
        model._keep(frozen(p), locked(as_table("e", e)), locked(as_table("d", d)), frozen(m))
        return model

    def _keep(self, *tables: Array) -> None:
        for name, table in zip("pedm", tables, strict=True):
            object.__setattr__(self, name, table)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name):.6g}" for name in "HDRI")
        return f"Model(n_x={self.n_x}, n_z={self.n_z}: {numbers}, ELBO={self.elbo:.6g})"

    @classmethod
    def random(
        cls,
        p: ArrayLike,
        n_z: int,
        *,
        rng: int | np.random.Generator | None = None,
        concentration: float = 1.0,
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
        p = as_distribution("p", p)
        n_z = as_count("n_z", n_z)
        generator = as_rng(rng)
        concentration = as_number("concentration", concentration, low=0, high=1e300, open_low=True)

        def rows(n: int, k: int) -> Array:
            return generator.dirichlet(np.full(k, concentration), size=n)

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
    def D(self) -> float:
        """Distortion, −Σ p(x) e(z|x) log d(x|z); +∞ where d lacks support."""
        live = self.p > 0
        return float(self.p[live] @ -xlogy(self.e[live], self.d.T[live]).sum(axis=1)) + 0.0

    @cached_property
    def R(self) -> float:
        """Rate, Σ p(x) KL(e(z|x) ‖ m(z)); +∞ where m lacks support."""
        live = self.p > 0
        rows = relative_entropy_terms(self.e[live], self.m).sum(axis=1)
        return max(0.0, float(self.p[live] @ rows))

    @cached_property
    def I(self) -> float:  # noqa: E743 - the field's own name
        """Mutual information I(X; Z) of p(x) e(z|x), with its own marginal e(z)."""
        used = self.p[:, None] * self.e > 0  # a product that underflows carries no information
        terms = relative_entropy_terms(np.where(used, self.e, 0), self.e_z)
        return max(0.0, float(self.p @ terms.sum(axis=1)))

    @property
    def elbo(self) -> float:
        """Evidence lower bound, −(D + R), in nats."""
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
        if (_allowed(self.p, self.e) & (self.d.T == 0)).any():
            return np.inf
        joint = self.p[:, None] * self.e
        x, z = np.nonzero(joint)
        log_posterior = np.log(self.p[x]) + np.log(self.e[x, z]) - np.log(self.e_z[z])
        return max(0.0, float(joint[x, z] @ (log_posterior - np.log(self.d[z, x]))))
