"""Penalties and updates of PyTorch modules: penalty(featurizer, classifier, domains), domains a list of (x, y) tensors.

featurizer is a Sequential of Linear and ReLU, classifier a Linear; y are integers, also for one logit. DANN's
discriminator, a Sequential, comes as a fourth argument called `discriminator`.
"""

import numpy as np

from .trials import Trouble, beside, number, takes


def torch():
    """PyTorch; ValueError where it is not installed."""
    try:
        import torch
    except ImportError:
        raise ValueError("style='torch' needs PyTorch, which is not installed: pip install torch") from None
    return torch


def torch_style(penalty, case, dtype):
    """What a penalty gives on a case, with the gradient for all parameters of both modules."""
    library = torch()
    featurizer, classifier = modules(case.model, case.theta, dtype)
    domains = tensors(case, dtype)
    more = {"discriminator": sequential(case.critic, case.w, dtype)} if takes(penalty, "discriminator") else {}
    found = penalty(featurizer, classifier, domains, **more)
    if not isinstance(found, library.Tensor):
        raise Trouble(f"gave {type(found).__name__} on case {case}, expected a tensor of one number")
    if str(found.dtype) in ("torch.bfloat16", "torch.float16"):
        raise Trouble(f"gave a number of {found.dtype} on case {case}: too coarse to compare, use float32 or float64")
    value, kind = number(found.detach().cpu().numpy(), case)
    unchanged(case, featurizer, classifier, domains, dtype)
    parameters = [*featurizer.parameters(), *classifier.parameters()]
    slopes = [None] * len(parameters)
    if found.requires_grad:
        slopes = library.autograd.grad(found.reshape(()), parameters, allow_unused=True)
    slopes = [library.zeros_like(p) if g is None else g for p, g in zip(parameters, slopes, strict=True)]
    return value, flat(slopes), kind


def modules(model, theta, dtype):
    """(featurizer, classifier) with a network's parameters."""
    network = sequential(model, theta, dtype)
    return network[:-1], network[-1]


def sequential(model, theta, dtype):
    """A Sequential of Linear and ReLU, ending in a Linear."""
    library, layers = torch(), []
    for W, b in model.layers(theta.astype(dtype)):
        linear = library.nn.Linear(*W.shape, dtype=getattr(library, dtype))
        with library.no_grad():
            linear.weight.copy_(library.tensor(W.T.copy()))
            linear.bias.copy_(library.tensor(b))
        layers += [linear, library.nn.ReLU()]
    return library.nn.Sequential(*layers[:-1])


def tensors(case, dtype):
    """The domains of a case as (x, y) tensors."""
    library = torch()
    return [(library.tensor(d.x.astype(dtype)), library.tensor(d.y)) for d in case.domains]


def flat(parts):
    """Weights (out,in) and biases, layer after layer, as this package's theta (d,)."""
    arrays = [part.detach().cpu().numpy().astype(float) for part in parts]
    return np.concatenate([array.T.ravel() for array in arrays])


def parameters_of(*networks):
    """The parameters of modules as theta (d,)."""
    return flat([p for network in networks for p in network.parameters()])


def unchanged(case, featurizer, classifier, domains, dtype):
    """Trouble where a call has written into what it was given."""
    if not np.array_equal(parameters_of(featurizer, classifier), case.theta):
        raise Trouble(f"changes the parameters on case {case}")
    for (x, y), own in beside(domains, case):
        if not (np.array_equal(x.detach().numpy(), own.x.astype(dtype)) and np.array_equal(y.numpy(), own.y)):
            raise Trouble(f"changes the rows of {own.name} on case {case}")


def torch_update(make_update, case, settings):
    """A function that makes one update and gives theta, from make_update(featurizer, classifier, settings).

    It gives update(domains), which moves these two, or returns two modules that it has moved.
    """
    featurizer, classifier = modules(case.model, case.theta, "float64")
    more = {"discriminator": sequential(case.critic, case.w, "float64")} if takes(make_update, "discriminator") else {}
    update = make_update(featurizer, classifier, settings, **more)

    def step():
        found = update(tensors(case, "float64"))
        return parameters_of(*(found or (featurizer, classifier)))

    return step
