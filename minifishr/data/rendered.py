"""Digits rendered from fonts: a stand-in for MNIST that needs no network, and the same bytes on every machine.

`glyphs.npz` has the digits of 16 fonts as signed distance fields (tools/glyphs.py made it). A sample looks a field up
where a random affine map and a smooth warp send the 28 x 28 pixels; distance plus a random stroke width gives the ink.
The ranges below were set by eye and by MNIST: its mean brightness, its size, how hard it is for a small MLP.

The same bytes, because no step is left to a library, a processor or a number of threads. The random numbers are bits
of PCG64, which NumPy promises to keep; what a `Generator` makes of them it does not. All else is + - * / and square
root, one element at a time, which IEEE 754 rounds in one way only. The one matrix product adds multiples of 2^-30 below
2^23, exactly, whatever the order, and the one table that has sines and cosines is rounded to multiples of 2^-10.
"""

import hashlib
import os
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

SIDE = 28
HEIGHT = 20  # pixels of an unscaled glyph: MNIST fits its digits into 20 x 20
COUNT = 70_000
BLOCK = 1_000  # images drawn at once, as many of each label: any set begins like a larger one
VERSION = 2  # part of the cache's file name: raise it when the pictures change, which changes SHA256 too
SHA256 = "4192e96982df23b12a17a15e9e0a08561adc2f0638d245d9590b039c8ec7fcc7"  # of COUNT images and their labels
ZOOM = 3  # cells of a field per pixel
LEVELS, MIDDLE = 32, 128  # steps of a field per pixel of distance, and the step on the outline


class Glyphs(NamedTuple):
    """The ten digits of some fonts; lengths are in pixels of a glyph HEIGHT pixels high."""

    fonts: np.ndarray  # (f,) names
    fields: np.ndarray  # (f,10,rows,cols) float32: distance to the outline, positive in the ink, center of mass midmost
    boxes: np.ndarray  # (f,10,2) height and width


def glyphs():
    """The `Glyphs` of the file, which has second differences of their fields: they compress well."""
    with files(__package__).joinpath("glyphs.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        fonts, differences, boxes = arrays["fonts"], arrays["differences"], arrays["boxes"]
    steps = differences.cumsum(axis=2, dtype=np.uint8).cumsum(axis=3, dtype=np.uint8)  # modulo 256
    return Glyphs(fonts, (steps.astype(np.float32) - MIDDLE) / LEVELS, boxes / 1024)


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


def rounded(values, bits):
    """The nearest multiples of 2^-bits."""
    return np.rint(values * 2.0**bits) / 2.0**bits


def between(low, high, draws):
    """Numbers in [low,high) from draws in [0,1)."""
    return low + (high - low) * draws


def affine_maps(draws, boxes):
    """Random linear maps from the picture to glyphs with boxes (n,2), made to fit it, of draws (n,4): (n,2,2)."""
    half, shear, stretch, size = between(np.array([-0.125, -0.35, 0.85, 18]), np.array([0.125, 0.35, 1.4, 21]), draws).T
    cos, sin = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)  # half: tan(angle / 2)
    to_picture = np.array([[cos - sin * shear * stretch, -sin * stretch], [sin + cos * shear * stretch, cos * stretch]])
    extent = (np.abs(to_picture) * boxes.T).sum(axis=1).max(axis=0)  # of the box around the slanted box
    (a, b), (c, d) = to_picture
    return (np.array([[d, -b], [-c, a]]) / stretch * (extent / size)).transpose(2, 0, 1)  # stretch: a d - b c


def distances(fields, glyph, places):
    """Of fields (g,rows,cols), those of glyphs (n,) at places (n,2,784) in pixels from the middle, (n,784) float32."""
    ends = np.array(fields.shape[1:]) - 1
    cells = np.clip(places * ZOOM + ends[:, None] / 2, 0, ends[:, None] - 0.001).astype(np.float32).transpose(1, 0, 2)
    corner = cells.astype(np.intp)
    down, right = cells - corner.astype(np.float32)
    first = np.ravel_multi_index((glyph[:, None], *corner), fields.shape)
    flat, width = fields.reshape(-1), fields.shape[2]
    upper = flat[first] + right * (flat[first + 1] - flat[first])
    lower = flat[first + width] + right * (flat[first + width + 1] - flat[first + width])
    return upper + down * (lower - upper)


