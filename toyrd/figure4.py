"""Figure 4: images from autoencoder to autodecoder as β grows (about 10 s; size 4: 1.5 minutes).

``python -m toyrd.figure4`` solves bars-and-stripes with decoders of independent pixels and a
uniform marginal m(z) = 1/n_z, one model for each β, the best of several starts; of models that
tie, the one of least rate. It draws reconstructions (z ~ e(z|x)) and generations (z ~ m) as
pixel means under d(x|z), and prints R, D, −ELBO and the gap to the lower bound, in nats.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from . import BernoulliDecoder, Solution, Source, bars_and_stripes, frontier
from .checks import Array, Seed, as_array, as_rng
from .figure import PAGE, UNITS, figure_parser, figure_style, number, progress, run, text_table
from .plotting import as_axes

Symbols = NDArray[np.intp]

BETAS = (0.1, 0.2, 0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 1.8, 2.0, 3.0)

FRAME, GAP = "#9db7d5", 0.07
"""Colour around pictures, no grey, so that any edge shows; and its width."""

MARGIN = 0.62
"""Inches left of the inputs."""

TOLERANCE = 1e-4
"""Of the search: an iteration that gains less than a hundredth of it is the last."""


class Column(NamedTuple):
    """What the figure shows of one β: the model, the name of its regime and its pictures."""

    solution: Solution
    regime: str
    reconstructions: Array
    generations: Array


def name_regime(R: float, *, n_z: int, information: float | None = None) -> str:
    """Name the regime that a rate belongs to.

    Parameters
    ----------
    R : float
        Rate in nats.
    n_z : int
        Number of latents; log n_z is the most that they carry.
    information : float, optional
        I(X; pattern), what there is to know of the true latent, if that is known.

    Returns
    -------
    str
        ``"autodecoder"`` for no rate, ``"semantic"`` up to the information and 1 % more,
        ``"autoencoder"`` within 1 % of log n_z, ``"syntactic"`` between; ``""`` where that is
        not known.

    Examples
    --------
    >>> [name_regime(R, n_z=100, information=2.5) for R in (0, 2.5, 3.5, 4.6)]
    ['autodecoder', 'semantic', 'syntactic', 'autoencoder']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 and Figure 4.
    """
    if R < 1e-3:
        return "autodecoder"
    if 0.99 * np.log(n_z) < R:
        return "autoencoder"
    if information is None:
        return ""
    return "semantic" if 1.01 * information >= R else "syntactic"


def compute_columns(
    source: Source, betas: Sequence[float], *, inputs: Symbols, rng: Seed = 0, **options: Any
) -> list[Column]:
    """Solve one model for each β by local search, and draw its pictures.

    Parameters
    ----------
    source : Source
        Images of known information, which names the regimes.
    betas : sequence of float
        Prices of a nat of rate.
    inputs : numpy.ndarray of int
        Symbols to reconstruct; as many generations are drawn.
    rng : int or numpy.random.Generator
        Of the starts and of the pictures.
    **options
        Of `frontier`, such as n_z, marginal, starts and callback; 15 starts by default.

    Returns
    -------
    list of Column
        In the order of `betas`.

    Raises
    ------
    ValueError
        If a number is out of range or shapes do not fit.

    Examples
    --------
    >>> source = bars_and_stripes(2)
    >>> columns = compute_columns(source, (0.5, 1.2, 3.0), inputs=np.array([0, 3]), n_z=6)
    >>> [column.regime for column in columns]
    ['autoencoder', 'semantic', 'autodecoder']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 4.
    """
    generator, family = as_rng(rng), BernoulliDecoder(source.images)
    options = {"starts": 15, "tol": TOLERANCE, **options}
    columns = []
    for one in frontier(source.p, decoder=family, betas=betas, rng=generator, **options):
        regime = name_regime(one.R, n_z=one.n_z, information=source.information)
        columns.append(Column(one, regime, *show(one, family, inputs, generator)))
    return columns


def show(
    solution: Solution, family: BernoulliDecoder, inputs: Symbols, rng: np.random.Generator
) -> list[Array]:
    """Draw z from e(z|x) of each input, and as often from m(z); return the pixel means of both."""
    tops = np.cumsum([*solution.e[inputs], *np.tile(solution.m, (inputs.size, 1))], axis=1)
    chosen = (tops < rng.random((len(tops), 1)) * tops[:, -1:]).sum(axis=1)
    return np.split(family.means(solution.parameters)[chosen], 2)


def choose_inputs(source: Source, *, pairs: int = 4, rng: np.random.Generator) -> Symbols:
    """Choose inputs two by two: a pattern without noise, then the same pattern with noise."""
    patterns = rng.choice(source.p_z.size, size=min(pairs, source.p_z.size), replace=False)
    chosen = []
    for row in source.p_x_given_z[patterns]:
        clean = int(np.argmax(row))
        noisy = np.where(np.arange(row.size) == clean, 0, row)
        total = noisy.sum()
        chosen += [clean, int(rng.choice(row.size, p=noisy / total)) if total else clean]
    return np.array(chosen)


def plot_image_columns(
    columns: Sequence[ArrayLike], *, labels: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw columns of pictures side by side, the first of each on top.

    Parameters
    ----------
    columns : sequence of array_like, shape (n, height, width)
        Pixel means between 0, drawn white, and 1, drawn black; n may vary.
    labels : sequence of str, optional
        One for each column, written above it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With one image for each picture; its limits are the numbers of columns and rows.

    Raises
    ------
    ValueError
        If a column is not a stack of pictures, or there are more labels than columns.

    Examples
    --------
    >>> ax = plot_image_columns([[[[0, 1], [1, 0]]], [[[0.5, 0.5], [0.5, 0.5]]]])
    >>> len(ax.images)
    2
    """
    stacks = [as_array(f"columns[{j}]", column, ndim=3) for j, column in enumerate(columns)]
    if len(labels) > len(stacks):
        raise ValueError(f"labels holds {len(labels)} labels for {len(stacks)} columns")
    ax = as_axes(ax)
    for j, stack in enumerate(stacks):
        for i, picture in enumerate(stack):
            extent = (j + GAP, j + 1 - GAP, i + 1 - GAP, i + GAP)
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=extent, interpolation="none")
    ax.set(xticks=[], yticks=[], aspect="equal", facecolor=FRAME)
    ax.set(xlim=(0, len(stacks)), ylim=(max(map(len, stacks)), 0))
    ax.spines[:].set_visible(False)
    for j, label in enumerate(labels):
        ax.annotate(label, (j + 0.5, 0), (0, 2), "data", "offset points", ha="center")
    return ax


