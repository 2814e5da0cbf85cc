"""chenyuen0103/DomainBed: the penalties of CMA, for Hessians and for gradients, on features with a column of ones."""

from types import SimpleNamespace

from common import defined, joined, torch
from domainbed import MANY

from minifishr import ALGORITHMS
from minifishr.algorithms import DEFAULTS
from minifishr.conformance import check

MARK = "domainbed/calc_step_time.py"
NAME = "chenyuen0103/DomainBed"
METHODS = ("hessian", "hessian_pen", "grad_pen", "gradient")


def penalty(checkout, weight):
    """The Hessians' penalty plus weight times the gradients', as exact_hessian_loss calls them."""
    methods = defined(checkout / "domainbed/algorithms.py", *METHODS, inside="CMA").space
    own = SimpleNamespace()
    for name in METHODS:
        setattr(own, name, methods[name].__get__(own))

    def cma(featurizer, classifier, domains):
        x, y = (torch.cat([domain[i] for domain in domains]) for i in (0, 1))
        numbers = torch.cat([torch.full_like(domain[1], e) for e, domain in enumerate(domains)])
        features = torch.cat([torch.ones(len(x), 1), featurizer(x)], dim=1)
        logits = joined(featurizer, classifier)(x)
        return own.hessian_pen(features, logits, numbers, y) + weight * own.grad_pen(features, logits, y, numbers)

    return cma


def checks(checkout):
    """(method, what, Result)."""
    if "cma" in ALGORITHMS:
        weight = DEFAULTS["cma"]["domainbed"]["gradient_weight"]
        yield "cma", f"hessian_pen + {weight:g} grad_pen", check("cma", penalty(checkout, weight), **MANY)
