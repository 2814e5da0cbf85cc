import math
import re

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad, hessian, jacobian
from autograd.test_util import check_grads
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from strategies import problems

from minifishr.algorithms import ALGORITHMS
from minifishr.checks import example
from minifishr.data import Domain
from minifishr.gradients import METHODS, per_sample_gradients
from minifishr.losses import logsumexp, losses, per_sample_losses, risk, risks, sigmoid, softplus
from minifishr.mlp import MLP

RNG = np.random.default_rng(0)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # float64 rounding of sums of a few terms of size one


def logits_of(rows, columns, bound):
    return arrays(float, st.tuples(rows, columns), elements=st.floats(-bound, bound))


@st.composite
def labelled_logits(draw, columns, bound=20.0):
    """Logits (n,k) and labels (n,), n and k drawn."""
    z = draw(logits_of(st.integers(1, 5), columns, bound))
    return z, draw(arrays(int, len(z), elements=st.integers(0, max(z.shape[1], 2) - 1)))


@given(st.floats(-30, 30))
def test_one_logit_gives_the_logistic_loss_of_plain_mathematics(z):
    loss = losses(np.array([[z], [z]]), np.array([1, 0]))
    expected = [math.log(1 + math.exp(-z)), math.log(1 + math.exp(z))]
    np.testing.assert_allclose(loss, expected, rtol=1e-12, atol=1e-15)  # log(1 + e) itself rounds 1 + e


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [700, 1e5])
def test_logistic_loss_and_slope_of_huge_logits_are_their_limits(size, dtype):
    z, y = np.array([[size], [size], [-size], [-size]], dtype), np.array([1, 0, 1, 0])
    np.testing.assert_allclose(losses(z, y), [0, size, size, 0], atol=1e-300)  # exp(-700) is 1e-304
    slope = grad(lambda z: anp.sum(losses(z, y)))(z)[:, 0]
    np.testing.assert_allclose(slope, [0, 1, -1, 0], atol=1e-300)
    np.testing.assert_allclose(hessian(lambda z: anp.sum(losses(z, y)))(z), 0, atol=1e-300)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [700, 1e5])
def test_softmax_loss_and_slope_of_huge_logits_are_their_limits(size, dtype):
    z = np.array([[size, -size, 0], [size, -size, 0], [-size, -size, -size], [size, size, size]], dtype)
    y = np.array([0, 1, 2, 0])
    # log 3 is lost beside the logit: one unit in the last place of `size`
    np.testing.assert_allclose(losses(z, y), [0, 2 * size, np.log(3), np.log(3)], atol=np.spacing(dtype(size)))
    expected = np.array([[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3], [-2 / 3, 1 / 3, 1 / 3]])
    slope = grad(lambda z: anp.sum(losses(z, y)))(z)
    np.testing.assert_allclose(slope, expected, rtol=2 * np.spacing(dtype(size)), atol=1e-300)  # exp(-700) is 1e-304


@given(labelled_logits(st.integers(2, 5), bound=800.0))
def test_softmax_cross_entropy_is_minus_the_log_softmax_of_scipy(drawn):
    z, y = drawn
    expected = [-special.log_softmax(row)[label] for row, label in zip(z, y, strict=True)]
    np.testing.assert_allclose(losses(z, y), expected, rtol=1e-12, atol=1e-12)  # 800 times the float64 precision
    np.testing.assert_allclose(logsumexp(z), special.logsumexp(z, axis=1), rtol=1e-12, atol=1e-12)


@given(labelled_logits(st.just(2)))
def test_two_logits_are_one_logit_their_difference(drawn):
    z, y = drawn
    np.testing.assert_allclose(losses(z, y), losses(z[:, 1:] - z[:, :1], y), **CLOSE)


@given(labelled_logits(st.integers(2, 5)), st.floats(-50, 50))
def test_softmax_loss_ignores_a_shift_of_all_logits(drawn, shift):
    z, y = drawn
    np.testing.assert_allclose(losses(z + shift, y), losses(z, y), **CLOSE)


@given(labelled_logits(st.just(1)))
def test_gradient_of_the_logistic_loss_is_probability_minus_label(drawn):
    z, y = drawn
    gradient = grad(lambda z: anp.sum(losses(z, y)))(z)
    np.testing.assert_allclose(gradient[:, 0], special.expit(z[:, 0]) - y, **CLOSE)
    p = special.expit(z[:, 0])
    second = elementwise_grad(elementwise_grad(lambda z: losses(z, y)))(z)[:, 0]
    np.testing.assert_allclose(second, p * (1 - p), **CLOSE)


