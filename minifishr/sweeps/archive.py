"""One compressed file with the records of a sweep, to keep and to publish: the same bytes from the same records.

A gzip of lines: {"minifishr records": 1, "runs": number}, then one record a line, as in the files of a folder.
"""

import gzip
import json
import zlib
from pathlib import Path

from ..data import write_whole
from .records import Damaged, check_same_sweep, record_of, record_path, records, text_of, write_record

VERSION = 1
KEY = "minifishr records"


def pack(folder, path):
    """Write the records of a folder to one file; ValueError where there are none, OSError where it cannot be done."""
    found = records(folder)
    lines = [json.dumps({KEY: VERSION, "runs": len(found)}), *map(text_of, found)]
    write_whole(path, gzip.compress("\n".join(lines).encode(), mtime=0))
    return len(found)


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
    if number != len(lines):
        raise Damaged(f"{path} is damaged: it says {number} runs and has {len(lines)}")
    found = [record_of(line, f"run {place} of {path}") for place, line in enumerate(lines, 1)]
    if len({record.identity for record in found}) < number:
        raise Damaged(f"{path} is damaged: a run is there twice")
    check_same_sweep(path, [record.config for record in found], [record.config for record in found])
    return found


def recorded(place):
    """The records of a folder or of such a file; ValueError where there are none or one is damaged."""
    return packed(place) if Path(place).is_file() else records(place)


def beside(place):
    """The place itself, or, for a file, a folder beside it: its name up to the first dot."""
    path = Path(place)
    return path.with_name(path.name.split(".")[0]) if path.is_file() else path


def unpacked(place):
    """A folder with the records of a sweep: the place itself, or the one beside a file, which gets what it lacks."""
    folder = beside(place)
    for record in packed(place) if Path(place).is_file() else []:
        target = record_path(folder, record.config)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_record(folder, record)
    return folder
