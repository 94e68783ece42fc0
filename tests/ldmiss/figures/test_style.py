"""Colours, markers and panels."""

from ldmiss.figures.style import colour_of, marker_of, new_figure


def test_style_is_the_same_for_a_method_everywhere() -> None:
    """Generators and their imputers share a colour; methods unknown to the style still get one."""
    assert colour_of("ldmiss") == colour_of("ldmiss-guidance") != colour_of("ddpm")
    assert marker_of("ldmiss") != marker_of("ddpm")
    assert len(colour_of("something new")) == 3
    assert marker_of("something new") == "o"


def test_new_figure() -> None:
    """Panels in reading order, each of the size asked for, also when there is only one."""
    figure, axes = new_figure(2, 3, width=2.0, height=1.5)
    assert len(axes) == 6
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert len(new_figure(1, 1, width=1, height=1)[1]) == 1
