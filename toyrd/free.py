"""All tables free: the closed-form optimum, the choice among optima, and the global bound.

Notation: at the best responses D = H − I and R = I, so D + βR = H + (β − 1) I; for any tables
D ≥ H − I and I ≤ R, H, log n_z. Where every encoder of one rate is optimal, the one returned
has the least expected cost.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from .checks import Array
from .convex import CostCurve
from .encoders import sharpest_encoder, smooth_encoder, squared_distance
from .kernel import gap_above
from .measures import entropy, mutual_information
from .model import Model, best_decoder, best_marginal
from .solution import Solution, as_history
from .target import MET, meet, objective_for


def free_optimum(p: Array, n_z: int, name: str, target: float, prefer: Array | None) -> Solution:
    """Return the closed-form optimum with all tables free."""
    H = entropy(p)
    if name == "beta":
        e, message = _free_at(p, n_z, target)
        return _certified(p, e, name, target, target, message)
    sharp = sharpest_encoder(p, n_z)
    most = mutual_information(p[:, None] * sharp) if n_z < p.size else H
    aim = target if name == "rate" else H - target
    if aim > most + MET:
        split = ", split as evenly as was found," if n_z < p.size else ""
        raise unreachable(name, target, H, most, f"{n_z} latents{split}")
    e, message = _tie_break(p, min(max(aim, 0.0), most), sharp, prefer)
    if aim < 0:
        message = "global optimum: the target is slack, no rate is needed"
    return _certified(p, e, name, target, 1.0, message)


def refuse_unreachable(p: Array, n_z: int, name: str, target: float) -> None:
    """Raise if no tables with n_z latents and a free marginal can meet a target."""
    H = entropy(p)
    most = min(H, float(np.log(n_z)))
    if name != "beta" and (target if name == "rate" else H - target) > most + MET:
        raise unreachable(name, target, H, most, f"{n_z} latents")


def unreachable(name: str, target: float, H: float, most: float, what: str) -> ValueError:
    """Return the error for a target that asks for more information than `most`."""
    low, high = (0.0, most) if name == "rate" else (H - most, H)
    return ValueError(
        f"{name} is {target!r}, but the range reachable with {what} is {low:.12g} to {high:.12g}"
    )


def _free_at(p: Array, n_z: int, beta: float) -> tuple[Array, str]:
    if beta < 1:
        message = "global optimum: a lossless code, as for every β < 1"
        if n_z < p.size:
            message = "a split of the symbols into n_z groups, whose error the gap bounds"
        return sharpest_encoder(p, n_z), message
    if beta > 1:
        e = np.zeros((p.size, n_z))
        e[:, 0] = 1
        return e, "global optimum: collapse, as for every β > 1"
    return smooth_encoder(p, n_z), (
        "global optimum, not unique: at β = 1 every rate is optimal, and the smooth start decides"
    )


def _tie_break(p: Array, rate: float, sharp: Array, prefer: Array | None) -> tuple[Array, str]:
    """Return the encoder with I = rate of least expected cost, or one beyond its range."""
    n_z = sharp.shape[1]
    cost = squared_distance(p.size, n_z) if prefer is None else prefer
    curve = CostCurve(p, cost, tol=1e-13)
    finest = curve.at(0.0)
    chosen = "squared distance" if prefer is None else "the cost preferred"
    message = f"global optimum, not unique: of those at this rate, the least {chosen}"
    if rate > finest.R:
        message = "global optimum, not unique: this rate is above what the preferred cost asks for"
    point = meet(curve, "rate", min(rate, finest.R))
    return _with_information(p, point.e, sharp, rate), message


def _with_information(p: Array, e: Array, sharp: Array, rate: float) -> Array:
    """Return e moved to I = rate exactly, towards the sharp encoder or towards one that is deaf.

    Where costs tie but for rounding, β is so small that the rate of m says little of I.
    """
    missing = rate - mutual_information(p[:, None] * e)
    if abs(missing) <= 1e-13:
        return e
    other = sharp if missing > 0 else np.tile(p @ e / p.sum(), (p.size, 1))

    def excess(share: float) -> float:
        return mutual_information(p[:, None] * _blend(e, other, share)) - rate

    share = brentq(excess, 0.0, 1.0, xtol=1e-16) if excess(1.0) * missing > 0 else 1.0
    return _blend(e, other, float(share))


def _blend(first: Array, second: Array, share: float) -> Array:
    return (1 - share) * first + share * second


def _certified(
    p: Array, e: Array, name: str, target: float, beta: float, message: str
) -> Solution:
    """Return the solution of an encoder with its best responses, and the global bound."""
    m = best_marginal(p, e)
    model = Model(p, e, best_decoder(p, e), m / m.sum())
    row = (model.D, model.R, model.I, objective_for(name, target, model.D, model.R))
    bound = lower_bound(model, name, target)
    gap = gap_above(bound, row[3])
    return Solution(
        model=model,
        beta=beta,
        objective=row[3],
        lower_bound=row[3] - gap,
        gap=gap,
        iterations=0,
        converged=True,
        message=message,
        history=as_history([]),
    )


def lower_bound(model: Model, name: str, target: float) -> float:
    """Return what no tables of this size can beat, from D ≥ H − I and I ≤ R, H, log n_z.

    At a target the model's own number counts where it is the larger, so that missing the
    target by rounding is no gain.
    """
    most = min(model.H, float(np.log(model.n_z)))
    if name == "beta":
        return model.H if target >= 1 else model.H - (1 - target) * most
    if name == "rate":
        return model.H - min(max(model.R, target), most)
    return max(0.0, model.H - max(model.D, target))
