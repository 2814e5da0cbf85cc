import os
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minifishr.data import domains
from minifishr.data.batches import full_batch, minibatches
from minifishr.data.digits import Digits, load_digits
from minifishr.data.domains import (
    Domain,
    colored,
    colored_mnist,
    colored_mnist_domains,
    rotated_mnist,
    stream,
)
from minifishr.data.splits import leave_out
from minifishr.data.toys import cdsprites

N = 70_000
LABELS = np.random.default_rng(0).integers(0, 10, N).astype(np.uint8)


@pytest.fixture(scope="module")
def digits():
    """70 000 images that carry their own row number in three pixels and a mark elsewhere."""
    images = np.zeros((N, 28, 28), np.uint8)
    for column, digit in zip((0, 4, 8), (np.arange(N) // base % 100 for base in (1, 100, 10_000)), strict=True):
        images[:, 0, column] = digit
    images[:, 4, 0] = 255
    return Digits("marked digits", images, LABELS)


def rows_of(domain, size):
    """The rows of the digits that a colored domain was made of, whatever their color."""
    places = np.array([0, 4, 8]) * size // 28
    images = domain.x.reshape(len(domain.y), 2, size, size).max(axis=1)
    return np.rint(255 * images[:, 0, places] @ [1, 100, 10_000]).astype(int)


def colors_of(domain, size):
    """0 or 1: the channel that is not black."""
    return domain.x.reshape(len(domain.y), 2, size * size).sum(axis=2).argmax(axis=1)


def test_irm_setup_deals_the_first_50_000_and_tests_on_the_next_10_000(digits):
    task = colored_mnist(digits)
    assert [d.name for d in task.train] == ["+80%", "+90%"] and [d.name for d in task.test] == ["-90%", "grey"]
    first, second = (rows_of(d, 14) for d in task.train)
    assert sorted([*first, *second]) == list(range(50_000))
    order = stream(0, "shuffle").permutation(50_000)
    assert first.tolist() == order[0::2].tolist() and second.tolist() == order[1::2].tolist()
    assert rows_of(task.test[0], 14).tolist() == rows_of(task.test[1], 14).tolist() == list(range(50_000, 60_000))
    held = np.concatenate([rows_of(d, 14) for d in task.validation])
    assert sorted(held) == list(range(60_000, 70_000))
    assert task.shape == (2, 14, 14) and task.classes == 2 and task.name == "Colored marked digits"


def test_labels_and_colors_flip_at_the_stated_rates(digits):
    task = colored_mnist(digits)
    for domain, rate in zip([*task.train, *task.validation, task.test[0]], [0.2, 0.1, 0.2, 0.1, 0.9], strict=True):
        n = len(domain.y)
        bound = 4 * 0.5 / n**0.5  # four standard deviations of a mean of n coins
        noisy = np.mean(domain.y != (LABELS[rows_of(domain, 14)] < 5))
        flipped = np.mean(domain.y != colors_of(domain, 14))
        assert abs(noisy - 0.25) < bound and abs(flipped - rate) < bound


@pytest.mark.parametrize("options", [{}, {"seed": 4, "label_noise": 0.5}])
def test_labels_of_the_irm_setup_follow_from_a_stream_of_each_part(options, digits):
    task = colored_mnist(digits, count=30, test_count=20, **options)
    for name, found in ((b"train", task.train), (b"validation", task.validation), (b"test", task.test)):
        for e, domain in enumerate(found):
            rng = np.random.default_rng([options.get("seed", 0), zlib.crc32(name), 0 if name == b"test" else e])
            rows = rows_of(domain, 14)
            flipped = rng.random(len(rows)) < options.get("label_noise", 0.25)
            assert domain.y.tolist() == ((LABELS[rows] < 5) ^ flipped).tolist() and domain.y.dtype == int


def test_coloring_by_hand():
    images = np.full((2, 1, 1), 51, np.uint8)
    sure = {"label_noise": 0.0}
    rng = np.random.default_rng(0)
    kept = colored(images, np.array([3, 7]), 0.0, rng, **sure)
    assert kept.y.tolist() == [1, 0]
    assert kept.x.tolist() == [[0, 0.2], [0.2, 0]]  # color 1: channel 0 is black
    assert colored(images, np.array([3, 7]), 1.0, rng, **sure).x.tolist() == [[0.2, 0], [0, 0.2]]
    assert colored(images, np.array([3, 7]), 1.0, rng, grey=True, **sure).x.tolist() == [[0.2, 0.2]] * 2
    assert colored(images, np.array([3, 7]), 0.0, rng, label_noise=1.0).y.tolist() == [0, 1]
    assert images.tolist() == [[[51]], [[51]]]


def test_arguments_of_the_irm_setup(digits):
    small = {"count": 30, "test_count": 20, "dtype": np.float32}
    task = colored_mnist(digits, flip_rates=(0.3, 0.2, 0), test_rate=0.7, label_noise=0, size=28, seed=5, **small)
    assert [d.name for d in [*task.train, *task.test]] == ["+70%", "+80%", "+100%", "-70%", "grey"]
    assert [d.x.shape for d in task.train] == [(30, 1568)] * 3 and task.test[0].x.shape == (20, 1568)
    assert all(d.x.dtype == np.float32 for d in [*task.train, *task.validation, *task.test])
    assert (task.train[0].y == (LABELS[rows_of(task.train[0], 28)] < 5)).all()
    assert (task.train[2].y == colors_of(task.train[2], 28)).all()
    again = colored_mnist(digits, flip_rates=(0.3, 0.2, 0), label_noise=0, size=28, seed=5, **small)
    assert (again.train[1].x == task.train[1].x).all()
    other = colored_mnist(digits, flip_rates=(0.3, 0.2, 0), label_noise=0, size=28, seed=6, **small)
    assert (other.train[1].x != task.train[1].x).any()


def test_grey_test_has_the_labels_of_the_test_domain_and_equal_channels(digits):
    test, grey = colored_mnist(digits, count=10).test
    assert (test.y == grey.y).all()
    channels = grey.x.reshape(len(grey.y), 2, -1)
    assert (channels[:, 0] == channels[:, 1]).all() and (
        channels[:, 0] == test.x.reshape(channels.shape).max(axis=1)
    ).all()


def test_domainbed_setup_deals_all_digits_to_three_domains(digits):
    found = colored_mnist_domains(digits, seed=3)
    assert [d.name for d in found] == ["+90%", "+80%", "-90%"]
    assert sorted(np.concatenate([rows_of(d, 28) for d in found])) == list(range(N))
    flipped = [np.mean(d.y != colors_of(d, 28)) for d in found]
    np.testing.assert_allclose(flipped, [0.1, 0.2, 0.9], atol=0.02)


def test_rotated_mnist_turns_counterclockwise_and_keeps_the_digit(digits):
    images = np.zeros((N, 28, 28), np.uint8)
    images[:, 13:15, 20:26] = 200  # a bar right of the middle
    right, up = rotated_mnist(Digits("bars", images, LABELS), angles=(0, 90), count=4, seed=1)
    assert (right.name, up.name) == ("0", "90") and right.x.shape == (4, 784) and right.x.max() == 200 / 255
    turned = np.zeros((28, 28))
    turned[2:8, 13:15] = 200 / 255
    np.testing.assert_allclose(up.x[0].reshape(28, 28), turned, atol=1e-12)
    order = stream(1, "shuffle").permutation(N)
    assert right.y.tolist() == LABELS[order[0::2][:4]].tolist() and up.y.tolist() == LABELS[order[1::2][:4]].tolist()


def test_rotation_is_bilinear():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 6, 20] = 255
    turned = rotated_mnist(Digits("dot", image, np.array([3], np.uint8)), angles=(30,))[0].x.reshape(28, 28)
    cos, sin, middle = np.cos(np.pi / 6), np.sin(np.pi / 6), 13.5
    expected = np.zeros((28, 28))
    for row, column in np.ndindex(28, 28):  # where each pixel comes from, and its share of the dot
        y, x = row - middle, column - middle
        source = middle + cos * y + sin * x, middle - sin * y + cos * x
        expected[row, column] = max(0, 1 - abs(source[0] - 6)) * max(0, 1 - abs(source[1] - 20))
    np.testing.assert_allclose(turned, expected, atol=1e-12)


def letters(**counts):
    return [Domain(name, np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2) for name, n in counts.items()]


def test_leaving_one_out_holds_out_a_fifth_of_each_other_domain():
    task = leave_out("letters", letters(a=10, b=6, c=3), "b", seed=1)
    assert [d.name for d in task.train] == [d.name for d in task.validation] == ["a", "c"]
    assert [len(d.y) for d in task.train] == [8, 2] and [len(d.y) for d in task.validation] == [2, 1]
    both = np.concatenate([task.train[0].x, task.validation[0].x])
    assert sorted(both[:, 0]) == list(np.arange(0.0, 20, 2))
    assert [len(d.y) for d in (*task.test, *task.oracle)] == [5, 1] and task.oracle[0].name == "b"
    both = np.concatenate([task.test[0].x, task.oracle[0].x])
    assert sorted(both[:, 0]) == list(np.arange(0.0, 12, 2))


def test_leaving_two_out_tests_on_both_and_holds_out_the_same_rows():
    source = letters(a=10, b=6, c=5, d=9)
    task = leave_out("letters", source, "d", "b", seed=1)
    assert [d.name for d in task.train] == ["a", "c"]
    assert [d.name for d in task.test] == [d.name for d in task.oracle] == ["d", "b"]
    for other in (leave_out("letters", source, name, seed=1) for name in "bd"):
        for part, kept in ((task.train, other.train), (task.test, other.test), (task.oracle, other.oracle)):
            rows = {d.name: d.x.tolist() for d in kept}
            assert all(rows.get(d.name, d.x.tolist()) == d.x.tolist() for d in part)


def test_irm_setup_keeps_no_rows_of_the_test_domain_apart(digits):
    assert colored_mnist(digits, count=10).oracle == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("cb", "with 'c' and 'b' left out, fewer than 2 domains are left to train on"),
        ("bb", r"domain names repeat: .* without \['b', 'b'\]"),
        ("bx", "unknown test domain 'x'"),
    ],
)
def test_impossible_pairs_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        leave_out("letters", letters(a=5, b=5, c=5), *names)


