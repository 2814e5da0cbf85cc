"""JAX: the closed form, compiled, and one gradient a sample with vmap."""

import jax
import jax.numpy as jnp
from cases import LR, WEIGHT, data, weights


def features(layers, x):
    """The classifier's inputs."""
    for W, b in layers[:-1]:
        x = jax.nn.relu(x @ W + b)
    return x


def loss(z, y):
    """Cross-entropy of each sample, (n,k), (n,) -> (n,)."""
    if z.shape[1] == 1:
        return jax.nn.softplus(jnp.where(y == 1, -z[:, 0], z[:, 0]))
    return jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], 1)[:, 0]


def residuals(z, y):
    """Probability minus label, (n,k): the gradient of the summed losses."""
    if z.shape[1] == 1:
        return jax.nn.sigmoid(z) - y[:, None]
    return jax.nn.softmax(z) - jax.nn.one_hot(y, z.shape[1])


def penalized(risks, variances):
    """mean risk + weight * sum of squared deviations of the variances (m,d)."""
    v = jnp.stack(variances)
    return jnp.mean(jnp.stack(risks)) + WEIGHT * jnp.sum((v - v.mean(axis=0)) ** 2)


def stepper(case, objective):
    """One compiled Adam update."""
    xs, ys = ([jnp.asarray(part) for part in parts] for parts in data(case))
    layers = [(jnp.asarray(W), jnp.asarray(b)) for W, b in weights(case)]
    zeros = jax.tree.map(jnp.zeros_like, layers)
    state = [layers, zeros, zeros, 0]

    @jax.jit
    def update(layers, mean, square, t, xs, ys):
        g = jax.grad(objective)(layers, xs, ys)
        mean = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, mean, g)
        square = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, square, g)

        def move(p, a, b):
            return p - LR * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(move, layers, mean, square), mean, square

    def step():
        state[3] += 1
        state[:3] = update(*state, xs, ys)
        jax.block_until_ready(state[0])

    return step


def closed_form(case):
    """Variances of the classifier as matrix products of features and residuals."""

    def objective(layers, xs, ys):
        risks, variances = [], []
        for x, y in zip(xs, ys, strict=True):
            a = features(layers, x)
            z = a @ layers[-1][0] + layers[-1][1]
            r = residuals(z, y)
            mean, square = a.T @ r / len(y), (a**2).T @ (r**2) / len(y)
            variances.append(jnp.append(square - mean**2, jnp.mean(r**2, 0) - jnp.mean(r, 0) ** 2))
            risks.append(jnp.mean(loss(z, y)))
        return penalized(risks, variances)

    return stepper(case, objective)


def vmap_grad(case):
    """vmap of grad over samples, all parameters."""

    def one(layers, x, y):
        return loss((features(layers, x) @ layers[-1][0] + layers[-1][1])[None], y[None])[0]

    def objective(layers, xs, ys):
        risks, variances = [], []
        for x, y in zip(xs, ys, strict=True):
            G = jax.vmap(jax.grad(one), (None, 0, 0))(layers, x, y)
            variances.append(jnp.concatenate([g.reshape(len(y), -1).var(axis=0) for g in jax.tree.leaves(G)]))
            risks.append(jnp.mean(jax.vmap(one, (None, 0, 0))(layers, x, y)))
        return penalized(risks, variances)

    return stepper(case, objective)


PEERS = {"jax jit closed form": closed_form, "jax vmap(grad)": vmap_grad}
