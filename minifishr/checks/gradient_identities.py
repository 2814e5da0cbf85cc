"""Identities of per-sample gradients and their variances."""

import numpy as np

from ..algorithms import fishr
from ..curvature import gradient_covariance
from ..data import Domain
from ..gradients import METHODS, gradient_variance, mean_gradient, per_sample_gradients
from ..losses import per_sample_losses
from .identity import identity, probabilities, relative, residuals, same_pattern

STEP = 1e-5  # of central differences: they err by about STEP^2, and by 1e-16 / STEP through rounding
DIFFERENCES = 1e-8  # both errors, times the size of third derivatives and of the losses, some tens


def all_methods_give_the_loops_gradients(case):
    """jacobian, tiled and taps = loop, the definition of a per-sample gradient."""
    worst = 0.0
    for d in case.domains:
        expected = per_sample_gradients(case.model, case.theta, d.x, d.y, "loop")
        found = [per_sample_gradients(case.model, case.theta, d.x, d.y, method) for method in METHODS]
        worst = max([worst, *(relative(G, expected) for G in found)])
    return worst


def per_sample_gradients_are_finite_differences(case):
    """G v = (losses(theta + h v) - losses(theta - h v)) / 2 h for small h.

    Assumes that no ReLU switches between the two.
    """
    d, model = case.domains[0], case.model
    v = np.cos(np.arange(model.d))  # any direction without structure
    v /= np.linalg.norm(v)
    ends = [case.theta + STEP * v, case.theta - STEP * v]
    if not same_pattern(model, ends, d.x):
        return None
    plus, minus = (per_sample_losses(model, end, d.x, d.y) for end in ends)
    G = per_sample_gradients(model, case.theta, d.x, d.y)
    return relative(G @ v, (plus - minus) / (2 * STEP), scale=max(1.0, np.abs(plus).max()))


def mean_of_per_sample_gradients_is_the_gradient_of_the_risk(case):
    """mean_i G_i = dR/dtheta."""
    pairs = [
        (per_sample_gradients(case.model, case.theta, d.x, d.y), mean_gradient(case.model, case.theta, d.x, d.y))
        for d in case.domains
    ]
    return max(relative(G.mean(axis=0), g, scale=np.abs(G).max()) for G, g in pairs)


def moments_without_storage_are_the_variances_of_stored_gradients(case):
    """gradient_variance = np.var of the stored G, for both scopes, ddof 0 and 1, centered or not."""
    model, theta = case.model, case.theta
    errors = [0.0]
    for d in case.domains:
        G = per_sample_gradients(model, theta, d.x, d.y, "loop")
        for scope, part in (("classifier", model.classifier), ("all", slice(None))):
            squares, g = np.mean(G[:, part] ** 2, axis=0), G[:, part]
            found = gradient_variance(model, theta, d.x, d.y, scope, centered=False)
            errors.append(relative(found, squares))
            for ddof in range(min(2, len(d.y))):
                found = gradient_variance(model, theta, d.x, d.y, scope, ddof)
                errors.append(relative(found, g.var(axis=0, ddof=ddof), scale=squares.max()))
    return max(errors)


def variance_from_deviations_is_the_variance(case):
    """stable=True, which subtracts the means first = E[g^2] - E[g]^2 = np.var of the stored G, for ddof 0 and 1."""
    errors = []
    for d in case.domains:
        where = case.model, case.theta, d.x, d.y
        G = per_sample_gradients(*where, "loop")
        squares = np.mean(G**2, axis=0).max()
        for ddof in range(min(2, len(d.y))):
            stable, fast = (gradient_variance(*where, "all", ddof, stable=choice) for choice in (True, False))
            errors += [relative(stable, G.var(axis=0, ddof=ddof), squares), relative(stable, fast, squares)]
    return max(errors)


def classifier_gradient_is_features_times_residual(case):
    """For the last layer G_i = a_i (p_i - y_i)^T and p_i - y_i: logistic and softmax regression on the features a."""
    model, theta = case.model, case.theta
    errors = []
    for d in case.domains:
        a, r = model.features(theta, d.x), residuals(model, theta, d.x, d.y)
        expected = np.concatenate([(a[:, :, None] * r[:, None]).reshape(len(a), -1), r], axis=1)
        found = per_sample_gradients(model, theta, d.x, d.y)[:, model.classifier]
        errors.append(relative(found, expected, scale=max(1.0, np.abs(a).max())))
    return max(errors)


