# ---
# jupyter:
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
# - write two passes of a compiler: what is not needed, and what has been used for the last time;
# - say what becomes of labels, weights and shapes that are not inputs.
#
# About 60 minutes. Read beside it: `minifishr/replay.py`. You need lessons 1, 2 and 6.
# Words: [glossary](glossary.md).

# %%
try:
    import minifishr
except ImportError:
    how = "run pip install '.[notebooks]' in its folder and restart the kernel"
    raise ImportError(f"this Python has no minifishr: {how}") from None

# %%
import inspect
import os
import time
import timeit

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.tracer import Node, new_box, trace_stack

from minifishr import MLP, Domain, colored_mnist, load_digits, minibatches, plots
from minifishr.algorithms import fishr
from minifishr.course import (
    EXERCISES,
    exercise,
    figure,
    panels,
    passed,
    recall,
    reveal,
    solution,
)
from minifishr.losses import losses, risk, risks
from minifishr.replay import Refused, replayed
from minifishr.train import keep_heap

SHORT = "MINIFISHR_FAST" in os.environ  # smaller sizes, for the tests

# %% [markdown]
# ## Before you begin
#
# From lessons 2 and 6. Write a number, or a letter in quotes, in the place of the dots.
#
# 1. How many reverse passes does it take to get the gradients of all samples by taps?
# 2. DomainBed's Fishr keeps a memory of the variances, with ema 0.95. How many times a variance that stays the same does the memory tend to?
# 3. What weight has DomainBed's Fishr penalty before the warm-up ends? a) 0; b) 1; c) lambda.

# %%
recall(12, ..., ..., ...)

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


# %%
sizes, took = (16, 64, 256, 1_024), {"traced": [], "replayed": []}
fast = replayed(objective)
for batch in map(inputs, sizes):
    assert np.array_equal(fast(*batch), fast(*batch))  # the first call records
    took["traced"].append(milliseconds(objective, *batch))
    took["replayed"].append(milliseconds(fast, *batch))
