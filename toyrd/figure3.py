"""Figure 3: simple and complex encoders, decoders and marginals, on toy and images (15 s).

Notation: a class is named by three signs, for encoder, decoder and marginal: - is simple, + is
free. A simple encoder is e ∝ exp(−(w_z·x − b_z)²), a simple decoder has rows of a family with
parameters θ, a simple marginal is uniform. Variables are the parts of a class that are searched:
phi (the w over the b), theta, or logits of a free table; every other table takes its best
response. Tables are pairs, logarithms and themselves, e and d at [x, z]. Points are rows (R, D).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from .appendix_e import slopes, softmax
from .bernoulli import BernoulliDecoder
from .checks import Array, Tell, quiet
from .curve import Solution, Status, Target
from .family import SmoothFamily
from .figure import PAGE, figure_parser, figure_style, number, progress, run, text_table
from .frontiers import majorant
from .gaussian import GaussianDecoder
from .model import SMALLEST, Model, best_decoder, entropy
from .solver import solve
from .sources import Source, bars_and_stripes, toy_source

__all__ = ["draw_panels", "image_data", "main", "search_all", "sentences", "toy_data"]

BETAS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.05, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5)

NAMES = tuple("".join(signs) for signs in product("-+", repeat=3))
"""Signs of encoder, decoder and marginal, smaller classes before those that hold them."""

ORDER = ("+++", "+-+", "+--", "--+", "---", "++-", "-+-", "-++")
"""In which classes are searched: free encoders show simple ones the way."""

ROUGH, STEPS = 30, 300
"""L-BFGS steps from every start, and from the best end."""

CLOSE = 0.01
"""Nats by which a model may miss D + R = H and still be called close to it."""

PROVEN, SLACK = 1e-7, 1e-3
"""Gap of a proven optimum, at which a search rests, and loss at which an end is left."""

JIGGLE, MOVES, ROWS, WORTH = 0.2, 500, 10, 1e-6
"""Share by which rows move at random, moves of an encoder and of rows in a round, and the gain of
a round that keeps others coming."""

FAINT = np.exp(-60.0)
"""Least probability of a start: from an exact zero no search could move."""

CLEAR, FAR = 3.0, 100.0
"""Log-odds of a clear pixel; offsets of a log-linear encoder, in logits."""

Known = Mapping[str, Any]
Rng = np.random.Generator
Results = Mapping[str, Sequence[Solution]]


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, and what its simple classes are made of.

    Parameters
    ----------
    name, rows : str
        Of the data set, and of the rows of its simple decoders.
    p : numpy.ndarray, shape (n_x,)
        Data distribution, above 0 everywhere.
    inputs : numpy.ndarray, shape (n_x, k)
        What a simple encoder sees of x, last a column of −1.
    family : SmoothFamily
        Of the rows of a simple decoder.
    n_z : int
        Number of latents.
    cover : numpy.ndarray, shape (n, parameters)
        Rows to start from.
    pull : callable
        From θ, the gradient in log d[x, z] and log d[x, z] to the gradient in θ.
    simplify : callable
        From logits [x, z] of an encoder to the φ of a simple one like it.
    """

    name: str
    rows: str
    p: Array
    inputs: Array
    family: SmoothFamily
    n_z: int
    cover: Array
    pull: Callable[[Array, Array, Array], Array]
    simplify: Callable[[Array], Array]


def toy_data(source: Source) -> Data:
    """Return the toy with Gaussian rows and as many latents as bins.

    A simple encoder is that of Appendix E; it sees x in standard deviations from its mean.

    Examples
    --------
    >>> data = toy_data(toy_source())
    >>> data.n_z, data.inputs.shape
    (30, (30, 2))
    """
    p, n = source.p, source.p.size
    family, x = GaussianDecoder(n), np.arange(n)
    mean = p @ x
    width = np.sqrt(p @ (x - mean) ** 2)

    def pull(theta: Array, of_d: Array, log_d: Array) -> Array:
        t = (x[1:, None] - 0.5 - theta[:, 0]) / theta[:, 1]  # inner edges
        log_density = -(t**2) / 2 - np.log(2 * np.pi) / 2
        flow = of_d[1:] * np.exp(log_density - log_d[1:])
        flow -= of_d[:-1] * np.exp(log_density - log_d[:-1])
        sums = flow.sum(axis=0), (t * flow).sum(axis=0)
        return np.asarray(np.stack(sums, axis=1) / theta[:, 1:])

    def simplify(logits: Array) -> Array:
        top, z = np.clip(logits.argmax(axis=0), 1, n - 2), np.arange(logits.shape[1])
        before, at, after = (logits[top + step, z] for step in (-1, 0, 1))
        bend = np.maximum(at - (before + after) / 2, 1e-9)
        place = top + (after - before) / (4 * bend)
        return np.asarray(np.stack([np.full(z.size, width), place - mean]) * np.sqrt(bend))

    inputs = np.stack([(x - mean) / width, -np.ones(n)], axis=1)
    parts = family, n, family.dictionary(), pull, simplify
    return Data("toy", "Gaussian rows", p, inputs, *parts)


