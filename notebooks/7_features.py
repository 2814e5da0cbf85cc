# ---
# jupyter:
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
# About 60 minutes. Read beside it: `minifishr/algorithms/coral.py`, `minifishr/algorithms/dann.py`. You need lesson 0. Words: [glossary](glossary.md).

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
    accuracies,
    checks,
    colored_mnist,
    fit,
    full_batch,
    load_digits,
    plots,
)
from minifishr.algorithms import coral
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.data import take

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Before you begin
#
# From earlier lessons. Write a number, or a letter in quotes, in the place of the dots.
#
# 1. Multiply all features by 2 and divide the classifier's weights by 2. The part of Fishr's penalty that comes from the weights becomes how many times
#    as large?
# 2. With $\tau = 1$ AND-mask keeps a coordinate where a) the mean gradient is large; b) the gradients of all domains have one sign; c) the variance over
#    domains is small.
# 3. A test that is to find the shortcut of Colored MNIST needs rows in which a) the color contradicts the label; b) the digit is easy to read;
#    c) there is no label noise.

# %%
recall(7, ..., ..., ...)

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


# %%
rng, model, ends = np.random.default_rng(0), MLP((2, 16, 2, 1)), {}
train = [domain("one"), domain("two", turn=0.8, scale=1.5, shift=(2, 1))]
theta, values = model.init(rng, np.float32), {}
theta[model.blocks["b2"]] = 3
for name in ("erm", "coral"):
    algorithm = ALGORITHMS[name](model, convention="domainbed", lr=0.005)
    ends[name] = fit(algorithm, theta, full_batch(train), 200 if SHORT else 400).theta
    values[name] = coral.penalty(model, ends[name], train, convention="domainbed")
    assert min(accuracies(model, ends[name], train).values()) > 0.95
assert values["coral"] < 0.1 < values["erm"]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3.2, sharex=True, sharey=True)
for ax, (name, value) in zip(axes, values.items(), strict=True):
    clouds = {f"domain {d.name}": model.features(ends[name], d.x) for d in train}
    plots.scatter(ax, clouds, title=f"{name}: CORAL's penalty {value:.2g}")
    ax.set(xlabel="feature 1", ylabel="feature 2")
