"""Measure what an update of the image models costs beside its bare products and exponentials.

Prints ratios of times in one run, each the fastest of several taken in turn, and memory:

- bars and stripes 4×4 with 30 latents (tables of 65,536×30): one update against its two matrix
  products and one exponential of a table; the most memory that a solve takes, in tables;
- 60,000 images of 784 pixels with 100 latents: one update against its two matrix products; the
  most memory that ``examples/binary_mnist.py`` takes on such a file.
"""

from __future__ import annotations

import gzip
import resource
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from toyrd.families import FamilyProblem
from toyrd.images import count_images
from toyrd.solution import ConvergenceWarning

from toyrd.bernoulli import BernoulliDecoder
from toyrd.checks import Array
from toyrd.solver import solve
from toyrd.sources import bars_and_stripes


def main() -> None:
    source = bars_and_stripes(4)
    measure("bars and stripes", source.images, source.p, 30, beta=1.1, runs=15, count_exp=True)
    images = synthetic_images(60_000)
    peak = peak_of_example(images)
    print(f"binary_mnist.py, 60,000×784×100: {peak:.2f} GiB at most  (wanted: below 2)")
    distinct, p = count_images(images)
    measure("binary images", distinct, p, 100, beta=1.0, runs=4, count_exp=False)


def measure(
    name: str,
    images: NDArray[np.generic],
    p: Array,
    n_z: int,
    *,
    beta: float,
    runs: int,
    count_exp: bool,
) -> None:
    """Print the ratio of an update to its bare parts, and the memory of updates in tables."""
    family = BernoulliDecoder(images)
    problem = FamilyProblem(p, beta, family)
    e = family.seeded_encoder(p, n_z, rng=0)
    update, *bare = time_update(problem, e, runs)
    if not count_exp:
        bare = bare[:2]
    what = "products and exponentials" if count_exp else "products"
    print(f"{name}, {family.n_x:,}×{n_z} table, {images[0].size} pixels:")
    print(f"  one update {update * 1e3:8.1f} ms, its {what} {sum(bare) * 1e3:8.1f} ms")
    print(f"  ratio      {update / sum(bare):8.2f}     (wanted: at most 2)")
    print(f"  memory     {peak_in_tables(problem, e):8.2f} tables (wanted: at most 4)")


def time_update(problem: FamilyProblem, e: Array, runs: int) -> list[float]:
    """Return the least seconds of one update, and of each of its bare parts."""
    assert isinstance(problem.family, BernoulliDecoder)
    states = problem.states(e)
    parts = bare_parts(problem.family, e, next(states).parameters)
    return fastest([lambda: next(states), *parts], runs)


def bare_parts(
    family: BernoulliDecoder, e: Array, parameters: Array
) -> list[Callable[[], object]]:
    """Return the products and the exponential of one update, and nothing else."""
    pixels = family.images.reshape(len(family.images), -1)
    table, joint = np.empty((len(parameters), len(pixels))), e[: len(pixels)].T.copy()
    weights = np.clip(parameters, -700, 700)
    exponents = family.log_rows(weights)[:, : len(pixels)]
    exponents -= exponents.max(axis=0)
    return [
        lambda: np.matmul(weights, pixels.T, out=table),
        lambda: joint @ pixels,
        lambda: np.exp(exponents, out=table),
    ]


def fastest(actions: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Return the least seconds of each action, all run in turn."""
    seconds = np.empty((runs, len(actions)))
    for i, j in np.ndindex(*seconds.shape):
        start = time.perf_counter()
        actions[j]()
        seconds[i, j] = time.perf_counter() - start
    return [float(value) for value in seconds.min(axis=0)]


def peak_in_tables(problem: FamilyProblem, e: Array) -> float:
    """Return the most memory held by a solve, as a number of tables of the encoder's size."""
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # three updates are enough here
        solve(problem.p, beta=problem.beta, decoder=problem.family, start=e, max_iter=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / e.nbytes


def synthetic_images(n: int) -> NDArray[np.uint8]:
    """Return n images of 28×28 pixels from fifty blurred prototypes, all but surely distinct."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(50, 4, 4)).repeat(7, axis=1).repeat(7, axis=2)
    means = 1 / (1 + np.exp(-4 * waves + 1))
    kind = rng.integers(50, size=n)
    return np.stack([rng.random((28, 28)) < means[k] for k in kind]).astype(np.uint8)


def peak_of_example(images: NDArray[np.uint8]) -> float:
    """Return the peak memory in GiB of the example on a file of these images."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.gz")
        header = struct.pack(">4I", 0x803, *images.shape)
        path.write_bytes(gzip.compress(header + (images * 255).tobytes(), compresslevel=1))
        script = Path(__file__).with_name("binary_mnist.py")
        options = ["--betas", "1", "--iterations", "3", "--output", f"{folder}/figure.png"]
        command = [sys.executable, str(script), str(path), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return kibibytes / 2**20 if sys.platform != "darwin" else kibibytes / 2**30


if __name__ == "__main__":
    main()
