"""A multilayer perceptron trained by any of the methods, as scikit-learn wants it."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..algorithms import ALGORITHMS, DEFAULTS, identifying
from ..data import balanced, full_batch, held_out, minibatches, standardization, stream, take, unscaled
from ..evaluate import accuracy
from ..experiments import Model, check_known, in_a_run
from ..mlp import MLP
from ..train import fit
from .rows import as_domains, scaled, stopped_early

NAMED = ("lr", "weight_decay", "penalty_weight", "warm_up")
FLOATS = (np.float64, np.float32)


def counts(value):
    """Whether a value is a whole number from 1 up."""
    return isinstance(value, Integral) and value >= 1


COUNT = counts, "no whole number from 1 up"
SWITCH = (lambda v: isinstance(v, bool | np.bool)), "neither True nor False"
LISTS = list, tuple, np.ndarray
# what an argument must be, and what is said of another
ARGUMENTS = {
    "hidden": (lambda v: isinstance(v, LISTS) and all(map(counts, v)), "no list of whole numbers from 1 up"),
    "more": (lambda v: v is None or isinstance(v, dict), "no dictionary {name: value}"),
    "steps": COUNT,
    "batch_size": (lambda v: v is None or counts(v), "neither None nor a whole number from 1 up"),
    "validation_fraction": (lambda v: isinstance(v, Real) and 0 < v < 1, "not in (0, 1)"),
    "patience": COUNT,
    "every": COUNT,
    **dict.fromkeys(("standardize", "class_balance", "early_stopping"), SWITCH),
}


class DomainClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that learns from several domains: fit(X, y, domains=...).

    `method` is a name in ALGORITHMS. Its hyper-parameters are the convention's where they are None; those without an
    argument of their own stand in `more`, {name: value}. `batch_size` rows of each domain make an update, None all of
    them. Columns are standardized on the training rows unless `standardize` is false; `class_balance` weighs classes
    equally. With `early_stopping`, `validation_fraction` of each domain is held out, and training stops when the mean
    accuracy on these rows was not better for `patience` measurements, one every `every` steps; the best parameters are
    kept. Without domains all rows are one domain, which is enough for "erm" alone.
    """

    def __init__(
        self, method="erm", *, hidden=(64,), convention="domainbed", lr=0.01, weight_decay=None, penalty_weight=None,
        warm_up=None, more=None, steps=300, batch_size=None, standardize=True, class_balance=False,
        early_stopping=False, validation_fraction=0.2, patience=5, every=10, random_state=0,
    ):  # fmt: skip
        self.method = method
        self.hidden = hidden
        self.convention = convention
        self.lr = lr
        self.weight_decay = weight_decay
        self.penalty_weight = penalty_weight
        self.warm_up = warm_up
        self.more = more
        self.steps = steps
        self.batch_size = batch_size
        self.standardize = standardize
        self.class_balance = class_balance
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.every = every
        self.random_state = random_state

    def fit(self, X, y, domains=None):
        """Train; X (n,p) numbers, y (n,) of any kind, domains (n,) of any kind. ValueError for what cannot be. A fit
        that fails leaves what was there."""
        before = vars(self).copy()
        try:
            return self.learned(X, y, domains)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def learned(self, X, y, domains):
        """The classifier itself, trained."""
        X, y = validate_data(self, X, y, dtype=FLOATS)
        check_classification_targets(y)
        self.check_arguments()
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"DomainClassifier needs at least 2 classes, got 1 class: {classes.tolist()}")
        seed = self.random_state
        seed = seed if isinstance(seed, Integral) else check_random_state(seed).randint(2**31)
        rows, validation = as_domains(X, codes, domains), []
        # irm's halves are even and odd rows, here dealt at random as in a comparison, whatever order they had
        rows = [take(d, stream(seed, "rows", e).permutation(len(d.y))) for e, d in enumerate(rows)]
        if self.early_stopping:
            share = self.validation_fraction
            pairs = [held_out(d, share, stream(seed, "held out", e)) for e, d in enumerate(rows)]
            rows, validation = ([pair[number] for pair in pairs] for number in (0, 1))
        names = getattr(self, "feature_names_in_", ())
        scaling = standardization(rows, names=names) if self.standardize else unscaled(X.shape[1])
        if self.class_balance:
            rows = [balanced(d, stream(seed, "balanced", e)) for e, d in enumerate(rows)]
        rows, validation = ([scaled(d, scaling) for d in part] for part in (rows, validation))
        theta, sizes = self.trained(rows, validation, seed, len(classes))
        self.classes_ = classes
        self.model_ = Model(theta, sizes, [*range(len(classes))], [], scaling, {})
        return self

    def trained(self, train, validation, seed, k):
        """Parameters (d,) and layer widths of the network after training; keeps the history and the number of steps."""
        model = MLP((train[0].x.shape[1], *map(int, self.hidden), k))
        algorithm = ALGORITHMS[self.method](model, convention=self.convention, **self.hyper_parameters(seed))
        theta = model.init(stream(seed, "init"), np.float32)
        batches = minibatches(train, self.batch_size, seed) if self.batch_size else full_batch(train)

        def score(theta):
            return float(np.mean([accuracy(model, theta, domain) for domain in validation]))

        if self.early_stopping:
            options = {"every": self.every, "patience": self.patience, "model": model}
            found = stopped_early(algorithm, theta, batches, self.steps, score, **options)
        else:
            found = *fit(algorithm, theta, batches, self.steps, model=model)[::2], self.steps
        theta, self.history_, self.n_iter_ = found
        return theta, model.sizes

    def hyper_parameters(self, seed):
        """As in a comparison: the convention's, DomainBed's warm-ups shortened with the run, its seed, those given."""
        defaults = DEFAULTS[self.method][self.convention]
        chosen = in_a_run(defaults, self.convention, self.steps, seed)
        given = {name: getattr(self, name) for name in NAMED} | (self.more or {})
        given = {name: value for name, value in given.items() if value is not None}
        return identifying(self.method, defaults, {**chosen, **given})

    def check_arguments(self):
        """ValueError, which repeats the argument, for an unknown method and values that are not possible."""
        check_known("method", self.method, ALGORITHMS)
        check_known("convention", self.convention, DEFAULTS[self.method])
        for name, (fits, told) in ARGUMENTS.items():
            if not fits(value := getattr(self, name)):
                raise ValueError(f"DomainClassifier: {name}={value!r} is {told}")
        if twice := [name for name in NAMED if name in (self.more or {})]:
            raise ValueError(f"DomainClassifier: more={self.more!r} has {twice[0]!r}, which is an argument of its own")

    def predict(self, X):
        """The most likely class of each row, (n,p) -> (n,)."""
        model = self.fitted()
        return self.classes_[model.predict(validate_data(self, X, reset=False, dtype=FLOATS))]

    def predict_proba(self, X):
        """The probability of each class, in the order of `classes_`, (n,p) -> (n,k)."""
        model = self.fitted()
        return model.predict_proba(validate_data(self, X, reset=False, dtype=FLOATS))

    def fitted(self):
        """The trained Model; scikit-learn's error where there is none."""
        check_is_fitted(self, "model_")
        return self.model_
