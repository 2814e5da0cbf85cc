import re
import tracemalloc
from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, jacobian
from autograd.test_util import check_grads
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from strategies import problems

from minifishr.data import Domain
from minifishr.gradients import (
    METHODS,
    domain_gradients,
    gradient_moments,
    gradient_variance,
    inputs_and_deltas,
    per_sample_gradients,
)
from minifishr.losses import risk
from minifishr.mlp import MLP

CLOSE = {"rtol": 1e-11, "atol": 1e-12}  # float64 rounding of a few layers of short sums of size one
STEP = 1e-30  # imaginary: nothing is subtracted, hence no rounding error and no kink within reach

scopes = st.sampled_from(["classifier", "all"])
one = problems(m=(1, 1))


def losses_by_hand(sizes, theta, x, y):
    """Per-sample losses in plain NumPy, for real or complex theta; logits of moderate size."""
    a, start = x, 0
    for layer, (i, j) in enumerate(pairwise(sizes), 1):
        W, b = theta[start : start + i * j].reshape(i, j), theta[start + i * j : start + i * j + j]
        start, z = start + i * j + j, a @ W + b
        a = z if layer == len(sizes) - 1 else z * (z.real > 0)
    if sizes[-1] == 1:
        return np.log(1 + np.exp(np.where(y == 1, -a[:, 0], a[:, 0])))
    return np.log(np.exp(a).sum(axis=1)) - np.array([row[label] for row, label in zip(a, y, strict=True)])


def derivatives(f, theta):
    """Of f: (d,) -> any shape, by complex steps, (..., d)."""
    steps = STEP * 1j * np.eye(len(theta))
    return np.stack([f(theta + step).imag / STEP for step in steps], axis=-1)


def gradients_by_hand(sizes, theta, x, y):
    """Per-sample gradients (n,d) by back-propagation of one sample at a time, for real or complex theta."""
    rows = []
    for a, label in zip(x, y, strict=True):
        layers, inputs, zs, start = [], [], [], 0
        for i, j in pairwise(sizes):
            layers.append((theta[start : start + i * j].reshape(i, j), theta[start + i * j : start + i * j + j]))
            inputs.append(a)
            zs.append(a @ layers[-1][0] + layers[-1][1])
            start, a = start + i * j + j, zs[-1] * (zs[-1].real > 0)
        z, k = zs[-1], sizes[-1]
        p = 1 / (1 + np.exp(-z)) if k == 1 else np.exp(z) / np.exp(z).sum()
        delta, row = p - (label if k == 1 else np.eye(k)[label]), []
        for l in reversed(range(len(layers))):
            row = [np.outer(inputs[l], delta).ravel(), delta, *row]
            delta = (layers[l][0] @ delta) * (zs[l - 1].real > 0) if l else None
        rows.append(np.concatenate(row))
    return np.array(rows)


def variance_by_hand(sizes, theta, x, y, scope="classifier", ddof=0):
    """Two passes over stored gradients, for real or complex theta (np.var would take absolute values)."""
    G = gradients_by_hand(sizes, theta, x, y)
    G = G[:, -(sizes[-2] + 1) * sizes[-1] :] if scope == "classifier" else G
    return np.sum((G - G.mean(axis=0)) ** 2, axis=0) / (len(y) - ddof)


@given(one)
def test_back_propagation_by_hand_equals_complex_steps(drawn):
    model, theta, ((_, x, y),) = drawn
    expected = derivatives(lambda t: losses_by_hand(model.sizes, t, x, y), theta)
    np.testing.assert_allclose(gradients_by_hand(model.sizes, theta, x, y), expected, **CLOSE)


