"""What a sweep consists of, without training anything."""

import sys

from samples import MNIST_LIKE, hashed, own_domains, told

from minifishr.algorithms import BATCH_RANGE, RANGES
from minifishr.data import Own, stream
from minifishr.experiments import WEIGHTS, data_name, plan
from minifishr.sweeps.grid import (
    check,
    check_grid,
    domain_names,
    domains_left_out,
    drawn,
    grid,
)

ONE, OTHER = "test_domain", "also_left_out"


def test_runs_are_left_out_domains_times_draws_times_methods_times_seeds_in_this_order():
    configs = grid(own_domains(), ["fishr", "erm", "fishr"], ["own", "own"], draws=2, seeds=2, steps=30)
    assert [(c.test_domain, c.draw, c.algorithm, c.seed) for c in configs] == [
        (name, draw, method, seed)
        for name in "abc"
        for draw in (0, 1)
        for method in ("fishr", "erm")
        for seed in (0, 1)
    ]
    assert {(c.steps, c.dataset, c.preset, c.also_left_out, c.count) for c in configs} == {
        (30, "own", "domainbed", None, None)
    }


def test_what_is_said_once_holds_for_every_run():
    options = {"steps": 9, "count": 5, "hidden": [7], "batch": 3, "standardized": True}
    configs = grid(own_domains(), ["fishr"], ["own"], ["b"], invariances=True, matched=True, **options)
    (config,) = configs
    assert (config.count, config.hidden, config.batch, config.standardized) == (5, [7], 3, True)
    assert config.invariances and config.matched and config.steps == 9
    (plain,) = grid(own_domains(), ["fishr"], ["own"], ["b"])
    assert not plain.invariances and not plain.matched and plain.steps == 2000 and plain.seed == plain.draw == 0


