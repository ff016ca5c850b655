"""The alternation: every step lowers its objective or leaves it, whatever is free."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toyrd import BernoulliDecoder, best_decoder, best_encoder, best_marginal, entropy, solve
from toyrd.alternation import Alternation, expectation, settle
from toyrd.model import Model
from toyrd.testing import distributions, tables

INF = math.inf
law = settings(deadline=None, max_examples=40)
IMAGES = [[0, 0], [0, 1], [1, 0], [1, 1]]
betas = st.one_of(st.sampled_from([0.0, 1e-4, 1.0, 50.0]), st.floats(0.01, 10))


def falls(rows, room=1e-12):
    return (np.diff([row[3] for row in rows]) <= room * (1 + max(abs(r[3]) for r in rows))).all()


def run(task, e, max_iter=30):
    return settle(task.states(e), tol=1e-12, max_iter=max_iter)


@law
@given(distributions(smallest=1e-9), st.data(), betas)
def test_free_tables_at_a_beta(p, data, beta):
    """Every step lowers D + βR, and the row is that of the tables with their own formulas."""
    e = data.draw(tables(p.size, smallest=1e-9))
    task = Alternation(p, "beta", beta)
    state, rows, _ = run(task, e)
    assert falls(rows)
    model = task.model(state)
    D, R, information, objective = rows[-1]
    assert (pytest.approx(model.D, abs=1e-12), pytest.approx(model.R, abs=1e-12)) == (D, R)
    assert information == pytest.approx(model.I, abs=1e-12)
    assert objective == pytest.approx(D + beta * R, abs=1e-12)
    assert objective >= min(1.0, beta) * entropy(p) - 1e-12


@law
@given(distributions(smallest=1e-9), st.data(), betas, st.booleans())
def test_a_fixed_decoder_or_marginal_at_a_beta(p, data, beta, with_marginal):
    """What is fixed stays, and the objective falls."""
    d = data.draw(tables(n_columns=p.size, smallest=1e-9))
    assume(((d > 0).any(axis=0) | (p == 0)).all())
    m = data.draw(distributions(len(d), smallest=1e-9)) if with_marginal else None
    assume(m is None or ((d[m > 0] > 0).any(axis=0) | (p == 0)).all())
    e = data.draw(tables(p.size, len(d), smallest=1e-9))
    e = 0.5 * e + 0.5 / len(d)
    task = Alternation(p, "beta", beta, d, m)
    state, rows, _ = run(task, e)
    assert falls(rows)
    model = task.model(state)
    assert (model.d == d).all()
    assert m is None or (model.m == m).all()


@law
@given(distributions(smallest=1e-3), st.data(), st.floats(0.02, 0.9), st.sampled_from("RD"))
def test_a_target_holds_while_the_other_number_falls(p, data, share, kind):
    """Once R (or D) is within its target it stays so, and each step lowers D (or R)."""
    e = data.draw(tables(p.size, smallest=1e-3))
    H = entropy(p)
    aim = share * min(H, math.log(e.shape[1]))
    name, target = ("rate", aim) if kind == "R" else ("distortion", H - aim)
    state, rows, _ = run(Alternation(p, name, target), e)
    within = [(R if kind == "R" else D) <= target + 1e-10 for D, R, _, _ in rows]
    if any(within):  # a decoder that loses support may leave R below its target, never above
        first = within.index(True)
        assert all(within[first:])
        assert falls(rows[first:], 1e-9)
    assert state.objective == rows[-1][0 if kind == "R" else 1]


@settings(deadline=None, max_examples=20)
@given(distributions(4, smallest=1e-9), st.data(), st.sampled_from([0.0, 1e-4, 0.3, 1.0, 3.0]))
def test_a_family_at_a_beta(p, data, beta):
    """Bernoulli rows with their closed-form update, and β below the reach of the fast path."""
    e = data.draw(tables(4, smallest=1e-9))
    task = Alternation(p, "beta", beta, BernoulliDecoder(IMAGES))
    state, rows, _ = run(task, e)
    assert falls(rows)
    model = task.model(state)
    assert model.D + beta * model.R == pytest.approx(rows[-1][3], abs=1e-9)
    assert state.parameters.shape == (e.shape[1], 2)


@pytest.mark.parametrize("name", ["rate", "distortion"])
def test_a_family_at_a_target(name):
    """The rate or the distortion is met with pixel means for rows."""
    p = np.array([0.4, 0.1, 0.1, 0.4])
    e = np.random.default_rng(1).dirichlet(np.ones(2), size=4)
    target = {"rate": 0.2, "distortion": entropy(p) - 0.15}[name]
    solution = solve(p, decoder=BernoulliDecoder(IMAGES), start=e, tol=1e-6, **{name: target})
    reached = solution.model.R if name == "rate" else solution.model.D
    assert reached <= target + 1e-10  # the last decoder step may lower D a little further
    assert reached >= target - (1e-10 if name == "rate" else 1e-5)
    assert (np.diff(solution.history["objective"]) <= 1e-12).all()
    assert solution.objective >= solution.lower_bound


def test_one_iteration_is_the_three_best_responses():
    """m ← e(z), then e, then d, by the public functions."""
    p = np.array([0.5, 0.3, 0.2])
    e = np.random.default_rng(0).dirichlet(np.ones(2), size=3)
    d, m = best_decoder(p, e), best_marginal(p, e)
    after = best_encoder(d, m, 0.7)
    task = Alternation(p, "beta", 0.7)
    state, rows, converged = run(task, e, max_iter=1)
    model = task.model(state)
    assert model.m == pytest.approx(m)
    assert model.e == pytest.approx(after)
    assert model.d == pytest.approx(best_decoder(p, after))
    assert len(rows) == 1
    assert not converged


def test_collapse_and_the_limit_of_beta():
    """At β = ∞ the encoder is the marginal, and the objective is D."""
    p = np.array([0.5, 0.3, 0.2])
    solution = solve(p, beta=INF, start="random", rng=0)
    model = solution.model
    assert pytest.approx(0, abs=1e-15) == model.R
    assert solution.objective == pytest.approx(entropy(p))
    assert solution.gap <= 1e-12


def test_the_callback_hears_of_every_iteration():
    heard = []
    p, e, hear = [0.5, 0.3, 0.2], [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]], heard.append
    solution = solve(p, beta=0.5, start=e, callback=lambda *news: hear(news))
    assert [iteration for iteration, _ in heard] == list(range(1, solution.iterations + 1))
    assert [objective for _, objective in heard] == solution.history["objective"].tolist()


def test_a_bound_that_is_met_ends_the_run():
    """With the optimum known, the first iteration that reaches it is the last."""
    p = np.array([0.5, 0.5])
    _, rows, converged = settle(
        Alternation(p, "beta", 1.0).states(np.eye(2)), tol=1e-12, max_iter=9, bound=entropy(p)
    )
    assert (len(rows), converged) == (1, True)


def test_a_pair_of_mass_zero_costs_nothing():
    assert expectation(np.array([[0.5, 0.0]]), np.array([[2.0, INF]])) == 1.0
    assert expectation(np.array([[0.5, 0.5]]), np.array([[2.0, INF]])) == INF


def test_a_model_of_the_state_is_valid():
    """Also with a latent that dies on the way."""
    p = np.array([0.5, 0.5])
    e = np.array([[1.0, 0.0], [1.0, 0.0]])
    task = Alternation(p, "beta", 0.5)
    state, _, _ = run(task, e)
    assert isinstance(task.model(state), Model)
    assert state.m.tolist() == [1, 0]


@pytest.mark.parametrize("mass", [1e-100, 1e-200, 1e-300])
@pytest.mark.parametrize("fixed", [{}, {"marginal": [0.7, 0.3]}])
def test_where_products_underflow_the_decoder_still_allows_them(mass, fixed):
    """p(x) e(z|x) > 0 in exact numbers means d(x|z) > 0, so D stays what the search found."""
    p, e = [1.0, mass], [[1.0, 1e-100], [0.5, 0.5]]
    solution = solve(p, beta=0.5, start=e, **fixed)
    assert pytest.approx(solution.history["D"][-1], abs=1e-90) == solution.model.D
