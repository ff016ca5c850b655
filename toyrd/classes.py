"""Model classes: encoder, decoder and marginal each simple or complex, with exact gradients.

Notation: a class is named by three signs, for encoder, decoder and marginal: - is simple, + is
complex. A simple encoder is e = softmax(−u²) over z with u = inputs φ, a simple decoder has
rows of a family with parameters θ, a simple marginal is uniform; complex tables are free.
Tables are kept as logarithms, by name: log_e and log_d at [x, z], log_m, and phi and theta
where a class has them. D + βR = Σ p e (β log(e/m) − log d).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import Bounds, minimize
from scipy.special import log_softmax

from .bernoulli import BernoulliDecoder
from .checks import Array, as_distribution
from .decoders import GlobalFamily
from .model import SMALLEST, Model, best_decoder

__all__ = ["Family", "ModelClass", "PixelRows", "Tables"]

Tables = dict[str, Array]

SURE = 30.0
"""Log-odds at which a pixel counts as certain, so that a search stays among finite numbers."""

FAR = 100.0
"""How many times a log-linear encoder's greatest logit its offsets are."""


class PixelRows(BernoulliDecoder):
    """Rows of independent pixels, with the bounds and slopes that going downhill asks for."""

    @property
    def box(self) -> Array:
        """Least and greatest log-odds, shape (2, pixels)."""
        return np.outer((-SURE, SURE), np.ones(self.images[0].size))

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of log d(x|z) in the log-odds, shape (n_z, n_x, pixels)."""
        n, means = len(self.images), self.means(parameters)
        return self.images.reshape(n, -1) - means.reshape(len(means), 1, -1)


Family = GlobalFamily | PixelRows


@dataclass(frozen=True, eq=False)
class ModelClass:
    r"""Describe one of the eight classes, and how to go downhill in it.

    Variables are the parts named in `shapes`: φ, θ, or logits of a free table. All other tables
    take their best response, and by the envelope theorem the gradient is the partial one. Logits
    are kept of the encoder where the decoder is free too, and of a free marginal where the
    encoder takes its best response, beside rows of a family.

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
    family : GlobalFamily or PixelRows
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
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the variables, in their order."""
        n_x, k = self.inputs.shape
        every = {
            "phi": (self.name[0] == "-", (k, self.n_z)),
            "log_e": (self.name[:2] == "++", (n_x, self.n_z)),
            "theta": (self.name[1] == "-", (self.n_z, self.family.box.shape[1])),
            "log_m": (self.name == "+-+", (self.n_z,)),
        }
        return {part: shape for part, (used, shape) in every.items() if used}

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the variables: only rows of a family have any."""
        sides = (
            [
                np.full(s, row if part == "theta" else far).ravel()
                for part, s in self.shapes.items()
            ]
            for far, row in zip((-np.inf, np.inf), self.family.box, strict=True)
        )
        return Bounds(*map(np.concatenate, sides))

    def _packed(self, parts: Tables) -> Array:
        return np.concatenate([parts[name].ravel() for name in self.shapes])

    def _unpacked(self, variables: Array) -> dict[str, Array]:
        cuts = np.cumsum([np.prod(shape) for shape in self.shapes.values()])[:-1]
        parts = zip(self.shapes.items(), np.split(variables, cuts), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def start(self, rng: np.random.Generator, sharpness: float = 1.0) -> Array:
        """Draw variables: latents see the symbols near one drawn from p, the nearer the sharper.

        A sharp encoder finds solutions of high rate, but has hardly a gradient to leave them.
        """
        n_x, k = self.inputs.shape
        seeds = rng.choice(n_x, self.n_z, replace=self.n_z > n_x, p=self.p)
        w = rng.normal(size=(k - 1, self.n_z))
        w *= sharpness / np.linalg.norm(w, axis=0)
        phi = np.vstack([w, (self.inputs[seeds, :-1].T * w).sum(axis=0)])
        log_e = log_softmax(-((self.inputs @ phi) ** 2), axis=-1)
        return self.variables({"phi": phi, "log_e": log_e})

    def variables(self, tables: Tables) -> Array:
        """Return the variables of a member of this class that is, or is like, other tables.

        A smaller class's tables have a member that is no worse. Of other tables log e is enough.
        """
        joint = self.p[:, None] * np.exp(tables["log_e"])
        parts = {**tables, "log_m": _log_mass(joint)}
        if "phi" not in tables:
            parts["phi"] = self._log_linear(tables["log_e"])
        if "theta" not in tables:
            parts["theta"] = np.clip(self.family.fit(joint.T, None), *self.family.box)
        return self._packed(parts)

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

    def tables(self, variables: Array, beta: float) -> Tables:
        """Return log e, log m, log d and p e at a β, with the parameters behind them."""
        t = {"log_m": np.zeros(self.n_z), **self._unpacked(variables)}
        t["log_m"] = log_softmax(t["log_m"])
        if "theta" in t:
            t["log_d"] = self.family.log_rows(t["theta"]).T
        if "phi" in t:
            t["log_e"] = -((self.inputs @ t["phi"]) ** 2)
        elif "theta" in t:
            t["log_e"] = t["log_d"] / beta + t["log_m"]
        t["log_e"] = log_softmax(t["log_e"], axis=-1)
        t["joint"] = self.p[:, None] * np.exp(t["log_e"])
        log_mass = _log_mass(t["joint"])
        if self.name[2] == "+" and "log_m" not in self.shapes:
            t["log_m"] = log_mass
        return {"log_d": np.log(self.p)[:, None] + t["log_e"] - log_mass, **t}

    def model(self, variables: Array, beta: float) -> Model:
        """Return the model that belongs to variables at a β."""
        t = self.tables(variables, beta)
        e, m = np.exp(t["log_e"]), np.exp(t["log_m"])
        # What underflows is not impossible: at 0 it would cost +∞ wherever e has a trace of it.
        d = np.maximum(np.exp(t["log_d"].T), SMALLEST)
        return Model(self.p, e, d if "theta" in t else best_decoder(self.p, e), m)

    def descend(self, variables: Array, beta: float, steps: int = 200) -> tuple[Array, float]:
        """Go downhill from variables by L-BFGS; return where it ends, and D + βR there."""
        options = {"maxiter": steps, "ftol": 1e-12, "gtol": 1e-7, "maxcor": 20}
        result = minimize(
            self.value,
            variables,
            (beta,),
            "L-BFGS-B",
            jac=True,
            bounds=self.bounds,
            options=options,
        )
        return np.asarray(result.x), float(result.fun)

    def value(self, variables: Array, beta: float) -> tuple[float, Array]:
        """Return D + βR and its gradient in the variables."""
        t = self.tables(variables, beta)
        joint = t["joint"]
        spent = joint * (beta * (t["log_e"] - t["log_m"]) - t["log_d"])
        slope = spent - joint * (spent.sum(axis=1) / self.p)[:, None]
        by = {"log_e": slope, "log_m": beta * (np.exp(t["log_m"]) - joint.sum(axis=0))}
        if "phi" in t:
            by["phi"] = self.inputs.T @ (-2 * (self.inputs @ t["phi"]) * slope)
        if "theta" in t:
            by["theta"] = -np.einsum("xz,zxk->zk", joint, self.family.slopes(t["theta"]))
        return float(spent.sum()), self._packed(by)


def _log_mass(joint: Array) -> Array:
    """Return log e(z)."""
    return np.asarray(np.log(np.maximum(joint.sum(axis=0), SMALLEST)))
