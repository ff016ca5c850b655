"""What the optimum leaves open: ranges over all optimal models, and the perfect fits."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import TOY
from scipy.optimize import brentq, linprog

from toyrd import (
    BernoulliDecoder,
    GaussianDecoder,
    Model,
    Source,
    ambiguity,
    bars_and_stripes,
    entropy,
    mutual_information,
    toy_source,
)
from toyrd.ambiguity import corner, identified
from toyrd.information import bottleneck
from toyrd.testing import distributions, tables

SMALL = toy_source(
    weights=(0.6, 0.4), means=(1.2, 3.8), widths=(0.8, 1), n_bins=6, information=None
)
FAMILY = GaussianDecoder(6)
MEASURES = ["separation", "information"]
SEEN = Source([0.5, 0.5], np.eye(2))
ROUNDING = 1e-8
"""Of searched values and bounds: the programmes' own tolerance."""


@cache
def fits():
    """The perfect fits of the small source, which take a second or two."""
    return corner(SMALL.p, FAMILY)


@cache
def of_small(measure):
    return identified(SMALL, rate=SMALL.information, decoder=FAMILY, measure=measure)


def measured(source, model, measure):
    """The value by its definition, from the encoder alone."""
    return (source.separation if measure == "separation" else source.latent_information)(model.e)


def assert_optimal(source, model, rate):
    """D + R = H and R = I = the rate asked for."""
    assert pytest.approx(entropy(source.p), abs=1e-8) == model.D + model.R
    assert pytest.approx((rate, rate), abs=1e-8) == (model.R, model.I)


# All tables free


def test_on_the_toy_anything_from_nothing_to_more_than_the_truth_is_optimal():
    """Theory §9: 0 to .864639 at a rate of .5, proven."""
    answer = identified(TOY, rate=0.5)
    assert (answer.measure, answer.rate) == ("separation", 0.5)
    assert answer.least.proven
    assert answer.largest.proven
    assert answer.least.value == pytest.approx(0, abs=1e-9)
    assert answer.largest.value == pytest.approx(0.864639, abs=5.1e-7)
    assert answer.largest.bound - answer.largest.value <= 1e-8
    assert answer.largest.value > TOY.separation(TOY.true_model().e)
    for end in (answer.least, answer.largest):
        assert_optimal(TOY, end.model, 0.5)
        assert measured(TOY, end.model, "separation") == pytest.approx(end.value, abs=1e-9)


def test_the_largest_information_is_the_bottleneck():
    answer = identified(TOY, rate=0.5, measure="information")
    assert answer.least.value == pytest.approx(0, abs=1e-9)
    assert answer.largest.value == pytest.approx(0.397660439, abs=1e-8)
    assert answer.largest.proven


def test_at_the_highest_rates_the_separation_is_that_of_bayes():
    """½ Σ |P(x|0) − P(x|1)| = .89923 of the toy; a lossless code has no less."""
    bayes = np.abs(TOY.p_x_given_z[0] - TOY.p_x_given_z[1]).sum() / 2
    assert bayes == pytest.approx(0.89923, abs=5.1e-6)
    answer = identified(TOY, rate=entropy(TOY.p))
    assert answer.largest.value == pytest.approx(bayes, abs=1e-8)
    assert answer.least.value == pytest.approx(bayes, abs=1e-6)
    assert identified(TOY, rate=2.0).largest.value == pytest.approx(bayes, abs=1e-8)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_where_symbols_are_the_classes_the_ends_are_an_erasure_and_a_flip(rate):
    """Mean a of posteriors (1 ± a)/2 with mean of log 2 − h((1 + a)/2) = R, which is convex in a.

    Least where a is 0 or 1, R/log 2; largest where all a are the same.
    """
    answer = identified(SEEN, rate=rate)
    same = brentq(lambda a: math.log(2) - entropy([(1 + a) / 2, (1 - a) / 2]) - rate, 1e-9, 1)
    assert answer.least.value == pytest.approx(rate / math.log(2), abs=1e-9)
    assert answer.least.bound == pytest.approx(answer.least.value, abs=1e-9)
    assert answer.largest.value == pytest.approx(same, abs=1e-8)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_prices_that_are_off_prove_less_and_never_more(monkeypatch, rate):
    """Σ aim · prices, less what a posterior gains at them, is a bound for any prices."""
    solved = ambiguity._programme

    def shaken(*arguments):
        found = solved(*arguments)
        found.eqlin.marginals = found.eqlin.marginals + 0.1
        return found

    monkeypatch.setattr(ambiguity, "_programme", shaken)
    assert identified(SEEN, rate=rate).least.bound <= rate / math.log(2) + 1e-12


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_where_symbols_are_the_classes_the_information_is_the_rate(rate):
    """Pinsker's bound of the least is proven, not sharp."""
    answer = identified(SEEN, rate=rate, measure="information")
    assert (answer.least.value, answer.largest.value) == pytest.approx((rate, rate), abs=1e-9)
    assert 0 < answer.least.bound < rate


