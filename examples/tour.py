"""A class of 45 minutes, in cells: from H − D ≤ I ≤ R to Figure 2."""

# %% [markdown]
# # A class of 45 minutes: from H − D ≤ I ≤ R to Figure 2
#
# *Fixing a Broken ELBO* (Alemi et al., 2018) asks what a variational autoencoder learns. Its toy
# has tables instead of networks, so every answer can be computed, and many can be proven.
#
# Open this file in an editor that knows cells (`# %%`), or run it as a script: it takes some
# seconds. Each part ends with a question; the next part answers it. All numbers are in nats.
#
# | minutes | part |
# | --- | --- |
# | 0 – 8 | 1. Four tables and one inequality |
# | 8 – 14 | 2. Best responses: the bound falls |
# | 14 – 20 | 3. All tables free: the toy is degenerate |
# | 20 – 27 | 4. Certified answers, and how to check one |
# | 27 – 38 | 5. Gaussian rows find the truth |
# | 38 – 45 | 6. What is not identified, and Figure 2 |

# %%
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike

from toyrd import (
    GaussianDecoder,
    Model,
    alternate,
    best_decoder,
    best_encoder,
    best_marginal,
    check,
    entropy,
    frontier,
    rate_distortion,
    solve,
    toy_source,
)

# %% [markdown]
# ## 1. Four tables and one inequality
#
# Data x has the distribution p(x). An *encoder* e(z|x) turns x into a latent z. A *decoder*
# d(x|z) guesses x from z, and a *marginal* m(z) guesses z alone. In code, the last axis is the
# variable left of the bar: `e[x, z]`, `d[z, x]`, `m[z]`. Rows sum to 1.
#
# - H = −Σ p log p: the entropy of the data, a constant.
# - D = −Σ p e log d: the *distortion*, how badly the decoder guesses x from z.
# - R = Σ p e log(e/m): the *rate*, what it costs to send z when m is the price list.
# - I = Σ p e log(e/e(z)), e(z) = Σ p e: the *information* that z really has about x.

# %%
p = np.array([0.5, 0.3, 0.2])
e = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
d = np.array([[0.7, 0.2, 0.1], [0.2, 0.4, 0.4]])
m = np.array([0.5, 0.5])

joint = p[:, None] * e
e_z = joint.sum(axis=0)
H = -np.sum(p * np.log(p))
D = -np.sum(joint * np.log(d.T))
R = np.sum(joint * np.log(e / m))
I = np.sum(joint * np.log(e / e_z))  # noqa: E741 - the paper's letter
print(f"by hand: H = {H:.4f}, D = {D:.4f}, R = {R:.4f}, I = {I:.4f}")
print(f"H − D = {H - D:.4f} ≤ I = {I:.4f} ≤ R = {R:.4f}")

# %% [markdown]
# `Model` computes the same, and much more, from the same tables.

# %%
model = Model(p, e, d, m)
print(model)
print(model.sketch())

# %% [markdown]
# Both gaps are Kullback–Leibler divergences, so neither is below 0:
#
# - R − I = KL(e(z) ‖ m): the marginal is a wrong price list,
# - D − (H − I) = Σ e(z) KL(e(x|z) ‖ d): the decoder is not the true posterior.

# %%
print(f"R − I       = {model.rate_gap:.6f}")
print(f"D − (H − I) = {model.distortion_gap:.6f}")

# %% [markdown]
# **Question.** The ELBO is −(D + R). Which m and which d make both gaps 0 for this encoder?
#
# ## 2. Best responses: the bound falls
#
# m = e(z) and d = e(x|z) close the gaps. For a given d and m the encoder that minimises D + βR is
# e ∝ m d^(1/β). Taken in turn, no step makes D + βR larger.

# %%
beta = 0.5


def say(name: str, e: ArrayLike, d: ArrayLike, m: ArrayLike) -> None:
    """Print D + βR for these tables."""
    now = Model(p, e, d, m)
    print(f"{name:12s} D + βR = {now.D + beta * now.R:.6f}")


