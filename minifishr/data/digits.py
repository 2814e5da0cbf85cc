"""Digits to learn from: MNIST, found or fetched, or digits rendered from fonts where MNIST cannot be had."""

import gzip
import hashlib
import math
import os
import struct
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .here import cache_folder, in_browser
from .rendered import cached_digits

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
SHA256 = {  # images, then their labels
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# SHA-256 of MNIST's images and labels, training ones first: what is called MNIST has these bytes, whatever the files.
MNIST = "c2069063c1105f2bf96266aef1ff68c6e13bdda7a54e37bf19c16f1db24efc83"
IDX_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
HELP = "set MINIFISHR_DATA to a folder with MNIST's four IDX files (train-images-idx3-ubyte.gz and so on)"


class Digits(NamedTuple):
    """Digits and what to call them in a table: images (N,28,28) uint8, labels (N,) uint8."""

    name: str
    images: np.ndarray
    labels: np.ndarray


def unzipped(path):
    """The bytes of a file, gzipped or not, whatever its name; ValueError if the gzip data are damaged."""
    data = Path(path).read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"read_idx: {path} is a damaged gzip file: {error}") from error


def read_idx(path):
    """The uint8 array in an IDX file, gzipped or not; ValueError if it is anything else or has the wrong length."""
    data = unzipped(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise ValueError(f"read_idx: {path} is not an IDX file, it begins with {data[:16]!r}")
    if data[2] != 8:
        raise ValueError(f"read_idx: {path} holds {IDX_TYPES[data[2]]}, expected uint8")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"read_idx: {path} ends within its header, after {len(data)} of {start} bytes")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if not shape or 0 in shape:
        raise ValueError(f"read_idx: {path} holds no data, its shape is {shape}")
    if len(data) - start != math.prod(shape):
        raise ValueError(f"read_idx: {path} holds {len(data) - start} bytes of data, expected {shape}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def labeled_images(images_path, labels_path):
    """Images (n,28,28) and labels (n,) in 0..9 from two IDX files; ValueError if they are not that."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (28, 28):
        raise ValueError(f"load_digits: {images_path} holds an array {images.shape}, expected (n, 28, 28)")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"load_digits: {labels_path} holds {labels.shape} labels for {len(images)} images")
    if labels.max() > 9:
        raise ValueError(f"load_digits: {labels_path} holds the label {labels.max()}, expected 0 to 9")
    return images, labels


def named_digits(paths):
    """The digits in four files in the order of `SHA256`, training images first; ValueError if one is unfit.

    They are called MNIST only where they are; else "digits from" their folder, with the beginning of their hash.
    """
    train, test = labeled_images(*paths[:2]), labeled_images(*paths[2:])
    images, labels = (np.concatenate(both) for both in zip(train, test, strict=True))
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    folder = Path(paths[0]).resolve().parent.name
    return Digits("MNIST" if digest == MNIST else f"digits from {folder} {digest[:8]}", images, labels)


def folder_paths(folder):
    """The four files in a folder of the user's, gzipped or not; FileNotFoundError names those that are missing."""
    if not Path(folder).expanduser().is_dir():
        raise FileNotFoundError(f"load_digits: MINIFISHR_DATA={folder} is not a folder; {HELP}")
    options = [[Path(folder).expanduser() / each for each in (name, name.removesuffix(".gz"))] for name in SHA256]
    missing = [plain.name for zipped, plain in options if not zipped.is_file() and not plain.is_file()]
    if missing:
        raise FileNotFoundError(f"load_digits: no {', '.join(missing)} in MINIFISHR_DATA={folder}; {HELP}")
    return [zipped if zipped.is_file() else plain for zipped, plain in options]


@contextmanager
def quiet_pooch():
    """Pooch without its log lines, which would come between the progress bars."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield pooch
    finally:
        logger.setLevel(level)


def answering(mirrors, seconds=4.0):
    """Those of the mirrors that answer within so many seconds, asked all at once.

    A connect timeout does not bound this wait: it holds for each address of a host in turn, and not for finding them.
    """
    from pooch import HTTPDownloader

    def ask(mirror):
        try:
            HTTPDownloader(timeout=seconds)(mirror + next(iter(SHA256)), None, None, check_only=True)
        except OSError:  # what requests raises is one
            return
        heard.add(mirror)

    heard, deadline = set(), time.monotonic() + seconds
    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if mirror in heard]


def fetched(name, mirrors, folder):
    """The path of one file, fetched into a folder from the first mirror that serves the right bytes; or OSError."""
    from requests import RequestException

    failures = []
    for mirror in mirrors:
        with quiet_pooch() as pooch:
            downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=2**16, timeout=(3, 30))
            try:
                return pooch.retrieve(mirror + name, SHA256[name], fname=name, path=folder, downloader=downloader)
            except RequestException as error:
                failures.append(f"{mirror + name}: {type(error).__name__}")
            except ValueError:  # pooch has compared the checksums and removed the file
                failures.append(f"{mirror + name}: wrong checksum")
    raise OSError("; ".join(failures))


def cached_paths(folder, mirrors):
    """The four files in the cache folder, those missing or damaged fetched first; OSError if that fails."""
    if in_browser():
        raise OSError("a web page may not ask")
    import pooch

    paths = [Path(folder, name) for name in SHA256]
    missing = [path.name for path in paths if not path.is_file() or pooch.file_hash(path) != SHA256[path.name]]
    alive = answering(mirrors) if missing else ()
    if missing and not alive:
        raise OSError(f"no answer from {' or '.join(mirrors)}")
    for name in missing:
        fetched(name, alive, folder)
    return paths


def load_digits(source: str = "auto") -> Digits:
    """MNIST (60 000 training and 10 000 test images, in this order) or as many rendered digits, as `Digits`.

    "mnist" takes the folder MINIFISHR_DATA if that is set, else the cache, else downloads; OSError if that fails,
    ValueError if a file is damaged. "auto" with MINIFISHR_DATA unset falls back to "rendered", with a line on stderr.
    """
    if source not in ("auto", "mnist", "rendered"):
        raise ValueError(f"load_digits: unknown source {source!r}, expected 'auto', 'mnist' or 'rendered'")
    own, cache = os.environ.get("MINIFISHR_DATA"), cache_folder()
    if own and source != "rendered":
        return named_digits(folder_paths(own))
    if source != "rendered":
        try:
            return named_digits(cached_paths(cache, MIRRORS))
        except OSError as error:
            problem = f"load_digits: MNIST could not be downloaded ({error}); {HELP}"
            if source == "mnist":
                raise OSError(problem) from error
        print(f"{problem}; using rendered digits instead", file=sys.stderr)
    return Digits("rendered digits", *cached_digits(cache))
