from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.test_util import check_grads
from hypothesis import given
from hypothesis import strategies as st
from samples import Table
from scipy import stats
from strategies import SIZES, models, problems

from minifishr import mlp
from minifishr.gradients import per_sample_gradients
from minifishr.losses import risk
from minifishr.mlp import MLP, affine, cross, layer_sums, product, relu, split, unpack

RNG = np.random.default_rng(0)
seeds = st.integers(0, 2**32 - 1)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # float64 rounding of sums of a few terms of size one


def forward(sizes, theta, x):
    """Inputs, hidden layers and logits, one entry at a time: W (in, out) row-major, then b, layer after layer."""
    values, start = [x], 0
    for layer, (rows, columns) in enumerate(pairwise(sizes), 1):
        z = np.empty((len(x), columns))
        for i in range(len(x)):
            for c in range(columns):
                z[i, c] = theta[start + rows * columns + c]
                for r in range(rows):
                    z[i, c] += values[-1][i, r] * theta[start + r * columns + c]
        start += rows * columns + columns
        values.append(z if layer == len(sizes) - 1 else np.where(z > 0, z, 0))
    assert start == len(theta)
    return values


@given(models(), st.integers(1, 5), seeds)
def test_logits_and_features_equal_a_forward_pass_written_entry_by_entry(drawn, n, seed):
    model, theta = drawn
    x = np.random.default_rng(seed).normal(size=(n, 3))
    *_, features, logits = forward(model.sizes, theta, x)
    assert model.logits(theta, x).shape == (n, model.sizes[-1])
    assert model.features(theta, x).shape == (n, model.sizes[-2])
    np.testing.assert_allclose(model.logits(theta, x), logits, **CLOSE)
    np.testing.assert_allclose(model.features(theta, x), features, **CLOSE)


def test_blocks_of_a_network_counted_by_hand():
    model = MLP((3, 4, 2))
    assert list(model.blocks.items()) == [
        ("W1", slice(0, 12)),
        ("b1", slice(12, 16)),
        ("W2", slice(16, 24)),
        ("b2", slice(24, 26)),
    ]
    assert list(model.shapes.items()) == [("W1", (3, 4)), ("b1", (4,)), ("W2", (4, 2)), ("b2", (2,))]
    assert model.d == 26 and model.classifier == slice(16, 26)


@pytest.mark.parametrize("sizes", SIZES)
def test_blocks_cover_theta_once_and_in_order(sizes):
    model = MLP(sizes)
    d = sum(i * j + j for i, j in pairwise(sizes))
    order = [name for layer in range(1, len(sizes)) for name in (f"W{layer}", f"b{layer}")]
    assert list(model.blocks) == list(model.shapes) == order and model.d == d
    assert np.concatenate([np.arange(d)[block] for block in model.blocks.values()]).tolist() == list(range(d))
    assert model.classifier == slice(d - sizes[-1] * (sizes[-2] + 1), d)


@given(models())
def test_layers_are_the_blocks_of_theta_in_their_shapes(drawn):
    model, theta = drawn
    layers = model.layers(theta)
    assert len(layers) == len(model.sizes) - 1
    for number, (W, b) in enumerate(layers, 1):
        assert (W.shape, b.shape) == (model.shapes[f"W{number}"], model.shapes[f"b{number}"])
        assert W.ravel().tolist() == theta[model.blocks[f"W{number}"]].tolist()
        assert b.tolist() == theta[model.blocks[f"b{number}"]].tolist()


def test_weights_start_xavier_uniform_and_biases_zero():
    model = MLP((30, 50, 20, 5))
    theta = model.init(np.random.default_rng(0))
    assert theta.shape == (model.d,) and theta.dtype == np.float64
    for layer, bound in ((1, (6 / 80) ** 0.5), (2, (6 / 70) ** 0.5), (3, (6 / 25) ** 0.5)):
        weights, biases = theta[model.blocks[f"W{layer}"]], theta[model.blocks[f"b{layer}"]]
        # at least 100 uniform draws come within 5% of both ends (but for one chance in 80); the seed is fixed
        assert -bound <= weights.min() < -0.95 * bound and 0.95 * bound < weights.max() <= bound
        assert stats.kstest(weights, "uniform", args=(-bound, 2 * bound)).pvalue > 0.01
        assert not biases.any()


