"""Exercises of lesson 2: one gradient per sample."""

import numpy as np

from ..gradients import inputs_and_deltas, per_sample_gradients
from .exercise import Exercise, network, numbers, whole


def factors(draw):
    """Inputs and deltas of one layer."""
    n, i, j = (draw(whole(1, 3)) for _ in range(3))
    return {"a": draw(numbers(n, i)), "delta": draw(numbers(n, j))}


def outer_products(a, delta):
    """The definition, sample by sample."""
    return np.stack([np.outer(one, other).ravel() for one, other in zip(a, delta, strict=True)])


def last_delta(model, theta, x, y):
    """The delta of the logits."""
    return inputs_and_deltas(model, theta, x, y)[-1][1]


EXERCISES = {
    "outer_products": Exercise(
        factors,
        outer_products,
        "the gradient in W of every sample, (n,in), (n,out) -> (n, in * out), row-major as in theta",
        "G[i] is the outer product of a[i] and delta[i]. Put a new axis at the end of a and in the middle of delta.",
    ),
    "second_moment": Exercise(
        factors,
        lambda a, delta: np.mean(outer_products(a, delta) ** 2, axis=0),
        "the mean over samples of the squared gradients in W, (n,in), (n,out) -> (in * out,), in one matrix product",
        "(a_i delta_i)^2 = a_i^2 delta_i^2, so that the sum over i is a product of two matrices. Divide by n; ravel.",
    ),
    "variance": Exercise(
        factors,
        lambda a, delta: np.var(outer_products(a, delta), axis=0),
        "the variance over samples (divided by n) of the gradients in W, (n,in), (n,out) -> (in * out,)",
        "Mean of the squares minus square of the mean. Both are a matrix product divided by n.",
    ),
    "last_delta": Exercise(
        network,
        last_delta,
        "the derivative of every sample's logistic loss in its logit, (n,1), for a network with one logit",
        "It is p - y with p = 1 / (1 + exp(-z)). model.logits(theta, x) has the shape (n,1); y has (n,).",
    ),
    "norms": Exercise(
        network,
        lambda *case: np.sum(per_sample_gradients(*case) ** 2, axis=1),
        "the squared length of every sample's gradient in all of theta, (n,), without any array of shape (n,d)",
        "||a delta^T||^2 = ||a||^2 ||delta||^2 for each layer's W, and ||delta||^2 for its b; sum over the layers.",
    ),
}
