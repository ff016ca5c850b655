"""The model's laws over arbitrary tables, its closed forms, and what it refuses."""

import dataclasses
import math

import exact
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toyrd import Model, best_decoder, best_marginal, entropy, kl_divergence, mutual_information
from toyrd.testing import distributions, models, tables

law = settings(deadline=None, max_examples=50)
channels = st.integers(1, 5).flatmap(lambda n: st.tuples(distributions(n), tables(n)))

# Products of its entries underflow where the entries do not.
FAINT = Model([1, 1e-200], [[1, 1e-200], [1, 1e-200]], [[1, 1e-200], [1, 1e-200]], [1, 1e-200])
FAR = Model([1, 1e-200], [[1, 0], [1, 1e-200]], [[1, 0], [1, 0]], [1, 0])


def numbers(model: Model) -> list[float]:
    return [model.H, model.D, model.R, model.I, model.rate_gap, model.distortion_gap]


def near(value: object, tolerance: float = 1e-12) -> object:
    return pytest.approx(value, rel=tolerance, abs=tolerance)


def fitted(p: np.ndarray, e: np.ndarray) -> Model:
    return Model(p, e, best_decoder(p, e), best_marginal(p, e))


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_every_number_is_its_definition_in_fifty_digits(model):
    """H, D, R and I are the sums of theory §1, +∞ just where support is missing."""
    p, e, d, m = model.p, model.e, model.d, model.m
    assert pytest.approx(exact.entropy(p), rel=1e-14, abs=1e-300) == model.H
    assert pytest.approx(exact.distortion(p, e, d), rel=1e-13, abs=1e-300) == model.D
    assert near(exact.rate(p, e, m), 1e-13) == model.R
    assert near(exact.information(p, e), 1e-13) == model.I
    assert model.elbo == -(model.D + model.R)


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_information_lies_between_the_bounds(model):
    """H − D ≤ I ≤ R, and 0 ≤ I ≤ min(H, log n_z)."""
    slack = 1e-13
    assert model.I + slack >= model.H - model.D
    assert model.R + slack >= model.I
    assert 0 <= model.I <= min(model.H, math.log(model.n_z)) + slack
    assert model.D >= 0


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_each_gap_is_its_own_divergence(model):
    """R − I = KL(e(z) ‖ m) and D − (H − I) = Σ e(z) KL(e(x|z) ‖ d(x|z)), +∞ together."""
    assert near(model.rate_gap) == model.R - model.I
    assert near(model.distortion_gap) == model.D - (model.H - model.I)
    assert min(model.rate_gap, model.distortion_gap) >= 0


@law
@given(models())
@example(FAINT)
@example(FAR)
def test_bounds_and_generative_model_agree(model):
    """D + R = H + KL(p ‖ g) + Σ p KL(e ‖ m d / g)."""
    right = exact.bound(model.p, model.e, model.d, model.m)
    assert near(right) == -model.elbo


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
        n_x, n_z = e.shape
        other = Model(p, e, data.draw(tables(n_z, n_x)), data.draw(distributions(n_z)))
        assert other.R >= best.R - 1e-13
        assert other.D >= best.D - 1e-13


@law
@given(models(), st.randoms(use_true_random=False))
def test_names_of_latents_and_symbols_do_not_matter(model, random):
    """Relabelling z or x changes no number."""
    z = random.sample(range(model.n_z), model.n_z)
    x = random.sample(range(model.n_x), model.n_x)
    e, d = model.e[np.ix_(x, z)], model.d[np.ix_(z, x)]
    assert numbers(Model(model.p[x], e, d, model.m[z])) == near(numbers(model))


@law
@given(models(smallest=1e-300), st.data())
def test_splitting_a_latent_in_two_changes_nothing(model, data):
    """A latent and its copy that share its e and m in one proportion are still one latent."""
    z = data.draw(st.integers(0, model.n_z - 1))
    share = data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(1e-3, 1))
    parts = np.ones(model.n_z + 1)
    parts[[z, -1]] = share, 1 - share
    copies = np.append(np.arange(model.n_z), z)
    split = Model(model.p, model.e[:, copies] * parts, model.d[copies], model.m[copies] * parts)
    assert numbers(split) == near(numbers(model))
    assert np.allclose(split.g, model.g, rtol=1e-13, atol=1e-300)
    assert np.allclose(split.x_given_x, model.x_given_x, rtol=1e-13, atol=1e-300)


