"""Checkpoints: a training that was stopped goes on where it was, and nobody goes on with another one's.

A checkpoint is an .npz file of plain arrays: whose it is, updates made, history, parameters, the algorithm's state.
"""

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import digest, is_whole, set_aside, write_whole


class Row(NamedTuple):
    """One measurement: a metric of one domain ("" for all of them) after `step` updates."""

    step: int
    domain: str
    metric: str
    value: float


class Fit(NamedTuple):
    """Trained parameters (d,), the algorithm's state, and the rows recorded on the way."""

    theta: np.ndarray
    state: tuple
    history: list


class Checkpoint(NamedTuple):
    """A file that says how far a training is, written every so many steps and at the last one. A training goes on from
    a file that is there already.

    It belongs to one training: model, method with all settings, start and data. Another training refuses it.
    """

    path: str
    every: int = 500


class Foreign(ValueError):
    """A checkpoint of another training, or a file that is none."""


def training_identity(algorithm, theta, batches, model):
    """What tells one training from another, as JSON: method, settings, hashes of start and of the first batch, with
    all rows where the batches are of `minibatches`."""
    if algorithm.settings is None:
        raise ValueError(f"fit: {algorithm.name} has no settings, so nobody could tell whose checkpoint it is")
    data = [part for domain in (*batches(0), *getattr(batches, "domains", ())) for part in (domain.x, domain.y)]
    found = {"model": model and str(model), "method": algorithm.name, **algorithm.settings}
    return json.dumps({**found, "start": digest([theta]), "data": digest(data)}, default=told)


def told(value):
    """A setting that JSON does not know, as text: of an array, which would be shortened, a hash."""
    return digest([value]) if isinstance(value, np.ndarray) else str(value)


def reached(checkpoint, algorithm, theta, owner, steps):
    """(updates made, Fit) of a checkpoint, or of the start, which is written, where there is none. One that is damaged
    is set aside, with a warning. ValueError where it belongs to another training, or is beyond the last step."""
    start = Fit(theta, algorithm.init(theta), [])
    for leaf in leaves(start.state) if checkpoint else []:
        if np.asarray(leaf).dtype.kind not in "fiubU":
            raise ValueError(f"fit: no checkpoint can hold the {type(leaf).__name__} in the state of {algorithm.name}")
    if checkpoint is None:
        return 0, start
    if not Path(checkpoint.path).exists():
        save_reached(checkpoint.path, owner, 0, start)  # what cannot be written is told before training
        return 0, start
    data = Path(checkpoint.path).read_bytes()  # what cannot be read is no damage
    if data and not data.startswith(b"PK"):
        raise Foreign(f"{checkpoint.path}: this is no checkpoint; choose another file")
    try:
        theta, (_, step, rows, state) = load_checkpoint(io.BytesIO(data), ("", 0, "", start.state), owner)
        found = Fit(theta, state, [Row(*row) for row in json.loads(rows)])
    except Foreign as error:
        raise Foreign(f"{checkpoint.path}: {error}; choose another file") from None
    except Exception as error:  # damage can surface anywhere in zipfile, zlib, the header's parser or json
        if is_whole(data):
            raise Foreign(f"{checkpoint.path}: this is no checkpoint of such a training; choose another file") from None
        end = set_aside(checkpoint.path)
        reason = f"{checkpoint.path}: damaged checkpoint ({' '.join(str(error).split())[:100]})"
        warnings.warn(f"{reason}, set aside as *{end}; training starts anew", stacklevel=3)
        return 0, start
    if step > steps:
        raise ValueError(f"fit: {checkpoint.path} is {step} steps far, and steps={steps} would go back")
    return step, found


def save_reached(path, owner, step, fit):
    """Write a checkpoint: owner, updates made and history are a part of the state."""
    file = io.BytesIO()
    history = json.dumps(fit.history, default=lambda number: number.item())
    save_checkpoint(file, fit.theta, (owner, step, history, fit.state))
    write_whole(path, file.getvalue())


def save_checkpoint(path, theta, state):
    """Write parameters and an algorithm's state to an .npz file of plain arrays."""
    np.savez(path, theta, *leaves(state))


def load_checkpoint(path, template, owner=None):
    """(theta, state) from a file of save_checkpoint; `template` is a state of the same algorithm, init(theta) will do.

    Nothing is unpickled. ValueError where the file has another number of arrays than such a state; Foreign where its
    first leaf is no identity, or not that of the owner.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = [file[name] for name in file.files]
    if owner:
        check_owner(identity_in(arrays), json.loads(owner))
    theta, *values = arrays
    if len(values) != len(leaves(template)):
        raise ValueError(f"{path}: {len(values)} arrays of state, expected {len(leaves(template))}")
    return theta, refilled(template, iter(values))


def identity_in(arrays):
    """The identity that is a checkpoint's second array; Foreign where it is none, as in data or anybody's arrays."""
    with contextlib.suppress(IndexError, ValueError):
        if isinstance(found := json.loads(str(arrays[1])), dict):
            return found
    raise Foreign("this is no checkpoint")


def check_owner(theirs, ours):
    """Foreign, with the first thing that differs, unless two identities are the same."""
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key):
            raise Foreign(f"the checkpoint of another training, whose {key} is {theirs.get(key)}, not {ours.get(key)}")


def leaves(tree):
    """The arrays and numbers of nested tuples, in order."""
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, tuple) else [tree]


def refilled(template, values):
    """The same nested tuples with other arrays and numbers."""
    if isinstance(template, tuple):
        parts = [refilled(branch, values) for branch in template]
        return type(template)(*parts) if hasattr(template, "_fields") else type(template)(parts)
    value = next(values)
    if isinstance(template, np.ndarray) or value.ndim:
        return value
    return value[()] if isinstance(template, np.generic) else value.item()
