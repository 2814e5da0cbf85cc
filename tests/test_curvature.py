import re
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from strategies import SIZES, problems
from test_gradients import derivatives, gradients_by_hand

from minifishr import curvature
from minifishr.curvature import empirical_fisher, gauss_newton, gradient_covariance, hessian, hvp, true_fisher
from minifishr.gradients import mean_gradient
from minifishr.mlp import MLP

DEEP, LINEAR = [sizes for sizes in SIZES if len(sizes) > 2], [sizes for sizes in SIZES if len(sizes) == 2]
IGNORE_LABELS = [true_fisher, gauss_newton]
one = problems(m=(1, 1))
linear = problems(sizes=LINEAR, m=(1, 1))


def assert_close(found, expected):
    """Sums of some hundred products: float64 rounding of the largest of them, or of p - 1, whose terms have size 1."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


def logits_by_hand(sizes, theta, x):
    """(n,k) in plain NumPy, for real or complex theta."""
    a, start = x, 0
    for i, j in pairwise(sizes):
        z = a @ theta[start : start + i * j].reshape(i, j) + theta[start + i * j : start + i * j + j]
        start, a = start + i * j + j, z * (z.real > 0)
    return z


def probabilities(z):
    """Of the labels 0, 1 or 0..k-1 for one sample's logits."""
    return np.array([special.expit(-z[0]), special.expit(z[0])]) if len(z) == 1 else special.softmax(z)


def hessian_in_the_logits(z):
    p = probabilities(z)
    return np.array([[p[0] * p[1]]]) if len(z) == 1 else np.diag(p) - np.outer(p, p)


def covariance_by_hand(sizes, theta, x, y):
    G = gradients_by_hand(sizes, theta, x, y)
    return sum(np.outer(row - G.mean(axis=0), row - G.mean(axis=0)) for row in G) / len(y)


def empirical_fisher_by_hand(sizes, theta, x, y):
    return sum(np.outer(row, row) for row in gradients_by_hand(sizes, theta, x, y)) / len(y)


def true_fisher_by_hand(sizes, theta, x, y):
    total = 0
    for i, z in enumerate(logits_by_hand(sizes, theta, x)):
        for c, p in enumerate(probabilities(z)):
            (row,) = gradients_by_hand(sizes, theta, x[i : i + 1], [c])
            total = total + p * np.outer(row, row)
    return total / len(x)


def gauss_newton_by_hand(sizes, theta, x, y):
    J = derivatives(lambda t: logits_by_hand(sizes, t, x), theta)
    z = logits_by_hand(sizes, theta, x)
    return sum(rows.T @ hessian_in_the_logits(row) @ rows for rows, row in zip(J, z, strict=True)) / len(x)


def hessian_by_hand(sizes, theta, x, y):
    """Complex steps of the gradient: exact to rounding, and no step reaches a kink of ReLU."""
    return derivatives(lambda t: gradients_by_hand(sizes, t, x, y).mean(axis=0), theta)


BY_HAND = {
    gradient_covariance: covariance_by_hand,
    empirical_fisher: empirical_fisher_by_hand,
    true_fisher: true_fisher_by_hand,
    gauss_newton: gauss_newton_by_hand,
    hessian: hessian_by_hand,
}
every_matrix = pytest.mark.parametrize("matrix", BY_HAND, ids=lambda matrix: matrix.__name__)


@every_matrix
@given(drawn=problems(m=(1, 1), n=(1, 6)))
def test_matrix_equals_its_definition_sample_by_sample(matrix, drawn):
    model, theta, ((_, x, y),) = drawn
    found = matrix(model, theta, x, y)
    assert found.shape == (model.d, model.d)
    assert_close(found, BY_HAND[matrix](model.sizes, theta, x, y))


