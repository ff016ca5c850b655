"""solve: the numbers of the paper's figure, global optima, targets, statuses and refusals."""

import copy
import dataclasses
import math
import pickle

import exact
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import (
    BERGER,
    HALF,
    INF,
    SHARP_ROWS,
    THIRDS,
    TOY,
    GeometricDecoder,
    H,
    geometric_source,
)

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    Model,
    bars_and_stripes,
    best_decoder,
    best_marginal,
    entropy,
    frontier,
    mutual_information,
    rate_distortion,
    solve,
)
from toyrd.curve import Solution, Status
from toyrd.testing import distributions, tables

law = settings(deadline=None, max_examples=30)
TRUTH = TOY.true_model()
PICTURES = bars_and_stripes(2)
MANY_ROWS = np.exp(GaussianDecoder().log_rows(GaussianDecoder().dictionary()))
MANY_THIRDS = np.random.default_rng(0).dirichlet(np.ones(3), 200)


def near(value, tolerance=1e-10):
    return pytest.approx(value, abs=tolerance)


# The numbers that must come out (Figure 2)


def test_column_a_is_the_true_model():
    """H = 2.862…, R = I = 0.5, D + R = H, separation 0.8531."""
    assert near(H, 1e-12) == entropy(TOY.p)
    assert near(0.5, 1e-12) == TRUTH.R
    assert near(0.5, 1e-12) == TRUTH.I
    assert near(H, 1e-12) == TRUTH.D + TRUTH.R
    assert TOY.separation(TRUTH.e) == near(0.8531310987, 1e-9)


def test_column_b_stays_collapsed():
    """At β = 1 every rate is optimal, and the smooth start decides: R = 0.0002."""
    solution = solve(TOY.p, beta=1)
    assert np.abs(solution.g - TOY.p).max() <= 1e-12
    assert near(H, 1e-12) == solution.D + solution.R
    assert f"{solution.R:.4f}" == "0.0002"
    assert solution.gap <= 1e-12
    assert solution.status is Status.CERTIFIED
    assert "every rate is optimal" in solution.message


def test_column_c_meets_the_rate_with_two_clusters():
    """74 % left and 26 % right; of all optima at R = 0.5 the least squared distance."""
    solution = solve(TOY.p, rate=0.5)
    assert near(0.5) == solution.R
    assert near(H) == solution.D + solution.R
    assert f"{TOY.separation(solution.e):.4f}" == "0.8030"
    assert f"{TOY.latent_information(solution.e):.4f}" == "0.3730"
    assert solution.e_z[:15].sum() == near(0.74, 0.005)
    assert (solution.e_z[13:17] == 0).all()
    assert "not unique" in solution.message


def test_the_smooth_start_reaches_the_rate_in_a_few_steps():
    """Rate-limited alternation from it ends on D + R = H with separation 0.72 to 0.74."""
    solution = solve(TOY.p, rate=0.5, start="smooth")
    assert solution.converged
    assert near(0.5) == solution.R
    assert near(H) == solution.D + solution.R
    assert 0.71 < TOY.separation(solution.e) < 0.75
    assert solution.iterations <= 10


@pytest.mark.parametrize(
    ("beta", "R", "excess"),
    [
        (4, 0.0, 0.17194), (2, 0.00811, None), (1.5, 0.14498, None), (1.1, 0.37478, None),
        (1.01, 0.47469, 1.01e-4), (1.001, 0.49461, None),
    ],
)  # fmt: skip
def test_the_certified_rates_of_gaussian_rows(beta, R, excess):
    """The table of theory §6; for β > 1 collapse is not free, −ELBO − H = 0.17194."""
    solution = solve(TOY.p, beta=beta, decoder=GaussianDecoder())
    assert solution.status is Status.CERTIFIED
    assert solution.gap <= 1e-8
    assert abs(solution.R - R) <= 1e-5 + 1e-8 / abs(beta - 1)
    assert excess is None or near(excess, 1e-5 if beta > 2 else 1e-6) == -solution.elbo - H


