import re
from itertools import pairwise

import numpy as np
import pytest
from algorithms.test_fishr import quotients, toy
from autograd import grad
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from strategies import problems

from minifishr.algorithms.dann import DEFAULTS, dann, domain_labels, game, penalty, statistic
from minifishr.algorithms.protocol import as_arrays
from minifishr.data import Domain
from minifishr.mlp import MLP

WIDTH = 5
both_conventions = pytest.mark.parametrize("convention", ["paper", "domainbed"])


def layers(sizes, theta):
    """Weights and biases, cut out of theta one after the other."""
    found, at = [], 0
    for i, j in pairwise(sizes):
        found.append((theta[at : at + i * j].reshape(i, j), theta[at + i * j : at + (i + 1) * j]))
        at += (i + 1) * j
    return found


def forward(sizes, theta, x):
    """The input of each layer, and the logits."""
    inputs = []
    for W, b in layers(sizes, theta):
        inputs.append(x)
        z = x @ W + b
        x = np.maximum(z, 0)
    return inputs, z


def backward(sizes, theta, inputs, delta):
    """Backpropagation by hand from slopes of the logits to those of theta and of the first input."""
    pieces = []
    for l, (W, _) in reversed([*enumerate(layers(sizes, theta))]):
        pieces = [(inputs[l].T @ delta).ravel(), delta.sum(axis=0), *pieces]
        delta = delta @ W.T * (inputs[l] > 0 if l else 1)  # a ReLU made every input but the first
    return np.concatenate(pieces), delta


def cross_entropy(z, y):
    """Losses (n,) and their slopes (n,k)."""
    if z.shape[1] == 1:
        return np.log1p(np.exp(z[:, 0])) - y * z[:, 0], 1 / (1 + np.exp(-z)) - y[:, None]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.log(p[range(len(y)), y]), p - (y[:, None] == np.arange(z.shape[1]))


def labels_by_hand(domains):
    return np.array([e for e, domain in enumerate(domains) for _ in domain.y])


def pooled(domains):
    return np.concatenate([d.x for d in domains]), np.concatenate([d.y for d in domains])


def risk_by_hand(sizes, theta, domains):
    """The mean loss of all samples and its gradient."""
    x, y = pooled(domains)
    inputs, z = forward(sizes, theta, x)
    losses, slopes = cross_entropy(z, y)
    return losses.mean(), backward(sizes, theta, inputs, slopes / len(y))[0]


def discrimination_by_hand(sizes, theta, critic, w, domains, gradient_penalty=0.0):
    """The discriminator's loss, and, of its cross-entropy alone, the gradients by w and by theta."""
    inputs, z = forward(sizes, theta, pooled(domains)[0])
    opposing, domain_logits = forward(critic, w, inputs[-1])
    losses, slopes = cross_entropy(domain_logits, labels_by_hand(domains))
    by_w, by_features = backward(critic, w, opposing, slopes / len(z))
    lengths = [sum(row**2) for row in by_features * len(z)]  # slopes of a sample's own loss, not of the mean
    below = theta[: sum((i + 1) * j for i, j in pairwise(sizes[:-1]))]
    by_theta = np.zeros_like(theta)
    if len(below):
        by_theta[: len(below)] = backward(sizes[:-1], below, inputs[:-1], by_features * (inputs[-1] > 0))[0]
    return losses.mean() + gradient_penalty * np.mean(lengths), by_w, by_theta


def adam_by_hand(theta, past, lr, beta1):
    """Adam's next theta from all gradients so far, with betas (beta1, 0.9), its moments as weighted sums."""
    t = len(past)
    mean = sum((1 - beta1) * beta1 ** (t - i) * g for i, g in enumerate(past, 1))
    square = sum(0.1 * 0.9 ** (t - i) * g**2 for i, g in enumerate(past, 1))
    return theta - lr * (mean / (1 - beta1**t)) / (np.sqrt(square / (1 - 0.9**t)) + 1e-8)


def critic_sizes(model, domains):
    return (model.sizes[-2], WIDTH, WIDTH, len(domains))


