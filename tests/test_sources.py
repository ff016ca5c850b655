"""The toy and the bars and stripes against theory §5 and §8, and laws for any source."""

import copy
import math
import pickle
from decimal import Decimal

import exact
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toyrd import bars_and_stripes, empirical, entropy, toy_source
from toyrd.sources import Source
from toyrd.testing import distributions, sources, tables

law = settings(max_examples=50)


def near(value: object, tolerance: float = 1e-12) -> object:
    return pytest.approx(value, rel=tolerance, abs=tolerance)


def test_the_toy_has_the_numbers_of_theory():
    toy = toy_source()
    model = toy.true_model()
    assert toy.p.shape == (30,)
    assert near([0.5, 2.862061915729483]) == [toy.information, entropy(toy.p)]
    assert (toy.p.argmax(), toy.p.max()) == (10, near(0.12338837792856812))
    assert toy.widths / [2.256, 3.405] == near([1.000236813901773] * 2)
    assert near([0.5, 0.5, 2.362061915729483]) == [model.R, model.I, model.D]
    assert toy.separation(model.e) == pytest.approx(0.8531310987, abs=1e-10)
    posterior = toy.p_z[:, None] * (toy.p_x_given_z @ model.e)[:, model.m > 0]
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
    assert sorted(model.m[model.m > 0]) == near(sorted(source.p_z[source.p_z > 0]))


@law
@given(sources())
def test_information_is_that_of_the_joint_in_fifty_digits(source):
    """I(X; Z*) of p(z*) p(x|z*), and p(x) is its margin."""
    expected = exact.information(source.p_z, source.p_x_given_z)
    assert near(expected, 1e-13) == source.information
    assert source.p == near((source.p_z[:, None] * source.p_x_given_z).sum(axis=0), 1e-14)


@law
@given(sources(), st.data())
def test_an_encoder_cannot_know_more_than_its_symbols(source, data):
    """I(Z; Z*) ≤ min(I(X; Z), I(X; Z*)), with equality for the lossless code."""
    n_x = source.p.size
    e = data.draw(tables(n_x))
    most = min(exact.mutual_information(source.p[:, None] * e), source.information)
    assert 0 <= source.latent_information(e) <= most + 1e-13
    assert near(source.information) == source.latent_information(np.eye(n_x))
    assert source.latent_information(np.ones((n_x, 1))) <= 1e-14


@law
@given(sources(k=2), st.data())
def test_an_encoder_cannot_separate_more_than_its_symbols(source, data):
    """0 ≤ separation ≤ ½ Σ_x |p(x|0) − p(x|1)|, with equality for the lossless code."""
    n_x = source.p.size
    most = np.abs(np.subtract(*source.p_x_given_z)).sum() / 2
    assert 0 <= source.separation(data.draw(tables(n_x))) <= most + 1e-14
    assert source.separation(np.eye(n_x)) == near(most)
    assert source.separation(np.ones((n_x, 1))) <= 1e-14


@law
@given(st.floats(0.05, 0.6))
def test_the_information_asked_for_is_met(information):
    """I(X; Z*) = the target to 1e-12, and one factor scales all widths."""
    source = toy_source(information=information)
    assert abs(source.information - information) <= 1e-12
    assert np.divide(*source.widths) == near(2.256 / 3.405)


def test_every_option_of_the_toy_is_free():
    given_widths = {"widths": [1, 2, 1], "information": None}
    source = toy_source(weights=[0.2, 0.3, 0.5], means=[1, 5, 6], n_bins=7, **given_widths)
    assert (source.p_x_given_z.shape, source.widths.tolist()) == ((3, 7), [1, 2, 1])
    assert toy_source(n_bins=1, information=0).p.tolist() == [1]
    single = toy_source(weights=[1], means=[3], widths=[2], information=0)
    assert (single.widths.tolist(), single.information) == ([2], 0)


def test_extreme_widths_and_means_are_limits_and_not_nan():
    rows = toy_source(widths=[1e-6, 1e6], means=[3, 1e6], information=None).p_x_given_z
    assert rows[0].tolist() == np.eye(30)[3].tolist()
    assert rows[1].sum() == near(1)
    assert toy_source(widths=[1e6, 1], information=0.3).information == near(0.3)


@law
@given(st.integers(0, 20), st.floats(0.3, 5), st.integers(2, 30))
def test_a_mirrored_mean_mirrors_the_row_to_relative_precision(mean, width, n_bins):
    """In both tails, which a difference of two numbers near 1 would lose."""
    both = {"means": [mean, n_bins - 1 - mean], "widths": [width, width]}
    row, mirrored = toy_source(**both, n_bins=n_bins, information=None).p_x_given_z
    assert row == pytest.approx(mirrored[::-1], rel=1e-12, abs=0)


def test_bars_and_stripes_have_the_numbers_of_theory():
    source = bars_and_stripes(3, flip=0.05)
    assert (source.images.shape, source.p_z.tolist()) == ((512, 3, 3), [1 / 14] * 14)
    assert near([4.301349493395296, 2.514712303282442]) == [entropy(source.p), source.information]
    # The blank image differs from 1 pattern nowhere, from 1 everywhere, from 6 + 6 in 3 or 6.
    keep, flip = Decimal("0.95"), Decimal("0.05")
    blank = keep**9 + flip**9 + 6 * (flip**3 * keep**6 + flip**6 * keep**3)
    assert source.p[0] == pytest.approx(float(blank / 14), rel=1e-13)


