"""HGP: make the products of the classifier's Hessian and gradient equal in all domains, and the gradients.

Source         Hemati et al. 2023, arXiv:2308.11778
Equation       J(theta) = mean_e R_e + penalty_weight * mean_e ||H_e g_e - H g||^2
               + gradient_weight * mean_e ||g_e - g||^2,  H_e and g_e Hessian and gradient of R_e in the last W and b, H
               and g those of mean_e R_e
Normalization  sum over coordinates, mean over domains; both weights are 0 before the end of the warm-up. H g is not the
               mean of the H_e g_e, and it is held constant: what training follows is not the gradient of J's value
Departures     1. the warm-up is ours (0)
               2. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

import autograd.numpy as np
from autograd.extend import defvjp, primitive

from ..mlp import affine, layer_sums
from .hutchinson import RECIPES, SECOND, parts
from .method import method
from .protocol import deviations, statistics
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=1e-4, gradient_weight=5e-3, warm_up=0)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(-5, -3), "gradient_weight": log_uniform(-3, -1)}


@primitive
def constant(value):
    """The same value, held constant by the gradient."""
    return value


defvjp(constant, None)


def product(a, p, V):
    """A classifier's Hessian times V, from features (n,h) and probabilities (n,k), (h+1,k) -> (h+1,k)."""
    q = affine(a, V[:-1], V[-1])
    curved = p * (q - np.sum(p * q, axis=1, keepdims=True))
    return layer_sums(a, curved) / len(a)


def statistic(model, theta, x, y):
    """The classifier's Hessian times its gradient, and the gradient below, (2,d_classifier)."""
    a, p, g = parts(model, theta, x, y)
    return np.stack([np.ravel(product(a, p, g)), np.ravel(g)])


def mean_product(phi):
    """Hessian of the mean risk times its gradient, from the domains' parts, (h+1,k)."""
    g = sum(g for _, _, g in phi) / len(phi)
    return sum(product(a, p, g) for a, p, _ in phi) / len(phi)


def distance(phi, convention="paper", held=None):
    """Squared distances of the products from `held`, the mean risk's unless said, and of the gradients, -> (2,)."""
    held = constant(mean_product(phi)) if held is None else held
    products, g = np.array([product(*one) - held for one in phi]), np.array([g for _, _, g in phi])
    return np.array([np.sum(products**2), np.sum(deviations(g) ** 2)]) / len(phi)


# what the checks must know: they hold it constant in finite differences too
EXCEPTIONS = {"held": lambda *where: {"held": mean_product(statistics(parts, *where, ragged=True))}}
penalty, hgp = method("hgp", parts, distance, DEFAULTS, RECIPES, second=SECOND, ragged=True)
