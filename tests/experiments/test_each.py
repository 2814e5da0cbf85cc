from itertools import product
from math import comb

import numpy as np
import pytest

from minifishr.checkpoints import Row
from minifishr.data import Domain, Problem
from minifishr.experiments.each import better_than_erm, each_figure, each_table
from minifishr.experiments.runs import Result, plan

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


def test_table_has_mean_worst_and_standard_error_over_domains_and_seeds():
    values = {("a", 0): 0.9, ("a", 1): 0.7, ("b", 0): 0.5, ("b", 1): 0.6, ("c", 0): 0.8, ("c", 1): 1.0}
    text = each_table(results({("erm", *key): value for key, value in values.items()}), tasks())
    header, _, erm, majority = cells(text)
    error = 100 * np.std([*values.values()], ddof=1) / np.sqrt(6)
    assert header == ["method", "a", "b", "c", "mean", "worst"]
    assert erm == ["erm", "80.0", "55.0", "90.0", f"75.0 +- {error:.1f}", "55.0 (b)"]
    # without a: 1 has 5 of 8 rows; without b: 0 has 5 of 8; without c: 0 has 6 of 8
    assert majority[:4] == ["majority", "0.0", "50.0", "25.0"] and majority[-1] == "0.0 (a)"
    assert "there is no ERM, or nothing else" in text


def gains(wins, losses, ties=0):
    """{method: {(domain, seed): accuracy}} with so many wins and losses of vrex against erm."""
    signs = [1] * wins + [-1] * losses + [0] * ties
    return {
        "erm": {("d", s): 50.0 for s in range(len(signs))},
        "vrex": {("d", s): 50.0 + g for s, g in enumerate(signs)},
    }


@pytest.mark.parametrize(("wins", "losses", "ties"), [(5, 0, 0), (4, 0, 3), (9, 1, 0), (7, 3, 1), (0, 4, 0), (0, 0, 3)])
def test_sign_test_counts_all_ways_to_toss_coins(wins, losses, ties):
    n = wins + losses
    as_good = sum(sum(coins) >= wins for coins in product((0, 1), repeat=n)) / 2**n
    assert np.isclose(as_good, sum(comb(n, k) for k in range(wins, n + 1)) / 2**n)
    text = better_than_erm(gains(wins, losses, ties))
    assert f"vrex has {wins} wins, {losses} losses, {ties} ties in {n + ties} pairs" in text
    assert f"exact sign test p = {as_good:.2g};" in text
    assert text.startswith("vrex is better" if as_good < 0.05 else "No method is better") and "\n" not in text


def test_more_methods_need_more_wins():
    found = gains(5, 0)
    more = found | {"fishr": dict.fromkeys(found["erm"], 50.0)}
    assert better_than_erm(found).startswith("vrex is better") and "p = 0.031" in better_than_erm(found)
    assert better_than_erm(more).startswith("No method") and "p = 0.062 (times 2 methods" in better_than_erm(more)


def test_failed_runs_and_pairs_without_erm_do_not_count():
    text = each_table(
        results({("erm", n, 0): 0.5 for n in "ab"} | {("vrex", n, 0): 0.6 for n in "abc"} | {("erm", "c", 0): None}),
        tasks(),
    )
    assert cells(text)[2][3:] == ["failed", "failed", "failed"]
    assert "vrex has 2 wins, 0 losses, 0 ties in 2 pairs" in text


def test_figure_has_a_bar_for_each_method_and_domain():
    found = results({(m, n, 0): 0.5 + 0.1 * i for i, (m, n) in enumerate(product(("erm", "vrex"), "ab"))})
    heights = [round(bar.get_height()) for bar in each_figure(found, dict.fromkeys("ab"), "title").axes[0].patches]
    assert sorted(heights) == [50, 60, 70, 80]
