import re
import shutil
from pathlib import Path

import pytest

from minifishr.conformance import GALLERY, check, check_steps
from minifishr.conformance.checking import STYLES
from minifishr.conformance.factors import fit
from minifishr.conformance.matching import coordinates, sizes
from minifishr.conformance.vectors import FILES, HERE, arrays, cases, forms, index

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "check_your_implementation.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n((?:(?!```).)*)```\n\n    ([^\n]*)\n", PAGE, re.DOTALL)


def test_numpy_example_gives_the_sentence_that_the_page_shows(capsys):
    (code, sentence) = next((code, text) for code, text in CODE if "PENALTIES" in code)
    exec(compile(code, "page", "exec"), {})
    shown, said = (text.split(" (largest")[0] for text in (sentence, capsys.readouterr().out))
    assert shown == said


def test_example_of_the_vectors_page_needs_numpy_alone_and_agrees(tmp_path, monkeypatch, capsys):
    for name in FILES:
        shutil.copy(HERE.joinpath(name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "vectors.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    code = code.replace(
        'json.load(open("vectors.json"))', 'json.loads(__import__("pathlib").Path("vectors.json").read_text())'
    )
    assert "minifishr" not in code
    exec(compile(code, "page", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(abs(float(line.split()[1])) < 1e-12 for line in lines)
    assert f"| `version` | {index()['version']} |" in page


def test_table_of_factors_is_what_the_vectors_say():
    rows = dict(
        re.findall(r"^\| (\w+) \| ((?:[\dmdnhk^()-]+ ?)+) \|$", PAGE.split("## Conventions and factors")[1], re.M)
    )
    found = {}
    for method in {form.method for form in forms()}:
        pair = [forms().index(next(f for f in forms() if f.method == method and f.convention == c))
                for c in ("paper", "domainbed")]  # fmt: skip
        one, other = ([arrays()[f"{case.name}/penalty"][number] for case in cases()] for number in pair)
        dims = [sizes(case, coordinates(pair[0], case)) for case in cases()]
        factor = fit([a / b for a, b in zip(one, other, strict=True)], dims, 1e-9)
        if factor:
            found[method] = str(factor)
    assert rows == found


def test_page_names_every_style_and_only_what_there_is():
    assert all(f'style="{style}"' in PAGE or style == "numpy" for style in STYLES)
    for name in re.findall(r"`(domains|logits|rows|dtype|memory)=", PAGE):
        assert name in check.__kwdefaults__
    assert {"settings"} <= set(check_steps.__code__.co_varnames)


@pytest.mark.parametrize("mistake", GALLERY, ids=lambda mistake: mistake.name)
def test_every_mistake_stands_in_the_public_gallery(mistake):
    gallery = (DOCS / "conformance" / "README.md").read_text(encoding="utf-8")
    assert f"| {mistake.name} | {mistake.words} |" in gallery
    assert mistake.seen in gallery
