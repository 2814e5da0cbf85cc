import numpy as np
import pytest
from autograd import grad
from conformance import twenty as own

from minifishr import ALGORITHMS
from minifishr.algorithms import DEFAULTS
from minifishr.conformance import check_steps
from minifishr.conformance.forms import SWITCHES, switches, worded
from minifishr.conformance.vectors import SETTINGS, presented


class Adam:
    """Adam as its paper has it, weight decay in the gradient."""

    def __init__(self, lr, decay=0.0, amsgrad=False):
        self.lr, self.decay, self.amsgrad = lr, decay, amsgrad
        self.mean = self.square = self.top = 0.0
        self.steps = 0

    def __call__(self, theta, gradient):
        gradient = gradient + self.decay * theta
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        self.top = np.maximum(self.top, self.square)
        used = (self.top if self.amsgrad else self.square) / (1 - 0.999**self.steps)
        return theta - self.lr * self.mean / (1 - 0.9**self.steps) / (np.sqrt(used) + 1e-8)


def irm(model, theta, s, *, restart=True, decay=1.0, warm_up=0, weight=1.0):
    """DomainBed's IRM, by hand."""
    state = {"theta": theta, "step": 0, "adam": Adam(s["lr"], decay * s["weight_decay"])}

    def update(domains):
        late = state["step"] >= s["warm_up"] + warm_up
        if state["step"] == s["warm_up"] and restart:
            state["adam"] = Adam(s["lr"], decay * s["weight_decay"])
        total = s["penalty_weight"] * weight * (1 if weight != "m" else len(domains)) if late else 1.0

        def objective(t):
            return own.mean(own.risks(model, t, domains)) + total * own.irm_of_halves(model, t, domains)

        state["theta"] = state["adam"](state["theta"], grad(objective)(state["theta"]))
        state["step"] += 1
        return state["theta"]

    return update


def fish(model, theta, s, *, share=1.0, amsgrad=False, decay=1.0):
    """Fish: one Adam step on each domain in the order given."""
    state = {"theta": theta, "adam": Adam(s["lr"], decay * s["weight_decay"], amsgrad)}

    def update(domains):
        walked = state["theta"]
        for d in domains:
            walked = state["adam"](walked, grad(lambda t, d=d: own.risk(model, t, d))(walked))
        share_of = s["meta_lr"] / (len(domains) if share == "1/m" else 1.0)
        state["theta"] = state["theta"] + share_of * (walked - state["theta"])
        return state["theta"]

    return update


def and_mask(model, theta, s, *, rescaled=True, geometric=False, decay=1.0):
    """AND-mask, with its division by the mean of the mask in each of W and b."""
    state = {"theta": theta, "adam": Adam(s["lr"], decay * s["weight_decay"])}

    def update(domains):
        g = np.stack([np.array(one) for one in own.mean_gradients(model, state["theta"], domains)])
        mask = (np.abs(np.sign(g).sum(axis=0)) >= s["tau"] * len(g)).astype(float)
        sizes = np.prod(np.abs(g) + 1e-10, axis=0) ** (1 / len(g)) if geometric else np.abs(g.mean(axis=0))
        step, start = mask * np.sign(g.mean(axis=0)) * sizes, 0
        for i, o in zip(model.sizes[:-1], model.sizes[1:], strict=True):
            for size in (i * o, o):
                step[start : start + size] /= 1e-10 + mask[start : start + size].mean() if rescaled else 1.0
                start += size
        state["theta"] = state["adam"](state["theta"], step)
        return state["theta"]

    return update


FEW = {"domains": 3, "logits": "many"}


@pytest.mark.parametrize(
    ("method", "make", "sentence"),
    [
        ("irm", irm, "follows the domainbed convention for six steps ("),
        ("irm", lambda *a: irm(*a, decay=2.0), "the domainbed convention with weight_decay times 2 ("),
        ("irm", lambda *a: irm(*a, decay=0.0), "the domainbed convention with no weight_decay ("),
        ("irm", lambda *a: irm(*a, weight="m" and 3.0), "the domainbed convention with penalty_weight times m ("),
        (
            "irm",
            lambda *a: irm(*a, restart=False),
            "no published convention; nearest: the domainbed convention, equal for 3 of 6 steps",
        ),
        ("fish", fish, "follows the domainbed convention for six steps ("),
        ("fish", lambda *a: fish(*a, share="1/m"), "the domainbed convention with meta_lr times m^-1 ("),
        (
            "fish",
            lambda *a: fish(*a, share="1/m", amsgrad=True, decay=2.0),
            "follows the paper convention for six steps (",
        ),
        ("and_mask", and_mask, "follows the domainbed convention for six steps ("),
        (
            "and_mask",
            lambda *a: and_mask(*a, rescaled=False),
            "follows the domainbed convention with rescale=False for six steps (",
        ),
        (
            "and_mask",
            lambda *a: and_mask(*a, geometric=True, decay=2.0),
            "follows the paper convention with average=geometric for six steps (",
        ),
        (
            "and_mask",
            lambda *a: and_mask(*a, rescaled=False, geometric=True),
            "follows the domainbed convention with rescale=False, average=geometric for six steps (",
        ),
        ("and_mask", lambda *a: and_mask(*a, decay=3.0), "no published convention; nearest: the "),
    ],
)
def test_update_by_hand_is_named(method, make, sentence):
    found = check_steps(method, make, **FEW)
    assert str(found).startswith(sentence)
    assert found.follows == sentence.startswith("follows")


