"""Appendix E: exact gradients, what training reaches on the toy, and how it fails."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from toyrd.quadratic import Gradients
from toyrd.solution import ConvergenceWarning

from toyrd import kl_divergence
from toyrd.appendix_e import Aim, AppendixE, Batch, adam, train, train_all
from toyrd.model import Model
from toyrd.sources import empirical, toy_source
from toyrd.testing import distributions, models

law = settings(deadline=None, max_examples=25)
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


def gradient_of(family, aim, parameters):
    engine = Gradients(family, parameters)
    _, R = engine.forward()
    return engine.backward(aim.slope(R)).copy()


def values_of(family, aim, parameters):
    return aim.value(*Gradients(family, parameters).forward())


@pytest.fixture(scope="module")
def toy():
    return toy_source()


# The engine


@law
@given(distributions(max_size=4), st.integers(1, 4), decoders, seeds, aims)
@example(np.array([0.5, 0.0, 0.5]), 2, "output", 0, Aim("absolute", rate=0.5))
@example(np.array([1.0]), 1, "latent", 1, Aim("none", weight=1.0))
@example(np.array([1 - 1e-310, 1e-310]), 3, "output", 2, Aim("none", weight=1.0))
def test_gradients_agree_with_the_complex_step(p, n_z, decoder, seed, aim):
    family = AppendixE(p, n_z=n_z, decoder=decoder, scale=1.5)
    parameters = family.start(1, spread=1.5, rng=seed)
    steps = np.repeat(parameters, family.size, axis=0) + 1e-200j * np.eye(family.size)
    derivative = values_of(family, aim, steps).imag / 1e-200
    assert gradient_of(family, aim, parameters)[0] == pytest.approx(
        derivative, rel=1e-9, abs=1e-11
    )


@law
@given(distributions(max_size=4), st.integers(1, 4), decoders, seeds, aims)
def test_gradients_agree_with_central_differences(p, n_z, decoder, seed, aim):
    family = AppendixE(p, n_z=n_z, decoder=decoder)
    parameters, h = family.start(1, spread=0.7, rng=seed), 1e-5
    R = Gradients(family, parameters).forward()[1][0]
    assume(aim.penalty != "absolute" or abs(R - aim.rate) > 1e-3)  # not across the kink
    steps = h * np.eye(family.size)
    ahead, behind = (values_of(family, aim, parameters + s * steps) for s in (1, -1))
    assert gradient_of(family, aim, parameters)[0] == pytest.approx(
        (ahead - behind) / (2 * h), rel=1e-6, abs=1e-8
    )


@law
@given(distributions(), st.integers(1, 5), decoders, seeds, st.sampled_from([0.3, 1.0, 3.0]))
def test_the_engine_sees_the_numbers_of_the_model(p, n_z, decoder, seed, spread):
    """D, R and I of the batch are those of each row's tables."""
    family = AppendixE(p, n_z=n_z, decoder=decoder)
    engine = Gradients(family, family.start(3, spread=spread, rng=seed))
    D, R = engine.forward()
    information = engine.information(R)
    for i, row in enumerate(engine.parameters):
        model = family.model(row)
        near = pytest.approx([model.D, model.R, model.I], rel=1e-9, abs=1e-9)
        assert [D[i], R[i], information[i]] == near


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
@pytest.mark.parametrize("decoder", ["output", "latent"])
def test_normalisers_that_under_and_overflow_are_shifted(decoder):
    """Offsets of 40 make every exp(−u²) 0, and logits of 1000 make every exp ∞."""
    family = AppendixE([0.5, 0.25, 0.25], n_z=2, decoder=decoder)
    near, far = family.start(2, rng=0)
    encoder, back, logits = family.split(far[None])
    encoder[:, 1] += 40
    back[:, 1] -= 40
    logits += 1000
    aim, rows = Aim("none", weight=1.0), np.stack([near, far])
    D, R = Gradients(family, rows).forward()
    for i, row in enumerate(rows):
        assert [D[i], R[i]] == pytest.approx([family.model(row).D, family.model(row).R], rel=1e-9)
    steps = np.repeat(rows[1:], family.size, axis=0) + 1e-200j * np.eye(family.size)
    derivative = values_of(family, aim, steps).imag / 1e-200
    assert gradient_of(family, aim, rows)[1] == pytest.approx(derivative, rel=1e-9, abs=1e-9)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
