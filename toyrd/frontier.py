"""Frontiers: the least D for every rate, point by point, with a proof of what lies between.

Notation: a point is the optimum of D + βR for one β, so −β is the slope of the frontier there.
For a convex problem tangents bound the frontier from below and chords from above.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import (
    Array,
    ReadOnly,
    as_array,
    as_callback,
    as_cost,
    as_count,
    as_distribution,
    as_number,
    as_rng,
    locked,
    one_width,
)
from .convex import CostCurve, RateDistortion
from .curves import FreeCurve, LocalCurve
from .decoders import Decoder, GlobalFamily, as_decoder
from .encoders import as_log_cost
from .mixing import FamilyCurve, FamilyPoint, default_tol
from .sandwich import Sandwich
from .solution import warn
from .sweep import Curve, Point, Sweep, Workers, numbers, spread_over

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Frontier", "frontier"]


@dataclass(frozen=True, eq=False, repr=False)
class Frontier(ReadOnly):
    """Hold the points of a frontier; it has their number as its length, and gives each by index.

    Parameters
    ----------
    points : tuple of RateDistortion or Solution
        In the order of the β asked for. They keep marginals; an encoder is made when asked for.
    decoder : numpy.ndarray, shape (n_z, n_x), optional
        The table that turns points into solutions.
    convex : bool
        Whether chords bound the frontier from above. Where only a local search is known they
        do not, and the upper bound is a staircase: the least D reached at that rate or less.
    unit : str
        Of D: nats for a decoder.

    Examples
    --------
    The binary symmetric channel has R = log 2 − h(D):

    >>> curve = frontier([0.5, 0.5], cost=[[0, 1], [1, 0]], tolerance=1e-3)
    >>> curve[0].R, round(float(curve.rate_at(0.1)), 3)
    (0.6931471805599453, 0.368)
    >>> lower, upper = curve.bounds_at(0.368064207088)
    >>> bool(lower <= 0.1 <= upper), curve.width < 1e-3
    (True, True)
    """

    points: tuple[Point, ...]
    decoder: Array | None = field(default=None, kw_only=True)
    convex: bool = field(default=True, kw_only=True)
    unit: str = field(default="nats", kw_only=True)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> Any:
        return self._dressed(self.points[operator.index(index)])

    def __iter__(self) -> Iterator[Any]:
        return map(self._dressed, self.points)

    def _dressed(self, point: Point) -> Point:
        """Return a point as the result that it stands for."""
        if isinstance(point, FamilyPoint):
            return point.solution()
        if self.decoder is not None and isinstance(point, RateDistortion):
            return point.solution(self.decoder)
        return point

    def __repr__(self) -> str:
        proof = f"width {self.width:.3g}" if self.convex else "local: chords prove nothing"
        if not all(point.rigorous for point in self.points):
            proof += ", tangents searched for, not proven"
        done = int(self.converged.sum())
        return (
            f"Frontier({len(self)} points, {done} converged\n"
            f"  beta = {self.beta.min():.6g} to {self.beta.max():.6g}\n"
            f"  R = {self.R.min():.6g} to {self.R.max():.6g} nats\n"
            f"  D = {self.D.min():.6g} to {self.D.max():.6g} {self.unit}\n"
            f"  largest gap = {self.gap.max():.2g}, {proof}\n)"
        )

    def _numbers(self, name: str) -> Array:
        return locked(*numbers(self.points, name))

    @cached_property
    def beta(self) -> Array:
        """Prices of a nat of rate, shape (n,)."""
        return self._numbers("beta")

    @cached_property
    def D(self) -> Array:
        """Distortions, shape (n,)."""
        return self._numbers("D")

    @cached_property
    def R(self) -> Array:
        """Rates in nats, shape (n,)."""
        return self._numbers("R")

    @cached_property
    def objective(self) -> Array:
        """D + βR, or D at β = ∞, shape (n,)."""
        return self._numbers("objective")

    @cached_property
    def lower_bound(self) -> Array:
        """Proven bounds on the objectives, shape (n,)."""
        return self._numbers("lower_bound")

    @cached_property
    def gap(self) -> Array:
        """Objective − lower bound, shape (n,)."""
        return self._numbers("gap")

    @cached_property
    def converged(self) -> NDArray[np.bool_]:
        """Whether each point met its tolerance, shape (n,)."""
        return locked(np.array([one.converged for one in self.points]))

    @cached_property
    def sandwich(self) -> Sandwich:
        """The two bounds between which the frontier lies."""
        return Sandwich.of(self.beta, self.R, self.D, self.lower_bound, self.convex)

    @cached_property
    def width(self) -> float:
        """Greatest distance of a chord from the tangents below it, as a share.

        The unit is the range of R across and the range of D upwards. If not convex, it is that
        of the staircase from the tangents, in D.
        """
        return float(self.sandwich.widths().max(initial=0.0))

    @cached_property
    def outline(self) -> tuple[Array, Array, Array]:
        """Rates, rising, and the two bounds on D at each, straight between them, as for a plot.

        A rate comes twice where the upper bound steps down. Beside the upright tangent of β = ∞
        the lower bound is its limit from the right.
        """
        rates, lower, upper = map(locked, self.sandwich.outline())
        return rates, lower, upper

    @cached_property
    def reached(self) -> tuple[Array, Array]:
        """Rates, rising, and the least D reached up to each."""
        R, D = map(locked, self.sandwich.reached())
        return R, D

    def bounds_at(self, rate: ArrayLike) -> tuple[Array, Array]:
        """Bound the least D at a rate from below, by tangents, and from above, by chords.

        Parameters
        ----------
        rate : array_like
            Rates in nats, any shape.

        Returns
        -------
        lower, upper : numpy.ndarray
            In the shape of `rate`; upper is +∞ below the least rate computed.

        Raises
        ------
        ValueError
            If a rate is negative or not finite.
        """
        rates = _within("rate", rate, 0.0, np.finfo(np.float64).max, "a rate is finite")
        lower, upper = self.sandwich.lower(rates.ravel()), self.sandwich.upper(rates.ravel())
        return lower.reshape(rates.shape), upper.reshape(rates.shape)

    def distortion_at(self, rate: ArrayLike) -> Array:
        """Interpolate D at a rate, always between the two bounds.

        For a convex problem on parabolas that touch the tangents of neighbouring points;
        otherwise it is the upper bound.

        Parameters
        ----------
        rate : array_like
            Rates in nats, any shape, between the least and the largest computed.

        Returns
        -------
        numpy.ndarray
            In the shape of `rate`.

        Raises
        ------
        ValueError
            If a rate is out of range.
        """
        rates = self._covered("rate", rate, self.sandwich.R)
        flat, bounds = rates.ravel(), self.bounds_at(rates.ravel())
        arc = self.sandwich.arc(flat) if self.convex and len(self.sandwich.R) > 1 else bounds[1]
        return np.clip(arc, *bounds).reshape(rates.shape)

    def rate_at(self, distortion: ArrayLike) -> Array:
        """Interpolate R at a distortion; the inverse of `distortion_at`.

        Parameters
        ----------
        distortion : array_like
            Any shape, between the least and the largest computed.

        Returns
        -------
        numpy.ndarray
            Rates in nats, in the shape of `distortion`.

        Raises
        ------
        ValueError
            If a distortion is out of range.
        """
        wanted = self._covered("distortion", distortion, self.sandwich.D)
        if self.convex and len(self.sandwich.R) > 1:
            return self.sandwich.arc_inverse(wanted.ravel()).reshape(wanted.shape)
        R, D = self.sandwich.reached()
        return np.asarray(R[np.searchsorted(-D, -wanted)])

    def _covered(self, name: str, value: ArrayLike, computed: Array) -> Array:
        hint = "the range computed; add betas to reach further"
        return _within(name, value, float(computed.min()), float(computed.max()), hint)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the frontier, see `toyrd.plotting_frontier.plot_frontier`."""
        from .plotting_frontier import plot_frontier

        return plot_frontier(self, ax=ax, **options)


