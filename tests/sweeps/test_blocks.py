"""The tables of a report as the texts that they are, from numbers made by hand."""

import pytest

from minifishr.sweeps.comparison import above_block, one_sided_block, order_block
from minifishr.sweeps.selection import CONSTANT, Choice
from minifishr.sweeps.tables import Line, comma_separated, latex, lines, ranks, rows, text

# erm: a 50 and 60, b 70 and 80; irm: a 55 alone; vrex: 2 points above erm and 2 below; coral: nothing
FOUND = {("erm", "a", 0): 0.5, ("erm", "a", 1): 0.6, ("erm", "b", 0): 0.7, ("erm", "b", 1): 0.8, ("irm", "a", 0): 0.55}
FOUND |= {("vrex", "a", 0): 0.52, ("vrex", "a", 1): 0.62, ("vrex", "b", 0): 0.68, ("vrex", "b", 1): 0.82}
METHODS = ["coral", "erm", "irm", "vrex"]
TABLE = lines(FOUND, METHODS, ["a", "b"], {"erm": 51.5})


def test_rows_have_averages_of_whole_seeds_ranks_and_what_was_published():
    header, body = rows(TABLE, 2)
    assert header == ["method", "a", "b", "average", "rank", "published average"]
    assert body == [
        ["coral", "-", "-", "-", "-", "-"],
        ["erm", "55.0 +- 5.0", "75.0 +- 5.0", "65.0 +- 5.0", "2", "51.5"],
        ["irm", "55.0 (1/2)", "-", "-", "-", "-"],
        ["vrex", "57.0 +- 5.0", "75.0 +- 7.0", "66.0 +- 6.0", "1", "-"],
    ]
    assert rows(lines(FOUND, METHODS, ["a"]), 2)[0] == ["method", "a", "average", "rank"]
    assert text(TABLE[1].average, 3) == "65.0 +- 5.0 (2/3)"


def test_one_method_with_more_seeds_than_the_others_is_not_the_first():
    found = {("erm", "a", 0): 0.5, ("erm", "a", 1): 0.6, ("irm", "a", 0): 0.7}
    assert [line.rank for line in lines(found, ["erm", "irm"], ["a"])] == [None, None]
    assert [line.rank for line in lines(found, ["erm"], ["a"])] == [1]
    assert [line.rank for line in lines(found | {("irm", "a", 1): 0.7}, ["erm", "irm"], ["a"])] == [2, 1]


def test_ranks_are_told_apart_from_a_billionth_on():
    assert ranks({"a": 1.0, "b": 1.0 + 2e-9, "c": 1.0 + 2e-10}) == {"a": 2, "b": 1, "c": 2}


def test_comma_separated_table_is_this_text():
    assert comma_separated(TABLE[1:3], "own", "oracle").split("\n") == [
        "dataset,rule,method,left_out,accuracy,standard_error,seeds,rank,published",
        "own,oracle,erm,a,55.0000,5.0000,2,,",
        "own,oracle,erm,b,75.0000,5.0000,2,,",
        "own,oracle,erm,average,65.0000,5.0000,2,2,51.5",
        "own,oracle,irm,a,55.0000,,1,,",
        "own,oracle,irm,b,,,0,,",
        "own,oracle,irm,average,,,0,,",
        "",
    ]


def test_domain_that_is_called_average_has_no_rank():
    table = lines({("erm", name, 0): 0.5 for name in ("average", "b")}, ["erm"], ["average", "b"], {"erm": 51.5})
    assert comma_separated(table, "own", "oracle").splitlines()[1:] == [
        "own,oracle,erm,average,50.0000,,1,,",
        "own,oracle,erm,b,50.0000,,1,,",
        "own,oracle,erm,average,50.0000,,1,1,51.5",
    ]


def test_latex_table_is_this_text():
    found = latex(
        ["method", "+90%"], [["and_mask", "1.0 +- 0.5"], ["erm", "50.0"]], r"50 % {x} #1 $ & ~ ^ \ of _", "own-oracle"
    )
    assert [" ".join(line.split()) for line in found.splitlines()] == [
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"method & +90\% \\",
        r"\midrule",
        r"and\_mask & 1.0 $\pm$ 0.5 \\",
        r"erm & 50.0 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{50 \% \{x\} \#1 \$ \& \textasciitilde{} \textasciicircum{} \textbackslash{} of \_}",
        r"\label{tab:own-oracle}",
        r"\end{table}",
    ]


def test_numbers_in_latex_keep_their_decimals():
    assert "& 50.0 \\\\" in latex(["method", "a"], [["erm", "50.0"], ["irm", "7.5"]], "", "")


def cells(markdown):
    """Header and rows of a Markdown table."""
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()]
    return [table[0], *table[2:]]


def test_order_is_by_rank_with_differences_to_erm_and_who_is_tied():
    assert cells(order_block(FOUND, TABLE)) == [
        ["method", "minus ERM, points", "p", "pairs", "tied with"],
        ["vrex", "+1.0 +- 1.0", "0.62", "4", "erm, irm"],  # 10 of 16 signs have a sum of at least 4 of (2, 2, 2, -2)
        ["erm", "-", "-", "-", "vrex, irm"],
        ["coral", "-", "-", "-", "-"],
        ["irm", "+5.0", "1", "1", "vrex, erm"],
    ]


def test_methods_without_a_rank_come_last():
    table = [Line("coral", {}, None, None, None), Line("erm", {}, None, 1, None)]
    assert [row[0] for row in cells(order_block({}, table))[1:]] == ["erm", "coral"]


def choice(share, accuracy=0.5):
    return Choice(0, 20, 0.5, accuracy, share)


def test_shares_of_the_most_frequent_prediction_are_means_and_constant_runs_are_counted():
    found = {("erm", "a", 0): choice(0.6), ("erm", "a", 1): choice(1.0), ("erm", "b", 0): choice(CONSTANT)}
    found |= {("irm", "a", 0): choice(None), ("irm", "b", 0): choice(0.75), ("irm", "b", 1): choice(None)}
    assert cells(one_sided_block(found, ["erm", "irm"], ["a", "b"])) == [
        ["method", "a", "b"], ["erm", "80.0 (1 constant)", "99.0"], ["irm", "-", "75.0"],
    ]  # fmt: skip
    assert one_sided_block({("erm", "a", 0): choice(None)}, ["erm"], ["a"]) is None


def test_draws_that_beat_erm_are_shares_of_those_that_have_one_beside_them():
    last = {("irm", "a", 0): [0.2, 0.5, 0.6], ("irm", "a", 1): [0.9], ("irm", "b", 0): [0.9], ("erm", "a", 0): [0.5]}
    best = {("a", 0): 0.5, ("a", 1): 0.8}
    assert cells(above_block(last, best, ["erm", "irm"], ["a", "b"])) == [
        ["method", "a", "b"], ["erm", "0", "-"], ["irm", "50", "-"],
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "said"), [(None, False), (CONSTANT, False), (CONSTANT + 1e-9, True), (1.0, True)])
def test_run_is_constant_above_ninety_nine_in_a_hundred(share, said):
    assert choice(share).constant is said
