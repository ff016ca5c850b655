"""How much the optimum leaves open: the extremes over all optimal models of a rate.

Notation: an optimal model has D + R = H and I = R: it is a mixture of posteriors μ_z(x) with
Σ m μ = p and Σ m KL(μ ‖ p) = R. What z tells of the class, Σ m v(μ), is linear in m too. With
all tables free every posterior is allowed; a family allows its own rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog, minimize
from scipy.special import rel_entr, xlogy

from .checks import Array, as_distribution, as_number, one_of
from .curve import Solution, Status, Target
from .family import FamilyCurve, SmoothFamily
from .information import bottleneck
from .model import Model, best_decoder, best_marginal, conditional, entropy, mutual_information
from .sources import Source
from .table import SHARP, rate_distortion

__all__ = ["Corner", "Extreme", "Identified", "corner", "identified"]

Measure = Literal["separation", "information"]
Value = Callable[[Array], Array]

ROUNDS, STARTS, MORE = 16, 10, 300
"""Programmes in a row; climbs after each; other rows with a gain that it hands on."""

WAYS = ("highs-ds", "highs-ipm")
"""To solve a programme: the second where rounding defeats the first."""

SCALES, MOVES = 9, 8
"""Scales 1, ½, ¼, … of moves from a row in use; moves at each."""

INSIDE, FALL = 1e-2, 0.4
"""Share of other rows that the first programme mixes into p; what the next one keeps of it."""

OFF = 1e-7
"""What D + R may be above H where a programme starts, in nats."""

NEAR_ONE = (1.01, 1.001, 1.000001)
"""The β whose tangents bound the least rate of a perfect fit."""

SHARPEST = 1e-11
"""Tolerance of these tangents, which β − 1 divides."""

APART = 1e-9
"""Rates of perfect fits that differ by more are not the same but for rounding."""


@dataclass(frozen=True, eq=False)
class Extreme:
    """The optimal model at which a value is least or largest.

    Parameters
    ----------
    value, bound : float
        The value of the model, and what no optimal model is beyond.
    proven : bool
        Whether the bound is proven; otherwise a search found nothing beyond it.
    model : Model
        The model.
    """

    value: float
    bound: float
    proven: bool
    model: Model


@dataclass(frozen=True, eq=False)
class Identified:
    """The range that all optimal models of a rate cover: what the optimum does not decide."""

    measure: Measure
    rate: float
    least: Extreme
    largest: Extreme


@dataclass(frozen=True, eq=False)
class Corner:
    """The perfect fits of a family, g = p: the models with D + R = H.

    Parameters
    ----------
    least, largest : Extreme
        Those of the least and the largest rate; tangents prove the bound of the least.
    fewest : Solution
        The one of fewest rows that was found.
    unique : bool
        False where others have the same rate, as mixtures of the least and the largest.
    """

    least: Extreme
    largest: Extreme
    fewest: Solution
    unique: bool


def identified(
    source: Source,
    *,
    rate: float,
    decoder: SmoothFamily | None = None,
    measure: Measure = "separation",
) -> Identified:
    r"""Find the least and the largest that an optimal model of a rate can tell of the classes.

    .. math:: \min, \max Σ_z m(z) v(e(x|z)) \quad\text{where}\quad D + R = H,\ I = R

    Parameters
    ----------
    source : Source
        Data of two classes.
    rate : float
        R = I of the models, in nats.
    decoder : SmoothFamily, optional
        Family of the decoder rows, such as `GaussianDecoder`; by default all tables are free.
        Then both ends are proven; for a family the models are optimal, but that nothing lies
        beyond is searched for (8 s for the toy).
    measure : {"separation", "information"}
        ½ Σ |P(z|0) − P(z|1)|, or I(Z; Z*) in nats.

    Returns
    -------
    Identified
        Both extreme models, with values and bounds. Beyond the rate that leaves I(Z; Z*) = 0
        possible its least value has a proven bound, but not a sharp one.

    Raises
    ------
    ValueError
        If the source has not two classes, or no optimal model has that rate.

    Examples
    --------
    The paper's optimum does not say what it finds; at its rate anything from nothing to more
    than the truth, 0.853, is optimal:

    >>> from toyrd import toy_source
    >>> answer = identified(toy_source(), rate=0.5)
    >>> round(answer.least.value, 6), round(answer.largest.value, 6), answer.largest.proven
    (0.0, 0.864639, True)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4; Tishby, Pereira, Bialek (1999).
    """
    one_of("measure", measure, ("separation", "information"))
    value = _value(source, measure)
    rate = as_number("rate", rate, low=0, high=entropy(source.p))
    if decoder is None:
        ends = _least(source, rate, measure), _largest(source, rate, measure)
        return Identified(measure, rate, *ends)
    fits = PerfectFits(source.p, decoder)
    known = fits.at(rate)
    near = fits.curve.at(NEAR_ONE[1]).parameters
    return Identified(measure, rate, *fits.range(value, known, near, fixed=True))


def corner(p: ArrayLike, decoder: SmoothFamily) -> Corner:
    """Find the rates at which a family's decoder fits p perfectly, D + R = H.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution, above 0 everywhere.
    decoder : SmoothFamily
        Family of the decoder rows, such as `GaussianDecoder`.

    Returns
    -------
    Corner
        The least rate found with a proven bound below it, the largest found, and the perfect
        fit of fewest rows (8 s for the toy).

    Raises
    ------
    ValueError
        If p is 0 somewhere, or no perfect fit is found.

    Examples
    --------
    A family with one bin fits it with no rate:

    >>> from toyrd import GaussianDecoder
    >>> found = corner([1.0], GaussianDecoder(1))
    >>> found.least.value, found.fewest.m
    (0.0, array([1.]))
    """
    fits = PerfectFits(as_distribution("p", p), decoder)
    fewest = fits.curve.perfect_fit
    if fewest is None:
        raise ValueError("no mixture of the decoder's rows fits p: D + R stays above H")
    bound, start, near, proven = 0.0, None, fewest.parameters, True
    for beta in NEAR_ONE:  # a perfect fit has H + (β − 1) R = D + βR, at or above any tangent
        start = point = fits.tangents.at(beta, start)
        bound = max(bound, (point.lower_bound - fits.curve.H) / (beta - 1))
        near, proven = point.parameters, proven and point.status is not Status.SEARCHED
    least, largest = fits.range(fits.rates, fewest, near, fixed=False)
    unique = not least.value + APART < fewest.R < largest.value - APART
    return Corner(Extreme(least.value, bound, proven, least.model), largest, fewest, unique)


def _value(source: Source, measure: Measure) -> Value:
    """Return v(μ) of posteriors at [z, x]."""
    if source.p_z.size != 2:
        raise ValueError(f"source has {source.p_z.size} components, but must have two")
    if measure == "separation":
        return lambda rows: np.abs(rows @ _lean(source))
    told = _class_given_x(source)
    return lambda rows: np.asarray(rel_entr(rows @ told, source.p_z).sum(axis=1))


def _class_given_x(source: Source) -> Array:
    """Return P(z*|x), shape (n_x, k); where p is 0 that is P(z*)."""
    return conditional((source.p_z[:, None] * source.p_x_given_z).T, source.p_z)


def _lean(source: Source) -> Array:
    """Return ½ (P(0|x)/P(0) − P(1|x)/P(1)); its mean over a posterior says how it leans."""
    return np.asarray(_class_given_x(source) / source.p_z @ [0.5, -0.5])


def _at_rate(source: Source, e: Array, rate: float, measure: Measure) -> tuple[float, Model]:
    """Return the model of an encoder moved to I = rate: at times z is x itself, or says nothing.

    The first adds to I and takes nothing from the value; the second takes from both.
    """
    p, now = source.p, mutual_information(source.p[:, None] * e)
    other, end = (np.eye(p.size), entropy(p)) if now < rate else (np.ones((p.size, 1)), 0.0)
    share = (rate - now) / (end - now) if end != now else 0.0
    e = np.hstack([(1 - share) * e, share * other])
    m = best_marginal(p, e)
    model = Model(p, e, best_decoder(p, e), m / m.sum())
    return float(model.m @ _value(source, measure)(model.d)), model


def _largest(source: Source, rate: float, measure: Measure) -> Extreme:
    """Return the proven largest value: the bottleneck, or the curve of a table of two columns.

    Latents that lean to the same class may be merged, which costs no separation and saves rate:
    two are enough, and the separation is minus a distortion.
    """
    lean, joint = _lean(source), source.p[:, None] * _class_given_x(source)

    def best(**target: Any) -> Solution:
        if measure == "information":
            return bottleneck(joint, **target)
        return rate_distortion(source.p, np.stack([-lean, lean], axis=1), **target)

    found = best(beta=0.0)
    found = best(rate=rate) if rate < found.R else found
    most = entropy(source.p_z) if measure == "information" else 0.0
    value, model = _at_rate(source, found.e, rate, measure)
    return Extreme(value, most - found.lower_bound, found.status is not Status.SEARCHED, model)


def _least(source: Source, rate: float, measure: Measure) -> Extreme:
    """Return the least separation: a linear programme over posteriors on one or two symbols.

    On either side of no lean the separation is linear and entropy concave, and these posteriors
    are the corners: none does better, and prices prove it. Pinsker's inequality bounds I(Z; Z*).
    """
    p, lean, room = source.p, _lean(source), entropy(source.p) - rate
    one, two = np.nonzero((lean[:, None] > 0) & (lean < 0) & (p[:, None] > 0) & (p > 0))
    share = lean[two] / (lean[two] - lean[one])
    rows = np.zeros((p.size + one.size, p.size))
    np.fill_diagonal(rows, 1.0)
    pair = p.size + np.arange(one.size)
    rows[pair, one], rows[pair, two] = share, 1 - share
    cost, spread = np.abs(rows @ lean), -xlogy(rows, rows).sum(axis=1)
    found = linprog(cost, spread[None], room, rows.T, p, method="highs-ds", options=SHARP)
    prices, price = found.eqlin.marginals, float(found.ineqlin.marginals[0])
    slack = min(0.0, float((cost - rows @ prices - spread * price).min()))
    bound = max(0.0, float(p @ prices) + price * room + slack)
    if measure == "information":
        bound = 8 * (float(source.p_z.prod()) * bound) ** 2
    used = found.x > 0
    joint = found.x[used] * np.where(p[:, None] > 0, rows[used].T, 1.0)
    e = joint / joint.sum(axis=1, keepdims=True)
    value, model = _at_rate(source, e, rate, measure)
    return Extreme(value, bound, True, model)


class PerfectFits:
    """The mixtures of a family's rows with g = p, by linear programmes over more and more rows."""

    def __init__(self, p: Array, family: SmoothFamily) -> None:
        if not p.all():
            raise ValueError(f"p[{np.argmin(p)}] is 0: leave out symbols that never occur")
        self.p, self.family, self.curve = p, family, FamilyCurve(p, family)
        self.tangents = FamilyCurve(p, family, tol=SHARPEST)

    def at(self, rate: float) -> Solution:
        """Return a perfect fit of this rate, or raise."""
        found = self.curve.meet(Target("rate", rate))
        off = found.D + found.R - self.curve.H
        if off > OFF:
            raise ValueError(
                f"at rate {rate:g} no mixture of the decoder's rows fits p: D + R stays {off:.3g} "
                "above H; `corner` gives the rates at which one does"
            )
        return found

    def rates(self, rows: Array) -> Array:
        """Return KL(d ‖ p) of rows, of which the rate is the mean."""
        return np.asarray(rel_entr(rows, self.p).sum(axis=1))

    def range(
        self, value: Value, known: Solution, near: Array, *, fixed: bool
    ) -> tuple[Extreme, Extreme]:
        """Return the least and the largest Σ m v, of perfect fits of one rate or of any."""
        low = self._least(value, known, near, fixed)
        high = self._least(lambda rows: -value(rows), known, near, fixed)
        return low, Extreme(-high.value, -high.bound, False, high.model)

    def _least(self, value: Value, known: Solution, near: Array, fixed: bool) -> Extreme:
        """Return the perfect fit of least Σ m v.

        Prices bound it, less what a row can gain, for which a search looks. Mixing other rows
        into p, less and less, makes them unique; the bound holds for any prices.
        """
        first = np.concatenate([known.parameters, near])
        base = np.concatenate([first, self._moved(first), self.family.dictionary()])
        aim = known.m @ self._sums(known.parameters, fixed)[1]
        middle = self._sums(base, fixed)[1].mean(axis=0)
        theta, bound = base, -np.inf
        for share in INSIDE * FALL ** np.arange(ROUNDS):
            rows, sums = self._sums(theta, fixed)
            found = _programme(value(rows), sums, (1 - share) * aim + share * middle)
            if found is None:
                break
            prices, used = found.eqlin.marginals, theta[found.x > 0]

            def gain(theta: Array, prices: Array = prices) -> Array:
                rows, sums = self._sums(theta, fixed)
                return np.asarray(sums @ prices - value(rows))

            tried = np.concatenate([theta, self._moved(used)])
            gains = gain(tried)
            best = tried[np.argsort(-gains)]
            tops = np.array([self._climbed(gain, start) for start in best[:STARTS]])
            bound = max(bound, float(aim @ prices) - max(0.0, float(gain(tops).max())))
            more = best[: min(MORE, np.count_nonzero(gains > 0))]
            theta = np.concatenate([base, used, tops, more])
        return self._mixture(value, known, theta, fixed, bound)

    def _mixture(
        self, value: Value, known: Solution, theta: Array, fixed: bool, bound: float
    ) -> Extreme:
        """Return the best mixture of rows, or the known one where rounding defeats the solver."""
        rows, sums = self._sums(theta, fixed)
        aim = known.m @ self._sums(known.parameters, fixed)[1]
        found = _programme(value(rows), sums, aim)
        m, d = known.m, self._sums(known.parameters, fixed)[0]
        if found is not None:
            m, d = found.x[found.x > 0], rows[found.x > 0]
        m = m / m.sum()
        e = (m[:, None] * d / (m @ d)).T
        return Extreme(float(m @ value(d)), bound, False, Model(self.p, e, d, m))

    def _sums(self, theta: Array, fixed: bool) -> tuple[Array, Array]:
        """Return rows, and of each what a programme sums: d/p, and its KL where R is fixed."""
        rows = np.exp(self.family.log_rows(theta))
        columns = [rows / self.p, self.rates(rows)[:, None]]
        return rows, np.hstack(columns if fixed else columns[:1])

    def _moved(self, theta: Array) -> Array:
        """Return rows near others, at distances of all scales."""
        signs = np.random.default_rng(0).integers(-1, 2, (SCALES, MOVES, *theta.shape))
        moves = 0.5 ** np.arange(SCALES)[:, None, None, None] * signs
        return np.clip((theta + moves).reshape(-1, theta.shape[1]), *self.family.box)

    def _climbed(self, gain: Value, theta: Array) -> Array:
        """Return the row of largest gain near another."""
        box = self.family.box
        found = minimize(lambda row: -gain(row[None])[0], theta, bounds=box.T)
        return np.asarray(np.clip(found.x, *box))


def _programme(cost: Array, sums: Array, aim: Array) -> Any:
    """Return the weights m ≥ 0 of least cost with Σ m sums = aim, as found, or None."""
    # Columns are so alike that presolving calls what is feasible infeasible, or gives up.
    options = SHARP | {"presolve": False}
    tries = (linprog(cost, A_eq=sums.T, b_eq=aim, method=way, options=options) for way in WAYS)
    return next((found for found in tries if found.x is not None), None)
