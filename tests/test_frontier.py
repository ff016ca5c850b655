"""Frontiers: closed forms lie in the sandwich, order and workers change nothing."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import BERGER, BINARY, ERASING, HALF, INF, TOY, DeadlyDecoder
from scipy.optimize import brentq
from scipy.special import entr

from toyrd import (
    BernoulliDecoder,
    ConvergenceWarning,
    GaussianDecoder,
    Model,
    bars_and_stripes,
    entropy,
    frontier,
    rate_distortion,
    solve,
)
from toyrd.curve import Solution, Status
from toyrd.frontiers import ABSENT, remember, solve_chain
from toyrd.testing import distributions

law = settings(deadline=None, max_examples=30)
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
FIVE = np.array([0.05, 0.3, 0.1, 0.15, 0.4])


def binary_rate(D):
    return np.log(2) - entr(D) - entr(1 - D)


def binary_distortion(R):
    return brentq(lambda D: binary_rate(D) - R, 0, 0.5, xtol=1e-16)


def squared_error(n):
    x = np.linspace(0, 1, n)
    p = 1 + x + np.sin(9 * x) ** 2
    return p / p.sum(), (x[:, None] - x) ** 2


@st.composite
def sweeps(draw):
    """Draw p, a cost table with ties and repeated columns, and betas from 0 to ∞."""
    p = draw(distributions(max_size=4, smallest=1e-9))
    n_z = draw(st.integers(1, 4))
    entries = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 7.0])
    row = st.lists(entries, min_size=n_z, max_size=n_z)
    cost = draw(st.lists(row, min_size=p.size, max_size=p.size))
    beta = st.sampled_from([0.0, 0.03, 0.2, 0.5, 1.0, 3.0, 20.0, INF])
    return p, np.array(cost), draw(st.lists(beta, min_size=1, max_size=6))


# Closed forms


def test_points_of_the_binary_source_are_those_of_the_closed_form():
    """D = 1/(1 + e^{1/β}), R = log 2 − h(D)."""
    betas = np.array([0.05, 0.3, 1, 4])
    curve = frontier(HALF, cost=BINARY, betas=betas)
    D = 1 / (1 + np.exp(1 / betas))
    np.testing.assert_array_equal(curve.betas, betas)
    np.testing.assert_allclose(curve.D, D, rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.R, binary_rate(D), rtol=0, atol=1e-9)
    np.testing.assert_allclose(curve.objective, D + betas * binary_rate(D), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spacing", [0.3, 0.01, 1e-4])
def test_sandwich_holds_the_closed_form_and_is_as_narrow_as_asked(spacing):
    """lower ≤ D(R) ≤ upper."""
    curve = frontier(HALF, cost=BINARY, spacing=spacing, n=1000)
    assert curve.width <= spacing
    rates = np.linspace(0, np.log(2), 101)
    exact = np.array([binary_distortion(rate) for rate in rates])
    lower, upper = curve.bounds_at(rates)
    assert (lower - 1e-12 <= exact).all()
    assert (exact <= upper + 1e-12).all()
    # In units of both ranges, a chord that is close across may be far upwards where it is steep.
    steep = np.maximum(1, np.gradient(exact, rates) * -np.log(2) / 0.5)
    assert (upper - exact <= 0.5 * spacing * np.sqrt(2) * steep * 1.1 + 1e-12).all()


def test_what_is_interpolated_is_attained():
    """A mixture of two points has R ≤ r and D ≤ distortion_at(r), and rate_at leads back to r."""
    curve = frontier(HALF, cost=BINARY, betas=[0.2, 0.4, 0.8])
    rates = np.linspace(curve.R.min(), curve.R.max(), 9)
    D = curve.distortion_at(rates)
    np.testing.assert_allclose(curve.rate_at(D), rates, rtol=0, atol=1e-12)
    for rate, most in zip(rates, D, strict=True):
        i = max(1, int(np.searchsorted(-curve.R, -rate)))
        share = (curve.R[i - 1] - rate) / (curve.R[i - 1] - curve.R[i])
        e = (1 - share) * curve[i - 1].e + share * curve[i].e
        mixed = Model(HALF, e, np.eye(2), HALF @ e)
        assert rate + 1e-12 >= mixed.R
        assert (HALF[:, None] * e * BINARY).sum() == pytest.approx(most, abs=1e-12)


def test_a_straight_frontier_takes_three_points_and_is_exact():
    """D = 0.3 (1 − R / log 2)."""
    curve = frontier(HALF, cost=ERASING, spacing=1e-12)
    assert len(curve) == 3
    assert curve.betas[1] == pytest.approx(0.3 / np.log(2), abs=1e-12)
    rates = np.linspace(0, np.log(2), 7)
    for D in (curve.distortion_at(rates), *curve.bounds_at(rates)):
        np.testing.assert_allclose(D, 0.3 * (1 - rates / np.log(2)), rtol=0, atol=1e-12)


def test_bounds_meet_on_a_straight_piece():
    """Berger: D jumps from 0.13 to 0.30 at one β."""
    curve = frontier(HALF, cost=BERGER, spacing=1e-5, n=1000)
    assert curve.width <= 1e-5
    assert np.diff(np.sort(curve.D)).max() > 0.1
    for rate in (0.05, 0.1, 0.2):
        lower, upper = curve.bounds_at(rate)
        assert lower - 1e-9 <= rate_distortion(HALF, BERGER, rate=rate).D <= upper + 1e-9
        assert upper - lower < 1e-5


def test_with_all_tables_free_the_frontier_is_the_line_of_slope_minus_one():
    """D = H − R, and R ≤ log n_z."""
    curve, H = frontier(TOY.p), entropy(TOY.p)
    assert curve.width < 1e-12
    rates = np.linspace(0, H * (1 - 1e-12), 5)
    np.testing.assert_allclose(curve.distortion_at(rates), H - rates, atol=1e-12)
    assert curve.rate_at(1.0) == pytest.approx(H - 1)
    assert frontier(TOY.p, n_z=4).R.max() <= np.log(4)


# Laws


@law
@given(sweeps())
def test_bounds_hold_for_any_encoder_and_what_is_attained_lies_between(problem):
    """lower ≤ D of any e at its R; lower ≤ D(R) ≤ upper; distortion_at falls and inverts."""
    p, cost, betas = problem
    curve = frontier(p, cost=cost, betas=betas)
    e = np.random.default_rng(0).dirichlet(np.full(cost.shape[1], 0.3), size=(20, p.size))
    joint = p[:, None] * e
    R = (joint * np.log(np.maximum(e, 1e-300) / np.maximum(p @ e, 1e-300)[:, None])).sum((1, 2))
    assert (curve.bounds_at(np.maximum(R, 0))[0] <= (joint * cost).sum((1, 2)) + 1e-9).all()
    most = rate_distortion(p, cost, beta=0.0).R
    for rate in np.linspace(curve.R.min(), curve.R.max(), 3):
        target = {"rate": min(rate, most)} if rate else {"beta": INF}
        lower, upper = curve.bounds_at(rate)
        assert lower - 1e-8 <= rate_distortion(p, cost, **target).D <= upper + 1e-8
    rates = np.linspace(curve.R.min(), curve.R.max(), 9)
    D, (lower, upper) = curve.distortion_at(rates), curve.bounds_at(rates)
    assert ((lower - 1e-9 <= D) & (upper + 1e-9 >= D)).all()
    assert (np.diff(D) <= 1e-9).all()
    wanted = np.linspace(curve.D.min(), curve.D.max(), 9)
    back = curve.distortion_at(np.clip(curve.rate_at(wanted), curve.R.min(), curve.R.max()))
    # Where D falls without R changing, as at β = ∞, the inverse has a jump to make.
    assert (back <= wanted + 1e-6).all() or np.ptp(curve.R) < 1e-6


@law
@given(sweeps())
def test_order_and_repetition_of_betas_change_nothing(problem):
    p, cost, betas = problem
    curve = frontier(p, cost=cost, betas=betas)
    np.testing.assert_array_equal(curve.betas, betas)
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
    assert (np.diff(curve.betas) > 0).all()
    assert (np.diff(curve.R) <= 1e-8).all()
    assert (np.diff(curve.D) >= -1e-8).all()
    assert (curve.betas[0], curve.betas[-1]) == (0, INF)
    assert len(frontier(p, cost=cost, n=2)) == 2


def test_the_scale_of_the_cost_does_not_matter():
    p, cost = squared_error(9)
    curve = frontier(p, cost=cost, spacing=0.02, tol=1e-13)
    for scale in (2.0**-300, 2.0**300):
        other = frontier(p, cost=cost * scale, spacing=0.02, tol=1e-13)
        assert len(other) == len(curve)
        np.testing.assert_allclose(other.R, curve.R, rtol=0, atol=1e-4)
        np.testing.assert_allclose(other.objective, curve.objective * scale, rtol=1e-9)


# The sequence


def test_a_frontier_is_a_sequence_of_read_only_solutions():
    p, cost = squared_error(6)
    curve = frontier(p, cost=cost, betas=[1, 0.1, 3])
    assert [point.beta for point in curve] == [1, 0.1, 3]
    assert all(isinstance(point, Solution) for point in curve.points)
    assert curve[-1].beta == 3
    part = curve[1:]
    assert (len(part), part.betas.tolist()) == (2, [0.1, 3])
    for name in ("betas", "R", "D", "objective", "lower_bound", "gap", "converged"):
        assert not getattr(curve, name).flags.writeable
        assert getattr(curve, name).tolist() == [
            getattr(point, "beta" if name == "betas" else name) for point in curve
        ]
    with pytest.raises(IndexError):
        curve[3]
    with pytest.raises(TypeError):
        curve["first"]
    assert repr(curve).startswith("Frontier(3 points, 3 converged\n  beta = 0.1 to 3\n")
    assert "units of cost" in repr(curve)
    assert curve.unit == "units of cost"
    assert frontier(p, betas=[1]).unit == "nats"


def test_the_numbers_are_columns_of_a_table():
    """D + βR in each row; in bits rates, and the D of a decoder, are divided by log 2."""
    curve = frontier(HALF, decoder=[[0.9, 0.1], [0.2, 0.8]], betas=[0.5, 1])
    nats, bits = curve.to_dict(), curve.to_dict(unit="bits")
    np.testing.assert_allclose(nats["objective"], np.add(nats["D"], nats["beta"] * curve.R))
    np.testing.assert_allclose(np.multiply(bits["D"], np.log(2)), nats["D"])
    np.testing.assert_allclose(np.multiply(bits["R"], np.log(2)), nats["R"])
    assert nats["status"] == ["certified"] * 2


def test_one_point_interpolates_itself():
    curve = frontier(HALF, cost=BINARY, betas=[0.5])
    assert curve.width == 0
    assert curve.distortion_at(curve.R[0]) == curve.D[0]
    assert curve.rate_at([curve.D[0]]) == curve.R


def test_a_frontier_keeps_its_decoder_and_stays_read_only_in_copies():
    """Neither the user's table nor a copy can change what was computed."""
    d = np.array([[0.9, 0.1], [0.1, 0.9]])
    curve = frontier(HALF, decoder=d, betas=[0.5, 1])
    d[:] = 0.5
    assert pytest.approx(curve.D[0], abs=1e-12) == curve[0].model.D
    for twin in (copy.deepcopy(curve), pickle.loads(pickle.dumps(curve))):
        for array in (twin.R, twin[0].d, *twin.outline, twin[0].cost, twin[1].m):
            assert not array.flags.writeable
        np.testing.assert_array_equal(twin.R, curve.R)


