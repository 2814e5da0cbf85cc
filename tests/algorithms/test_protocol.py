from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems

from minifishr.algorithms import DEFAULTS
from minifishr.algorithms.masks import masked
from minifishr.algorithms.protocol import (
    DOMAINBED,
    PAPER,
    Recipe,
    check_domains,
    classifier_problem,
    descent,
    deviations,
    mean_risk,
    penalized,
    statistics,
)
from minifishr.algorithms.settings import settings
from minifishr.data import Domain
from minifishr.losses import risk
from minifishr.mlp import MLP

MODEL = MLP((2, 1))
THETA = np.array([0.5, -1.0, 2.0])
DOMAINS = [
    Domain("a", np.array([[1.0, 0.0], [2.0, -1.0]]), np.array([0, 1])),
    Domain("b", np.array([[0.0, 1.0], [3.0, 1.0], [-1.0, 2.0]]), np.array([1, 1, 0])),
]
HAND = {"lr": 1.0, "tau": 0.5, "seed": 0, "warm_up": 10}  # the hyper-parameters of a method nobody else knows


def adam_step(theta, past, lr, amsgrad=False):
    """Adam's next theta from all gradients so far, its moments written out as weighted sums."""
    t = len(past)
    mean = sum(0.1 * 0.9 ** (t - i) * g for i, g in enumerate(past, 1))
    squares = [sum(0.001 * 0.999 ** (s - i) * past[i - 1] ** 2 for i in range(1, s + 1)) for s in range(1, t + 1)]
    square = np.max(squares, axis=0) if amsgrad else squares[-1]
    return theta - lr * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)


# --- settings


PAPER_ADAM = {"lr": 0.0004898536566546834, "weight_decay": 0.00110794568}
PAPER_PENALTY = {**PAPER_ADAM, "penalty_weight": 91257.18613115903, "warm_up": 190}
ADAM = {"lr": 1e-3, "weight_decay": 0.0}
VARIANT = {"scope": "classifier", "centered": True, "ddof": 0, "covariance": "diagonal", "chunk": None}
DOCUMENTED = {
    ("erm", "paper"): PAPER_ADAM,
    ("irm", "paper"): {**PAPER_PENALTY, "reduction": "mean"},
    ("vrex", "paper"): {**PAPER_PENALTY, "ddof": 0},
    ("fishr", "paper"): {**PAPER_PENALTY, **VARIANT, "ema": 0.0},
    ("erm", "domainbed"): ADAM,
    ("irm", "domainbed"): {**ADAM, "penalty_weight": 100, "warm_up": 500, "reduction": "mean"},
    ("vrex", "domainbed"): {**ADAM, "penalty_weight": 10, "warm_up": 500, "ddof": 0},
    ("fishr", "domainbed"): {**ADAM, **VARIANT, "penalty_weight": 1000, "warm_up": 1500, "ema": 0.95},
    ("fish", "paper"): {**PAPER_ADAM, "meta_lr": 0.5, "seed": 0},
    ("fish", "domainbed"): {**ADAM, "meta_lr": 0.5},
    ("sand_mask", "paper"): {**PAPER_ADAM, "tau": 0.5, "k": 10},
    ("sand_mask", "domainbed"): {**ADAM, "tau": 0.5, "k": 10},
}


@pytest.mark.parametrize(("name", "convention"), DOCUMENTED)
def test_defaults_are_the_documented_ones(name, convention):
    assert settings(name, DEFAULTS[name], convention, {}) == DOCUMENTED[name, convention]


def test_explicit_hyper_parameters_win_and_nothing_is_modified():
    defaults = {"paper": HAND.copy(), "domainbed": {**HAND, "tau": 0.25}}
    given_here = {"lr": 0.1, "warm_up": 0}
    expected = {"lr": 0.1, "tau": 0.25, "seed": 0, "warm_up": 0}
    assert settings("any", defaults, "domainbed", given_here) == expected
    assert defaults == {"paper": HAND, "domainbed": {**HAND, "tau": 0.25}}
    assert given_here == {"lr": 0.1, "warm_up": 0}


