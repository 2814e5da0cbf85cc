"""AND-mask: follow the mean gradient only where enough domains agree on its sign.

Source         Parascandolo et al. 2020, arXiv:2009.00329
Equation       theta <- Adam(mask * mean_e g_e / (1e-10 + mean of mask)), the last mean within each block of theta;
               mask = 1 where |mean_e sign(g_e)| >= tau, else 0
               rescale=False: without the division
               average="geometric": sign(mean_e g_e) * prod_e (|g_e| + 1e-10)^(1/m) in the place of mean_e g_e
Normalization  none in the mask; sign(0) = 0 counts as disagreement; tau = 1 asks all domains
Departures     1. the authors' code has no defaults for rescale and average: ours are what DomainBed does
               2. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import numpy as np

from .masks import arithmetic, checked, followed, masked
from .protocol import RECIPES
from .settings import LR_RANGE, both, settings, uniform

DEFAULTS = both(tau=1.0, rescale=True, average="arithmetic")
RANGES = {**LR_RANGE, "tau": uniform(0.5, 1)}


def mask(g, *, tau):
    """1 where the domain gradients agree, else 0, (m,d) -> (d,)."""
    return (np.abs(np.sign(g).mean(axis=0)) >= tau).astype(g.dtype)


def geometric(g):
    """The geometric mean of the sizes with the sign of the mean, (m,d) -> (d,)."""
    return np.sign(g.mean(axis=0)) * np.exp(np.log(np.abs(g) + 1e-10).mean(axis=0))


AVERAGES = {"arithmetic": arithmetic, "geometric": geometric}


def direction(model, g, *, tau=1.0, rescale=True, average="arithmetic"):
    """What Adam is given for domain gradients g, (m,d) -> (d,)."""
    settings("and_mask", DEFAULTS, "paper", {"tau": tau, "rescale": rescale, "average": average})
    g = checked("and_mask", model, g)
    return followed(model, AVERAGES[average](g), mask(g, tau=tau), rescale)


def and_mask(model, *, convention="paper", **hyper_parameters):
    """Logical-AND mask."""
    chosen = settings("and_mask", DEFAULTS, convention, hyper_parameters)
    tau, chosen["average"] = chosen.pop("tau"), AVERAGES[chosen["average"]]
    return masked("and_mask", model, lambda g: mask(g, tau=tau), RECIPES[convention], **chosen)