def test_the_target_rate_of_the_truth_returns_the_truth():
    """Two rows at R = 0.5: the perfect fit of fewest rows."""
    solution = solve(TOY.p, rate=0.5, decoder=GaussianDecoder())
    order = np.argsort(solution.parameters[:, 0])
    np.testing.assert_allclose(
        solution.parameters[order], [[9.830, 2.2565], [19.141, 3.4058]], atol=0.02
    )
    np.testing.assert_allclose(solution.m[order], [0.7, 0.3], atol=0.005)
    assert abs(TOY.separation(solution.e) - 0.853) <= 0.001
    assert near(0.5) == solution.R
    assert -1e-12 <= solution.D + solution.R - H <= 1e-6
    assert solution.status is Status.CERTIFIED


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.4999, 0.50001, 2.0, 2.7])
def test_gaussian_rows_meet_rates_on_either_side_of_the_corner(rate):
    """D + R = H from the corner at 0.4999 to at least 2.6, above it elsewhere."""
    solution = solve(TOY.p, rate=rate, decoder=GaussianDecoder())
    assert solution.status is Status.CERTIFIED
    assert near(rate) == solution.R
    assert near(solution.objective, 1e-12) == solution.D
    line = solution.D + rate - H
    assert line >= -1e-10
    assert line <= 1e-9 or not 0.5 <= rate <= 2.6


@pytest.mark.parametrize(
    ("beta", "objective", "R"), [(1.9, 6.1784248241, 0.87986), (1.1, 4.5513046661, 2.48366)]
)
def test_bernoulli_rows_are_solved_globally_but_not_proven_above_one(beta, objective, R):
    """The values of theory §8 for 3 × 3 images."""
    source = bars_and_stripes(3)
    solution = solve(source.p, beta=beta, decoder=BernoulliDecoder(source.images))
    assert near(objective, 1e-8) == solution.objective
    assert near(R, 1e-4) == solution.R
    assert solution.status is Status.SEARCHED


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_bernoulli_rows_are_proven_up_to_one(beta):
    """Point masses attain min(1, β) H."""
    solution = solve(PICTURES.p, beta=beta, decoder=BernoulliDecoder(PICTURES.images))
    assert near(beta * entropy(PICTURES.p), 1e-8) == solution.objective
    assert solution.status is Status.CERTIFIED


# All tables free (theory §3)


@law
@given(distributions(max_size=6), st.integers(1, 7), st.sampled_from([0.0, 0.3, 0.9, 1.0, 2, INF]))
def test_free_tables_at_a_beta(p, n_z, beta):
    """β < 1: a code, lossless with latents enough; β = 1: D + R = H; β > 1: collapse."""
    solution, slack, total = solve(p, beta=beta, n_z=n_z), 1e-12, entropy(p)
    information = mutual_information(p[:, None] * solution.e)
    assert near(total - information, slack) == solution.D
    assert near(information, slack) == solution.R
    assert (solution.n_x, solution.n_z) == (p.size, n_z)
    most = min(total, math.log(n_z))
    least = total - (1 - beta) * most if beta < 1 else total
    assert solution.lower_bound == near(least, slack)
    if beta >= 1 or n_z >= p.size:
        assert 0 <= solution.gap <= slack
        assert solution.status is Status.CERTIFIED
    if beta < 1 and n_z >= p.size:
        assert near(0, slack) == solution.D
    if beta > 1:
        assert solution.R == 0
    assert solution.converged
    assert solution.history.size == solution.iterations == 0


@law
@given(
    distributions(max_size=6, smallest=1e-6), st.integers(1, 7), st.floats(0, 1),
    st.sampled_from(["rate", "distortion"]), st.booleans(),
)  # fmt: skip
def test_free_tables_meet_a_target_on_the_line(p, n_z, share, name, preferred):
    """D = H − R*, for any cost preferred; above its own range a mixture with a code serves."""
    total, most = entropy(p), solve(p, beta=0, n_z=n_z).R
    aim = share * most if name == "rate" else total - share * most
    prefer = np.random.default_rng(0).random((p.size, n_z)) if preferred else None
    solution = solve(p, n_z=n_z, prefer=prefer, **{name: aim})
    assert near(aim) == (solution.R if name == "rate" else solution.D)
    assert near(total) == solution.D + solution.R
    assert solution.objective == near(total - aim)
    assert 0 <= solution.gap <= 1e-10
    assert solution.beta == 1
    assert solution.d == pytest.approx(best_decoder(p, solution.e), abs=1e-15)
    assert solution.m == pytest.approx(best_marginal(p, solution.e), abs=1e-15)


