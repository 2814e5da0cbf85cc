"""Penalties and updates of JAX pytrees: penalty(params, domains), domains a list of (x, y) arrays.

params is {"featurizer": [(W, b), ...], "classifier": (W, b)}, each W (in,out); a ReLU follows each layer of
the featurizer. DANN's discriminator, a list of (W, b), comes as a third argument called `discriminator`.
"""

import numpy as np

from .trials import Trouble, number, takes


def jax():
    """JAX; ValueError where it is not installed."""
    try:
        import jax
    except ImportError:
        raise ValueError("style='jax' needs JAX, which is not installed: pip install jax") from None
    return jax


def jax_style(penalty, case, dtype):
    """What a penalty gives on a case, with the gradient for all parameters."""
    library = jax()
    with library.enable_x64(True):
        kept, params, domains = [], pytree(case.model, case.theta, dtype), pairs(case, dtype)
        more = {"discriminator": layers(case.critic, case.w, dtype)} if takes(penalty, "discriminator") else {}

        def scalar(p):
            found = penalty(p, domains, **more)
            if not isinstance(found, library.Array | float | int | np.generic):
                raise Trouble(f"gave {type(found).__name__} on case {case}, expected one number")
            if np.size(found) != 1:
                raise Trouble(f"gave an array {np.shape(found)} on case {case}, expected one number")
            kept.append(getattr(found, "dtype", np.dtype(float)))
            return library.numpy.reshape(library.numpy.asarray(found), ()).astype("float64")

        value, gradient = library.value_and_grad(scalar)(params)
        value, kind = number(np.asarray(value).astype(kept[0]), case)
        return value, flat(gradient), kind


def layers(model, theta, dtype):
    """A list of (W, b)."""
    array = jax().numpy.asarray
    return [(array(W), array(b)) for W, b in model.layers(theta.astype(dtype))]


def pytree(model, theta, dtype):
    """A network's parameters."""
    *featurizer, classifier = layers(model, theta, dtype)
    return {"featurizer": featurizer, "classifier": classifier}


def pairs(case, dtype):
    """The domains of a case as (x, y) arrays."""
    array = jax().numpy.asarray
    return [(array(d.x.astype(dtype)), array(d.y)) for d in case.domains]


def flat(params):
    """A pytree as this package's theta (d,)."""
    parts = [part for W, b in [*params["featurizer"], params["classifier"]] for part in (W, b)]
    return np.concatenate([np.asarray(part, float).ravel() for part in parts])


def jax_update(make_update, case, settings):
    """A function that makes one update and gives theta: make_update(params, settings) -> update(domains) -> params."""
    library = jax()
    with library.enable_x64(True):
        params = pytree(case.model, case.theta, "float64")
        more = {"discriminator": layers(case.critic, case.w, "float64")} if takes(make_update, "discriminator") else {}
        update = make_update(params, settings, **more)

    def step():
        with library.enable_x64(True):
            return flat(update(pairs(case, "float64")))

    return step
