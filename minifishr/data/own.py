"""Domains from a person's own arrays."""

import numpy as np

from .domains import Domain


def load_npz(path, dtype=np.float64):
    """Domains from an .npz file of pairs x_NAME (n, ...) and y_NAME (n,).

    Nothing is ever unpickled. ValueError that names file and array for anything that cannot be a domain.
    """
    arrays = read_arrays(path)
    names = [key[2:] for key in arrays if key.startswith("x_")]
    lone = sorted(set(arrays) ^ {f"{xy}_{name}" for name in names for xy in "xy"})
    if lone or not names:
        raise ValueError(f"{path}: arrays must come in pairs x_NAME, y_NAME; without a partner: {lone or 'no arrays'}")
    domains = [own_domain(path, name, arrays[f"x_{name}"], arrays[f"y_{name}"], dtype) for name in names]
    widths = {domain.name: domain.x.shape[1] for domain in domains}
    if len(set(widths.values())) > 1:
        raise ValueError(f"{path}: all domains must have the same width, got {widths}")
    return domains


def read_arrays(path):
    """Name -> array of an .npz file; ValueError names the array that cannot be read."""
    key = "no array"
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {}
            for key in file.files:
                arrays[key] = file[key]
            return arrays
    except OSError:
        raise
    except Exception as error:  # damage can surface anywhere in zipfile, zlib or the header's parser
        raise ValueError(f"{path}: no .npz file of plain arrays ({key}): {error}") from None


def own_domain(path, name, x, y, dtype):
    """A checked domain from arrays (n, ...) and (n,); ValueError says what is wrong with which."""
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.size == 0:
        raise ValueError(f"{path}: x_{name} must be numbers (n, ...), got {x.dtype} {x.shape}")
    if y.dtype.kind not in "iub" or y.ndim != 1:
        raise ValueError(f"{path}: y_{name} must be integers (n,), got {y.dtype} {y.shape}")
    if len(x) != len(y):
        raise ValueError(f"{path}: x_{name} has {len(x)} rows but y_{name} has {len(y)}")
    with np.errstate(over="ignore"):
        x = x.reshape(len(x), -1).astype(dtype)
    if not np.isfinite(x).all():
        raise ValueError(f"{path}: x_{name} has NaN or infinite values (as {np.dtype(dtype)})")
    if y.min() < 0:
        raise ValueError(f"{path}: y_{name} has negative labels, expected 0..k-1")
    return Domain(name, x, y.astype(int))