@every_matrix
@given(drawn=problems(m=(1, 1), n=(1, 6)))
def test_diagonal_is_that_of_the_matrix(matrix, drawn):
    model, theta, ((_, x, y),) = drawn
    found = matrix(model, theta, x, y, diagonal=True)
    assert found.shape == (model.d,)
    assert_close(found, np.diag(BY_HAND[matrix](model.sizes, theta, x, y)))
    # the diagonal of the covariance is a difference, E[g^2] - E[g]^2, that rounds with E[g^2]
    scale = max(1, np.abs(np.diag(empirical_fisher(model, theta, x, y))).max())
    np.testing.assert_allclose(found, np.diag(matrix(model, theta, x, y)), rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("matrix", [true_fisher, gauss_newton, hessian], ids=lambda matrix: matrix.__name__)
@given(drawn=problems(sizes=[(3, 1)], m=(1, 1)))
def test_logistic_regression_has_the_weighted_second_moment_of_its_inputs(matrix, drawn):
    model, theta, ((_, x, y),) = drawn
    rows = np.column_stack([x, np.ones(len(x))])
    p = special.expit(rows @ theta)
    expected = np.einsum("n,nr,ns->rs", p * (1 - p), rows, rows) / len(x)
    assert_close(matrix(model, theta, x, y), expected)
    assert_close(matrix(model, theta, x, y, diagonal=True), np.diag(expected))


@pytest.mark.parametrize("matrix", [true_fisher, gauss_newton, hessian], ids=lambda matrix: matrix.__name__)
@given(drawn=problems(sizes=[(3, 4), (2, 3)], m=(1, 1)))
def test_softmax_regression_has_kronecker_products_of_inputs_and_label_covariances(matrix, drawn):
    model, theta, ((_, x, y),) = drawn
    rows = np.column_stack([x, np.ones(len(x))])
    p = special.softmax(rows @ theta.reshape(rows.shape[1], -1), axis=1)
    pairs = zip(rows, p, strict=True)
    expected = np.mean([np.kron(np.outer(row, row), np.diag(q) - np.outer(q, q)) for row, q in pairs], axis=0)
    assert_close(matrix(model, theta, x, y), expected)
    assert_close(matrix(model, theta, x, y, diagonal=True), np.diag(expected))


@every_matrix
@pytest.mark.parametrize("diagonal", [False, True])
@given(drawn=problems(sizes=[(3, 2)], m=(1, 1)))
def test_two_logits_have_the_matrix_of_their_difference_as_one_logit(matrix, diagonal, drawn):
    model, theta, ((_, x, y),) = drawn
    difference = np.kron(np.eye(4), [[-1, 1]])  # (4,8): theta (W 3x2, b 2) -> that of z_1 - z_0
    found = matrix(model, theta, x, y, diagonal=diagonal)
    expected = difference.T @ matrix(MLP((3, 1)), difference @ theta, x, y) @ difference
    assert_close(found, np.diag(expected) if diagonal else expected)


@given(one)
def test_true_fisher_is_gauss_newton(drawn):
    model, theta, ((_, x, y),) = drawn
    assert_close(true_fisher(model, theta, x, y), gauss_newton(model, theta, x, y))
    diagonals = [matrix(model, theta, x, y, diagonal=True) for matrix in IGNORE_LABELS]
    assert_close(*diagonals)


@pytest.mark.parametrize("matrix", IGNORE_LABELS, ids=lambda matrix: matrix.__name__)
@pytest.mark.parametrize("diagonal", [False, True])
@given(drawn=one)
def test_true_fisher_and_gauss_newton_ignore_the_labels(matrix, diagonal, drawn):
    model, theta, ((_, x, y),) = drawn
    found = [matrix(model, theta, x, labels, diagonal=diagonal).tolist() for labels in (y, 1 - np.minimum(y, 1), None)]
    assert found[0] == found[1] == found[2]


@given(linear)
def test_hessian_is_gauss_newton_for_linear_models_whatever_the_labels(drawn):
    model, theta, ((_, x, y),) = drawn
    expected = gauss_newton(model, theta, x, y)
    for labels in (y, np.zeros_like(y), np.ones_like(y)):
        assert_close(hessian(model, theta, x, labels), expected)


@given(problems(sizes=DEEP, m=(1, 1)))
def test_hessian_is_gauss_newton_within_each_layer_and_differs_only_between_them(drawn):
    # a ReLU network is linear in any one layer's parameters, away from its kinks
    model, theta, ((_, x, y),) = drawn
    H, expected = hessian(model, theta, x, y), gauss_newton(model, theta, x, y)
    names = list(model.blocks)
    for W, b in zip(names[::2], names[1::2], strict=True):
        layer = slice(model.blocks[W].start, model.blocks[b].stop)
        assert_close(H[layer, layer], expected[layer, layer])


def test_hessian_of_a_deep_network_is_not_gauss_newton():
    model, rng = MLP((3, 4, 1)), np.random.default_rng(0)
    theta, x, y = model.init(rng) + 0.3, rng.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    H, other = hessian(model, theta, x, y), gauss_newton(model, theta, x, y)
    assert np.abs(H - other).max() > 0.01 and np.linalg.eigvalsh(H)[0] < -0.01


@every_matrix
@given(drawn=one)
def test_matrix_is_symmetric_and_all_but_the_hessian_are_positive_semidefinite(matrix, drawn):
    model, theta, ((_, x, y),) = drawn
    found = matrix(model, theta, x, y)
    assert_close(found, found.T)
    if matrix is not hessian:
        values = np.linalg.eigvalsh((found + found.T) / 2)
        assert values[0] >= -1e-12 * max(1, values[-1])  # the same rounding as in assert_close


@given(one)
def test_gradient_covariance_is_the_empirical_fisher_less_the_mean_gradients_outer_product(drawn):
    model, theta, ((_, x, y),) = drawn
    g, F = mean_gradient(model, theta, x, y), empirical_fisher(model, theta, x, y)
    assert_close(gradient_covariance(model, theta, x, y), F - np.outer(g, g))


@given(one)
def test_unbiased_covariance_is_larger_by_n_over_n_minus_1(drawn):
    model, theta, ((_, x, y),) = drawn
    n, expected = len(y), np.cov(gradients_by_hand(model.sizes, theta, x, y), rowvar=False)
    assert_close(gradient_covariance(model, theta, x, y) * n / (n - 1), expected)
    assert_close(gradient_covariance(model, theta, x, y, diagonal=True) * n / (n - 1), np.diag(expected))


@every_matrix
@pytest.mark.parametrize("diagonal", [False, True])
@given(drawn=one, random=st.randoms(use_true_random=False))
def test_order_and_duplication_of_samples_leave_the_matrix_unchanged(matrix, diagonal, drawn, random):
    model, theta, ((_, x, y),) = drawn
    order = list(range(len(y)))
    random.shuffle(order)
    twice = order + list(range(len(y)))
    expected = matrix(model, theta, x, y, diagonal=diagonal)
    assert_close(matrix(model, theta, x[twice], y[twice], diagonal=diagonal), expected)


@given(one, st.integers(0, 2**32 - 1))
def test_hvp_is_the_complex_step_of_the_gradient_along_v(drawn, seed):
    model, theta, ((_, x, y),) = drawn
    v = np.random.default_rng(seed).normal(size=model.d)
    along = derivatives(lambda s: gradients_by_hand(model.sizes, theta + s[0] * v, x, y).mean(axis=0), np.zeros(1))
    assert_close(hvp(model, theta, x, y, v), along[:, 0])
    assert_close(hvp(model, theta, x, y, v.tolist()), hessian(model, theta, x, y) @ v)
    several = np.random.default_rng(seed).normal(size=(2, 3, model.d))
    found = hvp(model, theta, x, y, several)
    assert found.shape == several.shape and (found[0, 0] == hvp(model, theta, x, y, v)).all()
    assert_close(found[1, 2], hvp(model, theta, x, y, several[1, 2]))
    assert hvp(model, theta, x, y, several[:, :0]).shape == (2, 0, model.d)


def smooth_problem():
    """Pre-activations that stay away from the kink of ReLU."""
    model, rng = MLP((3, 4, 3)), np.random.default_rng(3)
    theta, x, y = model.init(rng) + 0.3, rng.normal(size=(4, 3)), np.array([0, 1, 2, 0])
    (W, b), _ = model.layers(theta)
    z = x @ W + b
    assert np.abs(z).min() > 0.01 and (z > 0).any() and (z < 0).any()
    return model, theta, x, y


def test_hvp_is_a_central_difference_of_gradients():
    model, theta, x, y = smooth_problem()
    v = np.random.default_rng(0).normal(size=model.d)
    v, step = v / np.linalg.norm(v), 1e-4  # the step moves no pre-activation by 0.01
    there, back = (mean_gradient(model, theta + sign * step * v, x, y) for sign in (1, -1))
    # truncation step^2 / 6 times a third derivative of order one to ten: 1e-8; rounding eps / step: 2e-12
    np.testing.assert_allclose(hvp(model, theta, x, y, v), (there - back) / (2 * step), rtol=0, atol=3e-8)


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4)])
@pytest.mark.parametrize("diagonal", [False, True])
def test_fisher_and_gauss_newton_of_a_certain_model_are_zero_and_not_nan(sizes, diagonal):
    model, rng = MLP(sizes), np.random.default_rng(0)
    x, y = 1e5 * (1 + rng.random((5, 3))), np.array([0, 1, 1, 0, 1])
    theta = 1.0 + np.arange(model.d)  # logits of a million that differ by 1e5 or more
    for matrix in (true_fisher, gauss_newton, hessian):
        np.testing.assert_array_equal(matrix(model, theta, x, y, diagonal=diagonal), 0)


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 4, 3)])
@pytest.mark.parametrize("diagonal", [False, True])
def test_float32_stays_float32(sizes, diagonal):
    model, rng = MLP(sizes), np.random.default_rng(0)
    theta, x, y = model.init(rng), rng.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    short = theta.astype(np.float32), x.astype(np.float32), y
    problem, option = (model, theta, x, y), {"diagonal": diagonal}
    pairs = [(matrix(model, *short, **option), matrix(*problem, **option)) for matrix in BY_HAND]
    pairs += [(hvp(model, *short, np.ones(model.d)), hvp(*problem, np.ones(model.d)))]
    for found, expected in pairs:
        assert found.dtype == np.float32 and expected.dtype == np.float64
        # some hundred products of size one: a thousand times float32's 1e-7 is far below any wrong factor
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


