"""x of any numeric dtype gives every public function the numbers of floating-point x; anything else is refused."""

import autograd.numpy as np
import numpy as onp
import pytest

from minifishr import curvature
from minifishr.algorithms import ALGORITHMS, MODULES, PENALTIES
from minifishr.data import Domain, full_batch
from minifishr.evaluate import accuracies, accuracy, predictions
from minifishr.gradients import (
    METHODS,
    domain_gradients,
    gradient_moments,
    gradient_variance,
    inputs_and_deltas,
    mean_gradient,
    per_sample_gradients,
)
from minifishr.invariance import STATISTICS, invariances, risks_along
from minifishr.losses import per_sample_losses, risk
from minifishr.mlp import MLP
from minifishr.train import fit

CURVATURES = ("gradient_covariance", "empirical_fisher", "true_fisher", "gauss_newton", "hessian")
FUNCTIONS = {
    "features": lambda model, theta, x, y: model.features(theta, x),
    "logits": lambda model, theta, x, y: model.logits(theta, x),
    "head": lambda model, theta, x, y: model.head(theta, [x, x])[2][0],
    "head of many rows": lambda model, theta, x, y: model.head(theta, [onp.repeat(x, 1000, axis=0)])[2][0],
    "per_sample_losses": per_sample_losses,
    "risk": risk,
    "mean_gradient": mean_gradient,
    "domain_gradients": lambda model, theta, x, y: domain_gradients(model, theta, [Domain("a", x, y)])[1],
    **{f"per_sample_gradients, {m}": lambda *w, m=m: per_sample_gradients(*w, method=m) for m in METHODS},
    "inputs_and_deltas": lambda *where: inputs_and_deltas(*where)[0][0],
    "gradient_moments": lambda *where: np.stack(gradient_moments(*where)),
    "gradient_variance": gradient_variance,
    "gradient_variance, all": lambda *where: gradient_variance(*where, scope="all"),
    "gradient_variance, stable": lambda *where: gradient_variance(*where, scope="all", stable=True),
    "gradient_variance, not centered": lambda *where: gradient_variance(*where, scope="all", centered=False),
    **{name: getattr(curvature, name) for name in CURVATURES},
    **{f"{n}, diagonal": lambda *w, n=n: getattr(curvature, n)(*w, diagonal=True) for n in CURVATURES},
    "hvp": lambda model, theta, x, y: curvature.hvp(model, theta, x, y, onp.ones(model.d)),
    "predictions": lambda model, theta, x, y: predictions(model, theta, x),
    "accuracy": lambda model, theta, x, y: accuracy(model, theta, Domain("a", x, y)),
    **{f"invariance: {name}": statistic for name, statistic in STATISTICS.items()},
    **{
        f"statistic of {name}": module.statistic for name, module in MODULES.items() if hasattr(module, "statistic")
    },
    "statistic of irm, halves": MODULES["irm"].halves,
    "statistic of fishr, full": lambda *where: MODULES["fishr"].statistic(*where, covariance="full"),
}  # fmt: skip
MODELS = [MLP((3, 1)), MLP((3, 4, 1)), MLP((3, 4)), MLP((3, 5, 2, 4))]
KINDS = ("uint8", "int8", "int16", "uint32", "int64", "bool", "float16", "float32", "float64")


