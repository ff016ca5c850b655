"""The sandwich of a frontier: tangents bound it from below, chords from above.

Notation: the points lie in the order of β, so R falls and D rises. The tangent at a point is
proven, D + βR ≥ L with L its lower bound; at β = ∞ it is upright, and L bounds D at rates up to
R. Neighbouring tangents meet at a corner T, and the polygon of the points is widest there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .checks import Array


@dataclass(frozen=True)
class Sandwich:
    """Hold the points of a frontier in the order of β, each β once."""

    beta: Array
    R: Array
    D: Array
    bound: Array
    convex: bool

    @classmethod
    def of(cls, beta: Array, R: Array, D: Array, bound: Array, convex: bool) -> Sandwich:
        """Sort points, and leave out what has the β of another."""
        first = np.unique(beta, return_index=True)[1]
        return cls(beta[first], R[first], D[first], bound[first], convex)

    def lower(self, rate: Array) -> Array:
        """Return the greatest lower bound on D that the tangents prove at a rate."""
        below = self._sloped(rate)
        if self.beta[-1] == np.inf:
            end = self.R[-1] if self.convex else 0.0  # a local search may end at a larger rate
            below = np.where(rate <= end, np.maximum(below, self.bound[-1]), below)
        return below

    def _sloped(self, rate: Array) -> Array:
        """Return the greatest lower bound of all tangents but an upright one."""
        below = np.full(rate.shape, -np.inf)
        with np.errstate(over="ignore"):  # at a rate beyond measure a tangent says nothing
            for beta, bound in zip(self.beta, self.bound, strict=True):
                if beta < np.inf:
                    np.maximum(below, bound - beta * rate, out=below)
        return below

    def upper(self, rate: Array) -> Array:
        """Return the least D known to be possible at a rate: chords, or steps if not convex."""
        R, D = self.reached()
        step = D[np.maximum(np.searchsorted(R, rate, side="right") - 1, 0)]
        top = np.interp(rate, R, D) if self.convex else step
        return np.where(rate < R[0], np.inf, top)

    def reached(self) -> tuple[Array, Array]:
        """Return rates, rising, each with the least D reached up to it."""
        order = np.lexsort((self.D, self.R))
        R, first = np.unique(self.R[order], return_index=True)
        return R, np.minimum.accumulate(self.D[order])[first]

    def corners(self) -> tuple[Array, Array]:
        """Return T between each point and the next, at a rate between theirs.

        Beside an upright tangent T is the limit from the right, where the bound jumps.
        """
        rise, run = np.diff(self.bound), np.diff(self.beta)
        upright = np.isinf(run)
        R = np.where(upright, self.R[1:], rise / np.where(upright, 1.0, run))
        R = np.clip(R, np.minimum(self.R[1:], self.R[:-1]), np.maximum(self.R[1:], self.R[:-1]))
        return R, self._sloped(R)

    def outline(self) -> tuple[Array, Array, Array]:
        """Return rates, rising, with both bounds, straight between them; a step is two of them."""
        rates = np.unique(np.concatenate([self.R, self.corners()[0]]))
        if self.convex:
            return rates, self._sloped(rates), self.upper(rates)
        R, D = self.reached()
        before = D[np.maximum(np.searchsorted(R, rates) - 1, 0)]
        steps = np.stack([before, self.upper(rates)], axis=1).ravel()
        rates = np.repeat(rates, 2)
        return rates, self._sloped(rates), steps

    def widths(self) -> Array:
        """Return the distance of T from the chord above it, for each chord.

        In units of the ranges of R and D, so that the unit of cost does not matter. No point of
        the frontier is further from its chord. If not convex, the distance is that in D from the
        corner of each step to the tangents below.
        """
        across, up = float(np.ptp(self.R)) or 1.0, float(np.ptp(self.D)) or 1.0
        if not self.convex:
            R, D = self.reached()
            return np.maximum(D[:-1] - self._sloped(R[1:]), 0.0) / up
        R, D = self.corners()
        height = np.maximum(self.upper(R) - D, 0.0) / up
        run, rise = np.abs(np.diff(self.R)) / across, np.diff(self.D) / up
        length = np.hypot(run, rise)
        return height * np.divide(run, length, out=np.zeros_like(run), where=length > 0)

    def slopes(self) -> Array:
        """Return the β of the chord between each point and the next, NaN where there is none."""
        run = self.R[:-1] - self.R[1:]
        rise = np.diff(self.D)
        sloped = (run > 0) & (rise > 0)
        return np.where(sloped, rise / np.where(sloped, run, 1.0), np.nan)

    def arc(self, rate: Array) -> Array:
        """Return D at a rate, on the parabolas that touch both tangents between two points."""
        R = np.minimum.accumulate(self.R)
        i = np.clip(np.searchsorted(-R, -rate), 1, R.size - 1)
        T, height = self.corners()
        t = _share(R[i - 1], T[i - 1], R[i], rate)
        return _blend(self.D[i - 1], height[i - 1], self.D[i], t)

    def arc_inverse(self, distortion: Array) -> Array:
        """Return R at a distortion, on the same parabolas."""
        D = np.maximum.accumulate(self.D)
        i = np.clip(np.searchsorted(D, distortion), 1, D.size - 1)
        T, height = self.corners()
        t = _share(D[i - 1], height[i - 1], D[i], distortion)
        return _blend(self.R[i - 1], T[i - 1], self.R[i], t)


def _share(a: Array, b: Array, c: Array, x: Array) -> Array:
    """Return the t in [0, 1] at which (1 − t)² a + 2t(1 − t) b + t² c is x; b lies between."""
    first, curve = b - a, a - 2 * b + c
    root = np.sqrt(np.maximum(first**2 + curve * (x - a), 0.0))
    below = first + np.copysign(root, c - a)
    return np.clip(np.divide(x - a, below, out=np.zeros_like(below), where=below != 0), 0.0, 1.0)


def _blend(a: Array, b: Array, c: Array, t: Array) -> Array:
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
