# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 0. The shortcut
#
# *Why does a network take the shortcut?*
#
# After this lesson you can
#
# - make a domain of Colored MNIST from three random bits, and say what 75 %, 85 % and 10 % mean;
# - compute the best accuracy that any predictor can have, from a table of eight probabilities;
# - show by counting, and by swapping two channels, that a trained network answers by color;
# - say at which agreement of color and label the shortcut starts to pay, and what ERM cannot know.
#
# About 45 minutes. Read beside it: `minifishr/data/domains.py`. No other lesson is needed first. Words: [glossary](glossary.md).

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
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.data import colored, shrink
from minifishr.experiments import accuracy_rows
from minifishr.gradients import domain_gradients, mean_gradient

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## A picture
#
# Three domains of colored digits, and a fourth one in grey. Each has two rows: twelve images with label 0, and below them twelve with label 1. The first
# two domains are for training. The other two are tests.
#
# **Guess first.** Look at the first two domains only. Which rule for the label do you find? How often will it be right in the third domain?

# %%
digits = load_digits()
count, tests = (1_000, 1_500) if SHORT else (4_000, 4_000)
options = {"count": count, "test_count": tests, "dtype": np.float32}
problem = colored_mnist(digits, **options)
everything = [*problem.train, *problem.test]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(8, height=0.5)
for k, one in enumerate(everything):
    for label in (0, 1):
        rows = np.flatnonzero(one.y == label)[:12]
        ax = plots.image_row(axes[2 * k + label], one.x[rows], problem.shape)
        ax.set_ylabel(f"{one.name}\nlabel {label}", rotation=0, ha="right", va="center")
