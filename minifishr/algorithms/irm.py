"""IRM: make one classifier optimal in every domain at once (its practical form, IRMv1).

The classifier is optimal for a domain only if rescaling its logits does not help there: the risk of
s * logits has slope 0 in s at s = 1.

Source         Arjovsky et al. 2019, arXiv:1907.02893
Equation       J(theta) = mean_e R_e + lambda * mean_e (dR_e(s z)/ds at s = 1)^2
Normalization  mean over samples in R_e, mean over domains. domainbed: the product of the slopes on even and on odd
               rows instead of the square; unbiased for fresh rows, and it can be negative. The square is larger by
               the variance of the per-sample slopes / n in expectation. lambda means the same in both.
               reduction="sum": the sum over domains, so lambda_mean = m * lambda_sum for the same penalty.
Departures     1. the paper asks for the product of halves with minibatches (domainbed), and sums risks and penalties
                  over domains: reduction="sum" is its penalty beside the mean of the risks; the authors' Colored MNIST
                  script has the mean of both, which is the paper convention
"""

import autograd.numpy as np
from autograd import grad

from ..losses import losses
from .protocol import RECIPES, penalized, statistics
from .settings import DOMAINBED_ADAM, PAPER_PENALTY, PENALTY_RANGE, settings

DEFAULTS = {
    "paper": {**PAPER_PENALTY, "reduction": "mean"},
    "domainbed": {**DOMAINBED_ADAM, "penalty_weight": 100.0, "warm_up": 500, "reduction": "mean"},
}
RANGES = PENALTY_RANGE
# what the checks must not expect: halves are made of even and odd rows; equal domains may share a slope
EXCEPTIONS = {"ordered_samples": True, "vanishes_on_copies": False}


def statistic(model, theta, x, y):
    """dR(s * logits)/ds at s = 1, the slope of the risk in the scale of the logits, ()."""
    z = model.logits(theta, x)
    return grad(lambda s: np.sum(losses(s * z, y)) / len(y))(theta.dtype.type(1))


def halves(model, theta, x, y):
    """The statistic on even rows and on odd rows, (2,); ValueError for fewer than two rows."""
    if len(y) < 2:
        raise ValueError(f"irm: convention='domainbed' needs at least 2 samples a domain, got {len(y)}")
    return np.stack([statistic(model, theta, x[half::2], y[half::2]) for half in (0, 1)])


def distance(phi, reduction="mean"):
    """Mean, or sum, over domains of squares, (m,) -> (), or of the product of both halves, (m,2) -> ()."""
    values = phi**2 if phi.ndim == 1 else phi[:, 0] * phi[:, 1]
    return np.sum(values) / (len(phi) if reduction == "mean" else 1)


STATISTICS = {"paper": statistic, "domainbed": halves}


def penalty(model, theta, domains, *, convention="paper", reduction="mean"):
    """Zero where every domain's risk is stationary in the scale of the logits, ()."""
    settings("irm", DEFAULTS, convention, {"reduction": reduction})
    return distance(statistics(STATISTICS[convention], model, theta, domains, needed=1), reduction)


def irm(model, *, convention="paper", **hyper_parameters):
    """Invariant risk minimization."""
    chosen = settings("irm", DEFAULTS, convention, hyper_parameters)
    of, reduction = STATISTICS[convention], chosen.pop("reduction")
    return penalized("irm", model, of, lambda phi: distance(phi, reduction), RECIPES[convention], **chosen)