say("start", e, d, m)
for step in range(3):
    m = best_marginal(p, e)
    say(f"{step}: best m", e, d, m)
    d = best_decoder(p, e)
    say(f"{step}: best d", e, d, m)
    e = best_encoder(d, m, beta)
    say(f"{step}: best e", e, d, m)

# %% [markdown]
# `alternate` does the same for ever, and gives the model after each iteration.

# %%
steps = list(islice(alternate(p, beta=beta, start="random"), 30))
print("D + βR:", *[f"{one.objective:.4f}" for one in steps[::5]])
print(f"no tables get below min(1, β) H = {beta * entropy(p):.4f}")

# %% [markdown]
# **Question.** Insert m = e(z) and d = e(x|z) into D + βR. What is left?
#
# ## 3. All tables free: the toy is degenerate
#
# What is left is D + βR = H + (β − 1) I. Below β = 1 more information is better, above it less.
# **At β = 1, the ELBO, I falls out: every encoder is optimal.** The start decides.

# %%
toy = toy_source()  # the paper's toy: 30 bins, two hidden classes, I(X; Z*) = 0.5
H = entropy(toy.p)
for seed in range(4):
    *_, last = islice(alternate(toy.p, beta=1, start="random", rng=seed), 50)
    print(f"start {seed}: R = {last.R:.4f}, D + R − H = {last.D + last.R - H:.1e}")

# %% [markdown]
# The model that ignores its latent is as good for the ELBO as the true one: this is the
# *collapse* that people see in practice.

# %%
true = toy.true_model()
print(f"true model: R = {true.R:.4f}, −ELBO = {true.D + true.R:.6f}")
print(f"collapsed:  R = {solve(toy.p, beta=1.5).R:.4f}, −ELBO = {solve(toy.p, beta=1.5).D:.6f}")

# %% [markdown]
# So fix the rate. The least D at R = 0.5 is H − 0.5, which is proven. But *every* encoder with
# I = 0.5 reaches it: which one comes back is a choice. `solve` takes the one of least squared
# distance between x and z. The *separation* tells how well z knows the hidden class, 0 to 1.

# %%
chosen = solve(toy.p, rate=0.5)
noise = solve(toy.p, rate=0.5, start="random", starts=1, rng=0)
for name, answer in (("squared distance", chosen), ("noise as a start", noise), ("truth", true)):
    print(f"{name:18s} R = {answer.R:.4f}, D = {answer.D:.6f}, ", end="")
    print(f"separation = {toy.separation(answer.e):.3f}")

# %% [markdown]
# **Question.** All three have the same R and D. What could an algorithm look at to prefer one?
#
# ## 4. Certified answers, and how to check one
#
# Fix the decoder. Now the problem is convex, and one solution carries a proof. With
# g(x) = Σ m d^(1/β) and c(z) = Σ p d^(1/β)/g, no marginal at all can beat the answer by more
# than β log max c. `gap` is that number; `check` recomputes it in ten lines of its own.

# %%
fixed = solve(toy.p, rate=0.4, decoder=toy.p_x_given_z)  # the two true rows
print(fixed)
bound, gap = check(fixed)
print(f"checked: no model with this decoder gets below D = {bound:.12f}, gap = {gap:.1e}")

# %% [markdown]
# The least D for every rate is a *frontier*. It is convex; its slope is −β. It can have straight
# pieces, and then R jumps at a β. Here x is a bit, and z may be 0, 1 or "don't know". A wrong
# guess costs 1, "don't know" costs 0.3.

# %%
bit, cost = [0.5, 0.5], [[0, 1, 0.3], [1, 0, 0.3]]
for b in (1 / 2.0, 1 / 1.9, 1 / 1.8, 1 / 1.7):
    point = rate_distortion(bit, cost, beta=b)
    print(f"β = {b:.4f}: R = {point.R:.4f}, D = {point.D:.4f}, m = {point.m.round(3)}")

