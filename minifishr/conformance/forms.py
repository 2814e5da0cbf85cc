"""The published forms: every method with a penalty, in each convention and variant, and how it is computed here."""

from itertools import product
from typing import NamedTuple

import numpy as np
from autograd import value_and_grad

from ..algorithms import DEFAULTS, MODULES, PENALTIES

FISHR = [
    *({"scope": s, "centered": c, "ddof": f} for s, c, f in product(("classifier", "all"), (True, False), (0, 1))),
    *({"centered": c, "covariance": "full"} for c in (True, False)),
]
PLAIN = {"scope": "classifier", "centered": True, "ddof": 0, "covariance": "diagonal", "gradient_penalty": 0.0}
# options of a penalty that authors, or users, choose differently; a method that is not named has one form
VARIANTS = {
    "fishr": [form for form in FISHR if form.get("centered") or not form.get("ddof")],  # no mean, no n - 1
    "dann": [{}, {"gradient_penalty": 0.5}],
    **{name: [{}, {"gradient_weight": 0.0}] for name in ("hutchinson", "hgp", "cma")},  # the Hessians' term alone
}


NOT_MEASURED = ("gradient_penalty", "gradient_weight")  # options of a distance
# each of them alone, in a trajectory
SWITCHES = {"fishr": [{"scope": "all"}, {"centered": False}, {"ddof": 1}, {"covariance": "full"}]}


class Form(NamedTuple):
    """A penalty as one source has it."""

    method: str
    convention: str
    variant: dict

    def __str__(self):
        """The convention, and what differs from its plain form."""
        return " with ".join(part for part in (f"{self.convention} convention", self.differs) if part)

    @property
    def differs(self):
        """The options that are not the plain form's."""
        return ", ".join(f"{key}={value}" for key, value in self.variant.items() if value != PLAIN.get(key))

    def penalty(self, model, theta, domains, **more):
        """The package's penalty, ()."""
        return PENALTIES[self.method](model, theta, domains, convention=self.convention, **self.variant, **more)


FORMS = [
    Form(method, convention, variant)
    for method in PENALTIES
    for variant in VARIANTS.get(method, [{}])
    for convention in DEFAULTS[method]
]


def more_of(form, case):
    """What a penalty needs beside theta and domains: DANN's discriminator."""
    return {"critic": case.critic, "w": case.w} if form.method == "dann" else {}


def value_and_gradient(form, case):
    """The penalty () and its gradient (d,) on a case."""
    more = more_of(form, case)
    return value_and_grad(lambda theta: form.penalty(case.model, theta, case.domains, **more))(case.theta)


def measured(form):
    """What a form measures of a domain: a function (model, theta, x, y), and its options."""
    module = MODULES[form.method]
    phi = getattr(module, "CONVENTIONS", {}).get(form.convention, [module.statistic])[0]
    return phi, {key: value for key, value in form.variant.items() if key not in NOT_MEASURED}


def holder(form):
    """The number of the first form that measures the same, under which the statistic is recorded."""
    return next(number for number, other in enumerate(FORMS) if measured(other) == measured(form))


def statistic(form, case):
    """The statistic of every domain (m, ...), or one below the other where it is a number a row, or several."""
    phi, options = measured(form)
    found = [phi(case.model, case.theta, d.x, d.y, **options) for d in case.domains]
    by_row = all(np.ndim(phi) == 2 and len(phi) == n for phi, n in zip(found, case.rows, strict=True))
    return np.concatenate(found) if by_row else np.stack(found)
