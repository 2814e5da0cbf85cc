"""Domains: Colored MNIST in both set-ups, Rotated MNIST, a person's own arrays, and batches of them.

A domain is a sample from one distribution. Training sees several; the test domain breaks what they share by accident.
"""

from typing import NamedTuple

import numpy as np


class Domain(NamedTuple):
    """A name, inputs (n,p) and labels (n,)."""

    name: str
    x: np.ndarray
    y: np.ndarray


class Problem(NamedTuple):
    """Training domains, held-out rows of each of them, and the domains to test on (the first one is *the* test domain).

    `classes` is the number of labels, `shape` the shape of one image, (channels, height, width), or () for none.
    """

    name: str
    train: list
    validation: list
    test: list
    classes: int
    shape: tuple = ()


def colored(images, digits, flip_rate, rng, *, label_noise=0.25, grey=False):
    """Color binary labels into images, (n,s,s) uint8, (n,) -> x (n, 2 s s) float64, y (n,).

    y = digit < 5, flipped with probability label_noise; color = y flipped with probability flip_rate;
    of two equal channels the one at index 1 - color is set to 0. Red is channel 0. grey=True keeps both channels.
    """
    n = len(digits)
    y = (digits < 5) ^ (rng.random(n) < label_noise)
    color = (y ^ (rng.random(n) < flip_rate)).astype(int)
    x = np.stack([images, images], axis=1) / 255
    if not grey:
        x[np.arange(n), 1 - color] = 0
    return x.reshape(n, -1), y.astype(int)