@pytest.mark.parametrize(
    ("convention", "hyper_parameters", "message"),
    [
        ("Paper", {}, "any: unknown convention 'Paper', expected one of paper, domainbed"),
        ("paper", {"lamda": 1}, "any: unknown hyper-parameter 'lamda', expected one of lr, tau, seed, warm_up"),
        ("paper", {"lr": float("nan")}, r"any: lr=nan is outside \[0, inf\]"),
        ("paper", {"lr": float("inf")}, "any: lr=inf is not finite"),
        ("paper", {"lr": -1e-9}, r"any: lr=-1e-09 is outside \[0, inf\]"),
        ("paper", {"warm_up": -1}, r"any: warm_up=-1 is outside \[0, inf\]"),
        ("paper", {"lr": "fast"}, "any: lr='fast' is not a number"),
        ("paper", {"lr": None}, "any: lr=None is not a number"),
        ("paper", {"lr": np.ones(2)}, r"any: lr=array\(\[1., 1.\]\) is not a number"),
        ("paper", {"tau": 1.01}, r"any: tau=1.01 is outside \[0, 1\]"),
        ("paper", {"tau": -0.01}, r"any: tau=-0.01 is outside \[0, 1\]"),
    ],
)
def test_impossible_settings_are_refused(convention, hyper_parameters, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        settings("any", {"paper": HAND, "domainbed": HAND}, convention, hyper_parameters)


@pytest.mark.parametrize(
    "key", ["lr", "weight_decay", "penalty_weight", "warm_up", "meta_lr", "k", "ddof", "tau", "ema", "seed"]
)
def test_every_number_has_limits_and_may_be_zero(key):
    assert settings("any", {"paper": {key: 0.5}}, "paper", {key: 0}) == {key: 0}
    for value in (-1, float("nan"), "1"):
        with pytest.raises(ValueError, match=f"any: {key}="):
            settings("any", {"paper": {key: 0.5}}, "paper", {key: value})


@pytest.mark.parametrize("key", ["tau", "ema"])
def test_shares_end_at_one(key):
    assert settings("any", {"paper": {key: 0.5}}, "paper", {key: 1}) == {key: 1}
    with pytest.raises(ValueError, match=rf"any: {key}=2 is outside \[0, 1\]"):
        settings("any", {"paper": {key: 0.5}}, "paper", {key: 2})


def test_numpy_numbers_become_plain_ones():
    chosen = settings("any", {"paper": HAND}, "paper", {"lr": np.float64(0.5), "warm_up": np.int64(3)})
    assert (chosen["lr"], chosen["warm_up"]) == (0.5, 3)
    assert (type(chosen["lr"]), type(chosen["warm_up"])) == (float, int)


@pytest.mark.parametrize(
    ("key", "value", "choices"), [("scope", "last", "classifier, all"), ("centered", 2, "True, False")]
)
def test_choices_are_refused_with_the_possible_ones(key, value, choices):
    with pytest.raises(ValueError, match=f"^any: {key}={value!r} is none of {choices}$"):
        settings("any", {"paper": VARIANT}, "paper", {key: value})
    assert settings("any", {"paper": VARIANT}, "paper", {"scope": "all", "centered": False})["scope"] == "all"


# --- the schedule


def weights(recipe, warm_up, steps, penalty_weight=7.0):
    """The penalty weights that `descent` asks for."""
    met = []

    def direction(theta, domains, weight, memory):
        met.append(weight)
        return np.zeros_like(theta), memory, {"risk": 0.0}

    algorithm = descent(
        "any", MODEL, direction, recipe, lr=0.1, weight_decay=0.0, penalty_weight=penalty_weight, warm_up=warm_up
    )
    theta, state = THETA, algorithm.init(THETA)
    for _ in range(steps):
        theta, state, _ = algorithm.update(theta, state, DOMAINS)
    assert state.step == steps
    return met


def test_penalty_weight_is_full_from_step_warm_up_on():
    assert weights(PAPER, 3, 6) == [1, 1, 1, 7, 7, 7]
    assert weights(DOMAINBED, 2, 4) == [1, 1, 7, 7]
    assert weights(DOMAINBED._replace(warm_up_weight=0.0), 3, 5) == [0, 0, 0, 7, 7]
    assert weights(PAPER, 0, 2) == [7, 7]


def test_without_a_penalty_the_weight_is_zero_at_once():
    met = []

    def direction(theta, domains, weight, memory):
        met.append(weight)
        return np.zeros_like(theta), memory, {}

    algorithm = descent("any", MODEL, direction, PAPER, lr=0.1, weight_decay=0.0)
    algorithm.update(THETA, algorithm.init(THETA), DOMAINS)
    assert met == [0]


CURVATURE, SLOPE = np.diag([1.0, 2.0, 0.5]), np.array([3.0, -1.0, 0.2])


@given(
    st.booleans(), st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0, 1.5, 40.0]), st.sampled_from([0.0, 0.1]),
    st.booleans(),
)  # fmt: skip
def test_trajectory_is_the_one_written_by_hand(rescale, warm_up, penalty_weight, weight_decay, restart):
    def direction(theta, domains, weight, memory):
        return CURVATURE @ theta + weight * SLOPE, memory, {"risk": 0.0}

    recipe = Recipe(decay=2.0 if rescale else 1.0, rescale=rescale, restart=restart)
    schedule = {"lr": 0.1, "weight_decay": weight_decay, "penalty_weight": penalty_weight, "warm_up": warm_up}
    algorithm = descent("any", MODEL, direction, recipe, **schedule)
    theta, state = THETA, algorithm.init(THETA)
    by_hand, past = THETA, []
    for t in range(7):
        theta, state, _ = algorithm.update(theta, state, DOMAINS)
        full = t >= warm_up
        gradient = CURVATURE @ by_hand + (penalty_weight if full else 1) * SLOPE
        if rescale:  # the loss with weight_decay * ||theta||^2, all of it divided by a weight above 1
            gradient = (gradient + 2 * weight_decay * by_hand) / (max(penalty_weight, 1) if full else 1)
        else:
            gradient = gradient + weight_decay * by_hand
        if restart and t == warm_up:
            past = []
        past = [*past, gradient]
        by_hand = adam_step(by_hand, past, 0.1)
        assert state.optimizer.step == len(past)
        # 7 steps of size 0.1 on numbers around 1; the moments are sums of at most 7 terms
        np.testing.assert_allclose(theta, by_hand, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("penalty_weight", "divisor"), [(0.5, 1), (1, 1), (1.5, 1.5)])
