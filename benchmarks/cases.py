"""What is measured: the same step for every peer, one whole update (gradient of risk and Fishr penalty, then Adam)."""

from typing import NamedTuple

import numpy as np

WIDE = (392, 390, 390, 1)  # the scripts for Colored MNIST
NARROW = (392, 256, 256, 2)  # as many logits as classes, as in DomainBed


class Case(NamedTuple):
    """m domains of n rows, an MLP, and which layers enter the penalty; penalty "none" is ERM."""

    name: str
    m: int = 2
    n: int = 25_000
    sizes: tuple = WIDE
    penalty: str = "classifier"
    steps: int = 5
    peers: tuple = ()


CLASSIFIER = ("floor", "minifishr", "torch closed form", "torch + BackPACK", "jax jit closed form")
PER_SAMPLE = ("minifishr", "torch + BackPACK", "torch.func vmap(grad)", "jax vmap(grad)")
CASES = [
    Case("full batch", peers=CLASSIFIER),
    Case("minibatch", n=64, steps=200, peers=CLASSIFIER),
    Case("minibatch, 5 domains", m=5, n=64, steps=100, peers=CLASSIFIER),
    Case("minibatch, 2 logits", n=64, sizes=NARROW, steps=200, peers=CLASSIFIER),
    Case("minibatch, 5 domains, 10 logits", m=5, n=64, sizes=(*NARROW[:-1], 10), steps=100, peers=CLASSIFIER),
    Case("all layers", n=512, penalty="all", steps=3, peers=PER_SAMPLE),
    # the other peers would need 60 GB for the gradients of all samples
    Case("all layers, full batch", penalty="all", steps=3, peers=("minifishr",)),
    Case("all layers, full batch, chunks of 2 500", penalty="all", steps=3, peers=("minifishr in chunks",)),
    Case("full batch, ERM", penalty="none", peers=("minifishr",)),
]
# How the cost grows: one quantity at a time.
GROWTH = {
    "rows a domain": [
        Case(f"n {n}", n=n, steps=max(2, 20_000 // n), peers=("minifishr",))
        for n in (64, 256, 1024, 4096, 16384, 50000)
    ],
    "domains": [Case(f"m {m}", m=m, n=512, steps=5, peers=("minifishr",)) for m in (2, 5, 10, 20, 50)],
    "width": [
        Case(f"width {w}", n=512, sizes=(392, w, w, 1), steps=5, peers=("minifishr",)) for w in (32, 128, 512, 2048)
    ],
}
WEIGHT, LR = 1_000.0, 1e-3


def data(case):
    """x m times (n,p) and y m times (n,), float32 and int, from a fixed seed."""
    rng = np.random.default_rng(0)
    xs = [rng.random((case.n, case.sizes[0]), np.float32) for _ in range(case.m)]
    return xs, [rng.integers(0, max(2, case.sizes[-1]), case.n) for _ in range(case.m)]


def weights(case):
    """[(W, b), ...] in float32, the same for every peer."""
    rng = np.random.default_rng(1)
    bounds = [((i, j), (6 / (i + j)) ** 0.5) for i, j in zip(case.sizes, case.sizes[1:], strict=False)]
    return [(rng.uniform(-c, c, s).astype(np.float32), np.zeros(s[1], np.float32)) for s, c in bounds]
