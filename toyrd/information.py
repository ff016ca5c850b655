"""The information bottleneck: the most that a representation of some rate can tell of a class.

Notation: joint[x, y] is P(x, y), and q(y) what a latent predicts of the class Y. A column is a q
with cost −Σ_y P(y|x) log q(y), so D is H(Y|Z) where q is P(y|z), and D + βR is least where
I(Z; Y) − β I(X; Z) is largest. θ_y = log q(y) − log Σ_{y' > y} q(y'), the logits of the sticks
of q: log q is concave in them, and all of R^(k−1) is the open simplex.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit

from .cells import Bound, ConcaveRows, searched
from .checks import Array, as_distribution, as_table, frozen
from .curve import MET, Solution, Target
from .family import FamilyCurve
from .model import conditional, entropy, mutual_information

PROVEN, MOST = 4, 8
"""Classes at the most for which cells are tried, and at all: beyond, they would run out."""

FAR = 36.0
"""Largest logit: what lies beyond is better by 1e-15 nats at the most, as e⁻³⁶ is 2e-16."""


class ClassDecoder(ConcaveRows):
    r"""Columns for the information bottleneck: each latent predicts the class, by any q(y).

    .. math:: ℓ_q(x) = Σ_y P(y|x) \log q(y)

    Used like a decoder family, as in ``frontier(p, decoder=ClassDecoder(y_given_x))``: D is
    H(Y|Z) in nats, and with I(Z; Y) = H(Y) − D the frontier is the bottleneck curve.

    Parameters
    ----------
    y_given_x : array_like, shape (n_x, k)
        Class distribution P(y|x) of each symbol, 2 to 8 classes.

    Raises
    ------
    ValueError
        If a row is not a distribution, or there are fewer than 2 classes or more than 8.

    Notes
    -----
    Parameters are logits, see `predictions`. The bound is proven for up to 4 classes while cells
    last, and else searched for.

    Examples
    --------
    >>> ClassDecoder([[1.0, 0.0], [0.5, 0.5]]).log_rows(np.array([[0.0]])).round(3)
    array([[-0.693, -0.693]])

    References
    ----------
    Tishby, Pereira, Bialek, *The information bottleneck method* (1999).
    """

    def __init__(self, y_given_x: ArrayLike) -> None:
        self.y_given_x = frozen(as_table("y_given_x", y_given_x))
        self.n_x, self.k = self.y_given_x.shape
        if not 2 <= self.k <= MOST:
            raise ValueError(f"y_given_x has {self.k} classes, but must have 2 to {MOST}")
        self.left = _left(self.y_given_x)
        self.box = frozen(np.repeat([[-FAR], [FAR]], self.k - 1, axis=1))

    def __repr__(self) -> str:
        return f"ClassDecoder(n_x={self.n_x}, classes={self.k})"

    def predictions(self, parameters: Array) -> Array:
        """Return q(y), shape (n_z, k), for logits of shape (n_z, k − 1)."""
        return np.asarray(np.exp(_log_predictions(parameters)))

    def log_rows(self, parameters: Array) -> Array:
        """Return Σ_y P(y|x) log q(y), shape (n_z, n_x)."""
        return np.asarray(_log_predictions(parameters) @ self.y_given_x.T)

    def slopes(self, parameters: Array) -> Array:
        """Return the gradient of the log rows in the logits, shape (n_z, n_x, k − 1)."""
        odds, own, after = parameters[:, None], self.y_given_x[:, :-1], self.left[:, 1:]
        return np.asarray(own * expit(-odds) - after * expit(odds))

    def fit(self, joint: Array, parameters: Array | None = None) -> Array:
        """Return the logits of q(y) = Σ_x joint[z, x] P(y|x) / mass, which give the least D."""
        mass = joint @ self.y_given_x
        with np.errstate(divide="ignore", invalid="ignore"):
            logits = np.log(mass[:, :-1]) - np.log(_left(mass)[:, 1:])
        return np.asarray(np.nan_to_num(logits).clip(-FAR, FAR))  # 0 where no mass is left

    def dictionary(self) -> Array:
        """Return a grid of the simplex, of about 200 predictions."""
        n = round(200 ** (1 / (self.k - 1)))
        sticks = (np.arange(n) + 0.5) / n
        logits = np.log(sticks / sticks[::-1])
        return np.stack(np.meshgrid(*[logits] * (self.k - 1)), axis=-1).reshape(-1, self.k - 1)

    def bound(self, log_weight: Array, beta: float, goal: float) -> Bound:
        """Bound c over all predictions, by cells while they last, or else by a search."""
        if self.k <= PROVEN:
            found = super().bound(log_weight, beta, goal)
            if found.top <= 1 + goal or len(found.rows):
                return found
        return searched(self, self.dictionary(), log_weight, beta, goal)

    def least(self, p: Array) -> float:
        """Return H(Y), as D + R ≥ H(Y|Z) + I(X; Z) ≥ H(Y)."""
        return entropy(p @ self.y_given_x)


def _log_predictions(parameters: Array) -> Array:
    """Return log q(y)."""
    none = np.zeros((len(parameters), 1))
    passed = np.hstack([none, log_expit(-parameters)]).cumsum(axis=1)
    return np.asarray(np.hstack([log_expit(parameters), none]) + passed)


def _left(mass: Array) -> Array:
    """Return Σ_{y' ≥ y} mass(y')."""
    return np.asarray(np.cumsum(mass[:, ::-1], axis=1)[:, ::-1])


def bottleneck(
    joint: ArrayLike,
    *,
    beta: float | None = None,
    rate: float | None = None,
    information: float | None = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
) -> Solution:
    r"""Compute the most that a representation Z of X can tell of a class Y, for what it costs.

    .. math:: \max_{e(z|x)} I(Z; Y) - β I(X; Z)

    It is rate-distortion over all predictions q(y), so the answer is a global optimum, and its
    certificate a bound on c over the whole simplex.

    Parameters
    ----------
    joint : array_like, shape (n_x, k)
        P(x, y), for 2 to 8 classes.
    beta : float, optional
        Price of a nat of I(X; Z) in nats of I(Z; Y): one over the weight that others put on
        I(Z; Y). At 1 and above nothing is worth its price. Exactly one of `beta`, `rate` and
        `information` is given.
    rate : float, optional
        Target for I(X; Z) in nats.
    information : float, optional
        Target for I(Z; Y) in nats, at the least I(X; Z); it is a distortion, H(Y) less it.
    tol : float
        Largest gap of a certified answer.
    max_iter : int, optional
        Cap on rounds.

    Returns
    -------
    Solution
        With R = I(X; Z), D = H(Y|Z), so that I(Z; Y) = H(Y) − D, and ``.e``; its status is
        searched where no bound could be proven, as with more than 4 classes.

    Raises
    ------
    ValueError
        If `joint` is no distribution or lacks a class, or a target cannot be reached.
    TypeError
        If an argument is not of its kind.

    Examples
    --------
    The ceiling of the toy at a rate of 0.5, of which the true model reaches 97 %:

    >>> from toyrd import toy_source
    >>> toy = toy_source()
    >>> best = bottleneck((toy.p_z[:, None] * toy.p_x_given_z).T, rate=0.5)
    >>> ceiling, truth = entropy(toy.p_z) - best.D, toy.latent_information(toy.true_model().e)
    >>> round(ceiling, 6), round(truth, 6), best.status.value
    (0.39766, 0.385053, 'certified')

    References
    ----------
    Tishby, Pereira, Bialek, *The information bottleneck method* (1999).
    """
    table = as_distribution("joint", joint, ndim=2)
    unseen = np.flatnonzero(table.sum(axis=0) == 0)
    if unseen.size:
        raise ValueError(
            f"joint[:, {unseen[0]}] is 0: class {unseen[0]} is never seen; leave its column out"
        )
    target = Target.of(beta=beta, rate=rate, information=information)
    p = table.sum(axis=1) / table.sum()
    family = ClassDecoder(conditional(table, table.sum(axis=0)))
    if target.name == "information":
        most = mutual_information(table)
        if target.value > most + MET:
            raise ValueError(
                f"information is {target.value!r}, but X tells no more than {most:.12g} of Y"
            )
        target = Target("distortion", family.least(p) - target.value)
    return FamilyCurve(p, family, tol=tol, max_iter=max_iter).solve(target)
