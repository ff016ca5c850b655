"""Rate-distortion for any cost table, such as a fixed decoder's: convex, solved and certified.

Notation: cost[x, z] is a real table, +∞ where a pair is forbidden; a point of the curve is a β
with a marginal m, because the encoder is then e(z|x) ∝ m(z) exp(−cost(x, z)/β). On a straight
piece all optimal m share one β, so mixing m moves along the piece.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, linprog
from scipy.special import logsumexp

from . import checks
from .checks import LARGEST_COST, Array, as_distribution, frozen, locked
from .curve import EPS, MET, Curve, Solution, Status, Target, announced, as_history
from .kernel import Kernel, blahut_arimoto, cover, given_for_all, newton

Method = Literal["newton", "blahut-arimoto"]
METHODS = ("newton", "blahut-arimoto")

SHARP = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
"""Of HiGHS: the least that it takes."""

FAR = 1e7
"""The β, in units of the largest cost, whose tangent bounds D at β = ∞."""

TOGETHER = 256
"""Iterates whose numbers are computed at once for the history."""

SHARPER = 1e-12
"""Tolerance of one β in a search at the most, because the miss of a target counts as well."""

HIDDEN = 1e-6
"""Share of the largest D, or nats of R, that rounding may hide at a target that is proven."""

TOO_CLOSE = "rounding hides more, so close to an end of the curve"
"""What is said where it hides more than that."""

NEAR, FINE, MOST, STRIDE = 4.0, 1e-6, 200, 1e3
"""Ratio of β within which secants are tried; rates too close for a straight piece; the most
steps; and their ratio where there is no chord."""


class TableCurve(Curve):
    """The curve of one source and cost, certified at every β."""

    def __init__(
        self,
        p: Array,
        cost: Array,
        *,
        decoder: Array | None = None,
        marginal: Array | None = None,
        method: Method = "newton",
        tol: float = 1e-10,
        max_iter: int | None = None,
    ) -> None:
        self.method = checks.one_of("method", method, METHODS)
        self.p, self.cost, self.decoder, self.marginal = frozen(p), cost, decoder, marginal
        self.unit = "units of cost" if decoder is None else "nats"
        self.tol = checks.as_number("tol", tol, low=0, open_low=True)
        self.sharper = min(0.4 * self.tol, SHARPER)
        cap = (200 if method == "newton" else 100_000) if max_iter is None else max_iter
        self.max_iter = checks.as_count("max_iter", cap, low=0)
        self.rows = np.flatnonzero(p)
        self.columns = np.arange(cost.shape[1]) if marginal is None else np.flatnonzero(marginal)
        whole = self.rows.size == p.size and marginal is None
        self.live_p = p[self.rows]
        self.live_cost = cost if whole else cost[np.ix_(self.rows, self.columns)]
        self.given = given_for_all(self.live_p, self.live_cost)
        stuck = self.given[1] == np.inf
        self._refuse("marginal", stuck, "every row needs one of finite cost with marginal > 0")

    def _kernel(self, beta: float) -> Kernel:
        """Return the kernel at β."""
        return Kernel(self.live_p, self.live_cost, beta, self.given)

    def _refuse(self, name: str, stuck: NDArray[np.bool_], rule: str) -> None:
        """Raise if a table leaves a live symbol without a latent."""
        if stuck.any():
            found = f"any latent that symbol {self.rows[stuck.argmax()]} may use"
            raise ValueError(f"{name} gives no mass to {found}; {rule}")

    def at(
        self, beta: float, start: Solution | None = None, *, tol: float | None = None
    ) -> Solution:
        """Return the optimum at β, warm from another point's marginal if that can help."""
        m = start.m if start is not None and self.method == "newton" else None
        return self.from_marginal(beta, m, tol=tol)

    def from_marginal(self, beta: float, m: Array | None, *, tol: float | None = None) -> Solution:
        """Return the optimum at β from a marginal, or from a cold start."""
        if self.marginal is not None:
            return self.evaluate(beta, self.marginal)
        if beta == np.inf and (single := self.live_p @ self.live_cost).min() < np.inf:
            return self.evaluate(beta, np.eye(1, single.size, int(single.argmin()))[0])
        kernel = self._kernel(beta)
        m = self._first(kernel, m)
        threshold = kernel.threshold(tol or self.tol)
        fast = self.method == "newton"
        steps = newton(kernel, m, threshold) if fast else blahut_arimoto(kernel, m)
        rows: list[Array] = []
        seen: list[Array] = []
        for m, c in islice(steps, self.max_iter + 1):
            if len(seen) == TOGETHER:
                rows.append(kernel.measure(np.array(seen)))
                seen = []
            seen.append(m)
            if (excess := float(c[c.argmax()])) <= threshold:
                break
        numbers = np.concatenate([*rows, kernel.measure(np.array(seen))])
        if beta == np.inf:
            return self._forbidding(kernel, m, numbers, excess > threshold)
        return self._point(kernel, m, numbers, excess)

    def evaluate(self, beta: float, m: Array) -> Solution:
        """Certify a marginal at β as it is."""
        kernel, m = self._kernel(beta), m[self.columns]
        return self._point(kernel, m, kernel.measure(m[None]))

    def _first(self, kernel: Kernel, m: Array | None) -> Array:
        """Return the marginal to start from."""
        if self.method == "newton":
            return cover(kernel, m)
        first = np.full(self.cost.shape[1], 1 / self.cost.shape[1]) if m is None else m
        rule = "Blahut-Arimoto never revives one, so start from m(z) > 0 for every z"
        self._refuse("start", kernel.offset + kernel.mixture(first)[1] < 1e-300, rule)
        return first

    def _forbidding(self, kernel: Kernel, m: Array, numbers: Array, stopped: bool) -> Solution:
        """Return the point of β = ∞ where no single latent suits all: the least R, then D.

        Just above the least R a nat buys D without limit, so that D is known only as far as R
        is: its bound is the tangent of a large β.
        """
        found = m if stopped else cheapest(kernel, m)
        numbers = np.concatenate([numbers[:-1], kernel.measure(found[None])])
        point, least = self._point(kernel, found, numbers), kernel.base
        if not stopped:
            unit = float(np.abs(self.live_cost[np.isfinite(self.live_cost)]).max()) or 1.0
            tangent = self.from_marginal(min(FAR * unit, LARGEST_COST), point.m)
            least = max(least, tangent.lower_bound - tangent.beta * point.R)
        return replace(point, gap=point.gap + max(0.0, point.D - least))

    def _whole(self, m: Array) -> Array:
        """Return a marginal with 0 where a fixed one has it."""
        if m.size == self.cost.shape[1]:
            return m
        whole = np.zeros(self.cost.shape[1])
        whole[self.columns] = m
        return whole

    def _point(
        self, kernel: Kernel, m: Array, numbers: Array, excess: float | None = None
    ) -> Solution:
        """Return the solution of a marginal and its excess; its numbers are the last of these."""
        if excess is None:  # a fixed marginal has none to beat
            fixed = self.marginal is not None
            excess = 0.0 if fixed else float(kernel.excess(kernel.mixture(m)[1]).max())
        D, R, _, objective = numbers[-1].tolist()
        nats = math.log1p(max(0.0, excess))
        live = int(np.count_nonzero(m))
        gap = kernel.price * nats + kernel.rounding(objective, live)
        optimal = excess <= kernel.threshold(self.tol, objective, live)
        return Solution(
            target=Target("beta", kernel.beta),
            status=Status.CERTIFIED if optimal else Status.STOPPED,
            beta=kernel.beta,
            D=D,
            R=R if live > 1 else 0.0,  # not its rounding
            objective=objective,
            gap=gap,
            nats=nats + 4 * EPS * (4 + math.log2(self.p.size)),
            p=self.p,
            m=locked(self._whole(m)),
            cost=self.cost,
            decoder=self.decoder,
            iterations=len(numbers) - 1,
            history=as_history(numbers),
        )

    @cached_property
    def ends(self) -> tuple[Solution, Solution]:
        """The points of β = 0 and β = ∞."""
        return self.at(0.0), self.at(np.inf)

    def meet(self, target: Target) -> Solution:
        """Return the optimum at a rate or a distortion; an error if it is out of reach."""
        self.refuse_beyond(target)
        found = target.restate(self.nearest(target))
        scale = self._largest if target.name == "rate" else 1.0
        if found.gap <= max(self.tol, HIDDEN * scale) or not found.converged:
            return found
        return replace(found, status=Status.STOPPED, note=TOO_CLOSE)

    def refuse_beyond(self, target: Target) -> None:
        """Raise if a target lies beyond the ends of the curve; a larger D than needed is legal."""
        room, (finest, coarsest) = self._room(target), self.ends
        below = target.name == "rate" and target.excess(coarsest.D, coarsest.R) > room
        if below or target.excess(finest.D, finest.R) < -room:
            raise target.unreachable((finest.D, coarsest.D), (coarsest.R, finest.R))

    def _room(self, target: Target) -> float:
        """Return by how much an end may miss a target, which rounding blurs."""
        finest, coarsest = self.ends
        if target.name == "rate":
            return MET + 4 * EPS * finest.R
        return MET * min(1.0, coarsest.D - finest.D) + 4 * EPS * self._largest

    @property
    def _largest(self) -> float:
        """The larger size of D at the two ends."""
        return max(abs(end.D) for end in self.ends)

    def nearest(self, target: Target, *, guess: float | None = None) -> Solution:
        """Return the point of the curve that meets a target, or the end that comes nearest."""
        finest, coarsest = self.ends
        above, below = (target.excess(end.D, end.R) for end in self.ends)
        # No room at the least rate or D: just above it the slope may be without limit.
        room, rate = 1e-3 * self._room(target), target.name == "rate"
        if below >= (0.0 if rate else -room):
            return coarsest
        return finest if above <= (room if rate else 0.0) else self._sought(target, guess)

    def _sought(self, target: Target, guess: float | None) -> Solution:
        """Search between the ends; see `next_beta` for the steps.

        A chord below which nothing lies is a straight piece, and its ends are mixed.
        """
        low, high = self.ends
        if low.R <= high.R:  # rounding hides the rate that a larger D saves
            return low
        least = EPS * abs(high.D) / (low.R - high.R)  # of a chord whose rise rounding hides
        point, beta, stays = None, guess or max(chord(low, high), least), 0
        for step in range(MOST):
            if not low.beta < beta < high.beta:
                break
            point = self.at(beta, point, tol=self.sharper)
            excess, room = target.excess(point.D, point.R), 1e-3 * MET * self._unit(target, beta)
            if abs(excess) <= room:
                return point
            below = low.D + beta * low.R - point.objective
            if low.R - high.R > FINE and below <= 1e-12 * (abs(point.objective) + beta):
                mixed = self._mixed(target, low, high, beta)
                if mixed.converged and abs(target.excess(mixed.D, mixed.R)) <= 10 * room:
                    return mixed
            low, high = (point, high) if excess > 0 else (low, point)
            stays = max(stays, 0) + 1 if excess > 0 else min(stays, 0) - 1
            beta = next_beta(target, low, high, stays, step)
        ends = [at_jump(target, low, high)]  # rounding leaves no β between the two
        ends += [
            self._mixed(target, low, high, s.beta) for s in (low, high) if 0 < s.beta < np.inf
        ]
        return min(ends, key=lambda end: target.restate(end).gap)

    def _unit(self, target: Target, beta: float) -> float:
        """Return the miss that changes neither quantity by more than 1."""
        span = min(1.0, self.ends[1].D - self.ends[0].D)
        return min(1.0, span / beta) if target.name == "rate" else min(span, beta)

    def _mixed(self, target: Target, low: Solution, high: Solution, beta: float) -> Solution:
        """Return the mixture of two optima at β, found from either side, that meets the target.

        As 1/g is convex, its c is at most that of the two mixed.
        """
        kernel = self._kernel(beta)
        low, high = (self.at(beta, side, tol=self.sharper) for side in (low, high))

        def mixture(share: float) -> Array:
            return (1 - share) * low.m + share * high.m

        def excess(share: float) -> float:
            return target.excess(*kernel.measure(mixture(share)[None, self.columns])[0, :2])

        if not excess(0.0) > 0 > excess(1.0):
            return min((low, high), key=lambda side: abs(target.excess(side.D, side.R)))
        return self.evaluate(beta, mixture(float(brentq(excess, 0, 1, xtol=1e-16, rtol=1e-15))))


