"""The example that finds where decoder rows are born."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from layout import assert_legible

from toyrd import GaussianDecoder, frontier, toy_source

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


def test_the_collapse_is_bracketed_to_a_thousandth(example):
    answers, ((low, high),) = example.compute(TOY, np.array([1.9, 2.1]), lambda *_: None)
    assert (example.active(low), example.active(high)) == (2, 1)
    assert 0 < high.beta - low.beta <= 1e-3
    assert high.R == 0 < low.R
    assert most(low.beta) > 1
    assert most(high.beta) <= 1 + 1e-12
    assert all(answer.converged for answer in answers)
    assert [answer.beta for answer in answers] == sorted(answer.beta for answer in answers)
    mean, width = example.born((low, high))
    assert abs(mean - 9.8) < 0.1
    assert abs(width - 2.0) < 0.1


@pytest.mark.parametrize("width", [6.25, 6.75])
def test_every_text_can_be_read_at_print_size(example, width):
    betas = [1.006, 1.018, 1.019, 1.215, 1.216, 2.03, 2.04, 3]
    answers = list(frontier(TOY.p, decoder=GaussianDecoder(), betas=betas))
    assert [example.active(answer) for answer in answers] == [4, 4, 3, 3, 2, 2, 1, 1]
    transitions = [(answers[i], answers[i + 1]) for i in (5, 3, 1)]
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
