import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minifishr.data import Row
from minifishr.evaluate import measured
from minifishr.experiments import Config
from minifishr.sweeps.records import Record
from minifishr.sweeps.selection import EARLY, RULES, Choice, best_in_orders, choices, expected_best, searches

NAMES = "abcd"
TRAINING, LEAVE_ONE_OUT, ORACLE = RULES


def record(left_out, accuracy=0.5, held=0.5, oracle=0.5, draw=0, seed=0, failure=None, method="erm", **changes):
    """A record with domains a, b, c, d and steps 0, 10, 20; a number stands for all domains and steps.

    `accuracy`, `held` and `oracle` may be {step: number} or {step: {domain: number}}.
    """
    config = {"algorithm": method, "convention": "domainbed", "data": "test digits 0123", "dataset": "own"}
    config |= {"preset": "domainbed", "steps": 20, "hidden": [4], "batch": 8 + draw, "draw": draw, "seed": seed}
    config |= {"hyper_parameters": {"lr": 0.001 * (1 + draw)}, "test_domain": left_out[0]}
    config |= {"also_left_out": left_out[1] if len(left_out) > 1 else None, "count": None, "every": 10}
    given_values = {"accuracy": accuracy, "validation accuracy": held, "oracle accuracy": oracle}
    domains = {"accuracy": NAMES, "validation accuracy": [n for n in NAMES if n not in left_out]}
    domains["oracle accuracy"] = left_out
    rows = []
    for step, (metric, value) in itertools.product((0, 10, 20), given_values.items()):
        value = value.get(step, 0.0) if isinstance(value, dict) else value
        for name in domains[metric]:
            rows.append(Row(step, name, metric, value[name] if isinstance(value, dict) else value))
    return Record(Config(**{**config, **changes}), [] if failure else rows, failure, 1.0, {})


def only(records, rule):
    """The Choice of the only search."""
    (choice,) = choices(records, rule).values()
    return choice._replace(trained=None)


def test_training_domain_validation_takes_the_best_step_of_all_draws_and_ignores_the_test_domain():
    test = {0: 0.1, 10: 0.2, 20: 0.9}
    records = [
        record("d", test, {0: 0.5, 10: 0.7, 20: 0.6}, oracle=1.0, draw=1),
        record("d", {0: 1.0, 10: 0.3, 20: 1.0}, {0: 0.2, 10: {"a": 0.9, "b": 0.8, "c": 0.5}, 20: 0.1}, draw=0),
    ]
    # the means are 0.7 at step 10 of draw 1, and (0.9 + 0.8 + 0.5) / 3 = 0.733 at step 10 of draw 0
    choice = only(records, TRAINING)
    assert (choice.draw, choice.step, choice.accuracy) == (0, 10, 0.3) and choice.score == pytest.approx(2.2 / 3)


def test_oracle_sees_the_last_step_alone_and_other_rows_than_the_tested_ones():
    records = [
        record("d", {20: 0.4}, oracle={0: 1.0, 10: 1.0, 20: 0.2}, draw=0),
        record("d", {20: 0.3}, oracle={0: 0.0, 10: 0.0, 20: 0.25}, draw=1),
    ]
    assert only(records, ORACLE) == Choice(1, 20, 0.25, 0.3)


def test_oracle_with_early_stopping_chooses_the_step_too():
    records = [
        record("d", {10: 0.6, 20: 0.4}, oracle={0: 0.1, 10: 0.7, 20: 0.2}, draw=0),
        record("d", {10: 0.1, 20: 0.3}, oracle={0: 0.0, 10: 0.6, 20: 0.65}, draw=1),
    ]
    assert only(records, EARLY) == Choice(0, 10, 0.7, 0.6)
    untrained = record("d", oracle={0: 0.9, 10: 0.3, 20: 0.4}, draw=2)  # as good as chance made it
    assert only([*records, untrained], EARLY) == Choice(0, 10, 0.7, 0.6)


