"""CMA: make the classifier's whole Hessians equal in all domains, and its mean gradients (moment alignment).

Source         Chen et al. 2025, their public code
Equation       J(theta) = R + penalty_weight * mean_e ||H_e - mean H||_F^2 + gradient_weight * mean_e ||g_e - mean g||^2
               H_e (d,d), g_e: Hessian and gradient of R_e in the last W and b; R the mean loss over all samples
Normalization  sum over entries, mean over domains; both weights are 0 before the end of the warm-up. domainbed: H_e
               and g_e are divided by the number C of classes (2 for one logit): lambda_domainbed = C^2 lambda_paper.
               Where all rows are fewer than d no (d,d) matrix is made: <H_e, H_f> is the mean over pairs of their rows
               of (a_i . a_j + 1)^2 tr(S_i S_j), S = diag p - p p^T, which loses digits where the H_e agree
Departures     1. the paper convention's lambdas default to the public code's
"""

import autograd.numpy as np
import numpy as onp

from .hutchinson import SECOND, parts
from .method import method
from .protocol import deviations, recipes
from .settings import LR_RANGE, both, choice, log_uniform

DEFAULTS = both(penalty_weight=1000.0, gradient_weight=5000.0, warm_up=0)
WEIGHTS = {"penalty_weight": log_uniform(1, 4), "gradient_weight": log_uniform(1, 4)}
RANGES = {**LR_RANGE, **WEIGHTS, "warm_up": choice(500, 1500, 2500, 3500, 4500)}
RECIPES = recipes(warm_up_weight=0.0, pooled=True)


def factors(a, p):
    """Rows (a_i, 1) (n,h+1) and S_i (n,k,k): the Hessian is the mean of their Kronecker products."""
    ones, q = np.ones((len(a), 1), a.dtype), np.expand_dims(p, 2)
    S = q * (onp.eye(p.shape[1], dtype=p.dtype) - np.expand_dims(p, 1))
    return np.concatenate([a, ones], axis=1), S


def hessian(a, p):
    """The classifier's Hessian from features (n,h) and probabilities (n,k), (d,d)."""
    rows, S = factors(a, p)
    (n, h), k = rows.shape, S.shape[1]
    scaled = np.reshape(np.expand_dims(S, 3) * np.reshape(rows, (n, 1, 1, h)), (n, -1))
    return np.reshape(np.transpose(np.reshape(rows.T @ scaled / n, (h, k, k, h)), (0, 1, 3, 2)), (h * k, h * k))


def statistic(model, theta, x, y):
    """The classifier's Hessian, and its gradient as a last row, (d_classifier+1,d_classifier)."""
    a, p, g = parts(model, theta, x, y)
    return np.concatenate([hessian(a, p), np.reshape(g, (1, -1))])


def by_rows(phi):
    """mean_e ||H_e - mean H||_F^2 from products of rows, ()."""
    (rows, S), counts = factors(*(np.concatenate(part) for part in zip(*phi, strict=True))), [len(a) for a, _ in phi]
    S = np.reshape(S, (len(rows), -1))
    shares = onp.repeat(onp.eye(len(phi)) / counts, counts, axis=0).astype(rows.dtype)  # (N,m): whose row, and 1/n
    products = shares.T @ (np.square(rows @ rows.T) * (S @ S.T)) @ shares
    return np.trace(products) / len(phi) - np.sum(products) / len(phi) ** 2


def distance(phi, convention="paper"):
    """Squared deviations of Hessians and of gradients, from the domains' parts, -> (2,)."""
    g, seen = np.array([one[2] for one in phi]), [one[:2] for one in phi]
    few = sum(len(a) for a, _ in seen) < g[0].size
    first = by_rows(seen) if few else np.sum(deviations(np.array([hessian(*one) for one in seen])) ** 2) / len(phi)
    classes = max(g.shape[-1], 2) if convention == "domainbed" else 1
    return np.array([first, np.sum(deviations(g) ** 2) / len(phi)]) / classes**2


penalty, cma = method("cma", parts, distance, DEFAULTS, RECIPES, second=SECOND, ragged=True)
