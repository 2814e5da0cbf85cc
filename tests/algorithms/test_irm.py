from itertools import permutations

import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from scipy.special import expit, softmax
from strategies import problems

from minifishr.algorithms.irm import distance, irm, penalty, statistic
from minifishr.data import Domain
from minifishr.losses import risk
from minifishr.mlp import MLP


def slopes(model, theta, x, y):
    """Each sample's d loss(s z)/ds at s = 1: (p - y) z for one logit, sum_c (p_c - y_c) z_c for several, (n,)."""
    z = model.logits(theta, x)
    if z.shape[1] == 1:
        return (expit(z[:, 0]) - y) * z[:, 0]
    return ((softmax(z, axis=1) - (y[:, None] == np.arange(z.shape[1]))) * z).sum(axis=1)


def close(value):
    # sums of at most 6 terms of size 1 that may cancel
    return pytest.approx(value, rel=1e-11, abs=1e-14)


@given(problems(n=(1, 6)))
def test_statistic_is_the_mean_of_the_slopes_by_hand(problem):
    model, theta, domains = problem
    for _, x, y in domains:
        assert statistic(model, theta, x, y) == close(slopes(model, theta, x, y).mean())


@given(problems(n=(1, 6)))
def test_statistic_is_the_difference_quotient_of_the_risk_of_scaled_logits(problem):
    model, theta, domains = problem

    def scaled(s, x, y):
        moved = theta.copy()
        moved[model.classifier] *= s  # the logits are linear in the classifier
        return risk(model, moved, x, y)

    for _, x, y in domains:
        quotient = (scaled(1 + 1e-5, x, y) - scaled(1 - 1e-5, x, y)) / 2e-5
        # third derivative times 1e-10 / 6, and rounding of 1e-16 / 1e-5
        assert statistic(model, theta, x, y) == pytest.approx(quotient, rel=1e-7, abs=1e-8)


@given(problems(n=(1, 6)))
def test_statistic_is_the_classifier_times_its_gradient(problem):
    """Euler's identity: the logits are homogeneous of degree 1 in the last W and b."""
    model, theta, domains = problem
    for _, x, y in domains:
        gradient = grad(lambda t, x=x, y=y: risk(model, t, x, y))(theta)
        assert statistic(model, theta, x, y) == close(gradient[model.classifier] @ theta[model.classifier])


@given(problems())
def test_paper_penalty_is_the_mean_over_domains_of_squares(problem):
    model, theta, domains = problem
    by_hand = np.mean([slopes(model, theta, x, y).mean() ** 2 for _, x, y in domains])
    assert penalty(model, theta, domains) == close(by_hand)


@given(problems())
def test_domainbed_penalty_is_the_mean_over_domains_of_products_of_even_and_odd_rows(problem):
    model, theta, domains = problem
    s = [slopes(model, theta, x, y) for _, x, y in domains]
    by_hand = np.mean([one[::2].mean() * one[1::2].mean() for one in s])
    assert penalty(model, theta, domains, convention="domainbed") == close(by_hand)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@given(problem=problems())
def test_sum_over_domains_is_each_domains_own_penalty_added_up(convention, problem):
    model, theta, domains = problem
    s = [slopes(model, theta, x, y) for _, x, y in domains]
    twins = [(one[::2], one[1::2]) if convention == "domainbed" else (one, one) for one in s]
    expected = close(sum(a.mean() * b.mean() for a, b in twins))
    assert penalty(model, theta, domains, convention=convention, reduction="sum") == expected
    algorithm = irm(model, convention=convention, reduction="sum")
    assert algorithm.update(theta, algorithm.init(theta), domains)[2]["penalty"] == expected


def test_another_reduction_is_refused_in_one_sentence():
    for refuses in (
        lambda: irm(MLP((2, 1)), reduction="max"),
        lambda: penalty(MLP((2, 1)), np.ones(3), [], reduction="max"),
    ):
        with pytest.raises(ValueError, match=r"^irm: reduction='max' is none of mean, sum$"):
            refuses()


