import pytest

from minifishr.data.faults import shown
from minifishr.data.table import read_table

ROWS = "age,site,outcome\n1,a,0\n2,b,1\n"


def refusal(folder, text, name="t.csv"):
    """What is said of a table, without the path."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as caught:
        read_table(path, "outcome", "site")
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


def test_of_names_at_most_eight_are_shown_and_the_others_counted():
    assert shown(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7" and shown(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


def test_faults_are_found_between_tabs(tmp_path):
    said = refusal(tmp_path, (ROWS + "x,b,1\n").replace(",", "\t"), "t.tsv")
    assert said.startswith("not a number: age ('x' in line 4); code them")


def test_missing_label_is_no_class(tmp_path):
    assert refusal(tmp_path, ROWS + "3,b,\n").startswith("1 values are missing, in outcome; ")


def test_one_quoted_word_is_a_word_and_a_lone_quotation_mark_none(tmp_path):
    (tmp_path / "q.csv").write_text(ROWS + '3,"b",1\n')
    assert [len(domain.y) for domain in read_table(tmp_path / "q.csv", "outcome", "site").domains] == [1, 2]
    assert refusal(tmp_path, ROWS + '3,b"c,1\n') == "a quotation mark is not closed"


def test_damage_far_below_the_first_line_names_the_file(tmp_path):
    text = ROWS.encode() + b"1,a,0\n" * 20_000 + b"1,\xff,0\n"
    assert refusal(tmp_path, text).startswith("no UTF-8 text (byte ")


def test_first_line_with_letters_behind_a_quotation_mark_is_no_table(tmp_path):
    assert refusal(tmp_path, ROWS.replace("age", '"a"ge')).startswith("no table: ")


def test_a_name_may_have_a_line_break_between_quotation_marks(tmp_path):
    (tmp_path / "t.tsv").write_text('"age in\nyears"\tsite\toutcome\n1\ta\t0\n2\tb\t1\n')
    assert read_table(tmp_path / "t.tsv", "outcome", "site").columns == ["age in years"]
    (tmp_path / "u.tsv").write_text('site\t"age in\nyears"\toutcome\na\t1\t0\nb\t2\t1\n')
    found = read_table(tmp_path / "u.tsv", "outcome", "site")
    assert [domain.x.tolist() for domain in found.domains] == [[[1]], [[2]]]
