"""The alternation: every step lowers its objective or leaves it, whatever is free."""

import math
import warnings
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import HALF, INF, SHARP_ROWS, THIRDS

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    Model,
    alternate,
    bars_and_stripes,
    best_decoder,
    best_encoder,
    best_marginal,
    count_images,
    entropy,
    solve,
    toy_source,
)
from toyrd.curve import Status
from toyrd.testing import distributions, tables

law = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=15)
IMAGES = (np.arange(8)[:, None] >> np.arange(3)) & 1
TOY = toy_source().p
PICTURES = bars_and_stripes(2)
THREE = np.array([0.5, 0.3, 0.2])
betas = st.one_of(st.sampled_from([0.0, 1e-4, 1.0, 50.0]), st.floats(0.01, 10))


def near(value, tolerance=1e-12):
    return pytest.approx(value, abs=tolerance)


def steps(p, e, n=12, **options):
    return list(islice(alternate(p, start=e, **options), n))


def assert_falls(found, room=1e-12):
    objectives = [step.objective for step in found]
    room *= 1 + max(map(abs, objectives))
    assert all(later <= earlier + room for earlier, later in pairwise(objectives))


@law
@given(distributions(smallest=1e-9), st.data(), betas)
def test_free_tables_fall_and_are_the_model_that_is_shown(p, data, beta):
    """Each step lowers D + βR ≥ min(1, β) H, and D, R, I are those of the tables."""
    found = steps(p, data.draw(tables(p.size, smallest=1e-9)), beta=beta)
    assert_falls(found)
    for step in (found[0], found[-1]):
        model = Model(step.p, step.e, step.d, step.m)
        assert near((model.D, model.R, model.I)) == (step.D, step.R, step.I)
        assert step.objective == near(model.D + beta * model.R)
        assert step.objective >= min(1.0, beta) * entropy(p) - 1e-12
        assert step.beta == beta
        assert step.lower_bound <= step.objective


@law
@given(distributions(smallest=1e-9), st.data(), betas, st.booleans())
def test_what_is_fixed_stays(p, data, beta, with_marginal):
    """A fixed decoder, or decoder and marginal; the certified optimum is never beaten."""
    d = data.draw(tables(n_columns=p.size, smallest=1e-9))
    assume(((d > 0).any(axis=0) | (p == 0)).all())
    m = data.draw(distributions(len(d), smallest=1e-9)) if with_marginal else None
    assume(m is None or ((d[m > 0] > 0).any(axis=0) | (p == 0)).all())
    e = 0.5 * data.draw(tables(p.size, len(d), smallest=1e-9)) + 0.5 / len(d)
    found = steps(p, e, beta=beta, decoder=d, marginal=m)
    assert_falls(found)
    assert (found[-1].d == d).all()
    assert m is None or found[-1].m == near(m, 1e-15)
    best = solve(p, beta=beta, decoder=d, marginal=m)
    assert found[-1].objective >= best.lower_bound - 1e-12
    assert found[-1].gap >= found[-1].objective - best.objective - 1e-12


@law
@given(distributions(smallest=1e-3), st.data(), st.floats(0.02, 0.9), st.sampled_from("RD"))
def test_a_target_holds_while_the_other_number_falls(p, data, share, kind):
    """Once R (or D) is within its target it stays so, and each step lowers D (or R)."""
    e = data.draw(tables(p.size, smallest=1e-3))
    aim = share * min(entropy(p), math.log(e.shape[1]))
    target = {"rate": aim} if kind == "R" else {"distortion": entropy(p) - aim}
    limit = next(iter(target.values())) + 1e-10
    found = steps(p, e, **target)
    within = [(step.R if kind == "R" else step.D) <= limit for step in found]
    if any(within):  # a decoder that loses support may leave R below its target, never above
        first = within.index(True)
        assert all(within[first:])
        assert_falls(found[first:], 1e-9)
    assert found[-1].objective == (found[-1].D if kind == "R" else found[-1].R)