def image_data(source: Source) -> Data:
    """Return images with rows of independent pixels and a latent for each true pattern.

    A simple encoder sees pixels of −1 and 1, so that each latent has a direction w_z of its own:
    the natural extension, in which a latent still sees one projection of x. As the offsets grow
    it becomes log-linear in x; so is the best response to rows of independent pixels.

    Examples
    --------
    >>> image_data(bars_and_stripes(2)).inputs.shape
    (16, 5)
    """
    p, n_z, pixels = source.p, source.p_z.size, 1.0 * source.images.reshape(source.p.size, -1)
    inputs = np.hstack([2.0 * pixels - 1, -np.ones((p.size, 1))])
    weight = np.sqrt(p)[:, None]

    def simplify(logits: Array) -> Array:
        # With b = B + c/2B and w = a/2B, −(w·x − b)² is a·x − c, but for what fades as B grows.
        level = weight * (logits - logits.mean(axis=1, keepdims=True))
        phi = np.linalg.lstsq(weight * inputs, level, rcond=None)[0]
        offset = 1.0 + FAR * float(np.abs(inputs @ phi).max())
        phi /= 2 * offset
        phi[-1] += offset
        return np.asarray(phi)

    cover = CLEAR * inputs[np.argsort(-p, kind="stable")[:n_z], :-1]
    parts = BernoulliDecoder(source.images), n_z, cover
    words = "rows of independent pixels"
    return Data("images", words, p, inputs, *parts, lambda _, of_d, __: of_d.T @ pixels, simplify)


