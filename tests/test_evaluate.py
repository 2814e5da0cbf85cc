import numpy as np
import pytest

from minifishr.data import Domain, Row
from minifishr.evaluate import (
    accuracies,
    accuracy,
    first_nonfinite,
    largest_share,
    last_step,
    predictions,
    validation_step,
    worst_domain,
)
from minifishr.mlp import MLP

LINE = MLP((1, 1)), np.array([1.0, -2.0])  # z = x - 2
THREE = MLP((1, 3)), np.array([1.0, 0.0, -1.0, 0.0, 0.5, 0.0])  # z = (x, 0.5, -x)


def domain(x, y, name="here"):
    return Domain(name, np.array(x, float)[:, None], np.array(y))


def test_one_logit_predicts_one_where_it_is_positive():
    found = predictions(*LINE, np.array([[1.0], [2.0], [3.0]]))
    assert found.tolist() == [0, 0, 1] and found.dtype == int


def test_several_logits_predict_the_largest():
    assert predictions(*THREE, np.array([[1.0], [0.0], [-2.0]])).tolist() == [0, 1, 2]


def test_accuracy_is_the_share_of_rows_predicted_right():
    assert accuracy(*LINE, domain([1, 3, 4, 5], [0, 1, 1, 0])) == 0.75


def test_worst_domain_is_the_one_with_the_lowest_accuracy():
    found = accuracies(*LINE, [domain([1, 3], [0, 1], "easy"), domain([1, 3], [1, 1], "hard")])
    assert found == {"easy": 1.0, "hard": 0.5}
    assert worst_domain(found) == ("hard", 0.5)


def test_first_domain_without_a_finite_risk_is_named():
    model, theta = LINE
    fine, broken = domain([1, 2], [0, 1], "fine"), domain([1, np.inf], [0, 0], "broken")
    assert first_nonfinite(model, theta, [fine, broken]) == "broken"
    assert first_nonfinite(model, theta, [fine]) is None


def history(*values):
    """Held-out accuracies of two domains at steps 0, 10, 20, ..., and test accuracies that would choose otherwise."""
    rows = [
        Row(10 * t, name, "validation accuracy", v)
        for t, pair in enumerate(values)
        for name, v in zip("ab", pair, strict=True)
    ]
    return rows + [Row(10 * t, "test", "accuracy", t) for t in range(len(values))]


def test_validation_rule_takes_the_best_mean_over_domains_and_never_looks_at_the_test_domain():
    assert validation_step(history((0.5, 0.5), (0.9, 0.7), (0.6, 0.95), (0.0, 1.0))) == 10


def test_validation_rule_takes_the_first_of_equals():
    assert validation_step(history((0.5, 0.5), (0.9, 0.7), (0.7, 0.9))) == 10


def test_last_step_selects_nothing():
    assert last_step(history((0.5, 0.5), (0.9, 0.7), (0.6, 0.9))) == 20


def test_rows_of_other_metrics_do_not_count():
    with pytest.raises(ValueError):
        validation_step([Row(0, "a", "accuracy", 1.0)])


BAD_LABELS = {
    "a column": (np.zeros((2, 1), int), r"accuracy: 2 rows of logits need labels \(2,\), got \(2, 1\)"),
    "one for all": (np.array([1]), r"got \(1,\)"),
    "words": (np.array(["a", "b"]), "accuracy: labels must be integers, got <U1"),
    "halves": (np.array([0.5, 1.0]), "accuracy: labels must be integers, got float64"),
    "a third class": (np.array([0, 2]), r"accuracy: 1 logit\(s\) need labels in 0..1, got \[0, 2\]"),
    "no rows": (np.zeros(0, int), "labels"),
}


def test_classes_are_as_many_as_logits_whatever_the_hidden_layers():
    deep = MLP((1, 3, 2))
    with pytest.raises(ValueError, match=r"2 logit\(s\) need labels in 0..1, got \[0, 2\]"):
        accuracy(deep, np.zeros(deep.d), domain([1, 2], [0, 2]))


@pytest.mark.parametrize("case", BAD_LABELS)
def test_accuracy_has_the_checks_of_the_loss(case):
    y, message = BAD_LABELS[case]
    x = np.zeros((0 if case == "no rows" else 2, 1))
    with pytest.raises(ValueError, match=message):
        accuracy(*LINE, Domain("here", x, y))


def test_two_domains_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"accuracies: domain names repeat: \['a', 'a'\]"):
        accuracies(*LINE, [domain([1], [1], "a"), domain([1], [0], "a")])


def test_largest_share_is_one_for_a_constant_predictor():
    assert largest_share(np.array([2, 2, 2])) == 1
    assert largest_share(np.array([0, 1, 1, 3])) == 0.5


@pytest.mark.parametrize("k", [1, 3])
def test_what_is_no_number_is_neither_right_nor_wrong(k):
    model = MLP((2, k))
    broken = Domain("a", np.array([[1, 2], [np.nan, 0]]), np.zeros(2, int))
    with pytest.raises(ValueError, match="accuracy: domain 'a' has rows whose logits are not numbers"):
        accuracy(model, np.ones(model.d), broken)
