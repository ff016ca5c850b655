"""The solver: one choice of a curve, whatever is fixed and whatever is asked for.

Notation: with all tables free D = H − I and R = I at the best responses, so a rate R* allows
D = H − R* and no less; D + βR ≥ min(1, β) H for any tables whatever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .alternation import LocalCurve
from .checks import Array, Seed, Tell, as_cost, as_distribution
from .curve import Curve, Solution, Target
from .family import Decoder, FamilyCurve, GlobalFamily, as_decoder
from .free import FreeCurve
from .model import as_log_cost
from .table import TableCurve


def curve_for(
    p: Array,
    decoder: Decoder = None,
    cost: ArrayLike | None = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    start: ArrayLike | str | None = None,
    starts: int = 4,
    prefer: ArrayLike | None = None,
    rng: Seed = 0,
    tol: float | None = None,
    max_iter: int | None = None,
    callback: Tell | None = None,
) -> Curve:
    """Return the curve of a problem: of a table, a family, all tables free, or a local search."""
    if cost is not None and (decoder is not None or start is not None):
        raise ValueError("cost goes with neither decoder, which is the cost −log d, nor start")
    fixed = None if marginal is None else as_distribution("marginal", marginal)
    table = as_decoder(decoder, p) if cost is None else as_cost("cost", cost, p)
    first = _as_start(start, p)
    choice = None if prefer is None else as_cost("prefer", prefer, p)
    name = "decoder" if cost is None else "cost"
    tables = {name: table, "marginal": fixed, "start": first, "prefer": choice}
    width = checks.one_width(p.size, n_z, **tables)
    family = table if isinstance(table, GlobalFamily) and n_z is None and fixed is None else None
    tol = (1e-10 if family is None else 1e-8) if tol is None else tol
    tol = checks.as_number("tol", tol, low=0, open_low=True)
    cap = None if max_iter is None else checks.as_count("max_iter", max_iter)
    starts, generator = checks.as_count("starts", starts), _own_generator(rng)
    if table is None and fixed is None and start is None:
        return FreeCurve(p, width, choice, tol)
    if isinstance(table, np.ndarray) and start is None:
        price, own = (as_log_cost(table), table) if cost is None else (table, None)
        return TableCurve(p, price, decoder=own, marginal=fixed, tol=tol, max_iter=cap)
    if family is not None and start is None:
        return FamilyCurve(p, family, tol=tol, max_iter=cap)
    _refuse_bare(table)
    tell = checks.as_callback(callback)
    return LocalCurve(p, table, fixed, width, first, starts, generator, tol, cap, tell)


def solve(
    p: ArrayLike,
    *,
    beta: float | None = None,
    rate: float | None = None,
    distortion: float | None = None,
    decoder: Decoder = None,
    cost: ArrayLike | None = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    start: ArrayLike | str | None = None,
    starts: int = 4,
    prefer: ArrayLike | None = None,
    rng: Seed = 0,
    tol: float | None = None,
    max_iter: int | None = None,
    callback: Tell | None = None,
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
    target = Target.of(beta=beta, rate=rate, distortion=distortion)
    given = [table for table in (decoder, cost, marginal, start) if table is not None]
    if prefer is not None and (given or target.name == "beta"):
        raise ValueError(
            "prefer picks among optima only at a rate or distortion, where decoder, cost, "
            "marginal and start are free; leave it out"
        )
    return curve_for(
        p, decoder, cost, marginal, n_z, start, starts, prefer, rng, tol, max_iter, callback
    ).solve(target)


def alternate(
    p: ArrayLike,
    *,
    beta: float | None = None,
    rate: float | None = None,
    distortion: float | None = None,
    decoder: Decoder = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    start: ArrayLike | str | None = None,
    rng: Seed = 0,
) -> Iterator[Solution]:
    """Yield the model after each alternating update, for ever: m, then e, then d.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    beta, rate, distortion : float, optional
        Exactly one, as for `solve`.
    decoder, marginal, n_z, start, rng
        As for `solve`; one start is drawn.

    Yields
    ------
    Solution
        With status stopped, or local once an iteration has gained nothing.

    Raises
    ------
    ValueError
        If an argument breaks a rule or a target cannot be reached.
    TypeError
        If an argument is not of its kind.

    Examples
    --------
    >>> from itertools import islice, pairwise
    >>> steps = alternate([0.5, 0.3, 0.2], beta=0.5, start="random")
    >>> objectives = [step.objective for step in islice(steps, 20)]
    >>> max(after - before for before, after in pairwise(objectives)) < 1e-12
    True

    References
    ----------
    Blahut (1972); Arimoto (1972); Alemi et al., *Fixing a Broken ELBO* (2018), section 3.
    """
    p = as_distribution("p", p)
    target = Target.of(beta=beta, rate=rate, distortion=distortion)
    start = "smooth" if start is None else start
    curve = curve_for(p, decoder, None, marginal, n_z, start, starts=1, rng=rng)
    return cast(LocalCurve, curve).watch(target)


def _own_generator(rng: Seed) -> np.random.Generator:
    """Return a generator of our own; from the user's, another one each time."""
    generator = checks.as_rng(rng)
    return generator.spawn(1)[0] if generator is rng else generator


def _refuse_bare(table: object) -> None:
    """Refuse a local search over columns that are no distributions."""
    if hasattr(table, "least"):
        raise ValueError(
            f"decoder {table!r} has columns that are no distributions, which are solved for any "
            "number of latents and no marginal: leave out n_z, marginal and start"
        )


def _as_start(start: ArrayLike | str | None, p: Array) -> Array | str | None:
    """Return the name of a start, or a checked encoder."""
    if start is None or (isinstance(start, str) and start in ("smooth", "random")):
        return start
    if isinstance(start, str):
        raise ValueError(f"start is {start!r}, but must be 'smooth', 'random' or an encoder table")
    return checks.table_over("start", start, p)
