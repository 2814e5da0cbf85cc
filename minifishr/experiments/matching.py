"""Matched penalty weights: in units of the penalty's own size, because lambda does not travel between networks.

Fishr's penalty grows with the fourth power of the features and falls with the width of the network; IRM's and V-REx's
keep their size. A matched weight w means lambda = w * risk / penalty. One rule for all methods: risk and penalty are
what the method's own update reports on all rows of the training domains where its warm-up ends, or, where there is no
warm-up, after 1 500 of 5 000 steps of ERM. What the update remembers (Fishr's `ema`) counts. The test domain is never
looked at.
"""

from ..algorithms import log_uniform, shortened
from ..replay import off

MATCHED = ("irm", "vrex", "fishr", "iga", "coral")  # methods with one penalty, which is above zero
WEIGHT = 10.0  # unless said or drawn
WEIGHTS = log_uniform(-1, 3.5)
STEPS = 1_500  # of 5 000
PENALTY_WEIGHT = "penalty weight"  # the metric by which a history says the lambda that was used


def matched_weight(config, factory, model, theta, batches, train):
    """The lambda that a configuration's matched penalty weight stands for, from theta (d,) where training starts.

    ValueError where risk or penalty is not above zero.
    """
    chosen = {**config.hyper_parameters, "penalty_weight": 0.0}
    algorithm = factory(model, convention=config.convention, **chosen)
    state, steps = algorithm.init(theta), min(chosen.get("warm_up") or shortened(STEPS, config.steps), config.steps)
    for step in range(steps):
        theta, state, _ = algorithm.update(theta, state, batches(step))
    with off():  # a recording would keep the values of all rows
        _, _, info = algorithm.update(theta, state, train)
    return in_units(config.algorithm, config.hyper_parameters["penalty_weight"], steps, **info)


def in_units(name, weight, steps, *, risk, penalty):
    """weight * risk / penalty; ValueError where one of the two is not above zero."""
    for what, value in (("risk", risk), ("penalty", penalty)):
        if not value > 0:
            raise ValueError(
                f"{name}: a matched penalty weight needs a {what} above 0 after {steps} steps, got {value:.3g}"
            )
    return weight * risk / penalty


def matching(configs):
    """The sentence of a caption about matched weights; nothing where there are none."""
    names = list(dict.fromkeys(config.algorithm for config in configs if config.matched))
    if names:
        yield (
            f"Penalty weights of {', '.join(names)} are matched: in units of risk / penalty, both on all rows of the "
            f"training domains where the warm-up ends, or after {STEPS} of 5000 steps of ERM where there is none"
        )