def draw_columns(
    columns: Sequence[Column], inputs: Array, *, about: str = "", width: float = PAGE
) -> Figure:
    """Draw inputs, then reconstructions and generations for each β, with R, D and −ELBO below.

    Parameters
    ----------
    columns : sequence of Column
        From `compute_columns`.
    inputs : numpy.ndarray, shape (n, height, width)
        The pictures that are reconstructed.
    about : str
        What the images are, for the caption.
    width : float
        Of the page in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> source = bars_and_stripes(1)
    >>> columns = compute_columns(source, (0.5, 2.0), inputs=np.array([0, 1]), n_z=2)
    >>> len(draw_columns(columns, source.images).axes)
    3
    """
    step = (width - MARGIN - 0.1) / (len(columns) + 0.6)
    size = min(0.43 * step, 0.5)
    words = (
        f"{about} H = {columns[0].solution.H:.4f}. R, D and −ELBO = D + R in nats. rec: pixel "
        "means under d(x|z) for z drawn from e(z|x), x the input; gen: for z drawn from m(z)."
    )
    caption = textwrap.wrap(words, int(19.5 * width))
    below, tall = 0.62 + 0.125 * len(caption), size * len(inputs)
    height = 0.62 + tall + below
    lefts = [MARGIN, *(MARGIN + (j + 0.6) * step for j in range(len(columns)))]
    stacks = [[inputs], *([one.reconstructions, one.generations] for one in columns)]
    with figure_style():
        figure = Figure(figsize=(width, height))
        for left, stack in zip(lefts, stacks, strict=True):
            sides = (left / width, below / height, len(stack) * size / width, tall / height)
            labels = () if len(stack) == 1 else ("rec", "gen")
            plot_image_columns(stack, labels=labels, ax=figure.add_axes(sides))
        first, *places = figure.axes
        _write(first, "input", ("R", "D", "−ELBO"), -0.2, "right")
        for ax, found in zip(places, (one.solution for one in columns), strict=True):
            numbers = [f"{value:.4f}" for value in (found.R, found.D, found.R + found.D)]
            _write(ax, f"β = {found.beta:g}", numbers, 0.5, "center")
        _bracket(figure, columns, places)
        figure.text(0.08 / width, 0.08 / height, "\n".join(caption), fontsize=7)
    return figure


