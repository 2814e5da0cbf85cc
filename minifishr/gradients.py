"""Gradients of domains, gradients of samples, and the variance of the latter without storing them.

All come from autograd. The one idea is *taps*: add a zero array to every pre-activation,
z_l = a_l W_l + b_l + tap_l. One reverse pass of the summed losses with respect to the taps gives
delta_l = d loss / d z_l, (n, out), for every sample at once, because sample i's loss only depends on
row i. The gradient of sample i is then the outer product a_i delta_i^T for W_l and delta_i for b_l, and

    sum_i (a_i delta_i^T)^2 = (a^2)^T (delta^2)        squares entry by entry

so that the second moment of n gradients is one matrix product: memory O(n * width), not O(n * d).
"""

from collections.abc import Sequence

import autograd.numpy as np
import numpy as onp
from autograd import grad, jacobian, value_and_grad
from autograd.builtins import tuple as traced_tuple
from autograd.differential_operators import grad_and_aux
from numpy import ndarray

from .data import Domain
from .losses import losses, per_sample_losses, risk
from .mlp import MLP, affine, layer_sums, relu


def domain_gradients(model: MLP, theta: ndarray, domains: Sequence[Domain]) -> ndarray:
    """The risk of each domain (m,) and its gradient (m,d)."""
    pairs = [value_and_grad(lambda t, d=d: risk(model, t, d.x, d.y))(theta) for d in domains]
    values, gradients = zip(*pairs, strict=True)
    return np.stack(values), np.stack(gradients)


def mean_gradient(model, theta, x, y):
    """The gradient of one domain's risk, (d,), (n,p), (n,) -> (d,), differentiable again."""
    return grad(lambda t: risk(model, t, x, y))(theta)


def per_sample_gradients(model: MLP, theta: ndarray, x: ndarray, y: ndarray, method: str = "taps") -> ndarray:
    """The gradient of every sample's loss, (d,), (n,p), (n,) -> (n,d); ValueError for an unknown method.

    "loop" is the definition; the others are equal to it. Nothing is divided by n.
    """
    if method not in METHODS:
        raise ValueError(f"per_sample_gradients: unknown method {method!r}, expected one of {', '.join(METHODS)}")
    return METHODS[method](model, theta, x, y)


def loop(model, theta, x, y):
    """The definition: one reverse pass a sample."""
    return np.stack([grad(lambda t, i=i: risk(model, t, x[i : i + 1], y[i : i + 1]))(theta) for i in range(len(y))])


def by_jacobian(model, theta, x, y):
    """The Jacobian of the n losses: one forward pass, n reverse passes."""
    return jacobian(lambda t: per_sample_losses(model, t, x, y))(theta)


def tiled(model, theta, x, y):
    """A copy of theta for every sample, (n,d): the gradient of the summed losses keeps the copies apart."""
    model.layers(theta)  # checks theta
    x = model.inputs(theta, x)

    def total(copies):
        a = np.expand_dims(x, 1)
        weights = [np.reshape(copies[:, b], (len(y), *model.shapes[name])) for name, b in model.blocks.items()]
        for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            a = relu(np.matmul(a, W) + np.expand_dims(b, 1))
        logits = np.matmul(a, weights[-2]) + np.expand_dims(weights[-1], 1)
        return np.sum(losses(logits[:, 0], y))

    return grad(total)(np.tile(theta, (len(y), 1)))


def taps(model, theta, x, y):
    """Outer products of each layer's inputs and deltas: one forward and one reverse pass in all."""
    pieces = []
    for a, delta in inputs_and_deltas(model, theta, x, y):
        outer = np.expand_dims(a, 2) * np.expand_dims(delta, 1)
        pieces += [np.reshape(outer, (len(y), -1)), delta]
    return np.concatenate(pieces, axis=1)


METHODS = {"loop": loop, "jacobian": by_jacobian, "tiled": tiled, "taps": taps}


def tapped(layers, x, taps):
    """The logits with a tap (n,out) added to each layer's pre-activation, and each layer's inputs (n,in)."""
    a, inputs = x, []
    for (W, b), tap in zip(layers, taps, strict=True):
        inputs.append(a)
        z = affine(a, W, b) + tap
        a = relu(z)
    return z, inputs


def zero_taps(model, theta, n):
    """Taps that change nothing."""
    return tuple(onp.zeros((n, width), theta.dtype) for width in model.sizes[1:])


