"""The same gradient from a few rows at a time, so that memory does not grow with their number.

A statistic of the form phi_e = finish(sum_i s_i, n_e) needs no row twice at the same time:
    1. add up s_e = sum_i s_i chunk by chunk, remembering nothing else;
    2. from all s_e take risk, statistics and distance, and the cotangent c_e = d objective / d s_e;
    3. d objective / d theta = sum_e sum_chunks c_e^T d s_chunk / d theta: send c_e back, chunk by chunk.
Exact, because a derivative of a sum is the sum of the derivatives; the price is a second forward pass.
"""

import autograd.numpy as np
from autograd import make_vjp
from autograd.builtins import tuple as traced_tuple

from ..replay import replayed
from .protocol import as_arrays, as_domains, remembered, shares


def chunks_of(domain, chunk):
    """(x, y) of `chunk` rows at a time, the last one shorter, as views."""
    return [(domain.x[i : i + chunk], domain.y[i : i + chunk]) for i in range(0, len(domain.y), chunk)]


def in_chunks(name, model, sums, finish, distance, *, chunk, ema, pooled):
    """A direction for `descent`: sums(model, theta, x, y) -> (s,) additive over rows, its first entry the loss;
    finish(s, n) -> the statistic of a domain.
    """
    forward = replayed(lambda theta, x, y: sums(model, theta, x, y))
    back = replayed(lambda theta, cotangent, x, y: make_vjp(lambda t: sums(model, t, x, y))(theta)[0](cotangent))

    def direction(theta, domains, weight, memory):
        domains = as_domains(as_arrays(model, theta, domains))
        rows = [len(domain.y) for domain in domains]
        per_row = shares(rows, pooled) / rows
        total = np.stack([sum(forward(theta, *part) for part in chunks_of(d, chunk)) for d in domains])

        def terms(s):
            phi = np.stack([finish(s_e, n) for s_e, n in zip(s, rows, strict=True)])
            phi = remembered(name, ema, memory, phi)
            risk = np.sum(s[:, 0] * per_row.astype(theta.dtype))
            return traced_tuple((risk, distance(phi), phi))

        vjp, (risk, penalty, phi) = make_vjp(terms)(total)
        number = theta.dtype.type
        cotangents = vjp((number(1), number(weight), np.zeros_like(phi)))
        gradient = np.zeros_like(theta)
        for domain, cotangent in zip(domains, cotangents, strict=True):
            for part in chunks_of(domain, chunk):
                gradient += back(theta, cotangent, *part)
        return gradient, phi if ema else memory, {"risk": float(risk), "penalty": float(penalty)}

    return direction
