import numpy as np
import pytest

from minifishr import MLP
from minifishr.checkpoints import Row
from minifishr.data import Domain, Own, Problem
from minifishr.experiments import Result, caption, judged_table, plan, problem, table
from minifishr.experiments.judging import class_rows, majority


def task():
    def domain(name, y):
        return Domain(name, np.where(np.array(y) == 1, 1.0, -1.0)[:, None], np.array(y))

    train = [domain("a", [0, 0, 1, 1]), domain("b", [1, 1, 1, 1])]
    return Problem("own data", train, train, [domain("c", [0, 1, 1, 2])], labels=["no", "yes", "maybe"])


def test_accuracy_of_each_class_is_counted_row_by_row():
    rows = class_rows(MLP((1, 3)), task())(np.array([-1.0, 1.0, -9, 0, 0, -9]))  # says 1 for x > 0, else 0
    assert rows == [
        ("a", "accuracy of class 0", 1.0), ("a", "accuracy of class 1", 1.0), ("b", "accuracy of class 1", 1.0),
        ("c", "accuracy of class 0", 1.0), ("c", "accuracy of class 1", 1.0), ("c", "accuracy of class 2", 0.0),
    ]  # fmt: skip


def test_constant_predictor_is_the_most_frequent_class_of_the_training_rows():
    c, shares = majority(task())
    assert (c, shares) == (1, {"a": 50.0, "b": 100.0, "c": 50.0})


def test_table_says_balanced_accuracy_the_worst_group_and_what_a_constant_gets():
    (config,) = plan("quick", ["erm"], [0], "own", "c")
    history = [Row(300, "c", "accuracy", 0.75), Row(300, "a", "accuracy", 1.0), Row(300, "b", "accuracy", 0.5)]
    history += [Row(300, *row) for row in class_rows(MLP((1, 3)), task())(np.array([-1.0, 1.0, -9, 0, 0, -9]))]
    result = Result(config, None, history, None, 1.0, None)
    line = [cell.strip() for cell in judged_table([result], task()).splitlines()[2].strip("|").split("|")]
    assert line == ["erm", "66.7", "0.0", "maybe in c"]
    last = [cell.strip() for cell in table([result], task()).splitlines()[-1].strip("|").split("|")]
    assert last == ["majority", "50.0", "100.0", "50.0", ""]
    words = caption([config], task())
    assert "No training domain has label maybe, which 25 % of the rows of c have." in words
    assert "Training domain b lacks no (50 %), in brackets the share elsewhere." in words
    assert "majority always says yes, which most training rows have." in words and "Labels: no, yes, maybe." in words


def own(shape=(), pixels=False):
    rng = np.random.default_rng(0)
    domains = [Domain(name, rng.normal(5, [1, 2, 3, 0], (20, 4)), np.arange(20) % 2) for name in "abc"]
    return Own(domains, ["p", "q", "r", "constant"], ["no", "yes"], shape, pixels)


@pytest.mark.parametrize("standardized", [True, False])
def test_caption_says_what_was_done_to_x(standardized):
    options = {"standardized": standardized, "balanced": standardized}
    (config,) = plan("quick", ["erm"], [0], "own", "c", **options)
    found = problem(config, own(pixels=True))
    words = caption([config], found)
    assert ("x standardized: each column has mean 0 and standard deviation 1" in words) == standardized
    assert ("Left out as constant in the training rows: constant." in words) == standardized
    assert ("Classes weigh equally in the risk" in words) == standardized and "divided by 255" in words
    x = np.concatenate([domain.x for domain in found.train])
    assert x.shape[1] == (3 if standardized else 4)
    if standardized:  # own_problem's are the training rows, none of those held out or of the test domain
        np.testing.assert_allclose([x.mean(axis=0), x.std(axis=0)], [[0] * 3, [1] * 3], atol=1e-5)
