"""Entropy, divergence and information: closed forms, 50-digit arithmetic and the laws."""

import math

import exact
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toyrd import entropy, kl_divergence, mutual_information
from toyrd.testing import distributions, tables

law = settings(deadline=None, max_examples=50)
joints = st.integers(1, 5).flatmap(lambda n: distributions(5 * n).map(lambda p: p.reshape(-1, n)))
pairs = st.integers(1, 5).flatmap(lambda n: st.tuples(distributions(n), distributions(n)))


def h(epsilon: float) -> float:
    return -epsilon * math.log(epsilon) - (1 - epsilon) * math.log(1 - epsilon)


@law
@given(distributions())
def test_entropy_is_its_definition_in_fifty_digits(p):
    """H = −Σ p log p, to relative precision down to denormals."""
    assert entropy(p) == pytest.approx(exact.entropy(p), rel=1e-14, abs=1e-300)


@law
@given(pairs)
def test_divergence_is_its_definition_in_fifty_digits(pair):
    """KL = Σ p log(p / q), +∞ exactly where support is missing."""
    assert kl_divergence(*pair) == pytest.approx(exact.kl_divergence(*pair), rel=1e-13, abs=1e-15)


@law
@given(joints)
@example(np.diag([1, 1e-200]))
def test_information_is_its_definition_in_fifty_digits(joint):
    """I = Σ p(x, z) log[p(x, z) / p(x) p(z)]."""
    expected = exact.mutual_information(joint)
    assert mutual_information(joint) == pytest.approx(expected, rel=1e-13, abs=2e-15)


@law
@given(distributions())
def test_entropy_lies_between_zero_and_the_uniform_one(p):
    """0 ≤ H ≤ log n, and log n − H = KL(p ‖ uniform)."""
    n = p.size
    assert 0 <= entropy(p) <= math.log(n) + 1e-14
    divergence = kl_divergence(p, np.full(n, 1 / n))
    assert math.log(n) - entropy(p) == pytest.approx(divergence, abs=1e-14)


@law
@given(distributions(), tables(5))
def test_entropy_obeys_the_chain_rule(p, rows):
    """H(X, Z) = H(X) + Σ_x p(x) H(Z|x)."""
    p = np.resize(p, 5) / np.resize(p, 5).sum()
    conditional = sum(w * entropy(row) for w, row in zip(p, rows, strict=True))
    assert entropy(p[:, None] * rows) == pytest.approx(entropy(p) + conditional, abs=1e-13)


@law
@given(distributions())
def test_nothing_diverges_from_itself(p):
    """KL(p ‖ p) = 0 exactly."""
    assert kl_divergence(p, p) == 0


@law
@given(joints)
def test_information_is_a_divergence_symmetric_and_bounded(joint):
    """I = KL(joint ‖ product of its margins), I(X; Z) = I(Z; X) ≤ min(H(X), H(Z))."""
    margins = joint.sum(axis=1), joint.sum(axis=0)
    information = mutual_information(joint)
    assert information == pytest.approx(mutual_information(joint.T), abs=1e-14)
    assert 0 <= information <= min(entropy(margin / margin.sum()) for margin in margins) + 1e-13
    product = np.outer(*margins)
    if not (product[joint > 0] == 0).any():  # the product may underflow where the joint does not
        divergence = kl_divergence(joint, product / product.sum())
        assert information == pytest.approx(divergence, abs=1e-13)


@law
@given(distributions(), distributions())
def test_independent_variables_share_no_information(p, q):
    """I = 0 when p(x, z) = p(x) p(z)."""
    assert mutual_information(np.outer(p, q)) <= 1e-14


@law
@given(st.floats(1e-300, 0.5))
@example(0.11)
def test_the_binary_symmetric_channel_has_its_closed_form(epsilon):
    """I = log 2 − h(ε) for a fair bit flipped with probability ε."""
    joint = np.array([[1 - epsilon, epsilon], [epsilon, 1 - epsilon]]) / 2
    assert mutual_information(joint) == pytest.approx(math.log(2) - h(epsilon), abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 3, 30, 1000])
def test_uniform_distributions_have_the_entropy_log_n(n):
    assert entropy(np.full(n, 1 / n)) == pytest.approx(math.log(n), rel=1e-14)
    assert mutual_information(np.eye(n) / n) == pytest.approx(math.log(n), rel=1e-14)


def test_a_certain_symbol_has_no_entropy_and_no_negative_zero():
    assert entropy([1 + 5e-11]) == 0  # a sum that is 1 to rounding
    for value in (entropy([1.0]), kl_divergence([1.0], [1.0]), mutual_information([[1.0]])):
        assert math.copysign(1, value) == 1
        assert value == 0


def test_missing_support_costs_infinity_one_way_only():
    assert kl_divergence([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert kl_divergence([1.0, 0.0], [0.5, 0.5]) == math.log(2)
    assert kl_divergence([1 - 2**-40, 2**-40], [1.0, 5e-324]) < 1e-9


def test_a_tiny_divergence_is_not_lost_to_cancellation():
    delta = 2.0**-30
    expected = -math.log1p(-4 * delta**2) / 2
    measured = kl_divergence([0.5, 0.5], [0.5 + delta, 0.5 - delta])
    assert measured == pytest.approx(expected, rel=1e-6, abs=0)


def test_joint_distributions_of_any_rank_are_accepted():
    p = np.full((2, 3, 4), 1 / 24)
    assert entropy(p) == pytest.approx(math.log(24), rel=1e-14)
    assert kl_divergence(p, p) == 0
    assert entropy(1.0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy([0.5, 0.6]), "p must sum to 1, but sums to 1.1"),
        (lambda: entropy([[0.5, 0.5], [np.nan, 0]]), r"p\[1, 0\] is nan"),
        (lambda: kl_divergence([-1.0, 2.0], [1.0, 0.0]), r"p\[0\] is -1.0"),
        (lambda: kl_divergence([1.0], [0.5]), "q must sum to 1, but sums to 0.5"),
        (lambda: kl_divergence([1.0], [1.0, 0.0]), r"q must have shape \(1,\), but .* \(2,\)"),
        (lambda: kl_divergence([[1.0]], [1.0]), r"q must have shape \(1, 1\), but .* \(1,\)"),
        (lambda: mutual_information([1.0]), r"joint must have 2 axes, but its shape is \(1,\)"),
        (lambda: mutual_information([[1.0], [1.0]]), "joint must sum to 1, but sums to 2.0"),
    ],
)
def test_what_is_not_a_distribution_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("measure", [entropy, mutual_information, lambda p: kl_divergence(p, p)])
def test_text_is_refused(measure):
    with pytest.raises(TypeError, match="must hold real numbers, not <U1"):
        measure([["a"]])
