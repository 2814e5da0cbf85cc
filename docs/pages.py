"""Put the pages of the site together in a folder: those in docs/, the course, and what the package says of itself.

python docs/pages.py FOLDER
"""

import contextlib
import inspect
import io
import json
import re
import shutil
import sys
from pathlib import Path

import minifishr
from minifishr.algorithms import ALGORITHMS, DEFAULTS, MODULES
from minifishr.checks import IDENTITIES

ROOT = Path(__file__).parent.parent
LITE = ROOT / "build" / "extra" / "lite"  # of `make lite`; without it no page has a button
EXAMPLE = """import numpy as np
from minifishr import ALGORITHMS, MLP, PENALTIES, Domain

rng, model = np.random.default_rng(0), MLP((3, 4, 1))
domains = [Domain(name, rng.normal(size=(n, 3)), rng.integers(0, 2, n)) for name, n in (("a", 6), ("b", 8))]
theta = model.init(rng)
"""
UPDATE = """
algorithm = ALGORITHMS["{name}"](model)
theta_next, state, info = algorithm.update(theta, algorithm.init(theta), domains)
print({{key: round(value, 6) for key, value in info.items()}})
"""
PENALTY = """for convention in ("paper", "domainbed"):
    print(convention, round(float(PENALTIES["{name}"](model, theta, domains, convention=convention)), 9))
"""


def lessons():
    """Name -> (notebook, title without its number), in order."""
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    first = {name: "".join(book["cells"][0]["source"]) for name, book in found.items()}
    title = {name: re.match(r"# Lesson \d+\. (.*)", text)[1] for name, text in first.items()}
    return {name: (found[name], title[name]) for name in sorted(found, key=lambda name: int(name.split("_")[0]))}


