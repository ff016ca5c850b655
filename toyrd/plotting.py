"""Pictures of models, of curves and of the alternation on its way.

Notation: p, g, d(x), e(z), m as in `Model`; x′ is a reconstruction of x, z* the true latent. A
`Model` and a `Solution` are drawn alike. Each function draws what it is given in `ax`, or in
axes of a new `Picture`, and returns the axes; it saves nothing and changes no setting. Steps are
one unit wide and centred on their index. `plot` makes a whole picture of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .checks import Array, as_array, has_shape, one_of
from .curve import NATS, Solution
from .frontiers import Frontier
from .model import Tables

_THICK: dict[str, Any] = {"color": "0.55", "linewidth": 1.8}
_DASHED: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (3, 2))}
_PALE: dict[str, Any] = {"color": "#f2c38b", "fill": True}
# Of a legend above the frame, where no distribution can run into it.
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "frameon": False}
_TIGHT: dict[str, Any] = {"borderpad": 0.1, "borderaxespad": 0.2, "columnspacing": 1.2}

Walk = Solution | Iterable[Solution]
Line = tuple[str, Array]
Step = tuple[str, Array, dict[str, Any]]


class Picture(Figure):
    """A figure that a notebook shows, made without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def plot(thing: Tables | Frontier, *, unit: str = "nats", **options: Any) -> Picture:
    """Draw what a person would look at: a column of Figure 2, or a curve with its bounds.

    Parameters
    ----------
    thing : Model, Solution or Frontier
        What to draw; of a bare cost's `Solution` its latents and encoder.
    unit : {"nats", "bits"}
        Of the numbers shown.
    **options
        Of `plot_frontier`, or ``masses`` and ``vmax`` of `plot_column`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure` that a notebook shows.

    Raises
    ------
    ValueError
        If `unit` is another one, or an option breaks a rule of its function.

    Examples
    --------
    >>> from toyrd import Model, rate_distortion
    >>> len(plot(Model.random([0.5, 0.5], 3, rng=0)).axes)
    5
    >>> plot(rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], beta=1)).get_suptitle()
    'R = 0.1109 nats, D = 0.2689 units of cost'

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figures 1 and 2.
    """
    if isinstance(thing, Frontier):
        picture = Picture(figsize=(4.6, 3.4), layout="constrained")
        plot_frontier(thing, ax=picture.add_subplot(), unit=unit, **options)
        return picture
    picture = Picture(figsize=(4.6, 4.8), layout="constrained")
    if not hasattr(thing, "d"):  # of a bare cost
        above, below = picture.subplots(2)
        plot_latents(thing, ax=above, **options)
        plot_encoder(thing, ax=below)
    else:
        axes = [*picture.subplot_mosaic("aaa;bbb;cde").values()]
        plot_column(thing, axes, **{"vmax": float(thing.d.max()), **options})
    picture.suptitle(_title(thing, unit), fontsize="medium")
    return picture


def plot_distributions(model: Tables, *, ax: Axes | None = None) -> Axes:
    """Draw the data p(x), the generative g(x) and the reconstructed d(x) as steps.

    Parameters
    ----------
    model : Model or Solution
        Gives p (thick), g (dashed) and d(x) (filled), each of shape (n_x,).
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        With one labelled artist for each distribution.

    Examples
    --------
    >>> from toyrd import Model
    >>> ax = plot_distributions(Model.random([0.5, 0.5], 2, rng=0))
    >>> [artist.get_label() for artist in ax.patches]
    ['d(x)', 'p(x)', 'g(x)']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, upper panels.
    """
    filled: Step = ("d(x)", model.reconstruction, _PALE)
    return _steps(ax, "symbol x (bin)", [filled], ("p(x)", model.p), ("g(x)", model.g))


