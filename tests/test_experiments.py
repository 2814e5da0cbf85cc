import os

import numpy as np
import pytest

from minifishr.algorithms import ALGORITHMS, Algorithm
from minifishr.algorithms.erm import erm
from minifishr.digits import load_digits
from minifishr.domains import Domain
from minifishr.experiments import PRESETS, network, plan, problem, run
from minifishr.gradients import per_sample_gradients
from minifishr.parallel import compare


def own_domains(classes=2):
    rng = np.random.default_rng(0)
    shapes = {"a": 30, "b": 40, "c": 20}
    return [
        Domain(k, rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, classes, n)) for k, n in shapes.items()
    ]


def own_plan(algorithms=("erm", "fishr"), seeds=(0,), steps=4, preset="quick", **options):
    return plan(preset, algorithms, seeds, "own", "c", steps=steps, **options)


def test_plan_has_one_configuration_a_method_and_seed():
    configs = plan("quick", ("erm", "fishr"), (0, 1))
    assert [(c["algorithm"], c["seed"]) for c in configs] == [("erm", 0), ("erm", 1), ("fishr", 0), ("fishr", 1)]
    assert configs[3]["hyper_parameters"]["penalty_weight"] == 91257.18613115903
    assert configs[0]["test_domain"] == "-90%" and configs[0]["steps"] == PRESETS["quick"]["steps"]


def test_irm_preset_has_the_published_hyper_parameters():
    published = {"lr": 0.0004898536566546834, "weight_decay": 0.00110794568}
    penalized = {**published, "penalty_weight": 91257.18613115903, "warm_up": 190}
    for config in plan("irm", ("erm", "irm", "vrex", "fishr")):
        expected = published if config["algorithm"] == "erm" else penalized
        assert {name: config["hyper_parameters"][name] for name in expected} == expected
        assert (config["steps"], config["hidden"], config["count"], config["batch"]) == (501, [390, 390], 25_000, None)


def test_changes_go_to_every_method_that_has_the_name_or_to_one():
    changes = [(None, "penalty_weight", 7), ("irm", "lr", 0.5)]
    chosen = {c["algorithm"]: c["hyper_parameters"] for c in plan("quick", ("erm", "irm", "fishr"), changes=changes)}
    assert chosen["irm"]["penalty_weight"] == chosen["fishr"]["penalty_weight"] == 7
    assert "penalty_weight" not in chosen["erm"]
    assert chosen["irm"]["lr"] == 0.5 and chosen["erm"]["lr"] == chosen["fishr"]["lr"] == 0.0004898536566546834


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"preset": "fast"}, "unknown preset 'fast', expected one of quick, irm, domainbed"),
        ({"dataset": "cifar"}, "unknown dataset 'cifar', expected one of colored, rotated, own"),
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
        assert network(config, problem(config, own_domains(classes))).sizes == (3, *config["hidden"], outputs)


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
    few = {(r.config["algorithm"], r.config["seed"]): r for r in compare(own_plan(("fishr",)), own_domains())}
    many = compare(own_plan(("erm", "fish", "fishr"), (0, 1), preset="quick"), own_domains())
    many = {(r.config["algorithm"], r.config["seed"]): r for r in many}
    assert len(many) == 6
    assert few["fishr", 0].theta.tobytes() == many["fishr", 0].theta.tobytes()
    assert many["fishr", 0].theta.tobytes() != many["fishr", 1].theta.tobytes()


def test_processes_give_the_numbers_of_one_process():
    def trained(jobs):
        return {r.config["algorithm"]: r.theta for r in compare(own_plan(), own_domains(), jobs=jobs)}

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


def test_method_written_elsewhere_runs_without_registration():
    def lazy(model, *, convention, step_size=0.0):
        return Algorithm("lazy", lambda theta: (), lambda theta, state, seen: (theta + step_size, state, {"risk": 0.0}))

    configs = own_plan(("erm", "lazy"), changes=[("lazy", "step_size", 0.0)])
    found = {r.config["algorithm"]: r for r in compare(configs, own_domains(), {"erm": erm, "lazy": lazy}, jobs=2)}
    before, after = found["lazy"].variances
    assert (before == after).all() and (found["erm"].variances[0] == before).all()


@pytest.mark.parametrize("source", ["rendered", "mnist"])
def test_erm_takes_the_shortcut_and_fishr_does_not(source):
    if source == "mnist" and not os.environ.get("MINIFISHR_DATA"):
        pytest.skip("MINIFISHR_DATA is unset")
    results = compare(plan("quick", ("erm", "fishr")), load_digits(source), jobs=1)
    last = {
        r.config["algorithm"]: {row.domain: row.value for row in r.history if row.metric == "accuracy"} for r in results
    }
    assert last["erm"]["+90%"] > 0.85 and last["erm"]["-90%"] < 0.25
    assert last["fishr"]["-90%"] > 0.55 and abs(last["fishr"]["+90%"] - last["fishr"]["+80%"]) < 0.05
