"""Identities of the line after Fishr: Hutchinson, HGP and CMA, and where they meet Fishr and IGA."""

import numpy as np
from autograd import grad

from ..algorithms import cma, fishr, hgp, hutchinson, iga
from ..curvature import empirical_fisher, hessian, true_fisher
from ..gradients import mean_gradient
from .identity import identity, probabilities, relative
from .penalty_identities import on_features


def alone(case):
    """The case of the classifier as the whole model, its features as data."""
    return on_features(case, lambda e, a: a)


def everywhere(function, case):
    """function(model, theta, x, y) of every domain, stacked."""
    return np.stack([function(case.model, case.theta, d.x, d.y) for d in case.domains])


def apart(phi):
    """mean_e ||phi_e - mean phi||^2, ()."""
    return np.sum((phi - phi.mean(axis=0)) ** 2) / len(phi)


def terms(module, case, convention="paper"):
    """The first and the second term of a penalty."""
    first, both = (module.penalty(*case, convention=convention, gradient_weight=w) for w in (0.0, 1.0))
    return np.array([first, both - first])


def hutchinsons_diagonal_is_the_true_fishers(case):
    """Where the classifier is the whole model, the diagonal of Hutchinson is the true Fisher's."""
    head = alone(case)
    found = everywhere(hutchinson.statistic, head)[:, 0]
    size = max(np.square(d.x).max() for d in head.domains)  # 1 - p errs by 1e-16, however small it is
    return relative(found, everywhere(lambda *where: true_fisher(*where, diagonal=True), head), size)


def fishr_not_centered_is_hutchinson_in_expectation(case):
    """mean_i sum_c p_ic (mean square of the gradient of sample i with label c) = diagonal of the Hessian: Fishr not
    centered, over labels that the model draws itself.
    """
    head, errors = alone(case), []
    for d in head.domains:
        p = probabilities(head.model, head.theta, d.x)
        each = [
            p[i, c] * fishr.statistic(head.model, head.theta, d.x[i : i + 1], np.array([c]), centered=False)
            for i in range(len(p))
            for c in range(p.shape[1])
        ]
        found = hutchinson.statistic(head.model, head.theta, d.x, d.y)[0]
        errors.append(relative(found, np.sum(each, axis=0) / len(p), np.square(d.x).max()))
    return max(errors)


def fishr_is_the_empirical_fisher_where_mean_gradients_vanish(case):
    """Where g_e = 0 in all domains, Fishr's variance is the diagonal of the empirical Fisher: here for a classifier
    that is zero, on rows that come once with each label.
    """
    head, classes = alone(case), max(case.model.sizes[-1], 2)
    domains = [
        d._replace(x=np.tile(d.x, (classes, 1)), y=np.repeat(np.arange(classes), len(d.x))) for d in head.domains
    ]
    still = head._replace(theta=np.zeros_like(head.theta), domains=domains)
    g, v = everywhere(mean_gradient, still), everywhere(fishr.statistic, still)
    expected = everywhere(lambda *where: empirical_fisher(*where, diagonal=True), still)
    size = max(1.0, max(np.abs(d.x).max() for d in domains)) ** 2
    return max(relative(v, expected, size), relative(g, np.zeros_like(g), size))


def hgp_is_the_gradient_of_half_the_squared_gradient(case):
    """H_e g_e = gradient of ||g_e||^2 / 2, in the classifier."""
    head = alone(case)
    half = lambda w, x, y: (mean_gradient(head.model, w, x, y) ** 2).sum() / 2  # noqa: E731
    expected = everywhere(lambda model, w, x, y: grad(half)(w, x, y), head)
    size = max(1.0, max(np.abs(d.x).max() for d in head.domains)) ** 3  # of H g, where p is 1 or 0
    return relative(everywhere(hgp.statistic, head)[:, 0], expected, size)


def hgp_is_its_two_distances(case):
    """HGP = mean_e ||H_e g_e - H g||^2 with H and g the means, and mean_e ||g_e - g||^2 beside it."""
    head = alone(case)
    H, g = everywhere(hessian, head), everywhere(mean_gradient, head)
    first = np.mean([np.sum((A @ b - H.mean(axis=0) @ g.mean(axis=0)) ** 2) for A, b in zip(H, g, strict=True)])
    size = (np.abs(H).sum(axis=2).max() * np.abs(g).max()) ** 2 + np.sum(g**2)
    return relative(terms(hgp, case), [first, apart(g)], size)


def cma_without_hessians_is_iga_of_the_classifier(case):
    """CMA's term of gradients is IGA's penalty where the classifier is the whole model (paper); domainbed, IGA's over
    m C^2, C the number of classes. Hutchinson's and HGP's are the paper's too.
    """
    head, errors = alone(case), []
    H, g = everywhere(hessian, head), everywhere(mean_gradient, head)
    size, C, m = np.sum(g**2) + np.sum(H**2), max(case.model.sizes[-1], 2), len(g)
    for convention, share in (("paper", 1), ("domainbed", 1 / (m * C**2))):
        expected = share * iga.penalty(*head, convention=convention)
        errors.append(relative(terms(cma, case, convention)[1], expected, size))
    plain = [terms(module, case)[1] for module in (hutchinson, hgp)]
    return max(*errors, relative(plain, np.full(2, iga.penalty(*head)), size + np.sum(H**2) * np.sum(g**2)))


def cma_is_hutchinson_and_the_rest_of_the_hessian(case):
    """CMA's Frobenius distance = Hutchinson's distance of diagonals + that of the entries off the diagonal, >= 0: it
    bounds Hutchinson's. From rows it is the same.
    """
    head = alone(case)
    H = everywhere(hessian, head)
    off = apart(H * (1 - np.eye(H.shape[1])))
    first = terms(hutchinson, case)[0]
    phi = [cma.parts(case.model, case.theta, d.x, d.y)[:2] for d in case.domains]
    size, error = np.sum(H**2), max(0.0, first - terms(cma, case)[0])
    both = [terms(cma, case)[0], cma.by_rows(phi), apart(np.stack([cma.hessian(*one) for one in phi]))]
    g = everywhere(mean_gradient, head)
    return max(relative(both, np.full(3, first + off), size + np.sum(g**2)), error / (size or 1.0))


IDENTITIES = [
    identity(hutchinsons_diagonal_is_the_true_fishers),
    identity(fishr_not_centered_is_hutchinson_in_expectation),
    identity(fishr_is_the_empirical_fisher_where_mean_gradients_vanish),
    identity(hgp_is_the_gradient_of_half_the_squared_gradient),
    identity(hgp_is_its_two_distances),
    identity(cma_without_hessians_is_iga_of_the_classifier),
    identity(cma_is_hutchinson_and_the_rest_of_the_hessian),
]
