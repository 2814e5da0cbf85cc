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
# About 60 minutes. Read beside it: `minifishr/algorithms/fishr.py`. You need lessons 2 and 5.

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
from autograd import grad

from minifishr import MLP, Domain, accuracy, checks, colored_mnist, fit, full_batch, load_digits, plots, risk
from minifishr.algorithms import ALGORITHMS, fishr, protocol
from minifishr.course import exercise
from minifishr.gradients import gradient_variance, inputs_and_deltas, per_sample_gradients
from minifishr.invariance import classifier_hessian, dispersion

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## A picture
#
# Colored MNIST, small: 2 000 images a domain and two hidden layers of 64 units. Three trainings start from the same parameters: ERM; Fishr, whose penalty gets
# its full weight after 60 steps; and Fishr with one switch off, the warm-up. All use the paper's convention, and a larger learning rate than
# the published one, so that fewer steps will do.

# %%
digits, net = load_digits(), MLP((392, 64, 64, 1))
SEEDS, STEPS, DRAWS = (1, 120, 6) if SHORT else (3, 160, 20)
METHODS = {"erm": ("erm", {}), "fishr": ("fishr", {"warm_up": 60}), "no warm-up": ("fishr", {"warm_up": 0})}
tasks = [colored_mnist(digits, count=2_000, test_count=2_000, seed=s, dtype=np.float32) for s in range(SEEDS)]
starts = [net.init(np.random.default_rng(seed), np.float32) for seed in range(SEEDS)]


# %%
def trained(name, seed, steps=STEPS):
    (method, options), task = METHODS[name], tasks[seed]
    algorithm, batches = ALGORITHMS[method](net, lr=0.002, **options), full_batch(task.train)
    return fit(
        algorithm, starts[seed], batches, steps, measure=lambda t: [("", "test", accuracy(net, t, task.test[0]))]
    )


runs = {name: [trained(name, seed) for seed in range(SEEDS)] for name in METHODS}
ends = {"start": starts, **{name: [run.theta for run in found] for name, found in runs.items()}}

# %% [markdown]
# Each point below is one parameter of the classifier (the last layer), with its gradient variance in the two training domains. **Guess first.** In which of
# the three pictures are the points near the diagonal: before training, after ERM, after Fishr?


# %%
def variances(name, seed):
    return np.array([gradient_variance(net, ends[name][seed], d.x, d.y) for d in tasks[seed].train])


fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), layout="constrained")
for ax, (name, title) in zip(axes, {"start": "before training", "erm": "ERM", "fishr": "Fishr"}.items(), strict=True):
    plots.variance_scatter(ax, *variances(name, 0), [d.name for d in tasks[0].train], (1e-5, 1))
    ax.set_title(f"{title}, Colored {digits.name}", fontsize=9)
plt.show()
for seed in range(SEEDS):
    before, erm, after = (dispersion(variances(name, seed)) for name in ("start", "erm", "fishr"))
    assert max(before, after) < 0.1 * erm

# %% [markdown]
# ERM pulls the points off the diagonal, and Fishr brings them back. Note that they are on it *before* training too, when the network knows nothing. That will matter.
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
CLAIM = """risks_stay_close_where_gradients_and_hessians_agree diagonal_of_the_covariance_is_fishrs_variance_of_all_layers
true_fisher_is_the_hessian_of_linear_models classifier_variance_is_that_of_features_times_residual"""
for verdict in checks.verified(DRAWS, names=CLAIM.split()):
    print(verdict.identity.statement, f"    Assumes {verdict.identity.assumes.rstrip('.')}.", "", sep="\n")
    assert verdict.passed

