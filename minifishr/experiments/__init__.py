"""Experiments: some methods and seeds on one problem, a table and figures. What `minifishr compare` does.

Read `config` (what a run depends on), `presets` (what fits which data), `problems` (data and network), `matching`
(penalty weights in units of the penalty), `measures` (what is measured on the way), `judging` (how classes fare),
`choices`, `planning` and `runs` (a plan, and one run of it), `parallel` (many runs), `models` (trained networks as
files), `results` (a results folder), `tables`, `captions` (what a table shows, in words), `figures` (pictures),
`paired` (is it more than chance?), `each` (every domain left out in turn) and `drawing` (which pictures there are).
"""

from .captions import caption, lacking_classes, unseen_classes
from .config import Config, config_of, said
from .drawing import write_figures
from .each import each_figure, each_table
from .figures import invariance_figure, landscape_figure, new_figure, series
from .matching import PENALTY_WEIGHT, WEIGHTS, matching, steps_before, titled
from .measures import MOST_PREDICTED, accuracy_rows
from .models import Model, check_arrays, check_columns, file_of, load_model, model_of, save_model
from .paired import EXACT, Cell, cell, difference, plus_minus
from .parallel import compare, counted, in_processes, watched
from .planning import check_known, in_a_run, plan
from .presets import DATASETS, DISPERSION, NAMED, PRESETS, TOYS
from .problems import data_name, network, problem
from .results import append_history, results_folder, sort_history, versions, write_config
from .runs import Result, attempted, failed, run
from .tables import (
    accuracies,
    aligned,
    by_method,
    invariance_matrix,
    invariance_table,
    judged_table,
    labels,
    markdown,
    spread,
    table,
)

__all__ = [
    "DATASETS",
    "DISPERSION",
    "EXACT",
    "MOST_PREDICTED",
    "NAMED",
    "PENALTY_WEIGHT",
    "PRESETS",
    "TOYS",
    "WEIGHTS",
    "Cell",
    "Config",
    "Model",
    "Result",
    "accuracies",
    "accuracy_rows",
    "aligned",
    "append_history",
    "attempted",
    "by_method",
    "caption",
    "cell",
    "check_arrays",
    "check_columns",
    "check_known",
    "compare",
    "config_of",
    "counted",
    "data_name",
    "difference",
    "each_figure",
    "each_table",
    "failed",
    "file_of",
    "in_a_run",
    "in_processes",
    "invariance_figure",
    "invariance_matrix",
    "invariance_table",
    "judged_table",
    "labels",
    "lacking_classes",
    "landscape_figure",
    "load_model",
    "markdown",
    "matching",
    "model_of",
    "network",
    "new_figure",
    "plan",
    "plus_minus",
    "problem",
    "results_folder",
    "run",
    "said",
    "save_model",
    "series",
    "sort_history",
    "spread",
    "steps_before",
    "table",
    "titled",
    "unseen_classes",
    "versions",
    "watched",
    "write_config",
    "write_figures",
]