# Decoders and families


def test_a_decoder_table_gives_what_solve_gives():
    d = TOY.true_model().d
    curve = frontier(TOY.p, decoder=d, betas=[1.5, 0.7])
    for beta, found in zip([1.5, 0.7], curve, strict=True):
        single = solve(TOY.p, beta=beta, decoder=d)
        assert found.objective == pytest.approx(single.objective)
        np.testing.assert_array_equal(found.d, d)
    own = TOY.true_model(2).d  # without the rows of unused latents, which fit p as well
    assert frontier(TOY.p, decoder=own, betas=[1]).D[0] == pytest.approx(
        TOY.true_model().D, abs=1e-6
    )


def test_a_fixed_marginal_is_convex_too():
    """R = Σ p e log(e/m) with that m, never below the curve of a free one."""
    p, cost = squared_error(12)
    marginal = np.full(12, 1 / 12)
    curve = frontier(p, cost=cost, marginal=marginal, spacing=1e-3)
    assert curve.convex
    assert curve.width <= 1e-3
    for point in curve:
        np.testing.assert_allclose(point.m, marginal, rtol=0, atol=1e-15)
        waste = (p[:, None] * point.e * np.log(np.where(point.e > 0, point.e, 1) / marginal)).sum()
        assert pytest.approx(waste, abs=1e-9) == point.R
    rates = np.linspace(0.1, 1.5, 5)
    free = frontier(p, cost=cost, spacing=1e-3)
    assert (free.bounds_at(rates)[0] <= curve.distortion_at(rates) + 1e-12).all()