def plot_latents(
    model: Tables, masses: ArrayLike | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the marginal m(z), the induced e(z) and, stacked, what each true class adds to it.

    Parameters
    ----------
    model : Model or Solution
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
    >>> from toyrd import Model
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
    thick, dashed = ("e(z)", model.e_z), ("m(z)", model.m)
    return _steps(ax, "latent z (index)", _stacked(rows), thick, dashed)


def plot_encoder(model: Tables, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the encoder e(z|x) as a heat map, x to the right and z upwards.

    Parameters
    ----------
    model : Model or Solution
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
    >>> from toyrd import Model
    >>> plot_encoder(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (3, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, left heat maps.
    """
    return _heat_map(ax, model.e.T, vmax, "e(z|x)", "z (index)")


def plot_decoder(model: Tables, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the decoder d(x|z) as a heat map, x to the right and z upwards.

    The row of a latent that neither e nor m ever uses says nothing and stays blank.

    Parameters
    ----------
    model : Model or Solution
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
    >>> from toyrd import Model
    >>> plot_decoder(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (3, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, middle heat maps.
    """
    unused = (model.m == 0) & (model.e_z == 0)
    table = np.ma.array(model.d, mask=np.broadcast_to(unused[:, None], model.d.shape))
    return _heat_map(ax, table, vmax, "d(x|z)", "z (index)")


def plot_reconstruction(model: Tables, *, ax: Axes | None = None, vmax: float = 1) -> Axes:
    """Draw the reconstruction channel p(x′|x) as a heat map, x to the right and x′ upwards.

    Parameters
    ----------
    model : Model or Solution
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
    >>> from toyrd import Model
    >>> plot_reconstruction(Model.random([0.5, 0.5], 3, rng=0)).images[0].get_array().shape
    (2, 2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 2, right heat maps.
    """
    return _heat_map(ax, model.x_given_x.T, vmax, "p(x′|x)", "x′ (bin)")


def plot_column(
    model: Tables, axes: Sequence[Axes], *, masses: ArrayLike | None = None, vmax: float = 1
) -> Sequence[Axes]:
    """Draw one column of the paper's Figure 2.

    Parameters
    ----------
    model : Model or Solution
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
    >>> from toyrd import Model
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


def plot_frontier(
    frontier: Frontier,
    *,
    ax: Axes | None = None,
    unit: str = "nats",
    swap: bool = False,
    **options: Any,
) -> Axes:
    """Draw the points, the line between them, and shade what the bounds leave open.

    Parameters
    ----------
    frontier : Frontier
        What to draw. Its line is made of chords, or of steps where only a local search is known.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    unit : {"nats", "bits"}
        Of R, and of D where it is in nats.
    swap : bool
        Whether to draw R(D), R upwards; by default D is upwards and −β is the slope.
    **options
        Of the line, as `matplotlib.axes.Axes.plot` takes them; a ``label`` makes a legend.

    Returns
    -------
    matplotlib.axes.Axes
        With one line and one shaded area for each call.

    Raises
    ------
    ValueError
        If `unit` is another one.

    Examples
    --------
    >>> from toyrd import frontier
    >>> curve = frontier([0.5, 0.5], cost=[[0, 1], [1, 0]])
    >>> ax = plot_frontier(curve, label="binary", unit="bits", swap=True)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('distortion D (units of cost)', 'rate R (bits)')
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['binary', 'bounds of binary']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 1.
    """
    ax, (nat, one, *labels) = as_axes(ax), _units(unit, frontier.unit != "nats")
    (R, D), (rates, low, high) = frontier.reached, frontier.outline
    stairs = "steps-pre" if swap else "steps-post"
    drawn = {"drawstyle": "default" if frontier.convex else stairs, **options}
    (x, across), (y, up) = sorted(zip(labels, (R / nat, D / one), strict=True), reverse=not swap)
    (line,) = ax.plot(across, up, **{"marker": ".", "linewidth": 1.2, **drawn})
    name = f"bounds of {options['label']}" if "label" in options else "bounds"
    fill = ax.fill_betweenx if swap else ax.fill_between
    fill(rates / nat, low / one, high / one, color=line.get_color(), alpha=0.25, lw=0, label=name)
    ax.set(xlabel=x, ylabel=y)
    if "label" in options:
        ax.legend(frameon=False)
    return ax


def plot_path(steps: Walk, *, ax: Axes | None = None, unit: str = "nats") -> Axes:
    """Draw the way of an alternation in the plane of R and D.

    Parameters
    ----------
    steps : Solution or iterable of Solution
        One for each iteration, as `toyrd.alternate` yields them; of one alone its history.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    unit : {"nats", "bits"}
        Of R, and of D for a decoder.

    Returns
    -------
    matplotlib.axes.Axes
        With a dot for each iteration, the first and the last marked.

    Raises
    ------
    ValueError
        If `unit` is another one, or there is no step.

    Examples
    --------
    >>> from toyrd import rate_distortion
    >>> solution = rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], beta=0.4)
    >>> ax = plot_path(solution, unit="bits")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('rate R (bits)', 'distortion D (units of cost)')
    """
    ax, ((x, R), (y, D), _) = as_axes(ax), _trace(steps, unit)
    ax.plot(R, D, ".-", color="0.45", linewidth=0.8, markersize=3)
    for i, name, marker, face in ((0, "first", "o", "white"), (-1, "last", "s", "black")):
        ax.plot(R[i], D[i], marker, color="black", markerfacecolor=face, label=name)
    ax.set(xlabel=x, ylabel=y)
    ax.legend(frameon=False)
    return ax


def plot_descent(steps: Walk, *, ax: Axes | None = None, unit: str = "nats") -> Axes:
    """Draw how an alternation lowers what it minimises: D + βR, D at a rate, R at a distortion.

    Parameters
    ----------
    steps : Solution or iterable of Solution
        One for each iteration, as `toyrd.alternate` yields them; of one alone its history.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    unit : {"nats", "bits"}
        Of the objective.

    Returns
    -------
    matplotlib.axes.Axes
        With iterations to the right, the first is 1.

    Raises
    ------
    ValueError
        If `unit` is another one, or there is no step.

    Examples
    --------
    >>> from itertools import islice
    >>> from toyrd import alternate
    >>> plot_descent(islice(alternate([0.5, 0.25, 0.25], beta=0.4), 9)).get_ylabel()
    'D + βR (nats)'
    """
    ax, (*_, (label, values)) = as_axes(ax), _trace(steps, unit)
    ax.plot(np.arange(1, values.size + 1), values, ".-", color="black", linewidth=0.8)
    ax.set(xlabel="iteration", ylabel=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def as_axes(ax: Axes | None) -> Axes:
    """Return axes as they are, or those of a new figure."""
    return Picture(layout="constrained").add_subplot() if ax is None else ax


def _units(unit: str, bare: bool) -> tuple[float, float, str, str]:
    """Return what units of R and D are, in nats or of a bare cost, and labels of their axes."""
    nat = NATS[one_of("unit", unit, tuple(NATS))]
    one, of_D = (1.0, "units of cost") if bare else (nat, unit)
    return nat, one, f"rate R ({unit})", f"distortion D ({of_D})"


def _title(thing: Tables, unit: str) -> str:
    """Return the numbers of a model in words."""
    nat, *_ = _units(unit, bare=False)
    if not hasattr(thing, "d"):
        return f"R = {thing.R / nat:.4f} {unit}, D = {thing.D:.4f} units of cost"
    return ", ".join(f"{name} = {getattr(thing, name) / nat:.4f}" for name in "HDRI") + f" {unit}"


def _trace(steps: Walk, unit: str) -> list[Line]:
    """Return the label of an axis and the values of R, of D and of what is lowered."""
    rows = [steps] if isinstance(steps, Solution) else list(steps)
    points = [(one.D, one.R) for one in rows]
    if isinstance(steps, Solution):
        points = steps.history[["D", "R"]].tolist()
    if not points:
        raise ValueError("steps has no iteration to draw; give it a Solution for each")
    (D, R), target = np.array(points).T, rows[-1].target
    nat, one, x, y = _units(unit, rows[-1].decoder is None)
    rate, distortion = (x, R / nat), (y, D / one)
    if target.name == "beta" and target.value < np.inf:
        y = y.replace("distortion D", "D + βR")
        return [rate, distortion, (y, (D + target.value * R) / one)]
    return [rate, distortion, rate if target.name == "distortion" else distortion]


def _stacked(masses: Array) -> Iterator[Step]:
    """Yield the masses one above the other, from light to dark."""
    colours = colormaps["YlGnBu"](np.linspace(0.25, 0.65, len(masses)))
    for k, (top, mass) in enumerate(zip(np.cumsum(masses, axis=0), masses, strict=True)):
        style = {"baseline": top - mass, "fill": True, "color": colours[k]}
        yield f"e(z, z*={k})", top, style


def _steps(ax: Axes | None, xlabel: str, areas: Iterable[Step], thick: Line, dashed: Line) -> Axes:
    """Draw labelled distributions of one variable as steps: areas, a thick and a dashed line."""
    ax, steps = as_axes(ax), [*areas, (*thick, _THICK), (*dashed, _DASHED)]
    for label, values, style in steps:
        edges = np.arange(values.size + 1) - 0.5
        ax.stairs(values, edges, label=label, **style)
    ax.set(xlabel=xlabel, ylabel="probability", xlim=(edges[0], edges[-1]), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.legend(ncols=len(steps), handlelength=1.6, **_ABOVE, **_TIGHT)
    return ax


def _heat_map(ax: Axes | None, table: Array, vmax: float, title: str, ylabel: str) -> Axes:
    """Draw a table with x to the right; its colours show small probabilities too."""
    ax = as_axes(ax)
    norm = PowerNorm(0.5, vmin=0, vmax=vmax)
    ax.imshow(table, origin="lower", aspect="auto", norm=norm, interpolation="nearest")
    ax.set(title=title, xlabel="x (bin)", ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return ax
