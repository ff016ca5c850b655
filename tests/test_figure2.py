"""The command for Figure 2, and the frame that it shares with the other figures."""

import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from layout import assert_apart
from matplotlib.figure import Figure

from toyrd import ConvergenceWarning, GaussianDecoder, Model, figure1, figure4
from toyrd.figure import figure_parser, figure_style, progress, run, save, text_table
from toyrd.figure2 import compute_columns, draw_columns, main
from toyrd.sources import toy_source

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
HEADS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture(scope="module")
def columns():
    return compute_columns(toy_source())


@pytest.fixture(scope="module")
def figure(columns):
    drawn = draw_columns(columns, toy_source())
    drawn.draw_without_rendering()
    return drawn


class Broken(Figure):
    """A figure whose saving stops half-way, after some bytes are written."""

    error: BaseException

    def savefig(self, path, **_):
        Path(path).write_bytes(b"half")
        raise self.error


def broken(error):
    figure = Broken()
    figure.error = error
    return figure


def run_with(command, *argv):
    return run(figure_parser("figure2", "test"), command, argv)


def error_line(capsys, program="toyrd.figure2"):
    """Return the one line on stderr, having checked that it is one and that nothing else is."""
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"{re.escape(program)}: [^\n]+\n", err)
    return err


# The columns.


def test_the_columns_are_the_papers(columns):
    titles = [title for title, _ in columns]
    assert titles == ["(a) true model", "(b) maximum ELBO (β = 1)", "(c) target rate 0.5"]
    (_, truth), (_, elbo), (_, target) = columns
    assert abs(truth.R - 0.5) <= 1e-12
    assert round(elbo.R, 4) == 0.0002  # as printed in the paper
    assert abs(target.R - 0.5) <= 1e-10
    for _, model in columns:
        assert abs(model.D + model.R - 2.862061915729483) <= 1e-10


def test_the_rate_of_the_last_column_can_be_chosen():
    title, model = compute_columns(toy_source(), rate=0.25)[-1]
    assert title == "(c) target rate 0.25"
    assert abs(model.R - 0.25) <= 1e-10


def test_each_column_is_five_panels_with_its_numbers_under_it(columns, figure):
    assert len(figure.axes) == 3 * 5 + 2  # two colour bars
    for i, (title, model) in enumerate(columns):
        panels = figure.axes[5 * i : 5 * i + 5]
        assert panels[0].get_title(loc="left") == title
        (numbers,) = (text.get_text() for ax in panels for text in ax.texts)
        values = (model.H, model.D, model.R, model.I, -model.elbo)
        expected = zip(("H", "D", "R", "I", "−ELBO"), values, strict=True)
        assert numbers.split()[:-1] == f"{' '.join(f'{n} {v:.4f}' for n, v in expected)}".split()
        assert numbers.endswith("(nats)")


def test_no_panel_with_its_labels_overlaps_another_or_leaves_the_page(figure):
    numbers = [text for ax in figure.axes for text in ax.texts]
    boxes = [text.get_window_extent() for text in numbers]
    for text in numbers:
        text.set_in_layout(False)  # wider than its panel, so it counts by itself
    boxes += [ax.get_tightbbox() for ax in figure.axes]
    assert_apart(boxes, figure.bbox)


def test_the_two_decoder_maps_of_all_columns_share_one_scale(columns, figure):
    tops = {ax.get_title(): set() for ax in figure.axes if ax.get_title()}
    for ax in figure.axes:
        if ax.get_title():
            tops[ax.get_title()].add(ax.images[0].get_clim()[1])
    highest = max(model.d.max() for _, model in columns)
    assert tops == {"e(z|x)": {1}, "d(x|z)": {highest}, "p(x′|x)": {highest}}


def test_one_column_of_another_source_with_infinite_distortion_is_drawn():
    source = toy_source(n_bins=2, information=None)
    model = Model(source.p, [[1], [1]], [[1, 0]], [1])
    figure = draw_columns([("missing support", model)], source)
    figure.draw_without_rendering()
    assert "D inf" in figure.axes[3].texts[0].get_text()


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="columns is empty"):
        draw_columns([], toy_source())
    with pytest.raises(ValueError, match=r"p of each model must have shape \(30,\).*\(2,\)"):
        draw_columns([("other data", Model.random([0.5, 0.5], 2, rng=0))], toy_source())