# %% [markdown]
# ## Assemble it
#
# The classifier gets the features $a_i$ and has the residual $r_i = p_i - y_i$ as its delta, so that the gradient of sample $i$ is $a_i r_i^\top$ in $W$ and
# $r_i$ in $b$. With a 1 at the end of $a_i$, both are one outer product. By lesson 2 its moments are two matrix products:
#
# $$v_e = \frac{1}{n} (a^2)^\top r^2 - \left(\frac1n\, a^\top r\right)^2.$$
#
# The penalty compares them with their mean over domains, $\bar v = \frac1m \sum_e v_e$:
#
# $$\text{paper: } \sum_e \lVert v_e - \bar v \rVert^2, \qquad
# \text{domainbed: } \frac{1}{m\, d_s} \sum_e \lVert v_e - \bar v \rVert^2,$$
#
# with $d_s$ the number of coordinates of $v_e$. The first stands in the authors' script for Colored MNIST, the second in DomainBed.

# %%
rng, model = np.random.default_rng(0), MLP((5, 8, 6, 1))
theta = model.init(rng) + 0.3 * rng.normal(size=model.d)
domains = [Domain(n_e, rng.normal(size=(n_e, 5)), rng.integers(0, 2, n_e)) for n_e in (20, 30, 25)]
pairs = [inputs_and_deltas(model, theta, d.x, d.y)[-1] for d in domains]  # features and residuals


def variance(a, r):
    return ((a**2).T @ r**2 / len(a) - (a.T @ r / len(a)) ** 2).ravel()


v = np.array([variance(np.column_stack([a, np.ones(len(a))]), r) for a, r in pairs])
deviations = v - v.mean(axis=0)
assert np.isclose(np.sum(deviations**2), fishr.penalty(model, theta, domains), atol=0)
assert np.isclose(np.mean(deviations**2), fishr.penalty(model, theta, domains, convention="domainbed"), atol=0)

# %% [markdown]
# ### Exercise 6.1: from gradients


# %%
def fishr_paper(G):
    """A list of m arrays (n_e,d), the per-sample gradients of each domain -> (), the paper's penalty."""
    ...


exercise("fishr_paper", fishr_paper)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def fishr_paper(G):
    v = np.array([one.var(axis=0) for one in G])
    return np.sum((v - v.mean(axis=0)) ** 2)


feedback = exercise("fishr_paper", fishr_paper)
assert feedback.passed
feedback

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
G, c = [per_sample_gradients(model, theta, d.x, d.y) for d in domains], model.classifier
SWITCHES = [
    ({"scope": "all"}, lambda g: g.var(axis=0)),
    ({"centered": False}, lambda g: (g[:, c] ** 2).mean(axis=0)),
    ({"covariance": "full"}, lambda g: np.append(np.cov(g[:, c][:, :-1].T, ddof=0) / 6, g[:, -1].var())),
    ({"ddof": 1}, lambda g: g[:, c].var(axis=0, ddof=1)),
]
for switch, phi in SWITCHES:
    values = np.array([phi(g) for g in G])
    assert np.isclose(fishr.penalty(model, theta, domains, **switch), 3 * values.var(axis=0).sum(), atol=0)

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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def fishr_gradient(v, J):
    return 2 * np.einsum("es,esd->d", v - v.mean(axis=0), J)


feedback = exercise("fishr_gradient", fishr_gradient)
assert feedback.passed
feedback

# %% [markdown]
# It is exact, because the deviations sum to zero: $\sum_e (v_e - \bar v)^\top \partial \bar v = 0$. A code that detaches the mean does not have another penalty.
#
# ## The memory
#
# DomainBed trains on 64 rows a domain, and a variance of 64 rows is noisy. So it keeps, for each domain, a discounted sum over the steps $t$,
#
# $$M_t = \text{ema} \cdot M_{t-1} + v_t = v_t + \text{ema}\, v_{t-1} + \text{ema}^2\, v_{t-2} + \dots,$$
#
# whose past is a constant for the gradient. If $v$ does not change, the geometric series gives $M_t \to v / (1 - \text{ema})$, which is 20 times $v$ for its
# default of 0.95. **Guess first.** By what factor does the penalty grow, and by what factor its gradient?

