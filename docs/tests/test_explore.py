"""The explorable page's own JavaScript, in node, against the package and SciPy."""

import json
import re
import subprocess
from pathlib import Path

import autograd.numpy as np
import pytest
from autograd import grad, hessian
from scipy.optimize import minimize

from minifishr import MLP, PENALTIES, Domain, accuracy, risks

PAGE = Path(__file__).parents[2] / "docs" / "explore.html"
MODEL = MLP((2, 1))
CONVENTIONS = ("paper", "domainbed")
VARIANTS = {"fishr_uncentered": ("fishr", {"centered": False}), "hutchinson": ("hutchinson", {"gradient_weight": 5.0})}


def javascript(expression, given=None):
    """The value of an expression in which the page's functions and `given` are known."""
    code = re.search(r'<script id="mathematics">(.*?)</script>', PAGE.read_text("utf-8"), re.DOTALL)[1]
    program = f"{code}\nconst given = {json.dumps(given)};\nconsole.log(JSON.stringify({expression}));"
    return json.loads(subprocess.run(["node", "-"], input=program, capture_output=True, text=True, check=True).stdout)


def counted(p):
    """A domain of 160 rows whose color agrees with the label in exactly the share p, a multiple of 1/20."""
    rows = [(y, a, c) for y in (-1, 1) for a in (-1, 1) for c in (-1, 1)]
    counts = [round(80 * (0.75 if a > 0 else 0.25) * (p if c > 0 else 1 - p)) for _, a, c in rows]
    x = np.repeat([[y * a, y * c] for y, a, c in rows], counts, axis=0).astype(float)
    return Domain(f"{p}", x, np.repeat([y > 0 for y, _, _ in rows], counts).astype(int))


def penalty(name, convention, ps, point):
    """The package's penalty of what the page calls by this name, ()."""
    if name == "erm":
        return 0.0
    method, variant = VARIANTS.get(name, (name, {}))
    theta = np.concatenate([point, np.zeros(1)])
    return PENALTIES[method](MODEL, theta, [counted(p) for p in ps], convention=convention, **variant)


def objective(name, convention, ps, weight, point):
    """The package's mean risk + weight * penalty, over max(1, weight) as on the page, ()."""
    risk = np.mean(risks(MODEL, np.concatenate([point, np.zeros(1)]), [counted(p) for p in ps]))
    if name == "erm":
        return risk
    return (risk + weight * penalty(name, convention, ps, point)) / max(1, weight)


NAMES = javascript("Object.keys(METHODS)")


@pytest.mark.parametrize("name", NAMES)
def test_penalty_is_the_packages(name):
    # IRM's domainbed convention is a product of two halves of the rows, which the page says it does not have
    conventions = CONVENTIONS[:1] if name == "irm" else CONVENTIONS
    rng, cases = np.random.default_rng(0), []
    for _ in range(20):
        cases.append([[round(p, 2) for p in rng.integers(0, 21, 2) / 20], list(rng.normal(scale=2, size=2))])
    for convention in conventions:
        seen = javascript(
            f"given.map(([ps, at]) => penalty('{name}', {json.dumps(convention == 'paper')}, ps, ...at)[0])", cases
        )
        expected = [float(penalty(name, convention, ps, np.array(at))) for ps, at in cases]
        largest = np.max(np.abs(np.array(seen) - expected))
        print(f"{name} {convention}: {largest:.1e}")
        assert largest <= 1e-12
        assert name == "erm" or max(expected) > 1e-4  # there is something to compare


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_packages_objective(name):
    ps, at = [0.8, 0.95], np.array([0.7, -0.4])
    f = lambda t: objective(name, "paper", ps, 100.0, t)  # noqa: E731
    seen = javascript(f"objective('{name}', true, given[0], 100, ...given[1])", [ps, list(at)])
    second = hessian(f)(at)
    expected = [f(at), *grad(f)(at), second[0, 0], second[0, 1], second[1, 1]]
    assert np.allclose(seen, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weight", [1.0, 1e5])
@pytest.mark.parametrize("name", NAMES)
def test_lowest_minimum_is_scipys(name, weight):
    ps = [0.8, 0.9]
    f = lambda t: objective(name, "paper", ps, weight, t)  # noqa: E731
    found = javascript(f"minima((u, v) => objective('{name}', true, given, {weight}, u, v))", ps)
    assert found
    starts = [np.array([u, v]) for u in (-1.0, 1.5) for v in (-0.6, 1.0)]
    runs = [minimize(f, s, jac=grad(f), hess=hessian(f), method="trust-exact", options={"gtol": 1e-13}) for s in starts]
    best = min(runs, key=lambda run: run.fun)
    assert found[0][2] <= best.fun + 1e-12
    near = minimize(
        f, np.array(found[0][:2]) + 0.03, jac=grad(f), hess=hessian(f), method="trust-exact", options={"gtol": 1e-13}
    )
    assert np.allclose(near.x, found[0][:2], atol=1e-5), (near.x, found)


def test_accuracies_are_the_packages_and_the_null_predictor_is_right_half_the_time():
    for at in ([1.0, 0.5], [0.3, 1.1], [-1.0, 0.2]):
        theta = np.array([*at, 0.0])
        expected = [accuracy(MODEL, theta, counted(p)) for p in (0.8, 0.1)]
        assert np.allclose(javascript("[0.8, 0.1].map(p => accuracy(p, ...given))", at), expected)
    assert javascript("accuracy(0.8, 0, 0)") == 0.5


def test_page_is_small_and_depends_on_nothing():
    text = PAGE.read_text("utf-8")
    assert len(text.encode()) < 30_000 and not re.search(r"https?://|src=|@import|url\(", text)
