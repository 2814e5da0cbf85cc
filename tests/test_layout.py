import ast
import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import minifishr
from minifishr.algorithms import ALGORITHMS, DEFAULTS
from minifishr.plots import METHODS

PACKAGE = Path(minifishr.__file__).parent
# Files at the root and folders, which are the wings. The reading order of a wing stands in its door, `__init__.py`.
ROOMS = [
    "data", "pieces", "mlp", "losses", "gradients", "curvature", "optimizers", "programs", "replay", "algorithms",
    "evaluate", "train", "invariance", "checks", "conformance", "plots", "experiments", "sweeps", "estimator",
    "course", "commands", "cli", "__init__", "__main__",
]  # fmt: skip
WINGS = ("data", "algorithms", "checks", "conformance", "plots", "experiments", "sweeps", "estimator", "course")
MATHEMATICS = [*(room for room in ROOMS if not (PACKAGE / room).is_dir()), "algorithms"]


def read(name):
    return (PACKAGE / f"{name}.py").read_text(encoding="utf-8")


def files(room):
    """The files of a room in reading order: those in backticks, or at the start of a line of a table, at its door."""
    if not (PACKAGE / room).is_dir():
        return [room]
    door = f"{room}/__init__"
    names = chain(*re.findall(r"`(\w+)`|^ {4}(\w+)(?=  )", ast.get_docstring(ast.parse(read(door))), re.MULTILINE))
    return [*dict.fromkeys(f"{room}/{name}" for name in names if (PACKAGE / room / f"{name}.py").exists()), door]


ORDER = [name for room in ROOMS for name in files(room)]


def imported(name):
    """What a file imports of the package: (room, file in ORDER)."""
    here = Path(name)
    for node in ast.walk(ast.parse(read(name))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [here.parent, *here.parent.parents][node.level - 1]
            targets = [node.module.replace(".", "/")] if node.module else [alias.name for alias in node.names]
            for found in (base / target for target in targets):
                path = (found / "__init__" if (PACKAGE / found).is_dir() else found).as_posix()
                yield found.parts[0], path


def test_doors_list_every_file():
    assert sorted(ORDER) == sorted(p.relative_to(PACKAGE).with_suffix("").as_posix() for p in PACKAGE.rglob("*.py"))


def test_imports_only_point_back():
    for number, name in enumerate(ORDER):
        assert {path for _, path in imported(name)} <= set(ORDER[:number]), name


def test_who_enters_a_wing_enters_by_its_door():
    for name in ORDER:
        for room, path in imported(name):
            assert room == name.split("/")[0] or path in (room, f"{room}/__init__"), f"{name} imports {path}"


def test_a_wing_imports_nothing_that_it_has_no_business_with():
    def rooms(wing):
        return {room for name in files(wing) for room, _ in imported(name)} - {wing}

    assert rooms("data") == set()
    assert not (rooms("checks") | rooms("conformance")) & {"experiments", "sweeps", "estimator", "course", "plots"}
    assert all(
        not rooms(room) & {"experiments", "sweeps", "estimator", "course", "checks", "conformance", "plots"}
        for room in MATHEMATICS[:-4]
    )


def test_tests_of_a_wing_are_found_by_its_name():
    tests = Path(__file__).parent
    for wing in (
        "data",
        "algorithms",
        "checks",
        "conformance",
        "plots",
        "experiments",
        "sweeps",
        "estimator",
        "course",
    ):
        assert list((tests / wing).glob("test_*.py")), wing


def test_files_stay_short_enough_to_read():
    lengths = {name: len(read(name).splitlines()) for name in ORDER}
    assert {name: lines for name, lines in lengths.items() if lines > 200} == {}


def test_mathematics_stays_below_3000_lines():
    assert sum(len(read(name).splitlines()) for room in MATHEMATICS for name in files(room)) < 3_000


def test_functions_stay_short_enough_to_read():
    for name in ORDER:
        for node in ast.walk(ast.parse(read(name))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert not body or node.end_lineno - body[0].lineno < 30, f"{name}: {node.name}"


def test_public_names_exist_and_are_described():
    for name in set(minifishr.__all__) - {"PENALTIES", "ALGORITHMS"}:
        assert getattr(minifishr, name).__doc__, name
    assert {"PENALTIES", "ALGORITHMS", "curvature"} <= set(minifishr.__all__)


def test_every_method_has_defaults_a_style_and_a_docstring_with_its_source():
    assert list(ALGORITHMS) == list(DEFAULTS) == list(METHODS)
    for name in ALGORITHMS:
        for heading in ("Source ", "Equation ", "Normalization ", "Departures "):
            assert f"\n{heading}" in ast.get_docstring(ast.parse(read(f"algorithms/{name}"))), f"{name}: {heading}"


def test_import_leaves_the_heavy_libraries_alone():
    code = "import sys, json, minifishr; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "scipy", "pooch", "joblib", "tabulate", "tqdm", "torch", "jax", "sklearn"} & set(
        json.loads(run.stdout)
    )
