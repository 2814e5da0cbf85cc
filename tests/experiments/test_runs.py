import os

import numpy as np
import pytest
from samples import MNIST_LIKE, own_domains

from minifishr.algorithms import ALGORITHMS
from minifishr.algorithms.erm import erm
from minifishr.checks import check_algorithm
from minifishr.data import full_batch, load_digits, stream
from minifishr.experiments import plan, run
from minifishr.experiments.measures import AGREEMENT
from minifishr.experiments.parallel import compare
from minifishr.experiments.presets import DISPERSION, MATCHING, PRESETS
from minifishr.experiments.problems import network, problem
from minifishr.gradients import domain_gradients, per_sample_gradients
from minifishr.invariance import STATISTICS, invariances
from minifishr.train import fit


def own_plan(algorithms=("erm", "fishr"), seeds=(0,), steps=4, preset="quick", **options):
    return plan(preset, algorithms, seeds, "own", "c", steps=steps, **options)


def test_plan_has_one_configuration_a_method_and_seed():
    configs = plan("quick", ("erm", "fishr"), (0, 1))
    assert [(c.algorithm, c.seed) for c in configs] == [("erm", 0), ("erm", 1), ("fishr", 0), ("fishr", 1)]
    assert configs[3].hyper_parameters["penalty_weight"] == 91257.18613115903
    assert configs[0].test_domain == "-90%" and configs[0].steps == PRESETS["quick"]["steps"]


@pytest.mark.parametrize(("name", "preset"), [("dann", "domainbed"), ("fish", "irm"), ("dann", "quick")])
def test_what_a_method_draws_is_drawn_by_the_seed_of_the_run_unless_it_is_said(name, preset):
    seeds = [
        config.hyper_parameters["seed"] for config in plan(preset, (name, "erm"), (0, 3)) if config.algorithm == name
    ]
    assert seeds == [0, 3] and all("seed" not in c.hyper_parameters for c in plan(preset, ("erm",), (0, 3)))
    told = plan(preset, (name,), (0, 3), changes=[(None, "seed", 7)])
    assert [config.hyper_parameters["seed"] for config in told] == [7, 7]


def test_irm_preset_has_the_published_hyper_parameters():
    published = {"lr": 0.0004898536566546834, "weight_decay": 0.00110794568}
    penalized = {**published, "penalty_weight": 91257.18613115903, "warm_up": 190}
    for config in plan("irm", ("erm", "irm", "vrex", "fishr")):
        expected = published if config.algorithm == "erm" else penalized
        assert {name: config.hyper_parameters[name] for name in expected} == expected
        assert (config.steps, config.hidden, config.count, config.batch) == (501, [390, 390], 25_000, None)


def test_changes_go_to_every_method_that_has_the_name_or_to_one():
    changes = [(None, "penalty_weight", 7), ("irm", "lr", 0.5)]
    chosen = {c.algorithm: c.hyper_parameters for c in plan("quick", ("erm", "irm", "fishr"), changes=changes)}
    assert chosen["irm"]["penalty_weight"] == chosen["fishr"]["penalty_weight"] == 7
    assert "penalty_weight" not in chosen["erm"]
    assert chosen["irm"]["lr"] == 0.5 and chosen["erm"]["lr"] == chosen["fishr"]["lr"] == 0.0004898536566546834


def test_what_is_said_of_one_method_wins_in_any_order():
    changes = [("irm", "lr", 0.5), (None, "lr", 0.25), (None, "penalty_weight", 3.0)]
    for order in (changes, changes[::-1]):
        chosen = {c.algorithm: c.hyper_parameters for c in plan("quick", ("erm", "irm"), changes=order)}
        assert (chosen["irm"]["lr"], chosen["erm"]["lr"], chosen["irm"]["penalty_weight"]) == (0.5, 0.25, 3)
    (matched,) = plan("domainbed", ("fishr",), changes=[(None, "penalty_weight", 3.0)], matched=True)
    assert matched.hyper_parameters["penalty_weight"] == 3  # the matched weight is a default, not what is said


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"preset": ""}, "unknown preset '', expected one of quick"),
        ({"changes": [(None, "lr", 1), (None, "lr", 1)]}, "hyper-parameter lr is set 2 times"),
        ({"changes": [("irm", "lr", 1), ("irm", "lr", 2)]}, "hyper-parameter irm.lr is set 2 times"),
        ({"preset": "fast"}, "unknown preset 'fast', expected one of quick, irm, domainbed"),
        ({"dataset": "cifar"}, "unknown dataset 'cifar', expected one of colored, rotated, linear, cdsprites, own"),
        ({"preset": "linear"}, "preset 'linear' does not fit data set 'colored', expected quick or irm or domainbed"),
        ({"dataset": "linear", "preset": "quick"}, "preset 'quick' does not fit data set 'linear', expected linear"),
        ({"domains": [5]}, r"data set 'colored' has its own number of domains, got domains=\[5\]"),
        ({"seeds": ()}, "at least one seed"),
        ({"seeds": (0, -1)}, "none below 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"changes": [(None, "lamda", 1)]}, "hyper-parameter 'lamda' belongs to none of erm, irm"),
        ({"changes": [("sgd", "lr", 1)]}, "unknown method 'sgd', expected one of erm, irm"),
    ],
)
def test_unknown_requests_are_refused(request_, message):
    with pytest.raises(ValueError, match=message):
        plan(**{"algorithms": ("erm", "irm"), **request_})


