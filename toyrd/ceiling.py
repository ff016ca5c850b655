"""What can be known of the classes at a rate, and from how many samples (1 min).

(a) I(Z; Z*) against R on the toy: the ceiling of any representation, from the information
bottleneck; the range of all optimal models, shaded; Gaussian decoder rows; the least (x − z)² of
all optima; trained Appendix E models; and the truth. (b) What the optimum at R = 0.5 on samples
separates of the true classes, for Gaussian rows and for the least (x − z)²: medians, and bands
from the 10th to the 90th percentile. A sentence is printed for each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import ClassDecoder, GaussianDecoder, Source, empirical, frontier, identified, solve
from .appendix_e import train_all
from .checks import Array, Tell, quiet
from .figure import PAGE, UNITS, figure_parser, figure_style, number, progress, run
from .model import Tables
from .sources import toy_source

GAUSSIAN, SQUARES, TRAINED = "Gaussian rows", "least (x − z)²", "Appendix E, trained"

STYLES = {GAUSSIAN: ("#0072B2", "-", "o"), SQUARES: ("#D55E00", "--", "s")}

RATE, WIDEST = 0.5, 1.0
"""Rate of trained models, of all optima and of samples, and the largest rate drawn."""

SIZES = (50, 200, 1000, 10_000)


class Ceiling(NamedTuple):
    """What panel (a) shows, as rows of rates and of I(Z; Z*), in nats."""

    ceiling: Array
    curves: Mapping[str, Array]
    trained: Array
    truth: Array
    optima: tuple[float, float]


class Recovery(NamedTuple):
    """What panel (b) shows: separations at [draw, size] of each method, and that of the truth."""

    sizes: Sequence[int]
    values: Mapping[str, Array]
    truth: float


def compute_ceiling(source: Source, *, restarts: int = 8, rng: int = 0) -> Ceiling:
    """Compute how much of the classes each kind of optimum keeps, for rates up to 1.

    Parameters
    ----------
    source : Source
        Data of two classes.
    restarts, rng : int
        Number and seed of the trained models.

    Returns
    -------
    Ceiling
        Certified, but for the trained models.

    Raises
    ------
    ValueError
        If the source has not two classes.
    """
    classes, rates = ClassDecoder(source.p_z_given_x), np.linspace(0, WIDEST, 101)
    least_D, _ = frontier(source.p, decoder=classes, spacing=5e-4).bounds_at(rates)
    ceiling = np.array([rates, classes.least(source.p) - least_D])  # by tangents: proven

    def kept(models: Iterable[Tables]) -> Array:
        return np.array([(one.R, source.latent_information(one.e)) for one in models]).T

    family = GaussianDecoder(source.p.size)
    # From its corner on, at 0.5 for the toy, the Gaussian optimum is not unique.
    gaussian = (solve(source.p, rate=r, decoder=family) for r in np.linspace(0, 0.5, 6))
    squares = (solve(source.p, rate=r) for r in np.linspace(0, WIDEST, 11))
    curves = {GAUSSIAN: kept(gaussian), SQUARES: kept(squares)}
    trained = kept(train_all(source.p, restarts, rate=RATE, rng=rng))
    truth = kept([source.true_model()])[:, 0]
    ends = identified(source, rate=RATE, measure="information")
    return Ceiling(ceiling, curves, trained, truth, (ends.least.value, ends.largest.value))


def compute_recovery(
    source: Source, *, sizes: Sequence[int], draws: int, rng: int = 0, callback: Tell = quiet
) -> Recovery:
    """Solve for a target rate on samples, and measure the separation of the true classes.

    Parameters
    ----------
    source : Source
        Data of two classes.
    sizes : sequence of int
        Numbers of samples.
    draws, rng : int
        Sets of samples of each size, and their seed.
    callback : callable
        Called after each set.

    Returns
    -------
    Recovery
        Separations of global optima on the samples, under the true distribution.

    Raises
    ------
    ValueError
        If the source has not two classes.
    """
    generator, family = np.random.default_rng(rng), GaussianDecoder(source.p.size)
    values = {name: np.empty((draws, len(sizes))) for name in STYLES}
    for place in np.ndindex(draws, len(sizes)):
        p = empirical(source.p, sizes[place[1]], rng=generator)
        for name, decoder in ((GAUSSIAN, family), (SQUARES, None)):
            found = solve(p, rate=RATE, decoder=decoder, tol=1e-6)
            values[name][place] = source.separation(found.e)
        callback()
    return Recovery(sizes, values, source.separation(source.true_model().e))


def draw_ceiling(ceiling: Ceiling, recovery: Recovery, *, width: float = PAGE) -> Figure:
    """Draw both panels.

    Parameters
    ----------
    ceiling, recovery
        What to draw.
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.
    """
    with figure_style():
        figure = Figure(figsize=(width, 2.9))
        left, right = figure.subplots(1, 2)
        _draw_ceiling(left, ceiling)
        _draw_recovery(right, recovery)
        figure.subplots_adjust(left=0.07, right=0.985, bottom=0.13, top=0.93, wspace=0.22)
    return figure


def _draw_ceiling(ax: Axes, shown: Ceiling) -> None:
    rates, top = shown.ceiling
    ax.fill_between(rates, 0, top, fc="0.9", ec="0.6", lw=0.5, label="all optima, tables free")
    ax.plot(rates, top, color="black", lw=1.4, label="ceiling: the bottleneck")
    for name, curve in shown.curves.items():
        colour, dash, mark = STYLES[name]
        # Marks are open, so that both are seen where curves meet.
        ax.plot(*curve, dash + mark, color=colour, mfc="none", ms=5, lw=1.2, label=name)
    ax.plot(*shown.trained, "x", color="0.25", ms=5, mew=1, label=TRAINED)
    ax.plot(*shown.truth, "*", color="black", mfc="white", ms=10, mew=0.9, label="truth")
    ax.set(xlabel="rate R (nats)", ylabel="I(Z; Z*) (nats)", xlim=(0, WIDEST), ylim=(0, None))
    ax.set_title("(a) what z can tell of the class", loc="left", fontweight="bold")
    ax.legend(loc="lower right", framealpha=1)


def _draw_recovery(ax: Axes, shown: Recovery) -> None:
    ax.axhline(shown.truth, color="black", lw=1, ls=":")
    ax.annotate("truth", (0, shown.truth), (3, 2), ax.get_yaxis_transform(), UNITS[1])
    for name, values in shown.values.items():
        colour, dash, mark = STYLES[name]
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(shown.sizes, low, high, color=colour, alpha=0.22, lw=0)
        ax.plot(shown.sizes, middle, dash + mark, color=colour, ms=3.5, lw=1.2, label=name)
    ax.set(xscale="log", xlabel="samples", ylabel="separation of the true classes")
    ax.set_xticks(shown.sizes, [f"{size:,}" for size in shown.sizes])
    ax.minorticks_off()
    ax.set_ylim(None, shown.truth + 0.04)
    ax.set_title("(b) recovered at a target rate", loc="left", fontweight="bold")
    ax.legend(loc="lower right", frameon=False)


def sentences(ceiling: Ceiling, recovery: Recovery) -> str:
    """Say in one sentence each what the picture shows.

    Parameters
    ----------
    ceiling, recovery
        What it shows.

    Returns
    -------
    str
        One sentence on a line.
    """
    least, most = ceiling.optima
    at = {name: float(np.interp(RATE, *curve)) for name, curve in ceiling.curves.items()}
    low, high = ceiling.trained[1].min(), ceiling.trained[1].max()
    R, told = ceiling.truth
    said = [
        f"Ceiling: at rate {RATE:g} no representation tells more than {most:.4f} nats.",
        f"Truth: at its rate of {R:.4f} it tells {told:.4f} nats, {told / most:.1%} of that.",
        f"All optima: with free tables they tell from {least:.4f} to {most:.4f} nats.",
        f"{GAUSSIAN}: the optimum tells {at[GAUSSIAN]:.4f} nats.",
        f"{SQUARES}: this choice among all optima tells {at[SQUARES]:.4f} nats.",
        f"{TRAINED}: {ceiling.trained.shape[1]} runs tell from {low:.4f} to {high:.4f} nats.",
    ]
    first, *_, last = (f"{size:,}" for size in recovery.sizes)
    for name, values in recovery.values.items():
        middle = np.median(values, axis=0)
        said.append(
            f"Samples, {name}: the separation is {middle[0]:.3f} with {first} of them and "
            f"{middle[-1]:.3f} with {last}; the truth has {recovery.truth:.3f}."
        )
    return "\n".join(said)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.ceiling --help``.

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
    ...     code = main(["--draws", "0"])
    toyrd.ceiling: argument --draws: 0 must lie in [1, inf]
    >>> code
    2
    """
    parser = figure_parser("ceiling", __doc__)
    add = parser.add_argument
    add("--draws", type=number(1, kind=int), default=8, metavar="N", help="of samples (8)")
    add("--restarts", type=number(1, kind=int), default=8, metavar="N", help="of training (8)")
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    source, draws, seed = toy_source(), options.draws, options.seed
    ceiling = compute_ceiling(source, restarts=options.restarts, rng=seed)
    with progress(draws * len(SIZES), "samples") as tell:
        recovery = compute_recovery(source, sizes=SIZES, draws=draws, rng=seed, callback=tell)
    return draw_ceiling(ceiling, recovery, width=options.width), sentences(ceiling, recovery)


if __name__ == "__main__":
    sys.exit(main())
