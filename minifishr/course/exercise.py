"""Exercises: an answer is tried on small inputs that hypothesis draws, and the verdict is told kindly.

Each exercise has a reference of its own, which is the solution. An answer passes when it gives the same numbers on
every input, changes none, keeps to the way that was asked for, and keeps its promises; else hypothesis looks for the
smallest input on which it does not, and the answer is compared with known wrong ones.
"""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, process_time
from typing import NamedTuple

import numpy as np

from .calls import UNFINISHED, TooLong, called, quiet, within, wrapped
from .judging import EXAMPLES, broken, drawn, forbidden, judged, on_drawn, reference, search, shown

SECONDS = 10  # for an answer
NEAR = 1e-3  # of 0 and of 1, where a factor says nothing
SHRINKING = 2  # and of processor time for a smaller input, so that a busy machine finds it too


class Exercise(NamedTuple):
    """What is asked, in words and as functions.

    inputs(draw) -> {name: value} with hypothesis' draw; expected(*values), the solution; what is wanted, and hints, the
    second one nearly the solution, in words; wrong = {diagnosis: a wrong answer}; banned = {words: a function that an
    answer may not call}; large = (make, bytes): on the arguments make() an answer may not hold more; contract(answer)
    raises AssertionError with the promise that is broken; exact = True where the smallest numbers are to be right too;
    adapt(answer) is the function that gives numbers, where the answer itself does not.
    """

    inputs: Callable
    expected: Callable
    wanted: str
    hints: tuple
    wrong: dict
    banned: dict = {}  # noqa: RUF012
    large: tuple | None = None
    contract: Callable | None = None
    exact: bool = False
    adapt: Callable = lambda answer: answer


class Feedback(NamedTuple):
    """Whether an answer passed, and a message, which a notebook shows. It is true exactly where the answer passed."""

    passed: bool
    message: str
    attempt: bool = True  # not so for an untouched stub

    def __bool__(self):
        """Whether the answer passed."""
        return self.passed

    def __repr__(self):
        """The message."""
        return self.message


def tried(name, answer, exercise, earlier=0):
    """The Feedback for an answer, with a hint, or two after an earlier attempt. Nothing it raises comes through."""
    drawn(exercise.inputs)  # before the watch starts
    try:
        with within(SECONDS):
            found, where = trouble(answer, exercise)
    except TooLong:
        found, where = f"Your answer takes longer than {SECONDS} seconds: does a loop never end?", None
    if found is None:
        return Feedback(True, f"{name}: right, on {EXAMPLES} inputs.")
    lines = [f"{name}: not yet.", wrapped(f"Wanted: {exercise.wanted}")]
    if found == UNFINISHED:
        known = hinted(exercise.hints[:earlier]) or ["A hint comes after your first attempt."]
        return Feedback(False, "\n".join([*lines, found, *known]), attempt=False)
    if where:
        values, found = smallest(answer, exercise) or (where, found)
        known = None
        given = [f"    {key} = {shown(value, indent=7 + len(key))}" for key, value in values.items()]
        lines += ["On the smallest input found", *given]
        with suppress(TooLong), within(SECONDS):  # on other inputs than `where`
            known = diagnosis(answer, exercise)
        found = f"{found}\n{wrapped(f'Looks like this: {known}.')}" if known else found
    return Feedback(False, "\n".join([*lines, found, *hinted(exercise.hints[: 1 + earlier])]))


def hinted(hints):
    """Some hints, each as a paragraph."""
    return [wrapped(f"Hint: {hint}") for hint in hints]


def trouble(answer, exercise):
    """(what is wrong with an answer in words, the arguments on which it is), or (None, None)."""
    cases = drawn(exercise.inputs)
    before, again = (called(exercise.adapt(answer), cases[-1])[0] for _ in range(2))
    if before is not None and not np.array_equal(again, before, equal_nan=True):
        return "Asked twice about the same input, your answer differs. Is something random?", None
    for values in cases:
        found = judged(answer, exercise, values)
        if found:
            return found, values
    return forbidden(answer, exercise, cases[-1]) or broken(answer, exercise), None


def smallest(answer, exercise):
    """(arguments, what is wrong there) for the smallest input found in a while; None where none is found again."""
    from hypothesis import errors

    failing, end, latest = [], process_time() + SHRINKING, monotonic() + SECONDS

    def fails(values):
        if process_time() > end or monotonic() > latest:
            raise TooLong
        with within(SECONDS):
            found = judged(answer, exercise, values)
        failing.extend([(values, found)] if found else [])
        return found is not None

    with suppress(errors.HypothesisException, TooLong):
        search(exercise.inputs, fails)
    return failing[-1] if failing else None


def diagnosis(answer, exercise):
    """The known wrong answer that an answer equals on all inputs, or how its shape or a factor is off; else None."""
    cases = drawn(exercise.inputs)
    ours = [called(exercise.adapt(answer), values)[0] for values in cases]
    right = [reference(exercise, values) for values in cases]
    known = {w: on_drawn(one, exercise.adapt, exercise.inputs) for w, one in exercise.wrong.items()}
    for same in (everywhere, where_finite):
        for words, theirs in known.items():
            if same(ours, theirs, right):
                return words
    if any(came is None or came.size != one.size for came, one in zip(ours, right, strict=True)):
        return None
    if any(came.shape != one.shape for came, one in zip(ours, right, strict=True)):
        same = all(alike(came.reshape(one.shape), one) for came, one in zip(ours, right, strict=True))
        return "the right numbers in another shape" if same else None
    return by_a_factor(*(np.concatenate([np.ravel(array) for array in arrays]) for arrays in (ours, right)))


def by_a_factor(one, other):
    """How all numbers of an answer are off by one factor, in words; None where none can be named."""
    with quiet():  # 0 / 0, and what is not a number
        factor = one @ other / (other @ other)
    if not np.isfinite(factor) or not alike(one, factor * other):
        return None
    if abs(factor) <= NEAR:
        return "always 0" if alike(one, 0 * one) else None
    if abs(factor - 1) <= NEAR:
        return "nearly right, as if a step or a constant were too coarse"
    return f"{factor:.6g} times what was expected, on every input"


def everywhere(ours, theirs, right):
    """Whether an answer equals a known wrong one on all inputs."""
    return all(alike(one, other) for one, other in zip(ours, theirs, strict=True))


def where_finite(ours, theirs, right):
    """Whether it does where that one gives finite numbers, and these are not all right: who divides by n - 1 may have
    thought of n = 1."""
    told = [k for k, one in enumerate(theirs) if one is not None and np.isfinite(one).all()]
    wrong = not all(alike(theirs[k], right[k]) for k in told)
    return wrong and all(alike(ours[k], theirs[k]) for k in told)


def alike(one, other):
    """Whether two answers agree: both are arrays and equal up to rounding, or none is."""
    if one is None or other is None:
        return one is other
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return False
    return np.allclose(one[np.isfinite(one)], other[np.isfinite(other)], rtol=1e-4, atol=1e-6)
