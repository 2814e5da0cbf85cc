import hashlib

import numpy as np
import pytest

from minifishr.data.toys import cdsprites, linear_toy, sprites
from minifishr.evaluate import accuracy
from minifishr.mlp import MLP


def counted(domain):
    """(row, label) -> how many."""
    rows = [(*map(int, x), int(y)) for x, y in zip(domain.x, domain.y, strict=True)]
    return {row: rows.count(row) for row in rows}


def test_linear_toy_has_the_counts_of_the_paper():
    task = linear_toy(200)
    for domain, own in zip([*task.train, *task.test], ((1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)), strict=True):
        assert counted(domain) == {(0, 0, 0, 0, 0): 100, (*own, 1): 80, (1, 0, 0, 0, 1): 6, (1, 0, 0, 0, 0): 14}
    assert task.shape == () and task.classes == 2 and task.validation == task.train
    assert task.name == "linear toy" and [d.name for d in [*task.train, *task.test]] == ["domain 1", "domain 2", "test"]


def test_linear_toy_has_ten_hundred_rows_a_domain_unless_told_and_the_dtype_asked_for():
    assert {len(d.y) for d in [*linear_toy().train, *linear_toy().test]} == {1000}
    small = linear_toy(100, np.float32)
    assert {d.x.dtype for d in [*small.train, *small.test]} == {np.dtype("float32")}


@pytest.mark.parametrize("count", [0, 1, -100, 50, 150, 1001])
def test_linear_toy_refuses_counts_that_cannot_be_split(count):
    with pytest.raises(ValueError, match=f"count={count}"):
        linear_toy(count)


def test_the_rules_of_the_linear_toy_are_right_as_often_as_counted_by_hand():
    task, model = linear_toy(100), MLP((4, 1))
    invariant, shortcut = np.array([2.0, 0, 0, 0, -1]), np.array([1.0, 2, 2, 0, -2])
    assert [accuracy(model, invariant, d) for d in (*task.train, *task.test)] == [0.93, 0.93, 0.93]
    assert [accuracy(model, shortcut, d) for d in (*task.train, *task.test)] == [0.97, 0.97, 0.57]


def test_sprites_have_one_color_a_shape_in_each_training_domain():
    task = cdsprites(3, count=20, size=12)
    for domain, held in zip(task.train, task.validation, strict=True):
        hues = [hue(d, 12)[d.y == label] for d in (domain, held) for label in (0, 1)]
        assert all(np.allclose(h, h[0]) for h in hues)
        assert np.allclose(hues[0][0], hues[2][0]) and np.allclose(hues[1][0], hues[3][0])
        assert not np.allclose(hues[0][0], hues[1][0])
        assert not np.array_equal(domain.x, held.x)


def hue(domain, size):
    """The color of each image, (n,3), from the sums of its channels."""
    sums = domain.x.reshape(len(domain.y), 3, -1).sum(axis=2)
    return sums / sums.max(axis=1, keepdims=True)


def test_colors_of_the_test_domain_know_nothing_of_the_shape():
    domain = cdsprites(2, count=200, size=8).test[0]
    hues = hue(domain, 8)
    assert len(np.unique(hues.round(6), axis=0)) == len(domain.y) == 1000
    # 500 of each: the standard error of a difference of means is about 0.3 sqrt(2 / 500) = 0.02
    assert np.abs(hues[domain.y == 0].mean(axis=0) - hues[domain.y == 1].mean(axis=0)).max() < 0.1


def test_more_domains_leave_the_earlier_ones_and_the_test_domain_alone():
    few, many = cdsprites(2, count=4, size=8), cdsprites(5, count=4, size=8)
    for a, b in zip(
        [*few.train, *few.validation, *few.test], [*many.train[:2], *many.validation[:2], *many.test], strict=True
    ):
        assert a.name == b.name and np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)
    assert [d.name for d in many.train] == [f"domain {e}" for e in range(1, 6)]


