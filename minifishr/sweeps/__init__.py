"""Sweeps: a random search over hyper-parameters, data sets and seeds that can be stopped at any time, and its report.

Read `grid` (which runs there are), `records` (what is left of each), `archive` (all of them in one file), `running`
(carrying them out), `calibration` (how long it will take), `selection` (which of them count), `tables` (means, standard
errors, ranks), `comparison` (how sure an order is), `sections` (what there is of a data set), `unselected` (a sweep of
one draw), `report` and `figures` (what a sweep has shown). Three files are handed on whole, because their first
function has their name.
"""

from . import grid, records, report
from .archive import beside, pack, packed, recorded, unpack
from .calibration import expected_seconds
from .figures import sweep_figures
from .running import sweep
from .sections import sections
from .selection import RULES, choices, expected_best, searches, training_scores
from .tables import ranks

__all__ = [
    "RULES",
    "beside",
    "choices",
    "expected_best",
    "expected_seconds",
    "grid",
    "pack",
    "packed",
    "ranks",
    "recorded",
    "records",
    "report",
    "searches",
    "sections",
    "sweep",
    "sweep_figures",
    "training_scores",
    "unpack",
]
