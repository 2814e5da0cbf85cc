"""Domains of DomainBed's set-ups once more, from what their docstrings say, on a few digits of noise."""

import numpy as np
import pytest
from samples import stream_once_more, told

from minifishr.data.digits import Digits
from minifishr.data.domains import check_count, check_rates, color_name, colored_mnist_domains, rotated_mnist, shrink

RNG = np.random.default_rng(0)
FEW = Digits("few", RNG.integers(0, 256, (40, 28, 28)).astype(np.uint8), RNG.integers(0, 10, 40).astype(np.uint8))


def colored(rows, rate, rng, noise):
    """x (n,2,28,28) and y (n,) of some digits, pixel by pixel from two draws for each."""
    labels, colors = rng.random(len(rows)) < noise, rng.random(len(rows)) < rate
    xs, ys = [], []
    for row, flip_label, flip_color in zip(rows, labels, colors, strict=True):
        y = int(FEW.labels[row] < 5) if not flip_label else 1 - int(FEW.labels[row] < 5)
        color = 1 - y if flip_color else y
        channels = [FEW.images[row] / 255] * 2
        channels[1 - color] = np.zeros((28, 28))
        xs.append(channels)
        ys.append(y)
    return np.array(xs), np.array(ys)


@pytest.mark.parametrize("options", [{}, {"seed": 3, "count": 5, "label_noise": 0.5, "flip_rates": (0.4, 0.6)}])
def test_colored_digits_follow_from_shuffle_and_color_streams(options):
    seed, rates = options.get("seed", 0), options.get("flip_rates", (0.1, 0.2, 0.9))
    order = stream_once_more(seed, b"shuffle").permutation(40)
    found = colored_mnist_domains(FEW, **options)
    assert [domain.name for domain in found] == (["+60%", "-60%"] if options else ["+90%", "+80%", "-90%"])
    for e, (domain, rate) in enumerate(zip(found, rates, strict=True)):
        rows = order[e :: len(rates)][: options.get("count", 40)]
        x, y = colored(rows, rate, stream_once_more(seed, b"color", e), options.get("label_noise", 0.25))
        np.testing.assert_array_equal(domain.x, x.reshape(len(rows), -1))
        assert domain.y.tolist() == y.tolist() and (domain.x.dtype, domain.y.dtype) == (np.float64, int)
    small = colored_mnist_domains(FEW, size=14, dtype=np.float32, **options)[0]
    assert small.x.dtype == np.float32 and small.x.shape == (len(found[0].y), 2 * 14 * 14)
    corners = found[0].x.reshape(-1, 2, 28, 28)[:, :, ::2, ::2]
    np.testing.assert_allclose(small.x.reshape(corners.shape), corners, rtol=1e-6)


def test_digits_turned_by_nothing_are_themselves_in_the_order_of_the_shuffle():
    for options in ({}, {"seed": 3}):
        order = stream_once_more(options.get("seed", 0), b"shuffle").permutation(40)
        first, second = rotated_mnist(FEW, angles=(0, 180), **options)
        np.testing.assert_array_equal(first.x, FEW.images[order[::2]].reshape(20, -1) / 255)
        np.testing.assert_allclose(second.x, FEW.images[order[1::2], ::-1, ::-1].reshape(20, -1) / 255, atol=1e-12)
        assert first.y.tolist() == FEW.labels[order[::2]].tolist() and (first.x.dtype, first.y.dtype) == (float, int)
    assert [domain.name for domain in rotated_mnist(FEW)] == ["0", "15", "30", "45", "60", "75"]
    small = rotated_mnist(FEW, angles=(7.5,), size=7, count=3, dtype=np.float32)[0]
    assert (small.name, small.x.shape, small.x.dtype) == ("7.5", (3, 49), np.float32)


def test_what_cannot_be_is_told():
    assert told(colored_mnist_domains, FEW, flip_rates=(0.1, 2)) == "flip_rates: 2 is no probability in [0, 1]"
    assert told(colored_mnist_domains, FEW, label_noise=-1) == "label_noise: -1 is no probability in [0, 1]"
    assert told(colored_mnist_domains, FEW, count=14) == "domains: count=14 is outside 1..13"
    assert told(rotated_mnist, FEW, count=0) == "domains: count=0 is outside 1..6"
    assert told(shrink, FEW.images, 1) == "image size must be 7, 14 or 28, got 1"
    check_rates(a=[0, 1], b=[0.5])
    check_count("x", "n", 1, 1)
    assert told(check_count, "x", "n", 2, 1) == "x: n=2 is outside 1..1"


def test_colors_are_called_by_what_they_agree_with():
    names = {0: "+100%", 0.125: "+87.5%", 0.5: "+50%", 0.501: "-50.1%", 1: "-100%", 0.12345: "+87.7%"}
    assert {rate: color_name(rate) for rate in names} == names
