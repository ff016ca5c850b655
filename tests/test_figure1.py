"""The phase diagram: what is drawn obeys the laws of theory, and is drawn where it is."""

import matplotlib as mpl
import numpy as np
import pytest
from layout import assert_apart
from matplotlib.figure import Figure

from toyrd import GaussianDecoder, rate_distortion, toy_source
from toyrd.figure import save
from toyrd.figure1 import compute_phase, draw_phase, main, random_models, worse_decoder
from toyrd.frontier import frontier
from toyrd.plotting_phase import Curve, Phase, plot_corner, plot_phase

BETAS = (0.5, 1.0, 1.5)
TINY = ["--starts", "1", "--steps", "1", "--models", "5", "--dpi", "20"]


@pytest.fixture(scope="module")
def toy():
    return toy_source()


@pytest.fixture(scope="module")
def phase(toy):
    return compute_phase(toy, betas=BETAS, starts=2, steps=60, models=50, tolerance=0.02, rng=0)


@pytest.fixture(scope="module")
def figure(phase):
    drawn = draw_phase(phase)
    drawn.draw_without_rendering()
    return drawn


def curves(phase):
    return phase.gaussian, phase.uniform, phase.fixed


def everything(phase):
    columns = np.array([(R, D) for _, R, D in phase.columns])
    lines = [rows for curve in curves(phase) for rows in (curve.points, curve.at_one)]
    return np.concatenate([*lines, columns, phase.random])


# What is computed.


def test_no_point_is_below_the_line(phase):
    R, D = everything(phase).T
    assert (R >= 0).all()
    assert (D + R >= phase.H - 1e-12).all()


def test_the_points_where_beta_is_one_are_the_best_elbo_of_their_curve(phase):
    for curve, slack in zip(curves(phase), (1e-3, 1e-4, 1e-8), strict=True):
        assert len(curve.at_one) > 0
        best = curve.at_one.sum(axis=1).max()
        assert (curve.points.sum(axis=1) >= best - slack).all()


def test_gaussian_decoders_touch_the_line_beside_the_truth_and_the_worse_decoder_does_not(phase):
    most, least = phase.gaussian.at_one
    assert most.sum() - phase.H < 1e-5
    assert least.sum() - phase.H < 1e-5
    assert least[0] < 0.5 < most[0]
    # D + βR of the truth bounds that of the optimum at β = 1.001
    assert least[1] + 1.001 * least[0] <= phase.H + 0.001 * 0.5 + 1e-7
    assert phase.fixed.at_one[0].sum() > phase.H + 0.1


def test_a_uniform_marginal_and_a_worse_decoder_lie_above_the_certified_frontier(toy, phase):
    certified = frontier(toy.p, decoder=GaussianDecoder(), betas=[0.0, *BETAS, np.inf])
    for points in (phase.uniform.points, phase.fixed.points):
        assert (points[:, 1] >= certified.bounds_at(points[:, 0])[0] - 1e-8).all()
    for beta, bound in zip(certified.beta, certified.lower_bound, strict=True):
        if np.isfinite(beta):
            assert (phase.uniform.points @ [beta, 1] >= bound - 1e-8).all()


def test_curves_fall_from_left_to_right(phase):
    for curve in curves(phase):
        R, D = curve.points.T
        assert (np.diff(R) >= 0).all()
        assert (np.diff(D) <= 1e-7).all()


def test_the_worse_decoder_is_solved_for_its_own_table(toy, phase):
    table = worse_decoder(30)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=0, atol=1e-12)
    point = rate_distortion(toy.p, -np.log(table.T), beta=1)
    np.testing.assert_allclose(phase.fixed.at_one, [[point.R, point.D]], rtol=0, atol=1e-6)


def test_the_columns_are_those_of_figure_2(phase):
    truth, elbo, target = phase.columns
    assert [title[:3] for title, _, _ in phase.columns] == ["(a)", "(b)", "(c)"]
    assert truth[1:] == pytest.approx((0.5, phase.H - 0.5), abs=1e-12)
    assert elbo[1:] == pytest.approx((0.0002, phase.H - 0.0002), abs=1e-10)
    assert target[1:] == pytest.approx((0.5, phase.H - 0.5), abs=1e-10)


