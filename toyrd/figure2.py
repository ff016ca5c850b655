"""Figure 2 of the paper, exactly: the truth, the best ELBO and a target rate (2 s).

Three models of the toy side by side: the true one, one of maximum ELBO, and one of least
distortion at a target rate. Each is drawn as its data p(x), generated g(x) and reconstructed
d(x), its latents m(z) and e(z) with the true classes stacked, and the tables e(z|x), d(x|z) and
p(x′|x). H, D, R, I and −ELBO are printed in nats.

--decoder gaussian gives the third model Gaussian decoder rows, and the target rate recovers the
truth (3 s). --model appendix-e trains the paper's own family by gradients instead (3 s).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from . import DecoderFamily, GaussianDecoder, Model, Source, solve, toy_source
from . import figure as frame
from .appendix_e import train
from .checks import Seed, has_shape
from .plotting import plot_column

# Inches: left and right of the columns, between them, between their maps, and the height.
LEFT, RIGHT, GAP, NEAR, FAR, HEIGHT = 0.47, 0.08, 0.34, 0.07, 0.37, 5.5
# Inches from the bottom, and heights: colour bars, maps, latents and distributions.
BARS, MAPS, LATENTS, STEPS = (0.36, 0.07), (1.15, 0.85), (2.5, 0.95), (3.97, 0.95)


ABOVE: dict[str, Any] = {"loc": "lower center", "ncols": 4, "frameon": False, "borderpad": 0.1}


class Column(NamedTuple):
    """A column of the figure: its title, a line on what chose the model, and the model."""

    title: str
    note: str
    model: Model


def compute_columns(
    source: Source, *, rate: float = 0.5, decoder: DecoderFamily | None = None
) -> list[Column]:
    """Solve the three columns: the truth, the maximum ELBO and the least D at a target rate.

    Parameters
    ----------
    source : Source
        The data.
    rate : float
        Target R of column (c), in nats.
    decoder : DecoderFamily, optional
        Family of the decoder rows of column (c), with latents in the order of their mean
        symbols; by default its tables are all free.

    Returns
    -------
    list of Column
        With as many latents as symbols.

    Raises
    ------
    ValueError
        If no model of the source's data has that rate.

    Examples
    --------
    >>> for title, note, model in compute_columns(toy_source()):
    ...     print(f"{title}: R = {model.R:.4f}")
    (a) true model: R = 0.5000
    (b) maximum ELBO, β = 1: R = 0.0002
    (c) target rate 0.5: R = 0.5000

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 and Figure 2.
    """
    elbo = "its rate is set by the start", solve(source.p, beta=1).model
    target = "the optimum of least (x − z)²", solve(source.p, rate=rate, decoder=decoder).model
    if decoder is not None:
        target = f"{type(decoder).__name__}, fewest rows", placed(target[1])
    return _columns(source, rate, elbo, target)


def train_columns(
    source: Source, *, rate: float = 0.5, rng: Seed | None = None, steps: int = 10_000
) -> list[Column]:
    """Train columns (b) and (c) by the paper's own protocol, Appendix E's family and Adam.

    Parameters
    ----------
    source : Source
        The data.
    rate : float
        Target R* of column (c), in nats; the aim is D + |R − R*|.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the two starts.
    steps : int
        Gradient steps.

    Returns
    -------
    list of Column
        As of `compute_columns`.

    Raises
    ------
    ValueError
        If `rate` is negative or `steps` < 1.

    Examples
    --------
    >>> [column.title for column in train_columns(toy_source(), rng=0, steps=10)]
    ['(a) true model', '(b) maximum ELBO, β = 1', '(c) target rate 0.5']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E.
    """
    options: dict[str, Any] = {"rng": np.random.default_rng(rng), "steps": steps}
    models = [train(source.p, **aim, **options).model for aim in ({"beta": 1}, {"rate": rate})]
    return _columns(source, rate, *((f"trained by {steps} gradient steps", m) for m in models))


def _columns(source: Source, rate: float, *found: tuple[str, Model]) -> list[Column]:
    """Return the columns, the true one first, from notes and models of the others."""
    titles = "(a) true model", "(b) maximum ELBO, β = 1", f"(c) target rate {rate:g}"
    pairs = ("the two classes of the data", source.true_model()), *found
    return [Column(title, *pair) for title, pair in zip(titles, pairs, strict=True)]


def placed(model: Model) -> Model:
    """Return a model with its latents, by rising mean symbol, spread evenly over n_x of them."""
    k, n = model.n_z, max(model.n_x, model.n_z)
    order = np.argsort(model.d @ np.arange(model.n_x))
    places = (2 * np.arange(k) + 1) * n // (2 * k)
    e, d, m = np.zeros((model.n_x, n)), np.tile(model.p, (n, 1)), np.zeros(n)
    e[:, places], d[places], m[places] = model.e[:, order], model.d[order], model.m[order]
    return Model(model.p, e, d, m)


def draw_columns(
    columns: Sequence[Column], source: Source, *, width: float = frame.PAGE
) -> Figure:
    """Draw models side by side in the layout of the paper's Figure 2, with their numbers.

    Parameters
    ----------
    columns : sequence of Column
        What to draw.
    source : Source
        Tells which true class each latent holds.
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Raises
    ------
    ValueError
        If there is no column, or a model is not of the source's symbols.

    Examples
    --------
    >>> source = toy_source()
    >>> column = Column("(a) true model", "", source.true_model())
    >>> len(draw_columns([column], source).axes)
    7
    """
    if not columns:
        raise ValueError("columns is empty; give it one Column or more")
    vmax, share = max(float(one.model.d.max()) for one in columns), len(columns)
    room = (width - LEFT - RIGHT + GAP) / share
    with frame.figure_style():
        figure = Figure(figsize=(width, HEIGHT))
        for i, (title, note, model) in enumerate(columns):
            has_shape("p of each model", model.p, source.p.shape)
            axes = _axes(figure, LEFT + i * room, room - GAP)
            masses = source.p_z[:, None] * source.p_x_given_z @ model.e
            plot_column(model, axes, masses=masses, vmax=vmax)
            _tidy(axes, i == 0)
            axes[0].set_title(title, loc="left", pad=27, fontweight="bold", fontsize=8)
            axes[0].annotate(note, (0, 1), (0, 18), *frame.UNITS, fontsize=7)
            below: dict[str, Any] = {"va": "center", "fontsize": 7}
            axes[2].annotate(_caption(model), (0, 0), (0, -38), *frame.UNITS, **below)
        _keys(figure, axes)
    return figure


def _axes(figure: Figure, left: float, width: float) -> list[Axes]:
    """Return the axes of a column, placed in inches."""
    size, (wide, tall) = (width - NEAR - FAR) / 3, figure.get_size_inches()
    lefts = left, left + size + NEAR, left + 2 * size + NEAR + FAR
    boxes = [(left, width, STEPS), (left, width, LATENTS), *((x, size, MAPS) for x in lefts)]
    return [figure.add_axes((x / wide, y / tall, w / wide, h / tall)) for x, w, (y, h) in boxes]


def _tidy(axes: Sequence[Axes], first: bool) -> None:
    """Take away what the columns share: legends, and the labels that the first one has."""
    for ax in axes[:2]:
        ax.legend().remove()
    for ax in axes[:3]:
        ax.yaxis.label.set_visible(first)
        ax.yaxis.set_label_coords(-0.31 / (ax.bbox.width / ax.figure.dpi), 0.5)
    axes[3].set(ylabel="", yticklabels=[])


def _keys(figure: Figure, axes: Sequence[Axes]) -> None:
    """Put a legend over each row of steps, and the scales of the maps under all columns."""
    for ax in axes[:2]:
        style = {**ABOVE, "bbox_to_anchor": (0.5, ax.get_position().y1)}
        figure.legend(*ax.get_legend_handles_labels(), **style)
    wide, narrow = FixedLocator([0, 0.05, 0.2, 0.5, 1]), MaxNLocator(5, steps=[1, 2, 5, 10])
    words = "d(x|z) and p(x′|x); white: latent not used"
    for ax, x, ticks, label in ((axes[2], 0.1, wide, "e(z|x)"), (axes[4], 0.55, narrow, words)):
        cax = figure.add_axes((x, BARS[0] / HEIGHT, 0.35, BARS[1] / HEIGHT))
        figure.colorbar(ax.images[0], cax=cax, ticks=ticks, orientation="horizontal", label=label)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure2 --help``.

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
    >>> from contextlib import redirect_stderr
    >>> with redirect_stderr(sys.stdout):
    ...     code = main(["--output", "figure2.txt"])
    toyrd.figure2: figure2.txt must end in .png, .svg or .pdf
    >>> code
    2
    """
    parser = frame.figure_parser("figure2", __doc__)
    parser.set_defaults(seed=None)
    add = parser.add_argument
    add("--rate", type=frame.number(0), default=0.5, metavar="R", help="of column (c), nats (0.5)")
    rows = "decoder rows of column (c): a free table, or Gaussians (free)"
    add("--decoder", choices=("free", "gaussian"), help=rows)
    words = "exact tables, or the paper's family trained by gradients (tables)"
    add("--model", choices=("tables", "appendix-e"), default="tables", help=words)
    add("--steps", type=frame.number(1, kind=int), metavar="N", help="of appendix-e (10000)")
    return frame.run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    source, rate = toy_source(), options.rate
    if options.model == "appendix-e":
        frame.refuse_unused(options, "choose --model tables", "decoder")
        steps = options.steps or 10_000
        columns = train_columns(source, rate=rate, rng=options.seed or 0, steps=steps)
    else:
        frame.refuse_unused(options, "choose --model appendix-e", "steps", "seed")
        family = GaussianDecoder(source.p.size) if options.decoder == "gaussian" else None
        columns = compute_columns(source, rate=rate, decoder=family)
    rows = [[title, *_numbers(model).values()] for title, _, model in columns]
    header = ["column (nats)", *_numbers(columns[0].model)]
    return draw_columns(columns, source, width=options.width), frame.text_table(header, rows)


def _numbers(model: Model) -> dict[str, float]:
    return {"D": model.D, "R": model.R, "I": model.I, "H": model.H, "-ELBO": -model.elbo}


def _caption(model: Model) -> str:
    texts = [f"{name} {value:.4f}" for name, value in _numbers(model).items()]
    return f"{'   '.join(texts[:3])}\n{'   '.join(texts[3:])} (nats)".replace("-", "−")


if __name__ == "__main__":
    sys.exit(main())
