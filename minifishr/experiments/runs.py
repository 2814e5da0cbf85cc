"""Small CPU experiments: presets, a plan of runs, and one run.

A run is a pure function of its Config and the data it is given. The streams of random numbers for
data, initial weights and batches are independent, so a method never changes another method's numbers.
"""

import time
from typing import NamedTuple

import numpy as np

from ..algorithms import DEFAULTS, shortened
from ..data import (
    cdsprites,
    check_number,
    colored_mnist,
    colored_mnist_domains,
    full_batch,
    leave_out,
    linear_toy,
    minibatches,
    rotated_mnist,
    stream,
)
from ..gradients import gradient_variance
from ..invariance import invariances
from ..mlp import MLP
from ..train import Diverged, Row, accuracy_rows, agreement_rows, fit, keep_heap
from .config import Config
from .presets import DATASETS, DISPERSION, DOMAINS, PRESETS, TOYS


class Result(NamedTuple):
    """What a run leaves: its configuration, parameters (d,), history, classifier gradient variances of each training
    domain before and after (2,m,d_classifier), seconds of training, and why it failed, if it did."""

    config: Config
    theta: np.ndarray
    history: list
    variances: np.ndarray
    seconds: float
    failure: str | None


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
):
    """One configuration a method, seed and, for cdsprites, number of training domains.

    Preset, methods and test domain are the data set's unless said. `changes` are (method, name, value); no method
    means all that have the name. With `invariances` a run also measures what it has made equal. ValueError for an
    unknown preset, data set, method or hyper-parameter, or no seeds.
    """
    check_known("dataset", dataset, DATASETS)
    chosen = DATASETS[dataset]
    preset, algorithms = preset or chosen.presets[0], algorithms or chosen.algorithms
    check_known("preset", preset, PRESETS)
    if preset not in chosen.presets:
        raise ValueError(f"preset {preset!r} does not fit data set {dataset!r}, expected {' or '.join(chosen.presets)}")
    if len(seeds) < 1 or min(seeds) < 0:
        raise ValueError(f"there must be at least one seed and none below 0, got {list(seeds)}")
    steps = PRESETS[preset]["steps"] if steps is None else steps
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    base = {**PRESETS[preset], "preset": preset, "dataset": dataset, "test_domain": test_domain or chosen.test_domain}
    base |= {"steps": steps, "invariances": invariances}
    of = {name: hyper_parameters(name, base, algorithms, changes) for name in algorithms}
    return [
        Config(**{**base, "hyper_parameters": of[name]}, algorithm=name, seed=s, domains=n)
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


def hyper_parameters(name, base, algorithms, changes):
    """A method's hyper-parameters: the convention's (DomainBed's warm-ups shortened with the run), then the preset's,
    then the changes."""
    known = {other: DEFAULTS[other][base["convention"]] for other in algorithms if other in DEFAULTS}
    chosen = dict(known.get(name, {}))
    if base["convention"] == "domainbed" and "warm_up" in chosen:
        chosen["warm_up"] = shortened(chosen["warm_up"], base["steps"])
    chosen |= base["hyper_parameters"].get(name, {})
    for target, key, value in changes:
        check_known("method", target, [None, *algorithms])
        if target is None and known and not any(key in names for names in known.values()):
            raise ValueError(f"hyper-parameter {key!r} belongs to none of {', '.join(algorithms)}")
        if target == name or (target is None and key in known.get(name, {key: None})):
            chosen[key] = value
    return chosen


def check_known(what, name, names):
    """ValueError that lists what there is."""
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}, expected one of {', '.join(str(n) for n in names if n)}")


def problem(config, source):
    """The Problem of a configuration, from Digits or from a list of domains (data set "own"); toys need no source."""
    dataset, test_domain = config.dataset, config.test_domain
    if dataset == "own":
        return leave_out("own data", source, *config.left_out, seed=config.seed)
    fixed = dataset in TOYS or (dataset == "colored" and config.convention == "paper")
    if fixed and test_domain != DATASETS[dataset].test_domain:
        raise ValueError(f"preset {config.preset} tests on {DATASETS[dataset].test_domain!r}, got {test_domain!r}")
    if dataset == "linear":
        return linear_toy(config.count, np.float32)
    shared = {"count": config.count, "size": config.size, "seed": config.seed, "dtype": np.float32}
    if dataset == "cdsprites":
        return cdsprites(config.domains, **shared)
    if fixed:
        return colored_mnist(source, **shared)
    return left_out_digits(config, source, shared)


def left_out_digits(config, source, shared):
    """Colored or Rotated MNIST, any of its domains left out."""
    kind, make, channels = {
        "rotated": ("Rotated", rotated_mnist, 1),
        "colored": ("Colored", colored_mnist_domains, 2),
    }[config.dataset]
    shape = (channels, config.size, config.size)
    domains = make(source, **shared)
    return leave_out(f"{kind} {source.name}", domains, *config.left_out, seed=config.seed, shape=shape)


def network(config, task):
    """The MLP of a configuration: one logit for two labels in the paper convention, else one for each label."""
    outputs = 1 if task.classes <= 2 and config.convention == "paper" else max(task.classes, 2)
    return MLP((task.train[0].x.shape[1], *config.hidden, outputs))


def run(config, source, factory, progress=iter, checkpoint=None):
    """Train one method on one problem, -> Result. A run that diverges is a Result with a failure."""
    keep_heap()
    task = problem(config, source)
    model = network(config, task)
    algorithm = factory(model, convention=config.convention, **config.hyper_parameters)
    theta = model.init(stream(config.seed, "init"), np.float32) * np.float32(config.start)
    before = domain_variances(model, theta, task.train)
    batches = minibatches(task.train, config.batch, config.seed) if config.batch else full_batch(task.train)
    measures = [accuracy_rows(model, task), *([agreement_rows(model, task)] if config.dataset in TOYS else [])]
    start, failure = time.perf_counter(), None
    try:
        options = {
            "measure": lambda t: [row for rows in measures for row in rows(t)],
            "every": config.every,
            "progress": progress,
            "model": model,
            "checkpoint": checkpoint,
        }
        fitted = fit(algorithm, theta, batches, config.steps, **options)
    except Diverged as error:
        fitted, failure = error.fit, f"seed {config.seed}: {error}"
    seconds, history = time.perf_counter() - start, fitted.history
    if config.invariances and failure is None:
        ends = (0, theta), (config.steps, fitted.theta)
        history = [*history, *(row for step, end in ends for row in dispersion_rows(model, end, task, step))]
    after = domain_variances(model, fitted.theta, task.train)
    return Result(config, fitted.theta, history, np.stack([before, after]), seconds, failure)


def dispersion_rows(model, theta, task, step):
    """What training domains do not share after `step` updates, as rows "dispersion of ..."."""
    found = invariances(model, theta, task.train)
    return [Row(step, "", f"{DISPERSION} {name}", value) for name, value in found.items()]


def domain_variances(model, theta, domains):
    """The classifier's gradient variances of each domain, (m,d_classifier)."""
    with np.errstate(over="ignore", invalid="ignore"):  # after a run that diverged
        return np.stack([gradient_variance(model, theta, domain.x, domain.y) for domain in domains])
