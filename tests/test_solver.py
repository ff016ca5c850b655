"""solve: the numbers of the paper's figure, global optima, targets and refusals."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    Source,
    bars_and_stripes,
    best_decoder,
    best_marginal,
    entropy,
    frontier,
    mutual_information,
    rate_distortion,
    solve,
    toy_source,
)
from toyrd.testing import distributions, tables

INF = math.inf
law = settings(deadline=None, max_examples=40)
TOY = toy_source()
H = entropy(TOY.p)
SHARP_ROWS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
PICTURES = bars_and_stripes(2)
THIRDS = np.array([0.5, 0.25, 0.25])


def fitted(p, e):
    """Return D and R of an encoder with its best responses, each by its own formula."""
    information = mutual_information(np.asarray(p)[:, None] * e)
    return entropy(p) - information, information


# The numbers that must come out (issue of Figure 2)


def test_the_entropy_of_the_toy():
    assert pytest.approx(2.862061915729483, abs=1e-12) == H


def test_column_a_is_the_true_model():
    model = TOY.true_model()
    assert (pytest.approx(0.5, abs=1e-12), pytest.approx(0.5, abs=1e-12)) == (model.R, model.I)
    assert pytest.approx(H - 0.5, abs=1e-12) == model.D
    assert pytest.approx(0, abs=1e-12) == model.D + model.R - H
    assert TOY.separation(model.e) == pytest.approx(0.8531310987, abs=1e-9)


def test_column_b_stays_collapsed():
    """At β = 1 every rate is optimal, and the smooth start decides: R = 0.0002."""
    solution = solve(TOY.p, beta=1)
    model = solution.model
    assert np.abs(model.g - TOY.p).max() <= 1e-12
    assert pytest.approx(0, abs=1e-12) == model.D + model.R - H
    assert f"{model.R:.4f}" == "0.0002"
    assert solution.gap <= 1e-12
    assert "every rate is optimal" in solution.message


def test_column_c_meets_the_rate_with_two_clusters():
    solution = solve(TOY.p, rate=0.5)
    model = solution.model
    assert pytest.approx(0.5, abs=1e-10) == model.R
    assert pytest.approx(0, abs=1e-10) == model.D + model.R - H
    assert f"{TOY.separation(model.e):.4f}" == "0.8030"
    assert f"{TOY.latent_information(model.e):.4f}" == "0.3730"
    left = float(model.e_z[:15].sum())
    assert left == pytest.approx(0.74, abs=0.005)
    assert (model.e_z[13:17] == 0).all()
    assert "least squared distance" in solution.message


def test_the_smooth_start_reaches_the_rate_in_a_few_steps():
    """Rate-limited alternation from it ends on D + R = H with separation 0.72 to 0.74."""
    solution = solve(TOY.p, rate=0.5, start="smooth")
    model = solution.model
    assert solution.converged
    assert pytest.approx(0.5, abs=1e-10) == model.R
    assert pytest.approx(0, abs=1e-10) == model.D + model.R - H
    assert 0.71 < TOY.separation(model.e) < 0.75
    assert solution.iterations <= 10


# All tables free


@law
@given(distributions(max_size=6), st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.9, 1.0, 2, INF]))
def test_free_tables_at_a_beta(p, n_z, beta):
    """β < 1 gives a code, lossless with latents enough; β > 1 collapse; D + R = H at β = 1."""
    solution = solve(p, beta=beta, n_z=n_z)
    model, slack = solution.model, 1e-12
    D, R = fitted(p, model.e)
    assert (pytest.approx(D, abs=slack), pytest.approx(R, abs=slack)) == (model.D, model.R)
    assert model.n_z == n_z
    assert solution.gap >= 0
    most = min(entropy(p), math.log(n_z))
    least = entropy(p) - (1 - beta) * most if beta < 1 else entropy(p)
    assert solution.lower_bound == pytest.approx(least, abs=slack)
    if beta >= 1 or n_z >= p.size:
        assert solution.gap <= slack
    if beta < 1 and n_z >= p.size:
        assert (
            pytest.approx(0, abs=slack),
            pytest.approx(entropy(p), abs=slack),
        ) == (model.D, model.R)
    if beta > 1:
        assert (
            pytest.approx(0, abs=1e-15),
            pytest.approx(entropy(p), abs=slack),
        ) == (model.R, model.D)
    assert solution.converged
    assert solution.history.size == solution.iterations == 0


@law
@given(
    distributions(max_size=6, smallest=1e-6),
    st.integers(1, 7),
    st.floats(0, 1),
    st.sampled_from(["rate", "distortion"]),
    st.booleans(),
)
def test_free_tables_meet_a_target_on_the_line(p, n_z, share, name, preferred):
    """D = H − R*, for any cost preferred; above its own range a mixture with a code serves."""
    total = entropy(p)
    most = fitted(p, solve(p, beta=0, n_z=n_z).model.e)[1]
    aim = share * most if name == "rate" else total - share * most
    prefer = np.random.default_rng(0).random((p.size, n_z)) if preferred else None
    solution = solve(p, n_z=n_z, prefer=prefer, **{name: aim})
    model = solution.model
    reached = model.R if name == "rate" else model.D
    assert reached == pytest.approx(aim, abs=1e-10)
    assert pytest.approx(total, abs=1e-10) == model.D + model.R
    assert solution.objective == pytest.approx(total - aim, abs=1e-10)
    assert 0 <= solution.gap <= 1e-10
    assert solution.beta == 1


def test_the_tie_break_has_the_least_expected_cost():
    """Of the encoders at this rate, no other is nearer; with a cost of one's own as well."""
    prefer = np.random.default_rng(5).random((3, 4))
    model = solve(THIRDS, rate=0.3, prefer=prefer).model
    spent = float((THIRDS[:, None] * model.e * prefer).sum())
    assert spent == pytest.approx(rate_distortion(THIRDS, prefer, rate=0.3).D, abs=1e-10)


