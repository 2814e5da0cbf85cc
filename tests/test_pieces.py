import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from autograd.test_util import check_grads

from minifishr.mlp import MLP
from minifishr.pieces import pack, piece, unpack

SHAPES = ((2, 3), (3,), (1, 2))
RNG = onp.random.default_rng(0)


def taken(theta):
    """The pieces as a network takes them."""
    pieces = unpack(theta, SHAPES)
    return [piece(pieces, l) for l in range(len(SHAPES))]


def test_pieces_are_those_of_slices():
    theta = np.arange(11.0)
    for found, expected in zip(
        taken(theta), (theta[:6].reshape(2, 3), theta[6:9], theta[9:].reshape(1, 2)), strict=True
    ):
        onp.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [onp.float32, onp.float64])
@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 2), (2, 1), (0, 1, 2), (1, 1)])
def test_gradient_is_that_of_slices_and_zero_where_a_piece_is_not_used(used, dtype):
    theta, cuts = RNG.normal(size=11).astype(dtype), (0, 6, 9, 11)
    found = grad(lambda theta: sum(np.sum(taken(theta)[l] ** 3) for l in used))(theta)
    expected = sum(3 * theta**2 * ((onp.arange(11) >= cuts[l]) & (onp.arange(11) < cuts[l + 1])) for l in used)
    onp.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == onp.float32 else 1e-14)
    assert found.dtype == dtype


def test_derivatives_of_every_order():
    def mixed(theta):
        W, b, v = taken(theta)
        return np.sum(np.sin(v @ W) * b) + np.sum(b**3)

    check_grads(mixed, modes=["rev"], order=3)(RNG.normal(size=11))
    check_grads(lambda theta: np.sum(taken(theta)[1] ** 3), modes=["rev"], order=2)(RNG.normal(size=11))


def test_packing_undoes_unpacking():
    theta = RNG.normal(size=11)
    onp.testing.assert_array_equal(pack(unpack(theta, SHAPES), SHAPES, float), theta)
    expected = onp.where(onp.arange(11) < 6, theta, 0)
    onp.testing.assert_array_equal(pack((unpack(theta, SHAPES)[0], None, None), SHAPES, float), expected)


def test_gradient_stays_float32_where_autograds_mean_does_not():
    theta = onp.ones(11, onp.float32)
    assert grad(lambda theta: np.mean(taken(theta)[0] ** 2))(theta).dtype == onp.float32


def test_features_do_not_move_with_the_classifier():
    model = MLP((3, 4, 2))
    gradient = grad(lambda theta: np.sum(model.features(theta, onp.ones((2, 3))) ** 2))(model.init(RNG))
    assert not gradient[model.classifier].any() and gradient[: model.classifier.start].any()
