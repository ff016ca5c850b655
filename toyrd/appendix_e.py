"""The paper's own protocol: Appendix E's small family, trained by exact gradients.

Notation: the aim of training is D + βR, or D + λ|R − R*|, or D + λ(R − R*)²; a run is one start
and what became of it, a batch is runs that advance together. Every answer is local: what is
proven is only a bound that holds for all tables, free ones too, so that the gap says at once
whether training reached the line D + R = H.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from .checks import Array, as_callback, as_count, as_number, frozen, one_of
from .quadratic import AppendixE, Gradients
from .solution import Solution, as_history, warn

__all__ = ["AppendixE", "train", "train_all"]

Tell = Callable[[int, float], object]

_FINITE = float(np.finfo(np.float64).max)
_MEMORY = 0.9, 0.999  # of Adam's two running means, which are kept as sums: times (1 − memory)
_EPSILON = 1e-8 / math.sqrt(1 - _MEMORY[1])  # its authors' value, in the unit of the sums
_UNIT = (1 - _MEMORY[0]) / math.sqrt(1 - _MEMORY[1])
_STILL = 1e-28  # squared length at which ∇R is rounding


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
        Target R*, in nats; 0 without a penalty.
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
        return D + self.slope(R) * (R - self.rate) / (2 if self.penalty == "squared" else 1)

    def slope(self, R: Any) -> Any:
        """Return the derivative in R, 0 at the kink of |R − rate|: one number, or one for each."""
        if self.penalty == "none":
            return self.weight
        away = R - self.rate
        return self.weight * (2 * away if self.penalty == "squared" else np.sign(away.real))

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
        most = min(H, math.log(n_z))
        stationary = self.rate + 0.5 / self.weight if self.weight else 0.0
        rates = np.array([0.0, most, self.rate, min(stationary, most)])
        return float(self.value(H - np.minimum(rates, most), rates).min())


class Batch:
    """Keep the best iterate of each run, and the recorded steps."""

    def __init__(self, family: AppendixE, aim: Aim, start: Array, every: int) -> None:
        self.family, self.aim, self.every = family, aim, every
        self.engine = Gradients(family, start)
        self.best, self.value = start.copy(), np.full(len(start), np.inf)
        self.rows: list[Array] = []
        self.visit()
        self.record()
        if not np.isfinite(self.value).all():
            raise ValueError("the aim is not finite at the start; take a smaller spread or scale")

    def visit(self) -> None:
        """Evaluate the engine's parameters, keep those that are best, and find the gradient."""
        self.D, self.R = self.engine.forward()
        self.now = self.aim.value(self.D, self.R)
        np.copyto(self.best, self.engine.parameters, where=(self.now < self.value)[:, None])
        np.fmin(self.value, self.now, out=self.value)
        self.gradient = self.engine.backward(self.aim.slope(self.R))

    def record(self) -> None:
        """Add a row of history for each run."""
        information = self.engine.information(self.R)
        self.rows.append(np.stack([self.D, self.R, information, self.now], axis=1))

    def multiplier(self, run: int) -> float:
        """Return the β ≥ 0 that brings ∇D + β∇R nearest to 0; 0 where R does not move."""
        engine = Gradients(self.family, self.best[[run, run]])
        engine.forward()
        of_distortion, of_both = engine.backward(np.array([0.0, 1.0]))
        of_rate = of_both - of_distortion
        square = float(of_rate @ of_rate)
        return max(0.0, -float(of_distortion @ of_rate) / square) if square > _STILL else 0.0

    def solution(self, run: int, iterations: int, converged: bool, how: str) -> Solution:
        """Return what became of a run."""
        aim, model = self.aim, self.family.model(self.best[run])
        objective = float(aim.value(model.D, model.R))
        bound = aim.lower_bound(model.H, model.n_z)
        history = np.array([rows[run] for rows in self.rows])
        finite = history[np.isfinite(history).all(axis=1)]  # not where it had overflowed
        return Solution(
            model=model,
            beta=aim.weight if aim.penalty == "none" else self.multiplier(run),
            objective=objective,
            lower_bound=bound,
            gap=max(0.0, objective - bound),  # below 0 it is rounding
            iterations=iterations,
            converged=converged,
            message=f"a local answer: {how}. The gap is to the bound for all tables",
            history=as_history(map(tuple, finite.tolist())),
            parameters=frozen(self.best[run]),
        )