def test_distances_by_hand():
    assert distance(np.array([1.0, -3.0, 2.0])) == pytest.approx(14 / 3, rel=1e-15)
    assert distance(np.array([[1.0, -3.0], [2.0, 5.0]])) == 3.5


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 2, 4)])
def test_square_minus_average_product_is_the_variance_of_the_slopes_over_n(sizes):
    model, rng = MLP(sizes), np.random.default_rng(4)
    theta = model.init(rng) + 0.3 * rng.normal(size=model.d)
    x, y = rng.normal(size=(5, 3)), rng.integers(0, 2, 5)
    orders = [np.array(order) for order in permutations(range(5))]
    split = np.mean([penalty(model, theta, [Domain("", x[o], y[o])], convention="domainbed") for o in orders])
    s = slopes(model, theta, x, y)
    pairs = np.mean([s[i] * s[j] for i in range(5) for j in range(5) if i != j])  # unbiased: no sample meets itself
    assert split == close(pairs)
    assert penalty(model, theta, [Domain("", x, y)]) - split == close(s.var(ddof=1) / 5)


def test_product_can_be_negative():
    domain = Domain("", np.array([[1.0], [1.0]]), np.array([1, 0]))
    slope = expit(2.0) * 2, (expit(2.0) - 1) * 2
    found = penalty(MLP((1, 1)), np.array([2.0, 0.0]), [domain], convention="domainbed")
    assert found == close(slope[0] * slope[1])
    assert found < 0


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_penalty_is_zero_where_the_classifier_is_zero(convention):
    model = MLP((3, 4, 1))
    theta = np.random.default_rng(0).normal(size=model.d)
    theta[model.classifier] = 0
    domains = [Domain("", np.ones((2, 3)) * e, np.array([0, 1])) for e in (1, 2)]
    assert penalty(model, theta, domains, convention=convention) == 0


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_penalty_is_zero_at_the_best_scale(convention):
    """Rows in pairs, three quarters of them with y = 1: logit log 3 is the best constant."""
    model, theta = MLP((1, 1)), np.array([0.0, np.log(3)])
    y = np.array([1, 1, 1, 1, 1, 1, 0, 0])
    domains = [Domain("", np.zeros((8, 1)), y)] * 2
    assert penalty(model, theta, domains, convention=convention) == pytest.approx(0, abs=1e-30)
    far = np.array([0.0, 1.0])
    assert penalty(model, far, domains, convention=convention) > 1e-4


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_direction_is_the_slope_of_the_objective_by_hand(convention, sizes):
    model, rng = MLP(sizes), np.random.default_rng(6)
    theta = model.init(rng) + 0.3 * rng.normal(size=model.d)
    domains = [Domain("", rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for n in (3, 6, 4)]

    def objective(t):
        s = [slopes(model, t, x, y) for _, x, y in domains]
        twins = [(one[::2], one[1::2]) if convention == "domainbed" else (one, one) for one in s]
        penalties = [a.mean() * b.mean() for a, b in twins]
        return np.mean([risk(model, t, x, y) for _, x, y in domains]) + 5 * np.mean(penalties)

    quotients = [(objective(theta + h) - objective(theta - h)) / 2e-6 for h in 1e-6 * np.eye(model.d)]
    options = {"penalty_weight": 5.0, "warm_up": 0, "weight_decay": 0.0}
    algorithm = irm(model, convention=convention, **options)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    gradient = state.optimizer.mean / 0.1 * (5 if convention == "paper" else 1)  # paper divides by a weight above 1
    # rounding of 1e-16 / 1e-6 times the objective of size 1
    np.testing.assert_allclose(gradient, quotients, rtol=1e-7, atol=1e-8)
    assert info["risk"] + 5 * info["penalty"] == pytest.approx(objective(theta), rel=1e-12)


def test_halves_need_two_rows():
    domains = [Domain("", np.ones((n, 3)), np.zeros(n, int)) for n in (2, 1)]
    model = MLP((3, 1))
    algorithm = irm(model, convention="domainbed")
    theta = np.ones(4)
    for refused in (
        lambda: penalty(model, theta, domains, convention="domainbed"),
        lambda: algorithm.update(theta, algorithm.init(theta), domains),
    ):
        with pytest.raises(ValueError, match=r"^irm: convention='domainbed' needs at least 2 samples a domain, got 1$"):
            refused()
    penalty(model, theta, domains)  # the paper's square is happy with one
