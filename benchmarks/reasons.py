"""`make reasons`: the runs that the oracle chose in a sweep, once more with one thing changed, as sweeps of their own.

FOLDER/NAME has the records of one change; what is recorded there is not run again. The table says, for each change and
method, at the last step and at the best one: the accuracy on the left-out domain and on held-out rows of the training
domains; how one-sided the last predictions are, and which step is the best. The first change is none: it says whether
the record comes out again, and measures what the chosen runs have made equal.
"""

import sys
from operator import attrgetter
from pathlib import Path

from minifishr.data import load_digits
from minifishr.experiments import markdown
from minifishr.sweeps import choices, recorded, searches, sweep
from minifishr.sweeps.selection import EARLY, candidates

METHODS = ("erm", "irm", "vrex", "fishr")
DECAYS, WIDTHS, ROWS = (1e-4, 1e-3, 1e-2), (64, 512), (2_500, 10_000)


def decayed(value):
    """The change of a configuration to a weight decay."""
    return lambda config: config._replace(hyper_parameters=config.hyper_parameters | {"weight_decay": value})


CHANGES = {
    "as chosen": lambda config: config._replace(invariances=True),
    **{f"weight decay {value:g}": decayed(value) for value in DECAYS},
    **{f"width {width}": lambda config, width=width: config._replace(hidden=[width, width]) for width in WIDTHS},
    **{f"{rows} rows a domain": lambda config, rows=rows: config._replace(count=rows) for rows in ROWS},
}


def chosen_configurations(records, domain, seed):
    """What the oracle chose in the searches with one left-out domain and seed; of a matched sweep its matched methods,
    because the others have the runs of a plain one."""
    found, best = searches(records), choices(records, "oracle")
    configs = [found[key][best[key].draw][0].config for key in best if key[2:] == (domain, seed)]
    return [config for config in configs if config.matched == any(c.matched for c in configs)]


def row(name, record):
    """A line of the table."""
    found = candidates(EARLY, 0, record, {})
    last, best = found[-1], max(found, key=attrgetter("score"))
    numbers = last.accuracy, last.share, last.trained, best.accuracy, best.trained
    return [name, record.config.algorithm, *(f"{100 * number:.1f}" for number in numbers), str(best.step)]


def main(place, folder, jobs="2", domain="-90%", seed="0"):
    """Run what is missing, and print the table."""
    configs, digits, rows = chosen_configurations(recorded(place), domain, int(seed)), load_digits("mnist"), []
    for name, change in CHANGES.items():
        wanted = [change(c) for c in configs if name == "as chosen" or c.algorithm in METHODS]
        where = Path(folder, name.replace(" ", "-"))
        for record in sweep(wanted, digits, where, jobs=int(jobs)):
            print(name, record.config.algorithm, record.failure or f"{record.seconds:.0f} s", flush=True)
        # another domain, seed or choice may be there from before
        rows += [row(name, r) for r in recorded(where) if r.config in wanted and not r.failure]
    order = list(METHODS)
    rows.sort(key=lambda r: ([*CHANGES].index(r[0]), order.index(r[1]) if r[1] in order else len(order), r[1]))
    names = ["last step", "one-sided", "in training", "best step", "in training", "which"]
    print(markdown(["change", "method", *names], rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
