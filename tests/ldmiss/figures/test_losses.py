"""Training curves, and the table they are drawn from."""

import pytest

from ldmiss.figures.losses import draw_training_curves, training_curves
from ldmiss.figures.style import render

CURVES = {("vae", "0.1"): [4.0, 2.0], ("vae", "0.5"): [6.0], ("diffputer", "0.1"): [1.0, 0.5]}


def test_training_curves() -> None:
    """A row per model, rate and epoch; shorter curves have fewer."""
    frame = training_curves(CURVES)
    assert list(frame) == ["model", "missing_rate", "epoch", "loss"]
    assert list(frame.itertuples(index=False, name=None)) == [
        ("vae", "0.1", 1, 4.0), ("vae", "0.1", 2, 2.0), ("vae", "0.5", 1, 6.0),
        ("diffputer", "0.1", 1, 1.0), ("diffputer", "0.1", 2, 0.5),
    ]  # fmt: skip


def test_draw_training_curves() -> None:
    """A panel per model with a line per rate, on a log scale; a shorter curve is drawn to its own end."""
    figure = draw_training_curves(training_curves(CURVES))
    assert [axis.get_title() for axis in figure.axes] == ["VAE", "DiffPuter"]
    assert [[len(line.get_xdata()) for line in axis.lines] for axis in figure.axes] == [[2, 1], [2]]
    assert {axis.get_yscale() for axis in figure.axes} == {"log"}
    assert [axis.get_xlabel() for axis in figure.axes] == ["epoch", "epoch, of all EM iterations"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["missing rate 0.1", "missing rate 0.5"]


@pytest.mark.parametrize("num_epochs", [1, 2, 3, 60])
def test_any_number_of_epochs_can_be_seen(num_epochs: int) -> None:
    """A curve of one epoch is a marker, and no tick stands between two epochs."""
    figure = draw_training_curves(training_curves({("vae", "0.5"): [1 / (i + 1) for i in range(num_epochs)]}))
    render(figure, "png")
    axis = figure.axes[0]
    assert axis.lines[0].get_marker() == "o"
    assert all(tick == round(tick) for tick in axis.get_xticks())
    assert any(axis.get_xlim()[0] <= tick <= axis.get_xlim()[1] for tick in axis.get_xticks())


def test_curves_differ_in_more_than_colour() -> None:
    """For print in grey: six rates, six markers."""
    axis = draw_training_curves(training_curves({("vae", str(rate)): [1.0, 0.5] for rate in range(6)})).axes[0]
    assert len({line.get_marker() for line in axis.lines}) == 6
