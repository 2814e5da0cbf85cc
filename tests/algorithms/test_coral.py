from itertools import combinations

import numpy as np
import pytest
from algorithms.test_erm import LINEAR, assert_follows_erm
from algorithms.test_fishr import quotients, toy
from algorithms.test_iga import BAD, both_conventions
from autograd import grad
from hypothesis import given
from hypothesis import settings as examples
from strategies import SIZES, problems

from minifishr.algorithms.coral import DEFAULTS, coral, distance, penalty, statistic
from minifishr.data import Domain, full_batch
from minifishr.losses import risks
from minifishr.mlp import MLP
from minifishr.train import fit

HIDDEN = [(3, 4, 1), (3, 1, 2), (3, 4, 2, 1), (3, 2, 4)]


def features_by_hand(model, theta, x):
    """max(0, x W + b) for every layer but the last, cut out of theta by hand."""
    at = 0
    for i, j in zip(model.sizes[:-2], model.sizes[1:-1], strict=True):
        x = np.maximum(x @ theta[at : at + i * j].reshape(i, j) + theta[at + i * j : at + (i + 1) * j], 0)
        at += (i + 1) * j
    return x


def covariance(a):
    return np.atleast_2d(np.cov(a.T, ddof=1))


def penalty_by_hand(features, convention, means=None):
    """The mean over pairs of domains, entry by entry, of squared differences of np.cov (and of means)."""
    with_means = convention == "domainbed" if means is None else means
    terms = []
    for a, b in combinations(features, 2):
        h = a.shape[1]
        entries = [(covariance(a)[i, j] - covariance(b)[i, j]) ** 2 for i in range(h) for j in range(h)]
        apart = [(a[:, i].mean() - b[:, i].mean()) ** 2 for i in range(h)]
        terms.append(sum(entries) / (4 * h * h if convention == "paper" else h * h) + with_means * np.mean(apart))
    return np.mean(terms)


def close(value, features):
    # differences of moments lose digits beside the squares of the largest
    scale = max(1, *(np.abs(a).max() for a in features)) ** 4
    return pytest.approx(value, rel=1e-10, abs=1e-14 * scale)


def all_features(model, theta, domains):
    return [features_by_hand(model, theta, domain.x) for domain in domains]


@both_conventions
@given(problem=problems([*SIZES, (3, 1, 2)], m=(2, 4)))
def test_penalty_is_the_mean_over_pairs_by_hand(convention, problem):
    model, theta, domains = problem
    features = all_features(model, theta, domains)
    found = penalty(model, theta, domains, convention=convention)
    assert found == close(penalty_by_hand(features, convention), features)


@pytest.mark.parametrize("means", [True, False])
@both_conventions
@given(problem=problems([*SIZES, (3, 1, 2)], m=(2, 4)))
def test_means_are_a_term_beside_the_covariances_of_either_convention(convention, means, problem):
    model, theta, domains = problem
    features = all_features(model, theta, domains)
    expected = close(penalty_by_hand(features, convention, means), features)
    assert penalty(model, theta, domains, convention=convention, means=means) == expected
    algorithm = coral(model, convention=convention, means=means)
    assert algorithm.update(theta, algorithm.init(theta), domains)[2]["penalty"] == expected


@given(problems([*SIZES, (3, 1, 2)], m=(1, 1)))
def test_statistic_is_the_mean_above_the_covariance_of_the_features(problem):
    model, theta, (domain,) = problem
    a, found = features_by_hand(model, theta, domain.x), statistic(model, theta, domain.x, domain.y)
    assert found.shape == (1 + a.shape[1], a.shape[1])
    # features of size 10 at most; products lose digits beside their squares
    np.testing.assert_allclose(found[0], a.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[1:], covariance(a), rtol=1e-11, atol=1e-13)


def test_covariance_keeps_its_digits_where_the_mean_is_large():
    """(a + mean)^T (a - mean) is the same number, but its terms are 1e6 times as large."""
    rng = np.random.default_rng(0)
    x, y = 1e6 + rng.normal(size=(7, 3)), np.zeros(7, int)
    found = statistic(MLP((3, 1)), np.zeros(4), x, y)[1:]
    np.testing.assert_allclose(found, np.cov(x, rowvar=False), rtol=1e-12)  # both subtract a mean that is off by 1e-10


