# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 6. Fishr, assembled
#
# *What is Fishr, and what does its lambda mean?*
#
# After this lesson you can
#
# - say what Fishr claims, step by step, and what each step assumes;
# - assemble its penalty from the moments of lesson 2, and change every switch on which the sources differ;
# - translate lambda from one source to the other;
# - say what a small penalty does not prove.
#
# About 75 minutes. Read beside it: `minifishr/algorithms/fishr.py`. You need lessons 2, 3 and 5. Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import os

import autograd.numpy as np
from autograd import grad, value_and_grad
from scipy.optimize import minimize

from minifishr import (
    MLP,
    Domain,
    accuracy,
    checks,
    colored_mnist,
    fit,
    full_batch,
    load_digits,
    plots,
    risk,
    risks,
)
from minifishr.algorithms import ALGORITHMS, fishr, irm, protocol, vrex
from minifishr.course import (
    counted,
    exercise,
    figure,
    panels,
    passed,
    recall,
    reveal,
    solution,
)
from minifishr.curvature import hessian
from minifishr.gradients import (
    domain_gradients,
    gradient_variance,
    inputs_and_deltas,
    per_sample_gradients,
)
from minifishr.invariance import classifier_hessian, dispersion

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Before you begin
#
# From earlier lessons. Write a number, or a letter in quotes, in the place of the dots.
#
# 1. For a cross-entropy, which matrix equals the Gauss-Newton matrix at every $\theta$? a) The empirical Fisher; b) the true Fisher; c) the Hessian.
# 2. In one coordinate two rows have the gradients 1 and 3. Their variance, divided by $n$?
# 3. DomainBed's V-REx and IRM, before the warm-up ends: what is the penalty weight?

# %%
recall(6, ..., ..., ...)

# %% [markdown]
# ## A picture
#
# Colored MNIST, small: 2 000 images a domain and two hidden layers of 64 units. Three trainings start from the same parameters: ERM; Fishr, whose penalty gets
# its full weight after 60 steps; and Fishr with one switch off, the warm-up. All use the paper's convention, and a larger learning rate than
# the published one, so that fewer steps will do.

# %%
digits, net = load_digits(), MLP((392, 64, 64, 1))
SEEDS, STEPS, DRAWS = (1, 120, 6) if SHORT else (3, 160, 20)
METHODS = {"erm": ("erm", {}), "fishr": ("fishr", {"warm_up": 60})}
METHODS["no warm-up"] = ("fishr", {"warm_up": 0})
size = {"count": 2_000, "test_count": 2_000, "dtype": np.float32}
tasks = [colored_mnist(digits, seed=s, **size) for s in range(SEEDS)]
starts = [net.init(np.random.default_rng(seed), np.float32) for seed in range(SEEDS)]


# %%
def trained(name, seed, steps=STEPS):
    (method, options), task = METHODS[name], tasks[seed]
    algorithm = ALGORITHMS[method](net, lr=0.002, **options)
    batches = full_batch(task.train)

    def measure(t):
        return [("", "test", accuracy(net, t, task.test[0]))]

    return fit(algorithm, starts[seed], batches, steps, measure=measure)


# %%
runs = {name: [trained(name, seed) for seed in range(SEEDS)] for name in METHODS}
ends = {"start": starts}
for name, found in runs.items():
    ends[name] = [run.theta for run in found]


def variances(name, seed):
    theta, train = ends[name][seed], tasks[seed].train
    return np.array([gradient_variance(net, theta, d.x, d.y) for d in train])


# %% [markdown]
# Each point below is one parameter of the classifier (the last layer), with its gradient variance in the two training domains. **Guess first.** In which of
# the three pictures are the points near the diagonal: before training, after ERM, after Fishr?


# %%
for seed in range(SEEDS):
    spread = {name: dispersion(variances(name, seed)) for name in ends}
    assert max(spread["start"], spread["fishr"]) < 0.1 * spread["erm"]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(3, height=3.2)
names, titles = [d.name for d in tasks[0].train], {"start": "before training"}
titles |= {"erm": "ERM", "fishr": "Fishr"}
for ax, (name, title) in zip(axes, titles.items(), strict=True):
    plots.variance_scatter(ax, *variances(name, 0), names, (1e-5, 1))
    ax.set_title(f"{title}, Colored {digits.name}", fontsize=9)
