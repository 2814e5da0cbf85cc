"""Ranges of hyper-parameters, by their definition and by what many draws look like."""

import re

import numpy as np
import pytest

from minifishr.algorithms import ALGORITHMS, DEFAULTS, PENALTIES, RANGES
from minifishr.algorithms.settings import BATCH_RANGE, choice, log_uniform, settings, shortened, uniform, whole
from minifishr.data import Domain
from minifishr.mlp import MLP


def draws(values, number=4_000):
    rng = np.random.default_rng(0)
    return np.array([values(rng) for _ in range(number)])


def test_uniform_is_between_its_ends_with_the_mean_in_the_middle():
    found = draws(uniform(2, 5))
    assert 2 <= found.min() < 2.01 and 4.99 < found.max() < 5
    assert abs(found.mean() - 3.5) < 0.05  # standard error 3 / sqrt(12 * 4 000) = 0.014


@pytest.mark.parametrize(("options", "base"), [({}, 10), ({"base": 2}, 2)])
def test_log_uniform_has_a_uniform_exponent(options, base):
    found = np.log(draws(log_uniform(-1, 3, **options))) / np.log(base)
    assert -1 <= found.min() < -0.98 and 2.98 < found.max() < 3
    assert abs(found.mean() - 1) < 0.07  # standard error 4 / sqrt(12 * 4 000) = 0.018


def test_whole_numbers_are_rounded_down():
    found = [whole(lambda rng, v=v: v)(None) for v in (0.2, 1.999, 7.0)]
    assert found == [0, 1, 7] and all(type(value) is int for value in found)
    assert whole(lambda rng: rng)(3.7) == 3


def test_published_warm_up_keeps_its_share_of_a_shorter_run():
    assert [shortened(1_501, steps) for steps in (1, 500, 4_999, 5_000, 5_001, 50_000)] == [0, 150, 1_500, *[1_501] * 3]
    assert type(shortened(1_501, 500)) is int


def test_every_choice_is_as_likely():
    values, counts = np.unique(draws(choice(0.05, 0.1, 0.5)), return_counts=True)
    assert values.tolist() == [0.05, 0.1, 0.5] and abs(counts / 4_000 - 1 / 3).max() < 0.04  # five standard errors


def test_batches_are_8_to_511_rows():
    found = draws(BATCH_RANGE)
    assert found.min() == 8 and 480 < found.max() < 512


@pytest.mark.parametrize("name", RANGES)
def test_whatever_is_drawn_is_allowed(name):
    rng = np.random.default_rng(1)
    for _ in range(50):
        drawn = {key: values(rng) for key, values in RANGES[name].items()}
        assert settings(name, DEFAULTS[name], "domainbed", drawn).items() >= drawn.items()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("erm", {"lr": True}, "erm: lr=True is not a number"),
        ("fishr", {"centered": "False"}, "fishr: centered='False' is none of True, False"),
        ("fishr", {"centered": 0}, "fishr: centered=0 is none of True, False"),
        ("fishr", {"scope": "some"}, "fishr: scope='some' is none of classifier, all"),
        ("sand_mask", {"k": 0}, "sand_mask: k=0 never updates anything"),
    ],
)
def test_values_without_effect_or_of_another_kind_are_refused(name, given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        ALGORITHMS[name](MLP((2, 1)), **given)


def test_whole_numbers_written_as_floats_are_whole_numbers():
    found = settings("fishr", DEFAULTS["fishr"], "paper", {"chunk": 2.0, "warm_up": np.float32(3)})
    assert [(found[key], type(found[key])) for key in ("chunk", "warm_up")] == [(2, int), (3, int)]
    assert settings("fishr", DEFAULTS["fishr"], "paper", {})["chunk"] is None


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("fishr", {"covariance": "Diagonal"}, "fishr: covariance='Diagonal' is none of diagonal, full"),
        ("fishr", {"centered": "no"}, "fishr: centered='no' is none of True, False"),
        ("fishr", {"ddof": -1}, "fishr: ddof=-1 is outside"),
        ("cma", {"gradient_weight": -1}, "cma: gradient_weight=-1 is outside"),
        ("ib_irm", {"ib_weight": "1"}, "ib_irm: ib_weight='1' is not a number"),
    ],
)
def test_penalties_refuse_what_their_methods_refuse(name, given, message):
    model = MLP((2, 3, 1))
    theta, x, y = model.init(np.random.default_rng(0)), np.arange(8.0).reshape(4, 2), np.arange(4) % 2
    with pytest.raises(ValueError, match=re.escape(message)):
        PENALTIES[name](model, theta, [Domain("a", x, y), Domain("b", -x, y)], **given)
