"""The only training loop, and the history that it keeps."""

import contextlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .algorithms import Algorithm
from .data import Checkpoint, Domain, Fit, Row, reached, save_reached, training_identity
from .evaluate import first_nonfinite
from .mlp import MLP


class Diverged(ArithmeticError):
    """A non-finite number during training; `fit` holds what was reached and recorded before it."""

    def __init__(self, message, fit):
        super().__init__(message)
        self.fit = fit


def fit(
    algorithm: Algorithm, theta: np.ndarray, batches: Callable[[int], Sequence[Domain]], steps: int, *,
    measure: Callable[[np.ndarray], list[tuple]] | None = None, every: int = 10,
    progress: Callable[[range], Iterable[int]] = iter, model: MLP | None = None, checkpoint: Checkpoint | None = None,
) -> Fit:  # fmt: skip
    """`steps` updates of an algorithm on batches(step), -> Fit.

    The rows at step t describe theta after t updates. `measure(theta) -> [(domain, metric, value), ...]` is recorded
    every `every` steps and at the end. `progress` wraps the range of steps (tqdm, say); `model` lets an error name the
    domain. With a Checkpoint a training that was stopped goes on where it was, and gives the same bits in the end,
    because batches are functions of the step. Raises Diverged as soon as a risk or penalty is not finite, Foreign for
    the checkpoint of another training, ValueError for steps that go back or a method without settings.
    """
    check_every(steps, every, checkpoint)
    owner = checkpoint and training_identity(algorithm, theta, batches, model)
    first, (theta, state, history) = reached(checkpoint, algorithm, theta, owner, steps)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is caught by name
        for step in progress(range(first, steps)):
            if measure and step % every == 0:
                history += [Row(step, *row) for row in measure(theta)]
            domains = batches(step)
            theta_next, state_next, info = algorithm.update(theta, state, domains)
            check_finite(algorithm.name, step, info, theta_next, state_next, domains, model, Fit(theta, state, history))
            history += [Row(step, "", metric, value) for metric, value in info.items()]
            theta, state = theta_next, state_next
            if checkpoint and ((step + 1) % checkpoint.every == 0 or step + 1 == steps):
                save_reached(checkpoint.path, owner, step + 1, Fit(theta, state, history))
        if measure:
            history += [Row(steps, *row) for row in measure(theta)]
    return Fit(theta, state, history)


def check_finite(name, step, info, theta, state, domains, model, reached):
    """Diverged with method, step and domain, unless all is finite."""
    square = getattr(getattr(state, "optimizer", None), "square", 0.0)  # infinite, it would stop its parameter for ever
    found = {**info, "theta": theta, "Adam's second moment": square}
    broken = [what for what, value in found.items() if not np.isfinite(value).all()]
    if not broken:
        return
    domain = model and first_nonfinite(model, reached.theta, domains)
    where = f"in domain {domain!r}" if domain else "though each domain's risk is finite" if model else ""
    raise Diverged(f"{name}: {broken[0]} became non-finite at step {step} {where}".strip(), reached)


def check_every(steps, every, checkpoint):
    """ValueError unless the numbers of steps are possible."""
    least = {"steps": (steps, 0), "every": (every, 1), "checkpoint.every": (checkpoint.every if checkpoint else 1, 1)}
    for name, (value, low) in least.items():
        if value < low:
            raise ValueError(f"fit: {name}={value!r} must be at least {low}")


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
