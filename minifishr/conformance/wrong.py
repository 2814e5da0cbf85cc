"""Wrong closed forms of penalties, each a function (model, theta, domains) -> (), differentiable in theta."""

from itertools import combinations

import autograd.numpy as np

from ..algorithms import MODULES, PENALTIES
from ..gradients import per_sample_gradients

deviations, statistics = MODULES["fishr"].deviations, MODULES["fishr"].statistics

DEVIATING = ("vrex", "fishr", "iga")  # the distance is a sum over domains of squared deviations
SUMMED = ("irm", *DEVIATING)  # the distance is a sum over domains


def terms(method, phi):
    """What each domain adds to the distance, (m, ...) -> (m,)."""
    each = phi if method == "irm" else deviations(phi)
    return np.sum(np.reshape(each**2, (len(phi), -1)), axis=1)


def of_terms(method, combine):
    """The penalty combine(terms (m,)) -> ()."""
    return lambda *given: combine(terms(method, statistics(MODULES[method].statistic, *given)))


def one(method, e):
    """What domain e alone adds."""
    return of_terms(method, lambda t: t[e])


def halves_of(e):
    """IRM's product of halves, of one domain."""
    irm = MODULES["irm"]
    return lambda model, theta, domains: np.prod(irm.halves(model, theta, domains[e].x, domains[e].y))


def twice(method, convention):
    """The domain before the last in the place of the last."""
    return lambda model, theta, domains: PENALTIES[method](
        model, theta, [*domains[:-1], domains[-2]._replace(name="again")], convention=convention
    )


def summed(method, convention):
    """Each risk a sum over rows: the statistic times the number of rows, half of them for IRM's halves."""
    module = MODULES[method]

    def penalty(model, theta, domains):
        if (method, convention) == ("irm", "domainbed"):
            sizes = [np.array([(len(d.y) + 1) // 2, len(d.y) // 2]) for d in domains]
            phi = [n * module.halves(model, theta, d.x, d.y) for n, d in zip(sizes, domains, strict=True)]
            return module.distance(np.stack(phi))
        phi = np.array([len(d.y) * module.statistic(model, theta, d.x, d.y) for d in domains])
        return np.sum(terms(method, phi))

    return penalty


def spread(statistic):
    """Sum of squared deviations of another statistic(model, theta, x, y)."""
    return lambda *given: np.sum(deviations(statistics(statistic, *given)) ** 2)


def variance_of_shares(model, theta, x, y):
    """The variance of the gradients of loss_i / n, which is the variance / n^2."""
    return MODULES["fishr"].statistic(model, theta, x, y) / len(y) ** 2


def mean_gradient_squared(model, theta, x, y):
    """The square of the mean gradient of the classifier, in the place of the mean square."""
    head, w, (a,) = model.head(theta, [x])
    return (np.sum(per_sample_gradients(head, w, a, y), axis=0) / len(y)) ** 2


def slopes(model, theta, x, y, axes):
    """d loss_i / d scale, summed over axes of the scales (n,k) that multiply the logits one by one."""
    z = model.logits(theta, x)
    k = z.shape[1]
    if k == 1:
        sign = (1 - 2 * y)[:, None]
        delta = sign / (1 + np.exp(-sign * z))
    else:
        top = np.max(z, axis=1, keepdims=True)
        p = np.exp(z - top) / np.sum(np.exp(z - top), axis=1, keepdims=True)
        delta = p - (y[:, None] == np.arange(k))
    return np.sum(delta * z, axis=axes) / len(y) if axes is not None else delta * z / len(y)


def squared_slopes(axes, times=lambda n: 1):
    """Mean over domains of the sum of squared slopes, times(n)."""
    return lambda model, theta, domains: (
        sum(times(len(d.y)) * np.sum(slopes(model, theta, d.x, d.y, axes) ** 2) for d in domains) / len(domains)
    )


def coral(covariance, distance):
    """Mean over pairs of distance(difference of means, difference of covariances)."""

    def penalty(model, theta, domains):
        features = [model.features(theta, d.x) for d in domains]
        pairs = [*combinations([(np.sum(a, axis=0) / len(a), covariance(a)) for a in features], 2)]
        return sum(distance(p - q, C - D) for (p, C), (q, D) in pairs) / len(pairs)

    return penalty


def centered(a, divisor=-1):
    """The covariance of features, (n,h) -> (h,h), with 1 / (n + divisor)."""
    a = a - np.sum(a, axis=0) / len(a)
    return a.T @ a / (len(a) + divisor)


def covariances(p, C):
    """Deep CORAL's distance."""
    return np.sum(C**2) / (4 * len(C) ** 2)


def with_means(p, C):
    """DomainBed's distance."""
    return np.sum(p**2) / len(p) + np.sum(C**2) / len(C) ** 2


def both(covariance):
    """A covariance in both conventions."""
    return [coral(covariance, covariances), coral(covariance, with_means)]


def pooled(model, theta, domains):
    """IRM of all rows as one domain."""
    joined = domains[0]._replace(x=np.concatenate([d.x for d in domains]), y=np.concatenate([d.y for d in domains]))
    return MODULES["irm"].penalty(model, theta, [joined])


def self_pairs(model, theta, domains):
    """Minus the mean inner product over all ordered pairs, e = f among them."""
    g = statistics(MODULES["idgm"].statistic, model, theta, domains)
    return -np.sum(np.sum(g, axis=0) ** 2) / len(g) ** 2
