"""What the methods that mask domain gradients share: a direction from gradients (m,d), and the algorithm around it."""

import numpy as np

from .problem import as_arrays
from .protocol import descent, risk_and_gradient


def arithmetic(g):
    """The mean of the domain gradients, (m,d) -> (d,)."""
    return g.mean(axis=0)


def masked(name, model, mask, recipe, *, average=arithmetic, rescale=True, **schedule):
    """Adam on `followed` of the average of the domain gradients and mask(g), both (m,d) -> (d,)."""
    one = risk_and_gradient(model)

    def direction(theta, domains, weight, memory):
        pairs = [one(theta, *as_arrays(model, theta, [domain])) for domain in domains]
        values, g = map(np.stack, zip(*pairs, strict=True))
        kept = mask(g)
        gradient = followed(model, average(g), kept, rescale).astype(theta.dtype)
        return gradient, memory, {"risk": float(values.mean()), "kept": float(kept.mean())}

    return descent(name, model, direction, recipe, needed=2, **schedule)


def followed(model, average, kept, rescale=True):
    """An average gradient times a mask, (d,); rescaled: divided in each block of theta by 1e-10 + the mask's mean."""
    means = [np.full(b.stop - b.start, 1e-10 + kept[b].mean()) for b in model.blocks.values()]
    return kept * average / np.concatenate(means) if rescale else kept * average


def checked(name, model, g):
    """g as floating point; ValueError unless it has the gradients of two domains or more, (m,d)."""
    g = np.asarray(g)
    if g.ndim != 2 or len(g) < 2 or g.shape[1] != model.d or g.dtype.kind not in "fiu":
        raise ValueError(f"{name}: g {g.dtype} {g.shape}, expected numbers (m, {model.d}), 2 domains or more")
    return g if g.dtype.kind == "f" else g.astype(float)