def pictures(fields, glyph, places, scale, widening, softness):
    """Glyphs (n,) at places (n,2,784), strokes wider by (n,) pixels on each side, edges (n,) soft: (n,784) uint8."""
    gain, start = ((each / softness)[:, None].astype(np.float32) for each in (scale, softness / 2 + widening))
    return np.rint(255 * np.clip(start + gain * distances(fields, glyph, places), 0, 1)).astype(np.uint8)


def block(draws, glyphs, functions):
    """Images (n,784) and labels (n,) of draws (n,42) in [0,1); every label comes as often."""
    order, font, shape, shift, bends, bold, soft = np.split(draws, (1, 2, 6, 8, 40, 41), axis=1)
    labels = order[:, 0].argsort(kind="stable") % 10
    font = (font[:, 0] * len(glyphs.fonts)).astype(int)
    maps = affine_maps(shape, glyphs.boxes[font, labels])
    bends = between(-0.45, 0.45, bends.reshape(-1, 2, 16))  # sixteen of them: 1 pixel root mean square
    parts = np.concatenate([between(-0.5, 0.5, shift)[:, :, None], maps, bends], axis=2)
    places = (rounded(parts, 20).reshape(-1, 19) @ functions).reshape(-1, 2, SIDE * SIDE)
    scale = 1 / np.sqrt(maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0])  # picture per glyph pixel
    boldness = glyphs.fields.max(axis=(2, 3)).mean(axis=1, dtype=float)[font]
    widening = between(-0.2, 0.55, bold[:, 0]) + np.clip(0.5 * (1.7 - boldness), -0.35, 0.1)
    fields = glyphs.fields.reshape(-1, *glyphs.fields.shape[2:])
    return pictures(fields, 10 * font + labels, places, scale, widening, between(1.0, 1.8, soft[:, 0])), labels


def rendered_digits(count, seed=0):
    """Random digits, each BLOCK of them balanced, white on black: images (count,28,28), labels (count,), both uint8."""
    bits, shapes = np.random.PCG64(seed), glyphs()
    functions = np.concatenate([np.ones((1, SIDE * SIDE)), pixels(), rounded(waves(), 10)])
    images, labels = np.empty((count, SIDE * SIDE), np.uint8), np.empty(count, np.uint8)
    for start in range(0, count, BLOCK):
        draws = (bits.random_raw((BLOCK, 42)) >> np.uint64(11)) * 2.0**-53
        here = slice(start, start + BLOCK)
        images[here], labels[here] = (each[: count - start] for each in block(draws, shapes, functions))
    return images.reshape(count, SIDE, SIDE), labels


def is_published(images, labels):
    """Whether a whole set has the bytes that go by the name "rendered digits"; a smaller one is taken at its word."""
    return len(images) != COUNT or hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == SHA256


def read_cache(path, count):
    """Images and labels from a cache file, or None if it is missing, damaged or not what is looked for."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except Exception:  # damage can surface anywhere in zipfile, zlib or the header's parser
        return None
    fits = images.shape == (count, SIDE, SIDE) and labels.shape == (count,)
    fits = fits and images.dtype == labels.dtype == np.uint8 and is_published(images, labels)
    return (images, labels) if fits else None


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
    """`rendered_digits(count)`, kept in a folder; a damaged file is rendered again, a folder that refuses ignored.

    ValueError if the digits come out other than published: by another `glyphs.npz`, say.
    """
    path = Path(folder, f"rendered-digits-v{VERSION}-{count}.npz")
    found = read_cache(path, count)
    if found is not None:
        return found
    images, labels = rendered_digits(count)
    if not is_published(images, labels):
        raise ValueError(f"cached_digits: these are other digits than those of version {VERSION}, by their SHA-256")
    with suppress(OSError):  # the cache only saves time
        write_cache(path, images, labels)
    return images, labels
