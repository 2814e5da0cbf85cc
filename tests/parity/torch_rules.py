"""The penalties and update rules in PyTorch, from their equations: what minifishr is compared with.

theta is one flat tensor, batches are a list of (x (n,p), y (n,)). Only test_parity.py imports this file, once it knows
that PyTorch is there.
"""

from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch.func import grad, vmap


def blocks(sizes):
    """The slice of theta and the shape of W1, b1, W2, b2, ..."""
    shapes = [shape for i, o in pairwise(sizes) for shape in ((i, o), (o,))]
    ends = torch.tensor([torch.Size(shape).numel() for shape in shapes]).cumsum(0).tolist()
    return list(zip(map(slice, [0, *ends], ends), shapes, strict=False))


def network(sizes, theta, x):
    """Features (n,h) and logits (n,k)."""
    *hidden, last = [theta[block].view(shape) for block, shape in blocks(sizes)][::2]
    *biases, bias = [theta[block] for block, _ in blocks(sizes)][1::2]
    for W, b in zip(hidden, biases, strict=True):
        x = F.relu(x @ W + b)
    return x, x @ last + bias


def loss(z, y, reduction="mean"):
    if z.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype), reduction=reduction)
    return F.cross_entropy(z, y, reduction=reduction)


def risk(sizes, theta, x, y):
    return loss(network(sizes, theta, x)[1], y)


def risks(sizes, theta, batches):
    return torch.stack([risk(sizes, theta, x, y) for x, y in batches])


def pooled(batches):
    """All rows of all domains, and the number of each row's domain."""
    x, y = map(torch.cat, zip(*batches, strict=True))
    return x, y, torch.cat([torch.full_like(y, e) for e, (_, y) in enumerate(batches)])


def sample_gradients(sizes, theta, x, y):
    """(n,d), by torch.func."""
    return vmap(grad(lambda t, xi, yi: risk(sizes, t, xi[None], yi[None])), (None, 0, 0))(theta, x, y)


def domain_gradients(sizes, theta, batches):
    return torch.stack([torch.autograd.grad(R, theta, create_graph=True)[0] for R in risks(sizes, theta, batches)])


# Penalties: (sizes, theta, batches) -> ()


def slope(z, y):
    s = torch.ones((), dtype=z.dtype, requires_grad=True)
    return torch.autograd.grad(loss(s * z, y), s, create_graph=True)[0]


def irm_paper(sizes, theta, batches):
    return torch.stack([slope(network(sizes, theta, x)[1], y) ** 2 for x, y in batches]).mean()


def irm_domainbed(sizes, theta, batches):
    logits = [(network(sizes, theta, x)[1], y) for x, y in batches]
    return torch.stack([slope(z[::2], y[::2]) * slope(z[1::2], y[1::2]) for z, y in logits]).mean()


def vrex_paper(sizes, theta, batches):
    """(R_1 - R_2)^2; for more domains the mean over ordered pairs, with e = f among them, times 2."""
    R = risks(sizes, theta, batches)
    return 2 * ((R[:, None] - R) ** 2).mean()


def vrex_domainbed(sizes, theta, batches):
    return risks(sizes, theta, batches).var(correction=0)


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


def coral_paper(sizes, theta, batches):
    pairs = combinations(moments(sizes, theta, batches), 2)
    return torch.stack([torch.linalg.matrix_norm(C - D) ** 2 / (4 * len(C) ** 2) for (_, C), (_, D) in pairs]).mean()


def coral_domainbed(sizes, theta, batches):
    pairs = combinations(moments(sizes, theta, batches), 2)
    return torch.stack([(p - q).square().mean() + (C - D).square().mean() for (p, C), (q, D) in pairs]).mean()


def dann(sizes, theta, batches, critic, w, gradient_penalty):
    """Minus the discriminator's loss."""
    x, _, labels = pooled(batches)
    a, _ = network(sizes, theta, x)
    z = network(critic, w, a)[1]
    (slopes,) = torch.autograd.grad(loss(z, labels, "sum"), a, create_graph=True)
    return -loss(z, labels) - gradient_penalty * slopes.square().sum(1).mean()


PENALTIES = {
    "irm": {"paper": irm_paper, "domainbed": irm_domainbed},
    "vrex": {"paper": vrex_paper, "domainbed": vrex_domainbed},
    "fishr": {"paper": fishr_paper, "domainbed": fishr_domainbed},
    "iga": {"paper": iga_paper, "domainbed": iga_domainbed},
    "idgm": {"paper": idgm, "domainbed": idgm},
    "coral": {"paper": coral_paper, "domainbed": coral_domainbed},
    "dann": {"paper": dann, "domainbed": dann},
}


# Update rules: (run, batches) -> risk, penalty (or None); they move run.theta


