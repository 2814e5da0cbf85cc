"""Checks for tests, notebooks, `minifishr verify` and methods of one's own.

contracts: promises that every method keeps. The *_identities: which quantity equals which, each a function of a case
with its statement, its assumption and the error that it measures. breaks: what makes them fail.
"""

from .breaks import BREAKS, broken
from .contracts import check_algorithm, check_gradient, check_penalty, example, promise
from .verification import HARD, IDENTITIES, verified

__all__ = [
    "BREAKS",
    "HARD",
    "IDENTITIES",
    "broken",
    "check_algorithm",
    "check_gradient",
    "check_penalty",
    "example",
    "promise",
    "verified",
]
