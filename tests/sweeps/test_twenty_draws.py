"""The page of twenty draws has the numbers of the records beside it."""

from pathlib import Path

import numpy as np
import pytest

from minifishr.sweeps import choices, recorded

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
PAGE = (RESULTS / "twenty" / "README.md").read_text(encoding="utf-8")
NAMES = {"Fishr": "fishr", "IRM": "irm", "V-REx": "vrex", "Fish": "fish", "CORAL": "coral", "ERM": "erm"}


def table_rows(heading):
    """{method: cells} of the first table below a heading."""
    rows = PAGE.split(heading)[1].split("\n|---")[1].split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {NAMES[name]: values for name, *values in cells if name in NAMES}


@pytest.fixture(scope="module", params=["plain", "matched"])
def kind_and_choices(request):
    return request.param, choices(recorded(RESULTS / f"colored-{request.param}.records.gz"), "oracle")


def test_all_domains_are_those_of_the_records(kind_and_choices):
    kind, found = kind_and_choices
    for method, cells in table_rows("## All three domains, seed 0").items():
        if kind == "plain" or "/" in cells[0]:
            shown = [float(cell.split(" / ")[kind == "matched"]) for cell in cells[:4]]
            ours = [100 * found["colored", method, name, 0].accuracy for name in ("+90%", "+80%", "-90%")]
            np.testing.assert_allclose(shown, [*ours, np.mean(ours)], atol=0.0501)  # one digit after the point


def test_two_seeds_are_those_of_the_records(kind_and_choices):
    kind, found = kind_and_choices
    for method, cells in table_rows("## With -90% left out, seeds 0 and 1").items():
        test, trained, share, _ = cells[4:] if kind == "matched" else cells[:4]
        if test:
            one, other = (found["colored", method, "-90%", seed] for seed in (0, 1))
            shown = [float(text) for text in [*test.split(" +- "), trained, share.split(",")[0]]]
            means = [np.mean([getattr(c, key) for c in (one, other)]) for key in ("accuracy", "trained", "share")]
            ours = [means[0], abs(one.accuracy - other.accuracy) / 2, *means[1:]]
            np.testing.assert_allclose(shown, 100 * np.array(ours), atol=0.0501)
