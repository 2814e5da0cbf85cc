import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems

from minifishr.algorithms.sand_mask import mask, sand_mask
from minifishr.data import Domain
from minifishr.gradients import domain_gradients
from minifishr.mlp import MLP


def slow_mask(g, tau, k):
    """max(0, tanh(k / variance * (agreement - tau))), coordinate by coordinate, for variances above 0."""
    result = []
    for column in g.T:
        mean = sum(column) / len(column)
        variance = sum((value - mean) ** 2 for value in column) / (len(column) - 1)
        agreement = abs(sum(math.copysign(1, value) if value else 0 for value in column)) / len(column)
        result.append(max(0.0, math.tanh(k / variance * (agreement - tau))))
    return np.array(result)


def column(*values):
    """Gradients of one coordinate, (m,1)."""
    return np.array(values, float)[:, None]


gradients = st.builds(
    lambda seed, m, d, size: size * np.random.default_rng(seed).normal(size=(m, d)),
    st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 6), st.sampled_from([1e-3, 1.0, 30.0]),
)  # fmt: skip
taus, ks = st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.sampled_from([0.0, 1e-6, 0.1, 1.0, 10.0, 1e5])


@given(gradients, taus, ks)
def test_mask_is_the_slow_definition(g, tau, k):
    # tanh(u) moves by at most u's relative rounding; a variance of two close numbers loses digits
    np.testing.assert_allclose(mask(g, tau=tau, k=k), slow_mask(g, tau, k), rtol=1e-9, atol=1e-300)


@given(gradients, taus, ks)
def test_mask_is_between_zero_and_one(g, tau, k):
    kept = mask(g, tau=tau, k=k)
    assert kept.shape == g.shape[1:]
    assert (kept >= 0).all()
    assert (kept <= 1).all()


def test_mask_by_hand():
    # variance with 1/(m-1): of (1, 3) it is 2, of (1, 2, 6) it is 7
    assert mask(column(1, 3), tau=0.5, k=2.0)[0] == pytest.approx(math.tanh(2 / 2 * 0.5), rel=1e-15)
    assert mask(column(1, 2, 6), tau=0.25, k=3.0)[0] == pytest.approx(math.tanh(3 / 7 * 0.75), rel=1e-15)
    # two signs against one agree by 1/3
    assert mask(column(1, 2, -6), tau=0.25, k=3.0)[0] == pytest.approx(math.tanh(3 / 19 * (1 / 3 - 0.25)), rel=1e-14)
    assert mask(column(-1, -3), tau=0.5, k=2.0) == mask(column(1, 3), tau=0.5, k=2.0)


def test_disagreement_is_masked_out():
    assert mask(column(1, -1), tau=0.1, k=10.0) == 0
    assert mask(column(1, 2, -1), tau=0.5, k=10.0) == 0  # agreement 1/3
    assert mask(column(1, 2, -1), tau=0.3, k=10.0) > 0


def test_a_zero_gradient_counts_as_disagreement():
    assert mask(column(1, 0), tau=0.5, k=10.0) == 0  # agreement 1/2, not above tau
    assert mask(column(1, 0), tau=0.6, k=10.0) == 0
    assert mask(column(1, 0), tau=0.4, k=10.0)[0] == pytest.approx(math.tanh(10 / 0.5 * 0.1), rel=1e-14)
    assert mask(column(0, 0), tau=0.5, k=10.0) == 0


@given(gradients, taus)
def test_small_k_masks_in_proportion_and_large_k_by_agreement_alone(g, tau):
    agreement = np.abs(np.sign(g).mean(axis=0))
    assert (mask(g, tau=tau, k=0.0) == 0).all()
    tiny = 1e-6 * g.var(axis=0).min()  # the argument of tanh is at most 1e-6, where tanh(u) = u to 1e-12
    slope = np.maximum(agreement - tau, 0) / g.var(axis=0, ddof=1)
    np.testing.assert_allclose(mask(g, tau=tau, k=tiny) / tiny, slope, rtol=1e-11)
    np.testing.assert_array_equal(mask(g, tau=tau, k=1e9), agreement > tau)


def test_mask_saturates_for_small_gradients():
    g = 1e-3 * np.random.default_rng(0).normal(size=(3, 200))
    kept = mask(g, tau=0.5, k=10.0)
    assert set(kept) == {0.0, 1.0}
    assert len(set(mask(1e3 * g, tau=0.5, k=10.0))) > 2  # the same gradients in other units


def test_equal_gradients_are_kept_whole_where_they_agree():
    assert mask(column(0.5, 0.5), tau=0.9, k=1e-9) == 1
    assert mask(column(-2, -2, -2), tau=0.0, k=1e-9) == 1
    assert mask(column(0, 0), tau=0.1, k=10.0) == 0  # no sign, no agreement


def test_zero_times_infinity_is_next_to_nothing():
    assert mask(column(0, 0), tau=0.0, k=10.0) == 1e-17  # agreement = tau at variance 0
    assert mask(column(2, 2), tau=0.5, k=0.0) == 1e-17  # k = 0 at variance 0


@given(problems(m=(2, 4)), taus, st.sampled_from([1e-3, 0.1, 10.0]))
def test_direction_is_mask_times_mean_divided_by_the_mean_mask_of_each_block(problem, tau, k):
    model, theta, domains = problem
    algorithm = sand_mask(model, tau=tau, k=k, weight_decay=0.0, convention="domainbed")
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    values, g = domain_gradients(model, theta, domains)
    kept, expected = mask(g, tau=tau, k=k), np.zeros(model.d)
    for block in model.blocks.values():
        share = sum(kept[block]) / (block.stop - block.start)
        expected[block] = kept[block] * g[:, block].mean(axis=0) / (1e-10 + share)
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-12, atol=1e-300)
    assert info == pytest.approx({"risk": values.mean(), "kept": kept.mean()}, rel=1e-13)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
def test_weight_decay_is_not_masked(convention, factor):
    model, theta = MLP((1, 1)), np.array([2.0, -3.0])
    opposite = [Domain("", np.zeros((1, 1)), np.array([y])) for y in (0, 1)]  # gradients of the bias disagree
    algorithm = sand_mask(model, convention=convention, weight_decay=0.1, tau=0.3)
    _, state, info = algorithm.update(theta, algorithm.init(theta), opposite)
    assert info["kept"] == 0
    np.testing.assert_allclose(state.optimizer.mean / 0.1, factor * 0.1 * theta, rtol=1e-14)


def test_tau_one_is_refused_with_the_reason():
    for tau in (1, 1.0):
        with pytest.raises(ValueError, match=r"^sand_mask: tau=1 never updates anything, because .* use tau < 1$"):
            sand_mask(MLP((2, 1)), tau=tau)
    assert (mask(np.ones((3, 4)) + np.arange(3)[:, None], tau=1, k=1e9) == 0).all()  # the reason


def test_variance_too_small_to_divide_by_is_full_agreement_without_a_warning():
    g = np.array([[1e-160, 1.0], [2e-160, -1.0]])  # a variance of 5e-321: 10 / 5e-321 is no number
    np.testing.assert_array_equal(mask(g, tau=0.5, k=10.0), [1.0, 0.0])
