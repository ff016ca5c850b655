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


CASES = [
    # as_array and what every array shares
    (
        checks.as_distribution,
        [[0.5, 0.5]],
        ValueError,
        "a must have 1 axis, but its shape is (1, 2)",
    ),
    (checks.as_distribution, 1.0, ValueError, "a must have 1 axis, but its shape is ()"),
    (checks.as_distribution, [], ValueError, "a is empty: its shape is (0,); give it one"),
    (
        checks.as_distribution,
        [[1], [1, 2]],
        ValueError,
        "a must be a rectangular array of numbers",
    ),
    (checks.as_distribution, "1", TypeError, "a must hold real numbers, not a str"),
    (checks.as_distribution, [1j], TypeError, "a must hold real numbers, not complex128"),
    (checks.as_distribution, None, TypeError, "a must hold real numbers, not a NoneType"),
    (checks.as_distribution, dict, TypeError, "not a type; make one first: dict(...)"),
    (
        checks.as_distribution,
        SimpleNamespace(a=1),
        TypeError,
        "a must hold real numbers, not a SimpleNamespace; pass its .a",
    ),
    (checks.as_distribution, Foreign(), TypeError, "a cannot be made a numpy array: call detach"),
    (
        checks.as_distribution,
        np.ma.masked_greater([0.5, 0.5, 9.0], 1),
        ValueError,
        "a has masked entries; fill them",
    ),
    # distributions
    (
        checks.as_distribution,
        [0.5, np.nan],
        ValueError,
        "a[1] is nan; every entry must be a number",
    ),
    (checks.as_distribution, [1.5, -0.5], ValueError, "a[1] is -0.5; a probability lies between"),
    (checks.as_distribution, [0.5, np.inf], ValueError, "a[1] is inf; a probability lies between"),
    (checks.as_distribution, [1, 1], ValueError, "a must sum to 1, but sums to 2.0; divide it by"),
    (checks.as_distribution, [1e308] * 2, ValueError, "a must sum to 1, but sums to inf"),
    (checks.as_distribution, [1 + 1e-9], ValueError, "a must sum to 1, but sums to 1.000000001"),
    # tables
    (checks.as_table, [1.0], ValueError, "a must have 2 axes, but its shape is (1,)"),
    (checks.as_table, [[1], [np.nan]], ValueError, "a[1, 0] is nan; every entry must be a number"),
    (
        checks.as_table,
        [[1, 0], [2, -1]],
        ValueError,
        "a[1, 1] is -1.0; a probability lies between",
    ),
    (
        checks.as_table,
        [[1], [2]],
        ValueError,
        "every row of a must sum to 1, but a[1] sums to 2.0;",
    ),
    (checks.as_table, [[1e308] * 2], ValueError, "but a[0] sums to inf; divide each row by its"),
    (
        checks.as_table,
        [[2]] * 3,
        ValueError,
        "a[0] sums to 2.0, a[1] sums to 2.0, a[2] sums to 2.0;",
    ),
    (checks.as_table, [[0.5, 0.8], [0.5, 0.2]], ValueError, "; its columns do: is it transposed?"),
    (checks.as_table, [[2]] * 5, ValueError, "a[2] sums to 2.0 and 2 rows more; divide each row"),
    # counts
    (lambda _, value: checks.as_callback(value), 3, TypeError, "callback must be callable, not 3"),
    (checks.as_count, 2.0, TypeError, "a must be an integer, not 2.0"),
    (checks.as_count, "2", TypeError, "a must be an integer, not '2'"),
    (checks.as_count, None, TypeError, "a must be an integer, not None"),
    (checks.as_count, [2], TypeError, "a must be an integer, not [2]"),
    (checks.as_count, 0, ValueError, "a is 0, but must be at least 1"),
    (checks.as_count, 2**63, ValueError, "a is 9223372036854775808, but must be below 2**63"),
    # numbers
    (checks.as_number, "1", TypeError, "a must be one number, not '1'"),
    (checks.as_number, b"1", TypeError, "a must be one number, not b'1'"),
    (checks.as_number, None, TypeError, "a must be one number, not None"),
    (checks.as_number, [1.0], TypeError, "a must be one number, not [1.0]"),
    (checks.as_number, [1, [2, 3]], TypeError, "a must be one number, not [1, [2, 3]]"),
    (checks.as_number, np.array([1.0]), TypeError, "a must be one number, not array([1.])"),
    (checks.as_number, np.array("1"), TypeError, "a must be one number, not array('1'"),
    (checks.as_number, 1j, TypeError, "a must be one number, not 1j"),
    (
        checks.as_number,
        np.complex128(1),
        TypeError,
        "a must be one number, not ",
    ),
    (checks.as_number, 10**400, ValueError, "a is out of range: int too large"),
    (checks.as_number, np.nan, ValueError, "a is nan, but must lie in [-inf, inf]"),
]


