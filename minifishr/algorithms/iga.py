"""IGA: make the mean gradients of the domains equal.

Source         Koyama and Yamaguchi 2020, arXiv:2008.01883 (inter-environmental gradient alignment)
Equation       J(theta) = mean_e R_e + lambda * mean_e ||g_e - mean g||^2,  g_e the gradient of R_e
Normalization  sum over coordinates. paper: mean over the m domains, the trace of the covariance of the domain
               gradients. domainbed: sum over domains, so lambda_paper = m * lambda_domainbed for the same penalty.
Departures     1. the paper convention's lambda defaults to DomainBed's
"""

import autograd.numpy as np

from ..gradients import mean_gradient as statistic
from .protocol import RECIPES, deviations, penalized, statistics
from .settings import DOMAINBED_ADAM, LR_RANGE, PAPER_ADAM, check_convention, log_uniform, settings

DEFAULTS = {
    "paper": {
        **PAPER_ADAM,
        "penalty_weight": 1000.0,
        "warm_up": 0,
    },
    "domainbed": {**DOMAINBED_ADAM, "penalty_weight": 1000.0, "warm_up": 0},
}
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(1, 5)}


def distance(phi, convention="paper"):
    """Squared deviations of the gradients from their mean, averaged (paper) or summed (domainbed), (m,d) -> ()."""
    total = np.sum(deviations(phi) ** 2)
    return total / len(phi) if convention == "paper" else total


def penalty(model, theta, domains, *, convention="paper"):
    """Zero exactly when all domains have the same mean gradient, ()."""
    check_convention("iga", convention)
    return distance(statistics(statistic, model, theta, domains), convention)


def iga(model, *, convention="paper", **hyper_parameters):
    """Inter-environmental gradient alignment."""
    chosen = settings("iga", DEFAULTS, convention, hyper_parameters)
    recipe = RECIPES[convention]
    return penalized("iga", model, statistic, lambda phi: distance(phi, convention), recipe, scope="all", **chosen)