def frontier(
    p: ArrayLike,
    *,
    decoder: Decoder = None,
    cost: ArrayLike | None = None,
    marginal: ArrayLike | None = None,
    n_z: int | None = None,
    betas: ArrayLike | None = None,
    n: int = 100,
    tolerance: float = 1e-3,
    workers: Workers = 1,
    tol: float | None = None,
    max_iter: int | None = None,
    starts: int = 4,
    rng: int | np.random.Generator = 0,
    callback: Callable[..., object] | None = None,
) -> Frontier:
    r"""Compute the least D for every rate: the points that minimise D + βR for many β.

    With `betas` each is solved, from the smallest up, warm from the one before it. Without,
    points are placed where they tell most: from β = 0 and ∞ on, at the slope of each chord
    that is further than `tolerance` from its tangents (the sandwich algorithm).

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    decoder : array_like (n_z, n_x) or DecoderFamily, optional
        A table or a family such as `GaussianDecoder` is solved globally. For another family,
        or a free decoder with a fixed marginal, each point is the best of several local
        searches: its lower bound is proven, but the points need not be optimal.
    cost : array_like, shape (n_x, n_z), optional
        Any cost table instead of a decoder, as for `rate_distortion`.
    marginal : array_like, shape (n_z,), optional
        Fixes the marginal; otherwise it is free.
    n_z : int, optional
        Number of latents, where no table says it; by default n_x.
    betas : array_like, shape (n,), optional
        Prices of a nat, from 0 to ∞, in any order, repeated or not.
    n : int
        Largest number of points placed without `betas`.
    tolerance : float
        A chord this close to its tangents is left as it is, as a share of the ranges of R and D:
        in a plot no point of the frontier is further from the polygon.
    workers : int or callable
        Number of processes, −1 for one on each processor, or a map-like callable such as
        ``executor.map``. Neighbouring β go to the same worker, in chains of warm starts, so
        that a local search may end elsewhere with another number of workers.
    tol : float, optional
        Largest gap of a converged point, as for `solve`.
    max_iter : int, optional
        Cap on iterations for each β.
    starts : int
        Number of random starts for each β of a local search, besides the warm one.
    rng : int or numpy.random.Generator
        For these starts; by default a seed, so that answers repeat.
    callback : callable, optional
        Called as ``callback(done, point)`` after each point, with the number done.

    Returns
    -------
    Frontier
        Of `RateDistortion` for a cost, of `Solution` otherwise, in the order of `betas`.

    Raises
    ------
    ValueError
        If an argument breaks a rule, or both `decoder` and `cost` are given.
    TypeError
        If an argument is not of its kind; `workers` must be an integer or a callable.

    Warns
    -----
    ConvergenceWarning
        Once, if points did not converge.

    Examples
    --------
    >>> from toyrd import toy_source
    >>> toy = toy_source()
    >>> frontier(toy.p, decoder=toy.true_model().d, betas=[1, 1.5, 0.5]).R.round(6)
    array([0.5     , 0.      , 0.563256])

    References
    ----------
    Blahut (1972) for the parametric curve; Rote, *The convergence rate of the sandwich
    algorithm for approximating convex functions* (1992).
    """
    p = as_distribution("p", p)
    chosen = None if betas is None else _as_betas(betas)
    n, tolerance = as_count("n", n, low=2), as_number("tolerance", tolerance, low=0)
    tol = as_number("tol", default_tol(decoder) if tol is None else tol, low=0, open_low=True)
    cap = None if max_iter is None else as_count("max_iter", max_iter)
    starts, seed = as_count("starts", starts), int(as_rng(rng).integers(2**63))
    fixed = None if marginal is None else as_distribution("marginal", marginal)
    if cost is not None and decoder is not None:
        raise ValueError("give decoder or cost, not both: a decoder is the cost −log d(x|z)")
    table = as_decoder(decoder, p) if cost is None else as_cost("cost", cost, p)
    name = "decoder" if cost is None else "cost"
    latents = one_width(p.size, n_z, **{name: table, "marginal": fixed})
    curve: Curve
    if isinstance(table, np.ndarray):
        price = as_log_cost(table) if cost is None else table
        curve = CostCurve(p, price, marginal=fixed, tol=tol, max_iter=cap)
    elif isinstance(table, GlobalFamily) and fixed is None and n_z is None:
        curve = FamilyCurve(p, table, tol=tol, max_iter=cap)
    elif table is None and fixed is None:
        curve = FreeCurve(p, latents)
    else:
        curve = LocalCurve(p, table, fixed, latents, starts, seed, tol, cap)
    convex = not isinstance(curve, LocalCurve)
    with spread_over(workers) as (spread, size):
        sweep = Sweep(curve, convex, spread, size, as_callback(callback))
        points = sweep.placed(n, tolerance) if chosen is None else sweep.at(chosen)
    found: Frontier = Frontier(
        tuple(points),
        decoder=table if cost is None and isinstance(table, np.ndarray) else None,
        convex=convex,
        unit="nats" if cost is None else "units of cost",
    )
    _announce(found)
    return found


def _as_betas(value: ArrayLike) -> Array:
    betas = as_array("betas", value, ndim=1)
    bad = np.flatnonzero(~(betas >= 0))
    if bad.size:
        raise ValueError(f"betas[{bad[0]}] is {betas[bad[0]]}, but a β lies between 0 and inf")
    return betas


def _within(name: str, value: ArrayLike, low: float, high: float, hint: str) -> Array:
    array = as_array(name, value)
    bad = ~((array >= low) & (array <= high))
    if bad.any():
        raise ValueError(
            f"{name} is {array[bad][0]}, but must lie in [{low:.12g}, {high:.12g}], {hint}"
        )
    return array


def _announce(found: Frontier) -> None:
    """Warn once if points did not converge."""
    left = np.flatnonzero(~found.converged)
    if left.size:
        worst = left[np.argmax(found.gap[left])]
        warn(
            f"{left.size} of {len(found)} points did not converge, with a gap of "
            f"{found.gap[worst]:.3g} at beta = {found.beta[worst]:g}; raise max_iter or tol"
        )
