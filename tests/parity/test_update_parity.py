"""Six updates of every method, and fifty of Adam, from PyTorch in float64, by the rules of torch_rules.py.

The fixtures are those of test_parity.py.
"""

from itertools import product

import numpy as np
import pytest
from parity.test_parity import agree, batch, errors, problem, rules, tensors, torch

from minifishr.algorithms import ALGORITHMS
from minifishr.mlp import MLP
from minifishr.optimizers import adam

__all__ = ["agree", "errors", "rules", "torch"]  # fixtures
pytestmark = pytest.mark.parity
SHAPES = [(5, 7, 6, 3), (5, 4, 2)]


def check_trajectory(torch, agree, convention, rule, run, algorithm, state, rows, steps=6):
    """`steps` updates from run.theta on fresh data; the error of theta is relative to how far theta moved."""
    start = theta = run.theta.detach().numpy().copy()
    paths, reports = ([], []), ([], [])
    for step in range(steps):
        domains = batch(run.sizes, rows, step)
        theirs = rule(run, tensors(torch, domains))
        theta, state, info = algorithm.update(theta, state, domains)
        paths[0].append(theta)
        paths[1].append(run.theta.detach().numpy().copy())
        reports[0].append([info[key] for key in ("risk", "penalty") if key in info])
        reports[1].append([value.item() for value in theirs if value is not None])
    agree(f"{run.name} trajectory, {convention}", "PyTorch", *paths, scale=paths[1] - start)
    for ours, theirs in zip(np.transpose(reports[0]), np.transpose(reports[1]), strict=True):
        agree(f"reported risks and penalties, {convention}", "PyTorch", ours, theirs)
    return state


def grid(**choices):
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


SECOND = ("hutchinson", "hgp", "cma")
PENALIZED = grid(penalty_weight=(0.5, 50.0), warm_up=(0, 3))
HYPER_PARAMETERS = {
    "erm": [{}],
    "irm": PENALIZED + grid(penalty_weight=(50.0,), warm_up=(0, 3), reduction=("sum",)),
    "vrex": PENALIZED + grid(penalty_weight=(50.0,), warm_up=(0, 3), ddof=(1,)),
    "fish": grid(meta_lr=(0.05, 0.5)),
    "and_mask": grid(tau=(0.2, 0.5, 1.0), rescale=(True, False), average=("arithmetic", "geometric")),
    "sand_mask": [{"tau": tau, "k": k} for tau, k in ((0.5, 10.0), (0.2, 1e-3), (0.9, 1e-3), (0.0, 1e-4))],
    "fishr": grid(penalty_weight=(10.0, 1000.0), warm_up=(0, 3), ema=(0.0, 0.95)),
    "iga": PENALIZED,
    "idgm": PENALIZED,
    "coral": PENALIZED + grid(penalty_weight=(50.0,), warm_up=(0, 3), means=(False,)),
    **{name: grid(penalty_weight=(0.5, 50.0), gradient_weight=(0.1, 5.0), warm_up=(0, 3)) for name in SECOND},
    "ib_erm": PENALIZED,
    "ib_irm": grid(penalty_weight=(0.5, 50.0), warm_up=(0, 3), ib_weight=(0.1,), ib_warm_up=(0, 2, 3)),
    "mmd": grid(penalty_weight=(0.5, 50.0)),
    "sd": grid(penalty_weight=(0.5, 50.0)),
    "group_dro": grid(eta=(0.0, 0.01, 2.0)),
}


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_domainbed_trajectory_is_that_of_pytorch(rules, torch, agree, name, sizes, weight_decay):
    for rows, hyper in product([(8, 8, 8), (8, 5, 11)], HYPER_PARAMETERS[name]):
        model, theta, _ = problem(sizes)
        hyper = {"lr": 1e-2, "weight_decay": weight_decay, **hyper}
        algorithm = ALGORITHMS[name](model, convention="domainbed", **hyper)
        run = rules.Run(name, sizes, theta, **hyper)
        check_trajectory(torch, agree, "domainbed", rules.DOMAINBED[name], run, algorithm, algorithm.init(theta), rows)