@dataclass(frozen=True, eq=False)
class ModelClass:
    r"""One of the eight classes, and how to go downhill in it.

    .. math:: e(z|x) ∝ e^{-(w_z·x - b_z)^2}

    is the simple encoder. By the envelope theorem the gradient is the partial one, with the
    tables that take their best response held fixed.

    Parameters
    ----------
    name : str
        Signs of encoder, decoder and marginal, such as ``"-+-"``.
    data : Data
        What it models.

    Examples
    --------
    >>> one = ModelClass("-+-", toy_data(toy_source(information=None)))
    >>> x = one.descend(np.zeros(60), beta=2.0)[0]
    >>> model = one.model(x, beta=2.0)
    >>> bool(model.R < 1e-9), bool(model.D - model.H < 1e-9)
    (True, True)

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4.2, Figure 3 and Appendix E.
    """

    name: str
    data: Data

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the variables, in their order."""
        (n_x, k), n_z, name = self.data.inputs.shape, self.data.n_z, self.name
        every = {
            "phi": (name[0] == "-", (k, n_z)),
            "log_e": (name[:2] == "++", (n_x, n_z)),
            "theta": (name[1] == "-", (n_z, self.data.cover.shape[1])),
            "log_m": (name == "+-+", (n_z,)),
        }
        return {part: shape for part, (used, shape) in every.items() if used}

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the variables: only rows of a family have any."""
        ends = []
        for far, row in zip((-np.inf, np.inf), self.data.family.box, strict=True):
            parts = {n: np.full(shape, far) for n, shape in self.shapes.items()}
            ends.append(self.pack({**parts, "theta": np.tile(row, (self.data.n_z, 1))}))
        return Bounds(*ends)

    def pack(self, parts: Known) -> Array:
        """Return the variables as one row."""
        return np.concatenate([np.ravel(parts[part]) for part in self.shapes])

    def unpack(self, x: Array) -> dict[str, Array]:
        """Return the variables of a row by their names."""
        parts, end = {}, 0
        for name, shape in self.shapes.items():
            start, end = end, end + math.prod(shape)
            parts[name] = x[start:end].reshape(shape)
        return parts

    @np.errstate(all="ignore")
    def tables(self, x: Array, beta: float) -> dict[str, Any]:
        """Return the pairs e, d and m at a β, the encoder's logits, and the variables."""
        data, t = self.data, dict[str, Any](self.unpack(x))
        t["m"] = softmax(t.get("log_m", np.zeros(data.n_z)))
        if "theta" in t:
            t["d"] = _pair(data.family.log_rows(t["theta"]).T)
        if "phi" in t:
            t["u"] = data.inputs @ t["phi"]
            t["logits"] = -(t["u"] ** 2)
        else:
            t["logits"] = t["log_e"] if "log_e" in t else t["d"][0] / beta + t["m"][0]
        t["e"] = softmax(t["logits"])
        log_e_z = np.log(np.maximum(data.p @ t["e"][1], SMALLEST))
        if self.name[2] == "+" and "log_m" not in t:
            t["m"] = _pair(log_e_z)
        if "theta" not in t:
            t["d"] = _pair(np.log(data.p)[:, None] + t["e"][0] - log_e_z)
        return t

    def value(self, x: Array, beta: float) -> tuple[float, Array]:
        """Return D + βR and its gradient in the variables."""
        data, t = self.data, self.tables(x, beta)
        D, R, of_e, of_d, of_m = slopes(data.p, t["e"], t["d"], t["m"], lambda _: beta)
        by = {"log_e": of_e, "log_m": of_m}
        if "phi" in t:
            by["phi"] = -2 * (data.inputs.T @ (t["u"] * of_e))
        if "theta" in t:
            by["theta"] = data.pull(t["theta"], of_d, t["d"][0])
        return float(D + beta * R), self.pack(by)

    def descend(self, x: Array, beta: float, steps: int = STEPS) -> tuple[Array, float]:
        """Go downhill by L-BFGS; return where it ends, and D + βR there."""
        options = {"maxiter": steps, "ftol": 3e-10, "gtol": 1e-7, "maxcor": 20}
        bounds = self.bounds if "theta" in self.shapes else None  # to check them takes time
        way: dict[str, Any] = {"jac": True, "bounds": bounds, "options": options}
        end = minimize(self.value, x, (beta,), "L-BFGS-B", **way)
        return np.asarray(end.x), float(end.fun)

    def model(self, x: Array, beta: float) -> Model:
        """Return the model that belongs to variables at a β."""
        t, p = self.tables(x, beta), self.data.p
        # What underflows is not impossible: at 0 it would cost +∞ wherever e has a trace of it.
        d = np.maximum(t["d"][1].T, SMALLEST) if "theta" in t else best_decoder(p, t["e"][1])
        return Model(p, t["e"][1], d, t["m"][1])

    def member(self, known: Known) -> Array:
        """Return the variables of a member of this class that is, or is like, other tables.

        Tables of a smaller class have a member that is no worse.
        """
        data, parts = self.data, {"log_m": known["m"][0], "log_e": known["e"][0], **known}
        if "phi" in self.shapes and "phi" not in known:
            parts["phi"] = data.simplify(known["logits"])
        if "theta" in self.shapes and "theta" not in known:
            rows = data.family.fit((data.p[:, None] * known["e"][1]).T, None)
            parts["theta"] = np.clip(rows, *data.family.box)
        return self.pack(parts)

    @np.errstate(all="ignore")  # a move that leaves the floats is not kept
    def wander(self, x: Array, beta: float, rng: Rng) -> Array:
        """Move an encoder at random, again and again, and keep what is no worse.

        It is for a free decoder and a uniform marginal, where D + βR is H + β log n_z less
        H(Z) − (1 − β) H(Z|X). What does not move is not computed again, nor normalised.
        """
        p, t, ones = self.data.p, self.tables(x, beta), np.ones(self.data.n_z)
        least = self.value(x, beta)[0] - entropy(p) - beta * np.log(ones.size)
        level = t["logits"][:, 0] - t["e"][0][:, 0]
        now = np.array([*t["e"], np.multiply(*t["e"])])
        for share in JIGGLE ** rng.uniform(1, 3, MOVES):
            moved = x.copy()
            at, log_e = self._moved(moved, share, level, rng)
            old, e = now[at].copy(), np.exp(log_e)
            now[at] = log_e, e, log_e * e
            share = p / (total := now[1] @ ones)
            e_z, told = share @ now[1], share @ (now[2] @ ones) - p @ np.log(total)
            if (cost := e_z @ np.log(e_z) - (1 - beta) * told) <= least:
                x, least = moved, cost
            else:
                now[at] = old
        return x

    def _moved(self, x: Array, share: float, level: Array, rng: Rng) -> tuple[Any, Array]:
        """Move one w by a share, or let two symbols share rows; return where log e is new."""
        data, parts = self.data, self.unpack(x)
        if "phi" in parts:
            z = rng.integers(data.n_z)
            parts["phi"][:-1, z] *= 1 + share * rng.normal(size=len(parts["phi"]) - 1)
            return np.s_[:, :, z], -((data.inputs @ parts["phi"][:, z]) ** 2) - level
        pair, log_e = rng.integers(data.p.size, size=2), parts["log_e"]
        log_e[pair] = log_e[pair[rng.integers(2, size=2)]]
        return np.s_[:, pair], log_e[pair] - level[pair, None]


