"""The public cases: id, problem, what is asked for, tolerance, and the right values at each.

`test_cases` proves them and ``examples/benchmark_kernel.py`` times them.
"""

import math

import numpy as np
from scipy.stats import binom, norm

BITS = 1 / math.log(2)
HALF = [0.5, 0.5]


def gaussian(x, width=1.0):
    """Return p ∝ the normal density at x, and squared error."""
    p = norm.pdf(x, 0, width)
    return p / p.sum(), (x[:, None] - x) ** 2


def hamming(p):
    return p, 1 - np.eye(len(p))


def many_letters():
    return hamming(gaussian(np.linspace(-5, 5, 1000))[0])


def mid_points():
    return gaussian(-8 + 0.08 + 0.16 * np.arange(100))


def counts():
    k = np.arange(13)
    p = binom.pmf(k, 12, 0.15)
    return p / p.sum(), (k[:, None] - np.linspace(0, 12, 257)) ** 2


def spike_trains(T=8, q=0.15, tau=3.0):
    """Return words of T bits, and the squared van Rossum distance of two, per bit."""
    words = ((np.arange(2**T)[:, None] >> np.arange(T)) & 1).astype(float)
    ones = words.sum(axis=1)
    trace, filtered = np.zeros(2**T), np.zeros_like(words)
    for t in range(T):
        trace = (1 - 1 / tau) * trace + words[:, t] / tau
        filtered[:, t] = trace
    square = (filtered**2).sum(axis=1)
    cost = np.maximum(square[:, None] + square - 2 * filtered @ filtered.T, 0) / T
    np.fill_diagonal(cost, 0)
    return q**ones * (1 - q) ** (T - ones), cost


def mixture_weights(likelihood, counted=(1, 1)):
    """Return the problem whose m at β = 1 is the maximum-likelihood mixture."""
    n = np.asarray(counted, dtype=float)
    with np.errstate(divide="ignore"):
        return n / n.sum(), -np.log(likelihood)


def binomial_mixture():
    v = np.linspace(1e-4, 1 - 1e-4, 300)
    likelihood = binom.pmf(np.arange(1, 10)[:, None], 9, (v[1:] + v[:-1]) / 2)
    return mixture_weights(likelihood, [3, 13, 18, 48, 47, 67, 54, 51, 19])


def cut_gaussian():
    x = np.arange(15)
    a = np.exp(-((x - 4) ** 2) / 8.0)
    a[a < 1e-3] = 0
    return a / a.sum(), (x[:, None] - x) ** 2 / 14.0**2


E = 1e-8
LINE = np.abs(np.arange(3.0)[:, None] - np.arange(3))
SQUARE = (np.arange(4)[:, None] - np.arange(4.0)) ** 2
RETURNING = (
    [0.45, 0.05, 0.05, 0.45],
    np.array([[0, 1, 1, 2], [1, 0, 2.5e-3, 1], [1, 1.25e-3, 0, 1], [2, 1, 1, 0]]),
)
JUMPING = [0.45, 0.1, 0.45], np.column_stack([LINE, np.full(3, 0.9)])
PAIRED = [0.1, 0.2, 0.3, 0.4], np.kron(1 - np.eye(2), np.ones((2, 2)))
SHIFT = np.array([5, -2, 1.0])
SEVEN = [[0, 3, 4], [3, 0, 7], [4, 7, 0], [0, 3, 4], [13, 16, 9], [6, 9, 2], [0, 3, 4.0]]

