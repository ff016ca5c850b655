"""Rate-distortion for any cost table: one global, certified curve in all of its forms.

Notation: cost[x, z] is a real table, +∞ where a pair is forbidden; a point of the curve is a
β with a marginal m, because the encoder is then e(z|x) ∝ m(z) exp(−cost(x, z)/β). On a
straight piece all optimal m share one β, so mixing m moves along the piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from .checks import (
    Array,
    as_cost,
    as_count,
    as_distribution,
    as_number,
    frozen,
    has_shape,
    locked,
    one_of,
)
from .encoders import respond
from .kernel import EPS, Kernel, blahut_arimoto, cover, newton
from .measures import relative_entropy_terms
from .model import Model
from .solution import Result, Solution, as_history, warn_unconverged
from .target import meet, one_target, sharpened

__all__ = ["RateDistortion", "rate_distortion"]

Method = Literal["newton", "blahut-arimoto"]
METHODS = ("newton", "blahut-arimoto")
OPTIMUM = "global optimum, certified by the gap"
STOPPED = "stopped at max_iter, and the gap bounds the error"
SHARP = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
"""Of HiGHS: the least that it takes."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RateDistortion(Result):
    """Hold one point of a rate-distortion curve, with its certificate.

    Parameters
    ----------
    p : numpy.ndarray, shape (n_x,)
        The source.
    cost : numpy.ndarray, shape (n_x, n_z)
        The cost table.
    m : numpy.ndarray, shape (n_z,)
        Marginal of the answer; its encoder `e` follows from it, and is made when asked for.
    D, R : float
        Expected cost, and rate Σ p e log(e/m) in nats.
    beta, objective, lower_bound, gap, iterations, converged, message
        As in `Solution`; the gap allows for rounding, so it is never too small.
    """

    p: Array
    cost: Array
    m: Array
    D: float
    R: float
    nats: float
    """log max c: the certificate in nats of rate, before β."""
    iterates: tuple[Array, ...]

    def __repr__(self) -> str:
        return self._summary(beta=self.beta, D=self.D, R=self.R)

    @cached_property
    def e(self) -> Array:
        """Encoder e(z|x) ∝ m(z) exp(−cost(x, z)/β), shape (n_x, n_z)."""
        return locked(respond(self.cost, self.m, self.beta)[0])

    def solution(self, d: Array) -> Solution:
        """Return the model of this point with the decoder d, whose −log is the cost."""
        return Solution(
            model=Model._of(self.p, self.e, d, self.m),
            history=self.history,
            **{one.name: getattr(self, one.name) for one in fields(Result)},
        )

    @cached_property
    def history(self) -> NDArray[np.void]:
        """The start and each iteration, with fields D, R, I and objective D + βR."""
        alive = self.p > 0
        kernel = Kernel(self.p[alive], self.cost[alive], self.beta)
        return as_history(self._row(kernel, m) for m in self.iterates)

    @staticmethod
    def _row(kernel: Kernel, m: Array) -> tuple[float, float, float, float]:
        D, R, objective = kernel.measure(m)
        induced = m * (1 + kernel.excess(kernel.mixture(m)[1]))
        waste = float(relative_entropy_terms(induced, m).sum())
        return D, R, max(0.0, R - waste), objective


Stated = TypeVar("Stated", bound=RateDistortion)


