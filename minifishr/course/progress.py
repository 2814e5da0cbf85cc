"""What is done: attempts and exercises that passed, in a small file in the folder where one works."""

import json
import zlib
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from ..data import write_whole
from .calls import wrapped

FILE = "course_progress.json"


class Progress(NamedTuple):
    """{lesson: {name: passed}}, with the three questions of recall as one more name; a notebook shows it as a table."""

    lessons: dict

    def __repr__(self):
        """A line a lesson: how much is done, and what is open."""
        rows = []
        for lesson, names in self.lessons.items():
            left = [name for name, passed in names.items() if not passed]
            rows.append(f"lesson {lesson:>2}: {len(names) - len(left)} of {len(names)} done")
            rows[-1] += f", open: {', '.join(left)}" if left else ""
        return "\n".join(map(wrapped, rows))


def kept():
    """{name: {"tried": [number of each different attempt], "passed": bool}}; ValueError if the file is damaged."""
    path = Path(FILE)
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {name: {"tried": list(one["tried"]), "passed": bool(one["passed"])} for name, one in found.items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: rename or delete it, and go on") from error


def attempts(name):
    """The numbers of the attempts at an exercise; none where they cannot be read."""
    try:
        return kept().get(name, {"tried": []})["tried"]
    except OSError:
        return []


def noted(name, feedback, attempt):
    """The Feedback, after writing down an attempt, a number; it says so where that is not possible."""
    try:
        if feedback.attempt:
            note(name, feedback, attempt)
    except OSError as error:
        line = wrapped(f"(not kept: {error})")
        return feedback._replace(message=f"{feedback.message}\n{line}")
    return feedback


def note(name, feedback, attempt):
    """Write down an attempt; a passed exercise stays passed."""
    found = kept()
    one = found.get(name, {"tried": [], "passed": False})
    tried = one["tried"] if attempt in one["tried"] else [*one["tried"], attempt]
    found[name] = {"tried": tried, "passed": one["passed"] or bool(feedback)}
    write_whole(Path(FILE), json.dumps(found, indent=1).encode())


def fingerprint(answer):
    """A number that tells an attempt from another one: of what the function does, not of where it stands."""

    def parts(code):
        inner = [parts(one) if isinstance(one, CodeType) else one for one in code.co_consts]
        return code.co_code, code.co_names, inner

    code = getattr(answer, "__code__", None)
    return zlib.crc32(repr(parts(code) if code else answer).encode())