def test_a_run_below_a_given_accuracy_in_training_cannot_be_chosen():
    records = [record("d", 0.7, held=0.3, oracle=0.9), record("d", 0.6, held={20: 0.8}, oracle=0.5, draw=1)]
    for least, expected in ((None, Choice(0, 20, 0.9, 0.7, None, 0.3)), (0.79, Choice(1, 20, 0.5, 0.6, None, 0.8))):
        (choice,) = choices(records, ORACLE, least=least).values()
        assert choice[:5] == expected[:5] and choice.trained == pytest.approx(expected.trained)
    assert choices(records, ORACLE, least=0.81) == {}
    bare = [r._replace(history=[w for w in r.history if w.metric != "validation accuracy"]) for r in records]
    assert next(iter(choices(bare, ORACLE).values())).trained is None and choices(bare, ORACLE, least=0.1) == {}


def pairs(t, values, draw=0, **options):
    """The runs that leave out t and one more, accuracy of the latter {domain: {step: number}}."""
    return [
        record(
            sorted((t, s)), {n: {**dict.fromkeys(NAMES, 0.99), s: v} for n, v in by_step.items()}, draw=draw, **options
        )
        for s, by_step in values.items()
    ]


def test_leave_one_domain_out_averages_over_the_domains_left_out_in_addition():
    step10 = {0: 0.0, 10: 0.6, 20: 0.1}
    records = [
        record("b", {0: 0.2, 10: 0.3, 20: 0.4}, draw=0),
        record("b", {0: 0.5, 10: 0.6, 20: 0.7}, draw=1),
        *pairs("b", {"a": step10, "c": step10, "d": step10}, draw=0),
        # the mean at step 20 is (0.9 + 0.9 + 0.03) / 3 = 0.61, at step 10 (1 + 0.4 + 0.1) / 3 = 0.5
        *pairs("b", {"a": {10: 1.0, 20: 0.9}, "c": {10: 0.4, 20: 0.9}, "d": {10: 0.1, 20: 0.03}}, draw=1),
    ]
    choice = only(records, LEAVE_ONE_OUT)
    assert (choice.draw, choice.step, choice.accuracy) == (1, 20, 0.7) and choice.score == pytest.approx(0.61)


def test_run_that_leaves_out_two_serves_both_searches():
    values = {frozenset(pair): number / 10 for number, pair in enumerate(itertools.combinations(NAMES, 2))}
    records = [record(name) for name in NAMES] + [record(sorted(pair), v) for pair, v in values.items()]
    found = choices(records, LEAVE_ONE_OUT)
    for name in NAMES:
        mean = np.mean([v for pair, v in values.items() if name in pair])
        assert found["own", "erm", name, 0].score == pytest.approx(mean)


@pytest.mark.parametrize("gone", range(3))
@pytest.mark.parametrize("how", ["missing", "failed"])
def test_draw_without_all_its_pairs_cannot_be_chosen_by_leave_one_domain_out(gone, how):
    good = {key: {0: 0.9, 10: 0.9, 20: 0.9} for key in "abc"}
    broken = pairs("d", good, draw=0)
    if how == "failed":
        broken[gone] = broken[gone]._replace(failure="went wrong", history=[])
    else:
        del broken[gone]
    worse = pairs("d", {key: {0: 0.1, 10: 0.1, 20: 0.1} for key in "abc"}, draw=1)
    records = [record("d"), *broken]
    assert choices(records, LEAVE_ONE_OUT) == {}
    assert only([*records, record("d", draw=1), *worse], LEAVE_ONE_OUT).draw == 1


@pytest.mark.parametrize("rule", [*RULES, EARLY])
def test_of_equals_the_first_draw_and_step_win_whatever_the_order_of_the_records(rule):
    # the same three numbers in another order have another floating-point sum
    held = [{"a": x, "b": y, "c": z} for x, y, z in itertools.permutations((0.1, 0.2, 0.3))]
    records = [record("d", held={0: h, 10: h, 20: h}, draw=draw) for draw, h in enumerate(held)]
    for draw, h in enumerate(held):
        records += pairs("d", {name: dict.fromkeys((0, 10, 20), value) for name, value in h.items()}, draw=draw)
    for order in (records, records[::-1]):
        choice = only(order, rule)
        assert (choice.draw, choice.step) == (0, {ORACLE: 20, EARLY: 10}.get(rule, 0))


