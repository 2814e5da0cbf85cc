import numpy as np
import pytest

from minifishr.data import Domain, Problem
from minifishr.data.scaling import Scaling
from minifishr.experiments import caption, plan
from minifishr.experiments.captions import constant, lacking_classes, own_labels, units, unseen_classes


def task(train, test, **more):
    """A Problem of own data from {domain: labels}, x all zeros."""
    parts = [[Domain(name, np.zeros((len(y), 2)), np.array(y)) for name, y in part.items()] for part in (train, test)]
    return Problem("own data", parts[0], [], parts[1], **more)


def config(**options):
    """A configuration for own data."""
    return plan("quick", ["erm"], (0,), "own", "t", **options)[0]


def test_caption_is_this_text():
    runs = plan("quick", ["erm", "vrex"], (0, 3), "own", "t")
    seen = task({"a": [0, 1, 1], "b": [1, 0]}, {"t": [1]}, labels=[0, 1])
    rows = "Rows: a 3, b 2, t 1. majority always says 1, which most training rows have."
    start = "own data, preset quick (paper convention), 300 steps, "
    assert caption(runs, seen) == (
        f"{start}seeds 0, 3. Accuracy in percent, mean +- standard deviation over seeds; the last step, nothing "
        f"selected. {rows}"
    )
    rule = "the step with the best mean accuracy on held-out rows of the training domains"
    assert caption(runs[:1], seen, "validation") == f"{start}seed 0. Accuracy in percent; {rule}. {rows}"
    assert "Rows: a 1, t 2, u 1." in caption(runs, task({"a": [0]}, {"t": [0, 0], "u": [0]}))


def test_caption_of_each_domain_left_out_names_the_rows_left_out():
    first = task({"b": [0, 1, 1]}, {"a": [0, 1]}, labels=[0, 1])
    second = task({"a": [0, 0, 1]}, {"b": [1]}, labels=[0, 1])
    assert caption(plan("quick", ["erm"], (0,), "own", "a"), first, others=[second]) == (
        "own data, preset quick (paper convention), 300 steps, seed 0. Accuracy on the domain left out in percent, "
        "mean over seeds; behind +- the standard error over domains and seeds; the last step, nothing selected. "
        "Rows: a 2, b 1. With a left out: majority always says 1, which most training rows have. "
        "With b left out: majority always says 0, which most training rows have."
    )


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (
            [2, 3],
            "Accuracy on the test domain in percent; the last step, nothing selected. Rows: 4 a training domain, ",
        ),
        ([7], "Accuracy in percent; the last step, nothing selected. Rows: 4 in each of 7 training domains, "),
    ],
)
def test_caption_of_many_or_of_several_numbers_of_domains(sizes, words):
    runs = [run for n in sizes for run in plan("cdsprites", ["erm"], (0,), "cdsprites", domains=[n])]
    six = task({f"d{e}": [0] for e in range(6)}, {"test": [1]})
    assert "Rows: d0 1, d1 1, d2 1, d3 1, d4 1, d5 1, test 1." in caption(runs[:1], six)
    many = task({f"d{e}": [0, 1, 0, 1] for e in range(sizes[0])}, {"test": [1, 1]})._replace(name="x")
    assert f"seed 0. {words}test 2." in caption(runs, many)


def test_caption_of_many_domains_of_different_sizes_has_the_least_and_the_most_rows():
    many = task({f"d{e}": [0, 1] * (3 + e) for e in range(7)}, {"t": [1, 1]}, labels=[0, 1])
    assert "Rows: 6 to 18 in 7 training domains, t 2." in caption([config()], many)


def test_labels_are_named_where_they_are_not_the_classes():
    assert [*own_labels(task({}, {}, labels=[0, 1, 2]))] == [*own_labels(task({}, {}))] == []
    assert [*own_labels(task({}, {}, labels=[0, 2]))] == ["Labels: 0, 2"]
    assert [*own_labels(task({}, {}, labels=list("abcdefgh")))] == ["Labels: a, b, c, d, e, f and 2 more"]


