"""Every domain left out in turn: one table, and whether any method is better than ERM by more than chance."""

import numpy as np

from .. import plots
from .figures import new_figure
from .judging import MAJORITY, majority
from .paired import EXACT, difference, plus_minus
from .tables import accuracies, markdown

LEVEL = 0.05  # what p must be below


def left_out_accuracies(results, selection="last"):
    """Method -> {(left-out domain, seed): accuracy on it in percent}, without the runs that failed."""
    found = {}
    for result in results:
        name, method = result.config.test_domain, found.setdefault(result.config.algorithm, {})
        if result.failure is None:
            (method[name, result.config.seed],) = accuracies([result], [name], selection)
    return found


def each_table(results, tasks, selection="last"):
    """A Markdown table: method, accuracy on each domain left out, their mean with its standard error over domains and
    seeds, and the worst domain's; the last row is a constant predictor. Then whether one is better than ERM.

    `tasks` are {domain: Problem}, one for each domain left out.
    """
    found, rows = left_out_accuracies(results, selection), []
    constant = {(name, 0): majority(task)[1][name] for name, task in tasks.items()}
    for method, values in [*found.items(), (MAJORITY, constant)]:
        by_domain = [[value for (domain, _), value in values.items() if domain == name] for name in tasks]
        means = [np.mean(part) if part else np.nan for part in by_domain]
        whole = not np.isnan(means).any()
        error = np.std([*values.values()], ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
        cells = [f"{mean:.1f}" if part else "failed" for mean, part in zip(means, by_domain, strict=True)]
        worst = f"{min(means):.1f} ({[*tasks][int(np.argmin(means))]})" if whole else "failed"
        rows.append([method, *cells, f"{np.mean(means):.1f} +- {error:.1f}" if whole else "failed", worst])
    return f"{markdown(['method', *tasks, 'mean', 'worst'], rows)}\n\n{better_than_erm(found)}"


def better_than_erm(found):
    """Whether any method is better than ERM by more than chance, in a sentence: the p-value of the signs over pairs of
    domain and seed, times the number of methods (Bonferroni), below 0.05 and a mean above ERM's."""
    values = {(name, *key): value / 100 for name, part in found.items() for key, value in part.items()}
    against = {name: difference(values, name, "erm") for name in found if name != "erm"}
    against = {name: one for name, one in against.items() if one}
    if not against:
        return "Whether a method is better than ERM is not told: there is no ERM, or nothing else, to compare."
    p = {name: min(1.0, one.p * len(against)) for name, one in against.items()}
    better = [name for name, one in against.items() if one.mean > 0 and p[name] < LEVEL]
    best = max(against, key=lambda name: (name in better, against[name].mean))
    one, exact = against[best], "exact " if against[best].pairs <= EXACT else ""
    times = f" (times {len(against)} methods, Bonferroni)" * (len(against) > 1)
    bound = min(1.0, 2.0 ** (1 - one.pairs) * len(against))
    least = f"; with {one.pairs} pairs p cannot be below {bound:.2g}" * bool(exact)
    return (
        f"{', '.join(better) or 'No method'} {'are' if len(better) > 1 else 'is'} better than ERM by more than chance: "
        f"{best} is {plus_minus(one)} points above ERM in {one.pairs} pairs of domain and seed, {exact}test of "
        f"signs p = {p[best]:.2g}{times}{least}. Seeds of one domain share its rows, so p is rather too small."
    )


def each_figure(results, tasks, title, selection="last"):
    """Bars: the accuracy of each method on each domain when it is left out, the mean over seeds."""
    found = left_out_accuracies(results, selection)
    bars = {}
    for name in tasks:
        parts = {m: [v for (domain, _), v in values.items() if domain == name] for m, values in found.items()}
        bars[plots.literal(name)] = {method: float(np.mean(part)) for method, part in parts.items() if part}
    figure, axes = new_figure(1, 1, 2.5 + 0.35 * len(tasks) * len(found), 3.4, title)
    styles = {name: plots.method_style(name, number) for number, name in enumerate(found)}
    plots.bars(axes[0, 0], bars, styles, ylabel="accuracy on the domain left out, percent", ylim=(0, 118))
    return figure
