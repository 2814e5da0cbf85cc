"""Sentences that have to be true of few cases, of float32, and of gradients that do not go with their value."""

import autograd.numpy as np
import pytest
from conformance import twenty as own

from minifishr import PENALTIES
from minifishr.conformance import check
from minifishr.conformance.factors import fit


def text(*given, **options):
    return str(check(*given, **options))


@pytest.mark.parametrize(
    "options", [{"domains": 4, "logits": "one"}, {"domains": 3, "logits": "many", "rows": "equal"}], ids=str
)
def test_one_case_is_enough_to_check(options):
    assert check("vrex", PENALTIES["vrex"], **options).follows
    said = text("vrex", lambda *given: np.pi * own.vrex_of_two(*given), **options)
    assert said.startswith("the paper convention times 3.14159265 (") and "too few cases to be sure" in said


def test_sizes_that_are_the_same_in_all_cases_leave_a_constant():
    size = {"m": 2, "m-1": 1, "n": 6, "k": 1, "h": 3, "d": 4}
    found = fit([2.5, 2.5], [size, size], 1e-9)
    assert (found.constant, found.powers, found.others) == (2.5, {}, ())
    assert fit([2.5, 2.6], [size, size], 1e-9) is None
