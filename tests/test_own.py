"""The command line with a table of one's own, from the file to predictions."""

import csv
import json

import numpy as np
import pytest

from minifishr import cli, load_model


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """patients.csv: age and weight in other units, what they mean is the same in three hospitals."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), ["id,age,weight,hospital,outcome"]
    for number in range(90):
        ill = number % 3 == 0
        age, weight = 50 + 20 * ill + 5 * rng.normal(), 70_000 - 9_000 * ill + 3_000 * rng.normal()
        rows.append(f"p{number},{age:.2f},{weight:.0f},{'ABC'[number % 7 % 3]},{'ill' if ill else 'well'}")
    (tmp_path / "patients.csv").write_text("\n".join(rows))
    return tmp_path


OF_TABLE = ["--data", "patients.csv", "--label", "outcome", "--domain", "hospital", "--drop", "id"]
SHORT = ["--steps", "60", "--jobs", "1", "--hidden", "4", "--set", "lr=0.02"]


def done(*arguments):
    assert cli.main([*arguments]) == 0


def sentence(capsys, *arguments):
    """The last line on stderr of a request that cannot be carried out, and the lines before."""
    assert cli.main([*arguments]) == 2
    out, err = capsys.readouterr()
    *notes, last = err.splitlines()
    assert out == "" and len(last) < 300 and all(note.startswith("minifishr: ") for note in notes)
    return last, notes


def test_from_a_table_to_its_predictions(table, capsys):
    done("compare", *OF_TABLE, "--test-domain", "B", "--algorithms", "erm", "fishr", *SHORT, "--out", "x")
    text = capsys.readouterr().out
    assert "Labels: ill, well." in text and "| majority |" in text and "B, balanced" in text
    assert "x standardized: each column has mean 0" in text and (table / "x/confusion.png").exists()
    assert sorted(p.name for p in (table / "x/models").iterdir()) == ["erm-0.npz", "fishr-0.npz"]
    # a table with its columns in another order, and without labels
    rows = [*csv.DictReader((table / "patients.csv").read_text().splitlines())]
    turned = ["weight,more,age", *(f"{row['weight']},word,{row['age']}" for row in rows)]
    (table / "new.csv").write_text("\n".join(turned))
    done("predict", "x/models/erm-0.npz", "new.csv", "--out", "predictions.csv")
    found = [*csv.DictReader((table / "predictions.csv").read_text().splitlines())]
    assert [*found[0]] == ["predicted", "P(ill)", "P(well)"] and len(found) == 90
    model, x = load_model("x/models/erm-0.npz"), np.array([[row["age"], row["weight"]] for row in rows], float)
    assert [row["predicted"] for row in found] == model.predict(x).tolist()
    p = [[float(row["P(ill)"]), float(row["P(well)"])] for row in found]
    np.testing.assert_allclose(p, model.predict_proba(x), rtol=1e-5)
    # the table of the comparison says the accuracy of just these predictions
    right = [row["predicted"] == true["outcome"] for row, true in zip(found, rows, strict=True)]
    of_b = 100 * np.mean([r for r, row in zip(right, rows, strict=True) if row["hospital"] == "B"])
    assert of_b > 80 and f" {of_b:.1f} |" in next(line for line in text.splitlines() if line.startswith("| erm "))
    capsys.readouterr()
    again = ["predict", "x/models/erm-0.npz", "new.csv", "--out", "predictions.csv"]
    assert "is there already" in sentence(capsys, *again)[0]


def test_raw_columns_are_a_choice_that_is_said_and_matters(table, capsys):
    done("compare", *OF_TABLE, "--test-domain", "B", "--algorithms", "erm", *SHORT, "--raw", "--out", "x")
    text = capsys.readouterr().out
    assert "x as it came: the standard deviations of its columns go from" in text and "standardized" not in text
    assert load_model("x/models/erm-0.npz").scaling.scale.tolist() == [1, 1]


def test_each_domain_is_left_out_in_turn_in_one_table(table, capsys):
    short = [*SHORT[:1], "3", *SHORT[2:]]
    done("compare", *OF_TABLE, "--each-domain", "--algorithms", "erm", "fish", "--seeds", "2", *short, "--out", "x")
    text = capsys.readouterr().out
    header = [cell.strip() for cell in text.strip().splitlines()[0].strip("|").split("|")]
    assert (
        header == ["method", "A", "B", "C", "mean", "worst"]
        and "in 6 pairs of domain and seed, exact test of signs" in text
    )
    runs = json.loads((table / "x/config.json").read_text())["runs"]
    assert sorted((r["test_domain"], r["seed"], r["algorithm"]) for r in runs) == sorted(
        (d, s, m) for d in "ABC" for s in (0, 1) for m in ("erm", "fish")
    )
    assert len([*(table / "x/models").iterdir()]) == 12 and (table / "x/left_out.png").exists()


def test_options_reach_the_configuration(table):
    options = ["--validation", "0.3", "--batch", "5", "--count", "8", "--balance", "--selection", "validation"]
    done("train", "erm", *OF_TABLE, "--test-domain", "A", *SHORT, *options, "--out", "x")
    (run,) = json.loads((table / "x/config.json").read_text())["runs"]
    names = ("held_out", "batch", "count", "balanced", "standardized", "hidden")
    assert [run[name] for name in names] == [0.3, 5, 8, True, True, [4]]
    assert load_model("x/models/erm-0.npz").about["selection"] == "validation"


def test_sweep_of_a_table_is_recorded_and_goes_on(table, capsys):
    options = ["--algorithms", "erm", "--draws", "2", "--steps", "3", "--jobs", "1", "--out", "s", "--hidden", "4"]
    done("sweep", *OF_TABLE, *options)
    assert "6 runs: 6 done, 0 failed" in capsys.readouterr().out  # three domains, two draws
    done("sweep", *OF_TABLE, *options, "--dry-run")
    assert "6 runs, 6 of them recorded in s" in capsys.readouterr().out
    (table / "patients.csv").write_text((table / "patients.csv").read_text().replace("p1,", "p1,9"))
    assert "s holds a sweep with data='own data" in sentence(capsys, "sweep", *OF_TABLE, *options)[0]  # other data
    done("report", "s")
    assert "own data" in capsys.readouterr().out.lower()


def test_missing_values_are_a_table_before_the_sentence(table, capsys):
    text = (table / "patients.csv").read_text().splitlines()
    (table / "patients.csv").write_text("\n".join([*text, "p,,NA,B,ill", "p,3,,A,ill"]))
    last, notes = sentence(capsys, "compare", *OF_TABLE, "--test-domain", "B", "--algorithms", "erm")
    assert "3 values are missing, in age, weight; fill them in" in last
    assert [note.split() for note in notes] == [
        ["minifishr:", "missing", "values", "A", "B", "all"],
        ["minifishr:", "age", "0", "1", "1"],
        ["minifishr:", "weight", "1", "1", "2"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", *OF_TABLE], "needs --test-domain NAME, the domain to leave out, or --each-domain"),
        (["compare", *OF_TABLE, "--test-domain", "b"], "unknown test domain 'b', expected one of "),
        (["compare", *OF_TABLE, "--test-domain", "A", "--each-domain"], "--test-domain has no effect"),
        (["compare", *OF_TABLE, "--test-domain", "A", "B"], "fewer than 2 domains are left to train on"),
        (["compare", *OF_TABLE[:6], "--test-domain", "A"], "not a number: id ('p0' in line 2)"),
        (["compare", *OF_TABLE[:2], "--test-domain", "A"], "--label NAME is needed"),
        (["compare", *OF_TABLE, "--test-domain", "A", "--validation", "1"], "held_out must be between 0 and 1"),
        (["compare", *OF_TABLE, "--test-domain", "A", "--batch", "0"], "batch must be at least 1"),
        (["compare", *OF_TABLE, "--test-domain", "A", "--digits", "mnist"], "has no effect beside --data"),
        (["compare", "--raw"], "--raw has no effect without --data"),
        (["compare", "--each-domain"], "has no effect without it"),
        (["compare", "--label", "x"], "--label has no effect without --data"),
        (["compare", "--data", "no.csv", "--label", "a", "--domain", "b", "--test-domain", "c"], "no.csv"),
        (["sweep", *OF_TABLE, "--datasets", "colored"], "--datasets has no effect beside --data"),
        (["predict", "no.npz", "patients.csv"], "no.npz"),
        (["predict", "patients.csv", "patients.csv"], "patients.csv: no model, or a damaged one"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence_before_anything_is_trained(arguments, message, table, capsys):
    assert message in sentence(capsys, *arguments)[0]
    assert not (table / "results").exists()


ROWS = "".join(f"{i},{'abc'[i % 3]},{i // 3 % 2}\n" for i in range(18))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS + "3,d,0\n", "domain 'd' has 1 row(s), too few to hold out"),
        ("".join(f"{i},{'abc'[i % 3]},{i}\n" for i in range(18)), "18 different labels in 18 rows are no classes"),
        (ROWS.replace(",0\n", ",1\n"), "1 class"),
        (ROWS.replace("3,a", "1e39,a"), "not finite in float32"),
    ],
)
def test_tables_that_nothing_can_be_learned_from_are_refused(rows, message, table, capsys):
    (table / "t.csv").write_text("age,site,outcome\n" + rows)
    request = ["--data", "t.csv", "--label", "outcome", "--domain", "site", "--test-domain", "a"]
    assert message in sentence(capsys, "compare", *request, "--raw", "--algorithms", "erm")[0]


def test_model_refuses_what_does_not_fit(table, capsys):
    done("train", "erm", *OF_TABLE, "--test-domain", "A", "--steps", "1", "--jobs", "1", "--out", "x")
    capsys.readouterr()
    (table / "new.csv").write_text("age,height\n1,2\n")
    np.savez(table / "new.npz", x_a=np.ones((3, 2)))
    model = "x/models/erm-0.npz"
    assert "columns that are missing here: weight" in sentence(capsys, "predict", model, "new.csv")[0]
    assert "so it takes a table" in sentence(capsys, "predict", model, "new.npz")[0]


def test_images_keep_their_shape_bytes_are_divided_and_arrays_predict(table, capsys):
    rng = np.random.default_rng(0)
    images = {f"x_{n}": rng.integers(0, 256, (12, 5, 4, 3)).astype(np.uint8) for n in "abc"}
    np.savez(table / "i.npz", **images, **{f"y_{n}": np.arange(12) % 2 for n in "abc"})
    done("train", "erm", "--data", "i.npz", "--test-domain", "a", "--steps", "2", "--jobs", "1", "--out", "x")
    assert "x were bytes and are divided by 255" in capsys.readouterr().out and (table / "x/images.png").exists()
    np.savez(table / "new.npz", x_new=images["x_a"][:5])
    done("predict", "x/models/erm-0.npz", "new.npz")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "domain,predicted,P(0),P(1)" and len(lines) == 6 and lines[1].startswith("new,")
    np.savez(table / "new.npz", x_new=images["x_a"][:5].transpose(0, 2, 1, 3))
    assert "trained on rows of 60 numbers" in sentence(capsys, "predict", "x/models/erm-0.npz", "new.npz")[0]
