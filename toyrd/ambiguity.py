"""How much the optimum leaves open: the extremes over all optimal models of a rate.

Notation: an optimal model has D + R = H and I = R: it is a mixture of posteriors μ_z(x) with
Σ m μ = p and Σ m KL(μ ‖ p) = R. What z tells of the class, Σ m v(μ), is linear in m too. With
all tables free every posterior is allowed; a family allows its own rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog, minimize
from scipy.special import rel_entr

from .checks import Array, as_distribution, as_number, one_of
from .curve import Curve, Solution, Status, Target
from .family import FamilyCurve, SmoothFamily
from .information import ClassDecoder
from .model import Model, best_decoder, best_marginal, entropy, posterior
from .sources import Source
from .table import SHARP, TableCurve

Measure = Literal["separation", "information"]
Value = Callable[[Array], Array]

STARTS, MORE = 10, 300
"""Climbs after a programme; other rows with a gain that it hands on."""

WIDE = 1 << 20
"""Numbers in the rows all over the box among which each programme looks for a gain."""

SCALES, MOVES = 9, 8
"""Scales 1, ½, ¼, … of moves from a row in use; moves at each."""

SHARES = 1e-2 * 0.4 ** np.arange(16)
"""Shares of other rows that one programme after another mixes into p."""

OFF = 1e-7
"""What D + R may be above H where a programme starts, in nats."""

NEAR_ONE, SHARPEST = (1.01, 1.001, 1.0001, 1.000001), 1e-11
"""The β whose tangents bound the least rate of a perfect fit, and the tolerance of these
tangents, which β − 1 divides."""

HIDDEN = {True: 1e-13, False: 1e-10}
"""What rounding may hide in a proven tangent, and what a search may miss, in nats."""

KNOWN, APART = 2e-5, 1e-9
"""A rate this near its bound is not searched for a lower one, and rates of perfect fits that
differ by more are not the same but for rounding; in nats."""


class Extreme(NamedTuple):
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


class Identified(NamedTuple):
    """The range that all optimal models of a rate cover: what the optimum does not decide."""

    measure: Measure
    rate: float
    least: Extreme
    largest: Extreme


class Corner(NamedTuple):
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
        least, largest = _least(source, rate, measure), _largest(source, rate, measure)
        return Identified(measure, rate, least, largest)
    curve = _curve(source.p, decoder)
    known = curve.meet(Target("rate", rate))
    off = known.D + known.R - curve.H
    if off > OFF:
        raise ValueError(
            f"at rate {rate:g} no mixture of the decoder's rows fits p: D + R stays {off:.3g} "
            "above H; `corner` gives the rates at which one does"
        )
    fits = PerfectFits(decoder, known, curve.at(NEAR_ONE[1]).parameters, fixed=True)
    return Identified(measure, rate, fits.least(value), fits.largest(value))


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
    p = as_distribution("p", p)
    curve = _curve(p, decoder, SHARPEST)
    fewest = curve.perfect_fit()
    if fewest is None:
        raise ValueError("no mixture of the decoder's rows fits p: D + R stays above H")
    bound, point, proven = 0.0, fewest, True
    for beta in NEAR_ONE:  # a perfect fit has H + (β − 1) R = D + βR, at or above any tangent
        point = curve.at(beta, point)
        proven = proven and point.status is not Status.SEARCHED
        bound = max(bound, (point.lower_bound - HIDDEN[proven] - curve.H) / (beta - 1))
    fits = PerfectFits(decoder, fewest, point.parameters, fixed=False)
    least = Extreme(fewest.R, bound, proven, fewest.model)
    if fewest.R - bound > KNOWN:
        least = fits.least(fits.rates)._replace(bound=bound, proven=proven)
    largest = _lossless(curve) or fits.largest(fits.rates)
    unique = not least.value + APART < fewest.R < largest.value - APART
    return Corner(least, largest, fewest, unique)


def _curve(p: Array, family: SmoothFamily, tol: float = 1e-8) -> FamilyCurve:
    """Return the curve of a family on symbols that all occur."""
    if not p.all():
        raise ValueError(f"p[{np.argmin(p)}] is 0: leave out symbols that never occur")
    return FamilyCurve(p, family, tol=tol)


def _lossless(curve: FamilyCurve) -> Extreme | None:
    """Return the code z = x, of the largest rate of all, where rows can be certain of a symbol."""
    if np.diag(curve.family.log_rows(curve.extremes)).min() < -SHARPEST:
        return None
    certain = np.eye(curve.p.size)
    return Extreme(curve.H, curve.H, True, Model(curve.p, certain, certain, curve.p))


def _value(source: Source, measure: Measure) -> Value:
    """Return v(μ) of posteriors at [z, x]."""
    if source.p_z.size != 2:
        raise ValueError(f"source has {source.p_z.size} components, but must have two")
    if measure == "separation":
        return lambda rows: np.abs(rows @ _lean(source))
    return lambda rows: rel_entr(rows @ source.p_z_given_x, source.p_z).sum(axis=1)


def _lean(source: Source) -> Array:
    """Return ½ (P(0|x)/P(0) − P(1|x)/P(1)); its mean over a posterior says how it leans."""
    return np.asarray(source.p_z_given_x / source.p_z @ [0.5, -0.5])


def _extreme(p: Array, m: Array, d: Array, value: Value, bound: float, proven: bool) -> Extreme:
    """Return the model that mixes posteriors, with its value."""
    used = m > 0
    m, d = m[used] / m[used].sum(), d[used]
    return Extreme(float(m @ value(d)), bound, proven, Model(p, posterior(m, d), d, m))


def _largest(source: Source, rate: float, measure: Measure) -> Extreme:
    """Return the proven largest value: the bottleneck, or the curve of a table of two columns.

    Latents that lean to the same class may be merged, which costs no separation and saves rate:
    two are enough, and the separation is minus a distortion. Where even all that can be told
    leaves rate over, z is x itself at times.
    """
    p, lean, most = source.p, _lean(source), 0.0
    curve: Curve = TableCurve(p, np.stack([-lean, lean], axis=1))
    if measure == "information":
        curve, most = FamilyCurve(p, ClassDecoder(source.p_z_given_x)), entropy(source.p_z)
    found = curve.at(0.0)
    found = curve.meet(Target("rate", rate)) if rate < found.R else found
    told = found.I
    share = (rate - told) / (entropy(p) - told) if rate > told else 0.0
    m = np.append((1 - share) * best_marginal(p, found.e), share * p)
    d = np.vstack([best_decoder(p, found.e), np.eye(p.size)])
    proven = found.status is not Status.SEARCHED
    return _extreme(p, m, d, _value(source, measure), most - found.lower_bound, proven=proven)


def _least(source: Source, rate: float, measure: Measure) -> Extreme:
    """Return the least separation: a programme over posteriors on one or two symbols, and p.

    On either side of no lean the separation is linear and KL(μ ‖ p) convex, and these posteriors
    are the corners: none does better, and prices prove it. Pinsker's inequality bounds I(Z; Z*).
    """
    p, lean = source.p, _lean(source)
    one, two = np.nonzero((lean[:, None] > 0) & (lean < 0) & (p[:, None] > 0) & (p > 0))
    share, single = (lean[two] / (lean[two] - lean[one]))[:, None], np.eye(p.size)
    rows = np.vstack([p, single[p > 0], share * single[one] + (1 - share) * single[two]])
    cost, sums = np.abs(rows @ lean), np.column_stack([rows, rel_entr(rows, p).sum(axis=1)])
    aim = np.append(p, rate)
    found = _programme(cost, sums, aim)
    prices = found.eqlin.marginals
    prices[-1] = max(0.0, prices[-1])  # more rate never makes less of a difference
    bound = max(0.0, float(aim @ prices + min(0.0, (cost - sums @ prices).min())))
    if measure == "information":
        bound = 8 * (float(source.p_z.prod()) * bound) ** 2
    return _extreme(p, found.x, rows, _value(source, measure), bound, proven=True)


class PerfectFits:
    """The mixtures of a family's rows with g = p, and of the rate of a known one if `fixed`.

    They are found by linear programmes over more and more rows.
    """

    def __init__(self, family: SmoothFamily, known: Solution, near: Array, *, fixed: bool) -> None:
        self.family, self.known, self.fixed = family, known, fixed
        first = np.concatenate([known.parameters, near])
        grid = family.dictionary()
        self.base, wide = np.concatenate([first, self._moved(first), grid]), self._moved(grid)
        self.wide = wide[:: 1 + len(wide) * known.n_x // WIDE]
        self.aim = known.m @ self._sums(known.d)  # of every perfect fit

    def rates(self, rows: Array) -> Array:
        """Return KL(d ‖ p) of rows, of which the rate is the mean."""
        return np.asarray(rel_entr(rows, self.known.p).sum(axis=1))

    def largest(self, value: Value) -> Extreme:
        """Return the perfect fit of largest Σ m v."""
        found = self.least(lambda rows: -value(rows))
        return found._replace(value=-found.value, bound=-found.bound)

    def least(self, value: Value) -> Extreme:
        """Return the perfect fit of least Σ m v, or the known one where rounding prevents it."""
        theta, bound = self._columns(value)
        rows = self._rows(theta)
        found = _programme(value(rows), self._sums(rows), self.aim)
        m, d = (self.known.m, self.known.d) if found is None else (found.x, rows)
        one = _extreme(self.known.p, m, d, value, bound, proven=False)
        return one._replace(bound=min(bound, one.value))

    def _columns(self, value: Value) -> tuple[Array, float]:
        """Return rows that a mixture of least Σ m v may use, and a bound that a search found.

        Prices bound it, less what a row can gain, for which a search looks. Mixing other rows
        into p, less and less, makes them unique; the bound holds for any prices.
        """
        theta, bound, prices = self.base, -np.inf, np.empty(0)

        def gain(theta: Array) -> Array:
            rows = self._rows(theta)
            return np.asarray(self._sums(rows) @ prices - value(rows))

        aim, middle = self.aim, self._sums(self._rows(theta)).mean(axis=0)
        for share in SHARES:
            rows = self._rows(theta)
            found = _programme(value(rows), self._sums(rows), aim + share * (middle - aim))
            if found is None:
                break
            prices, used = found.eqlin.marginals, theta[found.x > 0]
            tried = np.concatenate([theta, self._moved(used), self.wide])
            gains = gain(tried)
            best = tried[np.argsort(-gains)]
            tops = np.array([self._climbed(gain, start) for start in best[:STARTS]])
            bound = max(bound, float(aim @ prices) - max(0.0, float(gain(tops).max())))
            more = best[: min(MORE, np.count_nonzero(gains > 0))]
            theta = np.concatenate([self.base, used, tops, more])
        return theta, bound

    def _rows(self, theta: Array) -> Array:
        return np.exp(self.family.log_rows(theta))

    def _sums(self, rows: Array) -> Array:
        """Return what a programme sums of each row: d/p, and its KL where R is fixed."""
        shares = rows / self.known.p
        return np.column_stack([shares, self.rates(rows)]) if self.fixed else shares

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
    ways = "highs-ds", "highs-ipm"  # the second where rounding defeats the first
    tries = (linprog(cost, A_eq=sums.T, b_eq=aim, method=way, options=options) for way in ways)
    return next((found for found in tries if found.x is not None), None)
