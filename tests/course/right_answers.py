"""Right answers in other forms, the first one a second derivation, and right numbers got in forbidden ways."""

import numpy as np

from minifishr import per_sample_gradients
from minifishr.gradients import inputs_and_deltas


def outer(a, delta):
    return np.stack([np.outer(one, other).ravel() for one, other in zip(a, delta, strict=True)])


def norms_in_float32(model, theta, x, y):
    pairs = inputs_and_deltas(model, theta.astype(np.float32), x.astype(np.float32), y)
    return np.sum([(d * d).sum(1) * ((a * a).sum(1) + 1) for a, d in pairs], axis=0)


def norms_row_by_row(model, theta, x, y):
    one = [inputs_and_deltas(model, theta, x[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    return [sum(np.sum(np.outer(a, d) ** 2) + np.sum(d**2) for a, d in pairs) for pairs in one]


def welford(a, delta):
    """The variance by Welford's recursion, one row at a time."""
    mean = total = np.zeros(a.shape[1] * delta.shape[1])
    for n, (one, other) in enumerate(zip(a, delta, strict=True), 1):
        g = np.outer(one, other).ravel()
        step = g - mean
        mean = mean + step / n
        total = total + step * (g - mean)
    return total / len(a)


def in_float32(form):
    return lambda *arrays: form(*(array.astype(np.float32) for array in arrays))


RIGHT = {
    "outer_products": [outer, lambda a, d: np.einsum("ni,nj->nij", a, d).reshape(len(a), -1).tolist()],
    "second_moment": [
        lambda a, d: sum(np.outer(one, other).ravel() ** 2 for one, other in zip(a, d, strict=True)) / len(a),
        in_float32(lambda a, d: np.einsum("ni,nj->ij", a**2, d**2).ravel() / len(a)),
    ],
    "variance": [welford, in_float32(lambda a, d: ((a * a).T @ (d * d) / len(a) - (a.T @ d / len(a)) ** 2).ravel())],
    "last_delta": [
        lambda m, t, x, y: inputs_and_deltas(m, t, x, y)[-1][1],
        lambda m, t, x, y: (0.5 + np.tanh(m.logits(t, x) / 2) / 2 - y.reshape(-1, 1)).astype(np.float32),
    ],
    "norms": [norms_row_by_row, norms_in_float32],
}
FORBIDDEN = [
    ("second_moment", "MB at a time", lambda a, d: np.mean(outer(a, d) ** 2, axis=0)),
    ("variance", "MB at a time", lambda a, d: outer(a, d).var(axis=0)),
    ("norms", "calls per_sample_gradients", lambda *case: np.sum(per_sample_gradients(*case) ** 2, axis=1)),
    (
        "norms",
        "MB at a time",
        lambda *case: sum(np.sum(outer(a, d) ** 2, axis=1) + np.sum(d**2, axis=1) for a, d in inputs_and_deltas(*case)),
    ),
]
