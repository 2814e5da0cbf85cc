"""One call of a student's answer: whatever it does, what comes back is a value or a sentence."""

import ctypes
import inspect
import sys
import textwrap
import threading
import tracemalloc
import warnings
from contextlib import contextmanager
from copy import deepcopy

import numpy as np

from ..data import in_browser

UNFINISHED = "Nothing came back: write the missing lines, and return the result."


class TooLong(KeyboardInterrupt):
    """An answer takes longer than it may."""


class Unusable(Exception):
    """What an answer gives is not what it was asked for, in words."""


@contextmanager
def within(seconds):
    """Inside, TooLong is raised in this thread after some seconds, also in a loop that never ends.

    A web page has no thread that could watch: there the reader stops the kernel.
    """
    if in_browser():
        yield
        return
    thread, raised = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(TooLong)
    done = threading.Event()

    def watch():
        wait = seconds
        while not done.wait(wait):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, raised)
            wait = 0.5  # again, where a callback has swallowed it

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


@contextmanager
def quiet():
    """Inside, nothing is said about numbers that are not finite, nor is any other warning."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def wrapped(text):
    """A paragraph in lines that fit below a cell."""
    return "\n".join(textwrap.wrap(text, 88, subsequent_indent="    ", break_on_hyphens=False))


def called(answer, values):
    """(array, None), or (None, what went wrong in words), of an answer on copies of some arguments."""
    given = deepcopy(list(values.values()))
    came, error = outcome(answer, given)
    if isinstance(error, NotImplementedError):
        return None, UNFINISHED
    if isinstance(error, Unusable):
        return None, wrapped(str(error))
    if error is not None:
        return None, wrapped(f"Your answer {ended(error)}.")
    if came is None or came is ...:
        return None, UNFINISHED
    changed = [name for name, one in zip(values, given, strict=True) if not same(one, values[name])]
    if changed:
        return None, f"Your answer changes {' and '.join(changed)} in place: work on a copy."
    return numeric(came)


def outcome(answer, given):
    """(what came, None), or (None, the error), of an answer; it may change what it is given."""
    try:
        with quiet():
            return answer(*given), None
    except (Exception, SystemExit) as error:
        return None, error


def ended(error):
    """How a call ended without a result, in words."""
    if isinstance(error, SystemExit):
        return "ended the program: return the result instead"
    return f"raised {type(error).__name__}: {error}"


def same(one, other):
    """Whether two arguments, which may be nested lists and tuples of arrays, are equal."""
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other)


def numeric(came):
    """(array of numbers, None), or (None, what came instead)."""
    try:
        array = np.asarray(came)
    except ValueError:  # rows of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind in "biuf":
        return array, None
    return None, wrapped(f"Expected numbers, came a {type(came).__name__}: {came!r:.200}")


def peak(answer, values):
    """(the largest number of bytes that an answer holds at a time, None), or (0, the error that it raised)."""
    given = deepcopy(list(values.values()))
    tracemalloc.start()
    try:
        _, error = outcome(answer, given)
        return (tracemalloc.get_traced_memory()[1], None) if error is None else (0, error)
    finally:
        tracemalloc.stop()


def calls(answer, values, banned):
    """Which of some Python functions, {words: function}, an answer calls, itself or through others: their words."""
    names = {inspect.unwrap(function).__code__: words for words, function in banned.items()}
    found, before = [], sys.getprofile()
    sys.setprofile(lambda frame, event, _: event == "call" and found.append(names.get(frame.f_code)))
    try:
        outcome(answer, deepcopy(list(values.values())))
    finally:
        sys.setprofile(before)
    return [name for name in dict.fromkeys(found) if name]
