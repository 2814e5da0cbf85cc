import pytest
from sweeps.test_report import cells, report
from sweeps.test_selection import record

from minifishr import cli
from minifishr.data import Row
from minifishr.sweeps import records
from minifishr.sweeps.sections import sections
from minifishr.sweeps.unselected import HEADING, last_blocks

ONE = "Own data, " + HEADING


def test_table_has_mean_and_standard_deviation_of_the_last_step_by_hand():
    # 50 and 52 percent: mean 51, standard deviation sqrt(2); validation would have chosen step 10
    found = [record("d", {10: 0.9, 20: 0.5 + seed / 50}, {10: 0.9, 20: 0.1}, seed=seed) for seed in (0, 1)]
    found += [record("d", 0.25, method="fishr"), record("d", method="irm", failure="went wrong")]
    assert cells(report(found)["report.md"], ONE) == [
        ["method", "a", "b", "c", "d (test)", "seeds"],
        ["erm", *["51.0 +- 1.4"] * 4, "2"],
        ["irm", *["failed"] * 4, "0"],
        ["fishr", *["25.0"] * 4, "1"],
    ]


def test_each_left_out_domain_has_its_own_table_and_pairs_have_none():
    (part,) = sections([record("a", 0.1), record("d", 0.2), record("ad", 0.9)])
    heading, a, d, words = last_blocks(part)
    assert heading == f"### {ONE}" and "standard deviation" in words
    assert a.splitlines()[0].split("|")[5].strip() == "a (test)" and "10.0" in a and "20.0" not in a
    assert d.splitlines()[0].split("|")[5].strip() == "d (test)" and "20.0" in d and "90.0" not in d


def test_there_is_none_where_draws_were_searched_or_all_failed():
    assert HEADING not in report([record("d", draw=draw) for draw in (0, 1)])["report.md"]
    for reason in ("went wrong", ""):
        assert HEADING not in report([record("d", failure=reason)])["report.md"]


def test_many_training_domains_are_shown_as_their_mean_and_what_is_measured_besides_comes_last():
    run = record("d")
    names = [f"t{i}" for i in range(8)]
    rows = [Row(20, name, "accuracy", i / 10) for i, name in enumerate(["d", "grey", *names])]  # 0.2 to 0.9 in training
    rows += [Row(20, name, "validation accuracy", 0.5) for name in names]
    assert cells(report([run._replace(history=rows)])["report.md"], ONE) == [
        ["method", "mean of 8 training domains", "d (test)", "grey", "seeds"],
        ["erm", "55.0", "0.0", "10.0", "1"],
    ]


def test_domain_that_is_called_test_is_not_called_so_twice():
    run = record("d", dataset="linear", data="linear")
    rows = [row._replace(domain={"d": "test"}.get(row.domain, row.domain)) for row in run.history]
    run = run._replace(config=run.config._replace(test_domain="test"), history=rows)
    assert cells(report([run])["report.md"], f"Linear toy, {HEADING}")[0] == ["method", *"abc", "test", "seeds"]


def test_run_without_a_domain_at_its_last_step_does_not_count_there():
    run, other = record("d", 0.25), record("d", 0.75, seed=1)
    lacks = [row for row in other.history if row != Row(20, "a", "accuracy", 0.75)]
    both = [row for row in lacks if row.metric != "validation accuracy" or row.step < 20]
    for history in (lacks, both):
        page = report([run, other._replace(history=history)])["report.md"]
        assert cells(page, ONE)[1] == ["erm", "25.0", *["50.0 +- 35.4"] * 3, "2"]
    page = report([other._replace(history=both)])["report.md"]
    assert cells(page, ONE)[1] == ["erm", "-", *["75.0"] * 3, "1"]


@pytest.mark.parametrize("preset", ["irm", "domainbed"])
def test_sweep_of_one_draw_gives_the_table_of_compare(tmp_path, capsys, preset):
    words = ["--algorithms", "erm", "fishr", "--preset", preset, "--steps", "3", "--count", "200", "--size", "7"]
    words += ["--seeds", "2", "--digits", "rendered", "--jobs", "1"]
    assert cli.main(["compare", *words, "--out", str(tmp_path / "one")]) == 0
    assert cli.main(["sweep", *words, "--test-domains=-90%", "--out", str(tmp_path / "two")]) == 0
    capsys.readouterr()
    table = (tmp_path / "one" / "table.md").read_text(encoding="utf-8")
    expected = [row[:-1] for row in cells(f"### one\n\n{table}", "one")]
    page = report(records.records(tmp_path / "two"))["report.md"]
    title = next(line for line in page.splitlines() if HEADING in line).removeprefix("### ")
    ours = [row[:-1] for row in cells(page, title)]
    assert ours == expected and len(ours) == 3
