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
# # Lesson 12. What a compiler does
#
# *What does a compiler do with a training step, and what must one not hide from it?*
#
# After this lesson you can
#
# - record a training step in thirty lines of Python, and replay it with the same bits;
# - say where the time of a small step goes, and where that of a large one;
# - write three passes of a compiler: unused lines, repeated lines, last uses;
# - say what becomes of labels, weights and shapes that are not inputs.
#
# About 60 minutes. Read beside it: `minifishr/replay.py`. You need lessons 1 and 6.

# %%
try:
    import minifishr
except ImportError:  # on Colab, say
    import subprocess
    import sys
    from pathlib import Path

    source = ".." if Path("../pyproject.toml").exists() else "minifishr"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        f"{source}[notebooks]",
    ]
    subprocess.run(command, check=True)

# %%
import os
import time
import timeit

import autograd.numpy as anp
import matplotlib.pyplot as plt
import numpy as np
from autograd import grad
from autograd.tracer import Node, new_box, trace_stack

from minifishr import MLP, Domain, colored_mnist, load_digits, minibatches, plots
from minifishr.algorithms import fishr
from minifishr.course import exercise
from minifishr.losses import risk, risks
from minifishr.replay import Refused, replayed
from minifishr.train import keep_heap

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## A picture
#
# One step of Fishr needs the gradient of the mean risk and of the penalty. `autograd` builds the graph of
# that computation anew at every step, although it is the same graph every time. This package *traces* the
# first step, keeps the list of what has to be computed, and *replays* the list from then on.


# %%
def objective(theta, x_1, y_1, x_2, y_2):
    """The gradient of the mean risk plus 100 times Fishr's penalty, (d,)."""
    domains = [Domain("one", x_1, y_1), Domain("two", x_2, y_2)]

    def J(t):
        mean = sum(risk(net, t, d.x, d.y) for d in domains) / 2
        return mean + 100.0 * fishr.penalty(net, t, domains)

    return grad(J)(theta)


# %%
def inputs(n):
    """Parameters, and random rows and labels of two domains."""
    x = [rng.random((n, 392), dtype=np.float32) for _ in range(2)]
    y = [rng.integers(0, 2, n) for _ in range(2)]
    return [theta, x[0], y[0], x[1], y[1]]


rng, net = np.random.default_rng(0), MLP((392, 64, 64, 1))
theta = net.init(rng, np.float32)
keep_heap()  # or the system takes and gives the memory of large arrays all the time

# %% [markdown]
# We measure the processor's time, and take the least of some calls: what else runs on the machine can only add to it.
#
# **Guess first.** How many times as long does a traced step take as a replayed one, with 16 rows a domain? And with
# 1 024?


# %%
def milliseconds(function, *arrays):
    call = lambda: function(*arrays)  # noqa: E731
    options = {"timer": time.process_time, "number": 1, "repeat": 8 if SHORT else 40}
    return 1_000 * min(timeit.repeat(call, **options))


sizes, took, fast = (
    (16, 64, 256, 1_024),
    {"traced": [], "replayed": []},
    replayed(objective),
)
for batch in map(inputs, sizes):
    assert np.array_equal(fast(*batch), fast(*batch))  # the first call records
    took["traced"].append(milliseconds(objective, *batch))
    took["replayed"].append(milliseconds(fast, *batch))
# %%
fig, ax = plt.subplots(figsize=(4.4, 2.9), layout="constrained")
labels = {"xlabel": "rows a domain", "ylabel": "milliseconds a step"}
plots.lines(ax, sizes, took, **labels, xscale="log", yscale="log")
plt.show()
ratios = np.divide(*took.values())
print("traced / replayed:", dict(zip(sizes, ratios.round(1).tolist(), strict=True)))
assert ratios[0] > 2 and ratios[-1] < 0.75 * ratios[0]

# %% [markdown]
# Tracing costs about the same whatever the number of rows: Python looks at each call once, and never at the numbers.
# So it weighs on small batches, as DomainBed's are, and much less on full ones.
#
# ## Record
#
# In `autograd`, a function that can be differentiated is a *primitive*. When it meets a *box* among its arguments,
# it takes the value out of the box, calls the raw function of NumPy, and puts the result into a new box, together with a
# *node*: which function it was, with which arguments, and the nodes of those that were boxes. `grad` has nodes of its
# own, through which it walks back.
#
# Ours only write down the call. For the arguments that came in boxes, the entry says from which *slot*: the number
# of an earlier entry, or of an input. The inputs are the first slots.


