import json
import re
import sys
from copy import deepcopy

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis.configuration import set_hypothesis_home_dir, storage_directory
from right_answers import FORBIDDEN, RIGHT
from right_answers_late import LATE, LATE_FORBIDDEN

from minifishr import Domain, course, risk
from minifishr.course import EXERCISES, exercise
from minifishr.course.calls import quiet
from minifishr.course.draws import networks, numbers, whole
from minifishr.course.exercise import Exercise, diagnosis, tried, trouble
from minifishr.course.judging import different, drawn, shown
from minifishr.course.used import used
from minifishr.course.watched import two_sided

NAMES, RIGHT = list(EXERCISES), {**RIGHT, **LATE}
WRONG = [(name, words) for name in NAMES for words in EXERCISES[name].wrong]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(course, "PASSED", {})


def off(reference):
    """An answer that is slightly wrong."""
    return lambda *values: np.asarray(reference(*values), float) + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_solution_passes_and_what_is_slightly_wrong_does_not(name, monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SHRINKING", 0.3)
    assert exercise(name, EXERCISES[name].expected).passed
    wrong = (
        off(EXERCISES[name].expected)
        if name not in ("squared_risks", "replay")
        else next(iter(EXERCISES[name].wrong.values()))
    )
    message = exercise(name, wrong).message
    for part in ("not yet", "Wanted: ", "On the smallest input found\n", "expected ", "came ", "Hint: "):
        assert part in message


@pytest.mark.parametrize(("name", "words"), WRONG)
def test_known_wrong_answer_is_caught_with_its_own_diagnosis(name, words):
    answer = EXERCISES[name].wrong[words]
    assert trouble(answer, EXERCISES[name])[0] is not None
    assert diagnosis(answer, EXERCISES[name]) == words


@pytest.mark.parametrize("name", NAMES)
def test_exercise_knows_wrong_answers_and_has_two_hints(name):
    assert len(EXERCISES[name].wrong) >= 3 and len(EXERCISES[name].hints) == 2


@pytest.mark.parametrize(("name", "number"), [(name, n) for name in NAMES for n in range(len(RIGHT[name]))])
def test_right_answer_in_another_form_passes(name, number):
    assert trouble(RIGHT[name][number], EXERCISES[name]) == (None, None)


@pytest.mark.parametrize("name", NAMES)
def test_two_right_answers_in_other_forms_are_known(name):
    assert len(RIGHT[name]) >= 2


@pytest.mark.parametrize(("name", "part", "answer"), [*FORBIDDEN, *LATE_FORBIDDEN])
def test_right_numbers_in_a_way_that_was_not_asked_for_are_refused(name, part, answer):
    assert part in " ".join(tried(name, answer, EXERCISES[name]).message.split())


@pytest.mark.parametrize("name", NAMES)
def test_untouched_stub_is_told_what_is_wanted_and_no_hint(name):
    feedback = exercise(name, lambda *values, **options: None)
    assert not feedback and "Nothing came back" in feedback.message
    assert "input found" not in feedback.message and "Hint: " not in feedback.message
    assert not (course.kept() or course.progress().lessons[0]["coloring"])


def test_hint_comes_after_an_attempt_and_the_second_one_after_another(monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SHRINKING", 0.1)
    first, second = EXERCISES["variance"].hints
    one, other = ((lambda a, delta: a), (lambda a, delta: 2 * a))
    for answer, hints in ((one, 1), (one, 1), (other, 2), (one, 2)):
        assert exercise("variance", answer).message.count("Hint: ") == hints
    assert first[:40] in exercise("variance", one).message and second[:40] in exercise("variance", one).message
    nothing = exercise("variance", lambda a, delta: None).message  # printed, say, and not returned
    assert "Nothing came back" in nothing and nothing.count("Hint: ") == 2 and "first attempt" not in nothing


def test_the_function_that_passed_is_used_below_and_the_solution_otherwise(monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SHRINKING", 0.1)
    solution = EXERCISES["norms"].expected
    assert course.passed("norms") is solution
    exercise("norms", off(solution))
    assert course.passed("norms") is solution
    own = lambda *case: solution(*case)  # noqa: E731
    exercise("norms", own)
    assert course.own(course.passed("norms")) is own
    exercise("norms", off(own))
    assert course.passed("norms") is solution


@pytest.mark.parametrize(("name", "number"), [(name, n) for name in NAMES for n in range(len(RIGHT[name]))])
def test_answer_that_passed_gives_below_what_the_solution_would_give(name, number, monkeypatch):
    exercise, answer = EXERCISES[name], RIGHT[name][number]
    if exercise.adapt is not Exercise._field_defaults["adapt"]:
        pytest.skip("its answer gives something else than numbers")
    monkeypatch.setattr(course, "PASSED", {name: answer})
    for values in drawn(exercise.inputs)[::10]:
        with quiet():
            ours, right = (f(*deepcopy(list(values.values()))) for f in (course.passed(name), exercise.expected))
        right = np.asarray(right)
        assert isinstance(ours, np.ndarray if right.ndim else np.generic)
        assert ours.shape == right.shape and ours.dtype.kind == right.dtype.kind


def test_list_is_an_array_below_a_float_in_the_place_of_a_boolean_a_boolean_and_a_second_trial_the_same(monkeypatch):
    def listed(a, b):
        return np.asarray(EXERCISES["coral_pull"].expected(a, b)).tolist()

    def floats(uses, output):
        found = np.zeros(len(uses))
        found[EXERCISES["needed"].expected(uses, output)] = True
        return found

    assert exercise("coral_pull", listed) and exercise("needed", floats)
    rows, keep = course.passed("coral_pull"), course.passed("needed")
    assert rows(np.eye(2), np.ones((3, 2))).T.shape == (2, 2) and rows.__name__ == "listed"
    assert (keep([(), (0,), (0,)], 1) & np.array([True, True, True])).tolist() == [True, True, False]
    assert exercise("needed", keep) and course.own(course.passed("needed")) is floats
    assert len(course.kept()["needed"]["tried"]) == 1


def test_boxes_of_autograd_pass_through_an_answer_that_passed():
    solution = EXERCISES["stable_loss"].expected
    below = used(lambda z, y: anp.logaddexp(0, (1 - 2 * y) * z), EXERCISES["stable_loss"])
    z, y = np.array([0.5, -2.0]), np.array([1, 0])
    slopes = grad(lambda z: anp.sum(below(z, y)))(z)
    assert np.allclose(slopes, [(solution(z + s, y).sum() - solution(z - s, y).sum()) / 2e-6 for s in 1e-6 * np.eye(2)])


def test_answer_in_float32_passes_and_the_solution_is_used_below_it():
    feedback = exercise("bayes_accuracy", RIGHT["bayes_accuracy"][1])
    assert feedback and "In float32. Below, the solution is used" in feedback.message
    assert course.passed("bayes_accuracy") is EXERCISES["bayes_accuracy"].expected


def test_verdict_is_shown_where_it_cannot_be_kept(monkeypatch):
    def write_whole(path, data):
        raise OSError(f"{path}: cannot be written: Permission denied")

    monkeypatch.setattr(sys.modules["minifishr.course.progress"], "write_whole", write_whole)
    feedback = exercise("bayes_accuracy", EXERCISES["bayes_accuracy"].expected)
    right = [question.answer for question in course.RECALL[1]]
    for one in (feedback, course.recall(1, *right)):
        assert one and ": right" in one.message
        assert one.message.endswith("(not kept: course_progress.json: cannot be written: Permission denied)")


def test_nothing_but_the_progress_is_left_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SHRINKING", 0.1)
    before = storage_directory(intent_to_write=False).path
    set_hypothesis_home_dir(tmp_path / ".hypothesis")
    try:
        drawn.cache_clear()
        assert not exercise("bayes_accuracy", lambda table: 0.5)
        assert storage_directory(intent_to_write=False).path == tmp_path / ".hypothesis"
    finally:
        set_hypothesis_home_dir(before)
    assert [path.name for path in tmp_path.iterdir()] == ["course_progress.json"]


@pytest.mark.parametrize("letter", ["a", "A", " a) ", "(a)", "a."])
@pytest.mark.parametrize("number", [85, "85", 85.0, "85 %", np.float32(85)])
def test_letter_in_brackets_and_number_in_quotes_are_right(letter, number):
    assert course.recall(1, number, letter, "c")


@pytest.mark.parametrize("number", [True, np.True_, "", "one", None, [1], "nan", 1j])
def test_what_is_no_number_is_not_1(number):
    assert course.RECALL[12][0].answer == 1 and "1: right" not in course.recall(12, number, 20, "a").message


def test_progress_is_kept_and_a_damaged_file_is_refused(tmp_path):
    exercise("norms", EXERCISES["norms"].expected)
    course.recall(2, *(question.answer for question in course.RECALL[2]))
    lesson = course.progress().lessons[2]
    assert lesson["norms"] and lesson["recall 2"] and sum(lesson.values()) == 2
    assert "lesson  2: 2 of 6 done, open: outer_products, " in repr(course.progress())
    assert all(len(line) <= 88 for line in repr(course.progress()).splitlines())  # else names are broken in a browser
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text())["norms"]["passed"]
    file.write_text("[1]")
    with pytest.raises(ValueError, match="damaged"):
        course.progress()


@pytest.mark.parametrize("lesson", course.RECALL)
def test_questions_of_recall_are_three_and_are_checked(lesson):
    questions = course.RECALL[lesson]
    right, wrong = [q.answer for q in questions], [-1 if isinstance(q.answer, str) else "z" for q in questions]
    assert course.recall(lesson, *right) and len(right) == 3
    feedback = course.recall(lesson, right[0], *wrong[1:])
    assert not feedback and feedback.message.startswith("1: right.\n2: not yet. Look again at lesson")
    assert not course.recall(lesson, ..., ..., ...) and not course.recall(lesson)


def mean_inputs(draw):
    return {"x": draw(numbers(draw(whole(1, 4)), 2))}


MEAN = Exercise(
    mean_inputs, lambda x: x.mean(axis=0), "the mean of the rows", ("axis 0", "x.mean"), {"the sum": lambda x: x.sum(0)}
)


def test_an_error_becomes_a_sentence_and_an_input():
    def answer(x):
        raise KeyError("gone")

    message = tried("mean", answer, MEAN).message
    assert "Your answer raised KeyError: 'gone'" in message and "x = [[0, 0]]" in message

    def stub(x):
        raise NotImplementedError

    assert "Nothing came back" in tried("mean", stub, MEAN).message


def test_the_input_is_the_smallest_on_which_the_answer_is_wrong_and_the_answer_is_recognized():
    message = tried("mean", lambda x: x.sum(axis=0), MEAN).message  # right for one row, and for zeros
    assert "x = [[0, 0],\n" in message and message.count("0.5]") == 2  # two rows; the input and what came
    assert "expected [0, 0.25]" in message and "came     [0, 0.5]" in message
    assert "Looks like this: the sum." in message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: 0 * x[0], "always 0."),
        (lambda x: np.sum(x - x.mean(axis=0), axis=0), "always 0."),  # up to rounding
        (lambda x: 0.9999 * x.mean(axis=0), "nearly right, as if a step or a constant were too coarse."),
        (lambda x: 1.002 * x.mean(axis=0), "1.002 times what was expected"),
    ],
)
def test_factor_that_says_nothing_is_not_named(answer, words):
    message = tried("mean", answer, MEAN).message
    assert f"Looks like this: {words}" in message and message.count("Looks like") == 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_factor_that_is_no_number_is_not_named(wrong):
    assert "Looks like" not in tried("mean", lambda x: x.mean(axis=0) + wrong, MEAN).message


