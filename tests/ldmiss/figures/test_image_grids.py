"""Images side by side, and the table they are drawn from."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ldmiss.figures.image_grids import draw_image_grids, image_rows


def test_image_rows() -> None:
    """One row per image, one column per value: channel by channel in reading order."""
    images = np.arange(16, dtype=np.uint8).reshape(2, 2, 2, 2)
    rows = image_rows("ddpm", "0.5", images)
    assert list(rows) == ["panel", "row", "index", *(f"p{i}" for i in range(8))]
    assert rows.iloc[1].tolist() == ["ddpm", "0.5", 1, *range(8, 16)]


def drawn(images: np.ndarray) -> np.ndarray:
    """The picture of one row of images."""
    figure = draw_image_grids(image_rows("ddpm", "0.1", images), images.shape[1:], num_panel_columns=1)
    return np.asarray(figure.axes[0].images[0].get_array())


def test_draw_image_grids() -> None:
    """A panel per method; in it the images side by side, a white line after each, and a labelled row per rate."""
    first, second = np.full((3, 1, 2, 2), 7, dtype=np.uint8), np.full((3, 1, 2, 2), 9, dtype=np.uint8)
    rows = [
        part
        for panel in ("ddpm", "b", "c")
        for part in (image_rows(panel, "0.1", first), image_rows(panel, "0.5", second))
    ]
    figure = draw_image_grids(pd.concat(rows), (1, 2, 2), num_panel_columns=2, row_title="rate")
    shown = figure.axes
    assert [axis.get_title() for axis in shown] == ["DDPM", "b", "c"]
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["0.1", "0.5"]
    picture = np.asarray(shown[0].images[0].get_array())
    line = [[7, 7, 255] * 3] * 2 + [[255] * 9]
    assert picture.tolist() == line + [[9 if value == 7 else value for value in row] for row in line]


@pytest.mark.parametrize("shape", [(1, 8, 11), (1, 112, 92), (1, 8, 64)])
def test_grey_images_of_any_size(shape: tuple[int, int, int]) -> None:
    """As they are, side by side."""
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    picture = drawn(images)
    _, height, width = shape
    assert picture.shape[1] == 3 * (width + 1)
    for i in range(3):
        assert (picture[:height, i * (width + 1) :][:, :width] == images[i, 0]).all()
        assert (picture[height:] == 255).all()


def test_three_channels_are_colours() -> None:
    """Red, green and blue, in this order."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 33, 20)).astype(np.uint8)
    picture = drawn(images)
    assert picture.dtype == np.uint8
    assert picture.shape == (34, 42, 3)
    assert (picture[:33, 21:41] == np.moveaxis(images[1], 0, -1)).all()


@pytest.mark.parametrize("channels", [2, 5])
def test_of_other_channels_the_first_is_shown_and_the_title_says_so(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 9, 8)).astype(np.uint8)
    rows = image_rows("ddpm", "0.1", images)
    figure = draw_image_grids(rows, images.shape[1:], num_panel_columns=1)
    assert figure.axes[0].get_title() == f"DDPM, channel 1 of {channels}"
    assert (np.asarray(figure.axes[0].images[0].get_array())[:9, :8] == images[0, 0]).all()


@pytest.mark.parametrize(("shape", "num"), [((1, 8, 200), 10), ((1, 112, 92), 1), ((3, 200, 8), 2), ((1, 8, 11), 10)])
def test_labels_have_room_and_no_image_is_huge(shape: tuple[int, int, int], num: int) -> None:
    """Beside images far wider than high, and where one image stands in a row."""
    images = np.zeros((num, *shape), dtype=np.uint8)
    rows = [image_rows("c", label, images) for label in ("ldmiss-guidance", "ddpm-replacement", "gaussian")]
    figure = draw_image_grids(pd.concat(rows), shape, num_panel_columns=1)
    FigureCanvasAgg(figure).draw()
    (axis,) = figure.axes
    labels = [label.get_window_extent() for label in axis.get_yticklabels()]
    for upper, lower in pairwise(labels):
        assert lower.y1 - upper.y0 < 0.02 * figure.dpi  # boxes have some air of their own
    assert not axis.title.get_window_extent().overlaps(labels[0])
    inches = axis.get_window_extent().height / figure.dpi
    assert inches <= 3 * 1.25
    page, around = figure.bbox.padded(1), axis.get_tightbbox()
    assert page.x0 <= around.x0
    assert around.x1 <= page.x1


@pytest.mark.parametrize(("columns", "width"), [(1, 3.4), (2, 7.0)])
def test_images_are_of_one_size_and_nothing_overlaps(columns: int, width: float) -> None:
    """As wide as one or two columns of a paper; pixels are square, and labels, long ones too, lie on the page."""
    images = np.zeros((10, 1, 28, 28), dtype=np.uint8)
    rows = [image_rows("test images", label, images) for label in ("truth", "observed")]
    for panel in ("ldmiss-guidance", "c"):
        for label in ("0.1", "a name of a method"):
            rows.append(image_rows(panel, label, images))
    rows.append(image_rows("c", "ddpm-replacement", images))
    figure = draw_image_grids(
        pd.concat(rows), (1, 28, 28), num_panel_columns=columns, row_title="training\nmissing rate"
    )
    FigureCanvasAgg(figure).draw()
    assert figure.get_size_inches()[0] == width
    boxes = [axis.get_window_extent() for axis in figure.axes]
    sizes = [[box.width / 10, box.height / num_rows] for box, num_rows in zip(boxes, (2, 2, 3), strict=True)]
    np.testing.assert_allclose(sizes, sizes[0][0])
    page = figure.bbox.padded(1)
    around = [axis.get_tightbbox() for axis in figure.axes]
    around += [text.get_window_extent() for text in figure.texts]
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in around)
    assert not [(i, j) for i, box in enumerate(around) for j in range(i) if box.overlaps(around[j])]
    assert figure.axes[2].get_yticklabels()[2].get_text() == "DDPM,\nreplacement"
