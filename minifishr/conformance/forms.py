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
# options of a penalty that authors, or users, choose differently; a method that is not named has one form
VARIANTS = {
    "irm": [{}, {"reduction": "sum"}],
    "vrex": [{}, {"ddof": 1}],
    "fishr": [form for form in FISHR if form.get("centered") or not form.get("ddof")],  # no mean, no n - 1
    "coral": [{}, {"means": True}, {"means": False}],
    "dann": [{}, {"gradient_penalty": 0.5}],
    **{name: [{}, {"gradient_weight": 0.0}] for name in ("hutchinson", "hgp", "cma")},  # the Hessians' term alone
}


# options of a distance, by method: a statistic does not take them
OF_DISTANCE = {
    "irm": ("reduction",),
    "vrex": ("ddof",),
    "coral": ("means",),
    "dann": ("gradient_penalty",),
    **dict.fromkeys(("hutchinson", "hgp", "cma"), ("gradient_weight",)),
}
# what authors or users turn in a whole update, each alone, or as the authors' options are named together
SWITCHES = {
    **{name: VARIANTS[name][1:] for name in ("irm", "vrex", "coral")},
    "and_mask": [{"rescale": False}, {"average": "geometric"}, {"rescale": False, "average": "geometric"}],
    "fishr": [{"scope": "all"}, {"centered": False}, {"ddof": 1}, {"covariance": "full"}],
}


def switches(method, convention):
    """The SWITCHES of a method that change something in a convention."""
    default = DEFAULTS[method][convention]
    return [turned for turned in SWITCHES.get(method, []) if turned.items() - default.items()]


def worded(options):
    """Options in words, as in rescale=False, average=geometric."""
    return ", ".join(f"{key}={value}" for key, value in options.items())


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
        """The options that are not the convention's own."""
        default = DEFAULTS[self.method][self.convention]
        return worded({key: value for key, value in self.variant.items() if value != default.get(key)})

    @property
    def whole(self):
        """Method, convention and all options, those of the convention too."""
        return self.method, self.convention, *sorted((DEFAULTS[self.method][self.convention] | self.variant).items())

    def penalty(self, model, theta, domains, **more):
        """The package's penalty, ()."""
        return PENALTIES[self.method](model, theta, domains, convention=self.convention, **self.variant, **more)


ALL = [
    Form(method, convention, variant)
    for method in PENALTIES
    for variant in VARIANTS.get(method, [{}])
    for convention in DEFAULTS[method]
]
# an option that is a convention's own makes no other form
FORMS = [form for number, form in enumerate(ALL) if form.whole not in [other.whole for other in ALL[:number]]]


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
    phi = getattr(module, "STATISTICS", {}).get(form.convention, module.statistic)
    return phi, {key: value for key, value in form.variant.items() if key not in OF_DISTANCE.get(form.method, ())}


def holder(form):
    """The number of the first form that measures the same, under which the statistic is recorded."""
    return next(number for number, other in enumerate(FORMS) if measured(other) == measured(form))


def statistic(form, case):
    """The statistic of every domain (m, ...), or one below the other where it is a number a row, or several."""
    phi, options = measured(form)
    found = [phi(case.model, case.theta, d.x, d.y, **options) for d in case.domains]
    by_row = all(np.ndim(phi) == 2 and len(phi) == n for phi, n in zip(found, case.rows, strict=True))
    return np.concatenate(found) if by_row else np.stack(found)
