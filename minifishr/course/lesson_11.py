"""Exercises of lesson 11: matching Hessians."""

import numpy as np

from .draws import numbers, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question("b", "lesson 5, Two matrices with the labels of the model, or none"),
    Question(4, "lesson 6, What lambda means"),
    Question(1 / 64, "lesson 3, How much of IRM is noise?"),
)


def shares(draw, n, k):
    """Probabilities of k classes in n rows."""
    counts = draw(whole(1, 4, n, k))
    return counts / counts.sum(axis=1, keepdims=True)


def features_and_probabilities(draw):
    """Features (n,h) and probabilities (n,k) of one domain."""
    n, k = draw(whole(1, 3)), draw(whole(2, 3))
    return {"a": draw(numbers(n, draw(whole(1, 2)))), "p": shares(draw, n, k)}


def with_a_direction(draw):
    """The same and a direction V in the classifier's W and, below, b."""
    case = features_and_probabilities(draw)
    return {**case, "V": draw(numbers(case["a"].shape[1] + 1, case["p"].shape[1]))}


def wide_features():
    """A classifier with 604 parameters, whose Hessian has 2.9 MB."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 40)
    return {"a": rng.normal(size=(40, 150)), "p": p, "V": rng.normal(size=(151, 4))}


def two_domains(draw):
    """Features and probabilities of label 1 of two domains, for one logit."""
    n, m, h = draw(whole(1, 3)), draw(whole(1, 3)), draw(whole(1, 2))
    case = {"a": draw(numbers(n, h)), "p": draw(whole(1, 9, n)) / 10}
    return {**case, "b": draw(numbers(m, h)), "q": draw(whole(1, 9, m)) / 10}


def wide_domains():
    """Two classifiers with 401 parameters, whose Hessians have 1.3 MB each."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 400))
    p, q = rng.uniform(size=(2, 30))
    return {"a": a, "p": p, "b": b, "q": q}


def hessians(draw):
    """The Hessians of two or three domains (m,d,d), and a number of probes."""
    m, d = draw(whole(2, 3)), draw(whole(1, 3))
    A = draw(numbers(m, d, d))
    return {"H": (A + np.swapaxes(A, 1, 2)) / 2, "probes": int(draw(whole(1, 4)))}


def with_ones(a):
    """Features and a 1 at the end of each row, which belongs to the bias."""
    return np.column_stack([a, np.ones(len(a))])


def hessian_diagonal(a, p):
    """The diagonal of the classifier's Hessian, (n,h), (n,k) -> (h+1,k); the last row is the bias's."""
    rows = np.column_stack([a, np.ones(len(a))])
    return (rows**2).T @ (p * (1 - p)) / len(a)


def hessian_product(a, p, V):
    """The classifier's Hessian times V, (n,h), (n,k), (h+1,k) -> (h+1,k)."""
    rows = np.column_stack([a, np.ones(len(a))])
    q = rows @ V  # how the logits move
    moved = p * (q - np.sum(p * q, axis=1, keepdims=True))  # how the probabilities move
    return rows.T @ moved / len(a)


def row_product(a, p, b, q):
    """tr(H_e H_f) of two domains' classifiers with one logit, from rows, (n,h), (n,), (m,h), (m,) -> ()."""
    s, t = p * (1 - p), q * (1 - q)
    return s @ (a @ b.T + 1) ** 2 @ t / (len(a) * len(b))


def probe_bias(H, probes):
    """By how much squared noise makes Hutchinson's penalty too large in expectation, (m,d,d), () -> ()."""
    mean = H.mean(axis=0)
    everything = [np.sum(one**2) - np.sum(np.diag(one) ** 2) for one in [*H, mean]]
    return (np.mean(everything[:-1]) + everything[-1]) / probes


def off_diagonal(A):
    """The sum of squares off the diagonal, for wrong answers."""
    return np.sum((A - np.diag(np.diag(A))) ** 2)


