"""Gaussian decoders: rows and slopes in 80 digits, and fits that are true maxima."""

from decimal import Context, Decimal, localcontext
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toyrd import DecoderFamily, GaussianDecoder
from toyrd.gaussian import log_bins

seeds = st.integers(0, 2**32 - 1)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


# Eighty-digit arithmetic: Φ by its series, and its tail by a continued fraction.


def upper_tail(z):
    """Return 1 − Φ(z) for z ≥ 0."""
    if z < 6:
        term = total = z
        for n in range(1, 300):
            term *= z * z / (2 * n + 1)
            total += term
        return Decimal(1) / 2 - density(z) * total
    fraction = z
    for n in range(400, 0, -1):
        fraction = z + n / fraction
    return density(z) / fraction


def density(z):
    return Decimal(0) if z is None else (-z * z / 2).exp() / (2 * PI).sqrt()


def mass(a, b):
    """Return Φ(b) − Φ(a), with None for the infinite ends, from the tails on the same side."""
    if a is not None and a >= 0:
        return upper_tail(a) - (0 if b is None else upper_tail(b))
    if b is not None and b <= 0:
        return upper_tail(-b) - (0 if a is None else upper_tail(-a))
    return 1 - (0 if a is None else upper_tail(-a)) - (0 if b is None else upper_tail(b))


def exact_row(n_x, mean, width):
    """Return ℓ and its slopes in the mean and the width."""
    with localcontext(Context(prec=80, Emin=-(10**15), Emax=10**15)):
        mean, width, row = Decimal(mean), Decimal(width), []
        edges = [(Decimal(x) - Decimal("0.5") - mean) / width for x in range(1, n_x)]
        edges = [None, *edges, None]
        for a, b in pairwise(edges):
            m, at_a, at_b = mass(a, b), density(a), density(b)
            by_width = (0 if a is None else a * at_a) - (0 if b is None else b * at_b)
            row.append([m.ln(), (at_a - at_b) / m / width, by_width / m / width])
        return np.array(row, dtype=float).T


WILD = [
    *[(9.83, 2.2565), (4.0, 0.25), (4.5, 1.0), (0.0, 30.0), (-0.5, 0.3), (3.2, 0.01)],
    *[(1.0, 794328.0), (0.5, 60.0), (4.0, 49.9), (900.0, 200.0), (2000.0, 51.0), (-7e5, 1e6)],
    *[(3.0, 1e-6), (2.5, 1e-6), (868.0, 867.0), (1e6, 1e6), (-1e6, 1e3), (1e6, 0.5)],
]


