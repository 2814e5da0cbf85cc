"""What every method promises, in both conventions."""

import copy

import numpy as np
import pytest

from minifishr.algorithms import ALGORITHMS, DEFAULTS, EXCEPTIONS, MODULES, PENALTIES, SECOND_WEIGHTS, WARM_UPS
from minifishr.checks import check_algorithm, check_penalty
from minifishr.data import Domain
from minifishr.losses import risks
from minifishr.mlp import MLP

ENTRIES = [(name, convention) for name in ALGORITHMS for convention in ("paper", "domainbed")]
PENALIZED = [(name, convention) for name, convention in ENTRIES if "penalty_weight" in DEFAULTS[name][convention]]
SCHEDULED = [(name, convention) for name, convention in PENALIZED if "warm_up" in DEFAULTS[name][convention]]
COMPARING = sorted({*PENALTIES} - {"irm", "ib_erm", "ib_irm", "sd"})  # the others are means over domains
every_method = pytest.mark.parametrize(("name", "convention"), ENTRIES)


def problem(sizes=(3, 4, 1), rows=(4, 4, 4), dtype=np.float64):
    """A model, theta, and domains that differ."""
    model, rng = MLP(sizes), np.random.default_rng(2)
    theta = model.init(rng, dtype)
    labels = [rng.integers(0, max(2, sizes[-1]), n) for n in rows]
    return (
        model,
        theta,
        [Domain(f"{e}", (rng.normal(size=(len(y), 3)) + e).astype(dtype), y) for e, y in enumerate(labels)],
    )


def train(algorithm, theta, domains, steps):
    """(theta, state, info) after some updates."""
    state = algorithm.init(theta)
    for _ in range(steps):
        theta, state, info = algorithm.update(theta, state, domains)
    return theta, state, info


def arrays(tree):
    """All arrays and numbers of nested tuples, lists and dicts."""
    if isinstance(tree, dict):
        tree = [*tree.values()]
    return [leaf for branch in tree for leaf in arrays(branch)] if isinstance(tree, tuple | list) else [tree]


