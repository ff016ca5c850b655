"""The paper's own protocol: Appendix E's small family, trained by exact gradients.

Notation: the aim of training is D + βR, or D + λ|R − R*|, or D + λ(R − R*)²; a run is one start
and what became of it. Every answer is local: what is proven is only a bound that holds for all
tables, free ones too, so that the gap says at once whether training reached the line D + R = H.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, as_count, as_number
from .descent import OPTIMISERS, Aim, Plan, Track
from .gradients import Gradients
from .quadratic import AppendixE
from .solution import ConvergenceWarning, Solution, as_history

__all__ = ["AppendixE", "train", "train_all"]

_FINITE = float(np.finfo(np.float64).max)


def train(p: ArrayLike, **options: Any) -> Solution:
    """Train one Appendix E model: `train_all` with one restart, whose options it takes.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    **options
        As for `train_all`: `beta` or `rate`, `rng` and so on.

    Returns
    -------
    Solution
        A local answer. ``lower_bound`` and ``gap`` are global, over all tables.

    Raises
    ------
    ValueError, TypeError
        As `train_all`.

    Examples
    --------
    >>> solution = train([0.5, 0.25, 0.25], beta=1, rng=0, steps=2000)
    >>> bool(0 <= solution.gap < 1e-3), solution.parameters.shape
    (True, (15,))
    """
    return train_all(p, 1, **options)[0]


def train_all(
    p: ArrayLike,
    restarts: int,
    *,
    beta: float | None = None,
    rate: float | None = None,
    penalty: str = "absolute",
    weight: float = 1.0,
    n_z: int | None = None,
    decoder: str = "output",
    optimiser: str = "adam",
    steps: int = 10_000,
    step_size: float | None = None,
    scale: float = 1.0,
    spread: float = 0.3,
    rng: int | np.random.Generator | None = None,
    every: int = 100,
    callback: Callable[[int, float], object] | None = None,
) -> list[Solution]:
    r"""Train Appendix E models from several starts, on all of p at every step.

    The aim is D + βR if `beta` is given, and D + λ|R − R*| if `rate` is. For the paper's λ = 1
    the latter is D + R − R* above R*: the ELBO again, indifferent along the line D + R = H. So
    an overshoot of R* is hardly taken back: small steps meet R* best. λ > 1 makes R* the only
    best rate; the square settles at R* + 1/(2λ), and is the one for L-BFGS, which gets stuck at
    the kink of the absolute value.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution, such as the frequencies of `empirical`; zeros are allowed.
    restarts : int
        Number of starts.
    beta : float
        Weight of the rate, β ≥ 0; give either this or `rate`.
    rate : float
        Target R*, in nats.
    penalty : {"absolute", "squared"}
        For a `rate`: λ|R − R*|, the paper's, or λ(R − R*)².
    weight : float
        For a `rate`: λ.
    n_z : int, optional
        Number of latents; by default n_x.
    decoder : {"output", "latent"}
        Whether the decoder's parameters belong to x or to z; see `AppendixE`.
    optimiser : {"adam", "l-bfgs"}
        Adam (Kingma and Ba, 2015) takes all restarts together as one batch; L-BFGS is SciPy's.
    steps : int
        Gradient steps of Adam, or the most iterations of L-BFGS.
    step_size : float, optional
        Of Adam, at the first step; it falls to 0 along half a cosine. By default 0.2 for a
        `beta` and 0.008 for a `rate`, which were found to reach collapse and R* on the toy.
    scale : float
        Largest input; x and z run from 0 to it.
    spread : float
        The starts are drawn from N(0, spread²).
    rng : int or numpy.random.Generator, optional
        Seed or generator of the starts.
    every : int
        A row of history is recorded every so many steps, and at the last.
    callback : callable, optional
        Called as ``callback(steps, objective)`` with each row of history of Adam, or as
        ``callback(runs, objective)`` after each run of L-BFGS; the objective is the lowest yet.

    Returns
    -------
    list of Solution
        One for each start: the best iterate that it met, with the global ``lower_bound`` of all
        tables, the ``history`` of recorded steps, and flat ``parameters`` for
        ``AppendixE(...).model``. ``converged`` tells that Adam took its steps and ended below
        its start, or that L-BFGS met its own tolerance. For a `rate`, ``beta`` is the
        multiplier that comes nearest to ∇D + β∇R = 0.

    Raises
    ------
    ValueError
        If `p` is not a distribution, not exactly one of `beta` and `rate` is given, a number
        is out of range, a name is not known, or a start overflows.
    TypeError
        If an argument is not of its kind.

    Warns
    -----
    ConvergenceWarning
        Once, if a run diverged or stopped short; its solution is the best iterate.

    Examples
    --------
    >>> runs = train_all([0.5, 0.25, 0.25], 3, rate=0.5, rng=0, steps=2000)
    >>> [bool(abs(run.model.R - 0.5) < 1e-2) for run in runs]
    [True, True, True]

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E; the 10,000 steps are those of
    Alemi and Fischer, *TherML* (2018). Neither states optimiser, step size or start.
    """
    aim = _aim(beta, rate, penalty, weight)
    family = AppendixE(p, n_z=n_z, decoder=decoder, scale=scale)
    start = family.start(as_count("restarts", restarts), spread=spread, rng=rng)
    if optimiser not in OPTIMISERS:
        raise ValueError(f"optimiser is {optimiser!r}, but must be one of {tuple(OPTIMISERS)}")
    if step_size is None:
        step_size = 0.008 if beta is None else 0.2
    plan = Plan(
        steps=as_count("steps", steps),
        step_size=as_number("step_size", step_size, low=0, high=_FINITE, open_low=True),
        every=as_count("every", every),
        tell=callback or (lambda *_: None),
    )
    with np.errstate(all="ignore"):  # a run that overflows is reported in words
        tracks = OPTIMISERS[optimiser](family, aim, start, plan)
    _warn(tracks)
    return [_solution(family, aim, track) for track in tracks]


def _aim(beta: float | None, rate: float | None, penalty: str, weight: float) -> Aim:
    if (beta is None) == (rate is None):
        raise ValueError("give exactly one of beta and rate")
    if beta is not None:
        return Aim("none", weight=as_number("beta", beta, low=0, high=_FINITE))
    if penalty not in ("absolute", "squared"):
        raise ValueError(f"penalty is {penalty!r}, but must be 'absolute' or 'squared'")
    return Aim(
        penalty,
        rate=as_number("rate", rate, low=0, high=_FINITE),
        weight=as_number("weight", weight, low=0, high=_FINITE, open_low=True),
    )


def _warn(tracks: Sequence[Track]) -> None:
    """Warn once of all runs that did not converge."""
    bad = Counter(track.message.split(",")[0] for track in tracks if not track.converged)
    if bad:
        what = "; ".join(f"{count} of {len(tracks)} runs: {text}" for text, count in bad.items())
        warnings.warn(
            f"{what}. Their best iterates are returned, with converged=False; "
            "see each message for what to do",
            ConvergenceWarning,
            stacklevel=3,
        )


def _solution(family: AppendixE, aim: Aim, track: Track) -> Solution:
    model = family.model(track.best)
    objective = float(aim.value(model.D, model.R))
    bound = aim.lower_bound(model.H, model.n_z)
    parameters = track.best.copy()
    parameters.flags.writeable = False
    return Solution(
        model=model,
        beta=aim.weight if aim.penalty == "none" else _multiplier(family, track.best),
        objective=objective,
        lower_bound=bound,
        gap=objective - bound,
        iterations=track.iterations,
        converged=track.converged,
        message=f"a local answer: {track.message}. The gap is to the bound for all tables",
        history=as_history(track.history),
        parameters=parameters,
    )


@np.errstate(all="ignore")  # normalisers that underflow are shifted
def _multiplier(family: AppendixE, parameters: Array) -> float:
    """Return the β that brings ∇D + β∇R nearest to 0; 0 where R is stationary."""
    engine = Gradients(family, 1)
    engine.parameters[0] = parameters
    slopes = []
    for slope in (0.0, 1.0):
        engine.forward()
        slopes.append(engine.backward(slope)[0].copy())
    of_rate = slopes[1] - slopes[0]
    square = float(of_rate @ of_rate)
    return -float(slopes[0] @ of_rate) / square if square > 0 else 0.0