def test_distances_by_hand():
    # means (1, 2) and (0, 2); covariances differ by 2, 1, 1, 0
    phi = np.array([[[1.0, 2.0], [3.0, 1.0], [1.0, 5.0]], [[0.0, 2.0], [1.0, 0.0], [0.0, 5.0]]])
    assert distance(phi) == distance(phi, "paper") == pytest.approx(6 / 16, rel=1e-15)
    assert distance(phi, "domainbed") == pytest.approx(1 / 2 + 6 / 4, rel=1e-15)
    # a third domain like the second: two of three pairs differ
    three = phi[[0, 1, 1]]
    assert distance(three) == pytest.approx(2 / 3 * 6 / 16, rel=1e-15)
    assert distance(three, "domainbed") == pytest.approx(2 / 3 * 2, rel=1e-15)


@both_conventions
@given(problem=problems(m=(1, 1)))
def test_penalty_is_zero_when_domains_are_copies(convention, problem):
    model, theta, domains = problem
    assert penalty(model, theta, domains * 2, convention=convention) == 0
    # three copies: their mean may be rounded in its last digit, and features are of size 10 at most
    assert penalty(model, theta, domains * 3, convention=convention) == pytest.approx(0, abs=1e-26)


@both_conventions
@given(problem=problems())
def test_penalty_knows_no_order_of_domains_or_samples_and_no_labels(convention, problem):
    model, theta, domains = problem
    features = all_features(model, theta, domains)
    expected = close(penalty(model, theta, domains, convention=convention), features)
    backwards = [d._replace(x=d.x[::-1], y=d.y[::-1]) for d in domains]
    relabeled = [d._replace(y=1 - np.minimum(d.y, 1)) for d in domains]
    for same in (domains[::-1], backwards, relabeled):
        assert penalty(model, theta, same, convention=convention) == expected


def moved(domain, shift=0.0, scale=1.0):
    return domain._replace(x=scale * domain.x + shift)


@both_conventions
@given(problem=problems(LINEAR))
def test_a_common_shift_changes_nothing_and_a_common_scale_the_powers_it_should(convention, problem):
    """Without hidden layers the features are the inputs."""
    model, theta, domains = problem
    shift = np.array([1.0, -2.0, 0.5])
    shifted, doubled = [moved(d, shift) for d in domains], [moved(d, scale=2.0) for d in domains]
    found = penalty(model, theta, shifted, convention=convention)
    assert found == close(penalty(model, theta, domains, convention=convention), [d.x for d in shifted])
    covariances = 4 * penalty(model, theta, domains)
    means = penalty(model, theta, domains, convention="domainbed") - covariances
    expected = {"paper": 16 * covariances / 4, "domainbed": 16 * covariances + 4 * means}[convention]
    assert penalty(model, theta, doubled, convention=convention) == close(expected, [d.x for d in doubled])


@given(problems(LINEAR, m=(2, 4)))
def test_a_shift_of_one_domain_is_seen_by_the_means_of_domainbed_alone(problem):
    model, theta, domains = problem
    shift = np.array([1.0, -2.0, 0.5])
    shifted = [moved(domains[0], shift), *domains[1:]]
    x = [d.x for d in shifted]
    assert penalty(model, theta, shifted) == close(penalty(model, theta, domains), x)
    # each pair with the first domain grows by 2 <difference of means, shift> + ||shift||^2
    m, apart = len(domains), [domains[0].x.mean(axis=0) - d.x.mean(axis=0) for d in domains[1:]]
    growth = sum(2 * delta @ shift + shift @ shift for delta in apart) / 3 / (m * (m - 1) / 2)
    before, after = (penalty(model, theta, d, convention="domainbed") for d in (domains, shifted))
    assert after == close(before + growth, x)


@given(problems(LINEAR))
def test_without_a_difference_of_means_domainbed_is_four_times_the_paper(problem):
    model, theta, domains = problem
    centered = [d._replace(x=d.x - d.x.mean(axis=0)) for d in domains]
    four = 4 * penalty(model, theta, centered)
    assert penalty(model, theta, centered, convention="domainbed") == close(four, [d.x for d in domains])


