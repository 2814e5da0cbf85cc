import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from minifishr import plots
from minifishr.data import Domain, Problem, Row, cdsprites
from minifishr.experiments import Result, compare, plan, tables
from minifishr.experiments import results as report
from minifishr.experiments.captions import caption
from minifishr.experiments.config import config_of
from minifishr.experiments.presets import DISPERSION
from minifishr.experiments.results import results_folder, write_config
from minifishr.experiments.tables import spread, table

STEPS = (0, 10, 20)


def task(shape=()):
    x = np.random.default_rng(0).random((14, 2 * 3 * 3))
    names = "+80%", "+90%", "-90%", "grey"
    first, second, test, grey = (Domain(name, x, np.arange(14) % 2) for name in names)
    return Problem("Colored test digits", [first, second], [first, second], [test, grey], shape)


def result(config, accuracy, failure=None):
    names = [domain.name for domain in [*task().train, *task().test]]
    rows = [Row(t, n, "accuracy", accuracy + t / 1000) for t in STEPS for n in names]
    rows += [Row(t, n, "validation accuracy", 1 - t / 100) for t in STEPS for n in names[:2]]
    rows += [Row(t, "", "risk", 1 / (1 + t)) for t in range(20)]
    if config.algorithm != "erm":
        rows += [Row(t, "", "penalty", 10.0**-t) for t in range(20)]
    variances = np.random.default_rng(1).random((2, 2, 5))
    return Result(config, np.zeros(3), rows, variances, 12.34, failure)


def results(failed=()):
    configs = plan("quick", ("erm", "fishr"), (0, 1))
    return [result(c, 0.5 + 0.1 * c.seed, "seed 1: no" if i in failed else None) for i, c in enumerate(configs)]


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_table_shows_mean_and_standard_deviation_at_the_last_step():
    header, _, erm, fishr = cells(table(results(), task()))
    assert header == ["method", "+80%", "+90%", "-90% (test)", "grey", "seconds"]
    # 52 and 62 percent: mean 57, standard deviation 10 / sqrt(2)
    assert erm == ["erm", *["57.0 +- 7.1"] * 4, "12.3"] and fishr[0] == "fishr"


def test_table_at_the_validated_step_differs():
    assert cells(table(results(), task(), "validation"))[2] == ["erm", *["55.0 +- 7.1"] * 4, "12.3"]


def test_failed_runs_are_left_out_and_a_method_without_runs_says_so():
    _, _, erm, fishr = cells(table(results(failed=(1, 2, 3)), task()))
    assert erm == ["erm", *["52.0"] * 4, "12.3"] and fishr == ["fishr", *["failed"] * 5]


def test_table_over_numbers_of_domains_has_the_test_accuracy_of_each():
    from experiments.test_figures import sprites

    problem = cdsprites(2, count=4, size=8)
    header, _, erm, _ = cells(table(sprites([2, 9]), problem))
    assert header == ["method", "2 domains", "9 domains", "seconds"] and erm[1:3] == ["59.0 +- 7.1", "66.0 +- 7.1"]
    text = caption([r.config for r in sprites([2, 9])], problem)
    assert "Accuracy on the test domain in percent" in text and "Rows: 4 a training domain, test 20." in text


def test_table_and_caption_show_many_training_domains_as_one():
    from experiments.test_figures import sprites

    problem = cdsprites(9, count=4, size=8)
    assert cells(table(sprites([9]), problem))[0] == ["method", "mean of 9 training domains", "test", "seconds"]
    text = caption([r.config for r in sprites([9])], problem)
    assert "Rows: 4 in each of 9 training domains, test 20." in text


def measured(method, seed, values):
    rows = [Row(0, "", f"{DISPERSION} {n}", 0.5) for n in values] + [
        Row(20, "", f"{DISPERSION} {n}", v + seed) for n, v in values.items()
    ]
    found = result(plan("quick", (method,), (seed,), invariances=True)[0], 0.5)
    return found._replace(history=[*found.history, *rows])


def test_invariance_matrix_is_the_mean_over_seeds_with_the_start_first():
    matrix = tables.invariance_matrix(
        [
            measured(m, s, {"risk": r, "mean of features": 0.0})
            for m, r in (("erm", 0.1), ("fishr", 0.2))
            for s in (0, 1)
        ]
    )
    assert matrix == {
        "untrained": {"risk": 0.5, "mean of features": 0.5},
        "erm": {"risk": pytest.approx(0.6), "mean of features": 0.5},
        "fishr": {"risk": pytest.approx(0.7), "mean of features": 0.5},
    }


