"""A replayed function is the function, bit by bit, or refuses."""

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import autograd.numpy as np
import cloudpickle
import numpy as onp
import pytest
from autograd import grad, hessian, jacobian, make_vjp
from hypothesis import given
from hypothesis import strategies as st

from minifishr import replay
from minifishr.algorithms import ALGORITHMS, fishr
from minifishr.checks import check_algorithm
from minifishr.checks.breaks import broken
from minifishr.data import Domain
from minifishr.losses import risk, targets
from minifishr.mlp import MLP
from minifishr.replay import KEPT, Refused, replayed

RNG = onp.random.default_rng(0)


def cubes(z):
    return np.sum(z**3 * np.arange(1, len(z) + 1))


# name -> a function of a vector; each with another kind of primitive or of derivative
FUNCTIONS = {
    "value": cubes,
    "gradient": lambda z: grad(cubes)(z),
    "gradient of a gradient": lambda z: grad(lambda z: np.sum(grad(cubes)(z) ** 2))(z),
    "Hessian": lambda z: hessian(cubes)(z),
    "slices": lambda z: grad(lambda z: np.sum(z[1:] * z[:-1]) + z[0] ** 2)(z),
    "pieces of a tuple": lambda z: grad(lambda z: sum(np.sum(a) ** 2 for a in np.split(z, [1])))(z),
    "comparison": lambda z: grad(lambda z: np.sum(np.where(z > 0, z**2, z)))(z),
    "stack": lambda z: jacobian(lambda z: np.stack([z, z**2]))(z),
    "two outputs": lambda z: (np.sum(z), z * 2),
    "its input": lambda z: (z, np.sum(z)),
    "size of a box": lambda z: grad(lambda z: cubes(z) / z.size)(z),
}


def assert_same(found, expected):
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    for f, e in zip(*((p if isinstance(p, tuple) else (p,)) for p in (found, expected)), strict=True):
        onp.testing.assert_array_equal(f, e)
        assert onp.shape(f) == onp.shape(e) and onp.asarray(f).dtype == onp.asarray(e).dtype


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [onp.float32, onp.float64])
def test_every_call_gives_what_the_function_gives(name, dtype):
    function = FUNCTIONS[name]
    ours = replayed(function)
    for n in (3, 3, 3, 4, 4, 3, 4):
        z = RNG.normal(size=n).astype(dtype)
        assert_same(ours(z), function(z))
    assert len(ours.recordings) == 2 and all(hasattr(run, "source") for run in ours.recordings.values())


@given(st.lists(st.integers(2, 5), min_size=1, max_size=8), st.integers(0, 9))
def test_shapes_may_come_in_any_order(lengths, seed):
    ours, rng = replayed(lambda a, b: grad(lambda a: np.sum((a @ b) ** 2))(a)), onp.random.default_rng(seed)
    for n in lengths:
        a, b = rng.normal(size=(n, 3)), rng.normal(size=(3, 2))
        onp.testing.assert_array_equal(ours(a, b), ours.function(a, b))


def test_replays_call_the_function_no_more():
    calls = []
    ours = replayed(lambda z: calls.append(1) or np.sum(z**2))
    assert [float(ours(onp.array([z]))) for z in (1.0, 2.0, 3.0, 4.0)] == [1, 4, 9, 16]
    assert len(calls) == 2  # recorded, compared
    with replay.off():
        assert float(ours(onp.array([5.0]))) == 25 and len(calls) == 3
    assert float(ours(onp.array([6.0]))) == 36 and len(calls) == 3


def test_it_can_be_differentiated_from_outside_and_called_by_another():
    inner = replayed(lambda z: grad(cubes)(z))
    outer = replayed(lambda z: np.sum(inner(z) ** 2))
    for _ in range(3):
        z = RNG.normal(size=3)
        onp.testing.assert_array_equal(inner(z), grad(cubes)(z))
        onp.testing.assert_array_equal(outer(z), onp.sum(grad(cubes)(z) ** 2))
        onp.testing.assert_array_equal(grad(lambda z: np.sum(inner(z)))(z), grad(lambda z: np.sum(grad(cubes)(z)))(z))


def test_sums_that_begin_alike_and_end_differently_stay_apart():
    terms = [np.sin, np.exp, np.tanh, lambda z: z**3]

    def gradients(z):  # autograd adds the third gradient and what follows in place to the sum of the first two
        return tuple(grad(lambda z, p=p: sum(np.sum(term(z)) for term in p))(z) for p in permutations(terms, 3))

    ours = replayed(gradients)
    for z in RNG.normal(size=(3, 4)):
        assert_same(ours(z), gradients(z))
    program = next(iter(ours.recordings.values()))
    assert program.source.count("cos_") == 1  # though 18 of the 24 gradients need it