def test_irm_setup_always_tests_on_the_same_domain():
    with pytest.raises(ValueError, match="preset quick tests on '-90%', got '\\+80%'"):
        problem(plan("quick", ("erm",), test_domain="+80%")[0], None)


def test_two_labels_are_one_logit_in_the_paper_convention_and_two_in_domainbeds():
    for preset, classes, outputs in [("quick", 2, 1), ("domainbed", 2, 2), ("quick", 4, 4), ("domainbed", 4, 4)]:
        config = own_plan(preset=preset)[0]
        assert network(config, problem(config, own_domains(classes))).sizes == (3, *config.hidden, outputs)


def test_run_measures_the_variances_of_each_training_domain_before_and_after():
    config = own_plan(("fishr",))[0]
    result = run(config, own_domains(), ALGORITHMS["fishr"])
    task = problem(config, own_domains())
    model = network(config, task)
    for e, domain in enumerate(task.train):
        G = per_sample_gradients(model, result.theta, domain.x, domain.y)[:, model.classifier]
        np.testing.assert_allclose(result.variances[1, e], G.var(axis=0), rtol=1e-3, atol=1e-7)  # float32
    assert result.theta.dtype == np.float32 and not np.allclose(*result.variances) and result.failure is None


def test_adding_a_method_or_a_seed_changes_no_other_runs_numbers():
    few = {(r.config.algorithm, r.config.seed): r for r in compare(own_plan(("fishr",)), own_domains())}
    many = compare(own_plan(("erm", "fish", "fishr"), (0, 1), preset="quick"), own_domains())
    many = {(r.config.algorithm, r.config.seed): r for r in many}
    assert len(many) == 6
    assert few["fishr", 0].theta.tobytes() == many["fishr", 0].theta.tobytes()
    assert many["fishr", 0].theta.tobytes() != many["fishr", 1].theta.tobytes()


def test_processes_give_the_numbers_of_one_process():
    def trained(jobs):
        return {r.config.algorithm: r.theta for r in compare(own_plan(), own_domains(), jobs=jobs)}

    alone, apart, again = trained(1), trained(2), trained(2)
    for name in alone:
        assert apart[name].tobytes() == again[name].tobytes()
        # Another number of BLAS threads may add in another order: the last bits of float32, four steps long.
        np.testing.assert_allclose(apart[name], alone[name], atol=1e-6)


def test_every_step_of_every_run_is_counted():
    counts = []
    list(compare(own_plan(seeds=(0, 1)), own_domains(), bar=counts.append))
    assert counts[-1] == 4 * 4 and counts == sorted(counts)


def test_run_that_diverges_is_a_result_with_a_failure():
    config = own_plan(("irm",), changes=[(None, "lr", 1e30)], seeds=(3,))[0]
    result = run(config, own_domains(), ALGORITHMS["irm"])
    assert result.failure.startswith("seed 3: irm: ") and "non-finite at step" in result.failure
    assert [row for row in result.history if row.step == 0] and np.isfinite(result.theta).all()


def test_toys_have_a_preset_and_methods_of_their_own():
    assert [c.algorithm for c in plan(dataset="linear")] == list(MATCHING)
    configs = plan(dataset="cdsprites", algorithms=["erm"], domains=[3, 2, 3], seeds=(0, 1))
    assert [(c.domains, c.seed) for c in configs] == [(3, 0), (3, 1), (2, 0), (2, 1)]
    assert [len(problem(c, None).train) for c in configs] == [3, 3, 2, 2]
    assert plan(dataset="cdsprites")[0].domains == 15 and plan(dataset="linear")[0].domains is None


def test_toys_always_test_on_the_same_domain():
    with pytest.raises(ValueError, match="preset linear tests on 'test', got 'domain 1'"):
        problem(plan(dataset="linear", test_domain="domain 1")[0], None)


def test_linear_toy_starts_near_zero():
    config = plan(dataset="linear", algorithms=["erm"], steps=1, changes=[("erm", "lr", 0.0)])[0]
    theta, whole = (run(c, None, erm).theta for c in (config, config._replace(start=1)))
    np.testing.assert_allclose(theta, 0.1 * whole, rtol=1e-6)  # float32


def test_agreement_of_the_gradients_is_measured_on_the_toys_by_its_definition():
    config = plan(dataset="cdsprites", algorithms=["erm"], domains=[3], steps=2)[0]
    result = run(config, None, erm)
    rows = {row.step: row.value for row in result.history if row.metric == AGREEMENT}
    task = problem(config, None)
    _, g = domain_gradients(network(config, task), result.theta, task.train)
    pairs = [g[0] @ g[1], g[0] @ g[2], g[1] @ g[2]]
    assert set(rows) == {0, 2} and np.isclose(rows[2], np.mean(pairs), rtol=1e-4)  # float32


