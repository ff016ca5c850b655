"""Compare gradient steps of Appendix E with the bare arithmetic that they cannot do without.

The bare step does every matrix product and every exponential (and logarithm) of one exact
gradient step, in ready buffers, and nothing else. Short blocks of both alternate within one
training, and the fastest of each are compared, the ones that no other work on the machine
interrupted: the ratio is what a step costs beside its arithmetic.

    python examples/benchmark_gradients.py [--steps 10000] [--block 20] [--restarts 1 50]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np

from toyrd import toy_source
from toyrd.appendix_e import train_all
from toyrd.figure import text_table


def bare_step(runs: int, n: int) -> Callable[[], None]:
    """Return a function that does the products and exponentials of one step for n symbols."""
    rng = np.random.default_rng(0)
    pairs, inputs, ones = rng.normal(size=(runs, 2, n)), rng.normal(size=(n, 2)), np.ones(n)
    logits, weights = rng.normal(size=(runs, n)), np.full(n, 1 / n)
    exponents, tables = -rng.random((2, runs, n, n)), np.empty((2, runs, n, n))
    powers, sums, column = np.empty_like(logits), np.empty_like(logits), np.empty((runs, 1))
    products, back = np.empty((2, runs, n, n)), np.empty((runs, 2, n))
    norms, logs = np.ones((runs, 2 * n + 1)), np.empty((runs, 2 * n + 1))
    by_z, inputs_t, pairs_t = rng.normal(size=(runs, 2, n)), inputs.T, pairs.swapaxes(1, 2)
    back_t, rows = back.swapaxes(1, 2), exponents.reshape(2, runs, 1, n * n)

    def step() -> None:
        np.matmul(inputs, pairs, out=products[0])  # encoder: w x − b
        np.matmul(pairs_t, inputs_t, out=products[1])  # decoder
        np.exp(exponents, out=tables)
        np.exp(logits, out=powers)
        np.matmul(tables[0], ones, out=sums)  # the three normalisers
        np.matmul(ones, tables[1], out=sums)
        np.matmul(powers, ones, out=column[:, 0])
        np.log(norms, out=logs)
        np.matmul(ones, tables[0], out=sums)  # e(z)
        np.matmul(rows, tables[0].reshape(runs, n * n, 1))  # the sums in D and R
        np.matmul(by_z, sums[..., None])
        np.matmul(sums, weights)
        np.matmul(tables[0], ones, out=sums)  # the mean cost of each row
        np.matmul(inputs_t, tables[0], out=back)  # gradients of (w, b)
        np.matmul(tables[1], inputs, out=back_t)

    return step


def measure(runs: int, steps: int, block: int) -> tuple[float, float]:
    """Return the seconds of a bare step and of a step of training, in the fastest blocks."""
    p = toy_source().p
    bare = bare_step(runs, p.size)
    of_bare: list[float] = []
    of_training: list[float] = []
    clock = time.perf_counter()

    def between_blocks(_: int, __: float) -> None:
        nonlocal clock
        begin = time.perf_counter()
        of_training.append(begin - clock)
        for _ in range(block):
            bare()
        clock = time.perf_counter()
        of_bare.append(clock - begin)

    train_all(p, runs, beta=1, steps=steps, every=block, rng=0, callback=between_blocks)
    return min(of_bare) / block, min(of_training) / block


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000, help="of training (10000)")
    parser.add_argument("--block", type=int, default=20, help="steps in each timing (20)")
    parser.add_argument("--restarts", type=int, nargs="+", default=[1, 50], help="batches (1 50)")
    options = parser.parse_args(argv)
    rows = []
    for runs in options.restarts:
        bare, step = measure(runs, options.steps, options.block)
        rows.append([runs, 1e6 * bare / runs, 1e6 * step / runs, step / bare])
    print("exact gradient steps of Adam, 30 symbols and 30 latents")
    print(text_table(["restarts", "bare, µs", "step, µs", "ratio"], rows, digits=2))
    print("microseconds for each step of each restart; the ratio is to be at most 3")


if __name__ == "__main__":
    main()
