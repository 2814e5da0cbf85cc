import io
import pickle

import numpy as np
import pytest

from minifishr.data import Domain
from minifishr.data.own import load_npz, own_npz, recoded

X, Y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 1, 0])


def saved(tmp_path, **arrays):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    return path


def test_pairs_become_domains_with_flat_rows(tmp_path):
    path = saved(tmp_path, x_a=X, y_a=Y, x_b=X + 1, y_b=Y.astype(bool))
    a, b = load_npz(path, np.float32)
    assert (a.name, b.name) == ("a", "b")
    assert a.x.dtype == np.float32 and a.x.tolist() == X.tolist() and b.x.tolist() == (X + 1).tolist()
    assert a.y.tolist() == b.y.tolist() == Y.tolist() and b.y.dtype == int


def test_images_keep_their_shape_channels_come_first_and_bytes_become_shares(tmp_path):
    color = np.arange(2 * 3 * 4 * 2, dtype=np.uint8).reshape(2, 3, 4, 2) + 200
    own = own_npz(saved(tmp_path, x_a=color, y_a=Y[:2]))
    assert own.shape == (2, 3, 4) and own.pixels and own.domains[0].x.dtype == np.float64
    for i, channel, row, column in np.ndindex(2, 2, 3, 4):
        assert own.domains[0].x[i, 12 * channel + 4 * row + column] == color[i, row, column, channel] / 255
    grey = own_npz(saved(tmp_path, x_a=np.ones((4, 5, 2), np.float32), y_a=Y))
    assert grey.shape == (1, 5, 2) and not grey.pixels and grey.domains[0].x.dtype == np.float32
    for plain in (X, np.ones((4, 3, 3, 5)), np.ones((4, 2, 2, 2, 2))):  # a table, 5 channels, one axis too many
        assert own_npz(saved(tmp_path, x_a=plain, y_a=Y)).shape == ()
    assert own_npz(saved(tmp_path, x_a=X.astype(int), y_a=Y.astype(np.uint64))).domains[0].x.dtype == np.float64


@pytest.mark.parametrize("other", [(3, 2), (2, 3, 1), (6,), (1, 2, 3)])
def test_rows_of_as_many_numbers_in_another_shape_are_no_pixels_of_the_same_images(tmp_path, other):
    with pytest.raises(ValueError) as caught:
        load_npz(saved(tmp_path, x_a=np.ones((4, 2, 3)), y_a=Y, x_b=np.ones((4, *other)), y_b=Y))
    assert str(caught.value).endswith(
        f"the rows of all domains must have the same shape, got {{'a': (2, 3), 'b': {other}}}"
    )


def test_labels_may_be_missing_or_anything_where_none_are_asked_for(tmp_path):
    path = saved(tmp_path, x_a=X, x_b=X + 1, y_b=["who", "knows"])
    a, b = own_npz(path, labelled=False).domains
    assert a.y.tolist() == [0] * 4 and a.y.dtype == int and b.y.tolist() == [0] * 4 and a.x.tolist() == X.tolist()


def test_what_is_no_pair_or_no_npz_is_told(tmp_path):
    for count, shown in ((5, "['x0', 'x1', 'x2', 'x3', 'x4']"), (6, "['x0', 'x1', 'x2', 'x3', 'x4'] ...")):
        path = saved(tmp_path, **{f"x{i}": X for i in range(count)})
        with pytest.raises(ValueError) as caught:
            load_npz(path)
        assert str(caught.value) == f"{path}: arrays must come in pairs x_NAME, y_NAME; without a partner: {shown}"
    path.write_bytes(bytes(range(40)))
    with pytest.raises(ValueError) as caught:
        load_npz(path)
    begins = bytes(range(16))
    assert str(caught.value) == f"{path}: no .npz file as numpy.savez writes it, it begins with {begins!r}"
    path.write_bytes(b"PK\3\4" + bytes(40))
    with pytest.raises(ValueError) as caught:
        load_npz(path)
    start = f"{path}: no .npz file of plain arrays as numpy.savez writes it (no array): "
    assert str(caught.value) == f"{start}File is not a zip file"
    with pytest.raises(ValueError) as caught:
        load_npz(saved(tmp_path))
    reason = "arrays must come in pairs x_NAME, y_NAME; without a partner: no arrays"
    assert str(caught.value) == f"{path}: {reason}"


def test_the_largest_label_that_an_int_holds_is_one(tmp_path):
    y = np.array([0, 2**63 - 1, 0, 0], np.uint64)
    assert load_npz(saved(tmp_path, x_a=X, y_a=y))[0].y.tolist() == [0, 2**63 - 1, 0, 0]


