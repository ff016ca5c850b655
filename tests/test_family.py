"""Families solved globally: the corner, the ends, targets, and a family of one's own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import (
    INF,
    TOY,
    GeometricDecoder,
    H,
    fine_rows,
    geometric_source,
)

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    DecoderFamily,
    GaussianDecoder,
    empirical,
    entropy,
    rate_distortion,
    solve,
    toy_source,
)
from toyrd.curve import Status

FAMILY = GaussianDecoder()
seeds = st.integers(0, 2**32 - 1)


def near(value, tolerance=1e-10):
    return pytest.approx(value, abs=tolerance)


def test_a_bound_that_is_no_number_proves_nothing():
    """What is left is D + βR ≥ H for β ≥ 1."""

    class Lost(GaussianDecoder):
        def bound(self, log_weight, beta, goal):
            return super().bound(log_weight, beta, goal)._replace(top=np.nan)

    p = [0.05, 0.4, 0.1, 0.4, 0.05]
    with pytest.warns(ConvergenceWarning, match="stopped with a gap"):
        found = solve(p, beta=1.2, decoder=Lost(5))
    assert found.status is Status.STOPPED
    assert found.lower_bound == near(entropy(p))


def test_cells_below_rounding_are_given_up():
    """Rows of width 1e-6 off the bins cost 1e6 nats, and no cell is small enough for them."""
    p = np.arange(1, 7) / 21
    family = GaussianDecoder(6, means=(-0.75, -0.75), widths=(1e-6, 1e-3))
    with pytest.warns(ConvergenceWarning, match="stopped with a gap"):
        found = solve(p, beta=0, decoder=family)
    rows = np.column_stack([np.full(999, -0.75), np.geomspace(1e-6, 1e-3, 999)])
    assert found.lower_bound <= (-family.log_rows(rows) @ p).min()


# Theory §6, beyond what test_solve has


@pytest.mark.parametrize(("beta", "R"), [(1.0001, 0.49872), (1.00001, 0.49965)])
def test_rates_close_to_the_corner(beta, R):
    """R_min ≥ (lower bound − H)/(β − 1) for any β > 1: the corner lies in [.499896, .499925]."""
    solution = solve(TOY.p, beta=beta, decoder=FAMILY, tol=1e-9)
    assert solution.status is Status.CERTIFIED
    assert abs(solution.R - R) <= 1e-5 + solution.gap / (beta - 1)
    assert (solution.lower_bound - H) / (beta - 1) <= 0.499925


def test_a_tangent_close_to_one_bounds_the_corner_as_sharply_as_theory():
    """R_min ≥ .499896, and a perfect fit of rate .499924188 is known."""
    solution = solve(TOY.p, beta=1.000001, decoder=FAMILY, tol=1e-11)
    assert solution.status is Status.CERTIFIED
    assert 0.499896 <= (solution.lower_bound - H) / (solution.beta - 1) <= 0.499924188


def test_few_rows_are_enough_close_to_the_corner():
    """Theory §6: 17 at 1.00001, so that rows of little mass lie where c is 1 and no higher."""
    solution = solve(TOY.p, beta=1.00001, decoder=FAMILY, tol=1e-9)
    assert solution.n_z == 17
    assert solution.iterations <= 8


@pytest.mark.parametrize("beta", [2.035168135, 1.215549041])
def test_a_row_is_born_at_its_transition(beta):
    """One row more just below it: D + βR of the answer with fewer rows is above the bound."""
    above, below = (solve(TOY.p, beta=beta * (1 + s), decoder=FAMILY) for s in (0.01, -0.01))
    assert below.n_z == above.n_z + 1


def test_collapse_is_one_row_the_fit_of_the_data():
    """For every β > 2.0352 and at ∞, R = 0."""
    best = FAMILY.fit(TOY.p[None], None)
    np.testing.assert_allclose(best, [[12.6, 5.05]], atol=0.05)
    for beta in (4, 1e3, 1e6, INF):
        solution = solve(TOY.p, beta=beta, decoder=FAMILY)
        assert solution.status is Status.CERTIFIED
        assert solution.R == 0
        np.testing.assert_allclose(solution.parameters, best, atol=1e-6)


def test_at_no_price_every_symbol_has_its_best_row():
    """D = −Σ p max_θ ℓ, with R the least for that."""
    solution = solve(TOY.p, beta=0, decoder=FAMILY)
    best = FAMILY.log_rows(FAMILY.fit(np.eye(30), None)).max(axis=0)
    assert solution.objective == near(-TOY.p @ best, 1e-8)
    assert solution.objective == pytest.approx(solution.D, rel=1e-14)
    grid = FAMILY.log_rows(fine_rows(FAMILY, solution.parameters))
    assert -TOY.p @ grid.max(axis=0) >= solution.lower_bound - 1e-12


@pytest.mark.parametrize("beta", [1e-300, 1e-100, 1e-12, 1e-10])
def test_at_a_tiny_price_the_answer_is_nearly_that_of_no_price(beta):
    """F(0) ≤ F(β) ≤ F(0) + β log n, and the certificate knows it."""
    p, family = [0.5, 0.3, 0.2], GaussianDecoder(3)
    free, solution = (solve(p, beta=price, decoder=family) for price in (0.0, beta))
    assert solution.status is Status.CERTIFIED
    assert free.lower_bound - 1e-12 <= solution.objective <= free.objective + 2 * beta + 1e-9


@pytest.mark.parametrize("distortion", [2.9, 2.2])
def test_distortions_are_met_and_their_rates_lead_back(distortion):
    solution = solve(TOY.p, distortion=distortion, decoder=FAMILY)
    assert solution.status is Status.CERTIFIED
    assert near(distortion) == solution.D
    assert near(solution.objective, 1e-12) == solution.R
    back = solve(TOY.p, rate=solution.R, decoder=FAMILY)
    assert near(distortion, 1e-7) == back.D


def test_at_the_least_distortion_a_tangent_within_rounding_bounds_the_rate():
    """Rows nearly as good may cost less, so that the table of the best alone proves nothing."""
    p, family = np.array([0.5, 0.3, 0.2]), GaussianDecoder(3)
    least = solve(p, beta=0, decoder=family)
    solution = solve(p, distortion=least.D, decoder=family)
    assert solution.status is Status.CERTIFIED
    assert near(least.D) == solution.D
    assert 1e-10 < solution.gap <= 1e-8
    rows = family.log_rows(fine_rows(family, solution.parameters))
    assert solution.lower_bound <= rate_distortion(p, -rows.T, distortion=solution.D).R + 1e-12


def test_the_perfect_fit_of_least_rate_depends_on_the_binning():
    """Equal widths ±1, 0.598: fits below the truth's rate exist; at it, the truth has two rows."""
    width = 0.598 / 0.2  # thirty equal bins over −3 to 3
    source = toy_source(
        weights=(0.3, 0.7), means=(9.5, 19.5), widths=(width, width), information=None
    )
    assert abs(source.information - 0.5) < 1e-3
    solution = solve(source.p, rate=0.4975, decoder=FAMILY)
    assert near(0.4975) == solution.R
    assert near(entropy(source.p), 1e-7) == solution.D + solution.R
    truth = solve(source.p, rate=source.information, decoder=FAMILY)
    np.testing.assert_allclose(np.sort(truth.parameters[:, 0]), [9.5, 19.5], atol=1e-6)
    np.testing.assert_allclose(truth.parameters[:, 1], width, atol=1e-6)