def adam(batch: Batch, steps: int, step_size: float, tell: Tell) -> list[Solution]:
    """Run Kingma and Ba's algorithm 1 on all runs together, with a falling step size."""
    first, second = np.zeros_like(batch.best), np.zeros_like(batch.best)
    for step in range(1, steps + 1):
        first *= _MEMORY[0]
        first += batch.gradient
        second *= _MEMORY[1]
        second += batch.gradient * batch.gradient
        unbias = math.sqrt(1 - _MEMORY[1] ** step) / (1 - _MEMORY[0] ** step)
        size = step_size * _UNIT * unbias * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        batch.engine.parameters -= size * first / (np.sqrt(second) + _EPSILON)
        batch.visit()
        if step % batch.every == 0 or step == steps:
            batch.record()
            tell(step, float(batch.value.min()))
            if not np.isfinite(batch.now).any():
                break
    return [_adam_solution(batch, run, steps, step_size) for run in range(len(first))]


def _adam_solution(batch: Batch, run: int, steps: int, step_size: float) -> Solution:
    """Tell a run that went down from one that did not; what overflows stays not a number."""
    kept = [rows[run, 3] for rows in batch.rows if np.isfinite(rows[run, 3])]
    iterations = min(len(kept) * batch.every, steps)
    lost, rose = len(kept) < len(batch.rows), kept[-1] > kept[0] + 1e-9 * (1 + abs(kept[0]))
    if not (lost or rose):
        how = f"Adam ran its {steps} steps, which is all that converged means here"
        return batch.solution(run, iterations, True, how)
    how = f"overflowed by step {iterations}" if lost else "ended above its start"
    how += f", and this is the best iterate; take a smaller step_size than {step_size:g}"
    return batch.solution(run, iterations, False, f"Adam diverged: it {how}")


def lbfgs(batch: Batch, steps: int) -> Solution:
    """Run SciPy's L-BFGS on a batch of one run."""

    def value_and_gradient(row: Array) -> tuple[float, Array]:
        batch.engine.parameters[0] = row
        batch.visit()
        return float(batch.now[0]), batch.gradient[0].copy()

    path: list[Array] = []
    result = minimize(
        value_and_gradient,
        batch.best[0].copy(),
        jac=True,
        method="L-BFGS-B",
        callback=path.append,
        options={"maxiter": steps, "maxfun": 20 * steps, "ftol": 1e-12, "gtol": 1e-9},
    )
    for row in [*path[batch.every - 1 : -1 : batch.every], *path[-1:]]:
        value_and_gradient(row)
        batch.record()
    how = {
        0: "met its tolerance",
        1: f"stopped at its cap of {steps} steps, so raise steps",
    }.get(result.status, "found no lower point along its line, as at a kink of |R* - R|")
    return batch.solution(0, len(path), result.status == 0, f"L-BFGS {how}")


def train(p: ArrayLike, **options: Any) -> Solution:
    """Train one Appendix E model: `train_all` with one restart, whose options it takes.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    **options
        As for `train_all`: `beta` or `rate`, `rng` and so on.

    Returns
    -------
    Solution
        A local answer. ``lower_bound`` and ``gap`` are global, over all tables.

    Raises
    ------
    ValueError, TypeError
        As `train_all`.

    Examples
    --------
    >>> solution = train([0.5, 0.25, 0.25], beta=1, rng=0, steps=2000)
    >>> bool(0 <= solution.gap < 1e-3), solution.parameters.shape
    (True, (15,))
    """
    return train_all(p, 1, **options)[0]