@pytest.mark.parametrize("discriminator_steps", [1, 2])
@pytest.mark.parametrize("gradient_penalty", [0.0, 0.7])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_domainbed_dann_trajectory_is_that_of_pytorch(
    rules, torch, agree, sizes, gradient_penalty, discriminator_steps
):
    for rows, weight_decay, weight in product([(8, 8, 8), (8, 5, 11)], (0.0, 0.05), (0.5, 5.0)):
        model, theta, _ = problem(sizes)
        hyper = {
            "lr": 1e-2,
            "weight_decay": weight_decay,
            "penalty_weight": weight,
            "gradient_penalty": gradient_penalty,
            "discriminator_steps": discriminator_steps,
        }
        critic = MLP((sizes[-2], 6, 6, len(rows)))
        w = critic.init(np.random.default_rng(3))
        opponent = {"discriminator_lr": 2e-2, "discriminator_weight_decay": 2 * weight_decay, "beta1": 0.4, "width": 6}
        algorithm = ALGORITHMS["dann"](model, convention="domainbed", **hyper, **opponent)
        state = algorithm.init(theta)._replace(discriminator=w, discriminator_optimizer=adam(2e-2).init(w))
        leaf = torch.tensor(w, requires_grad=True)
        betas = (0.4, 0.9)
        other = torch.optim.Adam([leaf], lr=2e-2, betas=betas, weight_decay=2 * weight_decay)
        run = rules.Run("dann", sizes, theta, betas=betas, critic=critic.sizes, w=leaf, opponent=other, **hyper)
        state = check_trajectory(torch, agree, "domainbed", rules.domainbed_dann, run, algorithm, state, rows)
        theirs = leaf.detach().numpy()
        agree("dann discriminator, domainbed", "PyTorch", state.discriminator, theirs, scale=theirs - w)


@pytest.mark.parametrize("weight_decay", [0.0, 0.0011, 0.05])
@pytest.mark.parametrize("sizes", [(5, 7, 6, 1), (5, 4, 1)], ids=str)
@pytest.mark.parametrize(
    ("name", "switch"),
    [("erm", {}), ("irm", {}), ("irm", {"reduction": "sum"}), ("vrex", {}), ("vrex", {"ddof": 1}), ("fishr", {})],
)
def test_paper_trajectory_is_that_of_the_authors_script(rules, torch, agree, name, switch, sizes, weight_decay):
    schedules = [{}] if name == "erm" else grid(penalty_weight=(0.5, 50.0, 91257.0), warm_up=(0, 3))
    for rows, schedule in product([(9, 9), (9, 6)], schedules):
        hyper = schedule | switch
        model, theta, _ = problem(sizes)
        algorithm = ALGORITHMS[name](model, convention="paper", lr=1e-2, weight_decay=weight_decay, **hyper)
        run = rules.Run(name, sizes, theta, lr=1e-2, decay=weight_decay, **hyper)
        check_trajectory(torch, agree, "paper", rules.paper, run, algorithm, algorithm.init(theta), rows)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9)])
def test_adam_is_that_of_pytorch(torch, agree, betas, weight_decay, amsgrad):
    rng = np.random.default_rng(0)
    start = theta = rng.normal(size=20)
    chosen = {"betas": betas, "weight_decay": weight_decay, "amsgrad": amsgrad}
    leaf, ours = torch.tensor(theta, requires_grad=True), adam(1e-2, **chosen)
    theirs, state, paths = torch.optim.Adam([leaf], lr=1e-2, **chosen), ours.init(theta), ([], [])
    for _ in range(50):
        gradient = rng.normal(size=20) * 10.0 ** rng.uniform(-9, 3, size=20)
        theta, state = ours.update(theta, gradient, state)
        leaf.grad = torch.tensor(gradient)
        theirs.step()
        paths[0].append(theta)
        paths[1].append(leaf.detach().numpy().copy())
    agree(f"Adam, 50 steps{', amsgrad' if amsgrad else ''}", "torch.optim", *paths, scale=paths[1] - start)
