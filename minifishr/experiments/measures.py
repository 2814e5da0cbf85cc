"""What is measured on the way, as `measure(theta) -> [(domain, metric, value), ...]` for fit; how rows are written."""

import json

from ..algorithms import idgm
from ..evaluate import check_names, largest_share, predictions, share_right
from ..gradients import domain_gradients

AGREEMENT = "mean inner product of domain gradients"
MOST_PREDICTED = "share of the most frequent prediction"


def accuracy_rows(model, problem, train=True):
    """A `measure` for fit: the accuracy on every domain of a problem, and on the held-out rows of either kind; and on
    each test domain the share of the most frequent prediction, which is 1 for a constant predictor.

    Without `train` the rows that are trained on are left out: most of the work, and nothing that a rule looks at.
    """
    parts = {
        "accuracy": [*(problem.train if train else []), *problem.test],
        "validation accuracy": problem.validation,
        "oracle accuracy": problem.oracle,
    }
    for part in parts.values():
        check_names(part)

    tested = [domain.name for domain in problem.test]

    def measure(theta):
        rows = []
        for metric, domain in ((metric, domain) for metric, part in parts.items() for domain in part):
            found = predictions(model, theta, domain.x)
            rows.append((domain.name, metric, share_right(model, found, domain.y)))
            if domain.name in tested and metric == "accuracy":
                rows.append((domain.name, MOST_PREDICTED, largest_share(found)))
        return rows

    return measure


def agreement_rows(model, problem):
    """A `measure` for fit: the mean inner product of the gradients of two training domains, over all pairs."""

    def measure(theta):
        _, g = domain_gradients(model, theta, problem.train)
        return [("", AGREEMENT, -float(idgm.distance(g)))]

    return measure


def write_rows(path, rows, **labels):
    """Append rows to a JSON-lines file, each with the same labels."""
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps({**labels, **row._asdict()}) + "\n" for row in rows)
