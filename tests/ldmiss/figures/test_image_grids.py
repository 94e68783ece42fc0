"""Images side by side, and the table they are drawn from."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ldmiss.figures.image_grids import draw_image_grids, image_rows


def test_image_rows() -> None:
    """One row per image, one column per pixel in reading order."""
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    rows = image_rows("ddpm", "0.5", images)
    assert rows[1] == {"panel": "ddpm", "row": "0.5", "index": 1, "p0": 4, "p1": 5, "p2": 6, "p3": 7}


def test_draw_image_grids() -> None:
    """A panel per method; in it the images side by side, a white line after each, and a labelled row per rate."""
    first, second = np.full((3, 2, 2), 7, dtype=np.uint8), np.full((3, 2, 2), 9, dtype=np.uint8)
    rows = [
        row
        for panel in ("ddpm", "b", "c")
        for row in image_rows(panel, "0.1", first) + image_rows(panel, "0.5", second)
    ]
    figure = draw_image_grids(pd.DataFrame(rows), num_panel_columns=2, row_title="rate")
    shown = figure.axes
    assert [axis.get_title() for axis in shown] == ["DDPM", "b", "c"]
    assert [label.get_text() for label in shown[0].get_yticklabels()] == ["0.1", "0.5"]
    picture = np.asarray(shown[0].images[0].get_array())
    line = [[7, 7, 255] * 3] * 2 + [[255] * 9]
    assert picture.tolist() == line + [[9 if value == 7 else value for value in row] for row in line]


@pytest.mark.parametrize(("columns", "width"), [(1, 3.4), (2, 7.0)])
def test_images_are_of_one_size_and_nothing_overlaps(columns: int, width: float) -> None:
    """As wide as one or two columns of a paper; pixels are square, and labels, long ones too, lie on the page."""
    images = np.zeros((10, 28, 28), dtype=np.uint8)
    rows = image_rows("test images", "truth", images) + image_rows("test images", "observed", images)
    for panel in ("ldmiss-guidance", "c"):
        for label in ("0.1", "a name of a method"):
            rows += image_rows(panel, label, images)
    rows += image_rows("c", "ddpm-replacement", images)
    figure = draw_image_grids(pd.DataFrame(rows), num_panel_columns=columns, row_title="training\nmissing rate")
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
