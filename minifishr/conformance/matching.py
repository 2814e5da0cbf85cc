"""Which form is it? Values are compared first, by a factor that fits all cases, then gradients after that factor."""

from functools import cache
from typing import NamedTuple

import numpy as np
from autograd import grad

from . import vectors
from .factors import POWERS, Factor, fit
from .gallery import GALLERY
from .memory import REMEMBERING, gradient_with, length, value_with

ALIKE = dict.fromkeys(POWERS, 1)  # sizes that leave a factor nothing but its constant
NOTHING = 1e-20  # a penalty of the cases that is not 0 is above 1e-9
SAME = 1e-4  # degrees: angles that differ by less are the same
CLOSE = 1e-5  # a gradient with a smaller relative error has no other length


class Candidate(NamedTuple):
    """A form or a mistake whose values fit, by which factor, and how the gradients compare: "whole", "none",
    "classifier", "another", or "times" a constant."""

    what: object
    factor: Factor
    error: float
    gradient: str
    cases: int


def sizes(case, coordinates=1):
    """The sizes of a case by the names that a factor has."""
    m, (*_, h, k) = len(case.domains), case.model.sizes
    return {"m": m, "m-1": m - 1, "n": sum(case.rows) / m, "k": k, "h": h, "d": coordinates}


def coordinates(number, case):
    """The length of one domain's statistic where it is a vector, else 1."""
    phi = of(case, f"statistic/{vectors.index()['penalties'][number]['statistic']}")
    return phi.shape[1] if phi.ndim == 2 and len(phi) == len(case.domains) else 1


def of(case, what):
    """What is recorded of a case."""
    return vectors.arrays()[f"{case.name}/{what}"]


def compared(what, trials, values, gradients, dims, allowed, *, roots=False):
    """A Candidate, or None where no factor fits the values (cases,); gradients() gives (d,) a case, if it is asked.

    Where a form is 0 on a case, as it may be for two domains, the penalty must be 0 too, and the other cases decide.
    """
    values = np.array(values)
    kept = np.abs(values) > NOTHING
    if any((abs(trial.value) > NOTHING) != keep for trial, keep in zip(trials, kept, strict=True)) or not kept.any():
        return None
    rows = [row for row, keep in zip(zip(trials, values, dims, strict=True), kept, strict=True) if keep]
    found = [sizes(trial.case, d) for trial, _, d in rows]
    factor = fit([trial.value / value for trial, value, _ in rows], found, allowed, roots=roots)
    if factor is None:
        return None
    return graded(what, factor, rows, [g for g, keep in zip(gradients(), kept, strict=True) if keep], allowed)


def graded(what, factor, rows, gradients, allowed):
    """The Candidate for a factor that fits: how far the gradients (d,) of each row (trial, value, ...) agree."""
    error, zero, partial, ratios = factor.error, True, True, []
    for (trial, value, _), reference in zip(rows, gradients, strict=True):
        gradient = trial.value / value * reference
        off, where = np.abs(trial.gradient - gradient) / np.abs(gradient).max(), trial.case.model.classifier
        error, zero = max(error, off.max()), zero and not trial.gradient.any()
        partial = partial and off[where].max() <= allowed and not trial.gradient[: where.start].any()
        ratios.append(ratio(trial.gradient, gradient, allowed))
    kind = "whole" if error <= allowed else "none" if zero else "classifier" if partial else "another"
    constant = fit(ratios, [ALIKE] * len(ratios), allowed) if kind == "another" else None
    return Candidate(what, factor, error, f"times {constant}" if constant else kind, len(rows))


def ratio(gradient, reference, allowed):
    """The number by which a reference (d,), not 0, becomes a gradient (d,), up to what is allowed; nan without one."""
    found = gradient @ reference / (reference @ reference)
    off = np.abs(gradient - found * reference).max()
    return found if off <= allowed * np.abs(gradient).max() else np.nan


