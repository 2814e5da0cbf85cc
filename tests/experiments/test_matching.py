import numpy as np
import pytest
from samples import own_domains

from minifishr.algorithms import ALGORITHMS, PENALTIES, fishr, vrex
from minifishr.data import minibatches, stream
from minifishr.experiments import PENALTY_WEIGHT, WEIGHTS, network, plan, problem, run
from minifishr.experiments.matching import MATCHED, in_units
from minifishr.losses import per_sample_losses, risks
from minifishr.sweeps.grid import grid
from minifishr.train import fit


def configuration(name, **changes):
    """A matched run of twelve steps of five rows on three small domains of vectors, "c" left out."""
    pairs = [(name, key, value) for key, value in changes.items()]
    found = plan("domainbed", [name], (0,), "own", "c", pairs, steps=12, matched=True)[0]
    return found._replace(batch=5, every=6, hidden=[4])


def used(config):
    """The lambda that a run says it used."""
    result = run(config, own_domains(), ALGORITHMS[config.algorithm])
    assert result.failure is None
    return next(row.value for row in result.history if row.metric == PENALTY_WEIGHT)


def end_of_warm_up(config, steps, **own):
    """(model, theta, training domains) after some steps of the plain method with its penalty's weight in warm-up."""
    task = problem(config, own_domains())
    model = network(config, task)
    algorithm = ALGORITHMS[config.algorithm](model, convention="domainbed", **config.hyper_parameters, **own)
    batches = minibatches(task.train, config.batch, config.seed)
    fitted = fit(algorithm, model.init(stream(0, "init"), np.float32), batches, steps)
    return model, fitted, task.train, batches


def test_weight_of_vrex_is_in_units_of_mean_risk_over_penalty_at_the_end_of_warm_up():
    config = configuration("vrex", warm_up=7, penalty_weight=3.0)
    model, fitted, train, _ = end_of_warm_up(config, 7)
    values = risks(model, fitted.theta, train)
    assert used(config) == pytest.approx(3.0 * values.mean() / ((values[0] - values[1]) ** 2 / 4), rel=1e-4)


def test_weight_of_fishr_counts_what_the_update_remembers():
    config = configuration("fishr", warm_up=4, ema=0.5)
    model, fitted, train, batches = end_of_warm_up(config, 4)
    remembered = 0
    for step in range(5):  # the variances of each minibatch, at the theta of plain descent on the pooled risk
        _, at, *_ = end_of_warm_up(config, step)
        seen = batches(step) if step < 4 else train
        remembered = 0.5 * remembered + np.stack([fishr.statistic(model, at.theta, d.x, d.y) for d in seen])
    penalty = np.mean((remembered - remembered.mean(axis=0)) ** 2)
    pooled = np.mean(np.concatenate([per_sample_losses(model, fitted.theta, d.x, d.y) for d in train]))
    assert used(config) == pytest.approx(10.0 * pooled / penalty, rel=1e-3)


def test_a_method_without_warm_up_is_measured_after_erm():
    config = configuration("coral", penalty_weight=2.0)
    assert config.hyper_parameters["warm_up"] == 0
    erm = config._replace(algorithm="erm", hyper_parameters={"lr": config.hyper_parameters["lr"]}, matched=False)
    model, fitted, train, _ = end_of_warm_up(erm, 3)  # 1 500 of 5 000 are 3 of 12 steps
    a = [model.features(fitted.theta, d.x) for d in train]
    difference = [a[0].mean(axis=0) - a[1].mean(axis=0), np.cov(a[0], rowvar=False) - np.cov(a[1], rowvar=False)]
    penalty = sum(np.mean(part**2) for part in difference)
    assert used(config) == pytest.approx(2.0 * risks(model, fitted.theta, train).mean() / penalty, rel=1e-4)


def test_matched_training_is_plain_training_with_the_lambda_that_it_says():
    config = configuration("irm", warm_up=5)
    weight = used(config)
    plain = config._replace(matched=False, hyper_parameters={**config.hyper_parameters, "penalty_weight": weight})
    matched, other = (run(c, own_domains(), ALGORITHMS["irm"]) for c in (config, plain))
    assert matched.theta.tobytes() == other.theta.tobytes()


def test_a_penalty_or_risk_of_zero_is_a_failed_run_with_the_reason():
    same = [d._replace(x=np.ones((30, 3), np.float32), y=np.arange(30) // 15) for d in own_domains()]
    result = run(configuration("vrex", warm_up=2), same, ALGORITHMS["vrex"])
    assert "vrex: a matched penalty weight needs a finite penalty above 0 after 2 steps, got 0" in result.failure
    with pytest.raises(ValueError, match="needs a finite risk above 0 after 9 steps, got 0"):
        in_units("irm", 1.0, 9, risk=0.0, penalty=1.0)
    with pytest.raises(ValueError, match="needs a finite penalty above 0 after 9 steps, got nan"):
        in_units("irm", 1.0, 9, risk=1.0, penalty=float("nan"))
    with pytest.raises(ValueError, match="needs a finite risk above 0 after 9 steps, got inf"):
        in_units("irm", 1.0, 9, risk=float("inf"), penalty=1.0)


@pytest.mark.parametrize(("name", "second"), [("hutchinson", "gradient_weight"), ("cma", "gradient_weight")])
def test_of_two_terms_the_first_is_matched_and_the_second_has_no_weight_before(name, second):
    config = configuration(name, warm_up=5, penalty_weight=2.0, **{second: 7.0})
    model, fitted, train, _ = end_of_warm_up(config, 5)
    penalty = PENALTIES[name](model, fitted.theta, train, convention="domainbed", **{second: 0.0})
    pooled = name == "cma"
    values = np.concatenate([per_sample_losses(model, fitted.theta, d.x, d.y) for d in train])
    risk = values.mean() if pooled else risks(model, fitted.theta, train).mean()
    assert used(config) == pytest.approx(2.0 * risk / penalty, rel=1e-3)


def test_every_method_that_can_be_matched_ends():
    for name in MATCHED:
        assert used(configuration(name)) > 0


def test_a_start_that_diverges_is_a_failed_run_without_a_warning():
    config = configuration("fishr", lr=1e12, warm_up=6)
    result = run(config, own_domains(), ALGORITHMS["fishr"])
    assert "needs a finite" in result.failure


def test_one_range_for_all_methods_and_other_methods_keep_their_runs():
    names = ["erm", "dann", *MATCHED]
    plain, matched = (grid(own_domains(), names, ["own"], ["c"], 3, steps=12, matched=m) for m in (False, True))
    weights = {c.draw: set() for c in matched}
    for one, other in zip(plain, matched, strict=True):
        assert (one == other) == (one.algorithm not in MATCHED) == (not other.matched)
        if other.matched:
            weights[other.draw].add(other.hyper_parameters["penalty_weight"])
            kept = {key: value for key, value in one.hyper_parameters.items() if key != "penalty_weight"}
            assert {**kept, "penalty_weight": None} == {**other.hyper_parameters, "penalty_weight": None}
    assert weights[0] == {10.0} and all(len(values) == 1 for values in weights.values())
    exponents = np.log10([WEIGHTS(stream(0, "test", n)) for n in range(400)])
    assert -1 <= exponents.min() < -0.9 and 3.4 < exponents.max() < 3.5


def test_matched_is_refused_where_it_has_no_effect():
    with pytest.raises(
        ValueError, match="matched has no effect on erm, fish, only on irm, vrex, fishr, iga, coral, hutch"
    ):
        plan("domainbed", ["erm", "fish"], dataset="colored", matched=True)
    assert vrex.penalty  # matched methods have one
