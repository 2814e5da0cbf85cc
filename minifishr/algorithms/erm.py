"""ERM: make the mean training risk small, and nothing else.

Source         Vapnik 1998, Statistical Learning Theory
Equation       J(theta) = mean_e R_e
Normalization  mean over samples, then over domains (paper); mean over all samples (domainbed)
Departures     none known
"""

from autograd import value_and_grad

from ..replay import replayed
from .problem import as_arrays, as_domains, classifier_rows
from .protocol import RECIPES, descent, mean_risk
from .settings import LR_RANGE, both, settings

DEFAULTS = both()
RANGES = LR_RANGE


def erm(model, *, convention="paper", **hyper_parameters):
    """Empirical risk minimization."""
    chosen = settings("erm", DEFAULTS, convention, hyper_parameters)
    pooled = convention == "domainbed"

    @replayed
    def step(theta, *arrays):
        domains = as_domains(arrays)

        def objective(t):
            head, w, seen, rows = classifier_rows(model, t, domains)
            return mean_risk(head, w, seen, pooled, rows)

        return value_and_grad(objective)(theta)

    def direction(theta, domains, weight, memory):
        risk, gradient = step(theta, *as_arrays(model, theta, domains))
        return gradient, memory, {"risk": float(risk)}

    return descent("erm", model, direction, RECIPES[convention], **chosen)
