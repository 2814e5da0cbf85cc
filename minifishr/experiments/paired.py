"""Whether two methods differ by more than chance, from pairs of runs.

A difference of two methods is a mean over the pairs of accuracies of the same left-out domain and seed. Two methods are
tied where the 95 % interval of Student's t reaches 0: with three pairs that is 4.3 standard errors, not two. The
p-value is that of the signs: the share of all choices of signs of the differences whose mean is as far from 0.
"""

from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

EXACT = 20  # pairs, all of whose 2^n signs are tried; six domains and three seeds are 18


class Cell(NamedTuple):
    """Mean in percent, standard error (None for one seed), and how many seeds count."""

    mean: float
    error: float | None
    seeds: int


def cell(values):
    """The Cell of some accuracies in [0, 1], one a seed; None for none."""
    if not values:
        return None
    error = 100 * stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return Cell(100 * fmean(values), error, len(values))


class Difference(NamedTuple):
    """First minus second method in points, standard error (None for one pair), p-value, number of pairs."""

    mean: float
    error: float | None
    p: float
    pairs: int

    @property
    def tied(self):
        """Whether the 95 % interval of Student's t has 0 inside; always for one pair."""
        from scipy.stats import t  # 0.3 s to import

        return self.error is None or abs(self.mean) <= t.ppf(0.975, self.pairs - 1) * self.error


def difference(found, first, second):
    """The Difference of two methods in {(method, left-out domain, seed): accuracy in [0, 1]}; None without a pair."""
    cells = [key[1:] for key in sorted(found) if key[0] == first and (second, *key[1:]) in found]
    values = [found[first, *each] - found[second, *each] for each in cells]
    return Difference(*cell(values)[:2], sign_p(values), len(values)) if values else None


def plus_minus(one):
    """The mean and standard error of a Difference."""
    return f"{one.mean:+.1f}" + ("" if one.error is None else f" +- {one.error:.1f}")


def sign_p(values):
    """The share of choices of signs of some differences (n,) whose mean is as far from 0: of all 2^n, or, of more than
    20 differences, what a normal distribution of the mean says."""
    from scipy.stats import norm

    values = np.asarray(values)
    if not values.any():
        return 1.0
    if len(values) > EXACT:
        return float(2 * norm.sf(abs(values.sum()) / np.sqrt(np.sum(values**2))))
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= abs(values.sum()) * (1 - 1e-12)))
