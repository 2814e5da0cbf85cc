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
}


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


def statistic(form, case):
    """The statistic of every domain, one below the other where their sizes differ."""
    module, variant = MODULES[form.method], {k: v for k, v in form.variant.items() if k != "gradient_penalty"}
    phi = getattr(module, "CONVENTIONS", {}).get(form.convention, [module.statistic])[0]
    found = [phi(case.model, case.theta, d.x, d.y, **variant) for d in case.domains]
    return np.concatenate(found) if form.method == "dann" else np.stack(found)
