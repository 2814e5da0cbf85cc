"""Domains from a table: a .csv or .tsv file, gzipped or not, with a column of labels and a column of domains.

NumPy's loadtxt reads it: 1 000 000 rows of 22 columns took 5.5 s of processor time and 381 MB in all, and the standard
library's csv with an array of floats 6.7 s and 420 MB. Where loadtxt cannot, `faults` goes through the file once more,
to say what is wrong.
"""

import csv
import difflib
import re
import warnings
from collections import Counter

import numpy as np

from .domains import Domain
from .faults import delimiter, explain, fits, opened, plain, reading, shown
from .own import Own


def is_table(path):
    """Whether the name of a file is that of a table."""
    return delimiter(path) is not None


def read_table(path, label, domain, drop=()):
    """The same as Own, from a table: numbers in all columns but `label`, `domain` and those dropped.

    Labels and domains may be words; domains come in alphabetical order, or in that of their numbers. ValueError names
    file and column for anything that cannot be used.
    """
    header, label, domain = names_of(path), label and plain(label), domain and plain(domain)
    drop = [plain(name) for name in drop]
    for option, name in (("--label", label), ("--domain", domain), *(("--drop", name) for name in drop)):
        check_column(path, option, name, header)
    if label == domain or {label, domain} & {*drop}:
        raise ValueError(f"{path}: --label {label}, --domain {domain} and --drop {' '.join(drop)} must be different")
    columns = [name for name in header if name not in (label, domain, *drop)]
    if not columns:
        raise ValueError(f"{path}: no column is left to learn from: {shown(header)} are label, domain or dropped")
    x, (labels, y), (names, rows) = read_columns(path, header, columns, [label, domain])
    labels, y = ordered(labels, y)
    names, rows = ordered(names, rows)
    order = np.split(np.argsort(rows, kind="stable"), np.cumsum(np.bincount(rows))[:-1])
    return Own([Domain(str(name), x[part], y[part]) for name, part in zip(names, order, strict=True)], columns, labels)


def ordered(names, codes):
    """Names in alphabetical order and the codes (n,) for them. Where all are whole numbers, they become these, in their
    order, and 1 and 1.0 are the same, unless one has a leading zero or a plus: codes, that stay as they are."""
    numbers = all(re.fullmatch(r"[+-]?[0-9]{1,15}(\.0*)?", name) for name in names)
    written = any(re.match(r"\+|-?0[0-9]", name) for name in names)
    kept = [int(float(name)) for name in names] if numbers and not written else names
    order = sorted(set(kept), key=(lambda name: (float(name), name)) if numbers else None)
    places = {name: place for place, name in enumerate(order)}
    return order, np.array([places[name] for name in kept])[codes]


def names_of(path, least=2):
    """The names of all columns; ValueError unless they are there, at least so many, and different."""
    with reading(path), opened(path) as file:
        found = next(csv.reader(file, delimiter=delimiter(path), strict=True), [])
    header = [plain(name) for name in found]
    if not header:
        raise ValueError(f"{path}: the file is empty")
    if len(header) == 1 < least:
        other = next((mark for mark in (";", "\t", "|", ",") if mark in found[0]), None)
        why = f"they seem to be separated by {other!r}" if other else f"it is {header[0]!r}"[:80]
        wanted = "a comma (.csv) or a tab (.tsv) and decimals by a point"
        raise ValueError(f"{path}: one column only; {why}, expected values separated by {wanted}")
    if empty := [number for number, name in enumerate(header, 1) if not name]:
        raise ValueError(f"{path}: no name in the first line for column {shown(empty)}")
    if odd := [name for name in header if not fits(name)]:
        raise ValueError(f"{path}: {odd[0][:40]!r} is no name of a column")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise ValueError(f"{path}: columns with the same name: {shown(twice)}")
    return header


def check_column(path, option, name, header):
    """ValueError with the nearest names unless there is such a column."""
    if name is None:
        raise ValueError(f"{path}: {option} NAME is needed, one of {shown(header)}")
    if name not in header:
        near = difflib.get_close_matches(name, header, cutoff=0.5) or header
        raise ValueError(f"{path}: no column {name!r} for {option}; the nearest are {shown(near)}")


def read_columns(path, header, columns, words=()):
    """Numbers (n,p) of some columns in this order and, for each column of words, (its different words, (n,) which of
    them). ValueError says what is wrong; missing values are its notes, by column and domain, the last of `words`."""
    places, codes, quotes = {name: header.index(name) for name in (*columns, *words)}, [{} for _ in words], []
    others = {number: lambda text: 0.0 for number in {*range(len(header))} - {places[name] for name in columns}}
    others |= {places[name]: coder(name, found) for name, found in zip(words, codes, strict=True)}
    x, reason = loaded(path, others, quotes)
    wide = x is not None and len(x) and x.shape[1] != len(header)
    if x is None or wide or unclosed(path, quotes) or not np.isfinite(x).all() or any("" in found for found in codes):
        explain(path, header, columns, words)
        raise ValueError(f"{path}: {reason or 'a quotation mark is not closed'}")
    if len(x) == 0:
        raise ValueError(f"{path}: no rows below the first line")
    if len(header) == 1:
        check_no_gap(path)
    found = [([*names], x[:, places[word]].astype(int)) for word, names in zip(words, codes, strict=True)]
    return (x[:, [places[name] for name in columns]], *found)


def check_no_gap(path):
    """ValueError for an empty line among those of a table of one column, where it is a missing value, not a pause."""
    with opened(path) as file:
        lines = [line.strip() for line in file.read().rstrip().splitlines()]
    if "" in lines:
        raise ValueError(f"{path}: line {lines.index('') + 1} is empty: in the only column a value is missing")


def loaded(path, converters, quotes):
    """All columns as numbers (n,c), with what converters make of some, and None; or None, and why not. `quotes` gets
    the number of quotation marks in each line."""

    def counted(file):
        for line in file:
            quotes.append(line.count('"'))
            yield line

    options = {"delimiter": delimiter(path), "quotechar": '"', "comments": None, "ndmin": 2, "converters": converters}
    with reading(path), opened(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of no rows
        next(csv.reader(file, delimiter=delimiter(path)))
        try:
            return np.loadtxt(counted(file), **options), None
        except ValueError as error:
            return None, " ".join(str(error.__cause__ or error).split())[:120]


def unclosed(path, quotes):
    """Whether a quotation mark is not closed, from their number in each line: of two such marks the second seems to
    close the first, and the rows between are gone without a word, but something follows it in its cell."""
    if sum(quotes) % 2:
        return True
    if not any(quotes):
        return False
    mark = delimiter(path)
    with opened(path) as file:  # spaces between a mark and the end of its cell are as good as none
        plain = (re.sub(rf'" +(?=[{mark}\r\n])', '"', line) for line in file)
        try:
            for _ in csv.reader(plain, delimiter=mark, strict=True):
                pass
        except csv.Error:
            return True
    return False


def coder(column, codes):
    """A converter of loadtxt: word -> its number in `codes`, which grows."""

    def code(text):
        if not fits(text.strip()):
            raise ValueError(f"{text.strip()[:40]!r} in column {column!r} is no name that fits on one line")
        return codes.setdefault(plain(text), len(codes))

    return code
