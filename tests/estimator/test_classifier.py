import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples

from minifishr import ALGORITHMS, MLP, fit, full_batch
from minifishr.data import Domain, stream
from minifishr.estimator import DomainClassifier
from minifishr.experiments import plan


class InHalves(DomainClassifier):
    """Rows are dealt to two domains, because scikit-learn's checks know of none."""

    def fit(self, X, y, domains=None):
        n = _num_samples(X)
        return super().fit(X, y, np.arange(n) % 2 if n > 3 else None)


@parametrize_with_checks(
    [DomainClassifier(steps=100, lr=0.03), InHalves("fishr", steps=100, lr=0.03, penalty_weight=1)]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def table(n=60, seed=0):
    """Three domains: a noisy column that always means the same, a sharp one whose meaning changes with the domain."""
    rng, domains = np.random.default_rng(seed), np.repeat(["a", "b", "c"], n)
    side = rng.choice([-1, 1], 3 * n)
    right = rng.random(3 * n) < np.repeat([0.95, 0.8, 0.1], n)
    x = np.stack([side + 1.5 * rng.normal(size=3 * n), np.where(right, side, -side) + 0.2 * rng.normal(size=3 * n)], 1)
    return x, np.where(side > 0, "yes", "no"), domains


def test_fit_is_the_training_of_the_package_on_standardized_columns():
    x, y, domains = table()
    found = DomainClassifier("fishr", hidden=(5,), penalty_weight=10.0, warm_up=3, steps=12).fit(x, y, domains)
    z = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    rows = [Domain(n, z[domains == n], (y[domains == n] == "yes").astype(int)) for n in "abc"]
    model = MLP((2, 5, 2))
    settings = {"convention": "domainbed", "lr": 0.01, "penalty_weight": 10.0, "warm_up": 3}
    expected = fit(
        ALGORITHMS["fishr"](model, **settings), model.init(stream(0, "init"), np.float32), full_batch(rows), 12
    )
    np.testing.assert_allclose(found.model_.theta, expected.theta, rtol=1e-4, atol=1e-6)  # float32
    assert [row[:3] for row in found.history_] == [row[:3] for row in expected.history]
    assert {row.metric for row in found.history_} == {"risk", "penalty"} and found.n_iter_ == 12
    logits = model.logits(expected.theta, z).astype(float)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.predict_proba(x), p, atol=1e-4)
    assert found.predict(x).tolist() == [["no", "yes"][c] for c in p.argmax(axis=1)]
    assert found.classes_.tolist() == ["no", "yes"] and found.n_features_in_ == 2


def test_rows_are_dealt_by_the_seed_so_that_the_halves_of_irm_are_no_order_of_the_table():
    x, y, domains = table()
    options = {"hidden": (5,), "penalty_weight": 10.0, "warm_up": 3, "steps": 12, "random_state": 4}
    found = DomainClassifier("irm", **options).fit(x, y, domains)
    z = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    model, rows = MLP((2, 5, 2)), []
    for e, name in enumerate("abc"):
        order = np.flatnonzero(domains == name)[stream(4, "rows", e).permutation(60)]
        rows.append(Domain(name, z[order], (y[order] == "yes").astype(int)))
    algorithm = ALGORITHMS["irm"](model, convention="domainbed", lr=0.01, penalty_weight=10.0, warm_up=3)
    expected = fit(algorithm, model.init(stream(4, "init"), np.float32), full_batch(rows), 12)
    np.testing.assert_allclose(found.model_.theta, expected.theta, rtol=1e-3, atol=1e-4)  # float32