@pytest.mark.parametrize(("rate", "separation"), [(0.05, 0.173), (0.1435, 0.413), (0.3, 0.653)])
def test_a_mis_stated_rate_loses_the_classes(rate, separation):
    """Theory §9."""
    solution = solve(TOY.p, rate=rate, decoder=FAMILY)
    assert TOY.separation(solution.e) == near(separation, 6e-4)


def test_with_few_samples_the_proven_optimum_separates_less():
    """Theory §9: .37 to .66 of 50 samples, where the truth has .853."""
    for seed in range(2):
        solution = solve(empirical(TOY.p, 50, rng=seed), rate=0.5, decoder=FAMILY)
        assert solution.status is Status.CERTIFIED
        assert 0.3 < TOY.separation(solution.e) < 0.75


# Awkward sources


@pytest.mark.parametrize(
    ("p", "rate"), [([0.5, 0, 0, 0.5, 0], 0.5), ([0.3, 0.4, 0.3, 0], 1.0), ([0.5, 0.0, 0.5], 0.6)]
)
def test_symbols_without_mass_leave_no_perfect_fit_but_every_rate(p, rate):
    """A row leaks to them, so that D + R > H."""
    solution = solve(p, rate=rate, decoder=GaussianDecoder(len(p)))
    assert solution.status is Status.CERTIFIED
    assert near(rate) == solution.R
    assert solution.D + rate > entropy(p) + 1e-3


