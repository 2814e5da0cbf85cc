"""Sentences that have to be true of few cases, of float32, and of gradients that do not go with their value."""

import autograd.numpy as np
import pytest
from autograd import grad, value_and_grad
from autograd.tracer import getval
from conformance import twenty as own

from minifishr import PENALTIES
from minifishr.conformance import check
from minifishr.conformance.factors import fit
from minifishr.conformance.vectors import cases


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


UNRELATED = {
    "squares": lambda model, theta, domains: np.sum(theta**2),
    "absolute values": lambda model, theta, domains: np.sum(np.abs(theta)),
    "fourth powers": lambda model, theta, domains: np.sum(theta**4),
    "mean risk": lambda model, theta, domains: own.mean(own.risks(model, theta, domains)),
}


@pytest.mark.parametrize("logits", ["one", "many"])
@pytest.mark.parametrize("name", UNRELATED)
def test_few_numbers_that_some_factor_fits_are_nobodys_value(name, logits):
    for dtype, domains in (("float64", 4), ("float32", 3)):
        said = text("fishr", UNRELATED[name], dtype=dtype, domains=domains, logits=logits)
        assert said.startswith("no published convention"), said


def test_value_with_a_simple_factor_on_many_cases_still_says_what_is_detached():
    detached = lambda model, theta, domains: own.vrex_summed(model, getval(theta), domains)  # noqa: E731
    said = text("vrex", detached)
    assert said == "the value of the domainbed convention times m without its gradient: something is detached"
    plain = lambda model, theta, domains: own.vrex_of_two(model, getval(theta), domains)  # noqa: E731
    assert text("vrex", plain, domains=4, logits="one").startswith("the value of the paper convention without its grad")
    powers = lambda *given: own.mean(len(d.y) for d in given[2]) ** 4 * detached(*given)  # noqa: E731
    assert text("vrex", powers).startswith("the value of the domainbed convention times m n^4 without its gradient")


@pytest.mark.parametrize(
    ("times", "words", "error"),
    [
        (1.0004, "follows the domainbed convention with ddof=1", 4e-4),
        (np.pi, "the paper convention with ddof=1 times 11/14", 44 / 14 / np.pi - 1),
        (1.0012, "the paper convention with ddof=1 times 0.2503", 0),
    ],
)
def test_error_is_that_of_the_factor_that_is_stated(times, words, error):
    unbiased = lambda *given: times * PENALTIES["vrex"](*given, convention="domainbed", ddof=1)  # noqa: E731
    found = check("vrex", unbiased, dtype="float32")
    rounding = 2e-5  # of risks in float32, whose differences cancel
    assert str(found).startswith(words) and abs(found.error - error) < rounding


def test_fraction_is_told_only_where_it_fits_every_case():
    size = {"m": 2, "m-1": 1, "n": 6, "k": 1, "h": 3, "d": 4}
    ratios = np.array([0.4994, 0.5, 0.5008, 0.5008, 0.5008])  # the median is near 1/2, the first too far from 1/2
    found = fit(ratios, [size] * 5, 3e-3)
    assert (found.constant, found.error) == (0.5, pytest.approx(1.6e-3))
    found = fit(1 + np.array([-9e-4, 5e-4, 5e-4]), [size] * 3, 1.5e-3)
    assert (found.constant, found.error) == (1, pytest.approx(9e-4))
    found = fit(1 + np.array([4e-4, 9e-4, 12e-4]), [size] * 3, 1e-3)
    assert found.constant == pytest.approx(1.0009) and found.error == pytest.approx(5e-4, rel=1e-2)


def with_gradient(change):
    """V-REx of the paper that returns its value and its gradient, changed."""

    def penalty(model, theta, domains):
        return change(*value_and_grad(lambda t: own.vrex_of_two(model, t, domains))(theta), model)

    return penalty


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value, gradient, model: (value, 2 * gradient), "with its gradient times 2"),
        (lambda value, gradient, model: (value, -gradient), "with its gradient times -1"),
        (lambda value, gradient, model: (value, gradient / 3), "with its gradient times 1/3"),
        (lambda value, gradient, model: (value, 0 * gradient), "without its gradient"),
        (
            lambda value, gradient, model: (value, np.where(np.arange(model.d) < model.classifier.start, 0, gradient)),
            "with the gradient of the classifier alone",
        ),
        (lambda value, gradient, model: (value, np.abs(gradient)), "with another gradient, off by up to 2e+00"),
        (lambda value, gradient, model: (value, model.d * gradient), "with another gradient, off by up to 8e+01"),
    ],
)
def test_code_that_gives_its_gradient_itself_detaches_nothing(change, words):
    assert text("vrex", with_gradient(change)) == f"the value of the paper convention {words}"