def test_method_that_needs_domains_says_so_without_them():
    x, y, _ = table()
    with pytest.raises(ValueError, match="fishr needs at least 2 domains, got 1: \\['all rows'\\]"):
        DomainClassifier("fishr").fit(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fisher"}, "unknown method 'fisher'"),
        ({"penalty_weight": 1.0}, "erm: unknown hyper-parameter 'penalty_weight'"),
        ({"more": {"tau": 1}}, "erm: unknown hyper-parameter 'tau'"),
        ({"steps": 0}, "steps=0 is no whole number"),
        ({"patience": 1.5}, "patience=1.5 is no whole number"),
        ({"validation_fraction": 1}, "validation_fraction=1 is not in"),
        ({"convention": "mine"}, "unknown convention 'mine'"),
        ({"method": "irm", "convention": "mine", "more": {"reduction": "sum"}}, "unknown convention 'mine'"),
        ({"more": {"lr": 1}}, "more={'lr': 1} has 'lr', which is an argument of its own"),
        *(
            ({"hidden": v}, f"hidden={v!r} is no list of whole numbers from 1 up")
            for v in ((0,), 8, "32", (8.7,), None)
        ),
        *(
            ({"batch_size": v}, f"batch_size={v!r} is neither None nor a whole number from 1 up")
            for v in (0, "all", 2.5, -1)
        ),
        ({"more": ["x"]}, "more=['x'] is no dictionary {name: value}"),
        *(
            ({key: "no"}, f"{key}='no' is neither True nor False")
            for key in ("standardize", "class_balance", "early_stopping")
        ),
    ],
)
def test_impossible_arguments_are_repeated(options, message):
    x, y, domains = table(5)
    with pytest.raises(ValueError, match=re.escape(message)):
        DomainClassifier(**options).fit(x, y, domains)


class NA:
    """As pandas' NA: any comparison is NA again, which is neither true nor false."""

    def __eq__(self, other):
        return self

    __ne__ = __lt__ = __gt__ = __eq__
    __hash__ = None

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __repr__(self):
        return "<NA>"


def days(*names):
    return np.array(names, "datetime64[ns]")


@pytest.mark.parametrize(
    "domains",
    [
        np.array([0, 1, np.nan, 1, 0, np.nan]),
        np.array(["a", "b", None, "b", "a", None], object),
        np.array(["a", "b", np.nan, "b", "a", float("nan")], object),
        ["a", "b", NA(), "b", "a", NA()],
        ["a", "b", None, "b", "a", float("nan")],
        ["a", "b", np.nan, "b", "a", np.nan],
        (0, 1, float("nan"), 1, 0, float("nan")),
        days("2020-01-01", "2021-01-01", "NaT", "2021-01-01", "2020-01-01", "NaT"),
    ],
)
def test_missing_domains_are_counted(domains):
    x, y, _ = table(2)
    with pytest.raises(ValueError, match=r"^DomainClassifier: domains has 2 missing values$"):
        DomainClassifier("vrex", steps=1).fit(x, y, domains)


def test_masked_domains_are_refused():
    x, y, _ = table(2)
    with pytest.raises(ValueError, match="DomainClassifier: domains is a masked array"):
        DomainClassifier("vrex", steps=1).fit(x, y, np.ma.masked_equal([0, 1, 9, 1, 0, 9], 9))


def test_domains_may_be_called_anything_else():
    x, y, _ = table(2)
    for domains in (["nan", "None", "NaT"] * 2, [True, False] * 3, days("2020", "2021").repeat(3), [1.5, 2.5] * 3):
        found = DomainClassifier("vrex", steps=1, warm_up=0).fit(x, y, domains)
        assert np.isfinite(found.predict_proba(x)).all()


def test_domains_pass_through_pipeline_grid_search_and_leave_one_group_out():
    x, y, domains = table(20)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = DomainClassifier("vrex", steps=5, warm_up=2).set_fit_request(domains=True)
        search = GridSearchCV(
            make_pipeline(StandardScaler(), classifier),
            {"domainclassifier__penalty_weight": [0.1, 10.0]},
            cv=LeaveOneGroupOut(),
            error_score="raise",
        )
        search.fit(x, y, groups=domains, domains=domains)
    assert len(search.cv_results_["split2_test_score"]) == 2 and search.predict(x[:3]).shape == (3,)
    with pytest.raises(ValueError, match="vrex needs at least 2 domains"):
        clone(search.estimator).fit(x, y)


def test_words_and_missing_values_are_scikit_learns():
    x, y, domains = table(20)
    x[::7, 0] = np.nan
    mixed = np.column_stack([x.astype(object), np.resize(["m", "f"], len(x))])
    numbers, words = make_pipeline(SimpleImputer(), StandardScaler()), OneHotEncoder(sparse_output=False)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = DomainClassifier("irm", steps=20, warm_up=5).set_fit_request(domains=True)
        pipeline = make_pipeline(make_column_transformer((numbers, [0, 1]), (words, [2])), classifier)
        pipeline.fit(mixed, y, domains=domains)
    assert pipeline[-1].n_features_in_ == 4 and set(pipeline.predict(mixed)) == {"no", "yes"}


