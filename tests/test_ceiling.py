"""The ceiling command: what it computes, says and draws."""

import numpy as np
import pytest

from toyrd import ceiling, toy_source
from toyrd.ceiling import GAUSSIAN, SQUARES, Ceiling, Recovery


@pytest.fixture(scope="module")
def small():
    return toy_source(n_bins=6, means=(1.2, 3.8), widths=(0.7, 0.8), information=0.5)


@pytest.fixture(scope="module")
def shown(small):
    return ceiling.compute_ceiling(small, restarts=2)


@pytest.fixture(scope="module")
def recovery(small):
    done = []
    found = ceiling.compute_recovery(
        small, sizes=(50, 2000), draws=2, callback=lambda: done.append(1)
    )
    assert len(done) == 4
    return found


def test_nothing_is_above_the_ceiling(shown):
    rates, top = shown.ceiling
    for points in (*shown.curves.values(), shown.trained, np.array([shown.truth]).T):
        assert (points[1] <= np.interp(points[0], rates, top) + 1e-9).all()
    assert (np.diff(top) >= -1e-12).all()
    assert shown.optima[1] <= np.interp(ceiling.RATE, rates, top) + 1e-9
    assert (top <= rates + 1e-9).all()


def test_separations_are_those_of_a_distance(recovery):
    assert set(recovery.values) == {GAUSSIAN, SQUARES}
    for values in recovery.values.values():
        assert values.shape == (2, 2)
        assert ((values >= 0) & (values <= 1)).all()


def test_a_sentence_is_said_for_each_thing_shown(shown, recovery):
    text = ceiling.sentences(shown, recovery)
    words = (
        "Ceiling",
        "Truth",
        "All optima",
        GAUSSIAN,
        SQUARES,
        "Appendix E",
        "Samples",
        "Samples",
    )
    for line, word in zip(text.splitlines(), words, strict=True):
        assert line.startswith(word)
        assert line.endswith(".")


def test_the_picture_fits_a_page_with_text_of_seven_points(shown, recovery):
    figure = ceiling.draw_ceiling(shown, recovery)
    assert figure.get_figwidth() == 6.75
    sizes = [
        text.get_fontsize() for text in figure.findobj(lambda one: hasattr(one, "get_fontsize"))
    ]
    assert min(sizes) >= 7
    for ax, label in zip(figure.axes, ("rate R (nats)", "samples"), strict=True):
        assert ax.get_xlabel() == label


def test_the_command_writes_and_says(monkeypatch, tmp_path, capsys):
    line = np.array([[0.0, 1.0], [0.0, 0.4]])
    shown = Ceiling(line, {GAUSSIAN: line, SQUARES: line}, line, (0.5, 0.2), (0.0, 0.2))
    values = {GAUSSIAN: np.full((1, 2), 0.5), SQUARES: np.full((1, 2), 0.5)}
    monkeypatch.setattr(ceiling, "compute_ceiling", lambda *_, **__: shown)
    monkeypatch.setattr(
        ceiling, "compute_recovery", lambda *_, **__: Recovery((5, 9), values, 0.8)
    )
    picture = tmp_path / "ceiling.png"
    assert ceiling.main(["--output", str(picture), "--dpi", "30"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"
