"""From a configuration to what is trained: the problem and the network."""

import numpy as np

from ..data import (
    cdsprites,
    colored_mnist,
    colored_mnist_domains,
    leave_out,
    linear_toy,
    recoded,
    rotated_mnist,
)
from ..mlp import MLP
from .presets import DATASETS, TOYS


def problem(config, source):
    """The Problem of a configuration, from Digits or from a list of domains (data set "own"); toys need no source."""
    dataset, test_domain = config.dataset, config.test_domain
    if dataset == "own":
        domains, labels = recoded(source)
        return leave_out("own data", domains, *config.left_out, seed=config.seed)._replace(labels=labels)
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
