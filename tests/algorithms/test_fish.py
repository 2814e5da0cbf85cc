from itertools import permutations

import numpy as np
import pytest
from algorithms.test_erm import LINEAR, by_hand
from algorithms.test_protocol import adam_step
from hypothesis import given
from strategies import problems

from minifishr.algorithms.fish import fish, walk
from minifishr.data import Domain
from minifishr.mlp import MLP
from minifishr.optimizers import sgd


def toy(sizes=(3, 1), m=3):
    model, rng = MLP(sizes), np.random.default_rng(8)
    classes = max(2, sizes[-1])
    domains = [Domain(f"{e}", rng.normal(size=(4 + e, 3)) + e, rng.integers(0, classes, 4 + e)) for e in range(m)]
    return model, model.init(rng) + 0.3 * rng.normal(size=model.d), domains


@given(problems(LINEAR))
def test_walk_takes_one_step_on_each_domain_in_turn(problem):
    model, theta, domains = problem
    walked, state, met = walk(model, theta, (), domains, sgd(0.5))
    risks = []
    for domain in domains:
        losses, gradients = by_hand(model, theta, domain)
        risks.append(losses.mean())
        theta = theta - 0.5 * gradients.mean(axis=0)
    assert state == ()
    np.testing.assert_allclose(walked, theta, rtol=1e-11, atol=1e-13)  # at most 3 steps of size 1
    np.testing.assert_allclose(met, risks, rtol=1e-12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_walk_is_the_sum_of_gradients_and_the_slope_of_their_inner_product(seed):
    """theta~ - theta = -a (g_1 + g_2) + a^2/2 grad <g_1, g_2> + O(a^3), averaged over both orders."""
    rng = np.random.default_rng(seed)
    model, theta = MLP((3, 1)), rng.normal(size=4)
    domains = [Domain("", 2 * rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for n in (5, 7)]
    g, H = [], []
    for domain in domains:
        inputs = np.column_stack([domain.x, np.ones(len(domain.y))])
        p = 1 / (1 + np.exp(-inputs @ theta))
        g.append(inputs.T @ (p - domain.y) / len(p))
        H.append((inputs.T * p * (1 - p)) @ inputs / len(p))
    slope = H[0] @ g[1] + H[1] @ g[0]

    def error(a):
        ends = [walk(model, theta, (), order, sgd(a))[0] for order in (domains, domains[::-1])]
        return np.linalg.norm(np.mean(ends, axis=0) - theta + a * (g[0] + g[1]) - a**2 / 2 * slope)

    # halving the step divides the error by 8: between the next term in a (large steps) and rounding (tiny ones)
    orders = [np.log2(error(a) / error(a / 2)) for a in (0.04, 0.02, 0.01)]
    assert all(2.8 < order < 3.2 for order in orders), orders
    without = [np.linalg.norm(a**2 / 2 * slope) for a in (0.01, 0.005)]
    assert error(0.01) < 0.1 * without[0]  # the second-order term is there, with its factor 1/2


def trajectory(model, theta, domains, orders, share, decay, amsgrad):
    """Fish by hand: the inner Adam never starts anew."""
    past, thetas = [], [theta]
    for order in orders:
        walked = theta
        for e in order:
            past = [*past, by_hand(model, walked, domains[e])[1].mean(axis=0) + decay * walked]
            walked = adam_step(walked, past, 0.1, amsgrad)
        theta = theta + share * (walked - theta)
        thetas.append(theta)
    return thetas


@pytest.mark.parametrize("sizes", LINEAR)
@pytest.mark.parametrize("meta_lr", [0.5, 1.0])
def test_domainbed_trajectory_is_the_one_written_by_hand(sizes, meta_lr):
    model, theta, domains = toy(sizes)
    algorithm = fish(model, convention="domainbed", lr=0.1, meta_lr=meta_lr, weight_decay=0.2)
    state = algorithm.init(theta)
    for expected in trajectory(model, theta, domains, [(0, 1, 2)] * 4, meta_lr, 0.2, amsgrad=False)[1:]:
        theta, state, _ = algorithm.update(theta, state, domains)
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-11)  # 12 steps of 0.1, no gradient near 0
    assert state.step == 4
    assert state.optimizer.step == 12


def matching_order(model, theta, domains, found, share, decay):
    """The order of the domains whose first walk by hand ends at `found`."""
    ends = {o: trajectory(model, theta, domains, [o], share, decay, amsgrad=True)[1] for o in permutations(range(3))}
    (order,) = [o for o, end in ends.items() if np.allclose(end, found, rtol=0, atol=1e-11)]
    return order


def first_order(seed, step):
    model, theta, domains = toy()
    algorithm = fish(model, lr=0.1, meta_lr=0.6, weight_decay=0.2, seed=seed)
    state = algorithm.init(theta)._replace(step=step)
    found, _, _ = algorithm.update(theta, state, domains)
    return matching_order(model, theta, domains, found, 0.6 / 3, 0.4)  # decay: 0.2 * ||theta||^2 in the loss


def test_paper_order_is_a_pure_function_of_seed_and_step():
    orders = {(seed, step): first_order(seed, step) for seed in (0, 1) for step in range(12)}
    assert orders == {(seed, step): first_order(seed, step) for seed in (0, 1) for step in range(12)}
    assert [orders[0, step] for step in range(12)] != [orders[1, step] for step in range(12)]
    # 24 draws of 6 orders: all the same with probability 6^-23, and the seeds are fixed
    assert len(set(orders.values())) >= 4


def test_paper_trajectory_is_amsgrad_in_a_random_order():
    model, theta, domains = toy()
    algorithm = fish(model, lr=0.1, meta_lr=0.6, weight_decay=0.2, seed=5)
    orders, start, state = [first_order(5, step) for step in range(5)], theta, algorithm.init(theta)
    for t, expected in enumerate(trajectory(model, start, domains, orders, 0.2, 0.4, amsgrad=True)[1:]):
        theta, state, _ = algorithm.update(theta, state, domains)
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-11, err_msg=f"step {t}")
    plain = trajectory(model, start, domains, orders, 0.2, 0.4, amsgrad=False)[-1]
    assert np.abs(plain - theta).max() > 1e-6  # plain Adam ends elsewhere, by far more than 1e-11


