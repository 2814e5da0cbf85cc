"""Exercises of lesson 0: why a network takes the shortcut."""

from itertools import product

import numpy as np

from ..evaluate import predictions
from .draws import numbers, unlabeled, whole
from .exercise import Exercise


def pictures(draw):
    """Images in grey, labels, and where the color does not agree with the label."""
    n = draw(whole(1, 2))
    return {"images": draw(numbers(n, 2, 3, low=0)), "y": draw(whole(0, 1, n)), "flips": draw(whole(0, 1, n))}


def coloring(images, y, flips):
    """Image by image."""
    x = np.zeros((len(y), 2, *images.shape[1:]))
    for i, image in enumerate(images):
        x[i, y[i] if flips[i] == 0 else 1 - y[i]] = image
    return x.reshape(len(y), -1)


def rates(draw):
    """Three probabilities."""
    return {name: draw(whole(0, 10)) / 10 for name in ("share", "noise", "flip")}


def joint_table(share, noise, flip):
    """All that the three random bits can be, one after the other."""
    table = np.zeros((2, 2, 2))
    for s, a, b in product((0, 1), repeat=3):
        y = s ^ a
        chances = (share if s else 1 - share, noise if a else 1 - noise, flip if b else 1 - flip)
        table[s, y ^ b, y] += np.prod(chances)
    return table


def some_table(draw):
    """Probabilities that add up to 1."""
    counts = draw(whole(0, 4, 2, 2, 2)) + (np.arange(8).reshape(2, 2, 2) == draw(whole(0, 7)))
    return {"table": counts / counts.sum()}


def bayes_accuracy(table):
    """All 16 rules that give each pair of shape and color a label."""
    pairs = list(product((0, 1), repeat=2))
    return max(sum(table[s, c, y] for (s, c), y in zip(pairs, rule, strict=True)) for rule in product((0, 1), repeat=4))


def agreements(draw):
    """In what share of the rows of each domain the color agrees with the label."""
    return {"agreements": draw(whole(0, 10, draw(whole(1, 3)))) / 10}


def swapped(model, theta, x):
    """The columns in another order."""
    pixels = x.shape[1] // 2
    other = x[:, [*range(pixels, 2 * pixels), *range(pixels)]]
    return np.mean(predictions(model, theta, x) != predictions(model, theta, other))


RECALL = ()

EXERCISES = {
    "coloring": Exercise(
        pictures,
        coloring,
        "colored images, (n,h,w), (n,), (n,) -> (n, 2 h w): color = y, or 1 - y where flips is 1; "
        "the channel of that number holds the image, the other one zeros",
        (
            "color = y ^ flips. x = np.zeros((n, 2, h, w)); one assignment with two index arrays fills it; then reshape.",
        ),
        {},
    ),
    "pooled_color": Exercise(
        agreements,
        lambda agreements: max(np.mean(agreements), np.mean(1 - agreements)),
        "the best accuracy of one rule that only sees the color, on all rows of all domains together, (m,) -> (); "
        "domains have equal sizes, labels 0 and 1 are equally frequent",
        (
            "A rule cannot know the domain: the label is the color, or its opposite, in all of them. Average, then choose.",
        ),
        {},
    ),
    "joint_table": Exercise(
        rates,
        joint_table,
        "P(shape, color, label) as an array [s, c, y] (2,2,2) from share = P(s = 1), noise = P(y != s) and "
        "flip = P(c != y)",
        ("P(s) P(y|s) P(c|y): the color only depends on the label. Write each factor as a small array and multiply.",),
        {},
    ),
    "bayes_accuracy": Exercise(
        some_table,
        bayes_accuracy,
        "the accuracy of the best predictor that sees shape and color, from P(s, c, y) as an array (2,2,2) -> ()",
        (
            "For each pair (s, c) the predictor gives one label, and is right with P(s, c, label). Which would you give?",
        ),
        {},
    ),
    "swapped": Exercise(
        lambda draw: unlabeled(draw, sizes=(4, 2, 1)),  # two channels of two pixels
        swapped,
        "the share of rows whose predicted label changes when the two channels change places, (d,), (n,p) -> (); "
        "the first half of the columns is one channel, and a logit above 0 means label 1",
        ("x.reshape(n, 2, -1)[:, ::-1] has the channels in the other order. Compare logits > 0 before and after.",),
        {},
    ),
}
