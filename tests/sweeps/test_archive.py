import gzip
import json

import pytest
from samples import own_domains
from sweeps.test_selection import record

from minifishr import cli
from minifishr.sweeps.archive import beside, pack, packed, recorded, unpack
from minifishr.sweeps.records import read_record, record_path, records, write_record


@pytest.fixture
def folder(tmp_path):
    """A folder of three records."""
    for name in "abc":
        one = record(name, 0.5)
        record_path(tmp_path / "sweep", one.config).parent.mkdir(parents=True, exist_ok=True)
        write_record(tmp_path / "sweep", one)
    return tmp_path / "sweep"


def test_packed_records_are_the_records_and_the_bytes_are_the_same_at_any_time(folder, tmp_path, monkeypatch):
    pack(records(folder), tmp_path / "one.gz")
    assert packed(tmp_path / "one.gz") == records(folder) == recorded(folder) == recorded(tmp_path / "one.gz")
    monkeypatch.setattr("time.time", lambda: 1e9)
    pack(records(folder), tmp_path / "two.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_unpacking_adds_what_is_missing_and_changes_nothing_else(folder, tmp_path):
    found, target = records(folder), tmp_path / "kept"
    unpack(found, target, [one.config for one in found])
    assert records(target) == found
    first = sorted((target / "runs").iterdir())[0]
    changed = read_record(first)._replace(seconds=7.0)
    first.unlink()
    write_record(target, changed)
    unpack(found, target, [one.config for one in found])
    assert read_record(first).seconds == 7.0


def test_a_file_is_read_with_the_folder_beside_it_where_a_sweep_has_gone_on(folder, tmp_path):
    found = records(folder)
    pack(found[:2], tmp_path / "kept.v2.records.gz")
    assert recorded(tmp_path / "kept.v2.records.gz") == found[:2]
    unpack(found[2:], tmp_path / "kept.v2", [])
    assert recorded(tmp_path / "kept.v2.records.gz") == found
    longer = found[2].config._replace(steps=11), [row._replace(step=11) for row in found[2].history]
    unpack([found[2]._replace(config=longer[0], history=longer[1])], tmp_path / "kept.v2", [])
    with pytest.raises(ValueError, match=r"kept\.v2 holds a sweep with steps="):
        recorded(tmp_path / "kept.v2.records.gz")


def test_only_a_file_has_a_folder_beside_it_and_only_one_that_is_named_as_one(tmp_path):
    (tmp_path / "sweep.v2").mkdir()
    assert beside(tmp_path / "sweep.v2") == tmp_path / "sweep.v2"
    for name, folder in (("kept.v2.gz", "kept.v2"), ("kept.v2.records.gz", "kept.v2"), ("kept.records.gz", "kept")):
        (tmp_path / name).write_bytes(b"")
        assert beside(tmp_path / name) == tmp_path / folder
    for name in ("nodot", ".records.gz", "kept.json"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ValueError, match=rf"{name} is a file, and the name .* ends in \.records\.gz or \.gz"):
            beside(tmp_path / name)


def test_no_file_is_replaced_by_one_that_has_less(folder, tmp_path):
    found, path = records(folder), tmp_path / "kept.gz"
    pack(found[:2], path)
    pack(found, path)
    assert packed(path) == found
    with pytest.raises(ValueError, match=r"kept\.gz has 1 runs that would be lost; choose another file"):
        pack(found[1:], path)
    (tmp_path / "notes.gz").write_text("precious")
    with pytest.raises(ValueError, match=r"notes\.gz is no whole file of records"):
        pack(found, tmp_path / "notes.gz")
    assert packed(path) == found and (tmp_path / "notes.gz").read_text() == "precious"
    with pytest.raises(ValueError, match=r"notes\.md: the name of a file of records ends in \.records\.gz or \.gz"):
        pack(found, tmp_path / "notes.md")  # which nobody could read again
    assert not (tmp_path / "notes.md").exists()


def altered(path, change):
    """The same file with its lines changed."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    path.write_bytes(gzip.compress("\n".join(change(lines)).encode()))


def other_steps(line):
    """A record of a longer run."""
    found = json.loads(line)
    steps = found["config"]["steps"]
    history = [[step + (step == steps), *rest] for step, *rest in found["history"]]
    return json.dumps({**found, "config": {**found["config"], "steps": steps + 1}, "history": history})


BAD = {
    "cut off": (
        lambda p: p.write_bytes(p.read_bytes()[:-20]),
        r"kept\.gz is no whole file of records \(Compressed file ended before",
    ),
    "another format": (lambda p: p.write_text("x"), "is no whole file of records"),
    "another version": (
        lambda p: altered(p, lambda lines: [lines[0].replace(": 1,", ": 2,"), *lines[1:]]),
        "of version 2, expected 1",
    ),
    "no run": (
        lambda p: altered(p, lambda lines: [lines[0].replace("3", "0")]),
        r"kept\.gz has no finished runs of a sweep",
    ),
    "a line lost": (lambda p: altered(p, lambda lines: lines[:-1]), "says 3 runs and has 2"),
    "a run twice": (lambda p: altered(p, lambda lines: [*lines[:-1], lines[1]]), "a run is there twice"),
    "no record": (lambda p: altered(p, lambda lines: [*lines[:-1], "{}"]), "run 3 of .* is no whole record"),
    "mixed": (
        lambda p: altered(p, lambda lines: [*lines[:-1], other_steps(lines[-1])]),
        r"kept\.gz holds a sweep with steps=",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_whole_is_one_sentence(name, folder, tmp_path, capsys):
    change, words = BAD[name]
    path = tmp_path / "kept.gz"
    pack(records(folder), path)
    change(path)
    with pytest.raises(ValueError, match=words):
        packed(path)
    assert cli.main(["report", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "kept").exists()


def test_report_packs_and_reads_such_a_file(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "sweep", "--pack", "kept.records.gz"]) == 0
    first = capsys.readouterr().out
    assert cli.main(["report", "kept.records.gz"]) == 0
    assert capsys.readouterr().out.replace("kept/report", "sweep/report") in first
    assert own_domains() and (tmp_path / "kept" / "report" / "report.md").is_file()


def test_report_is_of_all_methods_or_of_those_named(folder, tmp_path, capsys):
    write_record(folder, record("a", 0.9, method="irm"))
    assert cli.main(["report", str(folder), "--algorithms", "irm", "--pack", str(tmp_path / "kept.gz")]) == 0
    page = capsys.readouterr().out
    assert "1 run" in page and "| irm" in page and "| erm" not in page and len(packed(tmp_path / "kept.gz")) == 4
    assert cli.main(["report", str(folder), "--algorithms", "vrex"]) == 2
    assert capsys.readouterr().err == "minifishr report: unknown method 'vrex', expected one of erm, irm\n"
