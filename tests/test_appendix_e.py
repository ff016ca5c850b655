"""Appendix E: exact gradients, what training reaches on the toy, and how it fails."""

import inspect
import math
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from toyrd import ConvergenceWarning, Model, empirical, kl_divergence, toy_source
from toyrd.appendix_e import Aim, AppendixE, train, train_all
from toyrd.curve import Status
from toyrd.testing import distributions, models

law = settings(max_examples=25)
decoders = st.sampled_from(["output", "latent"])
seeds = st.integers(0, 2**32 - 1)
aims = st.one_of(
    st.builds(Aim, st.just("none"), weight=st.sampled_from([0.0, 0.3, 1.0, 2.5])),
    st.builds(
        Aim,
        st.sampled_from(["absolute", "squared"]),
        rate=st.sampled_from([0.0, 0.5, 3.0]),
        weight=st.sampled_from([0.5, 1.0, 10.0]),
    ),
)
TOY = toy_source()
P = [0.5, 0.25, 0.25]


def slopes_of_steps(family, aim, row):
    """Differentiate the aim at a row by complex steps, exact to rounding."""
    steps = np.repeat(row[None], family.size, axis=0) + 1e-200j * np.eye(family.size)
    return aim.value(*family.descent(steps, aim.slope)[:2]).imag / 1e-200


# The gradient


@law
@given(distributions(max_size=4), st.integers(1, 4), decoders, seeds, aims)
@example(np.array([0.5, 0.0, 0.5]), 2, "output", 0, Aim("absolute", rate=0.5))
@example(np.array([1.0]), 1, "latent", 1, Aim("none", weight=1.0))
@example(np.array([1 - 1e-310, 1e-310]), 3, "output", 2, Aim("none", weight=1.0))
def test_gradients_agree_with_the_complex_step(p, n_z, decoder, seed, aim):
    family = AppendixE(p, n_z=n_z, decoder=decoder, scale=1.5)
    row = family.start(1, spread=1.5, rng=seed)
    gradient = family.descent(row, aim.slope)[2][0]
    assert gradient == pytest.approx(slopes_of_steps(family, aim, row[0]), rel=1e-9, abs=1e-11)


def objective_in_fifty_digits(family, row, beta):
    """D + βR of an output-indexed family from its definition, digit by digit."""
    (w, b), (v, c), logits = (part[0] for part in family.split(np.array(row)[None]))
    inputs = [[Decimal(i) / Decimal(max(n - 1, 1)) for i in range(n)] for n in (3, 2)]

    def normalised(logits):
        total = sum(one.exp() for one in logits)
        return [one.exp() / total for one in logits]

    e = [normalised([-((w[z] * x - b[z]) ** 2) for z in range(2)]) for x in inputs[0]]
    d = [normalised([-((v[x] * z - c[x]) ** 2) for x in range(3)]) for z in inputs[1]]
    m = normalised(logits)
    terms = (
        Decimal(family.p[x]) * e[x][z] * (beta * (e[x][z] / m[z]).ln() - d[z][x].ln())
        for x in range(3)
        for z in range(2)
    )
    return sum(terms)


@pytest.mark.parametrize("beta", [0.25, 2.0])
def test_values_and_gradients_agree_with_fifty_digits(beta):
    family = AppendixE(P, n_z=2)
    row = family.start(1, spread=1.0, rng=3)[0]
    D, R, gradient = (part[0] for part in family.descent(row[None], lambda _: beta))
    with localcontext(Context(prec=50)):
        exact, h = [Decimal(one) for one in row], Decimal("1e-20")
        price = Decimal(beta)
        value = float(objective_in_fifty_digits(family, exact, price))
        assert value == pytest.approx(D + beta * R, rel=1e-14)
        for i in range(family.size):
            ends = []
            for sign in (1, -1):
                moved = [one + sign * h * (i == j) for j, one in enumerate(exact)]
                ends.append(objective_in_fifty_digits(family, moved, price))
            slope = float((ends[0] - ends[1]) / (2 * h))
            assert gradient[i] == pytest.approx(slope, rel=1e-13, abs=1e-15)


