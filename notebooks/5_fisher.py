# ---
# jupyter:
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
# About 60 minutes. Read beside it: `minifishr/curvature.py`. You need lesson 2. Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import os

import numpy as np

from minifishr import (
    ALGORITHMS,
    MLP,
    Domain,
    checks,
    fit,
    full_batch,
    gradient_variance,
    per_sample_gradients,
    plots,
)
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.curvature import (
    empirical_fisher,
    gauss_newton,
    gradient_covariance,
    hessian,
    true_fisher,
)
from minifishr.gradients import mean_gradient

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests
DRAWS = 6 if SHORT else 20  # random cases for each identity

# %% [markdown]
# ## Before you begin
#
# From earlier lessons. Write a letter in quotes in the place of the dots.
#
# 1. The second moments of $n$ per-sample gradients of a layer take a) $n d$ numbers in memory; b) $n$ reverse passes; c) one matrix product of squares.
# 2. IRM's penalty of a domain is the square of the derivative of its risk in a) a factor $s$ of all logits, at $s = 1$; b) all of $\theta$;
#    c) the bias.
# 3. The gradients of two domains have a negative inner product. A small step down the first one's gradient a) lowers both risks; b) raises the second
#    one's risk; c) changes nothing in the second domain.

# %%
recall(5, ..., ..., ...)

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
p = 1 / (1 + np.exp(-model.logits(theta, data.x)))  # before training, (n,1)

# %%
MATRICES = {"C": gradient_covariance, "F^": empirical_fisher, "F": true_fisher}
MATRICES |= {"N": gauss_newton, "H": hessian}
five = {name: matrix(model, theta, data.x, data.y) for name, matrix in MATRICES.items()}
G = per_sample_gradients(model, theta, data.x, data.y)
assert model.d == 17 and np.allclose(five["F"], five["N"])
assert np.allclose(five["F^"], G.T @ G / len(G))

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
titles = ["covariance C", r"empirical Fisher $\hat F$", "true Fisher F"]
titles += ["Gauss-Newton N", "Hessian H"]
fig, axes = panels(3, 2, height=2.4)
largest = {name: np.abs(A).max() for name, A in five.items()}
for ax, title, (name, A) in zip(np.ravel(axes), titles, five.items(), strict=False):
    plots.matrix(ax, A, f"{title}\nlargest entry {largest[name]:.2g}")
np.ravel(axes)[5].axis("off")
said = ", ".join(f"{name} {value:.2g}" for name, value in largest.items())
figure(
    fig,
    f"Five matrices as shades; F and N look the same. Largest entries: {said}.",
    guess=True,
)

# %% [markdown]
# Each picture has a scale of its own: the labels of the data make the first two much larger than the others. How far two matrices are apart is one number,
# $\lVert A - B \rVert / \max(\lVert A \rVert, \lVert B \rVert)$, with the root of the sum of all squared entries as the norm.


# %%
def distance(A, B):
    return np.linalg.norm(A - B) / max(np.linalg.norm(A), np.linalg.norm(B))


