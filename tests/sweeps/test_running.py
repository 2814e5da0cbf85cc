import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from samples import MNIST_LIKE, own_domains

from minifishr import cli
from minifishr.algorithms import ALGORITHMS, DEFAULTS, RANGES
from minifishr.commands import sweep as command
from minifishr.data import Checkpoint, leaves, minibatches, write_whole
from minifishr.experiments import config_of, plan, run, said
from minifishr.experiments.judging import OF_CLASS
from minifishr.mlp import MLP
from minifishr.sweeps import calibration, records
from minifishr.sweeps.archive import packed
from minifishr.sweeps.calibration import expected_seconds
from minifishr.sweeps.grid import check, check_same_sweep, domain_names, drawn, grid
from minifishr.sweeps.records import checkpoint_path, identity, read_record, record_path, write_record
from minifishr.sweeps.running import sweep, trained
from minifishr.train import fit

METRICS = ("accuracy", "validation accuracy", "oracle accuracy")


def own(algorithms=("erm", "fishr"), **options):
    """The configurations of a small sweep on three small domains of vectors."""
    return grid(own_domains(), algorithms, ["own"], **{"test_domains": ["c"], "steps": 12, **options})


def finished(configs, folder, **options):
    """Sweep, and what tables are made of: identity -> everything in the record but seconds, as bytes."""
    list(sweep(configs, own_domains(), folder, **options))
    return {r.identity: json.dumps([r.config, r.history, r.failure]).encode() for r in records.records(folder)}


# ---- the grid


def test_adding_methods_draws_seeds_data_sets_and_domains_changes_no_other_run():
    few = grid(MNIST_LIKE, ["fishr"], ["colored"], ["-90%"], draws=2, seeds=1)
    many = grid(MNIST_LIKE, ["erm", "dann", "fishr"], ["rotated", "colored"], draws=4, seeds=2)
    assert len(few) == 2 and len(many) == 3 * (6 + 3) * 4 * 2
    assert {identity(c) for c in few} < {identity(c) for c in many}
    assert len({identity(c) for c in many}) == len(many)
    assert {c.test_domain for c in many} == {"+90%", "+80%", "-90%", "0", "15", "30", "45", "60", "75"}


def test_draw_0_is_the_preset_and_the_others_differ_but_not_by_seed():
    configs = own(["irm"], draws=3, seeds=2)
    planned = plan("domainbed", ["irm"], (0,), "own", steps=12)[0]
    assert configs[0] == planned._replace(draw=0, test_domain="c", data=configs[0].data) and configs[0].data.startswith(
        "own data "
    )
    by_draw = [[c.hyper_parameters for c in configs if c.draw == number] for number in range(3)]
    assert [one == two for one, two in by_draw] == [True] * 3
    assert len({hyper["lr"] for hyper, _ in by_draw}) == 3
    assert all(hyper["weight_decay"] == 0 for hyper, _ in by_draw)


def test_batch_size_of_a_draw_is_the_same_for_all_methods():
    configs = own(list(ALGORITHMS), draws=3)
    assert [len({c.batch for c in configs if c.draw == number}) for number in range(3)] == [1, 1, 1]
    assert len({c.batch for c in configs}) == 3


# method -> hyper-parameter -> (base of the logarithm or None, bounds), as published
PUBLISHED = {
    "irm": {"penalty_weight": (10, -1, 5), "warm_up": (10, 0, 4)},
    "vrex": {"penalty_weight": (10, -1, 5), "warm_up": (10, 0, 4)},
    "and_mask": {"tau": (None, 0.5, 1)},
    "sand_mask": {"tau": (None, 0, 1), "k": (10, -3, 5)},
    "fishr": {"penalty_weight": (10, 1, 4), "warm_up": (None, 0, 5000), "ema": (None, 0.9, 0.99)},
    "iga": {"penalty_weight": (10, 1, 5)},
    "coral": {"penalty_weight": (10, -1, 1)},
    "dann": {
        "penalty_weight": (10, -2, 2),
        "discriminator_lr": (10, -4.5, -2.5),
        "discriminator_weight_decay": (10, -6, -2),
        "gradient_penalty": (10, -2, 1),
        "width": (2, 6, 10),
    },
    "hutchinson": {"penalty_weight": (10, 1, 4), "gradient_weight": (10, 2, 6)},
    "hgp": {"penalty_weight": (10, -5, -3), "gradient_weight": (10, -3, -1)},
    "cma": {"penalty_weight": (10, 1, 4), "gradient_weight": (10, 1, 4)},
    "ib_erm": {"penalty_weight": (10, -1, 5), "warm_up": (10, 0, 4)},
    "ib_irm": {
        "penalty_weight": (10, -1, 5),
        "warm_up": (10, 0, 4),
        "ib_weight": (10, -1, 5),
        "ib_warm_up": (10, 0, 4),
    },
    "mmd": {"penalty_weight": (10, -1, 1)},
    "sd": {"penalty_weight": (10, -5, -1)},
    "group_dro": {"eta": (10, -3, -1)},
}
LISTED = {("fish", "meta_lr"): {0.05, 0.1, 0.5}, ("dann", "beta1"): {0, 0.5}}
LISTED |= {("cma", "warm_up"): {500, 1500, 2500, 3500, 4500}}
LISTED |= {("dann", "discriminator_steps"): set(range(1, 8))}
IDGM = {("idgm", "penalty_weight")}  # nobody has published one


