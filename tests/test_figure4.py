"""Figure 4: the four regimes of bars and stripes, their pictures and the command."""

import numpy as np
import pytest
from layout import assert_legible, drawn_texts
from matplotlib.figure import Figure

from toyrd import BernoulliDecoder, bars_and_stripes, figure4

SOURCE = bars_and_stripes(3)
FAMILY = BernoulliDecoder(SOURCE.images)
BETAS = (3.0, 0.05, 1.0, 0.5)
INPUTS = figure4.choose_inputs(SOURCE, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def columns():
    calls = []
    options = {"n_z": 28, "marginal": np.full(28, 1 / 28), "rng": 0}
    options |= {"inputs": INPUTS, "callback": lambda *_: calls.append(None)}
    found = figure4.compute_columns(SOURCE, BETAS, **options)
    assert len(calls) == len(BETAS)
    return found


# What is computed; H, I and the rates are those of theory.md, section 8, by another program.


def test_the_four_regimes_come_in_the_order_of_beta(columns):
    names = ["autodecoder", "autoencoder", "semantic", "syntactic"]
    assert [one.regime for one in columns] == names
    assert tuple(one.solution.beta for one in columns) == BETAS
    autodecoder, autoencoder, semantic, syntactic = (one.solution for one in columns)
    assert autoencoder.D < syntactic.D < semantic.D < autodecoder.D
    assert autoencoder.R > syntactic.R > semantic.R > autodecoder.R


def test_of_optima_that_tie_at_beta_1_the_least_rate_is_the_truth(columns):
    found = columns[2].solution
    assert abs(found.R - 2.514712303282442) < 1e-4
    assert abs(found.D + found.R - 4.301349493395296) < 1e-6
    assert abs(SOURCE.information - 2.514712303282442) < 1e-12


def test_pictures_forget_as_beta_grows(columns):
    autodecoder, _, semantic, _ = columns
    np.testing.assert_allclose(autodecoder.reconstructions, 0.5, atol=0.01)
    # The semantic encoder takes a noisy image to the pattern of the clean one beside it.
    clean = SOURCE.images[INPUTS[::2]]
    distance = np.abs(semantic.reconstructions[::2] - clean).max(axis=(1, 2))
    assert np.median(distance) == pytest.approx(0.05, abs=1e-4)
    means = FAMILY.means(semantic.solution.parameters)
    for one in (*semantic.reconstructions, *semantic.generations):
        assert (one == means).all(axis=(1, 2)).any()


def test_inputs_are_a_pattern_and_the_same_with_noise():
    inputs = figure4.choose_inputs(SOURCE, pairs=14, rng=np.random.default_rng(3)).reshape(14, 2)
    assert set(inputs[:, 0]) == set(SOURCE.p_x_given_z.argmax(axis=1))
    assert (inputs[:, 0] != inputs[:, 1]).all()
    quiet = figure4.choose_inputs(bars_and_stripes(3, flip=0), rng=np.random.default_rng(3))
    np.testing.assert_array_equal(quiet[::2], quiet[1::2])


def test_without_the_information_only_the_ends_have_names():
    names = [figure4.name_regime(R, n_z=100) for R in (0.0, 2.0, np.log(100))]
    assert names == ["autodecoder", "", "autoencoder"]


def test_pictures_lie_in_their_cells():
    stacks = [np.zeros((3, 2, 2)), np.ones((2, 2, 2))]
    ax = figure4.plot_image_columns(stacks, labels=["zero", "one"], ax=Figure().add_subplot())
    centres = np.reshape([image.get_extent() for image in ax.images], (5, 2, 2)).mean(axis=2)
    cells = np.array([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)])
    np.testing.assert_allclose(centres, cells + 0.5)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 2), (3, 0))
    assert [text.get_text() for text in ax.texts] == ["zero", "one"]


def test_pictures_that_are_not_pictures_are_refused():
    with pytest.raises(ValueError, match=r"columns\[0\] must have 3 axes"):
        figure4.plot_image_columns([np.zeros((3, 2))])
    with pytest.raises(ValueError, match="labels holds 2 labels for 1 columns"):
        figure4.plot_image_columns([np.zeros((3, 2, 2))], labels=["a", "b"])


@pytest.mark.parametrize("width", [6.25, 6.75])
@pytest.mark.parametrize("times", [1, 3])
def test_every_text_can_be_read_and_every_number_is_there(columns, width, times):
    shown = [one for one in columns for _ in range(times)]
    figure = figure4.draw_columns(shown, SOURCE.images[INPUTS], about="Bars.", width=width)
    assert figure.get_figwidth() == width
    assert_legible(figure)
    said = "\n".join(text.get_text() for text in drawn_texts(figure))
    for one in columns:
        R, D = one.solution.R, one.solution.D
        assert f"{R:.4f}\n{D:.4f}\n{R + D:.4f}" in said
        assert {f"β = {one.solution.beta:g}", one.regime} <= set(said.splitlines())


def test_columns_of_one_regime_share_a_bracket_and_those_without_a_name_have_none(columns):
    named = [columns[0], columns[1]._replace(regime=""), columns[2], columns[2]]
    figure = figure4.draw_columns(named, SOURCE.images[INPUTS])
    texts = [text.get_text() for text in figure.texts[:-1]]
    assert texts == ["autodecoder", "semantic"]
    assert len(figure.artists) == 2


@pytest.mark.parametrize("marginal", ["uniform", "free"])
def test_the_command_prints_its_numbers_and_writes_the_same_bytes(tmp_path, capsys, marginal):
    paths = tmp_path / "a.png", tmp_path / "b.png"
    options = ["--size", "2", "--betas", "3", "1", "--marginal", marginal, "--dpi", "50"]
    for path in paths:
        assert figure4.main([*options, "--output", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("autodecoder")
    assert "H = 2.323254, I(X; pattern) = 1.529193" in lines
    assert lines[-1] == str(paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
