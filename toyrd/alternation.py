"""The alternating updates: a local search for any decoder, free, fixed or of a family.

Notation: one iteration is m ← e(z), then the best encoder for (d, m), then the best decoder.
At a β each step lowers D + βR or leaves it; at a rate or distortion the encoder step picks
the β that meets the target, so each step lowers D (or R) at that rate (or distortion).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from .checks import Array, locked
from .curve import MET, Curve, Solution, Status, Target, as_history, gap_above
from .family import DecoderFamily
from .free import refuse_unreachable, smooth_encoder, unreachable
from .model import (
    SMALLEST,
    Model,
    as_log_cost,
    conditional,
    entropy,
    expectation,
    posterior,
    relative_entropy_terms,
    respond,
)
from .table import TableCurve

Row = tuple[float, float, float, float]
Callback = Callable[[int, float], object]

COARSE = 1e-3
"""Below this β, R is summed from the encoder: D/β leaves too few digits."""

ROUGH = 32
"""Iterations of every start before starts are compared; then twice as many each time."""

TIE = 1e-9
"""Objectives so close, in nats, count as equal; then the least rate is chosen."""

PACE = 4.0
"""A start is given up that cannot win even with this many times its last gain."""


@dataclass(eq=False)
class Run:
    """One start and how far it has come; the tables lie at [z, x] in memory."""

    task: Alternation
    e: Array
    parameters: Array | None = None
    rows: list[Row] = field(default_factory=list)
    settled: bool = False

    def __post_init__(self) -> None:
        joint = (self.task.p[:, None] * self.e).T
        self.mass = joint.sum(axis=1)
        self.cost, self.parameters = self.task.decode(joint, self.parameters)
        self.m, self.beta = self.mass, self.task.target.value

    def step(self) -> None:
        """Take one iteration: marginal, encoder, decoder."""
        task = self.task
        self.m = self.mass / self.mass.sum() if task.marginal is None else task.marginal
        self.beta = task.slope(self.cost, self.m)
        self.e, log_g = respond(self.cost, self.m, self.beta)
        joint = self.e.T * task.p
        R = self._rate(joint, log_g)
        self.mass = joint.sum(axis=1)
        self.cost, self.parameters = task.decode(joint, self.parameters)
        D = expectation(joint, self.cost.T)
        waste = float(relative_entropy_terms(self.mass, self.m).sum())
        self.rows.append((D, R, max(0.0, R - waste), task.target.objective(D, R)))

    def _rate(self, joint: Array, log_g: Array) -> float:
        """Return R of a new encoder, from log g where β allows, for less than one table more."""
        p, live = self.task.p, self.task.p > 0
        if not COARSE <= self.beta < np.inf:
            rows = relative_entropy_terms(self.e[live], self.m).sum(axis=1)
            return max(0.0, float(p[live] @ rows))
        floor = self.cost[live].min(axis=1, where=self.m > 0, initial=np.inf)
        spent = expectation(joint, self.cost.T) - float(p[live] @ floor)
        return max(0.0, -float(p[live] @ log_g[live]) - spent / self.beta)

    def go(self, steps: int, tol: float, callback: Callback | None = None) -> None:
        """Take steps until one gains less than tol."""
        for _ in range(steps):
            if self.settled:
                break
            self.step()
            if callback is not None:
                callback(len(self.rows), self.objective)
            self.settled = self.gain(1) <= tol * max(1.0, abs(self.objective))

    @property
    def objective(self) -> float:
        """What the iterations lower."""
        return self.rows[-1][3]

    def gain(self, steps: int) -> float:
        """Return what the last steps have gained."""
        return self.rows[-1 - steps][3] - self.objective if len(self.rows) > steps else np.inf

    def promise(self, turn: int) -> float:
        """Return what this run will hardly get below, by the pace of its last turn."""
        return self.objective - (0.0 if self.settled else PACE * self.gain(turn // 2))

    @property
    def model(self) -> Model:
        """The tables as they stand."""
        task, p = self.task, self.task.p
        if isinstance(task.decoder, np.ndarray):
            return Model._of(p, self.e, task.decoder, self.m)
        if task.decoder is None:
            return Model._of(p, self.e, posterior(p, self.e), self.m)
        d = np.exp(-self.cost.T)
        # Where p e underflows, the fit did not see it, and may forbid what costs nothing.
        faint = (d == 0) & (p > 0) & (self.e.T > 0)
        faint &= np.isfinite(self.cost.T) | (p * self.e.T == 0)
        d[faint] = SMALLEST
        return Model._of(p, self.e, d, self.m)


@dataclass(frozen=True, eq=False)
class Alternation:
    """A problem for the alternating updates: what is fixed, and what is aimed at."""

    p: Array
    target: Target
    decoder: Array | DecoderFamily | None = None
    marginal: Array | None = None

    @cached_property
    def fixed_cost(self) -> Array:
        """Table −log d of a fixed decoder, at [x, z]."""
        return as_log_cost(np.asarray(self.decoder))

    def slope(self, cost: Array, m: Array) -> float:
        """Return the β at which the best encoder for m and d meets the target."""
        if self.target.name == "beta":
            return self.target.value
        return TableCurve(self.p, cost, marginal=m).nearest(self.target).beta

    def decode(self, joint: Array, parameters: Array | None) -> tuple[Array, Array | None]:
        """Return −log of the best decoder for p(x) e(z|x) at [x, z], and its parameters."""
        if self.decoder is None:
            with np.errstate(divide="ignore"):
                return -np.log(conditional(joint, self.p)).T, None
        if isinstance(self.decoder, np.ndarray):
            return self.fixed_cost, None
        found = self.decoder.fit(joint, parameters)
        return -self.decoder.log_rows(found).T, found

    @cached_property
    def best(self) -> Solution | None:
        """The certified optimum for a fixed decoder, with the bound of its β."""
        if not isinstance(self.decoder, np.ndarray):
            return None
        curve = TableCurve(self.p, self.fixed_cost, marginal=self.marginal)
        return (
            curve.at(self.target.value)
            if self.target.name == "beta"
            else curve.nearest(self.target)
        )

    def bound(self, D: float, R: float, n_z: int) -> float:
        """Return what no tables allowed here can beat, at the rate or distortion reached."""
        target = self.target
        anything = target.bound(entropy(self.p), math.log(n_z), D, R)
        if self.best is None:
            return anything
        over = max(0.0, (R if target.name == "rate" else D) - target.value)
        slope = {"beta": 0.0, "rate": self.best.beta}.get(
            target.name, 1 / (self.best.beta or 1e-300)
        )
        known = target.restate(self.best).lower_bound
        return max(anything, known - (over * slope if over else 0.0))

    def missed(self, D: float, R: float) -> float:
        """Return by how much a run misses its target, which at β = ∞ is the least rate."""
        if self.target.name == "beta":
            least = 0.0 if self.best is None else self.best.R
            return R - least if self.target.value == np.inf else 0.0
        return abs(R - self.target.value) if self.target.name == "rate" else D - self.target.value

    def solution(self, run: Run, tol: float) -> Solution:
        """Return a run as it stands, with its certificate."""
        model, (D, R, _, objective) = run.model, run.rows[-1]
        gap = gap_above(self.bound(D, R, model.n_z), objective)
        status = Status.LOCAL if run.settled else Status.STOPPED
        status = Status.CERTIFIED if gap <= tol else status
        if self.missed(D, R) > MET:
            gap, status = np.inf, Status.MISSED
        tied = status is Status.CERTIFIED and self.decoder is None and self.target.value == 1
        return Solution.of_model(
            self.target,
            model,
            cost=locked(run.cost),
            D=D,
            R=R,
            status=status,
            beta=run.beta,
            objective=objective,
            lower_bound=objective - gap,
            gap=gap,
            iterations=len(run.rows),
            history=as_history(run.rows),
            note="not unique: at β = 1 the start decides" if tied else "",
            parameters=locked(np.zeros((0, 0)) if run.parameters is None else run.parameters),
        )

    def refuse_impossible(self, n_z: int) -> None:
        """Raise if no tables allowed here can meet the target, whatever the start."""
        target = self.target
        if self.decoder is None and (self.marginal is None or target.name == "distortion"):
            refuse_unreachable(target, self.p, n_z)
        elif self.marginal is not None and target.name == "rate":
            most = 0.0 - float(np.log(self.marginal[self.marginal > 0].min()))
            if target.value > most + MET:
                raise unreachable(target, np.inf, most, "this marginal")
        if isinstance(self.decoder, np.ndarray) and target.name != "beta":
            TableCurve(self.p, self.fixed_cost, marginal=self.marginal).refuse_beyond(target)


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalCurve(Curve):
    """The curve of a problem that only a local search can solve: the best of several starts."""

    convex: ClassVar[bool] = False  # mixing two solutions takes latents that it does not have
    p: Array
    decoder: Array | DecoderFamily | None
    marginal: Array | None
    n_z: int
    start: Array | str | None = None
    starts: int = 4
    rng: np.random.Generator
    tol: float = 1e-10
    max_iter: int | None = None
    callback: Callback | None = None

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the best of the starts; one of them is another solution, shaken.

        Shaken, because latents that are alike would stay so.
        """
        if start is None or beta == np.inf:
            return self._best(Target("beta", beta), [])
        shaken = start.e * copy.deepcopy(self.rng).uniform(0.5, 1.5, start.e.shape)
        return self._best(Target("beta", beta), [shaken / shaken.sum(axis=1, keepdims=True)])

    def meet(self, target: Target) -> Solution:
        """Return the best of the starts."""
        return self._best(target, [])

    def watch(self, target: Target) -> Iterator[Solution]:
        """Yield the solution after each iteration of one start, for ever."""
        run = self._runs(target, [])[0]
        while True:
            run.step()
            run.settled = run.gain(1) <= 0
            yield run.task.solution(run, self.tol)

    def _best(self, target: Target, warm: list[Array]) -> Solution:
        runs = self._runs(target, warm)
        best = race(runs, self.max_iter or 10_000, 0.01 * self.tol, self.callback)
        found = best.task.solution(best, self.tol)
        if len(runs) > 1 and found.status is Status.LOCAL:
            found = replace(found, note=f"{len(runs)} starts")
        return found

    def _runs(self, target: Target, warm: list[Array]) -> list[Run]:
        """Return a run for each start, the same ones at the same target."""
        task = Alternation(self.p, target, self.decoder, self.marginal)
        task.refuse_impossible(self.n_z)
        rng = copy.deepcopy(self.rng)  # so that every target has the same starts
        return [Run(task, e) for e in self._starts(task, rng) + warm]

    def _starts(self, task: Alternation, rng: np.random.Generator) -> list[Array]:
        """Return the encoders to start from; None is "random" for a family, else "smooth".

        Unless they are asked for by name, random ones at a β are joined by one that says
        nothing, so that no answer is worse than R = 0.
        """
        if isinstance(self.start, np.ndarray):
            return [self.start]
        flat = (
            [np.full((self.p.size, self.n_z), 1 / self.n_z)] if task.target.name == "beta" else []
        )
        if flat and task.target.value == np.inf and self.start != "smooth":
            return flat  # no other keeps R = 0 open for sure
        if self.start == "smooth" or (self.start is None and self.decoder is None):
            return [smooth_encoder(self.p, self.n_z)]
        drawn = [
            random_encoder(self.p, self.n_z, self.decoder, i, rng) for i in range(self.starts)
        ]
        return drawn if self.start == "random" else drawn + flat


