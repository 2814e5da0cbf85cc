"""Cross-entropy, one number a sample, and risks.

Losses come per sample; whoever averages them writes the mean where one can see it.
One logit: the logistic loss log(1 + exp(-z)) for y = 1 and log(1 + exp(z)) for y = 0.
k >= 2 logits: log(sum_c exp(z_c)) - z_y. With two logits and z = z_1 - z_0 the two are equal.
"""

from collections.abc import Sequence

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive

from .data import Domain
from .mlp import MLP


@primitive
def sigmoid(z):
    """1 / (1 + exp(-z)) without overflow."""
    e = onp.exp(-onp.abs(z))  # small where the answer is: what is near 0 keeps its digits
    return onp.where(z >= 0, 1, e) / (1 + e)


defvjp(sigmoid, lambda p, z: lambda g: g * p * sigmoid(-z))


@primitive
def softplus(z):
    """log(1 + exp(z)) without overflow."""
    return onp.maximum(z, 0) + onp.log1p(onp.exp(-onp.abs(z)))


defvjp(softplus, lambda ans, z: lambda g: g * sigmoid(z))


@primitive
def logsumexp(z):
    """log(sum_c exp(z_c)) of each row without overflow, (n,k) -> (n,)."""
    top = onp.max(z, axis=1)
    return top + onp.log(onp.sum(onp.exp(z - top[:, None]), axis=1))


defvjp(logsumexp, lambda ans, z: lambda g: np.expand_dims(g, 1) * np.exp(z - np.expand_dims(ans, 1)))


def checked_labels(call, y, n, k):
    """y (n,) as an array; ValueError, which repeats the call, for labels that k logits of n rows cannot mean."""
    if isinstance(y, onp.ma.MaskedArray):
        raise ValueError(f"{call}: labels are masked, so that nobody knows them")
    y, classes = onp.asarray(y), max(k, 2)
    if y.shape != (n,):
        raise ValueError(f"{call}: {n} rows of logits need labels ({n},), got {y.shape}")
    if y.dtype.kind not in "iub":
        raise ValueError(f"{call}: labels must be integers, got {y.dtype}")
    if n == 0 or y.min() < 0 or y.max() >= classes:
        raise ValueError(f"{call}: {k} logit(s) need labels in 0..{classes - 1}, got {sorted(set(y.tolist()))[:9]}")
    return y


@primitive
def targets(y, n, k, dtype):
    """Labels (n,) as numbers: signs 1 - 2y (n,1) for one logit, rows of the identity (n,k) for more.

    ValueError for labels that k logits cannot mean. A primitive, because a replayed update must see them anew.
    """
    y = checked_labels("losses", y, n, k)
    if k == 1:
        return (1 - 2 * y.astype(dtype))[:, None]  # in floating point: 1 - 2 y would wrap around in uint8
    return (y[:, None] == onp.arange(k)).astype(dtype)


def losses(logits, y):
    """Cross-entropy of each sample, (n,k), (n,) -> (n,); ValueError for labels that the logits cannot mean."""
    n, k = logits.shape
    t = targets(y, n, k, logits.dtype)
    return np.reshape(softplus(logits * t), (n,)) if k == 1 else logsumexp(logits) - np.sum(logits * t, axis=1)


def per_sample_losses(model: MLP, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cross-entropy of each sample, (d,), (n,p), (n,) -> (n,)."""
    return losses(model.logits(theta, x), y)


def risk(model: MLP, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mean loss, (d,), (n,p), (n,) -> ()."""
    # sum / n and not mean: autograd's mean would turn float32 into float64
    return np.sum(per_sample_losses(model, theta, x, y)) / len(y)


def risks(model: MLP, theta: np.ndarray, domains: Sequence[Domain]) -> np.ndarray:
    """The risk of each domain, -> (m,)."""
    return np.array([risk(model, theta, domain.x, domain.y) for domain in domains])
