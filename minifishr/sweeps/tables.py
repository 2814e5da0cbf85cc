"""The tables of a sweep: mean and standard error over seeds, averages, ranks; as Markdown, LaTeX and CSV."""

import csv
import io
from statistics import fmean
from typing import NamedTuple

from tabulate import tabulate

from ..experiments import Cell, aligned, cell

# Averages over all domains in percent, by data set and rule, that the authors of Fishr report (Ramé, Dancette and Cord
# 2022, arXiv:2109.02934).
PUBLISHED = {
    ("colored", "training-domain validation"): {"erm": 51.5, "fishr": 52.0},
    ("rotated", "training-domain validation"): {"erm": 98.0, "fishr": 97.8},
    ("colored", "oracle"): {
        "erm": 57.8, "irm": 67.7, "vrex": 67.0, "fish": 61.8, "fishr": 68.8, "coral": 58.6, "dann": 57.0,
    },
    ("rotated", "oracle"): {
        "erm": 97.8, "irm": 97.5, "vrex": 97.9, "fish": 97.9, "fishr": 97.8, "coral": 98.0, "dann": 97.9,
    },
}  # fmt: skip
COLUMNS = ("dataset", "rule", "method", "left_out", "accuracy", "standard_error", "seeds", "rank", "published")
AVERAGE = "average"
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}


class Line(NamedTuple):
    """A method, its Cell for each left-out domain, the Cell of their average, its rank, the published average."""

    method: str
    cells: dict
    average: Cell | None
    rank: int | None
    published: float | None


def lines(found, methods, domains, published=(), unfinished=()):
    """The Lines of a table, from {(method, left-out domain, seed): accuracy in [0, 1]}.

    An average is over all domains, and then over the seeds that have them all; an unfinished method has none, and one
    over fewer seeds than another has no rank, nor has one that is left alone.
    """
    seeds = sorted({seed for _, _, seed in found})
    cells = {m: {d: cell([found[m, d, s] for s in seeds if (m, d, s) in found]) for d in domains} for m in methods}
    counted = of_all(found, domains)
    whole = {m: [s for s in seeds if (m, s) in counted and m not in unfinished] for m in methods}
    averages = {m: cell([fmean(found[m, d, s] for d in domains) for s in whole[m]]) for m in methods}
    most = max(map(len, whole.values()))
    ranked = {m: average.mean for m, average in averages.items() if average and average.seeds == most}
    place = ranks(ranked) if len(ranked) > 1 or len(methods) == 1 else {}  # nobody is the first of one
    published = dict(published)
    return [Line(m, cells[m], averages[m], place.get(m), published.get(m)) for m in methods]


def of_all(found, domains):
    """The (method, seed) that have all domains, from {(method, left-out domain, seed): accuracy}."""
    return {(m, s) for m, _, s in found if all((m, d, s) in found for d in domains)}


def ranks(means):
    """Method -> 1 + the number of methods with a higher mean."""
    means = {name: round(mean, 9) for name, mean in means.items()}  # equal but for the order of the sum
    return {name: 1 + sum(other > mean for other in means.values()) for name, mean in means.items()}


def text(found, seeds):
    """'mean +- standard error' of a Cell, and '(counted/all)' where not all seeds count."""
    if found is None:
        return "-"
    error = "" if found.error is None else f" +- {found.error:.1f}"
    return f"{found.mean:.1f}{error}" + (f" ({found.seeds}/{seeds})" if found.seeds < seeds else "")


def rows(table, seeds):
    """Header and rows of text of a table, a column for what was published where there is anything."""
    with_published = any(line.published is not None for line in table)
    header = ["method", *table[0].cells, AVERAGE, "rank", *(["published average"] * with_published)]
    body = []
    for line in table:
        shown = [text(found, seeds) for found in (*line.cells.values(), line.average)]
        published = "-" if line.published is None else f"{line.published:.1f}"
        body.append([line.method, *shown, str(line.rank or "-"), *([published] * with_published)])
    return header, body


def latex(header, body, caption, label):
    """A LaTeX table with its caption, for the package booktabs."""
    inner = tabulate(body, header, tablefmt="latex_booktabs", colalign=aligned(header), disable_numparse=True)
    caption = "".join(SPECIAL.get(character, character) for character in caption)
    whole = f"\\begin{{table}}\n\\centering\n{inner}\n\\caption{{{caption}}}\n\\label{{tab:{label}}}\n\\end{{table}}\n"
    return whole.replace(" +- ", r" $\pm$ ")


def comma_separated(table, dataset, rule):
    """COLUMNS with a row for each method and left-out domain, and one for its average; empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in table:
        whole = AVERAGE, line.average, [number(line.rank), number(line.published)]
        cells = [(name, found, ["", ""]) for name, found in line.cells.items()]  # a domain may be called average too
        for name, found, last in (*cells, whole):
            numbers = ["", "", 0] if found is None else [f"{found.mean:.4f}", number(found.error, ".4f"), found.seeds]
            writer.writerow([dataset, rule, line.method, name, *numbers, *last])
    return out.getvalue()


def number(value, form=""):
    """A number as text, nothing for None."""
    return "" if value is None else format(value, form)
