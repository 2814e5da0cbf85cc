import pytest
from conformance.twenty import RIGHT, TWENTY, WRONG

from minifishr.conformance import check


@pytest.mark.parametrize(("method", "penalty", "sentence"), TWENTY, ids=[f.__name__ for _, f, _ in TWENTY])
def test_sentence_is_right_on_twenty_implementations_of_which_half_are_wrong(method, penalty, sentence):
    found = check(method, penalty)
    assert str(found).startswith(sentence)
    assert found.follows == sentence.startswith("follows")


def test_half_of_them_are_wrong():
    assert len(RIGHT) == len(WRONG) == 10