def inputs_and_deltas(model, theta, x, y):
    """For each layer its inputs a (n,in) and delta = d loss_i / d z_i (n,out)."""
    layers, x = model.layers(theta), model.inputs(theta, x)
    if len(layers) == 1:  # a classifier alone: a tap would only repeat its logits
        return [(x, grad(lambda z: np.sum(losses(z, y)))(affine(x, *layers[0])))]

    def total(taps):
        z, inputs = tapped(layers, x, taps)
        return np.sum(losses(z, y)), traced_tuple(inputs)

    deltas, inputs = grad_and_aux(total)(zero_taps(model, theta, len(y)))
    return [(inputs[l], deltas[l]) for l in range(len(layers))]


def gradient_moments(model, theta, x, y, m=None):
    """Mean and mean square of the per-sample gradients, (d,), (n,p), (n,) -> (d,), (d,), without storing them.

    Or of m domains of as many rows each, one below the other, (d,), (mn,p), (mn,) -> (m,d), (m,d).
    """
    lead = () if m is None else (m,)
    n = len(y) // (m or 1)
    means, squares = [], []
    for pair in inputs_and_deltas(model, theta, x, y):
        a, delta = (np.reshape(rows, (*lead, n, -1)) for rows in pair) if lead else pair
        means.append(np.reshape(layer_sums(a, delta), (*lead, -1)))
        squares.append(np.reshape(layer_sums(np.square(a), np.square(delta)), (*lead, -1)))
    if len(means) == 1:
        return means[0] / n, squares[0] / n
    return np.concatenate(means, axis=-1) / n, np.concatenate(squares, axis=-1) / n


def variance_of_products(a, delta):
    """Var_i(a_i delta_i) of every pair of columns, (n,in), (n,out) -> (in,out), from deviations u and w of a and delta.

    With a = mean a + u and delta = mean delta + w, multiply out and take the mean: no term is larger than the variance
    and covariances of the factors make it, so that nothing large cancels.
    """
    n = len(a)
    a_mean, delta_mean = np.sum(a, axis=0) / n, np.sum(delta, axis=0) / n
    u, w = a - a_mean, delta - delta_mean
    u2, w2, uw = np.square(u), np.square(w), u.T @ w / n
    columns = np.expand_dims(a_mean, 1)
    both = np.square(columns) * np.sum(w2, axis=0) + np.square(delta_mean) * np.expand_dims(np.sum(u2, axis=0), 1)
    cross = u2.T @ w2 + 2 * columns * (u.T @ w2) + 2 * delta_mean * (u2.T @ w)
    return (both + cross) / n + 2 * columns * delta_mean * uw - np.square(uw)


def stable_variance(model, theta, x, y):
    """Variance of every coordinate of the per-sample gradients, (d,), from deviations; two more products a layer."""
    pieces = []
    for a, delta in inputs_and_deltas(model, theta, x, y):
        deviations = delta - np.sum(delta, axis=0) / len(y)
        pieces += [np.ravel(variance_of_products(a, delta)), np.sum(np.square(deviations), axis=0) / len(y)]
    return np.concatenate(pieces)


def gradient_variance(
    model: MLP, theta: ndarray, x: ndarray, y: ndarray, scope: str = "classifier", ddof: int = 0,
    centered: bool = True, stable: bool = False, m: int | None = None,
) -> ndarray:  # fmt: skip
    """Variance over samples of each coordinate of the per-sample gradients, -> (d_scope,).

    scope "classifier" (last W and b) or "all"; the divisor is n - ddof; centered=False gives the mean square
    E[g^2] instead, whose divisor is n. E[g^2] - E[g]^2 loses digits where the mean is much larger than the spread: the
    error is about the machine precision times E[g]^2, and can make a small variance negative. stable=True subtracts
    the means first. With m, of m domains of as many rows each, one below the other, (m,d_scope); not with stable.
    ValueError for an unknown scope, n <= ddof, or such an m.
    """
    if m is not None and (stable or m < 1 or len(y) % m):
        raise ValueError(f"gradient_variance: m={m} of {len(y)} rows, with stable={stable}: expected a divisor, False")
    factor = divisor_factor(len(y) // (m or 1), ddof)
    if scope not in ("classifier", "all"):
        raise ValueError(f"gradient_variance: unknown scope {scope!r}, expected 'classifier' or 'all'")
    if scope == "classifier":
        model, theta, (x,) = model.head(theta, [x])
    if stable and centered:
        return stable_variance(model, theta, x, y) * factor
    mean, square = gradient_moments(model, theta, x, y, m=m)
    return (square - np.square(mean)) * factor if centered else square


def divisor_factor(n, ddof):
    """n / (n - ddof), which turns a mean over n into a sum over n - ddof; ValueError unless 0 <= ddof < n."""
    if not 0 <= ddof < n:
        reason = f"needs more than {ddof} samples, got {n}" if ddof >= 0 else "is below 0"
        raise ValueError(f"gradient_variance: ddof={ddof} {reason}")
    return n / (n - ddof)
