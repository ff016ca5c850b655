"""Rate-distortion for any cost table: one global, certified curve in all of its forms.

Notation: cost[x, z] is a real table, +∞ where a pair is forbidden; a point of the curve is a
β with a marginal m, because the encoder is then e(z|x) ∝ m(z) exp(−cost(x, z)/β). On a
straight piece all optimal m share one β, so mixing m moves along the piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from .checks import Array, as_cost, as_count, as_distribution, as_number, frozen, has_shape
from .encoders import respond
from .kernel import Kernel, blahut_arimoto, cover, newton
from .measures import relative_entropy_terms
from .solution import Result, as_history, warn_unconverged
from .target import meet, one_target

__all__ = ["RateDistortion", "rate_distortion"]

Method = Literal["newton", "blahut-arimoto"]
METHODS = ("newton", "blahut-arimoto")


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
        table = respond(self.cost, self.m, self.beta)[0]
        table.flags.writeable = False
        return table

    @cached_property
    def history(self) -> NDArray[np.void]:
        """One row for each iteration, with fields D, R, I and objective D + βR."""
        alive = self.p > 0
        kernel = Kernel(self.p[alive], self.cost[alive], self.beta)
        return as_history(self._row(kernel, m) for m in self.iterates)

    @staticmethod
    def _row(kernel: Kernel, m: Array) -> tuple[float, float, float, float]:
        D, R, objective = kernel.measure(m)
        induced = m * (1 + kernel.excess(kernel.mixture(m)[1]))
        waste = float(relative_entropy_terms(induced, m).sum())
        return D, R, max(0.0, R - waste), objective


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
        if method not in METHODS:
            raise ValueError(f"method is {method!r}, but must be one of {', '.join(METHODS)}")
        self.p, self.cost, self.marginal, self.method = p, cost, marginal, method
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
            raise ValueError(
                f"marginal gives no mass to any latent that symbol {stuck[0]} may use; "
                "every row needs a latent of finite cost with marginal > 0"
            )

    def at(self, beta: float, start: RateDistortion | None = None) -> RateDistortion:
        """Solve at β, warm from another point's marginal."""
        return self.from_marginal(beta, None if start is None else start.m)

    def from_marginal(self, beta: float, m: Array | None) -> RateDistortion:
        """Solve at β from a marginal, or from a cold start."""
        kernel = Kernel(self.live_p, self.live_cost, beta)
        if self.marginal is not None:
            return self._point(kernel, self.marginal[self.columns], 0.0, [], True)
        if beta == np.inf and np.isfinite(self.live_cost).all(axis=0).any():
            return self._collapsed(kernel)
        if self.method == "newton":
            first = cover(kernel, m)
        else:
            first = np.full(self.cost.shape[1], 1 / self.cost.shape[1]) if m is None else m
        threshold = kernel.threshold(self.tol, kernel.measure(first)[2])
        steps = self._steps(kernel, first, threshold)
        iterates: list[Array] = []
        for last, c in islice(steps, self.max_iter + 1):
            iterates.append(frozen(last))
            excess = float(c.max())
            if excess <= threshold:
                break
        final = self._least_cost(kernel, iterates[-1]) if beta == np.inf else iterates[-1]
        return self._point(kernel, final, excess, iterates, excess <= threshold)

    def mix(self, first: RateDistortion, second: RateDistortion, share: float) -> RateDistortion:
        """Evaluate the mixture of two marginals at the β between them."""
        beta = first.beta ** (1 - share) * second.beta**share
        point = self.evaluate(beta, (1 - share) * first.m + share * second.m)
        iterates = first.iterates + second.iterates
        return replace(point, iterates=iterates, iterations=first.iterations + second.iterations)

    def evaluate(self, beta: float, m: Array) -> RateDistortion:
        """Certify a marginal at β as it is."""
        kernel = Kernel(self.live_p, self.live_cost, beta)
        m = m[self.columns]
        if self.marginal is not None:
            return self._point(kernel, m, 0.0, [], True)
        excess = float(kernel.excess(kernel.mixture(m)[1]).max())
        threshold = kernel.threshold(self.tol, kernel.measure(m)[2])
        return self._point(kernel, m, excess, [], excess <= threshold)

    def _steps(self, kernel: Kernel, m: Array, tol: float) -> Iterator[tuple[Array, Array]]:
        return newton(kernel, m, tol) if self.method == "newton" else blahut_arimoto(kernel, m)

    def _collapsed(self, kernel: Kernel) -> RateDistortion:
        """Return the best single latent: at β = ∞ only R = 0 counts, and then D."""
        m = np.zeros(self.cost.shape[1])
        m[np.argmin(self.live_p @ self.live_cost)] = 1.0
        return self._point(kernel, m, 0.0, [], True)

    def _least_cost(self, kernel: Kernel, m: Array) -> Array:
        """Return, of all marginals with the least possible R > 0, the one with the least D."""
        g = kernel.offset + kernel.mixture(m)[1]
        allowed = kernel.table > 0
        cost = np.where(allowed, self.live_cost, 0.0).T @ (self.live_p / g)
        answer = linprog(cost, A_eq=kernel.table, b_eq=g, bounds=(0, None)).x
        return m if answer is None else np.asarray(answer / answer.sum())

    def _point(
        self,
        kernel: Kernel,
        m: Array,
        excess: float,
        iterates: list[Array] | tuple[Array, ...],
        converged: bool,
    ) -> RateDistortion:
        D, R, objective = kernel.measure(m)
        nats = float(np.log1p(max(0.0, excess)))
        scale = kernel.beta if kernel.beta < np.inf else 0.0
        gap = scale * nats + kernel.rounding(objective)
        full = np.zeros(self.cost.shape[1])
        full[self.columns] = m
        return RateDistortion(
            p=self.p,
            cost=self.cost,
            m=frozen(full),
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
            message=(
                "global optimum, certified by the gap"
                if converged
                else "stopped at max_iter: the gap bounds the error"
            ),
        )


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
        Marginal (n_z,) to start from.
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
    0.368064207088
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
    sharp = tol if name == "beta" else min(tol, 1e-12)  # the ends of a mixture add their gaps
    curve = CostCurve(p, table, method=method, tol=sharp, max_iter=max_iter)
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


def stated(point: RateDistortion, name: str, target: float) -> RateDistortion:
    """Restate the objective and certificate of a point for the target that was asked for."""
    if name == "rate":
        bound = point.D - point.gap
        return replace(point, objective=point.D, lower_bound=bound)
    if name == "distortion":
        gap = point.gap / point.beta if 0 < point.beta < np.inf else point.nats
        message = point.message
        if point.beta == np.inf and target > point.D:
            message = "global optimum: the target is slack, no more rate is needed"
        return replace(
            point, objective=point.R, lower_bound=point.R - gap, gap=gap, message=message
        )
    return point
