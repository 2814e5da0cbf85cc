"""The pages of the sweeps at their published size have the numbers of the records beside them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from minifishr.sweeps import choices, recorded
from minifishr.sweeps.report import last_accuracy

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
PAGE = (RESULTS / "twenty" / "README.md").read_text(encoding="utf-8")
NAMES = {"Fishr": "fishr", "IRM": "irm", "V-REx": "vrex", "Fish": "fish", "CORAL": "coral", "ERM": "erm"}


def table_rows(heading, page=PAGE):
    """{method: cells} of the first table below a heading."""
    rows = page.split(heading)[1].split("\n|---")[1].split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {NAMES[name]: values for name, *values in cells if name in NAMES}


@cache
def chosen_from(name, rule="oracle", least=None):
    """The choices from a file of records, which takes a second to read."""
    return choices(records_of(name), rule, least=least)


@cache
def records_of(name):
    return recorded(RESULTS / f"{name}.records.gz")


@pytest.fixture(params=["plain", "matched"])
def kind_and_choices(request):
    return request.param, chosen_from(f"colored-{request.param}")


def test_all_domains_are_those_of_the_records(kind_and_choices):
    kind, found = kind_and_choices
    for method, cells in table_rows("## All three domains, seed 0").items():
        if kind == "plain" or "/" in cells[0]:
            shown = [float(cell.split(" / ")[kind == "matched"]) for cell in cells[:4]]
            ours = [100 * found["colored", method, name, 0].accuracy for name in ("+90%", "+80%", "-90%")]
            np.testing.assert_allclose(shown, [*ours, np.mean(ours)], atol=0.0501)  # one digit after the point


def test_three_seeds_are_those_of_the_records(kind_and_choices):
    kind, found = kind_and_choices
    for method, cells in table_rows("## With -90% left out, three seeds").items():
        test, trained, share, _ = cells[4:] if kind == "matched" else cells[:4]
        if test:
            chosen = [found["colored", method, "-90%", seed] for seed in range(3)]
            shown = [float(text) for text in [*test.split(" +- "), trained, share.split(",")[0]]]
            values = np.array([[getattr(c, key) for c in chosen] for key in ("accuracy", "trained", "share")])
            ours = [values[0].mean(), values[0].std(ddof=1) / 3**0.5, *values[1:].mean(axis=1)]
            np.testing.assert_allclose(shown, 100 * np.array(ours), atol=0.0501)


@pytest.mark.parametrize("least", ["none", "60", "65", "70"])
def test_runs_that_predict_in_training_are_those_of_the_records(least):
    row = PAGE.split(f"\n| {least} | ")[1].splitlines()[0].split("|")[:-1]
    columns = [("plain", name) for name in ("irm", "vrex", "fishr")]
    columns += [("matched", name) for name in ("irm", "vrex", "fishr", "coral")]
    for (kind, name), shown in zip(columns, row, strict=True):
        found = chosen_from(f"colored-{kind}", least=None if least == "none" else int(least) / 100)
        ours = np.mean([found["colored", name, "-90%", seed].accuracy for seed in range(3)])
        assert abs(100 * ours - float(shown)) < 0.0501


def test_rotated_digits_are_those_of_the_records():
    records = records_of("rotated-plain")
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    rows = table_rows("## Rotated MNIST at the published size", page)
    assert rows.keys() == {run.config.algorithm for run in records} and len(records) == 5 * len(rows)
    for method, cells in rows.items():
        for rule, cell in zip(("training-domain validation", "oracle"), cells, strict=False):
            choice = chosen_from("rotated-plain", rule)["rotated", method, "0", 0]
            assert cell == f"{100 * choice.accuracy:.1f} / {100 * choice.trained:.1f}"
        draws = {run.config.draw: 100 * last_accuracy(run) for run in records if run.config.algorithm == method}
        assert cells[2] == ", ".join(f"{draws[draw]:.1f}" for draw in range(5))
