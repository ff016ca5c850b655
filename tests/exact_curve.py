"""Rate-distortion in fifty digits: the least D + βR, bracketed by its own certificate."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Any

import numpy as np

DIGITS = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN)
ZERO, ONE, RIDGE = Decimal(0), Decimal(1), Decimal("1e-38")
exact = np.vectorize(lambda number: Decimal(float(number)), otypes=[object])


def lagrangian(p: Any, cost: Any, beta: float, m: Any) -> tuple[Decimal, Decimal]:
    """F(m), and what it exceeds min F by at most."""
    with localcontext(DIGITS):
        weights, base, A = _problem(p, cost, beta)
        return _certified(weights, base, A, Decimal(beta), exact(m) / sum(exact(m)))


def least_lagrangian(p: Any, cost: Any, beta: float, m: Any) -> tuple[Decimal, Decimal]:
    """Bracket min F, from a marginal close to the best."""
    with localcontext(DIGITS):
        weights, base, A = _problem(p, cost, beta)
        F, gap = _certified(weights, base, A, Decimal(beta), _polished(weights, A, exact(m)))
        return F - gap, F


def distortion_and_rate(p: Any, cost: Any, e: Any, m: Any) -> tuple[Decimal, Decimal]:
    """D and R of tables as they are."""
    with localcontext(DIGITS):
        D = R = ZERO
        for x, z in np.argwhere((np.asarray(p)[:, None] * e) > 0):
            mass = Decimal(float(p[x])) * Decimal(float(e[x, z]))
            D += mass * Decimal(float(cost[x, z]))
            R += mass * (Decimal(float(e[x, z])) / Decimal(float(m[z]))).ln()
        return D, R


def objective(solution: Any) -> Decimal:
    """D + βR of the tables of a solution as they are, at its β."""
    D, R = distortion_and_rate(solution.p, solution.cost, solution.e, solution.m)
    with localcontext(DIGITS):
        return D + Decimal(solution.beta) * R


def restated(low: Decimal, beta: float, name: str, value: float) -> Decimal:
    """What D + βR ≥ low proves of D at a rate, or of R at a distortion."""
    with localcontext(DIGITS):
        if name == "rate":
            return low - Decimal(beta) * Decimal(value)
        return (low - Decimal(value)) / Decimal(beta)


def _problem(p: Any, cost: Any, beta: float) -> tuple[Any, Decimal, Any]:
    alive = np.asarray(p) > 0
    weights, table = exact(np.asarray(p)[alive]), np.asarray(cost)[alive]
    floor = exact(table.min(axis=1))
    forbidden = np.isinf(table)
    exponents = (floor[:, None] - exact(np.where(forbidden, 0.0, table))) / Decimal(beta)
    A = np.vectorize(lambda t, no: ZERO if no else t.exp(), otypes=[object])(exponents, forbidden)
    return weights, sum(weights * floor), A


def _certified(p: Any, base: Decimal, A: Any, beta: Decimal, m: Any) -> tuple[Decimal, Decimal]:
    g, mass = A @ m, sum(p)
    F = base - beta * sum(weight * value.ln() for weight, value in zip(p, g, strict=True))
    return F, beta * mass * max((max((p / g) @ A) / mass).ln(), ZERO)


def _polished(p: Any, A: Any, m: Any) -> Any:
    """Newton steps with active sets, each after one multiplicative update."""
    m = m / sum(m)
    for _ in range(60):
        m = m * ((p / (A @ m)) @ A)
        m = m / sum(m)
        g = A @ m
        excess = (p / g) @ A - sum(p)
        if max(excess) < Decimal("1e-32"):
            break
        alive = np.array([weight > 0 or over > 0 for weight, over in zip(m, excess, strict=True)])
        C = (A[:, alive] - g[:, None]) / g[:, None]
        move = _quadratic(C.T @ (p[:, None] * C), excess[alive], m[alive]) - m[alive]
        along, step = C @ move, ONE
        while step > RIDGE and step * min(along) <= Decimal("-0.999"):
            step /= 2
        m[alive] = m[alive] + step * move
        m = np.array([max(weight, ZERO) for weight in m], dtype=object)
        m = m / sum(m)
    return m


def _quadratic(N: Any, excess: Any, m: Any) -> Any:
    K = N + min(ONE, max(max(N.diagonal()), Decimal("1e-200")))
    ridge = RIDGE * K.diagonal()
    for z in range(m.size):
        K[z, z] += ridge[z]
    right = np.stack([excess + ridge * m, np.full(m.size, ONE)], axis=1)
    y, passive = m.copy(), np.arange(m.size)
    while True:
        u, v = _solved(K[np.ix_(passive, passive)], right[passive]).T
        aim = u + v * ((1 - sum(u)) / sum(v))
        if min(aim) >= 0:
            y[passive] = aim
            return y
        now = y[passive]
        room = np.array(
            [a / (a - b) if b < 0 else Decimal("inf") for a, b in zip(now, aim, strict=True)]
        )
        y[passive] = np.where(room > min(room), now + min(room) * (aim - now), ZERO)
        passive = passive[room > min(room)]


def _solved(K: Any, right: Any) -> Any:
    K, x = K.copy(), right.copy()
    for i in range(len(K)):
        for j in range(i + 1, len(K)):
            ratio = K[j, i] / K[i, i]
            K[j, i:] -= ratio * K[i, i:]
            x[j] -= ratio * x[i]
    for i in reversed(range(len(K))):
        x[i] = (x[i] - K[i, i + 1 :] @ x[i + 1 :]) / K[i, i]
    return x