def test_statistics_that_a_methods_records_are_older_than_are_empty_cells():
    text = tables.invariance_table(
        [measured("erm", 0, {"risk": 0.1}), measured("fishr", 0, {"mean": 0.2, "risk": 0.3})]
    )
    header, _, _, erm, fishr = cells(text.split("\n\n")[0])
    assert header == ["trained with", "risk", "mean"] and erm == ["erm", "0.1", ""] and fishr == ["fishr", "0.3", "0.2"]


def test_an_empty_cell_of_a_heat_map_says_nothing():
    ax = plots.heat_map(Figure().subplots(), [[0.5, np.nan]], ["erm"], ["risk", "mean"])
    assert [text.get_text() for text in ax.texts] == ["0.5", ""]


def test_invariance_table_has_a_row_a_method_and_says_what_it_is():
    text = tables.invariance_table([measured("fishr", 0, {"risk": 0.012345})])
    header, _, untrained, fishr = cells(text.split("\n\n")[0])
    assert header == ["trained with", "risk"] and untrained == ["untrained", "0.5"] and fishr == ["fishr", "0.012"]
    assert "Dispersion over the training domains" in text
    assert text.endswith(" Last step, mean over seeds.")


def test_spread_of_one_value_has_no_deviation():
    assert spread([12.34]) == "12.3" and spread([1.0, 3.0]) == "2.0 +- 1.4" and spread([]) == "failed"


def test_caption_names_digits_preset_seeds_rule_and_rows():
    text = caption(plan("quick", ("erm",), (0, 1)), task())
    for part in ("Colored test digits", "preset quick (paper convention)", "300 steps", "seeds 0, 1", "+80% 14"):
        assert part in text
    assert "the last step, nothing selected" in text and "held-out rows" in caption(plan(), task(), "validation")


def test_results_go_to_the_next_free_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert results_folder(None, "colored-quick").as_posix() == "results/colored-quick-001"
    assert results_folder(None, "colored-quick").as_posix() == "results/colored-quick-002"
    assert results_folder(None, "colored-irm").as_posix() == "results/colored-irm-001"


def test_results_that_are_there_are_kept_unless_forced(tmp_path):
    folder = results_folder(tmp_path / "mine", "x")
    (folder / "table.md").write_text("precious")
    (folder / "notes.txt").write_text("mine")
    (folder / "models" / "erm-0.npz").write_text("old")
    (folder / "history.jsonl").unlink()
    with pytest.raises(FileExistsError) as caught:
        results_folder(folder, "x")
    reason = "table.md is there already; choose another folder or say --force"
    assert str(caught.value) == f"--out {folder}: {reason}" and (folder / "table.md").read_text() == "precious"
    results_folder(folder, "x", force=True)
    assert not (folder / "table.md").exists() and (folder / "notes.txt").read_text() == "mine"
    assert [*(folder / "models").iterdir()] == [] and (folder / "history.jsonl").read_text() == ""


def test_models_alone_are_kept_unless_forced(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("irm-0.npz", "erm-0.npz"):
        (tmp_path / "models" / name).write_text("precious")
    with pytest.raises(FileExistsError, match=r": models/erm-0\.npz is there already; choose another folder or say "):
        results_folder(tmp_path, "x")
    assert len([*(tmp_path / "models").iterdir()]) == 2
    results_folder(tmp_path, "x", force=True)
    assert [*(tmp_path / "models").iterdir()] == []


def test_folders_above_are_made_and_a_history_is_sorted_where_nothing_was_interrupted(tmp_path):
    folder = results_folder(tmp_path / "far" / "below", "x")
    report.sort_history(folder, results())
    assert sorted(path.name for path in folder.iterdir()) == ["history.jsonl", "models"]


def test_half_sorted_history_of_an_interrupted_run_is_thrown_away(tmp_path):
    (tmp_path / "history.part").write_text("half a row")
    report.sort_history(tmp_path, results())
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert len(lines) == sum(len(r.history) for r in results()) and json.loads(lines[0])["algorithm"] == "erm"


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"--out .*file/below: cannot be written: Not a directory"):
        results_folder(tmp_path / "file" / "below", "x")


def test_next_free_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("")
    with pytest.raises(OSError) as caught:
        results_folder(None, "x")
    assert str(caught.value) == f"{Path('results', 'x-001')}: cannot be written: Not a directory"


