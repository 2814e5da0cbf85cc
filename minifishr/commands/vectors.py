"""`minifishr vectors`: write the conformance vectors, for implementations in whatever language."""

from ..conformance import export, index


def add(commands):
    """Declare the command."""
    command = commands.add_parser("vectors", help="write test vectors: every convention of every penalty, and updates")
    command.add_argument("--out", default="vectors", metavar="FOLDER", help="default vectors")
    command.set_defaults(run=run_vectors)


def run_vectors(args):
    """Copy the two files and say what is in them."""
    paths, found = export(args.out), index()
    cases, penalties, updates = (len(found[key]) for key in ("cases", "penalties", "trajectories"))
    for path in paths:
        print(f"{path}: {path.stat().st_size} bytes")
    print(f"version {found['version']}: {cases} cases, {penalties} penalties with gradients, {updates} updates")
    return 0
