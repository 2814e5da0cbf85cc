"""Identities of whole methods: the walk of Fish, the masks, Fishr's memory, Adam; and the expansion behind Fishr."""

from itertools import combinations

import numpy as np
from autograd import grad

from ..algorithms import ALGORITHMS, and_mask, fish, idgm, sand_mask
from ..curvature import hessian, hvp
from ..gradients import mean_gradient, per_sample_gradients
from ..optimizers import adam, sgd
from .identity import ROUNDING, identity, relative, same_pattern

# Steps are halved until no parameter and no logit moves by more than SMALL. A remainder r of third order then leaves
# r(h) - 8 r(h/2) = half its fourth-order term, SMALL^2 / 48 of a second-order term for the loss alone. The curvature of
# the logits in theta makes this some ten times as much, and FOURTH leaves room for four times that.
SMALL, FOURTH = 3e-3, 3e-3**2
LONG = 0.1  # the loss has no singularity within pi: 8 nodes integrate along such a path up to about 100^-16
NODES = [((1 + s) / 2, weight / 2) for s, weight in zip(*np.polynomial.legendre.leggauss(8), strict=True)]


def gradients(case):
    """The gradient of each domain's risk, (m,d)."""
    return np.array([mean_gradient(case.model, case.theta, d.x, d.y) for d in case.domains])


def short(case, steps, limit):
    """The largest of 1, 1/2, 1/4, ... such that neither theta nor a logit moves by more than `limit` along these steps
    times it, or None where a ReLU switches.
    """
    (model, theta, domains), h = case, 1.0
    x = np.concatenate([d.x for d in domains])
    z = model.logits(theta, x)
    ways = [s * v for v in steps for s in (0, 0.25, 0.5, 0.75, 1)]
    while any(np.abs(h * v).max() > limit or np.abs(model.logits(theta + h * v, x) - z).max() > limit for v in ways):
        h /= 2
    return h if same_pattern(model, [theta + h * v for v in ways], x) else None


def walked(case, lr, domains):
    """theta~ - theta after Fish's walk with plain gradient steps."""
    return fish.walk(case.model, case.theta, (), domains, sgd(lr))[0] - case.theta


def curved(model, theta, d, step, start=0.0):
    """integral (1 - s) (step^T H(theta + s step) step - start) ds."""
    return sum(w * (1 - s) * (step @ hvp(model, theta + s * step, d.x, d.y, step) - start) for s, w in NODES)


def walk_is_exact_on_quadratics(case):
    """Two SGD steps on (t - c_e)^T H_e (t - c_e) / 2 move by -a (g_1 + g_2) + a^2 H_2 g_1, without remainder; weight
    decay w adds w to H_e and w theta to g_e.
    """
    (model, theta, domains), a, w = case, 0.1, 0.5
    parts = [(hessian(model, theta, d.x, d.y), np.cos(np.arange(model.d) + e)) for e, d in enumerate(domains[:2])]
    t, step = theta, sgd(a, weight_decay=w)
    for H, c in parts:
        t, _ = step.update(t, H @ (t - c), ())
    one, two = (H @ (theta - c) + w * theta for H, c in parts)
    bend = parts[1][0] @ one + w * one
    scale = max(np.abs(part).max() for part in (theta, one, two, bend))
    return relative(t - theta, -a * (one + two) + a**2 * bend, scale)


def walk_of_fish_with_its_integral_remainder(case):
    """Fish's walk over two domains with SGD moves by -a (g_1 + g_2) + a^2 (mean of H_2 along the first step) g_1.

    Assumes that no ReLU switches on the first step.
    """
    (one, two, *_), (g, h, *_) = case.domains, gradients(case)
    if (a := short(case, [-g], LONG)) is None:
        return None
    bend = sum(w * hvp(case.model, case.theta - s * a * g, two.x, two.y, g) for s, w in NODES)
    return relative(walked(case, a, [one, two]), -a * (g + h) + a**2 * bend, scale=np.abs(case.theta).max())


