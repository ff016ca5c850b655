"""Search: the best model found in each of the eight classes at each β, and what they span.

Notation: signs as in `classes`; -+- lies inside -++ and ++-, which lie inside +++. What is found
in one class starts the search in the next, and a larger class is never worse at any β.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter, ne
from typing import Any

import numpy as np

from .checks import Array, as_rng
from .class_data import Data
from .classes import ModelClass, Tables
from .decoders import GlobalFamily
from .free import lower_bound
from .model import Model
from .solver import solve

__all__ = ["NAMES", "Found", "coupled", "search", "search_all"]

NAMES = tuple("".join(signs) for signs in product("-+", repeat=3))
"""Signs of encoder, decoder and marginal, smaller classes before those that hold them."""

ORDER = ("+--", "+-+", "---", "--+", "++-", "-+-", "-++")
"""In which classes are searched first: free encoders show simple ones the way."""

ROUGH = 30
"""Steps taken from every start; only the best goes on."""

SOFT, SHARP = 0.3, 20.0
"""Range of sharpness of the random starts, see `ModelClass.start`."""

PROVEN = 1e-7
"""Gap in nats up to which an answer counts as a proven optimum."""

FAINT = np.exp(-60.0)
"""Least probability in `coupled`."""


@dataclass(frozen=True, eq=False)
class Found:
    """Hold the best model found in a class at a β.

    Parameters
    ----------
    name : str
        Signs of the class.
    beta : float
        Price of a nat of rate.
    model : Model
        With D and R.
    certified : bool
        Whether it is a proven optimum of its class; otherwise it is the best of a local search.
    tables : mapping of str to numpy.ndarray
        Of `ModelClass`, to start other searches from; empty where theory gave the model.
    """

    name: str
    beta: float
    model: Model
    certified: bool = False
    tables: Tables = field(default_factory=dict)

    @property
    def objective(self) -> float:
        """D + βR, in nats."""
        return self.model.D + self.beta * self.model.R

    @property
    def gap(self) -> float:
        """Distance of D + βR to what no tables can beat.

        That is min(1, β) H, or H − (1 − β) log n_z where β < 1 and log n_z < H.
        """
        return max(0.0, self.objective - lower_bound(self.model, "beta", self.beta))


def search_all(
    data: Data,
    betas: Sequence[float],
    *,
    rng: int | np.random.Generator | None = None,
    **options: Any,
) -> dict[str, list[Found]]:
    """Search all eight classes at every β.

    Parameters
    ----------
    data : Data
        From `toy_data` or `image_data`.
    betas : sequence of float
        Rising.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the starts.
    **options
        The `starts`, `steps` and `callback` of `search`.

    Returns
    -------
    dict of list of Found
        For each of `NAMES` one for each β.

    Examples
    --------
    >>> from toyrd import toy_source
    >>> from toyrd.class_data import toy_data
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], rng=0, steps=20)
    >>> [round(best.model.R, 3) for best in found["+++"]]
    [1.442, 0.0]

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4.2 and Figure 3.
    """
    generator, solved, known = as_rng(rng), _solved(data, betas), dict[str, list[Found]]()
    for name in (*ORDER, *NAMES):  # twice, to learn from all others, and at last from smaller ones
        if name not in solved:
            near = [found for other, found in known.items() if sum(map(ne, other, name)) <= 1]
            one = data.model_class(name)
            known[name] = search(one, betas, hints=near, rng=generator, **options)
    return {name: (solved | known)[name] for name in NAMES}


def _solved(data: Data, betas: Iterable[float]) -> dict[str, list[Found]]:
    """Return the optima of the classes for which theory gives them."""
    classes: dict[str, dict[str, Any]] = {"+++": {"n_z": data.n_z}}
    if isinstance(data.family, GlobalFamily):
        classes["+-+"] = {"decoder": data.family}
    found: dict[str, list[Found]] = {name: [] for name in classes}
    for name, beta in product(classes, betas):
        solution = solve(data.p, beta=beta, **classes[name])
        proven = solution.gap <= PROVEN
        found[name].append(Found(name, beta, solution.model, certified=proven))
    return found


def search(
    one: ModelClass,
    betas: Sequence[float],
    *,
    hints: Iterable[Sequence[Found]] = (),
    starts: int = 2,
    steps: int = 200,
    rng: int | np.random.Generator | None = None,
    callback: Callable[..., object] = lambda *_: None,
) -> list[Found]:
    """Search one class at every β: from random starts, hints and the β before, then back.

    Parameters
    ----------
    one : ModelClass
        Where to search.
    betas : sequence of float
        Rising.
    hints : sequence of sequences of Found, optional
        What other classes found at the same betas: more starts.
    starts : int
        New random starts for each β, from soft to sharp encoders.
    steps : int
        Steps of L-BFGS from the best start.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the starts.
    callback : callable, optional
        Called after each β.

    Returns
    -------
    list of Found
        One for each β, none worse than its hints.

    Examples
    --------
    >>> from toyrd import toy_source
    >>> from toyrd.class_data import toy_data
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> one = data.model_class("-++")
    >>> found = search(one, [2.0], rng=0)
    >>> round(found[0].gap, 6)
    0.0
    """
    generator, best = as_rng(rng), list[tuple[Array, float]]()
    for i, beta in enumerate(betas):
        places = (np.arange(starts) + generator.uniform(size=starts)) / starts
        points = [one.start(generator, SOFT * (SHARP / SOFT) ** place) for place in places]
        points += [one.variables(found[i].tables) for found in hints]
        points += [end[0] for end in best[-1:]]
        points += [one.variables({"log_e": coupled(one.p, one.n_z)})] if one.name == "++-" else []
        rough = min((one.descend(point, beta, ROUGH) for point in points), key=itemgetter(1))
        best.append(one.descend(rough[0], beta, steps))
        callback(beta)
    for i in reversed(range(len(betas) - 1)):
        best[i] = min(best[i], one.descend(best[i + 1][0], betas[i], steps), key=itemgetter(1))
    return [_found(one, beta, end[0]) for beta, end in zip(betas, best, strict=True)]


def _found(one: ModelClass, beta: float, variables: Array) -> Found:
    return Found(one.name, beta, one.model(variables, beta), tables=one.tables(variables, beta))


def coupled(p: Array, n_z: int) -> Array:
    """Return a start for free tables beside a uniform marginal: quantiles of x to those of z.

    Parameters
    ----------
    p : numpy.ndarray, shape (n_x,)
        Data distribution.
    n_z : int
        Number of latents.

    Returns
    -------
    numpy.ndarray, shape (n_x, n_z)
        Log e with e(z) = 1/n_z, and few symbols in each latent: neighbours in the order of
        symbols. What is impossible is only `FAINT`, as an exact zero could never be left.

    Examples
    --------
    >>> np.exp(coupled(np.array([0.5, 0.25, 0.25]), 2)).round(9)
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    ends = np.cumsum(p)[:, None]
    shared = np.diff(np.clip(np.linspace(0, 1, n_z + 1), ends - p[:, None], ends), axis=1)
    return np.log(np.maximum(shared / p[:, None], FAINT))
