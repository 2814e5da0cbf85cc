from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp

from minifishr.data import Domain, Problem, Row
from minifishr.experiments import Result, each_table, plan
from minifishr.experiments.each import better_than_erm, each_figure
from minifishr.experiments.paired import difference, sign_p


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=7))
def test_sign_p_is_that_of_all_signs(values):
    whole = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))
    ]
    assert sign_p(values) == pytest.approx(sum(w >= abs(sum(values)) for w in whole) / len(whole))


def test_sign_p_of_many_differences_tends_to_the_normal_one():
    values = np.random.default_rng(3).normal(0.3, 1, 20)
    assert sign_p([*values, 0.0]) == pytest.approx(sign_p(values), abs=0.03)  # 0 adds nothing but a place


def test_sign_p_of_uneven_differences_is_exact_for_six_domains_and_three_seeds():
    values = [0.001] * 17 + [0.1]  # the normal distribution of the mean says 0.24
    assert sign_p(values) == 2 / 2**18


def test_difference_is_paired():
    found = {("a", "x", s): v for s, v in enumerate([0.3, 0.5])} | {("b", "x", s): 0.2 for s in range(2)}
    one = difference(found, "a", "b")  # 10 and 30 points: mean 20, standard error 10
    assert (one.mean, one.error, one.pairs, one.tied) == (pytest.approx(20), pytest.approx(10), 2, True)
    assert not difference(found | {("a", "x", 1): 0.31}, "a", "b").tied
    assert difference(found, "a", "c") is None


@pytest.mark.parametrize("values", [[1, 2, 3.5], [1, 2, 2.4], [0.1, 0.3], [1, 2, 4, 1, -1, 3, 2, 0.2, 1]])
def test_tied_is_scipys_t_test_at_5_percent(values):
    found = {(name, "x", s): v / 100 for s, v in enumerate(values) for name, v in (("a", v), ("b", 0))}
    assert difference(found, "a", "b").tied == (ttest_1samp(values, 0).pvalue >= 0.05)


def test_sign_p_is_scipys_and_1_where_nothing_differs():
    values = np.random.default_rng(0).normal(0.5, 1, 8)
    theirs = permutation_test((values, np.zeros(8)), lambda a, b: np.mean(a - b), permutation_type="samples")
    assert sign_p(values) == pytest.approx(theirs.pvalue)
    assert sign_p(np.zeros(3)) == sign_p(np.zeros(30)) == 1


def scores(gain, seeds=4, noise=0.0):
    """ERM, and fishr that is so many points better, on two domains and some seeds."""
    rng = np.random.default_rng(0)
    keys = [(domain, seed) for domain in "ab" for seed in range(seeds)]
    erm = {key: 50 + float(rng.normal()) for key in keys}
    return {"erm": erm, "fishr": {key: value + gain + noise * float(rng.normal()) for key, value in erm.items()}}


def test_better_by_more_than_chance_is_said_with_its_p_and_only_then():
    says = better_than_erm(scores(3.0))
    assert says.startswith("fishr is better than ERM by more than chance: fishr is +3.0 +- 0.0 points above ERM in 8")
    assert "exact test of signs p = 0.0078;" in says  # 2 of 2^8 signs
    for found in (scores(-3.0), scores(0.2, noise=5), scores(3.0, seeds=2)):  # worse; noise; 4 pairs: p is 1/8 at least
        assert better_than_erm(found).startswith("No method is better than ERM by more than chance")
    assert "with 4 pairs p cannot be below 0.12" in better_than_erm(scores(3.0, seeds=2))


def test_several_methods_are_corrected_for_their_number():
    found = scores(3.0)
    many = {**found, **{f"m{i}": scores(1, noise=9)["fishr"] for i in range(9)}}
    assert better_than_erm(many).startswith("No method") and "(times 10 methods, Bonferroni)" in better_than_erm(many)


