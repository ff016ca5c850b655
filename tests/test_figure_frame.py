"""The frame of the commands: options, files and errors, whatever the figure."""

import io
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import toyrd
from toyrd import __main__
from toyrd.figure import (
    figure_parser,
    figure_style,
    number,
    progress,
    refuse_unused,
    run,
    save,
    text_table,
)

HEADS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


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


def command(options):
    refuse_unused(options, "add --more", "unused")
    with figure_style():
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().set_title("β")
    return figure, f"β = {options.beta:g}, seed {options.seed}, width {options.width:g}"


def main(*argv, command=command):
    parser = figure_parser("figure9", "β shows.\n\n  It takes 1 s.")
    parser.add_argument("--beta", type=number(0), default=1.0)
    parser.add_argument("--steps", type=number(1, kind=int))
    parser.add_argument("--unused", type=number(1, kind=int))
    return run(parser, command, argv)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What is refused.


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--output", "a.jpeg"], "a.jpeg must end in .png, .svg or .pdf"),
        (["--output", "a"], "a must end in .png, .svg or .pdf"),
        (["--output", "folder.png"], "folder.png cannot be written; name a file in a folder"),
        (["--output", "file.txt/a.png"], "file.txt/a.png cannot be written"),
        (["--output", "figurse/a.png"], "figurse/a.png cannot be written; name a file"),
        (["--output", "figures/new/a.png"], "figures/new/a.png cannot be written"),
        (["--output", "link.png"], "link.png links to"),
        (["--output", "lost.png"], "lost.png cannot be written"),
        (["--output", f"{'a' * 300}.png"], "File name too long"),
        (["--dpi", "0"], "argument --dpi: 0 must lie in [10, 1200]"),
        (["--dpi", "1e9"], "argument --dpi: invalid int value: '1e9'"),
        (["--width", "nan"], "argument --width: nan must lie in [6.25, 16]"),
        (["--beta", "nan"], "argument --beta: nan must lie in [0, inf]"),
        (["--beta", "-1"], "argument --beta: -1 must lie in [0, inf]"),
        (["--beta", "much"], "argument --beta: invalid float value: 'much'"),
        (["--seed", "-1"], "argument --seed: -1 must lie in [0, inf]"),
        (["--colour"], "--colour"),
        (["--unused", "3"], "argument --unused: not used here; leave it out, or add --more"),
    ],
)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(here, capsys, argv, said):
    (here / "folder.png").mkdir()
    (here / "file.txt").touch()
    (here / "link.png").symlink_to(here / "file.txt")
    (here / "lost.png").symlink_to(here / "nowhere" / "a.png")
    before = sorted(here.rglob("*"))
    assert main(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("toyrd.figure9: ")
    assert err.count("\n") == 1
    assert said in err
    assert sorted(here.rglob("*")) == before


def test_what_cannot_be_written_is_refused_before_the_work(here):
    def never(_):
        raise AssertionError

    assert main("--output", "figurse/a.png", command=never) == 2


def test_an_error_of_several_lines_is_said_in_one(here, capsys):
    def wrong(_):
        raise ValueError("p is wrong:\n  row 3 sums to 2")

    assert main(command=wrong) == 2
    assert capsys.readouterr().err == "toyrd.figure9: p is wrong: row 3 sums to 2\n"


def test_a_mistake_in_the_program_is_not_hidden(here):
    def wrong(_):
        raise TypeError("a mistake of ours")

    with pytest.raises(TypeError, match="of ours"):
        main(command=wrong)


def test_an_interrupt_leaves_nothing_half_written_and_exits_with_130(here, capsys):
    assert main("--output", "a.png", command=lambda _: (broken(KeyboardInterrupt()), "")) == 130
    assert capsys.readouterr().err == "toyrd.figure9: interrupted\n"
    assert list(here.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(here, capsys):
    (here / "a.png").write_bytes(b"old")
    figure = broken(OSError(28, "No space left on device"))
    assert main("--output", "a.png", command=lambda _: (figure, "")) == 2
    assert "a.png cannot be written: No space left on device" in capsys.readouterr().err
    assert [(file.name, file.read_bytes()) for file in here.iterdir()] == [("a.png", b"old")]


# What is written.


def test_only_the_folder_of_the_default_is_made(here, capsys):
    assert main("--seed", "7", "--width", "8") == 0
    assert capsys.readouterr().out == "β = 1, seed 7, width 8\nfigures/figure9.png\n"
    assert (here / "figures" / "figure9.png").read_bytes().startswith(HEADS[".png"])
    assert main("--output", "figures/a.PNG") == 0  # now it exists
    assert (here / "figures" / "a.PNG").read_bytes().startswith(HEADS[".png"])


@pytest.mark.parametrize("suffix", HEADS)
def test_the_same_picture_is_the_same_bytes_without_a_date(here, suffix):
    path = here / f"a{suffix}"
    assert main("--output", str(path)) == 0
    first = path.read_bytes()
    assert first.startswith(HEADS[suffix])
    assert b"Date" not in first
    assert b"dc:date" not in first
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 20}):
        assert main("--output", str(path)) == 0
    assert path.read_bytes() == first


