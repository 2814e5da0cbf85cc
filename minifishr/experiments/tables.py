"""Tables of what some runs gave: accuracies, how classes fare, what has become equal."""

import numpy as np
from tabulate import tabulate

from ..evaluate import SELECTION, measured
from .judging import MAJORITY, judged, majority
from .presets import DISPERSION

FEW = 6  # training domains that a table or figure shows one by one


def by_method(results):
    """Method -> its results without the failed ones, in the order of the plan."""
    names = dict.fromkeys(result.config.algorithm for result in results)
    return {n: [r for r in results if r.config.algorithm == n and r.failure is None] for n in names}


def by_size(results):
    """Number of training domains -> the results with it; one entry where the data set decides."""
    sizes = dict.fromkeys(result.config.domains for result in results)
    return {n: [r for r in results if r.config.domains == n] for n in sizes}


def shown(problem):
    """The `labels` of a problem's domains."""
    return labels(*([domain.name for domain in part] for part in (problem.train, problem.test)))


def labels(train, test):
    """What a table or figure shows: label -> names of domains, many training domains as their mean; the first of `test`
    is the one that is left out."""
    parts = {n: [n] for n in train} if len(train) <= FEW else {f"mean of {len(train)} training domains": train}
    first = test[0] if test[0] == "test" else f"{test[0]} (test)"
    while first in {*parts, *test[1:]}:  # somebody's domain may be called so
        first += " (test)"
    return parts | {n: [test[0] if n == first else n] for n in (first, *test[1:])}


def table(results, problem, selection="last", seconds=True):
    """A Markdown table: method, accuracy on each domain in percent (mean +- standard deviation), and, unless `seconds`
    is false, the mean time that a run took to train.

    Where the number of training domains varies, the columns are these numbers and the accuracy is the test domain's.
    For own data the last row is a constant predictor.
    """
    sizes = by_size(results)
    if len(sizes) > 1:
        columns = {f"{n} domains": (part, [problem.test[0].name]) for n, part in sizes.items()}
    else:
        columns = {label: (results, names) for label, names in shown(problem).items()}
    rows = []
    for name, group in by_method(results).items():
        cells = [spread(accuracies(by_method(part)[name], names, selection)) for part, names in columns.values()]
        time = f"{np.mean([r.seconds for r in group]):.1f}" if group else "failed"
        rows.append([name, *cells, time] if seconds else [name, *cells])
    if len(problem.labels):
        shares = majority(problem)[1]
        cells = [f"{np.mean([shares[name] for name in names]):.1f}" for _, names in columns.values()]
        rows.append([MAJORITY, *cells, *[""] * seconds])
    return markdown(["method", *columns, "seconds"] if seconds else ["method", *columns], rows)


def markdown(header, body, align=None):
    """A Markdown table, `aligned` unless said; what would end a cell, a bar in a name, is escaped."""
    head, *rows = [[f"{cell}".replace("|", r"\|") for cell in row] for row in (header, *body)]
    return tabulate(rows, head, tablefmt="github", colalign=align or aligned(header), disable_numparse=True)


def aligned(header):
    """Names to the left, numbers to the right."""
    return ["left", *["right"] * (len(header) - 1)]


def judged_table(results, tasks, selection="last"):
    """A Markdown table of own data: balanced accuracy on the domains left out and accuracy of the worst group, a class
    in a domain, in percent, mean +- standard deviation over seeds; the group is the one that most seeds name.

    `tasks` are {domain left out: Problem}; of several, a seed's worst group is the worst of its runs.
    """
    names = [domain.name for task in tasks.values() for domain in task.test]
    labels = next(iter(tasks.values())).labels
    rows = []
    for method, group in by_method(results).items():
        found = [judged(result, tasks[result.config.test_domain], selection) for result in group]
        balanced = [spread([by_domain[name] for by_domain, _ in found if name in by_domain]) for name in names]
        worst = {}  # seed -> its worst group
        for result, (_, group_of_run) in zip(group, found, strict=True):
            seed = result.config.seed
            worst[seed] = min(worst.get(seed, group_of_run), group_of_run)
        which = [f"{labels[c]} in {domain}" for _, domain, c in worst.values()]
        most = max(which, key=which.count) if which else "failed"
        rows.append([method, *balanced, spread([value for value, _, _ in worst.values()]), most])
    headers = ["method", *(f"{name}, balanced" for name in names), "worst group", "which"]
    text = markdown(headers, rows, [*aligned(headers[:-1]), "left"])
    return (
        f"{text}\n\nBalanced: the mean over classes of the accuracy on each. Worst group: the class and domain with "
        "the lowest accuracy, on held-out rows of the training domains and on the domains left out."
    )


def invariance_matrix(results):
    """Method ("untrained" first) -> statistic -> its dispersion over training domains, the mean over seeds; NaN where
    no run of the method has measured it, as in records older than the statistic."""
    last = {"untrained": (results, 0)}
    last |= {name: (group, None) for name, group in by_method(results).items() if group}
    found = {}
    for name, (group, step) in last.items():
        rows = [row for r in group for row in r.history if row.metric.startswith(DISPERSION)]
        rows = [row for row in rows if (row.step == 0) == (step == 0)]
        values = {}
        for row in rows:
            values.setdefault(row.metric.removeprefix(DISPERSION).strip(), []).append(row.value)
        found[name] = {statistic: float(np.mean(each)) for statistic, each in values.items()}
    statistics = dict.fromkeys(statistic for values in found.values() for statistic in values)
    return {name: {s: values.get(s, np.nan) for s in statistics} for name, values in found.items() if values}


def invariance_table(results, which="mean over seeds"):
    """The invariance matrix as a Markdown table with the sentence that says what it shows, and of which runs."""
    matrix = invariance_matrix(results)
    statistics = list(next(iter(matrix.values())))
    rows = [
        [name, *("" if np.isnan(values[s]) else f"{values[s]:.2g}" for s in statistics)]
        for name, values in matrix.items()
    ]
    text = markdown(["trained with", *statistics], rows)
    return (
        f"{text}\n\nDispersion over the training domains, sum_e ||phi_e - mean phi||^2 / sum_e ||phi_e||^2 of each "
        f"statistic phi: 0 where the domains agree, 1 where their mean is zero. Last step, {which}."
    )


def accuracies(group, names, selection="last"):
    """The mean accuracy on some domains at the selected step, in percent, one number a run."""
    at = [measured(r.history, "accuracy")[SELECTION[selection](r.history)] for r in group]
    return [100 * float(np.mean([values[name] for name in names])) for values in at]


def spread(values):
    """Mean and standard deviation over seeds (ddof 1) as text."""
    if not values:
        return "failed"
    return f"{np.mean(values):.1f}" + (f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")
