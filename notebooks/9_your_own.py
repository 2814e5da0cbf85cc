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
# # Lesson 9. Your own method, your own arrays
#
# *What does it take to turn an idea about invariance into a method that one can trust, compare and use?*
#
# After this lesson you can
#
# - turn a statistic and a distance into a method in one cell;
# - let the contracts find what is wrong with it, and understand what they say;
# - write an update by hand, with a state of its own;
# - put your method into a table beside others, on Colored MNIST and on your own arrays.
#
# About 60 minutes. Read beside it: `minifishr/algorithms/protocol.py`, `minifishr/checks/contracts.py`. You need lessons 0, 1 and 3.

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
import tempfile
import warnings

import autograd.numpy as np
import matplotlib.pyplot as plt

from minifishr import ALGORITHMS, MLP, Algorithm, checks, colored_mnist, fit, full_batch, load_digits, plots
from minifishr.algorithms.protocol import RECIPES, deviations, penalized, statistics
from minifishr.course import exercise
from minifishr.data import stream

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## A picture
#
# Every penalized method of this course is a *statistic* of each domain and a *distance* between its values. A new idea is a new statistic. Ours: the
# mean distance of the predicted probability from the label,
#
# $$\phi_e = \frac1n \sum_i \lvert p_i - y_i \rvert.$$
#
# It is the error rate of a predictor that says 1 with probability $p_i$: an error rate with a slope. First look at it, without any penalty.
#
# **Guess first.** Train ERM on Colored MNIST. In which training domain is $\phi_e$ smaller, and where is it in the test domain?


# %%
def residual(model, theta, x, y):
    p = (1 + np.tanh(model.logits(theta, x)[:, 0] / 2)) / 2
    return np.sum(np.abs(p - y)) / len(y)


digits, count, steps = load_digits(), 1_000 if SHORT else 2_000, 100 if SHORT else 150
task, model = colored_mnist(digits, count=count, test_count=1_000, dtype=np.float32), MLP((392, 64, 1))
shown = {d.name: d for d in [*task.train, task.test[0]]}
measure = lambda t: [(name, "residual", residual(model, t, d.x, d.y)) for name, d in shown.items()]  # noqa: E731
erm, theta = ALGORITHMS["erm"](model, lr=0.003), model.init(stream(0, "init"), np.float32)
watched = fit(erm, theta, full_batch(task.train), steps, measure=measure, every=5).history

# %%
curves = {name: [row.value for row in watched if row[1:3] == (name, "residual")] for name in shown}
fig, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
styles = plots.domain_styles([d.name for d in task.train], [task.test[0].name])
places = [*range(0, steps, 5), steps]
plots.lines(ax, places, curves, styles, xlabel="step", ylabel="mean |p - y|", title=f"ERM on {task.name}", ylim=(0, 1))
plt.show()
assert curves["+90%"][-1] < curves["+80%"][-1] - 0.03 < curves["-90%"][-1] - 0.3

# %% [markdown]
# Color is right more often in one training domain than in the other, so ERM errs less there, and $\phi$ differs. A predictor that cannot see the color
# would have the same $\phi$ everywhere. So make $\phi$ equal.
#
# ## A penalty, twice wrong
#
# A penalty is a function `(model, theta, domains) -> ()`. What every penalty must keep is checked by `checks.check_penalty`:
#
# | promise | why |
# |---|---|
# | it is one finite number | it is added to the risk |
# | the order of domains and of samples does not matter | they have no order |
# | copies of one domain have no penalty | there is nothing to make equal |
# | its gradient is not zero where domains differ | otherwise it does nothing |
# | its gradient agrees with finite differences | otherwise it does something else |
#
# **Guess first.** Two attempts follow. The first measures the error rate itself. The second compares all domains with the first one. Which promises do
# they break?


# %%
def error_rate(model, theta, x, y):
    says_one = model.logits(theta, x)[:, 0] > 0
    return np.sum(says_one != y) / len(y)


def flat(model, theta, domains):
    return np.sum(deviations(statistics(error_rate, model, theta, domains)) ** 2)


def to_the_first(model, theta, domains):
    phi = statistics(residual, model, theta, domains)
    return np.sum((phi - phi[0]) ** 2)


