"""Pictures of images: columns of small pictures side by side, for reconstructions and samples.

Notation: images[i] is a picture of pixel means between 0 (white) and 1 (black). Each function
draws what it is given in `ax`, or in axes of a new figure, and returns the axes; it saves
nothing and changes no setting.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .checks import as_array
from .plotting import as_axes

__all__ = ["plot_image_columns"]

_FRAME = "#9db7d5"  # no grey, so that a picture's edge shows whatever its pixels are
_GAP = 0.07  # of a picture


def plot_image_columns(
    columns: Sequence[ArrayLike], *, labels: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw columns of pictures side by side, the first of each on top.

    Parameters
    ----------
    columns : sequence of array_like, shape (n, height, width)
        Pixel means between 0, drawn white, and 1, drawn black; n may vary.
    labels : sequence of str, optional
        One for each column, written above it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With one image for each picture; its limits are the numbers of columns and rows.

    Raises
    ------
    ValueError
        If a column is not a stack of pictures, or there are more labels than columns.

    Examples
    --------
    >>> ax = plot_image_columns([[[[0, 1], [1, 0]]], [[[0.5, 0.5], [0.5, 0.5]]]])
    >>> len(ax.images)
    2

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 4.
    """
    stacks = [as_array(f"columns[{j}]", column, ndim=3) for j, column in enumerate(columns)]
    if len(labels) > len(stacks):
        raise ValueError(f"labels holds {len(labels)} labels for {len(stacks)} columns")
    ax = as_axes(ax)
    for j, stack in enumerate(stacks):
        for i, picture in enumerate(stack):
            extent = (j + _GAP, j + 1 - _GAP, i + 1 - _GAP, i + _GAP)
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1, extent=extent, interpolation="none")
    ax.set(xticks=[], yticks=[], aspect="equal", facecolor=_FRAME)
    ax.set(xlim=(0, len(stacks)), ylim=(max(map(len, stacks)), 0))
    ax.spines[:].set_visible(False)
    for j, label in enumerate(labels):
        ax.text(j + 0.5, -0.1, label, ha="center", va="bottom")
    return ax
