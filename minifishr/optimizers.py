"""Stochastic gradient descent and Adam as pairs of pure functions, optax-style.

`init(theta) -> state` and `update(theta, gradient, state) -> (theta, state)`; nothing is modified.
weight_decay adds weight_decay * theta to the gradient (L2, as PyTorch's Adam does; not AdamW).
"""

from typing import NamedTuple

import numpy as np


class Optimizer(NamedTuple):
    """A pair of pure functions."""

    init: callable
    update: callable


def sgd(lr, *, weight_decay=0.0):
    """theta - lr * gradient; its state is empty."""
    lr, weight_decay = float(lr), float(weight_decay)  # a NumPy float64 would turn a float32 theta into float64

    def update(theta, gradient, state):
        return theta - lr * (gradient + weight_decay * theta), state

    return Optimizer(lambda theta: (), update)


class AdamState(NamedTuple):
    """Steps taken, first moment (d,), second moment (d,), and AMSGrad's largest second moment so far (d,)."""

    step: int
    mean: np.ndarray
    square: np.ndarray
    largest: np.ndarray


def adam(lr, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    """Adam with bias correction (Kingma and Ba 2014, arXiv:1412.6980), optionally AMSGrad (arXiv:1904.09237).

    eps is added to the square root of the corrected second moment, as PyTorch does.
    """
    lr, weight_decay, eps, b1, b2 = map(float, (lr, weight_decay, eps, *betas))

    def init(theta):
        zeros = np.zeros_like(theta)
        return AdamState(0, zeros, zeros, zeros)

    def update(theta, gradient, state):
        if weight_decay:
            gradient = gradient + weight_decay * theta
        step = state.step + 1
        # In place on arrays of its own; what is passed in stays as it was. Blocks that fit into a core's cache were
        # measured to be slower: twenty calls a block cost more than the memory does.
        mean = b1 * state.mean
        mean += (work := (1 - b1) * gradient)
        square = b2 * state.square
        np.multiply(1 - b2, gradient, out=work)
        square += np.multiply(work, gradient, out=work)
        largest = np.maximum(state.largest, square) if amsgrad else state.largest
        np.sqrt(np.divide(largest if amsgrad else square, 1 - b2**step, out=work), out=work)
        work += eps
        move = (lr / (1 - b1**step)) * mean
        move /= work
        return np.subtract(theta, move, out=move), AdamState(step, mean, square, largest)

    return Optimizer(init, update)