said = ", ".join(f"{name} {dispersion(variances(name, 0)):.2g}" for name in titles)
alt = "Gradient variances of both domains against each other: near the diagonal before "
figure(
    fig,
    alt + f"training and after Fishr, off it after ERM. Dispersions: {said}.",
    guess=True,
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# ERM pulls the points off the diagonal, and Fishr brings them back. Note that they are on it *before* training too, when the network knows nothing. That will matter.
#
# </details>
#
# ## The claim
#
# Let $\theta^*$ be the end of a training. Near it, by Taylor's formula, the risks of two domains differ by
#
# $$R_A(\theta^* + \delta) - R_B(\theta^* + \delta) = (R_A - R_B) + (g_A - g_B)^\top \delta
# + \tfrac12\, \delta^\top (H_A - H_B)\, \delta + O(\lVert \delta \rVert^3).$$
#
# If risks, gradients and Hessians agree at $\theta^*$, then the risks also agree *around* it: a small step is as good or as bad for both domains. Fishr
# takes variances in the place of Hessians. The chain, with the symbols of lesson 5:
#
# $$v_e = \mathrm{diag}\, C_e \;\approx\; \mathrm{diag}\, \hat F_e \;\approx\; \mathrm{diag}\, F_e \;=\; \mathrm{diag}\, H_e.$$
#
# | step | needs |
# |---|---|
# | $C_e \approx \hat F_e$ | a small mean gradient *of this domain* |
# | $\hat F_e \approx F_e$ | probabilities that are about right in this domain |
# | $\mathrm{diag}\, F_e = \mathrm{diag}\, H_e$ | nothing in the classifier, whose logits are linear in its parameters |
# | $H_e$ instead of its diagonal | a bet |
#
# So the statement is about the neighborhood of an optimum, and only where the model is right. What is exact is checked here; what the bet brings is measured at the end.

# %%
CLAIM = [
    "risks_stay_close_where_gradients_and_hessians_agree",
    "diagonal_of_the_covariance_is_fishrs_variance_of_all_layers",
    "true_fisher_is_the_hessian_of_linear_models",
    "classifier_variance_is_that_of_features_times_residual",
]
for found in checks.verified(DRAWS, names=CLAIM):
    assert found.passed
    print(f"{found.identity.statement}\n    Assumes {found.identity.assumes}\n")

# %% [markdown]
# ## Where the chain breaks
#
# The first "about equal" needs a small mean gradient *of each domain*. A predictor can be the right one and not have it. Back to lesson 3's two domains:
# a shape that is right in 75 % of the rows, a color that is right in 80 % and in 90 %, and logistic regression on both. The invariant predictor has the weights
# $(\log 3, 0)$.
#
# **Guess first.** At the invariant predictor V-REx and IRM are zero. Is Fishr's penalty?

# %%
toy, logistic = [counted("+80%", 0.8), counted("+90%", 0.9)], MLP((2, 1))
invariant, erm = np.array([np.log(3), 0, 0]), np.array([np.log(3), np.log(17 / 3), 0])

# %%
R, g = domain_gradients(logistic, invariant, toy)
assert np.isclose(R[0], R[1]) and np.allclose(g, [[0, -0.225, 0], [0, -0.3, 0]])
where = [(logistic, invariant, d.x, d.y) for d in toy]
centered = np.array([gradient_variance(*w)[1] for w in where])  # of the color's weight
squares = [gradient_variance(*w, centered=False)[1] for w in where]
curvature = [hessian(*w)[1, 1] for w in where]
assert np.allclose(squares, 0.1875) and np.allclose(curvature, 0.1875)
assert np.allclose(centered, 0.1875 - g[:, 1] ** 2)
assert np.allclose(centered, [0.1369, 0.0975], atol=5e-5)

# %%
at = logistic, invariant, toy
penalties = {"V-REx": vrex.penalty(*at), "IRM": irm.penalty(*at)}
penalties["Fishr"] = fishr.penalty(*at)
penalties["Fishr, centered=False"] = fishr.penalty(*at, centered=False)
assert np.isclose(penalties["Fishr"], 7.75e-4, rtol=1e-3)
assert max(value for name, value in penalties.items() if name != "Fishr") < 1e-15
reveal(*(f"{name}: {value:.2g}" for name, value in penalties.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is not. All rows together have no gradient there, but each domain has one: each would like to use the color, the second more so. The mean of the squared
# gradients is $0.1875$ in both, and so is the Hessian's diagonal. The variance is that *minus the square of the domain's mean gradient*,
# $0.1875 - 0.225^2 = 0.1369$ and $0.1875 - 0.3^2 = 0.0975$. So as long as a feature carries the color, centered Fishr asks for something else than invariance.
#
# </details>
#
# The planes of both, as in lesson 3, and the minimum of $R + \lambda P$ at the published $\lambda$ of about 91 257.

# %%
published = fishr.DEFAULTS["paper"]["penalty_weight"]


def minimum(centered):
    def J(w):  # no bias; divided by lambda, so that its size stays
        t = np.array([w[0], w[1], 0.0])
        P = fishr.penalty(logistic, t, toy, centered=centered)
        return risks(logistic, t, toy).mean() / published + P

    exact = {"ftol": 1e-16, "gtol": 1e-13, "maxiter": 5_000}
    how = {"jac": True, "method": "L-BFGS-B", "options": exact}
    return minimize(value_and_grad(J), erm[:2], **how).x


# %%
u, v = np.linspace(-0.6, 7.4, 81), np.linspace(-1, 2.4, 61)
u, v = (u[::4], v[::4]) if SHORT else (u, v)
lowest = {"centered": minimum(True), "centered=False": minimum(False)}
assert np.allclose(lowest["centered"], [6.456, 0.835], atol=0.02)
assert np.allclose(lowest["centered=False"], [1.099, 0.001], atol=0.002)

# %%
left = {n: risks(logistic, np.append(w, 0), toy).mean() for n, w in lowest.items()}
assert np.isclose(left["centered"], 1.47, atol=0.01)
far = fishr.penalty(logistic, np.append(lowest["centered"], 0), toy)
assert np.isclose(penalties["Fishr"] / far, 5, atol=0.1)
for name, w in lowest.items():
    print(f"{name}: minimum at ({w[0]:.2f}, {w[1]:.3f}), risk {left[name]:.2f}")

# %%
planes = {}
for name in lowest:
    how = {"centered": name == "centered"}
    at = [[(logistic, np.array([p, q, 0]), toy) for p in u] for q in v]
    planes[name] = [[fishr.penalty(*case, **how) for case in row] for row in at]

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3)
for ax, (name, values) in zip(axes, planes.items(), strict=True):
    log = np.log10(np.maximum(values, 1e-7))
    title = f"log10 of Fishr's penalty, {name}"
    plots.contours(ax, u, v, log, np.arange(-7, -0.9, 0.5), title=title)
    style = {"color": "white", "markeredgecolor": "black", "markersize": 9}
    ax.plot(*invariant[:2], "o", label="invariant", **style)
    ax.plot(*lowest[name], "*", label="minimum", **style)
    ax.set(xlabel="weight of the shape", ylabel="weight of the color")
    ax.legend(fontsize=8, loc="lower right")
said = "; ".join(f"{n} at ({w[0]:.2f}, {w[1]:.3f})" for n, w in lowest.items())
figure(fig, f"Fishr's penalty over the plane of lesson 3. Minima: {said}.")

# %% [markdown]
# Centered, the penalty is $7.8 \cdot 10^{-4}$ at the invariant predictor, and larger weights make it smaller: at the minimum it is five times smaller, the risk is 1.47,
# and the color is used. Not centered,
# the penalty is zero on the whole line without color, and the minimum is the invariant predictor. **The variance tracks the Hessian only where each domain's
# mean gradient is small, and while a feature carries the color it is not: the switch `centered` decides.** In a network the features can lose the color. Then the
# *classifier's* gradients are equal in all domains, where the shapes are alike, and the two agree.

# %% [markdown]
# ## Assemble it
#
# The classifier gets the features $a_i$ (a row) and has the residual $r_i = p_i - y_i$ as its delta, so that the gradient of sample $i$ is $a_i^\top r_i$ in $W$ and
# $r_i$ in $b$. With a 1 at the end of $a_i$, both are one outer product. By lesson 2 its moments are two matrix products:
#
# $$v_e = \frac{1}{n} (a^2)^\top r^2 - \left(\frac1n\, a^\top r\right)^2.$$
#
# The penalty compares them with their mean over domains, $\bar v = \frac1m \sum_e v_e$:
#
# $$\text{paper: } \sum_e \lVert v_e - \bar v \rVert^2, \qquad
# \text{domainbed: } \frac{1}{m\, d_s} \sum_e \lVert v_e - \bar v \rVert^2,$$
#
# with $d_s$ the number of coordinates of $v_e$. The first stands in the authors' script for Colored MNIST, the second in DomainBed;
# the article writes $\frac1m \sum_e$, so that its $\lambda$ is $m$ times the script's for the same pull.

# %%
rng, model = np.random.default_rng(0), MLP((5, 8, 6, 1))
theta, domains = model.init(rng) + 0.3 * rng.normal(size=model.d), []
for n in (20, 30, 25):
    domains.append(Domain(n, rng.normal(size=(n, 5)), rng.integers(0, 2, n)))
# features and residuals:
pairs = [inputs_and_deltas(model, theta, d.x, d.y)[-1] for d in domains]


def variance(a, r):
    return ((a**2).T @ r**2 / len(a) - (a.T @ r / len(a)) ** 2).ravel()


# %%
v = [variance(np.column_stack([a, np.ones(len(a))]), r) for a, r in pairs]
deviations = np.array(v) - np.mean(v, axis=0)
paper = fishr.penalty(model, theta, domains)
domainbed = fishr.penalty(model, theta, domains, convention="domainbed")
assert np.isclose(np.sum(deviations**2), paper, atol=0)
assert np.isclose(np.mean(deviations**2), domainbed, atol=0)

# %% [markdown]
# ### Exercise 6.1: from gradients


# %%
def fishr_paper(G):
    """The per-sample gradients of each domain, m arrays (n_e,d) -> ()."""
    ...


exercise("fishr_paper", fishr_paper)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
fishr_paper = passed("fishr_paper")  # yours if it passed, else the solution
solution("fishr_paper")


# %% [markdown]
# ## The switches
#
# | switch | values | what changes |
# |---|---|---|
# | `convention` | "paper", "domainbed" | a sum, or a mean, over domains and coordinates |
# | `scope` | "classifier", "all" | the parameters whose gradients count |
# | `centered` | True, False | variances, or means of the squares |
# | `covariance` | "diagonal", "full" | off the diagonal too, for $W$ and for $b$, each divided by its number of rows |
# | `ddof` | 0, 1 | the divisor $n$, or $n - 1$ |
# | `ema` | 0 to 1 | a memory of past variances |
#
# Each is an argument of the penalty or of the algorithm. The convention was checked above. The next four are compared with plain NumPy on
# stored gradients. Here $W$ has 6 rows, and the sum of $m = 3$ squared deviations is 3 times a variance over domains.

# %%
c = model.classifier
G = [per_sample_gradients(model, theta, d.x, d.y) for d in domains]
assert np.isclose(fishr_paper([g[:, c] for g in G]), paper, atol=0)


def covariance(g):  # of W beside that of b; W has 6 rows
    return np.append(np.cov(g[:, c][:, :-1].T, ddof=0) / 6, g[:, -1].var())


# %%
switches = [({"scope": "all"}, lambda g: g.var(axis=0))]
switches += [({"centered": False}, lambda g: (g[:, c] ** 2).mean(axis=0))]
switches += [({"covariance": "full"}, covariance)]
switches += [({"ddof": 1}, lambda g: g[:, c].var(axis=0, ddof=1))]
for switch, phi in switches:
    sum_of_squares = 3 * np.var([phi(g) for g in G], axis=0).sum()
    penalty = fishr.penalty(model, theta, domains, **switch)
    assert np.isclose(penalty, sum_of_squares, atol=0)

# %% [markdown]
# ### Exercise 6.2: must the mean be differentiated?
#
# In the penalty, $\bar v$ depends on $\theta$ too. With $J_e = \partial v_e / \partial \theta$, write the gradient of $\sum_e \lVert v_e - \bar v \rVert^2$
# *without* any derivative of $\bar v$. **Guess first.** Is it an approximation?


# %%
def fishr_gradient(v, J):
    """(m,s), (m,s,d) -> (d,)."""
    ...


exercise("fishr_gradient", fishr_gradient)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
fishr_gradient = passed("fishr_gradient")  # yours if it passed, else the solution
solution("fishr_gradient")


# %% [markdown]
# <details><summary>Answer</summary>
#
# It is exact, because the deviations sum to zero: $\sum_e (v_e - \bar v)^\top \partial \bar v = 0$. A code that detaches the mean does not have another penalty.
#
# </details>
#
# ## The memory
#
# DomainBed trains on 64 rows a domain where images are small, on 32 where they are not, and a variance of so few rows is noisy. So it keeps, for each domain, a discounted sum over the steps $t$,
#
# $$M_t = \text{ema} \cdot M_{t-1} + v_t = v_t + \text{ema}\, v_{t-1} + \text{ema}^2\, v_{t-2} + \dots,$$
#
# whose past is a constant for the gradient. If $v$ does not change, the geometric series gives $M_t \to v / (1 - \text{ema})$, which is 20 times $v$ for its
# default of 0.95. **Guess first.** By what factor does the penalty grow, and by what factor its gradient?

# %%
options = {"ema": 0.95, "lr": 0.0}  # theta stays, and so does v
method = ALGORITHMS["fishr"](model, convention="domainbed", **options)
state = method.init(theta)
for _ in range(300):
    _, state, info = method.update(theta, state, domains)


# %%
def plain(t):
    return fishr.penalty(model, t, domains, convention="domainbed")


def remembered(t):
    phi = protocol.statistics(fishr.statistic, model, t, domains)
    return fishr.distance(0.95 * state.memory + phi, "domainbed")


assert np.allclose(state.memory, 20 * np.array(v))
assert np.isclose(info["penalty"], 400 * plain(theta), atol=0)
assert np.allclose(grad(remembered)(theta), 20 * grad(plain)(theta), atol=1e-12)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The penalty is a square and grows 400 times. Its gradient grows 20 times only: of the two factors of $2\,(M - \bar M)\, \partial M$, the
# second stays that of $v$. What moves $\theta$ is the gradient, so lambda is compared by gradients.
#
# </details>
#
# ### Exercise 6.3: DomainBed's penalty


# %%
def fishr_domainbed(v, ema):
    """The variances at each step (t,m,s), the memory's factor -> ()."""
    ...


exercise("fishr_domainbed", fishr_domainbed)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
fishr_domainbed = passed("fishr_domainbed")  # yours if it passed, else the solution
solution("fishr_domainbed")


# %% [markdown]
# ## What lambda means
#
# $\lambda_{\text{paper}} \sum_e \lVert v_e - \bar v \rVert^2 = \lambda_{\text{domainbed}} \frac{1}{m\, d_s} \sum_e \lVert v_e - \bar v \rVert^2$ gives
#
# $$\lambda_{\text{domainbed}} = m\, d_s\, \lambda_{\text{paper}},$$
#
# and with a memory that has settled, for the same gradient, $m\, d_s\, (1 - \text{ema})\, \lambda_{\text{paper}}$. The published lambda of Colored MNIST is about 91 257,
# for $m = 2$ domains and a classifier with 390 features. DomainBed's default is 1 000. The cell says what the first is in the units of the second.
#
# There is one more difference: the paper's network has one logit, and DomainBed's has two. With $z = z_1 - z_0$ they are the same function, and the gradients
# are those of one logit with either sign. Each variance is there twice: the sum doubles, and the mean stays.
#
# A last one is no convention at all. Multiply the features by $c$ and divide $W$ by $c$: all logits stay, gradients of $W$ grow by $c$, their variances by $c^2$, and
# their part of the penalty by $c^4$. Fishr is not a property of the function that the network computes. Lambda has a unit.

# %%
for name, ema in {"without memory": 0, "ema = 0.95": 0.95}.items():
    translated = 2 * 391 * (1 - ema) * published
    print(f"paper's {published:.0f} = domainbed's {translated:.3g}, {name}")
_, w, seen = model.head(theta, [d.x for d in domains])  # the classifier alone
heads = [d._replace(x=a) for d, a in zip(domains, seen, strict=True)]

# %%
doubled = np.stack([0 * w, w], axis=1).ravel()  # two logits, with z_0 = 0
one, two = (MLP((6, 1)), w, heads), (MLP((6, 2)), doubled, heads)
sums = [fishr.penalty(*case) for case in (one, two)]
means = [fishr.penalty(*case, convention="domainbed") for case in (one, two)]
assert np.isclose(sums[1], 2 * sums[0], atol=0)
assert np.isclose(means[1], means[0], atol=0)
assert np.isclose(sums[0], 3 * 7 * means[0], atol=0)  # m = 3 domains, 6 weights, a bias

# %% [markdown]
# **Guess first.** The penalty against $c$, with both axes logarithmic: how steep is it, and is it a straight line?

# %%
head, scales, is_W = MLP((6, 1)), np.logspace(-1.5, 1.5, 7), np.arange(7) < 6
found = []
for c in scales:
    t, ds = w / np.where(is_W, c, 1), [d._replace(x=c * d.x) for d in heads]
    assert np.allclose(head.logits(t, ds[0].x), head.logits(w, heads[0].x))
    found.append(fishr.penalty(head, t, ds))
names = ["fishr_grows_with_the_fourth_power_of_the_features"]
(verdict,) = checks.verified(DRAWS, names=names)
assert verdict.passed

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=3.1)
slope = found[-1] * (scales / scales[-1]) ** 4
labels = {"xlabel": "scale c of the features", "ylabel": "penalty"}
curves = {"penalty": found, "slope 4": slope}
plots.lines(ax, scales, curves, xscale="log", yscale="log", **labels)
alt = (
    f"The penalty against the scale, log-log: level at {found[0]:.1e} for small ones, "
)
figure(fig, alt + "then steep with slope 4.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is $A c^4 + B$, with $A$ from $W$ and $B$ from the bias: steep on the right, level on the left. A method that wants a small penalty can get it by small features.
#
# </details>
#
# ### Exercise 6.4: translate lambda


# %%
def translated_lambda(penalty_weight, m, h, k, ema):
    """A paper's lambda, domains, features, logits, memory -> DomainBed's lambda."""
    ...


exercise("translated_lambda", translated_lambda)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
translated_lambda = passed("translated_lambda")  # yours if it passed, else the solution
solution("translated_lambda")

# %%
for ema in (0, 0.95):
    expected = 2 * 391 * (1 - ema) * published
    assert np.isclose(translated_lambda(published, 2, 390, 1, ema), expected)
v = np.random.default_rng(0).random((3, 2, 4))
assert np.isclose(fishr_domainbed(v, 0), fishr.distance(v[-1], "domainbed"))


# %% [markdown]
# ## The end of the warm-up
#
# During the warm-up the penalty has the weight 1 (paper) or 0 (domainbed): nearly ERM. Then lambda jumps to its full value. The paper's script divides the
# whole loss by lambda from then on, $(R + \lambda P) / \lambda$. DomainBed does not divide, and makes Adam anew.
#
# Adam divides by the root of a moving mean of squared gradients, so a constant factor of the loss changes nothing (but for a tiny constant in the denominator). A factor that *changes* does: Adam still remembers
# the gradients of the warm-up. **Guess first.** Which of the three makes the shortest first step: divided, not divided, or not divided with a new Adam?

# %%
fitted, lengths = trained("fishr", 0, steps=60), {}  # just before the jump
options = {"penalty_weight": published, "warm_up": 60, "lr": 0.002, "weight_decay": 0.0}
recipes, paper = {"divided": protocol.PAPER}, protocol.PAPER
recipes["not divided"] = paper._replace(rescale=False)
recipes["new Adam"] = paper._replace(rescale=False, restart=True)
for name, recipe in recipes.items():
    parts = fishr.statistic, fishr.distance, recipe
    method = protocol.penalized("fishr", net, *parts, **options)
    after, _, _ = method.update(fitted.theta, fitted.state, tasks[0].train)
    lengths[name] = np.linalg.norm(after - fitted.theta)

# %%
assert lengths["divided"] < 0.7 * lengths["not divided"] < 0.7 * lengths["new Adam"]
assert protocol.RECIPES["domainbed"].warm_up_weight == 1  # IRM and V-REx
assert fishr.RECIPES["domainbed"].warm_up_weight == 0
reveal(*(f"{name}: {length:.2f}" for name, length in lengths.items()))

# %% [markdown]
# ## What happens in training
#
# The same runs as in the first figure. The published lambda was chosen with the test domain in view. So were the learning rate, the warm-up and the sizes of this
# lesson, among a few, so that the effect is large in a short run; with others it can be small. These curves show what can happen, and not what a user without test
# labels would get.


# %%
def series(name, metric):
    rows = [[r for r in run.history if r.metric == metric] for run in runs[name]]
    return np.array([[row.value for row in one] for one in rows])


tests = {name: 100 * series(name, "test") for name in ("no warm-up", "fishr", "erm")}
penalties = {name: series(name, "penalty") for name in ("no warm-up", "fishr")}
last = {name: values[:, -1] for name, values in tests.items()}
assert last["fishr"].min() > 20 + max(last["erm"].max(), last["no warm-up"].max())

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3)
at = dict.fromkeys(METHODS, range(0, STEPS + 1, 10))
plots.metric_curves(axes[0], at, tests, "accuracy on -90%, in %")
steps = dict.fromkeys(METHODS, range(STEPS))
plots.metric_curves(axes[1], steps, penalties, "penalty")
axes[0].legend(fontsize=8, title=f"Colored {digits.name}", title_fontsize=8)
said = ", ".join(f"{name} {values.mean():.0f} %" for name, values in last.items())
figure(
    fig,
    f"Test accuracy at the end: {said}. The penalty is smaller without the warm-up.",
)

# %% [markdown]
# Fishr ends more than 20 points above ERM on the test domain, and as much above Fishr without the warm-up. The lower picture is the surprise: without the warm-up
# the penalty is *smaller*, at every step after the jump to the full lambda. What has each training made equal? The dispersion of a statistic is the share of its square that
# differs between the domains, $\sum_e \lVert \phi_e - \bar\phi \rVert^2 / \sum_e \lVert \phi_e \rVert^2$.


# %%
def dispersions(name, seed):
    theta, train = ends[name][seed], tasks[seed].train
    H = [np.diag(classifier_hessian(net, theta, d.x, d.y)) for d in train]
    R = [risk(net, theta, d.x, d.y) for d in train]
    return [dispersion(phi) for phi in (R, variances(name, seed), H)]


table = {n: np.array([dispersions(n, s) for s in range(SEEDS)]) for n in ends}
factors = table["erm"].mean(axis=0) / table["fishr"].mean(axis=0)
assert np.all(factors > (3 if SHORT else np.array([1_000, 100, 30])))
assert all(np.all(v < table["erm"] / 3) for n, v in table.items() if n != "erm")

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=2.8)
means, columns = (
    [v.mean(axis=0) for v in table.values()],
    ["risk", "variance", "Hessian"],
)
plots.heat_map(ax, means, list(table), columns)
ax.set_title(f"dispersion over the training domains, {digits.name}", fontsize=9)
said = ", ".join(f"{c} {f:.0f}" for c, f in zip(columns, factors, strict=True))
figure(fig, f"Dispersions. ERM's over Fishr's: {said}.")

