from itertools import combinations

import numpy as np
import pytest
from algorithms.test_erm import LINEAR, by_hand
from hypothesis import given
from strategies import problems

from minifishr.algorithms import ALGORITHMS
from minifishr.algorithms.vrex import distance, penalty, statistic
from minifishr.data import Domain
from minifishr.mlp import MLP

vrex = ALGORITHMS["vrex"]


def risks_by_hand(model, theta, domains):
    return np.array([by_hand(model, theta, domain)[0].mean() for domain in domains])


def close(value):
    # differences of risks of size 1
    return pytest.approx(value, rel=1e-10, abs=1e-15)


@given(problems(LINEAR))
def test_statistic_is_the_mean_loss(problem):
    model, theta, domains = problem
    found = [statistic(model, theta, x, y) for _, x, y in domains]
    np.testing.assert_allclose(found, risks_by_hand(model, theta, domains), rtol=1e-13)


@given(problems(LINEAR, m=(2, 2)))
def test_paper_penalty_of_two_domains_is_the_squared_difference(problem):
    model, theta, domains = problem
    R = risks_by_hand(model, theta, domains)
    for by_hand_too in ((R[0] - R[1]) ** 2, 4 * R.var(), 2 * R.var(ddof=1)):
        assert penalty(model, theta, domains) == close(by_hand_too)


@given(problems(LINEAR, m=(2, 5)))
def test_penalty_is_the_sum_over_pairs_of_domains(problem):
    """mean_e (R_e - mean R)^2 = sum over ordered pairs of (R_e - R_f)^2 / (2 m^2), for any number m."""
    model, theta, domains = problem
    R, m = risks_by_hand(model, theta, domains), len(domains)
    pairs = sum((a - b) ** 2 for a in R for b in R) / (2 * m**2)
    assert penalty(model, theta, domains, convention="domainbed") == close(pairs)
    assert penalty(model, theta, domains) == close(4 * pairs)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 4), ("domainbed", 1)])
@given(problem=problems(LINEAR, m=(2, 5)))
def test_unbiased_variance_is_half_the_mean_squared_difference_of_two_domains(convention, factor, problem):
    model, theta, domains = problem
    R = risks_by_hand(model, theta, domains)
    expected = close(factor * np.mean([(a - b) ** 2 / 2 for a, b in combinations(R, 2)]))
    assert penalty(model, theta, domains, convention=convention, ddof=1) == expected
    algorithm = vrex(model, convention=convention, ddof=1)
    assert algorithm.update(theta, algorithm.init(theta), domains)[2]["penalty"] == expected


@pytest.mark.parametrize(
    ("ddof", "words"),
    [
        (2, "ddof=2 needs more than 2 domains, got 2"),
        (-1, r"ddof=-1 is outside \[0, inf\]"),
        (True, "ddof=True is not a number"),
        (0.5, "ddof=0.5 is not a whole number"),
    ],
)
def test_impossible_divisors_are_refused_in_one_sentence(ddof, words):
    model, theta, domains = MLP((2, 1)), np.ones(3), [Domain("", np.ones((2, 2)), np.array([0, 1]))] * 2
    with pytest.raises(ValueError, match=f"^vrex: {words}"):
        penalty(model, theta, domains, ddof=ddof)
    with pytest.raises(ValueError, match=f"^vrex: {words}"):
        algorithm = vrex(model, ddof=ddof)
        algorithm.update(theta, algorithm.init(theta), domains)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@given(problem=problems(m=(1, 1)))
def test_penalty_is_zero_when_domains_are_copies(convention, problem):
    model, theta, domains = problem
    assert penalty(model, theta, domains * 2, convention=convention) == 0
    # three copies: their mean may be rounded in its last digit
    assert penalty(model, theta, domains * 3, convention=convention) == pytest.approx(0, abs=1e-28)


def test_distances_by_hand():
    phi = np.array([1.0, 2.0, 6.0])  # deviations -2, -1, 3
    assert distance(phi) == pytest.approx(4 * 14 / 3, rel=1e-15)
    assert distance(phi, "domainbed") == pytest.approx(14 / 3, rel=1e-15)
    assert distance(phi, "paper") == distance(phi)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 4), ("domainbed", 1)])
@given(problem=problems(LINEAR))
def test_direction_weighs_domains_by_how_far_their_risks_deviate(convention, factor, problem):
    """Gradient of mean R_e + lambda c mean (R_e - mean R)^2 = mean of (1 + 2 lambda c (R_e - mean R)) g_e."""
    model, theta, domains = problem
    algorithm = vrex(model, convention=convention, penalty_weight=3.0, warm_up=0, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    R = risks_by_hand(model, theta, domains)
    g = np.array([by_hand(model, theta, domain)[1].mean(axis=0) for domain in domains])
    expected = (1 + 2 * 3 * factor * (R - R.mean())) @ g / len(domains)
    gradient = state.optimizer.mean / 0.1 * (3 if convention == "paper" else 1)  # paper divides by a weight above 1
    # terms of size 10 that may cancel
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-13)
    assert info == close({"risk": R.mean(), "penalty": factor * R.var()})
