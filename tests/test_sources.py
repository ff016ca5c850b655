"""The toy and the bars and stripes against theory §5 and §8, and laws for any source."""

import dataclasses
import math
from decimal import Decimal

import exact
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toyrd import entropy
from toyrd.sources import Source, bars_and_stripes, binned_gaussians, empirical, toy_source
from toyrd.testing import distributions, sources, tables

law = settings(deadline=None, max_examples=50)


def near(value: object, tolerance: float = 1e-12) -> object:
    return pytest.approx(value, rel=tolerance, abs=tolerance)


@pytest.fixture(scope="module")
def toy() -> Source:
    return toy_source()


def test_the_toy_has_the_numbers_of_theory(toy):
    assert abs(toy.information - 0.5) <= 1e-12
    assert entropy(toy.p) == pytest.approx(2.862061915729483, abs=1e-12)
    assert (toy.p.argmax(), toy.p.max()) == (10, near(0.12338837792856812))
    assert toy.widths / [2.256, 3.405] == near([1.000236813901773] * 2)
    assert toy.means.tolist() == [9.830, 19.141]
    assert (toy.p.shape, toy.p_z.shape, toy.p_x_given_z.shape) == ((30,), (2,), (2, 30))
    assert repr(toy) == "Source(n_x=30, components=2, information=0.5)"


def test_the_true_model_of_the_toy_has_the_numbers_of_theory(toy):
    model = toy.true_model()
    assert near([0.5, 0.5, 2.362061915729483]) == [model.R, model.I, model.D]
    assert near(model.H) == model.D + model.R
    assert model.g == near(toy.p)
    assert toy.separation(model.e) == pytest.approx(0.8531310987, abs=1e-10)
    used = model.m > 0
    posterior = (toy.p_z[:, None] * (toy.p_x_given_z @ model.e))[:, used]
    assert posterior == pytest.approx(np.array([[0.669, 0.031], [0.031, 0.269]]), abs=5e-4)


@law
@given(sources(), st.data())
@example(Source([0.5, 0.5], [[1, 0, 0], [1, 0, 1e-300]]), None)
def test_the_true_model_sits_on_the_line_at_its_information(source, data):
    """g = p, R = I = I(X; Z*) and D + R = H, with any number of latents."""
    n_z = data.draw(st.integers(source.p_z.size, 9)) if data is not None else source.p_z.size
    model = source.true_model(n_z)
    assert model.n_z == n_z
    assert model.g == near(source.p)
    assert near([source.information] * 2) == [model.R, model.I]
    assert near(model.H) == model.D + model.R
    assert sorted(model.m[model.m > 0]) == sorted(source.p_z[source.p_z > 0])


@law
@given(sources())
def test_information_is_that_of_the_joint_in_fifty_digits(source):
    """I(X; Z*) of p(z*) p(x|z*), and p(x) is its margin."""
    expected = exact.information(source.p_z, source.p_x_given_z)
    assert near(expected, 1e-13) == source.information
    assert source.p == near((source.p_z[:, None] * source.p_x_given_z).sum(axis=0), 1e-15)


@law
@given(sources(), st.data())
def test_an_encoder_cannot_know_more_than_its_symbols(source, data):
    """I(Z; Z*) ≤ min(I(X; Z), I(X; Z*)), with equality for the lossless code."""
    n_x = source.p.size
    e = data.draw(tables(n_x))
    joint = source.p[:, None] * e
    kept = source.latent_information(e)
    assert 0 <= kept <= min(exact.mutual_information(joint), source.information) + 1e-13
    assert near(source.information) == source.latent_information(np.eye(n_x))
    assert source.latent_information(np.ones((n_x, 1))) <= 1e-15


