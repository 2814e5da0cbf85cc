import sys
from itertools import combinations

import autograd.numpy as np
import pytest
from autograd import value_and_grad
from autograd.tracer import getval
from conformance import twenty as own

from minifishr import ALGORITHMS, PENALTIES
from minifishr.conformance import GALLERY, check
from minifishr.conformance.factors import fit
from minifishr.conformance.vectors import cases, forms

# Imitations of the mistakes that the twenty do not make.


def a_domain_twice(model, theta, domains):
    return own.vrex_by_pairs(model, theta, [*domains[:-2], domains[-2], domains[-2]])


def pooled(model, theta, domains):
    return np.mean(np.concatenate([own.slopes(model, theta, d) for d in domains])) ** 2


def coral_of(covariance):
    def penalty(model, theta, domains):
        features = [own.network(model, theta, d.x)[0][-1] for d in domains]
        return own.mean(np.mean((covariance(a) - covariance(b)) ** 2) / 4 for a, b in combinations(features, 2))

    return penalty


def rows(a):
    return np.einsum("ni,nj->ij", a - own.mean(a), a - own.mean(a))


def summed_losses(model, theta, domains):
    return own.mean(np.sum(own.slopes(model, theta, d)) ** 2 for d in domains)


def squared_twice(model, theta, domains):
    pairs = combinations([own.moments(model, theta, d)[1] for d in domains], 2)
    return own.mean(np.sqrt(np.sum((C - D) ** 4)) / len(C) ** 2 for C, D in pairs)


def squared_mean(model, theta, domains):
    return own.spread([own.mean(own.gradients(model, theta, d)) ** 2 for d in domains])


def root_of_variance(model, theta, domains):
    return np.sqrt(own.vrex_by_pairs(model, theta, domains))


def scale_for_each_logit_of_each_row(model, theta, domains):
    total = 0
    for d in domains:
        z = own.network(model, theta, d.x)[1]
        total = total + np.sum((own.delta(z, d.y) * z / len(d.y)) ** 2)
    return total / len(domains)


MISTAKES = {
    "a domain twice": ("vrex", a_domain_twice),
    "domains pooled": ("irm", pooled),
    "biased covariance": ("coral", coral_of(lambda a: rows(a) / len(a))),
    "covariance not divided by the rows": ("coral", coral_of(rows)),
    "sum of the losses for their mean": ("irm", summed_losses),
    "distance squared twice": ("coral", squared_twice),
    "square of the average for average of squares": ("fishr", squared_mean),
    "distance not squared": ("vrex", root_of_variance),
    "a scale per logit": ("irm", scale_for_each_logit_of_each_row),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_known_mistake_is_told_in_words(name):
    found = check(MISTAKES[name][0], MISTAKES[name][1])
    assert str(found).startswith(f"a known mistake, {name}: ") and not found.follows and found.mistake == name


def test_every_mistake_of_the_gallery_is_made_by_an_imitation():
    made = {*MISTAKES, *(text.split(", ", 1)[1].rstrip(": ") for _, _, text in own.WRONG if "known mistake" in text)}
    assert made == {mistake.name for mistake in GALLERY}


def test_every_penalty_of_the_package_follows_its_own_convention():
    for form in forms():
        penalty = lambda model, theta, domains, form=form, **more: form.penalty(model, theta, domains, **more)  # noqa: E731
        if form.method == "dann":
            penalty = lambda model, theta, domains, critic, w, form=form: form.penalty(  # noqa: E731
                model, theta, domains, critic=critic, w=w
            )
        found = check(form.method, penalty, domains=3)
        assert found.follows and found.error < 1e-12
        assert form.convention in str(found).split(" (")[0] and (not form.differs or form.differs in str(found))


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (lambda m, d, n, h: 2, "times 2"),
        (lambda m, d, n, h: m / (m - 1), "times m (m-1)^-1"),
        (lambda m, d, n, h: 1 / (4 * d), "times 1/4 d^-1"),
        (lambda m, d, n, h: m * n, "times m n"),
        (lambda m, d, n, h: 1 / h**2, "times h^-2"),
        (lambda m, d, n, h: 0.1234567, "times 0.1234567"),
    ],
)
def test_factor_is_told_as_a_monomial(times, words):
    def penalty(model, theta, domains):
        c = model.classifier
        sizes = len(domains), c.stop - c.start, np.mean([len(d.y) for d in domains]), model.sizes[-2]
        return times(*sizes) * PENALTIES["fishr"](model, theta, domains)

    found = check("fishr", penalty)
    assert str(found).startswith(f"the paper convention {words} (") and not found.follows


