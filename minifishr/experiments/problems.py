"""From a configuration to what is trained: the problem and the network."""

import numpy as np

from ..data import (
    as_own,
    balanced,
    cdsprites,
    colored_mnist,
    colored_mnist_domains,
    digest,
    leave_out,
    linear_toy,
    recoded,
    rotated_mnist,
    standardization,
    stream,
    take,
    unscaled,
)
from ..mlp import MLP
from .presets import DATASETS, TOYS


def problem(config, source):
    """The Problem of a configuration, from Digits, or from Own or a list of domains (data set "own"); toys need no
    source."""
    dataset, test_domain = config.dataset, config.test_domain
    if dataset == "own":
        return own_problem(config, as_own(source))
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
    options = {"share": config.held_out, "seed": config.seed, "shape": shape}
    return leave_out(f"{kind} {source.name}", domains, *config.left_out, **options)


def own_problem(config, own):
    """Own data, any of their domains left out; ValueError for numbers that float32 does not have."""
    domains, found = recoded(own.domains)
    options = {"share": config.held_out, "seed": config.seed, "shape": own.shape}
    task = leave_out("own data", domains, *config.left_out, **options)
    train = task.train
    if config.count is not None:
        train = [take(d, slice(config.count)) for d in train]  # held_out has put them in random order
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        scaling = unscaled(train[0].x.shape[1])
        if config.standardized:
            scaling = standardization(train, own.shape[0] if own.shape else None, own.columns)
        parts = {"train": train, "validation": task.validation, "test": task.test, "oracle": task.oracle}
        parts = {key: [d._replace(x=scaling.applied(d.x)) for d in part] for key, part in parts.items()}
    for domain in (domain for part in parts.values() for domain in part):
        if not np.isfinite(domain.x).all():
            raise ValueError(f"own data: x of domain {domain.name!r} has numbers that are not finite in float32")
    labels = [own.labels[number] for number in found] if len(own.labels) else found
    return task._replace(**parts, labels=labels, columns=own.columns, scaling=scaling, pixels=own.pixels)


def trained_on(config, task):
    """The training domains as a method sees them: with repeated rows where classes weigh equally. What a run is
    measured on are the rows themselves."""
    if not config.balanced:
        return task.train
    return [balanced(d, stream(config.seed, "balanced", e)) for e, d in enumerate(task.train)]


def network(config, task):
    """The MLP of a configuration: one logit for two labels in the paper convention, else one for each label."""
    outputs = 1 if task.classes <= 2 and config.convention == "paper" else max(task.classes, 2)
    return MLP((task.train[0].x.shape[1], *config.hidden, outputs))


def data_name(source):
    """What digits or domains are called, and a hash of their bytes; None for None."""
    if source is None:
        return None
    if isinstance(source[0], str):
        name, *parts = source
    else:
        name, parts = "own data", [item for domain in as_own(source).domains for item in domain]
    return f"{name} {digest(parts)[:12]}"
