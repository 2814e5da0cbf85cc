"""The report of a sweep: records in, Markdown, LaTeX and CSV out, always the same from the same records."""

from typing import NamedTuple

from ..algorithms import ALGORITHMS
from ..experiments import DATASETS, TOYS, check_known, invariance_table, matching
from .selection import RULES, choices, searches
from .tables import PUBLISHED, comma_separated, latex, lines, markdown, rows

HALF = (
    "An average of about 50 % is normal here: with +90% or +80% left out the colors of the two training domains "
    "contradict each other and the shape gives at most 75 %, but with -90% left out the color is right in training and "
    "wrong in 90 % of the test rows, so that who trusts it gets 10 %, and (75 + 75 + 10) / 3 is 53."
)


class Section(NamedTuple):
    """What is recorded of a data set: its name and title, methods, left-out domains, all domains, draws, seeds."""

    dataset: str
    title: str
    records: list
    methods: list
    domains: list
    names: set
    draws: list
    seeds: list


def sections(records):
    """A Section for each data set, all in a fixed order; ValueError for records of no sweep."""
    for record in records:
        if record.config.draw is None:
            raise ValueError(f"record {record.identity} has no draw, so it is no run of a sweep")
        check_known("dataset", record.config.dataset, DATASETS)
    known = {name: [r for r in records if r.config.dataset == name] for name in DATASETS}
    return [section(name, part) for name, part in known.items() if part]


def section(dataset, records):
    """The Section of a data set."""

    def values(key):
        return sorted({getattr(record.config, key) for record in records})

    methods, single = values("algorithm"), [r for r in records if len(r.config.left_out) == 1]
    methods = [name for name in ALGORITHMS if name in methods] + [name for name in methods if name not in ALGORITHMS]
    order = in_order(records)
    domains = [name for name in order if name in {record.config.test_domain for record in single}]
    title = title_of(dataset, records[0].config.data)
    return Section(dataset, title, records, methods, domains, order, values("draw"), values("seed"))


def title_of(dataset, data):
    """What a data set is called, with the digits that it was made of."""
    digits = str(data).rpartition(" ")[0]
    titles = {"linear": "Linear toy", "cdsprites": "Colored sprites", "own": "Own data"}
    return titles.get(dataset, f"{dataset.capitalize()} {digits}")


def in_order(records):
    """The names of all domains in the order of the data set: that of the training domains in the runs.

    A name comes after all those that stand before it somewhere.
    """
    orders = [list(dict.fromkeys(w.domain for w in r.history if w.metric == "validation accuracy")) for r in records]
    before = {name: set() for record in records for name in record.config.left_out}
    for order in orders:
        for place, name in enumerate(order):
            before.setdefault(name, set()).update(order[:place])
    return sorted(before, key=lambda name: (len(before[name]), name))


def unavailable(part, rule, found):
    """Why a rule gives nothing for a data set; None where it does."""
    if rule == "leave-one-domain-out" and (part.dataset in TOYS or len(part.names) < 4):
        few = f"it has {len(part.names)} domains, and with two left out fewer than 2 remain to train on"
        return "its test domain is fixed" if part.dataset in TOYS else few
    if found:
        return None
    if rule == "leave-one-domain-out":
        return "it needs the runs that `minifishr sweep --leave-two-out` adds, all pairs of domains"
    return "no run that ended well has the held-out rows that it looks at"


def progress(part):
    """How many runs are done, failed and missing, of those that methods, domains, draws and seeds make up."""
    left = {tuple(record.config.left_out) for record in part.records}
    whole = len(left) * len(part.methods) * len(part.draws) * len(part.seeds)
    failed = [record.config.algorithm for record in part.records if record.failure]
    which = ", ".join(f"{name} {failed.count(name)}" for name in part.methods if name in failed)
    done, missing = len(part.records) - len(failed), whole - len(part.records)
    sizes = {"method": part.methods, "choice": left, "draw": part.draws, "seed": part.seeds}
    factors = [f"{len(values)} {name}{'s' * (len(values) > 1)}" for name, values in sizes.items()]
    factors[1] += " of what is left out"
    counts = f"{done} done, {len(failed)} failed{f' ({which})' * bool(failed)}, {missing} missing"
    return f"{whole} runs ({' x '.join(factors)}): {counts}."


