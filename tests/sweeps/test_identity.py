"""A run that was recorded once keeps its identity, whatever switches its method has got since."""

import pytest

from minifishr.algorithms import ALGORITHMS, DEFAULTS
from minifishr.algorithms.settings import LATER
from minifishr.experiments import plan
from minifishr.mlp import MLP
from minifishr.sweeps.grid import drawn
from minifishr.sweeps.records import identity

# of the default's and the third draw's run, as they were before the switches came
BEFORE = {
    "irm": ("94ede4b7d9267867", "3617e19eb2745a30"),
    "vrex": ("90081fec47c1989e", "85d30f973ea325ad"),
    "and_mask": ("2e6965e793722efd", "c0d415e9d0bcc190"),
    "coral": ("d8d3ab26031c9373", "64b719193a11673b"),
    "fishr": ("11e3062f0e49a9d7", "0c282683e803d88d"),
}
OTHERS = {"reduction": "sum", "ddof": 1, "rescale": False, "average": "geometric", "means": False}


def identities(name, changes=()):
    (config,) = plan("domainbed", [name], [0], "colored", changes=changes)
    return [identity(drawn(config, draw)) for draw in (0, 3)]


@pytest.mark.parametrize("name", BEFORE)
def test_run_that_could_be_recorded_before_keeps_its_identity(name):
    assert tuple(found[:16] for found in identities(name)) == BEFORE[name]


@pytest.mark.parametrize("name", LATER)
def test_switch_is_said_where_it_is_changed_and_nowhere_else(name):
    model, default = MLP((2, 1)), DEFAULTS[name]["domainbed"]
    for switch in LATER[name]:
        assert switch in default and switch not in ALGORITHMS[name](model, convention="domainbed").settings
        same = {"convention": "domainbed", switch: default[switch]}
        assert switch not in ALGORITHMS[name](model, **same).settings
        assert identities(name, [(name, switch, default[switch])]) == identities(name)
        changed = ALGORITHMS[name](model, **{**same, switch: OTHERS[switch]})
        assert changed.settings[switch] == OTHERS[switch]
        assert not {*identities(name, [(name, switch, OTHERS[switch])])} & {*identities(name)}
