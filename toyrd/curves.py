"""Curves beside `CostCurve` and `FamilyCurve`: all tables free, or a family searched locally.

Notation: each solves one problem for each β. With all tables free the frontier is convex, so
tangents and chords bound it; where only a local search is known chords do not, as mixing two
solutions takes latents that the search does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .alternation import Alternation
from .checks import Array
from .decoders import DecoderFamily
from .free import free_optimum
from .local import alternate, encoders
from .solution import Solution


@dataclass(frozen=True)
class FreeCurve:
    """All tables free: a closed form."""

    p: Array
    n_z: int

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the optimum at β."""
        return free_optimum(self.p, self.n_z, "beta", beta, None)


@dataclass(frozen=True)
class LocalCurve:
    """Alternate from several starts at each β; the best is kept, and its gap is what it is."""

    p: Array
    decoder: DecoderFamily | None
    marginal: Array | None
    n_z: int
    starts: int
    seed: int
    tol: float
    max_iter: int | None

    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the best of a warm start and some drawn anew, the same at the same β."""
        rng = np.random.default_rng([self.seed, int(np.float64(beta).view(np.uint64))])
        task = Alternation(self.p, "beta", beta, self.decoder, self.marginal)
        starts = encoders(task, "random", self.n_z, self.starts, rng)
        if start is not None and beta < np.inf:
            starts.append(np.asarray(start.model.e))
        found = (alternate(task, e, self.tol, self.max_iter) for e in starts)
        return min(found, key=lambda one: one.objective)
