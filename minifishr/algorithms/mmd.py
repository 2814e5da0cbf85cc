"""MMD: make the distributions of the features equal in all domains, not only their first two moments.

Source         Li et al. 2018, CVPR (MMD-AAE); kernels and objective as in DomainBed
Equation       J(theta) = mean_e R_e + lambda * mean_{e < f} [k(e,e) + k(f,f) - 2 k(e,f)]
               k(e,f): the mean over pairs of rows, one of each domain, of sum_s exp(-s D), D the squared distance of
               their features, at least 1e-30, and s = 0.001, 0.01, ..., 1000
Normalization  sum over kernels, means over the n_e n_f entries, the diagonal too, and over pairs of domains
               D is |a|^2 + |b|^2 - 2 ab, as in DomainBed: in float32 s = 1000 sees its rounding, 1e-7 of |a|^2
Departures     1. without the autoencoder and the discriminator of the paper, as in DomainBed
               2. the paper convention only differs in the weight decay, where it does as the other methods' scripts
"""

from itertools import combinations

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive

from ..curvature import MOST_BYTES
from .dann import statistic
from .method import method
from .protocol import recipes
from .settings import LR_RANGE, both, log_uniform

DEFAULTS = both(penalty_weight=1.0)
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(-1, 1)}
RECIPES = recipes()
EXCEPTIONS = {"vanishes_on_copies": False}  # only up to rounding: it is no square
SCALES = [10.0**power for power in range(-3, 4)]


@primitive
def kernels(D, order=0):
    """The derivative of some order of sum_s exp(-s D), entry by entry."""
    return sum((-s) ** order * onp.exp(-s * D) for s in SCALES)


defvjp(kernels, lambda ans, D, order=0: lambda g: g * kernels(D, order + 1), argnums=(0,))


def likeness(a, b):
    """The mean of the kernels over all pairs of rows, (n,h), (l,h) -> (); ValueError where these take too much."""
    if len(a) * len(b) * a.dtype.itemsize > MOST_BYTES / 8:  # about eight such arrays are needed
        raise ValueError(f"mmd: pairs of {len(a)} and {len(b)} rows take too much memory: use minibatches")
    squares = [np.sum(np.square(one), axis=1) for one in (a, b)]
    D = np.expand_dims(squares[0], 1) + squares[1] - 2 * (a @ b.T)
    return np.sum(kernels(np.maximum(D, 1e-30))) / (len(a) * len(b))


def distance(phi, convention="paper"):
    """The mean over pairs of domains of the squared distance of their mean embeddings, m times (n_e,h) -> ()."""
    pairs = [likeness(a, b) for a, b in combinations(phi, 2)]
    return 2 * (sum(likeness(a, a) for a in phi) / len(phi) - sum(pairs) / len(pairs))


penalty, mmd = method("mmd", statistic, distance, DEFAULTS, RECIPES, ragged=True)
