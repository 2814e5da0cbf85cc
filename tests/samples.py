"""What tests share: data, and second derivations of hashes and streams."""

import hashlib
import zlib

import numpy as np
import pytest

from minifishr.data import Digits, Domain

MNIST_LIKE = Digits("test digits", np.zeros((70_000, 28, 28), np.uint8), np.tile(np.arange(10), 7_000).astype(np.uint8))


def own_domains(classes=2):
    rng = np.random.default_rng(0)
    shapes = {"a": 30, "b": 40, "c": 20}
    return [
        Domain(k, rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, classes, n)) for k, n in shapes.items()
    ]


def told(call, *arguments, **options):
    """The sentence of a ValueError."""
    with pytest.raises(ValueError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def hashed(*arrays):
    """A hash of arrays once more: type, shape and bytes of each."""
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype.str} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def stream_once_more(seed, name, *numbers):
    """A stream once more: the seed, a checksum of its name, numbers."""
    return np.random.default_rng([seed, zlib.crc32(name), *numbers])


class Table:
    """What a table of pandas is to NumPy: an array when asked, and rows by its index, here the reverse, in brackets."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.ndim = self.values.shape, self.values.ndim

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __getitem__(self, rows):
        return self.values[::-1][rows]
