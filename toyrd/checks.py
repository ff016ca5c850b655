"""Validation: every array that a user passes comes through here, once.

Notation: a *distribution* is non-negative and sums to 1; a *table* has rows that are
distributions, the last axis being the variable left of the bar; a *cost* is any real
table in which +∞ forbids a pair. What breaks a rule is reported with the argument's name, the
place, its value and the way out. One thing is mended, and shown in every result: a sum that
misses 1 by more than rounding, and by 1e-10 at the most, is scaled to 1 where it enters,
because proofs ask for exact sums.
"""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Seed = int | np.random.Generator
Tell = Callable[..., object]
AnyArray = TypeVar("AnyArray", bound=NDArray[Any])

SUM_TOLERANCE = 1e-10
"""How far from 1 a distribution may sum."""

ROUNDING = 2e-15
"""How far from 1 a sum may be by rounding alone; one further off is scaled."""

LARGEST_COST = 1e306
"""Finite costs are no larger, so that sums and differences of a few do not overflow."""


def as_array(name: str, value: ArrayLike, *, ndim: int | None = None) -> Array:
    """Return `value` as a non-empty float64 array of `ndim` axes, or say what it is instead."""
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    except Exception as error:  # whatever a foreign array raises on its way
        raise TypeError(f"{name} cannot be made a numpy array: {error}") from None
    if raw.dtype.kind not in "fiub":
        kind = f"a {type(value).__name__}" if raw.ndim == 0 else str(raw.dtype)
        raise TypeError(f"{name} must hold real numbers, not {kind}{_way_out(name, value)}")
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has masked entries; fill them, or leave their symbols out")
    array = raw.astype(np.float64, copy=False)
    if ndim is not None and array.ndim != ndim:
        axes = "1 axis" if ndim == 1 else f"{ndim} axes"
        raise ValueError(f"{name} must have {axes}, but its shape is {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}; give it one entry or more")
    return array


def _way_out(name: str, value: object) -> str:
    """Return what to do with a value that is no array, if that can be told."""
    if isinstance(value, type):
        return f"; make one first: {value.__name__}(...)"
    return f"; pass its .{name}" if hasattr(value, name) else ""


def refuse(name: str, array: Array, bad: NDArray[np.bool_], rule: str) -> None:
    """Raise if an entry breaks a rule, and say which."""
    if bad.any():
        place = [int(i) for i in np.argwhere(bad)[0]] or ""
        raise ValueError(f"{name}{place} is {array[bad][0]!s}{rule}")


def no_nan(name: str, array: Array) -> None:
    """Raise if an entry of `array` is NaN, and say which."""
    refuse(name, array, np.isnan(array), "; every entry must be a number")


def non_negative(name: str, array: Array) -> None:
    """Raise if an entry is NaN, negative or infinite, and say which."""
    no_nan(name, array)
    bad = (array < 0) | np.isinf(array)
    refuse(name, array, bad, "; a probability lies between 0 and 1")


def as_distribution(name: str, value: ArrayLike, *, ndim: int | None = 1) -> Array:
    """Return `value` as an array that is non-negative and sums to 1 over all its axes."""
    return _summing_to_one(name, as_array(name, value, ndim=ndim), None)


def as_table(name: str, value: ArrayLike, *, shape: tuple[int, int] | None = None) -> Array:
    """Return `value` as a 2-D array whose rows are distributions, of `shape` if one is given."""
    array = as_array(name, value, ndim=2)
    has_shape(name, array, shape)
    return _summing_to_one(name, array, 1)


def _summing_to_one(name: str, array: Array, axis: int | None) -> Array:
    """Return an array of probabilities with sums of 1 along an axis, or over all of them."""
    non_negative(name, array)
    with np.errstate(over="ignore"):
        sums = array.sum(axis=axis, keepdims=True)
    miss = np.abs(sums - 1)
    if miss.max() > SUM_TOLERANCE:
        first = int(np.argmax(miss > SUM_TOLERANCE))
        all_of, row, it = "", "", "it"
        if axis is not None:
            all_of, row, it = "every row of ", f"{name}[{first}] ", "each row"
        advice = f"toyrd.normalize({name}) divides {it} by its sum, if that is meant"
        if axis is not None and np.abs(array.sum(axis=0) - 1).max() <= SUM_TOLERANCE:
            advice = "its columns do: is it transposed?"
        found = f"{row}sums to {sums.flat[first]!s}"
        raise ValueError(f"{all_of}{name} must sum to 1, but {found}; {advice}")
    rough = miss > ROUNDING
    return np.asarray(array / np.where(rough, sums, 1.0)) if rough.any() else array