@pytest.mark.parametrize("constant", [-500.0, 500.0, 5000.0])
def test_a_constant_in_all_logits_changes_nothing(constant):
    family = AppendixE([0.5, 0.25, 0.25], n_z=2)
    rows = family.start(4, rng=0)
    before = Gradients(family, rows).forward()
    family.split(rows)[2][...] += constant
    for old, new in zip(before, Gradients(family, rows).forward(), strict=True):
        assert new == pytest.approx(old, abs=1e-11)


@law
@given(distributions(max_size=6), st.integers(1, 6), seeds)
def test_latent_decoders_have_one_mode(p, n_z, seed):
    """As printed, each row is a discretised Gaussian: it rises, then it falls."""
    family = AppendixE(p, n_z=n_z, decoder="latent")
    for row in family.model(family.start(1, spread=3.0, rng=seed)[0]).d:
        climbs = np.diff(row) > 1e-15
        assert not np.any(climbs[1:] & (np.diff(row)[:-1] < -1e-15))


def test_output_decoders_can_have_two_modes():
    family = AppendixE([0.5, 0.0, 0.5], n_z=1)
    decoder_offsets = [0.0, 3.0, 0.0]
    model = family.model([0, 0, 0, 0, 0, *decoder_offsets, 0])
    assert model.d[0] == pytest.approx([0.5, 0.5 * math.exp(-9), 0.5], rel=1e-3)


def test_a_family_without_zeros_keeps_its_distortion_finite():
    """log d = −10⁴ would underflow to d = 0 and make D infinite; the floor is 5e-324."""
    family = AppendixE([0.5, 0.5], n_z=1)
    model = family.model([0, 0, 0, 0, 0, 100, 0])
    assert model.d.min() > 0
    assert abs(model.D - 744.44 / 2) < 0.1  # −log 4.9e-324 = 744.44


def test_parameters_are_counted_as_in_the_paper(toy):
    assert AppendixE(toy.p).size == 60 + 60 + 30
    assert AppendixE(toy.p, n_z=4).size == 2 * 4 + 60 + 4
    assert AppendixE(toy.p, n_z=4, decoder="latent").size == 2 * 4 + 2 * 4 + 4


# The bound


@law
@given(models(), aims)
def test_no_tables_are_below_the_lower_bound(model, aim):
    assume(aim.weight or math.isfinite(model.R))
    assert aim.value(model.D, model.R) >= aim.lower_bound(model.H, model.n_z) - 1e-9


@pytest.mark.parametrize(
    ("aim", "model"),
    [
        (Aim("none", weight=0.5), Model([0.5, 0.5], np.eye(2), np.eye(2), [0.5, 0.5])),
        (Aim("none", weight=2.0), Model([0.5, 0.5], np.ones((2, 1)), [[0.5, 0.5]], [1])),
        (Aim("absolute", rate=0.5), toy_source().true_model()),
        (Aim("absolute", rate=0.25), toy_source().true_model()),  # above R* nothing is lost
        (
            Aim("absolute", rate=0.25, weight=0.5),
            Model([0.5, 0.5], np.eye(2), np.eye(2), [0.5] * 2),
        ),
        (Aim("squared", rate=0.25, weight=2.0), toy_source().true_model()),  # R = R* + 1/(2λ)
        (  # fewer latents than symbols: I ≤ log n_z
            Aim("none", weight=0.0),
            Model(
                [0.25] * 4,
                np.eye(2)[[0, 0, 1, 1]],
                [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]],
                [0.5] * 2,
            ),
        ),
    ],
)
def test_the_lower_bound_is_met_where_theory_says(aim, model):
    bound = aim.lower_bound(model.H, model.n_z)
    assert aim.value(model.D, model.R) == pytest.approx(bound, abs=1e-12)


# Training on the toy: what the paper reports, and what its aims imply


def test_the_elbo_collapses_to_the_data(toy):
    solution = train(toy.p, beta=1, rng=0)
    assert solution.converged
    assert solution.model.R <= 1e-3
    assert kl_divergence(toy.p, solution.model.g) <= 1e-3
    assert 0 <= solution.gap <= 1e-3
    assert solution.lower_bound == solution.model.H


def test_a_target_rate_finds_two_clusters(toy):
    solution = train(toy.p, rate=0.5, rng=0)
    model = solution.model
    assert solution.converged
    assert abs(model.R - 0.5) <= 1e-3
    assert toy.separation(model.e) > 0.75
    left, right = np.abs(model.x_given_x.argmax(axis=1)[None] - [[10], [19]]) <= 1
    assert np.all(left ^ right)
    assert right.tolist() == sorted(right)  # one cluster to the left of the other
    assert toy.p[right].sum() == pytest.approx(0.3, abs=0.05)
    assert solution.lower_bound == pytest.approx(model.H - 0.5, abs=1e-15)
    assert 0 <= solution.gap <= 5e-3
    assert solution.beta == pytest.approx(1, abs=0.05)


