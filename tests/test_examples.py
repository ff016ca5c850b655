"""Every example runs as its first lines say, at a small size, and refuses nonsense in one line."""

import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest
from layout import assert_legible
from PIL import Image  # comes with matplotlib

from toyrd import Status

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"


@pytest.fixture
def named(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def test_no_example_is_left_out():
    """Each has a test, or is a benchmark."""
    said = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    stems = {path.stem for path in EXAMPLES.glob("*.py") if "benchmark" not in path.stem}
    assert {stem for stem in stems if stem not in said} == set()


def test_the_tour_says_what_is_true(capsys):
    """Its numbers are those of the theory, and its bound falls at every step."""
    at_end = runpy.run_path(str(EXAMPLES / "tour.py"))
    text = capsys.readouterr().out
    assert at_end["proven"].status is at_end["fixed"].status is Status.CERTIFIED
    np.testing.assert_allclose(at_end["proven"].parameters[:, 0], [9.83, 19.141], atol=1e-3)
    np.testing.assert_allclose(at_end["proven"].m, [0.7, 0.3], atol=1e-3)
    assert "separation = 0.853" in text
    assert "separation = 0.803" in text
    assert [round(at_end[name].R, 4) for name in ("elbo", "chosen", "true")] == [0.0002, 0.5, 0.5]
    falling = [float(line.split()[-1]) for line in text.splitlines() if ": best " in line]
    assert len(falling) == 9
    assert falling == sorted(falling, reverse=True)
    assert at_end["lower"] <= at_end["between"].D <= at_end["upper"]


def test_the_tour_is_cells_of_plain_words():
    """Cells start with a mark, questions are answered in the next part, no line is too long."""
    text = (EXAMPLES / "tour.py").read_text()
    assert text.count("\n# %%") > 30
    assert text.count("**Question.**") == 5
    assert [n for n in range(1, 7) if f"\n# ## {n}. " not in text] == []


@pytest.mark.parametrize("options", [[], ["--beta", "1"], ["--rate", "0.5", "--start", "smooth"]])
def test_an_alternation_is_animated(named, tmp_path, capsys, options):
    path = tmp_path / "alternation.gif"
    small = ["--frames", "3", "--dpi", "30", "--output", str(path)]
    assert named("animate").main([*options, *small]) == 0
    assert capsys.readouterr().out.splitlines() == [str(path)]
    with Image.open(path) as picture:
        assert picture.n_frames >= 1
        assert picture.size == (202, 156)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frames", "1"], "--frames is 1, but must be at least 2"),
        (["--beta", "nan"], "beta is nan"),
        (["--rate", "5"], "rate is 5"),
        (["--output", "film.mp4"], "film.mp4 must end in .gif"),
        (["--output", "no/where.gif"], "no/where.gif cannot be written"),
    ],
)
def test_an_animation_of_nonsense_is_refused_in_one_line(
    named, tmp_path, monkeypatch, capsys, options, said
):
    monkeypatch.chdir(tmp_path)
    assert named("animate").main(["--frames", "2", "--dpi", "30", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_workers_are_compared_with_a_sweep_in_order(named, capsys):
    """The same answers; a million workers are as many as there is work for."""
    small = ["--bins", "8", "4", "--points", "8", "--processes", "1000000"]
    assert named("workers").main(small) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.startswith("bins")
    assert [row.split()[0] for row in rows] == ["4", "8"]
    assert max(float(row.split()[-1]) for row in rows) <= 2e-8
    assert last.startswith("workers ")


@pytest.mark.parametrize(
    ("faster", "said"),
    [
        ([0.5, 1.3, 1.9], "workers pay from 20 bins on"),
        ([1.5, 0.9, 1.9], "workers pay from 40 bins on"),
        ([1.5, 1.9, 1.0], "workers do not pay up to 40 bins on this machine"),
    ],
)
def test_workers_pay_from_the_size_on_where_none_is_slow(named, faster, said):
    assert named("workers").verdict(list(zip([10, 20, 40], faster, strict=True))) == said


@pytest.mark.parametrize(
    "wrong", [["--bins", "0"], ["--points", "0"], ["--processes", "0"], ["--processes", "-2"]]
)
def test_workers_that_make_no_sense_are_refused_in_one_line(named, capsys, wrong):
    assert named("workers").main(["--bins", "4", "--points", "4", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_restarts_are_drawn_and_told(named, tmp_path, capsys):
    """A row for each measure of each aim and optimiser, beside the truth and its proven equal."""
    example, path = named("plot_restarts"), tmp_path / "restarts.png"
    small = ["--restarts", "3", "--steps", "30", "--dpi", "30", "--output", str(path)]
    assert example.main(small) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("Adam" in line for line in lines) == sum("L-BFGS" in line for line in lines) == 12
    truth, free, gaussian = (line.split()[-4:] for line in lines[-4:-1])
    assert truth == gaussian == ["0.50000", "0.00000", "0.85313", "0.38505"]
    assert free[2] == "0.80298"
    assert lines[-1] == str(path)


def test_samples_and_the_truth_are_drawn_and_told(named, tmp_path, capsys):
    """A row for each setting: nothing is below the entropy of what it is measured on."""
    example, path = named("plot_finite_data"), tmp_path / "finite_data.png"
    small = ["--draws", "2", "--samples", "20", "--steps", "30", "--dpi", "30"]
    assert example.main([*small, "--output", str(path)]) == 0
    header, *rows, known, last = capsys.readouterr().out.splitlines()
    assert header.startswith("model")
    assert len(rows) == len(example.settings(30)) == 22
    of_samples, of_truth = (float(word) for word in known.split() if word[0].isdigit())
    assert min(float(row.split()[-5]) for row in rows) >= of_samples
    assert min(float(row.split()[-4]) for row in rows) >= of_truth
    assert last == str(path)


@pytest.mark.parametrize("width", [6.25, 6.75])
def test_every_text_of_trained_models_can_be_read(named, width):
    restarts, samples = named("plot_restarts"), named("plot_finite_data")
    values = {"R": [0.5, 0.6], "excess": [1e-6, 0.5], "separation": [0.5, 0.8], "kept": [0.1, 0.2]}
    groups = [
        restarts.Group(aim, words, values, 2)
        for aim in restarts.AIMS
        for words in restarts.OPTIMISERS.values()
    ]
    known = [dict.fromkeys(values, 0.5)] * 3
    assert_legible(restarts.draw(groups, known, width=width))
    trained = np.linspace(2.5, 4, 2 * 22 * 2).reshape(2, 22, 2)
    assert_legible(samples.draw(trained, np.array([2.5, 2.6]), 10_000, width=width))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("plot_restarts", ["--restarts", "0"]),
        ("plot_restarts", ["--steps", "many"]),
        ("plot_finite_data", ["--samples", "-1"]),
        ("plot_finite_data", ["--decoder", "none"]),
    ],
)
def test_trainings_that_make_no_sense_are_refused_in_one_line(named, capsys, name, wrong):
    assert named(name).main(wrong) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{name}.py: argument {wrong[0]}")
    assert error.count("\n") == 1