def train_all(
    p: ArrayLike,
    restarts: int,
    *,
    beta: float | None = None,
    rate: float | None = None,
    penalty: str = "absolute",
    weight: float = 1.0,
    n_z: int | None = None,
    decoder: str = "output",
    optimiser: str = "adam",
    steps: int = 10_000,
    step_size: float | None = None,
    scale: float = 1.0,
    spread: float = 0.3,
    rng: int | np.random.Generator | None = None,
    every: int = 100,
    callback: Tell | None = None,
) -> list[Solution]:
    r"""Train Appendix E models from several starts, on all of p at every step.

    The aim is D + βR if `beta` is given, and D + λ|R − R*| if `rate` is. For the paper's λ = 1
    the latter is D + R − R* above R*: the ELBO again, indifferent along the line D + R = H. So
    an overshoot of R* is hardly taken back: small steps meet R* best. λ > 1 makes R* the only
    best rate; the square settles at R* + 1/(2λ), and is the one for L-BFGS, which gets stuck at
    the kink of the absolute value.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution, such as the frequencies of `empirical`; zeros are allowed.
    restarts : int
        Number of starts.
    beta : float
        Weight of the rate, β ≥ 0; give either this or `rate`.
    rate : float
        Target R*, in nats.
    penalty : {"absolute", "squared"}
        For a `rate`: λ|R − R*|, the paper's, or λ(R − R*)².
    weight : float
        For a `rate`: λ.
    n_z : int, optional
        Number of latents; by default n_x.
    decoder : {"output", "latent"}
        Whether the decoder's parameters belong to x or to z; see `AppendixE`.
    optimiser : {"adam", "l-bfgs"}
        Adam (Kingma and Ba, 2015) takes all restarts together as one batch; L-BFGS is SciPy's.
    steps : int
        Gradient steps of Adam, or the most iterations of L-BFGS.
    step_size : float, optional
        Of Adam, at the first step; it falls to 0 along half a cosine. By default 0.2 for a
        `beta` and 0.008 for a `rate`, which were found to reach collapse and R* on the toy.
    scale : float
        Largest input; x and z run from 0 to it.
    spread : float
        The starts are drawn from N(0, spread²).
    rng : int or numpy.random.Generator, optional
        Seed or generator of the starts.
    every : int
        A row of history is recorded every so many steps, and at the last.
    callback : callable, optional
        Called as ``callback(steps, objective)`` with each row of history of Adam, or as
        ``callback(runs, objective)`` after each run of L-BFGS; the objective is the lowest yet.

    Returns
    -------
    list of Solution
        One for each start: the best iterate that it met, with the global ``lower_bound`` of all
        tables, the ``history`` of recorded steps, and flat ``parameters`` for
        ``AppendixE(...).model``. Every answer is local, and ``converged`` promises no more: it
        tells that Adam ran its steps and did not diverge (it has no test of convergence, and
        may stand on a plateau with a large ``gap``), or that L-BFGS met its own tolerance. For
        a `rate`, ``beta`` is the multiplier β ≥ 0 that brings ∇D + β∇R nearest to 0: 0 where
        R does not move, or D rises with R, as at a run that is stuck below R*.

    Raises
    ------
    ValueError
        If `p` is not a distribution, not exactly one of `beta` and `rate` is given, a number
        is out of range, a name is not known, or a start overflows.
    TypeError
        If an argument is not of its kind.

    Warns
    -----
    ConvergenceWarning
        Once, if a run diverged or stopped short; its solution is the best iterate.

    Examples
    --------
    >>> runs = train_all([0.5, 0.25, 0.25], 3, rate=0.5, rng=0, steps=2000)
    >>> [bool(abs(run.model.R - 0.5) < 1e-2) for run in runs]
    [True, True, True]

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E; the 10,000 steps are those of
    Alemi and Fischer, *TherML* (2018). Neither states optimiser, step size or start.
    """
    aim = _aim(beta, rate, penalty, weight)
    family = AppendixE(p, n_z=n_z, decoder=decoder, scale=scale)
    start = family.start(as_count("restarts", restarts), spread=spread, rng=rng)
    one_of("optimiser", optimiser, ("adam", "l-bfgs"))
    steps, every = as_count("steps", steps), as_count("every", every)
    if step_size is None:
        step_size = 0.008 if beta is None else 0.2
    step_size = as_number("step_size", step_size, low=0, high=_FINITE, open_low=True)
    tell = as_callback(callback) or (lambda *_: None)
    with np.errstate(all="ignore"):  # a run that overflows is reported in words
        if optimiser == "adam":
            solutions = adam(Batch(family, aim, start, every), steps, step_size, tell)
        else:
            solutions = []
            for row in start:
                solutions.append(lbfgs(Batch(family, aim, row[None], every), steps))
                tell(len(solutions), min(solution.objective for solution in solutions))
    _warn(solutions)
    return solutions


def _aim(beta: float | None, rate: float | None, penalty: str, weight: float) -> Aim:
    if (beta is None) == (rate is None):
        raise ValueError("give exactly one of beta and rate")
    if beta is not None:
        return Aim("none", weight=as_number("beta", beta, low=0, high=_FINITE))
    one_of("penalty", penalty, ("absolute", "squared"))
    weight = as_number("weight", weight, low=0, high=_FINITE, open_low=True)
    return Aim(penalty, as_number("rate", rate, low=0, high=_FINITE), weight)


def _warn(runs: Sequence[Solution]) -> None:
    """Warn once of all runs that did not converge."""
    words = [run.message.split(": ", 1)[1].split(",")[0] for run in runs if not run.converged]
    if words:
        what = "; ".join(f"{n} of {len(runs)} runs: {how}" for how, n in Counter(words).items())
        advice = "Their best iterates are returned, with converged=False; see their messages"
        warn(f"{what}. {advice}")
