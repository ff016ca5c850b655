"""Measures, models and best responses: 50-digit arithmetic, closed forms, laws and refusals."""

import dataclasses
import math

import exact
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import INF

from toyrd import (
    Model,
    best_decoder,
    best_encoder,
    best_marginal,
    entropy,
    kl_divergence,
    mutual_information,
    normalize,
)
from toyrd.model import SMALLEST
from toyrd.testing import distributions, models, tables

law = settings(deadline=None, max_examples=40)
channels = st.integers(1, 5).flatmap(lambda n: st.tuples(distributions(n), tables(n)))
joints = st.integers(1, 5).flatmap(lambda n: distributions(5 * n).map(lambda p: p.reshape(-1, n)))
pairs = st.integers(1, 5).flatmap(lambda n: st.tuples(distributions(n), distributions(n)))
betas = st.one_of(st.sampled_from([0.0, 1e-3, 1.0, 1e3, INF]), st.floats(0.01, 100))

# Products of its entries underflow where the entries do not.
FAINT = Model([1, 1e-200], [[1, 1e-200], [1, 1e-200]], [[1, 1e-200], [1, 1e-200]], [1, 1e-200])
FAR = Model([1, 1e-200], [[1, 0], [1, 1e-200]], [[1, 0], [1, 0]], [1, 0])


def numbers(model):
    return [model.H, model.D, model.R, model.I, model.rate_gap, model.distortion_gap]


def near(value, tolerance=1e-12):
    return pytest.approx(value, rel=tolerance, abs=tolerance)


def fitted(p, e):
    return Model(p, e, best_decoder(p, e), best_marginal(p, e))


def h(epsilon):
    return -epsilon * math.log(epsilon) - (1 - epsilon) * math.log(1 - epsilon)


# Measures


@law
@given(pairs, joints)
@example((np.array([1.0]), np.array([1.0])), np.diag([1, 1e-200]))
def test_measures_are_their_definitions_in_fifty_digits(pair, joint):
    """H = −Σ p log p, KL = Σ p log(p/q), +∞ just where support is missing, and I of a joint."""
    assert entropy(pair[0]) == pytest.approx(exact.entropy(pair[0]), rel=1e-14, abs=1e-300)
    assert kl_divergence(*pair) == pytest.approx(exact.kl_divergence(*pair), rel=1e-13, abs=1e-15)
    expected = exact.mutual_information(joint)
    assert mutual_information(joint) == pytest.approx(expected, rel=1e-13, abs=2e-15)


@law
@given(distributions(), distributions(), tables(5))
def test_entropy_has_its_bounds_and_its_chain_rule(p, q, rows):
    """0 ≤ H ≤ log n, log n − H = KL(p ‖ uniform), H(X, Z) = H(X) + Σ p H(Z|x), KL(p ‖ p) = 0."""
    n = p.size
    assert 0 <= entropy(p) <= math.log(n) + 1e-14
    divergence = kl_divergence(p, np.full(n, 1 / n))
    assert math.log(n) - entropy(p) == near(divergence, 1e-14)
    five = np.resize(p, 5) / np.resize(p, 5).sum()
    conditional = sum(w * entropy(row) for w, row in zip(five, rows, strict=True))
    assert entropy(five[:, None] * rows) == near(entropy(five) + conditional, 1e-13)
    assert kl_divergence(p, p) == 0
    assert mutual_information(np.outer(p, q)) <= 1e-14


@law
@given(joints)
def test_information_is_a_divergence_symmetric_and_bounded(joint):
    """I = KL(joint ‖ product of its margins), I(X; Z) = I(Z; X) ≤ min(H(X), H(Z))."""
    margins = joint.sum(axis=1), joint.sum(axis=0)
    information = mutual_information(joint)
    assert information == near(mutual_information(joint.T), 1e-14)
    assert 0 <= information <= min(entropy(margin / margin.sum()) for margin in margins) + 1e-13
    product = np.outer(*margins)
    if not (product[joint > 0] == 0).any():  # the product may underflow where the joint does not
        assert information == near(kl_divergence(joint, product / product.sum()), 1e-13)


