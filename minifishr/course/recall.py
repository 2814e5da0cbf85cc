"""Three questions of recall at the beginning of a lesson, about earlier ones."""

from typing import NamedTuple

import numpy as np

from .calls import wrapped
from .exercise import Feedback


class Question(NamedTuple):
    """The answer, a number or a letter, and where one reads about it again. The question stands in the notebook."""

    answer: float | str
    where: str


def recalled(lesson, answers, questions):
    """The Feedback for some answers: which are right, and where to look for the others."""
    given = [*answers, *[...] * len(questions)][: len(questions)]
    right = [agrees(one, question.answer) for one, question in zip(given, questions, strict=True)]
    if all(one is ... or one is None for one in given):
        what = "a number, or the letter of an answer in quotes, in the place of each row of dots"
        return Feedback(False, f"Before lesson {lesson}: write your {len(given)} answers, {what}.", attempt=False)
    lines = [
        f"{n}: right." if found else wrapped(f"{n}: not yet. Look again at {question.where}.")
        for n, (found, question) in enumerate(zip(right, questions, strict=True), 1)
    ]
    return Feedback(all(right), "\n".join(lines))


def agrees(one, answer):
    """Whether an answer is the right letter, in brackets or not, or the right number within 1 %, in quotes or not."""
    if isinstance(answer, str):
        return isinstance(one, str) and one.strip(" ().").lower() == answer
    if isinstance(one, bool) or not isinstance(one, str | int | float | np.number):
        return False
    try:
        return bool(np.isclose(float(one.strip(" %") if isinstance(one, str) else one), answer, rtol=0.01, atol=0))
    except ValueError:  # words
        return False
