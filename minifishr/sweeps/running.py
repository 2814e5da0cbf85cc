"""Sweeps: train what is not recorded yet, in processes or on a cluster, and record each run as it finishes.

Only this process writes records, so a cluster needs no shared file system. The processes here train with one thread
each for their matrix products, as the workers that Dask starts do, so that how many there are changes no number.
"""

import asyncio
import contextlib
import os
import pickle
import sys
import tempfile
import threading
from concurrent.futures import BrokenExecutor
from pathlib import Path

from ..algorithms import ALGORITHMS
from ..data import Checkpoint, Foreign, set_aside
from ..experiments import attempted, counted, in_processes, versions, watched
from .records import Record, checkpoint_path, prepare, record_path, unfinished, write_record

CHECKPOINT_EVERY = 500  # steps
CONNECT_SECONDS = 5
TRACE = threading.Lock()  # autograd is not thread-safe, and a worker of a cluster may have several threads


def sweep(configs, source, folder, *, jobs=1, cluster=None, bar=None, factories=ALGORITHMS, every=CHECKPOINT_EVERY):
    """Train what has no record in the folder yet, and yield each Record when it is written there.

    In `jobs` processes, which write a checkpoint every so many steps, or on the workers of the Dask scheduler at the
    address `cluster`, which write nothing. `bar` is called with the number of steps done, over all runs. A run that
    fails is a record with a failure. ValueError where the folder is another sweep's, OSError where it or the scheduler
    cannot be used.
    """
    todo = unfinished(folder, configs)
    client = connected(cluster) if cluster is not None and todo else None
    prepare(folder, configs)
    if client:
        return written(folder, trained_on_cluster(client, todo, source, factories, bar))
    return written(folder, trained_here(todo, source, folder, jobs, bar, factories, every))


def written(folder, results):
    """Yield each Record after it is written; one that failed to be written ends it."""
    with contextlib.closing(results):
        for record in results:
            if record:
                write_record(folder, record)
                yield record


def trained(config, source, factory, progress=iter, checkpoint=None):
    """The Record of one run, whatever becomes of it; None for want of memory, of which there may be more next time."""
    try:
        with TRACE:
            result = gone_on(config, source, factory, progress, checkpoint)
    except MemoryError:
        which = f"{config.algorithm}, {' and '.join(config.left_out)} left out, draw {config.draw}, seed {config.seed}"
        words = "too little memory; nothing is recorded, the same command runs it again"
        print(f"minifishr: {which}: {words}", file=sys.stderr)
        return None
    measured = {row.step for row in result.history if row.metric == "accuracy"}
    history = [row for row in result.history if row.step in measured]
    return Record(config, history, result.failure, result.seconds, versions())


def gone_on(config, source, factory, progress, checkpoint):
    """The Result of one run from its checkpoint; from the start where that is another run's, which is set aside."""
    try:
        return attempted(config, source, factory, progress, checkpoint, curves=False)
    except Foreign as error:  # who put it there knows why; the run is this one
        end = set_aside(checkpoint.path, "foreign")
        print(f"minifishr: {error}; set aside as *{end}, the run is repeated", file=sys.stderr)
        return attempted(config, source, factory, progress, checkpoint, curves=False)


def trained_here(todo, source, folder, jobs, bar, factories, every):
    """Yield the Record of each run as it finishes, None where another sweep was faster."""
    folder = Path(folder).absolute()  # a process that joblib uses again may be in another working folder
    with tempfile.TemporaryDirectory() as scratch:
        tally = Path(scratch, "steps")
        tally.touch()
        # Two sweeps of one folder begin at different runs, and so share the work.
        first = os.getpid() % max(1, len(todo))
        work = {
            record_path(folder, c): (
                trained_unless_recorded,
                (c, source, factories[c.algorithm], folder, every, tally, os.getpid()),
            )
            for c in todo[first:] + todo[:first]
        }
        with watched(tally, bar):
            yield from whatever_happens_to_processes(work, jobs)


def whatever_happens_to_processes(work, jobs):
    """Yield the results of work {path of its record: (function, arguments)}; where a process is killed, go on with
    those that have no record yet. OSError after three times without a new one."""
    idle = 0
    while idle < 3:
        before = len(work)
        try:
            yield from in_processes(work.values(), jobs, threads=1)
            return
        except BrokenExecutor:
            work = {path: one for path, one in work.items() if not path.exists()}
            print(f"minifishr: a process was killed; going on with the {len(work)} runs left", file=sys.stderr)
        idle = 0 if len(work) < before else idle + 1
    raise OSError(f"processes were killed {idle} times without a finished run (memory?); {len(work)} runs are left")


def trained_unless_recorded(config, source, factory, folder, every, tally, driver):
    """The Record of one run, or None where there is one by now."""
    if record_path(folder, config).exists():
        return None

    def progress(steps):
        with open(tally, "ab", buffering=0) as file:
            file.write(b"." * steps.start)  # what the checkpoint has
        for step in counted(tally)(steps):
            if os.getpid() != driver != os.getppid():  # it was killed; who starts again has the last checkpoint
                os._exit(1)
            yield step

    return trained(config, source, factory, progress, Checkpoint(checkpoint_path(folder, config), every))


def connected(address):
    """A client of the Dask scheduler at an address; OSError where none answers, ValueError without the library."""
    try:
        from distributed import Client
        from distributed.core import rpc
    except ImportError:
        raise ValueError("--cluster needs the library distributed: pip install 'minifishr[cluster]'") from None

    async def answer():
        async with rpc(address) as server:
            return (await server.identity())["type"]

    try:
        # Asked first, because a client waits without end where something else than a scheduler is silent.
        kind = asyncio.run(asyncio.wait_for(answer(), CONNECT_SECONDS))
    except Exception as error:  # what another server answers can mean anything
        kind = type(error).__name__
    if kind != "Scheduler":
        raise OSError(f"--cluster {address}: no Dask scheduler answers there ({kind}), expected tcp://host:port")
    return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)


def trained_on_cluster(client, todo, source, factories, bar):
    """Yield the Record of each run as it finishes; OSError at the end if some could not be run.

    A run whose worker is gone is given to another. joblib's Dask backend does the same, but waits forever for a run
    that the scheduler has given up (after four lost workers, or where a worker cannot import this library).
    """
    import dask
    from distributed import as_completed

    lost, steps = [], 0
    with client:
        if not client.ncores():
            print(f"minifishr: {client.scheduler.address} has no workers yet, waiting", file=sys.stderr)
            client.wait_for_workers(1)
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}):
            # The data as a task: the scheduler can make it again when all workers that had it are gone.
            data = client.submit(pickle.loads, pickle.dumps(source), pure=False)
        runs = {client.submit(trained, c, data, factories[c.algorithm], pure=False): c for c in todo}
        for future in as_completed(runs, loop=client.loop):
            steps += runs[future].steps
            if bar:
                bar(steps)
            if future.status == "finished":
                yield future.result()
            else:
                lost.append(" ".join(str(future.exception()).split()) if future.status == "error" else future.status)
            future.release()
    if lost:
        raise OSError(f"{len(lost)} of {len(todo)} runs could not be run on the cluster ({lost[0]}); start it again")