@given(labelled_logits(st.integers(2, 5)))
def test_gradient_of_the_softmax_loss_is_probability_minus_one_hot_label(drawn):
    z, y = drawn
    gradient = grad(lambda z: anp.sum(losses(z, y)))(z)
    one_hot = [[float(c == label) for c in range(z.shape[1])] for label in y]
    np.testing.assert_allclose(gradient, special.softmax(z, axis=1) - one_hot, **CLOSE)


@given(logits_of(st.just(1), st.integers(2, 5), 20.0))
def test_hessian_of_the_softmax_loss_is_the_covariance_of_the_one_hot_label(z):
    p = special.softmax(z[0])
    found = hessian(lambda z: losses(z, np.array([1]))[0])(z)[0, :, 0]
    np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), **CLOSE)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_first_and_second_derivatives_of_the_losses(k):
    z, y = 2 * RNG.normal(size=(5, k)), RNG.integers(0, max(k, 2), 5)
    check_grads(lambda z: losses(z, y), modes=["rev"], order=2)(z)
    check_grads(lambda z: losses(z, y) ** 2, modes=["rev"], order=2)(z)


def test_primitives_equal_those_of_scipy_and_numpy():
    z = np.linspace(-40, 40, 81)
    np.testing.assert_allclose(softplus(z), np.logaddexp(0, z), rtol=1e-14)
    np.testing.assert_allclose(sigmoid(z), special.expit(z), rtol=0, atol=1e-15)  # absolute: it is 1/2 + tanh / 2
    for primitive in (softplus, sigmoid):
        check_grads(primitive, modes=["rev"], order=2)(z[::7] / 8)
    check_grads(logsumexp, modes=["rev"], order=2)(RNG.normal(size=(3, 4)))


@given(problems(n=(1, 6)))
def test_risk_is_the_mean_of_the_losses_of_samples_taken_alone(drawn):
    model, theta, (domain, *_) = drawn
    alone = [risk(model, theta, domain.x[i : i + 1], domain.y[i : i + 1]) for i in range(len(domain.y))]
    together = per_sample_losses(model, theta, domain.x, domain.y)
    assert together.shape == domain.y.shape and np.ndim(risk(model, theta, domain.x, domain.y)) == 0
    np.testing.assert_allclose(together, alone, **CLOSE)
    np.testing.assert_allclose(risk(model, theta, domain.x, domain.y), math.fsum(alone) / len(alone), **CLOSE)


def test_risk_of_a_linear_model_written_out():
    x, y, theta = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([1, 0]), np.array([0.5, -1.0, 0.25])
    z = [0.5 * 1 - 1.0 * 2 + 0.25, 1.0 + 0.25]
    expected = (math.log(1 + math.exp(-z[0])) + math.log(1 + math.exp(z[1]))) / 2
    np.testing.assert_allclose(risk(MLP((2, 1)), theta, x, y), expected, rtol=1e-14)


@given(problems(n=(1, 6)))
def test_risks_are_the_risk_of_each_domain_in_order(drawn):
    model, theta, domains = drawn
    expected = [risk(model, theta, domain.x, domain.y) for domain in domains]
    assert risks(model, theta, domains).tolist() == expected
    rows = [grad(lambda theta, d=domain: risk(model, theta, d.x, d.y))(theta) for domain in domains]
    np.testing.assert_allclose(jacobian(lambda theta: risks(model, theta, domains))(theta), rows, **CLOSE)


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 4, 2)])
def test_float32_stays_float32_in_losses_risks_and_gradients(sizes):
    model = MLP(sizes)
    theta, x, y = model.init(RNG, np.float32), RNG.normal(size=(5, 3)).astype(np.float32), RNG.integers(0, 2, 5)
    domains = [Domain("a", x, y), Domain("b", x[:2], y[:2])]
    assert per_sample_losses(model, theta, x, y).dtype == risk(model, theta, x, y).dtype == np.float32
    assert risks(model, theta, domains).dtype == np.float32
    assert grad(lambda theta: risk(model, theta, x, y))(theta).dtype == np.float32
    assert grad(lambda theta: anp.sum(risks(model, theta, domains) ** 2))(theta).dtype == np.float32
    twice = grad(lambda theta: anp.sum(grad(lambda theta: risk(model, theta, x, y))(theta) ** 2))
    assert twice(theta).dtype == np.float32


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, bool])
def test_labels_mean_the_same_in_every_integer_type(k, dtype):
    z, y = RNG.normal(size=(5, k)), np.array([0, 1, 1, 0, 1])
    np.testing.assert_array_equal(losses(z, y.astype(dtype)), losses(z, y))


