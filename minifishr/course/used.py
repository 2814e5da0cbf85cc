"""An answer that passed, as the lesson uses it below its exercise."""

from functools import wraps

import numpy as np

from .calls import called, outcome
from .exercise import Exercise
from .judging import drawn

COARSE = "(In float32. Below, the solution is used, which has the digits of float64.)"
KINDS = {"b": bool, "i": np.int64, "u": np.int64}


def coarse(answer, exercise):
    """Whether an answer gives fewer digits than its inputs have, which a lesson's later cells may need."""
    came, _ = called(exercise.adapt(answer), drawn(exercise.inputs)[-1])
    return came is not None and came.dtype in (np.float16, np.float32)


def used(answer, exercise):
    """The answer with its numbers as an array of the solution's kind, whether it gives a list, or 0.0 for False.

    What is no numbers is passed on: lists of arrays of several shapes, and autograd's boxes. So is the answer to an
    exercise with an `adapt`, which gives something else than numbers.
    """
    if exercise.adapt is not Exercise._field_defaults["adapt"]:
        return answer
    right, _ = called(exercise.expected, drawn(exercise.inputs)[-1])
    dtype = KINDS.get(right.dtype.kind)

    @wraps(answer)
    def whole(*args, **kwargs):
        return as_array(answer(*args, **kwargs), dtype)

    whole._passed = answer
    return whole


def own(answer):
    """The answer itself, of one that came from `used`."""
    return getattr(answer, "_passed", answer)


def as_array(came, dtype):
    """Numbers as an array of a dtype, of floats where it is None; anything else as it is."""
    array, error = outcome(np.asarray, [came])
    if error is not None or array.dtype.kind not in "biuf":
        return came
    floats = array.astype(float) if array.dtype.kind != "f" else array
    return (floats if dtype is None else array.astype(dtype))[()]
