"""Record a function of arrays once, replay it at the speed of its arrays.

autograd builds the same graph anew at every step, in ten microseconds of Python a primitive. `replayed(function)` is
the same function. At the first call for each combination of types, shapes and dtypes it runs with the inputs in boxes
of an outermost trace, whose nodes only write down lines of a program; values of inner traces, as `grad` makes them, are
boxes of the outermost one, so that derivatives of any order are written down too. The lines that the outputs need
become a plain Python function, whose `source` can be printed. For the gradient of np.sum(z**3) it is

    def program(v0):
        v3 = power_3(v0, c_2)      # c_2 is 2
        del v0
        v4 = multiply_1(c_0, v3)   # c_0 is three everywhere
        del v3
        return v4

What changes from call to call must be an input: all else is a constant, and a branch is taken once for all. Therefore
the second call runs both ways and compares. What cannot be recorded (a condition on a value, plain NumPy on a box) is
traced at every call, as without this file: slow, and right.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import autograd.numpy as anp
import numpy as np
from autograd.core import VSpace, sparse_add
from autograd.tracer import Box, Node, isbox, new_box, register_notrace, trace_stack

from .programs import compiled, parts

# how many numbers there are depends on values
PICKING = {"unique", "nonzero", "flatnonzero", "argwhere", "compress", "extract", "bincount", "repeat", "delete"}
PICKING |= {"union1d", "intersect1d", "setdiff1d", "setxor1d", "trim_zeros", "insert", "arange"}
KEPT = 64  # recordings of one function; further shapes are traced, because who drops one may need it next
ADDING = (sparse_add, VSpace.mut_add)  # in place to their second argument
ON = ContextVar("replay", default=True)


@contextmanager
def off():
    """Inside, everything is traced at every call."""
    token = ON.set(False)
    try:
        yield
    finally:
        ON.reset(token)


class Refused(ValueError):
    """What can be neither an input nor an output, or changes though no input says so."""


class replayed:
    """The same function, arrays -> array or tuple of arrays; a copy or a pickle of it has no recordings.

    Refused for inputs that are no arrays of numbers, and for outputs that are none or do not depend on the inputs.
    """

    def __init__(self, function):
        self.function, self.recordings = function, {}
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __reduce__(self):  # noqa: D105
        return replayed, (self.function,)

    def __call__(self, *arrays):
        """function(*arrays); where a trace is under way, which may be another's recording, by tracing."""
        if not ON.get() or any(map(isbox, arrays)):
            return self.function(*arrays)
        key = tuple([(type(a), getattr(a, "shape", None), getattr(a, "dtype", None)) for a in arrays])
        return self.recordings.get(key, partial(self.first, key))(*arrays)

    def first(self, key, *arrays):
        """Record, or find out that it cannot be done."""
        for i, array in enumerate(arrays):
            if not isinstance(array, np.ndarray | np.floating) or array.dtype.kind not in "fiub":
                raise Refused(f"{self.__name__}: input {i} is no array of numbers but {type(array).__name__}")
        if len(self.recordings) >= KEPT:
            return self.function(*arrays)
        try:
            lines, outputs = recorded(self.__name__, self.function, arrays)
            following = partial(self.second, key, lines)
        except Refused:
            raise
        except Exception:  # whatever a box can cause in a function that does not expect it
            following = None
        if not following:  # an error of the function itself comes again here
            following, outputs = self.function, self.function(*arrays)
        self.recordings[key] = following
        return outputs

    def second(self, key, lines, *arrays):
        """Compile, trace and replay; Refused unless both agree."""
        program = compiled(*lines)
        expected, found = self.function(*arrays), program(*arrays)
        if len(parts(expected)) != len(parts(found)):
            raise Refused(f"{self.__name__}: another number of outputs than at the first call")
        if wrong := [i for i, pair in enumerate(zip(parts(expected), parts(found), strict=True)) if not agree(*pair)]:
            raise Refused(f"{self.__name__}: output {wrong[0]} changes with something that is not an input")
        self.recordings[key] = program
        return expected


def agree(one, other):
    """Whether two arrays are equal up to rounding, which in some libraries depends on where an array lies."""
    size = np.max(np.abs(one), initial=0, where=np.isfinite(one))
    tolerance = np.finfo(one.dtype).eps ** 0.5 * size if one.dtype.kind == "f" else 0
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=0, atol=tolerance, equal_nan=True)


class Line(Node):
    """A node of the outermost trace: a line `name = fun(*words, **kwargs)` of a program, and all lines so far."""

    __slots__ = ("fun", "kwargs", "lines", "name", "words")

    def __init__(self, value, fun, args, kwargs, argnums, parents):
        constants = [arg for i, arg in enumerate(args) if i not in argnums]
        added = fun in ADDING and 1 not in argnums and args[1] is not None
        masked = 1 in argnums and fun.__name__ == "__getitem__" and args[1].dtype == bool
        picked = masked or fun.__name__ in PICKING or (fun.__name__ == "where" and len(args) == 1)
        if added or picked or any(map(hides_box, [value, *kwargs.values(), *constants])):
            raise TypeError(f"{fun.__name__} has added to a constant, a shape of its own, or a box where none is seen")
        names = dict(zip(argnums, [parent.name for parent in parents], strict=True))
        self.fun, self.words = fun.fun, [names.get(i) or Constant(arg) for i, arg in enumerate(args)]
        self.kwargs = {key: Constant(value) for key, value in kwargs.items()}
        self.initialize_root(parents[0].lines)

    def initialize_root(self, lines):
        """Another name; that of an input has no call."""
        self.lines, self.name = lines, f"v{len(lines)}"
        lines.append(self)


def truth(box):
    """Whether the value in a box is true, as in autograd; TypeError in a recording, where a branch is taken for all."""
    if isinstance(box._node, Line):
        raise TypeError("a condition on a value")
    return bool(box._value)


Box.__bool__ = truth
register_notrace(Line, anp.size)  # it depends on the shape alone, and an integer cannot be in a box


class Constant:
    """An argument that is the same at every call, and a key for equal ones; an array of equal numbers takes no room."""

    def __init__(self, value):
        self.value, self.key = value, id(value) if type(value) is np.ndarray or "array(" in repr(value) else repr(value)
        if isinstance(value, np.ndarray) and value.size and (value == value.flat[0]).all():
            self.value, self.key = np.broadcast_to(value.flat[0], value.shape), (value.shape, repr(value.flat[0]))


def hides_box(value):
    """Whether a box is where autograd does not look for one."""
    if isinstance(value, tuple | list):
        return any(map(hides_box, value))
    return isbox(value) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


def recorded(name, function, arrays):
    """What `compiled` needs, and what this call returns: of what is called once no program is made."""
    lines = []
    with trace_stack.new_trace() as trace:
        result = function(*[new_box(array, trace, Line.new_root(lines)) for array in arrays])
    for i, output in enumerate(parts(result)):
        if not isbox(output) or not hasattr(output._value, "dtype"):
            error = Refused if isbox(output) or not hides_box(output) else TypeError
            raise error(f"{name}: output {i} is no array or does not depend on the inputs: {type(output).__name__}")
    values = tuple([output._value for output in parts(result)])
    return (lines, len(arrays), result), values if isinstance(result, tuple) else values[0]
