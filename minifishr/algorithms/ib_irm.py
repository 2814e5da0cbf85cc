"""IB-IRM: IRM with an information bottleneck: of all invariant classifiers, one that needs little.

Source         Ahuja et al. 2021, arXiv:2106.06607
Equation       J(theta) = mean_e R_e + penalty_weight * IRM + ib_weight * IB, the penalties of `irm` and `ib_erm`
Normalization  that of both, IRM by halves of the rows. Before the ends of their own warm-ups IRM's weight is 1
               and IB's is 0; Adam is made anew at the end of either
Departures     1. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import autograd.numpy as np

from . import ib_erm, irm
from .method import method
from .protocol import recipes
from .settings import PENALTY_RANGE, both

DEFAULTS = both(penalty_weight=100.0, warm_up=500, ib_weight=100.0, ib_warm_up=500)
IB_RANGE = {"ib_weight": PENALTY_RANGE["penalty_weight"], "ib_warm_up": PENALTY_RANGE["warm_up"]}
RANGES = {**PENALTY_RANGE, **IB_RANGE}
RECIPES = recipes()
EXCEPTIONS = irm.EXCEPTIONS


def statistic(model, theta, x, y):
    """The slopes of both halves, and the mean variance of the features, (3,); ValueError for fewer than two samples."""
    return np.concatenate([irm.halves(model, theta, x, y), np.reshape(ib_erm.statistic(model, theta, x, y), (1,))])


def distance(phi, convention="paper"):
    """IRM's penalty and IB's, (m,3) -> (2,)."""
    return np.array([irm.distance(phi[:, :2]), ib_erm.distance(phi[:, 2])])


SECOND = ("ib_weight", "ib_warm_up")
penalty, ib_irm = method("ib_irm", statistic, distance, DEFAULTS, RECIPES, second=SECOND, needed=1)
