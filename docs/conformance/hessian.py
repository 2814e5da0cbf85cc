"""huawei-noah/Federated-Learning: HGP and Hutchinson of HessianAlignment, whole updates."""

from common import recorded
from domainbed import MANY, updates

from minifishr import ALGORITHMS
from minifishr.conformance import check_steps

MARK = "HessianAlignment/domainbed/algorithms.py"
NAME = "huawei-noah/Federated-Learning"
METHODS = {"hgp": "HGP", "hutchinson": "Hutchinson"}


def checks(checkout):
    """(method, what, Result) of each; they have no warm-up."""
    for method, name in METHODS.items():
        if method in ALGORITHMS:
            made = updates(checkout / "HessianAlignment", name)
            yield method, "update", check_steps(method, made, recorded(method, warm_up=0), **MANY)
