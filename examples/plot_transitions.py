"""Where latents are born: active Gaussian decoder rows of the toy against β, and R(β) under it.

Every point is a certified global optimum. Far above β = 1 one row explains all data and R = 0.
As β falls, a second row appears (the end of the collapse), then others: always with weight 0,
at a distance from the rows there are. Each of these β is bracketed by bisection on the number
of active rows. A table of them is printed. Takes about half a minute.

    python examples/plot_transitions.py [--points 80] [--highest 3] [--lowest 1.005] …
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from toyrd.frontier import frontier

from toyrd import GaussianDecoder, Solution, Source, solve, toy_source
from toyrd.checks import Array, as_count, as_number
from toyrd.figure import figure_parser, figure_style, progress, run, text_table

BLUE = "#0072B2"

LEAST = 1e-6
"""Weight from which a row counts as active."""

TICKS = (1.001, 1.003, 1.01, 1.03, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0)

Change = tuple[Solution, Solution]
"""The answers on either side of a transition, that of the lower β first."""


def active(answer: Solution) -> int:
    """Count the rows that carry weight."""
    return int((answer.model.m > LEAST).sum())


def changes(low: Solution, high: Solution, at: Callable[[float], Solution]) -> list[Change]:
    """Bisect between two answers until each change of the number of rows is alone.

    At 1e-3 in β, or in proportion to β − 1 where that is small.
    """
    if active(low) == active(high):
        return []
    if high.beta - low.beta <= 1e-3 * min(1.0, low.beta - 1):
        return [(low, high)]
    middle = at(1 + float(np.sqrt((low.beta - 1) * (high.beta - 1))))
    return changes(low, middle, at) + changes(middle, high, at)


def compute(
    source: Source, betas: Array, tell: Callable[..., None]
) -> tuple[list[Solution], list[Change]]:
    """Return the answers along β, and the transitions between them, from the highest β on."""
    family = GaussianDecoder(source.p.size)

    def at(beta: float) -> Solution:
        tell()
        return solve(source.p, beta=beta, decoder=family)

    curve = frontier(source.p, decoder=family, betas=betas, callback=tell)
    answers = sorted((point for point in curve if isinstance(point, Solution)), key=_beta)
    found = [changes(*pair, at) for pair in pairwise(answers)]
    transitions = [change for part in found for change in part][::-1]
    answers += [answer for change in transitions for answer in change]
    return sorted(answers, key=_beta), transitions


def _beta(answer: Solution) -> float:
    return answer.beta


def middle(change: Change) -> float:
    return (change[0].beta + change[1].beta) / 2


def born(change: Change) -> tuple[float, float]:
    """Return the mean and width of the row that only the answer of the lower β has."""
    low, high = (answer.parameters[answer.model.m > LEAST] for answer in change)
    apart = np.abs(low[:, None] - high[None]).sum(axis=2).min(axis=1)
    mean, width = low[np.argmax(apart)]
    return float(mean), float(width)


def table(transitions: Sequence[Change]) -> str:
    """Lay out the transitions, with half the bracket as the error of each β."""
    header = ["rows", "β", "±", "R (nats)", "new mean (bins)", "new width (bins)"]
    rows = [
        [
            f"{active(change[1])} → {active(change[0])}",
            middle(change),
            f"{(change[1].beta - change[0].beta) / 2:.0e}",
            change[0].model.R,
            *born(change),
        ]
        for change in transitions
    ]
    return text_table(header, rows, digits=5)


def draw(answers: Sequence[Solution], transitions: Sequence[Change], source: Source) -> Figure:
    """Draw the means of active rows against β, larger where they weigh more, and R under them."""
    with figure_style():
        figure = Figure(figsize=(7, 6))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        _draw_means(above, answers, source)
        price = [answer.beta - 1 for answer in answers]
        below.plot(price, [answer.model.R for answer in answers], color="black", lw=1.6)
        below.axhline(source.information, color="0.45", lw=1, ls="--")
        below.annotate(
            "I(X; Z*)", (price[-1], source.information), (0, -3), textcoords="offset points",
            ha="right", va="top", color="0.3",
        )  # fmt: skip
        below.set(xlabel="β", ylabel="R (nats)", ylim=(-0.02, 1.12 * source.information))
        for ax in (above, below):
            for change in transitions:
                ax.axvline(middle(change) - 1, color="#D55E00", lw=0.9, ls=":")
        _name(above, transitions)
        below.set_xscale("log")
        ticks = [tick for tick in TICKS if price[0] <= tick - 1 <= price[-1]]
        below.set_xticks([tick - 1 for tick in ticks], [f"{tick:g}" for tick in ticks])
        below.minorticks_off()
        figure.subplots_adjust(left=0.085, right=0.98, bottom=0.075, top=0.945, hspace=0.06)
    return figure


def _draw_means(ax: Axes, answers: Sequence[Solution], source: Source) -> None:
    for mean in source.means:
        ax.axhline(mean, color="0.45", lw=1, ls="--", zorder=0)
    for answer in answers:
        use = answer.model.m > LEAST
        price = np.full(int(use.sum()), answer.beta - 1)
        sizes = _size(answer.model.m[use])
        ax.scatter(price, answer.parameters[use, 0], s=sizes, color=BLUE, ec="white", lw=0.3)
    between = np.sqrt((answers[0].beta - 1) * (answers[-1].beta - 1))
    for mean in source.means:
        ax.annotate(
            "true mean", (between, mean), (0, -9),
            textcoords="offset points", ha="center", va="top", color="0.3",
        )  # fmt: skip
    for weight in (0.001, 0.1, 0.5, 1.0):
        sizes = _size(np.array([weight]))
        ax.scatter([], [], s=sizes, color=BLUE, ec="white", lw=0.3, label=f"m(z) = {weight:g}")
    ax.legend(loc="lower right", framealpha=1, edgecolor="white", ncols=4)
    ax.set(ylabel="mean of the decoder row (bins)", ylim=(4, source.p.size - 0.5))


def _size(weight: Array) -> Array:
    """Return areas of markers in square points."""
    return np.asarray(4 + 60 * weight)


def _name(ax: Axes, transitions: Sequence[Change]) -> None:
    for change in transitions:
        beta, digits = middle(change), 3 if middle(change) > 1.1 else 4
        ax.annotate(
            f"{active(change[1])} → {active(change[0])}\nβ = {beta:.{digits}f}",
            (beta - 1, 1), (0, 3), xycoords=ax.get_xaxis_transform(),
            textcoords="offset points", ha="center", va="bottom", color="#A34700",
        )  # fmt: skip


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    as_count("points", options.points, low=2)
    lowest = as_number("lowest", options.lowest, low=1, open_low=True)
    highest = as_number("highest", options.highest, low=lowest, open_low=True)
    source = toy_source()
    betas = 1 + np.geomspace(lowest - 1, highest - 1, options.points)
    with progress(None, "β solved") as tell:
        answers, transitions = compute(source, betas, tell)
    return draw(answers, transitions, source), table(transitions)


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("transitions", "Active Gaussian decoder rows of the toy against β")
    add = parser.add_argument
    add("--points", type=int, default=80, metavar="N", help="β drawn (80)")
    add("--highest", type=float, default=3.0, metavar="B", help="β to start from (3)")
    add("--lowest", type=float, default=1.005, metavar="B", help="β to end at, above 1 (1.005)")
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
