"""Exercises of lesson 4: agreeing gradients."""

from itertools import combinations

import numpy as np

from ..algorithms import sand_mask
from .draws import numbers, whole
from .exercise import Exercise


def gradients(draw):
    """The gradients of two or four domains: means are exact, and zeros are zeros."""
    return {"g": draw(numbers(2 * draw(whole(1, 2)), draw(whole(1, 3))))}


def quadratics(draw):
    """Two quadratic risks (theta - c)^T H (theta - c) / 2. All numbers are binary fractions: zeros are zeros."""
    S = draw(numbers(2, 2, 2))
    return {
        "theta": draw(numbers(2)),
        "H": S + np.swapaxes(S, 1, 2),
        "c": draw(numbers(2, 2)),
        "a": 2.0 ** -draw(whole(1, 3)),
    }


def and_votes(draw):
    """Gradients of two to four domains and a threshold that no share of votes is equal to."""
    return {"g": draw(numbers(draw(whole(2, 4)), draw(whole(1, 3)))), "tau": draw(whole(1, 9)) / 10 + 0.03}


def sand_votes(draw):
    """Gradients, a threshold and a steepness."""
    return {**and_votes(draw), "k": 4.0 ** draw(whole(-2, 2))}


def over_pairs(g):
    """The definition: pair by pair."""
    return np.mean([a @ b for a, b in combinations(g, 2)])


def walked(theta, H, c, a):
    """Where a gradient step on each of some quadratics leads."""
    for A, center in zip(H, c, strict=True):
        theta = theta - a * A @ (theta - center)
    return theta


def bend(theta, H, c, a):
    """Both walks, averaged, minus the start and the straight part."""
    straight = a * np.einsum("eij,ej->i", H, theta - c)
    return (walked(theta, H, c, a) + walked(theta, H[::-1], c[::-1], a)) / 2 - theta + straight


def and_step(g, tau):
    """Coordinate by coordinate, by counting votes."""
    m, d = g.shape
    kept = [j for j in range(d) if abs(sum(g[:, j] > 0) - sum(g[:, j] < 0)) >= tau * m]
    return np.array([d / len(kept) * g[:, j].mean() if j in kept else 0 for j in range(d)])


RECALL = ()

EXERCISES = {
    "agreement": Exercise(
        gradients,
        over_pairs,
        "the mean of <g_e, g_f> over all pairs e < f of domains, (m,d) -> (), without a loop over pairs",
        ("The squared length of the sum of all g_e has every pair twice, and every <g_e, g_e> once.",),
        {},
    ),
    "fish_bend": Exercise(
        quadratics,
        bend,
        "the second-order term of Fish's walk over two quadratic risks, averaged over both orders, -> (2,)",
        ("It is a^2 / 2 times the gradient of <g_1, g_2>, with g_e = H_e (theta - c_e). Differentiate the product.",),
        {},
    ),
    "and_step": Exercise(
        and_votes,
        and_step,
        "mask * mean gradient / mean of the mask, (m,d) -> (d,), the mask being 1 where |mean_e sign(g_e)| >= tau; "
        "zeros where it keeps nothing",
        (
            "np.sign and means over axis 0. Divide by 1e-10 + the mean of the mask over coordinates: no case is special.",
        ),
        {},
    ),
    "soft_mask": Exercise(
        sand_votes,
        lambda g, tau, k: sand_mask.mask(g, tau=tau, k=k),
        "max(0, tanh(k / s * (|mean_e sign(g_e)| - tau))), (m,d) -> (d,), s being the variance over domains with "
        "1 / (m - 1)",
        ("Where s is 0, k / s is infinite: tanh and max make 1 or 0 of it, as they should. np.var has ddof.",),
        {},
    ),
}