def test_a_family_solved_globally_gives_solutions_with_their_rows():
    family = GaussianDecoder(5)
    curve = frontier(FIVE, decoder=family, betas=[1.2, 2], workers=map)
    assert curve.convex
    assert (curve.gap <= 1e-8).all()
    assert (curve.lower_bound >= entropy(FIVE) - 1e-8).all()
    for found in curve:
        rows = np.exp(family.log_rows(found.parameters))
        np.testing.assert_allclose(found.d, rows, rtol=0, atol=1e-12)
        single = solve(FIVE, beta=found.beta, decoder=family)
        assert found.objective == pytest.approx(single.objective, abs=2e-8)


class Unproven:
    """Gaussian rows without their bound."""

    def __init__(self, n):
        for name in ("n_x", "box", "log_rows", "fit", "slopes", "dictionary"):
            setattr(self, name, getattr(GaussianDecoder(n), name))


def test_a_family_without_a_bound_is_said_to_be_unproven():
    curve = frontier(FIVE, decoder=Unproven(5), betas=[1.2])
    assert curve[0].status is Status.SEARCHED
    assert "not proven" in repr(curve)
    assert "not proven" not in repr(frontier(FIVE, decoder=GaussianDecoder(5), betas=[1.2]))


def test_a_local_search_claims_no_chords():
    """The upper bound is a staircase, and the tangents are those of entropy."""
    source = bars_and_stripes(2, flip=0.1)
    options = {"decoder": BernoulliDecoder(source.images), "n_z": 5, "rng": 0, "tol": 1e-4}
    curve = frontier(source.p, n=5, starts=1, **options)
    assert not curve.convex
    assert "local: chords prove nothing" in repr(curve)
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
    again = frontier(source.p, n=5, starts=1, **options)
    np.testing.assert_array_equal(again.R, curve.R)


