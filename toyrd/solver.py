"""The solver: one function for a β, a rate or a distortion, with any table fixed or free.

Notation: with all tables free D = H − I and R = I at the best responses, so a rate R* allows
D = H − R* and no less; D + βR ≥ min(1, β) H for any tables whatever.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from .alternation import Alternation, Callback, State, settle
from .checks import (
    Array,
    as_callback,
    as_cost,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    as_table,
    frozen,
    has_shape,
)
from .convex import OPTIMUM, CostCurve, RateDistortion, answer, stated
from .decoders import DecoderFamily
from .encoders import as_log_cost, smooth_encoder
from .free import free_optimum, lower_bound, refuse_unreachable, unreachable
from .kernel import EPS
from .meeting import meet_family
from .mixing import FamilyCurve, GlobalFamily
from .model import SMALLEST, Model
from .solution import ConvergenceWarning, Solution, as_history, warn_unconverged
from .target import MET, edge, meet, one_target, sharpened

__all__ = ["solve"]

Decoder = ArrayLike | DecoderFamily | None
LOCAL, MISSED = "local search", "cannot meet"


def solve(
    p: ArrayLike,
    *,
    beta: float | None = None,
    rate: float | None = None,
    distortion: float | None = None,
    decoder: Decoder = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    start: ArrayLike | str | None = None,
    starts: int = 4,
    prefer: ArrayLike | None = None,
    rng: int | np.random.Generator = 0,
    tol: float | None = None,
    max_iter: int | None = None,
    callback: Callback | None = None,
) -> Solution:
    r"""Minimise D + βR, or D at a rate, or R at a distortion, over the tables left free.

    Without `start` the answer is the global optimum wherever theory gives one: for a fixed
    decoder and for a family such as `GaussianDecoder` by a certificate, and with all tables
    free in closed form. There β < 1 gives a lossless code, β > 1 collapse; at β = 1 every rate
    is optimal and the smooth start decides; and at a rate every encoder with I = R* is optimal,
    so that *which one is returned is a choice*: the one of least expected cost, by default
    the squared distance of x and z, or `prefer`. With `start` the alternation runs from there
    and may end in a local optimum, which the gap shows.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    beta : float, optional
        Price of a nat of rate, 0 to ∞. Exactly one of `beta`, `rate`, `distortion` is given.
    rate, distortion : float, optional
        Target in nats, met to 1e-10.
    decoder : array_like (n_z, n_x) or DecoderFamily, optional
        A table fixes the decoder, a family restricts its rows; otherwise it is free.
    marginal : array_like, shape (n_z,), optional
        Fixes the marginal; otherwise it is free.
    n_z : int, optional
        Number of latents; by default that of `decoder`, `marginal` or `start`, or else n_x. A
        family solved globally finds its own number; given one, it is solved by alternation.
    start : array_like (n_x, n_z) or {"smooth", "random"}, optional
        Encoder to start the alternation from, or the name of one. By default, where the
        alternation is all there is: random ones for a family, the smooth one otherwise.
    starts : int
        Number of random starts, of which the best answer is kept.
    prefer : array_like, shape (n_x, n_z), optional
        Cost table that picks among the optimal encoders at a rate or distortion, all tables
        being free.
    rng : int or numpy.random.Generator
        For random starts, which a family may draw in its own way (see
        `BernoulliDecoder.seeded_encoder`); by default a seed, so that answers repeat.
    tol : float, optional
        Largest gap of a certified answer, by default 1e-10, or 1e-8 for a family; the
        alternation stops when an iteration gains less than a hundredth of it.
    max_iter : int, optional
        Cap on iterations.
    callback : callable, optional
        Called as ``callback(iteration, objective)`` after each iteration of the alternation.

    Returns
    -------
    Solution
        The model with its certificate: the gap is 0 (to rounding) at a global optimum.

    Raises
    ------
    ValueError
        If an argument breaks a rule or a target cannot be reached; the range is named.
    TypeError
        If an argument is not of its kind.

    Examples
    --------
    >>> from toyrd import toy_source
    >>> solution = solve(toy_source().p, rate=0.5)
    >>> round(solution.model.R, 10), round(solution.gap, 10)
    (0.5, 0.0)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 3; Blahut (1972); Arimoto (1972).
    """
    p = as_distribution("p", p)
    name, target = one_target(beta=beta, rate=rate, distortion=distortion)
    tol = as_number("tol", default_tol(decoder) if tol is None else tol, low=0, open_low=True)
    cap = None if max_iter is None else as_count("max_iter", max_iter)
    fixed = None if marginal is None else as_distribution("marginal", marginal)
    table = as_decoder(decoder, p)
    first = _as_start(start, p)
    width = _width(p, n_z, decoder=table, marginal=fixed, start=first, prefer=prefer)
    free = start is None and table is None and fixed is None
    if prefer is not None and (name == "beta" or not free):
        raise ValueError(
            "prefer picks among optima only at a rate or distortion, where decoder, marginal "
            "and start are free; leave it out"
        )
    if free:
        return free_optimum(p, width, name, target, prefer)
    if start is None and isinstance(table, np.ndarray):
        sharp = sharpened(tol, name)
        curve = CostCurve(p, as_log_cost(table), marginal=fixed, tol=sharp, max_iter=cap)
        return from_point(answer(curve, name, target), table)
    if start is None and isinstance(table, GlobalFamily) and fixed is None and n_z is None:
        return _globally(FamilyCurve(p, table, tol=tol, max_iter=cap), name, target)
    task = Alternation(p, name, target, table, fixed)
    _refuse_unreachable(task, width)
    if first is None:
        first = "smooth" if table is None else "random"
    encoders = _encoders(task, first, width, as_count("starts", starts), as_rng(rng))
    found = [_alternate(task, e, tol, cap or 10_000, as_callback(callback)) for e in encoders]
    return _best(found)


def default_tol(decoder: Decoder) -> float:
    """Return 1e-10, or 1e-8 for a bound over a continuous family, which costs cells."""
    return 1e-8 if isinstance(decoder, GlobalFamily) else 1e-10


def _globally(curve: FamilyCurve, name: str, target: float) -> Solution:
    """Return the solution of a family, by its certificate or by D ≥ H − R, the sharper one."""
    point = curve.at(target) if name == "beta" else meet_family(curve, name, target)
    point = stated(point, name, target)
    solution = from_point(point, np.maximum(np.exp(-point.cost.T), SMALLEST))
    known = lower_bound(solution.model, name, target)
    bound = max(point.lower_bound, known)
    rigorous = point.rigorous or point.lower_bound <= known
    gap = max(0.0, point.objective - bound) + 4 * EPS * abs(point.objective)
    converged = gap <= curve.tol
    if not converged:
        warn_unconverged("the family", gap, "raise max_iter or tol")
    return replace(
        solution,
        gap=gap,
        lower_bound=point.objective - gap,
        converged=converged,
        rigorous=rigorous,
        message=family_message(converged, rigorous),
        parameters=point.parameters,
    )


def family_message(converged: bool, rigorous: bool) -> str:
    if not converged:
        return "best mixture found, whose error the gap bounds"
    how = "certified" if rigorous else "as far as a search"
    return f"global optimum over the family, {how} over its whole box of parameters"


def as_decoder(decoder: Decoder, p: Array) -> Array | DecoderFamily | None:
    if decoder is None:
        return None
    if isinstance(decoder, DecoderFamily):
        if decoder.n_x != p.size:
            raise ValueError(
                f"decoder has rows over {decoder.n_x} symbols, but p has {p.size}; "
                "make the family for as many"
            )
        return decoder
    table = as_table("decoder", decoder)
    has_shape("decoder", table, (table.shape[0], p.size))
    lost = np.flatnonzero((table == 0).all(axis=0) & (p > 0))
    if lost.size:
        raise ValueError(
            f"decoder gives symbol {lost[0]} no probability from any latent, but "
            f"p[{lost[0]}] is {p[lost[0]]}: every symbol with p > 0 needs one (D would be inf)"
        )
    return table


def _as_start(start: ArrayLike | str | None, p: Array) -> Array | str | None:
    if start is None or (isinstance(start, str) and start in ("smooth", "random")):
        return start
    if isinstance(start, str):
        raise ValueError(f"start is {start!r}, but must be 'smooth', 'random' or an encoder table")
    table = as_table("start", start)
    has_shape("start", table, (p.size, table.shape[1]))
    return table


def _width(
    p: Array,
    n_z: int | None,
    *,
    decoder: object,
    marginal: Array | None,
    start: Array | str | None,
    prefer: ArrayLike | None,
) -> int:
    """Return the one number of latents that all arguments agree on."""
    widths = {} if n_z is None else {"n_z": as_count("n_z", n_z)}
    if isinstance(decoder, np.ndarray):
        widths["decoder"] = decoder.shape[0]
    if marginal is not None:
        widths["marginal"] = marginal.size
    if isinstance(start, np.ndarray):
        widths["start"] = start.shape[1]
    if prefer is not None:
        widths["prefer"] = as_cost("prefer", prefer, p).shape[1]
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name}: {width}" for name, width in widths.items())
        raise ValueError(f"the arguments disagree on the number of latents ({listed})")
    return next(iter(widths.values()), p.size)


def _encoders(
    task: Alternation, start: Array | str, n_z: int, starts: int, rng: np.random.Generator
) -> list[Array]:
    """Return the encoders to start from."""
    if isinstance(start, np.ndarray):
        return [start]
    if start == "smooth":
        return [smooth_encoder(task.p, n_z)]
    return [random_encoder(task.p, n_z, task.decoder, rng) for _ in range(starts)]


def random_encoder(p: Array, n_z: int, decoder: object, rng: np.random.Generator) -> Array:
    """Draw an encoder to start from, in a way of the family's own if it has one."""
    seeded = getattr(decoder, "seeded_encoder", None)
    if seeded is not None:
        return np.asarray(seeded(p, n_z, rng=rng))
    return rng.dirichlet(np.ones(n_z), size=p.size)


