"""Put the pages of the site together in a folder: those in docs/, the course, and what the package says of itself.

python docs/pages.py FOLDER
"""

import json
import re
import shutil
import sys
from pathlib import Path

from markup import toctree
from reference import api_page, identities_page, method_page, methods_page

from minifishr.algorithms import ALGORITHMS

ROOT = Path(__file__).parent.parent
LITE = ROOT / "build" / "extra" / "lite"  # of `make lite`; without it no page has a button
ADDRESSES = {  # what the README links to -> what a page of the site does
    "docs/results/README.md": "results/index.md",
    "docs/": "",
    "notebooks/README.md": "course/index.md",
    "minifishr/algorithms/__init__.py": "methods/index.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINKS = {  # what a page of docs/ links to -> what the same page of the site does
    "results/README.md": "results/index.md",
    "../README.md": "../index.md",
    "../notebooks/README.md": "course/index.md",
    "../notebooks/": "course/",
    "../minifishr/checks/__init__.py": "identities.md",
    "../CONTRIBUTING.md": "contributing.md",
}


def lessons():
    """Name -> (notebook, title without its number), in order."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    first = {name: "".join(book["cells"][0]["source"]) for name, book in found.items()}
    title = {name: re.match(r"# Lesson \d+\. (.*)", text)[1] for name, text in first.items()}
    return {name: (found[name], title[name]) for name in sorted(found, key=lambda name: int(name.split("_")[0]))}


def shown(name, notebook):
    """A notebook as the site shows it: folded solutions are called so, and a button leads to where it runs."""
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            cell["metadata"]["mystnb"] = {
                f"code_prompt_{word}": f"{word.title()} the solution" for word in ("show", "hide")
            }
    if LITE.exists():
        link = f'<a class="run-here" href="../lite/notebooks/index.html?path={name}.ipynb">Run in your browser</a>'
        notebook["cells"].insert(1, {"cell_type": "markdown", "id": "run", "metadata": {}, "source": [link]})
    return json.dumps(notebook)


def on_the_site(text, addresses):
    """A text whose links lead to pages of the site."""
    for here, there in addresses.items():
        text = text.replace(f"]({here}", f"]({there}")
    return text


def typeset(text):
    """A text whose numbers keep together outside of code: 59.0 ± 0.3, and in tables 30.7 / 79.7."""
    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    for place, part in enumerate(parts[::2]):
        part = re.sub(r"(?<=\d) \+- (?=\d)", "\u00a0±\u00a0", part)
        pairs = (re.sub(r"(?<=\d) / (?=\d)", "\u00a0/\u00a0", n) if n.startswith("|") else n for n in part.split("\n"))
        parts[2 * place] = "\n".join(pairs)
    return "".join(parts)


def home(readme, contents, found):
    """The home page: the README with the site's addresses, and a table of contents whose last list has the rest."""
    readme = on_the_site(readme, ADDRESSES)
    listed = re.findall(r"^[\w/]+$", contents, re.MULTILINE)
    others = sorted({*found} - {*listed, "index"})
    return readme + "\n" + contents.replace("changelog\n", "".join(f"{name}\n" for name in [*others, "changelog"]))


def copied(out):
    """Copy the pages of docs/ and the project's own, list the reports, and write the home page."""
    skipped = shutil.ignore_patterns("*.py", "static", "tests", "__pycache__", "explore.html", "*.csv", "*.tex", "lite")
    shutil.copytree(ROOT / "docs", out, ignore=skipped)
    results = (out / "results" / "README.md").rename(out / "results" / "index.md")
    reports = sorted(path.relative_to(results.parent) for path in results.parent.glob("*/**/*.md"))
    names = [[*p.parts[:-1], *([] if p.stem in ("README", "report") else [p.stem])] for p in reports]
    titles = [f"Report: {', '.join(parts)}" for parts in names]
    reports = [f"{title} <{path.as_posix()}>" for title, path in zip(titles, reports, strict=True)]
    results.write_text(results.read_text("utf-8") + "\n" + toctree(reports), "utf-8")
    for page in [*out.glob("*.md"), *results.parent.glob("*/*.md")]:
        page.write_text(on_the_site(page.read_text("utf-8"), LINKS), "utf-8")
    for name in ("CHANGELOG", "CONTRIBUTING"):
        shutil.copy(ROOT / f"{name}.md", out / f"{name.lower()}.md")
    pages = [*out.glob("*.md"), *out.glob("*/README.md")]
    found = [path.relative_to(out).with_suffix("").as_posix() for path in pages]
    texts = [path.read_text("utf-8") for path in (ROOT / "README.md", out / "index.md")]
    (out / "index.md").write_text(home(*texts, found), "utf-8")
    for page in out.glob("**/*.md"):
        page.write_text(typeset(page.read_text("utf-8")), "utf-8")


def course(out, books):
    """Write the lessons and the pages beside them into a new folder."""
    out.mkdir()
    for name, (notebook, _) in books.items():
        (out / f"{name}.ipynb").write_text(shown(name, notebook), "utf-8")
    for path in (ROOT / "notebooks").glob("*.md"):
        shutil.copy(path, out / path.name)
    index = (out / "README.md").rename(out / "index.md")
    others = sorted(path.stem for path in out.glob("*.md") if path != index)
    index.write_text(index.read_text("utf-8") + "\n" + toctree([*books, *others]), "utf-8")


def main(out):
    """Write all pages."""
    shutil.rmtree(out, ignore_errors=True)
    copied(out)
    books = lessons()
    course(out / "course", books)
    (out / "methods").mkdir()
    pages = {f"methods/{name}": method_page(name, books) for name in ALGORITHMS}
    pages |= {"methods/index": methods_page(), "identities": identities_page(), "api": api_page()}
    for name, text in pages.items():
        (out / f"{name}.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
