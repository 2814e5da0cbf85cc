# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 2. One gradient per sample, four ways
#
# *How can one have every sample's gradient without paying for every sample?*
#
# After this lesson you can
#
# - say what a per-sample gradient is, and get all of them in four ways;
# - derive why one reverse pass is enough;
# - compute the variance of all of them without ever storing them, and say when that loses digits.
#
# About 45 minutes. Read beside it: `minifishr/gradients.py`. You need lesson 1. Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import os
from functools import partial
from timeit import repeat

import numpy as np

from minifishr import (
    MLP,
    Domain,
    checks,
    gradient_variance,
    per_sample_gradients,
    plots,
)
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.gradients import inputs_and_deltas, mean_gradient

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Three questions of recall
#
# From lessons 0 and 1. Write a number, or a letter in quotes.
#
# 1. How many parameters does `MLP((3, 2, 1))` have? In words: two layers, each with its weights and its biases.
# 2. The logit is 1 000 and the label 1. What does `np.log(1 + np.exp(z)) - y * z` give?
#    a) 0; b) infinity, or no number at all; c) 1 000.
# 3. A training domain has 25 % of its labels flipped, and the color agrees with the label in 80 % of its rows. The best predictor that
#    sees shape and color follows, where they differ, a) the color; b) the shape; c) neither.

# %%
recall(2, ..., ..., ...)

# %% [markdown]
# ## A picture
#
# The smallest network has one input, one logit and two parameters: $z_i = w x_i + b$. Each sample has a loss $\ell_i$, and each loss has a
# gradient, here an arrow in the plane: $\partial \ell_i / \partial w$ and $\partial \ell_i / \partial b$.
#
# Two domains follow. In both, the labels are drawn with the very probabilities that the model gives, $p_i = 1 / (1 + e^{-z_i})$. The inputs of
# the second are wider.
#
# **Guess first.** Training only sees the mean of the arrows. Where is it? What else could tell the two domains apart?

# %%
rng = np.random.default_rng(0)
model, theta = MLP((1, 1)), np.array([1.0, 0.0])


def domain(name, width, n=1_000):
    x = width * rng.normal(size=(n, 1))
    p = 1 / (1 + np.exp(-model.logits(theta, x)[:, 0]))
    return Domain(name, x, (rng.uniform(size=n) < p).astype(int))


narrow, wide = domain("narrow", 0.5), domain("wide", 2.0)

# %%
clouds, spread = {}, {}
for one in (narrow, wide):
    G = per_sample_gradients(model, theta, one.x, one.y)
    clouds[one.name], spread[one.name] = G, G.std(axis=0)
    error = G.std(axis=0) / len(G) ** 0.5
    assert np.all(
        np.abs(G.mean(axis=0)) < 4 * error
    )  # zero, up to four standard errors
assert np.all(np.abs(spread["wide"] / spread["narrow"] - 1) > 0.1)

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, sharex=True, sharey=True)
for ax, (name, G) in zip(axes, clouds.items(), strict=True):
    plots.scatter(
        ax, {"one sample": G, "mean": [G.mean(axis=0)]}, title=f"{name} inputs"
    )
    ax.set(xlabel="gradient in w", ylabel="gradient in b")
