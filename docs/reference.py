"""Pages that are made from what the package says of itself: methods, identities, public names."""

import contextlib
import inspect
import io
import re
from pathlib import Path

from markup import plain, table, toctree

import minifishr
from minifishr.algorithms import ALGORITHMS, DEFAULTS, MODULES
from minifishr.checks import IDENTITIES

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
# what the other pages call, by room
ROOMS = {
    "conformance": "check, check_steps, export",
    "checks": "check_penalty, check_gradient, check_algorithm, verified",
    "sweeps": "sweep, recorded, choices, sections",
}
CURVATURE = ("gradient_covariance", "empirical_fisher", "true_fisher", "gauss_newton", "hessian", "hvp")


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


def example(name):
    """A short program with a method, and with its penalty in both conventions if it has one."""
    return EXAMPLE + UPDATE.format(name=name) + (PENALTY.format(name=name) if has_penalty(name) else "")


def has_penalty(name):
    """Whether a method has a penalty that one can call by itself."""
    return hasattr(MODULES[name], "penalty")


def reading(name, books):
    """Where to read on about a method: its file, the lessons that say so, its identities, as lines of Markdown."""
    file = f"`minifishr/algorithms/{Path(inspect.getsourcefile(MODULES[name])).name}`"
    found = []
    for book, (notebook, title) in books.items():
        beside = re.search(r"Read beside it: (.*?)You need", "".join(notebook["cells"][0]["source"]), re.DOTALL)
        if beside and f"{name}.py`" in beside[1]:
            found.append(f"[Lesson {book.split('_')[0]}. {title}](../course/{book}.ipynb)")
    return [file, *found, *(f"Identity: [{plain(IDENTITIES[i].statement)}](#{i})" for i in identity_names(name))]


def method_page(name, books):
    """One method: its docstring, hyper-parameters, an example that was run, and where to read on."""
    defaults = DEFAULTS[name]
    rows = [[f"`{key}`", *(f"{defaults[c].get(key)}" for c in ("paper", "domainbed"))] for key in defaults["paper"]]
    members = ["statistic", "penalty", name] if has_penalty(name) else [name]
    code = example(name).strip()
    return METHOD.format(
        title=inspect.getdoc(MODULES[name]).split(":")[0].split("(")[0].strip(),
        name=name,
        settings=table(["", "paper", "domainbed"], rows),
        code=code,
        printed=printed(code).strip(),
        functions="\n".join(f".. autofunction:: {member}\n" for member in members).strip(),
        reading="\n".join(f"- {line}" for line in reading(name, books)),
    )


def methods_page():
    """The list of methods, by what they have in common."""
    names = "\n".join(f"- [](/methods/{name}.md)" for name in ALGORITHMS)
    return METHODS.format(toctree=toctree(ALGORITHMS), names=names)


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
    """The public names, with their docstrings; those of the rooms last."""
    parts = []
    for name in minifishr.__all__:
        thing = getattr(minifishr, name)
        kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else None
        if kind:
            members = "\n   :members:\n   :undoc-members:" if name == "MLP" else ""
            parts.append(f".. auto{kind}:: {name}{members}\n")
    parts.append(".. automodule:: minifishr.curvature\n   :members: " + ", ".join(CURVATURE) + "\n")
    parts += [f".. automodule:: minifishr.{room}\n   :members: {names}\n" for room, names in ROOMS.items()]
    parts.append(".. autoclass:: minifishr.estimator.DomainClassifier\n   :members: fit, predict, predict_proba\n")
    return API.format(body="\n".join(parts))


METHOD = """# {title}

```{{eval-rst}}
.. automodule:: minifishr.algorithms.{name}
```

## Hyper-parameters

{settings}
## Example

```python
{code}
```

```text
{printed}
```

## Functions

```{{eval-rst}}
.. currentmodule:: minifishr.algorithms.{name}

{functions}
```

## Read on

{reading}
"""

METHODS = """# Methods

Every method of the field is a **statistic** of a domain and a **distance** between its values, or a way
of combining domain gradients.

```{{eval-rst}}
.. automodule:: minifishr.algorithms
```

{names}

{toctree}"""

API = """# Public names

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