# %%
class Entry(Node):
    def __init__(self, value, fun, args, kwargs, argnums, parents):
        slots = {i: p.slot for i, p in zip(argnums, parents, strict=True)}
        self.initialize_root(parents[0].tape, (fun.fun, args, kwargs, slots))

    def initialize_root(self, tape, call=None):  # an input has no call
        self.tape, self.slot = tape, len(tape)
        tape.append(call)


# %% [markdown]
# **Guess first.** What is written down for the gradient of $\sum_i z_i^3$: the sum, the gradient, or both?


# %%
def record(function, inputs):
    tape = []
    with trace_stack.new_trace() as trace:
        boxes = [new_box(x, trace, Entry.new_root(tape)) for x in inputs]
        return tape, function(*boxes)._node.slot


cubes = grad(lambda z: anp.sum(z**3))
tape, output = record(cubes, [np.array([1.0, 2.0])])
for slot, (fun, args, _, slots) in list(enumerate(tape))[1:]:
    words = [f"v{slots[i]}" if i in slots else str(a) for i, a in enumerate(args)]
    print(f"v{slot} = {fun.__name__}({', '.join(words)})")
assert [call[0].__name__ for call in tape[1:]].count("power") == 2

# %% [markdown]
# Both. The values in `grad`'s boxes are boxes of ours, so what the way back computes is written down too. The recording
# of a derivative is a recording.
#
# ### Exercise 12.1: replay
#
# A tape, and new values for the inputs. In `args`, the places that belong to a slot still hold the values of the
# recording: do not use them.


# %%
def replay(tape, inputs):
    """The value of every slot, a list; tape[slot] = (fun, args, kwargs, slots)."""
    ...


exercise("replay", replay)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def replay(tape, inputs):
    values = list(inputs)
    for fun, args, kwargs, slots in tape[len(inputs) :]:
        args = [values[slots[i]] if i in slots else a for i, a in enumerate(args)]
        values.append(fun(*args, **kwargs))
    return values


feedback = exercise("replay", replay)
assert feedback.passed
feedback

# %% [markdown]
# Now Fishr: recorded with one batch, replayed with another.

# %%
tape, output = record(objective, inputs(64))
batch = inputs(64)
traced = objective(*batch)
print(f"{len(tape)} slots, of which {tape.count(None)} are inputs")
assert replay(tape, batch)[output].tobytes() == traced.tobytes()  # the same bits
assert not np.array_equal(objective(*inputs(64)), traced)  # it does depend on the batch
assert tape[:5] == [None] * 5 and output == len(tape) - 1

# %% [markdown]
# The bits are the same because the same functions of NumPy meet the same arguments in the same order. Nothing was
# approximated, and nothing rewritten.
#
# ## Two passes
#
# A compiler reads such a list several times, and makes it better each time. Such a reading is called a *pass*. Two of
# them need nothing but the numbers of the slots.
#
# **What is not needed goes.** The gradient of $\sum z_i^3$ needs no sum.
#
# ### Exercise 12.2: what the output needs


# %%
def needed(uses, output):
    """uses[slot]: the slots it is computed from -> (slots,) of booleans."""
    ...


exercise("needed", needed)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def needed(uses, output):
    found = np.zeros(len(uses), bool)
    found[output] = True
    for slot in reversed(range(len(uses))):
        if found[slot]:
            found[list(uses[slot])] = True
    return found


feedback = exercise("needed", needed)
assert feedback.passed
feedback

# %% [markdown]
# **What was used goes too.** `replay` keeps every value to the end. After its last use a value's memory can be given
# to the next one, and it lies in the processor's cache already.
#
# ### Exercise 12.3: when a value may go


# %%
def last_uses(uses, output):
    """The last slot computed from each; itself if none; len(uses) for the output."""
    ...


exercise("last_uses", last_uses)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def last_uses(uses, output):
    last = np.arange(len(uses))
    for slot, used in enumerate(uses):
        last[list(used)] = slot
    last[output] = len(uses)
    return last


feedback = exercise("last_uses", last_uses)
assert feedback.passed
feedback

# %% [markdown]
# **Guess first.** How many of the values must be there at once, at most?

