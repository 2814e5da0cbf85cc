"""Domains: Colored MNIST in both set-ups, Rotated MNIST, and batches of domains.

A domain is a sample of one distribution. Training sees several; the test domain breaks what they share by accident.
Colored MNIST: Arjovsky et al. 2019, arXiv:1907.02893. Rotated MNIST: Ghifary et al. 2015, arXiv:1508.07680. DomainBed's
versions: Gulrajani and Lopez-Paz 2020, arXiv:2007.01434.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from .digits import Digits


class Domain(NamedTuple):
    """A name, inputs (n,p) and labels (n,) in 0..k-1."""

    name: str
    x: np.ndarray
    y: np.ndarray


class Problem(NamedTuple):
    """Domains to train on, held-out rows of the same domains, and domains to test on, the most important one first.

    `shape` is (channels, height, width) of an image or (); `oracle` are held-out test rows; `labels` what 0..k-1 mean.
    Of own data, `columns` are the names, `scaling` says how x was standardized, and `pixels` that it was bytes.
    """

    name: str
    train: list
    validation: list
    test: list
    shape: tuple = ()
    oracle: list = ()
    labels: list = ()
    columns: list = ()
    scaling: tuple | None = None
    pixels: bool = False

    @property
    def classes(self):
        """The number of classes: 1 + the largest label of all domains."""
        return 1 + max(int(d.y.max()) for d in [*self.train, *self.validation, *self.test, *self.oracle])


def stream(seed, name, *numbers):
    """An independent random stream for each (seed, name, numbers), as a Generator.

    A name always goes with as many numbers: a trailing 0 alone makes no other stream.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *numbers])


