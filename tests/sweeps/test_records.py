"""Records of runs that nobody trained: what is in a file, when it is whole, and what a folder is made ready for."""

import json
import os
import re
import sys
import time

import pytest
from sweeps.test_selection import NAMES, record

from minifishr.data import Row
from minifishr.experiments import said
from minifishr.sweeps.grid import cell, check_same_sweep
from minifishr.sweeps.records import (
    STALE,
    Damaged,
    checkpoint_path,
    identity,
    is_whole,
    prepare,
    read_record,
    record_of,
    record_path,
    records,
    runs_folder,
    text_of,
    unfinished,
    write_record,
)


@pytest.fixture
def runs(tmp_path):
    runs_folder(tmp_path).mkdir()
    return tmp_path / "runs"


def test_record_is_one_line_of_format_configuration_rows_failure_seconds_and_versions():
    one = record("a")._replace(history=[Row(0, "a", "accuracy", 0.5)], versions={"python": "3"})
    text = text_of(one)
    assert "\n" not in text and list(json.loads(text)) == [
        "format",
        "config",
        "history",
        "failure",
        "seconds",
        "versions",
    ]
    assert json.loads(text) == {
        "format": 1, "config": said(one.config), "history": [[0, "a", "accuracy", 0.5]], "failure": None,
        "seconds": 1.0, "versions": {"python": "3"},
    }  # fmt: skip
    with pytest.raises(ValueError):
        text_of(one._replace(seconds=float("nan")))  # which would be no JSON


def test_writing_a_record_removes_the_checkpoint_of_its_run_alone(runs):
    one, two = record("a"), record("b")
    for each in (one, two):
        checkpoint_path(runs.parent, each.config).write_bytes(b"half")
    write_record(runs.parent, one)
    assert {path.name for path in runs.iterdir()} == {f"{one.identity}.json", f"{two.identity}.npz"}
    write_record(runs.parent, one)
    assert read_record(record_path(runs.parent, one.config)) == one


ROWS = {
    "a step": [0.0, "a", "accuracy", 0.5],
    "a truth": [True, "a", "accuracy", 0.5],
    "a domain": [0, 1, "accuracy", 0.5],
    "a metric": [0, "a", None, 0.5],
    "a value": [0, "a", "accuracy", "0.5"],
    "no number": [0, "a", "accuracy", float("nan")],
    "no finite number": [0, "", "penalty", float("inf")],
    "no share": [0, "a", "oracle accuracy", 1.5],
    "both numbers": ["0", "a", "accuracy", None],
}


@pytest.mark.parametrize("odd", ROWS)
def test_what_is_no_row_is_told(odd):
    text = json.dumps({**json.loads(text_of(record("a"))), "history": [ROWS[odd]]})
    with pytest.raises(Damaged) as caught:
        record_of(text, "x.json")
    assert str(caught.value) == f"x.json is no whole record (row {ROWS[odd]!r})"


def without(one, *gone):
    """A record without the rows of some (step, domain, metric)."""
    return one._replace(history=[row for row in one.history if tuple(row[:3]) not in gone])


def test_record_is_whole_where_each_measured_step_has_the_left_out_accuracies():
    one = record("ab")
    assert is_whole(one.config, one.history) and not is_whole(one.config, [])
    steps = (0, 10, 20)
    partial = {
        "one of two domains": [(10, "b", "accuracy")],
        "one of two held-out parts": [(10, "a", "oracle accuracy")],
        "a step with held-out rows alone": [(10, name, "accuracy") for name in NAMES],
        "a step with oracle rows alone": [
            (10, name, f"{part}accuracy") for name in NAMES for part in ("", "validation ")
        ],
        "a step with validation rows alone": [(10, n, f"{part}accuracy") for n in NAMES for part in ("", "oracle ")],
    }
    for what, gone in partial.items():
        assert not is_whole(one.config, without(one, *gone).history), what
    rest = without(one, *((step, name, "oracle accuracy") for step in steps for name in "ab"))
    rest = without(rest, *((step, name, "validation accuracy") for step in steps for name in NAMES))
    last = [(20, name, f"{part}accuracy") for name in NAMES for part in ("", "validation ", "oracle ")]
    assert not is_whole(one.config, without(one, *last).history)  # cut off in between
    assert is_whole(one.config, without(rest, (10, "c", "accuracy")).history)  # trained on: no rule asks for it
    with pytest.raises(
        Damaged, match=r"^x is damaged: its history lacks the last step or an accuracy on a domain that is left out$"
    ):
        record_of(text_of(without(one, (0, "a", "accuracy"))), "x")
    assert record_of(text_of(record("a", failure="lost")), "x").failure == "lost"


def test_folders_records_are_in_the_order_of_identity_and_what_is_none_is_told(runs):
    with pytest.raises(ValueError) as caught:
        records(runs.parent)
    assert str(caught.value) == f"{runs.parent} has no finished runs of a sweep"
    found = [record(name) for name in NAMES]
    for each in found:
        write_record(runs.parent, each)
    (runs / "notes.json").write_text("mine")  # no identity begins so
    (runs / f"{found[0].identity}.npz").write_bytes(b"")
    assert records(runs.parent) == sorted(found, key=lambda each: each.identity)
    other = record("a", seed=7)
    configs = [found[1].config, other.config, found[0].config]
    assert unfinished(runs.parent, configs) == [other.config] and unfinished(runs.parent, []) == []
    with pytest.raises(ValueError, match=f"^{re.escape(str(runs.parent))} holds a sweep with steps=20, not 30; "):
        unfinished(runs.parent, [record("a", steps=30).config])
    (runs / f"{other.identity}.json").write_text(text_of(found[0]))
    with pytest.raises(Damaged) as caught:
        records(runs.parent)
    place = runs / f"{other.identity}.json"
    assert str(caught.value) == f"{place} is damaged: its configuration does not belong to its name"