def test_the_tie_break_has_the_least_expected_cost():
    """Of the encoders at this rate, no other is nearer; with a cost of one's own as well."""
    prefer = np.random.default_rng(5).random((3, 4))
    solution = solve(THIRDS, rate=0.3, prefer=prefer)
    spent = float((THIRDS[:, None] * solution.e * prefer).sum())
    assert spent == near(rate_distortion(THIRDS, prefer, rate=0.3).D)


@pytest.mark.parametrize("prefer", [np.zeros((3, 3)), [[0, 1, 1], [0, 1, 1], [1, 0, 1]]])
def test_a_rate_above_what_the_preferred_cost_asks_for(prefer):
    """Then the code is mixed in, and the message says so."""
    solution = solve(THIRDS, rate=0.9, prefer=prefer)
    assert near(0.9) == solution.R
    assert "above what the preferred cost asks for" in solution.message
    assert near(0, 1e-12) == solve(THIRDS, rate=entropy(THIRDS), prefer=prefer).D


def test_collapse_costs_nothing_at_any_price():
    """R is 0 and not 1e-16, which a price of 1e300 would show."""
    p = np.random.default_rng(0).dirichlet(np.ones(30))
    solution = solve(p, beta=1e300)
    assert solution.R == 0
    assert solution.objective == pytest.approx(entropy(p), rel=1e-14)


def test_distortion_beyond_the_entropy_is_slack():
    """R = 0 already gives D = H."""
    solution = solve(THIRDS, distortion=5)
    assert (solution.R, solution.objective) == (0, 0)
    assert "slack" in solution.message


# A fixed decoder, a cost, a fixed marginal


@law
@given(distributions(max_size=5, smallest=1e-9), st.data(), st.sampled_from([0.3, 1, 5, 0, INF]))
def test_a_fixed_decoder_is_solved_globally(p, data, beta):
    """No encoder does better than the bound, with its own best marginal."""
    d = data.draw(tables(n_columns=p.size, smallest=1e-9))
    assume(((d > 0).any(axis=0) | (p == 0)).all())
    solution = solve(p, decoder=d, beta=beta)
    assert solution.status is Status.CERTIFIED
    assert (solution.d == d).all()
    for _ in range(3):
        e = data.draw(tables(p.size, len(d), smallest=1e-9))
        D, R = exact.distortion(p, e, d), exact.information(p, e)
        if beta < INF or R == 0:
            value = D if beta in (0, INF) else D + beta * R
            assert solution.lower_bound <= value + 1e-12


@pytest.mark.parametrize("target", [{"beta": 0.7}, {"rate": 0.2}, {"distortion": 0.15}])
def test_a_cost_gives_what_rate_distortion_gives(target):
    """solve(p, cost=…) = rate_distortion(p, …), with a marginal fixed or free."""
    ours, theirs = solve(HALF, cost=BERGER, **target), rate_distortion(HALF, BERGER, **target)
    assert (ours.D, ours.R, ours.gap) == (theirs.D, theirs.R, theirs.gap)
    fixed = solve(HALF, cost=BERGER, marginal=[0.3, 0.3, 0.4], **target)
    assert fixed.m == pytest.approx([0.3, 0.3, 0.4])
    assert fixed.objective >= theirs.lower_bound


def test_a_fixed_decoder_and_marginal_leave_only_the_encoder():
    """Then the encoder is e ∝ m d^(1/β), and the answer exact."""
    m = np.array([0.2, 0.3, 0.5])
    solution = solve(THIRDS, decoder=SHARP_ROWS, marginal=m, beta=0.5)
    weights = m * SHARP_ROWS.T**2
    assert solution.e == pytest.approx(weights / weights.sum(axis=1, keepdims=True))
    assert solution.gap <= 1e-12
    for name, value in (("rate", 0.2), ("distortion", 0.7)):
        met = solve(THIRDS, decoder=SHARP_ROWS, marginal=m, **{name: value})
        assert met.status is Status.CERTIFIED
        assert near(value) == (met.R if name == "rate" else met.D)


