"""All tables free: the closed form, the choice among optima, and the encoders it is made of.

Notation: at the best responses D = H − I and R = I, so D + βR = H + (β − 1) I; for any tables
D ≥ H − I and I ≤ R, H, log n_z. Where every encoder of one rate is optimal, the one returned
has the least expected cost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .checks import Array, as_count, as_distribution, as_number
from .curve import MET, Curve, Solution, Status, Target
from .model import Model, best_decoder, best_marginal, entropy, mutual_information, respond
from .table import TableCurve

SMOOTH_RATE = 2e-4
"""Information of the smooth start in nats: the rate that the paper prints under Figure 2b."""


class FreeCurve(Curve):
    """The curve of all tables free, with n_z latents; a cost picks among the optima at a rate."""

    def __init__(self, p: Array, n_z: int, prefer: Array | None, tol: float) -> None:
        self.p, self.n_z, self.prefer, self.tol = p, n_z, prefer, tol

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the closed form: lossless for β < 1, collapse for β > 1."""
        if beta < 1:
            e = sharpest_encoder(self.p, self.n_z)
            note = "a lossless code" if self.n_z >= self.p.size else "an even split into groups"
        elif beta > 1:
            e, note = np.tile(np.eye(1, self.n_z), (self.p.size, 1)), "collapse"
        else:
            e = smooth_encoder(self.p, self.n_z)
            note = "not unique: at β = 1 every rate is optimal, and the smooth start decides"
        return self._answer(e, Target("beta", beta), beta, note)

    def meet(self, target: Target) -> Solution:
        """Return, of the encoders with I = R*, which are all optimal, that of least cost."""
        H, sharp = entropy(self.p), sharpest_encoder(self.p, self.n_z)
        most = mutual_information(self.p[:, None] * sharp) if self.n_z < self.p.size else H
        split = ", split as evenly as was found," if self.n_z < self.p.size else ""
        aim = refuse_beyond(target, H, most, f" with {self.n_z} latents{split}")
        e, note = self._tie_break(min(max(aim, 0.0), most), sharp)
        if aim < 0:
            note = "the target is slack, no rate is needed"
        return self._answer(e, target, 1.0, note)

    def _tie_break(self, rate: float, sharp: Array) -> tuple[Array, str]:
        """Return the encoder with I = rate of least expected cost, or one beyond its range."""
        cost = squared_distance(self.p.size, self.n_z) if self.prefer is None else self.prefer
        curve = TableCurve(self.p, cost, tol=1e-13)
        what = "squared distance" if self.prefer is None else "the cost preferred"
        note = f"not unique: of those at this rate, the least {what}"
        if rate > curve.ends[0].R:
            note = "not unique: this rate is above what the preferred cost asks for"
        return self._with_information(curve.nearest(Target("rate", rate)).e, sharp, rate), note

    def _with_information(self, e: Array, sharp: Array, rate: float) -> Array:
        """Return e moved to I = rate exactly, towards the sharp encoder or one that says nothing.

        Where costs tie but for rounding, β is so small that the rate of m says little of I.
        """
        p, missing = self.p, rate - mutual_information(self.p[:, None] * e)
        if abs(missing) <= 1e-13:
            return e
        other = sharp if missing > 0 else np.tile(p @ e, (p.size, 1))

        def excess(share: float) -> float:
            return mutual_information(p[:, None] * ((1 - share) * e + share * other)) - rate

        share = brentq(excess, 0.0, 1.0, xtol=1e-16) if excess(1.0) * missing > 0 else 1.0
        return np.asarray((1 - share) * e + share * other)

    def _answer(self, e: Array, target: Target, beta: float, note: str) -> Solution:
        """Return an encoder with its best responses, and the bound of any decoder."""
        m = best_marginal(self.p, e)
        model = Model(self.p, e, best_decoder(self.p, e), m / m.sum())
        bound = target.bound(model.H, math.log(self.n_z), model.D, model.R)
        told: dict[str, Any] = {"beta": beta, "note": note}
        return Solution.of_model(target, model, Status.LOCAL, bound, self.tol, **told)


def refuse_beyond(target: Target, H: float, most: float, given: str) -> float:
    """Return the information that a target asks for; raise if that is more than `most`."""
    aim = target.value if target.name == "rate" else H - target.value
    if aim > most + MET:
        raise target.unreachable((H - most, H), (0.0, most), given)
    return aim


def smooth_encoder(p: ArrayLike, n_z: int | None = None, *, rate: float = SMOOTH_RATE) -> Array:
    """Build the nearly uninformative kernel e(z|x) ∝ exp(−(x − z)² / 2w²) with I(X; Z) = rate.

    The width w is solved for; the latents lie evenly over the symbols.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    n_z : int, optional
        Number of latents; by default n_x.
    rate : float
        Information in nats. Where no width gives so much, the narrowest kernel is returned;
        where rounding hides so little, a kernel that is all but flat.

    Returns
    -------
    numpy.ndarray, shape (n_x, n_z)
        The encoder.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `n_z` < 1 or `rate` ≤ 0.

    Examples
    --------
    >>> e = smooth_encoder([0.25, 0.25, 0.25, 0.25], rate=0.01)
    >>> round(mutual_information(0.25 * e), 12)
    0.01
    """
    p = as_distribution("p", p)
    n_z = as_count("n_z", p.size if n_z is None else n_z)
    rate = as_number("rate", rate, low=0, open_low=True)
    distance = squared_distance(p.size, n_z)
    flat = np.full(n_z, 1 / n_z)

    def encoder(log_width: float) -> Array:
        return respond(distance, flat, 2 * np.exp(2 * log_width))[0]

    def excess(log_width: float) -> float:
        return mutual_information(p[:, None] * encoder(log_width)) - rate

    low, high = -3.0, np.log(p.size) + 10
    if excess(low) <= 0:
        return encoder(low)
    if excess(high) >= 0:  # rounding hides so little information
        return encoder(high)
    return encoder(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))


def squared_distance(n_x: int, n_z: int) -> Array:
    """Return (x − position of z)², the latents evenly over the symbols."""
    places = np.linspace(0, n_x - 1, n_z) if n_z > 1 else np.array([(n_x - 1) / 2])
    return np.asarray((np.arange(n_x)[:, None] - places) ** 2)


def sharpest_encoder(p: Array, n_z: int) -> Array:
    """Return a deterministic encoder: lossless if there are latents enough, else an even split.

    The split fills latents with the largest symbols first, each where least mass lies; the
    best one is a bin-packing problem, so for n_z < n_x it is only a good one.
    """
    if n_z >= p.size:
        return np.eye(p.size, n_z)
    e, mass = np.zeros((p.size, n_z)), np.zeros(n_z)
    for x in np.argsort(-p, kind="stable"):
        z = np.argmin(mass)
        e[x, z] = 1
        mass[z] += p[x]
    return e
