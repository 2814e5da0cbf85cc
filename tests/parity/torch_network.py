"""The network, its loss and gradients in PyTorch, from their equations.

theta is one flat tensor, batches are a list of (x (n,p), y (n,)). The parity tests import this file once they know that
PyTorch is there.
"""

from itertools import pairwise

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