# %%
method = ALGORITHMS["fishr"](model, convention="domainbed", ema=0.95, lr=0.0)  # theta stays, and so does v
state = method.init(theta)
for _ in range(300):
    _, state, info = method.update(theta, state, domains)


def plain(t):
    return fishr.penalty(model, t, domains, convention="domainbed")


def remembered(t):
    return fishr.distance(0.95 * state.memory + protocol.statistics(fishr.statistic, model, t, domains), "domainbed")


assert np.allclose(state.memory, 20 * v) and np.isclose(info["penalty"], 400 * plain(theta), atol=0)
assert np.allclose(grad(remembered)(theta), 20 * grad(plain)(theta), atol=1e-12)

# %% [markdown]
# The penalty is a square and grows 400 times. Its gradient grows 20 times only: of the two factors of $2\,(M - \bar M)\, \partial M$, the
# second stays that of $v$. What moves $\theta$ is the gradient, so lambda is compared by gradients.
#
# ### Exercise 6.3: DomainBed's penalty


# %%
def fishr_domainbed(v, ema):
    """(t,m,s): the variances at each step; the factor of the memory -> (), the penalty after the last step."""
    ...


exercise("fishr_domainbed", fishr_domainbed)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def fishr_domainbed(v, ema):
    age = np.arange(len(v))[::-1]
    M = np.einsum("t,tms->ms", ema**age, v)
    return np.mean((M - M.mean(axis=0)) ** 2)


feedback = exercise("fishr_domainbed", fishr_domainbed)
assert feedback.passed
feedback

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
published = fishr.DEFAULTS["paper"]["penalty_weight"]
for name, factor in {"without memory": 1, "ema = 0.95": 1 - 0.95}.items():
    print(f"paper's {published:.0f} = domainbed's {2 * 391 * factor * published:.3g}, {name}")
_, w, seen = model.head(theta, [d.x for d in domains])  # the classifier alone: its inputs are the features
heads = [d._replace(x=a) for d, a in zip(domains, seen, strict=True)]
cases = (MLP((6, 1)), w), (MLP((6, 2)), np.stack([0 * w, w], axis=1).ravel())  # one logit; two, with z_0 = 0
sums, means = ([fishr.penalty(*case, heads, convention=c) for case in cases] for c in ("paper", "domainbed"))
assert np.isclose(sums[1], 2 * sums[0], atol=0) and np.isclose(means[1], means[0], atol=0)
assert np.isclose(sums[0], 3 * 7 * means[0], atol=0)  # m = 3 domains, 6 weights and a bias

# %% [markdown]
# **Guess first.** The penalty against $c$, with both axes logarithmic: how steep is it, and is it a straight line?

# %%
head, scales, is_W = MLP((6, 1)), np.logspace(-1.5, 1.5, 7), np.arange(7) < 6
scaled = [(w / np.where(is_W, c, 1), [d._replace(x=c * d.x) for d in heads]) for c in scales]
assert all(np.allclose(head.logits(t, ds[0].x), head.logits(w, heads[0].x)) for t, ds in scaled)
found = [fishr.penalty(head, t, ds) for t, ds in scaled]
fig, ax = plt.subplots(figsize=(5.2, 3.1), layout="constrained")
curves = {"penalty": found, "slope 4": found[-1] * (scales / scales[-1]) ** 4}
plots.lines(ax, scales, curves, xlabel="scale c of the features", ylabel="penalty", xscale="log", yscale="log")
plt.show()
(verdict,) = checks.verified(DRAWS, names=["fishr_grows_with_the_fourth_power_of_the_features"])
assert verdict.passed

# %% [markdown]
# It is $A c^4 + B$, with $A$ from $W$ and $B$ from the bias: steep on the right, level on the left. A method that wants a small penalty can get it by small features.
#
# ### Exercise 6.4: translate lambda


