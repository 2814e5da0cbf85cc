import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import glyphs as tool
import matplotlib
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
from fontTools.ttLib import TTFont

from minifishr.data import rendered
from minifishr.data.rendered import affine_maps, cached_digits, glyphs, pictures, pixels

COUNT = 2000
REAL = os.environ.get("MINIFISHR_DATA")
FONTS = list(tool.SHA256)


@pytest.fixture(scope="module")
def digits():
    return rendered.rendered_digits(COUNT)


def square(side, hole=0):
    """The outlines of a square of so many pixels around 0, with a square hole."""
    around = np.array([[-1.0, -1], [-1, 1], [1, 1], [1, -1]]) / 2
    return [around * side, around[::-1] * hole] if hole else [around * side]


def field(contours):
    """The field of outlines as `Glyphs` has them, (1,rows,cols)."""
    return (tool.field(contours)[None].astype(np.float32) - rendered.MIDDLE) / rendered.LEVELS


def picture(fields, places, *numbers):
    """The first of some fields at places (1,2,784): scale, widening, softness."""
    return pictures(fields, np.zeros(1, int), places, *(np.full(1, number) for number in numbers)).reshape(28, 28)


def holes(picture):
    """The number of black regions in a picture of ink, but the one around."""
    return scipy.ndimage.label(np.pad(~picture, 1, constant_values=True))[1] - 1


def is_one_ring(ink):
    return scipy.ndimage.label(ink)[1] == 1 and holes(ink) == 1


def placed(maps, count):
    """The pixels' places under maps (n,2,2), by a loop over the definition."""
    return np.stack([np.stack([maps[i] @ pixel for pixel in pixels().T], axis=1) for i in range(count)])


def test_first_thousand_digits_are_these_for_ever(digits):
    images, labels = (each[:1000].tobytes() for each in digits)
    expected = "f035ed183c4d94a3f62333fdf5c29c946fcea9995b126d1ab7f7fbceb7d6e485"
    assert hashlib.sha256(images + labels).hexdigest() == expected, "raise VERSION and change both hashes"


@pytest.mark.untraced
def test_all_seventy_thousand_digits_are_these_for_ever(tmp_path):
    images, labels = cached_digits(tmp_path)  # compares their SHA-256
    assert images.shape == (70_000, 28, 28) and np.bincount(labels).tolist() == [7000] * 10


def test_neither_matplotlib_nor_scipy_has_a_hand_in_the_digits():
    code = "import sys; from minifishr.data.rendered import rendered_digits as r; r(9); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "minifishr"} <= set(run.stdout.split())
    assert not {"matplotlib", "fontTools", "PIL", "scipy"} & set(run.stdout.split())


def test_digits_begin_like_any_larger_set(digits):
    for count in (1, 999, 1001):
        images, labels = rendered.rendered_digits(count)
        assert np.array_equal(images, digits[0][:count]) and np.array_equal(labels, digits[1][:count])


def test_sums_of_the_matrix_product_are_exact_in_every_order():
    functions = np.concatenate([np.ones((1, 784)), pixels(), rendered.rounded(rendered.waves(), 10)])
    rng = np.random.default_rng(0)
    factors = rendered.rounded(rng.uniform(-2, 2, (500, 19)), 20)
    assert np.abs(factors).max() * np.abs(functions).sum(axis=0).max() < 2**23
    whole = (factors * 2**20).astype(np.int64) @ (functions * 2**10).astype(np.int64)
    for order in (slice(None), slice(None, None, -1), rng.permutation(19)):
        assert np.array_equal(factors[:, order] @ functions[order] * 2**30, whole)


def test_no_wave_is_so_near_to_half_a_step_that_a_rounding_error_could_decide():
    steps = rendered.waves() * 2**10
    assert np.abs(steps - np.floor(steps) - 0.5).min() > 1e-5  # of a float's rounding errors: some 1e-12


def test_fonts_are_those_that_name_their_digits():
    assert glyphs().fonts.tolist() == FONTS
    assert {"DejaVuSans", "STIXGeneral", "cmr10"} <= set(FONTS)
    assert not {"cmsy10", "cmex10", "cmmi10", "LastResortHE-Regular", "STIXNonUni"} & set(FONTS)


@pytest.mark.parametrize("name", ["DejaVuSans", "STIXGeneralItalic", "cmr10"])
def test_glyphs_are_those_of_the_font(name):
    found, tables = glyphs(), tool.font(name)
    for digit in (3, 8):
        contours, box = tool.fitted(tool.outlines(tables, digit))
        i = FONTS.index(name), digit
        np.testing.assert_allclose(found.boxes[i], box, atol=0.5 / 1024)
        np.testing.assert_array_equal(found.fields[i], field(contours)[0])


