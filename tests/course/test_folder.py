import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from minifishr.cli import main
from minifishr.course import copied, pictures
from minifishr.course.folder import PICTURES, lessons

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(path.name for path in lessons().iterdir() if path.suffix in (".ipynb", ".md"))


def test_course_is_copied_without_scripts_and_never_over_what_is_there(tmp_path, capsys):
    assert main(["course", str(tmp_path / "mine")]) == 0
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == set(PAGES)
    (tmp_path / "mine" / "0_shortcut.ipynb").write_text("my work")
    (tmp_path / "mine" / "glossary.md").unlink()
    assert main(["course", str(tmp_path / "mine")]) == 0
    assert f"1 new files, {len(names) - 1} that were there already stay" in capsys.readouterr().out
    assert (tmp_path / "mine" / "0_shortcut.ipynb").read_text() == "my work"


def test_a_file_in_the_place_of_the_folder_is_told_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["course", str(tmp_path / "file")]) == 2
    assert "minifishr course: " in capsys.readouterr().err


def test_twelve_pictures_have_descriptions(tmp_path, capsys):
    assert main(["course", str(tmp_path), "--pictures"]) == 0
    images = sorted(tmp_path.glob("*.png"))
    assert len(images) == 12 and all(path.read_bytes().startswith(b"\x89PNG") for path in images)
    page = (tmp_path / "PICTURES.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\S+\.png)\)", page)) == [path.name for path in images]
    numbers = [int(number) for number in re.findall(r"^## .* \(lesson (\d+)\)$", page, re.MULTILINE)]
    assert numbers == [int(lesson.split("_")[0]) for lesson, _ in PICTURES.values()] == sorted(numbers)
    assert {10, 11} < set(numbers)
    told = dict(zip(PICTURES, re.findall(r"^!\[(.*?)\]", page, re.MULTILINE), strict=True))
    words = ["Color alone", "clouds", "V-REx", "Both orders", "matrices", "variances", "centered", "all three methods"]
    words += ["all seeds", "Covariate shift", "IRM's end", "Hessian's diagonal"]
    assert all(word in text for word, text in zip(words, told.values(), strict=True)), told  # places may move


@pytest.mark.parametrize("option", [[], ["--pictures"]])
def test_nothing_that_is_there_is_overwritten_and_it_is_said_how_much_stays(option, tmp_path, capsys):
    assert main(["course", str(tmp_path), *option]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    mine = {name: f"my {name}" for name in [*names, "README.md", "my notes.txt"]}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    assert main(["course", str(tmp_path), *option]) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == mine
    assert f": 0 new files, {len(names)} that were there already stay" in capsys.readouterr().out


@pytest.mark.parametrize("option", [[], ["--pictures"]])
def test_interrupted_copy_leaves_whole_files_only_and_names_the_one_that_is_missing(option, tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # as a full disk
    try:
        with pytest.raises(OSError, match=r"(0_shortcut\.ipynb|01_\w+\.png): cannot be written: File too large"):
            (pictures if option else copied)(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert main(["course", str(tmp_path), *option]) == 0
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not option or all(whole[name].endswith(b"IEND\xaeB`\x82") for name in whole if name.endswith(".png"))
    assert option or whole == {name: (lessons() / name).read_bytes() for name in PAGES}


@pytest.mark.parametrize("error", [OSError(95, "Operation not supported"), NotImplementedError(), AttributeError()])
def test_copy_where_files_have_no_second_name(error, tmp_path, monkeypatch):
    def link(*_):
        raise error

    monkeypatch.setattr("os.link", link)
    assert copied(tmp_path) == (PAGES, [])
    (tmp_path / "README.md").write_text("mine")
    assert copied(tmp_path) == ([], PAGES) and (tmp_path / "README.md").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)


def test_file_that_comes_while_its_copy_is_made_stays(tmp_path, monkeypatch):
    def fsync(_):
        (tmp_path / "README.md").write_text("mine")

    monkeypatch.setattr("os.fsync", fsync)
    assert "README.md" in copied(tmp_path)[1]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_folder_with_a_space_is_named_so_that_a_shell_reads_it_as_one(tmp_path, capsys):
    assert main(["course", str(tmp_path / "my course")]) == 0
    command = capsys.readouterr().out.split("open it with: ")[1]
    assert shlex.split(command) == ["jupyter", "lab", str(tmp_path / "my course")]


def test_wheel_has_what_the_command_copies():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = config["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert shipped == {f"notebooks/{name}": f"minifishr/course/notebooks/{name}" for name in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_in_a_copy(page, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "copy"
    copied(folder)
    text = (folder / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    for link in re.findall(r"\]\((?!http|#)([^)\s]+)\)", text):
        assert (folder / link).exists(), link
