"""The updates of a decoder family: in place and by blocks, the same as the plain ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toyrd import families
from toyrd.alternation import Alternation
from toyrd.bernoulli import BernoulliDecoder
from toyrd.families import FamilyProblem
from toyrd.gaussian import GaussianDecoder
from toyrd.images import count_images
from toyrd.testing import distributions, tables

IMAGES = (np.arange(8)[:, None] >> np.arange(3)) & 1
BETAS = st.floats(0.05, 5)


def nth(states, n):
    for _ in range(n):
        state = next(states)
    return state


def assert_same(state, plain):
    np.testing.assert_allclose(state.row, plain.row, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(state.e, plain.e, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(state.m, plain.m, rtol=1e-7, atol=1e-9)


@given(distributions(8, smallest=1e-9), tables(8, 3, smallest=1e-9), BETAS, st.booleans())
def test_updates_in_place_are_the_plain_updates(p, e, beta, free):
    family = BernoulliDecoder(IMAGES)
    task = Alternation(p, "beta", beta, family, None if free else np.full(3, 1 / 3))
    assert_same(nth(task.states(e), 3), nth(task._states(e, None), 3))


@given(distributions(6, smallest=1e-3), tables(6, 2, smallest=1e-3), BETAS)
def test_any_family_goes_through_them(p, e, beta):
    task = Alternation(p, "beta", beta, GaussianDecoder(6))
    assert_same(nth(task.states(e), 2), nth(task._states(e, None), 2))


@given(distributions(8), tables(8, 3), BETAS)
def test_a_state_is_a_model_and_every_update_lowers_its_objective(p, e, beta):
    states = FamilyProblem(p, beta, BernoulliDecoder(IMAGES)).states(e)
    rows = []
    for _ in range(4):
        state = next(states)
        rows.append(state.row)
        model = state.model()
        assert state.beta == beta
        assert abs(model.D - state.row[0]) <= 1e-9
        assert abs(model.R - state.row[1]) <= 1e-9
        assert abs(model.I - state.row[2]) <= 1e-9
    assert (np.diff([row[3] for row in rows]) <= 1e-12).all()


@given(distributions(8, smallest=1e-9), tables(8, 3, smallest=1e-9), BETAS)
def test_blocks_change_nothing(p, e, beta):
    problem = FamilyProblem(p, beta, BernoulliDecoder(IMAGES))
    whole = nth(problem.states(e), 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "BLOCK", 3)
        assert_same(nth(problem.states(e), 2), whole)


def test_latents_that_die_keep_their_parameters_and_stay_dead():
    family = BernoulliDecoder(IMAGES)
    p = np.full(8, 1 / 8)
    e = np.zeros((8, 3))
    e[:, 0] = 1
    start = np.array([[0.0] * 3, [1.0] * 3, [-2.0] * 3])
    state = nth(FamilyProblem(p, 1.0, family).states(e, start), 3)
    np.testing.assert_array_equal(state.m, [1, 0, 0])
    np.testing.assert_array_equal(state.parameters[1:], start[1:])
    np.testing.assert_array_equal(state.model().e, e)


def test_a_latent_may_die_on_the_way():
    # Two latents are certain of an image each, so the third, sure of neither, loses all.
    family = BernoulliDecoder([[0, 0], [1, 1]])
    p = np.array([0.5, 0.5, 0])
    e = np.array([[1, 0, 1e-30], [0, 1, 1e-30], [0.5, 0.5, 0]])
    states = FamilyProblem(p, 1e-3, family).states(e)
    first, last = next(states), nth(states, 2)
    assert first.m[2] > 0
    np.testing.assert_allclose(last.m, [0.5, 0.5, 0])
    assert last.row == (0, np.log(2), np.log(2), 1e-3 * np.log(2))
    np.testing.assert_array_equal(last.parameters[2], first.parameters[2])


def test_the_symbol_any_other_image_does_no_harm():
    distinct, p = count_images([[0, 0, 1], [1, 1, 1], [0, 0, 1]])
    family = BernoulliDecoder(distinct)
    e = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    state = nth(FamilyProblem(p, 0.5, family).states(e), 3)
    model = state.model()
    # A lossless code: no latent leaves mass to other images.
    assert state.row[0] == 0
    np.testing.assert_allclose(model.R, model.H, rtol=1e-12)
    np.testing.assert_array_equal(model.d[:, 2], 0)


def test_what_only_rounding_forbids_costs_nothing():
    # p e underflows at [1, 1], so the fit gives latent 1 no probability for symbol 1.
    family = BernoulliDecoder([[0], [1]])
    p = np.array([1.0, 5e-324])
    problem = FamilyProblem(p, 1.0, family, np.array([0.5, 0.5]))
    model = nth(problem.states(np.array([[0.5, 0.5], [0.5, 0.5]])), 2).model()
    assert np.isfinite([model.D, model.R]).all()
