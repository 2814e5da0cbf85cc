"""From a table to predictions, by the command line, and the page that shows it."""

import contextlib
import csv
import importlib.metadata
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from minifishr import cli, load_model
from minifishr.experiments import figures
from minifishr.sweeps import records

PAGE = Path(__file__).parent.parent.joinpath("docs", "your_own_data.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^minifishr .*$", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(name="mine.csv", seed=0, n=90):
    rng = np.random.default_rng(seed)
    rows = [["age", "id", "weight", "hospital", "outcome"]]
    for number in range(n):
        sick = rng.random() < 0.5
        rows.append(
            [50 + 9 * sick + rng.normal(), number, 7e4 + 900 * rng.normal(), "ABC"[number % 3], ["no", "yes"][sick]]
        )
    Path(name).write_text("\n".join(",".join(map(str, row)) for row in rows))
    return ["--data", name, "--label", "outcome", "--domain", "hospital", "--drop", "id"]


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


SHORT = ["--steps", "5", "--jobs", "1", "--hidden", "4"]


def refused(capsys, *words):
    assert cli.main([*words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err


def test_table_becomes_a_comparison_models_and_predictions(here, capsys):
    words = ["compare", *table(), "--test-domain", "B", "--algorithms", "erm", "fishr", "--seeds", "2", "--out", "x"]
    assert cli.main([*words, *SHORT, "--batch", "8", "--validation", "0.3", "--count", "20", "--balance"]) == 0
    out = capsys.readouterr().out
    assert "| majority" in out and "Labels: no, yes." in out and "x standardized" in out and "worst group" in out
    assert sorted(path.name for path in (here / "x" / "models").iterdir()) == [
        "erm-0.npz", "erm-1.npz", "fishr-0.npz", "fishr-1.npz",
    ]  # fmt: skip
    path = "x/models/fishr-1.npz"
    assert cli.main(["predict", path, "mine.csv", "--out", "p.csv"]) == 0
    rows = rows_of("p.csv")
    model, mine = load_model(path), rows_of("mine.csv")
    x = np.array([[float(row[name]) for name in ("age", "weight")] for row in mine])
    assert model.columns == ["age", "weight"] and [row["predicted"] for row in rows] == model.predict(x).tolist()
    p = [[float(row["P(no)"]), float(row["P(yes)"])] for row in rows]
    np.testing.assert_allclose(p, model.predict_proba(x), rtol=1e-5)
    assert "is there already" in refused(capsys, "predict", path, "mine.csv", "--out", "p.csv")
    # another order of columns, and others besides, change nothing
    Path("other.csv").write_text("weight,x,age\n" + "\n".join(f"{row['weight']},word,{row['age']}" for row in mine))
    assert cli.main(["predict", path, "other.csv", "--out", "q.csv"]) == 0
    assert Path("q.csv").read_bytes() == Path("p.csv").read_bytes()
    Path("few.csv").write_text("weight,years\n1,2\n")
    assert "columns that are missing here: age" in refused(capsys, "predict", path, "few.csv")
    np.savez("few.npz", x_a=x)
    assert "so it takes a table" in refused(capsys, "predict", path, "few.npz")


def test_file_of_another_kind_is_told_what_a_table_is(here, capsys):
    words = ["compare", "--data", "x.parquet", "--label", "y", "--test-domain", "a"]
    told = "--label has no effect beside --data x.parquet, which is no table (.csv, .tsv, .gz)\n"
    assert refused(capsys, *words).endswith(told)


def test_words_for_missing_values_are_said_where_they_are_classes_or_domains(here, capsys):
    words = table()
    mine = Path("mine.csv").read_text()
    Path("mine.csv").write_text(mine.replace(",C,", ",NA,").replace("no\n", "None\n"))
    assert cli.main(["train", "erm", *words, "--test-domain", "B", "--out", "x", *SHORT]) == 0
    again = "like any other; leave out its rows where it means a missing value\n"
    notes = f"minifishr: --label outcome: None is a class {again}minifishr: --domain hospital: NA is a domain {again}"
    assert capsys.readouterr().err.startswith(notes)
    Path("mine.csv").write_text(mine)
    assert cli.main(["train", "erm", *words, "--test-domain", "B", "--out", "y", *SHORT]) == 0
    assert "missing" not in capsys.readouterr().err


def test_images_are_divided_said_drawn_and_predicted(here, capsys):
    rng = np.random.default_rng(0)
    arrays = {f"x_{n}": rng.integers(0, 256, (12, 5, 4, 3)).astype(np.uint8) for n in "abc"}
    np.savez("i.npz", **arrays, **{f"y_{n}": np.arange(12) % 2 for n in "abc"})
    words = ["compare", "--data", "i.npz", "--test-domain", "c", "--algorithms", "erm", "--out", "x", *SHORT]
    assert cli.main(words) == 0
    assert "x were bytes and are divided by 255. x standardized: each channel" in capsys.readouterr().out
    assert (here / "x" / "images.png").exists()
    assert cli.main(["predict", "x/models/erm-0.npz", "i.npz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "domain,predicted,P(0),P(1)" and len(lines) == 37 and lines[-1].startswith("c,")
    np.savez("words.npz", **arrays, y_a=["who", "knows"], y_b=[0.5])  # labels are not looked at
    assert cli.main(["predict", "x/models/erm-0.npz", "words.npz"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    flat = np.moveaxis(arrays["x_a"], 3, 1).reshape(12, -1) / 255
    assert [line.split(",")[1] for line in lines[1:13]] == [*map(str, load_model("x/models/erm-0.npz").predict(flat))]
    np.savez("f.npz", **{name: x / 255 for name, x in arrays.items()})
    assert "bytes True, got" in refused(capsys, "predict", "x/models/erm-0.npz", "f.npz")


def test_each_domain_is_left_out_once_in_one_table(here, capsys):
    words = ["compare", *table(), "--each-domain", "--algorithms", "erm", "vrex", "--seeds", "2", "--out", "x", *SHORT]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    header = next(line for line in out.splitlines() if line.startswith("| method"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["method", "A", "B", "C", "mean", "worst"]
    assert "better than ERM by more than chance: vrex is" in out and "in 6 pairs of domain and seed" in out
    assert len(list((here / "x" / "models").iterdir())) == 12 and (here / "x" / "left_out.png").exists()
    assert "Accuracy on the domain left out" in out


def test_model_belongs_to_the_selected_step(here):
    words = ["compare", *table(), "--test-domain", "B", "--algorithms", "erm", "--steps", "40", "--jobs", "1"]
    for rule in ("last", "validation"):
        assert cli.main([*words, "--selection", rule, "--set", "lr=0.3", "--out", rule]) == 0
    last, best = (load_model(f"{rule}/models/erm-0.npz") for rule in ("last", "validation"))
    assert best.about["selection"] == "validation" and last.about["selection"] == "last"


def test_sweep_of_a_table_leaves_out_each_domain_and_is_standardized(here, capsys):
    words = ["sweep", *table(), "--algorithms", "erm", "--steps", "3", "--hidden", "4", "--jobs", "1", "--out", "s"]
    assert cli.main([*words, "--dry-run"]) == 0 and cli.main(words) == 0
    capsys.readouterr()
    found = records.records("s")
    assert {r.config.test_domain for r in found} == {"A", "B", "C"} and all(r.config.standardized for r in found)
    assert not any(r.failure for r in found) and {tuple(r.config.hidden) for r in found} == {(4,)}
    assert "--size 14 has no effect beside --data" in refused(capsys, *words, "--size", "14")
    two = ("--datasets", "colored", "rotated")
    assert "--datasets colored rotated has no effect beside --data" in refused(capsys, *words, *two)
    assert "holds a sweep with standardized" in refused(capsys, *words, "--raw")


BAD = {
    ("--test-domain", "D"): "unknown test domain 'D', expected one of A, B, C",
    (): "needs --test-domain NAME, the domain to leave out, or --each-domain",
    ("--test-domain", "A", "--each-domain"): "--test-domain has no effect",
    ("--test-domain", "A", "B"): "fewer than 2 domains are left to train on",
    ("--test-domain", "A", "--validation", "2"): "held_out must be between 0 and 1, got 2.0",
    ("--test-domain", "A", "--batch", "0"): "batch must be at least 1, got 0",
    ("--test-domain", "A", "--batch", "x"): "invalid rows value: 'x'",
    ("--test-domain", "A", "--label", "age"): "90 different labels in 90 rows are no classes",
    ("--test-domain", "A", "--domain", "age"): "mine.csv: not a number: hospital ('A' in line 2)",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_requests_are_one_sentence_before_anything_is_written(words, here, capsys):
    given = [w for w in table() if not ("--label" in words and w in ("--label", "outcome"))]
    if "--label" in words:
        given += ["--drop", "outcome"]
    err = refused(capsys, "compare", *given, *words, *SHORT)
    assert BAD[words] in err and err.count("\n") == 1 and not (here / "results").exists()


@pytest.mark.parametrize("option", ["--label x", "--domain x", "--drop x", "--raw", "--balance", "--each-domain"])
def test_options_of_own_data_have_no_effect_without(option, capsys):
    assert "no effect" in refused(capsys, "compare", "--dataset", "linear", *option.split())


def test_missing_values_are_a_table_and_a_sentence(capsys):
    words = table()
    Path("mine.csv").write_text(Path("mine.csv").read_text() + "\n,1,,C,yes\n")
    err = refused(capsys, "compare", *words, "--test-domain", "A").splitlines()
    assert [line.split()[1:] for line in err[:3]] == [
        ["missing", "values", "C", "all"], ["age", "1", "1"], ["weight", "1", "1"],
    ]  # fmt: skip
    assert err[3].startswith("minifishr compare: mine.csv: 2 values are missing, in age, weight;") and len(err) == 4


def test_domain_with_one_row_is_refused_and_one_with_one_class_is_said(capsys):
    words = table()
    text = Path("mine.csv").read_text()
    Path("mine.csv").write_text(text + "\n1,1,1,D,yes\n")
    assert "domain 'D' has 1 row(s), too few to hold out" in refused(capsys, "compare", *words, "--test-domain", "A")
    Path("mine.csv").write_text(text + "\n1,1,1,D,yes" * 9 + "\n")
    assert cli.main(["compare", *words, "--test-domain", "A", "--algorithms", "erm", *SHORT]) == 0
    assert "minifishr: Training domain D lacks no (" in capsys.readouterr().err


ROWS = "".join(f"{i},{'abc'[i % 3]},{i // 3 % 2}\n" for i in range(18))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.replace(",0\n", ",1\n"), "at least 2 classes are needed, but all 18 rows have the same label"),
        (ROWS.replace("3,a", "1e39,a"), "x of domain 'a' has numbers that are not finite in float32"),
    ],
)
def test_tables_that_nothing_can_be_learned_from_are_refused(rows, message, here, capsys):
    Path("t.csv").write_text("age,site,outcome\n" + rows)
    words = ["--data", "t.csv", "--label", "outcome", "--domain", "site", "--test-domain", "a", "--raw"]
    assert message in refused(capsys, "compare", *words, "--algorithms", "erm") and not (here / "results").exists()


def test_raw_columns_are_a_choice_that_the_caption_tells(capsys):
    words = ["compare", *table(), "--test-domain", "B", "--algorithms", "erm", *SHORT, "--raw", "--out", "x"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "x as it came: the standard deviations of its columns go from" in out and "standardized" not in out
    assert load_model("x/models/erm-0.npz").scaling.scale.tolist() == [1, 1]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_page_are_understood(command):
    assert cli.parser().parse_args(shlex.split(command)[1:]).command == command.split()[1]


def penguins():
    """Whether the package with the table is installed (it would bring pandas as a dependency of the tests)."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return any(path.name == "penguins.csv" for path in importlib.metadata.files("palmerpenguins") or [])
    return False


@pytest.mark.skipif(not penguins(), reason="pip install --no-deps palmerpenguins")
def test_page_leads_from_the_table_to_predictions(here, capsys):
    import sklearn

    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(blocks[0], {})
    lines = Path("penguins.csv").read_text().splitlines()
    refusal = refused(capsys, *shlex.split(COMMANDS[0])[1:])
    assert "8 values are missing" in refusal and "Biscoe" not in refusal.splitlines()[-1]
    Path("whole.csv").write_text("\n".join(line for line in lines if ",NA,NA" not in line))
    compare, _, predict, _ = (shlex.split(command)[1:] for command in COMMANDS[1:])
    short = ["--algorithms", "fishr", "--steps", "40", "--jobs", "1"]
    assert cli.main([*compare[:-1], "1", *short]) == 0
    assert "No training domain has label Chinstrap, which 5" in capsys.readouterr().out
    assert cli.main(predict) == 0 and os.path.getsize("predictions.csv") > 342 * 20
    exec(blocks[1], {})
    with sklearn.config_context():
        exec(blocks[2], {})
        sklearn.set_config(enable_metadata_routing=False)
    assert "['Adelie', 'Chinstrap', 'Gentoo']" in capsys.readouterr().out


def test_every_seed_keeps_its_own_standardization_whatever_seeds_are_beside_it(here):
    words = ["compare", *table(), "--test-domain", "B", "--algorithms", "erm", *SHORT]
    assert cli.main([*words, "--out", "one"]) == cli.main([*words, "--seeds", "3", "--out", "three"]) == 0
    assert cli.main(["train", "erm", *words[1:9], "--test-domain", "B", *SHORT, "--seed", "2", "--out", "two"]) == 0
    x = np.array([[float(row[name]) for name in ("age", "weight")] for row in rows_of("mine.csv")])
    for folder, seed in (("one", 0), ("two", 2)):
        alone, among = (load_model(f"{name}/models/erm-{seed}.npz") for name in (folder, "three"))
        assert alone.logits(x).tobytes() == among.logits(x).tobytes()
    centers = [load_model(f"three/models/erm-{seed}.npz").scaling.center for seed in range(3)]
    assert not np.array_equal(centers[0], centers[2])


def test_figures_are_of_the_first_seed_and_of_the_selected_step(here, monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "confusion_figure", lambda groups, problem, title: seen.append((groups, problem)))
    words = ["compare", *table(), "--test-domain", "B", "--algorithms", "erm", "--steps", "40", "--jobs", "1"]
    for rule in ("last", "validation"):
        cli.main([*words, "--selection", rule, "--set", "lr=0.3", "--seeds", "2", "--out", rule])
    for rule, (groups, task) in zip(("last", "validation"), seen, strict=True):
        shown, kept = groups["erm"][0], load_model(f"{rule}/models/erm-0.npz")
        assert shown.config.seed == 0 and (shown.theta == kept.theta).all()
        assert (task.scaling.center == kept.scaling.center).all()
    assert not np.array_equal(seen[0][0]["erm"][0].theta, seen[1][0]["erm"][0].theta)


def test_history_of_each_domain_says_which_was_left_out(here):
    words = ["compare", *table(), "--each-domain", "--algorithms", "erm", "--out", "x", *SHORT]
    assert cli.main(words) == 0
    rows = [json.loads(line) for line in Path("x/history.jsonl").read_text().splitlines()]
    keys = [tuple(row.get(k) for k in ("test_domain", "step", "domain", "metric")) for row in rows]
    assert len({*keys}) == len(keys) and {key[0] for key in keys} == {*"ABC"}


def test_one_column_is_enough_for_a_model_of_one(here, capsys):
    rows = [f"{number % 7},{'abc'[number % 3]},{number % 2}" for number in range(60)]
    Path("narrow.csv").write_text("\n".join(["u,dom,y", *rows]))
    words = ["compare", "--data", "narrow.csv", "--label", "y", "--domain", "dom", "--test-domain", "c", "--out", "x"]
    assert cli.main([*words, "--algorithms", "erm", *SHORT]) == 0
    Path("lone.csv").write_text("u\n0.5\n-0.5\n")
    capsys.readouterr()
    assert cli.main(["predict", "x/models/erm-0.npz", "lone.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_marks_that_are_not_closed_lose_no_rows(here, capsys):
    notes = ['"urgent' if number % 5 == 0 else "calm" for number in range(60)]  # an even number of marks
    rows = [f"{number},{note},{number % 2},{'abc'[number % 3]}" for number, note in enumerate(notes)]
    Path("notes.csv").write_text("\n".join(["u,notes,y,dom", *rows]))
    words = [
        "compare",
        "--data",
        "notes.csv",
        "--label",
        "y",
        "--domain",
        "dom",
        "--test-domain",
        "c",
        "--drop",
        "notes",
    ]
    assert "notes.csv: " in refused(capsys, *words)
    Path("notes.csv").write_text(Path("notes.csv").read_text().replace('"urgent', '"urgent, again"'))
    assert cli.main([*words, "--algorithms", "erm", "--out", "x", *SHORT]) == 0
    assert "Rows: a 16, b 16, c 16" in capsys.readouterr().out
