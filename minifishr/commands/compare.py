"""`minifishr compare` and `minifishr train`: several methods, or one, on one problem; a table and figures."""

import sys

from joblib import cpu_count

from ..algorithms import ALGORITHMS
from ..data import load_digits, plain
from ..evaluate import SELECTION
from ..experiments import (
    NAMED,
    PRESETS,
    TOYS,
    append_history,
    caption,
    check_known,
    compare,
    data_name,
    each_table,
    failed,
    file_of,
    invariance_table,
    judged_table,
    lacking_classes,
    model_of,
    network,
    plan,
    problem,
    results_folder,
    save_model,
    sort_history,
    table,
    unseen_classes,
    write_config,
    write_figures,
)
from .common import TROUBLE, change, check_counts, note_warm_ups, one_sentence, progress_bar
from .own import (
    add_own_options,
    check_beside_data,
    check_digits,
    check_left_out,
    left_out,
    own_choices,
    own_said,
    own_source,
)


def add(commands):
    """Declare both commands."""
    several = commands.add_parser("compare", help="train several methods on one problem; a table and figures")
    several.add_argument("--algorithms", nargs="+", metavar="NAME", help=f"of {' '.join(ALGORITHMS)}")
    several.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0..N-1 (default 1)")
    several.add_argument("--each-domain", action="store_true", help="leave out each domain of --data in turn")
    one = commands.add_parser("train", help="train one method with one seed")
    one.add_argument("algorithm", metavar="NAME", help=" ".join(ALGORITHMS))
    one.add_argument("--seed", type=int, default=0, metavar="N")
    one.set_defaults(each_domain=False)
    for command in (several, one):
        add_problem_options(command)
        command.set_defaults(run=run_compare)


def add_problem_options(command):
    """What compare and train have in common."""
    command.add_argument("--preset", metavar="NAME", help=" ".join(PRESETS))
    command.add_argument("--dataset", metavar="NAME", help=f"{' '.join(NAMED)} (default colored)")
    command.add_argument("--domains", nargs="+", type=int, metavar="N", help="training domains of cdsprites")
    add_own_options(command)
    names = {"nargs": "+", "action": "extend", "type": plain, "metavar": "NAME"}
    command.add_argument("--test-domain", **names, help="the domain to leave out; several of your own")
    command.add_argument("--count", type=int, metavar="N", help="rows of each training domain")
    command.add_argument("--size", type=int, metavar="N", help="of images: 7, 14 or 28 pixels; of sprites from 8 on")
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
    firsts = {c.test_domain: c for c in configs if c.seed == configs[0].seed}  # whose rows the figures show
    tasks = {name: problem(config, source) for name, config in firsts.items()}
    for config in configs:  # every mistake that can be seen before training is seen here
        model = network(config, tasks[config.test_domain])
        ALGORITHMS[config.algorithm](model, convention=config.convention, **config.hyper_parameters)
    folder = results_folder(args.out, f"{configs[0].dataset}-{configs[0].preset}", args.force)
    note_warm_ups(configs)
    for words in dict.fromkeys(w for task in tasks.values() for w in (*unseen_classes(task), *lacking_classes(task))):
        print(f"minifishr: {words}", file=sys.stderr)
    write_config(folder, configs, tasks[configs[0].test_domain], data=data_name(source), **own_said(args))

    def own_task(config):
        """The problem of a run: rows held out, and so the standardization of own data, are its seed's."""
        return problem(config, source) if config.dataset == "own" else tasks[config.test_domain]

    try:
        results = finished(folder, configs, source, args.jobs, lambda r: keep(folder, r, own_task(r.config), args))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what was finished is in {folder}") from None
    return finish(folder, sorted(results, key=lambda r: configs.index(r.config)), configs, tasks, args.selection)


def keep(folder, result, task, args):
    """Write what a finished run leaves: its history and, unless it failed, its model."""
    append_history(folder, result)
    if result.failure is None:
        model = model_of(result, task, args.selection)
        save_model(folder / file_of(result.config, args.each_domain), model)


def finished(folder, configs, source, jobs, keep):
    """The Result of every run; those that were not told because a process was killed, say, are failed ones."""
    results, steps = [], sum(config.steps for config in configs)
    with progress_bar(total=steps, unit="step", desc=f"0/{len(configs)} runs") as bar:
        try:
            for result in compare(configs, source, jobs=jobs, bar=lambda n: bar.update(n - bar.n)):
                results.append(result)
                keep(result)
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
    check_counts(args, "jobs", *["seeds"] * several)
    check_beside_data(args, "dataset", "digits", "size")
    dataset = "own" if args.data else args.dataset or "colored"
    if not args.data:
        check_known("dataset", dataset, NAMED)
    check_digits(args, [dataset])
    seeds = range(args.seeds) if several else [args.seed]
    options = {name: getattr(args, name) for name in ("steps", "domains", "invariances", "matched", "count", "size")}
    options |= {"changes": [change(text) for text in args.changes], **own_choices(args)}

    def configurations(first=None, *others):
        return plan(args.preset, names, seeds, dataset, first, more_left_out=[*others] or None, **options)

    check_left_out(args)
    planned_first = configurations(*(args.test_domain or []))  # what is wrong with it costs no reading
    source = own_source(args)
    if source:
        return [config for out in left_out(args, source) for config in configurations(*out)], source
    return planned_first, None if dataset in TOYS else load_digits(args.digits or "auto")


def told(results, configs, tasks, selection):
    """The tables of what the runs gave, with their captions and what failed."""
    task, *others = tasks.values()
    failures = [result.failure for result in results if result.failure]
    text = each_table(results, tasks, selection) if others else table(results, task, selection)
    text += f"\n\n{caption(configs, task, selection, others)}\n"
    if len(task.labels) and len(failures) < len(results):
        text += f"\n{judged_table(results, tasks, selection)}\n"
    if configs[0].invariances and len(failures) < len(results):
        text += f"\n{invariance_table(results, 'mean over seeds' + ' and domains left out' * bool(others))}\n"
    return text + "".join(f"\nFailed: {failure}\n" for failure in failures)


def finish(folder, results, configs, tasks, selection):
    """Print what the runs gave, then write and draw it, each on its own; 1 if a run or one of these failed."""
    text = told(results, configs, tasks, selection)
    problems = [result.failure for result in results if result.failure]
    for what, work in {
        "the table": lambda: print(f"\n{text}\nTable, history, configuration and figures: {folder}", flush=True),
        "table.md": lambda: (folder / "table.md").write_text(text, encoding="utf-8"),
        "history.jsonl": lambda: sort_history(folder, results),
    }.items():
        try:
            work()
        except OSError as error:
            problems.append(f"{what} cannot be written: {error.strerror}")
    problems += write_figures(folder, results, tasks, selection)
    for problem_met in problems:
        print(f"minifishr: {problem_met}", file=sys.stderr)
    return 1 if problems else 0