@pytest.mark.parametrize(("apart", "widths"), [(1, (40, 50)), (19, (0.01, 0.05))])
def test_rates_are_met_where_beta_must_be_tiny_or_huge(apart, widths):
    """The other half costs 1e-5 or some 1e5 nats."""
    p = np.zeros(apart + 1)
    p[[0, apart]] = 0.4, 0.6
    family = GaussianDecoder(p.size, widths=widths)
    solution = solve(p, rate=0.95 * entropy(p), decoder=family, tol=1e-4)
    assert solution.status is Status.CERTIFIED
    assert near(0.95 * entropy(p)) == solution.R
    assert solution.beta < 1e-2 or solution.beta > 1e4


def test_rows_far_from_some_symbols_give_no_infinite_distortion():
    """They collapse only at a β as large as their cost."""
    for n, n_z, options, beta in ((30, 1, {}, 2), (20, 2, {"widths": (0.01, 0.05)}, 2e4)):
        p = np.zeros(n)
        p[[0, -1]] = 0.5
        family = GaussianDecoder(n, **options)
        solution = solve(p, beta=beta, decoder=family)
        assert solution.status is Status.CERTIFIED
        assert solution.n_z == n_z
        assert near(solution.objective, 1e-9 * beta) == solution.D + beta * solution.R
        assert solve(p, beta=INF, decoder=family).R == 0


def test_two_bins_are_fitted_by_one_row_and_any_rate_lies_on_the_line():
    """D + R = H from R = 0 to where rows are as narrow as the box allows."""
    p, family = [0.3, 0.7], GaussianDecoder(2)
    for rate in (0.0, 0.1, 0.55):
        solution = solve(p, rate=rate, decoder=family)
        assert near(rate) == solution.R
        assert near(entropy(p), 1e-8) == solution.D + solution.R
        assert solution.status is Status.CERTIFIED


def test_one_bin_needs_nothing():
    solution = solve([1.0], beta=2, decoder=GaussianDecoder(1))
    assert (solution.D, solution.R, solution.status) == (0, 0, Status.CERTIFIED)


@settings(deadline=None, max_examples=6)
@given(st.integers(2, 6), st.floats(0.05, 0.95), st.sampled_from(["rate", "distortion"]), seeds)
def test_any_target_between_the_ends_is_met_and_proven(n_x, share, name, seed):
    """R or D to 1e-10, and the bound is below what the rows of a grid can do."""
    p = np.random.default_rng(seed).dirichlet(np.ones(n_x))
    family = GaussianDecoder(n_x)
    fine, coarse = (solve(p, beta=beta, decoder=family) for beta in (0, INF))
    low, high = (coarse.R, fine.R) if name == "rate" else (fine.D, coarse.D)
    aim = low + share * (high - low)
    solution = solve(p, decoder=family, **{name: aim})
    assert solution.status is Status.CERTIFIED
    assert near(aim) == (solution.R if name == "rate" else solution.D)
    rows = np.concatenate([family.dictionary(), solution.parameters])
    grid = rate_distortion(p, -family.log_rows(rows).T, **{name: aim})
    assert solution.lower_bound <= grid.objective + 1e-12


def test_a_family_of_another_number_of_bins_is_refused():
    for family in (GaussianDecoder(29), BernoulliDecoder(np.eye(7))):
        with pytest.raises(ValueError, match=f"decoder has rows over {family.n_x} symbols, but p"):
            solve(TOY.p, beta=1, decoder=family)


