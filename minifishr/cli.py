"""The command line: `minifishr compare`, `train`, `predict`, `sweep`, `report`, `data`, `verify`, `vectors`, `course`.

Exit codes: 0 done, 1 a run or an identity failed, 2 the request cannot be carried out (one sentence says why).
"""

import sys
from importlib import metadata

from .commands import TROUBLE, Parser, compare, course, data, joined, predict, refuse, report, sweep, vectors, verify


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
        return refuse(name, error)
    except KeyboardInterrupt as error:
        print(f"{name}: {'; '.join(['stopped', *map(str, error.args)])}", file=sys.stderr)
        return 130


def parser():
    """The argument parser."""
    top = Parser("minifishr", description="Domain generalization by invariance, in NumPy.")
    top.add_argument("--version", action="version", version=f"minifishr {metadata.version('minifishr')}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (compare, predict, sweep, report, data, verify, vectors, course):
        command.add(commands)
    return top