@pytest.mark.parametrize("name", RANGES)
def test_draws_fill_the_published_ranges_evenly(name):
    base = plan("domainbed", [name], (0,), steps=5_000)[0]
    drawn_values = [drawn(base, number) for number in range(1, 401)]
    ranges = {**PUBLISHED.get(name, {}), "lr": (10, -4.5, -2.5)}
    listed = {key for method, key in {*LISTED, *IDGM} if method == name}
    assert {*ranges, *listed} == set(RANGES[name]) <= set(DEFAULTS[name]["domainbed"])
    for key, (logarithm, low, high) in [*ranges.items(), ("batch", (2, 3, 9))]:
        values = np.array([c.batch if key == "batch" else c.hyper_parameters[key] for c in drawn_values])
        if values.dtype.kind == "i":
            values = values + 0.5  # rounded down
        values = np.log(values) / np.log(logarithm) if logarithm else values
        middle, width = (low + high) / 2, high - low
        assert low <= values.min() and values.max() < high + 0.2 * (values.dtype.kind == "i")
        # 400 uniform numbers: their mean is off by width / sqrt(12 * 400) at one sigma
        assert abs(values.mean() - middle) < 5 * width / np.sqrt(4800) + 0.02 * width
        assert values.max() - values.min() > 0.9 * width
    for key in listed - {key for _, key in IDGM}:
        assert {c.hyper_parameters[key] for c in drawn_values} == LISTED[name, key]


def test_no_two_numbers_of_a_draw_come_from_the_same_stream():
    found = drawn(plan("domainbed", ["dann"], (0,))[0], 1).hyper_parameters
    assert found["lr"] != found["discriminator_lr"]  # the same range
    assert found["lr"] != drawn(plan("domainbed", ["erm"], (0,))[0], 1).hyper_parameters["lr"]


