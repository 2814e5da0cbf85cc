"""A short round of `make fuzz`."""

import fuzz
import pytest


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_mutated_input_ends_in_success_or_one_sentence(kind):
    troubles, refused = fuzz.rounds(kind, 1, range(100))
    assert troubles == [] and refused > 0


def test_outcome_of_another_kind_is_noticed(monkeypatch):
    for outcome in ((1, "no"), (2, ""), (2, "two\nlines"), (2, "x" * 301), (0, "minifishr: " + "x" * 300)):
        monkeypatch.setitem(fuzz.KINDS, "bad", lambda rng, outcome=outcome: outcome)
        assert fuzz.trouble("bad", 0, 0)[0]
    monkeypatch.setitem(fuzz.KINDS, "bad", lambda rng: 1 / 0)
    assert "ZeroDivisionError" in fuzz.trouble("bad", 0, 0)[0]