def chord(low: Solution, high: Solution) -> float:
    """Return the slope of the straight line between two points."""
    return (high.D - low.D) / max(low.R - high.R, EPS**2)


def at_jump(target: Target, low: Solution, high: Solution) -> Solution:
    """Return the side of a jump that keeps to the target, bounded by the tangent at the other."""
    if target.name == "rate":
        least = low.lower_bound - low.beta * target.value
        return replace(high, gap=max(high.gap, high.D - least)) if high.beta == np.inf else high
    least = (high.lower_bound - target.value) / high.beta
    return replace(low, nats=max(low.nats, low.R - least)) if low.beta == 0 else low


def next_beta(target: Target, low: Solution, high: Solution, stays: int, step: int) -> float:
    """Return the β to try next between two points, of which one lies on each side of the target.

    By convexity the slope of their chord lies between their β, however far apart these are;
    close by, two steps of three are secants in log β, which end sooner. `stays` counts how
    often in a row the upper point has stayed (below 0 the lower): its weight is then halved,
    which is the Illinois rule.
    """
    far, apart = high.beta > NEAR * low.beta, low.R - high.R > FINE
    if far or (apart and step % 3 == 0):
        beta = chord(low, high)
        if low.beta < beta < high.beta:
            return beta
    if low.beta == 0 or high.beta == np.inf:  # rounding hides the rise of the chord
        return low.beta * STRIDE or high.beta / STRIDE
    first = target.excess(low.D, low.R) * 0.5 ** max(0, -stays - 1)
    second = target.excess(high.D, high.R) * 0.5 ** max(0, stays - 1)
    ratio = high.beta / low.beta
    beta = low.beta * ratio ** (first / (first - second))
    return beta if low.beta < beta < high.beta else low.beta * math.sqrt(ratio)


