"""What a table shows, in words: the problem with its digits, preset, seeds, selection rule, and what one must know."""

import numpy as np

from ..data import shown
from .judging import MAJORITY, majority
from .matching import matching
from .tables import FEW


def caption(configs, problem, selection="last", others=()):
    """What the table shows, in words: problem with its digits, preset, seeds and selection rule. `others` are the
    problems with other domains left out, where each is left out in turn."""
    rules = {
        "last": "the last step, nothing selected",
        "validation": "the step with the best mean accuracy on held-out rows of the training domains",
    }
    base, seeds = configs[0], sorted({config.seed for config in configs})
    notes = [note for task in (problem, *others) for note in notes_of(base, task, bool(others))]
    numbers = list(dict.fromkeys(config.domains for config in configs))
    counts = [len(domain.y) for domain in problem.train]
    same = min(counts) == max(counts)
    each = f"{counts[0]}" if same else f"{min(counts)} to {max(counts)}"
    train, test = problem.train, ", ".join(f"{domain.name} {len(domain.y)}" for domain in problem.test)
    if others:
        where = "Accuracy on the domain left out"
        rows = ", ".join(f"{task.test[0].name} {len(task.test[0].y)}" for task in [problem, *others])
    elif len(numbers) > 1:
        where, rows = "Accuracy on the test domain", f"{each} a training domain, {test}"
    elif len(train) > FEW:
        where, rows = "Accuracy", f"{each} in {'each of ' * same}{len(train)} training domains, {test}"
    else:
        where, rows = "Accuracy", ", ".join([*(f"{domain.name} {len(domain.y)}" for domain in train), test])
    many = len(seeds) > 1
    spread = ", mean +- standard deviation over seeds" * many
    if others:
        spread = ", mean over seeds; behind +- the standard error over domains and seeds"
    return (
        f"{problem.name}, preset {base.preset} ({base.convention} convention), {base.steps} steps, "
        f"seed{'s' if many else ''} {', '.join(map(str, seeds))}. "
        f"{where} in percent{spread}; {rules[selection]}. "
        f"Rows: {rows}." + "".join(f" {words}." for words in dict.fromkeys([*notes, *matching(configs)]))
    )


def notes_of(config, problem, several):
    """What one must know about classes and columns, a sentence each; with `several` problems also of which."""
    where = f"With {problem.test[0].name} left out: " if several else ""
    yield from (*own_labels(problem), *unseen_classes(problem))
    yield from (f"{where}{note}" for note in (*lacking_classes(problem), *constant(problem)))
    yield from units(config, problem)


def label_of(problem, c):
    """What class c is called."""
    return problem.labels[c] if len(problem.labels) else c


def own_labels(problem):
    """Which labels the classes stand for, where they are others."""
    if list(problem.labels) != [*range(len(problem.labels))]:
        yield f"Labels: {shown(problem.labels, FEW)}"


def constant(problem):
    """For own data, what the constant predictor in the table says."""
    if len(problem.labels):
        yield f"{MAJORITY} always says {label_of(problem, majority(problem)[0])}, which most training rows have"


def unseen_classes(problem):
    """A sentence for each class that a test domain has and no training domain: nobody could learn it."""
    seen = set(np.concatenate([domain.y for domain in problem.train]).tolist())
    for domain in problem.test:
        classes, counts = np.unique(domain.y, return_counts=True)
        for c, share in zip(classes.tolist(), counts / len(domain.y), strict=True):
            if c not in seen:
                words = f"No training domain has label {label_of(problem, c)}"
                yield f"{words}, which {100 * share:.3g} % of the rows of {domain.name} have"


def lacking_classes(problem):
    """A sentence for each of a few training domains that lack a class, with its share of the other training rows."""
    lacking = []
    for domain in problem.train if len(problem.labels) else []:
        # a domain alone has no others, and lacks nothing that it has
        others = np.concatenate([other.y for other in problem.train if other is not domain] or [domain.y])
        absent = sorted({*others.tolist()} - {*domain.y.tolist()})
        shares = [f"{label_of(problem, c)} ({100 * np.mean(others == c):.3g} %)" for c in absent]
        if absent:
            lacking.append(f"Training domain {domain.name} lacks {shown(shares, FEW)}, in brackets the share elsewhere")
    yield from lacking[:FEW]
    if lacking[FEW:]:
        yield f"{len(lacking) - FEW} more training domains lack a class"


def units(config, problem):
    """For own data: how x was standardized and which columns are left out; or that it was used as it came, where the
    columns differ so much that their units decide."""
    if config.dataset != "own":
        return
    if problem.pixels:
        yield "x were bytes and are divided by 255"
    if config.balanced:
        yield "Classes weigh equally in the risk: rows of rarer ones come several times"
    if config.standardized:
        scaling, each = problem.scaling, "channel" if problem.shape else "column"
        yield f"x standardized: each {each} has mean 0 and standard deviation 1 in the training rows"
        dropped = sorted({*range(scaling.width)} - {*scaling.kept.tolist()})
        names = [problem.columns[number] if len(problem.columns) else number for number in dropped]
        if names:
            yield f"Left out as constant in the training rows: {shown(names, FEW)}"
        return
    spreads = np.concatenate([domain.x for domain in problem.train]).std(axis=0, dtype=np.float64)
    spreads = spreads[spreads > 0]
    if len(spreads) and spreads.max() > 100 * spreads.min():
        yield f"x as it came: the standard deviations of its columns go from {spreads.min():.2g} to {spreads.max():.2g}"
