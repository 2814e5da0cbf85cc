"""Which form is it? Values are compared first, by a factor that fits all cases, then gradients after that factor."""

from typing import NamedTuple

import numpy as np
from autograd import value_and_grad

from . import vectors
from .factors import Factor, fit
from .gallery import GALLERY
from .memory import REMEMBERING, value_and_gradient_with
from .memory import coordinates as length


class Candidate(NamedTuple):
    """A form or a mistake whose values fit: its words, the factor, and how the gradients compare."""

    what: object
    factor: Factor
    error: float
    gradient: str
    cases: int

    @property
    def rank(self):
        """Simple factors first."""
        return self.factor.complexity


def sizes(case, coordinates=1):
    """The sizes of a case by the names that a factor has."""
    m, (*_, h, k) = len(case.domains), case.model.sizes
    return {"m": m, "m-1": m - 1, "n": sum(case.rows) / m, "k": k, "h": h, "d": coordinates}


def coordinates(number, case):
    """The length of one domain's statistic where it is a vector, else 1."""
    arrays = vectors.arrays()
    form = vectors.forms()[number]
    while f"{case.name}/statistic/{number}" not in arrays:  # recorded once for forms that share it
        number -= 1
    phi = arrays[f"{case.name}/statistic/{number}"]
    return phi.shape[1] if phi.ndim == 2 and form.method not in ("irm", "dann") else 1


def expected(number, case):
    """The recorded penalty and gradient of a form on a case."""
    arrays = vectors.arrays()
    return arrays[f"{case.name}/penalty"][number], arrays[f"{case.name}/gradient"][number]


def compared(what, trials, references, dims, allowed):
    """A Candidate, or None where no factor fits the values; references are (value, gradient) a case."""
    values = np.array([value for value, _ in references])
    if not values.all() or not all(trial.value for trial in trials):
        return None
    found = [sizes(trial.case, d) for trial, d in zip(trials, dims, strict=True)]
    factor = fit([trial.value for trial in trials] / values, found, allowed)
    if factor is None:
        return None
    error, zero, partial = factor.error, True, True
    for trial, value, reference in zip(trials, values, references, strict=True):
        gradient = trial.value / value * reference[1]
        size, where = np.abs(gradient).max(), trial.case.model.classifier
        error = max(error, np.abs(trial.gradient - gradient).max() / size)
        zero &= not trial.gradient.any()
        rest = np.abs(trial.gradient - gradient)[where].max() / size
        partial &= rest <= allowed and not trial.gradient[: where.start].any()
    kind = "whole" if error <= allowed else "none" if zero else "classifier" if partial else "another"
    return Candidate(what, factor, max(error, factor.error), kind, len(trials))


def of_forms(method, trials, allowed, *, others=False):
    """Candidates among the recorded forms of a method, or of all others, the simplest factor first."""
    found = []
    for number, form in enumerate(vectors.forms()):
        if (form.method != method) == others and not (others and form.method == "dann"):
            references = [expected(number, trial.case) for trial in trials]
            dims = [coordinates(number, trial.case) for trial in trials]
            found.append(compared(form, trials, references, dims, allowed))
    return sorted(filter(None, found), key=lambda one: one.rank)


def of_mistakes(method, trials, allowed):
    """Candidates among the known mistakes."""
    found = []
    for mistake in GALLERY:
        for penalty in mistake.penalties.get(method, ()):
            references = [wrong_value_and_gradient(penalty, trial.case) for trial in trials]
            dims = [trial.case.model.classifier.stop - trial.case.model.classifier.start for trial in trials]
            found.append(compared(mistake, trials, references, dims, allowed))
    return sorted(filter(None, found), key=lambda one: one.rank)


def of_memories(trials, allowed, decay):
    """Candidates among the ways to remember, of Fishr."""
    found = []
    for one in REMEMBERING:
        references = [value_and_gradient_with(one, trial.case, decay) for trial in trials]
        dims = [length(one, trial.case) for trial in trials]
        found.append(compared(one, trials, references, dims, allowed))
    return sorted(filter(None, found), key=lambda one: one.rank)


def wrong_value_and_gradient(penalty, case):
    """A wrong penalty and its gradient on a case."""
    return value_and_grad(lambda theta: penalty(case.model, theta, case.domains))(case.theta)


def nearest(method, trials):
    """(form, distance): the recorded form whose gradients are nearest after the best constant; 0 is equal, 1 is far."""
    best = None
    for number, form in enumerate(vectors.forms()):
        if form.method == method:
            gradients = [expected(number, trial.case)[1] for trial in trials]
            distance = np.median([away(t.gradient, g) for t, g in zip(trials, gradients, strict=True)])
            if best is None or distance < best[1]:
                best = form, float(distance)
    return best


def away(gradient, reference):
    """The sine of the angle between two gradients; 1 where one is zero or they point apart."""
    size = np.linalg.norm(gradient) * np.linalg.norm(reference)
    cosine = gradient @ reference / size if size else 0.0
    return np.sqrt(max(0.0, 1 - cosine**2)) if cosine > 0 else 1.0