class CostCurve:
    """Solve rate-distortion for one source and cost at any β."""

    def __init__(
        self,
        p: Array,
        cost: Array,
        *,
        marginal: Array | None = None,
        method: Method = "newton",
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        one_of("method", method, METHODS)
        self.p, self.cost, self.marginal, self.method = frozen(p), cost, marginal, method
        self.tol = as_number("tol", tol, low=0, open_low=True)
        cap = (200 if method == "newton" else 100_000) if max_iter is None else max_iter
        self.max_iter = as_count("max_iter", cap, low=0)
        self.alive = p > 0
        self.columns = np.arange(cost.shape[1]) if marginal is None else np.flatnonzero(marginal)
        whole = self.alive.all() and marginal is None
        self.live_p = p[self.alive]
        self.live_cost = cost if whole else cost[np.ix_(self.alive, self.columns)]
        stuck = np.flatnonzero(self.live_cost.min(axis=1) == np.inf)
        if stuck.size:
            symbol = np.flatnonzero(self.alive)[stuck[0]]
            raise ValueError(
                f"marginal gives no mass to any latent that symbol {symbol} may use; "
                "every row needs a latent of finite cost with marginal > 0"
            )

    def at(self, beta: float, start: RateDistortion | None = None) -> RateDistortion:
        """Solve at β, warm from another point's marginal if the method can revive latents."""
        if start is None or self.method != "newton":
            return self.from_marginal(beta, None)
        return self.from_marginal(beta, start.m)

    def from_marginal(self, beta: float, m: Array | None) -> RateDistortion:
        """Solve at β from a marginal, or from a cold start."""
        kernel = Kernel(self.live_p, self.live_cost, beta)
        if self.marginal is not None:
            return self._point(kernel, self.marginal[self.columns], 0.0, [], True)
        if beta == np.inf and np.isfinite(self.live_cost).all(axis=0).any():
            return self._collapsed(kernel)
        first = self._first(kernel, m)
        threshold = kernel.threshold(self.tol, kernel.objective(kernel.mixture(first)[1]))
        steps = self._steps(kernel, first, threshold)
        iterates: list[Array] = []
        for last, c in islice(steps, self.max_iter + 1):
            iterates.append(frozen(last))
            excess = float(c.max())
            if excess <= threshold:
                break
        slack = self._above_least(kernel, last)
        if beta == np.inf and excess <= threshold:
            found, doubt = cheapest(kernel, last)
            changed = float(kernel.excess(kernel.mixture(found)[1]).max())
            if changed <= threshold:
                last, excess, slack = found, changed, doubt
        return self._point(kernel, last, excess, iterates, excess <= threshold, slack)

    def mix(self, first: RateDistortion, second: RateDistortion, share: float) -> RateDistortion:
        """Evaluate the mixture of two marginals at the β between them; their gaps may add."""
        beta = first.beta ** (1 - share) * second.beta**share
        point = self.evaluate(beta, (1 - share) * first.m + share * second.m)
        settled = first.converged and second.converged and point.gap <= first.gap + second.gap
        return replace(
            point,
            iterates=first.iterates + second.iterates,
            iterations=first.iterations + second.iterations,
            converged=settled,
            message=OPTIMUM if settled else STOPPED,
        )

    def evaluate(self, beta: float, m: Array) -> RateDistortion:
        """Certify a marginal at β as it is."""
        kernel = Kernel(self.live_p, self.live_cost, beta)
        m = m[self.columns]
        if self.marginal is not None:
            return self._point(kernel, m, 0.0, [], True)
        excess = float(kernel.excess(kernel.mixture(m)[1]).max())
        threshold = kernel.threshold(self.tol, kernel.measure(m)[2])
        slack = self._above_least(kernel, m)
        return self._point(kernel, m, excess, [], excess <= threshold, slack)

    def _above_least(self, kernel: Kernel, m: Array) -> float:
        """Return how far, at β = ∞, D may be above the least: of one latent for all, or of any."""
        if kernel.beta < np.inf:
            return 0.0
        single = float((self.live_p @ self.live_cost).min())
        return kernel.measure(m)[0] - (single if single < np.inf else kernel.base)

    def _first(self, kernel: Kernel, m: Array | None) -> Array:
        """Return the marginal to start from."""
        if self.method == "newton":
            return cover(kernel, m)
        first = np.full(self.cost.shape[1], 1 / self.cost.shape[1]) if m is None else m
        lost = np.flatnonzero(kernel.offset + kernel.mixture(first)[1] < 1e-300)
        if lost.size:
            symbol = np.flatnonzero(self.alive)[lost[0]]
            raise ValueError(
                f"start gives no mass to a latent that symbol {symbol} may use; Blahut-Arimoto "
                "never revives one, so start from m(z) > 0 for every z"
            )
        return first

    def _steps(self, kernel: Kernel, m: Array, tol: float) -> Iterator[tuple[Array, Array]]:
        return newton(kernel, m, tol) if self.method == "newton" else blahut_arimoto(kernel, m)

    def _collapsed(self, kernel: Kernel) -> RateDistortion:
        """Return the best single latent: at β = ∞ only R = 0 counts, and then D."""
        m = np.zeros(self.cost.shape[1])
        m[np.argmin(self.live_p @ self.live_cost)] = 1.0
        return self._point(kernel, m, 0.0, [], True)

    def _point(
        self,
        kernel: Kernel,
        m: Array,
        excess: float,
        iterates: list[Array] | tuple[Array, ...],
        converged: bool,
        slack: float = 0.0,
    ) -> RateDistortion:
        D, R, objective = kernel.measure(m)
        nats = float(np.log1p(max(0.0, excess)))
        scale = kernel.beta if kernel.beta < np.inf else 0.0
        gap = scale * nats + max(0.0, slack) + kernel.rounding(objective)
        full = np.zeros(self.cost.shape[1])
        full[self.columns] = m
        return RateDistortion(
            p=self.p,
            cost=self.cost,
            m=locked(full),
            beta=kernel.beta,
            D=D,
            R=R,
            nats=nats,
            objective=objective,
            lower_bound=objective - gap,
            gap=gap,
            iterations=max(0, len(iterates) - 1),
            iterates=tuple(iterates),
            converged=converged,
            message=OPTIMUM if converged else STOPPED,
        )


def cheapest(kernel: Kernel, m: Array) -> tuple[Array, float]:
    """Return, of all marginals of m's R, that of least D at β = ∞, and what D may be above it.

    They are those of sum 1 with the same g, so this is a linear programme, bounded by its dual;
    in m(z) relative to the least g that allows it, all entries lie between 0 and 1.
    """
    g = kernel.offset + kernel.mixture(m)[1]
    allowed = kernel.table > 0
    share = np.min(np.where(allowed, g[:, None], np.inf), axis=0, initial=1.0)
    rows = np.vstack([np.where(allowed, share / g[:, None], 0.0), share])
    above = np.where(allowed, kernel.cost - kernel.floor[:, None], 0.0)
    unit = max(float(above.max()), 1e-300)
    price = kernel.p @ (rows[:-1] * (above / unit))
    ones = np.ones(len(rows))
    found = linprog(price, A_eq=rows, b_eq=ones, bounds=(0, None), options=SHARP)
    if found.x is None:
        return m, unit
    x, used = found.x, found.x > 0
    x[used] += np.linalg.lstsq(rows[:, used], ones - rows @ x, rcond=None)[0]
    x = np.maximum(x, 0.0)
    dual = found.eqlin.marginals
    bound = dual.sum() + np.minimum(price - dual @ rows, 0.0).sum()
    answer = x * share
    return np.asarray(answer / answer.sum()), unit * float(max(0.0, price @ x - bound))


def rate_distortion(
    p: ArrayLike,
    cost: ArrayLike,
    *,
    beta: float | None = None,
    rate: float | None = None,
    distortion: float | None = None,
    start: ArrayLike | None = None,
    method: Method = "newton",
    tol: float = 1e-10,
    max_iter: int | None = None,
) -> RateDistortion:
    r"""Minimise D + βR, or D at a rate, or R at a distortion, for any cost table.

    .. math:: \min_{e, m} \sum p\,e\,(\text{cost} + β \log(e/m))
              = \min_m -β \sum_x p \log \sum_z m\,e^{-\text{cost}/β}

    The problem is convex, and the answer is certified: with c(z) = Σ_x p A / g, no marginal
    is better than m by more than β log max c.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Source distribution; symbols of probability 0 are legal.
    cost : array_like, shape (n_x, n_z)
        Any real table, +∞ where a pair is forbidden.
    beta : float, optional
        Price of a nat, 0 to ∞. At 0: the least D, then the least R. At ∞: the least R,
        then the least D. Exactly one of `beta`, `rate`, `distortion` is given.
    rate : float, optional
        Target for R in nats, met to 1e-10.
    distortion : float, optional
        Target for D in units of cost, met to 1e-10; one beyond the largest useful D is slack.
    start : array_like, optional
        Marginal (n_z,) to start from; at a rate or distortion each β starts from the last one.
    method : {"newton", "blahut-arimoto"}
        The fast method, or the textbook iteration step by step, for teaching.
    tol : float
        Largest gap of a converged answer; where costs are so large that rounding alone
        exceeds it, a gap at the level of rounding is enough.
    max_iter : int, optional
        Cap on iterations for each β.

    Returns
    -------
    RateDistortion
        With ``.e``, ``.m``, ``.D``, ``.R`` and the certificate.

    Raises
    ------
    ValueError
        If an argument breaks a rule or a target cannot be reached; the range is named.
    TypeError
        If text or an array stands where a number belongs.

    Examples
    --------
    The binary symmetric channel has R = log 2 − h(D):

    >>> answer = rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], distortion=0.1)
    >>> round(answer.R, 12)
    0.368064207168
    >>> answer.gap < 1e-10
    True

    References
    ----------
    Blahut (1972) and Arimoto (1972) for the updates and c; Wang (2007) for Newton steps on
    the support of a mixture.
    """
    p = as_distribution("p", p)
    table = as_cost("cost", cost, p)
    name, target = one_target(beta=beta, rate=rate, distortion=distortion)
    tol = sharpened(as_number("tol", tol, low=0, open_low=True), name)
    curve = CostCurve(p, table, method=method, tol=tol, max_iter=max_iter)
    if start is not None:
        first = as_distribution("start", start)
        has_shape("start", first, table.shape[1:])
        if name == "beta":
            return announced(curve.from_marginal(target, first))
    return answer(curve, name, target)


def answer(curve: CostCurve, name: str, target: float) -> RateDistortion:
    """Return the point of a curve for a target, and warn if it did not converge."""
    point = stated(curve.at(target) if name == "beta" else meet(curve, name, target), name, target)
    return announced(point)


def announced(point: RateDistortion) -> RateDistortion:
    """Warn if a point did not converge; return it."""
    if not point.converged:
        warn_unconverged(f"beta = {point.beta:g}", point.gap, "raise max_iter or tol")
    return point


def stated(point: Stated, name: str, target: float) -> Stated:
    """Restate the objective and certificate of a point for the target that was asked for.

    With D + βR ≥ F − gap, D ≥ F − gap − βR* and R ≥ (F − gap − D*)/β, whatever the β; where the
    point falls short of its target, the objective of the target itself is the lower.
    """
    priced = 0 < point.beta < np.inf
    if name == "rate":
        gap = point.gap + (point.beta * max(0.0, target - point.R) if priced else 0.0)
        return replace(point, objective=point.D, lower_bound=point.D - gap, gap=gap)
    if name == "distortion":
        blur = 4 * EPS * (4 + float(np.log2(point.p.size)))  # of R, as in Kernel.rounding
        gap = point.nats + blur
        if priced:
            gap = (point.gap + max(0.0, target - point.D)) / point.beta
        message = point.message
        if point.beta == np.inf and target > point.D:
            message = "global optimum: the target is slack, no more rate is needed"
        return replace(
            point, objective=point.R, lower_bound=point.R - gap, gap=gap, message=message
        )
    return point
