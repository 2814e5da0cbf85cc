"""The course: the exercises of the lessons in notebooks/, which try an answer on small inputs and say what is wrong.

Read `draws` (the inputs), `calls` (one call of an answer), `judging` (is it right?), `exercise` (what is said then),
`used` (an answer that passed, below its exercise), `recall`, `progress`, `pages` (figures and solutions), `toys`,
`watched` (where an answer looks), `tapes` and `folder` (a copy of one's own); then the exercises of each lesson with
their solutions and known wrong answers: `lesson_0`, `lesson_1`, `lesson_2`, `lesson_3`, `lesson_4`, `lesson_5`,
`lesson_6`, `lesson_7`, `lesson_8`, `lesson_9`, `lesson_10`, `lesson_11`, `lesson_12`.
"""

from importlib.util import find_spec

from . import (
    lesson_0,
    lesson_1,
    lesson_2,
    lesson_3,
    lesson_4,
    lesson_5,
    lesson_6,
    lesson_7,
    lesson_8,
    lesson_9,
    lesson_10,
    lesson_11,
    lesson_12,
)
from .exercise import tried
from .folder import copied, pictures
from .pages import figure, panels, reveal, solved
from .progress import Progress, attempts, fingerprint, kept, noted
from .recall import recalled
from .toys import counted
from .used import COARSE, coarse, own, used

LESSONS = [lesson_0, lesson_1, lesson_2, lesson_3, lesson_4, lesson_5, lesson_6, lesson_7, lesson_8, lesson_9]
LESSONS += [lesson_10, lesson_11, lesson_12]
EXERCISES = {name: one for lesson in LESSONS for name, one in lesson.EXERCISES.items()}
RECALL = {number: lesson.RECALL for number, lesson in enumerate(LESSONS) if number}
PASSED = {}  # name -> the function that passed in this session

__all__ = [
    "EXERCISES",
    "RECALL",
    "copied",
    "counted",
    "exercise",
    "figure",
    "panels",
    "passed",
    "pictures",
    "progress",
    "recall",
    "reveal",
    "solution",
]


def exercise(name, answer):
    """The Feedback for an answer to one of the exercises, which is noted; ValueError for an unknown name, ImportError
    without the library that draws the inputs."""
    known(name)
    if find_spec("hypothesis") is None:
        raise ImportError(f"exercise {name!r} needs hypothesis: pip install 'minifishr[notebooks]'")
    answer = own(answer)
    number = fingerprint(answer)
    earlier = [one for one in attempts(name) if one != number]
    feedback = tried(name, answer, EXERCISES[name], earlier=len(earlier))
    PASSED.pop(name, None)
    if feedback and coarse(answer, EXERCISES[name]):
        feedback = feedback._replace(message=f"{feedback.message} {COARSE}")
    elif feedback:
        PASSED[name] = answer
    return noted(name, feedback, number)


def known(name):
    """ValueError for a name that is no exercise's."""
    if name not in EXERCISES:
        raise ValueError(f"unknown exercise {name!r}, expected one of {', '.join(EXERCISES)}")


def passed(name):
    """The answer to an exercise that passed in this session, with its numbers as arrays, else the solution; ValueError
    for an unknown name."""
    known(name)
    return used(PASSED[name], EXERCISES[name]) if name in PASSED else EXERCISES[name].expected


def solution(name):
    """The solution of an exercise, folded; ValueError for an unknown name."""
    known(name)
    return solved(name, EXERCISES[name].expected)


def recall(lesson, *answers):
    """The Feedback for the answers to the questions at the beginning of a lesson, which is noted."""
    return noted(f"recall {lesson}", recalled(lesson, answers, RECALL[lesson]), 0)


def progress():
    """What is done and what is open, as the file in this folder has it; ValueError if it is damaged."""
    done = {name for name, one in kept().items() if one["passed"]}
    names = {n: [*([f"recall {n}"] if n else []), *lesson.EXERCISES] for n, lesson in enumerate(LESSONS)}
    return Progress({n: {name: name in done for name in some} for n, some in names.items()})
