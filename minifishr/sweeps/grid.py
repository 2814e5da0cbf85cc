"""The runs of a sweep: methods x data sets x left-out domains x draws of hyper-parameters x seeds.

Draw 0 is the convention's and the preset's defaults. The others are drawn from the ranges that the methods' files give,
and the batch size from DomainBed's, the same for all methods. Each number has a stream of its own, named after method,
hyper-parameter and draw: adding a method, data set, draw or seed changes no other run, and every seed trains the same
draws. Warm-ups are published for runs of 5 000 steps; shorter runs have proportionally shorter ones.
"""

from itertools import combinations

from ..algorithms import ALGORITHMS, BATCH_RANGE, RANGES, with_shortened_warm_ups
from ..data import as_own, colored_mnist_domains, rotated_mnist, stream
from ..experiments import DATASETS, TOYS, WEIGHTS, Config, check_known, data_name, network, plan, problem

# What tells the runs of one sweep apart, and what follows from that.
CELL = ("algorithm", "dataset", "test_domain", "also_left_out", "domains", "draw", "seed")
DRAWN = ("hyper_parameters", "batch", "matched")


def grid(
    source, algorithms=None, datasets=("colored",), test_domains=None, draws=1, seeds=1, preset="domainbed", *,
    leave_two_out=False, invariances=False, matched=False, **changes,
):  # fmt: skip
    """The configurations of a sweep over seeds 0..seeds-1 and draws 0..draws-1.

    `source` is Digits, Own, a list of domains ("own") or None (toys); each data set leaves out each of its domains
    in turn, or those of `test_domains` that it has, and with `leave_two_out` also each pair with one of these (never
    where fewer than two domains would remain, as in Colored MNIST, which has three). With `invariances` each run also
    measures what it has made equal. With `matched` penalty weights are drawn in units of the penalty's own size, from
    one range and the same for all methods that can be matched; other methods have the runs that they have without.
    `changes` are what else `plan` takes: what replaces the preset's steps, size, count and so on.
    ValueError for what is unknown or empty.
    """
    check_grid(algorithms, datasets, draws, seeds)
    algorithms, data, configs, known = list(dict.fromkeys(algorithms or [])), data_name(source), [], set()
    for dataset in dict.fromkeys(datasets):
        options = {"invariances": invariances, "matched": matched, **changes}
        planned = plan(preset, algorithms, range(seeds), dataset, **options)
        names = domain_names(planned[0], source)
        chosen = [name for name in names if test_domains is None or name in test_domains]
        if not chosen:
            wanted = ", ".join(test_domains)
            raise ValueError(f"data set {dataset!r} has no domain {wanted} to leave out, only {', '.join(names)}")
        known |= set(names)
        of = None if dataset in TOYS else data
        drawn_runs = [drawn(config._replace(data=of), number) for number in range(draws) for config in planned]
        left_out = domains_left_out(names, chosen, leave_two_out)
        configs += [config._replace(**out) for out in left_out for config in drawn_runs]
    for name in test_domains or []:
        check_known("test domain", name, sorted(known))
    return configs


def domains_left_out(names, chosen, two):
    """What configurations say about the domains that they leave out: each that is chosen, then, with `two`, each pair
    of names with a chosen one in the order of names, where four or more domains leave two to train on."""
    pairs = combinations(names, 2) if two and len(names) >= 4 else []
    both = [dict(zip(("test_domain", "also_left_out"), pair, strict=True)) for pair in pairs if {*pair} & {*chosen}]
    return [{"test_domain": name} for name in chosen] + both


def check_grid(algorithms, datasets, draws, seeds):
    """ValueError unless there is something to run, and methods are known."""
    for what, number in (("draws", draws), ("seeds", seeds)):
        if number < 1:
            raise ValueError(f"{what} must be at least 1, got {number}")
    if not datasets:
        raise ValueError("a sweep needs at least one data set, got none")
    for name in algorithms or []:
        check_known("method", name, RANGES)


def domain_names(config, source):
    """The domains of a data set that can be left out."""
    dataset, make = config.dataset, {"colored": colored_mnist_domains, "rotated": rotated_mnist}
    if dataset == "own":
        return [domain.name for domain in as_own(source).domains]
    if dataset in TOYS or (dataset == "colored" and config.convention == "paper"):
        return [DATASETS[dataset].test_domain]
    return [domain.name for domain in make[dataset](source, count=1)]


def drawn(config, draw):
    """A configuration with the hyper-parameters and the batch size of a draw.

    ValueError for random draws in the paper convention, where DomainBed's ranges would mean something else.
    """
    if draw == 0:
        return config._replace(draw=0)
    if config.convention != "domainbed":
        raise ValueError(f"the ranges of draw {draw} are DomainBed's; preset {config.preset!r} only has draw 0")
    name = config.algorithm
    found = {key: values(stream(0, f"draw {name} {key}", draw)) for key, values in RANGES[name].items()}
    chosen = config.hyper_parameters | with_shortened_warm_ups(found, config.steps)
    if config.matched:
        chosen["penalty_weight"] = WEIGHTS(stream(0, "draw matched weight", draw))
    batch = BATCH_RANGE(stream(0, "draw batch", draw)) if config.batch else None
    return config._replace(draw=draw, hyper_parameters=chosen, batch=batch)


def check(configs, source, factories=ALGORITHMS):
    """ValueError for every mistake that can be seen before training."""
    models = {}
    for config in configs:
        name = config.dataset
        models[name] = models.get(name) or network(config, problem(config, source))
        factories[config.algorithm](models[name], convention=config.convention, **config.hyper_parameters)


def check_same_sweep(folder, found, configs):
    """ValueError unless records and configurations agree in all but CELL and DRAWN, methods in whether their weights
    are matched, and those that are the same cell in everything."""
    if not found or not configs:
        return
    cells, units = {cell(config): config for config in found}, {config.algorithm: config for config in found}
    pairs = [(config, configs[0], {*Config._fields} - {*CELL, *DRAWN}) for config in found]
    pairs += [(units[c.algorithm], c, {"matched"}) for c in configs if c.algorithm in units]
    pairs += [(cells[cell(c)], c, Config._fields) for c in configs if cell(c) in cells]
    for theirs, mine, keys in pairs:
        for key in sorted(keys):
            a, b = getattr(theirs, key), getattr(mine, key)
            if a != b:
                raise ValueError(f"{folder} holds a sweep with {key}={a!r}, not {b!r}; choose another folder")


def cell(config):
    """What tells a run from the others of its sweep, as a tuple."""
    return tuple(getattr(config, key) for key in CELL)
