"""Identities of domains' losses near theta, what equal gradients and Hessians promise there, and of one function that
is written in other parameters, which Fishr sees."""

import numpy as np

from ..algorithms import fishr, irm, vrex
from ..curvature import hessian
from ..losses import risks
from .identity import ROUNDING, identity, relative
from .method_identities import FOURTH, LONG, SMALL, curved, gradients, short
from .penalty_identities import both, terms


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
        errors.append(np.maximum(0.0, there - bound) / max(1.0, bound, *R))
    return np.max(errors)


def fishr_sees_a_rescaling_that_risks_irm_and_vrex_do_not(case):
    """W, b of the last hidden layer times c and W of the classifier over c are the same function: risks, IRM and V-REx
    stay, and Fishr's penalty is c^4 A + B, so that P(2) - P(1) = 16 (P(1) - P(1/2)).

    Assumes a hidden layer.
    """
    model, last = case.model, len(case.model.sizes) - 1
    if last < 2:
        return None

    def at(c):
        scales = np.ones(model.d)
        for name, scale in ((f"W{last - 1}", c), (f"b{last - 1}", c), (f"W{last}", 1 / c)):
            scales[model.blocks[name]] = scale
        return case._replace(theta=case.theta * scales)

    cases = half, one, two = [at(c) for c in (0.5, 1.0, 2.0)]
    slopes = relative(irm.penalty(*half), irm.penalty(*two), scale=terms(irm, one))  # halves need two rows
    same = relative(both(vrex, half), both(vrex, two), scale=terms(vrex, one))
    P = [both(fishr, each) for each in cases]
    fourth = relative(P[2] - P[1], 16 * (P[1] - P[0]), scale=terms(fishr, two))
    return max(relative(risks(*half), risks(*two), scale=1.0), slopes, same, fourth)


IDENTITIES = [
    identity(taylor_with_its_integral_remainder),
    identity(taylor_remainder_is_of_third_order, FOURTH),
    identity(risks_stay_close_where_gradients_and_hessians_agree),
    identity(fishr_sees_a_rescaling_that_risks_irm_and_vrex_do_not),
]
