"""All identities on random cases and on hard ones."""

from typing import NamedTuple

import numpy as np

from ..data import stream, take
from .alignment_identities import IDENTITIES as ALIGNMENT
from .baseline_identities import IDENTITIES as BASELINES
from .curvature_identities import IDENTITIES as CURVATURE
from .gradient_identities import IDENTITIES as GRADIENTS
from .identity import Identity, drawn
from .landscape_identities import IDENTITIES as LANDSCAPE
from .method_identities import IDENTITIES as METHODS
from .penalty_identities import IDENTITIES as PENALTIES

IDENTITIES = {
    found.name: found for found in [*GRADIENTS, *CURVATURE, *PENALTIES, *METHODS, *LANDSCAPE, *ALIGNMENT, *BASELINES]
}


class Verdict(NamedTuple):
    """An identity, its largest error, and the number of cases to which it applied; it passes with at least one."""

    identity: Identity
    error: float
    cases: int

    @property
    def passed(self):
        """Whether the largest error is allowed; without a case nothing was shown."""
        return self.cases > 0 and self.error <= self.identity.tolerance


def verified(draws=20, seed=0, names=None):
    """A Verdict for each identity on `draws` random cases and as many hard ones as there are kinds.

    Case number i only depends on (seed, i). ValueError for less than one draw or an unknown name.
    """
    if draws < 1:
        raise ValueError(f"there must be at least one draw, got {draws}")
    unknown = [name for name in names or [] if name not in IDENTITIES]
    if unknown:
        raise ValueError(f"unknown identity {unknown[0]!r}, expected one of {', '.join(IDENTITIES)}")
    cases = [drawn(stream(seed, "verify", number)) for number in range(draws)]
    cases += [make(cases[number % draws]) for number, make in enumerate(HARD.values())]
    return (verdict(IDENTITIES[name], cases) for name in names or IDENTITIES)


def verdict(identity, cases):
    """The largest error over the cases to which an identity applies."""
    with np.errstate(all="ignore"):
        errors = [error for case in cases if (error := finite_error(identity, case)) is not None]
    return Verdict(identity, max(errors, default=0.0), len(errors))


def finite_error(identity, case):
    """The error of an identity on a case: infinite where it is not a number, or has none because a matrix has not."""
    try:
        error = identity.error(case)
    except np.linalg.LinAlgError:
        return np.inf
    return np.inf if error is not None and np.isnan(error) else error


def one_row(case):
    """Each domain has a single row."""
    return case._replace(domains=[take(domain, [0]) for domain in case.domains])


def one_class(case):
    """Only the label 0 is there."""
    return case._replace(domains=[domain._replace(y=0 * domain.y) for domain in case.domains])


def zero_weights(case):
    """theta = 0."""
    return case._replace(theta=np.zeros_like(case.theta))


def dead_units(case):
    """No hidden unit of the first layer ever switches on; without hidden layers, the case itself."""
    theta = case.theta.copy()
    if len(case.model.sizes) > 2:
        theta[case.model.blocks["b1"]] = -100.0
    return case._replace(theta=theta)


def huge_logits(case):
    """The largest logit is 700 or -700, near the end of what exp can do."""
    theta = case.theta.copy()
    largest = max(np.abs(case.model.logits(theta, domain.x)).max() for domain in case.domains)
    theta[case.model.classifier] *= 700 / largest
    return case._replace(theta=theta)


HARD = {
    "one row": one_row,
    "one class": one_class,
    "zero weights": zero_weights,
    "dead units": dead_units,
    "huge logits": huge_logits,
}
