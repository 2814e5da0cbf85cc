import json
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from minifishr.algorithms import ALGORITHMS, Algorithm
from minifishr.checks import example
from minifishr.data import Checkpoint, Domain, Foreign, Problem, full_batch, minibatches
from minifishr.experiments.measures import MOST_PREDICTED, accuracy_rows, write_rows
from minifishr.mlp import MLP
from minifishr.train import Diverged, fit, keep_heap

MODEL = MLP((2, 3, 1))


def domains(m=2, n=20):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(n + e, 2)) for e in range(m)]
    return [Domain(f"domain {e}", x, (x[:, 0] > 0.1 * e).astype(int)) for e, x in enumerate(xs)]


def start():
    return MODEL.init(np.random.default_rng(1))


def counting(fail_at=None, broken="risk"):
    """An algorithm that adds 1 to theta and reports it; something becomes infinite at an update."""

    def update(theta, state, seen):
        infinite = state == fail_at
        theta = theta + (np.inf if infinite and broken == "theta" else 1)
        return theta, state + 1, {"risk": np.inf if infinite and broken == "risk" else float(state), "penalty": 0.5}

    return Algorithm("counting", lambda theta: 0, update)


def test_rows_at_a_step_describe_theta_after_as_many_updates():
    seen = []
    measure = lambda theta: [("a", "first", theta[0])]  # noqa: E731
    fitted = fit(counting(), np.zeros(2), lambda step: seen.append(step), 7, measure=measure, every=3)
    assert fitted.theta.tolist() == [7, 7] and fitted.state == 7 and seen == list(range(7))
    assert [(r.step, r.value) for r in fitted.history if r.metric == "first"] == [(0, 0), (3, 3), (6, 6), (7, 7)]
    assert [(r.step, r.value) for r in fitted.history if r.metric == "risk"] == [(t, t) for t in range(7)]
    assert {r.domain for r in fitted.history if r.metric == "penalty"} == {""}
    rows = fit(counting(), np.zeros(2), full_batch([]), 12, measure=measure).history
    assert [r.step for r in rows if r.metric == "first"] == [0, 10, 12]


@pytest.mark.parametrize("broken", ["risk", "theta"])
def test_non_finite_numbers_stop_and_keep_what_was_recorded(broken):
    with pytest.raises(Diverged, match=f"^counting: {broken} became non-finite at step 4$") as error:
        fit(counting(4, broken), np.zeros(2), full_batch([]), 9)
    with pytest.raises(Diverged) as caught:
        fit(counting(4, broken), np.zeros(MODEL.d), full_batch(domains()), 9, model=MODEL)
    told = f"counting: {broken} became non-finite at step 4 though each domain's risk is finite"
    assert str(caught.value) == told
    assert error.value.fit.theta.tolist() == [4, 4] and error.value.fit.state == 4
    assert [r.step for r in error.value.fit.history if r.metric == "risk"] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_divergence_names_method_step_and_domain(name):
    broken = [domains()[0], domains()[1]._replace(x=np.full((21, 2), np.inf))]
    batches = lambda step: broken if step == 2 else domains()  # noqa: E731
    with pytest.raises(Diverged, match=f"^{name}: .* became non-finite at step 2 in domain 'domain 1'$"):
        fit(ALGORITHMS[name](MODEL), start(), batches, 9, model=MODEL)


def test_too_large_a_step_is_a_clear_failure_and_no_warning():
    with pytest.raises(Diverged, match=r"^erm: .* became non-finite at step"):
        fit(ALGORITHMS["erm"](MODEL, lr=1e200), start(), full_batch(domains()), 9, model=MODEL)


@pytest.mark.parametrize(("weight", "moves"), [(1e20, True), (1e28, False)])
def test_a_square_beyond_float32_is_told_because_adam_would_never_move_again(weight, moves):
    single = [domain._replace(x=domain.x.astype(np.float32)) for domain in domains()]
    theta = start().astype(np.float32)
    algorithm = ALGORITHMS["vrex"](MODEL, convention="domainbed", penalty_weight=weight, warm_up=0)
    if moves:
        assert (fit(algorithm, theta, full_batch(single), 2).theta != theta).any()
    else:
        with np.errstate(over="ignore"):
            assert (algorithm.update(theta, algorithm.init(theta), single)[0] == theta).all()
        with pytest.raises(Diverged, match=r"^vrex: Adam's second moment became non-finite at step 0"):
            fit(algorithm, theta, full_batch(single), 2, model=MODEL)