def test_warm_ups_are_shortened_with_the_runs_and_never_lengthened():
    def warm_ups(steps):
        base = plan("domainbed", ["irm"], (0,), steps=steps)[0]
        return [drawn(base, number).hyper_parameters["warm_up"] for number in range(1, 30)]

    whole = warm_ups(5_000)
    assert warm_ups(500) == [warm_up // 10 for warm_up in whole] and warm_ups(20_000) == whole
    default = DEFAULTS["irm"]["domainbed"]["warm_up"]
    lengths = [drawn(plan("domainbed", ["irm"], (0,), steps=s)[0], 0).hyper_parameters["warm_up"] for s in (500, 9_000)]
    assert lengths == [default // 10, default]


def test_every_configuration_is_plain_and_possible():
    configs = own(list(ALGORITHMS), draws=20)
    assert [config_of(found) for found in json.loads(json.dumps([*map(said, configs)]))] == configs
    check(configs, own_domains())


def test_domains_to_leave_out_are_those_of_the_data():
    for preset, dataset, names in [
        ("irm", "colored", ["-90%"]),
        ("irm", "rotated", ["0", "15", "30", "45", "60", "75"]),
    ]:
        assert domain_names(plan(preset, dataset=dataset)[0], MNIST_LIKE) == names


def test_leaving_two_out_adds_each_pair_once_and_changes_no_other_run():
    options = {"algorithms": ["erm", "fishr"], "datasets": ["rotated", "colored"], "draws": 2, "seeds": 2}
    few, many = grid(MNIST_LIKE, **options), grid(MNIST_LIKE, **options, leave_two_out=True)
    ids = [identity(c) for c in many]
    assert {identity(c) for c in few} < set(ids) and len(set(ids)) == len(ids)
    added = [c for c in many if c.also_left_out]
    assert len(many) - len(few) == len(added) == 15 * 2 * 2 * 2 and {c.dataset for c in added} == {"rotated"}
    found = {frozenset((c.test_domain, c.also_left_out)) for c in added}
    assert found == {frozenset(p) for p in combinations(("0", "15", "30", "45", "60", "75"), 2)}
    one = grid(MNIST_LIKE, test_domains=["30"], leave_two_out=True, **{**options, "datasets": ["rotated"]})
    assert {identity(c) for c in one} < set(ids) and len(one) == (1 + 5) * 8
    assert all("30" in (c.test_domain, c.also_left_out) for c in one)


def test_run_that_leaves_out_two_trains_on_the_others_and_measures_both():
    four = [*own_domains(), own_domains()[0]._replace(name="d")]
    configs = grid(four, ["erm"], ["own"], ["d"], steps=2, leave_two_out=True)
    assert [(c.test_domain, c.also_left_out) for c in configs] == [
        ("d", None), ("a", "d"), ("b", "d"), ("c", "d"),
    ]  # fmt: skip
    check(configs, four)
    history = trained(configs[2], four, ALGORITHMS["erm"]).history
    seen = {metric: {row.domain for row in history if row.metric == metric} for metric in METRICS}
    assert seen == dict(zip(METRICS, ({*"abcd"}, {*"ac"}, {*"bd"}), strict=True))


def test_identity_is_a_hash_of_the_sorted_configuration_and_the_format():
    text = (
        b'{"config":{"algorithm":"erm","batch":8,"convention":"domainbed","count":null,"data":null,"dataset":"linear",'
        b'"draw":0,"every":5,"hidden":[4],"hyper_parameters":{"lr":0.5},"preset":"linear","seed":0,"steps":9,'
        b'"test_domain":"test"},"format":1}'
    )
    found = config_of(json.loads(text)["config"])
    assert identity(found) == hashlib.sha256(text).hexdigest()


# What versions before Config, where a configuration was a dict of whatever keys there were, called four runs.
RECORDED = {
    "cc9d4f71d9f73b8de360a67d6e90155c3a3c944d05263b512f786fbcfe036450": {
        "source": MNIST_LIKE, "algorithms": ["fishr"], "test_domains": ["-90%"], "draws": 3, "seeds": 2, "size": 14,
        "count": 1000, "steps": 100,
    },
    "208575a564fecf34ba8601b18cea72018dac61754e7e8ef9b0072a58401496dc": {
        "source": MNIST_LIKE, "algorithms": ["erm"], "datasets": ["rotated"], "leave_two_out": True,
        "invariances": True,
    },
    "b067605eac8204605ac1d6e50e09d23c4c425575e8d8ffd29af54b12b3e051ab": {
        "source": None, "algorithms": ["fish"], "datasets": ["cdsprites"], "preset": "cdsprites",
    },
    "d20f10a842aebba72787a2ac611e491aca5a1f43b0bc0e199c2d1fcff4f953c8": {
        "source": None, "algorithms": ["idgm"], "datasets": ["linear"], "preset": "linear",
    },
}  # fmt: skip


@pytest.mark.parametrize("recorded", RECORDED)
def test_identity_of_a_run_that_could_be_said_before_is_what_it_was(recorded):
    config = grid(**RECORDED[recorded])[-1]
    assert identity(config) == recorded
    assert config_of(json.loads(json.dumps(said(config)))) == config


def test_other_bytes_of_the_data_are_other_runs():
    one, two = own_domains(), own_domains()
    two[0].x[0, 0] += 1
    assert len({grid(source, ["erm"], ["own"])[0].data for source in (one, own_domains(), two)}) == 2


# ---- checkpoints

STOP, MODEL = 8, MLP((3, 4, 3))


class Stopped(Exception):
    pass


def stopped_at(step):
    """A `progress` that is interrupted, and one that counts: (progress, steps seen)."""
    seen = []

    def progress(steps):
        for number in steps:
            if number == step:
                raise Stopped
            seen.append(number)
            yield number

    return progress, seen


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_training_that_was_stopped_goes_on_to_the_same_bits(name, convention, tmp_path):
    domains, theta = own_domains(3)[:2], MODEL.init(np.random.default_rng(0), np.float32)
    warm_up = {"warm_up": 7} if "warm_up" in DEFAULTS[name][convention] else {}
    method, batches = ALGORITHMS[name](MODEL, convention=convention, **warm_up), minibatches(domains, 6, 1)
    options = {"measure": lambda t: [("a", "mean", float(t.mean()))], "every": 4}
    checkpoint = Checkpoint(tmp_path / "half.npz", 3)
    with pytest.raises(Stopped):
        fit(method, theta, batches, 14, progress=stopped_at(STOP)[0], checkpoint=checkpoint, **options)
    progress, seen = stopped_at(None)
    again = fit(method, theta, batches, 14, progress=progress, checkpoint=checkpoint, **options)
    whole = fit(method, theta, batches, 14, **options)
    assert seen == list(range(6, 14))
    assert again.theta.tobytes() == whole.theta.tobytes() and again.history == whole.history
    for one, two in zip(leaves(again.state), leaves(whole.state), strict=True):
        assert type(one) is type(two) and np.asarray(one).tobytes() == np.asarray(two).tobytes()


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"", lambda data: b"PK" + data[::-1]])
def test_damaged_checkpoint_is_said_and_training_starts_anew(damage, tmp_path):
    method, batches = ALGORITHMS["erm"](MODEL), minibatches(own_domains(3), 6, 1)
    theta, path = MODEL.init(np.random.default_rng(0)), tmp_path / "half.npz"
    whole = fit(method, theta, batches, 6, checkpoint=Checkpoint(path, 4))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"half\.npz: damaged checkpoint"):
        again = fit(method, theta, batches, 6, checkpoint=Checkpoint(path, 4))
    assert again.theta.tobytes() == whole.theta.tobytes()


