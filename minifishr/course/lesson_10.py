"""Exercises of lesson 10: when invariance fails."""

import numpy as np

from .draws import numbers, one_of, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question(85, "lesson 0, What 75 %, 85 % and 10 % mean"),
    Question("c", "lesson 3, Break it: a penalty of zero and no invariance"),
    Question(0.3, "lesson 7, When matching hurts"),
)


def prediction_and_shares(draw):
    """Probabilities of label 1, and the shares of ones before and after."""
    p = draw(whole(1, 9, draw(whole(1, 3)))) / 10
    return {"p": p, "old": draw(one_of(0.5, 0.2, 0.8)), "new": draw(one_of(0.5, 0.2, 0.8, 0.9))}


def label_shift(p, old, new):
    """P(y = 1 | x) after the share of ones has moved, (n,) -> (n,)."""
    one, zero = p * new / old, (1 - p) * (1 - new) / (1 - old)
    return one / (one + zero)


def from_odds(odds):
    """The probability that has some odds."""
    return odds / (1 + odds)


def means_of_domains(draw):
    """The means of one to three domains in one to three features, (m,h)."""
    return {"M": draw(numbers(draw(whole(1, 3)), draw(whole(1, 3))))}


def constant_direction(M):
    """The shortest q (h,) with M q = 1 in all rows of M (m,h); zeros where there is none."""
    q = np.linalg.pinv(M) @ np.ones(len(M))
    return q if np.allclose(M @ q, 1) else np.zeros(M.shape[1])


def one_column_only(M):
    """M q = 1 by the first feature alone, where it is not zero, for a wrong answer."""
    return np.where(np.arange(M.shape[1]) == 0, 1 / M[0, 0] if M[0, 0] else 0, 0)


def two_bits(draw):
    """Weights of shape and color, and the shares of rows in which each is wrong."""
    shares = {"alpha": draw(whole(1, 5)) / 10, "beta": draw(whole(1, 9)) / 10}
    return {"u": draw(whole(-4, 4)) / 2, "v": draw(whole(-4, 4)) / 2, **shares}


def two_bit_slope(u, v, alpha, beta):
    """IRM's slope for the logit u x_1 + v x_2, with x_1 and x_2 wrong in shares alpha and beta, -> ()."""
    slope = 0.0
    for first, share in ((1, 1 - alpha), (-1, alpha)):
        for second, part in ((1, 1 - beta), (-1, beta)):
            t = first * u + second * v  # the logit times the sign of the label
            slope -= share * part * t / (1 + np.exp(t))
    return slope


def each_on_its_own(u, v, alpha, beta):
    """The slopes of two predictors with one bit each, added up, for a wrong answer."""
    return two_bit_slope(u, 0.0, alpha, beta) + two_bit_slope(0.0, v, alpha, beta)


def without_logit(u, v, alpha, beta):
    """The mean of (p - y) times the label's sign, for a wrong answer."""
    pairs = [(u + v, (1 - alpha) * (1 - beta)), (u - v, (1 - alpha) * beta)]
    pairs += [(v - u, alpha * (1 - beta)), (-u - v, alpha * beta)]
    return -sum(share / (1 + np.exp(t)) for t, share in pairs)


def weights_and_risks(draw):
    """The weights and risks of two to four groups, and a rate."""
    m = draw(whole(2, 4))
    return {"q": draw(numbers(m, low=1)), "R": draw(numbers(m, low=0)), "eta": draw(one_of(0.5, 1.0, 0.1))}


def dro_weights(q, R, eta):
    """GroupDRO's next weights, (m,), (m,), () -> (m,)."""
    q = q * np.exp(eta * R)
    return q / q.sum()


