"""Twenty implementations, the first ten right and the last ten wrong, with what the kit must say of each.

They stand for public code, without PyTorch, and were written before the kit. Each is a derivation of its own: networks
and deltas by hand, sums over samples and pairs, and nothing of the package but the shapes of theta.
"""

from itertools import combinations, product

import autograd.numpy as np
from autograd import grad
from autograd.tracer import getval

WHOLE = "largest relative error"


def network(model, theta, x):
    """The inputs of each layer, and the logits."""
    start, inputs = 0, [x]
    widths = [*zip(model.sizes[:-1], model.sizes[1:], strict=True)]
    for number, (i, o) in enumerate(widths, 1):
        W = np.reshape(theta[start : start + i * o], (i, o))
        z = inputs[-1] @ W + theta[start + i * o : start + (i + 1) * o]
        start += (i + 1) * o
        if number < len(widths):
            inputs.append(np.where(z > 0, z, 0 * z))
    return inputs, z


def loss(z, y):
    """Cross-entropy of each row from probabilities."""
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z[:, 0]))
        return -np.log(np.where(y == 1, p, 1 - p))
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y])


def delta(z, y):
    """d loss / d z of each row, by hand, (n,k)."""
    if z.shape[1] == 1:
        return 1 / (1 + np.exp(-z)) - y[:, None]
    return np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True) - np.eye(z.shape[1])[y]


def risk(model, theta, domain):
    return np.mean(loss(network(model, theta, domain.x)[1], domain.y))


def risks(model, theta, domains):
    return [risk(model, theta, d) for d in domains]


def slopes(model, theta, domain):
    """d loss / d s of each row, (n,), at s = 1: s multiplies all logits."""
    z = network(model, theta, domain.x)[1]
    return np.sum(delta(z, domain.y) * z, axis=1)


def gradients(model, theta, domain):
    """The classifier's gradient of each row, a list of (h k + k,)."""
    inputs, z = network(model, theta, domain.x)
    rows = [(a, r) for a, r in zip(inputs[-1], delta(z, domain.y), strict=True)]
    return [np.concatenate([np.ravel(np.outer(a, r)), r]) for a, r in rows]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def variance(rows):
    center = mean(rows)
    return mean((row - center) ** 2 for row in rows)


def whole_gradients(model, theta, domain):
    """The gradient of each row for all parameters, one row after the other."""
    one = [domain._replace(x=domain.x[i : i + 1], y=domain.y[i : i + 1]) for i in range(len(domain.y))]
    return [grad(lambda t, d=d: risk(model, t, d))(theta) for d in one]


def mean_gradients(model, theta, domains):
    return [grad(lambda t, d=d: risk(model, t, d))(theta) for d in domains]


def spread(values):
    """Sum over domains of squared deviations, by pairs."""
    return sum(np.sum((a - b) ** 2) for a, b in product(values, values)) / (2 * len(values))


def moments(model, theta, domain):
    a = network(model, theta, domain.x)[0][-1]
    center = mean(a)
    return center, sum(np.outer(row - center, row - center) for row in a) / (len(a) - 1)


# Ten that are right.


def irm_of_the_paper(model, theta, domains):
    return mean(np.mean(slopes(model, theta, d)) ** 2 for d in domains)


def irm_of_halves(model, theta, domains):
    s = [slopes(model, theta, d) for d in domains]
    return mean(np.mean(one[::2]) * np.mean(one[1::2]) for one in s)


def vrex_by_pairs(model, theta, domains):
    R = risks(model, theta, domains)
    return sum((a - b) ** 2 for a, b in combinations(R, 2)) / len(R) ** 2


def vrex_of_two(model, theta, domains):
    """(R_1 - R_2)^2, and for more domains what becomes it for two."""
    R = risks(model, theta, domains)
    return 4 * (mean(r**2 for r in R) - mean(R) ** 2)


def fishr_averaged(model, theta, domains):
    v = [variance(gradients(model, theta, d)) for d in domains]
    return spread(v) / (len(v) * len(v[0]))


def fishr_summed(model, theta, domains):
    v = [variance(gradients(model, theta, d)) for d in domains]
    return spread(v)


def fishr_of_all_layers_not_centered(model, theta, domains):
    return spread([mean(row**2 for row in whole_gradients(model, theta, d)) for d in domains])


