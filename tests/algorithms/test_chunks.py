"""Chunks of rows give the numbers of all rows at once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import problems

from minifishr import replay
from minifishr.algorithms.chunks import chunks_of
from minifishr.algorithms.fishr import fishr
from minifishr.data import Domain
from minifishr.mlp import MLP

VARIANTS = [{}, {"scope": "all"}, {"ddof": 1}, {"centered": False}, {"scope": "all", "ddof": 1}]


@pytest.mark.untraced
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@settings(max_examples=40)  # for each of ten variants
@given(problem=problems(), chunk=st.integers(1, 7))
def test_updates_in_chunks_are_those_of_all_rows(problem, chunk, convention, variant):
    model, theta, domains = problem
    whole, parts = (
        fishr(model, convention=convention, penalty_weight=3.0, warm_up=1, chunk=c, **variant) for c in (None, chunk)
    )
    states = [whole.init(theta), parts.init(theta)]
    one, other = theta, theta
    for _ in range(3):
        with replay.off():  # every new shape would be recorded anew, most of the time of this test
            one, states[0], info = whole.update(one, states[0], domains)
        other, states[1], found = parts.update(other, states[1], domains)
        # Adam divides a rounding error of 1e-16 by a gradient; where that is 0 up to rounding, eps = 1e-8 is left
        np.testing.assert_allclose(other, one, atol=1e-8)
        assert found.keys() == info.keys()
        np.testing.assert_allclose([*found.values()], [*info.values()], rtol=1e-9, atol=1e-12)


def test_chunks_are_all_rows_in_order_and_the_last_one_is_shorter():
    _, _, (domain, *_) = small()
    parts = chunks_of(domain, 4)
    assert [len(y) for _, y in parts] == [4, 3] and len(chunks_of(domain, 100)) == 1
    np.testing.assert_array_equal(np.concatenate([x for x, _ in parts]), domain.x)
    assert all(np.shares_memory(x, domain.x) for x, _ in parts)


def small(rows=7):
    rng, model = np.random.default_rng(0), MLP((3, 4, 1))
    domains = [Domain(f"{e}", rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)) for e in range(2)]
    return model, model.init(rng), domains


def test_dtype_is_kept():
    model, theta, domains = small()
    domains = [domain._replace(x=domain.x.astype(np.float32)) for domain in domains]
    algorithm = fishr(model, chunk=3)
    theta, *_ = algorithm.update(theta.astype(np.float32), algorithm.init(theta.astype(np.float32)), domains)
    assert theta.dtype == np.float32


def test_memory_does_not_grow_with_the_rows():
    model = MLP((3, 64, 64, 1))
    theta = model.init(np.random.default_rng(0))

    def peak(rows):
        _, _, domains = small(rows)
        algorithm = fishr(model, chunk=100, scope="all")
        state = algorithm.init(theta)
        tracemalloc.start()
        algorithm.update(theta, state, domains)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    few, many = peak(500), peak(4_000)
    assert many < 1.2 * few  # without chunks: 8 times


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"chunk": 0}, r"fishr: chunk=0 is outside \[1, inf\]"),
        ({"chunk": 2.5}, "fishr: chunk=2.5 is not a whole number"),
        ({"chunk": "all"}, "fishr: chunk='all' is not a number"),
        ({"chunk": 5, "covariance": "full"}, "fishr: chunk=5 needs covariance='diagonal', got 'full'"),
    ],
)
def test_impossible_chunks_are_refused(given_, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        fishr(MLP((3, 1)), **given_)


def test_a_domain_too_small_for_its_divisor_is_refused():
    model, theta, domains = small(1)
    algorithm = fishr(model, chunk=1, ddof=1)
    with pytest.raises(ValueError, match="ddof=1 needs more than 1 samples, got 1"):
        algorithm.update(theta, algorithm.init(theta), domains)


def test_chunks_with_memory_refuse_another_number_of_domains():
    model, theta, domains = small()
    algorithm = fishr(model, chunk=3, ema=0.5)
    theta, state, _ = algorithm.update(theta, algorithm.init(theta), domains)
    with pytest.raises(ValueError, match=r"^fishr: ema=0.5 remembers 2 domains, got 3$"):
        algorithm.update(theta, state, [*domains, domains[0]])


def test_chunks_refuse_a_single_domain_by_name():
    model, theta, domains = small()
    algorithm = fishr(model, chunk=3)
    assert algorithm.name == "fishr"
    with pytest.raises(ValueError, match=r"^fishr needs at least 2 domains, got 1: \['0'\]$"):
        algorithm.update(theta, algorithm.init(theta), domains[:1])


def test_labels_may_be_lists_in_chunks_too():
    model = MLP((2, 3, 1))
    theta, x = model.init(np.random.default_rng(0)), np.arange(8.0).reshape(4, 2)
    found = [
        (algorithm := fishr(model, chunk=2)).update(theta, algorithm.init(theta), [Domain(e, x, y) for e in "ab"])[0]
        for y in ([0, 1, 1, 0], np.array([0, 1, 1, 0]))
    ]
    assert (found[0] == found[1]).all()
