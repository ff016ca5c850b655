"""Measure the table solver where many letters are used and where few are; print each bound.

All ratios are of times taken in this one run, each the best of a few. The yardsticks are a
plain dense interior-point method, which stands below, the textbook update m ← m c, and one
*evaluation*: exp(−cost/β) and two products. Last come the times of the public cases. With
``--peer`` also cvxpy with Clarabel. One BLAS thread is used, if you do not ask for more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import runpy
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from toyrd import frontier, rate_distortion, toy_source

Array = NDArray[np.float64]
BETAS = np.geomspace(10**-2.5, 1, 50)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="measure the table solver against its bounds")
    parser.add_argument("--quick", action="store_true", help="small sizes, whose times say little")
    parser.add_argument("--peer", action="store_true", help="also run cvxpy with Clarabel")
    options = parser.parse_args(argv)
    print(f"{'problem':46}{'measured':>24}{'bound':>8}")
    for line in rows(options.quick, options.peer):
        print(line, flush=True)


def rows(quick: bool, peer: bool) -> Iterator[str]:
    shrink = 10 if quick else 1
    for name, p, cost, betas in many_letters(shrink):
        for beta in betas:
            yield against_interior_point(f"{name}, β = {beta:g}", p, cost, beta)
            if peer:
                yield against_clarabel(f"{name}, β = {beta:g}", p, cost, beta)
    yield from few_letters(shrink)
    yield from growth(range(6, 9 if quick else 13))
    yield from public_cases()


# Problems


def many_letters(shrink: int) -> Iterator[tuple[str, Array, Array, tuple[float, ...]]]:
    """Yield sources and costs of which nearly all letters are used."""
    for size, betas in ((1000 // shrink, (1e-10,)), (700 // shrink, (0.05,))):
        x = np.linspace(-5, 5, size)
        for name, p in (
            ("normal", np.exp(-(x**2) / 2)),
            ("random", np.random.default_rng(0).exponential(size=size)),
        ):
            yield f"Hamming, {size} {name}", p / p.sum(), 1 - np.eye(size), betas
    length = 7 if shrink > 1 else 10
    yield (f"words, {2**length}", *words(length), (0.01, 0.005, 0.2, 0.5, 1.0))


def words(length: int, rate: float = 0.1) -> tuple[Array, Array]:
    """Return all words of independent bits, and their squared van Rossum distances."""
    bits = (np.arange(2**length)[:, None] >> np.arange(length)[::-1]) & 1
    p = np.prod(np.where(bits, rate, 1 - rate), axis=1)
    trace, v = np.zeros(bits.shape), np.zeros(len(bits))
    for t in range(length):
        v = 0.8 * v + bits[:, t]
        trace[:, t] = v
    square = (trace**2).sum(axis=1)
    cost = np.maximum(square[:, None] + square - 2 * trace @ trace.T, 0)
    np.fill_diagonal(cost, 0)
    return p / p.sum(), cost


def toy(n: int) -> tuple[Array, Array]:
    """Return the toy on n bins, and the squared distance on a unit scale."""
    scale, x = n / 30, np.linspace(0, 1, n)
    means = (np.array([9.830, 19.141]) + 0.5) * scale - 0.5
    source = toy_source(n_bins=n, means=means, widths=np.array([2.256, 3.405]) * scale)
    return source.p, np.subtract.outer(x, x) ** 2


# Yardsticks


def best_of(repeats: int, call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def interior_point(p: Array, cost: Array, beta: float, tol: float = 1e-10) -> tuple[Array, float]:
    """Return m and its gap β log max c, by Mehrotra's method on all letters."""
    A = np.exp((cost.min(axis=1, keepdims=True) - cost) / beta)
    k = cost.shape[1]
    m, s, ones = np.full(k, 1 / k), np.empty(0), np.ones(k)
    while True:
        g = A @ m
        excess = (p / g) @ A - 1
        gap = beta * float(np.log1p(max(0.0, excess.max())))
        if gap <= tol:
            return m, gap
        if s.size == 0:
            s = np.maximum(0.3 * excess.max() / k / m, -excess)
        S = A * (np.sqrt(p) / g)[:, None]
        H = S.T @ S
        H.flat[:: k + 1] += s / m + 1e-13 * H.diagonal().max()
        factor = cho_factor(H, overwrite_a=True, check_finite=False)
        unit = cho_solve(factor, ones, check_finite=False)
        move, slack = direction(factor, unit, excess, m, s, np.zeros(k))
        far, deep = reach(m, move, 1.0), reach(s, slack, 1.0)
        after = (m + far * move) @ (s + deep * slack)
        goal = (after / (m @ s)) ** 3 * (m @ s) / k - move * slack
        move, slack = direction(factor, unit, excess, m, s, goal)
        m, s = m + reach(m, move, 0.995) * move, s + reach(s, slack, 0.995) * slack
        m /= m.sum()