def test_training_again_gives_the_same_bits():
    def train():
        return fit(ALGORITHMS["fishr"](MODEL, warm_up=3), start(), minibatches(domains(), 8, 5), 9)

    one, two = train(), train()
    assert one.theta.tobytes() == two.theta.tobytes() and one.history == two.history


def test_two_halves_are_one_training():
    """State and step carry everything: going on after 4 updates is the same as never stopping."""
    algorithm = ALGORITHMS["fishr"](MODEL, convention="domainbed", warm_up=5)
    batches = minibatches(domains(), 8, 5)
    theta, state = start(), algorithm.init(start())
    for step in range(9):
        theta, state, _ = algorithm.update(theta, state, batches(step))
    assert fit(algorithm, start(), batches, 9).theta.tobytes() == theta.tobytes()


def test_accuracies_are_measured_on_all_domains_and_held_out_rows_apart():
    a, b, c = domains(3)
    task = Problem("letters", [a, b], [a._replace(y=1 - a.y)], [c], oracle=[c._replace(y=1 - c.y)])
    rows = accuracy_rows(MODEL, task)(start())
    assert [(name, metric) for name, metric, _ in rows] == [
        ("domain 0", "accuracy"),
        ("domain 1", "accuracy"),
        ("domain 2", "accuracy"),
        ("domain 2", MOST_PREDICTED),
        ("domain 0", "validation accuracy"),
        ("domain 2", "oracle accuracy"),
    ]
    assert rows[0][2] + rows[4][2] == pytest.approx(1)  # every label flipped
    assert rows[2][2] + rows[5][2] == pytest.approx(1)
    ones = (MODEL.logits(start(), c.x)[:, 0] > 0).mean()
    assert rows[3][2] == pytest.approx(max(ones, 1 - ones))
    assert accuracy_rows(MODEL, task, train=False)(start()) == rows[2:]


def test_rows_are_appended_as_json_lines(tmp_path):
    history = fit(counting(), np.zeros(1), full_batch([]), 2).history
    for seed in (0, 1):
        write_rows(tmp_path / "rows", history, seed=seed)
    lines = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert lines[0] == {"seed": 0, "step": 0, "domain": "", "metric": "risk", "value": 0.0}
    assert [line["seed"] for line in lines] == [0] * 4 + [1] * 4


def test_keeping_the_heap_changes_no_number():
    train = lambda: fit(ALGORITHMS["irm"](MODEL, warm_up=2), start(), full_batch(domains()), 5).theta  # noqa: E731
    before = train()
    keep_heap()
    assert before.tobytes() == train().tobytes()


def test_keeping_the_heap_asks_glibc_and_is_no_fault_where_there_is_none(monkeypatch):
    asked = []
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h; the second is at most half a gibibyte on 32 bits
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(mallopt=lambda *of: asked.append((name, *of))))
    keep_heap()
    assert asked == [(None, M_MMAP_THRESHOLD, 2**30), (None, M_TRIM_THRESHOLD, 2**31 - 1)]
    for library in (lambda name: SimpleNamespace(), lambda name: os.stat("/nowhere"), lambda name: len(name)):
        monkeypatch.setattr("ctypes.CDLL", library)  # no mallopt; no library; Windows, which has no name None
        keep_heap()


# ---- checkpoints


OTHERS = {
    "another method": {"method": "irm"},
    "another hyper-parameter": {"lr": 0.02},
    "another convention": {"convention": "domainbed"},
    "another start": {"start": 2},
    "other data": {"data": 7},
    "other batches": {"batches": lambda found: minibatches(found, 4, 1)},
    "another model": {"model": MLP((2, 3, 1, 1))},
}