def test_factor_that_some_cases_cannot_tell_is_said_to_be_open():
    def unbiased(model, theta, domains):
        return np.sum((own.risks(model, theta, domains) - own.mean(own.risks(model, theta, domains))) ** 2)

    assert "too few cases to be sure" in str(check("vrex", lambda *a: own.vrex_summed(*a), domains=3, logits="many"))
    threefold = check("vrex", lambda *a: 3 * own.vrex_by_pairs(*a), domains=2)
    assert str(threefold).startswith("the paper convention times 3/4 (")
    # of two domains the sum of squares is the unbiased variance
    assert str(check("vrex", own.vrex_summed, domains=2)).startswith("follows the domainbed convention with ddof=1 (")


def vrex_unbiased(model, theta, domains):
    return own.mean((a - b) ** 2 / 2 for a, b in combinations(own.risks(model, theta, domains), 2))


def coral_with(means, covariances):
    def penalty(model, theta, domains):
        pairs = combinations([own.moments(model, theta, d) for d in domains], 2)
        return own.mean(means * np.mean((p - q) ** 2) + covariances * np.mean((C - D) ** 2) for (p, C), (q, D) in pairs)

    return penalty


@pytest.mark.parametrize(
    ("method", "penalty", "sentence", "variant"),
    [
        ("vrex", vrex_unbiased, "the domainbed convention with ddof=1", {"ddof": 1}),
        ("vrex", lambda *a: 4 * vrex_unbiased(*a), "the paper convention with ddof=1", {"ddof": 1}),
        (
            "irm",
            lambda *a: sum(np.mean(own.slopes(*a[:2], d)) ** 2 for d in a[2]),
            "the paper convention with reduction=sum",
            {"reduction": "sum"},
        ),
        (
            "irm",
            lambda *a: len(a[2]) * own.irm_of_halves(*a),
            "the domainbed convention with reduction=sum",
            {"reduction": "sum"},
        ),
        ("coral", coral_with(1, 1 / 4), "the paper convention with means=True", {"means": True}),
        ("coral", coral_with(0, 1), "the domainbed convention with means=False", {"means": False}),
        ("coral", coral_with(0, 1 / 4), "the paper convention (", {}),
    ],
)
def test_switches_of_authors_are_named(method, penalty, sentence, variant):
    found = check(method, penalty)
    assert str(found).startswith(f"follows {sentence}") and found.follows and found.variant == variant


def test_constant_of_a_fit_is_free_and_its_powers_are_whole():
    sizes = [{"m": m, "m-1": m - 1, "n": n, "k": k, "h": h, "d": d} for m, n, k, h, d in
             ((2, 6, 1, 3, 4), (3, 7, 2, 4, 10), (4, 9, 3, 5, 18), (2, 8, 5, 4, 25), (3, 11, 4, 6, 28))]  # fmt: skip
    found = fit([3 * s["n"] / s["d"] ** 2 for s in sizes], sizes, 1e-9)
    assert (found.constant, found.powers) == (3, {"n": 1, "d": -2}) and found.error < 1e-14
    assert fit([s["n"] ** 0.5 for s in sizes], sizes, 1e-9) is None
    assert fit([1, -1, 1, 1, 1], sizes, 1e-9) is None


def test_detached_features_leave_the_gradient_of_the_classifier():
    def penalty(model, theta, domains):
        parts = [getval(theta)[: model.classifier.start], theta[model.classifier]]
        return own.fishr_summed(model, np.concatenate(parts), domains)

    assert "gradient of the classifier alone: the features are detached" in str(check("fishr", penalty))


def test_a_detached_domain_mean_changes_nothing():
    def penalty(model, theta, domains):
        g = own.mean_gradients(model, theta, domains)
        fixed = own.mean(own.mean_gradients(model, getval(theta), domains))
        return sum(np.sum((each - fixed) ** 2) for each in g)

    assert check("iga", penalty).follows


def test_detached_deviation_is_another_gradient():
    def penalty(model, theta, domains):
        R = own.risks(model, theta, domains)
        return own.mean(R[0] * r - getval(R[0] * r) + getval((r - own.mean(R)) ** 2) for r in R)

    assert "the value of the domainbed convention with another gradient" in str(check("vrex", penalty))