def test_rescaling_starts_just_above_weight_one(penalty_weight, divisor):
    def direction(theta, domains, weight, memory):
        return SLOPE, memory, {}

    options = {"lr": 0.1, "weight_decay": 0.0, "penalty_weight": penalty_weight, "warm_up": 0}
    algorithm = descent("any", MODEL, direction, PAPER, **options)
    _, state, _ = algorithm.update(THETA, algorithm.init(THETA), DOMAINS)
    np.testing.assert_allclose(state.optimizer.mean / 0.1, SLOPE / divisor, rtol=1e-14)


def test_recipes_are_those_of_the_sources():
    assert Recipe(decay=2.0, warm_up_weight=1.0, rescale=True, restart=False, pooled=False) == PAPER
    assert Recipe(decay=1.0, warm_up_weight=1.0, rescale=False, restart=True, pooled=False) == DOMAINBED


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_starts_at_step_zero_with_an_empty_memory(dtype):
    state = descent("any", MODEL, None, PAPER, lr=0.1, weight_decay=0.0).init(THETA.astype(dtype))
    assert (state.step, state.optimizer.step, state.memory.shape, state.memory.dtype) == (0, 0, (), dtype)
    assert state.memory == 0


def test_memory_is_what_the_last_update_returned():
    met = []

    def direction(theta, domains, weight, memory):
        met.append(float(memory))
        return np.zeros_like(theta), memory + 1, {}

    algorithm = descent("any", MODEL, direction, PAPER, lr=0.1, weight_decay=0.0)
    theta, state = THETA, algorithm.init(THETA)
    for _ in range(3):
        theta, state, _ = algorithm.update(theta, state, DOMAINS)
    assert met == [0, 1, 2]


# --- the objective


@given(problems())
def test_mean_risk_weighs_domains_equally_and_pooled_risk_samples(problem):
    model, theta, domains = problem
    losses = [[risk(model, theta, d.x[i : i + 1], d.y[i : i + 1]) for i in range(len(d.y))] for d in domains]
    by_domain = sum(sum(one) / len(one) for one in losses) / len(losses)
    by_sample = sum(map(sum, losses)) / sum(map(len, losses))
    # a mean of at most 18 losses: 1e-13 is a hundred times the rounding
    assert mean_risk(model, theta, domains) == pytest.approx(by_domain, rel=1e-13)
    assert mean_risk(model, theta, domains, pooled=True) == pytest.approx(by_sample, rel=1e-13)


@pytest.mark.parametrize("pooled", [False, True])
def test_mean_risk_keeps_float32(pooled):
    domains = [d._replace(x=d.x.astype(np.float32)) for d in DOMAINS]
    assert mean_risk(MODEL, THETA.astype(np.float32), domains, pooled).dtype == np.float32


