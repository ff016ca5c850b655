"""Frontiers: closed forms lie in the sandwich, order and workers change nothing."""

import copy
import importlib.util
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import entr

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    RateDistortion,
    Solution,
    bars_and_stripes,
    entropy,
    rate_distortion,
    solve,
    toy_source,
)
from toyrd.frontier import Frontier, frontier
from toyrd.plotting_frontier import plot_frontier
from toyrd.testing import distributions

HALF = [0.5, 0.5]
HAMMING = [[0, 1], [1, 0]]
ERASURE = [[0, 1, 0.3], [1, 0, 0.3]]
CERTAIN = [[0, np.inf, 0.3], [np.inf, 0, 0.3]]
EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def binary_rate(D):
    return np.log(2) - entr(D) - entr(1 - D)


def binary_distortion(R):
    return brentq(lambda D: binary_rate(D) - R, 0, 0.5, xtol=1e-16)


def squared_error(n):
    x = np.linspace(0, 1, n)
    p = 1 + x + np.sin(9 * x) ** 2
    return p / p.sum(), (x[:, None] - x) ** 2


@st.composite
def problems(draw):
    """Draw p, a cost table with ties and repeated columns, and betas from 0 to ∞."""
    p = draw(distributions(max_size=4, smallest=1e-9))
    n_z = draw(st.integers(1, 4))
    entries = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 7.0])
    row = st.lists(entries, min_size=n_z, max_size=n_z)
    cost = draw(st.lists(row, min_size=p.size, max_size=p.size))
    beta = st.sampled_from([0.0, 0.03, 0.2, 0.5, 1.0, 3.0, 20.0, np.inf])
    return p, np.array(cost), draw(st.lists(beta, min_size=1, max_size=6))


def test_points_of_the_binary_source_are_those_of_the_closed_form():
    betas = np.array([0.05, 0.3, 1, 4])
    curve = frontier(HALF, cost=HAMMING, betas=betas)
    D = 1 / (1 + np.exp(1 / betas))
    np.testing.assert_allclose(curve.D, D, rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.R, binary_rate(D), rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.objective, D + betas * binary_rate(D), rtol=0, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.3, 0.01, 1e-4])
def test_sandwich_holds_the_closed_form_and_is_as_narrow_as_asked(tolerance):
    curve = frontier(HALF, cost=HAMMING, tolerance=tolerance, n=1000)
    assert curve.width <= tolerance
    rates = np.linspace(0, np.log(2), 101)
    exact = np.array([binary_distortion(rate) for rate in rates])
    lower, upper = curve.bounds_at(rates)
    assert (lower - 1e-12 <= exact).all()
    assert (exact <= upper + 1e-12).all()
    inner = curve.distortion_at(rates)
    assert ((lower - 1e-12 <= inner) & (inner <= upper + 1e-12)).all()
    # In units of both ranges, a chord that is close across may be far upwards where it is steep.
    steep = np.maximum(1, np.gradient(exact, rates) * -np.log(2) / 0.5)
    assert (upper - exact <= 0.5 * tolerance * np.sqrt(2) * steep * 1.1 + 1e-12).all()


def test_parabolas_come_closer_than_chords():
    curve = frontier(HALF, cost=HAMMING, tolerance=0.01)
    rates = np.linspace(0.05, 0.6, 50)  # nearer to log 2, D vanishes like 1/log: no parabola
    exact = np.array([binary_distortion(rate) for rate in rates])
    chords = np.abs(curve.bounds_at(rates)[1] - exact).max()
    assert np.abs(curve.distortion_at(rates) - exact).max() < 0.1 * chords
    back = curve.rate_at(exact)
    assert np.abs(back - rates).max() < 1e-3


