"""One call of somebody's penalty: what it gave, or in one sentence what is wrong with it.

A style is a function (penalty, case, dtype) -> (value, gradient (d,), dtype of the value), and True where the penalty
gave the gradient itself; the gradient is for theta in the order of this package's parameters, and all zeros where the
value does not depend on them.
"""

import inspect
import warnings
from typing import NamedTuple

import numpy as np
from autograd import make_vjp
from autograd.tracer import getval

# what counts as equal, relative to the size of a gradient; a variance in float32 cancels to some 1e-5
ALLOWED = {"float64": 1e-9, "float32": 1e-3}


class Trouble(Exception):
    """What is wrong with a penalty, in one sentence without a subject."""


class Trial(NamedTuple):
    """What a penalty gave on a case; `itself` is whether it gave the gradient too, so that nothing was detached."""

    case: object
    value: float
    gradient: np.ndarray
    dtype: str
    itself: bool = False


def numpy_style(penalty, case, dtype):
    """penalty(model, theta, domains), with arrays: a number that autograd can differentiate, or (number, gradient)."""
    theta, domains = case.theta.astype(dtype), cast(case, dtype)
    more = {"critic": case.critic, "w": case.w.astype(dtype)} if takes(penalty, "critic") else {}
    value, gradient, itself = differentiated(lambda t: penalty(case.model, t, domains, **more), theta, case)
    unchanged(case, theta, domains)
    value, kind = number(value, case)
    if np.shape(gradient) != theta.shape:
        raise Trouble(f"gave a gradient {np.shape(gradient)} on case {case}, expected ({len(theta)},)")
    return value, np.asarray(gradient, float), kind, itself


def differentiated(function, theta, case):
    """The value, the gradient, and whether the function gave both: what autograd cannot trace has to."""
    given = []

    def traced(t):
        given.append(function(t))
        return given[-1][0] if isinstance(given[-1], tuple) else given[-1]

    try:
        with warnings.catch_warnings():  # what is detached gets a sentence of its own
            warnings.filterwarnings("ignore", "Output seems independent of input")
            pull, value = make_vjp(traced)(theta)
    except Exception as error:
        given.append(function(theta))  # where this fails too, its error is the one to tell
        if not isinstance(given[-1], tuple):
            words = " ".join(str(error).split())[:80]
            raise Trouble(
                f"cannot be traced by autograd on case {case} ({type(error).__name__}: {words}): write it with "
                "autograd.numpy, or return (value, gradient)"
            ) from error
    if isinstance(given[-1], tuple):
        value, gradient = given[-1]
        return getval(value), getval(gradient), True
    _, kind = number(value, case)
    return value, pull(np.ones(np.shape(value), kind)), False


def takes(function, name):
    """Whether a function has an argument of this name; False for what does not say."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def cast(case, dtype):
    """Copies of a case's domains with x in a dtype."""
    return [domain._replace(x=domain.x.astype(dtype), y=domain.y.copy()) for domain in case.domains]


def beside(domains, case):
    """Pairs of a domain that a call was given and the case's own; Trouble where it has changed their list."""
    if len(domains) != len(case.domains):
        raise Trouble(f"changes the list of domains on case {case}")
    return zip(domains, case.domains, strict=True)


def unchanged(case, theta, domains):
    """Trouble where a call has written into what it was given."""
    if not np.array_equal(theta, case.theta):
        raise Trouble(f"changes theta on case {case}")
    for domain, own in beside(domains, case):
        if not (np.array_equal(domain.x, own.x.astype(domain.x.dtype)) and np.array_equal(domain.y, own.y)):
            raise Trouble(f"changes the rows of {domain.name} on case {case}")


def number(value, case):
    """A value as float, and the name of its dtype; Trouble where it is no finite number of one entry."""
    value = getval(value)
    shape = np.shape(value)
    if shape != () and np.size(value) != 1:
        raise Trouble(f"gave an array {shape} on case {case}, expected one number")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise Trouble(f"gave {type(value).__name__} on case {case}, expected one number")
    if not np.isfinite(array).all():
        raise Trouble(f"gave {float(array.reshape(()))} on case {case}")
    kind = array.dtype.name if array.dtype.kind == "f" else "float64"
    if kind not in ALLOWED:
        raise Trouble(f"gave a number of {kind} on case {case}: too coarse to compare, use float32 or float64")
    return float(array.reshape(())), kind


def tried(style, penalty, case, dtype, memory=None):
    """A Trial; Trouble where the penalty raises, is random, or gives what cannot be compared.

    With a memory `penalty` makes fresh penalties, each of which is called at every point of a walk; the last counts.
    """
    first, second = (once(style, penalty, case, dtype, memory) for _ in range(2))
    if not np.isclose(first[0], second[0], rtol=1e3 * np.finfo(first[2]).eps, atol=0):
        instead = "" if memory else ", or it remembers (then see memory=)"
        raise Trouble(f"gave {first[0]:.6g} and then {second[0]:.6g} on the same case {case}: it is random{instead}")
    if not np.isfinite(first[1]).all():
        raise Trouble(f"has a gradient that is not finite on case {case}")
    return Trial(case, *first)


def once(style, penalty, case, dtype, memory=None):
    """One call, or one walk; Trouble in the words of whatever it raises."""
    try:
        fresh = penalty if memory is None else penalty()
        points = [case] if memory is None else walk(case)
        return [style(fresh, point, dtype) for point in points][-1]
    except Trouble:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:160]
        raise Trouble(f"raised {type(error).__name__} on case {case}: {words}") from error


def walk(case):
    """A case at three points: what comes before the last is what a memory remembers."""
    return [case._replace(theta=case.theta * scale) for scale in (1.25, 0.75, 1.0)]
