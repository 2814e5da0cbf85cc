"""Mutated files and command lines: python tests/fuzz.py --count 100000 --seed 0.

Whatever comes in, a command ends in success or in one sentence of at most 300 characters and exit code 2. A training
may also warn, in one such sentence, that its checkpoint was damaged. Input i of a kind depends on (seed, i) only.
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from minifishr import ALGORITHMS, MLP, Checkpoint, Domain, cli, fit, minibatches
from minifishr.commands import compare, report, sweep
from minifishr.data import stream, unscaled
from minifishr.data.digits import SHA256
from minifishr.experiments import Config, Model, config_of, said, save_model
from minifishr.experiments.models import hash_of
from minifishr.sweeps.records import Record, record_path, write_record

LONGEST = 300
EDGES = (0, 1, 2, 3, 7, 127, 128, 255)
VALUES = (None, True, 0, -1, 1e300, float("inf"), "", "x", "-90%", [], [[]], {}, {"lr": None}, 2**70, ["a"], [1, "a"])


def mutated(data, rng):
    """Bytes with some changed, cut out, doubled, swapped or appended."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        i, j = sorted(rng.integers(0, len(data) + 1, 2))
        kind = rng.integers(6)
        if kind == 0 and i < len(data):
            data[i] = rng.integers(256)
        elif kind == 1 and i < len(data):
            data[i] = EDGES[rng.integers(len(EDGES))]
        elif kind == 2:
            del data[i : min(j, i + 40)]
        elif kind == 3:
            data[i:i] = data[i : min(j, i + 40)]
        elif kind == 4:
            data = data[:i] if rng.random() < 0.2 else data
        else:
            data[i:i] = rng.bytes(rng.integers(1, 9))
    return bytes(data)


def changed(tree, rng):
    """JSON with one value, somewhere, replaced by another kind of value, or a key removed or added."""
    places = []

    def collect(part):
        for key in part if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            if isinstance(part[key], dict | list):
                collect(part[key])

    tree = json.loads(json.dumps(tree))
    collect(tree)
    part, key = places[rng.integers(len(places))]
    kind = rng.integers(8)
    if kind == 0:
        del part[key]
    elif kind == 1 and isinstance(part, dict):
        part["more"] = VALUES[rng.integers(len(VALUES))]
    else:
        part[key] = VALUES[rng.integers(len(VALUES))]
    return tree


def idx(*shape):
    return b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(np.prod(shape))


def fuzz_idx(rng):
    """`minifishr data` on four small files, one of them mutated."""
    Path("idx").mkdir(exist_ok=True)
    contents = dict(zip(SHA256, (idx(3, 28, 28), idx(3), idx(2, 28, 28), idx(2)), strict=True))
    name = [*SHA256][rng.integers(4)]
    contents[name] = mutated(contents[name], rng)
    for each, data in contents.items():
        Path("idx", each).write_bytes(data)
    os.environ["MINIFISHR_DATA"] = "idx"
    return command("data", "--digits", "mnist")


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 1, 0])
OWN = npz(x_a=X, y_a=Y, x_b=X, y_b=Y, x_c=X, y_c=Y)


def fuzz_npz(rng):
    """`minifishr compare --data`, up to the point where it trains."""
    Path("own.npz").write_bytes(mutated(OWN, rng))
    return command("compare", "--data", "own.npz", "--test-domain", "c", "--algorithms", "erm", "--out", "out")


TABLE = "a,b,site,outcome\n" + "".join(f"{i},{i * i / 7},s{i % 3},{'ny'[i % 2]}\n" for i in range(12))
MARKS = (b",", b'"', b"\n", b";", b"\t", b"NA", b",,", b"\xef\xbb\xbf", b"\r", b"1e999", b"nan", b"\0", b"-", b"2,5")


def fuzz_table(rng):
    """The same with a mutated table, also in tabs and in gzip."""
    text, name = TABLE.encode(), ("t.csv", "t.tsv", "t.csv.gz")[rng.integers(3)]
    text = text.replace(b",", b"\t") if name == "t.tsv" else text
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(len(text))
        text = text[:place] + MARKS[rng.integers(len(MARKS))] + text[place + rng.integers(2) :]
    packed = name.endswith("gz")
    data = gzip.compress(text, mtime=0) if packed else text
    Path(name).write_bytes(mutated(data, rng) if rng.random() < (0.9 if packed else 0.3) else data)
    words = ["--data", name, "--label", "outcome", "--domain", "site", "--out", "out", "--force"]
    where = ["--each-domain"] if rng.random() < 0.3 else ["--test-domain", "s1"]
    return command("compare", *words, *where, "--algorithms", "erm")


