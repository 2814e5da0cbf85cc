"""Standardized columns, and classes of equal weight: what is done to a person's data before training."""

from typing import NamedTuple

import numpy as np

from .splits import take


class Scaling(NamedTuple):
    """How p = width columns were standardized: those kept (q,), what is taken from them and what divides them (q,)."""

    width: int
    kept: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    def applied(self, x, dtype=np.float32):
        """(x - center) / scale of the columns kept, (n,p) -> (n,q), computed in float64 whatever comes out."""
        x = np.asarray(x, np.float64)[:, self.kept]
        x -= self.center
        x /= self.scale
        return x.astype(dtype)

    def undone(self, x):
        """The numbers as they came, (n,q) -> (n,q)."""
        return np.asarray(x, np.float64) * self.scale + self.center


def unscaled(p):
    """The Scaling of p columns that leaves all as they are."""
    return Scaling(p, np.arange(p), np.zeros(p), np.ones(p))


def standardization(domains, channels=None, names=()):
    """The Scaling that gives the rows of all domains together mean 0 and standard deviation 1 in each column that is
    not constant, (n,p) -> p or fewer columns; images of so many channels keep all columns, with one mean and one
    standard deviation for each channel. ValueError for nothing to learn from, and for numbers too large, by `names`."""
    n, p = sum(len(domain.x) for domain in domains), domains[0].x.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        center = sum(domain.x.sum(axis=0, dtype=np.float64) for domain in domains) / n
        if channels:
            center = np.repeat(center.reshape(channels, -1).mean(axis=1), p // channels)
        ends = (f([f(domain.x, axis=0) for domain in domains], axis=0) for f in (np.min, np.max))
        least, most = (np.float64(end) for end in ends)
        unit = powers_of_two(most - least, channels)
        variance = sum(squares(domain.x, center, unit) for domain in domains) / n
    if not np.isfinite(variance).all():
        number = int(np.argmin(np.isfinite(variance)))
        lost = not all(np.isfinite(domain.x[:, number]).all() for domain in domains)
        why = "has values that are missing or infinite" if lost else "has numbers too large to standardize"
        raise ValueError(f"own data: column {[*names, *range(p)][number]!r} {why}")
    if channels:
        variance = np.repeat(variance.reshape(channels, -1).mean(axis=1), p // channels)
        varies = np.repeat(variance.reshape(channels, -1).max(axis=1) > 0, p // channels)
        return Scaling(p, np.arange(p), center, np.where(varies, np.sqrt(variance) * unit, 1.0))
    scale = np.sqrt(variance) * unit
    kept = np.flatnonzero((least < most) & (scale > 0))
    if not len(kept):
        raise ValueError("own data: every column is constant in the training domains, so there is nothing to learn")
    return Scaling(p, kept, center[kept], scale[kept])


def powers_of_two(spans, channels):
    """A power of two about as large as each span (p,), for images as the largest: numbers in these units have squares
    in floating point, and are exact."""
    return np.ldexp(1.0, np.frexp(np.full_like(spans, spans.max()) if channels else spans)[1])


def squares(x, center, unit):
    """The sum over rows of ((x - center) / unit)^2, (n,p) -> (p,), in the memory of one array like x."""
    z = x - center
    z /= unit
    return np.square(z, out=z).sum(axis=0)


def balanced(domain, rng):
    """A domain with as many rows of each class that it has: those of rarer classes come several times, each equally
    often up to one, in the rows of the most frequent class (n,p) -> (k n_most, p)."""
    classes, counts = np.unique(domain.y, return_counts=True)
    rows = [np.resize(rng.permutation(np.flatnonzero(domain.y == c)), counts.max()) for c in classes]
    return take(domain, np.concatenate(rows))