def iga_summed(model, theta, domains):
    return spread(mean_gradients(model, theta, domains))


def coral_with_means(model, theta, domains):
    pairs = combinations([moments(model, theta, d) for d in domains], 2)
    return mean(np.mean((p - q) ** 2) + np.mean((C - D) ** 2) for (p, C), (q, D) in pairs)


def idgm_by_pairs(model, theta, domains):
    return -mean(np.sum(a * b) for a, b in combinations(mean_gradients(model, theta, domains), 2))


# Ten that are wrong.


def fishr_of_the_mean_loss(model, theta, domains):
    """Each row's gradient is that of its share of the mean loss."""
    v = [variance([row / len(d.y) for row in gradients(model, theta, d)]) for d in domains]
    return spread(v)


def fishr_of_one_domain(model, theta, domains):
    v = [variance(gradients(model, theta, d)) for d in domains]
    return np.sum((v[0] - mean(v)) ** 2)


def irm_of_the_last_domain(model, theta, domains):
    for d in domains:
        total = np.mean(slopes(model, theta, d)) ** 2
    return total


def irm_with_a_scale_for_each_logit(model, theta, domains):
    total = 0
    for d in domains:
        z = network(model, theta, d.x)[1]
        total = total + np.sum(np.mean(delta(z, d.y) * z, axis=0) ** 2)
    return total / len(domains)


def vrex_summed(model, theta, domains):
    R = risks(model, theta, domains)
    return sum((r - mean(R)) ** 2 for r in R)


def coral_without_centering(model, theta, domains):
    features = [network(model, theta, d.x)[0][-1] for d in domains]
    pairs = combinations([(mean(a), a.T @ a / (len(a) - 1)) for a in features], 2)
    return mean(np.mean((p - q) ** 2) + np.mean((C - D) ** 2) for (p, C), (q, D) in pairs)


def coral_not_squared(model, theta, domains):
    pairs = combinations([moments(model, theta, d)[1] for d in domains], 2)
    return mean(np.sqrt(np.sum((C - D) ** 2)) / (4 * len(C) ** 2) for C, D in pairs)


def iga_detached(model, theta, domains):
    return iga_summed(model, getval(theta), domains)


def irm_of_squared_rows(model, theta, domains):
    return mean(np.mean(slopes(model, theta, d) ** 2) for d in domains)


def idgm_with_each_domain_itself(model, theta, domains):
    g = mean_gradients(model, theta, domains)
    return -mean(np.sum(a * b) for a, b in product(g, g))


RIGHT = [
    ("irm", irm_of_the_paper, "follows the paper convention (largest"),
    ("irm", irm_of_halves, "follows the domainbed convention (largest"),
    ("vrex", vrex_by_pairs, "follows the domainbed convention (largest"),
    ("vrex", vrex_of_two, "follows the paper convention (largest"),
    ("fishr", fishr_averaged, "follows the domainbed convention (largest"),
    ("fishr", fishr_summed, "follows the paper convention (largest"),
    (
        "fishr",
        fishr_of_all_layers_not_centered,
        "follows the paper convention with scope=all, centered=False (largest",
    ),
    ("iga", iga_summed, "follows the domainbed convention (largest"),
    ("coral", coral_with_means, "follows the domainbed convention (largest"),
    ("idgm", idgm_by_pairs, "follows the paper and domainbed conventions (largest"),
]
WRONG = [
    ("fishr", fishr_of_the_mean_loss, "a known mistake, per-sample gradients of the mean loss: "),
    ("fishr", fishr_of_one_domain, "a known mistake, one domain only: "),
    ("irm", irm_of_the_last_domain, "a known mistake, the last domain only: "),
    ("irm", irm_with_a_scale_for_each_logit, "a known mistake, a scale per logit: "),
    ("vrex", vrex_summed, "the domainbed convention times m ("),
    ("coral", coral_without_centering, "a known mistake, covariance without centering: "),
    ("coral", coral_not_squared, "a known mistake, distance not squared: "),
    ("iga", iga_detached, "the value of the domainbed convention without its gradient: something is detached"),
    ("irm", irm_of_squared_rows, "a known mistake, average of squares for square of the average: "),
    ("idgm", idgm_with_each_domain_itself, "a known mistake, self-pairs counted: "),
]
TWENTY = [*RIGHT, *WRONG]
