"""Twenty-seven public cases: the inputs of others' reports, each with its right value.

B26, the information bottleneck, is in test_bottleneck. B38, capacity, is no problem that toyrd
solves; its measures still prove the right value from the input that reaches it.
"""

import math

import numpy as np
import pytest
from cases import (
    BITS,
    CASES,
    HALF,
    JUMPING,
    LINE,
    PAIRED,
    RETURNING,
    SHIFT,
    E,
    binomial_mixture,
    counts,
    cut_gaussian,
    gaussian,
    hamming,
    mixture_weights,
)
from problems import BINARY

from toyrd import entropy, frontier, kl_divergence, mutual_information, rate_distortion
from toyrd.curve import Status


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
