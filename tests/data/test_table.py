import csv
import gzip
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from minifishr.data.table import is_table, names_of, ordered, read_columns, read_table

GOOD = "age,weight,site,outcome\n1,2.5,north,yes\n3,-4e1,south,no\n 5 , 6 ,north ,no\n"


def written(folder, text, name="mine.csv"):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def read(folder, text, name="mine.csv", **options):
    return read_table(written(folder, text, name), **{"label": "outcome", "domain": "site", **options})


def test_tables_are_known_by_their_names_and_whole_numbers_have_their_order():
    assert [is_table(name) for name in ("a.csv", "a.tsv.gz", "a.npz")] == [True, True, False]
    order, codes = ordered(["10", "9", "-1"], np.array([0, 1, 2, 0]))
    assert order == [-1, 9, 10] and codes.tolist() == [2, 1, 0, 2]
    assert ordered(["b", "10", "9"], np.arange(3))[0] == ["10", "9", "b"]


def test_labels_with_leading_zeros_or_plus_signs_stay_as_they_are_written():
    for names in (["01", "007", "7"], ["+1", "-1", "0"], ["-01", "2", "3"]):
        found, places = ordered(names, np.arange(3))
        assert sorted(found) == sorted(names) and [found[place] for place in places] == names
    found, places = ordered(["1.0", "0", "-2", "1", "0.0", "10."], np.arange(6))
    assert found == [-2, 0, 1, 10] and places.tolist() == [2, 1, 0, 2, 1, 3]
    assert ordered(["01", "007", "-1", "0"], np.arange(4))[0] == ["-1", "0", "01", "007"]
    assert ordered(["\u0661", "\u0662"], np.arange(2))[0] == ["\u0661", "\u0662"]


def test_names_written_in_two_ways_are_one(tmp_path):
    accent, both = "Orle\u0301ans", "Orl\u00e9ans"  # two characters, one character, the same letter
    text = f"age,a\u00f1o\u00a0uno,ville,outcome\n1,2,{accent},0\n3,4,{both},1\n5,6,New\u00a0York,1\n7,8,New  York,0\n"
    own = read(tmp_path, text, domain="ville", drop=["an\u0303o uno"])
    assert {d.name: d.x.tolist() for d in own.domains} == {"New York": [[5], [7]], both: [[1], [3]]}
    years = read(tmp_path, "age,site,outcome\n1,2019,0\n2,2019.0,1\n3,2020.0,1\n")
    assert {d.name: d.x.tolist() for d in years.domains} == {"2019": [[1], [2]], "2020": [[3]]}
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # with a zero-width non-joiner, as it is written
    assert [d.name for d in read(tmp_path, f"age,site,outcome\n1,{persian},0\n").domains] == [persian]


def test_trained_model_is_no_reason_to_drop_a_column(tmp_path):
    for text, told in (("a,b\n1,\n", "the model needs all its columns"), ("a,b\n1,w\n", "the model needs numbers")):
        with pytest.raises(ValueError, match=told) as caught:
            read_columns(written(tmp_path, text), ["a", "b"], ["a", "b"])
        assert "--drop" not in str(caught.value)


def test_empty_line_is_a_missing_value_where_there_is_one_column(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.csv: line 3 is empty: in the only column a value is missing$"):
        read_columns(written(tmp_path, "a\n1\n\n2\n"), ["a"], ["a"])
    assert read_columns(written(tmp_path, "a\n1\n2\n\n"), ["a"], ["a"])[0].tolist() == [[1], [2]]


def test_many_different_words_are_not_searched_one_by_one():
    compared = []

    class Word(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(other)
            return str(self) == str(other)

    words = [Word(f"word {number}") for number in range(300)]
    assert ordered(words, np.arange(300))[0] == sorted(map(str, words))
    del compared[:]
    ordered(words, np.arange(300))
    assert len(compared) < 3_000


def test_columns_become_x_in_order_and_words_become_labels_and_domains(tmp_path):
    own = read(tmp_path, GOOD)
    north, south = own.domains
    assert own.columns == ["age", "weight"] and own.labels == ["no", "yes"]
    assert (north.name, north.x.tolist(), north.y.tolist()) == ("north", [[1, 2.5], [5, 6]], [1, 0])
    assert (south.name, south.x.tolist(), south.y.tolist()) == ("south", [[3, -40]], [0])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GOOD.replace(",", "\t"), "mine.tsv"),
        (GOOD, "mine.csv.gz"),
        ("\ufeff" + GOOD, "mine.csv"),
        (GOOD.replace("\n", "\r\n"), "MINE.CSV"),
        (GOOD.replace("\n", "\n\n"), "mine.csv"),
        (GOOD.replace(",north", ',"north"').replace("age", '"age"').replace("2.5", '"2.5"'), "mine.csv"),
    ],
)
def test_other_spellings_are_the_same_table(text, name, tmp_path):
    ours, plain = read(tmp_path, text, name), read(tmp_path, GOOD)
    assert str(ours) == str(plain)


