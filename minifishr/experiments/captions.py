"""What a table shows, in words: the problem with its digits, preset, seeds, selection rule, and what one must know."""

import numpy as np

from .matching import matching
from .results import FEW


def caption(configs, problem, selection="last"):
    """What the table shows, in words: problem with its digits, preset, seeds and selection rule."""
    rules = {
        "last": "the last step, nothing selected",
        "validation": "the step with the best mean accuracy on held-out rows of the training domains",
    }
    base, seeds = configs[0], sorted({config.seed for config in configs})
    numbers = list(dict.fromkeys(config.domains for config in configs))
    train, test = problem.train, ", ".join(f"{domain.name} {len(domain.y)}" for domain in problem.test)
    if len(numbers) > 1:
        where, rows = "Accuracy on the test domain", f"{len(train[0].y)} a training domain, {test}"
    elif len(train) > FEW:
        where, rows = "Accuracy", f"{len(train[0].y)} in each of {len(train)} training domains, {test}"
    else:
        where, rows = "Accuracy", ", ".join([*(f"{domain.name} {len(domain.y)}" for domain in train), test])
    many = len(seeds) > 1
    return (
        f"{problem.name}, preset {base.preset} ({base.convention} convention), {base.steps} steps, "
        f"seed{'s' if many else ''} {', '.join(map(str, seeds))}. "
        f"{where} in percent{', mean +- standard deviation over seeds' if many else ''}; {rules[selection]}. "
        f"Rows: {rows}." + "".join(f" {words}." for words in notes(configs, problem))
    )


def notes(configs, problem):
    """What one must know to read the numbers, a sentence each."""
    yield from (*own_labels(problem), *unseen_classes(problem), *units(configs[0], problem), *matching(configs))


def label_of(problem, c):
    """What class c is called."""
    return problem.labels[c] if len(problem.labels) else c


def own_labels(problem):
    """Which labels the classes stand for, where they are others."""
    if list(problem.labels) != [*range(len(problem.labels))]:
        yield f"Labels: {', '.join(map(str, problem.labels[:FEW]))}{', ...' * (len(problem.labels) > FEW)}"


def unseen_classes(problem):
    """A sentence for each class that a test domain has and no training domain: nobody could learn it."""
    seen = set(np.concatenate([domain.y for domain in problem.train]).tolist())
    for domain in problem.test:
        classes, counts = np.unique(domain.y, return_counts=True)
        for c, share in zip(classes.tolist(), counts / len(domain.y), strict=True):
            if c not in seen:
                words = f"No training domain has label {label_of(problem, c)}"
                yield f"{words}, which {100 * share:.3g} % of the rows of {domain.name} have"


def units(config, problem):
    """For own data, that x was used as it came, where the columns differ so much that their units decide."""
    if config.dataset != "own":
        return
    spreads = np.concatenate([domain.x for domain in problem.train]).std(axis=0, dtype=np.float64)
    spreads = spreads[spreads > 0]
    if len(spreads) and spreads.max() > 100 * spreads.min():
        yield f"x as it came: the standard deviations of its columns go from {spreads.min():.2g} to {spreads.max():.2g}"
