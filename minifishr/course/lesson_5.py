"""Exercises of lesson 5: variance, Fisher, Hessian."""

import numpy as np

from ..curvature import gauss_newton, hessian, hvp, true_fisher
from ..gradients import mean_gradient, per_sample_gradients
from .draws import numbers, one_of, smooth, unlabeled, whole
from .exercise import Exercise
from .recall import Question
from .watched import two_points

RECALL = (
    Question("c", "lesson 2, Moments without storage"),
    Question("a", "lesson 3, IRM: a number that nobody uses"),
    Question("b", "lesson 4, Where the gradients agree"),
)
MATRICES = {"true_fisher": true_fisher, "gauss_newton": gauss_newton, "hessian": hessian, "hvp": hvp}


def gradients(draw):
    """Per-sample gradients of two or three samples, or of one."""
    return {"G": draw(numbers(draw(whole(1, 3)), draw(whole(1, 3))))}


def fisher_and_covariance(G):
    """The empirical Fisher and the covariance of the gradients, (n,d) -> (2,d,d)."""
    F, g = G.T @ G / len(G), G.mean(axis=0)
    return np.stack([F, F - np.outer(g, g)])


def label_average(model, theta, x):
    """The true Fisher (d,d) of a network with one logit."""
    p = 1 / (1 + np.exp(-model.logits(theta, x)))
    zero, one = (per_sample_gradients(model, theta, x, np.full(len(x), c)) for c in (0, 1))
    return (one.T @ (p * one) + zero.T @ ((1 - p) * zero)) / len(x)


def weighted(model, theta, x, of_one):
    """The mean over labels with other weights of the label 1, of_one(p), for wrong answers."""
    p = of_one(1 / (1 + np.exp(-model.logits(theta, x))))
    zero, one = (per_sample_gradients(model, theta, x, np.full(len(x), c)) for c in (0, 1))
    return (one.T @ (p * one) + zero.T @ ((1 - p) * zero)) / len(x)


def logistic(draw):
    """Inputs and weights of a logistic regression without a bias."""
    p = draw(whole(1, 3))
    return {"x": draw(numbers(draw(whole(1, 4)), p)), "w": draw(numbers(p))}


def logistic_fisher(x, w):
    """The Fisher information of logistic regression with logits x @ w, (n,p), (p,) -> (p,p)."""
    p = 1 / (1 + np.exp(-x @ w))
    return x.T @ ((p * (1 - p))[:, None] * x) / len(x)


def squares_of(x, weights):
    """The mean of weights x x^T, for wrong answers."""
    return x.T @ (np.reshape(weights, (-1, 1)) * x) / len(x)


def batches(draw):
    """Per-sample gradients and a batch size."""
    return {**gradients(draw), "size": draw(whole(1, 3))}


def batch_square(G, size):
    """The expected square (d,) of the mean gradient of a batch."""
    return G.mean(axis=0) ** 2 + G.var(axis=0) / size


def direction(draw):
    """A ReLU network away from its kinks, a domain, and a direction."""
    case = smooth(draw, (2, 2, 1), (1, 2, 1), (2, 1))
    return {**case, "v": draw(numbers(case["model"].d)) + 0.25}


def hessian_times(model, theta, x, y, v, h=1e-5):
    """The Hessian of the risk times v, (d,)."""
    above, below = (mean_gradient(model, theta + s * v, x, y) for s in (h, -h))
    return (above - below) / (2 * h)


