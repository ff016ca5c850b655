"""Gaussian decoders: rows, slopes and M-step."""

import numpy as np
import pytest
from exact import gaussian_log_row
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr

import toyrd.gaussian
from toyrd import DecoderFamily, GaussianDecoder
from toyrd.family import BoundedFamily, SmoothFamily

seeds = st.integers(0, 2**32 - 1)
bins = st.integers(1, 12)


def draw_parameters(rng, family, n):
    means = np.clip(rng.uniform(*family.means, n) * 1.2, *family.means)
    widths = np.exp(rng.uniform(*np.log(family.widths), n))
    return np.stack([means, np.clip(widths, *family.widths)], axis=1)


# Rows.


@pytest.mark.parametrize(
    ("mean", "width"),
    [
        (9.83, 2.2565),
        (4.0, 0.25),
        (4.5, 1.0),
        (0.0, 30.0),
        (-0.5, 0.3),
        (11.5, 0.25),
        (3.2, 0.01),
        (5.5, 50.1),
        (4.5, 1e3),
        (-700.0, 1e3),
        (1e6, 1e6),
        (6.2, 1e6),
    ],
)
def test_rows_agree_with_fifty_digits_into_the_far_tails(mean, width):
    row = GaussianDecoder(12).log_rows([[mean, width]])[0]
    exact = gaussian_log_row(12, mean, width)
    np.testing.assert_allclose(row, exact, rtol=1e-12, atol=1e-13)
    assert width > 0.01 or exact.min() < -200_000  # far beyond what a probability can hold


@given(st.floats(-30, 30), st.floats(0.01, 1e3))
def test_two_bins_are_a_step_of_the_normal_distribution(mean, width):
    step = (0.5 - mean) / width
    rows = GaussianDecoder(2).log_rows([[mean, width]])
    np.testing.assert_allclose(rows, [log_ndtr([step, -step])], rtol=1e-12, atol=1e-15)


@settings(max_examples=30)
@given(bins, seeds)
def test_rows_are_distributions(n_x, seed):
    family = GaussianDecoder(n_x, widths=(1e-3, 1e3))
    rows = family.log_rows(draw_parameters(np.random.default_rng(seed), family, 20))
    assert rows.max() <= 0
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-13)


@settings(max_examples=20)
@given(bins, seeds)
def test_rows_and_slopes_turn_with_the_bins(n_x, seed):
    family = GaussianDecoder(n_x)
    theta = draw_parameters(np.random.default_rng(seed), family, 20)
    turned = np.stack([n_x - 1 - theta[:, 0], theta[:, 1]], axis=1)
    np.testing.assert_allclose(
        family.log_rows(turned), family.log_rows(theta)[:, ::-1], rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        family.slopes(turned), family.slopes(theta)[:, ::-1] * [-1, 1], rtol=1e-9, atol=1e-10
    )


@settings(max_examples=30)
@given(bins, st.sampled_from([(0.25, 12.0), (40.0, 400.0)]), seeds)
def test_slopes_are_those_of_finite_differences(n_x, widths, seed):
    family = GaussianDecoder(n_x, widths=widths)
    theta = draw_parameters(np.random.default_rng(seed), family, 20)
    slopes = family.slopes(theta)
    for k in range(2):
        step = 1e-5 * np.eye(2)[k]
        central = (family.log_rows(theta + step) - family.log_rows(theta - step)) / 2e-5
        scale = 1 + np.abs(slopes[..., k]).max()
        np.testing.assert_allclose(slopes[..., k], central, atol=2e-6 * scale)


@settings(max_examples=30)
@given(bins, seeds)
def test_log_rows_lie_below_their_tangents(n_x, seed):
    family = GaussianDecoder(n_x)
    rng = np.random.default_rng(seed)
    here, there = (draw_parameters(rng, family, 50) for _ in range(2))
    move = family.move(here, there)[:, None]
    tangent = family.log_rows(here) + (move * family.slopes(here)).sum(axis=2)
    assert (family.log_rows(there) <= tangent + 1e-9 * (1 + np.abs(tangent))).all()
    np.testing.assert_array_equal(family.move(here, here), 0)


