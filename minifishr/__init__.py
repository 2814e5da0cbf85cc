"""minifishr: domain generalization by invariance, in NumPy.

Symbols, the same in every file:

    m domains (e), n samples (i), d parameters, p pixels, k classes
    theta (d,)   parameters               R (m,)     risks of the domains
    x (n,p)      inputs                   G (n,d)    per-sample gradients
    y (n,)       labels                   g (m,d)    mean gradient of each domain
    z (n,k)      logits                   v (m,d)    gradient variance of each domain

The mathematics is here and in `algorithms`, to be read in this order; each imports only from those before it:

    data                    a wing: what training sees, what it is tested on, and going on after a stop
    pieces, mlp, losses     the network and its risk
    gradients               per-sample gradients and their variance
    curvature               gradient covariance, Fisher information, Gauss-Newton, Hessian
    optimizers              sgd and adam
    programs, replay        an update recorded once and run again
    algorithms              a wing: what an algorithm is, then one file a method
    evaluate                accuracies and selection rules
    train                   the training loop
    invariance              what a trained network has made equal in its domains

Around it stand the other wings; the first lines of each `__init__.py` say how to read it:

    checks                  what every method promises, to check your own; identities, to verify
    conformance             which published convention does somebody's penalty follow? with test vectors
    plots, experiments      figures from arrays; some methods and seeds on one problem
    sweeps, estimator       a random search, and its report; the scikit-learn face
    course, commands, cli   the exercises of the lessons in notebooks/; the command line
"""

from . import curvature
from .algorithms import ALGORITHMS, PENALTIES, Algorithm

from .data import Checkpoint, Digits, Domain, Problem, colored_mnist, colored_mnist_domains, full_batch  # isort: skip
from .data import leave_out, load_digits, load_npz, minibatches, rotated_mnist  # isort: skip
from .evaluate import accuracies, accuracy
from .gradients import domain_gradients, gradient_variance, per_sample_gradients
from .losses import per_sample_losses, risk, risks
from .mlp import MLP
from .train import Diverged, fit


def load_model(path):
    """The model that a run has kept in a file, with predict(x) and predict_proba(x), (n,p) -> (n,), (n,k)."""
    from .experiments import load_model as load  # what reads it is not needed to do mathematics

    return load(path)


__all__ = [
    "ALGORITHMS", "MLP", "PENALTIES", "Algorithm", "Checkpoint", "Digits", "Diverged", "Domain", "Problem",
    "accuracies", "accuracy", "colored_mnist", "colored_mnist_domains", "curvature", "domain_gradients", "fit",
    "full_batch", "gradient_variance", "leave_out", "load_digits", "load_model", "load_npz", "minibatches",
    "per_sample_gradients", "per_sample_losses", "risk", "risks", "rotated_mnist",
]  # fmt: skip