def test_results_of_one_call_are_not_touched_by_the_next():
    ours = replayed(lambda z: (z[1:], grad(cubes)(z)))
    results = [ours(z) for z in RNG.normal(size=(5, 4))]
    kept = copy.deepcopy(results)
    ours(RNG.normal(size=4))
    for one, other in zip(results, kept, strict=True):
        assert_same(one, other)


def test_labels_are_seen_anew_and_checked_at_every_call():
    ours = replayed(lambda z, y: np.sum(z * targets(y, 3, 2, z.dtype)))
    z = RNG.normal(size=(3, 2))
    for y in ([0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]):
        assert ours(z, onp.array(y)) == onp.sum(z * onp.eye(2)[y])
    with pytest.raises(ValueError, match=r"need labels in 0..1, got \[0, 2\]"):
        ours(z, onp.array([0, 2, 0]))


# --- what is refused


@pytest.mark.parametrize("bad", ["text", None, 3, [1.0, 2.0], onp.array(["a"]), onp.array([None]), 1.0])
def test_inputs_that_are_no_arrays_of_numbers_are_refused(bad):
    with pytest.raises(Refused, match=r"^cubes: input 0 is no array of numbers but \w+$"):
        replayed(cubes)(bad)


@pytest.mark.parametrize("output", [None, 3.0, "text", onp.ones(2), [1.0]])
def test_outputs_that_are_no_arrays_or_constants_are_refused(output):
    def constant(z):
        return np.sum(z), output

    with pytest.raises(Refused, match=r"^constant: output 1 is no array or does not depend on the inputs"):
        replayed(constant)(onp.ones(2))


def test_another_number_of_outputs_is_refused():
    seen = []

    def growing(z):
        seen.append(z)
        return (z,) * len(seen)

    ours = replayed(growing)
    ours(onp.ones(2))
    with pytest.raises(Refused, match=r"^growing: another number of outputs than at the first call$"):
        ours(onp.ones(2))


@pytest.mark.parametrize("draw", [lambda rng, z: z + rng.normal(size=2), lambda rng, z: z * next(rng.counter)])
def test_what_changes_without_being_an_input_is_refused_at_the_second_call(draw):
    class Source:
        counter = iter(range(1, 9))
        normal = onp.random.default_rng(0).normal

    def changing(z):
        return np.sum(draw(Source, z))

    ours = replayed(changing)
    ours(onp.ones(2))
    with pytest.raises(Refused, match=r"^changing: output 0 changes with something that is not an input$"):
        ours(onp.ones(2))


def test_numpys_own_generator_as_a_primitive_is_refused():
    ours = replayed(lambda z: np.random.normal(z))
    ours(onp.ones(2))
    with pytest.raises(Refused, match="output 0 changes"):
        ours(onp.ones(2))


UNRECORDABLE = {
    "a condition on a value": lambda z: z * 2 if np.sum(z) > 0 else z,
    "plain NumPy": lambda z: grad(lambda t: np.sum(t * onp.append(z, 1.0)))(onp.ones(4)),
    "a list of boxes in plain NumPy": lambda z: np.sum(np.array([1.0]) * onp.array([z[0], z[1]])),
    "a number of Python": lambda z: z * float(np.sum(z)),
    "an index": lambda z: z[onp.arange(2), z.astype(int)] if z.ndim == 2 else z[int(z[0]) :],
    "added to a constant": lambda z: grad(lambda z: np.sum(z[1:] * z[:-1]) + z[0])(z),
    "added to a constant cotangent": lambda z: make_vjp(lambda t: np.stack([t, t[0] * z]))(onp.ones(3))[0](
        onp.ones((2, 3))
    ),
}


@pytest.mark.parametrize("name", UNRECORDABLE)
def test_what_cannot_be_recorded_is_traced_or_fails_as_it_did(name):
    function = UNRECORDABLE[name]
    ours = replayed(function)
    for z in (onp.array([1.0, 2.0, 3.0]), onp.array([-3.0, 1.0, 1.0]), onp.array([0.0, 2.0, 3.0])):
        try:
            expected = function(z)
        except Exception as error:
            with pytest.raises(type(error)):
                ours(z)
        else:
            onp.testing.assert_array_equal(ours(z), expected)


def test_errors_of_the_function_are_its_own():
    def careful(z):
        if len(z) < 2:
            raise ValueError("careful needs two")
        return np.sum(z)

    with pytest.raises(ValueError, match=r"^careful needs two$"):
        replayed(careful)(onp.ones(1))


# --- memory, copies, processes, threads


def test_recordings_do_not_grow_without_end():
    ours = replayed(lambda z: np.sum(z**2))
    for n in range(1, 101):
        ours(onp.ones(n))
        assert len(ours.recordings) <= KEPT
    assert float(ours(onp.ones(1))) == 1 and float(ours(onp.ones(100))) == 100  # one is kept, the other traced
    with pytest.raises(Refused, match="input 0 is no array of numbers"):
        ours([1.0])


