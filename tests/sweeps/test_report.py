import csv
import io
import json
import re
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps.test_selection import NAMES, pairs, record

from minifishr import cli, plots
from minifishr.data import Row
from minifishr.experiments import DISPERSION, MOST_PREDICTED
from minifishr.sweeps.figures import best_so_far, draw_settings, in_orders, last_accuracies, sweep_figures
from minifishr.sweeps.records import records, runs_folder, write_record
from minifishr.sweeps.report import report as texts
from minifishr.sweeps.sections import in_order, sections, shared, short
from minifishr.sweeps.selection import RULES, searches
from minifishr.sweeps.tables import AVERAGE, PUBLISHED, cell, lines, ranks, text


def report(records, **options):
    """The files of the report of some records, without pictures."""
    return texts(sections(records), **options)


def cells(markdown, heading):
    """Header and rows of the table right under a heading."""
    part = markdown.split(f"### {heading}\n\n")[1].split("\n\n")[0]
    table = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[each.strip() for each in line] for n, line in enumerate(table) if n != 1]


def small():
    """Two methods, two seeds, two draws, each of four domains left out: with known answers under the oracle rule.

    Draw 1 is the better one. The test accuracy of erm is 0.5 + place / 10 + seed / 50, that of fishr is 0.1 higher.
    """
    return [
        record(name, 0.5 + place / 10 + seed / 50 + (method == "fishr") / 10, oracle=0.5 + draw / 10, draw=draw, **rest)
        for place, name in enumerate(NAMES)
        for seed in (0, 1)
        for draw in (0, 1)
        for method in ("erm", "fishr")
        for rest in [{"seed": seed, "method": method}]
    ]


def test_table_has_mean_and_standard_error_by_hand():
    # seeds 50 and 52: mean 51, standard deviation sqrt(2), standard error sqrt(2) / sqrt(2) = 1
    header, erm, fishr = cells(report(small())["report.md"], "Own data, oracle")
    assert header == ["method", "a", "b", "c", "d", "average", "rank"]
    assert erm == ["erm", "51.0 +- 1.0", "61.0 +- 1.0", "71.0 +- 1.0", "81.0 +- 1.0", "66.0 +- 1.0", "2"]
    assert fishr[1:] == ["61.0 +- 1.0", "71.0 +- 1.0", "81.0 +- 1.0", "91.0 +- 1.0", "76.0 +- 1.0", "1"]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_cell_agrees_with_the_definition(values):
    found, n = cell(values), len(values)
    mean = sum(values) / n
    assert found.mean == pytest.approx(100 * mean) and found.seeds == n
    assert found.error == pytest.approx(100 * (sum((v - mean) ** 2 for v in values) / (n - 1) / n) ** 0.5, abs=1e-9)


def test_one_seed_has_no_standard_error_and_no_seed_no_cell():
    assert text(cell([0.5]), 1) == "50.0" and text(cell([0.5]), 3) == "50.0 (1/3)" and text(cell([]), 3) == "-"


def test_average_needs_all_domains_of_a_seed():
    found = {("erm", "a", 0): 0.2, ("erm", "b", 0): 0.4, ("erm", "a", 1): 0.9}
    found |= {("irm", "a", 1): 0.5}
    erm, irm = lines(found, ["erm", "irm"], ["a", "b"])
    assert [text(each, 2) for each in (*erm.cells.values(), erm.average)] == [
        "55.0 +- 35.0", "40.0 (1/2)", "30.0 (1/2)",
    ]  # fmt: skip
    assert [text(each, 2) for each in (*irm.cells.values(), irm.average)] == ["50.0 (1/2)", "-", "-"]
    assert (erm.rank, irm.rank) == (None, None)  # nobody is the first of one


def test_equal_averages_have_equal_ranks_and_the_next_is_left_out():
    assert ranks({"a": 3.0, "b": 5.0, "c": 5.0 + 1e-12, "d": 1.0}) == {"a": 3, "b": 1, "c": 1, "d": 4}


