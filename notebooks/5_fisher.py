# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 5. Variance, Fisher, Hessian
#
# *Variance, Fisher, Hessian: which equals which, when, and when not?*
#
# After this lesson you can
#
# - define five matrices that are called curvature, and tell them apart;
# - prove which of them are equal, and name the assumption of each equality;
# - show by experiment when the empirical Fisher is a bad stand-in for the Fisher information;
# - tell the mean of the squares from the square of the mean, in a paper and in code.
#
# About 60 minutes. Read beside it: `minifishr/curvature.py`. You need lesson 2.

# %%
try:
    import minifishr
except ImportError:  # on Colab, say
    import subprocess
    import sys
    from pathlib import Path

    source = ".." if Path("../pyproject.toml").exists() else "minifishr"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"{source}[notebooks]"], check=True)

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from minifishr import ALGORITHMS, MLP, Domain, checks, fit, full_batch, gradient_variance, per_sample_gradients, plots
from minifishr.course import exercise
from minifishr.curvature import empirical_fisher, gauss_newton, gradient_covariance, hessian, true_fisher
from minifishr.gradients import mean_gradient

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests
DRAWS = 6 if SHORT else 20  # random cases for each identity

# %% [markdown]
# ## A picture
#
# Fishr matches gradient variances and says that this matches Hessians. Between the two words there are three more matrices. All five have
# the shape $(d, d)$, and all five are means over samples. With $g_i$ the gradient of sample $i$ (row $i$ of $G$), $g = \frac1n \sum_i g_i$,
# $p_{ic}$ the probability that the model gives to label $c$, $g_i(c)$ the gradient that sample $i$ would have with that label,
# $J_i = \partial z_i / \partial \theta$, and $H_i$ the Hessian of the loss in the logits:
#
# | name | definition | which labels? |
# |---|---|---|
# | gradient covariance $C$ | $\frac1n \sum_i (g_i - g)(g_i - g)^\top$ | those of the data |
# | empirical Fisher $\hat F$ | $\frac1n \sum_i g_i g_i^\top$ | those of the data |
# | true Fisher $F$ | $\frac1n \sum_i \sum_c p_{ic}\, g_i(c)\, g_i(c)^\top$ | those of the model, in expectation |
# | Gauss-Newton $N$ | $\frac1n \sum_i J_i^\top H_i J_i$ | none |
# | Hessian $H$ | $\partial^2 R / \partial \theta^2$ | those of the data |
#
# Here they are for one network with 17 parameters that has not been trained. The labels come from another network of the same shape.
#
# **Guess first.** Which two of the five are the same matrix?


# %%
def labelled(model, truth, n, rng):
    """Rows whose labels are drawn with the probabilities of the network `truth`."""
    x = rng.normal(size=(n, model.sizes[0]))
    p = 1 / (1 + np.exp(-model.logits(truth, x)[:, 0]))
    return Domain("data", x, (rng.uniform(size=n) < p).astype(int))


rng, model = np.random.default_rng(0), MLP((2, 4, 1))
truth, theta = (s * model.init(rng) + 0.3 * rng.normal(size=model.d) for s in (2, 3))
data = labelled(model, truth, 2_000, rng)
p = 1 / (1 + np.exp(-model.logits(theta, data.x)))  # what the network says before training, (n,1)

# %%
MATRICES = {"C": gradient_covariance, "F^": empirical_fisher, "F": true_fisher, "N": gauss_newton, "H": hessian}
TITLES = ("covariance C", r"empirical Fisher $\hat F$", "true Fisher F", "Gauss-Newton N", "Hessian H")
five = {name: matrix(model, theta, data.x, data.y) for name, matrix in MATRICES.items()}
fig, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
for ax, title, A in zip(axes, TITLES, five.values(), strict=True):
    plots.matrix(ax, A, f"{title}\nlargest entry {np.abs(A).max():.2g}")
plt.show()
G = per_sample_gradients(model, theta, data.x, data.y)
assert model.d == 17 and np.allclose(five["F"], five["N"]) and np.allclose(five["F^"], G.T @ G / len(G))


