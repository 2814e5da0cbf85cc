"""The figures of a comparison: runs in, picture files out."""

import numpy as np

from .. import plots
from ..evaluate import predictions
from ..invariance import random_direction, risks_along
from .measures import AGREEMENT
from .problems import network
from .tables import accuracies, by_method, invariance_matrix, shown


def finished(results):
    """Method -> its results, for the methods that have any."""
    return {name: group for name, group in by_method(results).items() if group}


def new_figure(rows, columns, width, height, title, **options):
    """A figure without pyplot, so that no state is left behind, and its axes (rows,columns)."""
    from matplotlib.figure import Figure  # 0.3 s to import

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11, wrap=True)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def series(group, metric, domain=""):
    """Steps (t,) and values (seeds,t) of a metric."""
    per_seed = [[(r.step, r.value) for r in x.history if r.metric == metric and r.domain == domain] for x in group]
    return [step for step, _ in per_seed[0]], [[value for _, value in rows] for rows in per_seed]


def accuracy_figure(groups, problem, title):
    """Accuracy of each domain over steps, the methods side by side; many training domains as their mean."""
    figure, axes = new_figure(1, len(groups), 1.2 + 2.1 * len(groups), 3.2, title, sharey=True)
    parts, count = shown(problem), len(problem.test)
    styles = plots.domain_styles(list(parts)[:-count], list(parts)[-count:])
    for ax, (name, group) in zip(axes[0], groups.items(), strict=True):
        curves = {}
        for label, names in parts.items():
            steps, values = zip(*(series(group, "accuracy", domain) for domain in names), strict=True)
            curves[label] = np.mean(values, axis=0)
        plots.accuracy_curves(ax, steps[0], curves, styles)
        ax.set_title(name, fontsize=10)
    axes[0, 0].set_ylabel("accuracy, percent")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def domains_figure(sizes, problem, title, selection="last"):
    """Accuracy on the test domain at the selected step against the number of training domains, one curve a method."""
    figure, axes = new_figure(1, 1, 5.5, 3.6, title)
    methods, test = dict.fromkeys(name for groups in sizes.values() for name in groups), [problem.test[0].name]
    for number, name in enumerate(methods):
        values = {n: accuracies(groups[name], test, selection) for n, groups in sizes.items() if name in groups}
        plots.points(axes[0, 0], values, name, **plots.method_style(name, number))
    axes[0, 0].set(xlabel="training domains", ylabel="test accuracy, percent", ylim=(None, 102), xticks=list(sizes))
    axes[0, 0].legend(fontsize=8)
    return figure