def test_init_is_a_function_of_the_generator():
    model = MLP((3, 4, 1))
    first, again, other = (model.init(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() and first.tolist() != other.tolist()
    rng = np.random.default_rng(1)
    assert model.init(rng).tolist() != model.init(rng).tolist()


def test_float32_parameters_start_as_the_float64_ones_rounded():
    model = MLP((3, 4, 1))
    rounded, exact = model.init(np.random.default_rng(1), np.float32), model.init(np.random.default_rng(1))
    assert rounded.dtype == np.float32 and rounded.tolist() == exact.astype(np.float32).tolist()


@given(models(), seeds)
def test_float32_stays_float32_in_values_and_gradients(drawn, seed):
    model, theta = drawn
    theta, x = theta.astype(np.float32), np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
    assert model.logits(theta, x).dtype == model.features(theta, x).dtype == np.float32
    for argnum in (0, 1):
        gradient = grad(lambda theta, x: anp.sum(model.logits(theta, x) ** 2), argnum)(theta, x)
        assert gradient.dtype == np.float32
    _, classifier, features = model.head(theta, [x, x[:1]])
    assert {array.dtype for array in (classifier, *features)} == {np.dtype(np.float32)}


def test_relu_has_slope_zero_at_zero_where_maximum_of_autograd_has_one_half():
    z = np.array([-2.0, -0.0, 0.0, 3.0])
    assert relu(z).tolist() == [0, 0, 0, 3]
    assert grad(lambda z: anp.sum(relu(z)))(z).tolist() == [0, 0, 0, 1]
    assert grad(lambda z: anp.sum(anp.maximum(z, 0)))(z).tolist() == [0, 0.5, 0.5, 1]


def test_first_and_second_derivatives_of_relu_away_from_its_kink():
    z = np.array([[-1.5, 0.5, 2.0], [1.0, -0.3, 0.7]])
    check_grads(lambda z: relu(z) ** 3, modes=["rev"], order=2)(z)
    check_grads(lambda z: anp.sin(relu(z * z - 0.4)), modes=["rev"], order=2)(z)


@pytest.mark.parametrize("n", [1, 5])
def test_first_and_second_derivatives_of_affine(n):
    a, W, b = RNG.normal(size=(n, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
    np.testing.assert_allclose(affine(a, W, b), np.einsum("ni,ij->nj", a, W) + b[None], **CLOSE)
    check_grads(lambda a, W, b: affine(a, W, b) ** 3, argnum=(0, 1, 2), modes=["rev"], order=2)(a, W, b)


def test_gradient_of_affine_has_the_shape_of_each_argument():
    a, W, b = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
    weights = RNG.normal(size=(5, 4))
    gradients = [grad(lambda a, W, b: anp.sum(weights * affine(a, W, b)), k)(a, W, b) for k in range(3)]
    expected = [np.einsum("nj,ij->ni", weights, W), np.einsum("ni,nj->ij", a, weights), weights.sum(0)]
    for gradient, closed_form in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, closed_form, **CLOSE)


def test_affine_leaves_its_arguments_alone():
    arguments = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
    before = [argument.copy() for argument in arguments]
    affine(*arguments)
    assert all((argument == copy).all() for argument, copy in zip(arguments, before, strict=True))


@pytest.mark.parametrize(
    "shapes", [((5, 3), (5, 4)), ((5, 1), (5, 4)), ((5, 3), (5, 1)), ((5, 1), (5, 1)), ((1, 3), (1, 2))]
)
def test_cross_is_a_sum_of_outer_products_with_its_derivatives(shapes):
    a, b = (np.random.default_rng(seed).normal(size=shape) for seed, shape in enumerate(shapes))
    np.testing.assert_allclose(cross(a, b), sum(np.outer(*rows) for rows in zip(a, b, strict=True)), rtol=1e-13)
    for left, right in ((a, b), (b, a)):
        check_grads(lambda t, r=right: anp.sum(anp.sin(cross(t, r))), modes=["rev"], order=2)(left)


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((5, 1), (5, 4)), ((5, 3), (5, 1)), ((1, 3), (1, 2))])
def test_layer_sums_are_cross_of_inputs_with_a_one_with_its_derivatives(shapes):
    a, b = (np.random.default_rng(seed).normal(size=shape) for seed, shape in enumerate(shapes))
    with_one = np.concatenate([a, np.ones((len(a), 1))], axis=1)
    np.testing.assert_allclose(layer_sums(a, b), with_one.T @ b, rtol=1e-13)
    check_grads(lambda t: anp.sum(anp.sin(layer_sums(t, b))), modes=["rev"], order=2)(a)
    check_grads(lambda t: anp.sum(anp.sin(layer_sums(a, t))), modes=["rev"], order=2)(b)
    assert layer_sums(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32


def test_product_of_a_column_is_that_of_any_other_matrix():
    a, b = np.arange(3.0)[:, None], np.arange(4.0)[None]
    np.testing.assert_array_equal(product(a, b), np.outer(a, b))
    np.testing.assert_array_equal(product(np.eye(3), b.reshape(1, 4).repeat(3, 0)), b.repeat(3, 0))


def test_unpacked_blocks_are_the_slices_and_their_derivatives():
    theta, shapes = np.arange(9.0), ((2, 3), (1,), (2, 1))
    blocks = unpack(theta, shapes)
    assert [block.tolist() for block in blocks] == [[[0, 1, 2], [3, 4, 5]], [6], [[7], [8]]]
    assert all(np.shares_memory(block, theta) for block in blocks)

    def value(theta):
        W, b, V = unpack(theta, shapes)
        return anp.sum(W**3) * anp.sum(b**2) + anp.sum(anp.sin(V))

    check_grads(value, modes=["rev"], order=2)(theta / 5)
    gradient = grad(lambda theta: anp.sum(unpack(theta, shapes)[2] ** 2))(theta)
    np.testing.assert_array_equal(gradient, [0, 0, 0, 0, 0, 0, 0, 14, 16])


def test_pieces_of_a_split_and_their_derivatives():
    theta = RNG.normal(size=9)
    assert [piece.tolist() for piece in split(theta, [2, 6])] == [
        theta[:2].tolist(),
        theta[2:6].tolist(),
        theta[6:].tolist(),
    ]

    def product(theta):
        a, b, c = split(theta, [2, 6])
        return anp.sum(a) ** 2 * anp.sum(b * b) * anp.sin(c)

    check_grads(product, modes=["rev"], order=2)(theta)
    check_grads(lambda rows: split(rows, [1])[1] ** 3, modes=["rev"], order=2)(theta.reshape(3, 3))


def test_gradient_of_one_piece_is_zero_in_the_others():
    gradient = grad(lambda theta: anp.sum(split(theta, [2, 6])[1] ** 2))(np.arange(9.0))
    assert gradient.tolist() == [0, 0, 4, 6, 8, 10, 0, 0, 0]


@given(problems(n=(1, 6)))
def test_head_on_its_features_has_the_risk_of_the_model(drawn):
    model, theta, domains = drawn
    head, classifier, features = model.head(theta, [domain.x for domain in domains])
    assert head.sizes == model.sizes[-2:] and len(features) == len(domains)
    assert classifier.tolist() == theta[model.classifier].tolist()
    for a, domain in zip(features, domains, strict=True):
        np.testing.assert_allclose(a, forward(model.sizes, theta, domain.x)[-2], **CLOSE)
        expected = risk(model, theta, domain.x, domain.y)
        np.testing.assert_allclose(risk(head, classifier, a, domain.y), expected, **CLOSE)


@pytest.mark.parametrize("small", [0, 4096])
@given(drawn=problems())
def test_gradient_flows_through_both_the_head_and_its_features(small, drawn):
    model, theta, domains = drawn

    def through_head(theta):
        head, classifier, features = model.head(theta, [domain.x for domain in domains])
        return sum(risk(head, classifier, a, domain.y) for a, domain in zip(features, domains, strict=True))

    direct = grad(lambda theta: sum(risk(model, theta, domain.x, domain.y) for domain in domains))(theta)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlp, "SMALL", small)
        np.testing.assert_allclose(grad(through_head)(theta), direct, **CLOSE)


def test_features_are_the_same_with_one_pass_for_all_domains_and_one_for_each(monkeypatch):
    model, xs, passes = MLP((3, 4, 2, 1)), [RNG.normal(size=(n, 3)) for n in (2, 5, 1)], []
    theta, features = model.init(RNG), mlp.hidden_features
    monkeypatch.setattr(mlp, "hidden_features", lambda *call: passes.append(len(call[1])) or features(*call))
    found = {}
    for small in (7, 8):
        monkeypatch.setattr(mlp, "SMALL", small)
        found[small] = model.head(theta, xs)[2]
    assert passes == [2, 5, 1, 8]  # 8 rows in all: more than 7, and not more than 8
    for separate, together in zip(found[7], found[8], strict=True):
        np.testing.assert_allclose(separate, together, **CLOSE)


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0), (0, 1), (3, -1), (3, 2.0, 1), (3, "4"), (3, None, 1)])
@pytest.mark.parametrize("use", [lambda model: model.d, lambda model: model.init(RNG), lambda model: model.blocks])
def test_unfit_sizes_are_refused_with_the_call(sizes, use):
    with pytest.raises(ValueError) as error:
        use(MLP(sizes))
    assert str(error.value) == f"MLP({sizes!r}): sizes must be two or more positive integers"


