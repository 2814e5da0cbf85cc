"""V-REx: make the training risks equal.

Source         Krueger et al. 2021, arXiv:2003.00688
Equation       J(theta) = mean_e R_e + lambda * c * mean_e (R_e - mean R)^2
Normalization  biased variance over the m domains times c; c = 1 (domainbed), c = 4 (paper), so that for m = 2
               it is (R_1 - R_2)^2, which the Fishr authors' script penalizes. The V-REx authors' own script adds up
               the risks: their beta is twice our lambda for m = 2 in the paper convention.
               ddof=1: the unbiased variance, the sum divided by m - 1; m / (m - 1) times as much, with c as before.
Departures     1. mean of the risks where the V-REx authors' script sums them
               2. the paper convention keeps c = 4 for any number of domains; Colored MNIST's scripts have two, and the
                  authors' jigsaw script has three and penalizes the variance: domainbed
"""

import autograd.numpy as np

from ..losses import risk as statistic
from .method import method
from .protocol import RECIPES, deviations
from .settings import DOMAINBED_ADAM, PAPER_PENALTY, PENALTY_RANGE

DEFAULTS = {
    "paper": {**PAPER_PENALTY, "ddof": 0},
    "domainbed": {**DOMAINBED_ADAM, "penalty_weight": 10.0, "warm_up": 500, "ddof": 0},
}
RANGES = PENALTY_RANGE
FACTORS = {"paper": 4, "domainbed": 1}


def distance(phi, convention="paper", ddof=0):
    """The variance of the risks times the convention's factor, (m,) -> (); ValueError for m <= ddof."""
    if len(phi) <= ddof:
        raise ValueError(f"vrex: ddof={ddof} needs more than {ddof} domains, got {len(phi)}")
    return FACTORS[convention] * np.sum(deviations(phi) ** 2) / (len(phi) - ddof)


penalty, vrex = method("vrex", statistic, distance, DEFAULTS, RECIPES, switches=("ddof",))
