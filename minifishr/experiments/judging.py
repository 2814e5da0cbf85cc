"""How classes fare: a constant predictor, balanced accuracy, the worst group, and the confusion of classes."""

from statistics import fmean

import numpy as np

from ..evaluate import SELECTION, predictions
from .measures import accuracy_rows

OF_CLASS = "accuracy of class"  # how the metrics of one class start
MAJORITY = "majority"


def class_rows(model, task):
    """A `measure` for fit: the accuracy on each class of each test domain and of the held-out rows of each other."""
    domains = [*task.validation, *task.test]

    def measure(theta):
        rows = []
        for domain in domains:
            right = predictions(model, theta, domain.x) == domain.y
            rows += [(domain.name, f"{OF_CLASS} {c}", float(right[domain.y == c].mean())) for c in np.unique(domain.y)]
        return rows

    return measure


def measures(model, task, train=True):
    """A `measure` for fit: all accuracies, for own data also those of each class."""
    rows = [accuracy_rows(model, task, train), *([class_rows(model, task)] if len(task.labels) and train else [])]
    return lambda theta: [row for part in rows for row in part(theta)]


def watching(measure):
    """The same `measure`, and a dict with the best mean validation accuracy so far, "score", and its "theta"."""
    best = {}

    def watch(theta):
        rows = measure(theta)
        values = [value for _, metric, value in rows if metric == "validation accuracy"]
        if values and fmean(values) > best.get("score", -1):
            best.update(score=fmean(values), theta=theta)
        return rows

    return watch, best


def majority(task):
    """The class that most training rows have, and (in percent) domain -> share of its rows: what a constant gets."""
    counts = np.bincount(np.concatenate([domain.y for domain in task.train]), minlength=task.classes)
    c = int(counts.argmax())
    return c, {d.name: 100 * float(np.mean(d.y == c)) for d in [*task.train, *task.test]}


def groups(result, selection):
    """Domain -> class -> accuracy in percent at the selected step."""
    step, found = SELECTION[selection](result.history), {}
    for row in result.history:
        if row.step == step and row.metric.startswith(OF_CLASS):
            found.setdefault(row.domain, {})[int(row.metric.removeprefix(OF_CLASS))] = 100 * row.value
    return found


def judged(result, task, selection):
    """{test domain: balanced accuracy}, and the worst group as (accuracy, domain, class), in percent."""
    found = groups(result, selection)
    worst = min((value, name, c) for name, by_class in found.items() for c, value in by_class.items())
    return {domain.name: float(np.mean([*found[domain.name].values()])) for domain in task.test}, worst