# ---- records


def test_records_have_the_measured_rows_and_what_they_were_made_with(tmp_path):
    configs = own()
    found = list(sweep(configs, own_domains(), tmp_path))
    assert [r.identity for r in records.records(tmp_path)] == sorted(map(identity, configs))
    assert {r.identity: r for r in found} == {r.identity: r for r in records.records(tmp_path)}
    for record in found:
        assert {row.step for row in record.history} == {0, 12} and record.failure is None and record.seconds > 0
        accuracies = {(row.step, row.domain) for row in record.history if row.metric == "accuracy"}
        held = {(row.step, row.domain) for row in record.history if row.metric == "validation accuracy"}
        oracle = {(row.step, row.domain) for row in record.history if row.metric == "oracle accuracy"}
        assert accuracies == {(0, "c"), *((12, d) for d in "abc")} and oracle == {(0, "c"), (12, "c")}
        assert held == {(s, d) for s in (0, 12) for d in "ab"}
        assert {"python", "numpy", "minifishr"} <= set(record.versions)
    assert sorted(p.suffix for p in (tmp_path / "runs").iterdir()) == [".json", ".json"]


def test_number_of_processes_changes_no_bit(tmp_path):
    assert finished(own(), tmp_path / "one", jobs=1) == finished(own(), tmp_path / "two", jobs=2)


def test_failed_runs_are_recorded_with_their_reason_and_stop_nobody(tmp_path):
    configs = own(seeds=2)
    configs[0] = configs[0]._replace(hyper_parameters={"lr": 1e30, "weight_decay": 0.0})
    configs[2] = configs[2]._replace(hyper_parameters={"tau": 1})
    before = finished(configs, tmp_path)
    failures = {r.config.algorithm: r.failure for r in records.records(tmp_path) if r.failure}
    assert "seed 0: erm:" in failures["erm"] and "non-finite at step" in failures["erm"]
    assert failures["fishr"].startswith("seed 0: fishr: unknown hyper-parameter 'tau'")
    assert len(before) == 4 and len(failures) == 2
    assert list(sweep(configs, own_domains(), tmp_path)) == []