@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_uniform_distributions_have_the_entropy_log_n(n):
    assert entropy(np.full(n, 1 / n)) == pytest.approx(math.log(n), rel=1e-14)
    assert mutual_information(np.eye(n) / n) == pytest.approx(math.log(n), rel=1e-14)
    cube = np.full((2, 3, n), 1 / (6 * n))
    assert entropy(cube) == pytest.approx(math.log(6 * n), rel=1e-14)
    assert kl_divergence(cube, cube) == 0


def test_zeros_are_positive_zeros():
    model = Model([1.0], [[1.0]], [[1.0]], [1.0])
    assert repr(model) == "Model(n_x=1, n_z=1: H=0, D=0, R=0, I=0, ELBO=-0)"
    measured = [entropy([1.0]), entropy([1 + 5e-11]), kl_divergence([1.0], [1.0]),
                mutual_information([[1.0]]), entropy(1.0)]  # fmt: skip
    for value in (*measured, *numbers(model)):
        assert (value, math.copysign(1, value)) == (0, 1)


def test_missing_support_costs_infinity_one_way_only():
    assert kl_divergence([0.5, 0.5], [1.0, 0.0]) == INF
    assert kl_divergence([1.0, 0.0], [0.5, 0.5]) == math.log(2)
    assert kl_divergence([1 - 2**-40, 2**-40], [1.0, 5e-324]) < 1e-9


def test_a_tiny_divergence_is_not_lost_to_cancellation():
    """KL = −½ log(1 − 4δ²)."""
    delta = 2.0**-30
    measured = kl_divergence([0.5, 0.5], [0.5 + delta, 0.5 - delta])
    assert measured == pytest.approx(-math.log1p(-4 * delta**2) / 2, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: entropy([0.5, 0.6]), ValueError, "p must sum to 1, but sums to 1.1"),
        (lambda: entropy([[0.5, 0.5], [np.nan, 0]]), ValueError, r"p\[1, 0\] is nan"),
        (lambda: entropy(["a"]), TypeError, "must hold real numbers, not <U1"),
        (lambda: kl_divergence([-1.0, 2.0], [1.0, 0.0]), ValueError, r"p\[0\] is -1.0"),
        (lambda: kl_divergence([1.0], [0.5]), ValueError, "q must sum to 1, but sums to 0.5"),
        (lambda: kl_divergence([1.0], [1.0, 0.0]), ValueError, r"q must have shape \(1,\), but"),
        (lambda: mutual_information([1.0]), ValueError, "joint must have 2 axes"),
        (lambda: mutual_information([[1.0], [1.0]]), ValueError, "joint must sum to 1"),
        (lambda: normalize([[1, 1], [0, 0]]), ValueError, r"of x\[1, 0\] is 0.0; leave that row"),
        (lambda: normalize([-1.0, 2.0]), ValueError, r"x\[0\] is -1.0"),
        (lambda: normalize([1.0, 2.0], axis=1), ValueError, "axis is 1, but must be at most 0"),
    ],
)
def test_what_is_not_a_distribution_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@law
@given(tables(), st.sampled_from([1e-300, 0.3, 1.0, 7.0, 1e300]))
def test_normalize_divides_by_the_sums(e, scale):
    """Rows, columns or all of an array sum to 1."""
    assert normalize(e * scale).sum(axis=1) == near(np.ones(len(e)))
    assert normalize(e.T * scale, axis=0).sum(axis=0) == near(np.ones(len(e)))
    assert normalize([3, 1]).tolist() == [0.75, 0.25]


