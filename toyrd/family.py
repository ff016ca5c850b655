"""Families of decoder rows, solved globally by one semi-infinite loop around the table solver.

Notation: θ[z] are the parameters of row z and ℓ_θ(x) = log d_θ(x); with A = exp(ℓ/β), g = Σ m A
and c(θ) = Σ_x p A/g as for a fixed decoder. Choosing rows and marginal together is choosing one
mixing measure over θ: convex, and optimal where c ≤ 1 over the whole family.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp, xlogy

from .cells import Bound, searched
from .checks import Array, as_table, frozen, has_shape, locked
from .curve import MET, Curve, Solution, Status, Target, as_history, family_decoder, gap_above
from .model import entropy
from .table import SHARPER, TableCurve

LARGE, FAR = 1e4, 30.0
"""The β, and its ratio to D, where a single row is certified: min F is no less for larger β."""

TINY = 1e-9
"""Below this β the fit takes the place of the polish, and c is bounded at a larger one."""

FLOOR = 0.05
"""Share of tol that R ≤ log n may cost where c is bounded at a larger β than the answer's."""

ALIKE = (0.97, 0.999, 1 - 1e-5)
"""Affinities Σ √(d d') above which rows are tried as one, the boldest first."""

NEAR_ONE, TRIES, ABOVE = (1.05, 1.005, 1.0005, 1.00005), 4, 1.1
"""The β whose heaviest rows are tried for a perfect fit, with how many numbers of rows, and how
many times what a perfect fit can cost at the most shows that there is none."""

ALL_ALIKE = "not unique: of the mixtures that fit p perfectly, one of few rows"

MANY = 600
"""Parameters up to which Newton steps are taken: each takes the cube of them."""

POLISHES, SLOPE, AGREE = 6, 0.9, 1e-10
"""Polishes for a target at the most; the slope up to which a secant is trusted; β that agree."""

FINE, SMALL = 1e-12, 1e-15
"""Gains in G below which rows of little mass count as well, and below which rounding hides it."""

SAFE = 100.0
"""Logarithms of A beyond it are shifted, lest the exponential leaves the floats."""

PERFECT = 1e-13
"""KL(p ‖ g) in nats that counts as g = p."""


@runtime_checkable
class DecoderFamily(Protocol):
    """What the alternating updates ask of a family of decoder rows.

    A family of one's own is a class with these. One with a `dictionary` too is solved globally,
    and proven if its rows are log-concave in θ (see `cells.ConcaveRows`) or it has a ``bound``
    of its own.
    """

    @property
    def n_x(self) -> int:
        """Number of symbols."""

    def log_rows(self, parameters: Array) -> Array:
        """Return log d(x|z), shape (n_z, n_x), for parameters of shape (n_z, k)."""

    def fit(self, joint: Array, parameters: Array | None) -> Array:
        """Return the parameters that maximise Σ joint[z, x] log d(x|z), from a guess or None."""


@runtime_checkable
class GlobalFamily(DecoderFamily, Protocol):
    """What a family adds to be solved globally: a coarse cover of it, to start from."""

    def dictionary(self) -> Array:
        """Return rows of parameters that cover the family coarsely, shape (n, k)."""


