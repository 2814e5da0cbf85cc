"""SAND-mask: follow the mean gradient where the domains agree on its sign, the more the closer they agree in size.

Source         Shahtalebi et al. 2021, arXiv:2106.02266
Equation       theta <- Adam(mask * mean_e g_e / (1e-10 + mean of mask)), the last mean within each block of theta;
               mask = max(0, tanh(k / s * (|mean_e sign(g_e)| - tau)))
Normalization  s = variance of g_e over domains with 1/(m-1); it is not scale-free: for gradients around 1e-3 tanh
               saturates, the mask is 0 or 1, and tau alone decides (then SAND-mask is AND-mask)
Departures     1. tau = 1, the default of the public code, is refused: |mean sign| is never above 1, so no mask
                  would ever be above 0 and no parameter would ever move; our default is 0.5
               2. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import numpy as np

from .masks import arithmetic, checked, followed, masked
from .protocol import RECIPES
from .settings import LR_RANGE, both, log_uniform, settings, uniform

DEFAULTS = both(tau=0.5, k=10.0)
RANGES = {**LR_RANGE, "tau": uniform(0, 1), "k": log_uniform(-3, 5)}


def mask(g, *, tau, k):
    """How far each coordinate of the domain gradients may act, in [0, 1], (m,d) -> (d,)."""
    agreement = np.abs(np.sign(g).mean(axis=0)) - tau
    # equal gradients: k / 0, or more than there are numbers, and 0 * infinity at agreement = tau
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        value = np.tanh(k / g.var(axis=0, ddof=1) * agreement)
    return np.where(np.isnan(value), 1e-17, np.maximum(value, 0))


def moving(convention, given):
    """The hyper-parameters; ValueError for a tau or k with which no parameter ever moves."""
    chosen = settings("sand_mask", DEFAULTS, convention, given)
    if chosen["tau"] == 1:
        raise ValueError("sand_mask: tau=1 never updates anything, because |mean sign| - tau is at most 0: use tau < 1")
    if chosen["k"] == 0:
        raise ValueError("sand_mask: k=0 never updates anything, because the mask is tanh(0): use k > 0")
    return chosen


def direction(model, g, *, tau=0.5, k=10.0):
    """What Adam is given for domain gradients g, (m,d) -> (d,)."""
    moving("paper", {"tau": tau, "k": k})
    g = checked("sand_mask", model, g)
    return followed(model, arithmetic(g), mask(g, tau=tau, k=k))


def sand_mask(model, *, convention="paper", **hyper_parameters):
    """Smoothed-AND mask."""
    chosen = moving(convention, hyper_parameters)
    tau, k = chosen.pop("tau"), chosen.pop("k")
    return masked("sand_mask", model, lambda g: mask(g, tau=tau, k=k), RECIPES[convention], **chosen)
