"""The update rules in PyTorch, from their equations: what minifishr is compared with.

theta is one flat tensor, batches are a list of (x (n,p), y (n,)). Only test_parity.py imports this file, once it knows
that PyTorch is there.
"""

import torch
from parity.torch_network import blocks, domain_gradients, loss, network, pooled, risk, risks, sample_gradients
from parity.torch_penalties import PENALTIES, TERMS, dann, spread, variances

__all__ = ["loss", "network", "sample_gradients"]  # for the tests

SWITCHES = ("reduction", "ddof", "means")  # of penalties


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

    def penalty(self, convention, batches):
        """With the switches among the hyper-parameters."""
        turned = {key: self.hyper[key] for key in SWITCHES if key in self.hyper}
        return PENALTIES[self.name][convention](self.sizes, self.theta, batches, **turned)


def domainbed_erm(run, batches):
    x, y, _ = pooled(batches)
    R = risk(run.sizes, run.theta, x, y)
    run.descend(R)
    return R, None


def domainbed_penalized(run, batches):
    """IRM, V-REx, IGA, IDGM, CORAL, MMD: mean of the risks; weight 1 in the warm-up, then Adam is made anew."""
    R = risks(run.sizes, run.theta, batches).mean()
    P, warm_up = run.penalty("domainbed", batches), run.hyper.get("warm_up", 0)
    if run.step == warm_up:
        run.optimizer = run.adam(run.theta)
    run.descend(R + (run.hyper["penalty_weight"] if run.step >= warm_up else 1.0) * P)
    return R, P


def domainbed_late(run, batches):
    """IB-ERM, SD, and two terms: weights 0 (IRM's 1) before the end of the warm-up, at which Adam is made anew."""
    x, y, _ = pooled(batches)
    one_risk = run.name in ("cma", "sd")
    R = risk(run.sizes, run.theta, x, y) if one_risk else risks(run.sizes, run.theta, batches).mean()
    two = run.name in TERMS
    found = (TERMS if two else PENALTIES)[run.name]["domainbed"](run.sizes, run.theta, batches)
    terms, first = found if two else (found,), run.hyper.get("warm_up", 0)
    second = run.hyper.get("ib_warm_up", first)
    weights = [run.hyper["penalty_weight"] if run.step >= first else 1.0 if run.name == "ib_irm" else 0.0]
    other = run.hyper["gradient_weight" if "gradient_weight" in run.hyper else "ib_weight"] if two else 0.0
    weights += [other if run.step >= second else 0.0] * two
    if run.step in (first, second):
        run.optimizer = run.adam(run.theta)
    run.descend(R + sum(weight * term for weight, term in zip(weights, terms, strict=True)))
    return R, terms[0] + other * terms[1] if two else terms[0]


def domainbed_group_dro(run, batches):
    R = risks(run.sizes, run.theta, batches)
    q = (torch.ones(len(R), dtype=R.dtype) if run.step == 0 else run.memory) * torch.exp(run.hyper["eta"] * R.detach())
    run.memory = q / q.sum()
    run.descend(run.memory @ R)
    return R.mean(), None


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


def masked(sizes, g, tau, k=None, rescale=True, average="arithmetic"):
    """AND-mask's direction, or SAND-mask's with k, one tensor after the other, (m,d) -> (d,)."""
    pieces = []
    for block, _ in blocks(sizes):
        part = g[:, block]
        agreement, mean = part.sign().mean(0).abs(), part.mean(0)
        if average == "geometric":
            mean = mean.sign() * (part.abs() + 1e-10).log().mean(0).exp()
        if k is None:
            mask = (agreement >= tau).to(g.dtype)
        else:
            mask = torch.tanh(k / part.var(0) * (agreement - tau)).clamp(min=0).nan_to_num(1e-17)
        pieces.append(mask * mean / (1e-10 + mask.sum() / mask.numel() if rescale else 1.0))
    return torch.cat(pieces)


def domainbed_masked(run, batches):
    R, chosen = risks(run.sizes, run.theta, batches).mean(), ("tau", "k", "rescale", "average")
    g = domain_gradients(run.sizes, run.theta, batches).detach()
    run.theta.grad = masked(run.sizes, g, **{key: run.hyper[key] for key in chosen if key in run.hyper})
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
        P = run.penalty("paper", batches)
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
    "mmd": domainbed_penalized,
    "group_dro": domainbed_group_dro,
    **dict.fromkeys(("hutchinson", "hgp", "cma", "ib_erm", "ib_irm", "sd"), domainbed_late),
}
