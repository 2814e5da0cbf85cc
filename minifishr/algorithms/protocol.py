"""What an algorithm is, and the parts that most of them share: the schedule and the objective.

    objective(theta) = mean_e R_e(theta) + lambda * distance(phi_1(theta), ..., phi_m(theta))

A method's own file has the statistic phi and the distance. The sources also differ in what they do
around the gradient; a Recipe writes that down, and `descent` is the only place that acts on it.
"""

from collections.abc import Callable
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp
from autograd import make_vjp, value_and_grad
from autograd.builtins import tuple as traced_tuple

from ..losses import per_sample_losses, risk, risks
from ..optimizers import adam
from ..replay import replayed
from .problem import as_arrays, as_domains, check_domains, classifier_problem, classifier_rows  # noqa: F401


class Algorithm(NamedTuple):
    """A pair of pure functions with a name.

    init(theta) -> state; update(theta, state, domains) -> (theta, state, info). info is a dict of floats with
    "risk", and "penalty" where there is one, both at the theta that came in. `settings` has the convention and all
    hyper-parameters by name, which tell a checkpoint whose it is; None where a method does not say.
    """

    name: str
    init: Callable
    update: Callable
    settings: dict | None = None


class State(NamedTuple):
    """Updates made, the optimizer's state, and the discounted sum of the statistics (m, ...)."""

    step: int
    optimizer: tuple
    memory: np.ndarray


class Recipe(NamedTuple):
    """What a source does around the gradient of risk and penalty."""

    decay: float = 1.0  # weight decay adds decay * weight_decay * theta to the gradient
    warm_up_weight: float = 1.0  # the penalty weight before the warm-up ends
    rescale: bool = False  # divide the whole gradient by the penalty weight where that is above 1
    restart: bool = False  # make Adam anew when the warm-up ends
    pooled: bool = False  # the risk is the mean over all samples, not the mean of the domains' means


# The authors' Colored MNIST scripts add weight_decay * ||theta||^2 to the loss (hence the 2) and rescale it.
PAPER = Recipe(decay=2.0, rescale=True)
DOMAINBED = Recipe(restart=True)
RECIPES = {"paper": PAPER, "domainbed": DOMAINBED}


def recipes(**changes):
    """DomainBed's recipe in both conventions, for methods without scripts like these: but for the weight decay."""
    return {"paper": DOMAINBED._replace(decay=2.0, **changes), "domainbed": DOMAINBED._replace(**changes)}


def descent(name, model, direction, recipe, *, lr, weight_decay, penalty_weight=0.0, warm_up=0, second=None, needed=1):
    """Adam on `direction(theta, domains, weight, memory) -> (gradient, memory, info)`, after a recipe.

    second, the weight and warm-up of a second term, whose weight is 0 before, makes `weight` a pair.
    """
    optimizer = adam(lr)
    ends = [warm_up] if second is None else [warm_up, second[1]]

    def init(theta):
        return State(0, optimizer.init(theta), onp.zeros((), theta.dtype))

    def update(theta, state, domains):
        check_domains(name, model, domains, needed)
        weight = recipe.warm_up_weight if state.step < warm_up else penalty_weight
        pair = weight if second is None else (weight, second[0] if state.step >= second[1] else 0.0)
        gradient, memory, info = direction(theta, domains, pair, state.memory)
        if weight_decay:
            gradient = gradient + recipe.decay * weight_decay * theta
        if recipe.rescale and weight > 1:
            gradient = gradient / weight
        fresh = recipe.restart and state.step in ends
        theta, inner = optimizer.update(theta, gradient, optimizer.init(theta) if fresh else state.optimizer)
        return theta, State(state.step + 1, inner, memory), info

    return Algorithm(name, init, update)