EXERCISES = {
    "fisher_and_covariance": Exercise(
        gradients,
        fisher_and_covariance,
        "np.stack of the empirical Fisher (d,d) and the gradient covariance (d,d), both means over the n rows of G",
        (
            "The mean over i of G_i G_i^T is a matrix product, divided by n.",
            "The covariance is that minus the outer product of the mean row with itself.",
        ),
        {
            "the covariance comes second": lambda G: fisher_and_covariance(G)[::-1],
            "the covariance is divided by n - 1": lambda G: np.stack(
                [G.T @ G / len(G), np.cov(G.T).reshape(2 * G.shape[1:])]
            ),
            "sums over the rows: divide by n": lambda G: len(G) * fisher_and_covariance(G),
            "the mean is not subtracted in the covariance": lambda G: np.stack(2 * [G.T @ G / len(G)]),
            "the mean row's outer product, not the mean of the rows'": lambda G: fisher_and_covariance(G.mean(0)[None]),
        },
    ),
    "label_average": Exercise(
        lambda draw: unlabeled(draw, draw(one_of((2, 2, 1), (2, 1)))),
        label_average,
        "the true Fisher (d,d) of a network with one logit: the mean over rows and over the model's own labels",
        (
            "Get the gradients with all labels 0 and with all labels 1.",
            "Weight the outer products of the second with p = 1 / (1 + exp(-z)), those of the first with 1 - p, add, "
            "and divide by n.",
        ),
        {
            "the weights of the two labels are swapped": lambda m, t, x: weighted(m, t, x, lambda p: 1 - p),
            "both labels have weight 1/2": lambda m, t, x: weighted(m, t, x, lambda p: 0 * p + 0.5),
            "label 1 only": lambda m, t, x: weighted(m, t, x, lambda p: 0 * p + 1),
            "the sum over rows": lambda m, t, x: len(x) * label_average(m, t, x),
            "the likelier label only, not the mean over both": lambda m, t, x: weighted(
                m, t, x, lambda p: 1.0 * (p > 0.5)
            ),
        },
        banned=MATRICES,
    ),
    "logistic_fisher": Exercise(
        logistic,
        logistic_fisher,
        "the Fisher information (p,p) of logistic regression with logits x @ w, a mean over the n rows of x",
        (
            "Each row contributes p_i (1 - p_i) x_i x_i^T.",
            "Multiply the rows of x by p (1 - p), (n,1), then one product with x^T, divided by n.",
        ),
        {
            "p (1 - p) is missing": lambda x, w: squares_of(x, np.ones(len(x))),
            "p where p (1 - p) is needed": lambda x, w: squares_of(x, 1 / (1 + np.exp(-x @ w))),
            "p (1 - p) squared": lambda x, w: squares_of(x, (1 / (2 + 2 * np.cosh(x @ w))) ** 2),
            "the sum over rows: divide by n": lambda x, w: len(x) * logistic_fisher(x, w),
            "p (1 - p) at its largest, 1/4": lambda x, w: squares_of(x, np.full(len(x), 0.25)),
        },
        banned=MATRICES,
    ),
    "batch_square": Exercise(
        batches,
        batch_square,
        "the expected square (d,) of the mean gradient of a batch of `size` rows drawn with replacement from G",
        (
            "E[b^2] = E[b]^2 + Var[b].",
            "The mean of `size` independent rows has the expectation of one row, and its variance divided by `size`.",
        ),
        {
            "the square of the mean: the variance is missing": lambda G, size: G.mean(axis=0) ** 2,
            "the variance is that of one row: divide it by size": lambda G, size: np.mean(G**2, axis=0),
            "the variance of a batch: the square of the mean is missing": lambda G, size: G.var(axis=0) / size,
            "all is divided by size, the square of the mean too": lambda G, size: np.mean(G**2, axis=0) / size,
            "the variance is divided by size^2": lambda G, size: G.mean(axis=0) ** 2 + G.var(axis=0) / size**2,
        },
    ),
    "hessian_times": Exercise(
        direction,
        hessian_times,
        "the Hessian of the risk times v, (d,), from two calls of mean_gradient and no matrix",
        (
            "How does the gradient change when theta moves along v?",
            "The gradient at theta + h v minus that at theta - h v, over 2 h, with h about 1e-5.",
        ),
        {
            "the true Fisher times v: the Hessian has one more term": lambda m, t, x, y, v: (
                gauss_newton(m, t, x, y) @ v
            ),
            "with labels 0: in a network with ReLUs the Hessian depends on the labels": lambda m, t, x, y, v: (
                hessian_times(m, t, x, 0 * y, v)
            ),
            "the Hessian of the sum, not of the mean": lambda *case: len(case[3]) * hessian_times(*case),
            "the gradient times v, entry by entry": lambda *case: mean_gradient(*case[:4]) * case[4],
            "divided by h: the two points are 2 h apart": lambda *case: 2 * hessian_times(*case),
        },
        banned=MATRICES,
        contract=lambda answer: two_points(answer, np.array([1.0, -0.5, 0.25])),
    ),
}
