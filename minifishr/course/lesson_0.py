"""Exercises of lesson 0: why a network takes the shortcut."""

import numpy as np

from .draws import numbers, one_of, unlabeled, whole
from .exercise import Exercise


def pictures(draw):
    """Images in grey, labels, and where the color does not agree with the label."""
    n, h, w = draw(whole(1, 2)), draw(whole(1, 3)), draw(whole(1, 3))
    return {"images": draw(numbers(n, h, w, low=0)), "y": draw(whole(0, 1, n)), "flips": draw(whole(0, 1, n))}


def coloring(images, y, flips):
    """Colored images as rows, (n,h,w), (n,), (n,) -> (n, 2 h w)."""
    x = np.zeros((len(y), 2, *images.shape[1:]))
    x[np.arange(len(y)), y ^ flips] = images
    return x.reshape(len(y), -1)


def rates(draw):
    """Three probabilities."""
    return {name: draw(whole(0, 10)) / 10 for name in ("share", "noise", "flip")}


def joint_table(share, noise, flip):
    """P(s = 1), P(y != s), P(c != y) -> P(s, c, y) as an array [s, c, y] (2,2,2)."""
    same = np.eye(2)
    y_given_s = (1 - noise) * same + noise * (1 - same)
    c_given_y = (1 - flip) * same + flip * (1 - same)
    return np.einsum("s,sy,yc->scy", [1 - share, share], y_given_s, c_given_y)


def color_of_shape(share, noise, flip):
    """A wrong table: P(s) P(y|s) P(c|s)."""
    table = joint_table(share, 0, flip).sum(axis=2)[:, :, None]  # P(s, c), if the label were the shape
    return table * joint_table(0.5, noise, flip).sum(axis=1)[:, None, :] * 2


def some_table(draw):
    """Probabilities that add up to 1."""
    counts = draw(whole(0, 4, 2, 2, 2)) + (np.arange(8).reshape(2, 2, 2) == draw(whole(0, 7)))
    return {"table": counts / counts.sum()}


def bayes_accuracy(table):
    """The accuracy of the best predictor, from P(s, c, y) as an array (2,2,2) -> ()."""
    return table.max(axis=2).sum()


def agreements(draw):
    """In what share of the rows of each domain the color agrees with the label."""
    return {"agreements": draw(whole(0, 10, draw(whole(1, 3)))) / 10}


def pooled_color(agreements):
    """The best accuracy of one rule by color in all domains, (m,) -> ()."""
    return max(np.mean(agreements), 1 - np.mean(agreements))


def swapped(model, theta, x):
    """The share of rows whose predicted label changes when the two channels change places, (d,), (n,p) -> ()."""
    other = x.reshape(len(x), 2, -1)[:, ::-1].reshape(len(x), -1)
    return np.mean((model.logits(theta, x) > 0) != (model.logits(theta, other) > 0))


def changed(model, theta, x, other):
    """The share of rows whose predicted label changes, for wrong answers."""
    return np.mean((model.logits(theta, x) > 0) != (model.logits(theta, other.reshape(len(x), -1)) > 0))