def test_without_erm_nothing_is_told_and_many_pairs_are_not_called_exact():
    assert "is not told" in better_than_erm({"fishr": {("a", 0): 50.0}}) == better_than_erm({"erm": {("a", 0): 50.0}})
    assert ", test of signs p" in better_than_erm(scores(3.0, seeds=11))


def test_least_p_is_no_more_than_1():
    found = {"erm": {("a", 0): 50.0}, "fishr": {("a", 0): 51.0}, "irm": {("a", 0): 49.0}}
    assert "with 1 pairs p cannot be below 1." in better_than_erm(found)


def test_table_has_domains_mean_standard_error_worst_and_the_constant_predictor():
    def task(left, other):
        rows = {"a": [0, 0, 0, 1], "b": [1, 1, 1, 0], "c": [1, 1, 1, 1]}
        parts = {name: Domain(name, np.zeros((4, 1)), np.array(y)) for name, y in rows.items()}
        train = [domain for name, domain in parts.items() if name != left]
        return Problem("own data", train, train, [parts[left]], labels=["no", "yes"])

    results = []
    for left, values in {"a": [0.5, 0.75], "b": [1.0, 0.5], "c": [1.0, 1.0]}.items():
        for config, value in zip(plan("quick", ["erm"], [0, 1], "own", left), values, strict=True):
            results.append(Result(config, None, [Row(300, left, "accuracy", value)], None, 1.0, None))
    header, _, erm, majority = each_table(results, {name: task(name, None) for name in "abc"}).splitlines()[:4]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, erm, majority)]
    assert cells[0] == ["method", "a", "b", "c", "mean", "worst"]
    error = np.std([50, 75, 100, 50, 100, 100], ddof=1) / np.sqrt(6)
    assert cells[1] == ["erm", "62.5", "75.0", "100.0", f"79.2 +- {error:.1f}", "62.5 (a)"]
    # without a 7 of 8 rows are 1, without b 5 of 8, without c 4 of 8, and the smaller one counts
    assert cells[2][:4] == ["majority", "25.0", "75.0", "0.0"] and cells[2][5] == "0.0 (c)"


NAMES = ("a", "b", "c")


def results(accuracies):
    """One run for each (method, left-out domain, seed) in {...: accuracy}."""
    found = []
    for (method, name, seed), value in accuracies.items():
        config = plan("quick", [method], (seed,), "own", name)[0]
        history = [Row(0, name, "accuracy", 0.0), Row(300, name, "accuracy", value)]
        found.append(Result(config, np.zeros(1), history, None, 1.0, None if value is not None else "no"))
    return found


def tasks():
    labels = {"a": [0] * 4, "b": [0, 0, 1, 1], "c": [1, 1, 1, 0]}
    domains = {name: Domain(name, np.zeros((4, 1)), np.array(y)) for name, y in labels.items()}
    trains = {name: [domain for other, domain in domains.items() if other != name] for name in NAMES}
    return {n: Problem("own data", trains[n], [], [domains[n]], labels=["x", "y"]) for n in NAMES}


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n\n")[0].splitlines()]


def test_failed_runs_and_pairs_without_erm_do_not_count():
    text = each_table(
        results({("erm", n, 0): 0.5 for n in "ab"} | {("vrex", n, 0): 0.6 for n in "abc"} | {("erm", "c", 0): None}),
        tasks(),
    )
    assert cells(text)[2][3:] == ["failed", "failed", "failed"]
    assert "vrex is +10.0 +- 0.0 points above ERM in 2 pairs" in text


def test_figure_has_a_bar_for_each_method_and_domain():
    found = results({(m, n, 0): 0.5 + 0.1 * i for i, (m, n) in enumerate(product(("erm", "vrex"), "ab"))})
    heights = [round(bar.get_height()) for bar in each_figure(found, dict.fromkeys("ab"), "title").axes[0].patches]
    assert sorted(heights) == [50, 60, 70, 80]