def agreement_figure(sizes, title):
    """The mean inner product of two training domains' gradients over steps, one panel a number of domains."""
    figure, axes = new_figure(1, len(sizes), 1.6 + 2.4 * len(sizes), 3.2, title, sharey=True)
    for ax, (n, groups) in zip(axes[0], sizes.items(), strict=True):
        curves = {name: series(group, AGREEMENT) for name, group in groups.items()}
        steps, values = ({name: curve[part] for name, curve in curves.items()} for part in (0, 1))
        plots.metric_curves(ax, steps, values, "", linear=0.05)  # what is closer to zero is noise of the batches
        if n:
            ax.set_title(f"{n} training domains", fontsize=10)
    axes[0, 0].set_ylabel(AGREEMENT, fontsize=8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def objective_figure(groups, title):
    """Risk and, where there is one, penalty over steps, each method's own on one axis; minibatches in windows."""
    config = next(iter(groups.values()))[0].config
    window = config.every if config.batch else 1
    note = f" (mean of {window} steps)" if window > 1 else ""
    panels = {}
    for metric in ("risk", "penalty"):
        curves = {name: averaged(*series(group, metric), window) for name, group in groups.items()}
        panels[metric] = {name: curve for name, curve in curves.items() if len(curve[0])}
    panels = {metric: curves for metric, curves in panels.items() if curves}
    figure, axes = new_figure(1, len(panels), 1 + 4 * len(panels), 3.4, title)
    for ax, (metric, curves) in zip(axes[0], panels.items(), strict=True):
        steps, values = ({name: curve[part] for name, curve in curves.items()} for part in (0, 1))
        plots.metric_curves(ax, steps, values, {"risk": "training risk", "penalty": "own penalty"}[metric] + note)
        ax.legend(fontsize=8)
    return figure


def averaged(steps, values, window):
    """Means over windows of steps, (t,), (seeds,t) -> (t / window,), (seeds, t / window); a last part is left out."""
    size = min(window, max(len(steps), 1))
    whole = len(steps) // size * size
    parts = np.asarray(values)[:, :whole].reshape(len(values), -1, size).mean(axis=2)
    return np.asarray(steps)[:whole:size] + (size - 1) / 2, parts


def variance_figure(groups, problem, title):
    """The first two training domains' gradient variances against each other, before and after, ERM beside Fishr."""
    names = [domain.name for domain in problem.train[:2]]
    chosen = [name for name in ("erm", "fishr") if name in groups] or list(groups)[:2]
    title = f"{title}: gradient variances of the classifier's parameters"
    figure, axes = new_figure(1, 1 + len(chosen), 3.1 * (1 + len(chosen)), 3.5, title)
    shown = [groups[chosen[0]][0].variances[0], *(groups[name][0].variances[1] for name in chosen)]
    top = max(2 * np.max(v[:2]) for v in shown) or 1.0
    labels = ["before training", *(f"{name}, after" for name in chosen)]
    for ax, v, label in zip(axes[0], shown, labels, strict=True):
        plots.variance_scatter(ax, v[0], v[1], names, (top / 1e6, top))
        ax.set_title(label, fontsize=10)
    return figure


def invariance_figure(results, title):
    """The invariance matrix as a heat map."""
    matrix = invariance_matrix(results)
    statistics = list(next(iter(matrix.values())))
    figure, axes = new_figure(
        1, 1, 2 + 1.1 * len(statistics), 1.4 + 0.35 * len(matrix), f"{title}: dispersion over domains"
    )
    plots.heat_map(axes[0, 0], [list(values.values()) for values in matrix.values()], list(matrix), statistics)
    return figure


def landscape_figure(groups, problem, title):
    """Each domain's risk around two solutions along one random direction, and on the line from one to the other."""
    chosen = [name for name in ("erm", "fishr") if name in groups]
    chosen += [name for name in groups if name not in chosen]
    solutions = {name: groups[name][0].theta for name in chosen[:2]}
    model = network(groups[chosen[0]][0].config, problem)
    domains = [*problem.train, *problem.test]
    around, between = np.linspace(-1, 1, 21), np.linspace(-0.5, 1.5, 21)
    lines = {f"around {n}": (theta, random_direction(theta), around) for n, theta in solutions.items()}
    if len(solutions) == 2:
        (first, one), (second, two) = solutions.items()
        lines[f"from {first} (0) to {second} (1)"] = one, two - one, between
    figure, axes = new_figure(1, len(lines), 1.6 + 2.9 * len(lines), 3.3, title, sharey=True)
    styles = plots.domain_styles([d.name for d in problem.train], [d.name for d in problem.test])
    for ax, (label, (theta, direction, amounts)) in zip(axes[0], lines.items(), strict=True):
        plots.risk_curves(ax, amounts, risks_along(model, theta, direction, amounts, domains), styles)
        ax.set_title(label, fontsize=10)
        ax.set_xlabel("distance / length of theta" if label.startswith("around") else "position")
    axes[0, 0].set(ylabel="risk", ylim=(0, None))  # after all panels, which share this axis
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def confusion_figure(groups, problem, title):
    """What each method predicts for each class, in percent of its rows: a row of panels for each test domain."""
    columns, rows = len(groups), len(problem.test)
    side = max(1.9, 0.45 * problem.classes)
    title = f"{title}: predicted (across) for each class (down), in percent"
    figure, axes = new_figure(rows, columns, 1 + side * columns, 0.8 + side * rows, title, sharex=True, sharey=True)
    for line, domain in zip(axes, problem.test, strict=True):
        for ax, (name, group) in zip(line, groups.items(), strict=True):
            found = predictions(network(group[0].config, problem), group[0].theta, domain.x)
            plots.confusion(ax, domain.y, found, problem.labels)
            ax.set_title(f"{name}, {domain.name}", fontsize=9)
    return figure


def image_figure(problem, count=12, most=4):
    """The first images of each domain, of at most `most` training domains, with their labels."""
    domains = [*problem.train[:most], *problem.test]
    figure, axes = new_figure(len(domains), 1, 8, 0.3 + 0.95 * len(domains), problem.name)
    for ax, domain in zip(axes[:, 0], domains, strict=True):
        labels = " ".join(str(problem.labels[c]) if len(problem.labels) else str(c) for c in domain.y[:count])
        x = domain.x[:count] if problem.scaling is None else problem.scaling.undone(domain.x[:count])
        plots.image_row(ax, x, problem.shape)
        ax.set_title(f"{domain.name}    labels  {labels}", fontsize=8)
    return figure
