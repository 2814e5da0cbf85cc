"""What `make parity` asks of every method can be asked: the suite has no PyTorch, and so does not run it."""

from itertools import product

import numpy as np
import pytest
from parity.test_parity import VARIANTS, problem
from parity.test_update_parity import HYPER_PARAMETERS

from minifishr.algorithms import ALGORITHMS, PENALTIES

SIZES = (3, 4, 1)


@pytest.mark.parametrize("name", PENALTIES)
def test_every_variant_of_a_penalty_is_a_number(name):
    where = problem(SIZES)
    for convention, variant in product(("paper", "domainbed"), VARIANTS.get(name, [{}])):
        assert np.isfinite(PENALTIES[name](*where, convention=convention, **variant))


@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_every_setting_of_an_update_makes_one(name):
    model, theta, domains = problem(SIZES, rows=(8, 8, 8))
    for hyper in HYPER_PARAMETERS[name]:
        method = ALGORITHMS[name](model, convention="domainbed", **hyper)
        after, _, _ = method.update(theta, method.init(theta), domains)
        assert np.isfinite(after).all() and (after != theta).any()
