"""Fishr: make the variances of the per-sample gradients equal across domains.

The gradient variance tracks the diagonal of the Fisher information and so of the Hessian: where it agrees, the domains'
loss landscapes have the same shape.

Source         Ramé, Dancette and Cord 2022, arXiv:2109.02934
Equation       J(theta) = mean_e R_e + lambda * sum_e ||v_e - mean v||^2,  v_e = Var_i(g_i) of domain e
Normalization  v_e is a mean over samples (ddof 0). paper: sum over coordinates and domains, as in the authors' script;
               the article writes the mean over domains. domainbed: mean over both. For the same penalty
               lambda_article = m * lambda_paper, lambda_domainbed = m * d_scope * lambda_paper.
               domainbed with ema: v_e is replaced by the discounted sum v_e + ema * v_e' + ema^2 * v_e'' + ... over
               past steps (a constant v tends to v / (1 - ema)); the past is a constant for the gradient.
Variants       scope="all": the gradients of all layers, not of the classifier alone.
               centered=False: mean squares in the place of variances.
               covariance="full": off the diagonal too; for each of W and b the covariance matrix divided by its number
               of rows, without the block between W and b.
               chunk: rows at once, None for all; the same numbers, with less memory and a second forward pass.
               The authors' script has the middle two as fishr_notcentered and fishr_offdiagonal, but accepts neither.
Departures     1. ddof=1 (unbiased variances) is ours; all sources have ddof=0
"""

import autograd.numpy as np

from ..gradients import divisor_factor, gradient_moments, gradient_variance, per_sample_gradients
from ..losses import per_sample_losses
from .chunks import in_chunks
from .protocol import DOMAINBED, PAPER, descent, deviations, penalized, remembered, statistics
from .settings import DOMAINBED_ADAM, LR_RANGE, PAPER_PENALTY, check_convention, log_uniform, settings, uniform, whole

VARIANT = {"scope": "classifier", "centered": True, "ddof": 0, "covariance": "diagonal", "chunk": None}
DEFAULTS = {
    "paper": {**PAPER_PENALTY, "ema": 0.0, **VARIANT},
    "domainbed": {**DOMAINBED_ADAM, "penalty_weight": 1000.0, "warm_up": 1500, "ema": 0.95, **VARIANT},
}
SLOW = {"warm_up": whole(uniform(0, 5_000)), "ema": uniform(0.9, 0.99)}
RANGES = {**LR_RANGE, "penalty_weight": log_uniform(1, 4), **SLOW}
RECIPES = {"paper": PAPER, "domainbed": DOMAINBED._replace(warm_up_weight=0.0, pooled=True)}


def statistic(model, theta, x, y, *, covariance="diagonal", **variant):
    """The gradient variances of a domain, (d_scope,); with covariance="full" two flat matrices, see above."""
    check_variant(covariance, **variant)
    if covariance == "diagonal":
        return gradient_variance(model, theta, x, y, **variant)
    return full_covariance(model, theta, x, y, **variant)


def full_covariance(model, theta, x, y, scope="classifier", centered=True, ddof=0):
    """The classifier's covariances of W and of b, each divided by its number of rows, flat: (h^2 k^2 + k^2,)."""
    head, w, (a,) = model.head(theta, [x])
    G = per_sample_gradients(head, w, a, y)
    if centered:
        G = G - np.sum(G, axis=0) / len(y)
    parts = [G[:, block] for block in head.blocks.values()]
    return np.concatenate([np.ravel(part.T @ part) / (len(y) * part.shape[1]) for part in parts])


def check_variant(covariance="diagonal", scope="classifier", centered=True, ddof=0):
    """ValueError for a scope or ddof that the full covariance or mean squares do not have."""
    if ddof and not centered:
        raise ValueError(f"fishr: ddof={ddof!r} has no effect with centered=False, whose divisor is n")
    if covariance == "full" and (scope != "classifier" or ddof != 0):
        raise ValueError(f"fishr: covariance='full' needs scope='classifier' and ddof=0, got {scope!r} and {ddof}")


