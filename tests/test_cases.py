"""Twenty-seven public cases: the inputs of others' reports, each with its right value.

B26, the information bottleneck, is in test_bottleneck. B38, capacity, is no problem that toyrd
solves; its measures still prove the right value from the input that reaches it.
"""

import math

import numpy as np
import pytest
from problems import BINARY
from scipy.stats import binom, norm

from toyrd import entropy, frontier, kl_divergence, mutual_information, rate_distortion
from toyrd.curve import Status

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


@pytest.mark.parametrize(
    ("problem", "name", "tol", "value", "expected"),
    [
        pytest.param(problem, name, tol, value, expected, id=f"{case}-{name}={value:.6g}")
        for case, problem, name, tol, answers in CASES
        for value, expected in answers.items()
    ],
)
def test_the_right_value_of_a_public_case(problem, name, tol, value, expected):
    solution = rate_distortion(*problem, **{name: value})
    assert solution.status is Status.CERTIFIED
    used = np.flatnonzero(solution.m > 1e-9)
    found = {"support": used.tolist(), "letters": used.size}
    for key, right in expected.items():
        if key in found:
            assert found[key] == right
        else:
            assert getattr(solution, key) == pytest.approx(right, abs=tol), key


@pytest.mark.parametrize(
    ("beta", "below", "above"),
    [
        (0.00259760383, [0, 1, 2, 3], [0, 1, 3]),
        (0.489424254, [0, 1, 3], [0, 3]),
        (3.83240742, [0, 3], [0, 1, 3]),
        (4.98583864, [0, 1, 3], [1]),
    ],
)
def test_b12_a_letter_leaves_and_returns_where_it_is_said_to(beta, below, above):
    """To five digits, where a letter's weight is still above the tolerance."""
    for step, support in ((-1e-5, below), (1e-5, above)):
        solution = rate_distortion(*RETURNING, beta=beta * (1 + step), tol=1e-14)
        assert np.flatnonzero(solution.m > 1e-9).tolist() == support


def test_b13_the_jump_has_its_two_ends():
    for beta, D, R in ((4.5165688, 0.8483736, 0.0108793), (4.5165689, 0.8950245, 0.0005505)):
        solution = rate_distortion(*JUMPING, beta=beta, tol=1e-14)
        assert pytest.approx((D, R), abs=1e-6) == (solution.D, solution.R)


def test_b15_the_second_letter_is_born_at_the_critical_slope():
    """At slope log(p₀ / p₁) = 0.8473; beyond it m₁ = (p₁ − q) / (1 − 2q), q = 1/(1 + e^slope)."""
    critical = 0.8472978603872037
    problem = hamming([0.7, 0.3])
    assert rate_distortion(*problem, beta=1 / (critical - 1e-4)).m[1] == 0
    for slope in (critical + 1e-4, 0.85, 0.86):
        q = 1 / (1 + math.exp(slope))
        m = rate_distortion(*problem, beta=1 / slope, tol=1e-14).m
        assert m[1] == pytest.approx((0.3 - q) / (1 - 2 * q), abs=1e-8)


def test_b16_the_weights_where_costs_are_not_symmetric():
    solution = rate_distortion(HALF, [[0.0, 0.5], [1.0, 0.0]], beta=1.0, tol=1e-14)
    assert solution.m == pytest.approx([0.02024131, 0.97975869], abs=6e-9)


@pytest.mark.parametrize(
    ("slope", "D", "R"),
    [
        (0.01, 0.748120316455141, 9.40622031175842e-06),
        (0.1, 0.73078565055369, 0.000968417467675509),
        (2.0, 0.288765405772406, 0.468010595661947),
        (5.0, 0.0198133373465091, 1.26721542102772),
        (7.0, 0.00272818255525093, 1.36446517240537),
        (100.0, 1.11602279280626e-43, 1.38629436111989),
    ],
)
def test_b24_small_numbers_have_a_relative_accuracy(slope, D, R):
    solution = rate_distortion(*hamming([0.25] * 4), beta=1 / slope)
    assert pytest.approx((D, R), rel=1e-8, abs=0) == (solution.D, solution.R)