@few
@given(distributions(8, smallest=1e-9), st.data(), st.sampled_from([0.0, 1e-4, 0.3, 1.0, 3.0]))
def test_bernoulli_rows_fall_too(p, data, beta):
    """Every iteration is a model with the rows of its parameters."""
    family = BernoulliDecoder(IMAGES)
    found = steps(p, data.draw(tables(8, 3, smallest=1e-9)), beta=beta, decoder=family)
    assert_falls(found)
    step = found[-1]
    assert step.parameters.shape == (3, 3)
    live = step.m > 0
    rows = np.exp(family.log_rows(step.parameters))
    np.testing.assert_allclose(step.d[live], rows[live], atol=1e-12)
    model = Model(step.p, step.e, step.d, step.m)
    assert near((model.D, model.R), 1e-9) == (step.D, step.R)


@few
@given(distributions(6, smallest=1e-3), tables(6, 2, smallest=1e-3), st.floats(0.05, 5))
def test_gaussian_rows_fall_too(p, e, beta):
    found = steps(p, e, beta=beta, decoder=GaussianDecoder(6), n=6)
    assert_falls(found)
    assert found[-1].parameters.shape == (2, 2)


@pytest.mark.parametrize("decoder", [None, BernoulliDecoder(IMAGES)])
@pytest.mark.parametrize("marginal", [None, np.full(3, 1 / 3)])
def test_one_iteration_is_the_three_best_responses(decoder, marginal):
    """m ← e(z), then e ∝ m d^(1/β), then d: by the public functions."""
    rng = np.random.default_rng(0)
    p, e = rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(3), size=8)
    first, second = steps(p, e, n=2, beta=0.7, decoder=decoder, marginal=marginal)

    def decoded(e):
        if decoder is None:
            return best_decoder(p, e)
        return np.exp(decoder.log_rows(decoder.fit((p[:, None] * e).T, None)))

    d = decoded(e)
    for step in (first, second):
        m = best_marginal(p, e) if marginal is None else marginal
        e = best_encoder(d, m, 0.7)
        d = decoded(e)
        assert step.m == near(m)
        assert step.e == near(e)
        assert step.d == near(d)


@pytest.mark.parametrize("name", ["rate", "distortion"])
def test_a_family_meets_a_target(name):
    """The rate or the distortion is met with pixel means for rows."""
    p = np.array([0.4, 0.1, 0.1, 0.4])
    e = np.random.default_rng(1).dirichlet(np.ones(2), size=4)
    target = {"rate": 0.2, "distortion": entropy(p) - 0.15}[name]
    family = BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]])
    solution = solve(p, decoder=family, start=e, tol=1e-6, **{name: target})
    reached = solution.R if name == "rate" else solution.D
    assert target - (1e-10 if name == "rate" else 1e-5) <= reached <= target + 1e-10
    assert (np.diff(solution.history["objective"]) <= 1e-12).all()
    assert solution.objective >= solution.lower_bound


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.69])
def test_a_rate_is_met_with_a_fixed_marginal_and_a_free_decoder(rate):
    """R = R*, and no tables have D < H − R."""
    solution = solve(THIRDS, rate=rate, marginal=[0.5, 0.5], start="random")
    assert near(rate, 1e-10) == solution.R
    assert entropy(THIRDS) - solution.R - 1e-12 <= solution.D
    assert solution.gap >= solution.D - (entropy(THIRDS) - rate)


@pytest.mark.parametrize("start", ["smooth", "random", np.full((3, 3), 1 / 3)])
@pytest.mark.parametrize(
    "target", [{"beta": 0.8}, {"rate": 0.1}, {"distortion": 0.95}, {"beta": INF}, {"rate": 0}]
)
def test_a_search_for_a_fixed_decoder_is_measured_against_the_optimum(target, start):
    """Its gap is at least its distance from the certified answer."""
    best = solve(THIRDS, decoder=SHARP_ROWS, **target)
    local = solve(THIRDS, decoder=SHARP_ROWS, start=start, rng=3, **target)
    assert local.objective >= best.objective - 1e-9
    assert local.lower_bound <= best.objective + 1e-12
    assert local.gap >= local.objective - best.objective - 1e-12
    assert local.converged


def test_a_fixed_marginal_alternates():
    """The decoder is free: local, at best D + R = H."""
    solution = solve(THIRDS, marginal=THIRDS, beta=1, rng=0)
    assert solution.converged
    assert entropy(THIRDS) - 1e-12 <= solution.D + solution.R
    assert (np.diff(solution.history["objective"]) <= 1e-15).all()
    assert solution.m == pytest.approx(THIRDS)