@pytest.mark.parametrize(("p", "n_z"), [([1.0], 1), ([1.0], 3), (THIRDS, 1), ([0.0, 1.0], 2)])
def test_one_symbol_or_one_latent_leaves_no_choice(p, n_z):
    """R = 0 and D = H, which is 0 for one symbol."""
    for target in ({"beta": 0.5}, {"beta": 2}, {"rate": 0}, {"distortion": entropy(p)}):
        solution = solve(p, n_z=n_z, **target)
        assert near((entropy(p), 0), 1e-14) == (solution.D, solution.R)


# The result


def test_a_solution_has_what_its_model_has():
    """p, e, d, m, H, D, R, I and all that follows, for a decoder; a bare cost lacks d."""
    names = [
        "p", "e", "d", "m", "H", "D", "R", "I", "elbo", "g", "e_z", "reconstruction",
        "x_given_x", "x_given_z", "rate_gap", "distortion_gap", "n_x", "n_z",
    ]  # fmt: skip
    for options in (
        {},
        {"decoder": SHARP_ROWS},
        {"decoder": GaussianDecoder(3)},
        {"start": "smooth"},
    ):
        solution = solve(THIRDS, rate=0.2, **options)
        model = Model(solution.p, solution.e, solution.d, solution.m)
        for name in names:
            assert getattr(solution, name) == pytest.approx(getattr(model, name), abs=1e-10)
        assert isinstance(solution.model, Model)
        assert -np.log(solution.d.T) == pytest.approx(solution.cost)
    bare = rate_distortion(HALF, BERGER, rate=0.2)
    assert near((math.log(2), 0.2)) == (bare.H, bare.I)
    for name in ("d", "elbo", "g", "reconstruction", "x_given_x", "distortion_gap", "model"):
        with pytest.raises(AttributeError, match="cost"):
            getattr(bare, name)


@pytest.mark.parametrize("fixed", [{"decoder": SHARP_ROWS}, {"cost": -np.log(SHARP_ROWS.T)}])
@pytest.mark.parametrize("target", [{"beta": 0.7}, {"rate": 0.2}, {"distortion": 0.7}])
def test_numbers_agree_in_any_unit(fixed, target):
    """The objective is D + βR, D or R; a bit is log 2 nats; the D of a bare cost has no unit."""
    solution, ((name, value),) = solve(THIRDS, **fixed, **target), target.items()
    for unit, nats in (("nats", 1.0), ("bits", math.log(2))):
        row, cost = solution.to_dict(unit=unit), nats if "decoder" in fixed else 1.0
        paid = {
            "beta": row["D"] + row["beta"] * row["R"],
            "rate": row["D"],
            "distortion": row["R"],
        }
        assert row["objective"] == pytest.approx(paid[name], abs=1e-9)
        assert row["objective"] - row["lower_bound"] == pytest.approx(row["gap"], abs=1e-14)
        assert row["D"] * cost == pytest.approx(solution.D)
        assert row["R"] * nats == pytest.approx(solution.R)
        of_value = {"beta": cost / nats, "rate": nats, "distortion": cost}
        assert row["value"] * of_value[name] == pytest.approx(value)
        assert (row["target"], row["status"]) == (name, "certified")


@pytest.mark.parametrize(
    "options",
    [{"beta": 0.5}, {"rate": 0.5}, {"rate": 0.5, "start": "smooth"},
     {"beta": 1, "decoder": SHARP_ROWS},
     {"beta": 1.2, "decoder": GaussianDecoder(3)}, {"beta": 1, "cost": np.eye(3)}],
)  # fmt: skip
def test_solutions_are_read_only_and_survive_pickling(options):
    p = THIRDS.copy()
    solution = solve(p, **options)
    p[:] = -1
    assert (solution.p == THIRDS).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        solution.gap = 0.0
    for twin in (solution, pickle.loads(pickle.dumps(solution)), copy.deepcopy(solution)):
        for name in ("p", "e", "m", "cost", "e_z", "history", "parameters"):
            assert not getattr(twin, name).flags.writeable
        assert (twin.objective, twin.gap, twin.status) == (
            solution.objective, solution.gap, solution.status,
        )  # fmt: skip
        assert (twin.e == solution.e).all()
        assert (twin.history == solution.history).all()
    assert repr(solution).startswith("Solution(")
    assert isinstance(solution, Solution)


