"""chehx/DGDR: the penalty of its Fishr, called as its update calls it, with NUM_GROUPS of its settings."""

import re
from collections import OrderedDict
from types import SimpleNamespace

from common import defined, joined, nn, torch

from minifishr.conformance import check

MARK = "configs/datasets/GDRBench.yaml"
NAME = "chehx/DGDR"
METHODS = ("compute_fishr_penalty", "_get_grads", "_get_grads_var_per_domain", "_compute_distance_grads_var",
           "l2_between_dicts")  # fmt: skip
# BackPACK's hooks are not called by backward(inputs=...) of current PyTorch
HOOKS = ("inputs=list(self.classifier.parameters()), retain_graph", "retain_graph")


def penalty(checkout, groups):
    """What their update multiplies by its penalty weight."""
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    average = defined(checkout / "utils/misc.py", "MovingAverage").MovingAverage
    known = {"backpack": backpack, "BatchGrad": BatchGrad, "OrderedDict": OrderedDict}
    methods = defined(checkout / "algorithms.py", *METHODS, inside="Fishr", fixes=[HOOKS], **known).space

    def fishr(featurizer, classifier, domains):
        own = SimpleNamespace(num_groups=groups, classifier=extend(classifier))
        own.bce_extended = extend(nn.CrossEntropyLoss(reduction="none"))
        own.ema_per_domain = [average(0.95) for _ in range(groups)]
        own.optimizer = torch.optim.SGD(classifier.parameters(), 0.1)
        for name in METHODS:
            setattr(own, name, methods[name].__get__(own))
        x, y = (torch.cat([domain[i] for domain in domains]) for i in (0, 1))
        return own.compute_fishr_penalty(joined(featurizer, classifier)(x), y, [len(y)])

    return fishr


def checks(checkout):
    """(method, what, Result)."""
    groups = int(re.search(r"NUM_GROUPS: *(\d+)", (checkout / MARK).read_text()).group(1))
    found = check("fishr", penalty(checkout, groups), style="torch", logits="many")
    yield "fishr", f"penalty as update calls it, NUM_GROUPS {groups}, without inputs= in backward", found