@law
@given(sources(k=2), st.data())
def test_an_encoder_cannot_separate_more_than_its_symbols(source, data):
    """0 ≤ separation ≤ ½ Σ_x |p(x|0) − p(x|1)|, with equality for the lossless code."""
    n_x = source.p.size
    most = np.abs(np.subtract(*source.p_x_given_z)).sum() / 2
    assert 0 <= source.separation(data.draw(tables(n_x))) <= most + 1e-14
    assert source.separation(np.eye(n_x)) == most
    assert source.separation(np.ones((n_x, 1))) <= 1e-15


@law
@given(st.floats(0.05, 0.6))
def test_the_information_asked_for_is_met(information):
    """I(X; Z*) = the target to 1e-12, and one factor scales all widths."""
    source = toy_source(information=information)
    assert abs(source.information - information) <= 1e-12
    assert np.divide(*source.widths) == near(2.256 / 3.405)


def test_every_option_of_the_toy_is_free():
    source = toy_source(
        weights=[0.2, 0.3, 0.5], means=[1, 5, 6], widths=[1, 2, 1], n_bins=7, information=None
    )
    assert (source.p_x_given_z.shape, source.widths.tolist()) == ((3, 7), [1, 2, 1])
    assert toy_source(n_bins=1, information=0).p.tolist() == [1]
    single = toy_source(weights=[1], means=[3], widths=[2], information=0)
    assert (single.widths.tolist(), single.information) == ([2], 0)
    assert toy_source(weights=[1, 0], information=None).information <= 1e-15


def test_extreme_widths_and_means_are_limits_and_not_nan():
    sharp = toy_source(widths=[1e-320, 1e308], means=[3, 1e308], information=None)
    assert sharp.p_x_given_z[0].tolist() == np.eye(30)[3].tolist()
    assert sharp.p_x_given_z[1].sum() == near(1)


@law
@given(st.integers(0, 20), st.floats(0.3, 5), st.integers(1, 30))
def test_binned_gaussians_are_mirror_images_to_relative_precision(mean, width, n_bins):
    """A mean mirrored in the bins mirrors the row, in both tails; every row sums to 1."""
    row, mirrored = binned_gaussians(
        np.array([mean, n_bins - 1 - mean]), np.array([width, width]), n_bins
    )
    assert row == pytest.approx(mirrored[::-1], rel=1e-12, abs=0)
    assert row.sum() == near(1)


def test_bars_and_stripes_have_the_numbers_of_theory():
    source = bars_and_stripes(3, flip=0.05)
    assert source.images.shape == (512, 3, 3)
    assert source.p_z.tolist() == [1 / 14] * 14
    assert entropy(source.p) == pytest.approx(4.301349493395296, abs=1e-12)
    assert source.information == pytest.approx(2.514712303282442, abs=1e-12)
    model = source.true_model(14)
    assert near([2.514712303282442, 4.301349493395296]) == [model.R, model.D + model.R]


def test_four_by_four_bars_and_stripes_have_thirty_patterns():
    source = bars_and_stripes(4)
    assert source.p_x_given_z.shape == (30, 65536)
    assert source.p.sum() == near(1)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_clean_bars_and_stripes_are_the_patterns_themselves(n):
    source = bars_and_stripes(n, flip=0)
    patterns = source.images[source.p > 0]
    assert len(patterns) == source.p_z.size == 2 * 2**n - 2
    assert all((image == image[0]).all() or (image == image[:, :1]).all() for image in patterns)
    assert near(math.log(2 * 2**n - 2)) == source.information
    assert len(np.unique(source.images, axis=0)) == 2 ** (n * n)


def test_flipping_half_of_all_pixels_leaves_no_pattern():
    source = bars_and_stripes(2, flip=0.5)
    assert source.p == near(np.full(16, 1 / 16))
    assert source.information <= 1e-14


@law
@given(st.floats(1e-9, 0.5))
def test_one_pixel_is_a_binary_symmetric_channel(flip):
    """n = 1: two patterns, I = log 2 − h(flip)."""
    h = -flip * math.log(flip) - (1 - flip) * math.log(1 - flip)
    assert near(math.log(2) - h, 1e-14) == bars_and_stripes(1, flip=flip).information


