import numpy as np
import pytest
from samples import Table, stream_once_more

from minifishr.data.batches import full_batch, minibatches
from minifishr.data.domains import Domain
from minifishr.data.splits import leave_out


def rows(*names, n=10):
    return [Domain(name, np.arange(float(n))[:, None], np.arange(n) % 2) for name in names]


def test_problem_has_the_name_and_shape_that_it_is_given():
    task = leave_out("letters", rows("a", "b", "c"), "b", shape=(1, 1, 1))
    assert task.name == "letters" and task.shape == (1, 1, 1)
    assert leave_out("letters", rows("a", "b", "c"), "b").shape == ()


def test_rows_held_out_are_the_first_of_a_stream_of_their_domain():
    task = leave_out("letters", rows("a", "b", "c"), "b")
    for number, kept, held in ((0, task.train[0], task.validation[0]), (1, task.test[0], task.oracle[0])):
        order = stream_once_more(0, b"held out", number).permutation(10).tolist()
        assert (held.x[:, 0].tolist(), kept.x[:, 0].tolist()) == (order[:2], order[2:])


def test_batches_are_the_draws_of_a_stream_of_their_step():
    a, b = minibatches(rows("a", "b"), 4)(7)
    stream = stream_once_more(0, b"batches", 7)
    assert [a.x[:, 0].tolist(), b.x[:, 0].tolist()] == [stream.integers(0, 10, 4).tolist() for _ in "ab"]


@pytest.mark.parametrize(
    ("count", "told"),
    [(8, "site 0, site 1, site 2, site 3, site 4, site 5, site 6, site 7"),
     (30, "site 27, site 7, site 2, site 29, site 28, site 26, site 25, site 24, ...")],
)  # fmt: skip
def test_of_many_domains_the_eight_nearest_are_named(count, told):
    with pytest.raises(ValueError) as caught:
        leave_out("own data", rows(*(f"site {number}" for number in range(count))), "side 27")
    assert str(caught.value) == f"own data: unknown test domain 'side 27', expected one of {told}"


def test_nothing_to_leave_out_is_a_sentence():
    with pytest.raises(ValueError, match=r"^own data: unknown test domain '', expected one of a, b, c$"):
        leave_out("own data", rows(*"abc"))


def test_of_many_domains_also_distant_names_are_shown():
    with pytest.raises(ValueError, match=r"expected one of (\w, ){8}\.\.\.$"):
        leave_out("own data", rows(*"abcdefghi"), "x")


def test_rows_of_a_table_are_taken_by_their_place():
    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 1, 0, 1, 0])
    tables = [Domain(n, Table(x), Table(y)) for n in "abc"]
    arrays = [Domain(n, x, y) for n in "abc"]
    for found, expected in zip(minibatches(tables, 4)(0), minibatches(arrays, 4)(0), strict=True):
        assert (found.x == expected.x).all() and (found.y == expected.y).all()
    one, other = (leave_out("t", domains, "c").train[0] for domains in (tables, arrays))
    assert (one.x == other.x).all() and (one.y == other.y).all()


def test_rows_without_labels_are_not_dropped():
    short = [Domain(n, np.ones((6, 2)), np.zeros(5, int)) for n in "abc"]
    with pytest.raises(ValueError, match="domain 'a' has 6 rows and 5 labels"):
        leave_out("t", short, "c")


def test_batches_of_an_iterator_are_those_of_its_list():
    domains = [Domain(n, np.arange(6.0).reshape(3, 2), np.arange(3)) for n in "ab"]
    for make in (lambda d: minibatches(d, 2), full_batch):
        found = make(iter(domains))
        assert [d.name for d in found(0)] == [d.name for d in found(1)] == ["a", "b"]


def test_a_domain_without_rows_and_half_a_row_are_refused():
    empty = Domain("a", np.ones((0, 2)), np.zeros(0, int))
    with pytest.raises(ValueError, match="minibatches: domain 'a' has no rows"):
        minibatches([empty], 2)
    with pytest.raises(ValueError, match=r"minibatches: size must be a whole number of at least 1, got 2\.5"):
        minibatches([], 2.5)