# The model


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_every_number_is_its_definition_in_fifty_digits(model):
    """H, D, R and I are the sums of theory §1; D + R = H + KL(p ‖ g) + Σ p KL(e ‖ m d / g)."""
    p, e, d, m = model.p, model.e, model.d, model.m
    assert pytest.approx(exact.entropy(p), rel=1e-14, abs=1e-300) == model.H
    assert pytest.approx(exact.distortion(p, e, d), rel=1e-13, abs=1e-300) == model.D
    assert near(exact.rate(p, e, m), 1e-13) == model.R
    assert near(exact.information(p, e), 1e-13) == model.I
    assert near(mutual_information(p[:, None] * e)) == model.I
    assert near(exact.bound(p, e, d, m)) == -model.elbo == model.D + model.R


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_information_lies_between_the_bounds_and_each_gap_is_its_own_divergence(model):
    """H − D ≤ I ≤ R, I ≤ min(H, log n_z); R − I = KL(e(z) ‖ m), D − (H − I) = Σ e(z) KL."""
    assert model.I + 1e-13 >= model.H - model.D
    assert model.R + 1e-13 >= model.I
    assert 0 <= model.I <= min(model.H, math.log(model.n_z)) + 1e-13
    assert model.D >= 0
    assert near(model.rate_gap) == model.R - model.I
    assert near(model.distortion_gap) == model.D - (model.H - model.I)
    assert min(model.rate_gap, model.distortion_gap) >= 0


@law
@given(channels, st.data())
@example((FAINT.p, FAINT.e), None)
@example((FAR.p, FAR.e), None)
def test_the_bounds_are_tight_at_the_best_responses_and_nowhere_lower(channel, data):
    """With m = e(z) and d = e(x|z): R = I and D = H − I, and no other m or d does better."""
    p, e = channel
    best = fitted(p, e)
    assert near(best.I) == best.R
    assert near(best.H - best.I) == best.D
    assert [best.rate_gap, best.distortion_gap] == near([0, 0])
    if data is not None:
        other = Model(p, e, data.draw(tables(*e.T.shape)), data.draw(distributions(e.shape[1])))
        assert other.R >= best.R - 1e-13
        assert other.D >= best.D - 1e-13


@law
@given(models(smallest=1e-300), st.randoms(use_true_random=False), st.floats(0, 1))
def test_names_and_copies_of_latents_do_not_matter(model, random, share):
    """Relabelling z or x changes no number, nor does a latent split with its e and m."""
    z = random.sample(range(model.n_z), model.n_z)
    x = random.sample(range(model.n_x), model.n_x)
    renamed = Model(model.p[x], model.e[np.ix_(x, z)], model.d[np.ix_(z, x)], model.m[z])
    parts = np.ones(model.n_z + 1)
    parts[[z[0], -1]] = share, 1 - share
    copies = np.append(np.arange(model.n_z), z[0])
    split = Model(model.p, model.e[:, copies] * parts, model.d[copies], model.m[copies] * parts)
    if share == 0 or share * model.m[z[0]] > 1e-290:
        assert numbers(split) == near(numbers(model))
        assert np.allclose(split.g, model.g, rtol=1e-13, atol=1e-300)
    assert numbers(renamed) == near(numbers(model))


@law
@given(models(), st.floats(0, 1), st.data())
def test_distortion_and_rate_are_linear_in_the_data(model, share, data):
    """Σ p(…) under a mixture of two data distributions is the mixture of the two sums."""
    other = data.draw(distributions(model.n_x))
    mixed = model.on(share * model.p + (1 - share) * other)
    assert all((getattr(mixed, name) == getattr(model, name)).all() for name in "edm")
    for name in ("D", "R"):
        ends = getattr(model, name), getattr(model.on(other), name)
        if INF not in ends:
            assert near(share * ends[0] + (1 - share) * ends[1]) == getattr(mixed, name)


@law
@given(models())
def test_every_derived_table_is_normalised_and_sums_as_defined(model):
    """g = Σ m d, d(x) = Σ p p(x'|x), p(x'|x) = Σ e d, and e(x|z) e(z) = p e."""
    for table in (model.g, model.e_z, model.reconstruction, model.x_given_x, model.x_given_z):
        assert (table >= 0).all()
        assert table.sum(axis=-1) == near(np.ones(table.shape[:-1]))
    assert model.g == near((model.m[:, None] * model.d).sum(axis=0))
    assert model.reconstruction == near((model.p[:, None] * model.x_given_x).sum(axis=0))
    assert model.x_given_x == near((model.e[:, :, None] * model.d).sum(axis=1))
    assert near(model.p[:, None] * model.e) == (model.e_z[:, None] * model.x_given_z).T
    assert (model.x_given_z == best_decoder(model.p, model.e)).all()
    assert (model.e_z == best_marginal(model.p, model.e)).all()