def test_squares_and_ellipses_cover_the_same_area_on_average():
    domain = cdsprites(2, count=1000, size=16).train[0]
    area = domain.x.reshape(1000, 3, -1).max(axis=1).sum(axis=1)
    # half the side is uniform in 16 * (0.16, 0.24): the mean of 4 half^2 is 4 * 256 * (0.24^3 - 0.16^3) / (3 * 0.08)
    expected = 1024 * (0.24**3 - 0.16**3) / 0.24
    assert abs(area[domain.y == 0].mean() - expected) < 0.05 * expected
    assert abs(area[domain.y == 1].mean() - expected) < 0.05 * expected


def test_a_sprite_covers_the_points_inside_its_outline():
    """Point by point, from the outlines' definitions: |x|, |y| <= h, and (x / 2b)^2 + (y / b)^2 <= 1 of area 4 h^2."""
    y, size, fine = np.array([0, 1, 1, 0]), 9, 3
    rng = np.random.default_rng(5)
    half, angle = size * rng.uniform(0.16, 0.24, 4), rng.uniform(-np.pi / 2, np.pi / 2, 4)
    reach = half * np.sqrt(8 / np.pi)
    center = reach + (size - 2 * reach) * rng.random((2, 4))
    expected = np.zeros((4, size, size))
    for i in range(4):
        for row, column in np.ndindex(size * fine, size * fine):
            right, down = (column + 0.5) / fine - center[0, i], (row + 0.5) / fine - center[1, i]
            u = np.cos(angle[i]) * right + np.sin(angle[i]) * down
            v = np.cos(angle[i]) * down - np.sin(angle[i]) * right
            b = half[i] * np.sqrt(2 / np.pi)
            inside = (u / (2 * b)) ** 2 + (v / b) ** 2 <= 1 if y[i] else max(abs(u), abs(v)) <= half[i]
            expected[i, row // fine, column // fine] += inside / fine**2
    found = sprites(y, size, np.random.default_rng(5))
    assert np.abs(found - expected).max() < 0.12 and np.mean(np.abs(found - expected) > 1e-6) < 0.02  # float32 there


def test_cdsprites_are_the_same_for_ever():
    task = cdsprites(2, count=4, size=8)
    parts = [*task.train, *task.validation, *task.test]
    assert [(d.name, len(d.y)) for d in parts] == [*[("domain 1", 4), ("domain 2", 4)] * 2, ("test", 20)]
    data = b"".join(np.round(d.x, 6).tobytes() + d.y.astype(np.int64).tobytes() for d in parts)
    assert hashlib.sha256(data).hexdigest()[:16] == "9b6132a31b7af2a4"
    assert task.name == "CdSprites-like" and task.shape == (3, 8, 8)
    whole = cdsprites()
    assert [len(whole.train), len(whole.train[0].y), whole.shape] == [15, 200, (3, 16, 16)]


@pytest.mark.parametrize("wrong", [{"n_domains": 1}, {"n_domains": 51}, {"count": 0}, {"count": 3}, {"size": 4}])
def test_cdsprites_refuses_what_makes_no_sense(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"^cdsprites: {name}={value}"):
        cdsprites(**wrong)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: cdsprites(1),
            "cdsprites: n_domains=1 is outside 2..50: one has no pair to compare, and more than the paper's 50 only "
            "bring colors that are there already",
        ),
        (lambda: cdsprites(2, 3), "cdsprites: count=3 is odd, and half of the rows are squares"),
        (lambda: cdsprites(2, 2, 7), "cdsprites: size=7 is below 8 pixels, where a square looks like an ellipse"),
        (
            lambda: linear_toy(150),
            "linear_toy: count=150 is no positive multiple of 100, so 3 % of it are no whole rows",
        ),
    ],
)
def test_reasons_are_given(make, reason):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == reason


def test_as_many_domains_as_the_paper_has_are_possible():
    assert len(cdsprites(50, count=2, size=8).train) == 50


def test_dtype_is_kept_and_values_are_in_the_unit_interval():
    task = cdsprites(2, count=4, size=8, dtype=np.float32)
    for domain in (*task.train, *task.validation, *task.test):
        assert domain.x.dtype == np.float32 and domain.x.min() == 0 and 0 < domain.x.max() <= 1
    assert task.shape == (3, 8, 8) and task.classes == 2
