"""Promises that every method and every penalty keeps, as functions for tests, notebooks and methods of one's own.

Each check raises AssertionError with one sentence that says what was promised and what came.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
from autograd import grad

from ..algorithms import ALGORITHMS, SECOND_WEIGHTS, WARM_UPS
from ..data import Domain, leaves, load_checkpoint, save_checkpoint, take
from ..mlp import MLP
from ..replay import off

ROUNDING = 1e-8  # float64 rounding of sums, 1e-16, after Adam divided it by 1e-8 at least


def example(dtype=np.float64, m=3, n=6, seed=0, copies=False):
    """A small model, parameters (d,) and m domains of n samples that differ, or that are all the same."""
    rng = np.random.default_rng(seed)
    model = MLP((4, 5, 3, 1))
    theta = model.init(rng, dtype) + (0.1 * rng.normal(size=model.d)).astype(dtype)
    domains = [Domain(f"domain {e}", rng.normal(e, 1, (n, 4)).astype(dtype), rng.integers(0, 2, n)) for e in range(m)]
    return model, theta, [domains[0]._replace(name=f"copy {e}") for e in range(m)] if copies else domains


def check_algorithm(factory, convention="paper", *, ordered_domains=False, ordered_samples=False, **hyper_parameters):
    """A factory's algorithm is pure, keeps dtype and shapes, reports finite floats, survives a checkpoint, gives the
    same bits replayed and traced, does not depend on the order of domains or samples (unless it says so), and, where it
    says its settings, without penalty weight starts as ERM does.
    """

    def make(model, **more):
        return factory(model, convention=convention, **{**hyper_parameters, **more})

    for dtype in (np.float64, np.float32):
        check_update(make, *example(dtype))
        check_replay(make, dtype)
    check_checkpoint(make, *example())
    check_order(make, *example(), ordered_domains, ordered_samples)
    check_no_penalty_is_erm(make, convention, *example())


def trained(algorithm, theta, domains, steps=3):
    """(theta, state, info) after some updates."""
    state, info = storable(algorithm.init(theta)), {}
    for _ in range(steps):
        found = algorithm.update(theta, state, domains)
        kinds = [type(part).__name__ for part in found] if isinstance(found, tuple) else type(found).__name__
        promise(kinds[2:] == ["dict"], "update returns theta, a state and a dict of numbers", kinds)
        theta, state, info = found[0], storable(found[1]), found[2]
    return theta, state, info


def storable(state):
    """A state again; AssertionError for parts that a checkpoint cannot keep."""
    odd = {type(leaf).__name__ for leaf in leaves(state) if not isinstance(leaf, np.ndarray | np.generic | int | float)}
    promise(not odd, "a state is an array, a number, or a tuple of such", sorted(odd))
    return state


def check_update(make, model, theta, domains):
    """Same input, same output; nothing modified; dtype and shape kept; info of plain finite floats."""
    algorithm, kind = make(model), (theta.dtype, theta.shape)
    theta, state, _ = trained(algorithm, theta, domains, 2)
    before = copy.deepcopy((theta, state, domains))
    first, second = (algorithm.update(theta, state, domains) for _ in range(2))
    promise(np.all(np.isfinite(first[0])), "theta stays finite", "NaN or infinite numbers")
    promise(same((theta, state, domains), before), "update modifies nothing", "an input was modified")
    promise(same(first[:2], second[:2]), "the same input gives the same output", "two results differ")
    found = first[0].dtype, first[0].shape
    promise(found == kind, f"theta stays {kind[0]} {kind[1]}", f"{found[0]} {found[1]}")
    info = first[2]
    promise("risk" in info, 'info has "risk"', sorted(info))
    bad = {name: value for name, value in info.items() if type(value) is not float or not np.isfinite(value)}
    promise(not bad, "info holds finite Python floats", bad)


def check_checkpoint(make, model, theta, domains):
    """Going on from a saved state, with an algorithm that was made anew, is the same as never stopping."""
    algorithm = make(model)
    theta, state, _ = trained(algorithm, theta, domains)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "checkpoint.npz"), theta, state)
        found = load_checkpoint(Path(folder, "checkpoint.npz"), algorithm.init(theta))
    expected, resumed = algorithm.update(theta, state, domains)[:2], make(model).update(*found, domains)[:2]
    promise(same(expected, resumed), "state survives a save and a load", "the next update differs")


def check_replay(make, dtype, steps=10):
    """Ten updates with rows, labels, weights, memories and shapes that change are the same bits replayed and traced.

    One algorithm is replayed; another, of the same factory, is traced.
    """
    model, theta, _ = example(dtype)
    batches = [example(dtype, n=4 + step // 6, seed=step)[2] for step in range(steps)]
    batches[8][0] = take(batches[8][0], np.arange(3))  # a domain smaller than the others
    found, expected = make(model), make(model)
    one, other = ((theta, algorithm.init(theta)) for algorithm in (found, expected))
    for step, batch in enumerate(batches):
        *one, told = found.update(*one, batch)
        with off():
            *other, meant = expected.update(*other, batch)
        kept = same((*one, *told.values()), (*other, *meant.values()))
        promise(kept, "replayed and traced updates are the same bits", f"step {step} differs")


def check_order(make, model, theta, domains, ordered_domains, ordered_samples):
    """Neither the order of the domains nor that of their samples matters, up to rounding."""
    others = {"domains": domains[::-1], "samples": shuffled(domains)}
    skipped = {"domains": ordered_domains, "samples": ordered_samples}
    expected = trained(make(model), theta, domains)[0]
    for what, other in others.items():
        error = np.abs(trained(make(model), theta, other)[0] - expected).max()
        kept = skipped[what] or error < ROUNDING
        promise(kept, f"the order of {what} does not matter", f"theta moved by {error:.1e}")


def shuffled(domains):
    """The rows of each domain in an order of its own."""
    rng = np.random.default_rng(1)
    return [take(domain, rng.permutation(len(domain.y))) for domain in domains]


def check_no_penalty_is_erm(make, convention, model, theta, domains):
    """With all its weights 0 the first update is ERM's, for methods whose info has a penalty and that say their
    settings: others may have another optimizer than ERM here."""
    same_step, known = {"lr": 0.01, "weight_decay": 0.0}, make(model).settings
    if known is not None and "penalty" in trained(make(model), theta, domains, 1)[2]:
        nothing = {"penalty_weight": 0.0, **dict.fromkeys((*SECOND_WEIGHTS, *WARM_UPS), 0)}
        nothing = {key: value for key, value in nothing.items() if key in known}
        found = trained(make(model, **nothing, **same_step), theta, domains, 1)[0]
        expected = trained(ALGORITHMS["erm"](model, convention=convention, **same_step), theta, domains, 1)[0]
        error = np.abs(found - expected).max()
        promise(error < ROUNDING, "penalty_weight = 0 starts as ERM", f"theta differs by {error:.1e}")


def check_penalty(
    penalty, *, vanishes_on_copies=True, ordered_domains=False, ordered_samples=False, differences=1e-5, held=None,
    **options,
):  # fmt: skip
    """penalty(model, theta, domains) is a number, does not depend on order (unless it says so), is zero for equal
    domains (unless it says so), and pulls where domains differ: its gradient agrees with central differences; what it
    holds constant, the options held(model, theta, domains), is then held there too.
    """
    model, theta, domains = example()
    value = penalty(model, theta, domains, **options)
    promise(np.shape(value) == () and np.isfinite(value), "a penalty is one finite number", value)
    for what, skipped, other in (
        ("domains", ordered_domains, domains[::-1]),
        ("samples", ordered_samples, shuffled(domains)),
    ):
        found = penalty(model, theta, other, **options)
        kept = skipped or np.isclose(found, value, rtol=1e-12, atol=0)
        promise(kept, f"the order of {what} does not matter", f"{value} and {found}")
    on_copies = penalty(*example(copies=True), **options)
    promise(not vanishes_on_copies or abs(on_copies) < 1e-24, "copies of one domain have no penalty", on_copies)
    constant = held(model, theta, domains) if held else {}
    check_gradient(lambda t: penalty(model, t, domains, **options, **constant), theta, differences)
    found, expected = (
        grad(lambda t, m=more: penalty(model, t, domains, **options, **m))(theta) for more in ({}, constant)
    )
    promise(np.allclose(found, expected, rtol=1e-12, atol=0), "what is held constant has no gradient", found - expected)


def check_gradient(f, theta, step=1e-5):
    """The gradient is not zero and its product with random directions is the central difference of f there.

    The difference errs by about step^2 and by 1e-16 / step, relative to the size of f and its derivatives.
    """
    gradient = grad(f)(theta)
    promise(np.abs(gradient).max() > 0, "the gradient is not zero where domains differ", "zeros")
    scale = abs(f(theta)) + np.linalg.norm(gradient)
    for direction in np.random.default_rng(2).normal(size=(5, len(theta))):
        direction /= np.linalg.norm(direction)
        expected = (f(theta + step * direction) - f(theta - step * direction)) / (2 * step)
        error = abs(gradient @ direction - expected) / scale
        promise(error < 1e-6, "the gradient agrees with finite differences", f"relative error {error:.1e}")


def same(one, other):
    """Whether nested tuples and lists of arrays and numbers are equal bit by bit."""
    one, other = (leaves(tuple(part)) for part in (one, other))
    return len(one) == len(other) and all(
        same(a, b) if isinstance(a, list) else np.array_equal(a, b) for a, b in zip(one, other, strict=True)
    )


def promise(kept, what, came):
    """AssertionError unless a promise is kept."""
    if not kept:
        raise AssertionError(f"promised: {what}; came: {came}")