@pytest.mark.parametrize("values", [[[2.0, 2.0], [3.0, 3.0], [1.0, 1.0]], [[0.0, 2.0], [0.0, 1.0], [1.0, 1.0]]])
def test_condition_on_a_value_is_asked_at_every_call_also_where_the_second_agrees(values):
    def branching(z):
        return z * 2 if np.sum(z - 1) else z * 3

    ours = replayed(branching)
    for value in map(onp.array, values):
        onp.testing.assert_array_equal(ours(value), branching(value))
    inner = replayed(lambda z: grad(lambda t: np.sum(t**2) if t[0] > 0 else np.sum(t**3))(z))
    for value in ([1.0, 2.0], [3.0, 2.0], [-1.0, 2.0]):
        expected = 2 * onp.array(value) if value[0] > 0 else 3 * onp.array(value) ** 2
        onp.testing.assert_allclose(inner(onp.array(value)), expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda z, y: np.sum(z) / len(np.bincount(y)),
        lambda z, y: np.sum(z) * len(np.setdiff1d(y, [0])),
        lambda z, y: np.sum(z) * len(np.union1d(y, [0])),
        lambda z, y: np.sum(z) * len(np.repeat(y, y)),
    ],
)
def test_lengths_that_depend_on_values_are_never_constants(function):
    ours, z = replayed(function), onp.ones(3)
    for labels in ([0, 1, 1], [1, 1, 0], [0, 1, 2]):  # the second has the length of the first
        assert ours(z, onp.array(labels)) == function(z, onp.array(labels))


def test_copies_and_pickles_are_the_function_without_recordings():
    ours = replayed(cubes)
    for z in RNG.normal(size=(3, 3)):
        expected = ours(z)
        for other in (copy.deepcopy(ours), copy.copy(ours), cloudpickle.loads(cloudpickle.dumps(ours))):
            assert other.recordings == {} and other(z) == expected
    algorithm = ALGORITHMS["fishr"](MLP((3, 4, 1)))
    train(algorithm, 3)
    again = pickle.loads(cloudpickle.dumps(algorithm))
    onp.testing.assert_array_equal(train(again, 3), train(algorithm, 3))


def test_replays_in_threads_do_not_meet():
    ours = replayed(lambda z: grad(lambda z: np.sum(grad(cubes)(z) ** 2))(z))
    zs = RNG.normal(size=(400, 50))
    expected = [ours(z) for z in zs]
    with ThreadPoolExecutor(8) as pool:
        for found, meant in zip(pool.map(ours, zs), expected, strict=True):
            onp.testing.assert_array_equal(found, meant)


def peak(function, *arrays):
    tracemalloc.start()
    function(*arrays)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


@pytest.mark.parametrize("scope", ["classifier", "all"])
def test_a_replayed_full_batch_takes_no_more_memory_than_a_traced_one(scope):
    model, rng = MLP((20, 30, 30, 1)), onp.random.default_rng(0)
    domains = [Domain(f"{e}", rng.normal(size=(3_000, 20)), rng.integers(0, 2, 3_000)) for e in range(2)]
    algorithm = ALGORITHMS["fishr"](model, scope=scope)
    theta = model.init(rng)
    state = algorithm.init(theta)
    tracemalloc.start()
    with replay.off():
        algorithm.update(theta, state, domains)
    traced, before = tracemalloc.get_traced_memory()[1], tracemalloc.get_traced_memory()[0]
    algorithm.update(theta, state, domains)
    algorithm.update(theta, state, domains)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.reset_peak()
    algorithm.update(theta, state, domains)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found <= traced
    assert kept < 0.1 * traced  # no array of the size of the rows stays


# --- methods


def train(algorithm, steps):
    model, rng = MLP((3, 4, 1)), onp.random.default_rng(0)
    domains = [Domain(f"{e}", rng.normal(e, 1, (5, 3)), rng.integers(0, 2, 5)) for e in range(2)]
    theta = model.init(rng)
    state = algorithm.init(theta)
    for _ in range(steps):
        theta, state, _ = algorithm.update(theta, state, domains)
    return theta


