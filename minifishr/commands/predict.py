"""`minifishr predict`: the class of each row of a table or of arrays, and the probabilities of all."""

import csv
import io
import sys
from pathlib import Path

from ..data import is_table, names_of, own_npz, read_columns, write_whole
from ..experiments import check_arrays, check_columns, load_model


def add(commands):
    """Declare the command."""
    command = commands.add_parser("predict", help="classes and probabilities from a model that a run has kept")
    command.add_argument("model", metavar="MODEL", help="models/METHOD-SEED.npz of a results folder")
    command.add_argument("data", metavar="DATA", help="a table with the columns of the training, or an .npz file")
    command.add_argument("--out", metavar="FILE.csv", help="default: the terminal")
    command.add_argument("--force", action="store_true", help="replace FILE.csv")
    command.set_defaults(run=run_predict)


def run_predict(args):
    """Write one line a row: where arrays have domains the domain, then the class and the probability of each."""
    model = load_model(args.model)
    if args.out and Path(args.out).exists() and not args.force:
        raise FileExistsError(f"--out {args.out} is there already; choose another file or say --force")
    parts = rows_of(model, args.data)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    named = parts[0][0] is not None
    writer.writerow([*["domain"] * named, "predicted", *(f"P({name})" for name in model.classes)])
    for name, x in parts:
        for found, p in zip(model.predict(x).tolist(), model.predict_proba(x).tolist(), strict=True):
            writer.writerow([*[name] * named, found, *(f"{value:.6g}" for value in p)])
    if args.out:
        write_whole(args.out, file.getvalue().encode())
        print(f"{sum(len(x) for _, x in parts)} predictions: {args.out}", file=sys.stderr)
    else:
        print(file.getvalue(), end="")
    return 0


def rows_of(model, path):
    """[(None, x)] of a table, or (domain, x) for each pair of arrays; ValueError for what does not fit the model."""
    if is_table(path):
        header = names_of(path, least=min(2, len(model.columns)))
        check_columns(path, model, header)
        return [(None, read_columns(path, header, model.columns)[0])]
    own = own_npz(path, labelled=False)
    check_arrays(path, model, own)
    return [(domain.name, domain.x) for domain in own.domains]
