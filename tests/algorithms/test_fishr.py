import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from strategies import problems

from minifishr.algorithms.fishr import discounted, distance, fishr, penalty, statistic
from minifishr.checks import check_gradient
from minifishr.data import Domain
from minifishr.gradients import per_sample_gradients
from minifishr.losses import risk, risks
from minifishr.mlp import MLP


def gradients_by_hand(model, theta, x, y):
    """Per-sample gradients of the classifier, (n, d_classifier): features times residuals, and residuals."""
    a, z = model.features(theta, x), model.logits(theta, x)
    k = z.shape[1]
    residuals = expit(z) - y[:, None] if k == 1 else softmax(z, axis=1) - (y[:, None] == np.arange(k))
    return np.array([np.concatenate([np.outer(f, r).ravel(), r]) for f, r in zip(a, residuals, strict=True)])


def variances_by_hand(model, theta, domains):
    return np.array([gradients_by_hand(model, theta, x, y).var(axis=0) for _, x, y in domains])


def pairs(v):
    """Squared distances between all ordered pairs of rows, added up."""
    return sum(((a - b) ** 2).sum() for a in v for b in v)


def close(value, scale):
    # E[g^2] - E[g]^2 and differences of variances lose digits beside `scale`, the sum of all squares
    return pytest.approx(value, rel=1e-9, abs=1e-14 * scale)


@given(problems())
def test_penalty_is_the_squared_distance_of_all_pairs(problem):
    model, theta, domains = problem
    v = variances_by_hand(model, theta, domains)
    m, d = v.shape
    scale = sum((gradients_by_hand(model, theta, x, y) ** 2).sum() for _, x, y in domains) ** 2
    assert penalty(model, theta, domains) == close(pairs(v) / (2 * m), scale)
    assert penalty(model, theta, domains, convention="domainbed") == close(pairs(v) / (2 * m**2 * d), scale)


@given(problems(n=(1, 6)))
def test_variance_is_that_of_the_per_sample_gradients_and_not_divided_by_n_again(problem):
    model, theta, domains = problem
    found = np.stack([statistic(model, theta, x, y) for _, x, y in domains])
    np.testing.assert_allclose(found, variances_by_hand(model, theta, domains), rtol=1e-9, atol=1e-13)


def test_distances_by_hand():
    phi = np.array([[1.0, 0.0], [2.0, 3.0], [6.0, 3.0]])  # deviations -2 -1 3 and -2 1 1
    assert distance(phi) == distance(phi, "paper") == 20
    assert distance(phi, "domainbed") == pytest.approx(20 / 6, rel=1e-15)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@given(problem=problems(m=(1, 1)))
def test_penalty_is_zero_when_domains_are_copies(convention, problem):
    model, theta, domains = problem
    assert penalty(model, theta, domains * 2, convention=convention) == 0
    # three copies: their mean may be rounded in its last digit
    assert penalty(model, theta, domains * 3, convention=convention) == pytest.approx(0, abs=1e-26)


@given(problems(m=(1, 1)))
def test_penalty_is_zero_for_reordered_and_duplicated_samples(problem):
    model, theta, (domain,) = problem
    backwards = domain._replace(x=domain.x[::-1], y=domain.y[::-1])
    twice = domain._replace(x=np.repeat(domain.x, 2, axis=0), y=np.repeat(domain.y, 2))
    # variances of size 1 with rounding of 1e-15, squared
    assert penalty(model, theta, [domain, backwards, twice]) == pytest.approx(0, abs=1e-24)


@given(problems())
def test_penalty_does_not_know_the_order_of_the_domains(problem):
    model, theta, domains = problem
    assert penalty(model, theta, domains[::-1]) == pytest.approx(penalty(model, theta, domains), rel=1e-9, abs=1e-20)


