"""jindongwang/transferlearning: its CORAL losses, file by file, averaged over pairs of domains."""

from common import defined, mean, pairs

from minifishr.conformance import check

MARK = "code/DeepDA/loss_funcs/coral.py"
NAME = "jindongwang/transferlearning"
FILES = {
    "code/DeepDA/loss_funcs/coral.py": "CORAL",
    "code/distance/coral_pytorch.py": "CORAL_loss",
    "code/deep/adarnn/base/loss/coral.py": "CORAL",
    "code/DeepDG/alg/algs/CORAL.py": "coral",
}


def penalty(path, name):
    """One of them, as a penalty of several domains; a method is called without its object."""
    given = getattr(defined(path, name), name)
    own = (None,) if given.__code__.co_varnames[0] == "self" else ()

    def coral(featurizer, classifier, domains):
        return mean(given(*own, a, b) for a, b in pairs([featurizer(x) for x, _ in domains]))

    return coral


def checks(checkout):
    """(method, what, Result) of each."""
    for file, name in FILES.items():
        yield "coral", f"{file}", check("coral", penalty(checkout / file, name), style="torch")
