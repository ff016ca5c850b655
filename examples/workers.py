"""Spread a frontier over processes, or over machines.

`workers` takes a number of processes, or anything that maps a function over an iterable. With
an executor that is its ``map``; for Dask one line changes:

    client = dask.distributed.Client()
    workers = lambda solve, chains: client.gather(client.map(solve, list(chains)))

Each worker gets a chain of neighbouring β, so that its solves are warm. Workers pay where a
point takes longer than a few milliseconds: hundreds of symbols, or a family of decoders.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from numpy.typing import NDArray

from toyrd.frontier import Frontier, frontier

Array = NDArray[np.float64]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="compare a sweep in order and over processes")
    parser.add_argument("--symbols", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(argv)
    p, cost = squared_error(options.symbols)
    betas = np.geomspace(10**-2.5, 1, 50)

    start = time.perf_counter()
    serial = frontier(p, cost=cost, betas=betas)
    report("in order", serial, start)

    start = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as executor:
        workers = executor.map
        spread = frontier(p, cost=cost, betas=betas, workers=workers)
    report(f"over {options.processes} processes", spread, start)
    print(
        f"largest difference in the objective: {np.ptp(spread.objective - serial.objective):.1e}"
    )


def squared_error(n: int) -> tuple[Array, Array]:
    """Return a source on [0, 1] with two humps, and the squared distance as its cost."""
    x = np.linspace(0, 1, n)
    p = 0.7 * np.exp(-((x - 0.3) ** 2) / 0.01) + 0.3 * np.exp(-((x - 0.7) ** 2) / 0.03)
    return p / p.sum(), (x[:, None] - x) ** 2


def report(name: str, curve: Frontier, start: float) -> None:
    seconds = time.perf_counter() - start
    print(f"{name:18s} {seconds:6.2f} s, largest gap {curve.gap.max():.1e}")


if __name__ == "__main__":  # a process that is started anew imports this file again
    main()
