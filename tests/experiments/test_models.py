import json

import numpy as np
import pytest
from samples import own_domains

from minifishr import ALGORITHMS, load_model
from minifishr.commands.predict import rows_of
from minifishr.data import Own, own_npz
from minifishr.experiments import model_of, network, plan, problem, run, save_model
from minifishr.experiments.models import FORMAT, file_of, hash_of


def trained(preset="quick", classes=2, columns=("a", "b", "c"), **options):
    """A run on own data with units that differ, its Problem and the data."""
    domains = [d._replace(x=np.float64(d.x) * [1, 100, 1e4] + 7) for d in own_domains(classes)]
    own = Own(domains, list(columns), [f"class {c}" for c in range(classes)])
    config = plan(preset, ["erm"], (0,), "own", "c", steps=20, hidden=[5], standardized=True, **options)[0]
    return run(config, own, ALGORITHMS["erm"]), problem(config, own), own


@pytest.mark.parametrize(("preset", "classes"), [("quick", 2), ("quick", 3), ("domainbed", 2)])
def test_model_in_a_file_predicts_what_the_trained_network_does_bit_for_bit(preset, classes, tmp_path):
    result, task, own = trained(preset, classes)
    save_model(tmp_path / "m.npz", model_of(result, task))
    found, net = load_model(tmp_path / "m.npz"), network(result.config, task)
    names = [domain.name for domain in own.domains]
    whole = own.domains[names.index("c")].x
    z = ((whole[:, task.scaling.kept] - task.scaling.center) / task.scaling.scale).astype(np.float32)
    logits = net.logits(result.theta, z)
    assert found.logits(whole).tobytes() == logits.tobytes() and found.theta.tobytes() == result.theta.tobytes()
    k = max(classes, 2)
    scores = np.hstack([0 * logits, logits]) if logits.shape[1] == 1 else logits
    assert found.predict(whole).tolist() == [f"class {c}" for c in scores.argmax(axis=1)]
    p = np.exp(scores.astype(float))
    np.testing.assert_allclose(found.predict_proba(whole), p / p.sum(axis=1, keepdims=True), rtol=1e-6)
    assert found.predict_proba(whole).shape == (len(whole), k) and found.classes == [f"class {c}" for c in range(k)]
    # the accuracy in the table is that of the model in the file
    tested = task.scaling.undone(task.test[0].x)
    right = np.mean(found.predict(tested) == np.array(found.classes)[task.test[0].y])
    last = [r.value for r in result.history if (r.domain, r.metric) == ("c", "accuracy")][-1]
    assert np.isclose(right, last)


def test_file_is_about_as_large_as_theta(tmp_path):
    result, task, _ = trained()
    save_model(tmp_path / "m.npz", model_of(result, task))
    assert (tmp_path / "m.npz").stat().st_size < result.theta.nbytes + 5_000


def test_model_of_the_validated_step_has_the_parameters_of_that_step():
    result, task, _ = trained(batch=4)
    scores = {}
    for row in result.history:
        if row.metric == "validation accuracy":
            scores.setdefault(row.step, []).append(row.value)
    step, net = max(scores, key=lambda step: (np.mean(scores[step]), -step)), network(result.config, task)
    theta = model_of(result, task, "validation").theta
    right = [float(np.mean((net.logits(theta, d.x)[:, 0] > 0) == d.y)) for d in task.validation]
    assert right == scores[step] and len(scores) > 2
    assert model_of(result, task).theta.tobytes() == result.theta.tobytes() != theta.tobytes()


