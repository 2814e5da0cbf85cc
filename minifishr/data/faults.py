"""What can be wrong with names, and with the text of a table, found by going through it row by row."""

import csv
import gzip
import io
import math
import re
import unicodedata
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

SUFFIXES = {".csv": ",", ".tsv": "\t"}
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")  # in a column of numbers, in any case
FEW = 8  # names that a sentence shows
WAY_OUT = "fill them in, or leave out their rows, or their columns (--drop), or impute them in a scikit-learn pipeline"
WORDS_OUT = "code them as numbers (one-hot), leave them out (--drop), or use minifishr.estimator in a pipeline"
NO_WAY = "the model needs all its columns: fill them in, or leave out their rows"  # to a model that is trained already
NO_WORDS = "the model needs numbers, coded as they were for its training"
LONGEST = 200  # letters of a name
NO_SIGN = "\u00a0\u200c\u200d"  # no-break space, and what joins letters or parts them in several scripts


def delimiter(path):
    """What stands between two values, None where the name of the file is no table's."""
    return SUFFIXES.get(Path(str(path).lower().removesuffix(".gz")).suffix)


def opened(path):
    """The text of a table, without a byte order mark."""
    binary = gzip.open if str(path).lower().endswith(".gz") else open
    return io.TextIOWrapper(binary(path, "rb"), encoding="utf-8-sig", newline="")


@contextmanager
def reading(path):
    """What can go wrong in reading text, as a ValueError of one sentence; errors of the disk are passed on."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no UTF-8 text (byte {error.start}: {error.object[error.start]:#x})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: no table: {error}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from None


def plain(name):
    """A name as it is compared: one space between words, and each letter with its accents as one character (NFC)."""
    return unicodedata.normalize("NFC", " ".join(str(name).split()))


def fits(name):
    """Whether a name is one that can be shown on a line."""
    return len(name) <= LONGEST and all(letter.isprintable() or letter in NO_SIGN for letter in name)


def explain(path, header, columns, words):
    """ValueError with what is wrong in the rows of a table, the gravest first; nothing where all is right."""
    names, missing, infinite = {}, Counter(), {}
    places = {name: header.index(name) for name in (*columns, *words)}
    with reading(path), opened(path) as file:
        rows = csv.reader(file, delimiter=delimiter(path), strict=True)
        next(rows)
        for row in filter(None, rows):
            if len(row) != len(header):
                raise ValueError(f"{path}: line {rows.line_num} has {len(row)} values, the first line {len(header)}")
            row = {name: row[place].strip() for name, place in places.items()}
            domain = row[words[-1]] if words else ""
            missing.update((name, domain) for name in words if not row[name])
            for name in columns:
                if row[name].lower() in MISSING:
                    missing[name, domain] += 1
                elif not (value := number(row[name])):
                    names.setdefault(name, f"{name} ({row[name][:20]!r} in line {rows.line_num})")
                elif not math.isfinite(value[0]):
                    infinite.setdefault(name, f"{name} ({row[name][:20]!r} in line {rows.line_num})")
    if names:
        comma = any(re.search(r"'[+-]?\d*,\d+'", text) for text in names.values())
        out = "decimals are separated by a point here" if comma else WORDS_OUT if words else NO_WORDS
        raise ValueError(f"{path}: not a number: {shown(names.values(), 3)}; {out}")
    if missing:
        raise told_missing(path, missing, WAY_OUT if words else NO_WAY)
    if infinite:
        raise ValueError(f"{path}: not finite: {shown(infinite.values(), 3)}")


def number(text):
    """A number in a tuple, () where the text is none that NumPy reads too: no 1_000 and no digits of other scripts."""
    try:
        return (float(text),) * (text.isascii() and "_" not in text)
    except ValueError:
        return ()


def told_missing(path, missing, way_out):
    """The ValueError of missing values, {(column, domain): count}, with a table of them as notes."""
    domains = list(dict.fromkeys(sorted(domain for _, domain in missing)))
    columns = list(dict.fromkeys(column for column, _ in missing))
    error = ValueError(f"{path}: {missing.total()} values are missing, in {shown(columns, 3)}; {way_out}")
    rows = [["missing values", *(domain or "(none)" for domain in domains[:FEW]), "all"]]
    for column in columns[:20]:
        counts = {domain: missing[column, domain] for domain in domains}
        rows.append([column, *(str(counts[domain]) for domain in domains[:FEW]), str(sum(counts.values()))])
    widths = [max(len(row[place][:24]) for row in rows) for place in range(len(rows[0]))]
    for first, *others in rows:
        cells = [first[:24].ljust(widths[0]), *(o[:24].rjust(w) for o, w in zip(others, widths[1:], strict=True))]
        error.add_note("  ".join(cells))
    return error


def shown(names, most=FEW):
    """Some names, at most so many, for a sentence."""
    names = list(map(str, names))
    return ", ".join(names[:most]) + f" and {len(names) - most} more" * (len(names) > most)
