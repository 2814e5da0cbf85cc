"""Exercises: an answer is tried on small inputs that hypothesis draws, and the verdict is told kindly.

Each exercise has a reference of its own. An answer passes when it gives the same numbers on every input; else
hypothesis looks for the smallest input on which it does not.
"""

import textwrap
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np

from ..checks import relative
from ..data import Domain
from ..mlp import MLP

EXAMPLES = 50
TOLERANCE = 1e-6  # an answer may be a central difference, which errs by about 1e-10, or lose digits


class Exercise(NamedTuple):
    """inputs(draw) -> {name: value} with hypothesis' draw; expected(*values); in words, what is wanted, and a hint."""

    inputs: Callable
    expected: Callable
    wanted: str
    hint: str


class Feedback(NamedTuple):
    """Whether an answer passed, and a message, which a notebook shows. It is true exactly where the answer passed."""

    passed: bool
    message: str

    def __bool__(self):
        """Whether the answer passed."""
        return self.passed

    def __repr__(self):
        """The message."""
        return self.message


def tried(name, answer, exercise):
    """The Feedback for an answer. Nothing that the answer raises comes through."""
    from hypothesis import errors, find, settings  # not needed by those who only train
    from hypothesis import strategies as st

    inputs = st.composite(exercise.inputs)()
    options = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    try:
        values = find(inputs, lambda values: trouble(answer, exercise, values) is not None, settings=options)
    except errors.NoSuchExample:
        return Feedback(True, f"{name}: right, on {EXAMPLES} inputs.")
    except errors.HypothesisException:
        return Feedback(False, f"{name}: asked twice about the same input, your answer differs. Is something random?")
    found = trouble(answer, exercise, values)
    lines = [f"{name}: not yet.", wrapped(f"Wanted: {exercise.wanted}")]
    if found != UNFINISHED:
        lines += ["On the smallest input found", *(f"    {key} = {shown(value)}" for key, value in values.items())]
    return Feedback(False, "\n".join([*lines, found, wrapped(f"Hint: {exercise.hint}")]))


def wrapped(text):
    """A paragraph in lines that fit below a cell."""
    return "\n".join(textwrap.wrap(text, 88, subsequent_indent="    ", break_on_hyphens=False))


UNFINISHED = "Nothing came back: write the missing lines, and return the result."


def trouble(answer, exercise, values):
    """What is wrong with an answer on one input, in words; None if nothing is."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            came = answer(*deepcopy(list(values.values())))
    except NotImplementedError:
        return UNFINISHED
    except Exception as error:
        return wrapped(f"Your answer raised {type(error).__name__}: {error}")
    if came is None or came is ...:
        return UNFINISHED
    expected = np.asarray(exercise.expected(*deepcopy(list(values.values()))), float)
    try:
        numbers = np.asarray(came, float)
    except (TypeError, ValueError):
        return f"Expected numbers of shape {expected.shape}, came {came!r}"
    if numbers.shape != expected.shape:
        return f"Expected the shape {expected.shape}, came the shape {numbers.shape}"
    if relative(numbers, expected) <= TOLERANCE:
        return None
    return f"    expected {shown(expected)}\n    came     {shown(numbers)}"


def shown(value):
    """A value on as few lines as it needs, rows below rows."""
    if isinstance(value, np.ndarray):
        kinds = {"float_kind": lambda number: f"{number:.6g}"}
        return np.array2string(value, separator=", ", formatter=kinds).replace("\n", "\n" + 13 * " ")
    return repr(value)


def numbers(*shape, low=-2, high=2):
    """A strategy: arrays of halves between low and high, which are easy to read."""
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays

    return arrays(np.float64, shape, elements=st.integers(2 * low, 2 * high).map(lambda k: k / 2))


def whole(low, high, *shape):
    """A strategy: a whole number in [low, high], or an array of them."""
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays

    one = st.integers(low, high)
    return arrays(np.int64, shape, elements=one) if shape else one


def network(draw, sizes=(2, 2, 1)):
    """{"model", "theta", "x", "y"}: a small network with parameters (d,) and one domain."""
    model = MLP(sizes)
    theta, domain = draw(numbers(model.d)), some_domain(draw, model)
    return {"model": model, "theta": theta, "x": domain.x, "y": domain.y}


def unlabeled(draw, sizes=(2, 2, 1)):
    """{"model", "theta", "x"}: a small network and inputs without labels."""
    case = network(draw, sizes)
    return {name: case[name] for name in ("model", "theta", "x")}


def networks(draw, sizes=(2, 2, 1)):
    """{"model", "theta", "domains"}: a small network with parameters (d,) and two or three domains."""
    model = MLP(sizes)
    theta, names = draw(numbers(model.d)), "abc"[: draw(whole(2, 3))]
    return {"model": model, "theta": theta, "domains": [some_domain(draw, model, name) for name in names]}


def some_domain(draw, model, name="a"):
    """A domain of one to three rows that fits a model."""
    n = draw(whole(1, 3))
    return Domain(name, draw(numbers(n, model.sizes[0])), draw(whole(0, max(model.sizes[-1], 2) - 1, n)))
