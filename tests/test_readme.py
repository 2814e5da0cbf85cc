import re
import shlex
from pathlib import Path

import pytest

import minifishr
from minifishr import cli
from minifishr.experiments import PRESETS

README = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^minifishr .*?(?=\s+#|$)", README, re.MULTILINE)
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_example_runs_and_prints_accuracies_and_variances(tmp_path, monkeypatch, capsys):
    found = minifishr.load_digits("rendered")
    monkeypatch.setattr(minifishr, "load_digits", lambda: found)
    names = {}
    exec(compile(EXAMPLES[0], "README.md", "exec"), names)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time from the checkpoint
        exec(compile(EXAMPLES[1], "README.md", "exec"), names)
    accuracies, *variances = capsys.readouterr().out.splitlines()
    assert all(name in accuracies for name in ("+80%", "+90%", "-90%", "grey"))
    assert [line.split()[0] for line in variances] == ["+80%", "+90%"]


def test_method_of_ones_own_keeps_the_promises_that_it_is_said_to_keep():
    exec(compile(EXAMPLES[2], "README.md", "exec"), {})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    assert cli.parser().parse_args(shlex.split(command)[1:]).command == command.split()[1]


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 7


def test_every_preset_is_described():
    for preset in PRESETS:
        assert f"| `{preset}` |" in README