def test_error_on_a_larger_input_or_inside_a_contract_becomes_a_sentence():
    def narrow(x):
        if len(x) > 9:
            raise NotImplementedError("too many rows")
        return x.mean(axis=0)

    def asked(answer):
        answer(np.ones((20, 2)))

    large = MEAN._replace(large=(lambda: {"x": np.ones((20, 2))}, 10**6))
    message = " ".join(tried("mean", narrow, large).message.split())
    assert "on a larger input your answer raised NotImplementedError: too many rows." in message
    message = " ".join(tried("mean", narrow, MEAN._replace(contract=asked)).message.split())
    assert "while its promises were tried your answer raised NotImplementedError: too many rows." in message
    assert "autograd" not in message
    ending = MEAN._replace(contract=lambda answer: sys.exit(0))
    assert "your answer ended the program" in " ".join(tried("mean", MEAN.expected, ending).message.split())


def test_a_constant_factor_is_named():
    assert "Looks like this: -2 times what was expected" in tried("mean", lambda x: -2 * x.mean(0), MEAN).message


def test_right_numbers_in_another_shape_are_told_to_be_that():
    message = tried("mean", lambda x: x.mean(axis=0)[:, None], MEAN).message
    assert "Looks like this: the right numbers in another shape." in message
    assert "Looks like" not in tried("mean", lambda x: x.sum(axis=0)[:, None], MEAN).message


