"""`minifishr verify`: every identity on random and hard cases, as a table; or with one implementation broken."""

from contextlib import nullcontext

from tabulate import tabulate

from ..checks import BREAKS, IDENTITIES, broken, verified
from .common import progress_bar


def add(commands):
    """Declare the command."""
    verify = commands.add_parser("verify", help="check the identities between gradients, Fisher, Hessian and penalties")
    verify.add_argument("--draws", type=int, default=20, metavar="N", help="random cases (default 20)")
    verify.add_argument("--seed", type=int, default=0, metavar="N")
    verify.add_argument("--break", dest="broken", metavar="NAME", help=f"make one slightly wrong: {' '.join(BREAKS)}")
    verify.set_defaults(run=run_verify)


def run_verify(args):
    """Print the table; 1 if an identity fails."""
    if args.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {args.seed}")
    with broken(args.broken) if args.broken else nullcontext():
        verdicts = list(progress_bar(iterable=verified(args.draws, args.seed), total=len(IDENTITIES), unit="identity"))
    print(table(verdicts))
    failed = [verdict.identity.name for verdict in verdicts if not verdict.passed]
    counted = f"{len(verdicts)} identities, {len(failed)} violated"
    print(f"\n{counted}; {args.draws} random cases and hard ones, seed {args.seed}.")
    if args.broken:
        how = (BREAKS[args.broken][1].__doc__ or "slightly").rstrip(".").lower()
        print(f"{args.broken} was made wrong on purpose: {how}. Caught by {len(failed)}: {', '.join(failed)}.")
    return 1 if failed else 0


def table(verdicts):
    """Markdown: identity, statement and assumption, cases, largest relative error, what rounding allows, pass."""
    headers = ["identity", "statement", "assumes", "cases", "largest error", "allowed", ""]
    rows = [
        [i.name.replace("_", " "), i.statement, i.assumes, cases, f"{error:.1e}", f"{i.tolerance:.0e}"]
        for i, error, cases in verdicts
    ]
    rows = [[*row, "pass" if verdict.passed else "FAIL"] for row, verdict in zip(rows, verdicts, strict=True)]
    return tabulate(rows, headers, tablefmt="grid", maxcolwidths=[30, 50, 24], disable_numparse=True)
