"""Spread a frontier over processes or machines, and see from which size on that pays.

A process must start and import numpy and scipy, which takes most of a second, so workers lose on
small problems. Here every point is a certified optimum over Gaussian decoder rows, for the paper's
toy in more and more bins: work that grows, while little is sent. The last line says from which
size on the workers were faster than the same sweep in order. Takes about 40 s.

Each process uses one thread for its matrices. By default it would use one for each processor;
several processes then fight for the processors, and tables as small as these gain nothing.

`workers` takes a number of processes, −1 for one on each processor, or anything that maps a
function over an iterable. A pool of your own starts once for many frontiers; give its ``map``:

    with concurrent.futures.ProcessPoolExecutor() as pool:
        curve = frontier(p, decoder=decoder, betas=betas, workers=pool.map)

With Dask the machines of a cluster do the work, as in tests/test_dask.py:

    client = dask.distributed.Client()
    workers = lambda solve, chains: client.gather(client.map(solve, list(chains)))

Each worker gets a chain of neighbouring β, so that its solves start warm.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy, and for the workers as well

import numpy as np

from toyrd import Frontier, GaussianDecoder, frontier, toy_source
from toyrd.checks import Array, as_count
from toyrd.figure import text_table


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="workers.py", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--processes", type=int, default=-1, metavar="N", help="-1: one on each processor (-1)")
    add("--bins", type=int, nargs="+", default=[5, 20, 60, 180], metavar="N", help="sizes to try")
    add("--points", type=int, default=32, metavar="N", help="of each frontier (32)")
    options = parser.parse_args(argv)
    try:
        sizes = sorted({as_count("--bins", n) for n in options.bins})
        betas = 1 + np.geomspace(0.05, 2, as_count("--points", options.points))
        rows = [compare(n, betas, options.processes) for n in sizes]
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    header = ["bins", "in order, s", "workers, s", "times faster", "largest difference"]
    print(text_table(header, [[*row[:4], f"{row[4]:.0e}"] for row in rows], digits=2))
    print(verdict([(n, faster) for n, _, _, faster, _ in rows]))
    return 0


def compare(n: int, betas: Array, processes: int) -> tuple[int, float, float, float, float]:
    """Return the size, the seconds of both sweeps, their ratio, and how their answers differ."""
    p, decoder = finer_toy(n), GaussianDecoder(n)
    one, in_order = timed(p, decoder, betas, workers=1)
    many, spread = timed(p, decoder, betas, workers=processes)
    return (
        n,
        in_order,
        spread,
        in_order / spread,
        float(np.abs(many.objective - one.objective).max()),
    )


def finer_toy(n: int) -> Array:
    """Return the paper's toy in n bins instead of 30, over the same range."""
    scale = n / 30
    means = (np.array([9.830, 19.141]) + 0.5) * scale - 0.5
    return toy_source(means=means, widths=np.array([2.256, 3.405]) * scale, n_bins=n).p


def timed(
    p: Array, decoder: GaussianDecoder, betas: Array, *, workers: int
) -> tuple[Frontier, float]:
    """Return the frontier and the seconds that it took, the start of the workers included."""
    start = time.perf_counter()
    curve = frontier(p, decoder=decoder, betas=betas, workers=workers)
    return curve, time.perf_counter() - start


def verdict(found: Sequence[tuple[int, float]]) -> str:
    """Say from which size on workers were a tenth faster or more."""
    slow = [n for n, faster in found if faster < 1.1]
    paying = [n for n, _ in found if n > max(slow, default=0)]
    if not paying:
        return f"workers do not pay up to {found[-1][0]} bins on this machine"
    return f"workers pay from {paying[0]} bins on"


if __name__ == "__main__":  # a process that is started anew imports this file again
    sys.exit(main())
