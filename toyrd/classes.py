"""Model classes: encoder, decoder and marginal each simple or complex, with exact gradients.

Notation: a class is named by three signs, for encoder, decoder and marginal: - is simple, + is
complex. A simple encoder is e = softmax(−u²) over z with u = inputs φ, a simple decoder has
rows of a family with parameters θ, a simple marginal is uniform; complex tables are free.
C[x, z] = β log(e/m) − log d, so that D + βR = Σ p e C. Tables are kept as logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from .checks import Array, as_distribution
from .decoders import BernoulliDecoder
from .mixing import GlobalFamily
from .model import SMALLEST, Model, best_decoder

__all__ = ["Family", "ModelClass", "Tables"]

Family = GlobalFamily | BernoulliDecoder

SURE = 30.0
"""Log-odds at which a pixel counts as certain, so that the search stays among finite numbers."""

FAR = 100.0
"""How many times a log-linear encoder's greatest logit its offsets are."""

FAINT = -60.0
"""Least logarithm of a free encoder's entries at a start; an exact zero could never be left."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Hold what one class hands to another: log e, log m, and the parameters behind tables."""

    log_e: Array
    log_m: Array
    phi: Array | None = None
    theta: Array | None = None


@dataclass(frozen=True, eq=False)
class ModelClass:
    r"""Describe one of the eight classes, and how to go downhill in it.

    Tables that are free take their best response, so that only the parameters of simple tables
    are left: by the envelope theorem the gradient is the partial one. The two exceptions are a
    free marginal beside a free encoder and a simple decoder, kept as logits, and the encoder
    where the decoder is free too, kept as a table of logits.

    .. math:: e(z|x) ∝ e^{-(w_z·x - b_z)^2}

    is the simple encoder. For x on a line it is that of Appendix E; for images x is the vector
    of pixels, so that each latent has a direction w_z of its own and an offset: the natural
    extension, in which a latent still sees one projection of x. As the offsets grow it becomes
    log-linear in x; so is the best response to rows of independent pixels at any β, to which a
    simple encoder comes as near as one likes.

    Parameters
    ----------
    name : str
        Signs of encoder, decoder and marginal, such as ``"-+-"``.
    p : numpy.ndarray, shape (n_x,)
        Data distribution, above 0 everywhere.
    inputs : numpy.ndarray, shape (n_x, k)
        What a simple encoder sees of x, last a column of −1; see `class_data`.
    family : GlobalFamily or BernoulliDecoder
        Of the rows of a simple decoder.
    n_z : int
        Number of latents.

    Raises
    ------
    ValueError
        If `name` is not three signs, or a symbol has no probability.

    Examples
    --------
    >>> from toyrd import GaussianDecoder
    >>> from toyrd.class_data import line_inputs
    >>> p = np.array([0.25, 0.5, 0.25])
    >>> one = ModelClass("-+-", p, line_inputs(p), GaussianDecoder(3), n_z=3)
    >>> variables = one.descend(one.start(rng=np.random.default_rng(0)), beta=2.0)[0]
    >>> model = one.model(variables, beta=2.0)
    >>> bool(model.R < 1e-9), bool(model.D - model.H < 1e-9)
    (True, True)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4.2, Figure 3 and Appendix E.
    """

    name: str
    p: Array
    inputs: Array
    family: Family
    n_z: int

    def __post_init__(self) -> None:
        if len(self.name) != 3 or set(self.name) - set("+-"):
            raise ValueError(f"name is {self.name!r}, but must be three signs such as '-+-'")
        if not (as_distribution("p", self.p) > 0).all():
            raise ValueError("p must be above 0 everywhere; leave out the other symbols")

    @cached_property
    def free(self) -> tuple[bool, bool, bool]:
        """Whether encoder, decoder and marginal are complex."""
        encoder, decoder, marginal = (sign == "+" for sign in self.name)
        return encoder, decoder, marginal

    @cached_property
    def box(self) -> Array:
        """Least and greatest parameters of a row of the family, shape (2, k)."""
        if isinstance(self.family, BernoulliDecoder):
            return np.array([[-SURE], [SURE]]) * np.ones(self.family.images[0].size)
        return self.family.box

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the variables: φ or the encoder's logits, θ, and the logits of m."""
        encoder, decoder, marginal = self.free
        of_e = (self.p.size, self.n_z) if decoder else (0,)
        return (
            of_e if encoder else (self.inputs.shape[1], self.n_z),
            (0,) if decoder else (self.n_z, self.box.shape[1]),
            (self.n_z,) if encoder and marginal and not decoder else (0,),
        )

    @cached_property
    def _log_p(self) -> Array:
        return np.log(self.p)[:, None]

    @property
    def responds(self) -> bool:
        """Whether the encoder is the best response to the rows of a family."""
        return self.free[0] and not self.free[1]

    def split(self, variables: Array) -> list[Array]:
        """Return the parts of the variables in their shapes."""
        first, second, _ = (int(np.prod(shape)) for shape in self.shapes)
        cuts = (0, first), (first, first + second), (first + second, variables.size)
        return [
            variables[low:high].reshape(shape)
            for (low, high), shape in zip(cuts, self.shapes, strict=True)
        ]

    def start(self, rng: np.random.Generator, sharpness: float = 1.0) -> Array:
        """Draw variables: latents see the symbols near one drawn from p, the nearer the sharper.

        A sharp encoder finds solutions of high rate, but has hardly a gradient to leave them.
        """
        k, few = self.inputs.shape[1] - 1, self.n_z <= self.p.size
        seeds = self.inputs[rng.choice(self.p.size, self.n_z, replace=not few, p=self.p), :-1]
        w = rng.normal(size=(k, self.n_z))
        w *= sharpness / np.linalg.norm(w, axis=0)
        phi = np.vstack([w, (seeds.T * w).sum(axis=0)])
        log_e = log_softmax(-((self.inputs @ phi) ** 2), axis=1)
        return self.variables(Tables(log_e, self._log_mass(log_e), phi))

    def variables(self, tables: Tables) -> Array:
        """Return the variables of a member of this class that is, or is like, other tables.

        A smaller class's tables have a member that is no worse.
        """
        encoder, decoder, _ = self.free
        parts = []
        if not encoder:
            phi = self._log_linear(tables.log_e) if tables.phi is None else tables.phi
            parts.append(phi)
        elif decoder:
            parts.append(np.maximum(tables.log_e, FAINT))
        if not decoder:
            parts.append(self._rows(tables))
        if self.shapes[2] != (0,):
            parts.append(np.maximum(tables.log_m, FAINT))
        return np.concatenate([part.ravel() for part in parts])

    def _log_linear(self, log_e: Array) -> Array:
        """Return φ of an encoder that is log-linear in x, fitted to another.

        With b_z = B + c_z/2B and w_z = a_z/2B the logits −(w_z·x − b_z)² differ between
        latents by a_z·x − c_z only, but for terms that vanish as B grows.
        """
        logits = log_e - log_e.mean(axis=1, keepdims=True)
        weight = np.sqrt(self.p)[:, None]
        phi = np.linalg.lstsq(weight * self.inputs, weight * logits, rcond=None)[0]
        offset = 1.0 + FAR * float(np.abs(self.inputs @ phi).max())
        phi /= 2 * offset
        phi[-1] += offset
        return np.asarray(phi)

    def _rows(self, tables: Tables) -> Array:
        """Return parameters of the family, fitted if the tables have none."""
        theta = tables.theta
        if theta is None:
            theta = self.family.fit((self.p[:, None] * np.exp(tables.log_e)).T, None)
        return np.clip(theta, *self.box)

    def tables(self, variables: Array, beta: float) -> Tables:
        """Return the tables that belong to variables at a β."""
        first, theta, logits = self.split(variables)
        if self.responds:
            log_m = self._log_marginal(logits)
            log_e = log_softmax(self.family.log_rows(theta).T / beta + log_m, axis=1)
            return Tables(log_e, log_m, None, theta)
        phi = None if self.free[0] else first
        log_e = log_softmax(first if phi is None else -((self.inputs @ phi) ** 2), axis=1)
        log_m = self._log_mass(log_e) if self.free[2] else self._log_marginal(logits)
        return Tables(log_e, log_m, phi, None if self.free[1] else theta)

    def _log_marginal(self, logits: Array) -> Array:
        return np.asarray(log_softmax(logits if logits.size else np.zeros(self.n_z)))

    def _log_mass(self, log_e: Array) -> Array:
        """Return log e(z)."""
        return np.asarray(logsumexp(log_e + self._log_p, axis=0))

    def model(self, variables: Array, beta: float) -> Model:
        """Return the model that belongs to variables at a β."""
        tables = self.tables(variables, beta)
        e, m = np.exp(tables.log_e), np.exp(tables.log_m)
        e /= e.sum(axis=1, keepdims=True)
        if tables.theta is None:
            return Model(self.p, e, best_decoder(self.p, e), m / m.sum())
        # What underflows is not impossible: at 0 it would cost +∞ wherever e has a trace of it.
        d = np.maximum(np.exp(self.family.log_rows(tables.theta)), SMALLEST)
        return Model(self.p, e, d, m / m.sum())

    def descend(self, variables: Array, beta: float, steps: int = 200) -> tuple[Array, float]:
        """Go downhill from variables by L-BFGS; return where it ends, and D + βR there."""
        result = minimize(
            self.value,
            variables,
            args=(beta,),
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds,
            options={"maxiter": steps, "ftol": 1e-12, "gtol": 1e-7, "maxcor": 20},
        )
        return np.asarray(result.x), float(result.fun)

    @cached_property
    def _bounds(self) -> list[tuple[float, float]] | None:
        """Bounds for L-BFGS-B: only rows of a family have any."""
        if self.free[1]:
            return None
        before, _, after = (int(np.prod(shape)) for shape in self.shapes)
        rows = [(float(low), float(high)) for low, high in self.box.T] * self.n_z
        return [(-np.inf, np.inf)] * before + rows + [(-np.inf, np.inf)] * after

    def value(self, variables: Array, beta: float) -> tuple[float, Array]:
        """Return D + βR and its gradient in the variables."""
        parts = self.split(variables)
        value, slopes = (
            self._responding(parts, beta) if self.responds else self._of_encoder(parts, beta)
        )
        return value, np.concatenate([slope.ravel() for slope in slopes])

    def _responding(self, parts: list[Array], beta: float) -> tuple[float, list[Array]]:
        """Return −β Σ p log Σ m d^(1/β), the value at the best encoder, with its slopes."""
        _, theta, logits = parts
        log_m = self._log_marginal(logits)
        table = self.family.log_rows(theta).T / beta + log_m
        log_e, e = _softmax(table)
        joint, log_g = self.p[:, None] * e, table[:, 0] - log_e[:, 0]
        by_m = beta * (np.exp(log_m) - joint.sum(axis=0)) if logits.size else logits
        return -beta * float(self.p @ log_g), [-self._by_rows(theta, joint.T), by_m]

    def _of_encoder(self, parts: list[Array], beta: float) -> tuple[float, list[Array]]:
        """Return Σ p e C and its slopes where the encoder has parameters of its own."""
        first, theta, _ = parts
        _, decoder, marginal = self.free
        u = None if self.free[0] else self.inputs @ first
        log_e, e = _softmax(first if u is None else -(u**2))
        joint = self.p[:, None] * e
        mass = joint.sum(axis=0)
        log_mass = np.log(mass, out=np.zeros_like(mass), where=mass > 0)
        log_m = log_mass if marginal else -np.log(self.n_z)
        log_d = self._log_p + log_e - log_mass if decoder else self.family.log_rows(theta).T
        spent = joint * (beta * (log_e - log_m) - log_d)
        slope = spent - joint * (spent.sum(axis=1, keepdims=True) / self.p[:, None])
        by_e = slope if u is None else self.inputs.T @ (-2 * u * slope)
        return float(spent.sum()), [by_e, theta if decoder else -self._by_rows(theta, joint.T)]

    def _by_rows(self, theta: Array, weight: Array) -> Array:
        """Return the gradient of Σ weight[z, x] log d(x|z) in θ."""
        if isinstance(self.family, BernoulliDecoder):
            on = weight @ self.family.images.reshape(self.p.size, -1)
            means = self.family.means(theta).reshape(theta.shape)
            return np.asarray(on - weight.sum(axis=1, keepdims=True) * means)
        return np.asarray(np.einsum("zx,zxk->zk", weight, self.family.slopes(theta)))


def _softmax(table: Array) -> tuple[Array, Array]:
    """Return the logarithm of the softmax over z, and the softmax."""
    shifted = table - table.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    return shifted - np.log(total), e / total
