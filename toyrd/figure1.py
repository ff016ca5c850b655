"""Figure 1 of the paper, computed: the phase diagram of rate and distortion on the toy.

``python -m toyrd.figure1`` computes the frontiers of four kinds of model on the toy, draws them
with the limits, the tangents of slope −1, the models of Figure 2 and random models, and prints
the points where β = 1, in nats. Curves are arrays with rows (R, D).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .checks import Array, as_count, as_rng
from .class_data import toy_data
from .figure import figure_parser, figure_style, progress, run, text_table
from .figure2 import compute_columns
from .frontier import Frontier, frontier
from .gaussian import GaussianDecoder
from .measures import entropy
from .model import Model, best_decoder, best_marginal
from .plotting_phase import Curve, Phase, plot_corner, plot_phase
from .search import search
from .sources import Source, toy_source

__all__ = ["compute_phase", "draw_phase", "main"]

WIDTH = 4.0
"""Of the rows of the worse decoder, in bins: the truth has 2.26 and 3.41."""

BETAS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.75, 0.9, 0.97, 1.0, 1.03, 1.1, 1.2, 1.35, 1.6, 1.9, 2.2)
"""At which the uniform marginal is searched."""

TOUCH = 1e-3
"""How far from 1 is β at the ends of the stretch on which a frontier touches D + R = H."""


def compute_phase(
    source: Source,
    *,
    betas: Sequence[float] = BETAS,
    starts: int = 3,
    steps: int = 200,
    models: int = 600,
    tolerance: float = 3e-4,
    rng: int | np.random.Generator | None = None,
    callback: Callable[..., object] = lambda *_: None,
) -> Phase:
    """Compute the phase diagram: frontiers, points where β = 1, Figure 2's and random models.

    The frontiers of Gaussian decoders with a free marginal and of a fixed decoder are certified.
    That of Gaussian decoders with a uniform marginal is the best of a local search: all that is
    proven is that it lies above the first.

    Parameters
    ----------
    source : Source
        The data.
    betas : sequence of float
        At which the uniform marginal is searched, rising, with 1.
    starts, steps : int
        Random starts of that search for each β, and its steps; see `search`.
    models : int
        Number of random models.
    tolerance : float
        Of the certified frontiers, see `frontier`.
    rng : int or numpy.random.Generator, optional
        For starts and random models.
    callback : callable, optional
        Called after each point.

    Returns
    -------
    Phase
        What `draw_phase` draws.

    Examples
    --------
    >>> source = toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None)
    >>> phase = compute_phase(source, betas=[1, 2], steps=20, tolerance=0.1, rng=0)
    >>> bool((phase.random.sum(axis=1) >= phase.H).all())
    True

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 3 and Figure 1.
    """
    generator, p = as_rng(rng), source.p
    gaussians, table = GaussianDecoder(p.size), worse_decoder(p.size)
    best = frontier(p, decoder=gaussians, tolerance=tolerance, callback=callback)
    touch = frontier(p, decoder=gaussians, betas=[1 - TOUCH, 1 + TOUCH], callback=callback)
    fixed = frontier(p, decoder=table, tolerance=tolerance, callback=callback)
    members = toy_data(source).model_class("+--")
    found = search(members, betas, starts=starts, steps=steps, rng=generator, callback=callback)
    uniform = np.array([(one.model.R, one.model.D) for one in found])
    return Phase(
        H=entropy(p),
        gaussian=_curve(touch, best),
        uniform=Curve(uniform[::-1], uniform[np.array(betas) == 1]),
        fixed=_curve(frontier(p, decoder=table, betas=[1.0]), fixed),
        columns=tuple((title, model.R, model.D) for title, model in compute_columns(source)),
        random=random_models(p, models, rng=generator),
    )


def _curve(*frontiers: Frontier) -> Curve:
    """Join frontiers by rising R; the first holds the points where β = 1."""
    at_one, *_ = parts = [np.stack([each.R, each.D], axis=1) for each in frontiers]
    points = np.concatenate(parts)
    return Curve(points[np.lexsort((-points[:, 1], points[:, 0]))], at_one)


def worse_decoder(n: int) -> Array:
    """Return the fixed decoder: a Gaussian row at every bin, all too wide."""
    rows = np.stack([np.arange(float(n)), np.full(n, WIDTH)], axis=1)
    return np.exp(GaussianDecoder(n, widths=(WIDTH, WIDTH)).log_rows(rows))


def random_models(p: Array, n: int, *, rng: np.random.Generator) -> Array:
    """Return (R, D) of models drawn at random, each some way towards its best d and m.

    Tables are drawn by `Model.random` with various concentrations. Left as they are nearly all
    would lie outside the diagram, so d and m move a random share towards their best responses.
    """
    points = np.empty((n, 2))
    for i in range(n):
        concentration = 10 ** rng.uniform(-2.0, 1.5)
        model = Model.random(p, p.size, rng=rng, concentration=concentration)
        left = 10 ** rng.uniform(-2.0, 0.0, size=2)
        d = left[0] * model.d + (1 - left[0]) * best_decoder(p, model.e)
        m = left[1] * model.m + (1 - left[1]) * best_marginal(p, model.e)
        moved = Model(p, model.e, d, m)
        points[i] = moved.R, moved.D
    return points


def draw_phase(phase: Phase) -> Figure:
    """Draw the phase diagram, and beside it the part around the truth, enlarged.

    Parameters
    ----------
    phase : Phase
        From `compute_phase`.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> source = toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None)
    >>> phase = compute_phase(source, betas=[1, 2], steps=20, tolerance=0.1, rng=0)
    >>> len(draw_phase(phase).axes)
    2
    """
    with figure_style():
        figure = Figure(figsize=(10.6, 5.5))
        sides = {"left": 0.045, "right": 0.985, "bottom": 0.08, "top": 0.94, "wspace": 0.13}
        whole, corner = figure.subplots(1, 2, gridspec_kw=sides)
        plot_phase(phase, ax=whole)
        plot_corner(phase, ax=corner)
        whole.set_title("(a) what is infeasible, feasible and realizable", loc="left")
        corner.set_title("(b) enlarged: where the frontiers leave D + R = H", loc="left")
    return figure


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
    toyrd.figure1: argument --seed: invalid integer value: 'none'
    2
    """
    parser = figure_parser("figure1", "Draw the phase diagram of the toy.")
    add = parser.add_argument
    add("--models", type=int, default=600, metavar="N", help="random ones (600)")
    add("--starts", type=int, default=3, metavar="N", help="random, with uniform m, for each beta")
    add("--steps", type=int, default=200, metavar="N", help="of L-BFGS from the best start (200)")
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    names = ("starts", "steps", "models")
    counts: dict[str, Any] = {name: as_count(f"--{name}", vars(options)[name]) for name in names}
    with progress(None, "points") as callback:
        phase = compute_phase(toy_source(), rng=options.seed, callback=callback, **counts)
    return draw_phase(phase), _report(phase)


def _report(phase: Phase) -> str:
    """Return a table of the points where β = 1 and of the models of Figure 2, in nats."""
    most, least = phase.gaussian.at_one
    points = [
        (f"Gaussian rows, free m, beta = {1 + TOUCH:g}", *least),
        (f"Gaussian rows, free m, beta = {1 - TOUCH:g}", *most),
        *(("Gaussian rows, uniform m, beta = 1 (local)", *one) for one in phase.uniform.at_one),
        *((f"fixed rows of width {WIDTH:g}, beta = 1", *one) for one in phase.fixed.at_one),
        *((f"Figure 2 {title}", R, D) for title, R, D in phase.columns),
    ]
    rows = [[what, R, D, R + D, max(0.0, R + D - phase.H)] for what, R, D in points]
    return text_table(["point (nats)", "R", "D", "-ELBO", "-ELBO - H"], rows)


if __name__ == "__main__":
    sys.exit(main())
