"""The convex core: the marginal m that minimises F(m) = −β Σ p log Σ_z m(z) exp(−cost/β).

Notation: A(x, z) = exp(−(cost − floor)/β) with floor(x) the least cost of the row, g = A m,
and excess(z) = c(z) − 1 = Σ_x p A/g − 1, so F(m) − min F ≤ β log1p(max excess), for any m.
The table B holds A − offset: when all costs are small beside β, A is near 1 and offset = 1
(B by expm1), so that differences of A keep their digits; otherwise offset = 0.
C = (A − g)/g is A relative to the mixture; N = Cᵀ diag(p) C is the Hessian of F/β at m.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from .checks import Array
from .model import relative_entropy_terms, respond

FAINT = 1e-290  # below it g is too near the denormals to divide by
PATIENCE = 0.1  # of the whole table's excess, what the working set may keep
SMALL = 5000  # entries of a table of which a pass costs little more than the calls it takes
EXACT = 0.01  # of the largest excess, what a quadratic model may keep
EPS = float(np.finfo(np.float64).eps)
Index = NDArray[np.intp]


def gap_above(bound: float, objective: float) -> float:
    """Return what an objective is above a bound, never below 0, with room for rounding."""
    return max(0.0, objective - bound) + 4 * EPS * abs(objective)


class Kernel:
    """Hold exp(−cost/β) for one β over symbols that all have p > 0."""

    def __init__(self, p: Array, cost: Array, beta: float) -> None:
        self.p, self.cost, self.beta = p, cost, beta
        self.root = np.sqrt(p)
        self.floor = cost.min(axis=1)
        self.base = float(p @ self.floor)
        table = self.floor[:, None] - cost
        if beta == 0:
            table[table < 0] = -np.inf
        elif beta == np.inf:
            table[table > -np.inf] = 0
        else:
            with np.errstate(over="ignore"):
                table /= beta
        self.offset = 1.0 if table.min() > -0.5 else 0.0
        self.unit = min(1.0, -float(table.min())) if self.offset else 1.0
        self.table = (np.expm1 if self.offset else np.exp)(table, out=table)

    def mixture(self, m: Array) -> tuple[Index, Array]:
        """Return the live latents and g − offset."""
        live = m.nonzero()[0]
        return live, np.asarray(self.table.take(live, 1) @ m[live])

    def excess(self, b: Array) -> Array:
        """Return c(z) − 1 for every latent."""
        weight = self.p / (self.offset + b)
        return np.asarray(weight @ self.table - weight @ b)

    def log_g(self, b: Array) -> Array:
        """Return log g, without loss where g is near 1."""
        return np.asarray(np.log1p(b) if self.offset else np.log(b))

    def objective(self, b: Array) -> float:
        """Return F."""
        return self.base - (self.beta * float(self.p @ self.log_g(b)) if self.beta < np.inf else 0)

    def measure(self, m: Array) -> tuple[float, float, float]:
        """Return D, R and F = D + βR of the best encoder for m."""
        live, b = self.mixture(m)
        if (self.offset + b).min() < FAINT:
            return self._measure_faint(live, m)
        mass = (
            (self.p / (self.offset + b))[:, None] * (self.offset + self.table[:, live]) * m[live]
        )
        above = np.where(mass > 0, self.cost[:, live] - self.floor[:, None], 0.0)
        extra, nats = float((mass * above).sum()), -float(self.p @ self.log_g(b))
        scale = self.beta if 0 < self.beta < np.inf else np.inf
        R = max(0.0, nats - extra / scale)
        D = self.base + extra
        return D, R, self.base + self.beta * nats if self.beta < np.inf else D

    def row(self, m: Array, excess: Array) -> tuple[float, float, float, float]:
        """Return D, R, I and F of an iterate."""
        D, R, F = self.measure(m)
        waste = float(relative_entropy_terms(m * (1 + excess), m).sum())
        return D, R, max(0.0, R - waste), F

    def _measure_faint(self, live: Index, m: Array) -> tuple[float, float, float]:
        """Return D, R and F where g underflows: what suits a symbol is all but dead."""
        cost = self.cost[:, live]
        floor = cost.min(axis=1)
        e, log_g = respond(cost, m[live], self.beta)
        base = float(self.p @ floor)
        extra = float((self.p[:, None] * e * np.where(e > 0, cost - floor[:, None], 0.0)).sum())
        nats = -float(self.p @ log_g)
        if not 0 < self.beta < np.inf:
            return base + extra, max(0.0, nats), base + extra
        return base + extra, max(0.0, nats - extra / self.beta), base + self.beta * nats

    def rounding(self, objective: float) -> float:
        """Bound what rounding can hide in F and in β log max c, in the units of the cost.

        A sum of n terms of one sign is off by about log2 n units in the last place of B, times
        β; the exponent t = −(cost − floor)/β makes exp(t) off by |t| units, which averages to
        D/β over an encoder.
        """
        sums = (4 + np.log2(self.p.size)) * self.unit
        scale = abs(objective) + float(self.p @ np.abs(self.floor))
        return float(4 * EPS * scale + 4 * EPS * sums * (self.beta if self.beta < np.inf else 0))

    def threshold(self, tol: float, objective: float) -> float:
        """Return the largest excess that still counts as optimal."""
        if not 0 < self.beta < np.inf:
            return tol
        unit = min(1.0, self.beta)
        return float(np.expm1(min((tol * unit + self.rounding(objective)) / self.beta, 1.0)))


def cover(kernel: Kernel, m: Array | None) -> Array:
    """Return a marginal that leaves no symbol far from every live latent.

    Without m it starts from the best single latent; then the worst covered symbol brings its
    own best latent in, until each is within `reach` β of its least cost: close by at a cold
    start, but a warm one is only kept from underflow, as Newton steps mend the rest.
    """
    reach = 20.0
    if m is None:
        reach = 1.0
        m = np.zeros(kernel.table.shape[1])
        m[int(np.argmax(kernel.p @ kernel.table))] = 1.0
    live = m.nonzero()[0]
    best = kernel.table.take(live, 1).max(axis=1)
    least = np.exp(-reach) - kernel.offset
    added = np.zeros_like(m)
    while best[best.argmin()] < least:
        z = kernel.table[best.argmin()].argmax()
        added[z] = 1.0
        np.maximum(best, kernel.table[:, z], out=best)
    weights = m * (live.size / m.sum()) + added
    return np.asarray(weights / weights.sum())


def blahut_arimoto(kernel: Kernel, m: Array) -> Iterator[tuple[Array, Array]]:
    """Yield m and its excess for ever, by the textbook update m ← m c."""
    while True:
        b = kernel.mixture(m)[1]
        weight = kernel.p / (kernel.offset + b)
        slope = weight @ kernel.table
        yield m, slope - weight @ b
        m = m * (slope + kernel.offset * weight.sum())  # not 1 + excess, whose 0 may be tiny
        m /= m.sum()


def newton(kernel: Kernel, m: Array, tol: float) -> Iterator[tuple[Array, Array]]:
    """Yield m and its excess for ever, by Newton steps on a growing set of latents.

    Between two yields the working set of a large table is solved until its own excess is well
    below that of the whole table: there one pass over the table costs more than many steps over
    a few columns.
    """
    work = m > 0
    steps = 1 if kernel.table.size <= SMALL else 50
    while True:
        live, b = kernel.mixture(m)
        excess = kernel.excess(b)
        yield m, excess
        work[violators(kernel, live, b, np.where(work, 0.0, excess))] = True
        columns = work.nonzero()[0]
        goal = max(PATIENCE * float(excess.max()), 0.3 * tol)
        found = restricted(kernel, columns, m[columns], b, excess[columns], goal, steps)
        m = np.zeros_like(m)
        m[columns] = found


def violators(kernel: Kernel, live: Index, b: Array, excess: Array) -> Index:
    """Return the latents with excess > 0; of many, the best of each group that shares a live one.

    A latent belongs to the live one on whose most telling symbol it is the likeliest; that
    reads one row of the table for each live latent, where the Hessian would need them all.
    """
    candidates = (excess > 0).nonzero()[0]
    if candidates.size <= 2 * live.size:
        return candidates
    g = kernel.offset + b
    told = np.argmax((kernel.table[:, live] - b[:, None]) * (kernel.p / g)[:, None], axis=0)
    rising = candidates[np.argsort(excess[candidates], kind="stable")]
    group = np.argmax((kernel.table[told][:, rising] - b[told, None]) / g[told, None], axis=0)
    best = np.full(live.size, -1)
    best[group] = rising  # of repeated groups the last stays: the one with the largest excess
    return best[best >= 0]


def restricted(
    kernel: Kernel, columns: Index, m: Array, b: Array, excess: Array, goal: float, steps: int
) -> Array:
    """Return m after Newton steps on these latents alone, until their excess is below goal."""
    table = kernel.table.take(columns, 1)
    while True:
        m, moved = newton_step(kernel, table, m, b, excess)
        steps -= 1
        if not moved or steps == 0:
            return m
        b = table @ m
        weight = kernel.p / (kernel.offset + b)
        excess = weight @ table - weight @ b
        if max(excess.max(), -excess[m > 0].min()) <= goal:
            return m


def newton_step(
    kernel: Kernel, table: Array, m: Array, b: Array, excess: Array
) -> tuple[Array, bool]:
    """Return m moved towards the minimum of the quadratic model, and whether it was."""
    alive = ((m > 0) | (excess > 0)).nonzero()[0]
    slopes, now = excess[alive], m[alive]
    S = table.take(alive, 1)
    S -= b[:, None]
    S *= (kernel.root / (kernel.offset + b))[:, None]  # √p C: SᵀS takes half of another product
    move = quadratic(S.T @ S, slopes, now) - now
    noise = 4 * EPS * float(np.abs(move).sum())  # of excess·move, as p·|C| ≤ 2 or so
    step = line_search(kernel.p, (S @ move) / kernel.root, float(slopes @ move), noise)
    if step == 0:
        return m, False
    m = m.copy()
    m[alive] = now + step * move
    m /= m.sum()
    return m, True


def line_search(p: Array, along: Array, slope: float, noise: float) -> float:
    """Return the first step 1, ½, ¼, … that lowers F enough, as far as rounding can tell, or 0."""
    step = 1.0
    while slope > -noise and step > 1e-12:
        least = step * (0.1 * slope - noise)
        if step * along[along.argmin()] > -0.999 and p @ np.log1p(step * along) >= least:
            return step
        step /= 2
    return 0.0


def quadratic(N: Array, excess: Array, m: Array) -> Array:
    """Minimise ½ δᵀNδ − excess·δ over δ = y − m with y ≥ 0 and Σy = 1; return y.

    An active-set method: solve with the sum held at 1, go as far as y ≥ 0 allows and drop the
    latent that blocks; where none does, add the one that would lower the value most. The small
    ridge keeps duplicate latents from making N singular; being centred on m it slows no other
    direction.
    """
    K = N + min(1.0, max(float(N.diagonal().max()), 1e-300))
    ridge = 1e-13 * K.diagonal()
    K.flat[:: m.size + 1] += ridge
    sides = np.ones((2, m.size))
    sides[0] = right = excess + ridge * m
    slack = EXACT * float(excess.max())
    y, free = m.copy(), m > 0
    for _ in range(20 + 4 * m.size):
        passive = free.nonzero()[0]
        rows = K.take(passive, 0)  # K[np.ix_(…)] takes ten times as long
        aim, level = equality(rows.take(passive, 1), sides.take(passive, 1))
        if aim[aim.argmin()] < 0:  # a fifth of the time that min takes
            free[advance(y, passive, aim)] = False
            continue
        y[passive] = aim
        pull = right - aim @ rows
        pull[passive] = -np.inf
        best = pull.argmax()
        if pull[best] - level <= slack:
            break
        free[best] = True
    return np.asarray(y / y.sum())


def equality(K: Array, sides: Array) -> tuple[Array, float]:
    """Return the y with Σy = 1 for which right − K y is the same everywhere, and that level.

    The sides are right and ones.
    """
    solved = dposv(K.T, sides.T, overwrite_a=1)[1].T
    total, unit = solved @ sides[1]
    level = float((total - 1) / unit)
    return solved[0] - level * solved[1], level


def advance(y: Array, passive: Index, aim: Array) -> int:
    """Move y towards aim until an entry reaches 0, and return which."""
    now = y[passive]
    falling = (aim < 0).nonzero()[0]
    room = now[falling] / (now[falling] - aim[falling])
    first = room.argmin()
    y[passive] = now + room[first] * (aim - now)
    blocked = int(passive[falling[first]])
    y[blocked] = 0.0
    return blocked
