import functools
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from minifishr.data import rendered
from minifishr.data.rendered import affine_maps, cached_digits, font_paths, glyph, glyphs, is_one_ring, pictures, pixels

COUNT = 2000
REAL = os.environ.get("MINIFISHR_DATA")


@pytest.fixture(scope="module", autouse=True)
def glyphs_once():
    """The glyphs are made once for this module; they take most of the time of a small count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendered, "glyphs", functools.cache(glyphs))
        yield


@pytest.fixture(scope="module")
def digits():
    return rendered.rendered_digits(COUNT)


def square(side, hole=0):
    ink = np.ones((side, side), bool)
    ink[(side - hole) // 2 : (side + hole) // 2, (side - hole) // 2 : (side + hole) // 2] = False
    return ink


def placed(maps, count):
    """The pixels' places under maps (n,2,2), by a loop over the definition."""
    return np.stack([np.stack([maps[i] @ pixel for pixel in pixels().T], axis=1) for i in range(count)])


def test_fonts_are_those_that_name_their_digits():
    assert font_paths() == sorted(font_paths())
    names = [path.stem for path in font_paths()]
    assert {"DejaVuSans", "STIXGeneral", "cmr10"} <= set(names)
    assert not {"cmsy10", "cmex10", "cmmi10", "LastResortHE-Regular", "STIXNonUni"} & set(names)


def test_dotted_zeros_are_left_out():
    mono = sum(path.stem.startswith("DejaVuSansMono") for path in font_paths())
    assert mono > 0
    assert len(glyphs()) == len(font_paths()) - mono
    assert all(len(ten) == 10 for ten in glyphs())


def test_ring_is_told_from_dotted_slashed_and_filled_zeros():
    ring, dotted, slashed = square(9, 5), square(9, 5), square(9, 5)
    dotted[4, 4] = True
    slashed[4] = True
    assert is_one_ring(ring)
    assert not is_one_ring(dotted)
    assert not is_one_ring(slashed)
    assert not is_one_ring(square(9))


def test_distance_field_of_a_square_is_the_distance_to_its_sides():
    ink = glyph(square(41))  # odd, so that one cell is the middle: 21 cells from the nearest black one
    row, col = np.round(ink.center).astype(int)
    np.testing.assert_allclose(ink.zoom, 41 / 20)
    np.testing.assert_allclose(ink.box, [20, 20])
    np.testing.assert_allclose(ink.distance[row, col] * ink.zoom, 21)
    np.testing.assert_allclose(ink.distance[row, col + 24] * ink.zoom, -4)
    np.testing.assert_allclose(ink.distance[row + 23, col + 24] * ink.zoom, -5)  # 3, 4, 5 from the corner
    assert ink.distance[0].max() < -3


def test_square_comes_out_as_a_square_of_the_same_size():
    ink = glyph(square(80))  # 20 pixels: the middle pixels 4 to 23 of 28
    picture = pictures(ink, pixels()[None], np.ones(1), np.zeros(1), np.ones(1)).reshape(28, 28)
    expected = np.zeros((28, 28))
    expected[4:24, 4:24] = 255
    np.testing.assert_allclose(picture, expected, atol=40)  # the outline lies between cells: an eighth of a pixel


def test_half_pixel_wider_strokes_widen_each_side_by_half_a_pixel():
    ink = glyph(square(80))
    wide = pictures(ink, pixels()[None], np.ones(1), np.full(1, 0.5), np.ones(1)).reshape(28, 28)
    np.testing.assert_allclose(wide[14, 3], 255 / 2, atol=40)
    assert wide[14, 4] == 255 and wide[14, 2] == 0


def test_scale_widens_the_distance_and_not_the_stroke_widening():
    ink, twice = glyph(square(80)), np.eye(2)[None] * 2  # a picture half as large
    picture = pictures(ink, placed(twice, 1), np.full(1, 0.5), np.full(1, 1.0), np.ones(1)).reshape(28, 28)
    np.testing.assert_allclose(picture.sum() / 255, 12**2, rtol=0.06)  # 10 pixels and one more on each side


def test_affine_maps_keep_the_box_within_21_pixels():
    boxes = np.tile([[20.0, 12.0], [20.0, 5.0], [20.0, 19.0]], (200, 1))
    to_picture = np.linalg.inv(affine_maps(np.random.default_rng(1), boxes))
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) / 2
    spans = [np.ptp(corners * box @ matrix.T, axis=0).max() for box, matrix in zip(boxes, to_picture, strict=True)]
    assert min(spans) > 17.9 and max(spans) < 21.1
    assert np.linalg.det(to_picture).min() > 0  # no mirror images


def test_waves_neither_shift_nor_scale_nor_turn():
    y, x = pixels()
    for wave in rendered.waves():
        slopes = np.polynomial.polynomial.polyfit(y, wave, 1), np.polynomial.polynomial.polyfit(x, wave, 1)
        np.testing.assert_allclose(slopes, 0, atol=1e-12)
        np.testing.assert_allclose(np.std(wave), 1)


