"""Local searches: the alternation from one start or several, and what is proven of its answer.

Notation: a task says what is fixed and what is aimed at (see `alternation`). The bound on its
objective is that of any tables whatever, or with a fixed decoder the certified optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .alternation import Alternation, Callback, settle
from .checks import Array, frozen
from .convex import OPTIMUM, CostCurve, RateDistortion, stated
from .encoders import smooth_encoder
from .free import lower_bound, refuse_unreachable, unreachable
from .kernel import gap_above
from .model import Model
from .solution import Solution, as_history, warn, warn_unconverged
from .target import MET, edge, meet

LOCAL, MISSED = "local search", "cannot meet"


def refuse_impossible(task: Alternation, n_z: int) -> None:
    """Raise if no tables that the task allows can meet its target, whatever the start."""
    if task.decoder is None and (task.marginal is None or task.name == "distortion"):
        refuse_unreachable(task.p, n_z, task.name, task.target)
    elif task.marginal is not None and task.name == "rate":
        most = 0.0 - float(np.log(task.marginal[task.marginal > 0].min()))
        if task.target > most + MET:
            raise unreachable("rate", task.target, 0.0, most, "this marginal")
    if isinstance(task.decoder, np.ndarray) and task.name != "beta":
        curve = CostCurve(task.p, task.cost, marginal=task.marginal)
        edge((curve.at(0.0), curve.at(np.inf)), task.name, task.target, False)


def encoders(
    task: Alternation, start: Array | str | None, n_z: int, starts: int, rng: np.random.Generator
) -> list[Array]:
    """Return the encoders to start from; None is "random" for a family, or else "smooth".

    Random ones at a β are joined by one that says nothing, so that no answer is worse than R = 0.
    """
    if isinstance(start, np.ndarray):
        return [start]
    flat = [np.full((task.p.size, n_z), 1 / n_z)] if task.name == "beta" else []
    if flat and task.target == np.inf and start != "smooth":
        return flat  # no other keeps R = 0 open for sure
    if start == "smooth" or (start is None and task.decoder is None):
        return [smooth_encoder(task.p, n_z)]
    return [random_encoder(task.p, n_z, task.decoder, i, rng) for i in range(starts)] + flat


def random_encoder(p: Array, n_z: int, decoder: object, i: int, rng: np.random.Generator) -> Array:
    """Draw the i-th encoder to start from, in a way of the family's own if it has one.

    Every other one has fewer seeds than latents: half, a quarter and so on.
    """
    seeded = getattr(decoder, "seeded_encoder", None)
    if seeded is not None:
        seeds = max(1, n_z >> (i + 1) // 2) if i % 2 else n_z
        return np.asarray(seeded(p, n_z, seeds=seeds, rng=rng))
    return rng.dirichlet(np.ones(n_z), size=p.size)


def alternate(
    task: Alternation, e: Array, tol: float, cap: int | None, callback: Callback | None = None
) -> Solution:
    """Run the alternation and certify where it stopped."""
    limit, rest = cap or 10_000, 0.01 * tol
    state, rows, converged = settle(task.states(e), tol=rest, max_iter=limit, callback=callback)
    model = task.model(state)
    objective = state.objective
    bound = lower_bound(model, task.name, task.target)
    least = 0.0
    if isinstance(task.decoder, np.ndarray):
        known = _best_for(task, model)
        bound, least = max(bound, known.lower_bound), known.R
    gap = gap_above(bound, objective)
    message = OPTIMUM if gap <= tol else f"{LOCAL}, whose error the gap bounds"
    if gap <= tol and task.decoder is None and (task.name, task.target) == ("beta", 1):
        message += "; not unique, as at β = 1 the start decides"
    if missed(task, model, least) > MET:
        name = "least rate" if task.name == "beta" else task.name
        gap, converged, message = np.inf, False, f"{LOCAL}, which {MISSED} the {name}"
    return Solution(
        model=model,
        beta=state.beta,
        objective=objective,
        lower_bound=objective - gap if gap < np.inf else bound,
        gap=gap,
        iterations=len(rows),
        converged=converged,
        message=message,
        history=as_history(rows),
        parameters=frozen(state.parameters),
    )


def missed(task: Alternation, model: Model, least: float) -> float:
    """Return by how much a model misses its target, which at β = ∞ is the least rate."""
    if task.name == "beta":
        return model.R - least if task.target == np.inf else 0.0
    return abs(model.R - task.target) if task.name == "rate" else model.D - task.target


def _best_for(task: Alternation, model: Model) -> RateDistortion:
    """Return the certified optimum for a fixed decoder, at the target or what came of it."""
    curve = CostCurve(task.p, task.cost, marginal=task.marginal)
    if task.name == "beta":
        return curve.at(task.target)
    reached = max(task.target, model.R if task.name == "rate" else model.D)
    return stated(meet(curve, task.name, reached, nearest=True), task.name, reached)


def best_answer(found: Sequence[Solution]) -> Solution:
    """Return the best of several local answers that met their target; warn if it is not final."""
    best = min(found, key=lambda one: (MISSED in one.message, one.objective))
    if MISSED in best.message:
        warn(f"{best.message}; try another start")
    elif not best.converged:
        advice = "raise max_iter, or try another start"
        warn_unconverged("the alternation", best.gap, advice)
    if len(found) > 1 and best.gap > 0 and best.message.startswith(LOCAL):
        return replace(best, message=f"best of {len(found)} starts of a {best.message}")
    return best
