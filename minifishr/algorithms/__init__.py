"""The methods, in teaching order.

Read `settings` (hyper-parameters), `problem` (the domains of an update), `protocol` (what an algorithm is, and what
most of them share), `masks` (directions from domain gradients), `method` (a penalty and a factory from a statistic and
a distance) and `chunks` (a few rows at a time) first, then one file a method.

    objective(theta) = mean_e R_e(theta) + lambda * distance(phi_1(theta), ..., phi_m(theta))

    method      statistic phi_e of domain e            distance
    erm         none                                   0
    irm         dR_e(s * logits)/ds at s = 1           mean of squares
    vrex        the risk R_e                           variance over domains
    fish        (no penalty)                           a meta step after one step on each domain
    and_mask    the mean gradient g_e                  (no penalty) a mask on the mean gradient
    sand_mask   the mean gradient g_e                  (no penalty) a soft mask on the mean gradient
    fishr       the gradient variance v_e              squared deviations from their mean
    iga         the mean gradient g_e                  squared deviations from their mean
    idgm        the mean gradient g_e                  minus the mean inner product over pairs
    coral       mean and covariance of the features    squared differences over pairs
    dann        the features                           how well a discriminator tells the domains apart
    hutchinson  diagonal of the classifier's Hessian   squared deviations; also of the classifier's gradients g_e
    hgp         that Hessian times g_e                 squared deviations from H g of the mean risk; also of the g_e
    cma         that Hessian H_e                       squared deviations; also of the g_e
    ib_erm      the variance of the features           mean
    ib_irm      that variance, and irm's slope         mean, and irm's
    mmd         the features                           how unlike their distributions are, by Gaussian kernels
    sd          the logits                             mean of squares
    group_dro   the risk R_e                           (no penalty) the larger a risk was, the more its domain weighs

To add one, write one file with a factory (model, *, convention, **hyper_parameters) -> Algorithm, and a line below.
"""

from collections.abc import Callable
from functools import wraps
from importlib import import_module

from .protocol import Algorithm
from .settings import (
    BATCH_RANGE,
    PAPER_ADAM,
    SECOND_WEIGHTS,
    WARM_UPS,
    identifying,
    log_uniform,
    shortened,
    with_shortened_warm_ups,
)
from .settings import settings as given_settings

NAMES = (
    "erm", "irm", "vrex", "fish", "and_mask", "sand_mask", "fishr", "iga", "idgm", "coral", "dann",
    "hutchinson", "hgp", "cma", "ib_erm", "ib_irm", "mmd", "sd", "group_dro",
)  # fmt: skip
MODULES = {name: import_module(f".{name}", __name__) for name in NAMES}
CORE = ("erm", "irm", "vrex", "fish", "sand_mask", "fishr")  # what a comparison trains unless told otherwise
DEFAULTS = {name: module.DEFAULTS for name, module in MODULES.items()}
RANGES = {name: module.RANGES for name, module in MODULES.items()}
PENALTIES: dict[str, Callable] = {n: module.penalty for n, module in MODULES.items() if hasattr(module, "penalty")}


def that_says_its_settings(name):
    """A method's factory, whose algorithms know their settings."""
    factory = getattr(MODULES[name], name)

    @wraps(factory)
    def make(model, *, convention="paper", **hyper_parameters):
        algorithm = factory(model, convention=convention, **hyper_parameters)
        defaults = DEFAULTS[name][convention]
        chosen = given_settings(name, DEFAULTS[name], convention, hyper_parameters)  # plain numbers, for checkpoints
        known = {"convention": convention, **identifying(name, defaults, chosen)}
        return algorithm._replace(settings=dict(sorted(known.items())))

    return make


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {name: that_says_its_settings(name) for name in MODULES}
EXCEPTIONS = {name: getattr(module, "EXCEPTIONS", {}) for name, module in MODULES.items()}

__all__ = [
    "ALGORITHMS", "BATCH_RANGE", "CORE", "DEFAULTS", "EXCEPTIONS", "PAPER_ADAM", "PENALTIES", "RANGES",
    "SECOND_WEIGHTS", "WARM_UPS", "Algorithm", "identifying", "log_uniform", "shortened", "with_shortened_warm_ups",
]  # fmt: skip
