"""Points: runs, draws, parameters."""

import numpy as np

from .styles import BLACK, BLUE, POINTS, labelled


def strips(ax, values, styles):
    """A strip of points for each label, {label: (n,)}, side by side so that none covers another, and its median."""
    for place, (label, numbers) in enumerate(values.items()):
        aside = 0.5 * (0.618 * np.arange(len(numbers)) % 1 - 0.5)  # spreads any number of points, and always the same
        color = styles[label]["color"]
        ax.plot(place + aside, numbers, "o", color=color, markersize=4, markeredgewidth=0)
        ax.hlines(np.median(numbers), place - 0.38, place + 0.38, color=BLACK, linewidth=1.2)
    ax.set_xticks(range(len(values)), list(values), rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set(xlim=(-0.6, len(values) - 0.4))
    return ax


def draws(ax, x, by_name, default=None):
    """One point a draw, (n,), {name: (n,)}, with a color and marker for each name, and a dotted line at a default."""
    for number, (name, values) in enumerate(by_name.items()):
        color, marker = POINTS[number % len(POINTS)]
        ax.plot(x, values, marker, label=name, color=color, markersize=5, alpha=0.8, markeredgewidth=0)
    if default is not None:
        ax.axvline(default, color="#777777", linewidth=0.9, linestyle=":")
    return few_ticks(ax, x)


def few_ticks(ax, x):
    """Ticks that leave room for their labels, on a log scale where most values are far below the largest, (n,)."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    x = np.asarray(x, float)
    least, most, positive = x.min(), x.max(), x[x > 0]
    ax.tick_params(axis="x", labelsize=8)
    if least < 0 or most == 0 or np.median(positive) > most / 4:
        ax.xaxis.set_major_locator(MaxNLocator(4))
        return ax
    if least == 0:  # a linear piece from 0 to a power of ten below the smallest other value
        threshold = 10 ** np.floor(np.log10(positive.min()))
        ax.set_xscale("symlog", linthresh=threshold)
        ax.set_xlim(-threshold / 2, 1.5 * most)
    else:
        ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    if most < 300 * least:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 30 * least else (1, 3)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return ax


def variance_scatter(ax, v1, v2, names, limits):
    """One point a parameter, its gradient variance in two domains, (d,), (d,), on log axes between two limits.

    Points on the diagonal are equal in both domains; zeros (dead units) and what is below the limits are not shown.
    """
    shown = (v1 > 0) & (v2 > 0)
    ax.plot(v1[shown], v2[shown], ".", color=BLUE, markersize=3, alpha=0.6)
    ax.plot(limits, limits, color=BLACK, linewidth=0.8)
    ax.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    ax.set(xlabel=f"variance in {names[0]}", ylabel=f"variance in {names[1]}")
    return ax


def scatter(ax, points, styles=None, **labels):
    """Points by label, {label: (n,2)}, with a color and marker each.

    `styles` are {label: style} for those that have a color of their own, as methods do.
    """
    for number, (label, values) in enumerate(points.items()):
        color, marker = POINTS[number % len(POINTS)]
        style = {"color": color, "marker": marker, **(styles or {}).get(label, {}), "linestyle": "none"}
        values = np.asarray(values)
        ax.plot(values[:, 0], values[:, 1], label=label, markersize=4, alpha=0.7, **style)
    return labelled(ax, len(points) > 1, labels)


def path(ax, points, label=None, color=BLACK, marker="."):
    """A walk in the plane, (t,2), from a circle to a star."""
    points = np.asarray(points)
    ax.plot(points[:, 0], points[:, 1], "-", marker=marker, color=color, linewidth=1, markersize=3, label=label)
    ax.plot(*points[0], "o", color=color, markersize=6, markerfacecolor="white")
    ax.plot(*points[-1], "*", color=color, markersize=11)
    return ax