EXERCISES = {
    "label_shift": Exercise(
        prediction_and_shares,
        label_shift,
        "P(y = 1 | x) in a domain with the share `new` of ones, from that in a domain with the share `old`, P(x | y) "
        "being the same, (n,), (), () -> (n,)",
        (
            "Bayes: P(y | x) is proportional to P(x | y) P(y). So each of P(1 | x), P(0 | x) is multiplied by the "
            "ratio of its shares, and then both are divided by their sum.",
            "one = p new / old, zero = (1 - p) (1 - new) / (1 - old), and the answer is one / (one + zero).",
        ),
        {
            "p times new / old: that is no probability yet": lambda p, old, new: p * new / old,
            "the odds are multiplied by new / old: the zeros' share changes too": lambda p, old, new: from_odds(
                p / (1 - p) * new / old
            ),
            "the other way round: old and new are exchanged": lambda p, old, new: label_shift(p, new, old),
            "the difference of the shares is added": lambda p, old, new: p + new - old,
            "as if old were one half": lambda p, old, new: label_shift(p, 0.5, new),
        },
    ),
    "constant_direction": Exercise(
        means_of_domains,
        constant_direction,
        "the shortest q (h,) with M q = (1, ..., 1), for M (m,h) with the means of m domains as rows; zeros where no q "
        "has that",
        (
            "The pseudo-inverse gives the shortest solution of a linear system. Look whether it is one.",
            "q = np.linalg.pinv(M) @ np.ones(m); return it if np.allclose(M @ q, 1), else np.zeros(h).",
        ),
        {
            "the least squares solution, though M q is not 1: look at M q": lambda M: (
                np.linalg.pinv(M) @ np.ones(len(M))
            ),
            "of length 1: then M q is constant, but not 1": lambda M: (
                constant_direction(M) / max(np.linalg.norm(constant_direction(M)), 1e-12)
            ),
            "right for the mean of the domains only": lambda M: (
                M.mean(axis=0) / max(np.sum(M.mean(axis=0) ** 2), 1e-12)
            ),
            "right for the first domain only": lambda M: constant_direction(M[:1]),
            "the first feature alone, which is not the shortest": one_column_only,
        },
    ),
    "two_bit_slope": Exercise(
        two_bits,
        two_bit_slope,
        "the derivative of the logistic risk of s z in s at s = 1, (), for z = u x_1 + v x_2; x_1 and x_2 are the sign "
        "of the label, turned over in the shares alpha and beta of the rows, independently of each other",
        (
            "There are four kinds of rows: each bit is right or wrong. With t = z times the label's sign, a row's loss "
            "is log(1 + exp(-s t)).",
            "Its slope is -t / (1 + exp(t)). Both right: t = u + v with the share (1 - alpha) (1 - beta); x_2 wrong: "
            "t = u - v with (1 - alpha) beta; and so on. Sum the shares times the slopes.",
        ),
        {
            "alpha and beta are the shares of wrong rows, not of right ones": lambda u, v, alpha, beta: two_bit_slope(
                u, v, 1 - alpha, 1 - beta
            ),
            "alpha and beta are exchanged": lambda u, v, alpha, beta: two_bit_slope(u, v, beta, alpha),
            "each bit on its own: z is the sum of both": each_on_its_own,
            "the factor z is missing": without_logit,
            "p where p - y belongs: the sign of the exponent": lambda u, v, alpha, beta: (
                -two_bit_slope(-u, -v, alpha, beta)
            ),
        },
    ),
    "dro_weights": Exercise(
        weights_and_risks,
        dro_weights,
        "GroupDRO's next weights of m groups, from those before, the groups' risks and the rate eta: "
        "q_e exp(eta R_e), divided by their sum, (m,), (m,), () -> (m,)",
        (
            "Two steps: multiply each weight by exp(eta times its risk), then make the sum 1.",
            "q = q * np.exp(eta * R); return q / q.sum().",
        ),
        {
            "not divided by the sum": lambda q, R, eta: q * np.exp(eta * R),
            "the weights before are forgotten": lambda q, R, eta: dro_weights(np.ones(len(q)), R, eta),
            "a larger risk gets less weight: the sign": lambda q, R, eta: dro_weights(q, -R, eta),
            "added, where it is multiplied": lambda q, R, eta: (q + eta * R) / np.sum(q + eta * R),
            "eta is left out": lambda q, R, eta: dro_weights(q, R, 1.0),
        },
    ),
}