def shown(name, notebook):
    """A notebook as the site shows it: solutions folded, and a button where it can run in the browser."""
    for cell in notebook["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            cell["metadata"]["tags"].append("hide-input")
    if LITE.exists():
        link = f'<a class="run-here" href="../lite/notebooks/index.html?path={name}.ipynb">Run in your browser</a>'
        notebook["cells"].insert(1, {"cell_type": "markdown", "id": "run", "metadata": {}, "source": [link]})
    return json.dumps(notebook)


def table(headers, rows):
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def toctree(names, **options):
    """A table of contents that is not shown on the page itself."""
    lines = [f":{key}: {value}".rstrip() for key, value in options.items()]
    return "\n".join(["```{toctree}", ":hidden:", *lines, "", *names, "```", ""])


def plain(text):
    """Text of a docstring as Markdown in which nothing is markup."""
    return re.sub(r"([\\*_<>\[\]$`^|~])", r"\\\1", text)


def printed(code):
    """What code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    return out.getvalue()


def identity_names(method):
    """The identities about a method, by name, and those that its penalty's statement mentions."""
    words = re.compile(rf"(^|_){method}s?(_|$)")
    found = [name for name in IDENTITIES if words.search(name)]
    return found + [
        name
        for name, one in IDENTITIES.items()
        if name not in found
        and one.error.__doc__
        and re.search(rf"\b{method.replace('_', '-')}\b", one.statement, re.IGNORECASE)
    ]


def method_page(name, books):
    """One method: its docstring, hyper-parameters, an example that was run, and where to read on."""
    module = MODULES[name]
    path = inspect.getsourcefile(module)
    defaults = DEFAULTS[name]
    rows = [[f"`{key}`", *(f"{defaults[c].get(key)}" for c in ("paper", "domainbed"))] for key in defaults["paper"]]
    code = EXAMPLE + UPDATE.format(name=name) + (PENALTY.format(name=name) if hasattr(module, "penalty") else "")
    members = ", ".join(["statistic", "penalty", name][-1 if not hasattr(module, "penalty") else 0 :])
    reading = [f"`minifishr/algorithms/{Path(path).name}`"]
    for book, (notebook, title) in books.items():
        beside = re.search(r"Read beside it: (.*?)You need", "".join(notebook["cells"][0]["source"]), re.DOTALL)
        if beside and f"{name}.py`" in beside[1]:
            reading.append(f"[Lesson {book.split('_')[0]}. {title}](../course/{book}.ipynb)")
    reading += [f"Identity: [{plain(IDENTITIES[i].statement)}](#{i})" for i in identity_names(name)]
    title = inspect.getdoc(module).split(":")[0].split("(")[0].strip()
    return f"""# {title}

```{{eval-rst}}
.. automodule:: minifishr.algorithms.{name}
```

## Hyper-parameters

{table(["", "paper", "domainbed"], rows)}
## Example

```python
{code.strip()}
```

```text
{printed(code).strip()}
```

## Functions

```{{eval-rst}}
.. currentmodule:: minifishr.algorithms.{name}
{"".join(f"{chr(10)}.. autofunction:: {member}{chr(10)}" for member in members.split(", "))}
```

## Read on

{"".join(f"- {line}{chr(10)}" for line in reading)}"""


def identities_page():
    """Every identity: statement, assumption, tolerance and name."""
    rows = [
        [f"[{plain(one.statement)}]{{#{one.name}}}", plain(one.assumes), f"{one.tolerance:.0e}", f"`{one.name}`"]
        for one in IDENTITIES.values()
    ]
    return f"""# Identities

{len(IDENTITIES)} statements that the theory rests on. `minifishr verify` tries each on random and on hard cases (one
row, one class, all weights zero, dead units, huge logits) and prints the largest relative error of each.
`minifishr verify --break gauss_newton` makes one implementation slightly wrong and shows which of them notice.

{table(["statement", "assumes", "allowed error", "name"], rows)}"""


def api_page():
    """The public names, with their docstrings."""
    parts = []
    for name in minifishr.__all__:
        thing = getattr(minifishr, name)
        kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else None
        if kind:
            members = "\n   :members:\n   :undoc-members:" if name == "MLP" else ""
            parts.append(f".. auto{kind}:: {name}{members}\n")
    parts.append(".. automodule:: minifishr.curvature\n   :members: " + ", ".join(CURVATURE) + "\n")
    body = "\n".join(parts)
    return f"""# Public names

```{{eval-rst}}
.. automodule:: minifishr

.. py:data:: ALGORITHMS

   Name -> factory ``(model, *, convention="paper", **hyper_parameters)`` of each method, in teaching order.

.. py:data:: PENALTIES

   Name -> ``penalty(model, theta, domains, *, convention="paper")`` of each method that has one.

.. currentmodule:: minifishr

{body}
```
"""


CURVATURE = ("gradient_covariance", "empirical_fisher", "true_fisher", "gauss_newton", "hessian", "hvp")


def home(text, out):
    """The home page: table rows about pages that are not there go, pages that it does not know join its last list."""
    known = [link for link in re.findall(r"\]\(([\w/]+)\.\w+\)", text) if link.partition("/")[0] not in GENERATED]
    for link in known:
        if not (out / f"{link}.md").exists():
            text = "".join(line for line in text.splitlines(True) if f"]({link}." not in line)
    listed = re.findall(r"^[\w/]+$", text, re.MULTILINE)
    found = [path.relative_to(out).with_suffix("").as_posix() for path in [*out.glob("*.md"), *out.glob("*/README.md")]]
    others = sorted({*found} - {*listed, "index"})
    return text.replace("changelog\n", "".join(f"{name}\n" for name in [*others, "changelog"]))


GENERATED = ("course", "methods", "identities", "api", "explore")


def main(out):
    """Write all pages."""
    shutil.rmtree(out, ignore_errors=True)
    skipped = shutil.ignore_patterns("*.py", "static", "tests", "__pycache__", "explore.html", "*.csv", "*.tex", "lite")
    shutil.copytree(ROOT / "docs", out, ignore=skipped)
    results = (out / "results" / "README.md").rename(out / "results" / "index.md")
    reports = sorted(path.relative_to(results.parent).as_posix() for path in results.parent.glob("*/*.md"))
    results.write_text(results.read_text("utf-8") + "\n" + toctree(reports), "utf-8")
    for name in ("CHANGELOG", "CONTRIBUTING"):
        shutil.copy(ROOT / f"{name}.md", out / f"{name.lower()}.md")
    (out / "index.md").write_text(home((out / "index.md").read_text("utf-8"), out), "utf-8")
    books = lessons()
    (out / "course").mkdir()
    for name, (notebook, _) in books.items():
        (out / "course" / f"{name}.ipynb").write_text(shown(name, notebook), "utf-8")
    for path in (ROOT / "notebooks").glob("*.md"):
        shutil.copy(path, out / "course" / path.name)
    (out / "course" / "README.md").rename(out / "course" / "index.md")
    others = sorted(path.stem for path in (out / "course").glob("*.md") if path.stem != "index")
    with open(out / "course" / "index.md", "a", encoding="utf-8") as file:
        file.write("\n" + toctree([*books, *others]))
    (out / "methods").mkdir()
    for name in ALGORITHMS:
        (out / "methods" / f"{name}.md").write_text(method_page(name, books), "utf-8")
    names = "\n".join(f"- [](/methods/{name}.md)" for name in ALGORITHMS)
    (out / "methods" / "index.md").write_text(METHODS.format(toctree=toctree(ALGORITHMS), names=names), "utf-8")
    (out / "identities.md").write_text(identities_page(), "utf-8")
    (out / "api.md").write_text(api_page(), "utf-8")


METHODS = """# Methods

Every method of the field is a **statistic** of a domain and a **distance** between its values, or a way
of combining domain gradients.

```{{eval-rst}}
.. automodule:: minifishr.algorithms
```

{names}

{toctree}"""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
