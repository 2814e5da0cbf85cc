"""What is recorded of each data set of a sweep, in a fixed order."""

from collections import Counter
from typing import NamedTuple

from ..algorithms import ALGORITHMS
from ..experiments import DATASETS, check_known, titled
from .selection import training_names


class Section(NamedTuple):
    """What is recorded of a data set: its name and title, methods, left-out domains, all domains, draws, seeds."""

    dataset: str
    title: str
    records: list
    methods: list
    domains: list
    names: set
    draws: list
    seeds: list

    @property
    def whole(self):
        """Whether each domain is left out: an average over some is no match for one over all."""
        return {*self.domains} == {*self.names}


def sections(records):
    """A Section for each data set, all in a fixed order; ValueError for records of no sweep."""
    for record in records:
        if record.config.draw is None:
            raise ValueError(f"record {record.identity} has no draw, so it is no run of a sweep")
        check_known("dataset", record.config.dataset, DATASETS)
    known = {name: [r for r in records if r.config.dataset == name] for name in DATASETS}
    return [section(name, part) for name, part in known.items() if part]


def section(dataset, records):
    """The Section of a data set."""

    def values(key):
        return sorted({getattr(record.config, key) for record in records})

    methods = values("algorithm")
    methods = [name for name in ALGORITHMS if name in methods] + [name for name in methods if name not in ALGORITHMS]
    order = in_order(records)
    domains = [name for name in order if name in {record.config.test_domain for record in single(records)}]
    configs = [record.config for record in records]
    title = titled(title_of(dataset, configs[0].data), configs)
    return Section(dataset, title, records, methods, domains, order, values("draw"), values("seed"))


def title_of(dataset, data):
    """What a data set is called, with the digits that it was made of."""
    digits = str(data).rpartition(" ")[0]
    titles = {"linear": "Linear toy", "cdsprites": "Colored sprites", "own": "Own data"}
    return titles.get(dataset, f"{dataset.capitalize()} {digits}")


def in_order(records):
    """The names of all domains in the order of the data set: that of the training domains in the runs.

    A name comes after all those that stand before it somewhere.
    """
    orders = [training_names(record) for record in records]
    before = {name: set() for record in records for name in record.config.left_out}
    for order in orders:
        for place, name in enumerate(order):
            before.setdefault(name, set()).update(order[:place])
    return sorted(before, key=lambda name: (len(before[name]), name))


def progress(part):
    """How many runs are done, failed and missing, of those that methods, domains, draws and seeds make up."""
    left = {tuple(record.config.left_out) for record in part.records}
    whole = len(left) * len(part.methods) * len(part.draws) * len(part.seeds)
    failed = [record.config.algorithm for record in part.records if record.failure]
    which = ", ".join(f"{name} {failed.count(name)}" for name in part.methods if name in failed)
    done, missing = len(part.records) - len(failed), whole - len(part.records)
    sizes = {"method": part.methods, "choice": left, "draw": part.draws, "seed": part.seeds}
    factors = [f"{len(values)} {name}{'s' * (len(values) > 1)}" for name, values in sizes.items()]
    factors[1] += " of what is left out"
    counts = f"{done} done, {len(failed)} failed{f' ({which})' * bool(failed)}, {missing} missing"
    return f"{whole} runs ({' x '.join(factors)}): {counts}."


def drawn(part):
    """How many draws are recorded, failed ones too, of each method, left-out domain and seed."""
    return Counter((r.config.algorithm, r.config.test_domain, r.config.seed) for r in single(part.records))


def short(part):
    """(method, left-out domain) -> the fewest draws of a seed, where draws are missing, but not all."""
    few = {}
    for (method, domain, _), number in drawn(part).items():
        few[method, domain] = min(number, few.get((method, domain), number))
    pairs = [(method, domain) for method in part.methods for domain in part.domains]
    return {pair: few[pair] for pair in pairs if few.get(pair, len(part.draws)) < len(part.draws)}


def shared(part):
    """The (left-out domain, seed) in which methods compare: where the one with the fewest draws has most of them; none
    where each lacks a method. Of seeds that have all domains alone, if there are any: a mean weighs domains alike."""
    number = drawn(part)
    least = {(d, s): min(number[m, d, s] for m in part.methods) for d in part.domains for s in part.seeds}
    cells = [key for key, count in least.items() if count and count == max(least.values())]
    whole = [s for s in part.seeds if all((d, s) in cells for d in part.domains)]
    return [(d, s) for d, s in cells if s in whole] if whole else cells


def mean_of(numbers):
    """Over how many seeds a mean is, in words, whose parts have these numbers of them."""
    fewest, most = min(numbers), max(numbers)
    several = f"mean of {fewest} to {most} seeds" if fewest < most else f"mean of {most} seeds"
    return several if most > 1 else "one seed"


def single(records):
    """The records that leave out one domain."""
    return [record for record in records if len(record.config.left_out) == 1]
