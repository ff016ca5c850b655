"""Figure 4: the four regimes of bars and stripes, their pictures and the command."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from toyrd.measures import entropy
from toyrd.plotting_images import plot_image_columns
from toyrd.regimes import best_of, choose_inputs, compute_columns, name_regime

from toyrd import solve
from toyrd.alternation import Alternation
from toyrd.bernoulli import BernoulliDecoder
from toyrd.figure4 import draw_columns, main
from toyrd.sources import bars_and_stripes


@pytest.fixture(scope="module")
def source():
    return bars_and_stripes(3)


@pytest.fixture(scope="module")
def family(source):
    return BernoulliDecoder(source.images)


def best(source, family, beta, *, starts=6):
    solutions = [
        solve(
            source.p, beta=beta, decoder=family, start=family.seeded_encoder(source.p, 14, rng=s)
        )
        for s in range(starts)
    ]
    return min(solutions, key=lambda solution: solution.objective)


# The numbers of these tests are those of theory.md, section 8, by another program.
def test_at_beta_one_the_best_of_the_starts_is_the_truth(source, family):
    solution = best(source, family, 1)
    model = solution.model
    assert abs(model.H - 4.301349493395296) < 1e-12
    assert abs(source.information - 2.514712303282442) < 1e-12
    assert abs(model.R - source.information) < 1e-6
    assert abs(model.D + model.R - model.H) < 1e-9
    patterns = family.means(solution.parameters).reshape(14, -1) > 0.5
    truth = source.images[source.p_x_given_z.argmax(axis=1)].reshape(14, -1) > 0.5
    assert {row.tobytes() for row in patterns} == {row.tobytes() for row in truth}


@pytest.mark.parametrize(("beta", "rate"), [(0.1, 2.63), (1.5, 2.28), (2.0, 0.0)])
def test_rates_of_fourteen_latents(source, family, beta, rate):
    solution = best(source, family, beta)
    assert abs(solution.model.R - rate) < 0.01
    assert solution.objective >= min(1, beta) * solution.model.H


def test_every_iteration_lowers_the_objective(source, family):
    for beta in (0.3, 1.2):
        start = family.seeded_encoder(source.p, 20, rng=1)
        objective = solve(source.p, beta=beta, decoder=family, start=start).history["objective"]
        assert (np.diff(objective) <= 1e-13).all()


def test_a_rate_can_be_asked_for(source, family):
    start = family.seeded_encoder(source.p, 14, rng=0)
    solution = solve(source.p, rate=2.0, decoder=family, start=start, tol=1e-5)
    assert abs(solution.model.R - 2.0) <= 1e-10
    assert solution.model.D >= solution.model.H - 2.0


def test_of_starts_that_tie_the_least_rate_is_chosen(source, family):
    p, uniform = source.p, np.full(28, 1 / 28)
    task = Alternation(p, "beta", 1.0, family, uniform)
    least = family.seeded_encoder(p, 28, seeds=14, rng=5)
    lossy = best_of(task, [family.seeded_encoder(p, 28, rng=0), least])
    assert lossy.row[1] == pytest.approx(source.information, abs=1e-6)
    assert lossy.objective == pytest.approx(entropy(p), abs=1e-10)


def test_the_four_regimes_come_in_the_order_of_beta(source, family):
    betas = (3.0, 0.05, 1.0, 0.5)
    inputs = choose_inputs(source, rng=np.random.default_rng(0))
    calls = []
    columns = compute_columns(
        source.p,
        family,
        betas,
        inputs=inputs,
        n_z=56,
        seeds=(14, 14, 14, 56),
        marginal=np.full(56, 1 / 56),
        information=source.information,
        rng=0,
        callback=lambda: calls.append(None),
    )
    names = ["autodecoder", "autoencoder", "semantic", "syntactic"]
    assert [column.regime for column in columns] == names
    assert [column.beta for column in columns] == list(betas)
    assert len(calls) == 4
    autodecoder, autoencoder, semantic, syntactic = columns
    np.testing.assert_allclose(autodecoder.reconstructions, 0.5, atol=0.01)
    # The semantic encoder takes a noisy image to the pattern of the clean one beside it.
    clean = source.images[inputs[::2]]
    distance = np.abs(semantic.reconstructions[::2] - clean).max(axis=(1, 2))
    assert np.median(distance) == pytest.approx(0.05, abs=1e-4)
    assert abs(semantic.D + semantic.R - entropy(source.p)) < 1e-6
    assert autoencoder.D < syntactic.D < semantic.D < autodecoder.D
    assert autoencoder.R + autoencoder.D > syntactic.R + syntactic.D > semantic.R + semantic.D


def test_inputs_are_a_pattern_and_the_same_with_noise(source):
    inputs = choose_inputs(source, pairs=14, rng=np.random.default_rng(3)).reshape(14, 2)
    modes = source.p_x_given_z.argmax(axis=1)
    assert set(inputs[:, 0]) == set(modes)
    assert (inputs[:, 0] != inputs[:, 1]).all()
    quiet = choose_inputs(bars_and_stripes(3, flip=0), rng=np.random.default_rng(3))
    np.testing.assert_array_equal(quiet[::2], quiet[1::2])


def test_without_the_information_only_the_ends_have_names():
    assert name_regime(2.0, n_z=100) == ""
    assert name_regime(0.0, n_z=100) == "autodecoder"
    assert name_regime(np.log(100), n_z=100) == "autoencoder"


def test_columns_without_a_name_have_no_bracket(source, family):
    columns = compute_columns(source.p, family, (0.7,), inputs=np.array([0, 1]), n_z=28, rng=0)
    figure = draw_columns(columns, source.images[:2])
    assert columns[0].regime == ""
    assert not figure.lines
    assert len(figure.artists) == 0


def test_pictures_lie_in_their_cells():
    stacks = [np.zeros((3, 2, 2)), np.ones((2, 2, 2))]
    ax = plot_image_columns(stacks, labels=["zero", "one"], ax=Figure().add_subplot())
    assert len(ax.images) == 5
    left, right, bottom, top = ax.images[-1].get_extent()
    assert (left + right, bottom + top) == pytest.approx((3, 3))
    assert ax.get_ylim() == (3, 0)
    assert [text.get_text() for text in ax.texts] == ["zero", "one"]


def test_pictures_that_are_not_pictures_are_refused():
    with pytest.raises(ValueError, match=r"columns\[0\] must have 3 axes"):
        plot_image_columns([np.zeros((3, 2))])
    with pytest.raises(ValueError, match="labels holds 2 labels for 1 columns"):
        plot_image_columns([np.zeros((3, 2, 2))], labels=["a", "b"])


@pytest.mark.parametrize("marginal", ["uniform", "free"])
def test_the_command_prints_its_numbers_and_writes_the_same_bytes(tmp_path, capsys, marginal):
    path, again = tmp_path / "new" / "figure.png", tmp_path / "again.png"
    options = ["--size", "2", "--betas", "3", "1", "--marginal", marginal, "--dpi", "50"]
    assert main([*options, "--output", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("autodecoder")
    assert "H = 2.323254, I(X; pattern) = 1.529193" in lines
    assert any(line.startswith("beta = 1: R - I = ") for line in lines)
    assert lines[-1] == str(path)
    assert main([*options, "--output", str(again)]) == 0
    assert path.read_bytes() == again.read_bytes()
