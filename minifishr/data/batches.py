"""Batches of domains, as functions of the step."""

from .domains import stream, take


def full_batch(domains):
    """step -> the domains themselves."""
    return lambda step: domains


def minibatches(domains, size, seed=0):
    """step -> `size` random rows of each domain, with replacement; a pure function of seed and step."""
    if size < 1:
        raise ValueError(f"minibatches: size must be at least 1, got {size}")

    def batch(step):
        rng = stream(seed, "batches", step)
        return [take(domain, rng.integers(0, len(domain.y), size)) for domain in domains]

    return batch
