"""Records of finished runs: a folder with one JSON file a run, which can be added to at any time from anywhere.

A run's identity is a hash of its configuration and is the name of its file. A file is there whole or not at all, so
that a sweep may be killed, started again, or started twice: no lock is needed where both would write the same.
"""

import contextlib
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from ..data import Row, write_whole
from ..evaluate import measured
from ..experiments import Config, config_of, said

FORMAT = 1  # of the records; a part of every identity
# What tells the runs of one sweep apart, and what follows from that.
CELL = ("algorithm", "dataset", "test_domain", "also_left_out", "domains", "draw", "seed")
DRAWN = ("hyper_parameters", "batch", "matched")
STALE = 3600  # seconds after which a half-written file is certainly left by a kill


class Record(NamedTuple):
    """A finished run: its configuration, the rows of the steps that were measured, why it failed, if it did, seconds
    of training (since it last went on from a checkpoint), and the versions it ran with."""

    config: Config
    history: list
    failure: str | None
    seconds: float
    versions: dict

    @property
    def identity(self):
        """The SHA-256 of the configuration."""
        return identity(self.config)


class Damaged(ValueError):
    """A file that is no whole record."""


def identity(config):
    """The SHA-256 of the record format and a configuration, whatever the order of its keys."""
    found = {"format": FORMAT, "config": said(config)}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def runs_folder(folder):
    """Where the records and checkpoints are."""
    return Path(folder, "runs")


def record_path(folder, config):
    """The file of a configuration's record."""
    return runs_folder(folder) / f"{identity(config)}.json"


def checkpoint_path(folder, config):
    """The file that says how far a run is."""
    return runs_folder(folder) / f"{identity(config)}.npz"


def write_record(folder, record):
    """Write a run's file and remove its checkpoint; OSError where that cannot be done."""
    write_whole(record_path(folder, record.config), text_of(record).encode())
    checkpoint_path(folder, record.config).unlink(missing_ok=True)


def text_of(record):
    """A record as one line of JSON."""
    return json.dumps({"format": FORMAT, **record._asdict(), "config": said(record.config)}, allow_nan=False)


def read_record(path):
    """The Record in a file; Damaged where it is none, another ValueError where it is of another format."""
    record = record_of(Path(path).read_bytes(), path)
    if record.identity != Path(path).stem:
        raise Damaged(f"{path} is damaged: its configuration does not belong to its name")
    return record


def record_of(text, where):
    """The Record in a text; Damaged where it is none, another ValueError where it is of another format."""
    try:
        found = json.loads(text)
        number = found.pop("format")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{where} is no whole record ({str(error)[:100]})") from None
    if number != FORMAT:
        raise ValueError(f"{where} is a record of format {number!r}, expected {FORMAT}; choose another folder")
    try:
        config, history = config_of(found.pop("config")), [checked_row(*row) for row in found.pop("history")]
        record = Record(config, history, **found)
    except (TypeError, KeyError) as error:
        raise Damaged(f"{where} is no whole record ({str(error)[:100]})") from None
    if record.failure is None and not is_whole(config, history):
        raise Damaged(f"{where} is damaged: its history lacks an accuracy on a domain that is left out")
    return record


def checked_row(step, domain, metric, value):
    """A Row; TypeError where it is none."""
    numbers = type(step) is int and type(value) in (int, float)
    if not (numbers and isinstance(domain, str) and isinstance(metric, str)):
        raise TypeError(f"row {[step, domain, metric, value]!r}")
    return Row(step, domain, metric, value)


def is_whole(config, history):
    """Whether each step that was measured has the accuracy on the domains left out, which every rule asks for."""
    found = {metric: measured(history, f"{metric}accuracy") for metric in ("", "validation ", "oracle ")}
    steps, tested = {*found[""]}, [*found[""].values(), *found["oracle "].values()]
    names = {*config.left_out}
    return bool(steps) and all({*part} <= steps for part in found.values()) and all(names <= {*by} for by in tested)


def scanned(folder):
    """All records of a folder by identity, in its order, and {path: what is wrong} of those damaged."""
    found, damaged = {}, {}
    for path in sorted(runs_folder(folder).glob("[0-9a-f]*.json")):
        try:
            found[path.stem] = read_record(path)
        except FileNotFoundError:  # set aside by another sweep just now
            continue
        except Damaged as error:
            damaged[path] = error
    return found, damaged


def records(folder):
    """The records of a folder in the order of their identity; ValueError where one is damaged or there are none."""
    found, damaged = scanned(folder)
    if damaged:
        raise next(iter(damaged.values()))
    if not found:
        raise ValueError(f"{folder} has no finished runs of a sweep")
    return list(found.values())


def unfinished(folder, configs):
    """The configurations without a record. ValueError where the folder's records are of another sweep. Changes nothing
    in the folder."""
    found, _ = scanned(folder)
    check_same_sweep(folder, [record.config for record in found.values()], configs)
    return [config for config in configs if identity(config) not in found]


def prepare(folder, configs):
    """Make the folder, name and set aside damaged records, and remove what a kill left; OSError if that fails."""
    runs = runs_folder(folder)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for path, error in scanned(folder)[1].items():
            print(f"minifishr: {error}; set aside as {path.name}.damaged, the run is repeated", file=sys.stderr)
            with contextlib.suppress(FileNotFoundError):  # another sweep was faster
                path.replace(f"{path}.damaged")
        for part in runs.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()
        for config in configs:
            if record_path(folder, config).exists():
                checkpoint_path(folder, config).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{folder}: cannot be written: {error.strerror}") from None


def check_same_sweep(folder, found, configs):
    """ValueError unless records and configurations agree in all but CELL, and in that they agree where they meet."""
    if not found or not configs:
        return
    ours, cells = configs[0], {cell(config): config for config in found}
    pairs = [(config, ours, CELL + DRAWN) for config in found]
    pairs += [(cells[cell(c)], c, ()) for c in configs if cell(c) in cells]
    for theirs, mine, ignored in pairs:
        theirs, mine = said(theirs), said(mine)
        for key in sorted({*theirs, *mine} - {*ignored}):
            a, b = theirs.get(key), mine.get(key)
            if a != b:
                raise ValueError(f"{folder} holds a sweep with {key}={a!r}, not {b!r}; choose another folder")


def cell(config):
    """What tells a run from the others of its sweep, as a tuple."""
    return tuple(getattr(config, key) for key in CELL)