axes[1].get_legend().remove()  # the same as above
shape = ", ".join(f"{name}: {s[0]:.2f} and {s[1]:.2f}" for name, s in spread.items())
alt = f"Two clouds of arrows' tips, both around zero; spreads in w and b: {shape}."
figure(fig, alt, guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Both means are zero, up to the chance of a finite sample: a gradient step would move nothing. The spreads of both coordinates differ between the
# domains. Fishr compares the spreads. For that we need every point of the picture, in networks with many thousand parameters.
#
# </details>
#
# ## The definition
#
# With $n$ samples and $d$ parameters, the per-sample gradients are the rows of
#
# $$G \in \mathbb{R}^{n \times d}, \qquad G_i = \nabla_\theta\, \ell(z(x_i; \theta), y_i).$$
#
# The risk is $R = \frac1n \sum_i \ell_i$, and a gradient is linear, so the mean of the rows equals the gradient of the risk:
#
# $$\frac1n \sum_i G_i = \nabla_\theta R.$$

# %%
model = MLP((5, 8, 6, 1))
theta = model.init(rng)
x, y = rng.normal(size=(30, 5)), rng.integers(0, 2, 30)

G = per_sample_gradients(model, theta, x, y, "loop")
assert G.shape == (30, model.d) == (30, 109)
assert np.allclose(G.mean(axis=0), mean_gradient(model, theta, x, y))

# %% [markdown]
# ## Four ways
#
# | method | idea | reverse passes | what it holds |
# |---|---|---|---|
# | `loop` | the risk of one sample, differentiated, $n$ times | $n$ small ones | $G$ |
# | `jacobian` | the $n$ losses as one vector; one reverse pass for each entry | $n$ large ones | $G$ |
# | `tiled` | every sample gets its own copy of $\theta$; the gradient of the *summed* losses keeps the copies apart | 1 | $G$ and $n$ copies of $\theta$ |
# | `taps` | see below | 1 | $G$, or nothing of that size |
#
# They are equal. `minifishr verify` checks that on random networks; here is the same check.

# %%
(verdict,) = checks.verified(names=["all_methods_give_the_loops_gradients"])
assert verdict.passed and verdict.error < 1e-12
print(verdict.identity.statement)
print(f"largest relative error {verdict.error:.0e}")

# %% [markdown]
# **Guess first.** For 64 samples and a network with 50 000 parameters: which way is the slowest, and how many times slower than the fastest?

# %%
big = MLP((392, 112, 56, 1))
theta_big, n = big.init(rng), 16 if SHORT else 64
x_big, y_big = rng.normal(size=(n, 392)), rng.integers(0, 2, n)
seconds = {}
for method in ("loop", "jacobian", "tiled", "taps"):
    run = partial(per_sample_gradients, big, theta_big, x_big, y_big, method)
    seconds[method] = min(repeat(run, number=1, repeat=3))
fastest = min(seconds.values())
relative = {method: {"time": value / fastest} for method, value in seconds.items()}

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
title = f"{n} samples, {big.d} parameters"
plots.bars(ax, relative, ylabel="time / time of the fastest", title=title)
said = ", ".join(f"{name} {one['time']:.0f}" for name, one in relative.items())
figure(fig, f"Bars: time over that of the fastest way: {said}.", guess=True)

# %% [markdown]
# ## Why one reverse pass is enough
#
# Layer $l$ computes $z_l = a_{l-1} W_l + b_l$ and $a_l = \max(z_l, 0)$. Add an array of zeros to it, a *tap*: $z_l = a_{l-1} W_l + b_l + t_l$,
# with $t_l \in \mathbb{R}^{n \times \text{out}}$. Nothing changes, but one can now ask how the summed loss depends on the taps. Row $i$ of
# $t_l$ only reaches sample $i$, so
#
# $$\delta_{l,i} := \frac{\partial \sum_j \ell_j}{\partial t_{l,i}} = \frac{\partial \ell_i}{\partial z_{l,i}}.$$
#
# One reverse pass gives $\delta_l$ of all layers and all samples. The weights enter through $z_{l,i} = a_{l-1,i} W_l + b_l$, so by the chain rule
#
# $$\frac{\partial \ell_i}{\partial W_l} = a_{l-1,i}\, \delta_{l,i}^\top, \qquad \frac{\partial \ell_i}{\partial b_l} = \delta_{l,i}.$$
#
# Every per-sample gradient of a layer is an outer product of two short vectors. `inputs_and_deltas` returns both for each layer.

# %%
for layer, (a, delta) in enumerate(inputs_and_deltas(model, theta, x, y), 1):
    W = model.shapes[f"W{layer}"]
    print(f"layer {layer}: inputs {a.shape}, deltas {delta.shape}, weights {W}")
a, delta = inputs_and_deltas(model, theta, x, y)[0]
assert np.allclose(np.outer(a[7], delta[7]).ravel(), G[7, model.blocks["W1"]])
assert np.allclose(delta, G[:, model.blocks["b1"]])

# %% [markdown]
# ### Exercise 2.1: the outer products
#
# Write the gradients in $W$ of all samples, without a loop.


# %%
def outer_products(a, delta):
    """(n,in), (n,out) -> (n, in * out), row-major."""
    ...


exercise("outer_products", outer_products)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
outer_products = passed("outer_products")  # yours if it passed, else the solution
solution("outer_products")


# %% [markdown]
# ### Exercise 2.2: the first delta
#
# The logistic loss of one logit is $\ell = \log(1 + e^z) - y z$. Differentiate by hand, and write $\delta$ of the last layer.


# %%
def last_delta(model, theta, x, y):
    """-> (n,1); model.logits(theta, x) is (n,1)."""
    ...


exercise("last_delta", last_delta)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
last_delta = passed("last_delta")  # yours if it passed, else the solution
solution("last_delta")


# %% [markdown]
# ## Moments without storage
#
# $G$ has $n d$ numbers: for 25 000 images and the network of the Colored MNIST experiments that is 7.7 billion. But who wants the variance of each
# column only needs two sums over samples. The square of an outer product is the outer product of the squares, so
#
# $$\sum_i \left(a_i \delta_i^\top\right)^{2} = \left(a^{2}\right)^\top \left(\delta^{2}\right) \qquad\text{(squares entry by entry)},$$
#
# a single matrix product. `gradient_variance` does this and holds nothing larger than the layers' inputs and deltas.

# %%
paper = MLP((392, 390, 390, 1))
assert round(25_000 * paper.d / 1e9, 1) == 7.7
v = gradient_variance(model, theta, x, y, scope="all")
assert v.shape == (model.d,) and np.allclose(v, G.var(axis=0))
(verdict,) = checks.verified(
    names=["moments_without_storage_are_the_variances_of_stored_gradients"]
)
assert verdict.passed

# %% [markdown]
# How the two grow with the number of samples, in numbers that have to be held at the same time:

# %%
rows = np.array([64, 512, 4_096, 25_000])
widths = sum(paper.sizes[:-1]) + sum(paper.sizes[1:])
held = {"stored gradients, n d": rows * paper.d}
held["inputs and deltas, n times all widths"] = rows * widths
print(f"{paper.d / widths:.0f} times less")
assert paper.d / widths > 150

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
labels = {"xlabel": "samples n", "ylabel": "numbers held"}
plots.lines(ax, rows, held, xscale="log", yscale="log", **labels)
figure(
    fig, f"Two parallel lines in log-log axes, a factor {paper.d / widths:.0f} apart."
)

# %% [markdown]
# ### Exercise 2.3: the second moment, and 2.4: the variance
#
# Both without any array of shape (n, in * out): the check measures how much memory your function holds.


# %%
def second_moment(a, delta):
    """The mean of the squared gradients in W: (n,in), (n,out) -> (in * out,)."""
    ...


exercise("second_moment", second_moment)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
second_moment = passed("second_moment")  # yours if it passed, else the solution
solution("second_moment")


# %%
def variance(a, delta):
    """The variance over samples, divided by n: (n,in), (n,out) -> (in * out,)."""
    ...


exercise("variance", variance)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
variance = passed("variance")  # yours if it passed, else the solution
solution("variance")

# %%
for layer, (a, delta) in enumerate(inputs_and_deltas(model, theta, x, y), 1):
    stored = G[:, model.blocks[f"W{layer}"]]
    assert np.allclose(outer_products(a, delta), stored)
    assert np.allclose(variance(a, delta), stored.var(axis=0))


# %% [markdown]
# ## Break it
#
# A check that cannot fail is worth nothing. `checks.broken` makes one function slightly wrong, here the taps by 0.1 %. The identity must notice.

# %%
with checks.broken("taps"):
    (verdict,) = checks.verified(names=["all_methods_give_the_loops_gradients"])
print(f"largest relative error {verdict.error:.0e}, passed: {verdict.passed}")
assert not verdict.passed

# %% [markdown]
# The formula itself can break too. $\mathbb{E}[g^2] - \mathbb{E}[g]^2$ subtracts two large numbers when the gradients are nearly equal.
# **Guess first.** Logits of nearly equal samples differ by $10^{-7}$. How many digits of the variance are right?

# %%
x_near = np.ones((30, 5)) + 1e-7 * rng.normal(size=(30, 5))
true = per_sample_gradients(model, theta, x_near, np.ones(30, int)).var(axis=0)
errors, case = {}, (model, theta, x_near, np.ones(30, int))
for name, stable in {"plain": False, "stable": True}.items():
    v = gradient_variance(*case, scope="all", stable=stable)
    errors[name] = np.abs(v - true).max() / true.max()
assert errors["plain"] > 1e-5 > 1e-8 > errors["stable"]
reveal(*(f"{name}: relative error {error:.0e}" for name, error in errors.items()))

# %% [markdown]
# `stable=True` subtracts the means of inputs and deltas first, and multiplies out what is left. It costs two more matrix products a layer. During
# training the spread of the gradients is about as large as their mean or larger, so the plain way is the default.
#
# ### Exercise 2.5: the length of every gradient
#
# The squared length of each sample's gradient, in all layers, without any array of shape (n, d). Differentially private training
# needs just this.


# %%
def norms(model, theta, x, y):
    """-> (n,): the sum of the squares of each row of G."""
    ...


exercise("norms", norms)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
norms = passed("norms")  # yours if it passed, else the solution
solution("norms")

# %%
own = norms(model, theta, x, y)  # yours, or the solution
assert np.allclose(own, np.sum(per_sample_gradients(model, theta, x, y) ** 2, axis=1))
ratio = np.sqrt(own.max() / own.min())
print(f"the longest of {len(own)} gradients is {ratio:.0f} times the shortest")


# %% [markdown]
# ## Three questions
#
# 1. Where in the derivation was it used that row $i$ of a tap only reaches sample $i$? Which common layer would break it?
# 2. The variance of the product $a_i \delta_i$ is one matrix product. Why is its *median* over samples not?
# 3. Which of the four ways still works if the loss is not a sum over samples?
#
# <details><summary>Answers</summary>
#
# 1. Where the derivative of $\sum_j \ell_j$ became that of $\ell_i$ alone. Batch normalization breaks it: its means and variances mix the rows, so that
#    every row of a tap reaches every sample.
# 2. $\sum_i (a_i \delta_i)^2 = \sum_i a_i^2 \delta_i^2$ is a sum over samples of products, and such a sum is a matrix product. A median is no
#    sum: the order of the $n$ numbers $a_i \delta_i$ is another one for each pair of coordinates, and one has to have them all.
# 3. None. If the loss is not a sum there is no $\ell_i$, and no gradient of a sample. What is still there is the derivative of the whole in each
#    sample's copy of $\theta$, which `tiled` gives; but its rows no longer are the gradients of anything that one sample has alone.
#
# </details>
#
# ## Read on
#
# - Taps and outer products: Goodfellow 2015, *Efficient Per-Example Gradient Computations*, [arXiv:1510.01799](https://arxiv.org/abs/1510.01799).
# - Gradient variances in a library: Dangel, Kunstner and Hennig 2020, *BackPACK*, [arXiv:1912.10985](https://arxiv.org/abs/1912.10985), section 2.
# - What Fishr does with them: Ramé, Dancette and Cord 2022, [arXiv:2109.02934](https://arxiv.org/abs/2109.02934), section 3. That is lesson 6.
