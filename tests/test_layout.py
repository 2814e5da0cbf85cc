import ast
import json
import subprocess
import sys
from pathlib import Path

import minifishr
from minifishr.algorithms import ALGORITHMS, DEFAULTS
from minifishr.plots import METHODS

PACKAGE = Path(minifishr.__file__).parent
ORDER = [
    "rendered", "digits", "domains", "own", "toys", "mlp", "losses", "gradients", "curvature", "optimizers",
    "algorithms/settings", "algorithms/protocol", "algorithms/chunks",
    "algorithms/erm", "algorithms/irm", "algorithms/vrex", "algorithms/fish",
    "algorithms/and_mask", "algorithms/sand_mask", "algorithms/fishr", "algorithms/iga", "algorithms/idgm",
    "algorithms/coral", "algorithms/dann", "algorithms/__init__",
    "evaluate", "train", "checks/contracts", "checks/identity",
    "checks/gradient_identities", "checks/curvature_identities", "checks/penalty_identities",
    "checks/method_identities", "checks/landscape_identities", "checks/verification", "checks/breaks",
    "invariance", "presets", "experiments", "parallel",
    "plots/styles", "plots/curves", "plots/scatter", "plots/pictures", "plots/__init__",
    "report", "figures", "grid", "records", "sweep", "calibration",
    "selection", "tables", "sweep_report", "sweep_figures",
    "checks/exercise", *(f"checks/exercises/lesson_{n}" for n in range(10)), "checks/exercises/__init__",
    "checks/__init__",
    "commands/compare", "commands/data", "commands/verify", "commands/sweep", "commands/report", "commands/__init__",
    "cli", "__init__", "__main__",
]  # fmt: skip


def imported(path):
    """The package's own modules that a file imports, as in ORDER."""
    here = path.relative_to(PACKAGE)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [here.parent, *here.parent.parents][node.level - 1]
            targets = [node.module.replace(".", "/")] if node.module else [alias.name for alias in node.names]
            for target in targets:
                found = base / target
                yield (found / "__init__" if (PACKAGE / found).is_dir() else found).as_posix()


def test_reading_order_lists_every_file():
    assert sorted(ORDER) == sorted(p.relative_to(PACKAGE).with_suffix("").as_posix() for p in PACKAGE.rglob("*.py"))


def test_imports_only_point_back():
    for number, name in enumerate(ORDER):
        assert set(imported(PACKAGE / f"{name}.py")) <= set(ORDER[:number]), name


def test_files_stay_short_enough_to_read():
    lengths = {
        path.relative_to(PACKAGE): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > 200} == {}


def test_functions_stay_short_enough_to_read():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert not body or node.end_lineno - body[0].lineno < 30, f"{path.name}: {node.name}"


def test_public_names_exist_and_are_described():
    for name in minifishr.__all__:
        assert getattr(minifishr, name).__doc__, name


def test_every_method_has_defaults_a_style_and_a_docstring_with_its_source():
    assert list(ALGORITHMS) == list(DEFAULTS) == list(METHODS)
    for name in ALGORITHMS:
        text = (PACKAGE / "algorithms" / f"{name}.py").read_text(encoding="utf-8")
        for heading in ("Source ", "Equation ", "Normalization ", "Departures "):
            assert f"\n{heading}" in ast.get_docstring(ast.parse(text)), f"{name}: {heading}"


def test_import_leaves_the_heavy_libraries_alone():
    code = "import sys, json, minifishr; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "scipy", "pooch", "joblib", "tabulate", "tqdm"} & set(json.loads(run.stdout))