def test_gradient_that_vanishes_or_goes_by_itself_is_not_said_to_be_detached():
    constant = lambda model, theta, domains: (1.0 + len(domains), 0 * theta)  # noqa: E731
    assert text("vrex", constant) == "no published convention, and no gradient on any case"


def test_half_a_penalty_that_is_detached_halves_the_gradient():
    half = lambda *given: (own.vrex_of_two(*given) + getval(own.vrex_of_two(*given))) / 2  # noqa: E731
    assert text("vrex", half) == "the value of the paper convention with its gradient times 1/2"
    said = text("vrex", half, domains=3, logits="one")
    assert said == "the value of the paper convention with its gradient times 1/2 (2 of 13 cases)"


def sums_of_squares(model, theta, domains):
    """Fishr of variances that are n^2 as large in each domain."""
    return own.spread([len(d.y) ** 2 * own.variance(own.gradients(model, theta, d)) for d in domains])


def degrees(penalty, other):
    """The angle between the gradients of two penalties on each case."""
    found = []
    for case in cases():
        g, h = (grad(lambda t, f=f: f(case.model, t, case.domains))(case.theta) for f in (penalty, other))  # noqa: B023
        found.append(np.degrees(np.arccos(np.clip(g @ h / np.sqrt(g @ g) / np.sqrt(h @ h), -1, 1))))
    return np.array(found)


def test_gradient_points_the_same_way_only_where_it_does_on_every_case():
    angles = degrees(sums_of_squares, own.fishr_summed)
    equal = np.array([len({*case.rows}) == 1 for case in cases()])
    assert angles[equal].max() < 1e-4 and angles[~equal].min() > 1
    said = "no published convention; nearest: the paper convention, whose gradient points the same way on the cases of "
    said += f"equal rows only, up to {angles.max():.0f} degrees elsewhere on the others"
    assert text("fishr", sums_of_squares) == said
    assert text("fishr", sums_of_squares, dtype="float32") == said + " (float32: 0.001 allowed)"


def test_some_other_cases_on_which_it_points_the_same_way_are_counted():
    to_the_first = lambda *given: sum((r - own.risks(*given)[0]) ** 2 for r in own.risks(*given))  # noqa: E731
    angles = degrees(to_the_first, own.vrex_of_two)
    said = f"points the same way on 6 of 13 cases only, up to {angles.max():.0f} degrees elsewhere on the others"
    assert text("vrex", to_the_first).endswith(said)
    assert sum(angles < 1e-4) == sum(len(case.domains) == 2 for case in cases()) == 6


def test_length_alone_differs_of_a_function_of_a_penalty():
    increasing = lambda *given: np.exp(own.vrex_of_two(*given))  # noqa: E731
    assert text("vrex", increasing).endswith("convention, whose gradient points the same way but has another length")
    decreasing = lambda *given: -np.exp(own.vrex_of_two(*given))  # noqa: E731
    assert text("vrex", decreasing).endswith("convention, whose gradient points 180 degrees elsewhere")


@pytest.mark.parametrize(
    ("penalty", "name"),
    [
        (lambda *given: own.vrex_of_two(*given) + 1, "paper convention"),
        (lambda *given: own.vrex_by_pairs(*given) + 1, "domainbed convention"),
        (lambda *given: 2 * own.vrex_of_two(*given) - 1, "paper convention times 2"),
        (lambda *given: own.vrex_summed(*given) + 1, "domainbed convention times m"),
    ],
)
def test_gradient_of_a_convention_with_another_value_is_told_as_that(penalty, name):
    assert text("vrex", penalty).startswith(f"the gradient of the {name} with another value, off by up to ")


def test_gradient_that_is_given_with_another_value_is_told_as_that():
    zero = with_gradient(lambda value, gradient, model: (0.0, gradient))
    said = "the gradient of the paper convention with another value, off by up to 1e+00"
    assert text("vrex", zero) == said
    assert text("vrex", zero, domains=4, logits="one") == said + " (1 of 13 cases)"


def test_gradient_that_is_nearly_right_has_no_other_length():
    near = lambda model, theta, domains: own.iga_summed(model, theta, domains) + 1e-8 * theta @ theta  # noqa: E731
    assert "nearest: the domainbed convention, whose gradient is off by up to 1e-07" in text("iga", near)


def test_penalty_that_remembers_nothing_is_told_so():
    said = text("fishr", lambda: own.fishr_summed, memory=0.9, domains=3)
    assert said.startswith("remembers nothing: the paper convention at every point (largest relative error ")
