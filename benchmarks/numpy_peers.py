"""minifishr, and the matrix products that no implementation can avoid."""

import numpy as np
from cases import LR, WEIGHT, data, weights

from minifishr.algorithms import ALGORITHMS
from minifishr.data import Domain
from minifishr.mlp import MLP
from minifishr.train import keep_heap


def minifishr(case, **options):
    """One update of Fishr or, without penalty, of ERM."""
    keep_heap()
    model = MLP(case.sizes)
    schedule = {"penalty_weight": WEIGHT, "warm_up": 0, "scope": case.penalty, **options}
    name, chosen = ("erm", options) if case.penalty == "none" else ("fishr", schedule)
    algorithm = ALGORITHMS[name](model, lr=LR, weight_decay=0.0, **chosen)
    theta = np.concatenate([part.ravel() for layer in weights(case) for part in layer])
    domains = [Domain(f"{e}", x, y) for e, (x, y) in enumerate(zip(*data(case), strict=True))]
    state = [theta, algorithm.init(theta)]

    def step():
        state[0], state[1], _ = algorithm.update(*state, domains)

    return step


def in_chunks(case):
    """The same with at most 2 500 rows at once."""
    return minifishr(case, chunk=2_500)


def floor(case):
    """a W forward, a^T delta and delta W^T back for each layer but the input's: products into arrays that are there."""
    xs, _ = data(case)
    layers = weights(case)
    widths = case.sizes[1:]
    outs = [[np.zeros((case.n, w), np.float32) for w in widths] for _ in xs]
    slots = [np.zeros_like(W) for W, _ in layers]

    def step():
        for x, arrays in zip(xs, outs, strict=True):
            inputs = [x, *arrays[:-1]]
            for l, (W, _) in enumerate(layers):
                np.matmul(inputs[l], W, out=arrays[l])
            for l in reversed(range(len(layers))):
                np.matmul(inputs[l].T, arrays[l], out=slots[l])
                if l:
                    np.matmul(arrays[l], layers[l][0].T, out=inputs[l])

    return step


PEERS = {"minifishr": minifishr, "minifishr in chunks": in_chunks, "floor": floor}
