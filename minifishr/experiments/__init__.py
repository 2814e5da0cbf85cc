"""Experiments: some methods and seeds on one problem, a table and figures. What `minifishr compare` does.

Read `config` (what a run depends on), `presets` (what fits which data), `problems` (data and network), `matching`
(penalty weights in units of the penalty), `runs` (a plan, and one run of it), `parallel` (many runs), `results` (a
results folder and its table), `captions` (what it shows, in words), `figures` (pictures) and `drawing` (which of them).
"""

from .captions import caption, unseen_classes
from .config import Config, config_of, said
from .drawing import write_figures
from .figures import invariance_figure, landscape_figure, new_figure, series
from .matching import PENALTY_WEIGHT, WEIGHTS, matching
from .parallel import compare, counted, watched
from .presets import DATASETS, DISPERSION, NAMED, PRESETS, TOYS
from .problems import network, problem
from .results import (
    accuracies,
    append_history,
    by_method,
    invariance_matrix,
    invariance_table,
    results_folder,
    sort_history,
    spread,
    table,
    versions,
    write_config,
)
from .runs import Result, check_known, failed, plan, run

__all__ = [
    "DATASETS",
    "DISPERSION",
    "NAMED",
    "PENALTY_WEIGHT",
    "PRESETS",
    "TOYS",
    "WEIGHTS",
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
    "failed",
    "invariance_figure",
    "invariance_matrix",
    "invariance_table",
    "landscape_figure",
    "matching",
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
    "unseen_classes",
    "versions",
    "watched",
    "write_config",
    "write_figures",
]
