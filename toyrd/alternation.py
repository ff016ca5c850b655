"""The alternating updates: a local search for any decoder, free, fixed or of a family.

Notation: one iteration is m ← e(z), then the best encoder for (d, m), then the best decoder.
At a β each step lowers D + βR or leaves it; at a rate or distortion the encoder step picks
the β that meets the target, so each step lowers D (or R) at that rate (or distortion).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from .checks import Array
from .convex import CostCurve
from .decoders import DecoderFamily
from .encoders import as_log_cost, respond
from .families import LEAST_BETA, FamilyProblem, FamilyState
from .measures import expectation, relative_entropy_terms
from .model import Model, conditional, posterior
from .target import meet, objective_for

Row = tuple[float, float, float, float]
Callback = Callable[[int, float], object]


@dataclass(frozen=True)
class State:
    """Hold the tables after an iteration; cost is −log d at [x, z]."""

    e: Array
    m: Array
    cost: Array
    parameters: Array
    beta: float
    row: Row

    @property
    def objective(self) -> float:
        """What the iteration lowers."""
        return self.row[3]


AnyState = State | FamilyState


@dataclass(frozen=True)
class Alternation:
    """State a problem for the alternating updates: what is fixed, and what is aimed at."""

    p: Array
    name: str
    target: float
    decoder: Array | DecoderFamily | None = None
    marginal: Array | None = None

    @cached_property
    def cost(self) -> Array:
        """Table −log d of a fixed decoder, at [x, z]."""
        return as_log_cost(np.asarray(self.decoder))

    def states(self, e: Array, parameters: Array | None = None) -> Iterator[AnyState]:
        """Yield the state after each iteration, for ever, from an encoder."""
        large = self.name == "beta" and LEAST_BETA <= self.target < np.inf
        if large and isinstance(self.decoder, DecoderFamily):
            problem = FamilyProblem(self.p, self.target, self.decoder, self.marginal)
            return problem.states(e, parameters)
        return self._states(e, parameters)

    def _states(self, e: Array, parameters: Array | None) -> Iterator[State]:
        cost, found = self._decode(self.p[:, None] * e, parameters)
        while True:
            m = self.p @ e if self.marginal is None else self.marginal
            m = m / m.sum() if self.marginal is None else m
            e, R, beta = self._encode(cost, m)
            joint = self.p[:, None] * e
            cost, found = self._decode(joint, found)
            D = expectation(joint, cost)
            waste = float(relative_entropy_terms(joint.sum(axis=0), m).sum())
            row = (D, R, max(0.0, R - waste), objective_for(self.name, self.target, D, R))
            yield State(e, m, cost, found, beta, row)

    def _encode(self, cost: Array, m: Array) -> tuple[Array, float, float]:
        """Return the best encoder for m and d with its rate, at the β that meets the target."""
        beta = self.target
        if self.name != "beta":
            beta = meet(CostCurve(self.p, cost, marginal=m), self.name, beta, nearest=True).beta
        e, log_g = respond(cost, m, beta)
        alive = self.p > 0
        if 0 < beta < np.inf:
            floor = cost.min(axis=1, where=m > 0, initial=np.inf)
            above = cost[alive] - floor[alive, None]
            spent = expectation(self.p[alive, None] * e[alive], above) / beta
            return e, max(0.0, -float(self.p[alive] @ log_g[alive]) - spent), beta
        terms = relative_entropy_terms(e[alive], m).sum(axis=1)
        return e, max(0.0, float(self.p[alive] @ terms)), beta

    def _decode(self, joint: Array, parameters: Array | None) -> tuple[Array, Array]:
        """Return −log of the best decoder for p(x) e(z|x), with its parameters if it has any."""
        nothing = np.zeros((0, 0))
        if self.decoder is None:
            return as_log_cost(conditional(joint.T, self.p)), nothing
        if isinstance(self.decoder, np.ndarray):
            return self.cost, nothing
        found = self.decoder.fit(joint.T, parameters)
        return np.ascontiguousarray(-self.decoder.log_rows(found).T), found

    def model(self, state: AnyState) -> Model:
        """Return the tables of a state as a model."""
        if isinstance(state, FamilyState):
            return state.model()
        if isinstance(self.decoder, np.ndarray):
            return Model(self.p, state.e, self.decoder, state.m)
        d = posterior(self.p, state.e) if self.decoder is None else np.exp(-state.cost.T)
        return Model(self.p, state.e, d, state.m)


def settle(
    states: Iterator[AnyState],
    *,
    tol: float,
    max_iter: int,
    bound: float = -np.inf,
    callback: Callback | None = None,
) -> tuple[AnyState, list[Row], bool]:
    """Run until an iteration gains less than `tol` or meets the bound; return the last state."""
    rows: list[Row] = []
    for state in islice(states, max_iter):
        rows.append(state.row)
        if callback is not None:
            callback(len(rows), state.objective)
        gain = rows[-2][3] - rows[-1][3] if len(rows) > 1 else np.inf
        scale = max(1.0, abs(state.objective))
        done = gain <= tol * scale or state.objective - bound <= 4e-16 * scale
        if done:
            break
    return state, rows, bool(done)
