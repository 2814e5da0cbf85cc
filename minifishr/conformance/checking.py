"""check: which published convention does a penalty follow? The answer is one sentence."""

from typing import NamedTuple

import numpy as np

from ..algorithms import ALGORITHMS, PENALTIES
from . import vectors
from .cases import chosen
from .factors import POWERS
from .forms import Form
from .jax_style import jax, jax_style
from .matching import CLOSE, SAME, nearest, of_forms, of_gradients, of_memories, of_mistakes
from .torch_style import torch, torch_style
from .trials import ALLOWED, Trouble, numpy_style, tried

STYLES = {"numpy": numpy_style, "torch": torch_style, "jax": jax_style}
LIBRARIES = {"torch": torch, "jax": jax}
ENOUGH = 3  # cases: two of equal rows cannot tell m / (m - 1) from a power of m
SIMPLE = 3  # the complexity of a constant that is no fraction
FEW = "too few cases to be sure of a factor"


class Result(NamedTuple):
    """What a check found; its text is one sentence. `follows` is whether a published convention is followed exactly."""

    method: str
    text: str
    follows: bool = False
    convention: str = ""
    variant: dict = {}  # noqa: RUF012
    factor: str = "1"
    mistake: str = ""
    error: float = float("nan")

    def __str__(self):
        """The sentence."""
        return self.text


def check(method, penalty, *, style="numpy", dtype="float64", memory=None, domains=None, logits=None, rows=None):
    """Try a penalty on the recorded cases and say which convention it follows, as a Result.

    style "numpy": penalty(model, theta, domains); "torch": penalty(featurizer, classifier, domains); "jax":
    penalty(params, domains). Where it cannot take them all, name the cases: domains=2, 3 or 4, logits="one" or "many",
    rows="equal". With a memory, the decay of Fishr's moving average, `penalty` is a function without arguments that
    makes a fresh penalty. ValueError for an unknown method, style or dtype, and for a library that is missing.
    """
    instead = "has no penalty: check_steps tries whole updates" if method in ALGORITHMS else ""
    known("method", method, PENALTIES, instead)
    known("style", style, STYLES)
    known("dtype", dtype, ALLOWED)
    if memory is not None and (method != "fishr" or not 0 < memory < 1):
        raise ValueError(f"check: memory={memory!r} of {method!r}: it is Fishr's decay, between 0 and 1")
    cases = chosen(vectors.cases(), domains=domains, logits=logits, rows=rows)
    LIBRARIES.get(style, list)()
    try:
        trials = [tried(STYLES[style], penalty, case, dtype, memory) for case in cases]
    except Trouble as trouble:
        return Result(method, f"the penalty {trouble}")
    return told(method, trials, dtype, memory)


def known(what, name, names, instead=""):
    """ValueError for a name that is not one of these."""
    if name not in names:
        raise ValueError(f"check: {what} {name!r} {instead or 'is unknown, expected one of ' + ', '.join(names)}")


def told(method, trials, dtype, memory=None):
    """The Result for what a penalty gave on its cases, as exact as the coarsest of its inputs and results."""
    kind = max((dtype, *(trial.dtype for trial in trials)), key=ALLOWED.get)
    allowed, total = ALLOWED[kind], len(vectors.cases())
    notes = [f"{kind}: {allowed:g} allowed"] * (kind != "float64")
    notes += [f"{len(trials)} of {total} cases"] * (len(trials) < total)
    if not any(trial.value or trial.gradient.any() for trial in trials):
        text = "is 0 on every case, with gradient 0: it does nothing, which is ERM"
        return Result(method, text, factor="0", error=0.0)
    forms = of_memories(trials, allowed, memory) if memory else of_forms(method, trials, allowed)
    if whole(forms):
        return follows(method, whole(forms), notes)
    mistakes = [] if memory else of_mistakes(method, trials, allowed)
    if whole(mistakes):
        return mistaken(method, whole(mistakes)[0], notes)
    partly = [one for one in [*forms, *mistakes] if sure(one)]
    if partly:
        return without(method, partly[0], notes, trials[0].itself)
    return elsewhere(method, trials, allowed, notes, memory)


def elsewhere(method, trials, allowed, notes, memory):
    """The Result where no value fits: a memory that is none, another method's, a gradient alone, or nobody's."""
    plain = whole(of_forms(method, trials, allowed)) if memory else []
    if plain:
        text = f"remembers nothing: {times(plain[0])} at every point{bracket(plain[0], notes)}"
        return Result(method, text, error=plain[0].error, factor=str(plain[0].factor))
    others = whole(of_forms(method, trials, allowed, others=True))
    if others:
        form = others[0].what
        text = f"no published convention of {method}, but {form.method}, {times(others[0])}{bracket(others[0], notes)}"
        return Result(method, text, error=others[0].error, factor=str(others[0].factor))
    alone = [one for one in of_gradients(method, trials, allowed) if sure(one)]
    if alone:
        text = f"the gradient of {times(alone[0])} with another value, off by up to {alone[0].error:.0e}"
        return Result(method, text + "".join(f" ({note})" for note in notes), factor=str(alone[0].factor))
    return unknown(method, trials, notes, allowed)