def test_penalty_of_another_method_is_named():
    found = check("coral", PENALTIES["iga"])
    assert str(found).startswith("no published convention of coral, but iga, the paper convention (")


def test_penalty_that_is_always_zero_does_nothing():
    found = check("fishr", lambda model, theta, domains: 0.0 * np.sum(theta))
    assert str(found) == "is 0 on every case, with gradient 0: it does nothing, which is ERM"


def test_penalty_that_is_nobodys_has_a_nearest():
    def penalty(model, theta, domains):
        return own.fishr_summed(model, theta, domains) + 0.01 * np.sum(theta**2)

    assert str(check("fishr", penalty)).startswith("no published convention; nearest: the ")
    assert "no gradient on any case" in str(check("fishr", lambda model, theta, domains: 1.0 + len(domains)))


class Remembers:
    """Fishr with a moving average, v = e v + (1 - e) new, used divided by a function of e and the number of calls."""

    def __init__(self, decay, divisor=lambda e, t: 1 - e, past=0.0):  # as DomainBed has it
        self.decay, self.divisor, self.past, self.calls = decay, divisor, past, 0

    def __call__(self, model, theta, domains):
        v = np.array([own.variance(own.gradients(model, theta, d)) for d in domains])
        v = self.decay * (v if self.past is None else self.past) + (1 - self.decay) * v
        self.past, self.calls = getval(v), self.calls + 1
        return own.spread([*(v / self.divisor(self.decay, self.calls))]) / v.size


@pytest.mark.parametrize(
    ("divisor", "past", "told"),
    [
        (lambda e, t: 1 - e, 0.0, "the discounted sum"),
        (lambda e, t: 1, 0.0, "the moving average from 0"),
        (lambda e, t: 1, None, "the moving average from the first value"),
        (lambda e, t: 1 - e**t, 0.0, "the moving average from 0, corrected as Adam does"),
    ],
)
def test_the_way_to_remember_is_told(divisor, past, told):
    found = check("fishr", lambda: Remembers(0.9, divisor, past), memory=0.9, domains=3)
    assert found.follows and str(found).startswith(f"follows the domainbed convention with {told} (")


def test_memory_is_told_and_without_being_told_looks_random():
    few = {"domains": 3}
    assert "it remembers (then see memory=)" in str(check("fishr", Remembers(0.9)))
    assert not check("fishr", lambda: Remembers(0.8), memory=0.9, **few).follows


def sixth(model, theta, domains):
    return PENALTIES["irm"](model, theta, domains)


def bad(name):
    state = {"calls": 0}

    def penalty(model, theta, domains):
        value = sixth(model, theta, domains)
        state["calls"] += 1
        if name == "raises":
            raise KeyError("no such layer")
        if name == "needs three":
            assert len(domains) > 2, "three domains or more"
        if name == "changes":
            domains[1].x[0, 0] += 1
        if name == "changes theta":
            getval(theta)[0] = 7
        return {
            "nan": value * np.nan,
            "array": value * np.ones(3),
            "random": value * (1 + 0.1 * state["calls"]),
            "text": "12",
            "none": None,
            "pair": (value, np.ones(3)),
        }.get(name, value)

    return penalty


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("raises", "the penalty raised KeyError on case one-2a (2 domains of 6, 6 rows, 1 logit): 'no such layer'"),
        ("needs three", "the penalty raised AssertionError on case one-2a (2 domains of 6, 6 rows, 1 logit): three"),
        ("changes", "the penalty changes the rows of domain 1 on case one-2a"),
        ("changes theta", "the penalty changes theta on case one-2a"),
        ("nan", "the penalty gave nan on case one-2a"),
        ("array", "the penalty gave an array (3,) on case one-2a"),
        ("random", "the penalty gave "),
        ("text", "the penalty gave str on case one-2a"),
        ("none", "the penalty gave NoneType on case one-2a"),
        ("pair", "the penalty gave a gradient (3,) on case one-2a"),
    ],
)
def test_bad_penalty_gets_one_sentence_that_names_the_case(name, sentence):
    found = check("irm", bad(name))
    assert str(found).startswith(sentence) and "\n" not in str(found) and len(str(found)) < 300 and not found.follows
    assert name != "random" or "it is random" in str(found)