DAMAGE = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "not JSON": lambda text: "hello",
    "not UTF-8": lambda text: text.encode() + b"\xff",
    "a list": lambda text: "[1]",
    "a number": lambda text: "1",
    "without rows": lambda text: text.replace('"history"', '"story"'),
    "broken row": lambda text: text.replace('[[0, "', '[[0, 1, 2, "', 1),
    "other configuration": lambda text: text.replace('"seed": 0', '"seed": 1'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_record_is_named_set_aside_and_run_again(damage, tmp_path, capsys):
    config = own(["erm"])[0]
    write_record(tmp_path_runs(tmp_path), trained(config, own_domains(), ALGORITHMS["erm"]))
    path = record_path(tmp_path, config)
    good, broken = path.read_text(), DAMAGE[damage](path.read_text())
    broken = broken if isinstance(broken, bytes) else broken.encode()
    path.write_bytes(broken)
    with pytest.raises(ValueError, match=path.name):
        records.records(tmp_path)
    assert records.unfinished(tmp_path, [config]) == [config] and path.read_bytes() == broken
    records.prepare(tmp_path, [config])
    assert path.name in capsys.readouterr().err
    assert not path.exists() and path.with_suffix(".json.damaged").read_bytes() == broken
    write_record(tmp_path, trained(config, own_domains(), ALGORITHMS["erm"]))
    assert {**json.loads(path.read_text()), "seconds": 0} == {**json.loads(good), "seconds": 0}


def tmp_path_runs(folder):
    (folder / "runs").mkdir()
    return folder


def unchanged(folder):
    """What is in a folder, to see that nothing was touched."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (folder / "runs").iterdir()}


def test_records_of_another_format_are_refused_untouched(tmp_path):
    config = own(["erm"])[0]
    write_record(tmp_path_runs(tmp_path), trained(config, own_domains(), ALGORITHMS["erm"]))
    path = record_path(tmp_path, config)
    path.write_text(json.dumps({"format": 2, "runs": "elsewhere"}))
    (tmp_path / "runs" / ("0" * 64 + ".json")).write_text("damaged")
    before = unchanged(tmp_path)
    with pytest.raises(ValueError, match=r"is a record of format 2, expected 1; choose another folder$"):
        sweep(own(), own_domains(), tmp_path)
    assert unchanged(tmp_path) == before


CONFLICTS = {
    "steps=12, not 13": {"steps": 13},
    "preset='domainbed', not 'quick'|batch=64, not None|convention": {"preset": "quick"},
    "data='own data .*', not 'own data ": {"source": own_domains(3)},
}


@pytest.mark.parametrize("message", CONFLICTS)
def test_folder_of_another_sweep_is_refused_untouched(message, tmp_path):
    config = own(["erm"])[0]
    write_record(tmp_path_runs(tmp_path), trained(config, own_domains(), ALGORITHMS["erm"]))
    before, options = unchanged(tmp_path), {"steps": 12, **CONFLICTS[message]}
    others = grid(options.pop("source", own_domains()), ["fishr"], ["own"], ["b"], seeds=2, **options)
    with pytest.raises(ValueError, match=f"holds a sweep with ({message}).*; choose another folder$"):
        sweep(others, own_domains(), tmp_path)
    assert unchanged(tmp_path) == before


def test_same_run_with_other_hyper_parameters_is_another_sweep():
    one = own(["erm"])[0]
    two = one._replace(hyper_parameters={"lr": 1})
    with pytest.raises(ValueError, match="hyper_parameters="):
        check_same_sweep("x", [one], [two])
    check_same_sweep("x", [one], [two._replace(draw=1)])  # draws are told apart by them


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond 100 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"before")
    with full_disk(), pytest.raises(OSError, match=r"file: cannot be written: File too large$"):
        write_whole(path, bytes(1000))
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"before"


def test_half_written_files_are_removed_once_nobody_can_be_writing_them(tmp_path):
    runs = tmp_path_runs(tmp_path) / "runs"
    old, new = runs / "a.json.1.part", runs / "b.json.2.part"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    records.prepare(tmp_path, [])
    assert not old.exists() and new.exists()


def test_checkpoint_of_a_recorded_run_is_removed(tmp_path):
    config = own(["erm"])[0]
    write_record(tmp_path_runs(tmp_path), trained(config, own_domains(), ALGORITHMS["erm"]))
    checkpoint_path(tmp_path, config).write_bytes(b"left by a worker that outlived its sweep")
    assert list(sweep([config], own_domains(), tmp_path)) == []
    assert not checkpoint_path(tmp_path, config).exists()


# ---- killed and started again, started twice: the same script in processes of their own

SCRIPT = """
import itertools, os, sys, time
from pathlib import Path
from minifishr.algorithms import ALGORITHMS
from minifishr.sweeps.grid import grid
from minifishr.sweeps.running import sweep

sys.path.insert(0, {tests!r})
from samples import own_domains

def slow(name):
    def factory(model, **options):
        algorithm = ALGORITHMS[name](model, **options)
        number, parent = itertools.count(1), os.getppid()
        def update(theta, state, domains):
            with open({log!r}, "a") as file:
                file.write(f"{{os.getpid()}}\\n")
            time.sleep({pause})
            held = {hold} and next(number) == 15  # once a run is recorded, none goes on until the sweep is killed
            while held and os.getppid() == parent and any(Path({folder!r}, "runs").glob("*.json")):
                time.sleep(0.01)
            return algorithm.update(theta, state, domains)
        return algorithm._replace(update=update)
    return factory

if __name__ == "__main__":
    configs = grid(own_domains(), ["fish", "fishr"], ["own"], ["c"], draws=2, seeds=1, steps=40)
    for record in sweep(configs, own_domains(), {folder!r}, jobs=2, every=10,
                        factories={{name: slow(name) for name in ALGORITHMS}}):
        print(record.identity, flush=True)
"""
SWEPT = {"algorithms": ["fish", "fishr"], "draws": 2, "steps": 40}


def started(tmp_path, folder, log, pause=0, hold=False):
    """A process that sweeps into a folder and logs each step; held, it stops at step 15 once a run is recorded."""
    script = tmp_path / f"{log}.py"
    tests = str(Path(__file__).parent.parent)
    script.write_text(
        SCRIPT.format(tests=tests, log=str(tmp_path / log), pause=pause, hold=hold, folder=str(tmp_path / folder)),
        encoding="utf-8",
    )
    return subprocess.Popen([sys.executable, "-W", "error", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def waited(condition, seconds=30):
    """True as soon as a condition holds; fails if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return True


def alive(pid):
    """Whether a process runs (one that nobody waits for is a zombie and does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_killed_sweep_repeats_only_what_was_not_finished_and_ends_in_the_same_bytes(tmp_path):
    runs = tmp_path / "killed" / "runs"
    first = started(tmp_path, "killed", "first", hold=True)

    def steps():
        with contextlib.suppress(FileNotFoundError):  # recorded just now
            return [int(np.load(path)["arr_2"]) for path in runs.glob("*.npz")]

    waited(lambda: any(runs.glob("*.json")) and steps() == [10, 10])  # a run is recorded, two are under way
    first.send_signal(signal.SIGKILL)
    first.communicate()
    workers = set((tmp_path / "first").read_text().split())
    waited(lambda: not any(map(alive, workers)))
    kept, half = ({p: p.read_bytes() for p in runs.glob(f"*.{kind}")} for kind in ("json", "npz"))
    assert 1 <= len(kept) < 4 and len(half) == 2
    out, err = started(tmp_path, "killed", "second").communicate(timeout=60)
    assert err == b"" and len(out.split()) == 4 - len(kept)
    assert {p: p.read_bytes() for p in kept} == kept
    # each of the two went on from a multiple of ten steps
    assert (tmp_path / "second").read_text().count("\n") <= 40 * (4 - len(kept)) - 20
    assert sorted(p.suffix for p in runs.iterdir()) == [".json"] * 4
    whole = finished(own(**SWEPT), tmp_path / "whole", jobs=2)
    assert finished(own(**SWEPT), tmp_path / "killed") == whole and len(whole) == 4


def test_two_sweeps_of_one_folder_do_not_disturb_each_other(tmp_path):
    both = [started(tmp_path, "shared", f"sweep {number}", 0.005) for number in range(2)]
    printed = []
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and err == b""
        printed += out.split()
    assert len(set(printed)) == 4
    assert sorted(p.suffix for p in (tmp_path / "shared" / "runs").iterdir()) == [".json"] * 4
    assert finished(own(**SWEPT), tmp_path / "shared") == finished(own(**SWEPT), tmp_path / "alone", jobs=2)


# ---- the command


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and digits that take no time to get."""
    monkeypatch.setattr(command, "load_digits", lambda source: MNIST_LIKE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SIZES = ["--size", "14", "--count", "60", "--steps", "4"]
SMALL = ["sweep", "--algorithms", "erm", "fishr", "--test-domains=-90%", *SIZES]


def test_command_says_which_runs_end_before_their_warm_up(here, capsys):
    assert cli.main([*SMALL, "--preset", "quick"]) == 0
    assert "1 of 2 runs end before their warm-up: fishr draw 0\n" in capsys.readouterr().err


def test_command_goes_on_with_a_file_and_unpacks_nothing_that_it_refuses_or_only_counts(here, capsys):
    toy = ["sweep", "--datasets", "linear", "--preset", "linear", "--algorithms", "erm", "--steps"]
    assert cli.main([*toy, "4", "--out", "sweep"]) == 0
    assert cli.main(["report", "sweep", "--pack", "kept.records.gz"]) == 0
    capsys.readouterr()
    assert cli.main([*toy, "5", "--out", "kept.records.gz"]) == 2
    assert "kept.records.gz holds a sweep with steps=4, not 5; choose another" in capsys.readouterr().err
    more = [*toy, "4", "--seeds", "2", "--out", "kept.records.gz"]
    assert cli.main([*more, "--dry-run"]) == 0
    assert "2 runs, 1 of them recorded in kept;" in capsys.readouterr().out and not (here / "kept").exists()
    assert cli.main(more) == 0 and "2 runs: 2 done" in capsys.readouterr().out
    assert cli.main(["report", "kept.records.gz", "--pack", "kept.records.gz"]) == 0
    assert "2 done, 0 failed, 0 missing" in capsys.readouterr().out and len(packed("kept.records.gz")) == 2
    assert cli.main(["report", "kept.records.gz", "--pack", "again.gz"]) == 0
    assert (here / "again.gz").read_bytes() == (here / "kept.records.gz").read_bytes()


def test_digits_beside_data_sets_that_are_drawn_without_are_refused(here, capsys):
    toy = ["sweep", "--datasets", "linear", "--preset", "linear", "--algorithms", "erm", "--digits", "mnist"]
    assert cli.main([*toy, "--dry-run"]) == 2
    assert "--digits mnist has no effect on data set 'linear', which is drawn" in capsys.readouterr().err


def test_command_measures_what_runs_make_equal_and_the_report_shows_it(here, capsys):
    assert cli.main([*SMALL, "--invariances"]) == 0
    assert cli.main(["report", "results/sweep"]) == 0
    page = capsys.readouterr().out
    matrix = page.split("what each method has made equal\n\n")[1].split("\n\n")[0].splitlines()
    assert [line.split("|")[1].strip() for line in matrix[2:]] == ["untrained", "erm", "fishr"]
    assert (here / "results/sweep/report/colored-invariances.png").exists()
    assert cli.main(SMALL) == 2 and "holds a sweep with invariances=True, not False" in capsys.readouterr().err


def test_command_sweeps_and_says_what_there_is(here, capsys):
    assert cli.main([*SMALL, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 runs, 0 of them recorded in results/sweep; the rest takes about ") and err == ""
    assert list(here.iterdir()) == []
    assert cli.main(SMALL) == 0
    out, err = capsys.readouterr()
    assert out == "2 runs: 2 done, 0 failed; records in results/sweep/runs\n"
    assert "2/2 runs, 0 failed, 0 running" in err and "8/8" in err and "warm-up" not in err
    assert cli.main([*SMALL, "--draws", "2", "--jobs", "1"]) == 0
    assert capsys.readouterr().out == "4 runs: 4 done, 0 failed; records in results/sweep/runs\n"
    assert {r.config.draw for r in records.records("results/sweep")} == {0, 1}
    before = unchanged(here / "results" / "sweep")
    assert cli.main([*SMALL, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("2 runs, 2 of them recorded in results/sweep; the rest takes about 0 s")
    assert unchanged(here / "results" / "sweep") == before


def test_command_says_where_no_two_domains_can_be_left_out(here, capsys):
    assert cli.main([*SMALL, "--leave-two-out"]) == 0
    out, err = capsys.readouterr()
    assert (
        out.startswith("2 runs: 2 done") and err.count("--leave-two-out adds no run of data set 'colored': it has") == 1
    )
    rotated = ["--datasets", "rotated", "--test-domains=15", "--jobs", "1", "--out", "turned"]
    small = ["sweep", "--algorithms", "erm", *SIZES]
    assert cli.main([*small, "--leave-two-out", *rotated]) == 0
    out, err = capsys.readouterr()
    assert out == "6 runs: 6 done, 0 failed; records in turned/runs\n" and "adds no run" not in err
    assert cli.main(["report", "turned"]) == 0
    page = capsys.readouterr().out
    assert "6 runs (1 method x 6 choices of what is left out x 1 draw x 1 seed): 6 done, 0 failed, 0 missing." in page
    assert "leave-one-domain-out, the draw and step with" in page and "Not available" not in page
    assert sorted(path.suffix for path in (here / "turned" / "report").iterdir()) == [
        *[".csv"] * 3,
        ".md",
        *[".tex"] * 3,
    ]


def test_full_disk_is_one_sentence_and_what_was_finished_stays(here, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main([*SMALL, "--jobs", "1"]) == 2
    err = capsys.readouterr().err
    assert err.count("cannot be written: No space left on device\n") == 1 and "Traceback" not in err
    assert not list((here / "results" / "sweep" / "runs").glob("*.json"))
    monkeypatch.undo()
    monkeypatch.setattr(command, "load_digits", lambda source: MNIST_LIKE)
    assert cli.main([*SMALL, "--out", str(here / "results" / "sweep")]) == 0


def test_failed_runs_are_listed_and_the_exit_code_is_1(here, capsys):
    domains = ["--test-domains", "+90%", "--algorithms", "coral"]  # one row a domain is too few for a covariance
    assert cli.main([*SMALL, *domains]) == 0
    config = json.loads(next((here / "results" / "sweep" / "runs").iterdir()).read_text())["config"]
    path = record_path("results/sweep", config_of(config))
    write_record("results/sweep", read_record(path)._replace(failure="seed 0: coral: went wrong"))
    capsys.readouterr()
    assert cli.main([*SMALL, *domains]) == 1
    out, err = capsys.readouterr()
    assert out == "2 runs: 1 done, 1 failed; records in results/sweep/runs\n"
    assert "draw 0 seed 0: coral: went wrong\n" in err


BAD = {
    ("--algorithms", "erm", "sgd"): "unknown method 'sgd', expected one of erm, irm",
    ("--datasets", "cifar"): "unknown dataset 'cifar', expected one of colored, rotated, linear, cdsprites",
    ("--preset", "fast"): "unknown preset 'fast'",
    ("--preset", "linear"): "preset 'linear' does not fit data set 'colored'",
    ("--preset", "quick", "--draws", "2"): "the ranges of draw 1 are DomainBed's; preset 'quick' only has draw 0",
    ("--datasets", "linear", "--preset", "linear", "--size", "7"): "preset 'linear' has no size to replace, got size=7",
    ("--draws", "0"): "--draws must be from 1 to 100000, got 0",
    ("--seeds", "0"): "--seeds must be from 1 to 100000, got 0",
    ("--jobs", "0"): "--jobs must be from 1 to 100000, got 0",
    ("--steps", "0"): "steps must be at least 1, got 0",
    ("--size", "15"): "image size must be 7, 14 or 28, got 15",
    ("--count", "50000"): "count=50000 is outside 1..23333",
    ("--test-domains", "x"): "data set 'colored' has no domain x to leave out, only +90%, +80%, -90%",
    ("--test-domains", "+90%", "x"): "unknown test domain 'x', expected one of +80%, +90%, -90%",
    ("--datasets", "rotated", "colored", "--test-domains", "0"): "data set 'colored' has no domain 0 to leave out",
    ("--out", "file"): "file is no whole file of records",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_requests_get_one_sentence_and_leave_no_results(arguments, here, capsys):
    (here / "file").write_text("")
    assert cli.main(["sweep", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and BAD[arguments] in err
    assert [path.name for path in here.iterdir()] == ["file"]


def test_expected_time_is_steps_times_runs(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(calibration, "in_processes", lambda work, jobs: [call(*given) for call, given in work])

    def slow(model, **options):
        algorithm = ALGORITHMS["erm"](model, **options)

        def update(theta, state, domains):
            clock[0] += 0.01
            return algorithm.update(theta, state, domains)

        return algorithm._replace(update=update)

    configs = own(["erm"], draws=3, seeds=2, steps=1_000)
    assert expected_seconds(configs, own_domains(), 1, {"erm": slow}) == pytest.approx(6 * 1_000 * 0.01)
    broken = [config._replace(hyper_parameters={"lr": 1e30}) for config in configs]
    assert 0 < expected_seconds(broken, own_domains(), 1, {"erm": slow}) < 1


# ---- a machine that has too little of something


def mortal(path, deaths):
    """ERM whose process is killed at step 8 of the first runs, as the kernel does where memory is short."""

    def factory(model, **options):
        algorithm = ALGORITHMS["erm"](model, **options)

        def update(theta, state, domains):
            with open(path, "ab") as file:
                if state.step == 8 and file.tell() < deaths:
                    file.write(b".")
                    file.close()
                    os.kill(os.getpid(), signal.SIGKILL)
            return algorithm.update(theta, state, domains)

        return algorithm._replace(update=update)

    return factory


def test_sweep_goes_on_when_processes_are_killed(tmp_path, capsys):
    configs = own(["erm"], draws=2, seeds=2)
    factories = {"erm": mortal(tmp_path / "deaths", 2)}
    found = list(sweep(configs, own_domains(), tmp_path, jobs=2, factories=factories, every=5))
    assert len(found) == 4 and all(record.failure is None for record in found)
    assert "minifishr: a process was killed; going on with the" in capsys.readouterr().err
    plain = finished(configs, tmp_path / "plain")
    assert plain == finished(configs, tmp_path)


def test_sweep_whose_processes_are_always_killed_ends_in_one_sentence(tmp_path, capsys):
    factories = {"erm": mortal(tmp_path / "deaths", 10**9)}
    with pytest.raises(OSError, match=r"^processes were killed 3 times without a finished run .*; 1 runs are left$"):
        list(sweep(own(["erm"]), own_domains(), tmp_path, jobs=2, factories=factories))


def test_checkpoint_of_another_run_in_a_runs_place_is_set_aside(tmp_path, capsys):
    one, two = own(["erm"], draws=2)
    tmp_path_runs(tmp_path)
    with pytest.raises(Stopped):
        run(one, own_domains(), ALGORITHMS["erm"], stopped_at(STOP)[0], Checkpoint(checkpoint_path(tmp_path, one), 3))
    os.replace(checkpoint_path(tmp_path, one), checkpoint_path(tmp_path, two))
    (record,) = sweep([two], own_domains(), tmp_path)
    assert record.failure is None and finished([two], tmp_path / "plain") == finished([two], tmp_path)
    assert checkpoint_path(tmp_path, two).with_suffix(".npz.foreign").exists()


def test_records_have_the_training_rows_at_the_last_step_only_and_else_what_a_comparison_measures():
    config = own(["erm"])[0]._replace(every=5)
    whole = run(config, own_domains(), ALGORITHMS["erm"])
    kept = trained(config, own_domains(), ALGORITHMS["erm"]).history
    steps = {row.step for row in whole.history if row.metric == "accuracy"}
    expected = [r for r in whole.history if r.step in steps and not r.metric.startswith(OF_CLASS)]
    expected = [
        r for r in expected if (r.metric, r.domain) not in {("accuracy", "a"), ("accuracy", "b")} or r.step == 12
    ]
    assert sorted(kept) == sorted(expected) and {0, 5, 10, 12} == steps


def test_run_that_lacked_memory_is_told_and_left_for_the_next_time(tmp_path, capsys):
    asked = []

    def greedy(model, **options):
        if not asked:
            asked.append(1)
            raise MemoryError
        return ALGORITHMS["erm"](model, **options)

    config = grid(own_domains(), ["erm"], ["own"], ["c"], 1, steps=2)[0]
    assert trained(config, own_domains(), greedy) is None
    assert "too little memory; nothing is recorded" in capsys.readouterr().err
    assert trained(config, own_domains(), greedy).failure is None


def test_matched_runs_are_expected_to_take_the_steps_that_measure_too(monkeypatch):
    config = next(c for c in grid(own_domains(), ["fishr"], ["own"], ["c"], 1, steps=4_000, matched=True))
    short, long = (config._replace(hyper_parameters={**config.hyper_parameters, "warm_up": n}) for n in (11, 3_000))
    times = iter(range(1_000))  # a second between any two looks at the clock
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: next(times))
    few, many = (calibration.calibrated(c, own_domains(), ALGORITHMS["fishr"], 1) for c in (short, long))
    assert many - few == 2_989