def test_configuration_has_every_run_and_the_versions(tmp_path):
    configs = plan("quick", ("erm", "fishr"), (0, 1))
    write_config(tmp_path, configs, task())
    text = json.loads((tmp_path / "config.json").read_text())
    assert [config_of(found) for found in text["runs"]] == configs and text["problem"] == "Colored test digits"
    assert text["versions"]["numpy"] == np.__version__
    assert text["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_configuration_says_where_the_numbers_come_from(tmp_path):
    write_config(tmp_path, plan("quick", ("erm",)), task(), data="own data 0a1b", file="m.csv", label="y", drop=None)
    found = json.loads((tmp_path / "config.json").read_text())
    assert [*found] == ["problem", "data", "file", "label", "versions", "runs"] and found["label"] == "y"


def test_folders_have_any_number_of_digits_and_never_two_owners(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for taken in ("own-quick-999", "own-quick-1000", "own-quick-old", "own-quick-00"):
        (tmp_path / "results" / taken).mkdir(parents=True)
    assert results_folder(None, "own-quick").name == "own-quick-1001"
    with ThreadPoolExecutor(8) as pool:  # at one instant
        folders = list(pool.map(lambda _: results_folder(None, "own-domainbed"), range(40)))
    assert len(set(folders)) == 40


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="compare: no configurations"):
        list(compare([], None))
    with pytest.raises(ValueError, match="plan: algorithms='erm' is one word"):
        plan(algorithms="erm")


def test_table_is_this_text():
    shown = table(results(failed=(1,)), task(), seconds=False).splitlines()
    assert shown == [
        "| method   |        +80% |        +90% |   -90% (test) |        grey |",
        "|----------|-------------|-------------|---------------|-------------|",
        "| erm      |        52.0 |        52.0 |          52.0 |        52.0 |",
        "| fishr    | 57.0 +- 7.1 | 57.0 +- 7.1 |   57.0 +- 7.1 | 57.0 +- 7.1 |",
    ]


def test_columns_are_domains_up_to_six_of_them_and_their_mean_beyond():
    def names(n):
        part = [Domain(f"d{e}", np.zeros((2, 1)), np.arange(2)) for e in range(n)]
        return [*tables.shown(Problem("x", part, part, [part[0]._replace(name="t")]))]

    assert names(6) == ["d0", "d1", "d2", "d3", "d4", "d5", "t (test)"]
    assert names(7) == ["mean of 7 training domains", "t (test)"]


def test_no_column_is_lost_whatever_domains_are_called():
    a, same, twice, b = (
        Domain(name, np.zeros((2, 1)), np.arange(2)) for name in ("a", "a (test)", "a (test) (test)", "b")
    )
    found = tables.shown(Problem("x", [same, b], [], [a, twice]))
    assert found == {
        "a (test)": ["a (test)"], "b": ["b"], "a (test) (test) (test)": ["a"], "a (test) (test)": ["a (test) (test)"],
    }  # fmt: skip
    assert tables.shown(Problem("x", [a], [], [b._replace(name="test")])) == {"a": ["a"], "test": ["test"]}


def test_bar_in_a_name_does_not_end_a_cell():
    assert tables.markdown(["m|", "n"], [["a|b", "1"], ["c", 2]]).splitlines() == [
        r"| m\|   |   n |",
        "|-------|-----|",
        r"| a\|b  |   1 |",
        "| c     |   2 |",
    ]


def test_history_says_of_each_row_which_run_it_belongs_to(tmp_path):
    report.append_history(tmp_path, result(plan("quick", ("erm",), (3,))[0], 0.5))
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert {(row["algorithm"], row["seed"]) for row in rows} == {("erm", 3)} and "domains" not in rows[0]
    sprite = plan(None, ("erm",), (0,), "cdsprites", domains=[4])[0]
    report.append_history(tmp_path, Result(sprite, None, [Row(0, "", "risk", 1.0)], None, 0.0, None), "other.jsonl")
    assert json.loads((tmp_path / "other.jsonl").read_text()) == {
        "algorithm": "erm", "seed": 0, "domains": 4, "step": 0, "domain": "", "metric": "risk", "value": 1.0,
    }  # fmt: skip


def test_configuration_is_one_line_a_value(tmp_path):
    write_config(tmp_path, plan("quick", ("erm",), (0,)), task())
    lines = (tmp_path / "config.json").read_text().splitlines()
    assert lines[0] == "{" and lines[1] == ' "problem": "Colored test digits",' and lines[-1] == "}"


def test_files_that_are_no_models_of_ours_survive_force(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("data.npz", "erm.npz", "erm-0.npz", "fishr-12-2-domains.npz", "mine-0.npz"):
        (tmp_path / "models" / name).write_text("precious")
    results_folder(tmp_path, "x", force=True)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["data.npz", "erm.npz", "mine-0.npz"]
