"""A multilayer perceptron from scratch: a few primitives and a flat parameter vector.

autograd differentiates everything here, any number of times. The primitives are ours because
autograd's `maximum` has slope 1/2 at zero and turns float32 into float64. Each derivative below is
again made of differentiable operations, so second derivatives come for free.
"""

import math
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp
from autograd.extend import defvjp, primitive
from autograd.tracer import isbox
from numpy.typing import DTypeLike

from .pieces import piece, split, unpack

SMALL = 4096  # rows up to which one forward pass for all domains beats one for each: fewer, larger products


@primitive
def relu(z):
    """max(z, 0), with slope 0 at 0."""
    return onp.maximum(z, 0)


defvjp(relu, lambda ans, z: lambda g: g * (z > 0))  # a comparison is a constant for autograd


def product(a, b):
    """a b, (n,i), (i,j) -> (n,j); with i = 1 by broadcasting, at which NumPy is three times as fast as at a product."""
    return a * b if a.shape[-1] == 1 else a @ b


@primitive
def cross(a, b):
    """a^T b, (n,i), (n,j) -> (i,j): a sum over samples of outer products."""
    return a.T @ b


defvjp(cross, lambda ans, a, b: lambda g: product(b, g.T), lambda ans, a, b: lambda g: product(a, g))


@primitive
def layer_sums(a, delta):
    """sum_i (a_i, 1) delta_i^T, (n,in), (n,out) -> (in + 1, out): the summed gradients of W and, below, of b.

    Or for m domains at once, (m,n,in), (m,n,out) -> (m,in + 1,out).
    """
    sums = onp.empty((*a.shape[:-2], a.shape[-1] + 1, delta.shape[-1]), onp.result_type(a, delta))
    onp.matmul(onp.swapaxes(a, -1, -2), delta, out=sums[..., :-1, :])
    onp.sum(delta, axis=-2, out=sums[..., -1, :])
    return sums


defvjp(
    layer_sums,
    lambda ans, a, delta: lambda g: product(delta, np.swapaxes(g[..., :-1, :], -1, -2)),
    lambda ans, a, delta: lambda g: product(a, g[..., :-1, :]) + g[..., -1:, :],
)


@primitive
def affine(a, W, b):
    """a W + b, (n,i), (i,j), (j,) -> (n,j)."""
    z = a @ W
    z += b
    return z


defvjp(
    affine,
    lambda ans, a, W, b: lambda g: product(g, W.T),
    lambda ans, a, W, b: lambda g: cross(a, g),
    lambda ans, a, W, b: lambda g: np.sum(g, axis=0),
)