def test_arguments_are_never_written_into():
    """Read-only inputs are legal everywhere, and writable ones come back as they were."""
    tables_ = {
        "decoder": SHARP_ROWS.copy(), "marginal": np.array([0.2, 0.3, 0.5]),
        "start": np.full((3, 3), 1 / 3), "prefer": np.eye(3), "cost": np.eye(3),
    }  # fmt: skip
    before = {name: table.copy() for name, table in tables_.items()}
    for names in (["decoder"], ["decoder", "marginal"], ["start"], ["prefer"], ["cost"]):
        for writeable in (True, False):
            given_ = {name: tables_[name] for name in names}
            for table in given_.values():
                table.flags.writeable = writeable
            target = {"beta": 0.9} if "start" in names else {"rate": 0.2}
            solve(THIRDS, **given_, **target)
            assert all((given_[name] == before[name]).all() for name in names)


def test_random_starts_follow_the_seed():
    """The same seed gives the same tables, another seed others; a Generator works too."""
    options = {"beta": 0.5, "start": "random"}
    first, again, other = (solve(THIRDS, rng=rng, **options) for rng in (1, 1, 2))
    assert (first.history == again.history).all()
    assert (first.history[0] != other.history[0]).any()
    drawn = [solve(THIRDS, rng=np.random.default_rng(1), **options) for _ in range(2)]
    assert (drawn[0].history == drawn[1].history).all()


# One test for each status


def test_certified_is_a_proven_optimum():
    assert solve(THIRDS, beta=0.5).status is Status.CERTIFIED
    assert rate_distortion(HALF, BERGER, beta=0.5).status is Status.CERTIFIED


def test_searched_is_an_optimum_that_nobody_has_proven():
    solution = solve(geometric_source(), beta=1.2, decoder=GeometricDecoder())
    assert solution.status is Status.SEARCHED
    assert solution.converged
    assert "not proven" in solution.message


def test_local_is_a_search_at_rest_whose_gap_bounds_the_error():
    family = BernoulliDecoder(PICTURES.images)
    solution = solve(PICTURES.p, decoder=family, n_z=6, beta=1.2)
    assert solution.status is Status.LOCAL
    assert solution.converged
    assert 1e-10 < solution.gap < INF


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.5, "start": "random"},
        {"beta": 0.3, "decoder": MANY_ROWS, "max_iter": 1},
        {"beta": 1.1, "decoder": TRUTH.d, "start": "random"},
        {"beta": 1.001, "decoder": GaussianDecoder(), "max_iter": 1, "tol": 1e-12},
    ],
)
def test_stopped_is_the_best_at_the_cap_with_one_warning(options):
    """The gap still bounds the error, and the warning says what to do."""
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        solution = solve(TOY.p, **{"max_iter": 2, "rng": 0, **options})
    assert len(caught) == 1
    assert solution.status is Status.STOPPED
    assert not solution.converged
    assert 0 <= solution.gap < INF
    assert "stopped" in repr(solution)


@pytest.mark.parametrize(
    ("p", "options"),
    [
        (THIRDS, {"distortion": 0.5, "start": np.full((3, 3), 1 / 3)}),
        (HALF, {"rate": 0.1, "start": np.eye(2)}),
        (np.full(3, 1 / 3), {"beta": INF, "start": np.eye(3)}),
        (np.full(4, 0.25), {"beta": INF, "start": np.eye(4),
                            "decoder": BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]])}),
        (np.full(3, 1 / 3), {"beta": INF, "start": np.eye(3, 4),
                             "decoder": [*np.eye(3), [0.4, 0.3, 0.3]]}),
    ],
)  # fmt: skip
def test_missed_is_a_target_that_a_start_cannot_meet(p, options):
    """R comes first at β = ∞; equal rows tell nothing apart. The gap then means nothing: ∞."""
    with pytest.warns(ConvergenceWarning, match="try another start"):
        solution = solve(p, **options)
    assert solution.status is Status.MISSED
    assert solution.gap == INF
    assert not solution.converged


def test_at_an_infinite_price_no_start_is_needed():
    p = np.full(4, 0.25)
    for decoder in (
        None,
        BernoulliDecoder([[0, 0], [0, 1], [1, 0], [1, 1]]),
        np.full((2, 4), 0.25),
    ):
        solution = solve(p, beta=INF, decoder=decoder)
        assert near(0, 1e-15) == solution.R
        assert solution.converged


