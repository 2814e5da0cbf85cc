"""The same numbers from PyTorch, BackPACK and JAX, in float64: `make parity` runs this and prints a table of errors."""

from itertools import product

import autograd
import numpy as np
import pytest
from tabulate import tabulate

from minifishr.algorithms import PENALTIES, and_mask, fishr, sand_mask
from minifishr.data import Domain
from minifishr.gradients import gradient_variance, per_sample_gradients
from minifishr.losses import risk
from minifishr.mlp import MLP

pytestmark = pytest.mark.parity
TOLERANCE = 1e-9
REASON = "pip install 'minifishr[parity]'"
SIZES = [(3, 1), (3, 4, 1), (3, 4, 2, 1), (3, 4), (3, 2, 5, 4)]
on_every_network = pytest.mark.parametrize("sizes", SIZES, ids=str)


# The libraries are imported by fixtures: a run that deselects these tests does not pay for them.


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason=REASON)
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="module")
def rules(torch):
    from parity import torch_rules

    return torch_rules


@pytest.fixture(scope="module")
def backpack(torch):
    pytest.importorskip("backpack", reason=REASON)
    import backpack.extensions

    return backpack


@pytest.fixture(scope="module")
def jax():
    jax = pytest.importorskip("jax", reason=REASON)
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.fixture(scope="module")
def errors(request):
    """(comparison, library) -> relative errors; printed when the module is done."""
    found = {}
    yield found
    rows = [(*key, len(values), f"{max(values):.1e}") for key, values in found.items()]
    table = tabulate(rows, ["comparison", "with", "cases", "largest relative error"], disable_numparse=True)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{table}" if rows else "")


@pytest.fixture
def agree(errors):
    """Notes the largest difference, relative to the largest entry of `scale` (theirs), and asserts that it is small."""

    def check(name, library, ours, theirs, scale=None):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        scale = np.abs(theirs if scale is None else scale).max()
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == np.float64
        assert scale > 0, "nothing to compare with"
        error = np.abs(ours - theirs).max() / scale
        errors.setdefault((name, library), []).append(error)
        assert error <= TOLERANCE, f"{name} differs from {library} by {error:.1e}"

    return check


def problem(sizes, rows=(8, 5, 11), seed=0):
    """A model, parameters with biases that are not zero, and unequal domains that differ."""
    model, rng = MLP(sizes), np.random.default_rng([5, seed])
    return model, model.init(rng) + 0.3 * rng.normal(size=model.d), batch(sizes, rows, seed)


def batch(sizes, rows, seed):
    rng = np.random.default_rng([9, seed])
    shift, classes = rng.normal(size=(len(rows), sizes[0])), max(2, sizes[-1])
    return [
        Domain(f"{e}", rng.normal(size=(n, sizes[0])) + shift[e], rng.integers(0, classes, n))
        for e, n in enumerate(rows)
    ]


def tensors(torch, domains):
    return [(torch.tensor(domain.x), torch.tensor(domain.y)) for domain in domains]


def sequential(torch, model, theta):
    """theta as a torch.nn.Sequential, whose weights are stored (out, in)."""
    stages = []
    for W, b in model.layers(theta):
        stages += [torch.nn.Linear(*W.shape, dtype=torch.float64), torch.nn.ReLU()]
        stages[-2].weight.data, stages[-2].bias.data = torch.tensor(W.T.copy()), torch.tensor(b.copy())
    return torch.nn.Sequential(*stages[:-1])


def jax_risk(jax, model):
    """The risk of one domain in JAX."""

    def value(theta, x, y):
        for name, block in model.blocks.items():
            piece = theta[block].reshape(model.shapes[name])
            x = x @ piece if name[0] == "W" else jax.nn.relu(x + piece) if block.stop < model.d else x + piece
        z = x if x.shape[1] > 1 else jax.numpy.concatenate([0 * x, x], axis=1)
        return -jax.nn.log_softmax(z)[jax.numpy.arange(len(y)), y].mean()

    return value


# Gradients of samples, their variance, and the Hessian


@on_every_network
@pytest.mark.parametrize("method", ["loop", "jacobian", "tiled", "taps"])
def test_per_sample_gradients_are_those_of_torch_func(rules, torch, agree, sizes, method):
    model, theta, domains = problem(sizes)
    for domain, (x, y) in zip(domains, tensors(torch, domains), strict=True):
        theirs = rules.sample_gradients(sizes, torch.tensor(theta), x, y)
        agree(
            f"per-sample gradients, {method}",
            "torch.func",
            per_sample_gradients(model, theta, *domain[1:], method),
            theirs,
        )