@given(problems([(3, 1), (3, 4, 1), (3, 2, 5, 1)]))
def test_two_logits_double_the_summed_penalty_and_keep_the_mean_penalty(problem):
    """z = z_1 - z_0: the gradients of the two columns are those of one logit with opposite signs."""
    model, theta, domains = problem
    *hidden, width, _ = model.sizes
    W, b = np.split(theta[model.classifier], [width])
    W0, b0 = np.random.default_rng(0).normal(size=width), 0.7  # any first column
    two = np.concatenate([theta[: model.classifier.start], np.column_stack([W0, W0 + W]).ravel(), [b0, b0 + b[0]]])
    wide = MLP((*hidden, width, 2))
    for convention, factor in (("paper", 2), ("domainbed", 1)):
        one_logit = penalty(model, theta, domains, convention=convention)
        # exact but for rounding
        assert penalty(wide, two, domains, convention=convention) == pytest.approx(
            factor * one_logit, rel=1e-9, abs=1e-20
        )


@given(problems())
def test_gradient_is_the_same_with_the_mean_held_constant(problem):
    model, theta, domains = problem
    mean = np.mean([statistic(model, theta, x, y) for _, x, y in domains], axis=0)

    def held(t):
        return sum(((statistic(model, t, x, y) - mean) ** 2).sum() for _, x, y in domains)

    whole = grad(lambda t: penalty(model, t, domains))(theta)
    np.testing.assert_allclose(whole, grad(held)(theta), rtol=1e-8, atol=1e-12 * (1 + np.abs(whole).max()))


@given(problems())
def test_losses_times_c_multiply_the_penalty_by_c_to_the_fourth(problem):
    model, theta, domains = problem
    scaled = [3 * per_sample_gradients(model, theta, x, y)[:, model.classifier] for _, x, y in domains]
    v = np.array([G.var(axis=0) for G in scaled])
    assert distance(v) == pytest.approx(81 * penalty(model, theta, domains), rel=1e-8, abs=1e-18)


@given(problems())
def test_variants_are_those_of_the_stored_gradients(problem):
    model, theta, domains = problem
    G = [per_sample_gradients(model, theta, x, y, method="loop") for _, x, y in domains]
    head = [one[:, model.classifier] for one in G]
    m, scale = len(domains), sum((one**2).sum() for one in G) ** 2

    def expected(rows, moment):
        return close(pairs(np.array([moment(one) for one in rows])) / (2 * m), scale)

    assert penalty(model, theta, domains, scope="all") == expected(G, lambda one: one.var(axis=0))
    assert penalty(model, theta, domains, ddof=1) == expected(head, lambda one: one.var(axis=0, ddof=1))
    assert penalty(model, theta, domains, centered=False) == expected(head, lambda one: (one**2).mean(axis=0))
    assert penalty(model, theta, domains, scope="all", centered=False) == expected(G, lambda one: (one**2).mean(axis=0))


VARIANTS = [{"scope": "all"}, {"centered": False}, {"ddof": 1}]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_variants_reach_the_training(convention, variant):
    model, theta, domains = toy()
    algorithm = fishr(model, convention=convention, **variant)
    info = algorithm.update(theta, algorithm.init(theta), domains)[2]
    expected = penalty(model, theta, domains, convention=convention, **variant)
    assert info["penalty"] == pytest.approx(expected, rel=1e-12)
    assert info["penalty"] != pytest.approx(penalty(model, theta, domains, convention=convention), rel=1e-3)