@pytest.mark.parametrize(
    ("counts", "left_out", "message"),
    [
        ({"a": 5, "b": 5, "c": 5}, "d", "letters: unknown test domain 'd', expected one of a, b, c"),
        ({"a": 5, "b": 5}, "b", "fewer than 2 domains are left to train on"),
        ({"a": 5, "b": 1, "c": 5}, "c", r"domain 'b' has 1 row\(s\), too few to hold out 0.2"),
    ],
)
def test_impossible_splits_are_refused(counts, left_out, message):
    with pytest.raises(ValueError, match=message):
        leave_out("letters", letters(**counts), left_out)


def test_names_that_repeat_are_refused():
    with pytest.raises(ValueError, match="names repeat"):
        leave_out("letters", [*letters(a=5, b=5), *letters(a=5)], "b")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"size": 13}, "image size must be 7, 14 or 28, got 13"),
        ({"count": 25_001}, r"^colored_mnist: count=25001 is outside 1\.\.25000$"),
        ({"count": 16_667, "flip_rates": (0.1, 0.2, 0.3)}, r"^colored_mnist: count=16667 is outside 1\.\.16666$"),
        ({"count": 0}, "count=0"),
        ({"test_count": 10_001}, r"^colored_mnist: test_count=10001 is outside 1\.\.10000$"),
        ({"flip_rates": (0.1, 1.5)}, "flip_rates: 1.5 is no probability"),
        ({"test_rate": -0.1}, "test_rate: -0.1"),
        ({"label_noise": float("nan")}, "label_noise: nan"),
    ],
)
def test_impossible_arguments_are_refused(call, message, digits):
    with pytest.raises(ValueError, match=message):
        colored_mnist(digits, **call)


