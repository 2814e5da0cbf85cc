"""Hutchinson: make the diagonals of the classifier's Hessians equal in all domains, and its mean gradients.

Source         Hemati et al. 2023, arXiv:2308.11778
Equation       J(theta) = mean_e R_e + penalty_weight * mean_e ||D_e - D||^2 + gradient_weight * mean_e ||g_e - g||^2
               D_e, g_e: the diagonal of R_e's Hessian in the last W and b, and its gradient; D, g: their means
Normalization  sum over coordinates, mean over domains; both weights are 0 before the end of the warm-up
Departures     1. D_e is exact: mean_i p_ik (1 - p_ik) a_ij^2, the true Fisher's diagonal. The authors average v * (H v)
                  over 300 vectors v of random signs, and square that with its noise: the expectation is too large by
                  (1/300) mean_e [sum of the squared off-diagonal entries of H_e + the same of the mean Hessian]
               2. the warm-up is ours (0); the authors' ranges, here too, do not contain their defaults
               3. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import autograd.numpy as np

from ..gradients import mean_gradient
from ..losses import logsumexp, sigmoid
from ..mlp import layer_sums
from .method import method
from .protocol import deviations, recipes
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=1e-3, gradient_weight=5e-3, warm_up=0)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(1, 4), "gradient_weight": log_uniform(2, 6)}
RECIPES = recipes(warm_up_weight=0.0)


def parts(model, theta, x, y):
    """A classifier's Hessian in parts: features (n,h), probabilities (n,k), and its gradient (h+1,k).

    Of one logit p is the smaller one of the two, because p (1 - p) loses its digits where p rounds to 1."""
    head, w, (a,) = model.head(theta, [x])
    z = head.logits(w, a)
    p = sigmoid(-np.abs(z)) if z.shape[1] == 1 else np.exp(z - np.expand_dims(logsumexp(z), 1))
    return a, p, np.reshape(mean_gradient(head, w, a, y), (a.shape[1] + 1, -1))


def statistic(model, theta, x, y):
    """The diagonal of the classifier's Hessian, and the classifier's gradient below, (2,d_classifier)."""
    a, p, g = parts(model, theta, x, y)
    return np.stack([np.ravel(layer_sums(np.square(a), p * (1 - p))) / len(a), np.ravel(g)])


def distance(phi, convention="paper"):
    """Squared deviations of both from their means over domains, (m,2,d) -> (2,)."""
    return np.sum(deviations(phi) ** 2, axis=(0, 2)) / len(phi)


SECOND = ("gradient_weight", "warm_up")
penalty, hutchinson = method("hutchinson", statistic, distance, DEFAULTS, RECIPES, second=SECOND)
