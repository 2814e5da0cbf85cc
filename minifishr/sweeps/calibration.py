"""How long a sweep will take, from a few steps of each method on each data set."""

import time

import numpy as np

from ..algorithms import ALGORITHMS
from ..experiments import steps_before
from .running import in_processes, trained


def expected_seconds(todo, source, jobs=1, factories=ALGORITHMS):
    """The seconds that some runs will take one after the other; `jobs` processes measure."""
    groups = {}
    for config in todo:
        groups.setdefault((config.algorithm, config.dataset), []).append(config)
    work = [(calibrated, (average(group), source, factories[k[0]], len(group))) for k, group in groups.items()]
    return sum(in_processes(work, jobs))


def average(group):
    """The first of some configurations with the mean of what makes a run costly: batch size, width of a critic and,
    where a matched weight is measured after it, the warm-up."""
    config, chosen = group[0], dict(group[0].hyper_parameters)
    for name in ("width", "warm_up"):
        if name in chosen:
            chosen[name] = round(np.mean([c.hyper_parameters[name] for c in group]))
    batch = config.batch and round(np.mean([c.batch for c in group]))
    return config._replace(hyper_parameters=chosen, batch=batch)


def calibrated(config, source, factory, number):
    """The expected seconds of as many runs, from eleven steps of one."""
    times, begin = [], time.perf_counter()

    def progress(steps):
        for step in steps:
            times.append(time.perf_counter())
            yield step
        times.append(time.perf_counter())

    short = config._replace(steps=11, every=5)
    trained(short, source, factory, progress)
    whole, gaps = time.perf_counter() - begin, np.diff(times)
    if len(gaps) < 11:  # it failed, and so may the others
        return number * whole
    step = np.median([*gaps[1:5], *gaps[6:10]])
    measure = max(0.0, gaps[5] - step)
    before = (steps_before(config) - steps_before(short)) * config.matched  # as many steps without a measurement
    return number * (whole - gaps.sum() + before * step + config.steps * (step + measure / config.every))
