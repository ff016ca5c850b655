"""Pictures of a model: its distributions, its latents and its channels.

Notation: p, g, d(x), e(z), m as in `Model`; x′ is a reconstruction of x, z* the true latent.
Each function draws what it is given in `ax`, or in axes of a new figure, and returns the axes;
it saves nothing and changes no setting. Steps are one unit wide and centred on their index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .checks import Array, as_array, has_shape
from .model import Model

__all__ = [
    "plot_column",
    "plot_decoder",
    "plot_distributions",
    "plot_encoder",
    "plot_latents",
    "plot_reconstruction",
]

_THICK: dict[str, Any] = {"color": "0.55", "linewidth": 2.8}
_DASHED: dict[str, Any] = {"color": "black", "linewidth": 1.3, "linestyle": (0, (3, 2))}
_PALE: dict[str, Any] = {"color": "#f2c38b", "fill": True}
# Of a legend above the frame, where no distribution can run into it.
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
_TIGHT: dict[str, Any] = {"borderpad": 0.1, "handlelength": 1.6, "columnspacing": 1.2}

Step = tuple[str, Array, dict[str, Any]]


def plot_distributions(model: Model, *, ax: Axes | None = None) -> Axes:
    """Draw the data p(x), the generative g(x) and the reconstructed d(x) as steps.

    Parameters
    ----------
    model : Model
        Gives p (thick), g (dashed) and d(x) (filled), each of shape (n_x,).
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With one labelled artist for each distribution.

    Examples
    --------
    >>> ax = plot_distributions(Model.random([0.5, 0.5], 2, rng=0))
    >>> [artist.get_label() for artist in ax.patches]
    ['d(x)', 'p(x)', 'g(x)']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, upper panels.
    """
    filled: Step = ("d(x)", model.reconstruction, _PALE)
    lines: list[Step] = [("p(x)", model.p, _THICK), ("g(x)", model.g, _DASHED)]
    return _steps(ax, "symbol x (bin)", [filled, *lines])


def plot_latents(model: Model, masses: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the marginal m(z), the induced e(z) and, stacked, what each true class adds to it.

    Parameters
    ----------
    model : Model
        Gives m (dashed) and e(z) (thick), each of shape (n_z,).
    masses : array_like, shape (k, n_z), optional
        Joint masses e(z*, z) of the true classes, which sum to e(z) over z*.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With one labelled artist for each distribution and class.

    Raises
    ------
    ValueError
        If `masses` does not have one column for each latent.

    Examples
    --------
    >>> model = Model.random([0.5, 0.5], 2, rng=0)
    >>> ax = plot_latents(model, model.p[:, None] * model.e)
    >>> [artist.get_label() for artist in ax.patches]
    ['e(z, z*=0)', 'e(z, z*=1)', 'e(z)', 'm(z)']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, second row of panels.
    """
    rows = np.zeros((0, model.n_z)) if masses is None else as_array("masses", masses, ndim=2)
    has_shape("masses", rows, (len(rows), model.n_z))
    lines: list[Step] = [("e(z)", model.e_z, _THICK), ("m(z)", model.m, _DASHED)]
    return _steps(ax, "latent z (index)", [*_stacked(rows), *lines])