def test_numbers_as_labels_and_domains_are_in_their_order_and_the_standard_library_reads_the_same(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[f"{v:.17g}" for v in rng.normal(size=3)] + [f"{2000 + rng.integers(8, 12)}", f"{rng.integers(3)}.0"]
            for _ in range(200)]  # fmt: skip
    text = "\n".join([",".join("abcde"), *map(",".join, rows)])
    own = read_table(written(tmp_path, text), "e", "d")
    assert [d.name for d in own.domains] == ["2008", "2009", "2010", "2011"] and own.labels == [0, 1, 2]
    for domain in own.domains:
        mine = [row for row in csv.reader(text.splitlines()) if row[3] == domain.name]
        assert domain.x.tolist() == [[float(v) for v in row[:3]] for row in mine]
        assert domain.y.tolist() == [int(float(row[4])) for row in mine]


def test_dropped_columns_may_hold_anything_also_quoted_lines(tmp_path):
    text = 'age,note,site,outcome\n1,"a ""b"", c\nd",north,1\n2,,south,0\n'
    own = read(tmp_path, text, drop=["note"])
    assert own.columns == ["age"] and [d.x.tolist() for d in own.domains] == [[[1]], [[2]]]


BAD = {
    "nothing": ("", "the file is empty"),
    "no rows": ("age,site,outcome\n", "no rows below the first line"),
    "semicolons": ("age;site;outcome\n1;a;0\n", r"one column only; they seem to be separated by ';', expected"),
    "one column": ("outcome\n1\n", "one column only; it is 'outcome'"),
    "decimal commas": (
        'age,site,outcome\n"2,5",a,0\n',
        r"age \('2,5' in line 2\); decimals are separated",
    ),
    "words": ("age,sex,site,outcome\n1,male,a,0\n", r"not a number: sex \('male' in line 2\); code them .*one-hot"),
    "word among numbers": ("age,site,outcome\n1,a,0\n<5,a,0\n", r"age \('<5' in line 3\)"),
    "short row": ("age,site,outcome\n1,a,0\n1,a\n", "line 3 has 2 values, the first line 3"),
    "long row": ("age,site,outcome\n1,a,0,7\n", "line 2 has 4 values, the first line 3"),
    "twice": ("age,age,site,outcome\n1,1,a,0\n", "columns with the same name: age"),
    "no name": ("age,,site,outcome\n1,1,a,0\n", "no name in the first line for column 2"),
    "infinite": ("age,site,outcome\n1,a,0\ninf,a,0\n", r"not finite: age \('inf' in line 3\)"),
    "line in a name": ('age,site,outcome\n1,"a\nb",0\n', r"'a\\nb' in column 'site' is no name that fits on one line"),
    "open quote": ('age,note,site,outcome\n1,"x,a,0\n1,x,a,0\n', "unexpected end of data"),
    "open quote at the end": ('age,site,outcome\n1,a,0\n1,a,"0\n', "unexpected end of data"),
    "underscore": ("age,site,outcome\n1_0,a,0\n", r"not a number: age \('1_0' in line 2\); "),
    "other digits": ("age,site,outcome\n1,a,0\n\u0663,a,0\n", r"not a number: age \('\u0663' in line 3\); "),
    "no text": (b"age,site,outcome\n1,\xff,0\n", r"no UTF-8 text \(byte \d+: 0xff\)"),
    "no label": ("age,site,result\n1,a,0\n", "no column 'outcome' for --label; the nearest are"),
}


@pytest.mark.parametrize("case", BAD)
def test_unfit_table_is_refused_in_one_sentence(case, tmp_path):
    text, message = BAD[case]
    with pytest.raises(ValueError, match=f"mine.csv: .*{message}") as error:
        read(tmp_path, text, drop=["note"] if "note" in str(text) else [])
    assert "\n" not in str(error.value) and len(str(error.value)) < 260 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": None}, "--label NAME is needed, one of age, weight, site, outcome"),
        ({"domain": "Site"}, "no column 'Site' for --domain; the nearest are site"),
        ({"drop": ["id"]}, "no column 'id' for --drop; the nearest are"),
        ({"label": "site"}, "--label site, --domain site .*must be different"),
        ({"drop": ["age", "outcome"]}, "--drop age outcome must be different"),
    ],
)
def test_columns_that_are_not_there_are_refused_with_the_nearest(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, GOOD, **options)


def test_table_without_a_column_to_learn_from_says_so(tmp_path):
    told = "mine.csv: no column is left to learn from: age, weight, site, outcome are label, domain or dropped$"
    with pytest.raises(ValueError, match=told):
        read(tmp_path, GOOD, drop=["age", "weight"])


def test_missing_values_are_counted_by_column_and_domain(tmp_path):
    text = "age,weight,site,outcome\n,NA,a,0\n1,nan,b,1\n1, n/a ,b,1\n1,2,,0\n1,2,a,\n"
    with pytest.raises(ValueError, match=r"mine.csv: 6 values are missing, in age, weight, site and 1 more") as error:
        read(tmp_path, text)
    table = [line.split() for line in error.value.__notes__]
    assert table == [
        ["missing", "values", "(none)", "a", "b", "all"],
        ["age", "0", "1", "0", "1"],
        ["weight", "0", "1", "2", "3"],
        ["site", "1", "0", "0", "1"],
        ["outcome", "0", "1", "0", "1"],
    ]


