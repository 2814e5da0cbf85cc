"""`minifishr course`: the lessons in a folder of one's own."""

import os
import shlex
from pathlib import Path

from ..course import copied, pictures


def add(commands):
    """Declare the command."""
    course = commands.add_parser(
        "course", help="copy the lessons to a folder of your own, where nothing is overwritten"
    )
    course.add_argument("folder", type=Path, metavar="FOLDER")
    course.add_argument("--pictures", action="store_true", help="only the twelve figures that carry the course")
    course.set_defaults(run=run_course)


def run_course(args):
    """Copy the lessons, or the pictures, and say what is where."""
    new, kept = (pictures if args.pictures else copied)(args.folder)
    stay = f", {len(kept)} that were there already stay as they are" if kept else ""
    where = "PICTURES.md has the descriptions" if args.pictures else f"open it with: jupyter lab {opened(args.folder)}"
    print(f"{args.folder}: {len(new)} new files{stay}; {where}")
    return 0


def opened(folder):
    """A folder as one types it."""
    return f'"{folder}"' if os.name == "nt" else shlex.quote(str(folder))