def test_missing_and_failed_runs_are_counted_and_cells_say_how_many_seeds_they_have():
    found = [r for r in small() if not (r.config.seed == 1 and r.config.test_domain == "c")]
    for place, each in enumerate(found):
        if each.config.algorithm == "erm" and each.config.test_domain == "a" and each.config.seed == 0:
            found[place] = each._replace(failure="went wrong", history=[])
    page = report(found)["report.md"]
    counts = (
        "32 runs (2 methods x 4 choices of what is left out x 2 draws x 2 seeds): 26 done, 2 failed (erm 2), 4 missing."
    )
    assert counts in page
    _, erm, fishr = cells(page, "Own data, oracle")
    assert erm == ["erm", "52.0 (1/2)", "61.0 +- 1.0", "70.0 (1/2)", "81.0 +- 1.0", "-", "-"]
    assert fishr[-2:] == ["75.0 (1/2)", "-"]  # ERM has no average
    assert "(k/2): only k seeds count, - none; an average needs a seed with all domains." in page


def colored(**options):
    """Colored MNIST of two training domains, each domain left out."""
    rename = dict(zip("abc", ("+90%", "+80%", "-90%"), strict=True))
    found = []
    for old in [record(name, 0.2, dataset="colored", data="MNIST 0123", **options) for name in "abc"]:
        history = [row._replace(domain=rename[row.domain]) for row in old.history if row.domain != "d"]
        found.append(
            old._replace(config=old.config._replace(test_domain=rename[old.config.test_domain]), history=history)
        )
    return found


def test_colored_mnist_says_why_half_is_normal_what_was_published_and_what_cannot_be():
    page = report([*colored(), *colored(method="vrex"), *colored(method="sand_mask")])["report.md"]
    assert page.count("An average of about 50 % is normal here") == 1
    assert cells(page, "Colored MNIST, oracle") == [
        ["method", "+90%", "+80%", "-90%", "average", "rank", "published average"],
        ["erm", "20.0", "20.0", "20.0", "20.0", "1", "57.8"],
        ["vrex", "20.0", "20.0", "20.0", "20.0", "1", "67.0"],
        ["sand_mask", "20.0", "20.0", "20.0", "20.0", "1", "-"],
    ]
    assert cells(page, "Colored MNIST, training-domain validation")[1][-1] == "51.5"
    assert "it has 3 domains, and with two left out fewer than 2 remain to train on" in page
    assert "small convolutional net, not an MLP" in page
    assert page.count("Selection rule: oracle, the draw with the best accuracy on held-out rows of the left-out") == 1


def test_average_over_some_of_the_domains_has_no_published_one_beside_it():
    page = report([r for r in colored() if r.config.test_domain != "+90%"])["report.md"]
    assert cells(page, "Colored MNIST, oracle")[0] == ["method", "+80%", "-90%", "average", "rank"]


def test_irm_setup_has_no_oracle_no_published_numbers_and_no_average_to_explain():
    old = colored(convention="paper")[2]
    old = old._replace(history=[row for row in old.history if row.metric != "oracle accuracy"])
    page = report([old])["report.md"]
    assert "is normal here" not in page and "ublished" not in page
    assert "no run that ended well has the held-out rows that it looks at" in page


def test_leave_one_domain_out_says_what_it_needs_until_it_is_there():
    assert "needs the runs that `minifishr sweep --leave-two-out` adds" in report(small())["report.md"]
    found = [record("b", {10: 0.25}), *pairs("b", {name: {10: 0.5} for name in "acd"})]
    assert cells(report(found)["report.md"], "Own data, leave-one-domain-out")[1] == ["erm", "25.0", "25.0", "1"]
    toy = [record("d", 0.25, dataset="linear", data=None)]
    assert "its test domain is fixed" in report(toy)["report.md"]


