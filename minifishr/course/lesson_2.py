"""Exercises of lesson 2: one gradient per sample."""

import numpy as np

from ..gradients import inputs_and_deltas, per_sample_gradients
from ..mlp import MLP
from .draws import network, numbers, one_of, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question(11, "lesson 1, All parameters are one vector"),
    Question("b", "lesson 1, A loss that is right everywhere"),
    Question("a", "lesson 0, Both together"),
)


def factors(draw):
    """Inputs and deltas of one layer."""
    n, i, j = (draw(whole(1, 3)) for _ in range(3))
    return {"a": draw(numbers(n, i)), "delta": draw(numbers(n, j))}


def many_factors():
    """300 rows: their stored gradients have 6 MB."""
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(300, 50)), "delta": rng.normal(size=(300, 50))}


def layers(draw):
    """A network of one to three layers and a domain."""
    return network(draw, draw(one_of((2, 2, 1), (2, 1), (2, 3, 2, 1))))


def many_rows():
    """300 rows and a network with 2 601 parameters: their stored gradients have 6 MB."""
    model, rng = MLP((49, 50, 1)), np.random.default_rng(0)
    return {"model": model, "theta": model.init(rng), "x": rng.normal(size=(300, 49)), "y": rng.integers(0, 2, 300)}


def outer_products(a, delta):
    """The gradient in W of every sample, (n,in), (n,out) -> (n, in * out)."""
    return (a[:, :, None] * delta[:, None, :]).reshape(len(a), -1)


def second_moment(a, delta):
    """The mean of the squared gradients in W, (n,in), (n,out) -> (in * out,)."""
    return ((a**2).T @ delta**2).ravel() / len(a)


def variance(a, delta):
    """The variance of the gradients in W, (n,in), (n,out) -> (in * out,)."""
    squares = ((a**2).T @ delta**2).ravel() / len(a)
    return squares - ((a.T @ delta).ravel() / len(a)) ** 2


def last_delta(model, theta, x, y):
    """The derivative of every loss in its logit, (n,1)."""
    p = 1 / (1 + np.exp(-model.logits(theta, x)))
    return p - y[:, None]


def norms(model, theta, x, y):
    """The squared length of every sample's gradient, (n,)."""
    pairs = inputs_and_deltas(model, theta, x, y)
    return sum(np.sum(delta**2, axis=1) * (np.sum(a**2, axis=1) + 1) for a, delta in pairs)


def squares(model, theta, x, y, bias=1, layers=None):
    """The summed squares of some layers' gradients, for wrong answers."""
    pairs = inputs_and_deltas(model, theta, x, y)[:layers]
    return sum(np.sum(delta**2, axis=1) * (np.sum(a**2, axis=1) + bias) for a, delta in pairs)


EXERCISES = {
    "outer_products": Exercise(
        factors,
        outer_products,
        "the gradient in W of every sample, (n,in), (n,out) -> (n, in * out), row-major as in theta",
        (
            "The gradient of sample i is the outer product of a[i] and delta[i].",
            "Put a new axis at the end of a and in the middle of delta, multiply, and reshape to (n, -1).",
        ),
        {
            "delta times a, which is column-major": lambda a, d: (d[:, :, None] * a[:, None]).reshape(len(a), -1),
            "the mean over samples, not one row for each": lambda a, d: (a.T @ d).ravel() / len(a),
            "shape (n,in,out): each gradient needs to be one row": lambda a, d: a[:, :, None] * d[:, None],
            "divided by n: the gradient of a sample's own loss is not": lambda a, d: outer_products(a, d) / len(a),
        },
    ),
    "second_moment": Exercise(
        factors,
        second_moment,
        "the mean over samples of the squared gradients in W, (n,in), (n,out) -> (in * out,), without any array of "
        "shape (n, in * out)",
        (
            "The square of a product is the product of the squares: (a_i delta_i)^2 = a_i^2 delta_i^2.",
            "The sum over i of a_i^2 delta_i^2 is a product of two matrices. Divide by n, and ravel.",
        ),
        {
            "the square of the mean, not the mean of the squares": lambda a, d: ((a.T @ d).ravel() / len(a)) ** 2,
            "the sum over samples: divide by n": lambda a, d: ((a**2).T @ d**2).ravel(),
            "the variance: here the mean is not subtracted": variance,
            "column-major: a comes first": lambda a, d: ((d**2).T @ a**2).ravel() / len(a),
        },
        large=(many_factors, 2_000_000),
    ),
    "variance": Exercise(
        factors,
        variance,
        "the variance over samples (divided by n) of the gradients in W, (n,in), (n,out) -> (in * out,), without any "
        "array of shape (n, in * out)",
        (
            "A variance is the mean of the squares minus the square of the mean.",
            "The mean of the squares is the exercise before; the mean is a.T @ delta / n.",
        ),
        {
            "the mean of squares, not the variance": second_moment,
            "divided by n - 1": lambda a, d: outer_products(a, d).var(axis=0, ddof=1),
            "the mean is not squared": lambda a, d: second_moment(a, d) - (a.T @ d).ravel() / len(a),
            "the standard deviation": lambda a, d: outer_products(a, d).std(axis=0),
        },
        large=(many_factors, 2_000_000),
    ),
    "last_delta": Exercise(
        network,
        last_delta,
        "the derivative of every sample's logistic loss in its logit, (n,1), for a network with one logit",
        (
            "Differentiate log(1 + exp(z)) - y z in z.",
            "It is p - y with p = 1 / (1 + exp(-z)). model.logits(theta, x) has the shape (n,1); y has (n,).",
        ),
        {
            "shape (n,n): y needs a column": lambda m, t, x, y: 1 / (1 + np.exp(-m.logits(t, x))) - y,
            "y - p: the sign": lambda m, t, x, y: y[:, None] - 1 / (1 + np.exp(-m.logits(t, x))),
            "z - y: p comes between": lambda m, t, x, y: m.logits(t, x) - y[:, None],
            "divided by n: that is the derivative of the mean loss": lambda *c: last_delta(*c) / len(c[3]),
            "shape (n,): the logits have a column": lambda *c: last_delta(*c)[:, 0],
        },
    ),
    "norms": Exercise(
        layers,
        norms,
        "the squared length of every sample's gradient in all of theta, (n,), without any array of shape (n,d)",
        (
            "||a delta^T||^2 = ||a||^2 ||delta||^2, and the bias has the gradient delta.",
            "For each (a, delta) of inputs_and_deltas: (||a||^2 + 1) ||delta||^2, row by row. Sum over the layers.",
        ),
        {
            "the biases are missing": lambda *c: squares(*c, bias=0),
            "the length, not its square": lambda *c: np.sqrt(norms(*c)),
            "the last layer is missing": lambda *c: squares(*c, layers=-1) * np.ones(len(c[3])),
            "two layers only": lambda *c: squares(*c, layers=2),
            "the mean over samples": lambda *c: norms(*c).mean(),
        },
        banned={"per_sample_gradients": per_sample_gradients},
        large=(many_rows, 2_500_000),
    ),
}