def test_meta_step_is_divided_by_the_number_of_domains_in_the_paper_alone():
    model, theta, (domain, *_) = toy()
    copies = [domain] * 4  # of one domain, so that the order does not matter
    same = {"lr": 0.1, "weight_decay": 0.0}
    moved = {}
    for convention, meta_lr in (("paper", 2.0), ("domainbed", 0.5)):
        algorithm = fish(model, convention=convention, meta_lr=meta_lr, **same)
        moved[convention] = algorithm.update(theta, algorithm.init(theta), copies)[0] - theta
    # a first walk on one domain: gradients shrink, so AMSGrad may divide by a little more than Adam
    np.testing.assert_allclose(moved["paper"], moved["domainbed"], rtol=0.01)


def test_meta_lr_zero_stays_and_one_is_the_inner_walk():
    model, theta, domains = toy()
    still = fish(model, convention="domainbed", meta_lr=0)
    np.testing.assert_array_equal(still.update(theta, still.init(theta), domains)[0], theta)
    whole = fish(model, convention="domainbed", meta_lr=1, lr=0.1)
    (_, end) = trajectory(model, theta, domains, [(0, 1, 2)], 1.0, 0.0, amsgrad=False)
    np.testing.assert_allclose(whole.update(theta, whole.init(theta), domains)[0], end, rtol=0, atol=1e-12)


def test_risk_is_the_mean_of_those_met_on_the_walk():
    model, theta, domains = toy()
    algorithm = fish(model, convention="domainbed", lr=0.1, weight_decay=0.0)
    _, _, info = algorithm.update(theta, algorithm.init(theta), domains)
    met, past, walked = [], [], theta
    for domain in domains:
        losses, gradients = by_hand(model, walked, domain)
        met, past = [*met, losses.mean()], [*past, gradients.mean(axis=0)]
        walked = adam_step(walked, past, 0.1)
    assert info == pytest.approx({"risk": np.mean(met)}, rel=1e-12)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_one_domain_is_refused(convention):
    model, theta, domains = toy()
    algorithm = fish(model, convention=convention)
    with pytest.raises(ValueError, match=r"^fish needs at least 2 domains, got 1: \['0'\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])
