"""Files that are there whole or not at all, set aside where they are damaged, and hashes of what is in them."""

import hashlib
import io
import os
import uuid
import zipfile
from itertools import count
from pathlib import Path

import numpy as np


def digest(arrays):
    """A short hash of some arrays, their dtypes and shapes."""
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()[:16]


def write_whole(path, data, named=os.replace):
    """Write bytes to a file so that it has all of them or is as it was, whatever happens; OSError names the file.

    A link stays one: its target is written. What is there and no regular file, as a device, is refused. `named(part,
    path)` gives the whole file its name; a FileExistsError of it is passed on.
    """
    whole = Path(os.path.realpath(path))
    if whole.exists() and not whole.is_file() and not whole.is_dir():
        raise OSError(f"{path}: cannot be written: it is no regular file")
    part = Path(f"{whole}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        named(part, whole)
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def is_whole(data):
    """Whether bytes are a zip file with nothing damaged."""
    try:
        return zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    except Exception:  # of what is damaged anything can be said
        return False


def set_aside(path, why="damaged"):
    """Rename a file, and return what its name ends in now, which no other's did: .damaged, .2.damaged, ..."""
    ends = (f".{n}.{why}" if n > 1 else f".{why}" for n in count(1))
    end = next(end for end in ends if not Path(f"{path}{end}").exists())
    os.replace(path, f"{path}{end}")
    return end