@pytest.mark.parametrize("method", METHODS)
@given(drawn=problems(m=(1, 1), n=(1, 6)))
def test_per_sample_gradients_equal_complex_steps_of_the_losses(method, drawn):
    model, theta, ((_, x, y),) = drawn
    expected = derivatives(lambda t: losses_by_hand(model.sizes, t, x, y), theta)
    G = per_sample_gradients(model, theta, x, y, method=method)
    assert G.shape == (len(y), model.d)
    np.testing.assert_allclose(G, expected, **CLOSE)


@given(one)
def test_all_methods_agree_and_taps_is_the_default(drawn):
    model, theta, ((_, x, y),) = drawn
    found = [per_sample_gradients(model, theta, x, y, method) for method in ("loop", "jacobian", "tiled", "taps")]
    for G in found:
        np.testing.assert_allclose(G, found[0], **CLOSE)
    assert per_sample_gradients(model, theta, x, y).tolist() == found[-1].tolist()


@pytest.mark.parametrize("method", METHODS)
@given(drawn=problems(sizes=[(3, 4, 1), (3, 2, 5, 4)], m=(1, 1)))
def test_slope_at_the_kink_is_zero_so_that_only_the_last_bias_moves_from_zero_parameters(method, drawn):
    model, theta, ((_, x, y),) = drawn
    k = model.sizes[-1]
    expected = np.zeros((len(y), model.d))
    expected[:, -k:] = (0.5 - y)[:, None] if k == 1 else 1 / k - np.eye(k)[y]
    G = per_sample_gradients(model, np.zeros_like(theta), x, y, method)
    np.testing.assert_allclose(G, expected, **CLOSE)


@given(problems(sizes=[(3, 1)], m=(1, 1)))
def test_gradients_of_logistic_regression_are_residual_times_input(drawn):
    model, theta, ((_, x, y),) = drawn
    residual = special.expit(x @ theta[:3] + theta[3]) - y
    expected = residual[:, None] * np.column_stack([x, np.ones(len(x))])
    np.testing.assert_allclose(per_sample_gradients(model, theta, x, y), expected, **CLOSE)


@given(problems(sizes=[(3, 4), (3, 2)], m=(1, 1)))
def test_gradients_of_softmax_regression_are_outer_products_of_input_and_residual(drawn):
    model, theta, ((_, x, y),) = drawn
    k = model.sizes[-1]
    residual = special.softmax(x @ theta[: 3 * k].reshape(3, k) + theta[3 * k :], axis=1)
    residual[np.arange(len(y)), y] -= 1
    G = per_sample_gradients(model, theta, x, y)
    for i in range(len(y)):
        expected = [x[i, r] * residual[i, c] for r in range(3) for c in range(k)] + residual[i].tolist()
        np.testing.assert_allclose(G[i], expected, **CLOSE)


@given(one)
def test_mean_of_the_per_sample_gradients_is_the_gradient_of_the_risk(drawn):
    model, theta, ((_, x, y),) = drawn
    gradient = grad(lambda theta: risk(model, theta, x, y))(theta)
    np.testing.assert_allclose(per_sample_gradients(model, theta, x, y).mean(axis=0), gradient, **CLOSE)


@given(problems(n=(1, 6)))
def test_domain_gradients_are_risks_and_their_gradients_one_row_a_domain(drawn):
    model, theta, domains = drawn
    R, g = domain_gradients(model, theta, domains)
    assert R.shape == (len(domains),) and g.shape == (len(domains), model.d)
    for e, (_, x, y) in enumerate(domains):
        np.testing.assert_allclose(R[e], losses_by_hand(model.sizes, theta, x, y).mean(), **CLOSE)
        np.testing.assert_allclose(g[e], gradients_by_hand(model.sizes, theta, x, y).mean(axis=0), **CLOSE)


@pytest.mark.untraced
@given(problems(m=(2, 2), n=(1, 4)))
def test_domain_gradients_can_be_differentiated_again(drawn):
    model, theta, domains = drawn

    def stacked(gradients):
        return lambda t: np.stack([gradients(model.sizes, t, x, y).mean(axis=0) for _, x, y in domains])

    found = jacobian(lambda t: domain_gradients(model, t, domains)[1])(theta)
    np.testing.assert_allclose(found, derivatives(stacked(gradients_by_hand), theta), **CLOSE)


