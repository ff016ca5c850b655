"""A frontier spread over the processes of a Dask cluster. Needs the extra `dask`."""

import numpy as np
import pytest

from toyrd import ConvergenceWarning, frontier

distributed = pytest.importorskip("dask.distributed", reason="install the extra dask")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning",  # of Dask's own libraries
    "ignore:Port .* is already in use:UserWarning",
)


@pytest.fixture(scope="module")
def client():
    """A client of two processes on this machine, without its web page."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def mapped(client):
    """A map over the cluster, the line that the README shows."""
    return lambda solve, chains: client.gather(client.map(solve, list(chains)))


def squared_error(n):
    x = np.linspace(0, 1, n)
    p = np.exp(-((x - 0.3) ** 2) / 0.05)
    return p / p.sum(), (x[:, None] - x) ** 2


def test_a_cluster_gives_the_frontier_of_one_process(mapped):
    p, cost = squared_error(20)
    betas = np.geomspace(1e-3, 1, 12)
    done = []
    spread = frontier(
        p, cost=cost, betas=betas, workers=mapped, callback=lambda *_: done.append(1)
    )
    alone = frontier(p, cost=cost, betas=betas)
    assert len(done) == 12
    assert spread.converged.all()
    assert np.abs(spread.objective - alone.objective).max() <= 1e-10
    assert (spread[3].cost == cost).all()
    assert not spread[3].cost.flags.writeable


def test_points_are_placed_over_a_cluster(mapped):
    p, cost = squared_error(12)
    spread = frontier(p, cost=cost, n=12, workers=mapped)
    alone = frontier(p, cost=cost, n=12)
    assert np.allclose(spread.betas, alone.betas, rtol=1e-6)


def test_what_a_cluster_could_not_finish_is_one_warning(mapped):
    p, cost = squared_error(120)
    with pytest.warns(ConvergenceWarning) as caught:
        frontier(p, cost=cost, betas=[0.001, 0.002, 1], max_iter=1, workers=mapped)
    assert len([one for one in caught if one.category is ConvergenceWarning]) == 1
