"""facebookresearch/DomainBed: whole updates, and the penalties that are functions of their own."""

import copy
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
from common import defined, joined, mean, nn, pairs, recorded, torch

from minifishr import ALGORITHMS
from minifishr.conformance import check, check_steps

MARK = "domainbed/algorithms.py"
UNLESS = "domainbed/calc_step_time.py"  # a fork whose updates take other batches
NAME = "facebookresearch/DomainBed"
METHODS = {
    "erm": "ERM", "irm": "IRM", "vrex": "VREx", "fish": "Fish", "and_mask": "ANDMask", "sand_mask": "SANDMask",
    "fishr": "Fishr", "iga": "IGA", "coral": "CORAL", "dann": "DANN", "group_dro": "GroupDRO", "sd": "SD",
    "ib_erm": "IB_ERM", "ib_irm": "IB_IRM", "mmd": "MMD",
}  # fmt: skip
WITHOUT_WARM_UP = ("iga", "coral", "mmd", "sd", "group_dro")
PARENTS = ("Algorithm", "ERM", "AbstractDANN", "AbstractMMD")
# BackPACK's hooks are not called by backward(inputs=...) of current PyTorch
HOOKS = ("inputs=list(self.classifier.parameters()), retain_graph", "retain_graph")


WITHOUT = ", without inputs= in backward"
MANY = {"style": "torch", "logits": "many"}


def hyper_parameters(settings):
    """Our settings by their names."""
    get = lambda key: settings.get(key, 0)  # noqa: E731
    names = {
        "irm_lambda": "penalty_weight", "irm_penalty_anneal_iters": "warm_up", "vrex_lambda": "penalty_weight",
        "vrex_penalty_anneal_iters": "warm_up", "mmd_gamma": "penalty_weight", "penalty": "penalty_weight",
        "lambda": "penalty_weight", "penalty_anneal_iters": "warm_up", "lr_g": "lr", "weight_decay_g": "weight_decay",
        "lr_d": "discriminator_lr", "weight_decay_d": "discriminator_weight_decay", "grad_penalty": "gradient_penalty",
        "d_steps_per_g_step": "discriminator_steps", "groupdro_eta": "eta", "sd_reg": "penalty_weight",
        "penalty_alpha": "penalty_weight", "penalty_beta": "gradient_weight",
        "ib_lambda": "ib_weight" if "ib_weight" in settings else "penalty_weight",
        "ib_penalty_anneal_iters": "ib_warm_up" if "ib_warm_up" in settings else "warm_up",
    }  # fmt: skip
    return {**settings, "nonlinear_classifier": False, **{theirs: get(ours) for theirs, ours in names.items()}}


def classes(checkout, name, networks, fixes=()):
    """Their class of a method, built on our networks."""
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    misc = defined(checkout / "domainbed/lib/misc.py", "ParamDict", "MovingAverage", "l2_between_dicts",
                   OrderedDict=OrderedDict, Number=float, operator=__import__("operator"))  # fmt: skip
    whole = defined(checkout / "domainbed/networks.py", "WholeFish", Featurizer=networks.Featurizer,
                    Classifier=networks.Classifier)  # fmt: skip
    networks.WholeFish = whole.WholeFish
    known = {"backpack": backpack, "extend": extend, "BatchGrad": BatchGrad, "np": np, "OrderedDict": OrderedDict,
             "networks": networks, "ParamDict": misc.ParamDict, "MovingAverage": misc.MovingAverage,
             "l2_between_dicts": misc.l2_between_dicts}  # fmt: skip
    names = [parent for parent in PARENTS if parent != name] if name != "ERM" else ["Algorithm"]
    return getattr(defined(checkout / MARK, *names, name, fixes=fixes, **known), name)


def networks_of(featurizer, classifier, discriminator=None, *, copied=True):
    """Their `networks` module, with ours in it."""
    fresh = copy.deepcopy if copied else (lambda network: network)
    featurizer.n_outputs = classifier.in_features
    return SimpleNamespace(
        Featurizer=lambda *given: with_outputs(fresh(featurizer), classifier.in_features),
        Classifier=lambda *given: fresh(classifier),
        MLP=lambda *given: fresh(discriminator),
    )


def with_outputs(featurizer, width):
    """A featurizer that says how wide it is."""
    featurizer.n_outputs = width
    return featurizer


def updates(checkout, name, fixes=()):
    """A make_update for check_steps."""

    def make_update(featurizer, classifier, settings, discriminator=None):
        networks, made = networks_of(featurizer, classifier, discriminator), []

        def update(domains):
            if not made:
                cls = classes(checkout, name, networks, fixes)
                made.append(cls((1,), classifier.out_features, len(domains), hyper_parameters(settings)))
            made[0].update(domains)
            network = made[0].network.net if name == "Fish" else made[0]
            return (network[0], network[1]) if name == "Fish" else (network.featurizer, network.classifier)

        return update

    return make_update


def fishr(checkout, fixes=()):
    """The penalty of their Fishr, without a past."""

    def penalty(featurizer, classifier, domains):
        cls = classes(checkout, "Fishr", networks_of(featurizer, classifier, copied=False), fixes)
        made = cls(
            (1,),
            classifier.out_features,
            len(domains),
            {**hyper_parameters({"lr": 0.1}), "weight_decay": 0, "ema": 0.9},
        )
        x, y = (torch.cat([domain[i] for domain in domains]) for i in (0, 1))
        return made.compute_fishr_penalty(made.network(x), y, [len(domain[1]) for domain in domains])

    return penalty


def irm(checkout):
    """Their IRM penalty, averaged over domains as their update does."""
    given = classes(checkout, "IRM", SimpleNamespace(Featurizer=None, Classifier=None))._irm_penalty
    return lambda featurizer, classifier, domains: mean(given(joined(featurizer, classifier)(x), y) for x, y in domains)


def matching(checkout, kernel):
    """Their CORAL or MMD, averaged over pairs as their update does."""
    cls = classes(checkout, "AbstractMMD", SimpleNamespace(Featurizer=None, Classifier=None))
    made = cls.__new__(cls)
    nn.Module.__init__(made)
    made.kernel_type = kernel
    return lambda featurizer, classifier, domains: mean(
        made.mmd(a, b) for a, b in pairs([featurizer(x) for x, _ in domains])
    )


def variations(method):
    """(note, settings): the recorded ones, without a warm-up where theirs has none; DANN's without gradient penalty."""
    yield "", recorded(method, **{"warm_up": 0} if method in WITHOUT_WARM_UP else {})
    if method == "dann":
        yield ", grad_penalty 0", recorded(method, gradient_penalty=0.0)


def checks(checkout):
    """(method, what, Result) of each."""
    yield "irm", "penalty", check("irm", irm(checkout), **MANY)
    yield "coral", "penalty", check("coral", matching(checkout, "mean_cov"), **MANY)
    if "mmd" in ALGORITHMS:
        yield "mmd", "penalty", check("mmd", matching(checkout, "gaussian"), **MANY)
    for fixes, note in (([], ""), ([HOOKS], WITHOUT)):
        yield "fishr", f"penalty{note}", check("fishr", fishr(checkout, fixes), **MANY)
    for method, name in METHODS.items():
        there = f"class {name}(" in (checkout / MARK).read_text(encoding="utf-8")  # older copies have fewer
        for note, settings in variations(method) if there and method in ALGORITHMS else ():
            fixes, without = ([HOOKS], WITHOUT) if method == "fishr" else ((), "")
            found = check_steps(method, updates(checkout, name, fixes), settings, **MANY)
            yield method, f"update{note}{without}", found
