"""Sweeps: a random search over hyper-parameters, data sets and seeds that can be stopped at any time, and its report.

Read `grid` (which runs there are), `records` (what is left of each), `running` (carrying them out), `calibration` (how
long it will take), `selection` (which of them count), `tables` (means, standard errors, ranks), `report` and `figures`
(what a sweep has shown). Three files are handed on whole, because their first function has their name.
"""

from . import grid, records, report
from .calibration import expected_seconds
from .figures import sweep_figures
from .running import sweep
from .selection import RULES, choices, expected_best, searches, training_scores
from .tables import ranks

__all__ = [
    "RULES",
    "choices",
    "expected_best",
    "expected_seconds",
    "grid",
    "ranks",
    "records",
    "report",
    "searches",
    "sweep",
    "sweep_figures",
    "training_scores",
]
