"""Identities of the field's other baselines: the information bottleneck, MMD, SD and GroupDRO."""

from itertools import combinations

import numpy as np
from autograd import grad

from .. import replay
from ..algorithms import ALGORITHMS, coral, group_dro, ib_erm, mmd, sd
from .alignment_identities import alone, everywhere
from .identity import identity, probabilities, relative
from .method_identities import gradients
from .penalty_identities import on_features


def moments(name, case, **hyper_parameters):
    """The gradient that the first update of a method follows, domainbed, without weight decay."""
    method = ALGORITHMS[name](case.model, convention="domainbed", weight_decay=0.0, **hyper_parameters)
    with replay.off():  # a recording would be used once
        return method.update(case.theta, method.init(case.theta), case.domains)[1].optimizer.mean / 0.1


def bottleneck_is_the_trace_of_corals_covariance(case):
    """h times IB-ERM's statistic is the trace of the covariance that CORAL compares, h the number of features.

    Assumes two rows.
    """
    if min(len(d.y) for d in case.domains) < 2:
        return None
    C = everywhere(coral.statistic, case)[:, 1:]
    found = case.model.sizes[-2] * everywhere(ib_erm.statistic, case)
    return relative(found, np.trace(C, axis1=1, axis2=2), np.square(alone(case).domains[0].x).max())


def bottleneck_of_irm_with_one_weight_is_the_other_method(case):
    """IB-IRM without IB's weight is IRM, without IRM's weight it is IB-ERM: the same first update.

    Assumes two rows.
    """
    if min(len(d.y) for d in case.domains) < 2:
        return None
    ours = {"warm_up": 0, "ib_warm_up": 0, "penalty_weight": 0.0, "ib_weight": 0.0}
    theirs, scale = {"warm_up": 0, "penalty_weight": 3.0}, 10 * np.square(case.theta).max()
    pairs = {"irm": {**ours, "penalty_weight": 3.0}, "ib_erm": {**ours, "ib_weight": 3.0}}
    return max(relative(moments("ib_irm", case, **o), moments(n, case, **theirs), scale) for n, o in pairs.items())


def mmd_is_the_distance_of_mean_embeddings(case):
    """MMD = mean over pairs of k(e,e) + k(f,f) - 2 k(e,f), each kernel written out; 0 on copies of one domain; the same
    when all features turn and move together.
    """
    plain, h = alone(case), case.model.sizes[-2]
    turn = np.linalg.qr(np.cos(np.arange(h * h)).reshape(h, h) + np.eye(h))[0]
    turned = on_features(case, lambda e, a: a @ turn + np.arange(h) / 8)
    copies = plain._replace(domains=plain.domains[:1] * 3)

    def k(a, b):
        D = np.sum((a.x[:, None] - b.x) ** 2, axis=2)
        return np.mean(sum(np.exp(-(10.0**s) * D) for s in range(-3, 4)))

    expected = np.mean([k(a, a) + k(b, b) - 2 * k(a, b) for a, b in combinations(plain.domains, 2)])
    found = [mmd.penalty(*one) for one in (plain, turned, copies)]
    # D errs like the squares it is made of, and the steepest kernel makes 1 000 times as much of it
    size = 1e3 * max(1.0, *(np.sum(np.square(d.x), axis=1).max() for d in turned.domains))
    return relative(found, [expected, expected, 0.0], size)


def sd_is_weight_decay_on_the_logits(case):
    """SD adds 2 lambda z_ik / (N k) to the gradient in each logit: 2 lambda sum_i (a_i, 1) z_i^T / (N k) in W and b."""
    head = alone(case)
    logits = [head.model.logits(head.theta, d.x) for d in head.domains]
    a, z = np.concatenate([d.x for d in head.domains]), np.concatenate(logits)
    expected = 2 / z.size * np.concatenate([a, np.ones((len(a), 1))], axis=1).T @ z
    found = grad(lambda w: sd.penalty(head.model, w, head.domains))(head.theta)
    return relative(found, expected.ravel(), np.abs(z).max() * max(1.0, np.abs(a).max()))


def group_dro_is_between_erm_and_the_worst_domain(case):
    """GroupDRO follows the mean gradient for eta = 0 and that of the domain with the largest risk for large eta;
    between, weights in proportion to exp(eta R_e).
    """
    g, errors = gradients(case), []
    losses = [-np.log(probabilities(case.model, case.theta, d.x)[range(len(d.y)), d.y]) for d in case.domains]
    R = np.array([one.mean() for one in losses])
    gap = np.sort(R)[-1] - np.sort(R)[-2]
    if not np.isfinite(R).all() or gap < 1e-6:
        return None
    for eta in (0.0, 1.0, 100 / gap):
        q = np.exp(eta * (R - R.max()))
        errors.append(relative(moments("group_dro", case, eta=eta), q @ g / q.sum(), 100 * np.abs(g).max() / gap))
        errors.append(relative(np.exp(group_dro.shares(R, 0.0, eta)), q / q.sum()))
    return max(errors)


IDENTITIES = [
    identity(bottleneck_is_the_trace_of_corals_covariance),
    identity(bottleneck_of_irm_with_one_weight_is_the_other_method),
    identity(mmd_is_the_distance_of_mean_embeddings),
    identity(sd_is_weight_decay_on_the_logits),
    identity(group_dro_is_between_erm_and_the_worst_domain),
]
