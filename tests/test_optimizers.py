import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minifishr.optimizers import adam, sgd

RNG = np.random.default_rng(0)
EPS = 1e-8
# 50 steps, each adding a few roundings of relative size 1e-16
CLOSE = {"rtol": 1e-11, "atol": 1e-13}

lrs = st.floats(1e-4, 1.0)
decays = st.sampled_from([0.0, 0.001, 0.1])
seeds = st.integers(0, 2**32 - 1)


def path(optimizer, theta, gradients):
    """Parameters and states after each step, first those before the first step."""
    steps = [(theta, optimizer.init(theta))]
    for gradient in gradients:
        steps.append(optimizer.update(steps[-1][0], gradient, steps[-1][1]))
    return steps


def textbook_adam(theta, gradients, lr, b1, b2, eps, weight_decay=0.0, amsgrad=False):
    """One coordinate, in Python floats: Kingma and Ba's algorithm 1, with m_hat and v_hat."""
    m = v = largest = 0.0
    for t, g in enumerate(gradients, 1):
        g += weight_decay * theta
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = max(largest, v)
        m_hat, v_hat = m / (1 - b1**t), (largest if amsgrad else v) / (1 - b2**t)
        theta -= lr * m_hat / (math.sqrt(v_hat) + eps)
    return theta


