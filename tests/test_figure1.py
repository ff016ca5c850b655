"""The phase diagram: what is drawn obeys the laws of theory, and can be read at print size."""

import numpy as np
import pytest
from layout import assert_legible, drawn_texts

from toyrd import rate_distortion, toy_source
from toyrd.figure import save
from toyrd.figure1 import (
    TOUCH,
    compute_phase,
    draw_phase,
    main,
    random_model,
    worse_decoder,
)

BETAS = (0.1, 0.5, 1 - TOUCH, 1.0, 1 + TOUCH, 1.5)
H = 2.862061915729483  # theory.md, section 5
TOY = toy_source()


@pytest.fixture(scope="module")
def calls():
    return []


@pytest.fixture(scope="module")
def phase(calls):
    return compute_phase(
        TOY, betas=BETAS, models=50, rng=0, callback=lambda *_: calls.append(None)
    )


def points(models):
    return np.array([(one.R, one.D) for one in models])


# What is computed.


def test_no_point_is_below_the_line(phase, calls):
    columns = phase.columns.values()
    R, D = points([*phase.gaussian, *phase.fixed, *phase.uniform, *phase.random, *columns]).T
    assert (R >= 0).all()
    assert (D + R >= H - 1e-12).all()
    assert len(calls) == 2 * len(BETAS) + 2


def test_gaussian_rows_touch_the_line_beside_the_truth_and_the_worse_decoder_does_not(phase):
    assert phase.gaussian.converged.all()
    most, least = points(phase.gaussian)[[3, 5]]
    assert most.sum() - H < 1e-5
    assert least.sum() - H < 1e-5
    assert least[0] < 0.5 < most[0]
    # D + βR of the truth bounds that of the optimum at β = 1.001
    assert least[1] + 1.001 * least[0] <= H + 0.001 * 0.5 + 1e-7
    assert phase.fixed.converged.all()
    assert (phase.fixed.D + phase.fixed.R).min() > H + 0.1


def test_a_uniform_marginal_is_near_the_certified_frontier_and_never_below_it(phase):
    R, D = points(phase.uniform).T
    lower, _ = phase.gaussian.bounds_at(R)
    assert (lower <= D + 1e-8).all()
    excess = D + np.array(BETAS) * R - phase.gaussian.objective[1:-1]
    assert (excess >= -1e-8).all()
    # what a search by gradients from many starts found: .0384 at β = .1, 7e-9 at β = 1
    assert excess[0] < 0.06
    assert excess[3] < 1e-6


def test_the_worse_decoder_is_solved_for_its_own_table(phase):
    table = worse_decoder(30)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=0, atol=1e-12)
    point = rate_distortion(TOY.p, -np.log(table.T), beta=1)
    (i,) = np.flatnonzero(phase.fixed.betas == 1)
    assert (phase.fixed.R[i], phase.fixed.D[i]) == pytest.approx((point.R, point.D), abs=1e-6)


def test_the_models_are_those_of_figure_2(phase):
    truth, elbo, target = map(tuple, points(phase.columns.values()))
    assert all(f"Figure 2 ({letter})" in " ".join(phase.columns) for letter in "abc")
    assert truth == pytest.approx((0.5, H - 0.5), abs=1e-12)
    assert elbo == pytest.approx((0.0002, H - 0.0002), abs=1e-10)
    assert target == pytest.approx((0.5, H - 0.5), abs=1e-10)


def test_random_models_fill_the_feasible_side_and_follow_the_seed():
    draws = [np.random.default_rng(seed) for seed in (3, 3, 4)]
    first, again, other = (
        points(random_model(TOY.p, rng=rng) for _ in range(200)) for rng in draws
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    excess = first.sum(axis=1) - H
    assert excess.min() > 0
    assert (excess < 0.1).any()  # some near the line, some far from it, at all rates
    assert (excess > 1).any()
    assert all(np.histogram(first[:, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3])[0] > 0)


# What is drawn.


def test_everything_computed_is_drawn_in_both_panels(phase):
    for ax in draw_phase(phase).axes:
        lines = [line.get_xydata() for line in ax.lines]
        corners = {tuple(point) for line in lines for point in line}
        for curve in (phase.gaussian, phase.fixed):
            assert set(zip(*curve.reached, strict=True)) <= corners
        line = [(0, phase.H), (phase.H, 0)]
        for models in (phase.uniform, phase.random, phase.columns.values()):
            assert {(one.R, one.D) for one in models} <= corners
        assert set(line) <= corners
        (i,) = np.flatnonzero(phase.fixed.betas == 1)
        tangents = [line for line in ax.lines if getattr(line, "get_slope", lambda: 0)() == -1]
        best = [(phase.fixed.R[i], phase.fixed.D[i])]
        assert [tuple(line.get_xy1()) for line in tangents] == best
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("rate R (nats)", "distortion D (nats)")
        assert ax.get_aspect() == 1  # so that slope −1 looks it


@pytest.mark.parametrize("width", [6.25, 6.75, 12])
def test_every_text_can_be_read_at_print_size(phase, width):
    figure = draw_phase(phase, width=width)
    assert figure.get_figwidth() == width
    assert_legible(figure)


def test_every_kind_of_thing_is_named(phase):
    said = " ".join(text.get_text().replace("\n", " ") for text in drawn_texts(draw_phase(phase)))
    for words in (
        "infeasible D + R < H",
        "random models",
        "realizable with Gaussian rows",
        "auto-decoding limit (0, H)",
        "auto-encoding limit (H, 0)",
        "Gaussian rows, free m (certified)",
        "Gaussian rows, uniform m (found)",
        "rows of width 4, free m (certified)",
        *phase.columns,
    ):
        assert words in said


def test_the_same_diagram_is_the_same_bytes(tmp_path, phase):
    for name in ("a.png", "b.png"):
        save(draw_phase(phase), tmp_path / name, dpi=20)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# The command.


def test_the_command_prints_the_points_and_writes_the_picture(
    tmp_path, capsys, monkeypatch, phase
):
    monkeypatch.setattr("toyrd.figure1.BETAS", BETAS)
    monkeypatch.setattr("toyrd.figure1.compute_phase", lambda *_, **options: phase)
    path = tmp_path / "a.png"
    assert main(["--output", str(path), "--models", "5", "--dpi", "20"]) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[-6:] == ["R", "D", "-ELBO", "-ELBO", "-", "H"]
    assert last == str(path)
    assert len(rows) == 7
    for row in rows:
        R, D, elbo, excess = map(float, row.split()[-4:])
        assert elbo == pytest.approx(R + D, abs=2e-6)
        assert excess == pytest.approx(elbo - H, abs=2e-6)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("argv", [["--models", "0"], ["--models", "many"], ["--starts", "3"]])
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(tmp_path, capsys, argv):
    assert main([*argv, "--output", str(tmp_path / "a.png")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert argv[0] in err
