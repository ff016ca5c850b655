"""Figure 2 of the paper, exactly: the truth, the best ELBO and a target rate, side by side.

``python -m toyrd.figure2`` solves the three columns on the toy, draws them in the paper's
layout and prints H, D, R, I and −ELBO of each, in nats. With ``--decoder gaussian`` the decoder
rows of the third are Gaussians, and the target rate recovers the truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import FixedLocator, MaxNLocator

from .appendix_e import train
from .checks import as_rng, has_shape
from .decoders import DecoderFamily
from .figure import UNITS, figure_parser, figure_style, run, text_table
from .gaussian import GaussianDecoder
from .model import Model
from .plotting import plot_column
from .solver import solve
from .sources import Source, toy_source

__all__ = ["compute_columns", "draw_columns", "main", "train_columns"]


def compute_columns(
    source: Source, *, rate: float = 0.5, decoder: DecoderFamily | None = None
) -> list[tuple[str, Model]]:
    """Solve the three columns: the truth, the maximum ELBO and the least D at a target rate.

    Parameters
    ----------
    source : Source
        The data.
    rate : float
        Target R of column (c), in nats.
    decoder : DecoderFamily, optional
        Family of the decoder rows of column (c), with latents in the order of their mean
        symbols; by default its tables are all free.

    Returns
    -------
    list of (str, Model)
        A title and a model for each column.

    Raises
    ------
    ValueError
        If no model of the source's data has that rate.

    Examples
    --------
    >>> for title, model in compute_columns(toy_source()):
    ...     print(f"{title}: R = {model.R:.4f}")
    (a) true model: R = 0.5000
    (b) maximum ELBO (β = 1): R = 0.0002
    (c) target rate 0.5: R = 0.5000

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 and Figure 2.
    """
    title, target = f"(c) target rate {rate:g}", solve(source.p, rate=rate, decoder=decoder).model
    if decoder is not None:
        title += f", {type(decoder).__name__}"
        order = np.argsort(target.d @ np.arange(target.n_x))
        target = Model(target.p, target.e[:, order], target.d[order], target.m[order])
    return [
        ("(a) true model", source.true_model()),
        ("(b) maximum ELBO (β = 1)", solve(source.p, beta=1).model),
        (title, target),
    ]


def train_columns(
    source: Source,
    *,
    rate: float = 0.5,
    rng: int | np.random.Generator | None = None,
    steps: int = 10_000,
) -> list[tuple[str, Model]]:
    """Train columns (b) and (c) by the paper's own protocol, Appendix E's family and Adam.

    Parameters
    ----------
    source : Source
        The data.
    rate : float
        Target R* of column (c), in nats; the aim is D + |R − R*|.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the two starts.
    steps : int
        Gradient steps.

    Returns
    -------
    list of (str, Model)
        A title and a model for each column.

    Raises
    ------
    ValueError
        If `rate` is negative or `steps` < 1.

    Examples
    --------
    >>> [title for title, _ in train_columns(toy_source(), rng=0, steps=10)]
    ['(a) true model', '(b) trained ELBO (β = 1)', '(c) trained target rate 0.5']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E.
    """
    options: dict[str, Any] = {"rng": as_rng(rng), "steps": steps}
    return [
        ("(a) true model", source.true_model()),
        ("(b) trained ELBO (β = 1)", train(source.p, beta=1, **options).model),
        (f"(c) trained target rate {rate:g}", train(source.p, rate=rate, **options).model),
    ]


def draw_columns(columns: Sequence[tuple[str, Model]], source: Source) -> Figure:
    """Draw models side by side in the layout of the paper's Figure 2, with their numbers.

    Parameters
    ----------
    columns : sequence of (str, Model)
        A title and a model for each column.
    source : Source
        Tells which true class each latent holds.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Raises
    ------
    ValueError
        If there is no column, or a model is not of the source's symbols.

    Examples
    --------
    >>> source = toy_source()
    >>> len(draw_columns([("(a) true model", source.true_model())], source).axes)
    7
    """
    if not columns:
        raise ValueError("columns is empty; give one title and model or more")
    width, height = 1.45 + 4.4 * len(columns), 6.5  # sizes are in inches
    sides = {"left": 0.55 / width, "right": 1 - 1.5 / width, "wspace": 0.16}
    ends = {"bottom": 0.85 / height, "top": 1 - 0.55 / height}
    vmax = max(float(model.d.max()) for _, model in columns)
    with figure_style():
        figure = Figure(figsize=(width, height))
        grid = figure.add_gridspec(1, len(columns), **sides, **ends)
        for i, (title, model) in enumerate(columns):
            has_shape("p of each model", model.p, source.p.shape)
            masses = source.p_z[:, None] * source.p_x_given_z @ model.e
            axes = plot_column(model, _column_axes(figure, grid[i]), masses=masses, vmax=vmax)
            axes[0].set_title(title, loc="left", pad=18, fontsize=10, fontweight="bold")
            axes[3].annotate(
                _caption(model), (0.5, 0), (0, -42), *UNITS, ha="center", fontsize=8.5
            )
        _colour_bars(figure, axes)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure2 --help``.

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
    >>> from contextlib import redirect_stderr
    >>> with redirect_stderr(sys.stdout):
    ...     code = main(["--output", "figure2.txt"])
    toyrd.figure2: argument --output: figure2.txt must end in .png, .svg or .pdf
    >>> code
    2
    """
    parser = figure_parser("figure2", "Draw three models of the toy: truth, ELBO, target rate.")
    add = parser.add_argument
    add("--rate", type=float, default=0.5, metavar="R", help="target of column (c) in nats (0.5)")
    rows = "decoder rows of column (c): a free table, or Gaussians solved globally (free)"
    add("--decoder", choices=("free", "gaussian"), default="free", help=rows)
    words = "exact tables, or the paper's own family trained by gradients (tables)"
    add("--model", choices=("tables", "appendix-e"), default="tables", help=words)
    add("--steps", type=int, default=10_000, metavar="N", help="of training (10000)")
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    source = toy_source()
    if options.model == "appendix-e":
        if options.decoder != "free":
            raise ValueError("argument --decoder: the model appendix-e has its own; leave it out")
        columns = train_columns(source, rate=options.rate, rng=options.seed, steps=options.steps)
    else:
        family = GaussianDecoder(source.p.size) if options.decoder == "gaussian" else None
        columns = compute_columns(source, rate=options.rate, decoder=family)
    rows = [[title, *_numbers(model).values()] for title, model in columns]
    header = ["column (nats)", *_numbers(columns[0][1])]
    return draw_columns(columns, source), text_table(header, rows)