axes[0].set_title(problem.name, fontsize=9)
alt = (
    "Twelve digits of each label in each domain: in +80% and +90% most are orange with "
)
figure(
    fig,
    alt + "label 0 and azure with label 1; in -90% it is the other way; grey has none.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Most people say: *orange is 0, azure is 1*. In the third domain this rule is wrong nine times in ten. The rule that was meant is about the digit: 0 to 4
# have label 1, 5 to 9 have label 0. But some labels contradict it, in every domain, the tests included.
#
# </details>
#
# ## How a domain is made
#
# Three bits describe an image. Let $\oplus$ be "exclusive or": a bit, turned over where the other bit is 1.
#
# - the shape, $s = 1$ for the digits 0 to 4;
# - the label, $y = s \oplus a$. The noise $a$ is 1 with probability $q = 0.25$, the same in every domain;
# - the color, $c = y \oplus b$. The flip $b$ is 1 with probability $\varepsilon$: 0.2 and 0.1 in training, 0.9 in the test.
#
# An image has two channels. The one with number $c$ holds the digit, the other one is black.
#
# ### Exercise 0.1: the coloring
#
# From grey images, labels and flips to rows of pixels.


# %%
def coloring(images, y, flips):
    """(n,h,w), (n,), (n,) -> (n, 2 h w)."""
    ...


exercise("coloring", coloring)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
coloring = passed("coloring")  # yours if it passed, else the solution
solution("coloring")


# %% [markdown]
# With it, a domain from its three bits. The package draws the same bits in the same order, and makes the same domain.

# %%
images, labels = shrink(digits.images[:500], 14), digits.labels[:500]
rng = np.random.default_rng(1)
s = labels < 5
a, b = rng.random(500) < 0.25, rng.random(500) < 0.2
y = (s ^ a).astype(int)
domain = colored(images, labels, 0.2, np.random.default_rng(1))
assert np.array_equal(domain.y, y)
assert np.allclose(domain.x, coloring(images / 255, y, b.astype(int)))
print(domain.name, "holds", domain.x.shape, "pixels and", domain.y.shape, "labels")

# %% [markdown]
# ## What 75 %, 85 % and 10 % mean
#
# Take the predictor that knows the shape perfectly and ignores the color: it says $s$. It is right where $a = 0$, so its accuracy is
# $1 - q = 75$ % in every domain. The predictor that says $c$ is right where $b = 0$, so its accuracy is $1 - \varepsilon$.
#
# | predictor | +80% | +90% | mean of both | -90% | grey |
# |---|---|---|---|---|---|
# | shape alone | 75 % | 75 % | 75 % | 75 % | 75 % |
# | color alone | 80 % | 90 % | 85 % | 10 % | has none to see |
#
# In training the color wins by ten points. In the test it loses by 65. Count it: the color is the channel that is not black. A share counted in $n$ rows has the standard
# error $\sqrt{p (1 - p) / n}$, and four of them are allowed.


# %%
def color_of(x):
    return x.reshape(len(x), 2, -1).sum(axis=2).argmax(axis=1)


def close(found, p, n):
    return abs(found - p) <= 4 * (p * (1 - p) / n) ** 0.5


# %%
shape = (digits.labels[50_000 : 50_000 + tests] < 5).astype(int)  # of the test domain
assert close(np.mean(shape == problem.test[0].y), 0.75, tests)
for one, agreement in zip(everything[:3], (0.8, 0.9, 0.1), strict=True):
    n, found = len(one.y), np.mean(color_of(one.x) == one.y)
    print(f"{one.name}: the color is the label in {100 * found:.1f} % of {n} rows")
    assert close(found, agreement, n)

# %% [markdown]
# ### Exercise 0.2: one rule for all domains
#
# A predictor sees the color and not the domain. What is the best accuracy that it can have, on all rows of domains of equal size?


# %%
def pooled_color(agreements):
    """The share of rows in each domain whose color is the label, (m,) -> ()."""
    ...


exercise("pooled_color", pooled_color)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
pooled_color = passed("pooled_color")  # yours if it passed, else the solution
solution("pooled_color")


# %% [markdown]
# ## Both together
#
# A network sees shape *and* color. **Guess first.** In the domain +80%, how much better than 80 % can a predictor be that knows both bits?
#
# <details><summary>Answer</summary>
#
# Where they agree it follows both. Where they differ, one of them is wrong. The color is the label where $a = 1$ and $b = 0$. The shape is the label where $a = 0$ and $b = 1$:
#
# $$P(a = 1, b = 0) = 0.25 \cdot 0.8 = 0.20, \qquad P(a = 0, b = 1) = 0.75 \cdot 0.2 = 0.15.$$
#
# So it is better to follow the color, always, and the best accuracy with both equals that with the color alone. The shape adds nothing. For any noise $q \le \frac12$ and any agreement
# $1 - \varepsilon \ge \frac12$,
#
# </details>
#
# $$\text{best accuracy} = \max(1 - \varepsilon,\; 1 - q).$$
#
# The same in log-odds, which is what a logit is. Color and shape are independent once the label is known, so that their votes add up:
#
# $$\log \frac{P(y = 1 \mid s, c)}{P(y = 0 \mid s, c)} = \pm \log \frac{1 - q}{q} \pm \log \frac{1 - \varepsilon}{\varepsilon},$$
#
# plus for $s = 1$ and for $c = 1$, minus for 0. The larger vote decides.
#
# ### Exercise 0.3: the table of eight probabilities, and 0.4: the best accuracy


# %%
def joint_table(share, noise, flip):
    """P(s = 1), P(y != s), P(c != y) -> P(s, c, y) as an array [s, c, y] (2,2,2)."""
    ...


exercise("joint_table", joint_table)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
joint_table = passed("joint_table")  # yours if it passed, else the solution
solution("joint_table")


# %%
def bayes_accuracy(table):
    """P(s, c, y) as an array (2,2,2) -> ()."""
    ...


exercise("bayes_accuracy", bayes_accuracy)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
bayes_accuracy = passed("bayes_accuracy")  # yours if it passed, else the solution
solution("bayes_accuracy")


# %% [markdown]
# With the two functions, the best accuracy at every agreement:

# %%
table = joint_table(0.5, 0.25, 0.2)  # [s, c, y]
color_right = table[1, 0, 0] + table[0, 1, 1]
shape_right = table[0, 1, 0] + table[1, 0, 1]
assert np.allclose([color_right, shape_right], [0.20, 0.15])
agreement = np.linspace(0, 1, 101)
best = [bayes_accuracy(joint_table(0.5, 0.25, 1 - a)) for a in agreement]
color = np.array([pooled_color(np.array([a])) for a in agreement])
assert np.allclose(best, np.maximum(color, 0.75)) and np.isclose(best[80], 0.8)
assert np.isclose(pooled_color(np.array([0.8, 0.9])), 0.85)

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
curves = {"color alone": color, "shape alone": np.full(101, 0.75), "both": best}
styles = {"color alone": {"color": "#D55E00"}}
styles["shape alone"] = {"color": "#0072B2", "linestyle": "--"}
styles["both"] = {"color": "#000000", "linestyle": ":", "linewidth": 3}
labels = {"xlabel": "share of rows whose color is the label", "ylabel": "best accuracy"}
fig, ax = panels()
plots.lines(ax, agreement, curves, styles, **labels)
alt = f"Color alone: a V from 1 down to {color.min():.2f}. Shape alone: level at 0.75. "
figure(fig, alt + "Both together: the higher of the two.")

# %% [markdown]
# Between 25 % and 75 % the shape decides. Beyond, the color does, and the shape is of no use for the answer. Both training domains lie beyond. So the shortcut is no
# laziness of networks: for these training rows it is the *optimum*. More images do not change that.
#
# ## Train
#
# ERM, empirical risk minimization, minimizes the mean risk of the training domains. Beside it we train the same network on the same images without
# color: both channels hold the sum of the two.


# %%
def grey(domain):
    both = domain.x.reshape(len(domain.y), 2, -1).sum(axis=1)
    return domain._replace(x=np.concatenate([both, both], axis=1))


def trained(problem, seed=0, every=5):
    theta = model.init(np.random.default_rng(seed), np.float32)
    erm = ALGORITHMS["erm"](model, lr=0.002)  # fewer and longer steps than published
    measured = {"measure": accuracy_rows(model, problem), "every": every}
    return fit(erm, theta, full_batch(problem.train), steps, **measured)


# %%
model, steps = MLP((392, 64, 1)), 40 if SHORT else 150
held_out = problem.validation  # rows that training does not see
problem = problem._replace(validation=[])
grey_train = [grey(d) for d in problem.train]
colorless = problem._replace(train=grey_train, test=problem.test[1:])
assert np.array_equal(grey(problem.test[0]).x, problem.test[1].x)  # the grey domain
fits = {"ERM": trained(problem), "ERM on grey images": trained(colorless)}

# %%
percent = {"color alone": {"+80%": 80, "+90%": 90, "-90%": 10}}
percent["shape alone"] = dict.fromkeys(("+80%", "+90%", "-90%", "grey"), 75)
seen = {"ERM": everything, "ERM on grey images": colorless.train + colorless.test}
for name, found in fits.items():
    right = accuracies(model, found.theta, seen[name])
    percent[name] = {d: round(100 * v) for d, v in right.items()}
for name, best in percent["color alone"].items():
    assert abs(percent["ERM"][name] - best) <= 5
assert 60 < percent["ERM on grey images"]["grey"] < 75

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
styles = plots.domain_styles(["+80%", "+90%"], ["-90%", "grey"])
fig, ax = panels(height=3.6)
shown = {name.replace(" on", "\non"): values for name, values in percent.items()}
plots.bars(ax, shown, styles, ylabel="accuracy in percent", ylim=(0, 118))
ax.set_title(problem.name)
ax.legend(ncols=4, loc="upper center", fontsize=8)
said = "; ".join(f"{name}: {values}" for name, values in percent.items())
figure(fig, f"Bars, accuracy in percent. {said}.")

# %% [markdown]
# ERM does what the best predictor of the training rows does: its accuracies are those of the color alone. The network without color is far better in
# the test and worse in training. It does not reach 75 %, because it cannot read every digit; on training rows it may pass 75 %, because it has begun to learn noise by heart.
#
# And over the steps:

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=2.6, sharex=True)
for ax, (name, found) in zip(axes, fits.items(), strict=True):
    curves, at = {}, [*range(0, steps, 5), steps]
    for row in (row for row in found.history if row.metric == "accuracy"):
        curves.setdefault(row.domain, [[]])[0].append(row.value)
    plots.accuracy_curves(ax, at, curves, styles, level=75)
    ax.set(title=f"{name}, {digits.name}", ylabel="accuracy in percent")
    ax.legend(fontsize=8, loc="center right")
