"""The strategies reach the awkward cases that they promise, and only legal tables."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from toyrd.testing import distributions, models, sources, tables

law = settings(max_examples=50)
search = settings(phases=[Phase.generate], max_examples=5000, database=None)


@pytest.mark.parametrize(
    ("strategy", "awkward"),
    [
        (distributions(), lambda p: p.size == 1),
        (distributions(), lambda p: p.size > 1 and (p == 0).any()),
        (distributions(), lambda p: ((p > 0) & (p < 2.2e-308)).any()),
        (distributions(), lambda p: np.unique(p[p > 0]).size < (p > 0).sum()),
        (distributions(5), lambda p: np.unique(p).size == 5),
        (tables(), lambda e: e.shape[0] < e.shape[1]),
        (tables(), lambda e: e.shape[0] > e.shape[1] > 1),
        (tables(3, 4), lambda e: (e[0] == e[2]).all() and (e[0] != e[1]).all()),
        (models(), lambda model: model.n_z == 1 < model.n_x),
        (models(), lambda model: model.n_x == 1 < model.n_z),
        (models(), lambda model: model.D == np.inf > model.R),
        (models(), lambda model: model.R == np.inf > model.D),
        (models(n_x=3), lambda model: model.n_z > 3 and model.elbo > -np.inf),
        (models(), lambda m: ((m.e > 0) & (m.p > 0)[:, None] & (m.p[:, None] * m.e == 0)).any()),
        (sources(), lambda source: (source.p_z == 0).any()),
        (sources(k=2), lambda source: (source.p == 0).any()),
    ],
)
def test_awkward_cases_are_found(strategy, awkward):
    assert awkward(find(strategy, awkward, settings=search))


@law
@given(st.data(), *[st.integers(1, 9)] * 2)
def test_shapes_are_those_asked_for_and_arrays_are_read_only(data, n, k):
    """Every strategy takes its sizes, and sums are 1 within rounding."""
    p, e = data.draw(distributions(n)), data.draw(tables(n, k))
    model, source = data.draw(models(n, k)), data.draw(sources(n, k))
    assert (p.shape, e.shape) == ((n,), (n, k))
    assert (model.n_x, model.n_z, source.p_x_given_z.shape) == (n, k, (k, n))
    for table in (p, e):
        assert not table.flags.writeable
        assert np.abs(table.sum(axis=-1) - 1).max() <= 1e-15
    assert data.draw(tables(max_size=2)).size <= 4


@law
@given(models(smallest=1e-9))
def test_the_smallest_weight_is_kept(model):
    """No probability lies between 0 and `smallest` / n."""
    for table in (model.p, model.e, model.d, model.m):
        assert table[table > 0].min() >= 1e-9 / 5


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (distributions(0), ValueError, "n is 0, but must be at least 1"),
        (distributions(1.5), TypeError, "n must be an integer, not 1.5"),
        (tables(n_columns=0), ValueError, "n_columns is 0"),
        (models(n_z=-1), ValueError, "n_z is -1"),
        (sources(k="2"), TypeError, "k must be an integer, not '2'"),
        (tables(smallest=2), ValueError, r"smallest is 2.0, but must lie in \[0, 1\]"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(strategy, error, message):
    with pytest.raises(error, match=message):
        find(strategy, lambda _: True, settings=search)


def test_the_package_imports_neither_hypothesis_nor_matplotlib():
    code = "import toyrd, sys; sys.exit(bool({'hypothesis', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