def toy(sizes=(3, 4, 1), rows=(3, 6)):
    model, rng = MLP(sizes), np.random.default_rng(6)
    theta = model.init(rng) + 0.3 * rng.normal(size=model.d)
    return (
        model,
        theta,
        [Domain("", (1 + e) * rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for e, n in enumerate(rows)],
    )


def quotients(f, theta):
    """Central differences, good to rounding of 1e-16 / 1e-6 times f, for f of size 1."""
    return np.array([(f(theta + h) - f(theta - h)) / 2e-6 for h in 1e-6 * np.eye(len(theta))])


@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 2, 4)])
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_direction_is_the_slope_of_the_objective_by_hand(convention, sizes):
    model, theta, domains = toy(sizes, (3, 6, 4))
    weight = {"paper": 5.0, "domainbed": 50.0}[convention]

    def objective(t):
        v = variances_by_hand(model, t, domains)
        if convention == "paper":
            return risks(model, t, domains).mean() + 5 * pairs(v) / 6
        everything = [np.concatenate(arrays) for arrays in zip(*(d[1:] for d in domains), strict=True)]
        return risk(model, t, *everything) + 50 * pairs(v) / 18 / v.shape[1]

    algorithm = fishr(model, convention=convention, penalty_weight=weight, warm_up=0, weight_decay=0.0)
    _, state, info = algorithm.update(theta, algorithm.init(theta), domains)
    gradient = state.optimizer.mean / 0.1 * (5 if convention == "paper" else 1)  # paper divides by a weight above 1
    np.testing.assert_allclose(gradient, quotients(objective, theta), rtol=1e-6, atol=1e-7)
    assert info["risk"] + weight * info["penalty"] == pytest.approx(objective(theta), rel=1e-10)


def test_warm_up_of_domainbed_is_erm_and_that_of_the_paper_has_weight_one():
    model, theta, domains = toy()
    schedule = {"penalty_weight": 1e6, "warm_up": 1, "weight_decay": 0.0}
    pooled = sum(len(y) * grad(lambda t, x=x, y=y: risk(model, t, x, y))(theta) for _, x, y in domains) / 9
    early = fishr(model, convention="domainbed", **schedule)
    _, state, _ = early.update(theta, early.init(theta), domains)
    np.testing.assert_allclose(state.optimizer.mean / 0.1, pooled, rtol=1e-11)
    early = fishr(model, **schedule)
    _, state, _ = early.update(theta, early.init(theta), domains)
    expected = grad(lambda t: risks(model, t, domains).sum() / 2 + penalty(model, t, domains))(theta)
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-11)


def test_memory_is_the_discounted_sum_of_variances_also_during_warm_up():
    model, theta, domains = toy()
    algorithm = fishr(model, convention="domainbed", ema=0.9, warm_up=3, penalty_weight=20.0, lr=0.05)
    state, v = algorithm.init(theta), []
    for t in range(6):
        v.append(variances_by_hand(model, theta, domains))
        theta, state, info = algorithm.update(theta, state, domains)
        memory = sum(0.9 ** (t - s) * old for s, old in enumerate(v))
        np.testing.assert_allclose(state.memory, memory, rtol=1e-11)
        assert info["penalty"] == pytest.approx(pairs(memory) / 8 / memory.shape[1], rel=1e-9)


def test_a_constant_variance_is_remembered_twenty_times_at_ema_095():
    model, theta, domains = toy()
    algorithm = fishr(model, convention="domainbed", lr=0.0)
    state = algorithm.init(theta)
    for _ in range(300):  # 0.95^300 is about 2e-7
        theta, state, _ = algorithm.update(theta, state, domains)
    np.testing.assert_allclose(state.memory, 20 * variances_by_hand(model, theta, domains), rtol=1e-6)