def test_sweep_in_which_all_failed_is_a_report_too():
    page = report([record("a", failure="went wrong", seed=seed) for seed in (0, 1)])["report.md"]
    assert "1 choice of what is left out x 1 draw x 2 seeds): 0 done, 2 failed (erm 2), 0 missing." in page
    assert page.count("Not available for this data set") == 3 and "| Own data, oracle" in page


def test_published_numbers_leave_out_what_is_only_remembered():
    assert {name for found in PUBLISHED.values() for name in found} == {
        "erm", "irm", "vrex", "fish", "fishr", "coral", "dann",
    }  # fmt: skip


def test_domains_are_in_the_order_of_the_data_set():
    rename = dict(zip(NAMES, ("75", "0", "x", "15"), strict=True))
    found = []
    for each in [record(name) for name in "dbca"]:
        history = [row._replace(domain=rename[row.domain]) for row in each.history]
        found.append(
            each._replace(config=each.config._replace(test_domain=rename[each.config.test_domain]), history=history)
        )
    assert in_order(found) == ["75", "0", "x", "15"]


def test_comma_separated_table_has_the_numbers_of_the_markdown_table():
    files = report(small())
    rows = list(csv.DictReader(io.StringIO(files["own-oracle.csv"])))
    assert len(rows) == 2 * 5 and {(row["dataset"], row["rule"]) for row in rows} == {("own", "oracle")}
    average = [row for row in rows if row["left_out"] == AVERAGE]
    assert [(row["method"], row["accuracy"], row["standard_error"], row["seeds"], row["rank"]) for row in average] == [
        ("erm", "66.0000", "1.0000", "2", "2"), ("fishr", "76.0000", "1.0000", "2", "1"),
    ]  # fmt: skip


def test_latex_escapes_percent_signs_and_underscores_and_names_the_rule():
    tex = report(colored(method="sand_mask"))["colored-oracle.tex"]
    assert (
        r"+90\%" in tex
        and r"sand\_mask" in tex
        and not re.search(r"(?<!\\)[%_&](?=[^\n]*caption)", tex.split("tabular")[-1])
    )
    assert tex.startswith("\\begin{table}\n") and r"\caption{Colored MNIST: test accuracy" in tex and r"\toprule" in tex
    assert r"60.0 $\pm$ 1.0" not in tex and r" $\pm$ " in report(small())["own-oracle.tex"]


# ---- figures


def test_best_so_far_ends_at_the_number_of_the_table():
    found = [record("d", 0.1 * draw, oracle=(draw * 3 % 5) / 10, draw=draw) for draw in range(5)]
    curve = best_so_far(searches(found), "erm")
    # draw 3 has oracle accuracy 0.4; the first number is the mean of all test accuracies
    assert curve[-1] == pytest.approx(30) and curve[0] == pytest.approx(20) and len(curve) == 5
    assert len(best_so_far(searches([*found, record("c", draw=1)]), "erm")) == 1
    assert len(best_so_far(searches(found), "fishr")) == 0


def test_points_are_the_last_step_and_the_mean_over_seeds():
    found = searches([record("d", {10: 0.9, 20: 0.2}), record("d", {20: 0.4}, seed=1), record("d", 0.7, draw=1)])
    assert last_accuracies(found, "erm") == {"d": {0: pytest.approx(30), 1: pytest.approx(70)}}


def test_figures_have_a_point_for_every_draw():
    (part,) = sections([*small(), record("a", failure="went wrong", draw=2, method="fishr")])
    drawn = {name: figure for name, (_, figure) in sweep_figures(part).items()}
    assert list(drawn) == [
        "own-sensitivity.png", "own-best-so-far.png", "own-erm-hyper-parameters.png", "own-fishr-hyper-parameters.png",
    ]  # fmt: skip
    strips = drawn["own-sensitivity.png"].axes[0]
    assert [len(line.get_xdata()) for line in strips.lines] == [2, 2]
    assert strips.lines[1].get_color() == plots.METHODS["fishr"][0]
    lr, batch = drawn["own-erm-hyper-parameters.png"].axes
    assert lr.get_xlabel() == "lr" and lr.lines[0].get_xdata().tolist() == [0.001, 0.002]
    assert batch.get_xlabel() == "batch" and {line.get_marker() for line in batch.lines[:4]} == set("os^X")
    assert lr.lines[4].get_xdata() == [0.001, 0.001]  # the default
    assert not sweep_figures(sections([record("a")])[0])


