"""Draw Figure 4 for real images: MNIST or any other set of small pictures of 0 and 1.

Reads the standard IDX files (gzip or plain; grey pixels are compared with a threshold) or an
.npz of images, takes them as the empirical distribution, and fits decoders of independent
pixels with K latents at each β, always from images drawn far apart. With --state the fit is
kept in a file after each β and on Ctrl-C, and the same command goes on from there.

    python examples/binary_mnist.py train-images-idx3-ubyte.gz [--latents 100] [--state fit.npz]

60,000 images of 28×28 pixels with 100 latents take about a second for an iteration and less
than 2 GiB.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import math
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toyrd.bernoulli import BernoulliDecoder
from toyrd.checks import Array, as_count, as_number, as_rng
from toyrd.families import LEAST_BETA, FamilyProblem, FamilyState
from toyrd.figure import figure_parser, progress, run, text_table
from toyrd.figure4 import draw_columns
from toyrd.images import count_images
from toyrd.measures import entropy
from toyrd.regimes import Column, show

BETAS = (0.1, 1.0, 5.0, 10.0, 20.0, 40.0)
IDX_BYTES = 0x08  # the code of unsigned bytes in an IDX file's magic number
INPUTS = 8
KEPT = ("m", "before", "parameters", "row")  # of a state, in the file of --state

Images = NDArray[Any]
Problems = Sequence[FamilyProblem]


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("binary_mnist", "Draw Figure 4 for real images.")
    parser.prog = "binary_mnist.py"
    add = parser.add_argument
    add("images", type=Path, metavar="PATH", help="an IDX file, gzip or plain, or an .npz")
    add("--threshold", type=float, metavar="T", help="a pixel is on from T up (128 for bytes)")
    add("--latents", type=int, default=100, metavar="K", help="number of latents (100)")
    add("--betas", type=float, nargs="+", default=BETAS, metavar="B", help="one column for each")
    add("--marginal", choices=("uniform", "free"), default="uniform", help="m(z) (uniform)")
    add("--iterations", type=int, default=200, metavar="N", help="at most, for each β (200)")
    add("--tol", type=float, default=1e-5, metavar="T", help="least relative gain of one (1e-5)")
    add("--state", type=Path, metavar="PATH", help="file that keeps the fit, to go on from")
    return run(parser, command, argv)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    images = binary(read_images(options.images), options.threshold, options.images)
    distinct, p = count_images(images)
    family = BernoulliDecoder(distinct)
    fit = Fit(problems(family, p, options), options.state, label(images, options))
    fit.load()
    start = family.seeded_encoder(p, options.latents, rng=options.seed)
    cap = as_count("--iterations", options.iterations)
    tol = as_number("--tol", options.tol, low=0, open_low=True)
    with progress(None, "iterations") as callback:
        fit.run(start, tol=tol, cap=cap, callback=callback)
    rng = as_rng(options.seed)
    inputs = rng.choice(len(distinct), size=INPUTS, p=p[: len(distinct)])
    columns = [show(state, family, inputs, rng=rng) for state in fit.states.values()]
    return draw_columns(columns, family.images[inputs]), report(columns, fit, entropy(p))


def problems(family: BernoulliDecoder, p: Array, options: argparse.Namespace) -> Problems:
    """Return one problem for each β, from the smallest up."""
    betas = sorted({as_number("--betas", b, low=LEAST_BETA, high=1e300) for b in options.betas})
    latents = as_count("--latents", options.latents)
    marginal = np.full(latents, 1 / latents) if options.marginal == "uniform" else None
    return [FamilyProblem(p, beta, family, marginal) for beta in betas]


def label(images: Images, options: argparse.Namespace) -> str:
    """Return what a kept fit must agree on: the images and the options that shape it."""
    digest = hashlib.sha256(np.packbits(images.astype(bool)).tobytes()).hexdigest()
    return f"{digest} {options.betas} {options.latents} {options.marginal} {options.seed}"


def report(columns: Sequence[Column], fit: Fit, H: float) -> str:
    """Return a table of the columns in nats, with the gaps to their bounds."""
    rows = [
        [f"{c.beta:g}", c.R, c.D, c.D + c.R, c.D + c.beta * c.R - min(1, c.beta) * H, str(n)]
        for c, n in zip(columns, fit.counts, strict=True)
    ]
    header = ["beta (nats)", "R", "D", "-ELBO", "gap to min(1, beta) H", "iterations"]
    return text_table(header, rows, digits=4) + f"\nH = {H:.6f}"


@dataclass
class Fit:
    """Hold the state reached at each β so far; only the last may be unfinished."""

    problems: Problems
    path: Path | None
    label: str
    states: dict[int, FamilyState] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    finished: int = 0

    def run(self, start: Array, *, tol: float, cap: int, callback: Callable[[], object]) -> None:
        """Fit every β that is not finished, and keep the state if that is interrupted."""
        try:
            while self.finished < len(self.problems):
                self._fit_next(start, tol, cap, callback)
                self.finished += 1
                self.save()
        except KeyboardInterrupt:
            if self.path is not None and self.states:
                self.save()
                print(f"state kept in {self.path}; the same command goes on", file=sys.stderr)
            raise

    def _fit_next(
        self, start: Array, tol: float, cap: int, callback: Callable[[], object]
    ) -> None:
        i = self.finished
        begun = self.states.get(i)
        e, last = (start, np.inf) if begun is None else (begun.e, begun.objective)
        self.counts += [0] * (i + 1 - len(self.counts))
        for state in islice(self.problems[i].states(e), cap - self.counts[i]):
            callback()
            self.states[i] = state
            self.counts[i] += 1
            if last - state.objective <= tol * max(1.0, abs(state.objective)):
                break
            last = state.objective

    def save(self) -> None:
        """Write the states to the file, whole or not at all."""
        if self.path is None:
            return
        arrays: dict[str, Any] = {"label": np.array(self.label), "finished": self.finished}
        for i, state in self.states.items():
            arrays |= {f"{name}{i}": np.asarray(getattr(state, name)) for name in KEPT}
        part = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        try:
            with open(part, "wb") as file:
                np.savez(file, counts=self.counts, **arrays)
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)

    def load(self) -> None:
        """Take up the states in the file, if there is one."""
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise ValueError(f"{self.path} cannot be written: there is no such folder")
        if not self.path.exists():
            return
        arrays = read_npz(self.path)
        if str(arrays.get("label")) != self.label:
            raise ValueError(
                f"{self.path} keeps no fit of these images and options; "
                "give another --state, or delete it"
            )
        self.finished = int(arrays["finished"])
        self.counts = [int(count) for count in arrays["counts"]]
        for i in range(len(self.counts)):
            m, before, parameters, row = (arrays[f"{name}{i}"] for name in KEPT)
            D, R, I, objective = map(float, row)  # noqa: E741
            problem = self.problems[i]
            self.states[i] = FamilyState(problem, m, before, parameters, (D, R, I, objective))


def read_images(path: Path) -> Images:
    """Return the images in an IDX or .npz file, shape (n, height, width)."""
    if path.suffix.lower() == ".npz":
        return _only_images(read_npz(path), path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from None
    return _from_idx(data, path)


def _from_idx(data: bytes, path: Path) -> Images:
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError(
            f"{path} is no IDX file: it starts with 0x{data[:4].hex()}, "
            "but a file of images starts with 0x00000803"
        )
    kind, axes = data[2:4]
    if (kind, axes) != (IDX_BYTES, 3):
        labels = ", which holds labels" if (kind, axes) == (IDX_BYTES, 1) else ""
        raise ValueError(
            f"{path} has the magic number 0x{data[:4].hex()}{labels}; "
            "a file of images has 0x00000803: unsigned bytes on 3 axes"
        )
    if len(data) < 16:
        raise ValueError(f"{path} is truncated: its header has {len(data)} of 16 bytes")
    shape = struct.unpack(">3I", data[4:16])
    promised = math.prod(shape)
    sizes = "×".join(map(str, shape))
    if not promised:
        raise ValueError(f"{path} holds no pixels: its sizes are {sizes}")
    if len(data) - 16 != promised:
        state = "truncated" if len(data) - 16 < promised else "too long"
        raise ValueError(
            f"{path} is {state}: its header promises {sizes} = {promised} bytes of pixels, "
            f"but {len(data) - 16} follow"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=16).reshape(shape)


def read_npz(path: Path) -> dict[str, Images]:
    """Return the arrays in an .npz file by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as an .npz file of arrays: {error}") from None


def _only_images(arrays: dict[str, Images], path: Path) -> Images:
    found = {name: array for name, array in arrays.items() if array.ndim == 3 and array.size}
    if len(found) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:5])
        raise ValueError(
            f"{path} must hold one array of images with 3 axes (n, height, width), "
            f"but holds: {shapes or 'nothing'}"
        )
    return next(iter(found.values()))


def binary(images: Images, threshold: float | None, path: Path) -> Images:
    """Return images of 0 and 1; grey ones are on from the threshold up."""
    if images.dtype.kind not in "fiub":
        raise ValueError(f"{path} must hold numbers, not {images.dtype}")
    if threshold is None and not ((images != 0) & (images != 1)).any():
        return images.astype(np.uint8)
    if threshold is None and images.dtype != np.uint8:
        raise ValueError(f"{path} holds pixels that are neither 0 nor 1; give --threshold")
    return (images >= (128 if threshold is None else threshold)).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