# %%
ratios = np.divide(*took.values())  # times are this machine's: measured, not asserted

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
labels = {"xlabel": "rows a domain", "ylabel": "milliseconds a step"}
plots.lines(ax, sizes, took, **labels, xscale="log", yscale="log")
said = ", ".join(f"{n} rows: {r:.1f}" for n, r in zip(sizes, ratios, strict=True))
figure(fig, f"Time of a traced step over that of a replayed one, {said}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Tracing costs about the same whatever the number of rows: Python looks at each call once, and never at the numbers.
# So it weighs on small batches, as DomainBed's are, and much less on full ones.
#
# </details>
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


# %%
cubes = grad(lambda z: anp.sum(z**3))
tape, output = record(cubes, [np.array([1.0, 2.0])])
lines = []
for slot, (fun, args, _, slots) in list(enumerate(tape))[1:]:
    words = [f"v{slots[i]}" if i in slots else str(a) for i, a in enumerate(args)]
    lines.append(f"v{slot} = {fun.__name__}({', '.join(words)})")
assert [line.split()[2][:5] for line in lines].count("power") == 2
reveal(*lines)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Both. The values in `grad`'s boxes are boxes of ours, so what the way back computes is written down too. The recording
# of a derivative is a recording.
#
# </details>
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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
replay = passed("replay")  # yours if it passed, else the solution
solution("replay")

# %% [markdown]
# Now Fishr: recorded with one batch, replayed with another.

# %%
assert np.allclose(replay(tape, [np.array([3.0, 5.0])])[output], [27, 75])  # 3 z^2
tape, output = record(objective, inputs(64))
batch = inputs(64)
traced = objective(*batch)
print(f"{len(tape)} slots, of which {tape.count(None)} are inputs")
assert replay(tape, batch)[output].tobytes() == traced.tobytes()  # the same bits
assert not np.array_equal(objective(*inputs(64)), traced)  # it does depend on the batch
assert tape[:5] == [None] * 5

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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
needed = passed("needed")  # yours if it passed, else the solution
solution("needed")

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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
last_uses = passed("last_uses")  # yours if it passed, else the solution
solution("last_uses")

# %% [markdown]
# **Guess first.** How many of the values must be there at once, at most?

# %%
uses = [tuple(call[3].values()) if call else () for call in tape]
keep, slots = needed(uses, output), np.arange(len(tape))
nothing = (lambda: None, (), {}, {})  # an entry that does nothing
kept = [call if k or not call else nothing for call, k in zip(tape, keep, strict=True)]
assert replay(kept, batch)[output].tobytes() == traced.tobytes()
uses = [used if k else () for used, k in zip(uses, keep, strict=True)]
last = last_uses(uses, output)
alive = [np.sum(keep & (slots <= now) & (now <= last)) for now in slots]
assert keep.sum() < len(tape) and max(alive) < len(tape) / 4
reveal(f"{len(tape)} slots, {keep.sum()} needed, at most {max(alive)} at once")

# %% [markdown]
# `Entry`, `record`, `replay` and `needed` are less than thirty lines. The package's `replay.py` does the same with more
# care. It merges entries that are repeated, refuses what would be wrong (see below), and writes the list down as the source of a Python function,
# in which `del` lets a value go.

# %%
program, z = replayed(cubes), np.array([1.0, 2.0])
assert np.array_equal(program(z), program(z))  # recorded, then checked
(compiled,) = program.recordings.values()
print(compiled.source)
assert compiled.source.count(" = ") == 2 and compiled.source.count("del ") == 2
ours = [EXERCISES[name].expected for name in ("replay", "needed")]
ours += [Entry.__init__, Entry.initialize_root, record]
assert 1 + sum(len(inspect.getsource(part).splitlines()) for part in ours) < 30

# %% [markdown]
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
products, shares = ("affine", "cross", "matmul", "layer_sums"), {}
is_product = np.array([call[0].__name__ in products for call in tape[5:]])
for n in (16, 1_024):
    batch = inputs(n)
    recorded, _ = record(objective, batch)
    times = np.min([call_times(recorded, batch) for _ in range(30)], axis=0)
    whole = milliseconds(objective, *batch)
    parts = [times[is_product].sum(), times[~is_product].sum(), whole - times.sum()]
    parts = dict(zip(("products", "other calls", "tracing"), parts, strict=True))
    shares[f"{n} rows"] = {name: 100 * part / whole for name, part in parts.items()}
# %%
small, large = shares.values()
print(f"{is_product.sum()} products and {np.sum(~is_product)} other calls")
assert np.mean(is_product) < 0.15  # of the calls; the times are this machine's
assert len(record(objective, inputs(16))[0]) == len(tape)  # however many the rows are

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
plots.bars(ax, shares, ylabel="% of a traced step", ylim=(0, 100))
said = [
    f"{n}: {', '.join(f'{k} {v:.0f} %' for k, v in s.items())}"
    for n, s in shares.items()
]
figure(fig, "; ".join(said) + ".", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# A small step is bookkeeping, a large one is products. Replaying removes the bookkeeping. It cannot make a product
# faster. A compiler like XLA, which stands behind JAX's `jit`, goes on where we stop: it merges elementwise calls
# into one loop (*fusion*), so that an array is read and written once instead of once a call, and translates that loop
# for the processor. If it changes the order of a sum on the way, the last bits differ.
#
# </details>
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
assert ends["traced"][0].tobytes() == ends["labels as inputs"][0].tobytes()
one, two = batches(1)
closed = replay(hidden, [begin, one.x, two.x])[h]
assert np.array_equal(closed, objective(begin, one.x, now[0].y, two.x, now[1].y))
assert not np.allclose(closed, objective(begin, one.x, one.y, two.x, two.y))
assert curves["labels as inputs"][-1] < 0.6 < 0.67 < curves["labels outside"][-1] < 0.72

# %% jupyter={"source_hidden": true} tags=["figure", "hide-input"]
fig, ax = panels()
looks = {"labels as inputs": {"color": "#0072B2"}}
looks["labels outside"] = {"color": "#D55E00", "linestyle": "--"}
plots.lines(ax, range(steps), curves, looks, xlabel="step", ylabel="training risk")
said = ", ".join(f"{name}: {curve[-1]:.2f}" for name, curve in curves.items())
figure(fig, f"The training risk after {steps} steps, {said}.", guess=True)

# %% [markdown]
# <details><summary>Answer</summary>
#
# With the labels as inputs the whole training has the bits of the traced one. With the labels outside nothing fails: every
# batch of images is trained on the labels of the *first* batch. No error, no warning, and a risk near
# $\log 2 \approx 0.69$, as if the labels were noise, which they are.
#
# </details>
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


# %% cellView="form" jupyter={"source_hidden": true} tags=["solution", "hide-input"]
# @title Solution
label_targets = passed("label_targets")  # yours if it passed, else the solution
solution("label_targets")

# %%
y, logits = rng.integers(0, 2, 9), rng.normal(size=(9, 1))
t = label_targets(y, 1)
assert np.allclose(np.log1p(np.exp(t * logits))[:, 0], losses(logits, y))
y, logits = rng.integers(0, 3, 9), rng.normal(size=(9, 3))
chosen = np.sum(label_targets(y, 3) * logits, axis=1)
assert np.allclose(np.log(np.exp(logits).sum(axis=1)) - chosen, losses(logits, y))

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
# <details><summary>Answer</summary>
#
# Half the mean, and the weight of the warm-up for ever. So a recording belongs to the shapes that it was made with,
# and whatever changes from step to step must be an input. The package records once for each combination of shapes and
# dtypes, and does its second call both ways:
#
# </details>

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
# <details><summary>Answers</summary>
#
# 1. The recording holds the branch that was taken that day, for ever. The `if` belongs outside, where this package has it: the recorded function gives the
#    gradient, and what is done with Adam's state is decided in plain Python at every step.
# 2. When the function gives the same for the same arguments and nobody changes the result in place. Not when it adds to an array that is already there, as
#    `autograd` does when it sums up gradients; and not when it draws random numbers.
# 3. It uses the mask of the recording for ever: a network without those units. The mask, drawn outside from a named stream, must be an input.
#
# </details>
#
# ## Read on
#
# - How reverse mode works, and what a tape is: Baydin et al. 2015, *Automatic Differentiation in Machine Learning: a Survey*,
#   [arXiv:1502.05767](https://arxiv.org/abs/1502.05767).
# - What a compiler for arrays merges, measured: Snider and Liang 2023, *Operator Fusion in XLA: Analysis and Evaluation*,
#   [arXiv:2301.13062](https://arxiv.org/abs/2301.13062).
# - The same traps in a large library: JAX's manual on
#   [just-in-time compilation](https://docs.jax.dev/en/latest/jit-compilation.html).
