"""Search of a box of parameters: compass steps uphill, and a bound found only by looking.

Notation: θ[z] are parameters in a box, at [0] its lowest and at [1] its highest; a value is a
function of rows θ that is sought where it is high, such as c(θ) = Σ_x exp(log_weight + ℓ/β).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks import Array
from .decoders import GlobalFamily

Value = Callable[[Array], Array]

APART = 0.05
"""How far apart starts are, as a share of the box in some parameter."""

STARTS = 40
"""How many starts the search has."""


def climb(box: Array, value: Value, theta: Array, *, rounds: int = 100) -> tuple[Array, Array]:
    """Return local maxima near θ and the values there.

    A round takes, for each row, the best of the steps up and down along each parameter; where
    one gains, its next steps are twice as long, and otherwise a quarter.
    """
    low, high = box
    k = low.size
    moves = np.concatenate([np.zeros((1, k)), np.eye(k), -np.eye(k)]) * (high - low)
    size = np.full((len(theta), 1, 1), APART / 2)
    for _ in range(rounds):
        tried = np.clip(theta[:, None] + size * moves, low, high)
        values = value(tried.reshape(-1, k)).reshape(len(theta), -1)
        best = values.argmax(axis=1)
        theta = tried[np.arange(len(theta)), best]
        size *= np.where(best == 0, 0.25, 2.0)[:, None, None]
    return theta, values.max(axis=1)


def best_apart(box: Array, theta: Array, values: Array) -> Array:
    """Return, from the best on, rows that lie apart from all better ones chosen."""
    low, high = box
    place = (theta - low) / np.where(high > low, high - low, 1.0)
    chosen: list[int] = []
    left = np.argsort(-values, kind="stable")
    while left.size and len(chosen) < STARTS:
        chosen.append(int(left[0]))
        left = left[np.abs(place[left] - place[left[0]]).max(axis=1) > APART]
    return np.asarray(theta[chosen])


def searched_bound(
    family: GlobalFamily, grid: Array, log_weight: Array, beta: float, goal: float
) -> tuple[float, Array]:
    """Return the largest c found by climbing from the best of a grid, and points above 1 + goal.

    It stands in for the bound that a family does not give, and proves nothing.
    """

    def c(theta: Array) -> Array:
        return np.asarray(np.exp(log_weight + family.log_rows(theta) / beta).sum(axis=1))

    theta, values = climb(family.box, c, best_apart(family.box, grid, c(grid)))
    return float(values.max()), theta[values > 1 + goal]
