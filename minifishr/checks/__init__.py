"""Checks for tests, notebooks, `minifishr verify` and methods of one's own: promises that every method keeps."""

from .contracts import check_algorithm, check_gradient, check_penalty, example, promise

__all__ = ["check_algorithm", "check_gradient", "check_penalty", "example", "promise"]
