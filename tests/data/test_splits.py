import numpy as np
import pytest
from samples import stream_once_more

from minifishr.data.batches import minibatches
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
