"""Draw Figure 4 for real images: MNIST or any other set of small pictures of 0 and 1.

Reads images from an IDX file, from an .npy array or from an .npz with one array of images, each
plain or packed by gzip. Grey pixels are compared with a threshold. The images are taken as the
empirical distribution; decoders of independent pixels with K latents are fitted at each β,
always from images drawn far apart. With --state the fit is kept in a file after each β and on
Ctrl-C, and the same command goes on from there.

    python examples/binary_mnist.py train-images-idx3-ubyte.gz [--latents 100] [--state fit.npz]

60,000 images of 28×28 pixels with 100 latents take about a second for an iteration and less
than 2 GiB.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from image_files import Images, RefusedError, arrays_in, images_in, read
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toyrd import BernoulliDecoder, Solution, Status, Target, alternate, count_images, entropy
from toyrd.checks import Array, as_count, as_distribution, as_number, as_rng, no_nan
from toyrd.figure import figure_parser, progress, run, text_table
from toyrd.figure4 import Column, draw_columns, name_regime, show
from toyrd.model import expectation, relative_entropy_terms, respond

BETAS = (0.1, 1.0, 5.0, 10.0, 20.0, 40.0)
LEAST_BETA = 1e-3
INPUTS = 8


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("binary_mnist", __doc__)
    parser.prog = "binary_mnist.py"
    add = parser.add_argument
    add("images", type=Path, metavar="PATH", help="an IDX file, an .npy or an .npz")
    add("--threshold", type=float, metavar="T", help="a pixel is on from T up (128 for bytes)")
    add("--latents", type=int, default=100, metavar="K", help="number of latents (100)")
    add("--betas", type=float, nargs="+", default=BETAS, metavar="B", help="one column for each")
    add("--marginal", choices=("uniform", "free"), default="uniform", help="m(z) (uniform)")
    add("--iterations", type=int, default=200, metavar="N", help="at most, for each β (200)")
    add("--tol", type=float, default=1e-5, metavar="T", help="least relative gain of one (1e-5)")
    add("--state", type=Path, metavar="PATH", help="file that keeps the fit, to go on from")
    return run(parser, command, argv)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    if options.threshold is not None:
        as_number("--threshold", options.threshold)
    betas = sorted({as_number("--betas", b, low=LEAST_BETA, high=1e300) for b in options.betas})
    latents = as_count("--latents", options.latents)
    cap = as_count("--iterations", options.iterations)
    tol = as_number("--tol", options.tol, low=0, open_low=True)
    images = binary(read(options.images, images_in), options.threshold, options.images)
    distinct, p = count_images(images)
    family, uniform = BernoulliDecoder(distinct), np.full(latents, 1 / latents)
    fit = Fit(p, family, uniform, options.marginal == "uniform", betas, options.state)
    fit.load(f"{betas} {latents} {options.marginal} {options.seed}".encode(), images)
    start = family.seeded_encoder(p, latents, rng=options.seed)
    with progress(cap * len(betas), "iterations at most") as callback:
        fit.run(start, tol=tol, cap=cap, callback=callback)
    rng = as_rng(options.seed)
    inputs = rng.choice(len(distinct), size=INPUTS, p=p[: len(distinct)])
    columns = [fit.column(i, inputs, rng) for i in range(len(betas))]
    about = f"{len(images):,} images, {latents} latents."
    picture = draw_columns(columns, family.images[inputs], about=about, width=options.width)
    return picture, report([column.solution for column in columns])


def report(found: Sequence[Solution]) -> str:
    """Return a table of the solutions in nats, with the gaps to their bounds."""
    rows = [[f"{s.beta:g}", s.R, s.D, s.D + s.R, s.gap, str(s.iterations)] for s in found]
    header = ["beta (nats)", "R", "D", "-ELBO", "gap to the bound", "iterations"]
    return text_table(header, rows, digits=4) + f"\nH = {found[0].H:.6f}"


class State(NamedTuple):
    """What an iteration found: m and the old rows give e, and the rows are the best ones for e."""

    m: Array
    before: Array
    parameters: Array


@dataclass
class Fit:
    """The state reached at each β so far; only the last may be unfinished."""

    p: Array
    family: BernoulliDecoder
    uniform: Array
    fixed: bool
    betas: Sequence[float]
    path: Path | None
    label: bytes = b""
    states: list[State] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    finished: int = 0

    def run(self, start: Array, *, tol: float, cap: int, callback: Callable[[], object]) -> None:
        """Fit every β that is not finished, and keep the state if that is interrupted."""
        try:
            while self.finished < len(self.betas):
                self._fit_next(start, tol, cap, callback)
                self.finished += 1
                self.save()
        except KeyboardInterrupt:
            if self.path is not None and self.states:
                self.save()
                print(f"state kept in {self.path}; the same command goes on", file=sys.stderr)
            raise

    def _fit_next(self, e: Array, tol: float, cap: int, callback: Callable[[], object]) -> None:
        i, last = self.finished, math.inf
        beta = self.betas[i]
        if i == len(self.states):
            rows = self.family.fit((self.p[:, None] * e).T)
            self.states.append(State(self.uniform, rows, rows))
            self.counts.append(0)
        elif self.counts[i]:
            e, D, R = self._measure(i)
            last = D + beta * R
        marginal = self.uniform if self.fixed else None
        steps = alternate(self.p, beta=beta, decoder=self.family, marginal=marginal, start=e)
        for found in islice(steps, max(0, cap - self.counts[i])):
            callback()
            self.states[i] = State(found.m, self.states[i].parameters, found.parameters)
            self.counts[i] += 1
            if last - found.objective <= tol * max(1.0, abs(found.objective)):
                break
            last = found.objective

    def _measure(self, i: int) -> tuple[Array, float, float]:
        """Return the encoder of a state, with D and R, from its tables alone."""
        m, before, parameters = self.states[i]
        e = respond(-self.family.log_rows(before).T, m, self.betas[i])[0]
        D = expectation(self.p[:, None] * e, -self.family.log_rows(parameters).T)
        return e, D, float(self.p @ relative_entropy_terms(e, m).sum(axis=1))

    def column(self, i: int, inputs: NDArray[np.intp], rng: np.random.Generator) -> Column:
        """Return what the figure shows of a β; its large tables are not kept."""
        (e, D, R), (m, _, parameters) = self._measure(i), self.states[i]
        target, H = Target("beta", self.betas[i]), entropy(self.p)
        objective = target.objective(D, R)
        found = Solution(
            target=target,
            status=Status.LOCAL,
            beta=target.value,
            D=D,
            R=R,
            objective=objective,
            gap=max(0.0, objective - target.bound(H, math.log(m.size), D, R)),
            p=self.p,
            m=m,
            cost=np.zeros((0, 0)),
            encoder=e,
            iterations=self.counts[i],
            parameters=parameters,
        )
        regime, pictures = name_regime(R, n_z=m.size), show(found, self.family, inputs, rng)
        return Column(replace(found, encoder=None), regime, *pictures)

    def save(self) -> None:
        """Write the states to the file, whole or not at all."""
        if self.path is None:
            return
        arrays: dict[str, Any] = {"begun": len(self.states), "finished": self.finished}
        arrays["counts"] = np.array(self.counts, dtype=np.int64)
        for i, state in enumerate(self.states):
            arrays |= {f"{name}{i}": table for name, table in state._asdict().items()}
        part = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        try:
            with open(part, "wb") as file:
                label = np.frombuffer(self.label, np.uint8)
                np.savez(file, label=label, **arrays)
            os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, options: bytes, images: Images) -> None:
        """Take up the states in the file, if there is one, of the same images and options."""
        of_images = f"{images.shape}".encode() + np.packbits(images.astype(bool)).tobytes()
        self.label = hashlib.sha256(options + of_images).digest()
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise ValueError(f"{self.path} cannot be written: there is no such folder")
        if self.path.exists():
            read(self.path, self._load)

    def _load(self, file: IO[bytes]) -> None:
        arrays, _ = arrays_in(file)

        def part(name: str, shape: tuple[int, ...], kind: str) -> Images:
            found = arrays.get(name, np.zeros(0))
            if found.shape != shape or found.dtype.kind != kind:
                raise RefusedError(f"is damaged: {name} is not there in the shape {shape}")
            no_nan(name, found)
            return found

        if arrays.get("label", np.zeros(0)).tobytes() != self.label:
            raise RefusedError(
                "keeps no fit of these images and options; give another --state, or delete it"
            )
        n, rows = (int(part(name, (), "i")) for name in ("finished", "begun"))
        if not 0 <= n <= rows <= min(n + 1, len(self.betas)):
            raise RefusedError(f"is damaged: it has {rows} fits, {n} of them finished")
        self.finished, self.counts = n, [max(0, int(k)) for k in part("counts", (rows,), "i")]
        latents, pixels = self.uniform.size, self.family.images[0].size
        for i in range(rows):
            m = as_distribution(f"m{i}", part(f"m{i}", (latents,), "f"))
            tables = (part(f"{name}{i}", (latents, pixels), "f") for name in State._fields[1:])
            self.states.append(State(m, *tables))


def binary(images: Images, threshold: float | None, path: Path) -> Images:
    """Return images of 0 and 1; grey ones are on from the threshold up."""
    no_nan(str(path), images)
    if threshold is None and not ((images != 0) & (images != 1)).any():
        return images.astype(np.uint8)
    if threshold is None and images.dtype != np.uint8:
        raise ValueError(f"{path} holds pixels that are neither 0 nor 1; give --threshold")
    return (images >= (128 if threshold is None else threshold)).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