def test_digits_are_uint8_pictures_with_balanced_labels_in_random_order(digits):
    images, labels = digits
    assert images.shape == (COUNT, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (COUNT,) and labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [COUNT // 10] * 10
    repeats = np.mean(labels[1:] == labels[:-1])
    assert abs(repeats - 0.1) < 5 * np.sqrt(0.09 / COUNT)  # five standard deviations


@pytest.mark.parametrize("count", [0, 1, 13])
def test_any_count_is_rendered(count):
    images, labels = rendered.rendered_digits(count)
    assert images.shape == (count, 28, 28) and labels.shape == (count,)


def test_same_seed_gives_the_same_digits_and_another_seed_others(digits):
    again, other = rendered.rendered_digits(COUNT), rendered.rendered_digits(COUNT, seed=1)
    assert np.array_equal(again[0], digits[0]) and np.array_equal(again[1], digits[1])
    assert not np.array_equal(other[1], digits[1])


def test_no_picture_comes_twice(digits):
    assert len({image.tobytes() for image in digits[0]}) == COUNT


def test_digits_are_white_on_black_centered_and_seldom_cut(digits):
    images = digits[0].astype(float)
    assert images.max(axis=(1, 2)).min() > 200  # no stroke has vanished
    mass = images.sum(axis=(1, 2))
    centers = (images.reshape(COUNT, -1) @ pixels().T) / mass[:, None]
    assert np.abs(centers.mean(axis=0)).max() < 0.2
    assert np.percentile(np.abs(centers), 99) < 2.5
    images[:, 1:-1, 1:-1] = 0
    assert np.mean(images.max(axis=(1, 2)) > 60) < 0.06


def test_labels_name_what_is_seen(digits):
    holes = dict.fromkeys(range(10), 0) | {0: 1, 4: 1, 6: 1, 8: 2, 9: 1}
    for digit, expected in holes.items():
        black = np.pad(digits[0][digits[1] == digit] < 60, ((0, 0), (1, 1), (1, 1)), constant_values=True)
        seen = [scipy.ndimage.label(picture)[1] - 1 for picture in black]
        assert np.mean(np.equal(seen, expected)) > 0.6  # of real MNIST's, fewer
    lower = [digits[0][digits[1] == digit, 14:].sum() / digits[0][digits[1] == digit].sum() for digit in range(10)]
    assert lower[6] > lower[9] and lower[2] > lower[7]  # where the bow and the bar are
    left = [digits[0][digits[1] == digit, 9:12, :14].sum() for digit in range(10)]
    assert left[5] > 1.5 * left[3]  # a five goes down on the left, a three on the right


def test_another_picture_of_a_digit_is_told_from_the_other_digits(digits):
    images, labels = digits[0].reshape(COUNT, -1) / 255, digits[1]
    means = np.stack([images[:1500][labels[:1500] == digit].mean(axis=0) for digit in range(10)])
    guesses = ((images[1500:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(guesses == labels[1500:]) > 0.55  # ten guesses at random would give 0.1


@pytest.mark.skipif(not REAL, reason="MINIFISHR_DATA is unset")
def test_rendered_digits_are_about_as_bright_and_as_large_as_mnist(digits):
    from minifishr.data.digits import load_digits

    real = load_digits("mnist").images[:COUNT]
    assert abs(digits[0].mean() / real.mean() - 1) < 0.1
    for axis in (1, 2):
        extents = [np.median((images.max(axis=axis) > 0).sum(axis=1)) for images in (digits[0], real)]
        assert abs(extents[0] - extents[1]) <= 2


def test_cache_is_written_once_and_then_read(tmp_path, monkeypatch):
    folder = tmp_path / "not yet" / "there"
    first = cached_digits(folder, 20)
    assert [path.name for path in folder.iterdir()] == [f"rendered-digits-v{rendered.VERSION}-20.npz"]
    monkeypatch.setattr(rendered, "rendered_digits", None)  # to call it would fail
    second = cached_digits(folder, 20)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


class Trap:
    def __reduce__(self):
        return Path.touch, (Path(os.environ["TRAP"]),)


def damages(path, good):
    """Ways to damage a cache file, as functions of nothing."""
    images, labels = np.zeros((30, 28, 28), np.uint8), np.zeros(30, np.uint8)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    return {
        "empty": lambda: path.write_bytes(b""),
        "cut": lambda: path.write_bytes(good[:-100]),
        "one bit": lambda: path.write_bytes(flipped),
        "text": lambda: path.write_text("<html>"),
        "pickle": lambda: path.write_bytes(pickle.dumps(Trap())),
        "pickle inside": lambda: np.savez(path, images=np.array([Trap()]), labels=labels),
        "other count": lambda: np.savez(path, images=images, labels=labels),
        "other size": lambda: np.savez(path, images=images[:20, 1:], labels=labels[:20]),
        "other type": lambda: np.savez(path, images=images[:20] / 255, labels=labels[:20]),
        "no labels": lambda: np.savez(path, images=images[:20]),
    }


DAMAGES = ["empty", "cut", "one bit", "text", "pickle", "pickle inside"]
DAMAGES += ["other count", "other size", "other type", "no labels"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_is_rendered_again_and_never_unpickled(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    images, labels = cached_digits(tmp_path / "cache", 20)
    (path,) = (tmp_path / "cache").iterdir()
    good = path.read_bytes()
    damages(path, good)[damage]()
    again = cached_digits(tmp_path / "cache", 20)
    assert np.array_equal(again[0], images) and np.array_equal(again[1], labels)
    with np.load(path, allow_pickle=False) as mended:
        assert np.array_equal(mended["images"], images)
    assert not (tmp_path / "sprung").exists()


def test_folder_that_cannot_be_written_breaks_nothing(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    images, labels = cached_digits(tmp_path / "file" / "cache", 20)
    assert len(images) == len(labels) == 20


def test_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert len(cached_digits(tmp_path, 20)[0]) == 20
    assert list(tmp_path.iterdir()) == []