# Memory


def peak(call):
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@every_matrix
def test_diagonal_holds_no_array_of_parameters_times_parameters_or_samples(matrix):
    model, rng = MLP((100, 6, 2)), np.random.default_rng(0)
    n = model.d
    theta, x, y = model.init(rng), rng.normal(size=(n, 100)), rng.integers(0, 2, n)
    assert n == 620
    # held are the (n,100) inputs with their squares, and some dozen arrays (n,6) and (n,2)
    assert peak(lambda: matrix(model, theta, x, y, diagonal=True)) < n * model.d * 8 / 2


@every_matrix
@pytest.mark.parametrize(("sizes", "n"), [((40, 20, 1), 20), ((40, 20, 3), 600)])
def test_size_that_is_refused_is_what_would_be_held(monkeypatch, matrix, sizes, n):
    model, rng = MLP(sizes), np.random.default_rng(0)
    problem = model, model.init(rng), rng.normal(size=(n, 40)), rng.integers(0, max(sizes[-1], 2), n)
    held = peak(lambda: matrix(*problem))
    monkeypatch.setattr(curvature, "MOST_BYTES", 1.6 * held)  # (n,d) and (d,d) are never all there at the same moment
    matrix(*problem)
    monkeypatch.setattr(curvature, "MOST_BYTES", 0.9 * held)  # arrays (n,width) and Python's own objects do not count
    with pytest.raises(ValueError, match="use diagonal=True"):
        matrix(*problem)
    matrix(*problem, diagonal=True)


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@every_matrix
def test_matrix_of_a_large_network_is_refused_before_anything_is_computed(matrix):
    model = MLP((784, 100, 10))
    d = 784 * 100 + 100 + 100 * 10 + 10
    arrays = {gradient_covariance: (9, 1), empirical_fisher: (6, 1), true_fisher: (6, 2), gauss_newton: (60, 1)}
    rows, squares = arrays.get(matrix, (0, 2))
    size = (rows * d + squares * d * d) * 4 / 2**30
    call = f"{matrix.__name__}: the (79510, 79510) matrix of MLP((784, 100, 10)) from 3 sample(s)"
    theta, x = np.zeros(d, np.float32), np.zeros((3, 784), np.float32)
    with refused(f"{call} takes {size:.1f} GiB, more than 2.0: use diagonal=True"):
        matrix(model, theta, x, None)  # labels that nothing could be computed with


