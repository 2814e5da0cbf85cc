"""IB-ERM: keep the features' variances small, so that little information passes (information bottleneck).

Source         Ahuja et al. 2021, arXiv:2106.06607
Equation       J(theta) = mean_e R_e + lambda * mean_e mean_j Var_i(a_ij),  a_i (h,) the features of sample i
Normalization  variance with 1/(n-1), mean over features and domains; lambda is 0 before the end of the warm-up
Departures     1. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import autograd.numpy as np

from .method import method
from .protocol import recipes
from .settings import PENALTY_RANGE, both

DEFAULTS = both(penalty_weight=100.0, warm_up=500)
RANGES = PENALTY_RANGE
RECIPES = recipes(warm_up_weight=0.0)
EXCEPTIONS = {"vanishes_on_copies": False}  # it compares no domains


def statistic(model, theta, x, y):
    """The mean over features of their variances, (); ValueError for fewer than two samples."""
    if len(y) < 2:
        raise ValueError(f"the variance of features needs at least 2 samples a domain, got {len(y)}")
    a = model.features(theta, x)
    return np.sum((a - np.sum(a, axis=0) / len(y)) ** 2) / ((len(y) - 1) * a.shape[1])


def distance(phi, convention="paper"):
    """The mean over domains, (m,) -> ()."""
    return np.sum(phi) / len(phi)


penalty, ib_erm = method("ib_erm", statistic, distance, DEFAULTS, RECIPES, needed=1)
