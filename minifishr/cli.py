"""The command line: `minifishr compare`, `train`, `sweep`, `report`, `data` and `verify`.

Exit codes: 0 done, 1 a run or an identity failed, 2 the request cannot be carried out (one sentence says why).
"""

import argparse
import sys

from .commands import compare, data, report, sweep, verify


def main(arguments=None):
    """Parse, run, and return the exit code."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"minifishr {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"minifishr {args.command}: stopped; what was finished is in the results folder", file=sys.stderr)
        return 130


def parser():
    """The argument parser."""
    top = argparse.ArgumentParser("minifishr", description="Domain generalization by invariance, in NumPy.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (compare, sweep, report, data, verify):
        command.add(commands)
    return top
