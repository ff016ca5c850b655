"""Going downhill: what training lowers, and the optimisers that lower it.

Notation: an aim is a function of D and R, such as D + βR; a run is one row of parameters and
what became of it; a step is one gradient. Runs of Adam advance together, as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from .checks import Array
from .gradients import Gradients
from .quadratic import AppendixE

__all__ = ["OPTIMISERS", "Aim", "Plan", "Track"]

_Function = Callable[[Any, float], Any]
_PENALTIES: dict[str, tuple[_Function, _Function]] = {  # of R and R*, and its derivative
    "none": (lambda R, _: R, lambda *_: 1.0),
    "absolute": (
        lambda R, rate: (R - rate) * np.sign(R.real - rate),
        lambda R, rate: np.sign(R - rate),
    ),
    "squared": (lambda R, rate: (R - rate) ** 2, lambda R, rate: 2 * (R - rate)),
}
_MEMORY = 0.9, 0.999  # of Adam's two running means, which are kept as sums: times (1 − memory)
_EPSILON = 1e-8 / math.sqrt(1 - _MEMORY[1])  # its authors' value, in the unit of the sums
_UNIT = (1 - _MEMORY[0]) / math.sqrt(1 - _MEMORY[1])


@dataclass(frozen=True)
class Aim:
    r"""State what training lowers: D + weight · f(R).

    f(R) is R (``penalty="none"``, where the weight is β), |R − rate| (``"absolute"``, the
    paper's) or (R − rate)² (``"squared"``).

    Parameters
    ----------
    penalty : {"none", "absolute", "squared"}
        The function f.
    rate : float
        Target R*, in nats.
    weight : float
        β, or the λ of the penalty.

    Examples
    --------
    >>> Aim("absolute", rate=0.5).value(2.0, np.array([0.25, 0.5]))
    array([2.25, 2.  ])

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E: D + |R* − R|.
    """

    penalty: str
    rate: float = 0.0
    weight: float = 1.0

    def value(self, D: Any, R: Any) -> Any:
        """Return the aim's value; real or complex, scalars or arrays."""
        return D + self.weight * _PENALTIES[self.penalty][0](R, self.rate)

    def slope(self, R: Array) -> Any:
        """Return the derivative in R, 0 at the kink of |R − rate|: one number, or one for each."""
        return self.weight * _PENALTIES[self.penalty][1](R, self.rate)

    def lower_bound(self, H: float, n_z: int) -> float:
        """Bound the aim from below over all tables, from D ≥ H − I, I ≤ R, and I ≤ log n_z.

        The bound H − min(R, H, log n_z) + weight · f(R) is convex in R, so its least
        value is at an end, a kink or the stationary point of the square.

        Examples
        --------
        >>> [Aim("none", weight=beta).lower_bound(2.0, 30) for beta in (0.5, 4.0)]
        [1.0, 2.0]
        >>> Aim("absolute", rate=0.5).lower_bound(2.0, 30)  # H − R*
        1.5
        """
        most = min(H, float(np.log(n_z)))
        stationary = self.rate + 0.5 / self.weight if self.weight else 0.0
        rates = np.array([0.0, most, self.rate, np.clip(stationary, 0, most)])
        return float(self.value(H - np.minimum(rates, most), rates).min())


@dataclass(frozen=True)
class Plan:
    """Hold what the optimisers need to know; `tell` is the user's callback."""

    steps: int
    step_size: float
    every: int
    tell: Callable[[int, float], object]


@dataclass(frozen=True)
class Track:
    """Hold what became of one run."""

    best: Array
    iterations: int
    converged: bool
    message: str
    history: list[tuple[float, float, float, float]]


class _Log:
    """Keep the best iterate of each run, and the recorded steps."""

    def __init__(self, engine: Gradients, aim: Aim, start: Array) -> None:
        self.engine, self.aim = engine, aim
        self.value = np.full(len(start), np.inf)
        self.best = start.copy()
        self.rows: list[Array] = []
        self.ticks = 0
        engine.parameters[...] = start
        self.visit()
        self.record()
        if not np.isfinite(self.value).all():
            raise ValueError(
                "the objective is not finite at the start; take a smaller spread or scale"
            )

    def visit(self) -> None:
        """Evaluate the engine's parameters and keep those that are better than before."""
        self.D, self.R = self.engine.forward()
        self.now = self.aim.value(self.D, self.R)
        better = self.now < self.value
        np.fmin(self.value, self.now, out=self.value)
        np.copyto(self.best, self.engine.parameters, where=better[:, None])

    def gradient(self) -> Array:
        """Return the aim's gradient where the last visit was."""
        return self.engine.backward(self.aim.slope(self.R))

    def record(self) -> None:
        """Add a row of history for each run."""
        information = self.engine.information(self.R)
        self.rows.append(np.stack([self.D, self.R, information, self.now], axis=1))

    def tick(self, every: int) -> None:
        """Count an iteration, and record some."""
        self.ticks += 1
        if self.ticks % every == 0:
            self.record()

    def history(self, run: int) -> list[tuple[float, float, float, float]]:
        """Return the rows of one run, without those where it had overflowed."""
        rows = np.array([row[run] for row in self.rows])
        return [tuple(row) for row in rows[np.isfinite(rows).all(axis=1)].tolist()]


def _adam(family: AppendixE, aim: Aim, start: Array, plan: Plan) -> list[Track]:
    """Run Adam on all rows of `start` together."""
    engine = Gradients(family, len(start))
    log, adam = _Log(engine, aim, start), _Adam(start, plan)
    lost = np.full(len(start), plan.steps + 1)  # when a run was found to have overflowed
    for step in range(1, plan.steps + 1):
        engine.parameters -= adam.move(log.gradient(), step)
        log.visit()
        if step % plan.every and step < plan.steps:
            continue
        log.record()
        plan.tell(step, float(log.value.min()))
        gone = ~np.isfinite(log.now)
        if gone.any():
            lost[gone] = np.minimum(lost[gone], step)  # it may happen again at the same place
            adam.halt(gone)
            engine.parameters[gone] = log.best[gone]
            log.visit()  # the next gradient is wanted at the best, not where a run was lost
        if (lost <= step).all():
            break
    return [_adam_track(log, run, int(lost[run]), plan) for run in range(len(start))]


class _Adam:
    """Turn gradients into moves: Kingma and Ba's algorithm 1, with a falling step size."""

    def __init__(self, start: Array, plan: Plan) -> None:
        self.first, self.second, self.buffer = (np.zeros_like(start) for _ in range(3))
        self.size = np.full((len(start), 1), plan.step_size)
        self.steps = plan.steps

    def halt(self, runs: NDArray[np.bool_]) -> None:
        """Let some runs rest where they are."""
        self.size[runs] = self.first[runs] = self.second[runs] = 0

    def move(self, gradient: Array, step: int) -> Array:
        """Return what to subtract from the parameters at a step, counted from 1."""
        buffer = self.buffer
        self.first *= _MEMORY[0]
        self.first += gradient
        self.second *= _MEMORY[1]
        np.multiply(gradient, gradient, out=buffer)
        self.second += buffer
        np.sqrt(self.second, out=buffer)
        buffer += _EPSILON
        np.divide(self.first, buffer, out=buffer)
        unbias = math.sqrt(1 - _MEMORY[1] ** step) / (1 - _MEMORY[0] ** step)
        cooling = (1 + math.cos(math.pi * (step - 1) / self.steps)) / 2
        buffer *= self.size * (_UNIT * unbias * cooling)
        return buffer


def _adam_track(log: _Log, run: int, lost: int, plan: Plan) -> Track:
    history = log.history(run)
    rose = history[-1][3] > history[0][3] + 1e-9 * (1 + abs(history[0][3]))
    good = lost > plan.steps and not rose
    what = f"the best of {plan.steps} steps of Adam"
    if not good:
        how = "ended above its start" if lost > plan.steps else f"overflowed by step {lost}"
        what = (
            f"Adam diverged: it {how}, and this is the best iterate; "
            f"take a smaller step_size than {plan.step_size:g}"
        )
    return Track(log.best[run], min(lost, plan.steps), good, what, history)


def _lbfgs(family: AppendixE, aim: Aim, start: Array, plan: Plan) -> list[Track]:
    """Run SciPy's L-BFGS from one row of `start` after another."""
    engine, tracks, lowest = Gradients(family, 1), [], math.inf
    for row in start:
        log = _Log(engine, aim, row[None])
        tracks.append(_lbfgs_run(log, plan))
        lowest = min(lowest, float(log.value[0]))
        plan.tell(len(tracks), lowest)
    return tracks


def _lbfgs_run(log: _Log, plan: Plan) -> Track:
    def value_and_gradient(row: Array) -> tuple[float, Array]:
        log.engine.parameters[0] = row
        log.visit()
        return float(log.now[0]), log.gradient()[0].copy()

    result = minimize(
        value_and_gradient,
        log.best[0].copy(),
        jac=True,
        method="L-BFGS-B",
        callback=lambda xk: log.tick(plan.every),
        options={"maxiter": plan.steps, "maxfun": 20 * plan.steps, "ftol": 1e-12, "gtol": 1e-9},
    )
    log.record()
    how = {
        0: "met its tolerance",
        1: f"stopped at its cap of {plan.steps} steps; raise steps",
    }.get(result.status, "found no lower point along its line, as at a kink of |R* - R|")
    what = f"L-BFGS {how}, after {log.ticks} iterations"
    return Track(log.best[0].copy(), log.ticks, result.status == 0, what, log.history(0))


OPTIMISERS: dict[str, Callable[[AppendixE, Aim, Array, Plan], list[Track]]] = {
    "adam": _adam,
    "l-bfgs": _lbfgs,
}
"""By name; each takes a family, an aim, starts of shape (runs, size) and a plan."""
