"""Exercises of lesson 3: IRM and V-REx."""

from itertools import combinations

import numpy as np

from ..algorithms import irm, vrex
from .draws import network, numbers, whole
from .exercise import Exercise


def some_risks(draw):
    """The risks of two to four domains."""
    return {"R": draw(numbers(draw(whole(2, 4)), low=0))}


def risks_and_gradients(draw):
    """Risks and mean gradients of two or four domains, so that means are exact and zeros are zeros."""
    m, d = 2 * draw(whole(1, 2)), draw(whole(1, 3))
    return {"R": draw(numbers(m, low=0)), "g": draw(numbers(m, d))}


def some_slopes(draw):
    """The slopes of two, four or eight samples: means are exact, and zeros are zeros."""
    return {"s": draw(numbers(2 ** draw(whole(1, 3))))}


def by_pairs(R, g):
    """Var R is the mean over all m^2 pairs of (R_e - R_f)^2 / 2: differentiate that."""
    return np.mean([(R[e] - R[f]) * (g[e] - g[f]) for e in range(len(R)) for f in range(len(R))], axis=0)


def over_halvings(s):
    """The definition: the mean over all ways to halve the samples."""
    halves = [list(half) for half in combinations(range(len(s)), len(s) // 2)]
    return np.mean([s[half].mean() * np.delete(s, half).mean() for half in halves])


RECALL = ()

EXERCISES = {
    "vrex_conventions": Exercise(
        some_risks,
        lambda R: [vrex.distance(R, convention) for convention in ("paper", "domainbed")],
        "V-REx's penalty in the paper convention and in DomainBed's, (m,) -> (2,), from the risks of the domains",
        ("The second is the variance of the risks with 1/m. The paper's is (R_1 - R_2)^2 for m = 2: what factor?",),
        {},
    ),
    "vrex_gradient": Exercise(
        risks_and_gradients,
        by_pairs,
        "the gradient in theta of the variance of the risks (1/m), (m,), (m,d) -> (d,), g being that of each risk",
        ("Differentiate mean_e (R_e - mean R)^2 by the chain rule. The deviations add up to 0, so mean g drops out.",),
        {},
    ),
    "irm_slope": Exercise(
        network,
        irm.statistic,
        "the derivative of the risk of s * logits in s at s = 1, (), in closed form, for a network with one logit",
        ("The loss of sample i has the derivative p_i - y_i in its logit, and s z_i has the derivative z_i in s.",),
        {},
    ),
    "irm_halvings": Exercise(
        some_slopes,
        over_halvings,
        "the mean over all halvings of the samples of (mean s in one half) * (mean s in the other), (n,) -> ()",
        (
            "Each pair i != j is as often in different halves as any other. So it is the mean of s_i s_j over i != j, and "
            "(sum s)^2 has all of these and the squares.",
        ),
        {},
    ),
}
