"""Identities of the penalties: pairs of domains in the place of means, closed forms, what leaves them unchanged."""

from itertools import combinations, permutations

import autograd.numpy as np
import numpy as onp
from autograd import grad

from ..algorithms import coral, fishr, idgm, iga, irm, vrex
from ..gradients import mean_gradient, per_sample_gradients
from .identity import identity, relative, residuals


def both(module, case, **variant):
    """The penalty of a case in both conventions, (2,)."""
    return onp.array([module.penalty(*case, convention=name, **variant) for name in ("paper", "domainbed")])


def stored(case, part=slice(None)):
    """The per-sample gradients of each domain, by their definition, list of (n,d)."""
    return [per_sample_gradients(case.model, case.theta, d.x, d.y, "loop")[:, part] for d in case.domains]


def terms(module, case):
    """The size of what cancels in a penalty: squares of logits or of gradients, fourth powers of these or of features.

    Logits are taken with the absolute values of their terms. The residual p - y errs by 1e-16 however small it is.
    """
    head, w, features = case.model.head(case.theta, [d.x for d in case.domains])
    a, G = onp.abs(onp.concatenate(features)), max(onp.abs(G).max() for G in stored(case))
    z = head.logits(onp.abs(w), a).max()
    return {vrex: max(1, z) ** 2, irm: z**2, fishr: G**4, iga: G**2, idgm: G**2, coral: max(1, a.max()) ** 4}[module]


def differs(module, case, expected, **variant):
    """The error of a penalty in both conventions, relative to its terms."""
    return relative(both(module, case, **variant), expected, terms(module, case))


def over_pairs(phi):
    """The mean over pairs of domains of the squared difference, ()."""
    return onp.mean([onp.sum((a - b) ** 2) for a, b in combinations(phi, 2)])


def on_features(case, change):
    """The case of the classifier alone, with the features of the e-th domain replaced by change(e, features)."""
    head, w, features = case.model.head(case.theta, [d.x for d in case.domains])
    changed = [d._replace(x=change(e, a)) for e, (d, a) in enumerate(zip(case.domains, features, strict=True))]
    return case._replace(model=head, theta=w, domains=changed)


def rows(d, which):
    """Some rows of a domain."""
    return d._replace(x=d.x[which], y=d.y[which])


def slopes(case):
    """d loss_i(s z)/ds at s = 1 in closed form, sum_k (p_ik - y_ik) z_ik, for each domain (n,)."""
    model, theta = case.model, case.theta
    return [onp.sum(residuals(model, theta, d.x, d.y) * model.logits(theta, d.x), axis=1) for d in case.domains]


