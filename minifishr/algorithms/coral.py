"""CORAL: make the features of all domains have the same mean and covariance.

Source         Sun and Saenko 2016, arXiv:1607.01719 (Deep CORAL)
Equation       J(theta) = mean_e R_e + lambda * mean_{e < f} D(e, f)
               paper      D = ||C_e - C_f||^2 / (4 h^2), C_e the covariance (h,h) of the features, h their number
               domainbed  D = ||mean_e - mean_f||^2 / h + ||C_e - C_f||^2 / h^2
               means=True or False: with or without the term of the means, which is ||mean_e - mean_f||^2 / h in
               both conventions; so the paper's with means is ||mean_e - mean_f||^2 / h + ||C_e - C_f||^2 / (4 h^2)
Normalization  covariances with 1/(n-1); mean over pairs of domains. Without the means the same penalty needs
               lambda_paper = 4 * lambda_domainbed; with them there is no factor: the paper's 1/4 is of C alone.
Departures     1. Deep CORAL has no means: the paper convention with them is ours
               2. Deep CORAL aligns labeled with unlabeled data of two domains; here all are labeled training domains
"""

import autograd.numpy as np

from .method import method
from .protocol import RECIPES, deviations
from .settings import LR_RANGE, both, log_uniform

PLAIN = both(penalty_weight=1.0, warm_up=0)
DEFAULTS = {"paper": {**PLAIN["paper"], "means": False}, "domainbed": {**PLAIN["domainbed"], "means": True}}
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(-1, 1)}


def statistic(model, theta, x, y):
    """The mean of the features above their covariance, (1+h,h); ValueError for fewer than two samples."""
    if len(y) < 2:
        raise ValueError(f"coral: a covariance needs at least 2 samples a domain, got {len(y)}")
    a = model.features(theta, x)
    mean = np.sum(a, axis=0, keepdims=True) / len(y)
    u = a - mean  # once: NumPy multiplies an array with itself otherwise than with its equal, and a replay has one
    return np.concatenate([mean, u.T @ u / (len(y) - 1)])


def distance(phi, convention="paper", means=None):
    """The mean over pairs of domains of the distance of their moments, (m,1+h,h) -> (); means: None for as usual."""
    m, _, h = phi.shape
    # sum over pairs of ||phi_e - phi_f||^2 = m * sum over domains of squared deviations; there are m (m-1) / 2 pairs
    squares = 2 / (m - 1) * deviations(phi) ** 2
    covariances = np.sum(squares[:, 1:]) / (4 * h**2 if convention == "paper" else h**2)
    with_means = DEFAULTS[convention]["means"] if means is None else means
    return np.sum(squares[:, 0]) / h + covariances if with_means else covariances


penalty, coral = method("coral", statistic, distance, DEFAULTS, RECIPES, switches=("means",))
