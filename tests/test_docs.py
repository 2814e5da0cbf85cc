import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import address
import pytest

import minifishr
from minifishr import cli
from minifishr.experiments import PRESETS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = (ROOT, ROOT / "docs" / "results", ROOT / "notebooks")
PAGES = [*(folder / "README.md" for folder in FOLDERS), *(ROOT / "docs").glob("*.md")]
EVERY = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.md")})
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
# Lines of blocks of commands, those that end in a backslash with the next one.
COMMANDS = sorted(
    {
        re.split(r"\s+#", line.replace("\\\n", " "))[0]
        for text in TEXTS.values()
        for line in re.findall(r"^minifishr (?:[^\n]*\\\n)*[^\n]*", text, re.MULTILINE)
    }
)


def examples(page):
    """The blocks of Python on a page of docs/."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_example_runs_and_prints_accuracies_and_variances(tmp_path, monkeypatch, capsys):
    found = minifishr.load_digits("rendered")
    monkeypatch.setattr(minifishr, "load_digits", lambda: found)
    names = {}
    training, checkpoint = examples("use.md")
    exec(compile(training, "use.md", "exec"), names)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time from the checkpoint
        exec(compile(checkpoint, "use.md", "exec"), names)
    accuracies, *variances = capsys.readouterr().out.splitlines()
    assert all(name in accuracies for name in ("+80%", "+90%", "-90%", "grey"))
    assert [line.split()[0] for line in variances] == ["+80%", "+90%"]


def test_method_of_ones_own_keeps_the_promises_that_it_is_said_to_keep():
    (code,) = examples("own_method.md")
    exec(compile(code, "own_method.md", "exec"), {})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    assert cli.parser().parse_args(shlex.split(command)[1:]).command == command.split()[1]


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 25


def test_every_preset_is_described():
    for preset in PRESETS:
        assert f"| `{preset}` |" in TEXTS["docs/use.md"]


def test_readme_is_short_and_its_links_lead_to_files():
    assert len(README.splitlines()) <= 80
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) >= 10 and [link for link in links if not (ROOT / link).is_file()] == []


def test_results_on_the_first_page_are_the_only_ones_of_the_published_setting():
    row = "| Fishr | 70.7 +- 0.4 | 69.5 +- 1.0 |"
    assert row in README and not any(row in text for name, text in TEXTS.items() if name != "README.md")


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_to_files_of_the_repository(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_links_are_absolute_where_the_projects_address_is_known():
    place = {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_REPOSITORY": "us/minifishr"}
    found = address.readme(README, address.home(place), "1.2.3")
    links = re.findall(r"\]\(([^)]+)\)", found)
    assert links and all(link.startswith("https://git.example/us/minifishr/") for link in links)
    assert "](https://git.example/us/minifishr/blob/v1.2.3/docs/use.md)" in found
    assert "](https://git.example/us/minifishr/raw/v1.2.3/docs/fishr.png)" in found
    assert set(address.urls(address.home(place))) == {"Homepage", "Documentation", "Changelog", "Issues"}


def test_smaller_sizes_of_the_browser_stand_in_the_lessons_and_one_that_does_not_is_named():
    spec = importlib.util.spec_from_file_location("lite", ROOT / "docs" / "lite.py")
    lite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lite)
    for lesson, sizes in lite.SMALLER.items():
        text = lite.smaller(lesson, (ROOT / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        code = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        assert all(old not in code and new in code for old, new in sizes.items())
        with pytest.raises(ValueError, match=rf"{lesson} says .* 0 times, not once"):
            lite.smaller(lesson, text)


def test_links_stay_as_they_are_where_it_is_not():
    assert address.home({}) is None and address.readme(README, None, "1.2.3") == README and address.urls(None) == {}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_lesson_without_the_package_says_what_to_do_and_installs_nothing(path, monkeypatch):
    text = path.read_text(encoding="utf-8")
    assert "subprocess" not in text and "%pip" not in text
    monkeypatch.setitem(sys.modules, "minifishr", None)  # as if it were missing
    with pytest.raises(ImportError, match=r"this Python has no minifishr: run pip install '\.\[notebooks\]'"):
        exec(text.split("# %%\n")[1], {})