# %%
uses = [tuple(call[3].values()) if call else () for call in tape]
keep, slots = needed(uses, output), np.arange(len(tape))
nothing = (lambda: None, (), {}, {})  # an entry that does nothing
kept = [call if k or not call else nothing for call, k in zip(tape, keep, strict=True)]
assert replay(kept, batch)[output].tobytes() == traced.tobytes()
last = last_uses(
    [used if k else () for used, k in zip(uses, keep, strict=True)], output
)
alive = [np.sum(keep & (slots <= now) & (now <= last)) for now in slots]
print(f"{len(tape)} slots, {keep.sum()} needed, at most {max(alive)} at once")
assert keep.sum() < len(tape) and max(alive) < len(tape) / 4

# %% [markdown]
# `Entry`, `record`, `replay` and `needed` are less than thirty lines. The package's `replay.py` does the same with more
# care. It also merges entries that are repeated, writes the list down as the source of a Python function, and refuses what
# would be wrong: see below.
#
# ## Where the time goes
#
# Each call is timed on its own. The rest of a traced step is Python's: boxes, nodes, and the search for the way back.
#
# **Guess first.** Which share of a traced step are the matrix products, with 16 rows and with 1 024?


# %%
def call_times(tape, inputs):
    values, took = list(inputs), []
    for fun, args, kwargs, slots in tape[len(inputs) :]:
        args = [values[slots[i]] if i in slots else a for i, a in enumerate(args)]
        start = time.perf_counter()
        values.append(fun(*args, **kwargs))
        took.append(1_000 * (time.perf_counter() - start))
    return np.array(took)


# %%
shares, products = {}, ("affine", "cross", "matmul", "layer_sums")
is_product = np.array([call[0].__name__ in products for call in tape[5:]])
for n in (16, 1_024):
    batch = inputs(n)
    recorded, _ = record(objective, batch)
    times = np.min([call_times(recorded, batch) for _ in range(7)], axis=0)
    whole = milliseconds(objective, *batch)
    parts = {
        "products": times[is_product].sum(),
        "other calls": times[~is_product].sum(),
    }
    parts["tracing"] = whole - sum(parts.values())
    shares[f"{n} rows"] = {name: 100 * part / whole for name, part in parts.items()}
# %%
fig, ax = plt.subplots(figsize=(4.4, 2.9), layout="constrained")
plots.bars(ax, shares, ylabel="% of a traced step", ylim=(0, 100))
plt.show()
small, large = shares.values()
print(f"{is_product.sum()} products and {np.sum(~is_product)} other calls")
assert small["tracing"] > 40 > large["tracing"]
assert large["products"] > 2 * small["products"] and np.mean(is_product) < 0.15

# %% [markdown]
# A small step is bookkeeping, a large one is products. Replaying removes the bookkeeping. It cannot make a product
# faster. A compiler like XLA, which stands behind JAX's `jit`, goes on where we stop: it merges elementwise calls
# into one loop (*fusion*), so that an array is read and written once instead of once a call, and translates that loop
# for the processor. If it changes the order of a sum on the way, the last bits differ.
#
# ## What must be an input
#
# The tape holds what came in through boxes as slots, and everything else as it was at the recording. **Guess first.**
# The function below takes the labels from outside. It is recorded with the first batch. How does a training with that
# recording go?


# %%
def labels_outside(theta, x_1, x_2):
    return objective(theta, x_1, now[0].y, x_2, now[1].y)


task = colored_mnist(load_digits(), count=2_000, test_count=100, dtype=np.float32)
batches, steps = minibatches(task.train, 64), 60 if SHORT else 200
net, now = MLP((392, 32, 1)), batches(0)
begin = net.init(np.random.default_rng(0), np.float32)
seen, g = record(objective, [begin, now[0].x, now[0].y, now[1].x, now[1].y])
hidden, h = record(labels_outside, [begin, now[0].x, now[1].x])


# %%
def trained(gradient):
    theta, curve = begin, []
    for step in range(steps):
        curve.append(risks(net, theta, task.train).mean())
        theta = theta - 0.1 * gradient(theta, *batches(step))
    return theta, curve