def plot_encoder(model: Model, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the encoder e(z|x) as a heat map, x to the right and z upwards.

    Parameters
    ----------
    model : Model
        Gives e, shape (n_x, n_z).
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    vmax : float
        Probability of the brightest colour; colours run from 0 on a square-root scale.

    Returns
    -------
    matplotlib.axes.Axes
        With one image.

    Examples
    --------
    >>> plot_encoder(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (3, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, left heat maps.
    """
    return _heat_map(ax, model.e.T, vmax, "e(z|x)", "z (index)")


def plot_decoder(model: Model, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the decoder d(x|z) as a heat map, x to the right and z upwards.

    The row of a latent that neither e nor m ever uses says nothing and stays blank.

    Parameters
    ----------
    model : Model
        Gives d, shape (n_z, n_x).
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    vmax : float
        Probability of the brightest colour; colours run from 0 on a square-root scale.

    Returns
    -------
    matplotlib.axes.Axes
        With one image.

    Examples
    --------
    >>> plot_decoder(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (3, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, middle heat maps.
    """
    unused = (model.m == 0) & (model.e_z == 0)
    table = np.ma.array(model.d, mask=np.broadcast_to(unused[:, None], model.d.shape))
    return _heat_map(ax, table, vmax, "d(x|z)", "z (index)")


def plot_reconstruction(model: Model, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the reconstruction channel p(x′|x) as a heat map, x to the right and x′ upwards.

    Parameters
    ----------
    model : Model
        Gives p(x′|x), shape (n_x, n_x).
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    vmax : float
        Probability of the brightest colour; colours run from 0 on a square-root scale.

    Returns
    -------
    matplotlib.axes.Axes
        With one image.

    Examples
    --------
    >>> plot_reconstruction(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (2, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, right heat maps.
    """
    return _heat_map(ax, model.x_given_x.T, vmax, "p(x′|x)", "x′ (bin)")


def plot_column(
    model: Model, axes: Sequence[Axes], *, masses: ArrayLike | None = None, vmax: float = 1
) -> Sequence[Axes]:
    """Draw one column of the paper's Figure 2.

    Parameters
    ----------
    model : Model
        What to draw.
    axes : sequence of 5 matplotlib.axes.Axes
        For the distributions, the latents, e(z|x), d(x|z) and p(x′|x).
    masses : array_like, shape (k, n_z), optional
        Joint masses of the true classes, as `plot_latents` takes them.
    vmax : float
        Probability of the brightest colour of d(x|z) and p(x′|x); that of e(z|x) is 1.

    Returns
    -------
    sequence of matplotlib.axes.Axes
        The same axes.

    Raises
    ------
    ValueError
        If there are not five axes, or `masses` does not fit.

    Examples
    --------
    >>> axes = Figure().subplots(5)
    >>> len(plot_column(Model.random([0.5, 0.5], 3, rng=0), axes))
    5

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2.
    """
    if len(axes) != 5:
        raise ValueError(f"axes must be the 5 axes of a column, but there are {len(axes)}")
    plot_distributions(model, ax=axes[0])
    plot_latents(model, masses, ax=axes[1])
    plot_encoder(model, ax=axes[2])
    plot_decoder(model, ax=axes[3], vmax=vmax)
    plot_reconstruction(model, ax=axes[4], vmax=vmax)
    return axes


def as_axes(ax: Axes | None) -> Axes:
    """Return axes as they are, or those of a new figure."""
    return Figure().add_subplot() if ax is None else ax


def _stacked(masses: Array) -> Iterator[Step]:
    """Yield the masses one above the other, from light to dark."""
    colours = colormaps["YlGnBu"](np.linspace(0.25, 0.65, len(masses)))
    for k, (top, mass) in enumerate(zip(np.cumsum(masses, axis=0), masses, strict=True)):
        style = {"baseline": top - mass, "fill": True, "color": colours[k]}
        yield f"e(z, z*={k})", top, style


def _steps(ax: Axes | None, xlabel: str, steps: Sequence[Step]) -> Axes:
    """Draw labelled distributions of one variable as steps, each in its style."""
    ax = as_axes(ax)
    for label, values, style in steps:
        edges = np.arange(values.size + 1) - 0.5
        ax.stairs(values, edges, label=label, **style)
    ax.set(xlabel=xlabel, ylabel="probability", xlim=(edges[0], edges[-1]), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.legend(ncols=len(steps), frameon=False, **_ABOVE, **_TIGHT)
    return ax


def _heat_map(ax: Axes | None, table: Array, vmax: float, title: str, ylabel: str) -> Axes:
    """Draw a table with x to the right; its colours show small probabilities too."""
    ax = as_axes(ax)
    norm = PowerNorm(0.5, vmin=0, vmax=vmax)
    ax.imshow(table, origin="lower", aspect="auto", norm=norm, interpolation="nearest")
    ax.set(title=title, xlabel="x (bin)", ylabel=ylabel)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(3, integer=True))
    return ax