class MLP(NamedTuple):
    """A ReLU network with layer widths `sizes`, e.g. MLP((392, 390, 390, 1)).

    One output means one logit and labels 0, 1; k >= 2 outputs mean softmax and labels 0..k-1.
    All parameters are one vector theta (d,): W1, b1, W2, b2, ..., each W stored (in, out), row-major.
    """

    sizes: tuple[int, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of each block, in the order of theta."""
        return dict(layout(tuple(map(int, checked(self.sizes)))))

    @property
    def blocks(self) -> dict[str, slice]:
        """Name -> slice of theta: {"W1": slice, "b1": slice, ...}."""
        ends = list(accumulate(math.prod(shape) for shape in self.shapes.values()))
        return dict(zip(self.shapes, map(slice, [0, *ends[:-1]], ends), strict=True))

    @property
    def d(self) -> int:
        """The number of parameters."""
        return self.classifier.stop

    @property
    def classifier(self) -> slice:
        """The slice of theta that holds the last W and b."""
        *_, W, b = self.blocks.values()
        return slice(W.start, b.stop)

    def init(self, rng: onp.random.Generator, dtype: DTypeLike = onp.float64) -> onp.ndarray:
        """Xavier uniform weights and zero biases from a Generator, -> theta (d,); ValueError for another dtype."""
        check_kind(self, onp.dtype(dtype))
        bounds = [(6 / sum(shape)) ** 0.5 if len(shape) == 2 else 0 for shape in self.shapes.values()]
        pieces = [rng.uniform(-c, c, onp.prod(s)) for c, s in zip(bounds, self.shapes.values(), strict=True)]
        return onp.concatenate(pieces).astype(dtype)

    def layers(self, theta):
        """theta (d,) as a list of (W, b); ValueError for another length or dtype."""
        shapes = tuple(self.shapes.values())
        d = sum(map(math.prod, shapes))
        if theta.shape != (d,):
            raise ValueError(f"MLP({self.sizes}) has {d} parameters, got theta {theta.shape}")
        check_kind(self, theta.dtype)
        pieces = unpack(theta, shapes)
        blocks = [piece(pieces, l) for l in range(len(shapes))]
        return list(zip(blocks[::2], blocks[1::2], strict=True))

    def inputs(self, theta, x):
        """x (n,p) in theta's dtype, whatever numbers it has: no arithmetic happens in small integers.

        ValueError where it has none, or is not as wide as the model's input.
        """
        p, masked = self.sizes[0], "masked " * isinstance(x, onp.ma.MaskedArray)  # with numbers that nobody knows
        x = x if isbox(x) else onp.asarray(x)
        if x.dtype == theta.dtype and x.shape[1:] == (p,) and not masked:
            return x
        if masked or x.dtype.kind not in "fiub" or x.shape[1:] != (p,):
            raise ValueError(f"MLP({self.sizes}): expected numbers x (n, {p}), got {masked}{x.dtype} {x.shape}")
        return x.astype(theta.dtype)

    def features(self, theta: onp.ndarray, x: onp.ndarray) -> onp.ndarray:
        """The input of the classifier, (d,), (n,p) -> (n, sizes[-2])."""
        return hidden_features(self.layers(theta)[:-1], self.inputs(theta, x))

    def logits(self, theta: onp.ndarray, x: onp.ndarray) -> onp.ndarray:
        """The outputs, (d,), (n,p) -> (n,k)."""
        *hidden, last = self.layers(theta)
        return affine(hidden_features(hidden, self.inputs(theta, x)), *last)

    def head(self, theta, xs):
        """The classifier as a model of its own: (model, theta (d_classifier,), list of features), for a list of inputs.

        Where only the classifier's parameters enter, the features are the data: with
        head, w, (a,) = model.head(theta, [x]), risk(model, theta, x, y) = risk(head, w, a, y).
        """
        xs = [self.inputs(theta, x) for x in xs]
        *hidden, (W, b) = self.layers(theta)  # once: each time costs an array of the size of theta in the reverse pass
        if not hidden:
            return self, theta, list(xs)
        rows = [len(x) for x in xs]
        if len(xs) > 1 and sum(rows) <= SMALL:
            features = split(hidden_features(hidden, np.concatenate(xs)), onp.cumsum(rows[:-1]))
        else:
            features = [hidden_features(hidden, x) for x in xs]
        return MLP(self.sizes[-2:]), np.concatenate([np.ravel(W), b]), list(features)


def hidden_features(layers, x):
    """x through some layers (W, b) with a ReLU after each, (n,p) -> (n,h)."""
    for W, b in layers:
        x = relu(affine(x, W, b))
    return x


@cache
def layout(sizes):
    """(name, shape) of each block; remembered, because every forward pass asks."""
    layers = enumerate(pairwise(sizes), 1)
    return [(name, shape) for l, (i, j) in layers for name, shape in ((f"W{l}", (i, j)), (f"b{l}", (j,)))]


def check_kind(model, dtype):
    """ValueError for parameters that are not float32 or float64: in others sums overflow or gradients do not exist."""
    if dtype not in (onp.float32, onp.float64):
        raise ValueError(f"MLP({model.sizes}): parameters must be float32 or float64, got {dtype}")


def checked(sizes):
    """`sizes` again, or ValueError when they are not two or more positive integers."""
    sequence = isinstance(sizes, tuple | list) and len(sizes) >= 2
    if not sequence or any(type(size) is bool or not isinstance(size, int | onp.integer) or size < 1 for size in sizes):
        raise ValueError(f"MLP({sizes!r}): sizes must be two or more positive integers")
    return sizes
