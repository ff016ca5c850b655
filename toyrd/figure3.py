"""Figure 3 of the paper, exactly: eight model classes on the toy and on images.

``python -m toyrd.figure3`` searches the best model for every combination of a simple or complex
encoder, decoder and marginal at several β, draws the classes in the plane of R and D and −ELBO
against R, and prints what the pictures show, in nats. A class is named as in `classes`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .checks import Array, as_count, as_number, as_rng
from .class_data import Data, image_data, toy_data
from .figure import figure_parser, figure_style, progress, run, text_table
from .hulls import hull, pareto
from .measures import entropy
from .plotting_classes import Panel, class_handles, plot_classes, plot_negative_elbo
from .search import NAMES, Found, search_all
from .sources import bars_and_stripes, toy_source

__all__ = ["as_panel", "draw_panels", "main", "sentences"]

BETAS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.05, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5)

CLOSE = 0.01
"""Nats by which a model may miss D + R = H and still be called close to it."""

NEAR = 0.12
"""Nats of −ELBO above H that the enlarged pictures show."""

Results = Mapping[str, Sequence[Found]]


def as_panel(data: Data, results: Results) -> Panel:
    """Arrange what was found for drawing, with the hulls and the Pareto steps.

    Parameters
    ----------
    data : Data
        What was searched.
    results : mapping of str to sequence of Found
        From `search_all`.

    Returns
    -------
    Panel
        For `draw_panels`.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], rng=0, steps=20)
    >>> as_panel(data, found).hulls["+++"].round(3)
    array([[0.   , 1.442],
           [1.442, 0.   ]])
    """
    H, rows = entropy(data.p), _rows(results)
    points, everything = dict(zip(NAMES, rows.reshape(8, -1, 2), strict=True)), rows.reshape(-1, 2)
    simple = rows[:, 0].reshape(-1, 2)
    total = simple.sum(axis=1)
    R = simple[total <= max(H + NEAR, total.min()), 0]
    margin = 0.05 * float(np.ptp(R)) + 0.05
    return Panel(
        title=data.name,
        H=H,
        points=points,
        hulls={name: hull(each) for name, each in points.items()},
        hull=hull(everything),
        pareto=pareto(everything.round(9)),  # ties but for rounding are ties
        near=(R.min() - margin, R.max() + margin),
    )


def _rows(results: Results) -> Array:
    """Return (R, D) at [encoder, decoder, marginal, β], where 0 is simple and 1 complex."""
    rows = [[(one.model.R, one.model.D) for one in results[name]] for name in NAMES]
    return np.reshape(rows, (2, 2, 2, -1, 2))


def draw_panels(panels: Sequence[Panel]) -> Figure:
    """Draw each data set in a row: the plane of R and D, −ELBO against R, and that enlarged.

    Parameters
    ----------
    panels : sequence of Panel
        From `as_panel`.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], rng=0, steps=20)
    >>> len(draw_panels([as_panel(data, found)]).axes)
    3
    """
    height = 3.4 * len(panels) + 0.7
    with figure_style():
        figure = Figure(figsize=(11.5, height))
        sides = {"left": 0.05, "right": 0.985, "bottom": 1.0 / height, "top": 1 - 0.3 / height}
        axes = figure.subplots(
            len(panels), 3, squeeze=False, gridspec_kw={**sides, "wspace": 0.22, "hspace": 0.32}
        )
        for (plane, whole, part), panel in zip(axes, panels, strict=True):
            plot_classes(panel, ax=plane).set_title(f"{panel.title}: rate and distortion")
            plot_negative_elbo(panel, ax=whole).set_title(f"{panel.title}: −ELBO")
            plot_negative_elbo(panel, ax=part).set_title(f"{panel.title}: −ELBO, enlarged near H")
            part.set(xlim=panel.near, ylim=(panel.H - 0.1 * NEAR, panel.H + NEAR))
        figure.legend(handles=class_handles(), loc="lower center", ncols=4, frameon=False)
    return figure


def sentences(data: Data, results: Results) -> list[str]:
    """Say what the picture of a data set shows, one sentence for each thing, all computed.

    Parameters
    ----------
    data : Data
        What was searched.
    results : mapping of str to sequence of Found
        From `search_all`.

    Returns
    -------
    list of str
        Sentences with numbers in nats.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], rng=0, steps=20)
    >>> sentences(data, found)[-2].split(";")[0]
    '5 latents carry at most log n_z = 1.609'
    """
    panel, rows = as_panel(data, results), _rows(results)
    R, D = np.moveaxis(rows, -1, 0)
    betas = np.array([one.beta for one in results["+++"]])
    ones = R[(betas == 1) & (R + D - panel.H <= CLOSE)]
    above = max(0.0, (panel.hull.sum(axis=1) - panel.H).max())
    return [
        *_reach(panel.H, rows[:, 1], "With a free decoder"),
        *_reach(panel.H, rows[:, 0], f"With {data.rows}"),
        *(_cost(D + betas * R, betas, place) for place in range(3)),
        f"At beta = 1 the {ones.size} classes within {CLOSE:g} of H have rates from "
        f"{ones.min():.3f} to {ones.max():.3f}: the ELBO does not choose between them."
        if ones.size
        else f"At beta = 1 no model found is within {CLOSE:g} of H.",
        f"{data.n_z} latents carry at most log n_z = {np.log(data.n_z):.3f}; "
        f"the largest rate found is {R.max():.3f}.",
        f"The lower hull of all {R.size} models has {len(panel.hull)} corners, at most "
        f"{above:.1e} above D + R = H; {len(panel.pareto)} models are Pareto steps.",
    ]


def _reach(H: float, rows: Array, what: str) -> list[str]:
    """Say how near to D + R = H the classes with one kind of decoder come."""
    best = np.maximum(rows.sum(axis=-1).min(axis=-1) - H, 0)
    corners = hull(rows.reshape(-1, 2))
    rates = corners[corners.sum(axis=1) - H <= CLOSE, 0]
    where = f"from R = {rates.min():.3f} to {rates.max():.3f}" if rates.size else "nowhere"
    return [
        f"{what}, the best -ELBO of each of the four classes is above H by {best.min():.6f} "
        f"to {best.max():.6f}.",
        f"{what}, the corners of the hull lie within {CLOSE:g} of D + R = H {where}.",
    ]


def _cost(objective: Array, betas: Array, place: int) -> str:
    """Say what a simple part costs at the most."""
    losses = -np.diff(objective, axis=place)
    *signs, i = np.unravel_index(losses.argmax(), losses.shape)
    return (
        f"A simple {('encoder', 'decoder', 'marginal')[place]} costs at most "
        f"{max(0.0, losses.max()):.4f} of D + beta R, as far as was found "
        f"(class {''.join('-+'[sign] for sign in signs)} at beta = {betas[i]:g})."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure3 --help``.

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
    >>> main(["--starts", "0"])
    toyrd.figure3: --starts is 0, but must be at least 1
    2
    """
    parser = figure_parser("figure3", "Draw eight model classes on the toy and on images.")
    add = parser.add_argument
    add("--size", type=int, default=3, metavar="N", help="side of the images, 2 or 3 (3)")
    add("--betas", type=float, nargs="+", default=BETAS, metavar="B", help="rising")
    add("--starts", type=int, default=3, metavar="N", help="random ones for each class and beta")
    add("--steps", type=int, default=200, metavar="N", help="of L-BFGS from the best start (200)")
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    counts = {name: as_count(f"--{name}", vars(options)[name]) for name in ("starts", "steps")}
    betas = sorted({as_number("--betas", beta, low=1e-3, high=1e3) for beta in options.betas})
    rng = as_rng(options.seed)
    images = image_data(bars_and_stripes(options.size, flip=0.05))
    panels, text = [], []
    with progress(None, "models") as callback:
        for data in (toy_data(toy_source()), images):
            results = search_all(data, betas, rng=rng, callback=callback, **counts)
            panels.append(as_panel(data, results))
            text += [_table(data, results), *sentences(data, results), ""]
    return draw_panels(panels), "\n".join(text[:-1])


def _table(data: Data, results: Results) -> str:
    """Return a table of the classes: the best ELBO, the gaps to their bounds, what is proven."""
    rows = []
    for name, found in results.items():
        best = max(found, key=lambda one: one.model.elbo)
        R, D, gap = best.model.R, best.model.D, max(one.gap for one in found)
        proven = f"{sum(one.certified for one in found)} of {len(found)}"
        rows.append([name, f"{best.beta:g}", R, D, max(0.0, R + D - best.model.H), gap, proven])
    header = [f"{data.name} (nats)", "beta", "R", "D", "-ELBO - H", "gap to free tables", "proven"]
    return text_table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