def first_critic(model, domains, seed=0):
    """The discriminator before its first step."""
    return MLP(critic_sizes(model, domains)).init(np.random.default_rng(seed))


def close(value):
    return pytest.approx(value, rel=1e-10, abs=1e-13)  # losses and slopes of size 1


def any_critic(model, domains, seed=0):
    """Sizes and parameters of a discriminator whose biases are not zero."""
    sizes = critic_sizes(model, domains)
    return sizes, np.random.default_rng(seed).normal(size=MLP(sizes).d)


# --- the discriminator's loss


@given(problems(m=(2, 4), n=(1, 6)), st.integers(0, 99), st.sampled_from([0.0, 0.3, 2.0]))
def test_penalty_is_minus_the_loss_of_the_discriminator_by_hand(problem, seed, strength):
    model, theta, domains = problem
    sizes, w = any_critic(model, domains, seed)
    expected, _, _ = discrimination_by_hand(model.sizes, theta, sizes, w, domains, strength)
    assert penalty(model, theta, domains, critic=MLP(sizes), w=w, gradient_penalty=strength) == close(-expected)
    np.testing.assert_array_equal(domain_labels(domains), labels_by_hand(domains))


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
def test_gradient_penalty_is_the_mean_squared_slope_of_each_samples_loss(sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    shape, w = any_critic(model, domains)
    features = np.concatenate([statistic(model, theta, x, y) for _, x, y in domains])

    def loss(i):
        return lambda a: cross_entropy(forward(shape, w, a[None])[1], labels_by_hand(domains)[i : i + 1])[0][0]

    lengths = [np.sum(quotients(loss(i), a) ** 2) for i, a in enumerate(features)]
    without, with_it = (penalty(model, theta, domains, critic=MLP(shape), w=w, gradient_penalty=s) for s in (0, 1.5))
    assert without - with_it == pytest.approx(1.5 * np.mean(lengths), rel=1e-6)
    assert np.mean(lengths) > 0.1


@examples(max_examples=30)
@given(problems(m=(2, 5)))
def test_a_discriminator_that_knows_nothing_loses_log_m_and_pulls_at_nothing(problem):
    model, theta, domains = problem
    critic = MLP(critic_sizes(model, domains))
    w = np.zeros(critic.d)
    assert penalty(model, theta, domains, critic=critic, w=w) == pytest.approx(-np.log(len(domains)), rel=1e-14)
    algorithm = dann(model, width=WIDTH, penalty_weight=9.0, weight_decay=0.0)
    state = algorithm.init(theta)._replace(discriminator=w, discriminator_optimizer=algorithm.init(w).optimizer)
    _, state, _ = algorithm.update(theta, state, domains)
    expected = risk_by_hand(model.sizes, theta, domains)[1]
    np.testing.assert_allclose(state.optimizer.mean / 0.5, expected, rtol=1e-10, atol=1e-14)


@given(problems(m=(1, 1)), st.integers(2, 4), st.integers(0, 99))
def test_no_discriminator_beats_chance_on_copies(problem, m, seed):
    model, theta, (domain,) = problem
    critic, w = any_critic(model, [domain] * m, seed)
    assert penalty(model, theta, [domain] * m, critic=MLP(critic), w=w) <= -np.log(m) + 1e-12


def test_a_discriminator_that_knows_everything_loses_nothing():
    """Domain 0 has feature 0, domain 1 feature 1; the discriminator hands them on, times 1000."""
    model, critic = MLP((2, 1)), MLP((2, 2, 2, 2))
    w = np.concatenate([np.eye(2).ravel(), [0, 0], np.eye(2).ravel(), [0, 0], 1000 * np.eye(2).ravel(), [0, 0]])
    domains = [Domain("a", np.eye(2)[[0, 0]], np.array([0, 1])), Domain("b", np.eye(2)[[1]], np.array([1]))]
    assert penalty(model, np.zeros(3), domains, critic=critic, w=w) == 0
    assert penalty(model, np.zeros(3), domains[::-1], critic=critic, w=w) == -1000


@examples(max_examples=50)
@given(problems())
def test_penalty_knows_no_order_of_samples_and_no_labels(problem):
    model, theta, domains = problem
    sizes, w = any_critic(model, domains)
    other = [d._replace(x=d.x[::-1], y=1 - np.minimum(d.y, 1)) for d in domains]
    found, expected = (penalty(model, theta, d, critic=MLP(sizes), w=w, gradient_penalty=0.3) for d in (other, domains))
    assert found == close(expected)


@both_conventions
@examples(max_examples=8)
@given(problem=problems(m=(2, 4)))
def test_penalty_without_a_discriminator_is_that_of_the_first_step(convention, problem):
    model, theta, domains = problem
    algorithm = dann(model, convention=convention)
    first = algorithm.update(theta, algorithm.init(theta), domains)[2]["penalty"]
    sizes = (model.sizes[-2], 256, 256, len(domains))
    w = MLP(sizes).init(np.random.default_rng(0))
    by_hand, _, _ = discrimination_by_hand(model.sizes, theta, sizes, w, domains)
    assert penalty(model, theta, domains, convention=convention) == close(first)
    assert first == close(-by_hand)


# --- one step


@pytest.mark.parametrize("strength", [0.0, 0.4])
@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 4, 2, 1), (3, 2, 4)])
def test_both_directions_are_slopes_by_hand(sizes, strength):
    model, theta, domains = toy(sizes, (3, 6, 4))
    shape, w = any_critic(model, domains)
    algorithm = dann(model, width=WIDTH, penalty_weight=3.0, gradient_penalty=strength, weight_decay=0.0)
    state = algorithm.init(theta)._replace(discriminator=w, discriminator_optimizer=algorithm.init(w).optimizer)
    _, state, info = algorithm.update(theta, state, domains)

    def adversary(t, v):
        return discrimination_by_hand(model.sizes, t, shape, v, domains, strength)[0]

    of_risk = quotients(lambda t: risk_by_hand(model.sizes, t, domains)[0], theta)
    of_adversary = quotients(lambda t: adversary(t, w), theta)
    np.testing.assert_allclose(state.optimizer.mean / 0.5, of_risk - 3 * of_adversary, rtol=1e-6, atol=1e-7)
    slopes = quotients(lambda v: adversary(theta, v), w)
    np.testing.assert_allclose(state.discriminator_optimizer.mean / 0.5, slopes, rtol=1e-6, atol=1e-7)
    assert (of_adversary[model.classifier] == 0).all()
    assert len(sizes) == 2 or np.abs(of_adversary).max() > 0.01
    assert info["risk"] == close(risk_by_hand(model.sizes, theta, domains)[0])
    assert info["penalty"] == close(-adversary(theta, w))


