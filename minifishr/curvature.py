"""Five matrices that are called curvature, each (d,d) and a mean over samples, and how they are related.

With g_i = d loss_i / d theta, g = mean_i g_i, p_ic the model's own probability of label c and g_i(c) the gradient that
sample i would have with that label, J_i = d z_i / d theta (k,d) and H_i the Hessian of loss_i in the logits (k,k):

    gradient covariance   mean_i (g_i - g)(g_i - g)^T         = empirical Fisher - g g^T
    empirical Fisher      mean_i g_i g_i^T                    with the labels of the data
    true Fisher           mean_i sum_c p_ic g_i(c) g_i(c)^T   with the labels of the model, in expectation
    Gauss-Newton          mean_i J_i^T H_i J_i                = true Fisher, because the loss is a cross-entropy
    Hessian               d^2 risk / d theta^2                = Gauss-Newton if the logits are linear in theta

Where the literature sums over samples, its matrix is n times ours. diagonal=True gives the diagonal (d,): the first
four from taps (see `gradients`), the Hessian's from products with it, and none holds an (n,d) or (d,d) array.
"""

import autograd.numpy as np
import numpy as onp
from autograd import hessian as second_derivative
from autograd import jacobian, make_hvp, make_vjp
from autograd.extend import vspace
from numpy import ndarray

from .gradients import gradient_moments, gradient_variance, inputs_and_deltas, per_sample_gradients, tapped, zero_taps
from .losses import losses, per_sample_losses, risk
from .mlp import MLP

MOST_BYTES = 2**31  # what a matrix may take together with the (n,d) and (n,k,d) arrays it is made from


def gradient_covariance(model: MLP, theta: ndarray, x: ndarray, y: ndarray, *, diagonal: bool = False) -> ndarray:
    """Covariance of the per-sample gradients, (d,), (n,p), (n,) -> (d,d) or (d,).

    The divisor is n: the estimate with 1/(n-1) is n/(n-1) times this, a sum over samples n times. The diagonal is
    `gradient_variance`, with its loss of digits. ValueError for no rows, or more than MOST_BYTES.
    """
    check("gradient_covariance", model, theta, x, diagonal, rows=3 * len(x), squares=1)
    if diagonal:
        return gradient_variance(model, theta, x, y, scope="all")
    G = per_sample_gradients(model, theta, x, y)
    return second_moment(G - np.mean(G, axis=0))


def empirical_fisher(model: MLP, theta: ndarray, x: ndarray, y: ndarray, *, diagonal: bool = False) -> ndarray:
    """Second moment of the per-sample gradients, (d,), (n,p), (n,) -> (d,d) or (d,).

    With the data's labels it is not the Fisher information (Kunstner et al. 2019, arXiv:1905.12558). A sum over
    samples is n times this. ValueError for no rows, or more than MOST_BYTES.
    """
    check("empirical_fisher", model, theta, x, diagonal, rows=2 * len(x), squares=1)
    if diagonal:
        return gradient_moments(model, theta, x, y)[1]
    return second_moment(per_sample_gradients(model, theta, x, y))


def true_fisher(model: MLP, theta: ndarray, x: ndarray, y: ndarray, *, diagonal: bool = False) -> ndarray:
    """The Fisher information: the exact mean over the model's own labels, (d,), (n,p), ignored -> (d,d) or (d,).

    y is ignored. A sum over samples is n times this. ValueError for no rows, or more than MOST_BYTES.
    """
    check("true_fisher", model, theta, x, diagonal, rows=2 * len(x), squares=2)
    F = onp.zeros(model.d if diagonal else (model.d, model.d), theta.dtype)
    for c in range(max(model.sizes[-1], 2)):
        label = onp.full(len(x), c)
        p = np.exp(-per_sample_losses(model, theta, x, label))[:, None]  # a loss is -log p of its label
        if diagonal:
            pairs = inputs_and_deltas(model, theta, x, label)
            F += mean_of_squares([(a, p * np.square(delta)) for a, delta in pairs])
        else:
            F += second_moment(np.sqrt(p) * per_sample_gradients(model, theta, x, label))
    return F