@law
@given(st.floats(1e-300, 0.5), distributions(), st.floats(0, 1))
@example(0.11, np.array([1.0]), 0.5)
def test_channels_have_their_closed_forms(epsilon, p, kept):
    """Symmetric: R = I = log 2 − h(ε), D = h(ε). Erasing: I = (1 − ε) H. Lossless: R = H."""
    model = fitted([0.5, 0.5], np.array([[1 - epsilon, epsilon], [epsilon, 1 - epsilon]]))
    told = math.log(2) - h(epsilon)
    assert numbers(model) == near([math.log(2), h(epsilon), told, told, 0, 0], 1e-14)
    erased = fitted(p, np.column_stack([kept * np.eye(p.size), np.full(p.size, 1 - kept)]))
    assert near((kept * erased.H, (1 - kept) * erased.H)) == (erased.I, erased.D)
    lossless = Model(p, np.eye(p.size), np.eye(p.size), p)
    assert numbers(lossless) == near([entropy(p), 0, entropy(p), entropy(p), 0, 0], 1e-14)


@law
@given(distributions(), st.data())
def test_one_latent_or_one_symbol_has_nothing_to_say(p, data):
    """n_z = 1: R = I = 0, D = H + KL(p ‖ d). n_x = 1: H = D = I = 0, R = KL(e ‖ m)."""
    d = data.draw(tables(1, p.size))
    model = Model(p, np.ones((p.size, 1)), d, [1.0])
    assert near([0, 0], 1e-15) == [model.R, model.I]
    assert near(entropy(p) + kl_divergence(p, d[0])) == model.D
    single = Model([1.0], d, np.ones((p.size, 1)), p)
    assert near([0, 0, 0], 1e-15) == [single.H, single.D, single.I]
    assert near(kl_divergence(d[0], p), 1e-14) == single.R


def test_missing_support_is_infinite_in_the_numbers_and_in_their_gaps():
    """But a symbol without mass may be encoded and decoded in any way."""
    model = Model([0.5, 0.5], np.eye(2), np.eye(2)[::-1], [1, 0])
    assert numbers(model) == [math.log(2), INF, INF, near(math.log(2)), INF, INF]
    assert model.elbo == -INF
    assert "D=inf, R=inf" in repr(model)
    free = Model([0.5, 0.5, 0], [[1, 0], [1, 0], [0, 1]], [[0.5, 0.5, 0]] * 2, [1, 0])
    assert numbers(free) == near([math.log(2), math.log(2), 0, 0, 0, 0])


@law
@given(models())
def test_a_model_never_changes(model):
    """Tables, derived tables and attributes are read-only, and the arguments are copied."""
    arguments = [np.array(table) for table in (model.p, model.e, model.d, model.m)]
    copied = Model(*arguments)
    for argument in arguments:
        argument[...] = -1
    assert numbers(copied) == numbers(model)
    for name in ("p", "e", "d", "m", "g", "e_z", "reconstruction", "x_given_x", "x_given_z"):
        assert not getattr(copied, name).flags.writeable
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(copied, name, None)


@law
@given(distributions(), st.integers(1, 5), st.integers(0), st.floats(1e-320, 1e300))
def test_random_models_follow_their_seed(p, n_z, seed, concentration):
    """One seed, one model; any concentration gives legal tables."""
    options = {"rng": seed, "concentration": concentration}
    first, second = (Model.random(p, n_z, **options) for _ in range(2))
    assert (first.n_x, first.n_z) == (p.size, n_z)
    assert all((getattr(first, name) == getattr(second, name)).all() for name in "pedm")


