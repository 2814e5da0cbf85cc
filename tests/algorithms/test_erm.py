import numpy as np
import pytest
from algorithms.test_protocol import adam_step
from hypothesis import given
from strategies import problems

from minifishr.algorithms import ALGORITHMS
from minifishr.data import Domain

erm = ALGORITHMS["erm"]
LINEAR = [(3, 1), (3, 4)]


def by_hand(model, theta, domain):
    """Losses (n,) and per-sample gradients (n,d) of a network without hidden layers."""
    p, k = model.sizes
    z = domain.x @ theta[: p * k].reshape(p, k) + theta[p * k :]
    if k == 1:
        residuals = 1 / (1 + np.exp(-z)) - domain.y[:, None]
        losses = np.log1p(np.exp(z[:, 0])) - domain.y * z[:, 0]
    else:
        probabilities = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        residuals = probabilities - (domain.y[:, None] == np.arange(k))
        losses = -np.log(probabilities[range(len(z)), domain.y])
    weights = [np.outer(x, r).ravel() for x, r in zip(domain.x, residuals, strict=True)]
    return losses, np.hstack([weights, residuals])


def assert_follows_erm(algorithm, model, theta, domains, *, lr, decay):
    """Three updates are textbook Adam on the mean of the domain gradients plus decay * theta."""
    state, expected, past = algorithm.init(theta), theta, []
    for _ in range(3):
        theta, state, _ = algorithm.update(theta, state, domains)
        g = [by_hand(model, expected, domain)[1].mean(axis=0) for domain in domains]
        past = [*past, np.mean(g, axis=0) + decay * expected]
        expected = adam_step(expected, past, lr)
        # Adam divides by 1e-8 at least: rounding of 1e-16 in a gradient that cancels moves theta by 2e-10
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)


def average(arrays, pooled):
    """The mean over all rows, or the mean of the domains' means."""
    return np.concatenate(arrays).mean(axis=0) if pooled else np.mean([a.mean(axis=0) for a in arrays], axis=0)


@pytest.mark.parametrize(("convention", "pooled"), [("paper", False), ("domainbed", True)])
@given(problem=problems(LINEAR, m=(1, 3), n=(1, 6)))
def test_trajectory_is_textbook_adam_on_the_gradient_by_hand(convention, pooled, problem):
    model, theta, domains = problem
    algorithm = erm(model, convention=convention, lr=0.02, weight_decay=0.3)
    decay = 0.3 if pooled else 0.6  # paper: 0.3 * ||theta||^2 in the loss
    state, expected, past = algorithm.init(theta), theta, []
    for _ in range(4):
        theta, state, info = algorithm.update(theta, state, domains)
        losses, gradients = zip(*(by_hand(model, expected, domain) for domain in domains), strict=True)
        past = [*past, average(gradients, pooled) + decay * expected]
        expected = adam_step(expected, past, 0.02)
        assert info == pytest.approx({"risk": average(losses, pooled)}, rel=1e-12)
        # Adam divides by 1e-8 at least: rounding of 1e-16 in a gradient that cancels moves theta by 2e-10
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)


@given(problems(m=(1, 3), n=(1, 6)))
def test_pooled_risk_is_that_of_one_large_domain(problem):
    model, theta, domains = problem
    algorithm = erm(model, convention="domainbed")
    merged = Domain("all", np.concatenate([d.x for d in domains]), np.concatenate([d.y for d in domains]))
    _, apart, info = algorithm.update(theta, algorithm.init(theta), domains)
    _, together, expected = algorithm.update(theta, algorithm.init(theta), [merged])
    assert info == pytest.approx(expected, rel=1e-13)
    # first moments are gradients: sums of at most 18 terms that may cancel
    np.testing.assert_allclose(apart.optimizer.mean, together.optimizer.mean, rtol=1e-11, atol=1e-15)


@given(problems(m=(1, 1)))
def test_a_copy_of_a_domain_changes_nothing(problem):
    model, theta, (domain,) = problem
    algorithm = erm(model)
    _, once, _ = algorithm.update(theta, algorithm.init(theta), [domain])
    _, thrice, _ = algorithm.update(theta, algorithm.init(theta), [domain] * 3)
    np.testing.assert_allclose(once.optimizer.mean, thrice.optimizer.mean, rtol=1e-11, atol=1e-15)
