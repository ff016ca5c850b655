"""Figure 4 of the paper, exactly: images from autoencoder to autodecoder as β grows.

``python -m toyrd.figure4`` solves bars-and-stripes with decoders of independent pixels and a
uniform marginal m(z) = 1/n_z, one model for each β, the best of several starts. It draws
reconstructions (z ~ e(z|x)) and generations (z ~ m) as pixel means under d(x|z), and prints R,
D, −ELBO and the gap to the lower bound min(1, β) H, in nats.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .bernoulli import BernoulliDecoder
from .checks import Array, as_count, as_rng
from .figure import UNITS, figure_parser, figure_style, progress, run, text_table
from .measures import entropy
from .plotting_images import plot_image_columns
from .regimes import BETAS, Column, choose_inputs, compute_columns
from .sources import Source, bars_and_stripes

__all__ = ["draw_columns", "main"]

SIZE, GAP, MARGIN = 0.33, 0.15, 0.65  # inches: of a picture, between the βs, left of the inputs

CAPTION = (
    "R, D and −ELBO = D + R in nats. rec.: pixel means under d(x|z) for z drawn from e(z|x), "
    "x the input. gen.: the same for z drawn from m(z)."
)


def draw_columns(columns: Sequence[Column], inputs: Array) -> Figure:
    """Draw inputs, then reconstructions and generations for each β, with R, D and −ELBO below.

    Parameters
    ----------
    columns : sequence of Column
        From `compute_columns`.
    inputs : numpy.ndarray, shape (n, height, width)
        The pictures that are reconstructed.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> pictures = np.eye(2)[None]
    >>> column = Column(1.0, 0.5, 0.5, "semantic", pictures, pictures)
    >>> len(draw_columns([column, column], pictures).axes)
    3
    """
    step = 2 * SIZE + GAP
    caption = textwrap.wrap(CAPTION, int(18 * (MARGIN + len(columns) * step)))
    below = 0.7 + 0.13 * len(caption)
    width = MARGIN + SIZE + len(columns) * step + 0.2
    height = 0.75 + SIZE * len(inputs) + below
    with figure_style():
        figure = Figure(figsize=(width, height))

        def axes(left: float, pictures: int) -> Axes:
            sides = (left / width, below / height, pictures * SIZE / width)
            return figure.add_axes((*sides, SIZE * len(inputs) / height))

        first = plot_image_columns([inputs], ax=axes(MARGIN, 1))
        _write(first, "input", ("R", "D", "−ELBO"), 0.98, "right")
        places = [axes(MARGIN + SIZE + GAP + j * step, 2) for j in range(len(columns))]
        for ax, one in zip(places, columns, strict=True):
            stacks = [one.reconstructions, one.generations]
            plot_image_columns(stacks, labels=("rec.", "gen."), ax=ax)
            numbers = [f"{value:.4f}" for value in (one.R, one.D, one.R + one.D)]
            _write(ax, f"β = {one.beta:g}", numbers, 0.5, "center")
        _bracket(figure, columns, places)
        figure.text(0.1 / width, 0.1 / height, "\n".join(caption), fontsize=7)
    return figure


def _write(ax: Axes, title: str, lines: Sequence[str], x: float, ha: str) -> None:
    """Write a title above the axes' labels, and lines below the axes."""
    ax.annotate(title, (0.5, 1), (0, 14), *UNITS, ha="center")
    ax.annotate("\n".join(lines), (x, 0), (0, -5), *UNITS, ha=ha, va="top", linespacing=1.35)


def _bracket(figure: Figure, columns: Sequence[Column], places: Sequence[Axes]) -> None:
    """Draw a line with the regime's name over the columns that share it."""
    height, pairs = figure.get_figheight(), zip(columns, places, strict=True)
    for name, group in groupby(pairs, key=lambda pair: pair[0].regime):
        boxes = [ax.get_position() for _, ax in group]
        left, right, y = boxes[0].x0, boxes[-1].x1, boxes[0].y1 + 0.42 / height
        if name:
            figure.add_artist(Line2D([left, right], [y, y], color="black", linewidth=1))
            middle = ((left + right) / 2, y + 0.05 / height)
            figure.text(*middle, name, ha="center", fontweight="bold")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure4 --help``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 after an error, 130 after an interrupt.

    Examples
    --------
    >>> import sys; sys.stderr = sys.stdout  # to show the error here
    >>> main(["--size", "5"])
    toyrd.figure4: n is 5, but 2^(n²) images fit in memory only up to n = 4
    2
    """
    parser = figure_parser("figure4", "Draw images from autoencoder to autodecoder.")
    add = parser.add_argument
    add("--size", type=int, default=3, metavar="N", help="side of the images, 1 to 4 (3)")
    add("--flip", type=float, default=0.05, metavar="F", help="P(a pixel is flipped) (0.05)")
    add("--latents", type=int, metavar="K", help="8 for each pattern, or 2 if --size is 4")
    add("--betas", type=float, nargs="+", default=BETAS, metavar="B", help="one column for each")
    words = "uniform: latents that little data needs cost rate (default); free: they do not"
    add("--marginal", choices=("uniform", "free"), default="uniform", help=words)
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    source = bars_and_stripes(options.size, flip=options.flip)
    k = source.p_z.size
    default = k * (8 if options.size < 4 else 2)
    n_z = as_count("--latents", default if options.latents is None else options.latents)
    rng = as_rng(options.seed)
    inputs = choose_inputs(source, rng=rng)
    with progress(len(set(options.betas)), "betas") as callback:
        columns = compute_columns(
            source.p,
            BernoulliDecoder(source.images),
            options.betas,
            inputs=inputs,
            n_z=n_z,
            seeds=_seed_counts(k, n_z),
            marginal=np.full(n_z, 1 / n_z) if options.marginal == "uniform" else None,
            information=source.information,
            rng=rng,
            callback=callback,
        )
    return draw_columns(columns, source.images[inputs]), _report(columns, source)


def _seed_counts(k: int, n_z: int) -> list[int]:
    """Return k three times, since seeds may miss a pattern, then twice as many, up to n_z."""
    k = min(k, n_z)
    return [k, k, k] + [k << j for j in range(1, n_z) if k << j <= n_z]


def _report(columns: Sequence[Column], source: Source) -> str:
    """Return a table of the columns in nats, with the gaps to their bounds."""
    H, information = entropy(source.p), source.information
    rows = []
    for c in columns:
        gap = max(0.0, c.D + c.beta * c.R - min(1, c.beta) * H)
        rows.append([c.regime, f"{c.beta:g}", c.R, c.D, c.D + c.R, gap])
    header = ["regime (nats)", "beta", "R", "D", "-ELBO", "gap to min(1, beta) H"]
    lines = [
        f"beta = 1: R - I = {c.R - information:.1e}, D + R - H = {c.D + c.R - H:.1e}"
        for c in columns
        if c.beta == 1
    ]
    known = f"H = {H:.6f}, I(X; pattern) = {information:.6f}"
    return "\n".join([text_table(header, rows), known, *lines])


if __name__ == "__main__":
    sys.exit(main())