def small_model():
    """The bytes of a model with two columns and two classes."""
    about = {"config": {}, "selection": "last", "shape": [], "pixels": False}
    model = Model(np.zeros(6, np.float32), (2, 2), ["n", "y"], ["a", "b"], unscaled(2), about)
    save_model("whole-model.npz", model)
    return Path("whole-model.npz").read_bytes()


def fuzz_model(rng):
    """`minifishr predict` with a mutated model, or with a whole one and a mutated table."""
    model, text = small_model(), TABLE.encode()
    broken = rng.random() < 0.7
    Path("model.npz").write_bytes(mutated(model, rng) if broken else model)
    Path("p.csv").write_bytes(text if broken else mutated(text, rng))
    return command("predict", "model.npz", "p.csv")


def fuzz_model_text(rng):
    """The same with another value somewhere in a model's description, whose hash is right."""
    small_model()
    with np.load("whole-model.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["text"] = np.array(json.dumps(changed(json.loads(str(arrays["text"])), rng)))
    arrays["hash"] = np.array(hash_of(str(arrays["text"]), arrays))
    np.savez("model.npz", **arrays)
    Path("p.csv").write_text(TABLE)
    return command("predict", "model.npz", "p.csv")


def fuzz_checkpoint(rng):
    """A training that goes on from a mutated checkpoint."""
    model, domains = MLP((2, 1)), [Domain(name, X, Y) for name in "ab"]
    algorithm, theta, path = ALGORITHMS["erm"](model), np.zeros(3), Path("half.npz")
    if not Path("whole.npz").exists():
        fit(algorithm, theta, minibatches(domains, 2), 2, checkpoint=Checkpoint("whole.npz", 2))
    path.write_bytes(mutated(Path("whole.npz").read_bytes(), rng))
    with warnings.catch_warnings(record=True) as said_so:
        warnings.simplefilter("always")
        try:
            fit(algorithm, theta, minibatches(domains, 2), 3, checkpoint=Checkpoint(path, 2))
        except ValueError as error:
            return 2, str(error)
    return (2, str(said_so[0].message)) if said_so else (0, "")


def small_record():
    config = Config(
        "erm", {"lr": 0.1, "weight_decay": 0.0}, "domainbed", "domainbed", "own", "c", None, [4], 2, 8, 1, 0
    )
    metrics = {"accuracy": "abc", "validation accuracy": "ab", "oracle accuracy": "c"}
    history = [(step, name, metric, 0.5) for step in (0, 2) for metric, names in metrics.items() for name in names]
    return Record(config._replace(draw=0, data="own data 0123"), history, None, 1.0, {"python": "3"})


def reported(folder):
    """`minifishr report`, then `minifishr sweep` on the same folder, up to the point where it trains."""
    code, words = command("report", folder)
    return (code, words) if code else command("sweep", "--datasets", "linear", "--preset", "linear", "--out", folder)


def fuzz_record(rng):
    """A report of a folder with one whole record and a mutated one."""
    Path("x/runs").mkdir(parents=True, exist_ok=True)
    record = small_record()
    write_record("x", record)
    other = record._replace(config=record.config._replace(seed=1))
    write_record("x", other)
    path = record_path("x", other.config)
    path.write_bytes(mutated(path.read_bytes(), rng))
    return reported("x")


def fuzz_configuration(rng):
    """The same with a configuration that is another one's, in a record that belongs to it, if it is one at all."""
    Path("y/runs").mkdir(parents=True, exist_ok=True)
    for path in Path("y/runs").iterdir():
        path.unlink()
    record = small_record()
    write_record("y", record)
    try:
        write_record("y", record._replace(config=config_of(changed(said(record.config), rng))))
    except (TypeError, ValueError) as error:  # what writing refuses, reading never sees
        return 2, str(error)[:LONGEST]
    return reported("y")


def fuzz_history(rng):
    """The same with another value somewhere in a record's JSON, most often in its history."""
    Path("z/runs").mkdir(parents=True, exist_ok=True)
    record = small_record()
    write_record("z", record)
    path = record_path("z", record.config)
    path.write_text(json.dumps(changed(json.loads(path.read_text()), rng)))
    return reported("z")


WORDS = (
    *("compare", "train", "predict", "sweep", "report", "verify", "data", "vectors", "erm", "fishr", "dann"),
    *("own.npz", "x", "c"),
    *("--algorithms", "--seeds", "--seed", "--preset", "--dataset", "--datasets", "--domains", "--data", "--steps"),
    *("--test-domain", "--test-domains", "--digits", "--set", "--invariances", "--selection", "--jobs", "--out"),
    *("t.csv", "--label", "outcome", "--domain", "site", "--drop", "a", "--raw", "--balance", "--each-domain"),
    *("--validation", "--hidden", "--batch", "all", "0.3", "s1", "linear", "whole-model.npz"),
    *("--force", "--draws", "--size", "--count", "--leave-two-out", "--break", "--help", "quick", "domainbed", "irm"),
    *("0", "1", "-1", "2", "14", "1e9", "nan", "-90%", "+90%", "lr=0", "fishr.tau=1", "k=", "=1", "penalty_weight=inf"),
    *("cdsprites", "colored", "rotated", "mnist", "rendered", "auto", "last", "validation", "taps", "\0", "\u6771", ""),
)


def fuzz_words(rng):
    """A command line of random words, most often with a command first."""
    os.environ["MINIFISHR_DATA"] = "nowhere"
    Path("own.npz").write_bytes(OWN)
    Path("t.csv").write_text(TABLE)
    small_model()
    words = [WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(0, 9))]
    first = [WORDS[rng.integers(7)]] if rng.random() < 0.9 else []
    return command(*first, *words)


