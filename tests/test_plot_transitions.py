"""The example that finds where decoder rows are born."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from layout import assert_legible

from toyrd import GaussianDecoder, toy_source

TOY = toy_source()


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "examples")
    return importlib.import_module("plot_transitions")


def most(beta):
    """Return the largest c of the one best row, over a dictionary: above 1 it is not optimal."""
    family, p = GaussianDecoder(), TOY.p
    means, widths = np.meshgrid(np.linspace(5, 15, 201), np.geomspace(1, 6, 181))
    rows = family.log_rows(np.stack([means.ravel(), widths.ravel()], axis=1))
    one = family.log_rows(family.fit(p[None], None))
    return float((np.exp((rows - one) / beta) @ p).max())


def test_the_collapse_ends_where_a_row_reaches_c_of_1(example):
    """Theory §6: at β = 2.035168135 R leaves 0, and c of the best other row passes 1."""
    answers, (end,) = example.compute(TOY, np.array([1.9, 2.1]), lambda *_: None)
    assert end.beta == pytest.approx(2.035168135, abs=1e-8)
    assert most(end.beta - 1e-3) > 1
    assert most(end.beta + 1e-3) <= 1 + 1e-12
    assert answers[0].R > 1e-3 > 1e-6 > answers[1].R
    assert all(answer.converged for answer in answers)
    assert [answer.beta for answer in answers] == [1.9, end.beta, 2.1]
    assert example.counts(answers, [end]) == [2, 1]
    assert end.column == pytest.approx([9.8, 2.0], abs=0.1)


@pytest.mark.parametrize("width", [6.25, 6.75])
def test_every_text_can_be_read_at_print_size(example, width):
    betas = np.array([1.006, 1.018, 1.019, 1.215, 1.216, 2.03, 2.04, 3])
    answers, transitions = example.compute(TOY, betas, lambda *_: None)
    assert example.counts(answers, transitions) == [4, 3, 2, 1]
    assert_legible(example.draw(answers, transitions, TOY, width=width))


def test_it_draws_and_prints(example, tmp_path, capsys):
    picture = tmp_path / "transitions.png"
    small = ["--points", "3", "--lowest", "1.8", "--highest", "2.3", "--dpi", "30"]
    assert example.main([*small, "--output", str(picture)]) == 0
    header, row, last = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["rows", "β"]
    assert row.split()[:3] == ["1", "→", "2"]
    assert last == str(picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--points", "1"], "points"),
        (["--lowest", "1"], "lowest"),
        (["--lowest", "2", "--highest", "1.5"], "highest"),
        (["--highest", "nan"], "highest"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(
    example, tmp_path, capsys, wrong, said
):
    picture = tmp_path / "transitions.png"
    assert example.main([*wrong, "--output", str(picture)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not picture.exists()