VARIANTS = [
    ("fishr", {"scope": "all"}), ("fishr", {"covariance": "full"}), ("fishr", {"centered": False}),
    ("fishr", {"ddof": 1}), ("fishr", {"chunk": 2}), ("fishr", {"ema": 0.9}), ("fishr", {"warm_up": 4}),
    ("dann", {"gradient_penalty": 1.0}), ("irm", {"warm_up": 4}),
]  # fmt: skip


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize(("name", "variant"), [*((name, {}) for name in ALGORITHMS), *VARIANTS], ids=str)
@pytest.mark.parametrize("sizes", [(4, 1), (4, 5, 3, 1), (4, 5, 3), (4, 3, 2)])
def test_methods_give_the_same_bits_replayed_and_traced(name, variant, convention, sizes):
    model, rng = MLP(sizes), onp.random.default_rng(1)
    theta = model.init(rng)
    found, expected = (ALGORITHMS[name](model, convention=convention, **variant) for _ in range(2))
    one, other = ((theta, algorithm.init(theta)) for algorithm in (found, expected))
    for rows in [(5, 5, 5)] * 4 + [(3, 4, 5)] * 3 + [(2, 2, 2)]:  # another size in the last step
        batch = [
            Domain(f"{e}", rng.normal(size=(n, 4)), rng.integers(0, max(2, sizes[-1]), n)) for e, n in enumerate(rows)
        ]
        *one, told = found.update(*one, batch)
        with replay.off():
            *other, meant = expected.update(*other, batch)
        onp.testing.assert_array_equal(one[0], other[0])
        assert told == meant


def test_every_method_records_all_of_its_hot_path(monkeypatch):
    """No method falls back to tracing, which would be right and slow."""
    monkeypatch.setattr(replayed, "first", strict(replayed.first))
    for name in ALGORITHMS:
        for convention in ("paper", "domainbed"):
            train(ALGORITHMS[name](MLP((3, 4, 1)), convention=convention), 3)


def strict(first):
    def checked(self, key, *arrays):
        result = first(self, key, *arrays)
        assert self.recordings[key] is not self.function, self.__name__
        return result

    return checked


def test_a_check_that_a_method_forgets_an_input_fails():
    def forgetful(model, *, convention="paper", **hyper_parameters):
        algorithm = ALGORITHMS["erm"](model, convention=convention, **hyper_parameters)
        seen = []

        @replayed
        def shifted(theta):
            return theta * (1 + 1e-3 * len(seen) ** 0)

        def update(theta, state, domains):
            seen.append(1)
            theta, state, info = algorithm.update(theta, state, domains)
            return shifted(theta) + 1e-12 * (replay.ON.get()), state, info

        return algorithm._replace(update=update)

    with pytest.raises(AssertionError, match="promised: replayed and traced updates are the same bits"):
        check_algorithm(forgetful)


def test_a_broken_function_is_not_replayed_from_before():
    algorithm = ALGORITHMS["fishr"](MLP((3, 4, 1)), lr=0.1, warm_up=0, penalty_weight=1.0)
    before = train(algorithm, 4)
    with broken("fishr.distance"):
        during = train(algorithm, 4)
    assert (before != during).any()
    onp.testing.assert_array_equal(train(algorithm, 4), before)


def test_a_statistic_of_ones_own_is_replayed_when_it_is_built_from_the_protocol():
    calls = []

    def statistic(model, theta, x, y):
        calls.append(len(y))
        return risk(model, theta, x, y) ** 2

    recipe = fishr.RECIPES["paper"]
    options = {"penalty_weight": 2.0, "lr": 0.1, "weight_decay": 0.0}
    from minifishr.algorithms.protocol import deviations, penalized

    own = penalized("own", MLP((3, 4, 1)), statistic, lambda phi: np.sum(deviations(phi) ** 2), recipe, **options)
    train(own, 6)
    assert len(calls) == 4  # two domains, recorded and compared


@pytest.mark.parametrize(
    "count",
    [
        lambda z: len(z[z > 0]),
        lambda z: z[z > 0].size,
        lambda z: len(np.unique((z > 0) * onp.arange(4))),
        lambda z: len(np.flatnonzero(z > 0)),
        lambda z: np.argwhere(z > 0).shape[0],
        lambda z: len(np.compress(z > 0, z)),
        lambda z: len(np.extract(z > 0, z)),
        lambda z: len(np.nonzero(z > 0)[0]),
        lambda z: len(np.where(z > 0)[0]),
    ],
)
def test_a_number_that_depends_on_values_is_no_constant(count):
    function = replayed(lambda z: np.sum(z) / (1 + count(z)))
    for positive in (2, 2, 1, 3, 3, 2):  # the first two alike, so that the second call cannot tell
        z = onp.where(onp.arange(4) < positive, 1.5, -1.0)
        assert function(z) == onp.sum(z) / (1 + count(z))


def test_constants_that_print_alike_stay_apart():
    rows = [(onp.arange(1200), onp.full(1200, column)) for column in (0, 1)]
    function = replayed(
        lambda z: (
            np.sum(z * onp.array(0.1234567891)) - np.sum(z * onp.array(0.1234567892)) + np.sum(z[rows[0]] - z[rows[1]])
        )
    )
    for seed in range(4):
        z = onp.random.default_rng(seed).normal(size=(1200, 2))
        assert function(z) == pytest.approx(function.function(z), rel=1e-12)
