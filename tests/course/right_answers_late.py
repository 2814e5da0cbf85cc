"""Right answers of lessons 10 to 12 in other forms."""

import numpy as np

from minifishr.losses import targets


def solved_by_recursion(tape, inputs):
    def value(slot):
        if slot < len(inputs):
            return inputs[slot]
        fun, args, kwargs, slots = tape[slot]
        return fun(*[value(slots[i]) if i in slots else a for i, a in enumerate(args)], **kwargs)

    return [value(slot) for slot in range(len(tape))]


def filled_from_the_front(tape, inputs):
    values = [*inputs, *[None] * (len(tape) - len(inputs))]
    while (slot := sum(value is not None for value in values)) < len(tape):
        fun, args, kwargs, slots = tape[slot]
        args = dict(enumerate(args)) | {place: values[source] for place, source in slots.items()}
        values[slot] = fun(*[args[place] for place in sorted(args)], **kwargs)
    return tuple(values)


def filled_in_place_of_copies(tape, inputs):
    values = np.empty((len(tape), *np.shape(inputs[0])), np.float32)
    values[: len(inputs)] = inputs
    for slot in range(len(inputs), len(tape)):
        fun, args, kwargs, slots = tape[slot]
        args = list(args)
        for place, source in slots.items():
            args[place] = values[source]
        values[slot] = fun(*args, **kwargs)
    return values


def reachable(uses, output):
    """By a search with a stack, not by going backwards."""
    stack, found = [output], set()
    while stack:
        slot = stack.pop()
        found.add(slot)
        stack.extend(uses[slot])
    return [slot in found for slot in range(len(uses))]


def by_powers(uses, output):
    """A path of some length: powers of the matrix of direct uses."""
    A = np.array([[j in used for j in range(len(uses))] for used in uses], float) + np.eye(len(uses))
    return np.linalg.matrix_power(A, len(uses))[output] > 0


def last_by_search(uses, output):
    found = [max([slot for slot, used in enumerate(uses) if one in used], default=one) for one in range(len(uses))]
    return [*found[:output], len(uses), *found[output + 1 :]]


def last_backwards(uses, output):
    last = {output: len(uses)}
    for slot in reversed(range(len(uses))):
        last.setdefault(slot, slot)
        for one in uses[slot]:
            last.setdefault(one, slot)
    return np.array([last[slot] for slot in range(len(uses))], np.float32)


def shifted_log_odds(p, old, new):
    logit = lambda q: np.log(q) - np.log1p(-q)  # noqa: E731
    return 0.5 + 0.5 * np.tanh((logit(p) + logit(new) - logit(old)) / 2)


def by_the_likelihoods(p, old, new):
    """From P(x | y) up to a factor, in float32."""
    likelihood = np.array([(1 - p) / (1 - old), p / old], np.float32)
    both = likelihood * np.float32([1 - new, new])[:, None]
    return both[1] / both.sum(axis=0)


def least_squares(M):
    q = np.linalg.lstsq(M, np.ones(len(M)), rcond=None)[0]
    return q * bool(np.max(np.abs(M @ q - 1)) < 1e-9)


def from_rows(M):
    """The shortest solution is a combination of the rows: q = M^T c."""
    values, U = np.linalg.eigh(M @ M.T)
    kept = values > 1e-9
    c = U[:, kept] @ (U[:, kept].sum(axis=0) / values[kept])
    return M.T @ c if np.allclose(M @ M.T @ c, 1) else 0 * M[0]


def by_a_difference(u, v, alpha, beta, h=1e-6):
    def risk(s):
        kinds = [(a, c) for a in (1, -1) for c in (1, -1)]
        shares = [(1 - alpha if a > 0 else alpha) * (1 - beta if c > 0 else beta) for a, c in kinds]
        return sum(share * np.log1p(np.exp(-s * (a * u + c * v))) for share, (a, c) in zip(shares, kinds, strict=True))

    return (risk(1 + h) - risk(1 - h)) / (2 * h)


