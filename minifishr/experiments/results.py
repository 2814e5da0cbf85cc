"""The results folder: history and configuration of a comparison, and what else may be in it."""

import json
import platform
import re
from importlib.metadata import version
from pathlib import Path

from ..algorithms import ALGORITHMS
from .config import said
from .measures import write_rows

PICTURES = ("accuracy.png", "objective.png", "variances.png", "agreement.png", "domains.png", "images.png")
PICTURES += ("invariances.png", "landscape.png", "confusion.png", "left_out.png")
FILES = ("config.json", "history.jsonl", "table.md", *PICTURES)
KEPT = re.compile(rf"({'|'.join(ALGORITHMS)})-[0-9]+(-.*)?\.npz")  # files of models, as `file_of` names them
LIBRARIES = ("minifishr", "numpy", "autograd", "scipy", "matplotlib")


def results_folder(out, name, force=False):
    """A folder to write to: `out`, or the next free results/NAME-001, results/NAME-002, ..., which is made here alone.

    FileExistsError where `out` has results already, unless force; OSError where it cannot be written.
    """
    folder = new_folder(name) if out is None else Path(out)
    files = [path for path in folder.glob("models/*.npz") if KEPT.fullmatch(path.name)]  # others are not ours
    models = [path.relative_to(folder).as_posix() for path in files]
    present = [*(file for file in FILES if (folder / file).exists()), *sorted(models)]
    if present and not force:
        raise FileExistsError(f"--out {out}: {present[0]} is there already; choose another folder or say --force")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*FILES, *models):
            (folder / file).unlink(missing_ok=True)
        (folder / "models").mkdir(exist_ok=True)
        (folder / "history.jsonl").touch()
    except OSError as error:
        raise OSError(f"--out {folder}: cannot be written: {error.strerror}") from None
    return folder


def new_folder(name):
    """Make results/NAME-001 or the first after the last that is free, whoever else does the same at this moment."""
    numbers = [path.name.removeprefix(f"{name}-") for path in Path("results").glob(f"{name}-*")]
    number = max((int(each) for each in numbers if each.isdecimal()), default=0)
    while True:
        number += 1
        folder = Path("results", f"{name}-{number:03d}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise OSError(f"{folder}: cannot be written: {error.strerror}") from None
        return folder


def versions():
    """Name -> version of Python and of the libraries."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def write_config(folder, configs, problem, **data):
    """config.json: what was run, on what, with which versions. `data` say where the numbers come from: name and hash,
    and of a person's own the file and the columns that mean label and domain."""
    data = {name: value for name, value in data.items() if value is not None}
    found = {"problem": problem.name, **data, "versions": versions(), "runs": [said(config) for config in configs]}
    text = json.dumps(found, indent=1)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def append_history(folder, result, name="history.jsonl"):
    """Add a finished run's rows to history.jsonl, so that they are there whatever happens to the next run."""
    config = said(result.config)
    own = ("test_domain", "more_left_out") if result.config.dataset == "own" else ()
    labels = {key: config[key] for key in ("algorithm", "seed", "domains", *own) if key in config}
    write_rows(folder / name, result.history, **labels)


def sort_history(folder, results):
    """Bring history.jsonl into the order of the plan, whatever finished first."""
    (folder / "history.part").unlink(missing_ok=True)  # of an earlier run that was stopped just here
    for result in results:
        append_history(folder, result, "history.part")
    (folder / "history.part").replace(folder / "history.jsonl")
