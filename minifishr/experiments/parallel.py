"""Many runs at once, in processes: autograd is not thread-safe. In a web page, which has none, in turn."""

import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

from ..algorithms import ALGORITHMS
from ..data import in_browser
from .runs import Result, run


def compare(configs, source, factories=ALGORITHMS, jobs=1, bar=None) -> Iterable[Result]:
    """Run every configuration in `jobs` processes and yield the results as they finish.

    `factories` maps a method's name to its factory, which may be written anywhere. `bar` is called with the number of
    steps done so far, over all runs. Each process gets its share of the cores. ValueError for nothing to run.
    """
    if not configs:
        raise ValueError("compare: no configurations, so there is nothing to run")
    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder, "steps")
        tally.touch()
        work = [(c, source, factories[c.algorithm], counted(tally)) for c in configs]
        with watched(tally, bar):
            yield from (run(*one) for one in work) if in_browser() else in_processes(work, min(jobs, len(configs)))


def in_processes(work, jobs):
    """The Result of run(*one) for each of the work as it finishes, `jobs` at a time."""
    from joblib import Parallel, delayed  # 0.1 s to import

    return Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(run)(*one) for one in work)


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
    """While inside, call bar(size of the file) a few times a second (not in a web page), and once more at the end."""
    done = threading.Event()

    def watch():
        while not done.wait(0.2):
            bar(tally.stat().st_size)

    thread = threading.Thread(target=watch, daemon=True)
    threads = bar and not in_browser()
    if threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if threads:
            thread.join()
        if bar:
            bar(tally.stat().st_size)
