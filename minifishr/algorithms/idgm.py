"""IDGM: make the mean gradients of the domains point the same way; the objective that Fish approximates.

Source         Shi et al. 2022, arXiv:2104.09937
Equation       J(theta) = mean_e R_e - lambda * mean_{e < f} <g_e, g_f>,  g_e the gradient of R_e
Normalization  mean over the m (m-1) / 2 pairs; sum over coordinates. With IGA's mean over domains V and the mean
               gradient g: mean over pairs of <g_e, g_f> = ||g||^2 - V / (m - 1).
Departures     1. DomainBed has no IDGM: its convention is this penalty with DomainBed's weight decay
               2. lambda has no published default for these problems; ours is 1
"""

import autograd.numpy as np

from ..gradients import mean_gradient as statistic
from .method import method
from .protocol import RECIPES
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=1.0, warm_up=0)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(-2, 2)}  # ours: no source has a range
# what the checks must not expect: the gradients of equal domains agree, and are not zero
EXCEPTIONS = {"vanishes_on_copies": False}


def distance(phi, convention="paper"):
    """Minus the mean inner product over pairs of domains, (m,d) -> ()."""
    m = len(phi)
    # all ordered pairs with e = f are in the square of the sum and nowhere else
    return -(np.sum(np.sum(phi, axis=0) ** 2) - np.sum(phi**2)) / (m * (m - 1))


penalty, idgm = method("idgm", statistic, distance, DEFAULTS, RECIPES, scope="all")
