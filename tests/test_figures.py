import numpy as np
import pytest
from matplotlib.image import imread
from test_report import STEPS, results, task

from minifishr import figures
from minifishr.figures import write_figures
from minifishr.report import by_method


@pytest.mark.parametrize("shape", [(), (2, 3, 3)])
def test_figures_are_pictures_with_something_on_them(shape, tmp_path):
    write_figures(tmp_path, results(), task(shape))
    names = {"accuracy.png", "objective.png", "variances.png"} | ({"images.png"} if shape else set())
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(imread(path)[..., :3].std() > 0.05 for path in tmp_path.iterdir())


def test_accuracy_figure_draws_each_domain_of_each_method_in_percent():
    figure = figures.accuracy_figure(by_method(results()), task(), "title")
    assert [ax.get_title() for ax in figure.axes] == ["erm", "fishr"]
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert list(lines) == ["+80%", "+90%", "-90%", "grey"]
    assert lines["grey"].get_xdata().tolist() == list(STEPS)
    np.testing.assert_allclose(lines["grey"].get_ydata(), [55, 56, 57])  # mean of two seeds
    assert [text.get_text() for text in figure.legends[0].texts] == ["+80%", "+90%", "-90% (test)", "grey"]


def test_objective_figure_draws_a_penalty_only_where_there_is_one():
    risk, penalty = figures.objective_figure(by_method(results()), "title").axes
    assert [line.get_label() for line in risk.lines] == ["erm", "fishr"]
    assert [line.get_label() for line in penalty.lines] == ["fishr"] and penalty.get_yscale() == "log"


def test_without_penalties_there_is_no_empty_panel():
    groups = by_method(results())
    (risk,) = figures.objective_figure({"erm": groups["erm"]}, "title").axes
    assert [line.get_label() for line in risk.lines] == ["erm"]


def test_windows_are_averaged_and_an_unfinished_one_is_left_out():
    steps, values = figures.averaged([0, 1, 2, 3, 4], [[1, 3, 5, 7, 100], [0, 2, 0, 2, 100]], 2)
    assert steps.tolist() == [0.5, 2.5] and values.tolist() == [[2, 6], [1, 1]]
    steps, values = figures.averaged([0, 1], [[1.0, 3.0]], 100)
    assert steps.tolist() == [0.5] and values.tolist() == [[2]]


def test_variance_panels_share_one_scale_and_show_every_positive_parameter():
    groups = by_method(results())
    figure = figures.variance_figure(groups, task(), "title")
    assert [ax.get_title() for ax in figure.axes] == ["before training", "erm, after", "fishr, after"]
    assert len({ax.get_xlim() for ax in figure.axes} | {ax.get_ylim() for ax in figure.axes}) == 1
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), groups["fishr"][0].variances[1, 1])


def test_nothing_is_drawn_where_every_run_failed(tmp_path):
    write_figures(tmp_path, results(failed=range(4)), task())
    assert list(tmp_path.iterdir()) == []
