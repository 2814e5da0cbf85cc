"""huawei-noah/Federated-Learning: the IRM of flsuite, by its update."""

from types import SimpleNamespace

from common import defined, joined, torch

from minifishr.conformance import check

MARK = "Federated_Domain_Generalization/flsuite/algs/trainers.py"
NAME = "huawei-noah/Federated-Learning, flsuite"


class Kept(Exception):
    """Carries the penalty out of their update."""


class Weight:
    """A penalty weight that hands out what it is to multiply."""

    def __mul__(self, value):
        """Stop there."""
        raise Kept(value)


def penalty(checkout):
    """What an update multiplies by its penalty weight."""
    utils = SimpleNamespace(eval=SimpleNamespace(acc_fn=lambda *given: 0.0))
    irm = defined(checkout / MARK, "update", "_irm_penalty_scalar", inside="IRM", utils=utils)

    def of_an_update(featurizer, classifier, domains):
        own = SimpleNamespace(
            forward=joined(featurizer, classifier), criterion=torch.nn.CrossEntropyLoss(), _get_device=lambda: "cpu",
            update_count=torch.tensor(0), activate_after=-1, penalty_weight=Weight(),
        )  # fmt: skip
        own._irm_penalty = lambda logits, y: irm._irm_penalty_scalar(own, logits, y)
        try:
            irm.update(own, domains)
        except Kept as found:
            return found.args[0]

    return of_an_update


def checks(checkout):
    """(method, what, Result) of each."""
    yield "irm", "update, scalar=True", check("irm", penalty(checkout), style="torch", logits="many")
