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
# # Lesson 7. Features instead of gradients: CORAL and DANN
#
# *If the features of all domains look alike, must the predictor work in a new domain?*
#
# After this lesson you can
#
# - write CORAL's penalty in both conventions, and say what leaves it unchanged;
# - derive where its gradient sends the features, and what it can never change;
# - say what the loss of a discriminator measures, and why $\log m$ is its largest value at the best discriminator;
# - show two problems in which equal features do not help, and one in which they hurt.
#
# About 60 minutes. Read beside it: `minifishr/algorithms/coral.py`, `minifishr/algorithms/dann.py`. You need lesson 0.

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

from minifishr import ALGORITHMS, MLP, Domain, accuracies, checks, colored_mnist, fit, full_batch, load_digits, plots
from minifishr.algorithms import coral
from minifishr.course import exercise
from minifishr.data import take

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## A picture
#
# Lessons 4 to 6 compare gradients between domains. This one compares *features*: $h$ numbers $a_i$ for each sample, the input of the last layer.
#
# Two domains with the same two classes follow. The second is turned, wider and shifted. The network has two features, so that one can draw
# them. Their biases start at 3, which keeps both switched on.
#
# **Guess first.** ERM can label both domains without a mistake. Must their features lie in the same place for that?


# %%
def domain(name, turn=0.0, scale=1.0, shift=(0, 0), share=0.5, n=200):
    y = (rng.random(n) < share).astype(int)
    x = rng.normal(size=(n, 2)) * [0.6, 0.3] + (2 * y - 1)[:, None] * [0, 1]
    turned = x @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    return Domain(name, (scale * turned + shift).astype(np.float32), y)


rng = np.random.default_rng(0)
train, model = [domain("one"), domain("two", turn=0.8, scale=1.5, shift=(2, 1))], MLP((2, 16, 2, 1))
theta = model.init(rng, np.float32)
theta[model.blocks["b2"]], ends = 3, {}

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes, ("erm", "coral"), strict=True):
    algorithm = ALGORITHMS[name](model, convention="domainbed", lr=0.005)
    ends[name] = fit(algorithm, theta, full_batch(train), 200 if SHORT else 400).theta
    value = coral.penalty(model, ends[name], train, convention="domainbed")
    clouds = {f"domain {d.name}": model.features(ends[name], d.x) for d in train}
    plots.scatter(ax, clouds, title=f"{name}: CORAL's penalty {value:.2g}", xlabel="feature 1")
    assert min(accuracies(model, ends[name], train).values()) > 0.95 and (value < 0.1) == (name == "coral")
axes[0].set_ylabel("feature 2")
plt.show()
# %% [markdown]
# ERM's features may lie anywhere, as long as one line separates the classes of both domains. CORAL moves the two clouds on top of each other and
# keeps the accuracy. Whether that is worth anything in a *third* domain is the question of this lesson.
#
# ## The claim, in two conventions
#
# Let $\mu_e$ be the mean and $C_e$ the covariance $(h, h)$ of the features of domain $e$, with $1/(n-1)$. CORAL makes them the same:
#
# $$\frac1m \sum_e R_e + \lambda \operatorname*{mean}_{e < f} D(e, f).$$
#
# | convention | $D(e, f)$ |
# |---|---|
# | `paper` | $\lVert C_e - C_f \rVert^2 / (4 h^2)$, without means |
# | `domainbed` | $\lVert \mu_e - \mu_f \rVert^2 / h + \lVert C_e - C_f \rVert^2 / h^2$ |
#
# So $\lambda = 1$ of DomainBed weighs covariances as $\lambda = 4$ of the paper does. The package computes neither pair by pair: the sum over pairs of
# squared differences is $m$ times the sum of squared deviations from the mean. The check goes through the pairs, and it notices when the package is
# wrong by a thousandth.

# %%
names = ["coral_is_the_mean_over_pairs", "coral_ignores_rotations_and_shifts"]
for verdict in checks.verified(names=names):
    print(verdict.identity.statement, f"largest relative error {verdict.error:.0e}", sep="\n", end="\n\n")
    assert verdict.passed
with checks.broken("coral.distance"):  # 0.1 % too large
    verdict, _ = checks.verified(names=names)
print(f"broken on purpose: largest relative error {verdict.error:.0e}, passed: {verdict.passed}")
assert not verdict.passed

# %% [markdown]
# ### Exercise 7.1: both penalties of two domains


# %%
def coral_pair(a, b):
    """The features of two domains, (n,h), (k,h) -> (2,): the paper's penalty, and domainbed's."""
    ...


