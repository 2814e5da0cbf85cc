"""Domains left out, and rows held out."""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from .domains import Domain, Problem, check_rates, stream


def leave_out(
    name: str, domains: Sequence[Domain], *left_out: str, share: float = 0.2, seed: int = 0, shape: tuple = ()
) -> Problem:
    """A Problem that tests on the domains called `left_out` and holds out a share of the rows of every domain.

    ValueError for a share outside [0, 1], an unknown name, names that repeat, or fewer than two domains to train on.
    """
    check_rates(share=[share])
    names = [domain.name for domain in domains]
    if any(len({*given}) < len(given) for given in (names, left_out)):
        raise ValueError(f"{name}: domain names repeat: {names}, without {[*left_out]}")
    for each in {*(left_out or [""])} - {*names}:
        near = names if len(names) <= 8 else [*get_close_matches(each, names, 8, 0), "..."]
        raise ValueError(f"{name}: unknown test domain {each!r}, expected one of {', '.join(near)}")
    if len(names) < len(left_out) + 2:
        both = " and ".join(map(repr, left_out))
        raise ValueError(f"{name}: with {both} left out, fewer than 2 domains are left to train on: {names}")
    parts = [held_out(domain, share, stream(seed, "held out", e)) for e, domain in enumerate(domains)]
    train, validation = zip(*(part for part in parts if part[0].name not in left_out), strict=True)
    test, oracle = zip(*(parts[names.index(each)] for each in left_out), strict=True)
    return Problem(name, list(train), list(validation), list(test), shape, list(oracle))


def held_out(domain, share, rng):
    """Two domains: a random 1 - share of the rows, and the rest (at least one row)."""
    if len(domain.x) != len(domain.y):
        raise ValueError(f"domain {domain.name!r} has {len(domain.x)} rows and {len(domain.y)} labels")
    cut = max(1, round(share * len(domain.y)))
    if cut >= len(domain.y):
        raise ValueError(f"domain {domain.name!r} has {len(domain.y)} row(s), too few to hold out {share:g} of them")
    held, kept = (take(domain, rows) for rows in np.split(rng.permutation(len(domain.y)), [cut]))
    return kept, held


def take(domain, rows):
    """Some rows of a domain, by their place: a table of pandas would take them by its index."""
    return domain._replace(x=np.asarray(domain.x)[rows], y=np.asarray(domain.y)[rows])
