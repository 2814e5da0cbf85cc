import warnings

import numpy as np
import pytest

from minifishr.data import Domain, balanced, standardization, stream, unscaled


def domains(p=4, n=(5, 9)):
    rng = np.random.default_rng(0)
    return [Domain(str(k), rng.normal(3, 2, (k, p)), rng.integers(0, 2, k)) for k in n]


def test_all_rows_together_get_mean_0_and_deviation_1_and_constant_columns_go():
    pair = domains()
    for domain in pair:
        domain.x[:, 2] = 7.1
    scaling = standardization(pair)
    z = np.concatenate([scaling.applied(domain.x, np.float64) for domain in pair])
    assert scaling.kept.tolist() == [0, 1, 3] and scaling.width == 4
    np.testing.assert_allclose([z.mean(axis=0), z.std(axis=0)], [[0] * 3, [1] * 3], atol=1e-12)
    np.testing.assert_allclose(scaling.undone(z[:5]), pair[0].x[:, [0, 1, 3]])


def test_large_offset_costs_no_digits_though_training_is_in_float32():
    x = 1.6e9 + np.arange(6.0)[:, None]  # seconds since 1970: in float32 all the same
    z = standardization([Domain("a", x, None)]).applied(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z[:, 0], (np.arange(6) - 2.5) / np.arange(6).std(), rtol=1e-6)


def test_images_have_one_mean_and_deviation_a_channel_and_keep_all_pixels():
    (one,) = domains(p=8, n=(6,))
    one.x[:, :4] *= 10
    one.x[:, 0] = 1.0
    z = standardization([one], channels=2).applied(one.x, np.float64)
    assert z.shape == (6, 8)
    for part in (z[:, :4], z[:, 4:]):
        np.testing.assert_allclose([part.mean(), part.std()], [0, 1], atol=1e-12)


def test_channel_that_never_changes_is_only_centered():
    x = np.concatenate([np.full((3, 2), 5.0), np.arange(6.0).reshape(3, 2) / 9], axis=1)
    found = standardization([Domain("a", x, None)], channels=2)
    assert found.applied(x)[:, :2].tolist() == [[0, 0]] * 3 and found.scale[:2].tolist() == [1, 1] and found.width == 4
    assert found.scale[2:].tolist() == [(np.arange(6.0) / 9).std()] * 2  # below 1, and above 0


def test_means_of_float32_are_sums_of_float64():
    x = np.full((3_000, 2), 16_777_217 / 3, np.float32)  # two columns: NumPy adds rows one after the other
    x[::3] += 1
    assert standardization([Domain("a", x, None)]).center.tolist() == [x[:, 0].astype(np.float64).mean()] * 2


def test_what_cannot_be_standardized_is_told():
    for x, reason in (
        (np.ones((3, 2)), "every column is constant in the training domains, so there is nothing to learn"),
        (np.array([[1, 1.7e308], [2, -1.7e308]]), "column 'b' has numbers too large to standardize"),
        (np.full((9, 3), 1e308), "column 'a' has numbers too large to standardize"),
        (np.array([[1, 2], [np.nan, 3]]), "column 'a' has values that are missing or infinite"),
    ):
        with warnings.catch_warnings(), pytest.raises(ValueError) as caught:
            warnings.simplefilter("error")
            standardization([Domain("a", x, None)], names=["a", "b", "c"][: x.shape[1]])
        assert str(caught.value) == f"own data: {reason}"
    with pytest.raises(ValueError, match=r"^own data: column 1 has numbers too large"):
        standardization([Domain("a", np.array([[1, 1.7e308], [2, -1.7e308]]), None)])


def test_columns_of_any_scale_are_standardized_and_ordinary_ones_to_the_bit():
    (one,) = domains(p=5, n=(40,))
    plain = one.x.std(axis=0)
    scales = np.array([1, 2.0**-700, 1e-200, 1e160, 2.0**600])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaling = standardization([one._replace(x=one.x * scales)])
        z = scaling.applied(one.x * scales)
    np.testing.assert_allclose(z, (one.x - one.x.mean(axis=0)) / plain, rtol=1e-5)
    # the formula without units, where that has no trouble; powers of two change no digit
    deviation = np.sqrt(np.square(one.x - one.x.sum(axis=0) / 40).sum(axis=0) / 40)
    assert standardization([one]).scale.tobytes() == deviation.tobytes()
    assert (scaling.scale / scales)[[0, 1, 4]].tolist() == deviation[[0, 1, 4]].tolist()
    assert standardization([one], channels=1).scale[0] == np.sqrt(np.square(one.x - one.x.mean()).mean())
    tiny = one._replace(x=np.eye(99)[:, :2] * [5e-324, 1])  # the deviation of the first is below all numbers
    assert standardization([tiny]).kept.tolist() == [1]


def test_only_constant_columns_are_refused():
    with pytest.raises(ValueError, match="every column is constant"):
        standardization([Domain("a", np.ones((3, 2)), None)])


def test_unscaled_changes_no_bit():
    x = domains()[0].x.astype(np.float32)
    assert unscaled(4).applied(x).tobytes() == x.tobytes() and unscaled(4).applied(x).shape == x.shape
    assert unscaled(4).width == 4


def test_bytes_are_scaled_as_the_numbers_that_they_are():
    x = np.array([[200, 0], [250, 1], [0, 2]], np.uint8)
    scaling = standardization([Domain("a", x, None)])
    np.testing.assert_array_equal(scaling.applied(x), scaling.applied(x.astype(float)))
    np.testing.assert_allclose(scaling.applied(x, np.float64).std(axis=0), 1)


def test_balanced_classes_have_as_many_rows_and_no_row_is_lost():
    y = np.array([0] * 7 + [1] * 3 + [5])
    found = balanced(Domain("a", np.arange(11.0)[:, None], y), stream(0, "balanced"))
    assert np.unique(found.y, return_counts=True)[1].tolist() == [7, 7, 7]
    rows, counts = np.unique(found.x, return_counts=True)
    assert rows.tolist() == [*range(11)] and counts.tolist()[:7] == [1] * 7 and counts[10] == 7
    assert sorted(counts.tolist()[7:10]) == [2, 2, 3] and (found.y == y[found.x[:, 0].astype(int)]).all()