@pytest.mark.parametrize("prefer", [np.zeros((3, 3)), [[0, 1, 1], [0, 1, 1], [1, 0, 1]]])
def test_a_rate_above_what_the_preferred_cost_asks_for(prefer):
    """Then the code is mixed in, and the message says so."""
    solution = solve(THIRDS, rate=0.9, prefer=prefer)
    assert pytest.approx(0.9, abs=1e-10) == solution.model.R
    assert "above what the preferred cost asks for" in solution.message
    full = solve(THIRDS, rate=entropy(THIRDS), prefer=prefer)
    assert pytest.approx(0, abs=1e-12) == full.model.D


# A fixed decoder


@law
@given(
    distributions(max_size=5, smallest=1e-9),
    st.data(),
    st.sampled_from([{"beta": 0.3}, {"beta": 1}, {"beta": 5}, {"beta": 0}, {"beta": INF}]),
)
def test_a_fixed_decoder_is_solved_globally(p, data, target):
    """No encoder and marginal do better than the bound; the alternation ends above it."""
    d = data.draw(tables(n_columns=p.size, smallest=1e-9))
    assume(((d > 0).any(axis=0) | (p == 0)).all())
    solution = solve(p, decoder=d, **target)
    beta = target["beta"]
    assert solution.converged
    assert solution.gap <= 1e-9
    assert (solution.model.d == d).all()
    for _ in range(3):
        e = data.draw(tables(p.size, len(d), smallest=1e-9))
        m = best_marginal(p, e)
        D = float(-np.sum(np.where(e > 0, p[:, None] * e * np.log(np.maximum(d.T, 1e-300)), 0)))
        if (d.T == 0)[(e > 0) & (p > 0)[:, None]].any():
            continue
        R = mutual_information(p[:, None] * e)
        value = D if beta in (0, INF) else D + beta * R
        if beta < INF or R == 0:
            assert solution.lower_bound <= value + 1e-12
        assert m.shape == solution.model.m.shape


@pytest.mark.parametrize(
    "target", [{"beta": 0.8}, {"rate": 0.1}, {"distortion": 0.95}, {"beta": INF}, {"rate": 0}]
)
@pytest.mark.parametrize("start", ["smooth", "random", np.full((3, 3), 1 / 3)])
def test_the_alternation_for_a_fixed_decoder_is_measured_against_the_optimum(target, start):
    """Its gap is at least its distance from the certified answer."""
    best = solve(THIRDS, decoder=SHARP_ROWS, **target)
    local = solve(THIRDS, decoder=SHARP_ROWS, start=start, rng=3, **target)
    assert local.objective >= best.objective - 1e-9
    assert local.lower_bound <= best.objective + 1e-12
    assert local.gap >= local.objective - best.objective - 1e-12
    assert local.converged


def test_a_fixed_decoder_and_marginal_leave_only_the_encoder():
    """Then the encoder is e ∝ m d^(1/β), and the answer exact."""
    m = np.array([0.2, 0.3, 0.5])
    solution = solve(THIRDS, decoder=SHARP_ROWS, marginal=m, beta=0.5)
    weights = m * SHARP_ROWS.T**2
    assert solution.model.e == pytest.approx(weights / weights.sum(axis=1, keepdims=True))
    assert solution.gap <= 1e-12
    for target in ({"rate": 0.2}, {"distortion": 0.7}):
        met = solve(THIRDS, decoder=SHARP_ROWS, marginal=m, **target)
        assert met.converged
        reached = met.model.R if "rate" in target else met.model.D
        assert reached == pytest.approx(next(iter(target.values())), abs=1e-10)


