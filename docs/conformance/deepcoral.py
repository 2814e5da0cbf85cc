"""SSARCandy/DeepCORAL: its CORAL loss, averaged over pairs of domains."""

from common import defined, mean, pairs

from minifishr.conformance import check

MARK = "data_loader.py"
NAME = "SSARCandy/DeepCORAL"


def checks(checkout):
    """(method, what, Result)."""
    given = defined(checkout / "models.py", "CORAL").CORAL

    def coral(featurizer, classifier, domains):
        return mean(given(a, b) for a, b in pairs([featurizer(x) for x, _ in domains]))

    yield "coral", "CORAL of models.py", check("coral", coral, style="torch")