def test_where_the_warm_up_ends_is_said():
    assert "at step 4, where the warm-up of 3 steps ends" in str(
        check_steps("irm", lambda *a: irm(*a, restart=False), **FEW)
    )


def ours(method, convention):
    """The package's update as somebody's."""

    def make(model, theta, settings, critic, w):
        chosen = {key: value for key, value in settings.items() if key in DEFAULTS[method][convention]}
        algorithm = ALGORITHMS[method](model, convention=convention, **chosen)
        state = [theta, algorithm.init(theta), 0]
        if method == "dann":
            fresh = state[1].discriminator_optimizer._replace(mean=0 * w, square=0 * w, largest=0 * w)
            state[1] = state[1]._replace(discriminator=w, discriminator_optimizer=fresh)

        def update(domains):
            shown = (
                presented(domains, chosen["seed"], state[2]) if (method, convention) == ("fish", "paper") else domains
            )
            state[0], state[1], _ = algorithm.update(*state[:2], shown)
            state[2] += 1
            return state[0]

        return update

    return make


@pytest.mark.parametrize(("method", "convention"), [(n, c) for n in SWITCHES for c in DEFAULTS[n]])
def test_every_switch_is_named_in_a_whole_update(method, convention):
    for turned in switches(method, convention):
        make = lambda model, theta, s, critic, w, t=turned: ours(method, convention)(model, theta, s | t, critic, w)  # noqa: E731
        found = check_steps(method, make, **FEW)
        assert found.follows and (found.convention, found.variant) == (convention, turned)
        assert f"follows the {convention} convention with {worded(turned)} for six steps (" in str(found)


@pytest.mark.parametrize("method", ALGORITHMS)
def test_every_method_of_the_package_follows_itself(method):
    for convention in DEFAULTS[method]:
        found = check_steps(method, ours(method, convention), domains=4, logits="one")
        assert found.follows and convention in str(found) and found.error < 1e-12


def test_memory_that_is_lost_is_named():
    def make(model, theta, settings, critic, w):
        return ours("fishr", "domainbed")(model, theta, {**settings, "ema": 0.0}, critic, w)

    assert "with ema = 0: nothing is remembered" in str(check_steps("fishr", make, **FEW))


@pytest.mark.parametrize(
    ("update", "sentence"),
    [
        (lambda: lambda domains: 1 / 0, "the update raised ZeroDivisionError on case many-3a"),
        (lambda: lambda domains: np.zeros(3), "the update gave theta (3,) at step 1 of case many-3a"),
        (lambda: lambda domains: np.full(34, np.nan), "the update gave a theta that is not finite at step 1 of case"),
        (lambda: lambda domains: np.random.default_rng().normal(size=34), "the update gave two results on the same"),
    ],
)
def test_bad_update_gets_one_sentence(update, sentence):
    found = check_steps("erm", lambda model, theta, settings: update(), **FEW)
    assert str(found).startswith(sentence) and not found.follows


def test_bad_request_is_refused():
    with pytest.raises(ValueError, match="method 'sgd' is unknown"):
        check_steps("sgd", irm)
    with pytest.raises(ValueError, match="irm: setting 'lambda' is unknown"):
        check_steps("irm", irm, {"lambda": 3})


def test_default_settings_are_those_of_the_recorded_trajectories():
    seen = []
    check_steps("irm", lambda model, theta, settings: seen.append(settings) or irm(model, theta, settings), **FEW)
    names = {*DEFAULTS["irm"]["paper"], *DEFAULTS["irm"]["domainbed"]}
    assert seen[0] == {key: value for key, value in SETTINGS[0].items() if key in names}


def test_factors_that_the_cases_do_not_tell_apart_are_all_named():
    def twice(model, theta, settings):
        return descent(model, theta, {**settings, "penalty_weight": 2 * settings["penalty_weight"]})

    def descent(model, theta, settings):
        algorithm = ALGORITHMS["vrex"](model, convention="domainbed", **settings)
        state = [theta, algorithm.init(theta)]

        def update(domains):
            state[0], state[1], _ = algorithm.update(*state, domains)
            return state[0]

        return update

    both = check_steps("vrex", twice, domains=2, logits="one")
    assert both.factor == "penalty_weight times m or penalty_weight times 2"
    assert check_steps("vrex", twice).factor == "penalty_weight times 2"