def test_matched_weights_are_named_in_every_heading_caption_and_figure():
    weighed = [record("a", draw=n, matched=True, hyper_parameters={"penalty_weight": 1.0 + n}) for n in range(2)]
    found, (part,) = [*weighed, record("a", method="irm")], sections([*weighed, record("a", method="irm")])
    page = report(found)["report.md"]
    assert "## Own data, matched\n" in page and "### Own data, matched, oracle\n" in page
    drawn = sweep_figures(part)
    assert all("Own data, matched" in title for title, _ in drawn.values()) and len(drawn) == 3
    weight, _ = drawn["own-erm-hyper-parameters.png"][1].axes
    assert weight.get_xlabel() == "lambda * penalty / risk"


@pytest.mark.parametrize(
    ("x", "scale"),
    [([1e-4, 3e-4, 1e-2], "log"), ([0.9, 0.95, 0.99], "linear"), ([0, 1, 3, 500], "symlog"), ([0, 0.5], "linear")],
)
def test_scale_of_a_hyper_parameter_follows_where_most_values_are(x, scale):
    from plots.test_plots import axis

    ax = plots.draws(axis(), x, {"a": np.zeros(len(x))})
    assert ax.get_xscale() == scale and len(ax.get_xticks()) < 12


# ---- the command


@pytest.fixture
def folder(tmp_path):
    """A folder with the records of a small sweep, of which one run failed."""
    runs_folder(tmp_path).mkdir()
    for each in [*small(), record("a", failure="went wrong", draw=2)]:
        write_record(tmp_path, each)
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_command_writes_the_same_bytes_again_whatever_the_seconds(folder, capsys):
    assert cli.main(["report", str(folder)]) == 0
    first, page = contents(folder / "report"), capsys.readouterr().out
    assert {str(name) for name in first} == {
        "report.md", "own-oracle.csv", "own-oracle.tex", "own-training-domain-validation.csv",
        "own-training-domain-validation.tex", "own-sensitivity.png", "own-best-so-far.png",
        "own-erm-hyper-parameters.png", "own-fishr-hyper-parameters.png",
    }  # fmt: skip
    assert page.startswith((folder / "report" / "report.md").read_text()) and "1 failed (erm 1), 15 missing" in page
    assert all(f"({name})" in page for name in map(str, first) if name.endswith(".png"))
    for each in records(folder):
        write_record(folder, each._replace(seconds=7.0, versions={"python": "4"}))
    assert cli.main(["report", str(folder), "--out", str(folder / "again" / "here")]) == 0
    assert contents(folder / "again" / "here") == first


def measured(runs):
    """The same runs with a dispersion of the risks: 0.5 at first, then draw / 10 + seed / 50, fishr's half of it."""
    found = []
    for run in runs:
        value = (run.config.draw / 10 + run.config.seed / 50) / (1 + (run.config.algorithm == "fishr"))
        rows = [Row(step, "", f"{DISPERSION} risk", v) for step, v in ((0, 0.5), (20, value))]
        found.append(run._replace(config=run.config._replace(invariances=True), history=[*run.history, *rows]))
    return found


def test_invariance_matrix_is_of_the_runs_that_the_oracle_chooses():
    page = report(measured(small()))["report.md"]
    rows = cells(page, "Own data, what each method has made equal")
    # the oracle chooses draw 1: the mean of 0.10 and 0.12, and half of it
    assert rows == [["trained with", "risk"], ["untrained", "0.5"], ["erm", "0.11"], ["fishr", "0.055"]]
    assert "the runs that the oracle chooses, with a or b or c or d left out, mean of 2 seeds" in page
    assert "made equal" not in report(small())["report.md"]