def sums(model, theta, x, y, scope):
    """Summed loss, per-sample gradients and their squares, (1 + 2 d_scope,): what chunks of rows add up."""
    if scope == "classifier":
        model, theta, (x,) = model.head(theta, [x])
    loss = np.sum(per_sample_losses(model, theta, x, y))
    mean, square = gradient_moments(model, theta, x, y)
    return np.concatenate([np.reshape(loss, (1,)), mean * len(y), square * len(y)])


def finish(s, n, ddof, centered):
    """The variances, or mean squares, from sums over n rows, (1 + 2 d_scope,) -> (d_scope,)."""
    mean, square = s[1 : 1 + len(s) // 2] / n, s[1 + len(s) // 2 :] / n
    return (square - mean**2) * divisor_factor(n, ddof) if centered else square


def distance(phi, convention="paper"):
    """Squared deviations of the variances from their mean, summed (paper) or averaged (domainbed), (m,d) -> ()."""
    total = np.sum(deviations(phi) ** 2)
    return total if convention == "paper" else total / phi.size


def discounted(model, theta, domains, *, ema=0.0, memory=0.0, **variant):
    """What is compared: the variances of all domains + ema * memory, (m,d_scope); the memory of the next step.

    memory is what this was at the step before, 0 at the first, and a constant for the gradient; variant as above.
    """
    settings("fishr", DEFAULTS, "paper", {"ema": ema} | {key: variant[key] for key in VARIANT if key in variant})
    phi = statistics(lambda *a: statistic(*a, **variant), model, theta, domains)
    if np.shape(memory) not in ((), phi.shape):
        raise ValueError(f"fishr: memory {np.shape(memory)} of other domains or parameters, expected {phi.shape}")
    return remembered("fishr", ema, memory, phi)


def penalty(model, theta, domains, *, convention="paper", ema=0.0, memory=0.0, **variant):
    """Zero exactly when all gradient variances are equal, (); with ema and memory, see `discounted`, their sums."""
    check_convention("fishr", convention)
    return distance(discounted(model, theta, domains, ema=ema, memory=memory, **variant), convention)


def fishr(model, *, convention="paper", **hyper_parameters):
    """Invariant gradient variances."""
    chosen = settings("fishr", DEFAULTS, convention, hyper_parameters)
    variant = {name: chosen.pop(name) for name in VARIANT}
    chunk = variant.pop("chunk")
    check_variant(**variant)
    if chunk:
        return in_chunks_of(chunk, model, convention, variant, chosen)
    of, apart = (lambda *where: statistic(*where, **variant)), (lambda phi: distance(phi, convention))
    options = {"joint": joint_statistics(variant), "scope": variant["scope"], **chosen}
    return penalized("fishr", model, of, apart, RECIPES[convention], **options)


def joint_statistics(variant):
    """The variances of m domains of as many rows each at once, where it is the classifier's, or None."""
    if variant["covariance"] != "diagonal" or variant["scope"] != "classifier":
        return None
    centered, ddof = variant["centered"], variant["ddof"]
    return lambda head, w, x, y, m: gradient_variance(head, w, x, y, "all", ddof, centered, m=m)


def in_chunks_of(chunk, model, convention, variant, chosen):
    """The same algorithm with at most `chunk` rows at once."""
    if variant["covariance"] == "full":
        raise ValueError(f"fishr: chunk={chunk} needs covariance='diagonal', got 'full'")
    recipe = RECIPES[convention]
    of = lambda *where: sums(*where, scope=variant["scope"])  # noqa: E731
    end = lambda s, n: finish(s, n, variant["ddof"], variant["centered"])  # noqa: E731
    options = {"chunk": chunk, "ema": chosen.pop("ema"), "pooled": recipe.pooled}
    direction = in_chunks("fishr", model, of, end, lambda phi: distance(phi, convention), **options)
    return descent("fishr", model, direction, recipe, needed=2, **chosen)
