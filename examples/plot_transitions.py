"""Where latents are born: active Gaussian decoder rows of the toy against β, and R under it.

Every point is a certified global optimum. Far above β = 1 one row explains all data and R = 0.
As β falls, a second row appears (the end of the collapse), then others: always with weight 0,
at a distance from the rows there are. These β are located by the bound on c: it reaches 1 at
the new row. A table of them is printed. Takes 7 seconds.

    python examples/plot_transitions.py [--points 80] [--highest 3] [--lowest 1.006] …
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import GaussianDecoder, Solution, Source, frontier, solve, toy_source
from toyrd.checks import Array
from toyrd.figure import (
    PAGE,
    figure_parser,
    figure_style,
    number,
    progress,
    run,
    text_table,
)
from toyrd.transitions import Transition

BLUE, ORANGE = "#0072B2", "#A34700"

OVER: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": ORANGE}
"""Of the names of bands and of the transitions between them."""

ALONG: dict[str, Any] = {"textcoords": "offset points", "color": "0.3"}
"""Of the names of level lines."""

LEAST = 1e-6
"""Weight from which a row counts as active."""

TICKS = (1.001, 1.003, 1.006, 1.01, 1.03, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0)


def active(answer: Solution) -> int:
    """Count the rows that carry weight."""
    return int((answer.m > LEAST).sum())


def compute(
    source: Source, betas: Array, tell: Callable[..., object]
) -> tuple[list[Solution], Sequence[Transition]]:
    """Return the answers along β, those at the transitions among them, and the transitions."""
    family = GaussianDecoder(source.p.size)
    curve = frontier(source.p, decoder=family, betas=betas, callback=tell)
    found = curve.transitions()
    at = [solve(source.p, beta=one.beta, decoder=family) for one in found]
    return sorted([*curve, *at], key=lambda answer: answer.beta), found


def counts(answers: Sequence[Solution], transitions: Sequence[Transition]) -> list[int]:
    """Return the number of rows in each band of β, from the lowest up."""
    steps = [-1 if one.born else 1 for one in transitions]
    return [int(count) for count in active(answers[0]) + np.cumsum([0, *steps])]


def table(answers: Sequence[Solution], transitions: Sequence[Transition]) -> str:
    """Lay out the transitions, from the highest β down."""
    header = ["rows", "β", "R (nats)", "mean (bins)", "width (bins)"]
    many, rates = counts(answers, transitions), {answer.beta: answer.R for answer in answers}
    rows = [
        [f"{high} → {low}", one.beta, rates[one.beta], *(float(part) for part in one.column)]
        for one, (low, high) in zip(transitions, pairwise(many), strict=True)
    ]
    return text_table(header, rows[::-1], digits=6)


def draw(
    answers: Sequence[Solution],
    transitions: Sequence[Transition],
    source: Source,
    *,
    width: float = PAGE,
) -> Figure:
    """Draw the means of active rows against β, larger where they weigh more, and R under them."""
    with figure_style():
        figure = Figure(figsize=(width, 5.2))
        axes = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        figure.subplots_adjust(0.07, 0.085, 0.985, 0.945, hspace=0.05)
        _draw_bands(axes, answers, transitions)
        _draw_means(axes[0], answers, source)
        _draw_rates(axes[1], answers, source)
        _scale(axes[1], answers[0].beta, answers[-1].beta)
    return figure


def _draw_bands(
    axes: Sequence[Axes], answers: Sequence[Solution], transitions: Sequence[Transition]
) -> None:
    """Shade every second band of β, say how many rows are active there, and where it ends."""
    inner, many = [one.beta for one in transitions], counts(answers, transitions)
    edges = [answers[0].beta, *inner, answers[-1].beta]
    above: dict[str, Any] = {"xycoords": axes[0].get_xaxis_transform(), **OVER}
    for i, (low, high) in enumerate(pairwise(edges)):
        for ax in axes:
            ax.axvspan(low - 1, high - 1, color="0.94" if i % 2 else "white", lw=0, zorder=-1)
        words, centre = f"{many[i]} row" + "s" * (many[i] > 1), np.sqrt((low - 1) * (high - 1))
        axes[0].annotate(words, (centre, 1), (0, -4), **above, va="top")
    for beta in inner:
        for ax in axes:
            ax.axvline(beta - 1, color=ORANGE, lw=0.9, ls=":")
        words = f"β = {beta:.{4 if beta < 1.1 else 3}f}"
        axes[0].annotate(words, (beta - 1, 1), (0, 3), **above, va="bottom")


def _draw_means(ax: Axes, answers: Sequence[Solution], source: Source) -> None:
    """Draw a dot for each active row, and the true means."""
    level: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), **ALONG}
    for mean in source.means:
        ax.axhline(mean, color="0.45", lw=1, ls="--", zorder=0)
        ax.annotate("true mean", (1, mean), (-4, -3), **level, ha="right", va="top")
    style: dict[str, Any] = {"color": BLUE, "ec": "white", "lw": 0.3}
    for answer in answers:
        use = answer.m > LEAST
        price = np.full(int(use.sum()), answer.beta - 1)
        ax.scatter(price, answer.parameters[use, 0], s=_size(answer.m[use]), **style)
    for weight in (0.001, 0.1, 0.5, 1.0):
        ax.scatter([], [], s=_size(np.array(weight)), label=f"m(z) = {weight:g}", **style)
    ax.legend(loc="lower left", frameon=False, handletextpad=0.2)
    ax.set(ylabel="mean of the decoder row (bins)", ylim=(0.5, source.p.size - 0.5))


def _size(weight: Array) -> Array:
    """Return areas of markers in square points."""
    return np.asarray(4 + 50 * weight)


def _draw_rates(ax: Axes, answers: Sequence[Solution], source: Source) -> None:
    """Draw R, and the rate of the true model."""
    prices, truth = [answer.beta - 1 for answer in answers], source.information
    ax.plot(prices, [answer.R for answer in answers], color="black", lw=1.6)
    ax.axhline(truth, color="0.45", lw=1, ls="--")
    level: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), **ALONG}
    words = f"R* = I(X; Z*) = {truth:.3g} nats"
    ax.annotate(words, (0.4, truth), (0, 3), **level, ha="center", va="bottom")
    ax.set(ylabel="R (nats)", ylim=(-0.03, 1.25 * truth))


def _scale(ax: Axes, lowest: float, highest: float) -> None:
    """Lay β − 1 out by its logarithm, and write β under it."""
    ax.set(xscale="log", xlim=(lowest - 1, highest - 1))
    ax.set(xlabel="β, price of a nat of rate (spaced as the logarithm of β − 1)")
    slack = 1e-9
    ticks = [tick for tick in TICKS if lowest - slack <= tick <= highest + slack]
    ax.set_xticks([tick - 1 for tick in ticks], [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    if options.highest <= options.lowest:
        raise ValueError(f"--highest is {options.highest:g}, but must be above --lowest")
    source = toy_source()
    betas = 1 + np.geomspace(options.lowest - 1, options.highest - 1, options.points)
    with progress(options.points, "β") as tell:
        answers, transitions = compute(source, betas, tell)
    return draw(answers, transitions, source, width=options.width), table(answers, transitions)


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("transitions", __doc__)
    parser.prog = "plot_transitions.py"
    add = parser.add_argument
    add("--points", type=number(2, 10_000, int), default=80, metavar="N", help="β drawn (80)")
    above = number(1.0001, 1000)
    add("--highest", type=above, default=3.0, metavar="B", help="β to start from (3)")
    add("--lowest", type=above, default=1.006, metavar="B", help="β to end at (1.006)")
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