EXERCISES = {
    "coloring": Exercise(
        pictures,
        coloring,
        "colored images, (n,h,w), (n,), (n,) -> (n, 2 h w): color = y, or 1 - y where flips is 1; "
        "the channel of that number holds the image, the other one zeros",
        (
            "The color is y ^ flips. Begin with zeros of the shape (n, 2, h, w).",
            "x[np.arange(n), color] = images fills one channel of each image; then reshape to (n, -1).",
        ),
        {
            "the flips are ignored": lambda images, y, flips: coloring(images, y, 0 * flips),
            "the channels are swapped: channel number c holds the image of color c": lambda images, y, flips: coloring(
                images, 1 - y, flips
            ),
            "shape (n,2,h,w): each image needs to be one row": lambda images, y, flips: coloring(
                images, y, flips
            ).reshape(len(y), 2, *images.shape[1:]),
            "the two channels alternate pixel by pixel: one comes after the other": lambda images, y, flips: (
                coloring(images, y, flips).reshape(len(y), 2, -1).transpose(0, 2, 1).reshape(len(y), -1)
            ),
        },
    ),
    "pooled_color": Exercise(
        agreements,
        pooled_color,
        "the best accuracy of one rule that only sees the color, on all rows of all domains together, (m,) -> (); "
        "domains have equal sizes, labels 0 and 1 are equally frequent",
        (
            "A rule cannot know the domain: the label is the color in all of them, or its opposite in all of them.",
            "Average over the domains, then choose: the mean agreement, or 1 minus it.",
        ),
        {
            "the best rule of each domain: a rule does not see the domain": lambda a: np.mean(np.maximum(a, 1 - a)),
            "the rule that says the opposite is missing": np.mean,
            "the best domain, not all rows": lambda a: max(a.max(), 1 - a.min()),
            "the worst domain, not all rows": lambda a: max(a.min(), 1 - a.max()),
        },
    ),
    "joint_table": Exercise(
        rates,
        joint_table,
        "P(shape, color, label) as an array [s, c, y] (2,2,2) from share = P(s = 1), noise = P(y != s) and "
        "flip = P(c != y)",
        (
            "P(s) P(y|s) P(c|y): the color only depends on the label.",
            "Write each factor as a small array, (2,), (2,2) and (2,2), and multiply: np.einsum('s,sy,yc->scy', ...).",
        ),
        {
            "the axes are [s, y, c]": lambda *rates: joint_table(*rates).swapaxes(1, 2),
            "the color depends on the shape: it depends on the label": color_of_shape,
            "share is P(s = 0)": lambda share, noise, flip: joint_table(1 - share, noise, flip),
            "P(s) is missing": lambda share, noise, flip: 2 * joint_table(0.5, noise, flip),
        },
    ),
    "bayes_accuracy": Exercise(
        some_table,
        bayes_accuracy,
        "the accuracy of the best predictor that sees shape and color, from P(s, c, y) as an array (2,2,2) -> ()",
        (
            "For each pair (s, c) the predictor gives one label, and is right with P(s, c, label). Which is best?",
            "The larger of the two labels' probabilities for each pair, then the sum over the pairs.",
        ),
        {
            "the color alone: the predictor also sees the shape": lambda t: t.sum(axis=0).max(axis=1).sum(),
            "the shape alone: the predictor also sees the color": lambda t: t.sum(axis=1).max(axis=1).sum(),
            "the largest probability of all: sum over the pairs": np.max,
            "the maximum over colors: the label is the last axis": lambda t: t.max(axis=1).sum(),
            "the mean over pairs: their probabilities are in the table already": lambda t: t.max(axis=2).mean(),
        },
    ),
    "swapped": Exercise(
        lambda draw: unlabeled(draw, draw(one_of((2, 3, 1), (4, 3, 1), (6, 3, 1)))),  # two channels of 1 to 3 pixels
        swapped,
        "the share of rows whose predicted label changes when the two channels change places, (d,), (n,p) -> (); "
        "the first half of the columns is one channel, and a logit above 0 means label 1",
        (
            "x.reshape(n, 2, -1) has the channels on an axis of their own.",
            "x.reshape(n, 2, -1)[:, ::-1].reshape(n, -1) has the channels in the other order. Compare logits > 0.",
        ),
        {
            "the share that does not change": lambda m, t, x: 1 - swapped(m, t, x),
            "all columns in reverse: the pixels keep their order": lambda m, t, x: changed(m, t, x, x[:, ::-1]),
            "neighbors are swapped: a channel is half of the columns": lambda m, t, x: changed(
                m, t, x, x.reshape(len(x), -1, 2)[:, :, ::-1]
            ),
            "how many rows, not what share of them": lambda m, t, x: len(x) * swapped(m, t, x),
        },
    ),
}
