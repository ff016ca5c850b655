"""The solver: one function for a β, a rate or a distortion, with any table fixed or free.

Notation: with all tables free D = H − I and R = I at the best responses, so a rate R* allows
D = H − R* and no less; D + βR ≥ min(1, β) H for any tables whatever.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from .alternation import Alternation, Callback
from .checks import (
    Array,
    as_callback,
    as_cost,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    as_table,
    has_shape,
    one_width,
)
from .convex import CostCurve, answer, stated
from .decoders import Decoder, GlobalFamily, as_decoder
from .encoders import as_log_cost
from .free import free_optimum, lower_bound
from .kernel import gap_above
from .local import alternate, best_answer, encoders, refuse_impossible
from .meeting import meet_family
from .mixing import FamilyCurve, default_tol
from .solution import Solution, warn_unconverged
from .target import one_target, sharpened

__all__ = ["solve"]


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
        Number of random starts, of which the best answer is kept; at a β an encoder that says
        nothing is tried as well.
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
        Called as ``callback(iteration, objective)`` after each iteration of the alternation;
        with several starts the count begins anew for each.

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
    starts, generator = as_count("starts", starts), as_rng(rng)
    callback = as_callback(callback)
    fixed = None if marginal is None else as_distribution("marginal", marginal)
    table = as_decoder(decoder, p)
    first = _as_start(start, p)
    choice = None if prefer is None else as_cost("prefer", prefer, p)
    tables = {"decoder": table, "marginal": fixed, "start": first, "prefer": choice}
    width = one_width(p.size, n_z, **tables)
    free = start is None and table is None and fixed is None
    if choice is not None and (name == "beta" or not free):
        raise ValueError(
            "prefer picks among optima only at a rate or distortion, where decoder, marginal "
            "and start are free; leave it out"
        )
    if free:
        return free_optimum(p, width, name, target, choice)
    if start is None and isinstance(table, np.ndarray):
        sharp = sharpened(tol, name)
        curve = CostCurve(p, as_log_cost(table), marginal=fixed, tol=sharp, max_iter=cap)
        return answer(curve, name, target).solution(table)
    if start is None and isinstance(table, GlobalFamily) and fixed is None and n_z is None:
        return _globally(FamilyCurve(p, table, tol=tol, max_iter=cap), name, target)
    task = Alternation(p, name, target, table, fixed)
    refuse_impossible(task, width)
    firsts = encoders(task, first, width, starts, generator)
    return best_answer([alternate(task, e, tol, cap, callback) for e in firsts])


def _globally(curve: FamilyCurve, name: str, target: float) -> Solution:
    """Return the solution of a family, by its certificate or by D ≥ H − R, the sharper one."""
    point = curve.at(target) if name == "beta" else meet_family(curve, name, target)
    point = stated(point, name, target)
    known = lower_bound(point.solution().model, name, target)
    bound = max(point.lower_bound, known)
    gap = gap_above(bound, point.objective)
    if gap > curve.tol:
        warn_unconverged("the family", gap, "raise max_iter or tol")
    return replace(
        point,
        gap=gap,
        lower_bound=point.objective - gap,
        converged=gap <= curve.tol,
        rigorous=point.rigorous or point.lower_bound <= known,
    ).solution()


def _as_start(start: ArrayLike | str | None, p: Array) -> Array | str | None:
    if start is None or (isinstance(start, str) and start in ("smooth", "random")):
        return start
    if isinstance(start, str):
        raise ValueError(f"start is {start!r}, but must be 'smooth', 'random' or an encoder table")
    table = as_table("start", start)
    has_shape("start", table, (p.size, table.shape[1]))
    return table
