import numpy as np
import pytest

from minifishr.course import EXERCISES, exercise
from minifishr.course.exercise import Exercise, networks, numbers, shown, tried, whole

NAMES = list(EXERCISES)


def off(reference):
    """An answer that is slightly wrong."""
    return lambda *values: np.asarray(reference(*values), float) + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_reference_passes_and_what_is_slightly_wrong_does_not(name):
    assert exercise(name, EXERCISES[name].expected).passed
    message = exercise(name, off(EXERCISES[name].expected)).message
    for part in ("not yet", "Wanted: ", "On the smallest input found\n", "expected ", "came ", "Hint: "):
        assert part in message


@pytest.mark.parametrize(("name", "left"), [*((name, None) for name in NAMES), (NAMES[0], ...)])
def test_unfinished_answer_is_told_what_is_wanted_without_an_input(name, left):
    feedback = exercise(name, lambda *values: left)
    assert not feedback and "Nothing came back" in feedback.message and "input found" not in feedback.message


def mean_inputs(draw):
    return {"x": draw(numbers(draw(whole(1, 4)), 2))}


MEAN = Exercise(mean_inputs, lambda x: x.mean(axis=0), "the mean of the rows", "axis 0")


def test_an_error_becomes_a_sentence_and_an_input():
    def answer(x):
        raise KeyError("gone")

    message = tried("mean", answer, MEAN).message
    assert "Your answer raised KeyError: 'gone'" in message and "x = [[0, 0]]" in message

    def stub(x):
        raise NotImplementedError

    assert "Nothing came back" in tried("mean", stub, MEAN).message


def test_the_input_is_the_smallest_on_which_the_answer_is_wrong():
    message = tried("mean", lambda x: x.sum(axis=0), MEAN).message  # right for one row, and for zeros
    assert "x = [[0, 0],\n" in message and message.count("0.5]") == 2  # two rows; the input and what came
    assert "expected [0, 0.25]" in message and "came     [0, 0.5]" in message


def test_shapes_and_kinds_are_named():
    assert "Expected the shape (2,), came the shape (1, 2)" in tried("mean", lambda x: x[:1], MEAN).message
    assert "Expected numbers of shape (2,), came 'mean'" in tried("mean", lambda x: "mean", MEAN).message
    assert "came     [nan, nan]" in tried("mean", lambda x: np.sqrt(x[0] * 0 - 1), MEAN).message


def test_answer_that_changes_its_input_or_warns_is_judged_by_what_it_returns(capsys):
    def answer(x):
        np.float64(1) / np.zeros(1)
        x *= 2
        return x.mean(axis=0) / 2

    assert tried("mean", answer, MEAN).passed
    assert capsys.readouterr() == ("", "")


def test_answer_with_something_random_in_it_is_told_so():
    calls = iter(range(10**9))
    feedback = tried("mean", lambda x: x.mean(axis=0) + (next(calls) % 7 == 3), MEAN)
    assert not feedback.passed and "random" in feedback.message


def test_feedback_is_true_where_passed_and_shows_its_message():
    right, wrong = tried("mean", MEAN.expected, MEAN), tried("mean", lambda x: 1.0, MEAN)
    assert right and not wrong and repr(right) == "mean: right, on 50 inputs."


def test_unknown_exercise_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"unknown exercise 'x', expected one of .*outer_products"):
        exercise("x", len)


def test_domains_are_shown_and_fit_their_model():
    def inputs(draw):
        found = networks(draw)
        assert {d.x.shape[1] for d in found["domains"]} == {2} and 2 <= len(found["domains"]) <= 3
        return found

    counting = Exercise(inputs, lambda model, theta, domains: len(domains), "how many domains", "len")
    assert tried("count", lambda model, theta, domains: len(domains), counting)
    assert "Domain(name='a'" in tried("count", lambda *case: 0.0, counting).message


def test_long_arrays_are_shown_in_lines_below_each_other():
    assert shown(np.eye(2)) == "[[1, 0],\n" + 13 * " " + " [0, 1]]"
    assert shown(np.array([4e-18, 0.25, 1 / 3])) == "[4e-18, 0.25, 0.333333]"
