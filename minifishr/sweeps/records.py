"""Records of finished runs: a folder with one JSON file a run, which can be added to at any time from anywhere.

A run's identity is a hash of its configuration and is the name of its file. A file is there whole or not at all, so
that a sweep may be killed, started again, or started twice: no lock is needed where both would write the same.
"""

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ..data import Row, set_aside, write_whole
from ..evaluate import measured
from ..experiments import Config, config_of, said
from .grid import check_same_sweep

FORMAT = 1  # of the records; a part of every identity
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
        raise Damaged(
            f"{where} is damaged: its history lacks the last step or an accuracy on a domain that is left out"
        )
    return record


def checked_row(step, domain, metric, value):
    """A Row; TypeError where it is none, or its accuracy no share."""
    numbers = type(step) is int and type(value) in (int, float) and abs(value) < float("inf")
    words = isinstance(domain, str) and isinstance(metric, str)
    if not (numbers and words) or (metric.endswith("accuracy") and not 0 <= value <= 1):
        raise TypeError(f"row {[step, domain, metric, value]!r}")
    return Row(step, domain, metric, value)


def is_whole(config, history):
    """Whether the last step was measured, and each that was has the accuracy on the domains left out, which every rule
    asks for."""
    found = {metric: measured(history, f"{metric}accuracy") for metric in ("", "validation ", "oracle ")}
    steps, tested = {*found[""]}, [*found[""].values(), *found["oracle "].values()]
    names = {*config.left_out}
    return (
        config.steps in steps
        and all({*part} <= steps for part in found.values())
        and all(names <= {*by} for by in tested)
    )


def scanned(folder):
    """All records of a folder by identity, in its order, and {path: what is wrong} of those damaged."""
    found, damaged = {}, {}
    runs = runs_folder(folder)
    names = os.listdir(runs) if runs.is_dir() else []  # glob would pass over a folder that may not be read
    for path in (runs / name for name in sorted(names) if re.fullmatch(r"[0-9a-f]+\.json", name)):
        try:
            found[path.stem] = read_record(path)
        except FileNotFoundError:  # set aside by another sweep just now
            continue
        except Damaged as error:
            damaged[path] = error
    return found, damaged


def records(folder, least=1):
    """The records of a folder in the order of their identity; ValueError where one is damaged, where they are fewer
    than `least`, and where they are of two sweeps."""
    found, damaged = scanned(folder)
    if damaged:
        raise next(iter(damaged.values()))
    if len(found) < least:
        raise ValueError(f"{folder} has no finished runs of a sweep")
    configs = [record.config for record in found.values()]
    check_same_sweep(folder, configs, configs)
    return list(found.values())


def unfinished(folder, configs, others=()):
    """The configurations that have a record neither in the folder nor among `others`. ValueError where these records
    are of another sweep. Changes nothing in the folder."""
    found = {record.identity: record for record in (*scanned(folder)[0].values(), *others)}
    check_same_sweep(folder, [record.config for record in found.values()], configs)
    return [config for config in configs if identity(config) not in found]


def prepare(folder, configs):
    """Make the folder, name and set aside damaged records, and remove what a kill left; OSError if that fails."""
    runs = runs_folder(folder)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=runs).close()  # told now, and not when the first run is done
        for path, error in scanned(folder)[1].items():
            with contextlib.suppress(FileNotFoundError):  # another sweep was faster
                name = path.name + set_aside(path)
                print(f"minifishr: {error}; set aside as {name}, the run is repeated", file=sys.stderr)
        for part in runs.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()
        for config in configs:
            if record_path(folder, config).exists():
                checkpoint_path(folder, config).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{folder}: cannot be written: {error.strerror}") from None