def penalized(
    name, model, statistic, distance, recipe, *, ema=0.0, scope="classifier", joint=None, ragged=False, second=None,
    needed=2, **schedule,
):  # fmt: skip
    """Mean risk + penalty_weight * distance(statistics (m, ...)).

    scope "classifier" says that only the classifier enters the statistic beyond the features: then the features are
    computed once for risk and penalty. joint(model, theta, x, y, m), if there is one, is the statistics of m domains of
    as many rows each, one below the other. The statistics become memory = ema * memory + statistics, whose past is a
    constant for the gradient; ragged ones, a list of anything, have none. A distance of two terms (2,) has a second
    weight, see `descent`; the reported penalty is the first term + that weight * the second.
    """

    @replayed
    def step(theta, weight, memory, *arrays):
        domains = as_domains(arrays)

        def terms(t):
            head, w, seen, rows = classifier_rows(model, t, domains)
            if joint and rows and len({len(d.y) for d in domains}) == 1:
                phi = joint(head, w, *rows, len(domains))
            else:
                where = (head, w, seen) if scope == "classifier" else (model, t, domains)
                phi = statistics(statistic, *where, needed, ragged)
            kept = [] if ragged else [phi := remembered(name, ema, memory, phi)]
            return traced_tuple((mean_risk(head, w, seen, recipe.pooled, rows), distance(phi), *kept))

        vjp, (risk, penalty, *kept) = make_vjp(terms)(theta)
        return vjp((onp.ones((), theta.dtype), weight, *map(np.zeros_like, kept))), risk, penalty, *kept

    def direction(theta, domains, weight, memory):
        weight = onp.asarray(weight, theta.dtype)  # a float64 weight would turn a float32 gradient into float64
        arrays = as_arrays(model, theta, domains)
        gradient, risk, penalty, *kept = step(theta, weight, memory if ema else weight, *arrays)
        told = {"risk": float(risk), "penalty": float(summed(penalty, second and second[0]))}
        return gradient, kept[0] if ema else memory, told

    return descent(name, model, direction, recipe, second=second, needed=needed, **schedule)


def summed(terms, weight):
    """The first of two terms (2,) plus a weight times the second, (); without a weight, the only term."""
    return terms if weight is None else terms[0] + weight * terms[1]


def remembered(name, ema, memory, phi):
    """The discounted sum ema * memory + phi, (m, ...); ValueError where another number of domains is remembered."""
    if ema:
        check_remembered(f"{name}: ema={ema}", memory, phi)
    return ema * memory + phi if ema else phi


def check_remembered(call, memory, phi):
    """ValueError, which repeats the call, where a memory (m, ...) is of another number of domains."""
    if np.ndim(memory) and len(memory) != len(phi):
        raise ValueError(f"{call} remembers {len(memory)} domains, got {len(phi)}")


def risk_and_gradient(model):
    """A function (theta, x, y) -> the risk () and its gradient (d,), replayed."""
    return replayed(lambda theta, x, y: value_and_grad(lambda t: risk(model, t, x, y))(theta))


def statistics(statistic, model, theta, domains, needed=2, ragged=False):
    """The statistic of every domain, -> (m, ...), or a list. ValueError for fewer domains than can be compared."""
    check_domains("the penalty", model, domains, needed)
    found = [statistic(model, theta, domain.x, domain.y) for domain in domains]
    return found if ragged else np.array(found)


def deviations(phi):
    """phi_e - mean phi over domains, (m, ...) -> (m, ...)."""
    return phi - np.sum(phi, axis=0) / len(phi)


def mean_risk(model, theta, domains, pooled=False, rows=None):
    """The mean over domains of their risks, or over all samples, -> (); rows = (x, y) of all domains, if at hand."""
    counts = [len(domain.y) for domain in domains]
    weights = shares(counts, pooled)
    if rows is None:
        return np.sum(risks(model, theta, domains) * weights.astype(theta.dtype))
    each = per_sample_losses(model, theta, *rows)
    return np.sum(each * onp.repeat(weights / counts, counts).astype(theta.dtype))


def shares(rows, pooled):
    """The weight of each domain's risk, from its number of rows: all the same, or like these numbers, (m,)."""
    rows = onp.array(rows)
    return rows / rows.sum() if pooled else onp.full(len(rows), 1 / len(rows))