# %%
def complaint(check, *given):
    with warnings.catch_warnings(action="ignore"):  # autograd says, too, that the output does not depend on the input
        try:
            check(*given)
        except AssertionError as error:
            return str(error)


for wrong, word in ((flat, "gradient is not zero"), (to_the_first, "order of domains")):
    print(f"{wrong.__name__}: {complaint(checks.check_penalty, wrong)}")
    assert word in complaint(checks.check_penalty, wrong)

# %% [markdown]
# The error rate jumps where a row changes sides and is constant elsewhere. Its derivative is zero wherever it exists: a penalty that is printed, falls
# and rises during training, and does nothing. Nobody would see it in a table.
#
# ## The method in one cell
#
# `penalized` makes a method of a statistic and a distance: warm-up, penalty weight, Adam and weight decay are those of all others, after the recipe of
# the chosen convention.


# %%
def even(phi):
    return np.sum(deviations(phi) ** 2) / len(phi)


def evenness(model, *, convention="paper", lr=0.003, penalty_weight=1e5, warm_up=50, weight_decay=0.0):
    numbers = {"lr": lr, "penalty_weight": penalty_weight, "warm_up": warm_up, "weight_decay": weight_decay}
    return penalized("evenness", model, residual, even, RECIPES[convention], **numbers)


checks.check_penalty(lambda model, theta, domains: even(statistics(residual, model, theta, domains)))
for convention in ("paper", "domainbed"):
    checks.check_algorithm(evenness, convention)

# %% [markdown]
# No complaint. And this is what the silent mistake would have done: the same training as with no penalty at all, to the last bit, while a penalty is
# reported.


# %%
def trained(statistic, weight):
    numbers = {"penalty_weight": weight, "lr": 0.003, "weight_decay": 0.0}
    mine = penalized("mine", model, statistic, even, RECIPES["domainbed"], **numbers)
    return fit(mine, theta, full_batch(task.train), 20)


with warnings.catch_warnings(action="ignore"):
    silent, without, heard = trained(error_rate, 1e5), trained(error_rate, 0), trained(residual, 1e5)
print(f"penalty after 20 steps: {silent.history[-1].value:.0e} (error rate), {heard.history[-1].value:.0e} (ours)")
assert np.array_equal(silent.theta, without.theta) and not np.array_equal(heard.theta, without.theta)

# %% [markdown]
# ### Exercise 9.1: a penalty on confidence
#
# A network that is surer of itself than it is right has a gap: its mean confidence minus its accuracy. Write the penalty that makes this gap the
# same in all domains. (The accuracy in it has no slope, but the confidence has one.)


# %%
def confidence_gap(model, theta, domains):
    """The variance over domains of mean confidence minus accuracy, -> ()."""
    ...


exercise("confidence_gap", confidence_gap)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def confidence_gap(model, theta, domains):
    def gap(model, theta, x, y):
        p = 1 / (1 + np.exp(-model.logits(theta, x)[:, 0]))
        return np.mean(np.abs(p - 0.5) + 0.5) - np.mean((p > 0.5) == y)

    return even(statistics(gap, model, theta, domains))


feedback = exercise("confidence_gap", confidence_gap)
assert feedback.passed and complaint(checks.check_penalty, confidence_gap) is None
feedback

# %% [markdown]
# ## An update by hand
#
# Not every method is a penalty. In general a method is a pair of pure functions,
#
# $$\text{init}(\theta) \to \text{state}, \qquad \text{update}(\theta, \text{state}, \text{domains}) \to (\theta, \text{state}, \text{info}).$$
#
# The state is whatever has to be remembered. Start with momentum, in haste.
#
# **Guess first.** Which promise does this break?

# %%
from minifishr import domain_gradients


def hasty(model, *, convention="paper", lr=0.1):
    def update(theta, velocity, domains):
        R, g = domain_gradients(model, theta, domains)
        velocity[0][:] = 0.9 * velocity[0] - lr * g.mean(axis=0)
        return theta + velocity[0], velocity, {"risk": float(R.mean())}

    return Algorithm("hasty", lambda theta: (np.zeros_like(theta),), update)