class Enough(Exception):
    """Everything was accepted, and training would begin."""


def enough(*args, **options):
    raise Enough


def command(*words):
    """(exit code, stderr) of a command line that never trains, verifies or draws."""
    stubs = {(compare, "finished"): enough, (sweep, "sweep"): enough, (sweep, "expected_seconds"): enough}
    stubs |= {(report, "sweep_figures"): lambda part: {}, (cli.verify, "verified"): enough}
    kept = {(module, name): getattr(module, name) for module, name in stubs}
    for (module, name), stub in stubs.items():
        setattr(module, name, stub)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([*words])
    except Enough:
        return 0, ""
    except SystemExit as error:  # --help
        code = error.code or 0
    finally:
        for (module, name), function in kept.items():
            setattr(module, name, function)
    return code, err.getvalue()


KINDS = {name.removeprefix("fuzz_"): function for name, function in [*globals().items()] if name.startswith("fuzz_")}


def trouble(kind, seed, number):
    """What is wrong with the outcome of one input, or None, and whether it was refused."""
    try:
        code, words = KINDS[kind](stream(seed, f"fuzz {kind}", number))
    except Exception as error:
        return f"{kind} {number}: {type(error).__name__}: {error}", True
    words = words.removesuffix("\n")
    *notes, sentence = words.split("\n")  # notes may come before the sentence
    strange = [line for line in notes if not line.startswith("minifishr: ")]
    if code not in (0, 2) or strange or max(map(len, [*notes, sentence])) > LONGEST or (code and not sentence):
        return f"{kind} {number}: exit {code}: {words[:1000]!r}", True
    return None, code == 2


def rounds(kind, seed, numbers):
    """The troubles of some inputs of a kind, and how many inputs were refused, in an empty folder of their own."""
    here, kept = os.getcwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            outcomes = [trouble(kind, seed, number) for number in numbers]
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(kept)
    return [found for found, _ in outcomes if found], sum(refused for _, refused in outcomes)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--jobs", type=int, default=2)
    args = options.parse_args()
    each, total, bad = -(-args.count // len(KINDS)), 0, []
    for kind in KINDS:
        parts = [range(start, min(start + 500, each)) for start in range(0, each, 500)]
        found = Parallel(args.jobs)(delayed(rounds)(kind, args.seed, part) for part in parts)
        troubles = [line for lines, _ in found for line in lines]
        print(f"{kind}: {each} inputs, {sum(n for _, n in found)} refused, {len(troubles)} with another outcome")
        total, bad = total + each, bad + troubles
    print(*bad[:20], f"{total} inputs, {len(bad)} with another outcome (seed {args.seed})", sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