def _best(found: Sequence[Solution]) -> Solution:
    """Return the best of several local answers, those that converged first; warn if none did."""
    best = min(found, key=lambda one: (not one.converged, one.objective))
    if MISSED in best.message:
        warnings.warn(f"{best.message}; try another start", ConvergenceWarning, stacklevel=3)
    elif not best.converged:
        advice = "raise max_iter, or try another start"
        warn_unconverged("the alternation", best.gap, advice)
    if len(found) > 1 and best.gap > 0 and best.message.startswith(LOCAL):
        return replace(best, message=f"best of {len(found)} starts of a {best.message}")
    return best


def from_point(point: RateDistortion, d: Array) -> Solution:
    return Solution(
        model=Model(point.p, point.e, d, point.m),
        beta=point.beta,
        objective=point.objective,
        lower_bound=point.lower_bound,
        gap=point.gap,
        iterations=point.iterations,
        converged=point.converged,
        message=point.message,
        rigorous=point.rigorous,
        history=point.history,
        parameters=frozen(np.zeros((0, 0))),
    )


def _refuse_unreachable(task: Alternation, n_z: int) -> None:
    """Raise if no tables that the task allows can meet its target, whatever the start."""
    if task.decoder is None and (task.marginal is None or task.name == "distortion"):
        refuse_unreachable(task.p, n_z, task.name, task.target)
    elif task.marginal is not None and task.name == "rate":
        most = -float(np.log(task.marginal[task.marginal > 0].min()))
        if task.target > most + MET:
            raise unreachable("rate", task.target, 0.0, most, "this marginal")
    if isinstance(task.decoder, np.ndarray) and task.name != "beta":
        curve = CostCurve(task.p, as_log_cost(task.decoder), marginal=task.marginal)
        edge((curve.at(0.0), curve.at(np.inf)), task.name, task.target, False)


