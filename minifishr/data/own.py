"""Domains from a person's own arrays, and what their columns and classes are called."""

import io
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from .domains import Domain
from .faults import plain

CHANNELS = (1, 2, 3, 4)  # of what can be drawn as an image


class Own(NamedTuple):
    """A person's data as it was read: domains with labels of any kind of whole numbers, and what is known about them.

    `columns` are the names of x's columns, where they have any; `labels` what the numbers 0, 1, ... in y mean, () where
    they mean themselves; `shape` is (channels, height, width) of images or (); `pixels` says that x were bytes.
    """

    domains: list
    columns: list = ()
    labels: list = ()
    shape: tuple = ()
    pixels: bool = False


def as_own(source):
    """The same as Own, whether it is that already or a list of domains."""
    return source if isinstance(source, Own) else Own(list(source))


def load_npz(path: str | PathLike, dtype: DTypeLike = np.float64) -> list[Domain]:
    """Domains from an .npz file of pairs x_NAME (n, ...) and y_NAME (n,), x as rows (n,p); bytes are divided by 255.

    Nothing is ever unpickled. Labels are whole numbers, any of them; `recoded` makes them 0..k-1. ValueError that names
    file and array for anything that cannot be a domain.
    """
    return own_npz(path, dtype).domains


def own_npz(path, dtype=None, labelled=True):
    """The same as Own; arrays (n,h,w) and (n,h,w,c) are images, whose channels come first in a row of x. Numbers become
    float64 unless they are float32 or a dtype is given. Without `labelled` y is 0, whatever y_NAME is."""
    arrays = read_arrays(path)
    names = [key[2:] for key in arrays if key.startswith("x_")]
    if not labelled:  # whatever labels there are
        arrays |= {f"y_{n}": np.zeros(arrays[f"x_{n}"].shape[:1], int) for n in names}
    lone = sorted(set(arrays) ^ {f"{xy}_{name}" for name in names for xy in "xy"})
    if lone or not names:
        which = f"{lone[:5]}{' ...' * (len(lone) > 5)}" if lone else "no arrays"
        raise ValueError(f"{path}: arrays must come in pairs x_NAME, y_NAME; without a partner: {which}")
    if "" in names:
        raise ValueError(f"{path}: the array 'x_' lacks the name of a domain, as in x_NAME")
    kinds = {arrays[f"x_{name}"].dtype == np.uint8 for name in names}
    if len(kinds) > 1:
        raise ValueError(f"{path}: either all x_NAME are bytes (uint8), which are divided by 255, or none")
    rows = {name: arrays[f"x_{name}"].shape[1:] for name in names}
    domains = [own_domain(path, name, arrays[f"x_{name}"], arrays[f"y_{name}"], dtype) for name in names]
    if len(set(rows.values())) > 1:  # also where the numbers of a row are as many: which is which pixel?
        raise ValueError(f"{path}: the rows of all domains must have the same shape, got {rows}")
    return Own(domains, shape=image_shape(arrays[f"x_{names[0]}"]), pixels=kinds == {True})


def rows_of(x):
    """Arrays (n, ...) as rows (n,p); the channels of images (n,h,w,c) come first."""
    return (np.moveaxis(x, 3, 1) if x.ndim == 4 else x).reshape(len(x), -1)


def image_shape(x):
    """(channels, height, width) of images (n,h,w) or (n,h,w,c) that can be drawn, else ()."""
    shape = (1, *x.shape[1:]) if x.ndim == 3 else (*x.shape[3:], *x.shape[1:3]) if x.ndim == 4 else ()
    return shape if shape and shape[0] in CHANNELS else ()


def read_arrays(path):
    """Name -> array of an .npz file; ValueError names the array that cannot be read."""
    key = "no array"
    data = Path(path).read_bytes()  # what cannot be read is no damage
    if data[:4] != b"PK\3\4" and data[:4] != b"PK\5\6":
        raise ValueError(f"{path}: no .npz file as numpy.savez writes it, it begins with {data[:16]!r}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {}
            for key in file.files:
                arrays[key] = file[key]
            return arrays
    except Exception as error:  # damage can surface anywhere in zipfile, zlib or the header's parser
        reason = "it holds Python objects" if "allow_pickle" in str(error) else " ".join(str(error).split())[:100]
        raise ValueError(f"{path}: no .npz file of plain arrays as numpy.savez writes it ({key}): {reason}") from None


def own_domain(path, name, x, y, dtype):
    """A checked domain from arrays (n, ...) and (n,); ValueError says what is wrong with which."""
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.size == 0:
        raise ValueError(f"{path}: x_{name} must be numbers (n, ...), got {x.dtype} {x.shape}")
    if y.dtype.kind not in "iub" or y.ndim != 1:
        raise ValueError(f"{path}: y_{name} must be integers (n,), got {y.dtype} {y.shape}")
    if len(x) != len(y):
        raise ValueError(f"{path}: x_{name} has {len(x)} rows but y_{name} has {len(y)}")
    if y.dtype == np.uint64 and y.max() > np.iinfo(int).max:
        raise ValueError(f"{path}: y_{name} has the label {y.max()}, more than {np.iinfo(int).max}")
    dtype = np.dtype(dtype or (np.float32 if x.dtype == np.float32 else np.float64))
    largest = 255 if x.dtype == np.uint8 else 1
    with np.errstate(over="ignore"):
        x = rows_of(x).astype(dtype)
    if not np.isfinite(x).all():
        raise ValueError(f"{path}: x_{name} has NaN or infinite values (as {dtype})")
    return Domain(plain(name), x / dtype.type(largest), y.astype(int))


def recoded(domains):
    """The same domains with labels 0..k-1 in the order of the labels that they have, and these labels, (k,).

    ValueError for labels that are more like numbers than classes: more than one for every two rows; and for one class.
    """
    names, codes = np.unique(np.concatenate([domain.y for domain in domains]), return_inverse=True)
    if len(names) > max(2, len(codes) / 2):
        raise ValueError(f"own data: {len(names)} different labels in {len(codes)} rows are no classes")
    if len(names) < 2:
        raise ValueError(f"own data: at least 2 classes are needed, but all {len(codes)} rows have the same label")
    parts = np.split(codes, np.cumsum([len(domain.y) for domain in domains])[:-1])
    return [domain._replace(y=part) for domain, part in zip(domains, parts, strict=True)], names.tolist()
