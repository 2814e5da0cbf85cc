"""Exercises of lesson 9: methods of one's own."""

import autograd.numpy as np
import numpy as onp
from autograd import value_and_grad

from ..algorithms import Algorithm
from ..checks import check_algorithm, check_penalty
from ..losses import risks
from .draws import networks, numbers, whole
from .exercise import Exercise
from .recall import Question

RECALL = (
    Question(1, "lesson 8, Standard deviation and standard error"),
    Question("c", "lesson 8, Why the training-domain rule prefers the color"),
    Question("a", "lesson 7, Equal features, different labels"),
)


def confidence_gap(model, theta, domains):
    """The variance over domains of confidence minus accuracy, with autograd.numpy as np, ()."""
    gaps = []
    for domain in domains:
        p = 1 / (1 + np.exp(-model.logits(theta, domain.x)[:, 0]))
        right = np.mean((p > 0.5) == domain.y)
        gaps.append(np.mean(np.abs(p - 0.5) + 0.5) - right)
    return np.var(np.array(gaps))


def each(model, theta, domains, confidence=1, right=1):
    """Mean confidences minus accuracies (m,), each times a factor, for wrong answers."""
    z = [(model.logits(theta, d.x)[:, 0], d.y) for d in domains]
    gaps = [(np.mean(1 / (1 + np.exp(-np.abs(a)))), np.mean((a > 0) == y)) for a, y in z]
    return np.array([confidence * one - right * other for one, other in gaps])


def ball(draw):
    """A start, a step size, a momentum and a number of steps."""
    case = {"theta": draw(numbers(draw(whole(1, 3)))), "lr": draw(whole(1, 4)) / 8}
    return {**case, "momentum": draw(whole(0, 3)) / 4, "steps": draw(whole(1, 4))}


def ball_path(theta, lr, momentum, steps):
    """theta at the start and after every step, (steps + 1, d)."""
    path, velocity = [theta], 0
    for _ in range(steps):
        velocity = momentum * velocity - lr * path[-1]
        path.append(path[-1] + velocity)
    return np.stack(path)


def rolled(theta, lr, momentum, steps, ahead=0.0, start=0.0, fresh=1.0):
    """A ball with other rules, for wrong answers."""
    path, velocity = [theta], -start * lr * theta
    for _ in range(steps):
        velocity = momentum * velocity - fresh * lr * (path[-1] + ahead * momentum * velocity)
        path.append(path[-1] + velocity)
    return onp.stack(path)


def updates(draw):
    """A small network, domains and a step size."""
    return {**networks(draw), "lr": draw(whole(1, 4)) / 8}


def squared_risks(model, *, convention="paper", lr=0.1):
    """An Algorithm that descends the mean over domains of the squared risk."""

    def update(theta, state, domains):
        _, gradient = value_and_grad(lambda t: np.mean(risks(model, t, domains) ** 2))(theta)
        return theta - lr * gradient, state, {"risk": float(np.mean(risks(model, theta, domains)))}

    return Algorithm("squares", lambda theta: (), update)


def two_updates(factory):
    """theta and the risk that info has, after each of two updates, (2, d + 1), of a factory of algorithms."""

    def after(model, theta, domains, lr):
        algorithm = factory(model, lr=lr)
        if algorithm is None or algorithm is ...:
            return None
        state, rows = algorithm.init(theta), []
        for _ in range(2):  # a momentum and a falling rate begin as plain descent does
            theta, state, info = algorithm.update(theta, state, domains)
            rows.append(onp.append(theta, info["risk"]))
        return onp.array(rows)

    return after


def descending(objective, reported=np.mean, lr=None, sign=-1):
    """A factory that descends another function of the risks, or reports another risk, for wrong answers."""

    def factory(model, *, convention="paper", lr=lr, fixed=lr):
        def update(theta, state, domains):
            _, gradient = value_and_grad(lambda t: objective(risks(model, t, domains)))(theta)
            info = {"risk": float(reported(risks(model, theta, domains)))}
            return theta + sign * (fixed or lr) * gradient, state, info

        return Algorithm("other", lambda theta: (), update)

    return factory


def mean_square(R):
    """The mean of the squares, ()."""
    return np.mean(R**2)


EXERCISES = {
    "confidence_gap": Exercise(
        networks,
        confidence_gap,
        "the variance over domains (divided by m) of each domain's mean confidence minus its accuracy, (). The "
        "confidence of a row is the larger one of p and 1 - p; the prediction is 1 where p > 0.5",
        (
            "For each domain: p = 1 / (1 + exp(-z)) with z = model.logits(theta, domain.x)[:, 0].",
            "The larger of p and 1 - p is abs(p - 0.5) + 0.5. autograd.numpy all the way: a gradient has to flow.",
        ),
        {
            "divided by m - 1": lambda *case: onp.var(each(*case), ddof=1),
            "the accuracy is missing": lambda *case: onp.var(each(*case, right=0)),
            "the confidence is missing: no gradient flows": lambda *case: onp.var(each(*case, confidence=0)),
            "the mean of the squares, not the variance": lambda *case: onp.mean(each(*case) ** 2),
            "the standard deviation": lambda *case: onp.std(each(*case)),
        },
        contract=check_penalty,
    ),
    "ball_path": Exercise(
        ball,
        ball_path,
        "theta at the start and after every step, (steps + 1, d), of gradient descent with momentum on |theta|^2 / 2: "
        "velocity <- momentum * velocity - lr * gradient, theta <- theta + velocity. The velocity starts at 0",
        (
            "The gradient of |theta|^2 / 2 is theta. Keep all positions in a list, and stack them.",
            "Write theta = theta + velocity, which makes a new array; theta += velocity changes those in the list.",
        ),
        {
            "all rows are one array that was changed in place": lambda *case: (
                0 * ball_path(*case) + ball_path(*case)[-1]
            ),
            "the start is missing": lambda *case: ball_path(*case)[1:],
            "the gradient ahead: that is Nesterov's momentum": lambda *case: rolled(*case, ahead=1.0),
            "the velocity starts at 0, not at a first step": lambda *case: rolled(*case, start=1.0),
            "the velocity is a moving mean: the gradient has no factor 1 - momentum": lambda t, lr, momentum, steps: (
                rolled(t, lr, momentum, steps, fresh=1 - momentum)
            ),
        },
    ),
    "squared_risks": Exercise(
        updates,
        squared_risks,
        "a factory: each update goes lr down the gradient of the mean over domains of the squared risk, and its info "
        'has the mean of the risks as "risk"',
        (
            "value_and_grad of a function of theta alone: np.mean(risks(model, t, domains) ** 2), with autograd's np.",
            'return theta - lr * gradient, state, {"risk": float(np.mean(risks(model, theta, domains)))}.',
        ),
        {
            "the square of the mean risk, not the mean of the squares": descending(lambda R: np.mean(R) ** 2),
            "the risks are not squared": descending(np.mean),
            "lr is ignored": descending(mean_square, lr=0.1),
            'info["risk"] is the objective: it has to be the mean risk': descending(mean_square, mean_square),
            "uphill": descending(mean_square, sign=1),
        },
        contract=check_algorithm,
        adapt=two_updates,
    ),
}