alt = "ERM: the training domains rise within a few steps, -90% falls to "
figure(fig, alt + f"{percent['ERM']['-90%']} %. On grey images all rise slowly.")

# %% [markdown]
# The color is learned within a few steps. On grey images one sees that ERM also learns the shape, slowly. It hardly ever lets the shape decide.
#
# ## Where the answer comes from
#
# An accuracy near 10 % is a hint. A proof changes the color and nothing else, and looks whether the answer changes.
#
# ### Exercise 0.5: swap the channels


# %%
def swapped(model, theta, x):
    """The share of rows whose label changes when the channels do, -> ()."""
    ...


exercise("swapped", swapped)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
swapped = passed("swapped")  # yours if it passed, else the solution
solution("swapped")


# %% [markdown]
# **Guess first.** In what share of the test rows does ERM's answer equal the color? In what share does it change when only the color changes? And for the network
# that was trained on grey images?

# %%
test, theta = problem.test[0], fits["ERM"].theta
z, color = model.logits(theta, test.x)[:, 0], color_of(test.x)
follows, changes = np.mean((z > 0) == color), swapped(model, theta, test.x)
assert min(follows, changes) > 0.9
blind = fits["ERM on grey images"].theta
assert swapped(model, blind, grey(test).x) == 0  # its two channels are equal
right = [accuracies(model, theta, [d]).popitem()[1] for d in held_out]
assert np.all(np.abs(np.array(right) - [0.8, 0.9]) < 0.05)
answers = f"the answer is the color: {follows:.1%}", f"changes with it: {changes:.1%}"
reveal(*answers, f"held-out training rows right: {np.round(right, 3)}")

