"""minifishr: domain generalization by invariance, in NumPy.

Symbols, the same in every file:

    m domains (e), n samples (i), d parameters, p pixels, k classes
    theta (d,)   parameters               R (m,)     risks of the domains
    x (n,p)      inputs                   G (n,d)    per-sample gradients
    y (n,)       labels                   g (m,d)    mean gradient of each domain
    z (n,k)      logits                   v (m,d)    gradient variance of each domain

Read the files in this order; each imports only from those before it:

    rendered, digits        where images come from
    domains, own, toys      what training sees, and what it is tested on; arrays of one's own; two toy problems
    mlp, losses             the network and its risk
    gradients               per-sample gradients and their variance
    curvature               gradient covariance, Fisher information, Gauss-Newton, Hessian
    optimizers              sgd and adam
    algorithms              settings, protocol, then one file a method:
                            erm irm vrex fish and_mask sand_mask fishr iga idgm coral dann
    evaluate, train         accuracies, selection rules, the training loop, checkpoints
    checks                  what every method promises, to check your own; identities, to verify
    invariance              what a trained network has made equal in its domains
    presets, experiments    what an experiment consists of; one run
    parallel                many runs
    plots, report, figures  what a results folder holds
    grid, records           many runs that can be interrupted: which ones, and what is left of each
    sweep, calibration      carrying them out; how long it will take
    selection, tables       which of them count; means, standard errors, ranks
    sweep_report            what a sweep has shown, as files
    sweep_figures           and as pictures
    checks/exercises        those of the course in notebooks/
    commands, cli           the command line
"""

from .algorithms import ALGORITHMS, Algorithm
from .digits import Digits, load_digits
from .domains import (
    Domain,
    Problem,
    colored_mnist,
    colored_mnist_domains,
    full_batch,
    leave_out,
    minibatches,
    rotated_mnist,
)
from .evaluate import accuracies, accuracy
from .gradients import domain_gradients, gradient_variance, per_sample_gradients
from .losses import per_sample_losses, risk, risks
from .mlp import MLP
from .own import load_npz
from .train import Diverged, fit

__all__ = [
    "ALGORITHMS",
    "MLP",
    "Algorithm",
    "Digits",
    "Diverged",
    "Domain",
    "Problem",
    "accuracies",
    "accuracy",
    "colored_mnist",
    "colored_mnist_domains",
    "domain_gradients",
    "fit",
    "full_batch",
    "gradient_variance",
    "leave_out",
    "load_digits",
    "load_npz",
    "minibatches",
    "per_sample_gradients",
    "per_sample_losses",
    "risk",
    "risks",
    "rotated_mnist",
]