def test_early_stopping_keeps_the_best_parameters_and_stops_when_they_are_not_better():
    x, y, domains = table()
    options = {"steps": 400, "every": 5, "patience": 3, "early_stopping": True}
    found = DomainClassifier(**options).fit(x, y, domains)
    scores = [row.value for row in found.history_ if row.metric == "validation accuracy"]
    assert found.n_iter_ == 5 * len(scores) < 400 and max(scores) > 0.7
    assert max(scores[-3:]) <= max(scores[:-3]) or len(scores) == 3
    again = DomainClassifier(**options | {"steps": 5 * (1 + scores.index(max(scores)))}).fit(x, y, domains)
    assert again.model_.theta.tobytes() == found.model_.theta.tobytes()


def test_one_training_in_parts_is_the_training_in_one():
    x, y, domains = table()
    from minifishr.estimator.classifier import stopped_early

    rows = [Domain(n, x[domains == n].astype(np.float32), (y[domains == n] == "yes").astype(int)) for n in "abc"]
    model = MLP((2, 2))
    algorithm, theta = ALGORITHMS["fish"](model), model.init(np.random.default_rng(0), np.float32)
    scores = iter(range(10))
    options = {"every": 4, "patience": 9, "model": model}
    theta_parts, history, done = stopped_early(
        algorithm, theta, full_batch(rows), 10, lambda t: next(scores), **options
    )
    whole = fit(algorithm, theta, full_batch(rows), 10)
    assert theta_parts.tobytes() == whole.theta.tobytes() and done == 10
    assert [row for row in history if row.metric == "risk"] == whole.history


def test_same_seed_same_bits_and_pickles_predict():
    x, y, domains = table(20)
    one, two = (DomainClassifier(steps=5, random_state=3, batch_size=4).fit(x, y, domains) for _ in range(2))
    assert one.model_.theta.tobytes() == two.model_.theta.tobytes()
    assert pickle.loads(pickle.dumps(one)).predict(x).tolist() == one.predict(x).tolist()


def test_classes_that_weigh_equally_are_both_predicted():
    x, y, domains = table(100, seed=1)
    rare = np.flatnonzero((y == "no") | (np.arange(len(y)) % 15 == 0))
    x, y, domains = x[rare, :1], y[rare], domains[rare]
    found = [DomainClassifier(class_balance=b, steps=100).fit(x, y, domains).predict(x) for b in (False, True)]
    shares = [np.mean(p[y == "yes"] == "yes") for p in found]
    assert shares[0] < 0.2 < 0.6 < shares[1]


def test_columns_of_any_scale_are_standardized_and_refused_without_a_warning_where_that_cannot_be():
    x, y, domains = table(20)
    options = {"steps": 30, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = DomainClassifier(**options).fit(x, y, domains).predict(x)
        for scale in (1e-200, 1e160):
            assert (DomainClassifier(**options).fit(x * scale, y, domains).predict(x * scale) == expected).all()
        with pytest.raises(
            ValueError, match=r"^DomainClassifier: X has numbers in 'a' that are not finite in float32$"
        ):
            DomainClassifier(standardize=False, **options).fit(x * 1e160, y, domains)


def test_no_warning_is_raised_on_the_way():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DomainClassifier(steps=2).fit(*table(5)[:2])


@pytest.mark.parametrize("method", ALGORITHMS)
def test_hyper_parameters_are_those_of_a_comparison_of_as_many_steps(method):
    planned = plan("domainbed", [method], (5,), "colored", steps=500)[0].hyper_parameters
    found = DomainClassifier(method, steps=500, lr=planned["lr"]).hyper_parameters(5)
    assert found == planned


def test_domains_without_an_order_are_refused():
    x, y, _ = table(6)
    names = np.array([1, "b", 2.5] * 3, dtype=object)[: len(y)]
    with pytest.raises(ValueError, match="domains has names of several kinds"):
        DomainClassifier().fit(x, y, domains=np.resize(names, len(y)))


def test_a_fit_that_fails_leaves_what_was_there():
    x, y, domains = table(6)
    model = DomainClassifier(steps=3).fit(x, np.where(y == y[0], "yes", "no"), domains=domains)
    before = model.predict(x)
    with pytest.raises(ValueError, match="lr=-1"):
        model.set_params(lr=-1).fit(x, np.where(y == y[0], "dog", "cat"), domains=domains)
    assert (model.predict(x) == before).all()
    with pytest.raises(ValueError, match="lr=-1"):
        model.fit(x[:, :1], y, domains=domains)
    assert (model.predict(x) == before).all() and model.n_features_in_ == x.shape[1]