@pytest.mark.parametrize("rule", [*RULES, EARLY])
def test_failed_runs_are_never_chosen(rule):
    best = [record("d", held=1.0, oracle=1.0)._replace(failure="went wrong")]
    assert choices(best, rule) == {} and searches(best) == {}


def test_each_seed_method_domain_and_data_set_is_a_search_of_its_own():
    records = [record("d", seed=0), record("d", seed=1), record("c"), record("d", method="fishr")]
    records.append(record("d", dataset="rotated"))
    assert set(choices(records, ORACLE)) == {
        ("own", "erm", "d", 0), ("own", "erm", "d", 1), ("own", "erm", "c", 0), ("own", "fishr", "d", 0),
        ("rotated", "erm", "d", 0),
    }  # fmt: skip


def test_unknown_rules_and_percent_in_the_place_of_a_share_are_refused():
    with pytest.raises(ValueError, match=r"^unknown rule 'Oracle', expected one of training-domain validation, "):
        choices([record("d")], "Oracle")
    for least in (65, -0.1):
        with pytest.raises(ValueError, match=rf"^choices: least={least} must be a share from 0 to 1$"):
            choices([record("d")], ORACLE, least=least)
    assert choices([record("d")], ORACLE, least=0.5) and not choices([record("d")], ORACLE, least=0.51)


def test_runs_without_held_out_test_rows_have_no_oracle():
    old = record("d")
    old = old._replace(history=[row for row in old.history if row.metric != "oracle accuracy"])
    assert choices([old], ORACLE) == {} and only([old], TRAINING).draw == 0


def test_measured_values_come_in_the_order_of_the_steps():
    turned = record("d", {0: 0.1, 10: 0.2, 20: 0.3})
    turned = turned._replace(history=turned.history[::-1])
    assert [values["a"] for values in measured(turned.history, "accuracy").values()] == [0.1, 0.2, 0.3]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=5))
def test_expected_best_is_the_mean_over_all_orders_of_drawing(draws):
    n = len(draws)
    expected = np.zeros(n)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        for k in range(1, n + 1):
            best = max(sorted(order[:k]), key=lambda i: draws[i][0])  # of equals the first draw, as in the rules
            expected[k - 1] += draws[best][1] / len(orders)
    np.testing.assert_allclose(expected_best(*zip(*draws, strict=True)), expected, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=6), st.randoms())
def test_best_in_one_order_is_what_a_slow_search_finds(draws, random):
    order = list(range(len(draws)))
    random.shuffle(order)
    slow = []
    for k in range(1, len(draws) + 1):
        seen = sorted(order[:k])  # of equals the first in the arrays wins
        slow.append(draws[max(seen, key=lambda n: draws[n][0])][1])
    assert best_in_orders(*zip(*draws, strict=True), np.array([order])).tolist() == [slow]


def test_of_many_equals_the_first_wins():
    accuracies = np.arange(40.0)  # so many that a sort that is not stable would mix them
    assert expected_best(np.zeros(40), accuracies)[-1] == 0
    order = np.arange(40)[::-1]
    assert best_in_orders(np.zeros(40), accuracies, order[None]).tolist() == [order.tolist()]
    scores = np.random.default_rng(0).integers(0, 4, 40)
    ranked = sorted(range(40), key=lambda n: -scores[n])  # Python's sort is stable
    # of two draws the better one counts: the one with rank r is it in 39 - r of the 780 pairs
    assert expected_best(scores, accuracies)[1] == pytest.approx(sum((39 - r) * n for r, n in enumerate(ranked)) / 780)
    best = [min(order[: k + 1], key=ranked.index) for k in range(40)]
    assert best_in_orders(scores, accuracies, order[None]).tolist() == [best]