print(complaint(checks.check_algorithm, hasty))
assert "update modifies nothing" in complaint(checks.check_algorithm, hasty)


# %% [markdown]
# `velocity[0][:] = ...` changes the array that the caller holds. A step that is repeated, a comparison from the same start, a checkpoint: each would get
# other numbers. A pure update makes a new array.
#
# ### Exercise 9.2: pure momentum
#
# Gradient descent with momentum on $\lVert \theta \rVert^2 / 2$, whose gradient is $\theta$. Return every position, the start included. Whoever modifies
# an array in place gets the last position many times.


# %%
def ball_path(theta, lr, momentum, steps):
    """velocity <- momentum * velocity - lr * theta; theta <- theta + velocity; -> (steps + 1, d)."""
    ...


exercise("ball_path", ball_path)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def ball_path(theta, lr, momentum, steps):
    path, velocity = [theta], 0
    for _ in range(steps):
        velocity = momentum * velocity - lr * path[-1]
        path.append(path[-1] + velocity)
    return np.stack(path)


feedback = exercise("ball_path", ball_path)
assert feedback.passed
feedback

# %% [markdown]
# ## A state of one's own
#
# GroupDRO keeps a weight $q_e$ for each domain, and shifts it to domains with a large risk: $q_e \leftarrow q_e\, e^{\eta R_e}$, normalized. Then it
# descends $\sum_e q_e R_e$. The weights are its state, beside Adam's. Before the first update nobody knows the number of domains, so they start empty.

# %%
from minifishr.optimizers import adam


def group_dro(model, *, convention="paper", lr=0.003, eta=0.1):
    optimizer = adam(lr)

    def update(theta, state, domains):
        R, g = domain_gradients(model, theta, domains)
        q = (state[0] if state[0].size else np.ones_like(R)) * np.exp(eta * R)
        theta, inner = optimizer.update(theta, (q / q.sum()) @ g, state[1])
        return theta, (q / q.sum(), inner), {"risk": float(R.mean())}

    return Algorithm("my_dro", lambda theta: (theta[:0], optimizer.init(theta)), update)


# %%
checks.check_algorithm(group_dro)
dro, start = group_dro(model), (theta, group_dro(model).init(theta))
_, state, _ = dro.update(*dro.update(*start, task.train)[:2], task.train)
print("weights after two updates", state[0].round(4))
assert np.isclose(state[0].sum(), 1) and state[0].shape == (2,)

# %% [markdown]
# ### Exercise 9.3: a factory of your own
#
# Descend the mean of the squared risks. It is a relative of V-REx, without a penalty weight:
#
# $$\frac1m \sum_e R_e^2 = \left(\frac1m \sum_e R_e\right)^2 + \operatorname{Var}_e R_e.$$
#
# Write the factory: plain gradient descent, `theta - lr * gradient`, no state (`()`), and `{"risk": ...}` as info. `risks(model, theta, domains)` are
# the $m$ risks, differentiable in $\theta$.


# %%
from autograd import value_and_grad

from minifishr import risks


def squares(model, *, convention="paper", lr=0.1):
    """An Algorithm that descends the mean over domains of the squared risk."""
    ...


def one_update(factory):
    return lambda model, theta, domains: factory(model) and factory(model).update(theta, (), domains)[0]


exercise("squared_risks", one_update(squares))


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def squares(model, *, convention="paper", lr=0.1):
    def update(theta, state, domains):
        _, gradient = value_and_grad(lambda t: np.mean(risks(model, t, domains) ** 2))(theta)
        return theta - lr * gradient, state, {"risk": float(np.mean(risks(model, theta, domains)))}

    return Algorithm("squares", lambda theta: (), update)


feedback = exercise("squared_risks", one_update(squares))
assert feedback.passed and complaint(checks.check_algorithm, squares) is None
feedback

# %% [markdown]
# ## A row in the table
#
# `plan` makes one configuration for each method and seed, `compare` runs them, `table` prints what came out. A method of one's own is one more
# entry in the dictionary of factories. V-REx, Fishr and ours share penalty weight and warm-up. That setting is the one of three in which the methods
# could be told apart best, and the test domain was in sight: so the table shows how to compare, not which method is better. A fair comparison takes
# a search for each method, by a rule that does not look at the test domain (lesson 8).