def caption(part, rule, table):
    """What a table shows: data, rule, spread, which seeds count, and what the published numbers are."""
    held = any(row.metric == "oracle accuracy" for record in part.records for row in record.history)
    several = len(part.seeds) > 1
    text = f"{part.title}: test accuracy in percent on the domain left out"
    text += ", on the rows that the oracle does not see" * held
    text += f"; mean +- standard error over {len(part.seeds)} seeds" if several else "; one seed, no standard error"
    text += f". Selection rule: {rule}, {RULES[rule].words}."
    text += "".join(f" {words}." for words in matching([record.config for record in part.records]))
    cells = [found for line in table for found in (*line.cells.values(), line.average)]
    if any(found is None or found.seeds < len(part.seeds) for found in cells):
        text += f" (k/{len(part.seeds)}): only k seeds count, - none; an average needs a seed with all domains."
    if any(line.published is not None for line in table):
        text += (
            " Published averages, by the authors of Fishr (arXiv:2109.02934): DomainBed's full protocol on MNIST with"
        )
        text += " a small convolutional net, not an MLP as here."
    return text


def tables(part):
    """Rule -> table, or the sentence that says why there is none."""
    result = {}
    for rule in RULES:
        found = {key[1:]: choice.accuracy for key, choice in choices(part.records, rule).items()}
        if reason := unavailable(part, rule, found):
            result[rule] = f"Not available for this data set: {reason}."
        else:
            whole = {*part.domains} == {*part.names}  # an average over some domains is no match for one over all
            comparable = part.records[0].config.convention == "domainbed" and whole
            published = PUBLISHED.get((part.dataset, rule), {}) if comparable else {}
            result[rule] = lines(found, part.methods, part.domains, published)
    return result


def measured_runs(part):
    """The runs of a Section that measured what they made equal, and which these are, in words: those that the oracle
    chooses, or draw 0 where there is no oracle; of the left-out domains that all methods have, so that rows compare."""
    found, best = searches(part.records), choices(part.records, "oracle")
    draws = {key: best[key].draw if best else 0 for key in (best or found)}
    runs = [found[key][draw][0] for key, draw in draws.items() if draw in found[key]]
    runs = [run for run in runs if run.config.invariances]
    left = {m: {r.config.test_domain for r in runs if r.config.algorithm == m} for m in part.methods}
    shared = set.intersection(*left.values())
    chosen = "the runs that the oracle chooses" if best else "draw 0"
    words = f"mean over seeds of {chosen}, with {' or '.join(n for n in part.domains if n in shared)} left out"
    runs = [run for run in runs if run.config.test_domain in shared]
    return sorted(runs, key=lambda run: part.methods.index(run.config.algorithm)), words


def report(parts, pictures=()):
    """File name -> text: report.md, and each table as LaTeX and CSV. `pictures` are {data set: {file: title}}."""
    files, base = {}, parts[0].records[0].config
    found = {part.dataset: tables(part) for part in parts}
    net = f"MLP with hidden layers of {' and '.join(map(str, base.hidden))} units" if base.hidden else "linear model"
    blocks = ["# Report of a sweep", f"Preset {base.preset}, {net}, {base.steps} steps."]
    for part in parts:
        blocks += [f"## {part.title}", progress(part)]
        blocks += [HALF] if part.dataset == "colored" and base.convention == "domainbed" else []
        for rule, table in found[part.dataset].items():
            blocks.append(f"### {part.title}, {rule}")
            if isinstance(table, str):
                blocks.append(table)
                continue
            shown, words = rows(table, len(part.seeds)), caption(part, rule, table)
            name = f"{part.dataset}-{rule.replace(' ', '-')}"
            files |= {f"{name}.tex": latex(*shown, words, name)}
            files |= {f"{name}.csv": comma_separated(table, part.dataset, rule)}
            blocks += [markdown(*shown), words]
        runs, which = measured_runs(part)
        blocks += [f"### {part.title}, what each method has made equal", invariance_table(runs, which)] if runs else []
        blocks += [f"![{title}]({file})" for file, title in dict(pictures).get(part.dataset, {}).items()]
    blocks += [
        "## Ranks",
        rank_table(parts, found),
        "1 is the highest average, - none; equal averages have equal ranks.",
    ]
    return {"report.md": "\n\n".join(blocks) + "\n", **files}


def rank_table(parts, found):
    """The rank of each method for each data set and rule, as Markdown."""
    methods, body = dict.fromkeys(name for part in parts for name in part.methods), []
    for part in parts:
        for rule, table in found[part.dataset].items():
            ranks = {} if isinstance(table, str) else {line.method: line.rank for line in table}
            body.append([f"{part.title}, {rule}", *(str(ranks.get(name) or "-") for name in methods)])
    return markdown(["rank by average", *methods], body)