# Bad input


@every_matrix
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("shape", [(0, 3), (2, 4), (3,), (2, 3, 1)], ids=str)
def test_inputs_that_are_not_rows_of_the_networks_width_are_refused(matrix, diagonal, shape):
    with refused(f"{matrix.__name__}: expected x (n, 3) with at least one row, got {shape}"):
        matrix(MLP((3, 1)), np.zeros(4), np.zeros(shape), np.zeros(shape[0], int), diagonal=diagonal)


@pytest.mark.parametrize("shape", [(), (3,), (5,), (4, 1)], ids=str)
def test_hvp_refuses_a_vector_of_another_shape(shape):
    with refused(f"hvp: MLP((3, 1)) has 4 parameters, got v {shape}"):
        hvp(MLP((3, 1)), np.zeros(4), np.zeros((2, 3)), np.zeros(2, int), np.zeros(shape))


def test_hvp_refuses_no_rows():
    with refused("hvp: expected x (n, 3) with at least one row, got (0, 3)"):
        hvp(MLP((3, 1)), np.zeros(4), np.zeros((0, 3)), np.zeros(0, int), np.zeros(4))


@every_matrix
@pytest.mark.parametrize("diagonal", [False, True])
def test_parameters_of_another_length_are_refused(matrix, diagonal):
    with refused("MLP((3, 1)) has 4 parameters, got theta (5,)"):
        matrix(MLP((3, 1)), np.zeros(5), np.zeros((2, 3)), np.zeros(2, int), diagonal=diagonal)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("matrix", [gradient_covariance, empirical_fisher, hessian], ids=lambda matrix: matrix.__name__)
