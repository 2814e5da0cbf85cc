"""Is an answer right, on one input and on all, in the way that was asked for, with its promises kept?"""

from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory

import numpy as np

from ..checks import check_penalty
from .calls import called, calls, ended, outcome, peak, wrapped

EXAMPLES = 50
OPTIONS = {"max_examples": EXAMPLES, "deadline": None, "derandomize": True, "database": None}
TOLERANCE = {"float64": (1e-6, 1e-12), "float32": (1e-4, 1e-6)}  # of the largest number; of zeros, which are sums


@cache
def drawn(inputs):
    """A list of arguments that an exercise draws, {name: value} each; the same ones each time."""
    from hypothesis import Phase, given, settings  # not needed by those who only train
    from hypothesis import strategies as st

    found = []
    collected = given(st.composite(inputs)())(lambda values: found.append(values))
    with elsewhere():
        settings(**OPTIONS, phases=[Phase.generate])(collected)()
    return found


@cache
def on_drawn(function, adapt, inputs):
    """What a known answer gives on all drawn arguments: arrays, or None where it gives none."""
    return [called(adapt(function), values)[0] for values in drawn(inputs)]


@contextmanager
def elsewhere():
    """Inside, hypothesis writes what it remembers of a program to a folder that goes again: not to the reader's."""
    from hypothesis.configuration import set_hypothesis_home_dir, storage_directory

    before = storage_directory(intent_to_write=False).path
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)


def search(inputs, wanted):
    """The smallest arguments found on which wanted(values) is true; None if there are none among EXAMPLES."""
    from hypothesis import errors, find, settings
    from hypothesis import strategies as st

    try:
        with elsewhere():
            return find(st.composite(inputs)(), wanted, settings=settings(**OPTIONS))
    except errors.NoSuchExample:
        return None


def judged(answer, exercise, values):
    """What is wrong with an answer on one input, in words; None if nothing is."""
    came, found = called(exercise.adapt(answer), values)
    return found or different(came, reference(exercise, values), exercise.exact)


def reference(exercise, values):
    """The right numbers, float64."""
    came, found = called(exercise.adapt(exercise.expected), values)
    assert found is None, found
    return np.asarray(came, float)


def different(came, expected, exact=False):
    """How an array differs from the right one, in words; None if it does not by more than its dtype explains."""
    if came.shape != expected.shape:
        return f"Expected the shape {expected.shape}, came the shape {came.shape}"
    relative, absolute = TOLERANCE.get(came.dtype.name, TOLERANCE["float64"])
    largest = np.max(np.abs(expected), initial=0)
    if np.all(np.abs(came - expected) <= relative * largest + (0 if exact else absolute)):
        return None
    for digits in (6, 9, 17):  # as many as tell them apart
        one, other = (shown(np.asarray(values, float), digits) for values in (expected, came))
        if one != other:
            break
    kind = f"    (in {came.dtype.name})" if came.dtype in (np.float32, np.float16) else ""
    return f"    expected {one}\n    came     {other}{kind}"


def forbidden(answer, exercise, values):
    """How an answer got its numbers in a way that was not asked for, in words; None if it did not."""
    for name in calls(exercise.adapt(answer), values, exercise.banned) if exercise.banned else ():
        return f"The numbers are right, but your answer calls {name}: the point is to do without."
    make, most = exercise.large or (None, 0)
    held, error = peak(exercise.adapt(answer), make()) if make else (0, None)
    if error is not None:
        return wrapped(f"The numbers are right, but on a larger input your answer {ended(error)}.")
    if held <= most:
        return None
    size = f"on a larger input your answer holds {held / 1e6:.1f} MB at a time; {most / 1e6:.1f} MB are enough."
    return wrapped(f"The numbers are right, but {size}")


def broken(answer, exercise):
    """The promise that an answer breaks, in words; None if it breaks none."""
    _, error = outcome(exercise.contract, [answer]) if exercise.contract else (None, None)
    if error is None:
        return None
    if isinstance(error, AssertionError):
        return wrapped(f"The numbers are right, but a promise is broken. {error}")
    if exercise.contract is check_penalty:  # the one that differentiates the answer itself
        raised = f"inside autograd's grad your answer {ended(error)}"
        return wrapped(f"The numbers are right, but {raised}. Use autograd.numpy, and no float around a value.")
    return wrapped(f"The numbers are right, but while its promises were tried your answer {ended(error)}.")


def shown(value, digits=6, indent=13):
    """A value on as few lines as it needs, rows below rows, which begin after `indent` characters."""
    if isinstance(value, np.ndarray):
        kinds = {"float_kind": lambda number: f"{number:.{digits}g}"}
        return np.array2string(value, separator=", ", formatter=kinds).replace("\n", "\n" + indent * " ")
    if not has_arrays(value):
        return value.__name__ if callable(value) else repr(value)
    names = [f"{name}=" for name in getattr(value, "_fields", ())] or [""] * len(value)
    begin, end = "[]" if isinstance(value, list) else "()"
    begin = f"{type(value).__name__}(" if names[0] else begin
    indent += len(begin)
    parts = [name + shown(one, digits, indent + len(name)) for name, one in zip(names, value, strict=True)]
    return begin + (",\n" + indent * " ").join(parts) + end


def has_arrays(value):
    """Whether a value is a list or a tuple with an array in it, or in one of its parts."""
    inside = value if isinstance(value, list | tuple) else ()
    return any(isinstance(one, np.ndarray) or has_arrays(one) for one in inside)