def assert_equal(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


@every_method
def test_every_method_keeps_the_promises_of_all(name, convention):
    orders = {key: value for key, value in EXCEPTIONS[name].items() if key.startswith("ordered")}
    check_algorithm(ALGORITHMS[name], convention, **orders)


def weighed(name, convention, weight):
    """All weights of a method's terms, and no warm-up."""
    chosen = {**dict.fromkeys(("penalty_weight", *SECOND_WEIGHTS), weight), **dict.fromkeys(WARM_UPS, 0)}
    return {key: value for key, value in chosen.items() if key in DEFAULTS[name][convention]}


@pytest.mark.parametrize("name", COMPARING)
def test_penalty_that_compares_domains_refuses_a_single_one(name):
    model, theta, domains = problem()
    with pytest.raises(ValueError, match=r"^the penalty needs at least 2 domains, got 1: \['0'\]$"):
        PENALTIES[name](model, theta, domains[:1])


@pytest.mark.parametrize("name", sorted({*PENALTIES} - {*COMPARING}))
def test_penalty_that_is_a_mean_over_domains_is_defined_for_a_single_one(name):
    model, theta, domains = problem()
    alone = [PENALTIES[name](model, theta, [domain]) for domain in domains]
    np.testing.assert_allclose(PENALTIES[name](model, theta, domains), np.mean(alone), rtol=1e-13)  # rounding


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_every_penalty_keeps_the_promises_of_all(name, convention):
    check_penalty(PENALTIES[name], convention=convention, **EXCEPTIONS[name])


@every_method
@pytest.mark.parametrize("sizes", [(3, 1), (3, 4, 1), (3, 4, 2, 3)])
def test_update_is_a_pure_function(name, convention, sizes):
    model, theta, domains = problem(sizes)
    algorithm = ALGORITHMS[name](model, convention=convention)
    theta, state, _ = train(algorithm, theta, domains, 2)
    before = copy.deepcopy((theta, state, domains))
    first = algorithm.update(theta, state, domains)
    kept = copy.deepcopy(first)
    assert_equal(algorithm.update(theta, state, domains), first)
    assert_equal(ALGORITHMS[name](model, convention=convention).update(theta, state, domains), first)
    assert_equal((theta, state, domains), before)
    algorithm.update(*first[:2], domains)  # nor does the next update reach back
    assert_equal(first, kept)
    assert_equal(algorithm.init(before[0]), algorithm.init(before[0]))


@every_method
def test_inputs_may_be_read_only(name, convention):
    model, theta, domains = problem()
    for array in (theta, *(a for d in domains for a in d[1:])):
        array.flags.writeable = False
    train(ALGORITHMS[name](model, convention=convention), theta, domains, 2)


@every_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_shapes_are_kept(name, convention, dtype):
    model, theta, domains = problem(dtype=dtype)
    algorithm = ALGORITHMS[name](model, convention=convention)
    found, state, _ = train(algorithm, theta, domains, 2)
    assert (found.dtype, found.shape) == (theta.dtype, theta.shape)
    floats = [leaf for leaf in arrays(state) if isinstance(leaf, np.ndarray)]
    assert {leaf.dtype for leaf in floats} == {np.dtype(dtype)}
    assert [np.shape(leaf) for leaf in arrays(state.optimizer)] == [
        np.shape(l) for l in arrays(algorithm.init(theta).optimizer)
    ]


@every_method
def test_numpy_numbers_leave_float32_alone(name, convention):
    model, theta, domains = problem(dtype=np.float32)
    numbers = {k: np.float64(v) for k, v in DEFAULTS[name][convention].items() if type(v) is float}
    found, state, _ = train(ALGORITHMS[name](model, convention=convention, **numbers), theta, domains, 2)
    assert {leaf.dtype for leaf in arrays((found, state)) if isinstance(leaf, np.ndarray)} == {np.dtype(np.float32)}


@every_method
def test_float32_follows_float64(name, convention):
    (model, single, domains), (_, double, same) = problem(dtype=np.float32), problem()
    algorithm = ALGORITHMS[name](model, convention=convention)
    found, expected = (train(algorithm, t, d, 3)[2]["risk"] for t, d in ((single, domains), (double, same)))
    assert found == pytest.approx(expected, rel=1e-4)  # 1e-7 of single precision, with room for a ReLU that flips


@every_method
def test_info_holds_plain_finite_floats(name, convention):
    model, theta, domains = problem()
    _, state, info = train(ALGORITHMS[name](model, convention=convention), theta, domains, 2)
    assert "risk" in info
    assert ("penalty" in info) == ((name, convention) in PENALIZED)
    assert all(type(value) is float and np.isfinite(value) for value in info.values())
    assert state.step == 2


@every_method
def test_first_risk_is_the_mean_over_domains_at_the_theta_that_came_in(name, convention):
    model, theta, domains = problem()
    algorithm = ALGORITHMS[name](model, convention=convention, lr=0.0)  # a walk too then stays at theta
    info = algorithm.update(theta, algorithm.init(theta), domains)[2]
    assert info["risk"] == pytest.approx(risks(model, theta, domains).mean(), rel=1e-13)


@pytest.mark.parametrize(("name", "convention"), SCHEDULED)
def test_without_its_weight_a_penalized_method_is_erm(name, convention):
    model, theta, domains = problem()  # as many rows in each domain: pooled or not, the risk is the same
    same = {"convention": convention, "lr": 0.05, "weight_decay": 0.1}
    found, _, info = train(ALGORITHMS[name](model, **same, **weighed(name, convention, 0.0)), theta, domains, 5)
    expected, _, erm = train(ALGORITHMS["erm"](model, **same), theta, domains, 5)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)  # Adam divides rounding of 1e-16 by 1e-8 at least
    assert info["risk"] == pytest.approx(erm["risk"], rel=1e-9)


@pytest.mark.parametrize("name", sorted({name for name, _ in PENALIZED}))
def test_penalty_refuses_an_unknown_convention(name):
    with pytest.raises(ValueError, match=f"^{name}: unknown convention 'own', expected one of paper, domainbed$"):
        MODULES[name].penalty(*problem(), convention="own")


