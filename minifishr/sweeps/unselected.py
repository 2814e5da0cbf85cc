"""What a sweep of one draw gave at the last step, nothing selected: the table of `minifishr compare`."""

from statistics import fmean

from ..evaluate import last_step, measured
from ..experiments import FEW, by_method, markdown, spread
from .sections import single

HEADING = "the last step, nothing selected"


def last_blocks(part):
    """Heading and tables of a Section, one for each left-out domain; nothing where several draws were made."""
    if len(part.draws) > 1:
        return []
    runs = {name: [r for r in single(part.records) if r.config.test_domain == name] for name in part.domains}
    tables = [last_table(groups, part.methods) for groups in map(by_method, runs.values()) if any(groups.values())]
    words = "Accuracy in percent, mean +- standard deviation over the seeds of a method."
    return [f"### {part.title}, {HEADING}", *tables, words] if tables else []


def last_table(groups, methods):
    """Method, accuracy on each domain, number of seeds, as Markdown; groups are {method: runs that did not fail}."""
    parts = columns(next(run for group in groups.values() for run in group))
    rows = [
        [name, *(cell(groups[name], names) for names in parts.values()), len(groups[name])]
        for name in methods
        if name in groups
    ]
    return markdown(["method", *parts, "seeds"], rows)


def cell(runs, names):
    """The mean accuracy on some domains, over the runs that have measured them all."""
    found = [at_last(run) for run in runs]
    values = [100 * fmean(by[name] for name in names) for by in found if {*names} <= {*by}]
    return spread(values) if values or not runs else "-"


def at_last(run):
    """Domain -> accuracy at the last step."""
    return measured(run.history, "accuracy")[last_step(run.history)]


def columns(run):
    """Label -> names of domains: the training domains, many as their mean, and then what else was measured."""
    train = [*dict.fromkeys(row.domain for row in run.history if row.metric == "validation accuracy")]
    parts = {n: [n] for n in train} if len(train) <= FEW else {f"mean of {len(train)} training domains": train}
    others = [name for name in at_last(run) if name not in train]
    return parts | {f"{name} (test)" if name in run.config.left_out else name: [name] for name in others}
