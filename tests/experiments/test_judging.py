import numpy as np
import pytest
from samples import own_domains

from minifishr import ALGORITHMS, fit, full_batch
from minifishr.data import Domain, Own, Problem, Row, balanced, stream
from minifishr.evaluate import predictions
from minifishr.experiments import Result, caption, judged_table, network, plan, problem, run, table
from minifishr.experiments.judging import judged, majority


def ran(**options):
    """A run with three classes, none of which is where training shows it alone."""
    domains = own_domains(3)
    domains[0] = domains[0]._replace(y=np.minimum(domains[0].y, 1))
    own = Own(domains, ["p", "q", "r"], ["low", "middle", "high"])
    config = plan("quick", ["erm"], (0,), "own", "c", steps=20, hidden=[8], **options)[0]
    return run(config, own, ALGORITHMS["erm"]), problem(config, own)


@pytest.mark.parametrize("options", [{}, {"standardized": True, "held_out": 0.4, "count": 9, "balanced": True}])
def test_balanced_accuracy_and_worst_group_by_counting(options):
    result, task = ran(**options)
    model = network(result.config, task)
    groups = {}
    for domain in [*task.validation, *task.test]:
        for found, y in zip(predictions(model, result.theta, domain.x), domain.y, strict=True):
            groups.setdefault((domain.name, int(y)), []).append(found == y)
    shares = {key: 100 * np.mean(values) for key, values in groups.items()}
    balanced, (worst, name, c) = judged(result, task, "last")
    assert balanced == {"c": pytest.approx(np.mean([v for (n, _), v in shares.items() if n == "c"]))}
    assert worst == pytest.approx(min(shares.values())) == pytest.approx(shares[name, c])
    row = [cell.strip() for cell in judged_table([result], {"c": task}).splitlines()[2].strip("|").split("|")]
    assert row == ["erm", f"{balanced['c']:.1f}", f"{worst:.1f}", f"{task.labels[c]} in {name}"]


def test_with_each_domain_left_out_a_seeds_worst_group_is_the_worst_of_its_runs():
    tasks = {name: Problem("own data", [], [], [Domain(name, None, None)], labels=["no", "yes"]) for name in "ab"}
    groups = {("a", 0): ([1.0, 0.5], [0.2, 0.9]), ("b", 0): ([0.6, 0.8], [1, 1]), ("a", 1): ([0.1, 0.3], [1, 1])}
    results = []
    for (left, seed), (there, elsewhere) in groups.items():
        other = "ab".replace(left, "")
        history = [Row(300, left, "accuracy", 0.0)]
        history += [Row(300, left, f"accuracy of class {c}", value) for c, value in enumerate(there)]
        history += [Row(300, other, f"accuracy of class {c}", value) for c, value in enumerate(elsewhere)]
        results.append(Result(plan("quick", ["erm"], (seed,), "own", left)[0], None, history, None, 1.0, None))
    row = [cell.strip() for cell in judged_table(results, tasks).splitlines()[2].strip("|").split("|")]
    # a: (75, 20) over seeds; b: 70 of seed 0 alone; worst: 20 (seed 0, no in b) and 10 (seed 1, no in a)
    assert row == ["erm", f"47.5 +- {np.std([75, 20], ddof=1):.1f}", "70.0", f"15.0 +- {np.std([20, 10], ddof=1):.1f}",
                   "no in b"]  # fmt: skip


def test_table_of_classes_is_this_text():
    tasks = {"t": Problem("own data", [], [], [Domain("t", None, None)], labels=["no", "yes"])}
    results = []
    for method, failure in (("erm", None), ("vrex", "lost")):
        history = [Row(300, "t", metric, 0.5) for metric in ("accuracy", "accuracy of class 1")]
        results.append(Result(plan("quick", [method], (0,), "own", "t")[0], None, history, None, 1.0, failure))
    assert judged_table(results, tasks).splitlines() == [
        "| method   |   t, balanced |   worst group | which    |",
        "|----------|---------------|---------------|----------|",
        "| erm      |          50.0 |          50.0 | yes in t |",
        "| vrex     |        failed |        failed | failed   |",
        "",
        "Balanced: the mean over classes of the accuracy on each. Worst group: the class and domain with the lowest "
        "accuracy, on held-out rows of the training domains and on the domains left out.",
    ]


def test_the_group_that_most_seeds_name_is_told():
    tasks = {"t": Problem("own data", [], [], [Domain("t", None, None)], labels=["yes", "no"])}
    results = []
    for seed, (first, second) in enumerate([(0.1, 0.9), (0.9, 0.2), (0.8, 0.3)]):
        values = {"accuracy": 0.5, "accuracy of class 0": first, "accuracy of class 1": second}
        history = [Row(300, "t", metric, value) for metric, value in values.items()]
        results.append(Result(plan("quick", ["erm"], (seed,), "own", "t")[0], None, history, None, 1.0, None))
    assert judged_table(results, tasks).splitlines()[2].endswith("| no in t |")


