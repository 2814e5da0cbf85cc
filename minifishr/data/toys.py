"""Two small problems of the Fish paper: four binary inputs, and colored sprites (Shi et al. 2022, arXiv:2104.09937).

Both have an input that holds everywhere (the first one; the shape) and one that holds in a single domain (another
input; the color). The sprites are like the paper's CdSprites and not the same: drawn here, with pixels for a small MLP.
"""

import numpy as np

from .domains import Domain, Problem, check_count, stream

SHAPES = ("square", "ellipse")  # the label is the index
MOST_DOMAINS = 50
FINE = 3  # drawn at 3 times the size, then averaged: edges are anti-aliased to 1/9


def linear_toy(count=1000, dtype=np.float64):
    """Four binary inputs, a Problem of `count` exactly counted rows a domain, x (count,4), and nothing random.

    Half are (0,0,0,0) with y = 0. In 40 % y = 1: (1,1,0,0) in domain 1, (1,0,1,0) in domain 2, (1,0,0,1) in the
    test domain. 10 % are (1,0,0,0), and 30 % of these have y = 1. So the rule y = x_1 is right in 93 % everywhere, and
    "the first input and another one that I know" in 97 % of the training rows and 57 % of the test rows.
    ValueError where the smallest part, 3 %, is no whole number of rows.
    """
    if count < 1 or count % 100:
        raise ValueError(f"linear_toy: count={count!r} is no positive multiple of 100, so 3 % of it are no whole rows")
    train = [counted("domain 1", 1, count, dtype), counted("domain 2", 2, count, dtype)]
    # the rows are the whole distribution: rows held out of it would be the same ones again
    return Problem("linear toy", train, list(train), [counted("test", 3, count, dtype)])


def counted(name, column, count, dtype):
    """One domain of the linear toy, whose 40 % also have a 1 in `column`."""
    parts = [count // 2, count * 40 // 100, count * 3 // 100, count * 7 // 100]
    patterns = np.zeros((4, 4), dtype)
    patterns[1:, 0] = 1
    patterns[1, column] = 1
    return Domain(name, np.repeat(patterns, parts, axis=0), np.repeat([0, 1, 1, 0], parts))


def cdsprites(n_domains=15, count=200, size=16, seed=0, dtype=np.float64):
    """Squares (y = 0) and ellipses (y = 1) in color, a Problem, x (count, 3 size size) in [0, 1].

    Each training domain has one color for its squares and one for its ellipses; the held-out rows, `count` as well,
    are other sprites in the same pair. In the test domain, 5 `count` rows, each sprite has a color of its own,
    whatever its shape. Domain e only depends on (seed, e): more domains leave the earlier ones alone.
    ValueError for fewer than 2 domains or more than 50, an odd or non-positive count, or a size below 8.
    """
    check_number(n_domains)
    check_count("cdsprites", "count", count, 10_000)
    if count % 2:
        raise ValueError(f"cdsprites: count={count!r} is odd, and half of the rows are squares")
    if np.dtype(dtype).kind != "f":
        raise ValueError(f"cdsprites: dtype={dtype!r} has no colors between 0 and 1")
    if size < 8:
        raise ValueError(f"cdsprites: size={size!r} is below 8 pixels, where a square looks like an ellipse")
    train, held = zip(*(paired(e, count, size, seed, dtype) for e in range(n_domains)), strict=True)
    rng = stream(seed, "cdsprites test", 0)
    y = labels(5 * count)
    test = painted("test", sprites(y, size, rng), y, colors(len(y), rng), dtype)
    return Problem("CdSprites-like", list(train), list(held), [test], (3, size, size))


def check_number(n_domains):
    """ValueError unless there can be so many training domains."""
    if not 2 <= n_domains <= MOST_DOMAINS:
        reason = "one has no pair to compare, and more than the paper's 50 only bring colors that are there already"
        raise ValueError(f"cdsprites: n_domains={n_domains!r} is outside 2..{MOST_DOMAINS}: {reason}")


def paired(e, count, size, seed, dtype):
    """Rows to train on and held-out rows of domain e, in the same two colors."""
    pair = colors(2, stream(seed, "cdsprites colors", e))
    y = labels(count)

    def make(name):
        return painted(f"domain {e + 1}", sprites(y, size, stream(seed, name, e)), y, pair[y], dtype)

    return make("cdsprites train"), make("cdsprites validation")


def labels(count):
    """0, 1, 0, 1, ...: as many squares as ellipses, (count,)."""
    return np.arange(count) % 2


def colors(n, rng):
    """Colors of full brightness in one channel, so that every sprite can be seen, (n,3) in [0, 1]."""
    drawn = rng.random((n, 3))
    return drawn / drawn.max(axis=1, keepdims=True)


def painted(name, masks, y, color, dtype):
    """A domain of sprites on black, (n,size,size), (n,), (n,3) -> x (n, 3 size size)."""
    x = color[:, :, None, None] * masks[:, None]
    return Domain(name, x.reshape(len(y), -1).astype(dtype), y)


def sprites(y, size, rng):
    """The share of each pixel that a sprite covers, (n,) -> (n,size,size); place, scale and rotation are random.

    Squares and ellipses (axes 2 : 1, as in dSprites) have the same area for the same scale, so that the number of
    bright pixels does not tell the shape.
    """
    n = len(y)
    half = size * rng.uniform(0.16, 0.24, n)  # half the side of the square
    angle = rng.uniform(-np.pi / 2, np.pi / 2, n)  # any angle, so that the shape is harder to see than the color
    reach = 2 * half / np.sqrt(np.pi / 2)  # the farthest point of either shape: the long half axis of the ellipse
    center = reach + (size - 2 * reach) * rng.random((2, n))
    fine = ((np.arange(FINE * size) + 0.5) / FINE).astype(np.float32)  # half the memory, and no edge moves
    numbers = (*center, np.sin(angle), np.cos(angle), half)
    across, along, sin, cos, half = (v.astype(np.float32)[:, None, None] for v in numbers)
    right, down = fine[None, None, :] - across, fine[None, :, None] - along
    u, v = (cos * right + sin * down) / half, (cos * down - sin * right) / half
    # pi a b = 4 half^2 with a = 2 b: b = half sqrt(2 / pi)
    ellipse = (u / 2) ** 2 + v**2 <= 2 / np.pi
    inside = np.where(y[:, None, None] == 1, ellipse, np.maximum(abs(u), abs(v)) <= 1)
    return inside.reshape(n, size, FINE, size, FINE).mean(axis=(2, 4))