def _pair(log: Array) -> tuple[Array, Array]:
    """Return logarithms and what they are of."""
    return log, np.exp(log)


def coupled(p: Array, n_z: int, order: NDArray[np.intp]) -> Array:
    """Return log e that couples quantiles of x, taken in an order, with quantiles of z.

    It has e(z) = 1/n_z, and few symbols in each latent.
    """
    log_e, sorted_p = np.empty((p.size, n_z)), p[order]
    ends = np.cumsum(sorted_p)[:, None]
    cuts = np.clip(np.linspace(0, 1, n_z + 1), ends - sorted_p[:, None], ends)
    log_e[order] = np.log(np.maximum(np.diff(cuts, axis=1) / sorted_p[:, None], FAINT))
    return log_e


def greedy(weights: Array, p: Array, n: int) -> list[int]:
    """Return n columns, repeats allowed, that make Σ p log Σ weights large: one by one, twice."""
    chosen: list[int] = []
    for i in [*range(n), *range(n)]:
        rest = weights[:, chosen[:i] + chosen[i + 1 :]].sum(axis=1)
        best = int((p @ np.log(rest[:, None] + weights + SMALLEST)).argmax())
        chosen[i : i + 1] = [best]
    return chosen


def _holds(name: str, other: str) -> bool:
    return name != other and all(a in ("+", b) for a, b in zip(name, other, strict=True))


