"""PyTorch: the authors' way with BackPACK, the closed form, and one gradient a sample with torch.func."""

import warnings

import torch
from cases import LR, WEIGHT, data, weights
from torch import nn


def summed_loss(case):
    """The summed loss, a module that BackPACK can extend."""
    return (nn.BCEWithLogitsLoss if case.sizes[-1] == 1 else nn.CrossEntropyLoss)(reduction="sum")


def residuals(z, y):
    """Probability minus label, the gradient of the summed loss."""
    if z.shape[1] == 1:
        return torch.sigmoid(z) - y
    return torch.softmax(z, 1) - torch.nn.functional.one_hot(y, z.shape[1])


def network(case):
    """The MLP, its classifier apart, with the weights of every peer."""
    layers = []
    for W, b in weights(case):
        linear = nn.Linear(*W.shape)
        linear.weight.data, linear.bias.data = torch.tensor(W.T.copy()), torch.tensor(b)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-2]), layers[-2]


def tensors(case):
    """[(x, y), ...]"""
    pairs = [(torch.tensor(x), torch.tensor(y)) for x, y in zip(*data(case), strict=True)]
    return [(x, y.float()[:, None]) for x, y in pairs] if case.sizes[-1] == 1 else pairs


def penalized(risks, variances):
    """mean risk + weight * sum of squared deviations of the variances (m,d)."""
    stacked = torch.stack(variances)
    return torch.stack(risks).mean() + WEIGHT * ((stacked - stacked.mean(dim=0)) ** 2).sum()


def stepper(parameters, objective):
    """One Adam update on an objective."""
    optimizer = torch.optim.Adam(parameters, lr=LR)

    def step():
        optimizer.zero_grad()
        objective().backward()
        optimizer.step()

    return step


def closed_form(case):
    """Variances of the classifier as matrix products of features and residuals."""
    body, head = network(case)
    domains, loss = tensors(case), summed_loss(case)

    def objective():
        risks, variances = [], []
        for x, y in domains:
            a = body(x)
            z = head(a)
            r = residuals(z, y)
            mean, square = a.T @ r / len(y), (a**2).T @ (r**2) / len(y)
            variances.append(torch.cat([(square - mean**2).ravel(), (r**2).mean(0) - r.mean(0) ** 2]))
            risks.append(loss(z, y) / len(y))
        return penalized(risks, variances)

    return stepper([*body.parameters(), *head.parameters()], objective)


def backpack(case):
    """BatchGrad of the extended classifier, or of all layers, with the graph kept for the second derivative."""
    from backpack import backpack as recording
    from backpack import extend
    from backpack.extensions import BatchGrad

    warnings.filterwarnings("ignore")  # BackPACK's hooks and backward(create_graph=True)
    body, head = network(case)
    domains, loss = tensors(case), extend(summed_loss(case))
    net = extend(nn.Sequential(*body, head)) if case.penalty == "all" else extend(head)
    everything = [*body.parameters(), *head.parameters()]
    watched = list(net.parameters())

    def objective():
        risks, variances = [], []
        for x, y in domains:
            seen = x.requires_grad_() if case.penalty == "all" else body(x)
            total = loss(net(seen), y)
            with recording(BatchGrad()):  # BackPACK's hooks need a gradient that passes through the first layer
                total.backward(inputs=[*watched, seen], retain_graph=True, create_graph=True)
            G = torch.cat([p.grad_batch.reshape(len(y), -1) for p in watched], dim=1)
            variances.append(G.var(dim=0, unbiased=False))
            risks.append(total / len(y))
            for p in [*watched, seen]:
                p.grad = None
            for p in watched:
                del p.grad_batch
        return penalized(risks, variances)

    return stepper(everything, objective)


def vmap_grad(case):
    """torch.func: vmap of grad over samples, all parameters."""
    from torch.func import functional_call, grad, vmap

    body, head = network(case)
    net = nn.Sequential(*body, head)
    parameters, domains, loss = dict(net.named_parameters()), tensors(case), summed_loss(case)

    def one(p, x, y):
        return loss(functional_call(net, p, (x[None],)), y[None])

    per_sample = vmap(grad(one), in_dims=(None, 0, 0))

    def objective():
        risks, variances = [], []
        for x, y in domains:
            G = torch.cat([g.reshape(len(y), -1) for g in per_sample(parameters, x, y).values()], dim=1)
            variances.append(G.var(dim=0, unbiased=False))
            risks.append(loss(net(x), y) / len(y))
        return penalized(risks, variances)

    return stepper(list(net.parameters()), objective)


PEERS = {"torch closed form": closed_form, "torch + BackPACK": backpack, "torch.func vmap(grad)": vmap_grad}
