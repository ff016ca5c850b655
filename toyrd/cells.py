"""A proven bound on c for families whose log rows are concave, over cells of their box.

Notation: c(θ) = Σ_x w exp(ℓ_θ/β) with w = exp(log_weight); ends[:, 0] are the lowest and
ends[:, 1] the highest θ of each cell. ℓ lies below its tangent T = ℓ₀ + slopes · move at the
centre. What is convex in the move, such as exp T or T − ℓ, is largest at a corner of the cell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import product
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import Array, as_array, has_shape

__all__ = ["Bound", "ConcaveRows"]

MOST = 25_000_000
"""How many values of tangents at corners the bound may look at: some seconds of work."""

DEEPEST = 200
"""How often all cells may be cut: smaller ones than that are below rounding."""

STARTS, STEPS = 40, 2000
"""From how many rows c is climbed, and in how many steps, at the most."""

LEAST, SHARE, PACE = 1e-14, 1e-3, 1000.0
"""An ascent goes on while a step gains more in log c than LEAST and than a SHARE of it, and so
much that PACE such steps would bring c to 1."""

CUTS = 2
"""Cuts of a cell in two before its parts are bounded: a round costs as much as 100 cells."""

LARGE = 1e300
"""Below minus it a logarithm counts as that."""


class Bound(NamedTuple):
    """An upper bound on c over a family, rows with c > 1 + goal, and whether it is proven."""

    top: float
    rows: Array
    proven: bool


class Fitted(Protocol):
    """What an ascent of c asks of a family."""

    def log_rows(self, parameters: Array, /) -> Array: ...
    def fit(self, joint: Array, parameters: Array | None, /) -> Array: ...


class Cells(NamedTuple):
    """Cells, centres, ℓ₀ there, how T varies along each θ, T − ℓ₀ at the corners, max T − ℓ."""

    ends: Array
    centre: Array
    log_d: Array
    spread: Array
    moves: Array
    kappa: Array


class ConcaveRows(ABC):
    r"""A family whose log rows are concave in θ, so that its bound on c is proven.

    .. math:: ℓ_θ(x) ≤ ℓ_{θ_0}(x) + ∂ℓ_{θ_0}(x) · \text{move}(θ_0, θ)

    A family of one's own has `box`, `log_rows` and `slopes`, and inherits `bound`. It says
    ``sums_to_one = True`` if its rows are distributions, which makes the bound sharp near β = 1.
    Where ℓ is concave in other coordinates η(θ), `move` is η(θ) − η(θ₀) times the inverse of
    η'(θ₀), with η affine in each parameter, or in a rising or falling function of it.

    Notes
    -----
    The proof holds up to rounding, about 1e-13. With more than three parameters the cells mostly
    run out before the bound is sharp; it is a bound all the same.

    Examples
    --------
    A coin, x = 0 or 1, of log-odds θ, and the largest 0.6 d(0|θ) + 0.9 d(1|θ):

    >>> class Coin(ConcaveRows):
    ...     box = np.array([[-2.0], [2.0]])
    ...     sums_to_one = True
    ...
    ...     def log_rows(self, parameters):
    ...         return parameters * [0, 1] - np.log1p(np.exp(parameters))
    ...
    ...     def slopes(self, parameters):
    ...         return ([0, 1] - 1 / (1 + np.exp(-parameters)))[..., None]
    >>> top, rows, proven = Coin().bound(np.log([0.6, 0.9]), beta=1.0, goal=-0.13)
    >>> round(top, 3), len(rows), proven
    (0.865, 0, True)
    """

    box: Array
    """Lowest and highest parameters, shape (2, k)."""

    sums_to_one = False
    """Whether rows are distributions."""

    @abstractmethod
    def log_rows(self, parameters: Array) -> Array:
        """Return ℓ, shape (n_z, n_x), for parameters of shape (n_z, k)."""

    @abstractmethod
    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of ℓ in the parameters, shape (n_z, n_x, k)."""

    def move(self, origin: Array, parameters: Array) -> Array:
        """Return how far parameters lie from an origin, in coordinates in which ℓ is concave."""
        return parameters - origin

    def _middle(self, low: Array, high: Array) -> Array:
        """Return the centres of cells."""
        return np.asarray((low + high) / 2)

    def bound(self, log_weight: Array, beta: float, goal: float) -> Bound:
        """Bound c over the box: to 1 + goal, or to about twice what some row is above that.

        Parameters
        ----------
        log_weight : numpy.ndarray, shape (n_x,)
            Logarithms of the weights of c = Σ exp(log_weight + ℓ/β); −∞ leaves a symbol out.
        beta : float
            Price of a nat, above 0.
        goal : float
            What c may be above 1.

        Returns
        -------
        Bound
            Where neither is known when the cells run out, `top` is above 1 + goal, and `rows`
            is empty: more columns would not help.
        """
        cells, looked, top, rows = self._cells(self.box[None]), 0, -1.0, list[Array]()
        enough = goal
        while True:
            upper, value = self._bounds(cells, log_weight, beta, goal)
            looked += max(cells.moves.size, MOST // DEEPEST)
            rows.append(cells.centre[value > goal])
            enough = max(enough, 2 * float(value.max()) - goal)
            above = upper > enough
            if not above.any():
                return Bound(1 + max(top, float(upper.max())), np.concatenate(rows), True)
            if looked > MOST:
                return Bound(1 + max(top, float(upper.max())), self.box[:0], True)
            top = max(top, float(upper.max(where=~above, initial=-1.0)))
            cells = Cells(*(part[above] for part in cells))
            cells = self._cells(self._parts(cells, log_weight, beta))

    def _cells(self, ends: Array) -> Cells:
        centre = self._middle(ends[:, 0], ends[:, 1])
        n, k = centre.shape
        log_d, slopes = self.log_rows(centre), self.slopes(centre)
        corners = ends[:, list(product((0, 1), repeat=k)), np.arange(k)]
        flat = corners.reshape(-1, k)
        way = self.move(np.repeat(centre, 2**k, axis=0), flat).reshape(n, -1, k)
        moves = way @ slopes.swapaxes(1, 2)
        kappa = np.zeros_like(log_d)
        if self.sums_to_one:
            few, place = np.unique(flat, axis=0, return_inverse=True)  # neighbours share corners
            below = self.log_rows(few)[place].reshape(moves.shape)
            kappa = np.maximum(0.0, (log_d[:, None] + moves - below).max(axis=1))
        spread = np.abs(slopes) * np.ptp(way, axis=1, keepdims=True)
        return Cells(ends, centre, log_d, spread, moves, kappa)

    def _parts(self, cells: Cells, log_weight: Array, beta: float) -> Array:
        """Return cells cut again and again, across the parameter along which c varies most."""
        exponents = log_weight + (cells.log_d + cells.moves.max(axis=1)) / beta
        with np.errstate(invalid="ignore"):  # where all are infinite, any cut is as good
            share = np.nan_to_num(np.exp(exponents - exponents.max(axis=1, keepdims=True)))
        ends, spread = cells.ends, (share[:, None] @ cells.spread)[:, 0]
        for _ in range(CUTS):
            axis, every = spread.argmax(axis=1), np.arange(len(spread))
            low, high = ends.copy(), ends.copy()
            middle = self._middle(ends[:, 0], ends[:, 1])[every, axis]
            low[every, 1, axis] = high[every, 0, axis] = middle
            spread[every, axis] /= 2
            ends, spread = np.concatenate([low, high]), np.concatenate([spread, spread])
        return ends

    def _bounds(
        self, cells: Cells, log_weight: Array, beta: float, goal: float
    ) -> tuple[Array, Array]:
        """Return for each cell an upper bound on c − 1, and c − 1 at its centre."""
        with np.errstate(over="ignore", invalid="ignore"):
            power = np.exp(log_weight + cells.log_d / beta)
            exponents = log_weight + (cells.log_d[:, None] + cells.moves) / beta
            upper = np.exp(exponents).sum(axis=2).max(axis=1) - 1
            upper[np.isnan(upper)] = np.inf
            if not self.sums_to_one:
                return upper, power.sum(axis=1) - 1
            above = np.flatnonzero(upper > goal)
            finer = _taylor(Cells(*(part[above] for part in cells)), log_weight, beta)
            upper[above] = np.fmin(upper[above], finer)
            return upper, (power - np.exp(cells.log_d)).sum(axis=1)


def _taylor(cells: Cells, log_weight: Array, beta: float) -> Array:
    r"""Return an upper bound on c − 1 that is sharp near β = 1, for rows that sum to 1.

    Then c − 1 = Σ f(ℓ) with f(ℓ) = w exp(ℓ/β) − exp(ℓ), which is small term by term. ℓ lies
    below T by κ at the most. Taylor's theorem in T, and the mean value theorem from T to ℓ, give

    .. math:: c - 1 ≤ Σ f(ℓ_0) + f'(ℓ_0) (T - ℓ_0) + ½ (T - ℓ_0)^2 \max f'' + κ \max(-f')

    with the maxima over T − κ to T, but at least 0, and the linear part largest at a corner.
    """
    s, log_d, moves, kappa = 1 / beta, cells.log_d, cells.moves, cells.kappa
    row, power = np.exp(log_d), np.exp(log_weight + s * log_d)
    linear = (moves * (s * power - row)[:, None]).sum(axis=2).max(axis=1)
    top, bottom = log_d + moves.max(axis=1), log_d + moves.min(axis=1) - kappa
    ends = (s - 1) * bottom, (s - 1) * top
    falling = -np.expm1(log_weight + np.log(s) + np.minimum(*ends))  # −f' / exp ℓ
    bending = np.expm1(log_weight + 2 * np.log(s) + np.maximum(*ends))  # f'' / exp ℓ
    rest = kappa * np.maximum(falling, 0)
    rest += 0.5 * (moves**2).max(axis=1) * np.maximum(bending, 0)
    return np.asarray((power - row).sum(axis=1) + linear + (np.exp(top) * rest).sum(axis=1))


def as_masses(joint: ArrayLike, n_x: int) -> Array:
    """Return joint masses p(x) e(z|x), checked."""
    table = as_array("joint", joint, ndim=2)
    has_shape("joint", table, (len(table), n_x))
    if not (table.min() >= 0 and 0 < table.sum() < np.inf):
        raise ValueError("joint must hold masses p(x) e(z|x): finite, not negative, not all 0")
    return table


def searched(
    family: Fitted,
    starts: Array,
    log_weight: Array,
    beta: float,
    goal: float,
    *,
    most: int = STARTS,
) -> Bound:
    """Return the largest c that an ascent finds from the best starts: a bound without proof."""
    first = starts[np.argsort(-_log_terms(family, starts, log_weight, beta)[1], kind="stable")]
    theta, log_c = ascend(family, first[:most], log_weight, beta)
    best = np.argsort(-log_c, kind="stable")
    best = best[_distinct(np.exp(family.log_rows(theta[best])))]
    with np.errstate(over="ignore"):
        top = float(np.exp(log_c.max()))
    return Bound(top, theta[best[log_c[best] > np.log1p(goal)]], False)


def ascend(family: Fitted, theta: Array, log_weight: Array, beta: float) -> tuple[Array, Array]:
    r"""Return rows near local maxima of c, uphill from θ, and log c there.

    θ ← fit(q) with q ∝ w exp(ℓ/β) never lowers c, as by Jensen's inequality

    .. math:: \log c(θ') ≥ \log c(θ) + Σ q (ℓ_{θ'} - ℓ_θ) / β.

    A row stops where it gains too little; of rows that meet on the way, one goes on, and the
    others get log c = −∞.
    """
    theta, log_c = theta.copy(), np.full(len(theta), -np.inf)
    live, steps = np.arange(len(theta)), 0
    while True:
        q, now = _log_terms(family, theta[live], log_weight, beta)
        with np.errstate(invalid="ignore"):
            gain, log_c[live] = now - log_c[live], now
        worth = gain > np.maximum(LEAST, SHARE * now)
        rising = np.flatnonzero(worth & (now + PACE * gain > 0))
        if steps % 10 == 9:  # rows that have met go on as one
            kept = _distinct(q[rising])
            log_c[live[np.delete(rising, kept)]] = -np.inf
            rising = rising[kept]
        live, steps = live[rising], steps + 1
        if not live.size or steps == STEPS:
            return theta, log_c
        theta[live] = family.fit(q[rising], theta[live])


def _distinct(rows: Array) -> NDArray[np.intp]:
    """Return the places of rows that differ by more than rounding to 3 digits, in order."""
    return np.sort(np.unique(rows.round(3), axis=0, return_index=True)[1])


def _log_terms(
    family: Fitted, theta: Array, log_weight: Array, beta: float
) -> tuple[Array, Array]:
    """Return the terms of c, to scale, and log c."""
    exponents = log_weight + family.log_rows(theta) / beta
    top = np.maximum(exponents.max(axis=1), -LARGE)
    terms = np.exp(exponents - top[:, None])
    with np.errstate(divide="ignore"):
        return terms, np.asarray(top + np.log(terms.sum(axis=1)))