# %% [markdown]
# Each picture has a scale of its own: the labels of the data make the first two much larger than the others. How far two matrices are apart is one number,
# $\lVert A - B \rVert / \max(\lVert A \rVert, \lVert B \rVert)$, with the root of the sum of all squared entries as the norm.


# %%
def distance(A, B):
    return np.linalg.norm(A - B) / max(np.linalg.norm(A), np.linalg.norm(B))


apart = np.array([[distance(A, B) for B in five.values()] for A in five.values()])
names = [name.replace("F^", r"$\hat F$") for name in five]
fig, ax = plt.subplots(figsize=(3.4, 3.2), layout="constrained")
plots.matrix(ax, apart, "relative distance of each pair")
ax.set(xticks=range(5), yticks=range(5), xticklabels=names, yticklabels=names)
plt.show()
assert apart[2, 3] < 1e-12 and np.sum(apart > 0.01) == 18  # all off the diagonal but F and N, twice each

# %% [markdown]
# Only $F$ and $N$ are equal here. Every other equality that one reads has an assumption, and this network breaks it.
#
# ## Two matrices with the labels of the data
#
# Multiply out:
#
# $$C = \frac1n \sum_i (g_i - g)(g_i - g)^\top = \frac1n \sum_i g_i g_i^\top - g g^\top = \hat F - g g^\top.$$
#
# So $C$ and $\hat F$ are equal exactly where the mean gradient is zero, and near a minimum of the risk they are close. The diagonal of $C$ is the
# gradient variance of lesson 2, for all layers. The diagonal of $\hat F$ is the mean of the squares.
#
# ### Exercise 5.1: both from G


# %%
def fisher_and_covariance(G):
    """(n,d) -> (2,d,d): the empirical Fisher, then the covariance."""
    ...


exercise("fisher_and_covariance", fisher_and_covariance)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def fisher_and_covariance(G):
    F, g = G.T @ G / len(G), G.mean(axis=0)
    return np.stack([F, F - np.outer(g, g)])


feedback = exercise("fisher_and_covariance", fisher_and_covariance)
assert feedback.passed
feedback

# %% [markdown]
# ## Two matrices with the labels of the model, or none
#
# The true Fisher asks what gradients *would* be if the model were right: if the label of $x_i$ were drawn from $p_i$. Let $e_y$ be the vector with a
# one at the label. The loss has the slope $p_i - e_y$ in the logits, so $g_i(y) = J_i^\top (p_i - e_y)$, and
#
# $$\mathbb{E}_y\, g_i(y) = J_i^\top (p_i - \mathbb{E}_y e_y) = 0, \qquad
# \mathbb{E}_y\, g_i(y)\, g_i(y)^\top = J_i^\top\, \mathrm{Cov}(e_y)\, J_i = J_i^\top \left(\mathrm{diag}(p_i) - p_i p_i^\top\right) J_i.$$
#
# The matrix in the middle is also the second derivative of $\log \sum_c e^{z_c} - z_y$, which is $H_i$, and it does not depend on $y$. That is $F = N$, for every
# network with a cross-entropy. It also says that under the model's own labels second moment and covariance are the same thing, so that nobody needs to center $F$.
#
# ### Exercise 5.2: the mean over the model's labels
#
# With one logit there are two labels: no sampling is needed.


# %%
def label_average(model, theta, x):
    """-> (d,d); use per_sample_gradients(model, theta, x, y) with labels of your choice."""
    ...


exercise("label_average", label_average)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def label_average(model, theta, x):
    p = 1 / (1 + np.exp(-model.logits(theta, x)))
    zero, one = (per_sample_gradients(model, theta, x, np.full(len(x), c)) for c in (0, 1))
    return (one.T @ (p * one) + zero.T @ ((1 - p) * zero)) / len(x)


feedback = exercise("label_average", label_average)
assert feedback.passed
feedback

# %% [markdown]
# ### Exercise 5.3: logistic regression
#
# With logits $z_i = x_i^\top w$ the slope $J_i$ is $x_i^\top$, and $H_i$ is $p_i (1 - p_i)$. What is left of $N$?


