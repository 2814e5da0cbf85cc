"""A type checker over the examples of the README and of the site, against the type hints of the public names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    block
    for path in [ROOT / "README.md", ROOT / "docs" / "use.md"]
    for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    if "dask_jobqueue" not in block  # not a library of ours
]


def checked(code, folder):
    """What the type checker says of some code."""
    (folder / "example.py").write_text(code, "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "example.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_examples_agree_with_the_type_hints(tmp_path):
    names = "from minifishr import *\nimport numpy as np\n"
    seen = set()
    whole = names + "\n".join(block for block in EXAMPLES if not (block in seen or seen.add(block)))
    found = checked(whole, tmp_path)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "wrong", ["fit(1, 2, 3, 4)", "MLP('392')", "load_digits(3)", "accuracies(None, None, None)", "risk(MLP((2, 1)))"]
)
def test_a_wrong_call_is_seen(wrong, tmp_path):
    found = checked(f"from minifishr import MLP, accuracies, fit, load_digits, risk\n\n{wrong}\n", tmp_path)
    assert found.returncode == 1 and "example.py:3: error" in found.stdout
