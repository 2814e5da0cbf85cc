"""Exercises of lesson 1: a network and its gradient."""

import numpy as np
from autograd.core import make_vjp

from ..losses import risk
from .draws import numbers, one_of, smooth, whole
from .exercise import Exercise
from .recall import Question
from .watched import two_sided

RECALL = (
    Question(85, "lesson 0, What 75 %, 85 % and 10 % mean"),
    Question("a", "lesson 0, Both together"),
    Question("c", "lesson 0, Where the answer comes from"),
)
AUTOGRAD = {"autograd": make_vjp}


def widths(draw):
    """Widths of some layers."""
    return {"sizes": draw(whole(1, 5, draw(whole(2, 4))))}


def parameter_count(sizes):
    """The number of parameters of a network with these layer widths, (layers + 1,) -> ()."""
    sizes = np.array(sizes)
    return np.sum((sizes[:-1] + 1) * sizes[1:])


def some_logits(draw):
    """One logit a row, sometimes large, and labels."""
    n = draw(whole(1, 2))
    far = np.array([0.0, 40.0, -40.0, 800.0, -800.0])[draw(whole(0, 4, n))]
    return {"z": draw(numbers(n)) + far, "y": draw(whole(0, 1, n))}


def stable_loss(z, y):
    """The logistic loss of each sample, (n,), (n,) -> (n,)."""
    z = np.where(y == 1, -z, z)
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def some_rows(draw):
    """Some logits a row, large in some rows, and in some places of a row, and labels."""
    n, k = draw(whole(1, 3)), draw(whole(2, 4))
    far = 800.0 * (draw(whole(-1, 1, n, 1)) + draw(whole(-1, 1, n, k)))
    return {"z": draw(numbers(n, k)) + far, "y": draw(whole(0, k - 1, n))}