def test_random_models_draw_from_the_generator_and_from_nothing_else():
    """A small concentration is nearly deterministic, a large one nearly uniform."""
    generator, state = np.random.default_rng(1), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, second = (Model.random([0.5, 0.5], 3, rng=generator) for _ in range(2))
    assert (first.e != second.e).all()
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    p = np.full(4, 0.25)
    sharp, even = (Model.random(p, 4, rng=0, concentration=c) for c in (1e-9, 1e9))
    assert np.allclose(np.sort(sharp.e, axis=1), [0, 0, 0, 1])
    assert np.allclose(even.e, 0.25, atol=1e-3)


def test_the_sketch_shows_where_the_mass_lies():
    """Blocks from ░ to █, z upwards."""
    lines = Model([0.5, 0.5], np.eye(2), np.eye(2), [0.5, 0.5]).sketch().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("1")
    assert lines[2].count("█") == 2


# Best responses


@law
@given(models(smallest=1e-9), betas, st.data())
def test_no_encoder_is_better_than_the_best(model, beta, data):
    """D + βR of any other encoder for the same d and m is no lower; at β = ∞ R is."""
    best = Model(model.p, best_encoder(model.d, model.m, beta), model.d, model.m)
    other = data.draw(tables(model.n_x, model.n_z, smallest=1e-9))
    for e in (model.e, other, 0.5 * other + 0.5 * best.e):
        rival = Model(model.p, e, model.d, model.m)
        if beta == INF:
            assert best.R <= rival.R + 1e-12 or rival.D == INF
        elif rival.D + (beta * rival.R if beta else 0) < INF:
            ours, theirs = (one.D + (beta * one.R if beta else 0) for one in (best, rival))
            assert ours <= theirs * (1 + 1e-12) + 1e-12


@law
@given(models(), betas)
def test_the_best_encoder_is_a_table_and_keeps_to_the_live_latents(model, beta):
    """Rows sum to 1 even where products underflow; dead latents get nothing, lost symbols m."""
    e = best_encoder(model.d, model.m, beta)
    assert e.sum(axis=1) == near(np.ones(model.n_x), 1e-14)
    assert (e[:, model.m == 0] == 0).all()
    for x in range(model.n_x):
        if (model.d[model.m > 0, x] == 0).all():
            assert e[x] == pytest.approx(model.m)
        else:
            assert (e[x, model.d[:, x] == 0] == 0).all()


def test_the_limits_of_the_best_encoder():
    """β = 0 shares the largest d(x|z) as m does; β = ∞ gives m where x is possible."""
    d = [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.1, 0.4, 0.5]]
    m = [0.2, 0.3, 0.5]
    sharp, flat = best_encoder(d, m, 0), best_encoder(d, m, INF)
    assert sharp == pytest.approx(np.array([[0.4, 0.6, 0], [1, 0, 0], [0, 0.375, 0.625]]))
    assert flat == pytest.approx(np.array([m, [2 / 7, 0, 5 / 7], [0, 0.375, 0.625]]))


def test_best_responses_keep_support_that_underflows():
    """p e > 0 in exact numbers means d > 0 and m > 0; unused latents decode to p."""
    decoder, marginal = best_decoder(FAINT.p, FAINT.e), best_marginal(FAR.p, FAR.e)
    assert (decoder > 0).all()
    assert (marginal > 0).all()
    assert decoder[1, 0] == 1
    assert best_decoder([1, 1e-300, 0], [[1, 0], [0.5, 0.5], [0, 1]])[1].tolist() == [0, 1, 0]
    assert best_decoder([0.5, 0.5], [[1, 1e-300], [1, 3e-300]])[1] == near([0.25, 0.75])
    p, e = [0.25, 0.75], [[1, 0, 0], [1, 0, 0]]
    assert best_decoder(p, e).tolist() == [p] * 3
    assert best_marginal(p, e).tolist() == [1, 0, 0]


# Refusals

