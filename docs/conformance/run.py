"""make conformance CHECKOUT="FOLDER ...": what each method of somebody's checkout computes, as a Markdown table."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

ADAPTERS = (
    "domainbed", "fishr", "irm", "rex", "good", "flsuite", "hessian", "cma", "wilds", "transferlearning",
    "deepcoral", "dgdr", "explanations",
)  # fmt: skip


def main(folders):
    """Print the table; 1 where a folder is no code base that is known here."""
    warnings.simplefilter("ignore")  # theirs
    sys.path.insert(0, str(Path(__file__).parent))
    adapters = [importlib.import_module(name) for name in ADAPTERS]
    print("| code base | commit | method | what | sentence |\n|---|---|---|---|---|")
    unknown = []
    for folder in map(Path, folders):
        found = [adapter for adapter in adapters if fits(adapter, folder)]
        unknown += [] if found else [folder]
        for adapter in found:
            for method, what, result in adapter.checks(folder):
                print(
                    f"| {name(folder) or adapter.NAME} | {commit(folder)} | {method} | {what} | {result} |", flush=True
                )
    for folder in unknown:
        print(f"{folder}: none of {', '.join(adapter.NAME for adapter in adapters)}", file=sys.stderr)
    return 1 if unknown else 0


def fits(adapter, folder):
    """Whether an adapter is for a checkout: its MARK is there, and what marks a fork with other calls is not."""
    return (folder / adapter.MARK).exists() and not (folder / getattr(adapter, "UNLESS", "no such file")).exists()


def commit(folder):
    """The commit of a checkout, in short, or nothing."""
    return git(folder, "rev-parse", "--short=7", "HEAD")


def name(folder):
    """owner/name of where a checkout is from, or nothing: forks have the same files."""
    return "/".join(git(folder, "remote", "get-url", "origin").removesuffix(".git").split("/")[-2:])


def git(folder, *words):
    """What git says of a folder; nothing where it is no checkout of its own."""
    if not (folder / ".git").exists():
        return ""
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
