"""Figures: each function draws arrays on an axis and returns the axis.

Colors are the eight of Okabe and Ito, which color-blind readers can tell apart; line styles keep them apart in grey.
A method has the same color in every figure; so has a domain's role.
"""

import numpy as np

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
METHODS = {
    "erm": (BLACK, "-"),
    "irm": (ORANGE, "--"),
    "vrex": (SKY, "-."),
    "fish": (GREEN, ":"),
    "and_mask": (BLUE, (0, (5, 2))),
    "sand_mask": (PURPLE, (0, (3, 1, 1, 1, 1, 1))),
    "fishr": (RED, "-"),
    "iga": (BLUE, "-."),
    "idgm": (SKY, "--"),
    "coral": (PURPLE, ":"),
    "dann": (YELLOW, "-"),
}
TRAINING = [(BLUE, "--"), (SKY, "-."), (GREEN, (0, (1, 1))), (PURPLE, (0, (5, 1))), (YELLOW, "--")]
TEST = [(RED, "-"), ("#777777", ":")]
MARKERS = "os^XDv*P<>h"
POINTS = list(zip((BLUE, ORANGE, GREEN, RED, SKY, PURPLE, BLACK, YELLOW), MARKERS, strict=False))


CHANNELS = {1: np.ones((1, 3)), 2: np.array([[1, 0.5, 0], [0, 0.5, 1]]), 3: np.eye(3)}  # RGB; each adds up to white


def method_style(name, number=0):
    """Color and line style of a method; methods of one's own get the next in a cycle."""
    color, line = METHODS.get(name, (TRAINING[number % len(TRAINING)]))
    return {"color": color, "linestyle": line}


def domain_styles(training, test):
    """Domain name -> color and line style: training domains in blues and greens, the test domain red."""
    pairs = [
        *((name, TRAINING[e % len(TRAINING)]) for e, name in enumerate(training)),
        *((name, TEST[e % len(TEST)]) for e, name in enumerate(test)),
    ]
    return {name: {"color": color, "linestyle": line} for name, (color, line) in pairs}


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


def accuracy_curves(ax, steps, by_domain, styles, level=None):
    """Accuracy in percent over steps, {domain: (seeds,t) in [0, 1]}, with a dotted line at `level` percent."""
    for name, values in by_domain.items():
        band(ax, steps, 100 * np.asarray(values), name, **styles[name])
    if level is not None:
        ax.axhline(level, color="#999999", linewidth=0.8, linestyle=":")
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
    elif least <= 0 and most > 0:
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(linear * most)))
    ax.set(xlabel="step", ylabel=ylabel)
    return ax


def heat_map(ax, values, rows, columns):
    """Numbers in [0, 1] as a table (r,c) with a shade each, logarithmic from 0.0001: the darker, the smaller."""
    values = np.asarray(values)
    ax.imshow(np.log10(np.clip(values, 1e-4, 1)), cmap="cividis", vmin=-4, vmax=0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=8, color="black" if value > 0.01 else "white")
    ax.set_xticks(range(len(columns)), [c.replace(", ", ",\n").replace(" of ", "\nof ") for c in columns], fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=9)
    return ax


def strips(ax, values, styles):
    """A strip of points for each label, {label: (n,)}, side by side so that none covers another, and its median."""
    for place, (label, numbers) in enumerate(values.items()):
        aside = 0.5 * (0.618 * np.arange(len(numbers)) % 1 - 0.5)  # spreads any number of points, and always the same
        color = styles[label]["color"]
        ax.plot(place + aside, numbers, "o", color=color, markersize=4, alpha=0.7, markeredgewidth=0)
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
    if least < 0 or np.median(positive) > most / 4:
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


def best_curves(ax, by_method):
    """The expected accuracy of the best of k draws against k = 1, 2, ..., {method: (n,)}."""
    for number, (name, values) in enumerate(by_method.items()):
        style = {**method_style(name, number), "marker": MARKERS[number % len(MARKERS)], "markersize": 4}
        ax.plot(np.arange(1, len(values) + 1), values, label=name, **style)
    ax.set(xlabel="draws of hyper-parameters")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def risk_curves(ax, amounts, values, styles):
    """The risk of each domain along a line, (t,), (t,m)."""
    for (name, style), column in zip(styles.items(), np.asarray(values).T, strict=True):
        ax.plot(amounts, column, label=name, **style)
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


def image_row(ax, x, shape):
    """Images (n, c h w) of shape (c,h,w) side by side: two channels in orange and azure, three as RGB."""
    channels = np.clip(np.asarray(x, float).reshape(len(x), *shape), 0, 1)
    row = np.concatenate(list(np.einsum("nchw,cr->nhwr", channels, CHANNELS[shape[0]])), axis=1)
    ax.imshow(row, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    return ax