CASES = [
    ("B01", hamming([0.75, 0.25]), "beta", 1e-12,
     {1e6: {"D": 0.25, "R": 0, "m": [1, 0], "objective": 0.25}}),
    ("B02", hamming([0.6, 0.4]), "beta", 1e-12, {1 / 0.3: {"D": 0.4, "R": 0}}),
    ("B04", many_letters(), "beta", 1e-12, {1e-10: {"D": 0, "R": 6.023100403931605}}),
    ("B05", hamming([0.7, 0.3]), "distortion", 1e-12, {0.1: {"R": 0.28578132866344524}}),
    ("B06", hamming([0.7, 0.3]), "distortion", 1e-9, {0.0: {"R": 0.6108643020548935}}),
    ("B08", ([0.25] * 4, SQUARE), "distortion", 1e-10,
     {0.5: {"R": 0.44073035332187377}, 1: {"R": 0.10627554677960886}, 2: {"R": 0, "D": 1.5},
      3: {"R": 0, "D": 1.5}}),
    ("B09", hamming([0.6, 0.4]), "distortion", 1e-10,
     {0.0: {"R": 0.6730116670092564}, 0.1: {"R": 0.34792869361780815},
      0.2: {"R": 0.17260924347106854}, 0.3: {"R": 0.06214736495436287}, 0.4: {"R": 0}}),
    ("B10", gaussian(np.linspace(-2, 2, 10)), "distortion", 1e-10,
     {0.1: {"R": 1.0556392756772657}, 0.5: {"R": 0.2586540349020152},
      1: {"R": 0, "D": 0.8979512131024039}, 2: {"R": 0}}),
    ("B12", RETURNING, "beta", 1e-12,
     {0.002: {"D": 5.4253397412292016e-05, "R": 0.952557840758256, "support": [0, 1, 2, 3]},
      0.1: {"D": 0.000112669158878462, "R": 0.9483635483485454, "support": [0, 1, 3]},
      1.0: {"D": 0.3145652596398116, "R": 0.29503199292546395, "support": [0, 3]},
      4.0: {"D": 0.7897032093863446, "R": 0.02468326511427496, "support": [0, 1, 3]}}),
    ("B13", JUMPING, "distortion", 1e-6,
     {0.87: {"R": 0.006091064679, "beta": 4.51656882}, 0.9: {"R": 0, "D": 0.9}}),
    ("B15", hamming([0.7, 0.3]), "beta", 1e-12,
     {2.0: {"D": 0.3, "R": 0, "m": [1, 0]},
      1 / 0.86: {"m": [1 - 0.006564309074532056, 0.006564309074532056]}}),
    ("B16", ([1.0], [[0.0, 1.0]]), "beta", 1e-12, {1.0: {"D": 0, "R": 0}}),
    ("B16b", (HALF, [[0.0, 0.5], [1.0, 0.0]]), "beta", 1e-12,
     {1.0: {"D": 0.24553649888556037, "R": 0.004379503122703771}}),
    ("B17", gaussian(np.linspace(-10, 10, 100), 3), "distortion", 1e-9,
     {1.0: {"R": 1.093465563413866, "beta": 2.000520743086601, "letters": 20}}),
    ("B19", mid_points(), "distortion", 5e-9,
     {0.1: {"R": 1.151292546497}, 0.3: {"R": 0.601986402163}, 0.5: {"R": 0.3465735902799},
      0.7: {"R": 0.17833747196933}, 0.9: {"R": 0.05268025782888}}),
    ("B20", counts(), "distortion", 1e-10,
     {0.01: {"R": 1.5262165172138973}, 0.5: {"R": 0.5245815516981639},
      1.0: {"R": 0.190341860546449}, 9.0: {"R": 0, "D": 1.5303515624999995}}),
    ("B20e", counts(), "beta", 1e-10, {0: {"R": 2.290482054756456 / BITS}}),
    ("B21", spike_trains(), "beta", 1e-9,
     {0.005: {"D": 0.003290399358907767, "R": 2.5303592416098324},
      0.02: {"D": 0.02358050427406397, "R": 0.3104695887747283}}),
    ("B21d", spike_trains(), "distortion", 1e-9,
     {0.01: {"R": 1.466562720044578, "beta": 0.00784338786246061},
      1: {"D": 0.03326151854284093, "R": 0}}),
    ("B23", gaussian(np.linspace(-6, 6, 241)), "beta", 2e-8,
     {0.5: {"D": 0.2499999998346221, "R": 0.6931471489424215, "objective": 0.5965735743058328}}),
    ("B27", mixture_weights([[0.0, 0.7], [2e-9, 1.0]]), "beta", 1e-12,
     {1: {"m": [0, 1], "objective": 0.17833747196936622}}),
    ("B28-1", mixture_weights([[1, 1, E], [1, 2, 1]]), "beta", 1e-12,
     {1: {"m": [0, 1, 0], "objective": -0.34657359027997264}}),
    ("B28-2", mixture_weights([[1, 1, E], [1, 1, 1]]), "beta", 1e-12, {1: {"objective": 0}}),
    ("B28-3", mixture_weights([[1, E], [E, 1]]), "beta", 1e-12,
     {1: {"m": HALF, "objective": 0.6931471705599455}}),
    ("B28-4", mixture_weights([[1.0, 1, 0], [1, 1, 1]]), "beta", 1e-12, {1: {"objective": 0}}),
    ("B30", binomial_mixture(), "beta", 1e-12,
     {1: {"objective": 2.000861571543032, "support": [130, 131, 179, 180, 243]}}),
    ("B32", PAIRED, "distortion", 1e-12, {0.1: {"R": 0.28578132866344524}}),
    ("B33", ([0.2, 0.3, 0.5], LINE - SHIFT[:, None]), "distortion", 1e-12,
     {-0.6: {"R": 0.304316532678862, "beta": 0.7213475204444824}}),
    ("B34", ([1 / 7] * 7, SEVEN), "rate", 1e-10,
     {0.3 / BITS: {"D": 2.729468490625941, "beta": 2.6659706388622135, "support": [0, 2]},
      0.8 / BITS: {"D": 2.0449286285291133, "beta": 1.5255391414289565, "support": [0, 1, 2]},
      1.2 / BITS: {"D": 1.700474798395566, "beta": 0.9653750805739092, "support": [0, 1, 2]}}),
    ("B34e", ([1 / 7] * 7, SEVEN), "beta", 1e-10,
     {0: {"R": 1.4488156357251847 / BITS, "D": 1.5714285714285712}}),
    ("B36", cut_gaussian(), "beta", 1e-10,
     {1e-2: {"D": 0.004972360305070152, "R": 0.662954525837804},
      1e-3: {"D": 6.05072655381411e-05, "R": 1.9920972823347836}}),
]  # fmt: skip