TABLES = {"p": [0.5, 0.5], "e": [[1, 0], [0, 1]], "d": [[1, 0], [0, 1]], "m": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"p": [0.5, 0.6]}, ValueError, "p must sum to 1, but sums to 1.1"),
        ({"m": [1.5, -0.5]}, ValueError, r"m\[1\] is -0.5; a probability lies between 0 and 1"),
        ({"m": [[1.0]]}, ValueError, r"m must have 1 axis, but its shape is \(1, 1\)"),
        ({"e": [[1, 0], [1, 1]]}, ValueError, r"row of e must sum to 1, but e\[1\] sums to 2.0"),
        ({"d": [[1, 0], [np.nan, 1]]}, ValueError, r"d\[1, 0\] is nan"),
        ({"d": [[1, 0], [np.inf, 1]]}, ValueError, r"d\[1, 0\] is inf"),
        ({"e": [[1.0], [1.0]]}, ValueError, r"e must have shape \(2, 2\), .* is \(2, 1\)"),
        ({"m": [1.0]}, ValueError, r"e must have shape \(2, 1\), but its shape is \(2, 2\)"),
        ({"d": [[1, 0]]}, ValueError, r"d must have shape \(2, 2\), but its shape is \(1, 2\)"),
        ({"p": []}, ValueError, "p is empty"),
        ({"e": [["a", "b"]] * 2}, TypeError, "e must hold real numbers, not <U1"),
    ],
)
def test_a_broken_table_is_named(changed, error, message):
    with pytest.raises(error, match=message):
        Model(**{**TABLES, **changed})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: best_decoder([1, 0, 0], TABLES["e"]), ValueError, r"e must have shape \(3, 2\)"),
        (lambda: best_marginal([1, 1], TABLES["e"]), ValueError, "p must sum to 1"),
        (lambda: best_decoder([0.5, 0.5], [[1, 1], [0, 1]]), ValueError, r"e\[0\] sums to 2.0"),
        (lambda: best_encoder([[0.5, 0.6]], [1.0], 1), ValueError, "every row of d must sum to 1"),
        (lambda: best_encoder([[0.5, 0.5]], [0.9], 1), ValueError, "m must sum to 1"),
        (
            lambda: best_encoder([[0.5, 0.5]], [0.5, 0.5], 1),
            ValueError,
            r"d must have shape \(2, 2",
        ),
        (lambda: best_encoder([[0.5, 0.5]], [1.0], -1), ValueError, "beta is -1.0"),
        (lambda: best_encoder([[0.5, 0.5]], [1.0], [1, 2]), TypeError, "beta must be one number"),
        (lambda: Model(**TABLES).on([1, 0, 0]), ValueError, r"p must have shape \(2,\)"),
        (lambda: Model(**TABLES).on([np.nan, 1]), ValueError, r"p\[0\] is nan"),
        (lambda: Model.random([0.5, 0.5], 0), ValueError, "n_z is 0, but must be at least 1"),
        (lambda: Model.random([0.5, 0.5], 2.0), TypeError, "n_z must be an integer, not 2.0"),
        (lambda: Model.random([1], 2, concentration=0), ValueError, "concentration is 0.0, but"),
        (lambda: Model.random([1], 2, concentration=INF), ValueError, "concentration is inf"),
        (lambda: Model.random([1], 2, concentration="1"), TypeError, "concentration must be one"),
        (lambda: Model.random([1], 2, rng=-1), ValueError, "rng must be a seed"),
        (lambda: Model.random([2.0], 2), ValueError, "p must sum to 1, but sums to 2.0"),
    ],
)
def test_arguments_that_make_no_sense_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_best_encoder_keeps_its_digits_where_m_is_denormal():
    """e ∝ m d^(1/β): the second symbol has two latents, of 6 and 2 times the smallest float."""
    m = np.array([1, 6 * SMALLEST, 2 * SMALLEST])
    e = best_encoder([[1, 0], [0.5, 0.5], [0.7, 0.3]], m, 1)
    np.testing.assert_allclose(e[1], [0, 3 / 3.6, 0.6 / 3.6], rtol=1e-12)


@pytest.mark.parametrize("beta", [0, 5e-324, 1e-300, 1, np.inf])
def test_a_latent_without_mass_is_never_used(beta):
    """However much better it is, and however cheap the rate."""
    e = best_encoder([[0.5, 0.5], [1 - 1e-9, 1e-9]], [1, 0], beta)
    np.testing.assert_array_equal(e, [[1, 0], [1, 0]])
