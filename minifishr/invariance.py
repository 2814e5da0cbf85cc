"""What a trained network has made equal in its training domains, whatever method trained it.

A statistic phi_e of each domain and one distance for all of them:

    dispersion = sum_e ||phi_e - mean phi||^2 / sum_e ||phi_e||^2        in [0, 1]

0 where the domains agree, 1 where their mean is zero although they are not: so each number is the share of the
statistic's square that belongs to single domains. It has no unit, and statistics of any size can stand in one table.
Near a minimum of the mean risk the mean gradient tends to zero, and the dispersion of the gradients to 1.
"""

import numpy as np

from .curvature import hvp, true_fisher
from .data import stream
from .gradients import gradient_variance, mean_gradient
from .losses import risk, risks

PROBES = 10  # random vectors for the Hessian of all layers: E ||H v||^2 = ||H||_F^2 for standard normal v


def dispersion(phi):
    """The share of the squared statistics that differs between domains, (m, ...) -> () in [0, 1]; 0 where all are 0."""
    phi = np.asarray(phi, np.float64)
    total = np.sum(phi**2)
    return float(np.sum((phi - phi.mean(axis=0)) ** 2) / total) if total else 0.0


def classifier_hessian(model, theta, x, y):
    """The Hessian of the risk in the last W and b, exact: their true Fisher, because the logits are linear in them."""
    head, w, (a,) = model.head(theta, [x])
    return true_fisher(head, w, a, y)


def classifier_gradient(model, theta, x, y):
    """The mean gradient in the last W and b, (d_classifier,)."""
    head, w, (a,) = model.head(theta, [x])
    return mean_gradient(head, w, a, y)


def classifier_product(model, theta, x, y):
    """The classifier's Hessian times its mean gradient, (d_classifier,)."""
    head, w, (a,) = model.head(theta, [x])
    return hvp(head, w, a, y, mean_gradient(head, w, a, y))


def hessian_products(model, theta, x, y, probes=PROBES, seed=0):
    """The Hessian of all layers times the same random vectors in every domain, (probes,d)."""
    vectors = stream(seed, "probes").normal(size=(probes, model.d))
    return np.stack([hvp(model, theta, x, y, v) for v in vectors])


def feature_covariance(model, theta, x, y):
    """The covariance of the features, (h,h), with 1/(n-1); ValueError for a single row."""
    if len(x) < 2:
        raise ValueError(f"invariances: the covariance of features needs at least 2 rows a domain, got {len(x)}")
    return np.cov(model.features(theta, x), rowvar=False)


STATISTICS = {
    "risk": risk,
    "mean gradient": mean_gradient,
    "mean gradient, classifier": classifier_gradient,
    "gradient variance, classifier": gradient_variance,
    "gradient variance, all layers": lambda *where: gradient_variance(*where, scope="all"),
    "Hessian, classifier": classifier_hessian,
    "Hessian's diagonal, classifier": lambda *where: np.diag(classifier_hessian(*where)),
    "Hessian times gradient, classifier": classifier_product,
    "Hessian, all layers": hessian_products,
    "mean of features": lambda model, theta, x, y: model.features(theta, x).mean(axis=0),
    "variance of features": lambda *where: np.diag(feature_covariance(*where)),
    "covariance of features": feature_covariance,
}


def invariances(model, theta, domains):
    """Name of a statistic -> its dispersion over domains, each in [0, 1]."""
    return {
        name: dispersion([statistic(model, theta, domain.x, domain.y) for domain in domains])
        for name, statistic in STATISTICS.items()
    }


def risks_along(model, theta, direction, amounts, domains):
    """The risk of each domain at theta + t direction, (t,) -> (t,m)."""
    step = np.asarray(direction, theta.dtype)
    return np.stack([risks(model, theta + theta.dtype.type(t) * step, domains) for t in amounts])


def random_direction(theta, seed=0):
    """A random direction as long as theta."""
    v = stream(seed, "direction").normal(size=theta.shape)
    return v * np.linalg.norm(theta) / np.linalg.norm(v)
