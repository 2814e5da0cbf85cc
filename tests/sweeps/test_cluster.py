import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from samples import own_domains

from minifishr import cli
from minifishr.algorithms import ALGORITHMS
from minifishr.sweeps import records, running
from minifishr.sweeps.grid import grid
from minifishr.sweeps.running import sweep

pytest.importorskip("distributed")
# As many threads for the matrix products as here
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def started(kind, folder, *options):
    """A process of a cluster that finds the others through a file."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", folder / "scheduler.json"]
    with open(folder / f"{kind}.log", "ab") as log:
        return subprocess.Popen([*command, "--no-dashboard", *options], env=ENVIRONMENT, cwd=folder, stderr=log)


def stop(process):
    """End a process that was started here."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """(address of a scheduler, its folder) with one worker of three threads; further workers find it in the folder."""
    folder = tmp_path_factory.mktemp("cluster")
    processes = [started("scheduler", folder, "--port", "0", "--host", "127.0.0.1")]
    try:
        wait_for((folder / "scheduler.json").exists)
        processes.append(started("worker", folder, "--nthreads", "3", "--no-nanny"))
        wait_for((folder / "scheduler.json").read_text)
        yield json.loads((folder / "scheduler.json").read_text())["address"], folder
    finally:
        for process in reversed(processes):
            stop(process)


def own(algorithms, **options):
    return grid(own_domains(), algorithms, ["own"], ["c"], steps=20, **options)


def contents(folder):
    """What tables are made of."""
    return {r.identity: json.dumps([r.config, r.history, r.failure]) for r in records.records(folder)}


def logged(name, path):
    """A method that writes down its process at the first step and takes its time. Sent by value, as from a notebook."""

    def factory(model, *, convention, **hyper_parameters):
        import os
        import time

        from minifishr.algorithms import ALGORITHMS

        algorithm = ALGORITHMS[name](model, convention=convention, **hyper_parameters)

        def update(theta, state, domains):
            if state.step == 0:
                with open(path, "a") as file:
                    file.write(f"{os.getpid()}\n")
            time.sleep(0.02)
            return algorithm.update(theta, state, domains)

        return algorithm._replace(update=update)

    return factory


def test_runs_of_a_killed_worker_are_given_to_another_and_no_number_changes(scheduler, tmp_path):
    address, folder = scheduler
    worker = started("worker", folder, "--nthreads", "1", "--no-nanny")
    configs, log = own(["erm", "irm", "fishr"], draws=2, seeds=2), tmp_path / "log"
    factories, count = {name: logged(name, str(log)) for name in ("erm", "irm", "fishr")}, []
    try:
        wait_for(lambda: len(workers(address)) == 2)
        options = {"cluster": address, "factories": factories, "bar": count.append}
        results = sweep(configs, own_domains(), tmp_path / "cluster", **options)
        next(results)
        wait_for(lambda: str(worker.pid) in log.read_text().split())
        worker.send_signal(signal.SIGKILL)
        assert len(list(results)) == len(configs) - 1
    finally:
        stop(worker)
    assert len(log.read_text().split()) > len(configs)  # what the killed one had begun was begun again
    assert count == [20 * number for number in range(1, 13)]
    list(sweep(configs, own_domains(), tmp_path / "here", jobs=2))
    assert contents(tmp_path / "cluster") == contents(tmp_path / "here")
    assert {path.suffix for path in (tmp_path / "cluster" / "runs").iterdir()} == {".json"}


def workers(address):
    """Address of a worker -> its threads."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return client.ncores()


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Homeless:
    """A factory that only exists here: a worker cannot unpickle it."""

    def __call__(self, model, **options):
        return ALGORITHMS["erm"](model, **options)

    def __reduce__(self):
        return eval, ("1 / 0",)


def test_run_that_no_worker_can_take_is_said_at_the_end_and_the_others_are_recorded(scheduler, tmp_path):
    address, _ = scheduler
    factories = {**ALGORITHMS, "erm": Homeless()}
    results = sweep(own(["erm", "fish"]), own_domains(), tmp_path, cluster=address, factories=factories)
    with pytest.raises(OSError, match=r"^1 of 2 runs could not be run on the cluster \(.*\); start it again$"):
        list(results)
    assert [r.config.algorithm for r in records.records(tmp_path)] == ["fish"]


def test_failed_run_is_recorded_as_everywhere(scheduler, tmp_path):
    config = own(["erm"])[0]
    config.hyper_parameters["lr"] = 1e30
    (record,) = sweep([config], own_domains(), tmp_path, cluster=scheduler[0])
    assert "non-finite at step" in record.failure


def refused(address, capsys, folder):
    """The one sentence of a command whose scheduler is not there; nothing is written, and it takes no time."""
    begin = time.monotonic()
    command = ["sweep", "--datasets", "linear", "--preset", "linear", "--out", str(folder / "out")]
    assert cli.main([*command, "--cluster", address]) == 2
    assert time.monotonic() - begin < 5 and not (folder / "out").exists()
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"minifishr sweep: --cluster {address}: no Dask scheduler answers there (")
    return err


def babble(server):
    """Greet whoever comes, as a mail server does."""
    with contextlib.suppress(OSError):
        while True:
            with server.accept()[0] as connection:
                connection.sendall(b"220 mail.example.org\r\n")
                connection.recv(1)


@pytest.mark.parametrize("kind", ["closed", "silent", "babbling"])
def test_scheduler_that_is_not_there_is_said_in_time(kind, tmp_path, capsys, monkeypatch):
    assert running.CONNECT_SECONDS <= 5
    monkeypatch.setattr(running, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if kind == "closed":
            server.close()
        if kind == "babbling":
            threading.Thread(target=babble, args=(server,), daemon=True).start()
        refused(address, capsys, tmp_path)


@pytest.mark.parametrize("address", ["somewhere", "http://127.0.0.1:80", "tcp://[::1"])
def test_address_that_is_none_is_refused(address, tmp_path, capsys):
    assert refused(address, capsys, tmp_path).endswith("(ValueError), expected tcp://host:port\n")


def test_worker_is_no_scheduler(scheduler, tmp_path, capsys):
    wait_for(lambda: workers(scheduler[0]))
    assert "(Worker)" in refused(next(iter(workers(scheduler[0]))), capsys, tmp_path)
