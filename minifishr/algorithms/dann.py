"""DANN: train features from which a second network, the discriminator, cannot tell the domains apart.

Source         Ganin et al. 2016, arXiv:1505.07818
Equation       theta descends R - lambda * D, the discriminator descends D + gradient_penalty * mean_i ||dD_i/da_i||^2;
               R the mean loss over all samples, D_i the discriminator's cross-entropy of sample i's domain given its
               features a_i, D their mean (which the gradient penalty joins for both)
Normalization  means over all samples of all domains. paper: both steps at once, as with a gradient-reversal layer.
               domainbed: one step of theta for every discriminator_steps steps of the discriminator, which have
               no meaning in the paper convention and are not looked at there.
Departures     1. Adam in both conventions, with betas (beta1, 0.9) as DomainBed has it; the authors use SGD
               2. lambda is constant; the authors let it grow along a sigmoid
               3. the paper convention's risk is the mean over all samples too
"""

from typing import NamedTuple

import autograd.numpy as np
import numpy as onp
from autograd import make_vjp, value_and_grad
from autograd.builtins import tuple as traced_tuple

from ..losses import losses
from ..mlp import MLP
from ..optimizers import adam
from ..replay import replayed
from .protocol import RECIPES, Algorithm, as_arrays, as_domains, check_domains, classifier_problem, mean_risk
from .settings import LR_RANGE, both, check_convention, choice, log_uniform, settings, whole

SHARED = {"penalty_weight": 1.0, "discriminator_lr": 1e-3, "discriminator_weight_decay": 0.0, "discriminator_steps": 1}
SHARED |= {"gradient_penalty": 0.0, "beta1": 0.5, "width": 256, "seed": 0}
DEFAULTS = both(**SHARED)
RANGES = {
    **LR_RANGE,
    "penalty_weight": log_uniform(-2, 2),
    "discriminator_lr": LR_RANGE["lr"],
    "discriminator_weight_decay": log_uniform(-6, -2),
    "discriminator_steps": whole(log_uniform(0, 3, base=2)),
    "gradient_penalty": log_uniform(-2, 1),
    "beta1": choice(0.0, 0.5),
    "width": whole(log_uniform(6, 10, base=2)),
}
# what check_algorithm must not expect: the discriminator starts with different weights for different domains
EXCEPTIONS = {"ordered_domains": True, "vanishes_on_copies": False}


class DannState(NamedTuple):
    """Updates made, the optimizer's state, the discriminator's parameters and their optimizer's state.

    Before the first update nobody knows the number of domains: then the last two are empty.
    """

    step: int
    optimizer: tuple
    discriminator: onp.ndarray
    discriminator_optimizer: tuple


def statistic(model, theta, x, y):
    """The features of a domain, (n,h)."""
    return model.features(theta, x)


def penalty(model, theta, domains, *, convention="paper", critic=None, w=None, gradient_penalty=0.0):
    """Minus the loss of a discriminator (critic MLP, parameters w), (): high where it tells the domains apart.

    Without a discriminator, the one that training would start with. Both conventions have the same penalty.
    """
    check_convention("dann", convention)
    check_domains("the penalty", model, domains, 2)
    if critic is None:
        critic = discriminator(model, domains, SHARED["width"])
        w = critic.init(onp.random.default_rng(SHARED["seed"]), theta.dtype)
    features = np.concatenate([statistic(model, theta, *domain[1:]) for domain in domains])
    return -discriminator_loss(critic, w, features, domain_labels(domains), gradient_penalty)


def discriminator_loss(critic, w, features, labels, gradient_penalty):
    """Mean cross-entropy of the domain given the features, plus the weighted squared length of its gradient, ()."""

    def total(a):
        return np.sum(losses(critic.logits(w, a), labels))

    if not gradient_penalty:
        return total(features) / len(labels)
    loss, slopes = value_and_grad(total)(features)  # in one: both go back through the same forward pass
    return loss / len(labels) + gradient_penalty * np.sum(slopes**2) / len(labels)


def discriminator(model, domains, width):
    """An MLP from features to as many logits as there are domains, with two hidden layers."""
    return MLP((model.sizes[-2], width, width, len(domains)))


def domain_labels(domains):
    """The number of its domain for every sample, (n_1 + ... + n_m,)."""
    return onp.repeat(onp.arange(len(domains)), [len(domain.y) for domain in domains])


def moves(step, convention, discriminator_steps):
    """Whether theta moves at an update, and whether the discriminator does."""
    theta_moves = (step + 1) % (1 + discriminator_steps) == discriminator_steps
    return (True, True) if convention == "paper" else (theta_moves, not theta_moves)


def game(model, chosen, theta_moves, w_moves):
    """(theta, w, x_1, y_1, ...) -> the risk, the penalty, and the gradient of each who moves, theta before w.

    theta descends risk + lambda * penalty, the discriminator's w ascends the penalty.
    """

    def played(theta, w, *arrays):
        domains = as_domains(arrays)
        critic, strength = discriminator(model, domains, chosen["width"]), chosen["gradient_penalty"]

        def terms(theta, w):
            head, classifier, seen = classifier_problem(model, theta, domains)
            R = mean_risk(head, classifier, seen, pooled=True)
            return traced_tuple((R, penalty(head, classifier, seen, critic=critic, w=w, gradient_penalty=strength)))

        gradients = []
        for i, *weights in [(0, 1, chosen["penalty_weight"])] * theta_moves + [(1, 0, -1)] * w_moves:
            vjp, values = make_vjp(terms, i)(theta, w)  # by this one alone: the other is half of the work
            gradients.append(vjp(tuple(map(theta.dtype.type, weights))))
        return *values, *gradients

    return replayed(played)


def dann(model, *, convention="paper", **hyper_parameters):
    """Domain-adversarial training."""
    chosen = settings("dann", DEFAULTS, convention, hyper_parameters)
    betas, decay = (chosen["beta1"], 0.9), RECIPES[convention].decay * chosen["weight_decay"]
    optimizer = adam(chosen["lr"], betas=betas, weight_decay=decay)
    opponent = adam(chosen["discriminator_lr"], betas=betas, weight_decay=chosen["discriminator_weight_decay"])
    play = {both: game(model, chosen, *both) for both in ((True, True), (True, False), (False, True))}

    def init(theta):
        return DannState(0, optimizer.init(theta), theta[:0], opponent.init(theta[:0]))

    def update(theta, state, domains):
        check_domains("dann", model, domains, 2)
        critic = discriminator(model, domains, chosen["width"])
        step, inner, w, opposing = state
        if w.size == 0:
            w = critic.init(onp.random.default_rng(chosen["seed"]), theta.dtype)
            opposing = opponent.init(w)
        if w.size != critic.d:
            raise ValueError(f"dann: the discriminator was made for another number of domains than {len(domains)}")
        theta_moves, w_moves = both = moves(step, convention, chosen["discriminator_steps"])
        risk, adversary, *gradients = play[both](theta, w, *as_arrays(model, theta, domains))
        if theta_moves:
            theta, inner = optimizer.update(theta, gradients[0], inner)
        if w_moves:
            w, opposing = opponent.update(w, gradients[-1], opposing)
        return theta, DannState(step + 1, inner, w, opposing), {"risk": float(risk), "penalty": float(adversary)}

    return Algorithm("dann", init, update)
