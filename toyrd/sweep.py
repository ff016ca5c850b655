"""Sweeps along a curve: warm starts from β to β, points placed where they tell most, workers.

Notation: a curve solves one problem for each β (see `target.Curve`). A task is a β with the
point to start from, or None: then the task before it in its chain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from multiprocessing import Pool
from typing import Any, Protocol

import numpy as np

from .checks import Array, as_count
from .convex import RateDistortion
from .sandwich import Sandwich
from .solution import Solution

Point = RateDistortion | Solution
Map = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]
Workers = int | Map
Task = tuple[float, Point | None]

SHORTEST = 4
"""Tasks in a chain at least, where chains run side by side: a cold start costs as much."""


class Curve(Protocol):
    """State what a sweep asks of a curve."""

    def at(self, beta: float, start: Any = None) -> Any:
        """Solve at β, warm from another point."""
        ...


class Sweep:
    """Run tasks along a curve, in order or spread over workers."""

    def __init__(
        self,
        curve: Curve,
        convex: bool,
        spread: Map,
        size: int | None,
        callback: Callable[..., object] | None,
    ) -> None:
        self.curve, self.convex, self.spread, self.size = curve, convex, spread, size
        self.callback = callback
        self.done = 0

    def run(self, tasks: Sequence[Task]) -> list[Point]:
        """Return a point for each task, calling back as they arrive."""
        if self.size is None:
            return [self._arrived(point) for point in along(self.curve, tasks)]
        size = max(SHORTEST, -(-len(tasks) // self.size))
        chains = [tasks[i : i + size] for i in range(0, len(tasks), size)]
        parts = self.spread(partial(solve_chain, self.curve), chains)
        points = [self._arrived(unpacked(one, self.curve)) for one in chain.from_iterable(parts)]
        if len(points) != len(tasks):
            raise ValueError(
                f"workers gave {len(points)} points for {len(tasks)} values of beta; a map-like "
                "callable returns one result for each item, in order"
            )
        return points

    def _arrived(self, point: Point) -> Point:
        self.done += 1
        if self.callback is not None:
            self.callback(self.done, point)
        return point

    def at(self, betas: Array) -> list[Point]:
        """Return the points at given β, in the order given; repeated ones are solved once."""
        distinct, place = np.unique(betas, return_inverse=True)
        points = self.run([(float(beta), None) for beta in distinct])
        return [points[i] for i in place]

    def placed(self, n: int, tolerance: float) -> list[Point]:
        """Return at most n points, added at the slope of a chord while the sandwich is too wide.

        A round takes every chord that is too wide at once, so that workers change nothing.
        """
        points = self.at(np.array([0.0, np.inf]))
        while len(points) < n and (tasks := next_tasks(points, tolerance, self.convex)):
            best = sorted(tasks[: n - len(points)], key=lambda task: task[0])
            points = sorted(points + self.run(best), key=lambda point: point.beta)
        return points


def next_tasks(points: Sequence[Point], tolerance: float, convex: bool) -> list[Task]:
    """Return the β worth solving next, the widest chord first, each warm from its lower end."""
    beta, R, D, bound = numbers(points, "beta", "R", "D", "lower_bound" if convex else "objective")
    sandwich = Sandwich.of(beta, R, D, bound, True)
    widths, slopes = sandwich.widths(), sandwich.slopes()
    inside = (slopes > sandwich.beta[:-1]) & (slopes < sandwich.beta[1:])
    by_beta = {point.beta: point for point in points}
    return [
        (float(slopes[i]), by_beta[float(sandwich.beta[i])])
        for i in np.argsort(-widths, kind="stable")
        if widths[i] > tolerance and inside[i]
    ]


def numbers(points: Sequence[Point], *names: str) -> list[Array]:
    """Return a field of every point, for each name."""
    return [np.array([float(getattr(point, name)) for point in points]) for name in names]


def along(curve: Curve, tasks: Iterable[Task]) -> Iterator[Point]:
    """Yield a point for each task, warm from the one before it unless the task says otherwise."""
    point = None
    for beta, start in tasks:
        point = curve.at(beta, point if start is None else start)
        yield point


def solve_chain(curve: Curve, tasks: Iterable[Task]) -> list[Point]:
    """Return the points of a chain, fit to be sent to another process."""
    return [packed(point, curve) for point in along(curve, tasks)]


def packed(point: Point, curve: Any) -> Point:
    """Return a point without the tables that it shares with its curve."""
    if isinstance(point, RateDistortion) and point.cost is curve.cost:
        return replace(point, p=np.zeros(0), cost=np.zeros((0, 0)))
    return point


def unpacked(point: Point, curve: Any) -> Point:
    """Return a point with its tables back."""
    if isinstance(point, RateDistortion) and point.cost.size == 0:
        return replace(point, p=curve.p, cost=curve.cost)
    return point


@contextmanager
def spread_over(workers: Workers) -> Iterator[tuple[Map, int | None]]:
    """Give a map over the workers, and how many chains it can run side by side (None: no map).

    A pool ends with the block, also on Ctrl-C, which only the parent hears.
    """
    if callable(workers):
        yield workers, 8
        return
    count = _as_workers(workers)
    if count == 1:
        yield map, None
        return
    with Pool(count, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield pool.imap, 4 * count


def _as_workers(workers: Any) -> int:
    try:
        count = as_count("workers", workers, low=-1)
    except TypeError:
        raise TypeError(
            f"workers must be an integer or a map-like callable, not {workers!r}"
        ) from None
    if count == 0:
        raise ValueError("workers is 0, but must be at least 1, or -1 for all processors")
    return count if count > 0 else (os.cpu_count() or 1)
