"""Hutchinson, HGP and CMA against Hessians that autograd takes of the risk itself."""

import warnings

import autograd.numpy as anp
import numpy as np
import pytest
from algorithms.test_fishr import toy
from autograd import grad, hessian
from hypothesis import given
from hypothesis import settings as examples
from strategies import problems

from minifishr.algorithms import ALGORITHMS, cma, hgp, hutchinson
from minifishr.algorithms.protocol import statistics
from minifishr.data import Domain
from minifishr.gradients import mean_gradient
from minifishr.losses import risk
from minifishr.mlp import MLP

ALIGNING = {"hutchinson": hutchinson, "hgp": hgp, "cma": cma}
every_aligning = pytest.mark.parametrize("module", ALIGNING.values(), ids=ALIGNING)


def curvatures(model, theta, domains):
    """H (m,d,d) and g (m,d) of each domain's risk in the classifier, by autograd of the whole network's risk."""
    of, start = model.classifier, theta

    def of_classifier(w, d):
        return risk(model, anp.concatenate([start[: of.start], w]), d.x, d.y)

    H = [hessian(lambda w, d=d: of_classifier(w, d))(theta[of]) for d in domains]
    return np.array(H), np.array([mean_gradient(model, theta, d.x, d.y)[of] for d in domains])


def by_hand(module, H, g):
    """The first and the second term, from matrices."""
    second = np.mean(np.sum((g - g.mean(axis=0)) ** 2, axis=1))
    if module is hutchinson:
        first = np.diagonal(H, axis1=1, axis2=2)
        return np.mean(np.sum((first - first.mean(axis=0)) ** 2, axis=1)), second
    if module is hgp:
        target = H.mean(axis=0) @ g.mean(axis=0)
        return np.mean([np.sum((A @ b - target) ** 2) for A, b in zip(H, g, strict=True)]), second
    return np.mean([np.linalg.norm(A - H.mean(axis=0)) ** 2 for A in H]), second


@every_aligning
@examples(max_examples=40)
@given(problem=problems())
def test_penalty_is_the_one_of_exact_hessians(module, problem):
    model, *_ = problem
    H, g = curvatures(*problem)
    first, second = by_hand(module, H, g)
    size = 1e-13 * max(1, (H**2).sum() * max(1, (g**2).sum()))  # of squares that cancel
    for convention, share in (("paper", 1), ("domainbed", max(model.sizes[-1], 2) ** -2 if module is cma else 1)):
        found = [module.penalty(*problem, convention=convention, gradient_weight=w) for w in (0.0, 1.0, 3.0)]
        np.testing.assert_allclose(found, share * (first + np.array([0, 1, 3]) * second), rtol=1e-9, atol=size)


@every_aligning
@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
def test_gradient_of_the_penalty_is_that_of_exact_hessians(module, sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    H, g = curvatures(model, theta, domains)
    target = H.mean(axis=0) @ g.mean(axis=0)

    def value(t):
        H, g = curvatures(model, t, domains)
        first, second = by_hand(module, H, g)
        if module is hgp:  # its target stays
            first = np.mean([np.sum((A @ b - target) ** 2) for A, b in zip(H, g, strict=True)])
        return first + 3 * second

    slopes = [(value(theta + e) - value(theta - e)) / 2e-5 for e in 1e-5 * np.eye(model.d)]
    found = grad(lambda t: module.penalty(model, t, domains, gradient_weight=3.0))(theta)
    np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-8 * max(1, np.abs(slopes).max()))
    assert np.abs(found).max() > 1e-4


@every_aligning
@examples(max_examples=30)
@given(problem=problems(m=(1, 1)))
def test_statistic_is_that_of_the_exact_hessian(module, problem):
    model, theta, (domain,) = problem
    (H,), (g,) = curvatures(*problem)
    expected = {hutchinson: [np.diag(H), g], hgp: [H @ g, g], cma: [*H, g]}[module]
    found = module.statistic(model, theta, domain.x, domain.y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13 * max(1, np.abs(H).max()))