@pytest.mark.parametrize("k", [1, 3])
def test_labels_in_a_column_are_refused(k):
    with pytest.raises(ValueError, match=r"^losses: 5 rows of logits need labels \(5,\), got \(5, 1\)$"):
        losses(RNG.normal(size=(5, k)), np.array([[0], [1], [1], [0], [1]]))


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(ValueError, match=r"^losses: labels must be integers, got float64$"):
        losses(np.zeros((2, 1)), np.array([0.0, 0.5]))


@pytest.mark.parametrize(
    ("k", "y", "message"),
    [
        (1, [0, 2], "losses: 1 logit(s) need labels in 0..1, got [0, 2]"),
        (1, [1, -1], "losses: 1 logit(s) need labels in 0..1, got [-1, 1]"),
        (2, [2, 2], "losses: 2 logit(s) need labels in 0..1, got [2]"),
        (3, [3, 0], "losses: 3 logit(s) need labels in 0..2, got [0, 3]"),
        (3, [0, -1], "losses: 3 logit(s) need labels in 0..2, got [-1, 0]"),
        (1, [], "losses: 1 logit(s) need labels in 0..1, got []"),
        (4, [], "losses: 4 logit(s) need labels in 0..3, got []"),
        (1, [*range(20)], "losses: 1 logit(s) need labels in 0..1, got [0, 1, 2, 3, 4, 5, 6, 7, 8]"),
    ],
)
def test_labels_the_logits_cannot_mean_are_refused(k, y, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        losses(np.zeros((len(y), k)), np.array(y, int))


@pytest.mark.parametrize(("rows", "labels"), [(3, 2), (2, 3), (0, 1), (1, 0)])
def test_unequal_numbers_of_rows_and_labels_are_refused(rows, labels):
    with pytest.raises(
        ValueError, match=rf"^losses: {rows} rows of logits need labels \({rows},\), got \({labels},\)$"
    ):
        losses(np.zeros((rows, 1)), np.zeros(labels, int))


@pytest.mark.parametrize(("k", "y"), [(1, [0, 1]), (2, [0, 1]), (4, [0, 3])])
def test_smallest_and_largest_label_are_accepted(k, y):
    np.testing.assert_allclose(losses(np.zeros((2, k)), np.array(y)), math.log(max(k, 2)), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_slope_of_a_confident_row_keeps_its_digits(dtype):
    z = np.array([-80, -38, -20, -16, -12, -1, 0, 1, 12, 16, 20, 38, 80], dtype)
    digits = 4 * np.finfo(dtype).eps * np.abs(z.astype(float)).max()  # an error of exp is its argument's
    np.testing.assert_allclose(sigmoid(z), special.expit(z.astype(float)), rtol=digits)
    slopes = np.array([grad(sigmoid)(value) for value in z])
    expected = special.expit(z.astype(float)) * special.expit(-z.astype(float))
    np.testing.assert_allclose(slopes, expected, rtol=digits)
    assert sigmoid(z).dtype == slopes.dtype == dtype


def test_masked_labels_are_refused_where_they_are_used():
    model, theta, domains = example()
    y = np.ma.masked_array(domains[0].y, mask=[True] + [False] * 5)
    with pytest.raises(ValueError, match="labels are masked"):
        risk(model, theta, domains[0].x, y)
    for method in ("erm", "fishr"):
        algorithm = ALGORITHMS[method](model)
        with pytest.raises(ValueError, match="labels must be integers, got masked int64"):
            algorithm.update(theta, algorithm.init(theta), [domains[0]._replace(y=y), *domains[1:]])


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_per_sample_gradients_refuses_another_theta(method):
    model, theta, domains = example()
    with pytest.raises(ValueError, match="parameters, got theta"):
        per_sample_gradients(model, np.append(theta, [0.0, 0.0]), domains[0].x, domains[0].y, method=method)