class Search:
    """A search of all classes at all β, and the best that it has found.

    What is found holds the tables of a class at a β, its variables x and the value of D + βR,
    with a bound below it. Before the search there are only an infinite value and the bound.
    """

    def __init__(self, data: Data, betas: Sequence[float], starts: int, rng: Rng) -> None:
        self.data, self.betas, self.starts, self.rng = data, betas, starts, rng
        self.classes = {name: ModelClass(name, data) for name in NAMES}
        self.solvers: dict[str, dict[str, Any]] = {"+++": {"n_z": data.n_z}}
        if isinstance(data.family, GaussianDecoder):
            self.solvers["+-+"] = {"decoder": data.family}
        self.found: dict[str, list[Known]] = {}

    def run(self, callback: Tell) -> dict[str, list[Solution]]:
        """Search class by class, then let each learn from those that it holds."""
        for name in ORDER:
            self.found[name] = []
            for i, beta in enumerate(self.betas):
                self.found[name].append(self._first(name, beta))
                self._improve(name, i, self._hints(name, i))
                self._wander(name, i)
                callback(name, beta)
            for i in reversed(range(len(self.betas) - 1)):
                self._improve(name, i, self.found[name][i + 1 : i + 2])
        for name, i in product(ORDER, range(len(self.betas))):
            others = [n for n in ORDER if _holds(name, n) or n == "+" + name[1:] != name]
            self._improve(name, i, [self.found[n][i] for n in others])
        each = range(len(self.betas))
        return {name: [self._solution(name, i) for i in each] for name in NAMES}

    def _first(self, name: str, beta: float) -> Known:
        """Return what theory gives: an optimum, its rows repeated by their mass, or a bound."""
        data, target = self.data, Target("beta", beta)
        if name not in self.solvers:
            bound = target.bound(entropy(data.p), np.log(data.n_z), np.inf, np.inf)
            return {"value": np.inf, "bound": bound}
        best = solve(data.p, beta=beta, **self.solvers[name])
        n, rest = best.m.size, data.n_z - best.m.size
        more = np.searchsorted(np.cumsum(best.m), (np.arange(rest) + 0.5) / rest)
        z = np.append(np.arange(n), more)
        parts = {"log_m": np.log(np.maximum(best.m / np.bincount(z), SMALLEST))[z]}
        if name == "+++":
            parts["log_e"] = np.log(np.maximum(best.e, FAINT))
        else:
            parts["theta"] = best.parameters[z]
        return self._known(name, beta, self.classes[name].pack(parts), best.lower_bound)

    def _known(self, name: str, beta: float, x: Array, bound: float) -> Known:
        """Return what is known of a class at a β once variables are found."""
        one = self.classes[name]
        return {**one.tables(x, beta), "x": x, "value": one.value(x, beta)[0], "bound": bound}

    def _improve(self, name: str, i: int, others: Iterable[Known]) -> float:
        """Go a little way from other tables, and on from the best end; return the gain.

        A search rests at its bound, or at what a class that holds this one has reached.
        """
        one, beta, known = self.classes[name], self.betas[i], self.found[name][i]
        held = [found[i]["value"] for n, found in self.found.items() if _holds(n, name)]
        floor, x, value = max([known["bound"], *held]) + PROVEN, np.zeros(0), np.inf
        for other in others if known["value"] > floor else ():
            end = one.descend(one.member(other), beta, ROUGH)
            x, value = min((x, value), end, key=itemgetter(1))
            if value <= floor:
                break
        if floor < value < known["value"] + SLACK:
            x, value = one.descend(x, beta)
        if value < known["value"]:
            self.found[name][i] = self._known(name, beta, x, known["bound"])
        return float(max(0.0, known["value"] - value))

    def _hints(self, name: str, i: int) -> Iterator[Known]:
        """Yield tables: silent ones, those found, rows that cover the family, couplings."""
        data, beta, free = self.data, self.betas[i], self.classes["+++"]
        if name[1] == "+":
            yield free.tables(np.zeros(data.p.size * data.n_z), beta)
        yield from (self.found[other][i] for other in reversed(self.found) if other != name)
        yield from self.found[name][max(i - 1, 0) : i]
        if name[1] == "-":
            yield from self._covers(i, beta)
        if name[0] == "+" and beta <= 1:
            for order in np.arange(data.p.size), self.rng.permutation(data.p.size):
                yield free.tables(coupled(data.p, data.n_z, order).ravel(), beta)

    def _covers(self, i: int, beta: float) -> Iterator[Known]:
        """Yield rows, repeats allowed, that suit a uniform marginal, and half silent ones."""
        data, one, log_m = self.data, self.classes["+-+"], np.zeros(self.data.n_z)
        rows = np.vstack([data.cover, self.found["+-+"][i].get("theta", data.cover[:0])])
        logits = data.family.log_rows(rows).T / beta
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        even = rows[greedy(weights, data.p, data.n_z)]
        half = np.vstack([data.family.fit(data.p[None], None), rows[1 : data.n_z]])
        for theta, weight in (even, 1), (half, data.n_z):
            log_m[0] = np.log(weight)
            yield one.tables(one.pack({"theta": theta, "log_m": log_m}), beta)

    def _wander(self, name: str, i: int) -> None:
        """Move what is found at random, until one round after another gains next to nothing.

        It is for classes in which symbols share latents like boxes are packed. Among rows of a
        family only the first β asks for it: from there the others learn.
        """
        left = self.starts if name in ("++-", "-+-") or (name, i) == ("+-+", 0) else 0
        while left:
            gain = self._improve(name, i, self._moved(name, i))
            left = self.starts if gain > WORTH else left - 1

    def _moved(self, name: str, i: int) -> Iterator[Known]:
        """Yield tables of what is found, with two rows of a family moved, or the encoder."""
        one, beta, x = self.classes[name], self.betas[i], self.found[name][i]["x"]
        if name != "+-+":
            yield one.tables(one.wander(x, beta, self.rng), beta)
            return
        for pair in self.rng.integers(self.data.n_z, size=(ROWS, 2)):
            moved = x.copy()
            theta = one.unpack(moved)["theta"]
            theta[pair] *= 1 + JIGGLE * self.rng.normal(size=theta[pair].shape)
            yield one.tables(moved, beta)

    def _solution(self, name: str, i: int) -> Solution:
        """Return what was found in a class at a β, with its certificate."""
        known, target = self.found[name][i], Target("beta", self.betas[i])
        model = self.classes[name].model(known["x"], self.betas[i])
        proof = {"status": Status.LOCAL, "tol": PROVEN, "bound": known["bound"]}
        return Solution.of_model(target, model, beta=self.betas[i], **proof)


