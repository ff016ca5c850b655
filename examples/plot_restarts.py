"""Is it true that dozens of starts give essentially the same result? Train them all and see.

Trains Appendix E models (output-indexed decoders, 10,000 exact gradient steps) on the toy from
many starts, for each aim and optimiser, and draws R, D + R − H, the separation of the true
classes and I(Z; Z*) of every run, beside the values that are certain: the truth, free tables
with the least squared distance as tie-break, and Gaussian decoders, both at R = 0.5 and proven
optimal. Prints the same as a table. Takes four minutes.

    python examples/plot_restarts.py [--restarts 50] [--steps 10000] [--output PATH] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import ConvergenceWarning, GaussianDecoder, Model, Solution, Source, solve, toy_source
from toyrd.appendix_e import train_all
from toyrd.figure import (
    PAGE,
    figure_parser,
    figure_style,
    number,
    progress,
    run,
    text_table,
)

SQUARED = {"rate": 0.5, "penalty": "squared", "weight": 100, "step_size": 0.03}
AIMS: dict[str, dict[str, Any]] = {
    "D + R": {"beta": 1},
    "D + |R − 0.5|": {"rate": 0.5},
    "D + 100 (R − 0.5)²": SQUARED,
}
EVERY = 100
"""Steps of Adam between two moves of the bar."""

OPTIMISERS = {"adam": "Adam", "l-bfgs": "L-BFGS"}
NAMES = {
    "R": "R (nats)",
    "excess": "D + R − H (nats)",
    "separation": "separation of the true classes",
    "kept": "I(Z; Z*) (nats)",
}
LINES: list[tuple[str, dict[str, Any]]] = [
    ("true model", {"color": "#BBBBBB", "lw": 3.5}),
    ("free tables, least squared distance", {"color": "#D55E00", "lw": 1.3, "ls": "--"}),
    ("Gaussian decoders", {"color": "#0072B2", "lw": 1.3, "ls": ":"}),
]


@dataclass(frozen=True)
class Group:
    """All runs with one aim and one optimiser: their measures, and how many converged."""

    aim: str
    optimiser: str
    measures: dict[str, list[float]]
    converged: int


def measures(source: Source, model: Model | Solution) -> dict[str, float]:
    """Measure how near a model is to the line D + R = H, and to the truth."""
    return {
        "R": model.R,
        "excess": max(model.D + model.R - model.H, 1e-12),  # below it all is rounding
        "separation": source.separation(model.e),
        "kept": source.latent_information(model.e),
    }


def certain(source: Source) -> list[dict[str, float]]:
    """Return the measures of the true model and of the two proven optima at R = 0.5."""
    free = solve(source.p, rate=0.5)
    gaussian = solve(source.p, rate=0.5, decoder=GaussianDecoder())
    return [measures(source, model) for model in (source.true_model(), free, gaussian)]


def train_groups(source: Source, restarts: int, steps: int, seed: int) -> list[Group]:
    """Train every aim with every optimiser, all from the same starts."""
    groups = []
    for (aim, options), name in product(AIMS.items(), OPTIMISERS):
        fixed = {"optimiser": name, "steps": steps, "rng": seed, "every": EVERY}
        total = restarts if name == "l-bfgs" else -(-steps // EVERY)
        with progress(total, f"{aim}, {name}") as tell, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the table counts them
            runs = train_all(source.p, restarts, **options, **fixed, callback=tell)
        rows = [measures(source, one) for one in runs]
        columns = {measure: [row[measure] for row in rows] for measure in NAMES}
        converged = sum(one.converged for one in runs)
        groups.append(Group(aim, OPTIMISERS[name], columns, converged))
    return groups


def table(groups: Sequence[Group]) -> str:
    """Lay out least, median and largest values, and the share of runs that agree."""
    header = ["aim", "optimiser", "converged", "measure", "least", "median", "largest", "alike"]
    rows = []
    for group in groups:
        for name, values in group.measures.items():
            low, middle, high = np.quantile(values, [0, 0.5, 1])
            alike = np.mean(np.abs(np.array(values) - middle) <= 0.05)
            names = [group.aim, group.optimiser, f"{group.converged}/{len(values)}"]
            numbers = [
                f"{value:.3g}" if name == "excess" else f"{value:.5f}"
                for value in (low, middle, high)
            ]
            rows.append([*names, NAMES[name], *numbers, f"{alike:.0%}"])
    return text_table(header, rows) + "\nalike: runs within 0.05 of the median"


def known_table(known: Sequence[dict[str, float]]) -> str:
    """Lay out the certain values."""
    rows = [[line[0], *values.values()] for line, values in zip(LINES, known, strict=True)]
    return text_table(["beside them", *NAMES.values()], rows, digits=5)


def draw(
    groups: Sequence[Group], known: Sequence[dict[str, float]], *, width: float = PAGE
) -> Figure:
    """Draw one panel for each measure: a strip of runs for each group."""
    with figure_style():
        figure = Figure(figsize=(width, 5.2))
        axes = figure.subplots(2, 2).ravel()
        for ax, (name, words) in zip(axes, NAMES.items(), strict=True):
            _draw_strips(ax, [group.measures[name] for group in groups])
            _name_groups(ax, groups)
            ax.set_ylabel(words)
            if name == "excess":
                ax.set_yscale("log")
                ax.minorticks_off()
            else:
                _draw_known(ax, [values[name] for values in known])
        keys = axes[0].get_legend_handles_labels()
        figure.legend(*keys, loc="upper center", ncols=4, frameon=False)
        figure.subplots_adjust(0.075, 0.085, 0.99, 0.94, wspace=0.24, hspace=0.27)
    return figure


def _draw_known(ax: Axes, values: Sequence[float]) -> None:
    """Draw the certain values as level lines."""
    for (label, style), value in zip(LINES, values, strict=True):
        ax.axhline(value, label=label, zorder=1, **style)
    ax.set_ylim(bottom=-0.02)


def _draw_strips(ax: Axes, columns: Sequence[Sequence[float]]) -> None:
    """Draw a dot for each run and a bar at the median."""
    dots: dict[str, Any] = {"ms": 2.5, "mfc": "none", "mec": "#444444", "mew": 0.6}
    for i, values in enumerate(columns):
        place = i + np.linspace(-0.28, 0.28, len(values))
        ax.plot(place, values, "o", **dots, zorder=2, label="" if i else "one run")
        ax.plot([i - 0.36, i + 0.36], [np.median(values)] * 2, color="#444444", lw=2, zorder=3)


def _name_groups(ax: Axes, groups: Sequence[Group]) -> None:
    """Write the optimiser under each strip and the aim under each pair, and part the pairs."""
    ax.set_xticks(range(len(groups)), [group.optimiser for group in groups])
    ax.set_xlim(-0.5, len(groups) - 0.5)
    below: dict[str, Any] = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
    each = len(OPTIMISERS)
    for i in range(0, len(groups), each):
        ax.axvline(i - 0.5, color="0.85", lw=0.6, zorder=0)
        centre = i + (each - 1) / 2, 0
        ax.annotate(groups[i].aim, centre, (0, -15), **below, ha="center", va="top", fontsize=7)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    source = toy_source()
    groups = train_groups(source, options.restarts, options.steps, options.seed)
    known = certain(source)
    figure = draw(groups, known, width=options.width)
    return figure, f"{table(groups)}\n{known_table(known)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("restarts", __doc__)
    parser.prog = "plot_restarts.py"
    add, count = parser.add_argument, number(1, 10**7, int)
    add("--restarts", type=count, default=50, metavar="N", help="starts (50)")
    add("--steps", type=count, default=10_000, metavar="N", help="of each run (10000)")
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
