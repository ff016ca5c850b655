"""Train on 50 samples, evaluate on the true distribution: overfitting in exact numbers.

Draws samples of the toy many times. On each empirical distribution it trains Appendix E models
for several β, target rates and lengths of training, and evaluates −ELBO = D + R of the same
tables under the empirical and the true distribution, both exactly. Lines are medians over the
draws, bands reach from the 10th to the 90th percentile. Takes ten minutes.

    python examples/plot_finite_data.py [--draws 20] [--samples 50] [--steps 10000] …
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import ConvergenceWarning, empirical, entropy, toy_source
from toyrd.appendix_e import train
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

BETAS = (0.25, 0.5, 0.8, 1.0, 1.25, 2.0)
RATES = (0.01, 0.25, 0.5, 0.75, 1.0, 1.5)
LENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the training, as shares of the steps."""

LINES = ("on its samples", "#0072B2", "o-"), ("on the true distribution", "#D55E00", "s--")


class Setting(NamedTuple):
    """One way to train: panel and place in the figure, words for the table, and options."""

    panel: str
    place: float
    words: str
    aim: dict[str, Any]


def settings(steps: int) -> list[Setting]:
    """List what to train, panel by panel."""
    lengths = [max(1, round(steps * length)) for length in LENGTHS]
    few, at_one, at_half = (
        {"steps": steps},
        "steps of training, β = 1",
        "steps of training, R* = 0.5",
    )
    return [
        *(Setting("β", b, f"β = {b:g}", {"beta": b, **few}) for b in BETAS),
        *(Setting("target rate R* (nats)", r, f"R* = {r:g}", {"rate": r, **few}) for r in RATES),
        *(Setting(at_one, n, f"β = 1, {n} steps", {"beta": 1, "steps": n}) for n in lengths),
        *(Setting(at_half, n, f"R* = 0.5, {n} steps", {"rate": 0.5, "steps": n}) for n in lengths),
    ]


def evaluate(options: argparse.Namespace, tell: Callable[..., object]) -> tuple[Array, Array]:
    """Return D + R [draw, setting, (empirical, true)] and the entropy of each draw."""
    p, rng, chosen = toy_source().p, np.random.default_rng(options.seed), settings(options.steps)
    samples = [empirical(p, options.samples, rng=rng) for _ in range(options.draws)]
    values = np.empty((len(samples), len(chosen), 2))
    for i, j in np.ndindex(values.shape[:2]):
        fixed = {"step_size": 0.008, "decoder": options.decoder, "rng": i}
        model = train(samples[i], **chosen[j].aim, **fixed).model
        values[i, j] = -model.elbo, -model.on(p).elbo
        tell()
    return values, np.array([entropy(p_hat) for p_hat in samples])


def table(values: Array, entropies: Array, steps: int) -> str:
    """Lay out the medians, and how far the true value is above the trained one."""
    header = ["model", "−ELBO on samples", "on the truth", "10 %", "90 %", "overfitting"]
    rows = []
    for setting, column in zip(settings(steps), values.swapaxes(0, 1), strict=True):
        trained, true = np.median(column, axis=0)
        low, high = np.quantile(column[:, 1], [0.1, 0.9])
        excess = float(np.median(column[:, 1] - column[:, 0]))
        numbers = map(float, (trained, true, low, high))
        rows.append([setting.words, *numbers, excess])
    known = f"H of the samples {np.median(entropies):.4f} (median), of the truth "
    return text_table(header, rows, digits=4) + "\n" + known + f"{entropy(toy_source().p):.4f}"


def draw(values: Array, entropies: Array, steps: int, *, width: float = PAGE) -> Figure:
    """Draw −ELBO against β, the target rate and the length of training."""
    chosen = settings(steps)
    panels = list(dict.fromkeys(setting.panel for setting in chosen))
    with figure_style():
        figure = Figure(figsize=(width, 4.6))
        axes = figure.subplots(2, 2, sharey=True).ravel()
        for ax, panel in zip(axes, panels, strict=True):
            here = [j for j, setting in enumerate(chosen) if setting.panel == panel]
            places = [chosen[j].place for j in here]
            _draw_bands(ax, places, values[:, here])
            ax.axhline(entropy(toy_source().p), color="black", lw=0.8, label="H of the truth")
            middle = np.median(entropies)
            ax.axhline(middle, color="black", lw=0.8, ls=":", label="H of the samples")
            ax.set(xlabel=panel, xscale="linear" if "rate" in panel else "log")
            ax.set_xticks(places, [f"{place:g}" for place in places])
            ax.minorticks_off()
        for ax in axes[::2]:
            ax.set_ylabel("−ELBO = D + R (nats)")
        keys = axes[0].get_legend_handles_labels()
        figure.legend(*keys, loc="upper center", ncols=4, frameon=False)
        figure.subplots_adjust(0.07, 0.085, 0.985, 0.94, wspace=0.05, hspace=0.27)
    return figure


def _draw_bands(ax: Axes, places: Sequence[float], values: Array) -> None:
    """Draw the median of the draws, and from their 10th to their 90th percentile."""
    for (label, colour, style), draws in zip(LINES, np.moveaxis(values, 2, 0), strict=True):
        low, middle, high = np.quantile(draws, [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(places, low, high, color=colour, alpha=0.25, lw=0)
        ax.plot(places, middle, style, color=colour, ms=3.5, lw=1.4, label=label)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    total = options.draws * len(settings(options.steps))
    with progress(total, "models") as tell, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        values, entropies = evaluate(options, tell)
    figure = draw(values, entropies, options.steps, width=options.width)
    return figure, table(values, entropies, options.steps)


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("finite_data", __doc__)
    parser.prog = "plot_finite_data.py"
    add, count = parser.add_argument, number(1, 10**7, int)
    add("--draws", type=count, default=20, metavar="N", help="of the samples (20)")
    add("--samples", type=count, default=50, metavar="N", help="in each draw (50)")
    add("--steps", type=count, default=10_000, metavar="N", help="of each training (10000)")
    words = "what the decoder's parameters belong to, output x or latent z (output)"
    add("--decoder", choices=("output", "latent"), default="output", help=words)
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
