"""The figures of a sweep: accuracy against each hyper-parameter, its spread, and what more draws would bring.

All show the last step, so that no rule but the one named plays a part.
"""

from collections import Counter
from statistics import fmean

import numpy as np

from .. import plots
from ..data import stream
from ..evaluate import measured
from ..experiments import invariance_figure, new_figure
from .report import last_accuracy, measured_runs
from .sections import drawn, mean_of, section, shared
from .selection import best_in_orders, expected_best, oracle_scores, searches

ORDERS = 4_000


def sweep_figures(part):
    """{file name: (title, figure)} for the Section of a data set: what runs made equal, and draws if there are two."""
    part = literally(part)
    name, (runs, which) = part.dataset, measured_runs(part)
    title = f"{part.title}, {which}"
    files = {f"{name}-invariances.png": (title, invariance_figure(runs, title))} if runs else {}
    return files | (draw_figures(part) if len(part.draws) > 1 else {})


def literally(part):
    """The same Section with names of domains that matplotlib takes as they are, not as formulas."""
    records = []
    for record in part.records:
        names = {key: getattr(record.config, key) for key in ("test_domain", "also_left_out")}
        config = record.config._replace(**{key: name and plots.literal(name) for key, name in names.items()})
        history = [row._replace(domain=plots.literal(row.domain)) for row in record.history]
        records.append(record._replace(config=config, history=history))
    return section(part.dataset, records)


def draw_figures(part):
    """{file name: (title, figure)} of what the draws of a data set show."""
    name, files = part.dataset, {}
    seeds = Counter((method, domain) for method, domain, _ in drawn(part))
    found = searches(part.records)
    last = {method: last_accuracies(found, method) for method in part.methods}
    last = {method: by_domain for method, by_domain in last.items() if by_domain}
    if last:
        title = f"{part.title}: every draw at the last step, {mean_of(seeds.values())}, and the median"
        files[f"{name}-sensitivity.png"] = title, sensitivity_figure(last, part.domains, title)
    cells = shared(part)
    compared = {key: draws for key, draws in found.items() if key[2:] in cells}
    curves = {method: best_so_far(compared, method) for method in part.methods}
    curves = {method: curve for method, curve in curves.items() if len(curve)}
    if curves:
        title = f"{part.title}: the best of some draws, oracle, {which(part, cells)}; bands: half of all orders"
        bands = {method: np.quantile(in_orders(compared, method), [0.25, 0.75], axis=0) for method in curves}
        files[f"{name}-best-so-far.png"] = title, best_figure(curves, bands, title)
    for method, by_domain in last.items():
        settings = draw_settings(part.records, method)
        its = mean_of([number for (owner, _), number in seeds.items() if owner == method])
        title = f"{method} on {part.title}: every draw at the last step, {its}; dotted: the default"
        if figure := hyper_parameter_figure(by_domain, part.domains, settings, title):
            files[f"{name}-{method}-hyper-parameters.png"] = title, figure
    return files


def which(part, cells):
    """Of which left-out domains and seeds a mean is, in words."""
    seeds, names = {seed for _, seed in cells}, {name for name, _ in cells}
    if len(cells) < len(names) * len(seeds):
        return f"{len(cells)} of {len(part.domains) * len(part.seeds)} pairs of left-out domain and seed"
    left = [name for name in part.domains if name in names]
    return mean_of([len(seeds)]) + f", {' and '.join(left)} left out" * (len(left) < len(part.names))


def last_accuracies(found, method):
    """Left-out domain -> draw -> accuracy on it at the last step in percent, mean over seeds."""
    values = {}
    for (_, name, domain, _), draws in found.items():
        for draw, (run, _) in draws.items() if name == method else []:
            values.setdefault(domain, {}).setdefault(draw, []).append(100 * last_accuracy(run))
    return {domain: {draw: fmean(v) for draw, v in sorted(by_draw.items())} for domain, by_draw in values.items()}


def draw_settings(records, method):
    """Draw -> name -> value of each hyper-parameter that its seeds share, and of the batch size."""
    configs = [record.config for record in records if record.config.algorithm == method]
    pairs = {c.draw: (c, {**c.hyper_parameters, "batch": c.batch}.items()) for c in configs}
    return {n: {label(key, c): value for key, value in found if key != "seed"} for n, (c, found) in pairs.items()}


