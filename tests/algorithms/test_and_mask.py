import math

import numpy as np
import pytest
from algorithms.test_erm import LINEAR, by_hand
from algorithms.test_protocol import adam_step
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from strategies import problems

from minifishr.algorithms import sand_mask
from minifishr.algorithms.and_mask import DEFAULTS, and_mask, direction, geometric, mask
from minifishr.data import Domain
from minifishr.gradients import per_sample_gradients
from minifishr.mlp import MLP


def column(*values):
    """Gradients of one coordinate, (m,1)."""
    return np.array(values, float)[:, None]


def majority(g):
    """How many more domains have the one sign than the other, counted, (m,d) -> (d,)."""
    return np.array([abs(sum(v > 0 for v in values) - sum(v < 0 for v in values)) for values in g.T])


@st.composite
def gradients(draw, dtypes=(np.float32, np.float64)):
    """Gradients (m,d) of all sizes, some of them zero, no two alike otherwise."""
    m, d = draw(st.integers(2, 7)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = 10.0 ** rng.integers(-30, 8, (m, d)) * rng.normal(size=(m, d)) * (rng.uniform(size=(m, d)) < 0.9)
    return (g * np.sign(g[0]) if draw(st.booleans()) else np.abs(g)).astype(draw(st.sampled_from(dtypes)))


@given(gradients(), st.data())
def test_mask_counts_the_majority(g, data):
    """tau = j/m asks for a majority of j domains, and j counts; any larger tau asks for one of j + 1."""
    m = len(g)
    j = data.draw(st.integers(0, m))
    np.testing.assert_array_equal(mask(g, tau=j / m), majority(g) >= j)
    if j < m:
        np.testing.assert_array_equal(mask(g, tau=(j + 0.5) / m), majority(g) > j)


@given(gradients(), st.floats(0, 1))
def test_mask_is_zero_or_one_in_the_dtype_of_the_gradients(g, tau):
    kept = mask(g, tau=tau)
    assert (kept.dtype, kept.shape) == (g.dtype, g.shape[1:])
    assert set(kept.tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("values", "largest_tau"),  # the mask is 1 up to this tau
    [
        ((1, 2), 1), ((-1e-30, -5), 1), ((1, -1), 0), ((1, -1e-30), 0), ((0, 0), 0), ((1, 0), 0.5), ((0, -2), 0.5),
        ((1, 2, 3), 1), ((1, 2, -300), 1 / 3), ((1, 2, 0), 2 / 3), ((1, -1, 0), 0), ((1, 1, 1, 1, -1), 0.6),
    ],
)  # fmt: skip
def test_mask_by_hand(values, largest_tau):
    for sign in (1, -1):
        g = sign * column(*values)
        assert mask(g, tau=0.0) == 1
        assert mask(g, tau=largest_tau) == 1  # at equality too
        assert mask(g, tau=largest_tau - 1e-12) == 1
        if largest_tau < 1:
            assert mask(g, tau=largest_tau + 1e-12) == 0
            assert mask(g, tau=1.0) == 0


@given(gradients())
def test_tau_zero_keeps_everything_and_tau_one_what_no_domain_opposes_or_lacks(g):
    assert (mask(g, tau=0.0) == 1).all()
    np.testing.assert_array_equal(mask(g, tau=1.0), (g > 0).all(axis=0) | (g < 0).all(axis=0))


@given(gradients(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_mask_knows_signs_alone_and_no_order(g, tau, seed):
    rng, kept = np.random.default_rng(seed), mask(g, tau=tau)
    for other in (-g, rng.permutation(g), g * rng.uniform(1, 9, g.shape), np.sign(g)):
        # in the same precision, because tau is rounded to it
        np.testing.assert_array_equal(mask(other.astype(g.dtype), tau=tau), kept)


@given(gradients([np.float64]), st.floats(0, 0.99))
def test_sand_mask_tends_to_it_for_large_k_but_at_equality(g, tau):
    apart = np.abs(majority(g) / len(g) - tau) > 1e-9
    # variances up to 1e18: k / variance * 1e-9 is at least 1e70, where tanh is 1
    np.testing.assert_array_equal(sand_mask.mask(g, tau=tau, k=1e97)[apart], mask(g, tau=tau)[apart])


def test_sand_mask_differs_at_equality():
    g = column(1, 2, 0, 5)
    assert mask(g, tau=0.75) == 1
    assert sand_mask.mask(g, tau=0.75, k=1e97) == 0


def direction_by_hand(g, blocks, tau, rescale=True, average="arithmetic"):
    """Kept coordinates of the mean gradient, divided by the share that is kept in their block."""
    kept, direction = majority(g) >= tau * len(g), np.zeros(g.shape[1])
    for block in blocks:
        share = kept[block].sum() / len(kept[block])
        for j in range(len(kept))[block]:
            mean = sum(g[:, j]) / len(g)
            if average == "geometric":
                mean = math.copysign(math.prod((abs(v) + 1e-10) ** (1 / len(g)) for v in g[:, j]), mean) * (mean != 0)
            direction[j] = mean / (1e-10 + share if rescale else 1) if kept[j] else 0
    return kept, direction


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@given(problem=problems(m=(2, 4)), tau=st.sampled_from([0.0, 0.4, 0.9, 1.0]))
def test_direction_is_that_of_every_switch_by_hand(average, rescale, problem, tau):
    model, theta, domains = problem
    G = [per_sample_gradients(model, theta, x, y, method="loop") for _, x, y in domains]
    g, switches = np.array([one.mean(axis=0) for one in G]), {"rescale": rescale, "average": average}
    _, expected = direction_by_hand(g, model.blocks.values(), tau, **switches)
    # the sign of a mean that is 0 up to rounding is nobody's
    sure = np.abs(g.mean(axis=0)) > 1e-14
    found = direction(model, g, tau=tau, **switches)
    np.testing.assert_allclose(found[sure], expected[sure], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_adam_is_given_the_direction(convention, average, rescale, tau):
    rng, model = np.random.default_rng(2), MLP((3, 4, 2))
    theta = model.init(rng)
    domains = [Domain("", 1 + rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for n in (6, 4, 7)]
    switches = {"tau": tau, "rescale": rescale, "average": average}
    algorithm = and_mask(model, convention=convention, weight_decay=0.0, **switches)
    _, state, _ = algorithm.update(theta, algorithm.init(theta), domains)
    G = [per_sample_gradients(model, theta, x, y, method="loop") for _, x, y in domains]
    _, expected = direction_by_hand(np.array([one.mean(axis=0) for one in G]), model.blocks.values(), **switches)
    assert (expected != 0).any()
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-10, atol=1e-14)


def test_geometric_mean_by_hand():
    g = np.array([[1.0, -2.0, 4.0, 0.0], [4.0, -8.0, -1.0, 0.0]])
    np.testing.assert_allclose(geometric(g), [2, -4, 2, 0], rtol=1e-9)  # the 1e-10 beside each size
    model = MLP((3, 1))
    kept = direction(model, g, average="geometric", rescale=False)
    np.testing.assert_allclose(kept, [2, -4, 0, 0], rtol=1e-9)
    two_thirds = direction(model, g, average="geometric")
    np.testing.assert_allclose(two_thirds, [3, -6, 0, 0], rtol=1e-9)  # two of three weights are kept
    integers = direction(model, np.array([[1, -2, 4, 0], [4, -8, -1, 0]]))
    np.testing.assert_allclose(integers, [3.75, -7.5, 0, 0], rtol=1e-9)


@pytest.mark.parametrize("of", [direction, sand_mask.direction])
@pytest.mark.parametrize("g", [np.ones(3), np.ones((2, 4)), np.ones((1, 3)), np.array([["a"] * 3] * 2)])
def test_directions_refuse_what_is_no_gradients_of_two_domains(of, g):
    with pytest.raises(ValueError, match=r"^s?and_mask: g .*, expected numbers \(m, 3\), 2 domains or more$"):
        of(MLP((2, 1)), g)


@given(gradients([np.float64]), st.sampled_from([0.1, 0.5]), st.sampled_from([1e-3, 10.0]))
def test_sand_masks_direction_is_its_mask_times_the_mean_over_the_share_of_the_block(g, tau, k):
    model = MLP((g.shape[1] - 1, 1)) if g.shape[1] > 1 else None
    if model is None:
        return
    kept, found = sand_mask.mask(g, tau=tau, k=k), sand_mask.direction(model, g, tau=tau, k=k)
    for block in model.blocks.values():
        share = sum(kept[block]) / len(kept[block])
        for j in range(model.d)[block]:
            assert found[j] == pytest.approx(kept[j] * sum(g[:, j]) / len(g) / (1e-10 + share), rel=1e-9, abs=1e-12)


@given(problems(m=(2, 4)), st.sampled_from([0.0, 0.4, 0.9, 1.0]))
def test_direction_is_the_kept_mean_divided_by_the_kept_share_of_its_block(problem, tau):
    model, theta, domains = problem
    G = [per_sample_gradients(model, theta, x, y, method="loop") for _, x, y in domains]
    kept, expected = direction_by_hand(np.array([one.mean(axis=0) for one in G]), model.blocks.values(), tau)
    algorithm = and_mask(model, tau=tau, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    # after one step Adam's first moment is a tenth of the gradient; means of at most 24 terms that may cancel
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-11, atol=1e-14)
    assert info["kept"] == pytest.approx(kept.mean(), rel=1e-14)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
@examples(max_examples=30)
@given(problem=problems(LINEAR, m=(2, 4)), tau=st.sampled_from([0.4, 1.0]))
def test_trajectory_is_textbook_adam_on_the_masked_gradient(convention, factor, problem, tau):
    model, theta, domains = problem
    algorithm = and_mask(model, convention=convention, tau=tau, lr=0.02, weight_decay=0.3)
    weights = model.sizes[0] * model.sizes[1]
    state, expected, past = algorithm.init(theta), theta, []
    for _ in range(4):
        theta, state, info = algorithm.update(theta, state, domains)
        losses, G = zip(*(by_hand(model, expected, domain) for domain in domains), strict=True)
        g = np.array([one.mean(axis=0) for one in G])
        kept, direction = direction_by_hand(g, [slice(0, weights), slice(weights, model.d)], tau)
        past = [*past, direction + factor * 0.3 * expected]  # the decay is neither masked nor rescaled
        expected = adam_step(expected, past, 0.02)
        assert info == pytest.approx({"risk": np.mean([one.mean() for one in losses]), "kept": kept.mean()}, rel=1e-9)
        # Adam divides by 1e-8 at least: rounding of 1e-16 in a gradient that cancels moves theta by 2e-10
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)


@examples(max_examples=30)
@given(problems(LINEAR))
def test_tau_zero_is_erm_with_equal_domains(problem):
    model, theta, domains = problem
    algorithm = and_mask(model, tau=0, lr=0.02, weight_decay=0.0)
    state, expected, past = algorithm.init(theta), theta, []
    for _ in range(4):
        theta, state, _ = algorithm.update(theta, state, domains)
        past = [*past, np.mean([by_hand(model, expected, domain)[1].mean(axis=0) for domain in domains], axis=0)]
        expected = adam_step(expected, past, 0.02)
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)  # the 1e-10 beside the share


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_default_tau_moves_what_all_domains_agree_on_and_nothing_else(convention):
    assert DEFAULTS[convention]["tau"] == 1
    # pixel 1 means y = 1 in both domains, pixel 2 changes its meaning, pixel 3 is dark in the second domain
    x, y = np.array([[2.0, 1.0, 1.0], [-1.0, -1.0, 0.5]]), np.array([1, 0])
    domains = [Domain("a", x, y), Domain("b", x * [1, -1, 0], y)]
    model, theta = MLP((3, 1)), np.array([0.1, 0.0, -0.2, 0.3])
    algorithm = and_mask(model, convention=convention, weight_decay=0.0, lr=0.01)
    found, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    g = np.array([by_hand(model, theta, domain)[1].mean(axis=0) for domain in domains])
    assert (np.sign(g[:, :3]) == [[-1, -1, -1], [-1, 1, 0]]).all()
    agreed = np.array([True, False, False, g[0, 3] * g[1, 3] > 0])
    np.testing.assert_array_equal(found != theta, agreed)
    assert found[0] == pytest.approx(theta[0] + 0.01, rel=1e-6)  # Adam's first step is lr, up to its 1e-8
    assert state.optimizer.mean[0] / 0.1 == pytest.approx(3 * g[:, 0].mean(), rel=1e-9)  # one of three weights is kept
    assert info["kept"] == agreed.mean()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tau": 1.1}, r"and_mask: tau=1.1 is outside \[0, 1\]"),
        ({"tau": -0.1}, r"and_mask: tau=-0.1 is outside \[0, 1\]"),
        ({"tau": float("nan")}, r"and_mask: tau=nan is outside \[0, 1\]"),
        ({"tau": "all"}, "and_mask: tau='all' is not a number"),
        ({"weight_decay": -1}, r"and_mask: weight_decay=-1 is outside \[0, inf\]"),
        ({"k": 1.0}, "and_mask: unknown hyper-parameter 'k', expected one of lr, weight_decay, tau, rescale, average"),
        ({"rescale": 1}, "and_mask: rescale=1 is none of True, False"),
        ({"average": "harmonic"}, "and_mask: average='harmonic' is none of arithmetic, geometric"),
        ({"convention": "own"}, "and_mask: unknown convention 'own', expected one of paper, domainbed"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        and_mask(MLP((2, 1)), **given)
    if {*given} <= {"tau", "rescale", "average"}:
        with pytest.raises(ValueError, match=f"^{message}$"):
            direction(MLP((2, 1)), np.ones((2, 3)), **given)


def test_one_domain_is_refused():
    algorithm, theta = and_mask(MLP((2, 1))), np.zeros(3)
    with pytest.raises(ValueError, match=r"^and_mask needs at least 2 domains, got 1: \['a'\]$"):
        algorithm.update(theta, algorithm.init(theta), [Domain("a", np.ones((1, 2)), np.array([1]))])