def test_one_bin_is_certain():
    family = GaussianDecoder(1)
    assert family.log_rows([[0.3, 0.5]]).tolist() == [[0.0]]
    assert family.slopes([[0.3, 0.5]]).tolist() == [[[0.0, 0.0]]]
    assert family.bound(np.zeros(1), 2.0, 1e-12).top == 1


# The M-step.


def score(family, joint, theta):
    return (joint * family.log_rows(theta)).sum(axis=1)


@settings(max_examples=25)
@given(st.integers(1, 9), seeds)
def test_the_fit_is_the_weighted_maximum_of_likelihood_in_the_box(n_x, seed):
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(n_x, widths=(0.4, 3.0))
    joint = rng.dirichlet(np.full(n_x, 0.3), size=3) * rng.random((3, 1)) + 1e-300
    joint[:, :-1][rng.random((3, n_x - 1)) < 0.2] = 0
    theta = family.fit(joint)
    assert ((theta >= family.box[0]) & (theta <= family.box[1])).all()
    best = score(family, joint, theta)
    mean, width = np.meshgrid(np.linspace(*family.means, 60), np.geomspace(0.4, 3.0, 40))
    grid = np.stack([mean.ravel(), width.ravel()], axis=1)
    near = theta[:, None] + rng.normal(size=(3, 200, 2)) * np.geomspace(1e-4, 1, 200)[:, None]
    for z in range(3):
        others = np.concatenate([grid, np.clip(near[z], *family.box)])
        assert (family.log_rows(others) @ joint[z]).max() <= best[z] + 1e-12 * joint[z].sum()


@settings(max_examples=20)
@given(seeds)
def test_a_fit_never_lowers_the_likelihood_of_its_guess_and_forgets_it(seed):
    rng = np.random.default_rng(seed)
    family = GaussianDecoder(8)
    joint = rng.dirichlet(np.ones(8), size=4) * rng.random((4, 1))
    guess = draw_parameters(rng, family, 4)
    fitted = family.fit(joint, guess)
    now, after = score(family, joint, guess), score(family, joint, fitted)
    assert (after >= now - 1e-14 * np.abs(now)).all()
    np.testing.assert_allclose(after, score(family, joint, family.fit(joint)), rtol=1e-13)


def test_the_fit_to_a_row_returns_its_parameters():
    theta = np.array([[9.83, 2.2565], [19.141, 3.4058], [3.0, 1.0]])
    family = GaussianDecoder()
    rows = np.exp(family.log_rows(theta))
    np.testing.assert_allclose(family.fit(rows), theta, atol=1e-7)
    np.testing.assert_allclose(family.fit(rows, theta), theta, atol=1e-7)


def test_a_fit_deep_inside_has_nearly_the_moments_of_the_data():
    joint = np.exp(-0.5 * ((np.arange(60) - 29.3) / 5.1) ** 2)[None]
    mean, width = GaussianDecoder(60).fit(joint)[0]
    assert abs(mean - 29.3) < 1e-6  # the tails are cut unevenly
    assert abs(width**2 + 1 / 12 - 5.1**2) < 1e-3  # Sheppard's correction for bins


def test_a_fit_beyond_the_box_stops_at_its_side():
    family = GaussianDecoder(9, means=(2, 4), widths=(1.0, 2.0))
    theta = family.fit(np.concatenate([np.eye(9)[[0, 3, 8]], np.full((1, 9), 1 / 9)]))
    np.testing.assert_allclose(theta[:3, 0], [2, 3, 4], atol=1e-9)
    np.testing.assert_allclose(theta[:, 1], [2, 1, 2, 2], atol=1e-9)  # far away a wide row is best