def softmax_delta(z, y):
    """The derivative of each sample's cross-entropy in its logits, (n,k), (n,) -> (n,k)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) - np.eye(z.shape[1])[y]


def softmax(z, y, axis=1, top=0.0):
    """A softmax over some axis without a largest logit in each row, for wrong answers."""
    e = np.exp(z - top)
    return e / e.sum(axis=axis, keepdims=True) - np.eye(z.shape[1])[y]


def layer(draw):
    """Inputs and parameters of one layer, and the derivative of something in its outputs."""
    n, i, j = (draw(whole(1, 3)) for _ in range(3))
    return {"x": draw(numbers(n, i)), "W": draw(numbers(i, j)), "b": draw(numbers(j)), "above": draw(numbers(n, j))}


def backward(x, W, b, above):
    """The gradients of sum(relu(x W + b) * above) in x, W and b, one after the other."""
    return all_three(x, W, above * (x @ W + b > 0))


def all_three(x, W, delta):
    """The gradients in x, W and b from the delta of a layer."""
    return np.concatenate([(delta @ W.T).ravel(), (x.T @ delta).ravel(), delta.sum(axis=0)])


def some_network(draw):
    """A network with one hidden layer or none, away from its kinks, and a domain."""
    return smooth(draw, draw(one_of((2, 1), (1, 2, 1), (3, 1), (2, 2, 1))))


def numerical_gradient(model, theta, x, y, h=1e-5):
    """The gradient of the risk in theta by central differences, -> (d,)."""
    steps = h * np.eye(model.d)
    return [(risk(model, theta + s, x, y) - risk(model, theta - s, x, y)) / (2 * h) for s in steps]


EXERCISES = {
    "parameter_count": Exercise(
        widths,
        parameter_count,
        "the number of parameters d of a network with these layer widths, (layers + 1,) -> ()",
        (
            "The layer from width i to width j has a W (i,j) and a b (j,).",
            "Each layer has (i + 1) j parameters. Sum over the pairs of neighbors in sizes.",
        ),
        {
            "the biases are missing": lambda sizes: np.sum(sizes[:-1] * sizes[1:]),
            "the inputs have no biases": lambda sizes: np.sum(sizes[:-1] * sizes[1:]) + np.sum(sizes),
            "one bias a layer: there is one for each output": lambda sizes: np.sum(sizes[:-1] * sizes[1:] + 1),
            "the first layer only": lambda sizes: parameter_count(sizes[:2]),
        },
    ),
    "stable_loss": Exercise(
        some_logits,
        stable_loss,
        "the logistic loss of each sample, log(1 + exp(z)) - y z, (n,), (n,) -> (n,), for logits of any size; "
        "small losses are to be right too: at z = 40 and y = 1 it is 4e-18",
        (
            "It is softplus(-z) for y = 1 and softplus(z) for y = 0, so that nothing is subtracted.",
            "softplus(z) = max(z, 0) + log1p(exp(-|z|)): exp never overflows, and log1p keeps small numbers.",
        ),
        {
            "the textbook formula: exp overflows at 800": lambda z, y: np.log(1 + np.exp(z)) - y * z,
            "a difference of large numbers: small losses are lost": lambda z, y: np.logaddexp(0, z) - y * z,
            "the signs of the labels are swapped": lambda z, y: stable_loss(z, 1 - y),
            "the mean: each sample has its own loss": lambda z, y: stable_loss(z, y).mean(),
        },
        exact=True,
    ),
    "softmax_delta": Exercise(
        some_rows,
        softmax_delta,
        "the derivative of each sample's cross-entropy log(sum_c exp(z_c)) - z_y in its logits, (n,k), (n,) -> (n,k)",
        (
            "The probabilities, minus 1 at the label.",
            "Subtract each row's own largest logit before exp: nothing else changes. z.max(axis=1, keepdims=True).",
        ),
        {
            "exp overflows: subtract each row's largest logit": softmax,
            "each row's mean is subtracted, and exp still overflows: subtract its largest logit": lambda z, y: softmax(
                z, y, top=z.mean(axis=1, keepdims=True)
            ),
            "one maximum for all rows: each row has its own": lambda z, y: softmax(z, y, top=z.max()),
            "the label is not subtracted": lambda z, y: softmax_delta(z, y) + np.eye(z.shape[1])[y],
            "divided by n: that is the derivative of the mean": lambda z, y: softmax_delta(z, y) / len(y),
            "the probabilities add up over samples: they add up over classes": lambda z, y: softmax(
                z, y, axis=0, top=z.max(axis=0)
            ),
        },
    ),
    "backward": Exercise(
        layer,
        backward,
        "the gradients of sum(relu(x W + b) * above) in x, W and b, (n,i), (i,j), (j,), (n,j) -> one vector: "
        "first x, row by row, then W, then b; the slope of ReLU at 0 is 0",
        (
            "First the derivative in x W + b: delta = above * (x W + b > 0).",
            "Then delta W^T, x^T delta, and the sum of delta over samples; ravel each, and concatenate.",
        ),
        {
            "the slope of ReLU is missing": lambda x, W, b, above: all_three(x, W, above),
            "the slope of ReLU at 0 is 0, not 1": lambda x, W, b, above: all_three(x, W, above * (x @ W + b >= 0)),
            "multiplied by the output of ReLU, not by its slope": lambda x, W, b, above: all_three(
                x, W, above * np.maximum(x @ W + b, 0)
            ),
            "the bias is forgotten before ReLU": lambda x, W, b, above: all_three(x, W, above * (x @ W > 0)),
        },
        banned=AUTOGRAD,
    ),
    "numerical_gradient": Exercise(
        some_network,
        numerical_gradient,
        "the gradient of risk(model, theta, x, y) in theta by central differences, -> (d,)",
        (
            "For each coordinate j: step to both sides, and divide by the distance of the two points.",
            "(risk at theta + h e_j - risk at theta - h e_j) / 2 h. Rounding costs about 1e-16 / h, curvature h^2.",
        ),
        {
            "divided by h: the two points are 2 h apart": lambda *c: 2 * np.array(numerical_gradient(*c)),
            "the gradient of the sum, not of the mean": lambda *c: len(c[3]) * np.array(numerical_gradient(*c)),
            "a step that is too long": lambda *c: numerical_gradient(*c, h=0.1),
            "the sign": lambda *c: -np.array(numerical_gradient(*c)),
        },
        banned=AUTOGRAD,
        contract=two_sided,
    ),
}