@pytest.mark.parametrize(("mean", "width"), WILD)
def test_rows_and_slopes_agree_with_eighty_digits_however_wide_or_far(mean, width):
    family = GaussianDecoder(7)
    log_d, by_mean, by_width = exact_row(7, mean, width)
    np.testing.assert_allclose(family.log_rows([[mean, width]])[0], log_d, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(
        log_bins(np.array([[mean, width]]), 7), family.log_rows([[mean, width]])
    )
    slopes = family.slopes([[mean, width]])[0]
    far = 1e-12 * (1 + np.abs(by_mean).max() * width) / width
    np.testing.assert_allclose(slopes[:, 0], by_mean, rtol=1e-12, atol=far)
    far = 1e-12 * (1 + np.abs(by_width).max() * width) / width
    np.testing.assert_allclose(slopes[:, 1], by_width, rtol=1e-12, atol=far)


@pytest.mark.parametrize(("mean", "width"), [(409577.848, 47940.033), (40.0, 4.0), (-700.0, 65.0)])
def test_the_slopes_of_a_bin_that_takes_nearly_all_keep_their_digits(mean, width):
    """They are tiny, but a tangent follows them as far as the box is wide."""
    _, by_mean, by_width = exact_row(7, mean, width)
    x = 6 if mean > 0 else 0
    slopes = GaussianDecoder(7).slopes([[mean, width]])[0, x]
    assert 0 < np.abs(slopes).max() < 1e-15
    np.testing.assert_allclose(slopes, [by_mean[x], by_width[x]], rtol=1e-11)


def wild_family(rng):
    """Return a family of few bins, mostly with a box that is narrow, wide or far away."""
    n_x, kind = int(rng.integers(1, 9)), rng.integers(4)
    means = np.sort(
        [rng.uniform(-1, n_x, 2), rng.normal(size=2) * 10 ** rng.uniform(0, 6)][kind % 2]
    )
    widths = np.sort(10 ** rng.uniform(*[(-1, 1), (-6, 6)][kind // 2], 2))
    return GaussianDecoder(n_x, means=np.clip(means, -1e6, 1e6), widths=widths)


def draw(rng, family, n):
    """Draw parameters in the box, many of them on its sides or near, and its corners."""
    share = rng.random((n, 2)) ** np.where(rng.random((n, 1)) < 0.5, 1, 30)
    share = np.where(rng.random((n, 2)) < 0.3, share.round(), share)
    share = np.concatenate([share, 1 - share, list(product((0.0, 1.0), repeat=2))])
    (low, high), (least, most) = family.means, family.widths
    width = least * (most / least) ** share[:, 1]
    return np.clip(np.stack([low + share[:, 0] * (high - low), width], axis=1), *family.box)


@given(seeds)
@settings(max_examples=60)
def test_rows_are_distributions_below_their_tangents(seed):
    rng = np.random.default_rng(seed)
    family = wild_family(rng)
    here, there = (rng.permutation(draw(rng, family, 50)) for _ in range(2))
    log_d, other = family.log_rows(here), family.log_rows(there)
    assert log_d.max() <= 0
    np.testing.assert_allclose(np.exp(log_d).sum(axis=1), 1, atol=1e-13)
    terms = family.slopes(here) * family.move(here, there)[:, None]
    slack = 2e-13 * (1 + np.abs(log_d) + np.abs(other) + np.abs(terms).sum(axis=-1))
    assert (other <= log_d + terms.sum(axis=-1) + slack).all()


# The M-step.


def score(family, joint, theta):
    return (joint * family.log_rows(theta)).sum(axis=1)


@given(seeds, st.booleans())
@settings(max_examples=80)
def test_the_fit_is_the_maximum_over_the_whole_box(seed, guessed):
    rng = np.random.default_rng(seed)
    family = wild_family(rng)
    joint = np.concatenate([np.eye(family.n_x), rng.dirichlet(np.full(family.n_x, 0.3), size=4)])
    joint[rng.random(joint.shape) < 0.2] = 0
    joint[:, rng.integers(family.n_x)] += 1e-3
    guess = rng.choice(draw(rng, family, 20), len(joint)) if guessed else None
    theta = family.fit(joint, guess)
    assert ((theta >= family.box[0]) & (theta <= family.box[1])).all()
    near = theta[:, None] * (
        1 + rng.normal(size=(1, 60, 2)) * 10.0 ** -rng.integers(0, 9, (1, 60, 1))
    )
    others = np.concatenate([np.clip(near, *family.box).reshape(-1, 2), draw(rng, family, 3000)])
    best = score(family, joint, theta)
    least = (joint @ family.log_rows(others).T).max(axis=1)
    assert (least <= best + 2e-14 * (joint.sum(axis=1) + np.abs(best))).all()


def test_a_fit_far_from_the_bins_finds_the_best_row_of_each_symbol():
    # Where all means lie beyond the last bin, symbols have widths of their own.
    family = GaussianDecoder(12, means=(868, 1222), widths=(0.01, 20000))
    theta = family.fit(np.eye(12))
    assert -np.diagonal(family.log_rows(theta)).mean() < 6.8763366
    for x in range(12):  # tangents of the bound prove it
        log_weight = np.full(12, -np.inf)
        log_weight[x] = -family.log_rows(theta)[x, x]
        assert 1 - 1e-12 <= family.bound(log_weight, 1.0, 1e-9).top <= 1 + 1e-9


def test_the_fit_to_a_row_returns_its_parameters():
    theta = np.array([[9.83, 2.2565], [19.141, 3.4058], [3.0, 1.0]])
    family = GaussianDecoder()
    joint = np.exp(family.log_rows(theta))
    np.testing.assert_allclose(family.fit(joint), theta, atol=1e-7)
    np.testing.assert_allclose(family.fit(joint, theta), theta, atol=1e-7)


def test_a_fit_deep_inside_has_nearly_the_moments_of_the_data():
    x = np.arange(60)
    joint = np.exp(-0.5 * ((x - 29.3) / 5.1) ** 2)[None]
    mean, width = GaussianDecoder(60).fit(joint)[0]
    assert abs(mean - 29.3) < 1e-6  # the tails are cut unevenly
    assert abs(width**2 + 1 / 12 - 5.1**2) < 1e-3  # Sheppard's correction for bins


def test_a_latent_without_mass_keeps_its_row_or_takes_that_of_all_the_mass():
    family, old = GaussianDecoder(5), np.array([[1.0, 1.0], [99.0, 0.1]])
    joint = np.array([[0.1, 0.2, 0.4, 0.2, 0.1], np.zeros(5)])
    np.testing.assert_array_equal(family.fit(joint)[1], family.fit(joint)[0])
    np.testing.assert_array_equal(family.fit(joint, old)[1], old[1])
    np.testing.assert_allclose(family.fit(joint, old)[0], family.fit(joint)[0], atol=1e-7)


# The family itself.


def test_it_is_a_family_whose_box_cannot_be_changed():
    family = GaussianDecoder(7)
    assert isinstance(family, DecoderFamily)
    assert repr(family) == "GaussianDecoder(7, means=(-0.5, 6.5), widths=(0.25, 7.0))"
    with pytest.raises(ValueError, match="read-only"):
        family.box[0, 0] = 3


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
    rows = family.dictionary()
    assert ((rows >= family.box[0]) & (rows <= family.box[1])).all()
    for mean, width in draw(np.random.default_rng(0), family, 200):
        apart = np.abs(rows[:, 0] - mean) / width, np.abs(np.log(rows[:, 1] / width))
        assert np.maximum(*apart).min() < 0.5


def test_one_bin_is_certain():
    family, theta = GaussianDecoder(1), [[0.3, 0.5]]
    assert family.log_rows(theta).tolist() == [[0.0]]
    assert family.slopes(theta).tolist() == [[[0.0, 0.0]]]
    assert family.bound(np.zeros(1), 2.0, 1e-12).top == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_bins": 0}, "n_bins"),
        ({"widths": (0, 1)}, "widths are .* between 1e-06 and 1e"),
        ({"widths": (1, 1e7)}, "widths are .* between 1e-06 and 1e"),
        ({"means": (-1e9, 0)}, "means are .* between -1e"),
        ({"widths": (2, 1)}, "widths must be two finite bounds in order"),
        ({"widths": (1, np.nan)}, "widths must be two finite bounds in order"),
        ({"means": (0, 1, 2)}, "means must be two finite bounds in order"),
        ({"means": 3}, "means must be two finite bounds in order"),
    ],
)
def test_bounds_that_make_no_sense_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        GaussianDecoder(**arguments)


@pytest.mark.parametrize("method", ["log_rows", "slopes"])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0], [0.0, -1.0]], r"parameters\[1\] is \[0.0, -1.0\]"),
        ([[np.nan, 1.0]], r"parameters\[0\] is \[nan, 1.0\]"),
        ([[0.0, np.inf]], "both finite, the width above 0"),
        ([[1.0, 2.0, 3.0]], r"parameters must have shape \(1, 2\)"),
        ([1.0, 2.0], "parameters must have 2 axes"),
    ],
)
def test_parameters_that_are_no_means_and_widths_are_refused(method, rows, said):
    family = GaussianDecoder(4)
    with pytest.raises(ValueError, match=said):
        getattr(family, method)(rows)
    with pytest.raises(ValueError, match=said):
        family.fit(np.ones((np.shape(rows)[0], 4)), rows)


def test_a_fit_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"joint must have shape \(1, 4\)"):
        GaussianDecoder(4).fit([[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"parameters must have shape \(2, 2\)"):
        GaussianDecoder(2).fit(np.eye(2), [[1.0, 1.0]])
