"""Regimes: one model of images for each β, from autoencoder to autodecoder.

Notation: R and D in nats; I(X; pattern) is what there is to know of the true latent, log n_z
the most that n_z latents carry. Pictures are pixel means under d(x|z).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alternation import Alternation, AnyState, settle
from .bernoulli import BernoulliDecoder
from .checks import Array, as_number, as_rng
from .measures import entropy
from .sources import Source

__all__ = ["BETAS", "Column", "best_of", "choose_inputs", "compute_columns", "name_regime", "show"]

BETAS = (0.1, 0.2, 0.5, 0.7, 0.9, 1.0, 1.1, 1.5, 1.8, 2.0, 3.0)

TIE = 1e-6
"""Objectives this close, in nats, count as equal; then the least rate is chosen."""

Index = NDArray[np.intp]
Run = tuple[AnyState, Iterator[AnyState]]


@dataclass(frozen=True, eq=False)
class Column:
    """Hold what the figure shows of one β: its numbers in nats, its name and its pictures."""

    beta: float
    D: float
    R: float
    regime: str
    reconstructions: Array
    generations: Array


def name_regime(R: float, *, n_z: int, information: float | None = None) -> str:
    """Name the regime that a rate belongs to.

    Parameters
    ----------
    R : float
        Rate in nats.
    n_z : int
        Number of latents; log n_z is the most that they carry.
    information : float, optional
        I(X; pattern), what there is to know of the true latent, if that is known.

    Returns
    -------
    str
        ``"autodecoder"`` for no rate, ``"semantic"`` up to the information and 1 % more,
        ``"autoencoder"`` within 1 % of log n_z, ``"syntactic"`` between; ``""`` where that is
        not known.

    Examples
    --------
    >>> [name_regime(R, n_z=100, information=2.5) for R in (0, 2.5, 3.5, 4.6)]
    ['autodecoder', 'semantic', 'syntactic', 'autoencoder']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4 and Figure 4.
    """
    if R < 1e-3:
        return "autodecoder"
    if 0.99 * np.log(n_z) < R:
        return "autoencoder"
    if information is None:
        return ""
    return "semantic" if 1.01 * information >= R else "syntactic"


def best_of(task: Alternation, starts: Iterable[Array], *, tol: float = 1e-6) -> AnyState:
    """Run the alternation from each start; return the best, of those that tie the least rate.

    All starts are run roughly, the best two to `tol`, and an answer that all but meets the
    bound min(1, β) H to its last digits.

    Parameters
    ----------
    task : Alternation
        The problem: p, a β, a family and perhaps a fixed marginal.
    starts : iterable of numpy.ndarray, shape (n_x, n_z)
        Encoders.
    tol : float
        Least gain of an iteration.

    Returns
    -------
    AnyState
        The state with its encoder, marginal and parameters.

    Examples
    --------
    >>> from toyrd.sources import bars_and_stripes
    >>> source = bars_and_stripes(2, flip=0.1)
    >>> family = BernoulliDecoder(source.images)
    >>> starts = [family.seeded_encoder(source.p, 6, rng=seed) for seed in range(3)]
    >>> state = best_of(Alternation(source.p, "beta", 1.0, family), starts, tol=1e-9)
    >>> bool(state.objective - entropy(source.p) < 1e-6)
    True
    """

    def run(runs: Iterable[Iterator[AnyState]], tol: float) -> list[Run]:
        ends = [(settle(states, tol=tol, max_iter=10_000)[0], states) for states in runs]
        return sorted(ends, key=lambda end: end[0].objective)

    rough = run(map(task.states, starts), 100 * tol)
    final = run([states for _, states in rough[:2]], tol)
    tied = [end for end in final if end[0].objective <= final[0][0].objective + TIE]
    best, states = min(tied, key=lambda end: end[0].row[1])
    nearly = best.objective - min(1.0, task.target) * entropy(task.p) <= TIE
    return run([states], 1e-13)[0][0] if nearly else best


def compute_columns(
    p: Array,
    family: BernoulliDecoder,
    betas: Sequence[float] = BETAS,
    *,
    inputs: Index,
    n_z: int,
    seeds: Sequence[int] = (),
    marginal: Array | None = None,
    information: float | None = None,
    rng: int | np.random.Generator | None = None,
    callback: Callable[[], object] = lambda: None,
) -> list[Column]:
    """Solve one model for each β, from the largest down, and draw its pictures.

    Each β starts from seeded encoders, a random one, and that of the β before, shaken.

    Parameters
    ----------
    p : numpy.ndarray, shape (n_x,)
        Data distribution.
    family : BernoulliDecoder
        Of the decoder's rows.
    betas : sequence of float
        Prices of a nat of rate.
    inputs : numpy.ndarray of int
        Symbols to reconstruct; as many generations are drawn.
    n_z : int
        Number of latents.
    seeds : sequence of int
        Numbers of seeds, one start for each.
    marginal : numpy.ndarray, shape (n_z,), optional
        Fixes m; otherwise it is free.
    information : float, optional
        I(X; pattern) in nats, to name the regimes.
    rng : int or numpy.random.Generator, optional
        Seed or generator.
    callback : callable, optional
        Called after each β.

    Returns
    -------
    list of Column
        In the order of `betas`.

    Raises
    ------
    ValueError
        If a number is out of range or shapes do not fit.

    Examples
    --------
    >>> from toyrd.sources import bars_and_stripes
    >>> source = bars_and_stripes(2)
    >>> family, inputs = BernoulliDecoder(source.images), np.array([0, 3])
    >>> columns = compute_columns(
    ...     source.p, family, (0.5, 1.2, 3.0), inputs=inputs, n_z=6, information=1.53, rng=0
    ... )
    >>> [column.regime for column in columns]
    ['autoencoder', 'semantic', 'autodecoder']

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Figure 4.
    """
    generator = as_rng(rng)
    starts = [family.seeded_encoder(p, n_z, seeds=k, rng=generator) for k in seeds]
    starts.append(generator.dirichlet(np.ones(n_z), size=p.size))
    previous: list[Array] = []
    columns: dict[float, Column] = {}
    for beta in sorted(set(betas), reverse=True):
        task = Alternation(p, "beta", as_number("beta", beta, low=0, high=1e300), family, marginal)
        state = best_of(task, [*starts, *previous])
        columns[beta] = show(state, family, inputs, information=information, rng=generator)
        shaken = state.e * generator.uniform(0.5, 1.5, state.e.shape)
        previous = [shaken / shaken.sum(axis=1, keepdims=True)]
        callback()
    return [columns[beta] for beta in betas]


def show(
    state: AnyState,
    family: BernoulliDecoder,
    inputs: Index,
    *,
    information: float | None = None,
    rng: np.random.Generator,
) -> Column:
    """Draw the pictures of a solution: z from e(z|x) or from m(z), then the pixel means of z.

    Parameters
    ----------
    state : AnyState
        The solution.
    family : BernoulliDecoder
        Of the decoder's rows.
    inputs : numpy.ndarray of int
        Symbols to reconstruct; as many generations are drawn.
    information : float, optional
        As for `name_regime`.
    rng : numpy.random.Generator
        Draws the latents.

    Returns
    -------
    Column
        For `draw_columns`.
    """
    means = family.means(state.parameters)
    D, R, _, _ = state.row

    def draw(weights: Array) -> Array:
        tops = np.cumsum(weights, axis=1)
        chosen = (tops < rng.random((len(weights), 1)) * tops[:, -1:]).sum(axis=1)
        return np.asarray(means[chosen])

    regime = name_regime(R, n_z=state.m.size, information=information)
    reconstructions, generations = draw(state.e[inputs]), draw(np.tile(state.m, (inputs.size, 1)))
    return Column(state.beta, D, R, regime, reconstructions, generations)


def choose_inputs(source: Source, *, pairs: int = 4, rng: np.random.Generator) -> Index:
    """Choose inputs two by two: a pattern without noise, then the same pattern with noise."""
    patterns = rng.choice(source.p_z.size, size=min(pairs, source.p_z.size), replace=False)
    chosen = []
    for row in source.p_x_given_z[patterns]:
        clean = int(np.argmax(row))
        noisy = np.where(np.arange(row.size) == clean, 0, row)
        total = noisy.sum()
        chosen += [clean, int(rng.choice(row.size, p=noisy / total)) if total else clean]
    return np.array(chosen)
