"""Exercises of lesson 7: matching features."""

import numpy as np

from ..algorithms import coral
from ..checks import STEP
from .draws import numbers, whole
from .exercise import Exercise


def clouds(draw):
    """The features of two domains of the same width. A far row in the second keeps differences away from rounding."""
    n, k, h = draw(whole(2, 4)), draw(whole(2, 4)), draw(whole(1, 3))
    return {"a": draw(numbers(n, h)), "b": draw(numbers(k, h)) + 10 * (np.arange(k) == 0)[:, None]}


def moments(a):
    """The mean above the covariance, (1+h,h)."""
    return np.vstack([a.mean(axis=0), np.atleast_2d(np.cov(a.T))])


def coral_pair(a, b):
    """Both conventions, from the package."""
    phi = np.stack([moments(a), moments(b)])
    return [coral.distance(phi, convention) for convention in ("paper", "domainbed")]


def coral_pull(a, b):
    """Minus the gradient of the domainbed penalty in a, by central differences; exact up to rounding and STEP^2."""
    pull = np.zeros_like(a)
    for place in np.ndindex(*a.shape):
        plus, minus = a.copy(), a.copy()
        plus[place] += STEP
        minus[place] -= STEP
        pull[place] = (coral_pair(minus, b)[1] - coral_pair(plus, b)[1]) / (2 * STEP)
    return np.where(np.abs(pull) < 1e-8, 0, pull)  # rounding, where the clouds agree


def table(draw):
    """How often each value of a feature occurs in each domain."""
    return {"counts": draw(whole(1, 9, draw(whole(2, 3)), draw(whole(1, 3))))}


def best_discriminator(counts):
    """H(domain, feature) - H(feature): the entropy of the domain that is left when the feature is known."""

    def entropy(p):
        return -np.sum(p * np.log(p))

    p = counts / counts.sum()
    return entropy(p) - entropy(p.sum(axis=0))


def error_floor(shares):
    """The smallest mean |share - q| over all q: a piecewise linear function is smallest at one of its bends."""
    return min(np.mean(np.abs(shares - q)) for q in shares)


RECALL = ()

EXERCISES = {
    "coral_pair": Exercise(
        clouds,
        coral_pair,
        "CORAL of the features of two domains, (n,h), (k,h) -> (2,). First the paper's: the squared differences of the "
        "covariances, summed, / (4 h^2). Then domainbed's: those of the means / h and those of the covariances / h^2. "
        "Covariances have 1/(n-1)",
        (
            "Center a, and the covariance is a.T @ a / (len(a) - 1), of shape (h,h). The two domains have unequal sizes.",
        ),
        {},
    ),
    "coral_pull": Exercise(
        clouds,
        coral_pull,
        "minus the gradient of the domainbed penalty in the features of the first domain, (n,h), (k,h) -> (n,h)",
        (
            "The covariances give -4 / (h^2 (n-1)) times (a - mean) @ (difference of the covariances), the means something "
            "with 2 / (h n) that is the same in every row.",
        ),
        {},
    ),
    "best_discriminator": Exercise(
        table,
        best_discriminator,
        "the cross-entropy of the best discriminator, averaged over all rows of all domains. counts[e, v] says in how "
        "many rows of domain e the feature has the value v, (m,v) -> ()",
        (
            "The best discriminator says counts[e, v] / (sum over e of counts[e, v]). Weigh minus its logarithm by the "
            "share of the rows, counts / counts.sum().",
        ),
        {},
    ),
    "error_floor": Exercise(
        lambda draw: {"shares": draw(whole(0, 10, draw(whole(2, 4)))) / 10},
        error_floor,
        "the least mean error over domains of a predictor that says 1 equally often in all of them, where domain e has "
        "the share shares[e] of ones, (m,) -> ()",
        (
            "If it says 1 with the share q, its error in domain e is at least |shares[e] - q|. Which q makes the mean of "
            "these smallest?",
        ),
        {},
    ),
}
