import json

import numpy as np
import pytest

import minifishr
from minifishr import ALGORITHMS, load_model
from minifishr.data import Domain, Own
from minifishr.experiments import file_of, model_of, network, plan, problem, run, save_model


def own(k=3, columns=("a", "b", "c", "d"), labels=(), shape=()):
    rng = np.random.default_rng(0)
    domains = [Domain(name, 100 * rng.normal(size=(30, 4)) + 7, rng.integers(0, k, 30)) for name in ("x", "y/..", "z")]
    return Own(domains, list(columns), list(labels), shape)


def trained(source, convention="quick", **options):
    (config,) = plan(convention, ["erm"], [3], "own", "z", steps=12, standardized=True, hidden=[5], **options)
    config = config._replace(every=4)
    return run(config, source, ALGORITHMS["erm"]), problem(config, source)


@pytest.mark.parametrize(("k", "convention"), [(3, "quick"), (2, "quick"), (2, "domainbed")])
@pytest.mark.parametrize("selection", ["last", "validation"])
def test_model_read_again_predicts_the_same_bits_as_the_network_that_was_trained(k, convention, selection, tmp_path):
    source = own(k, labels=["no", "yes", "maybe"][:k])
    result, task = trained(source, convention)
    save_model(tmp_path / "m.npz", model_of(result, task, selection))
    found = load_model(tmp_path / "m.npz")
    theta = result.theta if selection == "last" else result.best
    z = network(result.config, task).logits(theta, task.scaling.applied(source.domains[2].x))
    assert found.logits(source.domains[2].x).tobytes() == z.tobytes()
    p = found.predict_proba(source.domains[2].x)
    z = np.hstack([0 * z, z]).astype(float) if z.shape[1] == 1 else z.astype(float)
    np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
    assert found.predict(source.domains[2].x).tolist() == [["no", "yes", "maybe"][c] for c in z.argmax(axis=1)]
    assert found.about["config"]["seed"] == 3 and found.about["selection"] == selection


def test_validation_keeps_the_parameters_of_the_step_that_it_selects():
    source = own(2)
    result, task = trained(source)
    scores = {row.step: [] for row in result.history if row.metric == "validation accuracy"}
    for row in result.history:
        if row.metric == "validation accuracy":
            scores[row.step].append(row.value)
    step = max(scores, key=lambda s: (np.mean(scores[s]), -s))
    model = network(result.config, task)
    right = [np.mean((model.logits(result.best, d.x)[:, 0] > 0) == d.y) for d in task.validation]
    assert right == scores[step]


def test_file_is_about_as_large_as_theta_and_holds_no_object(tmp_path):
    result, task = trained(own())
    save_model(tmp_path / "m.npz", model_of(result, task))
    assert (tmp_path / "m.npz").stat().st_size < result.theta.nbytes + 6_000
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiuU" for name in file.files) and int(file["format"]) == 1


def rewritten(path, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "a model of format 2, this version of minifishr reads format 1"),
        ({"theta": np.zeros(43, np.float32)}, "a damaged model: its hash is another one"),
        ({"text": json.dumps({"sizes": [1]})}, "a damaged model: its hash is another one"),
        ({"hash": None}, "no model, or a damaged one: it has no array 'hash'"),
        ({"theta": None}, "no model, or a damaged one: it has no array 'theta'"),
    ],
)
def test_other_and_damaged_models_are_refused_in_one_sentence(changes, message, tmp_path):
    result, task = trained(own())
    save_model(tmp_path / "m.npz", model_of(result, task))
    rewritten(tmp_path / "m.npz", **changes)
    with pytest.raises(ValueError, match=f"m.npz: {message}") as error:
        load_model(tmp_path / "m.npz")
    assert "\n" not in str(error.value)


def test_x_that_does_not_fit_is_refused():
    result, task = trained(own())
    model = model_of(result, task)
    for x in (
        np.ones((2, 3)),
        np.ones(4),
        np.array([["a"] * 4]),
        np.array([[1, 2, np.nan, 3]]),
        np.full((1, 4), 1e300),
    ):
        with pytest.raises(ValueError, match="predict: "):
            model.predict(x)
    assert model.predict(np.ones((0, 4))).shape == (0,) and model.predict_proba(np.ones((0, 4))).shape == (0, 3)


def test_files_of_runs_have_names_that_are_files_and_differ():
    configs = [plan("quick", ["erm"], [0], "own", name)[0] for name in ("y/..", "y ..", "z")]
    names = [file_of(config, several=True) for config in configs]
    assert len({*names}) == 3 and all(name.count("/") == 1 and ".." not in name for name in names)
    assert file_of(configs[0]) == "models/erm-0.npz"


def test_load_model_is_a_public_name():
    assert "load_model" in minifishr.__all__
