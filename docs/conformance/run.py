"""make conformance CHECKOUT="FOLDER ...": what each method of somebody's checkout computes, as a Markdown table."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

ADAPTERS = ("domainbed", "fishr", "irm", "rex", "good", "flsuite", "wilds", "transferlearning", "deepcoral", "dgdr")


def main(folders):
    """Print the table; 1 where a folder is no code base that is known here."""
    warnings.simplefilter("ignore")  # theirs
    sys.path.insert(0, str(Path(__file__).parent))
    adapters = [importlib.import_module(name) for name in ADAPTERS]
    print("| code base | commit | method | what | sentence |\n|---|---|---|---|---|")
    unknown = []
    for folder in map(Path, folders):
        found = [adapter for adapter in adapters if (folder / adapter.MARK).exists()]
        unknown += [] if found else [folder]
        for adapter in found:
            for method, what, result in adapter.checks(folder):
                print(
                    f"| {name(folder) or adapter.NAME} | {commit(folder)} | {method} | {what} | {result} |", flush=True
                )
    for folder in unknown:
        print(f"{folder}: none of {', '.join(adapter.NAME for adapter in adapters)}", file=sys.stderr)
    return 1 if unknown else 0


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
