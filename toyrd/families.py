"""The alternating updates of a decoder family at a β, for tables of millions of entries.

Notation: as in `alternation`, but tables lie as log d[z, x] and joint[z, x] = p(x) e(z|x), with
one row for each latent in use, and are worked on in place: an iteration costs little more
than its logarithmic rows, one exponential and one fit, and holds three tables at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .checks import Array, locked
from .decoders import DecoderFamily
from .measures import expectation, relative_entropy_terms
from .model import SMALLEST, Model

BLOCK = 1 << 13
"""Symbols in a block, which a thread works on while it is in the cache."""

LEAST_BETA = 1e-3
"""Below it, log d / β leaves too few digits for what follows."""


@dataclass(frozen=True)
class FamilyState:
    """Hold what an iteration found: m and the old rows give e, the new rows are its best ones."""

    problem: FamilyProblem
    m: Array
    before: Array
    parameters: Array
    row: tuple[float, float, float, float]

    @property
    def objective(self) -> float:
        """What the iteration lowers, D + βR."""
        return self.row[3]

    @property
    def beta(self) -> float:
        """The β of the problem."""
        return self.problem.beta

    @cached_property
    def e(self) -> Array:
        """The encoder at [x, z], made when it is asked for."""
        live = np.flatnonzero(self.m)
        rows = self.problem.family.log_rows(self.before[live])
        e = self.problem.respond(rows, self.m[live], np.ones(rows.shape[1]))[0]
        if live.size < self.m.size:
            e, found = np.zeros((self.m.size, rows.shape[1])), e
            e[live] = found
        return locked(e).T

    def model(self) -> Model:
        """Return the tables."""
        p, e = self.problem.p, self.e.T
        d = self.problem.family.log_rows(self.parameters)
        for row, used in zip(d, e, strict=True):  # row by row, to need no third table
            # Where p e underflows, the fit did not see it, and may forbid what costs nothing.
            faint = (p > 0) & (used > 0) & ((row > -np.inf) | (p * used == 0))
            np.exp(row, out=row)
            np.maximum(row, SMALLEST, out=row, where=faint)
        return Model._of(p, e.T, d, self.m)


@dataclass(frozen=True)
class FamilyProblem:
    """State the problem: the least D + βR with decoder rows of a family."""

    p: Array
    beta: float
    family: DecoderFamily
    marginal: Array | None = None

    def states(self, e: Array, parameters: Array | None = None) -> Iterator[FamilyState]:
        """Yield the state after each iteration, for ever, from an encoder."""
        joint = (self.p[:, None] * e).T
        mass, parameters = joint.sum(axis=1), self.family.fit(joint, parameters)
        del joint, e
        rows: Array | None = None
        room = np.empty((2, 0, 0))
        while True:
            m = mass / mass.sum() if self.marginal is None else self.marginal
            live = np.flatnonzero(m)
            if rows is None or len(rows) != live.size:
                rows = self.family.log_rows(parameters[live])
                room = np.empty((2, *rows.shape))
            mass = np.zeros(m.size)
            joint, mass[live], R = self.respond(rows, m[live], self.p, room)
            rows = None
            before, parameters = parameters, parameters.copy()
            parameters[live] = self.family.fit(joint, before[live])
            rows = self.family.log_rows(parameters[live])
            D = 0.0 - expectation(joint, rows)
            waste = float(relative_entropy_terms(mass, m).sum())
            row = (D, R, max(0.0, R - waste), D + self.beta * R)
            yield FamilyState(self, m, before, parameters, row)

    def respond(
        self, rows: Array, m: Array, weight: Array, room: Array | None = None
    ) -> tuple[Array, Array, float]:
        """Return weight(x) e(z|x) for the best encoder, its sums over x, and Σ weight KL(e ‖ m).

        Both tables are made in `room`, if there is one: fresh memory costs as much as a product.
        """
        table, joint = (np.empty(rows.shape) for _ in range(2)) if room is None else room
        log_m, log_total = np.log(m), np.empty(weight.size)

        def fill(part: slice) -> None:
            exponents, masses = table[:, part], joint[:, part]
            np.divide(rows[:, part], self.beta, out=exponents)
            exponents += log_m[:, None]
            top = exponents.max(axis=0)
            lost = np.flatnonzero(top == -np.inf)  # no latent can produce x: e is m there
            top[lost] = 0
            exponents -= top
            exponents[:, lost] = log_m[:, None]
            np.exp(exponents, out=masses)
            total = masses.sum(axis=0)
            masses *= weight[part] / total
            log_total[part] = np.log(total)

        parts = [slice(k, k + BLOCK) for k in range(0, weight.size, BLOCK)]
        if len(parts) == 1:
            fill(parts[0])
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(fill, parts))  # list, so that an error is raised
        mass = joint.sum(axis=1)
        R = expectation(joint, table) - float(weight @ log_total + mass @ log_m)
        return joint, mass, max(0.0, R)
