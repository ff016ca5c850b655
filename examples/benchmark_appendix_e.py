"""Compare gradient steps of Appendix E with the bare arithmetic that they cannot do without.

The bare step does every matrix product, exponential and logarithm of one exact gradient step on
tables, and nothing else. Short blocks of both alternate within one training, and the fastest of
each are compared. Then the columns of Figure 2, solved and trained.

    python examples/benchmark_appendix_e.py [--steps 2000] [--restarts 1 50]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from benchmark_kernel import best_of

from toyrd import GaussianDecoder, toy_source
from toyrd.appendix_e import train_all
from toyrd.figure import number, text_table
from toyrd.figure2 import compute_columns, train_columns

BLOCK = 20
"""Steps in each timing."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    count = number(1, 10**6, int)
    parser.add_argument("--steps", type=count, default=2000, metavar="N", help="to time (2000)")
    runs: dict[str, Any] = {"type": count, "nargs": "+", "default": [1, 50], "metavar": "N"}
    parser.add_argument("--restarts", **runs, help="sizes of a batch (1 50)")
    options = parser.parse_args(argv)
    rows = []
    for restarts in options.restarts:
        bare, step = measure(restarts, options.steps)
        rows.append([restarts, *(1e6 * one for one in (bare, step, step / restarts)), step / bare])
    print("a gradient step of all restarts together, 30 symbols and 30 latents")
    header = ["restarts", "bare, µs", "step, µs", "a restart, µs", "ratio"]
    print(text_table(header, rows, digits=1), "\n")
    print(columns(options.steps))


def measure(restarts: int, steps: int) -> tuple[float, float]:
    """Return the seconds of a bare step and of a step of training, in the fastest blocks."""
    p, of_bare, of_training = toy_source().p, [np.inf], [np.inf]
    bare, clock = bare_step(restarts, p.size), time.perf_counter()

    def between_blocks(*_: object) -> None:
        nonlocal clock
        of_training.append(time.perf_counter() - clock)
        of_bare.append(best_of(1, lambda: [bare() for _ in range(BLOCK)]))
        clock = time.perf_counter()

    fixed: dict[str, Any] = {"every": BLOCK, "rng": 0, "callback": between_blocks}
    train_all(p, restarts, beta=1, steps=max(steps, BLOCK), **fixed)
    return min(of_bare) / BLOCK, min(of_training) / BLOCK


def bare_step(restarts: int, n: int) -> Callable[[], None]:
    """Return a function that does the products and exponentials of one step for n symbols."""
    rng = np.random.default_rng(0)
    inputs, pairs = rng.normal(size=(n, 2)), rng.normal(size=(restarts, 2, n))
    exponents, logits = -rng.random((restarts, n, n)), rng.normal(size=(restarts, n))
    table, sums = np.exp(exponents), np.ones((restarts, n))

    def step() -> None:
        for _ in ("encoder", "decoder"):
            np.matmul(inputs, pairs)  # w x − b
            np.exp(exponents).sum(axis=-1)
            np.log(sums)
            (table * exponents).sum(axis=-1)  # what R and D sum up
            np.matmul(inputs.T, table)  # the gradient of (w, b)
        np.exp(logits).sum(axis=-1)
        np.log(sums)

    return step


def columns(steps: int) -> str:
    """Time the three columns of Figure 2, once everything is imported."""
    source = toy_source()
    ways: dict[str, Callable[[], object]] = {
        "solved, all tables free": lambda: compute_columns(source),
        "solved, Gaussian rows": lambda: compute_columns(source, decoder=GaussianDecoder(30)),
        f"trained by {steps} steps": lambda: train_columns(source, rng=0, steps=steps),
    }
    rows = [[name, best_of(3, way)] for name, way in ways.items()]
    return text_table(["columns of Figure 2", "seconds"], rows, digits=3)


if __name__ == "__main__":
    main()
