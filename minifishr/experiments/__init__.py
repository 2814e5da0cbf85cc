"""Experiments: some methods and seeds on one problem, a table and figures. What `minifishr compare` does.

Read `presets` (what an experiment consists of), `runs` (a plan, and one run of it), `parallel` (many runs), `results`
(a results folder and its table), `figures` (its pictures).
"""

from .figures import invariance_figure, landscape_figure, new_figure, series, write_figures
from .parallel import compare, counted, watched
from .presets import DATASETS, DISPERSION, LEFT_OUT, NAMED, PRESETS, TOYS
from .results import (
    accuracies,
    append_history,
    by_method,
    caption,
    invariance_matrix,
    invariance_table,
    results_folder,
    sort_history,
    spread,
    table,
    versions,
    write_config,
)
from .runs import Result, check_known, left_out, network, plan, problem, run

__all__ = [
    "DATASETS",
    "DISPERSION",
    "LEFT_OUT",
    "NAMED",
    "PRESETS",
    "TOYS",
    "Result",
    "accuracies",
    "append_history",
    "by_method",
    "caption",
    "check_known",
    "compare",
    "counted",
    "invariance_figure",
    "invariance_matrix",
    "invariance_table",
    "landscape_figure",
    "left_out",
    "network",
    "new_figure",
    "plan",
    "problem",
    "results_folder",
    "run",
    "series",
    "sort_history",
    "spread",
    "table",
    "versions",
    "watched",
    "write_config",
    "write_figures",
]
