"""A type checker over the examples of the site, against the type hints of the public names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {  # page -> its blocks of Python, which go on from each other
    path.name: "\n".join(re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if "```python" in path.read_text("utf-8")
}


def checked(code, folder):
    """What the type checker says of some code."""
    (folder / "example.py").write_text(code, "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "example.py"]
    command += ["--disable-error-code=no-redef"]  # a page shows one function in several ways
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_there_are_examples_to_check():
    assert {"use.md", "own_method.md", "your_own_data.md", "check_your_implementation.md"} <= {*EXAMPLES}


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_agree_with_the_type_hints(page, tmp_path):
    found = checked(EXAMPLES[page], tmp_path)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "wrong", ["fit(1, 2, 3, 4)", "MLP('392')", "load_digits(3)", "accuracies(None, None, None)", "risk(MLP((2, 1)))"]
)
def test_a_wrong_call_is_seen(wrong, tmp_path):
    found = checked(f"from minifishr import MLP, accuracies, fit, load_digits, risk\n\n{wrong}\n", tmp_path)
    assert found.returncode == 1 and "example.py:3: error" in found.stdout