@pytest.mark.parametrize(("name", "convention"), PENALIZED)
def test_info_has_the_penalty_that_can_be_called(name, convention):
    model, theta, domains = problem(rows=(5, 3, 4))
    algorithm = ALGORITHMS[name](model, convention=convention)
    info = algorithm.update(theta, algorithm.init(theta), domains)[2]
    expected = MODULES[name].penalty(model, theta, domains, convention=convention)
    assert info["penalty"] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("name", "convention"), SCHEDULED)
def test_the_penalty_pulls_once_it_has_weight(name, convention):
    model, theta, domains = problem(rows=(5, 3, 4))
    same, penalty = {"convention": convention, "lr": 0.01, "weight_decay": 0.0}, MODULES[name].penalty
    made = [ALGORITHMS[name](model, **same, **weighed(name, convention, w)) for w in (0, 1e3)]
    light, heavy = (train(method, theta, domains, 60)[0] for method in made)
    assert penalty(model, heavy, domains, convention=convention) < 0.5 * penalty(
        model, light, domains, convention=convention
    )


@every_method
def test_training_lowers_the_risk_of_a_separable_problem(name, convention):
    model, rng = MLP((2, 4, 1)), np.random.default_rng(0)
    y = np.arange(12) % 2
    domains = [Domain(f"{e}", rng.normal(size=(12, 2)) * 0.3 + (2 * y - 1)[:, None], y) for e in range(2)]
    theta = model.init(rng)
    little = weighed(name, convention, 0.1) if (name, convention) in PENALIZED else {}
    found, _, _ = train(ALGORITHMS[name](model, convention=convention, lr=0.02, **little), theta, domains, 100)
    before, after = (risks(model, t, domains).mean() for t in (theta, found))
    assert after < 0.5 * before


@every_method
def test_errors_say_which_method_refuses(name, convention):
    model, theta, domains = problem()
    factory = ALGORITHMS[name]
    with pytest.raises(ValueError, match=f"^{name}: unknown convention 'own', expected one of paper, domainbed$"):
        factory(model, convention="own")
    with pytest.raises(ValueError, match=f"^{name}: unknown hyper-parameter 'learning_rate', expected one of lr, "):
        factory(model, convention=convention, learning_rate=0.1)
    with pytest.raises(ValueError, match=f"^{name}: lr=-1 is outside"):
        factory(model, convention=convention, lr=-1)
    algorithm = factory(model, convention=convention)
    narrow = domains[1]._replace(name="narrow", x=domains[1].x[:, :2])
    with pytest.raises(ValueError, match=rf"^{name}: domain 'narrow' has x \(4, 2\) and y \(4,\), expected \(n, 3\) "):
        algorithm.update(theta, algorithm.init(theta), [domains[0], narrow])
    with pytest.raises(ValueError, match=f"^{name} needs at least . domain"):
        algorithm.update(theta, algorithm.init(theta), [])


@every_method
def test_algorithm_bears_its_name(name, convention):
    assert ALGORITHMS[name](MLP((3, 1)), convention=convention).name == name
    assert set(DEFAULTS[name]) == {"paper", "domainbed"}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_paper_is_the_default_convention(name):
    model, theta, domains = problem()
    chosen, paper = ALGORITHMS[name](model), ALGORITHMS[name](model, convention="paper")
    assert_equal(train(chosen, theta, domains, 2), train(paper, theta, domains, 2))


@every_method
def test_rows_and_labels_of_different_number_are_refused_by_the_domain_s_name(name, convention):
    model = MLP((2, 3, 1))
    theta, x, y = model.init(np.random.default_rng(0)), np.arange(18.0).reshape(9, 2), np.arange(9) % 2
    uneven = [Domain("a", x[:5], y[:4]), Domain("b", x[5:], y[4:])]  # nine of each: a row would go to the other domain
    algorithm = ALGORITHMS[name](model, convention=convention)
    with pytest.raises(ValueError, match=r"domain 'a' has x \(5, 2\) and y \(4,\)"):
        algorithm.update(theta, algorithm.init(theta), uneven)
    if name in PENALTIES:
        with pytest.raises(ValueError, match=r"domain 'a' has x \(5, 2\) and y \(4,\)"):
            PENALTIES[name](model, theta, uneven, convention=convention)
