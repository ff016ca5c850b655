"""Pictures of a frontier: its points, the polygon between them and the sandwich.

Notation: D upwards and R to the right, as in the paper's Figure 1; −β is the slope.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from .frontier import Frontier
from .plotting import as_axes

__all__ = ["plot_frontier"]


def plot_frontier(frontier: Frontier, *, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw the points, the line between them, and shade what the proven bounds leave open.

    Parameters
    ----------
    frontier : Frontier
        What to draw. Its line is made of chords, or of steps where only a local search is known.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    **options
        Of the line, as `matplotlib.axes.Axes.plot` takes them, such as `label` and `color`.

    Returns
    -------
    matplotlib.axes.Axes
        With one line and one shaded area for each call.

    Examples
    --------
    >>> from toyrd.frontier import frontier
    >>> ax = plot_frontier(frontier([0.5, 0.5], cost=[[0, 1], [1, 0]]), label="binary")
    >>> ax.get_xlabel(), ax.lines[0].get_label()
    ('rate R (nats)', 'binary')

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 1.
    """
    ax = as_axes(ax)
    drawstyle = "default" if frontier.convex else "steps-post"
    style = {"marker": "o", "markersize": 3, "linewidth": 1.2, "drawstyle": drawstyle}
    (line,) = ax.plot(*frontier.reached, **{**style, **options})
    ax.fill_between(*frontier.outline, color=line.get_color(), alpha=0.25, linewidth=0)
    ax.set(xlabel="rate R (nats)", ylabel=f"distortion D ({frontier.unit})")
    return ax
