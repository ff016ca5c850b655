"""Hypothesis strategies: distributions, tables, models and sources of every awkward kind.

Notation: n symbols, tables of n_rows distributions over n_columns symbols, n_x symbols and n_z
latents. What is drawn has exact zeros, denormals, equal entries and equal rows, one symbol or
one latent, n_x ≠ n_z, and probabilities whose products underflow. Every array is read-only, so
a function that writes into its argument fails at once.

A decoder that is given to a solver must be able to produce every symbol:
``assume((d > 0).any(axis=0).all())`` keeps those that can.

The module needs hypothesis, and ``import toyrd`` does not import it.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from .checks import Array, as_count, as_number, frozen
from .model import SMALLEST, Model
from .sources import Source

__all__ = ["distributions", "models", "sources", "tables"]

AWKWARD = (0.0, 1.0, 0.5, 0.1, 1e-9, 1e-17, 1e-160, 1e-200, 1e-300, 1e-310, 5e-323)
"""Weights drawn often: repeated, exactly 0, lost in a sum, underflowing in a product."""

WEIGHTS = np.concatenate([np.repeat(AWKWARD, 8), np.linspace(1, 0, 256 - 8 * len(AWKWARD), False)])
"""One weight for each value of a byte."""


@st.composite
def distributions(
    draw: st.DrawFn, n: int | None = None, *, max_size: int = 5, smallest: float = SMALLEST
) -> Array:
    """Draw distributions p(x) ≥ 0, Σ p = 1.

    Parameters
    ----------
    n : int, optional
        Number of symbols; by default it varies from 1 to `max_size`.
    max_size : int
        Largest number of symbols drawn.
    smallest : float
        Weights below it become 0, before all are divided by their sum, which is at most n:
        1e-300 leaves denormals out, 1e-9 also what underflows in a product.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of read-only arrays of shape (n,), which sum to 1 within rounding.

    Raises
    ------
    ValueError
        When drawn from, if `n` is below 1 or `smallest` not in [0, 1].
    TypeError
        When drawn from, if `n` is not an integer or `smallest` not a number.

    Examples
    --------
    >>> from hypothesis import given
    >>> from toyrd import entropy
    >>> @given(distributions())
    ... def entropy_is_never_negative(p):
    ...     assert entropy(p) >= 0
    >>> entropy_is_never_negative()

    References
    ----------
    MacIver et al., *Hypothesis: A new approach to property-based testing* (2019).
    """
    n = _size(draw, "n", n, max_size)
    return frozen(draw(tables(1, n, smallest=smallest))[0])


@st.composite
def tables(
    draw: st.DrawFn,
    n_rows: int | None = None,
    n_columns: int | None = None,
    *,
    max_size: int = 5,
    smallest: float = SMALLEST,
) -> Array:
    """Draw tables such as e[x, z] and d[z, x], whose rows are distributions.

    Parameters
    ----------
    n_rows, n_columns : int, optional
        The shape; what is not given varies from 1 to `max_size`.
    max_size : int
        Largest number of rows or columns drawn.
    smallest : float
        Least positive weight, as in `distributions`.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of read-only arrays of shape (n_rows, n_columns); some rows are
        often equal.

    Raises
    ------
    ValueError, TypeError
        When drawn from, as for `distributions`.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(tables(2, 3))
    ... def rows_sum_to_one(e):
    ...     assert e.shape == (2, 3)
    ...     assert np.allclose(e.sum(axis=1), 1)
    >>> rows_sum_to_one()

    References
    ----------
    MacIver et al., *Hypothesis: A new approach to property-based testing* (2019).
    """
    n = _size(draw, "n_rows", n_rows, max_size)
    k = _size(draw, "n_columns", n_columns, max_size)
    # One draw of bytes for a whole table: one for each number takes five times as long.
    size = n * (k + 1)
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(n, -1)
    weights = WEIGHTS[raw[:, 1:]]
    weights[weights < as_number("smallest", smallest, low=0, high=1)] = 0
    # The first byte of a row keeps its sum above 0, and says whether it repeats another.
    weights[np.arange(n), raw[:, 0] % k] = 1
    weights = weights[np.where(raw[:, 0] < 160, np.arange(n), raw[:, 0] % n)]
    return frozen(weights / weights.sum(axis=1, keepdims=True))


@st.composite
def models(
    draw: st.DrawFn,
    n_x: int | None = None,
    n_z: int | None = None,
    *,
    max_size: int = 5,
    smallest: float = SMALLEST,
) -> Model:
    """Draw models: p, e, d and m independently, so D and R may be +∞.

    Parameters
    ----------
    n_x, n_z : int, optional
        Number of symbols and of latents; what is not given varies from 1 to `max_size`.
    max_size : int
        Largest number of symbols or latents drawn.
    smallest : float
        Least positive weight, as in `distributions`.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of `toyrd.Model`.

    Raises
    ------
    ValueError, TypeError
        When drawn from, as for `distributions`.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(models())
    ... def information_is_bounded(model):
    ...     assert model.H - model.D - 1e-12 <= model.I <= model.R + 1e-12
    >>> information_is_bounded()

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), equation 4.
    """
    n_x, n_z = _size(draw, "n_x", n_x, max_size), _size(draw, "n_z", n_z, max_size)
    p, m = (draw(distributions(n, smallest=smallest)) for n in (n_x, n_z))
    e = draw(tables(n_x, n_z, smallest=smallest))
    return Model(p, e, draw(tables(n_z, n_x, smallest=smallest)), m)


@st.composite
def sources(
    draw: st.DrawFn,
    n_x: int | None = None,
    k: int | None = None,
    *,
    max_size: int = 5,
    smallest: float = SMALLEST,
) -> Source:
    """Draw sources p(x) = Σ p(z*) p(x|z*), some with components that are equal or never used.

    Parameters
    ----------
    n_x, k : int, optional
        Number of symbols and of components; what is not given varies from 1 to `max_size`.
    max_size : int
        Largest number of symbols or components drawn.
    smallest : float
        Least positive weight, as in `distributions`.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of `toyrd.sources.Source`.

    Raises
    ------
    ValueError, TypeError
        When drawn from, as for `distributions`.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(sources(n_x=4, k=2))
    ... def separation_is_a_distance(source):
    ...     e = source.true_model().e
    ...     assert 0 <= source.separation(e) <= 1 + 1e-12
    >>> separation_is_a_distance()

    References
    ----------
    MacIver et al., *Hypothesis: A new approach to property-based testing* (2019).
    """
    n_x, k = _size(draw, "n_x", n_x, max_size), _size(draw, "k", k, max_size)
    p_z = draw(distributions(k, smallest=smallest))
    return Source(p_z, draw(tables(k, n_x, smallest=smallest)))


def _size(draw: st.DrawFn, name: str, size: int | None, max_size: int) -> int:
    """Return the size given, or draw one."""
    return draw(st.integers(1, max_size)) if size is None else as_count(name, size)