# %%
def logistic_fisher(x, w):
    """(n,p), (p,) -> (p,p)."""
    ...


exercise("logistic_fisher", logistic_fisher)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def logistic_fisher(x, w):
    p = 1 / (1 + np.exp(-x @ w))
    return x.T @ ((p * (1 - p))[:, None] * x) / len(x)


feedback = exercise("logistic_fisher", logistic_fisher)
assert feedback.passed
feedback

# %% [markdown]
# ## What is missing to the Hessian
#
# Differentiate $g_i = J_i^\top (p_i - e_{y_i})$ once more. The product rule gives two terms: the slope of $p_i$, which is $H_i J_i$, and the slope of $J_i$:
#
# $$H = N + \frac1n \sum_i \sum_c (p_{ic} - e_{y_i c})\, \frac{\partial^2 z_{ic}}{\partial \theta^2}.$$
#
# The last term is the curvature of the logits, weighted with residuals. It vanishes in three cases: the logits are linear in $\theta$ (a
# network without hidden layers, or the classifier of any network); the residuals are all zero; or one takes the mean over the model's labels.
#
# In a ReLU network it vanishes in still another place. As long as no unit switches, the logits are linear in the parameters of *each single
# layer*. So all blocks of $H$ that belong to one layer, and with them the whole diagonal, equal those of $N$ and $F$. Look back at the first
# figure: the slanted lines at the edges of the last picture are the curvature of the logits. They join a weight into a hidden unit to the weight out of the
# same unit.
#
# Each line that is printed is an identity that `minifishr verify` tries on random networks and on hard cases.

# %%
TABLE = """covariance_is_fisher_minus_the_mean_gradients_square covariance_is_fisher_where_the_mean_gradient_vanishes
true_fisher_is_gauss_newton true_fisher_is_the_hessian_of_linear_models
hessian_averaged_over_the_models_labels_is_the_true_fisher
hessian_minus_gauss_newton_is_the_residuals_times_the_logits_curvature
second_moment_of_the_last_bias_is_the_brier_score diagonal_of_the_covariance_is_fishrs_variance_of_all_layers"""
for verdict in checks.verified(DRAWS, names=TABLE.split()):
    print(verdict.identity.statement, f"    Assumes {verdict.identity.assumes.rstrip('.')}.", "", sep="\n")
    assert verdict.passed and verdict.error < 1e-12
rest = five["H"] - five["N"]  # the first 12 parameters are layer 1, the other 5 layer 2
assert np.allclose(rest[:12, :12], 0) and np.allclose(rest[12:, 12:], 0) and np.abs(rest).max() > 0.1

# %% [markdown]
# | equality | assumption |
# |---|---|
# | $C = \hat F - g g^\top$ | none |
# | $C = \hat F$ | $g = 0$ |
# | $F = N$ | cross-entropy |
# | $F = H$ | logits linear in $\theta$ |
# | $\mathrm{diag}\, F = \mathrm{diag}\, H$ | a ReLU network, where no unit switches |
# | $\mathbb{E}_y H = F$ | labels of the model |
# | $H - N$ = residuals times curvature of the logits | none |
# | $\hat F = F$ | one logit, and all logits zero: then $(p_i - y_i)^2 = \frac14 = p_i (1 - p_i)$ whatever the label |
#
# The line on the Brier score is a by-product. The gradient of the last bias is $p_i - y_i$. Its uncentered second moment is the
# mean squared error of the probabilities, so matching *that* across domains matches an error.
#
# ## When the empirical Fisher is not the Fisher
#
# $\hat F$ and $F$ differ in the labels alone. If the data's labels were drawn from the model, $\hat F$ would be a sample estimate of $F$. So three
# things have to come together: a model that can be right, parameters at which it is right, and many rows.
#
# **Guess first.** A network is trained on 2 000 rows. In the first case the labels are drawn from a network of its own shape. In the second, 25 %
# of them are flipped. In the third, the model is wrong: a linear one, where the label depends on the distance from the origin. In which cases does $\hat F$ come
# close to $F$?

