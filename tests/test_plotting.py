"""What is drawn is what the model or curve holds, in the paper's axes."""

from itertools import islice

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from layout import assert_legible
from matplotlib.figure import Figure

from toyrd import Model, alternate, frontier, rate_distortion, solve
from toyrd.plotting import (
    Picture,
    plot,
    plot_column,
    plot_decoder,
    plot_descent,
    plot_distributions,
    plot_encoder,
    plot_frontier,
    plot_latents,
    plot_path,
    plot_reconstruction,
)
from toyrd.testing import models

few = settings(max_examples=15, deadline=None)
P = np.array([0.2, 0.3, 0.5])
COST = 1 - np.eye(3)
BIT = np.log(2)
MODEL = Model.random(P, 4, rng=1)
SOLUTION = solve(P, rate=0.4, decoder=MODEL.d)
BARE = rate_distortion(P, COST, beta=0.4, method="blahut-arimoto")
CURVE = frontier(P, decoder=MODEL.d, betas=[0, 0.5, 1, 2, np.inf])
CURVE_OF_COST = frontier(P, cost=COST, betas=[0, 0.3, np.inf])
LOCAL = frontier(P, marginal=[0.5, 0.25, 0.25], betas=[0.5, 1.0, 2.0], starts=1)
WAY = list(islice(alternate(P, beta=0.5, start="random", rng=1), 8))
MODEL_PLOTS = (plot_distributions, plot_latents, plot_encoder, plot_decoder, plot_reconstruction)


def steps(ax):
    return {artist.get_label(): artist.get_data() for artist in ax.patches}


# Models.


@few
@given(models())
def test_distributions_are_drawn_as_unit_steps_centred_on_the_symbols(model):
    drawn = steps(plot_distributions(model))
    for label, values in (("p(x)", model.p), ("g(x)", model.g), ("d(x)", model.reconstruction)):
        np.testing.assert_array_equal(drawn[label].values, values)
        np.testing.assert_array_equal((drawn[label].edges[:-1] + 0.5), np.arange(model.n_x))
        np.testing.assert_array_equal(np.diff(drawn[label].edges), 1)


@few
@given(models())
def test_the_masses_of_the_classes_are_stacked_up_to_the_induced_marginal(model):
    masses = model.p[:, None] * model.e  # each symbol a class of its own
    drawn = steps(plot_latents(model, masses))
    np.testing.assert_array_equal(drawn["m(z)"].values, model.m)
    np.testing.assert_array_equal(drawn["e(z)"].values, model.e_z)
    floor = np.zeros(model.n_z)
    for k, mass in enumerate(masses):
        values, _, baseline = drawn[f"e(z, z*={k})"]
        np.testing.assert_allclose(baseline, floor, rtol=0, atol=1e-15)
        np.testing.assert_allclose(values - baseline, mass, rtol=0, atol=1e-15)
        floor = values
    np.testing.assert_allclose(floor, model.e_z, rtol=0, atol=1e-15)


@few
@given(models())
def test_heat_maps_have_x_to_the_right_and_the_other_variable_upwards(model):
    # extent and origin as matplotlib reads them: column is x, row counts from the bottom
    for draw, table, labels in (
        (plot_encoder, model.e.T, ("x (bin)", "z (index)")),
        (plot_reconstruction, model.x_given_x.T, ("x (bin)", "x′ (bin)")),
        (plot_decoder, model.d, ("x (bin)", "z (index)")),
    ):
        ax = draw(model, vmax=0.25)
        assert ax.images[0].origin == "lower"
        assert ax.images[0].get_clim() == (0, 0.25)
        assert (ax.get_xlabel(), ax.get_ylabel()) == labels
        np.testing.assert_array_equal(ax.images[0].get_array().data, table)


@few
@given(models())
def test_only_the_decoder_rows_of_unused_latents_are_blank(model):
    blank = np.ma.getmaskarray(plot_decoder(model).images[0].get_array())
    unused = (model.m == 0) & (model.e_z == 0)
    np.testing.assert_array_equal(blank.all(axis=1), unused)
    np.testing.assert_array_equal(blank.any(axis=1), unused)


@pytest.mark.parametrize("draw", [plot_distributions, plot_latents])
def test_steps_lie_inside_the_frame_and_under_the_legend(draw):
    ax = draw(MODEL)
    ax.figure.draw_without_rendering()
    low, high = ax.get_ylim()
    assert low == 0
    assert high > max(step.values.max() for step in steps(ax).values())
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 1
    assert len(ax.get_legend().get_texts()) == len(ax.patches)


def test_a_column_is_the_five_panels_in_order_of_a_solution_too():
    axes = Figure().subplots(5)
    masses = np.full((1, SOLUTION.n_z), 0.25)
    assert plot_column(SOLUTION, axes, masses=masses, vmax=0.5) is axes
    assert set(steps(axes[0])) == {"p(x)", "g(x)", "d(x)"}
    assert set(steps(axes[1])) == {"m(z)", "e(z)", "e(z, z*=0)"}
    assert [ax.get_title() for ax in axes[2:]] == ["e(z|x)", "d(x|z)", "p(x′|x)"]
    assert [ax.images[0].get_clim()[1] for ax in axes[2:]] == [1, 0.5, 0.5]


# Curves.