def test_a_fixed_marginal_alternates():
    """The decoder is free: local, at best D + R = H."""
    solution = solve(THIRDS, marginal=THIRDS, beta=1, rng=0)
    model = solution.model
    assert solution.converged
    assert entropy(THIRDS) - 1e-12 <= model.D + model.R
    assert (np.diff(solution.history["objective"]) <= 1e-15).all()
    assert model.m == pytest.approx(THIRDS)


def test_random_starts_follow_the_seed():
    """The same seed gives the same tables, another seed others; a Generator works too."""
    first, again, other = (solve(THIRDS, beta=0.5, start="random", rng=rng) for rng in (1, 1, 2))
    drawn = solve(THIRDS, beta=0.5, start="random", rng=np.random.default_rng(1))
    assert (first.history == again.history).all()
    assert (first.history == drawn.history).all()
    assert (first.history[0] != other.history[0]).any()


def test_a_family_starts_at_random_and_keeps_its_parameters():
    family = BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]])
    solution = solve([0.4, 0.1, 0.1, 0.4], beta=1, decoder=family, n_z=2, rng=0)
    assert solution.parameters.shape == (2, 2)
    assert not solution.parameters.flags.writeable
    assert solution.converged
    assert solution.gap >= 0


# Refusals, warnings, results


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "exactly one of beta, rate, distortion; given: none"),
        ({"beta": 1, "rate": 1}, ValueError, "given: beta and rate"),
        ({"p": [0.5, 0.6], "beta": 1}, ValueError, "p must sum to 1, but sums to 1.1"),
        ({"p": [], "beta": 1}, ValueError, "p is empty"),
        ({"p": [[1.0]], "beta": 1}, ValueError, "p must have 1 axis"),
        ({"beta": -1}, ValueError, "beta is -1.0"),
        ({"beta": math.nan}, ValueError, "beta is nan"),
        ({"beta": "big"}, TypeError, "beta must be one number"),
        ({"rate": -0.5}, ValueError, "rate is -0.5"),
        ({"beta": 1, "tol": 0}, ValueError, "tol is 0.0"),
        ({"beta": 1, "max_iter": 0}, ValueError, "max_iter is 0"),
        ({"beta": 1, "max_iter": "all"}, TypeError, "max_iter must be an integer"),
        ({"beta": 1, "n_z": 0}, ValueError, "n_z is 0"),
        ({"beta": 1, "n_z": 2.0}, TypeError, "n_z must be an integer"),
        ({"beta": 1, "marginal": [0.5, 0.6]}, ValueError, "marginal must sum to 1"),
        ({"beta": 1, "decoder": [[0.5, 0.6, 0]]}, ValueError, "every row of decoder must sum"),
        ({"beta": 1, "decoder": [[0.5, 0.5]]}, ValueError, r"decoder must have shape \(1, 3\)"),
        ({"beta": 1, "decoder": [[1, 0, 0]]}, ValueError, "decoder gives symbol 1 no probability"),
        (
            {"beta": 1, "start": "smoth"},
            ValueError,
            "start is 'smoth', but must be 'smooth', 'ran",
        ),
        ({"beta": 1, "start": [[1.0]]}, ValueError, r"start must have shape \(3, 1\)"),
        ({"beta": 1, "start": [[0.5, 0.6]] * 3}, ValueError, "every row of start must sum to 1"),
        ({"beta": 1, "start": "random", "rng": -1}, ValueError, "rng must be a seed"),
        ({"beta": 1, "start": "random", "rng": "x"}, TypeError, "rng must be a seed"),
        (
            {"beta": 1, "n_z": 2, "marginal": [1.0], "decoder": SHARP_ROWS, "start": [[1.0]] * 3},
            ValueError,
            r"disagree on the number of latents \(n_z: 2, decoder: 3, marginal: 1, start: 1\)",
        ),
        (
            {"rate": 1, "n_z": 2, "prefer": np.zeros((3, 3))},
            ValueError,
            r"disagree on the number of latents \(n_z: 2, prefer: 3\)",
        ),
        ({"rate": 0.1, "prefer": np.zeros((2, 3))}, ValueError, "prefer must have one row for"),
        ({"beta": 1, "prefer": np.zeros((3, 3)), "start": "smooth"}, ValueError, "prefer picks"),
        ({"beta": 1, "decoder": BernoulliDecoder([[0], [1]])}, ValueError, "decoder has rows"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        solve(**{"p": THIRDS, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.1}, "rate is 1.1, but the range reachable with 3 latents is 0 to 1.0397"),
        ({"rate": 1, "n_z": 2}, "range reachable with 2 latents, .* is 0 to 0.693147180"),
        ({"distortion": -0.1}, "distortion is -0.1, but the range .* is 0 to 1.0397"),
        ({"distortion": 0.1, "n_z": 2}, "2 latents, split .* is 0.34657.* to 1.0397"),
        ({"rate": 0.7, "marginal": [0.5, 0.5, 0]}, "this marginal is 0 to 0.69314"),
        ({"rate": 1.1, "start": "smooth"}, "range reachable with 3 latents is 0 to 1.0397"),
        ({"distortion": -1, "start": "random", "n_z": 5}, "is 0 to 1.0397"),
        ({"distortion": 0.1, "marginal": [0.5, 0.5]}, "reachable with 2 latents is 0.34657"),
        (
            {"rate": 1.1, "decoder": SHARP_ROWS},
            "rate is 1.1, but the reachable range is 0 to 1.03",
        ),
        ({"distortion": 0.1, "decoder": SHARP_ROWS}, "the reachable range is 0.2950.* to 1.26286"),
        ({"rate": 1.1, "decoder": SHARP_ROWS, "start": "smooth"}, "reachable range is 0 to 1.03"),
    ],
)
def test_unreachable_targets_name_the_range(options, message):
    with pytest.raises(ValueError, match=message):
        solve(THIRDS, **options)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.69])