def test_the_authors_estimate_is_too_large_by_the_squares_off_the_diagonal():
    model, theta, domains = toy((3, 2, 4), (3, 6, 4))
    H, _ = curvatures(model, theta, domains)
    Hbar, rng, probes, calls = H.mean(axis=0), np.random.default_rng(0), 20, 4_000
    off = [np.sum(A**2) - np.sum(np.diag(A) ** 2) for A in (*H, Hbar)]
    exact = hutchinson.penalty(model, theta, domains, gradient_weight=0.0)
    bias = (np.mean(off[:-1]) + off[-1]) / probes
    found = []
    for _ in range(calls):
        v = rng.choice([-1.0, 1.0], size=(len(H) + 1, probes, len(Hbar)))  # new signs for each Hessian, as theirs
        diagonals = [np.mean(u * (u @ A), axis=0) for u, A in zip(v, (*H, Hbar), strict=True)]
        found.append(np.mean([np.sum((one - diagonals[-1]) ** 2) for one in diagonals[:-1]]))
    error = np.std(found) / np.sqrt(calls)
    assert abs(np.mean(found) - exact - bias) < 4 * error < 0.1 * bias


def test_differentiating_what_hgp_holds_constant_is_another_gradient():
    model, theta, domains = toy((3, 4, 1), (3, 6, 4))

    def moving(t):
        phi = statistics(hgp.parts, model, t, domains, ragged=True)
        return hgp.distance(phi, held=hgp.mean_product(phi))[0]

    held = grad(lambda t: hgp.penalty(model, t, domains, gradient_weight=0.0))(theta)
    other = grad(moving)(theta)
    assert moving(theta) == hgp.penalty(model, theta, domains, gradient_weight=0.0)  # the same value
    assert 0.1 < np.linalg.norm(other - held) / np.linalg.norm(held) < 10