def test_a_latent_without_mass_keeps_its_row_or_takes_that_of_all_the_mass():
    family = GaussianDecoder(5)
    joint = np.array([[0.1, 0.2, 0.3, 0.2, 0.1], [0.0] * 5])
    guess = np.array([[2.0, 1.0], [-77.0, 9.0]])  # beyond the box
    np.testing.assert_array_equal(family.fit(joint, guess)[1], guess[1])
    np.testing.assert_array_equal(family.fit(joint)[1], family.fit(joint)[0])


def test_a_fit_cut_short_is_no_worse_than_its_guess(monkeypatch):
    monkeypatch.setattr(toyrd.gaussian, "STEPS", 1)
    family, joint, guess = GaussianDecoder(8), np.eye(8)[[2]], np.array([[6.0, 5.0]])
    assert score(family, joint, family.fit(joint, guess)) > score(family, joint, guess)


# The family itself.


def test_it_is_a_family_with_proof():
    family = GaussianDecoder(7)
    for protocol in (DecoderFamily, BoundedFamily, SmoothFamily):
        assert isinstance(family, protocol)
    assert repr(family) == "GaussianDecoder(7, means=(-0.5, 6.5), widths=(0.25, 7.0))"
    np.testing.assert_array_equal(family.box, [[-0.5, 0.25], [6.5, 7.0]])


@pytest.mark.parametrize(
    "family",
    [
        GaussianDecoder(30),
        GaussianDecoder(3, widths=(0.5, 20)),
        GaussianDecoder(5, means=(2, 2)),
        GaussianDecoder(5, widths=(1, 1)),
    ],
)
def test_the_dictionary_covers_the_box(family):
    """No row is half a width away from all of it."""
    rows = family.dictionary()
    assert ((rows >= family.box[0]) & (rows <= family.box[1])).all()
    for theta in draw_parameters(np.random.default_rng(0), family, 200):
        apart = np.abs(rows[:, 0] - theta[0]) / theta[1], np.abs(np.log(rows[:, 1] / theta[1]))
        assert np.maximum(*apart).min() < 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_bins": 0}, "n_bins"),
        ({"widths": (0, 1)}, "widths are .* between 1e-06 and 1e"),
        ({"widths": (1, 1e7)}, "widths are .* between 1e-06 and 1e"),
        ({"means": (-1e9, 0)}, "means are .* between -1e"),
        ({"widths": (2, 1)}, "widths must be two finite bounds in order"),
        ({"widths": (1, np.nan)}, "widths must be two finite bounds in order"),
        ({"means": (0, np.inf)}, "means must be two finite bounds in order"),
        ({"means": (0, 1, 2)}, "means must be two finite bounds in order"),
        ({"means": 3}, "means must be two finite bounds in order"),
    ],
)
def test_bounds_that_make_no_sense_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        GaussianDecoder(**arguments)


def test_a_number_of_bins_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match="n_bins"):
        GaussianDecoder(2.5)


@pytest.mark.parametrize("row", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [0.0, np.inf]])
def test_rows_that_are_no_gaussians_are_named(row):
    family = GaussianDecoder(3)
    for use in (family.log_rows, family.slopes, lambda rows: family.fit(np.eye(2, 3), rows)):
        with pytest.raises(ValueError, match=r"parameters\[1\] is .* a mean and a width"):
            use([[1.0, 1.0], row])


@pytest.mark.parametrize(
    ("joint", "parameters", "said"),
    [
        ([[1.0, 0.0]], None, r"joint must have shape \(1, 3\)"),
        ([[0.0, 0.0, 0.0]], None, "not all 0"),
        ([[1.0, -0.1, 0.0]], None, "not negative"),
        ([[1.0, np.nan, 0.0]], None, "finite"),
        ([[1.0, 0.0, 0.0]], [[1.0, 1.0]] * 2, r"parameters must have shape \(1, 2\)"),
    ],
)
def test_masses_that_cannot_be_fitted_are_refused(joint, parameters, said):
    with pytest.raises(ValueError, match=said):
        GaussianDecoder(3).fit(joint, parameters)
