"""What several commands need: words and parser, progress bars, notes on stderr, and trouble in one sentence."""

import argparse
import contextlib
import json
import re
import sys
from concurrent.futures import BrokenExecutor
from pickle import PicklingError

from tqdm import tqdm

from ..algorithms import WARM_UPS

# What is told in one sentence instead of a traceback: bad requests, and a machine that has too little of something.
TROUBLE = (ValueError, OSError, MemoryError, BrokenExecutor, PicklingError)
LONGEST = 270  # characters of a sentence, after the name of the command
LOG_SECONDS = 30  # between two lines of progress in a log
MOST = 100_000  # seeds, draws or processes
SEVERAL = ("--test-domain", "--test-domains")  # options whose values may begin with a minus, and be several


def joined(arguments):
    """The same words, but a value that begins with a minus and a digit (-90%, say) belongs to the option before it, and
    so does what follows it where several may. ValueError for an empty value, as of a variable that is not set."""
    found, option = [], None
    for word in map(str, arguments):
        if not word.strip() or re.fullmatch(r"--[\w-]+=\s*", word):
            raise ValueError(f"a value is empty: {' '.join([*found[-1:], repr(word)])}")
        follows = option in SEVERAL and found[-1].startswith(f"{option}=") and not word.startswith("-")
        if option and (re.match(r"-\d", word) or follows):
            found = found[:-1] if found[-1] == option else found
            found.append(f"{option}={word}")
            continue
        option = word if re.match(r"--\w[\w-]*$", word) else option
        found.append(word)
    return found


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, as all others here, and to which --seed is not --seeds."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, allow_abbrev=False, **options)

    def error(self, message):
        """ValueError with the message, and where to read on."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def check_counts(args, *names):
    """ValueError unless these options are numbers from 1 up that a machine can do."""
    for name in names:
        if not 1 <= getattr(args, name) <= MOST:
            raise ValueError(f"--{name} must be from 1 to {MOST}, got {getattr(args, name)}")


def change(text):
    """'[METHOD.]NAME=VALUE' as (method or None, name, value); a value is JSON, or a word."""
    key, _, value = text.partition("=")
    method, point, name = key.rpartition(".")
    if not name or not value or (point and not method):
        raise ValueError(f"--set {text}: expected [METHOD.]NAME=VALUE")
    with contextlib.suppress(json.JSONDecodeError):
        value = json.loads(value)
    return method or None, name, value


def one_sentence(error):
    """What is wrong, on one line; a killed process and too little memory say it in their own words."""
    if isinstance(error, BrokenExecutor):
        return "a process was killed (too little memory?)"
    words = " ".join(str(error).split()) or "too little memory"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 4]} ..."


def refuse(name, error):
    """Print what is wrong, its notes first, and return the exit code of a request that cannot be carried out."""
    for note in getattr(error, "__notes__", ()):
        print(f"minifishr: {note}", file=sys.stderr)
    print(f"{name}: {one_sentence(error)}", file=sys.stderr)
    return 2


def progress_bar(**options):
    """A bar on a terminal; a line now and then in a log."""
    return tqdm(mininterval=0.1 if sys.stderr.isatty() else LOG_SECONDS, **options)


def note_warm_ups(configs):
    """Say where a run ends before its warm-up does: its penalty never gets its weight."""
    early = [c for c in configs if any(c.hyper_parameters.get(key, 0) >= c.steps for key in WARM_UPS)]
    if early:
        names = ", ".join(dict.fromkeys(c.algorithm + (f" draw {c.draw}" if c.draw is not None else "") for c in early))
        print(f"minifishr: {len(early)} of {len(configs)} runs end before their warm-up: {names}", file=sys.stderr)