@runtime_checkable
class SmoothFamily(GlobalFamily, Protocol):
    """What a family adds to be polished by Newton steps: a box, and slopes in it."""

    @property
    def box(self) -> Array:
        """Lowest and highest parameters, shape (2, k)."""

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of log d(x|z) in the parameters, shape (n_z, n_x, k)."""


Decoder = ArrayLike | DecoderFamily | None
Mixture = tuple[Array, Array]  # weights m, and θ of the rows


def as_decoder(decoder: Decoder, p: Array) -> Array | DecoderFamily | None:
    """Return a family as it is, or a table that can produce every symbol of p."""
    if decoder is None:
        return None
    if isinstance(decoder, DecoderFamily):
        if decoder.n_x != p.size:
            raise ValueError(
                f"decoder has rows over {decoder.n_x} symbols, but p has {p.size}; "
                "make the family for as many"
            )
        return decoder
    table = frozen(as_table("decoder", decoder))
    has_shape("decoder", table, (table.shape[0], p.size))
    lost = np.flatnonzero((table == 0).all(axis=0) & (p > 0))
    if lost.size:
        raise ValueError(
            f"decoder gives symbol {lost[0]} no probability from any latent, but "
            f"p[{lost[0]}] is {p[lost[0]]}: every symbol with p > 0 needs one (D would be inf)"
        )
    return table


class FamilyCurve(Curve):
    """The curve of a family, any number of rows allowed."""

    def __init__(
        self, p: Array, family: GlobalFamily, *, tol: float = 1e-8, max_iter: int | None = None
    ) -> None:
        self.p, self.family, self.tol, self.max_iter = frozen(p), family, tol, max_iter or 40
        # Columns that are no distributions, as of a class decoder, have a bound of their own.
        least = getattr(family, "least", None)
        self.bare, self.H = least is not None, (least or entropy)(p)

    @cached_property
    def grid(self) -> Array:
        """The rows of the dictionary."""
        return self.family.dictionary()

    @cached_property
    def extremes(self) -> Array:
        """A best row for each symbol, and one for all."""
        return self.family.fit(np.vstack([np.eye(self.p.size)[self.p > 0], self.p]), None)

    @property
    def bound(self) -> Callable[[Array, float, float], Bound]:
        """The family's own bound on c, or else a search."""
        own: Any = getattr(self.family, "bound", None)
        return own or partial(searched, self.family, self.grid)

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the optimum at β, warm from another point's rows."""
        target = Target("beta", beta)
        fit = self.perfect_fit() if beta == 1 else None
        if fit is not None:
            return self._certified(target, fit)[0]
        return self._loop(target, self.grid[:0] if start is None else start.parameters)

    def meet(self, target: Target) -> Solution:
        """Return the optimum at a rate or a distortion."""
        fit = self.perfect_fit(target.value if target.name == "rate" else self.H - target.value)
        if fit is not None and abs(target.excess(fit.D, fit.R)) <= MET:
            return self._certified(target, fit)[0]
        found = self._loop(target, self.grid[:0] if fit is None else fit.parameters)
        if target.name == "distortion" and found.beta < TINY and not found.converged:
            # At the least D no price bounds R; within the rounding of D one does.
            near = self._loop(Target("distortion", target.value + MET / 2), found.parameters)
            found = replace(near, target=target)
        if abs(target.excess(found.D, found.R)) <= MET:
            return found
        finest, coarsest = self.at(0.0), self.at(np.inf)
        if target.name == "distortion" and target.value >= coarsest.D:  # slack at the end
            return target.restate(coarsest)
        raise target.unreachable((finest.D, coarsest.D), (coarsest.R, finest.R))

    def _loop(self, target: Target, theta: Array) -> Solution:
        """Solve a table of rows, bound c over the family, and add the rows that it lacks.

        The polish only proposes rows, for the β of the table before; the table decides.
        """
        guess, more = None, [theta, self.grid]
        for rounds in range(1, self.max_iter + 1):  # noqa: B007 - the last is reported
            found = self.over_rows(target, np.concatenate([*more, self.extremes]), guess)
            others = self.followed(target, found)
            more = [one.parameters for one in (found, *others)]
            best, high = self._certified(target, self._preferred(target, found, others[-1]))
            if best.converged or not len(high):
                break
            more.append(high)
            guess = best.beta or None
        return replace(best, iterations=rounds)

    def followed(self, target: Target, found: Solution) -> list[Solution]:
        """Return answers over polished rows, the last at the β for which they are polished.

        A table of rows that are right for one β meets the target at another; a secant finds
        where the two agree. A perfect fit leaves nothing to polish.
        """
        if found.D + found.R - self.H <= PERFECT:
            return [found]
        answers, used = [found], [found.beta]
        while len(answers) <= (1 if target.name == "beta" else POLISHES):
            rows = self._polished(answers[-1], used[-1])
            answers.append(self.over_rows(target, rows, used[-1]))
            slope, got = 0.0, answers[-1].beta
            if len(used) > 1:
                slope = (got - answers[-2].beta) / (used[-1] - used[-2])
            following = (got - slope * used[-1]) / (1 - slope) if slope < SLOPE else got
            if not 0 < following < np.inf or abs(got - used[-1]) <= AGREE * got:
                break
            used.append(following)
        return answers[1:]

    def _preferred(self, target: Target, found: Solution, fewer: Solution) -> Solution:
        """Return the answer with fewer rows, unless it misses the target or is worse."""
        missed = target.name != "beta" and abs(target.excess(fewer.D, fewer.R)) > MET
        worse = fewer.objective > found.objective + 0.1 * self.tol
        return found if missed or worse else fewer

    def _table(self, theta: Array) -> TableCurve:
        """Return the curve of these rows alone."""
        cost = np.ascontiguousarray(-self.family.log_rows(theta).T)
        return TableCurve(self.p, cost, tol=min(self.tol, SHARPER))

    def over_rows(self, target: Target, theta: Array, guess: float | None = None) -> Solution:
        """Return the answer over these rows alone, without those that it does not use."""
        curve = self._table(theta)
        if target.name == "beta":
            return self._with_rows(curve.at(target.value), theta)
        point = curve.nearest(target, guess=guess)
        if np.count_nonzero(point.m) > np.count_nonzero(self.p) + 1 and 0 < point.beta < np.inf:
            point = curve.evaluate(point.beta, sparser(point))
        return self._with_rows(point, theta)

    def _with_rows(self, point: Solution, theta: Array) -> Solution:
        """Return a point of a table with the parameters of its live rows, and no others."""
        live = point.m > 0
        cost = locked(point.cost[:, live])
        return replace(
            point,
            m=locked(point.m[live]),
            cost=cost,
            decoder=None if self.bare else family_decoder(cost),
            parameters=locked(theta[live]),
        )

    def _polished(self, found: Solution, beta: float) -> Array:
        """Return rows that may do better at β: those alike merged, then all moved downhill."""
        theta, m = found.parameters, found.m
        priced = TINY <= beta < np.inf and theta.size <= MANY
        if not priced or not isinstance(self.family, SmoothFamily):
            return self.family.fit((self.p[:, None] * found.e).T, theta)
        theta = np.clip(theta, *self.family.box)  # parameters may be infinite
        polish = Polish(self.p, self.family, beta, m, theta)
        most = polish.value(m, theta) + 1e-15
        tries = (polish.merged(m, theta, least) for least in ALIKE)
        return next((rows for rows, value in tries if value <= most), theta)

    def perfect_fit(self, most: float = np.inf) -> Solution | None:
        """Find the mixture with g = p of the fewest rows near β = 1, if one has a rate ≤ most.

        Its D + βR is H + (β − 1)R, so the least D + βR may not lie above that.
        """
        rows, family = self.grid, self.family
        if not isinstance(family, SmoothFamily):
            return None
        for beta in NEAR_ONE:
            near = self.over_rows(Target("beta", beta), rows)
            near = self.over_rows(Target("beta", beta), self._polished(near, beta))
            rate = (near.objective - self.H) / (beta - 1) / ABOVE
            fit = self._fit(family, near) if rate <= self.H else None
            if fit is not None or rate > min(self.H, most):
                return fit
            rows = np.concatenate([near.parameters, self.grid])
        return None

    def _fit(self, family: SmoothFamily, near: Solution) -> Solution | None:
        """Return a mixture with g = p of few rows of a point, if there is one.

        Near β = 1 few rows carry nearly all the mass; so as many as are well above the rest are
        polished at β = 1, to see whether KL(p ‖ g) vanishes.
        """
        order = np.argsort(-near.m)
        falls = -np.diff(np.log(near.m[order]), append=np.log(TINY))
        for last in sorted(np.argsort(-falls)[:TRIES]):
            start = near.m[order[: last + 1]], near.parameters[order[: last + 1]]
            (m, theta), _ = Polish(self.p, family, 1.0, *start).run(*start)
            point = self._table(theta).evaluate(1.0, m)
            if point.objective - self.H <= PERFECT:
                return self._with_rows(point, theta)
        return None

    def _certified(self, target: Target, found: Solution) -> tuple[Solution, Array]:
        """Return a mixture as the answer, by its bound over the family; also rows with c > 1."""
        sure = target.bound(self.H, np.inf, found.D, found.R)  # that of any decoder
        objective = target.objective(found.D, found.R)
        gap, rows, proven = gap_above(sure, objective), found.parameters[:0], True
        if gap > self.tol:
            tangent, rows, sharp = self._bounded(found, target)
            # At β = 0 only D is bounded; a row that is as good but for rounding may save rate.
            sharp &= found.beta > 0 or target.name != "distortion"
            closer = target.restate(tangent).gap
            if closer < gap and (sharp or closer <= self.tol):  # else a search bounds nothing
                gap, proven = closer, sharp
        status = Status.CERTIFIED if proven else Status.SEARCHED
        perfect = found.D + found.R - self.H <= 1e-9
        answer = replace(
            found,
            target=target,
            status=status if gap <= self.tol else Status.STOPPED,
            objective=objective,
            gap=gap,
            history=as_history(()),
            note=ALL_ALIKE if perfect and not self.bare else "",
        )
        return answer, rows

    def _bounded(self, found: Solution, target: Target) -> tuple[Solution, Array, bool]:
        """Return a point whose gap covers the whole family; see `_certified`.

        Below the least β, F is no less than there, but for what R may cost in between.
        """
        least = min(TINY, FLOOR * self.tol / max(1.0, math.log(self.p.size)))
        most = max(LARGE, FAR * found.D) if found.m.size == 1 else np.inf
        beta = min(max(found.beta, least), most)
        priced = target.name == "distortion" and beta == found.beta
        share = self.tol if priced else self.tol / beta
        with np.errstate(divide="ignore"):
            log_g = logsumexp(-found.cost / beta, b=found.m, axis=1)
            log_weight = np.log(self.p) - np.where(self.p > 0, log_g, 0.0)
        top, rows, proven = self.bound(log_weight, beta, np.expm1(min(0.9 * share, 1.0)))
        nats = max(found.nats, math.log(max(1.0, np.inf if math.isnan(top) else top)))
        rest = max(0.0, found.gap - beta * found.nats) if found.beta < np.inf else found.gap
        rest += max(0.0, beta - found.beta) * math.log(self.p.size)
        return replace(found, gap=rest + beta * nats, nats=nats), rows, proven