# %% [markdown]
# Held-out rows of the training domains do not reveal the shortcut: they are right for the same wrong reason. A test that is to find it needs rows in which
# the color contradicts the label.
#
# The logits show the two votes. For the training domains together, the agreement is 85 %, so that the best logit is
# $\pm \log \frac{0.75}{0.25} \pm \log \frac{0.85}{0.15} = \pm 1.10 \pm 1.73$.

# %%
odds = np.log(0.75 / 0.25), np.log(0.85 / 0.15)
assert np.round(odds, 2).tolist() == [1.10, 1.73]
votes = {}
for s, c in ((0, 0), (1, 0), (0, 1), (1, 1)):
    best = (2 * s - 1) * odds[0] + (2 * c - 1) * odds[1]
    found = z[(shape == s) & (color == c)].mean()
    votes[f"shape {s}\ncolor {c}"] = {"best": best, "ERM": found}
logits = [pair["ERM"] for pair in votes.values()]
assert logits == sorted(logits) and logits[1] < 0 < logits[2]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
style = {"best": {"color": "#777777"}, "ERM": plots.method_style("erm")}
plots.bars(ax, votes, style, ylabel="mean logit", title=digits.name)
ax.axhline(0, color="black", linewidth=0.8)
alt = (
    f"ERM's mean logits in the four groups are {[round(float(v), 1) for v in logits]}: "
)
figure(fig, alt + "the sign is the color's.")

# %% [markdown]
# The sign is that of the color in all four groups. The shape moves the logit, as it should, but on average not far enough.
#
# ## Break it
#
# If the theory is right, the shortcut must vanish when it stops to pay. Train at other agreements, the same in both training domains, and test with -90% as before.
#
# **Guess first.** At 50 %? At 70 %, where the shape is still the better of the two?

# %%
shares, seeds, found = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9), (0, 1), {}
if SHORT:
    shares, seeds = shares[::3] + shares[-1:], (0,)
for share in shares:
    rates = {"flip_rates": (1 - share, 1 - share)}
    other = colored_mnist(digits, **rates, **options)._replace(validation=[])
    ends = [trained(other, seed, every=steps).theta for seed in seeds]
    found[share] = [100 * accuracies(model, end, other.test)["-90%"] for end in ends]