def test_the_square_settles_above_its_target(toy):
    """D falls by 1 for each nat of rate, so D + λ(R − R*)² is least at R = R* + 1/(2λ)."""
    solution = train(
        toy.p, rate=0.5, penalty="squared", weight=10, steps=3000, step_size=0.05, rng=0
    )
    assert abs(solution.model.R - 0.55) <= 1e-3
    assert solution.beta == pytest.approx(1, abs=1e-2)


def test_lbfgs_collapses_too(toy):
    solution = train(toy.p, beta=1, optimiser="l-bfgs", rng=0)
    assert solution.converged
    assert 0 <= solution.gap <= 1e-6
    assert solution.model.R <= 1e-3


# Training in general


@law
@given(distributions(max_size=4), st.integers(1, 4), decoders, seeds)
@example(np.array([1.0]), 1, "output", 0)
@example(empirical(toy_source().p, 50, rng=0), 5, "output", 0)
def test_training_goes_down_and_stays_above_the_bound(p, n_z, decoder, seed):
    """With zeros in p, one symbol, one latent and n_x ≠ n_z."""
    for aim in ({"beta": 0.5}, {"rate": 0.2}):
        for solution in train_all(
            p, 2, **aim, n_z=n_z, decoder=decoder, steps=30, step_size=1e-3, rng=seed, every=7
        ):
            history = solution.history
            assert solution.objective >= solution.lower_bound - 1e-12
            assert solution.gap >= 0
            assert solution.objective <= history["objective"].min() + 1e-12
            assert len(history) == 6  # steps 0, 7, 14, 21, 28 and 30
            assert np.all(np.isfinite(solution.parameters))
            assert solution.model.m.shape == (n_z,)


def test_restarts_of_a_batch_are_the_runs_one_by_one():
    p, options = [0.5, 0.25, 0.25], {"rate": 0.3, "steps": 200}
    rng = np.random.default_rng(0)  # whose next draw is the next row of the batch
    for run in train_all(p, 3, rng=0, **options):
        assert run.parameters == pytest.approx(train(p, rng=rng, **options).parameters, abs=1e-9)


def test_history_holds_the_start_and_the_end():
    p = np.array([0.5, 0.25, 0.25])
    solution = train(p, beta=0.5, steps=250, rng=3)
    history = solution.history
    start = AppendixE(p).model(AppendixE(p).start(rng=3)[0])
    assert history.dtype.names == ("D", "R", "I", "objective")
    assert [*history[0]] == pytest.approx(
        [start.D, start.R, start.I, start.D + 0.5 * start.R], abs=1e-12
    )
    assert len(history) == 4  # steps 0, 100, 200 and 250
    assert history["objective"] == pytest.approx(history["D"] + 0.5 * history["R"])
    assert np.all(history["I"] <= history["R"] + 1e-12)
    assert solution.iterations == 250
    assert "local" in solution.message


def test_results_can_be_read_back_and_not_written():
    p = np.array([0.5, 0.25, 0.25])
    solution = train(p, beta=0.5, steps=10, rng=0, n_z=2, decoder="latent")
    again = AppendixE(p, n_z=2, decoder="latent").model(solution.parameters)
    assert np.array_equal(again.e, solution.model.e)
    with pytest.raises(ValueError, match="read-only"):
        solution.parameters[0] = 0
    assert p.tolist() == [0.5, 0.25, 0.25]


def test_rng_may_be_a_generator_and_seeds_repeat():
    runs = [train([0.5, 0.5], beta=1, steps=5, rng=rng) for rng in (7, np.random.default_rng(7))]
    assert np.array_equal(runs[0].parameters, runs[1].parameters)


def test_wide_starts_overflow_nowhere_and_warn_of_nothing():
    """With spread 60 hardly a normaliser is above the least float before it is shifted."""
    for solution in train_all([0.5, 0.25, 0.25], 3, rate=0.5, spread=60, steps=20, rng=0):
        assert solution.converged
        assert math.isfinite(solution.beta)
        assert solution.objective < solution.history["objective"][0]


def test_beta_zero_lowers_the_distortion_alone():
    solution = train([0.5, 0.5], beta=0, steps=3000, rng=0)
    assert solution.objective == solution.model.D
    assert solution.model.D < 0.05
    assert solution.lower_bound == 0


