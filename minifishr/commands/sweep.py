"""`minifishr sweep`: methods x data sets x left-out domains x draws of hyper-parameters x seeds, each recorded."""

import sys
from itertools import accumulate
from pathlib import Path

from joblib import cpu_count

from ..algorithms import ALGORITHMS, CORE
from ..data import load_digits, plain
from ..experiments import NAMED, PRESETS, TOYS, check_known
from ..sweeps import beside, expected_seconds, grid, packed, records, sweep, unpack
from .common import check_counts, note_warm_ups, progress_bar
from .own import add_own_options, check_beside_data, check_digits, own_choices, own_source


def add(commands):
    """Declare the command."""
    command = commands.add_parser("sweep", help="train many configurations; stopped and started at any time")
    several = {"nargs": "+", "metavar": "NAME"}
    command.add_argument("--algorithms", **several, help=f"of {' '.join(ALGORITHMS)} (default {' '.join(CORE)})")
    command.add_argument("--datasets", **several, help=f"of {' '.join(NAMED)} (default colored)")
    add_own_options(command)
    names = "leave out these (default each domain of each data set); --test-domains=-90%% where a name begins with -"
    command.add_argument("--test-domains", **several, action="extend", type=plain, help=names)
    pairs = "also leave out each pair of domains, for leave-one-domain-out selection"
    command.add_argument("--leave-two-out", action="store_true", help=pairs)
    command.add_argument("--invariances", action="store_true", help="also measure what each run has made equal")
    command.add_argument("--matched", action="store_true", help="draw penalty weights in units of risk / penalty")
    command.add_argument("--draws", type=int, default=1, metavar="N", help="the defaults and N-1 random draws")
    command.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0..N-1 of every draw (default 1)")
    command.add_argument("--preset", default="domainbed", metavar="NAME", help=" ".join(PRESETS))
    for key in ("steps", "size", "count"):
        command.add_argument(f"--{key}", type=int, metavar="N", help="instead of the preset's")
    command.add_argument("--digits", metavar="auto|mnist|rendered", help="default auto")
    command.add_argument("--jobs", type=int, default=cpu_count(), metavar="N", help="processes (default all)")
    command.add_argument("--cluster", metavar="ADDRESS", help="of a Dask scheduler, tcp://host:port, instead of --jobs")
    command.add_argument(
        "--out", default="results/sweep", metavar="FOLDER", help="or a file of records (default results/sweep)"
    )
    command.add_argument("--dry-run", action="store_true", help="say how many runs and how long, write nothing")
    command.set_defaults(run=run_sweep)


def run_sweep(args):
    """Train what is not recorded yet, and say what there is at the end."""
    configs, source = planned(args)
    grid.check(configs, source)
    note_pairs(args, configs)
    kept = packed(args.out) if Path(args.out).is_file() else []
    grid.check_same_sweep(args.out, [record.config for record in kept], configs)
    args.out = beside(args.out)
    todo = records.unfinished(args.out, configs, kept)
    if args.dry_run:
        return dry_run(args, configs, todo, source)
    unpack(kept, args.out, configs)
    where, done = {"jobs": args.jobs, "cluster": args.cluster}, len(configs) - len(todo)
    results = sweep(configs, source, args.out, bar=lambda n: bar.update(n - bar.n), **where)
    note_warm_ups(configs)
    options = {"unit": "step", "desc": f"{done}/{len(configs)} runs", "disable": not todo}
    with progress_bar(total=sum(c.steps for c in todo), **options) as bar:
        try:
            for number, failed in enumerate(accumulate(int(bool(record.failure)) for record in results), done + 1):
                running = "" if args.cluster else f", {min(args.jobs, len(configs) - number)} running"
                bar.set_description(f"{number}/{len(configs)} runs, {failed} failed{running}")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the same command goes on, with what is in {args.out}") from None
    return finish(args.out, configs)


def planned(args):
    """The configurations and the data that the command line asks for."""
    check_beside_data(args, "datasets", "digits", "size")
    datasets = ["own"] if args.data else args.datasets or ["colored"]
    for name in datasets if not args.data else []:
        check_known("dataset", name, NAMED)
    for name in args.algorithms or []:
        check_known("method", name, ALGORITHMS)
    check_known("preset", args.preset, PRESETS)
    check_counts(args, "jobs", "draws", "seeds")
    source = own_source(args)
    check_digits(args, datasets)
    if source is None and not {*datasets} <= {*TOYS}:
        source = load_digits(args.digits or "auto")
    names = ("algorithms", "test_domains", "leave_two_out", "draws", "seeds", "preset")
    names += ("invariances", "matched", "steps", "size", "count")
    options = {name: getattr(args, name) for name in names}
    return grid.grid(source, datasets=datasets, **options, **own_choices(args)), source


def dry_run(args, configs, todo, source):
    """Say how many runs there are and about how long those that remain will take."""
    seconds = expected_seconds(todo, source, args.jobs)
    where = "on the cluster, divided by its workers" if args.cluster else f"with --jobs {args.jobs}"
    about = duration(seconds if args.cluster else seconds / max(1, min(args.jobs, len(todo))))
    recorded = len(configs) - len(todo)
    print(f"{len(configs)} runs, {recorded} of them recorded in {args.out}; the rest takes about {about} {where}")
    return 0


def duration(seconds):
    """Seconds as text, in the unit that fits."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def note_pairs(args, configs):
    """Say which data sets have no run with two domains left out though they are asked for."""
    without = {c.dataset for c in configs} - {c.dataset for c in configs if c.also_left_out}
    for name in sorted(without) if args.leave_two_out else []:
        reason = "it has fewer than 4 domains to leave out, so that less than 2 would remain to train on"
        print(f"minifishr: --leave-two-out adds no run of data set {name!r}: {reason}", file=sys.stderr)


def finish(folder, configs):
    """Print how the runs of the sweep ended; 1 if one of them failed or was not run for want of memory."""
    found, _ = records.scanned(folder)
    ended = [found[name] for name in map(records.identity, configs) if name in found]
    failed = [record for record in ended if record.failure]
    for record in failed:
        config = record.config
        left_out = " and ".join(config.left_out)
        print(f"minifishr: {config.dataset} {left_out} draw {config.draw} {record.failure}", file=sys.stderr)
    where = records.runs_folder(folder)
    print(f"{len(configs)} runs: {len(ended) - len(failed)} done, {len(failed)} failed; records in {where}")
    return 1 if failed or len(ended) < len(configs) else 0