alt = f"ERM's features of the two domains lie apart, penalty {values['erm']:.2g}; "
figure(
    fig, alt + f"CORAL's lie on each other, penalty {values['coral']:.2g}.", guess=True
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# ERM's features may lie anywhere, as long as one line separates the classes of both domains. CORAL moves the two clouds on top of each other and
# keeps the accuracy. Whether that is worth anything in a *third* domain is the question of this lesson.
#
# </details>
#
# Both methods of this lesson come from domain *adaptation*: there the rows of the target domain are known, without labels, and its features are
# matched with those of the source. Here, in domain *generalization*, nothing of the test domain is known, and the training domains are matched with
# each other. What carries over is less than one may think.
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
for found in checks.verified(names=names):
    print(f"{found.identity.statement}: largest relative error {found.error:.0e}")
    assert found.passed
with checks.broken("coral.distance"):  # 0.1 % too large
    found, _ = checks.verified(names=names)
print(f"broken on purpose: error {found.error:.0e}, passed: {found.passed}")
assert not found.passed

# %% [markdown]
# ### Exercise 7.1: both penalties of two domains


# %%
def coral_pair(a, b):
    """(n,h), (k,h) -> (2,): the paper's penalty, and domainbed's."""
    ...


exercise("coral_pair", coral_pair)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
coral_pair = passed("coral_pair")  # yours if it passed, else the solution
solution("coral_pair")


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
times = {c: coral_pair(c * a, c * b) / whole for c in (0.5, 0.1)}
assert all(np.isclose(found[0], c**4) for c, found in times.items())
reveal(*(f"features times {c}: penalties times {v.round(6)}" for c, v in times.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# Covariances scale with $c^2$, their squared difference with $c^4$. So a penalty that falls during training need not mean that the domains have come
# closer: the features may just have become small. Compare penalties of two networks only relative to the size of their features.
#
# </details>
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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
coral_pull = passed("coral_pull")  # yours if it passed, else the solution
solution("coral_pull")


# %% [markdown]
# The pull is a matrix times the deviation, plus the same shift for all. So every step maps the whole cloud by one *affine map*, and so do all
# steps together. Here are the inputs of the picture as free points in the plane, before and after many such steps.

# %%
start = a, b = [d.x.astype(float) for d in train]
for _ in range(300):
    a, b = a + 0.1 * len(a) * coral_pull(a, b), b + 0.1 * len(b) * coral_pull(b, a)
affine = np.hstack([start[1], np.ones((len(b), 1))])
residue = np.linalg.lstsq(affine, b, rcond=None)[1]
assert np.allclose(residue, 0) and coral_pair(a, b)[1] < 1e-6

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3.2, sharex=True, sharey=True)
titles = {"before": start, "after 300 steps": (a, b)}
for ax, (title, both) in zip(axes, titles.items(), strict=True):
    points = {}
    for d, cloud in zip(train, both, strict=True):
        points |= {f"{d.name}, y = {y}": cloud[d.y == y] for y in (0, 1)}
    plots.scatter(ax, points, title=title, xlabel="$a_1$", ylabel="$a_2$")
figure(
    fig,
    "Two clouds of two classes, apart before; afterwards with one mean and covariance.",
)

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
shapes = {"ring": np.stack([np.cos(angle), np.sin(angle)], axis=1)}
shapes["Gaussian"] = rng.normal(size=(n, 2))
for name, points in shapes.items():
    centered = points + 0.05 * rng.normal(size=(n, 2))
    centered = centered - centered.mean(axis=0)
    root = np.linalg.cholesky(np.cov(centered.T))
    shapes[name] = centered @ np.linalg.inv(root).T
penalty = coral_pair(*shapes.values())[1]
assert penalty < 1e-20

# %%
critic, names = MLP((2, 32, 32, 1)), np.repeat([0, 1], n)
both = Domain("both", np.concatenate([*shapes.values()]), names)
erm = ALGORITHMS["erm"](critic, lr=0.01)
named = fit(erm, critic.init(rng), full_batch([both]), 150)
losses = np.array([row.value for row in named.history])
assert losses[-1] < 0.6 * np.log(2)

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3.2)
title = f"CORAL's penalty {penalty:.0e}"
labels = {"xlabel": "$a_1$", "ylabel": "$a_2$", "aspect": "equal"}
plots.scatter(axes[0], shapes, title=title, **labels)
axes[1].plot(losses, color="#0072B2")
axes[1].set(xlabel="step", ylabel="cross-entropy of the domain", ylim=(0, None))
axes[1].axhline(np.log(2), color="#777777", linestyle=":")
alt = (
    "A ring and a cloud with equal means and covariances. The loss of a net that names "
)
figure(fig, alt + f"the domain falls from log 2 to {losses[-1]:.2f}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# CORAL sees no difference at all. A network that learns to name the domain does: the dotted line is at $\log 2$, the loss of
# one who only guesses. That is the idea of DANN.
#
# </details>
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
    """The smallest mean cross-entropy of the domain given the value, (m,v) -> ()."""
    ...


exercise("best_discriminator", best_discriminator)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
best_discriminator = passed("best_discriminator")  # yours, or else the solution
solution("best_discriminator")

# %%
equal = best_discriminator(np.ones((3, 4), int))
assert np.isclose(equal, np.log(3))  # equal domains: log m
assert np.isclose(best_discriminator(np.diag([5, 3])), 0)  # it gives the domain away

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
far = {name: np.linalg.norm(walk, axis=1) for name, walk in walks.items()}
assert np.isclose(far["at once"][-1], (1 + rate**2) ** 30)
assert far["in turns"].max() < 1.2

# %%
steps, found = 300 if SHORT else 600, {}


def measure(t):
    return [("", "accuracy", np.mean([*accuracies(model, t, train).values()]))]


for name, convention in {"at once": "paper", "in turns": "domainbed"}.items():
    dann = ALGORITHMS["dann"](model, convention=convention, lr=0.005, width=32)
    batches = full_batch(train)
    rows = fit(dann, theta, batches, steps, measure=measure, every=1).history
    for metric in ("penalty", "accuracy"):
        values = [row.value for row in rows if row.metric == metric]
        found.setdefault(metric, {})[name] = np.array(values[:steps])

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(3, height=2.8)
looks = {"at once": {"color": "#0072B2"}}
looks["in turns"] = {"color": "#D55E00", "linestyle": "--"}
for (name, walk), marker in zip(walks.items(), ".x", strict=True):
    plots.path(axes[0], walk, name, looks[name]["color"], marker)
axes[0].set(title="the game xy", xlabel="x", ylabel="y", ylim=(-3.4, 3.4))
axes[0].legend(fontsize=8, loc="upper center", ncols=2)
losses = {name: -values for name, values in found["penalty"].items()}
plots.lines(axes[1], range(steps), losses, looks, ylabel="$L_D$", title="DANN")
plots.lines(axes[2], range(steps), found["accuracy"], looks, ylabel="accuracy")
axes[1].axhline(np.log(2), color="#777777", linestyle=":")
axes[2].set_xlabel("step")
alt = f"At once the game spirals to a distance of {far['at once'][-1]:.1f}; in turns "
figure(
    fig,
    alt + "it stays near a circle. DANN's losses and accuracies over steps.",
    guess=True,
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Both at once: every step multiplies the distance from zero by $\sqrt{1 + \text{rate}^2}$. In turns: the step of the second player answers the new
# position of the first, and the walk stays near its circle. Neither gets to zero. DANN's two ways look less different, because Adam sets the length
# of the steps and the risk pulls, too.
#
# </details>
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
color = np.full((3, 2), 0.5)
with_shape = np.stack([as_shape, 1 - as_shape], axis=1)
below = {}  # log m, for the two training domains and for all three
for name, table in {"color": color, "color and shape": with_shape}.items():
    rows = np.round(100 * table).astype(int)  # of each value of the feature
    below[name] = [np.log(m) - best_discriminator(rows[:m]) for m in (2, 3)]
assert np.allclose(below["color"], 0) and below["color and shape"][0] < 0.002

# %%
shares = f"color = label: {1 - flips}", f"color = shape: {as_shape.round(2)}"
lines = [f"{name}: below log m by {np.round(v, 4) + 0.0}" for name, v in below.items()]
reveal(*shares, *lines)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The color alone has the same distribution in all three domains, the test domain included. As a feature it is perfect for every penalty on $p(a)$: no
# discriminator can beat $\log 3$. It is the shortcut. What differs is $p(y \mid a)$, and neither CORAL nor DANN looks at labels. Color and shape
# together differ a little, but hardly between the two training domains.
#
# </details>
#
# So train on it. The last two columns put CORAL's penalty into proportion: between two halves of one domain, and between the second training domain and
# the test domain. CORAL gets more than the largest penalty weight of DomainBed's search.

# %%
digits, net = load_digits(), MLP((392, 32, 16, 1))
task = colored_mnist(digits, count=1_000, test_count=1_000, dtype=np.float32)
second, start = task.train[1], net.init(np.random.default_rng(1), np.float32)
halves = [take(second, np.s_[k::2]) for k in (0, 1)]
groups = {"train": task.train, "halves": halves, "test": [second, task.test[0]]}
domains = [*task.train, *task.test]

# %%
right, penalties = {}, {}
options = {"erm": {}, "coral": {"penalty_weight": 100.0}, "dann": {"width": 32}}
for name, more in options.items():
    algorithm = ALGORITHMS[name](net, convention="domainbed", lr=0.002, **more)
    end, found = fit(algorithm, start, full_batch(task.train), 60).theta, {}
    for key, pair in groups.items():
        found[key] = float(coral.penalty(net, end, pair, convention="domainbed"))
    right[name], penalties[name] = accuracies(net, end, domains), found
    print(f"{name:6}", "  ".join(f"{key} {v:.1e}" for key, v in found.items()))

# %%
by_domain = {}
for d in domains:
    by_domain[d.name] = {n: 100 * float(found[d.name]) for n, found in right.items()}
assert all(values < 35 for values in by_domain["-90%"].values())
assert penalties["erm"]["train"] < 5 * penalties["erm"]["halves"]
assert penalties["coral"]["train"] < penalties["erm"]["train"] / 5

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=3.2)
looks = {n: plots.method_style(n) for n in right}
plots.bars(ax, by_domain, looks, ylabel="accuracy in %", ylim=(0, 118))
ax.set_title(task.name)
said = ", ".join(f"{n} {value:.0f} %" for n, value in by_domain["-90%"].items())
figure(
    fig,
    f"Accuracies of all three methods, about equal. In the test domain -90%: {said}.",
)

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
# Perfectly matched features with perfectly different labels cannot be good. That a bound for the target has to contain how well one predictor can
# do in both domains is due to Ben-David et al. (2010, *A theory of learning from different domains*); that matched features make it worse where the
# shares of labels differ, as here, to Zhao et al. (2019, [arXiv:1901.09453](https://arxiv.org/abs/1901.09453)).
#
# ### Exercise 7.4: the floor
#
# The least mean error over any number of domains, for a predictor that says 1 equally often in all of them.


# %%
def error_floor(shares):
    """The shares of ones in the domains, (m,) -> (): the least mean error."""
    ...


exercise("error_floor", error_floor)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
error_floor = passed("error_floor")  # yours if it passed, else the solution
solution("error_floor")


# %%
unequal, wide = [domain("one", share=0.8), domain("two", share=0.2)], MLP((2, 16, 8, 1))
p, begin = np.array([d.y.mean() for d in unequal]), wide.init(rng, np.float32)
weights, steps = [0.0, 1.0, 10.0, 100.0], 200 if SHORT else 400


def ended(name, weight):
    options = {"lr": 0.005, "penalty_weight": weight}
    algorithm = ALGORITHMS[name](wide, convention="domainbed", **options)
    return fit(algorithm, begin, full_batch(unequal), steps).theta


# %%
apart, errors = {"coral": [], "dann": []}, {"coral": [], "dann": []}
for name in apart:
    for weight in weights:
        end = ended(name, weight)
        ones = np.array([wide.logits(end, d.x)[:, 0] > 0 for d in unequal])
        q, error = ones.mean(axis=1), np.mean(ones != [d.y for d in unequal], axis=1)
        assert np.all(error >= abs(q - p) - 1e-9)
        apart[name].append(abs(q[0] - q[1]))
        errors[name].append(error.mean())
assert all(max(v[:2]) < 0.05 and v[3] > 0.1 for v in errors.values())

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3)
looks, floor = {n: plots.method_style(n) for n in errors}, error_floor(p)
labels = {"xlabel": "penalty weight", "ylabel": "mean error"}
plots.lines(axes[0], weights, errors, looks, xscale="symlog", **labels)
axes[0].axhline(floor, color="#777777", linestyle=":")
for n, marker in zip(errors, "os", strict=True):
    style = {"color": looks[n]["color"], "markeredgecolor": "#777777"}
    axes[1].plot(apart[n], errors[n], marker, label=n, **style)
axes[1].axline((0, floor), (2 * floor, 0), color="#777777", linestyle=":")
axes[1].set(xlabel="difference of the shares of predicted ones", ylim=(-0.02, None))
axes[1].set_ylabel("mean error")
axes[1].legend(fontsize=8)
said = ", ".join(f"{n} {values[3]:.2f}" for n, values in errors.items())
figure(
    fig,
    f"Mean errors, at the largest penalty weight {said}; the floor is {floor:.2f}.",
)

# %% [markdown]
# With a small penalty weight both methods label everything, and their features differ. With the largest one, many labels are lost. The dotted lines are the
# floor: above for equal shares of predicted ones, below for any difference of these shares (circles: CORAL, squares:
# DANN). In the lower picture no point can lie below the line.
# In the upper one it could, because CORAL makes two moments equal and not the whole distribution, and because a network need not reach its optimum.
#
# The difference to the gradients of lessons 4 to 6: gradients of the risk contain the label, $G_i = a_i^\top (p_i - y_i)$ in the last layer ($a_i$ is a row). What
# they compare is $p(y \mid a)$ and $p(a)$ together.
#
# ## Three questions
#
# 1. Two domains have features with equal means, and in each class the means differ between the domains. Is CORAL zero? Is the best discriminator at
#    $\log 2$?
# 2. One could match features within each class, $p(a \mid y)$. Would the shares of labels still hurt? Would it see the color of Colored MNIST?
# 3. A discriminator has the loss $\log 3$ in a problem with three domains. Name two causes, and an experiment that tells them apart.
#
# <details><summary>Answers</summary>
#
# 1. CORAL need not be zero, since the covariances contain how far the classes are apart; with equal covariances it is: the overall means are equal. The
#    best discriminator is not at $\log 2$, because where the class means differ, the distributions differ.
# 2. The shares of labels would not hurt: within a class nothing depends on how many rows it has. It would see the color: given $y$, the color is 1 in
#    another share of the rows in each domain, 80 % against 90 %.
# 3. The features agree in all domains, or the discriminator is too weak or too slow. Freeze the features and train a fresh, larger discriminator for
#    long: where it stays at $\log 3$ on held-out rows too, the features agree as far as it can see.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The first answer in numbers: equal means, and classes that lie apart in one domain.
rows, sign = np.random.default_rng(0).normal(size=(2, 400, 1)), np.ones((400, 1))
sign[:200] = -1
apart = [rows[0] + 2 * sign, rows[1]]
apart = [one - one.mean() for one in apart]
assert coral_pair(*apart)[0] > 1
apart = [one / one.std() for one in apart]  # equal covariances
assert coral_pair(*apart)[0] < 1e-20
counts = [np.histogram(one, [-9, -1.5, -0.5, 0.5, 1.5, 9])[0] for one in apart]
assert best_discriminator(np.array(counts)) < np.log(2) - 0.02

# %% [markdown]
# ## Read on
#
# - CORAL: Sun and Saenko 2016, *Deep CORAL*, [arXiv:1607.01719](https://arxiv.org/abs/1607.01719), on the loss and its gradient.
# - DANN: Ganin et al. 2016, *Domain-Adversarial Training of Neural Networks*, [arXiv:1505.07818](https://arxiv.org/abs/1505.07818), on the
#   gradient reversal layer.
# - Gradients, which see labels, instead: Ramé, Dancette and Cord 2022, [arXiv:2109.02934](https://arxiv.org/abs/2109.02934). That is lesson 6.
