"""Which run of a random search counts: DomainBed's three rules, as functions of the records of a sweep.

A search is what was run with one data set, method, left-out domain and seed: some draws of hyper-parameters. A rule
gives each draw a score at some of its steps, and the best score chooses draw and step. What a table shows is the
accuracy of that run at that step on the left-out domain. A run that failed cannot be chosen.

Source      Gulrajani and Lopez-Paz 2020, arXiv:2007.01434
Departures  1. of equals the first draw and step win, in DomainBed's code the last draw
            2. all seeds search the same draws, theirs draw anew for each seed
            3. the standard error in the tables divides by n - 1, theirs by n
"""

from math import comb
from operator import attrgetter
from statistics import fmean
from typing import NamedTuple

import numpy as np

from ..evaluate import measured, validation_scores
from ..experiments import MOST_PREDICTED, check_known

CONSTANT = 0.99


class Rule(NamedTuple):
    """`scores(run, others) -> {step: score}` of one draw, and what it prefers, in words."""

    scores: callable
    words: str


class Choice(NamedTuple):
    """Draw and step that a rule chose, their score, and the accuracy there on the left-out domain, in [0, 1]; the share
    of the most frequent prediction there, None where it was not recorded; and the mean accuracy on held-out rows of the
    training domains, None where none were held out."""

    draw: int
    step: int
    score: float
    accuracy: float
    share: float | None = None
    trained: float | None = None

    @property
    def constant(self):
        """Whether the predictions are all the same but for one in a hundred."""
        return self.share is not None and self.share > CONSTANT


def searches(records):
    """(data set, method, left-out domain, seed) -> draw -> (run, {other domain: the run that leaves out both}).

    Draws are in order, failed runs are not there. A run that leaves out two domains belongs to two searches.
    """
    runs, others = {}, {}
    for record in sorted((r for r in records if r.failure is None), key=lambda r: r.config.draw):
        config, names = record.config, record.config.left_out
        for name in names:
            key, draw = (config.dataset, config.algorithm, name, config.seed), config.draw
            if len(names) == 1:
                runs.setdefault(key, {})[draw] = record
            for other in {*names} - {name}:
                others.setdefault((key, draw), {})[other] = record
    return {key: {n: (run, others.get((key, n), {})) for n, run in draws.items()} for key, draws in runs.items()}


def training_scores(run, others):
    """The mean accuracy on held-out rows of the training domains at each step."""
    return validation_scores(run.history)


def training_names(run):
    """The names of the training domains in their order: those of which rows were held out."""
    return list(dict.fromkeys(row.domain for row in run.history if row.metric == "validation accuracy"))


def leave_one_out_scores(run, others):
    """The accuracy on a domain left out in addition, mean over these domains, at each step.

    Nothing unless each training domain was left out in addition once.
    """
    if not others or {*others} != {*training_names(run)}:
        return {}
    curves = {name: measured(other.history, "accuracy") for name, other in others.items()}
    steps = [step for step in measured(run.history, "accuracy") if all(step in curve for curve in curves.values())]
    return {step: fmean(curve[step][name] for name, curve in curves.items()) for step in steps}


def oracle_scores(run, others):
    """The accuracy on held-out rows of the left-out domain at the last step; nothing where no rows were held out."""
    return dict(list(early_scores(run, others).items())[-1:])


def early_scores(run, others):
    """The same at each step but 0, where an untrained network is as good as chance has made it."""
    found = measured(run.history, "oracle accuracy")
    return {step: by[run.config.test_domain] for step, by in found.items() if step}


RULES = {
    "training-domain validation": Rule(
        training_scores, "the draw and step with the best mean accuracy on held-out rows of the training domains"
    ),
    "leave-one-domain-out": Rule(
        leave_one_out_scores,
        "the draw and step with the best accuracy on a training domain when that is left out too, mean over these",
    ),
    "oracle": Rule(
        oracle_scores,
        "the draw with the best accuracy on held-out rows of the left-out domain itself, at the last step",
    ),
}
EARLY = "oracle with early stopping"  # not among DomainBed's: what the last step costs
EARLY_RULE = Rule(early_scores, "the draw and step with the best accuracy on the oracle's rows, after step 0")
ALL_RULES = {**RULES, EARLY: EARLY_RULE}


def candidates(rule, draw, run, others):
    """What a rule could choose in one draw: a Choice for each step that has a score."""
    name, trained = run.config.test_domain, validation_scores(run.history)
    accuracy, share = measured(run.history, "accuracy"), measured(run.history, MOST_PREDICTED)
    return [
        Choice(draw, step, score, accuracy[step][name], share.get(step, {}).get(name), trained.get(step))
        for step, score in ALL_RULES[rule].scores(run, others).items()
    ]


def chosen(rule, draws, constant, least):
    """The Choice of a rule in one search, the first of equals; None where no draw has a score that may be chosen."""
    found = [choice for draw, pair in draws.items() for choice in candidates(rule, draw, *pair)]
    found = [choice for choice in found if constant or not choice.constant]
    found = [choice for choice in found if least is None or (choice.trained or 0) >= least]
    return max(found, key=attrgetter("score"), default=None)


def choices(records, rule, constant=True, least=None):
    """(data set, method, left-out domain, seed) -> Choice, where there is one.

    Without `constant` those that predict (nearly) one class cannot be chosen, and with `least` none that has a lower
    accuracy on held-out rows of its training domains: an oracle also likes a network that is at chance there.
    ValueError for an unknown rule, or a `least` outside [0, 1].
    """
    check_known("rule", rule, ALL_RULES)
    if least is not None and not 0 <= least <= 1:
        raise ValueError(f"choices: least={least!r} must be a share from 0 to 1")
    found = {key: chosen(rule, draws, constant, least) for key, draws in searches(records).items()}
    return {key: choice for key, choice in found.items() if choice}


def expected_best(scores, accuracies):
    """The accuracy of the best-scored of k draws, the mean over all orders of drawing, (n,), (n,) -> (n,) for k = 1..n.

    The draw with rank r is the best of the first k in C(n-1-r, k-1) of the C(n, k) cases. Of equals the first wins.
    """
    n, ranked = len(scores), np.asarray(accuracies)[np.argsort(-np.asarray(scores), kind="stable")]
    return np.array(
        [sum(comb(n - 1 - r, k - 1) / comb(n, k) * a for r, a in enumerate(ranked)) for k in range(1, n + 1)]
    )


def best_in_orders(scores, accuracies, orders):
    """The accuracy of the best-scored of the first k draws of some orders, (n,), (n,), (orders,n) -> (orders,n); of
    equals the first in the arrays wins."""
    by_rank = np.argsort(-np.asarray(scores), kind="stable")
    rank = np.argsort(by_rank)
    return np.asarray(accuracies)[by_rank[np.minimum.accumulate(rank[orders], axis=1)]]
