"""Exercises of lesson 4: agreeing gradients."""

import numpy as np

from .draws import numbers, one_of, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question("b", "lesson 1, The reverse pass, by hand"),
    Question(0.25, "lesson 3, V-REx: what lambda multiplies"),
    Question("a", "lesson 2, The definition"),
)


def gradients(draw):
    """The gradients of two to four domains."""
    return {"g": draw(numbers(draw(whole(2, 4)), draw(whole(1, 3))))}


def agreement(g):
    """The mean of <g_e, g_f> over all pairs of domains, (m,d) -> ()."""
    m = len(g)
    return (np.sum(g.sum(axis=0) ** 2) - np.sum(g**2)) / (m * (m - 1))


def quadratics(draw):
    """Two quadratic risks (theta - c)^T H (theta - c) / 2. All numbers are binary fractions: zeros are zeros."""
    S = draw(numbers(2, 2, 2))
    return {
        "theta": draw(numbers(2)),
        "H": S + np.swapaxes(S, 1, 2),
        "c": draw(numbers(2, 2)),
        "a": 2.0 ** -draw(whole(1, 3)),
    }


def fish_bend(theta, H, c, a):
    """The second-order term of Fish's walk, averaged over both orders, -> (2,)."""
    g1, g2 = H[0] @ (theta - c[0]), H[1] @ (theta - c[1])
    return a**2 / 2 * (H[0] @ g2 + H[1] @ g1)


def and_votes(draw):
    """Gradients of two or four domains and a threshold, which shares of votes are often equal to."""
    return {"g": draw(numbers(2 * draw(whole(1, 2)), draw(whole(1, 3)))), "tau": draw(one_of(0.5, 1.0, 0.3, 0.8))}


def and_step(g, tau):
    """AND-mask's step, (m,d) -> (d,)."""
    mask = np.abs(np.sign(g).mean(axis=0)) >= tau
    return mask * g.mean(axis=0) / (1e-10 + mask.mean())


def masked(g, mask, divisor=None):
    """A step with another mask, for wrong answers."""
    return mask * g.mean(axis=0) / (1e-10 + (mask.mean() if divisor is None else divisor))


def sand_votes(draw):
    """Gradients, a threshold that no share of votes is equal to, and a steepness."""
    g = draw(numbers(draw(whole(2, 4)), draw(whole(1, 3))))
    return {"g": g, "tau": draw(whole(1, 9)) / 10 + 0.03, "k": 4.0 ** draw(whole(-2, 2))}


def soft_mask(g, tau, k):
    """SAND-mask's mask, (m,d) -> (d,)."""
    q = np.abs(np.sign(g).mean(axis=0))
    return np.maximum(0, np.tanh(k / g.var(axis=0, ddof=1) * (q - tau)))


def votes(g):
    """|mean_e sign(g_e)|, for wrong answers."""
    return np.abs(np.sign(g).mean(axis=0))


EXERCISES = {
    "agreement": Exercise(
        gradients,
        agreement,
        "the mean of <g_e, g_f> over all pairs e < f of domains, (m,d) -> (). Try it without a loop over pairs",
        (
            "The squared length of the sum of all g_e has every pair twice, and every <g_e, g_e> once.",
            "Subtract the squared lengths of the g_e from that of their sum, and divide by m (m - 1).",
        ),
        {
            "pairs e = f are in there too": lambda g: np.sum(g.mean(axis=0) ** 2),
            "the sum over pairs, not their mean": lambda g: agreement(g) * len(g) * (len(g) - 1) / 2,
            "each pair twice: there are m (m - 1) / 2 pairs": lambda g: 2 * agreement(g),
            "minus the mean: that is IDGM's penalty": lambda g: -agreement(g),
            "the first two domains only": lambda g: g[0] @ g[1],
        },
    ),
    "fish_bend": Exercise(
        quadratics,
        fish_bend,
        "the second-order term of Fish's walk over two quadratic risks, averaged over both orders, -> (2,)",
        (
            "It is a^2 / 2 times the gradient of <g_1, g_2>, with g_e = H_e (theta - c_e).",
            "The gradient of the product is H_1 g_2 + H_2 g_1.",
        ),
        {
            "a^2: the mean over both orders has a^2 / 2": lambda *case: 2 * fish_bend(*case),
            "each Hessian meets its own gradient, not the other domain's": lambda t, H, c, a: (
                a**2 / 2 * sum(A @ A @ (t - b) for A, b in zip(H, c, strict=True))
            ),
            "one order only": lambda t, H, c, a: a**2 * H[1] @ H[0] @ (t - c[0]),
            "the sign: the gradient of <g_1, g_2> is added": lambda *case: -fish_bend(*case),
            "the centers are forgotten": lambda t, H, c, a: fish_bend(t, H, 0 * c, a),
        },
    ),
    "and_step": Exercise(
        and_votes,
        and_step,
        "mask * mean gradient / mean of the mask, (m,d) -> (d,), the mask being 1 where |mean_e sign(g_e)| >= tau; "
        "zeros where it keeps nothing",
        (
            "np.sign, and means over axis 0. The mean of the mask is over coordinates.",
            "Divide by 1e-10 + the mean of the mask: then no case is special.",
        ),
        {
            "> where >= is needed": lambda g, tau: masked(g, votes(g) > tau),
            "not divided by the mean of the mask": lambda g, tau: masked(g, votes(g) >= tau, 1),
            "divided by the sum of the mask, not by its mean": lambda g, tau: masked(
                g, votes(g) >= tau, sum(votes(g) >= tau)
            ),
            "the sign of the mean, not the mean of the signs": lambda g, tau: masked(
                g, np.abs(np.sign(g.mean(0))) >= tau
            ),
            "without the absolute value: a coordinate may also agree downwards": lambda g, tau: masked(
                g, np.sign(g).mean(axis=0) >= tau
            ),
        },
    ),
    "soft_mask": Exercise(
        sand_votes,
        soft_mask,
        "max(0, tanh(k / s * (|mean_e sign(g_e)| - tau))), (m,d) -> (d,), s being the variance over domains with "
        "1 / (m - 1)",
        (
            "np.var has ddof. Where s is 0, k / s is infinite: tanh and max make 1 or 0 of it, as they should.",
            "np.maximum(0, np.tanh(k / g.var(axis=0, ddof=1) * (...))), with the mean of the signs as in AND-mask.",
        ),
        {
            "divided by m, not by m - 1": lambda g, tau, k: np.maximum(
                0, np.tanh(k / g.var(axis=0) * (votes(g) - tau))
            ),
            "max(0, ...) is missing": lambda g, tau, k: np.tanh(k / g.var(axis=0, ddof=1) * (votes(g) - tau)),
            "the standard deviation, not the variance": lambda g, tau, k: np.maximum(
                0, np.tanh(k / g.std(axis=0, ddof=1) * (votes(g) - tau))
            ),
            "the hard mask: AND-mask's": lambda g, tau, k: 1.0 * (votes(g) >= tau),
        },
    ),
}