def test_defaults_are_colored_mnist_with_the_methods_of_its_plan():
    configs = grid(MNIST_LIKE)
    assert [c.algorithm for c in configs[: len(configs) // 3]] == [c.algorithm for c in plan("domainbed")]
    assert list(dict.fromkeys(c.test_domain for c in configs)) == ["+90%", "+80%", "-90%"]
    assert {(c.dataset, c.data) for c in configs} == {("colored", data_name(MNIST_LIKE))}


def test_toys_have_no_data_and_size_and_count_replace_the_presets():
    (config,) = grid(MNIST_LIKE, ["fish"], ["cdsprites"], preset="cdsprites", size=8, count=None)
    assert (config.data, config.size, config.count, config.test_domain) == (None, 8, 200, "test")


def test_domains_that_are_not_there_are_told_with_those_that_are():
    assert told(grid, own_domains(), ["erm"], ["own"], ["x", "y"]) == (
        "data set 'own' has no domain x, y to leave out, only a, b, c"
    )
    assert told(grid, own_domains(), ["erm"], ["own"], ["b", "x"]) == "unknown test domain 'x', expected one of a, b, c"


def test_several_data_sets_are_one_grid_and_their_domains_are_known_together():
    configs = grid(MNIST_LIKE, ["erm"], ["colored", "rotated"], ["-90%", "15", "0"])
    assert [(c.dataset, c.test_domain) for c in configs] == [("colored", "-90%"), ("rotated", "0"), ("rotated", "15")]
    known = "+80%, +90%, -90%, 0, 15, 30, 45, 60, 75"
    said = told(grid, MNIST_LIKE, ["erm"], ["colored", "rotated"], ["-90%", "15", "x"])
    assert said == f"unknown test domain 'x', expected one of {known}"


def test_pairs_are_left_out_where_they_are_asked_for():
    four = [*own_domains(), own_domains()[0]._replace(name="d")]
    assert [c.also_left_out for c in grid(four, ["erm"], ["own"], ["d"])] == [None]
    both = [(c.test_domain, c.also_left_out) for c in grid(four, ["erm"], ["own"], ["d"], leave_two_out=True)]
    assert both == [("d", None), ("a", "d"), ("b", "d"), ("c", "d")]


def test_pairs_have_one_of_the_chosen_and_are_in_the_order_of_the_data():
    assert domains_left_out("abcd", "db", False) == [{ONE: "d"}, {ONE: "b"}]
    pairs = [{ONE: one, OTHER: other} for one, other in ("ab", "ad", "bc", "bd", "cd")]
    assert domains_left_out("abcd", "db", True) == [{ONE: "d"}, {ONE: "b"}, *pairs]
    assert domains_left_out("abc", "a", True) == [{ONE: "a"}]


def test_a_grid_of_nothing_is_told():
    check_grid(None, ["own"], 1, 1)
    check_grid(["erm"], ["own"], 1, 1)
    assert told(check_grid, None, ["own"], 0, 1) == "draws must be at least 1, got 0"
    assert told(check_grid, None, ["own"], 1, -1) == "seeds must be at least 1, got -1"
    assert told(check_grid, None, [], 1, 1) == "a sweep needs at least one data set, got none"
    known = f"expected one of {', '.join(RANGES)}"
    assert told(check_grid, ["erm", "sgd"], ["own"], 1, 1) == f"unknown method 'sgd', {known}"
    assert told(grid, own_domains(), ["sgd"], ["own"]) == f"unknown method 'sgd', {known}"


def test_only_what_a_preset_has_is_replaced():
    (config,) = grid(MNIST_LIKE, ["erm"], test_domains=["-90%"], steps=5, size=None, count=9)
    assert (config.steps, config.size, config.count) == (5, 28, 9)
    asked = {"datasets": ["linear"], "preset": "linear", "size": 7}
    assert told(grid, None, **asked) == "preset 'linear' has no size to replace, got size=7"


def test_domains_of_each_data_set_have_names():
    assert domain_names(plan("domainbed", dataset="own")[0], own_domains()) == ["a", "b", "c"]
    assert domain_names(plan("domainbed", dataset="own")[0], Own(own_domains())) == ["a", "b", "c"]
    assert domain_names(plan("linear", dataset="linear")[0], None) == ["test"]
    assert domain_names(plan("domainbed")[0], MNIST_LIKE) == ["+90%", "+80%", "-90%"]
    assert domain_names(plan("quick")[0], None) == ["-90%"]
    turned = ["0", "15", "30", "45", "60", "75"]
    assert domain_names(plan("domainbed", dataset="rotated")[0], MNIST_LIKE) == turned


def test_numbers_of_a_draw_come_from_streams_named_after_method_and_number():
    config = plan("domainbed", ["vrex"], steps=5_000)[0]
    found = drawn(config, 3)
    expected = {key: values(stream(0, f"draw vrex {key}", 3)) for key, values in RANGES["vrex"].items()}
    assert found.hyper_parameters == config.hyper_parameters | expected
    assert found.draw == 3 and found.batch == BATCH_RANGE(stream(0, "draw batch", 3))
    assert drawn(config._replace(batch=None), 3).batch is None
    matched = drawn(config._replace(matched=True), 3)
    weight = WEIGHTS(stream(0, "draw matched weight", 3))
    assert matched.hyper_parameters == found.hyper_parameters | {"penalty_weight": weight}
    default = drawn(config, 0)
    assert default == config._replace(draw=0)
    assert told(drawn, plan("quick", ["erm"])[0], 2) == (
        "the ranges of draw 2 are DomainBed's; preset 'quick' only has draw 0"
    )


def test_data_are_called_by_a_name_and_a_hash_of_all_that_they_are():
    assert data_name(None) is None
    assert data_name(MNIST_LIKE) == f"test digits {hashed(MNIST_LIKE.images, MNIST_LIKE.labels)[:12]}"
    parts = [part for domain in own_domains() for part in domain]
    assert data_name(own_domains()) == data_name(Own(own_domains())) == f"own data {hashed(*parts)[:12]}"


def test_each_run_is_tried_with_the_model_of_its_data_set_before_any_trains(monkeypatch):
    own = grid(own_domains(), ["erm", "fishr"], ["own"], ["c"], seeds=2)
    toy = plan("linear", ["erm"], (0, 1), "linear")
    seen, made = [], []
    module = sys.modules["minifishr.sweeps.grid"]
    monkeypatch.setattr(module, "problem", lambda *of, made_by=module.problem: made.append(of[0]) or made_by(*of))
    factories = {name: lambda model, name=name, **given: seen.append((name, model, given)) for name in ("erm", "fishr")}
    check([*own, *toy], own_domains(), factories)
    assert [each.dataset for each in made] == ["own", "linear"]
    assert [(name, given) for name, _, given in seen] == [
        (c.algorithm, {"convention": c.convention, **c.hyper_parameters}) for c in [*own, *toy]
    ]
    assert [model.sizes[0] for _, model, _ in seen] == [3] * 4 + [4] * 2
    odd = own[0]._replace(hyper_parameters={"tau": 1})
    assert told(check, [odd], own_domains()).startswith("erm: unknown hyper-parameter 'tau'")
