"""Checks for tests, notebooks, `minifishr verify` and methods of one's own.

Read `contracts` (promises that every method keeps) and `identity` (what an identity is: a function of a case, with its
statement, its assumption and the error that it measures); then which quantity equals which: `gradient_identities`,
`curvature_identities`, `penalty_identities`, `method_identities`, `landscape_identities`,
`alignment_identities`, `baseline_identities`; then `verification` (all of
them, on random and on hard cases) and `breaks` (what makes them fail).
"""

from .breaks import BREAKS, broken
from .contracts import check_algorithm, check_gradient, check_penalty, example, promise
from .gradient_identities import STEP
from .identity import relative, same_pattern
from .verification import HARD, IDENTITIES, verified

__all__ = [
    "BREAKS",
    "HARD",
    "IDENTITIES",
    "STEP",
    "broken",
    "check_algorithm",
    "check_gradient",
    "check_penalty",
    "example",
    "promise",
    "relative",
    "same_pattern",
    "verified",
]