# %%
PAIRS = {"C to F^": ("C", "F^"), "F^ to F": ("F^", "F"), "F to H": ("F", "H")}
SEEDS, STEPS = (1, 300) if SHORT else (5, 600)


def distances(model, theta, d):
    """A `measure` for fit: the relative distance of each pair."""
    used = {name: MATRICES[name](model, theta, d.x, d.y) for name in ("C", "F^", "F", "H")}
    return [("", pair, distance(used[a], used[b])) for pair, (a, b) in PAIRS.items()]


# %%
def case(kind, seed):
    """A model, where its training starts, and 2 000 rows."""
    rng, net = np.random.default_rng(seed), MLP((2, 1)) if kind == "wrong model" else model
    truth, start = (s * net.init(rng) + 0.3 * rng.normal(size=net.d) for s in (2, 3))
    d = labelled(net, truth, 2_000, rng)
    if kind == "wrong model":
        d = d._replace(y=(rng.uniform(size=2_000) < np.where(np.sum(d.x**2, axis=1) > 2, 0.9, 0.1)).astype(int))
    return net, start, d._replace(y=d.y ^ (rng.uniform(size=2_000) < 0.25)) if kind == "25 % flipped" else d


# %%
def trained(kind, seed):
    """The parameters at the end, and {pair: distances along the way}."""
    net, start, d = case(kind, seed)
    erm = ALGORITHMS["erm"](net, lr=0.02, weight_decay=0.0)
    found = fit(erm, start, full_batch([d]), STEPS, measure=lambda t: distances(net, t, d))
    return found.theta, {pair: [row.value for row in found.history if row.metric == pair] for pair in PAIRS}


KINDS = ("right model", "25 % flipped", "wrong model")
runs = {kind: [trained(kind, seed) for seed in range(SEEDS)] for kind in KINDS}

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", sharey=True)
for ax, kind in zip(axes, KINDS, strict=True):
    for pair, style in plots.domain_styles(PAIRS, []).items():
        curves = [found[pair] for _, found in runs[kind]]
        plots.band(ax, range(0, STEPS + 1, 10), curves, pair.replace("F^", r"$\hat F$"), **style)
    ax.set(title=kind, xlabel="step", yscale="log", ylim=(1e-4, 1.5))
axes[0].set_ylabel("relative distance")
axes[0].legend(fontsize=8)
plt.show()

# %%
start = min(d["F^ to F"][0] for kind in KINDS for _, d in runs[kind])
for kind in KINDS[:2]:
    assert max(d["F^ to F"][-1] for _, d in runs[kind]) < start / 3
assert all(d["C to F^"][-1] < 0.01 < 0.03 < d["C to F^"][0] for kind in KINDS for _, d in runs[kind])
assert min(d["F^ to F"][-1] for _, d in runs["wrong model"]) > 0.1
assert max(max(d["F to H"]) for _, d in runs["wrong model"]) < 1e-12
(net, _, d), end = case("right model", 0), runs["right model"][0][0]
labels = {"own labels": d.y, "flipped": 1 - d.y}
flipped = {name: dict(row[1:] for row in distances(net, end, d._replace(y=y)))["F^ to F"] for name, y in labels.items()}
assert flipped["flipped"] > 3 * flipped["own labels"] and start > 0.3

