"""Colored MNIST scripts of the IRM family: whole turns of their training loop, on the cases instead of the images."""

from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
from common import NAMES, defined, loop, run, torch


def environments(domains):
    """Two training domains as their scripts have them, and two test domains that nothing depends on."""
    return [{"images": x, "labels": y[:, None].to(x.dtype)} for x, y in [*domains, *domains]]


def turns(path, script, names, flags, known=None, fixes=()):
    """A make_update that runs the loop body of a script.

    script(featurizer, classifier) is their `mlp`; names are the functions of the file that the loop calls; flags map
    their options to ours, (settings) -> dict.
    """

    def make_update(featurizer, classifier, settings):
        space = {
            **NAMES, "np": np, "OrderedDict": OrderedDict, "mlp": script(featurizer, classifier), "use_cuda": False,
            "pretty_print": lambda *given: None, "flags": SimpleNamespace(**flags(settings)), "i": 0, "num_batches": 1,
            **(known or {}),
        }  # fmt: skip
        functions(path, names, space, fixes)
        space["optimizer"] = torch.optim.Adam([*featurizer.parameters(), *classifier.parameters()], lr=settings["lr"])
        body, steps = loop(path, "step"), iter(range(1_000))

        def update(domains):
            space.update(envs=environments(domains), step=next(steps))
            run(body, path, space)

        return update

    return make_update


def functions(path, names, space, fixes):
    """Define functions of a file inside a namespace that is the loop's too."""
    found = defined(path, *names, fixes=fixes, **space).space
    space.update({name: found[name] for name in names})
    found.update(space)


def options(settings, **more):
    """The options that these scripts share."""
    return {
        "l2_regularizer_weight": settings["weight_decay"], "penalty_anneal_iters": settings.get("warm_up", 0),
        "penalty_weight": settings.get("penalty_weight", 0.0), "grayscale_model": False, **more,
    }  # fmt: skip