def test_a_free_decoder_with_a_fixed_marginal_is_searched_locally():
    p = np.array([0.5, 0.3, 0.2])
    curve = frontier(p, marginal=[0.25] * 4, betas=[0.5, 2], rng=1, tol=1e-6)
    assert not curve.convex
    np.testing.assert_allclose(curve[0].m, 0.25)
    assert curve.objective[1] == pytest.approx(entropy(p), abs=1e-6)  # R = 0 and D = H


# Workers, callbacks, warnings


@pytest.mark.parametrize("workers", [map, 2, "threads"])
@pytest.mark.parametrize("betas", [np.geomspace(1, 1e-3, 9), None])
def test_workers_give_what_one_gives(workers, betas):
    """Processes, threads or any map: the same points, read-only."""
    p, cost = squared_error(12)
    options = {"cost": cost, "betas": betas, "spacing": 0.02}
    alone = frontier(p, **options)
    with ThreadPoolExecutor(2) as executor:
        chosen = executor.map if workers == "threads" else workers
        spread = frontier(p, workers=chosen, **options)
    np.testing.assert_allclose(spread.betas, alone.betas, rtol=1e-6)
    np.testing.assert_allclose(spread.objective, alone.objective, rtol=0, atol=1e-9)
    for point in spread:
        assert not any(table.flags.writeable for table in (point.m, point.e, point.history))
        np.testing.assert_allclose(point.e.sum(axis=1), 1)


