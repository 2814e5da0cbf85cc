"""The methods, in teaching order.

    objective(theta) = mean_e R_e(theta) + lambda * distance(phi_1(theta), ..., phi_m(theta))

    method      statistic phi_e of domain e            distance
    erm         none                                   0
    irm         dR_e(s * logits)/ds at s = 1           mean of squares
    vrex        the risk R_e                           variance over domains
    fish        (no penalty)                           a meta step after one step on each domain
    sand_mask   the mean gradient g_e                  (no penalty) a soft mask on the mean gradient
    fishr       the gradient variance v_e              squared deviations from their mean

To add one, write one file with a factory (model, *, convention, **hyper_parameters) -> Algorithm, and a line below.
"""

from . import erm, fish, fishr, irm, sand_mask, vrex
from .protocol import Algorithm

MODULES = {"erm": erm, "irm": irm, "vrex": vrex, "fish": fish, "sand_mask": sand_mask, "fishr": fishr}
ALGORITHMS = {name: getattr(module, name) for name, module in MODULES.items()}
DEFAULTS = {name: module.DEFAULTS for name, module in MODULES.items()}

__all__ = ["ALGORITHMS", "DEFAULTS", "Algorithm"]