def test_a_rate_is_met_with_a_fixed_marginal_and_a_free_decoder(rate):
    """R = R*, and no tables have D < H − R."""
    solution = solve(THIRDS, rate=rate, marginal=[0.5, 0.5], start="random")
    assert pytest.approx(rate, abs=1e-10) == solution.model.R
    assert entropy(THIRDS) - rate - 1e-12 <= solution.model.D
    assert solution.gap >= solution.model.D - (entropy(THIRDS) - rate)


def test_distortion_beyond_the_entropy_is_slack():
    """R = 0 already gives D = H."""
    solution = solve(THIRDS, distortion=5)
    assert (solution.model.R, solution.objective) == (0, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.5, "start": "random"},
        {"rate": 0.3, "start": "random"},
        {"beta": 0.01, "decoder": TOY.true_model().d + 0.0, "max_iter": 1},
        {"beta": 1.1, "decoder": TOY.true_model().d + 0.0, "start": "random"},
    ],
)
def test_at_the_cap_the_best_iterate_comes_with_one_warning(options):
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter with a gap of") as caught:
        solution = solve(TOY.p, **{"max_iter": 2, "rng": 0, **options})
    assert len(caught) == 1
    assert not solution.converged
    assert solution.gap >= 0
    assert "not converged" in repr(solution)


def test_a_start_that_cannot_meet_its_target_says_so():
    """Equal rows tell nothing apart, so the alternation can never lower D."""
    with pytest.warns(ConvergenceWarning, match="try another start"):
        solution = solve(THIRDS, distortion=0.5, start=np.full((3, 3), 1 / 3))
    assert solution.message == "local search, which cannot meet the distortion"
    assert not solution.converged


@pytest.mark.parametrize(
    "options", [{"beta": 0.5}, {"rate": 0.5}, {"rate": 0.5, "start": "smooth"}]
)
def test_solutions_are_read_only_and_survive_pickling(options):
    p = THIRDS.copy()
    p.flags.writeable = False
    solution = solve(p, **options)
    for table in (solution.model.e, solution.model.m, solution.history, solution.parameters):
        assert not table.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        solution.gap = 0.0
    other = pickle.loads(pickle.dumps(solution))
    for twin in (other, copy.deepcopy(solution)):
        assert not twin.history.flags.writeable
        for table in (twin.model.p, twin.model.e, twin.model.d, twin.model.m, twin.model.e_z):
            assert not table.flags.writeable
    assert (other.objective, other.gap, other.message) == (
        solution.objective,
        solution.gap,
        solution.message,
    )
    assert (other.history == solution.history).all()
    assert repr(solution).startswith("Solution(\n  beta = ")


