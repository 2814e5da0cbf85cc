"""Fishers, Gauss-Newton, covariance and Hessian-vector products from torch.func and JAX, in float64.

Full Hessians are in test_parity.py, whose fixtures are used here. Probabilities, Jacobians of the logits and Hessians
of the loss in them are the libraries' own.
"""

from functools import partial

import numpy as np
import pytest
from parity.test_parity import agree, errors, jax, jax_risk, on_every_network, problem, rules, tensors, torch

from minifishr.curvature import empirical_fisher, gauss_newton, gradient_covariance, hessian, hvp, true_fisher

__all__ = ["agree", "errors", "jax", "rules", "torch"]  # fixtures
pytestmark = pytest.mark.parity


def agree_in_full_and_diagonal(agree, library, matrix, arguments, theirs):
    theirs, name = np.asarray(theirs), matrix.__name__.replace("_", " ")
    agree(name, library, matrix(*arguments), theirs)
    agree(f"{name}, diagonal", library, matrix(*arguments, diagonal=True), np.diag(theirs))


def torch_log_probabilities(torch, z):
    """log p of one sample's labels."""
    return torch.nn.functional.logsigmoid(torch.cat([-z, z])) if len(z) == 1 else torch.log_softmax(z, 0)


@on_every_network
def test_covariance_and_empirical_fisher_are_those_of_torch_func(rules, torch, agree, sizes):
    model, theta, domains = problem(sizes)
    for (_, *data), (x, y) in zip(domains, tensors(torch, domains), strict=True):
        G = rules.sample_gradients(sizes, torch.tensor(theta), x, y)
        check = partial(agree_in_full_and_diagonal, agree, "torch.func")
        check(empirical_fisher, (model, theta, *data), G.T @ G / len(y))
        check(gradient_covariance, (model, theta, *data), torch.cov(G.T, correction=0))


@on_every_network
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch.func.hessian's own
def test_true_fisher_and_gauss_newton_are_those_of_torch_func(rules, torch, agree, sizes):
    model, theta, domains = problem(sizes)
    t, (jacrev, vmap) = torch.tensor(theta), (torch.func.jacrev, torch.func.vmap)

    def logits(t, row):
        return rules.network(sizes, t, row[None])[1][0]

    def log_p(t, row):
        return torch_log_probabilities(torch, logits(t, row))

    for (_, *data), (x, y) in zip(domains, tensors(torch, domains), strict=True):
        scores = vmap(jacrev(log_p), (None, 0))(t, x)
        p = vmap(log_p, (None, 0))(t, x).exp()
        F = torch.einsum("nc,ncd,nce->de", p, scores, scores) / len(x)
        agree_in_full_and_diagonal(agree, "torch.func", true_fisher, (model, theta, *data), F)
        J = vmap(jacrev(logits), (None, 0))(t, x)
        in_logits = torch.func.hessian(lambda z, label: rules.loss(z[None], label[None]))
        H = vmap(in_logits)(vmap(logits, (None, 0))(t, x), y)
        GN = torch.einsum("nkd,nkl,nle->de", J, H, J) / len(x)
        agree_in_full_and_diagonal(agree, "torch.func", gauss_newton, (model, theta, *data), GN)


@on_every_network
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_hessian_diagonals_and_products_are_those_of_torch_func(rules, torch, agree, sizes):
    model, theta, domains = problem(sizes)
    t, v = torch.tensor(theta), np.random.default_rng(7).normal(size=model.d)
    for (_, *data), (x, y) in zip(domains, tensors(torch, domains), strict=True):
        gradient = torch.func.grad(lambda t, x=x, y=y: rules.risk(sizes, t, x, y))
        product = torch.func.jvp(gradient, (t,), (torch.tensor(v),))[1]
        agree("hvp", "torch.func", hvp(model, theta, *data, v), product)
        theirs = torch.func.jacfwd(gradient)(t).diagonal()
        agree("hessian, diagonal", "torch.func", hessian(model, theta, *data, diagonal=True), theirs)


@on_every_network
def test_matrices_are_those_of_jax(jax, agree, sizes):
    model, theta, ((_, x, y), *_) = problem(sizes)
    risk, jnp, check = jax_risk(jax, model), jax.numpy, partial(agree_in_full_and_diagonal, agree, "JAX")
    each = jax.jit(jax.vmap(jax.grad(risk), (None, 0, 0)))
    G = each(theta, x[:, None], y[:, None])
    check(empirical_fisher, (model, theta, x, y), G.T @ G / len(y))
    check(gradient_covariance, (model, theta, x, y), jnp.cov(G.T, bias=True))
    F = 0
    for c in range(max(sizes[-1], 2)):
        labels = np.full_like(y, c)
        p = jnp.exp(-jax.vmap(risk, (None, 0, 0))(theta, x[:, None], labels[:, None]))
        G = each(theta, x[:, None], labels[:, None])
        F = F + (p[:, None] * G).T @ G / len(y)
    check(true_fisher, (model, theta, x, y), F)
    product = jax.jvp(lambda t: jax.grad(risk)(t, x, y), (theta,), (theta,))[1]
    agree("hvp", "JAX", hvp(model, theta, x, y, theta), product)