def _write(ax: Axes, title: str, lines: Sequence[str], x: float, ha: str) -> None:
    """Write a title above the axes' labels, and lines below the axes."""
    ax.annotate(title, (0.5, 1), (0, 12), *UNITS, ha="center", fontsize=7)
    ax.annotate("\n".join(lines), (x, 0), (0, -4), *UNITS, ha=ha, va="top", linespacing=1.3)


def _bracket(figure: Figure, columns: Sequence[Column], places: Sequence[Axes]) -> None:
    """Draw a line with the regime's name over the columns that share it."""
    height, pairs = figure.get_figheight(), zip(columns, places, strict=True)
    for name, group in groupby(pairs, key=lambda pair: pair[0].regime):
        boxes = [ax.get_position() for _, ax in group]
        left, right, y = boxes[0].x0, boxes[-1].x1, boxes[0].y1 + 0.36 / height
        if name:
            figure.add_artist(Line2D([left, right], [y, y], color="black", linewidth=1))
            middle = ((left + right) / 2, y + 0.04 / height)
            figure.text(*middle, name, ha="center", fontweight="bold", fontsize=7)


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
    toyrd.figure4: argument --size: 5 must lie in [1, 4]
    2
    """
    parser = figure_parser("figure4", __doc__)
    add = parser.add_argument
    add("--size", type=number(1, 4, int), default=3, metavar="N", help="side of the images (3)")
    words = "probability that a pixel is flipped, 0 to 0.5 (0.05)"
    add("--flip", type=number(0, 0.5), default=0.05, metavar="F", help=words)
    many = "number of latents (8 for each pattern, or 2 if --size is 4)"
    add("--latents", type=number(1, 1e6, int), metavar="K", help=many)
    prices = "one column for each (0.1 to 3)"
    add("--betas", type=number(0, 1e300), nargs="+", default=BETAS, metavar="B", help=prices)
    words = "uniform: latents that little data needs cost rate (default); free: they do not"
    add("--marginal", choices=("uniform", "free"), default="uniform", help=words)
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    source = bars_and_stripes(options.size, flip=options.flip)
    many, starts = (8, 15) if options.size < 4 else (2, 3)  # its updates take 100 times longer
    n_z = options.latents or source.p_z.size * many
    m = np.full(n_z, 1 / n_z) if options.marginal == "uniform" else None
    rng = as_rng(options.seed)
    inputs = choose_inputs(source, rng=rng)
    task: dict[str, Any] = {"inputs": inputs, "n_z": n_z, "marginal": m, "starts": starts}
    with progress(len(set(options.betas)), "betas") as tell:
        columns = compute_columns(source, options.betas, rng=rng, callback=tell, **task)
    about = (
        f"Bars and stripes of {options.size} × {options.size} pixels, each flipped with "
        f"probability {options.flip:g}; {n_z} latents, {options.marginal} m(z)."
    )
    figure = draw_columns(columns, source.images[inputs], about=about, width=options.width)
    return figure, _report(columns, source)


def _report(columns: Sequence[Column], source: Source) -> str:
    """Return a table of the columns in nats, with the gaps to their bounds."""
    seen = [(one.regime, one.solution) for one in columns]
    rows = [[name, f"{s.beta:g}", s.R, s.D, s.D + s.R, s.gap, s.status.value] for name, s in seen]
    header = ["regime (nats)", "beta", "R", "D", "-ELBO", "gap", "status"]
    known = f"H = {columns[0].solution.H:.6f}, I(X; pattern) = {source.information:.6f}"
    return "\n".join([text_table(header, rows), known])


if __name__ == "__main__":
    sys.exit(main())