@given(lrs, decays, seeds)
def test_sgd_goes_down_the_decayed_gradient(lr, weight_decay, seed):
    theta, gradient = np.random.default_rng(seed).normal(size=(2, 5))
    optimizer = sgd(lr, weight_decay=weight_decay)
    found, state = optimizer.update(theta, gradient, optimizer.init(theta))
    expected = [t - lr * g - lr * weight_decay * t for t, g in zip(theta, gradient, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert state == optimizer.init(theta) == ()


def test_sgd_decays_nothing_unless_told():
    assert sgd(0.5).update(np.array([2.0, -1.0]), np.array([1.0, 0.0]), ())[0].tolist() == [1.5, -1.0]


@given(lrs, st.lists(st.floats(1e-12, 1e3) | st.floats(-1e3, -1e-12) | st.just(0.0), min_size=1, max_size=5))
def test_first_step_of_adam_is_lr_in_every_coordinate_but_for_eps(lr, gradient):
    optimizer, theta = adam(lr), np.zeros(len(gradient))
    found, _ = optimizer.update(theta, np.array(gradient), optimizer.init(theta))
    expected = [-lr * g / (abs(g) + EPS) for g in gradient]
    # (1 - b2) g^2 / (1 - b2) has lost two or three digits in 1 - 0.999
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adam_with_a_constant_gradient_takes_steps_of_lr():
    gradient = np.array([1e-3, -0.5, 20.0])
    thetas = np.array([theta for theta, _ in path(adam(0.01, eps=0.0), np.zeros(3), [gradient] * 30)])
    expected = np.tile(-0.01 * np.sign(gradient), (30, 1))
    np.testing.assert_allclose(np.diff(thetas, axis=0), expected, rtol=1e-11)  # differences of thetas up to 0.3


def test_eps_is_added_after_the_square_root_of_the_corrected_moment():
    g = 1e-3
    optimizer = adam(0.1, eps=g)  # then |g| / (|g| + eps) is 1/2 at every step
    thetas = [theta.item() for theta, _ in path(optimizer, np.zeros(1), [np.array([g])] * 20)]
    np.testing.assert_allclose(thetas, -0.05 * np.arange(21), rtol=1e-11)


@pytest.mark.parametrize("amsgrad", [False, True])
@given(lrs, st.floats(0.0, 0.99), st.floats(0.1, 0.9999), st.sampled_from([1e-8, 1e-3]), decays, seeds)
def test_fifty_steps_of_adam_equal_the_textbook_coordinate_by_coordinate(amsgrad, lr, b1, b2, eps, decay, seed):
    rng = np.random.default_rng(seed)
    theta, gradients = rng.normal(size=3), rng.normal(size=(50, 3)) * rng.exponential(size=(50, 1))
    optimizer = adam(lr, betas=(b1, b2), eps=eps, weight_decay=decay, amsgrad=amsgrad)
    found = path(optimizer, theta, gradients)[-1][0]
    expected = [textbook_adam(t, g, lr, b1, b2, eps, decay, amsgrad) for t, g in zip(theta, gradients.T, strict=True)]
    # 1 - b2**t loses up to four digits at b2 = 0.9999; weight decay feeds them back
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_defaults_of_adam_are_those_of_the_paper(amsgrad):
    theta, gradients = RNG.normal(size=3), 1e-7 * RNG.normal(size=(50, 3))
    found = path(adam(0.01, amsgrad=amsgrad), theta, gradients)[-1][0]
    columns = zip(theta, gradients.T, strict=True)
    expected = [textbook_adam(t, g, 0.01, 0.9, 0.999, 1e-8, amsgrad=amsgrad) for t, g in columns]
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_amsgrad_is_off_unless_told_and_takes_shorter_steps_once_gradients_shrink():
    gradients = [np.array([3.0, 5.0])] + [np.array([0.01, 0.1])] * 20
    thetas = []
    for options in ({}, {"amsgrad": False}, {"amsgrad": True}):
        thetas.append(path(adam(0.1, betas=(0.9, 0.5), **options), np.zeros(2), gradients)[-1][0])
    default, adam_, amsgrad = thetas
    assert default.tolist() == adam_.tolist()
    assert not path(adam(0.1), np.zeros(2), gradients)[-1][1].largest.any()  # which only AMSGrad keeps
    assert (np.abs(amsgrad) < 0.5 * np.abs(adam_)).all()


@given(seeds)
def test_largest_second_moment_of_amsgrad_never_decreases(seed):
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(50, 3)) * rng.exponential(size=(50, 1))
    states = [state for _, state in path(adam(0.1, betas=(0.9, 0.9), amsgrad=True), np.zeros(3), gradients)]
    largest, square = (np.array([getattr(state, name) for state in states]) for name in ("largest", "square"))
    assert (np.diff(largest, axis=0) >= 0).all() and (np.diff(square, axis=0) < 0).any()
    np.testing.assert_array_equal(largest, [square[: t + 1].max(axis=0) for t in range(len(square))])


@pytest.mark.parametrize("amsgrad", [False, True])
def test_weight_decay_of_adam_is_an_l2_term_in_the_gradient(amsgrad):
    gradients = RNG.normal(size=(20, 4))
    decayed = path(adam(0.1, weight_decay=0.3, amsgrad=amsgrad), np.ones(4), gradients)
    optimizer = adam(0.1, amsgrad=amsgrad)
    theta, state = np.ones(4), optimizer.init(np.ones(4))
    for gradient, (expected, _) in zip(gradients, decayed[1:], strict=True):
        theta, state = optimizer.update(theta, gradient + 0.3 * theta, state)
        np.testing.assert_allclose(theta, expected, **CLOSE)


def test_adam_starts_from_zero_moments_and_counts_its_steps():
    steps = path(adam(0.1), np.ones(3), RNG.normal(size=(4, 3)))
    assert [state.step for _, state in steps] == [0, 1, 2, 3, 4]
    assert not np.any([steps[0][1].mean, steps[0][1].square, steps[0][1].largest])


OPTIMIZERS = {
    "sgd": sgd(0.1, weight_decay=0.01),
    "adam": adam(0.1, weight_decay=0.01),
    "amsgrad": adam(0.1, weight_decay=0.01, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_is_modified_in_place(name):
    theta, gradients = RNG.normal(size=4), RNG.normal(size=(3, 4))
    frozen = [theta, *gradients]
    copies = [array.copy() for array in frozen]
    for array in frozen:
        array.flags.writeable = False  # a write would raise
    state = OPTIMIZERS[name].init(theta)
    for gradient in gradients:
        before = [np.copy(part) for part in state]
        new_theta, new_state = OPTIMIZERS[name].update(theta, gradient, state)
        assert all(np.array_equal(old, part) for old, part in zip(before, state, strict=True))
        again, _ = OPTIMIZERS[name].update(theta, gradient, state)
        assert again.tolist() == new_theta.tolist() != theta.tolist()
        state = new_state
    assert all(np.array_equal(array, copy) for array, copy in zip(frozen, copies, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32_in_parameters_and_state(name):
    gradients = RNG.normal(size=(3, 4)).astype(np.float32)
    for theta, state in path(OPTIMIZERS[name], np.ones(4, np.float32), gradients):
        assert theta.dtype == np.float32
        assert all(part.dtype == np.float32 for part in state if isinstance(part, np.ndarray))


@pytest.mark.parametrize("factory", [sgd, adam])
def test_learning_rate_and_decay_from_a_numpy_grid_keep_float32(factory):
    lr, decay = np.logspace(-3, -2, 2)  # np.float64, which is stronger than a Python float
    optimizer, ones = factory(lr, weight_decay=decay), np.ones(4, np.float32)
    assert optimizer.update(ones, ones, optimizer.init(ones))[0].dtype == np.float32