def test_a_straight_frontier_takes_three_points_and_is_exact():
    curve = frontier(HALF, cost=CERTAIN, tolerance=1e-12)
    assert len(curve) == 3
    assert curve.beta[1] == pytest.approx(0.3 / np.log(2), abs=1e-12)
    rates = np.linspace(0, np.log(2), 7)
    for D in (curve.distortion_at(rates), *curve.bounds_at(rates)):
        np.testing.assert_allclose(D, 0.3 * (1 - rates / np.log(2)), rtol=0, atol=1e-12)


def test_bounds_meet_on_a_straight_piece():
    curve = frontier(HALF, cost=ERASURE, tolerance=1e-5, n=1000)
    narrow = curve.sandwich.widths() <= 1e-5
    assert narrow.all()
    longest = np.diff(curve.sandwich.D).argmax()
    assert np.diff(curve.sandwich.D)[longest] > 0.1  # Berger: D jumps from 0.13 to 0.30
    for rate in (0.05, 0.1, 0.2):
        found = rate_distortion(HALF, ERASURE, rate=rate)
        lower, upper = curve.bounds_at(rate)
        assert lower - 1e-9 <= found.D <= upper + 1e-9
        assert upper - lower < 1e-5


@settings(deadline=None, max_examples=50)
@given(problems())
def test_lower_bound_holds_for_any_encoder_and_upper_bound_for_the_best(problem):
    p, cost, betas = problem
    curve = frontier(p, cost=cost, betas=betas)
    e = np.random.default_rng(0).dirichlet(np.full(cost.shape[1], 0.3), size=(20, p.size))
    joint = p[:, None] * e
    R = (joint * np.log(np.maximum(e, 1e-300) / np.maximum(p @ e, 1e-300)[:, None])).sum((1, 2))
    D = (joint * cost).sum((1, 2))
    assert (curve.bounds_at(np.maximum(R, 0))[0] <= D + 1e-9).all()
    for rate in np.linspace(curve.R.min(), curve.R.max(), 3):
        lower, upper = curve.bounds_at(rate)
        best = rate_distortion(p, cost, beta=np.inf).D if rate == 0 else None
        if best is None:
            most = rate_distortion(p, cost, beta=0.0).R
            best = rate_distortion(p, cost, rate=min(rate, most)).D
        assert lower - 1e-8 <= best <= upper + 1e-8


@settings(deadline=None, max_examples=50)
@given(problems())
def test_interpolation_lies_between_the_bounds_and_inverts(problem):
    p, cost, betas = problem
    curve = frontier(p, cost=cost, betas=betas)
    rates = np.linspace(curve.R.min(), curve.R.max(), 9)
    lower, upper = curve.bounds_at(rates)
    D = curve.distortion_at(rates)
    assert ((lower - 1e-9 <= D) & (upper + 1e-9 >= D)).all()
    assert (np.diff(D) <= 1e-9).all()
    wanted = np.linspace(curve.D.min(), curve.D.max(), 9)
    back = curve.distortion_at(np.clip(curve.rate_at(wanted), curve.R.min(), curve.R.max()))
    # Where D falls without R changing, as at β = ∞, the inverse has a jump to make.
    assert (back <= wanted + 1e-6).all() or np.ptp(curve.R) < 1e-6


@settings(deadline=None, max_examples=50)
@given(problems())
def test_order_and_repetition_of_betas_change_nothing(problem):
    p, cost, betas = problem
    curve = frontier(p, cost=cost, betas=betas)
    np.testing.assert_array_equal(curve.beta, betas)
    again = frontier(p, cost=cost, betas=sorted(set(betas)))
    place = np.searchsorted(sorted(set(betas)), betas)
    np.testing.assert_array_equal(curve.R, again.R[place])
    np.testing.assert_array_equal(curve.D, again.D[place])
    assert (curve.gap >= 0).all()
    np.testing.assert_allclose(curve.objective - curve.gap, curve.lower_bound, rtol=0, atol=1e-15)


