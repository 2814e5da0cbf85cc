"""Fishr with a memory: what its penalty is at the last of three points, for each way to remember."""

from typing import NamedTuple

import autograd.numpy as np
from autograd import value_and_grad

from ..algorithms import MODULES
from .forms import VARIANTS, Form
from .trials import walk

# how the past u and the present v become what is compared, for a decay e; the past is a constant for the gradient
WAYS = {
    "the discounted sum": lambda u, v, e: e * u + v,
    "the moving average from 0": lambda u, v, e: e * u + (1 - e) * v,
    "the moving average from the first value": lambda u, v, e: v if u is None else e * u + (1 - e) * v,
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


def value_and_gradient_with(found, case, decay):
    """The penalty and its gradient at the last point of the walk through a case."""
    fishr, past = MODULES["fishr"], None if "first" in found.way else 0.0

    def phi(theta):
        return np.array([fishr.statistic(case.model, theta, d.x, d.y, **found.variant) for d in case.domains])

    *before, last = [point.theta for point in walk(case)]
    for theta in before:
        past = WAYS[found.way](past, phi(theta), decay)
    return value_and_grad(lambda t: fishr.distance(WAYS[found.way](past, phi(t), decay), found.convention))(last)


def coordinates(found, case):
    """The length of one domain's statistic."""
    return np.size(MODULES["fishr"].statistic(case.model, case.theta, *case.domains[0][1:], **found.variant))
