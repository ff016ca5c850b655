"""Appendix E: the paper's own small family, trained by exact gradients.

Notation: x_j and z_i are evenly spaced inputs from 0 to `scale`; a run is one start and what
became of it, with one row of parameters: encoder weights and offsets (w, b), decoder weights
and offsets, logits of m. Training lowers D + βR, D + λ|R − R*| or D + λ(R − R*)². Tables are
logarithms, log e and log d at [x, z], and may have an axis of runs in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import xlogy

from . import checks
from .checks import Array, Tell
from .curve import Solution, Status, Target, as_history, warn
from .model import SMALLEST, Model

__all__ = ["AppendixE", "train", "train_all"]

Tables = NDArray[Any]  # complex ones too, for derivatives by a complex step
Pair = tuple[Tables, Tables]
Slope = Callable[[Tables], Any]

_FINITE = float(np.finfo(np.float64).max)
_BOUND = "; the gap is to the bound for all tables"
_SAFE = 600.0**2  # exp(±600) is far from over- and underflow
_STILL = 1e-28  # squared length at which ∇R is rounding


def slopes(p: Array, e: Pair, d: Pair, m: Pair, slope: Slope) -> tuple[Tables, ...]:
    r"""Compute D and R, and the gradients in log e, log d and log m of D + slope(R)·R.

    Each table is a pair, its logarithms and itself. The slope is held fixed, and the gradients
    are those in unnormalised logarithms. With J = p e, the induced marginal e(z) and
    C = slope log(e/m) − log d they are closed forms:

    .. math:: J (C - Σ_z e C), \quad e(z) d - J, \quad slope (m - e(z)).
    """
    joint, C, e_z = p[:, None] * e[1], e[0] - m[0][..., None, :], p @ e[1]
    rows = e[1][..., None, :]  # a product with each log is its mean over z at x
    spent, told = ((rows @ log[..., None])[..., 0, 0] for log in (d[0], C))
    D, R = -(spent @ p), told @ p
    weight = np.asarray(slope(R))[..., None]
    C *= weight[..., None]
    C -= d[0]
    C -= (weight * told - spent)[..., None]
    C *= joint
    of_d = e_z[..., None, :] * d[1]
    of_d -= joint
    return D, R, C, of_d, weight * (m[1] - e_z)


def softmax(logits: Tables, axis: int = -1) -> Pair:
    """Return exp(logits) normalised over an axis, after its logarithms.

    What overflows is done again, shifted: call it where numpy is silent about that.
    """
    table, total, log = _exponentials(logits, axis)
    if not np.vdot(log, log).real < _SAFE:  # a bound on the square of each
        logits = logits - logits.real.max(axis=axis, keepdims=True)
        table, total, log = _exponentials(logits, axis)
    table *= 1 / total
    return logits - log, table


def _exponentials(logits: Tables, axis: int) -> tuple[Tables, Tables, Tables]:
    """Return exponentials, their sums and the logarithms of these."""
    table = np.exp(logits)
    ones = np.ones((table.shape[axis], 1))  # a product with them is faster than a sum
    total = table @ ones if axis == -1 else ones.T @ table
    return table, total, np.log(total)


@dataclass(frozen=True)
class Aim:
    r"""What training lowers: D + weight · f(R).

    Parameters
    ----------
    penalty : {"none", "absolute", "squared"}
        f(R) is R (where the weight is β), |R − rate| (the paper's), or (R − rate)².
    rate : float
        Target R*, in nats; 0 without a penalty.
    weight : float
        β, or the λ of the penalty.

    Examples
    --------
    >>> Aim("absolute", rate=0.5).value(2.0, np.array([0.25, 0.5]))
    array([2.25, 2.  ])

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E: D + |R* − R|.
    """

    penalty: str
    rate: float = 0.0
    weight: float = 1.0

    def value(self, D: Any, R: Any) -> Any:
        """Return the aim's value; real or complex, scalars or arrays."""
        share = 0.5 if self.penalty == "squared" else 1.0
        return D + share * self.slope(R) * (R - self.rate)

    def slope(self, R: Any) -> Any:
        """Return the derivative in R, at the kink of |R − rate| 0."""
        if self.penalty == "none":
            return self.weight
        away = R - self.rate
        return self.weight * (2 * away if self.penalty == "squared" else np.sign(away.real))

    def lower_bound(self, H: float, n_z: int) -> float:
        """Bound the aim from below over all tables, from D ≥ H − I, I ≤ R and I ≤ log n_z.

        The bound H − min(R, H, log n_z) + weight · f(R) is convex in R, so its least
        value is at an end, a kink or the stationary point of the square.

        Examples
        --------
        >>> [Aim("none", weight=beta).lower_bound(2.0, 30) for beta in (0.5, 4.0)]
        [1.0, 2.0]
        >>> Aim("absolute", rate=0.5).lower_bound(2.0, 30)  # H − R*
        1.5
        """
        most = min(H, math.log(n_z))
        stationary = self.rate + 0.5 / self.weight if self.weight else 0.0
        rates = np.array([0.0, most, self.rate, min(stationary, most)])
        return float(self.value(H - np.minimum(rates, most), rates).min())


class AppendixE:
    r"""The family: 2 parameters for each output of the encoder and decoder, and a free marginal.

    .. math:: e(z_i|x_j) ∝ e^{-(w_i x_j - b_i)^2}, \quad d(x_j|z_i) ∝ e^{-(w_j z_i - b_j)^2},
              \quad m = \mathrm{softmax}(\text{logits})

    The decoder has two readings. ``"latent"`` is what the paper prints, parameters for each z:
    d(x_j|z_i) ∝ exp(−(w_i x_j − b_i)²). In ``"output"``, the default, they belong to what comes
    out, as in the encoder, whose form the decoder is said to share. The print is the evidence
    for the former. Against it: its rows are discretised Gaussians, with one mode, and all the
    decoder rows of the paper's Figure 2b have two; and with it the ELBO does not collapse (Adam
    ended at R = 0.50 to 0.58 from 50 starts, near the truth), where the paper has R = 0.0002.
    The parameter count of TherML, 60 + 60 + 4 + 30 + 30, fits both: x and z have 30 values each.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution; symbols of probability 0 are allowed.
    n_z : int, optional
        Number of latents; by default n_x.
    decoder : {"output", "latent"}
        Whether the decoder's parameters belong to x (the default) or to z, as printed.
    scale : float
        Largest input: x and z run from 0 to it in equal steps.

    Raises
    ------
    ValueError
        If `p` is not a distribution, `n_z` < 1, `decoder` is not known or `scale` ≤ 0.

    Examples
    --------
    >>> family = AppendixE([0.5, 0.25, 0.25], n_z=2)
    >>> family
    AppendixE(n_x=3, n_z=2, decoder='output')
    >>> family.size  # two for each z, two for each x, one logit for each z
    12
    >>> family.model(np.zeros(12))
    Model(n_x=3, n_z=2: H=1.03972, D=1.09861, R=0, I=0, ELBO=-1.09861)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E and Figure 2; Alemi and Fischer,
    *TherML* (2018), the same toy.
    """

    def __init__(
        self, p: ArrayLike, *, n_z: int | None = None, decoder: str = "output", scale: float = 1.0
    ) -> None:
        self.p = checks.frozen(checks.as_distribution("p", p))
        self.n_x = self.p.size
        self.n_z = checks.as_count("n_z", self.n_x if n_z is None else n_z)
        self.decoder = checks.one_of("decoder", decoder, ("output", "latent"))
        top = checks.as_number("scale", scale, low=0, open_low=True)
        output, shape = decoder == "output", (self.n_x, self.n_z)
        self.size = 3 * self.n_z + 2 * shape[not output]
        # Columns (input, −1) times (w, b) give w·input − b.
        x, z = (np.stack([np.linspace(0, top, n), -np.ones(n)], axis=1) for n in shape)
        self.x, self.given = x, z if output else x
        self.back, self.back_given = -2 * self.x.T, -2 * self.given.T

    def __repr__(self) -> str:
        return f"AppendixE(n_x={self.n_x}, n_z={self.n_z}, decoder={self.decoder!r})"

    def split(self, parameters: Tables) -> tuple[Tables, ...]:
        """View parameters of shape (runs, size) as encoder (runs, 2, n_z), decoder and logits."""
        cut, pairs = 2 * self.n_z, (len(parameters), 2, -1)
        encoder, decoder = parameters[:, :cut], parameters[:, cut : -self.n_z]
        return encoder.reshape(pairs), decoder.reshape(pairs), parameters[:, -self.n_z :]

    def start(
        self, runs: int = 1, *, spread: float = 0.3, rng: int | np.random.Generator | None = None
    ) -> Array:
        """Draw starting parameters from N(0, spread²).

        Parameters
        ----------
        runs : int
            Number of rows.
        spread : float
            Standard deviation of every parameter.
        rng : int or numpy.random.Generator, optional
            Seed or generator.

        Returns
        -------
        numpy.ndarray, shape (runs, size)

        Raises
        ------
        ValueError
            If `runs` < 1 or `spread` < 0.

        Examples
        --------
        >>> AppendixE([0.5, 0.5]).start(3, rng=0).shape
        (3, 10)
        """
        shape = checks.as_count("runs", runs), self.size
        return checks.as_rng(rng).normal(0.0, checks.as_number("spread", spread, low=0), shape)

    @np.errstate(all="ignore")
    def tables(self, parameters: Tables) -> tuple[Tables, Tables, Pair, Pair, Pair]:
        """Return u and v, the terms w·input − b at [x, z], then e, d and m as for `slopes`."""
        encoder, decoder, logits = self.split(parameters)
        u = self.x @ encoder
        output = self.decoder == "output"
        v = decoder.swapaxes(1, 2) @ self.given.T if output else self.given @ decoder
        return u, v, softmax(-u * u), softmax(-v * v, axis=-2), softmax(logits)

    def descent(self, parameters: Tables, slope: Slope) -> tuple[Tables, ...]:
        """Compute D and R of each run, and the gradient of D + slope(R)·R by the chain rule."""
        u, v, e, d, m = self.tables(parameters)
        D, R, of_e, of_d, of_m = slopes(self.p, e, d, m, slope)
        of_e *= u
        of_d *= v
        if self.decoder == "output":
            of_d = of_d.swapaxes(1, 2)
        gradient = np.empty_like(parameters)
        of_encoder, of_decoder, of_logits = self.split(gradient)
        np.matmul(self.back, of_e, out=of_encoder)
        np.matmul(self.back_given, of_d, out=of_decoder)
        of_logits[:] = of_m
        return D, R, gradient

    def model(self, parameters: ArrayLike) -> Model:
        """Build the tables of one run.

        Parameters
        ----------
        parameters : array_like, shape (size,)
            Encoder weights and offsets, decoder weights and offsets, logits of m.

        Returns
        -------
        Model

        Raises
        ------
        ValueError
            If the shape is wrong or a table overflows.

        Examples
        --------
        >>> AppendixE([0.5, 0.5]).model([9, 9, 0, 9, 0, 0, 0, 0, 0, 0])
        Model(n_x=2, n_z=2: H=0.693147, D=0.693147, R=0.693147, I=0.693147, ELBO=-1.38629)
        """
        row = checks.as_array("parameters", parameters, ndim=1)
        checks.has_shape("parameters", row, (self.size,))
        e, d, m = (table[0] for _, table in self.tables(row[None])[2:])
        # The family has no zeros, so what underflows stops short of 0.
        return Model(self.p, *(np.maximum(table, SMALLEST) for table in (e, d.T, m)))


@dataclass(frozen=True)
class Training:
    """A family, what its training lowers to answer a target, for how long, and who is told."""

    family: AppendixE
    target: Target
    aim: Aim
    steps: int
    every: int
    tell: Tell

    def measures(self, parameters: Array) -> Array:
        """Compute D, R, I and the aim of each run, shape (runs, 4)."""
        p, (_, _, e, d, m) = self.family.p, self.family.tables(parameters)
        D, R = slopes(p, e, d, m, np.zeros_like)[:2]
        e_z = p @ e[1]
        waste = (xlogy(e_z, e_z) - e_z * m[0]).sum(axis=1)
        return np.stack([D, R, np.maximum(R - waste, 0), self.aim.value(D, R)], axis=1)

    def adam(self, start: Array, step_size: float) -> list[Solution]:
        """Run Kingma and Ba's algorithm 1 on all runs together, with a falling step size."""
        now, best, least = start.copy(), start.copy(), np.full(len(start), np.inf)
        first, second, rows = np.zeros_like(now), np.zeros_like(now), []
        for step in range(self.steps + 1):
            D, R, gradient = self.family.descent(now, self.aim.slope)
            value = self.aim.value(D, R)
            np.copyto(best, now, where=(value < least)[:, None])
            least = np.fmin(least, value)
            if step % self.every == 0 or step == self.steps:
                rows.append(self.measures(now))
                if step:
                    self.tell(step, float(least.min()))
                if not np.isfinite(value).any():
                    break
            first *= 0.9
            first += gradient
            second *= 0.999
            second += gradient * gradient
            size = step_size * (1 + math.cos(math.pi * step / self.steps)) / 2
            # The running means are kept as sums, and their constants put into two numbers.
            unit = math.sqrt(0.001 / (1 - 0.999 ** (step + 1)))
            size *= 0.1 / (1 - 0.9 ** (step + 1)) / unit
            now -= size * first / (np.sqrt(second) + 1e-8 / unit)
        paths = zip(best, np.stack(rows, axis=1), strict=True)
        return [self._adam_end(*one, step_size) for one in paths]

    def _adam_end(self, row: Array, path: Array, step_size: float) -> Solution:
        """Tell a run that went down from one that did not; what overflows stays not a number."""
        kept = path[np.isfinite(path).all(axis=1)]
        iterations, rise = min(len(kept) * self.every, self.steps), kept[-1, 3] - kept[0, 3]
        short = len(kept) < len(path)
        how = f"Adam ran its {self.steps} steps and has no test of convergence"
        if short or rise > 1e-9 * (1 + abs(kept[0, 3])):
            why = f"overflowed by step {iterations}" if short else "ended above its start"
            how = f"Adam {why}: this is its best iterate; take a step_size below {step_size:g}"
            return self.solution(row, kept, how, status=Status.STOPPED, iterations=iterations)
        return self.solution(row, kept, how, status=Status.LOCAL, iterations=iterations)

    def lbfgs(self, start: Array) -> Solution:
        """Run SciPy's L-BFGS from one start."""

        def both(row: Array) -> tuple[float, Array]:
            D, R, gradient = self.family.descent(row[None], self.aim.slope)
            return float(self.aim.value(D, R)[0]), gradient[0]

        most, path = self.steps, [start]
        options = {"maxiter": most, "maxfun": 20 * most, "ftol": 1e-12, "gtol": 1e-9}
        end = minimize(both, start, (), "L-BFGS-B", True, callback=path.append, options=options)
        history = self.measures(np.array([*path[: -1 : self.every], path[-1]]))
        how = {0: "met its tolerance", 1: f"stopped at its cap of {most} steps: raise steps"}
        why = how.get(end.status, "found no lower point along its line, as at a kink of |R* - R|")
        told = {"status": Status.STOPPED if end.status else Status.LOCAL}
        return self.solution(path[-1], history, f"L-BFGS {why}", iterations=len(path) - 1, **told)

    def solution(self, row: Array, path: Array, how: str, **told: Any) -> Solution:
        """Return what became of a run, with the bound for all tables."""
        model, target = self.family.model(row), self.target
        told["objective"] = float(self.aim.value(model.D, model.R))
        told |= {"bound": self.aim.lower_bound(model.H, model.n_z), "tol": 0.0}
        told["beta"] = target.value if target.name == "beta" else self.multiplier(row)
        told |= {"parameters": checks.frozen(row), "history": as_history(path)}
        return Solution.of_model(target, model, note=how + _BOUND, **told)

    def multiplier(self, row: Array) -> float:
        """Return the β ≥ 0 that brings ∇D + β∇R nearest to 0; 0 where R does not move."""
        of_D = self.family.descent(row[None], np.zeros_like)[2][0]
        of_R = self.family.descent(row[None], np.ones_like)[2][0] - of_D
        square = float(of_R @ of_R)
        return max(0.0, -float(of_D @ of_R) / square) if square > _STILL else 0.0


def train(
    p: ArrayLike,
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
    callback: Tell | None = None,
) -> Solution:
    """Train one Appendix E model: `train_all` with one restart, whose options these are.

    Parameters
    ----------
    p : array_like, shape (n_x,)
        Data distribution.
    beta, rate, penalty, weight
        What is lowered.
    n_z, decoder, scale
        The family, as for `AppendixE`.
    optimiser, steps, step_size, spread, rng
        How it is trained.
    every, callback
        What is recorded and told.

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

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), Appendix E.
    """
    return train_all(restarts=1, **locals())[0]  # all arguments, by their names


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
    callback: Tell | None = None,
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
        One for each start: the best iterate that it met, the recorded steps as ``history``, and
        flat ``parameters`` for ``AppendixE(...).model``. ``objective`` is what training lowers,
        and ``lower_bound`` is for all tables. A status of `LOCAL` tells only that Adam ran its
        steps and did not diverge (it has no test of convergence, and may stand on a plateau
        with a large ``gap``), or that L-BFGS met its own tolerance; else it is `STOPPED`. No
        run is `MISSED`, as a penalty asks for no exact rate. For a `rate`, ``beta`` is the
        multiplier β ≥ 0 that brings ∇D + β∇R nearest to 0: 0 where R does not move, or D rises
        with R, as at a run that is stuck below R*.

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
        Once, if a run stopped short; its solution is the best iterate.

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
    target = Target.of(beta=beta, rate=rate)
    aim = _aim(target, penalty, weight)
    family = AppendixE(p, n_z=n_z, decoder=decoder, scale=scale)
    starts = family.start(checks.as_count("restarts", restarts), spread=spread, rng=rng)
    checks.one_of("optimiser", optimiser, ("adam", "l-bfgs"))
    length = checks.as_count("steps", steps), checks.as_count("every", every)
    size = step_size if step_size is not None else 0.2 if rate is None else 0.008
    size = checks.as_number("step_size", size, low=0, high=_FINITE, open_low=True)
    tell = checks.as_callback(callback)
    training = Training(family, target, aim, *length, tell)
    # glibc gives the tables of each step back to the system, and fetches them again page by
    # page, until it has seen a larger block freed.
    np.empty(2**18)
    with np.errstate(all="ignore"):  # a run that overflows is reported in words
        if not np.isfinite(training.measures(starts)).all():
            raise ValueError("the aim is not finite at the start; take a smaller spread or scale")
        runs = training.adam(starts, size) if optimiser == "adam" else []
        for start in starts[len(runs) :]:
            runs.append(training.lbfgs(start))
            tell(len(runs), min(run.history["objective"][-1] for run in runs))
    stopped = [run.note.removesuffix(_BOUND) for run in runs if run.status is Status.STOPPED]
    if stopped:
        warn(f"{len(stopped)} of {len(runs)} runs stopped short; the first: {stopped[0]}")
    return runs


def _aim(target: Target, penalty: str, weight: float) -> Aim:
    number = checks.as_number(target.name, target.value, low=0, high=_FINITE)
    if target.name == "beta":
        return Aim("none", weight=number)
    checks.one_of("penalty", penalty, ("absolute", "squared"))
    weight = checks.as_number("weight", weight, low=0, high=_FINITE, open_low=True)
    return Aim(penalty, number, weight)
