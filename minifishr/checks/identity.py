"""What an identity is: a statement, its assumption, the error that it measures, and how large rounding may make it.

An identity is a function of a Case. Its docstring starts with the statement; a line that starts with "Assumes" says
when it holds. It returns the relative error, or None for a case that the assumption leaves out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..data import Domain
from ..mlp import MLP

# A number here is a chain of a few sums of at most some hundred products. Each sum errs by at most its length times
# 1.1e-16, relative to the sum of the absolute values: 1e-12 leaves room for a few thousand roundings in a row.
ROUNDING = 1e-12
SIZES = [(3, 1), (3, 4, 1), (3, 4, 2, 1), (3, 4), (3, 2, 4), (3, 2, 5, 4)]  # no two widths in a row are equal


class Case(NamedTuple):
    """A model, parameters (d,) and domains: what an identity is tried on."""

    model: MLP
    theta: np.ndarray
    domains: list


class Identity(NamedTuple):
    """error(case) -> relative error or None; more than `tolerance` is a violation."""

    name: str
    statement: str
    assumes: str
    tolerance: float
    error: Callable


def identity(error, tolerance=ROUNDING):
    """An Identity whose words are in the docstring of `error`."""
    text = error.__doc__ or error.__name__.replace("_", " ")  # python -OO has no docstrings
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    assumed = [part.removeprefix("Assumes ") for part in paragraphs if part.startswith("Assumes ")]
    return Identity(error.__name__, paragraphs[0], assumed[0] if assumed else "nothing", tolerance, error)


def relative(found, expected, scale=0.0):
    """The largest difference over the largest absolute value of both, or over `scale` where that is larger.

    `scale` is the size of the terms that cancel; infinity where something is not a number.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return np.inf
    largest = max(np.max(np.abs(found), initial=0), np.max(np.abs(expected), initial=0), scale)
    return float(np.max(np.abs(found - expected), initial=0) / largest) if largest else 0.0


def drawn(rng, sizes=SIZES, most=6):
    """A random Case: a model, biases that are not zero, and two or three domains of 2 to `most` rows."""
    model = MLP(sizes[rng.integers(len(sizes))])
    theta = model.init(rng) + 0.3 * rng.normal(size=model.d)
    counts = rng.integers(2, most + 1, rng.integers(2, 4))
    classes = max(model.sizes[-1], 2)
    shapes = [(n, model.sizes[0]) for n in counts]
    return Case(
        model,
        theta,
        [Domain(f"domain {e}", rng.normal(size=s), rng.integers(0, classes, s[0])) for e, s in enumerate(shapes)],
    )


def probabilities(model, theta, x):
    """The probability of each label, (n,k) or for one logit (n,2): written out, for finite logits."""
    z = model.logits(theta, x)
    z = np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def residuals(model, theta, x, y):
    """p - y for every logit, (n,k): the derivative of the loss in the logits."""
    p = probabilities(model, theta, x)
    wanted = np.eye(p.shape[1])[np.asarray(y, int)]
    return (p - wanted)[:, 1:] if model.sizes[-1] == 1 else p - wanted


def same_pattern(model, thetas, x):
    """Whether no ReLU switches on or off between some parameters: along such a path the network is smooth."""
    patterns = []
    for theta in thetas:
        a, signs = x, []
        for W, b in model.layers(theta)[:-1]:
            a = np.maximum(a @ W + b, 0)
            signs.append(a > 0)
        patterns.append(np.concatenate([s.ravel() for s in signs]) if signs else np.zeros(0, bool))
    return all((pattern == patterns[0]).all() for pattern in patterns)
