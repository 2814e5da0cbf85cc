"""Record a function of arrays once, replay it at the speed of its arrays.

autograd builds the same graph anew at every step: it puts each array into a box, looks up each derivative, and sends
each primitive through ten microseconds of Python. `replayed(function)` is the same function; at the first call for
each combination of types, shapes and dtypes it runs with the inputs in boxes of an outermost trace, whose nodes do
nothing but write down a line of a program. Values of inner traces, as `grad` makes them, are boxes of the outermost
one, so that the lines of derivatives are written down too, of any order. The lines that the outputs need become one
plain Python function, whose `source` one can print. That of replayed(lambda z: grad(lambda z: np.sum(z**3))(z)), whose
constants are 2 and an array of three:

    def program(v0):
        v3 = power_2(v0, c_3)
        del v0
        v4 = multiply_0(c_1, v3)
        del v3
        return v4

What changes from call to call must be an input: everything else is a constant of the program, and a branch is taken
once for all. Therefore the second call runs both ways and compares. What cannot be recorded (a condition on a value,
plain NumPy on a box) is traced at every call, as without this file: slow, and right.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import autograd.numpy as anp
import numpy as np
from autograd.core import VSpace, sparse_add
from autograd.tracer import Node, isbox, new_box, register_notrace, trace_stack

KEPT = 16  # recordings of one function; before one more, the oldest is dropped
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


class Refused(TypeError):
    """What can be neither an input nor an output, or changes though no input says so."""


class replayed:
    """The same function of arrays -> array or tuple of arrays, replayed; a copy or pickle of it has no recordings.

    Refused (a TypeError) for inputs that are no arrays of numbers, and for outputs that are no arrays, do not depend on
    the inputs, or are not what tracing gives at the second call.
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
        run = self.recordings.get(key)
        return run(*arrays) if run else self.first(key, arrays)

    def first(self, key, arrays):
        """Record, or find out that it cannot be done."""
        for i, array in enumerate(arrays):
            if not isinstance(array, np.ndarray | np.floating) or array.dtype.kind not in "fiub":
                raise Refused(f"{self.__name__}: input {i} is no array of numbers but {type(array).__name__}")
        try:
            program, outputs = recorded(self.__name__, self.function, arrays)
            following = partial(self.second, key, program)
        except Refused:
            raise
        except Exception:  # whatever a box can do in a function that does not expect it
            following = outputs = None
        if following is None:  # if it is the function that fails, then now by itself
            following, outputs = self.function, self.function(*arrays)
        if len(self.recordings) >= KEPT:
            self.recordings.pop(next(iter(self.recordings)))
        self.recordings[key] = following
        return outputs

    def second(self, key, program, *arrays):
        """Trace and replay; Refused unless both agree."""
        expected, found = self.function(*arrays), program(*arrays)
        several = isinstance(expected, tuple), isinstance(found, tuple)
        pairs = list(zip(expected, found, strict=False)) if all(several) else [(expected, found)]
        if several[0] != several[1] or (all(several) and len(expected) != len(found)):
            raise Refused(f"{self.__name__}: another number of outputs than at the first call")
        for i, pair in enumerate(pairs):
            if not agree(*pair):
                raise Refused(f"{self.__name__}: output {i} changes with something that is not an input")
        self.recordings[key] = program
        return expected


def agree(one, other):
    """Whether two arrays are equal up to rounding, which in some libraries depends on where an array lies."""
    if np.shape(one) != np.shape(other):
        return False
    tolerance = np.finfo(one.dtype).eps ** 0.5 if one.dtype.kind == "f" else 0
    size = np.max(np.abs(one), initial=0, where=np.isfinite(one))
    return np.allclose(one, other, rtol=0, atol=tolerance * size, equal_nan=True)


class Line(Node):
    """A node of the outermost trace: the name of a value, and the program so far."""

    __slots__ = ("lines", "name")

    def __init__(self, value, fun, args, kwargs, argnums, parents):
        names = dict(zip(argnums, [parent.name for parent in parents], strict=True))
        if fun in ADDING and 1 not in names and args[1] is not None:
            raise TypeError(f"{fun.__name__} has already added to a constant")
        words = [names.get(i) or Constant(arg) for i, arg in enumerate(args)]
        if any(map(hides_box, [value, *kwargs.values(), *(w.value for w in words if isinstance(w, Constant))])):
            raise TypeError(f"{fun.__name__} met a box inside an array, a tuple or a keyword")
        self.lines, self.name = parents[0].lines, f"v{len(parents[0].lines)}"
        self.lines.append((self.name, fun.fun, words, kwargs))

    def initialize_root(self, lines):
        """An input."""
        self.lines, self.name = lines, f"v{len(lines)}"
        lines.append((self.name, None, (), {}))


class Constant:
    """An argument that is the same at every call; an array of equal numbers takes no room."""

    def __init__(self, value):
        plain = isinstance(value, np.ndarray) and value.size > 1 and (value == value.flat[0]).all()
        self.value = np.broadcast_to(value.flat[0], value.shape) if plain else value


register_notrace(Line, anp.size)  # it depends on the shape alone, and an integer cannot be in a box


def hides_box(value):
    """Whether a box is where autograd does not look for one."""
    if isinstance(value, tuple | list):
        return any(map(hides_box, value))
    return isbox(value) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


def recorded(name, function, arrays):
    """The compiled function, and what this call returns."""
    lines = []
    with trace_stack.new_trace() as trace:
        result = function(*[new_box(array, trace, Line.new_root(lines)) for array in arrays])
    outputs = result if isinstance(result, tuple) else (result,)
    for i, output in enumerate(outputs):
        if not isbox(output) and hides_box(output):
            raise TypeError("plain NumPy met a box")
        if not isbox(output) or not hasattr(output._value, "dtype"):
            raise Refused(f"{name}: output {i} is no array or does not depend on the inputs: {type(output).__name__}")
    names, values = [output._node.name for output in outputs], tuple([output._value for output in outputs])
    if isinstance(result, tuple):
        return compiled(lines, len(arrays), f"({', '.join(names)},)", set(names)), values
    return compiled(lines, len(arrays), *names, set(names)), *values


def compiled(lines, inputs, returned, needed):
    """A Python function of what the outputs need, in which a value is let go after its last use."""
    space, body = {}, [f"    return {returned}"]

    def word(value, stem="c"):
        if isinstance(value, str):
            return value
        name = f"{stem if stem.isidentifier() else 'f'}_{len(space)}"
        space[name] = value.value if isinstance(value, Constant) else value
        return name

    for name, fun, words, kwargs in reversed(lines[inputs:]):
        if name not in needed:
            continue
        used = {w for w in words if isinstance(w, str)}
        body += [f"    del {last}" for last in sorted(used - needed)]
        arguments = [*map(word, words), *(f"{key}={word(Constant(value))}" for key, value in kwargs.items())]
        body.append(f"    {name} = {word(fun, fun.__name__)}({', '.join(arguments)})")
        needed |= used
    body.append(f"def program({', '.join(name for name, *_ in lines[:inputs])}):")
    source = "\n".join(reversed(body))
    exec(source, space)
    space["program"].source = source
    return space["program"]
