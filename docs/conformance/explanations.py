"""gibipara92/learning-explanations-hard-to-vary: the AND-mask's authors, with their two options."""

from itertools import product

from common import F, defined, joined, torch

from minifishr.conformance import check_steps

MARK = "and_mask/and_mask_utils.py"
NAME = "gibipara92/learning-explanations-hard-to-vary"


def made(theirs, method, rescaled):
    """Their gradients in Adam, all domains stacked as their training does."""

    def make_update(featurizer, classifier, settings):
        network = joined(featurizer, classifier)
        parameters = [*network.parameters()]
        adam = torch.optim.Adam(parameters, lr=settings["lr"], weight_decay=settings["weight_decay"])

        def update(domains):
            x, y = (torch.cat(part) for part in zip(*domains, strict=True))
            m, n = len(domains), len(domains[0][1])
            theirs(settings["tau"], n, F.cross_entropy, m, parameters, network(x), y, method, rescaled)
            adam.step()

        return update

    return make_update


def checks(checkout):
    """(method, what, Result) of each."""
    for method, rescaled in product(("and_mask", "geom_mean"), (1, 0)):
        what, fixes = f"get_grads, {method}, scale_grad_inverse_sparsity {rescaled}", ()
        if (method, rescaled) == ("geom_mean", 1):  # the mask's mean in float32 moves theta by 3e-7 of the way
            what, fixes = f"{what}, the mask in float64", [("mask.to(torch.float32)", "mask.to(torch.float64)")]
        theirs = defined(checkout / MARK, "get_grads", fixes=fixes).get_grads
        found = check_steps("and_mask", made(theirs, method, rescaled), style="torch", logits="many", rows="equal")
        yield "and_mask", what, found