def test_of_several_random_starts_the_best_is_kept():
    """min over starts, the first of them the same whatever their number; the message counts."""
    family = BernoulliDecoder(PICTURES.images)
    several = {"decoder": family, "n_z": 6, "beta": 1.2}
    found = [solve(PICTURES.p, starts=n, **several) for n in (1, 2, 4)]
    assert found[0].objective >= found[1].objective >= found[2].objective
    assert found[2].objective == solve(PICTURES.p, **several).objective  # 4 is the default
    assert found[2].message == "best of 5 starts of a local search, whose error the gap bounds"
    assert found[0].message == "best of 2 starts of a local search, whose error the gap bounds"


@pytest.mark.parametrize("beta", [1.2, 3.0])
def test_a_local_search_at_a_price_is_never_worse_than_silence(beta):
    """R = 0 with one row is always possible, whatever the number of latents."""
    family = BernoulliDecoder(PICTURES.images)
    silent = solve(PICTURES.p, beta=beta, decoder=family, n_z=1)
    many = solve(PICTURES.p, beta=beta, decoder=family)
    assert many.objective <= silent.objective + 1e-12
    assert many.R == many.model.R
    assert many.I == many.model.I
    assert many.e is many.model.e


def test_an_answer_that_shares_its_optimum_says_so():
    """At β = 1 every perfect fit is optimal, free or of a family."""
    for options in ({"beta": 1, "start": "random"}, {"rate": 0.5, "decoder": GaussianDecoder()}):
        solution = solve(TOY.p, **options)
        assert solution.gap <= 1e-8
        assert "not unique" in solution.message


def test_the_best_responses_are_those_of_the_solution():
    """At a free optimum d and m answer e."""
    model = solve(TOY.p, rate=0.5).model
    assert model.d == pytest.approx(best_decoder(TOY.p, model.e), abs=1e-15)
    assert model.m == pytest.approx(best_marginal(TOY.p, model.e), abs=1e-15)


INFINITE = [
    {"start": np.eye(3)},
    {"decoder": BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]]), "start": np.eye(4)},
    {"decoder": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.4, 0.3, 0.3]], "start": np.eye(3, 4)},
]


@pytest.mark.parametrize("options", INFINITE)
def test_at_an_infinite_price_a_start_that_cannot_forget_proves_nothing(options):
    """R comes first at β = ∞: D = 0 at R = H is no optimum where R = 0 is possible."""
    p = np.full(len(options["start"]), 1 / len(options["start"]))
    with pytest.warns(ConvergenceWarning, match="cannot meet the least rate"):
        solution = solve(p, beta=INF, **options)
    assert solution.gap == INF
    assert not solution.converged
    start = options.pop("start")
    forgetful = solve(p, beta=INF, **options)
    assert pytest.approx(0, abs=1e-15) == forgetful.model.R
    assert forgetful.converged
    options["start"] = start


def test_a_missed_target_has_no_gap_that_means_anything():
    with pytest.warns(ConvergenceWarning, match="cannot meet the rate"):
        solution = solve([0.5, 0.5], start=np.eye(2), rate=0.1)
    assert solution.gap == INF


@pytest.mark.parametrize("off", [-9e-11, 9e-11])
@pytest.mark.parametrize("target", [{"rate": 0.3}, {"distortion": 0.3}, {"beta": 1e10}])
def test_p_may_be_off_by_what_its_check_allows(off, target):
    solution = solve([0.5, 0.5 + off], **target)
    assert solution.gap <= 1e-9
    model = Source([0.5, 0.5 + off], [[1 + off, 0], [0.5, 0.5]]).true_model()
    assert pytest.approx(0, abs=1e-9) == model.D + model.R - model.H


def test_collapse_costs_nothing_at_any_price():
    """R is 0 and not 1e-16, which a price of 1e300 would show."""
    p = np.random.default_rng(0).dirichlet(np.ones(30))
    solution = solve(p, beta=1e300)
    assert solution.model.R == 0
    assert solution.objective == pytest.approx(entropy(p), rel=1e-14)


@pytest.mark.parametrize("options", [{"starts": 0}, {"callback": 3}, {"rng": "x"}])
def test_arguments_are_checked_also_where_they_are_of_no_use(options):
    name = next(iter(options))
    for call in (lambda: solve(THIRDS, beta=1, **options), lambda: frontier(THIRDS, **options)):
        with pytest.raises((ValueError, TypeError), match=name):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 1.1, "start": "random", "max_iter": 1},
        {"beta": 0.01, "decoder": SHARP_ROWS, "max_iter": 1},
        {"rate": 0.1, "start": np.eye(3)},
    ],
)
def test_a_warning_points_at_the_line_of_the_user(options):
    with pytest.warns(ConvergenceWarning) as caught:
        solve(THIRDS, **options)
    assert [warning.filename for warning in caught] == [__file__]
