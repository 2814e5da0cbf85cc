"""How long a sweep will take, from a few steps of each method on each data set."""

import time

import numpy as np

from ..algorithms import ALGORITHMS
from .running import in_processes, trained


def expected_seconds(todo, source, jobs=1, factories=ALGORITHMS):
    """The seconds that some runs will take one after the other; `jobs` processes measure."""
    groups = {}
    for config in todo:
        groups.setdefault((config.algorithm, config.dataset), []).append(config)
    work = [(calibrated, (average(group), source, factories[k[0]], len(group))) for k, group in groups.items()]
    return sum(in_processes(work, jobs))


def average(group):
    """The first of some configurations with the mean of what makes a step costly: batch size and width of a critic."""
    config, chosen = group[0], dict(group[0].hyper_parameters)
    if "width" in chosen:
        chosen["width"] = round(np.mean([c.hyper_parameters["width"] for c in group]))
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

    trained(config._replace(steps=11, every=5), source, factory, progress)
    whole, gaps = time.perf_counter() - begin, np.diff(times)
    if len(gaps) < 11:  # it failed, and so may the others
        return number * whole
    step = np.median([*gaps[1:5], *gaps[6:10]])
    measure = max(0.0, gaps[5] - step)
    return number * (whole - gaps.sum() + config.steps * (step + measure / config.every))