def problem(model, kind, m=1, n=7):
    """Parameters (d,) and m domains whose squares and sums do not fit into the small integers, in some dtype."""
    rng = onp.random.default_rng(0)
    low, high = (0, 2) if kind == "bool" else (-128, 128) if kind == "int8" else (0, 256)
    theta = model.init(rng) / 16 + 0.01 * rng.normal(size=model.d)
    classes = max(model.sizes[-1], 2)
    return theta, [
        Domain(f"domain {e}", rng.integers(low, high, (n + e, 3)).astype(kind), rng.integers(0, classes, n + e))
        for e in range(m)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_number_in_x_is_taken_as_a_floating_point_number(name, kind):
    for model in MODELS:
        theta, [domain] = problem(model, kind)
        expected = FUNCTIONS[name](model, theta, domain.x.astype(float), domain.y)
        found = FUNCTIONS[name](model, theta, domain.x, domain.y)
        onp.testing.assert_array_equal(found, expected)
        assert onp.asarray(found).dtype == onp.asarray(expected).dtype


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("convention", ["paper", "domainbed"])
def test_penalties_of_integers_are_those_of_floats(name, kind, convention):
    model = MLP((3, 4, 2))
    theta, domains = problem(model, kind, m=3)
    floats = [domain._replace(x=domain.x.astype(float)) for domain in domains]
    found, expected = (PENALTIES[name](model, theta, ds, convention=convention) for ds in (domains, floats))
    assert found == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_updates_with_integers_are_those_with_floats(name, kind):
    model, options = MLP((3, 4, 2)), {"sand_mask": {"tau": 0.5}}.get(name, {})
    theta, domains = problem(model, kind, m=2)
    algorithm = ALGORITHMS[name](model, **options)
    for dtype in (onp.float32, onp.float64):
        start = theta.astype(dtype)
        floats = [domain._replace(x=domain.x.astype(dtype)) for domain in domains]
        found, expected = (algorithm.update(start, algorithm.init(start), ds)[0] for ds in (domains, floats))
        onp.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype


def test_variance_of_pixels_is_that_of_their_numbers():
    """One layer and one logit: the gradient of sample i is (p_i - y_i) (x_i, 1)."""
    model = MLP((3, 1))
    theta, [domain] = problem(model, "uint8")
    x = domain.x.astype(float)
    p = 1 / (1 + onp.exp(-(x @ theta[:3] + theta[3])))
    G = (p - domain.y)[:, None] * onp.concatenate([x, onp.ones((len(x), 1))], axis=1)
    onp.testing.assert_allclose(gradient_variance(model, theta, domain.x, domain.y), G.var(axis=0), rtol=1e-9)


def test_whole_invariance_matrix_and_landscape_take_integers():
    model = MLP((3, 4, 2))
    theta, domains = problem(model, "uint8", m=2)
    floats = [domain._replace(x=domain.x.astype(float)) for domain in domains]
    assert invariances(model, theta, domains) == invariances(model, theta, floats)
    along = (theta, [0.0, 0.5])
    onp.testing.assert_array_equal(*(risks_along(model, theta, *along, ds) for ds in (domains, floats)))
    assert accuracies(model, theta, domains) == accuracies(model, theta, floats)


NO_INPUTS = [
    onp.array([["a"] * 3] * 7),
    onp.ones((7, 3), complex),
    onp.ones((7, 3), object),
    onp.ones(7),
    onp.ones((7, 2)),
]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("x", NO_INPUTS, ids=lambda x: f"{x.dtype} {x.shape}")
def test_what_is_no_number_or_no_row_of_the_model_is_refused(name, x):
    model = MLP((3, 4, 2))
    theta, [domain] = problem(model, "float64")
    with pytest.raises(ValueError, match=r"expected .*\(n, 3\)"):
        FUNCTIONS[name](model, theta, x, domain.y)


@pytest.mark.parametrize("kind", ["float16", "int64", "complex128", "longdouble"])
def test_parameters_of_another_kind_than_float32_and_float64_are_refused(kind):
    model = MLP((3, 4, 2))
    theta, [domain] = problem(model, "float64")
    with pytest.raises(ValueError, match=f"float32 or float64.*{onp.dtype(kind)}"):
        risk(model, theta.astype(kind), domain.x, domain.y)
    with pytest.raises(ValueError, match=f"float32 or float64.*{onp.dtype(kind)}"):
        model.init(onp.random.default_rng(0), kind)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_labels_that_are_no_integers_are_refused_by_the_name_of_the_domain(name):
    model = MLP((3, 4, 2))
    theta, (first, second) = problem(model, "float64", m=2)
    words = second._replace(y=onp.where(second.y, "yes", "no"))
    for odd, dtype in ((words, "<U3"), (second._replace(y=second.y / 2), "float64")):
        algorithm = ALGORITHMS[name](model)
        with pytest.raises(ValueError, match=f"^domain '{odd.name}': labels must be integers, got {dtype}$"):
            fit(algorithm, theta, full_batch([first, odd]), 1)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("name", CURVATURES)
def test_curvature_of_lists_is_that_of_arrays(name, diagonal):
    model = MLP((3, 4, 2))
    theta, [domain] = problem(model, "float64")
    found, expected = (
        getattr(curvature, name)(model, theta, *where, diagonal=diagonal)
        for where in ((domain.x.tolist(), domain.y.tolist()), (domain.x, domain.y))
    )
    onp.testing.assert_array_equal(found, expected)