def test_rate_falls_and_distortion_rises_with_beta():
    p, cost = squared_error(20)
    curve = frontier(p, cost=cost, n=30)
    assert len(curve) <= 30
    assert (np.diff(curve.beta) > 0).all()
    assert (np.diff(curve.R) <= 1e-8).all()
    assert (np.diff(curve.D) >= -1e-8).all()
    assert curve.beta[0] == 0
    assert curve.beta[-1] == np.inf
    assert len(frontier(p, cost=cost, n=2)) == 2


def test_the_scale_of_the_cost_does_not_matter():
    p, cost = squared_error(9)
    curve = frontier(p, cost=cost, tolerance=0.02, tol=1e-13)
    for scale in (2.0**-300, 2.0**300):
        other = frontier(p, cost=cost * scale, tolerance=0.02, tol=1e-13)
        assert len(other) == len(curve)
        np.testing.assert_allclose(other.R, curve.R, rtol=0, atol=1e-4)
        np.testing.assert_allclose(other.objective, curve.objective * scale, rtol=1e-9)


def test_a_frontier_is_a_sequence_of_read_only_results():
    p, cost = squared_error(6)
    curve = frontier(p, cost=cost, betas=[1, 0.1])
    assert len(curve) == 2
    assert [point.beta for point in curve] == [1, 0.1]
    assert isinstance(curve[-1], RateDistortion)
    assert curve[-1].beta == 0.1
    for name in ("beta", "R", "D", "objective", "lower_bound", "gap", "converged"):
        assert not getattr(curve, name).flags.writeable
    with pytest.raises(IndexError):
        curve[2]
    with pytest.raises(TypeError):
        curve["first"]
    assert repr(curve).startswith("Frontier(2 points, 2 converged\n  beta = 0.1 to 1\n")
    assert "units of cost" in repr(curve)


def test_one_point_interpolates_itself():
    curve = frontier(HALF, cost=HAMMING, betas=[0.5])
    assert curve.width == 0
    assert curve.distortion_at(curve.R[0]) == curve.D[0]
    assert curve.rate_at([curve.D[0]]) == curve.R


def test_a_decoder_table_gives_solutions():
    toy = toy_source()
    d = toy.true_model().d
    curve = frontier(toy.p, decoder=d, betas=[1.5, 0.7])
    for beta, found in zip([1.5, 0.7], curve, strict=True):
        assert isinstance(found, Solution)
        assert found.objective == pytest.approx(solve(toy.p, beta=beta, decoder=d).objective)
        assert pytest.approx(curve.R[list(curve.beta).index(beta)], abs=1e-12) == found.model.R
    assert frontier(toy.p, decoder=d, betas=[1]).D[0] == pytest.approx(
        toy.true_model().D, abs=1e-6
    )


def test_a_fixed_marginal_is_convex_too():
    p, cost = squared_error(12)
    marginal = np.full(12, 1 / 12)
    curve = frontier(p, cost=cost, marginal=marginal, tolerance=1e-3)
    assert curve.convex
    assert curve.width <= 1e-3
    for point in curve:
        np.testing.assert_allclose(point.m, marginal, rtol=0, atol=1e-15)
        e = point.e
        waste = (p[:, None] * e * np.log(np.where(e > 0, e, 1) / marginal)).sum()
        assert pytest.approx(waste, abs=1e-9) == point.R
    free = frontier(p, cost=cost, tolerance=1e-3)
    rates = np.linspace(0.1, 1.5, 5)
    assert (free.bounds_at(rates)[0] <= curve.distortion_at(rates) + 1e-12).all()


def test_with_all_tables_free_the_frontier_is_the_line_of_slope_minus_one():
    p = toy_source().p
    curve = frontier(p)
    assert curve.width < 1e-12
    rates = np.linspace(0, entropy(p) * (1 - 1e-12), 5)
    np.testing.assert_allclose(curve.distortion_at(rates), entropy(p) - rates, atol=1e-12)
    assert curve.rate_at(1.0) == pytest.approx(entropy(p) - 1)
    fewer = frontier(p, n_z=4)
    assert fewer.R.max() <= np.log(4)


