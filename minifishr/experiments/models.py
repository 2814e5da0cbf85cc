"""Trained models as files: kept by every run, read again, predicting.

A file is an .npz of plain arrays: format, a description as JSON, parameters, standardization, and a hash of all these.
"""

import io
import json
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data import Scaling, digest, image_shape, plain, read_arrays, rows_of, shown, unscaled, write_whole
from ..evaluate import most_likely
from ..losses import sigmoid
from ..mlp import MLP
from .config import said
from .problems import network

FORMAT = 1
ROWS = 65_536  # at a time
ARRAYS = ("theta", "width", "kept", "center", "scale")


class Model(NamedTuple):
    """A network with its parameters, what its classes and columns are called, and how x was standardized.

    `about` says where it comes from: configuration, step, shape of images, whether x were bytes, version.
    """

    theta: np.ndarray
    sizes: tuple
    classes: list
    columns: list
    scaling: Scaling
    about: dict

    def inputs(self, x):
        """x (n,width), or images (n,h,w) or (n,h,w,c), as the network sees it, (n,q): of what has named columns those
        of the training, and bytes divided by 255 where the training's were. ValueError for another width, columns that
        lack, numbers that are masked or not finite."""
        if self.columns and hasattr(x, "columns"):
            places = {plain(name): name for name in x.columns}  # as a table's header is read
            check_columns("predict", self, places)
            if len(places) < len(x.columns):
                raise ValueError(f"predict: x has {len(x.columns)} columns with {len(places)} different names")
            x = x[[places[name] for name in self.columns]]
        if isinstance(x, np.ma.MaskedArray):
            raise ValueError("predict: x is a masked array: what it hides is missing")
        x = np.asarray(x)
        if x.ndim > 2 and image_shape(x) == tuple(self.about.get("shape", ())):
            x = rows_of(x)
        if x.dtype.kind not in "fiub" or x.ndim != 2 or x.shape[1] != self.scaling.width:
            raise ValueError(f"predict: expected numbers x (n, {self.scaling.width}), got {x.dtype} {x.shape}")
        if self.about.get("pixels"):
            x = shares(x)
        with np.errstate(over="ignore", invalid="ignore"):
            x = self.scaling.applied(x, self.theta.dtype)
        if not np.isfinite(x).all():
            raise ValueError("predict: x has numbers that are missing, infinite or too large")
        return x

    def logits(self, x):
        """The outputs of the network, (n,width) -> (n,k)."""
        x, model = self.inputs(x), MLP(self.sizes)
        parts = [model.logits(self.theta, x[start : start + ROWS]) for start in range(0, max(len(x), 1), ROWS)]
        return np.concatenate(parts)

    def predict(self, x):
        """The most likely class of each row, by its name, (n,width) -> (n,)."""
        return np.array(self.classes)[most_likely(self.logits(x))]

    def predict_proba(self, x):
        """The probability of each class, in the order of `classes`, (n,width) -> (n,k); each row adds up to 1."""
        z = self.logits(x).astype(np.float64)
        if z.shape[1] == 1:
            return np.hstack([sigmoid(-z), sigmoid(z)])
        p = np.exp(z - z.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


def shares(x):
    """Pixels as shares of white: bytes divided by 255, shares as they are, (n,p) -> (n,p). ValueError for numbers that
    could be neither, as bytes in another type of whole numbers."""
    if x.dtype == np.uint8:
        return x / 255
    if x.dtype.kind != "f" or np.any((x < 0) | (x > 1)):
        least, most = (f(x) if x.size else "none" for f in (np.min, np.max))
        raise ValueError(
            "predict: the model was trained on bytes, so x must be bytes (uint8), or such divided by 255; got "
            f"{x.dtype} from {least} to {most}"
        )
    return x


def model_of(result, task, selection="last"):
    """The Model of a run: the parameters of the step that the rule selects."""
    theta = result.best if selection == "validation" else result.theta
    classes = [*task.labels] or [*range(max(task.classes, 2))]
    scaling = task.scaling or unscaled(task.train[0].x.shape[1])
    about = {"config": said(result.config), "selection": selection, "shape": [*task.shape], "pixels": task.pixels}
    return Model(theta, network(result.config, task).sizes, classes, [*task.columns], scaling, about)


def save_model(path, model):
    """Write a Model to a file that has all of it or is as it was; OSError names the file."""
    fields = {"sizes": [*map(int, model.sizes)], "classes": model.classes, "columns": model.columns}
    text = json.dumps({**fields, "about": model.about})
    arrays = dict(zip(ARRAYS, (model.theta, *model.scaling), strict=True))
    file = io.BytesIO()
    np.savez(file, format=FORMAT, text=text, hash=hash_of(text, arrays), **arrays)
    write_whole(path, file.getvalue())


def load_model(path):
    """The Model in a file; nothing is unpickled. ValueError for a file of another format, or one that is damaged."""
    try:
        found = read_arrays(Path(path))
        number = int(found["format"])
        text, arrays, named = str(found["text"]), {name: found[name] for name in ARRAYS}, str(found["hash"])
    except KeyError as error:
        raise ValueError(f"{path}: no model, or a damaged one: it has no array {error}") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: no model, or a damaged one: {str(error).removeprefix(f'{path}: ')}") from None
    if number != FORMAT:
        raise ValueError(f"{path}: a model of format {number}, this version of minifishr reads format {FORMAT}")
    if named != hash_of(text, arrays):
        raise ValueError(f"{path}: a damaged model: its hash is another one")
    try:
        return whole(json.loads(text), **arrays)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path}: no model, or a damaged one: its parts do not fit ({str(error)[:80]})") from None


