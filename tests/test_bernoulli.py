"""Decoders of independent pixels: their rows, their M-step and what they cannot hold."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import toyrd.bernoulli
from toyrd import BernoulliDecoder, DecoderFamily, bars_and_stripes, count_images, entropy, solve
from toyrd.curve import Status
from toyrd.family import BoundedFamily, SmoothFamily
from toyrd.testing import distributions, tables

few = settings(max_examples=30)
ODDS = st.sampled_from([-np.inf, -700.0, -30.0, 0.0, 14.0, 15.0, 40.0, 700.0, np.inf])


def all_images(pixels):
    return (np.arange(2**pixels)[:, None] >> np.arange(pixels)) & 1


def odds(n_z, pixels):
    return arrays(float, (n_z, pixels), elements=ODDS | st.floats(-40, 40))


@st.composite
def joints(draw, n_z, n_x):
    p = draw(distributions(n_x))
    return (p[:, None] * draw(tables(n_x, n_z))).T


def decimal_row(image, row):
    """Sum log μ and log(1 − μ) in 50 digits; None stands for −∞."""
    with localcontext() as context:
        context.prec = 50
        total = Decimal(0)
        for on, value in zip(image, row, strict=True):
            sign = value if on else -value
            if sign == -np.inf:
                return None
            if sign < np.inf:
                total -= (1 + (-Decimal(float(sign))).exp()).ln()
        return total


@few
@given(odds(3, 4))
def test_rows_are_products_of_pixels_to_the_last_digits(parameters):
    images = all_images(4)
    rows = BernoulliDecoder(images).log_rows(parameters)
    for z, x in np.ndindex(rows.shape):
        exact = decimal_row(images[x], parameters[z])
        if exact is None:
            assert rows[z, x] == -np.inf
        else:
            error = abs(Decimal(float(rows[z, x])) - exact)
            size = np.abs(parameters[z][np.isfinite(parameters[z])]).sum()
            assert error <= Decimal(1e-15 * (1 + size))


@few
@given(odds(3, 4))
def test_rows_over_all_images_sum_to_one(parameters):
    family = BernoulliDecoder(all_images(4))
    assert family.n_x == 16
    np.testing.assert_allclose(np.exp(family.log_rows(parameters)).sum(axis=1), 1, rtol=1e-12)


@few
@given(odds(2, 4), st.sets(st.integers(0, 15), min_size=1, max_size=15))
def test_the_symbol_any_other_image_takes_what_a_row_leaves(parameters, listed):
    images = all_images(4)
    chosen = sorted(listed)
    part, whole = BernoulliDecoder(images[chosen]), BernoulliDecoder(images)
    rows, full = np.exp(part.log_rows(parameters)), np.exp(whole.log_rows(parameters))
    assert part.n_x == len(chosen) + 1
    np.testing.assert_array_equal(rows[:, :-1] > 0, full[:, chosen] > 0)
    np.testing.assert_allclose(rows[:, :-1], full[:, chosen], rtol=1e-12)
    others = np.delete(full, chosen, axis=1).sum(axis=1)
    np.testing.assert_allclose(rows[:, -1], others, rtol=0, atol=1e-12)


def test_a_row_that_hardly_gives_the_listed_images_leaves_all_to_the_others():
    """2⁻¹⁰⁰ of a hundred even pixels is less than rounding; a certain row leaves nothing."""
    family = BernoulliDecoder(np.eye(2, 100))
    rows = family.log_rows(np.vstack([np.zeros(100), np.inf * (2 * np.eye(1, 100) - 1)]))
    np.testing.assert_allclose(rows[0], [-100 * np.log(2)] * 2 + [0], rtol=1e-14)
    np.testing.assert_array_equal(rows[1], [0, -np.inf, -np.inf])


def test_certain_pixels_give_exact_zeros_and_ones():
    images = all_images(3)
    certain = np.where(images, np.inf, -np.inf)
    rows = BernoulliDecoder(images).log_rows(certain)
    np.testing.assert_array_equal(np.exp(rows), np.eye(8))


@few
@given(joints(3, 8))
def test_fit_gives_the_pixel_means(joint):
    images = all_images(3)
    family = BernoulliDecoder(images)
    means = family.means(family.fit(joint))
    mass = joint.sum(axis=1)
    live = mass > 1e-290  # below, a mean has few digits
    expected = joint[live] @ images / mass[live, None]
    np.testing.assert_allclose(means[live], expected, rtol=1e-9, atol=1e-15)


@few
@given(joints(2, 8), odds(2, 3))
def test_no_other_row_has_less_distortion(joint, parameters):
    family = BernoulliDecoder(all_images(3))

    def distortion(odds):
        rows = family.log_rows(odds)
        return -joint[joint > 0] @ rows[joint > 0]

    best = distortion(family.fit(joint))
    assert 0 <= best < np.inf
    assert best <= distortion(parameters) + 1e-12


@few
@given(joints(3, 8))
def test_a_mass_however_small_is_never_forbidden(joint):
    family = BernoulliDecoder(all_images(3))
    rows = family.log_rows(family.fit(joint))
    assert not np.isnan(rows).any()
    assert (rows[joint > 0] > -np.inf).all()


def test_a_mean_that_no_float_can_hold_keeps_its_odds():
    # μ = 1 − 1e-20 for both pixels; as floats such means are 1.
    family = BernoulliDecoder(all_images(2))
    fitted = family.fit([[1e-20, 0, 0, 1.0]])
    np.testing.assert_allclose(fitted, 20 * np.log(10), rtol=1e-13)
    log_rows = family.log_rows(fitted)[0]
    np.testing.assert_allclose(log_rows[[0, 3]], [-40 * np.log(10), 0], rtol=1e-13, atol=1e-13)


def test_a_latent_without_mass_keeps_its_row_or_takes_that_of_all_the_mass():
    family = BernoulliDecoder(all_images(2))
    joint = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]])
    old = np.array([[9.0, 9.0], [1.0, -np.inf]])
    np.testing.assert_array_equal(family.fit(joint)[1], family.fit(joint)[0])
    np.testing.assert_array_equal(family.fit(joint, old)[1], old[1])
    np.testing.assert_array_equal(family.fit(joint, old)[0], family.fit(joint)[0])


@few
@given(st.permutations(range(8)), joints(2, 8))
def test_the_order_of_the_images_does_not_matter(order, joint):
    images = all_images(3)
    one, other = BernoulliDecoder(images), BernoulliDecoder(images[order])
    means = one.means(one.fit(joint))
    np.testing.assert_allclose(
        other.means(other.fit(joint[:, order])), means, rtol=1e-9, atol=1e-15
    )
    odds = np.linspace(-3, 3, 6).reshape(2, 3)
    np.testing.assert_allclose(other.log_rows(odds), one.log_rows(odds)[:, order], rtol=1e-12)


def test_the_true_components_are_fixed_points():
    source = bars_and_stripes(3, flip=0.1)
    family = BernoulliDecoder(source.images)
    fitted = family.fit(source.p_z[:, None] * source.p_x_given_z)
    np.testing.assert_allclose(np.exp(family.log_rows(fitted)), source.p_x_given_z, rtol=1e-10)
    assert family.means(fitted).shape == (14, 3, 3)
    np.testing.assert_allclose(np.unique(family.means(fitted).round(9)), [0.1, 0.9])


def test_it_is_a_family_that_does_not_share_its_images():
    images = all_images(2).astype(float)
    family = BernoulliDecoder(images)
    images[:] = 1
    for protocol in (DecoderFamily, BoundedFamily, SmoothFamily):
        assert isinstance(family, protocol)
    np.testing.assert_array_equal(family.images, all_images(2))
    with pytest.raises(ValueError, match="read-only"):
        family.images[0, 0] = 1
    assert repr(family) == "BernoulliDecoder(images=4, pixels=2)"


@few
@given(distributions(8), st.integers(1, 6), st.data())
def test_a_seeded_encoder_sends_images_to_the_nearest_seeds(p, n_z, data):
    seeds = data.draw(st.integers(1, n_z))
    family = BernoulliDecoder(all_images(3))
    e = family.seeded_encoder(p, n_z, seeds=seeds, rng=data.draw(st.integers(0, 99)))
    assert e.shape == (8, n_z)
    np.testing.assert_allclose(e.sum(axis=1), 1, rtol=1e-12)
    # Latents z and z + seeds share a seed.
    np.testing.assert_array_equal(e[:, seeds:], e[:, : n_z - seeds])


def test_as_many_seeds_as_images_tell_them_all_apart():
    distinct, p = count_images(all_images(3)[[0, 3, 5, 0]])
    e = BernoulliDecoder(distinct).seeded_encoder(p, 3, rng=0)
    np.testing.assert_array_equal(np.sort(e[:3], axis=1), [[0, 0, 1]] * 3)
    np.testing.assert_array_equal(e[:3].sum(axis=0), 1)
    np.testing.assert_allclose(e[3], 1 / 3)  # any other image


def test_seeds_find_the_patterns_of_a_source():
    source = bars_and_stripes(3)
    family = BernoulliDecoder(source.images)
    found = [
        len(set(family.seeded_encoder(source.p, 14, rng=seed)[modes].argmax(axis=1)))
        for modes in [source.p_x_given_z.argmax(axis=1)]
        for seed in range(5)
    ]
    assert max(found) == 14
    assert min(found) >= 12


@pytest.mark.parametrize(
    ("p", "options", "message"),
    [
        ([0.5, 0.5, 0], {"n_z": 2, "seeds": 3}, "seeds is 3, but must be at most n_z, which is 2"),
        ([0.5, 0.5, 0], {"n_z": 2, "seeds": 0}, "seeds is 0"),
        ([0.5, 0.5, 0], {"n_z": 0}, "n_z is 0"),
        ([0.5, 0.5], {"n_z": 2}, r"p must have shape \(3,\)"),
        ([0.5, 0.25, 0.25], {"n_z": 2}, r"p has mass 0.25 on its last symbol, any other image"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(p, options, message):
    with pytest.raises(ValueError, match=message):
        BernoulliDecoder([[0, 0], [1, 1]]).seeded_encoder(p, **options)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_counted_images_are_the_empirical_distribution(codes):
    images = all_images(3)[codes].reshape(-1, 3, 1)
    distinct, p = count_images(images)
    family = BernoulliDecoder(distinct)
    assert len(p) == family.n_x
    assert len(distinct) == len(set(codes))
    assert (len(p) > len(distinct)) == (len(set(codes)) < 8)
    assert p[len(distinct) :].sum() == 0
    for image, share in zip(distinct, p, strict=False):
        assert share == (images == image).all(axis=(1, 2)).sum() / len(codes)
    np.testing.assert_array_equal(distinct[0], images[0])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([[0, 1], [1, 0.5]], r"images\[1, 1\] is 0.5, but a pixel is 0 or 1"),
        ([[0, np.nan]], r"images\[0, 1\] is nan"),
        ([0, 1], "one axis for the images"),
        ([], "empty"),
        ([[0, 1], [1, 1], [0, 1]], "more than once; merge them with count_images"),
    ],
)
def test_images_that_are_not_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        BernoulliDecoder(images)


def test_text_is_no_image():
    with pytest.raises(TypeError, match="images must hold real numbers"):
        count_images([["a", "b"]])


@pytest.mark.parametrize(
    ("joint", "message"),
    [
        ([[0.5, 0.4, 0.1]], r"mass 0.1 on its last symbol, any other image"),
        ([[0.5, 0.5]], r"joint must have shape \(1, 3\)"),
        ([[0.0, 0.0, 0.0]], "not all 0"),
        ([[np.nan, 1.0, 0.0]], "finite"),
        ([[np.inf, 1.0, 0.0]], "finite"),
        ([[-2.0, 1.0, 0.0]], "not negative"),
    ],
)
def test_joint_masses_that_cannot_be_fitted_are_refused(joint, message):
    with pytest.raises(ValueError, match=message):
        BernoulliDecoder([[0, 0], [1, 1]]).fit(joint)


def test_odds_of_another_size_or_nan_are_refused():
    family = BernoulliDecoder([[0, 0], [1, 1]])
    with pytest.raises(ValueError, match=r"parameters must have shape \(1, 2\)"):
        family.log_rows([[0.0]])
    with pytest.raises(ValueError, match="parameters holds nan"):
        family.means([[np.nan, 0.0]])


# Slopes and the bound of c.


@few
@given(arrays(float, (2, 3), elements=st.floats(-5, 5)))
def test_slopes_are_those_of_finite_differences(parameters):
    """Of listed images; those of any other image, whose p is 0, are 0."""
    family = BernoulliDecoder(all_images(3)[:6])
    slopes = family.slopes(parameters)
    for i, step in enumerate(1e-5 * np.eye(3)):
        change = family.log_rows(parameters + step) - family.log_rows(parameters - step)
        np.testing.assert_allclose(slopes[:, :-1, i], change[:, :-1] / 2e-5, atol=1e-8)
    np.testing.assert_array_equal(slopes[:, -1], 0)


def c(family, log_weight, beta, parameters):
    return np.exp(log_weight + family.log_rows(parameters) / beta).sum(axis=1)


LISTED = BernoulliDecoder(all_images(3)[:6])  # and a symbol for the other two


def draw_log_weight(rng):
    """Draw a source without the other images, relative to a mixture of rows."""
    g = np.exp(LISTED.log_rows(rng.normal(scale=3, size=(3, 3)))).mean(axis=0)
    with np.errstate(divide="ignore"):
        return np.log(np.append(rng.dirichlet(np.ones(6)), 0.0)) - np.log(g)


@few
@given(st.sampled_from([1e-3, 0.4, 1.0]), st.integers(0, 2**32 - 1), odds(50, 3))
def test_up_to_beta_1_the_bound_is_proven_and_an_image_attains_it(beta, seed, parameters):
    log_weight = draw_log_weight(np.random.default_rng(seed))
    top, rows, proven = LISTED.bound(log_weight, beta, 0.1)
    assert proven
    images = np.where(LISTED.images == 1, np.inf, -np.inf)
    values = c(LISTED, log_weight, beta, images)
    np.testing.assert_allclose(top, values.max(), rtol=1e-13)
    assert c(LISTED, log_weight, beta, parameters).max() <= top * (1 + 1e-12)
    np.testing.assert_array_equal(rows, images[values > 1.1])


@few
@given(st.floats(1.01, 5), st.integers(0, 2**32 - 1))
def test_above_beta_1_the_bound_is_searched_and_rows_attain_it(beta, seed):
    """No image where the ascent starts is above what it finds, nor has c where it does not."""
    log_weight = draw_log_weight(np.random.default_rng(seed))
    top, rows, proven = LISTED.bound(log_weight, beta, 0.01)
    assert not proven
    starts = c(LISTED, log_weight, beta, toyrd.bernoulli.SOFT * (2 * LISTED.images - 1))
    assert starts.max() <= top * (1 + 1e-13)
    values = c(LISTED, log_weight, beta, rows)
    assert (values > 1.01).all()
    assert len(rows) == 0 or values.max() == pytest.approx(top, rel=1e-9)
    assert len(rows) > 0 or top <= 1.01


@pytest.mark.parametrize(("beta", "F"), [(1.9, 6.1784248241), (1.5, 5.5076789167)])
def test_optima_over_any_number_of_rows_are_those_of_theory_8(beta, F):
    source = bars_and_stripes(3)
    solution = solve(source.p, beta=beta, decoder=BernoulliDecoder(source.images))
    assert solution.objective == pytest.approx(F, abs=1e-8)
    assert solution.status is Status.SEARCHED
    assert solution.gap < 1e-8


@pytest.mark.parametrize("beta", [0.1, 0.9])
def test_below_beta_1_point_masses_are_proven_optimal(beta):
    """Theory §8: they attain βH."""
    source = bars_and_stripes(2)
    solution = solve(source.p, beta=beta, decoder=BernoulliDecoder(source.images))
    assert solution.objective == pytest.approx(beta * entropy(source.p), abs=1e-12)
    assert solution.status is Status.CERTIFIED