def test_majority_is_the_class_of_most_training_rows_and_a_row_of_the_table():
    result, task = ran()
    y = np.concatenate([domain.y for domain in task.train])
    c, shares = majority(task)
    assert (y == c).sum() == max((y == other).sum() for other in range(3))
    assert shares["c"] == pytest.approx(100 * np.mean(task.test[0].y == c))
    row = [cell.strip() for cell in table([result], task).splitlines()[-1].strip("|").split("|")]
    assert row == ["majority", *(f"{shares[n]:.1f}" for n in "abc"), ""]


def test_equal_weights_of_classes_change_what_is_trained_on_and_not_what_is_measured_on():
    (plain, real), (even, task) = ran(), ran(balanced=True)
    assert majority(task) == majority(real) and not np.allclose(even.theta, plain.theta)
    rows = [caption([found.config], problem).split("Rows: ")[1].split(".")[0] for found, problem in
            ((plain, real), (even, task))]  # fmt: skip
    assert rows[0] == rows[1] == ", ".join(f"{d.name} {len(d.y)}" for d in [*real.train, *real.test])
    model, last = network(even.config, task), {r.domain: r.value for r in even.history if r.metric == "accuracy"}
    for domain in real.train:
        assert last[domain.name] == np.mean(predictions(model, even.theta, domain.x) == domain.y)
    repeated = [balanced(d, stream(0, "balanced", e)) for e, d in enumerate(real.train)]
    start = model.init(stream(0, "init"), np.float32)
    found = fit(ALGORITHMS["erm"](model, **even.config.hyper_parameters), start, full_batch(repeated), 20)
    np.testing.assert_array_equal(even.theta, found.theta)


def test_caption_says_classes_that_a_domain_lacks_and_what_was_done_to_columns():
    result, task = ran(standardized=True, balanced=True)
    text = caption([result.config], task)
    y = np.array([task.train[1].y]).ravel()
    assert f"Training domain a lacks high ({100 * np.mean(y == 2):.3g} %), in brackets the share elsewhere." in text
    assert "Labels: low, middle, high." in text and f"majority always says {task.labels[majority(task)[0]]}" in text
    assert "x standardized: each column" in text and "Classes weigh equally in the risk" in text


def test_columns_left_out_as_constant_are_named():
    domains = [d._replace(x=d.x * [1, 0, 1]) for d in own_domains()]
    config = plan("quick", ["erm"], (0,), "own", "c", standardized=True)[0]
    task = problem(config, Own(domains, ["p", "q", "r"]))
    assert task.train[0].x.shape[1] == 2 and "Left out as constant in the training rows: q." in caption([config], task)


def test_standardization_sees_the_training_rows_of_the_training_domains_alone():
    def scaled(change):
        domains = [d._replace(x=d.x.copy()) for d in own_domains()]
        config = plan("quick", ["erm"], (0,), "own", "c", standardized=True)[0]
        plain = problem(config._replace(standardized=False), domains)
        for part in change:
            for domain in getattr(plain, part):
                for row in domain.x:
                    for own in domains:
                        own.x[(own.x == row).all(axis=1)] += 100
        return problem(config, domains).scaling.center.tolist()

    assert scaled([]) == scaled(["validation", "test", "oracle"]) != scaled(["train"])


def test_several_domains_can_be_left_out_and_counts_shares_widths_and_batches_chosen():
    options = {"more_left_out": ["b"], "count": 5, "hidden": [3, 2], "batch": 7, "held_out": 0.5}
    four = [*own_domains(), own_domains()[0]._replace(name="d")]
    config = plan("quick", ["erm"], (0,), "own", "c", **options)[0]
    task = problem(config, four)
    assert [d.name for d in task.train] == ["a", "d"] and [d.name for d in task.test] == ["c", "b"]
    assert [len(d.y) for d in task.train] == [5, 5] and [len(d.y) for d in task.validation] == [15, 15]
    assert network(config, task).sizes == (3, 3, 2, 1) and config.batch == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"hidden": [4, 0]}, "hidden must be at least 1, got 0"),
        ({"batch": -1}, "batch must be at least 1, got -1"),
        ({"held_out": 1.5}, "held_out must be between 0 and 1, got 1.5"),
        ({"dataset": "colored", "held_out": 0.3}, "held_out has no effect on data set 'colored' with preset 'quick'"),
        ({"dataset": "rotated", "standardized": True}, "standardized is for data of your own"),
        ({"dataset": "rotated", "balanced": True}, "balanced is for data of your own"),
        ({"dataset": "rotated", "test_domain": "0", "more_left_out": ["15"]}, "more_left_out is for data of your own"),
    ],
)
def test_choices_that_cannot_be_or_have_no_effect_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plan("quick", ["erm"], **{"dataset": "own", "test_domain": "c", **options})


def test_numbers_that_float32_does_not_have_are_refused_before_training():
    for standardized, number in ((False, 1), (False, 2), (True, 2)):  # of training, and left out
        domains = own_domains()
        domains[number] = domains[number]._replace(x=domains[number].x.astype(float) * 1e300)
        with pytest.raises(ValueError, match=r"own data: x .*not finite"):
            problem(plan("quick", ["erm"], (0,), "own", "c", standardized=standardized)[0], domains)
