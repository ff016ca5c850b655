"""Animate one alternation: the tables, the path in the R-D plane, and the bound that falls.

Each frame is one iteration of `alternate` on the paper's toy: best marginal, best encoder, best
decoder. At β < 1 the free tables climb along D + R = H to a lossless code; at β = 1 they stand
still at the rate they started with. Takes about ten seconds.

    python examples/animate.py [--beta 0.5 | --rate 0.5] [--start random] [--frames 24]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toyrd import Solution, alternate, toy_source
from toyrd.checks import as_count
from toyrd.figure import figure_style

BLUE, ORANGE = "#0072B2", "#D55E00"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="animate.py", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--beta", type=float, metavar="B", help="price of a nat (0.5)")
    target.add_argument("--rate", type=float, metavar="R", help="rate to keep, in nats")
    add("--start", choices=("random", "smooth"), default="random", help="first encoder (random)")
    add("--frames", type=int, default=24, metavar="N", help="iterations to show (24)")
    add("--seed", type=int, default=0, metavar="N", help="of the random start (0)")
    add("--dpi", type=int, default=100, metavar="N", help="dots per inch (100)")
    add("--output", type=Path, default=Path("alternation.gif"), metavar="PATH", help="a .gif file")
    options = parser.parse_args(argv)
    beta = 0.5 if options.beta is None and options.rate is None else options.beta
    try:
        frames = as_count("--frames", options.frames, low=2)
        walk = alternate(
            toy_source().p, beta=beta, rate=options.rate, start=options.start, rng=options.seed
        )
        animate(list(islice(walk, frames)), options.output, dpi=options.dpi)
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


def animate(states: Sequence[Solution], path: Path, *, dpi: int) -> None:
    """Write a GIF with a frame for each state; the last one stands for one second."""
    if path.suffix.lower() != ".gif":
        raise ValueError(f"{path} must end in .gif")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no such folder")
    with figure_style():
        figure = Figure(figsize=(6.75, 5.2))
        panels = figure.subplots(2, 2)
        figure.subplots_adjust(
            left=0.08, right=0.97, bottom=0.1, top=0.94, hspace=0.42, wspace=0.25
        )
        writer = PillowWriter(fps=5)
        with writer.saving(figure, str(path), dpi):
            for i in [*range(len(states)), *[len(states) - 1] * 4]:
                for ax in panels.flat:
                    ax.clear()
                draw_tables(panels[0], states[i])
                draw_path(panels[1, 0], states[: i + 1])
                draw_objective(panels[1, 1], states, i)
                writer.grab_frame()


def draw_tables(axes: Sequence[Axes], state: Solution) -> None:
    """Draw e(z|x) and d(x|z), darker where they are more likely."""
    for ax, title, table in zip(axes, ("e(z|x)", "d(x|z)"), (state.e.T, state.d), strict=True):
        ax.imshow(np.sqrt(table), origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=1)
        ax.set(title=title, xlabel="x (bin)", ylabel="z")


def draw_path(ax: Axes, states: Sequence[Solution]) -> None:
    """Draw the path so far in the R-D plane, above the line D + R = H."""
    H = states[-1].H
    ax.fill([0, H, 0], [H, 0, 0], color="0.9")
    ax.plot([0, H], [H, 0], color="0.4", lw=1)
    ax.annotate("D + R < H: infeasible", (0.05 * H, 0.1 * H), color="0.3")
    ax.plot([one.R for one in states], [one.D for one in states], color=BLUE, marker=".", lw=0.8)
    ax.plot(states[-1].R, states[-1].D, color=ORANGE, marker="o")
    ax.set(xlim=(0, 1.05 * H), ylim=(0, 1.3 * H), xlabel="R (nats)", ylabel="D (nats)")
    ax.set_title(f"D = {states[-1].D:.3f}, R = {states[-1].R:.3f}")


def draw_objective(ax: Axes, states: Sequence[Solution], i: int) -> None:
    """Draw what the iterations lower up to the i-th, and the bound that no tables get below."""
    values = [one.objective for one in states]
    bound = max(one.lower_bound for one in states)
    ax.plot(range(1, i + 2), values[: i + 1], color=BLUE, marker=".", lw=0.8)
    ax.axhline(bound, color="0.4", lw=1, ls="--")
    span = max(values) - bound or 1.0
    ax.annotate("no tables get below", (1, bound - 0.02 * span), color="0.3", va="top")
    ax.set(xlim=(0, len(states) + 1), ylim=(bound - 0.16 * span, max(values) + 0.08 * span))
    name = f"D + {states[i].beta:g} R" if states[i].target.name == "beta" else "D"
    ax.set(xlabel="iteration", ylabel=f"{name} (nats)", title=f"{name} = {values[i]:.4f}")


if __name__ == "__main__":
    sys.exit(main())