def test_four_by_four_images_have_a_latent_for_each_of_thirty_patterns():
    model = bars_and_stripes(4).true_model()
    assert (model.n_x, model.n_z) == (65_536, 30)
    assert near([model.I, model.H], 1e-9) == [model.R, model.D + model.R]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_clean_bars_and_stripes_are_the_patterns_themselves(n):
    source = bars_and_stripes(n, flip=0)
    patterns = source.images[source.p > 0]
    assert len(patterns) == source.p_z.size == 2 * 2**n - 2
    assert all((image == image[0]).all() or (image == image[:, :1]).all() for image in patterns)
    assert near(math.log(2 * 2**n - 2)) == source.information
    assert len(np.unique(source.images, axis=0)) == 2 ** (n * n)


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
    p = dict(zip((image.tobytes() for image in source.images), source.p, strict=True))
    for image in source.images[::37]:
        for other in (image.T, 1 - image, image[[2, 0, 1]], image[:, ::-1]):
            assert p[np.ascontiguousarray(other).tobytes()] == near(p[image.tobytes()])


@law
@given(distributions(), st.integers(1, 10**6), st.integers(0))
def test_frequencies_are_counts_over_n(p, n, seed):
    """n p̂(x) is a whole number, Σ p̂ = 1, p̂ = 0 where p = 0, and a seed repeats the draw."""
    drawn = empirical(p, n, rng=seed)
    assert n * drawn == near(np.round(n * drawn))
    assert (drawn.sum(), drawn.flags.writeable) == (near(1), False)
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
    """Neither by what it was made of, nor by its own arrays, nor in a copy."""
    p_z, rows = np.array([0.5, 0.5]), np.eye(2)
    source = Source(p_z, rows, means=[1, 2], widths=[1, 1], images=np.zeros((2, 1, 1)))
    p_z[:], rows[:] = -1, -1
    assert source.p.tolist() == [0.5, 0.5]
    for one in (source, copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        for name in ("p", "p_z", "p_x_given_z", "means", "widths", "images"):
            assert not getattr(one, name).flags.writeable
    with pytest.raises(AttributeError):
        source.p_z = None


def source_of(**changed):
    return Source(**{"p_z": [0.5, 0.5], "p_x_given_z": [[1, 0, 0], [0, 0.5, 0.5]], **changed})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: source_of(p_z=[1, 1]), ValueError, "p_z must sum to 1, but sums to 2.0"),
        (lambda: source_of(p_z=[1]), ValueError, r"p_z must have shape \(2,\), .* is \(1,\)"),
        (lambda: source_of(p_x_given_z=[[1], [2]]), ValueError, r"p_x_given_z\[1\] sums to 2.0"),
        (lambda: source_of(means=[1]), ValueError, r"means must have shape \(2,\), .* \(1,\)"),
        (lambda: source_of(means=["a", "b"]), TypeError, "means must hold real numbers"),
        (lambda: source_of(widths=[1, np.nan]), ValueError, r"widths\[1\] is nan"),
        (lambda: source_of(images=[[1, 2, 3]]), ValueError, "images must have 3 axes"),
        (lambda: source_of(images=[[[1]]]), ValueError, r"images must have shape \(3, 1, 1\)"),
        (lambda: source_of().separation(np.eye(2)), ValueError, r"e must have shape \(3, 2\)"),
        (lambda: source_of().latent_information([[1], [0], [1]]), ValueError, r"e\[1\] sums to 0"),
        (lambda: bars_and_stripes(2).separation(np.eye(16)), ValueError, "2 .* there are 6"),
        (lambda: source_of().true_model(n_z=1), ValueError, "n_z is 1, but must be at least 2"),
        (lambda: toy_source(weights=[1, 1]), ValueError, "weights must sum to 1"),
        (lambda: toy_source(means=[1]), ValueError, r"means must have shape \(2,\)"),
        (lambda: toy_source(widths=[1, 0]), ValueError, r"widths\[1\] is 0.0, but must lie in"),
        (lambda: toy_source(widths=[np.nan, 1]), ValueError, r"widths\[0\] is nan, but must"),
        (lambda: toy_source(means=[1, np.inf]), ValueError, r"means\[1\] is inf, but must lie"),
        (lambda: toy_source(n_bins=30.0), TypeError, "n_bins must be an integer, not 30.0"),
        (lambda: toy_source(information=-1), ValueError, "information is -1.0, but must lie"),
        (lambda: toy_source(information="x"), TypeError, "information must be one number"),
        (lambda: toy_source(information=0), ValueError, r"only 0.00165\d+ to 0.610864 nats"),
        (lambda: toy_source(information=np.inf), ValueError, "information is inf, but widths of"),
        (lambda: empirical([1, 1], 5), ValueError, "p must sum to 1, but sums to 2.0"),
        (lambda: empirical([1], 0), ValueError, "n is 0, but must be at least 1"),
        (lambda: empirical([1], 2**63), ValueError, "n is 9223372036854775808, but must be"),
        (lambda: empirical([1], 5, rng="a"), TypeError, "rng must be a seed"),
        (lambda: bars_and_stripes(0), ValueError, "n is 0, but must be at least 1"),
        (lambda: bars_and_stripes(5), ValueError, r"n is 5, but 2\^\(n²\) images fit in memory"),
        (lambda: bars_and_stripes(2, flip=0.6), ValueError, "flip is 0.6, but must lie in"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