def test_a_rate_that_does_not_move_has_no_multiplier():
    """With one latent R is 0 whatever the parameters."""
    assert train([0.5, 0.5], rate=0.5, n_z=1, steps=5, rng=0).beta == 0


@pytest.mark.parametrize(("optimiser", "calls"), [("adam", [10, 20, 25]), ("l-bfgs", [1, 2, 3])])
def test_the_callback_hears_of_progress(optimiser, calls):
    heard = []
    solutions = train_all(
        [0.5, 0.25, 0.25],
        3,
        beta=1,
        optimiser=optimiser,
        steps=25 if optimiser == "adam" else 1000,
        every=10,
        rng=0,
        callback=lambda *told: heard.append(told),
    )
    assert [count for count, _ in heard] == calls
    assert heard[-1][1] == pytest.approx(min(s.objective for s in solutions), abs=1e-12)
    assert [best for _, best in heard] == sorted((best for _, best in heard), reverse=True)


# Failing


@pytest.mark.parametrize(
    ("step_size", "how"), [(1e200, "overflowed by step 10"), (30.0, "ended above its start")]
)
def test_a_diverging_run_returns_its_best_iterate(step_size, how):
    p = [0.5, 0.25, 0.25]
    with pytest.warns(ConvergenceWarning, match="2 of 2 runs: Adam diverged") as caught:
        runs = train_all(p, 2, rate=0.5, steps=50, step_size=step_size, rng=0, every=10)
    assert len(caught) == 1
    for run in runs:
        assert not run.converged
        assert how in run.message
        assert f"take a smaller step_size than {step_size:g}" in run.message
        assert run.objective <= run.history["objective"][0] + 1e-12
        assert math.isfinite(run.model.D + run.model.R)
        assert np.all(np.isfinite(run.parameters))
        assert np.all(np.isfinite(run.history["objective"]))


def test_a_diverging_run_leaves_the_others_alone():
    family, aim = AppendixE([0.5, 0.25, 0.25]), Aim("none", weight=1.0)
    good = family.start(1, rng=0)
    bad = np.zeros_like(good)  # its D is finite, its gradient is not
    encoder, decoder, _ = family.split(bad)
    encoder[0, 1], decoder[0, 0] = 1e120, [0, 1e120, 2e120]

    def end(start):
        return adam(Batch(family, aim, start, 10), 40, 0.01, lambda *_: None)

    with np.errstate(all="ignore"):
        lost, kept = end(np.concatenate([bad, good]))
        (alone,) = end(good)
    assert "overflowed by step 10" in lost.message
    assert (lost.converged, lost.iterations) == (False, 10)
    assert np.array_equal(lost.parameters, bad[0])
    assert kept.parameters == pytest.approx(alone.parameters, abs=1e-12)
    assert kept.converged


@law
@given(seeds, decoders, st.sampled_from(["absolute", "squared"]), st.sampled_from([0.3, 3.0]))
def test_no_multiplier_is_below_0_and_none_fits_better(seed, decoder, penalty, spread):
    """∇D + β∇R is no longer than at a smaller or larger β ≥ 0."""
    p, aim = [0.5, 0.25, 0.25], {"rate": 0.5, "penalty": penalty, "decoder": decoder}
    family = AppendixE(p, decoder=decoder)
    for run in train_all(p, 4, **aim, steps=1, step_size=1e-6, spread=spread, rng=seed):
        near, less, more = (
            np.linalg.norm(gradient_of(family, Aim("none", weight=beta), run.parameters[None]))
            for beta in (run.beta, max(0.9 * run.beta - 0.1, 0), 1.1 * run.beta + 0.1)
        )
        assert run.beta >= 0
        assert near <= min(less, more) * (1 + 1e-9)


def test_where_the_distortion_rises_with_the_rate_the_multiplier_is_0():
    runs = train_all([0.5, 0.25, 0.25], 12, rate=0.5, steps=1, step_size=1e-6, rng=0)
    assert 0 < sum(run.beta == 0 for run in runs) < 12


def test_a_run_that_took_its_steps_claims_no_more(toy):
    """Far above the bound, on a plateau, Adam has nothing to tell but that it ran."""
    run = train(toy.p, rate=0.5, steps=300, rng=0)
    assert run.gap > 0.5
    assert run.message.startswith(
        "a local answer: Adam ran its 300 steps, which is all that converged means here"
    )