def parts(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def reworded(arrays):
    return arrays | {"text": np.array(str(arrays["text"]).replace("class 0", "class 9"))}


DAMAGE = {
    "hash": (lambda a: a | {"theta": a["theta"] + 1}, "a damaged model: its hash is another one"),
    "text": (reworded, "a damaged model: its hash is another one"),
    "version": (lambda a: a | {"format": FORMAT + 1}, f"a model of format {FORMAT + 1}, this version .* reads format"),
    "part": (lambda a: {k: v for k, v in a.items() if k != "scale"}, "no model, or a damaged one"),
    "no hash": (lambda a: {k: v for k, v in a.items() if k != "hash"}, "no model, or a damaged one"),
    "nothing": (lambda a: {}, "no model, or a damaged one"),
    "kind": (lambda a: a | {"format": np.array("x")}, "no model, or a damaged one"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_model_and_one_of_another_version_are_refused(case, tmp_path):
    result, task, _ = trained()
    save_model(tmp_path / "m.npz", model_of(result, task))
    change, message = DAMAGE[case]
    np.savez(tmp_path / "m.npz", **change(parts(tmp_path / "m.npz")))
    with pytest.raises(ValueError, match=f"m.npz: {message}"):
        load_model(tmp_path / "m.npz")


def test_file_with_a_right_hash_and_parts_that_do_not_belong_together_is_refused(tmp_path):
    result, task, _ = trained()
    save_model(tmp_path / "m.npz", model_of(result, task))
    arrays = parts(tmp_path / "m.npz")
    words = json.dumps(json.loads(str(arrays["text"])) | {"about": "words"})
    texts = [{"text": json.dumps({"sizes": 3})}, {"text": words}]
    for change in ({"theta": arrays["theta"][:-1]}, {"kept": arrays["kept"] + 90}, *texts):
        found = arrays | {name: np.asarray(value) for name, value in change.items()}
        found["hash"] = np.array(hash_of(str(found["text"]), found))
        np.savez(tmp_path / "m.npz", **found)
        with pytest.raises(ValueError, match=r"m.npz: no model, or a damaged one"):
            load_model(tmp_path / "m.npz")


class Frame:
    """As much of a pandas or polars data frame as counts here."""

    def __init__(self, columns):
        self.values, self.columns = columns, [*columns]

    def __getitem__(self, names):
        return Frame({name: self.values[name] for name in names})

    def __array__(self, dtype=None, copy=None):
        return np.stack([*self.values.values()], axis=1).astype(dtype)


def test_columns_of_a_frame_are_found_by_their_names_in_any_order():
    result, task, own = trained()
    model, x = model_of(result, task), own.domains[0].x
    frame = Frame({" c": x[:, 2], "id": x[:, 0], "b": x[:, 1], "a": x[:, 0]})
    assert model.logits(frame).tobytes() == model.logits(x).tobytes()
    twice = Frame({"a": x[:, 0], " a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    with pytest.raises(ValueError, match=r"^predict: x has 4 columns with 3 different names$"):
        model.predict(twice)
    with pytest.raises(ValueError, match=r"^predict: the model was trained with columns that are missing here: a, c$"):
        model.predict(frame[["b", "id"]])
    assert (model._replace(columns=[]).logits(Frame({0: x[:, 0], 1: x[:, 1], 2: x[:, 2]})) == model.logits(x)).all()


def test_bytes_are_divided_as_they_were_for_the_training_and_once(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"x_{name}": rng.integers(0, 256, (20, 2, 2), np.uint8) for name in "abc"}
    np.savez(tmp_path / "bytes.npz", **arrays, **{f"y_{name}": np.arange(20) % 2 for name in "abc"})
    (config,) = plan("quick", ["erm"], (0,), "own", "c", steps=3, hidden=[5], standardized=True)
    own = own_npz(tmp_path / "bytes.npz")
    model = model_of(run(config, own, ALGORITHMS["erm"]), problem(config, own))
    rows = arrays["x_a"].reshape(20, 4)
    expected = model.logits(rows / 255)
    assert model.logits(rows).tobytes() == expected.tobytes()
    ((_, x), *_) = rows_of(model, tmp_path / "bytes.npz")
    assert model.logits(x).tobytes() == expected.tobytes()
    numbers = model._replace(about=model.about | {"pixels": False})  # small whole numbers, as they are
    assert numbers.logits(rows).tobytes() == numbers.logits(rows.astype(float)).tobytes() != expected.tobytes()

    for same in (rows / 255, (rows / 255).astype(np.float32)):
        np.testing.assert_allclose(model.logits(same), expected, rtol=1e-5, atol=1e-6)
    for wrong in (rows.astype(int), rows.astype(np.int16), rows.astype(float), -(rows / 255), rows > 99):
        with pytest.raises(ValueError, match=rf"trained on bytes, so x must be bytes .* got {wrong.dtype} from "):
            model.logits(wrong)


@pytest.mark.parametrize("x", [np.zeros((2, 4)), np.zeros(3), np.array([["a", "b", "c"]]), [[np.nan, 0, 0]]])
def test_rows_that_do_not_fit_are_refused(x):
    result, task, _ = trained()
    with pytest.raises(ValueError, match="predict: "):
        model_of(result, task).predict(x)


def test_names_of_files_are_different_whatever_the_domain_is_called():
    (config,) = plan("quick", ["erm"], (3,), "own", "a/b")
    names = {file_of(config._replace(test_domain=name), True) for name in ("a/b", "a b", "../../x", "東京", "京都")}
    assert len(names) == 5 and all(name.startswith("models/erm-3-without-") and ".." not in name for name in names)
    assert file_of(config) == "models/erm-3.npz"


@pytest.mark.parametrize("name", ["hash", "theta", "text"])
def test_model_that_lacks_an_array_is_a_sentence(name, tmp_path):
    result, task, _ = trained()
    save_model(tmp_path / "m.npz", model_of(result, task))
    with np.load(tmp_path / "m.npz") as file:
        arrays = {key: file[key] for key in file.files if key != name}
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(ValueError, match=f"m.npz: no model, or a damaged one: it has no array '{name}'"):
        load_model(tmp_path / "m.npz")


def test_images_are_taken_as_their_file_is_and_other_orders_refused(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"x_{name}": rng.random((20, 4, 5, 3)) for name in "abc"}
    np.savez(tmp_path / "i.npz", **arrays, **{f"y_{name}": np.arange(20) % 2 for name in "abc"})
    (config,) = plan("quick", ["erm"], (0,), "own", "c", steps=3, hidden=[5], standardized=True)
    own = own_npz(tmp_path / "i.npz")
    model = model_of(run(config, own, ALGORITHMS["erm"]), problem(config, own))
    assert model.logits(arrays["x_a"]).tobytes() == model.logits(own.domains[0].x).tobytes()
    with pytest.raises(ValueError, match="expected numbers x"):
        model.predict(np.moveaxis(arrays["x_a"], 3, 1))
    with pytest.raises(ValueError, match="predict: x is a masked array"):
        model.predict(np.ma.masked_array(own.domains[0].x, False))
