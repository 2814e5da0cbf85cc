"""What exercises draw: small arrays that are easy to read, networks and domains, with hypothesis' `draw`."""

import numpy as np

from ..data import Domain
from ..mlp import MLP


def numbers(*shape, low=-2, high=2):
    """A strategy: arrays of halves between low and high, which are easy to read."""
    from hypothesis import strategies as st  # not needed by those who only train
    from hypothesis.extra.numpy import arrays

    return arrays(np.float64, shape, elements=st.integers(2 * low, 2 * high).map(lambda k: k / 2))


def whole(low, high, *shape):
    """A strategy: a whole number in [low, high], or an array of them."""
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays

    one = st.integers(low, high)
    return arrays(np.int64, shape, elements=one) if shape else one


def one_of(*values):
    """A strategy: one of some values; the first is the simplest."""
    from hypothesis import strategies as st

    return st.sampled_from(values)


def network(draw, sizes=(2, 2, 1)):
    """{"model", "theta", "x", "y"}: a small network with parameters (d,) and one domain."""
    model = MLP(sizes)
    theta, domain = draw(numbers(model.d)), some_domain(draw, model)
    return {"model": model, "theta": theta, "x": domain.x, "y": domain.y}


def smooth(draw, *sizes):
    """`network` of one of some sizes, with one hidden layer at most, whose ReLUs are 1/8 or more away from their kinks.

    Products of halves are quarters, and the first biases are halves plus 1/8.
    """
    case = network(draw, draw(one_of(*sizes)))
    theta = case["theta"].copy()
    theta[case["model"].blocks["b1"]] += 0.125
    return {**case, "theta": theta}


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
