"""SD, IB-ERM, IB-IRM, MMD and GroupDRO from their definitions."""

from itertools import combinations

import numpy as np
import pytest
from algorithms.test_fishr import quotients, toy
from algorithms.test_protocol import adam_step
from hypothesis import given
from hypothesis import settings as examples
from strategies import problems

from minifishr.algorithms import ALGORITHMS, MODULES, group_dro, ib_erm, ib_irm, irm, mmd, sd
from minifishr.gradients import domain_gradients
from minifishr.losses import risks

CONVENTIONS = pytest.mark.parametrize(("convention", "decay"), [("paper", 2), ("domainbed", 1)])


@given(problems())
def test_sd_is_the_mean_square_of_all_logits(problem):
    model, theta, domains = problem
    z = np.concatenate([model.logits(theta, d.x) for d in domains])
    for convention in ("paper", "domainbed"):
        assert sd.penalty(*problem, convention=convention) == pytest.approx(np.mean(z**2), rel=1e-12)


@given(problems())
def test_ib_is_the_mean_variance_of_the_features(problem):
    model, theta, domains = problem
    expected = np.mean([np.var(model.features(theta, d.x), axis=0, ddof=1).mean() for d in domains])
    assert ib_erm.penalty(*problem) == pytest.approx(expected, rel=1e-11, abs=1e-14)
    both = [ib_irm.penalty(*problem, ib_weight=w) for w in (0.0, 2.0)]
    slope = irm.penalty(*problem, convention="domainbed")
    assert both == pytest.approx([slope, slope + 2 * expected], rel=1e-11, abs=1e-14)


def kernel(a, b):
    """The mean of the sum of seven kernels, by loops."""
    scales = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
    return np.mean([[sum(np.exp(-s * np.sum((p - q) ** 2)) for s in scales) for q in b] for p in a])


@examples(max_examples=30)
@given(problems(m=(2, 4)))
def test_mmd_is_the_mean_over_pairs_of_sums_of_kernels(problem):
    model, theta, domains = problem
    a = [model.features(theta, d.x) for d in domains]
    expected = np.mean([kernel(p, p) + kernel(q, q) - 2 * kernel(p, q) for p, q in combinations(a, 2)])
    # D errs by 1e-15 times its terms, and the steepest kernel makes 1 000 times as much of it
    size = max(1, max((one**2).sum(axis=1).max() for one in a))
    assert mmd.penalty(*problem) == pytest.approx(expected, rel=1e-9, abs=1e-11 * size)


def test_mmd_of_many_rows_is_refused_before_it_takes_the_memory():
    rows = np.zeros((20_000, 1))
    with pytest.raises(ValueError, match=r"^mmd: pairs of 20000 and 20000 rows take too much memory: use minibatches$"):
        mmd.likeness(rows, rows)


def test_derivatives_of_the_kernels_are_those_of_differences():
    D = np.array([[0.0, 0.3], [2.0, 40.0]])
    for order in (0, 1, 2):
        difference = (mmd.kernels(D + 1e-7, order) - mmd.kernels(D - 1e-7, order)) / 2e-7
        np.testing.assert_allclose(mmd.kernels(D, order + 1), difference, rtol=1e-4, atol=1e-9)


ROWS = [(4, 4, 4), (6, 8, 11)]