@pytest.mark.parametrize("measure", MEASURES)
def test_at_no_rate_nothing_is_told(measure):
    answer = identified(SMALL, rate=0.0, measure=measure)
    assert (answer.least.value, answer.largest.value) == pytest.approx((0, 0), abs=1e-9)
    assert_optimal(SMALL, answer.largest.model, 0.0)


@settings(max_examples=12)
@given(
    distributions(2, smallest=1e-3),
    tables(2, 4, smallest=1e-6),
    st.floats(0, 1),
    st.sampled_from(MEASURES),
)
def test_no_encoder_lies_outside_the_range(p_z, rows, share, measure):
    """Nor do the models that the answer carries."""
    assume(p_z.all())
    source, rng = Source(p_z, rows), np.random.default_rng(0)
    e = np.concatenate([rng.dirichlet(np.full(3, 0.3), source.p.size), np.zeros((4, 1))], axis=1)
    e = (1 - share) * e + share * np.eye(4)
    rate = mutual_information(source.p[:, None] * e)
    answer = identified(source, rate=min(rate, entropy(source.p)), measure=measure)
    value = measured(source, Model(source.p, e, np.full((4, 4), 0.25), np.full(4, 0.25)), measure)
    assert answer.least.bound - 1e-7 <= value <= answer.largest.bound + 1e-7
    for end in (answer.least, answer.largest):
        assert_optimal(source, end.model, rate)
        assert measured(source, end.model, measure) == pytest.approx(end.value, abs=1e-7)


def test_a_symbol_that_never_occurs_changes_nothing():
    wide = Source(SMALL.p_z, np.insert(SMALL.p_x_given_z, 2, 0, axis=1))
    both = [identified(source, rate=0.4) for source in (SMALL, wide)]
    ends = [(one.least.value, one.largest.value) for one in both]
    assert ends[1] == pytest.approx(ends[0], abs=1e-8)


# The perfect fits of a family


def test_the_corner_lies_between_its_bound_and_the_truth():
    """R_min ≥ (lower bound − H)/(β − 1); the truth is a perfect fit, and that of fewest rows."""
    found, truth = fits(), SMALL.information
    assert found.least.proven
    assert not found.largest.proven
    assert found.least.bound <= found.least.value <= truth <= found.largest.value
    assert found.least.value - found.least.bound <= 1e-4
    assert pytest.approx(truth, abs=1e-7) == found.fewest.R
    np.testing.assert_allclose(np.sort(found.fewest.m), [0.4, 0.6], atol=1e-6)
    assert not found.unique
    for end in (found.least, found.largest):
        assert_optimal(SMALL, end.model, end.value)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_family_leaves_less_open_than_free_tables(measure):
    """The truth is one of the optima, and free tables cover all of them."""
    own, truth = of_small(measure), SMALL.true_model()
    free = identified(SMALL, rate=SMALL.information, measure=measure)
    value = measured(SMALL, truth, measure)
    assert own.least.value - ROUNDING <= value <= own.largest.value + ROUNDING
    assert free.least.bound - ROUNDING <= own.least.value
    assert own.largest.value <= free.largest.bound + ROUNDING
    assert not own.least.proven
    assert not own.largest.proven


