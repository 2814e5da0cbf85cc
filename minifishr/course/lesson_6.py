"""Exercises of lesson 6: Fishr."""

import autograd.numpy as np
import numpy as onp
from autograd import grad

from ..algorithms import fishr
from ..mlp import MLP
from .draws import numbers, whole
from .exercise import Exercise


def domains_gradients(draw):
    """A list of the per-sample gradients (n_e,d) of two or three domains, with unequal numbers of rows."""
    d = draw(whole(1, 2))
    return {"G": [draw(numbers(draw(whole(1, 3)), d)) for _ in range(draw(whole(2, 3)))]}


def fishr_paper(G):
    """By pairs: (1/m) sum_{e<f} ||v_e - v_f||^2."""
    v = [onp.var(one, axis=0) for one in G]
    return sum(onp.sum((one - other) ** 2) for one in v for other in v) / (2 * len(v))


def variances_and_slopes(draw):
    """Gradient variances of domains, and their derivatives in theta."""
    m, s, d = draw(whole(2, 3)), draw(whole(1, 2)), draw(whole(1, 2))
    return {"v": draw(numbers(m, s, low=0)), "J": draw(numbers(m, s, d))}


def fishr_gradient(v, J):
    """The derivative at 0 of the penalty of v + J t, in which the mean moves too."""
    return grad(lambda t: fishr.distance(v + np.sum(J * t, axis=2)))(onp.zeros(J.shape[2]))


def variances_of_steps(draw):
    """Gradient variances of all steps, and the factor of the moving sum."""
    t, m, s = draw(whole(1, 3)), draw(whole(2, 3)), draw(whole(1, 2))
    return {"v": draw(numbers(t, m, s, low=0)), "ema": draw(whole(0, 3)) / 4}


def fishr_domainbed(v, ema):
    """The recursion, step by step, and the mean over pairs of domains and coordinates."""
    memory = onp.zeros(v.shape[1:])
    for now in v:
        memory = ema * memory + now
    return onp.mean((memory[:, None] - memory[None]) ** 2) / 2


def weights(draw):
    """A paper's lambda, domains, features, logits and the factor of the moving sum."""
    sizes = {"m": draw(whole(2, 4)), "h": draw(whole(1, 4)), "k": draw(whole(1, 3))}
    return {"penalty_weight": draw(whole(1, 20)) * 100.0, **sizes, "ema": draw(whole(0, 3)) / 4}


def translated_lambda(penalty_weight, m, h, k, ema):
    """From the gradients of both distances in the newest variances, the past being a constant."""
    v = onp.cos(onp.arange(m * MLP((h, k)).d)).reshape(m, -1)
    past = ema / (1 - ema) * v
    paper, other = (grad(f)(v) for f in (fishr.distance, lambda v: fishr.distance(past + v, "domainbed")))
    return penalty_weight * onp.sum(paper**2) / onp.sum(paper * other)


RECALL = ()

EXERCISES = {
    "fishr_paper": Exercise(
        domains_gradients,
        fishr_paper,
        "Fishr's penalty, one number: the squared deviations of the domains' gradient variances (divided by n) from "
        "their mean over domains, summed over domains and coordinates",
        ("v is the array (m,d) of G_e.var(axis=0). Every domain counts the same in the mean, whatever its n.",),
        {},
    ),
    "fishr_gradient": Exercise(
        variances_and_slopes,
        fishr_gradient,
        "the gradient (d,) of sum_e ||v_e - mean v||^2 in theta, from v (m,s) and its derivatives J (m,s,d)",
        (
            "Hold the mean constant: what is left is the chain rule for sum_e ||v_e - c||^2, 2 (v - c) times J, summed "
            "over domains and coordinates.",
        ),
        {},
    ),
    "fishr_domainbed": Exercise(
        variances_of_steps,
        fishr_domainbed,
        "DomainBed's penalty after the last step, one number: the mean over domains and coordinates of the squared "
        "deviations of M from its mean over domains, M = sum over steps of ema^(age) v, the last step having age 0",
        (
            "M is (m,s): start with zeros, and for each step M = ema * M + v[step]. Then the mean in the place of the sum.",
        ),
        {},
    ),
    "translated_lambda": Exercise(
        weights,
        translated_lambda,
        "the lambda of the domainbed convention whose penalty has the same gradient as the paper's with "
        "penalty_weight, for m domains, h features, k logits, and variances that no longer change",
        (
            "A mean over domains and (h + 1) k coordinates is the sum divided by their number. The memory is "
            "1 / (1 - ema) times as large as v, but only the newest v has a gradient.",
        ),
        {},
    ),
}