def gauss_newton(model: MLP, theta: ndarray, x: ndarray, y: ndarray, *, diagonal: bool = False) -> ndarray:
    """The Hessian of the risk if the logits were linear in theta, (d,), (n,p), ignored -> (d,d) or (d,).

    Equal to the true Fisher (Martens 2014, arXiv:1412.1193), but no label enters: y is ignored. A sum over samples is
    n times this. ValueError for no rows, or more than MOST_BYTES.
    """
    check("gauss_newton", model, theta, x, diagonal, rows=2 * len(x) * model.sizes[-1], squares=1)
    H = loss_hessians(model.logits(theta, x))
    if diagonal:
        pairs = inputs_and_slopes(model, theta, x)
        return mean_of_squares([(a, np.sum(slopes * (H @ slopes), axis=1)) for a, slopes in pairs])
    J = jacobian(lambda t: model.logits(t, x))(theta)
    HJ = (H / len(x)) @ J  # n divides H, because a quotient of the result would be a second (d,d)
    return np.reshape(J, (-1, model.d)).T @ np.reshape(HJ, (-1, model.d))


def hessian(model: MLP, theta: ndarray, x: ndarray, y: ndarray, *, diagonal: bool = False) -> ndarray:
    """The Hessian of the risk, (d,), (n,p), (n,) -> (d,d) or (d,); d products with it, also for the diagonal.

    A sum over samples is n times this. ValueError for no rows, or more than MOST_BYTES.
    """
    check("hessian", model, theta, x, diagonal, squares=2)
    if not diagonal:
        return second_derivative(lambda t: risk(model, t, x, y))(theta)
    product, _ = make_hvp(lambda t: risk(model, t, x, y))(theta)
    return np.stack([product(unit)[j] for j, unit in enumerate(vspace(theta).standard_basis())])


def hvp(model: MLP, theta: ndarray, x: ndarray, y: ndarray, v: ndarray) -> ndarray:
    """The Hessian of the risk times v, (d,), (n,p), (n,), (...,d) -> (...,d); ValueError for no rows or another v."""
    check("hvp", model, theta, x)
    if np.shape(v)[-1:] != (model.d,):
        raise ValueError(f"hvp: MLP({model.sizes}) has {model.d} parameters, got v {np.shape(v)}")
    product, v = make_hvp(lambda t: risk(model, t, x, y))(theta)[0], onp.asarray(v, theta.dtype)
    return onp.array([product(one) for one in v.reshape(-1, model.d)], theta.dtype).reshape(v.shape)


def check(name, model, theta, x, diagonal=True, rows=0, squares=0):
    """ValueError for x that is not (n,p), or a matrix that takes `rows` (d,) and `squares` (d,d) arrays at once."""
    if np.shape(x) != (len(x), model.sizes[0]) or len(x) == 0:
        raise ValueError(f"{name}: expected x (n, {model.sizes[0]}) with at least one row, got {np.shape(x)}")
    size = (rows + squares * model.d) * model.d * onp.asarray(theta).dtype.itemsize
    if size > MOST_BYTES and not diagonal:
        call = f"{name}: the ({model.d}, {model.d}) matrix of MLP({model.sizes}) from {len(x)} sample(s)"
        raise ValueError(f"{call} takes {size / 2**30:.1f} GiB, more than {MOST_BYTES / 2**30:.1f}: use diagonal=True")


def second_moment(G):
    """mean_i g_i g_i^T, (n,d) -> (d,d), symmetric to the last bit."""
    G = G / len(G) ** 0.5
    return G.T @ G


def mean_of_squares(layers):
    """mean_i a_i^2 q_i^T and mean_i q_i of each layer, the diagonal for W and b, list of (n,in), (n,out) -> (d,)."""
    pieces = [piece for a, q in layers for piece in (np.ravel(np.square(a).T @ q), np.sum(q, axis=0))]
    return np.concatenate(pieces) / len(layers[0][0])


def loss_hessians(z):
    """H_i of every sample, (n,k) -> (n,k,k)."""
    product, _ = make_hvp(lambda z: np.sum(losses(z, onp.zeros(len(z), int))))(z)  # the same for any label
    return np.stack([product(one) for one in one_logit_at_a_time(z)], axis=1)


def inputs_and_slopes(model, theta, x):
    """For each layer its inputs a (n,in) and the slopes d z_i / d tap_i of the logits (n,k,out)."""
    layers, taps, x = model.layers(theta), zero_taps(model, theta, len(x)), model.inputs(theta, x)
    pull, z = make_vjp(lambda taps: tapped(layers, x, taps)[0])(taps)
    slopes = zip(*[pull(one) for one in one_logit_at_a_time(z)], strict=True)
    return [(a, np.stack(slope, axis=1)) for a, slope in zip(tapped(layers, x, taps)[1], slopes, strict=True)]


def one_logit_at_a_time(z):
    """For each of the k logits an array (n,k) with ones in its column: samples do not mix, so one pass serves all n."""
    return [onp.tile(row, (len(z), 1)) for row in onp.eye(z.shape[1], dtype=z.dtype)]
