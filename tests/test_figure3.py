"""Eight model classes: exact gradients, classes inside classes, and what is drawn and said."""

import re
from itertools import product

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout import assert_apart
from matplotlib.figure import Figure
from toyrd.class_data import image_data, line_inputs, toy_data
from toyrd.classes import ModelClass
from toyrd.hulls import hull, pareto
from toyrd.plotting_classes import class_handles, plot_classes, plot_negative_elbo
from toyrd.search import NAMES, Found, coupled, search, search_all

from toyrd import GaussianDecoder, bars_and_stripes, toy_source
from toyrd.appendix_e import AppendixE
from toyrd.figure import save
from toyrd.figure3 import as_panel, draw_panels, main, sentences

SMALL = toy_source(n_bins=6, means=(1, 4), widths=(0.7, 0.9), information=None)
DATA = {"line": toy_data(SMALL), "images": image_data(bars_and_stripes(2, flip=0.1))}
BETAS = (0.4, 1.0, 1.6)
PAIRS = [
    (small, large)
    for small, large in product(NAMES, NAMES)
    if small != large and all(b in ("+", a) for a, b in zip(small, large, strict=True))
]
TINY = ["--size", "2", "--betas", "0.5", "1", "--starts", "1", "--steps", "2", "--dpi", "20"]
points = st.lists(
    st.tuples(*[st.floats(0, 5).map(lambda x: round(x, 3))] * 2), min_size=1, max_size=12
).map(np.array)


@pytest.fixture(scope="module", params=DATA)
def data(request):
    return DATA[request.param]


@pytest.fixture(scope="module")
def results(data):
    return search_all(data, BETAS, starts=2, steps=80, rng=0)


@pytest.fixture(scope="module")
def panels():
    found = [search_all(data, BETAS, starts=1, steps=30, rng=0) for data in DATA.values()]
    return [as_panel(data, one) for data, one in zip(DATA.values(), found, strict=True)]


def drawn(data, name, seed=0):
    """Return a class with variables that are no optimum of anything."""
    one, rng = data.model_class(name), np.random.default_rng(seed)
    variables = one.start(rng, 0.8)
    return one, variables + 0.1 * rng.normal(size=variables.size)