def test_local_search_never_beats_the_global_optimum_of_its_family():
    family = GaussianDecoder(8)
    p = np.random.default_rng(3).dirichlet(np.ones(8))
    best = solve(p, beta=1.2, decoder=family)
    for seed in range(2):
        run = solve(p, beta=1.2, decoder=family, n_z=3, rng=seed, starts=1, tol=1e-6)
        assert run.objective >= best.lower_bound
        assert run.gap >= run.objective - best.objective - 1e-8
        assert run.parameters.shape == (3, 2)


# Starts


@pytest.mark.parametrize(
    "target", [{"beta": 1}, {"beta": 1.5}, {"rate": 0.5}, {"distortion": 2.5}]
)
def test_newton_takes_few_rows_where_updates_crawl(target, monkeypatch):
    """As low as 600 updates or lower, at the target, after some thirty; at H nothing is left."""
    options = {"decoder": GaussianDecoder(), "n_z": 5, "starts": 2, **target}
    found = solve(TOY, **options)
    assert found.iterations <= 300
    perfect = target in ({"beta": 1}, {"rate": 0.5})
    assert found.status is (Status.CERTIFIED if perfect else Status.LOCAL)
    assert "rate" not in target or near(0.5, 1e-10) == found.R
    monkeypatch.setattr("toyrd.alternation.LONG", 10**9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        slow = solve(TOY, **options, max_iter=600)
    assert found.objective <= slow.objective + 1e-9
    np.testing.assert_array_less(np.diff(found.history["objective"]), 1e-12)


def test_a_step_of_newtons_that_leads_up_is_not_taken(monkeypatch):
    """The search goes on by updates alone."""
    options = {"beta": 1, "decoder": GaussianDecoder(), "n_z": 5, "starts": 2, "max_iter": 100}

    def worse(polish, m, theta):
        return (m, np.clip(theta + 3, *polish.family.box)), 0.0

    monkeypatch.setattr("toyrd.alternation.Polish.run", worse)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        found = solve(TOY, **options)
    monkeypatch.setattr("toyrd.alternation.LONG", 10**9)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        plain = solve(TOY, **options)
    assert found.iterations == plain.iterations == 100
    assert found.objective == plain.objective


def test_a_search_takes_no_more_steps_than_are_allowed():
    """Newton's count as well."""
    options = {"decoder": GaussianDecoder(), "n_z": 5, "starts": 2, "max_iter": 40}
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        assert solve(TOY, beta=1, **options).iterations == 40


def test_a_symbol_that_no_row_can_make_has_no_part_in_the_rate():
    """e is m there, D = ∞, and R is that of the tables."""

    class Blind:
        n_x = 3

        def log_rows(self, theta):
            return np.log([[0.75, 0.25], [0.25, 0.75]]) @ np.eye(2, 3) + [0, 0, -INF]

        def fit(self, joint, theta):
            return np.zeros((2, 1))

    (step,) = steps(
        THREE, np.eye(3)[:, [0, 1]] + [[0, 0], [0, 0], [1, 0]], 1, beta=1, decoder=Blind()
    )
    np.testing.assert_array_equal(step.e[2], step.m)
    assert step.D == INF
    assert near(float(THREE[:2] @ (step.e * np.log(step.e / step.m)).sum(axis=1)[:2])) == step.R
    assert step.R > 0.05
    assert step.lower_bound == -INF


@pytest.mark.parametrize("faint", [1e-300, 5e-324])
def test_the_rate_of_a_faint_marginal_is_that_of_its_tables(faint):
    """R = −½ log m(1), 345 or 372 nats."""
    (step,) = steps(HALF, np.eye(2), 1, beta=1, decoder=np.eye(2), marginal=[1, faint])
    assert pytest.approx(-0.5 * np.log(faint), rel=1e-12) == step.R


def test_of_starts_that_tie_one_that_has_settled_is_kept(monkeypatch):
    """One start meets its bound while others, as good to 1e-9 and of less R, still move."""
    monkeypatch.setattr("toyrd.alternation.LONG", 100)
    found = solve(TOY, rate=0.5, decoder=GaussianDecoder(), n_z=5, rng=2)
    assert found.status is Status.CERTIFIED


def test_of_several_random_starts_the_best_is_kept():
    """min over starts, the first of them the same whatever their number."""
    several = {"decoder": BernoulliDecoder(PICTURES.images), "n_z": 6, "beta": 1.2}
    found = [solve(PICTURES.p, starts=n, **several).objective for n in (1, 2, 4)]
    assert found[0] >= found[1] - 1e-9 >= found[2] - 2e-9
    assert found[2] == solve(PICTURES.p, **several).objective  # 4 is the default


@pytest.mark.parametrize("beta", [1.2, 3.0])
def test_a_local_search_at_a_price_is_never_worse_than_silence(beta):
    """R = 0 with one row is always possible, whatever the number of latents."""
    family = BernoulliDecoder(PICTURES.images)
    silent = solve(PICTURES.p, beta=beta, decoder=family, n_z=1)
    many = solve(PICTURES.p, beta=beta, decoder=family, n_z=5)
    assert many.objective <= silent.objective + 1e-12


def test_an_infinite_price_forgets_everything():
    """At β = ∞ the encoder is the marginal, and the objective is D = H."""
    solution = solve(THREE, beta=INF, start="random", rng=0)
    assert near(0, 1e-15) == solution.R
    assert solution.objective == pytest.approx(entropy(THREE))
    assert solution.gap <= 1e-12


def test_the_callback_hears_of_every_iteration():
    heard = []
    e = [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]
    solution = solve(THREE, beta=0.5, start=e, callback=lambda *news: heard.append(news))
    assert [iteration for iteration, _ in heard] == list(range(1, solution.iterations + 1))
    assert [objective for _, objective in heard] == solution.history["objective"].tolist()
    found = steps(THREE, e, n=solution.iterations, beta=0.5)
    assert [step.objective for step in found] == solution.history["objective"].tolist()


def test_a_bound_that_is_met_ends_the_run():
    """At β = 1 every encoder is optimal: the answer comes at once, certified."""
    solution = solve(HALF, beta=1.0, start=np.eye(2))
    assert solution.iterations <= 2
    assert solution.status is Status.CERTIFIED


# What underflows, and what dies


@pytest.mark.parametrize("mass", [1e-100, 1e-200, 1e-300])
@pytest.mark.parametrize("fixed", [{}, {"marginal": [0.7, 0.3]}])
def test_where_products_underflow_the_decoder_still_allows_them(mass, fixed):
    """p(x) e(z|x) > 0 in exact numbers means d(x|z) > 0, so D stays what the search found."""
    solution = solve([1.0, mass], beta=0.5, start=[[1.0, 1e-100], [0.5, 0.5]], **fixed)
    assert near(solution.history["D"][-1], 1e-90) == solution.model.D


def test_what_only_rounding_forbids_costs_nothing():
    """p e underflows at [1, 1], so the fit gives latent 1 no probability for symbol 1."""
    found = steps(
        [1.0, 5e-324], np.full((2, 2), 0.5), n=2, beta=1.0, marginal=HALF,
        decoder=BernoulliDecoder([[0], [1]]),
    )  # fmt: skip
    model = found[-1].model
    assert np.isfinite([model.D, model.R]).all()


def test_latents_that_die_stay_dead():
    """Two latents are certain of an image each, so the third, sure of neither, loses all."""
    dead = steps(THREE, [[1.0, 0, 0]] * 3, n=3, beta=0.5)[-1]
    assert dead.m.tolist() == [1, 0, 0]
    e = np.array([[1, 0, 1e-30], [0, 1, 1e-30], [0.5, 0.5, 0]])
    family = BernoulliDecoder([[0, 0], [1, 1]])  # the last symbol is any other image
    found = steps([0.5, 0.5, 0], e, n=3, beta=1e-3, decoder=family)
    assert found[0].m[2] > 0
    np.testing.assert_allclose(found[-1].m, [0.5, 0.5, 0])
    assert near((0, np.log(2))) == (found[-1].D, found[-1].R)


def test_the_symbol_any_other_image_does_no_harm():
    """A lossless code: no latent leaves mass to other images."""
    distinct, p = count_images([[0, 0, 1], [1, 1, 1], [0, 0, 1]])
    family = BernoulliDecoder(distinct)
    step = steps(p, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], n=3, beta=0.5, decoder=family)[-1]
    assert near(0) == step.D
    assert near(step.H) == step.R
    np.testing.assert_array_equal(step.d[:, 2], 0)
