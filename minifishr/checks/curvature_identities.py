"""Which of covariance, Fishers, Gauss-Newton and Hessian equal which, and when."""

import autograd.numpy as np
import numpy as onp
from autograd import grad, hessian, jacobian

from ..curvature import empirical_fisher, gauss_newton, gradient_covariance, hvp, true_fisher
from ..curvature import hessian as risk_hessian
from ..gradients import gradient_variance, mean_gradient
from ..losses import per_sample_losses
from .gradient_identities import DIFFERENCES, STEP
from .identity import identity, probabilities, relative, residuals, same_pattern

MATRICES = (gradient_covariance, empirical_fisher, true_fisher, gauss_newton)


def first(case):
    """(model, theta, x, y) of the first domain."""
    return case.model, case.theta, case.domains[0].x, case.domains[0].y


def size(case):
    """The largest square of a logit's slope, or 1: the size of what probabilities near 0 and 1 multiply, and cancel."""
    model, theta, x, _ = first(case)
    return max(1.0, float(onp.abs(jacobian(lambda t: model.logits(t, x))(theta)).max()) ** 2)


def covariance_is_fisher_minus_the_mean_gradients_square(case):
    """C = F - g g^T with F the empirical Fisher and g the mean gradient."""
    where = first(case)
    g, F = mean_gradient(*where), empirical_fisher(*where)
    return relative(gradient_covariance(*where), F - onp.outer(g, g), scale=onp.abs(F).max())


def covariance_is_fisher_where_the_mean_gradient_vanishes(case):
    """C = F exactly where g = 0: theta = 0 and every label once for every row.

    Assumes logits that are all zero and balanced labels, which is the simplest such point.
    """
    model, _, x, _ = first(case)
    k = max(model.sizes[-1], 2)
    where = model, onp.zeros(model.d), onp.repeat(x, k, axis=0), onp.tile(onp.arange(k), len(x))
    return relative(gradient_covariance(*where), empirical_fisher(*where))


def covariance_fishers_and_gauss_newton_are_positive_semidefinite(case):
    """No eigenvalue of C, of the two Fishers or of the Gauss-Newton matrix is negative."""
    eigenvalues = [onp.linalg.eigvalsh(matrix(*first(case))) for matrix in MATRICES]
    return max(max(-values.min(), 0.0) / max(values.max(), size(case)) for values in eigenvalues)


def ranks_are_at_most_n_minus_1_and_n(case):
    """rank C <= n - 1 and rank F <= n, F the empirical Fisher: the largest eigenvalue beyond.

    Assumes more parameters than samples, without which it says nothing.
    """
    model, _, _, y = where = first(case)
    if len(y) >= model.d:
        return None
    C, F = (onp.linalg.eigvalsh(matrix(*where))[::-1] for matrix in (gradient_covariance, empirical_fisher))
    return max(*onp.abs(C[len(y) - 1 :]), *onp.abs(F[len(y) :])) / max(F[0], 1e-300)


def true_fisher_is_gauss_newton(case):
    """E_y[g g^T] under the model's own labels = E[J^T H J], J the Jacobian and H the curvature of the loss in the
    logits: for cross-entropy, with one logit and with softmax.
    """
    return relative(true_fisher(*first(case)), gauss_newton(*first(case)), size(case))


def true_fisher_is_the_hessian_of_linear_models(case):
    """True Fisher = Hessian, whatever the labels.

    Assumes no hidden layer: then the logits have no curvature of their own.
    """
    if len(case.model.sizes) > 2:
        return None
    return relative(risk_hessian(*first(case)), true_fisher(*first(case)), size(case))


def hessian_averaged_over_the_models_labels_is_the_true_fisher(case):
    """E_y[Hessian] under the model's own labels = true Fisher, for any network: the mean of the Hessians of all labels
    is the Hessian of the mean of their losses, whose weights p do not move with theta.
    """
    model, theta, x, _ = first(case)
    p = probabilities(model, theta, x)

    def averaged(t):
        labels = [onp.full(len(x), c) for c in range(p.shape[1])]
        return sum(np.sum(p[:, c] * per_sample_losses(model, t, x, y)) for c, y in enumerate(labels)) / len(x)

    return relative(hessian(averaged)(theta), true_fisher(*first(case)), size(case))


