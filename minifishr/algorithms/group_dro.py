"""GroupDRO: descend on the domains whose risks have been large (distributionally robust optimization).

Source         Sagawa et al. 2020, arXiv:1911.08731
Equation       q_e <- q_e exp(eta R_e) / sum_f q_f exp(eta R_f), starting from equal q; J(theta) = sum_e q_e R_e
Normalization  the new q weigh, and are constants for the gradient; they are kept from update to update as logarithms
Departures     1. the paper convention only differs in the weight decay, where it does as the other methods' scripts
               2. info["risk"] is the mean of the risks, as for all methods; info["share"] is the largest q_e
"""

import autograd.numpy as np
from autograd import make_vjp

from ..losses import logsumexp, risks
from ..replay import replayed
from .problem import as_arrays, as_domains, classifier_problem
from .protocol import check_remembered, descent, recipes
from .settings import LR_RANGE, both, log_uniform, settings

DEFAULTS = both(eta=0.01)
RANGES = {**LR_RANGE, "eta": log_uniform(-3, -1)}
RECIPES = recipes()


def shares(R, memory, eta):
    """The logarithms of the new q, from risks (m,) and the old logarithms, (m,); () counts as equal ones."""
    grown = memory + eta * R
    return grown - logsumexp(np.reshape(grown, (1, -1)))


def group_dro(model, *, convention="paper", **hyper_parameters):
    """Group distributionally robust optimization."""
    chosen = settings("group_dro", DEFAULTS, convention, hyper_parameters)
    eta = chosen.pop("eta")

    @replayed
    def step(theta, memory, *arrays):
        vjp, R = make_vjp(lambda t: risks(*classifier_problem(model, t, as_domains(arrays))))(theta)
        logarithms = shares(R, memory, eta)
        return vjp(np.exp(logarithms)), R, logarithms

    def direction(theta, domains, weight, memory):
        check_remembered("group_dro", memory, domains)
        gradient, R, logarithms = step(theta, memory, *as_arrays(model, theta, domains))
        return gradient, logarithms, {"risk": float(R.mean()), "share": float(np.exp(logarithms.max()))}

    return descent("group_dro", model, direction, RECIPES[convention], **chosen)