BAD = {
    "missing partner": ({"x_a": X, "y_a": Y, "x_b": X}, r"without a partner: \['x_b', 'y_b'\]|without a partner: "),
    "stray array": ({"x_a": X, "y_a": Y, "weights": X}, r"without a partner: \['weights'\]"),
    "no arrays": ({}, "no arrays"),
    "object array": ({"x_a": X, "y_a": np.array([0, None, 1, "a"], object)}, r"\(y_a\): it holds Python objects$"),
    "text": ({"x_a": np.array([["a", "b"]]), "y_a": Y[:1]}, "x_a must be numbers"),
    "complex": ({"x_a": X + 1j, "y_a": Y}, "x_a must be numbers"),
    "one column": ({"x_a": X[:, 0], "y_a": Y}, r"x_a must be numbers \(n, ...\), got float64 \(4,\)"),
    "no rows": ({"x_a": X[:0], "y_a": Y[:0]}, "x_a must be numbers"),
    "float labels": ({"x_a": X, "y_a": Y / 2}, "y_a must be integers"),
    "labels in two columns": ({"x_a": X, "y_a": Y[:, None]}, "y_a must be integers"),
    "unequal lengths": ({"x_a": X, "y_a": Y[:3]}, "x_a has 4 rows but y_a has 3"),
    "unequal widths": ({"x_a": X, "y_a": Y, "x_b": X[:, :2], "y_b": Y}, r"same shape, got {'a': \(3,\), 'b': \(2,\)}"),
    "bytes and numbers": (
        {"x_a": X, "y_a": Y, "x_b": X.astype(np.uint8), "y_b": Y},
        r"either all x_NAME are bytes \(uint8\), which are divided by 255, or none$",
    ),
    "no name": ({"x_": X, "y_": Y}, "the array 'x_' lacks the name of a domain, as in x_NAME$"),
    "NaN": ({"x_a": np.where(X == 5, np.nan, X), "y_a": Y}, "x_a has NaN"),
    "too large for float32": ({"x_a": X * 1e300, "y_a": Y}, r"x_a has NaN or infinite values \(as float32\)"),
    "labels beyond int64": (
        {"x_a": X, "y_a": np.full(4, 2**64 - 1, np.uint64)},
        "y_a has the label 1844674407370955",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_unfit_arrays_are_refused_with_file_and_array(case, tmp_path):
    arrays, message = BAD[case]
    with pytest.raises(ValueError, match=f"mine.npz: .*{message}") as error:
        load_npz(saved(tmp_path, **arrays), np.float32)
    assert "\n" not in str(error.value)


def npy_bytes():
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


GARBAGE = {
    "text": b"hello",
    "csv": b"age,site\n51,a\n",
    "nothing": b"",
    "zip magic": b"PK\x03\x04rest",
    "npy": npy_bytes(),
    "pickle": pickle.dumps(X),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_file_that_is_no_npz_is_refused(case, tmp_path):
    (tmp_path / "mine.npz").write_bytes(GARBAGE[case])
    with pytest.raises(ValueError, match=r"mine\.npz: no \.npz file( of plain arrays)? as numpy.savez writes it"):
        load_npz(tmp_path / "mine.npz")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        load_npz(tmp_path / "nowhere.npz")


def test_long_names_and_damage_make_no_long_sentence(tmp_path):
    path = saved(tmp_path, x_a=X, y_a=Y, **{f"z_{number}": Y for number in range(400)})
    with pytest.raises(ValueError, match="without a partner") as error:
        load_npz(path)
    assert len(str(error.value)) < 300 + len(str(path))


def test_labels_are_recoded_in_their_order_over_all_domains():
    domains = [Domain("a", X, np.array([7, -1, 7, 7])), Domain("b", X[:3], np.array([3, 7, 3]))]
    (a, b), labels = recoded(domains)
    assert labels == [-1, 3, 7] and a.y.tolist() == [2, 0, 2, 2] and b.y.tolist() == [1, 2, 1]
    assert a.x is X and recoded([a, b])[1] == [0, 1, 2]


def test_one_class_is_nothing_to_tell_apart():
    with pytest.raises(ValueError, match="own data: at least 2 classes are needed, but all 4 rows have the same label"):
        recoded([Domain("a", X, np.full(4, 7))])


def test_numbers_are_no_classes():
    with pytest.raises(ValueError, match="own data: 4 different labels in 4 rows are no classes"):
        recoded([Domain("a", X, np.arange(4))])
    with pytest.raises(ValueError, match="own data: 3 different labels in 4 rows are no classes"):
        recoded([Domain("a", X, np.array([5, 5, 7, 9]))])


def test_two_rows_a_label_are_classes_and_two_labels_always_are():
    three = [Domain(name, X[:2], np.array(labels)) for name, labels in (("a", [4, 2]), ("b", [2, 9]), ("c", [9, 4]))]
    found, labels = recoded(three)
    assert labels == [2, 4, 9] and [domain.y.tolist() for domain in found] == [[1, 0], [0, 2], [2, 1]]
    assert recoded([Domain("a", X[:3], np.array([1, 0, 1]))])[1] == [0, 1]
