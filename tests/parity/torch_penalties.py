"""The penalties in PyTorch, from their equations: (sizes, theta, batches) -> (), or a pair of terms."""

from itertools import combinations

import torch
from parity.torch_network import blocks, domain_gradients, loss, network, pooled, risks, sample_gradients
from torch.func import grad, hessian


def slope(z, y):
    s = torch.ones((), dtype=z.dtype, requires_grad=True)
    return torch.autograd.grad(loss(s * z, y), s, create_graph=True)[0]


def irm_paper(sizes, theta, batches, reduction="mean"):
    return getattr(torch.stack([slope(network(sizes, theta, x)[1], y) ** 2 for x, y in batches]), reduction)()


def irm_domainbed(sizes, theta, batches, reduction="mean"):
    logits = [(network(sizes, theta, x)[1], y) for x, y in batches]
    return getattr(torch.stack([slope(z[::2], y[::2]) * slope(z[1::2], y[1::2]) for z, y in logits]), reduction)()


def vrex_paper(sizes, theta, batches, ddof=0):
    """(R_1 - R_2)^2; for more domains the mean over ordered pairs, with e = f among them or not, times 2."""
    R = risks(sizes, theta, batches)
    return 2 * ((R[:, None] - R) ** 2).sum() / (len(R) * (len(R) - ddof))


def vrex_domainbed(sizes, theta, batches, ddof=0):
    return risks(sizes, theta, batches).var(correction=ddof)


def variances(sizes, theta, batches, scope="classifier", ddof=0, centered=True):
    start = blocks(sizes)[-2][0].start if scope == "classifier" else 0
    G = [sample_gradients(sizes, theta, x, y)[:, start:] for x, y in batches]
    return torch.stack([g.var(0, correction=ddof) if centered else g.square().mean(0) for g in G])


def fishr_paper(sizes, theta, batches, **variant):
    v = variances(sizes, theta, batches, **variant)
    return sum((v_e - v.mean(0)).norm() ** 2 for v_e in v)


def spread(v):
    """Mean over domains and coordinates."""
    return sum((v_e - v.mean(0)).square().mean() for v_e in v) / len(v)


def fishr_domainbed(sizes, theta, batches, **variant):
    return spread(variances(sizes, theta, batches, **variant))


def iga_domainbed(sizes, theta, batches):
    g = domain_gradients(sizes, theta, batches)
    return (g - g.mean(0).detach()).square().sum()


def iga_paper(sizes, theta, batches):
    return torch.trace(domain_gradients(sizes, theta, batches).T.cov(correction=0))


def idgm(sizes, theta, batches):
    return -torch.stack([g @ h for g, h in combinations(domain_gradients(sizes, theta, batches), 2)]).mean()


def moments(sizes, theta, batches):
    features = [network(sizes, theta, x)[0] for x, _ in batches]
    return [(a.mean(0), a.T.cov().reshape(a.shape[1], a.shape[1])) for a in features]


def coral_paper(sizes, theta, batches, means=False):
    pairs = [*combinations(moments(sizes, theta, batches), 2)]
    of = [torch.linalg.matrix_norm(C - D) ** 2 / (4 * len(C) ** 2) for (_, C), (_, D) in pairs]
    return torch.stack(of).mean() + means * torch.stack([(p - q).square().mean() for (p, _), (q, _) in pairs]).mean()


def coral_domainbed(sizes, theta, batches, means=True):
    pairs = combinations(moments(sizes, theta, batches), 2)
    of = [means * (p - q).square().mean() + (C - D).square().mean() for (p, C), (q, D) in pairs]
    return torch.stack(of).mean()


def dann(sizes, theta, batches, critic, w, gradient_penalty):
    """Minus the discriminator's loss."""
    x, _, labels = pooled(batches)
    a, _ = network(sizes, theta, x)
    z = network(critic, w, a)[1]
    (slopes,) = torch.autograd.grad(loss(z, labels, "sum"), a, create_graph=True)
    return -loss(z, labels) - gradient_penalty * slopes.square().sum(1).mean()


# Penalties of one or two terms: the first + the second's weight * the second


