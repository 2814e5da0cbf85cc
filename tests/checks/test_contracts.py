import autograd.numpy as np
import pytest
from autograd import value_and_grad

from minifishr.algorithms import Algorithm
from minifishr.algorithms.fishr import penalty as fishr_penalty
from minifishr.algorithms.protocol import RECIPES, deviations, mean_risk, penalized
from minifishr.algorithms.vrex import penalty as vrex_penalty
from minifishr.algorithms.vrex import statistic
from minifishr.checks import check_algorithm, check_penalty, contracts, example
from minifishr.data import load_checkpoint, save_checkpoint


def own(change=lambda **parts: parts, lr=0.1):
    """A factory as one would write it in a notebook: gradient descent; `change` breaks it in one place."""

    def factory(model, *, convention="paper"):
        def update(theta, state, domains):
            risk, gradient = value_and_grad(lambda t: mean_risk(model, t, domains))(theta)
            parts = {"theta": theta - lr * gradient, "state": state + 1, "info": {"risk": float(risk)}}
            parts = change(before=theta, domains=domains, **parts) or parts
            return parts["theta"], parts["state"], parts["info"]

        return Algorithm("own", lambda theta: 0, update)

    return factory


def test_method_of_ones_own_passes_without_registration():
    check_algorithm(own())


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_penalty_of_ones_own_with_a_warm_up_and_without_settings_passes(convention):
    def evenness(model, *, convention="paper", lr=0.003, penalty_weight=10.0, warm_up=50, weight_decay=0.0):
        numbers = {"lr": lr, "penalty_weight": penalty_weight, "warm_up": warm_up, "weight_decay": weight_decay}
        recipe, spread = RECIPES[convention], lambda phi: np.sum(deviations(phi) ** 2)
        return penalized("evenness", model, statistic, spread, recipe, **numbers)

    check_algorithm(evenness, convention)


def modify_theta(before, **parts):
    before += 1e-3


def modify_domains(domains, **parts):
    domains[0].x[:] *= 1.001


def upcast(theta, **parts):
    return {**parts, "theta": theta.astype(np.float64)}


def noisy(theta, **parts):
    return {**parts, "theta": theta + 1e-12 * np.random.default_rng().normal(size=theta.shape)}


def not_a_number(theta, **parts):
    return {**parts, "theta": theta * np.float32(np.nan)}


def numpy_info(info, **parts):
    return {**parts, "info": {"risk": np.float64(info["risk"])}}


def no_risk(info, **parts):
    return {**parts, "info": {"loss": info["risk"]}}


def infinite_info(info, **parts):
    return {**parts, "info": {"risk": float("inf")}}


def favorite_domain(theta, domains, **parts):
    return {**parts, "theta": theta + 1e-6 * domains[0].x.sum().astype(theta.dtype)}


def favorite_sample(theta, domains, **parts):
    return {**parts, "theta": theta + 1e-6 * sum(domain.x[0].sum() for domain in domains).astype(theta.dtype)}


def false_penalty(theta, info, **parts):
    return {**parts, "theta": theta, "info": {**info, "penalty": 0.0}}


BROKEN = {
    modify_theta: "update modifies nothing",
    modify_domains: "update modifies nothing",
    upcast: "theta stays float32",
    not_a_number: "theta stays finite",
    noisy: "the same input gives the same output",
    numpy_info: "info holds finite Python floats",
    infinite_info: "info holds finite Python floats",
    no_risk: 'info has "risk"',
    favorite_domain: "the order of domains does not matter",
    favorite_sample: "the order of samples does not matter",
}


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda theta, state: (theta, state), r"update returns theta, a state and .*; came: \['ndarray', 'int'\]"),
        (lambda theta, state: theta, "update returns theta, a state and a dict of numbers; came: ndarray"),
        (lambda theta, state: (theta, state, 0.5), "update returns .*; came: .*'float'"),
        (lambda theta, state: (theta, [state], {"risk": 0.5}), "a state is an array, .*; came: .'list'"),
        (lambda theta, state: (theta, (state, (None, {})), {"risk": 0.5}), "a state is .*; came: .'NoneType', 'dict'"),
    ],
)  # fmt: skip
def test_what_an_update_must_return_is_told(returned, told):
    def factory(model, *, convention="paper"):
        return Algorithm("own", lambda theta: 0, lambda theta, state, domains: returned(theta, state))

    with pytest.raises(AssertionError, match=f"^promised: {told}"):
        check_algorithm(factory)


def test_list_as_the_first_state_is_told():
    with pytest.raises(AssertionError, match=r"^promised: a state is .*; came: \['list'\]$"):
        check_algorithm(lambda model, convention: Algorithm("own", lambda theta: [0], None))


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: change.__name__)
def test_broken_promise_is_named(change):
    with pytest.raises(AssertionError, match=f"^promised: {BROKEN[change]}.*; came: "):
        check_algorithm(own(change))


