"""Pictures: images, and numbers as shades."""

import textwrap

import numpy as np

# RGB of each channel, which add up to white; a fourth one is opacity and is not drawn
CHANNELS = {1: np.ones((1, 3)), 2: np.array([[1, 0.5, 0], [0, 0.5, 1]]), 3: np.eye(3), 4: np.eye(4, 3)}


def heat_map(ax, values, rows, columns):
    """Numbers in [0, 1] as a table (r,c) with a shade each, logarithmic from 0.0001: the darker, the smaller; NaN is
    an empty cell."""
    values = np.asarray(values)
    ax.imshow(np.log10(np.clip(values, 1e-4, 1)), cmap="cividis", vmin=-4, vmax=0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.2g}"
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="black" if value > 0.01 else "white")
    ax.set_xticks(range(len(columns)), [textwrap.fill(c, 12) for c in columns], fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=9)
    return ax


def confusion(ax, y, found, names):
    """What is predicted (across) for each class (down), labels (n,), (n,) in 0..k-1, in percent of the class's rows; a
    class without rows stays empty. ValueError for other labels."""
    k, pair = len(names), [np.asarray(labels, int) for labels in (y, found)]  # in uint8, k y would wrap around
    if pair[0].shape != pair[1].shape or any(((part < 0) | (part >= k)).any() for part in pair):
        raise ValueError(f"confusion: expected as many predictions as labels, both in 0..{k - 1}")
    counts = np.bincount(k * pair[0] + pair[1], minlength=k * k).reshape(k, k)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(np.where(counts.sum(axis=1, keepdims=True), shares, np.nan), cmap="Greys", vmin=0, vmax=100)
    for (i, j), share in np.ndenumerate(shares) if k <= 10 else []:
        if counts[i].sum():
            ax.text(
                j, i, f"{share:.0f}", ha="center", va="center", fontsize=7, color="white" if share > 50 else "black"
            )
    ax.set_xticks(range(k), [str(name)[:12] for name in names], fontsize=7, rotation=45, ha="right")
    ax.set_yticks(range(k), [str(name)[:12] for name in names], fontsize=7)
    return ax


def image_row(ax, x, shape):
    """Images (n, c h w) of shape (c,h,w) side by side: two channels in orange and azure, three and four as RGB."""
    channels = np.clip(np.asarray(x, float).reshape(len(x), *shape), 0, 1)
    row = np.concatenate(list(np.einsum("nchw,cr->nhwr", channels, CHANNELS[shape[0]])), axis=1)
    ax.imshow(row, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    return ax


def contours(ax, x, y, values, levels=12, **labels):
    """A function of two numbers as shades and labelled contour lines, (s,), (t,), (t,s): the lighter, the larger."""
    ax.contourf(x, y, values, levels, cmap="cividis")
    drawn = ax.contour(x, y, values, levels, colors="white", linewidths=0.5)
    ax.clabel(drawn, fontsize=7, fmt="%.3g")
    ax.set(**labels)
    return ax


def matrix(ax, values, title=None):
    """A matrix of signed numbers (r,c) as shades, orange below 0 and purple above; few also as numbers."""
    values = np.asarray(values, float)
    top = np.abs(values).max() or 1.0
    ax.imshow(values, cmap="PuOr", vmin=-top, vmax=top)
    for (i, j), value in np.ndenumerate(values) if values.size <= 64 else []:
        color = "white" if abs(value) > 0.6 * top else "black"
        ax.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=7, color=color)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    return ax