# --- whose turn


TURNS = [  # domainbed: count % (1 + steps) < steps, counted from 1, is the discriminator's turn
    ("domainbed", 0, "tttttttt"), ("domainbed", 1, "tdtdtdtd"), ("domainbed", 2, "dtddtddt"),
    ("domainbed", 3, "ddtdddtd"), ("paper", 0, "bbbb"), ("paper", 1, "bbbb"), ("paper", 3, "bbbb"),
]  # fmt: skip


@pytest.mark.parametrize(("convention", "steps", "turns"), TURNS)
def test_theta_and_the_discriminator_move_in_their_turns_alone(convention, steps, turns):
    if convention == "domainbed":
        assert turns == "".join("d" if count % (1 + steps) < steps else "t" for count in range(1, 9))
    model, theta, domains = toy((3, 4, 1), (3, 6, 4))
    algorithm = dann(model, convention=convention, width=WIDTH, discriminator_steps=steps)
    state, w = algorithm.init(theta), first_critic(model, domains)
    assert state.discriminator.size == 0  # nobody knows the number of domains yet
    for count, turn in enumerate(turns, 1):
        following, after, _ = algorithm.update(theta, state, domains)
        assert after.step == count
        assert (following != theta).any() == (turn in "tb")
        assert (after.discriminator != w).any() == (turn in "db")
        assert after.optimizer.step == sum(one in "tb" for one in turns[:count])
        assert after.discriminator_optimizer.step == sum(one in "db" for one in turns[:count])
        if turn == "d":
            np.testing.assert_array_equal(after.optimizer.square, state.optimizer.square)
        theta, state, w = following, after, after.discriminator


