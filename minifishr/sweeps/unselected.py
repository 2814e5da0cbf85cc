"""What a sweep of one draw gave at the last step, nothing selected: the table of `minifishr compare`."""

from ..evaluate import last_step, measured
from ..experiments import FEW, accuracies, by_method, markdown, spread
from .sections import single

HEADING = "the last step, nothing selected"


def last_blocks(part):
    """Heading and tables of a Section, one for each left-out domain; nothing where several draws were made."""
    if len(part.draws) > 1:
        return []
    groups = [[r for r in single(part.records) if r.config.test_domain == name] for name in part.domains]
    tables = [last_table(by_method(group), part.methods) for group in groups if any(not r.failure for r in group)]
    words = "Accuracy in percent, mean +- standard deviation over the seeds of a method."
    return [f"### {part.title}, {HEADING}", *tables, words] if tables else []


def last_table(groups, methods):
    """Method, accuracy on each domain, number of seeds, as Markdown; groups are {method: runs that did not fail}."""
    parts = columns(next(run for group in groups.values() for run in group))
    rows = [
        [name, *(spread(accuracies(groups[name], names)) for names in parts.values()), len(groups[name])]
        for name in methods
        if name in groups
    ]
    return markdown(["method", *parts, "seeds"], rows)


def columns(run):
    """Label -> names of domains: the training domains, many as their mean, and then what else was measured."""
    last = last_step(run.history)
    train = [*measured(run.history, "validation accuracy")[last]]
    parts = {n: [n] for n in train} if len(train) <= FEW else {f"mean of {len(train)} training domains": train}
    others = [name for name in measured(run.history, "accuracy")[last] if name not in train]
    return parts | {f"{name} (test)" if name in run.config.left_out else name: [name] for name in others}