def test_a_family_solved_globally_gives_solutions_with_their_rows():
    p = np.array([0.05, 0.3, 0.1, 0.15, 0.4])
    family = GaussianDecoder(5)
    curve = frontier(p, decoder=family, betas=[1.2, 2], workers=map)
    assert curve.convex
    assert (curve.gap <= 1e-8).all()
    assert (curve.lower_bound >= entropy(p) - 1e-8).all()
    for found in curve:
        rows = np.exp(family.log_rows(found.parameters))
        np.testing.assert_allclose(found.model.d, rows, rtol=0, atol=1e-12)
        single = solve(p, beta=found.beta, decoder=family)
        assert found.objective == pytest.approx(single.objective, abs=2e-8)


class Unproven:
    """Gaussian rows without their bound."""

    def __init__(self, n):
        family = GaussianDecoder(n)
        for name in ("n_x", "box", "log_rows", "fit", "slopes", "dictionary"):
            setattr(self, name, getattr(family, name))


def test_a_family_without_a_bound_is_said_to_be_unproven():
    p = np.array([0.05, 0.3, 0.1, 0.15, 0.4])
    curve = frontier(p, decoder=Unproven(5), betas=[1.2])
    assert not curve[0].rigorous
    assert "tangents searched for, not proven" in repr(curve)
    assert "not proven" not in repr(frontier(p, decoder=GaussianDecoder(5), betas=[1.2]))


def test_a_local_search_claims_no_sandwich():
    source = bars_and_stripes(2, flip=0.1)
    family = BernoulliDecoder(source.images)
    curve = frontier(source.p, decoder=family, n_z=5, n=5, rng=0, tol=1e-4, starts=1)
    assert not curve.convex
    assert "local: chords prove nothing" in repr(curve)
    assert isinstance(curve[0], Solution)
    R, D = curve.reached
    between = (R[:-1] + R[1:]) / 2
    lower, upper = curve.bounds_at(between)
    np.testing.assert_array_equal(upper, D[:-1])
    np.testing.assert_array_equal(curve.distortion_at(between), upper)
    assert (lower <= entropy(source.p) - between + 1e-9).all()
    np.testing.assert_array_equal(curve.rate_at(D), [R[one >= D].min() for one in D])
    assert curve.width > 0
    rates, below, above = curve.outline
    assert (np.diff(rates) >= 0).all()
    assert (below <= above + 1e-12).all()
    again = frontier(source.p, decoder=family, n_z=5, n=5, rng=0, tol=1e-4, starts=1)
    np.testing.assert_array_equal(again.R, curve.R)


def test_a_local_search_finds_the_true_model_of_images():
    source = bars_and_stripes(2, flip=0.1)
    family = BernoulliDecoder(source.images)
    curve = frontier(source.p, decoder=family, n_z=6, betas=[1], rng=0, tol=1e-6)
    assert curve.objective[0] == pytest.approx(entropy(source.p), abs=1e-4)


def test_a_free_decoder_with_a_fixed_marginal_is_searched_locally():
    p = np.array([0.5, 0.3, 0.2])
    curve = frontier(p, marginal=[0.25] * 4, betas=[0.5, 2], rng=1, tol=1e-6)
    assert not curve.convex
    np.testing.assert_allclose(curve[0].model.m, 0.25)
    assert curve.objective[1] == pytest.approx(entropy(p), abs=1e-6)  # R = 0 and D = H


