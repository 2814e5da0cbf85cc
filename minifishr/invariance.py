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
    """The share of the squared statistics that differs between domains, (m, ...) -> () in [0, 1]; 0 where all are 0,
    ValueError for fewer than two domains."""
    if len(phi) < 2:
        raise ValueError(f"dispersion: at least 2 domains can differ, got {len(phi)}")
    phi = np.asarray(phi, np.float64)
    phi = phi / (np.max(np.abs(phi), initial=0) or 1.0)  # no square of it is too small or too large
    return float(np.sum((phi - phi.mean(axis=0)) ** 2) / (np.sum(phi**2) or 1.0))


def in_classifier(statistic, **options):
    """The same statistic of the last W and b alone: (model, theta, x, y) -> that of features and labels."""

    def found(model, theta, x, y):
        head, w, (a,) = model.head(theta, [x])
        return statistic(head, w, a, y, **options)

    return found


def along_gradient(model, theta, x, y):
    """The Hessian times the mean gradient, (d,)."""
    return hvp(model, theta, x, y, mean_gradient(model, theta, x, y))


# the Hessian of the risk in the last W and b, exact: their true Fisher, because the logits are linear in them
classifier_hessian = in_classifier(true_fisher)


def hessian_products(model, theta, x, y, probes=PROBES, seed=0):
    """The Hessian of all layers times the same random vectors in every domain, (probes,d)."""
    return hvp(model, theta, x, y, stream(seed, "probes").normal(size=(probes, model.d)))


def features(model, theta, x):
    """The features (n,h) of at least two rows; ValueError for a single row, which has no covariance."""
    if len(x) < 2:
        raise ValueError(f"invariances: the covariance of features needs at least 2 rows a domain, got {len(x)}")
    return model.features(theta, x)


STATISTICS = {
    "risk": risk,
    "mean gradient": mean_gradient,
    "mean gradient, classifier": in_classifier(mean_gradient),
    "gradient variance, classifier": gradient_variance,
    "gradient variance, all layers": lambda *where: gradient_variance(*where, scope="all"),
    "Hessian, classifier": classifier_hessian,
    "Hessian's diagonal, classifier": in_classifier(true_fisher, diagonal=True),
    "Hessian times gradient, classifier": in_classifier(along_gradient),
    "Hessian, all layers": hessian_products,
    "mean of features": lambda model, theta, x, y: model.features(theta, x).mean(axis=0),
    "variance of features": lambda model, theta, x, y: np.var(features(model, theta, x), axis=0, ddof=1),
    "covariance of features": lambda model, theta, x, y: np.cov(features(model, theta, x), rowvar=False),
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
