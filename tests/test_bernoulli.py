"""Decoders of independent pixels: rows, M-step, bound of c, and what they cannot hold."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toyrd import BernoulliDecoder, DecoderFamily, bars_and_stripes, count_images, solve
from toyrd.testing import distributions, tables

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


@given(odds(3, 4))
def test_rows_over_all_images_sum_to_one(parameters):
    family = BernoulliDecoder(all_images(4))
    assert family.n_x == 16
    np.testing.assert_allclose(np.exp(family.log_rows(parameters)).sum(axis=1), 1, rtol=1e-12)


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


@given(arrays(bool, (7, 70)), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_exactly_what_differs_from_a_certain_pixel_is_forbidden(bits, block, seed):
    """log d(x|z) = −∞ if and only if a certain pixel of z is another in x, block by block."""
    images = np.unique(bits, axis=0)
    family, rng = BernoulliDecoder(images), np.random.default_rng(seed)
    certain = rng.random((9, 70)) < 10 ** -rng.uniform(0, 3, (9, 1))
    on = images[rng.integers(len(images), size=9)] ^ (rng.random((9, 70)) < 0.005)
    odds = np.where(certain, np.where(on, np.inf, -np.inf), rng.normal(size=(9, 70)))
    differs = ((images ^ on[:, None]) & certain[:, None]).any(axis=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toyrd.bernoulli.BLOCK", block)
        rows = family.log_rows(np.asfortranarray(odds))[:, : len(images)]
    np.testing.assert_array_equal(rows == -np.inf, differs)


def test_certain_pixels_give_exact_zeros_and_ones():
    images = all_images(3)
    certain = np.where(images, np.inf, -np.inf)
    rows = BernoulliDecoder(images).log_rows(certain)
    np.testing.assert_array_equal(np.exp(rows), np.eye(8))


@given(joints(3, 8))
def test_fit_gives_the_pixel_means(joint):
    images = all_images(3)
    family = BernoulliDecoder(images)
    means = family.means(family.fit(joint))
    mass = joint.sum(axis=1)
    live = mass > 1e-290  # below, a mean has few digits
    expected = joint[live] @ images / mass[live, None]
    np.testing.assert_allclose(means[live], expected, rtol=1e-9, atol=1e-15)


@given(joints(2, 8), odds(2, 3))
def test_no_other_row_has_less_distortion(joint, parameters):
    family = BernoulliDecoder(all_images(3))

    def distortion(odds):
        rows = family.log_rows(odds)
        return -joint[joint > 0] @ rows[joint > 0]

    best = distortion(family.fit(joint))
    assert 0 <= best < np.inf
    assert best <= distortion(parameters) + 1e-12


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
    assert isinstance(family, DecoderFamily)
    np.testing.assert_array_equal(family.images, all_images(2))
    with pytest.raises(ValueError, match="read-only"):
        family.images[0, 0] = 1
    assert repr(family) == "BernoulliDecoder(images=4, pixels=2)"


@given(arrays(float, (2, 3), elements=st.floats(-20, 20)), st.booleans())
def test_slopes_are_those_of_the_listed_images(parameters, whole):
    family = BernoulliDecoder(all_images(3)[: 8 if whole else 5])
    assert family.box.tolist() == [[-30] * 3, [30] * 3]
    slopes = family.slopes(parameters)
    for i, step in enumerate(1e-5 * np.eye(3)):
        ends = [family.log_rows(parameters + move) for move in (-step, step)]
        central = (ends[1] - ends[0])[:, : 8 if whole else 5] / 2e-5
        np.testing.assert_allclose(slopes[:, : central.shape[1], i], central, atol=1e-8)
    assert not slopes[:, 8 if whole else 5 :].any()


# The bound of c = Σ w d^(1/β), and what it makes certain.


def c(family, log_weight, beta, parameters):
    return np.exp(log_weight + family.log_rows(parameters) / beta).sum(axis=1)


@given(odds(9, 3), st.floats(0.05, 1), st.integers(1, 8), st.integers(0, 99))
def test_for_beta_up_to_1_the_bound_is_that_of_certain_pixels(parameters, beta, n, seed):
    rng = np.random.default_rng(seed)
    family = BernoulliDecoder(all_images(3)[:n])
    log_weight = rng.normal(size=family.n_x)  # any other image may have a weight
    log_weight[rng.random(family.n_x) < 0.2] = -np.inf
    top, rows, proven = family.bound(log_weight, beta, 0.5)
    assert proven
    assert c(family, log_weight, beta, parameters).max() <= top * (1 + 1e-12)
    values = c(family, log_weight, beta, family.dictionary()[: 1 + n])
    np.testing.assert_array_equal(len(rows), (values[1:] > 1.5).sum())
    if n == 8:
        np.testing.assert_allclose(values[1:].max(), top)
        assert family.bound(np.full(8, 900.0), beta, 0.5).top == np.inf


@given(odds(9, 3), st.floats(1.01, 3), st.integers(0, 99))
def test_for_beta_above_1_the_search_finds_no_less_than_chance(parameters, beta, seed):
    rng = np.random.default_rng(seed)
    family = BernoulliDecoder(all_images(3))
    log_weight = rng.normal(size=8) - 1
    top, rows, proven = family.bound(log_weight, beta, 0.0)
    assert not proven
    assert len(rows) == 0 or c(family, log_weight, beta, rows).max() <= top * (1 + 1e-12)
    if top <= 1:  # climbed as far as it goes, unless far below 1
        assert c(family, log_weight, beta, parameters).max() <= 1 + 1e-9


@pytest.mark.parametrize(
    ("beta", "objective", "rate"),
    [(1.9, 6.1784248241, 0.87986), (1.5, 5.5076789167, 2.23464), (1.3, 5.0405897826, 2.40458)],
)
def test_bars_and_stripes_are_solved_over_all_rows(beta, objective, rate):
    # Values of an independent search.
    source = bars_and_stripes(3)
    found = solve(source.p, beta=beta, decoder=BernoulliDecoder(source.images))
    assert abs(found.objective - objective) < 1e-8
    assert abs(found.R - rate) < 1e-5
    assert found.status.value == "searched"


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_point_masses_are_proven_best_below_beta_1(beta):
    source = bars_and_stripes(2)
    found = solve(source.p, beta=beta, decoder=BernoulliDecoder(source.images))
    assert found.status.value == "certified"
    assert abs(found.objective - beta * found.H) < 1e-9


@pytest.mark.parametrize(
    ("images", "p", "beta"),
    [
        ([[0, 1, 1], [1, 0, 1], [0, 1, 0]], [0.2, 0.1, 0.7, 0], 1.3),  # the last: any other image
        (list(np.ndindex(2, 2, 2)), [0, 0, 0, 0.5, 0.2, 0, 0.3, 0], 1.1),
        ([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], [0.2, 0.3, 0.3, 0.2, 0], 1.05),
    ],
)
def test_images_that_never_occur_hide_no_better_row(images, p, beta):
    """The least D + βR is no more than with the rows of any table, here a grid of means."""
    family = BernoulliDecoder(images)
    means = np.array(list(np.ndindex(*[6] * len(images[0])))) / 5
    with np.errstate(divide="ignore"):
        rows = np.exp(family.log_rows(np.log(means) - np.log1p(-means)))
    known = solve(p, beta=beta, decoder=rows).objective
    found = solve(p, beta=beta, decoder=family)
    assert found.objective <= known + found.gap
    assert found.gap <= 1e-8


def test_of_many_images_the_ascent_starts_from_some(monkeypatch):
    monkeypatch.setattr("toyrd.bernoulli.ROOM", 0)
    family = BernoulliDecoder(all_images(8))
    log_weight = np.full(256, -9.0)
    log_weight[[3, 77]] = 0.1
    rows = family.bound(log_weight, 1.1, 0.01).rows
    assert {int(family.log_rows(row[None]).argmax()) for row in rows} == {3, 77}


# Seeds and counts.


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
    with pytest.raises(ValueError, match=r"parameters\[0, 0\] is nan; log-odds are"):
        family.means([[np.nan, 0.0]])


def test_many_images_ask_for_a_number_of_latents():
    """A table of every image by every image would fill the memory."""
    pixels = (np.arange(2**13)[:, None] >> np.arange(13)) & 1
    with pytest.raises(ValueError, match="give n_z"):
        solve(np.full(2**13, 2.0**-13), beta=1.5, decoder=BernoulliDecoder(pixels))