def test_past_variances_are_constant_for_the_gradient():
    model, theta, domains = toy()
    schedule = {"ema": 0.9, "warm_up": 2, "penalty_weight": 20.0, "lr": 0.05, "weight_decay": 0.0}
    algorithm = fishr(model, convention="domainbed", **schedule)
    state = algorithm.init(theta)
    for _ in range(2):
        theta, state, _ = algorithm.update(theta, state, domains)
    past = 0.9 * state.memory

    def objective(t):
        phi = past + variances_by_hand(model, t, domains)
        pooled = sum(len(y) * risk(model, t, x, y) for _, x, y in domains) / 9
        return pooled + 20 * pairs(phi) / 8 / phi.shape[1]

    expected = quotients(objective, theta)
    _, state, _ = algorithm.update(theta, state, domains)  # at the end of the warm-up Adam is made anew
    np.testing.assert_allclose(state.optimizer.mean / 0.1, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("refused", [penalty, lambda model, *a, **k: fishr(model, **k)])
def test_unknown_scope_is_refused_at_once(refused):
    with pytest.raises(ValueError, match="scope"):
        refused(*toy(), scope="last")


@given(problems(n=(2, 5)), st.booleans())
def test_full_covariance_is_each_blocks_own_over_its_rows(drawn, centered):
    model, theta, domains = drawn
    x, y = domains[0].x, domains[0].y
    G = per_sample_gradients(model, theta, x, y, method="loop")
    expected = []
    for block in list(model.blocks.values())[-2:]:
        part = G[:, block] - (G[:, block].mean(axis=0) if centered else 0)
        size = part.shape[1]
        entries = [sum(part[:, i] * part[:, j]) / len(y) / size for i in range(size) for j in range(size)]
        expected.extend(entries)
    found = statistic(model, theta, x, y, covariance="full", centered=centered)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)  # rounding of the subtraction of the mean


@given(problems(n=(2, 5)))
def test_diagonal_of_the_full_covariance_is_the_variance_over_the_rows(drawn):
    model, theta, domains = drawn
    x, y = domains[0].x, domains[0].y
    full, variance = statistic(model, theta, x, y, covariance="full"), statistic(model, theta, x, y)
    h, k = model.sizes[-2] * model.sizes[-1], model.sizes[-1]
    diagonals = np.concatenate([np.diag(full[: h * h].reshape(h, h)) * h, np.diag(full[h * h :].reshape(k, k)) * k])
    np.testing.assert_allclose(diagonals, variance, rtol=1e-9, atol=1e-12)


def test_full_covariance_trains_and_its_penalty_is_what_was_asked_for():
    model, theta, domains = MLP((3, 4, 1)), MLP((3, 4, 1)).init(np.random.default_rng(0)), []
    for e in range(2):
        rng = np.random.default_rng(e)
        domains.append(Domain(f"{e}", rng.normal(e, 1, (6, 3)), rng.integers(0, 2, 6)))
    algorithm = fishr(model, covariance="full")
    _, _, info = algorithm.update(theta, algorithm.init(theta), domains)
    c, d = (statistic(model, theta, domain.x, domain.y, covariance="full") for domain in domains)
    np.testing.assert_allclose(info["penalty"], np.sum((c - d) ** 2) / 2, rtol=1e-12)
    check_gradient(lambda t: penalty(model, t, domains, covariance="full"), theta)


@pytest.mark.parametrize("variant", [{"scope": "all"}, {"ddof": 1}])
def test_full_covariance_is_refused_for_all_layers_and_for_ddof(variant):
    with pytest.raises(ValueError, match=r"^fishr: covariance='full' needs scope='classifier' and ddof=0"):
        fishr(MLP((3, 4, 1)), covariance="full", **variant)
    with pytest.raises(ValueError, match=r"^fishr: covariance='full' needs scope='classifier' and ddof=0"):
        statistic(MLP((3, 1)), np.zeros(4), np.zeros((3, 3)), np.array([0, 1, 1]), covariance="full", **variant)