# %%
from minifishr.experiments import accuracies, by_method, compare, plan, problem, table

methods, mine = ["erm", "vrex", "fishr"], {"evenness": evenness, "my_dro": group_dro, "squares": squares}
changes = [(None, "lr", 0.003), ("squares", "lr", 0.1)]
changes += [(n, key, v) for n in ("vrex", "fishr") for key, v in (("penalty_weight", 1e5), ("warm_up", 50))]
configs = plan("quick", [*methods, *mine], seeds=[0] if SHORT else [0, 1], changes=changes, steps=steps)
configs = [config._replace(count=count, hidden=[64]) for config in configs]
results = list(compare(configs, digits, ALGORITHMS | mine))


# %%
print(f"{task.name}, accuracy in percent after {steps} steps, nothing selected")
print(table(results, problem(configs[0], digits), seconds=False))
ends = {name: group[0].theta for name, group in by_method(results).items()}
gaps = {name: 100 * np.ptp([residual(model, end, d.x, d.y) for d in task.train]) for name, end in ends.items()}
assert gaps["evenness"] < 0.8 * gaps["erm"] and max(gaps["vrex"], gaps["my_dro"]) < gaps["erm"] / 2
assert max(accuracies(by_method(results)["my_dro"], ["-90%"])) < 35

# %%
looks = {name: plots.method_style(name, number) for number, name in enumerate(ends)}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for name, group in by_method(results).items():
    rows = [row for row in group[0].history if (row.domain, row.metric) == ("-90%", "accuracy")]
    axes[0].plot([row.step for row in rows], [100 * row.value for row in rows], label=name, **looks[name])
axes[0].set(xlabel="step", ylabel="accuracy on -90% in %", ylim=(0, 100), title=task.name)
axes[0].legend(fontsize=8, ncols=2)
plots.bars(axes[1], {"+80% against +90%": gaps}, looks, ylabel="difference of mean |p - y| in %", xlim=(-0.45, 0.8))
plt.show()

# %% [markdown]
# Ours makes $\phi$ more equal than ERM does, as it was asked to. V-REx makes it equal too, without having been asked: a predictor that does not look at
# the color has the same risk, the same $\phi$ and the same gradients in all domains. But the reverse does not hold. GroupDRO makes $\phi$ more equal by
# working harder on the harder domain, and still follows the color, as its accuracy on `-90%` shows. An equal statistic is necessary for invariance,
# not sufficient, and a statistic is worth as much as the ways around it are few. (`squares` takes plain gradient steps, which are slow here.)
#
# ## Your own arrays
#
# An `.npz` file with two arrays for each domain, `x_NAME` $(n, \ldots)$ and `y_NAME` $(n,)$, is a data set. Ours has three domains and three inputs: two
# noisy ones that always mean the same, and a sharp one that agrees with the label in 95 %, 80 % and 10 % of the rows.


# %%
from minifishr import load_npz