def test_missing_values_are_a_table_that_lines_up(tmp_path):
    long = "a very long name of a column"
    with pytest.raises(ValueError) as error:
        read(tmp_path, f"{long},site,outcome\n,{'s' * 30},0\n,t,0\n")
    assert error.value.__notes__ == [
        "missing values            " + "s" * 24 + "  t  all",
        "a very long name of a co  " + "1".rjust(24) + "  1    2",
    ]
    with pytest.raises(ValueError) as error:
        read_columns(written(tmp_path, "a,b\n1,\n"), ["a", "b"], ["a", "b"])
    assert error.value.__notes__ == ["missing values  (none)  all", "b                    1    1"]


MANY = ",".join(f"c{i:02}" for i in range(22))
ONE = "one column only; they seem to be separated by {}, expected values separated by a comma (.csv) or a tab (.tsv) "
TOLD = {
    "tabs": ("a\tb\n", "t.csv", ONE.format(r"'\t'") + "and decimals by a point"),
    "bars": ("a|b\n", "t.csv", ONE.format("'|'") + "and decimals by a point"),
    "commas": ("a,b\n", "t.tsv", ONE.format("','") + "and decimals by a point"),
    "long": ("a" * 99, "t.csv", "one column only; it is '" + "a" * 73 + ", expected values separated by a comma (.csv) "
             "or a tab (.tsv) and decimals by a point"),
    "odd": ("a,b\x07" + "c" * 60 + ",d\n", "t.csv", repr("b\x07" + "c" * 38) + " is no name of a column"),
    "words": (f"{MANY},site,outcome\n" + "w," * 22 + "s,0\n", "t.csv", "not a number: c00 ('w' in line 2), c01 ('w' in "
              "line 2), c02 ('w' in line 2) and 19 more; code them as numbers (one-hot), leave them out (--drop), or "
              "use minifishr.estimator in a pipeline"),
    "long word": ("a,site,outcome\n" + "w" * 30 + ",s,0\n", "t.csv", f"not a number: a ('{'w' * 20}' in line 2); code "
                  "them as numbers (one-hot), leave them out (--drop), or use minifishr.estimator in a pipeline"),
    "infinite": (f"{MANY},site,outcome\n" + "1e999,inf,-inf,inf," + "1," * 18 + "s,0\n", "t.csv", "not finite: c00 "
                 "('1e999' in line 2), c01 ('inf' in line 2), c02 ('-inf' in line 2) and 1 more"),
    "open quote": ('a,site,outcome\n1,"s,0\n1,"t,1\n', "t.csv", None),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_sentence_about_a_table_is_this_one(case, tmp_path):
    text, name, told = TOLD[case]
    with pytest.raises(ValueError) as caught:
        read(tmp_path, text, name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    if told:
        assert str(caught.value) == f"{tmp_path / name}: {told}"


def test_missing_values_of_many_columns_are_told_of_twenty(tmp_path):
    with pytest.raises(ValueError) as error:
        read(tmp_path, f"{MANY},site,outcome\n" + "," * 22 + "s,0\n")
    assert len(error.value.__notes__) == 21 and "22 values are missing, in c00, c01, c02 and 19 more" in str(
        error.value
    )


@pytest.mark.parametrize("kept", [0, 9, 30])
def test_damaged_gzip_file_is_a_sentence(kept, tmp_path):
    data = gzip.compress(GOOD.encode())
    (tmp_path / "mine.csv.gz").write_bytes(data[:-9] if kept == 9 else data[:kept] or b"no gzip")
    with pytest.raises(ValueError, match=r"mine\.csv\.gz: damaged gzip file"):
        read_table(tmp_path / "mine.csv.gz", "outcome", "site")


def test_columns_are_found_by_name_whatever_stands_between(tmp_path):
    path = written(tmp_path, GOOD)
    (x,) = read_columns(path, names_of(path), ["weight", "age"])
    assert x.tolist() == [[2.5, 1], [-40, 3], [6, 5]]


SCRIPT = """
import resource, sys
from minifishr.data import read_table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
own = read_table(sys.argv[1], "outcome", "site")
assert sum(len(domain.y) for domain in own.domains) == 60_000
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 60_000 / 22)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kilobytes on Linux")
def test_reading_takes_at_most_30_bytes_a_value(tmp_path):
    row = ",".join(f"{v:.6g}" for v in np.random.default_rng(0).normal(size=20))
    names = ",".join(f"c{number}" for number in range(20))
    text = f"{names},site,outcome\n" + "".join(f"{row},s{number % 5},{number % 2}\n" for number in range(60_000))
    command = [sys.executable, "-c", SCRIPT, str(written(tmp_path, text))]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert re.fullmatch(r"\d+\.\d+\n", found.stdout) and float(found.stdout) < 30