class Run:
    """theta, its Adam, hyper-parameters, and what a rule keeps from one step to the next."""

    def __init__(self, name, sizes, theta, *, lr, weight_decay=0.0, betas=(0.9, 0.999), **hyper):
        self.name, self.sizes, self.hyper, self.step, self.memory = name, sizes, hyper, 0, 0.0
        self.theta = torch.tensor(theta, requires_grad=True)
        self.adam = lambda tensor: torch.optim.Adam([tensor], lr=lr, weight_decay=weight_decay, betas=betas)
        self.optimizer = self.adam(self.theta)
        self.inner = self.theta.detach().clone().requires_grad_()
        self.inner_optimizer = self.adam(self.inner)

    def descend(self, objective):
        (self.theta.grad,) = torch.autograd.grad(objective, self.theta)
        self.optimizer.step()
        self.step += 1


def domainbed_erm(run, batches):
    x, y, _ = pooled(batches)
    R = risk(run.sizes, run.theta, x, y)
    run.descend(R)
    return R, None


def domainbed_penalized(run, batches):
    """IRM, V-REx, IGA, IDGM, CORAL: mean of the risks; weight 1 in the warm-up, then Adam is made anew."""
    R = risks(run.sizes, run.theta, batches).mean()
    P = PENALTIES[run.name]["domainbed"](run.sizes, run.theta, batches)
    if run.step == run.hyper["warm_up"]:
        run.optimizer = run.adam(run.theta)
    run.descend(R + (run.hyper["penalty_weight"] if run.step >= run.hyper["warm_up"] else 1.0) * P)
    return R, P


def domainbed_fishr(run, batches):
    """Pooled risk; weight 0 in the warm-up; a moving average that is used divided by 1 - ema."""
    ema, warm_up = run.hyper["ema"], run.hyper["warm_up"]
    average = ema * run.memory + (1 - ema) * variances(run.sizes, run.theta, batches)
    run.memory = average.detach()
    x, y, _ = pooled(batches)
    R, P = risk(run.sizes, run.theta, x, y), spread(average / (1 - ema))
    if run.step == warm_up != 0:
        run.optimizer = run.adam(run.theta)
    run.descend(R + (run.hyper["penalty_weight"] if run.step >= warm_up else 0.0) * P)
    return R, P


def domainbed_fish(run, batches):
    met = []
    run.inner.data.copy_(run.theta.data)
    for x, y in batches:
        met.append(risk(run.sizes, run.inner, x, y))
        (run.inner.grad,) = torch.autograd.grad(met[-1], run.inner)
        run.inner_optimizer.step()
    run.theta.data += run.hyper["meta_lr"] * (run.inner.data - run.theta.data)
    return torch.stack(met).mean(), None


def domainbed_masked(run, batches):
    """AND-mask and SAND-mask, one tensor after the other."""
    R, tau = risks(run.sizes, run.theta, batches).mean(), run.hyper["tau"]
    g = domain_gradients(run.sizes, run.theta, batches).detach()
    pieces = []
    for block, _ in blocks(run.sizes):
        part = g[:, block]
        agreement = part.sign().mean(0).abs()
        if run.name == "and_mask":
            mask = (agreement >= tau).to(g.dtype)
        else:
            variance = part.var(0)
            mask = torch.tanh(run.hyper["k"] / variance * (agreement - tau)).clamp(min=0).nan_to_num(1e-17)
        pieces.append(mask * part.mean(0) / (1e-10 + mask.sum() / mask.numel()))
    run.theta.grad = torch.cat(pieces)
    run.optimizer.step()
    return R, None


def domainbed_dann(run, batches):
    """run.hyper has critic (sizes), w (a leaf) and opponent (its Adam). The count of updates is raised first."""
    run.step += 1
    critic, w, d_steps = run.hyper["critic"], run.hyper["w"], run.hyper["discriminator_steps"]
    P = dann(run.sizes, run.theta, batches, critic, w, run.hyper["gradient_penalty"])
    x, y, _ = pooled(batches)
    R = risk(run.sizes, run.theta, x, y)
    if run.step % (1 + d_steps) < d_steps:
        (w.grad,) = torch.autograd.grad(-P, w)
        run.hyper["opponent"].step()
    else:
        (run.theta.grad,) = torch.autograd.grad(R + run.hyper["penalty_weight"] * P, run.theta)
        run.optimizer.step()
    return R, P


def paper(run, batches):
    """The Fishr authors' script: decay in the loss, which is divided by a penalty weight above 1; Adam goes on."""
    R, P, weight = risks(run.sizes, run.theta, batches).mean(), None, 0.0
    objective = R + run.hyper["decay"] * run.theta.norm() ** 2
    if run.name != "erm":
        weight = run.hyper["penalty_weight"] if run.step >= run.hyper["warm_up"] else 1.0
        P = PENALTIES[run.name]["paper"](run.sizes, run.theta, batches)
        objective = objective + weight * P
    run.descend(objective / weight if weight > 1 else objective)
    return R, P


DOMAINBED = {
    "erm": domainbed_erm,
    "irm": domainbed_penalized,
    "vrex": domainbed_penalized,
    "fish": domainbed_fish,
    "and_mask": domainbed_masked,
    "sand_mask": domainbed_masked,
    "fishr": domainbed_fishr,
    "iga": domainbed_penalized,
    "idgm": domainbed_penalized,
    "coral": domainbed_penalized,
    "dann": domainbed_dann,
}
