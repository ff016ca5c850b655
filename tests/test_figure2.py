"""Figure 2: its columns are the paper's, and each can be read at print size."""

import warnings

import numpy as np
import pytest
from layout import assert_legible, drawn_texts

from toyrd import ConvergenceWarning, GaussianDecoder, Model, toy_source
from toyrd.figure2 import Column, compute_columns, draw_columns, main, placed

H = 2.862061915729483  # theory.md, section 5
TOY = toy_source()


@pytest.fixture(scope="module")
def columns():
    return compute_columns(TOY)


def numbers(model):
    return {"D": model.D, "R": model.R, "I": model.I, "H": model.H, "−ELBO": -model.elbo}


# The columns.


def test_the_columns_are_the_papers(columns):
    assert [column.title[:3] for column in columns] == ["(a)", "(b)", "(c)"]
    assert columns[1].note == "its rate is set by the start"
    truth, elbo, target = (column.model for column in columns)
    assert abs(truth.R - 0.5) <= 1e-12
    assert round(elbo.R, 4) == 0.0002  # as printed in the paper
    assert abs(target.R - 0.5) <= 1e-10
    for model in (truth, elbo, target):
        assert abs(model.D + model.R - H) <= 1e-10


def test_the_rate_of_the_last_column_can_be_chosen():
    column = compute_columns(TOY, rate=0.25)[-1]
    assert column.title == "(c) target rate 0.25"
    assert abs(column.model.R - 0.25) <= 1e-10


def test_gaussian_rows_in_the_last_column_are_the_truth_on_the_same_latents():
    model, truth = compute_columns(TOY, decoder=GaussianDecoder(30))[2].model, TOY.true_model()
    for name in ("e", "d", "m"):  # in the order of means, and in the same of 30 latents
        np.testing.assert_allclose(getattr(model, name), getattr(truth, name), atol=1e-8)
    assert abs(TOY.separation(model.e) - 0.8531310987) <= 1e-9


def test_a_model_is_placed_on_more_latents_without_change():
    for k in (1, 2, 3, 5):  # fewer latents than symbols, and more
        model = Model.random([0.25, 0.5, 0.25], k, rng=k)
        moved = placed(model)
        assert moved.n_z == max(3, k)
        for name in "HDRI":
            assert getattr(moved, name) == pytest.approx(getattr(model, name), abs=1e-12)
        means = (moved.d @ np.arange(3))[moved.m > 0]
        assert (np.diff(means) >= 0).all()


# The picture.


@pytest.mark.parametrize("width", [6.25, 6.75, 12])
@pytest.mark.parametrize("decoder", [None, GaussianDecoder(30)])
def test_every_text_can_be_read_at_print_size(width, decoder):
    figure = draw_columns(compute_columns(TOY, decoder=decoder), TOY, width=width)
    assert figure.get_figwidth() == width
    assert_legible(figure)


def test_no_panel_with_its_labels_overlaps_another(columns):
    figure = draw_columns(columns, TOY)
    figure.draw_without_rendering()
    assert len(figure.axes) == 3 * 5 + 2  # two colour bars, of all columns
    for ax in figure.axes:
        for text in ax.texts:
            text.set_in_layout(False)  # wider than its panel: a text by itself
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])


def test_each_column_says_its_title_its_note_and_its_numbers(columns):
    figure = draw_columns(columns, TOY)
    said = [text.get_text() for text in drawn_texts(figure)]
    for column in columns:
        assert column.title in said
        assert column.note in said
        texts = [f"{name} {value:.4f}" for name, value in numbers(column.model).items()]
        assert "   ".join(texts[:3]) + "\n" + "   ".join(texts[3:]) + " (nats)" in said


def test_the_two_decoder_maps_of_all_columns_share_one_scale(columns):
    tops = {"e(z|x)": set(), "d(x|z)": set(), "p(x′|x)": set()}
    for ax in draw_columns(columns, TOY).axes:
        if ax.get_title() in tops:
            tops[ax.get_title()].add(ax.images[0].get_clim()[1])
    highest = max(column.model.d.max() for column in columns)
    assert tops == {"e(z|x)": {1}, "d(x|z)": {highest}, "p(x′|x)": {highest}}


def test_another_source_with_infinite_distortion_is_drawn():
    source = toy_source(n_bins=2, information=None)
    model = Model(source.p, [[1], [1]], [[1, 0]], [1])
    figure = draw_columns([Column("missing support", "", model)], source)
    assert any(text.get_text().startswith("D inf") for text in drawn_texts(figure))


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="columns is empty"):
        draw_columns([], TOY)
    with pytest.raises(ValueError, match=r"p of each model must have shape \(30,\).*\(2,\)"):
        draw_columns([Column("other", "", Model.random([0.5, 0.5], 2, rng=0))], TOY)


# The command.


def test_the_printed_table_has_the_numbers_of_the_columns(tmp_path, capsys, columns):
    path = tmp_path / "a.png"
    assert main(["--output", str(path), "--dpi", "20"]) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split()[-5:] == ["D", "R", "I", "H", "-ELBO"]
    assert last == str(path)
    for row, column in zip(rows, columns, strict=True):
        assert row.startswith(column.title)
        assert row.split()[-5:] == [f"{one:.6f}" for one in numbers(column.model).values()]
        assert len(row) == len(header)  # aligned
    first = path.read_bytes()
    assert main(["--output", str(path), "--dpi", "20"]) == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (["--decoder", "gaussian"], "GaussianDecoder, fewest rows"),
        (["--model", "appendix-e", "--steps", "5", "--seed", "3"], "trained by 5 gradient steps"),
    ],
)
def test_other_decoders_and_models_are_drawn_by_the_same_command(options, note, tmp_path):
    path = tmp_path / "a.svg"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # five steps train nothing
        assert main([*options, "--output", str(path)]) == 0
    assert note in path.read_text()  # as a comment beside the outlines


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--rate", "nan"], "argument --rate: nan must lie in [0, inf]"),
        (["--rate", "9"], "rate is 9.0, but the reachable range with 30 latents"),
        (["--decoder", "gaussian", "--rate", "9"], "rate is 9.0, but the reachable range is"),
        (["--decoder", "laplace"], "argument --decoder: invalid choice: 'laplace'"),
        (["--steps", "9"], "argument --steps: not used here; leave it out"),
        (["--seed", "0"], "argument --seed: not used here"),
        (["--model", "appendix-e", "--decoder", "free"], "argument --decoder: not used here"),
    ],
)
def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(tmp_path, capsys, argv, said):
    assert main([*argv, "--output", str(tmp_path / "a.png")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []
