# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 10. When invariance fails
#
# *Something is equal in all training domains. When does that help in a new one, and when not?*
#
# After this lesson you can
#
# - tell covariate, label and concept shift apart, and say what each leaves in place;
# - count how many domains it takes until equal risks exclude a spurious feature;
# - show by hand where IRM's penalty is zero although the predictor is not invariant;
# - say what the theory of adaptation promises, and why it promises nothing here;
# - measure how a network that has one feature stops learning the other.
#
# About 75 minutes. Read beside it: `minifishr/algorithms/irm.py` and `group_dro.py`. You need lessons 0, 3, 6 and 7.
# Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import os
from itertools import product

import autograd.numpy as anp
import matplotlib.pyplot as plt
import numpy as np
from autograd import value_and_grad
from scipy.optimize import brentq, minimize
from scipy.special import ndtr

from minifishr import (
    ALGORITHMS,
    MLP,
    PENALTIES,
    Domain,
    accuracy,
    colored_mnist,
    domain_gradients,
    fit,
    full_batch,
    load_digits,
    plots,
    risks,
)
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.losses import softplus

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Before you begin
#
# From lessons 0, 3 and 7. Write a number, or a letter in quotes, in the place of the dots.
#
# 1. The color is right in 80 % of one domain and in 90 % of the other. How accurate is the color alone, in percent, on both together?
# 2. Where is IRM's penalty zero for a bad reason? a) where one domain's risk is zero and the other's is not; b) nowhere; c) at $\theta = 0$.
# 3. The shares of ones in two domains are 0.8 and 0.2, and the features have the same distribution in both. What is the least mean error?

# %%
recall(10, ..., ..., ...)

# %% [markdown]
# ## A picture
#
# A domain is a distribution of inputs and labels, $P(x, y) = P(x)\, P(y \mid x) = P(y)\, P(x \mid y)$. Two domains can
# differ in one factor and agree in the other. Three cases have names:
#
# | shift | differs | stays |
# |---|---|---|
# | covariate | $P(x)$ | $P(y \mid x)$ |
# | label | $P(y)$ | $P(x \mid y)$ |
# | concept | $P(y \mid x)$ | nothing to rely on; below it is $P(x)$ |
#
# **Guess first.** Below, $x$ is one number. For which of the three is the best predictor of the first domain (blue) also the
# best one of the second (orange, dashed)?


# %%
def normal(mean):
    return np.exp(-((grid - mean) ** 2) / 2) / np.sqrt(2 * np.pi)


def joint(density, one):  # P(x) and P(y = 1 | x) -> P(x, y)
    return np.stack([(1 - one) * density, one * density])


grid = np.linspace(-4, 4, 161)
one = 1 / (1 + np.exp(-2 * grid))
SHIFTS = {"covariate": [joint(normal(-1), one), joint(normal(1), one)]}
SHIFTS["label"] = [np.stack([(1 - p) * normal(-1), p * normal(1)]) for p in (0.5, 0.8)]
SHIFTS["concept"] = [joint(normal(0), one), joint(normal(0), 1 - one)]
# %%
x_of = {name: [P.sum(axis=0) for P in pair] for name, pair in SHIFTS.items()}
y_of = {name: [P[1] / P.sum(axis=0) for P in pair] for name, pair in SHIFTS.items()}
assert np.allclose(*y_of["covariate"]) and not np.allclose(*x_of["covariate"])
assert np.allclose(*x_of["concept"]) and not np.allclose(*y_of["concept"])
odds = [p / (1 - p) for p in y_of["label"]]
assert np.allclose(odds[1] / odds[0], 0.8 / 0.2)  # the same factor for every x
P_y = np.sum(SHIFTS["label"], axis=2) * (grid[1] - grid[0])
assert np.allclose(P_y, [[0.5, 0.5], [0.2, 0.8]], atol=0.01)

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = plt.subplots(3, 2, figsize=(5, 5.4), layout="constrained", sharex=True)
looks = ({"color": "#0072B2"}, {"color": "#D55E00", "linestyle": "--"})
for row, name in zip(axes, SHIFTS, strict=True):
    for e, look in enumerate(looks):
        row[0].plot(grid, x_of[name][e], label=("one domain", "another")[e], **look)
        row[1].plot(grid, y_of[name][e], **look)
    row[0].set_title(f"{name} shift: P(x)")
    row[1].set_title("P(y = 1 | x)")
    row[0].set_ylim(0, 0.55)
    row[0].legend(fontsize=7, ncols=2)
alt = "Covariate shift: P(x) moves. Label shift: P(y | x) moves to the left"
figure(fig, f"{alt}. Concept shift: P(y | x) is mirrored, P(x) stays.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only for the first. Under covariate shift the best predictor stays, provided that the model can express it. Under label shift it
# moves, but predictably: the odds of label 1 grow by the same factor at every $x$. Under concept shift the blue curve is
# worse than guessing in the orange domain, and without an assumption about what stays nobody can know that.
#
# </details>
#
# ### Exercise 10.1: another share of labels
#
# $P(x \mid y)$ stays, and the share of ones moves from `old` to `new`. Bayes' rule gives the new prediction.


# %%
def label_shift(p, old, new):
    """P(y = 1 | x) at n points (n,); the shares of ones before and after -> (n,)."""
    ...


exercise("label_shift", label_shift)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
label_shift = passed("label_shift")  # yours if it passed, else the solution
solution("label_shift")


# %% [markdown]
# ## The graph of Colored MNIST
#
# Lesson 0 made a row in this order: the shape $s$, from it the label $y$ (turned over with probability 0.25), and from that the
# color $c$. The domain $e$ sets how often the color is turned over, and nothing else:
#
# $$s \longrightarrow y \longrightarrow c \longleftarrow e, \qquad P_e(s, y, c) = P(s)\, P(y \mid s)\, P_e(c \mid y).$$
#
# The color is an *effect* of the label. Who predicts the label from it goes against the arrow: that is *anti-causal*. Such a prediction
# holds as long as the mechanism of the effect holds, and this is the one that the domain turns.
#
# *Invariant causal prediction* (Peters, Bühlmann and Meinshausen 2016) tries all sets of features, keeps those for which
# $P_e(y \mid \text{set})$ is the same in all domains, and takes what is common to all that it kept.
# **Guess first.** Which of the four sets $\emptyset$, $\{s\}$, $\{c\}$, $\{s, c\}$ does it keep?


# %%
def turned(rate):  # P(a bit after | the bit before)
    return (1 - rate) * np.eye(2) + rate * (1 - np.eye(2))


flips = (0.2, 0.1, 0.9)  # tables P_e(s, c, y), as in lesson 0
tables = [np.einsum("sy,yc->scy", turned(0.25), turned(flip)) / 2 for flip in flips]
sets, spread = {"{}": (0, 1), "{s}": (1,), "{c}": (0,), "{s, c}": ()}, {}
for name, rest in sets.items():
    parts = [P.sum(axis=rest) for P in tables]
    spread[name] = np.ptp([P[..., 1] / P.sum(axis=-1) for P in parts], axis=0).max()
assert [value < 1e-12 for value in spread.values()] == [True, True, False, False]
reveal(*(f"P(y = 1 | {n}) differs by up to {s:.2f}" for n, s in spread.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It keeps $\emptyset$ and $\{s\}$. The second is the one that we want. But half of the labels are 1 in every domain, so that the empty
# set passes too, and what is common to both is nothing. The rule is careful: here too careful to predict at all. IRM asks for
# the best predictor among the invariant ones instead.
#
# </details>
#
# The data do not say whether $s \to y$ or $y \to s$: both orders give the same tables. What counts is where the arrow of $e$ ends.
#
# ## How many domains does it take?
#
# Let $y = \pm 1$. One feature $x_0$ is good: normal with mean $y$ and variance 1 in every domain. Beside it are $h$ spurious
# ones, normal with mean $y \mu_e$ and covariance $I$, where $\mu_e$ (h,) belongs to the domain. All are independent given $y$. The predictor is linear,
# $z = u\, x_0 + w^\top x$. Then $y z$ is normal with mean $u + w^\top \mu_e$ and variance $u^2 + \lVert w \rVert^2$, and the risk
# $\mathbb{E} \log(1 + e^{-yz})$ depends on the domain through $w^\top \mu_e$ only, and falls with it. So
#
# $$\text{all risks are equal} \iff w^\top \mu_1 = \dots = w^\top \mu_m .$$
#
# Let $M$ (m,h) have the means as rows. If $m \le h$ and the means are linearly independent, some $q$ has
# $M q = (1, \dots, 1)$. The feature $q^\top x$ is then normal with mean $y$ and the same variance in *every* training domain: there it is as invariant as
# the good one. With $m > h$ means in general position, $M w$ is constant only for $w = 0$.
#
# Rosenfeld, Ravikumar and Risteski (2021) prove this threshold for IRM, in a Gaussian model of this kind with an unknown linear map in front of the
# features, and under a condition that excludes special positions.
#
# ### Exercise 10.2: a spurious feature that looks invariant


# %%
def constant_direction(M):
    """The shortest q (h,) with M q = 1 in all m rows; zeros where there is none."""
    ...


exercise("constant_direction", constant_direction)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
# yours if it passed, else the solution
constant_direction = passed("constant_direction")
solution("constant_direction")


# %% [markdown]
# The best predictor with equal risks weighs both features by twice their mean over their variance: $u = 2$ and
# $w = 2 q / \lVert q \rVert^2$. That is the theory. Now run V-REx on the exact risks, from one predictor on, with a weight that grows to $10^8$.
#
# **Guess first.** There are $h = 5$ spurious features and 1 to 8 domains. In the new domain every spurious mean has turned its sign. From which
# number of domains on is V-REx right there?


# %%
def exact_risks(w, M):  # means over a normal variable, by Gauss and Hermite
    z = anp.reshape(w[0] + M @ w[1:], (-1, 1)) + anp.sqrt(w @ w) * nodes
    return anp.dot(softplus(-z), shares)


def vrex_minimizer(M):
    w = np.full(6, 0.1)
    for power in 10.0 ** np.arange(9):
        J = lambda w, p=power: spread_out(exact_risks(w, M), p)  # noqa: E731
        w = minimize(value_and_grad(J), w, jac=True, options={"gtol": 1e-12}).x
    return w


# %%
def spread_out(R, power):
    return (anp.mean(R) + power * anp.var(R)) / (1 + power)


def accurate(w, M):
    return ndtr((w[0] + M @ w[1:]) / np.linalg.norm(w)).mean()


nodes, shares = np.polynomial.hermite_e.hermegauss(40)
shares, rng = shares / shares.sum(), np.random.default_rng(0)
M = rng.normal(size=(8, 5)) + np.eye(5)[0]  # the first feature helps as a rule
# %%
counts, right = np.arange(1, 9), {"training domains": [], "new domain": []}
for m in counts:
    w, q = vrex_minimizer(M[:m]), constant_direction(M[:m])
    assert np.allclose(w, np.append(2, 2 * q / max(q @ q, 1e-12)), atol=0.01)
    assert q.any() == (m <= 5)
    right["training domains"].append(100 * accurate(w, M[:m]))
    right["new domain"].append(100 * accurate(w, -M[:m]))
gain = np.array(right["training domains"]) - 100 * ndtr(1)
assert np.all(np.diff(gain) < 0.1)  # each domain takes away a direction
assert np.all(gain[:5] > 0.1) and np.all(abs(gain[5:]) < 0.01)
# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
labels = {"xlabel": "training domains", "ylabel": "accuracy in %"}
plots.lines(ax, counts, right, **labels).axvline(5.5, color="#777777", linestyle=":")
first, last = ([values[n] for values in right.values()] for n in (0, -1))
alt = f"With 1 domain {first[0]:.0f} % in training and {first[1]:.0f} % in the new one"
figure(fig, f"{alt}; from 6 domains on {last[0]:.0f} % in both.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The dotted line is the threshold. To its left, V-REx does what it was asked to: the risks are equal, and smaller than the invariant predictor's.
# It is wrong in the new domain, because what it found equal is a coincidence of few domains. Each domain takes away one direction, and
# the invariant predictor is the best one only when none is left. 390 spurious features in general position would need 391 domains, for a
# method that compares one number a domain.
#
# </details>
#
# ## Two bits
#
# Few features do not help if the penalty has the wrong zeros. Take lesson 3's plane again: $x_1$ is the label's sign, turned over
# in a share $\alpha$ of the rows, in every domain; $x_2$ too, in a share $\beta_e$. The predictor is $z = u\, x_1 + v\, x_2$, which is the general odd
# function of two signs. Kamath, Tangella, Sutherland and Srebro (2021) study IRM in such *two-bit* problems. Colored MNIST has
# $\alpha = 0.25$.
#
# ### Exercise 10.3: IRM's slope
#
# The exact expectation of $(p - y)\, z$ from lesson 3, without rows.


# %%
def two_bit_slope(u, v, alpha, beta):
    """dR(s z)/ds at s = 1 for the logistic loss -> ()."""
    ...


exercise("two_bit_slope", two_bit_slope)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
two_bit_slope = passed("two_bit_slope")  # yours if it passed, else the solution
solution("two_bit_slope")


# %% [markdown]
# **Where is it zero?** The slope is linear in $\beta$. If it is zero for two values, it is zero for all, and so for the rows whose $x_2$ is right and for those
# whose $x_2$ is wrong, each on their own. With $a = u + v$, $b = u - v$ and $\sigma(t) = 1 / (1 + e^{-t})$ that says
#
# $$(1 - \alpha)\, a\, \sigma(-a) = \alpha\, b\, \sigma(b), \qquad (1 - \alpha)\, b\, \sigma(-b) = \alpha\, a\, \sigma(a).$$
#
# So $a$ and $b$ are both zero, or have the same sign. In the second case, multiply the two: as $\sigma(t) / \sigma(-t) = e^t$,
# $(\frac{1 - \alpha}{\alpha})^2 = e^{a + b} = e^{2u}$, and $u = \log \frac{1 - \alpha}{\alpha}$, the right weight of the shape. Divide the first by the second:
# $k(a) = k(b)$ with $k(t) = t^2 \sigma(t)\, \sigma(-t)$. One solution is $a = b$, the invariant predictor. But $k$ rises only up to
# $t^* \approx 2.40$, and falls beyond. If $u > t^*$, it is larger at $u - v$ than at $u + v$ for a small $v$ and smaller for $v$ near $u$, so
# there is a solution between. That is the case if $\alpha < 0.083$.
#
# **Guess first.** The shape is wrong in 5 % of the rows, the color in 10 % and 20 % in training and in 90 % in the test.
# In which order are the test risks of ERM, IRM and the invariant predictor?


# %%
def two_bits(beta, alpha=0.05, n=400):  # counted rows, as in lesson 3
    kinds = list(product((-1, 1), repeat=3))  # label, shape right, color right
    shares = {(1, 1): (1 - alpha) * (1 - beta), (1, -1): (1 - alpha) * beta}
    shares |= {(-1, 1): alpha * (1 - beta), (-1, -1): alpha * beta}
    counts = [round(n / 2 * shares[a, c]) for _, a, c in kinds]
    x = np.repeat([[y * a, y * c] for y, a, c in kinds], counts, axis=0)
    y = np.repeat([y for y, _, _ in kinds], counts)
    return Domain(f"color wrong in {beta:.0%}", x.astype(float), (y > 0).astype(int))


# %%
def limit(penalty, theta):  # ERM's minimum, followed while the weight grows
    for w in 10.0 ** np.arange(-4, 8):

        def J(t, w=w):
            return (mean_risk(t) + w * penalty(bits, t, train)) / (1 + w)

        theta = minimize(value_and_grad(J), theta, jac=True, options={"gtol": 1e-12}).x
    return theta


def mean_risk(theta):
    return anp.mean(risks(bits, theta, train))


# %%
bits, train, test = MLP((2, 1)), [two_bits(0.1), two_bits(0.2)], [two_bits(0.9)]
erm = minimize(value_and_grad(mean_risk), np.zeros(3), jac=True).x
ends = {"ERM": erm, "IRM": limit(PENALTIES["irm"], erm)}
ends["V-REx"] = limit(PENALTIES["vrex"], erm)
ends["invariant"] = np.array([np.log(19), 0, 0])
found = {name: risks(bits, theta, [*train, *test]) for name, theta in ends.items()}
lines = [f"{n:10} {ends[n][:2].round(3)} {R.round(3)}" for n, R in found.items()]
two_bit_ends = ends
reveal("           weights         risks, test last", *lines)


# %%
def k(t):
    return t**2 / (2 + np.exp(t) + np.exp(-t))


u = np.log(19)
v = brentq(lambda t: k(u + t) - k(u - t), 0.1, u)
assert np.allclose(ends["IRM"][:2], [u, v], atol=1e-3)
zeros = [two_bit_slope(u, v, 0.05, beta) for beta in np.linspace(0, 1, 11)]
assert np.allclose(zeros, 0)  # in every domain, also in those that nobody has seen
assert found["IRM"][2] > found["ERM"][2] + 0.05 > found["invariant"][2] + 0.2
assert found["IRM"].sum() - found["IRM"][2] < 2 * found["invariant"][0]
assert np.allclose(ends["V-REx"], ends["invariant"], atol=1e-3)
# %%
t = np.linspace(0, 9, 9_001)[1:]
top = t[k(t).argmax()]
assert np.isclose(top, 2.40, atol=0.005) and np.isclose(
    1 / (1 + np.exp(top)), 0.083, atol=5e-4
)
t = np.linspace(0, np.log(3), 1_000)[1:-1]  # alpha = 0.25
assert np.all(k(np.log(3) + t) > k(np.log(3) - t))  # no other zero
# %%
a = np.linspace(-0.5, 4.5, 41)
slopes = [[[two_bit_slope(x, y, 0.05, b) for b in (0.1, 0.2)] for x in a] for y in a]
logs = np.log10(np.maximum(np.mean(np.square(slopes), axis=2), 1e-7))

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=4.2)
names = {"xlabel": "u, the shape's weight", "ylabel": "v, the color's weight"}
plots.contours(ax, a, a, logs, np.arange(-7, -0.4, 0.5), **names)
for (name, theta), marker in zip(ends.items(), "Xs^o", strict=True):
    ax.plot(*theta[:2], marker, color="white", markeredgecolor="black", label=name)
ax.legend(loc="upper left")
alt = f"IRM's penalty is zero at the origin, at the invariant predictor ({u:.2f}, 0)"
figure(fig, f"{alt} and at IRM's end ({u:.2f}, {v:.2f}), above ERM's.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (The picture shows the logarithm of IRM's penalty.) IRM ends *above* ERM: it gives the color *more* weight. Its risk in the test is larger than ERM's, and its slope is zero there too, as in every
# domain of this kind. Nothing went wrong with the optimizer: this zero has the smaller training risk. A slope of zero says that scaling the
# logits does not help, and that is one number of the two that the domain could compare: the *best* weight of the color
# differs between the domains. The risks differ as well, so V-REx is not fooled.
#
# </details>
#
# With $\alpha = 0.25$ there is no such zero: $u = \log 3 \approx 1.10$ is left of $t^*$. In this picture of Colored MNIST, the label noise hides IRM's flaw.
#
# ## Adaptation, and what its bounds say
#
# *Adaptation* knows the new domain: it has its images, without labels. *Generalization* does not. Most theory is about the first. For a set $H$ of predictors, source $S$ and target
# $T$, Ben-David et al. (2010) prove for each $h \in H$, with $\epsilon$ the share of wrong answers,
#
# $$\epsilon_T(h) \le \epsilon_S(h) + \tfrac12\, d(S, T) + \lambda, \qquad
# d = 2 \max_{h, h'} \bigl|P_S(h \ne h') - P_T(h \ne h')\bigr|, \quad \lambda = \min_{h} \bigl(\epsilon_S(h) + \epsilon_T(h)\bigr).$$
#
# The distance $d$ needs no labels, which is why methods make features alike. $\lambda$ needs labels of the target.
# **Guess first.** $S$ is +90% and $T$ is -90%. A network sees the color alone: what are $d$ and $\lambda$?


# %%
def bound(H, S, T):  # H (h,2,2): answers to (s, c)
    wrong = [[np.sum(P * (h[..., None] != [0, 1])) for P in (S, T)] for h in H]
    x_S, x_T = S.sum(axis=2), T.sum(axis=2)
    d = 2 * max(abs(np.sum((h != g) * (x_S - x_T))) for h in H for g in H)
    return np.array(wrong), d, np.sum(wrong, axis=1).min()


every = np.array([*product((0, 1), repeat=4)]).reshape(-1, 2, 2)
BOUNDS = {"shape and color": bound(every, *tables[1:])}
BOUNDS["color alone"] = bound(
    every[(every[:, 0] == every[:, 1]).all(axis=1)], *tables[1:]
)
# %%
for e, d, least in BOUNDS.values():
    assert np.all(e[:, 1] <= e[:, 0] + d / 2 + least + 1e-12)  # for each predictor
(_, d, least), (color, d_color, least_color) = BOUNDS.values()
assert np.isclose(d_color, 0) and np.isclose(least_color, 1)
assert np.allclose(color[color[:, 0].argmin()], [0.1, 0.9])
assert np.allclose([d, least], [0.8, 0.5])
reveal(*(f"{n}: d = {abs(d):.1f}, lambda = {l:.1f}" for n, (_, d, l) in BOUNDS.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# For the color alone, the distance is 0 and the source error 10 %: all that can be measured is perfect. The bound says that the error in the target is at most
# $0.1 + 0 + 1$, and it is 0.9. Matching features makes $d$ small and says nothing about $\lambda$, which can grow at the same time.
#
# </details>
#
# Zhao, Tachet des Combes, Zhang and Gordon (2019) turn this into a lower bound. Let $d_{JS}$ be the root of the Jensen-Shannon divergence in bits, which is a metric. For features $Z$, any
# predictor on them, and shares of labels $Y$: if $d_{JS}(Y_S, Y_T) \ge d_{JS}(Z_S, Z_T)$, then
#
# $$\epsilon_S + \epsilon_T \ge \tfrac12 \bigl(d_{JS}(Y_S, Y_T) - d_{JS}(Z_S, Z_T)\bigr)^2 .$$
#
# *Proof.* Answers are a function of features, so $d_{JS}(\hat Y_S, \hat Y_T) \le d_{JS}(Z_S, Z_T)$. Within a domain the divergence of $Y$ and $\hat Y$ is at most the
# difference of their shares of ones, which is at most $\epsilon$. By the triangle inequality $d_{JS}(Y_S, Y_T) \le \sqrt{\epsilon_S} + d_{JS}(Z_S, Z_T) + \sqrt{\epsilon_T}$, and
# $(\sqrt{\epsilon_S} + \sqrt{\epsilon_T})^2 \le 2 (\epsilon_S + \epsilon_T)$. $\square$


# %%
def entropy(p):
    return -np.sum(p * np.log2(np.maximum(p, 1e-300)))


def d_js(p, q):
    return max(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2, 0) ** 0.5


for S, T in rng.dirichlet(np.full(6, 0.3), (500, 2)).reshape(500, 2, 3, 2):  # P(z, y)
    labels, features = (d_js(S.sum(axis=k), T.sum(axis=k)) for k in (0, 1))
    for h in product((0, 1), repeat=3):
        errors = [sum(P[z, 1 - h[z]] for z in range(3)) for P in (S, T)]
        assert sum(errors) >= max(labels - features, 0) ** 2 / 2 - 1e-12
# %%
shares_of_ones = np.array([[0.2, 0.8], [0.8, 0.2]])
floor = d_js(*shares_of_ones) ** 2 / 2
print(
    f"equal features, shares of ones 0.8 and 0.2: errors of {floor:.2f} or more in all"
)
assert np.isclose(floor, 0.139, atol=1e-3) and floor < 0.8 - 0.2  # lesson 7's own bound
assert d_js(*np.full((2, 2), 0.5)) == 0  # Colored MNIST: the bound says nothing

# %% [markdown]
# Lesson 7's bound, $|p_1 - p_2| = 0.6$ for equal features, is the sharper one in this case; this one also holds for features that are only nearly equal. Both are silent about Colored MNIST, where the shares of labels are
# equal. There, the concept shifts.
#
# ## Why the color comes first
#
# In lesson 0 the color was the best answer in training. But networks take the simple feature even where it is the worse one (*simplicity bias*, Shah et al. 2020), and having it, learn the other more slowly
# (*gradient starvation*, Pezeshki et al. 2021). Both can be measured on lesson 0's network. Shape and color are independent given the label, so the best logit is a sum of two *votes*,
#
# $$z = \pm \log \tfrac{0.75}{0.25} \pm \log \tfrac{r}{1 - r},$$
#
# with $r$ the share of rows in which the color is right. The shape's vote, 1.10, is the same for every $r$.
# **Guess first.** Train with $r$ at 50, 70, 85 and 99 %. Is the shape's vote the same after 150 steps?


# %%
def votes(theta):  # half the difference that a bit makes to the mean logit
    z = net.logits(theta, image.x)[:, 0]
    mean = [[z[(shape == i) & (color == j)].mean() for j in (0, 1)] for i in (0, 1)]
    by_shape, by_color = (np.diff(mean, axis=k).mean() / 2 for k in (0, 1))
    follows = np.mean((z > 0) == color)
    return [("", "shape", by_shape), ("", "color", by_color), ("", "follows", follows)]


# %%
def colored_of(r):  # both training domains have the agreement r
    sizes = {"count": count, "test_count": 2_000, "dtype": np.float32}
    return colored_mnist(digits, flip_rates=(1 - r, 1 - r), **sizes)


digits, net, steps = load_digits(), MLP((392, 64, 1)), 60 if SHORT else 150
count, RATES = (1_000, (0.5, 0.99)) if SHORT else (4_000, (0.5, 0.7, 0.85, 0.99))
start = net.init(np.random.default_rng(0), np.float32)
# %%
shape, curves = digits.labels[50_000:52_000] < 5, {"shape": {}, "color": {}}
curves["follows"] = {}
for r in RATES:
    task = colored_of(r)
    image = task.test[0]
    color = image.x.reshape(2_000, 2, -1).sum(axis=2).argmax(axis=1)
    erm, batches = ALGORITHMS["erm"](net, lr=0.002), full_batch(task.train)
    run = fit(erm, start, batches, steps, measure=votes, every=5)
    for metric, kept in curves.items():
        kept[f"{r:.0%}"] = [row.value for row in run.history if row.metric == metric]
# %%
last = {name: values[-1] for name, values in curves["shape"].items()}
assert list(last.values()) == sorted(last.values(), reverse=True)
assert last["50%"] > 2.5 * last["99%"] and last["50%"] < np.log(
    3
)  # not one has its optimum
early = {
    name: values[2] for name, values in curves["follows"].items()
}  # after 10 steps
assert early["99%"] > 0.99 and early["50%"] < 0.5
assert SHORT or early["70%"] > 0.95  # though the shape is right in 75 %

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=2.6, sharex=True)
times = [*range(0, steps + 1, 5)]
for ax, metric in zip(axes, ("shape", "color"), strict=True):
    named = {f"r = {name}": values for name, values in curves[metric].items()}
    plots.lines(ax, times, named, ylabel=f"vote of the {metric}", title=task.name)
axes[0].axhline(np.log(3), color="#777777", linestyle=":")
axes[1].set_xlabel("step")
axes[1].get_legend().remove()  # the same as above
said = ", ".join(f"{name}: {value:.2f}" for name, value in last.items())
figure(fig, f"The shape's vote after {steps} steps, for each r: {said}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (The dotted line is at 1.10.) It is not the same. The color is there after ten steps, and at 70 % the network follows it although the shape would be right more often. The
# shape's vote is the smaller, the more the color says. The reason is the factor $p_i - y_i$ in every gradient: what the color has explained already
# is no longer a residual, and only residuals teach the shape. With unlimited rows and steps it would not matter, because the optimum has both
# votes. 150 steps do not come near it.
#
# </details>
#
# So a network comes to a penalty with what it has learned, and a penalty chooses among features that are there.
#
# ## The start is a part of the method
#
# Lesson 6's warm-up, once more, as an experiment: the same Fishr with the same $\lambda$ and 80 steps at full penalty. What differs is the number of
# ERM-like steps before. **Guess first.** With 0, 15, 30, 60 and 90 steps of warm-up, which ends best in the test domain?

# %%
STARTS, SEEDS = ((0, 60), (0,)) if SHORT else ((0, 15, 30, 60, 90), (0, 1))
big, ends = MLP((392, 64, 64, 1)), {steps: [] for steps in STARTS}
sizes = {"count": 1_000 if SHORT else 2_000, "test_count": 2_000, "dtype": np.float32}
for seed, steps in product(SEEDS, STARTS):
    task = colored_mnist(digits, seed=seed, **sizes)
    theta = big.init(np.random.default_rng(seed), np.float32)
    fishr = ALGORITHMS["fishr"](big, lr=0.002, warm_up=steps)
    theta = fit(fishr, theta, full_batch(task.train), steps + 80).theta
    ends[steps].append(100 * accuracy(big, theta, task.test[0]))
assert min(ends[60]) > max(ends[0]) + 10

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
plots.points(ax, ends, **plots.method_style("fishr"))
ax.set(xlabel="steps of warm-up", ylabel="accuracy on -90%, in %", ylim=(0, 100))
ax.set_title(f"Fishr, {task.name}", fontsize=9)
said = ", ".join(f"{name}: {np.mean(values):.0f} %" for name, values in ends.items())
figure(fig, f"Test accuracy after each number of steps of warm-up: {said}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The penalty is the same, its weight is the same, the data are the same. The start decides: without a warm-up the features are not there yet, and with a long one the
# network has learned its rows by heart. Zhang, Lopez-Paz and Bottou (2022) make a method of it: they first construct features that are as rich as possible, and report that six
# methods on Colored MNIST are better from there. Pretraining is another start of this kind.
#
# </details>
#
# ## GroupDRO: the worst group
#
# Another idea needs no invariance. Let the risk of the *worst* group count: $\min_\theta \max_e R_e$. Sagawa et al. (2020) do it with weights that
# follow the risks: $q_e \leftarrow q_e\, e^{\eta R_e}$, divided by their sum, and a gradient step on $\sum_e q_e R_e$.
#
# ### Exercise 10.4: the weights


# %%
def dro_weights(q, R, eta):
    """(m,), (m,), () -> (m,)."""
    ...


exercise("dro_weights", dro_weights)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
dro_weights = passed("dro_weights")  # yours if it passed, else the solution
solution("dro_weights")

# %% [markdown]
# **Guess first.** Lesson 3's plane, with the shape wrong in 25 % of the rows. The groups are the two training domains. Where does GroupDRO end? And if the groups are, in both
# domains, the rows whose color is right and those whose color is wrong?


# %%
def group_dro(groups, rate=0.5, eta=0.1):
    theta, q = np.zeros(3), np.ones(len(groups))
    for _ in range(600):
        R, g = domain_gradients(bits, theta, groups)
        q = dro_weights(q, R, eta)
        theta = theta - rate * q @ g
    return theta, q


# %%
pair = [two_bits(beta, alpha=0.25) for beta in (0.2, 0.1)]
x, y = (np.concatenate([getattr(d, letter) for d in pair]) for letter in "xy")
good = (x[:, 1] > 0) == y
kinds = [Domain("right", x[good], y[good]), Domain("wrong", x[~good], y[~good])]
new = two_bits(0.9, alpha=0.25)
worst = {"domains": group_dro(pair), "color right or wrong": group_dro(kinds)}
reveal(*(f"{n}: {t[:2].round(2)}, q = {q.round(2)}" for n, (t, q) in worst.items()))
# %%
(by_domain, q_domain), (by_color, q_color) = worst.values()
assert np.allclose(by_domain[:2], np.log([3, 4]), atol=0.01)  # the best for +80% alone
assert q_domain[0] > 0.99 and accuracy(bits, by_domain, new) == 0.1
assert np.allclose(by_color[:2], [np.log(3), 0], atol=0.01)  # the invariant predictor
assert accuracy(bits, by_color, new) == 0.75 and np.all(q_color > 0.05)
package = ALGORITHMS["group_dro"](bits, eta=0.1, lr=0.02, weight_decay=0.0)
theirs = fit(package, np.zeros(3), full_batch(kinds), 600).theta
assert np.allclose(theirs, by_color, atol=0.01)
# %%
fishr = [PENALTIES["fishr"](bits, two_bit_ends[n], train) for n in ("invariant", "IRM")]
assert np.allclose(fishr, [3.2e-6, 1.4e-4], rtol=0.05)  # for the second question below

# %% [markdown]
# <details><summary>Answer</summary>
#
# With domains as groups it becomes the best predictor of the worst training domain, $(\log 3, \log 4)$, and fails in the test: the
# worst domain that it knows is not the worst that there is. With groups in which the color is right or wrong it finds the invariant predictor exactly: there, equal
# risks mean that the color has no weight (lesson 3). But whoever can form these groups has been told what is spurious. V-REx stands between: it need
# not know the color, and where the training risks are equal, so is that of every combination of the domains with weights that add up to 1, also negative
# ones: beyond the worst domain that it knows.
#
# </details>
#
# ## Three questions
#
# 1. Where would you look first in a data set of your own: which of the three shifts can you exclude without any label of the new domain, and which not?
# 2. In the two-bit problem with $\alpha = 0.05$, Fishr's centered penalty is not zero at the invariant predictor (lesson 6). Is it zero at IRM's end? Evaluate
#    `PENALTIES["fishr"]` at both.
# 3. Fishr compares one number for each parameter of the classifier, not one for each domain. What does that do to the count of domains, in the
#    linear problem above?
#
# <details><summary>Answers</summary>
#
# 1. Covariate shift shows in unlabeled images: compare $P(x)$. Label shift shows there too, if one believes that $P(x \mid y)$ has stayed: then
#    $P(x)$ is a mixture whose shares can be estimated. Concept shift cannot be excluded without labels: in the last row of the first figure $P(x)$ is the same.
# 2. At neither: 3.2e-6 and 1.4e-4 in the paper's convention. It prefers the invariant predictor by a factor of about 40, and does not end there, because it can still be
#    made smaller elsewhere.
# 3. The variance of $x_j (p - y)$ depends on $\mu_{ej}$ itself, not only on $w^\top \mu_e$. So two domains may give as many conditions as there are features, instead of one.
#    The price is that the conditions can fail at the invariant predictor as well: its features carry $\mu_e$.
#
# </details>
#
# ## Read on
#
# - The count of domains: Rosenfeld, Ravikumar and Risteski 2021, *The Risks of Invariant Risk Minimization*, [arXiv:2010.05761](https://arxiv.org/abs/2010.05761), the linear case.
# - Two bits: Kamath, Tangella, Sutherland and Srebro 2021, *Does Invariant Risk Minimization Capture Invariance?*, [arXiv:2101.01134](https://arxiv.org/abs/2101.01134).
# - Sets of causes: Peters, Bühlmann and Meinshausen 2016, *Causal inference using invariant prediction*, [arXiv:1501.01332](https://arxiv.org/abs/1501.01332).
# - The bounds: Ben-David et al. 2010, *A theory of learning from different domains*, Machine Learning 79; Zhao et al. 2019, [arXiv:1901.09453](https://arxiv.org/abs/1901.09453).
# - What is learned first: Shah et al. 2020, [arXiv:2006.07710](https://arxiv.org/abs/2006.07710); Pezeshki et al. 2021, [arXiv:2011.09468](https://arxiv.org/abs/2011.09468).
# - The start: Zhang, Lopez-Paz and Bottou 2022, [arXiv:2203.15516](https://arxiv.org/abs/2203.15516). The worst group: Sagawa et al. 2020, [arXiv:1911.08731](https://arxiv.org/abs/1911.08731).
