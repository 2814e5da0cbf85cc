"""AND-mask: follow the mean gradient only where enough domains agree on its sign.

Source         Parascandolo et al. 2020, arXiv:2009.00329
Equation       theta <- Adam(mask * mean_e g_e / (1e-10 + mean of mask)), the last mean within each block of theta;
               mask = 1 where |mean_e sign(g_e)| >= tau, else 0
Normalization  none in the mask; sign(0) = 0 counts as disagreement; tau = 1 asks all domains
Departures     1. the division by the mask's mean is always made, as in DomainBed; the authors' code has it as an option
               2. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import numpy as np

from .protocol import RECIPES, masked
from .settings import LR_RANGE, both, settings, uniform

DEFAULTS = both(tau=1.0)
RANGES = {**LR_RANGE, "tau": uniform(0.5, 1)}


def mask(g, *, tau):
    """1 where the domain gradients agree, else 0, (m,d) -> (d,)."""
    return (np.abs(np.sign(g).mean(axis=0)) >= tau).astype(g.dtype)


def and_mask(model, *, convention="paper", **hyper_parameters):
    """Logical-AND mask."""
    chosen = settings("and_mask", DEFAULTS, convention, hyper_parameters)
    tau = chosen.pop("tau")
    return masked("and_mask", model, lambda g: mask(g, tau=tau), RECIPES[convention], **chosen)
