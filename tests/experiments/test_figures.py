import numpy as np
import pytest
from experiments.test_results import STEPS, results, task
from matplotlib.image import imread

from minifishr.data import Row, cdsprites
from minifishr.experiments import Result, figures, plan
from minifishr.experiments.drawing import write_figures
from minifishr.experiments.measures import AGREEMENT
from minifishr.experiments.problems import network
from minifishr.experiments.tables import by_method, by_size
from minifishr.losses import risk


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
    assert list(lines) == ["+80%", "+90%", "-90% (test)", "grey"]
    assert lines["grey"].get_xdata().tolist() == list(STEPS)
    np.testing.assert_allclose(lines["grey"].get_ydata(), [55, 56, 57])  # mean of two seeds
    assert [text.get_text() for text in figure.legends[0].texts] == ["+80%", "+90%", "-90% (test)", "grey"]


def sprites(counts):
    """Results of ERM and Fish on colored sprites: test accuracy (50 + domains + 10 seed + step / 10) percent."""
    configs = plan(dataset="cdsprites", algorithms=["erm", "fish"], domains=counts, seeds=(0, 1))
    return [sprite_result(config, 0.5 + config.domains / 100 + config.seed / 10) for config in configs]


def sprite_result(config, accuracy):
    names = ["test", *(f"domain {e + 1}" for e in range(config.domains))]
    rows = [Row(t, n, "accuracy", accuracy + t / 1000 + e / 100) for t in STEPS for e, n in enumerate(names)]
    rows += [Row(t, "", AGREEMENT, accuracy - t) for t in STEPS]
    rows += [Row(t, "", "risk", 1 / (1 + t)) for t in range(20)]
    return Result(config, np.zeros(1), rows, np.ones((2, config.domains, 4)), 1.0, None)


def test_domains_figure_draws_the_last_test_accuracy_of_each_method_against_their_number():
    sizes = {n: figures.finished(part) for n, part in by_size(sprites([2, 9])).items()}
    (ax,) = figures.domains_figure(sizes, cdsprites(2, count=4, size=8), "title").axes
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["erm", "fish"] and [*lines["fish"].get_xdata()] == [2, 9]
    np.testing.assert_allclose(lines["fish"].get_ydata(), [59, 66])  # mean of two seeds at the last step


def test_method_without_runs_for_one_number_has_no_point_there():
    some = [r for r in sprites([2, 9]) if r.config.algorithm == "erm" or r.config.domains == 2]
    sizes = {n: figures.finished(part) for n, part in by_size(some).items()}
    (ax,) = figures.domains_figure(sizes, cdsprites(2, count=4, size=8), "title").axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[2, 9], [2]]


def test_agreement_figure_has_a_panel_for_each_number_of_domains():
    sizes = {n: figures.finished(part) for n, part in by_size(sprites([2, 9])).items()}
    axes = figures.agreement_figure(sizes, "title").axes
    assert [ax.get_title() for ax in axes] == ["2 training domains", "9 training domains"]
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), 0.64 - np.array(STEPS))  # mean of two seeds


@pytest.mark.parametrize(("counts", "names"), [([2], ["accuracy", "objective", "variances"]), ([2, 9], ["domains"])])
def test_figures_of_the_sprites(counts, names, tmp_path):
    write_figures(tmp_path, sprites(counts), cdsprites(2, count=4, size=8))
    assert {path.stem for path in tmp_path.iterdir()} == {*names, "agreement", "images"}


def test_many_training_domains_are_shown_as_their_mean():
    figure = figures.accuracy_figure(by_method(sprites([9])), cdsprites(9, count=4, size=8), "title")
    assert [line.get_label() for line in figure.axes[0].lines] == ["mean of 9 training domains", "test"]
    # 59 and 69 percent in the test; 1, 2, ..., 9 more in the training domains
    np.testing.assert_allclose([line.get_ydata()[0] for line in figure.axes[0].lines], [64 + 5, 64])
    assert len(figures.image_figure(cdsprites(9, count=4, size=8)).axes) == 5


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


def test_landscape_shows_the_domains_risks_at_and_between_two_solutions():
    first, second = (r._replace(config=r.config._replace(hidden=[3])) for r in results()[::2])
    model = network(first.config, task())
    thetas = [model.init(np.random.default_rng(seed)) for seed in (1, 2)]
    groups = {"erm": [first._replace(theta=thetas[0])], "fishr": [second._replace(theta=thetas[1])]}
    around, other, between = figures.landscape_figure(groups, task(), "title").axes
    titles = [ax.get_title() for ax in (around, other, between)]
    assert titles == ["around erm", "around fishr", "from erm (0) to fishr (1)"]
    for e, domain in enumerate([*task().train, *task().test]):
        ends = [risk(model, theta, domain.x, domain.y) for theta in thetas]
        for ax, x, expected in (
            (around, 0, ends[0]),
            (other, 0, ends[1]),
            (between, 0, ends[0]),
            (between, 1, ends[1]),
        ):
            line = ax.lines[e]
            assert np.isclose(line.get_ydata()[np.isclose(line.get_xdata(), x)].item(), expected)
    low, high = around.get_ylim()
    assert low == 0 and high >= max(line.get_ydata().max() for ax in (around, other, between) for line in ax.lines)


def test_nothing_is_drawn_where_every_run_failed(tmp_path):
    write_figures(tmp_path, results(failed=range(4)), task())
    assert list(tmp_path.iterdir()) == []


def test_a_title_longer_than_its_figure_is_broken_and_not_cut():
    figure, axes = figures.new_figure(1, 1, 4, 3, "the best of some draws " * 5)
    figure.draw_without_rendering()
    title, (width, height) = figure._suptitle.get_window_extent(), figure.bbox.size
    assert title.x0 >= 0 and title.x1 <= width and title.y1 <= height
    assert axes[0, 0].get_window_extent().y1 <= title.y0