@law
@given(distributions(), st.integers(1, 5), decoders, seeds, st.sampled_from([0.3, 1.0, 3.0]))
def test_batches_of_any_size_have_the_numbers_of_their_models(p, n_z, decoder, seed, spread):
    family = AppendixE(p, n_z=n_z, decoder=decoder)
    rows = family.start(3, spread=spread, rng=seed)
    D, R, _ = family.descent(rows, np.ones_like)
    for i, row in enumerate(rows):
        model = family.model(row)
        assert [D[i], R[i]] == pytest.approx([model.D, model.R], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("decoder", ["output", "latent"])
def test_normalisers_that_under_and_overflow_are_shifted(decoder):
    """Offsets of 40 make every exp(−u²) 0, and logits of 1000 make every exp ∞."""
    family, aim = AppendixE(P, n_z=2, decoder=decoder), Aim("none", weight=1.0)
    rows = family.start(1, rng=0)
    encoder, back, logits = family.split(rows)
    encoder[:, 1] += 40
    back[:, 1] -= 40
    logits += 1000
    D, R, gradient = family.descent(rows, aim.slope)
    model = family.model(rows[0])
    assert [D[0], R[0]] == pytest.approx([model.D, model.R], rel=1e-9)
    steps = slopes_of_steps(family, aim, rows[0])
    assert gradient[0] == pytest.approx(steps, rel=1e-9, abs=1e-9)


# The family


@law
@given(distributions(max_size=6), st.integers(1, 6), seeds)
def test_latent_decoders_have_one_mode(p, n_z, seed):
    """As printed, each row is a discretised Gaussian: it rises, then it falls."""
    family = AppendixE(p, n_z=n_z, decoder="latent")
    for row in family.model(family.start(1, spread=3.0, rng=seed)[0]).d:
        climbs = np.diff(row) > 1e-15
        assert not np.any(climbs[1:] & (np.diff(row)[:-1] < -1e-15))


def test_output_decoders_can_have_two_modes():
    model = AppendixE([0.5, 0.0, 0.5], n_z=1).model([0, 0, 0, 0, 0, 0.0, 3.0, 0.0, 0])
    assert model.d[0] == pytest.approx([0.5, 0.5 * math.exp(-9), 0.5], rel=1e-3)


def test_a_family_without_zeros_keeps_its_distortion_finite():
    """log d = −10⁴ would underflow to d = 0 and make D infinite; the floor is 5e-324."""
    model = AppendixE([0.5, 0.5], n_z=1).model([0, 0, 0, 0, 0, 100, 0])
    assert model.d.min() > 0
    assert abs(model.D - 744.44 / 2) < 0.1  # −log 4.9e-324 = 744.44


def test_parameters_are_counted_as_in_the_paper():
    assert AppendixE(TOY.p).size == 60 + 60 + 30
    assert AppendixE(TOY.p, n_z=4, decoder="latent").size == 2 * 4 + 2 * 4 + 4
    with pytest.raises(ValueError, match=r"parameters must have shape \(10,\)"):
        AppendixE([0.5, 0.5]).model(np.zeros(9))


# The bound

HALVES = Model([0.5, 0.5], np.eye(2), np.eye(2), [0.5, 0.5])
PAIRS = Model([0.25] * 4, np.eye(2)[[0, 0, 1, 1]], [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], [0.5] * 2)


@law
@given(models(), aims)
def test_no_tables_are_below_the_lower_bound(model, aim):
    assume(aim.weight or math.isfinite(model.R))
    assert aim.value(model.D, model.R) >= aim.lower_bound(model.H, model.n_z) - 1e-9


@pytest.mark.parametrize(
    ("aim", "model"),
    [
        (Aim("none", weight=0.5), HALVES),
        (Aim("none", weight=2.0), Model([0.5, 0.5], np.ones((2, 1)), [[0.5, 0.5]], [1])),
        (Aim("absolute", rate=0.5), TOY.true_model()),
        (Aim("absolute", rate=0.25), TOY.true_model()),  # above R* nothing is lost
        (Aim("absolute", rate=0.25, weight=0.5), HALVES),
        (Aim("squared", rate=0.25, weight=2.0), TOY.true_model()),  # R = R* + 1/(2λ)
        (Aim("none", weight=0.0), PAIRS),  # fewer latents than symbols: I ≤ log n_z
    ],
)
def test_the_lower_bound_is_met_where_theory_says(aim, model):
    bound = aim.lower_bound(model.H, model.n_z)
    assert aim.value(model.D, model.R) == pytest.approx(bound, abs=1e-12)


# Training on the toy: what the paper reports, and what its aims imply


def test_the_elbo_collapses_to_the_data():
    for options in ({"steps": 3000}, {"optimiser": "l-bfgs"}):
        found = train(TOY.p, beta=1, rng=0, **options)
        assert found.status is Status.LOCAL
        assert (found.target.name, found.target.value) == ("beta", 1)
        assert found.R <= 1e-3
        assert kl_divergence(TOY.p, found.g) <= 1e-3
        assert 0 <= found.gap <= 1e-3
        assert 0 <= found.H - found.lower_bound <= 4e-15 * found.H  # room for rounding


def test_a_target_rate_finds_two_clusters():
    found = train(TOY.p, rate=0.5, rng=0)
    assert (found.target.name, found.target.value) == ("rate", 0.5)
    assert abs(found.R - 0.5) <= 1e-3
    assert TOY.separation(found.e) > 0.75
    left, right = np.abs(found.x_given_x.argmax(axis=1)[None] - [[10], [19]]) <= 1
    assert np.all(left ^ right)
    assert TOY.p[right].sum() == pytest.approx(0.3, abs=0.05)
    assert 0 <= found.H - 0.5 - found.lower_bound <= 4e-15 * found.H
    assert 0 <= found.gap <= 5e-3
    assert found.beta == pytest.approx(1, abs=0.05)


def test_the_square_settles_above_its_target():
    """D falls by 1 for each nat of rate, so D + λ(R − R*)² is least at R = R* + 1/(2λ)."""
    options = {"penalty": "squared", "weight": 10, "steps": 3000, "step_size": 0.05}
    found = train(TOY.p, rate=0.5, rng=0, **options)
    assert abs(found.R - 0.55) <= 1e-3
    assert found.beta == pytest.approx(1, abs=1e-2)


# Training in general


@law
@given(distributions(max_size=4), st.integers(1, 4), decoders, seeds)
@example(np.array([1.0]), 1, "output", 0)
@example(empirical(TOY.p, 50, rng=0), 5, "output", 0)
def test_training_goes_down_and_stays_above_the_bound(p, n_z, decoder, seed):
    """With zeros in p, one symbol, one latent and n_x ≠ n_z."""
    options = {"n_z": n_z, "decoder": decoder, "steps": 30, "step_size": 1e-3, "every": 7}
    for aim in ({"beta": 0.5}, {"rate": 0.2}):
        for found in train_all(p, 2, **aim, **options, rng=seed):
            start = AppendixE(p, n_z=n_z, decoder=decoder).model(found.parameters)
            assert np.array_equal(start.e, found.e)
            assert found.objective >= found.lower_bound - 1e-12
            assert found.gap >= 0
            assert found.objective <= found.history["objective"].min() + 1e-12
            assert len(found.history) == 6  # steps 0, 7, 14, 21, 28 and 30
            assert np.all(found.history["I"] <= found.history["R"] + 1e-12)


def test_restarts_of_a_batch_are_the_runs_one_by_one():
    """In the order of one generator."""
    rng, p = np.random.default_rng(0), np.full(40, 1 / 40)
    for run in train_all(p, 13, rate=0.3, steps=20, rng=0):
        alone = train(p, rate=0.3, steps=20, rng=rng)
        assert run.parameters == pytest.approx(alone.parameters, abs=1e-9)


@pytest.mark.parametrize(("optimiser", "steps", "rows"), [("adam", 25, 4), ("l-bfgs", 1000, None)])
def test_history_and_callback_tell_how_it_went(optimiser, steps, rows):
    heard = []
    options = {"optimiser": optimiser, "steps": steps, "every": 10}
    runs = train_all(P, 3, beta=0.5, **options, rng=0, callback=lambda *told: heard.append(told))
    start = AppendixE(P).model(AppendixE(P).start(rng=0)[0])
    expected = [start.D, start.R, start.I, start.D + 0.5 * start.R]
    assert [*runs[0].history[0]] == pytest.approx(expected, abs=1e-12)
    assert rows is None or all(len(run.history) == rows for run in runs)
    last = [run.history["objective"][-1] for run in runs]
    assert last == pytest.approx([run.objective for run in runs], abs=1e-6)
    assert [count for count, _ in heard] == ([10, 20, 25] if rows else [1, 2, 3])
    assert heard[-1][1] == pytest.approx(min(run.objective for run in runs), abs=1e-12)
    assert [best for _, best in heard] == sorted((best for _, best in heard), reverse=True)


def test_results_are_read_only_and_options_are_in_both_signatures():
    found = train([0.5, 0.5], beta=0, steps=3000, rng=np.random.default_rng(0))
    assert found.objective == found.D < 0.05
    assert -1e-21 <= found.lower_bound <= 0
    with pytest.raises(ValueError, match="read-only"):
        found.parameters[0] = 0
    one, many = (inspect.signature(each).parameters for each in (train, train_all))
    assert [*one.values()] == [each for each in many.values() if each.name != "restarts"]


@law
@given(seeds, decoders, st.sampled_from(["absolute", "squared"]), st.sampled_from([0.3, 3.0, 60]))
def test_no_multiplier_is_below_0_and_none_fits_better(seed, decoder, penalty, spread):
    """∇D + β∇R is no longer than at a smaller or larger β ≥ 0."""
    family = AppendixE(P, decoder=decoder)
    options = {"penalty": penalty, "decoder": decoder, "spread": spread, "rng": seed}
    for run in train_all(P, 4, rate=0.5, steps=1, step_size=1e-6, **options):
        near, less, more = (
            np.linalg.norm(family.descent(run.parameters[None], Aim("none", weight=beta).slope)[2])
            for beta in (run.beta, max(0.9 * run.beta - 0.1, 0), 1.1 * run.beta + 0.1)
        )
        assert run.beta >= 0
        assert near <= min(less, more) * (1 + 1e-9)


def test_a_rate_that_does_not_move_has_no_multiplier():
    """With one latent R is 0 whatever the parameters."""
    assert train([0.5, 0.5], rate=0.5, n_z=1, steps=5, rng=0).beta == 0


# Failing


@pytest.mark.parametrize(("step_size", "n"), [(1e200, 2), (30.0, 2)])
def test_a_diverging_run_returns_its_best_iterate(step_size, n):
    options = {"steps": 50, "step_size": step_size, "every": 10}
    with pytest.warns(ConvergenceWarning, match=f"{n} of 2 runs.*step_size below") as caught:
        runs = train_all(P, 2, rate=0.5, **options, rng=0)
    assert len(caught) == 1
    for run in runs:
        assert run.status is Status.STOPPED
        assert run.objective <= run.history["objective"][0] + 1e-12
        assert math.isfinite(run.D + run.R)
        assert np.all(np.isfinite(run.history["objective"]))


def test_lbfgs_at_its_cap_is_stopped():
    with pytest.warns(ConvergenceWarning, match="2 of 2 runs.*L-BFGS stopped at its cap"):
        runs = train_all(TOY.p, 2, beta=1, optimiser="l-bfgs", rng=0, every=2, steps=5)
    for run in runs:
        assert run.status is Status.STOPPED
        assert len(run.history) == 4  # steps 0, 2, 4 and 5
        assert run.history["objective"][-1] == pytest.approx(run.objective, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "exactly one of beta, rate"),
        ({"beta": 1, "rate": 0.5}, ValueError, "exactly one of beta, rate"),
        ({"beta": -1}, ValueError, "beta is -1.0"),
        ({"beta": math.inf}, ValueError, "beta is inf"),
        ({"beta": "one"}, TypeError, "beta must be one number"),
        ({"rate": math.nan}, ValueError, "rate is nan"),
        ({"rate": 0.5, "penalty": "cubed"}, ValueError, "penalty is 'cubed'.*squared"),
        ({"rate": 0.5, "weight": 0}, ValueError, "weight is 0.0"),
        ({"beta": 1, "steps": 0}, ValueError, "steps is 0, but must be at least 1"),
        ({"beta": 1, "step_size": 0}, ValueError, "step_size is 0.0"),
        ({"beta": 1, "step_size": "big"}, TypeError, "step_size must be one number"),
        ({"beta": 1, "restarts": 0}, ValueError, "restarts is 0"),
        ({"beta": 1, "every": 0}, ValueError, "every is 0"),
        ({"beta": 1, "n_z": 0}, ValueError, "n_z is 0"),
        ({"beta": 1, "scale": 0}, ValueError, "scale is 0.0"),
        ({"beta": 1, "spread": -1}, ValueError, "spread is -1.0"),
        ({"beta": 1, "spread": 1e200}, ValueError, "not finite at the start.*smaller spread"),
        ({"beta": 1, "decoder": "z"}, ValueError, "decoder is 'z'.*output, latent"),
        ({"beta": 1, "optimiser": "sgd"}, ValueError, "optimiser is 'sgd'.*adam, l-bfgs"),
        ({"beta": 1, "callback": 3}, TypeError, "callback must be callable"),
        ({"beta": 1, "rng": -1}, ValueError, "rng must be a seed"),
        ({"beta": 1, "p": [0.5, 0.6]}, ValueError, "p must sum to 1"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        train_all(**{"p": [0.5, 0.5], "restarts": 1, "steps": 2, **options})
