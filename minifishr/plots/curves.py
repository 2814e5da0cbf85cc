"""Curves: what changes over steps, draws, positions or sizes."""

import numpy as np

from .styles import HATCHES, POINTS, labelled, method_marker, method_style


def band(ax, steps, values, label=None, **style):
    """The mean over seeds as a line and their range as a band, (t,), (seeds,t)."""
    values = np.asarray(values)
    ax.plot(steps, values.mean(axis=0), label=label, **style)
    if len(values) > 1:
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
    return ax


def points(ax, values, label=None, **style):
    """The mean of some numbers at each x as a line with points and their range as a band, {x: [number, ...]}."""
    means, least, most = ([f(numbers) for numbers in values.values()] for f in (np.mean, min, max))
    ax.plot(list(values), means, label=label, marker="o", markersize=3, **style)
    ax.fill_between(list(values), least, most, color=style["color"], alpha=0.2, linewidth=0)
    return ax


def intervals(ax, x, by_label, errors=2, **labels):
    """Means with error bars of some standard errors, (t,), {label: t arrays of independent numbers}."""
    for number, (label, values) in enumerate(by_label.items()):
        color, marker = POINTS[number % len(POINTS)]
        spread = [errors * np.std(numbers, ddof=1) / len(numbers) ** 0.5 for numbers in values]
        means = [np.mean(numbers) for numbers in values]
        ax.errorbar(x, means, spread, label=label, color=color, marker=marker, markersize=4, capsize=3, linewidth=1)
    return labelled(ax, len(by_label) > 1, labels)


def accuracy_curves(ax, steps, by_domain, styles, level=None):
    """Accuracy in percent over steps, {domain: (seeds,t) in [0, 1]}, with a dotted line at `level` percent."""
    for name, values in by_domain.items():
        band(ax, steps, 100 * np.asarray(values), name, **styles[name])
    if level is not None:
        ax.axhline(level, color="#777777", linewidth=0.8, linestyle=":")
    ax.set(ylim=(0, 100), xlabel="step")
    return ax


def metric_curves(ax, steps, by_method, ylabel, linear=1e-4):
    """A metric over steps, {method: (seeds,t)}; a log scale where all values are positive and spread over decades.

    Where some are not positive, the scale is linear up to a power of ten below `linear` times the largest value.
    """
    for number, (name, values) in enumerate(by_method.items()):
        band(ax, steps[name], values, name, **method_style(name, number))
    least = min(np.min(values) for values in by_method.values())
    most = max(np.max(values) for values in by_method.values())
    if least > 0 and most > 100 * least:
        ax.set_yscale("log")
    elif least <= 0 and most > 1e-290:  # a symlog scale of what is smaller overflows
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(linear * most)))
    ax.set(xlabel="step", ylabel=ylabel)
    return ax


def best_curves(ax, by_method, bands=()):
    """The expected accuracy of the best of k draws against k = 1, 2, ..., {method: (n,)}, bands {method: (2,n)}."""
    for number, (name, values) in enumerate(by_method.items()):
        style = {**method_style(name, number), "marker": method_marker(name, number), "markersize": 4}
        ax.plot(np.arange(1, len(values) + 1), values, label=name, **style)
        if name in bands:
            ax.fill_between(np.arange(1, len(values) + 1), *bands[name], color=style["color"], alpha=0.12, linewidth=0)
    ax.set(xlabel="draws of hyper-parameters")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def risk_curves(ax, amounts, values, styles):
    """The risk of each domain along a line, (t,), (t,m)."""
    for (name, style), column in zip(styles.items(), np.asarray(values).T, strict=True):
        ax.plot(amounts, column, label=name, **style)
    return ax


def lines(ax, x, by_label, styles=None, **labels):
    """Curves over one x, (t,), {label: (t,)}; `styles` are {label: style}, else color and marker differ."""
    for number, (label, values) in enumerate(by_label.items()):
        color, marker = POINTS[number % len(POINTS)]
        style = (styles or {}).get(label, {"color": color, "marker": marker, "markersize": 4})
        ax.plot(x, values, label=label, **style)
    return labelled(ax, len(by_label) > 1, labels)


def bars(ax, by_group, styles=None, **labels):
    """Groups of bars with their numbers, {group: {label: number}}; hatches keep the labels apart in grey."""
    names = list(dict.fromkeys(label for values in by_group.values() for label in values))
    width = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        places = [g + (number - (len(names) - 1) / 2) * width for g, v in enumerate(by_group.values()) if name in v]
        heights = [values[name] for values in by_group.values() if name in values]
        color = (styles or {}).get(name, {"color": POINTS[number % len(POINTS)][0]})["color"]
        drawn = ax.bar(
            places, heights, 0.92 * width, label=name, color=color, hatch=HATCHES[number % len(HATCHES)], alpha=0.8
        )
        ax.bar_label(drawn, fmt="%.3g", fontsize=8, padding=1)
    ax.set_xticks(range(len(by_group)), list(by_group), fontsize=9)
    ax.margins(y=0.12)
    return labelled(ax, len(names) > 1, labels)