def hessian_minus_gauss_newton_is_the_residuals_times_the_logits_curvature(case):
    """Hessian - Gauss-Newton = mean_i sum_c (p_ic - y_ic) d^2 z_ic / dtheta^2."""
    model, theta, x, y = first(case)
    r = residuals(model, theta, x, y)
    linear = len(model.sizes) == 2  # no curvature, which autograd would say in a warning
    curvature = (
        onp.zeros(2 * [model.d]) if linear else hessian(lambda t: np.sum(r * model.logits(t, x)) / len(x))(theta)
    )
    return relative(risk_hessian(*first(case)) - gauss_newton(*first(case)), curvature, size(case))


def diagonals_are_those_of_the_full_matrices(case):
    """diagonal=True gives the diagonal, without the matrix."""
    where = first(case)
    pairs = [(m(*where, diagonal=True), m(*where)) for m in (*MATRICES, risk_hessian)]
    square = onp.abs(empirical_fisher(*where)).max()  # what cancels in the covariance
    return max(relative(found, onp.diag(full), max(onp.abs(full).max(), square)) for found, full in pairs)


def diagonal_of_the_covariance_is_fishrs_variance_of_all_layers(case):
    """diag C = gradient_variance(scope="all")."""
    found = gradient_variance(*first(case), scope="all")
    F = empirical_fisher(*first(case))
    return relative(found, onp.diag(gradient_covariance(*first(case))), scale=onp.abs(F).max())


def hessian_vector_product_is_the_hessian_times_the_vector(case):
    """hvp(v) = H v, and H is symmetric."""
    v = onp.cos(onp.arange(case.model.d))
    H = risk_hessian(*first(case))
    return max(relative(hvp(*first(case), v), H @ v, size(case)), relative(H, H.T, size(case)))


def hessian_vector_product_is_the_difference_of_gradients(case):
    """H v = (g(theta + h v) - g(theta - h v)) / 2 h for small h.

    Assumes that no ReLU switches between the two.
    """
    model, theta, x, y = first(case)
    v = onp.cos(onp.arange(model.d)) / onp.sqrt(model.d)
    ends = [theta + STEP * v, theta - STEP * v]
    if not same_pattern(model, ends, x):
        return None
    plus, minus = (grad(lambda t: model_risk(model, t, x, y))(end) for end in ends)
    return relative(hvp(*first(case), v), (plus - minus) / (2 * STEP), size(case))


def model_risk(model, theta, x, y):
    """The mean loss from logaddexp: a second derivation, -log p of the label, ()."""
    z = model.logits(theta, x)
    z = np.concatenate([np.zeros_like(z), z], axis=1) if model.sizes[-1] == 1 else z
    top = onp.max(getattr(z, "_value", z), axis=1, keepdims=True)
    logs = z - top - np.log(np.sum(np.exp(z - top), axis=1, keepdims=True))
    return -np.sum(logs * onp.eye(z.shape[1])[onp.asarray(y, int)]) / len(x)


IDENTITIES = [
    identity(covariance_is_fisher_minus_the_mean_gradients_square),
    identity(covariance_is_fisher_where_the_mean_gradient_vanishes),
    identity(covariance_fishers_and_gauss_newton_are_positive_semidefinite),
    identity(ranks_are_at_most_n_minus_1_and_n),
    identity(true_fisher_is_gauss_newton),
    identity(true_fisher_is_the_hessian_of_linear_models),
    identity(hessian_averaged_over_the_models_labels_is_the_true_fisher),
    identity(hessian_minus_gauss_newton_is_the_residuals_times_the_logits_curvature),
    identity(diagonals_are_those_of_the_full_matrices),
    identity(diagonal_of_the_covariance_is_fishrs_variance_of_all_layers),
    identity(hessian_vector_product_is_the_hessian_times_the_vector),
    identity(hessian_vector_product_is_the_difference_of_gradients, DIFFERENCES),
]
