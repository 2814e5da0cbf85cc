"""check_steps: which published update does somebody's update follow, six steps long?"""

import numpy as np

from ..algorithms import ALGORITHMS, DEFAULTS
from . import vectors
from .cases import chosen
from .checking import LIBRARIES, Result, known
from .forms import SWITCHES, switches, worded
from .jax_style import jax_update
from .torch_style import torch_update
from .trials import Trouble, takes

ALLOWED = 1e-7  # of the way that theta has gone: Adam divides rounding by small numbers, and masks may be float32


def numpy_update(make_update, case, settings):
    """A function that makes one update and gives theta, from make_update(model, theta, settings) -> update(domains)."""
    more = {"critic": case.critic, "w": case.w.copy()} if takes(make_update, "critic") else {}
    update = make_update(case.model, case.theta.copy(), settings, **more)
    return lambda: update([domain._replace(x=domain.x.copy(), y=domain.y.copy()) for domain in case.domains])


STYLES = {"numpy": numpy_update, "torch": torch_update, "jax": jax_update}

# what a setting is elsewhere: in words, its name, and the value here for the value there and m domains
ELSEWHERE = [
    ("weight_decay times 2", "weight_decay", lambda v, m: 2 * v),
    ("half the weight_decay", "weight_decay", lambda v, m: v / 2),
    ("no weight_decay", "weight_decay", lambda v, m: 0.0),
    ("ema = 0: nothing is remembered", "ema", lambda v, m: 0.0),
    ("the warm-up one step longer", "warm_up", lambda v, m: v + 1),
    ("the warm-up one step shorter", "warm_up", lambda v, m: max(0, v - 1)),
    ("no warm-up", "warm_up", lambda v, m: 0),
    ("penalty_weight = 0", "penalty_weight", lambda v, m: 0.0),
    ("penalty_weight times m", "penalty_weight", lambda v, m: m * v),
    ("penalty_weight times m^-1", "penalty_weight", lambda v, m: v / m),
    ("penalty_weight times 2", "penalty_weight", lambda v, m: 2 * v),
    ("penalty_weight times 1/2", "penalty_weight", lambda v, m: v / 2),
    ("penalty_weight times 4", "penalty_weight", lambda v, m: 4 * v),
    ("penalty_weight times 1/4", "penalty_weight", lambda v, m: v / 4),
    ("meta_lr times m", "meta_lr", lambda v, m: m * v),
    ("meta_lr times m^-1", "meta_lr", lambda v, m: v / m),
]


def check_steps(method, make_update, settings=None, *, style="numpy", domains=None, logits=None, rows=None):
    """Make six updates on each case and say whose update it is, as a Result.

    style "numpy": make_update(model, theta, settings) -> update(domains) -> theta; "torch": make_update(featurizer,
    classifier, settings) -> update(domains), which moves the modules; "jax": make_update(params, settings) ->
    update(domains) -> params. settings are this package's hyper-parameters by name, those of the recorded
    trajectories by default. ValueError for an unknown method, style or setting, and for a library that is missing.
    """
    known("method", method, ALGORITHMS)
    known("style", style, STYLES)
    names = {**DEFAULTS[method]["domainbed"], **DEFAULTS[method]["paper"]}
    settings = {k: v for k, v in vectors.SETTINGS[0].items() if k in names} if settings is None else settings
    for key in settings:
        known(f"{method}: setting", key, names)
    cases = chosen(vectors.cases(), domains=domains, logits=logits, rows=rows)
    LIBRARIES.get(style, list)()
    try:
        paths = [walked(STYLES[style], make_update, case, settings) for case in cases]
    except Trouble as trouble:
        return Result(method, f"the update {trouble}")
    return told(method, [*zip(cases, paths, strict=True)], settings)


def walked(style, make_update, case, settings):
    """theta after each of six updates, (6,d); Trouble where they raise, are random, or give no such theta."""
    first, second = (once(style, make_update, case, settings) for _ in range(2))
    if not np.allclose(first, second, rtol=1e-12, atol=1e-14):
        raise Trouble(f"gave two results on the same case {case}: it is random")
    return first