def test_invariance_matrix_compares_methods_on_the_left_out_domains_that_all_have():
    some = [r for r in measured(small()) if r.config.algorithm == "erm" or r.config.test_domain == "b"]
    page = report([r for r in some if r.config.seed == 1 or r.config.test_domain != "b"])["report.md"]
    # seed 1 alone has b left out: 0.12, and half of it
    assert cells(page, "Own data, what each method has made equal")[2:] == [["erm", "0.12"], ["fishr", "0.06"]]
    assert "the oracle chooses, with b left out, one seed" in page
    none = [r if r.config.algorithm == "erm" else r._replace(failure="seed 0: lost", history=[]) for r in some]
    page = report(none)["report.md"]  # a method without a run takes nothing from the others
    assert "left out, mean of 2 seeds; nothing was measured of fishr" in page.replace("'", "")
    apart = [r for r in measured(small()) if (r.config.algorithm == "erm") == (r.config.test_domain == "b")]
    assert "made equal" not in report(apart)["report.md"]


def test_invariance_matrix_without_an_oracle_is_of_the_defaults():
    blind = [r._replace(history=[w for w in r.history if w.metric != "oracle accuracy"]) for r in measured(small())]
    assert cells(report(blind)["report.md"], "Own data, what each method has made equal")[2] == ["erm", "0.01"]
    (only,) = sections(blind[:8:4])
    assert list(sweep_figures(only)) == ["own-invariances.png"]