def vrex_is_the_mean_over_pairs_of_squared_differences(case):
    """Var R = mean_{e,f} (R_e - R_f)^2 / 2 over all m^2 pairs (domainbed); 4 Var R (paper): (R_1 - R_2)^2 for m = 2."""
    R = []
    for d in case.domains:
        z = case.model.logits(case.theta, d.x)
        z = onp.concatenate([onp.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
        R.append(onp.mean(onp.logaddexp.reduce(z, axis=1) - z[range(len(z)), d.y]))
    half, two = onp.mean([(a - b) ** 2 for a in R for b in R]) / 2, case._replace(domains=case.domains[:2])
    return max(differs(vrex, case, [4 * half, half]), differs(vrex, two, onp.array([1, 0.25]) * (R[0] - R[1]) ** 2))


def fishr_is_the_squared_differences_over_pairs(case):
    """sum_e ||v_e - mean v||^2 = (1/m) sum_{e<f} ||v_e - v_f||^2 (paper), that / (m d) (domainbed), v = np.var(G)."""
    errors = []
    for scope, part in (("classifier", case.model.classifier), ("all", slice(None))):
        v = onp.array([onp.var(G, axis=0) for G in stored(case, part)])
        total = over_pairs(v) * (len(v) - 1) / 2
        errors.append(differs(fishr, case, [total, total / v.size], scope=scope))
    return max(errors)


def fishr_grows_with_the_fourth_power_of_the_features(case):
    """With features c a and weights W / c the logits stay, gradients of W grow by c, and the penalty is c^4 A + B:
    P(2) - P(1) = 16 (P(1) - P(1/2)). Fishr is no property of the function alone.
    """

    def at(c):
        head = on_features(case, lambda e, a: c * a)
        W = onp.arange(head.model.d) < head.model.blocks["W1"].stop
        return head._replace(theta=head.theta / onp.where(W, c, 1))

    half, one, two = (both(fishr, at(c)) for c in (0.5, 1, 2))
    return relative(two - one, 16 * (one - half), scale=terms(fishr, at(2)))


def mean_of_fishr_can_be_detached(case):
    """The gradient of sum_e ||v_e - mean v||^2 is that of sum_e ||v_e - constant||^2, the constant being mean v."""
    model, theta, domains = case

    def around(center, t, centered):
        v = [fishr.statistic(model, t, d.x, d.y, scope="all", centered=centered) for d in domains]
        return sum(np.sum((one - center) ** 2) for one in v)

    mean = onp.mean([onp.var(G, axis=0) for G in stored(case)], axis=0)
    expected, size = (grad(lambda t, c=c, on=on: around(c, t, on))(theta) for c, on in ((mean, True), (0, False)))
    found = grad(lambda t: fishr.penalty(model, t, domains, scope="all"))(theta)
    return relative(found, expected, abs(size).max())  # squares cancel, not variances


def irm_is_eulers_identity_in_the_classifier(case):
    """dR(s z)/ds at s = 1 is <W, dR/dW> + <b, dR/db> of the last layer, in which the logits are linear, and mean_i s_i
    with s_i = sum_k (p_ik - y_ik) z_ik; domainbed multiplies this mean over even rows with that over odd rows.

    Assumes two rows.
    """
    (model, theta, domains), s = case, slopes(case)
    if min(map(len, s)) < 2:
        return None
    expected = onp.mean([[e.mean() ** 2, e[::2].mean() * e[1::2].mean()] for e in s], axis=0)
    products = [theta * mean_gradient(model, theta, d.x, d.y) for d in domains]
    euler = onp.mean([onp.sum(one[model.classifier]) ** 2 for one in products])
    return max(differs(irm, case, expected), relative(irm.penalty(*case), euler, terms(irm, case)))


def square_of_irm_is_too_large_by_the_variance_over_n(case):
    """(mean s)^2 - B = Var(s) / n, Var with 1/(n-1), B the product of two halves of the rows, over all halvings,
    and equally the mean of s_i s_j over all i != j: for fresh rows B has no bias.

    Assumes two rows; of an odd number, and above six, the last ones are left out.
    """
    d, n = case.domains[0], min(6, len(case.domains[0].y) // 2 * 2)
    if n < 2:
        return None
    halves = [[*half, *sorted(set(range(n)) - set(half))] for half in combinations(range(n), n // 2)]
    some = case._replace(domains=[rows(d, slice(n))])
    squared, expected = irm.penalty(*some), onp.var(slopes(some)[0], ddof=1) / n
    errors = []
    for orders in ([onp.reshape(half, (2, -1)).T.ravel() for half in halves], onp.array([*permutations(range(n), 2)])):
        B = onp.mean([irm.penalty(*case[:2], [rows(d, order)], convention="domainbed") for order in orders])
        errors.append(relative(squared - B, expected, terms(irm, some)))
    return max(errors)


def iga_is_the_trace_of_the_gradients_covariance(case):
    """IGA = trace of the covariance of the domain gradients, with 1/m (paper), and m times that (domainbed)."""
    g = onp.array([G.mean(axis=0) for G in stored(case)])
    return differs(iga, case, onp.trace(onp.cov(g.T, ddof=0)) * onp.array([1, len(g)]))


def idgm_is_the_mean_inner_product_over_pairs(case):
    """IDGM = - mean_{e<f} <g_e, g_f> = V / (m - 1) - ||mean g||^2, V being IGA with 1/m."""
    g = [G.mean(axis=0) for G in stored(case)]
    by_pairs = -onp.mean([a @ b for a, b in combinations(g, 2)])
    by_iga = iga.penalty(*case) / (len(g) - 1) - onp.sum(onp.mean(g, axis=0) ** 2)
    return max(differs(idgm, case, onp.full(2, expected)) for expected in (by_pairs, by_iga))


def coral_is_the_mean_over_pairs(case):
    """CORAL = mean_{e<f} ||C_e - C_f||^2 / (4 h^2) (paper); ||mean difference||^2 / h + ||C_e - C_f||^2 / h^2 else.

    Assumes two rows.
    """
    if min(len(d.y) for d in case.domains) < 2:
        return None
    a, h = [case.model.features(case.theta, d.x) for d in case.domains], case.model.sizes[-2]
    C, mean = over_pairs([onp.cov(one.T) for one in a]), over_pairs([one.mean(axis=0) for one in a])
    return differs(coral, case, [C / (4 * h**2), mean / h + C / h**2])


def coral_ignores_rotations_and_shifts(case):
    """CORAL stays the same when all features turn and move together; the paper's, which has no means, also when each
    domain moves on its own.

    Assumes two rows.
    """
    if min(len(d.y) for d in case.domains) < 2:
        return None
    h, plain = case.model.sizes[-2], on_features(case, lambda e, a: a)
    turn = onp.linalg.qr(onp.cos(onp.arange(h * h)).reshape(h, h) + onp.eye(h))[0]
    turned = on_features(case, lambda e, a: a @ turn + onp.arange(h))
    apart, expected = on_features(case, lambda e, a: a + e), both(coral, plain)
    alone = relative(both(coral, apart)[0], expected[0], terms(coral, apart))
    return max(alone, differs(coral, turned, expected))


IDENTITIES = [
    identity(vrex_is_the_mean_over_pairs_of_squared_differences),
    identity(fishr_is_the_squared_differences_over_pairs),
    identity(fishr_grows_with_the_fourth_power_of_the_features),
    identity(mean_of_fishr_can_be_detached),
    identity(irm_is_eulers_identity_in_the_classifier),
    identity(square_of_irm_is_too_large_by_the_variance_over_n),
    identity(iga_is_the_trace_of_the_gradients_covariance),
    identity(idgm_is_the_mean_inner_product_over_pairs),
    identity(coral_is_the_mean_over_pairs),
    identity(coral_ignores_rotations_and_shifts),
]