# %%
def translated_lambda(penalty_weight, m, h, k, ema):
    """A paper's lambda, m domains, h features, k logits, and the memory's factor -> DomainBed's lambda, same gradient."""
    ...


exercise("translated_lambda", translated_lambda)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def translated_lambda(penalty_weight, m, h, k, ema):
    return penalty_weight * m * (h + 1) * k * (1 - ema)


feedback = exercise("translated_lambda", translated_lambda)
assert feedback.passed
feedback

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
recipes = {"divided": protocol.PAPER, "not divided": protocol.PAPER._replace(rescale=False)}
recipes["new Adam"] = protocol.PAPER._replace(rescale=False, restart=True)
for name, recipe in recipes.items():
    method = protocol.penalized("fishr", net, fishr.statistic, fishr.distance, recipe, **options)
    after, _, _ = method.update(fitted.theta, fitted.state, tasks[0].train)
    lengths[name] = np.linalg.norm(after - fitted.theta)
print({name: f"{length:.2f}" for name, length in lengths.items()})
assert lengths["divided"] < 0.7 * lengths["not divided"] < 0.7 * lengths["new Adam"]

# %% [markdown]
# ## What happens in training
#
# The same runs as in the first figure. The published lambda was chosen with the test domain in view. So were the learning rate, the warm-up and the sizes of this
# lesson, among a few, so that the effect is large in a short run; with others it can be small. These curves show what can happen, and not what a user without test
# labels would get.


# %%
def series(name, metric):
    return np.array([[row.value for row in run.history if row.metric == metric] for run in runs[name]])


fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
tests = {name: 100 * series(name, "test") for name in ("no warm-up", "fishr", "erm")}
penalties = {name: series(name, "penalty") for name in ("no warm-up", "fishr")}
plots.metric_curves(axes[0], dict.fromkeys(METHODS, range(0, STEPS + 1, 10)), tests, "accuracy on -90%, in %")
plots.metric_curves(axes[1], dict.fromkeys(METHODS, range(STEPS)), penalties, "penalty")
axes[0].legend(fontsize=8, title=f"Colored {digits.name}", title_fontsize=8)
plt.show()
assert tests["fishr"][:, -1].min() > 20 + max(tests[name][:, -1].max() for name in ("erm", "no warm-up"))

# %% [markdown]
# Fishr ends more than 20 points above ERM on the test domain, and as much above Fishr without the warm-up. The right picture is the surprise: without the warm-up
# the penalty is *smaller*, at every step after the jump to the full lambda. What has each training made equal? The dispersion of a statistic is the share of its square that
# differs between the domains, $\sum_e \lVert \phi_e - \bar\phi \rVert^2 / \sum_e \lVert \phi_e \rVert^2$.


# %%
def dispersions(name, seed):
    theta, train = ends[name][seed], tasks[seed].train
    H = [np.diag(classifier_hessian(net, theta, d.x, d.y)) for d in train]
    return [dispersion(phi) for phi in ([risk(net, theta, d.x, d.y) for d in train], variances(name, seed), H)]


table = {name: np.array([dispersions(name, seed) for seed in range(SEEDS)]) for name in ends}
fig, ax = plt.subplots(figsize=(5.6, 2.6), layout="constrained")
plots.heat_map(ax, [found.mean(axis=0) for found in table.values()], list(table), ["risk", "variance", "Hessian"])
ax.set_title(f"dispersion over the training domains, Colored {digits.name}", fontsize=9)
plt.show()
assert all(np.all(found < table["erm"] / 3) for name, found in table.items() if name != "erm")

# %% [markdown]
# As claimed: where Fishr has made variances equal, the diagonals of the classifier's Hessians and the risks are closer to each other as well, each by a factor of more than
# three against ERM. But before training all three are close too, and they are after Fishr without a warm-up. The reason stands in lesson 5: at
# $p = \frac12$ the square $(p - y)^2$ is $\frac14$ whatever the label, and the variances cannot see whether the color is right. How far from $\frac12$ are
# the probabilities in the first training domain?

