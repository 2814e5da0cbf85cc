"""Exercises of lesson 3: IRM and V-REx."""

import numpy as np

from .draws import network, numbers, whole
from .exercise import Exercise
from .lesson_1 import AUTOGRAD
from .recall import Question

RECALL = (
    Question("a", "lesson 0, What ERM cannot know"),
    Question("c", "lesson 1, Check a gradient"),
    Question("b", "lesson 2, The definition"),
)


def some_risks(draw):
    """The risks of two to four domains."""
    return {"R": draw(numbers(draw(whole(2, 4)), low=0))}


def vrex_conventions(R):
    """V-REx's penalty in both conventions, (m,) -> (2,)."""
    return np.array([4, 1]) * np.mean((R - R.mean()) ** 2)


def risks_and_gradients(draw):
    """Risks and mean gradients of two to four domains."""
    m, d = draw(whole(2, 4)), draw(whole(1, 3))
    return {"R": draw(numbers(m, low=0)), "g": draw(numbers(m, d))}


def vrex_gradient(R, g):
    """The gradient of the variance of the risks, (m,), (m,d) -> (d,)."""
    return 2 * np.mean((R - R.mean())[:, None] * g, axis=0)


def irm_slope(model, theta, x, y):
    """The derivative of the risk of s * logits in s at s = 1, ()."""
    z = model.logits(theta, x)[:, 0]
    return np.mean((1 / (1 + np.exp(-z)) - y) * z)


def residual(model, theta, x, y):
    """p - y and z, for wrong answers."""
    z = model.logits(theta, x)[:, 0]
    return 1 / (1 + np.exp(-z)) - y, z


def some_slopes(draw):
    """The slopes of two, four or eight samples: means are exact, and zeros are zeros."""
    return {"s": draw(numbers(2 ** draw(whole(1, 3))))}


def irm_halvings(s):
    """The mean over all halvings of the product of both halves' means, (n,) -> ()."""
    return (s.sum() ** 2 - np.sum(s**2)) / (len(s) * (len(s) - 1))


EXERCISES = {
    "vrex_conventions": Exercise(
        some_risks,
        vrex_conventions,
        "V-REx's penalty in the paper convention and in DomainBed's, (m,) -> (2,), from the risks of the domains",
        (
            "The second is the variance of the risks with 1/m. The paper's is (R_1 - R_2)^2 for m = 2.",
            "For m = 2 the variance is (R_1 - R_2)^2 / 4, so the paper's penalty is 4 times the variance, for every m.",
        ),
        {
            "divided by m - 1": lambda R: np.array([4, 1]) * R.var(ddof=1),
            "both are the variance: the paper's is 4 times that": lambda R: np.array([1, 1]) * R.var(),
            "the two are in the other order": lambda R: np.array([1, 4]) * R.var(),
            "the factor is 4 for every m, not m or m^2": lambda R: np.array([len(R) ** 2, 1]) * R.var(),
            "the standard deviation": lambda R: np.array([2, 1]) * R.std(),
        },
    ),
    "vrex_gradient": Exercise(
        risks_and_gradients,
        vrex_gradient,
        "the gradient in theta of the variance of the risks (1/m), (m,), (m,d) -> (d,), g being that of each risk",
        (
            "Differentiate mean_e (R_e - mean R)^2 by the chain rule.",
            "The deviations add up to 0, so that mean g drops out: 2 mean_e (R_e - mean R) g_e.",
        ),
        {
            "the mean risk is not subtracted": lambda R, g: 2 * np.mean(R[:, None] * g, axis=0),
            "the factor 2 of the square is missing": lambda R, g: vrex_gradient(R, g) / 2,
            "the sum over domains: divide by m": lambda R, g: len(R) * vrex_gradient(R, g),
            "divided by m - 1": lambda R, g: vrex_gradient(R, g) * len(R) / (len(R) - 1),
        },
    ),
    "irm_slope": Exercise(
        network,
        irm_slope,
        "the derivative of the risk of s * logits in s at s = 1, (), in closed form, for a network with one logit",
        (
            "The loss of sample i has the derivative p_i - y_i in its logit, and s z_i has the derivative z_i in s.",
            "The mean over samples of (p_i - y_i) z_i, with p = 1 / (1 + exp(-z)).",
        ),
        {
            "z is missing: that is the derivative in a bias": lambda *c: np.mean(residual(*c)[0]),
            "the sum over samples": lambda *c: np.sum(np.prod(residual(*c), axis=0)),
            "the square: that is IRM's penalty": lambda *c: irm_slope(*c) ** 2,
            "y - p: the sign": lambda *c: -irm_slope(*c),
            "shapes (n,1) and (n,): every label meets every logit": lambda *c: np.mean(
                (residual(*c)[0] + c[3])[:, None] * residual(*c)[1][:, None] - c[3] * residual(*c)[1][:, None]
            ),
        },
        banned=AUTOGRAD,
    ),
    "irm_halvings": Exercise(
        some_slopes,
        irm_halvings,
        "the mean over all halvings of the samples of (mean s in one half) * (mean s in the other), (n,) -> ()",
        (
            "Each pair i != j is as often in different halves as any other: it is the mean of s_i s_j over i != j.",
            "(sum s)^2 has all pairs i != j, and the squares. Subtract them, and divide by the number n (n - 1).",
        ),
        {
            "the squares are in there too": lambda s: s.mean() ** 2,
            "one halving only, even and odd": lambda s: s[::2].mean() * s[1::2].mean(),
            "one halving only, first and second half": lambda s: s[: len(s) // 2].mean() * s[len(s) // 2 :].mean(),
            "divided by n^2: there are n (n - 1) pairs": lambda s: irm_halvings(s) * (len(s) - 1) / len(s),
            "the sum over pairs, not their mean": lambda s: irm_halvings(s) * len(s) * (len(s) - 1),
        },
    ),
}
