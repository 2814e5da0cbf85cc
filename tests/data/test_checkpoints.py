"""What a checkpoint says of its training, and what is said of one that does not fit."""

import json
import os
import warnings
import zipfile
from typing import NamedTuple

import numpy as np
import pytest
from samples import hashed

from minifishr.algorithms import ALGORITHMS, Algorithm
from minifishr.data import Checkpoint, Domain, Fit, Foreign, Row, digest, load_checkpoint, minibatches, reached

from minifishr.data import save_checkpoint, save_reached, training_identity, write_whole  # isort: skip
from minifishr.mlp import MLP
from minifishr.train import fit

MODEL = MLP((2, 1))
ERM = ALGORITHMS["erm"](MODEL, lr=0.5)
THETA = np.zeros(3)


class Moments(NamedTuple):
    """A state with a name, as an optimizer has."""

    count: int
    mean: np.ndarray


NAMED = Algorithm("named", lambda theta: (Moments(0, theta), 0.0), None, {"lr": 1})


def batches(step):
    return [Domain(name, np.full((2, 2), step + e), np.array([0, 1])) for e, name in enumerate("ab")]


def test_identity_is_model_method_settings_start_and_the_first_batch():
    first = [part for domain in batches(0) for part in (domain.x, domain.y)]
    expected = {
        "model": str(MODEL),
        "method": "erm",
        **ERM.settings,
        "start": hashed(THETA)[:16],
        "data": hashed(*first)[:16],
    }
    assert json.loads(training_identity(ERM, THETA, batches, MODEL)) == expected
    assert json.loads(training_identity(ERM, THETA, batches, None)) == {**expected, "model": None}
    strange = ERM._replace(settings={"rate": np.float32(0.5)})  # a number that JSON does not know
    assert json.loads(training_identity(strange, THETA, batches, None))["rate"] == "0.5"
    assert digest([1, 2.0]) == hashed(1, 2.0)[:16]


def test_identity_of_minibatches_is_of_all_rows_their_number_and_the_seed():
    domains = [Domain(name, np.arange(18.0).reshape(9, 2) + e, np.arange(9) % 2) for e, name in enumerate("ab")]
    first = training_identity(ERM, THETA, minibatches(domains, 2), MODEL)
    assert first == training_identity(ERM, THETA, minibatches([d._replace(x=d.x.copy()) for d in domains], 2), MODEL)
    assert len({first, *(training_identity(ERM, THETA, minibatches(domains, *o), MODEL) for o in ((3,), (2, 1)))}) == 3
    for row in range(9):  # whether it is in the first batch or not
        other = domains[1].x.copy()
        other[row] += 1
        changed = minibatches([domains[0], domains[1]._replace(x=other)], 2)
        assert training_identity(ERM, THETA, changed, MODEL) != first


def test_state_keeps_its_types_and_names(tmp_path):
    path, owner = tmp_path / "c.npz", json.dumps({"start": "s"})
    rows = [Row(3, "a", "risk", 0.1)]
    save_reached(path, owner, 4, Fit(np.ones(3), (Moments(7, np.arange(3.0)), 2.5), rows))
    step, found = reached(Checkpoint(path), NAMED, THETA, owner, 9)
    (state, number) = found.state
    assert step == 4 and found.history == rows and isinstance(found.history[0], Row) and found.theta.tolist() == [1] * 3
    assert type(state) is Moments and type(state.count) is int and state.count == 7 and type(number) is float
    assert state.mean.tolist() == [0, 1, 2] and number == 2.5
    start = Fit(THETA, NAMED.init(THETA), [])
    for nothing in (None, Checkpoint(tmp_path / "none.npz")):
        assert reached(nothing, NAMED, THETA, owner, 9) == (0, start)
    assert reached(Checkpoint(path), NAMED, THETA, owner, 4)[0] == 4
    with pytest.raises(ValueError) as caught:
        reached(Checkpoint(path), NAMED, THETA, owner, 3)
    assert str(caught.value) == f"fit: {path} is 4 steps far, and steps=3 would go back"


def test_first_thing_that_differs_is_told(tmp_path):
    path = tmp_path / "c.npz"
    save_reached(path, json.dumps({"method": "erm", "lr": 1, "tau": 2}), 4, Fit(THETA, NAMED.init(THETA), []))
    told = {
        "lr is 1, not 3": {"method": "erm", "lr": 3, "tau": 5},
        "k is None, not 5": {"method": "erm", "lr": 1, "k": 5, "tau": 2},
        "tau is 2, not None": {"method": "erm", "lr": 1},
    }
    for words, owner in told.items():
        with pytest.raises(Foreign) as caught:
            reached(Checkpoint(path), NAMED, THETA, json.dumps(owner), 9)
        assert str(caught.value) == (f"{path}: the checkpoint of another training, whose {words}; choose another file")


