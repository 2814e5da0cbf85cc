"""Every identity, on what hypothesis draws, on hard cases, in float32, and with broken implementations."""

import sys
import warnings
from functools import cache

import numpy as np
import pytest
from autograd import grad
from hypothesis import given
from strategies import problems

from minifishr import replay
from minifishr.algorithms import idgm
from minifishr.checks import BREAKS, HARD, IDENTITIES, broken, verified
from minifishr.checks.identity import ROUNDING, Case, drawn, identity, relative
from minifishr.checks.method_identities import walked
from minifishr.checks.verification import verdict
from minifishr.gradients import mean_gradient

every_identity = pytest.mark.parametrize("name", IDENTITIES)


def cases(number=40, seed=0):
    rng = np.random.default_rng(seed)
    return [drawn(rng) for _ in range(number)]


@pytest.mark.untraced
@every_identity
@given(drawn_problem=problems())
def test_identity_holds(name, drawn_problem):
    found = verdict(IDENTITIES[name], [Case(*drawn_problem)])
    assert found.error <= found.identity.tolerance


@every_identity
@pytest.mark.parametrize("kind", HARD)
def test_identity_holds_in_hard_cases_or_says_that_it_does_not_apply(name, kind):
    found = verdict(IDENTITIES[name], [HARD[kind](case) for case in cases(10)])
    assert found.error <= found.identity.tolerance


def single(case):
    """The same case in float32."""
    domains = [domain._replace(x=domain.x.astype(np.float32)) for domain in case.domains]
    return case._replace(theta=case.theta.astype(np.float32), domains=domains)


@pytest.mark.parametrize("name", [name for name, found in IDENTITIES.items() if found.tolerance == ROUNDING])
def test_identity_that_only_rounds_holds_in_float32(name):
    # the same count of roundings, each 2^29 times as large
    found = verdict(IDENTITIES[name], [single(case) for case in cases(10)])
    assert found.error <= ROUNDING * 2**29


FEW = cases(5)


@cache
def called(name, case):
    """The code of every function that an identity calls on one of a few cases."""
    codes = set()
    sys.setprofile(lambda frame, event, arg: codes.add(frame.f_code))
    try:
        with replay.off():
            verdict(IDENTITIES[name], FEW[case : case + 1])
    finally:
        sys.setprofile(None)
    return codes


@cache
def notices(name, implementation, case):
    """Whether an identity fails on one of a few cases when an implementation, which it must call, is broken."""
    if BREAKS[implementation][0].__code__ not in called(name, case):
        return False
    with broken(implementation), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = verdict(IDENTITIES[name], FEW[case : case + 1])
    return found.error > found.identity.tolerance


@pytest.mark.parametrize("implementation", BREAKS)
def test_broken_implementation_is_caught(implementation):
    # most are caught on the first case: the others are for what is left
    assert any(notices(name, implementation, case) for case in range(len(FEW)) for name in IDENTITIES)


@every_identity
def test_identity_can_fail(name):
    assert any(notices(name, implementation, case) for case in range(len(FEW)) for implementation in BREAKS)


def test_what_was_broken_is_whole_again():
    case = cases(1)[0]
    found = IDENTITIES["moments_without_storage_are_the_variances_of_stored_gradients"]
    with broken("gradient_moments"):
        assert found.error(case) > found.tolerance
    assert found.error(case) <= found.tolerance


def test_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match="unknown implementation 'x', expected one of loop, jacobian"), broken("x"):
        pass


def test_verify_needs_a_draw_and_known_names():
    with pytest.raises(ValueError, match="at least one draw, got 0"):
        verified(0)
    with pytest.raises(ValueError, match="unknown identity 'x', expected one of all_methods"):
        verified(1, names=["x"])


def test_cases_of_verify_depend_on_seed_and_number_only():
    name = "true_fisher_is_gauss_newton"
    few, many, other = (next(verified(n, seed, [name])).error for n, seed in ((3, 0), (3, 0), (3, 1)))
    assert few == many != other


def test_identity_without_a_case_does_not_pass():
    def left_out(case):
        """Nothing.

        Assumes the impossible.
        """

    found = verdict(identity(left_out), cases(2))
    assert not found.passed and found.cases == 0 and found.identity.assumes == "the impossible."


def test_relative_error_is_infinite_for_other_shapes_and_for_what_is_no_number():
    assert relative(np.ones(2), np.ones((2, 1))) == np.inf
    assert relative([np.nan], [1.0]) == np.inf and relative([np.inf], [np.inf]) == np.inf
    assert relative([0.0], [0.0]) == 0.0 and relative([1.0], [2.0]) == 0.5 and relative([1.0], [2.0], 10.0) == 0.1


def test_names_and_statements_are_there():
    assert len(IDENTITIES) >= 40
    for found in IDENTITIES.values():
        assert found.statement.endswith(".") and found.assumes and found.tolerance < 0.5


def test_angle_between_fishs_extra_step_and_the_inner_products_gradient_shrinks_like_the_step():
    model, theta, domains = drawn(np.random.default_rng(0), [(3, 4)])  # no ReLU: smooth everywhere
    one, two = domains[:2]
    g, h = (mean_gradient(model, theta, d.x, d.y) for d in (one, two))
    climb = grad(lambda t: -idgm.penalty(model, t, [one, two]))(theta)

    def angle(step):
        walks = [walked(Case(model, theta, domains), step, order) for order in ([one, two], [two, one])]
        extra = np.mean(walks, axis=0) + step * (g + h)
        return np.arccos(extra @ climb / np.linalg.norm(extra) / np.linalg.norm(climb))

    angles = np.array([angle(0.1 / 2**i) for i in range(5)])
    orders = np.log2(angles[:-1] / angles[1:])
    assert angles[-1] < 0.01 and (np.diff(abs(orders - 1)) < 0).all() and abs(orders[-1] - 1) < 0.02


@pytest.mark.parametrize("error", [np.nan, np.linalg.LinAlgError("did not converge")])
def test_what_is_no_number_is_an_infinite_error(error):
    def broken(case):
        if isinstance(error, Exception):
            raise error
        return error

    identity = next(iter(IDENTITIES.values()))._replace(error=broken)
    assert verdict(identity, [None, None]).error == np.inf
