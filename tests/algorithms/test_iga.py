import numpy as np
import pytest
from algorithms.test_erm import LINEAR, assert_follows_erm, by_hand
from algorithms.test_fishr import pairs, quotients, toy
from autograd import grad
from hypothesis import given
from hypothesis import settings as examples
from strategies import problems

from minifishr.algorithms.iga import DEFAULTS, distance, iga, penalty, statistic
from minifishr.gradients import per_sample_gradients
from minifishr.losses import risks
from minifishr.mlp import MLP

both_conventions = pytest.mark.parametrize("convention", ["paper", "domainbed"])


def gradients_by_hand(model, theta, domains):
    """The mean of each domain's per-sample gradients, (m,d)."""
    return np.array([per_sample_gradients(model, theta, x, y, "loop").mean(axis=0) for _, x, y in domains])


def hessian_by_hand(model, theta, domain):
    """X^T diag(p (1 - p)) X / n of logistic regression, with a column of ones for the bias."""
    x = np.column_stack([domain.x, np.ones(len(domain.y))])
    p = 1 / (1 + np.exp(-x @ theta))
    return (x.T * p * (1 - p)) @ x / len(p)


def close(value, g):
    # differences of gradients lose digits beside g's squares
    return pytest.approx(value, rel=1e-10, abs=1e-14 * (g**2).sum())


@given(problems(m=(2, 4), n=(1, 6)))
def test_penalty_is_the_trace_of_the_covariance_of_the_domain_gradients(problem):
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    m = len(g)
    trace = np.trace(np.cov(g.T, ddof=0))
    assert penalty(model, theta, domains) == close(trace, g)
    assert penalty(model, theta, domains) == close(pairs(g) / (2 * m**2), g)
    assert penalty(model, theta, domains, convention="domainbed") == close(m * trace, g)
    assert penalty(model, theta, domains, convention="domainbed") == close(pairs(g) / (2 * m), g)