def test_random_models_fill_the_feasible_side_and_follow_the_seed(toy):
    first, again, other = (
        random_models(toy.p, 200, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    excess = first.sum(axis=1) - 2.862061915729483
    assert excess.min() > 0
    assert (excess < 0.1).any()  # some near the line, some far from it, at all rates
    assert (excess > 1).any()
    assert all(np.histogram(first[:, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3])[0] > 0)


# What is drawn.


def flat_phase():
    return Phase(
        H=1.0,
        gaussian=Curve(np.array([[0, 1.1], [0.5, 0.5], [1, 0.1]]), np.array([[0.5, 0.5]] * 2)),
        uniform=Curve(np.array([[0, 1.2], [1.1, 0.2]]), np.zeros((0, 2))),
        fixed=Curve(np.array([[0, 1.3], [0.2, 0.9], [1, 0.8]]), np.array([[0.2, 0.9]])),
        columns=(("(a)", 0.5, 0.5), ("(b)", 0.0, 1.0), ("(c)", 0.5, 0.5)),
        random=np.array([[0.3, 1.2], [0.8, 0.8]]),
    )


def lines(ax):
    return [np.column_stack(line.get_data()) for line in ax.lines]


def drawn_in(points, ax):
    """Tell whether some line of the axes runs through these points, in their order."""
    n = len(points)
    return any(
        np.array_equal(line[i : i + n], points)
        for line in lines(ax)
        for i in range(len(line) - n + 1)
    )


@pytest.mark.parametrize("plot", [plot_phase, plot_corner])
def test_everything_given_is_drawn_and_nothing_else(plot):
    phase = flat_phase()
    ax = plot(phase)
    for curve in curves(phase):
        assert drawn_in(curve.points, ax)
    assert drawn_in(phase.random, ax)
    assert drawn_in(np.array([[0, 1], [1, 0]]), ax)  # D + R = H
    for _, R, D in phase.columns:
        assert drawn_in(np.array([[R, D]]), ax)
    tangents = [line for line in ax.lines if getattr(line, "get_slope", lambda: 0)() == -1]
    assert [tuple(line.get_xy1()) for line in tangents] == [(0.2, 0.9)]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rate R (nats)", "distortion D (nats)")
    assert ax.get_aspect() == 1  # so that slope −1 looks it


@pytest.mark.parametrize("plot", [plot_phase, plot_corner])
def test_a_plot_goes_into_the_axes_given_and_changes_no_settings(plot):
    _, ax = Figure().subplots(1, 2)
    before = dict(mpl.rcParams)
    assert plot(flat_phase(), ax=ax) is ax
    assert dict(mpl.rcParams) == before


def test_all_is_labelled_where_it_is_drawn(figure, phase):
    whole, corner = figure.axes
    said = " ".join(text.get_text().replace("\n", " ") for text in whole.texts)
    for label in (
        "infeasible",
        "random models",
        "realizable",
        "auto-decoding limit (0, H)",
        "auto-encoding limit (H, 0)",
        "free marginal (certified)",
        "uniform marginal (best found)",
        "worse decoder",
    ):
        assert label in said
    limits = {text.xy for text in whole.texts if "limit" in text.get_text()}
    assert limits == {(0, phase.H), (phase.H, 0)}
    titles = {text.get_text(): text.xy for text in corner.texts if hasattr(text, "xy")}
    for title, R, D in phase.columns:
        assert titles[title] == (R, D)


def test_no_label_overlaps_another_or_leaves_its_panel(figure):
    for ax in figure.axes:
        boxes = [mpl.text.Text.get_window_extent(text) for text in ax.texts]
        assert_apart(boxes, ax.get_window_extent())


# The command.


def test_the_same_diagram_is_the_same_bytes(tmp_path, phase):
    for name in ("a.png", "b.png"):
        save(draw_phase(phase), tmp_path / name, dpi=20)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_command_prints_the_points_and_writes_the_picture(tmp_path, capsys):
    path = tmp_path / "a.png"
    assert main(["--output", str(path), *TINY]) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[-6:] == ["R", "D", "-ELBO", "-ELBO", "-", "H"]
    assert last == str(path)
    assert len(rows) == 7
    for row in rows:
        R, D, elbo, excess = map(float, row.split()[-4:])
        assert elbo == pytest.approx(R + D, abs=2e-6)
        assert excess == pytest.approx(elbo - 2.862061915729483, abs=2e-6)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
