"""What an estimator trains on and how: rows as domains, as the network sees them, and training that stops early."""

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ..data import Domain, Row
from ..train import fit


def as_domains(X, y, names):
    """A Domain for each different name, in their order; one of all rows without names."""
    if names is None:
        return [Domain("all rows", X, y)]
    if isinstance(names, np.ma.MaskedArray):
        raise ValueError("DomainClassifier: domains is a masked array: what it hides is missing")
    given = names if hasattr(names, "dtype") else list(names)  # a list with NaN and words would become words
    check_consistent_length(X, given)
    names = np.asarray(given)
    if names.ndim != 1:
        raise ValueError(f"DomainClassifier: domains must be (n,), got {names.shape}")
    lacking = isinstance(given, list) or names.dtype.kind in "fmMO"  # other arrays have no missing values
    if missing := sum(map(is_missing, given)) if lacking else 0:
        raise ValueError(f"DomainClassifier: domains has {missing} missing values")
    try:
        different = np.unique(names)
    except TypeError:
        raise ValueError("DomainClassifier: domains has names of several kinds, which have no order") from None
    return [Domain(str(name), X[names == name], y[names == name]) for name in different]


def is_missing(value):
    """Whether a value is None, NaN, NaT or pandas' NA, which is known by how it is shown."""
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT", "<NA>"))


def scaled(domain, scaling):
    """A domain as the network sees it; ValueError for numbers that float32 does not have."""
    with np.errstate(over="ignore"):
        x = scaling.applied(domain.x)
    if not np.isfinite(x).all():
        raise ValueError(f"DomainClassifier: X has numbers in {domain.name!r} that are not finite in float32")
    return domain._replace(x=x)


def stopped_early(algorithm, theta, batches, steps, score, *, every, patience, model):
    """(theta with the highest score, history, steps made): `every` updates at a time, until the score was not higher
    for `patience` times or `steps` are made."""
    state, history, done, waited = algorithm.init(theta), [], 0, 0
    best = score(theta), theta
    while done < steps and waited < patience:
        going_on = algorithm._replace(init=lambda _, state=state: state)
        number = min(every, steps - done)
        theta, state, rows = fit(going_on, theta, lambda t, done=done: batches(done + t), number, model=model)
        history += [row._replace(step=done + row.step) for row in rows]
        done += number
        value = score(theta)
        history.append(Row(done, "", "validation accuracy", value))
        waited = 0 if value > best[0] else waited + 1
        best = max(best, (value, theta), key=lambda pair: pair[0])
    return best[1], history, done
