"""Is it true that dozens of starts give essentially the same result? Train them all and see.

Trains Appendix E models (output-indexed decoders, 10,000 exact gradient steps) on the toy from
many starts, for each aim and optimiser, and draws R, D + R − H, the separation of the true
classes and I(Z; Z*) of every run, beside the values that are certain: the truth, free tables
with the least squared distance as tie-break, and Gaussian decoders, both at R = 0.5 and proven
optimal. Prints the same as a table. Takes a few minutes; a bar shows how far it is.

    python examples/plot_restarts.py [--restarts 50] [--steps 10000] [--output PATH] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import (
    ConvergenceWarning,
    GaussianDecoder,
    Model,
    Source,
    solve,
    toy_source,
)
from toyrd.appendix_e import train_all
from toyrd.figure import figure_parser, figure_style, progress, run, text_table

AIMS: list[tuple[str, str, dict[str, Any]]] = [
    ("D + R", "ELBO", {"beta": 1}),
    ("D + |R − 0.5|", "|R − R*|", {"rate": 0.5}),
    (
        "D + 100(R − 0.5)²",
        "(R − R*)²",
        {"rate": 0.5, "penalty": "squared", "weight": 100, "step_size": 0.03},
    ),
]
OPTIMISERS = {"adam": "Adam", "l-bfgs": "L-BFGS"}
NAMES = {
    "R": "R (nats)",
    "excess": "D + R − H (nats)",
    "separation": "separation",
    "kept": "I(Z; Z*) (nats)",
}
LINES: list[tuple[str, dict[str, Any]]] = [
    ("true model", {"color": "#BBBBBB", "lw": 3.5}),
    ("free tables, least squared distance", {"color": "#D55E00", "lw": 1.3, "ls": "--"}),
    ("Gaussian decoders", {"color": "#0072B2", "lw": 1.3, "ls": ":"}),
]


@dataclass(frozen=True)
class Group:
    """Hold the measures of all runs with one aim and one optimiser."""

    aim: str
    short: str
    optimiser: str
    measures: dict[str, list[float]]
    converged: int


def measures(source: Source, model: Model) -> dict[str, float]:
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
    return [measures(source, model) for model in (source.true_model(), free.model, gaussian.model)]


def train_groups(source: Source, restarts: int, steps: int, seed: int) -> list[Group]:
    """Train every aim with every optimiser, all from the same starts."""
    groups = []
    for aim, short, options in AIMS:
        for name, words in OPTIMISERS.items():
            total = restarts if name == "l-bfgs" else -(-steps // 100)
            with progress(total, f"{aim}, {name}") as callback, warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # counted in the table
                runs = train_all(
                    source.p,
                    restarts,
                    **options,
                    optimiser=name,
                    steps=steps,
                    rng=seed,
                    callback=callback,
                )
            rows = [measures(source, solution.model) for solution in runs]
            columns = {name: [row[name] for row in rows] for name in NAMES}
            converged = sum(solution.converged for solution in runs)
            groups.append(Group(aim, short, words, columns, converged))
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


def draw(groups: Sequence[Group], known: Sequence[dict[str, float]]) -> Figure:
    """Draw one panel for each measure: a strip of runs for each group."""
    with figure_style():
        figure = Figure(figsize=(9.5, 6.6))
        axes = figure.subplots(2, 2).ravel()
        for ax, name in zip(axes, NAMES, strict=True):
            _strips(ax, [group.measures[name] for group in groups])
            ax.set_ylabel(NAMES[name])
            ax.set_xticks(range(len(groups)), [f"{g.short}\n{g.optimiser}" for g in groups])
            if name == "excess":
                ax.set_yscale("log")
            else:
                _reference_lines(ax, [values[name] for values in known])
        legend = axes[0].get_legend_handles_labels()
        figure.legend(*legend, loc="upper center", ncols=3, frameon=False)
        figure.subplots_adjust(0.07, 0.075, 0.985, 0.94, wspace=0.17, hspace=0.24)
    return figure


def _reference_lines(ax: Axes, values: Sequence[float]) -> None:
    for (label, style), value in zip(LINES, values, strict=True):
        ax.axhline(value, label=label, zorder=1, **style)
    ax.set_ylim(bottom=-0.02)


def _strips(ax: Axes, columns: Sequence[Sequence[float]]) -> None:
    for i, values in enumerate(columns):
        place = i + np.linspace(-0.28, 0.28, len(values))
        ax.plot(place, values, "o", ms=3.2, mfc="none", mec="#444444", mew=0.7, zorder=2)
        ax.plot([i - 0.36, i + 0.36], [np.median(values)] * 2, color="#444444", lw=2.2, zorder=3)
    ax.set_xlim(-0.6, len(columns) - 0.4)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    source = toy_source()
    groups = train_groups(source, options.restarts, options.steps, options.seed)
    known = certain(source)
    return draw(groups, known), f"{table(groups)}\n{known_table(known)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("restarts", "Appendix E trained from many starts")
    parser.add_argument("--restarts", type=int, default=50, metavar="N", help="starts (50)")
    parser.add_argument(
        "--steps", type=int, default=10_000, metavar="N", help="of each run (10000)"
    )
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