# The command.


def test_the_command_runs_as_a_module_and_writes_where_it_says(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "toyrd.figure2", "--dpi", "20", "--output", "new/folder/a.png"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.splitlines()[-1]) == Path("new/folder/a.png")
    assert (tmp_path / "new" / "folder" / "a.png").read_bytes().startswith(HEADS[".png"])


def test_neither_toyrd_nor_a_figure_imports_more_than_it_needs():
    code = (
        "import sys, toyrd; assert 'matplotlib' not in sys.modules;"
        "import toyrd.figure2; assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT).returncode == 0


def test_the_printed_table_has_the_numbers_of_the_columns(tmp_path, capsys, columns):
    path = tmp_path / "a.png"
    assert main(["--output", str(path), "--dpi", "20"]) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[-5:] == ["H", "D", "R", "I", "-ELBO"]
    assert last == str(path)
    for row, (title, model) in zip(rows, columns, strict=True):
        values = (model.H, model.D, model.R, model.I, -model.elbo)
        assert row.startswith(title)
        assert row.split()[-5:] == [f"{value:.6f}" for value in values]
        assert len(row) == len(header)  # aligned
    first = path.read_bytes()
    assert main(["--output", str(path), "--dpi", "20"]) == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_columns_are_the_same_bytes_without_a_date(tmp_path, columns, suffix):
    def written():
        path = tmp_path / ("a" + suffix)
        save(draw_columns(columns[:1], toy_source()), path, dpi=20)
        return path.read_bytes()

    first = written()
    assert first.startswith(HEADS[suffix])
    assert b"Date" not in first
    assert b"dc:date" not in first
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 20}):
        assert written() == first


ERRORS = {
    main: [
        (["--output", "figure2.jpeg"], "figure2.jpeg must end in .png, .svg or .pdf"),
        (["--output", "figure2"], "figure2 must end in .png, .svg or .pdf"),
        (["--output", "folder.png"], "folder.png cannot be written"),
        (["--output", "file.txt/a.png"], "a.png cannot be written"),
        (["--dpi", "0"], "0 must be at least 10 and at most 1200"),
        (["--dpi", "1e9"], "--dpi: invalid integer value: '1e9'"),
        (["--dpi", "100000"], "100000 must be at least 10 and at most 1200"),
        (["--seed", "-1"], "-1 must be at least 0"),
        (["--rate", "much"], "--rate: invalid float value: 'much'"),
        (["--rate", "nan"], "rate"),
        (["--rate", "-1"], "rate"),
        (["--rate", "9"], "rate"),
        (["--colour"], "--colour"),
        (["--decoder", "laplace"], "--decoder: invalid choice: 'laplace'"),
        (["--model", "appendix-e", "--decoder", "gaussian"], "argument --decoder: the model"),
        (["--decoder", "gaussian", "--rate", "9"], "rate is 9.0, but the reachable range is"),
    ],
    figure1.main: [
        (["--starts", "0"], "--starts is 0"),
        (["--steps", "0"], "--steps is 0"),
        (["--models", "0"], "--models is 0"),
        (["--models", "many"], "--models: invalid int value: 'many'"),
    ],
    figure4.main: [
        (["--betas", "nan"], "beta is nan"),
        (["--betas", "-1"], "beta is -1.0"),
        (["--betas", "inf"], "beta is inf"),
        (["--latents", "0"], "--latents is 0, but must be at least 1"),
        (["--flip", "0.7"], "flip is 0.7"),
        (["--size", "7"], "n is 7"),
        (["--marginal", "none"], "invalid choice"),
    ],
}