EXERCISES = {
    "hessian_diagonal": Exercise(
        features_and_probabilities,
        hessian_diagonal,
        "the diagonal of the Hessian of the mean cross-entropy in a classifier's W and, as a last row, b, from the "
        "features a and the softmax probabilities p, (n,h), (n,k) -> (h+1,k)",
        (
            "The logits are linear in W and b, so only the loss's own curvature is left: p_k (1 - p_k) in logit k.",
            "Entry (j,k) is the mean over rows of a_j^2 p_k (1 - p_k); the bias has a_j = 1. Both are one product.",
        ),
        {
            "p squared: the curvature in a logit is p (1 - p)": lambda a, p: (with_ones(a) ** 2).T @ p**2 / len(a),
            "the features are not squared": lambda a, p: with_ones(a).T @ (p * (1 - p)) / len(a),
            "the sum over rows: divide by n": lambda a, p: hessian_diagonal(a, p) * len(a),
            "the bias's row is missing": lambda a, p: hessian_diagonal(a, p)[:-1],
            "a product of means, not the mean of products": lambda a, p: np.outer(
                (with_ones(a) ** 2).mean(axis=0), (p * (1 - p)).mean(axis=0)
            ),
        },
    ),
    "hessian_product": Exercise(
        with_a_direction,
        hessian_product,
        "the classifier's Hessian times a direction V, (n,h), (n,k), (h+1,k) -> (h+1,k), without any array of shape "
        "(d,d), d = (h+1) k",
        (
            "Along V the logits of row i move by q_i = (a_i, 1) V, and the gradient's factor p_i by S_i q_i with "
            "S_i = diag p_i - p_i p_i^T.",
            "q = rows @ V; moved = p * (q - (p * q).sum(axis=1, keepdims=True)); rows.T @ moved / n, rows = (a, 1).",
        ),
        {
            "the diagonal of S alone: p p^T is missing": lambda a, p, V: (
                with_ones(a).T @ (p * (with_ones(a) @ V)) / len(a)
            ),
            "p (1 - p) for S: classes are not independent": lambda a, p, V: (
                with_ones(a).T @ (p * (1 - p) * (with_ones(a) @ V)) / len(a)
            ),
            "the Hessian's diagonal times V, entry by entry": lambda a, p, V: hessian_diagonal(a, p) * V,
            "the sum over rows: divide by n": lambda a, p, V: hessian_product(a, p, V) * len(a),
            "the bias does not move the logits here": lambda a, p, V: hessian_product(
                a, p, V * (np.arange(len(V)) < len(V) - 1)[:, None]
            ),
        },
        large=(wide_features, 1_000_000),
    ),
    "row_product": Exercise(
        two_domains,
        row_product,
        "tr(H_e H_f), the sum of the products of all entries of two domains' classifier Hessians (one logit, W and b), "
        "from features a, b and probabilities p, q of label 1, (n,h), (n,), (m,h), (m,) -> (), without any array of "
        "shape (h+1,h+1)",
        (
            "H_e is the mean over rows of s_i r_i r_i^T with r_i = (a_i, 1) and s_i = p_i (1 - p_i), and "
            "tr(r r^T u u^T) = (r . u)^2.",
            "The mean over all pairs of rows of s_i t_j (a_i . b_j + 1)^2: s @ (a @ b.T + 1) ** 2 @ t / (n m).",
        ),
        {
            "the bias is missing: a_i . b_j + 1": lambda a, p, b, q: (
                (p * (1 - p)) @ (a @ b.T) ** 2 @ (q * (1 - q)) / (len(a) * len(b))
            ),
            "the inner products are not squared": lambda a, p, b, q: (
                (p * (1 - p)) @ (a @ b.T + 1) @ (q * (1 - q)) / (len(a) * len(b))
            ),
            "p in the place of p (1 - p)": lambda a, p, b, q: p @ (a @ b.T + 1) ** 2 @ q / (len(a) * len(b)),
            "the sum over pairs, not their mean": lambda a, p, b, q: row_product(a, p, b, q) * len(a) * len(b),
            "the diagonals only": lambda a, p, b, q: np.sum(
                hessian_diagonal(a, p[:, None]) * hessian_diagonal(b, q[:, None])
            ),
        },
        large=(wide_domains, 600_000),
    ),
    "probe_bias": Exercise(
        hessians,
        probe_bias,
        "the expectation of mean_e ||D_e - D||^2 minus its exact value, D_e being estimated by a mean of `probes` "
        "products v * (H_e v) with random signs v, and D that of the mean Hessian in the same way, with probes of its "
        "own, (m,d,d), () -> ()",
        (
            "v_i (H v)_i = H_ii + sum over j != i of H_ij v_i v_j. Its mean is H_ii, and its variance the sum over "
            "j != i of H_ij^2.",
            "Independent variances add: (1 / probes) (mean_e sum_{i != j} H_e,ij^2 + sum_{i != j} (mean H)_ij^2).",
        ),
        {
            "the diagonal has no variance: only what is off it": lambda H, S: (
                (np.mean([np.sum(A**2) for A in H]) + np.sum(H.mean(axis=0) ** 2)) / S
            ),
            "the noise of the mean Hessian's own estimate is missing": lambda H, S: (
                np.mean([off_diagonal(A) for A in H]) / S
            ),
            "not divided by the number of probes": lambda H, S: probe_bias(H, 1),
            "the sum over domains, not their mean": lambda H, S: (
                (sum(off_diagonal(A) for A in H) + off_diagonal(H.mean(axis=0))) / S
            ),
            "divided by the square of the number of probes": lambda H, S: probe_bias(H, S**2),
        },
    ),
}
