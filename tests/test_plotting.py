"""What is drawn is what the model holds, in the paper's axes."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.figure import Figure

from toyrd import Model
from toyrd.plotting import (
    plot_column,
    plot_decoder,
    plot_distributions,
    plot_encoder,
    plot_latents,
    plot_reconstruction,
)
from toyrd.testing import models

few = settings(max_examples=15, deadline=None)
MODEL = Model.random([0.2, 0.3, 0.5], 4, rng=1)
FUNCTIONS = (plot_distributions, plot_latents, plot_encoder, plot_decoder, plot_reconstruction)


def steps(ax):
    return {artist.get_label(): artist.get_data() for artist in ax.patches}


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
def test_latents_show_m_and_the_induced_marginal(model):
    drawn = steps(plot_latents(model))
    assert set(drawn) == {"m(z)", "e(z)"}
    np.testing.assert_array_equal(drawn["m(z)"].values, model.m)
    np.testing.assert_array_equal(drawn["e(z)"].values, model.e_z)


@few
@given(models())
def test_the_masses_of_the_classes_are_stacked_up_to_the_induced_marginal(model):
    masses = model.p[:, None] * model.e  # each symbol a class of its own
    drawn = steps(plot_latents(model, masses))
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
    for plot, table, labels in (
        (plot_encoder, model.e.T, ("x (bin)", "z (index)")),
        (plot_reconstruction, model.x_given_x.T, ("x (bin)", "x′ (bin)")),
        (plot_decoder, model.d, ("x (bin)", "z (index)")),
    ):
        ax = plot(model)
        assert ax.images[0].origin == "lower"
        assert (ax.get_xlabel(), ax.get_ylabel()) == labels
        np.testing.assert_array_equal(ax.images[0].get_array().data, table)


@few
@given(models())
def test_only_the_decoder_rows_of_unused_latents_are_blank(model):
    blank = np.ma.getmaskarray(plot_decoder(model).images[0].get_array())
    unused = (model.m == 0) & (model.e_z == 0)
    np.testing.assert_array_equal(blank.all(axis=1), unused)
    np.testing.assert_array_equal(blank.any(axis=1), unused)


@pytest.mark.parametrize("plot", [plot_encoder, plot_decoder, plot_reconstruction])
def test_heat_map_colours_run_from_zero_to_vmax(plot):
    for vmax in (1, 0.25):
        assert plot(MODEL, vmax=vmax).images[0].get_clim() == (0, vmax)


@pytest.mark.parametrize("plot", FUNCTIONS)
def test_a_plot_goes_into_the_axes_given_and_changes_no_settings(plot):
    _, ax = (figure := Figure()).subplots(1, 2)
    before = dict(mpl.rcParams)
    assert plot(MODEL, ax=ax) is ax
    assert dict(mpl.rcParams) == before
    assert not figure.axes[0].has_data()
    assert ax.has_data()


@pytest.mark.parametrize("plot", [plot_distributions, plot_latents])
def test_steps_lie_inside_the_frame_and_under_the_legend(plot):
    ax = plot(MODEL)
    ax.figure.draw_without_rendering()
    low, high = ax.get_ylim()
    assert low == 0
    assert high > max(step.values.max() for step in steps(ax).values())
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 1
    assert len(ax.get_legend().get_texts()) == len(ax.patches)


def test_a_column_is_the_five_panels_in_order():
    axes = Figure().subplots(5)
    masses = [[0.5, 0.25, 0.125, 0.125]]
    assert plot_column(MODEL, axes, masses=masses, vmax=0.5) is axes
    assert set(steps(axes[0])) == {"p(x)", "g(x)", "d(x)"}
    assert set(steps(axes[1])) == {"m(z)", "e(z)", "e(z, z*=0)"}
    assert [ax.get_title() for ax in axes[2:]] == ["e(z|x)", "d(x|z)", "p(x′|x)"]
    assert [ax.images[0].get_clim()[1] for ax in axes[2:]] == [1, 0.5, 0.5]


def test_wrong_masses_and_axes_are_named():
    with pytest.raises(ValueError, match=r"masses must have shape \(2, 4\).*\(2, 3\)"):
        plot_latents(MODEL, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="axes must be the 5 axes of a column, but there are 2"):
        plot_column(MODEL, Figure().subplots(2))