@law
@given(st.floats(0, 0.5))
def test_images_keep_the_symmetries_of_the_patterns(flip):
    """p is the same for an image, its transpose, its negative and any order of its rows."""
    source = bars_and_stripes(3, flip=flip)
    assert source.p.sum() == near(1)
    p = dict(zip((image.tobytes() for image in source.images), source.p, strict=True))
    for image in source.images[::37]:
        for other in (image.T, 1 - image, image[[2, 0, 1]], image[:, ::-1]):
            assert p[np.ascontiguousarray(other).tobytes()] == near(p[image.tobytes()])


def test_the_probability_of_an_image_is_its_sum_over_patterns():
    keep, flip = Decimal("0.95"), Decimal("0.05")
    # The blank image differs from 1 pattern nowhere, from 1 everywhere, from 6 + 6 in 3 or 6.
    blank = keep**9 + flip**9 + 6 * (flip**3 * keep**6 + flip**6 * keep**3)
    assert bars_and_stripes(3).p[0] == pytest.approx(float(blank / 14), rel=1e-13)


@law
@given(distributions(), st.integers(1, 10**6), st.integers(0))
def test_frequencies_are_counts_over_n(p, n, seed):
    """n p̂(x) is a whole number, Σ p̂ = 1, p̂ = 0 where p = 0, and a seed repeats the draw."""
    drawn = empirical(p, n, rng=seed)
    assert n * drawn == near(np.round(n * drawn))
    assert drawn.sum() == near(1)
    assert (drawn[p == 0] == 0).all()
    assert (drawn == empirical(p, n, rng=np.random.default_rng(seed))).all()


@law
@given(distributions(), st.integers(0))
def test_many_samples_find_the_distribution(p, seed):
    """|p̂ − p| is within eight standard deviations, √(p(1 − p)/n)."""
    n = 10**12
    deviation = np.sqrt(p * (1 - p) / n)
    assert (np.abs(empirical(p, n, rng=seed) - p) <= 8 * deviation + 3 / n).all()


def test_a_source_never_changes():
    p_z, rows = np.array([0.5, 0.5]), np.eye(2)
    source = Source(p_z, rows, means=[1, 2], widths=[1, 1], images=np.zeros((2, 1, 1)))
    p_z[:], rows[:] = -1, -1
    assert (source.p_z.tolist(), source.p_x_given_z.tolist()) == ([0.5, 0.5], [[1, 0], [0, 1]])
    for name in ("p", "p_z", "p_x_given_z", "means", "widths", "images"):
        assert not getattr(source, name).flags.writeable
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(source, name, None)


ROWS = {"p_z": [0.5, 0.5], "p_x_given_z": [[1, 0, 0], [0, 0.5, 0.5]]}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"p_z": [1, 1]}, ValueError, "p_z must sum to 1, but sums to 2.0"),
        (
            {"p_z": [1]},
            ValueError,
            r"p_x_given_z must have shape \(1, 3\), but its shape is \(2, 3\)",
        ),
        ({"p_x_given_z": [[1], [2]]}, ValueError, r"but p_x_given_z\[1\] sums to 2.0"),
        ({"means": [1]}, ValueError, r"means must have shape \(2,\), but its shape is \(1,\)"),
        ({"means": ["a", "b"]}, TypeError, "means must hold real numbers, not <U1"),
        ({"widths": [1, np.nan]}, ValueError, r"widths\[1\] is nan"),
        ({"widths": 1}, ValueError, r"widths must have 1 axis, but its shape is \(\)"),
        (
            {"images": [[1, 2, 3]]},
            ValueError,
            r"images must have 3 axes, but its shape is \(1, 3\)",
        ),
        ({"images": [[[1]]]}, ValueError, r"images must have shape \(3, 1, 1\), .* \(1, 1, 1\)"),
    ],
)
def test_a_broken_source_is_named(changed, error, message):
    with pytest.raises(error, match=message):
        Source(**{**ROWS, **changed})