def test_too_few_digits_are_refused(digits):
    with pytest.raises(ValueError, match=r"^colored_mnist needs 70 000 digits \(60 000 and 10 000\), got 100$"):
        colored_mnist(Digits("few", digits.images[:100], LABELS[:100]))
    with pytest.raises(ValueError, match=r"count=50 is outside 1\.\.33"):
        colored_mnist_domains(Digits("few", digits.images[:100], LABELS[:100]), count=50)


def test_batches_are_a_pure_function_of_seed_and_step():
    batch, same, other = (minibatches(letters(a=9, b=4), 5, seed) for seed in (1, 1, 2))
    batch(7)
    for one, two in zip(batch(3), same(3), strict=True):
        assert one.name == two.name and (one.x == two.x).all() and (one.y == two.y).all()
    assert not all((p.x == q.x).all() for p, q in zip(batch(3), other(3), strict=True))
    assert not all((p.x == q.x).all() for p, q in zip(batch(3), batch(4), strict=True))


@given(st.integers(1, 30), st.integers(0, 1000))
def test_batches_are_rows_of_their_domains_with_replacement(size, step):
    source = letters(a=9, b=4)
    for domain, whole in zip(minibatches(source, size)(step), source, strict=True):
        assert len(domain.y) == size
        rows = (domain.x[:, 0] / 2).astype(int)
        assert (whole.x[rows] == domain.x).all() and (whole.y[rows] == domain.y).all()


