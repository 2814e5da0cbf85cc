"""Penalties and updates of PyTorch modules and JAX pytrees, right and wrong, with what the kit must say of each."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import torch
import torch.nn.functional as F


def loss(z, y, **options):
    if z.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype), **options)
    return F.cross_entropy(z, y, **options)


def slope(z, y):
    s = torch.ones((), dtype=z.dtype, requires_grad=True)
    return torch.autograd.grad(loss(s * z, y), s, create_graph=True)[0]


def irm(featurizer, classifier, domains):
    return torch.stack([slope(classifier(featurizer(x)), y) ** 2 for x, y in domains]).mean()


def vrex(featurizer, classifier, domains):
    return torch.stack([loss(classifier(featurizer(x)), y) for x, y in domains]).var(correction=0)


def vrex_unbiased(featurizer, classifier, domains):
    return torch.stack([loss(classifier(featurizer(x)), y) for x, y in domains]).var()


def variances(featurizer, classifier, domains, detach=False):
    found = []
    for x, y in domains:
        a = featurizer(x)
        z = classifier(a)
        p = torch.sigmoid(z) - y[:, None] if z.shape[1] == 1 else torch.softmax(z, 1) - F.one_hot(y, z.shape[1])
        g = torch.cat([torch.einsum("nk,nh->nkh", p, a).flatten(1), p], dim=1)
        found.append((g.detach() if detach else g).var(0, correction=0))
    return torch.stack(found)


def fishr(featurizer, classifier, domains):
    v = variances(featurizer, classifier, domains)
    return ((v - v.mean(0)) ** 2).mean()


def fishr_detached(featurizer, classifier, domains):
    v = variances(featurizer, classifier, domains, detach=True)
    return ((v - v.mean(0)) ** 2).sum()


def fishr_that_needs_three(featurizer, classifier, domains):
    if len(domains) < 3:
        raise ValueError("three domains, please")
    return fishr(featurizer, classifier, domains)


TORCH = [
    ("irm", irm, "follows the paper convention (largest"),
    ("irm", lambda *a: irm(*a) * len(a[2]), "follows the paper convention with reduction=sum (largest"),
    ("irm", lambda *a: irm(*a) * len(a[2]) ** 2, "the paper convention with reduction=sum times m ("),
    ("irm", lambda f, c, d: irm(f, c, d[-1:]), "a known mistake, the last domain only: "),
    ("vrex", vrex_unbiased, "follows the domainbed convention with ddof=1 (largest"),
    ("vrex", vrex, "follows the domainbed convention (largest"),
    ("vrex", lambda *a: vrex(*a)[None], "follows the domainbed convention (largest"),
    ("fishr", fishr, "follows the domainbed convention (largest"),
    ("fishr", fishr_detached, "the value of the paper convention without its gradient: something is detached"),
    ("fishr", fishr_that_needs_three, "the penalty raised ValueError on case one-2a (2 domains of 6, 6 rows"),
    ("vrex", lambda *a: vrex(*a).item(), "the penalty gave float on case one-2a"),
    ("vrex", lambda *a: vrex(*a) * float("nan"), "the penalty gave nan on case one-2a"),
    ("vrex", lambda f, c, d: c.bias.data.add_(1).sum() * 0 + vrex(f, c, d), "the penalty changes the parameters"),
    ("vrex", lambda f, c, d: d[0][0].mul_(2).sum() * 0 + vrex(f, c, d), "the penalty changes the rows of domain 0"),
    ("vrex", lambda *a: vrex(*a) * torch.rand(()), "the penalty gave "),
    ("vrex", lambda *a: vrex(*a).half(), "the penalty gave a number of torch.float16 on case one-2a"),
    ("fishr", lambda *a: fishr(*a).float(), "follows the domainbed convention (largest"),
]


def features(params, x):
    for W, b in params["featurizer"]:
        x = jax.nn.relu(x @ W + b)
    return x


def jax_loss(params, x, y, s=1.0):
    W, b = params["classifier"]
    z = s * (features(params, x) @ W + b)
    if z.shape[1] == 1:
        return jnp.mean(jax.nn.softplus(z[:, 0]) - y * z[:, 0])
    return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(y)), y])


def jax_irm(params, domains):
    slopes = [jax.grad(lambda s, x=x, y=y: jax_loss(params, x, y, s))(1.0) for x, y in domains]
    return jnp.mean(jnp.stack(slopes) ** 2)


def jax_iga(params, domains):
    flat = [jax.flatten_util.ravel_pytree(jax.grad(jax_loss)(params, x, y))[0] for x, y in domains]
    return jnp.sum(jnp.var(jnp.stack(flat), axis=0))


def jax_irm_of_the_last(params, domains):
    return jax_irm(params, domains[-1:])


JAX = [
    ("irm", jax_irm, "follows the paper convention (largest"),
    ("irm", jax.jit(jax_irm), "follows the paper convention (largest"),
    ("irm", lambda p, d: len(d) * jax_irm(p, d), "follows the paper convention with reduction=sum (largest"),
    ("irm", jax_irm_of_the_last, "a known mistake, the last domain only: "),
    ("iga", jax_iga, "follows the paper convention (largest"),
    (
        "iga",
        lambda *a: jax.lax.stop_gradient(jax_iga(*a)),
        "the value of the paper convention without its gradient",
    ),
    ("iga", lambda p, d: jax_iga(p, d) * jnp.ones(2), "the penalty gave an array (2,) on case one-2a"),
    ("iga", lambda p, d: "much", "the penalty gave str on case one-2a"),
]


def torch_erm(featurizer, classifier, settings):
    parameters = [*featurizer.parameters(), *classifier.parameters()]
    adam = torch.optim.Adam(parameters, lr=settings["lr"], weight_decay=settings["weight_decay"])

    def update(domains):
        adam.zero_grad()
        x, y = (torch.cat([domain[i] for domain in domains]) for i in (0, 1))
        loss(classifier(featurizer(x)), y).backward()
        adam.step()

    return update


def jax_descent(params, settings):
    state = {"params": params}

    def update(domains):
        slopes = [jax.grad(jax_loss)(state["params"], x, y) for x, y in domains]
        mean = jax.tree.map(lambda *g: sum(g) / len(g), *slopes)
        state["params"] = jax.tree.map(lambda p, g: p - settings["lr"] * g, state["params"], mean)
        return state["params"]

    return update


def dann(featurizer, classifier, domains, discriminator):
    a = torch.cat([featurizer(x) for x, _ in domains])
    labels = torch.cat([torch.full_like(y, e) for e, (_, y) in enumerate(domains)])
    return -F.cross_entropy(discriminator(a), labels)
