"""Many runs at once, in processes: autograd is not thread-safe. In a web page, which has none, in turn."""

import tempfile
import threading
import warnings
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
        jobs = min(jobs, len(configs))
        with watched(tally, bar):
            yield from (run(*one) for one in work) if jobs == 1 else in_processes([(run, one) for one in work], jobs)


def in_processes(work, jobs, threads=None):
    """Yield function(*arguments) for each (function, arguments) as it finishes, `jobs` at a time, each with so many
    threads for its matrix products, or its share of the cores; in a web page in turn."""
    if in_browser():
        yield from (function(*arguments) for function, arguments in work)
        return
    from joblib import Parallel, delayed, parallel_config  # 0.1 s to import

    # with one process joblib would work in this one, which has all threads: then a second one stands by
    with parallel_config("loky", inner_max_num_threads=threads):
        pool = Parallel(max(2, jobs), pre_dispatch=jobs, batch_size=1, return_as="generator_unordered")
    results = pool(delayed(function)(*arguments) for function, arguments in work)
    try:
        for result in results:  # noqa: UP028, `yield from` would close them before the warning is caught
            yield result
    finally:
        with warnings.catch_warnings():  # joblib warns that runs were cancelled; who stops here has a reason
            warnings.simplefilter("ignore")
            results.close()


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
