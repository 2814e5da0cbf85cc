"""Exercises of lesson 7: matching features."""

import numpy as np

from .draws import numbers, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question(16, "lesson 6, What lambda means"),
    Question("b", "lesson 4, Signs: AND-mask and SAND-mask"),
    Question("a", "lesson 0, Where the answer comes from"),
)


def clouds(draw):
    """The features of two domains of the same width. A far row in the second keeps differences away from rounding."""
    n, k, h = draw(whole(2, 4)), draw(whole(2, 4)), draw(whole(1, 3))
    return {"a": draw(numbers(n, h)), "b": draw(numbers(k, h)) + 10 * (np.arange(k) == 0)[:, None]}


def coral_pair(a, b):
    """CORAL's penalty in both conventions, (n,h), (k,h) -> (2,)."""
    h = a.shape[1]
    covariances = np.sum((np.cov(a.T) - np.cov(b.T)) ** 2)
    means = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return [covariances / (4 * h**2), means / h + covariances / h**2]


def differences(a, b, ddof=1, p=2):
    """The summed p-th powers of the differences of covariances and of means, and h, for wrong answers."""
    covariances = np.abs(np.cov(a.T, ddof=ddof) - np.cov(b.T, ddof=ddof))
    return np.sum(covariances**p), np.sum(np.abs(a.mean(axis=0) - b.mean(axis=0)) ** p), a.shape[1]


def pair(c, m, h):
    """Both conventions from the output of `differences`, for wrong answers."""
    return [c / (4 * h**2), m / h + c / h**2]


def coral_pull(a, b):
    """Minus the gradient of the domainbed penalty in a, (n,h), (k,h) -> (n,h)."""
    return pulls(a, b)[0] + pulls(a, b)[1]


def pulls(a, b):
    """The pull of the covariances (n,h), and that of the means (h,)."""
    n, h = a.shape
    apart = np.atleast_2d(np.cov(a.T) - np.cov(b.T))
    covariances = -4 / (h**2 * (n - 1)) * (a - a.mean(axis=0)) @ apart
    return covariances, -2 / (h * n) * (a.mean(axis=0) - b.mean(axis=0))


def table(draw):
    """How often each value of a feature occurs in each domain, sometimes never."""
    counts = draw(whole(0, 9, draw(whole(2, 3)), draw(whole(1, 3))))
    counts[0, 0] += not counts.any()
    return {"counts": counts}


def best_discriminator(counts):
    """The cross-entropy of the best discriminator, (m,v) -> ()."""
    share = counts / np.maximum(counts.sum(axis=0), 1)
    surprise = -np.log(np.where(counts > 0, share, 1))  # 0 log 0 is 0
    return np.sum(counts / counts.sum() * surprise)


def entropy(counts, share):
    """The mean surprise where other shares are expected, for wrong answers."""
    return -np.sum(counts / counts.sum() * np.log(np.where(counts > 0, share, 1)))


def error_floor(shares):
    """The least mean error of a predictor that says 1 equally often in all domains, (m,) -> ()."""
    return np.mean(np.abs(shares - np.median(shares)))


EXERCISES = {
    "coral_pair": Exercise(
        clouds,
        coral_pair,
        "CORAL of the features of two domains, (n,h), (k,h) -> (2,). First the paper's: the squared differences of the "
        "covariances, summed, / (4 h^2). Then domainbed's: those of the means / h and those of the covariances / h^2. "
        "Covariances have 1/(n-1)",
        (
            "The covariance of centered rows a is a.T @ a / (len(a) - 1), (h,h). The domains have unequal sizes.",
            "np.sum((C - D) ** 2) and np.sum of the squared difference of the means; then the divisors.",
        ),
        {
            "covariances divided by n, not by n - 1": lambda a, b: pair(*differences(a, b, ddof=0)),
            "DomainBed's has the means too": lambda a, b: [differences(a, b)[0] / a.shape[1] ** 2 / f for f in (4, 1)],
            "the paper's is divided by 4 h^2": lambda a, b: np.array(coral_pair(a, b)) * [4, 1],
            "absolute differences: they are squared": lambda a, b: pair(*differences(a, b, p=1)),
            "the two are in the other order": lambda a, b: coral_pair(a, b)[::-1],
        },
    ),
    "coral_pull": Exercise(
        clouds,
        coral_pull,
        "minus the gradient of the domainbed penalty in the features of the first domain, (n,h), (k,h) -> (n,h)",
        (
            "The covariances give -4 / (h^2 (n-1)) times (a - mean) @ (difference of the covariances).",
            "The means give -2 / (h n) times their difference, the same in every row.",
        ),
        {
            "the gradient, not minus it": lambda a, b: -coral_pull(a, b),
            "the pull of the covariances only": lambda a, b: pulls(a, b)[0],
            "the pull of the means only": lambda a, b: pulls(a, b)[1] + 0 * a,
            "a covariance has a twice: 4, not 2": lambda a, b: pulls(a, b)[0] / 2 + pulls(a, b)[1],
            "the mean has 1/n: a row moves it by that": lambda a, b: pulls(a, b)[0] + pulls(a, b)[1] * len(a),
        },
    ),
    "best_discriminator": Exercise(
        table,
        best_discriminator,
        "the cross-entropy of the best discriminator, averaged over all rows of all domains. counts[e, v] says in how "
        "many rows of domain e the feature has the value v, (m,v) -> (). A count may be 0",
        (
            "The best discriminator says counts[e, v] / (sum over e of counts[e, v]).",
            "Weigh minus its logarithm by counts / counts.sum(). Where a count is 0 nothing is added.",
        ),
        {
            "0 log 0 is NaN: where a count is 0 nothing is added": lambda counts: (
                -np.sum(counts / counts.sum() * np.log(counts / counts.sum(axis=0)))
            ),
            "in bits: the loss has the natural logarithm": lambda counts: best_discriminator(counts) / np.log(2),
            "the entropy of the domain, as if the feature were unknown": lambda counts: entropy(
                counts, counts.sum(axis=1, keepdims=True) / counts.sum()
            ),
            "the share of the value in the domain, not of the domain at the value": lambda counts: entropy(
                counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            ),
            "the sum over rows, not their mean": lambda counts: best_discriminator(counts) * counts.sum(),
        },
    ),
    "error_floor": Exercise(
        lambda draw: {"shares": draw(whole(0, 10, draw(whole(2, 4)))) / 10},
        error_floor,
        "the least mean error over domains of a predictor that says 1 equally often in all of them, where domain e has "
        "the share shares[e] of ones, (m,) -> ()",
        (
            "If it says 1 with the share q, its error in domain e is at least |shares[e] - q|.",
            "The mean of |shares - q| is smallest where q is the median of the shares.",
        ),
        {
            "q is the mean: the median is better": lambda s: np.mean(np.abs(s - s.mean())),
            "the sum over domains, not the mean": lambda s: np.sum(np.abs(s - np.median(s))),
            "the worst domain, not the mean": lambda s: (s.max() - s.min()) / 2,
            "squared differences: an error is a share of rows": lambda s: s.var(),
        },
    ),
}
