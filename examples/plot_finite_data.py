"""Train on 50 samples, evaluate on the true distribution: overfitting in exact numbers.

Draws samples of the toy many times. On each empirical distribution it trains Appendix E models
for several β, target rates and lengths of training, and evaluates −ELBO = D + R of the same
tables under the empirical and the true distribution, both exactly. Lines are medians over the
draws, bands reach from the 10th to the 90th percentile. Takes a few minutes.

    python examples/plot_finite_data.py [--draws 20] [--samples 50] [--decoder latent] …
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import ConvergenceWarning, empirical, entropy, toy_source
from toyrd.appendix_e import train
from toyrd.checks import Array, as_count
from toyrd.figure import figure_parser, figure_style, progress, run, text_table

BETAS = (0.25, 0.5, 0.8, 1.0, 1.25, 2.0)
RATES = (0.01, 0.25, 0.5, 0.75, 1.0, 1.5)
LENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the training, as parts of --steps
TRAINED, TRUE = "#0072B2", "#D55E00"


def settings(steps: int) -> list[tuple[str, str, float, dict[str, Any]]]:
    """List what to train: panel, words for the table, place on the axis and options."""
    rows: list[tuple[str, str, float, dict[str, Any]]] = []
    rows += [("beta", f"β = {b:g}", b, {"beta": b, "steps": steps}) for b in BETAS]
    rows += [("rate", f"R* = {r:g}", r, {"rate": r, "steps": steps}) for r in RATES]
    for length in LENGTHS:
        n = max(1, round(steps * length))
        rows.append(("elbo steps", f"β = 1, {n} steps", n, {"beta": 1, "steps": n}))
        rows.append(("rate steps", f"R* = 0.5, {n} steps", n, {"rate": 0.5, "steps": n}))
    return rows


def evaluate(options: argparse.Namespace, tell: Callable[..., None]) -> tuple[Array, Array]:
    """Return D + R [draw, setting, (empirical, true)] and the entropy of each draw."""
    source, rng = toy_source(), np.random.default_rng(options.seed)
    samples = [empirical(source.p, options.samples, rng=rng) for _ in range(options.draws)]
    chosen = settings(options.steps)
    values = np.empty((len(samples), len(chosen), 2))
    for i, p_hat in enumerate(samples):
        for j, (*_, aim) in enumerate(chosen):
            model = train(p_hat, **aim, step_size=0.008, decoder=options.decoder, rng=i).model
            values[i, j] = -model.elbo, -model.on(source.p).elbo
            tell()
    return values, np.array([entropy(p_hat) for p_hat in samples])


def table(values: Array, entropies: Array, steps: int) -> str:
    """Lay out the medians, and how far the true value is above the trained one."""
    header = ["model", "−ELBO on samples", "on the truth", "10 %", "90 %", "overfitting"]
    rows = []
    for (_, words, *_), column in zip(settings(steps), values.swapaxes(0, 1), strict=True):
        trained, true = np.median(column, axis=0)
        low, high = np.quantile(column[:, 1], [0.1, 0.9])
        excess = float(np.median(column[:, 1] - column[:, 0]))
        rows.append([words, float(trained), float(true), float(low), float(high), excess])
    known = f"H of the samples {np.median(entropies):.4f} (median), of the truth "
    return text_table(header, rows, digits=4) + "\n" + known + f"{entropy(toy_source().p):.4f}"


def draw(values: Array, entropies: Array, options: argparse.Namespace) -> Figure:
    """Draw −ELBO against β, the target rate and the length of training."""
    panels = [("beta", "β"), ("rate", "target rate R* (nats)"), ("elbo steps", "steps, β = 1")]
    panels.append(("rate steps", "steps, R* = 0.5 nats"))
    chosen = settings(options.steps)
    with figure_style():
        figure = Figure(figsize=(10, 3.4))
        axes = figure.subplots(1, 4, sharey=True)
        for ax, (panel, label) in zip(axes, panels, strict=True):
            here = [j for j, row in enumerate(chosen) if row[0] == panel]
            _bands(ax, np.array([chosen[j][2] for j in here]), values[:, here])
            ax.axhline(entropy(toy_source().p), color="black", lw=1, label="H, truth")
            ax.axhline(np.median(entropies), color="black", lw=1, ls=":", label="H, samples")
            ax.set_xlabel(label)
            if panel != "rate":
                ax.set_xscale("log")
        axes[0].set_ylabel("−ELBO = D + R (nats)")
        axes[0].set_xticks(BETAS, [f"{beta:g}" for beta in BETAS])
        axes[0].minorticks_off()
        handles = axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="upper center", ncols=4, frameon=False)
        figure.subplots_adjust(left=0.055, right=0.99, bottom=0.14, top=0.9, wspace=0.08)
    return figure


def _bands(ax: Axes, places: Array, values: Array) -> None:
    for k, (label, colour, style) in enumerate(
        [("on its samples", TRAINED, "o-"), ("on the true distribution", TRUE, "s--")]
    ):
        low, middle, high = np.quantile(values[..., k], [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(places, low, high, color=colour, alpha=0.25, lw=0)
        ax.plot(places, middle, style, color=colour, ms=3.5, lw=1.4, label=label)


def command(options: argparse.Namespace) -> tuple[Figure, str]:
    for name in ("draws", "samples", "steps"):
        as_count(name, getattr(options, name))
    total = options.draws * len(settings(options.steps))
    with progress(total, "models") as tell, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        values, entropies = evaluate(options, tell)
    return draw(values, entropies, options), table(values, entropies, options.steps)


def main(argv: Sequence[str] | None = None) -> int:
    parser = figure_parser("finite_data", "Appendix E trained on samples")
    add = parser.add_argument
    add("--draws", type=int, default=20, metavar="N", help="of the samples (20)")
    add("--samples", type=int, default=50, metavar="N", help="in each draw (50)")
    add("--steps", type=int, default=10_000, metavar="N", help="of each training (10000)")
    add("--decoder", choices=["output", "latent"], default="output", help="(output)")
    return run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
