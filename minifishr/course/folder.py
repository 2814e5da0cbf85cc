"""The course in a folder of one's own: a copy of the lessons, and the figures that carry them."""

import base64
import html
import json
import os
import re
from pathlib import Path

from ..data import write_whole

PICTURES = {  # the figures that carry the course, by lesson and number there
    "the_shortcut_pays": ("0_shortcut", 1),
    "equal_means_unequal_spreads": ("2_per_sample_gradients", 0),
    "two_demands": ("3_risks", 1),
    "the_walk_bends": ("4_agreement", 2),
    "five_matrices": ("5_fisher", 0),
    "variances_off_the_diagonal": ("6_fishr", 0),
    "where_centered_fishr_is_not_zero": ("6_fishr", 1),
    "equal_features_unequal_labels": ("7_features", 4),
    "several_seeds": ("8_comparing", 0),
    "three_shifts": ("10_when_invariance_fails", 0),
    "a_zero_that_is_not_invariant": ("10_when_invariance_fails", 2),
    "equal_hessians_of_the_color": ("11_matching_hessians", 0),
}


def lessons():
    """The folder with the notebooks: in the package where it was installed, else beside it."""
    inside, beside = Path(__file__).parent / "notebooks", Path(__file__).parents[2] / "notebooks"
    found = next((folder for folder in (inside, beside) if list(folder.glob("[0-9]*.ipynb"))), None)
    if found is None:
        raise ValueError(f"the lessons are neither in {inside} nor in {beside}")
    return found


def added(path, data):
    """Whether a file was not there and now has these bytes, all of them; OSError names it.

    Under a name of its own first: half a lesson would be kept for ever, as if it were somebody's work.
    """
    if os.path.lexists(path):
        return False
    try:
        write_whole(path, data, named)
    except FileExistsError:  # it came in the meantime
        return False
    return True


def named(part, path):
    """Give a file its name; FileExistsError where there is one of that name."""
    try:
        os.link(part, path)  # unlike a renaming it never replaces
    except FileExistsError:
        raise
    except (OSError, AttributeError, NotImplementedError):  # a stick, a share or a browser without links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        part.rename(path)


def copied(folder):
    """Copy lessons, glossary and pages to a folder: (names that are new, names that were there and stay)."""
    return written(folder, {p.name: p.read_bytes() for p in [*lessons().glob("*.ipynb"), *lessons().glob("*.md")]})


def written(folder, files):
    """Write {name: bytes} to a folder: (names that are new, names that were there and stay, whoever's they are)."""
    folder, new, kept = Path(folder), [], []
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files):
        (new if added(folder / name, files[name]) else kept).append(name)
    return new, kept


def figures(lesson):
    """The figures of a lesson as it was run: (description, PNG) each."""
    cells = json.loads((lessons() / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = ["".join(out["data"].get("text/html", "")) for c in cells for out in c.get("outputs", []) if "data" in out]
    found = re.findall(r'<img alt="(.*?)" src="data:image/png;base64,(.*?)">', "\n".join(shown))
    return [(html.unescape(alt), base64.b64decode(code)) for alt, code in found]


def pictures(folder):
    """Write the figures that carry the course, and PICTURES.md with their descriptions, to a folder: as `copied`."""
    files, lines = {}, ["# The figures that carry the course", ""]
    for number, (name, (lesson, place)) in enumerate(PICTURES.items(), 1):
        alt, image = figures(lesson)[place]
        file = f"{number:02}_{name}.png"
        files[file] = image
        lines += [f"## {name.replace('_', ' ')} (lesson {lesson.split('_')[0]})", "", f"![{alt}]({file})", "", alt, ""]
    return written(folder, {**files, "PICTURES.md": "\n".join(lines).encode()})