@pytest.mark.parametrize("curve", [CURVE, CURVE_OF_COST, LOCAL])
@pytest.mark.parametrize(("unit", "nat"), [("nats", 1.0), ("bits", BIT)])
def test_a_frontier_is_its_points_in_its_unit_either_way_round(curve, unit, nat):
    one = nat if curve.unit == "nats" else 1.0
    of_D = unit if curve.unit == "nats" else "units of cost"
    R, D = curve.reached[0] / nat, curve.reached[1] / one
    upright, turned = (plot_frontier(curve, unit=unit, swap=swap) for swap in (False, True))
    for ax, x, y in ((upright, R, D), (turned, D, R)):
        np.testing.assert_array_equal(ax.lines[0].get_data(), (x, y))
        assert ax.get_legend() is None
        (band,) = ax.collections
        assert band.get_label() == "bounds"
        corners = {tuple(corner) for path in band.get_paths() for corner in path.vertices}
        rates, low, high = curve.outline
        for edge in (low, high):
            for pair in zip(rates / nat, edge / one, strict=True):
                assert (pair if ax is upright else pair[::-1]) in corners
    labels = [f"rate R ({unit})", f"distortion D ({of_D})"]
    assert [upright.get_xlabel(), upright.get_ylabel()] == labels
    assert [turned.get_ylabel(), turned.get_xlabel()] == labels


def test_stairs_of_a_local_search_turn_with_their_axes():
    styles = [plot_frontier(LOCAL, swap=swap).lines[0].get_drawstyle() for swap in (False, True)]
    assert styles == ["steps-post", "steps-pre"]  # D stays until a larger R is reached
    assert plot_frontier(CURVE).lines[0].get_drawstyle() == "default"


def test_labelled_frontiers_have_a_legend_that_names_their_bounds():
    ax = plot_frontier(CURVE, label="one", color="red")
    assert plot_frontier(CURVE_OF_COST, ax=ax, label="other") is ax
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["one", "bounds of one", "other", "bounds of other"]
    assert ax.lines[0].get_color() == "red"


# An alternation on its way.


def test_the_way_of_an_alternation_is_drawn_step_by_step():
    R, D = (np.array([getattr(one, name) for one in WAY]) for name in "RD")
    path, descent = plot_path(iter(WAY), unit="bits"), plot_descent(iter(WAY), unit="bits")
    np.testing.assert_array_equal(path.lines[0].get_data(), (R / BIT, D / BIT))
    ends = [tuple(map(float, line.get_xydata()[0])) for line in path.lines[1:]]
    assert ends == [(R[0] / BIT, D[0] / BIT), (R[-1] / BIT, D[-1] / BIT)]
    assert [text.get_text() for text in path.get_legend().get_texts()] == ["first", "last"]
    iteration, objective = descent.lines[0].get_data()
    np.testing.assert_array_equal(iteration, np.arange(1, 9))
    np.testing.assert_allclose(objective * BIT, [one.objective for one in WAY], atol=1e-12)
    assert (np.diff(objective) <= 1e-12).all()
    assert (descent.get_xlabel(), descent.get_ylabel()) == ("iteration", "D + βR (bits)")


def test_of_one_solution_the_history_is_drawn():
    ax = plot_path(BARE)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), BARE.history["R"])
    assert plot_descent(BARE).get_ylabel() == "D + βR (units of cost)"


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ({"rate": 0.5}, "distortion D (nats)"),
        ({"distortion": 0.6}, "rate R (nats)"),
        ({"beta": np.inf}, "distortion D (nats)"),
    ],
)
def test_what_an_alternation_lowers_depends_on_its_target(target, label):
    way = list(islice(alternate(P, start="random", rng=1, **target), 3))
    ax = plot_descent(way)
    assert ax.get_ylabel() == label
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [one.objective for one in way])


# Whole pictures.


@pytest.mark.parametrize("thing", [MODEL, SOLUTION, BARE, CURVE, CURVE_OF_COST, LOCAL])
def test_anything_has_a_picture_that_a_notebook_shows_and_a_reader_can_read(thing):
    picture = thing.plot(unit="bits")
    assert isinstance(picture, Picture)
    assert_legible(picture)
    first = thing._repr_png_()
    assert first.startswith(b"\x89PNG")
    assert plot(thing)._repr_png_() == first


def test_the_title_of_a_picture_has_the_numbers_in_their_unit():
    said = MODEL.plot(unit="bits").get_suptitle()
    values = [value / BIT for value in (MODEL.H, MODEL.D, MODEL.R, MODEL.I)]
    expected = ", ".join(f"{n} = {v:.4f}" for n, v in zip("HDRI", values, strict=True))
    assert said == f"{expected} bits"


# What holds of all.


@pytest.mark.parametrize(
    ("draw", "thing"),
    [
        *((draw, thing) for draw in MODEL_PLOTS for thing in (MODEL, SOLUTION)),
        (plot_frontier, CURVE),
        (plot_path, WAY),
        (plot_descent, WAY),
    ],
)
def test_a_plot_goes_into_the_axes_given_and_changes_no_settings(draw, thing):
    _, ax = (figure := Figure()).subplots(1, 2)
    before = dict(mpl.rcParams)
    assert draw(thing, ax=ax) is ax
    assert dict(mpl.rcParams) == before
    assert not figure.axes[0].has_data()
    assert ax.has_data()
    assert isinstance(draw(thing).figure, Picture)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"masses must have shape \(2, 4\).*\(2, 3\)"):
        plot_latents(MODEL, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="axes must be the 5 axes of a column, but there are 2"):
        plot_column(MODEL, Figure().subplots(2))
    with pytest.raises(ValueError, match="unit is 'dits', but must be one of nats, bits"):
        CURVE.plot(unit="dits")
    with pytest.raises(ValueError, match="steps has no iteration"):
        plot_path([])