@pytest.mark.parametrize("sizes", [(3, 8, 1), (3, 4, 5), (3, 2, 2), (3, 1)])
def test_cma_from_rows_is_cma_from_matrices(sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    phi = [one[:2] for one in statistics(cma.parts, model, theta, domains, ragged=True)]
    H = np.array([cma.hessian(*one) for one in phi])
    expected = np.mean(np.sum((H - H.mean(axis=0)) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(cma.by_rows(phi), expected, rtol=1e-10, atol=1e-14 * np.sum(H**2))


@pytest.mark.parametrize(("hidden", "forms"), [(13, False), (12, True)])
def test_cma_makes_a_matrix_only_where_the_rows_are_as_many_as_the_parameters(hidden, forms, monkeypatch):
    model, theta, domains = toy((3, hidden, 1), (3, 6, 4))  # 13 rows; 14 or 13 parameters
    made = []
    monkeypatch.setattr(cma, "hessian", lambda a, p, make=cma.hessian: made.append(1) or make(a, p))
    cma.penalty(model, theta, domains)
    assert bool(made) == forms


@pytest.mark.parametrize("sizes", [(3, 8, 1), (3, 4, 5)])
def test_cma_stays_in_float32(sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    phi = [one[:2] for one in statistics(cma.parts, model, theta.astype(np.float32), domains, ragged=True)]
    assert {part.dtype for one in phi for part in cma.factors(*one)} == {np.dtype(np.float32)}
    assert cma.by_rows(phi).dtype == np.float32


def test_two_logits_are_one_with_four_times_the_squared_hessian_and_twice_the_squared_gradient():
    one, two = MLP((3, 1)), MLP((3, 2))
    rng = np.random.default_rng(0)
    theta = rng.normal(size=4)
    domains = [Domain(f"{e}", rng.normal(size=(5, 3)) + e, rng.integers(0, 2, 5)) for e in range(2)]
    twice = np.stack([np.zeros(4), theta], axis=1).ravel()
    for weight, factor in ((0.0, 4), (1e9, 2)):
        single, double = (cma.penalty(m, t, domains, gradient_weight=weight) for m, t in ((one, theta), (two, twice)))
        np.testing.assert_allclose(double, factor * single, rtol=1e-6)


@every_aligning
def test_both_weights_are_zero_before_the_warm_up_ends_and_adam_is_new_then(module):
    model, theta, domains = toy((3, 4, 1), (4, 4, 4))
    name = module.__name__.rpartition(".")[2]
    options = {"convention": "domainbed", "lr": 0.01}
    method, erm = ALGORITHMS[name](model, warm_up=2, **options), ALGORITHMS["erm"](model, **options)
    one, other = ((theta, algorithm.init(theta)) for algorithm in (method, erm))
    for _ in range(2):
        one, other = (algorithm.update(*pair, domains)[:2] for algorithm, pair in ((method, one), (erm, other)))
    np.testing.assert_allclose(one[0], other[0], rtol=0, atol=1e-9)
    after = method.update(*one, domains)[1]
    assert (one[1].optimizer.step, after.optimizer.step) == (2, 1)


def hard(kind, model, theta, domains):
    """Cases at the edge: (theta, domains)."""
    if kind == "one row":
        return theta, [d._replace(x=d.x[:1], y=d.y[:1]) for d in domains]
    if kind == "one class":
        return theta, [d._replace(y=0 * d.y) for d in domains]
    if kind == "identical rows":
        return theta, [d._replace(x=np.tile(d.x[:1], (len(d.y), 1)), y=0 * d.y) for d in domains]
    if kind == "huge logits":
        theta = theta.copy()
        largest = max(np.abs(model.logits(theta, d.x)).max() for d in domains)
        theta[model.classifier] *= 700 / largest
    if kind == "zero features":
        theta = theta.copy()
        theta[model.blocks["b1"]] = -100.0
    return theta, domains


NEED_TWO_ROWS = {"ib_erm": "the variance of features", "ib_irm": "irm: convention='domainbed'"}
KINDS = ["one row", "one class", "identical rows", "huge logits", "zero features"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 4, 5)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*ALIGNING, "group_dro", "sd", "ib_erm", "ib_irm", "mmd"])
def test_edges_give_finite_numbers_or_one_sentence(name, kind, sizes, dtype):
    model, theta, domains = toy(sizes, (3, 6, 4))
    theta, domains = hard(kind, model, theta, domains)
    theta, domains = theta.astype(dtype), [d._replace(x=d.x.astype(dtype)) for d in domains]
    for convention in ("paper", "domainbed"):
        algorithm = ALGORITHMS[name](model, convention=convention)
        if kind == "one row" and name in NEED_TWO_ROWS:
            with pytest.raises(ValueError, match=f"^{NEED_TWO_ROWS[name]} needs at least 2 samples a domain, got 1$"):
                algorithm.update(theta, algorithm.init(theta), domains)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, _, info = algorithm.update(theta, algorithm.init(theta), domains)
        assert np.isfinite(found).all() and np.isfinite([*info.values()]).all() and found.dtype == dtype


@every_aligning
def test_one_logit_that_is_certain_keeps_the_digits_of_its_curvature(module):
    a = np.linspace(1, 2, 4)[:, None]
    domains = [Domain(f"{e}", a * (1 + e), np.ones(4, int)) for e in range(2)]
    for sign in (1, -1):  # p near 1 and near 0 have the same curvature, p (1 - p)
        theta = np.array([sign * 20.0, 0.0], np.float32)
        found = module.penalty(MLP((1, 1)), theta, domains, gradient_weight=0.0)
        q = [1 / (1 + np.exp(20 * d.x)) for d in domains]  # the smaller one, in float64
        curved, rows = [one * (1 - one) for one in q], [np.hstack([d.x, np.ones((4, 1))]) for d in domains]
        H = np.array([(r.T * c[:, 0]) @ r / 4 for r, c in zip(rows, curved, strict=True)])
        errors = [-one if sign > 0 else one - 1 for one in q]  # p - 1, because all labels are 1
        g = np.array([(r.T @ e)[:, 0] / 4 for r, e in zip(rows, errors, strict=True)])
        np.testing.assert_allclose(found, by_hand(module, H, g)[0], rtol=1e-4)
