"""The phase diagram: what is infeasible, feasible and realizable in the plane of R and D.

Notation: D upwards and R to the right, both in nats; −β is the slope of a frontier. Functions
draw what they are given in `ax`, or in axes of a new figure, and return the axes; they compute
and save nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from .checks import Array
from .plotting import as_axes

__all__ = ["Curve", "Phase", "plot_corner", "plot_phase"]

Place = tuple[float, float]

_INFEASIBLE, _REALIZABLE = "0.80", "#e6eef7"
_GAUSSIAN: dict[str, Any] = {"color": "#0b3c6f", "lw": 2.4}
_UNIFORM: dict[str, Any] = {"color": "#b5461f", "lw": 1.2, "ls": (0, (4, 2))}
_SQUARES: dict[str, Any] = {"marker": "s", "ms": 3.5, "mfc": "white"}
_FIXED: dict[str, Any] = {"color": "#3d7a3d", "lw": 1.6, "ls": (0, (6, 2, 1, 2))}
_TANGENT: dict[str, Any] = {"color": "0.25", "lw": 0.9, "ls": (0, (1, 1.5))}
_DOTS: dict[str, Any] = {"color": "0.5", "ls": "none", "marker": ".", "ms": 2.2}
# Of the models of Figure 2, and the places of their names in the enlarged part.
_MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "*", "ms": 9},
    {"marker": "D", "ms": 5},
    {"marker": "o", "ms": 13, "fillstyle": "none"},
)
_PLACES = ((0.285, 0.87), (0.066, 0.86), (0.285, 0.8))
_HALO = [Stroke(linewidth=2.5, foreground="white"), Normal()]
_WORDS: dict[str, Any] = {"ha": "center", "va": "center", "path_effects": _HALO}
_ARROW: dict[str, Any] = {"arrowstyle": "-", "lw": 0.7, "shrinkA": 0, "shrinkB": 3}


@dataclass(frozen=True, eq=False)
class Curve:
    """Hold a frontier as points (R, D) by rising R, with those where β = 1."""

    points: Array
    at_one: Array


@dataclass(frozen=True, eq=False)
class Phase:
    """Hold what the phase diagram shows.

    Parameters
    ----------
    H : float
        Entropy of the data, in nats.
    gaussian, uniform, fixed : Curve
        Frontiers of Gaussian decoders with free and with uniform marginal, and of a table.
    columns : tuple of (str, float, float)
        Title, R and D of each model of Figure 2.
    random : numpy.ndarray, shape (n, 2)
        R and D of random models.
    """

    H: float
    gaussian: Curve
    uniform: Curve
    fixed: Curve
    columns: tuple[tuple[str, float, float], ...]
    random: Array


def plot_phase(phase: Phase, *, ax: Axes | None = None) -> Axes:
    """Draw the whole diagram: regions, limits, frontiers, tangents and models.

    Parameters
    ----------
    phase : Phase
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With a label at everything drawn.

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 1.
    """
    H = phase.H
    ax = _draw(phase, ax, (0.0, 1.45 * H, 0.0, 1.45 * H))
    R, D = phase.gaussian.at_one.mean(axis=0)
    last, flat = phase.uniform.points[-1], phase.fixed.points[-1]
    ax.annotate("infeasible\nD + R < H", (0.3 * H, 0.33 * H), fontsize=11, **_WORDS)
    ax.annotate("feasible: random models (dots)", (0.82 * H, 1.28 * H), fontsize=9, **_WORDS)
    ax.annotate(
        "shaded: realizable with Gaussian decoders", (0.82 * H, 1.18 * H), fontsize=9, **_WORDS
    )
    _point(ax, (0, H), (0.2 * H, 0.55 * H), "auto-decoding limit\n(0, H)")
    _point(ax, (H, 0), (0.6 * H, 0.07 * H), "auto-encoding limit\n(H, 0)")
    touching = "β = 1 where they touch\nD + R = H, the tangent of slope −1"
    free = f"Gaussian decoders, free marginal\n(certified); {touching}"
    _point(ax, (R, D), (1.06 * H, 0.6 * H), free)
    _point(ax, last, (1.2 * H, 0.25 * H), "the same with a uniform\nmarginal (best found)")
    _point(ax, flat, (1.15 * H, 0.93 * H), "a worse decoder:\nfixed rows (certified)")
    return ax


def plot_corner(phase: Phase, *, ax: Axes | None = None) -> Axes:
    """Draw the part of the diagram where frontiers leave the line D + R = H, enlarged.

    Parameters
    ----------
    phase : Phase
        What to draw.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With a label at everything drawn there alone.
    """
    H = phase.H
    ax = _draw(phase, ax, (0.0, 0.35 * H, 0.74 * H, 1.09 * H))
    R, D = phase.fixed.at_one[0]
    near = phase.gaussian.points[phase.gaussian.points[:, 0] > 0][0]
    best = f"best ELBO of the worse\ndecoder: slope −1 (β = 1),\n−ELBO = {R + D:.3f}"
    ax.annotate("infeasible", (0.05 * H, 0.79 * H), fontsize=11, **_WORDS)
    ax.annotate(f"D + R = H = {H:.3f}", (0.19 * H, 0.775 * H), rotation=-45, **_WORDS)
    _point(ax, near, (0.13 * H, 1.07 * H), "Gaussian decoders, as in (a)")
    _point(ax, (0.02 * H, H), (0.16 * H, 1.02 * H), "feasible, but not with\nGaussian decoders")
    _point(ax, (R, D), (R + 0.12 * H, D + 0.045 * H), best)
    for (title, rate, distortion), place in zip(phase.columns, _PLACES, strict=True):
        _point(ax, (rate, distortion), (place[0] * H, place[1] * H), title)
    return ax


def _draw(phase: Phase, ax: Axes | None, window: Sequence[float]) -> Axes:
    """Draw everything but the words into a window (R from, R to, D from, D to)."""
    ax = as_axes(ax)
    H, far = phase.H, 100 * phase.H
    R, D = _extended(phase.gaussian.points, far)
    ax.fill_between(R, D, far, color=_REALIZABLE, lw=0)
    ax.fill_between([0, H], [H, 0], color=_INFEASIBLE, lw=0)
    ax.plot(*phase.random.T, **_DOTS)
    ax.plot([0, H], [H, 0], color="black", lw=1)
    ax.plot(R, D, **_GAUSSIAN)
    ax.plot(*phase.gaussian.at_one.T, color=_GAUSSIAN["color"], lw=5, alpha=0.45)
    ax.plot(*phase.uniform.points.T, **_UNIFORM, **_SQUARES)
    ax.plot(*_extended(phase.fixed.points, far), **_FIXED)
    for point in phase.fixed.at_one:
        ax.axline(point, slope=-1, **_TANGENT)
        ax.plot(*point, marker="o", ms=6, color=_FIXED["color"])
    for mark, (_, rate, distortion) in zip(_MARKS, phase.columns, strict=True):
        ax.plot(rate, distortion, clip_on=False, color="black", **mark)
    ax.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    ax.set(xlabel="rate R (nats)", ylabel="distortion D (nats)")
    return ax


def _extended(points: Array, far: float) -> tuple[list[float], list[float]]:
    """Return R and D of a frontier with what lies above its start and to the right of its end."""
    R, D = points.T
    return [R[0], *R, far], [far, *D, D[-1]]


def _point(ax: Axes, xy: Place | Array, place: Place, text: str) -> None:
    """Write a text at a place, with a line to what it speaks of."""
    ax.annotate(text, (xy[0], xy[1]), place, arrowprops=_ARROW, fontsize=8, **_WORDS)
