"""Right answers in other forms, the first one a second derivation, and right numbers got in forbidden ways."""

from itertools import combinations, pairwise, product

import autograd.numpy as anp
import numpy as np
from autograd import grad, jacobian

from minifishr import Algorithm, domain_gradients, per_sample_gradients
from minifishr.algorithms import coral, fishr, irm, sand_mask, vrex
from minifishr.course.lesson_2 import norms
from minifishr.curvature import gauss_newton, hvp, true_fisher
from minifishr.data import Row
from minifishr.evaluate import predictions, validation_step
from minifishr.gradients import inputs_and_deltas, mean_gradient
from minifishr.losses import losses, risk
from minifishr.mlp import MLP, relu
from minifishr.sweeps import expected_best, ranks


def in_float32(form):
    """A form that computes with float32 arrays where it gets float64 ones."""

    def cast(one):
        return one.astype(np.float32) if isinstance(one, np.ndarray) and one.dtype == np.float64 else one

    return lambda *given: form(*map(cast, given))


def coloring(images, y, flips):
    x = np.zeros((len(y), 2, *images.shape[1:]))
    for i, image in enumerate(images):
        x[i, y[i] if flips[i] == 0 else 1 - y[i]] = image
    return x.reshape(len(y), -1)


def joint_table(share, noise, flip):
    table = np.zeros((2, 2, 2))
    for s, a, b in product((0, 1), repeat=3):
        y = s ^ a
        chances = (share if s else 1 - share, noise if a else 1 - noise, flip if b else 1 - flip)
        table[s, y ^ b, y] += np.prod(chances)
    return table


def bayes_accuracy(table):
    """All 16 rules that give each pair of shape and color a label."""
    pairs = list(product((0, 1), repeat=2))
    return max(sum(table[s, c, y] for (s, c), y in zip(pairs, rule, strict=True)) for rule in product((0, 1), repeat=4))


def swapped(model, theta, x):
    pixels = x.shape[1] // 2
    other = x[:, [*range(pixels, 2 * pixels), *range(pixels)]]
    return np.mean(predictions(model, theta, x) != predictions(model, theta, other))


def backward(x, W, b, above):
    """ReLU by sample and unit."""
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(b)
    for n, j in product(range(len(x)), range(len(b))):
        if x[n] @ W[:, j] + b[j] > 0:
            dx[n] += above[n, j] * W[:, j]
            dW[:, j] += above[n, j] * x[n]
            db[j] += above[n, j]
    return np.concatenate([dx.ravel(), dW.ravel(), db])


def logits_delta(z, y):
    """The deltas of a network whose logits are its inputs: W = 1, b = 0."""
    k = z.shape[1]
    return inputs_and_deltas(MLP((k, k)), np.concatenate([np.eye(k).ravel(), np.zeros(k)]), z, y)[0][1]


def coordinate_by_coordinate(model, theta, x, y, h=1e-6):
    found = np.zeros(len(theta))
    for j in range(len(theta)):
        plus, minus = theta.copy(), theta.copy()
        plus[j] += h
        minus[j] -= h
        found[j] = (risk(model, plus, x, y) - risk(model, minus, x, y)) / (plus[j] - minus[j])
    return found


def outer(a, delta):
    return np.stack([np.outer(one, other).ravel() for one, other in zip(a, delta, strict=True)])