def test_checkpoint_is_written_after_every_so_many_updates(tmp_path):
    kept = Checkpoint(tmp_path / "c.npz", 3)

    def interrupted(steps):
        yield from [step for step in steps if step < 8]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(ERM, THETA, batches, 20, checkpoint=kept, progress=interrupted)
    with pytest.raises(ValueError, match=r"c\.npz is 6 steps far, and steps=5 would go back$"):
        fit(ERM, THETA, batches, 5, checkpoint=kept)


def test_checkpoint_is_written_at_the_last_step_from_where_more_steps_go_on(tmp_path):
    kept = Checkpoint(tmp_path / "c.npz", 300)
    fit(ERM, THETA, batches, 4, checkpoint=kept)
    with pytest.raises(ValueError, match=r"c\.npz is 4 steps far, and steps=3 would go back$"):
        fit(ERM, THETA, batches, 3, checkpoint=kept)
    made = []
    theta, _, history = fit(ERM, THETA, batches, 7, checkpoint=kept, progress=lambda t: made.extend(t) or t)
    whole = fit(ERM, THETA, batches, 7)
    assert made == [4, 5, 6] and theta.tobytes() == whole.theta.tobytes() and history == whole.history


def test_place_where_no_checkpoint_can_be_written_is_told_before_training(tmp_path):
    def never(steps):
        raise AssertionError("trained")

    with pytest.raises(OSError, match=r"none/c\.npz: cannot be written: No such file or directory$"):
        fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(tmp_path / "none" / "c.npz"), progress=never)


@pytest.mark.parametrize("kind", ["words", "objects", "another state"])
def test_whole_file_of_something_else_is_refused_and_stays(kind, tmp_path):
    path = tmp_path / "mine.npz"
    if kind == "words":  # as a document of an office is
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("mine.xml", "<words/>")
    elif kind == "objects":
        np.savez(path, np.array([{}], object))
    else:
        save_checkpoint(path, THETA, (training_identity(ERM, THETA, batches, None), 1, "[]", 2, 3, 4, 5, 6))
    before = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Foreign, match=r"mine\.npz: this is no checkpoint.*; choose another file$"):
            fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(path))
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_model_is_a_part_of_the_identity_where_it_is_known(tmp_path):
    for model in (MODEL, None):
        fit(ERM, THETA, batches, 2, model=model, checkpoint=Checkpoint(tmp_path / f"{model and 1}.npz", 2))
    with pytest.raises(Foreign, match=r"whose model is MLP.*, not None; choose another file$"):
        fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(tmp_path / "1.npz"))
    with pytest.raises(Foreign, match=r"whose model is None, not MLP"):
        fit(ERM, THETA, batches, 2, model=MODEL, checkpoint=Checkpoint(tmp_path / "None.npz"))


def test_damage_is_a_warning_and_training_starts_anew(tmp_path):
    path, half = tmp_path / "c.npz", b"PK\3\4half"
    path.write_bytes(half)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(path))
    (one,) = said
    reason = f"{path}: damaged checkpoint (File is not a zip file), set aside as *.damaged"
    assert str(one.message) == f"{reason}; training starts anew"
    assert [row.step for row in found.history if row.metric == "risk"] == [0, 1]
    assert (tmp_path / "c.npz.damaged").read_bytes() == half


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_a": np.zeros((9, 2)), "y_a": np.arange(9), "x_b": np.ones((9, 2)), "y_b": np.arange(9)},
        {"x": np.zeros((9, 2)), "y": np.array(5)},
        {"alone": np.zeros(3)},
        {},
    ],
)
def test_file_that_is_no_checkpoint_is_refused_and_stays(arrays, tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    before = path.read_bytes()
    with pytest.raises(Foreign) as caught:
        fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(path))
    assert str(caught.value) == f"{path}: this is no checkpoint; choose another file"
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_what_was_set_aside_before_stays(tmp_path):
    path = tmp_path / "c.npz"
    for number, end in enumerate((".damaged", ".2.damaged", ".3.damaged")):
        path.write_bytes(b"PK half %d" % number)
        with pytest.warns(UserWarning, match=rf", set aside as \*{end}; training starts anew$"):
            fit(ERM, THETA, batches, 1, checkpoint=Checkpoint(path))
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file != path}
    assert found == {
        "c.npz.damaged": b"PK half 0",
        "c.npz.2.damaged": b"PK half 1",
        "c.npz.3.damaged": b"PK half 2",
    }