def _best_for(task: Alternation, model: Model) -> RateDistortion:
    """Return the certified optimum for a fixed decoder, at the target or what came of it."""
    curve = CostCurve(task.p, as_log_cost(model.d), marginal=task.marginal)
    if task.name == "beta":
        return curve.at(task.target)
    reached = max(task.target, model.R if task.name == "rate" else model.D)
    return stated(meet(curve, task.name, reached, nearest=True), task.name, reached)


def _alternate(
    task: Alternation, e: Array, tol: float, cap: int, callback: Callback | None
) -> Solution:
    """Run the alternation and certify where it stopped."""
    rest = 0.01 * tol
    state, rows, converged = settle(task.states(e), tol=rest, max_iter=cap, callback=callback)
    model = task.model(state)
    objective = state.objective
    bound = lower_bound(model, task.name, task.target)
    if isinstance(state, State) and isinstance(task.decoder, np.ndarray):
        bound = max(bound, _best_for(task, model).lower_bound)
    gap = max(0.0, objective - bound) + 4 * EPS * abs(objective)
    missed = {"rate": abs(model.R - task.target), "distortion": model.D - task.target}
    message = OPTIMUM if gap <= tol else f"{LOCAL}, whose error the gap bounds"
    if missed.get(task.name, 0.0) > MET:
        converged, message = False, f"{LOCAL}, which {MISSED} the {task.name}"
    return Solution(
        model=model,
        beta=state.beta,
        objective=objective,
        lower_bound=objective - gap,
        gap=gap,
        iterations=len(rows),
        converged=converged,
        message=message,
        history=as_history(rows),
        parameters=frozen(state.parameters),
    )
