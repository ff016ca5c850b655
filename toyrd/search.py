"""Search: the best model found in each of the eight classes at each β, and what they span.

Notation: signs as in `classes`; -+- lies inside -++ and ++-, which lie inside +++. What is found
in one class starts the search in the next, and a larger class is never worse at any β.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .checks import Array, as_rng
from .class_data import Data
from .classes import ModelClass, Tables
from .free import lower_bound
from .frontier import frontier
from .mixing import GlobalFamily
from .model import Model
from .solver import solve

__all__ = ["NAMES", "Found", "coupled", "search", "search_all"]

NAMES = tuple("".join(signs) for signs in product("-+", repeat=3))
"""Signs of encoder, decoder and marginal, smaller classes before those that hold them."""

ORDER = ("+--", "+-+", "---", "--+", "++-", "+++", "-+-", "-++")
"""In which classes are searched: free encoders are found first and show simple ones the way."""

ROUGH = 30
"""Steps taken from every start; only the best goes on."""

SOFT, SHARP = 0.3, 20.0
"""Range of sharpness of the random starts, see `ModelClass.start`."""

PROVEN = 1e-7
"""Gap in nats up to which an answer counts as a proven optimum."""


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
    tables : Tables, optional
        For the search in a larger class, where this one was searched.
    """

    name: str
    beta: float
    model: Model
    certified: bool = False
    tables: Tables | None = None

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
    starts: int = 2,
    steps: int = 200,
    rng: int | np.random.Generator | None = None,
    callback: Callable[..., object] = lambda *_: None,
) -> dict[str, list[Found]]:
    """Search all eight classes at every β.

    Parameters
    ----------
    data : Data
        From `toy_data` or `image_data`.
    betas : sequence of float
        Rising.
    starts : int
        New random starts for each class and β.
    steps : int
        Steps of L-BFGS from the best start.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the starts.
    callback : callable, optional
        Called after each class and β.

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
    results: dict[str, list[Found]] = {}
    generator = as_rng(rng)
    for name in ORDER:
        solved = _solved(data, name, betas)
        for best in solved:
            callback(best)
        near = [results[other] for other in results if _differ(other, name) == 1]
        hints = [[found[i].tables for found in near] for i in range(len(betas))]
        results[name] = solved or search(
            data.model_class(name),
            betas,
            hints=[[tables for tables in each if tables is not None] for each in hints],
            starts=starts,
            steps=steps,
            rng=generator,
            callback=callback,
        )
    return _nested(data, results, steps)


def _differ(name: str, other: str) -> int:
    """Return in how many signs two classes differ."""
    return sum(a != b for a, b in zip(name, other, strict=True))


def _nested(data: Data, results: dict[str, list[Found]], steps: int) -> dict[str, list[Found]]:
    """Return the results by name, a class no worse than the smaller ones that it holds."""
    nested: dict[str, list[Found]] = {}
    for name in NAMES:
        inside = [nested[n] for n in nested if _differ(n, name) == n.count("-") - name.count("-")]
        one, nested[name] = data.model_class(name), list(results[name])
        for i, found in enumerate(results[name]):
            least = min((other[i] for other in inside), key=_objective, default=found)
            better = least.objective < found.objective and not found.certified
            if better and least.tables is not None:
                start = one.variables(least.tables)
                nested[name][i] = _found(one, found.beta, *one.descend(start, found.beta, steps))
    return nested


def _objective(found: Found) -> float:
    return found.objective


def _found(one: ModelClass, beta: float, variables: Array, _: float) -> Found:
    return Found(one.name, beta, one.model(variables, beta), tables=one.tables(variables, beta))


def _solved(data: Data, name: str, betas: Sequence[float]) -> list[Found]:
    """Return the optima of a class for which theory gives them, or nothing."""
    if name == "+++":
        solutions = [solve(data.p, beta=beta, n_z=data.n_z) for beta in betas]
    elif name == "+-+" and isinstance(data.family, GlobalFamily):
        solutions = list(frontier(data.p, decoder=data.family, betas=betas))
    else:
        return []
    return [
        Found(name, beta, solution.model, certified=solution.gap <= PROVEN)
        for beta, solution in zip(betas, solutions, strict=True)
    ]


def search(
    one: ModelClass,
    betas: Sequence[float],
    *,
    hints: Sequence[Sequence[Tables]] = (),
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
    hints : sequence of sequences of Tables, optional
        More starts, for each β.
    starts, steps, rng, callback
        As for `search_all`.

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
        points += [last[0] for last in best[-1:]]
        points += [one.variables(hint) for hint in (hints[i] if hints else ())]
        points += [one.variables(coupled(one.p, one.n_z))] if one.name == "++-" else []
        rough = [one.descend(point, beta, ROUGH) for point in points]
        best.append(one.descend(min(rough, key=_value)[0], beta, steps))
        callback(beta)
    for i in reversed(range(len(betas) - 1)):
        back = one.descend(best[i + 1][0], betas[i], steps)
        best[i] = min(best[i], back, key=_value)
    return [_found(one, beta, *end) for beta, end in zip(betas, best, strict=True)]


def _value(end: tuple[Array, float]) -> float:
    return end[1]


def coupled(p: Array, n_z: int) -> Tables:
    """Return a start for free tables beside a uniform marginal: quantiles of x to those of z.

    Parameters
    ----------
    p : numpy.ndarray, shape (n_x,)
        Data distribution.
    n_z : int
        Number of latents.

    Returns
    -------
    Tables
        With e(z) = 1/n_z, and few symbols in each latent: neighbours in the order of symbols.

    Examples
    --------
    >>> np.exp(coupled(np.array([0.5, 0.25, 0.25]), 2).log_e)
    array([[1., 0.],
           [0., 1.],
           [0., 1.]])
    """
    ends, cuts = np.cumsum(p), np.arange(1, n_z + 1) / n_z
    begins, heads = ends - p, cuts - 1 / n_z
    shared = np.minimum(ends[:, None], cuts) - np.maximum(begins[:, None], heads)
    with np.errstate(divide="ignore"):
        log_e = np.log(np.maximum(shared, 0) / p[:, None])
    return Tables(log_e, np.full(n_z, -np.log(n_z)))