@pytest.mark.parametrize("workers", [map, 2, -1, "threads"])
@pytest.mark.parametrize("betas", [np.geomspace(1, 1e-3, 9), None])
def test_workers_give_what_one_gives(workers, betas):
    p, cost = squared_error(12)
    alone = frontier(p, cost=cost, betas=betas, tolerance=0.02)
    if workers == "threads":
        with ThreadPoolExecutor(2) as executor:
            spread = frontier(p, cost=cost, betas=betas, tolerance=0.02, workers=executor.map)
    else:
        spread = frontier(p, cost=cost, betas=betas, tolerance=0.02, workers=workers)
    np.testing.assert_allclose(spread.beta, alone.beta, rtol=1e-6)
    np.testing.assert_allclose(spread.objective, alone.objective, rtol=0, atol=1e-9)
    for point in spread:
        assert point.cost is spread[0].cost
        assert not point.m.flags.writeable
        assert not any(m.flags.writeable for m in point.iterates)
        np.testing.assert_allclose(point.e.sum(axis=1), 1)


def test_workers_return_solutions_read_only_and_the_same():
    p = np.array([0.5, 0.3, 0.2])
    alone, spread = (frontier(p, n_z=2, betas=[0.5, 2], workers=n) for n in (1, 2))
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one.model.e, other.model.e)
        for array in (other.model.e, other.model.d, other.parameters, other.history):
            assert not array.flags.writeable


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_goes_through_and_leaves_no_process(workers):
    p, cost = squared_error(12)
    seen = []

    def interrupt(done, point):
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frontier(p, cost=cost, workers=workers, callback=interrupt)
    assert seen == [1, 2, 3]
    assert multiprocessing.active_children() == []


def test_callback_counts_every_point_once():
    seen = []
    curve = frontier(HALF, cost=HAMMING, tolerance=0.1, callback=lambda *step: seen.append(step))
    assert [done for done, _ in seen] == list(range(1, len(curve) + 1))
    assert sorted(point.beta for _, point in seen) == list(curve.beta)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_warning_says_what_to_do(workers):
    p, cost = squared_error(12)
    with pytest.warns(ConvergenceWarning) as caught:
        curve = frontier(p, cost=cost, betas=[0.001, 0.002, 1], max_iter=1, workers=workers)
    assert len(caught) == 1
    left = np.flatnonzero(~curve.converged)
    assert left.size
    assert f"{left.size} of 3 points did not converge" in str(caught[0].message)
    assert "raise max_iter or tol" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_a_local_search_warns_once_too():
    source = bars_and_stripes(2, flip=0.1)
    family = BernoulliDecoder(source.images)
    with pytest.warns(ConvergenceWarning) as caught:
        frontier(source.p, decoder=family, n_z=4, betas=[0.5, 1.0], rng=0, max_iter=2)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"betas": [1, -0.5]}, ValueError, r"betas\[1\] is -0.5, but a β lies between 0 and inf"),
        ({"betas": [np.nan]}, ValueError, r"betas\[0\] is nan"),
        ({"betas": []}, ValueError, "betas is empty"),
        ({"betas": [[1.0]]}, ValueError, "betas must have 1 axis"),
        ({"betas": ["a"]}, TypeError, "betas must hold real numbers"),
        ({"n": 1}, ValueError, "n is 1, but must be at least 2"),
        ({"tolerance": -1}, ValueError, "tolerance is -1.0"),
        ({"tol": 0}, ValueError, "tol is 0.0"),
        ({"max_iter": 0}, ValueError, "max_iter is 0"),
        ({"workers": 0}, ValueError, "workers is 0, but must be at least 1, or -1"),
        ({"workers": -2}, ValueError, "workers is -2"),
        ({"workers": 2.0}, TypeError, "workers must be an integer or a map-like callable"),
        ({"workers": None}, TypeError, "workers must be an integer or a map-like callable"),
        ({"decoder": [HALF, HALF]}, ValueError, "give decoder or cost, not both"),
        ({"marginal": [0.5, 0.3, 0.2]}, ValueError, r"latents \(cost: 2, marginal: 3\)"),
        ({"n_z": 3}, ValueError, r"latents \(n_z: 3, cost: 2\)"),
        ({"cost": [[0, np.nan], [1, 0]]}, ValueError, r"cost\[0, 1\] is nan"),
        ({"cost": [[0, 1]]}, ValueError, "cost must have one row for each"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        frontier(HALF, **{"cost": HAMMING, **options})


def test_starts_must_be_a_count():
    with pytest.raises(ValueError, match="starts is 0"):
        frontier(HALF, marginal=HALF, betas=[1], starts=0)


def test_what_was_not_computed_is_not_made_up():
    curve = frontier(HALF, cost=HAMMING, betas=[0.3, 1])
    with pytest.raises(ValueError, match=r"rate is 0\.69, but must lie in .* add betas"):
        curve.distortion_at([0.2, 0.69])
    with pytest.raises(ValueError, match=r"distortion is 0\.6"):
        curve.rate_at(0.6)
    with pytest.raises(ValueError, match=r"rate is -0\.1"):
        curve.bounds_at(-0.1)
    with pytest.raises(ValueError, match="rate is inf"):
        curve.bounds_at(np.inf)
    lower, upper = curve.bounds_at(curve.R.min() / 2)
    assert upper == np.inf
    assert lower > curve.D.max()
    assert curve.bounds_at(np.log(2))[1] == curve.D.min()


def test_plot_draws_the_points_and_shades_the_sandwich():
    curve = frontier(HALF, cost=HAMMING, n=4)
    ax = matplotlib.figure.Figure().add_subplot()
    assert curve.plot(ax, label="binary", color="black") is ax
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), np.sort(curve.R))
    np.testing.assert_array_equal(line.get_ydata(), -np.sort(-curve.D))
    assert (line.get_label(), line.get_color()) == ("binary", "black")
    assert ax.get_xlabel() == "rate R (nats)"
    assert ax.get_ylabel() == "distortion D (units of cost)"
    (area,) = ax.collections
    rates, lower, upper = curve.outline
    corners = {tuple(corner) for corner in area.get_paths()[0].vertices}
    assert set(zip(rates, lower, strict=True)) | set(zip(rates, upper, strict=True)) <= corners
    plot_frontier(frontier(toy_source().p), ax=ax)
    assert ax.get_ylabel() == "distortion D (nats)"