def test_labels_that_the_logits_cannot_mean_are_refused(matrix, diagonal):
    with refused("losses: 1 logit(s) need labels in 0..1, got [2]"):
        matrix(MLP((3, 1)), np.zeros(4), np.zeros((2, 3)), np.array([2, 2]), diagonal=diagonal)


@pytest.mark.parametrize(
    ("matrix", "rows", "squares"),
    [(gradient_covariance, 3, 1), (empirical_fisher, 2, 1), (true_fisher, 2, 2), (gauss_newton, 8, 1), (hessian, 0, 2)],
)
def test_limit_counts_the_rows_and_squares_that_are_held(matrix, rows, squares, monkeypatch):
    model, n = MLP((3, 4)), 5  # 4 logits: the two (n,k,d) Jacobians of Gauss-Newton are 8 times (n,d)
    theta, x, y = np.zeros(model.d), np.ones((n, 3)), np.zeros(n, int)
    size = 8 * (rows * n * model.d + squares * model.d**2)
    monkeypatch.setattr(curvature, "MOST_BYTES", size)
    matrix(model, theta, x, y)
    monkeypatch.setattr(curvature, "MOST_BYTES", size - 1)
    with pytest.raises(ValueError, match="diagonal=True"):
        matrix(model, theta, x, y)