def label(key, config):
    """What a hyper-parameter is called on an axis."""
    return "lambda * penalty / risk" if config.matched and key == "penalty_weight" else key


def oracle_draws(found, method):
    """(draws, scores, accuracies in percent) at the last step, for each left-out domain and seed of a method, in the
    order of the draws; one that failed is none."""
    cells = []
    for (_, name, domain, _), draws in found.items():
        found_here = []
        for draw, (run, others) in sorted(draws.items()) if name == method else []:
            for step, score in oracle_scores(run, others).items():
                found_here.append((draw, score, 100 * measured(run.history, "accuracy")[step][domain]))
        if found_here:
            cells.append([np.array(values) for values in zip(*found_here, strict=True)])
    return cells


def best_so_far(found, method):
    """The expected test accuracy in percent of the best of k draws, mean over left-out domains and seeds, (n,).

    As far as each of these has draws.
    """
    curves = [expected_best(*cell) for _, *cell in oracle_draws(found, method)]
    shortest = min(map(len, curves), default=0)
    return np.mean([curve[:shortest] for curve in curves], axis=0) if curves else np.array([])


def in_orders(found, method):
    """The same for some random orders of the draws, each the same for all domains and seeds, (orders,n)."""
    cells, rng = oracle_draws(found, method), stream(0, "orders of draws")
    known = np.unique(np.concatenate([draws for draws, *_ in cells]))
    orders, curves = rng.permuted(np.tile(known, (ORDERS, 1)), axis=1), []
    for draws, *cell in cells:
        places = np.searchsorted(draws, orders[np.isin(orders, draws)])
        curves.append(best_in_orders(*cell, places.reshape(-1, len(draws))))
    shortest = min(curve.shape[1] for curve in curves)
    return np.mean([curve[:, :shortest] for curve in curves], axis=0)


def panels(number, title, columns, width=2.6, height=2.5, legend=0.0):
    """A figure and so many axes with one scale of accuracy, at most `columns` in a row."""
    columns = min(number, columns)
    rows = -(-number // columns)
    size = max(columns * width + legend, 5.5), rows * height + 0.6
    figure, axes = new_figure(rows, columns, *size, two_lines(title), sharey=True)
    for ax in axes.flat[number:]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("test accuracy, percent", fontsize=9)
    return figure, list(axes.flat[:number])


def two_lines(title):
    """A title broken at its colon, for figures of two panels."""
    return title.replace(": ", "\n", 1)


def sensitivity_figure(last, domains, title):
    """A panel for each left-out domain, in it a strip for each method with a point for each draw."""
    figure, axes = panels(len(domains), title, 3, max(2.6, 0.6 + 0.32 * len(last)), 2.9)
    styles = {method: plots.method_style(method, number) for number, method in enumerate(last)}
    for ax, domain in zip(axes, domains, strict=True):
        values = {method: list(by_domain[domain].values()) for method, by_domain in last.items() if domain in by_domain}
        plots.strips(ax, values, styles)
        ax.set_title(f"{domain} left out", fontsize=10)
    return figure


def best_figure(curves, bands, title):
    """The expected accuracy of the best of k draws against k, a curve and a band for each method."""
    figure, axes = new_figure(1, 1, 6.2, 3.8, two_lines(title))
    plots.best_curves(axes[0, 0], curves, bands)
    axes[0, 0].set_ylabel("expected test accuracy, percent")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8, handlelength=3.5)
    return figure


def hyper_parameter_figure(by_domain, domains, settings, title):
    """A panel for each hyper-parameter that differs between draws, a point for each draw and left-out domain.

    None where no hyper-parameter differs.
    """
    names = [name for name in settings[min(settings)] if varies([chosen.get(name) for chosen in settings.values()])]
    if not names:
        return None
    figure, axes = panels(len(names), title, 4, legend=1.0)
    for ax, name in zip(axes, names, strict=True):
        shown = {d: [by_domain[d].get(draw, np.nan) for draw in settings] for d in domains if d in by_domain}
        default = settings[0][name] if 0 in settings else None
        plots.draws(ax, [chosen[name] for chosen in settings.values()], shown, default)
        ax.set_xlabel(name)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, title="left out")
    return figure


def varies(values):
    """Whether some values are numbers and not all the same."""
    return all(isinstance(v, int | float) for v in values) and len(set(values)) > 1