def test_files_that_another_sweep_has_just_taken_away_are_passed_over(runs, monkeypatch):
    one = record("a")
    write_record(runs.parent, one)
    (runs / f"{'0' * 64}.json").symlink_to(runs / "gone")  # it is listed, and there is nothing to read
    (runs / "0.part").symlink_to(runs / "gone")
    prepare(runs.parent, [])
    assert records(runs.parent) == [one]
    module = sys.modules["minifishr.sweeps.records"]
    monkeypatch.setattr(module, "scanned", lambda folder: ({}, {runs / "taken.json": Damaged("taken")}))
    prepare(runs.parent, [])
    assert one.identity in {path.stem for path in runs.iterdir()}


def test_what_a_kill_left_goes_and_what_is_damaged_is_set_aside_by_name(tmp_path, capsys):
    folder = tmp_path / "new" / "sweep"
    prepare(folder, [])
    prepare(folder, [])
    runs, done, half = folder / "runs", record("a"), record("b")
    write_record(folder, done)
    for each in (done, half):
        checkpoint_path(folder, each.config).write_bytes(b"half")
    (runs / f"{half.identity}.json").write_text("{}")
    for name, age in (("old.part", STALE + 60), ("new.part", STALE - 60), ("old.txt", STALE + 60)):
        (runs / name).write_text("half")
        os.utime(runs / name, (time.time() - age,) * 2)
    assert capsys.readouterr() == ("", "")
    prepare(folder, [half.config, done.config])
    assert {path.name for path in runs.iterdir()} == {
        f"{done.identity}.json", f"{half.identity}.json.damaged", f"{half.identity}.npz", "new.part", "old.txt",
    }  # fmt: skip
    what = f"{runs / half.identity}.json is no whole record ('format')"
    told = f"minifishr: {what}; set aside as {half.identity}.json.damaged, the run is repeated\n"
    assert capsys.readouterr() == ("", told)
    with pytest.raises(OSError) as caught:
        prepare(runs / "old.txt", [])
    assert str(caught.value) == f"{runs / 'old.txt'}: cannot be written: Not a directory"


def test_what_was_set_aside_before_stays(tmp_path, capsys):
    prepare(tmp_path, [])
    path = runs_folder(tmp_path) / f"{'a' * 64}.json"
    for text, end in (("one", ".damaged"), ("two", ".2.damaged"), ("three", ".3.damaged")):
        path.write_text(text)
        prepare(tmp_path, [])
        assert path.with_name(path.name + end).read_text() == text and not path.exists()
        assert f"set aside as {path.name}{end}, the run is repeated\n" in capsys.readouterr().err


def test_sweeps_may_differ_in_what_tells_runs_apart_and_nothing_else():
    one = record("a").config
    for same in ([], [one], [record("b", draw=3, seed=2, method="irm").config]):
        check_same_sweep("x", same, [one])
        check_same_sweep("x", [one], same)
    longer = record("b", steps=30).config
    with pytest.raises(ValueError) as caught:
        check_same_sweep("x", [one], [longer])
    assert str(caught.value) == "x holds a sweep with steps=20, not 30; choose another folder"
    with pytest.raises(ValueError, match=r"^x holds a sweep with batch=8, not 9; choose another folder$"):
        check_same_sweep("x", [record("c").config, one], [record("c").config, one._replace(batch=9)])
    assert cell(one) == ("erm", "own", "a", None, None, 0, 0)


def test_weights_of_one_method_are_all_matched_or_none_in_one_sweep():
    one, two = record("a", method="irm").config, record("b", method="irm").config._replace(matched=True)
    check_same_sweep("x", [one, record("a").config], [one])
    for found, asked in (([one], [two]), ([two], [one]), ([one, two], [one, two])):
        with pytest.raises(ValueError, match=r"^x holds a sweep with matched="):
            check_same_sweep("x", found, asked)
    check_same_sweep("x", [two], [record("a").config])  # ERM has no weight


def test_records_of_two_sweeps_in_one_folder_are_no_records_of_one(tmp_path):
    for one in (record("a"), record("b")):
        prepare(tmp_path, [])
        write_record(tmp_path, one)
    assert len(records(tmp_path)) == 2
    other = record("c")
    history = [row._replace(step=30) if row.step == 20 else row for row in other.history]
    write_record(tmp_path, other._replace(config=other.config._replace(steps=30), history=history))
    with pytest.raises(ValueError, match="holds a sweep with steps="):
        records(tmp_path)


def test_identity_is_the_same_for_keys_in_another_order():
    one = record("a").config
    turned = one._replace(hyper_parameters={"lr": 0.1, "weight_decay": 0.0})
    assert identity(turned) == identity(turned._replace(hyper_parameters={"weight_decay": 0.0, "lr": 0.1}))
    with pytest.raises(ValueError):
        identity(one._replace(hyper_parameters={"lr": float("inf")}))
