"""Where an answer looks: differences of two sides."""

import numpy as np

from ..checks import promise
from ..mlp import MLP


class Watched(MLP):
    """A network that remembers at which parameters it was asked."""

    def logits(self, theta, x):
        """The logits, (n,k)."""
        self.seen.append(plain(theta))
        return MLP.logits(self, theta, x)


def plain(theta):
    """A copy of the array in autograd's boxes: an answer may step in place."""
    while hasattr(theta, "_value"):
        theta = theta._value
    return np.array(theta)


def steps_of(answer, *more):
    """The different steps (s,3) from theta to where an answer asks a network with one layer."""
    model, rng = Watched((2, 1)), np.random.default_rng(0)
    model.seen, theta = [], rng.normal(size=3)
    answer(model, theta, rng.normal(size=(4, 2)), np.array([0, 1, 1, 0]), *more)
    return np.unique(np.array(model.seen).reshape(-1, 3) - theta, axis=0)


def two_sided(answer, *more):
    """AssertionError unless an answer moves each coordinate, and looks at theta - s wherever it looks at theta + s."""
    steps = steps_of(answer, *more)
    paired = [np.any(np.all(np.abs(step + steps) < 1e-14, axis=1)) for step in steps]
    promise(all(paired), "for each step there is one to the other side", "a difference on one side")
    still = 3 - np.count_nonzero(np.any(steps != 0, axis=0))
    promise(not still, "a step in each coordinate of theta", f"none in {still} of 3 coordinates, so no difference")


def two_points(answer, direction):
    """AssertionError unless an answer looks at two points alone, theta + s and theta - s."""
    two_sided(answer, direction)
    points = len(steps_of(answer, direction))
    promise(points == 2, "two calls of mean_gradient, at two points", f"calls at {points} points")
