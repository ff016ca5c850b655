"""Measure the rate-distortion solver: against Blahut-Arimoto, against itself, against peers.

The source is the paper's toy on a finer and finer grid, the cost the squared distance on a unit
scale. One *evaluation* is what the textbook iteration does once: build A = exp(−cost/β), and
two products. All ratios are of times taken in this one run; each time is the best of a few.
``benchmark_kernel.py`` measures other costs, and says which bound is met.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy

import numpy as np
from benchmark_kernel import BETAS, best_of, evaluate, toy
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toyrd import Frontier, frontier, rate_distortion
from toyrd.figure import figure_style, save, text_table
from toyrd.kernel import Kernel

Array = NDArray[np.float64]
SIZES = (30, 60, 125, 250, 500, 1000, 2000, 4096)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="measure the rate-distortion solver")
    parser.add_argument("--cap", type=float, default=5, help="seconds a β for Blahut-Arimoto")
    parser.add_argument("--quick", action="store_true", help="small sizes and no peers")
    parser.add_argument("--output", default="figures/rate_distortion_speed.png")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.memory:
        print(peak_tables(options.memory))
        return
    betas = BETAS[4::15] if options.quick else BETAS
    sizes = SIZES[:2] if options.quick else SIZES
    print(against_blahut_arimoto(betas, 0.05 if options.quick else options.cap), "\n")
    print(growth(sizes, betas, options.output), "\n")
    print(memory(256 if options.quick else 4096), "\n")
    print(against_peers([] if options.quick else ["dit", "cvxpy"], betas))


def sweep(p: Array, cost: Array, betas: Array, repeats: int) -> tuple[Frontier, Array]:
    """Return the frontier and the least seconds that each of its points took."""
    best = np.full(betas.size, np.inf)
    for _ in range(repeats):
        stamps = [time.perf_counter()]

        def stamp(*_: object, stamps: list[float] = stamps) -> None:
            stamps.append(time.perf_counter())

        curve = frontier(p, cost=cost, betas=betas, callback=stamp)
        best = np.minimum(best, np.diff(stamps))
    return curve, best


def against_blahut_arimoto(betas: Array, cap: float) -> str:
    """Run both on 30 symbols; a β counts for Blahut-Arimoto if certified within the cap."""
    p, cost = toy(30)
    curve, ours = sweep(p, cost, betas, 7)
    runs = [blahut_arimoto(p, cost, float(beta), cap) for beta in betas]
    theirs, steps, done = (np.array(column) for column in zip(*runs, strict=True))
    rows = [
        ["points certified at 1e-10, Blahut-Arimoto", f"{int(done.sum())} of {len(betas)}"],
        ["points certified at 1e-10, toyrd", f"{int(curve.converged.sum())} of {len(betas)}"],
        ["Blahut-Arimoto, those it finished", f"{theirs[done].sum():.4g} s"],
        ["Blahut-Arimoto, iterations in all", f"{int(steps.sum()):,}"],
        ["toyrd, the same points", f"{1e3 * ours[done].sum():.4g} ms"],
        ["ratio on those", f"{theirs[done].sum() / max(ours[done].sum(), 1e-9):,.0f}"],
        ["toyrd, all points", f"{1e3 * ours.sum():.4g} ms"],
        ["ratio on all, at least", f"{theirs.sum() / ours.sum():,.0f}"],
        ["passes over the whole table a point", f"{passes(p, cost, betas):.1f}"],
    ]
    return text_table([f"30 symbols, cap {cap:g} s a β", "measured"], rows)


def blahut_arimoto(p: Array, cost: Array, beta: float, cap: float) -> tuple[float, int, bool]:
    """Run the textbook iteration; return its seconds, its steps and whether the gap is 1e-10."""
    start, steps = time.perf_counter(), 0
    A = np.exp(-cost / beta)
    across, m = np.ascontiguousarray(A.T), np.full(cost.shape[1], 1 / cost.shape[1])
    while True:
        for _ in range(50):  # looking at the gap costs something too
            c = across @ (p / (A @ m))
            m = m * c
        steps += 50
        seconds = time.perf_counter() - start
        done = bool(beta * np.log(c.max()) <= 1e-10)
        if done or seconds > cap:
            return seconds, steps, done


def passes(p: Array, cost: Array, betas: Array) -> float:
    """Return how often a point of a sweep looks at every latent."""
    excess = Kernel.excess
    with mock.patch.object(Kernel, "excess", autospec=True, side_effect=excess) as calls:
        frontier(p, cost=cost, betas=betas)
    return calls.call_count / len(betas)


def growth(sizes: Sequence[int], betas: Array, output: str) -> str:
    """Measure a certified point in evaluations for many sizes, and draw both."""
    units, points, rows = [], [], []
    for n in sizes:
        p, cost = toy(n)
        units.append(best_of(300 if n < 300 else 4, partial(evaluate, p, cost, p)))
        some = betas if n < 1000 else betas[::5]  # a point of 4,096 symbols takes a second
        curve, seconds = sweep(p, cost, some, 5 if n < 300 else 2)
        points.append(float(seconds.mean()))
        ratio = seconds / units[-1]
        certified = f"{int(curve.converged.sum())} of {len(some)}"
        rows.append([n, certified, 1e3 * units[-1], 1e3 * points[-1], ratio.mean(), ratio.max()])
    save(picture(np.array(sizes, float), np.array(units), np.array(points)), output, dpi=150)
    header = ["symbols", "certified", "evaluation/ms", "point/ms", "in evaluations", "at most"]
    return text_table(header, rows, digits=3) + f"\nwritten to {output}"


def slope(sizes: Array, seconds: Array) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def picture(sizes: Array, units: Array, points: Array) -> Figure:
    with figure_style():
        figure = Figure(figsize=(4.5, 3), layout="constrained")
        ax = figure.add_subplot()
        for seconds, marker, colour, name in (
            (points, "o-", "black", "a certified point"),
            (units, "s--", "0.5", "one evaluation"),
        ):
            label = f"{name}, slope {slope(sizes, seconds):.2f}"
            ax.loglog(sizes, 1e3 * seconds, marker, color=colour, ms=4, label=label)
        ax.set(xlabel="symbols and latents", ylabel="time (ms)")
        ax.set_xticks(sizes, [f"{n:.0f}" for n in sizes])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter("{x:g}")
        ax.legend(frameon=False)
    return figure


def memory(n: int) -> str:
    """Measure the peak of a process that solves one point."""
    command = [sys.executable, __file__, "--memory", str(n)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=paths)
    tables = float(answer.stdout)
    return f"{n} symbols: at most {tables:.2f} tables in memory, the cost table among them"


def peak_tables(n: int) -> float:
    """Return by how many tables the peak of this process rises for the cost and a solved point."""
    p = np.full(n, 1 / n)
    small, cost = toy(30)
    frontier(small, cost=cost, betas=[0.01])  # what first use loads is no table
    before = peak()
    x = np.linspace(0, 1, n)
    cost = np.subtract.outer(x, x)
    frontier(p, cost=np.square(cost, out=cost), betas=[0.01])
    return (peak() - before) / (8.0 * n * n)


def peak() -> float:
    """Return the largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # rusage counts from the parent's peak there
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024.0 * int(line.split()[1])
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(size) if sys.platform == "darwin" else 1024.0 * size