def classifier(sizes, theta, x, y):
    """The mean loss as a function of the last W and b (row by row), and these, with features that theta moves."""
    a = network(sizes, theta, x)[0]
    shape, start = blocks(sizes)[-2][1], blocks(sizes)[-2][0].start
    size = shape[0] * shape[1]
    return lambda w: loss(a @ w[:size].view(shape) + w[size:], y), theta[start:]


def gradients_and_hessians(sizes, theta, batches):
    """g_e (m,d) and H_e (m,d,d) of the classifier, and those of the mean risk."""
    parts = [classifier(sizes, theta, x, y) for x, y in batches]
    g = torch.stack([grad(R)(w) for R, w in parts])
    H = torch.stack([hessian(R)(w) for R, w in parts])
    return g, H, g.mean(0), H.mean(0)


def hutchinson(sizes, theta, batches):
    g, H, g_mean, H_mean = gradients_and_hessians(sizes, theta, batches)
    apart = (H.diagonal(dim1=1, dim2=2) - H_mean.diagonal()).square().sum(1)
    return apart.mean(), (g - g_mean).square().sum(1).mean()


def hgp(sizes, theta, batches):
    g, H, g_mean, H_mean = gradients_and_hessians(sizes, theta, batches)
    apart = torch.einsum("eij,ej->ei", H, g) - (H_mean @ g_mean).detach()
    return apart.square().sum(1).mean(), (g - g_mean.detach()).square().sum(1).mean()


def cma_paper(sizes, theta, batches):
    g, H, g_mean, H_mean = gradients_and_hessians(sizes, theta, batches)
    return torch.linalg.matrix_norm(H - H_mean).square().mean(), (g - g_mean).square().sum(1).mean()


def cma_domainbed(sizes, theta, batches):
    return tuple(term / max(sizes[-1], 2) ** 2 for term in cma_paper(sizes, theta, batches))


def ib_erm(sizes, theta, batches):
    return torch.stack([network(sizes, theta, x)[0].var(0).mean() for x, _ in batches]).mean()


def ib_irm(sizes, theta, batches):
    return irm_domainbed(sizes, theta, batches), ib_erm(sizes, theta, batches)


def mmd(sizes, theta, batches):
    def kernel(a, b):
        D = (a[:, None] - b).square().sum(2).clamp(min=1e-30)
        return sum(torch.exp(-scale * D) for scale in (1e-3, 1e-2, 0.1, 1, 10, 100, 1000)).mean()

    pairs = combinations([network(sizes, theta, x)[0] for x, _ in batches], 2)
    return torch.stack([kernel(a, a) + kernel(b, b) - 2 * kernel(a, b) for a, b in pairs]).mean()


def sd(sizes, theta, batches):
    return network(sizes, theta, pooled(batches)[0])[1].square().mean()


TERMS = {
    "hutchinson": {"paper": hutchinson, "domainbed": hutchinson},
    "hgp": {"paper": hgp, "domainbed": hgp},
    "cma": {"paper": cma_paper, "domainbed": cma_domainbed},
    "ib_irm": {"paper": ib_irm, "domainbed": ib_irm},
}


def weighed(terms):
    """The penalty of two terms, whose second weight has the one or the other name."""

    def penalty(sizes, theta, batches, gradient_weight=1.0, ib_weight=1.0):
        first, second = terms(sizes, theta, batches)
        return first + gradient_weight * ib_weight * second

    return penalty


PENALTIES = {
    "irm": {"paper": irm_paper, "domainbed": irm_domainbed},
    "vrex": {"paper": vrex_paper, "domainbed": vrex_domainbed},
    "fishr": {"paper": fishr_paper, "domainbed": fishr_domainbed},
    "iga": {"paper": iga_paper, "domainbed": iga_domainbed},
    "idgm": {"paper": idgm, "domainbed": idgm},
    "coral": {"paper": coral_paper, "domainbed": coral_domainbed},
    "dann": {"paper": dann, "domainbed": dann},
    **{name: {key: weighed(terms) for key, terms in both.items()} for name, both in TERMS.items()},
    **{name: {"paper": one, "domainbed": one} for name, one in (("ib_erm", ib_erm), ("mmd", mmd), ("sd", sd))},
}
