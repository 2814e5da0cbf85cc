import gzip
import json

import pytest
from samples import own_domains
from sweeps.test_selection import record

from minifishr import cli
from minifishr.sweeps.archive import beside, pack, packed, recorded, unpacked
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
    assert pack(folder, tmp_path / "one.gz") == 3
    assert packed(tmp_path / "one.gz") == records(folder) == recorded(folder) == recorded(tmp_path / "one.gz")
    monkeypatch.setattr("time.time", lambda: 1e9)
    pack(folder, tmp_path / "two.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_unpacking_adds_what_is_missing_and_changes_nothing_else(folder, tmp_path):
    pack(folder, tmp_path / "kept.records.gz")
    assert beside(tmp_path / "kept.records.gz") == tmp_path / "kept" and beside(folder) == folder
    target = unpacked(tmp_path / "kept.records.gz")
    assert records(target) == records(folder)
    first = sorted((target / "runs").iterdir())[0]
    changed = read_record(first)._replace(seconds=7.0)
    first.unlink()
    write_record(target, changed)
    assert unpacked(tmp_path / "kept.records.gz") == target and read_record(first).seconds == 7.0
    assert unpacked(folder) == folder


def test_only_a_file_has_a_folder_beside_it(tmp_path):
    (tmp_path / "sweep.v2").mkdir()
    assert beside(tmp_path / "sweep.v2") == tmp_path / "sweep.v2"
    (tmp_path / "kept.v2.gz").write_bytes(b"")
    assert beside(tmp_path / "kept.v2.gz") == tmp_path / "kept"


def altered(path, change):
    """The same file with its lines changed."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    path.write_bytes(gzip.compress("\n".join(change(lines)).encode()))


def other_steps(line):
    """A record of a longer run."""
    found = json.loads(line)
    return json.dumps({**found, "config": {**found["config"], "steps": found["config"]["steps"] + 1}})


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
    pack(folder, path)
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
