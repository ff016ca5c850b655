"""Every way into the package: what is let through unchanged, and what each error says."""

import re
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toyrd import checks
from toyrd.testing import distributions, tables

law = settings(deadline=None, max_examples=50)
scalars = st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text()
anything = st.recursive(
    st.none() | scalars | scalars.map(np.array),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner),
    max_leaves=4,
)


class Foreign:
    """An array of another library that must not be converted."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach first")


MASKED = np.ma.masked_greater([0.5, 0.5, 9.0], 1)
CASES = {
    checks.as_distribution: [
        ([[0.5, 0.5]], ValueError, "a must have 1 axis, but its shape is (1, 2)"),
        (1.0, ValueError, "a must have 1 axis, but its shape is ()"),
        ([], ValueError, "a is empty: its shape is (0,); give it one"),
        ([[1], [1, 2]], ValueError, "a must be a rectangular array of numbers"),
        ("1", TypeError, "a must hold real numbers, not a str"),
        ([1j], TypeError, "a must hold real numbers, not complex128"),
        (None, TypeError, "a must hold real numbers, not a NoneType"),
        (dict, TypeError, "not a type; make one first: dict(...)"),
        (SimpleNamespace(a=1), TypeError, "not a SimpleNamespace; pass its .a"),
        (Foreign(), TypeError, "a cannot be made a numpy array: call detach"),
        (MASKED, ValueError, "a has masked entries; fill them"),
        ([0.5, np.nan], ValueError, "a[1] is nan; every entry must be a number"),
        ([1.5, -0.5], ValueError, "a[1] is -0.5; a probability lies between"),
        ([0.5, np.inf], ValueError, "a[1] is inf; a probability lies between"),
        ([1, 1], ValueError, "a must sum to 1, but sums to 2.0; toyrd.normalize(a) divides it"),
        ([1e308] * 2, ValueError, "a must sum to 1, but sums to inf"),
        ([1 + 1e-9], ValueError, "a must sum to 1, but sums to 1.000000001"),
    ],
    checks.as_table: [
        ([1.0], ValueError, "a must have 2 axes, but its shape is (1,)"),
        ([[1], [np.nan]], ValueError, "a[1, 0] is nan; every entry must be a number"),
        ([[1, 0], [2, -1]], ValueError, "a[1, 1] is -1.0; a probability lies between"),
        ([[1], [2]], ValueError, "every row of a must sum to 1, but a[1] sums to 2.0;"),
        ([[1e308] * 2], ValueError, "but a[0] sums to inf; toyrd.normalize(a) divides each row"),
        ([[0.5, 0.8], [0.5, 0.2]], ValueError, "; its columns do: is it transposed?"),
        ([[1], [2], [3]], ValueError, "a[1] sums to 2.0; toyrd.normalize"),
    ],
    checks.as_count: [
        (2.0, TypeError, "a must be an integer, not 2.0"),
        ("2", TypeError, "a must be an integer, not '2'"),
        (None, TypeError, "a must be an integer, not None"),
        ([2], TypeError, "a must be an integer, not [2]"),
        (0, ValueError, "a is 0, but must be at least 1"),
        (2**63, ValueError, "a is 9223372036854775808, but must be"),
    ],
    checks.as_number: [
        ("1", TypeError, "a must be one number, not '1'"),
        (b"1", TypeError, "a must be one number, not b'1'"),
        (None, TypeError, "a must be one number, not None"),
        ([1.0], TypeError, "a must be one number, not [1.0]"),
        ([1, [2, 3]], TypeError, "a must be one number, not [1, [2, 3]]"),
        (np.array([1.0]), TypeError, "a must be one number, not array([1.])"),
        (np.array("1"), TypeError, "a must be one number, not array('1'"),
        (1j, TypeError, "a must be one number, not 1j"),
        (np.complex128(1), TypeError, "a must be one number, not "),
        (10**400, ValueError, "a is out of range: int too large"),
        (Foreign(), TypeError, "a must be one number, not "),
        (np.nan, ValueError, "a is nan, but must lie in [-inf, inf]"),
    ],
}


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [(check, *case) for check, cases in CASES.items() for case in cases],
)
def test_an_error_names_the_argument_the_place_the_value_and_the_rule(
    check, value, error, message
):
    with pytest.raises(error, match=re.escape(message)):
        check("a", value)


def outcome(check, value):
    try:
        return check("the_name", value)
    except (TypeError, ValueError) as error:
        return str(error)


@law
@given(anything)
def test_no_value_becomes_a_silent_nan(value):
    """Every check returns numbers, or raises in its own words."""
    for check in (checks.as_number, checks.as_count, checks.as_distribution, checks.as_table):
        result = outcome(check, value)
        assert "the_name" in result if isinstance(result, str) else not np.isnan(result).any()


@law
@given(distributions(), tables())
def test_what_is_legal_is_returned_as_it_is(p, e):
    """as_distribution(p) = p and as_table(e) = e, zeros and denormals included."""
    assert checks.as_distribution("p", p) is p
    assert checks.as_table("e", e, shape=e.shape) is e


@law
@given(distributions(), tables(), st.floats(-9.9e-11, 9.9e-11))
def test_a_sum_off_by_more_than_rounding_is_scaled_to_one(p, e, off):
    """Each entry by the same factor; the argument stays as it was."""
    rough = e * (1 + off)
    before = rough.copy()
    assert abs(checks.as_distribution("p", p * (1 + off)).sum() - 1) <= 2.1e-15
    scaled = checks.as_table("e", rough)
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=0, atol=2.1e-15)
    np.testing.assert_allclose(scaled, e, rtol=3e-15, atol=5e-324)
    assert (rough == before).all()


def test_integers_and_truth_values_are_numbers():
    assert checks.as_distribution("p", [0, 1]).dtype == np.float64
    assert checks.as_distribution("p", [True, False]).tolist() == [1, 0]
    assert checks.as_number("beta", Fraction(1, 4)) == 0.25
    assert checks.as_number("beta", np.float32(0.5)) == 0.5
    assert checks.as_number("beta", np.inf) == np.inf
    assert checks.as_count("n", np.int8(3)) == 3
    assert checks.as_count("n", 0, low=0) == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: checks.as_table("e", [[0.5, 0.5]], shape=(2, 2)), ValueError,
         "e must have shape (2, 2), but its shape is (1, 2)"),
        (lambda: checks.as_callback(3), TypeError, "callback must be callable, not 3"),
        (lambda: checks.one_of("unit", "bit", ("nats", "bits")), ValueError,
         "unit is 'bit', but must be one of nats, bits"),
        (lambda: checks.as_number("b", -0.5, low=0), ValueError, "b is -0.5, but must lie in"),
        (lambda: checks.as_number("b", 1.5, low=0, high=1), ValueError,
         "b is 1.5, but must lie in [0, 1]"),
        (lambda: checks.as_number("b", 0, low=0, open_low=True), ValueError,
         "b is 0.0, but must lie in (0, inf]"),
        (lambda: checks.as_cost("cost", [[0.0]], np.array([0.5, 0.5])), ValueError,
         "cost must have one row for each of the 2 symbols of p, but its shape is (1, 1)"),
        (lambda: checks.as_cost("cost", [[0, 1], [2, np.nan]], np.array([0.5, 0.5])), ValueError,
         "cost[1, 1] is nan; every entry must be a number"),
        (lambda: checks.as_cost("cost", [[0, 1], [2, -np.inf]], np.array([0.5, 0.5])), ValueError,
         "cost[1, 1] is -inf: a cost may be inf"),
        (lambda: checks.as_cost("cost", [[np.inf] * 2, [0, 1]], np.array([0.5, 0.5])), ValueError,
         "cost[0] is inf everywhere: a symbol with p > 0"),
        (lambda: checks.as_cost("cost", [[0, -1e308]], np.array([1.0])), ValueError,
         "cost[0, 1] is -1e+308; sizes above 1e+306 overflow"),
        *[
            (lambda rng=rng: checks.as_rng(rng), error, f"numpy.random.Generator, not {rng!r}")
            for rng, error in ((-1, ValueError), (1.5, TypeError), ("a", TypeError))
        ],
    ],
)  # fmt: skip
def test_a_rule_that_is_broken_is_told(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_the_ends_of_a_closed_interval_are_legal():
    assert checks.as_number("flip", 0, low=0, high=0.5) == 0
    assert checks.as_number("flip", 0.5, low=0, high=0.5) == 0.5
    assert checks.as_number("beta", 5e-324, low=0, open_low=True) == 5e-324


def test_a_cost_may_forbid_pairs_and_whatever_concerns_symbols_without_mass():
    cost = np.array([[0.0, np.inf, -3.0], [np.inf, np.inf, np.inf]])
    kept = checks.as_cost("cost", cost, np.array([1.0, 0.0]))
    np.testing.assert_array_equal(kept, cost)
    assert not kept.flags.writeable


def test_rng_is_a_seed_or_a_generator():
    generator = np.random.default_rng(3)
    assert checks.as_rng(generator) is generator
    assert checks.as_rng(3).random() == generator.random()
    assert checks.as_rng(None).random() != checks.as_rng(None).random()


def test_frozen_is_a_copy_that_cannot_be_written():
    array = np.array([1.0, 0.0])
    copy = checks.frozen(array)
    array[0] = 5
    assert copy.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 5
