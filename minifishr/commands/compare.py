"""`minifishr compare` and `minifishr train`: several methods, or one, on one problem; a table and figures."""

import contextlib
import json
import sys

import numpy as np
from joblib import cpu_count

from ..algorithms import ALGORITHMS
from ..data import load_digits, load_npz
from ..evaluate import SELECTION
from ..experiments import (
    NAMED,
    PRESETS,
    TOYS,
    append_history,
    caption,
    check_known,
    compare,
    failed,
    invariance_table,
    network,
    plan,
    problem,
    results_folder,
    sort_history,
    table,
    unseen_classes,
    write_config,
    write_figures,
)
from .common import TROUBLE, note_warm_ups, one_sentence, progress_bar


def add(commands):
    """Declare both commands."""
    several = commands.add_parser("compare", help="train several methods on one problem; a table and figures")
    several.add_argument("--algorithms", nargs="+", metavar="NAME", help=f"of {' '.join(ALGORITHMS)}")
    several.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0..N-1 (default 1)")
    one = commands.add_parser("train", help="train one method with one seed")
    one.add_argument("algorithm", metavar="NAME", help=" ".join(ALGORITHMS))
    one.add_argument("--seed", type=int, default=0, metavar="N")
    for command in (several, one):
        add_problem_options(command)
        command.set_defaults(run=run_compare)


def add_problem_options(command):
    """What compare and train have in common."""
    command.add_argument("--preset", metavar="NAME", help=" ".join(PRESETS))
    command.add_argument("--dataset", metavar="NAME", help=f"{' '.join(NAMED)} (default colored)")
    command.add_argument("--domains", nargs="+", type=int, metavar="N", help="training domains of cdsprites")
    command.add_argument("--data", metavar="FILE.npz", help="your own domains: arrays x_NAME (n, ...), y_NAME (n,)")
    command.add_argument("--test-domain", metavar="NAME", help="the domain to leave out")
    command.add_argument(
        "--digits", metavar="auto|mnist|rendered", help="default auto: rendered if MNIST is not to be had"
    )
    command.add_argument("--set", nargs="+", action="extend", default=[], metavar="[METHOD.]NAME=VALUE", dest="changes")
    command.add_argument("--steps", type=int, metavar="N", help="instead of the preset's")
    command.add_argument("--invariances", action="store_true", help="also measure what each method has made equal")
    units = "penalty weights are in units of risk / penalty where the warm-up ends (default 10)"
    command.add_argument("--matched", action="store_true", help=units)
    command.add_argument("--selection", default="last", choices=list(SELECTION), help="the step that the table shows")
    command.add_argument("--jobs", type=int, default=cpu_count(), metavar="N", help="processes (default all)")
    command.add_argument("--out", metavar="FOLDER", help="default: the next free one under results/")
    command.add_argument("--force", action="store_true", help="replace the results in FOLDER")


def run_compare(args):
    """Train, keep what runs leave as they finish, print the table, then write it and draw."""
    configs, source = planned(args)
    task = problem(configs[0], source)
    model = network(configs[0], task)
    for config in configs:  # every mistake that can be seen before training is seen here
        ALGORITHMS[config.algorithm](model, convention=config.convention, **config.hyper_parameters)
    folder = results_folder(args.out, f"{configs[0].dataset}-{configs[0].preset}", args.force)
    note_warm_ups(configs)
    for words in unseen_classes(task):
        print(f"minifishr: {words}", file=sys.stderr)
    write_config(folder, configs, task)
    try:
        results = finished(folder, configs, source, args.jobs)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what was finished is in {folder}") from None
    return finish(folder, sorted(results, key=lambda r: configs.index(r.config)), configs, task, args.selection)


def finished(folder, configs, source, jobs):
    """The Result of every run; those that were not told because a process was killed, say, are failed ones."""
    results, steps = [], sum(config.steps for config in configs)
    with progress_bar(total=steps, unit="step", desc=f"0/{len(configs)} runs") as bar:
        try:
            for result in compare(configs, source, jobs=jobs, bar=lambda n: bar.update(n - bar.n)):
                results.append(result)
                append_history(folder, result)
                bar.set_description(f"{len(results)}/{len(configs)} runs", refresh=sys.stderr.isatty())
        except TROUBLE as error:
            reason = one_sentence(error)
            done = [result.config for result in results]
            left = [config for config in configs if config not in done]
            results += [failed(config, f"seed {config.seed}: {config.algorithm}: {reason}") for config in left]
    return results


def planned(args):
    """The configurations and the data that the command line asks for."""
    several = args.command == "compare"
    names = list(dict.fromkeys(args.algorithms or [])) if several else [args.algorithm]
    for name in names:
        check_known("method", name, list(ALGORITHMS))
    if args.jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {args.jobs}")
    if args.data and not args.test_domain:
        raise ValueError(f"--data {args.data} needs --test-domain NAME, the domain to leave out")
    for option in ("dataset", "digits") if args.data else ():
        if getattr(args, option) is not None:
            raise ValueError(f"--{option} {getattr(args, option)} has no effect beside --data {args.data}")
    dataset = "own" if args.data else args.dataset or "colored"
    if not args.data:
        check_known("dataset", dataset, NAMED)
    if dataset in TOYS and args.digits is not None:
        raise ValueError(f"--digits {args.digits} has no effect on data set {dataset!r}, which is drawn without digits")
    seeds = range(args.seeds) if several else [args.seed]
    changes = [change(text) for text in args.changes]
    options = {"test_domain": args.test_domain, "changes": changes, "steps": args.steps, "domains": args.domains}
    configs = plan(args.preset, names, seeds, dataset, invariances=args.invariances, matched=args.matched, **options)
    if dataset in TOYS:
        return configs, None
    return configs, load_npz(args.data, np.float32) if args.data else load_digits(args.digits or "auto")


def change(text):
    """'[METHOD.]NAME=VALUE' as (method or None, name, value); a value is JSON, or a word."""
    key, _, value = text.partition("=")
    method, _, name = key.rpartition(".")
    if not name or not value:
        raise ValueError(f"--set {text}: expected [METHOD.]NAME=VALUE")
    with contextlib.suppress(json.JSONDecodeError):
        value = json.loads(value)
    return method or None, name, value


def finish(folder, results, configs, task, selection):
    """Print what the runs gave, then write and draw it, each on its own; 1 if a run or one of these failed."""
    text = f"{table(results, task, selection)}\n\n{caption(configs, task, selection)}\n"
    failures = [result.failure for result in results if result.failure]
    if configs[0].invariances and len(failures) < len(results):
        text += f"\n{invariance_table(results)}\n"
    text += "".join(f"\nFailed: {failure}\n" for failure in failures)
    problems = [*failures]
    for what, work in {
        "the table": lambda: print(f"\n{text}\nTable, history, configuration and figures: {folder}", flush=True),
        "table.md": lambda: (folder / "table.md").write_text(text, encoding="utf-8"),
        "history.jsonl": lambda: sort_history(folder, results),
    }.items():
        try:
            work()
        except OSError as error:
            problems.append(f"{what} cannot be written: {error.strerror}")
    problems += write_figures(folder, results, task)
    for problem_met in problems:
        print(f"minifishr: {problem_met}", file=sys.stderr)
    return 1 if problems else 0
