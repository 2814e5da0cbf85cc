"""p-lambda/wilds: the penalties of its IRM and CORAL, averaged over groups as its objectives do."""

from types import SimpleNamespace

from common import F, defined, joined, mean, pairs, torch

from minifishr.conformance import check

MARK = "examples/algorithms/deepCORAL.py"
NAME = "p-lambda/wilds"


def checks(checkout):
    """(method, what, Result) of each."""
    given = defined(checkout / "examples/algorithms/IRM.py", "irm_penalty").irm_penalty
    coral = defined(checkout / MARK, "coral_penalty").coral_penalty

    def irm(featurizer, classifier, domains):
        scale = torch.tensor(1.0, requires_grad=True)
        logits = [(joined(featurizer, classifier)(x), y) for x, y in domains]
        losses = [F.cross_entropy(scale * z, y, reduction="none") for z, y in logits]
        return mean(given(SimpleNamespace(scale=scale), each) for each in losses)

    def correlation(featurizer, classifier, domains):
        return mean(coral(None, a, b) for a, b in pairs([featurizer(x) for x, _ in domains]))

    many = {"style": "torch", "logits": "many"}
    yield "irm", "irm_penalty", check("irm", irm, **many)
    yield "coral", "coral_penalty", check("coral", correlation, style="torch")
