"""IGA: make the mean gradients of the domains equal.

Source         Koyama and Yamaguchi 2020, arXiv:2008.01883 (inter-environmental gradient alignment)
Equation       J(theta) = mean_e R_e + lambda * mean_e ||g_e - mean g||^2,  g_e the gradient of R_e
Normalization  sum over coordinates. paper: mean over the m domains, the trace of the covariance of the domain
               gradients. domainbed: sum over domains, so lambda_paper = m * lambda_domainbed for the same penalty.
Departures     1. the paper convention's lambda defaults to DomainBed's
"""

import autograd.numpy as np

from ..gradients import mean_gradient as statistic
from .method import method
from .protocol import RECIPES, deviations
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=1000.0, warm_up=0)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(1, 5)}


def distance(phi, convention="paper"):
    """Squared deviations of the gradients from their mean, averaged (paper) or summed (domainbed), (m,d) -> ()."""
    total = np.sum(deviations(phi) ** 2)
    return total / len(phi) if convention == "paper" else total


penalty, iga = method("iga", statistic, distance, DEFAULTS, RECIPES, scope="all")
