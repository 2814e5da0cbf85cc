"""The only training loop, the history that it keeps, and checkpoints."""

import contextlib
import io
import json
import os
import uuid
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .algorithms import idgm
from .evaluate import accuracies, first_nonfinite
from .gradients import domain_gradients

AGREEMENT = "mean inner product of domain gradients"


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
    """A file that says how far a training is, written every so many steps. A file there already is gone on from."""

    path: str
    every: int = 500


class Diverged(ArithmeticError):
    """A non-finite number during training; `fit` holds what was reached and recorded before it."""

    def __init__(self, message, fit):
        super().__init__(message)
        self.fit = fit


def fit(algorithm, theta, batches, steps, *, measure=None, every=10, progress=iter, model=None, checkpoint=None):
    """`steps` updates of an algorithm on batches(step), -> Fit.

    The rows at step t describe theta after t updates. `measure(theta) -> [(domain, metric, value), ...]` is recorded
    every `every` steps and at the end. `progress` wraps the range of steps (tqdm, say); `model` lets an error name the
    domain. With a Checkpoint a training that was stopped goes on where it was, and gives the same bits in the end,
    because batches are functions of the step. Raises Diverged as soon as a risk or penalty is not finite.
    """
    first, (theta, state, history) = reached(checkpoint, algorithm, theta)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is caught by name
        for step in progress(range(first, steps)):
            if measure and step % every == 0:
                history += [Row(step, *row) for row in measure(theta)]
            domains = batches(step)
            theta_next, state_next, info = algorithm.update(theta, state, domains)
            check_finite(algorithm.name, step, info, theta_next, domains, model, Fit(theta, state, history))
            history += [Row(step, "", metric, value) for metric, value in info.items()]
            theta, state = theta_next, state_next
            if checkpoint and (step + 1) % checkpoint.every == 0:
                save_reached(checkpoint.path, step + 1, Fit(theta, state, history))
        if measure:
            history += [Row(steps, *row) for row in measure(theta)]
    return Fit(theta, state, history)


def check_finite(name, step, info, theta, domains, model, reached):
    """Diverged with method, step and domain, unless all is finite."""
    broken = [metric for metric, value in info.items() if not np.isfinite(value)]
    if not np.isfinite(theta).all():
        broken = broken or ["theta"]
    if not broken:
        return
    domain = model and first_nonfinite(model, reached.theta, domains)
    where = f"in domain {domain!r}" if domain else "though each domain's risk is finite" if model else ""
    raise Diverged(f"{name}: {broken[0]} became non-finite at step {step} {where}".strip(), reached)


def accuracy_rows(model, problem):
    """A `measure` for fit: the accuracy on every domain of a problem, and on the held-out rows of either kind."""
    parts = {
        "accuracy": [*problem.train, *problem.test],
        "validation accuracy": problem.validation,
        "oracle accuracy": problem.oracle,
    }

    def measure(theta):
        return [(n, metric, v) for metric, part in parts.items() for n, v in accuracies(model, theta, part).items()]

    return measure


def agreement_rows(model, problem):
    """A `measure` for fit: the mean inner product of the gradients of two training domains, over all pairs."""

    def measure(theta):
        _, g = domain_gradients(model, theta, problem.train)
        return [("", AGREEMENT, -float(idgm.distance(g)))]

    return measure


def reached(checkpoint, algorithm, theta):
    """(updates made, Fit) of a checkpoint, or of the start where there is none; a warning where it is damaged."""
    start = Fit(theta, algorithm.init(theta), [])
    if checkpoint is None or not Path(checkpoint.path).exists():
        return 0, start
    try:
        theta, (step, rows, state) = load_checkpoint(checkpoint.path, (0, "", start.state))
        return step, Fit(theta, state, [Row(*row) for row in json.loads(rows)])
    except OSError:
        raise
    except Exception as error:  # damage can surface anywhere in zipfile, zlib, the header's parser or json
        warnings.warn(f"{checkpoint.path}: damaged checkpoint ({error}), training starts anew", stacklevel=3)
        return 0, start


def save_reached(path, step, fit):
    """Write a checkpoint: updates made and history are a part of the state."""
    file = io.BytesIO()
    save_checkpoint(file, fit.theta, (step, json.dumps(fit.history), fit.state))
    write_whole(path, file.getvalue())


def write_whole(path, data):
    """Write bytes to a file so that it has all of them or is as it was, whatever happens; OSError names the file."""
    part = Path(f"{path}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def save_checkpoint(path, theta, state):
    """Write parameters and an algorithm's state to an .npz file of plain arrays."""
    np.savez(path, theta, *leaves(state))


def load_checkpoint(path, template):
    """(theta, state) from a file of save_checkpoint; `template` is a state of the same algorithm, init(theta) will do.

    Nothing is unpickled. ValueError where the file has another number of arrays than such a state.
    """
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        theta, *values = (file[name] for name in file.files)
    if len(values) != len(leaves(template)):
        raise ValueError(f"{path}: {len(values)} arrays of state, expected {len(leaves(template))}")
    return theta, refilled(template, iter(values))


def leaves(tree):
    """The arrays and numbers of nested tuples, in order."""
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, tuple) else [tree]


def refilled(template, values):
    """The same nested tuples with other arrays and numbers."""
    if isinstance(template, tuple):
        parts = [refilled(branch, values) for branch in template]
        return type(template)(*parts) if hasattr(template, "_fields") else type(template)(parts)
    value = next(values)
    return value if isinstance(template, np.ndarray) else type(template)(value)


def keep_heap():
    """Ask the C library to keep freed memory, because fresh pages for large arrays cost as much as the arithmetic.

    Changes no number; does nothing where there is no mallopt (only glibc has it).
    """
    import ctypes

    mmap_threshold, trim_threshold = -3, -1
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def write_rows(path, rows, **labels):
    """Append rows to a JSON-lines file, each with the same labels."""
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps({**labels, **row._asdict()}) + "\n" for row in rows)
