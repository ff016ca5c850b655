"""The alternating updates: a local search for any decoder, free, fixed or of a family.

Notation: one iteration is m ← e(z), then the best encoder for (d, m), then the best decoder.
At a β each step lowers D + βR or leaves it; at a rate or distortion the encoder step picks
the β that meets the target, so each step lowers D (or R) at that rate (or distortion).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from . import model
from .checks import Array, Tell, locked
from .curve import MET, Curve, Solution, Status, Target, as_history
from .family import DecoderFamily, FamilyCurve, Polish, SmoothFamily
from .free import refuse_beyond, smooth_encoder
from .model import Model, expectation, relative_entropy_terms
from .table import TableCurve

Row = tuple[float, float, float, float]

COARSE = 1e-3
"""Below this β, R is summed from the encoder: D/β leaves too few digits."""

ROUGH = 8
"""Iterations of every start before starts are compared; then twice as many each time."""

TIE = 1e-9
"""Objectives so close, in nats, count as equal; then the least rate is chosen."""

LONG, FEW = 30, 10_000
"""Iterations after which Newton's method is tried as well, and the largest table for it."""

PACE = 4.0
"""A start is given up that cannot win even with this many times its last gain."""


class Run:
    """One start at one target and how far it has come; the tables lie at [z, x] in memory."""

    def __init__(self, curve: LocalCurve, target: Target, e: Array) -> None:
        self.curve, self.p, self.target = curve, curve.p, target
        joint = e.T * self.p
        self.mass = joint.sum(axis=1)
        self.log_d, self.parameters = curve.decode(joint, None)
        self.m, self.beta = self.mass, target.value
        self.rows: list[Row] = []
        self.settled = False

    def step(self) -> None:
        """Take one iteration: marginal, encoder, decoder."""
        curve, target = self.curve, self.target
        self.m = self.mass / self.mass.sum() if curve.marginal is None else curve.marginal
        if target.name != "beta":
            self.beta = TableCurve(self.p, -self.log_d.T, marginal=self.m).nearest(target).beta
        self.before = self.log_d if self.parameters is None else self.parameters
        joint, log_g = model.encoded(self.log_d, self.m, self.beta, self.p)
        R = self._rate(joint, log_g)
        self.mass = joint.sum(axis=1)
        del self.log_d  # before there is a new one: tables may be large
        self.log_d, self.parameters = curve.decode(joint, self.parameters)
        D = 0.0 - expectation(joint, self.log_d)
        waste = float(relative_entropy_terms(self.mass, self.m).sum())
        self.rows.append((D, R, max(0.0, R - waste), target.objective(D, R)))

    def _rate(self, joint: Array, log_g: Array) -> float:
        """Return R of a new encoder, from log g where β allows."""
        p, live = self.p, self.p > 0
        made = log_g[live].min() > -np.inf  # or a symbol has no latent, and e is m there
        if not made or not COARSE <= self.beta < np.inf:
            return model.rate_of(p, self.encoder(), self.m)
        saved = expectation(joint, self.log_d) / self.beta
        return max(0.0, saved - float(p[live] @ log_g[live]))

    def encoder(self) -> Array:
        """Return e(z|x) at [x, z], which is not kept."""
        decoder, log_d = self.curve.decoder, self.before
        if self.parameters is not None and isinstance(decoder, DecoderFamily):
            log_d = decoder.log_rows(log_d)
        return model.encoded(log_d, self.m, self.beta)[0].T

    def go(self, most: int, tol: float, callback: Tell) -> None:
        """Take steps until there are so many, or one gains less than tol."""
        while len(self.rows) < most and not self.settled:
            self.step()
            callback(len(self.rows), self.objective)
            self.settled = self.gain(1) <= tol * max(1.0, abs(self.objective))

    def leap(self, callback: Tell) -> None:
        """Move a free marginal and rows by Newton's method, where updates crawl."""
        family, theta, target = self.curve.decoder, self.parameters, self.target
        small = self.m.size * self.p.size <= FEW and self.curve.marginal is None
        crawls = small and len(self.rows) >= LONG and not self.settled
        if not crawls or not isinstance(family, SmoothFamily) or theta is None:
            return
        live, other = self.mass > 0, copy.copy(self)
        m, rows = self.mass[live] / self.mass.sum(), np.clip(theta[live], *family.box)
        if target.name == "beta":
            (m, rows), _ = Polish(self.p, family, self.beta, m, rows).run(m, rows)
        else:
            curve = FamilyCurve(self.p, family)
            found = curve.followed(target, curve.over_rows(target, rows))[-1]
            m, rows = found.m, found.parameters
        other.mass, other.parameters, other.rows = 0 * self.mass, theta.copy(), [*self.rows]
        other.mass[: m.size], other.parameters[: m.size] = m, rows
        other.log_d = family.log_rows(other.parameters)
        other.step()
        if (other.missed, other.objective) < (self.missed, self.objective):
            vars(self).update(vars(other))
            callback(len(self.rows), self.objective)

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
        p, decoder, e = self.p, self.curve.decoder, self.encoder()
        if decoder is None or isinstance(decoder, np.ndarray):
            d = model.posterior(p, e) if decoder is None else decoder
            return Model._of(p, e, d, self.m)
        d = np.exp(self.log_d)
        # Where p e underflows, the fit did not see it, and may forbid what costs nothing.
        z, x = np.nonzero((d == 0) & (p > 0) & (e.T > 0))
        faint = np.isfinite(self.log_d[z, x]) | (p[x] * e[x, z] == 0)
        d[z[faint], x[faint]] = model.SMALLEST
        return Model._of(p, e, d, self.m)

    @cached_property
    def best(self) -> Solution | None:
        """The certified optimum for a fixed decoder, with the bound of its β."""
        if not isinstance(self.curve.decoder, np.ndarray):
            return None
        table, target = self.curve.table, self.target
        return table.at(target.value) if target.name == "beta" else table.nearest(target)

    @property
    def bound(self) -> float:
        """What no tables allowed here can beat, at the rate or distortion reached."""
        target, (D, R, *_) = self.target, self.rows[-1]
        anything = target.bound(model.entropy(self.p), math.log(self.m.size), D, R)
        if self.best is None:
            return anything
        known, beta = target.restate(self.best).lower_bound, self.best.beta
        over = max(0.0, (R if target.name == "rate" else D) - target.value)
        price = {"beta": 0.0, "rate": beta, "distortion": 1 / (beta or 1e-300)}[target.name]
        known -= price * over if over > 0 else 0.0
        return max(anything, known)

    @property
    def missed(self) -> bool:
        """Whether the run misses its target, which at β = ∞ is the least rate."""
        target, (D, R, *_) = self.target, self.rows[-1]
        if target.name == "beta":
            least = 0.0 if self.best is None else self.best.R
            return target.value == np.inf and R - least > MET
        return (abs(R - target.value) if target.name == "rate" else D - target.value) > MET

    def solution(self) -> Solution:
        """Return this run as it stands, with its certificate."""
        found, bound = self.as_model(), self.bound
        status = Status.LOCAL if self.settled else Status.STOPPED
        if self.missed:
            status, bound = Status.MISSED, -np.inf
        told: dict[str, Any] = {"D": self.rows[-1][0], "R": self.rows[-1][1], "beta": self.beta}
        told |= {"iterations": len(self.rows), "history": as_history(self.rows)}
        if self.parameters is not None:
            told["parameters"] = locked(self.parameters)
        told |= {"cost": locked(-self.log_d.T), "bound": bound, "tol": self.curve.tol}
        return Solution.of_model(self.target, found, status=status, **told)


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
    callback: Tell

    @cached_property
    def table(self) -> TableCurve:
        """The curve of a fixed decoder."""
        cost = model.as_log_cost(np.asarray(self.decoder))
        return TableCurve(self.p, cost, marginal=self.marginal)

    @cached_property
    def log_table(self) -> Array:
        """Log d of a fixed decoder, at [z, x]."""
        return -self.table.cost.T

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
        found, tied = best.solution(), self.decoder is None and target == Target("beta", 1)
        if found.status is Status.LOCAL and len(runs) > 1:
            return replace(found, note=f"{len(runs)} starts")
        if found.status is Status.CERTIFIED and tied:
            return replace(found, note="not unique: at β = 1 the start decides")
        return found

    def watch(self, target: Target) -> Iterator[Solution]:
        """Yield the solution after each iteration of one start, for ever."""
        run = self._runs(target)[0]
        while True:
            run.step()
            run.settled = run.gain(1) <= 0
            yield run.solution()

    def decode(self, joint: Array, parameters: Array | None) -> tuple[Array, Array | None]:
        """Return log d of the best decoder for p(x) e(z|x) at [z, x], and its parameters."""
        if isinstance(self.decoder, DecoderFamily):
            found = self.decoder.fit(joint, parameters)
            return self.decoder.log_rows(found), found
        if self.decoder is not None:
            return self.log_table, None
        with np.errstate(divide="ignore"):
            return np.log(model.conditional(joint, self.p)), None

    def refuse_impossible(self, target: Target) -> None:
        """Raise if no tables allowed here can meet a rate or distortion, whatever the start."""
        if self.decoder is None and (self.marginal is None or target.name == "distortion"):
            H = model.entropy(self.p)
            refuse_beyond(target, H, min(H, math.log(self.n_z)), f" with {self.n_z} latents")
        elif self.marginal is not None and target.name == "rate":
            most = 0.0 - float(np.log(self.marginal[self.marginal > 0].min()))
            refuse_beyond(target, np.inf, most, " with this marginal")
        if isinstance(self.decoder, np.ndarray):
            self.table.refuse_beyond(target)

    def _runs(self, target: Target, *warm: Array) -> list[Run]:
        """Return a run for each start, the same ones at the same target."""
        if target.name != "beta":
            self.refuse_impossible(target)
        return [Run(self, target, e) for e in (*self._starts(target), *warm)]

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


def race(runs: list[Run], most: int, tol: float, callback: Tell) -> Run:
    """Run all starts in turns of growing length; give up those that cannot win any more."""
    steps, done = ROUGH, 0
    while True:
        turn = min(steps if len(runs) > 1 else most, most - done)
        done += turn
        for run in runs:
            run.go(done, tol, callback)
            if done < most:
                run.leap(callback)
        best = min(runs, key=lambda run: (run.missed, run.objective))
        runs = [run for run in runs if run is best or run.promise(turn) < best.objective]
        proven = best.settled and best.objective - best.bound <= best.curve.tol
        if proven or done >= most or all(run.settled for run in runs):
            equal = [run for run in runs if run.settled is best.settled]
            tied = [run for run in equal if run.objective <= best.objective + TIE]
            return min(tied, key=lambda run: run.rows[-1][1])
        steps *= 2