def test_pooled_risk_follows_the_large_domain():
    z = {e: d.x @ THETA[:2] + THETA[2] for e, d in enumerate(DOMAINS)}
    a, b = (np.log1p(np.exp(-z[e] * (2 * d.y - 1))) for e, d in enumerate(DOMAINS))
    assert mean_risk(MODEL, THETA, DOMAINS) == pytest.approx((a.mean() + b.mean()) / 2, rel=1e-14)
    assert mean_risk(MODEL, THETA, DOMAINS, pooled=True) == pytest.approx((a.sum() + b.sum()) / 5, rel=1e-14)


@given(problems())
def test_classifier_alone_sees_the_same_risks(problem):
    model, theta, domains = problem
    head, w, seen = classifier_problem(model, theta, domains)
    assert head.sizes == model.sizes[-2:]
    np.testing.assert_array_equal(w, theta[model.classifier])
    for domain, features in zip(domains, seen, strict=True):
        assert features.name == domain.name
        np.testing.assert_array_equal(features.y, domain.y)
        # one product for all domains may round otherwise than one product a domain
        np.testing.assert_allclose(features.x, model.features(theta, domain.x), rtol=1e-12, atol=1e-14)


def test_statistics_are_stacked_in_the_order_of_the_domains():
    found = statistics(lambda model, theta, x, y: np.array([x.sum(), y.sum()]), MODEL, THETA, DOMAINS)
    np.testing.assert_array_equal(found, [[2, 1], [6, 2]])


def test_deviations_are_from_the_mean_over_domains_alone():
    phi = np.array([[1.0, 10.0], [3.0, 20.0], [8.0, 60.0]])
    np.testing.assert_array_equal(deviations(phi), [[-3, -20], [-1, -10], [4, 30]])


def means(model, theta, x, y):
    """A statistic that is linear in theta: theta times the mean input and 1."""
    return theta * np.append(x.mean(axis=0), 1)


def squares(phi):
    return (phi**2).sum()


def slopes(domains):
    """d means / d theta, (m,d)."""
    return np.stack([np.append(domain.x.mean(axis=0), 1) for domain in domains])


def logistic(theta, domain):
    """The risk of the model with two inputs and one logit, and its gradient."""
    z = domain.x @ theta[:2] + theta[2]
    residuals = 1 / (1 + np.exp(-z)) - domain.y
    inputs = np.column_stack([domain.x, np.ones(len(z))])
    return np.log1p(np.exp(-z * (2 * domain.y - 1))).mean(), residuals @ inputs / len(z)


@pytest.mark.parametrize("pooled", [False, True])
def test_objective_is_risk_plus_weight_times_distance(pooled):
    recipe = Recipe(pooled=pooled)
    schedule = {"penalty_weight": 3.0, "lr": 0.1, "weight_decay": 0.0, "warm_up": 0}
    algorithm = penalized("any", MODEL, means, squares, recipe, **schedule)
    _, state, info = algorithm.update(THETA, algorithm.init(THETA), DOMAINS)
    values, gradients = map(np.array, zip(*(logistic(THETA, domain) for domain in DOMAINS), strict=True))
    shares = np.array([2, 3]) / 5 if pooled else np.array([0.5, 0.5])
    phi = slopes(DOMAINS) * THETA
    gradient = shares @ gradients + 3 * (2 * phi * slopes(DOMAINS)).sum(axis=0)
    assert info == pytest.approx({"risk": shares @ values, "penalty": (phi**2).sum()}, rel=1e-13)
    # after one step Adam's first moment is a tenth of the gradient
    np.testing.assert_allclose(state.optimizer.mean / 0.1, gradient, rtol=1e-12)
    assert np.shape(state.memory) == ()  # nothing is remembered


def test_memory_is_a_discounted_sum_whose_past_is_constant_for_the_gradient():
    schedule = {"penalty_weight": 1e9, "lr": 0.3, "weight_decay": 0.0, "ema": 0.75}
    algorithm = penalized("any", MODEL, means, squares, DOMAINBED, **schedule)
    theta, state, memory, mean = THETA, algorithm.init(THETA), 0.0, 0.0
    for t in range(4):
        batch = [domain._replace(x=domain.x + t) for domain in DOMAINS]
        memory = 0.75 * memory + slopes(batch) * theta
        mean = 0.9 * mean + 0.1 * 1e9 * (2 * memory * slopes(batch)).sum(axis=0)  # past memory does not move with theta
        theta, state, info = algorithm.update(theta, state, batch)
        np.testing.assert_allclose(state.memory, memory, rtol=1e-13)
        assert info["penalty"] == pytest.approx((memory**2).sum(), rel=1e-13)
        # the risk's gradient is of size 1 beside 1e9
        np.testing.assert_allclose(state.optimizer.mean, mean, rtol=1e-8)