def pair(name, agreement, n=1_000):
    rng = stream(0, name)
    side = rng.choice([-1, 1], n)
    sharp = np.where(rng.random(n) < agreement, side, -side) + 0.3 * rng.normal(size=n)
    noisy = side + 1.5 * rng.normal(size=(2, n))
    return {f"x_{name}": np.stack([*noisy, sharp], axis=1), f"y_{name}": (side + 1) // 2}


with tempfile.TemporaryDirectory() as folder:
    np.savez(f"{folder}/mine.npz", **pair("north", 0.95), **pair("south", 0.8), **pair("west", 0.1))
    own = load_npz(f"{folder}/mine.npz", np.float32)

# %% [markdown]
# **Guess first.** Leave each domain out in turn. For which one is ERM much worse than the others, and why only for this one?

# %%
tests, chosen = {}, ["erm", "vrex", "evenness"]
changes = [(None, "lr", 0.01), *((n, "penalty_weight", 1e3) for n in chosen[1:]), ("vrex", "warm_up", 50)]
for left in [d.name for d in own]:
    configs = plan("quick", chosen, dataset="own", test_domain=left, changes=changes, steps=200, hidden=[16])
    results = list(compare(configs, own, ALGORITHMS | mine))
    tests[f"tested on {left}"] = {name: accuracies(group, [left])[0] for name, group in by_method(results).items()}
assert tests["tested on west"]["vrex"] > tests["tested on west"]["erm"] + 10
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
plots.bars(ax, tests, looks, ylabel="accuracy in %", title="the domain left out in training", ylim=(0, 118))
plt.show()

# %% [markdown]
# Without the north or without the south, the sharp input is right in one training domain and wrong in the other. It is useless on average, and ERM
# leaves it alone. Without the west it is right in both: that is where invariance has something to say, because it is not *equally* right.
#
# ## Break it: bad files
#
# Nothing is guessed and nothing is unpickled. A file that cannot be a data set is refused, with the name of the array.


# %%
def told(**arrays):
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/mine.npz", **arrays)
        try:
            load_npz(f"{folder}/mine.npz")
        except ValueError as error:
            print("-", str(error).replace(folder, "").lstrip("/\\"))
            return True


good = {"x_a": np.ones((3, 2)), "y_a": np.array([0, 1, 1])}


# %%
assert told(**good, x_b=np.ones((3, 2)))
assert told(**good, x_b=np.ones((2, 2)), y_b=np.array([0, 1, 1]))
assert told(**good, x_b=np.ones((3, 5)), y_b=np.array([0, 1, 1]))
assert told(x_a=np.array([[1, np.nan]]), y_a=np.array([0]))
assert told(x_a=np.ones((2, 2)), y_a=np.array(["cat", "dog"]))
assert told(x_a=np.ones((2, 2)), y_a=np.array([0.5, 1]))
assert not told(**good)

# %% [markdown]
# ## A table of one's own
#
# The birds of three islands, by species: a real table in a package of its own, which `pip install --no-deps palmerpenguins` brings. `read_table` takes
# `.csv` and `.tsv`; with `standardized` no unit decides. Chinstraps live on Dream alone. **Guess first:** who recognizes them when Dream is left out?

# %%
import importlib.metadata
from pathlib import Path

from minifishr.data import read_table

package = next((d for d in importlib.metadata.distributions() if d.name == "palmerpenguins"), None)
for path in [f.locate() for f in package.files if f.name == "penguins.csv"] if package else []:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "birds.csv").write_text("\n".join(s for s in path.read_text().splitlines() if ",NA,NA" not in s))
        birds = read_table(f"{folder}/birds.csv", "species", "island", ["sex", "year"])
    configs = plan("quick", ["erm", "vrex"], dataset="own", test_domain="Dream", steps=200, standardized=True)
    print(table(list(compare(configs, birds)), problem(configs[0], birds), seconds=False))

# %% [markdown]
# Nobody: in training there are none. A class that one domain has alone cannot be learned without it, whatever the method. The command line says so, writes
# the models and predicts with them; [the page on your own data](../docs/your_own_data.md) goes on from here, also with scikit-learn.

# %% [markdown]
# ## Three questions
#
# 1. $\phi$ could be equal in all domains by being bad everywhere. What keeps the method from that, and what happens to this with a growing penalty
#    weight?
# 2. The contract demands that the order of domains does not matter. Which methods of this package break that on purpose, and why?
# 3. Your method is better than ERM on `-90%`, with one setting and one seed. Which three things do you do before you tell anybody?
#
# ## Read on
#
# - Equal risks: Krueger et al. 2021, *Out-of-Distribution Generalization via Risk Extrapolation*,
#   [arXiv:2003.00688](https://arxiv.org/abs/2003.00688).
# - GroupDRO: Sagawa et al. 2020, *Distributionally Robust Neural Networks for Group Shifts*,
#   [arXiv:1911.08731](https://arxiv.org/abs/1911.08731).
# - What a fair comparison takes: Gulrajani and Lopez-Paz 2020, *In Search of Lost Domain Generalization*,
#   [arXiv:2007.01434](https://arxiv.org/abs/2007.01434). That is lesson 8.