def of_forms(method, trials, allowed, *, others=False):
    """Candidates among the recorded forms of a method, or of all others, the simplest factor first."""
    found = []
    for number, form in enumerate(vectors.forms()):
        if (form.method != method) == others and not (others and form.method == "dann"):
            values = [of(trial.case, "penalty")[number] for trial in trials]
            dims = [coordinates(number, trial.case) for trial in trials]
            gradients = lambda number=number: [of(trial.case, "gradient")[number] for trial in trials]  # noqa: E731
            found.append(compared(form, trials, values, gradients, dims, allowed))
    return simplest_first(found)


def of_mistakes(method, trials, allowed):
    """Candidates among the known mistakes."""
    found = []
    for mistake in GALLERY:
        for penalty in mistake.penalties.get(method, ()):
            values = [wrong_value(penalty, trial.case.name) for trial in trials]
            dims = [trial.case.model.classifier.stop - trial.case.model.classifier.start for trial in trials]
            gradients = lambda penalty=penalty: [wrong_gradient(penalty, trial.case) for trial in trials]  # noqa: E731
            found += [compared(mistake, trials, values, gradients, dims, allowed, roots=r) for r in (False, True)]
    return simplest_first(found)


def of_memories(trials, allowed, decay):
    """Candidates among the ways to remember, of Fishr."""
    found = []
    for one in REMEMBERING:
        values = [value_with(one, trial.case, decay) for trial in trials]
        dims = [length(one, trial.case) for trial in trials]
        gradients = lambda one=one: [gradient_with(one, trial.case, decay) for trial in trials]  # noqa: E731
        found.append(compared(one, trials, values, gradients, dims, allowed))
    return simplest_first(found)


def simplest_first(found):
    """The candidates that there are, by the complexity of their factor."""
    return sorted(filter(None, found), key=lambda one: one.factor.complexity)


@cache
def wrong_value(penalty, name):
    """A wrong penalty on a case; remembered, because it is asked for again and again."""
    case = next(case for case in vectors.cases() if case.name == name)
    return float(penalty(case.model, case.theta, case.domains))


def wrong_gradient(penalty, case):
    """The gradient of a wrong penalty on a case."""
    return grad(lambda theta: penalty(case.model, theta, case.domains))(case.theta)


def of_gradients(method, trials, allowed):
    """Candidates among the recorded forms of a method whose gradients fit alone; the error is that of the values."""
    found = []
    for number, form in enumerate(vectors.forms()):
        if form.method == method:
            ratios = np.array([ratio(t.gradient, of(t.case, "gradient")[number], allowed) for t in trials])
            factor = fit(ratios, [sizes(t.case, coordinates(number, t.case)) for t in trials], allowed)
            if factor:
                values = ratios * [of(t.case, "penalty")[number] for t in trials]
                error = np.abs([t.value for t in trials] / values - 1).max()
                found.append(Candidate(form, factor, error, "whole", len(trials)))
    return simplest_first(found)


def nearest(method, trials):
    """(form, angles (cases,), error): the recorded form whose gradients are nearest by the median angle, and their
    largest relative error. Of those that are as near up to rounding, for which a cosine leaves half of the digits, it
    is one whose gradients are as long, too, or else the first.
    """
    found = []
    for number, form in enumerate(vectors.forms()):
        if form.method == method:
            pairs = [(trial.gradient, of(trial.case, "gradient")[number]) for trial in trials]
            error = max(np.abs(gradient - g).max() / np.abs(g).max() for gradient, g in pairs)
            found.append((form, np.array([angle(*pair) for pair in pairs]), error))
    best = min(np.median(angles) for _, angles, _ in found)
    return min((one for one in found if np.median(one[1]) < best + SAME), key=lambda one: one[2] > CLOSE)


def angle(gradient, reference):
    """The angle between two gradients in degrees; 90 where one is zero."""
    size = np.linalg.norm(gradient) * np.linalg.norm(reference)
    cosine = gradient @ reference / size if size else 0.0
    return np.degrees(np.arctan2(np.sqrt(max(0.0, 1 - cosine**2)), cosine))
