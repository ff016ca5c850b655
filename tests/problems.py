"""Rate-distortion problems of every awkward kind, and a family whose search misses its rows."""

import math
import multiprocessing
import os

import numpy as np
from hypothesis import strategies as st

from toyrd import GaussianDecoder, toy_source
from toyrd.testing import distributions

INF = math.inf
COSTS = np.array([0, 1, 2, 1, 0.3, 0.7, -1, 1 + 1e-8, 1e-8, 5, 0.01, 30, INF, INF])
HALF = np.array([0.5, 0.5])
BINARY = np.array([[0.0, 1.0], [1.0, 0.0]])
BERGER = np.array([[0, 1, 0.3], [1, 0, 0.3]])
ERASING = np.array([[0, INF, 0.3], [INF, 0, 0.3]])
THIRDS = np.array([0.5, 0.25, 0.25])
SHARP_ROWS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
TOY = toy_source()
H = 2.862061915729483
SQUARES = ((np.arange(30)[:, None] - np.arange(30)) / 30) ** 2

betas = st.one_of(
    st.sampled_from([1e-6, 0.01, 1.0, 100.0, 1e6]),
    st.floats(-4, 3).map(lambda power: 10.0**power),
)


@st.composite
def problems(draw, smallest=1e-12, max_size=5):
    """Draw p and a cost with ties, near-ties, duplicates and forbidden pairs, of any shape."""
    p = draw(distributions(max_size=max_size, smallest=smallest))
    n_z = draw(st.integers(1, max_size))
    raw = np.frombuffer(draw(st.binary(min_size=p.size * n_z, max_size=p.size * n_z)), np.uint8)
    cost = COSTS[raw.reshape(p.size, n_z) % COSTS.size].copy()
    if draw(st.booleans()):
        cost[:, -1] = cost[:, 0] + draw(st.sampled_from([0.0, 1e-8, 1e-15]))
    cost[np.isinf(cost).all(axis=1), raw[0] % n_z] = 1.0
    cost.flags.writeable = False
    return p, cost


def fine_rows(family, around, n=60):
    """Return a dictionary over the whole box of a family, much finer near given rows."""
    grid = np.meshgrid(*np.linspace(*family.box, n).T, indexing="ij")
    rows = [np.stack(grid, axis=-1).reshape(-1, family.box.shape[1]), around]
    rng = np.random.default_rng(0)
    for size in np.geomspace(1e-4, 0.3, 6):
        moved = around[:, None] + size * rng.normal(size=(len(around), 30, around.shape[1]))
        rows.append(np.clip(moved, *family.box).reshape(-1, around.shape[1]))
    return np.concatenate(rows)


class NeedleDecoder:
    """Uniform rows, but for a needle at one θ for each symbol that no search finds."""

    width = 1e-9

    def __init__(self, n_x=4):
        self.n_x = n_x
        self.box = np.array([[0.0], [1.0]])
        self.needles = (np.arange(n_x) + math.sqrt(0.5)) / (n_x + 1)

    def log_rows(self, theta):
        height = 50 * np.exp(-(((theta - self.needles) / self.width) ** 2))
        return height - np.logaddexp.reduce(height, axis=1, keepdims=True)

    def slopes(self, theta):
        return np.zeros((len(theta), self.n_x, 1))

    def dictionary(self):
        return np.linspace(*self.box, 41)

    def fit(self, joint, parameters):
        return np.full((len(joint), 1), 0.5)


class GeometricDecoder:
    """Rows d(x|θ) ∝ exp(θ x): a family of one's own, in a page and without a proof."""

    def __init__(self, n_x=8):
        self.n_x = n_x
        self.box = np.array([[-2.0], [2.0]])
        self.x = np.arange(n_x)

    def log_rows(self, theta):
        table = theta * self.x
        return table - np.logaddexp.reduce(table, axis=1, keepdims=True)

    def means(self, theta):
        return np.exp(self.log_rows(theta)) @ self.x

    def slopes(self, theta):
        return (self.x - self.means(theta)[:, None])[..., None]

    def dictionary(self):
        return np.linspace(*self.box, 41)

    def fit(self, joint, parameters):
        mass = joint.sum(axis=1)
        aim = np.divide(joint @ self.x, mass, out=np.full(mass.size, 1.0), where=mass > 0)
        low, high = (np.full((mass.size, 1), side.item()) for side in self.box)
        for _ in range(60):  # the mean rises with θ: bisect for the mean of the data
            middle = (low + high) / 2
            below = (self.means(middle) < aim)[:, None]
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2


def geometric_source(n_x=8):
    """Return p, a mixture of two geometric rows."""
    rows = GeometricDecoder(n_x).log_rows(np.array([[-0.9], [0.7]]))
    return np.array([0.6, 0.4]) @ np.exp(rows)


class DeadlyDecoder(GaussianDecoder):
    """Rows that kill the process that asks for them, unless it is the first."""

    def log_rows(self, parameters):
        if multiprocessing.parent_process() is not None:
            os._exit(1)
        return super().log_rows(parameters)