def once(style, make_update, case, settings):
    """Six updates."""
    try:
        step = style(make_update, case, dict(settings))
        path = [np.array(step(), float) for _ in range(vectors.STEPS)]
    except Trouble:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:160]
        raise Trouble(f"raised {type(error).__name__} on case {case}: {words}") from error
    for number, theta in enumerate(path, 1):
        if theta.shape != case.theta.shape:
            raise Trouble(f"gave theta {theta.shape} at step {number} of case {case}, expected {case.theta.shape}")
        if not np.isfinite(theta).all():
            raise Trouble(f"gave a theta that is not finite at step {number} of case {case}")
    return np.stack(path)


def errors(method, convention, walks, settings, change=None, turned=None):
    """The largest error of each step over the cases, relative to the way gone, (6,).

    With a change, one of ELSEWHERE, or turned switches it stops at a case that is wrong.
    """
    worst = np.zeros(vectors.STEPS)
    for case, path in walks:
        ours = {key: value for key, value in settings.items() if key in DEFAULTS[method][convention]}
        if method == "fish":
            ours = {"seed": 0, **ours} if convention == "paper" else ours
        if change:
            ours[change[1]] = change[2](ours[change[1]], len(case.domains))
        expected = vectors.trajectory(case, method, convention, ours | (turned or {}))
        gone = np.maximum(np.abs(expected - case.theta).max(axis=1), 1e-300)
        worst = np.maximum(worst, np.abs(path - expected).max(axis=1) / gone)
        if (change or turned) and worst.max() > ALLOWED:
            break
    return worst


def told(method, walks, settings):
    """The Result for the paths that were walked, (case, path) each."""
    found = {convention: errors(method, convention, walks, settings) for convention in DEFAULTS[method]}
    total = len(vectors.cases())
    notes = f"; {len(walks)} of {total} cases" if len(walks) < total else ""
    for turned in ({}, *SWITCHES.get(method, ())):
        tried = found
        if turned:
            names = [convention for convention in found if turned in switches(method, convention)]
            tried = {name: errors(method, name, walks, settings, turned=turned) for name in names}
        right = {convention: worst.max() for convention, worst in tried.items() if worst.max() <= ALLOWED}
        if right:
            return followed(method, right, turned, notes)
    for convention in DEFAULTS[method]:
        changes = [one for one in ELSEWHERE if one[1] in settings and one[1] in DEFAULTS[method][convention]]
        tried = {one[0]: errors(method, convention, walks, settings, one).max() for one in changes}
        if fitting := {words: worst for words, worst in tried.items() if worst <= ALLOWED}:
            factor, worst = " or ".join(fitting), max(fitting.values())
            text = f"the {convention} convention with {factor} (largest relative error {worst:.0e}{notes})"
            return Result(method, text, convention=convention, factor=factor, error=worst)
    return nearest(method, found, settings, notes)


def followed(method, right, turned, notes):
    """The Result for conventions that are followed, {name: error}, with the switches that are turned."""
    name = " and ".join(right) + " convention" + "s" * (len(right) > 1) + (f" with {worded(turned)}" if turned else "")
    error = max(right.values())
    text = f"follows the {name} for six steps (largest relative error {error:.0e}{notes})"
    return Result(method, text, True, next(iter(right)), turned, error=error)


def nearest(method, found, settings, notes):
    """The convention that is followed longest, and where it ends."""
    agreed = {convention: int(np.argmax(worst > ALLOWED)) for convention, worst in found.items()}
    convention = max(agreed, key=lambda name: (agreed[name], -found[name].max()))
    steps, worst = agreed[convention], found[convention]
    ends = f", where the warm-up of {steps} steps ends" if steps and settings.get("warm_up") == steps else ""
    text = (
        f"no published convention; nearest: the {convention} convention, equal for {steps} of {vectors.STEPS} steps, "
        f"off by {worst[steps]:.0e} of the way gone at step {steps + 1}{ends}{notes}"
    )
    return Result(method, text, error=float(worst.max()))