def test_every_row_is_drawn_about_equally_often():
    batch = minibatches(letters(a=4), 10)
    drawn = np.bincount(np.concatenate([batch(step)[0].x[:, 0] // 2 for step in range(400)]).astype(int), minlength=4)
    assert (abs(drawn - 1000) < 4 * (4000 * 0.25 * 0.75) ** 0.5).all()  # four standard deviations of the count


def test_full_batch_is_the_domains_themselves():
    source = letters(a=3, b=2)
    assert full_batch(source)(17) is source
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        minibatches(source, 0)


def test_streams_are_independent_and_repeatable():
    assert stream(1, "a").random() == stream(1, "a").random()
    values = [stream(*key).random() for key in [(1, "a", 0), (1, "b", 0), (2, "a", 0), (1, "a", 1), (1, "a", 0, 1)]]
    assert len(set(values)) == 5


@pytest.mark.skipif(not os.environ.get("MINIFISHR_DATA"), reason="MINIFISHR_DATA is unset")
def test_real_colored_mnist_keeps_the_ink_of_mnist():
    found = load_digits("mnist")
    task = colored_mnist(found)
    order = domains.stream(0, "shuffle").permutation(50_000)
    ink = task.train[0].x.reshape(-1, 2, 14, 14).sum(axis=1)
    np.testing.assert_allclose(ink, found.images[order[::2], ::2, ::2] / 255)


def test_domains_with_equal_rates_have_names_of_their_own(digits):
    task = colored_mnist(digits, flip_rates=(0.5, 0.5), count=20)
    assert [d.name for d in task.train] == [d.name for d in task.validation] == ["+50% (1)", "+50% (2)"]
    found = colored_mnist_domains(digits, flip_rates=(0.1, 0.2, 0.2), count=20)
    assert [domain.name for domain in found] == ["+90%", "+80% (2)", "+80% (3)"]


def test_no_rates_no_angles_and_half_rows_are_refused(digits):
    for make, options, message in (
        (colored_mnist, {"flip_rates": ()}, "flip_rates: at least one is needed"),
        (colored_mnist_domains, {"flip_rates": ()}, "flip_rates: at least one is needed"),
        (colored_mnist, {"count": 2.5}, r"count=2\.5 is not a whole number"),
        (rotated_mnist, {"angles": ()}, r"rotated_mnist: angles=\(\)"),
        (rotated_mnist, {"angles": (0, np.nan)}, "rotated_mnist: angles="),
        (rotated_mnist, {"angles": (15, 15.0000001)}, r"apart as \['15', '15'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            make(digits, **options)
    with pytest.raises(ValueError, match="cdsprites: dtype=<class 'int'> has no colors"):
        cdsprites(dtype=int)
