# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 1. A network from scratch, and its gradient
#
# *What is a network, and what is its gradient?*
#
# After this lesson you can
#
# - write a network, its loss and its risk as functions of one vector $\theta$;
# - write a loss that is right at every logit, and say where the textbook formula breaks;
# - derive the reverse pass of a layer, and say what autograd records;
# - check a gradient with finite differences, with the right step, and say which mistakes such a check cannot see.
#
# About 60 minutes. Read beside it: `minifishr/mlp.py` and `minifishr/losses.py`. No other lesson is needed first. Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import os

import autograd.numpy as np
import numpy as onp  # for constants, as in the package
from autograd import core, grad, tracer, value_and_grad

from minifishr import MLP, Domain, accuracy, checks, per_sample_losses, plots, risk
from minifishr.course import exercise, figure, panels, passed, recall, reveal, solution
from minifishr.gradients import mean_gradient
from minifishr.losses import losses, sigmoid

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Before you begin
#
# Three questions of recall, from lesson 0. Write a number, or a letter in quotes, in the place of the dots.
#
# 1. ERM sees the domains +80% and +90% with equally many rows. In what percentage of all these rows is the rule "the label is the color" right?
# 2. In a domain 25 % of the labels are noise, and the color is the label in 90 % of the rows. How much better than the color alone is the best
#    predictor that sees color and shape? a) not at all; b) 5 points; c) 15 points.
# 3. What shows that a network answers by the color? a) a low accuracy in the test domain; b) its accuracy on held-out rows of the training domains;
#    c) its answers change when the color is changed and nothing else.

# %%
recall(1, ..., ..., ...)

# %% [markdown]
# ## A picture
#
# Two inputs, two labels, two arcs that no straight line can separate. A network with one hidden layer of 16 units and random parameters already gives every
# point of the plane a probability $p$ of label 1.
#
# **Guess first.** Walk along the horizontal line $x_2 = 0$. How does the logit change on the way: smoothly, in steps, or in straight pieces?

# %%
rng, n = onp.random.default_rng(0), 200
y, t = onp.arange(n) % 2, onp.pi * rng.random(n)
arcs = onp.stack([onp.cos(t), onp.sin(t)], axis=1) * (1 - 2 * y)[:, None]
x = arcs + onp.stack([y - 0.5, y / 2 - 0.25], axis=1) + 0.15 * rng.normal(size=(n, 2))
model = MLP((2, 16, 1))
theta, line = 2 * model.init(rng), onp.linspace(-2, 2, 401)
theta[model.blocks["b1"]] = rng.normal(size=16)  # or all kinks go through the origin
z = model.logits(theta, onp.stack([line, 0 * line], axis=1))[:, 0]
kinks = onp.abs(onp.diff(z, 2)) > 1e-9
assert 0 < kinks.sum() <= 2 * 16  # a kink between two points counts twice


# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
def show(ax, theta):
    grid = onp.linspace(-2, 2, 61)
    points = onp.stack(onp.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    p = sigmoid(model.logits(theta, points)).reshape(61, 61)
    plots.contours(ax, grid, grid, p, onp.linspace(0, 1, 11))
    style = {"linestyle": "", "markersize": 3.5, "markeredgecolor": "#777777"}
    ax.plot(*x[y == 0].T, marker="o", color="black", **style)
    ax.plot(*x[y == 1].T, marker="s", color="white", **style)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")


fig, axes = panels(2, height=3.4)
show(axes[0], theta)
labels = {"xlabel": "$x_1$, with $x_2 = 0$", "ylabel": "logit"}
plots.lines(axes[1], line, {"logit": z}, {"logit": {}}, **labels)
alt = "Contours of p over the plane, and the logit along a line: straight pieces with "
figure(fig, alt + f"at most {kinks.sum()} kinks.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Straight pieces. Each unit is zero on one side of a straight line in the plane and linear on the other, so the logit has at most one kink a unit along the way.
# The contours above are those of $p$. Circles have label 0, squares label 1. Nothing is learned yet.
#
# </details>
#
# ## All parameters are one vector
#
# Layer $l$ has a matrix $W_l$ and a vector $b_l$. With $a_0 = x$,
#
# $$z_l = a_{l-1} W_l + b_l, \qquad a_l = \max(z_l, 0),$$
#
# and the last $z$, without the maximum, are the logits. All the numbers in all $W_l$ and $b_l$ are one vector $\theta \in \mathbb{R}^d$, in the order $W_1, b_1, W_2, b_2$, each
# matrix row by row. Then a risk is a function $R: \mathbb{R}^d \to \mathbb{R}$, its gradient is a vector as long as $\theta$, and an optimizer need not know
# what a layer is. The network by hand:

# %%
shapes = model.shapes
parts = {n: theta[block].reshape(shapes[n]) for n, block in model.blocks.items()}
print({name: part.shape for name, part in parts.items()}, "d =", model.d)
W1, b1, W2, b2 = parts.values()
by_hand = np.maximum(x @ W1 + b1, 0) @ W2 + b2
assert onp.allclose(by_hand, model.logits(theta, x)) and by_hand.shape == (n, 1)

# %% [markdown]
# ### Exercise 1.1: how long is theta?


# %%
def parameter_count(sizes):
    """The widths of the layers, (layers + 1,) -> ()."""
    ...


exercise("parameter_count", parameter_count)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
parameter_count = passed("parameter_count")  # yours if it passed, else the solution
solution("parameter_count")

# %%
assert parameter_count(np.array([2, 16, 1])) == model.d == 65
assert parameter_count(np.array([392, 390, 390, 1])) == 306_151

# %% [markdown]
# The network here has 65 parameters. That of the Colored MNIST experiments, with two hidden layers of 390 units, has 306 151.
#
# ## A loss that is right everywhere
#
# One logit means $p = P(y = 1) = 1 / (1 + e^{-z})$. The loss of a sample is minus the log-probability of its label:
#
# $$\ell = -\log p = \log(1 + e^{-z}) \;\; (y = 1), \qquad \ell = -\log(1 - p) = \log(1 + e^{z}) \;\; (y = 0), \qquad \text{both:}\;\; \ell = \log(1 + e^z) - y z.$$
#
# Three ways to compute $\log(1 + e^z)$ are equal on paper. The third one takes the larger term out of the logarithm:
# $\log(1 + e^z) = \log\left(e^{\max(z, 0)} (e^{-\max(z, 0)} + e^{z - \max(z, 0)})\right) = \max(z, 0) + \log(1 + e^{-\lvert z \rvert})$.
#
# **Guess first.** From which logit on does $-\log(1 - p)$ fail in float64: about 4, 40, 400 or 4 000?

# %%
formulas = {
    "-log(1 - p)": lambda z: -onp.log(1 - 1 / (1 + onp.exp(-z))),
    "log(1 + exp(z))": lambda z: onp.log(1 + onp.exp(z)),
    "stable": lambda z: onp.maximum(z, 0) + onp.log1p(onp.exp(-abs(z))),
}


def three(z):
    with onp.errstate(all="ignore"):
        return [float(formula(onp.float64(z))) for formula in formulas.values()]


# %%
inf = onp.inf
assert onp.isfinite(three(36.7)).all() and three(36.8) == [inf, 36.8, 36.8]
assert three(700) == [inf, 700, 700] and three(710) == [inf, inf, 710]
assert three(-40)[:2] == [0, 0]
assert onp.isclose(three(-40)[2], onp.exp(-40.0), rtol=1e-12, atol=0)
p = 1 / (1 + onp.exp(-onp.array([36.73, 36.74])))
assert p[0] < 1 == p[1]  # e^-z is below half the distance from 1 to the next float


# %%
def off(formula, z):
    with onp.errstate(all="ignore"):
        error = abs(formula(z) / onp.logaddexp(0, z) - 1)
    return onp.clip(onp.nan_to_num(error, nan=1, posinf=1), 1e-17, 1)


# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
sizes, logs = onp.logspace(0, 3, 61), {"xscale": "log", "yscale": "log"}
fig, axes = panels(2, height=2.8)
sides = {"z > 0": sizes, "z < 0": -sizes[sizes < 700]}
for ax, (title, z) in zip(axes, sides.items(), strict=True):
    errors = {name: off(formula, z) for name, formula in formulas.items()}
    plots.lines(ax, abs(z), errors, title=title, xlabel="size of z", **logs)
    ax.set_ylabel("relative error, at most 1")
alt = (
    "Relative errors against the size of z. -log(1 - p) loses all digits at about 37, "
)
alt += "log(1 + exp(z)) at 710; for negative z both do at about -37; stable never does."
figure(fig, alt, guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# About 40. From $z = 36.74$ on the number $e^{-z}$ is smaller than half the distance from 1 to the next float64, so that $1 + e^{-z}$ is rounded to 1, $p$ is 1, and the loss is infinite. $\log(1 + e^z)$ lasts until
# $e^z$ overflows, after $z = 709$. On the other side both lose all digits of a small loss at $-40$: the loss is 0 where it should be $e^{-40}$. The third
# formula, *stable*, is right to the last digits everywhere (an error of 0 is drawn at $10^{-17}$). In float32 the same happens at about 17 and 88.
#
# </details>
#
# Training does reach such logits: one outlier, or one step that is too long. Then one infinite loss makes the risk infinite.
#
# ### Exercise 1.2: the stable loss
#
# Beware of the last subtraction: for $y = 1$ and $z = 40$, $\log(1 + e^z)$ and $y z$ are the same float64, and the loss is not 0.


# %%
def stable_loss(z, y):
    """log(1 + exp(z)) - y z for logits of any size, (n,), (n,) -> (n,)."""
    ...


exercise("stable_loss", stable_loss)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
stable_loss = passed("stable_loss")  # yours if it passed, else the solution
solution("stable_loss")


# %% [markdown]
# ## Softmax, for k classes
#
# With $k \ge 2$ logits $P(y = c) = e^{z_c} / \sum_j e^{z_j}$, and $\ell = \log \sum_j e^{z_j} - z_y$. A number added to all logits of a row changes nothing, so that only
# differences count. With $k = 2$ the loss equals the logistic loss of the one logit $z_1 - z_0$.

# %%
with onp.errstate(all="ignore"):
    assert onp.isinf(formulas["-log(1 - p)"](onp.float32(18)))
    assert onp.isinf(formulas["log(1 + exp(z))"](onp.float32(89)))
z, labels = rng.normal(size=(5, 2)), onp.array([0, 1, 1, 0, 1])
assert onp.allclose(losses(z, labels), losses(z[:, 1:] - z[:, :1], labels))
assert onp.allclose(losses(z + 700, labels), losses(z, labels))
assert onp.allclose(stable_loss(z[:, 0], labels), losses(z[:, :1], labels))
mean = onp.mean(per_sample_losses(model, theta, x, y))
assert onp.isclose(risk(model, theta, x, y), mean)

# %% [markdown]
# The last line is the *risk*: $R(\theta) = \frac1n \sum_i \ell_i$, the mean of the losses of a domain's $n$ samples.
#
# ### Exercise 1.3: where every reverse pass starts
#
# Differentiate $\log \sum_j e^{z_j} - z_y$ in each logit.


# %%
def softmax_delta(z, y):
    """The derivative of each sample's loss in its logits, (n,k), (n,) -> (n,k)."""
    ...


exercise("softmax_delta", softmax_delta)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
softmax_delta = passed("softmax_delta")  # yours if it passed, else the solution
solution("softmax_delta")


# %% [markdown]
# ## The reverse pass, by hand
#
# Probability minus truth: $\partial \ell / \partial z = p - y$ for one logit, too. From there the chain rule goes backward through the network. Write $\delta$ for the derivative of $R$ in
# the output $z = a W + b$ of a layer, $(n, \text{out})$. Each entry of $z$ is a sum, $z_{ij} = \sum_k a_{ik} W_{kj} + b_j$, so
#
# $$\frac{\partial R}{\partial W} = a^\top \delta, \qquad \frac{\partial R}{\partial b} = \sum_i \delta_i, \qquad \frac{\partial R}{\partial a} = \delta\, W^\top.$$
#
# A ReLU lets the derivative through where it was on: $\delta = \frac{\partial R}{\partial a} \cdot [z > 0]$ for $a = \max(z, 0)$, entry by entry. That is all.
#
# ### Exercise 1.4: one layer, backward


# %%
def backward(x, W, b, above):
    """The gradients of sum(relu(x W + b) * above) in x, W and b, as one vector."""
    ...


exercise("backward", backward)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
backward = passed("backward")  # yours if it passed, else the solution
solution("backward")


# %% [markdown]
# Two layers, with that function for the first one. The result is as long as $\theta$, and equals what autograd finds.

# %%
a = onp.maximum(x @ W1 + b1, 0)
delta = (sigmoid(a @ W2 + b2) - y[:, None]) / n
first = backward(x, W1, b1, delta @ W2.T)[x.size :]  # the gradient in x is not needed
g = onp.concatenate([first, (a.T @ delta).ravel(), delta.sum(axis=0)])
found = mean_gradient(model, theta, x, y)
assert g.shape == theta.shape and onp.allclose(g, found, rtol=1e-10, atol=1e-14)
assert onp.allclose(softmax_delta(onp.zeros((1, 2)), onp.array([1])), [[0.5, -0.5]])

# %% [markdown]
# ## What autograd records
#
# autograd does not look at your code. It calls your function once, with a *box* in the place of the number. Every primitive operation (`add`, `exp`, our `relu`) computes its value and leaves a node on a tape: who its
# parents are, and a function that takes the derivative in its result to the derivatives in its arguments, the *vector-Jacobian product*. Here the nodes also keep their name.


# %%
class Recorded(core.VJPNode):
    name, value = "t", 0.5  # of the first node, which no primitive made

    def __init__(self, value, function, *others):
        super().__init__(value, function, *others)
        self.name, self.value = function.__name__, value


def expression(t):
    return np.log(1 + np.exp(-3 * t)) + t**2


# %%
_, end = tracer.trace(Recorded.new_root(), expression, 0.5)
tape, slopes = list(tracer.toposort(end)), {end: 1.0}  # from the result back to t
for node in tape:
    for parent, part in zip(node.parents, node.vjp(slopes[node]), strict=True):
        slopes[parent] = slopes.get(parent, 0.0) + part  # t is used twice: parts add up
assert onp.isclose(slopes[tape[-1]], grad(expression)(0.5), rtol=1e-14)
print("forward ", *(f"{node.name} {node.value:.3f}" for node in tape[::-1]), sep="   ")
print("backward", *(f"{node.name} {slopes[node]:.3f}" for node in tape), sep="   ")

# %%
_, end = tracer.trace(Recorded.new_root(), lambda t: risk(model, t, x, y), theta)
names = [node.name for node in list(tracer.toposort(end))[::-1]]
print("the risk of the network:", *names)

# %% [markdown]
# The first line shows each value, the second one the derivative of the result in each value. The loop is the whole of reverse-mode differentiation. On the network's tape `unpack`
# cuts $\theta$ into blocks and `piece` picks one. There is one call backward for each call forward, however many parameters there are. That is why a gradient in all
# directions at once costs about as much as a few evaluations of the risk.
#
# ## Check a gradient
#
# The other way to a slope needs no derivation: move a little, and look. With a direction $u$,
#
# $$\frac{R(\theta + h u) - R(\theta)}{h} = \nabla R \cdot u + O(h), \qquad \frac{R(\theta + h u) - R(\theta - h u)}{2h} = \nabla R \cdot u + O(h^2).$$
#
# But the two risks are rounded, each with an error of about $10^{-16}$, and the division makes this $10^{-16} / h$.
#
# **Guess first.** Which $h$ is best for each of the two, and how many digits are then right?

# %%
h, u = onp.logspace(-14, -1, 53), rng.normal(size=model.d) / model.d**0.5
plus = onp.array([risk(model, theta + s * u, x, y) for s in h])
minus = onp.array([risk(model, theta - s * u, x, y) for s in h])
errors = {"forward": abs((plus - risk(model, theta, x, y)) / h - g @ u)}
errors["central"] = abs((plus - minus) / (2 * h) - g @ u)
ends = [(s, [theta + s * u, theta - s * u]) for s in h]
switch = next(s for s, pair in ends if not checks.same_pattern(model, pair, x))
assert errors["central"][35] < 1e-9 < errors["forward"][35]  # h = 6e-6
assert errors["forward"][24] < 1e-7  # h = 1e-8

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels(height=3.6)
guides = {"h": h, "h squared": h**2, "1e-16 / h": 1e-16 / h}
dashes = dict(zip(guides, ("--", ":", "-."), strict=True))
looks = {n: {"color": "#777777", "linestyle": s} for n, s in dashes.items()}
plots.lines(ax, h, errors | guides, looks, **logs).axvline(switch, c="k")
ax.set(xlabel="step h", ylabel="error", ylim=(1e-14, 1))
best = {name: h[error.argmin()] for name, error in errors.items()}
said = ", ".join(f"{name} is smallest at h = {s:.0e}" for name, s in best.items())
figure(fig, f"Both errors are a V in log-log axes: {said}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A V in both cases. The truncation error falls with $h$, the rounding error grows. They are equal at about $h = \sqrt{10^{-16}} = 10^{-8}$ for the forward difference, and at
# $h = \sqrt[3]{10^{-16}} \approx 5 \cdot 10^{-6}$ for the central one, which is then better by some digits. Right of the vertical line some ReLU switches between
# $\theta - h u$ and $\theta + h u$. There the risk has a kink, and $O(h^2)$ no longer holds.
#
# </details>
#
# ### Exercise 1.5: a gradient without derivatives


# %%
def numerical_gradient(model, theta, x, y):
    """The gradient of risk(model, theta, x, y) by central differences, -> (d,)."""
    ...


exercise("numerical_gradient", numerical_gradient)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
numerical_gradient = passed("numerical_gradient")  # yours, or else the solution
solution("numerical_gradient")

# %%
assert onp.allclose(numerical_gradient(model, theta, x, y), g, atol=1e-6)

# %% [markdown]
# It takes $2 d$ evaluations. So it is a check, and no way to train.
#
# ## Break it
#
# Two identities of `minifishr verify` concern this lesson: gradients are differences of losses, and the gradient of the last layer is "features times $p - y$". Now make one function 0.1 % too large,
# first the deltas, then the losses.
#
# **Guess first.** Which of the two checks notices which mistake?

# %%
names = [
    "per_sample_gradients_are_finite_differences",
    "classifier_gradient_is_features_times_residual",
]
assert all(verdict.passed for verdict in checks.verified(names=names))
noticed = {}
for part in ("taps", "losses"):  # the taps give the deltas
    with checks.broken(part):
        noticed[part] = [not found.passed for found in checks.verified(names=names)]
assert noticed == {"taps": [True, True], "losses": [False, True]}

# %%
reveal("wrong part: (differences notice, formula notices)", noticed)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A wrong loss has a right gradient: its own. Finite differences compare a gradient with the function *as it is written*. Whether that function is the one you meant needs a second derivation.
#
# </details>
#
# ### Where there is no slope
#
# At $z = 0$ the ReLU has a kink. Any number from 0 to 1 is a *subgradient* there; a convention has to pick one. Ours is 0. autograd's `maximum` takes 1/2, and so does a central difference.
# Does it matter? Biases start at 0, so that an image that is all black gives every unit exactly $z = 0$. And some mistakes of autograd's users are silent:
#
# | code | what happens | instead |
# |---|---|---|
# | `np.sum(t, where=mask)` | the gradient ignores the mask | multiply by the mask |
# | `np.var(t, correction=1)` | the gradient of `ddof=0` | `ddof=1` |
# | `np.linalg.norm(t) ** 2` at 0 | the gradient is NaN | `np.sum(t ** 2)` |
# | `np.log(1 + np.exp(t))` at 710 | the gradient is NaN | the stable formula |

# %%
relu, t = minifishr.mlp.relu, onp.array([3.0, 4.0, 6.0])
assert grad(relu)(0.0) == 0 and grad(lambda z: np.maximum(z, 0.0))(0.0) == 0.5
assert (relu(1e-5) - relu(-1e-5)) / 2e-5 == 0.5
black = mean_gradient(model, model.init(rng), onp.zeros((1, 2)), onp.array([1]))
assert onp.all(black[model.blocks["b1"]] == 0)  # with 1/2 it would not be

# %%
kept = onp.array([True, False, True])
assert grad(lambda t: np.sum(t, where=kept))(t).tolist() == [1, 1, 1]
assert grad(lambda t: np.sum(t * kept))(t).tolist() == [1, 0, 1]
ignored, right = grad(lambda t: np.var(t, correction=1)), grad(lambda t: np.var(t))
assert onp.allclose(ignored(t), right(t))
with onp.errstate(all="ignore"):
    assert onp.isnan(grad(lambda t: np.linalg.norm(t) ** 2)(0 * t)).all()
    assert onp.isnan(grad(lambda t: np.log(1 + np.exp(t)))(710.0))

# %% [markdown]
# ## Train it
#
# Gradient descent repeats $\theta \leftarrow \theta - \eta \nabla R(\theta)$, with the same step $\eta$ throughout.

# %%
steps, path, trained = 400 if SHORT else 3_000, [], theta
for _ in range(steps):
    value, slope = value_and_grad(lambda t: risk(model, t, x, y))(trained)
    path, trained = [*path, value], trained - 0.5 * slope
right = accuracy(model, trained, Domain("arcs", x, y))
assert right > 0.85 and path[-1] < path[0] / 2

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, axes = panels(2, height=3.4)
show(axes[0], trained)
labels = {"xlabel": "step", "ylabel": "risk", "yscale": "log"}
plots.lines(axes[1], range(1, steps + 1), {"risk": path}, {"risk": {}}, **labels)
alt = f"The border follows the arcs, {right:.0%} of the points are right; "
figure(fig, alt + f"the risk falls from {path[0]:.2f} to {path[-1]:.2g}.")

# %% [markdown]
# The border between dark and light follows the arcs. It is made of straight pieces.
#
# ## Three questions
#
# 1. A gradient check that crosses a kink fails although the gradient is right. How would you choose $h$, the data or $\theta$ so that this does not happen, or notice that it did?
# 2. Two hidden units start with equal weights and equal biases. What does gradient descent do with them, and why are weights random at the start?
# 3. The reverse pass needs the value of every node of the forward pass. What does that cost for a network with many layers, and what could be computed again instead of kept?
#
# <details><summary>Answers</summary>
#
# 1. Take random $\theta$ and data, so that no pre-activation is exactly 0, and a small $h$; and compare the pattern of active units at
#    $\theta - h u$, $\theta$ and $\theta + h u$: where it differs, draw again. `checks.same_pattern` does that. At two values of $h$ an error that does
#    not fall with $h^2$ is the other sign.
# 2. Both get the same gradient at every step, so they stay equal for ever: two units for the price of one. Random weights make them different.
# 3. All activations have to be kept, memory proportional to the depth times the rows. One can keep only every tenth layer, say, and compute the others
#    again on the way back, for about one more forward pass.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["hide-input"]
# The second answer in numbers: twins, with equal weights and equal biases.
twins = MLP((2, 2, 1))
start = twins.init(onp.random.default_rng(0))
start[twins.blocks["W1"]], start[twins.blocks["W2"]] = [0.3, 0.3, -0.7, -0.7], 0.5
apart = mean_gradient(twins, twins.init(onp.random.default_rng(0)), x, y)
g = mean_gradient(twins, start, x, y)[twins.blocks["W1"]].reshape(2, 2)
assert onp.array_equal(g[:, 0], g[:, 1]) and onp.all(g != 0)
own = apart[twins.blocks["W1"]].reshape(2, 2)
assert not onp.allclose(own[:, 0], own[:, 1])  # random weights

# %% [markdown]
# ## Read on
#
# - Reverse mode, tapes and their cost: Baydin, Pearlmutter, Radul and Siskind 2018, *Automatic Differentiation in Machine Learning: a Survey*, [arXiv:1502.05767](https://arxiv.org/abs/1502.05767).
# - ReLU networks as straight pieces: Montufar, Pascanu, Cho and Bengio 2014, *On the Number of Linear Regions of Deep Neural Networks*, [arXiv:1402.1869](https://arxiv.org/abs/1402.1869).
# - One gradient for each sample: lesson 2.