GRADIENTS = {"traced": lambda t, a, b: objective(t, a.x, a.y, b.x, b.y)}
GRADIENTS["labels as inputs"] = lambda t, a, b: replay(seen, [t, a.x, a.y, b.x, b.y])[g]
GRADIENTS["labels outside"] = lambda t, a, b: replay(hidden, [t, a.x, b.x])[h]
# %%
ends = {name: trained(gradient) for name, gradient in GRADIENTS.items()}
curves = {name: ends[name][1] for name in ("labels as inputs", "labels outside")}
fig, ax = plt.subplots(figsize=(4.4, 2.9), layout="constrained")
looks = {"labels as inputs": {"color": "#0072B2"}}
looks["labels outside"] = {"color": "#D55E00", "linestyle": "--"}
plots.lines(ax, range(steps), curves, looks, xlabel="step", ylabel="training risk")
plt.show()
assert ends["traced"][0].tobytes() == ends["labels as inputs"][0].tobytes()
assert curves["labels as inputs"][-1] < 0.6 < 0.67 < curves["labels outside"][-1] < 0.72

# %% [markdown]
# With the labels as inputs the whole training has the bits of the traced one. With the labels outside nothing fails: every
# batch of images is trained on the labels of the *first* batch. No error, no warning, and a risk near
# $\log 2 \approx 0.69$, as if the labels were noise, which they are.
#
# Labels hide well, because many losses use them in plain NumPy, as in `z[np.arange(n), y]`. An index is no
# number that a derivative needs, so no box ever sees it. The way out is to turn labels into numbers before the recording: the
# logistic loss is $\log(1 + e^{t z})$ with $t = 1 - 2y$, and the cross-entropy of $k$ logits is
# $\log \sum_c e^{z_c} - \sum_c t_c z_c$ with $t$ a row of the identity.
#
# ### Exercise 12.4: labels as numbers


# %%
def label_targets(y, k):
    """(n,) -> (n,1) for k = 1 logit, (n,k) for more; y may have any integer dtype."""
    ...


exercise("label_targets", label_targets)


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution"]
# @title Solution
def label_targets(y, k):
    if k == 1:
        return 1 - 2 * y.astype(float)[:, None]
    return (y[:, None] == np.arange(k)).astype(float)


feedback = exercise("label_targets", label_targets)
assert feedback.passed
feedback

# %% [markdown]
# ## Break it
#
# A number of rows is not an input either: it is in the shapes. And the penalty weight, which jumps at the end of
# Fishr's warm-up, is one only if we make it one. **Guess first.** A mean over rows is recorded with 64 of them and
# replayed with 32. What comes out?

# %%
tape, mean = record(lambda z: anp.sum(z) / len(z), [np.ones(64)])
assert replay(tape, [np.ones(32)])[mean] == 0.5  # the mean of ones
weight = 1.0
tape, weighted = record(lambda z: weight * z, [np.ones(2)])
weight = 91_257.0
assert np.array_equal(replay(tape, [np.ones(2)])[weighted], [1, 1])  # the warm-up's

# %% [markdown]
# Half the mean, and the weight of the warm-up for ever. So a recording belongs to the shapes that it was made with,
# and whatever changes from step to step must be an input. The package records once for each combination of shapes and
# dtypes, and does its second call both ways:

# %%
guarded, message = replayed(labels_outside), "nothing noticed"
guarded(begin, now[0].x, now[1].x)
now = batches(1)
try:
    guarded(begin, now[0].x, now[1].x)
except Refused as refused:
    message = str(refused)
print(message)
assert "changes with something that is not an input" in message

# %% [markdown]
# The check costs one traced step. It cannot find everything: a weight that changes at step 190 is the same in the first two
# calls. That is why penalty weights are inputs in this package.
#
# ## Three questions
#
# 1. The step's number decides whether Adam is made anew, in a Python `if`. What becomes of it in a recording, and where should it stand?
# 2. Two entries of a tape have the same function and the same slots. When may one of them go? When not?
# 3. A random mask is drawn inside the recorded function (dropout, say). What does the replay do, and what must become an input?
#
# ## Read on
#
# - How reverse mode works, and what a tape is: Baydin et al. 2015, *Automatic Differentiation in Machine Learning: a Survey*,
#   [arXiv:1502.05767](https://arxiv.org/abs/1502.05767).
# - What a compiler for arrays merges, measured: Snider and Liang 2023, *Operator Fusion in XLA: Analysis and Evaluation*,
#   [arXiv:2301.13062](https://arxiv.org/abs/2301.13062).
# - The same traps in a large library: JAX's manual on
#   [just-in-time compilation](https://docs.jax.dev/en/latest/jit-compilation.html).