# %% [markdown]
# As claimed: where Fishr has made variances equal, the diagonals of the classifier's Hessians and the risks are closer to each other as well, by a large factor
# against ERM (the assertion says how large). But before training all three are close too, and they are after Fishr without a warm-up. The reason stands in lesson 5: at
# $p = \frac12$ the square $(p - y)^2$ is $\frac14$ whatever the label, and the variances cannot see whether the color is right. How far from $\frac12$ are
# the probabilities in the first training domain?

# %%
away = {}
for name, thetas in ends.items():
    pairs = zip(thetas, tasks, strict=True)
    z = np.array([net.logits(theta, task.train[0].x) for theta, task in pairs])
    away[name] = {"mean": np.mean(np.abs(1 / (1 + np.exp(-z)) - 0.5))}
mean = {name: value["mean"] for name, value in away.items()}
assert mean["no warm-up"] < 0.8 * mean["fishr"] < 0.8 * mean["erm"]
assert np.all(penalties["no warm-up"][:, 60:] < 0.5 * penalties["fishr"][:, 60:])

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=2.9)
title = f"Colored {digits.name}"
plots.bars(ax, away, ylabel="mean distance of p from 1/2", title=title)
said = ", ".join(f"{name} {value:.2f}" for name, value in mean.items())
figure(fig, f"Mean distance of p from 1/2: {said}.")