@on_every_network
def test_per_sample_gradients_are_those_of_jax(jax, agree, sizes):
    model, theta, ((_, x, y), *_) = problem(sizes)
    each = jax.jit(jax.vmap(jax.grad(jax_risk(jax, model)), (None, 0, 0)))
    agree("per-sample gradients", "JAX", per_sample_gradients(model, theta, x, y), each(theta, x[:, None], y[:, None]))


@on_every_network
@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")  # BackPACK's hook on a first layer
def test_per_sample_gradients_and_variances_are_those_of_backpack(backpack, torch, agree, sizes):
    model, theta, domains = problem(sizes)
    extensions = backpack.extensions
    for domain, (x, y) in zip(domains, tensors(torch, domains), strict=True):
        one = sizes[-1] == 1
        # summed: with a mean BackPACK divides the gradient of every sample by n
        module = (torch.nn.BCEWithLogitsLoss if one else torch.nn.CrossEntropyLoss)(reduction="sum")
        net, total = backpack.extend(sequential(torch, model, theta)), backpack.extend(module)
        with backpack.backpack(extensions.BatchGrad(), extensions.Variance(), extensions.SumGradSquared()):
            total(net(x), y[:, None].double() if one else y).backward()

        def flat(attribute, n, net=net):
            pieces = [getattr(p, attribute).reshape(n, *p.shape) for p in net.parameters()]
            return np.concatenate([p.transpose(1, -1).reshape(n, -1).numpy() for p in pieces], axis=1)

        n = len(y)
        agree(
            "per-sample gradients", "BackPACK", per_sample_gradients(model, theta, *domain[1:]), flat("grad_batch", n)
        )
        variance, square = flat("variance", 1)[0], flat("sum_grad_squared", 1)[0] / n
        for ddof, scope in product((0, 1), ("all", "classifier")):
            where, name = slice(None) if scope == "all" else model.classifier, f"gradient variance, {scope}"
            ours = gradient_variance(model, theta, *domain[1:], scope=scope, ddof=ddof)
            agree(name, "BackPACK", ours, variance[where] * n / (n - ddof))
            ours = gradient_variance(model, theta, *domain[1:], scope=scope, centered=False)
            agree(f"{name}, not centered", "BackPACK", ours, square[where])


@on_every_network
@pytest.mark.parametrize(("scope", "ddof", "centered"), list(product(("all", "classifier"), (0, 1), (True, False))))
def test_gradient_variance_is_that_of_torch_func(rules, torch, agree, sizes, scope, ddof, centered):
    model, theta, domains = problem(sizes)
    variant = {"scope": scope, "ddof": ddof, "centered": centered}
    theirs = rules.variances(sizes, torch.tensor(theta), tensors(torch, domains), **variant)
    ours = [gradient_variance(model, theta, x, y, **variant) for _, x, y in domains]
    agree(f"gradient variance, {scope}{'' if centered else ', not centered'}", "torch.func", ours, theirs)


@on_every_network
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch.func.hessian's own
def test_hessian_is_that_of_torch_func(rules, torch, agree, sizes):
    model, theta, domains = problem(sizes)
    for (_, *data), (x, y) in zip(domains, tensors(torch, domains), strict=True):
        theirs = torch.func.hessian(lambda t, x=x, y=y: rules.risk(sizes, t, x, y))(torch.tensor(theta))
        agree("Hessian", "torch.func", autograd.hessian(lambda t, data=data: risk(model, t, *data))(theta), theirs)


@on_every_network
def test_hessian_is_that_of_jax(jax, agree, sizes):
    model, theta, ((_, x, y), *_) = problem(sizes)
    ours = autograd.hessian(lambda t: risk(model, t, x, y))(theta)
    agree("Hessian", "JAX", ours, jax.jit(jax.hessian(jax_risk(jax, model)))(theta, x, y))


# Penalties


