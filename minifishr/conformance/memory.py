"""Fishr with a memory: what its penalty is at the last of three points, for each way to remember."""

from functools import cache
from typing import NamedTuple

import autograd.numpy as np
from autograd import grad

from ..algorithms import MODULES
from . import vectors
from .forms import VARIANTS, Form
from .trials import walk

# how the past u and the present v at the t-th point become what is compared, for a decay e; the past is a constant
WAYS = {
    "the discounted sum": lambda u, v, e, t: e * u + v,
    "the moving average from 0": lambda u, v, e, t: e * u + (1 - e) * v,
    "the moving average from the first value": lambda u, v, e, t: v if t == 1 else e * u + (1 - e) * v,
    "the moving average from 0, corrected as Adam does": lambda u, v, e, t: ((e - e**t) * u + (1 - e) * v) / (1 - e**t),
}


class Remembering(NamedTuple):
    """A form of Fishr, and how it remembers."""

    form: Form
    way: str

    def __str__(self):
        """The convention, and how it remembers."""
        return f"{self.form} with {self.way}"

    @property
    def convention(self):
        """As a Form has it."""
        return self.form.convention

    @property
    def variant(self):
        """As a Form has it."""
        return self.form.variant


REMEMBERING = [
    Remembering(Form("fishr", convention, variant), way)
    for way in WAYS
    for variant in VARIANTS["fishr"]
    for convention in ("paper", "domainbed")
]


@cache
def walked(variant, name):
    """The variances at each point of the walk through a case, (3,m,d_scope)."""
    case = next(case for case in vectors.cases() if case.name == name)
    return [phi(point, point.theta, dict(variant)) for point in walk(case)]


def phi(case, theta, variant):
    """The variances of all domains, (m,d_scope)."""
    statistic = MODULES["fishr"].statistic
    return np.array([statistic(case.model, theta, d.x, d.y, **variant) for d in case.domains])


def remembered(found, case, decay):
    """What is remembered at the last point of those before, and at the last point itself, (m,d_scope) each."""
    past, together = None, 0.0
    for t, v in enumerate(walked(tuple(found.variant.items()), case.name), 1):
        past, together = together, WAYS[found.way](together, v, decay, t)
    return past, together


def value_with(found, case, decay):
    """The penalty at the last point of the walk through a case."""
    return MODULES["fishr"].distance(remembered(found, case, decay)[1], found.convention)


def gradient_with(found, case, decay):
    """Its gradient, for which the past is a constant."""
    past, points = remembered(found, case, decay)[0], walk(case)

    def penalty(theta):
        together = WAYS[found.way](past, phi(case, theta, found.variant), decay, len(points))
        return MODULES["fishr"].distance(together, found.convention)

    return grad(penalty)(points[-1].theta)


def length(found, case):
    """The length of one domain's statistic."""
    return walked(tuple(found.variant.items()), case.name)[0].shape[1]