exercise("coral_pair", coral_pair)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def coral_pair(a, b):
    h, (C, D) = a.shape[1], (np.cov(a.T), np.cov(b.T))
    covariances, means = np.sum((C - D) ** 2), np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return [covariances / (4 * h**2), means / h + covariances / h**2]


feedback = exercise("coral_pair", coral_pair)
assert feedback.passed
feedback

# %% [markdown]
# ## What it cannot see
#
# Turn and move both clouds together: nothing changes, as the second identity says. Move only one: the paper's penalty does not change either.
#
# **Guess first.** Multiply all features by $c$ and divide the weights of the last layer by $c$. The logits stay, and so does every prediction. What
# happens to the penalty?

# %%
a, b = (model.features(ends["erm"], d.x).astype(float) for d in train)
whole = np.array(coral_pair(a, b))
moved = coral_pair(np.add(a, [5, 0]), b)
assert np.isclose(moved[0], whole[0]) and not np.isclose(moved[1], whole[1])
for c in (0.5, 0.1):
    print(f"features times {c}: penalties times", (coral_pair(c * a, c * b) / whole).round(6))
    assert np.isclose(coral_pair(c * a, c * b)[0], c**4 * whole[0])

# %% [markdown]
# Covariances scale with $c^2$, their squared difference with $c^4$. So a penalty that falls during training need not mean that the domains have come
# closer: the features may just have become small. Compare penalties of two networks only relative to the size of their features.
#
# ## Where the gradient sends the features
#
# Let $\Delta = C_e - C_f$. A small change $da_i$ of the features of domain $e$ changes its covariance by
#
# $$dC_e = \frac{1}{n-1} \sum_i \left( da_i\, (a_i - \mu_e)^\top + (a_i - \mu_e)\, da_i^\top \right),$$
#
# because $\sum_i (a_i - \mu_e) = 0$ removes the change of the mean. With $d \lVert \Delta \rVert^2 = 2 \langle \Delta, dC_e \rangle$ and a symmetric
# $\Delta$,
#
# $$\frac{\partial \lVert \Delta \rVert^2}{\partial a_i} = \frac{4}{n-1}\, \Delta\, (a_i - \mu_e).$$
#
# ### Exercise 7.2: the pull
#
# What gradient descent on DomainBed's penalty does to the features of the first domain.


# %%
def coral_pull(a, b):
    """Minus the gradient of the domainbed penalty in a, (n,h), (k,h) -> (n,h)."""
    ...


exercise("coral_pull", coral_pull)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def coral_pull(a, b):
    n, h = a.shape
    centered, apart = a - a.mean(axis=0), np.atleast_2d(np.cov(a.T) - np.cov(b.T))
    return -4 / (h**2 * (n - 1)) * centered @ apart - 2 / (h * n) * (a.mean(axis=0) - b.mean(axis=0))


feedback = exercise("coral_pull", coral_pull)
assert feedback.passed
feedback

# %% [markdown]
# The pull is a matrix times the deviation, plus the same shift for all. So every step maps the whole cloud by one *affine map*, and so do all
# steps together. Here are the inputs of the picture as free points in the plane, before and after many such steps.

# %%
start = a, b = [d.x.astype(float) for d in train]
for _ in range(300):
    a, b = a + 0.1 * len(a) * coral_pull(a, b), b + 0.1 * len(b) * coral_pull(b, a)
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharex=True, sharey=True)
for ax, title, clouds in zip(axes, ("before", "after 300 steps"), (start, (a, b)), strict=True):
    points = {f"{d.name}, y = {y}": c[d.y == y] for d, c in zip(train, clouds, strict=True) for y in (0, 1)}
    plots.scatter(ax, points, title=title, xlabel="$a_1$", ylabel="$a_2$")
plt.show()
residue = np.linalg.lstsq(np.hstack([start[1], np.ones((len(b), 1))]), b, rcond=None)[1]
assert np.allclose(residue, 0) and coral_pair(a, b)[1] < 1e-6

# %% [markdown]
# Mean and covariance agree. The two clouds of one class still lie across each other: many affine maps lead to the same covariance, and the penalty
# does not look at labels. In a network, the risk chooses among them, and the layers before can bend the clouds as well.
#
# ## Break it
#
# The implementation was broken above, and the check noticed. Now break the idea. A ring and a Gaussian cloud, each moved by an affine map so that the
# mean is 0 and the covariance is the identity, up to rounding.
#
# **Guess first.** What is CORAL's penalty? Could a small network tell from which of the two a point comes?

