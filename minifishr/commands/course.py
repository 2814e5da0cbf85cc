"""`minifishr course`: the lessons in a folder of one's own."""

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
    if args.pictures:
        print(f"{args.folder}: {len(pictures(args.folder))} pictures, and README.md with their descriptions")
        return 0
    new, kept = copied(args.folder)
    stay = f", {len(kept)} that were there already stay as they are" if kept else ""
    print(f"{args.folder}: {len(new)} new files{stay}; open it with: jupyter lab {args.folder}")
    return 0
