"""The cases: small networks and domains on which two conventions never agree by accident.

No two sizes of a case are equal unless the rows are meant to be, so that a division by domains, rows, classes, features
or coordinates shows. All numbers are multiples of 1/64, exact in float32 too. No ReLU is near its kink, and
each hidden unit is on for some rows of each domain and off for others.
"""

from typing import NamedTuple

import numpy as np

from ..data import Domain
from ..mlp import MLP

# name -> widths of the network, rows of each domain
SHAPES = {
    "one-2a": ((5, 3, 1), (6, 6)),
    "one-2b": ((3, 5, 1), (8, 8)),
    "one-2c": ((3, 6, 4, 1), (7, 9)),
    "one-3a": ((4, 6, 1), (5, 8, 11)),
    "one-3b": ((6, 4, 1), (7, 7, 7)),
    "one-4a": ((3, 6, 1), (5, 9, 8, 7)),
    "many-2a": ((4, 5, 3), (7, 7)),
    "many-2b": ((5, 3, 4), (6, 9)),
    "many-2c": ((3, 4, 5), (8, 8)),
    "many-3a": ((5, 4, 2), (6, 6, 6)),
    "many-3b": ((2, 6, 5, 4), (7, 10, 9)),
    "many-4a": ((6, 5, 3), (9, 9, 9, 9)),
    "many-4b": ((3, 5, 2), (7, 6, 8, 10)),
}
CRITIC = (6, 6)  # hidden widths of DANN's discriminator: two of `width`, as the method has them


class Case(NamedTuple):
    """A network, its parameters, domains, and a discriminator's parameters."""

    name: str
    model: MLP
    theta: np.ndarray
    domains: list
    w: np.ndarray

    @property
    def critic(self):
        """The discriminator: an MLP from features to as many logits as there are domains."""
        return critic_of(self.model, len(self.domains))

    @property
    def rows(self):
        """The number of rows of each domain."""
        return [len(domain.y) for domain in self.domains]

    def __str__(self):
        """The case in words, for a sentence about it."""
        m, k = len(self.domains), self.model.sizes[-1]
        return f"{self.name} ({m} domains of {', '.join(map(str, self.rows))} rows, {k} logit{'s' if k > 1 else ''})"


def critic_of(model, m):
    """The discriminator's network for m domains."""
    return MLP((model.sizes[-2], *CRITIC, m))


def chosen(cases, *, domains=None, logits=None, rows=None):
    """The cases with so many domains, with "one" logit or "many", and with "equal" rows; ValueError where none is."""
    for name, value, known in (("logits", logits, ("one", "many")), ("rows", rows, ("equal",))):
        if value not in (None, *known):
            raise ValueError(f"{name}={value!r} is none of {', '.join(known)}")
    found = [
        case
        for case in cases
        if domains in (None, len(case.domains))
        and logits in (None, "one" if case.model.sizes[-1] == 1 else "many")
        and (rows is None or len({*case.rows}) == 1)
    ]
    if not found:
        raise ValueError(f"no case has domains={domains}, logits={logits}, rows={rows}: domains are 2, 3 or 4")
    return found


def drawn(name, number):
    """A case from its shape: redrawn until no ReLU is near its kink and no unit is dead, or always on, in a domain."""
    sizes, rows = SHAPES[name]
    model = MLP(sizes)
    for attempt in range(10_000):
        rng = np.random.default_rng([number, attempt])
        theta = sixty_fourths(rng, model.d, 1.25)
        domains = [domain(rng, e, n, sizes) for e, n in enumerate(rows)]
        if all(well_placed(model, theta, d.x) for d in domains):
            return Case(name, model, theta, domains, sixty_fourths(rng, critic_of(model, len(rows)).d, 1.0))
    raise ValueError(f"no draw of case {name!r} is away from the kinks")


def domain(rng, e, n, sizes):
    """Domain e: inputs with a mean of its own, and every label that n rows can have."""
    classes = max(sizes[-1], 2)
    y = rng.permutation(np.arange(n) % classes)
    if e % 2:  # unlike shares of the classes
        y[rng.integers(n)] = 0
    return Domain(f"domain {e}", sixty_fourths(rng, (n, sizes[0]), 2.0) + (e - 1) / 4, y)


def sixty_fourths(rng, shape, bound):
    """Multiples of 1/64 in [-bound, bound]."""
    return rng.integers(-int(64 * bound), int(64 * bound) + 1, shape) / 64


def well_placed(model, theta, x):
    """Whether all pre-activations of hidden units are 0.02 or more from 0, on both sides in each unit."""
    a = x
    for W, b in model.layers(theta)[:-1]:
        z = a @ W + b
        on = (z > 0).mean(axis=0)
        if np.abs(z).min() < 0.02 or on.min() == 0 or on.max() == 1:
            return False
        a = np.maximum(z, 0)
    return True