@pytest.mark.parametrize(("check", "value", "error", "message"), CASES)
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
    """as_number, as_count, as_distribution and as_table return numbers or raise in their words."""
    for check in (checks.as_number, checks.as_count, checks.as_distribution, checks.as_table):
        result = outcome(check, value)
        assert "the_name" in result if isinstance(result, str) else not np.isnan(result).any()


@law
@given(distributions(), tables())
def test_what_is_legal_is_returned_as_it_is(p, e):
    """as_distribution(p) = p and as_table(e) = e, zeros and denormals included."""
    assert checks.as_distribution("p", p) is p
    assert checks.as_table("e", e, shape=e.shape) is e


def test_integers_and_truth_values_are_numbers():
    assert checks.as_distribution("p", [0, 1]).dtype == np.float64
    assert checks.as_distribution("p", [True, False]).tolist() == [1, 0]
    assert checks.as_number("beta", Fraction(1, 4)) == 0.25
    assert checks.as_number("beta", np.float32(0.5)) == 0.5
    assert checks.as_number("beta", np.inf) == np.inf
    assert checks.as_count("n", np.int8(3)) == 3
    assert checks.as_count("n", 0, low=0) == 0


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"e must have shape \(2, 2\), but its shape is \(1, 2\)"):
        checks.as_table("e", [[0.5, 0.5]], shape=(2, 2))


@pytest.mark.parametrize(
    ("value", "limits", "interval"),
    [
        (-0.5, {"low": 0}, "[0, inf]"),
        (1.5, {"low": 0, "high": 1}, "[0, 1]"),
        (0, {"low": 0, "open_low": True}, "(0, inf]"),
    ],
)
def test_a_number_outside_its_interval_is_refused(value, limits, interval):
    message = f"beta is {float(value)}, but must lie in {interval}"
    with pytest.raises(ValueError, match=re.escape(message)):
        checks.as_number("beta", value, **limits)


def test_the_ends_of_a_closed_interval_are_legal():
    assert checks.as_number("flip", 0, low=0, high=0.5) == 0
    assert checks.as_number("flip", 0.5, low=0, high=0.5) == 0.5
    assert checks.as_number("beta", 5e-324, low=0, open_low=True) == 5e-324


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (
            [[0.0]],
            "cost must have one row for each of the 2 symbols of p, but its shape is (1, 1)",
        ),
        ([[0, 1], [2, np.nan]], "cost[1, 1] is nan; every entry must be a number"),
        ([[0, 1], [2, -np.inf]], "row 1 of cost has -inf: a cost may be +inf"),
        ([[np.inf] * 2, [0, 1]], "row 0 of cost has +inf everywhere"),
    ],
)
def test_a_cost_that_breaks_a_rule_is_refused(cost, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        checks.as_cost("cost", cost, np.array([0.5, 0.5]))


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


@pytest.mark.parametrize(
    ("rng", "error"), [(-1, ValueError), (1.5, TypeError), ("a", TypeError), (np.nan, TypeError)]
)
def test_any_other_rng_is_refused(rng, error):
    with pytest.raises(
        error, match=f"rng must be a seed .* or a numpy.random.Generator, not {rng!r}"
    ):
        checks.as_rng(rng)


def test_frozen_is_a_copy_that_cannot_be_written():
    array = np.array([1.0, 0.0])
    copy = checks.frozen(array)
    array[0] = 5
    assert copy.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 5
