"""Perturb one function on purpose: a check that cannot fail is worth nothing."""

from contextlib import contextmanager
from types import FunctionType

import autograd.numpy as np

from .. import curvature, gradients, losses, optimizers, replay
from ..algorithms import MODULES, and_mask, coral, fish, fishr, idgm, iga, irm, protocol, sand_mask, vrex


def larger(result, args):
    """0.1 % too large."""
    return 1.001 * result


def shifted(result, args):
    """Too small by 0.001."""
    return result - 0.001


def bent(result, args):
    """Raised to the power 1.001."""
    return np.sign(result) * np.abs(result) ** 1.001


def miscounted(result, args):
    """Too large by 0.1 % divided by the number of samples."""
    return result * (1 + 0.001 / len(args[-1]))


def halved(result, args):
    """Half as large as it should be."""
    return result / 2


LATER = {
    "hutchinson": "statistic distance",
    "hgp": "product distance",
    "cma": "hessian by_rows distance",
    "ib_erm": "statistic",
    "ib_irm": "distance",
    "mmd": "likeness distance",
    "sd": "distance",
    "group_dro": "shares",
}
BREAKS = {
    "loop": (gradients.loop, larger),
    "jacobian": (gradients.by_jacobian, larger),
    "tiled": (gradients.tiled, larger),
    "taps": (gradients.inputs_and_deltas, larger),
    "gradient_moments": (gradients.gradient_moments, larger),
    "gradient_moments.n": (gradients.gradient_moments, miscounted),
    "stable_variance": (gradients.stable_variance, larger),
    "mean_gradient": (gradients.mean_gradient, larger),
    "mean_gradient.half": (gradients.mean_gradient, halved),
    "losses": (losses.losses, larger),
    "risk": (losses.risk, larger),
    "gradient_covariance": (curvature.gradient_covariance, larger),
    "gradient_covariance.shift": (curvature.gradient_covariance, shifted),
    "empirical_fisher": (curvature.empirical_fisher, larger),
    "true_fisher": (curvature.true_fisher, larger),
    "gauss_newton": (curvature.gauss_newton, larger),
    "hessian": (curvature.hessian, larger),
    "hvp": (curvature.hvp, larger),
    "irm.penalty": (irm.penalty, larger),
    "vrex.distance": (vrex.distance, larger),
    "iga.distance": (iga.distance, larger),
    "idgm.distance": (idgm.distance, larger),
    "fishr.distance": (fishr.distance, larger),
    "fishr.distance.power": (fishr.distance, bent),
    "fishr.full_covariance": (fishr.full_covariance, larger),
    "coral.distance": (coral.distance, larger),
    "coral.statistic.power": (coral.statistic, bent),
    "deviations": (protocol.deviations, larger),
    "fish.walk": (fish.walk, larger),
    "and_mask.mask": (and_mask.mask, larger),
    "sand_mask.mask": (sand_mask.mask, larger),
    **{
        f"{name}.{part}": (getattr(MODULES[name], part), larger)
        for name, parts in LATER.items()
        for part in parts.split()
    },
    "sgd": (optimizers.sgd, larger),
    "adam": (optimizers.adam, larger),
}


@contextmanager
def broken(name):
    """Inside, one function's result is wrong, wherever it has been imported to. ValueError for another name.

    The function keeps its identity and gets other code, so that no import of it is missed.
    """
    if name not in BREAKS:
        raise ValueError(f"unknown implementation {name!r}, expected one of {', '.join(BREAKS)}")
    function, kind = BREAKS[name]
    kept = function.__code__, function.__defaults__, function.__kwdefaults__
    original = FunctionType(kept[0], function.__globals__, function.__name__, kept[1])
    original.__kwdefaults__ = kept[2]
    function.__globals__["_original"] = original
    function.__globals__["_wrong"] = lambda result, args: wrong(result, args, kind)
    function.__defaults__ = function.__kwdefaults__ = None
    function.__code__ = (lambda *args, **options: _wrong(_original(*args, **options), args)).__code__  # noqa: F821
    try:
        with replay.off():  # a recording knows nothing of other code
            yield
    finally:
        function.__code__, function.__defaults__, function.__kwdefaults__ = kept
        del function.__globals__["_original"], function.__globals__["_wrong"]


def wrong(result, args, kind):
    """A number or array made wrong, or the first of several, or what an optimizer's update returns."""
    if callable(getattr(result, "update", None)):
        return result._replace(update=lambda *given: wrong(result.update(*given), given, kind))
    if isinstance(result, list):  # inputs and deltas of each layer
        return [(a, kind(delta, args)) for a, delta in result]
    if isinstance(result, tuple):
        return wrong(result[0], args, kind), *result[1:]
    return kind(result, args)
