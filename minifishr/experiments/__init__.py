"""Experiments: some methods and seeds on one problem, a table and figures. What `minifishr compare` does.

Read `config` (what a run depends on), `presets` (what fits which data), `runs` (a plan, and one run of it), `parallel`
(many runs), `results` (a results folder and its table), `figures` (its pictures).
"""

from .config import Config, config_of, said
from .figures import invariance_figure, landscape_figure, new_figure, series, write_figures
from .parallel import compare, counted, watched
from .presets import DATASETS, DISPERSION, NAMED, PRESETS, TOYS
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
from .runs import Result, check_known, network, plan, problem, run

__all__ = [
    "DATASETS",
    "DISPERSION",
    "NAMED",
    "PRESETS",
    "TOYS",
    "Config",
    "Result",
    "accuracies",
    "append_history",
    "by_method",
    "caption",
    "check_known",
    "compare",
    "config_of",
    "counted",
    "invariance_figure",
    "invariance_matrix",
    "invariance_table",
    "landscape_figure",
    "network",
    "new_figure",
    "plan",
    "problem",
    "results_folder",
    "run",
    "said",
    "series",
    "sort_history",
    "spread",
    "table",
    "versions",
    "watched",
    "write_config",
    "write_figures",
]
