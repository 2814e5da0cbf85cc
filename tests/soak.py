"""Sweeps that are killed again and again: python tests/soak.py --kills 100 --seed 0.

An undisturbed sweep gives a report. The same sweep, killed with SIGKILL at random moments and started again, alone or
beside a second one on the same folder, and one on a Dask cluster whose workers are killed, must give the same bytes.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from samples import own_domains

from minifishr import cli
from minifishr.data import stream
from minifishr.sweeps import grid, records, sweep

# As many threads for the matrix products on a cluster as in the processes of a sweep.
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ENVIRONMENT["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
SECONDS = (1.5, 6.0)  # between start and kill: some come before the first checkpoint


def configurations(steps):
    """Sixteen runs of a small network on three small domains."""
    found = grid.grid(own_domains(), ["erm", "irm", "fish", "fishr"], ["own"], ["c"], 2, 2, steps=steps)
    return [config._replace(hidden=[8]) for config in found]


def swept(folder, steps, cluster=None):
    """Carry the sweep out, in this process and two others, or on a cluster."""
    for _ in sweep(configurations(steps), own_domains(), folder, jobs=2, cluster=cluster, every=200):
        pass


def started(*arguments, folder="."):
    """This file in a process group of its own, so that a kill reaches its workers too."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with open(Path(folder, "log"), "ab") as log:
        return subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, stderr=log)


def killed(process):
    """Kill a process and all its children, as a power cut does; whether it was still running."""
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def report(folder):
    """The bytes of a folder's report."""
    kept, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    try:
        assert cli.main(["report", str(folder)]) == 0
    finally:
        sys.stdout.close()
        sys.stdout = kept
    return {path.name: path.read_bytes() for path in Path(folder, "report").iterdir()}


def whole(folder, steps):
    """Whether every run of the sweep has a record."""
    return Path(folder, "runs").is_dir() and not records.unfinished(folder, configurations(steps))


def soaked(kills, steps, rng, expected, work):
    """Kill sweeps so many times, every other one beside a second; compare each folder once it is whole: (made, bad)."""
    made, bad, count = 0, [], 0
    while count < kills:
        folder = Path(work, f"killed {made}")
        made += 1
        while not whole(folder, steps):
            both = [started("--sweep", folder, "--steps", steps, folder=work) for _ in range(1 + count % 2)]
            if count >= kills:
                [process.wait() for process in both]
                continue
            time.sleep(rng.uniform(*SECONDS))
            count += sum(map(killed, both))
        if report(folder) != expected:
            bad.append(folder.name)
        print(f"{count} kills, {made} sweeps, {len(bad)} of them with another report", flush=True)
    return made, bad


def dask(kind, folder, *options):
    """A scheduler or a worker that find each other through a file."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(folder / "scheduler.json")]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            [*command, "--no-dashboard", *options], env=ENVIRONMENT, cwd=folder, stderr=log, start_new_session=True
        )


def clustered(kills, steps, rng, expected, work):
    """A sweep on a cluster whose workers are killed and replaced: 1 if the report is another one, and the kills."""
    folder, count = Path(work, "cluster"), 0
    folder.mkdir()
    worker = ("--nworkers", "1", "--nthreads", "1", "--no-nanny")
    scheduler, workers = dask("scheduler", folder, "--port", "0"), [dask("worker", folder, *worker) for _ in range(2)]
    try:
        while not whole(folder, steps):
            while not (folder / "scheduler.json").exists():
                time.sleep(0.1)
            driver = started("--sweep", folder, "--steps", steps, "--file", folder / "scheduler.json", folder=work)
            while driver.poll() is None:
                time.sleep(rng.uniform(*SECONDS))
                if count < kills:
                    count += killed(workers.pop(0))
                    workers.append(dask("worker", folder, *worker))
    finally:
        for process in [*workers, scheduler]:
            killed(process)
    return int(report(folder) != expected), count


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--cluster-kills", type=int, default=8)
    options.add_argument("--steps", type=int, default=2_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--sweep", metavar="FOLDER", help="carry one sweep out, which others kill")
    options.add_argument("--file", metavar="FILE", help="of the scheduler that --sweep uses")
    args = options.parse_args()
    if args.sweep:
        address = json.loads(Path(args.file).read_text())["address"] if args.file else None
        swept(args.sweep, args.steps, address)
        return 0
    rng = stream(args.seed, "soak")
    with tempfile.TemporaryDirectory() as work:
        start = time.monotonic()
        started("--sweep", Path(work, "undisturbed"), "--steps", args.steps, folder=work).wait()
        print(f"undisturbed: {time.monotonic() - start:.0f} s", flush=True)
        expected = report(Path(work, "undisturbed"))
        made, bad = soaked(args.kills, args.steps, rng, expected, work)
        other, count = clustered(args.cluster_kills, args.steps, rng, expected, work)
    print(f"{args.kills} kills of {made} sweeps, {len(bad)} with another report")
    print(f"{count} lost workers of a cluster, {other} with another report")
    return int(bool(bad or other))


if __name__ == "__main__":
    sys.exit(main())