def test_shapes_and_kinds_are_named():
    assert "Expected the shape (2,), came the shape (1, 2)" in tried("mean", lambda x: x[:1], MEAN).message
    for text in ("mean", "0.5", ["0", "0"], [[0], [0, 1]], 1j, {}):
        assert "Expected numbers, came a " in tried("mean", lambda x, text=text: text, MEAN).message
    assert "came     [nan, nan]" in tried("mean", lambda x: np.sqrt(x[0] * 0 - 1), MEAN).message


def test_what_differs_is_shown_with_the_digits_that_tell_it_apart_and_its_dtype():
    found = different(np.float32([1.001, 2]), np.array([1, 2.0]))
    assert "expected [1, 2]" in found and "came     [1.001, 2]    (in float32)" in found
    found = different(np.array([1 + 2e-6]), np.array([1.0]))
    assert "expected [1]" in found and "came     [1.000002]" in found
    assert different(np.float32([1 / 3]), np.array([1 / 3])) is None
    assert different(np.array([4e-18]), np.array([0.0])) is None
    assert different(np.array([0.0]), np.array([4e-18]), exact=True) is not None


def test_answer_that_changes_its_input_is_told_so(capsys):
    def answer(x):
        np.float64(1) / np.zeros(1)
        x *= 2
        return x.mean(axis=0) / 2

    assert "changes x in place" in tried("mean", answer, MEAN).message
    assert capsys.readouterr() == ("", "")