def search_all(
    data: Data,
    betas: Sequence[float],
    *,
    starts: int = 3,
    rng: int | np.random.Generator | None = None,
    callback: Tell = quiet,
) -> dict[str, list[Solution]]:
    """Search all eight classes at every β.

    What is found in one class starts the search in the next, and a larger class is never worse.

    Parameters
    ----------
    data : Data
        From `toy_data` or `image_data`.
    betas : sequence of float
        Rising.
    starts : int
        Random starts for each class and β, beside those that other classes and theory give.
    rng : int or numpy.random.Generator, optional
        Seed or generator of the random starts.
    callback : callable, optional
        Called once for each class and β.

    Returns
    -------
    dict of list of Solution
        For each of the eight names one solution for each β.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], starts=1, rng=0)
    >>> [round(best.R, 3) for best in found["+++"]]
    [1.442, 0.0]

    References
    ----------
    Alemi et al., *Fixing a Broken ELBO* (2018), section 4.2 and Figure 3.
    """
    return Search(data, betas, starts, np.random.default_rng(rng)).run(callback)


# What the models span, and how it is drawn and said.


def pareto(points: Array) -> Array:
    """Return the points (R, D) that no other beats in both, by rising R.

    Examples
    --------
    >>> pareto(np.array([[0.0, 2.0], [1.0, 2.0], [1.5, 1.5], [2.0, 0.5]]))
    array([[0. , 2. ],
           [1.5, 1.5],
           [2. , 0.5]])
    """
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    best = np.minimum.accumulate(np.append(np.inf, ordered[:-1, 1]))
    return np.asarray(ordered[ordered[:, 1] < best])


def hull(points: Array) -> Array:
    """Return the corners of the lower left convex hull of points (R, D), by rising R.

    Examples
    --------
    >>> hull(np.array([[0.0, 2.0], [1.0, 1.5], [1.0, 1.0], [2.0, 0.5], [3.0, 0.5]]))
    array([[0. , 2. ],
           [1. , 1. ],
           [2. , 0.5]])
    """
    below = pareto(points)
    return np.asarray(below[majorant(below[:, 0], -below[:, 1])])


class Panel(NamedTuple):
    """What is drawn of a data set: H, and the points (R, D) of each class."""

    title: str
    H: float
    points: dict[str, Array]


def as_panel(data: Data, results: Results) -> Panel:
    """Return the points that were found."""
    points = {name: np.array([(one.R, one.D) for one in results[name]]) for name in NAMES}
    return Panel(data.name, entropy(data.p), points)


# Of encoder and marginal, from the first drawn to the last: each is seen under the next.
_WIDTHS = {"--": 5.0, "-+": 3.0, "+-": 1.7, "++": 0.7}
_TONES = {  # of the decoder
    "-": {"--": "#ee8a4a", "-+": "#fbd3b6", "+-": "#7f2704", "++": "#e8702a"},
    "+": {"--": "#5b9bd0", "-+": "#c6dcef", "+-": "#08306b", "++": "#5ba3d9"},
}


def _style(name: str) -> dict[str, Any]:
    """Return how a class is drawn: the marginal − is dashed, the decoder − round and orange."""
    part, tones = name[0] + name[2], _TONES[name[1]]
    return {
        "color": tones[part],
        "linestyle": "solid" if name[2] == "+" else (0, (2.5, 1.2)),
        "linewidth": _WIDTHS[part],
        "solid_capstyle": "butt",
        "marker": "o" if name[1] == "-" else "s",
        "markersize": 0.6 + 1.2 * _WIDTHS[part],
        "markeredgecolor": tones["+-"],
        "markeredgewidth": 0.5,
    }


def _draw_classes(ax: Axes, panel: Panel, height: Callable[[Array, Array], Array]) -> None:
    """Draw the lower hull of each class, and above all hulls its models."""
    for name, points in panel.points.items():
        corners, style = hull(points), _style(name)
        R = np.union1d(np.linspace(corners[0, 0], corners[-1, 0], 200), corners[:, 0])
        ax.plot(R, height(R, np.interp(R, *corners.T)), **{**style, "marker": "none"})
        style |= {"linestyle": "none", "zorder": 3}
        ax.plot(points[:, 0], height(*points.T), label=name, **style)