def sparser(point: Solution) -> Array:
    """Return weights with the same g and D, above 0 for as many columns as that takes.

    As Carathéodory's theorem is proven: along a v that changes none of them until a weight is
    0, again and again.
    """
    m, live = point.m.copy(), point.p > 0
    log_A = -point.cost[live] / point.beta
    A = np.exp(log_A - logsumexp(log_A, b=m, axis=1, keepdims=True))
    kept = np.vstack([A, point.p[live] @ xlogy(A, A)])  # c = Σ p A = 1 keeps the sum of m
    while (used := np.flatnonzero(m)).size > len(kept):
        v = np.linalg.svd(kept[:, used])[2][-1]
        v *= np.sign(v[np.argmax(np.abs(v))])
        room = np.where(v > 0, m[used] / np.where(v > 0, v, 1.0), np.inf)
        m[used] = np.maximum(m[used] - room.min() * v, 0.0)
        m[used[np.argmin(room)]] = 0.0
    return np.asarray(m / m.sum())


class Polish:
    """Minimise G by Newton steps on m and θ together, from a mixture that sets the zero of G.

    The curvature of ℓ is a central difference of its slopes. Eigenvalues of the Hessian are
    taken absolute, so that a saddle, where a row is about to split, is left, not approached.
    """

    def __init__(
        self, p: Array, family: SmoothFamily, beta: float, m: Array, theta: Array
    ) -> None:
        self.live = np.flatnonzero(p)
        self.p, self.family, self.beta = p[self.live], family, beta
        self.low, self.high = family.box
        self.scale = np.minimum(1.0, self.high - self.low)
        log_rows = family.log_rows(theta)[:, self.live]
        self.floor = beta * logsumexp(log_rows / beta, b=m[:, None], axis=0)

    def run(self, m: Array, theta: Array) -> tuple[Mixture, float]:
        """Return (m, θ) at a local minimum, with G.

        Where G no longer tells, whole steps go on while each lowers the gain.
        """
        here = best = m, theta
        value, least, fine = self.value(m, theta), np.inf, False
        for _ in range(100):
            step, gain = self._step(*here, fine=fine)
            fine = fine or gain < FINE
            if gain >= SMALL and least == np.inf:
                found, following = self._search(here, step, value)
                if following < value:
                    here, best, value = found, found, following
                    continue
            if gain > 0.1 * least:
                break
            least, best, here = gain, here, self._moved(*here, step)
        m, theta = best
        return (m / m.sum(), theta), self.value(m, theta)

    def merged(self, m: Array, theta: Array, least: float) -> tuple[Array, float]:
        """Merge rows of affinity above `least` and polish, again while that brings rows together.

        Return θ and G.
        """
        count = m.size + 1
        while (groups := self._groups(theta, least))[0] < count:
            count, group = groups
            member = (group == np.arange(count)[:, None]) * m
            mass = member.sum(axis=1)
            (m, theta), value = self.run(mass, member @ theta / mass[:, None])
        return theta, value

    def _groups(self, theta: Array, least: float) -> tuple[int, Array]:
        """Return the number of groups of rows that coincide, and the group of each row."""
        roots = np.exp(0.5 * self.family.log_rows(theta))
        roots /= np.linalg.norm(roots, axis=1, keepdims=True)  # 1 for distributions alone
        count, group = connected_components(roots @ roots.T > least, directed=False)
        return int(count), np.asarray(group)

    def value(self, m: Array, theta: Array) -> float:
        """Return G, less what it is for the first mixture."""
        top, A = self._tables(theta)
        return float(m.sum() - self.p @ (top + np.log(m @ A)))

    def _tables(self, theta: Array) -> tuple[Array, Array]:
        """Return top and A e^−top; top is 0 where A is near 1, whose digits a shift would cost."""
        table = (self.family.log_rows(theta)[:, self.live] - self.floor) / self.beta
        top = table.max(axis=0)
        top[np.abs(top) < SAFE] = 0.0
        return top, np.exp(table - top)

    def _moved(self, m: Array, theta: Array, step: Array) -> Mixture:
        """Return (m, θ) after a step, kept in the box and m above 0."""
        moved = np.clip(theta + step[:, 1:], self.low, self.high)
        return np.maximum(m + step[:, 0], 0.01 * m), moved

    def _search(self, here: Mixture, step: Array, value: float) -> tuple[Mixture, float]:
        """Return the first of the steps 1, ½, ¼, … that lowers G, or the last of them."""
        for share in 0.5 ** np.arange(30):
            moved = self._moved(*here, share * step)
            following = self.value(*moved)
            if following < value:
                break
        return moved, following

    def _model(self, m: Array, theta: Array) -> tuple[Array, Array]:
        """Return the gradient and Hessian of G, over all of (m, θ) in turn.

        With A relative to g: ∂g/g is A for m and m A ℓ'/β for θ, and G'' is p ∂g ∂g / g² less
        p g''/g, where g'' couples only the variables of one row.
        """
        _, A = self._tables(theta)
        A /= m @ A
        slopes = self.family.slopes(theta)[:, self.live] / self.beta
        n, k = theta.shape
        ratio = np.concatenate([A[..., None], (m[:, None] * A)[..., None] * slopes], axis=2)
        pull = np.einsum("x,zxa->za", self.p, ratio)
        flat = ratio.swapaxes(1, 2).reshape(n * (k + 1), -1)
        hessian = ((flat * self.p) @ flat.T).reshape(n, k + 1, n, k + 1)
        own = np.zeros((n, k + 1, k + 1))
        own[:, 0, 1:] = own[:, 1:, 0] = pull[:, 1:] / m[:, None]
        own[:, 1:, 1:] = np.einsum("zxa,zxb->zab", self.p[:, None] * ratio[..., 1:], slopes)
        own[:, 1:, 1:] += self._bend(self.p * m[:, None] * A, theta)
        hessian[np.arange(n), :, np.arange(n)] -= own
        return (np.eye(1, k + 1) - pull).ravel(), hessian.reshape(flat.shape[0], -1)

    def _bend(self, weight: Array, theta: Array) -> Array:
        """Return Σ_x weight ℓ''/β, shape (n_z, k, k), by differences of the slopes."""
        k = theta.shape[1]
        moves = 1e-5 * np.diag(self.scale)[:, None]
        ends = np.clip([theta - moves, theta + moves], self.low, self.high)
        slopes = self.family.slopes(ends.reshape(-1, k))[:, self.live]
        low, high = np.einsum("zx,slzxk->slzk", weight, slopes.reshape(2, k, *weight.shape, k))
        size = (ends[1] - ends[0])[np.arange(k), :, np.arange(k)]
        bend = np.divide(high - low, size[..., None], out=np.zeros_like(high), where=high != low)
        return np.asarray(bend + bend.swapaxes(0, 2)).swapaxes(0, 1) / (2 * self.beta)

    def _step(self, m: Array, theta: Array, *, fine: bool = False) -> tuple[Array, float]:
        """Return the Newton step, what a bound of the box holds left where it is, and its gain."""
        gradient, hessian = self._model(m, theta)
        scale = np.concatenate([m[:, None], np.broadcast_to(self.scale, theta.shape)], axis=1)
        scale /= np.sqrt(m)[:, None] if fine else 1.0
        slope = gradient.reshape(m.size, -1)[:, 1:]
        held = ((theta <= self.low) & (slope >= 0)) | ((theta >= self.high) & (slope <= 0))
        free = np.flatnonzero(~np.concatenate([np.zeros((m.size, 1), bool), held], axis=1).ravel())
        scale, step = scale.ravel(), np.zeros(scale.size)
        scaled = (scale[:, None] * hessian * scale)[np.ix_(free, free)]
        try:
            values, vectors = np.linalg.eigh(scaled)
        except np.linalg.LinAlgError:  # rounding has spoilt the model: stay
            return step.reshape(m.size, -1), np.inf
        size = np.maximum(np.abs(values), 1e-12 * np.abs(values).max() + 1e-300)
        along = vectors.T @ (scale * gradient)[free]
        step[free] = -scale[free] * (vectors @ (along / size))
        return step.reshape(m.size, -1), float(along @ (along / size))
