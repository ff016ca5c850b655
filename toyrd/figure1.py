"""Figure 1 of the paper, computed: the phase diagram of rate and distortion (10 s).

Left the whole plane of R and D, right the part where the frontiers leave D + R = H. No model lies
below that line. Frontiers of three kinds of model lie above it: Gaussian decoder rows with a free
marginal and a decoder with fixed, too wide rows, both certified, and Gaussian rows with a uniform
marginal, the best found. Dots are random models. The points where β = 1 are printed in nats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

import toyrd

from .checks import Array, Seed, Tell, quiet
from .figure import PAGE, figure_parser, figure_style, number, progress, run, text_table
from .model import Tables

WIDTH = 4.0
"""Of the rows of the worse decoder, in bins: the truth has 2.26 and 3.41."""

TOUCH = 1e-3
"""How far from 1 is β at the ends of the stretch on which a frontier touches D + R = H."""

LOW = (0.05, 0.1, 0.2, 0.4, 0.6, 0.75, 0.9, 0.97, 1 - TOUCH)
BETAS = (*LOW, 1.0, 1 + TOUCH, 1.03, 1.1, 1.2, 1.3, 1.4, 1.55, 1.7, 1.85, 2.0)
"""Slopes at which frontiers are computed; the certified ones at 0 and ∞ too."""

ROUGH, STEPS = 5, 40
"""Steps from every start of a search, and then from the best of them."""

_HALO = [Stroke(linewidth=2, foreground="white"), Normal()]
_WORDS: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "path_effects": _HALO}
_ARROW: dict[str, Any] = {"arrowstyle": "-", "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
_BLUE, _ORANGE, _GREEN = "#0b3c6f", "#e07b39", "#3d7a3d"
# Of the models of Figure 2.
_MODELS: dict[str, dict[str, Any]] = {
    "Figure 2 (a), the truth": {"marker": "*", "ms": 7},
    "Figure 2 (b), best ELBO": {"marker": "D", "ms": 4.5},
    "Figure 2 (c), target rate 0.5": {"marker": "o", "ms": 10, "fillstyle": "none"},
}


class Phase(NamedTuple):
    """What the phase diagram shows: models at their R and D.

    Parameters
    ----------
    H : float
        Entropy of the data.
    gaussian, fixed : Frontier
        Of Gaussian decoder rows, and of a table, both with a free marginal.
    uniform : sequence of Solution
        The best found with Gaussian rows and a uniform marginal, by rising β.
    columns : mapping of str to Model or Solution
        The models of Figure 2.
    random : sequence of Model
        Random models.
    """

    H: float
    gaussian: toyrd.Frontier
    fixed: toyrd.Frontier
    uniform: Sequence[toyrd.Solution]
    columns: Mapping[str, Tables]
    random: Sequence[toyrd.Model]


def compute_phase(
    source: toyrd.Source, *, betas: Sequence[float], models: int, rng: Seed, callback: Tell = quiet
) -> Phase:
    """Compute the phase diagram: frontiers, the models of Figure 2, and random ones.

    The frontiers with a free marginal are certified. With a uniform marginal all that is proven
    is that it lies above the one with Gaussian rows.

    Parameters
    ----------
    source : Source
        The data.
    betas : sequence of float
        Slopes of the frontiers, rising, above 0 and finite.
    models : int
        Number of random models.
    rng : int or numpy.random.Generator
        For random models.
    callback : callable, optional
        Called after each point of a frontier: 2 n + 2 times for n betas.

    Returns
    -------
    Phase
        For `draw_phase`.

    Examples
    --------
    >>> source = toyrd.toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None)
    >>> phase = compute_phase(source, betas=[1, 2], models=20, rng=0)
    >>> all(-model.elbo >= phase.H for model in phase.random)
    True

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 3 and Figure 1.
    """
    p, family = source.p, toyrd.GaussianDecoder(source.p.size)
    gaussian = toyrd.frontier(p, decoder=family, betas=[0, *betas, np.inf], callback=callback)
    uniform = []
    for point in gaussian[1:-1]:
        uniform.append(search_uniform(family, point))
        callback()
    shown = source.true_model(), toyrd.solve(p, beta=1), toyrd.solve(p, rate=0.5)
    columns = dict(zip(_MODELS, shown, strict=True))
    fine = [0, *sorted({*betas, 1.0, *np.geomspace(0.03, 4, 60)}), np.inf]
    fixed = toyrd.frontier(p, decoder=worse_decoder(p.size), betas=fine)
    generator = np.random.default_rng(rng)
    dots = [random_model(p, rng=generator) for _ in range(models)]
    return Phase(shown[0].H, gaussian, fixed, uniform, columns, dots)


def worse_decoder(n: int) -> Array:
    """Return the fixed decoder: a Gaussian row at every bin, all too wide."""
    return np.exp(toyrd.GaussianDecoder(n).log_rows([[x, WIDTH] for x in range(n)]))


def search_uniform(family: toyrd.GaussianDecoder, free: toyrd.Solution) -> toyrd.Solution:
    """Search Gaussian rows with a uniform marginal, from the optimum with a free one.

    Starts are its rows as often as m(z) allows, quantiles of x to those of z, and x itself.
    """
    n, p, ends = free.n_x, free.p[:, None], np.cumsum(free.p)[:, None]
    times = np.diff(np.rint(n * np.cumsum(free.m)).astype(int), prepend=0)
    rows = family.log_rows(np.repeat(free.parameters, times, axis=0))
    shared = np.diff(np.clip(np.linspace(0, 1, n + 1), ends - p, ends), axis=1)
    quantiles = toyrd.normalize(np.maximum(shared, 1e-12 * p))
    task: dict[str, Any] = {"beta": free.beta, "decoder": family, "marginal": np.full(n, 1 / n)}
    starts = toyrd.best_encoder(np.exp(rows), task["marginal"], free.beta), quantiles, np.eye(n)
    runs = [toyrd.alternate(free.p, start=e, **task) for e in starts]
    best = min(runs, key=lambda run: [*islice(run, ROUGH)][-1].objective)
    return [*islice(best, STEPS)][-1]


def random_model(p: Array, *, rng: np.random.Generator) -> toyrd.Model:
    """Return a model drawn at random, some way towards its best d and m.

    Tables are drawn by `Model.random` with various concentrations. Left as they are nearly all
    would lie outside the diagram, so d and m move a random share towards their best responses.
    """
    spread = 10 ** rng.uniform(-2.0, 1.5)
    model = toyrd.Model.random(p, p.size, rng=rng, concentration=spread)
    left = 10 ** rng.uniform(-2.0, 0.0, size=2)
    d = left[0] * model.d + (1 - left[0]) * model.x_given_z
    m = left[1] * model.m + (1 - left[1]) * model.e_z
    return toyrd.Model(p, model.e, d, m)


def draw_phase(phase: Phase, *, width: float = PAGE) -> Figure:
    """Draw the phase diagram, and beside it the part around the truth, enlarged.

    Parameters
    ----------
    phase : Phase
        From `compute_phase`.
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> source = toyrd.toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None)
    >>> phase = compute_phase(source, betas=[1, 2], models=20, rng=0)
    >>> len(draw_phase(phase).axes)
    2
    """
    side = (width - 1.1) / 2
    height = side + 1.32
    with figure_style():
        figure = Figure(figsize=(width, height))
        for x, draw in ((0.42, _whole), (width - side - 0.1, _part)):
            draw(phase, figure.add_axes((x / width, 1.05 / height, side / width, side / height)))
        keys = figure.axes[0].get_legend_handles_labels()
        below: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.02 / height)}
        figure.legend(*keys, **below, ncols=3, frameon=False, handlelength=2.6, borderpad=0)
    return figure


def _whole(phase: Phase, ax: Axes) -> None:
    """Draw the whole diagram."""
    H = phase.H
    _draw(phase, ax, (0, 1.45 * H, 0, 1.45 * H))
    ax.set_title("the whole plane", loc="left")
    ax.annotate("infeasible\nD + R < H", (0.33 * H, 0.22 * H), **_WORDS)
    ax.annotate("feasible", (0.9 * H, 1.2 * H), **_WORDS)
    _point(ax, (0, H), (0.23 * H, 0.5 * H), "auto-decoding\nlimit (0, H)")
    _point(ax, (H, 0), (1.2 * H, 0.3 * H), "auto-encoding\nlimit (H, 0)")


def _part(phase: Phase, ax: Axes) -> None:
    """Draw the part of the diagram where frontiers leave the line D + R = H, enlarged."""
    H, (R, D) = phase.H, _places([_at(phase.fixed, 1)])[:, 0]
    _draw(phase, ax, (0, 0.35 * H, 0.74 * H, 1.09 * H))
    ax.set_title("enlarged: the upper left end of D + R = H", loc="left")
    ax.annotate("infeasible", (0.085 * H, 0.77 * H), **_WORDS)
    _point(ax, (0.02 * H, H), (0.085 * H, 0.84 * H), "feasible, but not\nwith Gaussian rows")
    words = f"best ELBO of the fixed rows,\n−ELBO = {R + D:.3f} (H = {H:.3f})"
    _point(ax, (R, D), (R + 0.12 * H, D + 0.05 * H), words)


def _draw(phase: Phase, ax: Axes, window: Sequence[float]) -> None:
    """Draw everything but the words into a window (R from, R to, D from, D to)."""
    H, far, (R, D) = phase.H, 100 * phase.H, _places([_at(phase.fixed, 1)])[:, 0]
    edge = _extended(phase.gaussian, far)
    touching = [_at(phase.gaussian, beta) for beta in (1 - TOUCH, 1 + TOUCH)]
    name = f"the same, β from {1 - TOUCH:g} to {1 + TOUCH:g}"
    rows = f"rows of width {WIDTH:g}, free m (certified)"
    squares: dict[str, Any] = {"ms": 2.5, "mfc": "white", "color": _ORANGE, "lw": 1}
    ax.fill_between(*edge, far, color="#e3ecf6", lw=0, label="realizable with Gaussian rows")
    ax.fill_between([0, H], [H, 0], color="0.80", lw=0)
    ax.plot(*_places(phase.random), ".", color="0.5", ms=1.5, label="random models")
    ax.plot([0, H], [H, 0], color="black", lw=0.8, label="D + R = H")
    ax.plot(*edge, color=_BLUE, lw=2.2, label="Gaussian rows, free m (certified)")
    ax.plot(*_places(touching), color=_BLUE, lw=5, alpha=0.4, label=name)
    ax.plot(*_places(phase.uniform), "s--", **squares, label="Gaussian rows, uniform m (found)")
    ax.plot(*_extended(phase.fixed, far), "-.", color=_GREEN, lw=1.4, label=rows)
    ax.axline((R, D), slope=-1, color="0.25", lw=0.9, ls=":", label="slope −1 at its best ELBO")
    ax.plot(R, D, "o", ms=4.5, color=_GREEN)
    for title, style in _MODELS.items():
        ax.plot(*_places([phase.columns[title]]), "k", ls="", clip_on=False, label=title, **style)
    ax.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    ax.set(xlabel="rate R (nats)", ylabel="distortion D (nats)")


def _at(curve: toyrd.Frontier, beta: float) -> toyrd.Solution:
    """Return the point of a frontier at a β."""
    return curve[int(np.argmin(np.abs(curve.betas - beta)))]


def _places(models: Iterable[Tables]) -> Array:
    """Return where models lie in the diagram, shape (2, n)."""
    return np.array([(one.R, one.D) for one in models]).T


def _extended(curve: toyrd.Frontier, far: float) -> tuple[list[float], list[float]]:
    """Return R and D of a frontier with what lies above its start and to the right of its end."""
    R, D = curve.reached
    return [R[0], *R, far], [far, *D, D[-1]]


def _point(ax: Axes, xy: tuple[float, float], place: tuple[float, float], text: str) -> None:
    """Write a text at a place, with a line to what it speaks of."""
    ax.annotate(text, xy, place, arrowprops=_ARROW, **_WORDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure1 --help``.

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
    >>> main(["--seed", "none"])
    toyrd.figure1: argument --seed: invalid int value: 'none'
    2
    """
    parser = figure_parser("figure1", __doc__)
    models = number(1, 100_000, int)
    parser.add_argument("--models", type=models, default=600, metavar="N", help="dots (600)")
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    task: dict[str, Any] = {"betas": BETAS, "models": options.models, "rng": options.seed}
    with progress(2 * len(BETAS) + 2, "points") as tell:
        phase = compute_phase(toyrd.toy_source(), callback=tell, **task)
    return draw_phase(phase, width=options.width), _report(phase)


def _report(phase: Phase) -> str:
    """Return a table of the points where β = 1 and of the models of Figure 2, in nats."""
    points = {
        f"Gaussian rows, free m, beta = {1 + TOUCH:g}": _at(phase.gaussian, 1 + TOUCH),
        f"Gaussian rows, free m, beta = {1 - TOUCH:g}": _at(phase.gaussian, 1 - TOUCH),
        "Gaussian rows, uniform m, beta = 1 (found)": phase.uniform[BETAS.index(1)],
        f"rows of width {WIDTH:g}, beta = 1": _at(phase.fixed, 1),
        **phase.columns,
    }
    rows = [[what, s.R, s.D, -s.elbo, max(0.0, -s.elbo - phase.H)] for what, s in points.items()]
    return text_table(["point (nats)", "R", "D", "-ELBO", "-ELBO - H"], rows)


if __name__ == "__main__":
    sys.exit(main())