# %% [markdown]
# - At the start, $\hat F$ and $F$ are apart in all cases, and so are $C$ and $\hat F$, because the mean gradient is large.
# - $C$ and $\hat F$ come together in all cases: that only takes $g \to 0$.
# - $\hat F$ comes closer to $F$ in the first two cases. Flipped labels do no harm by themselves: the network is trained on them and learns to be less sure. They do
#   harm where the network has not been trained on them: flip them after training, and $\hat F$ is more than three times as far from $F$ as before.
# - For the wrong model $\hat F$ stays away from $F$, at the optimum. Because that model is linear, $F = H$ is an equality: its line is missing
#   from the figure.
#
# For Fishr this means: variances track the diagonal of the Hessian near the end of a training in which the probabilities are about right.
#
# ## Mean of the squares, square of the mean
#
# The formulas differ by the place of a bracket, and code by the place of a `mean`:
#
# $$\underbrace{\tfrac1n \sum_i g_i^2}_{\texttt{np.square(G).mean(axis=0)}} \quad-\quad
# \underbrace{\left(\tfrac1n \sum_i g_i\right)^2}_{\texttt{np.square(G.mean(axis=0))}} \quad=\quad \mathrm{Var}_i(g_i).$$
#
# The first is the diagonal of $\hat F$. The second is what one gets by squaring the gradient of a risk, as an optimizer like Adam does, and at a
# minimum it is zero. A batch of $B$ rows drawn with replacement has a gradient $b$ between the two:
#
# $$\mathbb{E}\,[b^2] = \left(\mathbb{E}\, b\right)^2 + \mathrm{Var}(b) = g^2 + \frac{1}{B}\, \mathrm{Var}_i(g_i).$$
#
# **Guess first.** Sum over all parameters. At which batch size are both terms equal? (The answer is above the figure.)

# %%
sizes, v, g2 = 2 ** np.arange(10), G.var(axis=0).sum(), np.sum(G.mean(axis=0) ** 2)
squares = [np.sum(G[rng.integers(0, len(G), (1_000, B))].mean(axis=1) ** 2, axis=1) for B in sizes]
found, error = np.array([(s.mean(), s.std() / 1_000**0.5) for s in squares]).T
curves = {"$g^2 + Var / B$": g2 + v / sizes, "1 000 batches": found}
curves |= {"mean of squares": np.full(10, np.sum(G**2, axis=1).mean()), "square of mean": np.full(10, g2)}
fig, ax = plt.subplots(figsize=(5.8, 3.3), layout="constrained")
plots.lines(ax, sizes, curves, xlabel="batch size B", ylabel="sum of $E[b^2]$", xscale="log", yscale="log")
ax.set_title(f"both terms are equal at B = {v / g2:.1f}", fontsize=9)
assert np.all(np.abs(found - g2 - v / sizes) < 5 * error) and np.isclose(g2 + v, curves["mean of squares"][0])
plt.show()

# %% [markdown]
# Only a batch of one row gives the mean of the squares. This is how an "empirical Fisher" from the squared gradients of minibatches comes
# out too small: $B$ times, where the mean gradient is zero.
#
# ### Exercise 5.4: the square of a batch's gradient


# %%
def batch_square(G, size):
    """(n,d), a batch size -> (d,): the expectation over batches of `size` rows, drawn with replacement."""
    ...


exercise("batch_square", batch_square)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def batch_square(G, size):
    return G.mean(axis=0) ** 2 + G.var(axis=0) / size


feedback = exercise("batch_square", batch_square)
assert feedback.passed
feedback

# %% [markdown]
# ## What a diagonal cannot see, and ranks
#
# A diagonal has $d$ of the $d^2$ numbers. **Guess first.** Two domains have equal gradient variances. Do their Hessians have to be equal?
#
# Take logistic regression at $\theta = 0$ and two inputs with a correlation of 0.9. In the second domain, change the sign of the second input.
#
# A second limit is the number of rows. Each row adds one outer product, so $\hat F$ has at most rank $n$, and $C$ at most $n - 1$, because the
# deviations $g_i - g$ sum to zero. The true Fisher of one logit also has one outer product a row. The curvature of the logits has no such limit.

# %%
linear, x = MLP((2, 1)), rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 500)
pair = [(linear, np.zeros(3), signs * x, np.arange(500) % 2) for signs in (np.array([1, 1]), np.array([1, -1]))]
assert np.allclose(*(gradient_variance(*where) for where in pair))
steep, flat = (hessian(*where)[:2, :2].sum() for where in pair)  # the curvature along (1, 1)
print(f"curvature along (1, 1): {steep:.2f} and {flat:.2f}, with equal variances")
assert steep > 5 * flat and np.allclose(empirical_fisher(*pair[0]), true_fisher(*pair[0]))  # all logits are zero
few = {name: matrix(model, theta, data.x[:5], data.y[:5]) for name, matrix in MATRICES.items()}
ranks = {name: int(np.linalg.matrix_rank(A, tol=1e-10 * np.abs(A).max(), hermitian=True)) for name, A in few.items()}
print("ranks with 5 rows and 17 parameters:", ranks)
assert ranks["C"] <= 4 and max(ranks["F^"], ranks["F"], ranks["N"]) <= 5