def shrink(images, size):
    """Every second (or fourth) pixel, (n,28,28) -> (n,size,size); ValueError where size does not divide 28."""
    if size not in (7, 14, 28):
        raise ValueError(f"image size must be 7, 14 or 28, got {size!r}")
    return images[:, :: 28 // size, :: 28 // size]


def color_name(flip_rate):
    """'+90%' where color agrees with the label in 90 % of the rows, '-90%' where it contradicts it in 90 %."""
    return f"+{100 * (1 - flip_rate):.3g}%" if flip_rate <= 0.5 else f"-{100 * flip_rate:.3g}%"


def color_names(flip_rates):
    """A name for each rate; equal rates are told apart by a number, because results are told by name."""
    names = [color_name(rate) for rate in flip_rates]
    return [name if names.count(name) == 1 else f"{name} ({e})" for e, name in enumerate(names, 1)]


def colored(images, labels, flip_rate, rng, *, label_noise=0.25, grey=False, dtype=np.float64, name=None):
    """A domain of two-channel images whose color follows the label, (n,s,s) uint8, (n,) -> x (n, 2 s s).

    y = digit < 5, flipped with probability label_noise; color = y flipped with probability flip_rate;
    of two equal channels the one at index 1 - color is set to 0, then all is divided by 255.
    grey=True keeps both channels.
    """
    n = len(labels)
    y = (labels < 5) ^ (rng.random(n) < label_noise)
    color = (y ^ (rng.random(n) < flip_rate)).astype(int)
    x = np.stack([images, images], axis=1)
    if not grey:
        x[np.arange(n), 1 - color] = 0
    return Domain(name or color_name(flip_rate), x.reshape(n, -1).astype(dtype) / 255, y.astype(int))


def colored_mnist(
    digits: Digits, *, flip_rates: Sequence[float] = (0.2, 0.1), test_rate: float = 0.9, label_noise: float = 0.25,
    size: int = 14, count: int = 25_000, test_count: int = 10_000, seed: int = 0, dtype: DTypeLike = np.float64,
) -> Problem:  # fmt: skip
    """Colored MNIST as in the IRM paper: a Problem with training domains, the test domain, and the latter in grey.

    The first 50 000 digits are shuffled and dealt in turn to the training domains, `count` to each; the next
    10 000 are the test domain. Held-out rows of the training domains come from the last 10 000, which the paper
    leaves unused. ValueError for probabilities outside [0, 1] or more rows than there are.
    """
    m = len(flip_rates)
    check_rates(flip_rates=flip_rates, test_rate=[test_rate], label_noise=[label_noise])
    check_count("colored_mnist", "count", count, 50_000 // m)
    check_count("colored_mnist", "test_count", test_count, 10_000)
    if len(digits.labels) < 70_000:
        raise ValueError(f"colored_mnist needs 70 000 digits (60 000 and 10 000), got {len(digits.labels)}")
    images = shrink(digits.images, size)
    dealt = stream(seed, "shuffle").permutation(50_000)
    names = color_names(flip_rates)

    def make(rows, rate, stream_name, number=0, **options):
        rng = stream(seed, stream_name, number)
        options = {"label_noise": label_noise, "dtype": dtype, **options}
        return colored(images[rows], digits.labels[rows], rate, rng, **options)

    train = [make(dealt[e::m][:count], rate, "train", e, name=names[e]) for e, rate in enumerate(flip_rates)]
    spare = [np.arange(60_000 + e, 70_000, m) for e in range(m)]
    held = [make(spare[e], rate, "validation", e, name=names[e]) for e, rate in enumerate(flip_rates)]
    test_rows = np.arange(50_000, 50_000 + test_count)
    test = [make(test_rows, test_rate, "test"), make(test_rows, test_rate, "test", grey=True, name="grey")]
    return Problem(f"Colored {digits.name}", train, held, test, (2, size, size))


def colored_mnist_domains(
    digits: Digits, *, flip_rates: Sequence[float] = (0.1, 0.2, 0.9), label_noise: float = 0.25, size: int = 28,
    count: int | None = None, seed: int = 0, dtype: DTypeLike = np.float64,
) -> list[Domain]:  # fmt: skip
    """Colored MNIST as in DomainBed: all digits shuffled, domain e takes the rows e::m, at most `count` of them."""
    check_rates(flip_rates=flip_rates, label_noise=[label_noise])
    images = shrink(digits.images, size)
    options, names = {"label_noise": label_noise, "dtype": dtype}, color_names(flip_rates)
    return [
        colored(images[rows], digits.labels[rows], rate, stream(seed, "color", e), name=names[e], **options)
        for e, (rate, rows) in enumerate(zip(flip_rates, dealt(digits, len(flip_rates), count, seed), strict=True))
    ]


def rotated_mnist(digits: Digits, *, angles: Sequence[float] = (0, 15, 30, 45, 60, 75), size: int = 28,
                  count: int | None = None, seed: int = 0, dtype: DTypeLike = np.float64) -> list[Domain]:  # fmt: skip
    """Rotated MNIST as in DomainBed: the digit is the label, domain e is turned by angles[e] degrees (bilinear).

    ValueError for no angles, one that is not finite, or two that have one name.
    """
    from scipy.ndimage import rotate  # 0.1 s to import, needed here alone

    names = [f"{angle:g}" for angle in angles]
    if not names or not np.isfinite(angles).all() or len({*names}) < len(names):
        raise ValueError(f"rotated_mnist: angles={angles!r} must be finite, at least one, and apart as {names}")

    def turned(rows, angle):
        images = rotate(digits.images[rows].astype(dtype) / 255, angle, reshape=False, order=1, axes=(2, 1))
        return Domain(f"{angle:g}", shrink(images, size).reshape(len(rows), -1), digits.labels[rows].astype(int))

    return [turned(rows, angle) for angle, rows in zip(angles, dealt(digits, len(angles), count, seed), strict=True)]


def dealt(digits, m, count, seed):
    """All rows shuffled and dealt to m domains in turn, at most `count` each."""
    check_count("domains", "count", 1 if count is None else count, len(digits.labels) // m)
    order = stream(seed, "shuffle").permutation(len(digits.labels))
    return [order[e::m][:count] for e in range(m)]


def check_rates(**rates):
    """ValueError for a probability outside [0, 1], or none."""
    for name, values in rates.items():
        if not len(values):
            raise ValueError(f"{name}: at least one is needed, got none")
    for name, value in ((name, value) for name, values in rates.items() for value in values):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: {value!r} is no probability in [0, 1]")


def check_count(call, name, value, most):
    """ValueError for a number of rows below 1 or above what there is, or no whole number."""
    if not 1 <= value <= most:
        raise ValueError(f"{call}: {name}={value!r} is outside 1..{most}")
    if not isinstance(value, int | np.integer):
        raise ValueError(f"{call}: {name}={value!r} is not a whole number")