def table_over(name: str, value: ArrayLike, over: Array) -> Array:
    """Return `value` as a table with one row for each entry of `over`."""
    table = as_table(name, value)
    has_shape(name, table, (over.size, table.shape[1]))
    return table


def as_cost(name: str, value: ArrayLike, p: Array) -> Array:
    """Return a read-only copy of a cost table with one row for each symbol of `p`."""
    array = as_array(name, value, ndim=2)
    if array.shape[0] != p.size:
        rule = f"{name} must have one row for each of the {p.size} symbols of p"
        raise ValueError(f"{rule}, but its shape is {array.shape}")
    no_nan(name, array)
    rule = ": a cost may be inf, which forbids a pair, but not -inf"
    refuse(name, array, array == -np.inf, rule)
    least = array.min(axis=1)
    stuck = (least == np.inf) & (p > 0)
    refuse(name, least, stuck, " everywhere: a symbol with p > 0 needs an allowed pair")
    huge = (np.abs(array) > LARGEST_COST) & (array < np.inf)
    way_out = "change the unit of cost, and of beta with it, or write inf to forbid a pair"
    refuse(name, array, huge, f"; sizes above {LARGEST_COST:g} overflow: {way_out}")
    return frozen(array)


def has_shape(name: str, array: Array, shape: tuple[int, ...] | None) -> None:
    """Raise unless `array` has `shape`; None asks for nothing."""
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but its shape is {array.shape}")


def one_width(default: int, n_z: int | None, **tables: Any) -> int:
    """Return the one number of latents of all tables given; m has one axis, d[z, x], e[x, z]."""
    widths = {} if n_z is None else {"n_z": as_count("n_z", n_z)}
    for name, table in tables.items():
        if isinstance(table, np.ndarray):
            widths[name] = table.shape[0 if name == "decoder" else -1]
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name}: {width}" for name, width in widths.items())
        raise ValueError(f"the arguments disagree on the number of latents ({listed})")
    return next(iter(widths.values()), default)


def as_number(
    name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, open_low: bool = False
) -> float:
    """Return `value` as a float in [low, high], or in (low, high] if `open_low`."""
    try:
        raw = np.asarray(value)
        # float() would parse text, unpack arrays and drop imaginary parts.
        if raw.ndim > 0 or raw.dtype.kind not in "fiubO":
            raise TypeError
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is out of range: {error}") from None
    except Exception:  # whatever a foreign number raises on its way
        raise TypeError(f"{name} must be one number, not {reprlib.repr(value)}") from None
    if not low <= number <= high or (open_low and number == low):
        left = "(" if open_low else "["
        raise ValueError(f"{name} is {number!r}, but must lie in {left}{low:g}, {high:g}]")
    return number


def as_count(name: str, value: Any, *, low: int = 1, high: int = 2**63 - 1) -> int:
    """Return `value` as an integer from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {reprlib.repr(value)}") from None
    if not low <= number <= high:
        limit = f"at least {low}" if number < low else f"at most {high}"
        raise ValueError(f"{name} is {number}, but must be {limit}")
    return number


def one_of(name: str, value: str, names: tuple[str, ...]) -> str:
    """Return `value` if it is one of `names`."""
    if value not in names:
        raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(names)}")
    return value


def quiet(*_: object) -> None:
    """Say nothing."""


def as_callback(value: Tell | None) -> Tell:
    """Return `value` if it can be called, and `quiet` for None."""
    if value is not None and not callable(value):
        raise TypeError(f"callback must be callable, not {reprlib.repr(value)}")
    return value or quiet


def as_rng(rng: Seed | None) -> np.random.Generator:
    """Return a generator for a seed, a generator, or None (fresh entropy)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        rule = "rng must be a seed (an integer ≥ 0) or a numpy.random.Generator"
        raise type(error)(f"{rule}, not {rng!r}") from None


class ReadOnly:
    """Keep the arrays of a dataclass read-only when it is copied or unpickled."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for value in state.values():
            for array in value if isinstance(value, tuple) else (value,):
                if isinstance(array, np.ndarray):
                    locked(array)


def frozen(array: Array) -> Array:
    """Return a read-only copy of `array`."""
    return locked(np.array(array, dtype=np.float64))


def locked(array: AnyArray) -> AnyArray:
    """Make an array of one's own read-only, and return it."""
    array.flags.writeable = False
    return array