def norms_row_by_row(model, theta, x, y):
    one = [inputs_and_deltas(model, theta, x[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    return [sum(np.sum(np.outer(a, d) ** 2) + np.sum(d**2) for a, d in pairs) for pairs in one]


def welford(a, delta):
    """The variance by Welford's recursion, one row at a time."""
    mean = total = np.zeros(a.shape[1] * delta.shape[1])
    for n, (one, other) in enumerate(zip(a, delta, strict=True), 1):
        g = np.outer(one, other).ravel()
        step = g - mean
        mean = mean + step / n
        total = total + step * (g - mean)
    return total / len(a)


def vrex_by_pairs(R, g):
    """Var R is the mean over all m^2 pairs of (R_e - R_f)^2 / 2: differentiate that."""
    return np.mean([(R[e] - R[f]) * (g[e] - g[f]) for e in range(len(R)) for f in range(len(R))], axis=0)


def irm_by_differences(model, theta, x, y, h=1e-5):
    z = model.logits(theta, x)
    return (np.mean(losses((1 + h) * z, y)) - np.mean(losses((1 - h) * z, y))) / (2 * h)


def irm_plain(model, theta, x, y):
    z = model.logits(theta, x).ravel()
    return np.dot(1 / (1 + np.exp(-z)) - y.astype(z.dtype), z) / z.dtype.type(len(y))


def over_halvings(s):
    """The definition: the mean over all ways to halve the samples."""
    halves = [list(half) for half in combinations(range(len(s)), len(s) // 2)]
    return np.mean([s[half].mean() * np.delete(s, half).mean() for half in halves])


def walked(theta, H, c, a):
    for A, center in zip(H, c, strict=True):
        theta = theta - a * A @ (theta - center)
    return theta


def bend(theta, H, c, a):
    """Both walks, averaged, minus the start and the straight part."""
    straight = a * np.einsum("eij,ej->i", H, theta - c)
    return (walked(theta, H, c, a) + walked(theta, H[::-1], c[::-1], a)) / 2 - theta + straight


def and_step(g, tau):
    """Coordinate by coordinate, by counting votes."""
    m, d = g.shape
    kept = [j for j in range(d) if abs(sum(g[:, j] > 0) - sum(g[:, j] < 0)) >= tau * m]
    return np.array([d / len(kept) * g[:, j].mean() if j in kept else 0 for j in range(d)])


def and_early(g, tau):
    mask = abs(np.sign(g).mean(0)) >= tau
    return np.where(mask, g.mean(0) * mask.size / max(mask.sum(), 1), 0)


def soft_by_hand(g, tau, k):
    m = len(g)
    s = ((g - g.mean(0)) ** 2).sum(0) / (m - 1)
    q = abs((g > 0).sum(0) - (g < 0).sum(0)) / m
    return np.where(q > tau, np.tanh(np.divide(k, s, out=np.full_like(s, np.inf), where=s > 0) * (q - tau)), 0)


def fisher_and_covariance(G):
    """Entry by entry."""
    d = range(G.shape[1])
    F = [[np.mean(G[:, j] * G[:, l]) for l in d] for j in d]
    return np.stack([F, np.atleast_2d(np.cov(G.T, ddof=0))])


def label_average_by_jacobian(model, theta, x):
    """p (1 - p) J^T J, J the derivative of the logits."""
    z = model.logits(theta, x)[:, 0]
    J, p = jacobian(lambda t: model.logits(t, x)[:, 0])(theta), 1 / (1 + np.exp(-z))
    return np.einsum("n,ni,nj->ij", p * (1 - p), J, J) / len(x)


def label_average(model, theta, x):
    p = 1 / (1 + np.exp(-model.logits(theta, x)[:, 0]))
    G = [per_sample_gradients(model, theta, x, np.full(len(x), c)) for c in (0, 1)]
    return np.mean([(1 - q) * np.outer(a, a) + q * np.outer(b, b) for q, a, b in zip(p, *G, strict=True)], axis=0)


def logistic_row_by_row(x, w):
    return sum(np.outer(row, row) / (2 + 2 * np.cosh(row @ w)) for row in x) / len(x)


def batch_square(G, size):
    """The mean over all n^size batches."""
    every = [np.mean(G[list(rows)], axis=0) for rows in product(range(len(G)), repeat=size)]
    return np.mean(np.square(every), axis=0)


def hessian_row_by_row(model, theta, x, y, v, h=1e-6):
    """The mean over rows of each row's own Hessian times v."""

    def gradient(i, s):
        return mean_gradient(model, theta + s * v, x[i : i + 1], y[i : i + 1])

    return sum(gradient(i, h) - gradient(i, -h) for i in range(len(y))) / (2 * h * len(y))


def hessian_column_by_column(model, theta, x, y, v, h=1e-6):
    columns = [
        mean_gradient(model, theta + s, x, y) - mean_gradient(model, theta - s, x, y) for s in h * np.eye(len(v))
    ]
    return np.stack(columns, axis=1) @ v / (2 * h)


def by_pairs(v):
    return sum(np.sum((one - other) ** 2) for one in v for other in v) / (2 * len(v))


def fishr_gradient(v, J):
    """The derivative at 0 of the penalty of v + J t, in which the mean moves too."""
    return grad(lambda t: fishr.distance(v + anp.sum(J * t, axis=2)))(np.zeros(J.shape[2]))


def fishr_domainbed(v, ema):
    """The recursion, step by step, and the mean over pairs of domains and coordinates."""
    memory = np.zeros(v.shape[1:])
    for now in v:
        memory = ema * memory + now
    return np.mean((memory[:, None] - memory[None]) ** 2) / 2


def translated_lambda(penalty_weight, m, h, k, ema):
    """From the gradients of both distances in the newest variances, the past being a constant."""
    v = np.cos(np.arange(m * MLP((h, k)).d)).reshape(m, -1)
    past = ema / (1 - ema) * v
    paper, other = (grad(f)(v) for f in (fishr.distance, lambda v: fishr.distance(past + v, "domainbed")))
    return penalty_weight * np.sum(paper**2) / np.sum(paper * other)


def coral_pair(a, b):
    """Both conventions, from the package."""
    phi = anp.stack([anp.vstack([anp.mean(one, axis=0), covariance(one)]) for one in (a, b)])
    return [coral.distance(phi, convention) for convention in ("paper", "domainbed")]


def covariance(a):
    centered = a - anp.mean(a, axis=0)
    return centered.T @ centered / (len(a) - 1)


def coral_pull(a, b):
    return -grad(lambda a: coral_pair(a, b)[1])(a)


def best_discriminator(counts):
    """H(domain, feature) - H(feature): the entropy of the domain that is left when the feature is known."""

    def entropy(p):
        return -np.sum(p[p > 0] * np.log(p[p > 0]))

    p = counts / counts.sum()
    return entropy(p) - entropy(p.sum(axis=0))


def best_discriminator_by_rows(counts):
    rows = [(e, v) for (e, v), many in np.ndenumerate(counts) for _ in range(many)]
    return np.mean([-np.log(counts[e, v] / counts[:, v].sum()) for e, v in rows])


def standard_error(values):
    """The variance from the differences of all pairs."""
    n = len(values)
    return np.sqrt(sum((a - b) ** 2 for a, b in combinations(values, 2)) / (n * (n - 1)) / n)


def chosen_step(steps, held_out, test):
    """The package's rule on a history, and what the test domain's curve says there."""
    rows = zip(steps, held_out, strict=True)
    history = [Row(step, str(e), "validation accuracy", v) for step, row in rows for e, v in enumerate(row)]
    step = validation_step(history)
    return [step, dict(zip(steps, test, strict=True))[step]]


def dispersion(phi):
    """The squared distances of all pairs, over m, are the squared distances from the mean."""
    pairs = sum(np.sum((a - b) ** 2) for a, b in combinations(phi, 2)) / len(phi)
    total = sum(np.sum(one**2) for one in phi)
    return pairs / total if total else 0.0


def confidence_gap(model, theta, domains, np=anp):
    """Variance of the gaps as half the mean squared difference over all pairs."""
    gaps = []
    for domain in domains:
        p = 1 / (1 + np.exp(-model.logits(theta, domain.x)[:, 0]))
        gaps.append(np.mean(np.maximum(p, 1 - p) - ((p > 0.5) == domain.y)))
    return np.mean(np.array([(one - other) ** 2 for one in gaps for other in gaps])) / 2


def ball_path(theta, lr, momentum, steps):
    """The positions from the three-term recursion, which has no velocity."""
    path = [theta]
    for _ in range(steps):
        before = path[-2] if len(path) > 1 else theta
        path.append(path[-1] + momentum * (path[-1] - before) - lr * path[-1])
    return np.stack(path)


def ball_by_matrix(theta, lr, momentum, steps):
    """(theta, velocity) is multiplied by the same matrix at each step."""
    A = np.array([[1 - lr, momentum], [-lr, momentum]])
    return [np.linalg.matrix_power(A, t)[0, 0] * theta for t in range(steps + 1)]


def squared_risks(model, *, convention="paper", lr=0.1):
    """By the chain rule, 2 R_e g_e for each domain."""

    def update(theta, state, domains):
        R, g = domain_gradients(model, theta, domains)
        dtype = theta.dtype.type
        return theta - dtype(lr) * np.mean(dtype(2) * R[:, None] * g, axis=0), state, {"risk": float(np.mean(R))}

    return Algorithm("squares", lambda theta: (), update)


def squared_risks_by_parts(model, *, convention="paper", lr=0.1):
    """The squared mean and the variance of the risks, added."""

    def update(theta, state, domains):
        def objective(t):
            R = anp.array([risk(model, t, d.x, d.y) for d in domains])
            return anp.mean(R) ** 2 + anp.mean((R - anp.mean(R)) ** 2)

        info = {"risk": float(sum(risk(model, theta, d.x, d.y) for d in domains) / len(domains))}
        return theta - lr * grad(objective)(theta), state, info

    return Algorithm("squares", lambda theta: (), update)


RIGHT = {
    "coloring": [coloring, lambda x, y, f: np.einsum("nhw,nc->nchw", x, np.eye(2)[(y + f) % 2]).reshape(len(y), -1)],
    "pooled_color": [lambda a: max(np.mean(a), np.mean(1 - a)), lambda a: np.float32(0.5 + abs(sum(a) / len(a) - 0.5))],
    "joint_table": [joint_table, lambda *rates: joint_table(*rates).tolist()],
    "bayes_accuracy": [bayes_accuracy, in_float32(lambda t: np.maximum(t[:, :, 0], t[:, :, 1]).sum())],
    "swapped": [
        swapped,
        lambda m, t, x: ((m.logits(t, x) > 0) != (m.logits(t, np.roll(x, x.shape[1] // 2, axis=1)) > 0)).mean(),
    ],
    "parameter_count": [
        lambda sizes: MLP(tuple(int(size) for size in sizes)).d,
        lambda sizes: sum(i * j + j for i, j in pairwise(sizes)),
    ],
    "stable_loss": [
        lambda z, y: losses(z[:, None], y),
        in_float32(lambda z, y: np.logaddexp(np.float32(0), np.where(y == 1, -z, z))),
    ],
    "softmax_delta": [logits_delta, in_float32(lambda z, y: logits_delta(z, y))],
    "backward": [backward, in_float32(backward)],
    "numerical_gradient": [coordinate_by_coordinate, lambda *case: coordinate_by_coordinate(*case, h=1e-4)],
    "outer_products": [outer, lambda a, d: np.einsum("ni,nj->nij", a, d).reshape(len(a), -1).tolist()],
    "second_moment": [
        lambda a, d: sum(np.outer(one, other).ravel() ** 2 for one, other in zip(a, d, strict=True)) / len(a),
        in_float32(lambda a, d: np.einsum("ni,nj->ij", a**2, d**2).ravel() / len(a)),
    ],
    "variance": [welford, in_float32(lambda a, d: ((a * a).T @ (d * d) / len(a) - (a.T @ d / len(a)) ** 2).ravel())],
    "last_delta": [
        lambda m, t, x, y: inputs_and_deltas(m, t, x, y)[-1][1],
        lambda m, t, x, y: (0.5 + np.tanh(m.logits(t, x) / 2) / 2 - y.reshape(-1, 1)).astype(np.float32),
    ],
    "norms": [norms_row_by_row, in_float32(norms)],
    "vrex_conventions": [
        lambda R: [vrex.distance(R, convention) for convention in ("paper", "domainbed")],
        in_float32(lambda R: np.var(R) * np.float32([4, 1])),
    ],
    "vrex_gradient": [vrex_by_pairs, lambda R, g: 2 * (R @ g / len(R) - R.mean() * g.mean(axis=0))],
    "irm_slope": [irm_by_differences, in_float32(irm_plain)],
    "irm_halvings": [over_halvings, lambda s: (np.outer(s, s).sum() - s @ s) / (len(s) ** 2 - len(s))],
    "agreement": [
        lambda g: np.mean([a @ b for a, b in combinations(g, 2)]),
        lambda g: (g @ g.T)[np.triu_indices(len(g), 1)].mean(),
    ],
    "fish_bend": [bend, lambda t, H, c, a: grad(lambda t: a**2 / 2 * (H[0] @ (t - c[0])) @ (H[1] @ (t - c[1])))(t)],
    "and_step": [and_step, and_early],
    "soft_mask": [lambda g, tau, k: sand_mask.mask(g, tau=tau, k=k), soft_by_hand],
    "fisher_and_covariance": [fisher_and_covariance, in_float32(fisher_and_covariance)],
    "label_average": [label_average_by_jacobian, in_float32(label_average)],
    "logistic_fisher": [
        logistic_row_by_row,
        in_float32(lambda x, w: (x.T * (np.float32(0.25) - (np.tanh(x @ w / 2) / 2) ** 2)) @ x / len(x)),
    ],
    "batch_square": [batch_square, lambda G, size: np.mean(G, 0) ** 2 * (1 - 1 / size) + np.mean(G**2, 0) / size],
    "hessian_times": [
        hessian_row_by_row,
        lambda m, t, x, y, v: (mean_gradient(m, t + 1e-4 * v, x, y) - mean_gradient(m, t - 1e-4 * v, x, y)) / 2e-4,
    ],
    "fishr_paper": [
        lambda G: by_pairs([np.var(one, axis=0) for one in G]),
        lambda G: len(G) * np.var([np.mean(one**2, 0) - np.mean(one, 0) ** 2 for one in G], axis=0).sum(),
    ],
    "fishr_gradient": [fishr_gradient, lambda v, J: 2 * np.einsum("es,esd->d", v, J - J.mean(axis=0))],
    "fishr_domainbed": [fishr_domainbed, in_float32(fishr_domainbed)],
    "translated_lambda": [translated_lambda, lambda w, m, h, k, ema: w * m * MLP((h, k)).d * (1 - ema)],
    "coral_pair": [coral_pair, in_float32(coral_pair)],
    "coral_pull": [coral_pull, in_float32(coral_pull)],
    "best_discriminator": [best_discriminator, best_discriminator_by_rows],
    "error_floor": [
        lambda s: min(np.mean(np.abs(s - q)) for q in s),  # a piecewise linear function is smallest at a bend
        lambda s: (np.sort(s)[::-1] - np.sort(s))[: len(s) // 2].sum() / len(s),
    ],
    "standard_error": [standard_error, lambda values: np.sqrt(np.cov(values) / values.size)],
    "tied_ranks": [
        lambda means: list(ranks(dict(enumerate(means))).values()),
        lambda means: [1 + sorted(means, reverse=True).index(one) for one in means],
    ],
    "chosen_step": [chosen_step, lambda s, h, t: max(zip(s, t, h.sum(1), strict=True), key=lambda one: one[2])[:2]],
    "best_of_draws": [
        lambda scores, accuracies, k: expected_best(scores, accuracies)[k - 1],
        lambda s, a, k: np.mean([a[list(one)][np.argmax(s[list(one)])] for one in combinations(range(len(s)), k)]),
    ],
    "dispersion": [dispersion, lambda phi: len(phi) * np.sum(phi.var(axis=0)) / (np.sum(phi**2) or 1)],
    "confidence_gap": [
        confidence_gap,
        lambda m, t, domains: confidence_gap(m, t, domains[::-1]),
    ],
    "ball_path": [ball_path, ball_by_matrix],
    "squared_risks": [squared_risks, squared_risks_by_parts],
}


def with_memory(step):
    """A factory whose next step is step(gradient, the one before, how many there were), of lr."""

    def factory(model, *, convention="paper", lr=0.1):
        def update(theta, state, domains):
            R, g = domain_gradients(model, theta, domains)
            moved = lr * step(2 * np.mean(R[:, None] * g, axis=0), *state)
            return theta - moved, (moved / lr, state[1] + 1), {"risk": float(np.mean(R))}

        return Algorithm("squares", lambda theta: (0 * theta, 0), update)

    return factory


def plain_numpy(model, theta, domains):
    return confidence_gap(model, theta, domains, np)


FORBIDDEN = [
    ("second_moment", "MB at a time", lambda a, d: np.mean(outer(a, d) ** 2, axis=0)),
    ("variance", "MB at a time", lambda a, d: outer(a, d).var(axis=0)),
    ("norms", "calls per_sample_gradients", lambda *case: np.sum(per_sample_gradients(*case) ** 2, axis=1)),
    (
        "norms",
        "MB at a time",
        lambda *case: sum(np.sum(outer(a, d) ** 2, axis=1) + np.sum(d**2, axis=1) for a, d in inputs_and_deltas(*case)),
    ),
    ("backward", "calls autograd", lambda x, W, b, above: autograd_backward(x, W, b, above)),
    ("numerical_gradient", "calls autograd", mean_gradient),
    ("numerical_gradient", "a difference on one side", lambda *case: one_sided(*case)),
    ("irm_slope", "calls autograd", irm.statistic),
    ("label_average", "calls true_fisher", lambda model, theta, x: true_fisher(model, theta, x, None)),
    ("label_average", "calls gauss_newton", lambda model, theta, x: gauss_newton(model, theta, x, None)),
    (
        "logistic_fisher",
        "calls gauss_newton",
        lambda x, w: gauss_newton(MLP((len(w), 1)), np.append(w, 0.0), x, None)[:-1, :-1],
    ),
    ("hessian_times", "calls hvp", hvp),
    ("hessian_times", "a difference on one side", lambda *case: one_sided_product(*case)),
    ("hessian_times", "two calls of mean_gradient, at two points; came: calls at 6 points", hessian_column_by_column),
    ("hessian_times", "a step in each coordinate of theta; came: none", lambda *case: by_jacobian(*case)),
    ("hessian_times", "a step in each coordinate of theta; came: none", lambda *case: by_two_gradients(*case)),
    ("numerical_gradient", "a step in each coordinate of theta; came: none in 3 of 3", lambda *c: by_hand(*c)),
    ("confidence_gap", "no float around a value", lambda *case: float(confidence_gap(*case))),
    ("confidence_gap", "inside autograd's grad", plain_numpy),
    ("confidence_gap", "zeros", lambda m, t, ds: confidence_gap(m, getattr(t, "_value", t), ds) + 0 * anp.sum(t)),
    ("squared_risks", "expected [[", with_memory(lambda g, before, age: g + 0.9 * before)),
    ("squared_risks", "expected [[", with_memory(lambda g, before, age: g / (1 + age))),
    ("squared_risks", "a promise is broken", lambda model, **options: counting(model, **options)),
]


def autograd_backward(x, W, b, above):
    parts = grad(lambda t: anp.sum(relu(anp.dot(t[0], t[1]) + t[2]) * above))
    return np.concatenate([np.ravel(one) for one in parts((x, W, b))])


def by_jacobian(model, theta, x, y, v):
    return jacobian(lambda t: mean_gradient(model, t, x, y))(theta) @ v


def by_two_gradients(model, theta, x, y, v):
    return grad(lambda t: anp.dot(mean_gradient(model, t, x, y), v))(theta)


def by_hand(model, theta, x, y):
    """The reverse pass, where differences were asked for."""
    shapes = enumerate(pairwise(model.sizes), 1)
    layers = [(theta[model.blocks[f"W{n}"]].reshape(s), theta[model.blocks[f"b{n}"]]) for n, s in shapes]
    inputs, found = [x], []
    for W, b in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ W + b, 0))
    delta = (1 / (1 + np.exp(-model.logits(theta, x))) - y[:, None]) / len(y)
    for (W, _), a in zip(layers[::-1], inputs[::-1], strict=True):
        found = [(a.T @ delta).ravel(), delta.sum(axis=0), *found]
        delta = delta @ W.T * (a > 0)
    return np.concatenate(found)


def one_sided(model, theta, x, y, h=1e-8):
    steps = h * np.eye(len(theta))
    return [(risk(model, theta + s, x, y) - risk(model, theta, x, y)) / h for s in steps]


def one_sided_product(model, theta, x, y, v, h=1e-8):
    return (mean_gradient(model, theta + h * v, x, y) - mean_gradient(model, theta, x, y)) / h


def counting(model, *, convention="paper", lr=0.1):
    """Its info is no plain float."""
    right = squared_risks(model, lr=lr)

    def update(theta, state, domains):
        theta, state, info = right.update(theta, state, domains)
        return theta, state, {"risk": np.float64(info["risk"])}

    return Algorithm("squares", right.init, update)
