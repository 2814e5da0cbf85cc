"""Small CPU experiments: one run.

A run is a pure function of its Config and the data it is given. The streams of random numbers for
data, initial weights and batches are independent, so a method never changes another method's numbers.
"""

import time
from typing import NamedTuple

import numpy as np

from ..data import Foreign, Row, full_batch, minibatches, stream
from ..evaluate import accuracies
from ..gradients import gradient_variance
from ..invariance import invariances
from ..train import Diverged, fit, keep_heap
from .config import Config
from .judging import measures, watching
from .matching import PENALTY_WEIGHT, matched_weight
from .measures import agreement_rows
from .presets import DISPERSION, TOYS
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
