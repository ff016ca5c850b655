"""The convex core: the marginal m that minimises F(m) = −β Σ p log Σ_z m(z) exp(−cost/β).

Notation: A(x, z) = exp(−(cost − floor)/β) with floor(x) the least cost of the row, g = A m,
and excess(z) = c(z) − 1 = Σ_x p A/g − 1, so F(m) − min F ≤ β log1p(max excess), for any m.
The table B holds A − offset: when all costs are small beside β, A is near 1 and offset = 1
(B by expm1), so that differences of A keep their digits; otherwise offset = 0. b = B m.
C = (A − g)/g is A relative to the mixture; N = Cᵀ diag(p) C is the Hessian of F/β at m.

The method is Newton's, on the latents in use and those of excess > 0. A step minimises the
quadratic model of F over the simplex with an active set, which exchanges latents one by one.
Where many may enter or leave, primal-dual interior-point steps on F come first: each latent has
a slack s, and m·s falls until nearly all are clearly in use (s/m far below their diagonal entry
of N) or clearly not. Those in use go to the active set, which has only the last digits to find.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv
from scipy.optimize import nnls
from scipy.special import xlog1py

from .checks import Array
from .model import divide, expectation, rate_of, respond

EPS = float(np.finfo(np.float64).eps)
FAINT = 1e-290  # below it g is too near the denormals to divide by
TOP = 1e307  # stands for a cost of +∞ where it is multiplied by 0: no finite cost is as large
LEAST = 1e-17  # mass of a live latent: too much costs no more than itself, too little may
FEW = 64  # latents of a table that is worked on as a whole
MANY = 100  # latents in use, too many to exchange one by one
ROUGH, UPDATES = 0.03, 10  # excess of a start that so many textbook updates mend soonest
QUICK = 12  # steps on a small table at the most, and
NEAR = 1e-9  # least excess, that may trust the compiled least squares
RIDGE = 1e-13  # share of a diagonal that keeps duplicate latents from being singular
EXACT = 0.01  # share of the largest excess that a quadratic model may keep
HALVES = tuple(0.5**k for k in range(40))
Index = NDArray[np.intp]
Given = tuple[Array, Array, float, float]
Seen = tuple[Array, Array]


def given_for_all(p: Array, cost: Array) -> Given:
    """Return √p, the least cost of each row, and the means of these costs and of their sizes."""
    floor = cost.min(axis=1)
    return np.sqrt(p), floor, float(p @ floor), float(p @ np.abs(floor))


class Kernel:
    """exp(−cost/β) for one β, over symbols that all have p > 0."""

    def __init__(self, p: Array, cost: Array, beta: float, given: Given | None = None) -> None:
        self.p, self.cost, self.beta = p, cost, beta
        self.root, self.floor, self.base, self.scale = given or given_for_all(p, cost)
        self.price = beta if beta < np.inf else 0.0  # of a nat, in F
        table = self.floor[:, None] - cost
        divide(table, beta)
        least = float(table.min())
        self.offset = 1.0 if least > -0.5 else 0.0
        self.unit = -least if self.offset else 1.0
        self.table = (np.expm1 if self.offset else np.exp)(table, out=table)

    def mixture(self, m: Array) -> tuple[Index, Array]:
        """Return the live latents and b = g − offset."""
        live = m.nonzero()[0]
        return live, np.asarray(self.table.take(live, 1) @ m[live])

    def excess(self, b: Array) -> Array:
        """Return c(z) − 1 for every latent."""
        weight = self.p / (self.offset + b)
        return np.asarray(weight @ self.table - weight @ b)

    def see(self, m: Array) -> Seen:
        """Return b and the excess."""
        b = self.table @ m
        return b, self.excess(b)

    def nats(self, b: Array) -> NDArray[Any]:
        """Return −Σ p log g, without loss where g is near 1; b may have several rows."""
        return np.asarray(-(np.log1p(b) if self.offset else np.log(b)) @ self.p)

    def objective(self, b: Array) -> float:
        """Return F."""
        return self.base + self.price * float(self.nats(b))

    def measure(self, m: Array) -> Array:
        """Return D, R, I and F of the best encoder for each of several marginals m[row, z]."""
        live = m.sum(axis=0).nonzero()[0]
        table, above, part = self.table.take(live, 1), self.cost.take(live, 1), m.take(live, 1)
        b = part @ table.T
        g = self.offset + b
        if g.min() < FAINT:
            return np.array([self._stored(row) for row in m])
        weight, nats = self.p / g, self.nats(b)
        excess = np.maximum(weight @ table - (weight * b).sum(axis=1, keepdims=True), -1.0)
        waste = (part * (xlog1py(1 + excess, excess) - excess)).sum(axis=1)  # KL(e(z) ‖ m)
        np.minimum(above, TOP, out=above)
        above -= self.floor[:, None]
        above *= self.offset + table
        extra = (part @ above.T * weight).sum(axis=1)
        R = np.maximum(nats - (extra / self.price if self.price > 0 else 0.0), 0.0)
        F = self.base + (self.price * nats if self.beta < np.inf else extra)
        return np.array([self.base + extra, R, np.maximum(R - waste, 0.0), F]).T

    def _stored(self, m: Array) -> tuple[float, float, float, float]:
        """Return D, R, I and F from the encoder itself, as where g is too faint to divide by."""
        e = respond(self.cost, m, self.beta)[0]
        D = expectation(self.p[:, None] * e, self.cost)
        R, I = (rate_of(self.p, e, q) for q in (m, self.p @ e))  # noqa: E741
        return D, R, I, D + self.price * R

    def rounding(self, objective: float, live: int = 1) -> float:
        """Bound what rounding can hide in F and in β log max c, in the units of the cost.

        A sum of n terms of one sign is off by about log2 n units in the last place of B, times
        β; the exponent t = −(cost − floor)/β makes exp(t) off by |t| units, which averages to
        D/β over an encoder. With several live latents the rows of a stored encoder sum to 1
        only up to a few units, which moves D + βR by as many units of |F| + β.
        """
        sums = (4 + math.log2(self.p.size)) * self.unit + (live > 1)
        return 4 * EPS * (abs(objective) + self.scale + sums * self.price)

    def threshold(self, tol: float, objective: float = 0.0, live: int = 1) -> float:
        """Return the largest excess that still counts as optimal, for any F if none is given."""
        if self.price == 0:
            return tol + 4 * EPS * (4 + math.log2(self.p.size))
        room = tol * min(1.0, self.beta) + self.rounding(objective, live)
        return math.expm1(min(room / self.beta, 1.0))


def cover(kernel: Kernel, m: Array | None) -> Array:
    """Return a marginal that leaves no symbol far from every live latent.

    The worst covered symbol brings its best latent in, until each is within `reach` β of its
    least cost; a new latent gets the mass of the symbols that it suits best. Without m all are
    new, which gives m = p where each symbol has a latent of its own.
    """
    table, reach = kernel.table, 1.0 if m is None else 20.0
    m = np.zeros(table.shape[1]) if m is None else m
    columns = m.nonzero()[0].tolist() or [int((kernel.p @ kernel.cost).argmin())]
    best, least = table.take(columns, 1).max(axis=1), math.exp(-reach) - kernel.offset
    while best[worst := best.argmin()] < least:
        columns.append(int(table[worst].argmax()))
        np.maximum(best, table[:, columns[-1]], out=best)
    if m[columns[-1]] > 0:
        return m
    owner = np.array(columns)[table.take(columns, 1).argmax(axis=1)]
    m = np.where(m > 0, m, np.bincount(owner, np.maximum(kernel.p, LEAST), m.size))
    return np.asarray(m / m.sum())


def blahut_arimoto(kernel: Kernel, m: Array) -> Iterator[tuple[Array, Array]]:
    """Yield m and its excess for ever, by the textbook update m ← m c."""
    while True:
        b = kernel.table @ m
        weight = kernel.p / (kernel.offset + b)
        slope = weight @ kernel.table
        yield m, slope - weight @ b
        m = m * (slope + kernel.offset * weight.sum())  # not 1 + excess, whose 0 may be tiny
        m /= m.sum()


def newton(kernel: Kernel, m: Array, tol: float) -> Iterator[tuple[Array, Array]]:
    """Yield m and its excess for ever, by Newton steps on a growing set of latents.

    Between two yields a large table leaves its working set alone until the excess there is a
    tenth of that of the whole: one pass over the table costs more than many steps on the set.
    """
    work, every = m > 0, np.arange(m.size)
    while True:
        live, b = kernel.mixture(m)
        excess = kernel.excess(b)
        yield m, excess
        many, core, columns, goal, seen = live.size > MANY, kernel, every, 0.3 * tol, None
        if m.size > FEW:
            work = m > 0 if many else work | (m > 0)
            work[violators(kernel, live, b, np.where(work, 0.0, excess))] = True
            columns, goal = work.nonzero()[0], max(0.1 * float(excess.max()), goal)
            core = copy(kernel)
            core.table = kernel.table.take(columns, 1) if columns.size < m.size else core.table
        part, m = m[columns], np.zeros(m.size)
        if many:
            part = interior(core, part, tol)
        elif m.size <= FEW and excess.max() > ROUGH:
            part = spread(core, part)
        elif m.size <= FEW:
            seen = b, excess
        part = settled(core, part, goal, seen)
        m[columns] = np.where(part > 0, np.maximum(part, LEAST), 0.0)


def violators(kernel: Kernel, live: Index, b: Array, excess: Array) -> Index:
    """Return the latents with excess > 0; of many, the best of each group that shares a live one.

    A latent belongs to the live one on whose most telling symbol it is the likeliest; that
    reads one row of the table for each live latent, where the Hessian would need them all.
    """
    candidates = (excess > 0).nonzero()[0]
    if candidates.size <= 2 * live.size:
        return candidates
    falling = candidates[np.argsort(-excess[candidates], kind="stable")]
    g = kernel.offset + b
    told = np.argmax((kernel.table[:, live] - b[:, None]) * (kernel.p / g)[:, None], axis=0)
    group = np.argmax((kernel.table[told][:, falling] - b[told, None]) / g[told, None], axis=0)
    return falling[np.unique(group, return_index=True)[1]]


def scaled(core: Kernel, table: Array, b: Array) -> Array:
    """Return S = √p C of these columns, with N = SᵀS."""
    return np.asarray((table - b[:, None]) * (core.root / (core.offset + b))[:, None])


def held(K: Array, sides: Array, total: float) -> tuple[Array, float]:
    """Return the y with Σy = total for which right − K y is the same everywhere, and that level.

    The sides are right and ones.
    """
    solved = dposv(K.T, sides.T, overwrite_a=1)[1].T
    mass, unit = solved @ sides[1]
    level = float((mass - total) / unit)
    return solved[0] - level * solved[1], level


def interior(core: Kernel, m: Array, tol: float) -> Array:
    """Return m on the latents that interior-point steps leave in use, or m if F would rise.

    A step goes 99.5 % of the way to the border; μ, what m·s shall become for each latent, is
    the smaller the longer the last step.
    """
    start, step = m, 0.5
    first = float(core.see(m)[1].max())
    if first <= tol:
        return m
    m = np.where(m > 0, m, 5 * min(1.0, first / core.unit) / m.size)
    m /= m.sum()
    s = np.maximum(0.3 * first / m.size / m, -core.see(m)[1])
    for _ in range(40):
        (b, excess), barrier = core.see(m), s / m
        S = scaled(core, core.table, b)
        N = S.T @ S
        bend = N.diagonal().copy()
        unclear = np.count_nonzero((barrier > 0.1 * bend) & (barrier < 10 * bend))
        if (top := excess.max()) <= tol or (top <= 0.1 * first and unclear <= 1):
            break
        goal = max(1e-3, (1 - step) ** 2) * float(m @ s) / m.size
        move = centred(N, barrier, excess + goal / m)
        slack = (goal - s * move) / m - s
        far, deep = (min(1.0, 0.995 / max(FAINT, -d[d.argmin()])) for d in (move / m, slack / s))
        m, s, step = m + far * move, s + deep * slack, min(far, deep)
    used = barrier < bend
    used[((core.offset + core.table) * m).argmax(axis=1)] = True  # lest a symbol loses its last
    m = np.where(used, m, 0.0)
    m /= m.sum()
    return min(m, start, key=lambda one: core.objective(core.table @ one))


def centred(N: Array, barrier: Array, aim: Array) -> Array:
    """Return the δ with (N + diag(s/m)) δ = aim, up to a constant, and Σδ = 0; N is written over.

    Here aim = excess + μ/m and barrier = s/m.
    """
    ridge = barrier + RIDGE * N.diagonal().max()
    N += 1.0
    N.flat[:: aim.size + 1] += ridge
    return held(N, np.stack([aim, np.ones(aim.size)]), 0.0)[0]


def spread(core: Kernel, m: Array) -> Array:
    """Return m after textbook updates that begin with all latents, and show which count."""
    table, m = core.offset + core.table, 0.5 * (m + 1 / m.size)
    for _ in range(UPDATES):
        m = m * ((core.p / (table @ m)) @ table)
    return m


def settled(core: Kernel, m: Array, goal: float, seen: Seen | None = None) -> Array:
    """Return m after Newton steps on all columns, until their excess is below goal."""
    b, excess = seen or core.see(m)
    quick = core.offset == 0 and max(core.table.shape) <= FEW
    for step in range(50):
        top = excess[excess.argmax()]  # a fifth of the time that max takes
        if step and top <= goal and -(m * excess).min() <= goal:
            break
        alive = ((m > 0) | (excess > 0)).nonzero()[0]
        slopes, now = excess[alive], m[alive]
        S = scaled(core, core.table.take(alive, 1), b)
        quick = quick and step < QUICK and bool(top > NEAR)
        y = pinned(S, slopes, now) if quick and top < EXACT else None
        if y is None:
            y = projected(S, core.root, now) if quick else quadratic(S.T @ S, slopes, now)
        move = y - now
        noise = 4 * EPS * float(np.abs(move).sum())  # of excess·move, as p·|C| ≤ 2 or so
        share = line_search(core.p, (S @ move) / core.root, float(slopes @ move), noise)
        if share == 0 and not quick:
            break
        quick = share > 0 and quick
        m = np.zeros(m.size)
        m[alive] = now + share * move
        m /= m.sum()
        b, excess = core.see(m)
    return m


def line_search(p: Array, along: Array, slope: float, noise: float) -> float:
    """Return the first step 1, ½, ¼, … that lowers F enough, as far as rounding can tell, or 0."""
    least = along[along.argmin()]
    for step in HALVES if slope > -noise else ():
        if step * least > -0.999 and p @ np.log1p(step * along) >= step * (0.1 * slope - noise):
            return step
    return 0.0


def pinned(S: Array, excess: Array, m: Array) -> Array | None:
    """Return the y of the least ½ |S (y − m)|² − excess·y with Σy = 1, if it and m are above 0."""
    if m[m.argmin()] == 0:
        return None
    K, sides = S.T @ S, np.ones((2, m.size))
    K += 1.0
    K.flat[:: m.size + 1] += RIDGE
    sides[0] = excess + RIDGE * m
    y = held(K, sides, 1.0)[0]
    return y if y[y.argmin()] >= 0 else None


def projected(S: Array, root: Array, m: Array) -> Array:
    """Return the y of the least ½ |S y − √p|² with y ≥ 0 and Σy = 1: the same model, at a stroke.

    As the sum is held, S y − √p = (S − √p 1ᵀ) y, and the least |(S − √p 1ᵀ) y|² + (Σy − 1)² lies
    on the same ray. Compiled, but less sharp than `quadratic`; where it fails, y is m.
    """
    table, aim = np.ones((root.size + 1, S.shape[1])), np.zeros(root.size + 1)
    np.subtract(S, root[:, None], out=table[:-1])
    aim[-1] = 1.0
    try:
        y = nnls(table, aim)[0]
    except RuntimeError:
        return m
    return np.asarray(y / y.sum())


def quadratic(N: Array, excess: Array, m: Array) -> Array:
    """Minimise ½ δᵀNδ − excess·δ over δ = y − m with y ≥ 0 and Σy = 1; return y.

    An active-set method: solve with the sum held at 1, go as far as y ≥ 0 allows and drop the
    latent that blocks; where none does, add the one that would lower the value most. The small
    ridge keeps duplicate latents from making N singular; being centred on m it slows no other
    direction.
    """
    K = N + min(1.0, float(N.diagonal().max()) or 1.0)
    ridge, sides = RIDGE * K.diagonal(), np.ones((2, m.size))
    K.flat[:: m.size + 1] += ridge
    sides[0] = right = excess + ridge * m
    y, free, slack = m.copy(), m > 0, EXACT * float(excess.max())
    for _ in range(20 + 4 * m.size):
        passive = free.nonzero()[0]
        rows = K.take(passive, 0)  # K[np.ix_(…)] takes ten times as long
        aim, level = held(rows.take(passive, 1), sides.take(passive, 1), 1.0)
        if aim[aim.argmin()] < 0:
            now = y[passive]
            room = np.where(aim < 0, now / np.maximum(now - aim, FAINT), 1.0)
            first = room.argmin()
            y[passive] = now + room[first] * (aim - now)
            y[passive[first]], free[passive[first]] = 0.0, False
            continue
        y[passive] = aim
        pull = right - aim @ rows
        pull[passive] = -np.inf
        best = pull.argmax()
        if pull[best] - level <= slack:
            break
        free[best] = True
    total = float(y.sum())  # 0 where the excess is so far above N that rounding takes all
    return np.asarray(y / total) if total > 0 else m
