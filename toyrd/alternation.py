"""The alternating updates: a local search for any decoder, free, fixed or of a family.

Notation: one iteration is m ← e(z), then the best encoder for (d, m), then the best decoder.
At a β each step lowers D + βR or leaves it; at a rate or distortion the encoder step picks
the β that meets the target, so each step lowers D (or R) at that rate (or distortion).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from . import model
from .checks import Array, locked
from .curve import MET, Curve, Solution, Status, Target, as_history, gap_above
from .family import DecoderFamily
from .free import refuse_beyond, smooth_encoder
from .model import Model, expectation, relative_entropy_terms
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


class Run:
    """One start and how far it has come; the tables lie at [z, x] in memory."""

    def __init__(self, task: Alternation, e: Array) -> None:
        self.task, self.e = task, e
        joint = e.T * task.p
        self.mass = joint.sum(axis=1)
        self.cost, self.parameters = task.decode(joint, None)
        self.m, self.beta = self.mass, task.target.value
        self.rows: list[Row] = []
        self.settled = False

    def step(self) -> None:
        """Take one iteration: marginal, encoder, decoder."""
        task = self.task
        self.m = self.mass / self.mass.sum() if task.marginal is None else task.marginal
        self.beta = task.slope(self.cost, self.m)
        self.e, log_g = model.respond(self.cost, self.m, self.beta)
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

    def as_model(self) -> Model:
        """Return the tables as they stand."""
        task, p = self.task, self.task.p
        if task.decoder is None:
            return Model._of(p, self.e, model.posterior(p, self.e), self.m)
        if isinstance(task.decoder, np.ndarray):
            return Model._of(p, self.e, task.decoder, self.m)
        d = np.exp(-self.cost.T)
        # Where p e underflows, the fit did not see it, and may forbid what costs nothing.
        faint = (d == 0) & (p > 0) & (self.e.T > 0)
        faint &= np.isfinite(self.cost.T) | (p * self.e.T == 0)
        d[faint] = model.SMALLEST
        return Model._of(p, self.e, d, self.m)


@dataclass(frozen=True, eq=False)
class Alternation:
    """A problem for the alternating updates: what is fixed, and what is aimed at."""

    p: Array
    target: Target
    decoder: Array | DecoderFamily | None = None
    marginal: Array | None = None

    @cached_property
    def table(self) -> TableCurve:
        """The curve of a fixed decoder."""
        cost = model.as_log_cost(np.asarray(self.decoder))
        return TableCurve(self.p, cost, marginal=self.marginal)

    def slope(self, cost: Array, m: Array) -> float:
        """Return the β at which the best encoder for m and d meets the target."""
        if self.target.name == "beta":
            return self.target.value
        return TableCurve(self.p, cost, marginal=m).nearest(self.target).beta

    def decode(self, joint: Array, parameters: Array | None) -> tuple[Array, Array | None]:
        """Return −log of the best decoder for p(x) e(z|x) at [x, z], and its parameters."""
        if self.decoder is None:
            with np.errstate(divide="ignore"):
                return -np.log(model.conditional(joint, self.p)).T, None
        if isinstance(self.decoder, np.ndarray):
            return self.table.cost, None
        found = self.decoder.fit(joint, parameters)
        return -self.decoder.log_rows(found).T, found

    @cached_property
    def best(self) -> Solution | None:
        """The certified optimum for a fixed decoder, with the bound of its β."""
        if not isinstance(self.decoder, np.ndarray):
            return None
        at_beta = self.target.name == "beta"
        return self.table.at(self.target.value) if at_beta else self.table.nearest(self.target)

    def bound(self, D: float, R: float, n_z: int) -> float:
        """Return what no tables allowed here can beat, at the rate or distortion reached."""
        target = self.target
        anything = target.bound(model.entropy(self.p), math.log(n_z), D, R)
        if self.best is None:
            return anything
        known, beta = target.restate(self.best).lower_bound, self.best.beta
        if target.name == "rate" and target.value < R:
            known -= beta * (R - target.value)
        if target.name == "distortion" and target.value < D:
            known -= (D - target.value) * (1 / (beta or 1e-300))
        return max(anything, known)

    def missed(self, D: float, R: float) -> float:
        """Return by how much a run misses its target, which at β = ∞ is the least rate."""
        if self.target.name == "beta":
            least = 0.0 if self.best is None else self.best.R
            return R - least if self.target.value == np.inf else 0.0
        return abs(R - self.target.value) if self.target.name == "rate" else D - self.target.value

    def solution(self, run: Run, tol: float) -> Solution:
        """Return a run as it stands, with its certificate."""
        found, (D, R, _, objective) = run.as_model(), run.rows[-1]
        gap = gap_above(self.bound(D, R, found.n_z), objective)
        status = Status.LOCAL if run.settled else Status.STOPPED
        status = Status.CERTIFIED if gap <= tol else status
        if self.missed(D, R) > MET:
            gap, status = np.inf, Status.MISSED
        tied = status is Status.CERTIFIED and self.decoder is None and self.target.value == 1
        note = "not unique: at β = 1 the start decides" if tied else ""
        theta = np.zeros((0, 0)) if run.parameters is None else run.parameters
        proof: dict[str, Any] = {"objective": objective, "lower_bound": objective - gap}
        proof |= {"gap": gap, "iterations": len(run.rows), "history": as_history(run.rows)}
        proof |= {"cost": locked(run.cost), "parameters": locked(theta), "note": note}
        return Solution.of_model(
            self.target, found, D=D, R=R, beta=run.beta, status=status, **proof
        )

    def refuse_impossible(self, n_z: int) -> None:
        """Raise if no tables allowed here can meet a rate or distortion, whatever the start."""
        target = self.target
        if self.decoder is None and (self.marginal is None or target.name == "distortion"):
            H = model.entropy(self.p)
            refuse_beyond(target, H, min(H, math.log(n_z)), f"{n_z} latents")
        elif self.marginal is not None and target.name == "rate":
            most = 0.0 - float(np.log(self.marginal[self.marginal > 0].min()))
            refuse_beyond(target, np.inf, most, "this marginal")
        if isinstance(self.decoder, np.ndarray):
            self.table.refuse_beyond(target)


@dataclass(frozen=True, eq=False)
class LocalCurve(Curve):
    """The curve of a problem that only a local search can solve: the best of several starts."""

    convex: ClassVar[bool] = False  # mixing two solutions takes latents that it does not have
    p: Array
    decoder: Array | DecoderFamily | None
    marginal: Array | None
    n_z: int
    start: Array | str | None
    starts: int
    rng: np.random.Generator
    tol: float
    max_iter: int | None
    callback: Callback | None

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the best of the starts; one of them is another solution, shaken.

        Shaken, because latents that are alike would stay so.
        """
        if start is None or beta == np.inf:
            return self.meet(Target("beta", beta))
        shaken = start.e * copy.deepcopy(self.rng).uniform(0.5, 1.5, start.e.shape)
        return self.meet(Target("beta", beta), shaken / shaken.sum(axis=1, keepdims=True))

    def meet(self, target: Target, *warm: Array) -> Solution:
        """Return the best of the starts and of these encoders."""
        runs = self._runs(target, *warm)
        best = race(runs, self.max_iter or 10_000, 0.01 * self.tol, self.callback)
        found = best.task.solution(best, self.tol)
        several = len(runs) > 1 and found.status is Status.LOCAL
        return replace(found, note=f"{len(runs)} starts") if several else found

    def watch(self, target: Target) -> Iterator[Solution]:
        """Yield the solution after each iteration of one start, for ever."""
        run = self._runs(target)[0]
        while True:
            run.step()
            run.settled = run.gain(1) <= 0
            yield run.task.solution(run, self.tol)

    def _runs(self, target: Target, *warm: Array) -> list[Run]:
        """Return a run for each start, the same ones at the same target."""
        task = Alternation(self.p, target, self.decoder, self.marginal)
        if target.name != "beta":
            task.refuse_impossible(self.n_z)
        return [Run(task, e) for e in (*self._starts(target), *warm)]

    def _starts(self, target: Target) -> list[Array]:
        """Return the encoders to start from; None is "random" for a family, else "smooth".

        Unless they are asked for by name, random ones at a β are joined by one that says
        nothing, so that no answer is worse than R = 0.
        """
        if isinstance(self.start, np.ndarray):
            return [self.start]
        flat = np.full((self.p.size, self.n_z), 1 / self.n_z)
        if target == Target("beta", np.inf) and self.start != "smooth":
            return [flat]  # no other keeps R = 0 open for sure
        if self.start == "smooth" or (self.start is None and self.decoder is None):
            return [smooth_encoder(self.p, self.n_z)]
        rng = copy.deepcopy(self.rng)  # so that every target has the same starts
        drawn = [self._random(i, rng) for i in range(self.starts)]
        return drawn if self.start == "random" or target.name != "beta" else [*drawn, flat]

    def _random(self, i: int, rng: np.random.Generator) -> Array:
        """Draw the i-th start: two of three in a way of the family's own, if any.

        One of these has as many seeds as latents, the other half of them, a quarter and so on.
        """
        seeded = getattr(self.decoder, "seeded_encoder", None)
        if seeded is None or i % 3 == 2:
            return rng.dirichlet(np.ones(self.n_z), size=self.p.size)
        seeds = max(1, self.n_z >> (1 + i // 3)) if i % 3 else self.n_z
        return np.asarray(seeded(self.p, self.n_z, seeds=seeds, rng=rng))


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