@pytest.mark.parametrize("kind", ["missing", "empty", "foreign", "damaged", "no sweep", "strange data", "other format"])
def test_folders_without_a_sweep_are_refused_in_one_sentence_and_left_alone(kind, tmp_path, capsys):
    folder = tmp_path / "x"
    if kind != "missing":
        folder.mkdir()
    if kind == "foreign":
        (folder / "notes.txt").write_text("mine")
    if kind in ("damaged", "no sweep", "strange data", "other format"):
        runs_folder(folder).mkdir()
        config = record("a").config
        configs = {"no sweep": config._replace(draw=None), "strange data": config._replace(dataset="cifar")}
        write_record(folder, record("a")._replace(config=configs.get(kind, config)))
        path = next(runs_folder(folder).iterdir())
        if kind == "damaged":
            path.write_bytes(path.read_bytes()[:-9])
        if kind == "other format":
            path.write_text(json.dumps({"format": 2}))
    before = contents(tmp_path)
    assert cli.main(["report", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("minifishr report: ") and "Traceback" not in err
    assert contents(tmp_path) == before and folder.exists() == (kind != "missing")


def test_place_that_cannot_be_written_is_named(folder, capsys):
    (folder / "file").write_text("")
    assert cli.main(["report", str(folder), "--out", str(folder / "file")]) == 2
    assert re.search(r"--out .*file: cannot be written: File exists\n$", capsys.readouterr().err)


def test_every_rule_is_in_every_section():
    page = report([*small(), *colored()])["report.md"]
    for title in ("Own data", "Colored MNIST"):
        assert all(f"### {title}, {rule}\n" in page for rule in RULES)


def one_sided(method, share, accuracy, oracle, draw=0, seed=0):
    """A run that left out "a", with the share of its most frequent prediction there."""
    found = record("a", accuracy, oracle=oracle, draw=draw, seed=seed, method=method)
    return found._replace(
        history=[*found.history, *(Row(s, "a", MOST_PREDICTED, share) for s in {r.step for r in found.history})]
    )


def test_constant_predictors_are_said_and_a_second_table_leaves_them_out():
    runs = [one_sided("irm", 1.0, 0.5, 0.6), one_sided("irm", 0.7, 0.4, 0.5, draw=1), one_sided("erm", 0.55, 0.3, 0.3)]
    runs += [one_sided("erm", 0.55, 0.2, 0.2, draw=1)]
    page = report(runs)["report.md"]
    assert cells(page, "Own data, oracle")[1:] == [["erm", "30.0", "30.0", "2"], ["irm", "50.0", "50.0", "1"]]
    part = page.split("### Own data, oracle")[1]
    assert table_below(part, "How one-sided the chosen runs are:")[1:] == [
        ["erm", "55.0"],
        ["irm", "100.0 (1 constant)"],
    ]
    without = table_below(part, "The same where constant predictors cannot be chosen:")
    assert [row[:2] for row in without[1:]] == [["erm", "30.0"], ["irm", "40.0"]]
    # the oracle's ERM has 30: both draws of IRM are above it, ERM's own is not
    assert table_below(part, "Draws that beat ERM:")[1:] == [["erm", "0"], ["irm", "100"]]
    assert "cannot be chosen" not in report(runs[1:])["report.md"]


def test_least_accuracy_in_training_gives_a_table_of_its_own_and_how_sure_its_order_is():
    # the oracle's irm is at chance in training; 60 percent there leave it the other draw, 10 points below erm
    of = [("irm", 0.9, 0.5, 0.9), ("irm", 0.3, 0.6, 0.3), ("erm", 0.4, 0.8, 0.4), ("erm", 0.2, 0.8, 0.2)]
    runs = [
        record("d", accuracy, held, oracle, draw=n % 2, seed=seed, method=method)
        for seed in (0, 1, 2)
        for n, (method, accuracy, held, oracle) in enumerate(of)
    ]
    page = report(runs, least=0.6)["report.md"].split("### Own data, oracle")[1]
    words = "The same where no run below 60 % in training can be chosen:"
    assert [row[1] for row in table_below(page, words)[1:]] == ["40.0 +- 0.0", "30.0 +- 0.0"]
    assert table_below(page, "How sure that order is:")[2] == ["irm", "-10.0 +- 0.0", "0.25", "3", "none"]
    assert table_below(page, "How sure the order is:")[1][1] == "+50.0 +- 0.0"
    none = report(runs, least=0.9)["report.md"].split("no run below 90 % in training can be chosen:")[1]
    assert none.startswith("\n\nNothing is left.\n\n")
    some = report(runs, least=0.7)["report.md"].split("no run below 70 % in training can be chosen:")[1]
    assert ["irm", "-", "-", "-"] in cells(f"### x\n\n{some.strip()}", "x")
    assert "can be chosen:" not in report(runs)["report.md"]


@pytest.mark.parametrize("least", ["1.5", "-1", "nan", "much", "65"])
def test_least_accuracy_is_a_share(least, folder, capsys):
    assert cli.main(["report", str(folder), f"--least={least}"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--least" in err and least in err


def test_what_the_last_step_costs_is_a_table_below_the_oracles():
    early = {0: 0.1, 10: 0.7, 20: 0.3}
    page = report([record(method="erm", left_out=["d"], accuracy=early, oracle=early)])["report.md"]
    assert cells(page, "Own data, oracle")[1][1] == "30.0"
    words = "The same where the oracle also chooses the step, the untrained network apart:"
    assert table_below(page, words)[1][1] == "70.0"


def test_what_the_chosen_runs_have_in_training_is_the_mean_over_rows_held_out_there():
    held = {10: {"a": 0.9, "b": 0.8, "c": 0.7}, 20: {"a": 0.5, "b": 0.6, "c": 0.1}}
    scores = {"oracle": {10: 0.8, 20: 0.7}, "held": held}
    page = report([record("d", seed=0, **scores), record("d", seed=1, **scores | {"held": 0.6}), record("c", seed=1)])
    part = page["report.md"].split("### Own data, oracle")[1]
    header, last = table_below(part, "What the chosen runs have in training:")
    assert (header, last) == (["method", "c", "d"], ["erm", "50.0", "50.0"])  # seeds of d: 0.4 and 0.6
    early = table_below(part, "What those have in training at that step:")[1]
    assert early == ["erm", "50.0", "70.0"]  # seeds of d: 0.8 and 0.6


def table_below(markdown, words):
    """The table after some words."""
    return cells(f"### x\n\n{markdown.split(words)[1].strip()}", "x")


def test_order_is_paired_over_domains_and_seeds():
    # fishr is 10 points above erm in each of the 8 pairs of small(): no spread, and of 2^8 signs two are as far
    part = report(small())["report.md"].split("### Own data, oracle")[1]
    erm, fishr = sorted(table_below(part, "How sure the order is:")[1:])
    assert fishr == ["fishr", "+10.0 +- 0.0", "0.0078", "8", "none"] and erm[-1] == "none"


def test_order_and_curves_are_of_the_seeds_that_have_all_domains_as_the_averages_are():
    # 10 points above erm in both domains of seed 0; in seeds 1 and 2, which lack one of them, 30 points
    of = [("c", 0, 0.1), ("d", 0, 0.1), ("d", 1, 0.3), ("d", 2, 0.3)]
    found = [
        record(d, 0.5 + by * (m == "fishr"), seed=seed, draw=n, method=m)
        for d, seed, by in of
        for m in ("erm", "fishr")
        for n in range(2)
    ]
    page = report(found)["report.md"].split("### Own data, oracle")[1]
    _, fishr = sorted(table_below(page, "How sure the order is:")[1:])
    assert fishr == ["fishr", "+10.0 +- 0.0", "0.5", "2", "none"] and "60.0 (1/3)" in page
    (part,) = sections(found)
    assert (
        shared(part) == [("c", 0), ("d", 0)]
        and ", one seed, c and d left out; bands" in sweep_figures(part)["own-best-so-far.png"][0]
    )
    titles = [title for title, _ in sweep_figures(part).values()]
    assert "Own data: every draw at the last step, mean of 1 to 3 seeds, and the median" in titles
    (part,) = sections([one for one in found if one.config.test_domain == "d"])
    titles = [title for title, _ in sweep_figures(part).values()]
    assert "Own data: every draw at the last step, mean of 3 seeds, and the median" in titles
    assert shared(part) == [("d", 0), ("d", 1), ("d", 2)]
    (part,) = sections([one for one in found if one.config.algorithm == "erm" or one.config.seed == 0])
    titles = " ".join(title for title, _ in sweep_figures(part).values())
    assert "erm on Own data: every draw at the last step, mean of 1 to 3 seeds;" in titles
    assert "fishr on Own data: every draw at the last step, one seed;" in titles


def test_band_over_orders_holds_the_expected_curve_and_ends_in_a_point():
    found = searches(small())
    curves = in_orders(found, "erm")
    np.testing.assert_allclose(curves.mean(axis=0), best_so_far(found, "erm"), atol=0.2)  # 4 000 orders
    assert np.ptp(curves[:, -1]) < 1e-9 and curves.shape == (4_000, 2)


def test_band_takes_the_same_order_of_draws_where_one_has_failed():
    def found(lost):
        runs = [record(d, 0.1 * n, oracle=0.1 * n, draw=n) for d in "cd" for n in range(5)]
        return searches([r for r in runs if (r.config.test_domain, r.config.draw) not in lost])

    whole, less = in_orders(found([]), "erm"), in_orders(found([("c", 0), ("d", 0)]), "erm")
    both = in_orders(found([("c", 0)]), "erm")  # c's first is d's, unless that is draw 0
    firsts = whole[:, 0] == 0
    assert 0 < firsts.mean() < 0.4
    np.testing.assert_array_equal(both[~firsts, 0], whole[~firsts, 0])
    assert less.shape == both.shape == (4_000, 4)


def test_panels_of_hyper_parameters_leave_out_the_seed():
    runs = [record("c", draw=n, method="dann", seed=s) for n in range(2) for s in range(2)]
    runs = [r._replace(config=r.config._replace(hyper_parameters={"lr": 0.1, "seed": r.config.seed})) for r in runs]
    assert [*draw_settings(runs, "dann")[0]] == ["lr", "batch"]


def test_only_pairs_left_out_are_no_runs_of_one_domain():
    pairs = [record("cd")]
    assert "no run leaves out one domain alone" in report(pairs)["report.md"]


def test_draws_that_beat_erm_wait_for_whole_searches():
    drawn = {("erm", "c"): 3, ("irm", "c"): 3, ("erm", "d"): 1, ("irm", "d"): 3}
    value = {"erm": 0.5, "irm": 0.6}
    found = [record(d, value[m], draw=n, method=m) for (m, d), draws in drawn.items() for n in range(draws)]
    page = report(found)["report.md"]
    assert sorted(table_below(page, "Draws that beat ERM:")[1:]) == [["erm", "0", "-"], ["irm", "100", "-"]]


def test_band_has_the_quartiles_that_counting_gives():
    # of 20 draws four have 60 percent and the others 40: the best of 5 is among the four in 1 - C(16,5) / C(20,5)
    found = searches([record("d", 0.6 if n < 4 else 0.4, oracle=0.1 * (n < 4), draw=n) for n in range(20)])
    shares = np.mean(in_orders(found, "erm") > 50, axis=0)
    exact = [1 - comb(16, k) / comb(20, k) for k in range(1, 21)]
    np.testing.assert_allclose(shares, exact, atol=4 * 0.5 / 4_000**0.5)  # four standard errors


def test_methods_compare_where_all_have_as_many_draws_and_what_lacks_some_is_said():
    drawn = {("erm", "d"): 3, ("fishr", "d"): 3, ("erm", "c"): 3, ("fishr", "c"): 1, ("erm", "b"): 2}
    found = [record(name, 0.5, draw=n, method=m) for (m, name), draws in drawn.items() for n in range(draws)]
    (part,) = sections(found)
    assert shared(part) == [("d", 0)] and short(part) == {("erm", "b"): 2, ("fishr", "c"): 1}
    page = report(found)["report.md"]
    assert "Searches with fewer than 3 draws so far, which allow no average: erm b (2), fishr c (1)." in page
    title, figure = sweep_figures(part)["own-best-so-far.png"]
    assert title == "Own data: the best of some draws, oracle, one seed, d left out; bands: half of all orders"
    assert [len(line.get_xdata()) for line in figure.axes[0].lines[:2]] == [3, 3]
    failed = [record("c", draw=n, method="fishr", failure="lost") for n in (1, 2)]
    assert shared(sections([*found, *failed])[0]) == [("c", 0), ("d", 0)]  # nothing is missing there
    assert shared(sections([record("a"), record("b", method="irm")])[0]) == []


def test_only_averages_over_the_same_seeds_have_ranks_and_short_searches_have_no_average():
    found = [one for seed in (0, 1) for one in colored(seed=seed)]
    found += [one._replace(config=one.config._replace(algorithm="fishr")) for one in colored(seed=0)]
    _, erm, fishr = cells(report(found)["report.md"], "Colored MNIST, oracle")
    assert erm[-3:] == ["20.0 +- 0.0", "-", "57.8"] and fishr[-3:] == ["20.0 (1/2)", "-", "68.8"]
    more = [*found, found[0]._replace(config=found[0].config._replace(draw=1))]
    page = report(more)["report.md"]
    assert [line[-3:-1] for line in cells(page, "Colored MNIST, oracle")[1:]] == [["-", "-"]] * 2
    assert "An average of about 50 %" in page
    part = [one for one in found if one.config.test_domain == "-90%"]
    assert "An average of about 50 %" not in report(part)["report.md"]
