"""Figure 3 of the paper, exactly: eight model classes on the toy and on images.

``python -m toyrd.figure3`` searches the best model for every combination of a simple or complex
encoder, decoder and marginal at several β, draws the classes in the plane of R and D and −ELBO
against R, and prints what the pictures show, in nats. A class is named as in `classes`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import chain

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
    points = {name: _points(results[name]) for name in NAMES}
    everything = np.concatenate(list(points.values()))
    simple = np.concatenate([points[name] for name in NAMES if name[1] == "-"])
    return Panel(
        title=data.name,
        H=entropy(data.p),
        points=points,
        hulls={name: hull(rows) for name, rows in points.items()},
        hull=hull(everything),
        pareto=pareto(everything.round(9)),  # ties but for rounding are ties
        near=_window(simple, entropy(data.p)),
    )


def _window(points: Array, H: float) -> tuple[float, float]:
    """Return the range of rates to enlarge: where points come near H, or of all of them."""
    near = points.sum(axis=1) <= H + NEAR
    rates = points[near if near.any() else slice(None), 0]
    margin = 0.05 * float(np.ptp(rates)) + 0.05
    return float(rates.min()) - margin, float(rates.max()) + margin


def _points(found: Sequence[Found]) -> Array:
    rows = np.array([[best.model.R, best.model.D] for best in found])
    return np.asarray(rows[np.argsort(rows[:, 0], kind="stable")])


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
    H = entropy(data.p)
    panel = as_panel(data, results)
    said = []
    for sign, what in (("+", "With a free decoder"), ("-", f"With {data.rows}")):
        said += [f"{what}, {_best_elbo(results, H, sign)}", f"{what}, {_stretch(panel, sign)}"]
    for place, part in enumerate(("encoder", "decoder", "marginal")):
        said.append(_cost(results, place, part))
    most = max(rows[:, 0].max() for rows in panel.points.values())
    latents = (
        f"{data.n_z} latents carry at most log n_z = {np.log(data.n_z):.3f}; "
        f"the largest rate found is {most:.3f}."
    )
    return [*said, _indifference(results, H), latents, _summary(panel)]


def _best_elbo(results: Results, H: float, sign: str) -> str:
    best = [
        min(one.model.D + one.model.R for one in found) - H
        for name, found in results.items()
        if name[1] == sign
    ]
    return (
        f"the best -ELBO of each of the four classes is above H by {max(0.0, min(best)):.6f} "
        f"to {max(0.0, *best):.6f}."
    )


def _stretch(panel: Panel, sign: str) -> str:
    corners = hull(np.concatenate([panel.hulls[name] for name in NAMES if name[1] == sign]))
    rates = corners[corners.sum(axis=1) - panel.H <= CLOSE, 0]
    where = f"from R = {rates.min():.3f} to {rates.max():.3f}" if rates.size else "nowhere"
    return f"the corners of the hull lie within {CLOSE:g} of D + R = H {where}."


def _cost(results: Results, place: int, part: str) -> str:
    losses = [
        (simple.objective - free.objective, simple)
        for name in NAMES
        if name[place] == "-"
        for simple, free in zip(
            results[name], results[name[:place] + "+" + name[place + 1 :]], strict=True
        )
    ]
    loss, where = max(losses, key=lambda pair: pair[0])
    return (
        f"A simple {part} costs at most {max(0.0, loss):.4f} of D + beta R, as far as was "
        f"found (class {where.name} at beta = {where.beta:g})."
    )


def _indifference(results: Results, H: float) -> str:
    ones = [one.model for one in chain(*results.values()) if one.beta == 1]
    rates = [model.R for model in ones if model.D + model.R - H <= CLOSE]
    if not rates:
        return f"At beta = 1 no model found is within {CLOSE:g} of H."
    return (
        f"At beta = 1 the {len(rates)} classes within {CLOSE:g} of H have rates from "
        f"{min(rates):.3f} to {max(rates):.3f}: the ELBO does not choose between them."
    )


def _summary(panel: Panel) -> str:
    above = float((panel.hull.sum(axis=1) - panel.H).max())
    return (
        f"The lower hull of all {sum(map(len, panel.points.values()))} models has "
        f"{len(panel.hull)} corners, at most {max(0.0, above):.1e} above D + R = H; "
        f"{len(panel.pareto)} models are Pareto steps."
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
    starts = as_count("--starts", options.starts)
    steps = as_count("--steps", options.steps)
    betas = sorted({as_number("--betas", beta, low=1e-3, high=1e3) for beta in options.betas})
    rng = as_rng(options.seed)
    images = bars_and_stripes(options.size, flip=0.05)
    sets = [toy_data(toy_source()), image_data(images)]
    panels, text = [], []
    with progress(len(sets) * len(NAMES) * len(betas), "models") as callback:
        for data in sets:
            results = search_all(
                data, betas, starts=starts, steps=steps, rng=rng, callback=callback
            )
            panels.append(as_panel(data, results))
            text += [_table(data, results), *sentences(data, results), ""]
    return draw_panels(panels), "\n".join(text[:-1])


def _table(data: Data, results: Results) -> str:
    """Return a table of the classes: the best ELBO, the gaps to their bounds, what is proven."""
    H = entropy(data.p)
    rows = []
    for name, found in results.items():
        best = min(found, key=lambda one: one.model.D + one.model.R)
        model, proven = best.model, sum(one.certified for one in found)
        gap = max(one.gap for one in found)
        excess = max(0.0, model.D + model.R - H)
        rows.append(
            [name, f"{best.beta:g}", model.R, model.D, excess, gap, f"{proven} of {len(found)}"]
        )
    header = [f"{data.name} (nats)", "beta", "R", "D", "-ELBO - H", "largest gap", "proven"]
    return text_table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