def test_warning_of_a_broken_checkpoint_points_to_who_asked(tmp_path):
    (tmp_path / "c.npz").write_bytes(b"PK half")
    with pytest.warns(UserWarning) as said:
        fit(ERM, THETA, batches, 1, checkpoint=Checkpoint(tmp_path / "c.npz"))
    assert [one.filename for one in said] == [__file__]


class Trap:
    """Unpickled, it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_with_another_number_of_arrays_is_told_and_nothing_is_unpickled(tmp_path):
    path = tmp_path / "s.npz"
    save_checkpoint(path, THETA, (1, 2, (3, THETA)))
    with pytest.raises(ValueError) as caught:
        load_checkpoint(path, (1, 2))
    assert str(caught.value) == f"{path}: 4 arrays of state, expected 2"
    theta, state = load_checkpoint(path, (0, 0, (0, THETA)))
    assert theta.tolist() == [0] * 3 and state[:2] == (1, 2) and state[2][0] == 3
    np.savez(path, THETA, np.array([Trap(tmp_path / "sprung")], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_checkpoint(path, (THETA,))
    assert not (tmp_path / "sprung").exists()


def test_a_file_is_written_whole_or_stays_and_no_part_is_left(tmp_path):
    write_whole(tmp_path / "f", b"one")
    write_whole(str(tmp_path / "f"), b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["f"] and (tmp_path / "f").read_bytes() == b"two"
    (tmp_path / "g").mkdir()
    for place, reason in ((tmp_path / "g", "Is a directory"), (tmp_path / "no" / "f", "No such file or directory")):
        with pytest.raises(OSError) as caught:
            write_whole(place, b"x")
        assert str(caught.value) == f"{place}: cannot be written: {reason}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "g"]


@pytest.mark.parametrize(
    ("start", "then"),
    [(0, 0.73), (0.0, np.arange(3.0)), (np.float32(0), np.float32(0.5)), (True, False), (0, 7), ("", "a word")],
)
def test_a_state_comes_back_as_it_was_whatever_it_began_as(start, then, tmp_path):
    save_checkpoint(tmp_path / "kept.npz", THETA, (then, 1))
    _, (found, _) = load_checkpoint(tmp_path / "kept.npz", (start, 0))
    assert type(found) is type(then) and np.array_equal(found, then)


@pytest.mark.parametrize("leaf", [{}, None, np.random.default_rng(0)])
def test_a_state_that_no_file_can_hold_is_refused_before_training(leaf, tmp_path):
    method = Algorithm("mine", lambda theta: (0, leaf), None, {"lr": 1})
    with pytest.raises(ValueError, match=f"no checkpoint can hold the {type(leaf).__name__} in the state of mine"):
        reached(Checkpoint(tmp_path / "kept.npz"), method, THETA, "{}", 10)
    assert reached(None, method, THETA, None, 10)[0] == 0 and not any(tmp_path.iterdir())


def test_measurements_may_be_numbers_of_numpy(tmp_path):
    kept = Checkpoint(tmp_path / "kept.npz", 2)
    rows = [("a", "risk", np.float32(0.5)), ("a", "rows", np.int64(3))]
    history = fit(ERM, THETA, batches, 4, measure=lambda theta: rows, every=1, checkpoint=kept).history
    assert fit(ERM, THETA, batches, 4, measure=lambda theta: rows, every=1, checkpoint=kept).history == history


def test_identity_tells_long_arrays_apart():
    long = [np.arange(3000.0), np.where(np.arange(3000) == 1500, 0, np.arange(3000.0))]
    found = {training_identity(ERM._replace(settings={"w": w}), THETA, batches, None) for w in long}
    assert len(found) == 2


def test_links_stay_links_and_devices_stay_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe: cannot be written: it is no regular file"):
        write_whole(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()


def test_text_is_no_checkpoint_and_stays(tmp_path):
    (tmp_path / "notes.npz").write_text("mine")
    with pytest.raises(Foreign, match=r"notes\.npz: this is no checkpoint; choose another file"):
        fit(ERM, THETA, batches, 2, checkpoint=Checkpoint(tmp_path / "notes.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.npz"]