def test_rates_out_of_reach_are_refused_and_those_at_the_ends_are_met():
    with pytest.raises(ValueError, match=r"the reachable range is 0 to 2\.8"):
        solve(TOY.p, rate=3, decoder=FAMILY)
    assert solve(TOY.p, rate=0, decoder=FAMILY).R == 0
    slack = solve(TOY.p, distortion=10, decoder=FAMILY)
    assert (slack.R, slack.status) == (0, Status.CERTIFIED)


def test_a_cap_on_rounds_is_told():
    """The bound is one all the same."""
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        capped = solve(TOY.p, beta=1.001, decoder=FAMILY, max_iter=1, tol=1e-12)
    better = solve(TOY.p, beta=1.001, decoder=FAMILY)
    assert capped.status is Status.STOPPED
    assert capped.lower_bound <= better.objective


def test_a_search_that_finds_rows_above_one_bounds_nothing():
    """What it has not found is unknown: H alone is below the optimum for sure."""
    p = geometric_source()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        capped = solve(p, beta=1.2, decoder=GeometricDecoder(8), max_iter=1, tol=1e-15)
    assert capped.status is Status.STOPPED
    assert capped.lower_bound == near(entropy(p), 1e-12)


# A family of one's own


def test_a_family_of_ones_own_is_solved_and_its_rows_are_kept():
    """A page of code is enough; without a bound it is searched, not proven."""
    family, p = GeometricDecoder(8), geometric_source()
    assert isinstance(family, DecoderFamily)
    for target in ({"beta": 1.2}, {"rate": 0.05}, {"rate": 0.2}):
        solution = solve(p, decoder=family, **target)
        assert solution.converged
        np.testing.assert_allclose(np.exp(family.log_rows(solution.parameters)), solution.d)
        rows = fine_rows(family, solution.parameters, n=2000)
        fine = rate_distortion(p, -family.log_rows(rows).T, tol=1e-12, **target)
        assert solution.objective == near(fine.objective, 1e-9)
        assert near(target.get("rate", solution.R)) == solution.R


class Minimal:
    """Two rows to choose from, and an M-step: what the protocol asks for and no more."""

    n_x = 3

    def log_rows(self, parameters):
        return np.log([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])[parameters[:, 0].astype(int)]

    def fit(self, joint, parameters):
        choices = np.array([[0.0], [1.0]])
        return choices[np.argmax(joint @ self.log_rows(choices).T, axis=1)]


def test_the_least_family_is_searched_locally():
    """Its optimum is that of the table of all its rows."""
    p = np.array([0.3, 0.3, 0.4])
    solution = solve(p, beta=0.5, decoder=Minimal(), n_z=2)
    assert solution.status is Status.LOCAL
    table = solve(p, beta=0.5, decoder=np.exp(Minimal().log_rows(np.array([[0.0], [1.0]]))))
    assert solution.objective >= table.lower_bound - 1e-12
    assert solution.objective == near(table.objective, 1e-6)


class WrongSlopes(GaussianDecoder):
    """Slopes of the wrong sign: no step that they suggest is any good."""

    def slopes(self, parameters):
        return -super().slopes(parameters)


def test_slopes_only_propose():
    """With wrong ones the answer is worse or slower, never wrong."""
    p = np.random.default_rng(0).dirichlet(np.ones(5))
    right = solve(p, beta=1.3, decoder=GaussianDecoder(5))
    wrong = solve(p, beta=1.3, decoder=WrongSlopes(5), tol=1e-4)
    assert wrong.lower_bound <= right.objective + 1e-12
    assert right.lower_bound <= wrong.objective + 1e-12
    assert wrong.objective - right.objective <= wrong.gap + right.gap


def test_rows_that_coincide_are_one():
    """Two symbols alike at β = 0 share their best row, as the box allows no other mean."""
    family = GaussianDecoder(4, means=(1.5, 1.5), widths=(1, 1.5))
    solution = solve([0.25] * 4, decoder=family, beta=0)
    assert solution.n_z <= 2
    assert solution.status is Status.CERTIFIED
    assert math.isfinite(solution.D)