assert min(found[0.5]) > 60 and max(found[0.9]) < 20 and max(found[0.75]) < 50
assert abs(np.mean(found[0.5]) - percent["ERM on grey images"]["grey"]) < 5

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=3.2)
best = {"color": "#777777", "linestyle": ":", "label": "best predictor in training"}
ax.plot([0.5, 0.75, 0.75, 0.9], [75, 75, 10, 10], **best)
plots.points(ax, found, "ERM", **plots.method_style("erm"))
ax.set(xlabel="share of rows whose color is the label", ylim=(0, 100))
ax.set(ylabel="test accuracy in percent", title=digits.name)
ax.legend(fontsize=8)
said = ", ".join(f"{np.mean(v):.0f} % at {s:.0%}" for s, v in found.items())
figure(
    fig,
    f"ERM's test accuracy falls: {said}. The best predictor's jumps to 10 at 75 %.",
    guess=True,
)

# %% [markdown]
# At 50 % the color says nothing about the label, and the network is as good as the one without color. The best predictor changes from shape to color at 75 %. The network changes
# earlier: it does not read every digit, so the shape that it sees is right in less than 75 % of the rows. A shortcut need not be better than the truth. It only has
# to be better than what the network has understood of it.
#
# ## What ERM cannot know
#
# ERM minimizes the mean of the domains' risks. With equally many rows in each domain this is the risk of all rows together. Poured into one domain, they
# give the same gradient, hence the same network. So nothing that ERM does depends on *which* rows came together.

# %%
x, y = (np.concatenate([getattr(d, letter) for d in problem.train]) for letter in "xy")
start = model.init(np.random.default_rng(0))
g = domain_gradients(model, start, problem.train)[1]
assert np.allclose(g.mean(axis=0), mean_gradient(model, start, x, y))
poured = trained(problem._replace(train=[Domain("pooled", x, y)]), every=steps)
same = (model.logits(poured.theta, test.x)[:, 0] > 0) == (z > 0)
assert np.mean(same) > 0.99  # float32 rounds
(verdict,) = checks.verified(names=["gradient_of_copied_rows_is_the_same"])
assert verdict.passed
print(f"{verdict.identity.statement}: largest relative error {verdict.error:.0e}")

# %% [markdown]
# The second check is another side of it: a risk only knows the distribution of its rows, not how many there are.
#
# What pouring throws away is just what tells the two rules apart without any test: the color is right in 80 % of one domain and in 90 % of the other, the shape in 75 % of both.
# *What holds does not vary.* Every method of the next lessons is a way to make a network prefer what does not vary: equal slopes, equal
# risks, equal gradients, equal gradient variances.
#
# ## Three questions
#
# 1. Someone adds ten times as many images to both training domains. Which bars of the accuracy figure change, and which do not?
# 2. Let the label noise be 5 %, the agreements still 80 % and 90 %. Which rule is the best now? Would your network take it from the first step on?
# 3. The shape holds in the test because $P(y \mid s)$ was made the same everywhere. What would you have to know about data of your own to say so?
#
# <details><summary>Answers</summary>
#
# 1. None of those of "color alone" and "shape alone", which are properties of the problem. ERM stays where the color is, because it is the optimum.
#    The network on grey images changes: it reads more digits and learns less noise by heart, so that its test bars come closer to 75 % and its
#    training bars fall towards it.
# 2. The shape, with 95 %: it is right more often than the color in both domains. The network would probably still begin with the color, which takes
#    a few steps to learn where the shape takes many, and come to the shape later. Try it: `label_noise` is an argument of `colored_mnist`.
# 3. How the labels came about: that they were given by looking at the shape, by the same kind of person with the same instructions everywhere. No
#    number of rows from the training domains says this about a domain that one has not seen.
#
# </details>
#
# ## Read on
#
# - Colored MNIST and why 75 % is the goal: Arjovsky, Bottou, Gulrajani and Lopez-Paz 2019, *Invariant Risk Minimization*, [arXiv:1907.02893](https://arxiv.org/abs/1907.02893),
#   the experiments. That is lesson 3.
# - Shortcuts elsewhere: Geirhos et al. 2020, *Shortcut Learning in Deep Neural Networks*, [arXiv:2004.07780](https://arxiv.org/abs/2004.07780).
# - How to compare methods on such data: Gulrajani and Lopez-Paz 2020, *In Search of Lost Domain Generalization*, [arXiv:2007.01434](https://arxiv.org/abs/2007.01434). That is lesson 8.
