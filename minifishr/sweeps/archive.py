"""One compressed file with the records of a sweep, to keep and to publish: the same bytes from the same records.

A gzip of lines: {"minifishr records": 1, "runs": number}, then one record a line, as in the files of a folder.
"""

import gzip
import json
import re
import zlib
from pathlib import Path

from ..data import write_whole
from .grid import check_same_sweep
from .records import (
    Damaged,
    prepare,
    record_of,
    record_path,
    records,
    runs_folder,
    text_of,
    write_record,
)

VERSION = 1
KEY = "minifishr records"


def pack(found, path):
    """Write records to one file. Refuses to replace a file of anything else, or of runs that are not among them:
    ValueError; OSError where it cannot be written."""
    path = Path(path)
    if not path.name.endswith(".gz"):
        raise ValueError(f"{path}: the name of a file of records ends in .records.gz or .gz")
    if path.exists():
        lost = {record.identity for record in packed(path)} - {record.identity for record in found}
        if lost:
            raise ValueError(f"{path} has {len(lost)} runs that would be lost; choose another file")
    lines = [json.dumps({KEY: VERSION, "runs": len(found)}), *map(text_of, found)]
    write_whole(path, gzip.compress("\n".join(lines).encode(), mtime=0))


def packed(path):
    """The records in such a file. ValueError where it is none, of another version, cut off or mixed from two sweeps."""
    try:
        first, *lines = gzip.decompress(Path(path).read_bytes()).decode().split("\n")
        head = json.loads(first)
        version, number = head[KEY], head["runs"]
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} is no whole file of records ({str(error)[:100]})") from None
    if version != VERSION:
        raise ValueError(f"{path} is a file of records of version {version!r}, expected {VERSION}")
    if number < 1:
        raise ValueError(f"{path} has no finished runs of a sweep")
    if number != len(lines):
        raise Damaged(f"{path} is damaged: it says {number} runs and has {len(lines)}")
    found = [record_of(line, f"run {place} of {path}") for place, line in enumerate(lines, 1)]
    if len({record.identity for record in found}) < number:
        raise Damaged(f"{path} is damaged: a run is there twice")
    check_same_sweep(path, [record.config for record in found], [record.config for record in found])
    return found


def recorded(place):
    """The records of a folder, or those of such a file and of the folder beside it, where a sweep goes on with them;
    ValueError where there are none, one is damaged, or they are of two sweeps."""
    if not Path(place).is_file():
        return records(place)
    found = {record.identity: record for record in packed(place)}
    if runs_folder(beside(place)).is_dir():
        found |= {record.identity: record for record in records(beside(place), least=0)}
        configs = [record.config for record in found.values()]
        check_same_sweep(beside(place), configs, configs)
    return [found[name] for name in sorted(found)]


def beside(place):
    """The place itself, or, for a file, a folder beside it: its name without .records.gz or .gz. ValueError for a file
    of another name."""
    path = Path(place)
    if not path.is_file():
        return path
    name = re.sub(r"(\.records)?\.gz$", "", path.name)
    if name in ("", path.name):
        raise ValueError(f"{path} is a file, and the name of a file of records ends in .records.gz or .gz")
    return path.with_name(name)


def unpack(found, folder, configs):
    """Give the folder of a sweep of some configurations those records that it lacks."""
    if found:
        prepare(folder, configs)
    for record in found:
        if not record_path(folder, record.config).exists():
            write_record(folder, record)
