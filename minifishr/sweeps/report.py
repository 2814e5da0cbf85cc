"""The report of a sweep: records in, Markdown, LaTeX and CSV out, always the same from the same records."""

from collections import Counter

from ..data import shown
from ..experiments import TOYS, invariance_table, markdown, matching
from .comparison import ABOVE, ONE_SIDED, ORDER, TRAINED, above_block, one_sided_block, order_block, training_block
from .sections import mean_of, progress, short, single
from .selection import EARLY, RULES, choices, searches
from .tables import PUBLISHED, comma_separated, latex, lines, of_all, rows
from .unselected import at_last, last_blocks

HALF = (
    "An average of about 50 % is normal here: with +90% or +80% left out the colors of the two training domains "
    "contradict each other and the shape gives at most 75 %, but with -90% left out the color is right in training and "
    "wrong in 90 % of the test rows, so that who trusts it gets 10 %, and (75 + 75 + 10) / 3 is 53."
)


def unavailable(part, rule, found):
    """Why a rule gives nothing for a data set; None where it does."""
    if rule == "leave-one-domain-out" and (part.dataset in TOYS or len(part.names) < 4):
        few = f"it has {len(part.names)} domains, and with two left out fewer than 2 remain to train on"
        return "its test domain is fixed" if part.dataset in TOYS else few
    if found:
        return None
    if rule == "leave-one-domain-out":
        return "it needs the runs that `minifishr sweep --leave-two-out` adds, all pairs of domains"
    if not single(part.records):
        return "no run leaves out one domain alone"
    return "no run that ended well has the held-out rows that it looks at"


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
    if few := [f"{method} {domain} ({number})" for (method, domain), number in short(part).items()]:
        text += f" Searches with fewer than {len(part.draws)} draws so far, which allow no average: {shown(few)}."
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
    return {rule: table_of(part, rule) for rule in RULES}


def table_of(part, rule, **limits):
    """The table of one rule, or why there is none; with the limits of `choices` on what may be chosen."""
    found = {key: choice.accuracy for key, choice in chosen(part, rule, **limits).items()}
    if reason := unavailable(part, rule, found):
        return f"Not available for this data set: {reason}."
    comparable = part.records[0].config.convention == "domainbed" and part.whole
    published = PUBLISHED.get((part.dataset, rule), {}) if comparable else {}
    return lines(found, part.methods, part.domains, published, {method for method, _ in short(part)})


def chosen(part, rule, **limits):
    """(method, left-out domain, seed) -> Choice of a rule."""
    return {key[1:]: choice for key, choice in choices(part.records, rule, **limits).items()}


def table_text(part, table):
    """A table that stands below another, as text."""
    return "Nothing is left." if isinstance(table, str) else markdown(*rows(table, len(part.seeds)))


def judgement(part, rule, table, least=None):
    """What stands below a table: how one-sided the chosen runs are, the table without constant ones, how sure the order
    is, and the same of runs that have some accuracy in training."""
    found, blocks = chosen(part, rule), []
    if sides := one_sided_block(found, part.methods, part.domains):
        blocks += ["How one-sided the chosen runs are:", sides]
    if any(choice.constant for choice in found.values()):
        blocks += [
            "The same where constant predictors cannot be chosen:",
            table_text(part, table_of(part, rule, constant=False)),
        ]
    if rule == "oracle":
        blocks += ["What the chosen runs have in training:", training_block(found, part.methods, part.domains)]
        words = "The same where the oracle also chooses the step, the untrained network apart:"
        block = training_block(chosen(part, EARLY), part.methods, part.domains)
        blocks += [words, table_text(part, table_of(part, EARLY)), "What those have in training at that step:", block]
    if len(part.methods) > 1:
        blocks += ["How sure the order is:", order_of(part, found, table)]
    blocks += beats_of(part, found) if rule == "oracle" else []
    return blocks + (able(part, rule, least) if least is not None else [])


def able(part, rule, least):
    """The table of the runs that have some accuracy in training, and how sure its order is."""
    table = table_of(part, rule, least=least)
    words = f"The same where no run below {100 * least:g} % in training can be chosen:"
    blocks = [words, table_text(part, table)]
    if len(part.methods) > 1 and not isinstance(table, str):
        blocks += ["How sure that order is:", order_of(part, chosen(part, rule, least=least), table)]
    return blocks