def test_endless_loop_comes_back_as_a_sentence(monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SECONDS", 0.2)

    def loop(x):
        while True:
            pass

    assert "longer than 0.2 seconds" in tried("mean", loop, MEAN).message


def test_loop_that_is_endless_on_some_inputs_alone_ends_too(monkeypatch):
    monkeypatch.setattr(sys.modules["minifishr.course.exercise"], "SECONDS", 0.2)
    cases = drawn(MEAN.inputs)
    first = next(len(values["x"]) for values in cases if values["x"].any() and len(values["x"]) > 1)

    def loop(x):
        while len(x) > 1 and len(x) != first:
            pass
        return x.sum(axis=0)

    assert "came  " in tried("mean", loop, MEAN).message


def test_end_of_the_program_comes_back_as_a_sentence():
    assert "ended the program" in tried("mean", lambda x: sys.exit(0), MEAN).message


def test_answer_with_something_random_in_it_is_told_so():
    calls = iter(range(10**9))
    feedback = tried("mean", lambda x: x.mean(axis=0) + 1e-9 * next(calls), MEAN)
    assert not feedback.passed and "random" in feedback.message


def test_feedback_is_true_where_passed_and_shows_its_message():
    right, wrong = tried("mean", MEAN.expected, MEAN), tried("mean", lambda x: 1.0, MEAN)
    assert right and not wrong and repr(right) == "mean: right, on 50 inputs."


def test_unknown_exercise_is_refused_with_those_there_are():
    for call in (course.solution, course.passed, lambda name: exercise(name, len)):
        with pytest.raises(ValueError, match=r"unknown exercise 'x', expected one of .*outer_products"):
            call("x")


def test_domains_are_shown_and_fit_their_model():
    def inputs(draw):
        found = networks(draw)
        assert {d.x.shape[1] for d in found["domains"]} == {2} and 2 <= len(found["domains"]) <= 3
        return found

    counting = Exercise(inputs, lambda model, theta, domains: len(domains), "how many domains", ("len", "len"), {})
    assert tried("count", lambda model, theta, domains: len(domains), counting)
    assert "Domain(name='a'" in tried("count", lambda *case: 0.0, counting).message


def test_draws_are_the_same_each_time():
    assert drawn.__wrapped__(mean_inputs)[7]["x"].tolist() == drawn(mean_inputs)[7]["x"].tolist()


def test_long_arrays_are_shown_in_lines_below_each_other():
    assert shown(np.eye(2)) == "[[1, 0],\n" + 13 * " " + " [0, 1]]"
    assert shown(np.array([4e-18, 0.25, 1 / 3])) == "[4e-18, 0.25, 0.333333]"


def test_solution_is_folded_code_without_a_verdict():
    page = course.solution("norms")
    assert page._repr_html_().startswith("<details><summary>Solution of norms</summary><pre>def norms(")
    assert "right" not in page._repr_html_() + repr(page) and "def " not in repr(page)


def test_rows_of_an_input_stand_below_each_other():
    message = tried("mean", lambda x: x.sum(axis=0), MEAN).message
    first, second = re.search(r"^( +x = \[)\[.*\n( +)\[", message, re.MULTILINE).groups()
    assert len(first) == len(second)


@pytest.mark.parametrize("guarded", [lambda n: max(n - 1, 1), lambda n: 1 / (1 / (n - 1))])
def test_known_wrong_answer_is_recognized_when_its_special_case_was_thought_of(guarded):
    def answer(a, delta):  # one row alone: 0, or an error, where the known wrong answer is not a number
        n, G = len(a), np.einsum("ni,nj->nij", a, delta).reshape(len(a), -1)
        return G.var(axis=0) * n / guarded(n)

    assert "divided by n - 1" in diagnosis(answer, EXERCISES["variance"])


def test_lists_and_domains_are_shown_with_rows_below_each_other():
    several = [np.zeros((1, 1)), Domain("a", np.eye(2), np.array([0, 1])), (), 3]
    assert shown(several, indent=4).splitlines() == [
        "[[[0]],",
        "     Domain(name='a',",
        "            x=[[1, 0],",
        "               [0, 1]],",
        "            y=[0, 1]),",
        "     (),",
        "     3]",
    ]
    assert shown([None, (0, 1), {}]) == "[None, (0, 1), {}]" and shown([]) == "[]"
    assert shown((np.roll, np.ones(1)), indent=0) == "(roll,\n [1])"


def test_answers_may_step_in_place_on_a_copy_of_their_own():
    def numerical_gradient(model, theta, x, y, h=1e-5):
        t, found = theta.copy(), []
        for j, old in enumerate(theta):
            t[j] = old + h
            above = risk(model, t, x, y)
            t[j] = old - h
            found.append((above - risk(model, t, x, y)) / (2 * h))
            t[j] = old
        return np.array(found)

    two_sided(numerical_gradient)
