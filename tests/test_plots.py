import numpy as np
from matplotlib.figure import Figure

from minifishr import plots


def axis():
    return Figure().subplots()


def test_domains_are_told_apart_by_color_and_by_line_style():
    styles = plots.domain_styles(["a", "b", "c", "d", "e"], ["test", "grey"])
    assert len({style["color"] for style in styles.values()}) == 7
    assert styles["test"] == {"color": plots.RED, "linestyle": "-"}


def test_methods_keep_their_style_whatever_is_beside_them():
    assert plots.method_style("fishr", 0) == plots.method_style("fishr", 4)
    assert plots.method_style("mine", 0) != plots.method_style("mine", 1)


def test_band_is_the_mean_of_the_seeds_and_their_range():
    ax = plots.band(axis(), [0, 1], [[1.0, 2.0], [3.0, 6.0]], color="red")
    assert ax.lines[0].get_ydata().tolist() == [2, 4]
    corners = ax.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == 1 and corners[:, 1].max() == 6


def test_one_seed_has_no_band():
    assert not plots.band(axis(), [0, 1], [[1.0, 2.0]], color="red").collections


def test_scale_follows_the_values():
    steps = {"a": [0, 1]}
    for values, scale in [
        ([1.0, 2.0], "linear"),
        ([1e-4, 2.0], "log"),
        ([-1e-4, 2.0], "symlog"),
        ([0.0, 0.0], "linear"),
    ]:
        assert plots.metric_curves(axis(), steps, {"a": [values]}, "value").get_yscale() == scale


def test_variances_that_are_zero_are_not_drawn():
    ax = plots.variance_scatter(axis(), np.array([0.1, 0, 0.2]), np.array([0.1, 0.3, 0.2]), ("a", "b"), (1e-3, 1))
    assert ax.lines[0].get_xdata().tolist() == [0.1, 0.2] and ax.get_xlim() == ax.get_ylim() == (1e-3, 1)


def test_two_channels_are_two_colors_that_add_up_to_grey():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]])
    shown = plots.image_row(axis(), x, (2, 1, 1)).images[0].get_array()
    np.testing.assert_allclose(shown[0], [[1, 0.5, 0], [0, 0.5, 1], [0.6, 0.6, 0.6]])


def test_one_channel_is_grey():
    shown = plots.image_row(axis(), np.array([[0.25, 0.5]]), (1, 1, 2)).images[0].get_array()
    np.testing.assert_allclose(shown, [[[0.25] * 3, [0.5] * 3]])


def test_three_channels_are_red_green_and_blue():
    shown = plots.image_row(axis(), np.array([[0.1, 0.2, 0.3]]), (3, 1, 1)).images[0].get_array()
    np.testing.assert_allclose(shown, [[[0.1, 0.2, 0.3]]])