def test_lbfgs_at_its_cap_says_so(toy):
    with pytest.warns(
        ConvergenceWarning, match="2 of 2 runs: L-BFGS stopped at its cap"
    ) as caught:
        runs = train_all(toy.p, 2, beta=1, optimiser="l-bfgs", steps=3, rng=0, every=2)
    assert len(caught) == 1
    for run in runs:
        assert (run.converged, run.iterations, len(run.history)) == (False, 3, 3)
        assert "raise steps" in run.message


@pytest.mark.filterwarnings("ignore::toyrd.ConvergenceWarning")
@pytest.mark.parametrize(("steps", "rows"), [(1, 2), (2, 2), (4, 3), (5, 4)])
def test_lbfgs_records_every_so_many_steps_and_the_last_once(toy, steps, rows):
    run = train(toy.p, beta=1, optimiser="l-bfgs", steps=steps, rng=0, every=2)
    assert len(run.history) == rows
    assert run.history["objective"][-1] == pytest.approx(run.objective, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "exactly one of beta and rate"),
        ({"beta": 1, "rate": 0.5}, ValueError, "exactly one of beta and rate"),
        ({"beta": -1}, ValueError, "beta is -1.0"),
        ({"beta": math.nan}, ValueError, "beta is nan"),
        ({"beta": math.inf}, ValueError, "beta is inf"),
        ({"beta": "one"}, TypeError, "beta must be one number"),
        ({"rate": -0.1}, ValueError, "rate is -0.1"),
        ({"rate": math.inf}, ValueError, "rate is inf"),
        ({"rate": 0.5, "penalty": "cubed"}, ValueError, "penalty is 'cubed'.*squared"),
        ({"rate": 0.5, "penalty": "none"}, ValueError, "penalty is 'none'"),
        ({"rate": 0.5, "weight": 0}, ValueError, "weight is 0.0"),
        ({"rate": 0.5, "weight": math.nan}, ValueError, "weight is nan"),
        ({"beta": 1, "steps": 0}, ValueError, "steps is 0, but must be at least 1"),
        ({"beta": 1, "steps": 1.5}, TypeError, "steps must be an integer"),
        ({"beta": 1, "step_size": 0}, ValueError, "step_size is 0.0"),
        ({"beta": 1, "step_size": -1}, ValueError, "step_size is -1.0"),
        ({"beta": 1, "step_size": math.inf}, ValueError, "step_size is inf"),
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
    options = {"p": [0.5, 0.5], "restarts": 1, "steps": 2, **options}
    with pytest.raises(error, match=message):
        train_all(**options)


def test_parameters_of_the_wrong_shape_are_named():
    with pytest.raises(ValueError, match=r"parameters must have shape \(10,\)"):
        AppendixE([0.5, 0.5]).model(np.zeros(9))
    with pytest.raises(ValueError, match="runs is 0"):
        AppendixE([0.5, 0.5]).start(0)


# The examples


@pytest.fixture
def example_named(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "examples")
    return importlib.import_module


def test_plot_restarts_draws_and_prints(example_named, tmp_path, capsys):
    picture = tmp_path / "new" / "restarts.png"
    arguments = ["--restarts", "2", "--steps", "20", "--dpi", "40", "--output", str(picture)]
    assert example_named("plot_restarts").main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert sum("L-BFGS" in line for line in lines) == 3 * 4  # aims times measures
    assert any(
        line.split()[:5] == ["true", "model", "0.50000", "0.00000", "0.85313"] for line in lines
    )
    assert lines[-1] == str(picture)


def test_plot_finite_data_draws_and_prints(example_named, tmp_path, capsys):
    picture = tmp_path / "finite.png"
    arguments = ["--draws", "2", "--steps", "20", "--dpi", "40", "--output", str(picture)]
    assert example_named("plot_finite_data").main(arguments) == 0
    out = capsys.readouterr().out
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "H of the samples" in out
    assert "of the truth 2.8621" in out


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("plot_restarts", ["--restarts", "0"]),
        ("plot_restarts", ["--steps", "0"]),
        ("plot_finite_data", ["--draws", "0"]),
        ("plot_finite_data", ["--samples", "0"]),
        ("plot_finite_data", ["--steps", "-1"]),
    ],
)
def test_examples_refuse_counts_that_make_no_sense(example_named, name, wrong, tmp_path, capsys):
    output = tmp_path / "picture.png"
    assert example_named(name).main([*wrong, "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "at least 1" in error
    assert not output.exists()


def test_the_benchmark_prints_ratios(example_named, capsys):
    example_named("benchmark_gradients").main(["--steps", "20", "--block", "10"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["1", "50"]
    assert all(float(line.split()[3]) > 0 for line in lines[2:4])
