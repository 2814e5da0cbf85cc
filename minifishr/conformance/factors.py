"""By which factor is one penalty another? A constant times a monomial in the sizes that fits every case."""

from fractions import Fraction
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

# sizes, and the powers that are tried. n is the mean number of rows of a domain, so that m n are all rows
POWERS = {"m": 2, "m-1": 1, "n": 4, "k": 2, "h": 2, "d": 2}
FRACTIONS = 64  # a constant is told as a fraction up to this denominator


class Factor(NamedTuple):
    """constant * m^a (m-1)^b ..., how well it fits, and the text of others that fit as well and are as simple."""

    constant: float
    powers: dict
    error: float
    others: tuple = ()

    @property
    def complexity(self):
        """0 for the factor 1; the powers, plus 1 for a fraction or 3 for another constant."""
        fraction = as_fraction(self.constant)
        return float(sum(map(abs, self.powers.values()))) + (0 if fraction == 1 else 1 if fraction else 3)

    @property
    def root(self):
        """Its square root."""
        powers = {name: Fraction(power, 2) for name, power in self.powers.items()}
        return Factor(self.constant**0.5, powers, self.error / 2)

    def __str__(self):
        """As in 2 m (m-1)^-1."""
        names = [(f"({s})" if "-" in s else s) + (f"^{a}" if a != 1 else "") for s, a in self.powers.items()]
        fraction = as_fraction(self.constant)
        constant = [] if fraction == 1 and names else [str(fraction or f"{self.constant:.9g}")]
        return " ".join([*constant, *names])


def as_fraction(number):
    """A fraction with a small denominator equal to a number up to 1e-9 of it, or None."""
    found = Fraction(float(number)).limit_denominator(FRACTIONS)
    return found if found and abs(found - number) <= 1e-9 * abs(number) else None


def fit(ratios, sizes, tolerance, *, roots=False):
    """The simplest Factor that is `ratios` (cases,) for `sizes` (a dict a case), to a tolerance; None if none is.

    With roots the powers are halves, too.
    """
    ratios = np.asarray(ratios, float)
    if roots:
        squared = fit(ratios**2, sizes, 2 * tolerance) if (ratios > 0).all() else None
        return squared and squared.root
    if not (np.isfinite(ratios).all() and (np.sign(ratios) == np.sign(ratios[0])).all() and ratios.all()):
        return None
    told = tuple(name for name in POWERS if len({size[name] for size in sizes}) > 1)
    logs = np.log([[size[name] for name in told] for size in sizes]).reshape(len(sizes), len(told))
    exponents = monomials(told)
    rest = np.log(np.abs(ratios))[:, None] - logs @ exponents.T
    spread = np.ptp(rest, axis=0)
    kept = np.flatnonzero(spread <= tolerance)
    if not len(kept):
        return None
    sign = np.sign(ratios[0])
    found = [factor(sign, rest[:, i], told, exponents[i], tolerance) for i in kept]
    found.sort(key=lambda one: (one.complexity, [-abs(one.powers.get(name, 0)) for name in told]))
    first, *more = found
    return first._replace(others=tuple(str(one) for one in more if one.complexity == first.complexity))


def factor(sign, rest, told, exponents, tolerance):
    """A Factor from what a monomial leaves of the logarithms (cases,); its constant is a fraction where one fits."""
    constant = sign * np.exp(np.median(rest))
    fraction = float(Fraction(float(constant)).limit_denominator(FRACTIONS))
    powers = {name: int(power) for name, power in zip(told, exponents, strict=True) if power}
    if fraction and off(rest, fraction) <= tolerance:
        return Factor(fraction, powers, off(rest, fraction))
    return Factor(float(constant), powers, off(rest, constant))


def off(rest, constant):
    """The largest relative error of a constant, by logarithms (cases,) of what it should be."""
    return float(np.abs(np.expm1(rest - np.log(abs(constant)))).max())


@cache
def monomials(told):
    """All exponents that are tried, (monomials, sizes)."""
    found = [*product(*(range(-POWERS[name], POWERS[name] + 1) for name in told))]
    return np.array(found, int).reshape(len(found), len(told))  # one without exponents where no size differs