# %% [markdown]
# Without the warm-up the full penalty keeps the network undecided: that is the short way to equal variances. With it, the penalty meets a network that is already
# sure of something, and makes it choose. A small penalty, and small dispersions, prove nothing about the test domain. The warm-up is a part of the method.
#
# ## Break it
#
# Make the distance 0.1 % too large. **Guess first.** Which of these identities does *not* notice?

# %%
FISHR = [
    "fishr_is_the_squared_differences_over_pairs",
    "fishr_grows_with_the_fourth_power_of_the_features",
    "mean_of_fishr_can_be_detached",
    "memory_of_fishr_is_a_discounted_sum",
]

# %%
missed = {}
for wrong in ("fishr.distance", "fishr.distance.power"):
    with checks.broken(wrong):
        found = list(checks.verified(DRAWS, names=FISHR))
    missed[wrong] = [one.identity.name for one in found if one.passed]

# %%
assert list(missed.values()) == [[FISHR[1]], []]
assert all(found.passed for found in checks.verified(DRAWS, names=FISHR))
reveal(*(f"{wrong} is not noticed by {names}" for wrong, names in missed.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# A power law holds for any multiple, so it misses a wrong factor, and catches a wrong power. One identity is not enough.
#
# </details>
#
# A wrong factor is the usual mistake. If the loss is a mean, some libraries return per-sample gradients that are divided by $n$ already. Nothing looks wrong, but the
# penalty has another unit:

# %%
n, spread = 20, []
for f in (1, n):
    v = np.array([(g[:n] / f).var(axis=0) for g in G])
    spread.append(np.sum((v - v.mean(axis=0)) ** 2))
ratio = spread[0] / spread[1]
print(f"with {n} rows a domain, lambda is off by a factor of {ratio:.0f}")
assert np.isclose(ratio, n**4)

# %% [markdown]
# ## Three questions
#
# 1. The classifier's bias has $v = \mathrm{Var}(r)$, and uncentered the mean of $r^2$. What do domains have in common if only that is matched, and which method of lesson 3 asks for something close?
# 2. Two domains have different label noise. Should their gradient variances be equal at the best invariant predictor? What does Fishr do then?
# 3. Batch normalization before the classifier fixes the scale of the features. Which paragraph of this lesson does that change?
#
# <details><summary>Answers</summary>
#
# 1. $\mathrm{Var}(r)$ without the mean is the mean of $r^2 = (p - y)^2$, the Brier score: the domains get the same mean squared error of the
#    probabilities. V-REx asks for the same mean logarithmic loss.
# 2. No: at $p$ = the true probability the bias has the variance $p (1 - p)$ on average, which is another one with other noise. Fishr then makes the
#    predictor worse in one of the domains, until the variances are equal.
# 3. "What lambda means", its last part: the features cannot be made small any more, so that the penalty cannot fall by $c^4$ that way, and
#    $\lambda$ has one unit less. But a batch norm layer has a scale of its own behind it, unless it is fixed.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The second answer in numbers: the bias at the true probabilities, 75 % and 85 %.
alone, of_bias = MLP((1, 1)), []
for right in (15, 17):  # of 20 rows
    side = np.where(np.arange(20) < right, 1.0, -1.0)
    rows = np.append(side, -side)[:, None], np.repeat([1, 0], 20)
    best = np.array([np.log(right / (20 - right)), 0])
    assert np.allclose(grad(lambda t, rows=rows: risk(alone, t, *rows))(best), 0)
    of_bias.append(gradient_variance(alone, best, *rows)[1])
assert np.allclose(of_bias, [0.75 * 0.25, 0.85 * 0.15])

# %% [markdown]
# ## Read on
#
# - The method: Ramé, Dancette and Cord 2022, *Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization*,
#   [arXiv:2109.02934](https://arxiv.org/abs/2109.02934), section 3; the experiments on Colored MNIST come after it.
# - The data and the schedule with a warm-up: Arjovsky and others 2019, *Invariant Risk Minimization*, [arXiv:1907.02893](https://arxiv.org/abs/1907.02893).
# - How methods are compared with DomainBed: Gulrajani and Lopez-Paz 2020, *In Search of Lost Domain Generalization*,
#   [arXiv:2007.01434](https://arxiv.org/abs/2007.01434).
