"""Frontiers: the least D for every rate, point by point, with a proof of what lies between.

Notation: a point is the optimum of D + βR for one β, so −β is the slope of the frontier there.
For a convex problem tangents bound the frontier from below and chords from above. A task is a β
with the point to start from, or None: then the task before it in its chain.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, process
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks
from .checks import Array, Seed, Tell, locked
from .curve import Curve, Solution, Status, warn
from .family import Decoder
from .model import Pictured
from .solver import curve_for
from .transitions import Transition, transitions

Workers = int | Callable[..., Iterable[Any]]
Run = Callable[[Any], Iterable[Any]]
Task = tuple[float, Solution | None]

SHORTEST = 4
"""Tasks in a chain at least, where chains run side by side: a cold start costs as much."""

MOST = 100_000
"""Points of a frontier at the most; each keeps its marginal."""

EDGE = 1e-12
"""How far beyond an end of the frontier, as a share, a number still means the end.

A rate or distortion computed may leave the range by rounding.
"""


def column(name: str, about: str) -> cached_property[NDArray[Any]]:
    """Return a property of a frontier: one number of each of its points, shape (n,)."""
    numbers = cached_property[NDArray[Any]](
        lambda self: locked(np.array([getattr(point, name) for point in self.points]))
    )
    numbers.__doc__ = about
    return numbers


@dataclass(frozen=True, eq=False, repr=False)
class Frontier(Pictured, checks.ReadOnly, Sequence[Solution]):
    """The points of a frontier: a sequence of solutions, with arrays of their numbers.

    ``frontier[i]`` is a solution and ``frontier[i:j]`` a shorter frontier.

    Parameters
    ----------
    points : tuple of Solution
        In the order of the β asked for. They keep marginals; an encoder is made when asked for.
    curve : Curve
        What they are points of. Where only a local search is known, chords prove nothing, and
        the upper bound is a staircase: the least D reached at that rate or less.

    Examples
    --------
    The binary symmetric channel has R = log 2 − h(D):

    >>> curve = frontier([0.5, 0.5], cost=[[0, 1], [1, 0]], spacing=1e-3)
    >>> curve[0].R, round(curve.rate_at(0.1), 3)
    (0.6931471805599453, 0.368)
    >>> lower, upper = curve.bounds_at(0.368064207088)
    >>> lower <= 0.1 <= upper, curve.width < 1e-3
    (True, True)

    Its numbers as a file: ``numpy.savetxt("curve.csv", numpy.c_[curve.R, curve.D])``, or
    ``pandas.DataFrame(curve.to_dict()).to_csv("curve.csv")``.
    """

    points: tuple[Solution, ...]
    curve: Curve

    def __len__(self) -> int:
        return len(self.points)

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> Frontier: ...
    def __getitem__(self, index: int | slice) -> Solution | Frontier:
        if isinstance(index, slice):
            return Frontier(self.points[index], self.curve)
        return self.points[index]

    def __repr__(self) -> str:
        proof = f"width {self.width:.3g}" if self.convex else "local: chords prove nothing"
        if any(point.status is Status.SEARCHED for point in self.points):
            proof += ", tangents searched for, not proven"
        return (
            f"Frontier({len(self)} points, {self.converged.sum()} converged\n"
            f"  beta = {self.betas.min():.6g} to {self.betas.max():.6g}\n"
            f"  R = {self.R.min():.6g} to {self.R.max():.6g} nats\n"
            f"  D = {self.D.min():.6g} to {self.D.max():.6g} {self.unit}\n"
            f"  largest gap = {self.gap.max():.2g}, {proof}\n)"
        )

    @property
    def convex(self) -> bool:
        """Whether chords bound the frontier from above."""
        return self.curve.convex

    @property
    def unit(self) -> str:
        """Of D: nats for a decoder, units of cost for a bare cost."""
        return self.curve.unit

    betas = column("beta", "Prices of a nat of rate, shape (n,).")
    D = column("D", "Distortions, shape (n,).")
    R = column("R", "Rates in nats, shape (n,).")
    objective = column("objective", "D + βR, or D at β = ∞, shape (n,).")
    lower_bound = column("lower_bound", "Proven bounds on the objectives, shape (n,).")
    gap = column("gap", "Objective − lower bound, shape (n,).")
    converged = column("converged", "Whether each point met its tolerance, shape (n,).")

    def to_dict(self, *, unit: str = "nats") -> dict[str, list[float | str]]:
        """Return columns of numbers by name, as pandas takes them; see `Solution.to_dict`."""
        rows = [point.to_dict(unit=unit) for point in self.points]
        return {name: [row[name] for row in rows] for name in rows[0]}

    @cached_property
    def width(self) -> float:
        """Greatest distance of a chord from the tangents below it, as a share.

        The unit is the range of R across and the range of D upwards. If not convex, it is that
        of the staircase from the tangents, in D.
        """
        if self.convex:
            return float(self._widths().max(initial=0.0))
        R, D = self.reached
        below = D[:-1] - self._sloped(R[1:])
        return float(below.max(initial=0.0)) / (float(np.ptp(self.D)) or 1.0)

    @cached_property
    def outline(self) -> tuple[Array, Array, Array]:
        """Rates, rising, and the two bounds on D at each, straight between them, as for a plot.

        A rate comes twice where the upper bound steps down. Beside the upright tangent of β = ∞
        the lower bound is its limit from the right.
        """
        rates = np.unique(np.concatenate([self.R, self._corners()]))
        upper = self._upper(rates)
        if not self.convex:
            upper = np.stack([self._upper(rates, "left"), upper], axis=1).ravel()
            rates = np.repeat(rates, 2)
        return locked(rates), locked(self._sloped(rates)), locked(upper)

    @cached_property
    def reached(self) -> tuple[Array, Array]:
        """Rates, rising, and the least D reached up to each."""
        order = np.lexsort((self.D, self.R))
        R, first = np.unique(self.R[order], return_index=True)
        return locked(R), locked(np.minimum.accumulate(self.D[order])[first])

    def transitions(self) -> tuple[Transition, ...]:
        """Locate the β between points where a letter or a row comes into use or leaves it.

        Returns
        -------
        tuple of Transition
            By rising β; see `toyrd.transitions.transitions`.

        Raises
        ------
        ValueError
            If the curve is neither of a table nor of a family.

        Examples
        --------
        >>> curve = frontier([0.5, 0.5], cost=[[0, 1, 0.3], [1, 0, 0.3]], betas=[0.5, 0.6])
        >>> [round(one.beta, 6) for one in curve.transitions()]
        [0.555225]
        """
        return transitions(self.curve, self.points)

    def bounds_at(self, rate: ArrayLike) -> tuple[Any, Any]:
        """Bound the least D at a rate from below, by tangents, and from above, by chords.

        Parameters
        ----------
        rate : array_like
            Rates in nats, any shape.

        Returns
        -------
        lower, upper : float or numpy.ndarray
            In the shape of `rate`; upper is +∞ below the least rate computed.

        Raises
        ------
        ValueError
            If a rate is negative or not finite.
        """
        rates = checks.as_array("rate", rate)
        bad = ~((rates >= 0) & (rates < np.inf))
        checks.refuse("rate", rates, bad, ", but must be finite and ≥ 0")
        return _plain(self._lower(rates)), _plain(self._upper(rates))

    def distortion_at(self, rate: ArrayLike) -> Any:
        """Return the least D that the points prove possible at a rate: the upper bound.

        Where the problem is convex, mixtures of neighbouring points attain it. For the least D
        itself, to the last digit, call `solve` with the rate.

        Parameters
        ----------
        rate : array_like
            Rates in nats, any shape, between the least and the largest computed.

        Returns
        -------
        float or numpy.ndarray
            In the shape of `rate`.

        Raises
        ------
        ValueError
            If a rate is out of range.
        """
        rates = _covered("rate", rate, self.R)
        return _plain(self._upper(rates))

    def rate_at(self, distortion: ArrayLike) -> Any:
        """Return the least R that the points prove enough for a distortion.

        It is the inverse of `distortion_at`.

        Parameters
        ----------
        distortion : array_like
            Any shape, between the least and the largest computed.

        Returns
        -------
        float or numpy.ndarray
            Rates in nats, in the shape of `distortion`.

        Raises
        ------
        ValueError
            If a distortion is out of range.
        """
        wanted = _covered("distortion", distortion, self.D)
        R, D = self.reached
        falls, first = np.unique(-D, return_index=True)
        if self.convex:
            return _plain(np.interp(-wanted, falls, R[first]))
        return _plain(R[first][np.searchsorted(falls, -wanted)])

    @cached_property
    def _tangents(self) -> tuple[Array, Array, Array, Array]:
        """β, R, D and lower bound of the points by rising β, each β once: R falls, D rises.

        That D + βR is no less than the bound is proven; at β = ∞ the tangent is upright, and
        the bound is that of D at rates up to R.
        """
        beta, first = np.unique(self.betas, return_index=True)
        bound = self.lower_bound[first]
        priced = beta < np.inf
        if priced.any():  # min D + βR is concave in β
            kept = majorant(beta[priced], bound[priced])
            bound[priced] = np.interp(beta[priced], beta[kept], bound[kept])
        return beta, self.R[first], self.D[first], bound

    def _sloped(self, rate: Array) -> Array:
        """Return the greatest lower bound on D of all tangents but an upright one."""
        below = np.full(rate.shape, -np.inf)
        with np.errstate(over="ignore"):  # at a rate beyond measure a tangent says nothing
            for beta, _, _, bound in zip(*self._tangents, strict=True):
                if beta < np.inf:
                    np.maximum(below, bound - beta * rate, out=below)
        return below

    def _lower(self, rate: Array) -> Array:
        """Return the greatest lower bound on D that the tangents prove at a rate."""
        beta, R, _, bound = (each[-1] for each in self._tangents)
        end = R if self.convex else 0.0  # a local search may end at a larger rate
        level = bound if beta == np.inf else -np.inf
        return np.maximum(self._sloped(rate), np.where(rate <= end, level, -np.inf))

    def _upper(self, rate: Array, side: Literal["left", "right"] = "right") -> Array:
        """Return the least D known to be possible at a rate: chords, or steps if not convex."""
        R, D = self.reached
        step = D[np.maximum(np.searchsorted(R, rate, side) - 1, 0)]
        return np.where(rate < R[0], np.inf, np.interp(rate, R, D) if self.convex else step)

    def _corners(self) -> Array:
        """Return the rates at which neighbouring tangents meet, between those of their points."""
        beta, rates, _, bound = self._tangents
        rise, run = np.diff(bound), np.diff(beta)
        R = np.divide(rise, run, out=rates[1:].copy(), where=np.isfinite(run))
        return np.asarray(np.clip(R, *np.sort([rates[1:], rates[:-1]], axis=0)))

    def _widths(self) -> Array:
        """Return the distance of each chord from the tangents below it, at corners and points.

        In units of the ranges of R and D, so that the unit of cost does not matter.
        """
        _, R, D, _ = self._tangents
        units = np.array([[np.ptp(R) or 1.0], [np.ptp(D) or 1.0]])
        run, rise = np.abs(np.diff([R, D])) / units
        rates, height = np.concatenate([self._corners(), R]), np.zeros(run.size)
        above = np.maximum(self._upper(rates) - self._sloped(rates), 0.0) / units[1]
        for side in ("left", "right"):  # a point lies on two chords
            chord = np.searchsorted(-R, -rates, side) - 1
            inside = (chord >= 0) & (chord < run.size)
            np.maximum.at(height, chord[inside], above[inside])
        length = np.hypot(run, rise)
        return np.asarray(height * run / np.where(length > 0, length, 1.0))


def frontier(
    p: ArrayLike,
    *,
    decoder: Decoder = None,
    cost: ArrayLike | None = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    betas: ArrayLike | None = None,
    n: int = 100,
    spacing: float = 1e-3,
    workers: Workers = 1,
    tol: float | None = None,
    max_iter: int | None = None,
    starts: int = 4,
    rng: Seed = 0,
    callback: Tell | None = None,
) -> Frontier:
    r"""Compute the least D for every rate: the points that minimise D + βR for many β.

    With `betas` each is solved, from the smallest up, warm from the one before it. Without,
    points are placed where they tell most: from β = 0 and ∞ on, at the slope of each chord
    that is further than `spacing` from its tangents (the sandwich algorithm).

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    decoder : array_like (n_z, n_x) or DecoderFamily, optional
        A table or a family such as `GaussianDecoder` is solved globally. For another family,
        or a free decoder with a fixed marginal, each point is the best of several local
        searches: its lower bound is proven, but the points need not be optimal.
    cost : array_like, shape (n_x, n_z), optional
        Any cost table instead of a decoder, as for `rate_distortion`.
    marginal : array_like, shape (n_z,), optional
        Fixes the marginal; otherwise it is free.
    n_z : int, optional
        Number of latents, where no table says it; by default n_x.
    betas : array_like, shape (n,), optional
        Prices of a nat, from 0 to ∞, in any order, repeated or not.
    n : int
        Largest number of points placed without `betas`, at most 100,000.
    spacing : float
        A chord this close to its tangents is left as it is, as a share of the ranges of R and D:
        in a plot no point of the frontier is further from the polygon.
    workers : int or callable
        Number of processes, −1 for one on each processor, or a map-like callable such as
        ``executor.map``. Neighbouring β go to the same worker, in chains of warm starts, so
        that a local search may end elsewhere with another number of workers. Processes start
        afresh, so a script that uses them needs ``if __name__ == "__main__":``. Set
        ``OPENBLAS_NUM_THREADS=1`` before, or the threads of all processes compete.
    tol : float, optional
        Largest gap of a converged point, as for `solve`.
    max_iter : int, optional
        Cap on iterations for each β.
    starts : int
        Number of random starts for each β of a local search, besides the warm one.
    rng : int or numpy.random.Generator
        For these starts; by default a seed, so that answers repeat.
    callback : callable, optional
        Called as ``callback(done, point)`` after each point, with the number done.

    Returns
    -------
    Frontier
        Solutions in the order of `betas`.

    Raises
    ------
    ValueError
        If an argument breaks a rule, or both `decoder` and `cost` are given.
    TypeError
        If an argument is not of its kind; `workers` must be an integer or a callable.
    RuntimeError
        If a worker process dies.

    Warns
    -----
    ConvergenceWarning
        Once, if points did not converge.

    Examples
    --------
    >>> from toyrd import toy_source
    >>> toy = toy_source()
    >>> frontier(toy.p, decoder=toy.true_model(2).d, betas=[1, 1.5, 0.5]).R.round(6)
    array([0.5     , 0.430674, 0.563256])

    References
    ----------
    Blahut (1972) for the parametric curve; Rote, *The convergence rate of the sandwich
    algorithm for approximating convex functions* (1992).
    """
    p = checks.as_distribution("p", p)
    if betas is not None:
        betas = checks.as_array("betas", betas, ndim=1)
        checks.refuse("betas", betas, ~(betas >= 0), ", but a β lies between 0 and inf")
    n = checks.as_count("n", n, low=2, high=MOST)
    spacing = checks.as_number("spacing", spacing, low=0)
    curve = curve_for(
        p, decoder, cost, marginal, n_z, starts=starts, rng=rng, tol=tol, max_iter=max_iter
    )
    with spread_over(workers, curve, n if betas is None else betas.size) as (run, chains):
        sweep = Sweep(curve, run, chains, checks.as_callback(callback))
        points = sweep.placed(n, spacing) if betas is None else sweep.at(betas)
    return _announced(Frontier(tuple(points), curve))


def majorant(x: Array, y: Array) -> NDArray[np.intp]:
    """Return which points, by rising x, are corners of the least concave function above y."""
    kept = np.arange(x.size)
    while True:
        left, here, right = kept[:-2], kept[1:-1], kept[2:]
        share = (x[here] - x[left]) / (x[right] - x[left])
        low = y[here] < (1 - share) * y[left] + share * y[right]
        if not low.any():
            return kept
        kept = np.delete(kept, 1 + np.flatnonzero(low))


def _covered(name: str, value: ArrayLike, computed: Array) -> Array:
    """Return values that lie between the least and the largest computed."""
    low, high = float(computed.min()), float(computed.max())
    array, slack = checks.as_array(name, value), EDGE * max(abs(low), abs(high))
    bad = ~((array >= low - slack) & (array <= high + slack))
    hint = "the range computed; add betas to reach further"
    checks.refuse(name, array, bad, f", but must lie in [{low:.12g}, {high:.12g}], {hint}")
    return np.clip(array, low, high)


def _plain(numbers: Array) -> Any:
    """Return an array as it is, but a float for a single number."""
    return numbers if numbers.ndim else float(numbers)


def _announced(found: Frontier) -> Frontier:
    """Warn once if points did not converge."""
    left = np.flatnonzero(~found.converged)
    if left.size:
        worst = left[np.argmax(found.gap[left])]
        warn(
            f"{left.size} of {len(found)} points did not converge, with a gap of "
            f"{found.gap[worst]:.3g} at beta = {found.betas[worst]:g}; raise max_iter or tol"
        )
    return found


@dataclass
class Sweep:
    """Tasks along a curve, run in order or in chains side by side."""

    curve: Curve
    run: Run
    chains: int
    callback: Tell
    done: int = 0

    def at(self, betas: Array) -> list[Solution]:
        """Return the points at given β, in the order given; repeated ones are solved once.

        A local search goes from the largest β down, because latents can split but not revive.
        """
        distinct, place = np.unique(betas, return_inverse=True)
        order = 1 if self.curve.convex else -1
        points = self._solved([(float(beta), None) for beta in distinct[::order]])[::order]
        return [points[i] for i in place]

    def placed(self, n: int, spacing: float) -> list[Solution]:
        """Return at most n points, added at the slope of a chord while the sandwich is too wide.

        A round takes every chord that is too wide at once, so that workers change nothing.
        """
        points = self.at(np.array([0.0, np.inf]))
        while tasks := next_tasks(points, spacing, self.curve, n - len(points)):
            points = sorted(points + self._solved(tasks), key=lambda point: point.beta)
        return points

    def _solved(self, tasks: Sequence[Task]) -> list[Solution]:
        """Return a point for each task, calling back as they arrive."""
        size = max(SHORTEST, -(-len(tasks) // self.chains))
        parts = [tasks[i : i + size] for i in range(0, len(tasks), size)]
        points: list[Solution] = []
        try:
            for point in chain.from_iterable(self.run(parts)):
                points.append(unpacked(point, self.curve))
                self.done += 1
                self.callback(self.done, points[-1])
        except process.BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process died before it answered: out of memory, killed, or started from "
                'a script without if __name__ == "__main__":; use fewer workers or workers=1'
            ) from error
        if len(points) != len(tasks):
            raise ValueError(
                f"workers gave {len(points)} points for {len(tasks)} values of beta; a map-like "
                "callable returns one result for each item, in order"
            )
        return points


def next_tasks(points: Sequence[Solution], spacing: float, curve: Curve, most: int) -> list[Task]:
    """Return the slopes of the widest chords between points, each warm from its lower end.

    The points and the tasks come in the order of β, each β once.
    """
    if not curve.convex:  # as if each were the optimum, to place points where they tell most
        points = [replace(point, gap=0.0) for point in points]
    found = Frontier(tuple(points), curve)
    widths, beta = found._widths(), found.betas
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = -np.diff(found.D) / np.diff(found.R)
    worth = (widths > spacing) & (slopes > beta[:-1]) & (slopes < beta[1:])
    widest = np.argsort(np.where(worth, -widths, 0.0), kind="stable")
    chosen = np.sort(widest[: min(most, np.count_nonzero(worth))])
    return [(float(slopes[i]), points[i]) for i in chosen]


def along(curve: Curve, tasks: Iterable[Task]) -> Iterator[Solution]:
    """Yield a point for each task, warm from the one before it unless the task says otherwise."""
    point = None
    for beta, start in tasks:
        point = curve.at(beta, start or point)
        yield point


SHARED = ("p", "cost", "decoder")
"""What a point may share with its curve; it is not sent back from another process."""

ABSENT: Any = ...
"""What stands for it, as it is the same object in every process."""

_curve: list[Curve] = []  # of a worker process, sent there once


def remember(curve: Curve) -> None:
    """Keep the curve of this worker process."""
    _curve[:] = [curve]


def solve_chain(tasks: Iterable[Task], curve: Curve | None = None) -> list[Solution]:
    """Return the points of a chain, without the tables that they share with their curve."""
    curve = curve or _curve[0]
    return [packed(point, curve) for point in along(curve, tasks)]


def packed(point: Solution, curve: Curve) -> Solution:
    """Return a point without the tables that it shares with its curve."""
    same = [name for name in SHARED if getattr(point, name) is getattr(curve, name, ABSENT)]
    return replace(point, **dict.fromkeys(same, ABSENT))


def unpacked(point: Solution, curve: Curve) -> Solution:
    """Return a point with these tables back."""
    absent = [name for name in SHARED if getattr(point, name) is ABSENT]
    return replace(point, **{name: getattr(curve, name) for name in absent}) if absent else point


@contextmanager
def spread_over(workers: Workers, curve: Curve, tasks: int) -> Iterator[tuple[Run, int]]:
    """Give a function that solves chains of tasks, and how many of them to make at the most.

    Processes end with the block, also on Ctrl-C. They are never forked, as a fork copies locks
    that threads hold.
    """
    if callable(workers):
        yield partial(workers, partial(solve_chain, curve=curve)), 8
        return
    asked, processors = checks.as_count("workers", workers, low=-1), os.cpu_count() or 1
    if asked == 0:
        raise ValueError("workers is 0, but must be at least 1, or -1 for all processors")
    wanted = processors if asked == -1 else min(asked, 4 * processors)
    processes = min(wanted, -(-tasks // SHORTEST))
    if processes == 1:
        yield partial(map, partial(along, curve)), 1
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, remember, (curve,)) as pool:
        try:
            yield partial(pool.map, solve_chain), 4 * processes
        finally:
            pool.shutdown(cancel_futures=True)
