"""What a solver knows when it stops: the answer, its certificate and how it got there.

Notation: objective is what was minimised (D + βR for a β, D for a rate, R for a distortion),
lower_bound is proven for every model allowed, and gap = objective − lower_bound.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .checks import ReadOnly, locked
from .model import Model

__all__ = ["ConvergenceWarning", "Solution"]

HISTORY = np.dtype([(name, np.float64) for name in ("D", "R", "I", "objective")])


class ConvergenceWarning(UserWarning):
    """Say that a solver stopped before it converged, and what to do next."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result(ReadOnly):
    """Hold what every answer carries, whichever solver gave it."""

    beta: float
    objective: float
    lower_bound: float
    gap: float
    iterations: int
    converged: bool
    message: str
    rigorous: bool = True

    def _summary(self, **numbers: float) -> str:
        lines = [f"{name} = {value:.10g}" for name, value in numbers.items()]
        state = "converged" if self.converged else "not converged"
        if self.iterations:
            state += f" after {self.iterations} iteration{'s' * (self.iterations > 1)}"
        lines += [
            f"objective = {self.objective:.10g}, lower bound = {self.lower_bound:.10g}, "
            f"gap = {self.gap:.2g}",
            f"{state}: {self.message}",
        ]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Solution(Result):
    """Hold the model that a solver found, with its certificate.

    Parameters
    ----------
    model : Model
        The tables, with H, D, R and I.
    beta : float
        Slope −dD/dR at the answer; the β asked for, if one was.
    objective : float
        What was minimised, in nats: D + βR for a β, D for a rate, R for a distortion.
    lower_bound : float
        Proven bound on the objective of every model that was allowed.
    gap : float
        objective − lower_bound: 0 (to rounding) proves a global optimum; ∞ if a target was missed.
    iterations : int
        Steps taken.
    converged : bool
        Whether the stopping rule was met before the cap on iterations.
    message : str
        What kind of answer this is, in words.
    rigorous : bool
        Whether `lower_bound` is proven up to rounding, or was only looked for numerically.
    history : numpy.ndarray
        One row for each iteration, with fields D, R, I and objective.
    parameters : numpy.ndarray, shape (n_z, k)
        Of the decoder's rows where it belongs to a family, such as (mean, width).
    """

    model: Model
    history: NDArray[np.void]
    parameters: NDArray[np.float64] = field(default_factory=lambda: locked(np.zeros((0, 0))))

    def __repr__(self) -> str:
        model = self.model
        return self._summary(beta=self.beta, H=model.H, D=model.D, R=model.R, I=model.I)

    @property
    def D(self) -> float:
        """Distortion of the model in nats."""
        return self.model.D

    @property
    def R(self) -> float:
        """Rate of the model in nats."""
        return self.model.R

    @property
    def I(self) -> float:  # noqa: E743 - the field's own name
        """Mutual information I(X; Z) of the model in nats."""
        return self.model.I

    @property
    def e(self) -> NDArray[np.float64]:
        """Encoder of the model, shape (n_x, n_z)."""
        return self.model.e


def as_history(rows: Iterable[tuple[float, float, float, float]]) -> NDArray[np.void]:
    """Return rows of D, R, I, objective as a read-only structured array."""
    return locked(np.array(list(rows), dtype=HISTORY))


def warn_unconverged(what: str, gap: float, advice: str) -> None:
    """Warn once that `what` stopped at its cap with `gap` left."""
    warn(f"{what} stopped at max_iter with a gap of {gap:.3g}; {advice}")


def warn(message: str) -> None:
    """Warn at the line of the user that called the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("toyrd."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ConvergenceWarning, stacklevel=level)
