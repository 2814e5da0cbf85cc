import re
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from minifishr.course import EXERCISES

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
def test_notebook_was_run_from_top_to_bottom_and_shows_nothing_of_a_machine(lesson):
    found = notebook(lesson)
    assert [cell.execution_count for cell in code(found)] == list(range(1, 1 + len(code(found))))
    assert stderr(found) == []
    text = (FOLDER / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert len(text) < 1_000_000 and not re.search(r'"(<Axes|Text\(|<matplotlib)', text)
    assert not re.search(r"/(home|root|tmp|usr|Users|opt)/|[A-Z]:\\\\", text)


@pytest.mark.parametrize("lesson", LESSONS)
def test_lesson_keeps_to_its_form(lesson):
    found = script(lesson)
    plain = [cell.source for cell in code(found)[2:] if not cell.metadata.get("tags")]  # no setup, figure or solution
    assert len(plain) <= 35
    for source in plain:
        lines = [line for line in source.splitlines() if line.strip()]
        assert len(lines) <= 10 and max(map(len, lines)) <= 88, source
    text = "\n".join(cell.source for cell in found.cells)
    assert text.startswith(f"# Lesson {lesson.split('_')[0]}. ")
    for part in ("After this lesson you can", " minutes. Read beside it: ", "## Three questions", "## Read on"):
        assert part in text
    assert "https://arxiv.org/abs/" in text.split("## Read on")[1]
    questions = text.split("## Three questions")[1].split("## Read on")[0]
    assert re.findall(r"^\d\. ", questions, re.MULTILINE) == 2 * ["1. ", "2. ", "3. "]  # and their answers
    assert "**Guess first.**" in text and sum(len(re.findall(r"^ *assert ", c.source, re.M)) for c in code(found)) >= 5


@pytest.mark.parametrize("lesson", LESSONS)
def test_exercise_is_a_stub_and_then_a_hidden_solution_that_passes(lesson):
    tries, solved = [], []
    for cell in code(script(lesson)):
        if "solution" in cell.metadata.get("tags", []):
            (name,) = re.findall(r'solution\("(\w+)"\)', cell.source)
            assert cell.metadata["jupyter"]["source_hidden"] and f'{name} = passed("{name}")' in cell.source
            solved.append(name)
        else:
            tries += re.findall(r'exercise\("(\w+)"', cell.source)
    assert len(tries) >= 3 and tries == solved


def test_every_exercise_is_in_one_lesson_and_every_lesson_in_the_course():
    used = Counter(re.findall(r'exercise\("(\w+)"', "".join((FOLDER / f"{n}.py").read_text() for n in LESSONS)))
    assert used == dict.fromkeys(EXERCISES, 1)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\w+)\.ipynb\)", page) == LESSONS
