"""Checks for tests, notebooks, `minifishr verify` and methods of one's own.

contracts: promises that every method keeps. The *_identities: which quantity equals which, each a function of a case
with its statement, its assumption and the error that it measures. breaks: what makes them fail. exercises: those of the
course in notebooks/.
"""

from .breaks import BREAKS, broken
from .contracts import check_algorithm, check_gradient, check_penalty, example, promise
from .exercises import EXERCISES, exercise
from .verification import HARD, IDENTITIES, verified

__all__ = [
    "BREAKS",
    "EXERCISES",
    "HARD",
    "IDENTITIES",
    "broken",
    "check_algorithm",
    "check_gradient",
    "check_penalty",
    "example",
    "exercise",
    "promise",
    "verified",
]
