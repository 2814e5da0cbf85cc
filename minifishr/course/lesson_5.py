"""Exercises of lesson 5: variance, Fisher, Hessian."""

from itertools import product

import numpy as np

from ..curvature import gauss_newton, hvp
from ..mlp import MLP
from .draws import numbers, unlabeled, whole
from .exercise import Exercise


def gradients(draw):
    """Per-sample gradients of two or three samples, or of one."""
    return {"G": draw(numbers(draw(whole(1, 3)), draw(whole(1, 3))))}


def fisher_and_covariance(G):
    """Entry by entry."""
    d = range(G.shape[1])
    F = [[np.mean(G[:, j] * G[:, l]) for l in d] for j in d]
    return np.stack([F, np.atleast_2d(np.cov(G.T, ddof=0))])


def logistic(draw):
    """Inputs and weights of a logistic regression without a bias."""
    p = draw(whole(1, 3))
    return {"x": draw(numbers(draw(whole(1, 4)), p)), "w": draw(numbers(p))}


def logistic_fisher(x, w):
    """The block of the weights in the Gauss-Newton matrix of a network without hidden layers."""
    return gauss_newton(MLP((len(w), 1)), np.append(w, 0.0), x, None)[:-1, :-1]


def batches(draw):
    """Per-sample gradients and a batch size."""
    return {**gradients(draw), "size": draw(whole(1, 3))}


def batch_square(G, size):
    """The mean over all n^size batches."""
    every = [np.mean(G[list(rows)], axis=0) for rows in product(range(len(G)), repeat=size)]
    return np.mean(np.square(every), axis=0)


def direction(draw):
    """A logistic regression, which has no kinks, and a direction along which every logit grows."""
    model = MLP((2, 1))
    n = draw(whole(1, 3))
    return {
        "model": model,
        "theta": draw(numbers(model.d, low=-1, high=1)),
        "x": draw(numbers(n, 2, low=0)),
        "y": draw(whole(0, 1, n)),
        "v": np.append(draw(numbers(2, low=0)), 1.0),
    }


RECALL = ()

EXERCISES = {
    "fisher_and_covariance": Exercise(
        gradients,
        fisher_and_covariance,
        "np.stack of the empirical Fisher (d,d) and the gradient covariance (d,d), both means over the n rows of G",
        (
            "The mean over i of G_i G_i^T is a matrix product, divided by n. The covariance is that minus the outer "
            "product of the mean row with itself.",
        ),
        {},
    ),
    "label_average": Exercise(
        unlabeled,
        lambda model, theta, x: gauss_newton(model, theta, x, None),
        "the true Fisher (d,d) of a network with one logit: the mean over rows and over the model's own labels",
        (
            "Get the gradients with all labels 0 and with all labels 1. Weight the outer products of the second with "
            "p = 1 / (1 + exp(-z)), those of the first with 1 - p, add, and divide by n.",
        ),
        {},
    ),
    "logistic_fisher": Exercise(
        logistic,
        logistic_fisher,
        "the Fisher information (p,p) of logistic regression with logits x @ w, a mean over the n rows of x",
        (
            "Each row contributes p_i (1 - p_i) x_i x_i^T. Multiply the rows of x by p (1 - p), (n,1), then one product.",
        ),
        {},
    ),
    "batch_square": Exercise(
        batches,
        batch_square,
        "the expected square (d,) of the mean gradient of a batch of `size` rows drawn with replacement from G",
        (
            "E[b^2] = E[b]^2 + Var[b]. The mean of `size` independent rows has the expectation of one row, and its "
            "variance divided by `size`.",
        ),
        {},
    ),
    "hessian_times": Exercise(
        direction,
        hvp,
        "the Hessian of the risk times v, (d,), from two calls of mean_gradient and no matrix",
        (
            "The gradient at theta + h v minus that at theta - h v, over 2 h, with h about 1e-5. A one-sided difference "
            "is not exact enough.",
        ),
        {},
    ),
}