def test_penalty_that_needs_three_domains_is_tried_on_those_that_have_them():
    found = check("irm", bad("needs three"), domains=3)
    assert found.follows and found.error < 1e-15 and "; 4 of 13 cases)" in str(found)  # 0 where BLAS rounds alike


def test_penalty_with_its_own_gradient_is_a_pair():
    def penalty(model, theta, domains):
        return value_and_grad(lambda t: own.irm_of_halves(model, t, domains))(theta)

    def untraceable(model, theta, domains):
        value, gradient = penalty(model, theta, domains)
        return float(value), np.asarray(gradient, float)

    assert check("irm", penalty).follows
    assert check("irm", untraceable).follows


def test_penalty_that_autograd_cannot_trace_is_told_what_to_return():
    found = check("irm", lambda *given: float(own.irm_of_halves(*given)))
    assert str(found).startswith("the penalty cannot be traced by autograd on case one-2a (2 domains of 6, 6 rows, 1 l")
    assert str(found).endswith("write it with autograd.numpy, or return (value, gradient)")


def test_float32_has_a_tolerance_of_its_own_and_says_so():
    found = check("fishr", lambda *a: PENALTIES["fishr"](*a), dtype="float32")
    assert found.follows and 1e-9 < found.error < 1e-3 and "; float32: 0.001 allowed)" in str(found)
    half = check("irm", lambda *a: np.float16(1))
    assert "gave a number of float16" in str(half)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"method": "fisher"}, "method 'fisher' is unknown, expected one of irm, vrex"),
        ({"method": "fish"}, "method 'fish' has no penalty: check_steps tries whole updates"),
        ({"style": "keras"}, "style 'keras' is unknown, expected one of numpy, torch, jax"),
        ({"dtype": "float16"}, "dtype 'float16' is unknown"),
        ({"domains": 5}, "no case has domains=5"),
        ({"logits": "two"}, "logits='two' is none of one, many"),
        ({"memory": 0.5}, "memory=0.5 of 'irm': it is Fishr's decay"),
    ],
)
def test_bad_request_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        check(given.pop("method", "irm"), sixth, **given)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_library_that_is_not_installed_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=f"style='{name}' needs .*, which is not installed: pip install {name}"):
        check("irm", sixth, style=name)


def test_cases_tell_all_sizes_apart():
    for case in cases():
        sizes = [len(case.domains), *case.model.sizes, *{*case.rows}]
        assert len({*sizes} - {1}) >= len(sizes) - 2, case.name  # two hidden layers may repeat a size
    assert {len(case.domains) for case in cases()} == {2, 3, 4}
    assert list(ALGORITHMS)


def test_what_is_off_by_a_ten_millionth_follows_nobody():
    near = lambda model, theta, domains: PENALTIES["iga"](model, theta, domains) + 1e-8 * theta @ theta  # noqa: E731
    found = check("iga", near)
    assert not found.follows and str(found).startswith("no published convention; nearest: the paper convention")
    scaled = check("iga", lambda *given: (1 + 1e-6) * PENALTIES["iga"](*given))
    assert not scaled.follows and str(scaled).startswith("the paper convention times 1.000001 (")


def test_simplest_factor_is_told_and_others_as_simple_are_named():
    sizes = [{"m": m, "m-1": m - 1, "n": n, "k": 1, "h": 3, "d": 4} for m, n in ((2, 4), (3, 9))]
    assert fit([2, 3], sizes, 1e-9).powers == {"m": 1} and fit([2, 3], sizes, 1e-9).others == ()
    sizes = [{**size, "n": size["m"]} for size in sizes]
    found = fit([2, 3], sizes, 1e-9)
    assert (str(found), found.others) == ("m", ("n",))
    assert "(or n" not in str(found)
    said = str(check("fishr", lambda *given: len(given[2]) * PENALTIES["fishr"](*given), domains=2, logits="one"))
    assert said.startswith("the paper convention times 2 (")


def test_array_of_one_number_is_a_number():
    assert check("irm", lambda *given: np.reshape(own.irm_of_halves(*given), (1,)), domains=3).follows


def test_penalty_that_lengthens_the_list_of_domains_is_told_so():
    def appending(model, theta, domains):
        value = PENALTIES["vrex"](model, theta, domains)
        domains.append(domains[0])
        return value

    assert "changes the list of domains on case" in check("vrex", appending).text
