"""The command line: `minifishr compare`, `train`, `predict`, `sweep`, `report`, `data` and `verify`.

Exit codes: 0 done, 1 a run or an identity failed, 2 the request cannot be carried out (one sentence says why).
"""

import argparse
import re
import sys

from .commands import TROUBLE, compare, data, one_sentence, predict, report, sweep, verify


def main(arguments=None):
    """Parse, run, and return the exit code."""
    for out in (sys.stdout, sys.stderr):
        if hasattr(out, "reconfigure"):  # a name that the terminal has no letters for ends no command
            out.reconfigure(errors="backslashreplace")
    name = "minifishr"
    try:
        args = parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
        name = f"minifishr {args.command}"
        return args.run(args)
    except TROUBLE as error:
        for note in getattr(error, "__notes__", ()):
            print(f"minifishr: {note}", file=sys.stderr)
        print(f"{name}: {one_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"{name}: {'; '.join(['stopped', *map(str, error.args)])}", file=sys.stderr)
        return 130


def joined(arguments):
    """The same words, but a value that begins with a minus and a digit (-90%, say) belongs to the option before it."""
    found, option = [], None
    for word in map(str, arguments):
        if option and re.match(r"-\d", word):
            found = found[:-1] if found[-1] == option else found
            found.append(f"{option}={word}")
            continue
        option = word if re.match(r"--\w[\w-]*$", word) else option
        found.append(word)
    return found


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, as all others here."""

    def error(self, message):
        """ValueError with the message, and where to read on."""
        raise ValueError(f"{message} (see {self.prog} --help)")


def parser():
    """The argument parser."""
    top = Parser("minifishr", description="Domain generalization by invariance, in NumPy.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (compare, predict, sweep, report, data, verify):
        command.add(commands)
    return top
