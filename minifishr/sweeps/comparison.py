"""How sure an order of methods is, how one-sided the chosen runs are, and how many draws help: blocks of a report.

What a difference of two methods is, and its p-value, stands in `experiments`: pairs of left-out domain and seed.
"""

from statistics import fmean

from ..experiments import EXACT, difference, markdown, plus_minus
from .selection import CONSTANT
from .tables import number


def order_block(found, table):
    """The methods of a table by rank: their averages' differences to ERM and whom the 95 % interval does not tell
    them apart from."""
    body, names = [], [line.method for line in sorted(table, key=lambda line: line.rank or len(table) + 1)]
    for name in names:
        apart = {other: difference(found, name, other) for other in names if other != name}
        ties = [other for other, one in apart.items() if one and one.tied]
        erm = apart.get("erm")
        cells = ["-", "-", "-"] if erm is None else [plus_minus(erm), f"{erm.p:.2g}", str(erm.pairs)]
        body.append([name, *cells, ", ".join(ties) or ("none" if any(apart.values()) else "-")])
    return markdown(["method", "minus ERM, points", "p", "pairs", "tied with"], body)


def one_sided_block(choices, methods, domains):
    """The share of the most frequent prediction of the chosen runs in percent, mean over seeds, and how many of them
    are constant; None where no share was recorded. `choices` are {(method, left-out domain, seed): Choice}."""
    shares = [choice.share for choice in choices.values() if choice.share is not None]
    return chosen_block(choices, methods, domains, one_sided) if shares else None


def training_block(choices, methods, domains):
    """The accuracy of the chosen runs on held-out rows of their training domains in percent, mean over seeds."""
    return chosen_block(choices, methods, domains, trained)


def chosen_block(choices, methods, domains, cell):
    """A table with a cell for the Choices of each method and left-out domain."""
    of = {(m, d): [c for (a, b, _), c in choices.items() if (a, b) == (m, d)] for m in methods for d in domains}
    return markdown(["method", *domains], [[m, *(cell(of[m, d]) for d in domains)] for m in methods])


def one_sided(choices):
    """A cell of the first of these tables."""
    constant = sum(choice.constant for choice in choices)
    return percent(choice.share for choice in choices) + f" ({constant} constant)" * bool(constant)


def trained(choices):
    """A cell of the second."""
    return percent(choice.trained for choice in choices)


def percent(values):
    """The mean of those that are not None in percent, as text."""
    known = [value for value in values if value is not None]
    return number(100 * fmean(known), ".1f") if known else "-"


def above_block(last, best, methods, domains):
    """The share of all draws and seeds whose last step beats the ERM that a rule chose, in percent.

    `last` is {(method, left-out domain, seed): accuracies of the draws}, `best` {(left-out domain, seed): accuracy}.
    """
    body = []
    for method in methods:
        beats = [
            [v > best[d, s] for (m, d, s), vs in last.items() if (m, d) == (method, n) and (d, s) in best for v in vs]
            for n in domains
        ]
        body.append([method, *(number(100 * fmean(b), ".0f") if b else "-" for b in beats)])
    return markdown(["method", *domains], body)


ONE_SIDED = (
    "One-sided: the share of the most frequent prediction on the left-out domain, in percent, mean over seeds. A run "
    f"is called constant above {100 * CONSTANT:.0f}: it has the accuracy of the most frequent label, whatever it saw."
)
TRAINED = (
    "In training: the accuracy of the same runs on held-out rows of their training domains, in percent, mean over "
    "seeds. A run that is at chance there has unlearned what it was trained on; what it has on the left-out domain is "
    "no invariance, though an oracle may like it."
)
ORDER = (
    "The order: differences are paired over left-out domains and seeds, of the seeds that have all domains, as the "
    "averages; +- is their standard error; p is the share of all choices of their signs with a mean as far from 0 (of "
    f"more than {EXACT} pairs by the normal distribution). Tied: the 95 % interval of Student's t has 0 inside, or "
    "there is one pair. Pairs share rows and draws, so p and interval are rather too small."
)
ABOVE = (
    "Draws that beat ERM: the share of all draws and seeds whose accuracy at the last step is above that of the ERM "
    "that the oracle chooses, in percent."
)
