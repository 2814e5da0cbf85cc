import ast
import base64
import json
import re
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from minifishr.checks import IDENTITIES
from minifishr.course import EXERCISES, RECALL

FOLDER = Path(__file__).parent.parent.parent / "notebooks"
LESSONS = sorted((path.stem for path in FOLDER.glob("[0-9]*.py")), key=lambda lesson: int(lesson.split("_")[0]))


def script(lesson):
    return jupytext.read(FOLDER / f"{lesson}.py")


def notebook(lesson):
    return nbformat.read(FOLDER / f"{lesson}.ipynb", as_version=4)


def code(found):
    return [cell for cell in found.cells if cell.cell_type == "code"]


def stderr(found):
    """What a notebook shows of warnings and errors."""
    outputs = [output for cell in code(found) for output in cell.outputs]
    return [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_lesson_runs_in_its_short_form_without_a_warning(lesson, monkeypatch):
    monkeypatch.setenv("MINIFISHR_FAST", "1")
    found = script(lesson)
    NotebookClient(found, timeout=60, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute()
    unexpected = [o for o in stderr(found) if "using rendered digits instead" not in o.get("text", "")]
    assert unexpected == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebook_is_that_of_the_script(lesson):
    ours, theirs = script(lesson), notebook(lesson)
    for cell, other in zip(ours.cells, theirs.cells, strict=True):
        assert (cell.cell_type, cell.source) == (other.cell_type, other.source)
        assert {**cell.metadata} == {**other.metadata}


@pytest.mark.parametrize("lesson", LESSONS)
def test_identities_are_shown_as_they_are_stated_today(lesson):
    printed = "".join(o.get("text", "") for cell in code(notebook(lesson)) for o in cell.outputs)
    shown = set(re.findall(r"^(.+)\n    Assumes ", printed, re.MULTILINE))
    assert shown <= {found.statement for found in IDENTITIES.values()}
    assert shown or lesson != "5_fisher"


def html(cell):
    """What a code cell shows as HTML, in the notebook as it was run."""
    return "".join(o["data"].get("text/html", "") for o in cell.outputs if "data" in o)


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


@pytest.mark.parametrize("lesson", LESSONS)
def test_notebook_was_run_from_top_to_bottom_and_shows_nothing_of_a_machine(lesson):
    found = notebook(lesson)
    assert [cell.execution_count for cell in code(found)] == list(range(1, 1 + len(code(found))))
    assert stderr(found) == []
    text = (FOLDER / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert len(text) < 1_000_000 and not re.search(r'"(<Axes|Text\(|<matplotlib)', text)
    assert not re.search(r"/(home|root|tmp|usr|Users|opt)/|[A-Z]:\\\\", text)


@pytest.mark.parametrize("lesson", LESSONS)
def test_saving_a_notebook_changes_nothing(lesson):
    text = (FOLDER / f"{lesson}.ipynb").read_text(encoding="utf-8")
    found = json.loads(text)
    assert "jupytext" not in found["metadata"]  # nothing is paired: a save writes no script
    assert json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n" == text


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_figure_has_words_and_can_be_read_on_a_telephone(lesson):
    for cell in code(notebook(lesson)):
        assert not any("image/png" in o["data"] for o in cell.outputs if "data" in o)
        images = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]*)">', html(cell))
        assert len(images) == html(cell).count("<img ") == len(re.findall(r"\bfigure\(\s*fig,", cell.source))
        for alt, image in images:
            width = int.from_bytes(base64.b64decode(image)[16:20], "big")
            assert len(alt) > 40 and width <= 560, (alt, width)  # 9 points are 8 pixels high where 390 are left


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_comes_after_a_guess_is_folded(lesson):
    text = "\n".join(cell.source for cell in script(lesson).cells)
    for after in text.split("**Guess first.**")[1:]:
        section = re.split(r"^## ", after, flags=re.MULTILINE)[0]
        assert any(fold in section for fold in ("guess=True", "reveal(", "<details>")), after[:100]


def lines_of(source):
    """The lines of a cell that are not blank and belong to no import."""
    imports = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)]
    skipped = {k for n in imports for k in range(n.lineno, n.end_lineno + 1)}
    return [line for k, line in enumerate(source.splitlines(), 1) if line.strip() and k not in skipped]


