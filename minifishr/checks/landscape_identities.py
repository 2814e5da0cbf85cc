"""Identities of two domains' losses near theta: what equal gradients and Hessians promise."""

import numpy as np

from ..curvature import hessian
from ..losses import risks
from .identity import ROUNDING, identity, relative
from .method_identities import FOURTH, LONG, SMALL, curved, gradients, short


def taylor_with_its_integral_remainder(case):
    """R(theta + d) - R(theta) = g.d + integral (1 - s) d^T H(theta + s d) d ds, in every domain.

    Assumes that no ReLU switches on the way.
    """
    (model, theta, domains), v = case, np.cos(np.arange(case.model.d))
    if (h := short(case, [v], LONG)) is None:
        return None
    before, after, g = risks(model, theta, domains), risks(model, theta + h * v, domains), gradients(case)
    expected = g @ (h * v) + [curved(model, theta, d, h * v) for d in domains]
    return relative(after - before, expected, scale=max(1.0, before.max(), np.abs(g).max()))


def taylor_remainder_is_of_third_order(case):
    """r(d) = R(theta + d) - R - g.d - d^T H d / 2 is eight times as large as r(d/2), up to the fourth order.

    Assumes that no ReLU switches on the way.
    """
    (model, theta, domains), v = case, np.cos(np.arange(case.model.d))
    if (h := short(case, [v], SMALL)) is None:
        return None
    R, g, H = risks(model, theta, domains), gradients(case), [hessian(model, theta, d.x, d.y) for d in domains]
    r, half = (risks(model, theta + d, domains) - R - g @ d - [d @ A @ d / 2 for A in H] for d in (h * v, h / 2 * v))
    return relative(r, 8 * half, scale=max(SMALL**2, ROUNDING / FOURTH * max(R.max(), np.abs(theta).max())))


def risks_stay_close_where_gradients_and_hessians_agree(case):
    """|R_A - R_B| at theta + d <= |R_A - R_B| + ||g_A - g_B|| |d| + ||H_A - H_B|| |d|^2 / 2 + |r_A| + |r_B|, r of third
    order. Along d = +-(g_A - g_B) it is nearly an equality. Error: what is too much.

    Assumes that no ReLU switches on the way.
    """
    model, theta, domains = two = case._replace(domains=case.domains[:2])
    gap, R = -np.diff(gradients(two), axis=0)[0], risks(model, theta, domains)
    H = [hessian(model, theta, d.x, d.y) for d in domains]
    v, errors = gap if R[0] > R[1] else -gap, []
    for limit in (FOURTH, LONG):
        if (h := short(two, [v], limit)) is None:
            return None
        step, length = h * v, h * np.linalg.norm(v)
        bound = abs(R[0] - R[1]) + np.linalg.norm(gap) * length + np.linalg.norm(H[0] - H[1], 2) * length**2 / 2
        bound += sum(abs(curved(model, theta, d, step, step @ A @ step)) for d, A in zip(domains, H, strict=True))
        there = abs(np.diff(risks(model, theta + step, domains))[0])
        errors.append(max(0.0, there - bound) / max(1.0, bound, *R))
    return max(errors)


IDENTITIES = [
    identity(taylor_with_its_integral_remainder),
    identity(taylor_remainder_is_of_third_order, FOURTH),
    identity(risks_stay_close_where_gradients_and_hessians_agree),
]