def check_penalty(rules, torch, agree, name, convention, sizes, rows, **variant):
    model, theta, domains = problem(sizes, rows)
    theirs = {**variant}
    if name == "dann":
        critic = MLP((sizes[-2], 6, 6, len(rows)))
        w = critic.init(np.random.default_rng(3)) + 0.1
        variant = {"critic": critic, "w": w, **variant}
        theirs = {"critic": critic.sizes, "w": torch.tensor(w), **theirs}
    t = torch.tensor(theta, requires_grad=True)
    value = rules.PENALTIES[name][convention](sizes, t, tensors(torch, domains), **theirs)
    (gradient,) = torch.autograd.grad(value, t)
    our_value, our_gradient = autograd.value_and_grad(
        lambda t: PENALTIES[name](model, t, domains, convention=convention, **variant)
    )(theta)
    agree(f"{name} penalty, {convention}", "PyTorch", our_value, value.detach())
    agree(f"{name} penalty's gradient, {convention}", "PyTorch", our_gradient, gradient)


VARIANTS = {
    "fishr": [  # mean squares have the divisor n alone
        {"scope": scope, "centered": centered, "ddof": ddof}
        for scope, (centered, ddof) in product(("classifier", "all"), [(True, 0), (True, 1), (False, 0)])
    ],
    "dann": [{"gradient_penalty": weight} for weight in (0.0, 0.7)],
    "irm": [{}, {"reduction": "sum"}],
    "vrex": [{}, {"ddof": 1}],
    "coral": [{}, {"means": True}, {"means": False}],
    **{name: [{"gradient_weight": weight} for weight in (0.0, 0.7)] for name in ("hutchinson", "hgp", "cma")},
    "ib_irm": [{"ib_weight": weight} for weight in (0.0, 0.7)],
}


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalty_and_its_gradient_are_those_of_pytorch(rules, torch, agree, name, convention):
    for sizes, rows in product([(3, 4, 1), (3, 4, 2, 1), (3, 2, 5, 4)], [(8, 5), (8, 5, 11)]):
        for variant in VARIANTS.get(name, [{}]):
            check_penalty(rules, torch, agree, name, convention, sizes, rows, **variant)


@pytest.mark.parametrize("convention", ["paper", "domainbed"])
@pytest.mark.parametrize("scope", ["classifier", "all"])
def test_fishr_with_a_memory_is_pytorchs_moving_average_without_its_factor(rules, torch, agree, convention, scope):
    """The public code averages, (1 - ema) * v + ema * u, and divides by 1 - ema."""
    for sizes, rows in product([(3, 4, 1), (3, 2, 5, 4)], [(8, 5), (8, 5, 11)]):
        model, theta, domains = problem(sizes, rows)
        ema, before = 0.95, [theta * 1.2, theta * 0.9]
        u, memory = 0.0, 0.0
        for point in before:
            u = ema * u + (1 - ema) * rules.variances(sizes, torch.tensor(point), tensors(torch, domains), scope)
            memory = fishr.discounted(model, point, domains, ema=ema, memory=memory, scope=scope)
        agree("fishr memory", "PyTorch", memory, u / (1 - ema))
        t = torch.tensor(theta, requires_grad=True)
        now = (ema * u + (1 - ema) * rules.variances(sizes, t, tensors(torch, domains), scope)) / (1 - ema)
        value = ((now - now.mean(0)) ** 2).sum() if convention == "paper" else rules.spread(now)
        options = {"convention": convention, "ema": ema, "memory": memory, "scope": scope}
        ours = autograd.value_and_grad(
            lambda t, model=model, domains=domains, options=options: fishr.penalty(model, t, domains, **options)
        )(theta)
        agree(f"fishr penalty with a memory, {convention}", "PyTorch", ours[0], value.detach())
        (gradient,) = torch.autograd.grad(value, t)
        agree(f"fishr penalty's gradient with a memory, {convention}", "PyTorch", ours[1], gradient)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_directions_of_the_masks_are_those_of_pytorch(rules, torch, agree, sizes):
    model, g = MLP(sizes), np.random.default_rng(4).normal(0.5, 1, (3, MLP(sizes).d))
    for tau, rescale, average in product((0.2, 1.0), (True, False), ("arithmetic", "geometric")):
        switches = {"tau": tau, "rescale": rescale, "average": average}
        theirs = rules.masked(sizes, torch.tensor(g), **switches)
        agree("and_mask direction", "PyTorch", and_mask.direction(model, g, **switches), theirs)
    theirs = rules.masked(sizes, torch.tensor(g), 0.2, k=1e-3)
    agree("sand_mask direction", "PyTorch", sand_mask.direction(model, g, tau=0.2, k=1e-3), theirs)
