"""divelab/GOOD: the losses that CORAL and V-REx add, with rows in the place of graphs."""

from types import SimpleNamespace

from common import F, defined, joined, torch

from minifishr.conformance import check

MARK = "GOOD/ood_algorithms/algorithms/Coral.py"
NAME = "divelab/GOOD"


def added(checkout, file, name, *more):
    """What a loss adds to the mean loss, with weight 1."""
    names = defined(checkout / f"GOOD/ood_algorithms/algorithms/{file}.py", "loss_postprocess", *more)

    def penalty(featurizer, classifier, domains):
        x, y = (torch.cat([domain[i] for domain in domains]) for i in (0, 1))
        ids = torch.cat([torch.full_like(domain[1], e) for e, domain in enumerate(domains)])
        config = SimpleNamespace(
            device="cpu", dataset=SimpleNamespace(num_envs=len(domains)), ood=SimpleNamespace(ood_param=1.0)
        )
        loss = F.cross_entropy(joined(featurizer, classifier)(x), y, reduction="none")
        own = SimpleNamespace(feat=featurizer(x))
        names.loss_postprocess(own, loss, SimpleNamespace(env_id=ids), torch.ones_like(loss), config)
        return own.spec_loss

    return penalty


def checks(checkout):
    """(method, what, Result) of each."""
    many = {"style": "torch", "logits": "many"}
    yield "vrex", "loss_postprocess", check("vrex", added(checkout, "VREx", "VREx"), **many)
    yield "coral", "loss_postprocess", check("coral", added(checkout, "Coral", "Coral", "compute_covariance"), **many)