def _numbers(model: Model) -> dict[str, float]:
    return {"H": model.H, "D": model.D, "R": model.R, "I": model.I, "-ELBO": -model.elbo}


def _caption(model: Model) -> str:
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in _numbers(model).items())
    return numbers.replace("-ELBO", "−ELBO") + "   (nats)"


def _column_axes(figure: Figure, cell: SubplotSpec) -> list[Axes]:
    grid = cell.subgridspec(3, 3, height_ratios=(1.3, 1.3, 1.05), hspace=0.56, wspace=0.42)
    places = (grid[0, :], grid[1, :], grid[2, 0], grid[2, 1], grid[2, 2])
    return [figure.add_subplot(place) for place in places]


def _colour_bars(figure: Figure, axes: Sequence[Axes]) -> None:
    """Put the scale of e(z|x), and that of the other two maps, to the right of the last."""
    box, width = axes[4].get_position(), figure.get_figwidth()
    wide, narrow = FixedLocator([0, 0.05, 0.2, 0.5, 1]), MaxNLocator(5, steps=[1, 2, 5, 10])
    bars = ((axes[2], 0.12, wide, "e(z|x)"), (axes[4], 0.78, narrow, "d(x|z), p(x′|x)"))
    for ax, inches, ticks, label in bars:
        place = figure.add_axes((box.x1 + inches / width, box.y0, 0.1 / width, box.height))
        figure.colorbar(ax.images[0], cax=place, ticks=ticks).set_label(label, labelpad=5)


if __name__ == "__main__":
    sys.exit(main())
