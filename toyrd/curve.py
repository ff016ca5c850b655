"""The one idea: a target on a curve of optima gives a solution, with its certificate.

Notation: a curve has one optimum of D + βR for each β, with D rising and R falling in β. The
objective is what was minimised (D + βR at a β, D at a rate, R at a distortion); lower_bound is
what no allowed model can beat, and gap = objective − lower_bound.
"""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from .checks import Array, as_number, locked, one_of
from .model import SMALLEST, Model, Tables, as_log_cost, respond

EPS = float(np.finfo(np.float64).eps)

Span = tuple[float, float]  # least and largest

MET = 1e-10
"""How exactly a target rate or distortion is met, in nats or units of cost."""

HISTORY = np.dtype([(name, np.float64) for name in ("D", "R", "I", "objective")])

NATS = {"nats": 1.0, "bits": float(np.log(2))}
"""What one unit is in nats."""


def as_history(rows: ArrayLike) -> NDArray[np.void]:
    """Return rows of D, R, I, objective as a read-only structured array."""
    return locked(np.array(rows, np.float64, order="C").reshape(-1, 4).view(HISTORY)[:, 0])


class ConvergenceWarning(UserWarning):
    """A solver stopped before it converged; the message says what to do next."""


class Status(Enum):
    """What kind of answer a solution is."""

    CERTIFIED = "certified"
    """A global optimum: the gap is proven, and within the tolerance or at rounding."""

    SEARCHED = "searched"
    """As certified, but the lower bound was searched for and is not proven."""

    LOCAL = "local"
    """A local search came to rest; the gap bounds its error."""

    STOPPED = "stopped"
    """The cap on iterations came first; the gap bounds the error."""

    MISSED = "missed"
    """A local search came to rest away from the target."""


WORDS = {
    Status.CERTIFIED: "global optimum, certified by the gap",
    Status.SEARCHED: "global optimum as far as a search can tell, not proven",
    Status.LOCAL: "best of a local search, whose error the gap bounds",
    Status.STOPPED: "stopped too early, and the gap bounds the error",
    Status.MISSED: "local search that does not meet the target",
}