def test_a_worker_sends_back_no_table_that_its_curve_holds():
    curve = frontier(HALF, cost=BINARY, betas=[1]).curve
    remember(curve)
    (sent,) = pickle.loads(pickle.dumps(solve_chain([(0.5, None)])))
    assert sent.p is sent.cost is sent.decoder is ABSENT
    found = frontier(HALF, cost=BINARY, betas=[0.5], workers=lambda *task: [[sent]])
    assert found[0].cost is found.curve.cost
    assert found[0].p is found.curve.p
    np.testing.assert_array_equal(found[0].e, curve.at(0.5).e)


def test_workers_of_a_local_search_repeat_its_seeds():
    p = np.array([0.5, 0.3, 0.2])
    alone, spread = (frontier(p, n_z=2, betas=[0.5, 2], workers=n) for n in (1, -1))
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one.e, other.e)
        for array in (other.e, other.d, other.parameters, other.history):
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


def test_a_worker_that_dies_is_an_error_at_once():
    """No hang, and no process left; far more workers than points are as many as points."""
    with pytest.raises(RuntimeError, match="worker"):
        frontier(FIVE, decoder=DeadlyDecoder(5), betas=np.arange(1, 20), workers=2)
    assert multiprocessing.active_children() == []
    many = frontier(HALF, cost=BINARY, betas=[0.5, 1], workers=10**6)
    np.testing.assert_allclose(many.D, frontier(HALF, cost=BINARY, betas=[0.5, 1]).D)


def test_callback_counts_every_point_once():
    seen = []
    curve = frontier(HALF, cost=BINARY, spacing=0.1, callback=lambda *step: seen.append(step))
    assert [done for done, _ in seen] == list(range(1, len(curve) + 1))
    assert sorted(point.beta for _, point in seen) == list(curve.betas)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_warning_says_what_to_do(workers):
    p, cost = squared_error(120)
    with pytest.warns(ConvergenceWarning, match="raise max_iter or tol") as caught:
        curve = frontier(p, cost=cost, betas=[0.001, 0.002, 1], max_iter=1, workers=workers)
    assert [warning.filename for warning in caught] == [__file__]
    left = np.flatnonzero(~curve.converged)
    assert f"{left.size} of 3 points did not converge" in str(caught[0].message)
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
        ({"n": 10**9}, ValueError, "n is 1000000000"),
        ({"spacing": -1}, ValueError, "spacing is -1.0"),
        ({"tol": 0}, ValueError, "tol is 0.0"),
        ({"max_iter": 0}, ValueError, "max_iter is 0"),
        ({"workers": 0}, ValueError, "workers is 0, but must be at least 1, or -1"),
        ({"workers": -2}, ValueError, "workers is -2"),
        ({"workers": 2.0}, TypeError, "workers must be an integer"),
        ({"workers": None}, TypeError, "workers must be an integer"),
        ({"decoder": [HALF, HALF]}, ValueError, "cost"),
        ({"marginal": [0.5, 0.3, 0.2]}, ValueError, r"latents \(cost: 2, marginal: 3\)"),
        ({"n_z": 3}, ValueError, r"latents \(n_z: 3, cost: 2\)"),
        ({"cost": [[0, np.nan], [1, 0]]}, ValueError, r"cost\[0, 1\] is nan"),
        ({"cost": [[0, 1]]}, ValueError, "cost must have one row for each"),
        (
            {"betas": [1, 2, 3], "workers": lambda *_: []},
            ValueError,
            "workers gave 0 points for 3",
        ),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        frontier(HALF, **{"cost": BINARY, **options})


def test_what_was_not_computed_is_not_made_up():
    curve = frontier(HALF, cost=BINARY, betas=[0.3, 1])
    with pytest.raises(ValueError, match=r"rate\[1\] is 0\.69, but must lie in .* add betas"):
        curve.distortion_at([0.2, 0.69])
    for call, wrong, named in (
        (curve.rate_at, 0.6, r"distortion is 0\.6"),
        (curve.bounds_at, -0.1, r"rate is -0\.1"),
        (curve.bounds_at, INF, "rate is inf"),
    ):
        with pytest.raises(ValueError, match=named):
            call(wrong)
    lower, upper = curve.bounds_at(curve.R.min() / 2)
    assert upper == INF
    assert lower > curve.D.max()
    assert curve.bounds_at(np.log(2))[1] == curve.D.min()


def test_a_frontier_does_not_import_matplotlib():
    code = "import sys, toyrd; toyrd.frontier([1.0]); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