def against_peers(names: Sequence[str], betas: Array) -> str:
    """Compare with the peers that are installed, at their defaults and at their tightest."""
    p, cost = toy(30)
    betas = betas[:: max(1, len(betas) // 5)]
    best = frontier(p, cost=cost, betas=betas, tol=1e-13)
    solvers: dict[str, Callable[[float], Array]] = {
        "toyrd": lambda beta: rate_distortion(p, cost, beta=beta).e
    }
    for name in names:
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        for kind in ("default", "tightest"):
            make = {"dit": with_dit, "cvxpy": with_cvxpy}[name]
            solvers[f"{name}, {kind}"] = make(p, cost, kind == "tightest")
    rows = [peer_row(name, solve, p, cost, best) for name, solve in solvers.items()]
    header = ["30 symbols", "largest error", "time a point/ms", "certificate"]
    return text_table(header, rows)


def peer_row(
    name: str,
    solve: Callable[[float], Array],
    p: Array,
    cost: Array,
    best: Frontier,
) -> list[str]:
    """Return the largest error of D + βR, of the encoder that a solver returns, and its time."""
    errors, times = [], []
    solve(float(best.betas[-1]))  # what first use loads is not counted
    for beta, bound in zip(best.betas, best.lower_bound, strict=True):
        start = time.perf_counter()
        e = solve(float(beta))
        times.append(time.perf_counter() - start)
        errors.append(value(p, cost, e / e.sum(axis=1, keepdims=True), float(beta)) - bound)
    proof = "gap ≤ 1e-10 each" if name == "toyrd" else "none"
    return [name, f"{max(errors):.1e}", f"{1e3 * np.mean(times):.3g}", proof]


def value(p: Array, cost: Array, e: Array, beta: float) -> float:
    """Return D + βI, from the encoder alone."""
    e = np.maximum(e, 0)
    ratio = np.where(e > 0, e / np.maximum(p @ e, 1e-300), 1.0)
    return float(p @ (e * (cost + beta * np.log(ratio))).sum(axis=1))


def with_dit(p: Array, cost: Array, tightest: bool) -> Callable[[float], Array]:
    """Return dit's solver; its own stopping rule, of relative size 1e-5, cannot be set."""
    solver = importlib.import_module("dit.rate_distortion.blahut_arimoto").blahut_arimoto
    options = {"max_iters": 10**6, "restarts": 1} if tightest else {}

    def solve(beta: float) -> Array:
        slope = 1 / (beta * np.log(2))  # dit counts bits, and charges for the cost
        return np.asarray(solver(p, slope, distortion=lambda *_: cost, **options)[1])

    return solve


def with_cvxpy(p: Array, cost: Array, tightest: bool) -> Callable[[float], Array]:
    """Return the convex programme over p(x) e(z|x), solved by Clarabel's interior points."""
    cp = importlib.import_module("cvxpy")
    small = ("tol_gap_abs", "tol_gap_rel", "tol_feas", "tol_ktratio")
    options = dict.fromkeys(small, 1e-13) | {"max_iter": 1000} if tightest else {}

    def solve(beta: float) -> Array:
        joint = cp.Variable(cost.shape, nonneg=True)
        induced = cp.reshape(cp.sum(joint, axis=0), (1, cost.shape[1]), order="C")
        nats = cp.sum(cp.rel_entr(joint, p[:, None] @ induced))
        goal = cp.Minimize(cp.sum(cp.multiply(cost, joint)) + beta * nats)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # at its tightest it warns that it may be inaccurate
            cp.Problem(goal, [cp.sum(joint, axis=1) == p]).solve(solver=cp.CLARABEL, **options)
        return np.asarray(np.maximum(joint.value, 0))

    return solve


if __name__ == "__main__":
    main()
