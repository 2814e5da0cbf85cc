"""Exercises of lesson 8: comparing."""

from itertools import combinations, product

import numpy as np

from .draws import numbers, one_of, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question(round(float(np.log(2)), 3), "lesson 7, DANN: a discriminator as a distance"),
    Question("b", "lesson 6, What happens in training"),
    Question(0.25, "lesson 6, What happens in training"),
)


def seeds(draw):
    """One number a seed."""
    return {"values": draw(numbers(draw(whole(2, 4))))}


def standard_error(values):
    """The standard error of the mean, (s,) -> ()."""
    return np.std(values, ddof=1) / len(values) ** 0.5


def tied_ranks(means):
    """1 + how many numbers are higher, (n,) -> (n,)."""
    return 1 + np.sum(means[None, :] > means[:, None], axis=1)


def curves(draw):
    """Accuracies on held-out rows of the training domains and on the test domain, at some steps."""
    t, m = draw(whole(1, 4)), draw(one_of(2, 4))
    return {
        "steps": np.cumsum(draw(whole(1, 3, t))),
        "held_out": draw(numbers(t, m, low=0)),
        "test": draw(numbers(t, low=0)),
    }


def chosen_step(steps, held_out, test):
    """The step with the best mean accuracy on held-out rows, and the test accuracy there, -> (2,)."""
    best = np.mean(held_out, axis=1).argmax()
    return np.array([steps[best], test[best]])


def at(steps, test, best):
    """Another step, for wrong answers."""
    return np.array([steps[best], test[best]])


def draws(draw):
    """The scores of some draws, all different, their accuracies, and how many of them one can afford."""
    n = draw(whole(1, 4))
    scores = np.argsort(draw(numbers(n)), kind="stable") / 2
    return {"scores": scores, "accuracies": draw(numbers(n, low=0)), "k": draw(whole(1, n))}


def best_of_draws(scores, accuracies, k):
    """The mean over all sets of k draws of the accuracy of the best-scored one, (n,), (n,), () -> ()."""
    sets = combinations(range(len(scores)), k)
    return np.mean([accuracies[max(one, key=lambda i: scores[i])] for one in sets])


def statistics(draw):
    """A statistic of each domain: a number, a vector or a matrix."""
    return {"phi": draw(numbers(draw(whole(2, 4)), *draw(one_of((), (2,), (2, 2)))))}


def dispersion(phi):
    """The share of the squares that differs between domains, (m, ...) -> ()."""
    total = np.sum(phi**2)
    return np.sum((phi - phi.mean(axis=0)) ** 2) / total if total else 0.0


EXERCISES = {
    "standard_error": Exercise(
        seeds,
        standard_error,
        "the standard error of the mean of one number a seed, (s,) -> (), from the standard deviation with s - 1",
        (
            "The standard deviation of the mean of s numbers is that of one number over sqrt(s).",
            "np.std(values, ddof=1) / len(values) ** 0.5.",
        ),
        {
            "the standard deviation with s, not with s - 1": lambda values: values.std() / len(values) ** 0.5,
            "the standard deviation of one number, not of the mean": lambda values: values.std(ddof=1),
            "divided by s, not by its root": lambda values: values.std(ddof=1) / len(values),
            "the variance: take the root": lambda values: values.var(ddof=1) / len(values),
        },
    ),
    "tied_ranks": Exercise(
        lambda draw: {"means": draw(numbers(draw(whole(1, 4))))},
        tied_ranks,
        "the rank of each number, (n,) -> (n,): 1 + how many of the numbers are higher",
        (
            "means[:, None] compares each with each.",
            "The sum over one axis of means[None, :] > means[:, None], plus 1. Which axis?",
        ),
        {
            "equal numbers get the mean of their ranks, which others use: here they get the lowest": lambda means: (
                tied_ranks(means) + (np.sum(means[None] == means[:, None], axis=1) - 1) / 2
            ),
            "1 for the lowest": lambda means: tied_ranks(-means),
            "begins with 0": lambda means: tied_ranks(means) - 1,
            "equal numbers get different ranks": lambda means: 1 + np.argsort(np.argsort(-means, kind="stable")),
            "how many are as high or higher: equal numbers count too": lambda means: np.sum(
                means[None] >= means[:, None], axis=1
            ),
        },
    ),
    "chosen_step": Exercise(
        curves,
        chosen_step,
        "the step that training-domain validation chooses, the first of equals, and the test accuracy there: "
        "steps (t,), held_out (t,m) and test (t,) -> (2,)",
        (
            "Mean over the training domains, then argmax, which gives the first of equals.",
            "best = held_out.mean(axis=1).argmax(); then steps[best] and test[best].",
        ),
        {
            "the oracle: the rule may not look at the test domain": lambda s, h, t: at(s, t, t.argmax()),
            "the number of the measurement, not the step": lambda s, h, t: at(np.arange(len(s)), t, h.mean(1).argmax()),
            "the worst training domain, not the mean": lambda s, h, t: at(s, t, h.min(axis=1).argmax()),
            "the last of equals, not the first": lambda s, h, t: at(s, t, len(s) - 1 - h.mean(axis=1)[::-1].argmax()),
            "the last step": lambda s, h, t: at(s, t, -1),
        },
    ),
    "best_of_draws": Exercise(
        draws,
        best_of_draws,
        "the mean, over all sets of k of the n draws, of the accuracy of the set's best-scored draw: "
        "(n,), (n,), k -> (); no two scores are equal",
        (
            "itertools.combinations(range(n), k) are the sets.",
            "max(one, key=lambda i: scores[i]) is the best-scored draw of a set. Average its accuracy over the sets.",
        ),
        {
            "the best accuracy of the set: that is the oracle": lambda s, a, k: best_of_draws(a, a, k),
            "the first k draws only": lambda s, a, k: a[np.argmax(s[:k])],
            "the lowest score": lambda s, a, k: best_of_draws(-s, a, k),
            "draws may repeat: in a set each is there once": lambda s, a, k: np.mean(
                [a[max(one, key=lambda i: s[i])] for one in product(range(len(s)), repeat=k)]
            ),
            "the mean score, not the mean accuracy": lambda s, a, k: best_of_draws(s, s, k),
        },
    ),
    "dispersion": Exercise(
        statistics,
        dispersion,
        "sum_e ||phi_e - mean phi||^2 / sum_e ||phi_e||^2 for phi (m, ...) -> (); 0 where phi is all zeros",
        (
            "The mean is over the first axis, the sums are over all of them.",
            "np.sum((phi - phi.mean(axis=0)) ** 2) / np.sum(phi**2), and 0.0 if the latter is 0.",
        ),
        {
            "0 / 0 is NaN": lambda phi: np.sum((phi - phi.mean(axis=0)) ** 2) / np.sum(phi**2),
            "the mean over all axes, not over domains": lambda phi: (
                np.sum((phi - phi.mean()) ** 2) / max(np.sum(phi**2), 1e-9)
            ),
            "divided by the squared length of the mean": lambda phi: (
                np.sum((phi - phi.mean(axis=0)) ** 2) / max(np.sum(phi.mean(axis=0) ** 2), 1e-9)
            ),
            "the root": lambda phi: np.sqrt(dispersion(phi)),
        },
    ),
}
