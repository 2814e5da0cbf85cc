"""Batches of domains, as functions of the step."""

from collections.abc import Callable, Sequence

from .domains import Domain, stream
from .splits import take


def full_batch(domains: Sequence[Domain]) -> Callable[[int], Sequence[Domain]]:
    """step -> the domains themselves."""
    kept = domains if isinstance(domains, Sequence) else list(domains)  # an iterator would be empty at step 1
    return lambda step: kept


def minibatches(domains: Sequence[Domain], size: int, seed: int = 0) -> Callable[[int], Sequence[Domain]]:
    """step -> `size` random rows of each domain, with replacement; a pure function of seed and step."""
    if size < 1 or size != int(size):
        raise ValueError(f"minibatches: size must be a whole number of at least 1, got {size}")
    domains = list(domains)
    for domain in domains:
        if not len(domain.y):
            raise ValueError(f"minibatches: domain {domain.name!r} has no rows")

    def batch(step):
        rng = stream(seed, "batches", step)
        return [take(domain, rng.integers(0, len(domain.y), size)) for domain in domains]

    batch.domains = domains  # for a checkpoint, which tells data by all rows
    return batch