@pytest.mark.parametrize("method", METHODS)
def test_per_sample_gradients_can_be_differentiated_again(method):
    model, rng = MLP((3, 2, 1)), np.random.default_rng(0)
    theta, x, y = model.init(rng) + 0.3, rng.normal(size=(3, 3)), np.array([0, 1, 1])
    found = jacobian(lambda t: per_sample_gradients(model, t, x, y, method))(theta)
    np.testing.assert_allclose(found, derivatives(lambda t: gradients_by_hand(model.sizes, t, x, y), theta), **CLOSE)


@given(one)
def test_inputs_and_deltas_of_each_layer_make_up_the_gradient_of_the_sum(drawn):
    model, theta, ((_, x, y),) = drawn
    pairs = inputs_and_deltas(model, theta, x, y)
    shapes = [(a.shape, delta.shape) for a, delta in pairs]
    assert shapes == [((len(y), i), (len(y), j)) for i, j in pairwise(model.sizes)]
    total = np.concatenate(
        [part for a, delta in pairs for part in (np.einsum("ni,nj->ij", a, delta).ravel(), delta.sum(0))]
    )
    np.testing.assert_allclose(total, gradients_by_hand(model.sizes, theta, x, y).sum(axis=0), **CLOSE)


@given(one)
def test_gradient_moments_are_those_of_stored_gradients(drawn):
    model, theta, ((_, x, y),) = drawn
    G = gradients_by_hand(model.sizes, theta, x, y)
    mean, square = gradient_moments(model, theta, x, y)
    np.testing.assert_allclose(mean, G.mean(axis=0), **CLOSE)
    np.testing.assert_allclose(square, (G * G).mean(axis=0), **CLOSE)


@given(one, scopes, st.integers(0, 1))
def test_gradient_variance_is_numpys_variance_of_stored_gradients(drawn, scope, ddof):
    model, theta, ((_, x, y),) = drawn
    G = gradients_by_hand(model.sizes, theta, x, y)
    G = G[:, model.classifier] if scope == "classifier" else G
    v = gradient_variance(model, theta, x, y, scope=scope, ddof=ddof)
    np.testing.assert_allclose(v, np.var(G, axis=0, ddof=ddof), **CLOSE)
    square = gradient_variance(model, theta, x, y, scope=scope, ddof=ddof, centered=False)
    np.testing.assert_allclose(square, (G * G).mean(axis=0), **CLOSE)


@given(one)
def test_gradient_variance_is_by_default_biased_centered_and_of_the_classifier(drawn):
    model, theta, ((_, x, y),) = drawn
    expected = np.var(gradients_by_hand(model.sizes, theta, x, y), axis=0)[model.classifier]
    np.testing.assert_allclose(gradient_variance(model, theta, x, y), expected, **CLOSE)


@pytest.mark.parametrize("scope", ["classifier", "all"])
@pytest.mark.parametrize("ddof", [0, 1])
@given(drawn=problems(m=(1, 1), n=(2, 4)))
def test_jacobian_of_the_gradient_variance_equals_complex_steps(scope, ddof, drawn):
    model, theta, ((_, x, y),) = drawn
    found = jacobian(lambda t: gradient_variance(model, t, x, y, scope, ddof))(theta)
    expected = derivatives(lambda t: variance_by_hand(model.sizes, t, x, y, scope, ddof), theta)
    np.testing.assert_allclose(found, expected, **CLOSE)