@pytest.mark.parametrize(("convention", "steps", "turns"), TURNS)
@pytest.mark.parametrize("weight", [0.7, 4.0])
@examples(max_examples=15)
@given(problem=problems(m=(2, 3)))
def test_trajectory_is_that_of_two_adams_by_hand(convention, steps, turns, weight, problem):
    model, theta, domains = problem
    chosen = {"lr": 0.02, "weight_decay": 0.1, "discriminator_lr": 0.03, "discriminator_weight_decay": 0.2}
    options = {"width": WIDTH, "seed": 7, "beta1": 0.6, "penalty_weight": weight, "discriminator_steps": steps}
    algorithm = dann(model, convention=convention, **chosen, **options)
    decay = 0.2 if convention == "paper" else 0.1  # paper: 0.1 * ||theta||^2 in the loss
    sizes, w, state = critic_sizes(model, domains), first_critic(model, domains, 7), algorithm.init(theta)
    expected, past, opposing = theta, [], []
    for turn in turns[:5]:
        theta, state, info = algorithm.update(theta, state, domains)
        R, slope = risk_by_hand(model.sizes, expected, domains)
        D, by_w, by_theta = discrimination_by_hand(model.sizes, expected, sizes, w, domains)
        assert info == pytest.approx({"risk": R, "penalty": -D}, rel=1e-7)
        if turn in "tb":  # both from the theta and w that came in
            past = [*past, slope - weight * by_theta + decay * expected]
            expected = adam_by_hand(expected, past, 0.02, 0.6)
        if turn in "db":
            opposing = [*opposing, by_w + 0.2 * w]
            w = adam_by_hand(w, opposing, 0.03, 0.6)
        # Adam divides by 1e-8 at least: rounding of 1e-16 in a gradient that cancels moves theta by 1e-9, then on
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-8)
        np.testing.assert_allclose(state.discriminator, w, rtol=0, atol=1e-8)
        expected, w = theta, state.discriminator  # else that rounding may push a unit over its kink in one of the two


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
@examples(max_examples=25)
@given(problem=problems())
def test_without_its_weight_it_is_adam_on_the_pooled_risk(convention, factor, problem):
    model, theta, domains = problem
    options = {"lr": 0.02, "weight_decay": 0.3, "width": WIDTH, "discriminator_steps": 0}
    algorithm = dann(model, convention=convention, penalty_weight=0, **options)
    state, expected, past = algorithm.init(theta), theta, []
    for _ in range(4):
        theta, state, _ = algorithm.update(theta, state, domains)
        past = [*past, risk_by_hand(model.sizes, expected, domains)[1] + factor * 0.3 * expected]
        expected = adam_by_hand(expected, past, 0.02, 0.5)
        np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)


@both_conventions
def test_the_gradient_penalty_holds_in_both_players_steps(convention):
    model, theta, domains = toy((3, 4, 1), (3, 6, 4))
    ends = []
    for strength in (0.0, 2.0):
        algorithm = dann(model, convention=convention, width=WIDTH, gradient_penalty=strength, lr=0.05)
        state = algorithm.init(theta)
        t = theta
        for _ in range(2):  # one turn each in domainbed
            t, state, _ = algorithm.update(t, state, domains)
        ends.append((state.optimizer.mean, state.discriminator_optimizer.mean))
    for without, with_it in zip(*ends, strict=True):
        assert np.abs(without - with_it).max() > 1e-3