def as_an_array(u, v, alpha, beta):
    """The mean of (p - y) z over rows with label 1, in float32; those with label 0 give the same."""
    z = np.add.outer([u, -u], [v, -v]).astype(np.float32)
    p = 1 / (1 + np.exp(-z))
    return np.float32([1 - alpha, alpha]) @ ((p - 1) * z) @ np.float32([1 - beta, beta])


def in_logarithms(q, R, eta):
    logs = np.log(q) + eta * R
    return np.exp(logs - np.logaddexp.reduce(logs))


LATE = {
    "replay": [solved_by_recursion, filled_from_the_front],
    "needed": [reachable, by_powers],
    "last_uses": [last_by_search, last_backwards],
    "label_targets": [
        lambda y, k: targets(y, len(y), k, np.float32),
        lambda y, k: np.where(y > 0, -1, 1)[:, None] if k == 1 else np.eye(k, dtype=int)[y].tolist(),
    ],
    "label_shift": [shifted_log_odds, by_the_likelihoods],
    "constant_direction": [least_squares, from_rows],
    "two_bit_slope": [by_a_difference, as_an_array],
    "dro_weights": [in_logarithms, lambda q, R, eta: [a / np.sum(b) for b in [q * np.e ** (eta * R)] for a in b]],
}


def full_hessian(a, p):
    """The mean over rows of a Kronecker product, (d,d)."""
    rows = np.column_stack([a, np.ones(len(a))])
    return np.mean([np.kron(np.outer(r, r), np.diag(s) - np.outer(s, s)) for r, s in zip(rows, p, strict=True)], axis=0)


def product_in_float32(a, p, V):
    a, p, V = (array.astype(np.float32) for array in (a, p, V))
    rows = np.hstack([a, np.ones((len(a), 1), np.float32)])
    q = rows @ V
    return np.einsum("ni,nk->ik", rows, p * q - p * np.einsum("nk,nk->n", p, q)[:, None]) / len(a)


def by_a_pair_of_loops(a, p, b, q):
    total = 0.0
    for x, s in zip(a, p, strict=True):
        for y, t in zip(b, q, strict=True):
            total += s * (1 - s) * t * (1 - t) * np.dot(np.append(x, 1), np.append(y, 1)) ** 2
    return total / len(a) / len(b)


def by_all_signs(H, probes):
    """The variance of one probe over all vectors of signs, of each domain and of the mean, over their number."""
    signs = np.array(np.meshgrid(*[[-1, 1]] * H.shape[1])).reshape(H.shape[1], -1).T
    noise = [np.var(signs * (signs @ A), axis=0).sum() for A in [*H, H.mean(axis=0)]]
    return (sum(noise[:-1]) / len(H) + noise[-1]) / probes


LATE |= {
    "hessian_diagonal": [
        lambda a, p: np.diag(full_hessian(a, p)).reshape(-1, p.shape[1]),
        lambda a, p: (
            np.append(np.einsum("nj,nk->jk", a * a, p - p * p), (p - p * p).sum(0, keepdims=True), axis=0).astype(
                np.float32
            )
            / np.float32(len(a))
        ),
    ],
    "hessian_product": [
        lambda a, p, V: sum(
            np.outer(r, (np.diag(s) - np.outer(s, s)) @ (r @ V)) / len(a)
            for r, s in zip(np.column_stack([a, np.ones(len(a))]), p, strict=True)
        ),
        product_in_float32,
    ],
    "row_product": [
        by_a_pair_of_loops,
        lambda a, p, b, q: np.einsum("i,ij,j->", p - p * p, np.square(a @ b.T + 1), q - q * q) / len(p) / len(q),
    ],
    "probe_bias": [
        by_all_signs,
        lambda H, S: sum(
            share * np.sum(A[~np.eye(len(A), dtype=bool)] ** 2)
            for A, share in [*((A, 1 / len(H) / S) for A in H), (H.mean(axis=0), 1 / S)]
        ),
    ],
}


LATE_FORBIDDEN = [
    ("replay", "Expected a list of the slots' values, which may have several shapes, came", filled_in_place_of_copies),
]