@CONVENTIONS
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", ["sd", "ib_erm", "mmd"])
def test_trajectory_is_adam_on_finite_differences_of_the_objective(name, rows, convention, decay):
    model, theta, domains = toy((3, 4, 2), rows)
    warm_up = {"warm_up": 1} if name == "ib_erm" else {}
    method = ALGORITHMS[name](model, convention=convention, lr=0.01, weight_decay=0.1, penalty_weight=3.0, **warm_up)
    state, by_hand, past = method.init(theta), theta, []
    weights = np.array(rows) / sum(rows) if name == "sd" else np.full(3, 1 / 3)
    for step in range(3):
        weight = 0 if name == "ib_erm" and step < 1 else 3
        past = [] if name == "ib_erm" and step == 1 else past

        def objective(t, weight=weight):
            return risks(model, t, domains) @ weights + weight * MODULES[name].penalty(model, t, domains)

        past = [*past, quotients(objective, by_hand) + decay * 0.1 * by_hand]
        by_hand = adam_step(by_hand, past, 0.01)
        theta, state, info = method.update(theta, state, domains)
        assert np.isfinite(info["penalty"])
    np.testing.assert_allclose(theta, by_hand, rtol=0, atol=1e-6)  # of differences


@CONVENTIONS
def test_ib_irms_weights_have_warm_ups_of_their_own_and_adam_is_new_at_either_end(convention, decay):
    model, theta, domains = toy((3, 4, 2), (4, 6, 5))
    hyper = {"penalty_weight": 3.0, "warm_up": 1, "ib_weight": 2.0, "ib_warm_up": 2, "lr": 0.01, "weight_decay": 0.1}
    method = ALGORITHMS["ib_irm"](model, convention=convention, **hyper)
    state, by_hand, past = method.init(theta), theta, []
    for step in range(4):
        first, second = (1, 3, 3, 3)[step], (0, 0, 2, 2)[step]
        past = [] if step in (1, 2) else past

        def objective(t, first=first, second=second):
            slope = irm.penalty(model, t, domains, convention="domainbed")
            return risks(model, t, domains).mean() + first * slope + second * ib_erm.penalty(model, t, domains)

        past = [*past, quotients(objective, by_hand) + decay * 0.1 * by_hand]
        by_hand = adam_step(by_hand, past, 0.01)
        theta, state, _ = method.update(theta, state, domains)
        assert state.optimizer.step == len(past)
    np.testing.assert_allclose(theta, by_hand, rtol=0, atol=1e-6)


@CONVENTIONS
@pytest.mark.parametrize("eta", [0.01, 3.0])
def test_group_dro_is_adam_with_weights_that_are_multiplied_and_kept(convention, decay, eta):
    model, theta, domains = toy((3, 4, 2), (4, 6, 5))
    method = ALGORITHMS["group_dro"](model, convention=convention, eta=eta, lr=0.01, weight_decay=0.1)
    state, by_hand, past, q = method.init(theta), theta, [], np.ones(3)
    for _ in range(4):
        R, g = domain_gradients(model, by_hand, domains)
        q = q * np.exp(eta * R)
        q = q / q.sum()
        past = [*past, q @ g + decay * 0.1 * by_hand]
        by_hand = adam_step(by_hand, past, 0.01)
        theta, state, info = method.update(theta, state, domains)
        np.testing.assert_allclose(np.exp(state.memory), q, rtol=1e-10)
        assert info == pytest.approx({"risk": R.mean(), "share": q.max()}, rel=1e-10)
        np.testing.assert_allclose(theta, by_hand, rtol=0, atol=1e-9)


def test_groups_that_appear_or_vanish_are_refused():
    model, theta, domains = toy((3, 4, 2), (4, 6, 5))
    method = ALGORITHMS["group_dro"](model)
    theta, state, _ = method.update(theta, method.init(theta), domains)
    for others in (domains[:2], [*domains, domains[0]]):
        with pytest.raises(ValueError, match=f"^group_dro remembers 3 domains, got {len(others)}$"):
            method.update(theta, state, others)


def test_weights_of_groups_neither_overflow_nor_die():
    R, log_q = np.array([1e4, 0.0]), np.zeros(())
    for _ in range(3):
        log_q = group_dro.shares(R, log_q, 1.0)
    assert log_q.tolist() == [0, -3e4]
    for _ in range(4):  # a domain that had no weight left comes back
        log_q = group_dro.shares(R[::-1], log_q, 1.0)
    assert log_q.tolist() == [-1e4, 0]