def test_order_that_is_declared_may_matter():
    check_algorithm(own(favorite_domain), ordered_domains=True)
    check_algorithm(own(favorite_sample), ordered_samples=True)


def half_steps(theta, state, **parts):
    """A state that starts as an integer and becomes a fraction."""
    return {**parts, "theta": theta * theta.dtype.type(1 + 1e-3 * state), "state": state - np.float64(0.5)}


def test_state_that_becomes_a_fraction_survives_and_one_that_is_cut_off_is_found(monkeypatch):
    check_algorithm(own(half_steps))

    def cut(path, template):
        theta, state = load_checkpoint(path, template)
        return theta, int(state)

    monkeypatch.setattr(contracts, "load_checkpoint", cut)
    with pytest.raises(AssertionError, match=r"^promised: state survives a save and a load"):
        check_algorithm(own(half_steps))


def test_penalty_weight_of_zero_must_start_as_erm():
    def factory(model, *, convention="paper", penalty_weight=1.0, lr=0.1, weight_decay=0.0):
        found = own(false_penalty, lr=lr)(model)  # a penalty is reported, and plain gradient descent is no Adam
        return found._replace(settings={"penalty_weight": penalty_weight, "lr": lr, "weight_decay": weight_decay})

    with pytest.raises(AssertionError, match=r"^promised: penalty_weight = 0 starts as ERM"):
        check_algorithm(factory)


def hidden_count(model, *, convention="paper", lr=0.1, turn=3):
    count = []  # of its steps, which no checkpoint keeps

    def update(theta, state, domains):
        count.append(1)
        risk, gradient = value_and_grad(lambda t: mean_risk(model, t, domains))(theta)
        return theta - lr / (1 + (len(count) > turn)) * gradient, state, {"risk": float(risk)}

    return Algorithm("hidden", lambda theta: (), update)


def paired_rows(model, theta, domains):
    """The variance over domains of the logits of rows with the same number."""
    return np.mean(np.var(np.stack([model.logits(theta, d.x) for d in domains]), axis=0))


def test_count_of_steps_that_no_checkpoint_keeps_is_found(monkeypatch):
    monkeypatch.setattr(contracts, "check_update", lambda *_: None)
    monkeypatch.setattr(contracts, "check_replay", lambda *_: None)
    with pytest.raises(AssertionError, match=r"^promised: state survives a save and a load"):
        check_algorithm(hidden_count, turn=3)


def test_rows_that_are_paired_across_domains_depend_on_their_order_and_so_does_a_small_penalty():
    for penalty in (paired_rows, lambda *a: 1e-7 * paired_rows(*a)):
        with pytest.raises(AssertionError, match="the order of samples does not matter"):
            check_penalty(penalty)


def test_method_of_ones_own_that_reports_a_penalty_needs_no_adam():
    def factory(model, *, convention="paper", penalty_weight=1.0, lr=0.1):
        def update(theta, state, domains):
            def objective(t):
                return mean_risk(model, t, domains) + penalty_weight * vrex_penalty(model, t, domains)

            value, gradient = value_and_grad(objective)(theta)
            return theta - lr * gradient, state, {"risk": float(value), "penalty": 0.0}

        return Algorithm("descent", lambda theta: (), update)

    check_algorithm(factory)


PENALTIES = {
    "one finite number": lambda model, theta, domains: theta[:2],
    "copies of one domain have no penalty": lambda *a: 1 + vrex_penalty(*a),
    "the order of domains": lambda model, theta, domains: vrex_penalty(model, theta, domains[:2]),
    "the order of samples": lambda model, theta, domains: vrex_penalty(
        model, theta, [d._replace(x=d.x[:3], y=d.y[:3]) for d in domains]
    ),
    "the gradient is not zero": lambda model, theta, domains: 0 * fishr_penalty(model, theta, domains),
}


@pytest.mark.parametrize("promise", PENALTIES)
def test_broken_promise_of_a_penalty_is_named(promise):
    with pytest.raises(AssertionError, match=f"^promised: .*{promise}"):
        check_penalty(PENALTIES[promise])


def test_penalty_that_does_not_flow_is_found():
    """An early public IGA held the gradients constant: half of the penalty's gradient is missing here."""

    def half(model, theta, domains):
        value = getattr(theta, "_value", theta)
        return fishr_penalty(model, theta, domains) + vrex_penalty(model, value, domains)

    with pytest.raises(AssertionError, match=r"^promised: the gradient agrees with finite differences"):
        check_penalty(half)


def test_checkpoint_of_another_method_is_refused(tmp_path):
    _, theta, _ = example()
    save_checkpoint(tmp_path / "a.npz", theta, (1, (theta, 2.0)))
    found, state = load_checkpoint(tmp_path / "a.npz", (0, (theta, 0.0)))
    assert (found == theta).all() and state[0] == 1 and (state[1][0] == theta).all() and state[1][1] == 2.0
    with pytest.raises(ValueError, match=r"a\.npz: 3 arrays of state, expected 1$"):
        load_checkpoint(tmp_path / "a.npz", (0,))
