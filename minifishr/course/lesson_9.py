"""Exercises of lesson 9: methods of one's own."""

import numpy as np

from ..gradients import mean_gradient
from ..losses import risk
from .draws import networks, numbers, whole
from .exercise import Exercise


def confidence_gap(model, theta, domains):
    """Variance of the gaps as half the mean squared difference over all pairs."""
    gaps = []
    for domain in domains:
        p = 1 / (1 + np.exp(-model.logits(theta, domain.x)[:, 0]))
        gaps.append(np.mean([max(one, 1 - one) - float((one > 0.5) == y) for one, y in zip(p, domain.y, strict=True)]))
    return np.mean([(one - other) ** 2 for one in gaps for other in gaps]) / 2


def ball(draw):
    """A start, a step size, a momentum and a number of steps."""
    d = draw(whole(1, 3))
    return {"theta": draw(numbers(d)), "lr": 0.25, "momentum": draw(whole(0, 3)) / 4, "steps": draw(whole(1, 4))}


def ball_path(theta, lr, momentum, steps):
    """The positions from the three-term recursion, which has no velocity."""
    path = [theta]
    for _ in range(steps):
        before = path[-2] if len(path) > 1 else theta
        path.append(path[-1] + momentum * (path[-1] - before) - lr * path[-1])
    return np.stack(path)


def squared_risks(model, theta, domains):
    """One step by the chain rule, 2 R_e g_e for each domain."""
    where = [(model, theta, domain.x, domain.y) for domain in domains]
    return theta - 0.1 * np.mean([2 * risk(*w) * mean_gradient(*w) for w in where], axis=0)


RECALL = ()

EXERCISES = {
    "confidence_gap": Exercise(
        networks,
        confidence_gap,
        "the variance over domains (divided by m) of each domain's mean confidence minus its accuracy, (). The "
        "confidence of a row is the larger one of p and 1 - p; the prediction is 1 where p > 0.5",
        (
            "For each domain: p = 1 / (1 + exp(-z)) with z = model.logits(theta, domain.x)[:, 0]. The larger of p and "
            "1 - p is abs(p - 0.5) + 0.5.",
        ),
        {},
    ),
    "ball_path": Exercise(
        ball,
        ball_path,
        "theta at the start and after every step, (steps + 1, d), of gradient descent with momentum on |theta|^2 / 2: "
        "velocity <- momentum * velocity - lr * gradient, theta <- theta + velocity. The velocity starts at 0",
        (
            "If all rows are equal, they are one array that was modified in place: write theta = theta + velocity, which "
            "makes a new one.",
        ),
        {},
    ),
    "squared_risks": Exercise(
        networks,
        squared_risks,
        "theta after one update of plain gradient descent, step size 0.1, on the mean over domains of the squared "
        "risk, (d,)",
        (
            "value_and_grad of a function of theta alone: np.mean(risks(model, t, domains) ** 2), with autograd's np. Or "
            "the chain rule: 2 R_e g_e for each domain, from domain_gradients(model, theta, domains).",
        ),
        {},
    ),
}