@pytest.mark.parametrize("measure", MEASURES)
def test_both_extremes_are_optimal_models_of_the_family(measure):
    """Their values are those of their encoders, and within rounding of what prices allow."""
    for end in (of_small(measure).least, of_small(measure).largest):
        assert_optimal(SMALL, end.model, SMALL.information)
        assert measured(SMALL, end.model, measure) == pytest.approx(end.value, abs=ROUNDING)
        assert end.bound == pytest.approx(end.value, abs=1e-6)
        np.testing.assert_allclose(end.model.g, SMALL.p, atol=1e-9)


def test_no_mixture_of_random_rows_lies_beyond_the_searched_ends():
    """Linear programmes over random rows of the box, with the truth's to be sure of one."""
    rng = np.random.default_rng(0)
    rows = np.exp(FAMILY.log_rows(rng.uniform(*FAMILY.box, (300, 2))))
    rows = np.vstack([rows, SMALL.p_x_given_z])
    told = np.abs((rows * (SMALL.p_z[:, None] * SMALL.p_x_given_z / SMALL.p)[0]).sum(axis=1))
    value = np.abs(told / 0.6 - (1 - told) / 0.4) / 2
    spent = (rows * np.log(rows / SMALL.p)).sum(axis=1)
    sums, aim = np.vstack([rows.T, spent]), np.append(SMALL.p, SMALL.information)
    low, high = (ambiguity.linprog(s * value, A_eq=sums, b_eq=aim).fun * s for s in (1, -1))
    own = of_small("separation")
    assert own.least.value - 1e-6 <= low
    assert high <= own.largest.value + 1e-6


def test_gaussian_rows_leave_little_open_on_the_toy():
    """About .8500 to .8531 at a rate of .5, the truth among them (10 s)."""
    answer = identified(TOY, rate=0.5, decoder=GaussianDecoder())
    ends = answer.least.value, answer.largest.value
    assert ends == pytest.approx((0.8500, 0.8531), abs=1e-4)
    assert ends[1] >= TOY.separation(TOY.true_model().e) - ROUNDING
    assert answer.least.bound <= ends[0] <= ends[1] <= answer.largest.bound
    for end in (answer.least, answer.largest):
        assert_optimal(TOY, end.model, 0.5)


def test_the_corner_of_the_toy():
    """Theory §6: R_min from .499896 to .499924188, fits to at least 2.6123, never only one."""
    found = corner(TOY.p, GaussianDecoder())
    assert found.least.proven
    assert 0.499896 <= found.least.bound <= 0.499924188 <= found.least.value + 1e-9
    assert found.least.value <= 0.499926
    assert found.largest.value >= 2.6123
    assert pytest.approx(0.5, abs=1e-9) == found.fewest.R
    np.testing.assert_allclose(np.sort(found.fewest.m), [0.3, 0.7], atol=1e-8)
    assert not found.unique
    for end in (found.least, found.largest):
        assert_optimal(TOY, end.model, end.value)


def test_the_corner_of_the_images():
    """The patterns are the least rate found, and a lossless code is the largest (9 s)."""
    source = bars_and_stripes(3)
    found = corner(source.p, BernoulliDecoder(source.images))
    assert not found.least.proven  # c is searched above β = 1
    assert 2.51463 <= found.least.bound <= found.least.value + 1e-9
    assert found.least.value == pytest.approx(2.514712303282442, abs=1e-9)
    assert found.fewest.m == pytest.approx(np.full(14, 1 / 14), abs=1e-6)
    assert found.largest.proven
    assert found.largest.bound == found.largest.value == entropy(source.p)
    for end in (found.least, found.largest):
        assert_optimal(source, end.model, end.value)


@pytest.mark.parametrize("n", [1, 3])
def test_where_programmes_fail_the_known_fit_stands(monkeypatch, n):
    """Its value is right, and no bound is claimed that was not found."""
    solved, calls = ambiguity._programme, []

    def failing(*arguments):
        calls.append(arguments)
        return None if len(calls) >= n else solved(*arguments)

    monkeypatch.setattr(ambiguity, "_programme", failing)
    answer = identified(SMALL, rate=SMALL.information, decoder=FAMILY)
    known = SMALL.separation(SMALL.true_model().e)
    assert (answer.least.value, answer.largest.value) == pytest.approx((known, known), abs=1e-6)
    assert answer.least.bound <= known
    assert answer.largest.bound >= known


# Bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": -0.1}, "rate"),
        ({"rate": 3.0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": 0.3, "measure": "colour"}, "measure"),
        ({"rate": 0.1, "decoder": FAMILY}, "at rate 0.1 no mixture of the decoder's rows fits p"),
        ({"rate": 1.7, "decoder": FAMILY}, "rate"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        identified(SMALL, **options)


@pytest.mark.parametrize("measure", MEASURES)
def test_classes_other_than_two_are_refused(measure):
    source = Source([0.2, 0.3, 0.5], np.eye(3))
    with pytest.raises(ValueError, match="source has 3 components, but must have two"):
        identified(source, rate=0.5, measure=measure)


@pytest.mark.parametrize(
    ("n", "rows", "share"),
    [
        (5, [[1, 1], [3, 1]], 0.5),
        (6, [[1, 2], [4, 2]], 0.5),
        (11, [[2.15, 4.51], [6.39, 5.31]], 0.612),
        (10, [[0.66, 3.91], [2.32, 3.61]], 0.744),
    ],
)
def test_a_mixture_of_two_near_rows_has_a_corner(n, rows, share):
    """KL(p ‖ g) = 0 for the mixture itself, so the least rate is at most its R."""
    family, m = GaussianDecoder(n), np.array([share, 1 - share])
    d = np.exp(family.log_rows(rows))
    found, p = corner(m @ d, family), m @ d
    assert found.fewest.D + found.fewest.R - entropy(p) <= 1e-12
    R = float(m @ (d * np.log(d / p)).sum(axis=1))
    assert found.least.bound <= min(R, found.least.value) + 1e-9


@pytest.mark.parametrize(
    ("n", "rows", "share"),
    [
        (7, [[2.60968531, 3.19303282], [5.84511716, 3.03269311]], 0.4139237314678226),
        (6, [[0.89386887, 2.06348092], [3.99253435, 2.63847979]], 0.16624686071719577),
    ],
)
def test_no_fit_of_rows_on_a_grid_is_beyond_the_ends(n, rows, share):
    """least ≤ Σ m v ≤ largest for all m of Σ m d = p and Σ m KL(d ‖ p) = R."""
    family, m = GaussianDecoder(n), np.array([share, 1 - share])
    source = Source(m, np.exp(family.log_rows(rows)))
    grid = np.meshgrid(np.linspace(*family.means, 60), np.geomspace(*family.widths, 30))
    d = np.exp(family.log_rows(np.vstack([np.stack(grid, axis=-1).reshape(-1, 2), rows])))
    sums = np.column_stack([d / source.p, (d * np.log(d / source.p)).sum(axis=1)])
    aim = np.append(np.ones(n), source.information)
    found = identified(source, rate=source.information, decoder=family)
    v = np.abs(d @ (source.p_z_given_x / source.p_z @ [0.5, -0.5]))
    least, largest = (linprog(sign * v, A_eq=sums.T, b_eq=aim).fun for sign in (1, -1))
    assert found.least.bound <= least + 1e-6
    assert found.largest.bound >= -largest - 1e-6
    assert found.least.bound <= found.least.value


def test_a_source_that_no_mixture_fits_has_no_corner():
    wide = GaussianDecoder(6, widths=(3, 6))
    with pytest.raises(ValueError, match="no mixture of the decoder's rows fits p"):
        corner([0.3, 0.02, 0.3, 0.02, 0.3, 0.06], wide)
    with pytest.raises(ValueError, match=r"p\[1\] is 0: leave out symbols that never occur"):
        corner([0.5, 0, 0.5], GaussianDecoder(3))
    with pytest.raises(ValueError, match="p must sum to 1"):
        corner([0.5, 0.6], GaussianDecoder(2))


def test_the_ceiling_of_an_optimum_is_that_of_any_representation():
    """The bottleneck at the rate of the truth bounds the information of every perfect fit."""
    joint = (SMALL.p_z[:, None] * SMALL.p_x_given_z).T
    ceiling = entropy(SMALL.p_z) - bottleneck(joint, rate=SMALL.information).lower_bound
    assert of_small("information").largest.value <= ceiling + ROUNDING
