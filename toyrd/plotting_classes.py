"""Eight model classes in the plane of R and D, and −ELBO against R, as in the paper's Figure 3.

Notation: a class is named by three signs, encoder, decoder and marginal, - simple, + complex.
Markers are open for a simple encoder and round for a simple decoder, lines dashed for a simple
marginal. Functions draw what they are given in `ax`, or in axes of a new figure, and return the
axes; they compute and save nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .checks import Array
from .plotting import as_axes

__all__ = ["Panel", "class_handles", "plot_classes", "plot_negative_elbo"]

_COLOURS = {"-": "#c2571a", "+": "#0b3c6f"}  # of the decoder
_MARKERS = {"-": "o", "+": "s"}  # of the decoder
_DASHES: dict[str, Any] = {"-": (0, (4, 2)), "+": "solid"}  # of the marginal
_SIZES = {"-": 7.0, "+": 3.4}  # of the encoder: filled marks fit into open ones
_HULL: dict[str, Any] = {"color": "0.55", "linewidth": 6, "alpha": 0.6}
_STEPS: dict[str, Any] = {"color": "black", "linewidth": 0.8, "drawstyle": "steps-post"}


@dataclass(frozen=True, eq=False)
class Panel:
    """Hold what is drawn of one data set; points are rows (R, D) in nats.

    Parameters
    ----------
    title : str
        Of the data set.
    H : float
        Entropy of the data.
    points, hulls : mapping of str to numpy.ndarray
        The models of each class, and the corners of their lower convex hull.
    hull, pareto : numpy.ndarray
        The same hull of all models, and those that no other beats in both R and D.
    near : (float, float)
        Range of R where −ELBO is near H, to enlarge.
    """

    title: str
    H: float
    points: Mapping[str, Array]
    hulls: Mapping[str, Array]
    hull: Array
    pareto: Array
    near: tuple[float, float]


def plot_classes(panel: Panel, *, ax: Axes | None = None) -> Axes:
    """Draw the classes in the plane of R and D, with D + R = H, the hull and the Pareto steps.

    Parameters
    ----------
    panel : Panel
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        D upwards, R to the right.

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 3a.
    """
    ax = as_axes(ax)
    H = panel.H
    ax.fill_between([0, H], [H, 0], color="0.86", lw=0)
    ax.text(0.3 * H, 0.3 * H, "infeasible\nD + R < H", ha="center", va="center")
    ax.plot(*panel.hull.T, **_HULL)
    ax.plot([0, H], [H, 0], color="black", linewidth=1)
    ax.plot(*panel.pareto.T, **_STEPS)
    for name, points in panel.points.items():
        _draw(ax, name, points, panel.hulls[name])
    ax.set(xlabel="rate R (nats)", ylabel="distortion D (nats)", xlim=(-0.03 * H, None))
    ax.set_ylim(-0.03 * H, None)
    return ax


def plot_negative_elbo(panel: Panel, *, ax: Axes | None = None) -> Axes:
    """Draw −ELBO = D + R of the classes against R, with its lower bound H.

    Parameters
    ----------
    panel : Panel
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        −ELBO upwards, R to the right.

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 3b.
    """
    ax = as_axes(ax)
    ax.axhline(panel.H, color="black", linewidth=1)
    shear = [[1, 1], [0, 1]]  # (R, D) to (R, R + D)
    for name, points in panel.points.items():
        _draw(ax, name, points @ shear, panel.hulls[name] @ shear)
    ax.set(xlabel="rate R (nats)", ylabel="−ELBO = D + R (nats)")
    return ax


def class_handles() -> list[Line2D]:
    """Return handles for a legend: what the marks and lines of a class tell."""
    styles: dict[str, dict[str, Any]] = {
        "decoder −: round": {"marker": "o", "color": _COLOURS["-"], "markersize": 5},
        "decoder + (free): square": {"marker": "s", "color": _COLOURS["+"]},
        "encoder −: open": {"marker": "o", "markersize": _SIZES["-"], "markerfacecolor": "white"},
        "encoder + (free): filled": {"marker": "o", "markersize": _SIZES["+"]},
        "marginal −: dashed": {"linestyle": _DASHES["-"]},
        "marginal + (free): solid": {"linestyle": _DASHES["+"]},
        "hull of all models": {**_HULL, "linestyle": "solid"},
        "Pareto steps": {**_STEPS, "linestyle": "solid"},
    }
    plain = {"color": "black", "linestyle": "none"}
    return [Line2D([], [], label=label, **{**plain, **style}) for label, style in styles.items()]


def _draw(ax: Axes, name: str, points: Array, hull: Array) -> None:
    """Draw the models of a class as marks, and the hull through the best of them as a line."""
    colour, face = _COLOURS[name[1]], "white" if name[0] == "-" else _COLOURS[name[1]]
    ax.plot(*hull.T, color=colour, linewidth=1.1, linestyle=_DASHES[name[2]])
    (marks,) = ax.plot(*points.T, _MARKERS[name[1]], color=colour, label=name)
    marks.set(markersize=_SIZES[name[0]], markerfacecolor=face)