def test_a_link_is_written_through_in_the_format_of_its_target(here):
    (here / "real.svg").touch()
    for name in ("link.png", "link"):
        (here / name).symlink_to("real.svg")
        save(Figure(), name, dpi=20)
        assert (here / name).is_symlink()
        assert (here / "real.svg").read_bytes().startswith(HEADS[".svg"])


# What is shown.


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_text_and_help_are_shown_whatever_the_terminal_can_show(here, monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert main() == 0
    with pytest.raises(SystemExit) as stop:
        main("--help")
    assert stop.value.code == 0
    sys.stdout.flush()
    shown = raw.getvalue().decode(encoding)
    beta = "β" if encoding == "utf-8" else "\\u03b2"
    assert shown.startswith(f"{beta} = 1")
    assert f"{beta} shows.\n\n  It takes 1 s.\n" in shown  # as it was written
    for option in ("--output", "--width", "--dpi", "--seed", "--beta"):
        assert option in shown


def test_the_package_lists_its_commands_and_how_long_they_take(capsys):
    assert __main__.main() == 0
    out = capsys.readouterr().out
    for n in range(1, 5):
        (line,) = (line for line in out.splitlines() if f"python -m toyrd.figure{n}" in line)
        assert line.endswith(("s).", "min)."))


def test_neither_toyrd_nor_a_figure_imports_more_than_it_needs():
    code = (
        "import sys, toyrd; assert 'matplotlib' not in sys.modules;"
        "import toyrd.figure2; assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT).returncode == 0


def test_the_style_ends_with_its_block_even_after_an_error():
    with mpl.rc_context({"font.size": 20}):
        with figure_style():
            assert mpl.rcParams["font.size"] == 7.5
        with pytest.raises(KeyError), figure_style():
            raise KeyError
        assert mpl.rcParams["font.size"] == 20


def test_a_table_aligns_words_left_and_numbers_right():
    table = text_table(["name", "R"], [["a", 0.125], ["longer", float("inf")]], digits=3)
    assert table.splitlines() == ["name        R", "a       0.125", "longer    inf"]
    assert text_table(["name", "R"], []) == "name  R"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("installed", [True, False])
def test_progress_is_shown_on_a_terminal_and_gone_afterwards(monkeypatch, installed):
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(2, "betas") as callback:
        callback()
        callback("any", "arguments")
    shown = terminal.getvalue()
    assert ("betas" in shown) is installed
    assert shown.endswith("\r") is installed


def test_completion_lists_what_a_user_calls_and_no_module_behind_it():
    assert {"solve", "frontier", "__version__"} <= set(dir(toyrd))
    assert not {"kernel", "checks", "curve"} & set(dir(toyrd))
