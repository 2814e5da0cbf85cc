"""The methods, in teaching order.

Read `settings` (hyper-parameters), `problem` (the domains of an update), `protocol` (what an algorithm is, and what
most of them share) and `chunks` (a few rows at a time) first, then one file a method.

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

To add one, write one file with a factory (model, *, convention, **hyper_parameters) -> Algorithm, and a line below.
"""

from functools import wraps

from . import and_mask, coral, dann, erm, fish, fishr, idgm, iga, irm, sand_mask, vrex
from .protocol import Algorithm
from .settings import BATCH_RANGE, PAPER_ADAM, log_uniform, shortened

MODULES = {
    "erm": erm,
    "irm": irm,
    "vrex": vrex,
    "fish": fish,
    "and_mask": and_mask,
    "sand_mask": sand_mask,
    "fishr": fishr,
    "iga": iga,
    "idgm": idgm,
    "coral": coral,
    "dann": dann,
}
CORE = ("erm", "irm", "vrex", "fish", "sand_mask", "fishr")  # what a comparison trains unless told otherwise
DEFAULTS = {name: module.DEFAULTS for name, module in MODULES.items()}
RANGES = {name: module.RANGES for name, module in MODULES.items()}
PENALTIES = {name: module.penalty for name, module in MODULES.items() if hasattr(module, "penalty")}


def that_says_its_settings(name):
    """A method's factory, whose algorithms know their settings."""
    factory = getattr(MODULES[name], name)

    @wraps(factory)
    def make(model, *, convention="paper", **hyper_parameters):
        algorithm = factory(model, convention=convention, **hyper_parameters)
        known = {"convention": convention, **DEFAULTS[name][convention], **hyper_parameters}
        return algorithm._replace(settings=dict(sorted(known.items())))

    return make


ALGORITHMS = {name: that_says_its_settings(name) for name in MODULES}
EXCEPTIONS = {name: getattr(module, "EXCEPTIONS", {}) for name, module in MODULES.items()}

__all__ = [
    "ALGORITHMS",
    "BATCH_RANGE",
    "CORE",
    "DEFAULTS",
    "EXCEPTIONS",
    "PAPER_ADAM",
    "PENALTIES",
    "RANGES",
    "Algorithm",
    "log_uniform",
    "shortened",
]
