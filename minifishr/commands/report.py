"""`minifishr report`: tables and figures of a sweep, from its records alone."""

import sys
from pathlib import Path

from ..experiments import check_known
from ..plots import own_settings
from ..sweeps import beside, pack, recorded, report, sections, sweep_figures
from .common import one_sentence


def add(commands):
    """Declare the command."""
    command = commands.add_parser("report", help="tables and figures of a sweep, for each selection rule")
    command.add_argument(
        "folder", metavar="FOLDER", help="what `minifishr sweep --out` or `minifishr report --pack` wrote"
    )
    command.add_argument("--algorithms", nargs="+", metavar="NAME", help="of these methods alone")
    command.add_argument(
        "--least", type=float, metavar="SHARE", help="also tables of runs with this accuracy in training, as 0.65"
    )
    command.add_argument("--out", metavar="FOLDER", help="default FOLDER/report")
    command.add_argument(
        "--pack", metavar="FILE.gz", help="also write all records to one file, which report and sweep read"
    )
    command.set_defaults(run=run_report)


def run_report(args):
    """Print the report of the records of a folder, then write and draw it; the same files from the same records."""
    if args.least is not None and not 0 <= args.least <= 1:
        raise ValueError(f"--least {args.least:g}: expected a share from 0 to 1, as 0.65")
    found, troubles = recorded(args.folder), []
    parts = sections(chosen(found, args.algorithms))
    pictures = {part.dataset: drawn(part, troubles) for part in parts}
    titles = {name: {file: title for file, (title, _) in drawn.items()} for name, drawn in pictures.items()}
    texts = report.report(parts, titles, args.least)
    out = Path(args.out or beside(args.folder) / "report")
    print(texts["report.md"], flush=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OSError(f"--out {out}: cannot be written: {error.strerror}") from None
    for name, (_, figure) in (one for found in pictures.values() for one in found.items()):
        try:
            with own_settings():
                figure.savefig(out / name, dpi=120)
        except Exception as error:  # a picture is never worth the tables, which are written by now
            troubles.append(f"{name} cannot be drawn: {one_sentence(error)}")
    print(f"Tables and figures: {out}")
    if args.pack:
        pack(found, args.pack)
        print(f"Records of {len(found)} runs: {args.pack}")
    for trouble in troubles:
        print(f"minifishr: {trouble}", file=sys.stderr)
    return 1 if troubles else 0


def chosen(found, names):
    """The records of some methods, of all without names; ValueError for one that has none."""
    for name in names or []:
        check_known("method", name, sorted({record.config.algorithm for record in found}))
    return [record for record in found if not names or record.config.algorithm in names]


def drawn(part, troubles):
    """The figures of a Section; none, and a trouble more, where they cannot be made."""
    try:
        with own_settings():
            return sweep_figures(part)
    except Exception as error:
        troubles.append(f"the figures of {part.title} cannot be made: {one_sentence(error)}")
        return {}