@pytest.mark.parametrize("turn", [(True, False), (False, True)])
def test_each_turn_has_its_own_products_alone(turn):
    """Counted by hand: x @ W, a^T b and g @ W^T for a network with one hidden layer and two domains."""
    model, theta, domains = toy((3, 4, 2), (3, 6))
    theta_moves, _ = turn
    forward_passes = 1 + 2 + 3  # the hidden layer, the classifier for each domain, the discriminator
    slopes = 3 + 3  # of the discriminator's loss by the features, and back through that to the logits
    back = 3 + 2 + 2 + 1 if theta_moves else 2 + 3 + 3  # to features and W1; to units, and to each W in both ways
    played = game(model, {**DEFAULTS["domainbed"], "width": WIDTH, "gradient_penalty": 0.4}, *turn)
    for _ in range(2):
        played(theta, first_critic(model, domains), *as_arrays(model, theta, domains))
    (program,) = played.recordings.values()
    assert len(re.findall(" = (?:affine|cross|matmul)_", program.source)) == forward_passes + slopes + back == 20


# --- the state


def test_penalty_of_a_new_discriminator_has_the_precision_of_theta():
    model, theta, domains = toy((3, 4, 1), (3, 6))
    domains = [d._replace(x=d.x.astype(np.float32)) for d in domains]
    assert penalty(model, theta.astype(np.float32), domains).dtype == np.float32


@both_conventions
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_state_is_made_of_arrays_of_thetas_dtype_and_integers(convention, dtype, strength):
    model, theta, domains = toy((3, 4, 1), (3, 6, 4))
    theta, domains = theta.astype(dtype), [d._replace(x=d.x.astype(dtype)) for d in domains]
    options = {"width": WIDTH, "gradient_penalty": strength, "penalty_weight": np.float64(2)}
    algorithm = dann(model, convention=convention, **options)
    state = algorithm.init(theta)
    for _ in range(3):
        step, optimizer, w, opposing = state
        counts, arrays = (step, optimizer[0], opposing[0]), (w, *optimizer[1:], *opposing[1:])
        assert all(type(count) is int for count in counts)
        assert all(isinstance(array, np.ndarray) and array.dtype == dtype for array in arrays)
        theta, state, info = algorithm.update(theta, state, domains)
        assert theta.dtype == dtype
        assert all(type(value) is float for value in info.values())
    assert state.discriminator.shape == (5 * 5 + 6 * 5 + 6 * 3,)  # 4 features, twice 5 units, 3 domains


def test_discriminator_is_made_of_its_own_seed_and_width_at_the_first_update():
    model, theta, domains = toy((3, 4, 1), (3, 6))

    def first(**options):
        algorithm = dann(model, discriminator_lr=0.0, **options)
        return algorithm.update(theta, algorithm.init(theta), domains)[1].discriminator

    W, b = zip(*layers((4, 7, 7, 2), first(width=7, seed=3)), strict=True)
    assert [one.shape for one in W] == [(4, 7), (7, 7), (7, 2)]
    assert all((one == 0).all() for one in b)
    for one in W:  # Xavier: uniform up to sqrt(6 / (in + out)), half of them beyond half of it
        bound = (6 / sum(one.shape)) ** 0.5
        assert 0.5 * bound < np.abs(one).max() <= bound
    np.testing.assert_array_equal(first(width=7, seed=3), first(width=7, seed=3, lr=9.0, penalty_weight=3.0))
    assert (first(width=7, seed=3) != first(width=7, seed=4))[: 4 * 7].all()
    np.testing.assert_array_equal(first(width=7), first(width=7, seed=0))


def test_discriminator_is_not_made_anew():
    model, theta, domains = toy((3, 4, 1), (3, 6))
    algorithm = dann(model, width=WIDTH, discriminator_lr=0.0)
    _, state, _ = algorithm.update(theta, algorithm.init(theta), domains)
    mine = np.arange(float(state.discriminator.size)) / 100
    _, state, info = algorithm.update(theta, state._replace(discriminator=mine), domains)
    np.testing.assert_array_equal(state.discriminator, mine)
    expected, _, _ = discrimination_by_hand(model.sizes, theta, critic_sizes(model, domains), mine, domains)
    assert info["penalty"] == close(-expected)


