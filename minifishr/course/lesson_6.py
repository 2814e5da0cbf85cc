"""Exercises of lesson 6: Fishr."""

import numpy as np

from .draws import numbers, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question("b", "lesson 5, Two matrices with the labels of the model, or none"),
    Question(1, "lesson 2, Moments without storage"),
    Question(1, "lesson 3, Break it: a penalty of zero and no invariance"),
)


def domains_gradients(draw):
    """A list of the per-sample gradients (n_e,d) of two or three domains, with unequal numbers of rows."""
    d = draw(whole(1, 2))
    return {"G": [draw(numbers(draw(whole(1, 3)), d)) for _ in range(draw(whole(2, 3)))]}


def fishr_paper(G):
    """Fishr's penalty from the per-sample gradients of the domains, [(n_e,d), ...] -> ()."""
    v = np.array([one.var(axis=0) for one in G])
    return np.sum((v - v.mean(axis=0)) ** 2)


def distance(v):
    """The summed squared deviations of rows (m,d) from their mean, for wrong answers."""
    return np.sum((v - np.mean(v, axis=0)) ** 2)


def pooled(G):
    """Fishr's penalty with deviations from the variance of all rows, for wrong answers."""
    return sum(np.sum((one.var(axis=0) - np.concatenate(G).var(axis=0)) ** 2) for one in G)


def variances_and_slopes(draw):
    """Gradient variances of domains, and their derivatives in theta."""
    m, s, d = draw(whole(2, 3)), draw(whole(1, 2)), draw(whole(1, 2))
    return {"v": draw(numbers(m, s, low=0)), "J": draw(numbers(m, s, d))}


def fishr_gradient(v, J):
    """The gradient of the paper's penalty in theta, (m,s), (m,s,d) -> (d,)."""
    return 2 * np.einsum("es,esd->d", v - v.mean(axis=0), J)


def variances_of_steps(draw):
    """Gradient variances of all steps, and the factor of the moving sum."""
    t, m, s = draw(whole(1, 3)), draw(whole(2, 3)), draw(whole(1, 2))
    return {"v": draw(numbers(t, m, s, low=0)), "ema": draw(whole(0, 3)) / 4}


def fishr_domainbed(v, ema):
    """DomainBed's penalty after the last step, (t,m,s), () -> ()."""
    age = np.arange(len(v))[::-1]
    M = np.einsum("t,tms->ms", ema**age, v)
    return np.mean((M - M.mean(axis=0)) ** 2)


def weights(draw):
    """A paper's lambda, domains, features, logits and the factor of the moving sum."""
    sizes = {"m": draw(whole(2, 4)), "h": draw(whole(1, 4)), "k": draw(whole(1, 3))}
    return {"penalty_weight": draw(whole(1, 20)) * 100.0, **sizes, "ema": draw(whole(0, 3)) / 4}


def translated_lambda(penalty_weight, m, h, k, ema):
    """The lambda of the domainbed convention whose penalty has the gradient of the paper's."""
    return penalty_weight * m * (h + 1) * k * (1 - ema)


EXERCISES = {
    "fishr_paper": Exercise(
        domains_gradients,
        fishr_paper,
        "Fishr's penalty, one number: the squared deviations of the domains' gradient variances (divided by n) from "
        "their mean over domains, summed over domains and coordinates",
        (
            "First one variance a domain: v is the array (m,d) of G_e.var(axis=0).",
            "Then np.sum((v - v.mean(axis=0)) ** 2). Every domain counts the same in the mean, whatever its n.",
        ),
        {
            "divided by n - 1": lambda G: distance([one.var(axis=0, ddof=1) for one in G]),
            "the mean of squares, not the variance": lambda G: distance([np.mean(one**2, axis=0) for one in G]),
            "the mean over domains, not the sum": lambda G: fishr_paper(G) / len(G),
            "deviations from the variance of all rows together": pooled,
            "the mean gradients, not their variances: that is IGA": lambda G: distance([one.mean(0) for one in G]),
        },
    ),
    "fishr_gradient": Exercise(
        variances_and_slopes,
        fishr_gradient,
        "the gradient (d,) of sum_e ||v_e - mean v||^2 in theta, from v (m,s) and its derivatives J (m,s,d)",
        (
            "Hold the mean constant: what is left is the chain rule for sum_e ||v_e - c||^2.",
            "2 (v - mean v) times J, summed over domains and coordinates: np.einsum('es,esd->d', ...).",
        ),
        {
            "the mean is not subtracted": lambda v, J: 2 * np.einsum("es,esd->d", v, J),
            "the factor 2 of the square is missing": lambda v, J: fishr_gradient(v, J) / 2,
            "the mean over domains, not the sum": lambda v, J: fishr_gradient(v, J) / len(v),
            "the mean over coordinates, not over domains, is subtracted": lambda v, J: (
                2 * np.einsum("es,esd->d", v - v.mean(axis=1, keepdims=True), J)
            ),
        },
    ),
    "fishr_domainbed": Exercise(
        variances_of_steps,
        fishr_domainbed,
        "DomainBed's penalty after the last step, one number: the mean over domains and coordinates of the squared "
        "deviations of M from its mean over domains, M = sum over steps of ema^(age) v, the last step having age 0",
        (
            "M is (m,s): start with zeros, and for each step M = ema * M + v[step].",
            "Then np.mean((M - M.mean(axis=0)) ** 2): the mean in the place of the paper's sum.",
        ),
        {
            "the sum, not the mean": lambda v, ema: fishr_domainbed(v, ema) * v[0].size,
            "a moving mean, (1 - ema) v: here it is a sum": lambda v, ema: (1 - ema) ** 2 * fishr_domainbed(v, ema),
            "the first step has age 0, not the last": lambda v, ema: fishr_domainbed(v[::-1], ema),
            "the last step only: the memory is missing": lambda v, ema: fishr_domainbed(v[-1:], ema),
            "the sum over domains, the mean over coordinates": lambda v, ema: fishr_domainbed(v, ema) * len(v[0]),
        },
    ),
    "translated_lambda": Exercise(
        weights,
        translated_lambda,
        "the lambda of the domainbed convention whose penalty has the same gradient as the paper's with "
        "penalty_weight, for m domains, h features, k logits, and variances that no longer change",
        (
            "A mean over domains and (h + 1) k coordinates is the sum divided by their number.",
            "The memory is 1 / (1 - ema) times as large as v, but only the newest v has a gradient.",
        ),
        {
            "the bias has a gradient too: h + 1": lambda w, m, h, k, ema: w * m * h * k * (1 - ema),
            "the memory is missing": lambda w, m, h, k, ema: w * m * (h + 1) * k,
            "the same penalty, not the same gradient": lambda w, m, h, k, ema: w * m * (h + 1) * k * (1 - ema) ** 2,
            "divided where one multiplies": lambda w, m, h, k, ema: w / (m * (h + 1) * k * (1 - ema)),
            "the memory multiplies where it divides": lambda w, m, h, k, ema: w * m * (h + 1) * k / (1 - ema),
        },
    ),
}
