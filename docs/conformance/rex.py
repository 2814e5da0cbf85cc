"""capybaralet/REx_code_release: the Colored MNIST script, whose loop adds up the risks, and the jigsaw script."""

import ast

from common import defined, joined, mean, run, source, torch
from scripts import options, turns

from minifishr.conformance import check, check_steps

MARK = "InvariantRiskMinimization/colored_mnist/main.py"
JIGSAW = "domain_generalization/train_jigsaw.py"
NAME = "capybaralet/REx_code_release"
TWO = {"style": "torch", "domains": 2, "logits": "one"}
THREE = {"style": "torch", "domains": 3, "logits": "many"}
LOSS = torch.nn.CrossEntropyLoss()


def flags(rex, erm_amount):
    """Their options from our settings."""
    fixed = {"rex": rex, "mse": True, "erm_amount": erm_amount, "early_loss_mean": True, "batch_size": 1_000}
    return lambda settings: options(
        settings, eval_interval=100, print_eval_intervals=False, plot=False, save_numpy_log=False, **fixed
    )


def as_called(path):
    """The jigsaw script's V-REx penalty as its training calls it, on risks named as there."""
    calls = [node for node in ast.walk(source(path)) if isinstance(node, ast.Assign)]
    call = next(
        node for node in calls if getattr(node.targets[0], "id", "") == "rex_class" and "compute_rex" in ast.dump(node)
    )
    names = defined(path, "compute_rex_penalty")

    def penalty(featurizer, classifier, domains):
        risks = [LOSS(classifier(featurizer(x)), y) for x, y in domains]
        space = {"compute_rex_penalty": names.compute_rex_penalty}
        space |= {f"class_loss_{e}": risk for e, risk in enumerate(risks, 1)}
        run([call], path, space)
        return space["rex_class"]

    return penalty


def jigsaw(checkout):
    """Its penalties, as functions and as called."""
    path = checkout / JIGSAW
    names = defined(path, "compute_rex_penalty", "compute_irm_penalty", "mean_nll")

    def rex(featurizer, classifier, domains):
        return names.compute_rex_penalty(*(LOSS(classifier(featurizer(x)), y) for x, y in domains))

    def irm(featurizer, classifier, domains):
        return mean(names.compute_irm_penalty(classifier(featurizer(x)), y, LOSS) for x, y in domains)

    yield "vrex", "compute_rex_penalty of train_jigsaw.py", check("vrex", rex, **THREE)
    yield "vrex", "the same as train_jigsaw.py calls it", check("vrex", as_called(path), **THREE)
    yield "irm", "compute_irm_penalty of train_jigsaw.py", check("irm", irm, style="torch", logits="many")


def checks(checkout):
    """(method, what, Result) of each."""
    path, called = checkout / MARK, ("mean_nll", "mean_accuracy", "penalty")
    for method, rex in (("irm", False), ("vrex", True)):
        for amount in (1.0, 0.5):
            made = turns(path, joined, called, flags(rex, amount))
            yield method, f"training loop, --erm_amount {amount}", check_steps(method, made, **TWO)
    yield from jigsaw(checkout)