def smooth_problem(sizes):
    """Parameters and samples whose pre-activations stay away from the kink of ReLU."""
    model, rng = MLP(sizes), np.random.default_rng(3)
    theta, x, y = model.init(rng) + 0.3, rng.normal(size=(4, sizes[0])), np.array([0, 1, 1, 0])
    a = x
    for W, b in model.layers(theta)[:-1]:
        z = a @ W + b
        assert np.abs(z).min() > 1e-3 and (z > 0).any() and (z < 0).any()  # check_grads steps by 1e-6
        a = np.maximum(z, 0)
    return model, theta, x, y


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 4, 2)])
@pytest.mark.parametrize("options", [{"scope": "classifier"}, {"scope": "all"}, {"ddof": 1}, {"centered": False}])
def test_first_and_second_derivatives_of_the_gradient_variance_equal_finite_differences(sizes, options):
    model, theta, x, y = smooth_problem(sizes)
    check_grads(lambda t: gradient_variance(model, t, x, y, **options), modes=["rev"], order=2)(theta)


@given(one, scopes, st.randoms(use_true_random=False))
def test_order_and_duplication_of_samples_leave_the_variance_unchanged(drawn, scope, random):
    model, theta, ((_, x, y),) = drawn
    order = list(range(len(y)))
    random.shuffle(order)
    v = gradient_variance(model, theta, x, y, scope)
    np.testing.assert_allclose(gradient_variance(model, theta, x[order], y[order], scope), v, **CLOSE)
    twice = order + list(range(len(y)))
    np.testing.assert_allclose(gradient_variance(model, theta, x[twice], y[twice], scope), v, **CLOSE)


@given(one, scopes)
def test_variance_of_copies_of_one_sample_is_zero(drawn, scope):
    model, theta, ((_, x, y),) = drawn
    same = [0] * 5
    square = gradient_variance(model, theta, x[same], y[same], scope, centered=False)
    v = gradient_variance(model, theta, x[same], y[same], scope)
    assert (np.abs(v) <= 10 * np.finfo(float).eps * square).all()  # five terms, two products, one difference


def nearly_constant_problem(ratio, dtype):
    """Logistic regression whose first gradient coordinate has a mean about `ratio` times its spread."""
    x = np.column_stack([np.full(50, 1e4), np.random.default_rng(0).normal(size=50) * 2 / ratio]).astype(dtype)
    return MLP((2, 1)), np.array([0, 1, 0], dtype), x, np.ones(50, int)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_variance_loses_digits_where_the_mean_dominates_the_spread(dtype):
    model, theta, x, y = nearly_constant_problem(1e4, dtype)
    eps = np.finfo(dtype).eps
    residual = -special.expit(-x[:, 1].astype(float))  # p - 1, in float64
    mean, exact = 1e4 * residual.mean(), 1e8 * residual.var()
    assert 5e3 < abs(mean) / exact**0.5 < 2e4
    error = abs(gradient_variance(model, theta, x, y)[0] - exact)
    assert error > 1e4 * eps * exact  # more than four digits are lost (for float32: all of them) ...
    assert error < 10 * eps * mean**2  # ... but not more than the rounding of E[g^2]; 10 for the sum of 50 terms


def test_variance_keeps_its_digits_where_spread_and_mean_are_alike():
    model, theta, x, y = nearly_constant_problem(1.0, float)
    exact = 1e8 * special.expit(-x[:, 1]).var()
    np.testing.assert_allclose(gradient_variance(model, theta, x, y)[0], exact, rtol=1e-13)