@pytest.mark.parametrize(
    ("scope", "sizes"), [({}, (4, 1)), ({"scope": "classifier"}, (4, 1)), ({"scope": "all"}, (2, 4, 1))]
)
def test_statistic_sees_the_model_that_its_scope_says(scope, sizes):
    met = []

    def statistic(model, theta, x, y):
        met.append((model.sizes, theta.shape, x.shape))
        return theta.sum()

    model = MLP((2, 4, 1))
    options = {"penalty_weight": 1.0, "lr": 0.1, "weight_decay": 0.0, **scope}
    algorithm = penalized("any", model, statistic, squares, PAPER, **options)
    theta = model.init(np.random.default_rng(0))
    algorithm.update(theta, algorithm.init(theta), DOMAINS)
    assert met == [(sizes, (MLP(sizes).d,), (n, sizes[0])) for n in (2, 3)]


# --- the mask


@given(problems(m=(2, 4)))
def test_masked_direction_is_rescaled_within_each_block(problem):
    model, theta, domains = problem
    kept = np.random.default_rng(0).uniform(size=model.d)
    kept[model.blocks["b1"]] = 0  # a block that does not move
    seen = []

    def mask(g):
        seen.append(g)
        return kept

    algorithm = masked("any", model, mask, PAPER, lr=0.1, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    (g,) = seen
    expected = np.empty(model.d)
    for block in model.blocks.values():
        columns = range(block.start, block.stop)
        share = sum(kept[j] for j in columns) / len(columns)
        for j in columns:
            expected[j] = kept[j] * sum(g[:, j]) / len(domains) / (1e-10 + share)
    # sums over at most 8 parameters and 4 domains, whose terms may cancel
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-12, atol=1e-14)
    assert (expected[model.blocks["b1"]] == 0).all()
    assert info["kept"] == pytest.approx(kept.mean(), rel=1e-14)
    assert info["risk"] == pytest.approx(mean_risk(model, theta, domains), rel=1e-13)


def test_mask_gets_one_gradient_a_domain():
    seen = []

    def mask(g):
        seen.append(g)
        return np.ones(3)

    algorithm = masked("any", MODEL, mask, PAPER, lr=0.1, weight_decay=0.0)
    algorithm.update(THETA, algorithm.init(THETA), DOMAINS)
    np.testing.assert_allclose(seen[0], [logistic(THETA, domain)[1] for domain in DOMAINS], rtol=1e-14)


# --- what is refused


class Loose(NamedTuple):
    """A domain whose arrays may have any shape."""

    name: str
    x: np.ndarray
    y: np.ndarray


def test_too_few_domains_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^vrex needs at least 2 domains, got 1: \['a'\]$"):
        check_domains("vrex", MODEL, DOMAINS[:1], 2)
    check_domains("vrex", MODEL, DOMAINS[:1])
    check_domains("vrex", MODEL, DOMAINS, 2)


@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (0, 2), (2,), (2, 2, 2)])
def test_domains_of_a_wrong_shape_are_refused_by_name(shape):
    with pytest.raises(ValueError) as error:
        check_domains("vrex", MODEL, [DOMAINS[0], Loose("odd", np.zeros(shape), np.zeros(shape[0]))])
    told = f"x {shape} and y {shape[:1]}, expected (n, 2) and (n,), n >= 1"
    assert str(error.value) == f"vrex: domain 'odd' has {told}"


@pytest.mark.parametrize(
    "algorithm",
    [
        penalized("any", MODEL, means, squares, PAPER, penalty_weight=1.0, lr=0.1, weight_decay=0.0),
        masked("any", MODEL, lambda g: np.ones(3), PAPER, lr=0.1, weight_decay=0.0),
    ],
)
def test_penalties_and_masks_need_two_domains(algorithm):
    with pytest.raises(ValueError, match="any needs at least 2 domains, got 1"):
        algorithm.update(THETA, algorithm.init(THETA), DOMAINS[:1])


def test_descent_needs_one_domain_unless_told_otherwise():
    algorithm = descent("any", MODEL, lambda *a: (THETA, 0.0, {}), PAPER, lr=0.1, weight_decay=0.0)
    algorithm.update(THETA, algorithm.init(THETA), DOMAINS[:1])
    with pytest.raises(ValueError, match=r"^any needs at least 1 domain, got 0: \[\]$"):
        algorithm.update(THETA, algorithm.init(THETA), [])
