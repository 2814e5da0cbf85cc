"""Exercises of lesson 8: comparing."""

from itertools import combinations

import numpy as np

from ..checkpoints import Row
from ..evaluate import validation_step
from ..sweeps import expected_best, ranks
from .draws import numbers, whole
from .exercise import Exercise


def seeds(draw):
    """One number a seed."""
    return {"values": draw(numbers(draw(whole(2, 4))))}


def standard_error(values):
    """The variance from the differences of all pairs."""
    n = len(values)
    variance = sum((a - b) ** 2 for a, b in combinations(values, 2)) / (n * (n - 1))
    return np.sqrt(variance / n)


def curves(draw):
    """Accuracies on held-out rows of the training domains and on the test domain, at some steps."""
    t, m = draw(whole(1, 3)), draw(whole(2, 3))
    return {
        "steps": np.cumsum(draw(whole(1, 3, t))),
        "held_out": draw(numbers(t, m, low=0)),
        "test": draw(numbers(t, low=0)),
    }


def chosen_step(steps, held_out, test):
    """The package's rule on a history, and what the test domain's curve says there."""
    at = dict(zip(steps, test, strict=True))
    history = [
        Row(step, str(e), "validation accuracy", v)
        for step, row in zip(steps, held_out, strict=True)
        for e, v in enumerate(row)
    ]
    step = validation_step(history)
    return [step, at[step]]


def draws(draw):
    """The scores of some draws, all different, their accuracies, and how many of them one can afford."""
    n = draw(whole(1, 4))
    scores = np.argsort(draw(numbers(n)), kind="stable") / 2
    return {"scores": scores, "accuracies": draw(numbers(n, low=0)), "k": draw(whole(1, n))}


def statistics(draw):
    """A statistic of each domain, a matrix."""
    return {"phi": draw(numbers(draw(whole(2, 3)), 2, draw(whole(1, 2))))}


def dispersion(phi):
    """The squared distances of all pairs, over m, are the squared distances from the mean."""
    pairs = sum(np.sum((a - b) ** 2) for a, b in combinations(phi, 2)) / len(phi)
    total = sum(np.sum(one**2) for one in phi)
    return pairs / total if total else 0.0


RECALL = ()

EXERCISES = {
    "standard_error": Exercise(
        seeds,
        standard_error,
        "the standard error of the mean of one number a seed, (s,) -> (), from the standard deviation with s - 1",
        (
            "The standard deviation of the mean of s numbers is that of one number over sqrt(s). np.std(values, ddof=1).",
        ),
        {},
    ),
    "tied_ranks": Exercise(
        lambda draw: {"means": draw(numbers(draw(whole(1, 4))))},
        lambda means: list(ranks(dict(enumerate(means))).values()),
        "the rank of each number, (n,) -> (n,): 1 for the highest; equal numbers have equal ranks",
        ("A rank is 1 + how many numbers are higher. means[:, None] compares each with each.",),
        {},
    ),
    "chosen_step": Exercise(
        curves,
        chosen_step,
        "the step that training-domain validation chooses, the first of equals, and the test accuracy there: "
        "steps (t,), held_out (t,m) and test (t,) -> (2,)",
        (
            "Mean over the training domains, then argmax, which gives the first of equals. Look up steps and test there.",
        ),
        {},
    ),
    "best_of_draws": Exercise(
        draws,
        lambda scores, accuracies, k: expected_best(scores, accuracies)[k - 1],
        "the mean, over all sets of k of the n draws, of the accuracy of the set's best-scored draw: "
        "(n,), (n,), k -> (); no two scores are equal",
        (
            "itertools.combinations(range(n), k) are the sets. max(one, key=lambda i: scores[i]) is the best-scored draw.",
        ),
        {},
    ),
    "dispersion": Exercise(
        statistics,
        dispersion,
        "sum_e ||phi_e - mean phi||^2 / sum_e ||phi_e||^2 for phi (m, ...) -> (); 0 where phi is all zeros",
        ("The mean is over the first axis, the sums over all of them. Mind 0 / 0.",),
        {},
    ),
}