def test_plot_of_a_local_search_is_a_staircase():
    points = frontier(HALF, cost=HAMMING, betas=[0.2, 1, 3]).points
    ax = plot_frontier(Frontier(points, convex=False))
    assert ax.lines[0].get_drawstyle() == "steps-post"


def test_frontier_does_not_import_matplotlib():
    code = "import sys, toyrd.frontier; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_workers_runs(capsys):
    example("workers").main(["--symbols", "20", "--processes", "1"])
    assert "over 1 processes" in capsys.readouterr().out


def test_the_benchmark_runs(tmp_path, capsys):
    output = tmp_path / "speed.png"
    example("benchmark_rate_distortion").main(["--quick", "--output", str(output)])
    text = capsys.readouterr().out
    assert "points certified at 1e-10, toyrd           4 of 4" in text
    assert output.exists()


def test_a_frontier_keeps_its_decoder_and_stays_read_only_in_copies():
    """Neither the user's table nor a copy can change what was computed."""
    d = np.array([[0.9, 0.1], [0.1, 0.9]])
    curve = frontier([0.5, 0.5], decoder=d, betas=[0.5, 1])
    d[:] = 0.5
    assert pytest.approx(curve.D[0], abs=1e-12) == curve[0].model.D
    for twin in (copy.deepcopy(curve), pickle.loads(pickle.dumps(curve))):
        for array in (twin.R, twin.decoder, *twin.outline, twin.points[0].cost):
            assert not array.flags.writeable


def test_a_map_that_loses_points_is_told():
    with pytest.raises(ValueError, match="workers gave 0 points for 3 values of beta"):
        frontier([0.5, 0.5], betas=[1, 2, 3], workers=lambda *_: [])