# The classes.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_the_gradient_is_that_of_the_value(data, name, beta):
    one, at = drawn(data, name)
    gradient = one.value(at, beta)[1]
    for i in range(at.size):
        step = 1e-5 * np.eye(at.size)[i]
        slope = (one.value(at + step, beta)[0] - one.value(at - step, beta)[0]) / 2e-5
        assert slope == pytest.approx(gradient[i], abs=2e-8, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_that_of_the_model_in_closed_form(data, name):
    for seed, beta in enumerate((0.2, 1.0, 3.0)):
        one, at = drawn(data, name, seed)
        model = one.model(at, beta)
        assert one.value(at, beta)[0] == pytest.approx(model.D + beta * model.R, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_tables_that_its_signs_promise(data, name):
    encoder, decoder, marginal = name
    one, at = drawn(data, name)
    model = one.model(at, 0.7)
    if marginal == "-":
        np.testing.assert_allclose(model.m, 1 / data.n_z, rtol=1e-12)
    elif name != "+-+":
        np.testing.assert_allclose(model.m, model.e_z, rtol=0, atol=1e-12)
    if decoder == "+":
        np.testing.assert_allclose(model.d, model.x_given_z, rtol=0, atol=1e-12)
    else:
        rows = data.family.log_rows(one.tables(at, 0.7)["theta"])
        np.testing.assert_allclose(model.d, np.exp(rows), rtol=1e-12)
    if encoder == "-":  # log e is −(w·x − b)² but for a constant of each x
        phi = one.tables(at, 0.7)["phi"]
        logits = -((data.inputs @ phi) ** 2)
        ratio = np.log(model.e) - logits
        np.testing.assert_allclose(ratio, ratio[:, :1] + np.zeros(data.n_z), rtol=0, atol=1e-9)


def test_on_a_line_a_simple_encoder_is_that_of_appendix_e():
    p = SMALL.p
    one, at = drawn(DATA["line"], "-++")
    w, b = one.tables(at, 1.0)["phi"]
    # x/5 from 0 to 1 there, (x − mean)/deviation here
    mean, deviation = p @ np.arange(6), np.sqrt(p @ (np.arange(6) - p @ np.arange(6)) ** 2)
    same = AppendixE(p).model([*(5 * w / deviation), *(b + w * mean / deviation), *np.zeros(18)])
    np.testing.assert_allclose(one.model(at, 1.0).e, same.e, rtol=1e-9)


@pytest.mark.parametrize(("small", "large"), PAIRS)
def test_a_larger_class_holds_every_model_of_a_smaller_one(data, small, large):
    one, at = drawn(data, small)
    other = data.model_class(large)
    for beta in BETAS:
        same = other.variables(one.tables(at, beta))
        assert other.value(same, beta)[0] <= one.value(at, beta)[0] + 1e-12


def test_log_linear_encoders_are_limits_of_simple_ones():
    # so is the best response to rows of independent pixels, at any β
    one, at = drawn(DATA["images"], "+-+")
    other = DATA["images"].model_class("---")
    for beta in BETAS:
        log_linear = one.tables(at, beta)
        near = other.tables(other.variables(log_linear), beta)
        np.testing.assert_allclose(np.exp(near["log_e"]), np.exp(log_linear["log_e"]), atol=1e-3)


def test_rows_that_underflow_cost_much_but_not_infinity():
    p = np.full(60, 1 / 60)
    one = ModelClass("+--", p, line_inputs(p), GaussianDecoder(60), 2)
    model = one.model(np.array([0.0, 0.25, 59.0, 0.25]), 2000.0)
    assert (np.exp(one.family.log_rows(np.array([[0.0, 0.25]]))) == 0).any()
    assert np.isfinite(model.D)


@pytest.mark.parametrize("name", ["", "+-", "+-0", "−++", "++++"])
def test_a_name_that_is_not_three_signs_is_refused(name):
    with pytest.raises(ValueError, match=r"name is .*three signs"):
        DATA["line"].model_class(name)


def test_symbols_without_probability_are_refused():
    p = np.array([0.5, 0.0, 0.5])
    with pytest.raises(ValueError, match="p must be above 0 everywhere"):
        ModelClass("+++", p, line_inputs(p), GaussianDecoder(3), 3)


def test_a_single_symbol_and_a_single_latent_are_legal():
    one = ModelClass("---", np.ones(1), line_inputs([1.0]), GaussianDecoder(1), 1)
    variables, value = one.descend(one.start(np.random.default_rng(0)), 1.0)
    assert value == pytest.approx(0, abs=1e-12)
    assert one.model(variables, 1.0).R == 0


# The search.


def test_more_freedom_is_never_worse_at_any_beta(results):
    for small, large in PAIRS:
        for one, other in zip(results[small], results[large], strict=True):
            assert other.objective <= one.objective + 1e-6


def test_every_model_found_obeys_its_bounds(data, results):
    for name, found in results.items():
        assert [one.beta for one in found] == list(BETAS)
        for one in found:
            assert one.name == name
            assert one.model.D + one.model.R >= one.model.H - 1e-12
            assert one.gap >= 0
            least = min(1, one.beta) * one.model.H
            assert one.objective - one.gap >= least - 1e-12
            assert one.model.n_z <= max(data.n_z, data.p.size)


def test_a_free_decoder_reaches_the_line_at_beta_one(results):
    for name in ("-+-", "-++", "++-", "+++"):
        assert results[name][1].gap <= 1e-6


def test_a_simple_encoder_costs_nothing_beside_rows_of_independent_pixels():
    found = search_all(DATA["images"], BETAS, starts=2, steps=80, rng=0)
    for name in ("+--", "+-+"):
        for free, simple in zip(found[name], found["-" + name[1:]], strict=True):
            assert simple.objective == pytest.approx(free.objective, abs=1e-3)


def test_what_theory_solves_is_certified_and_nothing_else(data, results):
    proven = {name for name, found in results.items() if all(one.certified for one in found)}
    some = {name for name, found in results.items() if any(one.certified for one in found)}
    on_line = isinstance(data.family, GaussianDecoder)
    assert some == ({"+-+", "+++"} if on_line else {"+++"})
    assert proven == (some if on_line else set())  # few latents leave a gap below β = 1
    for one in results["+++"]:
        assert one.certified == (one.gap <= 1e-7)


def test_the_images_are_solved_by_their_truth_at_beta_one():
    images = image_data(bars_and_stripes(3, flip=0.05))
    (one,) = search(images.model_class("+--"), [1.0], starts=4, rng=1)
    assert abs(one.objective - 4.301349493395296) <= 1e-6  # H of theory §8
    assert abs(one.model.R - 2.514712303282442) <= 1e-3  # I(X; pattern) there


def test_a_search_is_no_worse_than_its_hints_and_goes_back_over_the_betas(data):
    one = data.model_class("---")
    calls = []
    found = search(one, BETAS, starts=1, steps=5, rng=0, callback=calls.append)
    assert calls == list(BETAS)
    again = search(one, BETAS, hints=[found], starts=1, steps=5, rng=1)
    for first, second in zip(found, again, strict=True):
        assert second.objective <= first.objective + 1e-12


@given(st.integers(1, 7), st.lists(st.floats(0.01, 1), min_size=1, max_size=7))
@settings(deadline=None, max_examples=30)
def test_coupled_quantiles_have_the_uniform_marginal_and_few_symbols_a_latent(n_z, weights):
    p = np.array(weights) / sum(weights)
    e = np.exp(coupled(p, n_z))
    np.testing.assert_allclose(e.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(p @ e, 1 / n_z, rtol=0, atol=1e-12)
    assert (e > 1e-12).sum() <= p.size + n_z - 1  # a staircase


def test_the_callback_is_called_for_every_search_of_a_class_at_a_beta():
    calls = []
    search_all(DATA["line"], BETAS, starts=1, steps=1, rng=0, callback=calls.append)
    assert sorted(calls) == sorted(BETAS * 2 * (len(NAMES) - 2))  # all but the solved ones, twice


# Hulls.


@given(points)
def test_the_hull_is_convex_below_all_points_and_made_of_some(rows):
    corners = hull(rows)
    R, D = corners.T
    assert (np.diff(R) > 0).all()
    assert (np.diff(D) < 0).all()
    slopes = np.diff(D) / np.diff(R)
    assert (np.diff(slopes) > -1e-9).all()
    assert all((rows == corner).all(axis=1).any() for corner in corners)
    assert (R[0], D[-1]) == (rows[:, 0].min(), rows[:, 1].min())
    assert (rows[:, 1] >= np.interp(rows[:, 0], R, D) - 1e-9).all()


@given(points)
def test_pareto_points_are_those_that_no_other_beats(rows):
    best = pareto(rows)
    assert (np.diff(best[:, 0]) > 0).all()
    assert (np.diff(best[:, 1]) < 0).all()

    def beaten(row):
        return ((rows <= row).all(axis=1) & (rows < row).any(axis=1)).any()

    expected = {tuple(row) for row in rows if not beaten(row)}
    assert {tuple(row) for row in best} == expected


# What is drawn.


def marks(ax):
    found = [line for line in ax.lines if line.get_label() in NAMES]
    return {line.get_label(): line for line in found}


def test_classes_are_drawn_at_their_rates_and_distortions(panels):
    for panel in panels:
        ax, elbo = plot_classes(panel), plot_negative_elbo(panel)
        assert set(marks(ax)) == set(marks(elbo)) == set(NAMES)
        for name, rows in panel.points.items():
            np.testing.assert_array_equal(np.column_stack(marks(ax)[name].get_data()), rows)
            R, total = marks(elbo)[name].get_data()
            np.testing.assert_array_equal(R, rows[:, 0])
            np.testing.assert_allclose(total, rows.sum(axis=1), rtol=1e-15)
        lines = [np.column_stack(line.get_data()) for line in ax.lines]
        steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
        np.testing.assert_array_equal(np.column_stack(steps[0].get_data()), panel.pareto)
        for expected in (panel.hull, np.array([[0, panel.H], [panel.H, 0]])):
            assert any(np.array_equal(line, expected) for line in lines)


def test_marks_tell_the_three_signs_without_colour(panels):
    for panel in panels:
        for name, mark in marks(plot_classes(panel)).items():
            assert (mark.get_markerfacecolor() == "white") == (name[0] == "-")
            assert mark.get_marker() == {"-": "o", "+": "s"}[name[1]]
    assert len(class_handles()) == 8


@pytest.mark.parametrize("plot", [plot_classes, plot_negative_elbo])
def test_a_plot_goes_into_the_axes_given_and_changes_no_settings(plot, panels):
    _, ax = Figure().subplots(1, 2)
    before = dict(mpl.rcParams)
    assert plot(panels[0], ax=ax) is ax
    assert dict(mpl.rcParams) == before


def test_the_figure_has_a_row_for_each_data_set_and_nothing_overlaps(panels):
    figure = draw_panels(panels)
    figure.draw_without_rendering()
    assert len(figure.axes) == 6
    (legend,) = figure.legends
    boxes = [ax.get_tightbbox() for ax in figure.axes] + [legend.get_window_extent()]
    assert_apart(boxes, figure.bbox)


def test_the_same_panels_are_the_same_bytes(tmp_path, panels):
    for name in ("a.png", "b.png"):
        save(draw_panels(panels[:1]), tmp_path / name, dpi=20)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_picture_is_enlarged_where_simple_decoders_come_near_h(panels):
    for panel in panels:
        low, high = panel.near
        rows = np.concatenate([panel.points[name] for name in NAMES if name[1] == "-"])
        near = rows[rows.sum(axis=1) <= panel.H + 0.12, 0]
        assert ((near > low) & (near < high)).all()
        assert high - low <= np.ptp(near) * 1.1 + 0.1 + 1e-12


# What is said.


def number(text, pattern):
    return float(re.search(pattern, text).group(1))


def test_sentences_say_what_the_models_show(data, results):
    said = sentences(data, results)
    assert all(line.endswith(".") and "\n" not in line for line in said)
    panel = as_panel(data, results)
    excess = {
        name: min(one.model.D + one.model.R for one in found) - panel.H
        for name, found in results.items()
    }
    for line, sign in ((said[0], "+"), (said[2], "-")):
        worst = max(value for name, value in excess.items() if name[1] == sign)
        assert number(line, r" to ([\d.]+)\.$") == pytest.approx(worst, abs=1e-6)
    for line, place in zip(said[4:7], range(3), strict=True):
        losses = [
            one.objective - other.objective
            for small, large in PAIRS
            if [a != b for a, b in zip(small, large, strict=True)]
            == [i == place for i in range(3)]
            for one, other in zip(results[small], results[large], strict=True)
        ]
        assert number(line, r"at most ([\d.]+) ") == pytest.approx(max(losses), abs=6e-5)
    ones = [found[1].model for found in results.values()]
    rates = [model.R for model in ones if model.D + model.R - panel.H <= 0.01]
    assert f"the {len(rates)} classes" in said[7]
    assert f"from {min(rates):.3f} to {max(rates):.3f}" in said[7]
    assert f"{data.n_z} latents" in said[8]
    assert f"has {len(panel.hull)} corners" in said[9]
    assert f"{len(panel.pareto)} models are Pareto steps" in said[9]


def test_sentences_say_so_if_nothing_comes_near_the_line():
    data = DATA["line"]
    found = search_all(data, [3.0], starts=1, steps=60, rng=0)
    far = {name: [Found(name, 3.0, found["--+"][0].model)] for name in NAMES}
    assert far["---"][0].gap > 0.01  # one Gaussian is not the data
    said = sentences(data, far)
    assert said[1].endswith("nowhere.")
    assert said[7] == "At beta = 1 no model found is within 0.01 of H."
    low, high = as_panel(data, far).near
    assert low < far["---"][0].model.R < high


# The command.


def test_the_command_prints_a_table_and_sentences_and_writes_the_picture(tmp_path, capsys):
    path = tmp_path / "a.png"
    assert main(["--output", str(path), *TINY]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == str(path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    toy, images = "\n".join(lines).split("\n\n")
    for text, title in ((toy, "toy (nats)"), (images, "images (nats)")):
        header, *rows = text.splitlines()
        assert header.startswith(title)
        assert [row.split()[0] for row in rows[:8]] == list(NAMES)
        assert len(rows) == 18
    H = 2.862061915729483
    for row in toy.splitlines()[1:9]:
        _, _, R, D, excess, gap, *_ = row.split()
        assert float(excess) == pytest.approx(float(R) + float(D) - H, abs=3e-6)
        assert float(gap) >= 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--starts", "0"], "--starts is 0"),
        (["--steps", "0"], "--steps is 0"),
        (["--betas", "0"], "--betas is 0.0"),
        (["--betas", "nan"], "--betas"),
        (["--betas", "1", "inf"], "--betas is inf"),
        (["--size", "5"], "n is 5"),
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, argv, said):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"toyrd\.figure3: [^\n]+\n", err)
    assert said in err
    assert list(tmp_path.iterdir()) == []
