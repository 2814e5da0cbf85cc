import pytest

from minifishr.course import figure, panels


@pytest.mark.parametrize("sharex", [True, False])
def test_axis_that_panels_share_has_its_name_where_its_numbers_are(sharex):
    fig, axes = panels(2, sharex=sharex)
    for ax in axes:
        ax.set_xlabel("step")
    shown = figure(fig, "Two panels, one below the other, without anything in them.")
    assert [ax.get_xlabel() for ax in axes] == ["" if sharex else "step", "step"]
    assert shown.html.startswith('<img alt="Two panels, one below') and repr(shown).startswith("Two panels")
