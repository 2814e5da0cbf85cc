"""alexrame/fishr: the authors' Colored MNIST script, its penalties and its whole loop."""

from collections import OrderedDict
from types import SimpleNamespace

from common import defined, recorded, torch
from scripts import options, turns

from minifishr.conformance import check, check_steps

MARK = "coloredmnist/train_coloredmnist.py"
NAME = "alexrame/fishr"
ALGORITHMS = {"erm": "erm", "irm": "irm", "vrex": "rex", "fishr": "fishr"}
VARIANTS = ("fishr", "fishr_notcentered", "fishr_offdiagonal")
TWO = {"style": "torch", "domains": 2, "logits": "one"}
NAMES = ("mean_nll", "mean_accuracy", "compute_irm_penalty", "compute_grads_variance", "l2_between_grads_variance")
# BackPACK's hooks are not called by backward(inputs=...) of current PyTorch
HOOKS = ("inputs=list(classifier.parameters()), retain_graph", "retain_graph")


def backpack():
    """What the script has of BackPACK."""
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    return {"backpack": backpack, "BatchGrad": BatchGrad, "bce_extended": extend(torch.nn.BCEWithLogitsLoss())}, extend


def penalty(path, algorithm, fixes=()):
    """The penalty of two domains, put together from the script's functions as its loop does."""
    known, extend = backpack()
    names = defined(path, "compute_grads_variance", "l2_between_grads_variance", fixes=fixes, OrderedDict=OrderedDict,
                    flags=SimpleNamespace(algorithm=algorithm), **known)  # fmt: skip

    def fishr(featurizer, classifier, domains):
        extend(classifier)
        one, two = (names.compute_grads_variance(featurizer(x), y[:, None].to(x.dtype), classifier) for x, y in domains)
        middle = {name: (one[name] + two[name]) / 2 for name in one}
        return sum(names.l2_between_grads_variance(each, middle) for each in (one, two))

    return fishr


class Network(torch.nn.Module):
    """Their `mlp`: features and logits at once."""

    def __init__(self, featurizer, classifier):
        super().__init__()
        self.featurizer, self.classifier = featurizer, backpack()[1](classifier)

    def forward(self, x):
        """(features, logits)."""
        features = self.featurizer(x)
        return features, self.classifier(features)


def checks(checkout):
    """(method, what, Result) of each."""
    path = checkout / MARK
    yield "fishr", "penalty", check("fishr", penalty(path, "fishr"), **TWO)
    for variant in VARIANTS:
        found = check("fishr", penalty(path, variant, [HOOKS]), **TWO)
        yield "fishr", f"penalty, --algorithm {variant}, without inputs= in backward", found
    for method, algorithm in ALGORITHMS.items():
        flags = lambda settings, name=algorithm: options(settings, algorithm=name)  # noqa: E731
        made = turns(path, Network, NAMES, flags, backpack()[0], [HOOKS])
        yield (
            method,
            f"training loop, --algorithm {algorithm}",
            check_steps(method, made, recorded(method, ema=0.0), **TWO),
        )