def test_number_of_domains_may_only_change_where_nothing_is_remembered():
    model, domains = MLP((3, 1)), []
    for e in range(3):
        rng = np.random.default_rng(e)
        domains.append(Domain(f"{e}", rng.normal(e, 1, (6, 3)), rng.integers(0, 2, 6)))
    theta = model.init(np.random.default_rng(0))
    forgetful, mindful = fishr(model, ema=0.0), fishr(model, ema=0.5)
    once, state, _ = forgetful.update(theta, forgetful.init(theta), domains)
    found, _, info = forgetful.update(once, state, domains[:2])
    assert info["penalty"] == pytest.approx(penalty(model, once, domains[:2]), rel=1e-12) and found.shape == (4,)
    _, state, _ = mindful.update(theta, mindful.init(theta), domains)
    with pytest.raises(ValueError, match=r"^fishr: ema=0\.5 remembers 3 domains, got 2$"):
        mindful.update(theta, state, domains[:2])


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize("variant", [{}, {"scope": "all"}, {"centered": False}, {"covariance": "full"}])
def test_penalty_with_a_memory_is_what_training_reports_and_its_slow_definition(convention, variant):
    model, theta, _ = toy()
    ema, memory, past = 0.75, 0.0, []
    algorithm = fishr(model, convention=convention, ema=ema, warm_up=1, penalty_weight=3.0, **variant)
    state = algorithm.init(theta)
    for step in range(4):
        domains = toy(rows=(3 + step, 6))[2]
        options = {"convention": convention, "ema": ema, "memory": memory, **variant}
        found, at = penalty(model, theta, domains, **options), theta
        v = np.array([statistic(model, theta, x, y, **variant) for _, x, y in domains])
        past = [v, *past]
        total = sum(ema**age * one for age, one in enumerate(past))
        spread = ((total - total.mean(axis=0)) ** 2).sum() / (1 if convention == "paper" else total.size)
        assert found == pytest.approx(spread, rel=1e-12)

        def with_constant_past(t, domains=domains, v=v, total=total):
            now = np.array([statistic(model, t, x, y, **variant) for _, x, y in domains]) + (total - v)
            return ((now - now.mean(axis=0)) ** 2).sum() / (1 if convention == "paper" else now.size)

        gradient = grad(lambda t, domains=domains, options=options: penalty(model, t, domains, **options))(at)
        np.testing.assert_allclose(gradient, quotients(with_constant_past, at), rtol=1e-6, atol=1e-7)
        memory = discounted(model, theta, domains, ema=ema, memory=memory, **variant)
        theta, state, info = algorithm.update(theta, state, domains)
        assert info["penalty"] == pytest.approx(found, rel=1e-12)
        np.testing.assert_allclose(memory, state.memory, rtol=1e-12, atol=1e-18)


def test_memory_of_other_domains_or_an_impossible_decay_is_refused():
    model, theta, domains = toy()
    memory = discounted(model, theta, domains)
    assert penalty(model, theta, domains) == penalty(model, theta, domains, ema=0.9)  # the first step
    for wrong in (memory[:1], memory[:, :-1], discounted(model, theta, domains, scope="all")):
        with pytest.raises(
            ValueError, match=r"^fishr: memory \(.*\) of other domains or parameters, expected \(2, 5\)$"
        ):
            penalty(model, theta, domains, ema=0.9, memory=wrong)
    with pytest.raises(ValueError, match=r"^fishr: ema=1.5 is outside \[0, 1\]$"):
        penalty(model, theta, domains, ema=1.5, memory=memory)


def test_unbiased_mean_squares_are_refused_everywhere():
    model, told = MLP((3, 1)), r"^fishr: ddof=1 has no effect with centered=False, whose divisor is n$"
    for chunk in (None, 4):
        with pytest.raises(ValueError, match=told):
            fishr(model, centered=False, ddof=1, chunk=chunk)
    with pytest.raises(ValueError, match=told):
        penalty(model, np.zeros(4), [Domain("a", np.ones((3, 3)), np.array([0, 1, 1]))] * 2, centered=False, ddof=1)


@pytest.mark.parametrize("chunk", [None, 4])
def test_nothing_is_kept_that_is_not_remembered(chunk):
    model, rng = MLP((3, 1)), np.random.default_rng(0)
    domains = [Domain(f"{e}", rng.normal(e, 1, (6, 3)), np.arange(6) % 2) for e in range(2)]
    theta = model.init(rng)
    for ema, shape in ((0.0, ()), (0.5, (2, 4))):
        algorithm = fishr(model, ema=ema, chunk=chunk)
        assert algorithm.update(theta, algorithm.init(theta), domains)[1].memory.shape == shape