# %%
angle, n = rng.uniform(0, 2 * np.pi, 300), 300
shapes = {"ring": np.stack([np.cos(angle), np.sin(angle)], axis=1), "Gaussian": rng.normal(size=(n, 2))}
for name, points in shapes.items():
    centered = points + 0.05 * rng.normal(size=(n, 2))
    centered = centered - centered.mean(axis=0)
    shapes[name] = centered @ np.linalg.inv(np.linalg.cholesky(np.cov(centered.T))).T
print(f"penalty {coral_pair(*shapes.values())[1]:.0e}")
assert coral_pair(*shapes.values())[1] < 1e-20

# %%
critic, both = MLP((2, 32, 32, 1)), Domain("both", np.concatenate([*shapes.values()]), np.repeat([0, 1], n))
named = fit(ALGORITHMS["erm"](critic, lr=0.01), critic.init(rng), full_batch([both]), 150)
losses = np.array([row.value for row in named.history])
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
plots.scatter(axes[0], shapes, title="equal means and covariances", xlabel="$a_1$", ylabel="$a_2$", aspect="equal")
axes[1].plot(losses, color="#0072B2")
axes[1].set(xlabel="step", ylabel="cross-entropy of the domain", ylim=(0, None))
axes[1].axhline(np.log(2), color="#777777", linestyle=":")
plt.show()
assert losses[-1] < 0.6 * np.log(2)

# %% [markdown]
# CORAL sees no difference at all. A network that learns to name the domain does: the dotted line is at $\log 2$, the loss of
# one who only guesses. That is the idea of DANN.
#
# ## DANN: a discriminator as a distance
#
# The discriminator $D$ is a second network: features in, a probability for each of the $m$ domains out. It descends its cross-entropy $L_D$, the mean of
# $-\log p(e \mid a)$ over all samples of all domains. The features climb the same number:
#
# $$\min_\theta\; \max_w\; R(\theta) - \lambda\, L_D(\theta, w).$$
#
# How large can $L_D$ become? The best discriminator says the true share $p(e \mid a)$ of each domain among the samples with features $a$. Its
# cross-entropy is the entropy of the domain that is left when the features are known, $H(e \mid a) = H(e) - I(e; a)$. With domains of the same size,
# $H(e) = \log m$:
#
# $$\min_w L_D = \log m - I(e; a) \le \log m,$$
#
# with equality exactly if the features have the same distribution in all domains. A discriminator at $\log m$ can do no better than chance.
#
# ### Exercise 7.3: the best discriminator
#
# For a feature with few values, one can count. `counts[e, v]` says how often value $v$ occurs in domain $e$.


# %%
def best_discriminator(counts):
    """The smallest possible mean cross-entropy of the domain given the value, (m,v) -> ()."""
    ...


exercise("best_discriminator", best_discriminator)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def best_discriminator(counts):
    return -np.sum(counts / counts.sum() * np.log(counts / counts.sum(axis=0)))


assert np.isclose(best_discriminator(np.ones((3, 4))), np.log(3))  # equal domains: log m
feedback = exercise("best_discriminator", best_discriminator)
assert feedback.passed
feedback

# %% [markdown]
# ### In turns, or both at once?
#
# The paper trains both networks in one step: a layer that reverses the gradient gives the features the negative of what the discriminator gets.
# DomainBed trains in turns. The smallest such game is $\min_x \max_y x y$, with its solution at zero.
#
# **Guess first.** One of the two ways never gets away from a circle, the other spirals. Which, and where to?

# %%
walks, rate = {"at once": [(1.0, 0.0)], "in turns": [(1.0, 0.0)]}, 0.2
for name, walk in walks.items():
    for _ in range(60):
        x, y = walk[-1]
        y_next = y + rate * x
        walk.append((x - rate * (y_next if name == "in turns" else y), y_next))
distances = {name: np.linalg.norm(walk, axis=1) for name, walk in walks.items()}
assert np.isclose(distances["at once"][-1], (1 + rate**2) ** 30) and distances["in turns"].max() < 1.2
# %%
looks = {"at once": {"color": "#0072B2"}, "in turns": {"color": "#D55E00", "linestyle": "--"}}
steps, histories = 300 if SHORT else 600, {}
for name, convention in {"at once": "paper", "in turns": "domainbed"}.items():
    algorithm = ALGORITHMS["dann"](model, convention=convention, lr=0.005, width=32)
    measure = lambda t: [("", "accuracy", np.mean([*accuracies(model, t, train).values()]))]  # noqa: E731
    histories[name] = fit(algorithm, theta, full_batch(train), steps, measure=measure, every=1).history


def curves(metric, sign=1):
    return {n: sign * np.array([r.value for r in h if r.metric == metric])[:steps] for n, h in histories.items()}


# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
for (name, walk), marker in zip(walks.items(), ".x", strict=True):
    plots.path(axes[0], walk, name, looks[name]["color"], marker)
axes[0].set(title="the game xy", xlabel="x", ylabel="y", ylim=(-3.4, 3.4))
axes[0].legend(fontsize=8, loc="upper center", ncols=2)
plots.lines(axes[1], range(steps), curves("penalty", -1), looks, xlabel="step", ylabel="$L_D$", title="DANN")
plots.lines(axes[2], range(steps), curves("accuracy"), looks, xlabel="step", ylabel="accuracy", title="DANN")
axes[1].axhline(np.log(2), color="#777777", linestyle=":")
plt.show()

# %% [markdown]
# Both at once: every step multiplies the distance from zero by $\sqrt{1 + \text{rate}^2}$. In turns: the step of the second player answers the new
# position of the first, and the walk stays near its circle. Neither gets to zero. DANN's two ways look less different, because Adam sets the length
# of the steps and the risk pulls, too.
#
# The dotted line is $\log 2$. Where $L_D$ is *above* it, the discriminator is worse than one that always says "one half": it has not kept up with
# the features. So a loss near $\log m$ means equal features only if the discriminator is near its best.
#
# ## Equal features, different labels
#
# In Colored MNIST, let the shape be 1 for a digit below 5. The label is the shape, flipped in 25 % of the rows; the color is the label, flipped in 20 %,
# 10 % or 90 %.
#
# **Guess first.** Which of these differ between the domains: how often the color is 1, how often the color is the label, how often the color is the
# shape? Which of them can a penalty on the features see?

# %%
flips = np.array([0.2, 0.1, 0.9])
as_shape = 0.75 * (1 - flips) + 0.25 * flips
tables = {"color": np.full((3, 2), 0.5), "color and shape": np.stack([as_shape, 1 - as_shape], axis=1)}
print("color = label:", 1 - flips, "  color = shape:", as_shape.round(2))
for name, counts in tables.items():
    below = [np.log(m) - best_discriminator(counts[:m]) for m in (2, 3)]
    print(f"{name}: below log m by {below[0]:.4f} (two training domains), {below[1]:.4f} (all three)")
assert np.isclose(best_discriminator(tables["color"]), np.log(3))
assert np.log(2) - best_discriminator(tables["color and shape"][:2]) < 0.002

# %% [markdown]
# The color alone has the same distribution in all three domains, the test domain included. As a feature it is perfect for every penalty on $p(a)$: no
# discriminator can beat $\log 3$. It is the shortcut. What differs is $p(y \mid a)$, and neither CORAL nor DANN looks at labels. Color and shape
# together differ a little, but hardly between the two training domains.
#
# So train on it. The last two columns put CORAL's penalty into proportion: between two halves of one domain, and between the second training domain and
# the test domain. CORAL gets more than the largest penalty weight of DomainBed's search.

# %%
digits = load_digits()
task, net = colored_mnist(digits, count=1_000, test_count=1_000, dtype=np.float32), MLP((392, 32, 16, 1))
second, start, found = task.train[1], net.init(np.random.default_rng(1), np.float32), {}
groups = {"train": task.train, "halves": [take(second, np.s_[k::2]) for k in (0, 1)], "test": [second, task.test[0]]}
for name, more in {"erm": {}, "coral": {"penalty_weight": 100.0}, "dann": {"width": 32}}.items():
    algorithm = ALGORITHMS[name](net, convention="domainbed", lr=0.002, **more)
    end = fit(algorithm, start, full_batch(task.train), 60).theta
    penalties = {key: float(coral.penalty(net, end, pair, convention="domainbed")) for key, pair in groups.items()}
    found[name] = accuracies(net, end, [*task.train, *task.test]), penalties
    print(f"{name:6}", "  ".join(f"{key} {value:.1e}" for key, value in penalties.items()))

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
by_domain = {d.name: {n: 100 * float(a[d.name]) for n, (a, _) in found.items()} for d in [*task.train, *task.test]}
looks = {n: plots.method_style(n) for n in found}
plots.bars(ax, by_domain, looks, ylabel="accuracy in %", title=task.name, ylim=(0, 118))
plt.show()
penalties = {n: values for n, (_, values) in found.items()}
assert all(values < 35 for values in by_domain["-90%"].values())
assert penalties["erm"]["train"] < 5 * penalties["erm"]["halves"]
assert penalties["coral"]["train"] < penalties["erm"]["train"] / 5