def training(path, steps=6, method="erm", start=1, data=0, batches=full_batch, model=MODEL, **options):
    """A training with a checkpoint after every 2 steps."""
    found = [domain._replace(x=domain.x + data) for domain in domains()]
    algorithm = ALGORITHMS[method](model, **{"lr": 0.01, **options})
    theta = model.init(np.random.default_rng(start))
    return fit(algorithm, theta, batches(found), steps, model=model, checkpoint=Checkpoint(path, 2))


@pytest.mark.parametrize("other", OTHERS)
def test_checkpoint_of_another_training_is_refused_and_left_alone(other, tmp_path):
    path = tmp_path / "half.npz"
    training(path)
    before = path.read_bytes()
    words = r"half\.npz: the checkpoint of another training, whose \w+ is .*, not .*; choose another file$"
    with pytest.raises(Foreign, match=words) as error:
        training(path, **OTHERS[other])
    assert path.read_bytes() == before and len(str(error.value)) < 300 and "\n" not in str(error.value)


def test_same_training_goes_on_with_more_steps_and_refuses_fewer(tmp_path):
    path = tmp_path / "half.npz"
    assert training(path).theta.tobytes() != training(path, steps=11).theta.tobytes()
    assert training(path, steps=11).theta.tobytes() == training(tmp_path / "whole.npz", steps=11).theta.tobytes()
    with pytest.raises(ValueError, match=r"half\.npz is 11 steps far, and steps=8 would go back"):
        training(path, steps=8)


def test_damage_of_any_kind_is_said_and_set_aside_and_real_trouble_with_the_disk_is_not_damage(tmp_path):
    path = tmp_path / "half.npz"
    whole = training(path).theta.tobytes()
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(150):
        damaged = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 9)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(1, len(good))] if number % 2 else damaged)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                assert training(path).theta.tobytes() == whole
            except Foreign:  # the damage hit a letter of the identity
                continue
        if said:
            assert "damaged checkpoint" in str(said[0].message) and len(str(said[0].message)) < 300 + len(str(path))
            assert path.with_name("half.npz.damaged").exists()
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        training(path)


def test_method_without_settings_has_no_checkpoint(tmp_path):
    with pytest.raises(
        ValueError, match=r"^fit: counting has no settings, so nobody could tell whose checkpoint it is$"
    ):
        fit(counting(), np.zeros(2), full_batch(domains()), 3, checkpoint=Checkpoint(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "fit: every=0 must be at least 1"),
        ({"steps": -1}, "fit: steps=-1 must be at least 0"),
        ({"checkpoint": Checkpoint("x.npz", 0)}, r"fit: checkpoint\.every=0 must be at least 1"),
    ],
)
def test_impossible_numbers_of_steps_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit(counting(), np.zeros(2), full_batch([]), **{"steps": 3, **options})


@pytest.mark.parametrize(
    ("name", "odd", "plain"),
    [("warm_up", np.int64(5), 5), ("lr", np.float32(0.5), 0.5), ("ddof", np.int64(0), 0)],
)
def test_numbers_of_numpy_are_the_same_hyper_parameters(tmp_path, name, odd, plain):
    model, theta, domains = example()
    one, other = (ALGORITHMS["vrex"](model, **{name: value}) for value in (odd, plain))
    assert one.settings == other.settings
    path = tmp_path / "c.npz"
    fit(one, theta, full_batch(domains), 2, model=model, checkpoint=Checkpoint(path, 1))
    assert np.all(
        np.isfinite(fit(other, theta, full_batch(domains), 4, model=model, checkpoint=Checkpoint(path, 1)).theta)
    )


def test_array_of_one_number_can_be_measured_and_kept(tmp_path):
    model, theta, domains = example()
    measure = lambda t: [("", "norm", np.sum(t**2, keepdims=True).reshape(()))]  # noqa: E731
    options = {"measure": measure, "model": model, "checkpoint": Checkpoint(tmp_path / "c.npz", 1)}
    fitted = fit(ALGORITHMS["erm"](model), theta, full_batch(domains), 2, **options)
    assert len(fitted.history) > 1