@pytest.mark.parametrize("rows", [(3, 6), (2, 5, 4)])
@pytest.mark.parametrize("sizes", HIDDEN)
@both_conventions
def test_direction_is_the_slope_of_the_objective_by_hand(convention, sizes, rows):
    model, theta, domains = toy(sizes, rows)
    weight = 0.8

    def term(t):
        return penalty_by_hand(all_features(model, t, domains), convention)

    algorithm = coral(model, convention=convention, penalty_weight=weight, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    of_risk = quotients(lambda t: risks(model, t, domains).mean(), theta)
    of_penalty = weight * quotients(term, theta)
    np.testing.assert_allclose(state.optimizer.mean / 0.1, of_risk + of_penalty, rtol=1e-6, atol=1e-7)
    assert info == pytest.approx({"risk": risks(model, theta, domains).mean(), "penalty": term(theta)}, rel=1e-10)
    # the penalty pulls at what makes the features and at nothing else
    found = grad(lambda t: penalty(model, t, domains, convention=convention))(theta)
    assert (found[model.classifier] == 0).all()
    assert np.abs(found[: model.classifier.start]).max() > 1e-3
    np.testing.assert_allclose(weight * found, of_penalty, rtol=1e-6, atol=1e-7)


def test_the_whole_gradient_of_the_paper_is_divided_by_a_weight_above_one():
    model, theta, domains = toy()
    means = {}
    for convention in ("paper", "domainbed"):
        for weight in (0.0, 4.0):
            algorithm = coral(model, convention=convention, penalty_weight=weight, weight_decay=0.0)
            means[convention, weight] = algorithm.update(theta, algorithm.init(theta), domains)[1].optimizer.mean / 0.1
    risk = means["paper", 0]
    np.testing.assert_allclose(means["domainbed", 0], risk, rtol=1e-12)
    for convention, share in (("paper", 4), ("domainbed", 1)):
        pull = grad(lambda t, c=convention: penalty(model, t, domains, convention=c))(theta)
        np.testing.assert_allclose(means[convention, 4], (risk + 4 * pull) / share, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
@pytest.mark.parametrize("weight", [0.0, 1.0])
@examples(max_examples=30)
@given(problem=problems(LINEAR))
def test_without_weight_or_hidden_layers_it_is_erm_with_equal_domains(convention, factor, weight, problem):
    model, theta, domains = problem
    algorithm = coral(model, convention=convention, penalty_weight=weight, lr=0.02, weight_decay=0.3)
    assert_follows_erm(algorithm, model, theta, domains, lr=0.02, decay=factor * 0.3)


def test_weight_defaults_to_one_without_warm_up():
    for convention in ("paper", "domainbed"):
        assert DEFAULTS[convention]["penalty_weight"] == 1
        assert DEFAULTS[convention]["warm_up"] == 0


@both_conventions
def test_one_sample_is_refused_because_it_has_no_covariance(convention):
    model, theta, domains = toy(rows=(3, 1))
    algorithm = coral(model, convention=convention)
    for refuses in (
        lambda: algorithm.update(theta, algorithm.init(theta), domains),
        lambda: penalty(model, theta, domains, convention=convention),
    ):
        with pytest.raises(ValueError, match=r"^coral: a covariance needs at least 2 samples a domain, got 1$"):
            refuses()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *[(given, message.replace("warm_up", "warm_up, means")) for given, message in BAD],
        ({"means": 1}, "{}: means=1 is none of True, False"),
        ({"means": None}, "{}: means=None is none of True, False"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=f"^{message.format('coral')}$"):
        coral(MLP((2, 1)), **given)


def test_one_domain_and_an_unknown_convention_are_refused():
    model, theta, domains = toy()
    algorithm = coral(model)
    with pytest.raises(ValueError, match=r"^coral needs at least 2 domains, got 1: \[''\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])
    with pytest.raises(ValueError, match=r"^coral: unknown convention 'own', expected one of paper, domainbed$"):
        penalty(model, theta, domains, convention="own")
    with pytest.raises(ValueError, match=r"^coral: means='no' is none of True, False$"):
        penalty(model, theta, domains, means="no")


def test_copies_train_in_float32_whatever_product_the_library_takes_for_a_matrix_with_itself():
    rng = np.random.default_rng(0)
    for h, n in ((79, 26), (33, 50), (64, 64)):
        model = MLP((21, h, 1))
        x, y = rng.normal(size=(n, 21)).astype(np.float32), np.arange(n) % 2
        algorithm, theta = coral(model, warm_up=0), model.init(rng, np.float32)
        batches = full_batch([Domain("a", x, y), Domain("b", x.copy(), y)])
        first, again = (fit(algorithm, theta, batches, 4).theta for _ in range(2))
        assert (first == again).all()
