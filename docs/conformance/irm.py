"""facebookresearch/InvariantRiskMinimization: the Colored MNIST script, its penalty and its whole loop."""

from common import defined, joined, mean
from scripts import options, turns

from minifishr.conformance import check, check_steps

MARK = "code/colored_mnist/main.py"
NAME = "facebookresearch/InvariantRiskMinimization"
TWO = {"style": "torch", "domains": 2, "logits": "one"}


def checks(checkout):
    """(method, what, Result) of each."""
    path = checkout / MARK
    names = defined(path, "mean_nll", "penalty")

    def penalty(featurizer, classifier, domains):
        network = joined(featurizer, classifier)
        return mean(names.penalty(network(x), y[:, None].to(x.dtype)) for x, y in domains)

    yield "irm", "penalty", check("irm", penalty, style="torch", logits="one")
    made = turns(path, joined, ("mean_nll", "mean_accuracy", "penalty"), options)
    yield "irm", "training loop", check_steps("irm", made, **TWO)