# %% [markdown]
# Already ERM's features, which use the shortcut, differ between the training domains no more than a few times as much as between two halves of one
# of them. CORAL makes the difference smaller still, and all three methods fail in the test domain. That is no failure of the optimization: the penalty is small, as it
# should be, and asks for nothing else.
#
# ## When matching hurts
#
# Now let the share of ones differ: $p_e = p(y = 1)$ is 0.8 in one domain and 0.2 in the other, everything else being the same. If the features have
# the same distribution in both domains, the predictor says 1 equally often, $q_1 = q_2 = q$. Its error $\epsilon_e$ is at least $|q_e - p_e|$, because
# only a mistake can make the two shares differ. So
#
# $$\epsilon_1 + \epsilon_2 \ge |q_1 - p_1| + |q_2 - p_2| \ge |p_1 - p_2| - |q_1 - q_2| .$$
#
# Perfectly matched features with perfectly different labels cannot be good.
#
# ### Exercise 7.4: the floor
#
# The least mean error over any number of domains, for a predictor that says 1 equally often in all of them.


# %%
def error_floor(shares):
    """The shares of ones in the domains, (m,) -> (): the least mean error."""
    ...


exercise("error_floor", error_floor)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def error_floor(shares):
    return np.mean(np.abs(shares - np.median(shares)))


feedback = exercise("error_floor", error_floor)
assert feedback.passed
feedback

# %%
unequal, wide = [domain("one", share=0.8), domain("two", share=0.2)], MLP((2, 16, 8, 1))
p, begin, weights = np.array([d.y.mean() for d in unequal]), wide.init(rng, np.float32), [0.0, 1.0, 10.0, 100.0]
results = {"coral": [], "dann": []}
for name, weight in ((name, weight) for name in results for weight in weights):
    algorithm = ALGORITHMS[name](wide, convention="domainbed", lr=0.005, penalty_weight=weight)
    end = fit(algorithm, begin, full_batch(unequal), 200 if SHORT else 400).theta
    ones = np.array([wide.logits(end, d.x)[:, 0] > 0 for d in unequal])
    q, error = ones.mean(axis=1), np.mean(ones != [d.y for d in unequal], axis=1)
    results[name].append((abs(q[0] - q[1]), error.mean()))
    assert np.all(error >= abs(q - p) - 1e-9)

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.3), layout="constrained", sharey=True)
errors, looks = {n: [e for _, e in pairs] for n, pairs in results.items()}, {n: plots.method_style(n) for n in results}
plots.lines(axes[0], weights, errors, looks, xscale="symlog", xlabel="penalty weight", ylabel="mean error")
axes[0].axhline(error_floor(p), color="#777777", linestyle=":")
for (n, pairs), marker in zip(results.items(), "os", strict=True):
    axes[1].plot(*np.transpose(pairs), marker, color=looks[n]["color"], markeredgecolor="#777777")
axes[1].axline((0, error_floor(p)), (2 * error_floor(p), 0), color="#777777", linestyle=":")
axes[1].set(xlabel="difference of the shares of predicted ones", ylim=(-0.02, 0.6))
plt.show()
assert all(max(values[:2]) < 0.05 and values[3] > 0.1 for values in errors.values())

# %% [markdown]
# With a small penalty weight both methods label everything, and their features differ. With the largest one, many labels are lost. The dotted lines are the
# floor: on the left for equal shares of predicted ones, on the right for any difference of these shares (circles: CORAL, squares:
# DANN). No point can lie below the line on the right.
# On the left one could, because CORAL makes two moments equal and not the whole distribution, and because a network need not reach its optimum.
#
# The difference to the gradients of lessons 4 to 6: gradients of the risk contain the label, $G_i = a_i (p_i - y_i)^\top$ in the last layer. What
# they compare is $p(y \mid a)$ and $p(a)$ together.
#
# ## Three questions
#
# 1. Two domains have features with equal means, and in each class the means differ between the domains. Is CORAL zero? Is the best discriminator at
#    $\log 2$?
# 2. One could match features within each class, $p(a \mid y)$. Would the shares of labels still hurt? Would it see the color of Colored MNIST?
# 3. A discriminator has the loss $\log 3$ in a problem with three domains. Name two causes, and an experiment that tells them apart.
#
# ## Read on
#
# - CORAL: Sun and Saenko 2016, *Deep CORAL*, [arXiv:1607.01719](https://arxiv.org/abs/1607.01719), on the loss and its gradient.
# - DANN: Ganin et al. 2016, *Domain-Adversarial Training of Neural Networks*, [arXiv:1505.07818](https://arxiv.org/abs/1505.07818), on the
#   gradient reversal layer.
# - Gradients, which see labels, instead: Ramé, Dancette and Cord 2022, [arXiv:2109.02934](https://arxiv.org/abs/2109.02934). That is lesson 6.
