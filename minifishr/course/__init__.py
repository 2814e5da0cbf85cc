"""The course: the exercises of the lessons in notebooks/, which try an answer on small inputs and say what is wrong.

Read `exercise` (how an answer is tried), then the exercises of each lesson with their references: `lesson_0`,
`lesson_1`, `lesson_2`, `lesson_3`, `lesson_4`, `lesson_5`, `lesson_6`, `lesson_7`, `lesson_8`, `lesson_9`.
"""

from importlib.util import find_spec

from .exercise import tried
from .lesson_0 import EXERCISES as ZERO
from .lesson_1 import EXERCISES as ONE
from .lesson_2 import EXERCISES as TWO
from .lesson_3 import EXERCISES as THREE
from .lesson_4 import EXERCISES as FOUR
from .lesson_5 import EXERCISES as FIVE
from .lesson_6 import EXERCISES as SIX
from .lesson_7 import EXERCISES as SEVEN
from .lesson_8 import EXERCISES as EIGHT
from .lesson_9 import EXERCISES as NINE

EXERCISES = {**ZERO, **ONE, **TWO, **THREE, **FOUR, **FIVE, **SIX, **SEVEN, **EIGHT, **NINE}


def exercise(name, answer):
    """The Feedback for an answer to one of the exercises; ValueError for an unknown name,
    ImportError without the library that draws the inputs.
    """
    if name not in EXERCISES:
        raise ValueError(f"unknown exercise {name!r}, expected one of {', '.join(EXERCISES)}")
    if find_spec("hypothesis") is None:
        raise ImportError(f"exercise {name!r} needs hypothesis: pip install 'minifishr[notebooks]'")
    return tried(name, answer, EXERCISES[name])