def draw_plane(ax: Axes, panel: Panel) -> None:
    """Draw the classes in the plane of R and D, as in Figure 3a of the paper."""
    H = panel.H
    ax.fill_between([0, H], [H, 0], color="0.9", lw=0)
    ax.text(0.27 * H, 0.27 * H, "no model:\nD + R < H", ha="center", va="center")
    ax.plot(*hull(np.concatenate([*panel.points.values()])).T, color="0.6", linewidth=8)
    _draw_classes(ax, panel, lambda _, D: D)
    ax.set(xlabel="rate R (nats)", ylabel="distortion D (nats)")
    title, ends = f"{panel.title}: rate and distortion", (-0.04 * H, None)
    ax.set(title=title, xlim=ends, ylim=ends)


def draw_excess(ax: Axes, panel: Panel) -> None:
    """Draw what −ELBO is above H against R, as in Figure 3b, on a scale that shows both ends."""
    _draw_classes(ax, panel, lambda R, D: np.maximum(D + R - panel.H, 0))
    ax.set_yscale("symlog", linthresh=1e-3, linscale=0.5)
    ax.set(xlabel="rate R (nats)", ylabel="−ELBO − H = D + R − H (nats)", ylim=(-3e-4, None))
    ax.set_yticks([0, 1e-3, 1e-2, 1e-1, 1], ["0", "0.001", "0.01", "0.1", "1"])
    ax.set_title(f"{panel.title}: −ELBO above its bound H = {panel.H:.3f}")


SIGNS = """\
The signs of a class are those of its encoder, decoder and marginal: − is simple, + is any table.
Simple are encoders e(z|x) ∝ exp(−(w·x − b)²), decoders with rows d(x|z) that are Gaussian (toy)
or have independent pixels (images), and marginals m(z) that are uniform. Lines join the best
models of a class by mixing, the grey one those of all; classes that agree lie in one another."""


def draw_panels(panels: Sequence[Panel], *, width: float = PAGE) -> Figure:
    """Draw each data set in a row: the plane of R and D, and −ELBO above H against R.

    Parameters
    ----------
    panels : sequence of Panel
        From `as_panel`.
    width : float
        Of the page in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], starts=1, rng=0)
    >>> len(draw_panels([as_panel(data, found)]).axes)
    2
    """
    foot, height = 0.92, 2.3 * len(panels) + 1.0
    with figure_style():
        figure = Figure(figsize=(width, height))
        sides = {"left": 0.45 / width, "right": 1 - 0.08 / width, "top": 1 - 0.2 / height}
        grid = {**sides, "bottom": (foot + 0.35) / height, "wspace": 0.24, "hspace": 0.34}
        axes = figure.subplots(len(panels), 2, squeeze=False, gridspec_kw=grid)
        for (plane, excess), panel in zip(axes, panels, strict=True):
            draw_plane(plane, panel)
            draw_excess(excess, panel)
        labels = [" ".join(name).replace("-", "−") for name in NAMES]
        handles = [Line2D([], [], **_style(name)) for name in NAMES]
        figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, handlelength=5)
        figure.text(0.5, foot / height, SIGNS, ha="center", va="top", size=7)
    return figure


def sentences(data: Data, results: Results) -> list[str]:
    """Say what the picture of a data set shows, one sentence for each thing, all computed.

    Parameters
    ----------
    data : Data
        What was searched.
    results : mapping of str to sequence of Solution
        From `search_all`.

    Returns
    -------
    list of str
        Sentences with numbers in nats.

    Examples
    --------
    >>> data = toy_data(toy_source(n_bins=5, means=(1, 3), widths=(0.6, 0.6), information=None))
    >>> found = search_all(data, [0.5, 2.0], starts=1, rng=0)
    >>> sentences(data, found)[-2].split(";")[0]
    '5 latents carry at most log n_z = 1.609'
    """
    panel, betas = as_panel(data, results), np.array([one.beta for one in results["+++"]])
    rows = np.reshape([panel.points[name] for name in NAMES], (2, 2, 2, -1, 2))
    (R, D), every = np.moveaxis(rows, -1, 0), rows.reshape(-1, 2)
    ones = R[(betas == 1) & (R + D - panel.H <= CLOSE)]
    least = f"At beta = 1 no model found is within {CLOSE:g} of H."
    if ones.size:
        least = (
            f"At beta = 1 the {ones.size} classes within {CLOSE:g} of H have rates from "
            f"{ones.min():.3f} to {ones.max():.3f}: the ELBO does not choose between them."
        )
    corners = hull(every)
    above = max(0.0, (corners.sum(axis=1) - panel.H).max())
    return [
        *_reach(panel.H, rows[:, 1], "With a free decoder"),
        *_reach(panel.H, rows[:, 0], f"With {data.rows}"),
        *(_cost(D + betas * R, betas, place) for place in range(3)),
        least,
        f"{data.n_z} latents carry at most log n_z = {np.log(data.n_z):.3f}; "
        f"the largest rate found is {R.max():.3f}.",
        f"The lower hull of all {R.size} models has {len(corners)} corners, at most {above:.1e} "
        f"above D + R = H; {len(pareto(every.round(9)))} models are Pareto steps.",
    ]