apart = np.array([[distance(A, B) for B in five.values()] for A in five.values()])
assert apart[2, 3] < 1e-12  # F and N
assert np.sum(apart > 0.01) == 18  # all others off the diagonal, twice each

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
names = [name.replace("F^", r"$\hat F$") for name in five]
fig, ax = panels(height=3.6)
plots.matrix(ax, apart, "relative distance of each pair")
ax.set(xticks=range(5), yticks=range(5), xticklabels=names, yticklabels=names)
said = f"{apart[apart > 0.01].min():.2f}"
figure(
    fig,
    f"Relative distances: 0 for F and N, at least {said} for every other pair.",
    guess=True,
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only $F$ and $N$ are equal here. Every other equality that one reads has an assumption, and this network breaks it.
#
# </details>
#
# ## Two matrices with the labels of the data
#
# Multiply out:
#
# $$C = \frac1n \sum_i (g_i - g)(g_i - g)^\top = \frac1n \sum_i g_i g_i^\top - g g^\top = \hat F - g g^\top.$$
#
# So $C$ and $\hat F$ are equal exactly where the mean gradient is zero. Near a minimum of the risk their difference $g g^\top$ is small; whether it is
# small beside $C$ depends on the spread of the gradients, and for a single row $C = 0$ everywhere. The diagonal of $C$ is the
# gradient variance of lesson 2, for all layers. The diagonal of $\hat F$ is the mean of the squares.
#
# ### Exercise 5.1: both from G


# %%
def fisher_and_covariance(G):
    """(n,d) -> (2,d,d): the empirical Fisher, then the covariance."""
    ...


exercise("fisher_and_covariance", fisher_and_covariance)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
fisher_and_covariance = passed("fisher_and_covariance")  # yours, or else the solution
solution("fisher_and_covariance")


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
    """-> (d,d); use per_sample_gradients with labels of your choice."""
    ...


exercise("label_average", label_average)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
label_average = passed("label_average")  # yours if it passed, else the solution
solution("label_average")


# %% [markdown]
# ### Exercise 5.3: logistic regression
#
# With logits $z_i = x_i^\top w$ the slope $J_i$ is $x_i^\top$, and $H_i$ is $p_i (1 - p_i)$. What is left of $N$?


# %%
def logistic_fisher(x, w):
    """(n,p), (p,) -> (p,p)."""
    ...


exercise("logistic_fisher", logistic_fisher)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
logistic_fisher = passed("logistic_fisher")  # yours if it passed, else the solution
solution("logistic_fisher")


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
TABLE = [
    "covariance_is_fisher_minus_the_mean_gradients_square",
    "covariance_is_fisher_where_the_mean_gradient_vanishes",
    "true_fisher_is_gauss_newton",
    "true_fisher_is_the_hessian_of_linear_models",
    "hessian_averaged_over_the_models_labels_is_the_true_fisher",
    "hessian_minus_gauss_newton_is_the_residuals_times_the_logits_curvature",
    "second_moment_of_the_last_bias_is_the_brier_score",
    "diagonal_of_the_covariance_is_fishrs_variance_of_all_layers",
]

# %%
for found in checks.verified(DRAWS, names=TABLE):
    assert found.passed and found.error < 1e-12
    print(f"{found.identity.statement}\n    Assumes {found.identity.assumes}\n")

# %%
rest = five["H"] - five["N"]  # the first 12 parameters are layer 1, the other 5 layer 2
assert np.allclose(rest[:12, :12], 0) and np.allclose(rest[12:, 12:], 0)
assert np.abs(rest).max() > 0.1
assert np.allclose(label_average(model, theta, data.x), five["F"])  # yours, or ours
ours = fisher_and_covariance(G)
assert np.allclose(ours[0], five["F^"]) and np.allclose(ours[1], five["C"])

# %% [markdown]
# | equality | assumption |
# |---|---|
# | $C = \hat F - g g^\top$ | none |
# | $C = \hat F$ | $g = 0$ |
# | $F = N$ | cross-entropy |
# | $F = H$ | logits linear in $\theta$ |
# | $\mathrm{diag}\, F = \mathrm{diag}\, H$ | a ReLU network, where no unit switches |
# | $\mathbb{E}_y H = F$ | labels of the model |
# | $\mathbb{E}_y \hat F = F$ | labels of the model |
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
    used = {n: MATRICES[n](model, theta, d.x, d.y) for n in ("C", "F^", "F", "H")}
    return [("", pair, distance(used[a], used[b])) for pair, (a, b) in PAIRS.items()]


# %%
def by_distance(x, rng):
    p = np.where(np.sum(x**2, axis=1) > 2, 0.9, 0.1)
    return (rng.uniform(size=len(x)) < p).astype(int)


# %%
def case(kind, seed):
    """A model, where its training starts, and 2 000 rows."""
    rng = np.random.default_rng(seed)
    net = MLP((2, 1)) if kind == "wrong model" else model
    truth, start = (s * net.init(rng) + 0.3 * rng.normal(size=net.d) for s in (2, 3))
    d = labelled(net, truth, 2_000, rng)
    if kind == "wrong model":
        d = d._replace(y=by_distance(d.x, rng))
    flips = (rng.uniform(size=2_000) < 0.25) * (kind == "25 % flipped")
    return net, start, d._replace(y=d.y ^ flips)


# %%
def trained(kind, seed):
    """The parameters at the end, and {pair: distances along the way}."""
    net, start, d = case(kind, seed)
    erm = ALGORITHMS["erm"](net, lr=0.02, weight_decay=0.0)
    measured = {"measure": lambda t: distances(net, t, d)}
    found = fit(erm, start, full_batch([d]), STEPS, **measured)
    rows = [row for row in found.history if row.metric in PAIRS]
    return found.theta, {p: [r.value for r in rows if r.metric == p] for p in PAIRS}


# %%
KINDS = ("right model", "25 % flipped", "wrong model")
runs = {kind: [trained(kind, seed) for seed in range(SEEDS)] for kind in KINDS}
ways = {kind: [way for _, way in found] for kind, found in runs.items()}
every = [way for found in ways.values() for way in found]
start = min(way["F^ to F"][0] for way in every)
for kind in KINDS[:2]:
    assert max(way["F^ to F"][-1] for way in ways[kind]) < start / 3
assert all(way["C to F^"][-1] < 0.01 < 0.03 < way["C to F^"][0] for way in every)
assert min(way["F^ to F"][-1] for way in ways["wrong model"]) > 0.1

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(3, height=2.5, sharex=True)
for ax, kind in zip(axes, KINDS, strict=True):
    for pair, style in plots.domain_styles(PAIRS, []).items():
        curves, label = (
            [way[pair] for way in ways[kind]],
            pair.replace("F^", r"$\hat F$"),
        )
        plots.band(ax, range(0, STEPS + 1, 10), curves, label, **style)
    ax.set(title=kind, yscale="log", ylim=(1e-4, 1.5), ylabel="relative distance")
axes[0].legend(fontsize=8)
axes[2].set_xlabel("step")
last = {kind: np.mean([way["F^ to F"][-1] for way in ways[kind]]) for kind in KINDS}
said = ", ".join(f"{kind} {value:.3f}" for kind, value in last.items())
figure(fig, f"Distances over steps; from F^ to F at the end: {said}.", guess=True)

# %%
assert max(max(way["F to H"]) for way in ways["wrong model"]) < 1e-12  # it is linear
(net, _, d), end = case("right model", 0), runs["right model"][0][0]
flipped = {}
for name, y in {"own labels": d.y, "flipped": 1 - d.y}.items():
    _, row, _ = distances(net, end, d._replace(y=y))
    flipped[name] = row[2]
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
# **Guess first.** Sum over all parameters. At which batch size are both terms equal?

# %%
sizes, v, g2 = 2 ** np.arange(10), G.var(axis=0).sum(), np.sum(G.mean(axis=0) ** 2)
found, error = [], []
for B in sizes:
    rows = rng.integers(0, len(G), (1_000, B))
    squares = np.sum(G[rows].mean(axis=1) ** 2, axis=1)
    found.append(squares.mean())
    error.append(squares.std() / 1_000**0.5)
assert np.all(np.abs(found - g2 - v / sizes) < 5 * np.array(error))
mean_of_squares = np.sum(G**2, axis=1).mean()
assert np.isclose(g2 + v, mean_of_squares)

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
curves = {"$g^2 + Var / B$": g2 + v / sizes, "1 000 batches": found}
curves["mean of squares"] = np.full(10, mean_of_squares)
curves["square of mean"] = np.full(10, g2)
fig, ax = panels(height=3.4)
labels = {"xlabel": "batch size B", "ylabel": "sum of $E[b^2]$"}
plots.lines(ax, sizes, curves, xscale="log", yscale="log", **labels)
ax.set_title(f"both terms are equal at B = {v / g2:.1f}", fontsize=9)
alt = (
    f"It falls from the mean of squares, {g2 + v:.3g}, towards the square of the mean, "
)
figure(fig, alt + f"{g2:.3g}; both terms are equal at B = {v / g2:.1f}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only a batch of one row gives the mean of the squares. This is how an "empirical Fisher" from the squared gradients of minibatches comes
# out too small: $B$ times, where the mean gradient is zero.
#
# </details>
#
# ### Exercise 5.4: the square of a batch's gradient


# %%
def batch_square(G, size):
    """(n,d), a batch size -> (d,): the expectation over batches of `size` rows."""
    ...


exercise("batch_square", batch_square)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
batch_square = passed("batch_square")  # yours if it passed, else the solution
solution("batch_square")


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
signs, y = [np.array([1, 1]), np.array([1, -1])], np.arange(500) % 2
pair = [(linear, np.zeros(3), sign * x, y) for sign in signs]
assert np.allclose(*(gradient_variance(*where) for where in pair))
steep, flat = (hessian(*where)[:2, :2].sum() for where in pair)  # along (1, 1)
assert np.allclose(empirical_fisher(*pair[0]), true_fisher(*pair[0]))  # logits are zero
assert np.allclose(logistic_fisher(x, np.zeros(2)), true_fisher(*pair[0])[:2, :2])
assert steep > 5 * flat

# %%
few = {
    n: matrix(model, theta, data.x[:5], data.y[:5]) for n, matrix in MATRICES.items()
}
ranks = {}
for name, A in few.items():
    tol = 1e-10 * np.abs(A).max()
    ranks[name] = int(np.linalg.matrix_rank(A, tol=tol, hermitian=True))
assert ranks["C"] <= 4 and max(ranks["F^"], ranks["F"], ranks["N"]) <= 5
curvatures = f"along (1, 1): {steep:.2f} and {flat:.2f}, with equal variances"
reveal(curvatures, f"ranks with 5 rows and 17 parameters: {ranks}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# So equal variances do not make Hessians equal: along the direction $(1, 1)$ one of these domains is steep and the other is flat. Fishr bets on the
# diagonal, and has the full covariance as a variant (lesson 6).
#
# </details>
#
# ## Break it
#
# Make the Gauss-Newton matrix 0.1 % too large. Which lines of the table notice?

# %%
with checks.broken("gauss_newton"):
    verdicts = list(checks.verified(DRAWS, names=TABLE))
noticed = [verdict.identity.name for verdict in verdicts if not verdict.passed]
print("\n".join(noticed))
assert noticed == [name for name in TABLE if "gauss_newton" in name]

# %% [markdown]
# A mistake of sampling is harder to see. The true Fisher is often estimated with labels drawn from the model. Two shortcuts are tempting: the labels that
# are there already, or the most likely label of each row. **Guess first.** Which of the three errors goes away with more draws?

# %%
labels = [np.full(2_000, c) for c in (0, 1)]
zero, one = (per_sample_gradients(model, theta, data.x, y) for y in labels)


def weighted(share):  # of label 1
    return (one.T @ (share * one) + zero.T @ ((1 - share) * zero)) / 2_000


draws, errors = [1, 10, 100, 1_000], {}
sampled = [weighted(rng.binomial(S, p) / S) for S in draws]
errors["labels of the model"] = [distance(A, five["F"]) for A in sampled]

# %%
for name, share in {"of the data": data.y[:, None], "most likely": p > 0.5}.items():
    errors[f"labels {name}"] = [distance(weighted(share), five["F"])] * 4
assert np.allclose(weighted(p), five["F"])
assert [e[-1] > 0.1 for e in errors.values()] == [False, True, True]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=3.2)
looks = {"xlabel": "labels drawn for each row", "ylabel": "distance to F"}
plots.lines(ax, draws, errors, xscale="log", yscale="log", **looks)
said = ", ".join(f"{name} {e[-1]:.2g}" for name, e in errors.items())
figure(fig, f"Distance to F with 1 000 draws a row: {said}.", guess=True)

# %% [markdown]
# ### Exercise 5.5: the Hessian times a vector
#
# For 300 000 parameters no $(d, d)$ matrix fits into memory. A product $H v$ is two gradients away: $H v$ is the derivative of the gradient along $v$.


# %%
def hessian_times(model, theta, x, y, v):
    """-> (d,); use mean_gradient(model, theta, x, y)."""
    ...


exercise("hessian_times", hessian_times)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
hessian_times = passed("hessian_times")  # yours if it passed, else the solution
solution("hessian_times")


# %% [markdown]
# ## Three questions
#
# 1. A network has learned its training labels by heart: every $p_i$ is almost $e_{y_i}$. What has become of each of the five matrices, and what do equal variances prove then?
# 2. For the mean squared error with a model of constant variance, which line of the table changes, and which stays?
# 3. A colleague centers the true Fisher, with the gradients under the model's labels. What does that change?
#
# <details><summary>Answers</summary>
#
# 1. $p_i - y_i$ goes to zero and so does every gradient: $C$, $\hat F$ and with them the variances; $p_i (1 - p_i)$ goes to zero too, hence $F$, $N$ and
#    $H$. All five are nearly zero in every domain, so that equal variances prove nothing.
# 2. With a squared error $\frac12 (z - y)^2$ the matrix in the middle is the identity, not $p (1 - p)$. $F = N$ stays, with labels drawn from a normal
#    distribution of variance 1 around $z$, and so do the lines with the curvature of the logits. The line with $\frac14$ falls away.
# 3. Nothing: under the model's own labels the mean gradient of each row is zero, so that there is nothing to subtract in expectation. With
#    labels that were sampled, it subtracts the noise of that mean, which is of the order $1 / n$.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The first answer in numbers: rows that the network is sure of, and right about.
sure = 20 * theta
logit = model.logits(sure, data.x)[:, 0]
rows = data.x[np.abs(logit) > 30], (logit > 0).astype(int)[np.abs(logit) > 30]
assert len(rows[0]) > 0.9 * len(logit)
largest = [np.abs(matrix(model, sure, *rows)).max() for matrix in MATRICES.values()]
assert max(largest) < 1e-8

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The third: under the labels of the model the mean gradient of each row is zero.
by_label = [per_sample_gradients(model, theta, data.x, 0 * data.y + c) for c in (0, 1)]
q = 1 / (1 + np.exp(-model.logits(theta, data.x)))
assert np.allclose((1 - q) * by_label[0] + q * by_label[1], 0)
assert np.abs(by_label[0]).max() > 0.1

# %% [markdown]
# ## Read on
#
# - When the empirical Fisher misleads: Kunstner, Balles and Hennig 2019, *Limitations of the Empirical Fisher Approximation for Natural Gradient Descent*,
#   [arXiv:1905.12558](https://arxiv.org/abs/1905.12558).
# - Fisher and Gauss-Newton: Martens 2014, *New Insights and Perspectives on the Natural Gradient Method*, [arXiv:1412.1193](https://arxiv.org/abs/1412.1193).
# - Covariance, Fisher and Hessian during training: Thomas and others 2020, *On the Interplay between Noise and Curvature and its Effect on Optimization and
#   Generalization*, [arXiv:1906.07774](https://arxiv.org/abs/1906.07774).
# - The argument for domains: Ramé, Dancette and Cord 2022, [arXiv:2109.02934](https://arxiv.org/abs/2109.02934), section 3. That is lesson 6.