@pytest.mark.parametrize(
    ("likelihood", "objective", "dead"),
    [
        ([[1, 1, E], [1, 2, 1]], -0.34657359027997264, [0, 2]),
        ([[1, 1, E], [1, 1, 1]], 0.0, [2]),
        ([[1.0, 1, 0], [1, 1, 1]], 0.0, [2]),
    ],
)
def test_b28_a_start_on_the_worst_letter_finds_the_others(likelihood, objective, dead):
    """Also where the start gives one observation the likelihood zero."""
    solution = rate_distortion(*mixture_weights(likelihood), beta=1, start=[0.0, 0, 1])
    assert solution.objective == pytest.approx(objective, abs=1e-12)
    assert solution.m[dead] == pytest.approx(0, abs=1e-9)


def test_b30_the_weights_of_the_mixture():
    m = rate_distortion(*binomial_mixture(), beta=1.0, tol=1e-14).m
    right = [0.07074619, 0.11970655, 0.33950302, 0.10037199, 0.36967226]
    assert m[[130, 131, 179, 180, 243]] == pytest.approx(right, abs=6e-9)


def test_b32_two_letters_alike_share_one_weight():
    m = rate_distortion(*PAIRED, distortion=0.1).m
    assert [m[:2].sum(), m[2:].sum()] == pytest.approx([0.25, 0.75], abs=1e-12)


def test_b33_an_offset_for_each_symbol_moves_the_distortion_alone():
    """R'(D − w·p) = R(D)."""
    plain = rate_distortion([0.2, 0.3, 0.5], LINE, distortion=0.3)
    assert pytest.approx(0.304316532678862, abs=1e-12) == plain.R
    assert 0.3 - np.array([0.2, 0.3, 0.5]) @ SHIFT == pytest.approx(-0.6)


def test_b20_and_b23_bounds_enclose_the_right_value():
    """H of the counts, and F at slope 2 between the lower bound and the objective."""
    assert entropy(counts()[0]) * BITS == pytest.approx(2.290482054756456, abs=1e-12)
    solution = rate_distortion(*gaussian(np.linspace(-6, 6, 241)), beta=0.5)
    assert solution.lower_bound <= 0.5965735743058328 + 1e-13 <= solution.objective + 1e-12


def test_b36_symbols_without_mass_stay_so():
    p, cost = cut_gaussian()
    assert (p == 0).sum() == 3
    assert rate_distortion(p, cost, beta=1e-2).e.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("channel", "r", "bits"),
    [
        ([[0.75, 0.25], [0.25, 0.75]], [0.5, 0.5], 0.18872187554086717),
        ([[0.5, 0.5], [1.0, 0.0]], [0.4, 0.6], 0.32192809488736235),
    ],
)
def test_b38_a_capacity_is_enclosed_by_the_measures(channel, r, bits):
    """I(r) ≤ C ≤ max_x KL(W_x ‖ Σ r W), and both are C at the input that reaches it."""
    joint = np.array(r)[:, None] * channel
    low = mutual_information(joint) * BITS
    high = max(kl_divergence(row, joint.sum(axis=0)) for row in channel) * BITS
    assert low <= high + 1e-15
    assert (low, high) == pytest.approx((bits, bits), abs=1e-12)


def test_a_frontier_passes_through_the_cases():
    """The points at 1/β of B12 lie on the frontier of the same table."""
    curve = frontier(RETURNING[0], cost=RETURNING[1], betas=[0.002, 0.1, 1.0, 4.0], tol=1e-13)
    right = [0.952557840758256, 0.9483635483485454, 0.29503199292546395, 0.02468326511427496]
    np.testing.assert_allclose(curve.R, right, rtol=0, atol=1e-11)
    assert mutual_information(BINARY / 2) == pytest.approx(math.log(2))
