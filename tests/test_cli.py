import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pickle import PicklingError

import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from samples import own_domains

from minifishr import cli
from minifishr.algorithms import CORE
from minifishr.checks import IDENTITIES
from minifishr.commands import compare, data
from minifishr.data import Digits, load_npz
from minifishr.experiments import MOST_PREDICTED, drawing, network, plan, problem, run

MEASURED = ("accuracy", "validation accuracy", "oracle accuracy")
FILES = ["accuracy.png", "config.json", "confusion.png", "history.jsonl", "models", "objective.png", "table.md"]
FILES += ["variances.png"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder, and digits that take no time to get."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 28, 28)).astype(np.uint8)
    found = Digits("test digits", np.tile(images, (700, 1, 1)), np.tile(rng.integers(0, 10, 100).astype(np.uint8), 700))
    for command in (compare, data):
        monkeypatch.setattr(command, "load_digits", lambda source: found)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(here):
    rng = np.random.default_rng(0)
    arrays = {f"x_{name}": rng.normal(size=(30, 4)) for name in "abc"}
    labels = {f"y_{name}": rng.integers(0, 3, 30) for name in "abc"}
    np.savez(here / "mine.npz", **arrays, **labels)
    return ["--data", "mine.npz", "--test-domain", "b", "--steps", "3", "--jobs", "1"]


def refused(capsys, *arguments):
    """The one sentence on stderr of a request that cannot be carried out."""
    assert cli.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_compare_writes_table_history_configuration_and_figures(here, mine, capsys):
    assert cli.main(["compare", *mine, "--seeds", "2"]) == 0
    out, err = capsys.readouterr()
    folder = here / "results" / "own-quick-001"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    table = (folder / "table.md").read_text()
    assert table in out and "own data" in table and all(f"| {name} " in table for name in CORE)
    assert "12/12 runs" in err and "36/36" in err  # the progress bar
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert {(row["algorithm"], row["seed"]) for row in rows} == {(n, s) for n in CORE for s in (0, 1)}
    assert {row["domain"] for row in rows} == {"", "a", "b", "c"}
    of_class = {f"accuracy of class {c}" for c in range(3)}
    assert {row["metric"] for row in rows} == {"risk", "penalty", "kept", MOST_PREDICTED, *MEASURED, *of_class}


def test_same_command_gives_the_same_rows_whatever_finishes_first(here, mine, monkeypatch):
    assert cli.main(["compare", *mine, "--out", "one"]) == 0
    forward = compare.compare
    monkeypatch.setattr(compare, "compare", lambda configs, *a, **k: reversed([*forward(configs, *a, **k)]))
    assert cli.main(["compare", *mine, "--out", "two"]) == 0
    one, two = ((here / out / "history.jsonl").read_bytes() for out in ("one", "two"))
    assert one == two and one.count(b"\n") > 50
    assert sorted(path.name for path in (here / "two").iterdir()) == FILES


def test_method_named_twice_is_trained_once(here, mine):
    assert cli.main(["compare", *mine, "--algorithms", "erm", "erm", "--out", "x"]) == 0
    assert len(json.loads((here / "x" / "config.json").read_text())["runs"]) == 1


def test_colored_images_are_drawn(here):
    arguments = ["compare", "--algorithms", "erm", "--steps", "1", "--jobs", "1", "--out", "x"]
    assert cli.main(arguments) == 0
    assert (here / "x" / "images.png").exists()
    assert "Colored test digits" in (here / "x" / "table.md").read_text()


def test_numbers_of_domains_are_compared_in_one_table_and_figure(here, monkeypatch):
    monkeypatch.setattr(compare, "load_digits", None)  # the toys need no digits
    sizes = ["--domains", "7", "2", "--steps", "2", "--jobs", "1", "--out", "x"]
    assert cli.main(["compare", "--dataset", "cdsprites", "--algorithms", "erm", "fish", *sizes]) == 0
    files = ["agreement.png", "config.json", "domains.png", "history.jsonl", "images.png", "models", "table.md"]
    assert sorted(path.name for path in (here / "x").iterdir()) == files
    assert "| 7 domains |" in (here / "x" / "table.md").read_text().replace("  ", "")
    rows = [json.loads(line) for line in (here / "x" / "history.jsonl").read_text().splitlines()]
    assert {row["domains"] for row in rows} == {7, 2}


def test_invariances_are_a_second_table_and_two_figures(here, mine):
    assert cli.main(["compare", *mine, "--algorithms", "erm", "fishr", "--invariances", "--out", "x"]) == 0
    assert {"invariances.png", "landscape.png"} < {path.name for path in (here / "x").iterdir()}
    table = (here / "x" / "table.md").read_text()
    assert "| untrained " in table and "Hessian, all layers" in table


def test_train_runs_one_method_with_one_seed(here, mine, capsys):
    assert cli.main(["train", "fishr", *mine, "--seed", "5", "--preset", "domainbed", "--set", "ema=0.5"]) == 0
    runs = json.loads((here / "results" / "own-domainbed-001" / "config.json").read_text())["runs"]
    assert [(run["algorithm"], run["seed"], run["hyper_parameters"]["ema"]) for run in runs] == [("fishr", 5, 0.5)]


def test_data_describes_the_digits(capsys):
    assert cli.main(["data"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("test digits: 70000 images of 28x28; 0:") and out.count("\n") == 1


def test_verify_prints_a_table_of_all_identities(capsys):
    assert cli.main(["verify", "--draws", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("pass") == len(IDENTITIES) and "FAIL" not in out
    assert f"{len(IDENTITIES)} identities, 0 violated; 2 random cases" in out


def test_verify_fails_when_something_is_broken_and_says_what_noticed(capsys):
    assert cli.main(["verify", "--draws", "2", "--break", "gauss_newton"]) == 1
    out = capsys.readouterr().out
    assert "FAIL" in out and "gauss_newton was made wrong on purpose: 0.1 % too large. Caught by " in out
    assert "true_fisher_is_gauss_newton" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--draws", "0"), "at least one draw, got 0"),
        (("--seed", "-1"), "--seed must be at least 0, got -1"),
        (("--break", "fisher"), "unknown implementation 'fisher', expected one of loop, jacobian"),
    ],
)
def test_verify_refuses_what_it_cannot_do(arguments, message, capsys):
    assert message in refused(capsys, "verify", *arguments)


def test_failed_run_is_exit_code_1_and_loses_nothing(here, mine, capsys):
    arguments = ["compare", *mine, "--algorithms", "erm", "irm", "--set", "irm.lr=1e30", "--out", "x"]
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert "seed 0: irm: " in err and "non-finite at step" in err and "Traceback" not in err
    rows = [json.loads(line) for line in (here / "x" / "history.jsonl").read_text().splitlines()]
    assert {row["algorithm"] for row in rows} == {"erm", "irm"}
    assert "| failed" in out and (here / "x" / "accuracy.png").exists()


BAD = {
    ("--preset", "fast"): "unknown preset 'fast', expected one of quick, irm, domainbed",
    ("--dataset", "cifar"): "unknown dataset 'cifar', expected one of colored, rotated, linear, cdsprites",
    ("--algorithms", "erm", "fisher"): "unknown method 'fisher', expected one of erm, irm",
    ("--seeds", "0"): "--seeds must be from 1 to 100000, got 0",
    ("--jobs", "0"): "--jobs must be from 1 to 100000, got 0",
    ("--seeds", "9" * 30): f"--seeds must be from 1 to 100000, got {'9' * 30}",
    ("--seed", "3"): "unrecognized arguments: --seed 3",
    ("--set", ".lr=1"): "--set .lr=1: expected [METHOD.]NAME=VALUE",
    ("--set", "lr=1", "irm.lr=2", "lr=3"): "hyper-parameter lr is set 2 times",
    ("--set", "irm.lr=1", "irm.lr=2"): "hyper-parameter irm.lr is set 2 times",
    ("--out", ""): "a value is empty: --out ''",
    ("--test-domain=",): "a value is empty: compare '--test-domain='",
    ("--data", ""): "a value is empty: --data ''",
    ("--steps", "-1"): "steps must be at least 1, got -1",
    ("--set", "lamda=1"): "hyper-parameter 'lamda' belongs to none of",
    ("--set", "fishr.tau=1"): "fishr: unknown hyper-parameter 'tau', expected one of lr, weight_decay",
    ("--set", "penalty_weight=-1"): "irm: penalty_weight=-1 is outside [0, inf]",
    ("--set", "lr=fast"): "erm: lr='fast' is not a number",
    ("--set", "tau=1"): "sand_mask: tau=1 never updates anything",
    ("--set", "lr"): "--set lr: expected [METHOD.]NAME=VALUE",
    ("--set", "other.lr=1"): "unknown method 'other'",
    ("--test-domain", "+80%"): "preset quick tests on '-90%', got '+80%'",
    ("--preset", "domainbed", "--test-domain", "grey"): "unknown test domain 'grey', expected one of +90%, +80%, -90%",
    ("--dataset", "rotated", "--domains", "5"): "data set 'rotated' has its own number of domains, got domains=[5]",
    ("--dataset", "cdsprites", "--domains", "5", "1"): "cdsprites: n_domains=1 is outside 2..50",
    ("--dataset", "cdsprites", "--preset", "quick"): "preset 'quick' does not fit data set 'cdsprites'",
    ("--dataset", "linear", "--test-domain", "x"): "preset linear tests on 'test', got 'x'",
    ("--dataset", "linear", "--size", "7"): "preset 'linear' has no size to replace, got size=7",
    ("--size", "0"): "size must be at least 1, got 0",
    ("--size", "13"): "image size must be 7, 14 or 28, got 13",
    ("--data", "nowhere.npz", "--test-domain", "b"): "nowhere.npz",
    ("--data", "nowhere.npz"): "--data nowhere.npz needs --test-domain",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_requests_get_one_sentence_and_leave_no_results(arguments, here, capsys):
    assert BAD[arguments] in refused(capsys, "compare", *arguments)
    assert not (here / "results").exists()


def test_own_arrays_need_three_domains(here, capsys):
    np.savez(here / "two.npz", x_a=np.eye(3), y_a=[0, 1, 1], x_b=np.eye(3), y_b=[0, 1, 1])
    assert "fewer than 2 domains are left" in refused(capsys, "compare", "--data", "two.npz", "--test-domain", "b")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_are_not_overwritten_without_force(here, mine, capsys):
    assert cli.main(["compare", *mine, "--algorithms", "erm", "--out", "x"]) == 0
    before = contents(here / "x")
    capsys.readouterr()
    assert "is there already" in refused(capsys, "compare", *mine, "--out", "x")
    assert contents(here / "x") == before
    assert cli.main(["compare", *mine, "--algorithms", "vrex", "--out", "x", "--force"]) == 0
    assert "| vrex" in (here / "x" / "table.md").read_text()
    assert [path.name for path in (here / "x" / "models").iterdir()] == ["vrex-0.npz"]


def test_output_folder_that_cannot_be_written_is_refused(here, mine, capsys):
    (here / "file").write_text("")
    assert "cannot be written" in refused(capsys, "compare", *mine, "--out", "file/x")


def test_unknown_digits_are_refused(monkeypatch, capsys):
    from minifishr.data import load_digits

    monkeypatch.setattr(data, "load_digits", load_digits)
    assert "unknown source 'mnst'" in refused(capsys, "data", "--digits", "mnst")


def test_interrupt_is_one_sentence(mine, monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", interrupted)
    assert cli.main(["compare", *mine]) == 130
    assert capsys.readouterr().err.endswith("compare: stopped; what was finished is in results/own-quick-001\n")


def test_module_is_the_command(mine):
    command = [sys.executable, "-W", "error", "-m", "minifishr", "compare", *mine, "--algorithms", "fishr"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and "| fishr" in run.stdout and "Warning" not in run.stderr


# ---- what is finished is shown


OWN = ["--test-domain", "c", "--steps", "3", "--jobs", "1", "--out", "x"]


def saved(here, y=(0, 1), rows=30, name="a", scale=1.0):
    """mine.npz with domains NAME, b and c."""
    rng = np.random.default_rng(0)
    counts = {name: 30, "b": rows, "c": 30}
    arrays = {f"x_{n}": rng.normal(size=(k, 4)) * [scale, 1, 1, 1] for n, k in counts.items()}
    arrays |= {f"y_{n}": np.resize(y, k) for n, k in counts.items()}
    np.savez(here / "mine.npz", **arrays)
    return ["--data", "mine.npz", *OWN]


def test_method_that_fails_in_training_is_a_row_and_the_others_are_told(here, capsys):
    assert cli.main(["compare", *saved(here, rows=2), "--algorithms", "erm", "coral", "fishr"]) == 1
    out, err = capsys.readouterr()
    rows = {line.split()[1]: line for line in out.split("own data")[0].splitlines() if line.startswith("| ")}
    assert rows["coral"].count("failed") == 4 and "failed" not in rows["erm"] + rows["fishr"]
    assert "seed 0: coral: a covariance needs at least 2 samples a domain, got 1" in err and "Traceback" not in err
    assert sorted(path.name for path in (here / "x").iterdir()) == FILES


def test_table_is_printed_before_anything_is_written_or_drawn(here, monkeypatch, capsys):
    def late(*args, **options):
        out = capsys.readouterr().out
        assert "| erm" in out and "Table, history, configuration and figures: x" in out
        return ["accuracy.png cannot be drawn: no ink"]

    monkeypatch.setattr(compare, "write_figures", late)
    assert cli.main(["compare", *saved(here), "--algorithms", "erm"]) == 1
    assert capsys.readouterr().err.endswith("minifishr: accuracy.png cannot be drawn: no ink\n")
    assert "| erm" in (here / "x" / "table.md").read_text()


def test_one_picture_that_fails_is_one_line_and_the_others_are_drawn(here, monkeypatch, capsys):
    def no_ink(*args):
        raise RuntimeError("no\nink")

    monkeypatch.setattr(drawing.figures, "objective_figure", no_ink)
    assert cli.main(["compare", *saved(here), "--algorithms", "erm"]) == 1
    assert "minifishr: objective.png cannot be drawn: no ink\n" in capsys.readouterr().err
    assert sorted(path.name for path in (here / "x").iterdir()) == [f for f in FILES if f != "objective.png"]


def outside(here, arguments, **environment):
    """A process of its own, with files as streams."""
    command = [sys.executable, "-m", "minifishr", "compare", *arguments, "--algorithms", "erm"]
    return subprocess.run(command, cwd=here, env={**os.environ, **environment}, capture_output=True, check=False)


def test_names_are_shown_whatever_letters_the_terminal_has_and_the_user_has_set(here):
    (here / "matplotlibrc").write_text("text.usetex: True\nfont.family: nowhere\nfigure.dpi: 5\n")
    run = outside(here, saved(here, name=r"$\foo$ 東京"), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert run.returncode == 0, run.stderr
    assert rb"$\foo$ \u6771\u4eac" in run.stdout and sorted(p.name for p in (here / "x").iterdir()) == FILES
    assert r"$\foo$ 東京" in (here / "x" / "table.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk_behind_the_terminal_costs_no_file(here):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "minifishr", "compare", *saved(here), "--algorithms", "erm"]
        run = subprocess.run(command, cwd=here, stdout=full, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 1 and b"minifishr: the table cannot be written: No space left on device\n" in run.stderr
    assert sorted(path.name for path in (here / "x").iterdir()) == FILES


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (MemoryError(), "too little memory"),
        (TerminatedWorkerError("A worker process managed by the executor was unexpectedly terminated."), "was killed"),
        (PicklingError("Could not pickle the task to send it to the workers."), "Could not pickle"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_trouble_of_the_machine_is_one_sentence_and_what_was_finished_is_in_the_table(
    trouble, words, here, monkeypatch, capsys
):
    forward = compare.compare

    def half(configs, *args, **options):
        yield next(iter(forward(configs, *args, **options)))
        raise trouble

    monkeypatch.setattr(compare, "compare", half)
    assert cli.main(["compare", *saved(here), "--algorithms", "erm", "irm"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in err and words in err.splitlines()[-1] and err.splitlines()[-1].count("irm") == 1
    assert "failed" in out.split("| irm")[1] and "failed" not in out.split("| erm")[1].split("\n")[0]


def test_worker_without_memory_is_a_failed_run(monkeypatch):
    def greedy(model, **options):
        raise MemoryError

    result = run(plan("quick", ["erm"], (0,), "own", "c", steps=2)[0], own_domains(), greedy)
    assert result.failure == "seed 0: too little memory" and result.history == []


# ---- classes, units, warm-ups, options without effect


def test_labels_are_named_and_one_that_training_never_shows_is_said(here, capsys):
    path = saved(here, y=(3, 8))
    arrays = dict(np.load(here / "mine.npz"))
    arrays["y_c"] = np.where(np.arange(30) % 3 == 0, 5, arrays["y_c"])
    np.savez(here / "mine.npz", **arrays)
    assert cli.main(["compare", *path, "--algorithms", "erm"]) == 0
    out, err = capsys.readouterr()
    task = problem(plan("quick", ["erm"], (0,), "own", "c")[0], load_npz("mine.npz", np.float32))
    share = f"{100 * np.mean(task.test[0].y == 1):.3g}"  # 3, 5 and 8 are 0, 1 and 2
    words = f"No training domain has label 5, which {share} % of the rows of c have"
    assert f"Labels: 3, 5, 8. {words}." in out and f"minifishr: {words}\n" in err and task.labels == [3, 5, 8]


def test_two_labels_are_one_logit_whatever_they_are_called(here):
    for labels in ((0, 1), (1, 2), (-1, 1), (7, 900_000)):
        saved(here, y=labels)
        task = problem(plan("quick", ["erm"], (0,), "own", "c")[0], load_npz("mine.npz"))
        assert network(plan("quick", ["erm"], (0,), "own", "c")[0], task).sizes[-1] == 1
        assert set(task.train[0].y.tolist()) == {0, 1} and task.labels == list(labels)


def test_units_that_decide_are_said(here, capsys):
    assert cli.main(["compare", *saved(here, scale=1e4), "--algorithms", "erm", "--raw"]) == 0
    assert re.search(
        r"x as it came: the standard deviations of its columns go from 0\.\d+ to .*e\+03", capsys.readouterr().out
    )
    assert cli.main(["compare", *saved(here, scale=50), "--algorithms", "erm", "--raw", "--force"]) == 0
    assert "as it came" not in capsys.readouterr().out


def test_run_that_ends_before_its_warm_up_is_said(here, mine, capsys):
    assert cli.main(["compare", *mine, "--algorithms", "erm", "fishr"]) == 0
    assert "minifishr: 1 of 2 runs end before their warm-up: fishr\n" in capsys.readouterr().err


WITHOUT_EFFECT = {
    (
        "--data",
        "mine.npz",
        "--test-domain",
        "c",
        "--dataset",
        "rotated",
    ): "--dataset rotated has no effect beside --data",
    ("--data", "mine.npz", "--test-domain", "c", "--digits", "mnist"): "--digits mnist has no effect beside --data",
    ("--data", "mine.npz", "--test-domain", "c", "--size", "7"): "--size 7 has no effect beside --data",
    ("--dataset", "linear", "--digits", "rendered"): "--digits rendered has no effect on data set 'linear'",
    ("--set", "fishr.centered=False"): "fishr: centered='False' is none of True, False",
    ("--set", "lr=true"): "erm: lr=True is not a number",
    ("--set", "sand_mask.k=0"): "sand_mask: k=0 never updates anything",
    ("--preset", "domainbed", "--test-domain", "-91%"): "unknown test domain '-91%', expected one of +90%, +80%, -90%",
}


@pytest.mark.parametrize("arguments", WITHOUT_EFFECT, ids=" ".join)
def test_options_without_effect_are_refused_by_name(arguments, here, capsys):
    saved(here)
    assert WITHOUT_EFFECT[arguments] in refused(capsys, "compare", *arguments)
    assert not (here / "results").exists()


def test_values_that_begin_with_a_minus_belong_to_the_option_before_them():
    words = ["sweep", "--test-domains", "+90%", "-90%", "--seeds", "2", "--out", "-x"]
    assert cli.joined(words) == [
        "sweep",
        "--test-domains",
        "+90%",
        "--test-domains=-90%",
        "--seeds",
        "2",
        "--out",
        "-x",
    ]
    assert cli.joined(["compare", "--test-domain", "-90%"]) == ["compare", "--test-domain=-90%"]
    args = cli.parser().parse_args(cli.joined(words[:6]))
    assert args.test_domains == ["+90%", "-90%"] and args.seeds == 2
    turned = cli.parser().parse_args(cli.joined(["sweep", "--test-domains", "-90%", "+90%", "+80%", "--seeds", "2"]))
    assert turned.test_domains == ["-90%", "+90%", "+80%"] and turned.seeds == 2
    assert cli.joined(["report", "--out", "-1", "sweep"]) == ["report", "--out=-1", "sweep"]


def test_interrupt_before_anything_is_done_speaks_of_no_folder(here, monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "problem", interrupted)
    assert cli.main(["compare", *saved(here)]) == 130
    assert capsys.readouterr().err == "minifishr compare: stopped\n" and not (here / "x").exists()


def test_python_without_docstrings_verifies_and_compares(here):
    assert outside(here, saved(here), PYTHONOPTIMIZE="2").returncode == 0
    command = [sys.executable, "-m", "minifishr", "verify", "--draws", "2", "--break", "hvp"]
    found = subprocess.run(command, env={**os.environ, "PYTHONOPTIMIZE": "2"}, capture_output=True, check=False)
    assert found.returncode == 1 and b"Traceback" not in found.stderr and b"hvp was made wrong" in found.stdout


def test_version_is_that_of_the_installed_package(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out.split() == ["minifishr", metadata.version("minifishr")]