def test_published_warm_ups_are_shortened_with_the_run_and_chosen_ones_are_not():
    def warm_up(**options):
        return plan(algorithms=["fishr"], **options)[0].hyper_parameters["warm_up"]

    assert [warm_up(preset="domainbed", steps=steps) for steps in (1_000, 5_000, 9_000)] == [300, 1_500, 1_500]
    assert warm_up(preset="domainbed", steps=10, changes=[(None, "warm_up", 1_500)]) == 1_500
    assert warm_up(preset="quick", steps=10) == 190 and warm_up(dataset="cdsprites", steps=10) == 100


def test_images_of_another_size_than_the_presets_have_as_many_inputs():
    (config,) = plan("domainbed", ["erm"], dataset="rotated", test_domain="0", count=20, size=7)
    assert problem(config, MNIST_LIKE).train[0].x.shape[1] == 49
    with pytest.raises(ValueError, match="preset 'domainbed' has no size to replace, got size=7"):
        plan("domainbed", ["erm"], dataset="own", test_domain="a", size=7)


def test_run_measures_what_it_has_made_equal_where_that_is_asked_for():
    (config,) = own_plan(["erm"], invariances=True)
    result, plain = run(config, own_domains(), erm), run(own_plan(["erm"])[0], own_domains(), erm)
    assert result.theta.tobytes() == plain.theta.tobytes()
    rows = [row for row in result.history if row.metric.startswith(DISPERSION)]
    assert result.history[: -len(rows)] == plain.history
    task = problem(config, own_domains())
    found = invariances(network(config, task), result.theta, task.train)
    assert {row.metric: row.value for row in rows if row.step == 4} == {
        f"{DISPERSION} {n}": v for n, v in found.items()
    }
    assert {row.step for row in rows} == {0, 4} and len(rows) == 2 * len(STATISTICS)


SEEDS = 10


@pytest.mark.untraced
def test_linear_toy_gives_the_published_accuracies_with_each_of_ten_seeds():
    configs = plan(dataset="linear", algorithms=["erm", "fish", "idgm"], seeds=range(SEEDS))
    found = {(r.config.algorithm, r.config.seed): last_accuracies(r) for r in compare(configs, None)}
    published = {"erm": (0.97, 0.97, 0.57), "fish": (0.93, 0.93, 0.93), "idgm": (0.93, 0.93, 0.93)}
    assert found == {(name, seed): published[name] for name in published for seed in range(SEEDS)}


@pytest.mark.untraced
def test_fish_only_passes_the_invariant_rule_and_idgm_stays_there():
    configs = plan(dataset="linear", algorithms=["erm", "fish", "idgm"], steps=2_000)
    found = {r.config.algorithm: last_accuracies(r) for r in compare(configs, None)}
    assert found == {"erm": (0.97, 0.97, 0.57), "fish": (0.97, 0.97, 0.57), "idgm": (0.93, 0.93, 0.93)}


def last_accuracies(result):
    """The accuracies at the end, in the order of the domains."""
    rows = [row for row in result.history if row.metric == "accuracy"]
    return tuple(row.value for row in rows if row.step == rows[-1].step)


CELL = """
from autograd import value_and_grad
from minifishr import Algorithm
from minifishr.algorithms.protocol import mean_risk

def descent(model, *, convention="paper", rate=0.1):
    def update(theta, state, domains):
        risk, gradient = value_and_grad(lambda t: mean_risk(model, t, domains))(theta)
        return theta - theta.dtype.type(rate) * gradient, state, {"risk": float(risk)}

    return Algorithm("descent", lambda theta: (), update)
"""


def test_method_written_in_a_cell_works_everywhere_without_registration():
    cell = {"__name__": "__main__"}
    exec(CELL, cell)
    check_algorithm(cell["descent"])
    configs = own_plan(("erm", "descent"), changes=[("descent", "rate", 0.5)])
    found = {r.config.algorithm: r for r in compare(configs, own_domains(), {"erm": erm, **cell}, jobs=2)}
    config, task = configs[1], problem(configs[1], own_domains())
    model = network(config, task)
    theta = model.init(stream(0, "init"), np.float32)
    fitted = fit(cell["descent"](model, rate=0.5), theta, full_batch(task.train), config.steps)
    np.testing.assert_allclose(found["descent"].theta, fitted.theta, atol=1e-6)  # another number of BLAS threads
    assert not np.allclose(found["descent"].theta, found["erm"].theta)


@pytest.mark.untraced
def test_erm_takes_the_shortcut_and_fishr_does_not():
    source = "mnist" if os.environ.get("MINIFISHR_DATA") else "rendered"  # each takes half a minute
    configs = [config._replace(every=config.steps) for config in plan("quick", ("erm", "fishr"))]
    results = compare(configs, load_digits(source), jobs=2)
    last = {
        r.config.algorithm: {row.domain: row.value for row in r.history if row.metric == "accuracy"} for r in results
    }
    assert last["erm"]["+90%"] > 0.85 and last["erm"]["-90%"] < 0.25
    assert last["fishr"]["-90%"] > 0.55 and abs(last["fishr"]["+90%"] - last["fishr"]["+80%"]) < 0.05
