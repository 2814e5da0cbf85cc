"""SD (spectral decoupling): keep the logits small, so that a strong feature leaves a gradient to the others.

Source         Pezeshki et al. 2021, arXiv:2011.09468
Equation       J(theta) = R + lambda * mean of z_ik^2 over all samples and logits,  R the mean loss over all samples
Normalization  both means are over the samples of all domains together
Departures     1. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import autograd.numpy as np

from .method import method
from .protocol import recipes
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=0.1)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(-5, -1)}
RECIPES = recipes(pooled=True)
EXCEPTIONS = {"vanishes_on_copies": False}  # it compares no domains


def statistic(model, theta, x, y):
    """The sum of the squared logits, and their number, (2,)."""
    z = model.logits(theta, x)
    return np.stack([np.sum(z**2), theta.dtype.type(len(y) * z.shape[1])])


def distance(phi, convention="paper"):
    """The mean square of all logits, (m,2) -> ()."""
    return np.sum(phi[:, 0]) / np.sum(phi[:, 1])


penalty, sd = method("sd", statistic, distance, DEFAULTS, RECIPES, needed=1)