@dataclass(frozen=True)
class Target:
    """What is asked for: the optimum at a β, at a rate or at a distortion."""

    name: str
    value: float

    @classmethod
    def of(cls, **targets: float | None) -> Target:
        """Return the one target that is given, or say that there must be exactly one."""
        given = [name for name, value in targets.items() if value is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of {', '.join(targets)}; given: {found}")
        low = -np.inf if given[0] == "distortion" else 0.0
        return cls(given[0], as_number(given[0], targets[given[0]], low=low))

    def excess(self, D: float, R: float) -> float:
        """Return how far a point lies on the side of small β: above the rate, below the D."""
        return R - self.value if self.name == "rate" else self.value - D

    def objective(self, D: float, R: float) -> float:
        """Return what is minimised."""
        if self.name == "beta" and self.value < np.inf:
            return D + self.value * R
        return R if self.name == "distortion" else D

    def unreachable(self, D: Span, R: Span, given: str = "") -> ValueError:
        """Return the error for a target beyond the range of D or R."""
        low, high = R if self.name == "rate" else D
        span = f"the reachable range{given} is {low:.12g} to {high:.12g}"
        return ValueError(f"{self.name} is {self.value!r}, but {span}")

    def bound(self, H: float, most: float, D: float, R: float) -> float:
        """Return what no decoder can beat that carries at most `most` nats, from D ≥ H − I.

        D and R are those of the answer, which count where they miss the target by rounding.
        """
        most = min(H, most)
        if self.name == "beta":
            return H if self.value >= 1 else H - (1 - self.value) * most
        if self.name == "rate":
            return H - min(max(R, self.value), most)
        return max(0.0, H - max(D, self.value))

    def restate(self, found: Solution) -> Solution:
        """Return a point of a curve, which is optimal at its β, as the answer to this target.

        With D + βR ≥ F − gap: D ≥ F − gap − βR* and R ≥ (F − gap − D*)/β, whatever the β.
        Where the point falls short of its target, that of the target itself is the lower.
        """
        beta, gap = found.beta, found.gap
        short = max(0.0, self.value - (found.R if self.name == "rate" else found.D))
        priced = 0 < beta < np.inf
        if self.name == "rate" and priced:
            gap += beta * short
        if self.name == "distortion":
            gap = (gap + short) / beta if priced else found.nats
        return replace(found, target=self, objective=self.objective(found.D, found.R), gap=gap)


def gap_above(bound: float, objective: float) -> float:
    """Return what an objective is above a bound, never below 0, with room for rounding."""
    return max(0.0, objective - bound) + 4 * EPS * abs(objective)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Solution(Tables):
    """An answer: the model found, its certificate, and what kind of answer it is.

    It has what a `Model` has, `.p .e .d .m .H .I .elbo .g .e_z` and the rest; of a bare cost
    table only what needs no decoder.

    Parameters
    ----------
    target : Target
        What was asked for: ``name`` is beta, rate or distortion, ``value`` its number.
    status : Status
        Certified, searched, local, stopped or missed.
    beta : float
        Slope −dD/dR at the answer; the β asked for, if one was.
    D, R : float
        Distortion in nats, or in units of cost, and rate in nats.
    objective, gap : float
        What was minimised, and what it is at most above the least value that an allowed model
        can have: 0 to rounding for a proven optimum, ∞ for a missed target. At a β they are of
        D + βR, so that R alone is known to gap/β only.
    p, m, cost : numpy.ndarray
        Source, marginal, and cost table at [x, z], −log d(x|z) for a decoder.
    iterations : int
        Steps taken.
    note : str
        What else is to be said, such as which of several optima this is.
    history : numpy.ndarray
        One row for each iteration, with fields D, R, I and objective.
    parameters : numpy.ndarray, shape (n_z, k)
        Of the decoder's rows where it belongs to a family, such as (mean, width).

    Examples
    --------
    >>> from toyrd import solve
    >>> solution = solve([0.5, 0.5], rate=0.2)
    >>> solution.status, round(solution.H - solution.D, 10)
    (<Status.CERTIFIED: 'certified'>, 0.2)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), equations 1 to 6 and section 3.
    """

    target: Target
    status: Status
    beta: float
    D: float
    R: float
    objective: float
    gap: float
    p: Array
    m: Array
    cost: Array
    iterations: int = 0
    note: str = ""
    nats: float = np.inf
    """The certificate of a rate: what R may be above the least R at the same D."""
    history: NDArray[np.void] = field(default_factory=lambda: as_history(()))
    parameters: Array = field(default_factory=lambda: locked(np.zeros((0, 0))))
    encoder: Array | None = None
    """The encoder, where it is not the best response to cost and m."""
    decoder: Array | None = None
    """The decoder, of a bare cost None."""

    @classmethod
    def of_model(
        cls, target: Target, model: Model, status: Status, bound: float, tol: float, **fields: Any
    ) -> Solution:
        """Return a model as the answer: certified if the gap is at most tol, else of `status`."""
        found = {"p": model.p, "m": model.m, "encoder": model.e, "decoder": model.d, **fields}
        if "cost" not in found:
            found |= {"cost": as_log_cost(model.d), "D": model.D, "R": model.R}
        objective = found.setdefault("objective", target.objective(found["D"], found["R"]))
        gap = gap_above(bound, objective)
        status = Status.CERTIFIED if gap <= tol else status
        return cls(target=target, status=status, gap=gap, **found)

    def __repr__(self) -> str:
        numbers = {"beta": self.beta} | ({"H": self.H} if self.decoder is not None else {})
        numbers |= {"D": self.D, "R": self.R} | ({"I": self.I} if self.m.size <= 100 else {})
        steps = f" after {self.iterations} iterations" if self.iterations else ""
        lines = [f"{name} = {value:.10g}" for name, value in numbers.items()]
        lines += [
            f"objective = {self.objective:.10g}, lower bound = {self.lower_bound:.10g}, "
            f"gap = {self.gap:.2g}",
            f"{self.status.value}{steps}: {self.message}",
        ]
        return "Solution(\n  " + "\n  ".join(lines) + "\n)"

    @property
    def lower_bound(self) -> float:
        """What no allowed model can beat: objective − gap, or −∞ where the gap is ∞."""
        return self.objective - self.gap if self.gap < np.inf else -np.inf

    @property
    def converged(self) -> bool:
        """Whether the solver came to rest at what was asked for."""
        return self.status not in (Status.STOPPED, Status.MISSED)

    @property
    def message(self) -> str:
        """What kind of answer this is, in words; programs read `status`."""
        return "; ".join(filter(None, (WORDS[self.status], self.note)))

    @cached_property
    def e(self) -> Array:  # type: ignore[override]
        """Encoder e(z|x), by default ∝ m(z) exp(−cost(x, z)/β), shape (n_x, n_z)."""
        if self.encoder is not None:
            return self.encoder
        return locked(respond(self.cost, self.m, self.beta)[0])

    @property
    def d(self) -> Array:  # type: ignore[override]
        """Decoder d(x|z), shape (n_z, n_x)."""
        if self.decoder is None:
            raise AttributeError(
                "a bare cost table has no decoder: d, g, elbo, reconstruction, x_given_x, "
                "distortion_gap and model do not exist; D is in units of cost"
            )
        return self.decoder

    @cached_property
    def j(self) -> Array:
        """The dual, j(x) = −log Σ_z m exp(−cost/β) − D/β, or d-tilted information, shape (n_x,).

        Its mean under p is R, and its variance the dispersion; it exists where 0 < β < ∞.

        References
        ----------
        Kostina and Verdú, *Fixed-length lossy compression* (2012), definition 6.
        """
        if not 0 < self.beta < np.inf:
            raise AttributeError(
                f"j has no meaning at beta = {self.beta:g}; it takes 0 < beta < inf"
            )
        log_g = logsumexp(-self.cost / self.beta, b=self.m, axis=1)
        return locked(-log_g - self.D / self.beta)

    @cached_property
    def model(self) -> Model:
        """The tables alone, as a `Model`."""
        return Model._of(self.p, self.e, self.d, self.m)

    def to_dict(self, *, unit: str = "nats") -> dict[str, float | str]:
        """Return the numbers by name, for a line of a data frame; D of a bare cost keeps its unit.

        Parameters
        ----------
        unit : {"nats", "bits"}
            Of rates, and of the distortions of a decoder.

        Returns
        -------
        dict
            target, value, status, beta, D, R, objective, lower_bound and gap.
        """
        nat = NATS[one_of("unit", unit, tuple(NATS))]
        cost = nat if self.decoder is not None else 1.0
        sizes = {"beta": cost / nat, "D": cost, "R": nat}
        sought = {"beta": "beta", "rate": "R", "distortion": "D"}[self.target.name]
        least = sizes["R" if sought == "D" else "D"]
        sizes |= {"objective": least, "lower_bound": least, "gap": least}
        words = {"target": self.target.name, "status": self.status.value}
        numbers = {"value": self.target.value / sizes[sought]}
        numbers |= {name: getattr(self, name) / size for name, size in sizes.items()}
        return {**words, **numbers}


def family_decoder(cost: Array) -> Array:
    """Return exp(−cost) as a decoder; what underflows is above 0, as only +∞ forbids a symbol."""
    d = np.exp(-cost.T)
    return locked(np.where(np.isfinite(cost.T), np.maximum(d, SMALLEST), 0.0))


class Curve(ABC):
    """A problem for every β; it answers a β by `at`, and any other target by `meet`."""

    p: Array
    convex: ClassVar[bool] = True
    """Whether its points span a convex frontier, so that mixing two is allowed."""
    unit: str = "nats"
    """Of D; a bare cost is in its own."""

    @abstractmethod
    def at(self, beta: float, start: Solution | None = None) -> Solution:
        """Return the optimum at β, warm from another point."""

    @abstractmethod
    def meet(self, target: Target) -> Solution:
        """Return the optimum at a rate or a distortion."""

    def solve(self, target: Target) -> Solution:
        """Return the answer to a target, and warn once if it is not final."""
        return announced(self.at(target.value) if target.name == "beta" else self.meet(target))


def announced(found: Solution) -> Solution:
    """Warn if a solution did not converge; return it."""
    if found.status is Status.MISSED:
        warn(f"{found.message}: {found.target.name} = {found.target.value:g}; try another start")
    elif not found.converged:
        warn(
            f"{found.target.name} = {found.target.value:g} stopped with a gap of "
            f"{found.gap:.3g}; {found.note or 'it reached max_iter: raise max_iter or tol'}"
        )
    return found


def warn(message: str) -> None:
    """Warn at the line of the user that called the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("toyrd."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ConvergenceWarning, stacklevel=level)