def whole(candidates):
    """The candidates whose gradient is right too."""
    return [one for one in candidates if one.gradient == "whole"]


def sure(candidate):
    """Whether values alone tell the factor: some monomial fits any few numbers, so many powers take many cases."""
    cases, complexity = candidate.cases, candidate.factor.complexity
    return complexity == 0 or (cases >= ENOUGH and (complexity <= SIMPLE or cases > len(POWERS)))


def times(candidate):
    """A convention, and its factor where it has one."""
    plain = candidate.factor.complexity == 0
    return f"the {candidate.what}" + ("" if plain else f" times {candidate.factor}")


def bracket(candidate, notes):
    """How well it fits, and what else is to be known."""
    others = [f"or {' or '.join(candidate.factor.others)}, which these cases do not tell apart"]
    notes = [f"largest relative error {candidate.error:.0e}", *notes, *others * bool(candidate.factor.others)]
    notes += [FEW] * (candidate.cases < ENOUGH and candidate.factor.complexity > 0)
    return f" ({'; '.join(notes)})"


def follows(method, candidates, notes):
    """A published convention, or several that are equal, or one times a factor."""
    first, found = candidates[0], candidates[0].what
    exact = first.factor.complexity == 0
    same = [one.what for one in candidates if one.factor.complexity == 0 and one.what.variant == found.variant]
    text = f"follows the {found}" if exact else times(first)
    if len({form.convention for form in same}) > 1 and isinstance(found, Form):
        names = " and ".join(form.convention for form in same)
        text = "follows the " + " with ".join(filter(None, [f"{names} conventions", found.differs]))
    text += bracket(first, notes)
    return Result(method, text, exact, found.convention, found.variant, str(first.factor), "", first.error)


def mistaken(method, candidate, notes):
    """A known mistake, told in words."""
    mistake, factor = candidate.what, candidate.factor
    seen = [f"seen in {mistake.seen}"] * bool(mistake.seen)
    by = f"; here times {factor}" if factor.complexity else ""
    text = f"a known mistake, {mistake.name}: {mistake.words}{by}{bracket(candidate, notes + seen)}"
    return Result(method, text, mistake=mistake.name, factor=str(factor), error=candidate.error)


def without(method, candidate, notes, itself):
    """The right value with a wrong gradient, and why where autograd, or another library, made the gradient."""
    name = times(candidate) if hasattr(candidate.what, "convention") else f"the known mistake, {candidate.what.name},"
    words, why = {
        "none": ("without its gradient", "something is detached"),
        "classifier": ("with the gradient of the classifier alone", "the features are detached"),
        "another": (f"with another gradient, off by up to {candidate.error:.0e}", "a part is detached"),
    }.get(candidate.gradient, (f"with its gradient {candidate.gradient}", ""))
    text = f"the value of {name} {words}" + f": {why}" * bool(why and not itself)
    return Result(method, text + "".join(f" ({note})" for note in notes), factor=str(candidate.factor))


def unknown(method, trials, notes, allowed):
    """No published convention, and the nearest."""
    if not any(trial.gradient.any() for trial in trials):
        why = "" if trials[0].itself else ": it is detached"
        return Result(method, f"no published convention, and no gradient on any case{why}")
    form, angles, error = nearest(method, trials)
    where = f"is off by up to {error:.0e}" if error <= CLOSE else direction(trials, angles, allowed)
    text = f"no published convention; nearest: the {form}, whose gradient {where}"
    distance = np.sin(np.radians(min(90.0, np.median(angles))))
    return Result(method, text + "".join(f" ({note})" for note in notes), error=distance)


def direction(trials, angles, allowed):
    """Where a gradient points, by its angles (cases,) to another in degrees."""
    same = angles <= max(SAME, np.degrees(allowed))
    far = float(f"{angles.max() if same.any() else np.median(angles):.2g}")
    if same.all():
        return "points the same way but has another length"
    if not same.any():
        return f"points {far:g} degrees elsewhere"
    equal = [len({*trial.case.rows}) == 1 for trial in trials]
    where = "the cases of equal rows" if [*same] == equal else f"{same.sum()} of {len(same)} cases"
    return f"points the same way on {where} only, up to {far:g} degrees elsewhere on the others"