def test_defaults_are_those_of_domainbed():
    same = {"penalty_weight": 1, "discriminator_lr": 1e-3, "discriminator_weight_decay": 0, "discriminator_steps": 1}
    same = {**same, "gradient_penalty": 0, "beta1": 0.5, "width": 256, "seed": 0}
    assert DEFAULTS["domainbed"] == {"lr": 1e-3, "weight_decay": 0, **same}
    assert DEFAULTS["paper"] == {"lr": 0.0004898536566546834, "weight_decay": 0.00110794568, **same}


def test_features_are_the_statistic():
    model, theta, ((_, x, y), *_) = toy((3, 4, 2, 1))
    np.testing.assert_allclose(statistic(model, theta, x, y), forward(model.sizes, theta, x)[0][-1], rtol=1e-13)


def test_penalty_pulls_at_nothing_but_the_features():
    model, theta, domains = toy((3, 4, 1), (3, 6, 4))
    sizes, w = any_critic(model, domains)
    found = grad(lambda t: penalty(model, t, domains, critic=MLP(sizes), w=w))(theta)
    _, _, expected = discrimination_by_hand(model.sizes, theta, sizes, w, domains)
    np.testing.assert_allclose(found, -expected, rtol=1e-10, atol=1e-14)
    assert (found[model.classifier] == 0).all()


# --- what is refused


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"penalty_weight": -1}, r"dann: penalty_weight=-1 is outside \[0, inf\]"),
        ({"discriminator_lr": -1}, r"dann: discriminator_lr=-1 is outside \[0, inf\]"),
        ({"discriminator_weight_decay": -1}, r"dann: discriminator_weight_decay=-1 is outside \[0, inf\]"),
        ({"discriminator_steps": -1}, r"dann: discriminator_steps=-1 is outside \[0, inf\]"),
        ({"gradient_penalty": -1}, r"dann: gradient_penalty=-1 is outside \[0, inf\]"),
        ({"beta1": 1.5}, r"dann: beta1=1.5 is outside \[0, 0.999\]"),
        ({"width": 0}, r"dann: width=0 is outside \[1, inf\]"),
        ({"width": "wide"}, "dann: width='wide' is not a number"),
        ({"seed": -1}, r"dann: seed=-1 is outside \[0, inf\]"),
        (
            {"warm_up": 1},
            "dann: unknown hyper-parameter 'warm_up', expected one of lr, weight_decay, penalty_weight, .*",
        ),
        ({"convention": "own"}, "dann: unknown convention 'own', expected one of paper, domainbed"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        dann(MLP((2, 1)), **given)


def test_one_domain_and_an_unknown_convention_are_refused():
    model, theta, domains = toy()
    algorithm = dann(model)
    with pytest.raises(ValueError, match=r"^dann needs at least 2 domains, got 1: \[''\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])
    with pytest.raises(ValueError, match=r"^dann: unknown convention 'own', expected one of paper, domainbed$"):
        penalty(model, theta, domains, convention="own")


def test_another_number_of_domains_in_the_middle_of_training_is_refused():
    model, theta, domains = toy()
    algorithm = dann(model)
    theta, state, _ = algorithm.update(theta, algorithm.init(theta), domains[:2])
    with pytest.raises(ValueError, match=r"^dann: the discriminator was made for another number of domains than 3$"):
        algorithm.update(theta, state, [*domains[:2], domains[0]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 2.5}, "width=2.5 is not a whole number"),
        ({"width": float("inf")}, "width=inf is not finite"),
        ({"width": float("nan")}, r"width=nan is outside \[1, inf\]"),
        ({"seed": 1.5}, "seed=1.5 is not a whole number"),
        ({"discriminator_steps": 0.5}, "discriminator_steps=0.5 is not a whole number"),
        ({"beta1": 1}, r"beta1=1 is outside \[0, 0.999\]"),
    ],
)
def test_impossible_counts_are_refused_before_training(wrong, message):
    with pytest.raises(ValueError, match=f"^dann: {message}$"):
        dann(MLP((3, 2)), **wrong)
