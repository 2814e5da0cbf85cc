"""Options for data of one's own, and what they read."""

import sys

from ..data import MISSING, Own, is_table, own_npz, read_table, shown
from ..experiments import TOYS

TABLE_ONLY = ("label", "domain", "drop")


def add_own_options(command):
    """What compare, train and sweep have in common: where the data are, and what is done to them."""
    words = "your own: a table .csv or .tsv (.gz), or .npz with arrays x_NAME (n, ...), y_NAME (n,)"
    command.add_argument("--data", metavar="FILE", help=words)
    command.add_argument("--label", metavar="COLUMN", help="of a table: what is to be predicted")
    command.add_argument("--domain", metavar="COLUMN", help="of a table: hospital, island, year, ...")
    command.add_argument("--drop", nargs="+", action="extend", metavar="COLUMN", help="of a table: not to be used")
    command.add_argument("--raw", action="store_true", help="own data as they came, not standardized")
    command.add_argument("--balance", action="store_true", help="own data: classes weigh equally in the risk")
    command.add_argument("--validation", type=float, metavar="SHARE", help="of each domain, held out (default 0.2)")
    command.add_argument("--hidden", nargs="*", type=int, metavar="N", help="widths of the hidden layers")
    command.add_argument("--batch", type=rows, metavar="N|all", help="rows of each domain in an update")


def rows(text):
    """A number of rows, or "all"."""
    return text if text == "all" else int(text)


def check_beside_data(args, *names):
    """ValueError for options that have no effect beside --data."""
    for name in names if args.data else ():
        if (value := getattr(args, name)) is not None:
            said = " ".join(value) if isinstance(value, list) else value
            raise ValueError(f"--{name} {said} has no effect beside --data {args.data}")


def check_digits(args, datasets):
    """ValueError for --digits where every data set is drawn without them."""
    if args.digits is not None and {*datasets} <= {*TOYS}:
        names = ", ".join(map(repr, datasets))
        raise ValueError(f"--digits {args.digits} has no effect on data set {names}, which is drawn without digits")


def own_source(args):
    """The data of --data; ValueError for options that have no effect beside it, or beside its absence."""
    table = bool(args.data) and is_table(args.data)
    for name in TABLE_ONLY:
        if getattr(args, name) is not None and not table:
            beside = (
                f"beside --data {args.data}, which is no table (.csv, .tsv, .gz)" if args.data else "without --data"
            )
            raise ValueError(f"--{name} has no effect {beside}")
    for name in ("raw", "balance"):
        if getattr(args, name) and not args.data:
            raise ValueError(f"--{name} has no effect without --data")
    if not args.data:
        return None
    if not table:
        return own_npz(args.data)
    source = read_table(args.data, args.label, args.domain, args.drop or ())
    note_missing("class", f"--label {args.label}", source.labels)
    note_missing("domain", f"--domain {args.domain}", [domain.name for domain in source.domains])
    return source


def note_missing(what, option, names):
    """Say which words of a column, that often stand for a missing value, are a class or domain all the same."""
    odd = [name for name in names if str(name).lower() in MISSING]
    if odd:
        words = f"{option}: {shown(odd)} is a {what} like any other; leave out its rows where it means a missing value"
        print(f"minifishr: {words}", file=sys.stderr)


def own_said(args):
    """What config.json says of --data: the file, and which columns mean what; nothing without it."""
    return {"file": args.data, **{name: getattr(args, name) for name in TABLE_ONLY}}


def own_choices(args):
    """The options of `plan` that they make up."""
    found = {"hidden": args.hidden, "batch": args.batch, "held_out": args.validation}
    return found | {"standardized": bool(args.data) and not args.raw, "balanced": args.balance}


def left_out(args, source: Own):
    """Lists of domains to leave out: those of --test-domain together, or with --each-domain every one alone."""
    names = [domain.name for domain in source.domains]
    return [[name] for name in names] if args.each_domain else [list(dict.fromkeys(args.test_domain))]


def check_left_out(args):
    """ValueError unless it is said which domains to leave out, in one way."""
    if args.each_domain and not args.data:
        raise ValueError("--each-domain leaves out each domain of --data in turn, and has no effect without it")
    if args.each_domain and args.test_domain:
        raise ValueError("--each-domain leaves out each domain in turn, so --test-domain has no effect")
    if args.data and not args.each_domain and not args.test_domain:
        raise ValueError(f"--data {args.data} needs --test-domain NAME, the domain to leave out, or --each-domain")