def test_sizes_may_be_numpy_integers():
    assert MLP(tuple(np.array([3, 4, 1]))).d == 21
    assert MLP((1, 1)).d == 2


@pytest.mark.parametrize("length", [0, 16, 18])
def test_theta_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match=rf"^MLP\(\(3, 4, 1\)\) has 21 parameters, got theta \({length},\)$"):
        MLP((3, 4, 1)).logits(np.zeros(length), np.zeros((2, 3)))


def test_sizes_that_are_no_sequence_are_refused():
    with pytest.raises(ValueError, match=r"^MLP\(5\): sizes must be two or more positive integers$"):
        _ = MLP(5).shapes


def test_a_truth_value_is_no_width():
    with pytest.raises(ValueError, match=r"MLP\(\(6, True\)\): sizes must be two or more positive integers"):
        MLP((6, True)).init(np.random.default_rng(0))
    assert MLP((6, 1)).d == 7


def test_small_integers_as_widths_neither_wrap_around_nor_are_remembered():
    assert MLP((3, np.uint8(255), np.uint8(10))).d == 3 * 255 + 255 + 2550 + 10 == MLP((3, 255, 10)).d
    assert MLP((np.int32(70_000), np.int32(70_000), 1)).d == 70_000**2 + 140_001 == MLP((70_000, 70_000, 1)).d


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_plain_arrays_whatever_came(dtype, tmp_path):
    model, x = MLP([3, 4, 1]), np.arange(12, dtype=dtype).reshape(4, 3)
    theta, y = model.init(np.random.default_rng(0), dtype), np.array([0, 1, 1, 0])
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = grad(lambda t: risk(model, t, x, y))(theta)
    for other in (x.tolist(), mapped, Table(x)):
        assert type(model.inputs(theta, other)) is np.ndarray
        assert (grad(lambda t, other=other: risk(model, t, other, y))(theta) == expected).all()
    assert per_sample_gradients(model, theta, mapped, y).shape == (4, model.d)
    hidden = np.ma.masked_array(x, x == 5)
    with pytest.raises(ValueError, match=r"expected numbers x \(n, 3\), got masked float"):
        model.logits(theta, hidden)