def fish_climbs_the_inner_product_of_the_gradients(case):
    """Averaged over both orders of two domains, Fish's walk is -a (g_1 + g_2) + (a^2 / 2) grad <g_1, g_2> + O(a^3), by
    the gradient that IDGM's penalty has. 8 S(a/2) - S(a), S the walk + a (g_1 + g_2), has no third order.

    Assumes that no ReLU switches on the way.
    """
    two = case._replace(domains=case.domains[:2])
    g, h = gradients(two)
    if (a := short(two, [-g, -h, -g - h], SMALL)) is None:
        return None
    S, half = (np.mean([walked(two, r, two.domains[::o]) for o in (1, -1)], axis=0) + r * (g + h) for r in (a, a / 2))
    climb = a**2 / 2 * grad(lambda t: -idgm.penalty(two.model, t, two.domains))(two.theta)
    return relative(8 * half - S, climb, scale=ROUNDING / FOURTH * np.abs(two.theta).max())


def masks_keep_copies_and_drop_opposites(case):
    """Both masks are 1 for equal gradients, 0 for opposite ones (tau > 0) and where a gradient is 0. At
    |mean sign| = tau they differ: AND-mask keeps, SAND-mask drops.
    """
    g = gradients(case)[0]
    copies, apart = np.array([g, g]), np.array([g, -g])
    errors = [relative(and_mask.mask(apart, tau=0.0), np.ones_like(g)), sand_mask.mask(apart, tau=0.0, k=1.0).max()]
    for mask, k in ((and_mask.mask, {}), (sand_mask.mask, {"k": 10.0})):
        errors += [relative(mask(copies, tau=0.4, **k), 1.0 * (g != 0)), mask(apart, tau=0.4, **k).max()]
    return max(errors)


def masks_count_votes(case):
    """AND-mask is 1 where votes = |positive - negative signs| >= tau m. SAND-mask = max(0, (1 - e^-2u) / (1 + e^-2u)),
    u = k (votes / m - tau) / s, s = mean over pairs of (g_e - g_f)^2 / 2: AND-mask for large k.
    """
    g, tau = gradients(case), 0.4
    tiny = np.finfo(g.dtype).tiny
    votes = np.abs(np.sum(g > 0, axis=0) - np.sum(g < 0, axis=0))
    errors = [relative(and_mask.mask(g, tau=t), 1.0 * (votes >= t * len(g))) for t in (0.0, tau, 0.7, 1.0)]
    s = np.mean([(a - b) ** 2 / 2 for a, b in combinations(g, 2)], axis=0)
    safe = np.sqrt(s) / np.maximum(np.abs(g).max(axis=0), tiny)  # rounding of g is 1 / safe times as large in s
    errors.append(relative(sand_mask.mask(g, tau=tau, k=1e6 * max(1.0, s.max())), and_mask.mask(g, tau=tau)))
    for k in (10.0, s.mean(), 0.1 * s.mean()):
        u = np.maximum(k * (votes / len(g) - tau) / np.maximum(s, tiny), 0)
        expected = -np.expm1(-2 * u) / (1 + np.exp(-2 * u))
        errors.append(relative(safe * sand_mask.mask(g, tau=tau, k=k), safe * expected, scale=1.0))
    return max(errors)