def direction(
    factor: Any, unit: Array, excess: Array, m: Array, s: Array, goal: Array
) -> tuple[Array, Array]:
    """Return the moves of m and s that bring m·s to its goal, to first order."""
    move = cho_solve(factor, excess + goal / m, check_finite=False)
    move -= move.sum() / unit.sum() * unit
    return move, (goal - s * move) / m - s


def reach(value: Array, move: Array, share: float) -> float:
    """Return the step to this share of the way to the border, at most 1."""
    return min(1.0, share / max(1e-300, float((-move / value).max())))


def clarabel(p: Array, cost: Array, beta: float) -> Array:
    """Return m by cvxpy, asked for 1e-9."""
    cp = importlib.import_module("cvxpy")
    m = cp.Variable(cost.shape[1], nonneg=True)
    A = np.exp((cost.min(axis=1, keepdims=True) - cost) / beta)
    goal = cp.Minimize(-p @ cp.log(A @ m))
    names = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
    cp.Problem(goal, [cp.sum(m) == 1]).solve(solver=cp.CLARABEL, **dict.fromkeys(names, 1e-9))
    return np.asarray(m.value)


def update(p: Array, cost: Array, beta: float) -> float:
    """Return the seconds of one textbook update."""
    A = np.exp((cost.min(axis=1, keepdims=True) - cost) / beta)
    m = np.full(cost.shape[1], 1 / cost.shape[1])
    return best_of(3, lambda: m * ((p / (A @ m)) @ A))


def evaluate(p: Array, cost: Array, m: Array, beta: float = 0.1) -> Array:
    """Return c, by one evaluation."""
    A = np.exp(-cost / beta)
    return np.asarray((p / (A @ m)) @ A)


# Rows


def judged(name: str, measured: float, unit: str, bound: float, certified: bool = True) -> str:
    """Return a line that says whether a bound is met."""
    verdict = "met" if measured <= bound and certified else "missed"
    return f"{name:46}{measured:8.2f} {unit:15}{bound:8g}  {verdict}"


def against_interior_point(name: str, p: Array, cost: Array, beta: float) -> str:
    point = rate_distortion(p, cost, beta=beta)
    ours = best_of(2, lambda: rate_distortion(p, cost, beta=beta))
    theirs = best_of(2, lambda: interior_point(p, cost, beta))
    return judged(name, ours / theirs, "interior point", 1.5, point.gap <= 1.1e-10)


def against_clarabel(name: str, p: Array, cost: Array, beta: float) -> str:
    ours = best_of(1, lambda: rate_distortion(p, cost, beta=beta))
    theirs = best_of(1, lambda: clarabel(p, cost, beta))
    return judged(name, ours / theirs, "Clarabel", 1.5)


def few_letters(shrink: int) -> Iterator[str]:
    """Yield points of squared error, in evaluations."""
    p, cost = toy(30)
    calls = {
        "": lambda: [evaluate(p, cost, p) for _ in BETAS],
        "cold": lambda: [rate_distortion(p, cost, beta=beta) for beta in BETAS],
        "in a sweep": lambda: frontier(p, cost=cost, betas=BETAS),
    }
    # In turn, so that a processor that changes its pace changes it for all.
    turns = [[best_of(1, call) for call in calls.values()] for _ in range(4 if shrink > 1 else 40)]
    unit, *times = np.min(turns, axis=0)
    for name, seconds, bound in zip(list(calls)[1:], times, (80, 50), strict=True):
        yield judged(f"squared error, 30 symbols, {name}", seconds / unit, "evaluations", bound)
    for n, bound in ((500 // shrink, 8), (2000 // shrink, 6)):
        p, cost = toy(n)
        unit, betas = best_of(4, partial(evaluate, p, cost, p)), np.geomspace(0.05, 1.5, 8)
        cold = np.mean([best_of(2, partial(rate_distortion, p, cost, beta=b)) for b in betas])
        yield judged(f"squared error, {n} symbols, cold", float(cold) / unit, "evaluations", bound)


def growth(lengths: Sequence[int]) -> Iterator[str]:
    """Yield words of growing length, to 1e-8, in 1,500 textbook updates."""
    for length in lengths:
        p, cost = words(length)
        for beta in (0.01, 0.5):
            unit = 1500 * update(p, cost, beta)
            start = time.perf_counter()
            point = rate_distortion(p, cost, beta=beta, tol=1e-8)
            seconds = time.perf_counter() - start
            name = f"words, {p.size}, β = {beta:g}: {seconds:.3g} s"
            yield judged(name, seconds / unit, "× 1,500 updates", 10, point.gap <= 1.1e-8)


def public_cases() -> Iterator[str]:
    """Yield the time of each case that ``tests/test_cases.py`` proves."""
    path = Path(__file__).parents[1] / "tests" / "cases.py"
    for case, problem, name, _, answers in runpy.run_path(str(path))["CASES"]:
        for value in answers:
            seconds = best_of(3, partial(rate_distortion, *problem, **{name: value}))
            yield f"{f'case {case}, {name} = {value:.6g}':46}{1e3 * seconds:8.2f} ms"


if __name__ == "__main__":
    main()