@pytest.mark.parametrize("lesson", LESSONS)
def test_lesson_keeps_to_its_form(lesson):
    found = script(lesson)
    assert len(code(found)) <= 50
    for cell in code(found):
        most = 18 if tagged(cell, "figure") else 10  # figures are folded
        assert len(lines_of(cell.source)) <= most, cell.source
        assert max(map(len, cell.source.splitlines())) <= 88, cell.source
        assert not tagged(cell, "figure") or cell.metadata["jupyter"]["source_hidden"]
    text = "\n".join(cell.source for cell in found.cells)
    number = re.match(r"# Lesson (\d+)\. ", text)[1]
    assert lesson.startswith(f"{number}_")
    for part in ("After this lesson you can", " minutes. Read beside it: ", "## Three questions", "## Read on"):
        assert part in text
    assert "(glossary.md)" in text and (number == "0" or f"recall({number}, ..., ..., ...)" in text)
    assert "https://arxiv.org/abs/" in text.split("## Read on")[1]
    questions, answers = text.split("## Three questions\n")[1].split("## Read on")[0].split("<details>")
    for part in (questions, answers):
        assert re.findall(r"^\d\. ", part, re.MULTILINE) == ["1. ", "2. ", "3. "]
    assert "**Guess first.**" in text and sum(len(re.findall(r"^ *assert ", c.source, re.M)) for c in code(found)) >= 5


@pytest.mark.parametrize("lesson", LESSONS)
def test_exercise_is_a_stub_and_then_a_folded_solution_without_a_verdict(lesson):
    tries, solved = [], []
    for cell in code(notebook(lesson)):
        tries += re.findall(r'exercise\("(\w+)"', cell.source)
        if tagged(cell, "solution"):
            (name,) = re.findall(r'solution\("(\w+)"\)', cell.source)
            solved.append(name)
            assert f'{name} = passed("{name}")' in cell.source and cell.metadata["jupyter"]["source_hidden"]
            assert html(cell).startswith("<details>") and "right, on" not in html(cell)
        shown = "".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        assert "Hint: " not in shown
    assert len(tries) >= 3 and tries == solved


def test_every_exercise_is_in_one_lesson_and_every_lesson_in_the_course():
    used = Counter(re.findall(r'exercise\("(\w+)"', "".join((FOLDER / f"{n}.py").read_text() for n in LESSONS)))
    assert used == dict.fromkeys(EXERCISES, 1)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[\d+\]\((\w+)\.ipynb\)", page, re.MULTILINE) == LESSONS


def test_page_for_teachers_has_every_lesson_with_the_minutes_that_it_says_itself():
    pages = [(FOLDER / name).read_text(encoding="utf-8") for name in ("README.md", "TEACHERS.md")]
    listed = re.findall(r"^\| \[(\d+)\].*\| (\d+) \|$", pages[0], re.MULTILINE)
    assert re.findall(r"^\| (\d+) .*? \| \d+ \| (\d+) \|", pages[1], re.MULTILINE) == listed
    for lesson, (number, minutes) in zip(LESSONS, listed, strict=True):
        assert lesson.startswith(f"{number}_") and f"About {minutes} minutes." in script(lesson).cells[0].source


@pytest.mark.parametrize("lesson", RECALL)
def test_recall_points_to_headings_that_there_are(lesson):
    for question in RECALL[lesson]:
        number, heading = re.match(r"lesson (\d+), (.*)", question.where).groups()
        (earlier,) = (name for name in LESSONS if name.startswith(f"{number}_"))
        headings = re.findall(r"^#+ (.*)$", "\n".join(c.source for c in script(earlier).cells), re.MULTILINE)
        assert heading in [one.replace("$\\lambda$", "lambda") for one in headings] and int(number) < lesson
