"""The domains of an update: checked, as inputs of a recording, and as the classifier alone sees them."""

import autograd.numpy as np
import numpy as onp

from ..data import Domain
from ..mlp import SMALL
from ..pieces import split


def as_arrays(model, theta, domains):
    """(x_1, y_1, x_2, y_2, ...), x in theta's dtype: what can be an input of a replayed function."""
    for domain in domains:
        dtype, masked = onp.asarray(domain.y).dtype, isinstance(domain.y, onp.ma.MaskedArray)
        if dtype.kind not in "iub" or masked:
            raise ValueError(f"domain {domain.name!r}: labels must be integers, got {'masked ' * masked}{dtype}")
    # one integer type for all: NumPy makes floats of uint64 beside int64
    return [part for d in domains for part in (model.inputs(theta, d.x), onp.asarray(d.y).astype(int))]


def as_domains(arrays):
    """The domains of such arrays, named by their numbers."""
    return [Domain(f"{e}", x, y) for e, (x, y) in enumerate(zip(arrays[::2], arrays[1::2], strict=True))]


def check_domains(name, model, domains, needed=1):
    """ValueError unless there are enough domains and each has rows as wide as the model's input, and as many labels."""
    if len(domains) < needed:
        least = f"{needed} domain{'s' if needed > 1 else ''}"
        raise ValueError(f"{name} needs at least {least}, got {len(domains)}: {[d.name for d in domains]}")
    for domain in domains:
        x, y, p = onp.shape(domain.x), onp.shape(domain.y), model.sizes[0]
        if len(x) != 2 or x[0] == 0 or (*y, p) != x:
            raise ValueError(f"{name}: domain {domain.name!r} has x {x} and y {y}, expected (n, {p}) and (n,), n >= 1")


def classifier_problem(model, theta, domains):
    """The same domains seen by the classifier alone: (model, theta, domains of features)."""
    head, w, features = model.head(theta, [domain.x for domain in domains])
    return head, w, [domain._replace(x=a) for domain, a in zip(domains, features, strict=True)]


def classifier_rows(model, theta, domains):
    """classifier_problem, and (features, labels) of all domains one below the other, or None where they are many."""
    counts = [len(domain.y) for domain in domains]
    if sum(counts) > SMALL:
        return *classifier_problem(model, theta, domains), None
    x, y = (np.concatenate([domain[i] for domain in domains]) for i in (1, 2))
    head, w, (a,) = model.head(theta, [x])
    pieces = split(a, onp.cumsum(counts[:-1]))
    return head, w, [d._replace(x=pieces[e]) for e, d in enumerate(domains)], (a, y)
