"""A plan of runs: a configuration for each method and seed, with what a person has changed."""

from collections import Counter

from ..algorithms import DEFAULTS, identifying, with_shortened_warm_ups
from ..data import check_number
from .choices import choices
from .config import Config
from .matching import MATCHED, WEIGHT
from .presets import DATASETS, DOMAINS, PRESETS


def plan(
    preset=None,
    algorithms=None,
    seeds=(0,),
    dataset="colored",
    test_domain=None,
    changes=(),
    steps=None,
    domains=None,
    invariances=False,
    matched=False,
    **options,
):
    """One configuration a method, seed and, for cdsprites, number of training domains.

    Preset, methods and test domain are the data set's unless said. `changes` are (method, name, value); no method
    means all that have the name. With `invariances` a run also measures what it has made equal. With `matched` the
    penalty weights are in units of the penalty's size, of all methods that can be matched. `options` are those of
    `choices`. ValueError for an unknown preset, data set, method or hyper-parameter, or no seeds.
    """
    check_known("dataset", dataset, DATASETS)
    chosen = DATASETS[dataset]
    preset, algorithms = chosen.presets[0] if preset is None else preset, algorithms or chosen.algorithms
    test_domain = chosen.test_domain if test_domain is None else test_domain
    check_known("preset", preset, PRESETS)
    if preset not in chosen.presets:
        raise ValueError(f"preset {preset!r} does not fit data set {dataset!r}, expected {' or '.join(chosen.presets)}")
    if isinstance(algorithms, str):
        raise ValueError(f"plan: algorithms={algorithms!r} is one word, expected a list of methods")
    if len(seeds) < 1 or min(seeds) < 0:
        raise ValueError(f"there must be at least one seed and none below 0, got {list(seeds)}")
    steps = PRESETS[preset]["steps"] if steps is None else steps
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    base = {**PRESETS[preset], "preset": preset, "dataset": dataset, "test_domain": test_domain}
    base |= {"steps": steps, "invariances": invariances, **choices(base, **options)}
    units = [name for name in algorithms if matched and name in MATCHED]
    if matched and not units:
        raise ValueError(f"matched has no effect on {', '.join(algorithms)}, only on {', '.join(MATCHED)}")
    check_changes(changes)
    special = sorted(changes, key=lambda change: change[0] is not None)  # what is said of one method wins
    changes = [*((name, "penalty_weight", WEIGHT) for name in units), *special]
    of = {(name, s): hyper_parameters(name, s, base, algorithms, changes) for name in algorithms for s in seeds}
    return [
        Config(**{**base, "hyper_parameters": of[name, s], "matched": name in units}, algorithm=name, seed=s, domains=n)
        for n in sizes(dataset, domains)
        for name in algorithms
        for s in seeds
    ]


def check_changes(changes):
    """ValueError for a hyper-parameter that is changed twice, of a method or of all."""
    for (method, name), count in Counter((method, name) for method, name, _ in changes).items():
        if count > 1:
            raise ValueError(f"hyper-parameter {f'{method}.' * bool(method)}{name} is set {count} times")


def sizes(dataset, domains):
    """The numbers of training domains to run, [None] where the data set decides."""
    if dataset == "cdsprites":
        for n in domains or []:
            check_number(n)
        return [*dict.fromkeys(domains or [DOMAINS])]
    if domains:
        raise ValueError(f"data set {dataset!r} has its own number of domains, got domains={list(domains)}")
    return [None]


def hyper_parameters(name, seed, base, algorithms, changes):
    """A method's hyper-parameters: the convention's `in_a_run`, then the preset's, then the changes. A switch that is
    younger than the first records is among them only where it is changed."""
    known = {other: DEFAULTS[other][base["convention"]] for other in algorithms if other in DEFAULTS}
    chosen = in_a_run(known.get(name, {}), base["convention"], base["steps"], seed)
    chosen |= base["hyper_parameters"].get(name, {})
    for target, key, value in changes:
        check_known("method", target, [None, *algorithms])
        if target is None and known and not any(key in names for names in known.values()):
            raise ValueError(f"hyper-parameter {key!r} belongs to none of {', '.join(algorithms)}")
        if target == name or (target is None and key in known.get(name, {key: None})):
            chosen[key] = value
    return identifying(name, known.get(name, {}), chosen)


def in_a_run(defaults, convention, steps, seed):
    """A convention's hyper-parameters in one run: warm-ups of DomainBed shortened with it, and its seed."""
    chosen = {key: seed if key == "seed" else value for key, value in defaults.items()}
    return with_shortened_warm_ups(chosen, steps) if convention == "domainbed" else chosen


def check_known(what, name, names):
    """ValueError that lists what there is."""
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}, expected one of {', '.join(str(n) for n in names if n)}")
