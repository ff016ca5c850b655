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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    Solution,
    bars_and_stripes,
    count_images,
    solve,
)
from toyrd.checks import Array


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
    task = Task(family, p, beta, family.seeded_encoder(p, n_z, rng=0))
    update, solution = task.time_update(runs)
    bare = fastest(task.bare_parts(solution), runs)
    if not count_exp:
        bare = bare[:2]
    what = "products and exponentials" if count_exp else "products"
    print(f"{name}, {p.size:,}×{n_z} table, {images[0].size} pixels:")
    print(f"  one update {update * 1e3:8.1f} ms, its {what} {sum(bare) * 1e3:8.1f} ms")
    print(f"  ratio      {update / sum(bare):8.2f}     (wanted: at most 2)")
    print(f"  memory     {task.peak_in_tables():8.2f} tables (wanted: at most 4)")


@dataclass(frozen=True)
class Task:
    """An image model to fit by alternation, and the encoder to start from."""

    family: BernoulliDecoder
    p: Array
    beta: float
    e: Array

    def solve(self, iterations: int, callback: Callable[..., object] | None = None) -> Solution:
        """Run a few updates."""
        cap: dict[str, Any] = {"max_iter": iterations, "tol": 1e-300, "callback": callback}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a few updates are enough here
            return solve(self.p, beta=self.beta, decoder=self.family, start=self.e, **cap)

    def time_update(self, runs: int) -> tuple[float, Solution]:
        """Return the least seconds from one update to the next, and where they end."""
        stamps: list[float] = []
        solution = self.solve(runs + 1, lambda *_: stamps.append(time.perf_counter()))
        return float(np.diff(stamps).min()), solution

    def bare_parts(self, solution: Solution) -> list[Callable[[], object]]:
        """Return the products and the exponential of one update, and nothing else."""
        pixels = self.family.images.reshape(len(self.family.images), -1)
        weights = np.clip(solution.parameters, -700, 700)
        table, joint = np.empty((len(weights), len(pixels))), solution.e[: len(pixels)].T.copy()
        exponents = self.family.log_rows(weights)[:, : len(pixels)]
        exponents -= exponents.max(axis=0)
        return [
            lambda: np.matmul(weights, pixels.T, out=table),
            lambda: joint @ pixels,
            lambda: np.exp(exponents, out=table),
        ]

    def peak_in_tables(self) -> float:
        """Return the most memory held by a solve, in tables of the encoder's size."""
        tracemalloc.start()
        self.solve(3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / self.e.nbytes


def fastest(actions: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Return the least seconds of each action, all run in turn."""
    seconds = np.empty((runs, len(actions)))
    for i, j in np.ndindex(*seconds.shape):
        start = time.perf_counter()
        actions[j]()
        seconds[i, j] = time.perf_counter() - start
    return [float(value) for value in seconds.min(axis=0)]


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