def whole(fields, theta, width, kept, center, scale):
    """A Model of parts that fit together; an error of some kind where they do not."""
    scaling = Scaling(int(width), kept, center, scale)
    model = Model(theta, tuple(fields["sizes"]), fields["classes"], fields["columns"], scaling, fields["about"])
    tried = model.predict_proba(np.zeros((1, scaling.width)))
    if tried.shape != (1, len(model.classes)) or len(model.columns) not in (0, scaling.width):
        raise ValueError(f"{len(model.classes)} classes, {len(model.columns)} columns")
    return model


def hash_of(text, arrays):
    """The hash of what a model consists of."""
    return digest([np.array(text), *(arrays[name] for name in ARRAYS)])


def check_columns(path, model, header):
    """ValueError unless a table has the columns that a model was trained with, by name and in any order."""
    lacking = [name for name in model.columns if name not in header]
    if not model.columns:
        raise ValueError(f"{path}: the model was trained on arrays without names, so it takes an .npz file, no table")
    if lacking:
        raise ValueError(f"{path}: the model was trained with columns that are missing here: {shown(lacking)}")


def check_arrays(path, model, own):
    """ValueError unless arrays are of the kind that a model was trained with: width, images, bytes."""
    if model.columns:
        raise ValueError(f"{path}: the model was trained on the columns {shown(model.columns, 4)}, so it takes a table")
    ours = model.scaling.width, tuple(model.about["shape"]), model.about["pixels"]
    theirs = own.domains[0].x.shape[1], own.shape, own.pixels
    if ours[0] != theirs[0] or (ours[1] and ours[1:] != theirs[1:]) or ours[2] != theirs[2]:
        kinds = [f"{p} numbers, image shape {shape}, bytes {pixels}" for p, shape, pixels in (ours, theirs)]
        raise ValueError(f"{path}: the model was trained on rows of {kinds[0]}, got {kinds[1]}")


def file_of(config, several=False):
    """The name of a run's file; in letters that files may have, with `several` left-out domains also which."""
    name = f"{config.algorithm}-{config.seed}" + (f"-{config.domains}-domains" if config.domains else "")
    if several:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", config.test_domain)[:40]
        name += f"-without-{plain}-{zlib.crc32(config.test_domain.encode()):08x}"
    return f"models/{re.sub(r'[^A-Za-z0-9_-]+', '_', name)}.npz"