def test_another_font_of_the_same_name_is_refused(monkeypatch):
    monkeypatch.setitem(tool.SHA256, "cmr10", "0" * 64)
    with pytest.raises(ValueError, match=r"^font: cmr10\.ttf of matplotlib .* is another"):
        tool.font("cmr10")


def test_dotted_zeros_are_left_out():
    assert not any("Mono" in name for name in FONTS)
    assert glyphs().fields.shape[:2] == (len(FONTS), 10)
    mono = TTFont(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf"))
    assert not is_one_ring(field(tool.fitted(tool.outlines(mono, 0))[0])[0] > 0)
    assert all(is_one_ring(ten[0] > 0) for ten in glyphs().fields)


def test_ring_is_told_from_dotted_slashed_and_filled_zeros():
    dot, slash = square(2)[0], square(20)[0] * [1, 0.1]
    assert is_one_ring(field(square(20, 10))[0] > 0)
    assert not is_one_ring(field([*square(20, 10), dot])[0] > 0)
    assert not is_one_ring(field([*square(20, 10), slash])[0] > 0)
    assert not is_one_ring(field(square(20))[0] > 0)


def test_every_glyph_is_one_piece_with_the_holes_of_its_digit():
    everywhere = np.ones((3, 3))  # black specks in the corners of acute angles touch the rest of the black
    for ten in glyphs().fields:
        inks = [np.pad(scipy.ndimage.zoom(field, 2, order=1) > 0, 1) for field in ten]  # hairlines are below a cell
        assert [scipy.ndimage.label(ink)[1] for ink in inks] == [1] * 10
        assert [scipy.ndimage.label(~ink, everywhere)[1] - 1 for ink in inks] == [1, 0, 0, 0, 1, 0, 1, 0, 2, 1]


def test_border_of_a_field_stays_black_however_wide_and_soft_the_strokes():
    fields = glyphs().fields
    boxes = np.repeat(glyphs().boxes.reshape(-1, 2), 500, axis=0)
    maps = affine_maps(np.random.default_rng(0).random((len(boxes), 4)), boxes)
    scale, widening, softness = np.linalg.det(maps).max() ** -0.5, 0.55 + 0.1, 1.8
    border = max(edge.max() for edge in (fields[:, :, [0, -1]], fields[:, :, :, [0, -1]]))
    assert border * scale + widening + softness / 2 < 0


def test_curve_of_an_outline_is_made_of_lines():
    points, on = np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]]), [True, False, False, False]
    found = tool.corners(points, on)  # three curves, which meet half way between those that pull
    assert len(found) == 3 * tool.STEPS
    for here in ([0, 0], [0.5, 1], [1, 0.5], [0.125, 0.75]):  # the last: a quarter, a half, a quarter
        assert np.abs(found - here).sum(axis=1).min() < 1e-12
    assert np.array_equal(tool.corners(points, [True] * 4), points)


def test_distance_field_of_a_square_is_the_distance_to_its_sides():
    places = np.array([[0.0, 0], [0, 11], [0, -12], [13, 14], [9.5, 3]])
    np.testing.assert_allclose(tool.signed_distances(square(20), places), [10, -1, -2, -5, 0.5])  # 3, 4, 5
    np.testing.assert_allclose(tool.signed_distances(square(20, 4), places), [-2, -1, -2, -5, 0.5])
    ink = field(square(20))[0]
    np.testing.assert_allclose(ink[tool.ROWS, tool.COLUMNS + np.array([24, 33])], [2, -1])
    assert ink[0].max() < -3 and ink[:, 0].max() < -3


def test_outlines_are_fitted_to_their_height_and_center_of_mass():
    triangle = np.array([[70.0, 90], [70, 390], [670, 90]])
    (found,), box = tool.fitted([triangle])
    np.testing.assert_allclose(box, [20, 10])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)  # of a triangle's corners, and of its area
    np.testing.assert_allclose(np.ptp(found, axis=0), box)
    side, hole = square(20, 6)
    hole[:, 1] += 5
    (ring, _), _ = tool.fitted([100 + 4 * side, 100 + 4 * hole])
    np.testing.assert_allclose(ring.mean(axis=0), [0, 5 * 36 / (400 - 36)], atol=1e-12)  # from the hole


def test_square_comes_out_as_a_square_of_the_same_size():
    found = picture(field(square(20)), pixels()[None], 1, 0, 1)
    expected = np.zeros((28, 28))
    expected[4:24, 4:24] = 255  # 20 pixels: the middle pixels 4 to 23 of 28
    np.testing.assert_allclose(found, expected, atol=24)  # its corners lose a twelfth
    assert np.sum(found != expected) == 4