# Refusals and warnings


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
        ({"beta": 1, "start": "smoth"}, ValueError, "start is 'smoth', but must be 'smooth'"),
        ({"beta": 1, "start": [[1.0]]}, ValueError, r"start must have shape \(3, 1\)"),
        ({"beta": 1, "start": [[0.5, 0.6]] * 3}, ValueError, "every row of start must sum to 1"),
        ({"beta": 1, "start": "random", "rng": -1}, ValueError, "rng must be a seed"),
        ({"beta": 1, "start": "random", "rng": "x"}, TypeError, "rng must be a seed"),
        ({"beta": 1, "n_z": 2, "marginal": [1.0], "decoder": SHARP_ROWS, "start": [[1.0]] * 3},
         ValueError, r"number of latents \(n_z: 2, decoder: 3, marginal: 1, start: 1\)"),
        ({"rate": 1, "n_z": 2, "prefer": np.zeros((3, 3))}, ValueError,
         r"disagree on the number of latents \(n_z: 2, prefer: 3\)"),
        ({"rate": 0.1, "prefer": np.zeros((2, 3))}, ValueError, "prefer must have one row for"),
        ({"beta": 1, "prefer": np.zeros((3, 3))}, ValueError, "prefer picks"),
        ({"rate": 0.1, "prefer": np.zeros((3, 3)), "start": "smooth"}, ValueError, "prefer picks"),
        ({"beta": 1, "decoder": BernoulliDecoder([[0], [1]])}, ValueError, "decoder has rows"),
        ({"beta": 1, "cost": np.eye(3), "decoder": SHARP_ROWS}, ValueError, "cost"),
        ({"beta": 1, "cost": [[0, 1]]}, ValueError, "cost must have one row for each"),
        ({"beta": 1, "starts": 0}, ValueError, "starts is 0"),
        ({"beta": 1, "start": "random", "callback": 3}, TypeError, "callback must be callable"),
        # Out of reach: the range is named.
        ({"rate": 1.1}, ValueError, "with 3 latents is 0 to 1.0397"),
        ({"rate": 1, "n_z": 2}, ValueError, "with 2 latents, .* is 0 to 0.693147180"),
        ({"distortion": -0.1}, ValueError, "distortion is -0.1, but the reach.* is 0 to 1.0397"),
        ({"distortion": 0.1, "n_z": 2}, ValueError, "2 latents, split .* is 0.34657.* to 1.0397"),
        ({"rate": 0.7, "marginal": [0.5, 0.5, 0]}, ValueError, "this marginal is 0 to 0.69314"),
        ({"rate": 1.1, "start": "smooth"}, ValueError, "with 3 latents is 0 to 1.0397"),
        ({"distortion": 0.1, "marginal": [0.5, 0.5]}, ValueError, "with 2 latents is 0.34657"),
        ({"rate": 1.1, "decoder": SHARP_ROWS}, ValueError, "the reachable range is 0 to 1.03"),
        ({"distortion": 0.1, "decoder": SHARP_ROWS}, ValueError, "range is 0.2950.* to 1.26286"),
        ({"rate": 1.1, "decoder": SHARP_ROWS, "start": "smooth"}, ValueError, "is 0 to 1.03"),
        ({"rate": 3, "decoder": GaussianDecoder(3)}, ValueError, "the reachable range is 0 to"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(options, error, message):
    with pytest.raises(error, match=message):
        solve(**{"p": THIRDS, **options})


@pytest.mark.parametrize("options", [{"starts": 0}, {"rng": "x"}, {"tol": -1}, {"max_iter": 0}])
def test_arguments_are_checked_also_where_they_are_of_no_use(options):
    for call in (lambda: solve(THIRDS, beta=1, **options), lambda: frontier(THIRDS, **options)):
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 1.1, "start": "random", "max_iter": 1},
        {"beta": 0.3, "decoder": MANY_THIRDS, "max_iter": 1},
        {"rate": 0.1, "start": np.eye(3)},
    ],
)
def test_a_warning_points_at_the_line_of_the_user(options):
    with pytest.warns(ConvergenceWarning) as caught:
        solve(THIRDS, **options)
    assert [warning.filename for warning in caught] == [__file__]
