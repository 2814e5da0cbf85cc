"""The gallery of known mistakes: a name, what is done in words, where it was seen, and the wrong penalties.

A `seen` is a file (repository, path, line, commit) or a thread that was read. It is where the same thing can be looked
at, as a fact: some of these threads ended in a correction long ago, and some files differ on purpose.
"""

from typing import NamedTuple

import autograd.numpy as np

from . import wrong
from .wrong import DEVIATING, SUMMED

CONVENTIONS = ("paper", "domainbed")


class Mistake(NamedTuple):
    """One entry; `penalties` maps a method to wrong penalties."""

    name: str
    words: str
    seen: str
    penalties: dict


def roots(method):
    """Sum over domains of the root of each term, and the root of the sum."""
    return [wrong.of_terms(method, lambda t: np.sum(np.sqrt(t))), wrong.of_terms(method, lambda t: np.sqrt(np.sum(t)))]


GALLERY = [
    Mistake(
        "one domain only",
        "the terms of the other domains are left out",
        "",
        {**{name: [wrong.one(name, 0)] for name in SUMMED}, "irm": [wrong.one("irm", 0), wrong.halves_of(0)]},
    ),
    Mistake(
        "the last domain only",
        "each domain's term takes the place of the one before it, as in a loop without a sum",
        "huawei-noah/Federated-Learning a50b474, flsuite/algs/trainers.py, lines 201 and 210",
        {**{name: [wrong.one(name, -1)] for name in SUMMED}, "irm": [wrong.one("irm", -1), wrong.halves_of(-1)]},
    ),
    Mistake(
        "a domain twice",
        "the domain before the last stands in the place of the last",
        "capybaralet/REx_code_release 47dfb3a, domain_generalization/train_jigsaw.py, lines 134 and 149",
        {name: [wrong.twice(name, c) for c in CONVENTIONS] for name in (*SUMMED, "idgm", "coral")},
    ),
    Mistake(
        "domains pooled",
        "the rows of all domains are treated as one domain",
        "",
        {"irm": [wrong.pooled]},
    ),
    Mistake(
        "covariance without centering",
        "the mean of the features is not taken away, or not in full",
        "divelab/GOOD fff0e2d, GOOD/ood_algorithms/algorithms/Coral.py, line 34",
        {
            "coral": [
                *wrong.both(lambda a: a.T @ a / (len(a) - 1)),
                *wrong.both(lambda a: a.T @ a / len(a)),
                *wrong.both(lambda a: (a.T @ a - np.outer(*2 * [np.sum(a, axis=0) / len(a)])) / (len(a) - 1)),
            ]
        },
    ),
    Mistake(
        "biased covariance",
        "it is divided by n in the place of n - 1",
        "",
        {"coral": wrong.both(lambda a: wrong.centered(a, 0))},
    ),
    Mistake(
        "covariance not divided by the rows",
        "it is the sum over rows, which grows with their number",
        "SSARCandy/DeepCORAL issue 17",
        {"coral": wrong.both(lambda a: (len(a) - 1) * wrong.centered(a))},
    ),
    Mistake(
        "a scale per logit",
        "each class, or each logit of each row, has a scale of its own, and the squared slopes are added up",
        "capybaralet/REx_code_release 47dfb3a, domain_generalization/train_jigsaw.py, line 70",
        {
            "irm": [
                wrong.squared_slopes(0),
                wrong.squared_slopes(1),
                wrong.squared_slopes(None),
                wrong.squared_slopes(None, lambda n: n),
            ]
        },
    ),
    Mistake(
        "per-sample gradients of the mean loss",
        "each is too small by the number of rows of its domain, the penalty by its fourth power",
        "f-dangel/backpack issue 49",
        {"fishr": [wrong.spread(wrong.variance_of_shares)]},
    ),
    Mistake(
        "sum of the losses for their mean",
        "a domain counts more the more rows it has",
        "facebookresearch/DomainBed issue 41, which asks about it",
        {
            "irm": [wrong.summed("irm", c) for c in CONVENTIONS],
            **{name: [wrong.summed(name, "paper")] for name in ("vrex", "iga")},
        },
    ),
    Mistake(
        "distance not squared",
        "the root makes the pull as strong near the goal as far from it",
        "jindongwang/transferlearning issue 179",
        {
            **{name: roots(name) for name in DEVIATING},
            "coral": [
                wrong.coral(wrong.centered, lambda p, C: np.sqrt(np.sum(C**2)) / len(C) ** 2),
                wrong.coral(wrong.centered, lambda p, C: np.sqrt(np.sum(p**2)) + np.sqrt(np.sum(C**2))),
                wrong.coral(wrong.centered, lambda p, C: np.sqrt(np.sum(p**2) / len(p)) + np.sqrt(np.mean(C**2))),
            ],
        },
    ),
    Mistake(
        "distance squared twice",
        "the norm of the squared entries is taken, whose square is a sum of fourth powers",
        "agrija9/Deep-Unsupervised-Domain-Adaptation issue 3",
        {"coral": [wrong.coral(wrong.centered, lambda p, C: np.sqrt(np.sum(C**4)) / len(C) ** 2)]},
    ),
    Mistake(
        "self-pairs counted",
        "the pairs of a domain with itself are in the mean",
        "thuml/Transfer-Learning-Library issue 186, which asks how pairs are counted",
        {"idgm": [wrong.self_pairs]},
    ),
    Mistake(
        "average of squares for square of the average",
        "the rows are squared before they are averaged, so that even noise around 0 is penalized",
        "facebookresearch/InvariantRiskMinimization issue 7",
        {"irm": [wrong.squared_slopes(1, lambda n: n)]},
    ),
    Mistake(
        "square of the average for average of squares",
        "the mean gradient is squared, in which the rows cancel",
        "kuc2477/pytorch-ewc issue 1, of the Fisher information",
        {"fishr": [wrong.spread(wrong.mean_gradient_squared)]},
    ),
]
