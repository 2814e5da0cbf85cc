"""Fish: walk through the domains one after the other, then go part of that way.

To second order in the inner step, the walk is the ERM step plus a step that increases the inner products of the
domains' gradients: what helps one domain should help the others.

Source         Shi et al. 2022, arXiv:2104.09937
Equation       theta <- theta + meta_lr / m * (theta~ - theta)     paper
               theta <- theta + meta_lr * (theta~ - theta)         domainbed
               theta~ = theta after one Adam step on each domain's risk in turn
Normalization  paper: random order, Adam with AMSGrad. domainbed: fixed order, plain Adam. The inner Adam's state goes
               on from one update to the next in both.
Departures     1. all m domains take part in each update, where the authors' code can draw fewer
               2. the authors restart the inner Adam on some of their data sets
               3. the paper convention doubles weight_decay, as for all methods: the authors' Adam with 0.1 is our 0.05
               4. info["risk"] is the mean of the risks met on the walk, each before its step
"""

import numpy as np

from ..optimizers import adam
from .protocol import RECIPES, Algorithm, State, as_arrays, check_domains, risk_and_gradient
from .settings import DOMAINBED_ADAM, LR_RANGE, PAPER_ADAM, choice, settings

DEFAULTS = {"paper": {**PAPER_ADAM, "meta_lr": 0.5, "seed": 0}, "domainbed": {**DOMAINBED_ADAM, "meta_lr": 0.5}}
RANGES = {**LR_RANGE, "meta_lr": choice(0.05, 0.1, 0.5)}
# what check_algorithm must not expect: the walk takes the domains in turn
EXCEPTIONS = {"ordered_domains": True}


def walk(model, theta, state, domains, optimizer, one=None):
    """One optimizer step on each domain in turn: (theta~, optimizer state, risks on the way).

    one(theta, x, y) is a domain's risk and gradient, where there is a recording of it already.
    """
    met, one = [], one or risk_and_gradient(model)
    for domain in domains:
        value, gradient = one(theta, *as_arrays(model, theta, [domain]))
        theta, state = optimizer.update(theta, gradient, state)
        met.append(value)
    return theta, state, met


def fish(model, *, convention="paper", **hyper_parameters):
    """Gradient matching by a first-order meta step."""
    chosen = settings("fish", DEFAULTS, convention, hyper_parameters)
    paper = convention == "paper"
    decay = RECIPES[convention].decay * chosen["weight_decay"]
    optimizer = adam(chosen["lr"], weight_decay=decay, amsgrad=paper)

    one = risk_and_gradient(model)

    def init(theta):
        return State(0, optimizer.init(theta), np.zeros((), theta.dtype))

    def update(theta, state, domains):
        check_domains("fish", model, domains, 2)
        m = len(domains)
        order = np.random.default_rng([chosen["seed"], state.step]).permutation(m) if paper else range(m)
        walked, inner, met = walk(model, theta, state.optimizer, [domains[e] for e in order], optimizer, one)
        share = chosen["meta_lr"] / m if paper else chosen["meta_lr"]
        theta = theta + share * (walked - theta)
        return theta, state._replace(step=state.step + 1, optimizer=inner), {"risk": float(np.mean(met))}

    return Algorithm("fish", init, update)