@law
@given(models(), st.floats(0, 1), st.data())
def test_distortion_and_rate_are_linear_in_the_data(model, share, data):
    """Σ p(…) under a mixture of two data distributions is the mixture of the two sums."""
    other = data.draw(distributions(model.n_x))
    mixed = model.on(share * model.p + (1 - share) * other)
    assert all((getattr(mixed, name) == getattr(model, name)).all() for name in "edm")
    for name in ("D", "R"):
        ends = getattr(model, name), getattr(model.on(other), name)
        if math.inf not in ends:
            expected = share * ends[0] + (1 - share) * ends[1]
            assert near(expected) == getattr(mixed, name)


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
@given(channels)
def test_information_is_that_of_the_joint_distribution(channel):
    """I = I(X; Z) of p(x) e(z|x)."""
    p, e = channel
    assert near(mutual_information(p[:, None] * e)) == fitted(p, e).I


@law
@given(st.floats(1e-300, 0.5))
def test_the_binary_symmetric_channel_has_its_closed_form(epsilon):
    """R = I = log 2 − h(ε) and D = h(ε), with g uniform."""
    e = np.array([[1 - epsilon, epsilon], [epsilon, 1 - epsilon]])
    model = fitted(np.array([0.5, 0.5]), e)
    h = -epsilon * math.log(epsilon) - (1 - epsilon) * math.log(1 - epsilon)
    expected = [math.log(2), h, math.log(2) - h, math.log(2) - h, 0, 0]
    assert numbers(model) == near(expected, 1e-14)
    assert model.g == near([0.5, 0.5])


@law
@given(distributions(), st.floats(0, 1))
def test_the_erasure_channel_has_its_closed_form(p, kept):
    """I = (1 − ε) H when each symbol is erased with probability ε; n_z = n_x + 1."""
    e = np.column_stack([kept * np.eye(p.size), np.full(p.size, 1 - kept)])
    model = fitted(p, e)
    assert near(kept * model.H) == model.I
    assert near((1 - kept) * model.H) == model.D


@law
@given(distributions(), st.data())
def test_one_latent_says_nothing_and_pays_the_cross_entropy(p, data):
    """n_z = 1: R = I = 0 and D = H + KL(p ‖ d)."""
    d = data.draw(tables(1, p.size))
    model = Model(p, np.ones((p.size, 1)), d, [1.0])
    assert near([0, 0], 1e-15) == [model.R, model.I]
    assert near(entropy(p) + kl_divergence(p, d[0])) == model.D


@law
@given(tables(1), st.data())
def test_one_symbol_needs_no_latent(e, data):
    """n_x = 1: H = D = I = 0 and R = KL(e ‖ m)."""
    m = data.draw(distributions(e.size))
    model = Model([1.0], e, np.ones((e.size, 1)), m)
    assert near([0, 0, 0], 1e-15) == [model.H, model.D, model.I]
    assert near(kl_divergence(e[0], m), 1e-14) == model.R


@law
@given(distributions())
def test_a_lossless_code_spends_its_entropy(p):
    """e = d = identity and m = p: D = 0 and R = I = H, the auto-encoding limit."""
    model = Model(p, np.eye(p.size), np.eye(p.size), p)
    assert [model.D, model.rate_gap, model.distortion_gap] == [0, 0, 0]
    assert near([model.H] * 2, 1e-14) == [model.R, model.I]


def test_zeros_are_positive_zeros():
    model = Model([1.0], [[1.0]], [[1.0]], [1.0])
    assert repr(model) == "Model(n_x=1, n_z=1: H=0, D=0, R=0, I=0, ELBO=-0)"
    assert [math.copysign(1, value) for value in numbers(model)] == [1] * 6


def test_symbols_without_mass_may_be_encoded_and_decoded_in_any_way():
    model = Model([0.5, 0.5, 0], [[1, 0], [1, 0], [0, 1]], [[0.5, 0.5, 0]] * 2, [1, 0])
    assert numbers(model) == near([math.log(2), math.log(2), 0, 0, 0, 0])


def test_missing_support_is_infinite_in_the_numbers_and_in_their_gaps():
    model = Model([0.5, 0.5], np.eye(2), np.eye(2)[::-1], [1, 0])
    assert numbers(model) == [math.log(2), math.inf, math.inf, near(math.log(2)), *[math.inf] * 2]
    assert model.elbo == -math.inf
    assert "D=inf, R=inf" in repr(model)