def test_encoders_of_other_symbols_are_refused():
    source = Source(**ROWS)
    for measure in (source.separation, source.latent_information):
        with pytest.raises(ValueError, match=r"e must have shape \(3, 2\), .* is \(2, 2\)"):
            measure([[1, 0], [0, 1]])
        with pytest.raises(ValueError, match=r"row of e must sum to 1, but e\[1\] sums to 0.0"):
            measure([[1], [0], [1]])


def test_only_two_classes_have_a_separation():
    with pytest.raises(ValueError, match="but this source has 1; use latent_information"):
        Source([1.0], [[0.5, 0.5]]).separation(np.eye(2))


def test_a_true_model_needs_a_latent_for_each_component():
    with pytest.raises(ValueError, match="n_z is 1, but must be at least 2"):
        Source(**ROWS).true_model(n_z=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [0.7, 0.7]}, ValueError, "weights must sum to 1, but sums to 1.4"),
        ({"means": [1]}, ValueError, r"means must have shape \(2,\), but its shape is \(1,\)"),
        ({"widths": [1] * 3}, ValueError, r"widths must have shape \(2,\), but .* \(3,\)"),
        ({"widths": [1, 0]}, ValueError, r"widths\[1\] is 0.0, but must be finite, a width above"),
        ({"widths": [np.nan, 1]}, ValueError, r"widths\[0\] is nan, but must be finite"),
        ({"means": [1, np.inf]}, ValueError, r"means\[1\] is inf, but must be finite"),
        ({"means": "ab"}, TypeError, "means must hold real numbers"),
        ({"n_bins": 0}, ValueError, "n_bins is 0, but must be at least 1"),
        ({"n_bins": 30.0}, TypeError, "n_bins must be an integer, not 30.0"),
        ({"information": -1}, ValueError, r"information is -1.0, but must lie in \[0, inf\]"),
        ({"information": "x"}, TypeError, "information must be one number, not 'x'"),
        ({"information": 0}, ValueError, r"reach only 0.00165\d+ to 0.610864 nats"),
        (
            {"information": 1},
            ValueError,
            "information is 1.0, but widths of this shape reach only",
        ),
        (
            {"information": np.inf},
            ValueError,
            "information is inf, but widths of this shape reach",
        ),
    ],
)
def test_a_toy_that_makes_no_sense_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        toy_source(**options)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: empirical([1, 1], 5), ValueError, "p must sum to 1, but sums to 2.0"),
        (lambda: empirical([1], 0), ValueError, "n is 0, but must be at least 1"),
        (
            lambda: empirical([1], 2**63),
            ValueError,
            r"n is 9223372036854775808, but .* below 2\*\*63",
        ),
        (lambda: empirical([1], 2.5), TypeError, "n must be an integer, not 2.5"),
        (lambda: empirical([1], 5, rng="a"), TypeError, "rng must be a seed"),
        (lambda: bars_and_stripes(0), ValueError, "n is 0, but must be at least 1"),
        (lambda: bars_and_stripes(5), ValueError, r"n is 5, but 2\^\(n²\) images fit in memory"),
        (lambda: bars_and_stripes(2.0), TypeError, "n must be an integer, not 2.0"),
        (lambda: bars_and_stripes(2, flip=0.6), ValueError, r"flip is 0.6, .* lie in \[0, 0.5\]"),
        (lambda: bars_and_stripes(2, flip=np.nan), ValueError, r"flip is nan, but must lie in"),
    ],
)
def test_samples_and_images_that_make_no_sense_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_true_model_of_images_has_a_latent_for_each_pattern():
    """30 latents for 65,536 images: a square table would not fit in memory."""
    model = bars_and_stripes(4).true_model()
    assert (model.n_x, model.n_z) == (65_536, 30)
    assert pytest.approx(model.I, abs=1e-9) == model.R
    assert pytest.approx(0, abs=1e-9) == model.D + model.R - model.H
