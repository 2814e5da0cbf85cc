"""The pages of the sweeps at their published size have the numbers of the records beside them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from minifishr.sweeps import choices, recorded
from minifishr.sweeps.report import last_accuracy
from minifishr.sweeps.selection import searches
from minifishr.sweeps.tables import PUBLISHED

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
PAGE, SUMMARY, FIRST = ((RESULTS / name / "README.md").read_text(encoding="utf-8") for name in ("twenty", ".", "../.."))
DOMAINS = ("+90%", "+80%", "-90%")
NAMES = {"V-REx": "vrex", **{name: name.lower() for name in ("Fishr", "IRM", "Fish", "CORAL", "ERM", "DANN")}}


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


def spread(cell):
    """The numbers of a cell 'mean +- standard error', or 'mean'."""
    return [float(text) for text in cell.split(" +- ")]


def over_seeds(found, method, names, key="accuracy"):
    """In percent the mean over three seeds of the mean over left-out domains, and its standard error."""
    each = np.array([[getattr(found["colored", method, name, seed], key) for name in names] for seed in range(3)])
    values = 100 * each.mean(axis=1)
    return [values.mean(), values.std(ddof=1) / 3**0.5]


HEADINGS = {"matched": "## All three domains", "plain": "### DomainBed's ranges"}
COMPARED = {
    "matched": ["fishr", "irm", "vrex", "coral", "erm"],
    "plain": ["irm", "vrex", "fishr", "coral", "erm", "fish", "dann"],
}


@pytest.mark.parametrize("kind", HEADINGS)
def test_averages_are_those_of_the_records(kind):
    rows = table_rows(HEADINGS[kind])
    assert [*rows] == COMPARED[kind]
    found, able = (chosen_from(f"colored-{kind}", least=least) for least in (None, 0.65))
    for method, cells in rows.items():
        ours = [over_seeds(found, method, [name]) for name in DOMAINS]
        ours += [over_seeds(found, method, DOMAINS), over_seeds(able, method, DOMAINS)]
        np.testing.assert_allclose([spread(cell) for cell in cells[:5]], ours, atol=0.0501)  # one digit


@pytest.mark.parametrize("kind", HEADINGS)
def test_page_of_results_has_the_same_numbers(kind):
    ours, hardest = table_rows("## Colored MNIST, twenty draws", SUMMARY), table_rows("## With -90% left out")
    for method, (*_, hard, average, able, published) in table_rows(HEADINGS[kind]).items():
        pair = f"{spread(hard)[0]} / {hardest[method][5 if kind == 'matched' else 1]}"
        assert ours[method][0] == published == str(PUBLISHED["colored", "oracle"][method])
        assert [average, able, pair] == ours[method][3:6] if kind == "matched" else [average, pair] == ours[method][1:3]


def test_first_page_has_the_averages_of_the_page_of_results():
    first = table_rows("DomainBed's own table", FIRST)
    assert first == {n: [*row[:2], row[3]] for n, row in table_rows("## Colored MNIST, twenty draws", SUMMARY).items()}


@pytest.mark.parametrize("name", DOMAINS)
def test_domain_tables_are_those_of_the_records(name, kind_and_choices):
    kind, found = kind_and_choices
    searched = searches(records_of(f"colored-{kind}"))
    for method, cells in table_rows(f"## With {name} left out").items():
        test, trained, share, above = cells[4:] if kind == "matched" else cells[:4]
        if not test:
            continue
        seeds = range(3)
        chosen = [found["colored", method, name, seed] for seed in seeds]
        erm = [found["colored", "erm", name, seed].accuracy for seed in seeds]
        draws = [[last_accuracy(run) for run, _ in searched["colored", method, name, s].values()] for s in seeds]
        better = np.mean([one > best for best, some in zip(erm, draws, strict=True) for one in some])
        ours = over_seeds(found, method, [name])
        ours += [100 * np.mean([getattr(choice, key) for choice in chosen]) for key in ("trained", "share")]
        np.testing.assert_allclose([*spread(test), float(trained), float(share.split(",")[0])], ours, atol=0.0501)
        assert abs(float(above) - 100 * better) <= 0.5


@pytest.mark.parametrize("least", ["none", "60", "65", "70"])
def test_runs_that_predict_in_training_are_those_of_the_records(least):
    row = PAGE.split(f"\n| {least} | ")[1].splitlines()[0].split("|")[:-1]
    columns = [("plain", name) for name in ("irm", "vrex", "fishr")]
    columns += [("matched", name) for name in ("irm", "vrex", "fishr", "coral")]
    for (kind, name), shown in zip(columns, row, strict=True):
        found = chosen_from(f"colored-{kind}", least=None if least == "none" else int(least) / 100)
        ours = np.mean([found["colored", name, "-90%", seed].accuracy for seed in range(3)])
        assert abs(100 * ours - float(shown)) < 0.0501


@pytest.mark.parametrize(
    ("rule", "heading"),
    [("oracle", "By the oracle"), ("training-domain validation", "By training-domain validation")],
)
def test_rotated_digits_are_those_of_the_records(rule, heading):
    section = SUMMARY.split("## Rotated MNIST, five draws")[1]
    rows = table_rows(heading, section)
    records = [run for run in records_of("rotated-plain") if run.config.seed == 0]  # the tables' seed
    found = chosen_from("rotated-plain", rule)
    assert rows.keys() == {run.config.algorithm for run in records}
    assert len(records) == 6 * 5 * len(rows)  # domains, draws
    for method, cells in rows.items():
        chosen = [found["rotated", method, f"{15 * k}", 0] for k in range(6)]
        ours = [*(c.accuracy for c in chosen), *np.mean([(c.accuracy, c.trained) for c in chosen], axis=0)]
        np.testing.assert_allclose([float(cell) for cell in cells[:8]], 100 * np.array(ours), atol=0.0501)
        assert cells[8:] == ([str(PUBLISHED["rotated", rule][method])] if rule == "oracle" else [])
