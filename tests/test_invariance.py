import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems

from minifishr.algorithms.cma import statistic as cma
from minifishr.algorithms.hgp import statistic as hgp
from minifishr.algorithms.hutchinson import statistic as hutchinson
from minifishr.algorithms.ib_erm import statistic as ib_erm
from minifishr.curvature import hessian
from minifishr.data import stream
from minifishr.invariance import (
    STATISTICS,
    classifier_hessian,
    dispersion,
    hessian_products,
    invariances,
    random_direction,
    risks_along,
)
from minifishr.losses import risk
from minifishr.mlp import MLP


def test_dispersion_by_hand():
    # mean (2, 0): deviations (1, 0), (-1, 0): 2 of 10
    assert dispersion([[1.0, 0.0], [3.0, 0.0]]) == 0.2
    assert dispersion([[1.0], [-1.0]]) == 1.0 and dispersion(np.zeros((2, 3))) == 0.0


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=2, max_size=5), st.floats(0.1, 10))
def test_dispersion_is_between_0_and_1_and_has_no_unit(phi, factor):
    found = dispersion(phi)
    assert 0 <= found <= 1 + 1e-12  # rounding of two sums of at most 15 terms
    assert np.isclose(dispersion(factor * np.array(phi)), found, rtol=1e-9, atol=1e-12)


@pytest.mark.untraced
@given(problems())
def test_copies_of_a_domain_agree_in_everything(problem):
    model, theta, (domain, *_) = problem
    found = invariances(model, theta, [domain] * 3)
    assert list(found) == list(STATISTICS) and max(found.values()) < 1e-28


@given(problems())
def test_classifier_hessian_is_the_block_of_the_hessian(problem):
    model, theta, (domain, *_) = problem
    H = hessian(model, theta, domain.x, domain.y)
    block = H[model.classifier, model.classifier]
    found = classifier_hessian(model, theta, domain.x, domain.y)
    np.testing.assert_allclose(found, block, atol=1e-12 * max(1, np.abs(block).max()))  # rounding


# what the methods of the Hessians compare is written without this file, from probabilities and features
OF_METHODS = {
    "mean gradient, classifier": lambda *where: hutchinson(*where)[1],
    "Hessian's diagonal, classifier": lambda *where: hutchinson(*where)[0],
    "Hessian times gradient, classifier": lambda *where: hgp(*where)[0],
    "Hessian, classifier": lambda *where: cma(*where)[:-1],
}


@pytest.mark.parametrize("name", OF_METHODS)
@pytest.mark.untraced
@given(problem=problems())
def test_the_matrix_has_the_statistics_that_the_later_methods_compare(name, problem):
    model, theta, (domain, *_) = problem
    found, expected = (f[name](model, theta, domain.x, domain.y) for f in (STATISTICS, OF_METHODS))
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=1e-12 * scale)  # rounding


@pytest.mark.untraced
@given(problems())
def test_the_mean_variance_of_features_is_the_information_bottleneck(problem):
    model, theta, (domain, *_) = problem
    found = np.mean(STATISTICS["variance of features"](model, theta, domain.x, domain.y))
    assert np.isclose(found, ib_erm(model, theta, domain.x, domain.y), rtol=1e-12, atol=1e-14)


@pytest.mark.untraced
@given(problems())
def test_hessian_products_are_the_hessian_times_vectors_that_are_the_same_in_every_domain(problem):
    model, theta, domains = problem
    products = [hessian_products(model, theta, d.x, d.y, probes=model.d + 3) for d in domains[:2]]
    H = [hessian(model, theta, d.x, d.y) for d in domains[:2]]
    vectors = stream(0, "probes").normal(size=(model.d + 3, model.d))
    for found, matrix in zip(products, H, strict=True):
        np.testing.assert_allclose(found, vectors @ matrix, atol=1e-10 * max(1, np.abs(matrix).max()))


@pytest.mark.untraced
def test_mean_squared_product_is_the_frobenius_norm():
    rng = np.random.default_rng(0)
    model, x, y = MLP((3, 4, 1)), rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    theta = model.init(rng)
    products = hessian_products(model, theta, x, y, probes=4_000)
    H = hessian(model, theta, x, y)
    # the standard error of the mean of 4 000 squares is at most sqrt(2 / 4 000) = 2 % of it
    assert np.isclose(np.mean(np.sum(products**2, axis=1)), np.sum(H**2), rtol=0.1)


@given(problems())
def test_risks_along_a_line(problem):
    model, theta, domains = problem
    direction = random_direction(theta, 1)
    assert np.isclose(np.linalg.norm(direction), np.linalg.norm(theta))
    found = risks_along(model, theta, direction, [0.0, -0.5], domains)
    expected = [[risk(model, theta + t * direction, d.x, d.y) for d in domains] for t in (0.0, -0.5)]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_one_row_has_no_covariance_of_features():
    model = MLP((2, 3, 1))
    with pytest.raises(ValueError, match="needs at least 2 rows a domain, got 1"):
        STATISTICS["covariance of features"](
            model, model.init(np.random.default_rng(0)), np.ones((1, 2)), np.ones(1, int)
        )


@pytest.mark.parametrize("size", [1e-200, 1e-310, 1e200])
def test_dispersion_neither_underflows_nor_overflows(size):
    assert dispersion([[size], [2 * size]]) == pytest.approx(0.1, rel=1e-6)


def test_fewer_than_two_domains_cannot_differ():
    for phi in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=f"at least 2 domains can differ, got {len(phi)}"):
            dispersion(phi)
    with pytest.raises(ValueError, match="at least 2 domains can differ, got 0"):
        invariances(MLP((2, 1)), np.zeros(3), [])
