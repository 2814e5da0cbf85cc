import gc
import os
import sys

import pytest
from hypothesis import settings

# The same command draws the same examples; `HYPOTHESIS_PROFILE=thorough` draws new ones, ten times as many.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=100)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.register_profile("mutation", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish():
    """A look for cyclic garbage less often, and never at what stays: it took a fifth of the time of many tests."""
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """No coverage in tests marked `untraced`: pytest-cov's own mark, no_cover, does nothing in a worker of xdist."""
    if not item.get_closest_marker("untraced"):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