def random_encoder(p: Array, n_z: int, decoder: object, i: int, rng: np.random.Generator) -> Array:
    """Draw the i-th encoder to start from: two of three in a way of the family's own, if any.

    One of these has as many seeds as latents, the other half of them, a quarter and so on.
    """
    seeded = getattr(decoder, "seeded_encoder", None)
    if seeded is None or i % 3 == 2:
        return rng.dirichlet(np.ones(n_z), size=p.size)
    seeds = max(1, n_z >> (1 + i // 3)) if i % 3 else n_z
    return np.asarray(seeded(p, n_z, seeds=seeds, rng=rng))


def race(runs: list[Run], most: int, tol: float, callback: Callback | None = None) -> Run:
    """Run all starts in turns of growing length; give up those that cannot win any more."""
    steps, done = ROUGH, 0
    while True:
        turn = min(steps if len(runs) > 1 else most, most - done)
        for run in runs:
            run.go(turn, tol, callback)
        done, best = done + turn, min(runs, key=rank)
        runs = [run for run in runs if run is best or run.promise(turn) < best.objective]
        if done >= most or all(run.settled for run in runs):
            tied = [run for run in runs if run.objective <= best.objective + TIE]
            return min(tied, key=lambda run: run.rows[-1][1])
        steps *= 2


def rank(run: Run) -> tuple[bool, float]:
    """Return what the best run is least in: a target met comes first, then the objective."""
    D, R, _, objective = run.rows[-1]
    return run.task.missed(D, R) > MET, objective