def test_variance_of_all_parameters_holds_no_array_of_samples_times_parameters():
    model, n = MLP((100, 180, 10)), 2000
    rng = np.random.default_rng(0)
    theta, x, y = model.init(rng), rng.normal(size=(n, 100)), rng.integers(0, 10, n)
    assert model.d == 19_990
    tracemalloc.start()
    v = gradient_variance(model, theta, x, y, scope="all")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stored = n * model.d * 8
    assert v.shape == (model.d,) and v.nbytes < peak < stored / 10


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 4, 2)])
def test_float32_stays_float32_in_gradients_moments_variances_and_their_derivatives(sizes):
    model, rng = MLP(sizes), np.random.default_rng(0)
    theta, x, y = model.init(rng, np.float32), rng.normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 1, 0, 1])
    arrays = [per_sample_gradients(model, theta, x, y, method) for method in METHODS]
    arrays += [*gradient_moments(model, theta, x, y), *domain_gradients(model, theta, [Domain("a", x, y)] * 2)]
    for scope in ("classifier", "all"):
        for ddof in (0, 1):

            def total(theta, scope=scope, ddof=ddof):
                return anp.sum(gradient_variance(model, theta, x, y, scope, ddof) ** 2)

            arrays += [gradient_variance(model, theta, x, y, scope, ddof), grad(total)(theta)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(("n", "ddof"), [(0, 0), (1, 1), (2, 2), (2, 3)])
def test_too_few_samples_for_ddof_are_refused(n, ddof):
    model = MLP((3, 1))
    with refused(f"gradient_variance: ddof={ddof} needs more than {ddof} samples, got {n}"):
        gradient_variance(model, np.zeros(4), np.zeros((n, 3)), np.zeros(n, int), ddof=ddof)


def test_unknown_scope_is_refused():
    with refused("gradient_variance: unknown scope 'head', expected 'classifier' or 'all'"):
        gradient_variance(MLP((3, 1)), np.zeros(4), np.zeros((2, 3)), np.zeros(2, int), scope="head")


def test_unknown_method_is_refused():
    with refused("per_sample_gradients: unknown method 'tap', expected one of loop, jacobian, tiled, taps"):
        per_sample_gradients(MLP((3, 1)), np.zeros(4), np.zeros((2, 3)), np.zeros(2, int), method="tap")


def offset(size, dtype=np.float64):
    """A logistic regression whose inputs are 1 + something of a given size, with residuals near 1 for every sample."""
    model, rng = MLP((2, 1)), np.random.default_rng(0)
    x = (1 + size * rng.normal(size=(50, 2))).astype(dtype)
    return model, np.array([3.0, 2.0, 1.0], dtype), x, np.zeros(50, int)


def test_mean_square_minus_square_of_mean_loses_digits_and_stable_does_not():
    where = offset(1e-6)
    G = per_sample_gradients(*where, "loop")
    exact = np.mean((G - G.mean(axis=0)) ** 2, axis=0)  # spread 1e-6 around 1: variance 1e-12
    fast, stable = (gradient_variance(*where, stable=choice) for choice in (False, True))
    # E[g^2] is 1 and its rounding 1e-16: 4 of 16 digits of 1e-12 are left; stable keeps 1e-16 / 1e-6 relative
    assert np.abs(fast / exact - 1).max() > 1e-7
    np.testing.assert_allclose(stable, exact, rtol=1e-8)


def test_in_float32_the_fast_variance_can_be_negative_and_the_stable_one_is_not():
    where = offset(1e-5, np.float32)
    assert gradient_variance(*where).min() < 0 < gradient_variance(*where, stable=True).min()


def test_stable_variance_can_be_differentiated():
    model, theta, x, y = offset(0.1)
    check_grads(lambda t: gradient_variance(model, t, x, y, stable=True), modes=["rev"], order=2)(theta / 10)


@pytest.mark.parametrize("options", [{"m": 2}, {"m": 0}, {"m": 3, "stable": True}])
def test_domains_that_are_not_of_as_many_rows_are_refused(options):
    with pytest.raises(ValueError, match=f"m={options['m']} of 9 rows, with stable={'stable' in options}"):
        gradient_variance(MLP((2, 1)), np.zeros(3), np.ones((9, 2)), np.arange(9) % 2, **options)


def test_a_negative_ddof_is_refused():
    with pytest.raises(ValueError, match="ddof=-3 is below 0"):
        gradient_variance(MLP((2, 1)), np.zeros(3), np.ones((9, 2)), np.arange(9) % 2, ddof=-3)