def _reach(H: float, rows: Array, what: str) -> list[str]:
    """Say how near to D + R = H the classes with one kind of decoder come."""
    best = np.maximum(rows.sum(axis=-1).min(axis=-1) - H, 0)
    corners = hull(rows.reshape(-1, 2))
    rates = corners[corners.sum(axis=1) - H <= CLOSE, 0]
    where = f"from R = {rates.min():.3f} to {rates.max():.3f}" if rates.size else "nowhere"
    return [
        f"{what}, the best -ELBO of each of the four classes is above H by {best.min():.6f} "
        f"to {best.max():.6f}.",
        f"{what}, the corners of the hull lie within {CLOSE:g} of D + R = H {where}.",
    ]


def _cost(objective: Array, betas: Array, place: int) -> str:
    """Say what a simple part costs at the most."""
    losses = -np.diff(objective, axis=place)
    *signs, i = np.unravel_index(losses.argmax(), losses.shape)
    return (
        f"A simple {('encoder', 'decoder', 'marginal')[place]} costs at most "
        f"{max(0.0, losses.max()):.4f} of D + beta R, as far as was found "
        f"(class {''.join('-+'[sign] for sign in signs)} at beta = {betas[i]:g})."
    )


HELP = """Draw eight model classes on the toy and on images, as in Figure 3 of the paper.

A class is named by three signs, for encoder, decoder and marginal: - is simple, + is any table.
The best model of each is searched at every beta, and proven where theory allows. Takes about
15 seconds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see ``python -m toyrd.figure3 --help``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 after an error, 130 after an interrupt.

    Examples
    --------
    >>> import sys; sys.stderr = sys.stdout  # to show the error here
    >>> main(["--starts", "0"])
    toyrd.figure3: argument --starts: 0 must lie in [1, inf]
    2
    """
    parser = figure_parser("figure3", HELP)
    add, beta = parser.add_argument, number(1e-3, 1e3)
    add("--size", type=number(2, 3, int), default=3, metavar="N", help="side of the images (3)")
    add("--betas", type=beta, nargs="+", default=BETAS, metavar="B", help="prices of a nat of R")
    words = "random starts for each class and beta (3)"
    add("--starts", type=number(1, kind=int), default=3, metavar="N", help=words)
    return run(parser, _command, argv)


def _command(options: argparse.Namespace) -> tuple[Figure, str]:
    betas, rng = sorted(set(options.betas)), np.random.default_rng(options.seed)
    images = image_data(bars_and_stripes(options.size, flip=0.05))
    panels, text = [], []
    with progress(2 * len(NAMES) * len(betas), "models") as callback:
        for data in (toy_data(toy_source()), images):
            results = search_all(data, betas, rng=rng, starts=options.starts, callback=callback)
            panels.append(as_panel(data, results))
            text += [_table(data, results), *sentences(data, results), ""]
    return draw_panels(panels, width=options.width), "\n".join(text[:-1])


def _table(data: Data, results: Results) -> str:
    """Return a table of the classes: the best ELBO, the gap to what bounds it, what is proven."""
    rows = []
    for name, found in results.items():
        best, gaps = min(found, key=lambda one: one.D + one.R), [one.gap for one in found]
        proven = f"{sum(gap <= PROVEN for gap in gaps)} of {len(gaps)}"
        excess = max(0.0, best.R + best.D - best.H)
        rows.append([name, f"{best.beta:g}", best.R, best.D, excess, max(gaps), proven])
    header = [f"{data.name} (nats)", "beta", "R", "D", "-ELBO - H", "largest gap", "proven"]
    return text_table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
