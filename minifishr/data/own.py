"""Domains from a person's own arrays."""

import io
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from .domains import Domain


def load_npz(path: str | PathLike, dtype: DTypeLike = np.float64) -> list[Domain]:
    """Domains from an .npz file of pairs x_NAME (n, ...) and y_NAME (n,).

    Nothing is ever unpickled. Labels are whole numbers, any of them; `recoded` makes them 0..k-1. ValueError that names
    file and array for anything that cannot be a domain.
    """
    arrays = read_arrays(path)
    names = [key[2:] for key in arrays if key.startswith("x_")]
    lone = sorted(set(arrays) ^ {f"{xy}_{name}" for name in names for xy in "xy"})
    if lone or not names:
        which = f"{lone[:5]}{' ...' * (len(lone) > 5)}" if lone else "no arrays"
        raise ValueError(f"{path}: arrays must come in pairs x_NAME, y_NAME; without a partner: {which}")
    domains = [own_domain(path, name, arrays[f"x_{name}"], arrays[f"y_{name}"], dtype) for name in names]
    widths = {domain.name: domain.x.shape[1] for domain in domains}
    if len(set(widths.values())) > 1:
        raise ValueError(f"{path}: all domains must have the same width, got {widths}")
    return domains


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
    with np.errstate(over="ignore"):
        x = x.reshape(len(x), -1).astype(dtype)
    if not np.isfinite(x).all():
        raise ValueError(f"{path}: x_{name} has NaN or infinite values (as {np.dtype(dtype)})")
    return Domain(name, x, y.astype(int))


def recoded(domains):
    """The same domains with labels 0..k-1 in the order of the labels that they have, and these labels, (k,).

    ValueError for labels that are more like numbers than classes: more than one for every two rows.
    """
    names, codes = np.unique(np.concatenate([domain.y for domain in domains]), return_inverse=True)
    if len(names) > max(2, len(codes) / 2):
        raise ValueError(f"own data: {len(names)} different labels in {len(codes)} rows are no classes")
    parts = np.split(codes, np.cumsum([len(domain.y) for domain in domains])[:-1])
    return [domain._replace(y=part) for domain, part in zip(domains, parts, strict=True)], names.tolist()
