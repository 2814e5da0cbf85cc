from itertools import combinations

import numpy as np
import pytest
from algorithms.test_erm import LINEAR, assert_follows_erm, by_hand
from algorithms.test_fishr import quotients, toy
from algorithms.test_iga import BAD, both_conventions, gradients_by_hand, hessian_by_hand
from autograd import grad
from hypothesis import given
from hypothesis import settings as examples
from strategies import problems

from minifishr.algorithms import iga
from minifishr.algorithms.idgm import DEFAULTS, distance, idgm, penalty
from minifishr.losses import risks
from minifishr.mlp import MLP


def inner_products(g):
    """<g_e, g_f> of every pair e < f, coordinate by coordinate."""
    return [sum(a * b for a, b in zip(one, other, strict=True)) for one, other in combinations(g, 2)]


def close(value, g):
    # inner products of either sign lose digits beside g's squares
    return pytest.approx(value, rel=1e-10, abs=1e-14 * (g**2).sum())


@both_conventions
@given(problem=problems(m=(2, 4), n=(1, 6)))
def test_penalty_is_minus_the_mean_inner_product_over_pairs(convention, problem):
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    assert penalty(model, theta, domains, convention=convention) == close(-np.mean(inner_products(g)), g)


@given(problems(m=(2, 4)))
def test_penalty_is_that_of_iga_less_the_length_of_the_mean_gradient(problem):
    """mean over pairs of <g_e, g_f> = ||g||^2 - V / (m - 1)."""
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    length = sum(value**2 for value in np.mean(g, axis=0))
    V = iga.penalty(model, theta, domains, convention="paper")
    assert penalty(model, theta, domains) == close(V / (len(g) - 1) - length, g)


def test_distances_by_hand():
    assert distance(np.array([[1.0, 2.0], [3.0, 4.0]])) == -11
    assert distance(np.array([[1.0, 0.0], [2.0, 3.0], [6.0, 3.0]])) == pytest.approx(-(2 + 6 + 21) / 3, rel=1e-15)
    assert distance(np.array([[1.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 2.0]])) == 0  # orthogonal
    assert distance(np.array([[1.0, 2.0], [-1.0, -2.0]])) == 5  # opposite


@given(problems(m=(1, 1)))
def test_penalty_of_copies_is_minus_the_squared_length_of_their_gradient(problem):
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    for m in (2, 3, 5):
        assert penalty(model, theta, domains * m) == close(-(g**2).sum(), g)


@given(problems())
def test_penalty_is_at_least_minus_the_mean_squared_length(problem):
    """Equal gradients are the best that gradients of given lengths can be (Cauchy and Schwarz)."""
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    lengths = np.linalg.norm(g, axis=1)
    best = np.mean([a * b for a, b in combinations(lengths, 2)])
    assert abs(penalty(model, theta, domains)) <= best * (1 + 1e-12)


@examples(max_examples=30)
@given(problems())
def test_penalty_knows_no_order_of_domains_or_samples_and_no_repetition(problem):
    model, theta, domains = problem
    expected = close(penalty(model, theta, domains), gradients_by_hand(model, theta, domains))
    backwards = [d._replace(x=d.x[::-1], y=d.y[::-1]) for d in domains]
    doubled = [d._replace(x=np.tile(d.x, (2, 1)), y=np.tile(d.y, 2)) for d in domains]
    for same in (domains[::-1], backwards, doubled):
        assert penalty(model, theta, same) == expected


@given(problems([(3, 1)], m=(2, 4)))
def test_gradient_of_the_penalty_is_hessians_times_the_other_gradients(problem):
    """grad <g_e, g_f> = H_e g_f + H_f g_e, the term that a walk of Fish has beside the risks."""
    model, theta, domains = problem
    g = [by_hand(model, theta, domain)[1].mean(axis=0) for domain in domains]
    H = [hessian_by_hand(model, theta, domain) for domain in domains]
    slopes = [H[e] @ g[f] + H[f] @ g[e] for e, f in combinations(range(len(g)), 2)]
    found = grad(lambda t: penalty(model, t, domains))(theta)
    # sums of products of size 10 that may cancel
    np.testing.assert_allclose(found, -np.mean(slopes, axis=0), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("weight", [0.7, 5.0])
@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
@both_conventions
def test_direction_is_the_slope_of_the_objective_by_hand(convention, sizes, weight):
    model, theta, domains = toy(sizes, (3, 6, 4))

    def term(t):
        return -np.mean(inner_products(gradients_by_hand(model, t, domains)))

    algorithm = idgm(model, convention=convention, penalty_weight=weight, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    # paper divides by a weight above 1
    gradient = state.optimizer.mean / 0.1 * (weight if convention == "paper" and weight > 1 else 1)
    of_risk = quotients(lambda t: risks(model, t, domains).mean(), theta)
    of_penalty = weight * quotients(term, theta)
    np.testing.assert_allclose(gradient, of_risk + of_penalty, rtol=1e-6, atol=1e-7)
    assert np.abs(of_penalty).max() > 0.01  # it does have an effect
    assert info == pytest.approx({"risk": risks(model, theta, domains).mean(), "penalty": term(theta)}, rel=1e-10)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
@examples(max_examples=30)
@given(problem=problems(LINEAR))
def test_without_its_weight_it_is_erm_with_equal_domains(convention, factor, problem):
    model, theta, domains = problem
    algorithm = idgm(model, convention=convention, penalty_weight=0, lr=0.02, weight_decay=0.3)
    assert_follows_erm(algorithm, model, theta, domains, lr=0.02, decay=factor * 0.3)


def test_weight_defaults_to_one_without_warm_up():
    for convention in ("paper", "domainbed"):
        assert DEFAULTS[convention]["penalty_weight"] == 1
        assert DEFAULTS[convention]["warm_up"] == 0


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=f"^{message.format('idgm')}$"):
        idgm(MLP((2, 1)), **given)


def test_one_domain_and_an_unknown_convention_are_refused():
    model, theta, domains = toy((3, 1))
    algorithm = idgm(model)
    with pytest.raises(ValueError, match=r"^idgm needs at least 2 domains, got 1: \[''\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])
    with pytest.raises(ValueError, match=r"^idgm: unknown convention 'own', expected one of paper, domainbed$"):
        penalty(model, theta, domains, convention="own")
