"""Matched penalty weights: in units of the penalty's own size, because lambda does not travel between networks.

Fishr's penalty grows with the fourth power of the features and falls with the width of the network; IRM's and V-REx's
keep their size. A matched weight w means lambda = w * risk / penalty. One rule for all methods: risk and penalty are
what the method's own update reports on all rows of the training domains where its warm-up ends, or, where there is no
warm-up, after 1 500 of 5 000 steps of ERM. What the update remembers (Fishr's `ema`) counts. Of two terms only the
first is matched, which in the Hessians' methods is the Hessians'; the other has no weight up to there, and its own
after it. The test domain is never looked at.
"""

import numpy as np

from ..algorithms import SECOND_WEIGHTS, log_uniform, shortened
from ..replay import off

# methods whose penalty is above zero and not DANN's, the risk of another network
MATCHED = ("irm", "vrex", "fishr", "iga", "coral", "hutchinson", "hgp", "cma", "ib_erm", "ib_irm", "mmd", "sd")
WEIGHT = 10.0  # unless said or drawn
WEIGHTS = log_uniform(-1, 3.5)
STEPS = 1_500  # of 5 000
PENALTY_WEIGHT = "penalty weight"  # the metric by which a history says the lambda that was used


def matched_weight(config, factory, model, theta, batches, train):
    """The lambda that a configuration's matched penalty weight stands for, from theta (d,) where training starts.

    ValueError where risk or penalty is not above zero.
    """
    chosen = {**config.hyper_parameters, "penalty_weight": 0.0}
    chosen |= {key: 0.0 for key in SECOND_WEIGHTS if key in chosen}
    algorithm = factory(model, convention=config.convention, **chosen)
    state, steps = algorithm.init(theta), steps_before(config)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
        for step in range(steps):
            theta, state, _ = algorithm.update(theta, state, batches(step))
        with off():  # a recording would keep the values of all rows
            _, _, info = algorithm.update(theta, state, train)
    return in_units(config.algorithm, config.hyper_parameters["penalty_weight"], steps, **info)


def steps_before(config):
    """The steps after which a matched configuration measures."""
    return min(config.hyper_parameters.get("warm_up") or shortened(STEPS, config.steps), config.steps)


def in_units(name, weight, steps, *, risk, penalty):
    """weight * risk / penalty; ValueError where one of the two is not above zero."""
    for what, value in (("risk", risk), ("penalty", penalty)):
        if not 0 < value < np.inf:
            raise ValueError(
                f"{name}: a matched penalty weight needs a finite {what} above 0 after {steps} steps, got {value:.3g}"
            )
    return weight * risk / penalty


def titled(title, configs):
    """A title that says so where some configurations are matched."""
    return title + ", matched" * any(config.matched for config in configs)


def matching(configs):
    """The sentence of a caption about matched weights; nothing where there are none."""
    names = list(dict.fromkeys(config.algorithm for config in configs if config.matched))
    if names:
        yield (
            f"Penalty weights of {', '.join(names)} are matched: in units of risk / penalty, both on all rows of the "
            f"training domains where the warm-up ends, or after {STEPS} of 5000 steps of ERM where there is none"
        )
