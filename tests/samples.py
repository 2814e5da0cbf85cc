"""Data that tests share."""

import numpy as np

from minifishr.data import Digits, Domain

MNIST_LIKE = Digits("test digits", np.zeros((70_000, 28, 28), np.uint8), np.tile(np.arange(10), 7_000).astype(np.uint8))


def own_domains(classes=2):
    rng = np.random.default_rng(0)
    shapes = {"a": 30, "b": 40, "c": 20}
    return [
        Domain(k, rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, classes, n)) for k, n in shapes.items()
    ]
