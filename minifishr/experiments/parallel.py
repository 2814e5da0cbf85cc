"""Many runs at once, in processes: autograd is not thread-safe."""

import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

from ..algorithms import ALGORITHMS
from .runs import Result, run


def compare(configs, source, factories=ALGORITHMS, jobs=1, bar=None) -> Iterable[Result]:
    """Run every configuration in `jobs` processes and yield the results as they finish.

    `factories` maps a method's name to its factory, which may be written anywhere. `bar` is called with the number of
    steps done so far, over all runs. Each process gets its share of the cores. ValueError for nothing to run.
    """
    if not configs:
        raise ValueError("compare: no configurations, so there is nothing to run")
    from joblib import Parallel, delayed  # 0.1 s to import

    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder, "steps")
        tally.touch()
        work = (delayed(run)(c, source, factories[c.algorithm], counted(tally)) for c in configs)
        with watched(tally, bar):
            yield from Parallel(n_jobs=min(jobs, len(configs)), return_as="generator_unordered")(work)


def counted(tally) -> Callable:
    """A `progress` for fit that appends a byte a step to a file, which any process may do at any time."""

    def progress(steps):
        with open(tally, "ab", buffering=0) as file:
            for step in steps:
                yield step
                file.write(b".")

    return progress


@contextmanager
def watched(tally, bar):
    """While inside, call bar(size of the file) a few times a second, and once more at the end."""
    done = threading.Event()

    def watch():
        while not done.wait(0.2):
            bar(tally.stat().st_size)

    thread = threading.Thread(target=watch, daemon=True)
    if bar:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if bar:
            thread.join()
            bar(tally.stat().st_size)