def test_latents_that_are_never_used_decode_to_p():
    p, e = [0.25, 0.75], [[1, 0, 0], [1, 0, 0]]
    assert best_decoder(p, e).tolist() == [p] * 3
    assert best_marginal(p, e).tolist() == [1, 0, 0]


def test_best_responses_keep_support_that_underflows():
    decoder, marginal = best_decoder(FAINT.p, FAINT.e), best_marginal(FAR.p, FAR.e)
    assert (decoder > 0).all()
    assert (marginal > 0).all()
    assert decoder[1, 0] == 1
    assert best_decoder([1, 1e-300, 0], [[1, 0], [0.5, 0.5], [0, 1]])[1].tolist() == [0, 1, 0]
    assert best_decoder([0.5, 0.5], [[1, 1e-300], [1, 3e-300]])[1] == near([0.25, 0.75])


@law
@given(models())
def test_a_model_never_changes(model):
    """Tables, derived tables and attributes are read-only, and the arguments are copied."""
    arguments = [np.array(table) for table in (model.p, model.e, model.d, model.m)]
    copied = Model(*arguments)
    before = numbers(copied)
    for argument in arguments:
        argument[...] = -1
    assert [*before] == numbers(Model(copied.p, copied.e, copied.d, copied.m))
    for name in ("p", "e", "d", "m", "g", "e_z", "reconstruction", "x_given_x", "x_given_z"):
        assert not getattr(copied, name).flags.writeable
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(copied, name, None)


@law
@given(distributions(), st.integers(1, 5), st.integers(0), st.floats(1e-320, 1e300))
def test_random_models_follow_their_seed(p, n_z, seed, concentration):
    """One seed, one model; a generator moves on; any concentration gives legal tables."""
    options = {"concentration": concentration}
    first, second = (Model.random(p, n_z, rng=seed, **options) for _ in range(2))
    assert (first.n_x, first.n_z) == (p.size, n_z)
    assert (first.p == p).all()
    for name in "edm":
        assert (getattr(first, name) == getattr(second, name)).all()


def test_random_models_draw_from_the_generator_and_from_nothing_else():
    generator, state = np.random.default_rng(1), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, second = (Model.random([0.5, 0.5], 3, rng=generator) for _ in range(2))
    assert (first.e != second.e).all()
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_the_concentration_says_how_deterministic_random_tables_are():
    p = np.full(4, 0.25)
    sharp, even = (Model.random(p, 4, rng=0, concentration=c) for c in (1e-9, 1e9))
    assert np.allclose(np.sort(sharp.e, axis=1), [0, 0, 0, 1])
    assert np.allclose(even.e, 0.25, atol=1e-3)


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


@pytest.mark.parametrize("response", [best_decoder, best_marginal])
def test_best_responses_refuse_tables_that_do_not_fit(response):
    with pytest.raises(ValueError, match=r"e must have shape \(3, 2\), but its shape is \(2, 2\)"):
        response([1, 0, 0], TABLES["e"])
    with pytest.raises(ValueError, match="p must sum to 1, but sums to 2"):
        response([1, 1], TABLES["e"])
    with pytest.raises(ValueError, match=r"row of e must sum to 1, but e\[0\] sums to 2.0"):
        response([0.5, 0.5], [[1, 1], [0, 1]])


def test_a_model_moves_only_to_distributions_over_its_symbols():
    model = Model(**TABLES)
    with pytest.raises(ValueError, match=r"p must have shape \(2,\), but its shape is \(3,\)"):
        model.on([1, 0, 0])
    with pytest.raises(ValueError, match=r"p\[0\] is nan"):
        model.on([np.nan, 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_z": 0}, ValueError, "n_z is 0, but must be at least 1"),
        ({"n_z": 2.0}, TypeError, "n_z must be an integer, not 2.0"),
        (
            {"concentration": 0},
            ValueError,
            r"concentration is 0.0, but must lie in \(0, 1e\+300\]",
        ),
        ({"concentration": np.inf}, ValueError, "concentration is inf"),
        ({"concentration": np.nan}, ValueError, "concentration is nan"),
        ({"concentration": "1"}, TypeError, "concentration must be one number, not '1'"),
        ({"rng": -1}, ValueError, "rng must be a seed"),
        ({"p": [2.0]}, ValueError, "p must sum to 1, but sums to 2.0"),
    ],
)
def test_random_models_refuse_options_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message):
        Model.random(**{"p": [0.5, 0.5], "n_z": 2, **options})
