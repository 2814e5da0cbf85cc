"""Digits rendered from the fonts that come with matplotlib: a stand-in for MNIST that needs no network.

Each glyph is rasterized once, large, and turned into a signed distance field. A sample looks the field up where a
random affine map and a smooth warp send the 28 x 28 pixels; distance plus a random stroke width gives the ink.
The ranges below were set by eye and by MNIST: its mean brightness, its size, how hard it is for a small MLP.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIDE = 28
HEIGHT = 20  # pixels of an unscaled glyph: MNIST fits its digits into 20 x 20
COUNT = 70_000
VERSION = 1  # part of the cache's file name: raise it when the pictures change
GLYPH_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Glyph(NamedTuple):
    """One digit of one font; lengths are in pixels of a glyph HEIGHT pixels high."""

    distance: np.ndarray  # (rows, cols) to the outline, positive in the ink
    zoom: float  # cells of `distance` per pixel
    center: np.ndarray  # (2,) the center of mass, in cells
    box: np.ndarray  # (2,) height and width


def font_paths():
    """The matplotlib fonts, by file name, that call their glyphs for 0..9 "zero" to "nine"; symbol fonts do not."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    def glyph_names(path):
        font = FT2Font(str(path))
        return tuple(font.get_glyph_name(font.get_char_index(ord(digit))) for digit in "0123456789")

    paths = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf"))
    return [path for path in paths if glyph_names(path) == GLYPH_NAMES]


def glyph_ink(path, digit):
    """The digit as a boolean picture, about 120 rows and nothing around it, (rows, cols)."""
    from matplotlib.ft2font import FT2Font

    font = FT2Font(str(path))
    font.set_size(120, 96)
    font.set_text(str(digit), 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.array(font.get_image()) > 127
    return ink[ink.any(axis=1)][:, ink.any(axis=0)]


def is_one_ring(ink):
    """Whether the picture is one piece with one hole; a dotted or slashed zero is not and, once small, reads as 8."""
    from scipy.ndimage import label

    ink = np.pad(ink, 1)
    return label(ink)[1] == 1 and label(~ink)[1] == 2


def glyph(ink):
    """The `Glyph` of a boolean picture (rows, cols)."""
    from scipy.ndimage import distance_transform_edt

    zoom = ink.shape[0] / HEIGHT
    box = np.array(ink.shape) / zoom
    ink = np.pad(ink, int(4 * zoom))  # farther than any stroke is widened: the border is always black
    distance = (distance_transform_edt(ink) - distance_transform_edt(~ink)) / zoom
    return Glyph(distance, zoom, np.argwhere(ink).mean(axis=0), box)


def glyphs():
    """The ten `Glyph`s of every usable font, a list of lists."""
    fonts = [[glyph_ink(path, digit) for digit in range(10)] for path in font_paths()]
    return [[glyph(ink) for ink in inks] for inks in fonts if is_one_ring(inks[0])]


def pixels():
    """The rows and columns of the pixels, from the middle of the picture, (2,784)."""
    return np.mgrid[:SIDE, :SIDE].reshape(2, -1) - (SIDE - 1) / 2


def waves():
    """Smooth functions on the pixels, (16,784), each of mean square 1 and without affine part: they only bend."""
    y, x = pixels() * np.pi / SIDE
    phases = np.stack([y, x, y + x, y - x, 2 * y, 2 * x, 2 * y + x, y + 2 * x])
    bumps = np.concatenate([np.sin(phases), np.cos(phases)])
    affine = np.stack([np.ones_like(y), y, x])
    bumps -= np.linalg.lstsq(affine.T, bumps.T)[0].T @ affine
    return bumps / np.sqrt((bumps**2).mean(axis=1, keepdims=True))


def affine_maps(rng, boxes):
    """Random linear maps from the picture to glyphs with these boxes (n,2), made to fit the picture, (n,2,2)."""
    angle, shear, stretch, size = rng.uniform((-0.25, -0.35, 0.85, 18), (0.25, 0.35, 1.4, 21), (len(boxes), 4)).T
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[np.ones_like(shear), np.zeros_like(shear)], [shear * stretch, stretch]])
    to_picture = np.einsum("ijn,jkn->nik", rotation, slant)
    extent = np.einsum("nij,nj->ni", np.abs(to_picture), boxes).max(axis=1)  # of the box around the slanted box
    return np.linalg.inv(to_picture * (size / extent)[:, None, None])


def pictures(glyph, places, scale, widening, softness):
    """One glyph looked up at places (n,2,784) in pixels from its center, strokes widened by (n,), (n,784) uint8."""
    from scipy.ndimage import map_coordinates

    cells = (places * glyph.zoom + glyph.center[:, None]).transpose(1, 0, 2)
    distance = map_coordinates(glyph.distance, cells, order=1, mode="nearest") * scale[:, None]
    return np.rint(255 * np.clip(0.5 + (distance + widening[:, None]) / softness[:, None], 0, 1)).astype(np.uint8)


def rendered_digits(count, seed=0):
    """Random digits, balanced, in random order, white on black: images (count,28,28), labels (count,), both uint8."""
    rng = np.random.default_rng(seed)
    fonts = glyphs()
    labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
    font = rng.integers(len(fonts), size=count)
    maps = affine_maps(rng, np.array([[glyph.box for glyph in ten] for ten in fonts])[font, labels])
    shifts = rng.uniform(-0.5, 0.5, (count, 2, 1))
    bends = rng.uniform(-0.45, 0.45, (count, 2, len(waves())))  # sixteen of them: 1 pixel root mean square
    boldness = np.array([np.mean([glyph.distance.max() for glyph in ten]) for ten in fonts])[font]
    widening = rng.uniform(-0.2, 0.55, count) + np.clip(0.5 * (1.7 - boldness), -0.35, 0.1)
    softness = rng.uniform(1.0, 1.8, count)
    scale = np.linalg.det(maps) ** -0.5  # picture pixels per glyph pixel
    functions = np.concatenate([pixels(), waves()])
    images = np.empty((count, SIDE * SIDE), np.uint8)
    for f, d in np.ndindex(len(fonts), 10):  # glyph by glyph: small chunks, one field each
        i = np.flatnonzero((font == f) & (labels == d))
        places = np.concatenate([maps[i], bends[i]], axis=2) @ functions + shifts[i]
        images[i] = pictures(fonts[f][d], places, scale[i], widening[i], softness[i])
    return images.reshape(count, SIDE, SIDE), labels


def read_cache(path, count):
    """Images and labels from a cache file, or None if it is missing, damaged or not of this count."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except Exception:  # damage can surface anywhere in zipfile, zlib or the header's parser
        return None
    fits = images.shape == (count, SIDE, SIDE) and labels.shape == (count,)
    return (images, labels) if fits and images.dtype == labels.dtype == np.uint8 else None


def write_cache(path, images, labels):
    """Write a cache file under a temporary name and rename it, so that a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, images=images, labels=labels)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def cached_digits(folder, count=COUNT):
    """`rendered_digits(count)`, kept in a folder; a damaged file is rendered again, a folder that refuses ignored."""
    path = Path(folder, f"rendered-digits-v{VERSION}-{count}.npz")
    found = read_cache(path, count)
    if found is not None:
        return found
    images, labels = rendered_digits(count)
    with suppress(OSError):  # the cache only saves time
        write_cache(path, images, labels)
    return images, labels
