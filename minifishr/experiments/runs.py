"""Small CPU experiments: a plan of runs, and one run.

A run is a pure function of its Config and the data it is given. The streams of random numbers for
data, initial weights and batches are independent, so a method never changes another method's numbers.
"""

import time
from typing import NamedTuple

import numpy as np

from ..algorithms import DEFAULTS, identifying, with_shortened_warm_ups
from ..data import Foreign, Row, check_number, full_batch, minibatches, stream
from ..evaluate import accuracies
from ..gradients import gradient_variance
from ..invariance import invariances
from ..train import Diverged, fit, keep_heap
from .choices import choices
from .config import Config
from .judging import measures, watching
from .matching import MATCHED, PENALTY_WEIGHT, WEIGHT, matched_weight
from .measures import agreement_rows
from .presets import DATASETS, DISPERSION, DOMAINS, PRESETS, TOYS
from .problems import network, problem, trained_on


class Result(NamedTuple):
    """What a run leaves: its configuration, parameters (d,), history, classifier gradient variances of each training
    domain before and after (2,m,d_classifier) or None, seconds of training, and why it failed, if it did. A run that
    failed before it could train has None and [] in their places. `best` (d,) is what validation selects."""

    config: Config
    theta: np.ndarray
    history: list
    variances: np.ndarray
    seconds: float
    failure: str | None
    best: np.ndarray | None = None


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
    preset, algorithms = preset or chosen.presets[0], algorithms or chosen.algorithms
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
    base = {**PRESETS[preset], "preset": preset, "dataset": dataset, "test_domain": test_domain or chosen.test_domain}
    base |= {"steps": steps, "invariances": invariances, **choices(base, **options)}
    units = [name for name in algorithms if matched and name in MATCHED]
    if matched and not units:
        raise ValueError(f"matched has no effect on {', '.join(algorithms)}, only on {', '.join(MATCHED)}")
    changes = [*((name, "penalty_weight", WEIGHT) for name in units), *changes]
    of = {(name, s): hyper_parameters(name, s, base, algorithms, changes) for name in algorithms for s in seeds}
    return [
        Config(**{**base, "hyper_parameters": of[name, s], "matched": name in units}, algorithm=name, seed=s, domains=n)
        for n in sizes(dataset, domains)
        for name in algorithms
        for s in seeds
    ]


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


def run(config, *arguments, **options):
    """The same as `attempted`, where a run for which there was too little memory is a Result with a failure too."""
    start = time.perf_counter()
    try:
        return attempted(config, *arguments, **options)
    except MemoryError as error:
        reason = f"seed {config.seed}: too little memory: {error}".removesuffix(": ")
        return failed(config, reason, time.perf_counter() - start)


def attempted(config, source, factory, progress=iter, checkpoint=None, curves=True):
    """Train one method on one problem, -> Result. A run that diverges or fails otherwise is a Result with a failure.

    Without `curves` the training rows' accuracies are measured at the end only and the variances are None, as sweeps
    have it: that is half of a run of minibatches, and nothing else changes.
    """
    keep_heap()
    start = time.perf_counter()
    try:
        return trained(config, problem(config, source), factory, progress, checkpoint, curves)
    except (ValueError, ArithmeticError) as error:
        if isinstance(error, Foreign):
            raise
        return failed(config, f"seed {config.seed}: {error}", time.perf_counter() - start)


def failed(config, reason, seconds=0.0):
    """The Result of a run that ended before it could train."""
    return Result(config, None, [], None, seconds, reason)


def trained(config, task, factory, progress, checkpoint, curves):
    """The Result of training on a Problem; one that diverges has what was reached before."""
    model, domains = network(config, task), trained_on(config, task)
    theta = model.init(stream(config.seed, "init"), np.float32) * np.float32(config.start)
    before = domain_variances(model, theta, domains) if curves else None
    batches = minibatches(domains, config.batch, config.seed) if config.batch else full_batch(domains)
    chosen = dict(config.hyper_parameters)
    if config.matched:
        chosen["penalty_weight"] = matched_weight(config, factory, model, theta, batches, domains)
    algorithm = factory(model, convention=config.convention, **chosen)
    algorithm = algorithm._replace(settings=algorithm.settings or chosen)
    all_rows = [measures(model, task, curves), *([agreement_rows(model, task)] if config.dataset in TOYS else [])]
    options = {"every": config.every, "progress": progress, "model": model, "checkpoint": checkpoint}
    options["measure"], best = watching(lambda t: [row for rows in all_rows for row in rows(t)])
    start, failure = time.perf_counter(), None
    try:
        fitted = fit(algorithm, theta, batches, config.steps, **options)
    except Diverged as error:
        fitted, failure = error.fit, f"seed {config.seed}: {error}"
    seconds, history = time.perf_counter() - start, list(fitted.history)
    if config.matched:
        history.append(Row(0, "", PENALTY_WEIGHT, chosen["penalty_weight"]))
    if config.invariances and failure is None:
        history += dispersion_rows(model, theta, domains, 0)
        history += dispersion_rows(model, fitted.theta, domains, config.steps)
    if not curves and failure is None:
        found = accuracies(model, fitted.theta, task.train)
        history += [Row(config.steps, name, "accuracy", value) for name, value in found.items()]
    variances = np.stack([before, domain_variances(model, fitted.theta, domains)]) if curves else None
    return Result(config, fitted.theta, history, variances, seconds, failure, best.get("theta"))


def dispersion_rows(model, theta, domains, step):
    """What training domains do not share after `step` updates, as rows "dispersion of ..."."""
    found = invariances(model, theta, domains)
    return [Row(step, "", f"{DISPERSION} {name}", value) for name, value in found.items()]


def domain_variances(model, theta, domains):
    """The classifier's gradient variances of each domain, (m,d_classifier)."""
    with np.errstate(over="ignore", invalid="ignore"):  # after a run that diverged
        return np.stack([gradient_variance(model, theta, domain.x, domain.y) for domain in domains])
