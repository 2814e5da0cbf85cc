"""Arrays in pieces, and their gradients put together again: each piece is written once.

autograd's own slices would cost an array of zeros and a scatter-add for each piece in the reverse pass.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp
from autograd.extend import SparseObject, defvjp, primitive


@primitive
def split(array, cuts):
    """The pieces of an array between cuts along axis 0, as views."""
    return tuple(onp.split(array, cuts))


defvjp(split, lambda ans, array, cuts: lambda g: np.concatenate(list(g)), argnums=(0,))


@primitive
def unpack(theta, shapes):
    """theta (d,) as arrays of some shapes, one after the other, as views."""
    ends = accumulate(math.prod(shape) for shape in shapes)
    return tuple(theta[end - math.prod(shape) : end].reshape(shape) for end, shape in zip(ends, shapes, strict=True))


@primitive
def pack(pieces, shapes, dtype):
    """What `unpack` took apart, (d,): each piece is written once, and zeros where there is none.

    dtype is theta's, also where an autograd function like `mean` has made the gradient float64.
    """
    theta = onp.empty(sum(map(math.prod, shapes)), dtype)
    for view, piece in zip(unpack(theta, shapes), pieces, strict=True):
        view[...] = 0 if piece is None else piece
    return theta


defvjp(unpack, lambda ans, theta, shapes: lambda g: pack(g, shapes, theta.dtype), argnums=(0,))
defvjp(pack, lambda ans, pieces, shapes, dtype: lambda g: unpack(g, shapes), argnums=(0,))


class Pieces(NamedTuple):
    """How autograd adds up gradients of the pieces of a tuple: none at first, and never an array of zeros."""

    number: int

    def zeros(self):
        """No piece yet."""
        return (None,) * self.number


@primitive
def piece(pieces, l):
    """pieces[l], whose gradient is a tuple with nothing but that of piece l."""
    return pieces[l]


@primitive
def only_piece(g, l, number):
    """A gradient g of piece l alone."""

    def added(pieces):
        return (*pieces[:l], g if pieces[l] is None else pieces[l] + g, *pieces[l + 1 :])

    return SparseObject(Pieces(number), added)


defvjp(piece, lambda ans, pieces, l: lambda g: only_piece(g, l, len(pieces)), argnums=(0,))
defvjp(only_piece, lambda ans, g, l, number: lambda h: piece(h, l), argnums=(0,))
