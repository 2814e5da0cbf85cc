import io
import json
import zipfile

import numpy as np
import pytest

from minifishr import ALGORITHMS, PENALTIES, cli
from minifishr.algorithms import DEFAULTS
from minifishr.conformance import export, vectors
from minifishr.conformance.cases import SHAPES, drawn, well_placed
from minifishr.conformance.forms import FORMS

CASES = {case.name: case for case in vectors.cases()}


def close(found, recorded, allowed):
    scale = np.abs(recorded).max() or 1.0
    return found.shape == recorded.shape and np.abs(found - recorded).max() <= allowed * scale


@pytest.mark.parametrize("name", SHAPES)
def test_vectors_are_what_the_package_computes(name):
    recorded = {key: array for key, array in vectors.arrays().items() if key.startswith(f"{name}/")}
    found = vectors.expected(CASES[name])
    values, slopes = f"{name}/penalty", f"{name}/gradient"
    assert np.allclose(found.pop(values), recorded.pop(values), rtol=1e-12, atol=0)
    for ours, theirs in zip(found.pop(slopes), recorded.pop(slopes), strict=True):
        assert close(ours, theirs, 1e-12)
    statistics = {key for key in recorded if "/statistic/" in key}
    assert statistics == set(found)
    for key in statistics:
        assert close(found[key], recorded[key], 1e-12), key


@pytest.mark.parametrize("name", vectors.WALKED)
def test_recorded_updates_are_those_of_the_package(name):
    case, recorded = CASES[name], vectors.arrays()[f"{name}/trajectory"]
    paths = vectors.trajectories()
    assert recorded.shape == (len(paths), vectors.STEPS, case.model.d)
    for path, expected in zip(paths, recorded, strict=True):
        found = vectors.trajectory(case, *path)
        assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected - case.theta).max(), path


def test_every_method_convention_and_variant_is_recorded():
    assert vectors.forms() == FORMS
    assert {form.method for form in FORMS} == set(PENALTIES)
    assert {(form.method, form.convention) for form in FORMS} == {(n, c) for n in PENALTIES for c in DEFAULTS[n]}
    index = vectors.index()
    assert {entry["method"] for entry in index["trajectories"]} == set(ALGORITHMS)
    found = [(e["method"], e["convention"], e["settings"]) for e in index["trajectories"]]
    assert found == [(m, c, json.loads(json.dumps(s))) for m, c, s in vectors.trajectories()]
    first = {key: value for _, _, settings in vectors.trajectories()[::2] for key, value in settings.items()}
    assert first["warm_up"] == 3 and first["weight_decay"] and first["ema"]  # in the middle of six steps


def test_inputs_are_those_that_the_cases_draw_and_exact_in_float32():
    for number, name in enumerate(SHAPES):
        case, fresh = CASES[name], drawn(name, number)
        assert np.array_equal(case.theta, fresh.theta) and np.array_equal(case.w, fresh.w)
        for domain, other in zip(case.domains, fresh.domains, strict=True):
            assert np.array_equal(domain.x, other.x) and np.array_equal(domain.y, other.y)
            assert np.array_equal(domain.x * 64, np.round(domain.x * 64))
            assert well_placed(case.model, case.theta, domain.x)
            assert set(domain.y.tolist()) <= set(range(max(2, case.model.sizes[-1])))


def test_no_recorded_penalty_is_zero_and_no_two_conventions_agree_unless_they_are_the_same():
    alike = set()
    for name in SHAPES:
        values = vectors.arrays()[f"{name}/penalty"]
        assert values.all() and np.isfinite(values).all()
        pairs = {(i, j) for i in range(len(FORMS)) for j in range(i) if np.isclose(values[i], values[j], rtol=1e-6)}
        alike = pairs if name == next(iter(SHAPES)) else alike & pairs
    assert {(FORMS[i].method, FORMS[j].method) for i, j in alike} <= {(name, name) for name in PENALTIES}
    assert all(FORMS[i].variant == FORMS[j].variant for i, j in alike)


def test_file_has_no_time_in_it_and_is_read_without_unpickling(tmp_path):
    content = vectors.HERE.joinpath("vectors.npz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    index = json.loads(vectors.HERE.joinpath("vectors.json").read_bytes())
    again, text = vectors.written(vectors.arrays(), index)
    assert again == content  # the same arrays are the same bytes
    assert text == vectors.HERE.joinpath("vectors.json").read_bytes()
    assert len(content) + len(text) <= 1_000_000


def test_command_writes_the_shipped_bytes_and_says_what_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["vectors", "--out", "here/there"]) == 0
    for name in vectors.FILES:
        assert (tmp_path / "here" / "there" / name).read_bytes() == vectors.HERE.joinpath(name).read_bytes()
    out = capsys.readouterr().out
    assert f"version {vectors.VERSION}: {len(SHAPES)} cases, {len(FORMS)} penalties" in out
    (tmp_path / "file").write_text("")
    assert cli.main(["vectors", "--out", "file"]) == 2 and "vectors: " in capsys.readouterr().err


def test_recorded_arrays_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        vectors.arrays()["one-2a/theta"][0] = 1


def test_files_of_somebody_else_are_not_replaced(tmp_path):
    export(tmp_path)
    export(tmp_path)  # the same bytes are no loss
    (tmp_path / "vectors.json").write_text("mine")
    with pytest.raises(FileExistsError, match=r"vectors\.json is there already and is another file"):
        export(tmp_path)
    assert (tmp_path / "vectors.json").read_text() == "mine"
