"""Accuracies, and the rules by which a step is chosen.

A number means little without its rule. Three are in use: the last step; the best mean accuracy on held-out rows of the
training domains; and the oracle, which looks at the test domain.
"""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from .data import Domain
from .losses import checked_labels, risk
from .mlp import MLP


def predictions(model, theta, x):
    """The most likely label of each row, (d,), (n,p) -> (n,)."""
    return most_likely(model.logits(theta, x))


def most_likely(logits):
    """The label with the largest probability in each row of logits, (n,k) -> (n,)."""
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)


def accuracy(model: MLP, theta: np.ndarray, domain: Domain) -> float:
    """The share of rows predicted right, in [0, 1]; ValueError for labels that logits cannot mean, or NaN logits."""
    logits = model.logits(theta, domain.x)
    if np.isnan(logits).any():
        raise ValueError(f"accuracy: domain {domain.name!r} has rows whose logits are not numbers")
    return share_right(model, most_likely(logits), domain.y)


def share_right(model, found, y):
    """The share of predictions found (n,) that are the labels y (n,), in [0, 1]."""
    return float(np.mean(found == checked_labels("accuracy", y, len(found), model.sizes[-1])))


def largest_share(found):
    """The share of the most frequent of some predictions (n,): 1 where they are all the same."""
    return float(np.unique(found, return_counts=True)[1].max() / len(found))


def accuracies(model: MLP, theta: np.ndarray, domains: Sequence[Domain]) -> dict[str, float]:
    """Domain name -> accuracy; ValueError for two domains of one name, of which only one would be told."""
    check_names(domains)
    return {domain.name: accuracy(model, theta, domain) for domain in domains}


def check_names(domains):
    """ValueError where two domains have one name."""
    names = [domain.name for domain in domains]
    if len(set(names)) < len(names):
        raise ValueError(f"accuracies: domain names repeat: {names}")


def worst_domain(by_name):
    """(name, accuracy) of the domain with the lowest accuracy."""
    return min(by_name.items(), key=lambda item: item[1])


def first_nonfinite(model, theta, domains):
    """The name of the first domain whose risk is not finite, or None."""
    return next((d.name for d in domains if not np.isfinite(risk(model, theta, d.x, d.y))), None)


def measured(history, metric):
    """Step -> domain -> value of a metric, steps in order."""
    found = {}
    for row in history:
        if row.metric == metric:
            found.setdefault(row.step, {})[row.domain] = row.value
    return dict(sorted(found.items()))


def last_step(history):
    """The last step that has accuracies: no selection at all."""
    return max(measured(history, "accuracy"))


def validation_scores(history):
    """Step -> mean accuracy on held-out rows of the training domains."""
    return {step: fmean(values.values()) for step, values in measured(history, "validation accuracy").items()}


def validation_step(history):
    """The step with the best mean accuracy on held-out rows of the training domains, the first of equals."""
    scores = validation_scores(history)
    return max(scores, key=scores.get)


SELECTION = {"last": last_step, "validation": validation_step}