def masked_methods_follow_the_mean_gradient_where_they_keep_it(case):
    """The first update's gradient is mask * mean g / (1e-10 + mean of the mask in the block), entry by entry; where the
    mask is 0, theta stays. Both conventions, without weight decay.
    """
    g, errors = gradients(case), []
    of = [block for block in case.model.blocks.values() for _ in range(block.start, block.stop)]
    for name, kept in (("and_mask", and_mask.mask(g, tau=0.4)), ("sand_mask", sand_mask.mask(g, tau=0.4, k=10.0))):
        entries = [kept[j] * sum(g[:, j]) / len(g) / (1e-10 + sum(kept[b]) / len(kept[b])) for j, b in enumerate(of)]
        for convention in ("paper", "domainbed"):
            method = ALGORITHMS[name](case.model, convention=convention, tau=0.4, weight_decay=0.0)
            theta, state, _ = method.update(case.theta, method.init(case.theta), case.domains)
            errors.append(relative(state.optimizer.mean, 0.1 * np.array(entries), scale=np.abs(g).max()))
            errors.append(relative(theta[kept == 0], case.theta[kept == 0]))
    return max(errors)


def memory_of_fishr_is_a_discounted_sum(case):
    """After t updates DomainBed's Fishr remembers M = sum_s ema^(t-1-s) v_s and penalizes sum_{e<f} ||M_e - M_f||^2
    / (m^2 d). Different rows at every step; the learning rate is 0.
    """
    method = ALGORITHMS["fishr"](case.model, convention="domainbed", ema=0.9, lr=0.0)
    theta, state, M, size = case.theta, method.init(case.theta), 0.0, 0.0
    for step in range(4):
        domains = [d._replace(x=d.x * (1 + step / 4)) for d in case.domains]
        G = [per_sample_gradients(case.model, theta, d.x, d.y, "loop")[:, case.model.classifier] for d in domains]
        M = M + 0.9 ** (3 - step) * np.array([np.var(one, axis=0) for one in G])
        size = max(size, *(np.square(one).max() for one in G))
        theta, state, info = method.update(theta, state, domains)
    penalty = sum(np.sum((a - b) ** 2) for a, b in combinations(M, 2)) / (len(M) * M.size)
    return max(relative(state.memory, M, size), relative(info["penalty"], penalty, size**2))


def adam_is_a_ratio_of_weighted_means(case):
    """Step t of Adam is -lr M / (sqrt(V) + eps), M = sum_s b1^(t-s) g_s / sum_s b1^(t-s), V the same of squares, with
    AMSGrad the largest such sum so far; weight decay adds w theta to g. A constant g gives -lr g / (|g| + eps).
    """
    g, errors, flat = gradients(case), [], adam(0.1)
    theta, state = np.zeros_like(case.theta), flat.init(case.theta)
    for t in range(1, 4):
        theta, state = flat.update(theta, g[0], state)
        errors.append(relative(theta, -0.1 * t * g[0] / (np.abs(g[0]) + 1e-8)))
    for w, amsgrad in ((0.0, False), (0.5, True)):
        optimizer = adam(0.1, weight_decay=w, amsgrad=amsgrad)
        theta, state, seen, sums = case.theta, optimizer.init(case.theta), [], []
        for t in range(5):
            seen.append((-1.5) ** -t * g[t % len(g)] + w * theta)
            b1, b2 = (b ** np.arange(t, -1, -1)[:, None] for b in (0.9, 0.999))
            sums.append(np.sum(b2 * np.square(seen), axis=0))
            V = (np.max(sums, axis=0) if amsgrad else sums[-1]) / b2.sum()
            expected = theta - 0.1 * np.sum(b1 * seen, axis=0) / b1.sum() / (np.sqrt(V) + 1e-8)
            theta, state = optimizer.update(theta, (-1.5) ** -t * g[t % len(g)], state)
            errors.append(relative(theta, expected))
    return max(errors)


IDENTITIES = [
    identity(walk_is_exact_on_quadratics),
    identity(walk_of_fish_with_its_integral_remainder),
    identity(fish_climbs_the_inner_product_of_the_gradients, FOURTH),
    identity(masks_keep_copies_and_drop_opposites),
    identity(masks_count_votes),
    identity(masked_methods_follow_the_mean_gradient_where_they_keep_it),
    identity(memory_of_fishr_is_a_discounted_sum),
    identity(adam_is_a_ratio_of_weighted_means),
]
