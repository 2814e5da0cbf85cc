"""What a sweep of one draw gave at the last step, nothing selected: the table of `minifishr compare`."""

from statistics import fmean

from ..evaluate import last_step, measured
from ..experiments import by_method, labels, markdown, spread
from .sections import single
from .selection import training_names

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
    found = {name: [at_last(run) for run in groups[name]] for name in methods if name in groups}
    rows = [[name, *(cell(last, names) for names in parts.values()), len(last)] for name, last in found.items()]
    return markdown(["method", *parts, "seeds"], rows)


def cell(found, names):
    """The mean accuracy on some domains, over the runs {domain: accuracy} that have them all."""
    values = [100 * fmean(by[name] for name in names) for by in found if {*names} <= {*by}]
    return spread(values) if values or not found else "-"


def at_last(run):
    """Domain -> accuracy at the last step."""
    return measured(run.history, "accuracy")[last_step(run.history)]


def columns(run):
    """Label -> names of domains: those of the training, the one left out, and what else was measured."""
    train, out = training_names(run), run.config.test_domain
    return labels(train, [out, *(name for name in at_last(run) if name not in (*train, out))])
