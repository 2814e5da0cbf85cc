import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from minifishr import plots
from minifishr.plots.styles import RED


def axis():
    return Figure().subplots()


def test_domains_are_told_apart_by_color_and_by_line_style():
    styles = plots.domain_styles(["a", "b", "c", "d", "e"], ["test", "grey"])
    assert len({style["color"] for style in styles.values()}) == 7
    assert styles["test"] == {"color": RED, "linestyle": "-"}


def test_methods_keep_their_style_whatever_is_beside_them():
    assert plots.method_style("fishr", 0) == plots.method_style("fishr", 4)
    assert plots.method_style("mine", 0) != plots.method_style("mine", 1)
    drawn = plots.best_curves(axis(), {name: [1.0, 2.0] for name in ("fishr", "mine", "erm", "yours")}).lines
    alone = plots.best_curves(axis(), {"erm": [1.0], "fishr": [1.0]}).lines
    markers = [line.get_marker() for line in drawn]
    assert [markers[2], markers[0]] == [line.get_marker() for line in alone] and markers[1] != markers[3]


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


def test_opacity_is_not_drawn():
    x = np.random.default_rng(0).random((2, 4 * 9))
    three, four = (plots.image_row(axis(), x[:, : 9 * c], (c, 3, 3)).images[0].get_array() for c in (3, 4))
    assert (three == four).all()


def test_three_channels_are_red_green_and_blue():
    shown = plots.image_row(axis(), np.array([[0.1, 0.2, 0.3]]), (3, 1, 1)).images[0].get_array()
    np.testing.assert_allclose(shown, [[[0.1, 0.2, 0.3]]])


def test_lines_have_labels_of_their_own_and_a_legend_only_where_there_are_several():
    ax = plots.lines(axis(), [0, 1], {"a": [1, 2], "b": [3, 4]}, xlabel="n", ylabel="time")
    assert [line.get_label() for line in ax.lines] == ["a", "b"] and ax.get_legend() and ax.get_xlabel() == "n"
    assert ax.lines[0].get_color() != ax.lines[1].get_color() and ax.lines[0].get_marker() != ax.lines[1].get_marker()
    assert plots.lines(axis(), [0, 1], {"a": [1, 2]}).get_legend() is None


def test_intervals_are_means_with_two_standard_errors():
    ax = plots.intervals(axis(), [1, 2], {"a": [[1.0, 3.0], [2.0, 6.0]], "b": [[0.0, 0.0], [5.0, 5.0]]}, xlabel="n")
    (mean, _, (bar,)), _ = ax.containers
    assert mean.get_ydata().tolist() == [2, 4] and ax.get_legend() and ax.get_xlabel() == "n"
    assert np.allclose([s[:, 1] for s in bar.get_segments()], [[0, 4], [0, 8]])  # 2 sqrt(2) / sqrt(2) = 2


def test_bars_are_as_high_as_their_numbers_and_none_covers_another():
    ax = plots.bars(axis(), {"erm": {"train": 3.0, "test": 1.0}, "fishr": {"train": 2.0, "test": 4.0}})
    assert sorted(bar.get_height() for bar in ax.patches) == [1, 2, 3, 4]
    sides = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(sides))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["erm", "fishr"]


def test_scatter_and_path_show_every_point():
    ax = plots.scatter(axis(), {"a": [[0, 1], [2, 3]], "b": [[4, 5]]})
    assert [len(line.get_xdata()) for line in ax.lines[:2]] == [2, 1]
    walk = plots.path(axis(), [[0, 0], [1, 2], [3, 4]])
    assert walk.lines[0].get_ydata().tolist() == [0, 2, 4]
    assert [line.get_xdata()[0] for line in walk.lines[1:]] == [0, 3]


def test_scatter_takes_the_color_of_a_style_and_never_its_line():
    ax = plots.scatter(axis(), {"erm": [[0, 1]], "other": [[2, 3]]}, styles={"erm": plots.method_style("erm")})
    colors, lines = zip(*((line.get_color(), line.get_linestyle()) for line in ax.get_lines()), strict=True)
    assert colors[0] == plots.method_style("erm")["color"] != colors[1] and set(lines) == {"None"}


def test_contours_and_matrix_say_their_numbers():
    ax = plots.contours(axis(), [0, 1, 2], [0, 1], [[0, 1, 2], [1, 2, 3]], xlabel="w", levels=[0, 1, 2, 3])
    assert ax.get_xlim() == (0, 2) and ax.get_ylim() == (0, 1) and ax.get_xlabel() == "w"
    ax = plots.matrix(axis(), [[1.0, -2.0]], "H")
    assert [t.get_text() for t in ax.texts] == ["1", "-2"] and ax.get_title() == "H"
    assert ax.images[0].norm.vmin == -2 and ax.images[0].norm.vmax == 2 and not plots.matrix(axis(), np.eye(9)).texts


def luminance(color):
    """Of a color #RRGGBB, as the Web Content Accessibility Guidelines define it."""
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_line_has_a_contrast_of_three_to_one_on_white():
    colors = {color for color, _ in [*plots.METHODS.values(), *plots.TRAINING, *plots.TEST, *plots.POINTS]}
    assert {color: 1.05 / (luminance(color) + 0.05) >= 3 for color in colors} == dict.fromkeys(colors, True)


def test_confusion_counts_in_whole_numbers_and_refuses_what_is_no_label():
    y = np.arange(20, dtype=np.uint8)  # 20 times 19 is no uint8
    image = plots.confusion(Figure().subplots(), y, y, range(20)).images[0].get_array()
    assert (image == 100 * np.eye(20)).all()
    for wrong in ([0, 1, -1], [0, 1, 2], [0, 1]):
        with pytest.raises(ValueError, match=r"as many predictions as labels, both in 0\.\.1"):
            plots.confusion(Figure().subplots(), [0, 1, 1], wrong, "ab")


def test_nothing_but_zeros_truth_values_and_nothing_at_all_are_drawn():
    ax = Figure().subplots()
    plots.few_ticks(ax, [0, 0])
    plots.metric_curves(ax, {"erm": [0, 1]}, {"erm": np.array([[0, 1e-320]])}, "risk")
    plots.matrix(ax, [[True, False]])
    assert not plots.bars(Figure().subplots(), {}).containers