# %% [markdown]
# So equal variances do not make Hessians equal: along the direction $(1, 1)$ one of these domains is steep and the other is flat. Fishr bets on the
# diagonal, and has the full covariance as a variant (lesson 6).
#
# ## Break it
#
# Make the Gauss-Newton matrix 0.1 % too large. Which lines of the table notice?

# %%
with checks.broken("gauss_newton"):
    verdicts = list(checks.verified(DRAWS, names=TABLE.split()))
noticed = [verdict.identity.name for verdict in verdicts if not verdict.passed]
print("\n".join(noticed))
assert noticed == [name for name in TABLE.split() if "gauss_newton" in name]

# %% [markdown]
# A mistake of sampling is harder to see. The true Fisher is often estimated with labels drawn from the model. Two shortcuts are tempting: the labels that
# are there already, or the most likely label of each row. **Guess first.** Which of the three errors goes away with more draws?

# %%
zero, one = (per_sample_gradients(model, theta, data.x, np.full(2_000, c)) for c in (0, 1))
draws, shares = [1, 10, 100, 1_000], {"labels of the data": data.y[:, None], "most likely label": p > 0.5}


def weighted(share):  # of label 1
    return (one.T @ (share * one) + zero.T @ ((1 - share) * zero)) / 2_000


errors = {"labels of the model": [distance(weighted(rng.binomial(S, p) / S), five["F"]) for S in draws]}
errors |= {name: [distance(weighted(share), five["F"])] * 4 for name, share in shares.items()}
assert np.allclose(weighted(p), five["F"]) and [e[-1] > 0.1 for e in errors.values()] == [False, True, True]
fig, ax = plt.subplots(figsize=(5.6, 3.1), layout="constrained")
plots.lines(ax, draws, errors, xlabel="labels drawn for each row", ylabel="distance to F", xscale="log", yscale="log")
plt.show()

# %% [markdown]
# ### Exercise 5.5: the Hessian times a vector
#
# For 300 000 parameters no $(d, d)$ matrix fits into memory. A product $H v$ is two gradients away: $H v$ is the derivative of the gradient along $v$.


# %%
def hessian_times(model, theta, x, y, v):
    """-> (d,); use mean_gradient(model, theta, x, y)."""
    ...


exercise("hessian_times", hessian_times)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def hessian_times(model, theta, x, y, v, h=1e-5):
    return (mean_gradient(model, theta + h * v, x, y) - mean_gradient(model, theta - h * v, x, y)) / (2 * h)


feedback = exercise("hessian_times", hessian_times)
assert feedback.passed
feedback

# %% [markdown]
# ## Three questions
#
# 1. A network has learned its training labels by heart: every $p_i$ is almost $e_{y_i}$. What has become of each of the five matrices, and what do equal variances prove then?
# 2. For the mean squared error with a model of constant variance, which line of the table changes, and which stays?
# 3. A colleague centers the true Fisher, with the gradients under the model's labels. What does that change?
#
# ## Read on
#
# - When the empirical Fisher misleads: Kunstner, Balles and Hennig 2019, *Limitations of the Empirical Fisher Approximation for Natural Gradient Descent*,
#   [arXiv:1905.12558](https://arxiv.org/abs/1905.12558).
# - Fisher and Gauss-Newton: Martens 2014, *New Insights and Perspectives on the Natural Gradient Method*, [arXiv:1412.1193](https://arxiv.org/abs/1412.1193).
# - Covariance, Fisher and Hessian during training: Thomas and others 2020, *On the Interplay between Noise and Curvature and its Effect on Optimization and
#   Generalization*, [arXiv:1906.07774](https://arxiv.org/abs/1906.07774).
# - The argument for domains: Ramé, Dancette and Cord 2022, [arXiv:2109.02934](https://arxiv.org/abs/2109.02934), section 3. That is lesson 6.