def classifier_variance_is_that_of_features_times_residual(case):
    """Var(G) of the last layer = mean((a r)^2) - mean(a r)^2 with r = p - y, and the same for r alone."""
    model, theta = case.model, case.theta
    errors = []
    for d in case.domains:
        a, r = model.features(theta, d.x), residuals(model, theta, d.x, d.y)
        products = [np.outer(*pair).ravel() for pair in zip(a, r, strict=True)]
        expected = np.concatenate([np.var(products, axis=0), np.var(r, axis=0)])
        scale = max(1.0, np.square(a).max())
        errors.append(relative(gradient_variance(model, theta, d.x, d.y), expected, scale))
    return max(errors)


def bernoulli_labels_have_expected_square_x2_p_1_p(case):
    """E[G^2] over y ~ Bernoulli(p) = a^2 p (1 - p) for the last W, and E[G] = 0: both labels, weighted, no sampling.

    Assumes one logit.
    """
    model, theta, x = case.model, case.theta, case.domains[0].x
    if model.sizes[-1] != 1:
        return None
    p, a = probabilities(model, theta, x)[:, 1:], model.features(theta, x)
    W = slice(model.classifier.start, model.classifier.stop - 1)
    zero, one = (per_sample_gradients(model, theta, x, np.full(len(x), label))[:, W] for label in (0, 1))
    scale = max(1.0, np.square(a).max())
    return max(
        relative(p * one**2 + (1 - p) * zero**2, a**2 * p * (1 - p), scale),
        relative(p * one + (1 - p) * zero, np.zeros_like(one), scale),
    )


def second_moment_of_the_last_bias_is_the_brier_score(case):
    """E[g^2] of the last bias, uncentred = mean (p - y)^2 of each label: matching it matches mean squared errors."""
    model, theta = case.model, case.theta
    k = model.sizes[-1]
    pairs = [
        (
            gradient_variance(model, theta, d.x, d.y, centered=False)[-k:],
            np.mean(residuals(model, theta, d.x, d.y) ** 2, axis=0),
        )
        for d in case.domains
    ]
    return max(relative(found, expected, scale=1.0) for found, expected in pairs)


def full_covariance_is_the_classifiers_block(case):
    """Fishr's full covariances of W and of b = these blocks of C, divided by the rows of W and by the one row of b."""
    model, theta, d = case.model, case.theta, case.domains[0]
    C = gradient_covariance(model, theta, d.x, d.y)
    *_, W, b = model.blocks.values()
    expected = np.concatenate([C[W, W].ravel() / (W.stop - W.start), C[b, b].ravel() / (b.stop - b.start)])
    return relative(fishr.full_covariance(model, theta, d.x, d.y), expected, scale=np.abs(C).max())


def gradient_of_copied_rows_is_the_same(case):
    """Risk, mean gradient and variances (ddof 0) do not change when every row comes twice."""
    d = case.domains[0]
    twice = Domain("twice", np.repeat(d.x, 2, axis=0), np.repeat(d.y, 2))
    once, other = (gradient_variance(case.model, case.theta, e.x, e.y, "all") for e in (d, twice))
    g, h = (mean_gradient(case.model, case.theta, e.x, e.y) for e in (d, twice))
    return max(relative(other, once, scale=np.square(g).max()), relative(h, g))


IDENTITIES = [
    identity(all_methods_give_the_loops_gradients),
    identity(per_sample_gradients_are_finite_differences, DIFFERENCES),
    identity(mean_of_per_sample_gradients_is_the_gradient_of_the_risk),
    identity(moments_without_storage_are_the_variances_of_stored_gradients),
    identity(variance_from_deviations_is_the_variance),
    identity(classifier_gradient_is_features_times_residual),
    identity(classifier_variance_is_that_of_features_times_residual),
    identity(bernoulli_labels_have_expected_square_x2_p_1_p),
    identity(second_moment_of_the_last_bias_is_the_brier_score),
    identity(full_covariance_is_the_classifiers_block),
    identity(gradient_of_copied_rows_is_the_same),
]