@pytest.mark.parametrize(
    ("command", "argv", "said"),
    [(command, *row) for command, rows in ERRORS.items() for row in rows],
)
def test_a_user_error_is_one_line_and_exit_code_2(
    tmp_path, monkeypatch, capsys, command, argv, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    assert command(argv) == 2
    assert said in error_line(capsys, command.__module__)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder.png"]


def test_help_lists_the_options(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert all(option in out for option in ("--output", "--rate", "--decoder", "--dpi", "--seed"))


# The frame.


def test_an_upper_case_suffix_is_a_suffix(tmp_path):
    save(Figure(), tmp_path / "a.PNG", dpi=20)
    assert (tmp_path / "a.PNG").read_bytes().startswith(HEADS[".png"])


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real.png").touch()
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "real.png")
    save(Figure(), link, dpi=20)
    assert link.is_symlink()
    assert (tmp_path / "real.png").read_bytes().startswith(HEADS[".png"])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, capsys):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = broken(OSError(28, "No space left on device"))
    assert run_with(lambda _: (figure, ""), "--output", str(path)) == 2
    said = capsys.readouterr().err
    assert said == (
        f"toyrd.figure2: {path} cannot be written: No space left on device; choose another place\n"
    )
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]


def test_an_interrupt_leaves_nothing_half_written_and_exits_with_130(tmp_path, capsys):
    path = tmp_path / "a.png"
    figure = broken(KeyboardInterrupt())
    assert run_with(lambda _: (figure, ""), "--output", str(path)) == 130
    assert capsys.readouterr().err == "toyrd.figure2: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_several_lines_is_said_in_one(capsys):
    def command(_):
        raise ValueError("p is wrong:\n  row 3 sums to 2")

    assert run_with(command) == 2
    assert error_line(capsys) == "toyrd.figure2: p is wrong: row 3 sums to 2\n"


def test_a_mistake_in_the_program_is_not_hidden():
    def command(_):
        raise TypeError("a mistake of ours")

    with pytest.raises(TypeError, match="of ours"):
        run_with(command)


def test_the_seed_and_the_resolution_reach_the_command(tmp_path):
    seen = []

    def command(options):
        seen.append((options.seed, options.dpi))
        return Figure(figsize=(1, 1)), ""

    path = str(tmp_path / "a.svg")
    assert run_with(command, "--seed", "7", "--dpi", "30", "--output", path) == 0
    assert seen == [(7, 30)]


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert run_with(lambda _: (Figure(), "β = 1"), "--output", str(tmp_path / "a.png")) == 0
    sys.stdout.flush()
    assert raw.getvalue().startswith(b"\\u03b2 = 1")


def test_the_style_ends_with_its_block_even_after_an_error():
    with mpl.rc_context({"font.size": 20}):
        with figure_style():
            assert mpl.rcParams["font.size"] == 8
        with pytest.raises(KeyError), figure_style():
            raise KeyError
        assert mpl.rcParams["font.size"] == 20


def test_a_table_aligns_words_left_and_numbers_right():
    table = text_table(["name", "R"], [["a", 0.125], ["longer", float("inf")]], digits=3)
    assert table.splitlines() == ["name        R", "a       0.125", "longer    inf"]


def test_a_table_may_have_no_rows():
    assert text_table(["name", "R"], []) == "name  R"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_and_gone_afterwards(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(2, "betas") as callback:
        callback()
        callback("any", "arguments")
    shown = terminal.getvalue()
    assert "betas" in shown
    assert shown.endswith("\r")


def test_progress_is_silent_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(2, "betas") as callback:
        callback("any", "arguments")
    assert terminal.getvalue() == ""


def test_gaussian_rows_in_column_c_are_the_two_true_components():
    source = toy_source()
    title, model = compute_columns(source, decoder=GaussianDecoder(30))[2]
    assert title == "(c) target rate 0.5, GaussianDecoder"
    assert model.n_z == 2
    np.testing.assert_allclose(model.d, source.p_x_given_z, atol=1e-9)  # in the order of means
    np.testing.assert_allclose(model.m, source.p_z, atol=1e-9)
    assert abs(source.separation(model.e) - 0.8531310987) <= 1e-9


@pytest.mark.parametrize(
    "options", [["--decoder", "gaussian"], ["--model", "appendix-e", "--steps", "5"]]
)
def test_other_decoders_and_models_are_drawn_by_the_same_command(options, tmp_path, capsys):
    path = tmp_path / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # five steps train nothing
        assert main([*options, "--output", str(path), "--dpi", "20"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert path.stat().st_size > 0