def test_classes_that_no_training_domain_has_are_said_with_their_shares():
    found = task({"a": [0, 0], "b": [1]}, {"s": [0, 1], "t": [0, 2, 3, 3, 3]}, labels=["x", "y", "z", "u"])
    assert [*unseen_classes(found)] == [
        "No training domain has label z, which 20 % of the rows of t have",
        "No training domain has label u, which 60 % of the rows of t have",
    ]
    plain = task({"a": [0]}, {"t": [1, 0, 0]})
    assert [*unseen_classes(plain)] == ["No training domain has label 1, which 33.3 % of the rows of t have"]


def test_classes_that_a_training_domain_lacks_are_said_up_to_six_domains():
    train = {"a": [0, 1, 1], "b": [0, 0], "c": [1, 2]}
    assert [*lacking_classes(task(train, {}, labels=["x", "y", "z"]))] == [
        "Training domain a lacks z (25 %), in brackets the share elsewhere",
        "Training domain b lacks y (60 %), z (20 %), in brackets the share elsewhere",
        "Training domain c lacks x (60 %), in brackets the share elsewhere",
    ]
    assert [*lacking_classes(task(train, {}))] == [*lacking_classes(task({"a": [0]}, {}, labels=["x", "y"]))] == []
    (one,) = lacking_classes(task({"a": [0], "b": [*range(9)]}, {}, labels=[*range(9)]))
    assert ", 6 (11.1 %) and 2 more, in brackets" in one
    many = [*lacking_classes(task({f"d{e}": [e % 2] for e in range(8)}, {}, labels=[0, 1]))]
    assert len(many) == 7 and many[-1] == "2 more training domains lack a class"


def test_constant_predictor_is_told_for_own_data_alone():
    assert [*constant(task({"a": [0, 1, 1]}, {}, labels=["x", "y"]))] == [
        "majority always says y, which most training rows have"
    ]
    assert [*constant(task({"a": [0, 1, 1]}, {}))] == []


def test_what_was_done_to_columns_is_told():
    kept = Scaling(3, np.array([0, 2]), np.zeros(2), np.ones(2))
    scaled = task({"a": [0, 1]}, {}, columns=["p", "q", "r"], scaling=kept)
    zero = "has mean 0 and standard deviation 1 in the training rows"
    assert [*units(config(standardized=True), scaled)] == [
        f"x standardized: each column {zero}",
        "Left out as constant in the training rows: q",
    ]
    none = Scaling(9, np.array([8]), np.zeros(1), np.ones(1))
    assert [*units(config(standardized=True), scaled._replace(columns=list("abcdefghi"), scaling=none))][1] == (
        "Left out as constant in the training rows: a, b, c, d, e, f and 2 more"
    )
    images = scaled._replace(columns=[], shape=(1, 1, 3), pixels=True)
    assert [*units(config(standardized=True, balanced=True), images)] == [
        "x were bytes and are divided by 255",
        "Classes weigh equally in the risk: rows of rarer ones come several times",
        f"x standardized: each channel {zero}",
        "Left out as constant in the training rows: 1",
    ]
    assert [*units(plan("quick", ["erm"], (0,), "colored")[0], images)] == []


@pytest.mark.parametrize(
    ("scale", "told"),
    [(100.0, []), (101.0, ["x as it came: the standard deviations of its columns go from 1 to 1e+02"])],
)
def test_raw_columns_whose_units_decide_are_told(scale, told):
    x = np.array([[0.0, 0, 7], [2, 2 * scale, 7]])  # deviations 1, scale and 0
    domain = Domain("a", x, np.array([0, 1]))
    assert [*units(config(), Problem("own data", [domain], [], []))] == told
    assert len([*units(config(), Problem("own data", [domain._replace(x=8 * x)], [], []))]) == len(told)
    assert [*units(config(), Problem("own data", [domain._replace(x=x[:, 2:])], [], []))] == []