# %% [markdown]
# Between two such β no β gives R = 0.2. A *mixture* of the two end points does, and is proven.

# %%
between = rate_distortion(bit, cost, rate=0.2)
print(f"R = {between.R:.4f}, D = {between.D:.6f}, gap = {between.gap:.1e}")
curve = frontier(bit, cost=cost)
lower, upper = curve.bounds_at(0.2)
print(f"{len(curve)} points prove {lower:.6f} ≤ D(0.2) ≤ {upper:.6f}")
curve.plot()

# %% [markdown]
# **Question.** Which decoders would you allow, if you knew that the two classes are Gaussian?
#
# ## 5. Gaussian rows find the truth
#
# Let every decoder row be a Gaussian, integrated over the bins, with a mean and a width of its
# own. To choose rows and m together is to choose *one* distribution over (mean, width). That
# problem is convex again, though it has infinitely many latents. The proof bounds c(z) over the
# whole box of means and widths.

# %%
gaussian = GaussianDecoder(30)
proven = solve(toy.p, rate=0.5, decoder=gaussian)
print(proven)
print("mean, width of each row:", *proven.parameters.round(3))
print("true ones:              ", *np.stack([toy.means, toy.widths], axis=1).round(3))
print(f"m = {proven.m.round(4)}, separation = {toy.separation(proven.e):.4f}")
proven.plot()

# %% [markdown]
# With this decoder the ELBO cannot collapse: one Gaussian does not fit two humps. See how rows
# are born as β falls to 1. (R at a β is certified only to gap/β.)

# %%
for b in (4, 2, 1.5, 1.1, 1.01):
    one = solve(toy.p, beta=b, decoder=gaussian)
    rows = int((one.m > 1e-6).sum())
    print(f"β = {b:<5} R = {one.R:.5f}, rows = {rows}, D + R − H = {one.D + one.R - H:.2e}")

# %% [markdown]
# **Question.** At β = 1 and R = 0.5 the fit is perfect: g = p and D + R = H. Is it the only one?
#
# ## 6. What is not identified, and Figure 2
#
# No. Rows can be added that change nothing in g: there are perfect fits at every rate from
# 0.4999 to at least 2.61. Of those at R = 0.5, `solve` returns the one of *fewest rows*. That is a
# choice, as the squared distance was, and the message of the answer says that there are others.
# The optima at R = 0.5 have separations from 0.850 to 0.853 at least; with free tables they go
# from 0 to 0.865. So the family leaves far less to choose, but not nothing.

# %%
print(proven.message)

# %% [markdown]
# And the rate must be known. A wrong target gives another model, with the same kind of proof:

# %%
for rate in (0.05, 0.3, 0.5):
    family = solve(toy.p, rate=rate, decoder=gaussian)
    free = solve(toy.p, rate=rate)
    print(f"R* = {rate:<4}: Gaussian rows {toy.separation(family.e):.3f}, ", end="")
    print(f"free tables {toy.separation(free.e):.3f}")

# %% [markdown]
# Figure 2 of the paper, as three answers: the truth; the ELBO, collapsed because its start says
# almost nothing; and the target rate. `python -m toyrd.figure2` draws them side by side, and
# `python -m toyrd.figure2 --decoder gaussian` the proven model.

# %%
elbo = solve(toy.p, beta=1, start="smooth")
for title, answer in (("(a) truth", true), ("(b) ELBO", elbo), ("(c) R = 0.5", chosen)):
    excess = answer.D + answer.R - H
    print(f"{title:12s} D = {answer.D:.4f}, R = {answer.R:.4f}, D + R − H = {excess:.1e}")
chosen.plot()

# %% [markdown]
# **To take home.** D + R alone does not say what a latent means. A rate says how much it knows, a
# family of decoders says what it may be, and the rest is a choice that one should name.