def test_half_pixel_wider_strokes_widen_each_side_by_half_a_pixel():
    wide = picture(field(square(20)), pixels()[None], 1, 0.5, 1)
    np.testing.assert_allclose(wide[14, 3], 255 / 2, atol=4)
    assert wide[14, 4] == 255 and wide[14, 2] == 0


def test_scale_widens_the_distance_and_not_the_stroke_widening():
    half = picture(field(square(20)), placed(np.eye(2)[None] * 2, 1), 0.5, 1, 1)  # a picture half as large
    np.testing.assert_allclose(half.sum() / 255, 12**2, rtol=0.06)  # 10 pixels and one more on each side


def test_soft_strokes_turn_from_black_to_white_over_as_many_pixels():
    soft = picture(field(square(20)), pixels()[None], 1, 0, 4).astype(float)
    np.testing.assert_allclose(np.diff(soft[14, 2:6]), 255 / 4, atol=4)


def test_fields_are_looked_up_between_cells_and_end_where_they_end():
    fields = np.random.default_rng(0).normal(size=(2, 9, 7)).astype(np.float32)
    places = np.random.default_rng(1).uniform(-3, 3, (2, 2, 784))
    for glyph, found, (y, x) in zip((1, 0), rendered.distances(fields, np.array([1, 0]), places), places, strict=True):
        cells = np.stack([y, x]) * rendered.ZOOM + [[4], [3]]
        expected = scipy.ndimage.map_coordinates(fields[glyph], cells, order=1, mode="nearest")
        np.testing.assert_allclose(found, expected, atol=5e-3)  # a thousandth of a cell at the far border


def test_affine_maps_keep_the_box_within_21_pixels():
    boxes = np.tile([[20.0, 12.0], [20.0, 5.0], [20.0, 19.0]], (200, 1))
    to_picture = np.linalg.inv(affine_maps(np.random.default_rng(1).random((600, 4)), boxes))
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) / 2
    spans = [np.ptp(corners * box @ matrix.T, axis=0).max() for box, matrix in zip(boxes, to_picture, strict=True)]
    assert min(spans) > 17.9 and max(spans) < 21.1
    assert np.linalg.det(to_picture).min() > 0  # no mirror images


def test_affine_maps_turn_slant_and_stretch_within_their_ranges():
    boxes = np.tile([20.0, 12.0], (600, 1))
    to_picture = np.linalg.inv(affine_maps(np.random.default_rng(1).random((600, 4)), boxes))
    angle = np.arctan2(-to_picture[:, 0, 1], to_picture[:, 1, 1])
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    slant = back @ to_picture  # a multiple of [[1, 0], [shear * stretch, stretch]]
    np.testing.assert_allclose(slant[:, 0, 1], 0, atol=1e-12)
    stretch, shear = slant[:, 1, 1] / slant[:, 0, 0], slant[:, 1, 0] / slant[:, 1, 1]
    for values, low, high in ((angle, -0.25, 0.25), (stretch, 0.85, 1.4), (shear, -0.35, 0.35)):
        assert low <= values.min() < low + 0.02 and high - 0.02 < values.max() <= high


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


def test_cache_of_an_earlier_version_is_not_read(tmp_path):
    images, labels = rendered.rendered_digits(20, seed=1)
    rendered.write_cache(tmp_path / "rendered-digits-v1-20.npz", images, labels)
    assert np.array_equal(cached_digits(tmp_path, 20)[0], rendered.rendered_digits(20)[0])


def test_other_digits_never_go_by_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(rendered, "COUNT", 20)
    good, other = rendered.rendered_digits(20), rendered.rendered_digits(20, seed=1)
    monkeypatch.setattr(rendered, "SHA256", hashlib.sha256(good[0].tobytes() + good[1].tobytes()).hexdigest())
    path = tmp_path / "rendered-digits-v2-20.npz"
    rendered.write_cache(path, *other)
    assert np.array_equal(cached_digits(tmp_path, 20)[0], good[0])
    assert np.array_equal(rendered.read_cache(path, 20)[0], good[0])  # mended
    path.unlink()
    monkeypatch.setattr(rendered, "rendered_digits", lambda count: other)
    with pytest.raises(ValueError, match=r"^cached_digits: these are other digits than those of version 2"):
        cached_digits(tmp_path, 20)
    assert not path.exists()


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


def test_disk_without_space_keeps_no_part_of_a_file(tmp_path, monkeypatch):
    parts = []

    def full(file, **arrays):
        file.write(b"half")
        parts.extend(path.name for path in tmp_path.iterdir())  # on the same disk: it can be renamed
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert len(cached_digits(tmp_path, 20)[0]) == 20
    assert list(tmp_path.iterdir()) == []
    (part,) = parts
    assert part.startswith(f"rendered-digits-v{rendered.VERSION}-20.npz") and part.endswith(".part")
