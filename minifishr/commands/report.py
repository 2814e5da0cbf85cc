"""`minifishr report`: tables and figures of a sweep, from its records alone."""

from pathlib import Path

from ..sweeps import records, report, sweep_figures


def add(commands):
    """Declare the command."""
    command = commands.add_parser("report", help="tables and figures of a sweep, for each selection rule")
    command.add_argument("folder", metavar="FOLDER", help="where `minifishr sweep --out` has put its records")
    command.add_argument("--out", metavar="FOLDER", help="default FOLDER/report")
    command.set_defaults(run=run_report)


def run_report(args):
    """Write the report of the records of a folder and print it; the same files again from the same records."""
    parts = report.sections(records.records(args.folder))
    pictures = {part.dataset: sweep_figures(part) for part in parts}
    titles = {name: {file: title for file, (title, _) in drawn.items()} for name, drawn in pictures.items()}
    texts = report.report(parts, titles)
    out = Path(args.out or Path(args.folder, "report"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        for drawn in pictures.values():
            for name, (_, figure) in drawn.items():
                figure.savefig(out / name, dpi=120)
    except OSError as error:
        raise OSError(f"--out {out}: cannot be written: {error.strerror}") from None
    print(texts["report.md"])
    print(f"Tables and figures: {out}")
    return 0