# %%
away = {}
for name, thetas in ends.items():
    z = [net.logits(theta, task.train[0].x) for theta, task in zip(thetas, tasks, strict=True)]
    away[name] = {"mean": np.mean(np.abs(1 / (1 + np.exp(-np.array(z))) - 0.5))}
fig, ax = plt.subplots(figsize=(5.2, 2.9), layout="constrained")
plots.bars(ax, away, ylabel="mean distance of p from 1/2", title=f"Colored {digits.name}")
plt.show()
assert away["no warm-up"]["mean"] < 0.8 * away["fishr"]["mean"] < 0.8 * away["erm"]["mean"]
assert np.all(penalties["no warm-up"][:, 60:] < 0.5 * penalties["fishr"][:, 60:])

# %% [markdown]
# Without the warm-up the full penalty keeps the network undecided: that is the short way to equal variances. With it, the penalty meets a network that is already
# sure of something, and makes it choose. A small penalty, and small dispersions, prove nothing about the test domain. The warm-up is a part of the method.
#
# ## Break it
#
# Make the distance 0.1 % too large. **Guess first.** Which of these identities does *not* notice?

# %%
FISHR = """fishr_is_the_squared_differences_over_pairs fishr_grows_with_the_fourth_power_of_the_features
mean_of_fishr_can_be_detached memory_of_fishr_is_a_discounted_sum"""
for wrong in ("fishr.distance", "fishr.distance.power"):
    with checks.broken(wrong):
        missed = [found.identity.name for found in checks.verified(DRAWS, names=FISHR.split()) if found.passed]
    print(f"{wrong} is not noticed by {missed}")
    assert missed == ([FISHR.split()[1]] if wrong == "fishr.distance" else [])
assert all(found.passed for found in checks.verified(DRAWS, names=FISHR.split()))

# %% [markdown]
# A power law holds for any multiple, so it misses a wrong factor, and catches a wrong power. One identity is not enough.
#
# A wrong factor is the usual mistake. If the loss is a mean, some libraries return per-sample gradients that are divided by $n$ already. Nothing looks wrong, but the
# penalty has another unit:

# %%
n = 20
right, divided = ([(g[:n] / f).var(axis=0) for g in G] for f in (1, n))
ratio = np.sum((right - np.mean(right, axis=0)) ** 2) / np.sum((divided - np.mean(divided, axis=0)) ** 2)
print(f"with {n} rows a domain, lambda is off by a factor of {ratio:.0f}")
assert np.isclose(ratio, n**4)

# %% [markdown]
# ## Three questions
#
# 1. The classifier's bias has $v = \mathrm{Var}(r)$, and uncentered the mean of $r^2$. What do domains have in common if only that is matched, and which method of lesson 3 asks for something close?
# 2. Two domains have different label noise. Should their gradient variances be equal at the best invariant predictor? What does Fishr do then?
# 3. Batch normalization before the classifier fixes the scale of the features. Which paragraph of this lesson does that change?
#
# ## Read on
#
# - The method: Ramé, Dancette and Cord 2022, *Fishr: Invariant Gradient Variances for Out-of-Distribution Generalization*,
#   [arXiv:2109.02934](https://arxiv.org/abs/2109.02934), section 3; the experiments on Colored MNIST come after it.
# - The data and the schedule with a warm-up: Arjovsky and others 2019, *Invariant Risk Minimization*, [arXiv:1907.02893](https://arxiv.org/abs/1907.02893).
# - How methods are compared with DomainBed: Gulrajani and Lopez-Paz 2020, *In Search of Lost Domain Generalization*,
#   [arXiv:2007.01434](https://arxiv.org/abs/2007.01434).
