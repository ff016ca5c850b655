"""Eight model classes: exact gradients, classes inside classes, and what is drawn and said."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layout import assert_legible

from toyrd import Status, bars_and_stripes, toy_source
from toyrd.appendix_e import AppendixE
from toyrd.figure3 import (
    NAMES,
    ModelClass,
    as_panel,
    coupled,
    draw_panels,
    greedy,
    hull,
    image_data,
    main,
    pareto,
    search_all,
    sentences,
    toy_data,
)

SMALL = toy_source(n_bins=6, means=(1, 4), widths=(0.7, 0.9), information=None)
DATA = {"line": toy_data(SMALL), "images": image_data(bars_and_stripes(2, flip=0.1))}
SOME = (0.4, 1.0, 1.6)
PAIRS = [
    (small, large)
    for small, large in product(NAMES, NAMES)
    if small != large and all(b in ("+", a) for a, b in zip(small, large, strict=True))
]
points = st.lists(
    st.tuples(*[st.floats(0, 5).map(lambda x: round(x, 3))] * 2), min_size=1, max_size=12
).map(np.array)


@pytest.fixture(scope="module", params=DATA)
def data(request):
    return DATA[request.param]


@pytest.fixture(scope="module")
def results(data):
    return search_all(data, SOME, starts=2, rng=0)


def drawn(data, name, seed=0):
    """Return a class with variables that are no optimum of anything."""
    one, rng = ModelClass(name, data), np.random.default_rng(seed)
    theta = data.cover[rng.choice(len(data.cover), data.n_z)] * rng.uniform(1, 1.1)
    drawn = {part: rng.normal(size=shape) for part, shape in one.shapes.items()}
    return one, np.clip(one.pack({**drawn, "theta": theta}), one.bounds.lb, one.bounds.ub)


# The classes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_the_gradient_is_that_of_the_value(data, name, beta):
    one, at = drawn(data, name)
    gradient = one.value(at, beta)[1]
    for i in range(at.size):
        step = 1e-5 * np.eye(at.size)[i]
        slope = (one.value(at + step, beta)[0] - one.value(at - step, beta)[0]) / 2e-5
        assert slope == pytest.approx(gradient[i], abs=1e-7, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_tables_that_its_signs_promise(data, name):
    for seed, beta in enumerate((0.2, 0.7, 3.0)):
        one, at = drawn(data, name, seed)
        model, known = one.model(at, beta), one.tables(at, beta)
        assert one.value(at, beta)[0] == pytest.approx(model.D + beta * model.R, abs=1e-11)
        if name[2] == "-":
            np.testing.assert_allclose(model.m, 1 / data.n_z, rtol=1e-12)
        elif name != "+-+":
            np.testing.assert_allclose(model.m, model.e_z, rtol=0, atol=1e-12)
        if name[1] == "+":
            np.testing.assert_allclose(model.d, model.x_given_z, rtol=0, atol=1e-12)
        else:
            rows = data.family.log_rows(known["theta"])
            np.testing.assert_allclose(model.d, np.exp(rows), rtol=1e-12)
        if name[0] == "-":  # log e is −(w·x − b)² but for a constant of each x
            ratio = np.log(model.e) + (data.inputs @ known["phi"]) ** 2
            np.testing.assert_allclose(ratio, ratio[:, :1] + np.zeros(data.n_z), atol=1e-8)


def test_on_a_line_a_simple_encoder_is_that_of_appendix_e():
    p = SMALL.p
    one, at = drawn(DATA["line"], "-++")
    w, b = one.unpack(at)["phi"]
    # x/5 from 0 to 1 there, (x − mean)/deviation here
    mean, deviation = p @ np.arange(6), np.sqrt(p @ (np.arange(6) - p @ np.arange(6)) ** 2)
    same = AppendixE(p).model([*(5 * w / deviation), *(b + w * mean / deviation), *np.zeros(18)])
    np.testing.assert_allclose(one.model(at, 1.0).e, same.e, rtol=1e-9)


@pytest.mark.parametrize(("small", "large"), PAIRS)
def test_a_larger_class_holds_every_model_of_a_smaller_one(data, small, large):
    one, at = drawn(data, small)
    other = ModelClass(large, data)
    for beta in SOME:
        same = other.member(one.tables(at, beta))
        assert other.value(same, beta)[0] <= one.value(at, beta)[0] + 1e-10


def test_log_linear_encoders_are_limits_of_simple_ones():
    """So is the best response to rows of independent pixels, at any β."""
    one, at = drawn(DATA["images"], "+-+")
    other = ModelClass("---", DATA["images"])
    for beta in SOME:
        known = one.tables(at, beta)
        near = other.tables(other.member(known), beta)
        np.testing.assert_allclose(near["e"][1], known["e"][1], atol=1e-3)


@pytest.mark.parametrize("name", ["++-", "-+-"])
@pytest.mark.parametrize("beta", [0.3, 0.9])
def test_random_moves_only_ever_make_an_encoder_better(data, name, beta):
    one, at = drawn(data, name)
    values = [one.value(at, beta)[0]]
    for seed in range(3):
        at = one.wander(at, beta, np.random.default_rng(seed))
        values.append(one.value(at, beta)[0])
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] < values[0] - 0.01


# The search


def test_more_freedom_is_never_worse_at_any_beta(results):
    for small, large in PAIRS:
        for one, other in zip(results[small], results[large], strict=True):
            assert other.objective <= one.objective + 1e-6


def test_every_model_found_obeys_its_bounds_and_says_what_is_proven(data, results):
    for found in results.values():
        assert [one.target.value for one in found] == list(SOME)
        for one in found:
            assert one.D + one.R >= one.H - 1e-12
            assert one.objective - one.gap >= min(1, one.beta) * one.H - 1e-9
            assert one.n_z <= max(data.n_z, data.p.size)
            assert one.status in (Status.CERTIFIED, Status.LOCAL)
    for name in ("-+-", "-++", "++-", "+++"):  # silence is the best of a free decoder at β ≥ 1
        assert all(one.gap <= 1e-7 for one in results[name][1:])


def test_a_simple_encoder_costs_nothing_beside_rows_of_independent_pixels():
    found = search_all(DATA["images"], SOME, starts=1, rng=0)
    for name in ("+--", "+-+"):
        for free, simple in zip(found[name], found["-" + name[1:]], strict=True):
            assert simple.objective == pytest.approx(free.objective, abs=1e-6)


def test_the_images_are_solved_by_their_truth_at_beta_one_and_globally_above():
    images = image_data(bars_and_stripes(3, flip=0.05))
    found = search_all(images, [1.0, 1.1, 1.3], starts=1, rng=1)["+-+"]
    assert abs(found[0].R - 2.514712303282442) <= 1e-6  # I(X; pattern), theory §8
    best = [4.301349493395296, 4.5513046661, 5.0405897826]  # of any number of latents, there
    assert [one.objective for one in found] == pytest.approx(best, abs=1e-8)


def test_a_seed_repeats_and_every_search_is_told():
    calls = []
    runs = [
        search_all(
            DATA["line"], SOME, starts=1, rng=rng, callback=lambda *told: calls.append(told)
        )
        for rng in (3, np.random.default_rng(3))
    ]
    assert sorted(calls) == sorted([*product(NAMES, SOME)] * 2)
    for one, other in zip(runs[0]["---"], runs[1]["---"], strict=True):
        assert one.objective == other.objective


@given(st.integers(1, 7), st.lists(st.floats(0.01, 1), min_size=1, max_size=7), st.randoms())
def test_coupled_quantiles_have_the_uniform_marginal_and_few_symbols_a_latent(n_z, weights, rng):
    p, order = np.array(weights) / sum(weights), np.arange(len(weights))
    rng.shuffle(order)
    e = np.exp(coupled(p, n_z, order))
    np.testing.assert_allclose(e.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(p @ e, 1 / n_z, rtol=0, atol=1e-12)
    assert (e > 1e-12).sum() <= p.size + n_z - 1  # a staircase


def test_greedy_rows_share_a_uniform_marginal_as_p_does():
    assert sorted(greedy(np.eye(3), np.array([0.5, 0.3, 0.2]), 10)) == [0] * 5 + [1] * 3 + [2] * 2


# What is drawn and said


@given(points)
def test_the_hull_is_convex_below_all_points_and_pareto_points_are_not_beaten(rows):
    R, D = hull(rows).T
    assert (np.diff(R) > 0).all()
    assert (np.diff(np.diff(D) / np.diff(R)) > -1e-9).all()
    assert (R[0], D[-1]) == (rows[:, 0].min(), rows[:, 1].min())
    assert (rows[:, 1] >= np.interp(rows[:, 0], R, D) - 1e-9).all()
    kept = {tuple(row) for row in rows if not ((rows <= row).all(1) & (rows < row).any(1)).any()}
    assert {tuple(row) for row in pareto(rows)} == kept


def test_classes_are_drawn_where_they_are_and_nothing_overlaps(data, results):
    panel = as_panel(data, results)
    figure = draw_panels([panel, panel])
    assert_legible(figure)
    plane, excess = figure.axes[:2]
    for name in NAMES:
        for ax, above in ((plane, False), (excess, True)):
            (marks,) = (line for line in ax.lines if line.get_label() == name)
            R, y = marks.get_data()
            assert np.array_equal(R, panel.points[name][:, 0])
            total = np.maximum(panel.points[name].sum(axis=1) - panel.H, 0)
            assert y == pytest.approx(total if above else panel.points[name][:, 1], abs=1e-15)
    assert min(text.get_size() for text in figure.findobj(lambda a: hasattr(a, "get_size"))) >= 7


def number(text, pattern):
    return float(re.search(pattern, text).group(1))


def test_sentences_say_what_the_models_show(data, results):
    said = sentences(data, results)
    assert all(line.endswith(".") and "\n" not in line for line in said)
    H = results["+++"][0].H
    for line, sign in ((said[0], "+"), (said[2], "-")):
        best = [min(one.D + one.R for one in results[n]) - H for n in NAMES if n[1] == sign]
        assert number(line, r" to ([\d.]+)\.$") == pytest.approx(max(best), abs=1e-6)
    for line, place in zip(said[4:7], range(3), strict=True):
        losses = [
            one.objective - other.objective
            for small, large in PAIRS
            if [a != b for a, b in zip(small, large, strict=True)]
            == [i == place for i in range(3)]
            for one, other in zip(results[small], results[large], strict=True)
        ]
        assert number(line, r"at most ([\d.]+) ") == pytest.approx(max(losses), abs=6e-5)
    assert re.search(r"the \d classes within 0.01 of H have rates from 0.000 to", said[7])
    assert f"{data.n_z} latents" in said[8]


def test_sentences_say_so_if_nothing_comes_near_the_line():
    found = search_all(DATA["line"], [3.0], starts=1, rng=0)
    said = sentences(DATA["line"], dict.fromkeys(NAMES, found["---"]))
    assert said[1].endswith("nowhere.")
    assert said[7] == "At beta = 1 no model found is within 0.01 of H."


def test_the_command_prints_a_table_and_sentences_and_writes_the_picture(tmp_path, capsys):
    path = tmp_path / "a.png"
    tiny = ["--size", "2", "--betas", "1", "2", "2", "--starts", "1", "--dpi", "20"]
    assert main(["--output", str(path), *tiny]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == str(path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    for text, title in zip("\n".join(lines).split("\n\n"), ("toy", "images"), strict=True):
        header, *rows = text.splitlines()
        assert header.startswith(f"{title} (nats)")
        assert [row.split()[0] for row in rows[:8]] == list(NAMES)
        assert rows[7].split()[-3:] == ["2", "of", "2"]
        assert len(rows) == 18


@pytest.mark.parametrize(
    "argv",
    [
        ["--starts", "0"],
        ["--betas", "0"],
        ["--betas", "nan"],
        ["--betas", "1", "inf"],
        ["--size", "5"],
    ],
)
def test_a_user_error_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, argv):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"toyrd\.figure3: [^\n]+\n", err)
    assert argv[0] in err
    assert list(tmp_path.iterdir()) == []
