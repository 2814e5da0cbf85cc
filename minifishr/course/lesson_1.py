"""Exercises of lesson 1: a network and its gradient."""

import numpy as np
from autograd import grad
from autograd import numpy as traced

from ..gradients import inputs_and_deltas, mean_gradient
from ..losses import losses
from ..mlp import MLP, relu
from .draws import network, numbers, whole
from .exercise import Exercise


def widths(draw):
    """Widths of some layers."""
    return {"sizes": draw(whole(1, 5, draw(whole(2, 4))))}


def some_logits(draw):
    """One logit a row, sometimes large, and labels."""
    n = draw(whole(1, 2))
    far = np.array([0.0, 40.0, -40.0, 800.0, -800.0])[draw(whole(0, 4, n))]
    return {"z": draw(numbers(n)) + far, "y": draw(whole(0, 1, n))}


def some_rows(draw):
    """Some logits a row, all large or none, and labels."""
    n, k = draw(whole(1, 3)), draw(whole(2, 4))
    return {"z": draw(numbers(n, k)) + 800.0 * draw(whole(-1, 1)), "y": draw(whole(0, k - 1, n))}


def layer(draw):
    """Inputs and parameters of one layer, and the derivative of something in its outputs."""
    n, i, j = (draw(whole(1, 3)) for _ in range(3))
    return {"x": draw(numbers(n, i)), "W": draw(numbers(i, j)), "b": draw(numbers(j)), "above": draw(numbers(n, j))}


def backward(x, W, b, above):
    """What autograd says."""

    def total(x, W, b):
        return traced.sum(relu(x @ W + b) * above)

    return np.concatenate([np.ravel(part) for part in grad(total, (0, 1, 2))(x, W, b)])


def logits_delta(z, y):
    """The deltas of a network whose logits are its inputs: W = 1, b = 0."""
    k = z.shape[1]
    theta = np.concatenate([np.eye(k).ravel(), np.zeros(k)])
    return inputs_and_deltas(MLP((k, k)), theta, z, y)[0][1]


RECALL = ()

EXERCISES = {
    "parameter_count": Exercise(
        widths,
        lambda sizes: MLP(tuple(int(size) for size in sizes)).d,
        "the number of parameters d of a network with these layer widths, (layers + 1,) -> ()",
        ("The layer from width i to width j has a W (i,j) and a b (j,).",),
        {},
    ),
    "stable_loss": Exercise(
        some_logits,
        lambda z, y: losses(z[:, None], y),
        "the logistic loss of each sample, log(1 + exp(z)) - y z, (n,), (n,) -> (n,), for logits of any size; "
        "small losses are to be right too: at z = 40 and y = 1 it is 4e-18",
        (
            "It is softplus(-z) for y = 1 and softplus(z) for y = 0, so that nothing is subtracted; "
            "softplus(z) = max(z, 0) + log1p(exp(-|z|)).",
        ),
        {},
    ),
    "softmax_delta": Exercise(
        some_rows,
        logits_delta,
        "the derivative of each sample's cross-entropy log(sum_c exp(z_c)) - z_y in its logits, (n,k), (n,) -> (n,k)",
        (
            "The probabilities minus 1 at the label. Subtract each row's largest logit before exp: nothing else changes.",
        ),
        {},
    ),
    "backward": Exercise(
        layer,
        backward,
        "the gradients of sum(relu(x W + b) * above) in x, W and b, (n,i), (i,j), (j,), (n,j) -> one vector: "
        "first x, row by row, then W, then b; the slope of ReLU at 0 is 0",
        ("delta = above * (x W + b > 0); then delta W^T, x^T delta, and the sum of delta over samples.",),
        {},
    ),
    "numerical_gradient": Exercise(
        lambda draw: network(draw, sizes=(2, 1)),
        mean_gradient,
        "the gradient of risk(model, theta, x, y) in theta by central differences, -> (d,)",
        ("For each j: (risk at theta + h e_j - risk at theta - h e_j) / 2 h. Rounding costs about 1e-16 / h.",),
        {},
    ),
}