def order_of(part, found, table):
    """How sure the order of a table is, from the Choices of searches that lack no draws: of others nothing is known."""
    few = short(part)
    known = {key: choice.accuracy for key, choice in found.items() if key[:2] not in few}
    counted = of_all(known, part.domains)
    return order_block({(m, d, s): a for (m, d, s), a in known.items() if (m, s) in counted}, table)


def beats_of(part, found):
    """How many draws beat the ERM that was chosen, where it was and there are several."""
    few = short(part)
    best = {key[1:]: choice.accuracy for key, choice in found.items() if key[0] == "erm" and key[:2] not in few}
    if not best or len(part.draws) < 2:
        return []
    whole = {key[1:]: draws for key, draws in searches(part.records).items() if key[1:3] not in few}
    last = {key: [last_accuracy(run) for run, _ in draws.values()] for key, draws in whole.items()}
    return ["Draws that beat ERM:", above_block(last, best, part.methods, part.domains)]


def last_accuracy(run):
    """The accuracy on the left-out domain at the last step."""
    return at_last(run)[run.config.test_domain]


def measured_runs(part):
    """The runs of a Section that measured what they made equal, and which these are, in words: those that the oracle
    chooses, or draw 0 where there is no oracle; of the left-out domains that all methods have that measured any, so
    that rows compare."""
    found, best = searches(part.records), choices(part.records, "oracle")
    draws = {key: best[key].draw if best else 0 for key in (best or found)}
    runs = [found[key][draw][0] for key, draw in draws.items() if draw in found[key]]
    runs = [run for run in runs if run.config.invariances]
    seeds = Counter((run.config.algorithm, run.config.test_domain) for run in runs)
    left = [{domain for method, domain in seeds if method == name} for name in part.methods]
    shared = set.intersection(*filter(None, left)) if runs else set()
    runs = [run for run in runs if run.config.test_domain in shared]
    words = "the runs that the oracle chooses" if best else "draw 0"
    words += f", with {' or '.join(n for n in part.domains if n in shared)} left out"
    if runs:
        words += f", {mean_of([number for (_, domain), number in seeds.items() if domain in shared])}"
    if without := [name for name, names in zip(part.methods, left, strict=True) if not names]:
        words += f"; nothing was measured of {shown(without)}"
    return sorted(runs, key=lambda run: part.methods.index(run.config.algorithm)), words


def report(parts, pictures=(), least=None):
    """File name -> text: report.md, and each table as LaTeX and CSV. `pictures` are {data set: {file: title}}; with
    `least` also what each rule gives where no run below that accuracy in training can be chosen, in [0, 1]."""
    files, base = {}, parts[0].records[0].config
    found = {part.dataset: tables(part) for part in parts}
    net = f"MLP with hidden layers of {' and '.join(map(str, base.hidden))} units" if base.hidden else "linear model"
    blocks = ["# Report of a sweep", f"Preset {base.preset}, {net}, {base.steps} steps."]
    for part in parts:
        blocks += [f"## {part.title}", progress(part)]
        blocks += [HALF] if part.dataset == "colored" and base.convention == "domainbed" and part.whole else []
        blocks += last_blocks(part)
        for rule, table in found[part.dataset].items():
            blocks.append(f"### {part.title}, {rule}")
            if isinstance(table, str):
                blocks.append(table)
                continue
            cells, words = rows(table, len(part.seeds)), caption(part, rule, table)
            name = f"{part.dataset}-{rule.replace(' ', '-')}"
            files |= {f"{name}.tex": latex(*cells, words, name)}
            files |= {f"{name}.csv": comma_separated(table, part.dataset, rule)}
            blocks += [markdown(*cells), words, *judgement(part, rule, table, least)]
        runs, which = measured_runs(part)
        blocks += [f"### {part.title}, what each method has made equal", invariance_table(runs, which)] if runs else []
        blocks += [f"![{title}]({file})" for file, title in dict(pictures).get(part.dataset, {}).items()]
    blocks += [
        "## Ranks",
        rank_table(parts, found),
        "1 is the highest average, - none; equal averages have equal ranks.",
        "## How to read it",
        *(ONE_SIDED, TRAINED, ORDER, ABOVE),
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