@given(problems(LINEAR, m=(1, 1), n=(1, 6)))
def test_statistic_is_the_gradient_of_the_risk(problem):
    model, theta, (domain,) = problem
    found = statistic(model, theta, domain.x, domain.y)
    np.testing.assert_allclose(found, by_hand(model, theta, domain)[1].mean(axis=0), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
def test_statistic_is_the_slope_of_the_risk(sizes):
    model, theta, domains = toy(sizes)
    for e, (_, x, y) in enumerate(domains):
        slopes = quotients(lambda t, e=e: risks(model, t, domains)[e], theta)
        np.testing.assert_allclose(statistic(model, theta, x, y), slopes, rtol=1e-6, atol=1e-9)


def test_distances_by_hand():
    phi = np.array([[1.0, 0.0], [2.0, 3.0], [6.0, 3.0]])  # deviations -2 -1 3 and -2 1 1
    assert distance(phi) == distance(phi, "paper") == pytest.approx(20 / 3, rel=1e-15)
    assert distance(phi, "domainbed") == 20
    assert distance(np.array([[1.0, 1.0], [-1.0, 1.0]])) == 1  # two opposite coordinates, one equal
    assert distance(np.array([[1.0, 1.0], [-1.0, 1.0]]), "domainbed") == 2


@both_conventions
@given(problem=problems(m=(1, 1)))
def test_penalty_is_zero_when_domains_are_copies(convention, problem):
    model, theta, domains = problem
    assert penalty(model, theta, domains * 2, convention=convention) == 0
    # three copies: their mean may be rounded in its last digit
    assert penalty(model, theta, domains * 3, convention=convention) == pytest.approx(0, abs=1e-28)


@both_conventions
@examples(max_examples=30)
@given(problem=problems())
def test_penalty_knows_no_order_of_domains_or_samples_and_no_repetition(convention, problem):
    model, theta, domains = problem
    g = gradients_by_hand(model, theta, domains)
    expected = close(penalty(model, theta, domains, convention=convention), g)
    backwards = [d._replace(x=d.x[::-1], y=d.y[::-1]) for d in domains]
    doubled = [d._replace(x=np.tile(d.x, (2, 1)), y=np.tile(d.y, 2)) for d in domains]
    for same in (domains[::-1], backwards, doubled):
        assert penalty(model, theta, same, convention=convention) == expected


@given(problems([(3, 1)], m=(2, 4)))
def test_gradient_of_the_penalty_is_hessians_times_deviations(problem):
    """grad mean_e ||g_e - mean g||^2 = 2 mean_e H_e (g_e - mean g), which is 0 if no gradient flows through g_e."""
    model, theta, domains = problem
    g = np.array([by_hand(model, theta, domain)[1].mean(axis=0) for domain in domains])
    H = np.array([hessian_by_hand(model, theta, domain) for domain in domains])
    expected = 2 * np.einsum("eij,ej->i", H, g - g.mean(axis=0))
    for convention, share in (("paper", 1 / len(g)), ("domainbed", 1)):
        found = grad(lambda t, c=convention: penalty(model, t, domains, convention=c))(theta)
        # sums of products of size 10 that may cancel
        np.testing.assert_allclose(found, expected * share, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
@both_conventions
def test_direction_is_the_slope_of_the_objective_by_hand(convention, sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    weight = 5.0

    def term(t):
        g = gradients_by_hand(model, t, domains)
        return pairs(g) / (2 * 3**2 if convention == "paper" else 2 * 3)

    algorithm = iga(model, convention=convention, penalty_weight=weight, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    gradient = state.optimizer.mean / 0.1 * (weight if convention == "paper" else 1)  # paper divides by a weight > 1
    of_risk = quotients(lambda t: risks(model, t, domains).mean(), theta)
    of_penalty = weight * quotients(term, theta)
    np.testing.assert_allclose(gradient, of_risk + of_penalty, rtol=1e-6, atol=1e-7)
    assert np.abs(of_penalty).max() > 0.1  # it does have an effect
    assert info == pytest.approx({"risk": risks(model, theta, domains).mean(), "penalty": term(theta)}, rel=1e-10)


@examples(max_examples=30)
@given(problems())
def test_paper_needs_m_times_the_weight_of_domainbed(problem):
    model, theta, domains = problem
    gradients = []
    for convention, weight in (("paper", 0.2 * len(domains)), ("domainbed", 0.2)):
        algorithm = iga(model, convention=convention, penalty_weight=weight, weight_decay=0.0)
        gradients.append(algorithm.update(theta, algorithm.init(theta), domains)[1].optimizer.mean)
    np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(("convention", "factor"), [("paper", 2), ("domainbed", 1)])
@examples(max_examples=30)
@given(problem=problems(LINEAR))
def test_without_its_weight_it_is_erm_with_equal_domains(convention, factor, problem):
    model, theta, domains = problem
    algorithm = iga(model, convention=convention, penalty_weight=0, lr=0.02, weight_decay=0.3)
    assert_follows_erm(algorithm, model, theta, domains, lr=0.02, decay=factor * 0.3)


def test_weight_defaults_to_domainbeds_without_warm_up():
    for convention in ("paper", "domainbed"):
        assert DEFAULTS[convention]["penalty_weight"] == 1000
        assert DEFAULTS[convention]["warm_up"] == 0


BAD = [
    ({"penalty_weight": -1}, r"{}: penalty_weight=-1 is outside \[0, inf\]"),
    ({"penalty_weight": float("nan")}, r"{}: penalty_weight=nan is outside \[0, inf\]"),
    ({"weight_decay": -0.5}, r"{}: weight_decay=-0.5 is outside \[0, inf\]"),
    ({"tau": 1}, "{}: unknown hyper-parameter 'tau', expected one of lr, weight_decay, penalty_weight, warm_up"),
    ({"convention": "own"}, "{}: unknown convention 'own', expected one of paper, domainbed"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=f"^{message.format('iga')}$"):
        iga(MLP((2, 1)), **given)


def test_one_domain_and_an_unknown_convention_are_refused():
    model, theta, domains = toy((3, 1))
    algorithm = iga(model)
    with pytest.raises(ValueError, match=r"^iga needs at least 2 domains, got 1: \[''\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])
    with pytest.raises(ValueError, match=r"^iga: unknown convention 'own', expected one of paper, domainbed$"):
        penalty(model, theta, domains, convention="own")