def cheapest(kernel: Kernel, m: Array) -> Array:
    """Return, of all marginals of m's R, that of least D at β = ∞.

    They are those of sum 1 with the same g, so this is a linear programme; in m(z) relative to
    the least g that allows it, all entries lie between 0 and 1.
    """
    g = kernel.offset + kernel.mixture(m)[1]
    allowed = kernel.table > 0
    share = np.min(np.where(allowed, g[:, None], np.inf), axis=0, initial=1.0)
    rows = np.vstack([np.where(allowed, share / g[:, None], 0.0), share])
    above = np.where(allowed, kernel.cost - kernel.floor[:, None], 0.0)
    price = kernel.p @ (rows[:-1] * (above / max(float(above.max()), 1e-300)))
    ones = np.ones(len(rows))
    found = linprog(price, A_eq=rows, b_eq=ones, bounds=(0, None), options=SHARP)
    if found.x is None:
        return m
    x, used = found.x, found.x > 0
    x[used] += np.linalg.lstsq(rows[:, used], ones - rows @ x, rcond=None)[0]
    answer = np.maximum(x, 0.0) * share
    return np.asarray(answer / answer.sum())


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
) -> Solution:
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
        Largest gap of a converged answer; where rounding alone exceeds it, a gap at the level
        of rounding is enough, at a target up to a millionth of the largest D, or 1e-6 nats.
    max_iter : int, optional
        Cap on iterations for each β.

    Returns
    -------
    Solution
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
    >>> round(answer.R, 10)
    0.3680642072
    >>> answer.gap < 1e-10
    True

    References
    ----------
    Blahut (1972) and Arimoto (1972) for the updates and c; Wang (2007) for Newton steps on
    the support of a mixture.
    """
    p = as_distribution("p", p)
    table = checks.as_cost("cost", cost, p)
    target = Target.of(beta=beta, rate=rate, distortion=distortion)
    curve = TableCurve(p, table, method=method, tol=tol, max_iter=max_iter)
    if start is not None:
        first = as_distribution("start", start)
        checks.has_shape("start", first, table.shape[1:])
        if target.name == "beta":
            return announced(curve.from_marginal(target.value, first))
    return curve.solve(target)


def check(solution: Solution) -> tuple[float, float]:
    r"""Recompute the lower bound and the gap of a solution from p, cost, m and β alone.

    .. math:: D + βR ≥ -β \sum_x p \log g - β \log \max_z c, \quad g = \sum_z m e^{-cost/β},
              \quad c = \sum_x p e^{-cost/β} / g

    Parameters
    ----------
    solution : Solution
        With 0 < β < ∞. Its columns of cost are taken as all that there are; what other rows of
        a family could do, or another decoder, is not looked at.

    Returns
    -------
    lower_bound, gap : float
        Of the objective, in the solution's units: nats, or units of cost.

    Raises
    ------
    ValueError
        If β is 0 or ∞, where the formula has no meaning.

    Examples
    --------
    >>> answer = rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], distortion=0.1)
    >>> bound, gap = check(answer)
    >>> bool(abs(bound - answer.R) < 1e-12), gap < 1e-12
    (True, True)

    References
    ----------
    Blahut (1972), theorem 5; Arimoto (1972).
    """
    beta, target, live = solution.beta, solution.target, solution.p > 0
    if not 0 < beta < np.inf:
        raise ValueError(f"solution has beta = {beta:g}, but must have 0 < beta < inf")
    p, log_A = solution.p[live], -solution.cost[live] / beta
    log_g = logsumexp(log_A, b=solution.m, axis=1)
    top = logsumexp(log_A - log_g[:, None], b=p[:, None], axis=0).max()
    least = -beta * float(p @ log_g) - beta * max(0.0, float(top))
    if target.name == "rate":
        least -= beta * max(target.value, solution.R)
    if target.name == "distortion":
        least = (least - max(target.value, solution.D)) / beta
    return least, target.objective(solution.D, solution.R) - least
